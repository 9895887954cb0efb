package send

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"fluent-bit-fortiems/parser"
	"fluent-bit-fortiems/parser/ecs"
	"fluent-bit-fortiems/test"
)

func TestRestampedLinesAreOfNow(t *testing.T) {
	cases, err := test.Corpus()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 25, 23, 59, 58, 987654321, time.UTC)
	p, checked := parser.New(parser.Options{}), 0
	for i := range cases {
		if !cases[i].Replayed() {
			continue
		}
		for _, row := range cases[i].Rows {
			line := row.Line
			var old, ev parser.Event
			known := p.Parse(&old, []byte(line), ecs.Instant{Sec: now.Unix()})
			if got := p.Parse(&ev, []byte(Restamp(line, now)), ecs.Instant{Sec: now.Unix()}); got != known || ev.Decision.Category != old.Decision.Category {
				t.Errorf("%s\nbecomes %s", line, Restamp(line, now))
			}
			if !known {
				continue // its time is not read
			}
			if d := time.Unix(ev.Time.Sec, int64(ev.Time.Nsec)).Sub(now).Abs(); d > time.Second {
				t.Errorf("%s off\n%s", d, Restamp(line, now))
			}
			checked++
		}
	}
	if checked < 300 {
		t.Errorf("only %d lines", checked)
	}
}

func TestRestampKeepsZoneAndPrecision(t *testing.T) {
	now := time.Date(2026, 11, 25, 23, 30, 1, 5, time.UTC)
	for _, c := range [][2]string{
		{`<190>date=2024-10-02 time=10:47:07 eventtime=1727856000123456789 tz="+0200" x=1`, `<190>date=2026-11-26 time=01:30:01 eventtime=1795649401000000005 tz="+0200" x=1`},
		{`<190>timestamp=1727856000 itime=1727856000 date="2024-10-02" time="10:28:00"`, `<190>timestamp=1795649401 itime=1795649401 date="2026-11-25" time="23:30:01"`},
		{`2024-10-01T22:17:30.112143+00:00 Oct  1 22:17:30s dtime="2024-10-02 22:17:30"`, `2026-11-25T23:30:01.000Z Oct  1 22:17:30s dtime="2026-11-25 23:30:01"`},
		{`<134>1 2024-10-02T08:01:51Z h app`, `<134>1 2026-11-25T23:30:01.000Z h app`},
		{`<190>Oct  2 09:11:14 h ems-vpn: tz=-03:30 dtime="2024-10-02 22:17:30"`, `<190>Nov 25 23:30:01 h ems-vpn: tz=-03:30 dtime="2026-11-25 20:00:01"`},
		{`msg="scantime=10:00:00 uptime=5"`, `msg="scantime=10:00:00 uptime=5"`},
	} {
		if got := Restamp(c[0], now); got != c[1] {
			t.Errorf("%s\nbecomes %s\nwants   %s", c[0], got, c[1])
		}
	}
}

// authority makes a certificate of its own authority for 127.0.0.1 and the file that trusts it.
func authority(t *testing.T) (cert tls.Certificate, file string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

// sendAll sends lines over one connection.
func sendAll(o Options, lines ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	s, err := New(o)
	if err != nil {
		return err
	}
	if err := s.Open(ctx); err != nil {
		return err
	}
	for _, line := range lines {
		if err := s.Line(ctx, line); err != nil {
			return err
		}
	}
	return s.Close(ctx)
}

// collect returns what the first connection to l sends.
func collect(l net.Listener) <-chan string {
	received := make(chan string, 1)
	go func() {
		defer close(received)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		r := bufio.NewReader(conn)
		// A slow reader: the sender finishes long before and must not close the connection early.
		_, _ = r.Peek(1)
		time.Sleep(200 * time.Millisecond)
		text, _ := io.ReadAll(r)
		received <- string(text)
	}()
	return received
}

func TestSendOverTLS(t *testing.T) {
	cert, file := authority(t)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	got := collect(l)
	line := strings.Repeat("x", 100_000)
	if err := sendAll(Options{Addr: l.Addr().String(), Proto: TLS, CAFile: file}, line, "b"); err != nil {
		t.Fatal(err)
	}
	if text := <-got; text != line+"\nb\n" {
		t.Errorf("%d bytes arrived", len(text))
	}
	// A collector with a certificate of another authority receives nothing.
	_, other := authority(t)
	got = collect(l)
	if err := sendAll(Options{Addr: l.Addr().String(), Proto: TLS, CAFile: other}, "secret"); err == nil || !strings.Contains(err.Error(), "x509") {
		t.Errorf("sent to an unknown collector: %v", err)
	}
	if text := <-got; text != "" {
		t.Errorf("%q arrived", text)
	}
}

func TestFraming(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for octets, want := range map[bool]string{false: "ab\nü\n", true: "2 ab2 ü"} {
		got := collect(l)
		if err := sendAll(Options{Addr: l.Addr().String(), Proto: TCP, OctetCounting: octets}, "ab", "ü"); err != nil {
			t.Fatal(err)
		}
		if text := <-got; text != want {
			t.Errorf("octet counting %v: %q", octets, text)
		}
	}
}

func TestDatagrams(t *testing.T) {
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	o := Options{Addr: l.LocalAddr().String(), Proto: UDP}
	if err := sendAll(o, "first", "second"); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	for _, want := range []string{"first", "second"} {
		_ = l.SetReadDeadline(time.Now().Add(5 * time.Second))
		n, _, err := l.ReadFrom(buf)
		if err != nil || string(buf[:n]) != want {
			t.Fatalf("%q, %v", buf[:n], err)
		}
	}
	if err := sendAll(o, strings.Repeat("x", maxDatagram+1)); err == nil || !strings.Contains(err.Error(), "use tcp") {
		t.Error(err)
	}
}

func TestRate(t *testing.T) {
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	start := time.Now()
	if err := sendAll(Options{Addr: l.LocalAddr().String(), Proto: UDP, Rate: 100}, make([]string, 31)...); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(start); d < 290*time.Millisecond {
		t.Errorf("31 lines at 100 per second took %s", d)
	}
}

func TestHealth(t *testing.T) {
	now := time.Unix(1000, 0)
	s := &Sender{now: func() time.Time { return now }}
	for _, c := range []struct{ last, want int64 }{{0, 503}, {1000 - int64(stale/time.Second), 200}, {999, 200}} {
		s.last.Store(c.last)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, nil)
		if int64(w.Code) != c.want {
			t.Errorf("last line at %d: %d", c.last, w.Code)
		}
	}
}

func TestBadOptions(t *testing.T) {
	for name, o := range map[string]Options{
		"use udp, tcp or tls":       {Proto: "http"},
		"a datagram has one line":   {Proto: UDP, OctetCounting: true},
		"lines per second":          {Proto: UDP, Rate: -1},
		"no such file or directory": {Proto: TLS, CAFile: "/nonexistent/ca.crt"},
	} {
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	if err := sendAll(Options{Addr: "127.0.0.1:" + strconv.Itoa(port), Proto: TCP}, "x"); err == nil {
		t.Error("no error without a collector")
	}
}

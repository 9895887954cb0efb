package esbulk

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"fluent-bit-fortiems/test/fakees"
)

// resolve answers every question for IPv4 addresses with the same ones until the test ends.
func resolve(t *testing.T, addresses ...string) {
	t.Helper()
	was := net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = was })
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe() // no packets, so messages have the length before them, as over TCP
		go func() {
			defer ours.Close()
			var size [2]byte
			if _, err := io.ReadFull(ours, size[:]); err != nil {
				return
			}
			question := make([]byte, binary.BigEndian.Uint16(size[:]))
			if _, err := io.ReadFull(ours, question); err != nil {
				return
			}
			var m dnsmessage.Message
			if err := m.Unpack(question); err != nil || len(m.Questions) != 1 {
				t.Error(err)
				return
			}
			answer := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, RecursionAvailable: true}, Questions: m.Questions}
			q := m.Questions[0]
			for _, a := range addresses {
				if q.Type == dnsmessage.TypeA {
					answer.Answers = append(answer.Answers, dnsmessage.Resource{
						Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 1}, Body: &dnsmessage.AResource{A: netip.MustParseAddr(a).As4()},
					})
				}
			}
			packed, err := answer.AppendPack(make([]byte, 2))
			if err != nil {
				t.Error(err)
				return
			}
			binary.BigEndian.PutUint16(packed, uint16(len(packed)-2))
			_, _ = ours.Write(packed)
		}()
		return theirs, nil
	}}
}

// silent makes connections to an address hang: its queue is full, so the kernel drops what
// comes.
func silent(t *testing.T, address string) {
	t.Helper()
	to := netip.MustParseAddrPort(address)
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		c, err := net.DialTimeout("tcp", address, 200*time.Millisecond)
		if err != nil {
			return
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Skip("not run: this kernel has no bound for a queue")
}

// TestNameWithADeadAddress: of the two addresses of a name, one refuses or hangs. The other
// is used within the same flush.
func TestNameWithADeadAddress(t *testing.T) {
	for name, addresses := range map[string][]string{
		"refuses, first": {"127.0.0.2", "127.0.0.1"}, "refuses, last": {"127.0.0.1", "127.0.0.2"},
		"hangs, first": {"127.0.0.3", "127.0.0.1"}, "hangs, last": {"127.0.0.1", "127.0.0.3"},
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && name == "hangs, first" {
				t.Skip("not run: waits for some seconds")
			}
			es := fakees.New()
			defer es.Close()
			_, port, _ := strings.Cut(strings.TrimPrefix(es.URL, "http://"), ":")
			if strings.HasPrefix(name, "hangs") {
				silent(t, "127.0.0.3:"+port)
			}
			resolve(t, addresses...)
			s, log := shipper(t, map[string]string{"hosts": "http://search.example:" + port})
			for _, tag := range []string{"a", "b"} {
				if s.Flush(context.Background(), tag, chunkOf(3)) != OK {
					t.Errorf("%q", log.all())
				}
			}
			if n := len(es.Stored(stream)); n != 6 || len(log.all()) > 0 {
				t.Errorf("%d documents, log %q", n, log.all())
			}
		})
	}
}

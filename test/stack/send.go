package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// runSend replays the corpus as a FortiEMS would send it.
func runSend(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("send", flag.ContinueOnError)
	addr := fs.String("addr", "127.0.0.1:6514", "where to send")
	ca := fs.String("ca", "", "authority of the collector's certificate (PEM)")
	plain := fs.Bool("plain", false, "TCP without TLS")
	dir := fs.String("corpus", "test/corpus", "folder of the corpus")
	rate := fs.Float64("rate", 50, "lines per second")
	forever := fs.Bool("forever", false, "begin again at the end, until stopped")
	status := fs.String("status", "", "serve 200 on this address while lines get through")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if *rate <= 0 {
		return fmt.Errorf("rate %v: must be greater than 0", *rate)
	}
	lines, err := corpusLines(*dir)
	if err != nil {
		return err
	}
	dial, err := dialer(*addr, *ca, *plain)
	if err != nil {
		return err
	}
	s := &sender{dial: dial, lines: lines, pause: time.Duration(float64(time.Second) / *rate), now: time.Now}
	if *status != "" {
		l, err := net.Listen("tcp", *status)
		if err != nil {
			return err
		}
		defer l.Close()
		go func() { _ = http.Serve(l, s) }() // ends with l
	}
	for {
		err := s.pass(ctx)
		if ctx.Err() != nil || err == nil && !*forever {
			return err
		}
		if err != nil {
			if !*forever {
				return err
			}
			fmt.Fprintln(os.Stderr, "stack send:", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// replayed reports whether a corpus case is sent: lines of FortiEMS and its endpoints,
// but no cases about options, odd clocks or other senders.
func replayed(name string) bool {
	for _, p := range []string{"ems-", "fct-", "fgt-", "android", "unknown"} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

func corpusLines(dir string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*", "input.log"))
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, f := range files {
		if !replayed(filepath.Base(filepath.Dir(f))) {
			continue
		}
		text, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		lines = append(lines, strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")...)
	}
	if len(lines) == 0 {
		return nil, fmt.Errorf("no lines in %s", dir)
	}
	return lines, nil
}

func dialer(addr, caFile string, plain bool) (func(context.Context) (net.Conn, error), error) {
	d := &net.Dialer{Timeout: 10 * time.Second}
	if plain {
		return func(ctx context.Context) (net.Conn, error) { return d.DialContext(ctx, "tcp", addr) }, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile != "" {
		text, err := os.ReadFile(caFile)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s holds no certificate", caFile)
		}
	}
	t := &tls.Dialer{NetDialer: d, Config: config}
	return func(ctx context.Context) (net.Conn, error) { return t.DialContext(ctx, "tcp", addr) }, nil
}

// sender sends lines over one connection per pass.
type sender struct {
	dial  func(context.Context) (net.Conn, error)
	lines []string
	pause time.Duration
	now   func() time.Time
	last  atomic.Int64 // Unix seconds of the last line that was written
}

// pass sends every line once.
func (s *sender) pass(ctx context.Context) error {
	conn, err := s.dial(ctx)
	if err != nil {
		return err
	}
	// Cancelling the context ends a blocked write.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	// Read whatever the peer sends: closing a connection with unread bytes, such as the
	// session tickets of TLS 1.3, resets it, and the last lines are lost.
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = io.Copy(io.Discard, conn) // ends with the connection
	}()
	tick := time.NewTicker(s.pause)
	defer tick.Stop()
	for _, line := range s.lines {
		if _, err := fmt.Fprintf(conn, "%s\n", restamp(line, s.now())); err != nil {
			return errors.Join(err, conn.Close())
		}
		s.last.Store(s.now().Unix())
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), conn.Close())
		case <-tick.C:
		}
	}
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		if err := half.CloseWrite(); err != nil {
			return errors.Join(err, conn.Close())
		}
	}
	select {
	case <-drained: // the peer has read everything and closed
	case <-ctx.Done():
	case <-time.After(closeLimit):
	}
	return conn.Close()
}

// closeLimit is how long the collector may take to read the rest and close.
const closeLimit = 10 * time.Second

// stale is the maximum age of the last line while the sender is healthy.
const stale = 30 * time.Second

func (s *sender) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	if s.now().Sub(time.Unix(s.last.Load(), 0)) > stale {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// The timestamps in a line. Local ones are in the zone of tz, or in UTC without tz.
var (
	tzPair     = regexp.MustCompile(`\btz="?([+-]\d\d):?(\d\d)`)
	local      = regexp.MustCompile(`\b(date|time|dtime)=("*)(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d)`)
	epoch      = regexp.MustCompile(`\b(eventtime|timestamp|itime)=("*)(\d{10,19})\b`)
	isoHeader  = regexp.MustCompile(`^(?:\d+ )?(?:<\d+>)?(?:1 )?(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d))`)
	textHeader = regexp.MustCompile(`^(?:<\d+>)?([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d)`)
)

// restamp returns line with every timestamp set to now.
func restamp(line string, now time.Time) string {
	zone := time.UTC
	if m := tzPair.FindStringSubmatch(line); m != nil {
		h, _ := strconv.Atoi(m[1])
		minutes, _ := strconv.Atoi(m[2])
		if h < 0 || strings.HasPrefix(m[1], "-") {
			minutes = -minutes
		}
		zone = time.FixedZone("", h*3600+minutes*60)
	}
	line = local.ReplaceAllStringFunc(line, func(pair string) string {
		m := local.FindStringSubmatch(pair)
		layout := map[int]string{8: time.TimeOnly, 10: time.DateOnly, 19: time.DateTime}[len(m[3])]
		return m[1] + "=" + m[2] + now.In(zone).Format(layout)
	})
	line = epoch.ReplaceAllStringFunc(line, func(pair string) string {
		m := epoch.FindStringSubmatch(pair)
		n := now.UnixNano()
		for range 19 - len(m[3]) {
			n /= 10
		}
		return m[1] + "=" + m[2] + strconv.FormatInt(n, 10)
	})
	for _, h := range []struct {
		at     *regexp.Regexp
		layout string
	}{{isoHeader, "2006-01-02T15:04:05.000Z07:00"}, {textHeader, time.Stamp}} {
		if m := h.at.FindStringSubmatchIndex(line); m != nil {
			line = string(slices.Concat([]byte(line[:m[2]]), []byte(now.UTC().Format(h.layout)), []byte(line[m[3]:])))
		}
	}
	return line
}

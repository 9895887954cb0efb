// Package send replays lines to a syslog collector as a FortiEMS would send them.
package send

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// Proto is how lines travel.
type Proto string

// The protocols.
const (
	UDP Proto = "udp"
	TCP Proto = "tcp"
	TLS Proto = "tls"
)

// Options of a [Sender].
type Options struct {
	Addr   string // host:port
	Proto  Proto
	CAFile string  // authority of the collector's certificate (PEM); "" for those of the system
	Rate   float64 // lines per second; 0 for as many as the collector takes
	// OctetCounting writes the length before each line (RFC 6587), not a line feed after it.
	OctetCounting bool
	// Now replaces every time in a line by the current one.
	Now bool
}

// Sender sends lines over one connection. Not safe for concurrent use, but for ServeHTTP.
type Sender struct {
	o    Options
	dial func(context.Context) (net.Conn, error)
	now  func() time.Time
	last atomic.Int64 // Unix seconds of the last line that was written

	conn    net.Conn
	drained chan struct{}
	next    time.Time // when the next line is due
	buf     []byte
	Sent    int // lines
}

// New checks the options. It does not connect.
func New(o Options) (*Sender, error) {
	s := &Sender{o: o, now: time.Now}
	if o.Rate < 0 {
		return nil, fmt.Errorf("rate %v: 0 or more lines per second are expected", o.Rate)
	}
	if o.Proto == UDP && o.OctetCounting {
		return nil, errors.New("octet counting is for tcp and tls: a datagram has one line")
	}
	d := &net.Dialer{Timeout: 10 * time.Second}
	switch o.Proto {
	case UDP, TCP:
		s.dial = func(ctx context.Context) (net.Conn, error) { return d.DialContext(ctx, string(o.Proto), o.Addr) }
	case TLS:
		config := &tls.Config{MinVersion: tls.VersionTLS12}
		if o.CAFile != "" {
			text, err := os.ReadFile(o.CAFile)
			if err != nil {
				return nil, err
			}
			config.RootCAs = x509.NewCertPool()
			if !config.RootCAs.AppendCertsFromPEM(text) {
				return nil, fmt.Errorf("%s holds no certificate in PEM form", o.CAFile)
			}
		}
		t := &tls.Dialer{NetDialer: d, Config: config}
		s.dial = func(ctx context.Context) (net.Conn, error) { return t.DialContext(ctx, "tcp", o.Addr) }
	default:
		return nil, fmt.Errorf("protocol %q: use udp, tcp or tls", o.Proto)
	}
	return s, nil
}

// Open connects. Cancelling ctx also ends a blocked write. Close must be called.
func (s *Sender) Open(ctx context.Context) error {
	conn, err := s.dial(ctx)
	if err != nil {
		return fmt.Errorf("%s (%s): %w", s.o.Addr, s.o.Proto, err)
	}
	s.conn, s.drained, s.next = conn, make(chan struct{}), s.now()
	context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	if s.o.Proto == UDP {
		close(s.drained)
		return nil
	}
	// Read whatever the peer sends: closing a connection with unread bytes, such as the
	// session tickets of TLS 1.3, resets it, and the last lines are lost.
	go func(drained chan struct{}) {
		defer close(drained)
		_, _ = io.Copy(io.Discard, conn) // ends with the connection
	}(s.drained)
	return nil
}

// maxDatagram is the most payload of UDP over IPv4, in bytes.
const maxDatagram = 65507

// Line sends one line when it is due.
func (s *Sender) Line(ctx context.Context, line string) error {
	if err := s.wait(ctx); err != nil {
		return err
	}
	if s.o.Now {
		line = Restamp(line, s.now())
	}
	s.buf = s.buf[:0]
	switch {
	case s.o.Proto == UDP:
		if len(line) > maxDatagram {
			return fmt.Errorf("a line of %d bytes does not fit into a datagram (at most %d): use tcp", len(line), maxDatagram)
		}
		s.buf = append(s.buf, line...)
	case s.o.OctetCounting:
		s.buf = append(fmt.Appendf(s.buf, "%d ", len(line)), line...)
	default:
		s.buf = append(append(s.buf, line...), '\n')
	}
	if _, err := s.conn.Write(s.buf); err != nil {
		return fmt.Errorf("%s (%s): %w", s.o.Addr, s.o.Proto, err)
	}
	s.Sent++
	s.last.Store(s.now().Unix())
	return nil
}

// wait returns when the next line is due.
func (s *Sender) wait(ctx context.Context) error {
	if s.o.Rate == 0 {
		return ctx.Err()
	}
	pause := s.next.Sub(s.now())
	s.next = s.next.Add(time.Duration(float64(time.Second) / s.o.Rate))
	if pause < time.Millisecond { // sleeping takes about as long
		return ctx.Err()
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pause):
		return nil
	}
}

// closeLimit is how long the collector may take to read the rest and close.
const closeLimit = 10 * time.Second

// Close ends the connection after the collector has read everything, or ctx is done.
func (s *Sender) Close(ctx context.Context) error {
	if half, ok := s.conn.(interface{ CloseWrite() error }); ok {
		if err := half.CloseWrite(); err != nil {
			return errors.Join(err, s.conn.Close())
		}
	}
	select {
	case <-s.drained: // the peer has read everything and closed
	case <-ctx.Done():
	case <-time.After(closeLimit):
	}
	return s.conn.Close()
}

// stale is the maximum age of the last line while the sender is healthy.
const stale = 30 * time.Second

// ServeHTTP answers 200 while lines get through, else 503.
func (s *Sender) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	if s.now().Sub(time.Unix(s.last.Load(), 0)) > stale {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

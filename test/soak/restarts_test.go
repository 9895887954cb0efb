package soak_test

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"fluent-bit-fortiems/test/bench"
	"fluent-bit-fortiems/test/servers"
)

// every is how long the server runs between restarts.
const every = 2 * time.Second

// TestRestarts restarts the server again and again under load, for FORTIEMS_RESTARTS.
func TestRestarts(t *testing.T) {
	length := duration(t, "FORTIEMS_RESTARTS", "2m")
	t.Run("the server is killed", func(t *testing.T) {
		server := openSearch(t)
		restarts(t, server, server.URL(), length, func() {
			server.Kill()
			if err := server.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
	})
	// A server takes seconds to start; the gateway in front of it does not.
	t.Run("all connections break", func(t *testing.T) {
		server := openSearch(t)
		g := &gateway{to: strings.TrimPrefix(server.URL(), "http://"), conns: map[net.Conn]bool{}}
		g.open(t, "127.0.0.1:0")
		t.Cleanup(g.close)
		restarts(t, server, "http://"+g.addr, length, func() {
			g.close()
			pause(t.Context(), 200*time.Millisecond)
			g.open(t, g.addr)
		})
	})
}

// restarts sends lines for length while the server goes down again and again.
func restarts(t *testing.T, server *servers.Server, url string, length time.Duration, restart func()) {
	load := newLoad(t)
	ship := startShipper(t, bench.FluentBit(), url, t.TempDir())
	send := startSender(t, load, ship.syslog)
	until(t, "the first documents are stored", func() bool { return ship.delivered(t) > 0 })
	begun, n := time.Now(), 0
	for ; time.Since(begun) < length; n++ {
		pause(t.Context(), every) // the server is up
		ship.alive(t)
		restart()
	}
	sent := send.stop(t)
	took := time.Since(begun)
	until(t, "everything is delivered", func() bool { return ship.delivered(t) >= sent && ship.idle() })
	t.Logf("shipper: %s; %d restarts in %s, each after %s of being up; %d lines a second", ship.what, n, took.Round(time.Second), every, load.rate)
	reconcile(t, server, ship, send, sent)
	t.Logf("resident memory at its peak: %.1f MB", float64(ship.watch.stop().peak)/1024)
	checkTroubleLog(t, ship.log.String(), time.Since(begun), "cannot be reached")
	ship.end(t)
}

// gateway forwards connections to a server; closing it breaks them.
type gateway struct {
	addr, to string
	listener net.Listener
	all      sync.WaitGroup

	mu    sync.Mutex
	up    bool
	conns map[net.Conn]bool
}

func (g *gateway) open(t *testing.T, addr string) {
	t.Helper()
	var err error
	until(t, "the address is free", func() bool {
		g.listener, err = net.Listen("tcp", addr)
		return err == nil
	})
	g.addr = g.listener.Addr().String()
	g.mu.Lock()
	g.up = true
	g.mu.Unlock()
	l := g.listener
	g.all.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			g.all.Go(func() { g.pass(in) })
		}
	})
}

func (g *gateway) pass(in net.Conn) {
	defer in.Close()
	out, err := net.Dial("tcp", g.to)
	if err != nil {
		return
	}
	defer out.Close()
	if !g.enter(in, out) {
		return
	}
	defer g.leave(in, out)
	copied := make(chan struct{})
	go func() {
		_, _ = io.Copy(out, in) // until either side closes
		out.Close()
		close(copied)
	}()
	_, _ = io.Copy(in, out)
	in.Close()
	<-copied
}

// enter registers both connections with close, unless the gateway is closed already.
func (g *gateway) enter(in, out net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.up {
		g.conns[in], g.conns[out] = true, true
	}
	return g.up
}

func (g *gateway) leave(in, out net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.conns, in)
	delete(g.conns, out)
}

// close breaks all connections, with requests in flight.
func (g *gateway) close() {
	g.listener.Close()
	g.mu.Lock()
	g.up = false
	for c := range g.conns {
		c.Close()
	}
	g.mu.Unlock()
	g.all.Wait()
}

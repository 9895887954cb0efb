package esbulk

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
	"time"
)

// TestServerThatKeepsRestarting closes the server and all of its connections, answers
// under way among them, again and again while four workers flush. The gateway in front
// of the fake is what goes up and down, so that the documents stay.
func TestServerThatKeepsRestarting(t *testing.T) {
	es := fake(t)
	target, err := url.Parse(es.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	// Only whole requests reach the fake, and it acts on them whoever hangs up.
	gateway := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		// Without a Done channel the proxy would listen for the hang-up itself.
		ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
		defer cancel()
		r = r.WithContext(ctx)
		r.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, r)
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	const chunks, workers, restarts = 400, 4, 10
	s, log := shipper(t, map[string]string{"hosts": "http://" + addr})

	work := make(chan int)
	stored := make(chan struct{}, chunks)
	var retried sync.Map
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for i := range work {
				tag := fmt.Sprint(i)
				for s.Flush(context.Background(), tag, chunkOf(50)) != OK {
					retried.Store(i, true)
					time.Sleep(5 * time.Millisecond) // as the engine pauses before it tries again
				}
				stored <- struct{}{}
			}
		})
	}
	go func() {
		defer close(work)
		for i := range chunks {
			work <- i
		}
	}()
	for n := range restarts + 1 {
		server := &http.Server{Handler: gateway}
		go server.Serve(l)
		share := chunks / (restarts + 1)
		if n == restarts {
			share = chunks - n*share
		}
		for range share {
			select {
			case <-stored:
			case <-time.After(30 * time.Second):
				t.Fatalf("nothing is stored any more after %d restarts: %q", n, log.all())
			}
		}
		server.Close()
		if n == restarts {
			break
		}
		time.Sleep(50 * time.Millisecond) // it is down so long
		if l, err = net.Listen("tcp", addr); err != nil {
			t.Fatal(err)
		}
	}
	all.Wait()

	ids := make(map[string]bool)
	for _, d := range es.Stored(stream) {
		ids[d.ID] = true
	}
	if len(ids) != chunks*50 || len(es.Stored(stream)) != chunks*50 || len(es.Stored(grave)) != 0 {
		t.Errorf("%d documents with %d ids and %d dead letters, not %d", len(es.Stored(stream)), len(ids), len(es.Stored(grave)), chunks*50)
	}
	handed := 0
	retried.Range(func(any, any) bool { handed++; return true })
	if handed == 0 {
		t.Error("no chunk met a server that was down")
	}
	causes := []string{"cannot be reached", "the connection broke", "the answer is cut"}
	known := 0
	for _, cause := range causes {
		n := log.count(cause)
		if known += n; n > 1 {
			t.Errorf("%q is told %d times", cause, n)
		}
	}
	if log.count(causes[0]) != 1 || known != len(log.all()) {
		t.Errorf("log %q", log.all())
	}
}

package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime/cgo"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"fluent-bit-fortiems/plugin/esbulk"
	"fluent-bit-fortiems/plugin/option"
	"fluent-bit-fortiems/test/fakees"
)

// fakeShipper answers Flush with what the test wants.
type fakeShipper struct {
	flush  func(tag string, chunk []byte) esbulk.Result
	closed int
}

func (f *fakeShipper) Flush(_ context.Context, tag string, chunk []byte) esbulk.Result {
	return f.flush(tag, chunk)
}
func (f *fakeShipper) Summary() string { return "summary" }
func (f *fakeShipper) Close()          { f.closed++ }

func TestOutputStart(t *testing.T) {
	taken := httptest.NewServer(nil)
	defer taken.Close()
	port := strings.TrimPrefix(taken.URL, "http://")
	for name, c := range map[string]struct {
		set  map[string]string
		want []string // parts of the single errors; none means that it starts
	}{
		"defaults":             {nil, nil},
		"bad options":          {map[string]string{"compress": "x", "bulk_max_docs": "0"}, []string{"bulk_max_docs", "compress"}},
		"missing files":        {map[string]string{"ca_file": "/nonexistent/ca", "dead_letter": "file:/nonexistent/d"}, []string{"ca_file", "dead_letter"}},
		"a port that is taken": {map[string]string{"metrics_listen": port}, []string{"metrics_listen"}},
	} {
		t.Run(name, func(t *testing.T) {
			log, out := testLog()
			o, err := newOutputInstance("fortiems_es.0", func(k string) string { return c.set[k] }, log)
			got := option.Errors(err)
			if len(got) != len(c.want) || (o == nil) != (len(c.want) > 0) {
				t.Fatalf("got %v, %v", o, err)
			}
			for i, part := range c.want {
				if !strings.Contains(got[i].Error(), part) {
					t.Errorf("got %q, want %q in it", got[i], part)
				}
			}
			if o != nil {
				o.close()
				if out.count("version "+buildVersion()+", hosts=") != 1 || out.count("delivered 0 of 0 chunks") != 1 {
					t.Errorf("log %q", out.text)
				}
			}
		})
	}
}

func TestSecretsAreNotLoggedAtTheStart(t *testing.T) {
	log, out := testLog()
	set := map[string]string{"username": "u", "password": "s3cr3t"}
	o, err := newOutputInstance("x", func(k string) string { return set[k] }, log)
	if err != nil {
		t.Fatal(err)
	}
	o.close()
	if out.count("s3cr3t") != 0 || out.count("password=(set)") != 1 {
		t.Errorf("log %q", out.text)
	}
}

func TestFlushAnswersOfTheOutput(t *testing.T) {
	log, lines := testLog()
	f := &fakeShipper{flush: func(tag string, chunk []byte) esbulk.Result {
		switch {
		case tag != "":
			t.Errorf("tag %q", tag)
		case len(chunk) == 1:
			return esbulk.OK
		case len(chunk) == 2:
			return esbulk.Retry
		case len(chunk) == 3:
			panic("secret payload")
		}
		return esbulk.Result(chunk[4:][len(chunk)]) // a bounds error of the runtime
	}}
	handle := cgo.NewHandle(&outputInstance{log: log, ship: f})
	data := []byte("chunk")
	for n, want := range map[int]int{1: 1, 2: 2, 3: 2, 4: 2} {
		if got := ftntOutputFlush(_Ctype_uintptr_t(handle), unsafe.Pointer(&data[0]), _Ctype_size_t(n), nil); int(got) != want {
			t.Errorf("%d bytes: got %d, want %d", n, got, want)
		}
	}
	if ftntOutputExit(_Ctype_uintptr_t(handle)) != 1 || f.closed != 1 || lines.count("summary") != 1 {
		t.Errorf("closed %d times", f.closed)
	}
	if lines.count("internal error, chunk handed back: ") != 1 || lines.count("secret") != 0 {
		t.Errorf("log %q", lines.text)
	}
	if ftntOutputFlush(_Ctype_uintptr_t(handle), unsafe.Pointer(&data[0]), 1, nil) != 2 {
		t.Error("an ended instance takes a chunk")
	}
}

// An empty chunk is done at once; many at the same time do not disturb each other.
func TestOutputsDeliver(t *testing.T) {
	es := fakees.New()
	defer es.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	free.Close()
	set := map[string]string{"hosts": es.URL, "bootstrap": "off", "product": "elasticsearch", "metrics_listen": addr}
	log, lines := testLog()
	o, err := newOutputInstance("es.7", func(k string) string { return set[k] }, log)
	if err != nil {
		t.Fatal(err)
	}
	defer o.close()
	if !o.flush("tag", nil) {
		t.Errorf("log %q", lines.text)
	}
	chunk := []byte{0x92, 0x92, 0x01, 0x80, 0x81, 0xa1, 'a', 0x01}
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			if !o.flush(string(rune('a'+i)), chunk) {
				t.Error("not delivered")
			}
		})
	}
	wg.Wait()
	if n := len(es.Stored("logs-fortinet.fortiems-default")); n != 10 || len(es.Faults()) > 0 {
		t.Errorf("%d documents, %q", n, es.Faults())
	}
	if !o.flush("a", chunk) { // the same once more
		t.Error("not delivered")
	}
	response, err := http.Get("http://" + addr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`fortiems_output_documents_total{name="es.7",result="stored"} 10`,
		`fortiems_output_documents_total{name="es.7",result="duplicate"} 1`,
		`fortiems_output_bulk_requests_total{name="es.7",status="2xx"} 11`,
		`fortiems_output_flushes_total{name="es.7",result="ok"} 12`,
		`fortiems_output_flushes_in_flight{name="es.7"} 0`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
}

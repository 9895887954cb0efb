package docs

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/tinylib/msgp/msgp"

	"fluent-bit-fortiems/plugin/esbulk"
	"fluent-bit-fortiems/plugin/eshttp"
	"fluent-bit-fortiems/plugin/event"
	"fluent-bit-fortiems/plugin/option"
	"fluent-bit-fortiems/test/fakees"
)

// TestReplayOfDeadLetters runs the documented command on a file that the output
// wrote: the documents come to their targets with their ids, once.
func TestReplayOfDeadLetters(t *testing.T) {
	for _, tool := range []string{"sh", "jq", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("not run: replay of dead letters (needs " + tool + ")")
		}
	}
	command := marked(t, "replay")
	es := fakees.New()
	defer es.Close()
	es.Answer(func(*fakees.Doc) *fakees.Item {
		return &fakees.Item{Status: 400, Type: "strict_dynamic_mapping_exception"}
	})
	path := filepath.Join(t.TempDir(), "dead.ndjson")
	config, err := option.ParseOutput(func(key string) string {
		return map[string]string{"hosts": es.URL, "dead_letter": "file:" + path}[key]
	})
	if err != nil {
		t.Fatal(err)
	}
	client, err := eshttp.New(&config, "replay")
	if err != nil {
		t.Fatal(err)
	}
	s, err := esbulk.New(esbulk.Options{Config: config, Client: client})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var chunk []byte
	for i := range 3 {
		chunk = append(event.AppendTime(append(chunk, 0x92, 0x92), 1727821050, int32(i)), 0x80, 0x81)
		chunk = msgp.AppendString(chunk, "large")
		chunk = msgp.AppendUint64(chunk, 1<<63+uint64(i)) // jq would round it
	}
	chunk = append(event.AppendTime(append(chunk, 0x92, 0x92), 1, 0), 0x80, 0xa1, 'x') // no map: stays a letter
	if s.Flush(context.Background(), "tag", chunk) != esbulk.OK {
		t.Fatal("not delivered")
	}
	es.Answer(nil) // mended
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for range 2 {
		cmd := exec.CommandContext(ctx, "sh", "-c", command)
		cmd.Env = append(os.Environ(), "DEAD="+path, "ES="+es.URL)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	docs, requests := es.Stored("logs-fortinet.fortiems-default"), es.Requests()
	if len(docs) != 3 || len(requests) != 3 || len(es.Faults()) > 0 {
		t.Fatalf("%d documents, %d requests, %q", len(docs), len(requests), es.Faults())
	}
	for i, d := range docs {
		if first := requests[0].Docs[i]; d.ID != first.ID || string(d.Source) != string(first.Source) {
			t.Errorf("got %s %s, want %s %s", d.ID, d.Source, first.ID, first.Source)
		}
	}
}

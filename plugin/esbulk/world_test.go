package esbulk

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fluent-bit-fortiems/test/fakees"
)

// TestDeadLetterOnAFullDisk puts /dev/full, on which every write fails with ENOSPC,
// in the place of an open file of dead letters.
func TestDeadLetterOnAFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		t.Skip("not run: needs /dev/full, which Linux has:", err)
	}
	full.Close()
	es := fake(t)
	es.Answer(func(d *fakees.Doc) *fakees.Item {
		if strings.Contains(string(d.Source), `"line 1"`) {
			return &fakees.Item{Status: 400}
		}
		return nil
	})
	path := filepath.Join(t.TempDir(), "dead.ndjson")
	s, log := shipper(t, map[string]string{"hosts": es.URL, "dead_letter": "file:" + path})
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/full", path); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if s.Flush(context.Background(), "tag", chunkOf(3)) != Retry {
			t.Error("OK, but the dead letter is nowhere")
		}
	}
	if log.count("no space left on device") != 1 || log.count("cannot write dead letters") != 1 {
		t.Errorf("log %q", log.all())
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if s.Flush(context.Background(), "tag", chunkOf(3)) != OK {
		t.Fatalf("still handed back when the disk has room: %q", log.all())
	}
	if n := len(es.Stored(stream)); n != 2 {
		t.Errorf("%d documents are stored, not 2", n)
	}
	if b, err := os.ReadFile(path); err != nil || strings.Count(string(b), "\n") != 1 || !strings.Contains(string(b), "line 1") {
		t.Errorf("dead letters %q, %v", b, err)
	}
}

// TestDeadLetterInADirectoryThatIsNotOurs has no permission to make the file.
func TestDeadLetterInADirectoryThatIsNotOurs(t *testing.T) {
	if os.Geteuid() == 0 {
		// Nothing is forbidden to root in a directory of its own; procfs refuses everyone.
		_, err := openFileSink("/proc/dead.ndjson", maxDeadLetterFile)
		if err == nil || !strings.Contains(err.Error(), "/proc/dead.ndjson") {
			t.Errorf("error %v", err)
		}
		return
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "dead.ndjson")
	if _, err := openFileSink(path, maxDeadLetterFile); !os.IsPermission(err) || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v", err)
	}
}

// TestNameThatDoesNotResolve uses a label of more than 63 bytes: no resolver asks a
// server for it.
func TestNameThatDoesNotResolve(t *testing.T) {
	bad := "http://" + strings.Repeat("x", 64) + ".invalid:9200"
	alone, log := shipper(t, map[string]string{"hosts": bad})
	for range 3 {
		if alone.Flush(context.Background(), "tag", chunkOf(3)) != Retry {
			t.Error("OK without a server")
		}
	}
	if log.count("the name cannot be resolved") != 1 || len(log.all()) != 1 {
		t.Errorf("log %q", log.all())
	}
	es := fake(t)
	s, log := shipper(t, map[string]string{"hosts": bad + ", " + es.URL})
	for i := range 5 {
		if s.Flush(context.Background(), fmt.Sprint(i), chunkOf(3)) != OK {
			t.Fatalf("log %q", log.all())
		}
	}
	if n := len(es.Stored(stream)); n != 15 {
		t.Errorf("%d documents are stored, not 15", n)
	}
}

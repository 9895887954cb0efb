package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"fluent-bit-fortiems/test/rig"
	"fluent-bit-fortiems/test/servers"
)

// TestFluentBitOnAFullDisk fills the disk of Fluent Bit's buffers while the server is
// down. Fluent Bit then drops new lines and logs it. Lines accepted before are stored,
// nothing is stored twice, and once the server is back and the disk has room, all new
// lines are stored.
func TestFluentBitOnAFullDisk(t *testing.T) {
	binary := rig.FluentBit(t)
	storage := t.TempDir()
	if os.Geteuid() != 0 {
		t.Skip("not run: a full disk for Fluent Bit needs root, to mount a small one")
	}
	if err := syscall.Mount("none", storage, "tmpfs", 0, "size=2m"); err != nil {
		t.Skip("not run: a full disk for Fluent Bit needs the right to mount one:", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(storage, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	s := start(t)
	if err := s.Stop(); err != nil {
		t.Log(err) // its exit status does not matter here
	}
	a := startFluentBit(t, binary, s.URL(), storage, "")
	const batch = 500
	full := func() bool { return strings.Contains(a.log.String(), "No space left on device") }
	sent, buffered := 0, 0
	for ; !full() && sent < 100_000; sent += batch {
		buffered = sent
		a.send(t, sent, sent+batch) // returns when Fluent Bit has counted them
	}
	if !full() {
		t.Fatalf("the disk is not full after %d lines", sent)
	}
	a.send(t, sent, sent+5000) // onto the full disk
	onFull := sent + 5000
	if n := strings.Count(a.log.String(), "chunk handed back"); n == 0 || n > 3 {
		t.Errorf("the output logs %d times that the server cannot be reached", n)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	// A chunk of which no record could be written stays as an empty file.
	until(t, "what is on the disk is delivered", func() bool { return s.Count(t, stream, "") > 0 && chunkBytes(storage) == 0 })
	sent = onFull + 3000
	a.send(t, onFull, sent)
	until(t, "new lines are delivered", func() bool { return s.Count(t, stream, "") >= buffered+3000 && chunkBytes(storage) == 0 })
	checkFull(t, s, buffered, onFull, sent)
}

// chunkBytes is the size of the chunks in storage without their first page.
func chunkBytes(storage string) (n int64) {
	chunks, _ := filepath.Glob(filepath.Join(storage, "*", "*.flb")) // the pattern is valid
	for _, c := range chunks {
		if st, err := os.Stat(c); err == nil {
			n += max(0, st.Size()-4096)
		}
	}
	return n
}

// checkFull checks that each line is stored at most once, and all except those that
// arrived while the disk was full.
func checkFull(t *testing.T, s *servers.Server, buffered, onFull, sent int) {
	t.Helper()
	seen := numbers(t, s, stream)
	twice, lost, dropped := 0, 0, 0
	for i := range sent {
		switch n := seen[fmt.Sprintf("n%06d", i)]; {
		case n > 1:
			twice++
		case n == 0 && i >= buffered && i < onFull:
			dropped++
		case n == 0:
			lost++
		}
	}
	t.Logf("%d lines sent; stored %d; dropped by Fluent Bit on its full disk %d; lost otherwise %d; more than once %d", sent, len(seen), dropped, lost, twice)
	if twice > 0 || lost > 0 {
		t.Error("lines are lost or stored twice")
	}
	if dropped == 0 {
		t.Error("the disk was not full: nothing is tested")
	}
	if d := s.Count(t, dead, ""); d != 0 {
		t.Errorf("%d dead letters", d)
	}
}

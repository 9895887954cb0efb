package abi_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"fluent-bit-fortiems/test/rig"
)

// TestSecondPassOverTheCorpus sends the corpus through one and through two instances of the
// object: the second one changes nothing.
func TestSecondPassOverTheCorpus(t *testing.T) {
	rig.Build(t)
	in := corpusFile(t)
	for _, schema := range []string{"ecs", "flat"} {
		for _, unmatched := range []string{"pass", "mark"} {
			t.Run(schema+" "+unmatched, func(t *testing.T) {
				var dumps [2][]byte
				for i, more := range [][]string{nil, {"--chain", "--instances", "2"}} {
					dump := filepath.Join(t.TempDir(), "chunks")
					args := append([]string{"--key", "message", "--input", in, "--time", "1733392800.123456789", "--quiet", "--dump-chunk", dump,
						"--filter-prop", "schema=" + schema, "--filter-prop", "unmatched=" + unmatched}, more...)
					p := withHost(t, "", args...).wantCode(t, 0)
					if i == 1 {
						p.wantLog(t, " already filtered")
					}
					text, err := os.ReadFile(dump)
					if err != nil || len(text) == 0 {
						t.Fatalf("%d bytes, %v", len(text), err)
					}
					dumps[i] = text
				}
				if !bytes.Equal(dumps[0], dumps[1]) {
					t.Error("the second instance changed records")
				}
			})
		}
	}
}

package input

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// TestLinesInAnyPieces: numbers and texts do not depend on how the text arrives.
func TestLinesInAnyPieces(t *testing.T) {
	long := strings.Repeat("x", 3*blockSize)
	text := "a\n\nb\r\n" + long + "\nlast"
	for name, in := range map[string]io.Reader{
		"whole": strings.NewReader(text), "byte by byte": iotest.OneByteReader(strings.NewReader(text)), "halves": iotest.HalfReader(strings.NewReader(text)),
		"data with the end": iotest.DataErrReader(strings.NewReader(text)),
	} {
		if name == "byte by byte" {
			in = iotest.OneByteReader(strings.NewReader(strings.ReplaceAll(text, long, "long")))
		}
		var got []string
		r := &Reader{Stdin: in}
		err := r.Lines(context.Background(), nil, func(file string, n int, line []byte) error {
			if file != "-" || n != len(got)+1 {
				t.Errorf("%s: line %d of %s", name, n, file)
			}
			got = append(got, strings.ReplaceAll(string(line), long, "long"))
			return nil
		})
		if err != nil || strings.Join(got, "|") != "a||b|long|last" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestEndsEarly(t *testing.T) {
	r := &Reader{Stdin: io.LimitReader(zeros{}, MaxLine+2*blockSize)}
	if err := r.Lines(context.Background(), nil, func(string, int, []byte) error { return nil }); err == nil || !strings.Contains(err.Error(), "-:1: the line is longer than 64 MiB") {
		t.Error(err)
	}
	stop := errors.New("stop")
	r = &Reader{Stdin: strings.NewReader("a\nb\n")}
	if err := r.Lines(context.Background(), nil, func(string, int, []byte) error { return stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
	r = &Reader{Stdin: iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("a\nb\n")))}
	if err := r.Lines(context.Background(), nil, func(string, int, []byte) error { return nil }); !errors.Is(err, iotest.ErrTimeout) {
		t.Error(err)
	}
}

// zeros reads as zeros without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// Package input reads lines from files, from standard input ("-") and from gzip.
package input

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"sync/atomic"
)

// MaxLine is the length, in bytes, of the longest line that is read.
const MaxLine = 64 << 20

const blockSize = 256 << 10

// Block is whole lines of one file. The text is the receiver's.
type Block struct {
	File string // as it was named
	Line int    // number of the first line, from 1
	Text []byte
}

// Lines returns the lines of the block, without their line breaks, by number.
func (b Block) Lines() iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		n := b.Line
		for line := range bytes.Lines(b.Text) {
			line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
			if !yield(n, line) {
				return
			}
			n++
		}
	}
}

// Reader reads files. Stdin is what "-" means.
type Reader struct {
	Stdin io.Reader
	// Read and Total are the bytes that were read of the files and that they have; Total
	// is 0 if that is not known. Both may be read while Blocks runs.
	Read, Total atomic.Int64
}

// Blocks calls f for the blocks of the files in their order; no names mean "-". What a
// terminal or a pipe delivers becomes a block at once. It returns the first error of f, or
// one that names the file.
func (r *Reader) Blocks(ctx context.Context, names []string, f func(Block) error) error {
	if len(names) == 0 {
		names = []string{"-"}
	}
	r.Total.Store(total(names))
	for _, name := range names {
		if err := r.file(ctx, name, f); err != nil {
			return err
		}
	}
	return nil
}

// Lines is Blocks line by line. The line is valid during the call.
func (r *Reader) Lines(ctx context.Context, names []string, f func(file string, n int, line []byte) error) error {
	return r.Blocks(ctx, names, func(b Block) error {
		for n, line := range b.Lines() {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := f(b.File, n, line); err != nil {
				return err
			}
		}
		return nil
	})
}

// total returns the size of the files, 0 if one of them has none.
func total(names []string) (sum int64) {
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil || !info.Mode().IsRegular() {
			return 0
		}
		sum += info.Size()
	}
	return sum
}

// countingReader counts what is read of a file, compressed or not.
type countingReader struct {
	io.Reader
	n *atomic.Int64
}

func (c countingReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

func (r *Reader) file(ctx context.Context, name string, f func(Block) error) error {
	var file io.Reader = r.Stdin
	if name != "-" {
		opened, err := os.Open(name)
		if err != nil {
			return err
		}
		defer opened.Close()
		file, err = regular(opened, name)
		if err != nil {
			return err
		}
	}
	counted := countingReader{file, &r.Read}
	head := bufio.NewReaderSize(counted, 16)
	var text io.Reader = head
	magic, err := head.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: %w", name, err)
	}
	if string(magic) == "\x1f\x8b" {
		z, err := gzip.NewReader(bufio.NewReaderSize(head, blockSize))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		defer z.Close()
		text = z
	}
	err = blocks(ctx, name, text, f)
	if errors.Is(err, gzip.ErrChecksum) || errors.Is(err, gzip.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%s: damaged gzip file: %w", name, err)
	}
	return err
}

func regular(f *os.File, name string) (io.Reader, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s is a folder: name the files in it", name)
	}
	return f, nil
}

// blocks cuts text into blocks.
func blocks(ctx context.Context, name string, text io.Reader, f func(Block) error) error {
	line := 1
	var rest []byte // the beginning of a line
	send := func(b []byte) error {
		n := bytes.Count(b, []byte("\n"))
		at := line
		line += n
		return f(Block{name, at, b})
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		buf := make([]byte, len(rest), len(rest)+max(blockSize, len(rest)))
		copy(buf, rest)
		n, err := text.Read(buf[len(rest):cap(buf)])
		buf = buf[:len(rest)+n]
		rest = buf
		if i := bytes.LastIndexByte(buf[len(buf)-n:], '\n'); i >= 0 {
			end := len(buf) - n + i + 1
			rest = buf[end:]
			if err := send(buf[:end:end]); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			if len(rest) == 0 {
				return nil
			}
			return send(rest)
		case err != nil:
			return err
		case len(rest) > MaxLine:
			return fmt.Errorf("%s:%d: the line is longer than %d MiB: is this a log file?", name, line, MaxLine>>20)
		}
	}
}

// Package scan parses the lines of files with several workers.
package scan

import (
	"bytes"
	"context"
	"sync"

	"fluent-bit-fortiems/parser"
	"fluent-bit-fortiems/parser/ecs"
	"fluent-bit-fortiems/plugin/cmd/fortiems/input"
)

// Line is a line that was parsed. All of it is valid during the call that it is given to.
type Line struct {
	File    string
	N       int // in the file, from 1
	Text    []byte
	Matched bool // it belongs to FortiEMS; if not, only Event.Line is valid
	Event   *parser.Event
}

// batch is how many lines are parsed together, see [parser.Parser.ParseAll].
const batch = 16

// Run calls a visitor for each line that is not empty. Each visitor runs in a goroutine of
// its own and sees a part of the lines. received is the time of receipt of every line.
func Run(ctx context.Context, r *input.Reader, names []string, p *parser.Parser, received ecs.Instant, visitors []func(*Line)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	blocks := make(chan input.Block, len(visitors))
	var workers sync.WaitGroup
	for _, visit := range visitors {
		workers.Go(func() {
			w := worker{parser: p, received: received, visit: visit}
			for b := range blocks {
				w.block(&b)
			}
		})
	}
	err := r.Blocks(ctx, names, func(b input.Block) error {
		select {
		case blocks <- b:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	close(blocks)
	workers.Wait()
	return err
}

type worker struct {
	parser   *parser.Parser
	received ecs.Instant
	visit    func(*Line)

	events  [batch]parser.Event
	lines   [batch]parser.Line
	numbers [batch]int
	n       int
}

func (w *worker) block(b *input.Block) {
	for number, text := range b.Lines() {
		if len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		w.lines[w.n] = parser.Line{Text: text, Received: w.received, Event: &w.events[w.n]}
		w.numbers[w.n] = number
		if w.n++; w.n == batch {
			w.flush(b.File)
		}
	}
	w.flush(b.File)
}

func (w *worker) flush(file string) {
	w.parser.ParseAll(w.lines[:w.n])
	for i := range w.n {
		l := &w.lines[i]
		w.visit(&Line{File: file, N: w.numbers[i], Text: l.Text, Matched: l.Matched, Event: l.Event})
	}
	w.n = 0
}

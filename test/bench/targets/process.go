package main

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/ugorji/go/codec"
	"golang.org/x/sys/unix"

	"fluent-bit-fortiems/parser/rule"
	"fluent-bit-fortiems/plugin/count"
	"fluent-bit-fortiems/plugin/enrich"
	"fluent-bit-fortiems/test/bench"
)

const (
	chunkEvents = 1200 // a multiple of the lines of every case
	// Many short rounds, so that some run without other load on the same CPU.
	rounds    = 200
	roundTime = 10 * time.Millisecond
)

// work is one thing to measure.
type work struct {
	run    func() error
	chunk  []byte
	events int
	times  int // runs per round
}

// threadTime is the CPU time of this thread. Unlike wall time it does not grow when other
// programs use the CPU.
func threadTime() (time.Duration, error) {
	// Not getrusage: its resolution is a kernel tick, 1 to 10 ms.
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		return 0, err
	}
	return time.Duration(t.Nano()), nil
}

// round measures one round of w and returns the time per event. One run before it fills
// the CPU caches.
func (w *work) round() (perEvent time.Duration, err error) {
	if err := w.run(); err != nil {
		return 0, err
	}
	start, err := threadTime()
	if err != nil {
		return 0, err
	}
	for range w.times {
		if err := w.run(); err != nil {
			return 0, err
		}
	}
	end, err := threadTime()
	return (end - start) / time.Duration(w.events*w.times), err
}

// timing is nanoseconds per event: of the median round, and of the fastest one, which is
// the cost without other load.
type timing struct{ median, fastest float64 }

// compare measures each of list in rounds that are run in turns, so that a slow phase
// affects all alike.
func compare(list ...*work) ([]timing, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for _, w := range list {
		if err := w.run(); err != nil { // allocates the memory that later runs reuse
			return nil, err
		}
		w.times = 1
		start := time.Now()
		if err := w.run(); err != nil {
			return nil, err
		}
		w.times = max(1, int(roundTime/max(1, time.Since(start))))
	}
	took := make([][]time.Duration, len(list))
	for range rounds {
		for i, w := range list {
			d, err := w.round()
			if err != nil {
				return nil, err
			}
			took[i] = append(took[i], d)
		}
	}
	out := make([]timing, len(list))
	for i := range took {
		out[i] = timing{float64(bench.Median(took[i]).Nanoseconds()), float64(slices.Min(took[i]).Nanoseconds())}
	}
	return out, nil
}

// enriching is the filter over a chunk.
func enriching(chunk []byte, events int, rules *rule.Rules) *work {
	e := enrich.New(enrich.Options{EventTime: true, Rules: rules})
	var out []byte
	return &work{chunk: chunk, events: events, run: func() error {
		var st enrich.Stats
		var err error
		out, st, err = e.Run(out[:0], chunk)
		if err == nil && st.Counts[count.Records] != uint64(events) {
			err = fmt.Errorf("%d records, want %d", st.Counts[count.Records], events)
		}
		return err
	}}
}

func enrichingCase(name string) (*work, error) {
	c, err := bench.Find(name)
	if err != nil {
		return nil, err
	}
	chunk, err := c.Chunk(".", chunkEvents)
	if err != nil {
		return nil, err
	}
	rules, err := userRules(c.UserRules)
	if err != nil {
		return nil, err
	}
	return enriching(chunk, chunkEvents, rules), nil
}

// userRules loads n user rules.
func userRules(n int) (rules *rule.Rules, err error) {
	err = bench.WithUserRules(n, func(file string) error {
		rules, err = rule.Load(file)
		return err
	})
	return rules, err
}

// decoding is what Go plugins usually do first, and that alone: the chunk into maps.
// It shows the current speed of the machine.
func decoding() (*work, error) {
	c, err := bench.Find("ems")
	if err != nil {
		return nil, err
	}
	chunk, err := c.Chunk(".", chunkEvents)
	if err != nil {
		return nil, err
	}
	h := &codec.MsgpackHandle{}
	return &work{events: chunkEvents, run: func() error {
		d := codec.NewDecoderBytes(chunk, h)
		for range chunkEvents {
			var v any
			if err := d.Decode(&v); err != nil {
				return err
			}
		}
		return nil
	}}, nil
}

// copying only copies the bytes of a chunk and of its result: a filter that writes the
// same records cannot be faster.
func copying(chunk []byte) (w *work, in, out int, err error) {
	made, st, err := enrich.New(enrich.Options{EventTime: true}).Run(nil, chunk)
	if err != nil {
		return nil, 0, 0, err
	}
	events := int(st.Counts[count.Records])
	to := make([]byte, len(chunk)+len(made))
	return &work{events: events, run: func() error {
		copy(to[copy(to, chunk):], made)
		return nil
	}}, len(chunk) / events, len(made) / events, nil
}

// allocations returns the number of allocations per event.
func allocations(w *work) (float64, error) {
	const times = 20
	var before, after runtime.MemStats
	if err := w.run(); err != nil { // allocates scratch memory
		return 0, err
	}
	runtime.ReadMemStats(&before)
	for range times {
		if err := w.run(); err != nil {
			return 0, err
		}
	}
	runtime.ReadMemStats(&after)
	return float64((after.Mallocs-before.Mallocs)/times) / float64(w.events), nil
}

// growth is the factor by which the cost per unit may grow with many units and still
// count as linear: caches are limited.
const growth = 1.3

// inProcess measures the filter without Fluent Bit.
func inProcess() ([]row, error) {
	var works []*work
	var errs []error
	for _, name := range []string{"ems", "forticlient", "no-key", "ems-rules", "forticlient-rules", "mixed"} {
		w, err := enrichingCase(name)
		works, errs = append(works, w), append(errs, err)
	}
	decode, err := decoding()
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, err
	}
	move, in, out, err := copying(works[0].chunk)
	if err != nil {
		return nil, err
	}
	took, err := compare(append(works, decode, move)...)
	if err != nil {
		return nil, err
	}
	fmt.Printf("in process, one core, ns per event, median of %d rounds and the fastest:\n", rounds)
	for i, name := range []string{"EMS line", "FortiClient line", "without the raw key", "EMS line, 100 rules of a user", "FortiClient line, 100 rules of a user",
		"twelve lines in turn", "for the speed of the machine, ugorji/go/codec decodes the EMS line into maps",
		fmt.Sprintf("the limit, copying the %d bytes of the EMS line's event and the %d of its record", in, out)} {
		fmt.Printf("  %s: %.0f, %.0f\n", name, took[i].median, took[i].fastest)
	}
	ems, forticlient, noKey := took[0].median, took[1].median, took[2].median
	allocated := 0.0
	for _, w := range works[:3] {
		n, err := allocations(w)
		if err != nil {
			return nil, err
		}
		allocated = max(allocated, n)
	}
	lines, err := growthInLines()
	if err != nil {
		return nil, err
	}
	pairs, err := growthInLength(true)
	if err != nil {
		return nil, err
	}
	message, err := growthInLength(false)
	if err != nil {
		return nil, err
	}
	return []row{
		atMost("in process, EMS line of 358 bytes, fastest round", " µs", took[0].fastest/1e3, 1),
		atMost("in process, EMS line of 358 bytes", " µs", ems/1e3, 0.6),
		atMost("in process, FortiClient traffic line of 911 bytes", " µs", forticlient/1e3, 1.4),
		atMost("allocations per event", "", allocated, 0),
		atMost("record without the raw key", " µs", noKey/1e3, 0.1),
		atMost("per line: chunk of 10 000 lines, of one of 100", " ×", lines, growth),
		atMost("per byte: line of 64 KiB of pairs, of one of 4 KiB", " ×", pairs, growth),
		atMost("per byte: line with a message of 64 KiB, of one of 4 KiB", " ×", message, growth),
		atMost("100 rules of a user, EMS line", " ×", took[3].median/ems, 1.3),
		atMost("100 rules of a user, FortiClient line", " ×", took[4].median/forticlient, 1.3),
	}, nil
}

func growthInLines() (float64, error) {
	c, err := bench.Find("ems")
	if err != nil {
		return 0, err
	}
	var list []*work
	for _, n := range []int{100, 10_000} {
		chunk, err := c.Chunk(".", n)
		if err != nil {
			return 0, err
		}
		list = append(list, enriching(chunk, n, nil))
	}
	took, err := compare(list...)
	if err != nil {
		return 0, err
	}
	return took[1].median / took[0].median, nil
}

// growthInLength returns the cost per byte of a 64 KiB line relative to a 4 KiB line.
func growthInLength(pairs bool) (float64, error) {
	var list []*work
	var sizes []float64
	for _, size := range []int{4 << 10, 64 << 10} {
		line := bench.LongLine(size, pairs)
		chunk := bytes.Repeat(bench.AppendEvent(nil, "log", line), 10)
		list, sizes = append(list, enriching(chunk, 10, nil)), append(sizes, float64(len(line)))
	}
	took, err := compare(list...)
	if err != nil {
		return 0, err
	}
	return took[1].median / sizes[1] / (took[0].median / sizes[0]), nil
}

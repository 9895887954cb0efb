package soak_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	growth    = 1.05 // of the resident memory, at most
	minRounds = 4    // fewer show no trend
)

// resident is a sample of the memory of a process, in kB, from the kernel.
type resident struct{ total, anonymous, peak int }

func sample(pid int) (r resident, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for l := range strings.Lines(string(text)) {
		fmt.Sscanf(l, "VmRSS: %d", &r.total)
		fmt.Sscanf(l, "RssAnon: %d", &r.anonymous)
		fmt.Sscanf(l, "VmHWM: %d", &r.peak)
	}
	return r, err
}

// watch samples the memory of a process twice a second. It keeps, by round, the samples
// of the calm: the time without faults and without a backlog.
type watch struct {
	mu    sync.Mutex
	calm  bool
	calms [][]resident
	peak  int

	cancel context.CancelFunc
	done   chan struct{}
}

func startWatch(pid int) *watch {
	ctx, cancel := context.WithCancel(context.Background())
	w := &watch{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(w.done)
		for ctx.Err() == nil {
			pause(ctx, 500*time.Millisecond)
			r, err := sample(pid)
			if err != nil || r.total == 0 {
				continue // it has ended
			}
			w.mu.Lock()
			w.peak = max(w.peak, r.peak)
			if w.calm {
				w.calms[len(w.calms)-1] = append(w.calms[len(w.calms)-1], r)
			}
			w.mu.Unlock()
		}
	}()
	return w
}

// setCalm begins or ends the calm of a round.
func (w *watch) setCalm(calm bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.calm = calm; calm {
		w.calms = append(w.calms, nil)
	}
}

func (w *watch) stop() *watch {
	w.cancel()
	<-w.done
	return w
}

// median returns the median of one figure of the samples, in MB.
func median(samples []resident, of func(resident) int) float64 {
	list := make([]int, 0, len(samples))
	for _, r := range samples {
		list = append(list, of(r))
	}
	slices.Sort(list)
	return float64(list[len(list)/2]) / 1024
}

// judgeMemory compares the calms of the rounds. The first round is the warm-up: every fault
// happens for the first time, and connections, buffers and heap are allocated. In the other
// rounds the median of the later half must be at most 5 % above that of the earlier half.
func judgeMemory(t *testing.T, w *watch) {
	t.Helper()
	total := func(r resident) int { return r.total }
	for i, samples := range w.calms {
		if len(samples) == 0 {
			t.Fatalf("round %d has no calm", i+1)
		}
		t.Logf("resident memory in the calm of round %d: %.1f MB, of which anonymous %.1f MB (%d samples)", i+1,
			median(samples, total), median(samples, func(r resident) int { return r.anonymous }), len(samples))
	}
	t.Logf("resident memory at its peak: %.1f MB", float64(w.peak)/1024)
	if len(w.calms) < minRounds {
		t.Logf("memory growth is not judged: %d rounds, at least %d are needed", len(w.calms), minRounds)
		return
	}
	warm := w.calms[1:]
	half := len(warm) / 2
	early, late := median(slices.Concat(warm[:half]...), total), median(slices.Concat(warm[len(warm)-half:]...), total)
	t.Logf("resident memory, rounds 2 to %d against the last %d: %.1f MB, %.1f MB, %+.1f %%", half+1, half, early, late, 100*(late/early-1))
	if late > early*growth {
		t.Errorf("resident memory grows from %.1f to %.1f MB", early, late)
	}
}

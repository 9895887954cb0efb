package bench

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"
)

// Usage is the resource usage of a process.
type Usage struct {
	CPU      time.Duration // user and system
	Resident int64         // highest sampled resident memory, bytes
	Log      []byte        // standard error
}

// Finish runs cmd to its end. watch, unless it is nil, is called repeatedly with
// the current resident memory. (The maximum from the kernel is useless here: it includes
// the memory of the process that started cmd.)
func Finish(cmd *exec.Cmd, watch func(resident int64)) (u Usage, err error) {
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		return u, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for running := true; running; {
		select {
		case err = <-ended:
			running = false
		case <-tick.C:
			n := resident(cmd.Process.Pid)
			u.Resident = max(u.Resident, n)
			if n > 0 && watch != nil {
				watch(n)
			}
		}
	}
	if err != nil {
		return u, fmt.Errorf("%w\n%s", err, log.String())
	}
	if bytes.Contains(log.Bytes(), []byte("[error]")) {
		return u, errors.New(log.String())
	}
	u.CPU, u.Log = cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime(), log.Bytes()
	return u, nil
}

// resident returns the resident memory of a process in bytes, 0 when it has ended.
func resident(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	fields := bytes.Fields(text)
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// MedianCPU returns the median CPU time of several runs.
func MedianCPU(runs []Usage) time.Duration {
	all := make([]time.Duration, len(runs))
	for i, u := range runs {
		all[i] = u.CPU
	}
	return Median(all)
}

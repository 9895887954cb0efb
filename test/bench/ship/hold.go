package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

// patience bounds the wait for the last line to be read.
const patience = 5 * time.Minute

// hold measures the resources that Fluent Bit holds with the settings of conf/fluent-bit-elasticsearch.yaml:
// the most memory of the process while it ships and while the server is away, and the
// disk space of the chunks that wait for it.
func hold(program, dir, port string, lines int) error {
	away, err := freePort()
	if err != nil {
		return err
	}
	fmt.Printf("\n%d lines of the corpus, chunks on disk, output fortiems_es\n\n", lines)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "server\tmemory MB\tdisk bytes/record\t\n")
	for _, v := range []struct{ name, port string }{{"answers", port}, {"away", away}} {
		memory, disk, err := holdRun(program, dir, v.port, lines, v.port == away)
		if err != nil {
			return fmt.Errorf("server %s: %w", v.name, err)
		}
		perRecord := "-"
		if disk > 0 {
			perRecord = fmt.Sprintf("%.0f", float64(disk)/float64(lines))
		}
		fmt.Fprintf(w, "%s\t%.0f\t%s\t\n", v.name, float64(memory)/1e6, perRecord)
	}
	return w.Flush()
}

// holdRun runs one pipeline until every line is read and, unless the server is away,
// delivered.
func holdRun(program, dir, port string, lines int, away bool) (memory, disk int64, err error) {
	metrics, err := freePort()
	if err != nil {
		return 0, 0, err
	}
	object, err := filepath.Abs("build/out/flb-filter_fortiems.so")
	if err != nil {
		return 0, 0, err
	}
	storage, err := os.MkdirTemp(dir, "storage")
	if err != nil {
		return 0, 0, err
	}
	conf := fmt.Sprintf(`service: {flush: 1, grace: 1, log_level: error, coro_stack_size: 131072, storage.path: %s, storage.sync: full, storage.backlog.mem_limit: 64M}
pipeline:
  inputs:
    - {name: tail, path: %s/input.log, key: message, read_from_head: on, buffer_chunk_size: 512k, buffer_max_size: 1m, storage.type: filesystem}
  filters:
    - {name: fortiems, match: '*', metrics_listen: '127.0.0.1:%s'}
  outputs:
    - {name: fortiems_es, match: '*', hosts: 'http://127.0.0.1:%s', bootstrap: off, product: elasticsearch, flush_timeout: 2s, metrics_listen: '127.0.0.1:%s', workers: 2, retry_limit: no_limits}
`, storage, dir, metrics, port, metrics)
	file := filepath.Join(dir, "hold.yaml")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		return 0, 0, err
	}
	cmd := exec.Command(program, "-e", object, "-e", filepath.Join(filepath.Dir(object), "out_fortiems_es.so"), "-c", file)
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	counter := `fortiems_output_documents_total{name="fortiems_es.0",result="stored"}`
	if away {
		counter = `fortiems_filter_records_total{name="fortiems.0"}`
	}
	err = awaitCounter("http://127.0.0.1:"+metrics+"/metrics", counter, lines, ended)
	if err == nil && away {
		disk, err = diskUse(storage)
	}
	if err == nil {
		memory, err = peakMemory(cmd.Process.Pid)
	}
	_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
	select {
	case <-ended:
	case <-time.After(time.Minute):
		err = errors.Join(err, errors.New("does not end"), cmd.Process.Kill())
		<-ended
	}
	return memory, disk, err
}

// peakMemory is the peak memory of a process, mapped chunks included. The value of
// getrusage starts at the size of the parent.
func peakMemory(pid int) (bytes int64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(string(text), "VmHWM:")
	if n, _ := fmt.Sscan(rest, &bytes); !ok || n != 1 {
		return 0, errors.New("no VmHWM in /proc")
	}
	return bytes * 1024, nil
}

// awaitCounter waits until a counter reaches want.
func awaitCounter(url, name string, want int, ended chan error) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			ended <- err
			return fmt.Errorf("ended by itself: %v", err)
		case <-ctx.Done():
			return fmt.Errorf("%s did not reach %d", name, want)
		case <-tick.C:
		}
		resp, err := http.Get(url)
		if err != nil {
			continue // not up yet
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(text), "\n"+name+" ")
		value, _, _ := strings.Cut(rest, "\n")
		if n, err := strconv.ParseFloat(value, 64); err == nil && int(n) == want {
			return nil
		}
	}
}

// diskUse is the disk space of the files below dir.
func diskUse(dir string) (bytes int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if s, ok := info.Sys().(*syscall.Stat_t); ok {
			bytes += s.Blocks * 512
		}
		return nil
	})
	if err == nil && bytes == 0 {
		err = errors.New("no chunks on disk")
	}
	return bytes, err
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

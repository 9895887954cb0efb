// Package servers starts real search servers from Maven Central for tests: one
// Java process each, on a free port of 127.0.0.1, with its own data
// directory. The class path is resolved once per version and kept in build/out.
//
// A server ends with Close. It also ends when the process that started it ends, in any
// way: it reads its standard input, which is a pipe from that process.
package servers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	startTimeout = 4 * time.Minute
	stopTimeout  = 30 * time.Second
)

// Options of a server. The zero value is a free port and default settings.
type Options struct {
	Dir      string    // home of the server, kept; "": a temporary one, removed by Close
	Port     int       // HTTP port; 0 means a free one, kept across restarts
	Settings []string  // of the server, as key=value
	Node     []string  // further settings, which Set keeps
	Plugins  []string  // zip files as opensearch-plugin takes them
	Security bool      // with the security plugin: HTTPS, users and roles (OpenSearch 2.19 only)
	Apart    bool      // in a group of its own, for CutOff; needs root
	Log      io.Writer // output of the server; nil keeps the last lines for errors

	transport int     // port between the nodes of a cluster
	access    *Access // of the cluster that the server belongs to; nil makes one where Security is set
}

// Server is a running server. Its methods are not for concurrent use, apart from URL.
type Server struct {
	kind     Kind
	opts     Options
	dir      string
	tempDir  bool
	launcher string // directory with the Java file and the modules
	path     string // class path
	java     jdk
	access   *Access // nil without the security plugin
	cmd      *exec.Cmd
	stdin    io.Closer
	done     chan error
	tail     *tail
}

// Start starts a server and waits until it answers. The caller closes it.
func Start(ctx context.Context, kind Kind, o Options) (*Server, error) {
	if _, known := recipes[kind]; !known {
		return nil, fmt.Errorf("there is no server %q; there are opensearch, opensearch3, elasticsearch and elasticsearch9", string(kind))
	}
	if o.Security && kind != OpenSearch {
		return nil, fmt.Errorf("the security plugin is for %s only", OpenSearch)
	}
	s := &Server{kind: kind, opts: o, dir: o.Dir, access: o.access}
	var err error
	if s.java, err = findJava(recipes[kind].java); err != nil {
		return nil, err
	}
	launcher, jars, err := resolve(ctx, kind)
	if err != nil {
		return nil, err
	}
	s.launcher, s.path = launcher, strings.Join(library(kind, jars), ":")
	if s.dir == "" {
		if s.dir, err = os.MkdirTemp("", string(kind)); err != nil {
			return nil, err
		}
		s.tempDir = true
	}
	err = s.install(ctx)
	if err == nil {
		err = s.Start(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// install lays out the home of the server: configuration, modules, plugins.
func (s *Server) install(ctx context.Context) error {
	for _, d := range []string{"config", "plugins"} {
		if err := os.MkdirAll(filepath.Join(s.dir, d), 0o755); err != nil {
			return err
		}
	}
	if err := link(filepath.Join(s.launcher, "modules"), filepath.Join(s.dir, "modules")); err != nil {
		return err
	}
	if s.opts.Security {
		if err := s.secure(ctx); err != nil {
			return err
		}
	}
	for _, file := range s.opts.Plugins {
		from, err := unpack(file)
		if err != nil {
			return err
		}
		if err := link(from, filepath.Join(s.dir, "plugins", filepath.Base(from))); err != nil {
			return err
		}
	}
	return nil
}

// link is os.Symlink that replaces a link of an earlier start.
func link(to, name string) error {
	os.Remove(name)
	return os.Symlink(to, name)
}

// URL is the address of the server, the same after a restart.
func (s *Server) URL() string {
	scheme := "http"
	if s.access != nil {
		scheme = "https"
	}
	return fmt.Sprintf("%s://127.0.0.1:%d", scheme, s.opts.Port)
}

// Access says how to log in to a server with the security plugin; nil for one without.
func (s *Server) Access() *Access { return s.access }

// Set replaces the settings for the next start.
func (s *Server) Set(settings ...string) { s.opts.Settings = settings }

// Start starts a stopped server again with its data and its port.
func (s *Server) Start(ctx context.Context) error {
	args := []string{
		"-Xms512m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-Dlog4j2.formatMsgNoLookups=true",
		"-Des.nativelibs.path=" + filepath.Join(s.launcher, "native"), "-Dorg.elasticsearch.nativeaccess.enableVectorLibrary=false", // Elasticsearch 9: zstd alone
		"-Dlog4j.configurationFile=" + filepath.Join(s.launcher, "log4j2.properties"),
		"-cp", s.path, filepath.Join(s.launcher, "Server.java"),
		s.dir, fmt.Sprint(s.opts.Port),
	}
	s.cmd = exec.Command(s.java.java, append(append(args, s.opts.Node...), s.opts.Settings...)...)
	s.cmd.Dir = s.dir
	// A separate process group, so that Ctrl-C on a terminal reaches only this process.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if s.opts.Apart {
		s.cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(os.Geteuid()), Gid: s.group()}
	}
	s.tail = &tail{also: s.opts.Log}
	s.cmd.Stderr = s.tail
	stdin, err := s.cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, w, err := os.Pipe()
	if err != nil {
		return err
	}
	s.cmd.Stdout = w
	s.stdin = stdin
	err = s.cmd.Start()
	w.Close()
	if err != nil {
		out.Close()
		return err
	}
	s.done = make(chan error, 1)
	go func() { s.done <- s.cmd.Wait() }()
	ready := make(chan int, 1)
	go s.readOutput(out, ready)
	return s.wait(ctx, ready)
}

// readOutput forwards the output of the server and extracts the port from it.
func (s *Server) readOutput(out io.ReadCloser, ready chan<- int) {
	defer out.Close()
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var port int
		if n, _ := fmt.Sscanf(lines.Text(), "ready %d", &port); n == 1 {
			ready <- port
			continue
		}
		fmt.Fprintln(s.tail, lines.Text())
	}
}

// wait returns when the server has printed its port and answers on it.
func (s *Server) wait(ctx context.Context, ready <-chan int) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	select {
	case s.opts.Port = <-ready:
	case err := <-s.done:
		s.done <- err
		return fmt.Errorf("%s ended at its start: %v\n%s", s.kind, err, s.tail)
	case <-ctx.Done():
		return fmt.Errorf("%s is not ready: %w\n%s", s.kind, ctx.Err(), s.tail)
	}
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+"/_cluster/health?wait_for_status=yellow&timeout=5s", nil)
		if err != nil {
			return err
		}
		resp, err := s.access.Send(req)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w\n%s", s.kind, ctx.Err(), s.tail)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Stop ends the server as an operator would, and kills it when that takes too long.
// Its data are kept.
func (s *Server) Stop() error {
	if s.cmd == nil || s.cmd.Process == nil {
		return nil
	}
	s.stdin.Close()
	select {
	case err := <-s.done:
		s.cmd = nil
		return err
	case <-time.After(stopTimeout):
		s.Kill()
		return fmt.Errorf("%s did not stop within %s", s.kind, stopTimeout)
	}
}

// Kill ends the server like a crash (SIGKILL). Its data are kept.
func (s *Server) Kill() {
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL) // it may have ended already
	<-s.done
	s.stdin.Close()
	s.cmd = nil
}

// Pause stops the process (SIGSTOP): its connections stay open and nothing answers on them.
func (s *Server) Pause() error { return syscall.Kill(-s.cmd.Process.Pid, syscall.SIGSTOP) }

// Resume ends Pause.
func (s *Server) Resume() error { return syscall.Kill(-s.cmd.Process.Pid, syscall.SIGCONT) }

// Close ends the server and removes its directory if Start created it.
func (s *Server) Close() error {
	s.Kill()
	if s.tempDir {
		return os.RemoveAll(s.dir)
	}
	return nil
}

// tail keeps the end of the output of a server.
type tail struct {
	also io.Writer

	mu   sync.Mutex
	text []byte
}

const tailSize = 8 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if over := len(t.text) - tailSize; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	if t.also != nil {
		return t.also.Write(p)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}

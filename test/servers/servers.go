// Package servers starts real search servers from Maven Central for tests: one
// Java process each, on a free port of 127.0.0.1, with its own data
// directory. The class path is resolved once per version and kept in build/out.
//
// A server ends with Close. It also ends when the process that started it ends, in any
// way: it reads its standard input, which is a pipe from that process.
package servers

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

//go:embed log4j2.properties Server.java opensearch elasticsearch
var recipes embed.FS

// Kind is a server that can be started.
type Kind string

// The servers. Their versions are in <kind>/pom.xml.
const (
	OpenSearch    Kind = "opensearch"    // 2.19.1, core modules: no security, no ISM
	Elasticsearch Kind = "elasticsearch" // 7.17.29, core only: no data streams, no ILM
)

// ErrNoTool means that a JDK or Maven is missing. Its text says how to install them.
var ErrNoTool = errors.New("needs a JDK and Maven (Debian: apt-get install default-jdk-headless maven)")

const (
	resolveTimeout = 10 * time.Minute // the first time, Maven downloads about 50 MB
	startTimeout   = 2 * time.Minute
	stopTimeout    = 30 * time.Second
	dependency     = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:build-classpath"
)

// Options of a server. The zero value is a free port and default settings.
type Options struct {
	Dir      string    // home of the server, kept; "": a temporary one, removed by Close
	Port     int       // HTTP port; 0 means a free one, kept across restarts
	Settings []string  // of the server, as key=value
	Node     []string  // further settings, which Set keeps
	Log      io.Writer // output of the server; nil keeps the last lines for errors
}

// Server is a running server. Its methods are not for concurrent use, apart from URL.
type Server struct {
	kind     Kind
	opts     Options
	dir      string
	tempDir  bool
	launcher string // directory with the Java file
	path     string // class path
	cmd      *exec.Cmd
	stdin    io.Closer
	done     chan error
	tail     *tail
}

// Start starts a server and waits until it answers. The caller closes it.
func Start(ctx context.Context, kind Kind, o Options) (*Server, error) {
	for _, tool := range []string{"java", "javac", "mvn"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, ErrNoTool
		}
	}
	s := &Server{kind: kind, opts: o, dir: o.Dir}
	launcher, path, err := resolve(ctx, kind)
	if err != nil {
		return nil, err
	}
	s.launcher, s.path = launcher, path
	if s.dir == "" {
		if s.dir, err = os.MkdirTemp("", string(kind)); err != nil {
			return nil, err
		}
		s.tempDir = true
	}
	if err := os.MkdirAll(filepath.Join(s.dir, "config"), 0o755); err != nil {
		return nil, err
	}
	if err := s.Start(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// URL is the address of the server, the same after a restart.
func (s *Server) URL() string { return fmt.Sprintf("http://127.0.0.1:%d", s.opts.Port) }

// Set replaces the settings for the next start.
func (s *Server) Set(settings ...string) { s.opts.Settings = settings }

// Start starts a stopped server again with its data and its port.
func (s *Server) Start(ctx context.Context) error {
	args := []string{
		"-Xms512m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-Dlog4j2.formatMsgNoLookups=true",
		"-Dlog4j.configurationFile=" + filepath.Join(s.launcher, "log4j2.properties"),
		"-cp", s.path, filepath.Join(s.launcher, "Server.java"),
		s.dir, fmt.Sprint(s.opts.Port),
	}
	s.cmd = exec.Command("java", append(append(args, s.opts.Node...), s.opts.Settings...)...)
	s.cmd.Dir = s.dir
	// A separate process group, so that Ctrl-C on a terminal reaches only this process.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
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
		resp, err := http.DefaultClient.Do(req)
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

// ClassPath returns the files of the class path of kind, for tests that start a server in
// another way.
func ClassPath(ctx context.Context, kind Kind) ([]string, error) {
	for _, tool := range []string{"java", "javac", "mvn"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, ErrNoTool
		}
	}
	_, path, err := resolve(ctx, kind)
	return filepath.SplitList(path), err
}

// resolve returns the directory with the pom.xml of kind, and its class path.
// Several test processes may call it at the same time.
func resolve(ctx context.Context, kind Kind) (launcher, path string, err error) {
	_, file, _, _ := runtime.Caller(0)
	root := filepath.Join(filepath.Dir(file), "..", "..", "build", "out", "servers")
	files, sum := map[string][]byte{}, sha256.New()
	for _, n := range []string{string(kind) + "/pom.xml", "Server.java", "log4j2.properties"} {
		b, err := recipes.ReadFile(n)
		if err != nil {
			return "", "", err
		}
		if kind == Elasticsearch {
			b = bytes.ReplaceAll(b, []byte("org.opensearch."), []byte("org.elasticsearch."))
		}
		files[filepath.Base(n)] = b
		sum.Write(b)
	}
	dir := filepath.Join(root, fmt.Sprintf("%s-%x", kind, sum.Sum(nil)[:6]))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", "", err
	}
	lock, err := os.Create(filepath.Join(dir, "lock"))
	if err != nil {
		return "", "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", "", err
	}
	for n, b := range files {
		if err := os.WriteFile(filepath.Join(dir, n), b, 0o644); err != nil {
			return "", "", err
		}
	}
	list := filepath.Join(dir, "classpath")
	if b, err := os.ReadFile(list); err == nil && allExist(string(b)) {
		return dir, string(b), nil
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	mvn := exec.CommandContext(ctx, "mvn", "-q", "-B", dependency, "-Dmdep.outputFile="+list)
	mvn.Dir = dir
	if out, err := mvn.CombinedOutput(); err != nil {
		return "", "", fmt.Errorf("class path of %s: %w\n%s", kind, err, out)
	}
	b, err := os.ReadFile(list)
	return dir, strings.TrimSpace(string(b)), err
}

func allExist(path string) bool {
	for _, f := range filepath.SplitList(path) {
		if _, err := os.Stat(f); err != nil {
			return false
		}
	}
	return path != ""
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

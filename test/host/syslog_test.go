package host_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// liveHost is a host that keeps running. Its output is collected as it appears.
type liveHost struct {
	cmd   *exec.Cmd
	lines chan string // raw lines of the printed records
	ended chan error

	mu  sync.Mutex
	log strings.Builder
}

// start runs the host until a signal ends it, at the latest when the test is over.
func start(t *testing.T, stdin io.Reader, args ...string) *liveHost {
	t.Helper()
	needHost(t)
	s := &liveHost{cmd: exec.Command(hostPath, args...), lines: make(chan string, 100000), ended: make(chan error, 1)}
	s.cmd.Stdin = stdin
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	errs, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var readers sync.WaitGroup
	readers.Go(func() {
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 16<<20)
		for lines.Scan() {
			var rec struct{ Log string }
			if err := json.Unmarshal(lines.Bytes(), &rec); err != nil {
				rec.Log = "not JSON: " + lines.Text()
			}
			s.lines <- rec.Log
		}
	})
	readers.Go(func() {
		for r := bufio.NewReader(errs); ; {
			text, err := r.ReadString('\n')
			s.mu.Lock()
			s.log.WriteString(text)
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	})
	go func() {
		readers.Wait()
		s.ended <- s.cmd.Wait()
	}()
	t.Cleanup(func() { s.cmd.Process.Kill() })
	return s
}

func (s *liveHost) logText() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// wantLog waits for the text on stderr and returns what follows it on its line.
func (s *liveHost) wantLog(t *testing.T, text string) string {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if _, after, found := strings.Cut(s.logText(), text); found {
			if line, _, whole := strings.Cut(after, "\n"); whole {
				return line
			}
		}
	}
	t.Fatalf("stderr lacks %q\n%s", text, s.logText())
	return ""
}

// wantLines waits for the next records and compares their raw lines.
func (s *liveHost) wantLines(t *testing.T, want ...string) {
	t.Helper()
	for i, w := range want {
		select {
		case got := <-s.lines:
			if got != w {
				t.Fatalf("line %d: got %.200q (%d bytes), want %.200q (%d bytes)", i, got, len(got), w, len(w))
			}
		case <-time.After(patience):
			t.Fatalf("line %d did not come: %.200q\n%s", i, w, s.logText())
		}
	}
}

func (s *liveHost) signal(t *testing.T, sig os.Signal) {
	t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// wantEnd waits for the end and checks that no record is left over.
func (s *liveHost) wantEnd(t *testing.T, code int) {
	t.Helper()
	select {
	case <-s.ended:
	case <-time.After(patience):
		t.Fatalf("host did not end\n%s", s.logText())
	}
	if got := s.cmd.ProcessState.ExitCode(); got != code {
		t.Fatalf("exit status %d, want %d\n%s", got, code, s.logText())
	}
	if len(s.lines) > 0 {
		t.Errorf("%d more records, the first %.200q", len(s.lines), <-s.lines)
	}
}

func (s *liveHost) stop(t *testing.T) {
	t.Helper()
	s.signal(t, syscall.SIGINT)
	s.wantEnd(t, 0)
}

func (s *liveHost) dial(t *testing.T, kind string) net.Conn {
	t.Helper()
	conn, err := net.Dial(kind, s.wantLog(t, "listening "+kind+" "))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// send opens a connection and writes the parts one by one. The connection is closed when the test ends.
func (s *liveHost) send(t *testing.T, kind string, parts ...string) net.Conn {
	t.Helper()
	conn := s.dial(t, kind)
	for _, p := range parts {
		if _, err := io.WriteString(conn, p); err != nil {
			t.Fatal(err)
		}
	}
	return conn
}

func TestADatagramIsAMessage(t *testing.T) {
	s := start(t, nil, "--syslog-udp", "127.0.0.1:0")
	big := strings.Repeat("u", 60000)
	s.send(t, "udp", "one", "", "two\nlines\n", "nul\x00inside", big)
	s.wantLines(t, "one", "two\nlines\n", "nul\x00inside", big)
	s.stop(t)
}

func TestRecordsComeWhileTheConnectionIsOpen(t *testing.T) {
	s := start(t, nil, "--syslog-tcp", "127.0.0.1:0", "--syslog-udp", "127.0.0.1:0", "--filter", plugin("flb-filter_probe.so"), "--filter-prop", "mode=upper")
	conn := s.send(t, "tcp", "first\n")
	s.wantLines(t, "FIRST")
	s.send(t, "udp", "between")
	s.wantLines(t, "BETWEEN")
	io.WriteString(conn, "second\nunfinished")
	s.wantLines(t, "SECOND")
	s.signal(t, syscall.SIGINT)
	s.wantEndWith(t, "UNFINISHED")
}

func TestTCPFraming(t *testing.T) {
	mib := strings.Repeat("m", 1<<20)
	for name, c := range map[string]struct {
		args []string
		sent []string
		want []string
	}{
		"lines":                          {nil, []string{"<13>a\nb\nc\n"}, []string{"<13>a", "b", "c"}},
		"line in parts":                  {nil, []string{"<1", "3>a", "\n", "b\n"}, []string{"<13>a", "b"}},
		"last line without end":          {nil, []string{"a\nb"}, []string{"a", "b"}},
		"carriage return is kept":        {nil, []string{"a\r\n\r\nb\n"}, []string{"a\r", "\r", "b"}},
		"empty lines are no messages":    {nil, []string{"\n\na\n\n\nb\n\n"}, []string{"a", "b"}},
		"NUL ends a line":                {nil, []string{"a\x00b\x00\nc\n"}, []string{"a", "b", "c"}},
		"line that begins with a date":   {nil, []string{"2026-11-23T10:00:00Z a\n"}, []string{"2026-11-23T10:00:00Z a"}},
		"only digits":                    {nil, []string{"12345"}, []string{"12345"}},
		"one mebibyte":                   {nil, []string{mib + "\nb\n"}, []string{mib, "b"}},
		"more than a mebibyte is cut":    {nil, []string{mib + "more\nb\n"}, []string{mib, "more", "b"}},
		"counted":                        {nil, []string{"5 <1>ab3 x\ny10 0123456789"}, []string{"<1>ab", "x\ny", "0123456789"}},
		"counted, in parts":              {nil, []string{"1", "2", " 0123", "45678901", "1 ", "z"}, []string{"012345678901", "z"}},
		"counted, with line ends":        {nil, []string{"1 a\n1 b\n"}, []string{"a", "b"}},
		"counted, of length nothing":     {[]string{"--octet-counting"}, []string{"3 abc1 d"}, []string{"abc", "d"}},
		"counted, cut by the end":        {nil, []string{"3 abc9 def"}, []string{"abc", "def"}},
		"counted, larger than mebibyte":  {nil, []string{"1048578 " + mib + "xy1 z"}, []string{mib, "xy", "z"}},
		"counted, then lines":            {nil, []string{"3 abc<13>line\nnext\n"}, []string{"abc", "<13>line", "next"}},
		"forced counting without counts": {[]string{"--octet-counting"}, []string{"<13>line\n"}, []string{"<13>line"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, nil, append(c.args, "--syslog-tcp", "127.0.0.1:0")...)
			s.send(t, "tcp", c.sent...).Close()
			s.wantLines(t, c.want...)
			s.stop(t)
		})
	}
}

func TestManyConnectionsAtOnce(t *testing.T) {
	const conns, each = 20, 200
	s := start(t, nil, "--syslog-tcp", "[::ffff:127.0.0.1]:0", "--chunk", "64")
	if !strings.HasPrefix(s.wantLog(t, "listening tcp "), "[::ffff:127.0.0.1]:") {
		t.Fatal(s.logText())
	}
	var writers sync.WaitGroup
	for c := range conns {
		conn := s.dial(t, "tcp")
		writers.Go(func() {
			for i := range each {
				fmt.Fprintf(conn, "conn %d line %d\n", c, i)
			}
			conn.Close()
		})
	}
	next := make([]int, conns)
	for range conns * each {
		select {
		case got := <-s.lines:
			var c, i int
			if _, err := fmt.Sscanf(got, "conn %d line %d", &c, &i); err != nil || i != next[c] {
				t.Fatalf("got %q, want line %d", got, next[c])
			}
			next[c]++
		case <-time.After(patience):
			t.Fatalf("lines are missing: %v", next)
		}
	}
	writers.Wait()
	s.stop(t)
}

func TestSignalTakesWhatHasArrived(t *testing.T) {
	s := start(t, nil, "--syslog-udp", "127.0.0.1:0", "--syslog-tcp", "127.0.0.1:0")
	// The host is stopped while the data arrives, so that only its drain can read them.
	tcp := s.send(t, "tcp", "ready\n")
	s.wantLines(t, "ready")
	s.signal(t, syscall.SIGSTOP)
	s.send(t, "udp", "datagram")
	io.WriteString(tcp, "line\nunfinished")
	s.send(t, "tcp", "from a new connection")
	s.signal(t, syscall.SIGTERM)
	s.signal(t, syscall.SIGCONT)
	s.wantEndWith(t, "datagram", "line", "unfinished", "from a new connection")
}

// wantEndWith checks that the rest of the output is these records, in any order.
func (s *liveHost) wantEndWith(t *testing.T, want ...string) {
	t.Helper()
	left := map[string]int{}
	for _, w := range want {
		left[w]++
	}
	for range want {
		select {
		case got := <-s.lines:
			if left[got]--; left[got] < 0 {
				t.Errorf("unexpected record %q", got)
			}
		case <-time.After(patience):
			t.Fatalf("records are missing: %v\n%s", left, s.logText())
		}
	}
	s.wantEnd(t, 0)
}

func TestDaemonHandsSignalsOn(t *testing.T) {
	s := start(t, nil, "--syslog-udp", "127.0.0.1:0", "--daemon", "--filter", plugin("flb-filter_probe.so"))
	s.send(t, "udp", "a")
	s.wantLines(t, "a")
	s.stop(t)
	s.wantLog(t, "exit probe.0")
}

func TestAddressThatCannotBeUsed(t *testing.T) {
	s := start(t, nil, "--syslog-tcp", "127.0.0.1:0")
	taken := s.wantLog(t, "listening tcp ")
	run(t, "", "--syslog-tcp", taken).wantCode(t, 1).wantLog(t, "cannot listen on tcp "+taken)
	run(t, "", "--syslog-udp", "127.0.0.1").wantCode(t, 1).wantLog(t, "127.0.0.1 is no address")
	s.stop(t)
}

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestProfilesInAnEngine starts each profile as a user does, with make stack, and with
// stand-ins for the images. Collector, one-shot services, sender and files are those of the
// stack; OpenSearch is real, with its security plugin.
func TestProfilesInAnEngine(t *testing.T) {
	e := startEngine(t)
	e.plugin(t, "compose")
	s := &liveStack{engine: e, dir: checkout(t)}
	for _, port := range []int{3000, 5601, 6514, 9000, 9200, 9201} {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Skipf("not run: the stack publishes port %d, which is taken: %v", port, err)
		}
		l.Close()
	}
	for _, profile := range profiles {
		t.Run(profile, func(t *testing.T) {
			e.standIns(t, profile)
			s.open(t, profile)
			t.Cleanup(func() {
				if t.Failed() {
					t.Log(lastLines(e.output("sh", "-c", "cd "+s.dir+" && "+s.compose+" --profile "+profile+" logs --tail 60 2>&1"), 150))
				}
				e.must(t, "make", "-C", s.dir, "stack-down", "VOLUMES=1", "COMPOSE="+s.compose)
			})
			begin := time.Now()
			s.make(t, "stack")
			t.Logf("healthy after %s", time.Since(begin).Round(time.Second))
			s.make(t, "stack-test")
			t.Logf("one pass of the corpus stored after %s", time.Since(begin).Round(time.Second))
			s.checkContainers(t)
			if profile != "graylog" { // GELF over TCP has no answer: what is on its way at a kill may be lost
				s.sendInSpiteOf(t)
			}
		})
	}
}

// liveStack is one profile in an engine.
type liveStack struct {
	*engine
	dir     string // copy of the project
	compose string // the command that make uses
	profile string
	sent    int // numbered lines
}

// open prepares for a profile. Where the engine may not raise the number of open files as
// the stack asks, an override takes that out.
func (s *liveStack) open(t *testing.T, profile string) {
	t.Helper()
	s.profile, s.sent = profile, 0
	s.compose = "docker compose -f test/docker-compose.yml"
	p := load(t, profile, dummyEnv())
	var override strings.Builder
	for _, name := range slices.Sorted(slices.Values(p.ServiceNames())) {
		limit := p.Services[name].Ulimits["nofile"]
		if limit == nil {
			continue
		}
		image := p.Services[s.service("fluent-bit")].Image
		if text, err := s.try(t, "docker", "run", "--rm", "--ulimit", fmt.Sprintf("nofile=%d:%d", limit.Soft, limit.Hard), image, "--version"); err != nil {
			if !strings.Contains(text, "rlimit") {
				t.Fatal(err)
			}
			fmt.Fprintf(&override, "  %s: {ulimits: !reset {}}\n", name)
			t.Logf("%s runs without ulimits nofile %d, which this machine refuses: %s", name, limit.Hard, regexp.MustCompile(`error setting rlimit[^\n]*|Error response[^\n]*`).FindString(text))
		}
	}
	if override.Len() > 0 {
		file := filepath.Join(s.engine.dir, profile+".yml")
		if err := os.WriteFile(file, []byte("services:\n"+override.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		s.compose += " -f " + file
	}
	s.compose += " --env-file test/.env"
}

// service is the name of a service of the profile: those of OpenSearch have a prefix.
func (s *liveStack) service(name string) string {
	switch s.profile {
	case "opensearch":
		return strings.TrimSuffix("opensearch-"+name, "-opensearch")
	case "graylog":
		return "graylog-" + name
	}
	return name
}

func (s *liveStack) make(t *testing.T, target string) {
	t.Helper()
	s.must(t, "make", "-C", s.dir, target, "PROFILE="+s.profile, "COMPOSE="+s.compose)
}

func (s *liveStack) container(t *testing.T, service string) string {
	t.Helper()
	id := s.output("docker", "ps", "--all", "--quiet", "--filter", "label=com.docker.compose.service="+service)
	if id == "" || strings.Contains(id, "\n") {
		t.Fatalf("containers of %s: %q", service, id)
	}
	return id
}

// checkContainers compares the running containers with what the file asks for.
func (s *liveStack) checkContainers(t *testing.T) {
	t.Helper()
	for name, want := range load(t, s.profile, dummyEnv()).Services {
		var got []struct {
			State struct {
				Status   string
				ExitCode int
				Health   *struct{ Status string }
			}
			RestartCount int
			Config       struct{ User string }
			HostConfig   struct {
				Memory               int64
				ReadonlyRootfs       bool
				CapDrop, SecurityOpt []string
			}
		}
		if err := json.Unmarshal([]byte(s.must(t, "docker", "inspect", s.container(t, name))), &got); err != nil {
			t.Fatal(err)
		}
		c := got[0]
		if want.HealthCheck == nil {
			if c.State.Status != "exited" || c.State.ExitCode != 0 {
				t.Errorf("%s: %+v", name, c.State)
			}
		} else if c.State.Status != "running" || c.State.Health == nil || c.State.Health.Status != "healthy" {
			t.Errorf("%s: %+v %+v", name, c.State, c.State.Health)
		}
		if c.RestartCount != 0 {
			t.Errorf("%s was restarted %d times", name, c.RestartCount)
		}
		if c.HostConfig.Memory != int64(want.MemLimit) || c.HostConfig.ReadonlyRootfs != want.ReadOnly ||
			len(c.HostConfig.CapDrop) != len(want.CapDrop) || !slices.Equal(c.HostConfig.SecurityOpt, want.SecurityOpt) {
			t.Errorf("%s: %+v", name, c.HostConfig)
		}
		if c.Config.User == "" || strings.HasPrefix(c.Config.User, "0") || c.Config.User == "root" {
			t.Errorf("%s runs as %q", name, c.Config.User)
		}
	}
}

// sendInSpiteOf sends numbered lines while server and collector are killed, restarted and
// taken down, and looks for each of them.
func (s *liveStack) sendInSpiteOf(t *testing.T) {
	t.Helper()
	server, collector := "elasticsearch", s.container(t, s.service("fluent-bit"))
	if s.profile == "opensearch" {
		server = "opensearch"
	}
	node := s.container(t, server)
	// The server is killed in mid-flow and comes back.
	done := make(chan error, 1)
	go func() { done <- s.send(1000, 5*time.Millisecond) }()
	time.Sleep(2 * time.Second)
	s.must(t, "docker", "kill", node)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	s.must(t, "docker", "start", node)
	s.mustHave(t, "a killed server")

	// The collector is restarted while lines wait in its buffer. It ends after its grace of
	// 40 s, so one profile does it.
	if s.profile == "opensearch" {
		s.must(t, "docker", "kill", node)
		if err := s.send(1000, 0); err != nil {
			t.Fatal(err)
		}
		s.mustBuffer(t)
		s.must(t, "docker", "restart", "--time", "45", collector)
		s.must(t, "docker", "start", node)
		s.mustHave(t, "a restarted collector")
	}

	// The stack is taken down while lines are on their way.
	s.must(t, "docker", "pause", node)
	if err := s.send(1000, 0); err != nil {
		t.Fatal(err)
	}
	s.mustBuffer(t)
	s.must(t, "docker", "unpause", node)
	s.make(t, "stack-down")
	s.make(t, "stack")
	s.mustHave(t, "a stack taken down and started again")
	s.checkContainers(t)
}

// send writes n numbered lines over TLS to the published port of the collector.
func (s *liveStack) send(n int, pause time.Duration) error {
	pem, err := os.ReadFile(s.dir + "/build/out/stack/tls/ca.crt")
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	c, err := tls.Dial("tcp", "127.0.0.1:6514", &tls.Config{RootCAs: pool})
	if err != nil {
		return err
	}
	defer c.Close()
	for range n {
		line := fmt.Sprintf("<134>dtime=%q type=event subtype=system emsserial=FCTEMS0000000001 msg=\"stacktest %06d\"\n", time.Now().Format(time.DateTime), s.sent)
		if _, err := c.Write([]byte(line)); err != nil {
			return err
		}
		s.sent++
		time.Sleep(pause)
	}
	return c.CloseWrite()
}

// mustBuffer waits until the last line that was sent is in the collector's buffer.
func (s *liveStack) mustBuffer(t *testing.T) {
	t.Helper()
	last := fmt.Sprintf("stacktest %06d", s.sent-1)
	err := eventually(t.Context(), 30*time.Second, 200*time.Millisecond, func(context.Context) error {
		_, err := s.try(t, "grep", "-rqaF", last, s.dir+"/build/out/stack/buffer")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

var numbered = regexp.MustCompile(`stacktest ([0-9]{6})`)

// mustHave waits until every numbered line is stored, and checks that none is stored twice.
func (s *liveStack) mustHave(t *testing.T, after string) {
	t.Helper()
	text, err := os.ReadFile(s.dir + "/test/.env")
	if err != nil {
		t.Fatal(err)
	}
	env := parseEnv(string(text))
	url, user, password := "http://127.0.0.1:9200", "elastic", env["ELASTIC_PASSWORD"]
	if s.profile == "opensearch" {
		url, user, password = "https://127.0.0.1:9201", "admin", env["OPENSEARCH_ADMIN_PASSWORD"]
	}
	c, err := newClient(url, user, password, s.dir+"/build/out/stack/tls/ca.crt")
	if err != nil {
		t.Fatal(err)
	}
	begin, seen, stored := time.Now(), map[string]int{}, 0
	err = eventually(t.Context(), 3*time.Minute, time.Second, func(ctx context.Context) error {
		var got json.RawMessage
		err := c.call(ctx, http.MethodPost, "/logs-fortinet.fortiems-*/_search", map[string]any{
			"size": 10000, "_source": []string{"message"}, "query": map[string]any{"match": map[string]any{"message": "stacktest"}}}, &got)
		clear(seen)
		stored = 0
		for _, m := range numbered.FindAllSubmatch(got, -1) {
			seen[string(m[1])]++
			stored++
		}
		if err == nil && len(seen) < s.sent {
			err = fmt.Errorf("%d of %d lines are stored", len(seen), s.sent)
		}
		return err
	})
	if err != nil {
		t.Errorf("after %s: %v", after, err)
	}
	if stored != len(seen) {
		t.Errorf("after %s: %d lines are stored %d times", after, len(seen), stored)
	}
	t.Logf("after %s: %d of %d lines stored, %d twice, in %s", after, len(seen), s.sent, stored-len(seen), time.Since(begin).Round(time.Second))
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"fluent-bit-fortiems/test/rig"
)

// The plugins of the docker command that a machine may lack; both build from their modules.
var dockerPlugins = map[string]string{
	"compose": "github.com/docker/compose/v2/cmd@v2.40.3",
	"buildx":  "github.com/docker/buildx/cmd/buildx@v0.29.1",
}

// engine is a Docker engine of one test process, with nothing in it at first. The stand-in
// images bear official names, so they must not get into the engine of a developer.
type engine struct {
	dir string   // socket, logs, data
	env []string // of programs that talk to it
}

// startEngine starts dockerd with folders, socket and pid file of its own and ends it, and
// what it runs, at the end of the test. It skips the test where that cannot be.
func startEngine(t *testing.T) *engine {
	t.Helper()
	if testing.Short() {
		t.Skip("not run: starts a Docker engine (-short)")
	}
	if os.Getenv("FORTIEMS_ENGINE") == "" {
		t.Skip("not run: takes a quarter of an hour; make test-engine starts a Docker engine")
	}
	for _, tool := range []string{"docker", "dockerd", "containerd", "runc", "iptables"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("not run: a Docker engine needs %s (Debian: apt-get install docker.io runc iptables)", tool)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("not run: starting a Docker engine needs root")
	}
	if exec.Command("docker", "version").Run() == nil {
		t.Skip("not run: a Docker engine runs here already, and two disturb each other's firewall rules; with it, use make stack, make stack-test and make stack-down")
	}
	// Short, because it holds a socket.
	dir, err := os.MkdirTemp("", "engine")
	if err != nil {
		t.Fatal(err)
	}
	e := &engine{dir: dir}
	socket := "unix://" + dir + "/docker.sock"
	e.env = append(os.Environ(), "DOCKER_HOST="+socket, "DOCKER_CONFIG="+dir+"/client", "DOCKER_CONTEXT=")
	log := &rig.Output{}
	cmd := exec.Command("dockerd", "--data-root", dir+"/data", "--exec-root", dir+"/exec", "--pidfile", dir+"/docker.pid", "--host", socket)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { e.stop(t, cmd.Process, ended, log) })
	err = eventually(t.Context(), time.Minute, 500*time.Millisecond, func(context.Context) error {
		select {
		case err := <-ended:
			ended <- err
			return nil
		default:
		}
		_, err := e.try(t, "docker", "version")
		return err
	})
	if err == nil {
		_, err = e.try(t, "docker", "version")
	}
	if err != nil {
		// A container without privileges, for example, may start no engine.
		t.Skipf("not run: dockerd does not start here: %v\n%s", err, lastLines(log.String(), 5))
	}
	return e
}

// stop removes the containers, ends the engine by its process id and deletes its folders.
func (e *engine) stop(t *testing.T, p *os.Process, ended chan error, log fmt.Stringer) {
	if ids := strings.Fields(e.output("docker", "ps", "--all", "--quiet")); len(ids) > 0 {
		_ = e.command("docker", append([]string{"rm", "--force", "--volumes"}, ids...)...).Run()
	}
	_ = p.Signal(syscall.SIGTERM)
	select {
	case <-ended:
	case <-time.After(time.Minute):
		_ = p.Kill()
		<-ended
		t.Errorf("dockerd did not end:\n%s", lastLines(log.String(), 20))
	}
	if t.Failed() {
		t.Logf("dockerd: %s", lastLines(log.String(), 5))
	}
	if err := os.RemoveAll(e.dir); err != nil {
		t.Error(err)
	}
}

// plugin makes sure that docker has its command name, from its module if need be.
func (e *engine) plugin(t *testing.T, name string) {
	t.Helper()
	if exec.Command("docker", name, "version").Run() == nil {
		if home, err := os.UserHomeDir(); err == nil { // where the command may come from
			_ = os.MkdirAll(e.dir+"/client", 0o700)
			_ = os.Symlink(home+"/.docker/cli-plugins", e.dir+"/client/cli-plugins")
		}
		return
	}
	file := filepath.Join(rig.Root, "build/out/docker/docker-"+name)
	if _, err := os.Stat(file); err != nil {
		module, version, _ := strings.Cut(dockerPlugins[name], "@")
		dir := t.TempDir()
		if err := os.WriteFile(dir+"/go.mod", []byte("module plugin\n\ngo 1.26\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"get", "-tool", module + "@" + version}, {"build", "-trimpath", "-o", file, module}} {
			cmd := exec.Command("go", args...)
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Skipf("not run: docker %s is missing, and its module does not build: %v\n%s", name, err, lastLines(string(out), 3))
			}
		}
	}
	if err := os.MkdirAll(e.dir+"/client/cli-plugins", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, e.dir+"/client/cli-plugins/docker-"+name); err != nil && !os.IsExist(err) {
		t.Fatal(err)
	}
}

func (e *engine) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = e.env
	return cmd
}

// output is what the command prints on its standard output, also when it fails.
func (e *engine) output(name string, args ...string) string {
	out, _ := e.command(name, args...).Output()
	return strings.TrimSpace(string(out))
}

// try runs a command and returns everything that it printed.
func (e *engine) try(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	out, err := e.command(name, args...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, lastLines(string(out), 30))
	}
	return strings.TrimSpace(string(out)), err
}

// must is try for commands that have to work.
func (e *engine) must(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := e.try(t, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// checkout copies the project as a user has it, with what is built, to a folder in which
// make stack may write its passwords and state.
func checkout(t *testing.T) string {
	t.Helper()
	rig.Build(t)
	list, err := exec.Command("git", "-C", rig.Root, "ls-files", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		t.Skip("not run: needs a clone of the repository and git")
	}
	dir := t.TempDir()
	names := strings.Fields(string(list))
	for _, built := range []string{rig.Object, rig.OutputLink, rig.Fortiems, rig.Host} {
		name, err := filepath.Rel(rig.Root, built)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	// With their times, so that make builds nothing again.
	cmd := exec.Command("cp", append(append([]string{"--archive", "--parents"}, existing(names)...), dir)...)
	cmd.Dir = rig.Root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

// existing leaves out files that are deleted but not yet committed.
func existing(names []string) (list []string) {
	for _, n := range names {
		if _, err := os.Lstat(filepath.Join(rig.Root, n)); !errors.Is(err, os.ErrNotExist) {
			list = append(list, n)
		}
	}
	return list
}

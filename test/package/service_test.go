package package_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"fluent-bit-fortiems/test/fakees"
	"fluent-bit-fortiems/test/rig"
)

// machine is a Debian 12 with systemd in a container that shares the network of this
// machine, so that a service in it reaches the fake server and tests reach the service.
type machine struct {
	t            *testing.T
	root, leader string // leader is the process id of its systemd
}

// debian returns an archive of a small Debian 12 with systemd and the libraries that a
// Fluent Bit built there needs. build/out keeps it.
func debian(t *testing.T) string {
	t.Helper()
	archive, err := filepath.Abs(root + "/build/out/debian-12.tar")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(archive); err == nil {
		return archive
	}
	dir := t.TempDir()
	cmd := exec.Command("debootstrap", "--variant=minbase", "--include=systemd,systemd-sysv,dbus,libyaml-0-2,libssl3,libsqlite3-0,libstdc++6", "bookworm", dir)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Skip("not run: debootstrap made no Debian 12: " + lastLine(text))
	}
	run(t, "tar", "-C", dir, "-cf", archive+".new", ".")
	if err := os.Rename(archive+".new", archive); err != nil {
		t.Fatal(err)
	}
	return archive
}

// boot starts a machine. It is stopped when the test ends.
func boot(t *testing.T) *machine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not run: a Debian with systemd in a container needs root")
	}
	need(t, "a Debian with systemd in a container", "debootstrap", "systemd-nspawn", "nsenter", "tar")
	m := &machine{t: t, root: t.TempDir()}
	run(t, "tar", "-C", m.root, "-xf", debian(t))
	var log rig.Output
	cmd := exec.Command("systemd-nspawn", "--quiet", "--directory", m.root, "--boot", "--register=no", "--keep-unit", "--console=pipe")
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		if m.leader != "" {
			_, _ = m.try("systemctl poweroff")
		}
		select {
		case <-ended:
		case <-time.After(60 * time.Second):
			_ = cmd.Process.Kill()
			t.Errorf("the container did not stop\n%s", log.String())
		}
	})
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		select {
		case err := <-ended:
			ended <- err
			t.Skipf("not run: systemd-nspawn cannot start a container here: %v, %s", err, lastLine([]byte(log.String())))
		default:
		}
		children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", cmd.Process.Pid, cmd.Process.Pid))
		if m.leader = strings.TrimSpace(string(children)); m.leader != "" {
			if text, _ := m.try("systemctl is-system-running"); strings.HasPrefix(text, "running") || strings.HasPrefix(text, "degraded") {
				return m
			}
		}
	}
	t.Fatalf("systemd did not start in the container\n%s", log.String())
	return nil
}

// try runs a shell command in the machine.
func (m *machine) try(command string) (string, error) {
	cmd := exec.Command("nsenter", "-t", m.leader, "-m", "-u", "-i", "-n", "-p", "--", "sh", "-c", command)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", "SYSTEMD_PAGER="}
	text, err := cmd.CombinedOutput()
	return string(text), err
}

func (m *machine) run(command string) string {
	m.t.Helper()
	text, err := m.try(command)
	if err != nil {
		m.t.Fatalf("%s: %v\n%s\n%s", command, err, text, m.log())
	}
	return strings.TrimSpace(text)
}

func (m *machine) log() string {
	text, _ := m.try("grep '^[A-Z]' /etc/fluent-bit/fortiems.env; journalctl --no-pager -u fluent-bit-fortiems -u fluent-bit | grep -v 'failed to flush chunk' | tail -n 40")
	return text
}

// copy copies a file of this machine into it.
func (m *machine) copy(from, to string) {
	m.t.Helper()
	from, err := filepath.Abs(from)
	if err != nil {
		m.t.Fatal(err)
	}
	run(m.t, "install", "-D", from, filepath.Join(m.root, to))
}

// set gives a variable of the settings a value, as an administrator does with an editor.
func (m *machine) set(name string, value any) {
	m.t.Helper()
	file := filepath.Join(m.root, "etc/fluent-bit/fortiems.env")
	text := read(m.t, file)
	line := regexp.MustCompile(`(?m)^#?` + name + `=.*$`)
	if len(line.FindAllString(text, -1)) != 1 {
		m.t.Fatalf("no line for %s in\n%s", name, text)
	}
	write(m.t, file, line.ReplaceAllLiteralString(text, fmt.Sprintf("%s=%v", name, value)))
}

// arrives sends a line to a port until its record is in the server.
func (m *machine) arrives(network string, port int, es *fakees.Server) {
	m.t.Helper()
	host := fmt.Sprintf("host-%s-%d-%d", network, port, time.Now().UnixNano())
	var last error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if c, err := net.Dial(network, fmt.Sprintf("127.0.0.1:%d", port)); err != nil {
			last = err
		} else {
			_, last = fmt.Fprintf(c, "<190>Oct  1 22:17:30 h ems-vpn: emsserial=FCTEMS0000000001 hostname=%s msg=\"VPN tunnel connected\"\n", host)
			c.Close()
		}
		for _, d := range es.Stored("logs-fortinet.fortiems-default") {
			if text := string(d.Source); strings.Contains(text, host) && strings.Contains(text, `"category":"ems-vpn"`) {
				return
			}
		}
	}
	m.t.Fatalf("nothing arrives from %s %d: %v\n%s", network, port, last, m.log())
}

// newer packs the same files as a later version.
func newer(t *testing.T, kind string) string {
	t.Helper()
	tool := regexp.MustCompile(`(?m)^NFPM\s+:= (\S+)$`).FindStringSubmatch(read(t, root+"/build/package.mk"))
	if tool == nil {
		t.Fatal("no NFPM in package.mk")
	}
	file := t.TempDir() + "/newer." + kind
	cmd := exec.Command("go", "run", tool[1], "package", "-f", "build/nfpm.yaml", "-p", kind, "-t", file)
	cmd.Dir, cmd.Env = root, append(os.Environ(), "ARCH=amd64", "PACKAGE_VERSION=99.0.0", "PACKAGE_GLIBC=2.28", "MAINTAINER=a <a@localhost>")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return file
}

// TestService installs, starts, upgrades, removes and purges the deb under systemd, and
// does what the messages of the package say.
func TestService(t *testing.T) {
	version := packages(t)
	m := boot(t)
	m.copy(root+"/build/out/fluent-bit-fortiems_"+version+"_amd64.deb", "root/this.deb")
	m.copy(newer(t, "deb"), "root/newer.deb")

	said := m.run("dpkg -i /root/this.deb")
	if !strings.Contains(said, "Fluent Bit is not installed yet") {
		t.Errorf("without Fluent Bit the installation says\n%s", said)
	}
	if text, _ := m.try("systemctl is-enabled fluent-bit-fortiems; systemctl is-active fluent-bit-fortiems"); text != "disabled\ninactive\n" {
		t.Errorf("after the installation the service is %q", text)
	}
	// The unit says what is missing.
	_, _ = m.try("systemctl start fluent-bit-fortiems")
	if text := m.log(); !strings.Contains(text, "no fluent-bit in /opt/fluent-bit/bin:") {
		t.Errorf("without Fluent Bit the service says\n%s", text)
	}
	_, _ = m.try("systemctl stop fluent-bit-fortiems")

	t.Run("fluent-bit", func(t *testing.T) {
		bin := rig.FluentBit(t)
		m.t = t
		m.copy(bin, "opt/fluent-bit/bin/fluent-bit")
		if text, err := m.try("/opt/fluent-bit/bin/fluent-bit --version"); err != nil {
			t.Skipf("not run: %s does not run on Debian 12: %s", bin, lastLine([]byte(text)))
		}
		withFluentBit(t, m, said)
	})
	m.t = t
	removed(t, m)
}

// withFluentBit starts the service as the package says, changes its settings, upgrades it, and uses
// the plugin in the service of Fluent Bit's own package as well.
func withFluentBit(t *testing.T, m *machine, said string) {
	es := fakees.New()
	defer es.Close()
	const password = `a$2V5# "\k`
	es.Authorization("Basic " + base64.StdEncoding.EncodeToString([]byte("u:"+password)))
	port := rig.FreePort(t)
	commands := regexp.MustCompile(`(?m)^  (?:sudo )?(\S.*?)\s+#`).FindAllStringSubmatch(said, -1)
	if len(commands) != 2 || commands[0][1] != "sudoedit /etc/fluent-bit/fortiems.env" {
		t.Fatalf("the installation says %q", commands)
	}
	// A value with characters that mean something to a shell is in the quotes that the file proposes.
	m.set("ES_HOSTS", es.URL)
	m.set("ES_USERNAME", "u")
	m.set("ES_PASSWORD", `'`+password+`'`)
	m.set("FORTIEMS_PORT", port)
	// What a Fluent Bit that ran as root has left there becomes the service's own.
	m.run("mkdir -p /var/lib/fluent-bit/fortiems && echo x >/var/lib/fluent-bit/fortiems/left")
	m.run(commands[1][1])
	m.arrives("udp", port, es)
	m.arrives("tcp", port, es)

	pid := m.run("systemctl show -P MainPID fluent-bit-fortiems")
	status := m.run("cat /proc/" + pid + "/status")
	if strings.Contains(status, "Uid:\t0\t") || !strings.Contains(status, "CapEff:\t0000000000000000") || !strings.Contains(status, "NoNewPrivs:\t1") {
		t.Errorf("rights of the service\n%s", status)
	}
	if mode := m.run("stat -L -c %a /var/lib/fluent-bit/fortiems"); mode != "700" {
		t.Errorf("mode %s of the state", mode)
	}
	if owner := m.run("stat -c %u /var/lib/fluent-bit/fortiems/left"); !strings.Contains(status, "Uid:\t"+owner+"\t") {
		t.Errorf("what was there before belongs to %s\n%s", owner, status)
	}

	// An upgrade keeps the settings and restarts the service.
	m.run("dpkg -i /root/newer.deb")
	if now := m.run("systemctl show -P MainPID fluent-bit-fortiems"); now == pid || now == "0" {
		t.Errorf("after the upgrade the process is %s, before %s", now, pid)
	}
	m.arrives("udp", port, es)
	if mode := m.run("stat -c '%a %U' /etc/fluent-bit/fortiems.env"); mode != "600 root" {
		t.Errorf("mode %s of the settings", mode)
	}

	// A port below 1024.
	low := lowPort(t)
	m.set("FORTIEMS_PORT", low)
	m.run("install -D -m 644 /usr/share/fluent-bit-fortiems/port-514.conf /etc/systemd/system/fluent-bit-fortiems.service.d/port-514.conf")
	m.run("systemctl daemon-reload && systemctl restart fluent-bit-fortiems")
	m.arrives("tcp", low, es)
	m.run("systemctl stop fluent-bit-fortiems")
	m.run("rm -r /etc/systemd/system/fluent-bit-fortiems.service.d")

	// The service of Fluent Bit's own package, with a packaged file as its whole configuration.
	unit := "[Service]\nEnvironmentFile=-/etc/default/fluent-bit\nExecStart=/opt/fluent-bit/bin/fluent-bit -c //etc/fluent-bit/fluent-bit.conf\n"
	write(t, filepath.Join(m.root, "etc/systemd/system/fluent-bit.service"), unit)
	write(t, filepath.Join(m.root, "etc/default/fluent-bit"), "ES_HOSTS="+es.URL+"\nES_API_KEY=a2V5\n")
	es.Authorization("APIKey a2V5")
	m.run(fmt.Sprintf("sed 's/5514/%d/' /etc/fluent-bit/fortiems/fluent-bit-elasticsearch.conf >/etc/fluent-bit/fluent-bit.conf", port))
	m.run("systemctl daemon-reload && systemctl start fluent-bit")
	m.arrives("udp", port, es)
	if said := m.run("dpkg -i /root/this.deb"); !strings.Contains(said, "process "+m.run("systemctl show -P MainPID fluent-bit")+" still runs the earlier version") {
		t.Errorf("with the plugin in another service the upgrade says\n%s", said)
	}
	if faults := es.Faults(); len(faults) > 0 {
		t.Errorf("faults %q", faults)
	}

	// What the removal names is what keeps Fluent Bit from starting.
	said = m.run("dpkg -r fluent-bit-fortiems")
	lines := regexp.MustCompile(`(?m)^  /etc/fluent-bit/fluent-bit\.conf:(\d+)$`).FindAllStringSubmatch(said, -1)
	if len(lines) == 0 {
		t.Fatalf("the removal says\n%s", said)
	}
	m.run("printf '[INPUT]\n    Name dummy\n[OUTPUT]\n    Name null\n    Match *\n' >/etc/fluent-bit/fluent-bit.conf")
	m.run("systemctl restart fluent-bit && sleep 1 && systemctl is-active fluent-bit && systemctl stop fluent-bit")
	m.run("dpkg -i /root/this.deb && systemctl enable fluent-bit-fortiems")
	m.run("rm /etc/systemd/system/fluent-bit.service /etc/default/fluent-bit /etc/fluent-bit/fluent-bit.conf && systemctl daemon-reload")
}

// removed checks what a removal and a purge leave.
func removed(t *testing.T, m *machine) {
	t.Helper()
	m.run("dpkg -r fluent-bit-fortiems")
	if text := m.run("find /usr /etc/systemd /lib/systemd/system -name '*fortiems*'"); text != "" {
		t.Errorf("after the removal there are\n%s", text)
	}
	m.run("test -f /etc/fluent-bit/fortiems.env")
	m.run("dpkg -P fluent-bit-fortiems")
	if text := m.run("find /usr /etc /lib/systemd/system /var/lib -path /var/lib/systemd -prune -o -name '*fortiems*' -print; ls -d /etc/fluent-bit /var/lib/fluent-bit /var/lib/private/fluent-bit 2>/dev/null; true"); text != "" {
		t.Errorf("after the purge there are\n%s", text)
	}
	if text, _ := m.try("systemctl list-units --all --no-legend '*fortiems*'"); strings.Contains(text, "active (running)") {
		t.Errorf("after the purge there is\n%s", text)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// lowPort returns a free port below 1024.
func lowPort(t *testing.T) int {
	t.Helper()
	for port := 1010; port > 900; port-- {
		address := fmt.Sprintf("127.0.0.1:%d", port)
		l, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		var u io.Closer
		u, err = net.ListenPacket("udp", address)
		l.Close()
		if err == nil {
			u.Close()
			return port
		}
	}
	t.Fatal("no free port below 1024")
	return 0
}

// TestRPMInARoot installs, upgrades and removes the rpm in a root without systemd running.
func TestRPMInARoot(t *testing.T) {
	version := packages(t)
	need(t, "installing the rpm", "rpm", "debootstrap", "tar")
	if os.Geteuid() != 0 {
		t.Skip("not run: installing with rpm needs root")
	}
	dir := t.TempDir()
	run(t, "tar", "-C", dir, "-xf", debian(t))
	rpm := func(args ...string) string {
		// The Debian in the root has its C library from another package manager.
		return run(t, "rpm", append([]string{"--root=" + dir}, args...)...)
	}
	first := rpm("-i", "--nodeps", "build/out/fluent-bit-fortiems-"+version+"-1.x86_64.rpm")
	if !strings.Contains(first, "Fluent Bit is not installed yet") || !strings.Contains(first, "fluent-bit-fortiems is installed. Next:") {
		t.Errorf("the installation says\n%s", first)
	}
	env := filepath.Join(dir, "etc/fluent-bit/fortiems.env")
	if info, err := os.Stat(env); err != nil || info.Mode() != 0o600 {
		t.Fatal(info, err)
	}
	write(t, env, "ES_HOSTS=http://changed:9200\n")
	write(t, filepath.Join(dir, "etc/fluent-bit/fluent-bit.conf"), "[SERVICE]\n    Plugins_File /etc/fluent-bit/fortiems/plugins.conf\n")
	if text := rpm("-U", "--nodeps", newer(t, "rpm")); strings.Contains(text, "Next:") || strings.Contains(text, "still name") {
		t.Errorf("the upgrade says\n%s", text)
	}
	if text := read(t, env); text != "ES_HOSTS=http://changed:9200\n" {
		t.Errorf("after the upgrade the settings are %q", text)
	}
	if text := rpm("-e", "fluent-bit-fortiems"); !strings.Contains(text, "\n  /etc/fluent-bit/fluent-bit.conf:2\n") {
		t.Errorf("the removal says\n%s", text)
	}
	for _, name := range []string{"usr/lib/fluent-bit/flb-filter_fortiems.so", "usr/bin/fortiems", "usr/lib/systemd/system/fluent-bit-fortiems.service", "etc/fluent-bit/fortiems/plugins.conf"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s is left", name)
		}
	}
}

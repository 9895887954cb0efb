package docs

import (
	"compress/gzip"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"fluent-bit-fortiems/plugin/option"
	"fluent-bit-fortiems/test"
	"fluent-bit-fortiems/test/rig"
)

// build makes the objects, which takes too long for make check.
func build(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("not run: builds the object (-short)")
	}
	rig.Build(t)
}

// shell runs a block in dir. Programs are first looked for in dir/bin.
func shell(t *testing.T, dir, block string, env ...string) (string, error) {
	t.Helper()
	cmd := exec.Command("sh", "-ec", block)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH")), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// program makes name in dir/bin the program of a file.
func program(t *testing.T, dir, name, file string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, filepath.Join(dir, "bin", name)); err != nil {
		t.Fatal(err)
	}
}

// becomes sends a line until the program prints its record.
func becomes(t *testing.T, out *rig.Output, record string, send func()) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if strings.Contains(out.String(), record) {
			return
		}
		send()
	}
	t.Fatalf("no %s in\n%s", record, out)
}

// TestLogger runs the command of README.md that sends a line, to the stand-in host.
func TestLogger(t *testing.T) {
	build(t)
	command := marked(t, "logger")
	if _, err := exec.LookPath("logger"); err != nil {
		t.Skip("not run: needs logger (package bsdutils or util-linux)")
	}
	port := rig.FreePort(t)
	out := rig.Start(t, exec.Command(rig.Host, "--filter", rig.Object, "--key", "message", "--syslog-udp", fmt.Sprintf("127.0.0.1:%d", port)))
	becomes(t, out, `"category":"ems-vpn"`, func() {
		if text, err := shell(t, t.TempDir(), strings.Replace(command, "5514", fmt.Sprint(port), 1)); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
	})
	for _, want := range []string{`"action":"vpn-connect"`, `"outcome":"success"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in %s", want, out)
		}
	}
}

// TestSmallestConfiguration runs the configurations that the documents show, as a user
// would save them.
func TestSmallestConfiguration(t *testing.T) {
	build(t)
	commands := strings.Split(strings.TrimSpace(marked(t, "start")), "\n")
	for _, bin := range rig.FluentBits(t) {
		for file, text := range map[string]string{
			"fluent-bit.yaml": marked(t, "smallest"), "fluent-bit.conf": marked(t, "classic"),
		} {
			t.Run(bin+" "+file, func(t *testing.T) {
				dir, port := t.TempDir(), rig.FreePort(t)
				program(t, dir, "fluent-bit", bin)
				here := strings.NewReplacer("/path/to/flb-filter_fortiems.so", rig.Object, "5514", fmt.Sprint(port))
				for name, content := range map[string]string{
					filepath.Base(file): text, "plugins.conf": marked(t, "plugins"), "parsers_fortiems.conf": readAll(t, root+"/conf/parsers_fortiems.conf"),
				} {
					if err := os.WriteFile(filepath.Join(dir, name), []byte(here.Replace(content)), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				run := strings.Replace(commands[0], "fluent-bit.yaml", filepath.Base(file), 1)
				cmd := exec.Command("sh", "-ec", "exec "+run)
				cmd.Dir = dir
				cmd.Env = append(os.Environ(), "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"))
				out := rig.Start(t, cmd)
				becomes(t, out, `"action":"vpn-connect"`, func() {
					if conn, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
						fmt.Fprint(conn, `<190>Oct  1 22:17:30 h ems-vpn: emsserial=FCTEMS0000000001 msg="VPN tunnel connected"`)
						conn.Close()
					}
				})
			})
		}
		t.Run(bin+" options", func(t *testing.T) {
			dir := t.TempDir()
			program(t, dir, "fluent-bit", bin)
			text, err := shell(t, dir, strings.ReplaceAll(commands[1], "/path/to/flb-filter_fortiems.so", rig.Object))
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			for _, o := range option.Filter() {
				if !strings.Contains(text, o.Key) {
					t.Errorf("no option %s in\n%s", o.Key, text)
				}
			}
		})
	}
}

// TestJournal: a record of the input systemd has its text under MESSAGE.
func TestJournal(t *testing.T) {
	build(t)
	file := writeFile(t, "line.log", `emsserial=FCTEMS0000000001 type=event subtype=ems-vpn msg="VPN tunnel connected"`+"\n")
	if !strings.Contains(readAll(t, root+"/conf/README.md"), "key_name: MESSAGE") {
		t.Error("conf/README.md does not show the option")
	}
	out, err := exec.Command(rig.Host, "--filter", rig.Object, "--filter-prop", "key_name=MESSAGE", "--key", "MESSAGE", "--input", file).Output()
	if err != nil || !strings.Contains(string(out), `"category":"ems-vpn"`) {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestRedirect sends a line to port 514 of another network namespace, where the commands
// of conf/README.md have been run.
func TestRedirect(t *testing.T) {
	if testing.Short() || os.Getuid() != 0 {
		t.Skip("not run: redirecting port 514 needs root (and not -short)")
	}
	for _, tool := range []string{"ip", "iptables"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("not run: redirecting port 514 needs " + tool + " (packages iproute2, iptables)")
		}
	}
	build(t)
	block := regexp.MustCompile("(?s)TestRedirect -->\n```sh\n(.*?)```").FindStringSubmatch(readAll(t, root+"/conf/README.md"))
	if block == nil {
		t.Fatal("conf/README.md has no commands")
	}
	from, to := fmt.Sprintf("fortiems-%d-a", os.Getpid()), fmt.Sprintf("fortiems-%d-b", os.Getpid())
	t.Cleanup(func() {
		for _, ns := range []string{from, to} {
			_ = exec.Command("ip", "netns", "del", ns).Run()
		}
	})
	setUp := strings.NewReplacer("FROM", from, "TO", to).Replace(`
		ip netns add FROM && ip netns add TO
		ip -n FROM link add fortiems-a type veth peer name fortiems-b netns TO
		ip -n FROM addr add 192.0.2.1/24 dev fortiems-a && ip -n TO addr add 192.0.2.2/24 dev fortiems-b
		ip -n FROM link set fortiems-a up && ip -n TO link set fortiems-b up && ip -n TO link set lo up
		ip netns exec TO iptables -t nat -L -n`)
	if text, err := shell(t, t.TempDir(), setUp); err != nil {
		t.Skipf("not run: redirecting port 514 needs network namespaces and the table nat: %s", strings.ReplaceAll(text, "\n", " "))
	}
	if text, err := shell(t, t.TempDir(), strings.ReplaceAll(block[1], "sudo ", "ip netns exec "+to+" ")); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	out := rig.Start(t, exec.Command("ip", "netns", "exec", to, rig.Host, "--filter", rig.Object, "--key", "message",
		"--syslog-udp", "0.0.0.0:5514", "--syslog-tcp", "0.0.0.0:5514"))
	for _, proto := range []string{"udp", "tcp"} {
		line := writeFile(t, "line.log", `emsserial=FCTEMS0000000001 hostname=over-`+proto+` type=event subtype=ems-vpn msg="VPN tunnel connected"`+"\n")
		becomes(t, out, `"name":"over-`+proto+`"`, func() {
			// Refused until the host listens.
			_ = exec.Command("ip", "netns", "exec", from, rig.Fortiems, "send", "--proto", proto, "--addr", "192.0.2.2:514", line).Run()
		})
	}
}

// TestCommandsOfTheDocuments runs the fortiems commands in a folder with logs.
func TestCommandsOfTheDocuments(t *testing.T) {
	build(t)
	cases, err := test.Corpus()
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	for _, c := range cases {
		if c.Replayed() {
			for _, row := range c.Rows {
				log.WriteString(row.Line + "\n")
			}
		}
	}
	for _, c := range []struct {
		name  string
		wants []string
	}{
		{"own-lines", []string{"report.html"}},
		{"check", []string{"my-rules.yaml: 0 problems"}},
		{"report", []string{"report.html"}},
		{"discover-wordings", []string{"unknown unknown", "### What became of them"}},
		{"redact", []string{`msg="VPN tunnel connected"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			program(t, dir, "fortiems", rig.Fortiems)
			if err := os.MkdirAll(filepath.Join(dir, "build"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(filepath.Dir(rig.Fortiems), filepath.Join(dir, "build/out")); err != nil {
				t.Fatal(err)
			}
			packed, err := os.Create(filepath.Join(dir, "ems.log.1.gz"))
			if err != nil {
				t.Fatal(err)
			}
			z := gzip.NewWriter(packed)
			_, _ = z.Write([]byte(log.String()))
			if err := z.Close(); err != nil {
				t.Fatal(err)
			}
			packed.Close()
			for name, text := range map[string]string{
				"ems.log": log.String(), "my-rules.yaml": marked(t, "unknown-rule"),
				"line.log": `emsserial=FCTEMS0000000001 hostname="PC-1" user=alice type=event subtype=ems-vpn msg="VPN tunnel connected"` + "\n",
			} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			commands := marked(t, c.name)
			if c.name == "discover-wordings" {
				commands = "set +e\n" + commands // its exit code is 1 if it finds wordings
			}
			out, err := shell(t, dir, commands)
			if err != nil && !strings.HasPrefix(commands, "set +e") {
				t.Fatalf("%v\n%s", err, out)
			}
			for _, want := range c.wants {
				if page, err := os.Stat(filepath.Join(dir, want)); err == nil && page.Size() > 100_000 {
					continue
				}
				if !strings.Contains(out, want) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
			if c.name == "redact" && strings.Contains(out, "alice") {
				t.Errorf("a name is left in %s", out)
			}
		})
	}
}

// TestFlow: the drawing of README.md names what exists.
func TestFlow(t *testing.T) {
	drawing := marked(t, "flow")
	flat := strings.ReplaceAll(drawing, "<br/>", "")
	var stream string
	for _, o := range option.Output() {
		if o.Key == "data_stream" {
			stream = o.Default
		}
	}
	for _, want := range []string{stream, "filterfortiems", "outputfortiems_es", "syslog"} {
		if want == "" || !strings.Contains(flat, want) {
			t.Errorf("no %q in %s", want, drawing)
		}
	}
	nodes := map[string]bool{}
	for _, m := range regexp.MustCompile(`(\w+)(?:\["[^"]+"\]|\[\("[^"]+"\)\])`).FindAllStringSubmatch(drawing, -1) {
		nodes[m[1]] = true
	}
	without := regexp.MustCompile(`\["[^"]+"\]|\[\("[^"]+"\)\]`).ReplaceAllString(drawing, "")
	for _, word := range regexp.MustCompile(`\w+`).FindAllString(without, -1) {
		if word != "flowchart" && word != "LR" && word != "subgraph" && word != "end" && !nodes[word] {
			t.Errorf("an arrow to or from %s, which has no text", word)
		}
	}
}

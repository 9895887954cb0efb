package conf

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"fluent-bit-fortiems/test/rig"
)

// TestReloadFromAnyDirectory starts each YAML configuration that needs nothing else from a
// directory that is not its own and reloads it: Fluent Bit then finds no relative files
// beside the configuration. A relative rules_file is found all the same.
func TestReloadFromAnyDirectory(t *testing.T) {
	bin, object := fluentBit(t)
	certificate(t)
	for file, from := range map[string]string{"fluent-bit.yaml": "5514", "full.yaml": "5514", "fluent-bit-tls.yaml": "6514"} {
		t.Run(file, func(t *testing.T) {
			dir, port := t.TempDir(), rig.FreePort(t)
			text, err := os.ReadFile("../../conf/" + file)
			if err != nil {
				t.Fatal(err)
			}
			config := strings.NewReplacer(from, fmt.Sprint(port), "grace: 40", "grace: 1", "match: fortiems\n", "match: fortiems\n      rules_file: rules.yaml\n").Replace(string(text))
			if strings.Count(config, "rules_file: rules.yaml") < 1 {
				t.Fatal("no filter")
			}
			// The outputs have a match as well.
			head, outputs, _ := strings.Cut(config, "\n  outputs:")
			config = head + "\n  outputs:" + strings.ReplaceAll(outputs, "      rules_file: rules.yaml\n", "")
			rules := "version: 1\nrules:\n  - name: site\n    when: {words: [\"tunnel connected\"]}\n    set: {category: ems-vpn, action: vpn-connect}\n"
			for name, text := range map[string]string{file: config, "rules.yaml": rules} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var out rig.Output
			cmd := exec.Command(bin, "-Y", "-e", object, "-c", filepath.Join(dir, file))
			cmd.Dir, cmd.Stdout, cmd.Stderr = t.TempDir(), &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				_ = cmd.Process.Signal(syscall.SIGTERM)
				timer := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
				defer timer.Stop()
				if err := cmd.Wait(); err != nil {
					t.Errorf("%v\n%s", err, out.String())
				}
			}()
			wait := func(what string, holds func() bool) {
				t.Helper()
				for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(50 * time.Millisecond) {
					if time.Now().After(end) {
						t.Fatalf("waited in vain for %s\n%s", what, out.String())
					}
				}
			}
			wait("the start", func() bool {
				c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
				if err == nil {
					c.Close()
				}
				return err == nil
			})
			if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
			wait("the reload", func() bool { return strings.Contains(out.String(), "[reload] start everything") })
			if file != "fluent-bit-tls.yaml" {
				eventually(t, &out, 1, sendTo("tcp", port, net.Dial))
			} else {
				wait("the listener", func() bool {
					return strings.Count(out.String(), "fortiems] version") > 1 || strings.Count(out.String(), "version ") > 1
				})
			}
		})
	}
}

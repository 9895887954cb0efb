package bench

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tinylib/msgp/msgp"

	"fluent-bit-fortiems/plugin/event"
)

// Case is one kind of event to measure.
type Case struct {
	Name  string
	About string
	key   string
	lines []string // folders of the corpus; their first lines in turn
	// UserRules is the number of user rules that run before the built-in ones.
	UserRules int
}

// Cases are the cases for which instructions and times are reported.
var Cases = []Case{
	{Name: "ems", About: "EMS line of 358 bytes", key: "log", lines: []string{"real-wazuh-26094"}},
	{Name: "forticlient", About: "FortiClient traffic line of 911 bytes", key: "log", lines: []string{"real-sekoia-forticlient"}},
	{Name: "unmatched", About: "sshd line", key: "log", lines: []string{"not-fortiems"}},
	{Name: "no-key", About: "the EMS line under another key", key: "other", lines: []string{"real-wazuh-26094"}},
	{Name: "mixed", About: "twelve lines of the corpus in turn", key: "log", lines: []string{
		"ems-adconnector", "ems-addaemonworker", "ems-update", "ems-event", "ems-error", "ems-client",
		"ems-vpn", "ems-authentication", "fct-security", "fct-vulnerability", "fgt-endpoint", "fgt-connector",
	}},
	{Name: "ems-rules", About: "EMS line, 100 rules of a user", key: "log", lines: []string{"real-wazuh-26094"}, UserRules: 100},
	{Name: "forticlient-rules", About: "FortiClient line, 100 rules of a user", key: "log", lines: []string{"real-sekoia-forticlient"}, UserRules: 100},
}

// Find returns the case with a name.
func Find(name string) (Case, error) {
	known := []string{}
	for _, c := range Cases {
		if c.Name == name {
			return c, nil
		}
		known = append(known, c.Name)
	}
	return Case{}, fmt.Errorf("no case %q, only %s", name, strings.Join(known, ", "))
}

// Chunk returns n events of the case as Fluent Bit hands them to a filter. root is
// the top of the project.
func (c *Case) Chunk(root string, n int) ([]byte, error) {
	lines := make([][]byte, len(c.lines))
	for i, folder := range c.lines {
		var err error
		if lines[i], err = FirstLine(root, folder); err != nil {
			return nil, err
		}
	}
	var chunk []byte
	for i := range n {
		chunk = AppendEvent(chunk, c.key, lines[i%len(lines)])
	}
	return chunk, nil
}

// FirstLine returns the first line of a folder of the corpus.
func FirstLine(root, folder string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(root, "test/corpus", folder, "input.log"))
	if err != nil {
		return nil, err
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	return line, nil
}

// AppendEvent appends an event as in_syslog makes it, its metadata an empty map 32.
func AppendEvent(dst []byte, key string, line []byte) []byte {
	dst = event.AppendTime(append(dst, 0x92, 0x92), 1733392800, 123456789) // 2024-12-05T10:00:00Z
	dst = append(dst, 0xdf, 0, 0, 0, 0)
	dst = msgp.AppendString(msgp.AppendMapHeader(dst, 1), key)
	return msgp.AppendBytes(dst, line)
}

// WriteInput writes a file of n equal lines: the EMS line of the corpus.
func WriteInput(file string, n int) error {
	line, err := FirstLine(".", "real-wazuh-26094")
	if err != nil {
		return err
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	for range n {
		w.Write(line)
		w.WriteByte('\n')
	}
	return errors.Join(w.Flush(), f.Close())
}

package servers

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// ErrNoFirewall means that CutOff is not possible here.
var ErrNoFirewall = errors.New("needs root and iptables with the matches owner and multiport")

// CanCutOff says whether CutOff is possible for servers that start with Options.Apart.
func CanCutOff() error {
	if os.Geteuid() != 0 {
		return ErrNoFirewall
	}
	check := (&Server{opts: Options{Port: 1, transport: 2}}).rules()
	for _, r := range check {
		for _, how := range []string{"-A", "-D"} {
			if iptables(how, r) != nil {
				return ErrNoFirewall
			}
		}
	}
	return nil
}

// CutOff drops every packet from and to a node of a cluster until back is called, so its
// connections stay open and nothing comes of them, as behind a broken switch. A process that
// is killed before back leaves the rules behind; they name only ports and group of this node.
func (s *Server) CutOff() (back func() error, err error) {
	var done [][]string
	back = func() (err error) {
		for _, r := range done {
			err = errors.Join(err, iptables("-D", r))
		}
		done = nil
		return err
	}
	for _, r := range s.rules() {
		if err := iptables("-I", r); err != nil {
			return nil, errors.Join(err, back())
		}
		done = append(done, r)
	}
	return back, nil
}

// rules drop what goes to and from the ports of the node, and what its process sends from
// other ports.
func (s *Server) rules() [][]string {
	return [][]string{
		{"INPUT", "-i", "lo", "-p", "tcp", "-m", "multiport", "--ports", fmt.Sprintf("%d,%d", s.opts.Port, s.opts.transport), "-j", "DROP"},
		{"OUTPUT", "-o", "lo", "-p", "tcp", "-m", "owner", "--gid-owner", fmt.Sprint(s.group()), "-j", "DROP"},
	}
}

// group is the group id of a server that runs apart: a number that nobody else has here.
func (s *Server) group() uint32 { return 1<<20 + uint32(s.opts.Port) }

func iptables(how string, rule []string) error {
	out, err := exec.Command("iptables", append([]string{"--wait", how}, rule...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("iptables %s %v: %w: %s", how, rule, err, out)
	}
	return nil
}

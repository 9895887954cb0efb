package reference

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"fluent-bit-fortiems/parser/arena"
	"fluent-bit-fortiems/parser/line"
)

// message makes a message in a usual notation, which begins with PRI, or without one if the
// first pair is one that lines begin with.
func (g *generator) message() string {
	pairs := func() string {
		list := []string{pick(g, []string{"date=2024-10-01 time=22:17:30", `dtime="2024-10-01 22:17:30"`, "logver=1 id=96900", `devname="FCTEMS0000000001"`}), pick(g, marks[:6])}
		for n := 1 + g.IntN(6); n > 0; n-- {
			list = append(list, pick(g, keys)+"="+pick(g, []string{`""`, "N/A", "443", "192.0.2.1", `"PC-0001"`, `"DOM\alice"`, `"<134>Oct  1 22:17:30 h ems-vpn: x"`, "\"two\nlines\"", `"a#b"`, `"it's"`, `"C:\new\#012"`}))
		}
		return strings.Join(list, " ") + ` msg="` + pick(g, []string{"offline", "VPN tunnel connected", "x=1 y=2", ""}) + `" vd="root"`
	}
	switch g.IntN(6) {
	case 0:
		return pairs()
	case 1:
		return "<134>CEF:0|Fortinet|FortiClient EMS|7.4|ems-vpn|tunnel|3|suser=jane msg=hello cnt=1"
	case 2:
		return `<134>1 2024-10-01T22:17:30Z ems1 ems-vpn 77 - - ` + pairs()
	case 3:
		return `<134>Oct  1 22:17:30 ems1 ems-vpn[77]: ` + pairs()
	case 4:
		return `<134>Oct  1 22:17:30 web1 sshd[7]: Failed password for root from 192.0.2.1`
	}
	return "<134>" + pairs()
}

// TestSeveralMessages joins random messages in the ways that relays and inputs do, and takes
// them apart again. A first message that was cut ends where the next one begins, too. The
// parser alone never takes several messages for one.
func TestSeveralMessages(t *testing.T) {
	n, seed := fromEnv(t, "FORTIEMS_DIFFERENTIAL", defaultLines)/10, fromEnv(t, "FORTIEMS_SEED", defaultSeed)
	var l line.Line
	var a arena.Arena
	failed := 0
	for i := range n {
		g := &generator{Rand: rand.New(rand.NewPCG(seed, i))}
		between := pick(g, []string{"\n", "\n", "\r\n", "\n\n", " \n ", "\x00", "\n\uFEFF", "#012", "#015#012", "#000", `\n`})
		var want []string
		text := ""
		for k := 2 + g.IntN(3); k > 0; k-- {
			m := g.message()
			if cut := m[:min(len(m), 60+g.IntN(len(m)))]; g.one(4) && k > 1 && m[0] == '<' && !strings.Contains(cut, `"<134>`) && !strings.HasSuffix(cut, `\n`) && !strings.HasSuffix(cut, "#012") {
				m = cut // by a relay; what it quotes may begin a message, \n and #012 may be framing
			}
			want = append(want, strings.TrimRight(m, " \r\n"))
			if text += m; k > 1 {
				text += between
			}
		}
		var got []string
		var all line.Messages
		for all.Reset([]byte(text)); all.More(); {
			got = append(got, strings.TrimRight(strings.TrimPrefix(string(all.Next()), "\uFEFF"), " \r\n"))
		}
		a.Reset()
		l.ReadHeader([]byte(text), &a)
		l.ReadPairs()
		if fmt.Sprint(got) != fmt.Sprint(want) || l.IsOneMessage() {
			if failed++; failed <= 5 {
				t.Errorf("%d: one message: %v; %q\n got %d %q\nwant %d %q", i, l.IsOneMessage(), text, len(got), got, len(want), want)
			}
		}
	}
	if failed > 0 {
		t.Errorf("%d of %d", failed, n)
	}
}

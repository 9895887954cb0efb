package redact

import (
	"regexp"
	"strings"
	"testing"

	"fluent-bit-fortiems/parser"
	"fluent-bit-fortiems/parser/ecs"
	"fluent-bit-fortiems/test"
)

// secret are the identities of the lines below.
var secret = []string{"10.20.30.40", "10.9.8.7", "fd00:1:2::33", "CORP-LAPTOP-7", "corp-laptop-7", "jane.doe", "jdoe", "ACME", "acme", "FCTEMS8824001234", "FCT8001112223334",
	"FG100FTK19001234", "8c:16:45:aa:bb:cc", "8C-16-45-AA-BB-CC", "3F2504E04F8911D39A0C0305E82C3301", "ems-prod", "dc7", "Sales-EMEA", "paris-fw"}

var private = []string{
	`<190>Oct  2 08:01:14 paris-fw ems-vpn: type=event subtype=ems-vpn devid=FCT8001112223334 uid=3F2504E04F8911D39A0C0305E82C3301 hostname="CORP-LAPTOP-7" user="ACME\jdoe" deviceip=10.20.30.40 devicemac=8c:16:45:aa:bb:cc emsserial=FCTEMS8824001234 pcdomain="acme.local" msg="VPN of jdoe on CORP-LAPTOP-7 (10.20.30.40, fd00:1:2::33) connected" emshostname="ems-prod.acme.local" vd="default"`,
	`dtime="2024-10-02 08:01:14" type=event subtype=ems-adconnector emsserial=FCTEMS8824001234 msg="failed to connect to AD server ldap://dc7.acme.local:389 as jane.doe@acme.com: OU=Sales-EMEA,DC=acme,DC=local"`,
	`dtime="2024-10-02 08:01:15" type=event subtype=ems-authentication emsserial=FCTEMS8824001234 msg="Login failed for user jdoe from 10.9.8.7" devicemac=8C-16-45-AA-BB-CC`,
	`date=2024-10-02 devid="FG100FTK19001234" hostname=corp-laptop-7 user=jane.doe srcip=10.20.30.40 file="C:\Users\jdoe\a.exe" url="https://intranet.acme.com/x" fctver=7.2.8.1140 os="Microsoft Windows 11, 64-bit (build 22631)" emsserial=FCTEMS8824001234 msg="Found virus in a.exe"`,
	`2024-10-02T08:01:14.112143+00:00 paris-fw Oct  2 08:01:14 ems-prod type=event hostname=""CORP-LAPTOP-7"" emsserial=FCTEMS8824001234 msg=""offline""`,
	`CEF:0|Fortinet|FortiClient EMS|7.4|100|Endpoint offline|3|shost=CORP-LAPTOP-7 suser=jane.doe src=10.20.30.40 cs1=ACME\\jdoe cs1Label=account`,
	`{"emsserial":"FCTEMS8824001234","user":"ACME\\jdoe","hostname":"CORP-LAPTOP-7","file":"C:\\Users\\jdoe\\a.exe","msg":"CORP-LAPTOP-7 offline"}`,
	`<Event><System><Computer>CORP-LAPTOP-7.acme.local</Computer></System><EventData><Data Name='SubjectUserName'>jane.doe</Data><Data Name='SubjectDomainName'>ACME</Data><Data Name='IpAddress'>10.20.30.40</Data></EventData></Event> emsserial=FCTEMS8824001234`,
}

func TestNoIdentityIsLeft(t *testing.T) {
	r := New()
	for _, line := range private {
		got := r.Line(line)
		for _, s := range secret {
			if regexp.MustCompile(`(?i)(^|[^a-z0-9])` + regexp.QuoteMeta(s) + `($|[^a-z0-9])`).MatchString(got) {
				t.Errorf("%q remains in\n%s", s, got)
			}
		}
	}
}

func TestTheSameValueBecomesTheSame(t *testing.T) {
	r := New()
	var lines []string
	for _, line := range private {
		lines = append(lines, r.Line(line))
	}
	pick := func(line int, pattern string) string {
		m := regexp.MustCompile(pattern).FindStringSubmatch(lines[line])
		if m == nil {
			t.Fatalf("%s: not in %s", pattern, lines[line])
		}
		return strings.ToLower(m[1])
	}
	for what, same := range map[string][2]string{
		"address":      {pick(0, `deviceip=(\S+)`), pick(3, `srcip=(\S+)`)},
		"in its text":  {pick(0, `deviceip=(\S+)`), pick(0, `on host\d+ \(([\d.]+),`)},
		"host":         {pick(0, `hostname="(\w+)"`), pick(3, ` hostname=(\w+)`)},
		"serial":       {pick(0, `emsserial=(\S+)`), pick(3, `emsserial=(\S+)`)},
		"user":         {pick(0, `user="\w+\\(\w+)"`), pick(2, `user (\w+) from`)},
		"profile":      {pick(0, `user="\w+\\(\w+)"`), pick(3, `C:\\Users\\(\w+)\\`)},
		"MAC":          {strings.ReplaceAll(pick(0, `devicemac=(\S+)`), ":", "-"), pick(2, `devicemac=(\S+)`)},
		"JSON profile": {pick(0, `user="\w+\\(\w+)"`), pick(6, `C:\\\\Users\\\\(\w+)\\`)},
		"XML user":     {pick(3, `user=(\w+)`), pick(7, `SubjectUserName'>(\w+)<`)},
		"mail address": {pick(1, `as (\w+)@`), pick(3, `user=(\w+)`)},
	} {
		if same[0] != same[1] {
			t.Errorf("%s: %q and %q", what, same[0], same[1])
		}
	}
	if lines[0] == lines[3] || pick(0, `deviceip=(\S+)`) == pick(2, `from ([\d.]+)`) {
		t.Error("two addresses got the same replacement")
	}
	if again := New().Line(private[0]); again != lines[0] {
		t.Errorf("a second run gives\n%s\nthe first\n%s", again, lines[0])
	}
}

func TestWhatRulesReadStays(t *testing.T) {
	r := New()
	for _, line := range []string{
		`fctver=7.2.8.1140 id=96534 level=warning msg="User disabled Realtime AntiVirus protection" os="Microsoft Windows 11, 64-bit (build 22631)"`,
		`dtime="2024-10-02 08:26:31" type=event subtype=ems-update msg="EMS upgraded from 7.4.0 to 7.4.1" vd="default"`,
		`type=event subtype=ems-authentication msg="User logged off" user="admin" file="setup.exe" time="08:01:14"`,
		`<134>1 2024-10-02T08:01:51.123Z`,
	} {
		if got := r.Line(line); got != line {
			t.Errorf("%s\nbecomes\n%s", line, got)
		}
	}
	for line, want := range map[string]string{
		`{"log":"<134>Oct  1 22:17:30 dc7 ems-vpn[7]: user=\"jane\" msg=\"up\"\n"}`:                            `{"log":"<134>Oct  1 22:17:30 host1 ems-vpn[7]: user=\"user1\" msg=\"up\"\n"}`,
		`<134>Okt  1 22:17:30 dc7 ems-vpn[7]: x=1`:                                                             `<134>Okt  1 22:17:30 host1 ems-vpn[7]: x=1`,
		`<134>Oct  1 22:17:30 CEST dc7 ems-vpn[7]: hostname=dc7 x=1`:                                           `<134>Oct  1 22:17:30 CEST host1 ems-vpn[7]: hostname=host1 x=1`,
		`msg="Group CN=Finance,DC=acme,DC=local synchronised by svc_ldap@acme.local"`:                          `msg="Group CN=unit1,DC=unit2,DC=local synchronised by user1@example.com"`,
		`<Data Name='SubjectUserName'>jane.doe</Data><Data Name='IpAddress'>10.1.2.3</Data> emsserial=FCTEMS1`: `<Data Name='SubjectUserName'>user1</Data><Data Name='IpAddress'>192.0.2.1</Data> emsserial=FCTEMS1`,
	} {
		if got := New().Line(line); got != want {
			t.Errorf("%s\nbecomes\n%s", line, got)
		}
	}
}

// TestCorpusKeepsItsCategories checks that a redacted line keeps its wording, category
// and keys.
func TestCorpusKeepsItsCategories(t *testing.T) {
	cases, err := test.Corpus()
	if err != nil || len(cases) < 30 {
		t.Fatal(len(cases), err)
	}
	p, r, changed := parser.New(parser.Options{}), New(), 0
	for _, c := range cases {
		if strings.HasPrefix(c.Name, "quirk-values") {
			continue // hostile lines with names of keys as values
		}
		for _, row := range c.Rows {
			line, got := row.Line, r.Line(row.Line)
			if got != line {
				changed++
			}
			var before, after parser.Event
			received := ecs.Instant{Sec: 1733392800}
			a, b := p.Parse(&before, []byte(line), received), p.Parse(&after, []byte(got), received)
			if a != b || before.Decision.Category != after.Decision.Category || len(before.Line.Pairs.List) != len(after.Line.Pairs.List) {
				t.Errorf("%s: %s with %d pairs becomes %s with %d\n%s\n%s", c.Name, before.Decision.Category, len(before.Line.Pairs.List), after.Decision.Category, len(after.Line.Pairs.List), line, got)
			}
		}
	}
	if changed < 400 {
		t.Errorf("only %d lines changed", changed)
	}
}

// FuzzLine checks that nothing panics, no line is added, and a separate address is replaced.
func FuzzLine(f *testing.F) {
	for _, line := range private {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		line = strings.ReplaceAll(line, "\n", " ")
		got := New().Line("srcip=10.77.66.55 " + line)
		if strings.Contains(got, "srcip=10.77.66.55 ") || strings.Contains(got, "\n") {
			t.Errorf("%q", got)
		}
	})
}

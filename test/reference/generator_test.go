package reference

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"fluent-bit-fortiems/parser/dict"
	"fluent-bit-fortiems/parser/rules"
)

// generator makes incoming records: lines of a grammar, lines of the corpus, and
// either with mutations.
type generator struct {
	*rand.Rand
	corpus []string
}

func pick[T any](g *generator, from []T) T { return from[g.IntN(len(from))] }

// one reports true once in n times.
func (g *generator) one(n int) bool { return g.IntN(n) == 0 }

func (g *generator) sample() sample {
	line := ""
	switch g.IntN(3) {
	case 0:
		line = pick(g, g.corpus)
	default:
		line = g.grammar()
	}
	if !g.one(3) {
		for n := 1 + g.IntN(4); n > 0; n-- {
			line = g.mutate(line)
		}
	}
	s := sample{in: []Incoming{{"message", line}}}
	if g.one(2) {
		s.in[0] = Incoming{"log", []byte(line)}
	}
	for _, p := range []Incoming{
		{"source", "192.0.2.1"}, {"host", map[string]any{"a": "b"}}, {"event", []byte(line)}, {"n", int64(7)}, {"labels", []any{"x", int64(1)}},
		{"fortinet_ems_x", true}, {"labels_y", "z"}, {"event_code", 1.5}, {"tag", []byte("\xff")}, {"user", "a\xffb"}, {"url", nil},
	} {
		if g.one(12) {
			s.in = append(s.in, p)
		}
	}
	if g.one(2) && len(s.in) > 1 {
		s.raw = len(s.in) - 1
		s.in[0], s.in[s.raw] = s.in[s.raw], s.in[0]
	}
	return s
}

var headers = []string{
	"", "", "<134>", "<0>", "<191>", "<192>", "<999>", "<>", "12 <13>", "123456789 <13>", "  ",
	"<134>Oct  1 22:17:30 emshost ", "<134>Oct 11 22:17:30 192.0.2.1 ems[42]: ", "Oct  1 22:17:30s ", "Feb 29 01:02:03 h ",
	"<13>oct 1 22:17:30 h ems-vpn: ", "<13>Oct 01 2023 22:17:30.25 h app: ", "<13>Oct 11 22:17:30 ems_client ", "Oct 32 22:17:30 ",
	"2024-10-01T22:17:30.112143+00:00 Oct  1 22:17:30s ", "2024-10-01T22:17:30Z host app: ", "2024-10-01 22:17:30 ",
	"2024/10/01 22:17:30,5-0330 ", "2024-10-01T22:17:30+02:00 ", "2024-10-01T24:17:30Z ", "2024-10-01T22:17:30: x ",
	"<134>1 2024-10-01T22:17:30.112143Z emshost.example.com ems 42 ID47 - ", "<134>1 - - - - - - ", "<134>1 - h - - -",
	`<134>1 2024-10-01T22:17:30+02:00 emshost ems - - [ems@1 note="a \"q\" \] \\" iut="3"][meta a="1" a="2"] `,
	`<13>1 2024-10-01T22:17:30+02:00 h ems-error 1 2 [x][y z][x ="e" _="f"]`, "1 2024-10-01T22:17:30Z h ", "1 - h a ",
	"<13>1 2024-10-01T22:17:30Z h a p m \uFEFF", "<13>1 2024-10-01T22:17:30Z  h a", "ems-vpn ", "app[]: ", "[x]", "some words before ",
	"@cee:", "@cee: ", "<13>Oct  1 22:17:30 h @cee: ", strings.Repeat("t", 48) + ": ", strings.Repeat("t", 49) + ": ", "<13>Oct  1 22:17:30 " + strings.Repeat("h", 255) + " ",
	"<13>Oct  1 22:17:30 " + strings.Repeat("h", 256) + " ", "<13>1 - " + strings.Repeat("h", 255) + " a p m - ", "<13>1 - " + strings.Repeat("h", 256) + " a p m - ",
	"12345678 <13>", "a: b: ", "1999-12-31 23:59:59 ", "Jan  1 00:00:00 ", "Dec 31 23:59:59 h t: ",
	"<13>Oct  1 22:17:30 ems-01 ", "<13>Oct  1 22:17:30 ems-01 sshd[1]: ", "<13>Oct  1 22:17:30 EMS_vpn ems-vpn: ", "<13>Oct  1 22:17:30 ems-vpn x[1] ",
	"<13>Oct  1 22:17:30 ems-policy Error: ", "<13>Oct  1 22:17:30 ems-policy EMS_Update ", "Oct  1 22:17:30 ems-vpn-01 h ", "ems-quux ", "EMS_ems-vpn: ", "ems-quux[3] ", "Oct  1 22:17:30 h ems-quux ",
	"2024-10-01T22:17:30 +0200 h ", "2024-10-01 22:17:30.5 -05:30 h ems-event[7]: ", "2024-10-01T22:17:30 +02 h ", "2024-10-01T22:17:30 -0:30 h ", "2024-10-01T22:17:30Z +0200 h ", "2024-10-01T22:17:30 +02000 h ",
	"Oct  1 22:17:30 2023 h ", "Feb 29 22:17:30 2023 h ", "Oct  1 22:17:30 2023", "Oct  1 22:17:30 20234 ", "Oct  1 2023 22:17:30 2024 ",
}

var marks = []string{
	"emsserial=FCTEMS0000000001", `emsserial="FCTEMS0000000001"`, `emshostname=""`, `fctver="7.2.8.1140"`, "fctsn=FCT8000000000001",
	"fctuid=A10B23C53766789D8B95D4EAC96B1921", "devid=FCT8000000000001", `devname="FCTEMS0000000001"`, "subtype=ems-vpn", "type=EMS_Policy",
	"id=96900", "id=96501", "id=98000", `logid="0107045057"`, `logid="0112053203"`, `log_id=0107045071`, "id=712345678 logid=0107045057",
	`devid="FG100ETK20000000"`, "", "module=x.ems-client", "subtype=policy type=ems-event",
}

var times = []string{
	`dtime="2024-10-01 22:17:30"`, `dtime=2024-10-01T22:17:30Z`, `date=2024-10-01 time=22:17:30`, `date="2024-10-27" time="02:30:00"`,
	`date=2024-03-31 time=02:30:00`, `date=2024-02-30 time=10:00:00`, `date=2024-10-01 time=22:17:30+05:00`, "timestamp=1727821050",
	"itime=1727821050", "itime=1727813850", "timestamp=1727801250", "eventtime=1727821050123456789", "eventtime=1727821050123", "eventtime=1727821050.5",
	"eventtime=17278210501234567890", "itime=123456", `tz="+0100"`, `tz="-0330"`, "tz=UTC", "tz=CET", `tz="GMT+1"`, "tz=+05:45", "tz=Z",
	`dtime="2024-10-01 22:17:30.250"`, `dtime="1999-10-01 22:17:30"`, "eventtime=4102444800", `time=22:17:30`, `date=2024-10-01`,
	`dtime="2024-10-01 22:17:30 x"`, `dtime="2024-10-01 22:17:30 +0530"`, `date=2024-10-01 time="22:17:30  GMT"`, `time="22:17:30 " date=2024-10-01`, "timestamp=1727821050000", "timestamp=1727821045", "itime=1727821044", "timestamp=1727821055", "timestamp=1727821056", `dtime="2024/10/01 22:17:30"`,
}

var values = []string{
	"", `""`, "N/A", `"N/A"`, "(null)", "-", "0", "00", "1", "7", "443", "65535", "65536", "-1", "007", "99999999999999999999", "6", "17", "TCP",
	"192.0.2.1", "192.0.2.01", "2001:db8::1", "fe80::1%eth0", "::ffff:192.0.2.1", "192.0.2.1,192.0.2.2", `"192.0.2.1; 2001:db8::1;"`, "192.0.2.1,,",
	"a1-b2-c3-4d-38-a6", "A1:B2:C3:4D:38:A6", "a1b2.c34d.38a6", "a1b2c34d38a6", "a1b2c34d38a6;", "a1-b2-c3-4d-38-a6;00:00:5E:00:53:01", "a1:-b2c34d38a6",
	"a1-b2:c3-4d-38-a6", "host", `"PC-0001"`, "alice", `"DOM\alice"`, "alice@example.com", "alice@DOM", `"a\b@c"`, `\x`, `x\`, "@x", "x@",
	`"macOS 14.1.1"`, `"Microsoft Windows 11 Professional Edition, 64-bit (build 22000)"`, "Windows Server 2019", "Ubuntu 22.04.3 LTS", "iOS 17,", "Linux",
	"https://u:p@example.com:8443/a/b?c=d#e", "/a?b=1&c=2", "http://", "ftp://[2001:db8::1]:21/x", "://x", "example.com/x", `"/a?"`, "http://h?q", "a/b://c",
	`"C:\Program Files\a.exe"`, "/usr/bin/x", `C:\dir\`, "chrome.exe", "deadbeef", "d41d8cd98f00b204e9800998ecf8427e", "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709",
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "CVE-2024-1234", "7.5", "1.2.3", ".", "a,b;c", ",", ";", "outbound", "Incoming", "unknown",
	"webfilter", "system", "Info", "warning", "CRITICAL", "event", "admin", "FCT8000000000001", "FCTEMS0000000002", "FG100ETK20000000", "fg1", "200", "600",
	`"a "b" c"`, `"a \"b\" c"`, `""v""`, `"""`, `"x=1 y=2"`, `"said "user=alice" and"`, "two words", " lead", `"é ü"`, `"open`, "'single'", "a=b", `"a" `,
	`<a b="c"/>`, `<a b="c"><d e='f'/></a>`, `<a></a> x`, "<1>", `{"x":1}`, "  ", `"\"`, `"\\"`, `\"q\"`, "ems-vpn", "adconnector", "0x000178f4",
}

var oddKeys = []string{"x", "X.Y-z", "_a", "9z", "raw_type", "raw_category", "header_text", "cs1", "CS1Label", "é", "", strings.Repeat("k", 64), strings.Repeat("k", 65), strings.Repeat("K", 70), "a b", "-a", ".a", "FTNTFGTuser", "src", "dst", "cat", "act", "rt"}

// typed are values that fit keys, so that fields meet one another.
var typed = func() map[string][]string {
	all := map[string][]string{}
	for names, values := range map[string][]string{
		"srcip locip dstip deviceip regip ip user": {"192.0.2.1", "192.0.2.2", "2001:db8::1", "alice", "192.0.2.1;192.0.2.2", strings.Repeat("192.0.2.1,", 64), strings.Repeat("192.0.2.1,", 65)},
		"remotename hostname srcname destaddr remotegw name": {"www.example.com", "PC-0001", "192.0.2.9", "2001:db8::9", `C:\x\y.exe`, "/bin/z",
			"www.example.com:443", "192.0.2.9:0", "192.0.2.9:65536", "[2001:db8::9]:443", "[2001:db8::9]", "[x]:80", "a b:80", ":80", "x:", "https://x:80", "C:80", "x:000443"},
		"srcport dstport destport gatewayport":          {"0", "443", "80", "00", "70000", "x"},
		"sentbyte rcvdbyte filesize httpcode":           {"0", "1", "200", "404", "99", "1.5", "999999999999999999", "1000000000000000000"},
		"devicemac srcmac":                              {"a1-b2-c3-4d-38-a6", "A1:B2:C3:4D:38:A7", "a1b2c34d38a6", "a1-b2-c3-4d-38-a6,00-00-5e-00-53-01", "x"},
		"user eapuser vpnuser username domain pcdomain": {"alice", `DOM\alice`, `DOM\\alice`, `DOM\\`, `\\alice`, "alice@example.com", "bob", "EXAMPLE"},
		"url vendorurl":                                 {"https://www.example.com/a?b=c#d", "/a?b", "http://u@192.0.2.9:80", "x://y:z/w", "abcdefghijklmno://h/p", "abcdefghijklmnop://h/p", "#", "?"},
		"file path app srcname":                         {`C:\a\b.exe`, "/a/b", "b.exe", `C:\a\`, "/"},
		"checksum analyticscksum":                       {"d41d8cd98f00b204e9800998ecf8427e", "D41D8CD98F00B204E9800998ECF8427E", "d41d8cd98f00b204e9800998ecf8427f", "deadbeef", strings.Repeat("aB", 64), strings.Repeat("0g", 20)},
		"vulnref cveid vulncat vulncvss vulnseverity":   {"CVE-2024-1", "cve-2024-2", "https://example.com/x", "a, b;c", "9.8", "9", "x", strings.Repeat("a,", 64), strings.Repeat("a,", 65)},
		"proto":     {"1", "6", "17", "58", "47", "256", "TCP", "udp", "a b"},
		"direction": {"inbound", "Outgoing", "up", "unknown"},
		"os":        {"macOS 14.1.1", "Windows Server 2019 x", "Microsoft Windows 11 Pro", "microsoft linux", "Ubuntu", "ios 17;", "Linux Mint 21", "Windowsx"},
		"devid device_id fctsn emsserial fctemssn":      {"FCT8000000000001", "FCTEMS0000000001", "FG100ETK20000000", "FCTEMS0000000002", "fct1", "x"},
		"emshostname fctemsname devname":                {"ems1", "ems2", "FCTEMS0000000001"},
		"type subtype logtype log_type module utmevent": {"event", "ems-vpn", "EMS_update.x", "adconnector", "webfilter", "system", "ems-quux", "client"},
		"level":           {"info", "Warning", "emerg", "x", "3"},
		"id logid log_id": {"96900", "96501", "97001", "0107045057", "0107100000", "0112053203", "712345678", "0000000013"},
		"virus vid sigid viruscat ruleuuid reason failed_reason service": {"HTTPS", "a", "b"},
		"msg logdesc": {"offline", `"user \"x\" failed"`, "N/A", `"a b=c d"`},
	} {
		for _, k := range strings.Fields(names) {
			all[k] = append(all[k], values...)
		}
	}
	for _, name := range []string{"adconnector", "addaemonworker", "update", "event", "error", "client", "vpn", "authentication", "policy", "network"} {
		for _, k := range []string{"type", "subtype", "module"} {
			all[k] = append(all[k], name, "EMS_"+name)
		}
	}
	for key, conditions := range map[string]string{"type": "type", "subtype": "subtype", "id": "id", "logid": "id"} {
		for _, v := range ruleTexts(conditions) {
			all[key] = append(all[key], strings.Replace(v, "*", "7", 1), strings.Replace(v, "*", "045057", 1))
		}
	}
	for _, list := range all { // which were filled in the order of maps
		slices.Sort(list)
	}
	return all
}()

// ruleTexts returns the texts of some keys in the files of the built-in rules.
func ruleTexts(keys ...string) (all []string) {
	files, err := fs.Glob(rules.Files, "*.yaml")
	if err != nil {
		panic(err)
	}
	var texts func(n *yaml.Node, in bool)
	texts = func(n *yaml.Node, in bool) {
		switch {
		case n.Kind == yaml.MappingNode:
			for i := 0; i < len(n.Content); i += 2 {
				texts(n.Content[i+1], in || slices.Contains(keys, n.Content[i].Value))
			}
		case n.Kind == yaml.ScalarNode && in && !strings.HasPrefix(n.Value, "$") && !strings.HasPrefix(n.Value, "(?i)"):
			all = append(all, n.Value)
		default:
			for _, item := range n.Content {
				texts(item, in)
			}
		}
	}
	for _, file := range files {
		text, err := rules.Files.ReadFile(file)
		if err != nil {
			panic(err)
		}
		var n yaml.Node
		if err := yaml.Unmarshal(text, &n); err != nil {
			panic(err)
		}
		texts(&n, false)
	}
	return all
}

// wordings are the phrases of the built-in rules, those of the outcome more often.
var wordings = func() (all []string) {
	phrases := ruleTexts("lists", "words", "all_words", "not_words")
	for range 3 {
		phrases = append(phrases, ruleTexts("ignore", "failure", "success", "negation", "future")...)
	}
	for _, p := range phrases {
		if p, prefix := strings.CutSuffix(p, "*"); prefix {
			all = append(all, p)
		} else {
			all = append(all, p+" ")
		}
	}
	return all
}()

// message makes a text of phrases that rules look for.
func (g *generator) message() string {
	s := ""
	for n := 1 + g.IntN(5); n > 0; n-- {
		p := pick(g, wordings)
		if g.one(4) {
			p = strings.ToUpper(p)
		}
		if !strings.HasSuffix(p, " ") {
			p += pick(g, []string{"s ", "ed ", " ", "é ", ""})
		}
		s += p + pick(g, []string{"", "", "x ", "- ", "0 ", "\\\"", "user "})
	}
	return strings.TrimSuffix(s, " ")
}

var stateValues = ruleTexts("field_failure", "field_success", "fields")

// states are the fields that tell of an outcome or of an action.
var states = []string{"status", "action", "result", "vpnstate", "utmaction", "threat", "eventtype", "utmevent"}

// pair is one key=value pair, half of the time of a value that fits.
func (g *generator) pair() string {
	switch g.IntN(20) {
	case 0, 1:
		return `msg="` + g.message() + `"`
	case 2:
		return pick(g, states) + "=" + pick(g, stateValues)
	}
	k := g.key()
	v := pick(g, values)
	if fitting := typed[k]; fitting != nil && g.one(2) {
		if v = pick(g, fitting); g.one(2) && v[0] != '"' {
			v = `"` + v + `"`
		}
	}
	return k + "=" + v
}

func (g *generator) key() string {
	if g.one(5) {
		return pick(g, oddKeys)
	}
	return pick(g, keys)
}

var keys = append(dict.Names()[1:], "msg", "msg", "user", "ip", "hostname", "type", "subtype", "level", "url", "remotename", "srcport")

// grammar makes a line: header, then a body in one of the forms of the wire.
func (g *generator) grammar() string {
	head := pick(g, headers)
	if g.one(10) {
		head = fmt.Sprintf("<%d>%s %2d %02d:%02d:%02d h ", g.IntN(200), pick(g, months), g.IntN(33), g.IntN(25), g.IntN(61), g.IntN(61))
	}
	if g.one(15) {
		head += pick(g, headers)
	}
	switch g.IntN(10) {
	case 0:
		return head + g.json()
	case 1:
		return head + g.cef()
	case 2:
		return head + `<Event xmlns="x y=1"><System a="b"/></Event> ` + g.pairs()
	}
	return head + g.pairs()
}

func (g *generator) pairs() string {
	parts := []string{pick(g, marks)}
	for n := g.IntN(12); n > 0; n-- {
		if g.one(4) {
			parts = append(parts, pick(g, times))
		} else {
			parts = append(parts, g.pair())
		}
	}
	if g.one(50) { // more keys than a small table holds, some twice
		for n := 20 + g.IntN(150); n > 0; n-- {
			parts = append(parts, fmt.Sprintf("k%d=%d", g.IntN(120), n))
		}
	}
	if g.one(200) {
		parts = append(parts, g.key()+`="`+strings.Repeat(pick(g, []string{"x", "é", "a ", "a=", `\"`}), 1<<g.IntN(16))+`"`)
	}
	g.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	line := strings.Join(parts, pick(g, []string{" ", " ", " ", "  ", "\t", " \r\n", "\v"}))
	return line + pick(g, []string{"", "", " ", "\n", "\r\n", "\x00", " \x00\n", "\t"})
}

func (g *generator) json() string {
	parts := []string{`"emsserial":"FCTEMS1"`}
	for n := g.IntN(8); n > 0; n-- {
		v := pick(g, []string{fmt.Sprintf("%q", pick(g, []string{"x", "N/A", "192.0.2.1", "a=b", "ems-vpn", "443"})), "1", "1.50", "true", "null", `{"a": [1, {"b":null}]}`, "[ ]", `"\u00e4\ud800"`, `"a\nb"`, "1e3"})
		parts = append(parts, fmt.Sprintf("%q: %s", g.key(), v))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func (g *generator) cef() string {
	head := []string{"CEF:0", pick(g, []string{"Fortinet", "fortinet", "Acme"}), pick(g, []string{"FortiClient EMS", "FORTICLIENT", "FortiEMS", "Fortigate"}), "7.4",
		pick(g, []string{"96900", "0107045057", "", "x"}), pick(g, []string{"ems-vpn a", `a \| b \\`, "offline", ""}), "5"}
	if g.one(6) {
		head = head[:1+g.IntN(len(head))]
	}
	parts := []string{""}
	for n := g.IntN(8); n > 0; n-- {
		k := pick(g, []string{"src", "spt", "dst", "suser", "shost", "cat", "rt", "act", "fileHash", "FTNTFGTlevel", "FortinetFortiClientEMSos", "msg", "deviceExternalId", "cs1", "in", "request"})
		parts = append(parts, k+"="+pick(g, []string{"x", "192.0.2.1", "1727821050123", `a\=b c`, `\\ \| \n\r \q`, "", "ems-policy", "two words ", "443", `end\`}))
	}
	return strings.Join(head, "|") + "|" + strings.Join(parts[min(1, len(parts)-1):], " ")
}

var insertions = []string{
	`"`, `\"`, `""`, `" `, ` "`, `\`, `\\`, " ", "  ", "\t", "=", "= ", " =", "\r", "\n", "\x00", "\xff", "\xc3", "\xe2\x82", "é", "<", ">", "]", "[", "|", "{", "}",
	"CEF:", "CEF:0|Fortinet|FortiClient|", "ems-vpn", " ems_x ", " a=", " b=\"", " srcport=0", " user=bob", " type=event", ` msg="x`, ` tz="+0100"`, "</a>", "<a ", ":", ",", ";", "-",
	" N/A", "0", "9", "Z", "<13>", "1 ",
}

func (g *generator) mutate(s string) string {
	at := g.IntN(len(s) + 1)
	switch g.IntN(8) {
	case 0: // another byte
		if at < len(s) {
			return s[:at] + string([]byte{byte(g.IntN(256))}) + s[at+1:]
		}
	case 1: // a bit
		if at < len(s) {
			return s[:at] + string([]byte{s[at] ^ 1<<g.IntN(8)}) + s[at+1:]
		}
	case 2: // a piece less
		return s[:at] + s[min(len(s), at+1+g.IntN(20)):]
	case 3: // cut short
		return s[:at]
	case 4: // a pair once more
		if words := strings.Split(s, " "); len(words) > 1 {
			i := g.IntN(len(words))
			key, _, _ := strings.Cut(words[i], "=")
			return s + " " + key + "=" + pick(g, values)
		}
	case 5: // another header
		return pick(g, headers) + s
	}
	return s[:at] + pick(g, insertions) + s[at:]
}

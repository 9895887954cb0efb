package reference

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"fluent-bit-fortiems/parser/dict"
)

// generator makes lines: of a grammar, of the corpus, and either with mutations.
type generator struct {
	*rand.Rand
	corpus []string
}

func pick[T any](g *generator, from []T) T { return from[g.IntN(len(from))] }

// one reports true once in n times.
func (g *generator) one(n int) bool { return g.IntN(n) == 0 }

func (g *generator) line() string {
	s := ""
	if g.one(3) {
		s = pick(g, g.corpus)
	} else {
		s = g.grammar()
	}
	if !g.one(3) {
		for n := 1 + g.IntN(4); n > 0; n-- {
			s = g.mutate(s)
		}
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
	"<13>Oct  1 22:17:30 h adconnector[7]: ", "regworker: ", "fcems_ka ", "<13>Oct  1 22:17:30 ems-reg fcems_probe ", "monitor[1]: ", "<13>1 2024-10-01T22:17:30Z h tagworker - - - ",
	"2024-10-01T22:17:30 +0200 h ", "2024-10-01 22:17:30.5 -05:30 h ems-event[7]: ", "2024-10-01T22:17:30 +02 h ", "2024-10-01T22:17:30 -0:30 h ", "2024-10-01T22:17:30Z +0200 h ", "2024-10-01T22:17:30 +02000 h ",
	"Oct  1 22:17:30 2023 h ", "Feb 29 22:17:30 2023 h ", "Oct  1 22:17:30 2023", "Oct  1 22:17:30 20234 ", "Oct  1 2023 22:17:30 2024 ",
}

// Parts of headers as relays make them.
var (
	stamps = []string{
		"Oct  1 22:17:30", "Oct  1 22:17:31", "Oct 1 2:17:30", "Oct  1 22:17:30 CEST", "Oct 01 2024 22:17:30.129 CEST:", "Tue Oct  1 22:17:30 2024", "Tue, 01 Oct 2024 22:17:30 +0200",
		"Tue Oct 01 2024 22:17:30 -06:00", "Tue Oct  1 22:17:30 IST 2024", "2024 Oct  1 22:17:30", "1727821050.640442956", "1727821050", "1727821050123", "20241001T221730Z", "20241001T221730.5+0200",
		"2024-10-01T22:17:30.635322+02:00", "2024-10-01 22:17:30", "2024-10-1 9:07:03 PM", "2016-12-31T23:59:60Z", "2025-11-31T14:59:16Z", "Nov 31 14:59:16", "*Oct  1 22:17:30.5:", "01-Oct-2024 10:17:30PM",
		"01/Oct/2024:22:17:30 +0200", "2024-10-01T24:00:00Z", "Oct  1 24:00:00", "2024-10-01 22:17:30 Europe/Berlin", "Oct  1 22:17:30 Europe/Berlin", "2024-10-27 02:30:00 Europe/Berlin", "2024-10-01T22:17:30\u221205:00", "2024-10-01 22:17:30 \u22125", "2024-10-01 22:17:30 +02", "Oct  1 22:17:30 +2", "2024-10-01 22:17:30 -2:00", "2024-10-01 22:17:30 +0", "20241001221730",
		"20241001221730.5Z", "20249901221730", "TUE OCT 1 22:17:30 2024", "Sept  1 22:17:30", "tuesday october 1 2024 22:17:30", "2024-10-01_22:17:30", "2024/10/01-22:17:30", "22:17:30 sept 1 2024", "2024-10-01 22:17:30 +0200 CEST", "Oct  1 22:17:30 GMT+2 2024", "October 1 2024 22:17:30 (PST)", "2024-10-01T22:17:31.591779133Z stdout F", "Oct  1 22:17:30s", "-", "",
	}
	hosts = []string{"ems1", "ems1:", "ems1 :", "ems1 ems1", "ems1@relay1", "ems1/relay1", "[2001:db8::1]", "2001:db8::1", "[192.0.2.1]", "ems1.example.com", "Local7.Info ems1", "ems1 local7.info", "ems1 INFO", "[ems1]", "ems-01", "Sun", "000123: ems1:", "45:", "-", ""}
	tags  = []string{"ems-vpn[77]:", "ems-vpn:", "ems_vpn", "EMS-VPN[7]", "ems-vpn[77] :", "ems-quux", "ems-quux[1]:", "FortiEMS[11]:", "FortiEMS:", "adconnector[123]:", "a/b[-]:", "words ems-vpn[77]:", "app: words ems-vpn:", "ems1 7 - -", ""}
	junk  = []string{"", "", "", "\uFEFF", "\x00", " ", "\n", "\r\n ", " \uFEFF", "12 ", "\n34  "}
)

// relayed makes a header of a sender, with those of relays before it.
func (g *generator) relayed() string {
	head := ""
	for n := 1 + g.IntN(3); n > 0; n-- {
		head += pick(g, junk) + pick(g, []string{"<134>", "<13>", "<134> ", "<134>1 ", "<134> 1 ", "<999>", "<134>: ", "", ""}) + pick(g, junk) + pick(g, stamps) + " "
		if !g.one(4) {
			head += pick(g, hosts) + " "
		}
		if n == 1 || g.one(3) {
			head += pick(g, tags) + " " + pick(g, []string{"", "", "- - ", "- - - "})
		}
	}
	return head + pick(g, junk)
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
	"itime=1727821050", "itime=1727813850", "itime_t=1727821050", "itime_t=1727813852", "timestamp=1727801250", "eventtime=1727821050123456789", "eventtime=1727821050123", "eventtime=1727821050.5",
	"eventtime=17278210501234567890", "itime=123456", `tz="+0100"`, `tz="-0330"`, "tz=UTC", "tz=CET", `tz="GMT+1"`, "tz=+05:45", "tz=Z",
	`dtime="2024-10-01 22:17:30.250"`, `dtime="1999-10-01 22:17:30"`, "eventtime=4102444800", `time=22:17:30`, `date=2024-10-01`,
	`dtime="2024-10-01 22:17:30 x"`, `dtime="2024-10-01 22:17:30 +0530"`, `date=2024-10-01 time="22:17:30  GMT"`, `time="22:17:30 " date=2024-10-01`, "timestamp=1727821050000", "timestamp=1727821045", "itime=1727821044", "timestamp=1727821055", "timestamp=1727821056", `dtime="2024/10/01 22:17:30"`,
	`dtime="2024-10-01 22:17:30.252538723 +0000 UTC"`, `dtime="2024-10-01 22:17:30.25 +0200 CEST m=+0.00123"`, `dtime="Tue, 01 Oct 2024 22:17:30 +0200"`, `date=2024-10-1 time="9:07:03 PM"`, "dtime=1727821050", "dtime=1727821050123",
	"timestamp=2024-10-01T22:17:30+02:00", `timestamp="2024-10-01 22:17:30"`, `itime="2024-10-01 22:17:30"`, "eventtime=2024-10-01T22:17:30.5Z", "tz=Europe/Berlin", "tz=America/New_York", "tz=Nowhere/X", "tz=CEST", "tz=IST", `tz="(GMT+1:00) Berlin"`,
	`date=2024-11-03 time=01:30:00`, `dtime="2024-04-07 01:45:00"`, `date=2016-12-31 time=23:59:60`, "eventtime=2016-12-31T23:59:60Z",
}

// Parts of times in forms that are not usual.
var (
	looseDates = []string{"2024-10-01", "2024/10/1", "10/1/2024", "13/10/2024", "10/13/2024", "10/10/2024", "10/1/24", "01.10.2024", "1.10.24", "2024.10.01", "13-10-2024", "1-2-2024", "20241001", "2024-Oct-01", "01-Oct-24", "1/october/2024", "2024-02-30", "2024-12-31",
		"Oct 1st, 2024", "01 Oct 24", "October 1, 2024", "Tues Oct. 1 2024", "1Oct2024", "2 sept 2024", "99.99.2024", ""}
	looseClocks = []string{"22:17:30", "22:17", "9:07", "9:7:3", "22:17:30,250", "22:17:30.123456789123", "22:17:30:250", "221730", "2217", "24:00:00", "24:00", "23:59:60", "10:17:30 PM", "10:17PM", "12:00 a.m.", "10:17:30 pm", "at 22:17", "221730.5", "22:1", ""}
	looseZones  = []string{"Z", "z", "+0200", "+02", "+2", "+2:00", "+200", "+0", "+02:00:00", "−0500", "-0330", "CEST", "cest", "(CEST)", "IST", "GMT+2", "gmt +02:00", "UTC", "(UTC+02:00) Amsterdam, Berlin", "(GMT+1:00)Berlin", "Europe/Berlin", "europe/berlin",
		"[Europe/Berlin]", "+0200 CEST", "+02:00[Europe/Berlin]", "GMT+0200 (Central European Summer Time)", "Etc/GMT-2", "America/New_York (EDT)", "02:00", "0200", "200", "Nowhere/X", "(", "(Europe/Berlin time)", "+0200 +0200", "CET CEST", "EST5EDT"}
	looseEpochs = []string{"1.72782105e9", "1.72782105E+09", "1.727821050123E12", "1.727821e+09", "1,72782105e9", "1727821050,5", "1727821050123.456", "1727821050123456.789", "1.727821050123456789e18", "17278210.5e2", "1.7e9", "1.72782105e99", "1e9", "1727821050.", "20241001221730", "202410012217", "-1", "0",
		"20241001221730.5Z", "20241001T2217Z", "20241001-221730+0200"}
)

// time makes a time or a zone in a form that is not usual.
func (g *generator) time() string {
	quote := func(key, v string) string { return fmt.Sprintf("%s=\"%s\"", key, v) }
	switch g.IntN(5) {
	case 0:
		return quote(pick(g, []string{"tz", "timezone"}), pick(g, looseZones))
	case 1:
		return pick(g, []string{"dtime", "eventtime", "timestamp", "itime", "itime_t", "time", "date"}) + "=" + pick(g, looseEpochs)
	case 2:
		return quote("date", pick(g, looseDates)) + " " + quote("time", pick(g, looseClocks))
	}
	text := pick(g, looseDates) + pick(g, []string{" ", " ", " ", ", ", "T", "t", "-", "_", ":", ""}) + pick(g, looseClocks)
	if !g.one(3) {
		text += pick(g, []string{" ", "", ", "}) + pick(g, looseZones)
	}
	return quote(pick(g, []string{"dtime", "dtime", "eventtime", "timestamp", "itime", "itime_t", "time", "date"}), pick(g, []string{text, text, "[" + text + "]", g.timeMutation(text)}))
}

func (g *generator) timeMutation(s string) string {
	at := g.IntN(len(s) + 1)
	if g.one(2) && at < len(s) {
		return s[:at] + s[at+1:]
	}
	return s[:at] + pick(g, []string{" ", ":", ".", ",", "-", "/", "+", "0", "1", "12", "T", "Z", "PM", "(", ")", "[", "]", "CET", "x", "\u00A0"}) + s[at:]
}

var values = []string{
	"", `""`, "N/A", `"N/A"`, "(null)", "-", "0", "00", "1", "443", "007", "99999999999999999999", "192.0.2.1", "2001:db8::1", "host", `"PC-0001"`,
	`"DOM\alice"`, "alice@example.com", `\x`, `x\`, "https://u:p@example.com:8443/a/b?c=d#e", "/a?b=1&c=2", `"C:\Program Files\a.exe"`, `C:\dir\`,
	`"Microsoft Windows 11 Professional Edition, 64-bit (build 22000)"`, "Windows 11 Pro", "webfilter", "FCT8000000000001", "FCTEMS0000000002", "FG100ETK20000000",
	`"a "b" c"`, `"a \"b\" c"`, `""v""`, `"""`, `""say ""hi"" now""`, `"x=1 y=2"`, `"said "user=alice" and"`, "two words", " lead", `"é ü"`, `"open`, "'single'", "a=b", `"a" `,
	`<a b="c"/>`, `<a b="c"><d e='f'/></a>`, `<a></a> x`, "<1>", `{"x":1}`, "  ", `"\"`, `"\\"`, `\"q\"`, "ems-vpn", "EMS_update.x", "adconnector", "ems-quux", "0x000178f4",
}

var oddKeys = []string{"x", "X.Y-z", "_a", "9z", "raw_type", "raw_category", "header_text", "cs1", "CS1Label", "é", "", strings.Repeat("k", 64), strings.Repeat("k", 65), strings.Repeat("K", 70), "a b", "-a", ".a", "FTNTFGTuser", "src", "dst", "cat", "act", "rt"}

func (g *generator) key() string {
	if g.one(5) {
		return pick(g, oddKeys)
	}
	return pick(g, keys)
}

// Some keys more often than others.
var keys = append(dict.Names()[1:], "msg", "msg", "user", "type", "subtype", "module", "id", "logid", "devid", "srcport", "dstport", "gatewayport")

// grammar makes a line: header, then a body of any form.
func (g *generator) grammar() string {
	head := pick(g, headers)
	if g.one(10) {
		head = fmt.Sprintf("<%d>%s %2d %02d:%02d:%02d h ", g.IntN(200), pick(g, months), g.IntN(33), g.IntN(25), g.IntN(61), g.IntN(61))
	}
	if g.one(15) {
		head += pick(g, headers)
	}
	if g.one(3) {
		head = g.relayed()
	}
	if g.one(20) {
		return head + pick(g, []string{"tunnel statistics of today", "<1> x", "2024-10-01 22:17:30 ERROR something: failed", ""})
	}
	switch g.IntN(10) {
	case 0:
		return head + g.json()
	case 1:
		return head + g.cef()
	case 3:
		if g.one(3) {
			return head + g.leef()
		}
	case 2:
		return head + `<Event xmlns="x y=1"><System a="b"/></Event> ` + g.pairs()
	}
	return head + g.pairs()
}

func (g *generator) pairs() string {
	parts := []string{pick(g, marks)}
	for n := g.IntN(12); n > 0; n-- {
		switch {
		case g.one(4):
			parts = append(parts, pick(g, times))
		case g.one(6):
			parts = append(parts, g.time())
		case g.one(10): // a local time, and a clock some quarters of an hour from it
			parts = append(parts, `dtime="2024-10-01 22:17:30"`, fmt.Sprintf("itime=%d", 1727821050-900*(g.IntN(110)-50)+g.IntN(15)-7))
		default:
			parts = append(parts, g.key()+"="+pick(g, values))
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
	between := pick(g, []string{" ", " ", " ", "  ", "\t", " \r\n", "\v"})
	if g.one(20) {
		between = pick(g, []string{",", ";", "|", ", ", "#011", ""})
	}
	line := strings.Join(parts, between)
	switch g.IntN(40) {
	case 0: // framed
		line = pick(g, []string{"(", "[", "{", "<", `"`}) + line + pick(g, []string{")", "]", "}", ">", `"`})
	case 1: // escaped
		line = strings.ReplaceAll(line, `"`, `\"`)
	case 2: // cut
		line = line[:g.IntN(len(line)+1)]
	}
	return line + pick(g, []string{"", "", "", "", "", "", "#012", "#015#012", "#000", `\r\n`, `\n`}) + pick(g, []string{"", "", " ", "\n", "\r\n", "\x00", " \x00\n", "\t"})
}

func (g *generator) json() string {
	parts := []string{`"emsserial":"FCTEMS1"`}
	for n := g.IntN(8); n > 0; n-- {
		v := pick(g, []string{fmt.Sprintf("%q", pick(g, []string{"x", "N/A", "192.0.2.1", "a=b", "ems-vpn", "443"})), "1", "1.50", "true", "null", `{"a": [1, {"b":null}]}`, "[ ]", `"\u00e4\ud800"`, `"a\nb"`, "1e999", "-1e-3"})
		parts = append(parts, fmt.Sprintf("%q: %s", g.key(), v))
	}
	switch g.IntN(8) {
	case 0: // a line in an object
		parts[0] = fmt.Sprintf("%q: %q", pick(g, []string{"log", "message", "msg", "Message", "event", "_raw"}), pick(g, headers)+pick(g, []string{g.pairs(), g.cef(), `{"emsserial":"1"}`}))
	case 1:
		parts = append(parts, fmt.Sprintf("%q: %s", pick(g, []string{"logid", "timestamp", "srcport", "x"}), pick(g, []string{"96900.0", "1.727821050e9", "1.5", "107045057", "-0.0"})))
	}
	object := "{" + strings.Join(parts, ", ") + "}"
	if g.one(6) { // one level down
		object = fmt.Sprintf(`{"_index": "x", %q: %s}`, pick(g, []string{"_source", "event", "log"}), object)
	}
	switch g.IntN(30) {
	case 0:
		return "[" + object + "]"
	case 1:
		return object[:g.IntN(len(object))]
	}
	return object
}

func (g *generator) leef() string {
	delimiter := pick(g, []string{"\t", "\t", "\t", "^", " "})
	version := "1.0"
	head := "Fortinet|" + pick(g, []string{"FortiClient EMS", "FortiClient", "FortiGate"}) + "|7.4|" + pick(g, []string{"96900", "x", ""})
	if g.one(3) {
		version = "2.0"
		head += "|" + pick(g, []string{delimiter, "x5E", "0x09", "", `\t`, "xZ"})
	}
	var parts []string
	for n := g.IntN(8); n > 0; n-- {
		k := pick(g, []string{"src", "srcPort", "usrName", "devTime", "cat", "start", "policy", g.key(), " msg "})
		parts = append(parts, k+"="+pick(g, []string{"x", "192.0.2.1", `"a b"`, "2024-10-01 22:17:30", "event:ems-vpn", "", " 1 ", "a=b"}))
	}
	return "LEEF:" + version + "|" + head + "|" + strings.Join(parts, delimiter)
}

func (g *generator) cef() string {
	head := []string{"CEF:0", pick(g, []string{"Fortinet", "fortinet", "Acme"}), pick(g, []string{"FortiClient EMS", "FORTICLIENT", "FortiEMS", "Fortigate"}), "7.4",
		pick(g, []string{"96900", "0107045057", "45057", "", "x"}), pick(g, []string{"ems-vpn a", `a \| b \\`, "offline", "", "event:endpoint close", "event:connector"}), "5"}
	if g.one(6) {
		head = head[:1+g.IntN(len(head))]
	}
	parts := []string{""}
	for n := g.IntN(8); n > 0; n-- {
		k := pick(g, []string{"src", "spt", "dst", "suser", "shost", "cat", "rt", "act", "fileHash", "FTNTFGTlevel", "FortinetFortiClientEMSos", "msg", "deviceExternalId", "cs1", "in", "request", "start", "start", "ad.tz", "ad.eventtime", "tz", "deviceDirection", "FTNTFGTsubtype", "logdesc", "deviceSeverity", "outcome"})
		parts = append(parts, k+"="+pick(g, []string{"x", "192.0.2.1", "1727821050123", `a\=b c`, `\\ \| \n\r \q`, "", "ems-policy", "two words ", "443", `end\`, `"+0100"`, `"open`, "event:endpoint", "event", "0", "1", "Oct 01 2024 22:17:30", "Oct 01 2024 22:17:30.5 CEST", "2024-10-01T22:17:30Z"}))
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

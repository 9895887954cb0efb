package parser

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

const received = 1733392800 // 2024-12-05T10:00:00Z

// pairsOf returns the pairs of a line as "key=value|key=value".
func pairsOf(line string) string {
	var ev Event
	New(Options{}).Parse(&ev, []byte(line), received, 0)
	var parts []string
	for _, p := range ev.Pairs {
		parts = append(parts, string(p.Key())+"="+string(p.Value))
	}
	return strings.Join(parts, "|")
}

func TestPairs(t *testing.T) {
	for name, c := range map[string][2]string{
		"mixed quoting":                      {`a=event b="x y" c=1.2.3.4`, `a=event|b=x y|c=1.2.3.4`},
		"double blanks":                      {`a=1  b="2"   c=3 `, `a=1|b=2|c=3`},
		"doubled quotes":                     {`a=""v"" b=""w x""`, `a=v|b=w x`},
		"quotes in doubled quotes":           {`a=""say ""hi"" now"" b=1`, `a=say "hi" now|b=1`},
		"empty values":                       {`a="" b= c=`, `a=|b=|c=`},
		"escaped quote":                      {`a="say \"hi\" now" b=1`, `a=say "hi" now|b=1`},
		"backslash before the closing quote": {`a="C:\dir\" b=1`, `a=C:\dir\|b=1`},
		"other backslashes stay":             {`a="C:\new\table" b=1`, `a=C:\new\table|b=1`},
		"embedded quote":                     {`a="6" disk" b=1`, `a=6" disk|b=1`},
		"quote before text that is no key":   {`a="x" y" b=1`, `a=x" y|b=1`},
		"never closed":                       {`a="x b=1 c=2`, `a=x b=1 c=2`},
		"unquoted with blanks":               {`os=Windows 11 Pro user=Bob Smith`, `os=Windows 11 Pro|user=Bob Smith`},
		"equals sign in a value":             {`url=/a?b=1&c=2 d=3`, `url=/a?b=1&c=2|d=3`},
		"tab and line break":                 {"a=1\tb=2\nc=3\r\n\x00", `a=1|b=2|c=3`},
		"odd keys":                           {`A.b-C=1 _x=2 9z=3`, `a_b_c=1|_x=2|9z=3`},
		"a key glued to a header":            {`<999>a=1 b=2`, `a=1|b=2`},
		"XML body":                           {`a=1 x=<Event n='1'><b c="2"/></Event> d=3`, `a=1|x=<Event n='1'><b c="2"/></Event>|d=3`},
		"JSON":                               {`{"a":"x","b":{"c": [1, 2]},"d":true,"e":null,"f":1.5}`, `a=x|b={"c":[1,2]}|d=true|e=|f=1.5`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := pairsOf(c[0]); got != c[1] {
				t.Errorf("\n got %s\nwant %s", got, c[1])
			}
		})
	}
}

func TestLongKeyIsCut(t *testing.T) {
	if got := pairsOf(strings.Repeat("k", 100) + "=v"); got != strings.Repeat("k", 64)+"=v" {
		t.Error(got)
	}
}

func TestHeader(t *testing.T) {
	type want struct {
		pri                                   int
		host, app, procid, msgid, sdata, rest string
	}
	for name, c := range map[string]struct {
		line string
		want want
	}{
		"none":                  {`a=1`, want{-1, "", "", "", "", "", "a=1"}},
		"PRI":                   {`<190>a=1`, want{190, "", "", "", "", "", "a=1"}},
		"PRI 0":                 {`<0>a=1`, want{0, "", "", "", "", "", "a=1"}},
		"PRI too large":         {`<192>a=1`, want{-1, "", "", "", "", "", "<192>a=1"}},
		"RFC 3164":              {`<13>Oct  1 22:17:30 host app[12]: a=1`, want{13, "host", "app", "12", "", "", "a=1"}},
		"RFC 3164 without tag":  {`<13>Oct 11 22:17:30 10.0.0.1 a=1`, want{13, "10.0.0.1", "", "", "", "", "a=1"}},
		"RFC 3164 without host": {`<13>Oct 11 22:17:30 ems-vpn: a=1`, want{13, "", "ems-vpn", "", "", "", "a=1"}},
		"RFC 3164 with a year":  {`<13>Oct 11 2024 22:17:30 h a=1`, want{13, "h", "", "", "", "", "a=1"}},
		"ISO":                   {`2024-10-01T22:17:30.1+02:00 h app: a=1`, want{-1, "h", "app", "", "", "", "a=1"}},
		"broken EMS header":     {`2024-10-01T22:17:30.1+00:00 Oct  1 22:17:30s dtime="x"`, want{-1, "", "", "", "", "", `dtime="x"`}},
		"RFC 5424":              {`<13>1 2024-10-01T22:17:30Z h app 12 id [a b="c ]\" d"][e] a=1`, want{13, "h", "app", "12", "id", `[a b="c ]\" d"][e]`, "a=1"}},
		"RFC 5424 nil":          {`<13>1 - - - - - - a=1`, want{13, "", "", "", "", "", "a=1"}},
		"RFC 5424 BOM":          {"<13>1 - h - - - - \xEF\xBB\xBFa=1", want{13, "h", "", "", "", "", "a=1"}},
		"RFC 5424 cut":          {`<13>1 2024-10-01T22:17:30Z h`, want{13, "h", "", "", "", "", ""}},
		"RFC 5424 open SD":      {`<13>1 - h - - - [a b="`, want{13, "h", "", "", "", "", `[a b="`}},
		"RFC 5424 glued SD":     {`<13>1 - h - - - [a b="c"]d=1`, want{13, "h", "", "", "", `[a b="c"]`, "d=1"}},
		"octet count":           {`12 <13>a=1`, want{13, "", "", "", "", "", "a=1"}},
		"token without a colon": {`<13>Oct 11 22:17:30 h ems-vpn a=1`, want{13, "h", "ems-vpn", "", "", "", "a=1"}},
	} {
		t.Run(name, func(t *testing.T) {
			var h header
			rest := h.parseHeader([]byte(c.line))
			got := want{h.pri, string(h.hostname), string(h.appname), string(h.procid), string(h.msgid), string(h.sdata), string(rest)}
			if got != c.want {
				t.Errorf("\n got %+v\nwant %+v", got, c.want)
			}
			for n := range c.line { // cut anywhere, it must not panic
				new(header).parseHeader([]byte(c.line)[:n:n])
			}
		})
	}
}

// timeOf returns the time, the zone and whether a raw pair is left.
func timeOf(t *testing.T, o Options, line string) (at, zone string) {
	t.Helper()
	var ev Event
	if !New(o).Parse(&ev, []byte(line), received, 5) {
		t.Fatal("not FortiEMS")
	}
	if ev.Set.Has(EventTimezone) {
		zone = string(ev.Values[EventTimezone].Text)
	}
	return time.Unix(ev.Sec, int64(ev.Nsec)).UTC().Format(time.RFC3339Nano), zone
}

func TestTimes(t *testing.T) {
	paris, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	const receipt = "2024-12-05T10:00:00.000000005Z"
	for name, c := range map[string]struct {
		options        Options
		line, at, zone string
	}{
		"nothing":                    {Options{}, ``, receipt, ""},
		"dtime":                      {Options{}, `dtime="2024-10-01 22:17:30"`, "2024-10-01T22:17:30Z", ""},
		"dtime in the option's zone": {Options{Location: paris}, `dtime="2024-10-01 22:17:30"`, "2024-10-01T20:17:30Z", ""},
		"winter in the same zone":    {Options{Location: paris}, `dtime="2024-12-01 22:17:30"`, "2024-12-01T21:17:30Z", ""},
		"tz last":                    {Options{Location: paris}, `date=2024-10-01 time=22:17:30 tz="-0500"`, "2024-10-02T03:17:30Z", "-05:00"},
		"timestamp proves the zone":  {Options{}, `timestamp=1708624605 date="2024-02-22" time="12:56:45"`, "2024-02-22T17:56:45Z", "-05:00"},
		"five seconds are near":      {Options{}, `itime=1708624610 date="2024-02-22" time="12:56:45"`, "2024-02-22T17:56:45Z", "-05:00"},
		"six seconds are not":        {Options{}, `itime=1708624611 date="2024-02-22" time="12:56:45"`, "2024-02-22T12:56:45Z", ""},
		"no zone has 00:15":          {Options{}, `itime=1708606605 date="2024-02-22" time="13:11:45"`, "2024-02-22T13:11:45Z", ""},
		"eventtime ns":               {Options{}, `eventtime=1727821050123456789 dtime="2024-10-01 22:17:30"`, "2024-10-01T22:17:30.123456789Z", "+00:00"},
		"eventtime µs":               {Options{}, `eventtime=1727821050123456`, "2024-10-01T22:17:30.123456Z", ""},
		"eventtime ms":               {Options{}, `eventtime=1727821050123`, "2024-10-01T22:17:30.123Z", ""},
		"eventtime s":                {Options{}, `eventtime=1727821050`, "2024-10-01T22:17:30Z", ""},
		"impossible date":            {Options{}, `date=2024-02-30 time=10:00:00 timestamp=1708624605`, "2024-02-22T17:56:45Z", ""},
		"too early":                  {Options{}, `itime=123456`, receipt, ""},
		"after 2038":                 {Options{}, `eventtime=4102444800`, receipt, ""},
		"timestamp before itime":     {Options{}, `itime=1708624600 timestamp=1708624605`, "2024-02-22T17:56:45Z", ""},
		"two zones":                  {Options{}, `date=2024-10-01 time=22:17:30+05:00 tz="+0100"`, "2024-10-01T21:17:30Z", "+01:00"},
		"event_time off":             {Options{ReceiptTime: true}, `eventtime=1727821050 tz="+0100"`, receipt, "+01:00"},
	} {
		t.Run(name, func(t *testing.T) {
			at, zone := timeOf(t, c.options, `emsserial=FCTEMS1 `+c.line)
			if at != c.at || zone != c.zone {
				t.Errorf("%s %s, want %s %s", at, zone, c.at, c.zone)
			}
		})
	}
	t.Run("syslog header of last year", func(t *testing.T) {
		if at, _ := timeOf(t, Options{}, `<13>Dec 31 23:00:00 h ems-vpn: emsserial=FCTEMS1`); at != "2023-12-31T23:00:00Z" {
			t.Error(at)
		}
	})
}

func TestWhatIsFortiEMS(t *testing.T) {
	for line, want := range map[string]bool{
		`emsserial=x`: true, `emshostname=""`: true, `fctver=1`: true, `fctsn=1`: true, `fctuid=1`: true, `fctemssn="(null)"`: true,
		`devid=FCT1`: true, `devname="FCTEMS1"`: true, `subtype=EMS_VPN`: true, `type=ems-quux`: true, `module=ems-vpn`: true,
		`<13>Oct  1 22:17:30 h ems-client: hello`: true, `id=96900`: true, `id=7123 logid="0107045057"`: true, `subtype=policy type=ems-event`: true, `logid="0107045057"`: true, `logid="0112053203"`: true,
		`CEF:0|Fortinet|FortiClient EMS|7|1|x|5|`: true, `{"emsserial":"x"}`: true,
		`devid=FG100 logid="0000000020" type=traffic`: false, `type=vpn`: false, `id=12345`: false, `hello ems-vpn`: false,
		`CEF:0|Acme|FortiClient|7|1|x|5|`: false, `<38>Oct  1 22:17:30 h sshd[1]: x`: false, ``: false,
		"\x16\x03\x01\x02\x00": false,
	} {
		var ev Event
		if got := New(Options{}).Parse(&ev, []byte(line), received, 0); got != want {
			t.Errorf("%s: %v, want %v", line, got, want)
		}
	}
}

func TestTokensAndBareWords(t *testing.T) {
	for line, want := range map[string]string{
		`emsserial=1 subtype=ems-vpn type=ems-policy`: "ems-vpn", `emsserial=1 type=EMS_Policy`: "ems-policy",
		`emsserial=1 subtype=adconnector`: "ems-adconnector", `emsserial=1 fctver=1 subtype=adconnector`: "fct-event",
		`<13>Oct  1 22:17:30 h ems-update: emsserial=1 logtype=ems-error`: "ems-error",
		`<13>Oct  1 22:17:30 h ems-update: emsserial=1`:                   "ems-update",
		`<13>Oct  1 22:17:30 h ems-update: emsserial=1 subtype=policy`:    "ems-update",
		`subtype=policy type=ems-vpn`:                                     "ems-vpn",
	} {
		var ev Event
		if New(Options{}).Parse(&ev, []byte(line), received, 0); ev.Category.String() != want {
			t.Errorf("%s: %s, want %s", line, ev.Category, want)
		}
	}
}

// TestWhatStandsBehindTheLineIsNotRead ends a line anywhere in a longer one, whose rest
// stands behind it in memory as the next event of a chunk does.
func TestWhatStandsBehindTheLineIsNotRead(t *testing.T) {
	long := []byte(`<13>Oct  1 22:17:30 h ems-vpn: emsserial=FCTEMS1 user="a b" x= msg=offline vd="root" hostname=h1 unknownkey=2 os=""`)
	p := New(Options{})
	var with, without Event
	for n := range len(long) {
		matched := p.Parse(&with, long[:n], received, 0)
		if got := p.Parse(&without, bytes.Clone(long[:n:n]), received, 0); got != matched {
			t.Fatalf("%q: %v, %v", long[:n], matched, got)
		}
		if len(with.Pairs) != len(without.Pairs) || with.Set != without.Set {
			t.Fatalf("%q: %d pairs, %d without the rest", long[:n], len(with.Pairs), len(without.Pairs))
		}
		for i := range with.Pairs {
			a, b := &with.Pairs[i], &without.Pairs[i]
			if !bytes.Equal(a.Key(), b.Key()) || !bytes.Equal(a.Value, b.Value) {
				t.Fatalf("%q: %s=%q, %s=%q without the rest", long[:n], a.Key(), a.Value, b.Key(), b.Value)
			}
		}
	}
}

// extrasOf returns what is written under fortinet.ems beside our own fields.
func extrasOf(line string) string {
	var ev Event
	New(Options{}).Parse(&ev, []byte(line), received, 0)
	var parts []string
	for i := range ev.Pairs {
		p := &ev.Pairs[i]
		if !p.IsExtra() {
			continue
		}
		name := string(p.Key())
		if NeedsPrefix(string(p.Key())) {
			name = "raw_" + name
		}
		values := bytes.Join(ev.AppendValues(nil, p), []byte("+"))
		parts = append(parts, name+"="+string(values))
	}
	return strings.Join(parts, "|")
}

func TestWhatStaysUnderTheVendorPrefix(t *testing.T) {
	for name, c := range map[string][2]string{
		"a value that does not fit": {`emsserial=1 srcip=host srcport=x deviceip=1.2.3 sentbyte=-1`, `srcip=host|srcport=x|deviceip=1.2.3|sentbyte=-1`},
		"null markers":              {`emsserial=1 a="" b=N/A c=(null) d=- srcport=0 e="N/A"`, ``},
		"a repeated key":            {`emsserial=1 user=a user=b x=1 x=2 x=1`, `user=a+b|x=1+2+1`},
		"a repeated null":           {`emsserial=1 user=N/A user=b user=""`, ``},
		"reserved names":            {`emsserial=1 category=7 endpoint_serial=x raw_category=8 type=a type=b`, `raw_category=7|raw_endpoint_serial=x|raw_raw_category=8|raw_type=a+b`},
		"user is an address":        {`emsserial=1 user=192.0.2.1 eapuser=bob`, `user=192.0.2.1`},
		"text before the pairs":     {`<13>Oct  1 22:17:30 h app: hello world emsserial=1 msg=x`, `header_text=hello world`},
		"a CRC32":                   {`fctver=1 checksum=deadbeef`, `fctver=1|checksum=deadbeef`},
		"port 0 and another":        {`emsserial=1 srcport=0 srcport=80 dstport=00 gatewayport=0`, ``},
		"a zone that is none":       {`emsserial=1 tz=CET dtime=2024-10-01T22:17:30Z`, `tz=CET`},
		"two zones":                 {`emsserial=1 tz="+0100" dtime=2024-10-01T22:17:30Z`, `dtime=2024-10-01T22:17:30Z`},
		"only separators":           {`emsserial=1 vulncat=","`, `vulncat=,`},
		"a list too long":           {`emsserial=1 vulncat=` + strings.Repeat("a,", 65), `vulncat=` + strings.Repeat("a,", 65)},
		"text and a null message":   {`hello world emsserial=1 msg=N/A`, ``},
		"a pair glued to a stamp":   {`<13>Oct  1 22:17:30x=1 emsserial=1`, `x=1`},
		"CEF with text before":      {`CEF:0|Fortinet|FortiClient|7|1|x|5|some words y=2`, `cef_device_vendor=Fortinet|cef_device_product=FortiClient|cef_device_version=7|cef_signature_id=1|cef_name=x|cef_severity=5|y=2`},
		"one MAC as a list":         {`emsserial=1 devicemac=a1b2c34d38a6;`, ``},
		"a second serial":           {`emsserial=1 devid=FCT2 fctsn=FCT3 fctver=1`, `fctsn=FCT3|fctver=1`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := extrasOf(c[0]); got != c[1] {
				t.Errorf("\n got %s\nwant %s", got, c[1])
			}
		})
	}
}

func TestMAC(t *testing.T) {
	for v, want := range map[string]string{
		"a1-b2-c3-4d-38-a6": "A1-B2-C3-4D-38-A6", "A1:B2:C3:4D:38:A6": "A1-B2-C3-4D-38-A6", "a1b2c34d38a6": "A1-B2-C3-4D-38-A6",
		"a1b2.c34d.38a6": "A1-B2-C3-4D-38-A6", "": "", "a1-b2": "", "a1-b2-c3-4d-38-g6": "", "a1--b2c34d38a6": "", "a1b2c34d38a6ff": "",
		"a1:-b2c34d38a6": "",
	} {
		got, ok := appendMAC(nil, []byte(v))
		if ok != (want != "") || ok && string(got) != want {
			t.Errorf("%q: %q %v", v, got, ok)
		}
	}
}

func TestIP(t *testing.T) {
	for v, want := range map[string]bool{
		"1.2.3.4": true, "255.255.255.255": true, "2001:db8::1": true, "::": true, "1.2.3": false, "1.2.3.256": false, "01.2.3.4": false,
		"1.2.3.4.5": false, "fe80::1%eth0": false, "host": false, "": false, "1..2.3": false, "1.2.3.": false,
	} {
		if got := isIP([]byte(v)); got != want {
			t.Errorf("%q: %v", v, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`<13>1 2024-10-01T22:17:30Z h ems-vpn - - [a b="c"] emsserial=FCTEMS1 msg="a \"b\" c" p="C:\x\" `)
	f.Add(`2024-10-01T22:17:30.112143+00:00 Oct  1 22:17:30s dtime="2024-10-01 22:17:30" type=event subtype=admin devid=FCT0 user=a\b`)
	f.Add(`CEF:0|Fortinet|FortiClient EMS|7.4|1|ems-vpn a|5|msg=a \= b src=192.0.2.1`)
	p := New(Options{})
	var reused Event
	f.Fuzz(func(t *testing.T, line string) {
		var ev Event
		matched := p.Parse(&ev, []byte(line), received, 0)
		if again := p.Parse(&reused, []byte(line), received, 0); again != matched || ev.Set != reused.Set || len(ev.Pairs) != len(reused.Pairs) {
			t.Fatal("a reused event says otherwise")
		}
		if !utf8.Valid(ev.Clean) {
			t.Fatal("the line is not UTF-8")
		}
		for i := range ev.Pairs {
			if !utf8.Valid(ev.Pairs[i].Value) || !isPlainKey(ev.Pairs[i].Key()) || !bytes.Equal(ev.Pairs[i].Value, reused.Pairs[i].Value) {
				t.Fatalf("pair %q=%q", ev.Pairs[i].Key(), ev.Pairs[i].Value)
			}
		}
	})
}

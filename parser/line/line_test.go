package line

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"fluent-bit-fortiems/parser/arena"
	"fluent-bit-fortiems/parser/dict"
)

func read(text string) *Line {
	l := new(Line)
	l.ReadHeader([]byte(text), new(arena.Arena))
	l.ReadPairs()
	return l
}

// pairsOf returns the pairs of a line as "key=value|key=value".
func pairsOf(text string) string { return join(read(text).Pairs.List) }

func join(pairs []Pair) string {
	var parts []string
	for _, p := range pairs {
		parts = append(parts, string(p.Name())+"="+string(p.Value))
	}
	return strings.Join(parts, "|")
}

// TestStray checks that text which the header leaves over stays if the pairs are read again.
func TestStray(t *testing.T) {
	for text, want := range map[string]string{
		`0 ems-vpn: a=1 b=2`:         "0",
		`0 ems-vpn: a=1,b=2`:         "0",
		`0 ems-vpn: (a=1 b=2)`:       "0",
		`0 ems-vpn: words [a=1 b=2]`: "words",
		`0 ems-vpn: a=\"1\" b=\"2\"`: "0",
	} {
		if got := string(read(text).Stray); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

// TestShortHeaders checks where the body begins after a header of RFC 5424 without all of its
// fields, and which word is the host if the tag follows with the same name.
func TestShortHeaders(t *testing.T) {
	for text, want := range map[string][3]string{
		"<134>1 2024-10-01T22:17:30Z h a=1":                                 {"h", "", "a=1"},
		"<134>1 2024-10-01T22:17:30Z h app {\"a\":\"1\"}":                   {"h", "app", "{\"a\":\"1\"}"},
		"<134>1 2024-10-01T22:17:30Z h CEF:0|Fortinet|FortiClient EMS":      {"h", "", "CEF:0|Fortinet|FortiClient EMS"},
		"<134>1 2024-10-01T22:17:30Z h app 1 LEEF:1.0|Fortinet|FortiClient": {"h", "app", "LEEF:1.0|Fortinet|FortiClient"},
		"Oct  1 22:17:30 ems-policy ems-policy":                             {"ems-policy", "ems-policy", ""},
		"Oct  1 22:17:30 : ems-policy ems-policy a=1":                       {"ems-policy", "ems-policy", "a=1"},
	} {
		l := read(text)
		if got := [3]string{string(l.Header.Hostname), string(l.Header.AppName), string(l.Body)}; got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

// TestStampBeforeBracket checks that a compact stamp is no tag.
func TestStampBeforeBracket(t *testing.T) {
	h := &read("<4>20241001T221730[7] a=1").Header
	if !h.HasTime || h.AppName != nil {
		t.Errorf("time %v, app name %q", h.HasTime, h.AppName)
	}
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

		"blanks around values":          {`a= 1 b=" 2 " c= d=" x"`, `a=1|b=2|c=|d=x`},
		"escaped line end":              {`a=1 level=info#015#012`, `a=1|level=info`},
		"escaped NUL":                   {`a=1 msg="x y"#000`, `a=1|msg=x y`},
		"line end as text":              {`a=1 msg="x y"\r\n`, `a=1|msg=x y`},
		"key glued to an empty value":   {`srcip=1 dstip=authid="x" user="j"`, `srcip=1|dstip=|authid=x|user=j`},
		"dictionary key glued":          {`srcip=1 dstip=user=j b=2`, `srcip=1|dstip=|user=j|b=2`},
		"text keeps a key":              {`msg=user=jane logged in`, `msg=user=jane logged in`},
		"cut key after quotes":          {`user="jane" ms`, `user=jane`},
		"cut key after an address":      {`type=x srcip=10.0.0.1 ds`, `type=x|srcip=10.0.0.1`},
		"cut key after a login":         {`type=x user=jane ms`, `type=x|user=jane`},
		"last words of a text":          {`type=x msg=Traffic log`, `type=x|msg=Traffic log`},
		"csv":                           {`date=1,b="x, y",c=3,d=,msg=Traffic log`, `date=1|b=x, y|c=3|d=|msg=Traffic log`},
		"csv with blanks":               {`a=1, b="x", c=3`, `a=1|b=x|c=3`},
		"semicolons":                    {`a="1"; b=x; c=3;`, `a=1|b=x|c=3`},
		"bars":                          {`a=1 | b=x y | c="3"`, `a=1|b=x y|c=3`},
		"glued bars":                    {`a=1|b=x y|c="3"`, `a=1|b=x y|c=3`},
		"a comma in a value":            {`os=Windows 11, Pro a=1`, `os=Windows 11, Pro|a=1`},
		"a list before a key":           {`a=1 b=x,y=z c=2`, `a=1|b=x,y=z|c=2`},
		"escaped tabs":                  {`date=1#011b="x#011c=1"#011d=3#011e=`, `date=1|b=x#011c=1|d=3|e=`},
		"escaped tabs of a header":      {`10/1/2024 10:17:30 PM#011VPN#011date=1 b=2`, `date=1|b=2`},
		"every quote escaped":           {`a=\"x y\" b=\"C:\d\" c=1`, `a=x y|b=C:\d|c=1`},
		"every quote and backslash":     {`a=\"x y\" b=\"C:\\d\"`, `a=x y|b=C:\d`},
		"single quotes":                 {`a='x y' b='it's' c=1`, `a=x y|b=it's|c=1`},
		"an apostrophe":                 {`a=1 b='tis c=2`, `a=1|b='tis|c=2`},
		"quoted keys":                   {`"a"="x y" "b"="2" "c"=3`, `a=x y|b=2|c=3`},
		"blanks around the sign":        {`a = "x y" b = 2 c = z w d = "3"`, `a=x y|b=2|c=z w|d=3`},
		"glued pairs":                   {`a="x"type="y"b="z"`, `a=x|type=y|b=z`},
		"quotes in a text stay":         {`a="said "user=b" and" c=1`, `a=said "user=b" and|c=1`},
		"keys with odd characters":      {`user=jane i/f="x y" s@z=lan b=1`, `user=jane|i_f=x y|s_z=lan|b=1`},
		"brackets around all":           {`message repeated 3 times: [ a="x" b=y]`, `a=x|b=y`},
		"braces around all":             {`{type=x b=y}`, `type=x|b=y`},
		"angle brackets around all":     {`<type=x b=y>`, `type=x|b=y`},
		"quotes around all":             {`"type=x b="y z""`, `type=x|b=y z`},
		"a JSON string":                 {`"type=x b=\"y z\""`, `type=x|b=y z`},
		"a mark at the end":             {`a=1 msg="x y";`, `a=1|msg=x y`},
		"another message":               {`a=1 msg="x"<134>date=2 msg="y"`, `a=1|msg=x`},
		"JSON cut in a text":            {`{"a":"x","b":"y z`, `a=x|b=y z`},
		"JSON cut in a name":            {`{"a":"x","b`, `a=x`},
		"JSON with a comma":             {`{"a":"x","b":2,}`, `a=x|b=2`},
		"JSON with text":                {`{"a":"x"} and more`, `a=x`},
		"JSON with a broken text":       {`{"a":"he "said" it","b":2}`, `a=he |b=2`},
		"JSON array":                    {`[{"a":"x"},{"a":"y"}]`, `a=x`},
		"escaped JSON":                  {`{\"a\":\"x\",\"b\":2}`, `a=x|b=2`},
		"a line in JSON":                {`{"log":"<13>type=x b=\"y\"\n","stream":"stdout"}`, `type=x|b=y|json_stream=stdout`},
		"integers that became floats":   {`{"id":96900.0,"eventtime":1.7278210501234568e+18,"fctver":7.0}`, `id=96900|eventtime=1727821050123456768|fctver=7.0`},
		"CEF of FortiAnalyzer":          {`CEF:0|Fortinet|FortiClient|7|45057|event:x|3|start=Oct 01 2024 22:17:30 cat=event:endpoint ad.hostname=PC 1 deviceSeverity=info tz="+0200"`, `cef_device_vendor=Fortinet|cef_device_product=FortiClient|cef_device_version=7|cef_signature_id=45057|cef_name=event:x|cef_severity=3|type=event|subtype=endpoint|hostname=PC 1|level=info|tz=+0200|date=2024-10-01|time=22:17:30|logid=45057|msg=event:x`},
		"short id of FortiGate":         {`CEF:0|Fortinet|FortiGate|7|45057|event:endpoint add|3|FTNTFGTfctuid=A`, `cef_device_vendor=Fortinet|cef_device_product=FortiGate|cef_device_version=7|cef_signature_id=45057|cef_name=event:endpoint add|cef_severity=3|fctuid=A|type=event|subtype=endpoint|logid=0107045057|msg=event:endpoint add`},
		"LEEF 1.0":                      {"LEEF:1.0|Fortinet|FortiEMS|7|4|src=10.0.0.1\tusrName=jane doe\tmsg=a=b", `leef_device_vendor=Fortinet|leef_device_product=FortiEMS|leef_device_version=7|leef_event_id=4|srcip=10.0.0.1|user=jane doe|msg=a=b|logid=4`},
		"LEEF 2.0":                      {`LEEF:2.0|Fortinet|FortiEMS|7|4|^|src=10.0.0.1^usrName=jane^x=1`, `leef_device_vendor=Fortinet|leef_device_product=FortiEMS|leef_device_version=7|leef_event_id=4|srcip=10.0.0.1|user=jane|x=1|logid=4`},
		"LEEF 2.0 hex":                  {`LEEF:2.0|F|E|7|4|0x7c|a=1|b=2`, `leef_device_vendor=F|leef_device_product=E|leef_device_version=7|leef_event_id=4|a=1|b=2|logid=4`},
		"LEEF whose tabs became blanks": {`LEEF:1.0|F|E|7|4|a=1 b=x y`, `leef_device_vendor=F|leef_device_product=E|leef_device_version=7|leef_event_id=4|a=1|b=x y|logid=4`},
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
		"RFC 3164 stamp alone":  {`Oct 1 22:17:30`, want{-1, "", "", "", "", "", ""}},
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
			var h Header
			rest, _ := h.parse([]byte(c.line))
			got := want{h.Priority, string(h.Hostname), string(h.AppName), string(h.ProcID), string(h.MsgID), string(h.StructuredData), string(rest)}
			if got != c.want {
				t.Errorf("\n got %+v\nwant %+v", got, c.want)
			}
			for n := range c.line { // cut anywhere, it must not panic
				new(Header).parse([]byte(c.line)[:n:n])
			}
		})
	}
}

// scanPlain is scanPairs without scanKnown.
func (l *Line) scanPlain(s []byte, k keySpan) {
	for k.found() {
		k = l.scanPair(s, k)
	}
}

// TestFastAndPlainScan compares scanPairs with its plain twin.
func TestFastAndPlainScan(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 7))
	pick := func(from []string) string { return from[rnd.IntN(len(from))] }
	keys := append(slices.Clone(dict.Names()[1:]), "other", "Type", "x.y", "a-key-of-more-than-fifteen-bytes", "endpoint_features_infos")
	values := []string{
		"", `""`, "x", `"x y"`, "0", `"0"`, "00", "-", "N/A", "Name", "(null)", `(x`, `"a\"b"`, `""doubled""`, `"unclosed`,
		"<a b=1></a>", "<", `"<a b=1>"`, "two words", "a\tb", "a\x01b", strings.Repeat("\x00", 20), `"=" `, "a=b", "type=b", "ä", `"`, "1#011type=2", "a#b", `a\nb`, "a|b", "[x]",
		"a-value-of-more-than-eight-bytes", `"a value of more than eight bytes"`, "1234567", `"1234567"`, "12345678", `"12345678"`,
	}
	blanks := []string{" ", " ", " ", " ", " ", " ", " ", "  ", "\t", "", ",", "\x00"}
	fast := 0
	for range 100_000 {
		text := "type=x "
		for range rnd.IntN(8) {
			text += pick(keys) + "=" + pick(values) + pick(blanks)
		}
		text = text[:rnd.IntN(len(text)+1)]
		k := nextKey([]byte(text), 0)
		var plain Line
		plain.ReadHeader(nil, new(arena.Arena))
		plain.scanPlain([]byte(text), k)
		var l Line
		l.ReadHeader(nil, new(arena.Arena))
		l.scanPairs([]byte(text), k)
		if k.found() && !l.isUsual([]byte(text), k) {
			continue // readUnusual reads it without the fast scan
		}
		if !slices.EqualFunc(l.Pairs.List, plain.Pairs.List, samePair) || l.Pairs.present != plain.Pairs.present || l.Pairs.nonEmpty != plain.Pairs.nonEmpty {
			t.Fatalf("%q:\nfast  %s\nplain %s", text, join(l.Pairs.List), join(plain.Pairs.List))
		}
		if l.Pairs.Reset(l.arena); k.found() && l.Pairs.scanKnown(pad([]byte(text), l.arena), k) != k {
			fast++
		}
	}
	if fast < 30_000 {
		t.Errorf("only %d of 100 000 lines had pairs for the fast scan", fast)
	}
}

func samePair(a, b Pair) bool {
	return bytes.Equal(a.Value, b.Value) && bytes.Equal(a.Name(), b.Name()) && a.key == b.key && a.next == b.next && a.state == b.state
}

// TestKnownKeys looks up every key of the dictionary, and a longer one, in a text.
func TestKnownKeys(t *testing.T) {
	lookup := func(text string) (dict.Key, int) {
		return knownKey((*[16]byte)(pad([]byte(text), new(arena.Arena)).all))
	}
	for i, name := range dict.Names()[1:] {
		want := dict.Key(i + 1)
		if len(name) > 15 {
			want = dict.NoKey
		}
		if k, n := lookup(name + "=0123456789abcdef"); k != want || k != dict.NoKey && n != len(name) {
			t.Errorf("%s: %s of %d bytes", name, k, n)
		}
		if k, _ := lookup("x" + name + "="); k != dict.NoKey && k.String() != "x"+name {
			t.Errorf("x%s: %s", name, k)
		}
	}
}

// BenchmarkHeader reads headers only.
func BenchmarkHeader(b *testing.B) {
	for _, c := range []struct{ name, line string }{
		{"none", `dtime="2024-10-02 08:00:37" type=event`},
		{"rfc3164", `<38>Oct  2 08:00:00 host1 app[4242]: type=event`},
		{"rfc5424", `<134>1 2024-10-02T08:00:37.123Z ems01 FortiEMS 811 ID47 [a@1 k="v"] type=event`},
		{"iso", `2024-10-01T22:17:30.112143+00:00 Oct  1 22:17:30s dtime="2024-10-01 22:17:30"`},
	} {
		b.Run("form="+c.name, func(b *testing.B) {
			line := []byte(c.line)
			var h Header
			b.SetBytes(int64(len(line)))
			b.ReportAllocs()
			for b.Loop() {
				h.parse(line)
			}
		})
	}
}

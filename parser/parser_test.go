package parser

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"fluent-bit-fortiems/parser/ecs"
)

var received = ecs.Instant{Sec: 1733392800} // 2024-12-05T10:00:00Z

// timeOf returns the time, the zone and whether a raw pair is left.
func timeOf(t *testing.T, o Options, line string) (at, zone string) {
	t.Helper()
	var ev Event
	if !New(o).Parse(&ev, []byte(line), ecs.Instant{Sec: received.Sec, Nsec: 5}) {
		t.Fatal("not FortiEMS")
	}
	if ev.Record.Set.Has(ecs.EventTimezone) {
		zone = string(ev.Record.Text(ecs.EventTimezone))
	}
	return time.Unix(ev.Time.Sec, int64(ev.Time.Nsec)).UTC().Format(time.RFC3339Nano), zone
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
		"epoch with an exponent":     {Options{}, `itime=1.70862461e9 date="2024-02-22" time="12:56:45"`, "2024-02-22T17:56:45Z", "-05:00"},
		"a rounded epoch":            {Options{}, `eventtime=1.727821e+09`, "2024-10-01T22:16:40Z", ""},
		"a rounded one is no better": {Options{}, `eventtime=1.727821e+09 dtime="2024-10-01 22:17:30"`, "2024-10-01T22:17:30Z", ""},
		"a name behind the time":     {Options{Location: paris}, `dtime="2024-10-01 22:17:30 America/New_York"`, "2024-10-02T02:17:30Z", "-04:00"},
		"tz before such a name":      {Options{}, `dtime="2024-10-01 22:17:30 America/New_York" tz="+0100"`, "2024-10-01T21:17:30Z", "+01:00"},
		"a name of another clock":    {Options{}, `timestamp="2024-10-01 22:17:30 America/New_York" dtime="2024-10-01 22:17:31"`, "2024-10-01T22:17:31Z", ""},
		"timezone":                   {Options{}, `dtime="2024-10-01 22:17:30" timezone="(GMT-5:00)Eastern Time(US & Canada)"`, "2024-10-02T03:17:30Z", "-05:00"},
		"tz before timezone":         {Options{}, `dtime="2024-10-01 22:17:30" timezone="+0200" tz=nonsense`, "2024-10-01T22:17:30Z", ""},
		"itime_t proves the zone":    {Options{}, `itime=2014-12-29 15:35:09 vd=root itime_t=1419896109`, "2014-12-29T23:35:09Z", "-08:00"},
		"date is all":                {Options{}, `date="2024-10-01T22:17:30+01:00"`, "2024-10-01T21:17:30Z", "+01:00"},
		"date is a day":              {Options{}, `date="2024-10-01T00:00:00+01:00"`, receipt, ""},
		"dtime before such a date":   {Options{}, `date="2024-10-01T22:17:30Z" dtime="2024-10-01 22:17:31"`, "2024-10-01T22:17:31Z", ""},
		"American order":             {Options{Location: paris}, `dtime="10/1/2024 10:17:30 PM"`, "2024-10-01T20:17:30Z", ""},
		"no order":                   {Options{}, `dtime="10/1/2024 22:17:30"`, receipt, ""},
		"event_time off":             {Options{ReceiptTime: true}, `eventtime=1727821050 tz="+0100"`, receipt, "+01:00"},
	} {
		t.Run(name, func(t *testing.T) {
			at, zone := timeOf(t, c.options, `emsserial=FCTEMS1 `+c.line)
			if at != c.at || zone != c.zone {
				t.Errorf("%s %s, want %s %s", at, zone, c.at, c.zone)
			}
		})
	}
	t.Run("syslog header at the end of a day", func(t *testing.T) {
		if at, _ := timeOf(t, Options{}, `<13>2023-12-31T24:00:00Z h ems-vpn: emsserial=FCTEMS1`); at != "2024-01-01T00:00:00Z" {
			t.Error(at)
		}
	})
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
		`<13>hello emsserial`: true, `serial FCTEMS0000000007 seen`: true, `{"x":[1,"fctver":"7"`: true, `GET /?emsserial=1&fctver=2 HTTP/1.1`: false, `FCTEMS of mine`: false,
		`devid=FG1 type=traffic fctuid=A`: false, `devid=FG1 type=utm fctuid=A`: false, `devid=FG1 type=event fctuid=A`: true, `devid=FG1 type=traffic fctuid=A fctemssn=x`: true,
		`CEF:0|Fortinet|FortiClient EMS|7|1|x|5|`: true, `{"emsserial":"x"}`: true,
		`devid=FG100 logid="0000000020" type=traffic`: false, `type=vpn`: false, `id=12345`: false, `hello ems-vpn`: false,
		`CEF:0|Acme|FortiClient|7|1|x|5|`: false, `<38>Oct  1 22:17:30 h sshd[1]: x`: false, ``: false,
		"\x16\x03\x01\x02\x00": false,
	} {
		var ev Event
		if got := New(Options{}).Parse(&ev, []byte(line), received); got != want {
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
		if New(Options{}).Parse(&ev, []byte(line), received); ev.Decision.Category.String() != want {
			t.Errorf("%s: %s, want %s", line, ev.Decision.Category, want)
		}
	}
}

// TestBytesAfterTheLine cuts a line anywhere, with the rest still after it in memory, as in
// a chunk.
func TestBytesAfterTheLine(t *testing.T) {
	long := []byte(`<13>Oct  1 22:17:30 h ems-vpn: emsserial=FCTEMS1 user="a b" x= msg=offline vd="root" hostname=h1 unknownkey=2 os=""`)
	p := New(Options{})
	var with, without Event
	for n := range len(long) {
		matched := p.Parse(&with, long[:n], received)
		if got := p.Parse(&without, bytes.Clone(long[:n:n]), received); got != matched {
			t.Fatalf("%q: %v, %v", long[:n], matched, got)
		}
		if len(with.Line.Pairs.List) != len(without.Line.Pairs.List) || with.Record.Set != without.Record.Set {
			t.Fatalf("%q: %d pairs, %d without the rest", long[:n], len(with.Line.Pairs.List), len(without.Line.Pairs.List))
		}
		for i := range with.Line.Pairs.List {
			a, b := &with.Line.Pairs.List[i], &without.Line.Pairs.List[i]
			if !bytes.Equal(a.Name(), b.Name()) || !bytes.Equal(a.Value, b.Value) {
				t.Fatalf("%q: %s=%q, %s=%q without the rest", long[:n], a.Name(), a.Value, b.Name(), b.Value)
			}
		}
	}
}

// unmappedOf returns the pairs that are written under fortinet.ems.
func unmappedOf(line string) string {
	var ev Event
	New(Options{}).Parse(&ev, []byte(line), received)
	var parts []string
	for i := range ev.Line.Pairs.List {
		p := &ev.Line.Pairs.List[i]
		if !p.Unmapped() {
			continue
		}
		name := string(p.Name())
		if ecs.NeedsPrefix(string(p.Name())) {
			name = "raw_" + name
		}
		values := bytes.Join(ev.Line.Pairs.AppendValues(nil, p), []byte("+"))
		parts = append(parts, name+"="+string(values))
	}
	return strings.Join(parts, "|")
}

func TestUnmappedPairs(t *testing.T) {
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
		"a zone that is none":       {`emsserial=1 tz=IST dtime=2024-10-01T22:17:30Z`, `tz=IST`},
		"two zones":                 {`emsserial=1 tz="+0100" dtime=2024-10-01T22:17:30Z`, `dtime=2024-10-01T22:17:30Z`},
		"only separators":           {`emsserial=1 vulncat=","`, `vulncat=,`},
		"a list too long":           {`emsserial=1 vulncat="` + strings.Repeat("a,", 65) + `"`, `vulncat=` + strings.Repeat("a,", 65)},
		"text and a null message":   {`hello world emsserial=1 msg=N/A`, ``},
		"a pair glued to a stamp":   {`<13>Oct  1 22:17:30x=1 emsserial=1`, `x=1`},
		"CEF with text before":      {`CEF:0|Fortinet|FortiClient|7|1|x|5|some words y=2`, `cef_device_vendor=Fortinet|cef_device_product=FortiClient|cef_device_version=7|cef_signature_id=1|cef_name=x|cef_severity=5|y=2`},
		"one MAC as a list":         {`emsserial=1 devicemac=a1b2c34d38a6;`, ``},
		"a second serial":           {`emsserial=1 devid=FCT2 fctsn=FCT3 fctver=1`, `fctsn=FCT3|fctver=1`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := unmappedOf(c[0]); got != c[1] {
				t.Errorf("\n got %s\nwant %s", got, c[1])
			}
		})
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
		matched := p.Parse(&ev, []byte(line), received)
		if again := p.Parse(&reused, []byte(line), received); again != matched || matched && ev.Record.Set != reused.Record.Set || len(ev.Line.Pairs.List) != len(reused.Line.Pairs.List) {
			t.Fatal("a reused event says otherwise")
		}
		if !utf8.Valid(ev.Line.Clean) {
			t.Fatal("the line is not UTF-8")
		}
		for i := range ev.Line.Pairs.List {
			if !utf8.Valid(ev.Line.Pairs.List[i].Value) || len(ev.Line.Pairs.List[i].Name()) > 64 || !bytes.Equal(ev.Line.Pairs.List[i].Value, reused.Line.Pairs.List[i].Value) {
				t.Fatalf("pair %q=%q", ev.Line.Pairs.List[i].Name(), ev.Line.Pairs.List[i].Value)
			}
		}
	})
}

package host_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestEveryLineIsAMessage(t *testing.T) {
	for name, c := range map[string]struct {
		input string
		want  []string
	}{
		"no input":                     {"", nil},
		"one line":                     {"a\n", []string{"a"}},
		"last line without end":        {"a\nb", []string{"a", "b"}},
		"empty lines":                  {"\n\na\n\n", []string{"", "", "a", ""}},
		"carriage return is kept":      {"a\r\n\r\n", []string{`a\r`, `\r`}},
		"NUL is kept":                  {"a\x00b\n\x00", []string{`a\u0000b`, `\u0000`}},
		"quotes and backslashes":       {`a"b\c` + "\n", []string{`a\"b\\c`}},
		"control characters":           {"\b\f\t\x01\x1f\x7f\n", []string{`\b\f\t\u0001\u001f` + "\x7f"}},
		"UTF-8 is kept":                {"é€😀\n", []string{"é€😀"}},
		"other bytes":                  {"a\xffb\xe2\x82c\xf0\x9f\x98\xed\xa0\x80\n", []string{"a\ufffdb\ufffdc\ufffd\ufffd\ufffd\ufffd"}},
		"overlong and beyond Unicode":  {"\xc0\xaf\xf4\x90\x80\x80\n", []string{"\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd"}},
		"sequence cut by the line end": {"\xe2\x82\n\xac\n", []string{"\ufffd", "\ufffd"}},
	} {
		t.Run(name, func(t *testing.T) {
			var want []string
			for _, line := range c.want {
				want = append(want, record(`"log":"`+line+`"`))
			}
			lineRun(t, c.input).wantCode(t, 0).wantOut(t, want...)
			lineRun(t, c.input, "--chunk", "1").wantCode(t, 0).wantOut(t, want...)
		})
	}
	lineRun(t, "ok\n\xff\n\xfe\xfe\n", "--stats").wantCode(t, 0).wantLog(t, "invalid_utf8=2")
}

func TestLongLines(t *testing.T) {
	for _, size := range []int{31, 32, 255, 256, 65535, 65536, 65537, 300000, 3 << 20} {
		long := strings.Repeat("x", size)
		for _, key := range []string{"log", "message"} {
			lineRun(t, "before\n"+long+"\nafter", "--key", key).wantCode(t, 0).wantOut(t,
				record(`"`+key+`":"before"`), record(`"`+key+`":"`+long+`"`), record(`"`+key+`":"after"`))
		}
	}
}

func TestEventsHaveTheShapeOfInSyslog(t *testing.T) {
	const (
		head  = "9292" + "d700" + "6553f10000000001" + "df00000000"
		start = "9292" + "d700" + "ffffffff00000000" + "df00000003" + "a6736368656d61" + "a46f746c70" +
			"ab7265736f757263655f6964" + "00" + "a873636f70655f6964" + "00" +
			"df00000001" + "a87265736f75726365" + "81" + "aa61747472696275746573" + "81" +
			"ac736572766963652e6e616d65" + "ad666f727469656d732d686f7374"
		end = "9292" + "d700" + "fffffffe00000000" + "df00000000" + "df00000000"
	)
	for name, c := range map[string]struct {
		args  []string
		input string
		want  string
	}{
		"log is bin":        {nil, "abc\n", head + "81" + "a36c6f67" + "c403616263"},
		"message is str":    {[]string{"--key", "message"}, "abc\n", head + "81" + "a76d657373616765" + "a3616263"},
		"both":              {[]string{"--key", "message", "--key", "log"}, "a\n", head + "82" + "a76d657373616765" + "a161" + "a36c6f67" + "c40161"},
		"extra pairs":       {[]string{"--extra", "s=t=u", "--extra", "e="}, "a", head + "83" + "a36c6f67" + "c40161" + "a173" + "a3743d75" + "a165" + "a0"},
		"old form":          {[]string{"--old-form"}, "a", "92" + "d7006553f10000000001" + "81" + "a36c6f67" + "c40161"},
		"group":             {[]string{"--group", "--chunk", "2"}, "a\nb\nc\n", start + head + "81a36c6f67c40161" + head + "81a36c6f67c40162" + end + start + head + "81a36c6f67c40163" + end},
		"bin of 256 bytes":  {nil, strings.Repeat("z", 256), head + "81" + "a36c6f67" + "c50100" + strings.Repeat("7a", 256)},
		"str of 40 bytes":   {[]string{"--key", "message"}, strings.Repeat("z", 40), head + "81" + "a76d657373616765" + "d928" + strings.Repeat("7a", 40)},
		"str of 300 bytes":  {[]string{"--key", "message"}, strings.Repeat("z", 300), head + "81" + "a76d657373616765" + "da012c" + strings.Repeat("7a", 300)},
		"bin of 70000 byte": {nil, strings.Repeat("z", 70000), head + "81" + "a36c6f67" + "c600011170" + strings.Repeat("7a", 70000)},
	} {
		t.Run(name, func(t *testing.T) {
			dump := filepath.Join(t.TempDir(), "dump")
			lineRun(t, c.input, append(c.args, "--dump-chunk", dump)...).wantCode(t, 0)
			if got := hex.EncodeToString([]byte(readFile(t, dump))); got != c.want {
				t.Errorf("got  %.400s\nwant %.400s", got, c.want)
			}
		})
	}
}

func TestSixteenPairsNeedALargerMapHead(t *testing.T) {
	var args []string
	want := `"log":"a"`
	for i := range 16 {
		k := string(rune('a' + i))
		args = append(args, "--extra", k+"=v")
		want += `,"` + k + `":"v"`
	}
	lineRun(t, "a\n", args...).wantCode(t, 0).wantOut(t, record(want))
}

func TestTimeOfReceiptIsNowUnlessFixed(t *testing.T) {
	before := time.Now()
	r := run(t, "a\n", "--input", "-").wantCode(t, 0)
	var got struct {
		Time time.Time `json:"@timestamp"`
	}
	if err := json.Unmarshal([]byte(r.out), &got); err != nil {
		t.Fatal(err)
	}
	if got.Time.Before(before.Add(-time.Second)) || got.Time.After(time.Now().Add(time.Second)) {
		t.Errorf("record time %v is not now", got.Time)
	}
	run(t, "a\n", "--input", "-", "--time", "0").wantOut(t, `{"@timestamp":"1970-01-01T00:00:00.000000000Z","log":"a"}`)
	run(t, "a\n", "--input", "-", "--time", "4294967293.5").wantOut(t, `{"@timestamp":"2106-02-07T06:28:13.500000000Z","log":"a"}`)
}

func TestMsgpackBecomesJSON(t *testing.T) {
	const head = "9292d7000000000000000000" + "80" // 1970, no metadata
	const stamp = `{"@timestamp":"1970-01-01T00:00:00.000000000Z"`
	for name, c := range map[string]struct{ chunk, want string }{
		"empty record":           {head + "80", stamp + `}`},
		"nil and booleans":       {head + "83" + "a161c0" + "a162c2" + "a163c3", stamp + `,"a":null,"b":false,"c":true}`},
		"unsigned":               {head + "85" + "a1617f" + "a162ccff" + "a163cdffff" + "a164ceffffffff" + "a165cfffffffffffffffff", stamp + `,"a":127,"b":255,"c":65535,"d":4294967295,"e":18446744073709551615}`},
		"signed":                 {head + "85" + "a161e0" + "a162d080" + "a163d18000" + "a164d280000000" + "a165d38000000000000000", stamp + `,"a":-32,"b":-128,"c":-32768,"d":-2147483648,"e":-9223372036854775808}`},
		"signed but positive":    {head + "81" + "a161d3000000000000007f", stamp + `,"a":127}`},
		"doubles":                {head + "84" + "a161cb3fb999999999999a" + "a162cb3ff0000000000000" + "a163cb7fefffffffffffff" + "a164cb8000000000000000", stamp + `,"a":0.1,"b":1.0,"c":1.7976931348623157e+308,"d":-0.0}`},
		"singles":                {head + "82" + "a161ca3dcccccd" + "a162ca40490fdb", stamp + `,"a":0.1,"b":3.1415927}`},
		"not a number, infinite": {head + "83" + "a161cb7ff8000000000000" + "a162cb7ff0000000000000" + "a163caff800000", stamp + `,"a":null,"b":null,"c":null}`},
		"text lengths":           {head + "84" + "a161d90178" + "a162da000178" + "a163db0000000178" + "a164a0", stamp + `,"a":"x","b":"x","c":"x","d":""}`},
		"bin lengths":            {head + "83" + "a161c40178" + "a162c5000178" + "a163c60000000178", stamp + `,"a":"x","b":"x","c":"x"}`},
		"ext is hex":             {head + "84" + "a161d401ab" + "a162d70000000001000000ff" + "a163c7020501ff" + "a164c80001ff00", stamp + `,"a":"ab","b":"00000001000000ff","c":"01ff","d":"00"}`},
		"arrays and maps":        {head + "84" + "a16190" + "a1629301a17890" + "a16382a16b80a16cdc000101" + "a164df00000001a16bdd00000000", stamp + `,"a":[],"b":[1,"x",[]],"c":{"k":{},"l":[1]},"d":{"k":[]}}`},
		"duplicate keys":         {head + "82" + "a16101" + "a16102", stamp + `,"a":1,"a":2}`},
		"keys that are no text":  {head + "83" + "0501" + "c40162" + "02" + "92a17801" + "03", stamp + `,"5":1,"b":2,"[\"x\",1]":3}`},
		"old form":               {"92d7000000000000000000" + "81a16101", stamp + `,"a":1}`},
		"whole seconds":          {"9201" + "80", `{"@timestamp":"1970-01-01T00:00:01.000000000Z"}`},
		"seconds as a double":    {"92cb3ff8000000000000" + "80", `{"@timestamp":"1970-01-01T00:00:01.500000000Z"}`},
		"time as ext 8":          {"9292c708000000000100000002" + "80" + "80", `{"@timestamp":"1970-01-01T00:00:01.000000002Z"}`},
		"year beyond RFC 3339":   {"92cf7fffffffffffffff" + "80", `{"@timestamp":null}`},
		"thirty-two levels":      {head + "81a161" + strings.Repeat("91", 30) + "01", stamp + `,"a":` + strings.Repeat("[", 30) + "1" + strings.Repeat("]", 30) + `}`},
	} {
		t.Run(name, func(t *testing.T) {
			r := run(t, "", "--raw-chunk", hexFile(t, c.chunk)).wantCode(t, 0).wantOut(t, c.want)
			if !json.Valid([]byte(r.out)) {
				t.Errorf("not JSON: %s", r.out)
			}
		})
	}
}

func hexFile(t *testing.T, digits string) string {
	t.Helper()
	b, err := hex.DecodeString(digits)
	if err != nil {
		t.Fatal(err)
	}
	return tempFile(t, string(b))
}

func TestRawChunkIsUntouched(t *testing.T) {
	const event = "9292d700000000000000000080" + "81a16101"
	const printed = `{"@timestamp":"1970-01-01T00:00:00.000000000Z","a":1}`
	for name, c := range map[string]struct {
		chunk string
		want  []string
		log   string
	}{
		"nothing":                 {"", nil, ""},
		"two events":              {event + event, []string{printed, printed}, ""},
		"cut after an event":      {event + event[:20], []string{printed}, "malformed at byte 17 of 27, as it came in"},
		"cut text":                {"d9ff61", nil, "malformed at byte 0"},
		"reserved byte":           {event + "c1", []string{printed}, "malformed"},
		"array of four billion":   {"ddffffffff", nil, "malformed"},
		"map of four billion":     {"dfffffffff", nil, "malformed"},
		"bin of four billion":     {"c6ffffffff00", nil, "malformed"},
		"ext without type":        {"c701", nil, "malformed"},
		"number without digits":   {"cf000000", nil, "malformed"},
		"thirty-three levels":     {"9292d700000000000000000080" + "81a161" + strings.Repeat("91", 31) + "01", nil, "malformed"},
		"a hundred thousand deep": {strings.Repeat("91", 100000), nil, "malformed"},
		"no events":               {"01" + "a161" + "80" + "9101" + "92c080" + "920001" + event, []string{printed}, "6 values of a chunk are no log events"},
		"metadata is no map":      {"9292010180", nil, "1 values"},
		"too many nanoseconds":    {"92d700000000003b9aca0080", nil, "1 values"},
	} {
		t.Run(name, func(t *testing.T) {
			dump := filepath.Join(t.TempDir(), "dump")
			in := hexFile(t, c.chunk)
			for _, args := range [][]string{nil, {"--filter", plugin("flb-filter_probe.so"), "--guard"}, {"--quiet"}} {
				r := run(t, "", append(args, "--raw-chunk", in, "--dump-chunk", dump)...).wantCode(t, 0).wantLog(t, c.log)
				if len(args) != 1 {
					r.wantOut(t, c.want...)
				}
				if readFile(t, dump) != readFile(t, in) {
					t.Error("the dump differs from the chunk")
				}
			}
		})
	}
}

func TestClosedStdoutEndsTheRunQuietly(t *testing.T) {
	needHost(t)
	file := tempFile(t, strings.Repeat("line\n", 1000))
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	var log strings.Builder
	cmd := exec.Command(hostPath, "--input", file, "--chunk", "10", "--repeat", "1000000")
	cmd.Stdout, cmd.Stderr = w, &log
	if err := cmd.Run(); err != nil {
		t.Errorf("%v\n%s", err, log.String())
	}
	w.Close()
	if !strings.Contains(log.String(), "no more records are printed") {
		t.Errorf("stderr: %s", log.String())
	}
}

func TestSignalEndsAWaitForInput(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	s := start(t, r, "--input", "-", "--chunk", "2")
	r.Close()
	w.WriteString("a\nb\nc\n")
	s.wantLines(t, "a", "b")
	s.signal(t, syscall.SIGTERM)
	s.wantLines(t, "c")
	s.wantEnd(t, 0)
}

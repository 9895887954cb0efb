package reference

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// check fails if parser and reference read a line differently.
func check(t *testing.T, all []*side, text string) {
	t.Helper()
	for _, sd := range all {
		if sd.differences(text) != nil {
			t.Fatal(sd.describe(text))
		}
	}
}

func FuzzSameReading(f *testing.F) {
	for i, line := range corpusLines(f) {
		if i%5 == 0 {
			f.Add(line)
		}
	}
	all := sides(f)
	f.Fuzz(func(t *testing.T, line string) { check(t, all, line) })
}

// FuzzHeaders builds a line from the parts of a header, with and without a pair after it.
func FuzzHeaders(f *testing.F) {
	f.Add(134, "1 ", "2024-10-01T22:17:30Z", "host", "app", "12", "id", `[a b="c \] \" d"]`, `emsserial=1 msg="x"`)
	f.Add(190, "1 ", "-", "-", "-", "-", "-", "[a\x00b@1 c\x00=\"d\" c_=\"e\" \x7f=\"\"]", `emsserial=1`)
	f.Add(190, "1 ", "-", "-", "-", "-", "-", "["+strings.Repeat("é\x01", 90)+" "+strings.Repeat("é", 128)+`="d"]`, `emsserial=1`)
	f.Add(13, "", "Oct  1 22:17:30", "host", "ems-vpn[4]:", "", "", "", "hello")
	f.Add(-1, "", "2024-10-01T22:17:30+02:00 Oct  1 22:17:30s", "", "", "", "", "", "dtime=x devid=FCT1")
	all := sides(f)
	f.Fuzz(func(t *testing.T, pri int, version, stamp, host, app, procid, msgid, data, body string) {
		line := ""
		if pri >= 0 {
			line = fmt.Sprintf("<%d>", pri)
		}
		line += version + strings.Join([]string{stamp, host, app, procid, msgid, data}, " ") + " "
		check(t, all, line+body)
		check(t, all, line+"emsserial=1 "+body)
	})
}

// FuzzCEF builds a CEF line from its header and two pairs of one key.
func FuzzCEF(f *testing.F) {
	f.Add("Fortinet", "FortiClient EMS", "96900", "ems-vpn | x", "src", `a \= b`, `c`)
	f.Add("fortinet", "forticlient", "0107045057", `\`, "FTNTFGTuser", `\\|\n`, `\`)
	all := sides(f)
	f.Fuzz(func(t *testing.T, vendor, product, signature, name, key, v1, v2 string) {
		check(t, all, fmt.Sprintf("<13>CEF:0|%s|%s|7|%s|%s|5|%s=%s %s=%s", vendor, product, signature, name, key, v1, key, v2))
	})
}

// FuzzJSON builds a valid JSON body, and cuts it.
func FuzzJSON(f *testing.F) {
	f.Add("user", "DOM\\alice", "x.y", "\u00e4\x00\"", uint16(1000))
	f.Add("type", "ems-vpn", "type", "N/A", uint16(40))
	all := sides(f)
	f.Fuzz(func(t *testing.T, k1, v1, k2, v2 string, end uint16) {
		nested, err := json.Marshal(map[string]any{k1: []any{v1, 1.5, nil}})
		if err != nil {
			t.Skip()
		}
		var parts [4]string
		for i, s := range []string{k1, v1, k2, v2} {
			b, err := json.Marshal(s)
			if err != nil {
				t.Skip()
			}
			parts[i] = string(b)
		}
		line := fmt.Sprintf(`{"emsserial":"1", %s: %s, %s: %s, %s:%s, %s: %d}`, parts[0], parts[1], parts[2], parts[3], parts[2], nested, parts[0], end)
		check(t, all, line)
		check(t, all, line[:min(len(line), int(end))])
		check(t, all, `emsserial=1 x=`+line)
	})
}

package abi_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"fluent-bit-fortiems/test/fakees"
	"fluent-bit-fortiems/test/rig"
)

// TestIDsOfSplitRecords ships records that hold several messages, the same one twice among
// them. Each message is a document of its own, also when the server stores a request and
// closes the connection without an answer: the next try has the same ids.
func TestIDsOfSplitRecords(t *testing.T) {
	rig.Build(t)
	var input strings.Builder
	const records = 50
	for i := range records {
		one := fmt.Sprintf(`<134>date=2024-10-01 time=22:17:30 tz="+0000" type=event emsserial=FCTEMS0000000007 number=%d msg="offline"`, i)
		input.WriteString(one + "#012" + strings.Replace(one, "offline", "online", 1) + "#012" + one + "\n")
	}
	var tries [2][]string
	for i := range tries {
		server := es(t)
		requests := 0
		server.Script(func(*fakees.Request) *fakees.Reply {
			if requests++; i == 1 && requests == 1 {
				return &fakees.Reply{Store: true, Hangup: true}
			}
			return nil
		})
		withHost(t, input.String(), "--output", outputLink, "--input", "-", "--time", "1733392800.123456789", "--quiet", "--retry-pause-ms", "1",
			"--output-prop", "bootstrap=off", "--output-prop", "hosts="+server.URL).wantCode(t, 0)
		docs := server.Stored(dataStream)
		var online int
		for _, d := range docs {
			tries[i] = append(tries[i], d.ID)
			if bytes.Contains(d.Source, []byte(`"online"`)) {
				online++
			}
		}
		slices.Sort(tries[i])
		if len(docs) != 3*records || online != records || len(slices.Compact(slices.Clone(tries[i]))) != 3*records || requests < i+1 {
			t.Fatalf("%d documents, %d of them online, from %d records in %d requests", len(docs), online, records, requests)
		}
	}
	if !slices.Equal(tries[0], tries[1]) {
		t.Error("the ids depend on the tries")
	}
}

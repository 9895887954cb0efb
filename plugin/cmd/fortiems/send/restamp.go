package send

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The timestamps in a line. Local ones are in the zone of tz, or in UTC without tz.
var (
	tzPair     = regexp.MustCompile(`\btz="?([+-]\d\d):?(\d\d)`)
	local      = regexp.MustCompile(`\b(date|time|dtime)=("*)(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d)`)
	epoch      = regexp.MustCompile(`\b(eventtime|timestamp|itime)=("*)(\d{10,19})\b`)
	isoHeader  = regexp.MustCompile(`^(?:\d+ )?(?:<\d+>)?(?:1 )?(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d))`)
	textHeader = regexp.MustCompile(`^(?:<\d+>)?([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d)`)
)

// Restamp returns line with every timestamp set to now.
func Restamp(line string, now time.Time) string {
	zone := time.UTC
	if m := tzPair.FindStringSubmatch(line); m != nil {
		h, _ := strconv.Atoi(m[1])
		minutes, _ := strconv.Atoi(m[2])
		if h < 0 || strings.HasPrefix(m[1], "-") {
			minutes = -minutes
		}
		zone = time.FixedZone("", h*3600+minutes*60)
	}
	line = local.ReplaceAllStringFunc(line, func(pair string) string {
		m := local.FindStringSubmatch(pair)
		layout := map[int]string{8: time.TimeOnly, 10: time.DateOnly, 19: time.DateTime}[len(m[3])]
		return m[1] + "=" + m[2] + now.In(zone).Format(layout)
	})
	line = epoch.ReplaceAllStringFunc(line, func(pair string) string {
		m := epoch.FindStringSubmatch(pair)
		n := now.UnixNano()
		for range 19 - len(m[3]) {
			n /= 10
		}
		return m[1] + "=" + m[2] + strconv.FormatInt(n, 10)
	})
	for _, h := range []struct {
		at     *regexp.Regexp
		layout string
	}{{isoHeader, "2006-01-02T15:04:05.000Z07:00"}, {textHeader, time.Stamp}} {
		if m := h.at.FindStringSubmatchIndex(line); m != nil {
			line = string(slices.Concat([]byte(line[:m[2]]), []byte(now.UTC().Format(h.layout)), []byte(line[m[3]:])))
		}
	}
	return line
}

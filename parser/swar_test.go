package parser

import (
	"bytes"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestWholeWordsAgreeWithBytes compares what reads eight bytes at a time with loops
// over bytes, on texts of all bytes and of those that matter.
func TestWholeWordsAgreeWithBytes(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 3))
	random := func(n int) []byte {
		alphabet := []byte("0123456789:-/AZaz@[\" = !\x00\x1f\x7f\x80\xba\xff")
		if rnd.IntN(3) == 0 {
			alphabet = nil
		}
		b := make([]byte, n, n+rnd.IntN(12))
		for i := range b {
			if b[i] = byte(rnd.IntN(256)); alphabet != nil {
				b[i] = alphabet[rnd.IntN(len(alphabet))]
			}
		}
		return b
	}
	for range 200_000 {
		s := random(rnd.IntN(40))
		i := rnd.IntN(len(s) + 1)
		index := func(is func(c byte) bool) int {
			for j := i; j < len(s); j++ {
				if is(s[j]) {
					return j
				}
			}
			return len(s)
		}
		if got, want := nextBlank(s, i), index(func(c byte) bool { return c <= ' ' }); got != want {
			t.Fatalf("nextBlank(%q, %d) = %d, not %d", s, i, got, want)
		}
		if got, want := nextByte(s, i, '"'), index(func(c byte) bool { return c == '"' }); got != want {
			t.Fatalf("nextByte(%q, %d) = %d, not %d", s, i, got, want)
		}
		if got, want := hasUpper(s), bytes.ContainsAny(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"); got != want {
			t.Fatalf("hasUpper(%q) = %v", s, got)
		}
		if rnd.IntN(2) == 0 {
			s = bytes.Repeat([]byte("a"), rnd.IntN(260))
			if len(s) > 0 {
				s[rnd.IntN(len(s))] = random(1)[0]
			}
		}
		if got, want := isASCII(s), bytes.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0; got != want {
			t.Fatalf("isASCII(%q) = %v", s, got)
		}
	}
	two := func(s []byte) int32 { return int32(s[0]-'0')*10 + int32(s[1]-'0') }
	for range 400_000 {
		s := []byte("2024-10-0112:34:56")
		for range rnd.IntN(3) {
			s[rnd.IntN(len(s))] = random(1)[0]
		}
		if rnd.IntN(4) == 0 {
			s[4], s[7] = '/', '/'
		}
		date, clock := s[:10], s[10:]
		ok := (date[4] == '-' || date[4] == '/') && date[7] == date[4]
		for _, i := range []int{0, 1, 2, 3, 5, 6} {
			ok = ok && isDigit(date[i])
		}
		var c civil
		if got := c.parseDate(date); got != ok {
			t.Fatalf("parseDate(%q) = %v", date, got)
		} else if ok && (c.year != two(date)*100+two(date[2:]) || c.month != two(date[5:]) || isDigit(date[8]) && isDigit(date[9]) && c.day != two(date[8:])) {
			t.Fatalf("parseDate(%q): %+v", date, c)
		}
		ok = clock[2] == ':' && clock[5] == ':'
		for _, i := range []int{0, 1, 3, 4, 6, 7} {
			ok = ok && isDigit(clock[i])
		}
		if _, got := c.parseClock(clock); got != ok {
			t.Fatalf("parseClock(%q) = %v", clock, got)
		} else if ok && (c.hour != two(clock) || c.min != two(clock[3:]) || c.sec != two(clock[6:])) {
			t.Fatalf("parseClock(%q): %+v", clock, c)
		}
	}
}

// TestNumbersOfTimes compares what reads fractions and offsets with package strconv
// and regular expressions, and days with package time.
func TestNumbersOfTimes(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 5))
	text := func(alphabet string, most int) []byte {
		b := make([]byte, rnd.IntN(most))
		for i := range b {
			b[i] = alphabet[rnd.IntN(len(alphabet))]
		}
		return b
	}
	digits := regexp.MustCompile(`^[0-9]*`)
	for range 200_000 {
		s := text("0123456789", 14)
		if rnd.IntN(2) == 0 && len(s) > 0 {
			s[rnd.IntN(len(s))] = byte(rnd.IntN(256))
		}
		d := digits.Find(s)
		want, _ := strconv.Atoi((string(d) + "000000000")[:9])
		if got, n := fraction(s); int(got) != want || n != len(d) {
			t.Fatalf("fraction(%q) = %d, %d", s, got, n)
		}
	}
	offset := regexp.MustCompile(`^([+-])(?:([0-9]{1,2}):([0-9]{2})|([0-9]{2})([0-9]{2})|([0-9]{1,2}))`)
	for range 200_000 {
		s := append(text("+-", 3), text("0012345:: ", 8)...)
		seconds, length := 0, 0
		if m := offset.FindSubmatch(s); m != nil && !(len(m[0]) < len(s) && isDigit(s[len(m[0])])) {
			hours, _ := strconv.Atoi(string(m[2]) + string(m[4]) + string(m[6]))
			minutes, _ := strconv.Atoi("0" + string(m[3]) + string(m[5]))
			if hours <= 14 && minutes <= 59 {
				length = len(m[0])
				seconds = hours*3600 + minutes*60
				if s[0] == '-' {
					seconds = -seconds
				}
			}
		}
		if n, got := parseOffset(s); n != length || int(got) != seconds {
			t.Fatalf("parseOffset(%q) = %d, %d, not %d, %d", s, n, got, length, seconds)
		}
	}
	for day := time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC); day.Year() < 10_000; day = day.Add(25*time.Hour + 61*time.Second) {
		c := civil{int32(day.Year()), int32(day.Month()), int32(day.Day()), int32(day.Hour()), int32(day.Minute()), int32(day.Second()), 0}
		if got := c.utc(); got != day.Unix() || !c.valid() {
			t.Fatalf("%v: %d, %v", day, got, c.valid())
		}
	}
	var ev Event
	for minutes := -14 * 60; minutes <= 14*60; minutes++ {
		zone := time.FixedZone("", minutes*60)
		if got, want := string(ev.appendOffset(int32(minutes*60))), time.Unix(0, 0).In(zone).Format("-07:00"); got != want {
			t.Fatalf("%s, not %s", got, want)
		}
	}
}

// TestKnownKeysAreFound looks for every key in front of any value.
func TestKnownKeysAreFound(t *testing.T) {
	for id, name := range keyNames[1:] {
		line := []byte(name + "=0123456789abcdef")
		want := keyID(id + 1)
		if len(name) > 15 {
			want = 0
		}
		if n, got := knownKey((*[16]byte)(line)); got != want || got != 0 && n != len(name) {
			t.Errorf("%s: key %d of %d bytes, not %d", name, got, n, want)
		}
		if _, got := knownKey((*[16]byte)([]byte("x" + string(line)))); got != 0 && keyNames[got] != "x"+name {
			t.Errorf("x%s: key %s", name, keyNames[got])
		}
	}
}

// TestPairsDoNotDependOnEarlierLines reads lines with an event that has read others,
// so that it tries the keys that came in those first, and with a new one; with room
// behind the line for reading sixteen bytes at once, and without.
func TestPairsDoNotDependOnEarlierLines(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 7))
	keys := []string{"type", "subtype", "user", "msg", "srcport", "os", "emshostname", "vd", "other", "Type", "utmaction"}
	values := []string{
		"", `""`, "x", `"x y"`, "0", `"0"`, "00", "-", "N/A", "Name", "(null)", `(x`, `"a\"b"`, `""doubled""`, `"unclosed`,
		"<a b=1></a>", "<", `"<a b=1>"`, "two words", "a\tb", "a\x01b", strings.Repeat("\x00", 20), `"=" `, "a=b", "ä", `"`,
		"a-value-of-more-than-eight-bytes", `"a value of more than eight bytes"`, "a\xffb",
	}
	blanks := []string{" ", " ", " ", " ", " ", " ", "  ", "\t", "", ",", "\x00", " " + strings.Repeat("\x00", 16)}
	used := new(Event)
	usual := 0
	for range 50_000 {
		line := []byte("emsserial=FCTEMS1 type=x ")
		for range rnd.IntN(7) {
			line = append(line, keys[rnd.IntN(len(keys))]...)
			line = append(line, '=')
			line = append(line, values[rnd.IntN(len(values))]...)
			line = append(line, blanks[rnd.IntN(len(blanks))]...)
		}
		line = line[:rnd.IntN(len(line)+1)]
		behind := append(slices.Clone(line), ` user="of the next line" msg=1`...)[:len(line)]
		for _, text := range [][]byte{slices.Clip(line), behind} {
			fresh := new(Event)
			p := New(Options{})
			want, got := p.Parse(fresh, text, 0, 0), p.Parse(used, text, 0, 0)
			if got != want || !slices.EqualFunc(used.Pairs, fresh.Pairs, samePair) || used.seen != fresh.seen || used.valued != fresh.valued {
				t.Fatalf("%q:\n%q,\nafter other lines\n%q", text, fresh.Pairs, used.Pairs)
			}
		}
		used.readHeader(behind)
		if first := used.head.first; first.id != 0 && used.scanUsual(behind, first) != first {
			usual++
		}
	}
	if usual < 10_000 {
		t.Errorf("only %d lines had usual pairs", usual)
	}
}

func samePair(a, b Pair) bool {
	return string(a.Value) == string(b.Value) && string(a.Key()) == string(b.Key()) && a.id == b.id && a.next == b.next && a.state == b.state
}

// TestUsualPairs tells which pairs are read at once behind another line.
func TestUsualPairs(t *testing.T) {
	for _, c := range []struct{ before, line, read string }{
		{"type=a subtype=b user=c msg=d", "type=a subtype=b user=c", "type subtype"},
		{"type=a subtype=b user=c msg=d", `type="a b" subtype="" user= msg=x`, "type subtype user"},
		{"type=a subtype=b user=c", "type=a user=c subtype=b", ""},
		{"type=a subtype=b user=c", "type=a subtype=0 user=c", "type"}, // 0 may say nothing
		{"type=a subtype=b user=c", "type=<a subtype=b user=c", ""},
		{"type=a subtype=b user=c", "type=a\tsubtype=b user=c", ""},
		{"type=a subtype=b user=c", `type="a"" subtype=b user=c`, ""},
		{"type=a subtype=b user=c", "type=a other=1 subtype=b user=c", ""},
		{"type=a subtype=b type=c subtype=d", "type=a subtype=b type=c subtype=d", "type subtype"}, // a key repeats
	} {
		withRoom := func(line string) []byte { return append([]byte(line), make([]byte, 16)...)[:len(line)] }
		ev, text := new(Event), withRoom(c.line)
		New(Options{}).Parse(ev, withRoom(c.before), 0, 0)
		ev.readHeader(text)
		ev.Pairs = make([]Pair, 0, 8)
		next := ev.scanUsual(text, ev.head.first)
		var read []string
		for i := range ev.Pairs {
			read = append(read, string(ev.Pairs[i].Key()))
		}
		if strings.Join(read, " ") != c.read || !strings.HasSuffix(c.line[:next.end], keyNames[next.id]) || c.line[next.end] != '=' {
			t.Errorf("%s: %q, then %+v", c.line, read, next)
		}
	}
}

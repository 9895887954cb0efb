package timestamp

import (
	"testing"
	"time"
)

func TestRead(t *testing.T) {
	for text, want := range map[string]string{
		"2024-10-01 22:17:30.252538723 +0000 UTC": "2024-10-01 22:17:30.252538723 +00:00", "2024-10-1 9:07:03 PM": "2024-10-01 21:07:03", "2024-10-01 12:00:00 AM": "2024-10-01 00:00:00",
		"Tue, 01 Oct 2024 22:17:30 +0200 (CEST)": "2024-10-01 22:17:30 +02:00", "Tue Oct  1 22:17:30 PDT 2024": "2024-10-01 22:17:30 -07:00", "01/Oct/2024:22:17:30 -0330": "2024-10-01 22:17:30 -03:30",
		"20241001T221730,5Z": "2024-10-01 22:17:30.5 +00:00", "1727821050123": "2024-10-01 22:17:30.123 +00:00", "2024-10-01 22:17:30 GMT+2": "2024-10-01 22:17:30 +02:00",
		"2024-10-01 22:17:30 +0200 UTC": "2024-10-01 22:17:30 +02:00", "2024-10-01 22:17:30 IST": "2024-10-01 22:17:30", "2016-12-31T23:59:60Z": "2016-12-31 23:59:59 +00:00",
		"2024-10-01 22:17:30 Europe/Berlin": "2024-10-01 22:17:30 +02:00", "2024-12-01 22:17:30 -0500 Europe/Berlin": "2024-12-01 22:17:30 -05:00", "Oct  1 22:17:30 Europe/Berlin": "0000-10-01 22:17:30", "2024-10-01 22:17:30 ems1/relay1": "",
		"2024-10-01 22:17:30 +02": "2024-10-01 22:17:30 +02:00", "2024-10-01 22:17:30 -2:00": "2024-10-01 22:17:30 -02:00", "2024-10-01 22:17:30 +0": "", "2024-10-01 22:17:30 \u22120330": "2024-10-01 22:17:30 -03:30", "2024-10-01T22:17:30\u22125": "2024-10-01 22:17:30 -05:00",
		"20241001221730": "2024-10-01 22:17:30", "20241001221730.5+02:00": "2024-10-01 22:17:30.5 +02:00", "20241301221730": "", "2024-10-01_22:17:30": "2024-10-01 22:17:30", "2024/10/01-22:17:30": "2024-10-01 22:17:30",
		"TUE OCT 1 22:17:30 2024": "2024-10-01 22:17:30", "sept 1 2024 22:17:30": "2024-09-01 22:17:30", "2024-12-31T24:00:00Z": "2025-01-01 00:00:00 +00:00", "Oct  1 24:00:00": "",
		"2024-02-30 22:17:30": "", "10/1/2024 22:17:30": "", "2024-10-01": "", "22:17:30": "", "2024-10-01 22:17:30 x": "", "": "", "*": "", "2024-10-01T": "",
	} {
		var s Stamp
		got := ""
		if s.ReadAll([]byte(text)) {
			d := s.Local
			got = time.Date(int(d.Year), time.Month(d.Month), int(d.Day), int(d.Hour), int(d.Min), int(d.Sec), int(d.Nsec), time.UTC).Format("2006-01-02 15:04:05.999999999")
			if s.HasZone {
				got += time.Unix(0, 0).In(time.FixedZone("", int(s.Offset))).Format(" -07:00")
			}
		}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
		for n := range text { // cut anywhere, it must not panic
			new(Stamp).Read([]byte(text)[:n:n])
		}
	}
}

func TestZones(t *testing.T) {
	for text, want := range map[string]int32{"CET": 3600, "cest": 7200, "EST": -18000, "ACST": 34200, "Z": 0, "UTC": 0, "GMT+1": 3600, "(GMT+1:00) Berlin": 3600, "-0330": -12600} {
		if got, ok := ParseZone([]byte(text)); !ok || got != want {
			t.Errorf("%s: %d, %v", text, got, ok)
		}
	}
	for _, text := range []string{"IST", "CST", "BST", "XYZ", "", "(", "Europe/Berlin", "nonsense"} {
		if got, ok := ParseZone([]byte(text)); ok {
			t.Errorf("%q: %d", text, got)
		}
	}
	if zone := Location([]byte("Europe/Berlin")); zone == nil || Location([]byte("Europe/Berlin")) != zone {
		t.Error("Europe/Berlin is read again")
	}
	for _, name := range []string{"Local", "", "../etc/passwd", "Europe", "Nowhere/X", "posixrules"} {
		if zone := Location([]byte(name)); zone != nil {
			t.Errorf("%q: %v", name, zone)
		}
	}
}

// TestRepeatedHour reads hours that zones repeat as the one nearest to the time of receipt.
func TestRepeatedHour(t *testing.T) {
	for _, c := range []struct {
		zone        string
		local       DateTime
		first, last string
	}{
		{"Europe/Berlin", DateTime{2024, 10, 27, 2, 30, 0, 0}, "2024-10-27T00:30:00Z", "2024-10-27T01:30:00Z"},
		{"America/New_York", DateTime{2024, 11, 3, 1, 30, 0, 0}, "2024-11-03T05:30:00Z", "2024-11-03T06:30:00Z"},
		{"Australia/Lord_Howe", DateTime{2024, 4, 7, 1, 45, 0, 0}, "2024-04-06T14:45:00Z", "2024-04-06T15:15:00Z"},
	} {
		zone := Location([]byte(c.zone))
		for _, text := range []string{c.first, c.last} {
			at, err := time.Parse(time.RFC3339, text)
			if err != nil || zone == nil {
				t.Fatal(c.zone, err)
			}
			if got := c.local.In(zone, at.Unix()+2); got != at.Unix() {
				t.Errorf("%s received at %s: %v", c.zone, text, time.Unix(got, 0).UTC())
			}
		}
	}
}

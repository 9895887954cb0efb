package parser

import (
	"strings"
	"testing"
	"time"

	"fluent-bit-fortiems/parser/dict"
	"fluent-bit-fortiems/parser/ecs"
)

// TestHeadersOfRelays reads every stamp with every host, tag and relay. The stamps are the same
// second, those without a year in the year before receipt.
func TestHeadersOfRelays(t *testing.T) {
	received := ecs.Instant{Sec: time.Date(2025, 1, 5, 10, 0, 0, 0, time.UTC).Unix()}
	want := time.Date(2024, 10, 1, 22, 17, 30, 0, time.UTC).Unix()
	stamps := []string{
		"Oct  1 22:17:30", "Oct 1 22:17:30", "Oct 01 22:17:30.129", "Oct  1 22:17:30 UTC", "Oct  2 00:17:30 CEST", "Oct  1 2024 22:17:30", "Oct  1 22:17:30 2024",
		"2024 Oct  1 22:17:30", "Oct  2 2024 00:17:30.129 CEST:", "*Oct  1 22:17:30.129:", "Tue Oct  1 22:17:30 2024", "Tue Oct 01 2024 16:17:30 -06:00", "Tue Oct  1 22:17:30 UTC 2024",
		"Tue, 1 Oct 2024 22:17:30 +0000", "Oct  1 10:17:30 PM", "2024-10-01T22:17:30Z", "2024-10-02T00:17:30.635322+02:00", "2024-10-01 22:17:30", "2024/10/01 22:17:30",
		"2024-10-01 22:17:30 +0000 UTC", "20241001T221730Z", "1727821050", "1727821050.640442956", "1727821050640",
	}
	// The name that each host is.
	hosts := map[string]string{
		"ems1": "ems1", "ems1:": "ems1", "ems1 :": "ems1", "ems1 ems1": "ems1", "ems1@relay1": "ems1", "[2001:db8::1]": "2001:db8::1", "2001:db8::1": "2001:db8::1",
		"192.0.2.1": "192.0.2.1", "Local7.Info ems1": "ems1", "ems1 Local7.Info": "ems1", "": "",
	}
	tags := []string{"ems-vpn[77]:", "ems-vpn:", "EMS_VPN[77]:", "ems-vpn"}
	relays := []string{
		"<134>", "", "\uFEFF<134>", "\x00\n<134> ", "347 <134>", "\n347 <134>", "<134>123: ", "<13>Oct  1 22:17:31 relay1 <134>", "<13>1 2024-10-01T22:17:31Z relay1 rsyslogd - - - <134>",
		"<13>Oct  1 22:17:31 relay1 rsyslogd: <134>", "2024-10-01T22:17:31.591779133Z stdout F <134>",
	}
	bodies := []string{"emsserial=FCTEMS0000000001 msg=\"tunnel statistics\"", "\uFEFFemsserial=FCTEMS0000000001", "tunnel statistics of today"}
	p, n := New(Options{}), 0
	var ev Event
	for _, stamp := range stamps {
		for host, name := range hosts {
			for _, tag := range tags {
				for _, relay := range relays {
					for _, body := range bodies {
						text := relay + strings.TrimLeft(strings.Join([]string{stamp, host, tag, body}, " "), " ")
						h := &ev.Line.Header
						n++
						if !p.Parse(&ev, []byte(text), received) || string(h.Hostname) != name || !strings.EqualFold(strings.ReplaceAll(string(h.AppName), "_", "-"), "ems-vpn") ||
							ev.Time.Sec != want || ev.Decision.Category != dict.VPN {
							t.Errorf("%q: host %q, app %q, %v, %v", text, h.Hostname, h.AppName, time.Unix(ev.Time.Sec, 0).UTC(), ev.Decision.Category)
						}
					}
				}
			}
		}
	}
	if n < 1000 {
		t.Errorf("only %d headers", n)
	}
}

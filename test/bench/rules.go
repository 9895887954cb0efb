package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// userRules are typical user rules (conf/rules-example.yaml); %d is replaced by a number.
// None matches a line of Cases, so every one is evaluated.
var userRules = []string{
	`when: {writer: ems, words: ["site phrase %d"]}, set: {category: ems-adconnector, action: ad-sync}`,
	`when: {category: [ems-client, fct-security], words: ["site state %d"]}, set: {severity: 2}`,
	`when: {category: ems-client, fields: {hostname: pc-%d}}, set: {severity: 2}`,
	`when: {subtype: site-%d}, set: {category: ems-event}`,
	`when: {id: "97%03d"}, set: {category: fct-event}`,
	`when: {writer: forticlient, fields: {srcname: [tool%d.exe, helper.exe]}}, set: {outcome: success}`,
	`when: {category: ems-client, fields: {user: {contains: "svc%d"}}}, set: {severity: 6}`,
	`when: {category: [ems-client, fct-traffic], words: [offline, online, "traffic log"], fields: {usingpolicy: "site %d"}}, set: {kind: alert}`,
	`when: {type: site%d}, set: {category: ems-event}`,
	`when: {category: [ems-client, fct-traffic], fields: {hostname: {regex: '(?i)^exec-%d-'}}}, set: {severity: 2}`,
}

// UserRules returns a file of n rules as users write them.
func UserRules(n int) []byte {
	var b strings.Builder
	b.WriteString("version: 1\nrules:\n")
	for i := range n {
		fmt.Fprintf(&b, "  - {name: site-%d, %s}\n", i, fmt.Sprintf(userRules[i%len(userRules)], i))
	}
	if n == 0 {
		return []byte("version: 1\nrules: []\n")
	}
	return []byte(b.String())
}

// WithUserRules calls f with a file of n rules as users write them, which is gone
// afterwards.
func WithUserRules(n int, f func(file string) error) error {
	dir, err := os.MkdirTemp("", "fortiems-rules")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "rules.yaml")
	if err := os.WriteFile(file, UserRules(n), 0o600); err != nil {
		return err
	}
	return f(file)
}

// LongLine returns a FortiEMS line of about size bytes: many pairs that have no field
// of their own, or one long message.
func LongLine(size int, pairs bool) []byte {
	b := []byte(`dtime="2024-10-01 22:17:30" type=event subtype=admin emsserial=FCTEMS0000000001 `)
	for i := 0; pairs && len(b)+40 < size; i++ {
		b = fmt.Appendf(b, `vendorkey%d="some value of it %d" `, i, i)
	}
	b = append(b, `msg="offline`...)
	for !pairs && len(b) < size {
		b = append(b, " and one more word"...)
	}
	return append(b, '"')
}

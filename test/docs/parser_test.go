package docs

import (
	"testing"

	"fluent-bit-fortiems/parser"
)

// This file holds all that the tests of documents use of the parser.

// category describes a category.
type category struct {
	name, covers string
	actions      []string
}

func categories() (list []category) {
	for _, r := range parser.CategoryRows() {
		list = append(list, category{r.Name, covers[r.Name], r.Actions})
	}
	return list
}

func fields() []parser.FieldRow { return parser.FieldRows() }

// rulesByEvidence counts the built-in rules by what they rest on, nil where they do not
// say it.
func rulesByEvidence() map[string]int { return nil }

func loadRules(file string) error {
	_, err := parser.LoadRules(file)
	return err
}

// categoryOf returns the category of a line with the rules of file, "" for the
// built-in ones.
func categoryOf(t *testing.T, file, line string) string {
	t.Helper()
	var options parser.Options
	if file != "" {
		rules, err := parser.LoadRules(file)
		if err != nil {
			t.Fatal(err)
		}
		options.Rules = rules
	}
	var ev parser.Event
	if !parser.New(options).Parse(&ev, []byte(line), 1727821050, 0) {
		t.Fatal("not a FortiEMS line")
	}
	return ev.Category.String()
}

// covers says what each category is for.
var covers = map[string]string{
	"ems-adconnector":    "Active Directory connection, sync of users and groups, credential and network errors, LDAP queries",
	"ems-addaemonworker": "background Active Directory tasks, workers started, stopped, failed",
	"ems-update":         "software, signatures, policy and configuration distribution: push, download, install",
	"ems-event":          "start, shutdown, restart; administrative changes; notifications, licence, anomalies",
	"ems-error":          "crashes, failures, communication errors",
	"ems-client":         "endpoint connect and disconnect, registration, policy enforcement, compliance, threats, quarantine",
	"ems-vpn":            "connection attempts, authentication, disconnects and drops",
	"ems-authentication": "administrator login, logout, failed login, lockout",
	"ems-policy":         "policy deployment, change, application",
	"ems-network":        "communication between FortiEMS and endpoints",
	"fct-traffic":        "FortiClient: traffic",
	"fct-security":       "FortiClient: antivirus, anti-exploit, anti-ransomware, application control, web filter, firewall, sandbox",
	"fct-vulnerability":  "FortiClient: vulnerability scan",
	"fct-event":          "FortiClient: everything else",
	"fgt-endpoint":       "FortiGate about its endpoints (0107…)",
	"fgt-connector":      "FortiGate about FortiEMS tags (0112…)",
	"unknown":            "a FortiEMS line that no rule matches",
}

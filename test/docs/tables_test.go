package docs

import (
	"fmt"
	"strings"
	"testing"

	"fluent-bit-fortiems/parser"
	"fluent-bit-fortiems/plugin/metrics"
	"fluent-bit-fortiems/plugin/option"
)

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

func categoryTable(t *testing.T) string {
	t.Helper()
	var rows [][]string
	for _, r := range parser.CategoryRows() {
		if covers[r.Name] == "" {
			t.Errorf("no text for the category %s", r.Name)
		}
		rows = append(rows, []string{"`" + r.Name + "`", covers[r.Name], strings.Join(r.Actions, ", ")})
	}
	return table([]string{"category", "covers", "event.action"}, rows)
}

func fieldTable() string {
	var rows [][]string
	for _, r := range parser.FieldRows() {
		rows = append(rows, []string{"`" + r.Key + "`", r.WrittenBy, "`" + r.Field + "`", r.Note})
	}
	return table([]string{"key", "written by", "field", ""}, rows)
}

func optionTable(options []option.Option) string {
	var rows [][]string
	for _, o := range options {
		value := ""
		if o.Default != "" {
			value = "`" + o.Default + "`"
		}
		rows = append(rows, []string{"`" + o.Key + "`", value, o.Text})
	}
	return table([]string{"key", "default", "meaning"}, rows)
}

func metricTable() string {
	var rows [][]string
	for _, r := range metrics.Rows() {
		rows = append(rows, []string{"`" + r.Name + "`", r.Type, strings.Join(r.Labels(), ", "), r.Help})
	}
	return table([]string{"metric", "type", "labels", "meaning"}, rows)
}

// table renders a Markdown table. A bar in a cell is escaped.
func table(header []string, rows [][]string) string {
	var b strings.Builder
	line := func(cells []string) {
		for _, c := range cells {
			fmt.Fprintf(&b, "| %s ", strings.ReplaceAll(c, "|", `\|`))
		}
		b.WriteString("|\n")
	}
	line(header)
	b.WriteString(strings.Repeat("|---", len(header)) + "|\n")
	for _, r := range rows {
		line(r)
	}
	return strings.ReplaceAll(b.String(), "|  |", "| |")
}

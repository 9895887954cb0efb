package parser

import (
	"slices"
)

// covers says what each category holds, for documents.
var covers = [NumCategories]string{
	Unknown:             "a FortiEMS line that no rule knows",
	ADConnector:         "Active Directory connection, sync of users and groups, credential and network errors, LDAP queries",
	ADDaemonWorker:      "background Active Directory tasks, workers started, stopped, failed",
	Update:              "software, signatures, policy and configuration distribution: push, download, install",
	SystemEvent:         "start, shutdown, restart; administrative changes; notifications, licence, anomalies",
	SystemError:         "crashes, failures, communication errors",
	Client:              "endpoint connect and disconnect, registration, policy enforcement, compliance, threats, quarantine",
	VPN:                 "connection attempts, authentication, disconnects and drops",
	Authentication:      "administrator login, logout, failed login, lockout",
	Policy:              "policy deployment, change, application",
	Network:             "communication between FortiEMS and endpoints",
	ClientTraffic:       "FortiClient: traffic",
	ClientSecurity:      "FortiClient: antivirus, anti-exploit, anti-ransomware, application control, web filter, firewall, sandbox",
	ClientVulnerability: "FortiClient: vulnerability scan",
	ClientEvent:         "FortiClient: the rest",
	GateEndpoint:        "FortiGate about its endpoints (0107…)",
	GateConnector:       "FortiGate about FortiEMS tags (0112…)",
}

// CategoryRow describes a category, for documents.
type CategoryRow struct {
	Name    string
	Covers  string
	Actions []string // in alphabetical order
}

// CategoryRows returns the categories with the actions that the built-in rules
// give meaning to in each.
func CategoryRows() []CategoryRow {
	rs := BuiltinRules()
	rows := make([]CategoryRow, 0, NumCategories)
	for c := ADConnector; c < NumCategories; c++ {
		rows = append(rows, describe(rs, c))
	}
	return append(rows, describe(rs, Unknown))
}

func describe(rs *Rules, c Category) CategoryRow {
	row := CategoryRow{Name: c.String(), Covers: covers[c]}
	for name, a := range rs.actions {
		if a.byCategory[c] != nil {
			row.Actions = append(row.Actions, name)
		}
	}
	slices.Sort(row.Actions)
	return row
}

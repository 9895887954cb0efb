package dict

import "slices"

// Category is a FortiEMS category: one of the ten log types of FortiEMS, a family of the
// FortiClient and FortiGate lines that travel with them, or Unknown. The list is closed.
type Category uint8

// The categories.
const (
	Unknown Category = iota
	ADConnector
	ADDaemonWorker
	Update
	SystemEvent
	SystemError
	Client
	VPN
	Authentication
	Policy
	Network
	ClientTraffic
	ClientSecurity
	ClientVulnerability
	ClientEvent
	GateEndpoint
	GateConnector

	NumCategories
)

var categoryNames = [NumCategories]string{
	Unknown:             "unknown",
	ADConnector:         "ems-adconnector",
	ADDaemonWorker:      "ems-addaemonworker",
	Update:              "ems-update",
	SystemEvent:         "ems-event",
	SystemError:         "ems-error",
	Client:              "ems-client",
	VPN:                 "ems-vpn",
	Authentication:      "ems-authentication",
	Policy:              "ems-policy",
	Network:             "ems-network",
	ClientTraffic:       "fct-traffic",
	ClientSecurity:      "fct-security",
	ClientVulnerability: "fct-vulnerability",
	ClientEvent:         "fct-event",
	GateEndpoint:        "fgt-endpoint",
	GateConnector:       "fgt-connector",
}

// String returns the name that fortinet.ems.category has.
func (c Category) String() string {
	if c < NumCategories {
		return categoryNames[c]
	}
	return categoryNames[Unknown]
}

// CategoryNames returns the names of all categories in their order.
func CategoryNames() []string { return categoryNames[:] }

// CategoryOf returns the category of a name.
func CategoryOf(name string) (Category, bool) {
	i := slices.Index(categoryNames[:], name)
	return Category(max(i, 0)), i >= 0
}

package dict

import "slices"

// Source is who wrote a line. The meaning of a key depends on it.
type Source uint8

// The sources.
const (
	EMS         Source = iota // FortiClient EMS itself, and whatever is not known better
	FortiClient               // the client on an endpoint
	FortiGate                 // a firewall, about its endpoints or its EMS connector

	NumSources
)

var sourceNames = [NumSources]string{EMS: "ems", FortiClient: "forticlient", FortiGate: "fortigate"}

// String returns the name that rules use: ems, forticlient or fortigate.
func (s Source) String() string { return sourceNames[s] }

// SourceNames returns the names of the sources in their order.
func SourceNames() []string { return sourceNames[:] }

// SourceOf returns the source of a name.
func SourceOf(name string) (Source, bool) {
	i := slices.Index(sourceNames[:], name)
	return Source(max(i, 0)), i >= 0
}

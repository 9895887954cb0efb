package dict

import (
	"slices"
	"strings"

	"fluent-bit-fortiems/parser/ascii"
)

// Service is a service of FortiClient EMS. Its name with the prefix "ems-" or "fcems_", or as
// the app name of a syslog header, is a token.
type Service struct {
	Name string
	// Token is the category of its lines, ContactToken, or AnyToken where nothing is known of
	// what it does.
	Token Token
	// Evidence of the name: doc (the vendor's documentation or programs) or inferred. Which
	// category a service has is inferred.
	Evidence string
	// Own is set if no other known product has a program of that name, so that the name alone
	// makes a line one of FortiEMS.
	Own bool
}

// services are in the command line reference of EMS 7.4.4 and 7.4.5 ("execute service"), there
// with the prefix "fcems_", or are processes of EMS 7.4. Every name may have the suffix
// "worker".
var services = []Service{
	{"adconnector", Token(ADConnector), "doc", true},
	{"addaemon", Token(ADDaemonWorker), "doc", true},
	{"adtask", Token(ADDaemonWorker), "doc", true},
	{"adevtsrv", Token(ADDaemonWorker), "doc", true},
	{"update", Token(Update), "doc", false},
	{"updateworker", Token(Update), "doc", true},
	{"upgrade", Token(Update), "inferred", false},
	{"deploy", Token(Update), "doc", false},
	{"installer", Token(Update), "doc", false},
	{"ftntdbimporter", Token(Update), "doc", true},
	{"event", Token(SystemEvent), "doc", false},
	{"eventworker", Token(SystemEvent), "doc", true},
	{"monitor", Token(SystemEvent), "doc", false},
	{"task", Token(SystemEvent), "doc", false},
	{"das", Token(SystemEvent), "doc", false},
	{"dbop", Token(SystemEvent), "doc", false},
	{"pgbouncer", Token(SystemEvent), "doc", false},
	{"wspgbouncer", Token(SystemEvent), "doc", true},
	{"licenseso", Token(SystemEvent), "inferred", true},
	{"upload", Token(SystemEvent), "doc", false},
	{"apache2", Token(SystemEvent), "doc", false},
	{"reg", ContactToken, "doc", false},
	{"regworker", ContactToken, "doc", true},
	{"ka", ContactToken, "doc", false},
	{"kaworker", ContactToken, "doc", true},
	{"probe", ContactToken, "doc", false},
	{"ecsocksrv", ContactToken, "doc", true},
	{"notify", ContactToken, "doc", false},
	{"tag", Token(Client), "doc", false},
	{"tagworker", Token(Client), "doc", true},
	{"ztna", Token(Client), "doc", false},
	{"chromebook", Token(Client), "doc", false},
	{"mdmproxy", Token(Client), "doc", true},
	{"scep", Token(Client), "doc", false},
	{"forensics", Token(Client), "doc", false},
	{"sip", AnyToken, "doc", false},
	{"emsworkers", AnyToken, "doc", true},
}

// Services returns a copy of the table of services.
func Services() []Service { return slices.Clone(services) }

// name is what a name without a prefix says.
type name struct {
	token   Token
	service bool // a service, not only a log type
	own     bool // as for Service
	bare    bool // counts without a prefix in type and subtype of a line that EMS wrote
}

const workerSuffix = "worker"

// maxName is the length, in bytes, of the longest name, its suffix included.
const maxName = 32

// tokenNames holds the log types of FortiEMS and its services, with and without the suffix.
var tokenNames = func() map[string]name {
	all := map[string]name{}
	add := func(text string, n name) {
		if _, ok := all[text]; !ok && len(text) <= maxName {
			all[text] = n
		}
	}
	for c := ADConnector; c <= Network; c++ {
		n := name{token: Token(c), bare: true}
		switch c {
		case SystemEvent, SystemError, Client: // words with other meanings
			n.bare = false
		}
		text := strings.TrimPrefix(categoryNames[c], "ems-")
		if i := slices.IndexFunc(services, func(s Service) bool { return s.Name == strings.TrimSuffix(text, workerSuffix) }); i >= 0 {
			n.service, n.own = true, services[i].Own
		}
		add(text, n)
	}
	for _, s := range services {
		add(s.Name, name{s.Token, true, s.Own, s.Own && s.Token != AnyToken})
	}
	for text, n := range all {
		if !strings.HasSuffix(text, workerSuffix) {
			n.bare = n.bare && n.own
			add(text+workerSuffix, n)
		}
	}
	return all
}()

// letters has, for each length of a name, the sets of first and of last letters. Most words are
// no names, and this is much cheaper than to look them up.
var letters = func() (sets [maxName + 1]struct{ first, last uint32 }) {
	for text := range tokenNames {
		sets[len(text)].first |= 1 << (text[0] & 31)
		sets[len(text)].last |= 1 << (text[len(text)-1] & 31)
	}
	return sets
}()

// findName looks up a name without a prefix, in any case.
func findName(v []byte) (n name, ok bool) {
	if len(v) == 0 || len(v) > maxName || letters[len(v)].first&(1<<(v[0]&31)) == 0 || letters[len(v)].last&(1<<(v[len(v)-1]&31)) == 0 {
		return name{}, false
	}
	var buf [maxName]byte
	for i, c := range v {
		buf[i] = ascii.Lower(c)
	}
	n, ok = tokenNames[string(buf[:len(v)])]
	return n, ok
}

// ServiceToken returns the token of a service whose name is v as a whole, or NoToken. own
// reports whether no other product is known to have a program of that name.
func ServiceToken(v []byte) (t Token, own bool) {
	n, ok := findName(v)
	if !ok || !n.service {
		return NoToken, false
	}
	return n.token, n.own
}

package parser

// Category is a FortiEMS category: one of the ten log types of FortiEMS, a
// family of the FortiClient and FortiGate lines that travel with them, or
// Unknown. The list is closed.
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
	"unknown", "ems-adconnector", "ems-addaemonworker", "ems-update", "ems-event", "ems-error", "ems-client",
	"ems-vpn", "ems-authentication", "ems-policy", "ems-network",
	"fct-traffic", "fct-security", "fct-vulnerability", "fct-event", "fgt-endpoint", "fgt-connector",
}

var categoryConstants = func() (c [NumCategories]*Constant) {
	for i, n := range categoryNames {
		c[i] = constText(n)
	}
	return c
}()

// String returns the name as it stands in fortinet.ems.category.
func (c Category) String() string {
	if c < NumCategories {
		return categoryNames[c]
	}
	return categoryNames[Unknown]
}

func categoryOf(name string) (Category, bool) {
	for i, n := range categoryNames {
		if n == name {
			return Category(i), true
		}
	}
	return Unknown, false
}

// token is an ems- token found in a line: a category, anyToken for one that
// begins with "ems-" and is none of the ten, or noToken.
type token int8

const (
	noToken  token = -2
	anyToken token = -1
)

// findToken looks for "ems-x" or "ems_x" in any case, delimited by bytes that
// are not letters or digits. The first that names a category wins.
func findToken(v []byte) token {
	found := noToken
	for i := 0; i+4 < len(v); i++ {
		if v[i]|0x20 != 'e' || v[i+1]|0x20 != 'm' || v[i+2]|0x20 != 's' || v[i+3] != '-' && v[i+3] != '_' {
			continue
		}
		if i > 0 && isWordByte(v[i-1]) {
			continue
		}
		j := i + 4
		for j < len(v) && isWordByte(v[j]) {
			j++
		}
		if c := tokenIn(&allTokens, v[i+4:j]); c != noToken {
			return c
		}
		if j > i+4 {
			found = anyToken
		}
	}
	return found
}

// tokens holds the categories of FortiEMS by the length of their names without
// "ems-".
type tokens [16][]Category

// tokenIn returns the category that a token without its prefix names.
func tokenIn(t *tokens, v []byte) token {
	if len(v) < len(t) {
		for _, c := range t[len(v)] {
			if name := categoryNames[c][4:]; v[0]|0x20 == name[0] && equalFold(v, name) {
				return token(c)
			}
		}
	}
	return noToken
}

// allTokens are the tokens behind "ems-", bareTokens those that count without it.
var allTokens, bareTokens = func() (all, bare tokens) {
	for c := ADConnector; c <= Network; c++ {
		n := len(categoryNames[c]) - 4
		all[n] = append(all[n], c)
		if c != SystemEvent && c != SystemError && c != Client {
			bare[n] = append(bare[n], c)
		}
	}
	return all, bare
}()

func isWordByte(c byte) bool { return isLetter(c) || isDigit(c) || c >= 0x80 }

// lineToken returns the token of the line, looked for in subtype, type, logtype
// and module fields, the syslog app name and the name of a CEF header. marked
// tells whether it has its ems- prefix. A bare token counts only in subtype and
// type of a line that EMS wrote, and the words event, error and client, which
// mean other things there, never do; it does not make a line one of FortiEMS, and
// a token with its prefix wins wherever it stands.
func (ev *Event) lineToken() (found token, marked bool) {
	found = noToken
	keys := tokenKeys[:]
	if !ev.valued.hasAny(&rareTokenKeys) {
		keys = keys[:2]
	}
	for _, id := range keys {
		if v := ev.value(id); v != nil {
			if found = max(found, findToken(v)); found >= 0 {
				return found, true
			}
		}
	}
	if found = max(found, findToken(ev.head.appname)); found >= 0 {
		return found, true
	}
	if found = max(found, findToken(ev.cefName)); found >= 0 {
		return found, true
	}
	marked = found != noToken
	if ev.by == byEMS {
		bare := tokenIn(&bareTokens, ev.value(keySubtype))
		if bare == noToken {
			bare = tokenIn(&bareTokens, ev.value(keyType))
		}
		if bare != noToken {
			found = bare
		}
	}
	return found, marked
}

// tokenKeys are the keys whose values may hold a token, and rareTokenKeys those beside
// the first two.
var (
	tokenKeys     = [...]keyID{keySubtype, keyType, keyLogtype, keyLogType, keyModule}
	rareTokenKeys = keySetOf(tokenKeys[2:]...)
)

var (
	idKeys     = keySetOf(keyID_, keyLogid, keyLogID) // hold the log id
	clientKeys = keySetOf(keyFctver, keyFctsn)        // are only written by FortiClient
	// A line with any of these belongs to FortiEMS.
	fortiEMSKeys = keySetOf(keyEmsserial, keyEmshostname, keyFctver, keyFctsn, keyFctuid, keyFctemssn)
)

// identify decides whether the line belongs to FortiEMS and who wrote it.
func (ev *Event) identify() bool {
	// A relay may add an id of its own, so the first that means something counts.
	ev.id = nil
	if ev.valued.hasAny(&idKeys) {
		for _, id := range [...]keyID{keyID_, keyLogid, keyLogID} {
			v := ev.value(id)
			if v == nil {
				continue
			}
			if isClientID(v) || isGateID(v) {
				ev.id = v
				break
			}
			if ev.id == nil {
				ev.id = v
			}
		}
	}
	fiveDigits, gateID := isClientID(ev.id), isGateID(ev.id)
	clientID := fiveDigits && (ev.id[1] == '6' || ev.id[1] == '8')
	devid := ev.value(keyDevid)
	if devid == nil {
		devid = ev.value(keyDeviceID)
	}
	switch {
	case gateID || hasPrefixFold(devid, "fg"):
		ev.by = byGate
	case ev.seen.hasAny(&clientKeys) || fiveDigits:
		ev.by = byClient
	default:
		ev.by = byEMS
	}
	var marked bool
	ev.token, marked = ev.lineToken()
	return marked || clientID || gateID || ev.cefClient || ev.seen.hasAny(&fortiEMSKeys) ||
		hasPrefixFold(devid, "fct") || hasPrefixFold(ev.value(keyDevname), "fct")
}

// isClientID reports whether an id is a five-digit one of FortiClient, 9xxxx.
func isClientID(id []byte) bool { return len(id) == 5 && id[0] == '9' && allDigits(id) }

// isGateID reports whether an id is one of FortiGate about its endpoints or tags.
func isGateID(id []byte) bool {
	return len(id) == 10 && (string(id[:4]) == "0107" || string(id[:4]) == "0112") && allDigits(id)
}

func allDigits(v []byte) bool {
	for _, c := range v {
		if !isDigit(c) {
			return false
		}
	}
	return len(v) > 0
}

func hasPrefixFold(v []byte, lower string) bool {
	return len(v) >= len(lower) && equalFold(v[:len(lower)], lower)
}

package parser

import (
	"fluent-bit-fortiems/parser/ascii"
	"fluent-bit-fortiems/parser/dict"
	"fluent-bit-fortiems/parser/line"
)

// Source is who wrote a line, and what it says for sure of its category.
type Source struct {
	By    dict.Source
	ID    []byte     // id, logid or log_id, nil without one
	Token dict.Token // ems- token of the line
}

var (
	idKeys     = [...]dict.Key{dict.KeyID, dict.KeyLogid, dict.KeyLogID}
	deviceKeys = [...]dict.Key{dict.KeyDevid, dict.KeyDeviceID}
	tokenKeys  = [...]dict.Key{dict.KeySubtype, dict.KeyType, dict.KeyLogtype, dict.KeyLogType, dict.KeyModule}

	// Only FortiClient writes these keys.
	clientKeys = dict.SetOf(dict.KeyFctver, dict.KeyFctsn)
	// A line with any of these keys belongs to FortiEMS.
	fortiEMSKeys = dict.SetOf(dict.KeyEmsserial, dict.KeyEmshostname, dict.KeyFctver, dict.KeyFctsn, dict.KeyFctuid, dict.KeyFctemssn)
	otherThanUID = dict.SetOf(dict.KeyEmsserial, dict.KeyEmshostname, dict.KeyFctver, dict.KeyFctsn, dict.KeyFctemssn)
)

// identify finds out who wrote a line, and whether it belongs to FortiEMS.
func identify(l *line.Line) (s Source, matched bool) {
	s.ID = findID(&l.Pairs)
	device := l.Pairs.FirstValue(deviceKeys[:]...)
	clientID, gateID := isClientID(s.ID), isGateID(s.ID)
	switch {
	case gateID || ascii.HasPrefixFold(device, "fg"):
		s.By = dict.FortiGate
	case clientID || l.Pairs.HasAny(&clientKeys):
		s.By = dict.FortiClient
	default:
		s.By = dict.EMS
	}
	var proved bool
	s.Token, proved = findToken(l, s.By, s.ID)
	return s, proved || gateID || l.CEF.Endpoint || hasFortiEMSKey(&l.Pairs, s.By) ||
		clientID && (s.ID[1] == '6' || s.ID[1] == '8') ||
		ascii.HasPrefixFold(device, "fct") || ascii.HasPrefixFold(l.Pairs.Value(dict.KeyDevname), "fct") ||
		line.HoldsSign(l.Clean)
}

// hasFortiEMSKey reports whether a line has a key of FortiEMS. FortiGate also names the
// endpoint (fctuid) in its traffic and UTM lines, which are not about the endpoint.
func hasFortiEMSKey(pairs *line.Pairs, by dict.Source) bool {
	if !pairs.HasAny(&fortiEMSKeys) {
		return false
	}
	if by != dict.FortiGate || pairs.HasAny(&otherThanUID) {
		return true
	}
	kind := pairs.Value(dict.KeyType)
	return !ascii.EqualFold(kind, "traffic") && !ascii.EqualFold(kind, "utm")
}

// findID returns the first log id that is one of FortiClient or of FortiGate's endpoint
// events, else the first one: a relay may add an id of its own.
func findID(pairs *line.Pairs) (id []byte) {
	for _, k := range idKeys {
		v := pairs.Value(k)
		if isClientID(v) || isGateID(v) {
			return v
		}
		if id == nil {
			id = v
		}
	}
	return id
}

// isClientID reports whether an id is one of FortiClient: 9xxxx.
func isClientID(id []byte) bool { return len(id) == 5 && id[0] == '9' && ascii.AllDigits(id) }

// isGateID reports whether an id is one of FortiGate about its endpoints (0107xxxxxx) or
// its EMS connector (0112xxxxxx). A relay that makes a number of it drops the leading zero.
func isGateID(id []byte) bool {
	switch len(id) {
	case 10:
		return (string(id[:4]) == "0107" || string(id[:4]) == "0112") && ascii.AllDigits(id)
	case 9:
		return (string(id[:6]) == "107045" || string(id[:6]) == "112053") && ascii.AllDigits(id)
	}
	return false
}

// findToken returns the ems- token of the line: from subtype, type, a logtype or module
// key, the syslog app name, the name of a CEF header, or the id, in this order; else a name
// without prefix of a line that EMS wrote: in subtype or type, or a service as the app name.
// proves reports whether the token alone makes the line one of FortiEMS.
func findToken(l *line.Line, by dict.Source, id []byte) (t dict.Token, proves bool) {
	t = dict.NoToken
	for _, k := range tokenKeys {
		if v := l.Pairs.Value(k); v != nil {
			if t = max(t, dict.FindToken(v)); t > dict.AnyToken {
				return t, true
			}
		}
	}
	if len(l.Header.AppName)+len(l.CEF.Name)+len(id) > 0 {
		for _, v := range [...][]byte{l.Header.AppName, l.CEF.Name, id} {
			if t = max(t, dict.FindToken(v)); t > dict.AnyToken {
				return t, true
			}
		}
	}
	proves = t != dict.NoToken
	if by == dict.EMS {
		service, own := dict.ServiceToken(l.Header.AppName)
		proves = proves || own
		for _, k := range tokenKeys[:2] {
			if bare := dict.BareToken(l.Pairs.Value(k)); bare != dict.NoToken {
				return bare, proves
			}
		}
		if own || l.Header.ProcID != nil {
			return max(t, service), proves
		}
	}
	return t, proves
}

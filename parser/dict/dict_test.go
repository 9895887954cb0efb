package dict

import (
	"slices"
	"strings"
	"testing"
)

func TestKeys(t *testing.T) {
	for i, name := range Names() {
		if k := Lookup([]byte(name)); k != Key(i) || k.String() != name || string(k.Bytes()) != name {
			t.Errorf("key %d, %q: %d %q", i, name, k, k)
		}
		if name != strings.ToLower(name) || len(name) > 64 {
			t.Errorf("%q is not in its written form", name)
		}
	}
	for _, name := range []string{"", "MSG", "msgs", "ms"} {
		if k := Lookup([]byte(name)); k != NoKey {
			t.Errorf("%q is %s", name, k)
		}
	}
	all := slices.Clone(Names())
	slices.Sort(all)
	if len(slices.Compact(all)) != len(Names()) {
		t.Error("a name is there twice")
	}
}

func TestKeySet(t *testing.T) {
	s := SetOf(KeyMsg, KeyGatewayport, Key(255))
	for k := range MaxKeys {
		key := Key(k)
		if want := key == KeyMsg || key == KeyGatewayport || key == 255; s.Has(key) != want {
			t.Errorf("%d: %v", k, !want)
		}
		one := SetOf(key)
		if s.HasAny(&one) != s.Has(key) {
			t.Errorf("HasAny of %d alone", k)
		}
	}
}

func TestNamesOfCategoriesAndSources(t *testing.T) {
	for i, name := range CategoryNames() {
		if c, ok := CategoryOf(name); !ok || c != Category(i) || c.String() != name {
			t.Errorf("%s: %v %v", name, c, ok)
		}
	}
	for i, name := range SourceNames() {
		if s, ok := SourceOf(name); !ok || s != Source(i) || s.String() != name {
			t.Errorf("%s: %v %v", name, s, ok)
		}
	}
	if _, ok := CategoryOf("ems"); ok {
		t.Error("ems is no category")
	}
	if c := Category(200); c.String() != "unknown" {
		t.Error(c)
	}
}

func TestTokens(t *testing.T) {
	for text, want := range map[string]Token{
		"": NoToken, "ems-": NoToken, "ems": NoToken, "xems-vpn": NoToken, "ems.vpn": NoToken, "9ems-vpn": NoToken, "éems-vpn": NoToken,
		"cems-vpn": NoToken, "fems-vpn": NoToken, "fcems": NoToken, "fcems_": NoToken, "xfcems_reg": NoToken,
		"ems-vpn": Token(VPN), "EMS_VPN": Token(VPN), "a ems-vpn.b": Token(VPN), "-ems-vpn-01": Token(VPN),
		"ems-quux": AnyToken, "ems-vpn2": AnyToken, "ems-quux ems-policy": Token(Policy), "ems-policy ems-vpn": Token(Policy),
		"fcems_reg": ContactToken, "FCEMS-Reg": ContactToken, "ems-regworker": ContactToken, "ems-ka": ContactToken, "ems-notifyworker": ContactToken,
		"fcems_quux": AnyToken, "ems-sip": AnyToken, "ems-sip ems-tag": Token(Client), "ems-emsworkers": AnyToken,
		"ems-deploy": Token(Update), "ems_deployworker": Token(Update), "ems-updateworker": Token(Update), "ems-licenseso": Token(SystemEvent),
		"ems-adconnectorworker": Token(ADConnector), "ems-addaemon": Token(ADDaemonWorker), "ems-adtask": Token(ADDaemonWorker),
		"ems-clientworker": Token(Client), "ems-workerworker": AnyToken, "ems-addaemonworkerworker": AnyToken,
		"ems-" + strings.Repeat("x", 100): AnyToken,
	} {
		if got := FindToken([]byte(text)); got != want {
			t.Errorf("FindToken(%q) = %d, want %d", text, got, want)
		}
	}
	for text, want := range map[string]bool{
		"ems-vpn": true, "Ems_Error": true, "fcems_ka": true, "ems-tagworker": true, "ems-sip": true,
		"ems-vpn-01": false, "ems-quux": false, "vpn": false, "": false, "fcems_": false,
	} {
		if IsToken([]byte(text)) != want {
			t.Errorf("IsToken(%q), want %v", text, want)
		}
	}
	for text, want := range map[string]Token{
		"vpn": Token(VPN), "ADConnector": Token(ADConnector), "adtask": Token(ADDaemonWorker), "regworker": ContactToken,
		"error": NoToken, "event": NoToken, "client": NoToken, "clientworker": NoToken, "quux": NoToken, "": NoToken,
		"reg": NoToken, "tag": NoToken, "deploy": NoToken, "monitor": NoToken, "emsworkers": NoToken,
	} {
		if got := BareToken([]byte(text)); got != want {
			t.Errorf("BareToken(%q) = %d, want %d", text, got, want)
		}
	}
}

// TestServices checks the table of services, and that each name counts in every form.
func TestServices(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range Services() {
		if s.Name != strings.ToLower(s.Name) || len(s.Name)+len(workerSuffix) > maxName || seen[s.Name] {
			t.Errorf("%s: the name is there twice, too long or not in lower case", s.Name)
		}
		seen[s.Name] = true
		if s.Evidence != "doc" && s.Evidence != "inferred" {
			t.Errorf("%s: evidence %q", s.Name, s.Evidence)
		}
		names := []string{s.Name}
		if !strings.HasSuffix(s.Name, workerSuffix) {
			names = append(names, s.Name+workerSuffix)
		}
		for _, name := range names {
			for _, prefix := range []string{"ems-", "ems_", "fcems-", "fcems_", "EMS-"} {
				if got := FindToken([]byte(prefix + name)); got != s.Token {
					t.Errorf("%s%s: %d, want %d", prefix, name, got, s.Token)
				}
			}
			if got, own := ServiceToken([]byte(strings.ToUpper(name))); got != s.Token || name == s.Name && own != s.Own {
				t.Errorf("ServiceToken(%s) = %d, %v", name, got, own)
			}
		}
	}
	for _, name := range []string{"", "vpn", "policy", "sshd", "fortiems", "worker"} {
		if got, _ := ServiceToken([]byte(name)); got != NoToken {
			t.Errorf("ServiceToken(%q) = %d", name, got)
		}
	}
}

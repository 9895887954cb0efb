package dict

import (
	"slices"
	"strings"
)

// Key numbers a raw key of the dictionary. It is stable within a process only.
type Key uint8

// NoKey is the Key of every raw key that is not in the dictionary.
const NoKey Key = 0

// MaxKeys is the most keys that a Key can number, NoKey included.
const MaxKeys = 256

// The keys that code refers to. To add a key, add a line here when code needs its name,
// else a word in the list below; a key that becomes an ECS field also has a row in the
// mapping table of package ecs.
var (
	KeyMsg             = add("msg")
	KeyLogdesc         = add("logdesc")
	KeyLevel           = add("level")
	KeyID              = add("id")
	KeyLogid           = add("logid")
	KeyLogID           = add("log_id")
	KeyType            = add("type")
	KeySubtype         = add("subtype")
	KeyEventtime       = add("eventtime")
	KeyDate            = add("date")
	KeyTime            = add("time")
	KeyDtime           = add("dtime")
	KeyTimestamp       = add("timestamp")
	KeyItime           = add("itime")
	KeyItimeT          = add("itime_t")
	KeyTz              = add("tz")
	KeyTimezone        = add("timezone")
	KeyEmsserial       = add("emsserial")
	KeyFctemssn        = add("fctemssn")
	KeyDevid           = add("devid")
	KeyDeviceID        = add("device_id")
	KeyFctsn           = add("fctsn")
	KeyEmshostname     = add("emshostname")
	KeyFctemsname      = add("fctemsname")
	KeyDevname         = add("devname")
	KeyFctver          = add("fctver")
	KeyFctuid          = add("fctuid")
	KeyUser            = add("user")
	KeyEapuser         = add("eapuser")
	KeyXauthuser       = add("xauthuser")
	KeyVpnuser         = add("vpnuser")
	KeyUsername        = add("username")
	KeyDomain          = add("domain")
	KeyURL             = add("url")
	KeyRemotename      = add("remotename")
	KeyLogtype         = add("logtype")
	KeyLogType         = add("log_type")
	KeyModule          = add("module")
	KeyCategory        = add("category")
	KeyEndpointSerial  = add("endpoint_serial")
	KeyUtmevent        = add("utmevent")
	KeySrcport         = add("srcport")
	KeyDstport         = add("dstport")
	KeyDestport        = add("destport")
	KeyGatewayport     = add("gatewayport")
	KeyRemoteport      = add("remoteport")
	KeyDestinationport = add("destinationport")
)

// Keys that only tables name.
var _ = addAll(`
	action activity addr ae_api ae_reason affected_prod_list analyticscksum app appid apppath appvendor appversion
	avengine avsig avsigext avsiglastupdate avsigpallas browsetime cat checksum client_ip clientfeature
	connection_type count cveid default_used description destaddr destinationip detectedby detectedin detectedpath deviceip
	devicemac devtype direction dstip ems_service_info endpoint_features_info endpoint_status epenfeatures eplace
	epmgmtst eponlinest epplace error_code event_id eventtype failed_reason fgtserial file filesize from
	gatewayaddr hostname httpcode interface intf ip license_limit locip logver method name os path pcdomain
	policyname proto rcvdbyte reason ref regip remotegw remoteip result ruleid ruleuuid scantime score sentbyte service
	sessionid severity sigid site sn social_srvc source source_type source_ver srcip srcmac srcname srcproduct
	status threat to ui uid used_for_type userinitiated usingpolicy utmaction vd vendorurl vid virus viruscat
	vpn vpnstate vpntunnel vpntype vulncat vulncvss vulnengine vulnid vulnname vulnproducts vulnref vulnseverity
	vulnsignature
`)

// ZeroIsNull is the set of keys whose value 0 means "none".
var ZeroIsNull = SetOf(KeySrcport, KeyDstport, KeyDestport, KeyGatewayport, KeyRemoteport, KeyDestinationport)

var (
	names  = []string{""}
	texts  = [][]byte{nil}
	byName = map[string]Key{}
)

// add enters a key once. It runs during initialisation only.
func add(name string) Key {
	if _, ok := byName[name]; ok || len(names) == MaxKeys {
		panic("dict: key " + name + " is there already or one too many")
	}
	k := Key(len(names))
	names, texts = append(names, name), append(texts, []byte(name))
	byName[name] = k
	return k
}

func addAll(list string) (last Key) {
	for _, name := range strings.Fields(list) {
		last = add(name)
	}
	return last
}

// Lookup returns the Key of a raw key in lower case, or NoKey.
func Lookup(name []byte) Key { return byName[string(name)] }

// Names returns a copy of the names of all keys by Key; the one of NoKey is empty.
func Names() []string { return slices.Clone(names) }

// String returns the name of the key.
func (k Key) String() string { return names[k] }

// Bytes is String without a conversion. The caller must not change the result.
func (k Key) Bytes() []byte { return texts[k] }

// KeySet is a set of keys. The zero value is empty.
type KeySet [MaxKeys / 64]uint64

// SetOf returns the set of keys.
func SetOf(keys ...Key) (s KeySet) {
	for _, k := range keys {
		s.Add(k)
	}
	return s
}

// Has reports whether k is in the set.
func (s *KeySet) Has(k Key) bool { return s[k/64]&(1<<(k%64)) != 0 }

// HasAny reports whether the sets have a key in common.
func (s *KeySet) HasAny(o *KeySet) bool {
	return s[0]&o[0]|s[1]&o[1]|s[2]&o[2]|s[3]&o[3] != 0
}

// Add enters k.
func (s *KeySet) Add(k Key) { s[k/64] |= 1 << (k % 64) }

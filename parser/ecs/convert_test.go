package ecs

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"fluent-bit-fortiems/parser/arena"
	"fluent-bit-fortiems/parser/dict"
	"fluent-bit-fortiems/parser/line"
)

// fill returns the fields of a line that source wrote.
func fill(source dict.Source, text string) (*Record, *line.Line) {
	a := new(arena.Arena)
	l, r := new(line.Line), new(Record)
	l.ReadHeader([]byte(text), a)
	l.ReadPairs()
	r.Reset(a)
	Fill(r, l, source, l.Pairs.FirstValue(dict.KeyID, dict.KeyLogid))
	return r, l
}

func (r *Record) textOf(f Field) string {
	v := &r.Values[f]
	switch v.Kind {
	case Int:
		return fmt.Sprint(v.Num)
	case Float:
		return fmt.Sprint(math.Float64frombits(uint64(v.Num)))
	case List:
		return fmt.Sprintf("%s", r.Lists[v.Num])
	case Const:
		return strings.Join(v.Const.Texts, " ")
	}
	return string(v.Text)
}

// fieldsOf returns "field=value|..." in the order of records, without the constant fields
// of a source, message and related.*, and then the pairs that are kept under fortinet.ems.
func fieldsOf(r *Record, l *line.Line) string {
	var parts []string
	for f := range NumFields {
		switch name := Fields[f]; {
		case f == Message || f == ECSVersion || f == EventModule || f == EventDataset || f == ObserverVendor || f == ObserverProduct:
		case r.Set.Has(f) && !strings.HasPrefix(name, "related."):
			parts = append(parts, name+"="+r.textOf(f))
		}
	}
	for i := range l.Pairs.List {
		if p := &l.Pairs.List[i]; p.Unmapped() {
			parts = append(parts, "kept "+string(p.Name())+"="+string(bytes.Join(l.Pairs.AppendValues(nil, p), []byte("+"))))
		}
	}
	return strings.Join(parts, "|")
}

// TestFillReturnsWhatIsSaid checks that rules see words and no pairs.
func TestFillReturnsWhatIsSaid(t *testing.T) {
	for text, want := range map[string]string{
		`emsserial=x level=error msg=offline logdesc=online`: "offline",
		`emsserial=x level=error logdesc=online`:             "online",
		`emsserial=x level=error`:                            "",
		`no pairs at all`:                                    "no pairs at all",
		`tunnel lost level=error emsserial=x`:                "tunnel lost",
		`emsserial=x description="tunnel lost"`:              "tunnel lost",
		`{"emsserial":"x","message":"tunnel lost"}`:          "tunnel lost",
		`emsserial=x user="alice" tunnel lost`:               `alice" tunnel lost`,
		`emsserial=x hostname="PC msg="offline" vd="d"`:      `emsserial=x hostname="PC msg="offline" vd="d"`,
	} {
		a := new(arena.Arena)
		l, r := new(line.Line), new(Record)
		l.ReadHeader([]byte(text), a)
		l.ReadPairs()
		r.Reset(a)
		if got := Fill(r, l, dict.EMS, nil); string(got) != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func TestConversions(t *testing.T) {
	const ems, client, gate = dict.EMS, dict.FortiClient, dict.FortiGate
	parts := func(n int) string { return strings.TrimSuffix(strings.Repeat("192.0.2.1,", n), ",") }
	for _, c := range []struct {
		source     dict.Source
		line, want string
	}{
		{ems, `srcip=192.0.2.1 locip=192.0.2.2 dstip=2001:db8::1`, `source.ip=192.0.2.1|destination.ip=2001:db8::1|kept locip=192.0.2.2`},
		{ems, `srcip=192.0.2.1 locip=192.0.2.1`, `source.ip=192.0.2.1`},
		{ems, `dstip=fe80::1%eth0`, `destination.ip=fe80::1|kept dstip=fe80::1%eth0`},
		{ems, `srcip=192.0.2.1:50111 dstip=[2001:db8::9]:443`, `source.ip=192.0.2.1|source.port=50111|destination.ip=2001:db8::9|destination.port=443|kept srcip=192.0.2.1:50111|kept dstip=[2001:db8::9]:443`},
		{ems, `srcip=192.0.2.1:50111 srcport=80`, `source.ip=192.0.2.1|source.port=80|kept srcip=192.0.2.1:50111`},
		{ems, `srcip=[2001:db8::9] dstip=[fe80::1%eth0]:443`, `source.ip=2001:db8::9|destination.ip=fe80::1|destination.port=443|kept srcip=[2001:db8::9]|kept dstip=[fe80::1%eth0]:443`},
		{ems, `srcip="x, 192.0.2.1" dstip=192.0.2.300:80`, `source.ip=192.0.2.1|kept srcip=x, 192.0.2.1|kept dstip=192.0.2.300:80`},
		{ems, `deviceip="192.0.2.1:80, fe80::1%4; host"`, `host.ip=[192.0.2.1 fe80::1]|kept deviceip=192.0.2.1:80, fe80::1%4; host`},
		{ems, `srcport=443.0 sentbyte=1.5e3 filesize=1.5`, `source.port=443|source.bytes=1500|kept filesize=1.5`},
		{ems, `proto=6.000000`, `network.transport=tcp|network.iana_number=6`},
		{ems, `proto=6.5`, `kept proto=6.5`},
		{ems, `proto=HTTPS`, `kept proto=HTTPS`},
		{ems, `user=2 xauthuser=jane`, `user.name=jane|kept user=2`},
		{ems, `user=123`, `user.name=123`},
		{ems, `user="CORP\jane@example.com"`, `user.name=jane@example.com|user.domain=CORP|user.email=jane@example.com`},
		{ems, `deviceip=192.0.2.1 regip="2001:db8::1; 192.0.2.1;" ip=192.0.2.2`, `host.ip=[192.0.2.1 2001:db8::1 192.0.2.2]`},
		{ems, `deviceip="192.0.2.1,,"`, `host.ip=[192.0.2.1]`},
		{ems, `deviceip=` + parts(64), `host.ip=[192.0.2.1]`},
		{ems, `deviceip=` + parts(65), `host.ip=[192.0.2.1]|kept deviceip=` + parts(65)},
		{ems, `deviceip="192.0.2.1 2001:db8::1|192.0.2.2 , 192.0.2.3"`, `host.ip=[192.0.2.1 2001:db8::1 192.0.2.2 192.0.2.3]|kept deviceip=192.0.2.1 2001:db8::1|192.0.2.2 , 192.0.2.3`},
		{ems, `deviceip="192.0.2.1 (wifi)" srcip="192.0.2.1 192.0.2.2"`, `host.ip=[192.0.2.1]|source.ip=192.0.2.1|kept deviceip=192.0.2.1 (wifi)|kept srcip=192.0.2.1 192.0.2.2`},
		{ems, `{"deviceip":["192.0.2.1","2001:db8::1"],"devicemac":["a1b2c34d38a6"],"srcip":["192.0.2.3"]}`, `host.ip=[192.0.2.1 2001:db8::1]|host.mac=[A1-B2-C3-4D-38-A6]|source.ip=192.0.2.3|kept deviceip=["192.0.2.1","2001:db8::1"]|kept devicemac=["a1b2c34d38a6"]|kept srcip=["192.0.2.3"]`},
		{ems, `deviceip="[192.0.2.1, 192.0.2.2]" regip=[]`, `host.ip=[192.0.2.1 192.0.2.2]|kept deviceip=[192.0.2.1, 192.0.2.2]|kept regip=[]`},
		{client, `subtype=WebFilter ip=192.0.2.1`, `destination.ip=192.0.2.1|fortinet.ems.subtype=webfilter`},
		{client, `id=96503 ip=192.0.2.1`, `event.code=96503|destination.ip=192.0.2.1`},
		{client, `ip=192.0.2.1`, `host.ip=[192.0.2.1]`},

		{ems, `srcport=65535 dstport=65536 destport=443`, `source.port=65535|destination.port=443|kept dstport=65536`},
		{ems, `dstport=443 destport=80`, `destination.port=443|kept destport=80`},
		{ems, `sentbyte=0 rcvdbyte=999999999999999999 filesize=1.5`, `source.bytes=0|destination.bytes=999999999999999999|kept filesize=1.5`},
		{ems, `sentbyte=1000000000000000000`, `kept sentbyte=1000000000000000000`},
		{gate, `httpcode=599`, `http.response.status_code=599`},
		{gate, `httpcode=99`, `kept httpcode=99`},
		{ems, `vulncvss=9.8`, `vulnerability.score.base=9.8`},
		{ems, `vulncvss=1.2.3`, `kept vulncvss=1.2.3`},
		{ems, `vulncvss=x`, `kept vulncvss=x`},
		{ems, `vulncvss=9.8000000`, `kept vulncvss=9.8000000`},
		{ems, `level=Warning`, `event.severity=4|log.level=warning`},
		{ems, `level=other`, `log.level=other`},

		{ems, `devicemac="a1-b2-c3-4d-38-a6,A1:B2:C3:4D:38:A7" srcmac=a1b2.c34d.38a6`, `host.mac=[A1-B2-C3-4D-38-A6 A1-B2-C3-4D-38-A7]|source.mac=A1-B2-C3-4D-38-A6`},
		{ems, `devicemac="a1-b2-c3-4d-38-a6,x" srcmac=x`, `host.mac=[A1-B2-C3-4D-38-A6]|kept devicemac=a1-b2-c3-4d-38-a6,x|kept srcmac=x`},
		{ems, `devicemac=a1b2c34d38a6`, `host.mac=[A1-B2-C3-4D-38-A6]`},

		{client, `remotename=www.example.com:443`, `destination.port=443|destination.domain=www.example.com|kept remotename=www.example.com:443`},
		{client, `remotename=www.example.com:443 dstport=80`, `destination.port=80|destination.domain=www.example.com|kept remotename=www.example.com:443`},
		{client, `remotename=192.0.2.9`, `destination.ip=192.0.2.9`},
		{client, `remotename=192.0.2.9:65536`, `destination.domain=192.0.2.9:65536`},
		{client, `remotename=[2001:db8::9]`, `destination.ip=2001:db8::9|kept remotename=[2001:db8::9]`},
		{client, `remotename="a b:80"`, `destination.domain=a b:80`},
		{client, `remotename=2001:db8::9:80`, `destination.ip=2001:db8::9:80`},
		{client, `remotegw=[2001:db8::9]:443`, `destination.address=[2001:db8::9]:443|destination.ip=2001:db8::9|destination.port=443`},
		{client, `remotegw=https://vpn.example.com:10443/remote/saml`, `destination.address=https://vpn.example.com:10443/remote/saml|destination.port=10443|destination.domain=vpn.example.com`},
		{client, `remotegw=https://[2001:db8::9]/ remotename=/x://y`, `destination.address=https://[2001:db8::9]/|destination.ip=2001:db8::9|destination.domain=/x://y`},
		{client, `remotegw=https:///x`, `destination.address=https:///x`},
		{client, `destaddr=vpn.example.com`, `destination.address=vpn.example.com|destination.domain=vpn.example.com`},
		{client, `destaddr=192.0.2.9 remotegw=192.0.2.8`, `destination.address=192.0.2.9|destination.ip=192.0.2.9|kept remotegw=192.0.2.8`},
		{gate, `srcname=PC-0001:80`, `source.port=80|source.domain=PC-0001|kept srcname=PC-0001:80`},
		{client, `srcname=chrome.exe`, `process.name=chrome.exe`},
		{ems, `hostname=PC-0001`, `host.name=PC-0001|host.hostname=PC-0001`},
		{gate, `hostname=www.example.com`, `destination.domain=www.example.com|url.domain=www.example.com`},
		{gate, `logid=0107045057 hostname=PC-0001 name=PC-0002`, `event.code=0107045057|host.name=PC-0001|host.hostname=PC-0001|kept name=PC-0002`},
		{gate, `logid=0107045057 name=PC-0002`, `event.code=0107045057|host.name=PC-0002|host.hostname=PC-0002`},
		{gate, `logid=0107100000 name=PC-0002`, `event.code=0107100000|kept name=PC-0002`},

		{ems, `user="DOM\alice"`, `user.name=alice|user.domain=DOM`},
		{ems, `user="DOM\\alice"`, `user.name=alice|user.domain=DOM|kept user=DOM\\alice`},
		{ems, `user="\alice"`, `user.name=\alice`},
		{ems, `user="DOM\"`, `user.name=DOM\`},
		{ems, `user="a\b@c"`, `user.name=b@c|user.domain=a`},
		{ems, `user=alice@example.com`, `user.name=alice|user.domain=example.com|user.email=alice@example.com`},
		{ems, `user=alice@DOM vpnuser=bob`, `user.name=alice|user.domain=DOM|kept vpnuser=bob`},
		{ems, `user=@x`, `user.name=@x`},
		{ems, `user=192.0.2.1 eapuser=bob username=bob`, `user.name=bob|kept user=192.0.2.1`},
		{client, `username=bob domain=EXAMPLE`, `user.name=bob|user.domain=EXAMPLE`},

		{ems, `url=HTTPS://u:p@example.com:8443/a/b?c=d#e`, `url.original=HTTPS://u:p@example.com:8443/a/b?c=d#e|url.scheme=https|url.domain=example.com|url.path=/a/b|url.query=c=d`},
		{ems, `url=ftp://[2001:db8::1]:21/x`, `url.original=ftp://[2001:db8::1]:21/x|url.scheme=ftp|url.domain=[2001:db8::1]|url.path=/x`},
		{ems, `url=/a?b=1&c=2 remotename=www.example.com:443`, `destination.port=443|destination.domain=www.example.com|url.original=/a?b=1&c=2|url.domain=www.example.com|url.path=/a|url.query=b=1&c=2|kept remotename=www.example.com:443`},
		{ems, `url=http://h?q`, `url.original=http://h?q|url.scheme=http|url.domain=h|url.query=q`},
		{ems, `url=abcdefghijklmnop://h/p`, `url.original=abcdefghijklmnop://h/p`},
		{ems, `url=#`, `url.original=#`},

		{client, `path="C:\Program Files\a.exe"`, `process.name=a.exe|process.executable=C:\Program Files\a.exe`},
		{client, `app=a.exe path=/usr/bin/b`, `process.name=a.exe|process.executable=/usr/bin/b`},
		{client, `app=/a/b path=/c/d`, `process.name=b|process.executable=/a/b|kept path=/c/d`},
		{ems, `file="C:\dir\"`, `file.path=C:\dir\`},
		{ems, `file=a.exe`, `file.name=a.exe`},
		{ems, `checksum=` + strings.Repeat("aB", 16) + ` analyticscksum=` + strings.Repeat("aB", 20), `file.hash.md5=` + strings.Repeat("ab", 16) + `|file.hash.sha1=` + strings.Repeat("ab", 20)},
		{ems, `checksum=` + strings.Repeat("aB", 32) + ` analyticscksum=` + strings.Repeat("aB", 64), `file.hash.sha256=` + strings.Repeat("ab", 32) + `|file.hash.sha512=` + strings.Repeat("ab", 64)},
		{ems, `checksum=deadbeef analyticscksum=` + strings.Repeat("0g", 20), `kept checksum=deadbeef|kept analyticscksum=` + strings.Repeat("0g", 20)},

		{ems, `proto=6`, `network.transport=tcp|network.iana_number=6`},
		{ems, `proto=47`, `network.iana_number=47`},
		{ems, `proto=256`, `kept proto=256`},
		{ems, `proto=UDP`, `network.transport=udp`},
		{ems, `proto="a b"`, `kept proto=a b`},
		{ems, `direction=inbound`, `network.direction=inbound`},
		{ems, `direction=Outgoing`, `network.direction=outbound|kept direction=Outgoing`},
		{ems, `direction=up`, `kept direction=up`},
		{client, `service=HTTPS`, `network.protocol=https`},

		{ems, `os="Microsoft Windows 11 Pro"`, `host.os.full=Microsoft Windows 11 Pro|host.os.name=Windows|host.os.version=11|host.os.family=windows|host.os.type=windows`},
		{ems, `os="Windows Server 2019 x"`, `host.os.full=Windows Server 2019 x|host.os.name=Windows Server|host.os.version=2019|host.os.family=windows|host.os.type=windows`},
		{ems, `os="ios 17;"`, `host.os.full=ios 17;|host.os.name=iOS|host.os.version=17|host.os.family=ios|host.os.type=ios`},
		{ems, `os=Windowsx`, `host.os.full=Windowsx`},
		{ems, `os="Linux Mint"`, `host.os.full=Linux Mint|host.os.name=Linux Mint|host.os.family=debian|host.os.type=linux`},
		{ems, `os="Microsoft Linux"`, `host.os.full=Microsoft Linux`},

		{ems, `devid=FCT1 device_id=fctems2`, `observer.serial_number=fctems2|fortinet.ems.endpoint_serial=FCT1`},
		{ems, `devid=FG1 emsserial=FCTEMS1 fctemssn=FCTEMS2`, `observer.serial_number=FCTEMS1|kept devid=FG1|kept fctemssn=FCTEMS2`},
		{ems, `devid=x`, `kept devid=x`},
		{ems, `devname=a fctemsname=b`, `observer.name=b|kept devname=a`},

		{ems, `vulnref=cve-2024-1 cveid=CVE-2024-2`, `vulnerability.id=cve-2024-1|kept cveid=CVE-2024-2`},
		{gate, `vendorurl=https://example.com/x vulnref=x`, `vulnerability.reference=https://example.com/x|kept vulnref=x`},
		{ems, `vulncat="a, b;;c"`, `vulnerability.category=[a b c]`},
		{ems, `vulncat=` + strings.Repeat("a,", 64), `vulnerability.category=[a]`},
		{ems, `vulncat="` + strings.Repeat("a,", 65) + `"`, `kept vulncat=` + strings.Repeat("a,", 65)},
		{ems, `vulncat=,`, `kept vulncat=,`},
	} {
		r, l := fill(c.source, c.line)
		if got := fieldsOf(r, l); got != c.want {
			t.Errorf("%s, written by %s\n got %s\nwant %s", c.line, c.source, got, c.want)
		}
	}
}

func TestRelated(t *testing.T) {
	r, _ := fill(dict.FortiClient, `deviceip=192.0.2.1 srcip=192.0.2.1 dstip=192.0.2.2 hostname=PC-0001 remotename=www.example.com user="DOM\alice" checksum=`+strings.Repeat("aB", 16))
	for f, want := range map[Field]string{
		RelatedIP: "[192.0.2.1 192.0.2.2]", RelatedHosts: "[PC-0001 www.example.com]", RelatedUser: "[alice]", RelatedHash: "[" + strings.Repeat("ab", 16) + "]",
	} {
		if got := r.textOf(f); got != want {
			t.Errorf("%s: %s, want %s", Fields[f], got, want)
		}
	}
}

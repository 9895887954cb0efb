package ecs

import "fluent-bit-fortiems/parser/ascii"

// osName is an operating system by the text that its name begins with.
type osName struct {
	prefix, name, family, kind string
}

// osNames is searched in order, ignoring case. The texts are FortiClient's, as in real
// lines: "macOS 14.1.1", "Microsoft Windows 11 Professional
// Edition, 64-bit (build 22000)"; the Linux names are those of os-release.
var osNames = []osName{
	{"microsoft windows server", "Windows Server", "windows", "windows"},
	{"windows server", "Windows Server", "windows", "windows"},
	{"microsoft windows", "Windows", "windows", "windows"},
	{"windows", "Windows", "windows", "windows"},
	{"macos", "macOS", "darwin", "macos"},
	{"mac os x", "Mac OS X", "darwin", "macos"},
	{"os x", "OS X", "darwin", "macos"},
	{"ubuntu", "Ubuntu", "debian", "linux"},
	{"debian gnu/linux", "Debian GNU/Linux", "debian", "linux"},
	{"debian", "Debian", "debian", "linux"},
	{"linux mint", "Linux Mint", "debian", "linux"},
	{"red hat enterprise linux server", "Red Hat Enterprise Linux Server", "redhat", "linux"},
	{"red hat enterprise linux workstation", "Red Hat Enterprise Linux Workstation", "redhat", "linux"},
	{"red hat enterprise linux", "Red Hat Enterprise Linux", "redhat", "linux"},
	{"centos stream", "CentOS Stream", "redhat", "linux"},
	{"centos linux", "CentOS Linux", "redhat", "linux"},
	{"centos", "CentOS", "redhat", "linux"},
	{"rocky linux", "Rocky Linux", "redhat", "linux"},
	{"almalinux", "AlmaLinux", "redhat", "linux"},
	{"fedora linux", "Fedora Linux", "redhat", "linux"},
	{"fedora", "Fedora", "redhat", "linux"},
	{"opensuse leap", "openSUSE Leap", "suse", "linux"},
	{"suse linux enterprise server", "SUSE Linux Enterprise Server", "suse", "linux"},
	{"android", "Android", "android", "android"},
	{"ios", "iOS", "ios", "ios"},
	{"ipados", "iPadOS", "ios", "ios"},
	{"linux", "Linux", "linux", "linux"},
}

// osConstants are the name, family and kind of osNames.
var osConstants = func() (c [][3]*Constant) {
	for _, o := range osNames {
		c = append(c, [3]*Constant{ConstText(o.name), ConstText(o.family), ConstText(o.kind)})
	}
	return c
}()

// asOS sets host.os.full, and the other fields of host.os if the system is known.
func asOS(r *Record, to Field, v []byte) bool {
	if r.Set.Has(to) {
		return r.setIfUnset(to, v)
	}
	r.SetText(to, v)
	for i := range osNames {
		n := len(osNames[i].prefix)
		if !ascii.HasPrefixFold(v, osNames[i].prefix) || n < len(v) && v[n] != ' ' {
			continue
		}
		known := &osConstants[i]
		r.SetConst(HostOSName, known[0])
		r.SetConst(HostOSFamily, known[1])
		r.SetConst(HostOSType, known[2])
		r.setNonEmpty(HostOSVersion, osVersion(ascii.TrimLeft(v[n:])))
		break
	}
	return true
}

// osVersion returns the first word if it begins with a digit: "11", "14.1.1", "2019",
// "22.04.3".
func osVersion(v []byte) []byte {
	if len(v) == 0 || !ascii.IsDigit(v[0]) {
		return nil
	}
	n := ascii.WordEnd(v)
	for v[n-1] == ',' || v[n-1] == ';' {
		n--
	}
	return v[:n]
}

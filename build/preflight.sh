#!/bin/sh
# Checks, before the first build, what it needs, and says in one line what to install.
# Where Go and the C library are in their usual places it starts no program.
missing=
say() { missing="${missing:+$missing; }$1"; }

if ! command -v go >/dev/null; then
  say 'Go 1.26 (https://go.dev/dl, or a package of 1.21 or newer, which fetches it)'
else
  # From 1.21 on, go fetches the version that go.mod names, unless that is forbidden.
  go=$(command -v go)
  if [ -r "${go%/bin/go}/VERSION" ]; then read -r v <"${go%/bin/go}/VERSION"; else v=$(GOTOOLCHAIN=local go version 2>/dev/null); fi
  v=${v#*go1.} v=${v%%[!0-9]*}
  if [ "${v:-0}" -lt 21 ]; then
    say "Go 1.26 (this one is 1.${v:-?}; https://go.dev/dl)"
  elif [ "$v" -lt 26 ] && [ "${GOTOOLCHAIN:-$(go env GOTOOLCHAIN 2>/dev/null)}" = local ]; then
    say "Go 1.26 (this one is 1.$v and GOTOOLCHAIN=local forbids to fetch it; https://go.dev/dl)"
  fi
fi

cc=${CC:-}
for c in gcc cc; do [ -n "$cc" ] || ! command -v $c >/dev/null || cc=$c; done
if [ -z "$cc" ] || ! command -v ${cc%% *} >/dev/null; then
  say "a C compiler${cc:+: CC=$cc is not there} (Debian, Ubuntu: apt install gcc libc6-dev; RHEL: dnf install gcc)"
elif { [ -n "${CC:-}" ] || [ ! -f /usr/include/stdlib.h ]; } && ! echo '#include <stdlib.h>' | $cc -E - >/dev/null 2>&1; then
  say 'the headers of the C library (Debian, Ubuntu: apt install libc6-dev; RHEL: dnf install glibc-devel)'
fi

# Modules come over HTTPS, unless they are here already.
modules=${GOMODCACHE:-${GOPATH:-${HOME:-/root}/go}/pkg/mod}
if [ ! -d "$modules/cache/download" ] && [ ! -d vendor ] && [ -z "${SSL_CERT_FILE:-}${SSL_CERT_DIR:-}" ]; then
  found=
  for f in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem; do [ ! -f "$f" ] || found=1; done
  [ -n "$found" ] || say 'certificates for downloading Go modules (apt install ca-certificates)'
fi

if [ -n "$missing" ]; then
  echo "To build, install: $missing" >&2
  exit 1
fi
echo 'First build: fetches Go modules, then compiles the plugin, the command fortiems and two programs for trials. One to three minutes on two idle processors.' >&2

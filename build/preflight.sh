#!/bin/sh
# Checks, before the first build, what it needs: says in one line what to install.
missing=
say() { missing="$missing${missing:+;} $1"; }
if ! command -v go >/dev/null 2>&1; then
  say 'Go 1.26 (https://go.dev/dl, or a package of 1.21 or newer, which fetches it)'
else
  # From 1.21 on, go fetches the version that go.mod names, unless that is forbidden.
  v=$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null); v=${v#go1.}; v=${v%%[!0-9]*}
  if [ "${v:-0}" -lt 21 ] || { [ "$v" -lt 26 ] && [ "$(go env GOTOOLCHAIN 2>/dev/null)" = local ]; }; then say "Go 1.26 (this one is 1.${v:-?}; https://go.dev/dl)"; fi
fi
cc=${CC:-$(command -v gcc || command -v cc)}
if [ -z "$cc" ]; then
  say 'a C compiler (Debian, Ubuntu: apt install gcc libc6-dev; RHEL: dnf install gcc)'
elif ! printf '#include <stdlib.h>\n' | $cc -E - >/dev/null 2>&1; then
  say 'the headers of the C library (Debian, Ubuntu: apt install libc6-dev; RHEL: dnf install glibc-devel)'
fi
modules=$(go env GOMODCACHE 2>/dev/null)
if [ ! -d "$modules/cache/download" ] && [ ! -d vendor ] && [ -z "$SSL_CERT_FILE$SSL_CERT_DIR" ]; then
  found=
  for f in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem; do [ -f "$f" ] && found=1; done
  [ -n "$found" ] || say 'certificates for downloading Go modules (apt install ca-certificates)'
fi
if [ -n "$missing" ]; then
  printf 'To build, install:%s\n' "$missing" >&2
  exit 1
fi
echo 'First build: Go modules are fetched and everything is compiled; one to three minutes.' >&2

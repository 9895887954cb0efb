#!/bin/sh
# Before the removal. $1 is "remove" for dpkg; for rpm it is the number of versions that stay.
set -e
case "$1" in
remove | 0) ;;
*) exit 0 ;; # an upgrade
esac

root=${DPKG_ROOT:-}
if [ -z "$root" ] && [ -d /run/systemd/system ]; then
  systemctl disable --now fluent-bit-fortiems.service || true
fi

# A Fluent Bit whose configuration names a plugin that is gone does not start.
etc=$root/etc
named=$(grep -rnsE '^[^#]*fortiems' "$etc/fluent-bit" "$etc/default/fluent-bit" "$etc/sysconfig/fluent-bit" "$etc"/systemd/system/fluent-bit.service* |
  cut -d : -f 1,2 | grep -vF -e "$etc/fluent-bit/fortiems/" -e "$etc/fluent-bit/fortiems.env:") || true
if [ -n "$named" ]; then
  echo 'fluent-bit-fortiems: these lines still name the plugin or its files. Remove them, or the Fluent Bit that reads them does not start again:' >&2
  echo "$named" | sed 's/^/  /' >&2
fi

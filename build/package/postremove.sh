#!/bin/sh
# After the removal. $1 is "remove", then perhaps "purge", for dpkg; for rpm it is the number
# of versions that stay.
set -e
root=${DPKG_ROOT:-}
state=$root/var/lib/fluent-bit/fortiems
case "$1" in
remove | 0)
  if [ -z "$root" ] && [ -d /run/systemd/system ]; then systemctl daemon-reload || true; fi
  # Behind the slash, because with DynamicUser the state directory is a link.
  if [ -n "$(find "$state/" -type f 2>/dev/null)" ]; then
    echo "fluent-bit-fortiems: $state is kept: it has lines that are not delivered yet"
  fi
  ;;
purge)
  rm -rf "$state" "$root/var/lib/private/fluent-bit/fortiems"
  rmdir "$root/var/lib/private/fluent-bit" "$root/var/lib/fluent-bit" 2>/dev/null || true
  ;;
esac

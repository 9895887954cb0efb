#!/bin/sh
# After an installation or upgrade. $1 is "configure" for dpkg, with the earlier version in
# $2 if there is one; for rpm it is the number of installed versions.
set -e
case "$1" in
configure) upgrade=${2:-} ;;
1) upgrade= ;;
2) upgrade=yes ;;
*) exit 0 ;; # dpkg goes back to the earlier version
esac

root=${DPKG_ROOT:-} # set if dpkg installs into another root without changing into it
systemd=
if [ -z "$root" ] && [ -d /run/systemd/system ]; then
  systemd=yes
  systemctl daemon-reload || true
fi

if [ -n "$upgrade" ]; then
  # A running Fluent Bit keeps the object that it has loaded.
  [ -z "$systemd" ] || systemctl try-restart fluent-bit-fortiems.service ||
    echo 'fluent-bit-fortiems: the restart failed; see: journalctl -u fluent-bit-fortiems' >&2
  [ -z "$root" ] || exit 0
  for maps in $(grep -ls 'flb-filter_fortiems\.so.*(deleted)' /proc/[0-9]*/maps); do
    pid=${maps#/proc/} pid=${pid%/maps}
    echo "fluent-bit-fortiems: process $pid still runs the earlier version of the plugin: restart it"
  done
  exit 0
fi

found=
for file in /opt/fluent-bit/bin/fluent-bit /usr/local/bin/fluent-bit /usr/bin/fluent-bit; do [ ! -x "$root$file" ] || found=yes; done
[ -n "$found" ] || echo 'fluent-bit-fortiems: Fluent Bit is not installed yet: https://docs.fluentbit.io/manual/installation'
echo 'fluent-bit-fortiems is installed. Next:'
if [ -n "$systemd" ]; then
  echo '  sudoedit /etc/fluent-bit/fortiems.env                # search server, key, address to listen on'
  echo '  sudo systemctl enable --now fluent-bit-fortiems      # its log: journalctl -u fluent-bit-fortiems'
else
  echo '  fortiems explain ems.log                                      # what becomes of your lines, and why'
  echo '  fluent-bit -c /etc/fluent-bit/fortiems/fluent-bit.yaml        # syslog on 127.0.0.1:5514 to records on the screen'
fi

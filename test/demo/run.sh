#!/bin/sh
# make run: receive syslog, filter, print records. A real Fluent Bit if there is
# one, else the stand-in host.
set -eu
cd "$(dirname "$0")/../.."
. test/demo/find.sh
if [ -n "$fluent_bit" ]; then
  echo "Fluent Bit: $fluent_bit, syslog on 127.0.0.1:5514 (udp and tcp)" >&2
  exec "$fluent_bit" -e build/out/flb-filter_fortiems.so -c conf/fluent-bit.yaml
fi
echo "No fluent-bit in \$FLUENT_BIT, PATH or /opt/fluent-bit/bin (packages: https://docs.fluentbit.io/manual/installation); using the stand-in host." >&2
exec build/out/fortiems-host --filter build/out/flb-filter_fortiems.so --key message --syslog-udp 127.0.0.1:5514 --syslog-tcp 127.0.0.1:5514

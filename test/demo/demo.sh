#!/bin/sh
# make demo: the bundled corpus through the filter, then counts.
set -eu
cd "$(dirname "$0")/../.."
. test/demo/find.sh
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
for f in test/corpus/*/input.log; do cat "$f"; [ -z "$(tail -c 1 "$f")" ] || echo; done >"$tmp/corpus.log"
if [ -n "$fluent_bit" ]; then
  echo "Fluent Bit: $fluent_bit" >&2
  "$fluent_bit" -e build/out/flb-filter_fortiems.so \
    -i tail -p "path=$tmp/corpus.log" -p read_from_head=on -p exit_on_eof=on -p key=message -p buffer_max_size=1m \
    -F fortiems -p 'match=*' -o stdout -p format=json_lines -p 'match=*' -f 1 >"$tmp/out" 2>"$tmp/log" || { cat "$tmp/log" >&2; exit 1; }
  grep '^{' "$tmp/out" >"$tmp/records"
else
  echo "No fluent-bit in \$FLUENT_BIT, PATH or /opt/fluent-bit/bin (packages: https://docs.fluentbit.io/manual/installation); using the stand-in host." >&2
  build/out/fortiems-host --filter build/out/flb-filter_fortiems.so --key message --input "$tmp/corpus.log" >"$tmp/records"
fi
cat "$tmp/records"
go run ./test/demo "$tmp/records"

#!/bin/sh
# make demo: the bundled corpus through the filter, on one screen. DEMO=all prints all
# records and the counts by category, type and subtype.
set -eu
cd "$(dirname "$0")/../.."
. test/demo/find.sh
dir=build/out/demo
mkdir -p "$dir"
for f in test/corpus/*/input.log; do cat "$f"; [ -z "$(tail -c 1 "$f")" ] || echo; done >"$dir/corpus.log"
original=on # with it the screen finds the record of a line
[ "${DEMO:-}" != all ] || original=off
if [ -n "$fluent_bit" ]; then
  echo "Fluent Bit: $fluent_bit" >&2
  "$fluent_bit" -e build/out/flb-filter_fortiems.so \
    -i tail -p "path=$dir/corpus.log" -p read_from_head=on -p exit_on_eof=on -p key=message -p buffer_max_size=1m \
    -F fortiems -p 'match=*' -p preserve_original=$original \
    -o stdout -p format=json_lines -p json_date_key=@timestamp -p json_date_format=iso8601 -p 'match=*' -f 1 >"$dir/out" 2>"$dir/log" || { cat "$dir/log" >&2; exit 1; }
  grep '^{' "$dir/out" >"$dir/records.ndjson"
else
  echo "No fluent-bit in \$FLUENT_BIT, PATH or /opt/fluent-bit/bin (packages: https://docs.fluentbit.io/manual/installation); using the stand-in host." >&2
  build/out/fortiems-host --filter build/out/flb-filter_fortiems.so --filter-prop preserve_original=$original --key message --input "$dir/corpus.log" >"$dir/records.ndjson" 2>"$dir/log" || { cat "$dir/log" >&2; exit 1; }
fi
if [ "${DEMO:-}" = all ]; then
  cat "$dir/records.ndjson"
  exec build/out/fortiems-demo all "$dir/records.ndjson"
fi
build/out/fortiems report "$dir/corpus.log" -o "$dir/report.html" 2>/dev/null
build/out/fortiems-demo "$dir/records.ndjson"
cat <<EOF

all records  $dir/records.ndjson (make demo DEMO=all prints them)
report       $dir/report.html (open it in a browser)
next         make run
EOF

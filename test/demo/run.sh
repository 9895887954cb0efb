#!/bin/sh
# make run: receive syslog, filter, print records. Uses a real Fluent Bit if
# there is one, otherwise the stand-in host. With ES_HOSTS the records are shipped as well;
# ES_USERNAME with ES_PASSWORD, or ES_API_KEY, log in, and ES_CA_FILE names the
# authority of the servers. FORTIEMS_PORT replaces port 5514.
set -eu
cd "$(dirname "$0")/../.."
. test/demo/find.sh
filter=build/out/flb-filter_fortiems.so
output=build/out/out_fortiems_es.so
port=${FORTIEMS_PORT:-5514}
sh test/demo/check.sh
. test/demo/ports.sh

# A trial: times in ISO form, and the end comes within seconds whatever the search server does.
dir=build/out/run-$port
mkdir -p "$dir"
sed -e "s/port: 5514/port: $port/" -e 's/^  grace: .*/  grace: 2/' \
  -e 's/^\( *\)format: json_lines/&\n\1json_date_key: "@timestamp"\n\1json_date_format: iso8601/' conf/fluent-bit.yaml >"$dir/fluent-bit.yaml"
cp conf/parsers_fortiems.conf "$dir/"
config=$dir/fluent-bit.yaml

# One line when it is ready.
me=$$
(
  while kill -0 $me 2>/dev/null; do
    if [ "$(listening "$port" | tr '\n' ' ')" = 'tcp udp ' ]; then
      echo "Listening on 127.0.0.1:$port (udp and tcp), Ctrl-C ends. In another terminal: build/out/fortiems send --corpus --addr 127.0.0.1:$port   (--proto tcp for tcp)" >&2
      break
    fi
    sleep 0.1
  done
) &

# Build the arguments of the output. Secrets are passed as the names of their
# variables, because every user of the machine can read arguments.
flag=-p
[ -n "$fluent_bit" ] || flag=--output-prop
set --
if [ -n "${ES_HOSTS:-}" ]; then
  set -- "$flag" "hosts=$ES_HOSTS"
  [ -z "${ES_USERNAME:-}" ] || set -- "$@" "$flag" "username=$ES_USERNAME"
  [ -z "${ES_PASSWORD:-}" ] || set -- "$@" "$flag" 'password=${ES_PASSWORD}'
  [ -z "${ES_API_KEY:-}" ] || set -- "$@" "$flag" 'api_key=${ES_API_KEY}'
  [ -z "${ES_CA_FILE:-}" ] || set -- "$@" "$flag" "ca_file=$ES_CA_FILE"
  echo "Shipping to $ES_HOSTS" >&2
fi

if [ -n "$fluent_bit" ]; then
  echo "Fluent Bit: $fluent_bit" >&2
  [ $# -eq 0 ] || set -- -e "$output" -o fortiems_es -p match=fortiems -p workers=1 -p retry_limit=no_limits "$@"
  set -- "$fluent_bit" -e "$filter" -c "$config" "$@"
else
  echo "No fluent-bit in \$FLUENT_BIT, PATH or /opt/fluent-bit/bin (packages: https://docs.fluentbit.io/manual/installation); using the stand-in host." >&2
  [ $# -eq 0 ] || set -- --output "$output" "$@"
  set -- build/out/fortiems-host --grace 2 --filter "$filter" --key message --syslog-udp "127.0.0.1:$port" --syslog-tcp "127.0.0.1:$port" "$@"
fi
# Readable lines for people, JSON lines for programs.
[ -t 1 ] || exec "$@"
trap : INT TERM
"$@" | build/out/fortiems show || true

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
config=conf/fluent-bit.yaml
port=${FORTIEMS_PORT:-5514}
if [ "$port" != 5514 ]; then
  mkdir -p "build/out/run-$port"
  sed "s/port: 5514/port: $port/" conf/fluent-bit.yaml >"build/out/run-$port/fluent-bit.yaml"
  cp conf/parsers_fortiems.conf "build/out/run-$port/"
  config=build/out/run-$port/fluent-bit.yaml
fi

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
  echo "Fluent Bit: $fluent_bit, syslog on 127.0.0.1:$port (udp and tcp)" >&2
  [ $# -eq 0 ] || set -- -e "$output" -o fortiems_es -p match=fortiems -p workers=1 -p retry_limit=no_limits "$@"
  exec "$fluent_bit" -e "$filter" -c "$config" "$@"
fi
echo "No fluent-bit in \$FLUENT_BIT, PATH or /opt/fluent-bit/bin (packages: https://docs.fluentbit.io/manual/installation); using the stand-in host." >&2
[ $# -eq 0 ] || set -- --output "$output" "$@"
exec build/out/fortiems-host --filter "$filter" --key message --syslog-udp "127.0.0.1:$port" --syslog-tcp "127.0.0.1:$port" "$@"

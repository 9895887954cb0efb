#!/bin/sh
# What make run needs, checked before the build.
cd "$(dirname "$0")/../.." || exit 1
. test/demo/ports.sh
port=${FORTIEMS_PORT:-5514}
case $port in *[!0-9]* | '') echo "FORTIEMS_PORT=$port is no port number" >&2; exit 1 ;; esac
if [ "$port" -lt 1 ] || [ "$port" -gt 65535 ]; then echo "FORTIEMS_PORT=$port: 1 to 65535 are ports" >&2; exit 1; fi
used=$(listening "$port" | tr '\n' ' ')
[ -z "$used" ] || { echo "port $port is in use (${used% }): stop the program that listens there, or run make run FORTIEMS_PORT=5515" >&2; exit 1; }
if [ -n "${FLUENT_BIT:-}" ] && [ ! -x "${FLUENT_BIT%%:*}" ]; then echo "FLUENT_BIT=$FLUENT_BIT is no program" >&2; exit 1; fi
if [ -n "${ES_CA_FILE:-}" ] && [ ! -r "$ES_CA_FILE" ]; then echo "ES_CA_FILE=$ES_CA_FILE cannot be read" >&2; exit 1; fi

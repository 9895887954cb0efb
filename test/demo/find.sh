# Sets fluent_bit to the binary to use, or to nothing. Sourced.
fluent_bit=${FLUENT_BIT:-}
fluent_bit=${fluent_bit%%:*}
[ -n "$fluent_bit" ] || fluent_bit=$(command -v fluent-bit || true)
[ -n "$fluent_bit" ] || { [ -x /opt/fluent-bit/bin/fluent-bit ] && fluent_bit=/opt/fluent-bit/bin/fluent-bit; } || true

# listening PORT: whether something listens on 127.0.0.1:PORT or on all addresses, udp or
# tcp (prints them). Sourced. Reads /proc, so it is silent where there is none.
listening() {
  awk -v port="$(printf ':%04X' "$1")" '
    FNR == 1 { next }
    FILENAME ~ /tcp/ && $4 != "0A" { next }
    substr($2, length($2) - 4) == port && ($2 ~ /^0100007F:/ || $2 ~ /^0+:/) { print FILENAME ~ /tcp/ ? "tcp" : "udp" }' \
    /proc/net/tcp /proc/net/tcp6 /proc/net/udp /proc/net/udp6 2>/dev/null | sort -u
}

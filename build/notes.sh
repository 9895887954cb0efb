#!/bin/sh
# Prints the part of CHANGELOG.md about a version, without its heading: notes.sh 1.2.3
# What git describe says of a commit without a tag gets the part Unreleased.
set -eu
version=${1#v}
case $version in
[0-9]*.[0-9]*.[0-9]*-[0-9]*-g[0-9a-f]*|*-dirty) version=Unreleased ;;
[0-9]*.[0-9]*.[0-9]*) ;;
*) version=Unreleased ;;
esac
text=$(awk -v heading="## [$version]" '
  index($0, "## [") == 1 { found = index($0, heading) == 1; next }
  found' "$(dirname "$0")/../CHANGELOG.md")
if [ -z "$(printf %s "$text" | tr -d '[:space:]')" ]; then
  echo "CHANGELOG.md has no part [$version]: give Unreleased this version and the date" >&2
  exit 1
fi
printf '%s\n' "$text" | sed '/./,$!d'

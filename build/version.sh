#!/bin/sh
# Prints the version for packages, from the output of git describe (or $1) and the
# number of commits (or $2). dpkg and rpm sort the results correctly: a pre-release
# before its release, commits after a release after it.
#
#   v1.2.3                  1.2.3
#   v1.2.3-rc.1             1.2.3~rc.1
#   v1.2.3-4-gabcdef0       1.2.3+4.gabcdef0
#   abcdef0 (no tag yet)    0.0.0+42.gabcdef0, 42 commits
#   ...-dirty               the same with .dirty (+dirty) at the end
set -eu
described=${1-$(git describe --tags --always --dirty 2>/dev/null || echo dev)}
commits=${2-$(git rev-list --count HEAD 2>/dev/null || echo 0)}

build=
rest=${described%-dirty}
if printf %s "$rest" | grep -Eq -- '-[0-9]+-g[0-9a-f]+$'; then
  build=$(printf %s "$rest" | sed -E 's/.*-([0-9]+)-(g[0-9a-f]+)$/\1.\2/')
  rest=$(printf %s "$rest" | sed -E 's/-[0-9]+-g[0-9a-f]+$//')
fi
if printf %s "$rest" | grep -Eq '^v?[0-9]+(\.[0-9]+)+(-[0-9A-Za-z.]+)?$'; then
  version=$(printf %s "${rest#v}" | tr - '~')
elif printf %s "$rest" | grep -Eq '^[0-9a-f]{7,}$'; then
  version=0.0.0 build=$commits.g$rest
else
  version=0.0.0 build=dev
fi
case $described in *-dirty) build=${build:+$build.}dirty ;; esac
echo "$version${build:++$build}"

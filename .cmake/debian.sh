#!/usr/bin/env bash
# Builds the Debian source package of HEAD and from it the binary package, and has lintian look at both.
# debian.sh [DIRECTORY]: where they go (default build/debian). Installs nothing; says which packages it needs.
# DEBFULLNAME and DEBEMAIL: who maintains the package; without, a placeholder that no archive would take.
set -euo pipefail
cd "$(dirname "$0")/.."
for tool in dpkg-buildpackage dh lintian; do
  command -v "$tool" >/dev/null || { echo "debian.sh: needs dpkg-dev, debhelper and lintian"; exit 1; }
done
to=$(realpath -m "${1:-build/debian}")
version=$(sed -n '1s/.*(\(.*\)-.*/\1/p' .cmake/debian/changelog)
tree=$to/poolprof-$version
rm -rf "$tree" && mkdir -p "$tree"
git archive HEAD | tar x -C "$tree"
tar czf "$to/poolprof_$version.orig.tar.gz" -C "$to" "poolprof-$version"
cp -r .cmake/debian "$tree/debian"
[ -z "${DEBEMAIL:-}" ] || sed -i "s/poolprof developers <poolprof@example.org>/${DEBFULLNAME:-$DEBEMAIL} <$DEBEMAIL>/" \
  "$tree/debian/control" "$tree/debian/changelog"
(cd "$tree" && dpkg-buildpackage -us -uc -j2) >"$to/build.log" 2>&1 || { tail -30 "$to/build.log"; exit 1; }
rm -rf "$tree"
ls "$to"
lintian --fail-on error,warning --no-tag-display-limit "$to"/*.changes && echo "lintian: no error, no warning"

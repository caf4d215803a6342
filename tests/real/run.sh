#!/usr/bin/env bash
# Real Debian programs under the preload. run.sh --install: only installs what they need (apt, if
# missing). run.sh BUILD [CASE...]: installs, then runs all cases against that build and prints a table.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$([ "$(id -u)" -eq 0 ] || echo sudo)

missing=()
for package in $(cat "$here/packages.txt"); do
  # A program of the same name from elsewhere (node, say) will do as well.
  if [ "$package" = nodejs ] && command -v node >/dev/null; then continue; fi
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  if [ -n "$root" ] && ! command -v sudo >/dev/null; then
    echo "tests/real/run.sh: not root and no sudo; install first: ${missing[*]}"
    exit 1
  fi
  $root apt-get update -qq
  $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
  # Servers that apt has just started would be in the way; the tests start their own.
  for service in redis-server nginx; do $root service "$service" stop >/dev/null 2>&1 || true; done
fi
[ "${1:-}" != --install ] || exit 0

build=$(cd "${1:-$here/../../build}" && pwd)
shift || true
export PP_LIBRARY=$build/lib/libpoolprof.so PP_PROGRAM=$build/bin/poolprof
export PP_PROGRAMS=$build/tests/preload/programs PP_SOURCE=$here/../..
exec python3 -B "$here/real.py" "$@"

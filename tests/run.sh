#!/usr/bin/env bash
# Installs what is missing, builds into build/, runs all tests. run.sh quick: without real programs and
# the build matrix. run.sh coverage [ARGUMENTS of ctest]: what the tests reach (coverage.sh). Works as root or with sudo, without a terminal, on a bare Debian 12.
set -euo pipefail
cd "$(dirname "$0")/.."
mode=${1:-all}
root=$([ "$(id -u)" -eq 0 ] || echo sudo)

packages="cmake make gcc g++ clang git pkg-config python3 valgrind binutils libcmocka-dev libjemalloc-dev libdw-dev
  libelf-dev libsqlite3-dev libjansson-dev libunwind-dev zlib1g-dev sqlite3 procps heaptrack libdebuginfod1"
[ "$mode" != coverage ] || packages="$packages llvm libclang-rt-14-dev"
# Not by package: a nodejs from elsewhere brings npm along, and Debian's would not go with it.
command -v npm >/dev/null || packages="$packages nodejs npm"
packages="$packages libmicrohttpd-dev"
packages="$packages libncurses-dev"
# Not installed here, for they are large: chromium, without which the tests of the pages are skipped, and prometheus,
# without which those of its scrapes are.
missing=()
for package in $packages; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  if [ -n "$root" ] && ! command -v sudo >/dev/null; then
    echo "tests/run.sh: not root and no sudo; install first: ${missing[*]}"
    exit 1
  fi
  $root apt-get update -qq
  $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi
[ "$mode" != coverage ] || exec bash tests/coverage.sh "${@:2}"
leave_out=()
if [ "$mode" = quick ]; then
  leave_out=(-LE '^(real|matrix)$')
else
  bash tests/real/run.sh --install
fi

cmake -S . -B build
cmake --build build -j2
# What fails is run once more, which ctest says: on a busy machine one of 560 tests may wait in vain for its turn.
exec ctest --test-dir build -j2 --output-on-failure --repeat until-pass:2 "${leave_out[@]}"

#!/bin/sh
# From a fresh clone to a leak report: installs what is missing (Debian and its kin), builds into
# build/, plays a leaky game under poolprof and shows what it found. Options go to the game; without
# any: 300 frames with every leak planted. Needs root or sudo only if packages are missing.
set -eu
cd "$(dirname "$0")/.."

packages="cmake gcc g++ make pkg-config libjemalloc-dev libdw-dev libelf-dev libsqlite3-dev
          libjansson-dev libncurses-dev libmicrohttpd-dev zlib1g-dev libcmocka-dev libunwind-dev binutils python3"
# Not by package: a nodejs from elsewhere brings npm along, and Debian's would not go with it.
command -v npm >/dev/null || packages="$packages nodejs npm"

say() { printf '%s\n' "examples/run.sh: $*"; }

# Prints those of $packages that dpkg does not know as installed.
missing_packages() {
    for package in $packages; do
        dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null |
            grep -qx installed || printf '%s ' "$package"
    done
}

install_packages() {
    missing=$(missing_packages)
    [ -n "$missing" ] || return 0
    sudo=
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || { say "not root and no sudo; install first: $missing"; exit 1; }
        sudo=sudo
    fi
    say "installing $missing"
    $sudo apt-get -qq update
    # The words of $missing are package names; splitting them is meant.
    # shellcheck disable=SC2086
    $sudo env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq -y --no-install-recommends install $missing >/dev/null
}

if command -v dpkg-query >/dev/null; then
    install_packages
else
    say "no dpkg here: assuming that all of these is installed: $packages"
fi

say "building into build/"
log=build/run.log
mkdir -p build
if ! { cmake -S . -B build -DCMAKE_BUILD_TYPE=RelWithDebInfo &&
       cmake --build build -j "$(nproc)"; } >"$log" 2>&1; then
    tail -n 20 "$log"
    say "the build failed; all of it is in $log"
    exit 1
fi

[ $# -gt 0 ] || set -- --frames 300 --leak all --fps --truth
say "LD_PRELOAD=build/lib/libpoolprof.so build/bin/game $*"
LD_PRELOAD="$PWD/build/lib/libpoolprof.so" build/bin/game "$@"

say "above: what the game says of itself, and the report that poolprof printed when it ended."
say "more of it: build/bin/poolprof report --top 100, or --format html -o report.html"

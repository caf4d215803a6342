#!/bin/sh
# tail.sh [BUILD] [ROUNDS]: latency of single calls of malloc under poolprof and its peers, the best of ROUNDS
# runs in turn (the machine's own pauses are in all of them: the last three columns). Nanoseconds; see tail.c.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "${1:-$here/../../build}" && pwd)
rounds=${2:-5}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${CC:-cc}" -std=gnu17 -O2 -o "$work/tail" "$here/tail.c"
export POOLPROF_OUTPUT=none POOLPROF_REPORT=none

column() { # NAME LIBRARY [VARIABLE]
    [ -z "$2" ] || [ -e "$2" ] || return 0
    env ${2:+LD_PRELOAD="$2"} ${3:-NONE=} "$work/tail" >>"$work/$1"
}
libraries=/usr/lib/x86_64-linux-gnu
for round in $(seq "$rounds"); do
    column glibc ""
    column poolprof "$build/lib/libpoolprof.so"
    column pp-off "$build/lib/libpoolprof.so" POOLPROF_TRACK=off
    column jemalloc $libraries/libjemalloc.so.2
    column mimalloc $libraries/libmimalloc.so.2
    column tcmalloc $libraries/libtcmalloc_minimal.so.4
done
printf '%-10s %8s %8s %8s %10s   (nothing: %s)\n' malloc p50 p99 p99.99 max "p50 p99.99 max"
for name in glibc poolprof pp-off jemalloc mimalloc tcmalloc; do
    [ -e "$work/$name" ] || continue
    # The best run by its 99.99th per cent.
    sort -n -k3 "$work/$name" | head -1 | {
        read -r p50 p99 p9999 most n50 _ n9999 nmost
        printf '%-10s %8s %8s %8s %10s   %s %s %s\n' "$name" "$p50" "$p99" "$p9999" "$most" "$n50" "$n9999" "$nmost"
    }
done

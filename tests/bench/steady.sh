#!/bin/sh
# System calls of the program per million malloc/free pairs in steady state: strace counts two runs of
# the micro benchmark that differ in their number of pairs only. steady.sh [BUILD]; needs strace.
set -eu
build=$(cd "${1:-$(dirname "$0")/../../build}" && pwd)
source=$(cd "$(dirname "$0")" && pwd)/micro.c
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
micro=$work/micro
cc -std=gnu17 -O2 -g -fno-omit-frame-pointer -pthread -o "$micro" "$source" -lm
calls() {
    LD_PRELOAD='' strace -c -S calls -E LD_PRELOAD="$build/lib/libpoolprof.so" -E POOLPROF_WATCH=0 \
        -E POOLPROF_OUTPUT=none -E POOLPROF_REPORT=none "$micro" --once "$1" "$2" 2>&1 >/dev/null |
        awk '$NF == "total" {print $4; found = 1} END {if (!found) exit 1}'
}
for mode in pair16 walk16; do
    few=$(calls 100000 $mode) many=$(calls 1100000 $mode)
    echo "$mode: $few system calls in all for 100,000 pairs, $((many - few)) more for a million pairs more"
done

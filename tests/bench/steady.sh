#!/bin/sh
# System calls of the program per million malloc/free pairs in steady state: strace counts two runs of
# the micro benchmark that differ in their number of pairs only. steady.sh [BUILD]; needs strace.
set -eu
build=$(cd "${1:-$(dirname "$0")/../../build}" && pwd)
micro=$(find "$build" -name micro -type f -perm -1 | head -n 1)
calls() {
    LD_PRELOAD='' strace -c -S calls -E LD_PRELOAD="$build/lib/libpoolprof.so" -E POOLPROF_WATCH=0 \
        -E POOLPROF_OUTPUT=none -E POOLPROF_REPORT=none "$micro" --once "$1" "$2" 2>&1 >/dev/null |
        awk '$NF == "total" {print $3 == "" ? 0 : $3}' | tail -n 1
}
for mode in pair16 walk16; do
    few=$(calls 100000 $mode) many=$(calls 1100000 $mode)
    echo "$mode: $((many - few)) system calls more for a million pairs more"
done

#!/bin/sh
# What a normal end waits for: the time from a program's last statement to the moment its parent sees it gone,
# for a process with 100 sites that prints its text report; against the time that the same report takes on its
# own, from a segment that was left; and bare. Status 1 if the median of the differences is over the target, 30 ms: on
# a quiet machine. end.sh [BUILD [ROUNDS]]
set -eu
build=$(cd "${1:-$(dirname "$0")/../../build}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
{
    printf '#include <stdio.h>\n#include <stdlib.h>\n#include <time.h>\nvoid *sink[100];\n'
    for i in $(seq 0 99); do echo "__attribute__((noinline)) void site_$i(void) { sink[$i] = malloc(10 + $i); }"; done
    echo 'int main(void) { struct timespec t;'
    for i in $(seq 0 99); do echo "site_$i();"; done
    echo 'clock_gettime(CLOCK_REALTIME, &t); printf("%ld", t.tv_sec * 1000000 + t.tv_nsec / 1000); fflush(stdout); }'
} > sites.c
gcc -g -O1 -fno-builtin -o sites sites.c
us() { echo $(($(date +%s%N) / 1000)); }

POOLPROF_WATCH=0 POOLPROF_OUTPUT=left LD_PRELOAD=$build/lib/libpoolprof.so ./sites > /dev/null 2>&1
rounds=${2:-9}
for round in $(seq "$rounds"); do
    bare=$(./sites)
    bare=$(($(us) - bare))
    begin=$(LD_PRELOAD=$build/lib/libpoolprof.so POOLPROF_OUTPUT=sites.poolprof ./sites 2> report.txt)
    end=$(us)
    from=$(us)
    "$build/bin/poolprof" report left > /dev/null
    to=$(us)
    grep -q 'in 1[0-9][0-9] sites' report.txt || { head -3 report.txt; exit 1; }
    more=$((end - begin - (to - from)))
    echo "bare $bare us, end to gone $((end - begin)) us, the report on its own $((to - from)) us, more $more us"
    echo $more >> more
    rm -f sites.poolprof*
done
more=$(sort -n more | sed -n $(((rounds + 1) / 2))p)
echo "median: $more us more than the report's own work, target at most 30000"
[ "$more" -le 30000 ]

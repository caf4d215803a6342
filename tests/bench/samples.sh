#!/bin/sh
# What watching a program of 10 million objects costs the watcher, in processor time: a sample, a look at the
# alerts, a survey of the sites. samples.sh [BUILD] [OBJECTS] [SECONDS]; needs some 600 MB.
set -eu
build=$(cd "${1:-$(dirname "$0")/../../build}" && pwd)
source=$(cd "$(dirname "$0")" && pwd)/hold.c
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cc -std=gnu17 -O2 -g -o "$work/hold" "$source"
LD_PRELOAD="$build/lib/libpoolprof.so" POOLPROF_OUTPUT="$work/profile" POOLPROF_REPORT=none POOLPROF_LEAK_CHECK=off \
    POOLPROF_SAMPLE_MIN=100ms POOLPROF_SAMPLE_MAX=100ms POOLPROF_MEM_WARN=0 POOLPROF_MEM_CRITICAL=0 \
    POOLPROF_BUDGET=a=1M,b=2M,c=3M "$work/hold" "${2:-10000000}" "${3:-20}"
"$build/bin/poolprof" report --format json "$work/profile" | python3 -c '
import json, sys
for duty, cost in json.load(sys.stdin)["overhead"]["watcher"].items():
    print("%-8s %4d times, mean %8.3f ms, most %8.3f ms" % (duty, cost["count"], 1e3 * cost["mean_s"], 1e3 * cost["most_s"]))
'

#!/bin/bash
# The watcher's resident memory with N processes in its tree (default 100), after some seconds of samples.
#   tests/bench/watcher.sh [BUILD] [N] [SECONDS]
set -eu
build=$(realpath "${1:-build}") count=${2:-100} seconds=${3:-5}
export POOLPROF_REPORT=none POOLPROF_OUTPUT=none POOLPROF_SAMPLE_MIN=100ms POOLPROF_SAMPLE_MAX=1s
LD_PRELOAD=$build/lib/libpoolprof.so bash -c \
  "for i in \$(seq $count); do /usr/bin/sleep $((seconds + 10)) & done; wait" &
host=$!
sleep $((seconds + 3))
ask() { "$build/bin/poolprof" ctl $host "$@"; }
status() { grep -E 'VmRSS|RssAnon|RssFile|RssShmem' "/proc/$1/status" | tr -s '\t\n' ' '; echo; }
watcher=$(ask status | grep -o '"watcher_pid":[0-9]*' | cut -d: -f2)
echo "processes: $(ask status | grep -o '"child":' | wc -l)"
status "$watcher"
ask report > /dev/null
ask leaks > /dev/null
sleep 0.5
echo "after the commands report and leaks:"
status "$watcher"
wait $host

#!/bin/bash
# The watcher's resident memory with N processes in its tree (default 100): after some seconds of samples, after
# commands that look up symbols, and after the reports of processes that ended. Status 1: more than 12 MB.
#   tests/bench/watcher.sh [BUILD] [N] [SECONDS]
set -eu
build=$(realpath "${1:-build}") count=${2:-100} seconds=${3:-5} most_kib=12288 status=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export POOLPROF_REPORT=none POOLPROF_OUTPUT=$work/%n.%p.poolprof POOLPROF_SAMPLE_MIN=100ms POOLPROF_SAMPLE_MAX=1s
export POOLPROF_LOG=$work/log
mkfifo "$work/go"
# When told to, programs with much to look up come and go beside those that sleep.
cat > "$work/tree.sh" <<END
for i in \$(seq $count); do /usr/bin/sleep 1000 & done
read -r _ < $work/go
for i in 1 2 3; do python3 -c 'import json, re'; perl -e 1; sort < /dev/null; git --version; bash -c :; done > /dev/null
touch $work/gone
wait
END
LD_PRELOAD=$build/lib/libpoolprof.so bash "$work/tree.sh" 2> /dev/null &
host=$!
sleep $((seconds + 3))
ask() { "$build/bin/poolprof" ctl $host "$@"; }
watcher=$(ask status | grep -o '"watcher_pid":[0-9]*' | cut -d: -f2)
look() {
  local held
  held=$(awk '/^VmRSS/ {print $2}' "/proc/$watcher/status")
  echo "$1: $(grep -E 'VmRSS|RssAnon|RssFile|RssShmem' "/proc/$watcher/status" | tr -s '\t\n' ' ')"
  [ "$held" -le $most_kib ] || { echo "  more than $most_kib kB"; status=1; }
}
look "$(pgrep -c -P $host -x sleep) processes"
ask report > /dev/null
ask leaks > /dev/null
sleep 0.5
look "after the commands report and leaks"
echo > "$work/go"
until [ -e "$work/gone" ]; do sleep 0.1; done
reports() { find "$work" -name '*.poolprof' | wc -l; }
before=-1
while [ "$(reports)" -ne "$before" ]; do before=$(reports); sleep 3; done # it may be behind
look "after $(reports) reports"
pkill -P $host -x sleep
wait $host || true
exit $status

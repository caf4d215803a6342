#!/bin/sh
# What a process costs in a tree that is being watched: start and end of /bin/true, microseconds each, bare
# and under the preload, four times in turn. start.sh [BUILD]
set -eu
build=$(cd "${1:-$(dirname "$0")/../../build}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat > loop.sh <<'LOOP'
sleep 0.2 # the watcher has taken the tree
begin=$(date +%s%N) i=0
while [ $i -lt 300 ]; do /bin/true; i=$((i + 1)); done
echo $((($(date +%s%N) - begin) / 300000))
LOOP
for round in 1 2 3 4; do
    bare=$(sh loop.sh)
    watched=$(LD_PRELOAD=$build/lib/libpoolprof.so POOLPROF_REPORT=none sh loop.sh)
    echo "bare $bare us, watched $watched us, more $((watched - bare)) us"
    rm -f ./*.poolprof
done

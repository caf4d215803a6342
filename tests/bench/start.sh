#!/bin/sh
# What a process costs in a tree that is being watched: start and end of /bin/true, microseconds each, bare
# and under the preload, in turn. Status 1 if the median of the differences is over the target, 1 ms: on a quiet
# machine. start.sh [BUILD [ROUNDS]]
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
rounds=${2:-5}
for round in $(seq "$rounds"); do
    bare=$(sh loop.sh)
    watched=$(LD_PRELOAD=$build/lib/libpoolprof.so POOLPROF_REPORT=none sh loop.sh)
    echo "bare $bare us, watched $watched us, more $((watched - bare)) us, $((watched * 100 / bare)) %"
    echo $((watched - bare)) >> more
    rm -f ./*.poolprof
done
more=$(sort -n more | sed -n $(((rounds + 1) / 2))p)
echo "median: $more us more, target at most 1000"
[ "$more" -le 1000 ]

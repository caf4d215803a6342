#!/bin/sh
# bare.sh BUILD: every preload test must fail when nothing is preloaded; prints those that pass, and
# fails if there are any.
set -u
build=${1:-build}
list=$(mktemp)
PP_BARE=1 ctest --test-dir "$build" -L '^preload$' -E '^preload.bench$' -j2 2>/dev/null | grep ' Passed ' >"$list"
count=$(wc -l <"$list")
cat "$list"
rm -f "$list"
echo "$count preload tests pass without the library"
[ "$count" -eq 0 ]

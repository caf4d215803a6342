#!/bin/sh
# check.sh PROGRAM: two runs of one seed agree, planted leaks change nothing but what is left,
# another seed gives another checksum, and without leaks the truth is that nothing is left.
set -eu
program=$1

checksum() { "$program" "$@" | sed -n 's/^checksum \([0-9a-f]*\) .*/\1/p'; }
fail() { echo "check.sh: $program: $1" >&2; exit 1; }

first=$(checksum)
[ -n "$first" ] || fail "no checksum"
[ "$(checksum)" = "$first" ] || fail "a second run gives another checksum"
[ "$(checksum --leak all)" = "$first" ] || fail "leaks change the checksum"
[ "$(checksum --seed 2)" != "$first" ] || fail "the seed changes nothing"

"$program" --truth | grep '^truth' | grep -vq '^truth total [a-z]* 0 0$' &&
    fail "leaks without --leak"
"$program" --leak all --truth | grep -q "^truth total [a-z]* [1-9]" ||
    fail "--leak all leaks nothing"
"$program" --leak nonsense 2>/dev/null && fail "a wrong --leak is accepted"
exit 0

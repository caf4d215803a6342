#!/bin/sh
# run.sh [MINUTES [TARGET...]]: fuzzes each target (default: all) with libFuzzer for MINUTES each (default 10), on all
# processors, in a folder of its own under /tmp that keeps corpus and crashes from run to run. Needs clang and its runtime
# (Debian: libclang-rt-14-dev).
set -eu
cd "$(dirname "$0")/../.."
minutes=${1:-10}
[ $# -eq 0 ] || shift
targets=${*:-view profile suppress options cfi elf request http}
work=${FUZZ_DIR:-/tmp/poolprof-fuzz}
jobs=$(nproc)
mkdir -p "$work"

flags="-std=gnu17 -g -O1 -D_GNU_SOURCE -DPP_DEBUG=0 -DPP_VERSION=\"fuzz\" -fno-sanitize-recover=all
       -Iinclude -Isrc -Ireport -Itests/golden $(pkg-config --cflags sqlite3 jansson zlib libdw libelf)"
libraries="$work/fuzzed.a $(pkg-config --libs sqlite3 jansson zlib libdw libelf) -lm"

rm -rf "$work/fuzzed" "$work/fuzzed.a"
mkdir "$work/fuzzed"
# shellcheck disable=SC2016,SC2086
sed -n 's/^  \(.*\.c\)$/\1/p' tests/fuzz/sources.cmake | xargs -P "$jobs" -I{} sh -c \
    'source=$1 to=$2 && shift 2 && clang "$@" -c "$source" -o "$to/$(echo "$source" | tr / _).o"' sh {} "$work/fuzzed" \
    $flags -fsanitize=fuzzer-no-link,address,undefined
ar rc "$work/fuzzed.a" "$work"/fuzzed/*.o
for target in $targets; do
    # shellcheck disable=SC2086
    clang $flags -fsanitize=fuzzer,address,undefined -o "$work/${target}_fuzz" "tests/fuzz/${target}_fuzz.c" $libraries
    # shellcheck disable=SC2086
    clang $flags -fsanitize=address,undefined -o "$work/${target}_seeds" "tests/fuzz/${target}_fuzz.c" \
        tests/fuzz/driver.c $libraries
    mkdir -p "$work/$target"
    "$work/${target}_seeds" --write-seeds "$work/$target"
done
for target in $targets; do
    echo "== $target, $minutes minutes"
    (cd "$work" && "./${target}_fuzz" -max_total_time=$((minutes * 60)) -fork="$jobs" -max_len=200000 \
        -rss_limit_mb=4096 -timeout=20 -artifact_prefix="$target-" "$target")
done

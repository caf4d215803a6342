#!/usr/bin/env bash
# Lines and branches of src, preload and report that the tests reach, what runs under the preload counted in. Clang's
# counters are a mapped file (continuous mode), so that they survive any death of a process, and cost no exit handler;
# atomic, for all processes of a program count in the same one, and a line's count may be the difference of two.
# coverage.sh [ARGUMENTS of ctest]: a table, least covered files first, and what nothing reaches without saying why: see
# coverage.py, whose status this is. COVERAGE_DIR: where it builds.
# DWARF 4, for valgrind, beside which some tests look.
# Needs clang and its runtime (Debian: libclang-rt-14-dev). Not judged here: whether the tests pass (some look at
# descriptors and mappings, of which there are more then).
set -euo pipefail
cd "$(dirname "$0")/.."
work=${COVERAGE_DIR:-/tmp/poolprof-coverage}
mkdir -p "$work"
rm -rf "$work/raw"
mkdir -m 1777 "$work/raw"

flags="-fprofile-instr-generate=$work/raw/%m%c.profraw;-fcoverage-mapping;-fprofile-update=atomic"
flags="$flags;SHELL:-mllvm -runtime-counter-relocation"
clang -fPIC -O1 "-DEARLY=\"$work/raw/early\"" -c tests/coverage_early.c -o "$work/early.o"
cmake -S . -B "$work/build" -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ -DPP_COVERAGE="$flags" \
  -DCMAKE_C_FLAGS=-gdwarf-4 -DCMAKE_CXX_FLAGS=-gdwarf-4 \
  -DPP_COVERAGE_LIBRARY="$work/early.o;-Wl,--wrap=pp_os_exec" \
  -DPP_FAULTS="library:1/1;watcher:2/5;memory:7/40;wild:3/15" >"$work/build.log"
rm -f "$work/build/lib/libpoolprof.so" # it does not depend on early.o, for cmake
cmake --build "$work/build" -j"$(nproc)" >>"$work/build.log" 2>&1 || { tail -20 "$work/build.log"; exit 1; }
rm -f "$work"/raw/*
# Without a browser, whether there is one or not: what it runs is not C.
if [ $# -eq 0 ]; then set -- -LE '^(real|matrix)$' -E '^(formats[.]pages|serve[.]dashboard)' -j"$(nproc)"; fi
ctest --test-dir "$work/build" "$@" >"$work/tests.log" 2>&1 || true
tail -4 "$work/tests.log" | head -2
for early in "$work"/raw/early.*; do
  [ ! -e "$early" ] || COVERAGE_TAKE=$early POOLPROF_ENABLE=0 LD_PRELOAD=$work/build/lib/libpoolprof.so /bin/true
done

llvm-profdata merge -sparse "$work"/raw/*.profraw -o "$work/all.profdata"
status=0
llvm-cov export -format=lcov -instr-profile "$work/all.profdata" "$work/build/bin/poolprof" \
  -object "$work/build/lib/libpoolprof.so" | python3 -B tests/coverage.py >"$work/table" || status=$?
cat "$work/table"
echo "lines that nothing reaches: llvm-cov show -instr-profile $work/all.profdata $work/build/bin/poolprof FILE"
exit "$status"

#!/usr/bin/env bash
# Lines and branches of src, preload and report that the tests reach, what runs under the preload counted in. Clang's
# counters are a mapped file (continuous mode), so that they survive any death of a process, and cost no exit handler.
# coverage.sh [ARGUMENTS of ctest]: prints a table, least covered files first; COVERAGE_DIR: where it builds.
# Not counted: most of preload/sanitizer.c, which runs before anything can be counted and ends in an exec (tests/neighbours
# look at what comes of it). What else is left are answers to a kernel that refuses, of which tests/faults has a share here.
# Needs clang and its runtime (Debian: libclang-rt-14-dev). Not judged here: whether the tests pass (some look at
# descriptors and mappings, of which there are more then).
set -euo pipefail
cd "$(dirname "$0")/.."
work=${COVERAGE_DIR:-/tmp/poolprof-coverage}
mkdir -p "$work"
rm -rf "$work/raw"
mkdir -m 1777 "$work/raw"

flags="-fprofile-instr-generate=$work/raw/%m%c.profraw -fcoverage-mapping -mllvm -runtime-counter-relocation \
-Wno-unused-command-line-argument"
clang -fPIC -O1 -c tests/coverage_early.c -o "$work/early.o"
cmake -S . -B "$work/build" -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_C_FLAGS="$flags" \
  -DCMAKE_CXX_FLAGS="$flags" -DCMAKE_SHARED_LINKER_FLAGS="$work/early.o" >"$work/build.log"
cmake --build "$work/build" -j"$(nproc)" >>"$work/build.log" 2>&1 || { tail -20 "$work/build.log"; exit 1; }
rm -f "$work"/raw/*
if [ $# -eq 0 ]; then set -- -LE '^(real|matrix|lint|golden)$' -j"$(nproc)"; fi
ctest --test-dir "$work/build" "$@" >"$work/tests.log" 2>&1 || true
tail -4 "$work/tests.log" | head -2

llvm-profdata merge -sparse "$work"/raw/*.profraw -o "$work/all.profdata"
llvm-cov export -summary-only -instr-profile "$work/all.profdata" "$work/build/bin/poolprof" \
  -object "$work/build/lib/libpoolprof.so" | python3 -c '
import json, os, sys
rows, here = [], os.getcwd() + "/"
for file in json.load(sys.stdin)["data"][0]["files"]:
    name = file["filename"].removeprefix(here)
    if name.startswith(("src/", "preload/", "report/")) and file["summary"]["lines"]["count"] > 0:
        rows.append((file["summary"]["lines"], file["summary"]["branches"], name))
def share(part):
    return "%5.1f %% of %5d" % (100 * part["covered"] / max(part["count"], 1), part["count"])
for lines, branches, name in sorted(rows, key=lambda row: row[0]["percent"]):
    print("%-28s lines %s   branches %s" % (name, share(lines), share(branches)))
for top in ("src", "preload", "report", ""):
    total = [{key: sum(row[i][key] for row in rows if row[2].startswith(top)) for key in ("count", "covered")}
             for i in (0, 1)]
    print("%-28s lines %s   branches %s" % ("= " + (top or "all"), share(total[0]), share(total[1])))
' | tee "$work/table"
echo "lines that nothing reaches: llvm-cov show -instr-profile $work/all.profdata $work/build/bin/poolprof FILE"

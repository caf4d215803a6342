#!/usr/bin/env bash
# The build matrix: each row is configured in a directory of its own, built without a warning, and its unit
# tests run. matrix.sh: all rows. matrix.sh short: sanitizers only (ctest runs that). Rows by name otherwise.
#   MATRIX_DIR: where to build (default /tmp/poolprof-matrix)
set -uo pipefail
cd "$(dirname "$0")/.."
directory=${MATRIX_DIR:-/tmp/poolprof-matrix}

row() { # name, then cmake's arguments
  local name=$1 log=$directory/$1.log
  shift
  mkdir -p "$directory"
  if cmake -S . -B "$directory/$name" -DPP_WERROR=ON "$@" >"$log" 2>&1 &&
    cmake --build "$directory/$name" -j2 >>"$log" 2>&1 &&
    ctest --test-dir "$directory/$name" -L '^unit$' -j2 --output-on-failure >>"$log" 2>&1 &&
    ! grep -q 'No tests were found' "$log"; then
    echo "ok      $name  $(grep 'tests passed' "$log" | tail -1)"
  else
    echo "FAILED  $name  (end of $log follows)"
    tail -40 "$log"
    failed=$((failed + 1))
  fi
}

run() {
  case $1 in
  debug) row debug -DCMAKE_BUILD_TYPE=Debug -DPP_DEBUG=3 ;;
  release) row release -DCMAKE_BUILD_TYPE=Release ;;
  address) row address -DPP_DEBUG=3 -DPP_SANITIZE=address,undefined ;;
  # gcc warns of each fence that TSan does not model; the tests run all the same.
  thread) row thread -DPP_DEBUG=2 -DPP_SANITIZE=thread -DCMAKE_C_FLAGS=-Wno-tsan ;;
  # clang does not know gcc's attribute `optimize`, of some tests.
  clang) row clang -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_C_FLAGS=-Wno-unknown-attributes ;;
  clang-debug) row clang-debug -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_C_FLAGS=-Wno-unknown-attributes \
    -DPP_DEBUG=3 -DCMAKE_BUILD_TYPE=Debug ;;
  *) echo "no row $1" && failed=$((failed + 1)) ;;
  esac
}

failed=0
case ${1:-all} in
all) rows="debug release address thread clang clang-debug" ;;
short) rows="address thread" ;;
*) rows=$* ;;
esac
for name in $rows; do run "$name"; done
echo "$failed of $(wc -w <<<"$rows") rows failed"
[ "$failed" -eq 0 ]

#!/bin/sh
# tests/bench/callgrind.sh [OPTIONS of run.sh]
# Instructions per malloc and free by call depth, for the bare library and its peers: figures that
# no noise touches, so a change of one per cent is seen. The same as `run.sh ir`. Needs valgrind.
set -eu
command -v valgrind >/dev/null || { echo "callgrind.sh: valgrind is not installed" >&2; exit 1; }
exec "$(dirname "$0")/run.sh" "$@" ir

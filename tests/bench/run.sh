#!/bin/sh
# tests/bench/run.sh [--install] [--quick] [--json] [OPTIONS] [ROWS...]
# The benchmarks: prints a table of what allocation costs under poolprof and its peers; --help says
# more. --install first gets the peers and the programs of the rows (Debian; root or sudo).
set -eu
here=$(cd "$(dirname "$0")" && pwd)

if [ "${1:-}" = --install ]; then
    shift
    sudo=
    [ "$(id -u)" = 0 ] || sudo=sudo
    $sudo apt-get -qq update
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install \
        python3 gcc g++ perl sqlite3 git xz-utils redis-server redis-tools valgrind \
        nodejs lua5.4 xsltproc freeciv-server \
        libjemalloc2 libmimalloc2.0 libtcmalloc-minimal4 heaptrack >/dev/null
fi
# The system's python, not a version manager's shim that may point anywhere.
python=/usr/bin/python3
[ -x "$python" ] || python=python3
exec "$python" "$here/bench.py" "$@"

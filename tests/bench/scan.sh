#!/bin/sh
# scan.sh [BUILD]: what a leak scan of a running program costs: how long the program stands still, and how much of that
# the kernel takes to copy it (beside a fork before its threads began), how fast memory is looked through (MiB per second
# of processor time, above that of a report without a scan), what the scan takes of memory, and what frames of the
# example game see of it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "${1:-$here/../../build}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${CC:-cc}" -std=gnu17 -O1 -pthread -o "$work/scan" "$here/scan.c"
export POOLPROF_OUTPUT=none POOLPROF_REPORT=none POOLPROF_LOG_LEVEL=error POOLPROF_MEM_WARN=16G POOLPROF_MEM_CRITICAL=16G

cost() { # PID [--leaks]: "KiB user system", seconds, in $work/cost
    /usr/bin/time -f '%M %U %S' -o "$work/cost" "$build/bin/poolprof" report "$@" --no-symbols 2>&1 >/dev/null
}

look() { # PID: "objects bytes unit seconds ms copied KiB user system"
    cost "$1" --leaks |
        sed -n 's/poolprof report: \([0-9]*\) objects, \([0-9.]* [KMG]iB\) looked through in \([0-9.]*\) s.* still for \([0-9.]*\) ms, \([0-9.]*\) of.*/\1 \2 \3 \4 \5/p' | tr '\n' ' '
    cat "$work/cost"
}

row() { # ROUNDS ARGUMENTS
    rounds=$1; shift
    mkfifo "$work/in"
    LD_PRELOAD="$build/lib/libpoolprof.so" "$work/scan" "$@" <"$work/in" >"$work/out" &
    pid=$!
    exec 4>"$work/in"
    until grep -q ready "$work/out"; do sleep 0.1; done
    cost $pid
    without=$(cut -d ' ' -f 2- "$work/cost")
    : >"$work/looks"
    for round in $(seq "$rounds"); do look $pid >>"$work/looks"; done
    exec 4>&-
    wait $pid || true
    rm "$work/in"
    fork=$(sed -n 's/fork //p' "$work/out")
    sort -n -k5 "$work/looks" | awk -v what="$*" -v fork="${fork:-0}" -v without="$without" '
        NR == 1 { split(without, bare, " ") }
        { stood[NR] = $5; rest[NR] = $5 - $6; seconds[NR] = $4; mib = $2 * ($3 == "GiB" ? 1024 : 1); objects = $1; kib = $7
          if (rest[NR] > worst) worst = rest[NR]
          took = $8 + $9 - bare[1] - bare[2]
          if (NR == 1 || took < least) least = took }
        END { middle = int((NR + 1) / 2)
              printf "%-22s %9d objects  %5.0f MiB in %6.3f s, %5.0f MiB/s  stood still %6.2f ms, %.2f without the copy, most %6.2f, %.2f (fork before %s)  %4d MB\n",
                     what, objects, mib, seconds[middle], mib / (least + 0.005), stood[middle], rest[middle], stood[NR], worst,
                     (fork > 0 ? fork : "-"), kib / 1024 }'
}

game() { # 10 s of 60 frames each
    "$build/bin/game" --hz 60 --frames 600 --ballast 1024 --fps | sed -n "s/frame ms/$1/p"
}

row 20 heap 10 1
row 20 heap 100 8
row 10 heap 1024 8
row 3 objects 10000000 order
row 2 objects 10000000 array
row 2 objects 1000000 random # each is read by itself: some 1.5 us
export LD_PRELOAD="$build/lib/libpoolprof.so"
game "game and 1 GiB, frame ms"
(sleep 2; pid=$(cat "$work/game.pid"); for round in 1 2 3 4; do LD_PRELOAD= look "$pid"; sleep 0.5; done >/dev/null) &
sh -c "echo \$\$ >'$work/game.pid'; exec '$build/bin/game' --hz 60 --frames 600 --ballast 1024 --fps" |
    sed -n "s/frame ms/the same, looked at 4 times, frame ms/p"
wait

"""faults.py PART: each system call of the library's, or of the watcher's, fails in turn (inject.c). The host's output
and status are its own; the profile is exact, or says what it lacks, or a line on stderr does. PART is `library:I/N` or
`watcher:I/N` (every N-th call from the I-th on), or `library`, `watcher` (all). `memory`: each request for memory of the
watcher's is refused in turn (refuse.c; the library asks the kernel only). `wild`: words written at random instead. Prints
what failed, and what came of it.
"""
import collections
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../ends"))
from ends import ENDS, PROGRAM, Box, Failure, check, read_report  # noqa: E402
from fallbacks import host_is_itself  # noqa: E402

INJECT = os.environ["PP_INJECT"]
HOST = os.path.join(ENDS, "host")
WILD = os.path.join(os.path.dirname(INJECT), "wild")
REFUSE = os.path.join(os.path.dirname(INJECT), "../lib/refuse.so")
WILD_SEEDS = 150
NAMES = {"wild": "words", "memory": "request"}


def names():
    found = {}
    with open("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", encoding="ascii") as file:
        for line in file:
            match = re.match(r"#define __NR_(\w+) (\d+)", line)
            if match:
                found[int(match[2])] = match[1]
    return found


def run(box, part, number):
    """The host with the N-th call of that part failing. Returns (the ended process, numbers of the calls)."""
    listed = box.path("calls")
    env = box.environment(LOG_LEVEL="warn", REPORT="text")
    library = env.pop("LD_PRELOAD", "")
    if part == "library":
        env["INJECT_PRELOAD"] = library
        done = box.run(INJECT, "libpoolprof.so", number, listed, HOST, "plain", env=env, timeout=60)
    else:
        wrapper = box.path("poolprof")
        with open(wrapper, "w", encoding="ascii") as file:
            file.write(f'#!/bin/sh\nexec {INJECT} any {number} {listed} {PROGRAM} "$@"\n')
        os.chmod(wrapper, 0o755)
        env.update(LD_PRELOAD=library, POOLPROF_PROGRAM=wrapper)
        done = box.run(HOST, "plain", env=env, timeout=60)
    box.check_gone(segments=False)
    try:
        with open(listed, encoding="ascii") as file:
            return done, [int(line) for line in file]
    except FileNotFoundError:
        return done, []


def outcome(box, done):
    """`exact`: all blocks, all names. Blocks are known by their sizes, for names may be what is missing."""
    host_is_itself(done)
    words = [line for line in done.err.splitlines() if line.startswith("poolprof")]
    if not any(profile.startswith("host.") for profile in box.profiles()):
        check(words, "no profile and no word")
        return "said on stderr"
    # Two, if the watcher's end was in doubt when it had written one: then the library has written its own.
    report = read_report(box.path(min(p for p in box.profiles() if p.startswith("host."))), whole=False)
    spots = {spot["what"] for spot in report["blind_spots"]}
    held = {(site["objects"], site["bytes"]) for site in report["sites"]}
    if {(6, 540), (1, 3000000)} - held:
        check(spots & {"dropped_records", "segment_degraded", "truncated_stacks"}, "incomplete and does not say so:", spots,
              report["totals"])
    check(report["process"]["end"] != "unknown", report["process"])
    return "said in the report" if spots else "exact"


def wild(seed):
    """A host that writes words at random into its own segment: it is served as before, and no reader crashes."""
    with Box() as box:
        # A record that says it is all of memory is looked through for up to a minute, on a loaded machine.
        done = box.run(WILD, seed, 1 + seed % 3 * 10, options={"REPORT": "text", "LOG_LEVEL": "info"}, timeout=120,
                       errors="replace") # the name of the profile may have been hit, and is told as it is
        host_is_itself(done)
        for profile in box.profiles():
            report = box.run(PROGRAM, "report", box.path(profile), "--format", "json", env={}, errors="replace")
            check(report.returncode in (0, 3), "report ends with", report.returncode, report.err)
        objects = re.search(r"outstanding +([0-9,]+) objects", done.err)
        if objects and abs(int(objects.group(1).replace(",", "")) - 11) > 4:
            check("segment_degraded" in done.err, "wrong figures, and nothing said:", done.err[-2000:])
        for segment in box.segment_files():
            report = box.run(PROGRAM, "report", segment, env={}, errors="replace")
            check(report.returncode in (0, 3), "report of the segment ends with", report.returncode, report.err)
        return "served and reported"


def memory(box, number):
    """The host with the N-th request for memory of the watcher's refused. Returns (the ended process, how many)."""
    counted, wrapper = box.path("count"), box.path("poolprof")
    with open(wrapper, "w", encoding="ascii") as file:
        file.write(f'#!/bin/sh\nLD_PRELOAD={REFUSE} REFUSE_AT={number} REFUSE_COUNT={counted} exec {PROGRAM} "$@"\n')
    os.chmod(wrapper, 0o755)
    done = box.run(HOST, "plain", options={"LOG_LEVEL": "warn", "REPORT": "text", "PROGRAM": wrapper}, timeout=60)
    box.check_gone(segments=False)
    with open(counted, "rb") as file:
        return done, int.from_bytes(file.read(), "little")


def one(part, number):
    if part == "wild":
        return [0] * WILD_SEEDS, wild(number)
    if part == "memory":
        with Box() as box:
            done, count = memory(box, number)
            return [0] * count, outcome(box, done)
    with Box() as box:
        done, calls = run(box, part, number)
        return calls, outcome(box, done)


def main():
    part, _, share = sys.argv[1].partition(":")
    first, _, step = share.partition("/") if share else ("1", "/", "1")
    calls, came = one(part, 0)
    check(len(calls) > 20, "only", len(calls), "calls were counted")
    known, table, failed = names(), collections.defaultdict(collections.Counter), 0
    for number in range(int(first), len(calls) + 1, int(step)):
        name = NAMES.get(part) or known.get(calls[number - 1], "?")
        try:
            _, came = one(part, number)
        except Failure as failure:
            failed += 1
            came = "FAILED"
            print(f"{part}: call {number} of {len(calls)}, {name}, fails: {failure}", flush=True)
        table[name][came] += 1
    for name, row in sorted(table.items()):
        print(f"{part:8} {name:16}", ", ".join(f"{count} {came}" for came, count in row.most_common()))
    print(f"{part}: {sum(sum(row.values()) for row in table.values())} faults of {len(calls)} calls, {failed} not survived")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

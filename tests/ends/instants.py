"""instants.py [SEED] [ROUNDS] [JOBS]: SIGKILL at random instants of a program with two allocating threads. What the profile
holds is off by at most the one block that each thread was just allocating or freeing: no torn record, no
crash of a reader. Half of the rounds are read by the watcher, half by `poolprof report` from the segment that
is left without one. ctest runs a few; by hand: instants.py 1 10000 4.
"""
import concurrent.futures
import os
import random
import struct
import subprocess
import sys
import time

from ends import ENDS, PROGRAM, Box, Failure, check, json_in, outstanding, read_report, wait_until

WORDS = struct.Struct("<6Q80x")


def accounts(path):
    with open(path, "rb") as file:
        data = file.read(256)
    names = ("started", "objects", "bytes", "allocating", "freeing", "allocations")
    return [dict(zip(names, WORDS.unpack_from(data, 128 * thread))) for thread in (0, 1)]


def allowed(account):
    """(objects, bytes) that may be held: the call in progress may have had its effect or not, and the
    account's own two words may be between their stores."""
    objects, size = account["objects"], account["bytes"]
    if account["allocating"]:
        moved = account["allocating"]
        return {(o, s) for o, s in ((objects, size), (objects + 1, size + moved), (objects, size + moved))}
    if account["freeing"]:
        moved = account["freeing"]
        return {(objects, size), (objects - 1, size - moved), (objects, size - moved)}
    return {(objects, size)}


def compare(report, told):
    for thread, account in enumerate(told):
        held = outstanding(report, f"held_{thread}")
        check(held in allowed(account), f"thread {thread} holds {held}, told {account}")
    totals, sites = report["totals"], report["sites"]
    for what in ("objects", "bytes"):
        total = sum(site[what] for site in sites)
        slack = 2 if what == "objects" else 2 * 40000
        check(abs(total - totals["outstanding_" + what]) <= slack, "sites hold", total, what, "totals", totals)
    check(not any(spot["what"] in ("dropped_records", "segment_degraded", "torn_records")
                  for spot in report["blind_spots"]), report["blind_spots"])
    check(report["process"]["end"] in ("signal:9", "unknown"), report["process"])
    unknown = [site for site in sites if not site["stack"]]
    check(not unknown, "sites without a stack:", unknown)


def one(seed, number):
    chance = random.Random(f"{seed} {number}")
    watched = number % 2 == 0
    with Box() as box:
        told = box.path("told")
        with open(told, "wb") as file:
            file.write(bytes(4096))
        process = box.start("instants", told, options={"WATCH": int(watched)})
        # From the first call of main on, with more weight on the first milliseconds.
        wait_until(lambda: accounts(told)[0]["started"] or process.poll() is not None, "does not start")
        time.sleep(chance.random() ** 3 * 0.04)
        process.kill()
        process.communicate()
        check(process.returncode == -9, "status", process.returncode)
        if watched:
            report = read_report(box.profile_of(process.pid), whole=False)
            check(report["process"]["end"] == "signal:9", report["process"])
            box.check_gone()
        else:
            segments = box.segment_files()
            check(len(segments) == 1, "segments:", segments)
            report = read_report(segments[0], whole=False)
        compare(report, accounts(told))
        return sum(account["allocations"] for account in accounts(told))


def whole():
    """Not killed: exact, and the program's own count is right."""
    with Box() as box:
        told = box.path("told")
        with open(told, "wb") as file:
            file.write(bytes(4096))
        done = box.run("instants", told, 20000)
        check(done.returncode == 0, done.returncode, done.err)
        report = box.report(done.pid)
        for thread, account in enumerate(accounts(told)):
            check(outstanding(report, f"held_{thread}") == (account["objects"], account["bytes"]), "whole:", account)


def main():
    seed, rounds, jobs = (sys.argv[1:] + ["x", "60", "2"][len(sys.argv) - 1:])[:3]
    if not seed.isdigit():
        seed = str(time.time_ns())
    failed, allocations, begun = 0, 0, time.monotonic()
    try:
        whole()
    except Failure as failure:
        print("FAILED:", failure)
        failed += 1
    with concurrent.futures.ThreadPoolExecutor(int(jobs)) as pool:
        futures = {number: pool.submit(one, seed, number) for number in range(int(rounds))}
        for number, future in futures.items():
            try:
                allocations += future.result()
                if number and number % 500 == 0:
                    print(f"{number} rounds", flush=True)
            except (Failure, KeyError, OSError, ValueError, subprocess.SubprocessError) as problem:
                failed += 1
                print(f"round {number}: FAILED: {type(problem).__name__}: {problem}", flush=True)
                if failed > 20:
                    pool.shutdown(cancel_futures=True)
                    break
    print(f"seed {seed}: {failed} of {rounds} rounds failed, {allocations} allocations, {time.monotonic() - begun:.1f} s")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

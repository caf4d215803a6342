"""stale.py CASE: POOLPROF_STALE: what was touched is never called stale, what was not is, nearly all of it."""
import json
import subprocess
import time

from driver import PROGRAM, Sandbox, check, looked_at, main, sites_of

OBJECTS = 6400
LOOKS_LEAST = 8 # four within the time after which an object is stale, and what came before the first
PATIENCE_S = 60


def counts(report):
    return {name: sum(site["stale_objects"] for site in sites_of(report, name))
            for name in ("make_touched", "make_left")}


def staleness(report):
    return [spot for spot in report["blind_spots"] if spot["what"] == "staleness"]


def looks_at(process):
    done = subprocess.run([PROGRAM, "report", str(process.pid), "--format", "json", "--no-symbols"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    check(done.returncode == 0, "report:", done.returncode, done.stderr)
    return sum(spot["count"] for spot in staleness(json.loads(done.stdout)))


def watched():
    """The report once it was looked at often enough. None: the program did not come to run, and its objects were
    stale indeed."""
    with Sandbox() as box:
        process = box.start("stale", stdin=subprocess.PIPE, options={"STALE": "1s", "POOL_HOT": 1})
        begun, looks = time.monotonic(), 0
        while looks < LOOKS_LEAST and process.poll() is None:
            check(time.monotonic() - begun < PATIENCE_S, "only", looks, "looks in", PATIENCE_S, "s")
            time.sleep(0.5)
            looks = looks_at(process)
        out, err = process.communicate("", timeout=PATIENCE_S)
        check(process.returncode == 0, "status", process.returncode, err)
        return box.report(process.pid) if int(out) < 500 else None


def told_apart():
    report = looked_at(watched)
    found, spot = counts(report), staleness(report)
    check(len(spot) == 1 and "ms each" in spot[0]["detail"] and spot[0]["count"] >= LOOKS_LEAST, spot)
    check(found["make_touched"] == 0, found, spot)
    check(found["make_left"] >= 0.95 * OBJECTS, found, spot)


def off():
    with Sandbox() as box:
        report = box.report(box.run("stale").pid)
        check(counts(report) == {"make_touched": 0, "make_left": 0}, counts(report))
        check(not staleness(report), report["blind_spots"])


def no_slabs():
    """Without pools there is nothing to look at."""
    with Sandbox() as box:
        process = box.start("stale", stdin=subprocess.PIPE, options={"STALE": "1s", "POOL": 0})
        time.sleep(1)
        process.communicate("", timeout=PATIENCE_S)
        report = box.report(process.pid)
        check(counts(report) == {"make_touched": 0, "make_left": 0}, counts(report))
        check([spot["count"] for spot in staleness(report)] == [0], report["blind_spots"])


main({"told_apart": told_apart, "off": off, "no_slabs": no_slabs})

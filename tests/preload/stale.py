"""stale.py CASE: POOLPROF_STALE: what was touched is never called stale, what was not is, nearly all of it."""
from driver import Sandbox, check, main, sites_of

OBJECTS = 6400


def counts(report):
    return {name: sum(site["stale_objects"] for site in sites_of(report, name))
            for name in ("make_touched", "make_left")}


def told_apart():
    with Sandbox() as box:
        done = box.run("stale", 70, options={"STALE": "1s", "POOL_HOT": 1})
        report = box.report(done.pid)
        found, spot = counts(report), [spot for spot in report["blind_spots"] if spot["what"] == "staleness"]
        check(len(spot) == 1 and "ms each" in spot[0]["detail"], spot)
        check(found["make_touched"] == 0, found, spot)
        check(spot[0]["count"] < 4 or found["make_left"] >= 0.95 * OBJECTS, found, spot) # else it hardly came to look


def off():
    with Sandbox() as box:
        report = box.report(box.run("stale", 1).pid)
        check(counts(report) == {"make_touched": 0, "make_left": 0}, counts(report))
        check(not [spot for spot in report["blind_spots"] if spot["what"] == "staleness"], report["blind_spots"])


main({"told_apart": told_apart, "off": off})

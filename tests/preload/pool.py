"""Pools under the preload: faults are found exactly, memory goes back, the report's figures are the program's."""
from driver import Sandbox, check, main, read_report

FAULTS = ("same_thread", "other_thread", "by_two_others", "here_after_there", "after_reuse", "interior", "by_realloc",
          "beyond")


def report_of(box, pid, track):
    """Without tracking there are no sites for the sums."""
    return read_report(box.profile_of(pid), whole=track == "exact")


def fault(name, track):
    with Sandbox() as box:
        done = box.run("pool_faults", name, options={"ON_ERROR": "report", "TRACK": track})
        check(done.returncode == 0 and done.out == "went on\n", name, "status", done.returncode, done.err)
        lines = [line for line in done.err.splitlines() if "no outstanding block" in line]
        wanted = 2 if name == "interior" else 1
        check(len(lines) == wanted, name, track, "reported", len(lines), "times:", done.err)
        check(track == "off" or "pool_faults" in done.err, "without the caller:", done.err)
        origins = 0 if track == "off" or name == "beyond" else wanted
        check(done.err.count("  it was allocated\n") == origins, name, track, "where it was allocated:", done.err)
        report = report_of(box, done.pid, track)
        check(report["errors"]["invalid_frees"] == wanted, name, report["errors"])
        check(report["totals"]["outstanding_objects"] < 20, name, report["totals"])


def faults():
    for name in FAULTS:
        for track in ("exact", "off"):
            fault(name, track)


def figures(case, *arguments, **options):
    with Sandbox() as box:
        done = box.run("pool_memory", case, *arguments, options=options)
        check(done.returncode == 0, "status", done.returncode, done.err)
        words = done.out.split()
        return int(words[1]), int(words[2])


def peak():
    """After a peak of 60 MB the memory is gone, though the program makes no further call."""
    most, left = figures("peak", TRACK="off")
    check(left < most * 0.1 + 2048, "peak of", most, "KiB, then", left)


def large():
    """48 MB of large blocks go back while nothing but small ones is asked for."""
    for track in ("exact", "off"):
        most, left = figures("large", TRACK=track, POOL_HOT="1")
        check(most > 40000 and left < most * 0.1 + 2048, track, "peak of", most, "KiB, then", left)


def unpooled():
    """48 MB of blocks too large for pools go back, though the program makes no further call."""
    for track in ("exact", "off"):
        for size in (3000, 5000, 65536, 300000, 2 << 20):
            most, left = figures("unpooled", str(size), TRACK=track)
            check(most > 40000 and left < 13 * 1024, track, size, "peak of", most, "KiB, then", left)


def threads():
    for track in ("exact", "off"):
        before, after = figures("threads", TRACK=track)
        check(after - before < 2048, track, "10,000 threads: from", before, "to", after, "KiB")


def hand_over():
    for track in ("exact", "off"):
        before, after = figures("hand_over", TRACK=track)
        check(after - before < 2048, track, "from", before, "to", after, "KiB")


def fragmentation():
    """100 blocks of one site keep as many slabs; those of the other are gone."""
    with Sandbox() as box:
        done = box.run("pool_memory", "pins")
        check(done.returncode == 0, "status", done.returncode, done.err)
        told = report_of(box, done.pid, "exact")["fragmentation"]
        pins = {pin["stack"][0]["function"]: pin for pin in told["pins"]}
        check("gone_soon" not in pins, sorted(pins))
        pin = pins["kept_for_ever"]
        check(90 <= pin["slabs"] <= 100 and pin["slabs"] <= told["sparse_slabs"] <= told["slabs"], told)
        check(pin["slabs"] <= pin["objects"] <= 100, pin)
        check(pin["unused_bytes"] > pin["slabs"] * 200 and told["unused_bytes"] >= pin["unused_bytes"], told)


def pool_of(report, size):
    found = [pool for pool in report["pools"] if pool["object_bytes"] == size]
    check(len(found) == 1 and found[0]["name"] == str(size) and found[0]["kind"] == "class", report["pools"])
    return found[0]


def own_count():
    for track in ("exact", "off"):
        with Sandbox() as box:
            done = box.run("pool_figures", options={"TRACK": track, "POOL_HOT": "1"})
            check(done.returncode == 0 and done.err == "", done.returncode, done.err)
            report = report_of(box, done.pid, track)
            pool = pool_of(report, 208)
            check(pool["served"] + pool["missed"] >= 15000 and pool["missed"] <= 2, pool)
            check(1999 <= pool["live"] <= 2001, pool)
            check(4970 <= pool["peak"] <= 5030 and pool["window_peak"] <= pool["peak"], pool)
            check(pool["live"] <= pool["capacity"] <= pool["live"] + 5000, pool)
            check(pool["grown"] > 0 and pool["efficiency"] > 99, pool)
            totals = report["totals"]
            check(totals["pool_allocations"] == sum(p["served"] for p in report["pools"]), totals)
            check(totals["pool_allocations"] + totals["backing_allocations"] == totals["allocations"], totals)


def switched_off():
    with Sandbox() as box:
        done = box.run("pool_figures", options={"POOL": "0"})
        report = box.report(done.pid)
        check(report["pools"] == [] and report["totals"]["pool_allocations"] == 0, report["pools"])
        check(report["totals"]["outstanding_objects"] >= 2000, report["totals"])


if __name__ == "__main__":
    main({"faults": faults, "peak": peak, "large": large, "unpooled": unpooled, "threads": threads,
          "hand_over": hand_over, "fragmentation": fragmentation, "own_count": own_count,
          "switched_off": switched_off})

"""POOLPROF_TRACK=sample:BYTES: estimates are unbiased, totals are TRACK=off's, records go with their blocks in
whatever way these go, and every report says that it estimates."""
import math
import re
import sqlite3
import subprocess

from expect import check_fact
from driver import PROGRAM, Sandbox, check, main, outstanding, read_report, sites_of

# What decides a block's chance: the slot's size of its class, or its own bytes.
SIZES = {"small": 32, "medium": 3000, "middle": 20000, "large": 100000, "zeroed": 128, "aligned": 4096,
         "moved": 5000, "in_place": 64, "object": 72}
SIGMAS = 5
RUNS = 8


def run(case, track, whole=True, status=0, program="sampled", **options):
    with Sandbox() as box:
        done = box.run(program, *([case] if case else []), options={"TRACK": track, **options})
        check(done.returncode == status, program, case, track, "status", done.returncode, done.err)
        report = read_report(box.profile_of(done.pid), whole)
        totals = report["totals"]
        check(totals["allocations"] - totals["frees"] == totals["outstanding_objects"], totals)
        return report


def spot(report, what):
    return next((s["count"] for s in report["blind_spots"] if s["what"] == what), 0)


def variance(count, size, mean):
    chance = -math.expm1(-size / mean)
    return count * (1 - chance) / chance


def check_near(seen, expected, squares, *what):
    """`squares`: variance of one run's estimate; one more for what rounding does."""
    bound = SIGMAS * math.sqrt(squares / RUNS) + 1
    check(abs(seen - expected) <= bound, *what, "average", seen, "should be", expected, "within", bound)


def averages(reports, name):
    pairs = [outstanding(report, name) for report in reports]
    return [sum(pair[i] for pair in pairs) / RUNS for i in (0, 1)]


def check_unbiased(exact, kilobytes):
    mean, in_all = kilobytes * 1024, 0
    reports = [run("mix", f"sample:{kilobytes}K") for _ in range(RUNS)]
    for name, size in SIZES.items():
        objects, total = outstanding(exact, name)
        check(objects > 0, name, "is not in the exact report")
        squares = variance(objects, size, mean)
        in_all += squares
        seen = averages(reports, name)
        check_near(seen[0], objects, squares, mean, name, "objects")
        check_near(seen[1], total, squares * (total / objects) ** 2, mean, name, "bytes")
    seen = sum(sum(site["objects"] for site in report["sites"]) for report in reports) / RUNS
    check_near(seen, exact["totals"]["outstanding_objects"], in_all, mean, "objects in all")
    return reports


def unbiased():
    exact = run("mix", "exact")
    reports = check_unbiased(exact, 16)
    check_unbiased(exact, 200)
    # Cumulative figures, where no site can be missing; rounding each sample up or down adds a quarter.
    for name in ("medium", "middle", "large", "aligned", "moved"):
        made = sum(site["allocations"] for site in sites_of(exact, name))
        seen = sum(sum(s["allocations"] for s in sites_of(report, name)) for report in reports) / RUNS
        check_near(seen, made, variance(made, SIZES[name], 16384) + made / 4, name, "allocations")
    temporary = exact["totals"]["temporary_allocations"]
    seen = sum(report["totals"]["temporary_allocations"] for report in reports) / RUNS
    check_near(seen, temporary, variance(temporary, 64, 16384), "temporary")


def totals():
    """To the last block what TRACK=off counts; a realloc that fails is in neither."""
    names = ("allocations", "frees", "bytes_allocated", "outstanding_objects", "outstanding_bytes",
             "pool_allocations", "backing_allocations")
    off = run("totals", "off", whole=False)["totals"]
    for track in ("sample:1K", "sample:64K", "sample:1T"):
        seen = run("totals", track)["totals"]
        check([seen[name] for name in names] == [off[name] for name in names], track, seen, "but off", off)
    exact = run("totals", "exact")["totals"]
    for name in ("allocations", "frees", "outstanding_objects"):
        check(exact[name] == off[name], name, exact, off)


def nothing():
    """Where nothing is sampled there is no record and no stack."""
    report, off = run("few", "sample:1T"), run("few", "off", whole=False)
    check(report["sites"] == [] and spot(report, "sampling") == 0, report["sites"])
    check(report["overhead"]["tracker_bytes"] == off["overhead"]["tracker_bytes"], report["overhead"], off["overhead"])
    check(off["sampling"] is None and report["sampling"] == {"bytes": 1 << 40, "estimates": True}, report["sampling"])
    check(report["leaks"]["scan"] == "off: sample mode", report["leaks"])


def check_none(report):
    for name in SIZES:
        check(outstanding(report, name) == (0, 0), name, "holds", outstanding(report, name))
    check(report["errors"] == {"invalid_frees": 0, "mismatched_frees": 0, "misuses": 0}, report["errors"])


def gone():
    """Freed by other threads, after their thread, by return_all."""
    check_none(run("gone", "sample:1K"))
    check_none(run("gone", "sample:64K"))
    check_none(run("gone", "sample:1K", POOL=0))


def storm():
    report = run("storm", "sample:1K")
    check_none(report)
    print("nested calls:", spot(report, "nested_calls"))


def forks():
    for children in ("exec", "all"):
        with Sandbox() as box:
            done = box.run("sampled", "forks", options={"TRACK": "sample:1K", "CHILDREN": children})
            check(done.returncode == 0 and done.err == "", children, done.returncode, done.err)
            box.profile_of(done.pid)
            check(len(box.profiles()) == (2 if children == "all" else 1), box.profiles())
            for profile in box.profiles():
                check_none(read_report(box.path(profile), whole=False))


def bound():
    """No room for records: served, counted, and said."""
    report = run("mix", "sample:1K", whole=False, TRACKER_MAX="1M", LOG_LEVEL="error")
    check(spot(report, "dropped_records") > 0, report["blind_spots"])


def loaded():
    """Code that comes and goes at the same addresses: each stack has the names of its own time."""
    for _ in range(3):
        with Sandbox() as box:
            report = box.report(box.run("dlopen", options={"TRACK": "sample:1K"}).pid)
            with open(box.path("expect"), encoding="utf-8") as file:
                stacks = [line.strip() for line in file if line.startswith("stack ")]
            check(len(stacks) == 2, stacks)
            for line in stacks:
                check_fact(report, line)


def budget():
    """A tag's figures are estimates, and an alert of its budget says so."""
    with Sandbox() as box:
        done = box.run("tags", "budget", options={"TRACK": "sample:4K", "BUDGET": "cache=1M", "SAMPLE_MIN": "20ms",
                                                  "SAMPLE_MAX": "50ms"})
        report = box.report(done.pid)
        check(re.search(r"tag cache .* \(an estimate\)", done.err), done.err)
        raised = [alert for alert in report["alerts"] if alert["rule"] == "budget"][0]
        peak = next(tag["peak_bytes"] for tag in report["tags"] if tag["name"] == "cache")
        for seen in (raised["value"], peak): # 64 blocks of 100,000 bytes: all but surely sampled, each for one
            check(abs(seen - 6400000) <= 1000, report["alerts"], report["tags"])


def others():
    """Programs with a lot of odd ways, nearly all of whose blocks are sampled."""
    for program, case in (("stress", "15000"), ("signals", ""), ("fork_storm", ""), ("dlopen", ""), ("threads", ""),
                          ("semantics", ""), ("exceptions", ""), ("totals_new", "100"), ("coroutines", ""),
                          ("named", "signals"), ("named", "shared"), ("named", "forks"), ("tags", "")):
        report = run(case, "sample:1K", whole=False, program=program)
        check(report["errors"]["mismatched_frees"] == 0, program, report["errors"])


def said():
    """Text, JSON, profile and the report without a watcher; a profile of this kind says so again."""
    with Sandbox() as box:
        done = box.run("sampled", "mix", options={"TRACK": "sample:64K", "REPORT": "text"})
        profile = box.profile_of(done.pid)
        again = subprocess.run([PROGRAM, "report", profile], capture_output=True, text=True, check=True).stdout
        with sqlite3.connect(profile) as database:
            row = database.execute("SELECT value FROM meta WHERE key = 'sampling_bytes'").fetchone()
        check(row == (65536,), row)
        alone = box.run("sampled", "mix", options={"TRACK": "sample:64K", "REPORT": "text", "WATCH": 0}).err
        for text in (done.err, again, alone):
            for words in ("sampled (POOLPROF_TRACK)", "about ", "estimates"):
                check(words in text, words, "not in", text)


if __name__ == "__main__":
    main({"unbiased": unbiased, "totals": totals, "nothing": nothing, "gone": gone, "storm": storm, "forks": forks,
          "bound": bound, "loaded": loaded, "budget": budget, "others": others, "said": said})

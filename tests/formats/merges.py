"""poolprof merge: sums, what is the same code, and what stays readable."""
import json
import os
import shutil
import sqlite3
import subprocess

from changes import diff_of, rewritten
from common import (GAME, PROGRAMS, check, complains, folded_of, leaky, made, poolprof, profile_of, reported, rows_of,
                    stack_of)
from driver import Sandbox, main

SUMMED = ("objects", "bytes", "allocations", "bytes_allocated", "stale_objects", "retained_bytes", "suspect_objects", "suspect_bytes")


def merged(box, name, *profiles):
    path = box.path(name)
    poolprof("merge", "-o", path, *profiles)
    return path


def totals_add_up(result, reports):
    for name, value in result["totals"].items():
        check(value == sum(report["totals"][name] for report in reports), name, value)
    for name, value in result["leaks"].items():
        check(name in ("scan", "since_s") or value == sum(report["leaks"][name] for report in reports), name, value)
    for name in SUMMED:
        total = sum(site[name] for report in reports for site in report["sites"])
        check(sum(site[name] for site in result["sites"]) == total, name)
    check(result["overhead"]["tracker_bytes"] == sum(report["overhead"]["tracker_bytes"] for report in reports),
          result["overhead"])
    check(result["peak"]["bytes"] == sum(report["peak"]["bytes"] for report in reports), result["peak"]["bytes"])
    pools_add_up(result, reports)


def pools_add_up(result, reports):
    for name in ("capacity", "live", "peak", "served", "missed", "grown", "shrunk"):
        total = sum(pool[name] for report in reports for pool in report["pools"])
        check(sum(pool[name] for pool in result["pools"]) == total, "pools:", name)
    names = [(pool["name"], pool["kind"]) for pool in result["pools"]]
    check(len(names) == len(set(names)), names)
    for name in ("objects", "bytes", "peak_bytes"):
        total = sum(tag[name] for report in reports for tag in report["tags"])
        check(sum(tag[name] for tag in result["tags"]) == total, "tags:", name)


def rows(profile, query):
    with sqlite3.connect(f"file:{profile}?immutable=1", uri=True) as database:
        return database.execute(query).fetchall()


AGES = "SELECT bucket, sum(objects), sum(bytes) FROM ages GROUP BY bucket ORDER BY bucket"


def doubled():
    """A profile with itself: the same sites, every figure twice."""
    with Sandbox() as box:
        for profile in [*made(box), profile_of(box, GAME, "--frames", "50", "--leak", "all")]:
            path = merged(box, "two-" + os.path.basename(profile), profile, profile)
            one, two = reported(profile), reported(path)
            totals_add_up(two, [one, one])
            ages = [(bucket, 2 * objects, 2 * size) for bucket, objects, size in rows(profile, AGES)]
            check(rows(path, AGES) == ages, "ages:", rows(path, AGES), ages)
            check(len(two["children"]) == 2 * max(1, bool(one["process"]["pid"])), two["children"])
            check(two["process"]["pid"] == 0, two["process"])
            for form in ("csv", "folded", "text"):
                reported(path, form)


def once():
    """One profile alone stays what it is, site by site."""
    with Sandbox() as box:
        for profile in [leaky(box, 1), profile_of(box, GAME, "--frames", "50", "--leak", "all")]:
            path = merged(box, "one-" + os.path.basename(profile), profile)
            check(rows_of(path) == rows_of(profile), "sites differ:", profile)
            check(sorted(folded_of(path)) == sorted(folded_of(profile)), "stacks differ")
            check(diff_of(profile, path)["sites"] == [], "diff sees a difference")
            report = reported(path)
            check(report["process"]["exe"] == reported(profile)["process"]["exe"], report["process"])
            child, = report["children"]
            check(child["profile"] == profile and child["pid"] == reported(profile)["process"]["pid"], child)


def mixed():
    """Runs of a program and of others: what is one stack in all is one site."""
    with Sandbox() as box:
        runs = [leaky(box, 1), leaky(box, 1), leaky(box, 2), profile_of(box, GAME, "--frames", "20", "--leak", "all")]
        path = merged(box, "fleet.poolprof", *runs)
        reports, result = [reported(run) for run in runs], reported(path)
        totals_add_up(result, reports)
        distinct = {(site["kind"], site["tag"], stack_of(site)) for report in (reports[0], reports[2], reports[3]) for site in report["sites"]}
        check(len(result["sites"]) <= len(distinct) < sum(len(report["sites"]) for report in reports), len(distinct))
        check([child["pid"] for child in result["children"]] == [r["process"]["pid"] for r in reports], "children")
        check(result["process"]["exe"] == "", result["process"])
        started = min(report["process"]["started"] for report in reports)
        check(result["process"]["started"] == started and result["process"]["end"] == "unknown", result["process"])
        text = reported(path, "text")
        check("in 4 processes of different programs, over" in text.splitlines()[0], text.splitlines()[0])
        for form in ("csv", "folded", "pprof"):
            check(poolprof("report", path, "--format", form).stdout, form)


def again():
    """Merging in two steps is merging in one."""
    with Sandbox() as box:
        runs = [leaky(box, 1), leaky(box, 2), leaky(box, 1)]
        steps = merged(box, "b.poolprof", merged(box, "a.poolprof", *runs[:2]), runs[2])
        at_once = merged(box, "c.poolprof", *runs)
        left, right = reported(steps), reported(at_once)
        for key in ("totals", "leaks", "pools", "tags", "children"):
            check(left[key] == right[key], key, left[key], right[key])
        by_name = [sorted(map(str, rows_of(path))) for path in (steps, at_once)]
        check(by_name[0] == by_name[1], [pair for pair in zip(*by_name) if pair[0] != pair[1]])


def names():
    """One with names and one without are the same code by build-id; the names are shown, in any order. Without
    build-ids, names tell."""
    with Sandbox() as box:
        full = leaky(box, 1)
        bare = rewritten(box, full, "bare", "UPDATE frames SET function = NULL, file = NULL, line = NULL",
                         "DELETE FROM frames WHERE 0")
        for pair in ((full, bare), (bare, full)):
            path = merged(box, f"m{pair.index(full)}.poolprof", *pair)
            found, wanted = rows_of(path), rows_of(full)
            check([row["stack"] for row in found] == [row["stack"] for row in wanted], found)
            check([int(row["bytes"]) for row in found] == [2 * int(row["bytes"]) for row in wanted], found)
        moved = [rewritten(box, full, f"moved{i}", "UPDATE modules SET build_id = ''",
                           f"UPDATE frames SET address = address + {i}") for i in (1, 2)]
        found = rows_of(merged(box, "moved.poolprof", *moved))
        check(len(found) == len(rows_of(full)), len(found), "sites")


def refused():
    """An existing file stays; what cannot be read is named; nothing is left behind."""
    with Sandbox() as box:
        profile, out = leaky(box, 1), box.path("out.poolprof")
        for arguments in ((), (profile,), ("-o", out), ("-o",), ("--nothing", profile)):
            complains(2, "merge", *arguments)
        complains(3, "merge", "-o", out, profile, "/nowhere")
        complains(3, "merge", "-o", "/nowhere/x", profile)
        check(not os.path.exists(out), "half a profile")
        with open(out, "w", encoding="ascii") as file:
            file.write("mine")
        check("exists" in complains(2, "merge", "-o", out, profile), "not told why")
        check("exists" in complains(2, "merge", "-o", profile, profile), "not told why")
        with open(out, encoding="ascii") as file:
            check(file.read() == "mine", "replaced")
        left = [name for name in os.listdir(box.directory) if "tmp" in name or name.endswith(".2")]
        check(left == [], left)
        check(b"-o, --output" in poolprof("merge", "--help").stdout, "--help")


if __name__ == "__main__":
    main({f.__name__: f for f in (doubled, once, mixed, again, names, refused)})

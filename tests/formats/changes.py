"""poolprof diff: what it matches, what it says, how it ends."""
import json
import os
import shutil
import sqlite3
import subprocess

from common import (GAME, PROGRAMS, check, complains, folded_of, label, leaky, made, poolprof, profile_of, reported)
from driver import Sandbox, main

CHANGES = {"same": "same", "grown": "grown", "shrunk": "shrunk", "gone": "gone", "new": "added"}


def diff_of(before, after, *more, status=0):
    return json.loads(poolprof("diff", before, after, "--format", "json", *more, status=status).stdout)


def consistent(diff, before, after):
    """The totals are the reports', and the sites' growths add up to the difference of all sites."""
    a, b = reported(before), reported(after)
    total = diff["total"]
    if total["measure"] == "outstanding":
        for what in ("objects", "bytes"):
            check(total[what + "_before"] == a["totals"]["outstanding_" + what], what, total)
            check(total[what + "_after"] == b["totals"]["outstanding_" + what], what, total)
    for what in ("objects", "bytes"):
        growth = sum(site[what] for site in b["sites"]) - sum(site[what] for site in a["sites"])
        check(sum(site[what + "_growth"] for site in diff["sites"]) == growth, what, growth, diff["sites"])
    for site in diff["sites"] + [total]:
        for what in ("objects", "bytes"):
            check(site[what + "_growth"] == site[what + "_after"] - site[what + "_before"], site)
    changed = sum(diff["counts"][name] for name in ("new", "gone", "grown", "shrunk"))
    check(len(diff["sites"]) == changed, len(diff["sites"]), diff["counts"])
    order = [(site["change"] in ("gone", "shrunk"), -abs(site["bytes_growth"])) for site in diff["sites"]]
    check(order == sorted(order), "order:", order)


def rebuilt():
    """Other addresses and lines, the same names: each function's change is told."""
    with Sandbox() as box:
        before, after = leaky(box, 1), leaky(box, 2)
        diff = diff_of(before, after)
        consistent(diff, before, after)
        for site in diff["sites"]:
            names = [label(frame) for frame in site["stack"]]
            check(names[1] == CHANGES[site["change"]] and names[0] == "leave", names, site["change"])
        by_change = {site["change"]: site for site in diff["sites"]}
        check(len(by_change) == 4 and len(diff["sites"]) == 4, diff["sites"])
        check(by_change["grown"]["bytes_growth"] == 1000 and by_change["grown"]["objects_growth"] == 10, diff)
        check(by_change["shrunk"]["bytes_growth"] == -750 and by_change["new"]["bytes_after"] == 36, diff)
        check(by_change["gone"]["bytes_before"] == 21 and by_change["gone"]["bytes_after"] == 0, diff)
        text = poolprof("diff", before, after).stdout.decode()
        check("memory grew by 265 bytes" in text.splitlines()[0], text)
        check("sites   1 new, 1 gone, 1 grown, 1 shrunk" in text, text)
        for words in ("grown +1000 bytes, +10 objects", "gone -21 bytes, -3 objects", "new +36 bytes, +4 objects"):
            check(words in text, words, "is not in", text)
        check(text.count("leave") == 4, text)
        shown = poolprof("diff", before, after, "--top", "1").stdout.decode()
        check("3 more that changed" in shown and shown.count("leave") == 1, shown)
        check(len(diff_of(before, after, "--top", "2")["sites"]) == 2, "--top")


def check_growth():
    with Sandbox() as box:
        before, after = leaky(box, 1), leaky(box, 2)
        growth = diff_of(before, after)["total"]["bytes_growth"]
        check(growth > 0, growth)
        for limit, status in ((None, 1), (0, 1), (growth - 1, 1), (growth, 0), ("1K", 0), ("1T", 0)):
            more = () if limit is None else ("--max-growth", limit)
            done = poolprof("diff", before, after, "--check", *more, status=status)
            told = f"grew by {growth} bytes" in done.stderr and done.stderr.count("\n") == 1
            check(told if status else done.stderr == "", limit, done.stderr)
            diff_of(before, after, "--check", *more, status=status)
        poolprof("diff", after, before, "--check")
        poolprof("diff", before, before, "--check", "--max-growth", "0")


def usage():
    with Sandbox() as box:
        profile = leaky(box, 1)
        for arguments in ((), (profile,), (profile, profile, profile), (profile, profile, "--format", "csv"),
                          (profile, profile, "--nothing"), (profile, profile, "--top", "x"),
                          (profile, profile, "--max-growth", "1K"), (profile, profile, "--top"),
                          *((profile, profile, "--check", "--max-growth", bad) for bad in
                            ("", "-1", "1.5K", "1KB", "K", "20000000T", "99999999999999999999999"))):
            complains(2, "diff", *arguments)
        check(b"--max-growth" in poolprof("diff", "--help").stdout, "--help")


def unreadable():
    with Sandbox() as box:
        profile = leaky(box, 1)
        other = box.path("other.poolprof")
        with open(other, "w", encoding="ascii") as file:
            file.write("SQLite format 3 it is not")
        for pair in ((profile, "/nowhere"), ("/nowhere", profile), (profile, other), (box.directory, profile)):
            complains(3, "diff", *pair)


def stripped():
    """Without names, addresses: the same binary's match, and nothing else does."""
    with Sandbox() as box:
        bare = box.path("bare")
        shutil.copy(os.path.join(PROGRAMS, "leaky1"), bare)
        subprocess.run(["strip", bare], check=True)
        one, two = profile_of(box, bare), profile_of(box, bare)
        check(any(frame["function"] is None for site in reported(one)["sites"] for frame in site["stack"]), "names")
        diff = diff_of(one, two)
        check(diff["sites"] == [] and diff["counts"]["same"] >= 4, diff["counts"])


def itself():
    """Nothing changed, in all sorts of profiles; and between any two the sums hold."""
    with Sandbox() as box:
        profiles = [*made(box), profile_of(box, GAME, "--frames", "50", "--leak", "all")]
        for profile in profiles:
            diff = diff_of(profile, profile, "--check")
            check(diff["sites"] == [] and diff["total"]["bytes_growth"] == 0, profile, diff)
            text = poolprof("diff", profile, profile).stdout.decode()
            check("memory did not change, from" in text, text)
        for before, after in zip(profiles, profiles[1:]):
            consistent(diff_of(before, after, status=0), before, after)


def rewritten(box, profile, name, *statements):
    copy = box.path(name + ".poolprof")
    shutil.copy(profile, copy)
    database = sqlite3.connect(copy)
    for statement in statements:
        database.execute(statement)
    database.commit()
    database.close()
    return copy


def scanned():
    """Where both were scanned, lost memory counts; where one was, kinds say nothing."""
    with Sandbox() as box:
        base = rewritten(box, leaky(box, 1), "base", "UPDATE processes SET scan = 'off: x'",
                         "UPDATE sites SET kind = 'outstanding'")
        clean = rewritten(box, base, "clean", "UPDATE processes SET scan = 'done'",
                          "UPDATE sites SET kind = 'reachable'")
        leaking = rewritten(box, clean, "leaking", "UPDATE sites SET kind = 'lost' WHERE id = 1",
                            "UPDATE sites SET kind = 'indirect' WHERE id = 2")
        lost = sum(site["bytes"] for site in reported(leaking)["sites"] if site["kind"] in ("lost", "indirect"))
        total = diff_of(clean, leaking, "--check", status=1)["total"]
        check(total["measure"] == "lost" and total["bytes_growth"] == lost > 0, total, lost)
        poolprof("diff", clean, leaking, "--check", "--max-growth", lost)
        kinds = {(site["change"], site["kind"]) for site in diff_of(clean, leaking)["sites"]}
        check(kinds == {("new", "lost"), ("new", "indirect"), ("gone", "reachable")}, kinds)
        for before, after in ((base, leaking), (leaking, base)):
            diff = diff_of(before, after, "--check")
            check(diff["sites"] == [] and diff["total"]["measure"] == "outstanding", diff)


def hostile():
    """No name commands the terminal or breaks the JSON."""
    with Sandbox() as box:
        profiles = {os.path.basename(path): path for path in made(box)}
        for name in ("hostile.poolprof", "random1.poolprof", "annotated.poolprof"):
            for pair in ((profiles["empty.poolprof"], profiles[name]), (profiles[name], profiles["empty.poolprof"])):
                text = poolprof("diff", *pair, "--top", "0").stdout.decode()
                check(not any(c < " " and c != "\n" or "\x7f" <= c <= "\x9f" for c in text), repr(text))
                consistent(diff_of(*pair), *pair)
                check(folded_of(pair[0]) is not None, "folded")


if __name__ == "__main__":
    main({"rebuilt": rebuilt, "check": check_growth, "usage": usage, "unreadable": unreadable, "stripped": stripped,
          "itself": itself, "scanned": scanned, "hostile": hostile})

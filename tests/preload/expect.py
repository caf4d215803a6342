"""expect.py PROGRAM: runs a test program and checks its profile against the facts it told (expect.h).

Facts: `site function=F ...` with any of objects, bytes, allocations, allocated (sums over the sites),
caller, line, file (which sites), oldest_min/max, newest_min/max (seconds), thread, truncated, frames
(each site); `none function=F`; `stack function=F names=a,b*,c` (shell patterns) for every site of F.
"""
import fnmatch
import sys

from driver import Failure, Sandbox, check, main, name_of, sites_of

SUMS = {"objects": "objects", "bytes": "bytes", "allocations": "allocations", "allocated": "bytes_allocated"}


def parse(line):
    kind, _, rest = line.partition(" ")
    return kind, dict(word.split("=") for word in rest.split())


def check_site(report, facts):
    sites = sites_of(report, **{k: v for k, v in facts.items() if k in ("function", "caller", "line", "file")})
    seen = {"objects": 0}
    for key, field in SUMS.items():
        if key in facts:
            seen[key] = sum(site[field] for site in sites)
            check(seen[key] == int(facts[key]), facts, "but", key, "=", seen[key], [s["stack"][:3] for s in sites][:3])
    check(sites, facts, "no such site")
    oldest, newest = max(s["oldest_s"] for s in sites), min(s["newest_s"] for s in sites)
    check(float(facts.get("oldest_min", 0)) <= oldest <= float(facts.get("oldest_max", 1e9)), facts, oldest)
    check(float(facts.get("newest_min", 0)) <= newest <= float(facts.get("newest_max", 1e9)), facts, newest)
    for site in sites:
        if "thread" in facts:
            check(site["thread"] == facts["thread"], facts, "but thread is", site["thread"])
        if "truncated" in facts:
            check(site["truncated"] == bool(int(facts["truncated"])), facts, "but truncated is", site["truncated"])
        if "frames" in facts:
            check(len(site["stack"]) == int(facts["frames"]), facts, "but frames:", len(site["stack"]))


def check_stack(report, facts):
    sites = sites_of(report, facts["function"])
    check(sites, facts, "no such site")
    patterns = facts["names"].split(",")
    for site in sites:
        names = [name_of(frame) for frame in site["stack"]]
        same = len(names) >= len(patterns) and all(map(fnmatch.fnmatchcase, names, patterns))
        check(same, "stack is", names[:len(patterns) + 3], "should begin with", patterns)


def check_fact(report, line):
    kind, facts = parse(line)
    if kind == "site":
        check_site(report, facts)
    elif kind == "none":
        sites = sites_of(report, facts["function"])
        check(not sites, facts, "but there is", sites[:1])
    elif kind == "stack":
        check_stack(report, facts)
    else:
        raise Failure(f"what is this fact? {line}")


def check_facts(box, pid, program):
    """All that the program told holds in its profile."""
    report = box.report(pid, program)
    check(report["process"]["end"] == "exit" and report["process"]["status"] == 0, report["process"])
    with open(box.path("expect"), encoding="utf-8") as file:
        lines = file.read().splitlines()
    check(lines, "the program told nothing")
    problems = []
    for line in lines:
        try:
            check_fact(report, line)
        except Failure as failure:
            problems.append(str(failure))
    check(not problems, f"{len(problems)} of {len(lines)} facts wrong:\n  " + "\n  ".join(problems))


def run(program):
    with Sandbox() as box:
        done = box.run(program)
        check(done.returncode == 0, "status", done.returncode, done.err)
        check(done.err == "", "words on stderr:", done.err)
        check(done.out == "", "words on stdout:", done.out)
        check_facts(box, done.pid, program)


if __name__ == "__main__":
    name = sys.argv.pop(1)
    main({name: lambda: run(name)})

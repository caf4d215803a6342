"""names.py: the JSON report of a real run has every key of the public format (report_keys.txt), numbers are
numbers, words are from their lists. A run with samples and alerts, one with a child; needs the preload driver."""
import os
import re
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../preload"))
from driver import PROGRAMS, SHELL, Sandbox, check, main  # noqa: E402

KINDS = ("lost", "indirect", "possible", "reachable", "suppressed", "outstanding")
BLIND = ("dropped_records", "unprofiled_children", "foreign_heap", "missing_symbols", "segment_degraded",
         "truncated_stacks", "thread_registers", "suppressions", "sampling", "staleness", "paused", "unprofiled_images")


def elements(report, path):
    """All objects that a path of report_keys.txt names."""
    found = [report]
    for step in filter(None, path.split(".")):
        name = step.rstrip("[]")
        found = [item[name] for item in found if item[name] is not None]
        if step.endswith("[]"):
            found = [element for item in found for element in item]
    return found


def check_keys(report, must_have):
    with open(os.path.join(HERE, "report_keys.txt"), encoding="utf-8") as file:
        rows = [line.strip() for line in file if line.strip() and not line.startswith("#")]
    for row in rows:
        path, _, keys = row.partition(":")
        found = elements(report, path)
        check(found or path not in must_have, "no", path, "in the report")
        for item in found:
            missing = [key for key in keys.split() if key not in item]
            check(not missing, path or "top", "lacks", missing)


def check_values(report):
    for name, value in report["totals"].items():
        check(isinstance(value, int) and value >= 0, "totals", name, value)
    process = report["process"]
    check(isinstance(process["argv"], list) and isinstance(process["pid"], int), process)
    rfc3339 = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"
    check(re.fullmatch(rfc3339, process["started"]), process["started"])
    check(re.fullmatch(r"exit|_exit|quick_exit|signal:\d+|exec|running|unknown", process["end"]), process["end"])
    check(re.fullmatch(r"done|(off|failed): .+", report["leaks"]["scan"]), report["leaks"]["scan"])
    for site in report["sites"]:
        check(site["kind"] in KINDS, site["kind"])
        for frame in site["stack"]:
            check(isinstance(frame["line"], int) and isinstance(frame["inlined"], bool), frame)
            check(re.fullmatch(r"0x[0-9a-f]+", frame["address"]), frame["address"])
    for spot in report["blind_spots"]:
        check(spot["what"] in BLIND, spot)


def single():
    with Sandbox() as box:
        process = box.start("hello", "wait", stdin=-1, options={
            "MEM_WARN": "1M", "SAMPLE_MIN": "50ms", "SAMPLE_MAX": "50ms", "LOG": "/dev/null"})
        process.stdout.readline()
        time.sleep(0.5)
        process.communicate("go\n")
        report = box.report(process.pid)
        check_keys(report, ("sites[]", "sites[].stack[]", "samples[]", "alerts[]"))
        check_values(report)


def sampled():
    with Sandbox() as box:
        report = box.report(box.run("hello", options={"TRACK": "sample:1K"}).pid)
        check_keys(report, ("sampling",))
        check_values(report)
        check(report["sampling"] == {"bytes": 1024, "estimates": True}, report["sampling"])
        check("sampling" in [spot["what"] for spot in report["blind_spots"]], report["blind_spots"])


def family():
    with Sandbox() as box:
        done = box.run("/bin/sh", "-c", f"{PROGRAMS}/hello; exit 0")
        report = box.report(done.pid, SHELL)
        check_keys(report, ("children[]",))
        child = report["children"][0]
        check(child["end"] == "exit" and child["status"] == 5 and child["exe"].endswith("hello"), child)
        check(child["pid"] != done.pid and os.path.basename(child["profile"]) in box.profiles(), child)


if __name__ == "__main__":
    main({"single": single, "sampled": sampled, "family": family})

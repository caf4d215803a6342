"""Alerts on resident memory in the event stream: raised, repeated with growing pauses, resolved once; also
while the program is stopped; and in the report."""
import json
import os
import signal
import subprocess
import time

from driver import BARE, PROGRAM, Sandbox, check, main, name_of

OPTIONS = {"MEM_WARN": "30M", "MEM_CRITICAL": "50M", "SAMPLE_MIN": "50ms", "SAMPLE_MAX": "100ms",
           "ALERT_BACKOFF_MIN": "200ms", "ALERT_BACKOFF_MAX": "400ms", "LOG": "/dev/null"}


class Events:
    def __init__(self, path):
        self.path = path

    def rows(self, kind="alert"):
        if not os.path.exists(self.path):
            return []
        with open(self.path, encoding="utf-8") as file:
            lines = file.read().split("\n")[:-1]
        return [row for row in map(json.loads, lines) if row["type"] == kind]

    def states(self, rule):
        return [row["state"] for row in self.rows() if row["rule"] == rule]

    def wait(self, condition, what, seconds=10):
        deadline = time.monotonic() + (0.3 if BARE else seconds)
        while not condition():
            check(time.monotonic() < deadline, "never:", what, "alerts:", [
                (r["rule"], r["state"]) for r in self.rows()])
            time.sleep(0.02)


def command(process, word):
    process.stdin.write(word + "\n")
    process.stdin.flush()
    check(process.stdout.readline() == "done\n", word)


def begin(box):
    process = box.start("grow", options={**OPTIONS, "EVENTS": box.path("events.%p")}, stdin=-1)
    check(process.stdout.readline() == "ready\n", "did not start")
    return process, Events(box.path(f"events.{process.pid}"))


def life():
    with Sandbox() as box:
        process, events = begin(box)
        events.wait(lambda: len(events.rows("sample")) >= 3, "samples")
        check(not events.rows(), "alerts too early:", events.rows())
        command(process, "grow")
        for rule in ("mem_warn", "mem_critical"):
            events.wait(lambda: "raised" in events.states(rule), rule + " raised")
            events.wait(lambda: events.states(rule).count("repeated") >= 2, rule + " repeated")
        command(process, "shrink")
        for rule in ("mem_critical", "mem_warn"):
            events.wait(lambda: events.states(rule)[-1] == "resolved", rule + " resolved")
        time.sleep(0.6)
        command(process, "grow")
        events.wait(lambda: events.states("mem_critical")[-1] != "resolved", "raised again")
        process.communicate("quit\n")
        check(process.returncode == 0, "status", process.returncode)
        check_rows(events, process.pid)
        check_report(box.report(process.pid))


def check_rows(events, pid):
    for rule, level, threshold in (("mem_warn", "warn", 30 << 20), ("mem_critical", "critical", 50 << 20)):
        rows = [row for row in events.rows() if row["rule"] == rule]
        previous = None
        for row in rows:
            check(row["pid"] == pid and row["level"] == level and row["threshold"] == threshold, row)
            check(row["t"][4] == "-" and "T" in row["t"], "t is RFC 3339:", row["t"])
            check((row["value"] >= threshold) == (row["state"] != "resolved"), row)
            allowed = {None: ["raised"], "raised": ["repeated", "resolved"], "repeated": ["repeated", "resolved"],
                       "resolved": ["raised"]}
            check(row["state"] in allowed[previous], rule, previous, "then", row["state"])
            previous = row["state"]
    for row in events.rows("sample"):
        check(row["pid"] == pid and row["rss_bytes"] > 0 and row["objects"] >= 0 and row["interval_s"] > 0, row)
    check(max(row["rss_bytes"] for row in events.rows("sample")) > 60000000, "rss")
    check(max(row["heap_bytes"] for row in events.rows("sample")) > 60000000, "heap")


def check_report(report):
    states = [alert["state"] for alert in report["alerts"] if alert["rule"] == "mem_critical"]
    check(states.count("raised") >= 2 and states.count("resolved") >= 1, "report's alerts:", states)
    kept = report["snapshots"]
    check(1 <= len(kept) <= 3, "snapshots:", kept)
    for moment in kept:
        place = name_of(moment["sites"][0]["stack"][0])
        check(moment["rss_bytes"] > 50 << 20 and place == "main", moment)
        check(moment["sites"][0]["bytes"] == moment["bytes"] - sum(s["bytes"] for s in moment["sites"][1:]), moment)
    check(len(report["samples"]) >= 5, "samples in the report:", len(report["samples"]))
    times = [sample["t_s"] for sample in report["samples"]]
    check(times == sorted(times), "samples out of order")


def stopped():
    """The program is stopped as a whole: alerts go on."""
    with Sandbox() as box:
        process, events = begin(box)
        command(process, "grow")
        events.wait(lambda: "raised" in events.states("mem_critical"), "raised")
        process.send_signal(signal.SIGSTOP)
        try:
            before = events.states("mem_critical").count("repeated")
            events.wait(lambda: events.states("mem_critical").count("repeated") >= before + 3, "repeats while stopped")
        finally:
            process.send_signal(signal.SIGCONT)
        process.communicate("quit\n")
        check(process.returncode == 0, "status", process.returncode)


def backoff():
    """The pause doubles from ALERT_BACKOFF_MIN to ALERT_BACKOFF_MAX."""
    with Sandbox() as box:
        process = box.start("grow", stdin=-1, options={
            **OPTIONS, "ALERT_BACKOFF_MIN": "250ms", "ALERT_BACKOFF_MAX": "1s", "EVENTS": box.path("events.%p")})
        check(process.stdout.readline() == "ready\n", "did not start")
        events = Events(box.path(f"events.{process.pid}"))
        command(process, "grow")
        events.wait(lambda: events.states("mem_warn").count("repeated") >= 4, "4 repeats")
        process.communicate("quit\n")
        next_s = [row["next_s"] for row in events.rows() if row["rule"] == "mem_warn"][:5]
        check(next_s == [0.25, 0.5, 1.0, 1.0, 1.0], "pauses:", next_s)


def efficiency():
    """A pool that cannot serve; its alert ends when it can again, also where most of its life was bad."""
    with Sandbox() as box:
        process = box.start("grow", stdin=-1, options={
            **OPTIONS, "POOL_HOT": 15000, "EVENTS": box.path("events.%p"), "ALERT_BACKOFF_MIN": "60s"})
        check(process.stdout.readline() == "ready\n", "did not start")
        events = Events(box.path(f"events.{process.pid}"))
        for _ in range(2): # the first of them is the cold start
            command(process, "many")
            time.sleep(0.3)
        events.wait(lambda: "raised" in events.states("pool_efficiency"), "raised")
        command(process, "many")
        events.wait(lambda: events.states("pool_efficiency") == ["raised", "resolved"], "resolved")
        process.communicate("quit\n")
        row = [row for row in events.rows() if row["rule"] == "pool_efficiency"][0]
        check(row["subject"] == "64" and row["threshold"] == 90 and row["value"] <= 60, row)


def growth():
    """A site that leaks is told of while it does, with its rate; and in the report."""
    with Sandbox() as box:
        process = box.start("grow", stdin=-1, options={**OPTIONS, "LEAK_AGE": "300ms", "ALERT_BACKOFF_MIN": "60s",
                                                       "EVENTS": box.path("events.%p")})
        check(process.stdout.readline() == "ready\n", "did not start")
        events = Events(box.path(f"events.{process.pid}"))
        begun, rounds, deadline = time.monotonic(), 0, time.monotonic() + 20
        while not (events.states("growth") and events.states("leak_age")):
            command(process, "leak")
            rounds += 1
            time.sleep(0.03)
            check(time.monotonic() < deadline, "never raised:", events.rows())
        rate = rounds * 50000 / (time.monotonic() - begun)
        words = [PROGRAM, "report", str(process.pid), "--format", "json"]
        live = json.loads(subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout)["sites"]
        live = [site for site in live if site["growth"]]
        check({name_of(site["stack"][0]) for site in live} == {"make_leak"}, "report of the running process", live)
        process.communicate("quit\n")
        for rule in ("growth", "leak_age"):
            row = [row for row in events.rows() if row["rule"] == rule][0]
            check(row["state"] == "raised" and row["subject"].startswith("make_leak (grow.c:"), row)
        grown = [row for row in events.rows() if row["rule"] == "growth"][0]["value"]
        check(rate / 3 < grown < rate * 3, "rate", grown, "really", rate)
        report = box.report(process.pid)
        growing = [site for site in report["sites"] if site["growth"]]
        check({name_of(site["stack"][0]) for site in growing} == {"make_leak"}, growing)
        check(growing[0]["growth"]["confidence"] > 0.999, growing)


def purge():
    """What the allocator keeps in reserve goes back when memory is critical, at the next slow path."""
    with Sandbox() as box:
        process = box.start("grow", stdin=-1, options={**OPTIONS, "MEM_CRITICAL": "9M",
                                                       "EVENTS": box.path("events.%p")})
        check(process.stdout.readline() == "ready\n", "did not start")
        events = Events(box.path(f"events.{process.pid}"))
        command(process, "reserve")
        events.wait(lambda: "raised" in events.states("mem_critical"), "raised")
        deadline = time.monotonic() + 8
        while "resolved" not in events.states("mem_critical"):
            command(process, "leak") # a thing to do for the program
            time.sleep(0.05)
            check(time.monotonic() < deadline, "nothing was given back:", events.rows("sample")[-1])
        process.communicate("quit\n")
        check(process.returncode == 0, "status", process.returncode)


if __name__ == "__main__":
    main({"life": life, "stopped": stopped, "backoff": backoff, "efficiency": efficiency, "growth": growth,
          "purge": purge})

"""Alerts on resident memory in the event stream: raised, repeated with growing pauses, resolved once; also
while the program is stopped; and in the report."""
import json
import os
import signal
import time

from driver import BARE, Sandbox, check, main

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


if __name__ == "__main__":
    main({"life": life, "stopped": stopped, "backoff": backoff})

"""live.py [SECONDS]: a watcher at work. A program whose threads and children come and go is watched, with samples, alerts
that are raised and resolved, and every command of `poolprof ctl` in turn. What must hold: each command is answered as
it should be; the segment and the watcher's memory, threads and descriptors do not grow; alerts alternate; nothing is
left behind. Default 60 s; a night: live.py 30000.
"""
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../preload"))
from driver import PROGRAM, Failure, Sandbox, check  # noqa: E402

LIVE = os.environ["PP_LIVE"]
WATCHER_KIB = 12 << 10 # at rest
WATCHER_BUSY_KIB = 64 << 10 # in the middle of reports and scans
REST_S = 3.0 # two seconds after a report the watcher has given back what that took
NOT_DONE = {"cleanup": "not_done", "gc": "not_scanned", "leaks": "not_scanned", "roots": "not_scanned"}


class Watched:
    def __init__(self, box):
        self.box, self.asked, self.refused, self.busy_kib, self.rests = box, 0, 0, 0, []
        self.segments = box.path("segments")
        os.mkdir(self.segments, 0o700)
        os.environ["POOLPROF_SEGMENT_DIR"] = self.segments
        self.process = box.start(LIVE, stdin=subprocess.PIPE, options={
            "SEGMENT_DIR": self.segments, "OUTPUT": "none", "EVENTS": box.path("events.%p"), "LOG": "/dev/null",
            "SAMPLE_MIN": "100ms", "SAMPLE_MAX": "500ms", "ALERT_BACKOFF_MIN": "1s", "ALERT_BACKOFF_MAX": "5s"})
        check(self.process.stdout.readline() == "ready\n", "did not start")
        self.pid = self.process.pid
        self.watcher = self.ask("status")["watcher_pid"]

    def ask(self, *words):
        """What is answered; None: refused for a reason that may be."""
        done = subprocess.run([PROGRAM, "ctl", str(self.pid), *map(str, words)], text=True, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        check(done.stdout, words, done)
        reply = json.loads(done.stdout)
        self.asked += 1
        if not reply["ok"]:
            check(reply["error"]["code"] == NOT_DONE.get(words[0]), words, reply)
            self.refused += 1
            return None
        check(reply["command"] == words[0] and done.returncode == 0, words, done)
        return reply["data"]

    def of_watcher(self, key):
        with open(f"/proc/{self.watcher}/status", encoding="ascii") as status:
            return int(next(line for line in status if line.startswith(key)).split()[1])

    def all_commands(self):
        """Once each, but for what changes: that twice, back again."""
        snapshot = self.box.path("snapshot")
        rounds = [("status",), ("sample",), ("report", 5), ("pools",), ("alerts",), ("history", 1), ("get", "MEM_WARN"),
                  ("set", "MEM_WARN", "1M"), ("leaks", 3), ("mark",), ("roots",), ("cleanup",), ("set", "MEM_WARN", "2G"),
                  ("gc",), ("pause",), ("health",), ("resume",), ("snapshot", snapshot)]
        for words in rounds:
            found = self.ask(*words)
            self.busy_kib = max(self.busy_kib, self.of_watcher("VmRSS:"))
            if words[0] == "health":
                check(all(row["ok"] for row in found["checks"] if row["name"] not in ("ptrace", "tracking")), found)
        os.unlink(snapshot)

    def rest(self):
        """The figures when nothing was asked for a while."""
        time.sleep(REST_S)
        tracker = self.ask("status")["tracker_bytes"]
        rss = min(self.rss_of_a_while())
        self.rests.append({"rss_kib": rss, "tracker": tracker, "threads": self.of_watcher("Threads:"),
                           "descriptors": len(os.listdir(f"/proc/{self.watcher}/fd")),
                           "segments": len(os.listdir(os.path.join(self.segments, os.listdir(self.segments)[0])))})

    def rss_of_a_while(self):
        """Children end all the time, and have their reports: the least is what it holds between them."""
        for _ in range(50):
            yield self.of_watcher("VmRSS:")
            time.sleep(0.05)


def check_alerts(path):
    """Each alert is raised, perhaps repeated, resolved, raised, ..."""
    state, transitions = {}, 0
    with open(path, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    for row in rows:
        if row["type"] != "alert":
            continue
        key = row["rule"], row["subject"]
        up = state.get(key, False)
        check(up == (row["state"] != "raised"), "out of turn:", row)
        state[key] = row["state"] != "resolved"
        transitions += row["state"] != "repeated"
    times = [row["t_s"] for row in rows if row["type"] == "sample"]
    check(times == sorted(times), "samples are out of order")
    return transitions, len(times)


def check_rests(rests):
    first, last = rests[len(rests) // 3], rests[-1]
    check(all(rest["rss_kib"] <= WATCHER_KIB for rest in rests), "the watcher at rest:", rests)
    check(last["tracker"] <= first["tracker"] * 1.1 + (1 << 20), "the segment grows:", rests)
    for what in ("threads", "descriptors", "segments"): # children come and go: some more or less
        check(last[what] <= max(rest[what] for rest in rests[:len(rests) // 2 + 1]) + 10, what, "grow:", rests)


def main(seconds):
    with Sandbox() as box:
        live, rounds, next_rest = Watched(box), 0, 0
        begun = time.monotonic()
        while time.monotonic() < begun + seconds:
            live.all_commands()
            rounds += 1
            if time.monotonic() >= next_rest:
                live.rest()
                next_rest = time.monotonic() + max(seconds / 30, REST_S)
        live.rest()
        live.process.communicate(timeout=60)
        check(live.process.returncode == 0, "status", live.process.returncode)
        check_rests(live.rests)
        check(live.busy_kib <= WATCHER_BUSY_KIB, "the watcher at work:", live.busy_kib, "KiB")
        transitions, samples = check_alerts(box.path(f"events.{live.pid}"))
        check(transitions >= 2 * rounds - 2, transitions, "transitions in", rounds, "rounds")
        deadline = time.monotonic() + 20
        while any(files for _, _, files in os.walk(live.segments)):
            check(time.monotonic() < deadline, "left behind:", list(os.walk(live.segments)))
            time.sleep(0.1)
        last = live.rests[-1]
        print(f"{rounds} rounds of commands, {live.asked} asked, {live.refused} not done; {samples} samples, {transitions} "
              f"alerts raised and resolved; at rest: watcher {[rest['rss_kib'] for rest in live.rests]} KiB, bookkeeping "
              f"{[rest['tracker'] >> 10 for rest in live.rests]} KiB, {last['threads']} threads, {last['descriptors']} "
              f"descriptors, {last['segments']} segments; at work at most {live.busy_kib} KiB")


if __name__ == "__main__":
    try:
        main(float(sys.argv[1]) if len(sys.argv) > 1 else 60.0)
    except Failure as failure:
        print("FAILED:", failure)
        sys.exit(1)

"""soak.py [SECONDS]: four programs at once under the preload, each in a tree of its own: a server under load, a game, a
compiler farm, an interpreter. Looked at while they run and at their ends: the bookkeeping stays within its bound and does
not grow once the programs have all they need; totals and sites add up. Default 60 s; two hours: soak.py 7200.
"""
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../preload"))
from driver import PROGRAM, SOURCE, Sandbox, check_sums, read_report  # noqa: E402

BOUND = 512 << 20
OBJECT = 32 # bytes of bookkeeping that one more outstanding object may take: the game leaks
GAME = os.environ.get("PP_GAME", os.path.join(SOURCE, "build/bin/game"))

INTERPRETER = """
import json, re, sys, time
end, kept = time.monotonic() + float(sys.argv[1]), {}
while time.monotonic() < end:
    for i in range(3000):
        kept[i] = json.loads(json.dumps({"a": [i, str(i)], "b": re.sub("1+", "x", str(i))}))
"""
FARM = """printf '#include <map>\\n#include <string>\\nstd::map<std::string,int> m; int f(){return m["a"];}\\n' > a.cc
end=$(($(date +%s) + SECONDS_)); while [ $(date +%s) -lt $end ]; do g++ -O1 -c a.cc -o a.o || exit 1; done"""


class Program:
    """A program under the preload in its sandbox; `ends`: by itself, with status 0; else it is told to."""

    def __init__(self, box, name, command, ends=False):
        self.box, self.name, self.ends, self.seen = box, name, ends, []
        env = box.environment(TRACKER_MAX=BOUND, MEM_WARN="4G", MEM_CRITICAL="5G")
        env["PYTHONMALLOC"] = "malloc"
        self.process = subprocess.Popen(command, env=env, cwd=box.directory, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def look(self):
        """Of the running process: it may be anywhere in a call, so sums are not judged."""
        done = subprocess.run([PROGRAM, "report", str(self.process.pid), "--format", "json"], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode == 0:
            report = json.loads(done.stdout)
            self.seen.append((report["overhead"]["tracker_bytes"], report["totals"]["outstanding_objects"]))

    def end(self):
        """Returns what was found wrong."""
        if not self.ends:
            self.process.send_signal(signal.SIGTERM)
        _, err = self.process.communicate(timeout=120)
        faults = []
        if self.ends and self.process.returncode != 0:
            faults.append(f"status {self.process.returncode}")
        # What lives for hours is old, and a server fills up: these alerts are as they should be.
        words = [line for line in err.splitlines()
                 if "poolprof" in line and not re.search(r"\]: \w+ (leak_age|growth)\b", line)]
        if words:
            faults.append("words: " + words[0])
        profiles = [name for name in self.box.profiles() if f".{self.process.pid}." in name]
        if len(profiles) != 1:
            return faults + [f"profiles: {self.box.profiles()[:5]}"]
        report = read_report(self.box.path(profiles[0]), whole=False)
        if report["process"]["end"] == "exit":
            check_sums(report)
        tracker, totals = report["overhead"]["tracker_bytes"], report["totals"]
        objects = totals["outstanding_objects"]
        third, then = self.seen[len(self.seen) // 3] if self.seen else (tracker, objects)
        if tracker > BOUND or tracker > third * 1.1 + (1 << 20) + max(0, objects - then) * OBJECT:
            faults.append(f"bookkeeping {third} after a third, {tracker} at the end")
        if any(spot["what"] == "dropped_records" for spot in report["blind_spots"]):
            faults.append("records were dropped")
        print(f"{self.name:12} {totals['allocations']:12} allocations, {totals['outstanding_objects']:8} outstanding, "
              f"bookkeeping {third >> 10} KiB after a third, {tracker >> 10} KiB at the end, "
              f"{len(self.box.profiles())} profiles")
        return faults


def start_load(socket):
    while not os.path.exists(socket):
        time.sleep(0.05)
    return subprocess.Popen(["redis-benchmark", "-s", socket, "-l", "-q", "-r", "10000", "-t", "set,get,sadd,zadd"],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def soak(seconds, stack):
    """Returns the programs' faults, and how many there were."""
    boxes = [stack.enter_context(Sandbox()) for _ in range(4)]
    programs = [Program(boxes[0], "interpreter", ["/usr/bin/python3", "-c", INTERPRETER, str(seconds)], ends=True),
                Program(boxes[1], "farm", ["/bin/bash", "-c", FARM.replace("SECONDS_", str(int(seconds)))], ends=True)]
    if os.access(GAME, os.X_OK):
        programs.append(Program(boxes[2], "game", [GAME, "--frames", "1000000000"]))
    if shutil.which("redis-server") and shutil.which("redis-benchmark"):
        programs.append(Program(boxes[3], "server", ["/usr/bin/redis-server", "--port", "0", "--save", "",
                                                     "--unixsocket", boxes[3].path("s")]))
        load = start_load(boxes[3].path("s"))
        stack.callback(load.wait)
        stack.callback(load.kill)
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        time.sleep(max(0.5, seconds / 200))
        for program in programs:
            program.look()
    return [f"{program.name}: {fault}" for program in programs for fault in program.end()], len(programs)


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60
    with contextlib.ExitStack() as stack:
        faults, count = soak(seconds, stack)
    print("\n".join(faults) or f"{count} programs, {seconds:.0f} s: no growth, no drift")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

"""What the tests of starts, deaths and trees share: driver.py's sandbox with a segment directory of its
own and a token in the environment, by which the processes of one test (watcher included) are found.
"""
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../preload"))
from driver import (BARE, LIBRARY, PATIENCE_S, PROGRAM, PROGRAMS, SHELL, Failure, Sandbox, check,  # noqa: F401, E402
                    check_outstanding, check_sums, name_of, outstanding, read_report, sites_of)

SKIPPED = 77
ENDS = os.environ.get("PP_ENDS_PROGRAMS", "")
REPORT_LINE = re.compile(r"^poolprof: .* outstanding.*$", re.M)


class Skip(Exception):
    """The machine does not permit what the test needs."""


class Box(Sandbox):
    """A sandbox whose segments lie apart. `run=True`: programs are started by `poolprof run`."""

    def __init__(self, run=False):
        super().__init__()
        self.by_run = run
        self.segments = tempfile.mkdtemp(prefix="pp-ends.", dir="/dev/shm")
        self.token = "PP_ENDS=" + os.path.basename(self.segments)

    def __exit__(self, kind, value, trace):
        for pid in self.processes():
            try:
                os.kill(pid, 9)
            except OSError:
                pass
        shutil.rmtree(self.segments, ignore_errors=True)
        super().__exit__(kind, value, trace)

    def environment(self, **options):
        options.setdefault("SEGMENT_DIR", self.segments)
        env = super().environment(**options)
        env["PP_ENDS"] = self.token.partition("=")[2]
        return env

    def command(self, program, *arguments):
        path = program if "/" in program else os.path.join(ENDS, program)
        before = [PROGRAM, "run", "--"] if self.by_run and not BARE else []
        return [*before, path, *map(str, arguments)]

    def start(self, program, *arguments, options=None, **popen):
        env = popen.pop("env", None) or self.environment(**(options or {}))
        if self.by_run:
            env.pop("LD_PRELOAD", None)
        for stream in ("stdout", "stderr"):
            popen.setdefault(stream, subprocess.PIPE)
        popen.setdefault("stdin", subprocess.DEVNULL)
        popen.setdefault("cwd", self.directory)
        return subprocess.Popen(self.command(program, *arguments), env=env, text=True, **popen)

    def shell(self, script, timeout=60, preload=True, **options):
        """A bash script; $PRELOAD, put before a command, profiles just that (`$PRELOAD ./hello`)."""
        env = self.environment(**options)
        library = env.pop("LD_PRELOAD", "")
        env["PRELOAD"] = f"env LD_PRELOAD={library}" if library else ""
        env["RUN"] = f"{PROGRAM} run --" if library else ""
        env["B"] = ENDS
        try:
            done = subprocess.run(["bash", "--norc", "-c", script], env=env, text=True, timeout=timeout,
                                  cwd=self.directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE)
        except subprocess.TimeoutExpired as late:
            raise Failure(f"hangs: {script!r} {late.stdout} {late.stderr}")
        done.out, done.err = done.stdout, done.stderr
        return done

    def only_profile(self, name=None):
        """Path of the one profile (of programs of that name), waiting for it."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            found = [p for p in self.profiles() if name is None or p.split(".")[0] == name]
            if len(found) == 1:
                return self.path(found[0])
            check(len(found) < 2 and time.monotonic() < deadline, "one profile wanted, there are", self.profiles())
            time.sleep(0.02)

    def profile_of(self, pid, name=None):
        try:
            return super().profile_of(pid, name)
        except Failure as failure:
            raise Failure(f"{failure}; processes {self.processes()}, segments {self.segment_files()}")

    # ---- the processes of this test ----

    def processes(self, name=None):
        """Living pids of this test, the watcher among them; `name`: by comm."""
        found = []
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{entry}/environ", "rb") as file:
                    if self.token.encode() not in file.read().split(b"\0"):
                        continue
                with open(f"/proc/{entry}/comm", encoding="ascii", errors="replace") as file:
                    if name is None or file.read().strip() == name:
                        found.append(int(entry))
            except OSError:
                pass
        return found

    def watchers(self, wanted=1):
        """Pids of the watchers, waiting for as many."""
        deadline = time.monotonic() + (0.3 if BARE else 10)
        while True:
            found = self.processes("poolprof-watch")
            if len(found) >= wanted:
                return found
            check(time.monotonic() < deadline, wanted, "watchers wanted, found", found)
            time.sleep(0.01)

    def segment_files(self, sockets=False):
        return [os.path.join(place, name) for place, _, names in os.walk(self.segments) for name in names
                if sockets or not name.endswith(".ctl")]

    def check_gone(self, patience=15, segments=True):
        """Nothing is left: no process, no stub, no segment."""
        deadline = time.monotonic() + patience
        while True:
            left = self.processes(), self.segment_files(sockets=True) if segments else []
            if not any(left):
                return
            if time.monotonic() > deadline:
                words = []
                for pid in left[0]:
                    try:
                        with open(f"/proc/{pid}/cmdline", "rb") as file:
                            words.append(file.read().replace(b"\0", b" ").decode())
                    except OSError:
                        pass
                raise Failure(f"left after {patience} s: processes {left[0]} {words}, segments {left[1]}")
            time.sleep(0.02)


def parent_of(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return int(file.read().rpartition(")")[2].split()[1])


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_until(condition, what, patience=15):
    deadline = time.monotonic() + patience
    while not condition():
        check(time.monotonic() < deadline, what, f"(waited {patience} s)")
        time.sleep(0.01)


def blind(report, what):
    """Sum of the blind spots of that kind."""
    return sum(spot["count"] for spot in report["blind_spots"] if spot["what"] == what)


def json_in(text):
    """The one JSON report in a text."""
    check(text.count('"poolprof.report/1"') == 1, text.count('"poolprof.report/1"'), "JSON reports in", text[:800])
    return json.JSONDecoder().raw_decode(text[text.index("{"):])[0]


def namespaces(*flags):
    """Skips the test where such a namespace cannot be had."""
    done = subprocess.run(["unshare", *flags, "true"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise Skip(f"unshare {' '.join(flags)}: {done.stderr.strip()}")


def as_root():
    if os.geteuid() != 0:
        raise Skip("needs root")


def quote(*words):
    return " ".join(shlex.quote(str(word)) for word in words)


def main(cases):
    """As driver.main, with skips (status 77 when all of them were)."""
    wanted = sys.argv[1:] or list(cases)
    failed = skipped = 0
    for name in wanted:
        begun = time.monotonic()
        try:
            cases[name]()
            word = "ok"
        except Skip as skip:
            skipped += 1
            word = f"skipped: {skip}"
        except (Failure, KeyError, IndexError, OSError, ValueError, subprocess.SubprocessError) as error:
            failed += 1
            word = f"FAILED: {type(error).__name__}: {error}"
        print(f"{name}: {word} ({time.monotonic() - begun:.2f} s)", flush=True)
    sys.exit(1 if failed else SKIPPED if skipped == len(wanted) else 0)

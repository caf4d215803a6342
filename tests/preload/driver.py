"""Runs a test program under the preload and reads its profile back. Used by expect.py and by the tests
that need more than a program (death.py, host.py, ...). Python's standard library only.

Where things are comes from the environment (CMakeLists.txt sets it): PP_LIBRARY, PP_PROGRAM (poolprof),
PP_PROGRAMS (directory of the test programs), PP_SOURCE (root of the tree). With PP_BARE=1 nothing is
preloaded: every test must then fail (tests/preload/bare.sh shows that it does).
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

LIBRARY = os.environ.get("PP_LIBRARY", "")
PROGRAM = os.environ.get("PP_PROGRAM", "")
PROGRAMS = os.environ.get("PP_PROGRAMS", "")
SOURCE = os.environ.get("PP_SOURCE", os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
BARE = os.environ.get("PP_BARE", "0") == "1"
SHELL = "sh" # as %n names it: what the program was started as
PATIENCE_S = 0.3 if BARE else 15.0
LOOKS = 1 if BARE else 10


class Failure(Exception):
    """What a test found wrong."""


def check(condition, *what):
    if not condition:
        raise Failure(" ".join(str(part) for part in what))


class Sandbox:
    """A directory for one run: profiles, logs, expectations. Removed at the end unless PP_KEEP is set."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="pp-test.")
        os.chmod(self.directory, 0o755)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if os.environ.get("PP_KEEP"):
            print("kept", self.directory)
        else:
            shutil.rmtree(self.directory, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.directory, name)

    def environment(self, **options):
        """A clean environment with the preload; options without POOLPROF_, None takes one out."""
        env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": self.directory, "LANG": "C",
               "TMPDIR": self.directory, "PP_EXPECT": self.path("expect")}
        chosen = {"OUTPUT": self.path("%n.%p.poolprof"), "REPORT": "none", "LOG_LEVEL": "warn"}
        chosen.update(options)
        for name, value in chosen.items():
            if value is not None:
                env["POOLPROF_" + name] = str(value)
        if not BARE:
            env["LD_PRELOAD"] = LIBRARY
        return env

    def start(self, program, *arguments, options=None, **popen):
        """`program` is a test program's name or a path."""
        path = program if "/" in program else os.path.join(PROGRAMS, program)
        env = popen.pop("env", None) or self.environment(**(options or {}))
        for stream in ("stdout", "stderr"):
            popen.setdefault(stream, subprocess.PIPE)
        popen.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen([path, *map(str, arguments)], env=env, cwd=self.directory, text=True,
                                **popen)

    def run(self, program, *arguments, timeout=100, **more):
        """Runs to the end. The result has pid, returncode, out, err, seconds."""
        begun = time.monotonic()
        process = self.start(program, *arguments, **more)
        try:
            process.out, process.err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise Failure(f"{program} {arguments} hangs: killed after {timeout} s")
        process.seconds = time.monotonic() - begun
        return process

    def profiles(self):
        return sorted(name for name in os.listdir(self.directory) if ".poolprof" in name)

    def profile_of(self, pid, name=None):
        """The profile file of a process, waiting for it a while."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            for profile in self.profiles():
                parts = profile.split(".")
                if str(pid) in parts and (name is None or parts[0] == name):
                    return self.path(profile)
            check(time.monotonic() < deadline, "no profile of", pid, "there are only", self.profiles())
            time.sleep(0.02)

    def report(self, pid, name=None):
        return read_report(self.profile_of(pid, name))


def read_report(profile, whole=True):
    """The JSON report of a profile; `whole`: no call was cut off in the middle, so the sums hold."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        done = subprocess.run([PROGRAM, "report", profile, "--format", "json"], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        if done.returncode == 0:
            break
        check(time.monotonic() < deadline, "poolprof report says", done.returncode, done.stderr.strip())
        time.sleep(0.1)
    report = json.loads(done.stdout)
    if whole:
        check_sums(report)
    return report


def check_sums(report):
    """What must hold in every report of a process that was not cut off in the middle of a call."""
    totals, sites = report["totals"], report["sites"]
    check(report["schema"] == "poolprof.report/1", "schema is", report["schema"])
    check(totals["allocations"] - totals["frees"] == totals["outstanding_objects"], "totals disagree:", totals)
    for what in () if report["sampling"] else ("objects", "bytes"): # sites may be estimates
        total = sum(site[what] for site in sites)
        check(total == totals["outstanding_" + what], "sites hold", total, what, "totals say", totals)
    check(totals["peak_bytes"] + totals["peak_error_bytes"] >= totals["outstanding_bytes"], "peak:", totals)
    for site in sites:
        check(site["objects"] > 0, "a site without objects:", site)
        check(site["oldest_s"] >= site["newest_s"] >= 0, "ages:", site["oldest_s"], site["newest_s"])
        check(site["allocations"] >= site["objects"], "fewer allocations than objects:", site)


def name_of(frame):
    """A frame's function without C++ parameters, which depend on where its name comes from."""
    return (frame["function"] or "?").split("(")[0] or "?"


def sites_of(report, function, **filters):
    """Sites whose innermost frame is that function, narrowed by caller, line, file."""
    found = []
    for site in report["sites"]:
        stack = site["stack"]
        if not stack or name_of(stack[0]) != function:
            continue
        if "caller" in filters and (len(stack) < 2 or name_of(stack[1]) != filters["caller"]):
            continue
        if "line" in filters and stack[0]["line"] != int(filters["line"]):
            continue
        if "file" in filters and os.path.basename(stack[0]["file"] or "") != filters["file"]:
            continue
        found.append(site)
    return found


def outstanding(report, function):
    """(objects, bytes) of a function."""
    sites = sites_of(report, function)
    return sum(s["objects"] for s in sites), sum(s["bytes"] for s in sites)


def check_outstanding(report, function, objects, size):
    seen = outstanding(report, function)
    check(seen == (objects, size), function, "holds", seen, "should be", (objects, size))


def looked_at(tell):
    """What `tell` returns, once it is true. An end waits for a silent watcher for two seconds at most, and says that it
    was not looked at: so much a loaded machine may take."""
    for _ in range(LOOKS):
        found = tell()
        if found:
            return found
    check(False, "was not looked at in", LOOKS, "runs")


def main(cases):
    """Runs the cases named on the command line, or all; exit status 1 if one fails."""
    wanted = sys.argv[1:] or list(cases)
    failed = 0
    for name in wanted:
        begun = time.monotonic()
        try:
            cases[name]()
            word = "ok"
        except (Failure, KeyError, OSError, ValueError, subprocess.SubprocessError) as error:
            failed += 1
            word = f"FAILED: {type(error).__name__}: {error}"
        print(f"{name}: {word} ({time.monotonic() - begun:.2f} s)", flush=True)
    sys.exit(1 if failed else 0)

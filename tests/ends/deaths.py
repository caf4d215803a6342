"""Every way to die, started with LD_PRELOAD and by `poolprof run`: all blocks accounted for, the true end and
status, one report, and before the prompt where the end was normal (by `run`: always)."""
import concurrent.futures
import os
import signal
import subprocess
import time

from ends import (BARE, SHELL, REPORT_LINE, Box, Failure, Skip, blind, check, check_outstanding, main, name_of,
                  outstanding, parent_of, read_report)

# way: (end, status as Popen says it, atexit handlers ran, an image by exec follows)
NORMAL = {
    "return": ("exit", 0, True), "exit": ("exit", 23, True), "exit_minus": ("exit", 255, True),
    "exit_large": ("exit", 0x17, True), "_exit_minus": ("_exit", 255, False),
    "quick_minus": ("quick_exit", 255, False), "exit_thread": ("exit", 23, True),
    "_exit_thread": ("_exit", 23, False), "pthread_exit": ("exit", 0, True), "outlived": ("exit", 23, True),
    "raw_thread_exit": ("exit", 23, True), "_exit": ("_exit", 23, False), "_Exit": ("_exit", 23, False),
    "quick_exit": ("quick_exit", 23, False), "_exit_race": ("_exit", 23, False),
    "exit_in_atexit": ("exit", 24, True), "exit_in_destructor": ("exit", 24, True),
    "exit_in_handler": ("exit", 23, True), "fault_handled": ("_exit", 23, False),
    "abort_left": ("_exit", 23, False),
}
ABORTS = {way: ("signal:6", -6, False) for way in (
    "abort", "abort_handled", "assert", "fortify", "stack_check", "terminate", "throw", "throw_noexcept")}
FAULTS = {"segv": ("signal:11", -11, False), "bus": ("signal:7", -7, False), "ill": ("signal:4", -4, False),
          "trap": ("signal:5", -5, False), "fpe": ("signal:8", -8, False), "overflow": ("signal:11", -11, False),
          "overflow_thread": ("signal:11", -11, False), "forbidden": ("signal:31", -31, False),
          "cpu_limit": ("signal:9", -9, False), "raw_exit": ("_exit", 23, False)}
EXECS = {"exec": ("exec", 23, False), "exec_thread": ("exec", 23, False)}
FATAL = [number for number in range(1, 65) if number not in (
    signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH, signal.SIGSTOP, signal.SIGTSTP,
    signal.SIGTTIN, signal.SIGTTOU, 32, 33)]
SIGNALS = {f"signal{number}": (f"signal:{number}", -number, False) for number in FATAL}
BLOCKS = {"leak_small": (5, 500), "leak_large": (3, 210000), "leak_new": (1, 33), "leak_ended": (7, 336),
          "leak_living": (2, 6000)}


def check_blocks(report, handlers_ran):
    for function, held in BLOCKS.items():
        check_outstanding(report, function, *held)
    kept = (0, 0) if handlers_ran else (1, 1000)
    check(outstanding(report, "freed_at_exit") == kept, "freed_at_exit:", outstanding(report, "freed_at_exit"))
    check(not blind(report, "dropped_records"), "dropped:", report["blind_spots"])


def die(way, wanted, run):
    end, status, handlers_ran = wanted
    with Box(run) as box:
        command = f"{'$RUN' if run else '$PRELOAD'} $B/die {way} words"
        # A subshell, so that bash's own words on signals go elsewhere; the prompt is a line after it.
        done = box.shell(f"({command}; exit $?) 2>err; s=$?; echo PROMPT >>err; exit $s",
                         REPORT="text", LOG_LEVEL="info")
        shown = 128 - status if status < 0 else status
        check(done.returncode == shown, way, "status", done.returncode, "should be", shown, done.err)
        check(done.out == "", way, "words on stdout:", done.out)
        profile = box.only_profile("die")
        report = read_report(profile)
        process = report["process"]
        check(process["end"] == end, way, "end is", process["end"], "not", end)
        if end != "exec":
            check(process["status"] == abs(status), way, "status told", process["status"], "not", abs(status))
        check(process["pid"] == int(profile.split(".")[-2]), "pid", process["pid"])
        check_blocks(report, handlers_ran)
        box.check_gone()
        with open(box.path("err"), encoding="utf-8") as file:
            text = file.read()
        lines = REPORT_LINE.findall(text)
        check(len(lines) == 1, way, len(lines), "reports:", text)
        order = [text.find(word) for word in ("last words", "\n" + lines[0], "what this report cannot see", "PROMPT")]
        if way in NORMAL or way in EXECS or run:
            check(order == sorted(order) and -1 not in order, way, "not in order", order, text)
        if end == "exec":
            check(f" of {SHELL} " in lines[0] or "of sh " in lines[0], "not the new image's report:", lines[0])
            check(read_report(box.only_profile(SHELL))["process"]["end"] in ("exit", "_exit"), "the new image's end")


def group(ways, run):
    def each():
        problems = []
        for way, wanted in ways.items():
            try:
                die(way, wanted, run)
            except (Failure, KeyError, IndexError, OSError, ValueError, subprocess.SubprocessError) as problem:
                problems.append(f"{way}: {problem}")
                if BARE:
                    break
        check(not problems, f"{len(problems)} of {len(ways)}:\n  " + "\n  ".join(problems))
    return each


def die_forked(way, wanted):
    """In a child that was forked without exec, with POOLPROF_CHILDREN=all: it has a profile of its own."""
    end, status, handlers_ran = wanted
    with Box() as box:
        first = box.start("die", f"forked:{way}", options={"CHILDREN": "all", "REPORT": "none"}, stdin=subprocess.PIPE)
        pid = int(first.stdout.readline())
        report = read_report(box.profile_of(pid, "die"))
        told, err = first.communicate("\n", timeout=60)
        check(first.returncode == 0, "status of the parent", first.returncode, err)
        check(int(told) == status, "died by", told, "should be", status)
        process = report["process"]
        check((process["end"], process["status"], process["parent"]) == (end, abs(status), first.pid), process)
        check_blocks(report, handlers_ran)
        parent = read_report(box.profile_of(first.pid, "die"))
        rows = [(row["pid"], row["end"], row["status"]) for row in parent["children"]]
        check(rows == [(pid, end, abs(status))], "in the parent's report:", rows)
        check_outstanding(parent, "leak_small", 0, 0)
        box.check_gone()


def group_forked(ways):
    def one(way):
        try:
            die_forked(way, ways[way])
        except (Failure, KeyError, IndexError, OSError, ValueError, subprocess.SubprocessError) as problem:
            return f"{way}: {problem}"
        return None

    def each():
        with concurrent.futures.ThreadPoolExecutor(3) as pool: # they wait most of the time
            problems = [problem for problem in pool.map(one, ways) if problem]
        check(not problems, f"{len(problems)} of {len(ways)}:\n  " + "\n  ".join(problems))
    return each


def in_malloc():
    """A signal handler that calls _exit in the middle of malloc or free: no deadlock; off by one at most."""
    for _ in range(12):
        with Box() as box:
            done = box.run("die", "_exit_in_malloc", timeout=30)
            check(done.returncode == 23, "status", done.returncode, done.err)
            check(done.seconds < 8, "took", done.seconds)
            report = read_report(box.profile_of(done.pid), whole=False)
            for function, held in BLOCKS.items():
                check_outstanding(report, function, *held)
            check(report["process"]["end"] == "_exit" and report["process"]["status"] == 23, report["process"])
            totals, sites = report["totals"], report["sites"]
            check(abs(sum(s["objects"] for s in sites) - totals["outstanding_objects"]) <= 1, "objects", totals)


def killed_from_outside():
    """SIGKILL while all threads sleep: exact; the watcher's report is there though nobody handed over."""
    for run in (False, True):
        with Box(run) as box:
            process = box.start("die", "wait", options={"REPORT": "json", "LOG": box.path("log.%p")})
            check(process.stdout.readline() == "ready\n", "did not start")
            pid = process.pid if not run else [p for p in box.processes("die") if parent_of(p) == process.pid][0]
            os.kill(pid, signal.SIGKILL)
            process.communicate()
            check(process.returncode == -9, "status", process.returncode)
            report = read_report(box.profile_of(pid))
            check(report["process"]["end"] == "signal:9" and report["process"]["status"] == 9, report["process"])
            check_blocks(report, False)
            box.check_gone()


def cgroup():
    """Returns a new memory cgroup's directory of either version; skips where they cannot be made."""
    name = f"pp-ends-{os.getpid()}"
    with open("/proc/self/cgroup", encoding="ascii") as file:
        lines = file.read().splitlines()
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers.split(",") == ["memory"]:
            place, limit = f"/sys/fs/cgroup/memory{path}/{name}", "memory.limit_in_bytes"
        elif controllers == "" and os.path.exists(f"/sys/fs/cgroup{path}/cgroup.controllers"):
            place, limit = f"/sys/fs/cgroup{path}/{name}", "memory.max"
        else:
            continue
        try:
            os.mkdir(place)
        except OSError:
            continue
        if os.path.exists(f"{place}/{limit}"):
            return place, limit
        os.rmdir(place)
    raise Skip("no writable memory cgroup")


def out_of_memory():
    """The kernel's OOM killer, in a cgroup of 96 MB that the watcher shares: the profile is there."""
    place, limit = cgroup()
    try:
        with open(f"{place}/{limit}", "w", encoding="ascii") as file:
            file.write(str(96 << 20))

        def enter():
            with open(f"{place}/cgroup.procs", "w", encoding="ascii") as procs:
                procs.write(str(os.getpid()))
        with Box() as box:
            done = box.run("die", "eat", preexec_fn=enter, timeout=60)
            check(done.returncode == -9, "status", done.returncode, done.err)
            report = read_report(box.profile_of(done.pid), whole=False)
            check(report["process"]["end"] == "signal:9", report["process"])
            for function, held in BLOCKS.items():
                check_outstanding(report, function, *held)
            held = sum(site["bytes"] for site in report["sites"])
            check(held > 32 << 20 and abs(held - report["totals"]["outstanding_bytes"]) <= 1 << 20, "held", held)
            box.check_gone()
    finally:
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            try:
                os.rmdir(place)
                break
            except OSError:
                time.sleep(0.05)


CASES = {}
for name, group_of in (("normal", NORMAL), ("aborts", ABORTS), ("faults", FAULTS), ("execs", EXECS),
                       ("signals", SIGNALS)):
    CASES[f"{name}_preload"] = group(group_of, False)
    CASES[f"{name}_run"] = group(group_of, True)
for name, group_of in (("aborts", ABORTS), ("faults", FAULTS), ("signals", SIGNALS)):
    CASES[f"{name}_forked"] = group_forked(group_of)
CASES.update({"in_malloc": in_malloc, "killed_from_outside": killed_from_outside, "out_of_memory": out_of_memory})

if __name__ == "__main__":
    main(CASES)

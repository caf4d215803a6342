"""acts.py CASE...: what follows from a leak scan: exit statuses, checks, suppressions, annotations, scans of a
process that runs, and what is said where there was no scan."""
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../preload"))
from driver import PROGRAM, PROGRAMS, Sandbox, check, looked_at, main, read_report, sites_of

LIBC = ctypes.CDLL(None, use_errno=True)
PTRACE_SEIZE = 0x4206
PR_CAPBSET_DROP, CAP_SYS_PTRACE = 24, 19


def poolprof(*arguments, **more):
    return subprocess.run([PROGRAM, *map(str, arguments)], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, check=False, **more)


def leaks_of(report, **wanted):
    found = report["leaks"]
    check(found["scan"] == "done", "scan:", found["scan"])
    for key, value in wanted.items():
        check(found[key] == value, key, "is", found[key], "should be", value, found)


def annotations():
    with Sandbox() as box:
        done = box.run("annotated", "annotations")
        check(done.returncode == 3, "status", done.returncode, done.err)
        report = box.report(done.pid)
        leaks_of(report, lost_objects=0, indirect_objects=0, possible_objects=0)
        regions = done.out.split()[1:]
        held = {site["bytes"]: site["held_by"][0] for site in report["sites"] if site["held_by"]}
        found = [[held[size][key] for key in ("kind", "address", "name")] for size in (77, 79)]
        check(found == [["registered", regions[0], None], ["registered", regions[1], "arena"]], found, regions)
        way = poolprof("why", box.profile_of(done.pid), next(site["id"] for site in report["sites"] if site["bytes"] == 79))
        check(f"held by memory registered as a root at {regions[1]}, arena" in way.stdout, way.stdout, way.stderr)
        way = poolprof("why", box.profile_of(done.pid), next(site["id"] for site in report["sites"] if site["bytes"] == 3000))
        check("held by nothing; the program has said that it is no leak" in way.stdout, way.stdout, way.stderr)
        name = box.path("a\n) b")
        os.symlink(os.path.join(PROGRAMS, "annotated"), name)
        done = box.run(name, "annotations")
        leaks_of(box.report(done.pid), lost_objects=0)
        done = box.run("annotated", "annotations", "unregister", "leak")
        report = box.report(done.pid)
        leaks_of(report, lost_objects=1, indirect_objects=0) # the region is ignored, so what it holds is reachable
        check(sites_of(report, "leak_one")[0]["kind"] == "lost", report["sites"])


def reported():
    """What a program reports of its own allocators, by heaptrack's functions."""
    with Sandbox() as box:
        done = box.run("annotated", "reported", options={"ON_ERROR": "abort"})
        check(done.returncode == 3, "status", done.returncode, done.err)
        report = box.report(done.pid)
        found = sorted((site["kind"], site["allocator"], site["objects"], site["bytes"]) for site in report["sites"]
                       if site["bytes"] > 0 and any("report" in frame["function"] for frame in site["stack"]))
        wanted = [("lost", "reported", 1, 50), ("lost", "reported", 1, 54), ("lost", "reported", 1, 64),
                  ("lost", "reported", 1, 65), ("lost", "reported", 1, 66), ("reachable", "malloc", 1, 70),
                  ("reachable", "malloc", 1, 100000), ("reachable", "reported", 1, 51)]
        check(found == wanted, found)
        for options in ({"TRACK": "off"}, {"TRACK": "sample:1K"}, {"ENABLE": 0}):
            done = box.run("annotated", "reported", options=options)
            check(done.returncode == 3, options, "status", done.returncode, done.err)


def checks():
    with Sandbox() as box:
        done = box.run("annotated", "checks", options={"REPORT": "text"})
        check(done.returncode == 3, "status", done.returncode, done.err)
        check(done.out == "before 0\nafter 1\nrecoverable 1\nstill 1\n", done.out)
        check(done.err.count("poolprof: lost 1 object, 111 bytes in 1 site") == 4, done.err)
        check(done.err.count("running for") == 3, done.err)
        done = box.run("annotated", "checks", options={"EXITCODE": 23})
        check(done.returncode == 23 and "still" not in done.out, "status", done.returncode, done.out)


def asked_by_nobody():
    """A wild write asks for a check: at the end nobody waits for it, and its report would be one too many."""
    with Sandbox() as box:
        done = box.run("annotated", "leak", "wild", options={"REPORT": "text"})
        check(done.returncode == 3, "status", done.returncode, done.err)
        check(done.err.count("poolprof: lost 1 object, 111 bytes in 1 site") == 1 and "running for" not in done.err, done.err)


def exitcode():
    with Sandbox() as box:
        for how, status in ((), 3), (("quick",), 4), (("_exit",), 5):
            for leak in (), ("leak",):
                done = box.run("annotated", *leak, *how, options={"EXITCODE": 23})
                check(done.returncode == (23 if leak else status), how, leak, "status", done.returncode, done.err)
        done = box.run("annotated", "leak", options={"EXITCODE": 0})
        check(done.returncode == 3, "status", done.returncode)
        env = box.environment()
        env.pop("LD_PRELOAD", None)
        done = subprocess.run([PROGRAM, "run", "--exitcode", "9", "-o", box.path("run.poolprof"), "--",
                               os.path.join(PROGRAMS, "annotated"), "leak"], env=env,
                              stdin=subprocess.DEVNULL, check=False)
        check(done.returncode == 9, "run: status", done.returncode)


def check_option():
    with Sandbox() as box:
        for leak, status in ((), 0), (("leak",), 1):
            done = box.run("annotated", *leak)
            found = poolprof("report", "--check", box.profile_of(done.pid))
            check(found.returncode == status and not found.stderr, leak, "status", found.returncode, found.stderr)
        done = box.run("annotated", "leak", options={"LEAK_CHECK": "off"})
        found = poolprof("report", "--check", box.profile_of(done.pid))
        check(found.returncode == 0 and "nothing was checked" in found.stderr, found.returncode, found.stderr)


def suppressions():
    with Sandbox() as box:
        done = box.run("annotated", "leak")
        lines = poolprof("suppress", box.profile_of(done.pid)).stdout
        check(lines == "leak:^leak_one$\n", lines)
        with open(box.path("list"), "w", encoding="utf-8") as file:
            file.write("# from suppress\n" + lines + "leak:nothing_of_that_name\n")
        for name in box.path("list"), "list": # relative to the program's directory
            done = box.run("annotated", "leak", options={"SUPPRESSIONS": name, "EXITCODE": 23})
            check(done.returncode == 3 and not done.err, "status", done.returncode, done.err)
            report = box.report(done.pid)
            leaks_of(report, lost_objects=0, suppressed_objects=1, suppressed_bytes=111)
            spot = [spot for spot in report["blind_spots"] if spot["what"] == "suppressions"]
            check(len(spot) == 1 and spot[0]["count"] == 1 and "leak:^leak_one$" in spot[0]["detail"], spot)
        with open(box.path("bad"), "w", encoding="utf-8") as file:
            file.write("leak:ok\nrace:x\n\nrubbish\n")
        done = box.run("annotated", "leak", options={"SUPPRESSIONS": "bad"})
        check("line 2" in done.err and "line 4" in done.err and done.err.count("\n") == 2, done.err)
        done = box.run("annotated", "leak", options={"SUPPRESSIONS": "/no/such/file"})
        check("/no/such/file: No such file or directory" in done.err, done.err)


TYPES = """
import ctypes
gobject = ctypes.CDLL("libgobject-2.0.so.0")
gobject.g_type_class_ref.argtypes = [ctypes.c_ulong]
gobject.g_type_class_ref(20 << 2)
"""


def built_in():
    """What everybody has: the table of a thread that has ended, types of GObject."""
    with Sandbox() as box:
        for on, kind, count in (0, "possible", 0), (1, "suppressed", 1):
            report = box.report(box.run("leaks_c", "ended_thread", options={"SUPPRESSIONS_BUILTIN": on}).pid)
            leaks_of(report, lost_objects=100, **{f"{kind}_objects": 1})
            found = [spot for spot in report["blind_spots"] if spot["what"] == "suppressions"]
            check(len(found) == count and all("leak:_dl_allocate_tls, built in" in spot["detail"] for spot in found), found)
        done = box.run(sys.executable, "-c", TYPES)
        if done.returncode != 0:
            return # it is not installed
        report = box.report(done.pid)
        found = [spot["detail"] for spot in report["blind_spots"] if spot["what"] == "suppressions"]
        check(len(found) == 1 and "leak:^g_type_register_, built in" in found[0], found)
        check(not [site for site in report["sites"] if site["kind"] in ADDED.values() and
                   any((frame["function"] or "").startswith("g_type_register") for frame in site["stack"])], report["sites"])


def own_suppressions():
    """Those that the program brings along itself, as for LeakSanitizer."""
    with Sandbox() as box:
        many = "leak:nothing\n" * 1023
        for lines, warnings in (("leak:^leak_one$", ()), ("\n# one\nrace:x\nleak:^leak_one$\n", ("line 3",)),
                                (many + "leak:leak_one\nleak:x", ("line 1025",)),
                                ("leak:" + 5000 * "x" + "\nleak:leak_one", ("line 1",))):
            env = {**box.environment(EXITCODE=23), "LEAKS_OWN_SUPPRESSIONS": lines}
            done = box.run("annotated", "leak", env=env)
            check(done.returncode == 3 and done.err.count("\n") == len(warnings), lines[:60], done.returncode, done.err)
            check(all(f"__lsan_default_suppressions(): " in done.err and f", {line};" in done.err for line in warnings), done.err)
            leaks_of(box.report(done.pid), lost_objects=0, suppressed_objects=1, suppressed_bytes=111)


def no_scan():
    """Where nobody could look, nothing is called lost, and why is said."""
    with Sandbox() as box:
        for arguments, options, why in ((("leak",), {"LEAK_CHECK": "off"}, "off: POOLPROF_LEAK_CHECK=off"),
                                        (("leak",), {"TRACK": "off"}, "off: sample mode"),
                                        (("leak", "abort"), {}, "failed: the process died without an end of its own")):
            done = box.run("annotated", *arguments, options=options)
            report = read_report(box.profile_of(done.pid), False)
            check(report["leaks"]["scan"] == why, report["leaks"]["scan"])
            check(all(site["kind"] == "outstanding" for site in report["sites"]), report["sites"])
            check(report["leaks"]["lost_objects"] == 0, report["leaks"])


def children():
    """A child waits until it has been looked at; its row says what it lost."""
    def rows():
        with Sandbox() as box:
            program = os.path.join(PROGRAMS, "annotated")
            done = box.run("/bin/sh", "-c", f"{program} leak; {program} leak leak; {program}; exit 0",
                           options={"REPORT": "json"})
            found = json.loads(done.err)["children"]
            scans = [read_report(row["profile"], False)["leaks"]["scan"] for row in found]
            return found if scans == ["done"] * 3 else []
    check([row["lost_bytes"] for row in looked_at(rows)] == [111, 222, 0], "lost")


def children_of(pid):
    found = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
            found += [int(child) for child in file.read().split()]
    return found


def live(rounds=1):
    """Scans of a busy program: one object is lost, never another. It goes on all the time, and of its copies
    one at most is still to be cleared away."""
    with Sandbox() as box:
        process = box.start("annotated", "busy", stdin=subprocess.PIPE)
        check(process.stdout.readline() == "ready 1\n", "start")
        for _ in range(rounds):
            done = poolprof("report", process.pid, "--leaks", "--format", "json", "--no-symbols")
            check(done.returncode == 0, "status", done.returncode, done.stderr)
            report = json.loads(done.stdout)
            leaks_of(report, lost_objects=1, lost_bytes=111)
            check(process.poll() is None, "it has ended", process.returncode)
            check(" the program stood still for " in done.stderr, done.stderr)
        check(len(children_of(process.pid)) <= 2, "children", children_of(process.pid)) # the watcher's stub is one
        found = poolprof("report", process.pid, "--leaks", "--check")
        check(found.returncode == 1, "--check: status", found.returncode)
        process.communicate("x", timeout=100)
        check(process.returncode == 0, "status", process.returncode)
        leaks_of(read_report(box.profile_of(process.pid), False), lost_objects=1)


def refused():
    """Another tracer holds the process: its stacks count as a whole, and the report says so."""
    with Sandbox() as box:
        process = box.start("annotated", "busy", stdin=subprocess.PIPE)
        check(process.stdout.readline() == "ready 1\n", "start")
        check(LIBC.ptrace(PTRACE_SEIZE, process.pid, None, None) == 0, "ptrace", ctypes.get_errno())
        process.communicate("x", timeout=100)
        report = read_report(box.profile_of(process.pid), False)
        spot = [spot for spot in report["blind_spots"] if spot["what"] == "thread_registers"]
        check(report["leaks"]["scan"] == "done" and len(spot) == 1 and 7 <= spot[0]["count"] <= 8, report["leaks"], spot)


def refused_live(rounds=1):
    """The same while it runs: it copies itself when it is asked, and lost is what is so in several copies."""
    with Sandbox() as box:
        process = box.start("annotated", "busy", stdin=subprocess.PIPE)
        check(process.stdout.readline() == "ready 1\n", "start")
        check(LIBC.ptrace(PTRACE_SEIZE, process.pid, None, None) == 0, "ptrace", ctypes.get_errno())
        for _ in range(rounds):
            done = poolprof("report", process.pid, "--leaks", "--format", "json", "--no-symbols")
            check(done.returncode == 0, "status", done.returncode, done.stderr)
            report = json.loads(done.stdout)
            leaks_of(report, lost_objects=1, lost_bytes=111)
            spot = [spot for spot in report["blind_spots"] if spot["what"] == "thread_registers"]
            check(len(spot) == 1 and 7 <= spot[0]["count"] <= 8, spot)
        process.communicate("x", timeout=100)
        check(process.returncode == 0, "status", process.returncode)


def without_ptrace():
    """Before exec: root's right to look all the same is given up."""
    LIBC.prctl(PR_CAPBSET_DROP, CAP_SYS_PTRACE, 0, 0, 0)


def waits(rounds, *arguments, **more):
    """Scans of a program whose threads are in calls of all kinds that wait: none is interrupted."""
    with Sandbox() as box:
        process = box.start("waits", *arguments, stdin=subprocess.PIPE, **more)
        check(process.stdout.readline() == "ready\n", "start")
        begun = time.monotonic()
        for _ in range(rounds):
            done = poolprof("report", process.pid, "--leaks", "--format", "json", "--no-symbols", **more)
            if done.returncode != 0 or process.poll() is not None:
                break # it says why
            report = json.loads(done.stdout)
            leaks_of(report)
            registers = [spot["count"] for spot in report["blind_spots"] if spot["what"] == "thread_registers"]
            check(registers == ([23] if arguments else []), "threads that were not stopped:", registers)
        time.sleep(max(0.0, begun + 2 - time.monotonic()))
        out, err = process.communicate("x", timeout=100)
        counts = [int(line.split()[0]) for line in out.splitlines() if line[0].isdigit()]
        check(process.returncode == 0 and len(counts) >= 40 and min(counts) > 0, process.returncode, out, err)


def states_of(pid):
    found = set()
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/stat", encoding="ascii") as file:
            found.add(file.read().rsplit(")", 1)[1].split()[0])
    return found


def stop_and_wait(box, arguments, told, ask):
    """A parent: it stops its child, hears of that, and says whether it has heard of anything else meanwhile."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    process = box.start("annotated", *arguments, stdin=subprocess.PIPE)
    process.stdout.readline()
    os.kill(process.pid, signal.SIGSTOP)
    os.waitpid(process.pid, os.WUNTRACED)
    while signal.sigtimedwait({signal.SIGCHLD}, 0):
        pass
    told.write(f"{process.pid}\n")
    told.flush()
    ask.readline()
    heard = signal.sigtimedwait({signal.SIGCHLD}, 0)
    waited = os.waitpid(process.pid, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
    os.kill(process.pid, signal.SIGCONT)
    process.communicate("x", timeout=100)
    told.write(f"{heard} {waited} {process.returncode}\n")
    told.flush()


def while_stopped(arguments, look):
    """`look(pid)` at a program that is stopped, and stays so."""
    with Sandbox() as box:
        (told_read, told), (ask, ask_write) = os.pipe(), os.pipe()
        parent = os.fork()
        if parent == 0:
            os.close(ask_write)
            try:
                stop_and_wait(box, arguments, os.fdopen(told, "w"), os.fdopen(ask))
            finally:
                os._exit(0)
        os.close(told)
        os.close(ask)
        with os.fdopen(told_read) as answers, os.fdopen(ask_write, "w") as questions:
            pid = int(answers.readline())
            begun = time.monotonic()
            look(pid)
            check(time.monotonic() - begun < 100, "it took", time.monotonic() - begun, "s")
            check(states_of(pid) == {"T"}, "threads are", states_of(pid))
            questions.write("\n")
            questions.flush()
            answer = answers.readline()
            check(answer == "None (0, 0) 0\n", "the parent has heard, has waited for, status:", answer)
        os.waitpid(parent, 0)


def stopped():
    """A program that a signal has stopped, as ^Z does: looked through as it stands, and nobody hears of it."""
    def lost(pid): # not yet, where the watcher's clock is late: what is of its last tick counts as reachable
        done = poolprof("report", pid, "--leaks", "--format", "json", "--no-symbols")
        check(done.returncode == 0 and "was stopped and still is" in done.stderr, done.returncode, done.stderr)
        found = json.loads(done.stdout)
        return found if found["leaks"]["lost_objects"] > 0 else None

    def look(pid):
        leaks_of(looked_at(lambda: lost(pid)), lost_objects=1, lost_bytes=111)
        done = poolprof("ctl", pid, "leaks")
        check(json.loads(done.stdout)["data"]["lost_bytes"] == 111, done.stdout, done.stderr)
        check(poolprof("why", pid, 1).returncode == 0, "why")
    while_stopped(["stops", "busy"], look)


def stopped_refused():
    """The same where it may not be looked at: what can be done is said, at once."""
    def look(pid):
        done = poolprof("report", pid, "--leaks", "--format", "json", "--no-symbols",
                        preexec_fn=without_ptrace)
        scan = json.loads(done.stdout)["leaks"]["scan"]
        check(scan.startswith("failed: ") and "let it go on (kill -CONT)" in scan, scan, done.stderr)
    while_stopped(["unreadable", "stops", "busy"], look)


def not_to_be_read():
    """A program that has made itself unreadable is asked for a copy, too: exact, for it has one thread."""
    def report():
        with Sandbox() as box:
            done = box.run("annotated", "unreadable", "leak", preexec_fn=without_ptrace)
            check(done.returncode == 3, "status", done.returncode, done.err)
            found = read_report(box.profile_of(done.pid), False)
            return found if found["leaks"]["scan"] == "done" else None
    leaks_of(looked_at(report), lost_objects=1, lost_bytes=111)


ADDED = {"definitely": "lost", "indirectly": "indirect", "possibly": "possible"}


def added_by_valgrind(box):
    """In the last of its summaries, "40 (+8) bytes in 2 (+1) blocks"."""
    env = box.environment()
    env.pop("LD_PRELOAD", None)
    log = box.path("valgrind.log")
    subprocess.run(["valgrind", "--leak-check=full", "--show-leak-kinds=all", f"--log-file={log}",
                    os.path.join(PROGRAMS, "delta")], env=env, check=True, timeout=100, **dict.fromkeys(
                        ("stdin", "stdout"), subprocess.DEVNULL))
    with open(log, encoding="utf-8") as file:
        rows = re.findall(r"(definitely|indirectly|possibly) lost: \S+ \(\+(\S+)\) bytes in \S+ \(\+(\S+)\) blocks",
                          file.read())
    return {ADDED[kind]: (int(objects), int(size)) for kind, size, objects in rows}


def delta():
    """What was lost since the last mark, as valgrind tells what was added since its last check."""
    with Sandbox() as box:
        process = box.start("delta", stdin=subprocess.PIPE)
        check(process.stdout.readline() == "one\n", "start")
        done = poolprof("ctl", process.pid, "mark")
        check(done.returncode == 0, done.stdout, done.stderr)
        process.stdin.write("\n")
        process.stdin.flush()
        check(process.stdout.readline() == "two\n", "second generation")
        done = poolprof("report", process.pid, "--leaks", "--marked", "--format", "json", "--no-symbols")
        check(done.returncode == 0, done.stderr)
        found = json.loads(done.stdout)["leaks"]
        process.communicate("\n", timeout=100)
        found = {kind: (found[f"{kind}_objects"], found[f"{kind}_bytes"]) for kind in ADDED.values()}
        check(found == {"lost": (4, 168), "indirect": (2, 96), "possible": (1, 300)}, found)
        if shutil.which("valgrind") and os.path.exists("/usr/include/valgrind/memcheck.h"):
            theirs = added_by_valgrind(box)
            check(theirs == found, "valgrind says", theirs, "poolprof", found)


CASES = {"delta": delta, "annotations": annotations, "checks": checks, "exitcode": exitcode, "check_option": check_option,
         "suppressions": suppressions, "own_suppressions": own_suppressions, "built_in": built_in, "no_scan": no_scan, "children": children, "live": lambda: live(int(os.environ.get("LIVE_SCANS", "10"))),
         "refused": refused, "refused_live": lambda: refused_live(int(os.environ.get("REFUSED_SCANS", "2"))),
         "not_to_be_read": not_to_be_read, "asked_by_nobody": asked_by_nobody, "reported": reported, "stopped": stopped,
         "waits": lambda: waits(int(os.environ.get("WAITS_SCANS", "15"))),
         "waits_refused": lambda: waits(int(os.environ.get("WAITS_SCANS", "3")), "unreadable", preexec_fn=without_ptrace), "stopped_refused": stopped_refused}

if __name__ == "__main__":
    main(CASES)

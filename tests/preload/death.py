"""Every way to die leaves a profile with exact outstanding blocks and the right end and status; at normal
ends the report is on stderr before the parent can see the process's end."""
import os
import signal
import subprocess
import time

from driver import SHELL, Sandbox, check, check_outstanding, main, outstanding, read_report

# way: (end, exit status as Popen says it, atexit handlers ran)
WAYS = {
    "return": ("exit", 0, True), "exit": ("exit", 23, True), "exit_thread": ("exit", 23, True),
    "pthread_exit": ("exit", 0, True), "_exit": ("_exit", 23, False), "_Exit": ("_exit", 23, False),
    "quick_exit": ("quick_exit", 23, False), "raw_exit": (None, 23, False),
    "abort": ("signal:6", -signal.SIGABRT, False), "throw": ("signal:6", -signal.SIGABRT, False),
    "segv": ("signal:11", -signal.SIGSEGV, False), "overflow": ("signal:11", -signal.SIGSEGV, False),
    "fpe": ("signal:8", -signal.SIGFPE, False), "exec": ("exec", 23, False),
    "exec_failed": ("exit", 23, True),
}


def check_blocks(report, handlers_ran, small=5):
    check_outstanding(report, "leak_small", small, small * 100)
    check_outstanding(report, "leak_large", 3, 210000)
    check_outstanding(report, "leak_new", 1, 33)
    kept = (0, 0) if handlers_ran else (1, 1000)
    check(outstanding(report, "freed_at_exit") == kept, "freed_at_exit:", outstanding(report, "freed_at_exit"))


def die(way):
    end, status, handlers_ran = WAYS[way]
    with Sandbox() as box:
        done = box.run("death", way)
        check(done.returncode == status, "status", done.returncode, "should be", status, done.err)
        report = box.report(done.pid, "death")
        check(end is None or report["process"]["end"] == end, "end is", report["process"]["end"], "not", end)
        if end in ("exit", "_exit", "quick_exit"):
            check(report["process"]["status"] == status, "status told", report["process"]["status"])
            check(done.err == "", "words on stderr:", done.err)
        check_blocks(report, handlers_ran, 6 if way == "exec_failed" else 5)
        if way == "exec":
            check(box.report(done.pid, SHELL)["process"]["end"] in ("exit", "_exit"), "the new image's profile")


def killed(number, end):
    with Sandbox() as box:
        process = box.start("death", "wait")
        check(process.stdout.readline() == "ready\n", "did not start")
        os.kill(process.pid, number)
        process.communicate()
        check(process.returncode == -number, "status", process.returncode)
        report = box.report(process.pid)
        check(report["process"]["end"] == end, "end is", report["process"]["end"])
        check_blocks(report, False)


def killed_at_work():
    """SIGKILL in the middle of six threads' work: the torn segment is still read, off by a few calls."""
    for delay in (0.05, 0.15, 0.3):
        with Sandbox() as box:
            process = box.start("stress", 100000000, 3)
            time.sleep(delay)
            process.kill()
            process.communicate()
            report = read_report(box.profile_of(process.pid), whole=False)
            totals, held = report["totals"], sum(site["objects"] for site in report["sites"])
            check(totals["allocations"] > 1000, "allocations", totals)
            check(abs(held - (totals["allocations"] - totals["frees"])) <= 20, "held", held, "totals", totals)
            check(report["process"]["end"] == "signal:9", report["process"])


def report_first(way):
    """Looks at the file the moment wait() returns; once more with a pipe read to its end."""
    end, status, _ = WAYS[way]
    with Sandbox() as box:
        with open(box.path("stderr"), "w+", encoding="utf-8") as file:
            process = box.start("death", way, options={"REPORT": "text", "LOG_LEVEL": "info"}, stderr=file)
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            file.seek(0)
            text = file.read()
            process.communicate()
        check("leak_large" in text and "poolprof:" in text, way, "report not there at the end:", text[:500])
        done = box.run("death", way, options={"REPORT": "json", "LOG_LEVEL": "info"})
        check(done.returncode == status and '"poolprof.report/1"' in done.err, way, "pipe:", done.err[:500])
        check(done.out == "", "words on stdout:", done.out)


def substitution():
    """x=$(prog 2>&1) returns as soon as the program has ended, report included."""
    with Sandbox() as box:
        env = box.environment(REPORT="text", LOG_LEVEL="info")
        preload = env.pop("LD_PRELOAD", "")
        program = os.path.join(os.environ["PP_PROGRAMS"], "hello")
        done = subprocess.run(["bash", "-c", f'x=$(LD_PRELOAD={preload} {program} 2>&1); echo "$?"; echo "$x"'],
                              env=env, text=True, stdout=subprocess.PIPE, timeout=20)
        check(done.stdout.startswith("5\n") and "to stdout" in done.stdout, done.stdout)
        check("leak_big" in done.stdout, "no report:", done.stdout)


CASES = {way: lambda way=way: die(way) for way in WAYS}
CASES["sigkill"] = lambda: killed(signal.SIGKILL, "signal:9")
CASES["sigterm"] = lambda: killed(signal.SIGTERM, "signal:15")
for each in ("return", "exit", "_exit", "quick_exit", "exit_thread"):
    CASES["report_first_" + each] = lambda way=each: report_first(way)
CASES["killed_at_work"] = killed_at_work
CASES["substitution"] = substitution

if __name__ == "__main__":
    main(CASES)

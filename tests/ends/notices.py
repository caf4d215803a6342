"""The host notices nothing, and starts of every kind: what notice.c and early.c check of themselves, python's warnings,
environments of children, namespaces; totals during storms of children."""
import os
import signal
import subprocess
import sys
import time

from ends import (BARE, ENDS, PROGRAM, Box, blind, check, check_outstanding, main, namespaces, outstanding, parent_of,
                  read_report, wait_until)


def plain(what, *arguments, **options):
    with Box() as box:
        done = box.run("notice", what, *arguments, options=options)
        check(done.returncode == 0 and not done.err, what, "status", done.returncode, done.err)
        report = box.report(done.pid)
        check(report["process"]["end"] == "exit", report["process"])
        return report


def watcher_dies(what):
    """Nor does it notice when its watcher and the stub are killed."""
    plain(what)
    for victim in ("watcher", "stub"):
        with Box() as box:
            process = box.start("notice", what, options={"LOG_LEVEL": "error"})
            check(process.stdout.readline() == "ready\n", "start")
            watcher = box.watchers()[0]
            os.kill(watcher if victim == "watcher" else parent_of(watcher), signal.SIGKILL)
            out, err = process.communicate(timeout=30)
            check(process.returncode == 0, what, victim, "status", process.returncode, err)


def storm():
    for kind in ("fork", "_Fork", "raw", "clone", "vfork", "spawn"):
        with Box() as box:
            done = box.run("notice", "storm", kind)
            check(done.returncode == 0 and not done.err, kind, "status", done.returncode, done.err)
            with open(box.path("expect"), encoding="ascii") as file:
                held = int(file.read().split("held=")[1])
            report = box.report(done.pid, "notice")
            check_outstanding(report, "leak_storm", held, held * 123)
            totals = report["totals"]
            check(400000 <= totals["allocations"] < 402000, kind, totals) # spawn, fork: a few of libc's own
            check_outstanding(report, "leak_in_child", 0, 0)


def threads():
    report = plain("threads")
    check_outstanding(report, "leak_thread", 300, 10800)


def loader():
    with Box() as box:
        done = box.run("notice", "loader", os.path.join(ENDS, "libends_plugin.so"))
        check(done.returncode == 0 and not done.err, done.returncode, done.err)
        check_outstanding(box.report(done.pid), "plugin_allocate", 300, 13200)


def early():
    """A library's constructor before ours allocates, has thread_local objects, has a thread, forks, spawns and fails to
    exec; the program allocates before all constructors."""
    for run in (False, True):
        with Box(run) as box:
            done = box.run("early", options={"LOG_LEVEL": "warn"})
            check(done.returncode == 8 and not done.err, done.returncode, done.err)
            report = read_report(box.only_profile("early"))
            check_outstanding(report, "leak_early", 9, 693)
            check_outstanding(report, "leak_early_thread", 2, 156)
            check_outstanding(report, "leak_object", 2, 160)
            check_outstanding(report, "make_object", 0, 0)
            check_outstanding(report, "leak_main", 3, 237)
            check_outstanding(report, "leak_preinit", 4, 324)
            check(report["process"]["end"] == "exit" and report["process"]["status"] == 8, report["process"])
            wait_until(lambda: "true" in [name.split(".")[0] for name in box.profiles()], "the spawned child's profile")
            box.check_gone()


def environment():
    """A child's environment and auxiliary files are the parent's: nothing added, nothing lost, same order."""
    script = "import os, subprocess; print(subprocess.run(['/usr/bin/env'], stdout=subprocess.PIPE, text=True).stdout); " \
             "print(subprocess.run(['sh', '-c', 'env; env -i /usr/bin/env; umask; pwd; ulimit -a'], stdout=subprocess.PIPE, text=True).stdout)"
    with Box() as box:
        env = box.environment()
        bare = box.run("/usr/bin/python3", "-c", script, env={k: v for k, v in env.items() if k != "LD_PRELOAD"})
        done = box.run("/usr/bin/python3", "-c", script, env=env)
        seen = [line for line in done.out.splitlines() if not line.startswith("LD_PRELOAD=")]
        check(bare.returncode == done.returncode == 0 and bare.out.splitlines() == seen, "differs:",
              sorted(set(bare.out.splitlines()) ^ set(seen)), done.err)
        check(BARE or "LD_PRELOAD=" in done.out, "no preload in the child")
        box.profile_of(done.pid)


def python_forks():
    """`python3 -W error`: os.fork in a process with threads would warn; none of ours is there."""
    script = "import os, warnings, sys\nfor i in range(20):\n p = os.fork()\n if p == 0: os._exit(3)\n" \
             " assert os.waitpid(p, 0)[1] == 768\nassert len(os.listdir('/proc/self/task')) == 1\n" \
             "try:\n os.wait()\n sys.exit(1)\nexcept ChildProcessError: pass\nprint('fine')"
    for interpreter in {"/usr/bin/python3", sys.executable}:
        with Box() as box:
            done = box.run(interpreter, "-W", "error", "-c", script)
            check(done.returncode == 0 and done.out == "fine\n" and not done.err, interpreter, done.returncode, done.err)
            report = read_report(box.profile_of(done.pid))
            check(blind(report, "unprofiled_children") == 20, report["blind_spots"])


def end_of_file():
    """Readers of stdout, stderr and of a pipe inherited on a high descriptor see the end with the program's."""
    with Box() as box:
        for redirect in ("2>/dev/null", "2>&1 >/dev/null", "2>&1", "3>&1 >/dev/null 2>/dev/null", "9>&1 >/dev/null 2>/dev/null"):
            begun = time.monotonic()
            done = box.shell(f"x=$($PRELOAD $B/tree sleeper 0.2 {redirect}); echo status $?")
            check(done.out == "status 0\n" and time.monotonic() - begun < 5, redirect, done.out, done.err)
        process = box.start("/bin/bash", "-c", "exec >&- 2>&-; sleep 2")
        begun = time.monotonic()
        process.stdout.read(), process.stderr.read()
        check(time.monotonic() - begun < 1.8, "the end came after", time.monotonic() - begun)
        process.wait()
        box.profile_of(process.pid)


def locks_and_mounts():
    """Nothing of ours keeps the working directory or an unlinked file's file system busy, nor an flock held."""
    with Box() as box:
        done = box.shell("exec 8>lock; flock -x 8; $PRELOAD sleep 0.1 & exec 8>&-; wait; flock -n -x lock echo free")
        check(done.out == "free\n", done.out, done.err)
        box.only_profile("sleep")


CASES = {"waits": lambda: watcher_dies("wait"), "sigchld": lambda: watcher_dies("sigchld"),
         "errnos": lambda: plain("errno"), "tracer": lambda: plain("tracer"), "descriptors": lambda: plain("fd")}
CASES.update({case.__name__: case for case in (storm, threads, loader, early, environment, python_forks, end_of_file,
                                               locks_and_mounts)})

if __name__ == "__main__":
    main(CASES)

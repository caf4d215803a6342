"""The watcher killed or stopped at each of its stages. The host's status, output and time are its own; there is a
profile, or a line on stderr says that there is none."""
import os
import random
import signal
import subprocess
import time

from ends import (BARE, ENDS, PROGRAM, PROGRAMS, Box, alive, check, check_outstanding, json_in, main, parent_of,
                  read_report, wait_until)

HELLO = os.path.join(PROGRAMS, "hello")


def begin(box, **options):
    process = box.start(HELLO, "wait", options={"LOG_LEVEL": "warn", **options}, stdin=-1)
    check(process.stdout.readline() == "ready\n", "did not start")
    return process


def finish(process, seconds):
    begun = time.monotonic()
    process.stdin.write("go\n")
    process.stdin.close()
    process.stdin = None
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    took = time.monotonic() - begun
    out, err = process.communicate(timeout=30)
    check(process.returncode == 5 and out == "to stdout\n", "status", process.returncode, out, err)
    check(took < seconds, "took", took, "s")
    return err.replace("to stderr\n", "")


def profile_or_word(box, pid, err):
    if "poolprof" in err and not box.profiles():
        return
    check_outstanding(read_report(box.profile_of(pid)), "leak_big", 1, 200000)


def program(box, text):
    path = box.path("program")
    with open(path, "w", encoding="ascii") as file:
        file.write("#!/bin/sh\n" + text)
    os.chmod(path, 0o755)
    return path


def never_takes():
    """A watcher that ends at once, one killed at once, one that cannot be executed: a brief report by the library."""
    for text in ("exit 1\n", "kill -9 $$\n", None):
        with Box() as box:
            path = program(box, text or "")
            if text is None:
                os.truncate(path, 0)
            process = begin(box, PROGRAM=path)
            err = finish(process, 3)
            check_outstanding(read_report(box.profile_of(process.pid)), "leak_big", 1, 200000)
            check("poolprof" in err, "nothing said:", err)
            box.check_gone()


def sleeps_for_ever():
    """A watcher that starts and never takes the tree: bounded waiting."""
    with Box() as box:
        process = begin(box, PROGRAM=program(box, "exec sleep 40\n"))
        err = finish(process, 13)
        profile_or_word(box, process.pid, err)


def killed_at_start():
    """As early as it can be seen, thirty times."""
    for _ in range(2 if BARE else 20):
        with Box() as box:
            process = box.start(HELLO, "wait", options={"LOG_LEVEL": "warn"}, stdin=-1)
            deadline = time.monotonic() + 2
            while time.monotonic() < deadline:
                children = []
                try:
                    with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as file:
                        children = file.read().split()
                    for stub in children:
                        with open(f"/proc/{stub}/task/{stub}/children", encoding="ascii") as file:
                            for watcher in file.read().split():
                                os.kill(int(watcher), signal.SIGKILL)
                                deadline = 0
                except OSError:
                    pass
            check(process.stdout.readline() == "ready\n", "did not start")
            err = finish(process, 3)
            profile_or_word(box, process.pid, err)


def killed_while_running():
    for what in ("watcher", "stub", "both"):
        with Box() as box:
            process = begin(box)
            watcher = box.watchers()[0]
            stub = parent_of(watcher)
            if what != "stub":
                os.kill(watcher, signal.SIGKILL)
            if what != "watcher":
                os.kill(stub, signal.SIGKILL)
            time.sleep(0.1)
            err = finish(process, 3)
            profile_or_word(box, process.pid, err)
            box.check_gone()


def killed_at_hand_over():
    """At random instants of the hand-over."""
    chance = random.Random(os.environ.get("PP_SEED", "1"))
    for _ in range(2 if BARE else 20):
        with Box() as box:
            process = begin(box)
            watcher = box.watchers()[0]
            process.stdin.write("go\n")
            process.stdin.close()
            process.stdin = None
            time.sleep(chance.random() * 0.06)
            try:
                os.kill(watcher, signal.SIGKILL)
            except OSError:
                pass
            begun = time.monotonic()
            out, err = process.communicate(timeout=30)
            check(process.returncode == 5 and out == "to stdout\n", process.returncode, out, err)
            check(time.monotonic() - begun < 3, "took", time.monotonic() - begun)
            profile_or_word(box, process.pid, err)


def stopped():
    """Stopped for good: at most 12 s, then the library's own report; by _exit as well."""
    with Box() as box:
        process = begin(box)
        watcher = box.watchers()[0]
        os.kill(watcher, signal.SIGSTOP)
        err = finish(process, 12.5)
        check("poolprof" in err, "nothing said:", err)
        profile_or_word(box, process.pid, err)
        if alive(watcher): # or killed, so that it lets go of stderr
            os.kill(watcher, signal.SIGCONT)
        box.check_gone()
        check(len(box.profiles()) <= 2, box.profiles())


def stopped_in_a_tree():
    """Children of a tree whose watcher is stopped do not wait at all; a child started then is not late either."""
    with Box() as box:
        process = box.start("/bin/bash", "-c", f"read x; time (for i in 1 2 3; do {ENDS}/tree leaf 3; done); echo ok; read x; exit 4",
                            stdin=-1)
        watcher = box.watchers()[0]
        os.kill(watcher, signal.SIGSTOP)
        begun = time.monotonic()
        process.stdin.write("go\n")
        process.stdin.flush()
        check(process.stdout.readline() == "ok\n", "children")
        took = time.monotonic() - begun
        os.kill(watcher, signal.SIGCONT)
        process.stdin.write("go\n")
        process.communicate(timeout=30)
        check(process.returncode == 4 and took < 3, "status", process.returncode, "children took", took)
        box.check_gone()
        check(len([n for n in box.profiles() if n.startswith("tree.")]) == 3, box.profiles())


def killed_in_a_tree():
    """The watcher dies while a child lives: child and first process end in time, a later child gets a watcher."""
    with Box() as box:
        process = box.start("/bin/bash", "-c", f"{ENDS}/tree sleeper 1 & echo ok; read x; {ENDS}/tree leaf 3; wait; exit 4",
                            stdin=-1, options={"LOG_LEVEL": "warn"})
        check(process.stdout.readline() == "ok\n", "start")
        wait_until(lambda: box.processes("tree"), "sleeper", 0.5 if BARE else 15)
        time.sleep(0.2)
        os.kill(box.watchers()[0], signal.SIGKILL)
        time.sleep(0.1)
        process.stdin.write("go\n")
        out, err = process.communicate(timeout=30)
        check(process.returncode == 4, "status", process.returncode, err)
        wait_until(lambda: not box.processes(), "all end")
        games = [name for name in box.profiles() if name.startswith("tree.")]
        check(len(games) >= 1, "profiles:", box.profiles(), err)
        check(len(games) == 2 or "poolprof" in err or box.segment_files(), "a child's data is lost:", box.profiles(), err)


CASES = {case.__name__: case for case in (
    never_takes, sleeps_for_ever, killed_at_start, killed_while_running, killed_at_hand_over, stopped, stopped_in_a_tree,
    killed_in_a_tree)}

if __name__ == "__main__":
    main(CASES)

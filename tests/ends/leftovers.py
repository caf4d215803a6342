"""`poolprof list` and what is left behind: live and orphaned segments, --prune, and nothing after a clean run."""
import os
import re
import signal
import subprocess
import time

from ends import (ENDS, LIBRARY, PROGRAM, PROGRAMS, Box, as_root, check, check_outstanding, main, namespaces,
                  outstanding, read_report, wait_until)

HELLO = os.path.join(PROGRAMS, "hello")


def poolprof(box, *words):
    env = box.environment()
    env.pop("LD_PRELOAD", None)
    return subprocess.run([PROGRAM, *words], env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          cwd=box.directory, timeout=30)


def lines_of(done, pid):
    return [line for line in done.stdout.splitlines() if f"{pid}" in line.replace("/", " ").replace(".", " ").split()]


def orphan(box):
    """A killed program's segment without a watcher."""
    process = box.start(HELLO, "wait", options={"WATCH": 0}, stdin=-1)
    check(process.stdout.readline() == "ready\n", "did not start")
    process.kill()
    process.communicate()
    check(len(box.segment_files()) == 1, "segments:", box.segment_files())
    return process.pid


def listed_and_pruned():
    with Box() as box:
        dead = orphan(box)
        process = box.start(HELLO, "wait", stdin=-1)
        check(process.stdout.readline() == "ready\n", "did not start")
        shown = poolprof(box, "list")
        check(shown.returncode == 0, shown.returncode, shown.stderr)
        live, gone = lines_of(shown, process.pid), lines_of(shown, dead)
        check(len(live) == 1 and "running" in live[0], "live:", shown.stdout)
        check(len(gone) == 1 and "running" not in gone[0], "orphan:", shown.stdout)
        segments = box.segment_files()
        report = read_report([path for path in segments if f"/{dead}." in path][0])
        check_outstanding(report, "leak_big", 1, 200000)
        pruned = poolprof(box, "list", "--prune")
        check(pruned.returncode == 0, pruned.returncode, pruned.stderr)
        left = box.segment_files()
        check(len(left) == 1 and f"/{process.pid}." in left[0], "left:", left)
        process.communicate("go\n", timeout=30)
        check(process.returncode == 5, process.returncode)
        shown = poolprof(box, "list")
        check(not [line for line in lines_of(shown, process.pid) if "running" in line], "ended, and:", shown.stdout)
        check([line for line in lines_of(shown, process.pid) if "poolprof" in line], "its profile:", shown.stdout)
        box.check_gone()


def prune_keeps_the_living():
    """A tree's child whose first process has ended, and an ended process whose watcher is still at work, are no
    orphans; a reused pid is one."""
    with Box() as box:
        done = box.run("tree", "leave", 600, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        check(done.returncode == 0, done.returncode)
        before = box.segment_files()
        check(before, "no segment of the child")
        check(poolprof(box, "list", "--prune").returncode == 0, "prune")
        check(box.segment_files() == before, "removed:", before, "left:", box.segment_files())
        for pid in box.processes("tree"):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: len(box.profiles()) == 2, "the child's profile")
        box.check_gone()
        dead = orphan(box)
        path = box.segment_files()[0]
        mine = os.path.join(os.path.dirname(path), f"{os.getpid()}.{os.path.basename(path).split('.')[1]}")
        os.rename(path, mine)
        check(poolprof(box, "list", "--prune").returncode == 0, "prune")
        check(not box.segment_files(), "the pid is another's, and left:", box.segment_files())
        del dead


def of_other_namespaces():
    """The pid of a container's process is another one's here: a living one's segment stays, a dead one's goes, with
    the socket of the watcher that died with it."""
    as_root()
    namespaces("-p", "-f", "-m")
    inside = ["unshare", "-p", "-f", "--kill-child", "--mount-proc", "env", f"LD_PRELOAD={LIBRARY}"]
    with Box() as box:
        env = box.environment()
        del env["LD_PRELOAD"]
        process = subprocess.Popen([*inside, HELLO, "wait"], env=env, text=True, cwd=box.directory,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        check(process.stdout.readline() == "ready\n", "did not start")
        living = box.segment_files()
        check(len(living) == 1, living)
        died = subprocess.run([*inside, os.path.join(ENDS, "die"), "segv"], env=env, cwd=box.directory, timeout=30)
        check(died.returncode != 0, died.returncode)
        dead = [path for path in box.segment_files() if path not in living]
        check(len(dead) == 1 and "/1." in dead[0], dead)
        shown = {line.split()[-1]: line for line in poolprof(box, "list").stdout.splitlines() if "pid 1 " in line}
        check(shown[living[0]].startswith("  in use "), shown)
        check(shown[dead[0]].startswith("  dead "), shown)
        check(read_report(dead[0])["process"]["end"] == "unknown", "its end")
        check(dead[0] in poolprof(box, "list").stdout and "poolprof merge -o FILE PATH" in poolprof(box, "list").stdout, "the hint")
        kept = poolprof(box, "merge", "-o", "kept.poolprof", dead[0])
        check(kept.returncode == 0, "merge", kept.stderr)
        held = [outstanding(read_report(path), "leak_large") for path in (dead[0], box.path("kept.poolprof"))]
        check(held[0] == held[1] != (0, 0), "kept:", held)
        pruned = poolprof(box, "list", "--prune")
        check(pruned.returncode == 0, "prune", pruned.stderr)
        check(box.segment_files() == living, "left:", box.segment_files(), pruned.stdout)
        check(not os.path.exists(dead[0] + ".ctl"), "the dead watcher's socket is left")
        process.communicate("go\n", timeout=30)
        check(not box.segment_files(), "ended, and left:", box.segment_files())


def same_pid_at_once():
    """First processes of two containers that share the directory, started within one tick: a tree each."""
    as_root()
    namespaces("-p", "-f", "-m")
    one = "unshare -p -f --kill-child --mount-proc $PRELOAD $B/die exit &"
    with Box() as box:
        box.shell(f"for i in 1 2 3 4 5; do {one} {one} wait; done", OUTPUT="%n.%t.%p.poolprof")
        check(len(box.profiles()) == 10, box.profiles())
        for name in box.profiles():
            report = read_report(box.path(name))
            check(report["process"]["end"] == "exit" and not report["children"], report["process"], report["children"])
        check(not box.segment_files(sockets=True), "left:", box.segment_files(sockets=True))


def prune_of_sockets():
    """Of a watcher that was killed, where the segment of that name has gone; one that is listened on stays."""
    with Box() as box:
        done = box.run("tree", "leave", 600, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        check(done.returncode == 0, done.returncode)
        sockets = [path for path in box.segment_files(sockets=True) if path.endswith(".ctl")]
        check(len(sockets) == 1 and f"/{done.pid}." in sockets[0], sockets)
        pruned = poolprof(box, "list", "--prune")
        check(pruned.returncode == 0 and os.path.exists(sockets[0]), "a living watcher's socket is gone", pruned.stdout)
        for pid in box.watchers() + box.processes("tree"):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not box.processes(), "all dead")
        for path in box.segment_files():
            os.unlink(path)
        pruned = poolprof(box, "list", "--prune")
        check(pruned.returncode == 0 and "removed 0 segments and 1 socket of" in pruned.stdout, pruned.stdout, pruned.stderr)
        check(not box.segment_files(sockets=True), "left:", box.segment_files(sockets=True))


def clean_run():
    """Nothing is left in the segment directory, the working directory, /tmp and /dev/shm."""
    def seen(box):
        names = set()
        for place in ("/tmp", "/dev/shm", f"/dev/shm/poolprof-{os.getuid()}", f"/tmp/poolprof-{os.getuid()}"):
            if os.path.isdir(place):
                names |= {f"{place}/{name}" for name in os.listdir(place)}
        return names
    with Box() as box:
        known = []
        for arguments in ((HELLO,), ("die", "abort"), ("die", "_exit"), ("die", "signal9"), ("tree", "spawn", 7),
                          ("tree", "chain"), ("tree", "forked", 3), ("die", "exec")):
            for auto in ({}, {"SEGMENT_DIR": "auto"}):
                before = seen(box)
                done = box.run(*arguments, options=auto)
                box.check_gone()
                known.append(done.pid)
                fresh = {name for name in seen(box) - before if str(done.pid) in name or "poolprof" in name.lower()}
                fresh = {name for name in fresh if f"/{done.pid}." in name or f".{done.pid}." in name}
                check(not fresh, arguments, "left:", fresh)
        others = [name for name in os.listdir(box.directory) if not re.fullmatch(r".*\.\d+\.poolprof(\.\d+)?", name)]
        check(not others, "in the working directory:", others)
        check(len(box.profiles()) >= len(known), "profiles", len(box.profiles()))


CASES = {case.__name__: case for case in (listed_and_pruned, prune_keeps_the_living, of_other_namespaces, same_pid_at_once, prune_of_sockets, clean_run)}

if __name__ == "__main__":
    main(CASES)

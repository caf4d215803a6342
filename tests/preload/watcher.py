"""The watcher dies or is stopped in the middle: the host runs on and ends in time with its own status."""
import os
import select
import signal
import subprocess
import time

from driver import BARE, PROGRAM, Sandbox, check, check_outstanding, main


def watcher_of(pid):
    """Our own host's watcher: a `poolprof watch` process that holds a pidfd of the host, or names it."""
    deadline = time.monotonic() + (0.3 if BARE else 5)
    while time.monotonic() < deadline:
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                if watches(entry, pid):
                    return int(entry)
            except OSError:
                pass
        time.sleep(0.02)
    check(False, "no watcher of", pid)


def watches(entry, pid):
    with open(f"/proc/{entry}/cmdline", "rb") as file:
        words = file.read().split(b"\0")
    if len(words) < 2 or words[1] != b"watch" or not os.path.samefile(f"/proc/{entry}/exe", PROGRAM):
        return False
    for descriptor in os.listdir(f"/proc/{entry}/fdinfo"):
        with open(f"/proc/{entry}/fdinfo/{descriptor}", encoding="ascii") as file:
            if f"Pid:\t{pid}\n" in file.read():
                return True
    return str(pid).encode() in words


def begin(box):
    process = box.start("hello", "wait", options={"REPORT": "text", "LOG_LEVEL": "info"}, stdin=-1)
    check(process.stdout.readline() == "ready\n", "did not start")
    return process, watcher_of(process.pid)


def finish(process, seconds, afterwards=lambda: None):
    begun = time.monotonic()
    process.stdin.write("go\n")
    process.stdin.close()
    process.stdin = None
    try:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    finally:
        took = time.monotonic() - begun
        afterwards()
    out, err = process.communicate(timeout=30)
    check(process.returncode == 5 and out == "to stdout\n", "status", process.returncode, out, err)
    check(took < seconds, "took", took, "s")


def killed():
    with Sandbox() as box:
        process, watcher = begin(box)
        os.kill(watcher, signal.SIGKILL)
        time.sleep(0.2)
        finish(process, 12)
        report = box.report(process.pid, "hello") # by the library itself, or by a new watcher
        check_outstanding(report, "leak_big", 1, 200000)


def go_on(pid):
    """If it is still there: a program whose patience is over ends its watcher."""
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        pass


def stopped():
    with Sandbox() as box:
        process, watcher = begin(box)
        os.kill(watcher, signal.SIGSTOP)
        finish(process, 13, lambda: go_on(watcher))
        check_outstanding(box.report(process.pid, "hello"), "leak_big", 1, 200000)


def pipe_released():
    """A program that gives its stderr up lets the pipe's reader go on: the watcher does not hold it."""
    for redirect in ("2>&-", "2>/dev/null"):
        with Sandbox() as box:
            process = box.start("/bin/bash", "-c", f"exec {redirect}; read x; read x; exit 3", stdin=-1)
            watcher_of(process.pid)
            process.stdin.write("x\n")
            process.stdin.flush()
            readable = select.select([process.stderr], [], [], 5)[0]
            check(readable and process.stderr.read() == "", redirect, "the pipe is still held after 5 s")
            process.stdin.close()
            check(process.wait() == 3, "status", process.returncode)


def gone_afterwards():
    """The watcher ends by itself soon after its host, however the host ends, and with it the segment."""
    for end in (None, signal.SIGKILL):
        with Sandbox() as box:
            segments = box.path("segments")
            os.mkdir(segments, 0o700)
            process = box.start("hello", "wait", options={"SEGMENT_DIR": segments}, stdin=-1)
            check(process.stdout.readline() == "ready\n", "did not start")
            watcher = watcher_of(process.pid)
            check([name for _, _, names in os.walk(segments) for name in names], "no segment in SEGMENT_DIR")
            if end:
                process.send_signal(end)
            process.communicate("go\n")
            box.profile_of(process.pid)
            deadline = time.monotonic() + 10
            while os.path.exists(f"/proc/{watcher}") and time.monotonic() < deadline:
                time.sleep(0.05)
            check(not os.path.exists(f"/proc/{watcher}"), "the watcher stays")
            left = [name for _, _, names in os.walk(segments) for name in names]
            check(not left, "left in SEGMENT_DIR:", left)


def read_only():
    """By hand, on a segment that it cannot write to."""
    with Sandbox() as box:
        os.mkdir(box.path("segments"), 0o700)
        process = box.start("hello", "wait", options={"SEGMENT_DIR": box.path("segments")}, stdin=-1)
        check(process.stdout.readline() == "ready\n", "did not start")
        path, = (os.path.join(folder, name) for folder, _, names in os.walk(box.path("segments")) for name in names
                 if name.startswith(f"{process.pid}.") and name.count(".") == 1)
        fd = os.open(path, os.O_RDONLY)
        done = subprocess.run([PROGRAM, "watch", "--fd", str(fd)], pass_fds=[fd], stderr=subprocess.PIPE, text=True)
        os.close(fd)
        process.communicate("go\n")
        check(done.returncode == 3 and "segment cannot be mapped: Permission denied" in done.stderr, done)


if __name__ == "__main__":
    main({"killed": killed, "stopped": stopped, "pipe_released": pipe_released,
          "gone_afterwards": gone_afterwards, "read_only": read_only})

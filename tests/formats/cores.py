"""poolprof report CORE: the report of the process that a core dump is of."""
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess

from common import PROGRAMS, check, complains, poolprof, reported, skip
from driver import Sandbox, main

UNLIMITED = resource.RLIM_INFINITY


def ask_for_segment():
    """Shared file mappings, too, are to be in cores of this process."""
    with open("/proc/self/coredump_filter", "w", encoding="ascii") as file:
        file.write("0x3b")


def dump(box, whole=False, **more):
    """The crash program's core, its process."""
    with open("/proc/sys/kernel/core_pattern", encoding="ascii") as file:
        pattern = file.read().strip()
    if pattern[:1] in "|/" or resource.getrlimit(resource.RLIMIT_CORE)[1] == 0:
        skip(f"cores go to {pattern}")

    def prepare():
        resource.setrlimit(resource.RLIMIT_CORE, (UNLIMITED, UNLIMITED))
        if whole:
            ask_for_segment()

    done = box.run("crash", preexec_fn=prepare, **more)
    check(done.returncode == -signal.SIGABRT, done.returncode, done.err)
    cores = [name for name in os.listdir(box.directory) if name.startswith("core")]
    if not cores:
        skip("no core was dumped here")
    return box.path(cores[0]), done


def holds(report):
    sites = {(s["objects"], s["bytes"]) for s in report["sites"] if s["stack"][0]["function"] in ("hold", "main")}
    check(sites == {(5, 5000)}, report["sites"])


def same(report, expected):
    """All but where the profile is."""
    check(all(report[key] == expected[key] for key in ("process", "totals", "sites", "leaks")), report)


def kernel():
    """Found where the process put it, beside the core and here; only if it is this process's."""
    with Sandbox() as box:
        core, done = dump(box)
        profile, away = box.profile_of(done.pid), box.path("away")
        expected = reported(profile)
        holds(expected)
        check(expected["process"]["end"] == "signal:6", expected["process"])
        same(reported(core), expected)
        os.mkdir(away)
        core = shutil.move(core, away)
        same(reported(core), expected)  # where it was written
        profile = shutil.move(profile, away)
        same(reported(core), expected)  # beside the core
        profile = shutil.move(profile, box.directory)
        alone = shutil.move(core, box.path("core"))
        os.mkdir(box.path("there"))
        profile = shutil.move(profile, box.path("there"))
        same(json.loads(poolprof("report", alone, "--format", "json", cwd=box.path("there")).stdout), expected)  # here
        shutil.copy(profile, box.directory)
        with sqlite3.connect(os.path.join(box.directory, os.path.basename(profile))) as database:
            database.execute("UPDATE meta SET value = value + 1 WHERE key = 'nonce'")
        said = complains(3, "report", alone)
        check(f"core dump of process {done.pid}" in said and "crash" in said and "its profile" in said, said)
        poolprof("diff", alone, profile, "--check", status=3)
        os.rename(profile, box.path("found.1.poolprof"))
        poolprof("diff", alone, box.path("found.1.poolprof"), "--check")


def gcore():
    """Of a process that lives on, and after it ended."""
    if shutil.which("gcore") is None:
        skip("gcore is not installed")
    with Sandbox() as box:
        process = box.start("crash", "wait", stdin=subprocess.PIPE)
        check(process.stdout.readline() == "ready\n", "not ready")
        subprocess.run(["gcore", "-o", box.path("core"), str(process.pid)], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, timeout=60)
        core = box.path(f"core.{process.pid}")
        # What is only reserved is not in it, what is allocated is.
        check(os.stat(core).st_size < 256 << 20, os.stat(core).st_size)
        shown = subprocess.run(["gdb", "--nx", "--batch", "-ex", "p *(char*)kept[4]", os.path.join(PROGRAMS, "crash"), core],
                               text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True).stdout
        check("$1 = 65 'A'" in shown, shown)
        done = poolprof("report", core, "--format", "json")
        check("lives on" in done.stderr and done.stderr.count("\n") == 1, done.stderr)
        report = json.loads(done.stdout)
        holds(report)
        check(report["process"]["end"] == "running", report["process"])
        process.communicate("", timeout=60)
        box.profile_of(process.pid)
        report = reported(core)
        holds(report)
        check(report["process"]["end"] == "exit", report["process"])


def segment():
    """Without a watcher what a crash leaves is the segment."""
    with Sandbox() as box:
        core, done = dump(box, options={"WATCH": "0", "SEGMENT_DIR": box.directory})
        report = reported(core)
        holds(report)
        check(report["process"]["pid"] == done.pid, report["process"])


def alone():
    """The core has the segment if it was asked for; holes of the segment are not in it."""
    with Sandbox() as box:
        core, done = dump(box, whole=True)
        profile = box.profile_of(done.pid)
        expected = reported(profile)
        os.unlink(profile)
        report = reported(core)
        holds(report)
        check(report["process"]["end"] == "signal:6" and report["process"]["pid"] == done.pid, report["process"])
        check(report["sites"][0]["stack"] == expected["sites"][0]["stack"], report["sites"])
        check(report["totals"]["allocations"] == expected["totals"]["allocations"], report["totals"])
        check("core dump" in report["leaks"]["scan"] and report["profile"] == core, report["leaks"], report["profile"])
        check(os.stat(core).st_blocks * 512 < 64 << 20, os.stat(core))


def moment():
    """Of a process that lives on: as it was then."""
    if shutil.which("gcore") is None:
        skip("gcore is not installed")
    with Sandbox() as box:
        process = box.start("crash", "wait", stdin=subprocess.PIPE, preexec_fn=ask_for_segment)
        check(process.stdout.readline() == "ready\n", "not ready")
        subprocess.run(["gcore", "-o", box.path("core"), str(process.pid)], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, timeout=60)
        core = box.path(f"core.{process.pid}")
        for _ in range(2):
            report = reported(core)
            holds(report)
            check(report["process"]["end"] == "running", report["process"])
            process.communicate("" if process.poll() is None else None, timeout=60)


def unprofiled():
    with Sandbox() as box:
        core, done = dump(box, env={"PATH": os.environ["PATH"]})
        said = complains(3, "report", core)
        check(str(done.pid) in said and "was not profiled" in said, said)


def survives(core):
    done = subprocess.run([os.environ["PP_PROGRAM"], "report", core], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    check(done.returncode in (0, 3), done.returncode, done.stderr)


def hostile():
    with Sandbox() as box:
        core, _ = dump(box)
        with open(core, "rb") as file:
            whole = file.read(1 << 16)
        bad = box.path("bad")
        cases = [whole[:size] for size in (17, 18, 63, 64, 100, 500, 2000, 5000)]
        for at in (32, 40, 48, 54, 56, 58, 60, 64, 72, 96, 104, *range(0x300, 0x1800, 0x1c4)):
            for value in (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f"):
                cases.append(whole[:at] + value + whole[at + 4:])
        for case in cases:
            with open(bad, "wb") as file:
                file.write(case)
            survives(bad)


def hostile_segment():
    """In the core: its header says anything."""
    with Sandbox() as box:
        core, done = dump(box, whole=True)
        os.unlink(box.profile_of(done.pid))
        with open(core, "r+b") as file:
            whole = file.read()
            at = next(at for at in range(0, len(whole), 4096) if whole[at:at + 8] == b"poolprof")
            for field in range(8, 1024, 24):
                for value in (b"\xff" * 8, b"\0" * 8, b"\xff\xff\xff\xff\xff\0\0\0"):
                    os.pwrite(file.fileno(), value, at + field)
                    survives(core)
                os.pwrite(file.fileno(), whole[at + field:at + field + 8], at + field)
        holds(reported(core))


if __name__ == "__main__":
    main({f.__name__: f for f in (kernel, gcore, segment, alone, moment, unprofiled, hostile, hostile_segment)})

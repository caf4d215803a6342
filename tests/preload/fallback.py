"""When something is missing: no watcher, no program, no directory, no stderr, switched off. The host's
output and status are its own in every case; what can be kept is kept."""
import os
import shutil
import subprocess
import time

from driver import LIBRARY, PROGRAM, PROGRAMS, Sandbox, check, check_outstanding, main, read_report


def plain(done):
    check(done.returncode == 5, "status", done.returncode, done.err)
    check(done.out == "to stdout\n", "stdout:", done.out)


def brief(box, **options):
    """The library itself reports and leaves the segment under the profile's name."""
    done = box.run("hello", options={"REPORT": "text", "LOG_LEVEL": "info", **options})
    plain(done)
    check("hello" in done.err and "200000" in done.err.replace(",", "").replace("'", ""),
          "no brief report naming module and bytes:", done.err)
    check(" byte in 1 object\n" in done.err or " bytes in 1 object\n" in done.err, done.err)
    report = box.report(done.pid, "hello")
    check_outstanding(report, "leak_hello", 2, 100)
    check_outstanding(report, "leak_big", 1, 200000)
    check(report["process"]["end"] == "exit" and report["process"]["status"] == 5, report["process"])


def no_watch():
    with Sandbox() as box:
        brief(box, WATCH=0)
        done = box.run("hello", "nothing", options={"REPORT": "text", "LOG_LEVEL": "info", "WATCH": "0"})
        check("  0 bytes in 1 object\n" in done.err, done.err)


def no_program():
    with Sandbox() as box:
        brief(box, PROGRAM="/does/not/exist")


def lone_library():
    """The .so copied elsewhere, with nothing beside it."""
    with Sandbox() as box:
        place = box.path("lone/lib")
        os.makedirs(place)
        shutil.copy(LIBRARY, place)
        env = box.environment(REPORT="text", LOG_LEVEL="info")
        if "LD_PRELOAD" in env:
            env["LD_PRELOAD"] = os.path.join(place, os.path.basename(LIBRARY))
        done = box.run("hello", env=env)
        plain(done)
        check_outstanding(box.report(done.pid, "hello"), "leak_big", 1, 200000)


def no_watch_deaths():
    """Without a watcher: _exit and quick_exit save as well."""
    for way, end in (("_exit", "_exit"), ("quick_exit", "quick_exit")):
        with Sandbox() as box:
            done = box.run("death", way, options={"WATCH": 0})
            report = box.report(done.pid, "death")
            check_outstanding(report, "leak_large", 3, 210000)
            check(report["process"]["end"] == end, way, report["process"])


def unwritable():
    for place in ("/proc/none/%n.%p.poolprof", "/dev/null/x.%p", "does/not/exist/%p.poolprof"):
        with Sandbox() as box:
            for options in ({}, {"WATCH": 0}):
                done = box.run("hello", options={"OUTPUT": place, **options})
                plain(done)
                words = done.err.replace("to stderr\n", "")
                check("poolprof" in words and len(words.splitlines()) <= 3, place, options, "stderr:", words)


def existing_kept():
    """An existing file is kept, `.2` appended."""
    with Sandbox() as box:
        with open(box.path("mine.poolprof"), "w", encoding="utf-8") as file:
            file.write("precious")
        for _ in range(2):
            plain(box.run("hello", options={"OUTPUT": box.path("mine.poolprof")}))
        with open(box.path("mine.poolprof"), encoding="utf-8") as file:
            check(file.read() == "precious", "overwritten")
        check(len(box.profiles()) == 3, "profiles:", box.profiles())
        second = box.path("mine.poolprof.2")
        check(os.path.exists(second), "no .2:", box.profiles())
        check_outstanding(read_report(second), "leak_hello", 2, 100)


def closed_streams():
    for shell in ("2>&-", "0<&- 2>&-", "0<&- 1>&- 2>&-"):
        with Sandbox() as box:
            env = box.environment(REPORT="text", LOG_LEVEL="info")
            preload = env.pop("LD_PRELOAD", "")
            command = f"LD_PRELOAD={preload} {PROGRAMS}/hello {shell}; echo status $?"
            done = subprocess.run(["bash", "-c", command], env=env, text=True, timeout=30, cwd=box.directory,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            wanted = "status 5\n" if "1>" in shell else "to stdout\nstatus 5\n"
            check(done.stdout == wanted, shell, "stdout:", done.stdout)
            check(done.stderr == "", shell, "stderr:", done.stderr)
            check(len(box.profiles()) == 1, shell, "profiles:", box.profiles())
            check_outstanding(read_report(box.path(box.profiles()[0])), "leak_big", 1, 200000)


def disabled():
    """POOLPROF_ENABLE=0 passes through: no file, no word, quick; with 1 there is a profile."""
    with Sandbox() as box:
        done = box.run("hello", options={"ENABLE": 0, "REPORT": "text", "LOG_LEVEL": "debug"})
        plain(done)
        check(done.err == "to stderr\n" and not box.profiles(), "not silent:", done.err, box.profiles())
        done = box.run("hello", options={"ENABLE": 1})
        check_outstanding(box.report(done.pid), "leak_hello", 2, 100)


def output_none():
    with Sandbox() as box:
        done = box.run("hello", options={"OUTPUT": "none", "REPORT": "json", "LOG": box.path("log.%p")})
        plain(done)
        check(not [name for name in box.profiles() if not name.startswith("log")], box.profiles())
        with open(box.path(f"log.{done.pid}"), encoding="utf-8") as file:
            check('"poolprof.report/1"' in file.read(), "no JSON in the log file")


def track_off():
    """Totals only: figures without sites."""
    with Sandbox() as box:
        done = box.run("hello", options={"TRACK": "off"})
        plain(done)
        shown = subprocess.run([PROGRAM, "report", box.profile_of(done.pid), "--format", "json"],
                               stdout=subprocess.PIPE, text=True, timeout=30)
        check('"allocations"' in shown.stdout and "leak_big" not in shown.stdout, shown.stdout[:500])


def same_in_both():
    """What REPORT=json printed at the end and what `poolprof report` reads back agree."""
    import json
    with Sandbox() as box:
        done = box.run("hello", options={"REPORT": "json", "LOG": box.path("log.%n.%p")})
        plain(done)
        with open(box.path(f"log.hello.{done.pid}"), encoding="utf-8") as file:
            text = file.read()
        printed, read = json.loads(text[text.index("{"):]), box.report(done.pid)
        for key in ("totals", "process", "leaks", "sites", "peak"):
            check(printed[key] == read[key], key, "differs:", printed[key], read[key])


def run_program():
    """`poolprof run` finds the library itself, passes arguments, output and status on."""
    with Sandbox() as box:
        env = box.environment()
        env.pop("LD_PRELOAD", None)
        if os.environ.get("PP_BARE") == "1":
            check(False, "bare")
        command = [PROGRAM, "run", "-o", box.path("ran.poolprof"), "--", f"{PROGRAMS}/hello"]
        done = subprocess.run(command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30)
        plain(type("Done", (), {"returncode": done.returncode, "out": done.stdout, "err": done.stderr}))
        check_outstanding(read_report(box.path("ran.poolprof")), "leak_big", 1, 200000)
        done = subprocess.run([*command[:-1], f"{PROGRAMS}/death", "segv"], env=env, stderr=subprocess.PIPE, timeout=30)
        check(done.returncode in (-11, 139), "status of a signal:", done.returncode)


def quick():
    """A watched program ends without a noticeable delay."""
    with Sandbox() as box:
        done = box.run("hello")
        plain(done)
        box.profile_of(done.pid)
        begun = time.monotonic()
        for _ in range(5):
            plain(box.run("hello"))
        took = (time.monotonic() - begun) / 5
        check(took < 1.0, "a run takes", took, "s")


if __name__ == "__main__":
    main({case.__name__: case for case in (
        no_watch, no_program, lone_library, no_watch_deaths, unwritable, existing_kept, closed_streams, disabled,
        output_none, track_off, same_in_both, run_program, quick)})

"""leaks.py PROGRAM CASE...: the classes that the leak scan finds at a program's end are those that the case
says (cases.h) and those that valgrind finds in the same program, if it is installed."""
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../preload"))
from driver import PROGRAMS, Sandbox, check, looked_at, main, read_report

KINDS = ("lost", "indirect", "possible", "reachable")
VALGRIND_KINDS = {"Leak_DefinitelyLost": "lost", "Leak_IndirectlyLost": "indirect",
                  "Leak_PossiblyLost": "possible", "Leak_StillReachable": "reachable"}
# It does not look at registers of threads at exit, runs one thread at a time, and calls a thread's table of
# dynamic TLS possibly lost, with all that hangs on it.
OTHERWISE = {"register_of_a_blocked_thread", "busy_threads", "plugin_thread_local"}


def expected(text):
    found = dict.fromkeys(KINDS, (0, 0))
    for line in text.splitlines():
        kind, objects, size = line.split()
        found[kind] = (int(objects), int(size))
    return found


def add(found, kind, objects, size):
    found[kind] = (found[kind][0] + objects, found[kind][1] + size)


def by_poolprof(report, module):
    """Of the program's own allocations: those with a frame of it below the allocating function."""
    found = dict.fromkeys(KINDS, (0, 0))
    for site in report["sites"]:
        check(site["kind"] in KINDS, "kind is", site["kind"])
        if any(frame["module"] == module for frame in site["stack"][:-1]) and not is_libc(site["stack"]):
            add(found, site["kind"], site["objects"], site["bytes"])
    return found


def is_libc(stack):
    """A thread's own bookkeeping, made by pthread_create and its like."""
    if (stack[0]["module"] or "").startswith("ld-"):
        return True
    return any((frame["function"] or "").startswith(("pthread_create", "_dl_", "dlopen", "pthread_setspecific",
                                                     "__pthread", "__GI___pthread", "___pthread"))
               for frame in stack)


def by_valgrind(box, path, case, env):
    output = box.path("valgrind.xml")
    subprocess.run(["valgrind", "--leak-check=full", "--show-leak-kinds=all", "--xml=yes", f"--xml-file={output}",
                    "--num-callers=200", path, case], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   check=False, timeout=100)
    found = dict.fromkeys(KINDS, (0, 0))
    for error in xml.etree.ElementTree.parse(output).getroot().iter("error"):
        kind = VALGRIND_KINDS.get(error.findtext("kind"))
        frames = [{"function": frame.findtext("fn") or "", "module": os.path.basename(frame.findtext("obj") or "")}
                  for frame in error.find("stack")]
        if kind is None or not any(frame["module"] == os.path.basename(path) for frame in frames) or is_libc(frames):
            continue
        what = error.find("xwhat")
        size, blocks = int(what.findtext("leakedbytes")), int(what.findtext("leakedblocks"))
        text = what.findtext("text")
        if "(" in text: # "480 (48 direct, 432 indirect) bytes in 1 blocks"
            size = int(text.split("(")[1].split()[0].replace(",", ""))
        add(found, kind, blocks, size)
    return found


def run(program, case):
    with Sandbox() as box:
        plugin = os.path.join(PROGRAMS, "leaks_plugin.so")
        env = {**box.environment(SUPPRESSIONS_BUILTIN=0), "LEAKS_PLUGIN": plugin}

        def end():
            done = box.run(program, case, env=env)
            check(done.returncode == 0 and not done.err, "status", done.returncode, done.err)
            report = read_report(box.profile_of(done.pid), case != "busy_threads") # which are cut off in a call
            return (done, report) if report["leaks"]["scan"] == "done" else None
        done, report = looked_at(end)
        for kind in KINDS:
            for what in ("objects", "bytes"):
                total = sum(site[what] for site in report["sites"] if site["kind"] == kind)
                check(total == report["leaks"][f"{kind}_{what}"], kind, what, "sites:", total, report["leaks"])
        want, found = expected(done.out), by_poolprof(report, program)
        if case == "busy_threads": # what they hold right now is reachable, and changes
            found["reachable"] = want["reachable"]
            objects, size = found["lost"] # a stale word of theirs may point to where one of the lost lies
            check(4 <= objects <= 8 and size == objects * 4321 and found["possible"][0] <= 8 - objects, "poolprof finds", found)
            found["lost"], found["possible"] = want["lost"], want["possible"]
        check(found == want, "poolprof finds", found, "the case says", want)
        if case not in OTHERWISE and shutil.which("valgrind"):
            env.pop("LD_PRELOAD", None)
            theirs = by_valgrind(box, os.path.join(PROGRAMS, program), case, env)
            check(theirs == want, "valgrind finds", theirs, "the case says", want)


if __name__ == "__main__":
    name = sys.argv.pop(1)
    wanted = sys.argv[1:]
    main({case: (lambda case=case: run(name, case)) for case in wanted})

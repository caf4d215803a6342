"""Trees of processes: one watcher, one report by the first process, one line per child, each child's profile;
the watcher lets go of stderr with the first process and ends with the last."""
import os
import re
import signal
import subprocess
import sys
import time

from ends import (BARE, ENDS, PROGRAM, SHELL, REPORT_LINE, Box, Skip, alive, blind, check, check_outstanding, json_in,
                  main, name_of, outstanding, parent_of, read_report, wait_until)

CHILD_LINE = re.compile(r"^\s*child (\S+) \(pid (\d+)\): (.*)$", re.M)


def profile_in(box, path):
    return path if os.path.isabs(path) else box.path(path)


def told(out):
    """{pid: status, negative for a signal} as tree.c printed it."""
    return {int(pid): int(status) for pid, status in re.findall(r"^child (\d+) (-?\d+)$", out, re.M)}


def check_children(box, rows, wanted, function, held, ends=("exit",), name="tree", long_lived=False):
    check(sorted(row["pid"] for row in rows) == sorted(wanted), len(rows), "children listed,", len(wanted), "wanted",
          "missing", sorted(set(wanted) - {row["pid"] for row in rows})[:5])
    for row in rows:
        status = wanted[row["pid"]]
        check(os.path.basename(row["exe"]) == name, "exe", row)
        if status < 0:
            # A child that kills itself within its first moments may be reaped before the watcher has a pidfd of it,
            # and then nobody can tell how it died: it must say so.
            unknown = not long_lived and row["end"] == "unknown" and row["status"] == 0
            check(unknown or (row["end"] == f"signal:{-status}" and row["status"] == -status), "a child's end", row)
        else:
            check(row["end"] in ends and row["status"] == status, "a child's end", row, "status wanted", status)
        check(row["profile"] and os.path.exists(profile_in(box, row["profile"])), "no profile", row)
    for row in rows[:3] + rows[-3:]:
        report = read_report(profile_in(box, row["profile"]))
        check(report["process"]["pid"] == row["pid"], "the profile is another process's", row)
        check_outstanding(report, function, *held)


def spawned():
    """JSON and text reports of a program with 21 children that ended in seven ways."""
    for run in (False, True):
        with Box(run) as box:
            log = box.path("log")
            done = box.run("tree", "spawn", 21, options={"REPORT": "json", "LOG": log})
            check(done.returncode == 0 and not done.err, done.returncode, done.err)
            with open(log, encoding="utf-8") as file:
                report = json_in(file.read())
            check_children(box, report["children"], told(done.out), "leak_leaf", (3, 120))
            check_outstanding(report, "leak_tree", 1, 30)
            check(len(box.profiles()) == 22, "profiles", len(box.profiles()))
            box.check_gone()
    with Box() as box:
        done = box.run("tree", "spawn", 7, options={"REPORT": "text", "LOG_LEVEL": "info"})
        check(len(REPORT_LINE.findall(done.err)) == 1, "reports:", done.err)
        lines = CHILD_LINE.findall(done.err)
        children = told(done.out)
        check({int(pid) for _, pid, _ in lines} == set(children) and len(lines) == 7, "lines:", done.err)
        for name, pid, rest in lines:
            check(name == "tree" and f"tree.{pid}.poolprof" in rest, "line:", name, pid, rest)
            wanted = "signal 15|SIGTERM|Terminated|is not known" if children[int(pid)] < 0 else f"exit.*{children[int(pid)]}"
            check(re.search(wanted, rest), "line of", children[int(pid)], "is", rest)


def thousand():
    """1,000 children one after the other: all are listed. What one costs is printed (and measured in
    tests/bench/start.sh): on a loaded machine it says nothing."""
    with Box() as box:
        env = box.environment()
        env.pop("LD_PRELOAD", None)
        bare = box.run("tree", "spawn", 300, env=env)
        begun = time.monotonic()
        done = box.run("tree", "spawn", 1000, options={"REPORT": "json", "LOG": box.path("log")})
        took = time.monotonic() - begun
        check(done.returncode == 0 and not done.err, done.returncode, done.err[:500])
        each, plain = (int(re.search(r"ms (\d+)", d.out)[1]) / n for d, n in ((done, 1000), (bare, 300)))
        print(f"a child: bare {plain:.2f} ms, in a tree {each:.2f} ms; all {took:.2f} s")
        with open(box.path("log"), encoding="utf-8") as file:
            report = json_in(file.read())
        check_children(box, report["children"], told(done.out), "leak_leaf", (3, 120))
        check(len(box.profiles()) == 1001, "profiles", len(box.profiles()))
        box.check_gone()


def crowd():
    """100 children at once, half of them killed while they live."""
    with Box() as box:
        script = "for i in $(seq 100); do $B/tree sleeper 5 & p[i]=$!; done; sleep 0.5; " \
                 "for i in $(seq 100); do kill -9 ${p[i]}; wait ${p[i]}; echo child ${p[i]} -9; done 2>/dev/null"
        done = box.run("/bin/bash", "-c", f"B={ENDS}; {script}", options={"REPORT": "json", "LOG": box.path("log")})
        check(done.returncode == 0, done.returncode, done.err)
        with open(box.path("log"), encoding="utf-8") as file:
            report = json_in(file.read())
        rows = [row for row in report["children"] if os.path.basename(row["exe"]) == "tree"]
        check_children(box, rows, told(done.out), "leak_leaf", (3, 120), long_lived=True)
        box.check_gone()


def one_watcher():
    """While a tree of several generations lives there is one watcher and one stub."""
    with Box() as box:
        process = box.start("/bin/bash", "-c", f"{ENDS}/tree sleeper 30 & (bash -c '{ENDS}/tree sleeper 30; true') & "
                            "wait", options={"REPORT": "json", "LOG": box.path("log")})
        wait_until(lambda: len(box.processes("tree")) == 2, "two sleepers", 0.5 if BARE else 15)
        time.sleep(0.3)
        watchers = box.watchers()
        check(len(watchers) == 1, "watchers:", watchers)
        stub = parent_of(watchers[0])
        with open(f"/proc/{stub}/comm", encoding="ascii") as file:
            check(file.read() == "poolprof-stub\n", "the watcher's parent")
        for pid in box.processes("tree"):
            os.kill(pid, signal.SIGTERM)
        process.communicate(timeout=30)
        wait_until(lambda: not alive(watchers[0]) and not alive(stub), "watcher or stub stays")
        with open(box.path("log"), encoding="utf-8") as file:
            report = json_in(file.read())
        check({os.path.basename(row["exe"]) for row in report["children"]} == {"tree", "bash"}, report["children"])
        box.check_gone()


def launcher_leaves():
    """A launcher that ends before the game it started: its report comes at its end and the pipe's reader is not
    kept; the game, a child, gets its profile later and prints nothing; then the watcher goes."""
    for launcher in (("tree", "leave", 1.2), ("/bin/sh", "-c", f"{ENDS}/tree sleeper 1.2 >/dev/null 2>&1 & exit 0")):
        with Box() as box:
            begun = time.monotonic()
            stdout = subprocess.DEVNULL if launcher[0] == "tree" else subprocess.PIPE
            with open(box.path("err"), "w+", encoding="utf-8") as file:
                stderr = file if launcher[0] == "tree" else subprocess.PIPE
                done = box.run(*launcher, options={"REPORT": "text", "LOG_LEVEL": "info"}, stdout=stdout, stderr=stderr)
                file.seek(0)
                text = done.err or file.read()
            took = time.monotonic() - begun
            check(done.returncode == 0 and took < 1.1, "status", done.returncode, "took", took)
            check(len(REPORT_LINE.findall(text)) == 1, "reports:", text)
            wait_until(lambda: not box.processes("tree"), "the game ends")
            games = [name for name in box.profiles() if name.startswith("tree.") and f".{done.pid}." not in name]
            wait_until(lambda: [n for n in box.profiles() if n.startswith("tree.") and f".{done.pid}." not in n], "the game's profile")
            games = [name for name in box.profiles() if name.startswith("tree.") and f".{done.pid}." not in name]
            check_outstanding(read_report(box.path(games[0])), "leak_leaf", 3, 120)
            box.check_gone()
            if launcher[0] == "tree":
                with open(box.path("err"), encoding="utf-8") as file:
                    check(file.read() == text, "more words after the first process's end:", file.read())
    # `poolprof run` ends with the launcher, too.
    with Box(run=True) as box:
        done = box.run("tree", "leave", 3, options={"REPORT": "none"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        check(done.returncode == 0, "status", done.returncode)
        check(box.processes("tree"), "it has waited for the game")
        wait_until(lambda: not box.processes("tree"), "the game ends")
        box.check_gone()
        held = sorted(outstanding(read_report(box.path(name)), "leak_leaf") for name in box.profiles())
        check(held == [(0, 0), (3, 120)], "leak_leaf:", held, box.profiles())


def still_running():
    """A child that outlives the first process is in its report, as running."""
    with Box() as box:
        log = box.path("log")
        process = box.start("/bin/sh", "-c", f"{ENDS}/tree sleeper 100 & read line", stdin=subprocess.PIPE,
                            options={"REPORT": "json", "LOG": log}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: box.processes("tree"), "the sleeper")
        child, = box.processes("tree")
        env = {**os.environ, "POOLPROF_SEGMENT_DIR": box.segments}
        wait_until(lambda: subprocess.run([PROGRAM, "ctl", str(child), "status"], env=env, stdout=subprocess.DEVNULL,
                                          stderr=subprocess.DEVNULL).returncode == 0, "the sleeper is watched")
        process.communicate("\n", timeout=60)
        check(process.returncode == 0, process.returncode)
        with open(log, encoding="utf-8") as file:
            rows = json_in(file.read())["children"]
        check([(row["pid"], row["end"]) for row in rows] == [(child, "running")], "children:", rows)


def pipe_of_daemon():
    """x=$(prog 2>&1) returns when the program and its child have given the pipe up, though a grandchild that
    closed its descriptors goes on."""
    for tree in ("daemon", "leave"):
        with Box() as box:
            begun = time.monotonic()
            what = f"$B/tree {tree} 3"
            if tree == "leave":
                what = f"bash -c 'setsid {ENDS}/tree sleeper 3 </dev/null >/dev/null 2>&1 & exit 0'"
            done = box.shell(f"x=$($PRELOAD {what} 2>&1); echo \"status $?\"; echo \"$x\"",
                             REPORT="text", LOG_LEVEL="info")
            took = time.monotonic() - begun
            check(done.out.startswith("status 0\n"), done.out)
            check(took < 2.5, tree, "took", took)
            check(len(REPORT_LINE.findall(done.out)) == 1, tree, "reports:", done.out)


def exec_launcher():
    """A script that becomes the game by exec keeps being the first process: one report, the game's."""
    for run in (False, True):
        with Box(run) as box:
            with open(box.path("launcher"), "w", encoding="ascii") as file:
                file.write(f"#!/bin/sh\nx=$(/bin/true)\nexec {ENDS}/tree leaf 9\n")
            os.chmod(box.path("launcher"), 0o755)
            done = box.run(box.path("launcher"), options={"REPORT": "text", "LOG_LEVEL": "info"})
            check(done.returncode == 9, "status", done.returncode, done.err)
            lines = REPORT_LINE.findall(done.err)
            check(len(lines) == 1 and " of tree (pid" in lines[0], "reports:", lines or done.err)
            report = read_report(box.only_profile("tree"))
            check_outstanding(report, "leak_leaf", 3, 120)
            check(report["process"]["status"] == 9, report["process"])
            check(read_report(box.only_profile("launcher"))["process"]["end"] == "exec", "the script's end")
            check([row for row in report["children"] if os.path.basename(row["exe"]) == "true"], "children:", report["children"])
            box.check_gone()


def children_after_exec():
    """Children of an image that the first process became by exec (as ./configure does): they join its tree."""
    with Box() as box:
        done = box.run("/bin/sh", "-c", f"exec /bin/bash -c 'sleep 0.3; for i in 1 2 3; do {ENDS}/tree leaf 3; done; exit 4'",
                       options={"REPORT": "text", "LOG_LEVEL": "info"})
        check(done.returncode == 4, "status", done.returncode)
        lines = REPORT_LINE.findall(done.err)
        check(len(lines) == 1 and " of bash (pid" in lines[0], "reports:", lines)
        check(len([line for line in CHILD_LINE.findall(done.err) if line[0] == "tree"]) == 3, "child lines")
        box.check_gone()


def chain():
    """exec of a program by a program, twice over; the first image's profile says exec and holds its blocks."""
    with Box() as box:
        done = box.run("tree", "chain", options={"REPORT": "json", "LOG": box.path("log")})
        check(done.returncode == 9, "status", done.returncode, done.err)
        wait_until(lambda: len(box.profiles()) == 2, "two profiles", 0.5 if BARE else 15)
        reports = [read_report(box.path(name)) for name in box.profiles()]
        reports.sort(key=lambda report: report["process"]["end"] != "exec")
        check_outstanding(reports[0], "leak_before", 2, 140)
        check(reports[0]["process"]["end"] == "exec" and reports[1]["process"]["end"] == "exit", "ends")
        check_outstanding(reports[1], "leak_leaf", 3, 120)
        check_outstanding(reports[1], "leak_before", 0, 0)
        check(not any(blind(report, "unprofiled_images") for report in reports), [r["blind_spots"] for r in reports])
        box.check_gone()


def unprofiled_images():
    """What a process of the tree becomes by exec without the preload: its own report and the first one's say so."""
    script = f"{ENDS}/tree chain >/dev/null; env -i {ENDS}/tree leaf 4; env -i {ENDS}/tree leaf 5; exit 6"
    with Box() as box:
        done = box.run("/bin/sh", "-c", script, options={"REPORT": "json", "LOG": box.path("log")})
        check(done.returncode == 6 and not done.err, "status", done.returncode, done.err)
        with open(box.path("log"), encoding="utf-8") as file:
            report = json_in(file.read())
        rows = [row for row in report["children"] if os.path.basename(row["exe"]) == "env"]
        check([row["end"] for row in rows] == ["exec", "exec"], rows)
        check(blind(report, "unprofiled_images") == 2, report["blind_spots"])
        check(blind(read_report(profile_in(box, rows[0]["profile"])), "unprofiled_images") == 1, "the image's own profile")
        box.check_gone()
    with Box() as box: # the first process itself
        done = box.run("/usr/bin/env", "-i", f"{ENDS}/tree", "leaf", 9, options={"REPORT": "text", "LOG": box.path("log")})
        check(done.returncode == 9 and not done.err, "status", done.returncode, done.err)
        wait_until(lambda: box.profiles(), "the profile")
        box.check_gone()
        with open(box.path("log"), encoding="utf-8") as file:
            text = file.read()
        check("unprofiled_images (1): programs that a process became by exec" in text, text)


def names():
    """Each of the nine exec functions: each image has its profile, the last one's report is the program's."""
    with Box() as box:
        done = box.run("tree", "names", 0, options={"REPORT": "json", "LOG": box.path("log")})
        check(done.returncode == 9, "status", done.returncode, done.err)
        wait_until(lambda: len(box.profiles()) == 10, "ten profiles", 0.5 if BARE else 15)
        reports = [read_report(box.path(name)) for name in box.profiles()]
        check(sorted(report["process"]["end"] for report in reports) == 9 * ["exec"] + ["exit"], "ends")
        for report in reports:
            check_outstanding(report, "leak_before", 2, 140)
        with open(box.path("log"), encoding="utf-8") as file:
            check(json_in(file.read())["process"]["status"] == 9, "the report")
        box.check_gone()


def kinds():
    """Each way to start a child: it runs, exec'd images are profiled, the parent's figures stay its own."""
    with Box() as box:
        done = box.run("tree", "kinds", options={"REPORT": "json", "LOG": box.path("log")})
        check(done.returncode == 0 and not done.err, done.returncode, done.err)
        with open(box.path("log"), encoding="utf-8") as file:
            report = json_in(file.read())
        check_outstanding(report, "leak_tree", 1, 30)
        # CLONE_VM children run in the parent's memory: their one block each is the parent's.
        check_outstanding(report, "leak_kind", 3, 240)
        check(not blind(report, "unprofiled_children"), report["blind_spots"])
        leaves = [row for row in report["children"] if os.path.basename(row["exe"]) == "tree"]
        check(len(leaves) == 33, len(leaves), "leaves")
        check(all(row["status"] == 7 and row["end"] == "exit" for row in leaves), "ends", leaves)
        box.check_gone()


def children_off():
    with Box() as box:
        done = box.run("tree", "spawn", 7, options={"CHILDREN": "off", "REPORT": "json", "LOG": box.path("log")})
        check(done.returncode == 0 and not done.err, done.returncode, done.err)
        with open(box.path("log"), encoding="utf-8") as file:
            report = json_in(file.read())
        check(report["children"] == [] and len(box.profiles()) == 1, report["children"], box.profiles())
        check_outstanding(report, "leak_tree", 1, 30)
        box.check_gone()


def children_exec():
    """The default: forks without exec have no profile, and are counted."""
    with Box() as box:
        done = box.run("tree", "forked", 10)
        check(done.returncode == 0 and not done.err, done.returncode, done.err)
        box.check_gone()
        check(len(box.profiles()) == 1, box.profiles())
        report = box.report(done.pid)
        check(blind(report, "unprofiled_children") == 10, report["blind_spots"])
        check_outstanding(report, "leak_forked", 0, 0)
        for children, count in ("exec", 1), ("off", 6):
            done = box.run("tree", "fork_and_exec", 5, options={"CHILDREN": children})
            check(done.returncode == 0 and not done.err, done.returncode, done.err)
            report = box.report(done.pid)
            check(blind(report, "unprofiled_children") == count, children, report["blind_spots"])


def children_all():
    with Box() as box:
        done = box.run("tree", "forked", 20, options={"CHILDREN": "all", "REPORT": "json", "LOG": box.path("log")})
        check(done.returncode == 0 and not done.err, done.returncode, done.err)
        with open(box.path("log"), encoding="utf-8") as file:
            report = json_in(file.read())
        check_children(box, report["children"], told(done.out), "leak_forked", (2, 100), ("exit", "_exit"))
        check(not blind(report, "unprofiled_children"), report["blind_spots"])
        check_outstanding(report, "leak_forked", 0, 0)
        box.check_gone()


def daemon_all():
    """A daemon that forks twice and closes every descriptor, profiled with `all`."""
    for run in (False, True):
        with Box(run) as box:
            done = box.run("tree", "daemon", options={"CHILDREN": "all"})
            check(done.returncode == 0, done.returncode, done.err)
            wait_until(lambda: not box.processes("tree"), "the daemon ends")
            box.check_gone()
            held = [outstanding(read_report(box.path(name)), "leak_daemon") for name in box.profiles()]
            check(held.count((4, 240)) == 1 and sum(o for o, _ in held) == 4, "leak_daemon:", held)


def only():
    """POOLPROF_ONLY: the launcher passes through, the game is the first process and prints."""
    with Box() as box:
        done = box.run("/bin/bash", "-c", f"{ENDS}/tree leaf 3; {ENDS}/die return; exit 4",
                       options={"ONLY": "tree,other", "REPORT": "text", "LOG_LEVEL": "info"})
        check(done.returncode == 4, done.returncode)
        lines = REPORT_LINE.findall(done.err)
        check(len(lines) == 1 and " of tree (pid" in lines[0], "reports:", done.err)
        check_outstanding(read_report(box.only_profile()), "leak_leaf", 3, 120)
        box.check_gone()


def first_killed():
    """The first process is killed while children live: they go on, each gets its profile, the watcher ends."""
    with Box() as box:
        process = box.start("/bin/bash", "-c", f"{ENDS}/tree sleeper 1 & {ENDS}/tree sleeper 1 & wait",
                            options={"REPORT": "text", "LOG": box.path("log")}, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)
        wait_until(lambda: len(box.processes("tree")) == 2, "two sleepers", 0.5 if BARE else 15)
        box.watchers()
        time.sleep(0.2)
        process.kill()
        process.wait()
        check(read_report(box.profile_of(process.pid), whole=False)["process"]["end"] == "signal:9", "end of the first")
        box.check_gone()
        games = [name for name in box.profiles() if name.startswith("tree.")]
        check(len(games) == 2, box.profiles())
        for name in games:
            check_outstanding(read_report(box.path(name)), "leak_leaf", 3, 120)


def late_child():
    """A child started after the first process has ended still joins: one watcher to the end."""
    with Box() as box:
        script = f"(sleep 0.5; {ENDS}/tree leaf 3; sleep 0.2; {ENDS}/tree leaf 4) >/dev/null 2>&1 & exit 0"
        done = box.run("/bin/bash", "-c", script, options={"REPORT": "text"}, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        check(done.returncode == 0, done.returncode)
        wait_until(lambda: len([n for n in box.profiles() if n.startswith("tree.")]) == 2, "two profiles", 0.5 if BARE else 15)
        box.check_gone()


CASES = {case.__name__: case for case in (
    spawned, thousand, crowd, one_watcher, launcher_leaves, still_running, pipe_of_daemon, exec_launcher, children_after_exec, chain,
    unprofiled_images, names, kinds,
    children_off, children_exec, children_all, daemon_all, only, first_killed, late_child)}

if __name__ == "__main__":
    main(CASES)

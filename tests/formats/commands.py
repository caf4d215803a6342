"""What each command says of itself, and of what it cannot do: one clear line, and the status of the contract."""
import json
import os
import pty
import shutil
import subprocess

from common import complains, made, poolprof
from driver import PROGRAM, Sandbox, check, main

COMMANDS = "run", "report", "why", "diff", "merge", "serve", "list", "top", "ctl", "options", "suppress"


def helps():
    for word in ("--help", "-h", "help"):
        listed = poolprof(word).stdout.decode()
        check(all(f"\n  {command} " in listed for command in COMMANDS), listed)
    check(poolprof("-V").stdout == poolprof("--version").stdout != b"", "--version")
    for command in COMMANDS:
        for word in ("--help", "-h"):
            check(poolprof(command, word).stdout.decode().startswith(f"usage: poolprof {command}"), command, word)
    for command in ("ctl", "options"):
        check(poolprof(command, "--man").stdout.startswith(b".TP\n.BI "), command, "--man")


WRONG = {
    "": "usage: poolprof COMMAND",
    "reprot": "'reprot' is no command; it can be run, report,",
    "run": "it is: poolprof run [OPTIONS] -- PROGRAM",
    "run -x -- true": "'-x' is no option of run",
    "run --exitcode=23 -- true": "'--exitcode=23' is no option of run",
    "run --option": "--option needs a value",
    "run --option=NO=1 -- true": "no option is called NO",
    "run --option POOLPROF_NO=1 -- true": "no option is called NO",
    "run --option DEPTH -- true": "--option wants NAME=VALUE, not 'DEPTH'",
    "run --option DEPTH=x -- true": "DEPTH",
    "run -o": "-o needs a value",
    "run --exitcode 300 -- true": "300",
    "report --top x": "--top: 'x' is not a number",
    "report --top": "--top needs a value",
    "report --nothing": "'--nothing' is no option of report",
    "report a b": "'b': one FILE or PID is all it takes",
    "report --sort x": "x",
    "report --format x": "x",
    "report --debuginfod": "DEBUGINFOD_URLS names no server",
    "why": "it takes [FILE|PID] and a SITE or ADDRESS",
    "why a b c": "it takes [FILE|PID] and a SITE or ADDRESS",
    "why a b": "'b' is neither a site's number (#7) nor an address",
    "diff a": "",
    "diff --nothing a b": "--nothing",
    "merge a": "",
    "list --nothing": "'--nothing' is neither --prune nor --all",
    "options x": "'x': it takes no arguments",
    "suppress": "one FILE is what it takes",
    "suppress -x": "one FILE is what it takes",
    "top": "it is: poolprof top PID [OPTIONS]",
    "top x": "'x' is no process's number",
    "top --rows 0 1": "--rows: '0' is not a number from 1 on",
    "top --count x 1": "--count: 'x' is not a number from 1 on",
    "top --delay 0 1": "--delay: '0' is not a number of seconds",
    "top --page x 1": "--page: 'x' is none of sites, pools",
    "top --nothing 1": "'--nothing' is no option of top",
    "top --rows": "--rows needs a value",
    "ctl 1": "it is: poolprof ctl PID COMMAND [ARGUMENTS]",
    "ctl x status": "'x' is no process's number",
    "ctl 1 no": "'no' is no command; it can be status,",
    "ctl 1 status 2": "1 argument; it is: status",
    "ctl 1 set DEPTH \udcff": "arguments must be UTF-8",
    "serve a b": "'b': one FILE or PID is all it takes",
    "serve --nothing": "'--nothing' is no option of serve",
    "serve --listen": "--listen needs a value",
    "watch": "started by the library only",
    "watch --fd 1": "started by the library only",
}


def usage():
    for line, words in WRONG.items():
        if line == "":
            said = poolprof(status=2).stderr
        elif words.startswith("usage"):
            said = poolprof(*line.split(), status=2).stderr
        else:
            said = complains(2, *line.split(), env={"PATH": os.environ["PATH"]})
        check(words in said, line, "said", said)


def unreadable():
    with Sandbox() as box:
        folder = {"cwd": box.directory, "env": {"HOME": box.directory, "PATH": os.environ["PATH"]}}
        check("no *.poolprof here" in complains(3, "report", **folder), "report")
        check("suppress: none: " in complains(3, "suppress", "none", **folder), "suppress")
        for command in ("report", "why", "suppress"):
            complains(3, command, "no.poolprof", *["1"] * (command == "why"), **folder)
        blind = made(box)[0]
        said = poolprof("suppress", blind).stderr
        check("suppress: nothing is known to be lost: leak scan " in said, said)
        check("nothing is known of who holds what: leak scan " in complains(3, "why", blind, "1"), "why")
        for line in ("top 2147483647", "ctl 2147483647 status", "report 2147483647", f"report {os.getpid()}"):
            complains(3, *line.split(), **folder)
        os.mkdir(box.path("gone"))
        script = f'cd gone && rmdir ../gone && exec {PROGRAM} "$0" "$@"'
        for command in ("list", "report"): # a directory that is no more can be opened, and is empty
            done = subprocess.run(["sh", "-c", script, command], cwd=box.directory, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True)
            check(done.stderr.count("\n") <= 1 and done.returncode in (0, 3), command, done)
            os.makedirs(box.path("gone"), exist_ok=True)


def unwritable():
    """Whatever it was to print: the device is full, and that is said."""
    with Sandbox() as box:
        shutil.copy(next(path for path in made(box) if "scanned" in path), box.path("x.poolprof"))
        for line in ("options", "--help", "--version", "report x.poolprof", "report x.poolprof --format json",
                     "report x.poolprof -o /dev/full", "report x.poolprof -o /none/x", "suppress x.poolprof",
                     "diff x.poolprof x.poolprof -o /dev/full", "diff x.poolprof x.poolprof --format json"):
            with open("/dev/full", "w", encoding="ascii") as full:
                done = subprocess.run([PROGRAM, *line.split()], cwd=box.directory, stdin=subprocess.DEVNULL, stdout=full,
                                      stderr=subprocess.PIPE, text=True)
            check(done.returncode == 3 and done.stderr.count("\n") == 1, line, "ended with", done.returncode, done.stderr)


def newest():
    """Without a FILE the newest profile here."""
    with Sandbox() as box:
        paths = made(box)
        shutil.copy(paths[0], box.path("old.poolprof"))
        shutil.copy(paths[1], box.path("new.poolprof"))
        os.utime(box.path("old.poolprof"), (1, 1))
        first = poolprof("report", cwd=box.directory).stdout
        check(first == poolprof("report", "new.poolprof", cwd=box.directory).stdout, first)
        check(b"old.poolprof" in poolprof("list", cwd=box.directory).stdout, "list")


def bad_outputs():
    """A log or events that cannot be written are told of, and the program runs."""
    with Sandbox() as box:
        done = poolprof("run", "--option=LOG=/none/log", "--option=EVENTS=/none/events", "-o", box.path("x.poolprof"), "--",
                        "/bin/echo", "done")
        check(done.stdout == b"done\n" and os.path.exists(box.path("x.poolprof")), done.stdout, done.stderr)
        check("warn log: " in done.stderr and "; using stderr" in done.stderr, done.stderr)
        check("warn events: " in done.stderr and "; none are written" in done.stderr, done.stderr)
        done = poolprof("run", "--option=EVENTS=unix:/none/events", "-o", box.path("y.poolprof"), "--", "/bin/echo", "done")
        check("warn events: unix:/none/events: nobody listens there" in done.stderr, done.stderr)


def on_terminal(*arguments, cwd):
    """(status, words on the terminal, words on stderr)"""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([PROGRAM, *arguments], stdin=subprocess.DEVNULL, stdout=theirs, stderr=subprocess.PIPE, cwd=cwd)
    os.close(theirs)
    said = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError: # nobody has the other side any more
            break
        said += part
    os.close(ours)
    error = process.communicate()[1]
    return process.returncode, said, error


def terminal():
    """Colours on a terminal, unless refused; what is no text does not go there."""
    with Sandbox() as box:
        shutil.copy(next(path for path in made(box) if "scanned" in path), box.path("x.poolprof"))
        for command in ("report", "x.poolprof"), ("diff", "x.poolprof", "x.poolprof"):
            status, plain, _ = on_terminal(*command, "--no-colour", cwd=box.directory)
            check(status == 0 and plain and b"\033[1m" not in plain, command, status, plain)
            status, coloured, _ = on_terminal(*command, cwd=box.directory)
            check(status == 0 and b"\033[1m" in coloured, command, status, coloured)
        for form in ("html", "pprof"):
            status, said, error = on_terminal("report", "x.poolprof", "--format", form, cwd=box.directory)
            check((status, said) == (2, b"") and b"is no text for a terminal" in error, form, status, said, error)


def sorted_and_marked():
    with Sandbox() as box:
        shutil.copy(next(path for path in made(box) if "scanned" in path), box.path("x.poolprof"))
        for order in ("bytes", "objects", "age"):
            sites = json.loads(poolprof("report", "x.poolprof", "--sort", order, "--format", "json", cwd=box.directory).stdout)["sites"]
            key, kinds = "oldest_s" if order == "age" else order, {}
            for site in sites:
                kinds.setdefault(site["kind"], []).append(site[key])
            check(max(map(len, kinds.values())) > 1, kinds)
            check(all(found == sorted(found, reverse=True) for found in kinds.values()), order, kinds)
        done = poolprof("report", "x.poolprof", "--marked", cwd=box.directory)
        check("--marked: there was no mark; this is all" in done.stderr, done.stderr)


def run_places():
    """`run` finds its library beside itself; not there, or where LD_PRELOAD cannot name it, is said."""
    with Sandbox() as box:
        for folder, words in (("bin", "libpoolprof.so is neither beside"), ("a b", "has a colon or space")):
            os.mkdir(box.path(folder))
            shutil.copy(PROGRAM, box.path(folder))
            if folder != "bin":
                os.symlink("poolprof", os.path.join(box.path(folder), "libpoolprof.so"))
            done = subprocess.run([os.path.join(box.path(folder), "poolprof"), "run", "--", "true"], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True, check=False)
            check(words in done.stderr and done.stderr.count("\n") == 1, done.returncode, done.stderr)
            check(done.returncode not in (0, 1), done.returncode)


main({"helps": helps, "usage": usage, "unreadable": unreadable, "unwritable": unwritable, "newest": newest,
      "bad_outputs": bad_outputs, "terminal": terminal, "sorted_and_marked": sorted_and_marked, "run_places": run_places})

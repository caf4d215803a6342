"""The program's own bugs: with ON_ERROR=report one message and the program goes on; with abort it ends."""
import os

from driver import Sandbox, check, main


def bug(what):
    with Sandbox() as box:
        done = box.run("errors", what, options={"ON_ERROR": "report"})
        check(done.returncode == 0 and done.out == "went on\n", what, "status", done.returncode, done.err)
        check("poolprof" in done.err, what, "not reported:", done.err)
        box.profile_of(done.pid)
        done = box.run("errors", what, options={"ON_ERROR": "abort"})
        check(done.returncode == -6, what, "with abort: status", done.returncode, done.err)


def logged():
    """Where the log is a file, stderr stays the program's; without a watcher the messages go there."""
    with Sandbox() as box:
        for number, (extra, status) in enumerate((({}, 0), ({"ON_ERROR": "abort"}, -6), ({"WATCH": 0}, 0))):
            log = box.path(f"log{number}")
            done = box.run("errors", "double", options={"ON_ERROR": "report", "LOG": log, **extra})
            check(done.returncode == status, extra, "status", done.returncode, done.err)
            box.profile_of(done.pid)
            text = open(log, encoding="utf-8").read() if os.path.exists(log) else ""
            where, other = (done.err, text) if "WATCH" in extra else (text, done.err)
            check(f"poolprof[{done.pid}]: free of 0x" in where and "    at " in where, extra, where)
            check("poolprof" not in other, extra, "also:", other)


def clean():
    with Sandbox() as box:
        done = box.run("errors", "none", options={"ON_ERROR": "abort"})
        check(done.returncode == 0 and done.err == "", done.returncode, done.err)
        box.profile_of(done.pid)


if __name__ == "__main__":
    main({"double": lambda: bug("double"), "wild": lambda: bug("wild"), "inside": lambda: bug("inside"),
          "mismatch": lambda: bug("mismatch"), "logged": logged, "clean": clean})

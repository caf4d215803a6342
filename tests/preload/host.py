"""The host is left alone: what host.c prints of itself is the same with and without the library."""
import difflib
import re

from driver import Sandbox, check, check_outstanding, main


def compare(options, allowed=r"$^"):
    with Sandbox() as box:
        bare_env = box.environment(**options)
        bare_env.pop("LD_PRELOAD", None)
        bare = box.run("host", env=bare_env)
        done = box.run("host", options=options)
        check(bare.returncode == 0 and done.returncode == 0, "status", bare.returncode, done.returncode, done.err)
        difference = [line for line in difflib.unified_diff(
            bare.out.splitlines(), done.out.splitlines(), "bare", "preloaded", lineterm="", n=0)
            if not line.startswith(("---", "+++", "@@")) and not re.fullmatch(allowed, line)]
        check(not difference, "differs:\n  " + "\n  ".join(difference))
        check("waitpid -1 ECHILD" in done.out and "Threads:\t1" in done.out, done.out)


def watched():
    with Sandbox() as box:
        done = box.run("host")
        check_outstanding(box.report(done.pid), "leak_one", 1, 17)
    compare({})


def alone():
    """Without a watcher, and with one that cannot be started. Then, and only then, a duplicate of stderr
    is kept for the brief report: many programs close 2 before the library's handler runs."""
    kept = r"\+descriptor 4\d\d .*"
    with Sandbox() as box:
        done = box.run("host", options={"WATCH": 0})
        check_outstanding(box.report(done.pid), "leak_one", 1, 17)
    compare({"WATCH": 0}, kept)
    compare({"PROGRAM": "/does/not/exist"}, kept)


if __name__ == "__main__":
    main({"watched": watched, "alone": alone})

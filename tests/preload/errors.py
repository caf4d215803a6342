"""The program's own bugs: with ON_ERROR=report one message and the program goes on; with abort it ends."""
from driver import Sandbox, check, main


def bug(what):
    with Sandbox() as box:
        done = box.run("errors", what, options={"ON_ERROR": "report"})
        check(done.returncode == 0 and done.out == "went on\n", what, "status", done.returncode, done.err)
        check("poolprof" in done.err, what, "not reported:", done.err)
        box.profile_of(done.pid)
        done = box.run("errors", what, options={"ON_ERROR": "abort"})
        check(done.returncode == -6, what, "with abort: status", done.returncode, done.err)


def clean():
    with Sandbox() as box:
        done = box.run("errors", "none", options={"ON_ERROR": "abort"})
        check(done.returncode == 0 and done.err == "", done.returncode, done.err)
        box.profile_of(done.pid)


if __name__ == "__main__":
    main({"double": lambda: bug("double"), "wild": lambda: bug("wild"), "inside": lambda: bug("inside"),
          "mismatch": lambda: bug("mismatch"), "clean": clean})

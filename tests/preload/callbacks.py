"""Alert callbacks: once each, on the thread that polls, by poll or frame; and a program without the library."""
from driver import Sandbox, check, main

OPTIONS = {"MEM_WARN": "30M", "MEM_CRITICAL": "50M", "SAMPLE_MIN": "50ms", "SAMPLE_MAX": "100ms",
           "ALERT_BACKOFF_MIN": "60s", "LOG": "/dev/null"}
TOLD = ["mem_critical critical raised - 1", "mem_critical critical resolved - 1", "mem_warn warn raised - 1",
        "mem_warn warn resolved - 1"]


def life(how):
    with Sandbox() as box:
        done = box.run("callbacks", how, options=OPTIONS)
        lines = done.out.splitlines()
        check(done.returncode == 0 and done.err == "", done.returncode, done.err)
        check(lines[:3] == ["added 0 0 0", "removed 0 -1", "sample 1 1 1"], lines)
        check(sorted(line for line in lines[3:-1] if line.startswith("mem_")) == TOLD, lines)
        check(lines[-1] == "dropped 1, polled 0", lines)


def alone():
    """Nothing to link and nothing there: it goes on as if nobody had ever been alarmed."""
    with Sandbox() as box:
        env = box.environment()
        env.pop("LD_PRELOAD", None)
        done = box.run("callbacks", "poll", "100", env=env)
        check(done.returncode == 0, done.returncode, done.err)
        check(done.out.splitlines() == ["added -1 -1 -1", "removed -1 -1", "sample none",
                                        "dropped 0, polled 0"], done.out)
        box.profile_of(box.run("callbacks", "poll", "1", options=OPTIONS).pid)


if __name__ == "__main__":
    main({"poll": lambda: life("poll"), "frames": lambda: life("frames"), "alone": alone})

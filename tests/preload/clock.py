"""Times of birth come from a clock that the watcher keeps: right while it does, and right when it does not."""
import os
import signal
import time

from driver import Sandbox, check, main
from watcher import watcher_of


def phase(process):
    """The clock at the end of it, and how many seconds it took."""
    process.stdin.write("go\n")
    process.stdin.flush()
    clock, ms = process.stdout.readline().split()
    return int(clock), int(ms) / 1000


def spread(report, function):
    sites = [site for site in report["sites"] if any(frame["function"] == function for frame in site["stack"])]
    check(sum(site["objects"] for site in sites) > 50, function, "has too few objects")
    return max(site["oldest_s"] for site in sites) - min(site["newest_s"] for site in sites)


def kept():
    """It is kept while the program allocates, from the start on and after a pause; not by a watcher that is
    stopped, whose last word must not become everybody's birthday."""
    with Sandbox() as box:
        process = box.start("clock", options={"REPORT": "none"}, stdin=-1)
        watcher = watcher_of(process.pid)
        took = {}
        clock, took["leak_kept"] = phase(process)
        check(clock > 0, "the clock is not kept")
        os.kill(watcher, signal.SIGSTOP)
        clock, took["leak_stopped"] = phase(process)
        check(clock == 0, "the clock of a stopped watcher is believed")
        os.kill(watcher, signal.SIGCONT)
        time.sleep(1.5)
        _, took["leak_again"] = phase(process)
        time.sleep(2.5)
        clock, took["leak_after_pause"] = phase(process)
        check(clock > 0, "the clock is not kept again")
        process.stdin.close()
        process.stdin = None
        process.communicate(timeout=30)
        report = box.report(process.pid, "clock")
        for function, wanted in took.items():
            seconds = spread(report, function)
            check(abs(seconds - wanted) < 0.15, function, "spread over", seconds, "s instead of", wanted)


if __name__ == "__main__":
    main({"kept": kept})

"""Times of birth come from a clock that the watcher keeps: right while it does, and right when it does not."""
import os
import signal
import time

from driver import Sandbox, check, main
from watcher import watcher_of


def phase(process):
    process.stdin.write("go\n")
    process.stdin.flush()
    return int(process.stdout.readline())


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
        check(phase(process) > 0, "the clock is not kept")
        os.kill(watcher, signal.SIGSTOP)
        check(phase(process) == 0, "the clock of a stopped watcher is believed")
        os.kill(watcher, signal.SIGCONT)
        time.sleep(1.5)
        phase(process)
        time.sleep(2.5)
        check(phase(process) > 0, "the clock is not kept again")
        process.stdin.close()
        process.stdin = None
        process.communicate(timeout=30)
        report = box.report(process.pid, "clock")
        for function in ("leak_kept", "leak_stopped", "leak_again", "leak_after_pause"):
            seconds = spread(report, function)
            check(0.35 < seconds < 0.75, function, "spread over", seconds, "s instead of 0.5")


if __name__ == "__main__":
    main({"kept": kept})

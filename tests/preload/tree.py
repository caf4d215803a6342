"""Many short processes of one tree: what they share (unwind rules) never shows in what they report."""
import glob
import os
import random
import shutil
import sqlite3
import struct
import time

from driver import BARE, PATIENCE_S, PROGRAMS, Sandbox, check, main
from expect import check_facts

HEADER, RULES = 16384, 32768 # segment.h: bytes before the tree's rules, and their number
STORM = 1000


class Tree:
    """A shell that runs one line after the other, each a child of the tree; it outlives them."""

    def __init__(self, box, **options):
        self.box = box
        self.process = box.start("/bin/sh", "-c", "while read line; do eval $line; done", stdin=-1, options=options)

    def run(self, program):
        """A program in the background; its pid, once it has ended with status 0."""
        self.process.stdin.write(f"{program} & echo $!; wait $! && echo ended\n")
        self.process.stdin.flush()
        pid = int(self.process.stdout.readline())
        check(self.process.stdout.readline() == "ended\n", program, "failed")
        return pid

    def close(self):
        out, err = self.process.communicate(timeout=60)
        check(out == "" and err == "" and self.process.returncode == 0, out, err)


def repeated():
    """The second and third run of a program find the rules of the first, and report the same."""
    for program in ("sites", "deep", "exceptions", "longjmp", "signals", "coroutines", "dlopen", "small_stacks"):
        with Sandbox() as box:
            tree = Tree(box)
            for _ in range(3):
                if os.path.exists(box.path("expect")):
                    os.unlink(box.path("expect"))
                check_facts(box, tree.run(os.path.join(PROGRAMS, program)), program)
            tree.close()


def rebuilt():
    """Other programs under one and the same path."""
    with Sandbox() as box:
        tree = Tree(box)
        for program in ("sites", "deep", "sites", "exceptions"):
            if os.path.exists(box.path("expect")):
                os.unlink(box.path("expect"))
                os.unlink(box.path("program"))
            shutil.copy(os.path.join(PROGRAMS, program), box.path("program"))
            check_facts(box, tree.run(box.path("program")), "program")
        tree.close()


def poison(path):
    """What another process of the tree could do at worst: its keys with other rules, all else garbage."""
    chance = random.Random(1)
    with open(path, "r+b") as file:
        file.seek(HEADER)
        entries = list(struct.iter_unpack("<QQ", file.read(RULES * 16)))
        known = sum(key != 0 for key, _ in entries)
        check(known > 20, "rules of the tree:", known)
        file.seek(HEADER)
        for key, _ in entries:
            rule = chance.choice((chance.getrandbits(64), chance.randrange(8) | 16 | chance.randrange(64) * 8 << 32))
            file.write(struct.pack("<QQ", key or chance.getrandbits(64), rule))


def hostile():
    """A table of wrong rules makes wrong stacks at worst: the program is served, ends well, is reported."""
    with Sandbox() as box:
        os.mkdir(box.path("segments"), 0o700)
        tree = Tree(box, SEGMENT_DIR=box.path("segments"))
        for program in ("sites", "deep", "threads"):
            tree.run(os.path.join(PROGRAMS, program))
        first = glob.glob(box.path(f"segments/*/{tree.process.pid}.{'?' * 16}"))
        check(len(first) == 1, "the first process's segment:", first)
        poison(first[0])
        for program in ("sites", "deep", "exceptions", "longjmp", "threads"):
            report = box.report(tree.run(os.path.join(PROGRAMS, program)), program)
            check(report["process"]["end"] == "exit" and report["totals"]["allocations"] > 0, report["process"])
        tree.close()


def storm():
    """A thousand programs, eight at a time: each has its profile with whole stacks, and a row in the first's."""
    with Sandbox() as box:
        done = box.run("/bin/sh", "-c", f"seq {STORM} | xargs -P 8 -n 1 rm -f; true")
        check(done.returncode == 0 and done.err == "", done.returncode, done.err)
        deadline = time.monotonic() + 4 * PATIENCE_S
        profiles = []
        while len(profiles) < STORM and time.monotonic() < deadline:
            time.sleep(0.1)
            profiles = glob.glob(box.path("rm.*.poolprof"))
        check(len(profiles) == STORM, len(profiles), "profiles of", STORM)
        first = box.report(done.pid)
        seen = [child for child in first["children"] if child["exe"].endswith("/rm")]
        check(len(seen) == STORM, len(seen), "rows of", STORM)
        check({child["end"] for child in seen} == {"exit"}, {child["end"] for child in seen})
        for profile in profiles:
            with sqlite3.connect(f"file:{profile}?mode=ro", uri=True) as database:
                check_stacks(database, profile)


def check_stacks(database, profile):
    """Each ends where programs begin, or with what ld.so and libc do before main."""
    ask = lambda sql: database.execute(sql).fetchall()
    check(ask("SELECT count(*) > 0 FROM sites") == [(1,)], profile, "has no sites")
    check(ask("SELECT count(*) FROM sites WHERE truncated") == [(0,)], profile, "has truncated stacks")
    outermost = {row[0] for row in ask("SELECT m.path FROM stacks s JOIN frames f ON f.id = s.frame "
                                       "JOIN modules m ON m.id = f.module WHERE s.parent IS NULL")}
    check(outermost <= {"/usr/bin/rm", "/bin/rm", "/lib64/ld-linux-x86-64.so.2"} or BARE, profile, outermost)


if __name__ == "__main__":
    main({"repeated": repeated, "rebuilt": rebuilt, "hostile": hostile, "storm": storm})

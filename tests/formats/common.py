"""What the tests of formats share: profiles made by golden_test and by programs, the reports of them."""
import csv
import io
import json
import os
import re
import subprocess
import sys

from driver import PROGRAM, PROGRAMS, SOURCE, Sandbox, check

GOLDEN = os.path.join(SOURCE, "tests/golden")
GOLDEN_TEST = os.path.join(os.path.dirname(PROGRAM), "golden_test")
GAME = os.path.join(os.path.dirname(PROGRAM), "game")
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def skip(why):
    print("skipped:", why)
    sys.exit(77)


def poolprof(*arguments, status=0, **more):
    """Runs it; the result has returncode, stdout (bytes), stderr (text)."""
    done = subprocess.run([PROGRAM, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, **more)
    done.stderr = done.stderr.decode("utf-8")
    check(done.returncode == status, "poolprof", *arguments, "ended with", done.returncode, done.stderr)
    return done


def complains(status, *arguments, **more):
    """One line on stderr, nothing on stdout."""
    done = poolprof(*arguments, status=status, **more)
    check(done.stdout == b"" and done.stderr.count("\n") == 1 and done.stderr.startswith("poolprof"),
          arguments, "said", done.stdout, done.stderr)
    return done.stderr


def reported(profile, form="json", *more):
    out = poolprof("report", profile, "--format", form, *more).stdout
    return json.loads(out) if form == "json" else out.decode("utf-8")


def rows_of(profile, *more):
    """The CSV report as dictionaries."""
    text = reported(profile, "csv", *more)
    check(text.count("\n") == text.count("\r\n"), "lines end otherwise")
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def folded_of(profile, *more):
    """[(frames, bytes)] as flamegraph.pl takes a line apart: all up to the last blank."""
    found = []
    for line in reported(profile, "folded", *more).split("\n")[:-1]:
        match = re.fullmatch(r"(.*)\s+?(\d+(?:\.\d*)?)", line)
        check(match and " " not in match[1], "no folded line:", line)
        found.append((match[1].split(";"), int(match[2])))
    return found


def made(box):
    """Profiles of golden_test's scenarios and random models; their paths."""
    folder = box.path("made")
    os.mkdir(folder)
    subprocess.run([GOLDEN_TEST, folder, "--profiles"], check=True)
    return sorted(os.path.join(folder, name) for name in os.listdir(folder))


def profile_of(box, program, *arguments, **options):
    done = box.run(program, *arguments, options=options)
    check(done.returncode == 0, program, "status", done.returncode, done.err)
    return box.profile_of(done.pid)


def leaky(box, build):
    """Without a leak scan: what changed is then one number."""
    return profile_of(box, os.path.join(PROGRAMS, f"leaky{build}"), LEAK_CHECK="off")


def safe(text):
    return CONTROL.sub("?", text)


def label(frame):
    """A frame as formats without structure name it."""
    return safe(frame["function"] or f"{frame['module'] or '?'}+{frame['address']}")


def stack_of(site):
    return json.dumps([site["stack"], site["truncated"]])

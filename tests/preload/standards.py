"""The promises of standards.c hold: under the bare C library (so they are what programs have had), and under the
preload in each way of serving blocks."""
import os
import subprocess

from driver import PROGRAMS, Sandbox, check, main, read_report


def bare():
    done = subprocess.run([os.path.join(PROGRAMS, "standards"), "bare"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=60)
    check((done.returncode, done.stdout, done.stderr) == (0, "", ""), "status", done.returncode, done.stderr)


def kept(**options):
    with Sandbox() as box:
        done = box.run("standards", options=options, timeout=90)
        check((done.returncode, done.out, done.err) == (0, "", ""), "status", done.returncode, done.err)
        if options.get("ENABLE") != "0":
            totals = read_report(box.profile_of(done.pid), whole=False)["totals"]
            check(totals["allocations"] > 30000, totals)


main({
    "bare": bare,
    "exact": kept,
    "no_pools": lambda: kept(POOL="0"),
    "off": lambda: kept(TRACK="off"),
    "sampled": lambda: kept(TRACK="sample:4K"),
    "passing": lambda: kept(ENABLE="0"),
})

"""Totals, exact: a program that counts itself is run with N rounds and with 3 N; what differs between
the two profiles must be what differs between its two counts (all else, its start included, is equal)."""
import time

from driver import Sandbox, check, main


def count(program, *arguments):
    with Sandbox() as box:
        done = box.run(program, *arguments)
        check(done.returncode == 0 and done.err == "", program, arguments, "status", done.returncode, done.err)
        totals = box.report(done.pid)["totals"]
        with open(box.path("expect"), encoding="utf-8") as file:
            words = file.read().split()[1:]
        own = {key: int(value) for key, value in (word.split("=") for word in words)}
        return own, totals


def compare(program, rounds, *more):
    own_few, few = count(program, rounds, *more)
    own_many, many = count(program, 3 * rounds, *more)
    for own_key, key in (("allocations", "allocations"), ("frees", "frees"), ("bytes", "bytes_allocated")):
        own, seen = own_many[own_key] - own_few[own_key], many[key] - few[key]
        check(own > 0 and own == seen, program, more, key, "differ by", own, "the profiles by", seen)
    check(many["outstanding_objects"] == few["outstanding_objects"], "outstanding differs:", few, many)


def temporary():
    """The same figure whatever serves the blocks."""
    for options in ({}, {"POOL": 0}, {"POOL_MAX": 64}, {"POOL_HOT": 1}):
        with Sandbox() as box:
            done = box.run("temporary", options=options)
            check(done.returncode == 0 and done.err == "", "status", done.returncode, done.err)
            with open(box.path("expect"), encoding="utf-8") as file:
                own = int(file.read().split("=")[1])
            seen = box.report(done.pid)["totals"]["temporary_allocations"]
            check(own <= seen <= own + 20, options, "temporary", seen, "not", own)


def stress():
    seed = int(time.time()) % 1000000
    for number in (1, 2, seed):
        print("seed", number, flush=True)
        compare("stress", 15000, number)


if __name__ == "__main__":
    main({"c": lambda: compare("totals", 200), "new": lambda: compare("totals_new", 100), "stress": stress,
          "temporary": temporary})

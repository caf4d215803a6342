"""Named pools under the preload: tracked like all else, figures of the report, wrong use, forks, signals."""
import os

from driver import PROGRAMS, Sandbox, check, check_outstanding, main, read_report


def run(case, whole=True, **options):
    with Sandbox() as box:
        done = box.run("named", case, options=options)
        check(done.returncode == 0, case, "status", done.returncode, done.err)
        done.report = read_report(box.profile_of(done.pid), whole)
        return done


def pool_of(report, name):
    found = [pool for pool in report["pools"] if pool["kind"] == "named" and pool["name"] == name]
    check(len(found) == 1, name, report["pools"])
    return found[0]


def sites():
    report = run("sites").report
    check_outstanding(report, "make_bullet", 400, 400 * 64)
    pool = pool_of(report, "bullets")
    check((pool["live"], pool["peak"], pool["served"], pool["missed"]) == (400, 1000, 1000, 0), pool)
    check(pool["object_bytes"] == 64 and pool["capacity"] >= 1000 and pool["grown"] > 0, pool)
    check(pool["efficiency"] > 98, pool)
    check(report["totals"]["pool_allocations"] >= 1000, report["totals"])


def large():
    report = run("large").report
    check_outstanding(report, "large", 5, 1500000)
    check(pool_of(report, "textures")["live"] == 5, report["pools"])
    bullets = pool_of(report, "bullets")
    check((bullets["live"], bullets["peak"], bullets["capacity"]) == (0, 20, 0), bullets)


def track_off():
    report = run("sites", whole=False, TRACK="off").report
    check(pool_of(report, "bullets")["live"] == 400, report["pools"])
    check(report["totals"]["outstanding_bytes"] >= 400 * 64, report["totals"])


def switched_off():
    for options in ({"ENABLE": 0}, {"POOL": 0}):
        with Sandbox() as box:
            done = box.run("named", "sites", options=options)
            check(done.returncode == 0, options, done.returncode, done.err)


def alone():
    """Without the library the program runs; objects come from malloc."""
    with Sandbox() as box:
        env = box.environment()
        env.pop("LD_PRELOAD", None)
        done = box.run("/bin/sh", "-c", f"exec {os.path.join(PROGRAMS, 'named')} aligned", env=env)
        check(done.returncode == 0, done.returncode, done.err)
        box.profile_of(box.run("named", "aligned").pid)


def sizes():
    """1,000 pools of 10,000 objects; one of 10 million."""
    report = run("many", TRACK="off", whole=False).report
    check(sum(pool["served"] for pool in report["pools"] if pool["name"] == "many") == 10000000, "served")
    check(pool_of(run("huge").report, "bullets")["peak"] == 10000000, "peak")


def signals():
    done = run("signals")
    check(pool_of(done.report, "bullets")["live"] == int(done.out), done.out, done.report["pools"])


def forks():
    for children in ("exec", "all"):
        run("forks", whole=False, CHILDREN=children)


def shared():
    """Threads and return_all: the losers of a race for an object are told; records and figures agree."""
    report = run("shared").report
    check_outstanding(report, "make_bullet", 0, 0)
    pool = pool_of(report, "bullets")
    check((pool["live"], pool["served"], pool["capacity"]) == (0, 60000, 0), pool)


def aborts():
    with Sandbox() as box:
        done = box.run("named", "misuse", options={"ON_ERROR": "abort"})
        check(done.returncode == -6 and "no object of this pool" in done.err, done.returncode, done.err)


def misuse():
    done = run("misuse", whole=False, ON_ERROR="report")
    for words in ("no object of this pool", "no object in use", "free or realloc of an object", "it stays",
                  "no pool, or destroyed"):
        check(words in done.err, words, "not in", done.err)
    check("pool 'bullets'" in done.err and "named" in done.err, done.err)
    check(done.report["errors"] == {"invalid_frees": 1, "mismatched_frees": 0, "misuses": 7}, done.report["errors"])


if __name__ == "__main__":
    main({"sites": sites, "large": large, "track_off": track_off, "switched_off": switched_off, "alone": alone,
          "sizes": sizes, "signals": signals, "forks": forks, "shared": shared, "aborts": aborts,
          "misuse": misuse})

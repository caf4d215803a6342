"""The example game in both flavours: what the pools take off the backing allocator, by the report's own figures."""
import os

from driver import PROGRAM, Sandbox, check, main

FEWER = 0.70
EFFICIENCY = 90.0


def play(flavour, **options):
    with Sandbox() as box:
        done = box.run(os.path.join(os.path.dirname(PROGRAM), flavour), "--frames", "300", options=options)
        check(done.returncode == 0, flavour, "status", done.returncode, done.err)
        return done.out, box.report(done.pid)


def fewer(before, after):
    part = 1 - after["totals"]["backing_allocations"] / before["totals"]["backing_allocations"]
    print(f"{part:.1%} fewer backing allocations")
    check(part >= FEWER, "only", part)


def pools():
    """Unchanged, and with named pools: against the same game with every block from the backing allocator."""
    out, bare = play("game", POOL=0)
    check(bare["totals"]["backing_allocations"] == bare["totals"]["allocations"], bare["totals"])
    same, unchanged = play("game")
    fewer(bare, unchanged)
    named_out, named = play("game_pools", POOL=0)
    fewer(bare, named)
    check(out == same == named_out, "the flavours differ:", out, same, named_out)
    rows = [pool for pool in named["pools"] if pool["kind"] == "named"]
    check(len(rows) == 10, rows)
    for pool in rows:
        check(pool["efficiency"] > EFFICIENCY and pool["live"] == 0 and pool["missed"] == 0, pool)
    for pool in unchanged["pools"]:
        check(pool["efficiency"] > EFFICIENCY or pool["served"] < 1000, pool)
    check(named["frames"]["count"] == 299 and named["frames"]["max"] > named["frames"]["median"], named["frames"])
    check([tag["name"] for tag in named["tags"]] == ["assets"], named["tags"])


def critical():
    """The game hears of critical memory and does without its cache, which it never empties by itself (--leak cache)."""
    game = os.path.join(os.path.dirname(PROGRAM), "game_pools")
    with Sandbox() as box:
        done = box.run(game, "--frames", "400", "--hz", "100", "--leak", "cache", options={
            "SAMPLE_MIN": "50ms", "SAMPLE_MAX": "100ms", "MEM_WARN": 0, "MEM_CRITICAL": "2M", "BUDGET": "assets=64K"})
        check(done.returncode == 0, done.returncode, done.err)
        for words in ("critical mem_critical: resident ", "game: memory is critical, ", "warn budget: tag assets "):
            check(words in done.err, words, "not in", done.err)
        report = box.report(done.pid)
        check(report["snapshots"] and report["snapshots"][0]["sites"], report["snapshots"])


def alone():
    """With named pools, but without the library."""
    with Sandbox() as box:
        env = box.environment()
        env.pop("LD_PRELOAD", None)
        game = os.path.join(os.path.dirname(PROGRAM), "game_pools")
        check(box.run(game, "--frames", "50", env=env).returncode == 0, "alone")
        box.profile_of(box.run(game, "--frames", "50").pid)


if __name__ == "__main__":
    main({"pools": pools, "critical": critical, "alone": alone})

#!/usr/bin/python3
"""What reports cost: tests/bench/report.py [--build BUILD] [stacks] [addresses] [merge] [page]

stacks     a million stacks: each format of the profile and of the segment; seconds and MB (all formats to a file)
addresses  10,000 addresses of a program of 100 MB: what looking them up adds; builds it first, some minutes
merge      100 profiles into one
page       the HTML report of 100,000 stacks in Chromium: until it is there, zooming, searching

Times are the shortest of three.
"""
import argparse
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
FORMATS = ("text", "json", "pprof", "folded", "csv", "html", "heaptrack", "massif")
MILLION_LEVELS, PARTS, FUNCTIONS = 20, 68, 250


class Bench:
    def __init__(self, build):
        self.program = os.path.join(build, "bin/poolprof")
        self.library = os.path.join(build, "lib/libpoolprof.so")
        self.folder = tempfile.mkdtemp(prefix="poolprof-bench.")

    def path(self, name):
        return os.path.join(self.folder, name)

    def compile(self, output, *arguments):
        subprocess.run(["g++" if arguments[-1].endswith((".cc", ".o")) else "gcc", "-g", "-O1", *arguments, "-o",
                        self.path(output)], check=True)

    def profiled(self, output, *command, **options):
        """A profile, or with WATCH=0 the segment."""
        env = {**os.environ, "LD_PRELOAD": self.library, "POOLPROF_REPORT": "none", "POOLPROF_LEAK_CHECK": "off",
               "POOLPROF_OUTPUT": self.path(output), "POOLPROF_LOG_LEVEL": "error"}
        env.update({"POOLPROF_" + name: value for name, value in options.items()})
        subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)
        return self.path(output)

    def timed(self, *arguments, rounds=3):
        """Seconds and MB of a poolprof command."""
        best = None
        for _ in range(rounds):
            begun = time.monotonic()
            process = subprocess.Popen([self.program, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.monotonic() - begun
            if status != 0:
                sys.exit(f"poolprof {' '.join(arguments)}: status {status}")
            if best is None or seconds < best[0]:
                best = seconds, usage.ru_maxrss / 1024, usage.ru_utime
        return best


def told(what, cost):
    print(f"{what:40} {cost[0]:6.2f} s, {cost[2]:6.2f} s of it in the program, {cost[1]:5.0f} MB", flush=True)


def stacks(bench):
    bench.compile("stacks", "-fno-optimize-sibling-calls", "-fno-crossjumping", os.path.join(HERE, "stacks.c"))
    for kind, options in (("profile", {}), ("segment", {"WATCH": "0"})):
        path = bench.profiled(kind + ".poolprof", bench.path("stacks"), str(MILLION_LEVELS), **options)
        for form in FORMATS:
            out = bench.path("out")
            told(f"{kind} of a million stacks, {form}",
                 bench.timed("report", path, "--format", form, "-o", out, rounds=1))
            os.unlink(out)


def large_part(number):
    """Debug information comes with the library's templates, addresses with many functions."""
    lines = ["#include <cstdlib>", "#include <map>", "#include <regex>", "#include <sstream>", "#include <string>",
             "#include <unordered_map>", "#include <vector>", "extern void *volatile kept;",
             f"struct T{number} {{ std::map<std::string, std::vector<int>> m; std::unordered_map<int, std::string> u; }};",
             f"bool use{number}(T{number} &t, const std::string &s) {{ t.m[s].push_back(1); t.u[1] = s; std::ostringstream o;",
             '  o << s; return std::regex_match(o.str(), std::regex("a+b*")); }']
    for i in range(FUNCTIONS):
        lines.append(f"__attribute__((noinline)) void f{number}_{i}() {{ kept = std::malloc({16 + i % 32}); asm volatile(\"\"); }}")
    calls = "\n".join(f"  f{number}_{i}();" for i in range(FUNCTIONS))
    return "\n".join(lines) + f"\nvoid all{number}() {{\n{calls}\n}}\n"


def large_program(bench):
    objects = []
    for number in range(PARTS):
        with open(bench.path("part.cc"), "w", encoding="ascii") as file:
            file.write(large_part(number))
        bench.compile(f"part{number}.o", "-c", bench.path("part.cc"))
        objects.append(bench.path(f"part{number}.o"))
    with open(bench.path("main.cc"), "w", encoding="ascii") as file:
        file.write("void *volatile kept;\n" + "".join(f"void all{n}();\n" for n in range(PARTS)))
        file.write("int main() {\n" + "".join(f"  all{n}();\n" for n in range(PARTS)) + "}\n")
    bench.compile("large", *objects, bench.path("main.cc"))
    return bench.path("large")


def addresses(bench):
    program = os.environ.get("PP_LARGE") or large_program(bench)
    path = bench.profiled("large.poolprof", program, WATCH="0")
    print(f"{program}: {os.stat(program).st_size >> 20} MiB")
    bare = bench.timed("report", path, "--format", "folded", "--no-symbols")
    named = bench.timed("report", path, "--format", "folded")
    told("10,000 addresses, not looked up", bare)
    told("10,000 addresses, looked up", named)
    print(f"{'looking them up':40} {named[0] - bare[0]:6.2f} s")


def merge(bench):
    game = os.path.join(os.path.dirname(bench.program), "game")
    paths = [bench.profiled(f"game{i}.poolprof", game, "--frames", str(20 + i), "--leak", "all") for i in range(100)]
    out = bench.path("fleet.poolprof")
    told("merge of 100 profiles", bench.timed("merge", "-o", out, *paths, rounds=1))


def many_sites(bench, count):
    """A profile of `count` stacks, made in SQL from a small one."""
    path = bench.profiled("many.poolprof", os.path.join(os.path.dirname(bench.program), "game"), "--frames", "10")
    with sqlite3.connect(path) as database:
        for table in ("sites", "ages", "peak_sites", "pins", "worst_frames", "frame_sites"):
            database.execute(f"DELETE FROM {table}")
        nodes, = database.execute("SELECT count(*) FROM stacks").fetchone()
        frames, = database.execute("SELECT count(*) FROM frames").fetchone()
        database.executemany("INSERT INTO stacks VALUES(?, ?, ?)",
                             ((nodes + i, 1 + i * 7 % nodes, 1 + i % frames) for i in range(1, count + 1)))
        database.execute("INSERT INTO sites(id, kind, stack, objects, bytes, thread) SELECT id - ?, 'outstanding', id, "
                         "1, id % 977 + 1, 't' FROM stacks WHERE id > ?", (nodes, nodes))
    database.close()
    return path


def page(bench):
    sys.path[:0] = [os.path.join(HERE, "../formats"), os.path.join(HERE, "../preload")]
    from browser import Browser
    path, out = many_sites(bench, 100000), bench.path("page.html")
    told("page of 100,000 stacks", bench.timed("report", path, "--format", "html", "-o", out))
    print(f"{'its size':40} {os.stat(out).st_size >> 20} MiB")
    if shutil.which("chromium") is None:
        sys.exit("chromium is not installed")
    with Browser() as browser:
        begun = time.monotonic()
        browser.open(out)
        print(f"{'until it is there':40} {time.monotonic() - begun:6.2f} s")
        for what, script in (
                ("zooming into the flame graph", "document.querySelectorAll('.flame .box')[3].dispatchEvent("
                                                 "new MouseEvent('click', {bubbles: true}))"),
                ("searching it", "(() => { const to = document.getElementById('flame-search'); to.value = 'a'; "
                                 "to.dispatchEvent(new Event('input', {bubbles: true})); })()"),
                ("filtering the sites", "(() => { const to = document.getElementById('filter'); to.value = 'main'; "
                                        "to.dispatchEvent(new Event('input', {bubbles: true})); })()"),
                ("inverting the flame graph", "document.querySelectorAll('#flame input[type=checkbox]').forEach((box) => "
                                              "/inverted/.test(box.parentNode.textContent) && box.click())")):
            took = browser.run(f"(async () => {{ const begun = performance.now(); {script}; await new Promise((done) => "
                               "requestAnimationFrame(() => setTimeout(done))); return performance.now() - begun; })()")
            print(f"{what:40} {took / 1000:6.2f} s")


def main():
    rows = {f.__name__: f for f in (stacks, addresses, merge, page)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(HERE, "../../build"))
    parser.add_argument("rows", nargs="*", metavar="ROW")
    chosen = parser.parse_args()
    bench = Bench(os.path.abspath(chosen.build))
    try:
        for name in chosen.rows or rows:
            if name not in rows:
                sys.exit(f"{name}: no such row; there are {', '.join(rows)}")
            rows[name](bench)
    finally:
        shutil.rmtree(bench.folder, ignore_errors=True)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""What allocation costs: rows are micro benchmarks and real programs, columns are the bare C
library, poolprof in its modes, and its peers.

The machine is noisy, so a figure is only worth what stands beside it: every round runs all columns
of a row one after another, starting with another column each time. Per column: the median over
rounds of the ratio to the bare run of the same round, and the ratio of the minima. Nothing is
asserted about time; the exit status is 1 only where a run under poolprof fails.

Rows are named, or by group: micro, ir (instructions per operation, counted by callgrind: the same
on every run), programs. A peer that is not installed, or a cell that makes no sense, is "-".
"""
import argparse
import glob
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace

import programs

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, "..", ".."))
RUN_LIMIT_S = 300
IR_MODES = ("pair16", "pair64", "walk16", "walk64", "branch16", "branch64")
LIBRARY_DIRS = ("/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib")


class RunFailed(Exception):
    pass


@dataclass
class Column:
    name: str
    what: str
    preload: str = None         # None: nothing to preload
    environment: dict = field(default_factory=dict)
    groups: tuple = ("micro", "ir", "programs")
    scale: int = 100            # percent of the operations, for slow ones
    binary: str = "micro"

    def env(self, extra):
        result = {k: v for k, v in os.environ.items()
                  if k != "LD_PRELOAD" and not k.startswith("POOLPROF_")}
        result.update(extra, **self.environment)
        if self.preload:
            result["BENCH_PRELOAD"] = self.preload      # launch.c makes it LD_PRELOAD
        return result


def find_library(*patterns):
    for folder in LIBRARY_DIRS:
        for pattern in patterns:
            found = sorted(glob.glob(os.path.join(folder, pattern)))
            if found:
                return found[0]
    return None


def poolprof_columns(library, work):
    # Only what happens inside the program: no profile, no report. poolprof+rep has both.
    quiet = {"POOLPROF_OUTPUT": "none", "POOLPROF_REPORT": "none"}
    loud = {"POOLPROF_OUTPUT": os.path.join(work, "%n.%p.poolprof"), "POOLPROF_REPORT": "text",
            "POOLPROF_LOG": os.path.join(work, "report.log")}
    return [
        Column("poolprof", "every allocation with its stack", library, quiet),
        Column("pp-off", "POOLPROF_TRACK=off", library, {**quiet, "POOLPROF_TRACK": "off"}),
        Column("pp-sample", "POOLPROF_TRACK=sample:512K", library, {**quiet, "POOLPROF_TRACK": "sample:512K"}),
        Column("pp-disable", "POOLPROF_ENABLE=0", library, {**quiet, "POOLPROF_ENABLE": "0"}),
        Column("pp+report", "profile and report too; cpu is without the watcher's", library, loud,
               groups=("programs",)),
    ]


def all_columns(library, work):
    columns = [Column("glibc", "nothing preloaded")]
    if library:
        columns += poolprof_columns(library, work)
    peers = [
        Column("jemalloc", "libjemalloc.so.2 preloaded", find_library("libjemalloc.so.2")),
        Column("mimalloc", "libmimalloc.so.2 preloaded", find_library("libmimalloc.so.2*")),
        Column("tcmalloc", "libtcmalloc_minimal.so.4 preloaded", find_library("libtcmalloc_minimal.so.4")),
        # The recorder alone, writing to nowhere: what happens inside the program.
        Column("heaptrack", "heaptrack's recorder, output to /dev/null",
               find_library("heaptrack/libheaptrack_preload.so"),
               {"DUMP_HEAPTRACK_OUTPUT": os.devnull}, groups=("micro", "programs"), scale=20),
    ]
    columns += [column for column in peers if column.preload]
    if os.path.exists(os.path.join(work, "micro_lsan")):
        columns.append(Column("lsan", "micro built with -fsanitize=leak", None,
                              {"LSAN_OPTIONS": "detect_leaks=0"}, ("micro",), 50, "micro_lsan"))
    return columns


def build_tools(work):
    """launch, micro, and a second micro for LeakSanitizer where the compiler has it."""
    def compile_one(source, name, *flags, check=True):
        subprocess.run([os.environ.get("CC", "cc"), "-std=gnu17", "-O2", "-g", "-pthread", *flags,
                        os.path.join(HERE, source), "-o", os.path.join(work, name)],
                       check=check, stderr=None if check else subprocess.DEVNULL)
    compile_one("launch.c", "launch")
    compile_one("micro.c", "micro")
    # LeakSanitizer walks frame pointers: without them its stacks would be short, and cheap.
    compile_one("micro.c", "micro_lsan", "-fsanitize=leak", "-fno-omit-frame-pointer", check=False)


def read_lines(path):
    with open(path, errors="replace", encoding="utf-8") as file:
        return [line.strip() for line in file if line.strip()]


def launch(argv, env, work, cwd=None, **streams):
    """Starts argv by way of launch.c; `finish` waits for it."""
    return subprocess.Popen([os.path.join(work, "launch"), os.path.join(work, "usage"),
                             str(RUN_LIMIT_S), *argv], env=env, cwd=cwd or work, **streams)


def finish(child, work):
    """The metrics of a program's row; RunFailed unless all went well."""
    status = child.wait()
    said = read_lines(os.path.join(work, "stderr"))
    if status:
        raise RunFailed("status %d: %s" % (status, said[-1] if said else "no message"))
    # The loader only warns of a preload that it cannot load, and then the bare run is measured.
    for line in said:
        if "cannot be preloaded" in line:
            raise RunFailed(line)
    with open(os.path.join(work, "usage"), encoding="ascii") as file:
        wall, cpu, rss, _ = file.read().split()
    return {"wall": float(wall), "cpu": float(cpu), "rss": int(rss) / 1024}


def run(argv, env, work, stdin=os.devnull, cwd=None):
    """Runs to the end; returns the beginning of its output, and the metrics."""
    with open(stdin, "rb") as source, open(os.path.join(work, "stderr"), "wb") as sink, \
            tempfile.TemporaryFile(dir=work) as output:
        child = launch(argv, env, work, cwd, stdin=source, stderr=sink, stdout=output)
        metrics = finish(child, work)
        output.seek(0)
        return output.read(4096).decode(errors="replace"), metrics


# ---- the three kinds of rows: each has name, what, group, metrics, measure(column) ----

class MicroRow:
    group = "micro"
    metrics = ("ns",)

    def __init__(self, name, what, settings):
        self.name, self.what, self.settings = name, what, settings

    def measure(self, column):
        scale = max(1, self.settings.scale * column.scale // 100)
        argv = [os.path.join(self.settings.work, column.binary), "--repeats",
                str(self.settings.repeats), "--scale", str(scale), self.name]
        text, _ = run(argv, column.env({}), self.settings.work)
        return {"ns": float(text)}


class InstructionRow:
    """Net instructions per operation: two counts of operations, with and without malloc. The pools
    and tables are warm only after some thousand operations, so the smaller count is not small."""
    group = "ir"
    metrics = ("instr",)
    counts = (20000, 40000)

    def __init__(self, mode, what, settings):
        self.name, self.mode, self.settings = "ir-" + mode, mode, settings
        self.what = "instructions: " + what
        self.cells = {}

    def collected(self, column, count, bare):
        log = os.path.join(self.settings.work, "callgrind.log")
        # Callgrind is one process and knows no raw clone: the watcher has no place in it.
        env = column.env({"POOLPROF_WATCH": "0"} if column.name != "glibc" else {})
        argv = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
                "--log-file=" + log, os.path.join(self.settings.work, "micro"),
                "--once", str(count), *(["--bare"] if bare else []), self.mode]
        run(argv, env, self.settings.work)
        with open(log, encoding="utf-8") as file:
            for line in file:
                if "Collected :" in line:
                    return int(line.split(":")[1])
        raise RunFailed("callgrind printed no count")

    def measure(self, column):
        if column.name not in self.cells:
            low, high = self.counts
            full = self.collected(column, high, False) - self.collected(column, low, False)
            bare = self.collected(column, high, True) - self.collected(column, low, True)
            self.cells[column.name] = (full - bare) / (high - low)
        return {"instr": self.cells[column.name]}


class ProgramRow:
    group = "programs"
    metrics = ("wall", "cpu", "rss")

    def __init__(self, program, settings):
        self.name, self.what, self.settings = program.name, program.what, settings
        self.command = program.make(settings.work, settings.factor)

    def measure(self, column):
        command = self.command
        env = column.env(command.environment)
        if command.client:
            return self.serve(command, env)
        return run(command.argv, env, self.settings.work, command.stdin, command.cwd)[1]

    def allocations(self, columns):
        """How many the program makes, with its children; None: not known."""
        counting = next((column for column in columns if column.name == "pp-off"), None)
        if counting is None:
            return None
        folder = tempfile.mkdtemp(dir=self.settings.work)
        os.chmod(folder, 0o777)
        column = replace(counting, environment={**counting.environment,
                                                "POOLPROF_OUTPUT": os.path.join(folder, "%n.%p.poolprof")})
        self.measure(column)
        program = os.path.join(os.path.dirname(os.path.dirname(counting.preload)), "bin", "poolprof")
        total, deadline = 0, time.monotonic() + 20
        while not os.listdir(folder) and time.monotonic() < deadline:
            time.sleep(0.05)            # what the watcher writes may come a moment later
        time.sleep(0.2)
        for profile in glob.glob(os.path.join(folder, "*.poolprof")):
            said = subprocess.run([program, "report", "--format", "json", profile], check=True, capture_output=True)
            total += json.loads(said.stdout)["totals"]["allocations"]
        return total or None

    def serve(self, command, env):
        """Wall time of the client, processor time and memory of the server."""
        work, socket = self.settings.work, command.client[2]
        with open(os.path.join(work, "stderr"), "wb") as sink:
            server = launch(command.argv, env, work, stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=sink)
        try:
            for _ in range(500):
                if os.path.exists(socket) or server.poll() is not None:
                    break
                time.sleep(0.01)
            start = time.perf_counter()
            subprocess.run(command.client, check=True, timeout=RUN_LIMIT_S,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            wall = (time.perf_counter() - start) * 1e3
        except subprocess.SubprocessError as problem:
            raise RunFailed(str(problem)) from problem
        finally:
            server.terminate()
            server.wait()
        return {**finish(server, work), "wall": wall}


def all_rows(settings):
    """(group, name, maker); nothing is prepared before it is known that the row is wanted."""
    listing = subprocess.run([os.path.join(settings.work, "micro"), "--list"], check=True,
                             capture_output=True, text=True).stdout
    modes = dict(line.split("\t") for line in listing.splitlines())
    rows = [("micro", name, lambda name=name, what=what: MicroRow(name, what, settings))
            for name, what in modes.items()]
    if shutil.which("valgrind"):
        rows += [("ir", "ir-" + mode, lambda mode=mode: InstructionRow(mode, modes[mode], settings))
                 for mode in IR_MODES]
    rows += [("programs", program.name, lambda program=program: ProgramRow(program, settings))
             for program in programs.PROGRAMS]
    return rows


# ---- measuring a row, and what is made of it ----

def measure_row(row, columns, rounds):
    """{metric: {column: [value per round]}} and {column: why it failed}."""
    values = {metric: {column.name: [] for column in columns} for metric in row.metrics}
    failed = {}
    able = [column for column in columns if row.group in column.groups]
    for turn in range(1 if row.group == "ir" else rounds):
        start = turn % len(able)
        for column in able[start:] + able[:start]:
            if column.name in failed:
                continue
            try:
                measured = row.measure(column)
            except (RunFailed, ValueError) as problem:
                failed[column.name] = str(problem)
                continue
            for metric, value in measured.items():
                values[metric][column.name].append(value)
    return values, failed


def summarise(values, failed, base):
    """One cell per column: medians, minima and the ratios to the base column."""
    cells = {}
    for name, series in values.items():
        if name in failed:
            cells[name] = {"failed": failed[name]}
        elif series:
            cell = {"median": statistics.median(series), "min": min(series), "values": series}
            bare = values[base]
            if name != base and base not in failed and bare and all(b > 0 for b in bare):
                cell["ratio_median"] = statistics.median(v / b for v, b in zip(series, bare))
                cell["ratio_min"] = min(series) / min(bare)
            cells[name] = cell
    return cells


def cell_text(cell):
    if cell is None:
        return "-"
    if "failed" in cell:
        return "failed"
    if "ratio_median" in cell:
        return "%.2f (%.2f)" % (cell["ratio_median"], cell["ratio_min"])
    return "?"


UNITS = {"ns": "ns", "instr": "instr", "wall": "ms", "cpu": "ms", "rss": "MiB"}


class Table:
    """Prints line by line, as soon as a row is measured: a whole run takes minutes."""

    def __init__(self, columns, out):
        self.columns, self.out, self.notes = columns, out, []
        heads = "".join("%14s" % column.name for column in columns[1:])
        print("%-17s %14s%s" % ("row", columns[0].name, heads), file=out)

    def add(self, row, metric, cells):
        label = row.name + (" " + metric if len(row.metrics) > 1 else "")
        base = cells.get(self.columns[0].name)
        bare = "%.*f %s" % (2 if metric == "ns" else 0 if metric == "wall" else 1, base["median"],
                            UNITS[metric]) if base and "median" in base else cell_text(base)
        texts = "".join("%14s" % cell_text(cells.get(column.name)) for column in self.columns[1:])
        print("%-17s %14s%s" % (label, bare, texts), file=self.out, flush=True)
        for name, cell in cells.items():
            if "failed" in cell and metric == row.metrics[0]:
                self.notes.append("%s under %s: %s" % (row.name, name, cell["failed"]))

    def each(self, allocations, cells):
        """Processor time that each allocation costs more than bare."""
        bare = cells[self.columns[0].name]["min"]
        texts = ""
        for column in self.columns[1:]:
            cell = cells.get(column.name)
            known = cell is not None and "min" in cell
            texts += "%14s" % ("%+.0f ns" % ((cell["min"] - bare) * 1e6 / allocations) if known else "-")
        rate = allocations / bare / 1e3
        print("%-17s %14s%s" % ("  each of %.2g M" % (allocations / 1e6), "%.2f M/s" % rate, texts), file=self.out,
              flush=True)

    def mean(self, cells_of_rows):
        """Geometric mean of the ratios of processor time, of those rows that each column has."""
        texts = ""
        for column in self.columns[1:]:
            ratios = [cells[column.name]["ratio_min"] for cells in cells_of_rows
                      if "ratio_min" in cells.get(column.name, {})]
            texts += "%14s" % ("%.2f" % statistics.geometric_mean(ratios) if len(ratios) == len(cells_of_rows) else "-")
        print("%-17s %14s%s" % ("geometric mean", "%d programs" % len(cells_of_rows), texts), file=self.out)

    def finish(self, rounds):
        print("\n%s: median of %d rounds. Others: times that, median of the rounds' ratios "
              "(ratio of the minima); lower is better." % (self.columns[0].name, rounds),
              file=self.out)
        for column in self.columns:
            print("  %-11s %s" % (column.name, column.what), file=self.out)
        for note in self.notes:
            print("failed: " + note, file=self.out)


def machine():
    model = "unknown"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {"cpu": model, "cores": os.cpu_count(), "kernel": platform.release(),
            "libc": " ".join(platform.libc_ver()), "load": os.getloadavg()[0]}


def parse_arguments():
    parser = argparse.ArgumentParser(prog="tests/bench/run.sh",
                                     description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("rows", nargs="*", metavar="ROW", help="rows or groups; default: all")
    parser.add_argument("--quick", action="store_true", help="less of everything, rough figures")
    parser.add_argument("--rounds", type=int, help="rounds per row (7; with --quick 3)")
    parser.add_argument("--columns", help="only these, comma separated; glibc is always in")
    parser.add_argument("--library", default=os.environ.get("POOLPROF_LIBRARY") or
                        os.path.join(ROOT, "build", "lib", "libpoolprof.so"), help="libpoolprof.so")
    parser.add_argument("--json", action="store_true",
                        help="JSON on standard output; the table goes to standard error")
    parser.add_argument("--list", action="store_true", help="rows and what they are")
    parser.add_argument("--work", help="directory for inputs (default: a temporary one)")
    return parser.parse_args()


@dataclass
class Settings:
    work: str
    quick: bool

    @property
    def scale(self):            # percent of micro's operations
        return 20 if self.quick else 100

    @property
    def repeats(self):          # in one process
        return 3 if self.quick else 5

    @property
    def factor(self):           # size of the programs' inputs
        return 0.2 if self.quick else 1


def choose(items, wanted, key, what):
    """The items whose names or groups were asked for, in our order; all if nothing was."""
    if not wanted:
        return items
    names = {name for item in items for name in key(item)}
    unknown = [word for word in wanted if word not in names]
    if unknown:
        print("bench: no such %s here: %s; there are: %s"
              % (what, " ".join(unknown), " ".join(sorted(names))), file=sys.stderr)
        sys.exit(2)
    return [item for item in items if set(key(item)) & set(wanted)]


def measure_all(settings, options, library):
    columns = all_columns(library, settings.work)
    if options.columns:
        columns = columns[:1] + choose(columns[1:], options.columns.split(","),
                                       lambda column: (column.name,), "column")
    rows = choose(all_rows(settings), options.rows, lambda row: row[:2], "row")
    rounds = options.rounds or (3 if settings.quick else 7)
    table = Table(columns, sys.stderr if options.json else sys.stdout)
    results, broken, programs_cpu = [], False, []
    for _, name, make in rows:
        row = make()
        if isinstance(row, ProgramRow) and not row.command:
            print("%-17s %14s" % (name, "not installed"), file=table.out)
            continue
        values, failed = measure_row(row, columns, rounds)
        broken |= any(column.name in failed for column in columns
                      if column.preload and column.preload == library)
        for metric in row.metrics:
            cells = summarise(values[metric], failed, columns[0].name)
            table.add(row, metric, cells)
            if metric == "cpu" and "min" in cells.get(columns[0].name, {}):
                programs_cpu.append(cells)
                allocations = row.allocations(columns)
                if allocations and allocations >= 10000:
                    table.each(allocations, cells)
            results.append({"row": name, "group": row.group, "metric": metric,
                            "unit": UNITS[metric], "what": row.what, "cells": cells})
    if len(programs_cpu) > 1:
        table.mean(programs_cpu)
    table.finish(rounds)
    if options.json:
        json.dump({"schema": "poolprof.bench/1", "machine": machine(), "quick": settings.quick,
                   "rounds": rounds, "columns": {c.name: c.what for c in columns},
                   "rows": results}, sys.stdout, indent=1)
        print()
    return 1 if broken else 0


def main():
    options = parse_arguments()
    library = os.path.abspath(options.library)
    if not os.path.exists(library):
        print("bench: no %s: peers only" % library, file=sys.stderr)
        library = None
    with tempfile.TemporaryDirectory(prefix="poolprof-bench-") as temporary:
        work = options.work or temporary
        os.makedirs(work, exist_ok=True)
        build_tools(work)
        settings = Settings(work, options.quick)
        if options.list:
            for group, name, _ in all_rows(settings):
                print("%-9s %s" % (group, name))
            return 0
        return measure_all(settings, options, library)


sys.exit(main())

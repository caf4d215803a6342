"""Every format has the JSON report's figures, and the programs that it is for can read it."""
import gzip
import os
import pty
import resource
import shutil
import sqlite3
import subprocess

from common import (GAME, GOLDEN, GOLDEN_TEST, check, complains, folded_of, label, made, poolprof, profile_of,
                    reported, rows_of, safe, skip, stack_of)
from driver import Sandbox, main
from pprof_reader import Profile

COLUMNS = ("kind,objects,bytes,oldest_s,newest_s,thread,tag,type,allocations,bytes_allocated,temporary,"
           "suspect_objects,suspect_bytes,truncated,stack")


def pprof_of(box, profile, *more):
    path = box.path("out.pb.gz")
    poolprof("report", profile, "--format", "pprof", "-o", path, *more)
    return Profile(path)


# --- the same figures ---

def formula_safe(text):
    return "'" + text if text[:1] in tuple("=+-@") else text


def place(frame):
    if frame["file"] is None:
        return label(frame)
    return f"{label(frame)} ({safe(frame['file'])}" + (f":{frame['line']})" if frame["line"] else ")")


def same_csv(report, rows):
    check(len(rows) == len(report["sites"]), len(rows), "rows")
    for site, row in zip(report["sites"], rows):
        for column in ("objects", "bytes", "allocations", "bytes_allocated", "temporary", "suspect_objects",
                       "suspect_bytes"):
            check(int(row[column]) == site[column], column, row, site)
        for column in ("oldest_s", "newest_s"):
            check(float(row[column]) == site[column], column, row, site)
        for column in ("thread", "tag", "type"):
            check(row[column] == formula_safe(safe(site[column] or "")), column, row, site)
        check(row["kind"] == site["kind"] and row["truncated"] == str(site["truncated"]).lower(), row, site)
        check(row["stack"] == formula_safe(" < ".join(map(place, site["stack"]))), row["stack"], site["stack"])


def folded_name(frame):
    return label(frame).replace(";", ":").replace(" ", "_")


def same_folded(report, lines):
    """Sites whose stacks look the same are one line, at the place of the first."""
    expected = {}
    for site in report["sites"]:
        frames = [folded_name(frame) for frame in reversed(site["stack"])]
        if not frames:
            frames = ["[unknown]"]
        elif site["truncated"]:
            frames.insert(0, "[truncated]")
        total = expected.setdefault(tuple(frames), [frames, 0])
        total[1] += site["bytes"]
    check(lines == [tuple(row) for row in expected.values()], "folded:", lines, "json:", list(expected.values()))


def pprof_frames(where):
    for location in where:
        for name, file, line in location["lines"]:
            yield name, file, line
        if not location["lines"]:
            yield None, "", 0


def same_sample(site, sample, cumulative, biases):
    where, values, labels = sample
    check(values[:2] == [site["objects"], site["bytes"]], values, site)
    check(values[2:] == cumulative, values, cumulative)
    expected = {key: safe(site[key]) for key in ("thread", "tag", "kind", "type") if site[key]}
    check(labels == expected, labels, expected)
    frames = [(label(f), safe(f["file"] or ""), f["line"]) if f["function"] or f["file"] or not f["module"]
              else (None, "", 0) for f in site["stack"]]
    marks = [] if site["stack"] and not site["truncated"] else ["[truncated]" if site["stack"] else "[unknown]"]
    found = list(pprof_frames(where))
    if marks:
        check(found.pop() == (marks[0], "", 0), "no mark:", where)
    check([f for f in found if f[0]] == [f for f in frames if f[0]], found, frames)
    addresses = [int(f["address"], 16) for f in site["stack"]
                 if not f["inlined"] or f is site["stack"][-1]]
    shown = [(w["address"] - biases[w["mapping"]]) % 2**64 for w in where[:len(where) - len(marks)]]
    check(shown == addresses, "addresses:", list(map(hex, shown)), list(map(hex, addresses)))


def same_pprof(report, profile, biases):
    check(profile.types == [("inuse_objects", "count"), ("inuse_space", "bytes"), ("alloc_objects", "count"),
                            ("alloc_space", "bytes")] and profile.default == "inuse_space", profile.types)
    check(len(profile.samples) == len(report["sites"]), len(profile.samples), "samples")
    for site, sample in zip(report["sites"], profile.samples):
        same_sample(site, sample, [site["allocations"], site["bytes_allocated"]], biases)
    check(profile.duration_ns == int(report["process"]["duration_s"] * 1e9 + 0.5) or
          abs(profile.duration_ns / 1e9 - report["process"]["duration_s"]) < 1e-8, profile.duration_ns)


def modules_of(profile):
    with sqlite3.connect(f"file:{profile}?immutable=1", uri=True) as database:
        return {row[0]: row[1:] for row in
                database.execute("SELECT id, bias, path, build_id, start, end FROM modules")}


def same_everywhere(box, profile):
    report = reported(profile)
    modules = modules_of(profile)
    check(report["sites"] or not rows_of(profile), "rows without sites")
    same_csv(report, rows_of(profile))
    same_folded(report, folded_of(profile))
    pprof = pprof_of(box, profile)
    same_pprof(report, pprof, {number: row[0] if number else 0 for number, row in modules.items()})
    for number, row in pprof.mappings.items():
        _, path, build_id, start, end = modules[number]
        check((pprof.text(row.get(5, 0)), pprof.text(row.get(6, 0))) == (safe(path), build_id), row)
        check((row.get(2, 0), row.get(3, 0)) == (start % 2**64, end % 2**64), row, start, end)
    check(len(pprof.mappings) == len(modules) - 1, "mappings:", len(pprof.mappings), len(modules))
    return report


def random():
    with Sandbox() as box:
        for profile in made(box):
            same_everywhere(box, profile)


def program():
    """A real program: its sites are all there, and the sums are the totals."""
    with Sandbox() as box:
        profile = profile_of(box, GAME, "--frames", "100", "--leak", "all")
        report = same_everywhere(box, profile)
        total = report["totals"]["outstanding_bytes"]
        check(total > 0 and total == sum(size for _, size in folded_of(profile)), total)
        check(total == sum(int(row["bytes"]) for row in rows_of(profile)), total)
        pprof = pprof_of(box, profile)
        check(total == sum(values[1] for _, values, _ in pprof.samples), total)
        first = next(iter(pprof.mappings.values()))
        check(pprof.text(first[5]).endswith("/game") and first.get(7) == 1, first)
        for form in ("csv", "folded"):
            check(len(reported(profile, form, "--top", "2").splitlines()) == 2 + (form == "csv"), form, "--top")
        check(len(pprof_of(box, profile, "--top", "2").samples) == 2, "pprof --top")


def golden():
    """Scenarios as pprof. Update: PP_UPDATE=1."""
    with Sandbox() as box:
        for profile in made(box):
            name = os.path.basename(profile).replace(".poolprof", ".pprof")
            path = os.path.join(GOLDEN, name)
            if name.startswith("random"):
                continue
            text = "\n".join(pprof_of(box, profile).lines()) + "\n"
            if os.environ.get("PP_UPDATE"):
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
            with open(path, encoding="utf-8") as file:
                check(file.read() == text, name, "differs:\n" + text)


# --- clients ---

def renamed(box, **columns):
    """A profile of the scenario "leaks" with some texts replaced."""
    profile = next(path for path in made(box) if path.endswith("/leaks.poolprof"))
    with sqlite3.connect(profile) as database:
        for place_, text in columns.items():
            table, column = place_.split("__")
            database.execute(f"UPDATE {table} SET {column} = ?", (text,))
    database.close()
    return profile


HOSTILE = ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", 'a"b', "a,b", "a\r\nb", "a;b c", "\x1b[2J", "\u202eabc", "",
           " =1", "\t=1"]


def csv():
    """Python's csv module reads it; no cell is a formula, whatever the names."""
    check(reported_header() == COLUMNS, "columns")
    for text in HOSTILE:
        with Sandbox() as box:
            profile = renamed(box, frames__function=text, frames__file=text, sites__tag=text, sites__type=text,
                              sites__thread=text)
            same_csv(reported(profile), rows_of(profile))
            for row in rows_of(profile):
                for cell in row.values():
                    check(not cell or cell[0] not in "=+-@\t\r\n", "a formula:", cell)
                    check("\n" not in cell and "\x1b" not in cell, "control characters:", cell)


def reported_header():
    with Sandbox() as box:
        profile = next(path for path in made(box) if path.endswith("/empty.poolprof"))
        lines = reported(profile, "csv").split("\r\n")
        check(lines[1:] == [""], "rows in an empty report:", lines)
        return lines[0]


def folded():
    """Each line comes apart as flamegraph.pl does it, whatever the names."""
    for text in HOSTILE:
        with Sandbox() as box:
            profile = renamed(box, frames__function=text)
            lines = folded_of(profile)
            same_folded(reported(profile), lines)
            check(sum(size for _, size in lines) == reported(profile)["totals"]["outstanding_bytes"], lines)
            check({len(frames) for frames, _ in lines} == {len(site["stack"]) for site in reported(profile)["sites"]},
                  "frames fell apart:", lines)


def go():
    """go tool pprof reads it, and shows the figures."""
    tool = shutil.which("go")
    if tool is None:
        skip("go is not installed")
    with Sandbox() as box:
        env = {"PATH": os.environ["PATH"], "HOME": box.directory, "PPROF_TMPDIR": box.directory}
        profile = profile_of(box, GAME, "--frames", "100", "--leak", "all")
        for path in [profile, *made(box)]:
            out = box.path("go.pb.gz")
            report = reported(path)
            poolprof("report", path, "--format", "pprof", "-o", out)
            done = subprocess.run([tool, "tool", "pprof", "-raw", out], env=env, text=True, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE)
            check(done.returncode == 0 and "inuse_space/bytes[dflt]" in done.stdout, path, done.stderr)
            lines = done.stdout.split("Samples:\n")[1].split("Locations\n")[0].splitlines()[1:]
            figures = [tuple(map(int, line.split(":")[0].split())) for line in lines if line[:11].strip()[:1].isdigit()]
            # It makes one of samples that differ in an empty label only.
            for at, column in enumerate(("objects", "bytes")):
                check(sum(row[at] for row in figures) == sum(site[column] for site in report["sites"]), path, figures)
            check(0 <= len(report["sites"]) - len(figures) <= len(report["sites"]) / 4, path, figures)
        done = subprocess.run([tool, "tool", "pprof", "-top", "-unit=B", box.path("go.pb.gz")], env=env,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        check(done.returncode == 0, done.stderr)
        top_of_program(box, tool, env, profile)


def top_of_program(box, tool, env, profile):
    out = box.path("program.pb.gz")
    poolprof("report", profile, "--format", "pprof", "-o", out)
    done = subprocess.run([tool, "tool", "pprof", "-top", "-unit=B", "-nodefraction=0", out], env=env, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    print(done.stdout)
    expected = {}
    for site in reported(profile)["sites"]:
        name = label(site["stack"][0])
        expected[name] = expected.get(name, 0) + site["bytes"]
    shown = {line.split()[5]: int(line.split()[0].rstrip("B")) for line in done.stdout.splitlines()
             if line.strip()[:1].isdigit() and len(line.split()) >= 6 and line.split()[0] != "0"}
    for name in ("must_alloc", "must_realloc"):
        check(shown.get(name) == expected[name], name, shown, expected)


def nothing():
    """No sites: every format is complete all the same."""
    with Sandbox() as box:
        for profile in made(box):
            if not os.path.basename(profile).startswith(("empty", "clean", "untracked")):
                continue
            check(reported(profile, "folded") == "" and rows_of(profile) == [], profile)
            check(pprof_of(box, profile).samples == [], profile)


def bounded():
    """100,000 stacks of 200 frames, 800 MB as lists of frames: reported in 200 MB of address space."""
    with Sandbox() as box:
        profile = profile_of(box, GAME, "--frames", "10", LEAK_CHECK="off")
        with sqlite3.connect(profile) as database:
            for table in ("sites", "ages", "peak_sites", "pins", "worst_frames", "frame_sites"):
                database.execute(f"DELETE FROM {table}")
            count, = database.execute("SELECT count(*) FROM stacks").fetchone()
            database.executemany("INSERT INTO stacks VALUES(?, ?, ?)",
                                 ((count + i, count + i - 1 if i <= 200 else count + 200, 1 + i % 9) for i in range(1, 100001)))
            database.execute("INSERT INTO sites(id, kind, stack, objects, bytes, thread) SELECT id - ?, 'outstanding', id, "
                             "1, id, 't' FROM stacks WHERE id > ?", (count, count))
        database.close()
        limit = 200 << 20
        done = poolprof("report", profile, "--top", "3",
                        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
        check(b"100,000 sites" in done.stdout, done.stdout[:500])


def progress():
    """On a terminal, and there only, a line about what takes longer than a second; it goes when that ends."""
    with Sandbox() as box:
        # A pipe for each: the reader of a shared one sees its end when one writer is done before the other has opened it.
        profile, pipes = made(box)[0], [box.path("quiet"), box.path("terminal")]
        for pipe in pipes:
            os.mkfifo(pipe)
        command = [os.environ["PP_PROGRAM"], "report", profile, "--format", "csv", "-o"]
        quiet = subprocess.Popen([*command, pipes[0]], stderr=subprocess.PIPE)
        pid, terminal = pty.fork()
        if pid == 0:
            os.execv(command[0], [*command, pipes[1]])
        said = b""
        while b" s\x1b[K" not in said:  # nobody reads the pipe: it waits
            said += os.read(terminal, 4096)
        check(b"\rpoolprof: writing the report, " in said, said)
        for pipe in pipes:
            with open(pipe, "rb") as file:
                check(b"kind,objects" in file.read(), "not written")
        try:
            while got := os.read(terminal, 4096):
                said += got
        except OSError:
            pass
        check(os.waitpid(pid, 0)[1] == 0 and said.endswith(b"\r\x1b[K"), said)
        check(quiet.communicate(timeout=60)[1] == b"" and quiet.returncode == 0, "said more than nothing")


def usage():
    with Sandbox() as box:
        profile = made(box)[0]
        for form in ("csvx", "", "PPROF"):
            check("pprof, folded, csv" in complains(2, "report", profile, "--format", form), form)
        check("unreadable" not in complains(3, "report", profile, "--format", "csv", "-o", "/nowhere/x"), "-o")
        done = subprocess.run([GOLDEN_TEST, "/nowhere", "--profiles"], stderr=subprocess.DEVNULL)
        check(done.returncode != 0, "golden_test --profiles does not tell that it failed")
        packed = poolprof("report", profile, "-f", "pprof").stdout
        check(gzip.decompress(packed), "pprof on standard output")


if __name__ == "__main__":
    main({f.__name__: f for f in (random, program, golden, csv, folded, go, nothing, bounded, progress, usage)})

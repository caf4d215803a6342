"""heaptrack's and massif's formats: the JSON report's figures, read by heaptrack_print and ms_print."""
import os
import re
import shutil
import subprocess

from common import GAME, check, label, made, poolprof, profile_of, reported, safe, skip
from driver import Sandbox, main

LINES_MAX = 1 << 22  # heaptrack.c


def written(box, profile, form):
    path = box.path("out." + form)
    poolprof("report", profile, "--format", form, "-o", path)
    return path


def run(*command):
    if shutil.which(command[0]) is None:
        skip(f"{command[0]} is not installed")
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    check(done.returncode == 0 and done.stderr.count("failed") == 0, command, done.returncode, done.stderr[:500])
    return done.stdout


# --- heaptrack ---

class Trace:
    def __init__(self):
        self.bytes = self.objects = self.allocations = self.peak = 0


class Heaptrack:
    """What a reader of the format makes of it."""

    def __init__(self, path):
        self.strings, self.frames, self.nodes, self.blocks, self.traces = [""], [None], [None], [], {}
        self.bytes = self.peak = self.temporary = self.allocations = 0
        last = None
        with open(path, encoding="utf-8") as file:
            for line in file:
                kind, rest = line[0], line[2:-1]
                if kind == "+":
                    last = int(rest, 16)
                    size, trace = self.blocks[last]
                    trace.bytes += size
                    trace.objects += 1
                    trace.allocations += 1
                    self.bytes += size
                    if self.bytes > self.peak:
                        self.peak = self.bytes
                elif kind == "-":
                    size, trace = self.blocks[int(rest, 16)]
                    self.temporary += int(rest, 16) == last
                    last = None
                    trace.bytes -= size
                    trace.objects -= 1
                    self.bytes -= size
                else:
                    self.definition(kind, rest)
        self.allocations = sum(trace.allocations for trace in self.traces.values())

    def definition(self, kind, rest):
        if kind == "s":
            self.strings.append(rest)
        elif kind == "i":
            address, module, function, file, number = (int(word, 16) for word in rest.split())
            self.frames.append((address, self.strings[module], self.strings[function], self.strings[file], number))
        elif kind == "t":
            frame, parent = (int(word, 16) for word in rest.split())
            check(parent < len(self.nodes) and 0 < frame < len(self.frames), "a trace before its parent or frame")
            self.nodes.append(((self.frames[frame],) + (self.nodes[parent] or ())))
        elif kind == "a":
            size, trace = (int(word, 16) for word in rest.split())
            self.blocks.append((size, self.traces.setdefault(self.nodes[trace], Trace())))


def frames_of(site, modules):
    """As in the format; of modules, the JSON report has the last part of the path."""
    if not site["stack"]:
        return ((0, "", "[unknown]", "", 0),)
    return tuple((int(f["address"], 16), safe(f["module"] or ""), safe(f["function"] or ""), safe(f["file"] or ""),
                  f["line"]) for f in site["stack"])


def by_stack(sites, keys):
    sums = {}
    for site in sites:
        row = sums.setdefault(frames_of(site, None), dict.fromkeys(keys, 0))
        for key in keys:
            row[key] += site[key]
    return sums


def by_place(read):
    return {tuple((a, os.path.basename(m), f, p, n) for a, m, f, p, n in frames): trace
            for frames, trace in read.traces.items()}


def same_heaptrack(report, read):
    exact = max(sum(s["objects"] for s in sites) for sites in (report["sites"], report["peak"]["sites"])) <= LINES_MAX
    traces = by_place(read)
    sums = by_stack(report["sites"], ("bytes", "objects"))
    for frames, row in sums.items():
        trace = traces.get(frames, Trace())
        check(trace.bytes == row["bytes"], "bytes of", frames, trace.bytes, row)
        check(not exact or trace.objects == row["objects"], "objects of", frames, trace.objects, row)
    check(all(trace.bytes == 0 for frames, trace in traces.items() if frames not in sums), "bytes of other stacks")
    peak, end = (sum(site["bytes"] for site in sites) for sites in (report["peak"]["sites"], report["sites"]))
    check(read.bytes == end and read.peak == max(peak, end), "sums:", read.bytes, read.peak, end, peak)


def heaptrack():
    """Of all scenarios, a random model and a real program, whose freed and temporary blocks are counted, too."""
    with Sandbox() as box:
        profiles = [path for path in made(box) if "random" not in path or path.endswith("random1.poolprof")]
        for profile in profiles:
            same_heaptrack(reported(profile), Heaptrack(written(box, profile, "heaptrack")))
        profile = profile_of(box, GAME, "--frames", "100", "--leak", "all")
        report, read = reported(profile), Heaptrack(written(box, profile, "heaptrack"))
        same_heaptrack(report, read)
        sums = by_stack(report["sites"], ("allocations", "objects"))
        peaks = by_stack(report["peak"]["sites"], ("objects",))
        expected = sum(max(row["allocations"], peaks.get(frames, {"objects": 0})["objects"], row["objects"])
                       for frames, row in sums.items())
        expected += sum(row["objects"] for frames, row in peaks.items() if frames not in sums)
        check(expected <= read.allocations <= expected + sum(row["objects"] for row in peaks.values()), "allocations",
              read.allocations, expected)
        for frames, trace in by_place(read).items():
            row = sums.get(frames, {"allocations": 0})["allocations"]
            check(trace.allocations == row or trace.allocations > row and frames in peaks, "allocations of", frames)
        temporary = sum(site["temporary"] for site in report["sites"])
        check(temporary <= read.temporary <= temporary + 2, "temporary", read.temporary, temporary)


def heaptrack_print():
    with Sandbox() as box:
        for profile in [profile_of(box, GAME, "--frames", "100", "--leak", "all"),
                        *(path for path in made(box) if "random" not in path)]:
            report, path, stacks = reported(profile), written(box, profile, "heaptrack"), box.path("stacks")
            for cost, sites in (("leaked", report["sites"]), ("peak", report["peak"]["sites"])):
                total = sum(site["bytes"] for site in sites)
                run("heaptrack_print", "-f", path, "--disable-builtin-suppressions", "-F", stacks, "--flamegraph-cost-type",
                    cost)
                with open(stacks, encoding="utf-8") as file:
                    shown = sum(int(line.split()[-1]) for line in file)
                check(shown == total or cost == "peak" and total < sum(site["bytes"] for site in report["sites"]),
                      profile, cost, shown, total)
            text = run("heaptrack_print", "-l", "-f", path, "--disable-builtin-suppressions")
            for site in report["sites"][:3]:
                if site["stack"] and site["bytes"] > 0:
                    check(label(site["stack"][0]) in text or not site["stack"][0]["function"], label(site["stack"][0]), text)


# --- massif ---

def snapshots(path):
    """[{key: value, "tree": [lines]}]."""
    found = []
    with open(path, encoding="utf-8") as file:
        for line in file.read().splitlines():
            match = re.fullmatch(r"(\w+)=(.*)", line)
            if match and match[1] == "snapshot":
                found.append({"tree": []})
            if match and found:
                found[-1][match[1]] = match[2]
            elif found and re.match(r" *n\d+: ", line):
                found[-1]["tree"].append(line)
    return found


def expect_tree(lines, sites, depth=0):
    """Consumes the lines of one node; sites: [(bytes, frames outwards from here)]."""
    match = re.fullmatch(r"( *)n(\d+): (\d+) (.*)", lines.pop(0))
    check(len(match[1]) == depth, "indented otherwise:", match[0])
    check(int(match[3]) == sum(size for size, _ in sites), "bytes:", match[0], sites)
    groups = {}
    for size, stack in sites:
        if stack or depth == 0:
            frame = stack[0] if stack else None
            groups.setdefault(str(frame), []).append((size, stack[1:]))
    for _ in range(int(match[2])):
        child = re.fullmatch(r" *n\d+: (\d+) (.*)", lines[0])
        if "all below massif's threshold" in child[2]:
            check(int(child[1]) == sum(size for group in groups.values() for size, _ in group), "the rest:", child[0])
            lines.pop(0)
            groups.clear()
            continue
        same = [key for key, group in groups.items() if sum(size for size, _ in group) == int(child[1]) and
                (key == "None" or label(eval(key)) in child[2])]
        check(same, "no such place:", child[0], list(groups))
        expect_tree(lines, groups.pop(same[0]), depth + 1)
    check(depth >= 200 or not groups, "places left:", groups)


def massif():
    """The samples, and each place of the peak and the end."""
    with Sandbox() as box:
        for profile in [profile_of(box, GAME, "--frames", "100", "--leak", "all"),
                        *(path for path in made(box) if "random" not in path)]:
            report, shots = reported(profile), snapshots(written(box, profile, "massif"))
            plain = [(int(shot["time"]), int(shot["mem_heap_B"])) for shot in shots if shot["heap_tree"] == "empty"]
            check(plain[1:] == [(int(s["t_s"] * 1000), s["heap_bytes"]) for s in report["samples"]], plain)
            times = [int(shot["time"]) for shot in shots]
            check(times == sorted(times), "time runs back:", times)
            check(shots[-1]["heap_tree"] == "detailed" and
                  int(shots[-1]["mem_heap_B"]) == max(report["totals"]["outstanding_bytes"],
                                                      sum(s["bytes"] for s in report["sites"])), shots[-1])
            expect_tree(shots[-1]["tree"], [(s["bytes"], s["stack"]) for s in report["sites"]])
            peaks = [shot for shot in shots if shot["heap_tree"] == "peak"]
            check(len(peaks) == (len(report["peak"]["sites"]) > 0), peaks)
            for shot in peaks:
                check(int(shot["mem_heap_B"]) == max(report["peak"]["bytes"],
                                                     sum(s["bytes"] for s in report["peak"]["sites"])), shot)
                expect_tree(shot["tree"], [(s["bytes"], s["stack"]) for s in report["peak"]["sites"]])


def ms_print():
    with Sandbox() as box:
        for profile in [profile_of(box, GAME, "--frames", "100", "--leak", "all"), *made(box)]:
            report = reported(profile)
            text = run("ms_print", written(box, profile, "massif"))
            bytes_ = max(report["totals"]["outstanding_bytes"], sum(site["bytes"] for site in report["sites"]))
            check(f"{bytes_:,}" in text.replace("B)", ""), profile, text[-2000:])


if __name__ == "__main__":
    main({f.__name__: f for f in (heaptrack, heaptrack_print, massif, ms_print)})

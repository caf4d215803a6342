"""Hostile values of each option: exactly one line that names the variable, the value and the range; the
program runs on with its own output and status. The options come from options.def itself."""
import os
import re

from driver import SOURCE, Sandbox, check, check_outstanding, main

ROW = re.compile(r'^PP_OPTION\((\w+), (\w+), "([^"]*)", ([^,]+), ([^,]+), "([^"]*)", (\w+)', re.M)


def rows():
    with open(os.path.join(SOURCE, "include/poolprof/options.def"), encoding="utf-8") as file:
        found = ROW.findall(file.read())
    check(len(found) > 15, "options.def not understood:", found)
    return found


def bad_values(row):
    name, kind, _, low, high, words, _ = row
    if kind == "TEXT":
        return ["x" * (int(high) + 1)]
    if kind == "PATTERN":
        return ["x" * (int(high) + 1), "%x.profile", "%", "a%n%", "directory/"]
    values = ["rubbish!", "", "-1", "1e", "99999999999999999999999999", "12 apples", "0x"]
    if kind in ("BYTES", "TIME", "COUNT"):
        values += ["5Q", "K", "nan", "inf", ".", "1M1"]
    if kind == "MODE":
        values += [words.rsplit(",", maxsplit=1)[-1] + tail for tail in ("", "1")]
        prefix = words.rsplit(",", maxsplit=1)[-1].split(":")[0]
        values += [prefix] + [f"{prefix}:{number}" for number in ("", "0", "1023", "2T", "abc", "-4K", "4K,", " 4K")]
    return values


def outcome(box, **options):
    done = box.run("hello", options=options)
    wanted = int(options["EXITCODE"]) if options.get("EXITCODE") in ("1", "128") else 0
    check(done.returncode == (wanted or 5) and done.out == "to stdout\n", options, "status", done.returncode, done.out)
    return done, [line for line in done.err.splitlines() if line != "to stderr"]


def each_value():
    problems = []
    for row in rows():
        for value in bad_values(row):
            with Sandbox() as box:
                options = {"REPORT": "none", "LOG_LEVEL": "warn", "OUTPUT": "none"}
                options[row[0]] = value
                done, lines = outcome(box, **options)
                lines = [line for line in lines if "POOLPROF_" + row[0] in line]
                if value == "" and not lines:
                    continue  # an empty value may count as not set
                shown = value[:40]
                if len(lines) != 1 or shown not in lines[0] or len(lines[0]) > 1200:
                    problems.append(f"POOLPROF_{row[0]}={shown}: {lines or 'not a word'}")
                elif row[1] in ("WORD", "MODE") and not all(word in lines[0] for word in row[5].split(",")):
                    problems.append(f"the range is not in: {lines[0]}")
                elif row[1] in ("FLAG", "COUNT") and not re.search(r"\b0 or 1\b|from|between|to", lines[0]):
                    problems.append(f"the range is not in: {lines[0]}")
    check(not problems, f"{len(problems)} wrong:\n  " + "\n  ".join(problems))


def all_at_once():
    """Every variable bad at the same time; the profile is written nevertheless, under the default name."""
    with Sandbox() as box:
        options = {row[0]: bad_values(row)[0] for row in rows()}
        done, lines = outcome(box, **options)
        for row in rows():
            check(any("POOLPROF_" + row[0] in line for line in lines), row[0], "not named:", lines[:30])
        check_outstanding(box.report(done.pid, "hello"), "leak_hello", 2, 100)


def unknown_name():
    with Sandbox() as box:
        done, lines = outcome(box, MEM_WARM="1M")
        check(len(lines) == 1 and "POOLPROF_MEM_WARM" in lines[0], "unknown name:", lines)
        check_outstanding(box.report(done.pid), "leak_hello", 2, 100)


def good_values():
    """The edges of each range and each word are taken without a word."""
    problems = []
    for name, kind, default, _, _, words, _ in rows():
        values = [word for word in words.split(",") if ":" not in word]
        values += ["sample:1K", "sample:1T", "sample:1.5M"] if kind == "MODE" else []
        values += {"FLAG": ["0", "1"], "BYTES": ["2097152", "64M", "1G"], "TIME": ["2", "1500ms", "2m"],
                   "COUNT": ["1", "128"]}.get(kind, [])
        for value in [default] + [v for v in values if v]:
            with Sandbox() as box:
                options = {"OUTPUT": "none", name: value}
                if name.startswith("MEM_") and value == "2097152":
                    continue  # raises an alert
                if (name, value) in (("REPORT", "text"), ("REPORT", "json"), ("LOG_LEVEL", "debug"),
                                     ("LOG_LEVEL", "info"), ("WATCH", "0")):
                    continue  # these do print
                _, lines = outcome(box, **options)
                if lines:
                    problems.append(f"{name}={value}: {lines}")
    check(not problems, f"{len(problems)} wrong:\n  " + "\n  ".join(problems))
    with Sandbox() as box:
        done, _ = outcome(box)
        check_outstanding(box.report(done.pid), "leak_hello", 2, 100)


if __name__ == "__main__":
    main({"each_value": each_value, "all_at_once": all_at_once, "unknown_name": unknown_name,
          "good_values": good_values})

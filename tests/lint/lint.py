"""lint.py CHECK: one check of the tree or of the built library; prints what is wrong, fails if anything is.

Environment: PP_SOURCE (root of the tree), PP_BINARY (build directory), PP_CC, PP_CXX (compilers).
"""
import fnmatch
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.realpath(os.environ.get("PP_SOURCE", os.path.join(HERE, "../..")))
BINARY = os.environ.get("PP_BINARY", os.path.join(SOURCE, "build"))
LIBRARY = os.path.join(BINARY, "lib/libpoolprof.so")
PROGRAM = os.path.join(BINARY, "bin/poolprof")
LAYERED = ("include", "src", "preload", "report")


def output(*command, **more):
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, **more).stdout


def lines_of(name):
    """Lines of a list beside this script, without comments and blanks."""
    with open(os.path.join(HERE, name), encoding="utf-8") as file:
        return [line.strip() for line in file if line.strip() and not line.startswith("#")]


def files(*patterns, folders=LAYERED):
    """Paths of the tree, relative to its root."""
    found = []
    for folder in folders:
        for place, _, names in os.walk(os.path.join(SOURCE, folder)):
            found += [os.path.relpath(os.path.join(place, name), SOURCE) for name in names
                      if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]
    return sorted(found)


# --- the built library ---

def needed():
    """The library needs libc and at most libm: it can be copied to another machine."""
    names = re.findall(r"\(NEEDED\).*\[(.*)\]", output("readelf", "-d", LIBRARY))
    return [f"NEEDED {name}" for name in names if name not in ("libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2")] \
        + ([] if "libc.so.6" in names else ["does not need libc.so.6?"])


def exports():
    """The library exports what exports.txt says, neither more nor less."""
    rows = [line.split() for line in lines_of("exports.txt")]
    symbols = output("nm", "-D", "--defined-only", LIBRARY).splitlines()
    return compare_exports(rows, {line.split()[-1].split("@")[0] for line in symbols})


def compare_exports(rows, there):
    patterns = [name for _, name in rows]
    extra = [name for name in sorted(there) if not any(fnmatch.fnmatchcase(name, p) for p in patterns)]
    missing = [name for mark, name in rows if mark == "+" and name not in there]
    return [f"exported, not in exports.txt: {n}" for n in extra] + [f"not exported: {n}" for n in missing]


def core_objects():
    """Our own objects in the library: those of src/ and preload/, without jemalloc."""
    found = []
    for folder in ("src/CMakeFiles/pp_core.dir", "preload/CMakeFiles"):
        for root in (BINARY, os.path.join(BINARY, "poolprof")):
            for place, _, names in os.walk(os.path.join(root, folder)):
                found += [os.path.join(place, name) for name in names if name.endswith(".o")
                          and os.path.exists(os.path.join(SOURCE, folder.split("/")[0], name[:-2]))]
    return found


def outside(objects):
    """{undefined symbol: objects} that no other of the objects and not jemalloc provides."""
    wanted, provided = {}, set()
    for item in objects:
        for line in output("nm", item).splitlines():
            kind, name = line.split()[-2:]
            if kind in "Uwv" and len(line.split()) == 2:
                wanted.setdefault(name, []).append(os.path.basename(item))
            else:
                provided.add(name)
    return {name: users for name, users in wanted.items()
            if name not in provided and not name.startswith(("pp_", "ppje_", "_GLOBAL_OFFSET_TABLE_"))}


def symbols():
    """The quiet zone calls only what symbols.txt allows, each with a reason and, if so said, in one file."""
    objects = core_objects()
    if len(objects) < 10:
        return [f"only {len(objects)} objects of src and preload found in {BINARY}"]
    return compare_symbols(lines_of("symbols.txt"), outside(objects))


def compare_symbols(rows, used):
    allowed, wrong, optional = {}, [], set()
    for row in rows:
        match = re.match(r"(\S+)(?: in (\S+))?: (\S.*)$", row)
        if match:
            allowed[match[1]] = match[2] and {file + ".o" for file in match[2].split(",")}
            if match[3].startswith("compiler:"):
                optional.add(match[1])
        else:
            wrong.append(f"symbols.txt: no reason given: {row}")
    for name, users in sorted(used.items()):
        if name not in allowed:
            wrong.append(f"{name} used by {', '.join(users)}: not in symbols.txt")
        elif allowed[name] and not set(users) <= allowed[name]:
            wrong.append(f"{name} used by {', '.join(users)}: allowed in {', '.join(allowed[name])} only")
    return wrong + [f"symbols.txt: {name} is not used any more" for name in sorted(set(allowed) - set(used) - optional)]


# --- the sources ---

def read_layers(rows):
    """{module or file: (part, number)}, shared modules."""
    places, shared = {}, set()
    for row in rows:
        key, _, names = row.partition(":")
        if key == "shared":
            shared.update(names.split())
            continue
        part, number = key.split()
        for name in names.split():
            places[f"{part}/{name}"] = (part, int(number))
    return places, shared


def layers():
    """Includes point to the same layer or down."""
    texts = {}
    for path in files("*.c", "*.h", "*.S"):
        with open(os.path.join(SOURCE, path), encoding="utf-8") as file:
            texts[path] = re.findall(r'^\s*#\s*include\s+"([^"]+)"', file.read(), re.M)
    return compare_layers(read_layers(lines_of("layers.txt")), texts)


def resolve(included, path, texts):
    """The path an #include names: beside the file, in include/, src/ or report/."""
    for folder in (os.path.dirname(path), "include", "src", "report"):
        candidate = os.path.normpath(os.path.join(folder, included))
        if candidate in texts or os.path.isfile(os.path.join(SOURCE, candidate)):
            return candidate
    return None


def compare_layers(layer_table, texts):
    places, shared = layer_table
    wrong = []
    for path, includes in texts.items():
        part = path.split("/")[0]
        if part in ("src", "report") and layer_of(path, places) is None:
            wrong.append(f"{path}: not in layers.txt")
            continue
        for target in (resolve(name, path, texts) for name in includes):
            if target is None:
                wrong.append(f"{path}: includes what is not in the tree")
            elif not may_include(path, target, places, shared):
                wrong.append(f"{path}: may not include {target}")
    return wrong


def layer_of(path, places):
    """A file's own entry goes before its module's."""
    return places.get(path, places.get(os.path.splitext(path)[0], (None, None)))[1]


def may_include(path, target, places, shared):
    part, target_part = path.split("/")[0], target.split("/")[0]
    if target_part == "include":
        return True
    if part == "include":
        return False
    if part == "preload":
        return target_part in ("preload", "src")
    if part == target_part:
        lower = layer_of(target, places)
        return lower is not None and lower <= layer_of(path, places)
    return part == "report" and target_part == "src" and os.path.splitext(target)[0][4:] in shared


def headers():
    """Each header compiles alone; the public ones as C++ too."""
    wrong = []
    for path in files("*.h", folders=("include", "src", "preload", "report")):
        wrong += compiles(path, os.environ.get("PP_CC", "gcc"), "c", "-std=gnu17")
        if path == "include/poolprof/poolprof.h":
            wrong += compiles(path, os.environ.get("PP_CXX", "g++"), "c++", "-std=c++11", "-Wshadow")
            wrong += compiles(path, os.environ.get("PP_CC", "gcc"), "c", "-std=c99")
    return wrong


def compiles(path, compiler, language, standard, *more, root=None):
    flags = [f"-I{os.path.join(SOURCE, folder)}" for folder in ("include", "src", "report", "preload")]
    done = subprocess.run([compiler, "-x", language, standard, "-fsyntax-only", "-D_GNU_SOURCE", "-Wall", "-Wextra",
                           "-Werror", "-Wno-unused-parameter", "-Wno-unused-function", *more, *flags, "-include",
                           os.path.join(root or SOURCE, path), "/dev/null"], text=True, stderr=subprocess.PIPE)
    return [f"{path} as {standard}: {done.stderr.strip()[:600]}"] if done.returncode else []


TOP = {"CMakeLists.txt", "src", "include", "preload", "report", "tests", "examples", "README.md"}


def toplevel():
    """The top level of the repository holds these names, and names that start with a dot."""
    names = output("git", "-c", "safe.directory=*", "-C", SOURCE, "ls-files", "--cached", "--others",
                   "--exclude-standard").splitlines()
    return compare_toplevel({name.split("/")[0] for name in names})


def compare_toplevel(there):
    there = {name for name in there if not name.startswith(".")}
    return [f"should not be at the top: {n}" for n in sorted(there - TOP)] + \
        [f"missing at the top: {n}" for n in sorted(TOP - there)]


def style():
    """Files of at most 600 lines, lines of at most 120 columns, no tabs, no blanks at the end."""
    wrong = []
    folders = (*LAYERED, "tests/preload", "tests/lint", "tests/real")
    for path in files("*.c", "*.h", "*.cc", "*.py", "*.sh", "*.S", folders=folders):
        with open(os.path.join(SOURCE, path), encoding="utf-8") as file:
            text = file.read().split("\n")
        wrong += [f"{path}: {len(text)} lines"] if len(text) > 601 else []
        for number, line in enumerate(text, 1):
            if len(line) > 120 or line != line.rstrip() or ("\t" in line and not path.endswith(".S")):
                wrong.append(f"{path}:{number}: long, tab or blank at the end: {line[:60]!r}")
    return wrong


# --- the documentation and the public format ---

def options():
    """options.def, `poolprof options` and README's table name the same options."""
    with open(os.path.join(SOURCE, "include/poolprof/options.def"), encoding="utf-8") as file:
        table = set(re.findall(r"^PP_OPTION\((\w+)", file.read(), re.M))
    printed = set(re.findall(r"^\W*POOLPROF_(\w+)", output(PROGRAM, "options"), re.M))
    try:
        with open(os.path.join(SOURCE, "README.md"), encoding="utf-8") as file:
            rows = [line for line in file if line.startswith("|")]
    except OSError as error:
        return [str(error)]
    told = set(re.findall(r"\bPOOLPROF_([A-Z_]+)", "\n".join(row.split("|")[1] for row in rows)))
    return compare_options(table, printed, "`poolprof options`") + compare_options(table, told, "README.md's table")


def commands():
    """control.def, `poolprof ctl --help` and README's table say the same of the commands."""
    with open(os.path.join(SOURCE, "report/control.def"), encoding="utf-8") as file:
        rows = re.findall(r'^PP_CONTROL\((\w+), \d+, \d+, "(.*?)",\s+"(.*?)"\)', file.read(), re.M)
    table = {(f"{name} {arguments}".strip(), told) for name, arguments, told in rows}
    printed = set(re.findall(r"^  (\S+(?: [A-Z\[\]]+)*) +(\S.*)$", output(PROGRAM, "ctl", "--help"), re.M))
    with open(os.path.join(SOURCE, "README.md"), encoding="utf-8") as file:
        section = file.read().partition("## Commands while it runs")[2].partition("\n## ")[0]
    told = set(re.findall(r"^\| `(.*?)` \| (.*) \|$", section, re.M))
    return compare_commands(table, {"ctl --help": printed, "README.md": told})


def compare_commands(table, places):
    return [f"{where} differs: {row}" for where, there in places.items() for row in sorted(table ^ there)]


def compare_options(table, there, where):
    return [f"{where} lacks {name}" for name in sorted(table - there)] + \
        [f"{where} has {name}, options.def has not" for name in sorted(there - table)]


# --- that the checks above can fail ---

def compiled(text):
    folder = tempfile.mkdtemp(prefix="pp-lint.")
    with open(os.path.join(folder, "a.c"), "w", encoding="ascii") as file:
        file.write(text)
    output(os.environ.get("PP_CC", "gcc"), "-w", "-c", "-o", os.path.join(folder, "a.o"), os.path.join(folder, "a.c"))
    return folder


def selftest():
    """Each check finds a fault that is put before it."""
    folder = compiled("void *malloc(unsigned long); int printf(const char *, ...);"
                      "void *f(void) { printf(\"x%d\", 1); return malloc(1); }")
    used = outside([os.path.join(folder, "a.o")])
    bad_header = os.path.join(folder, "bad.h")
    with open(bad_header, "w", encoding="ascii") as file:
        file.write("size_t of_what(void);\n")
    table = read_layers(["src 0: base", "src 1: heap", "report 0: reader", "shared: base"])
    texts = {"src/base.h": [], "src/heap.h": ["base.h"], "src/base.c": ["heap.h"], "report/reader.c": ["heap.h"],
             "src/new.c": [], "include/poolprof/x.h": ["base.h"]}
    faults = {
        "symbols": len(compare_symbols(["memcpy: the compiler calls it"], used)) == 3,
        "symbols in one file": len(compare_symbols(["malloc in b.c: x", "printf: y"], used)) == 1,
        "symbols without a reason": len(compare_symbols(["malloc", "printf: y"], used)) == 2,
        "exports": len(compare_exports([["+", "malloc"], ["?", "pp_*"]], {"free", "pp_x"})) == 2,
        "layers": sorted(line.split(":")[0] for line in compare_layers(table, texts))
        == ["include/poolprof/x.h", "report/reader.c", "src/base.c", "src/new.c"],
        "headers": len(compiles("bad.h", os.environ.get("PP_CC", "gcc"), "c", "-std=gnu17", root=folder)) == 1,
        "toplevel": len(compare_toplevel({"Makefile", ".ci", *TOP} - {"src"})) == 2,
        "options": len(compare_options({"A", "B"}, {"B", "C"}, "x")) == 2,
        "commands": len(compare_commands({("get NAME", "a"), ("mark", "b")},
                                         {"x": {("get NAME", "c"), ("mark", "b")}})) == 2,
    }
    return [f"the check of {name} did not see a fault" for name, seen in faults.items() if not seen]


CHECKS = {f.__name__: f for f in (needed, exports, symbols, layers, headers, toplevel, style, options, commands,
                                      selftest)}

if __name__ == "__main__":
    wrong = CHECKS[sys.argv[1]]()
    print("\n".join(wrong) if wrong else "ok")
    sys.exit(1 if wrong else 0)

"""compare.py [--sites] [--same] [PROGRAM...]: leaks of real programs by poolprof, valgrind and LeakSanitizer: the same
command under each, blocks and bytes by class at its end. With --sites also the stacks whose classes differ, with --same
it fails if any do, and is skipped if one of the tools is not there. README.md says why they do where they do.
"""
import functools
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../preload"))
from driver import LIBRARY, SOURCE, Failure, Sandbox, check, read_report # noqa: E402

KINDS = ("lost", "indirect", "possible", "reachable")
VALGRIND_KINDS = {"Leak_DefinitelyLost": "lost", "Leak_IndirectlyLost": "indirect",
                  "Leak_PossiblyLost": "possible", "Leak_StillReachable": "reachable"}
LSAN = "log_path=lsan:fast_unwind_on_malloc=0:print_suppressions=0"
FRAMES = 8 # of a stack, by which sites of one tool are found again in another's

# The preloaded liblsan of gcc 12 calls its signal() and sigaction() before it has found libc's.
SHIM = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
static void *libc(const char *name) { return dlsym(dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD), name); }
sighandler_t signal(int number, sighandler_t handler) {
    return ((sighandler_t (*)(int, sighandler_t))libc("ssignal"))(number, handler);
}
int sigaction(int number, const struct sigaction *action, struct sigaction *former) {
    return ((int (*)(int, const struct sigaction *, struct sigaction *))libc("__sigaction"))(number, action, former);
}
"""
PYTHON = "import json, re; x = [json.loads('{\\\"a\\\": [%d]}' % i) for i in range(200)]; re.compile('a+b|c*'); print(len(x))"
TABLE = {
    "python3": ["/usr/bin/python3", "-c", PYTHON],
    "git": ["/usr/bin/git", "-C", SOURCE, "log", "--oneline", "-20"],
    "cc1plus": ["cc1plus", "-quiet", "-imultiarch", "x86_64-linux-gnu", "-O1", "a.cc", "-o", "/dev/null"],
    "sqlite3": ["/usr/bin/sqlite3", ":memory:", "create table t(a,b); with recursive c(x) as (select 1 union all "
                "select x+1 from c where x<2000) insert into t select x,hex(x) from c; select sum(a) from t;"],
    "bash": ["/bin/bash", "-c", "declare -A a; for i in {1..300}; do a[$i]=x$i; done; echo ${#a[@]}"],
    "gdb": ["/usr/bin/gdb", "--batch", "-nx", "-ex", "info functions strdup", "/bin/sleep"],
    "gnugo": ["/usr/games/gnugo", "--mode", "gtp", "--seed", "7", "--level", "1", "--gtp-input", "DIR/moves"],
    "perl": ["/usr/bin/perl", "-e", "my %h = map { $_ => [$_] } 1 .. 500; print scalar keys %h, qq(\\n)"],
    "xmllint": ["/usr/bin/xmllint", "--xpath", "count(//b)", "a.xml"],
    "vim": ["/usr/bin/vim", "-es", "-u", "NONE", "-c", "%s/a/b/ge", "-c", "q!", "a.xml"],
}
FILES = {
    "a.cc": "#include <map>\n#include <string>\nint main() { std::map<int, std::string> m; return (int)m.size(); }\n",
    "a.xml": "<a>" + "<b i='1'>x</b>\n" * 500 + "</a>\n",
    "moves": "boardsize 9\n" + "genmove black\ngenmove white\n" * 3 + "quit\n",
}


class Found:
    """Objects and bytes by class, and by class and stack."""

    def __init__(self):
        self.totals, self.sites, self.words = dict.fromkeys(KINDS, (0, 0)), {}, {}

    def add(self, kind, objects, size, frames):
        self.totals[kind] = (self.totals[kind][0] + objects, self.totals[kind][1] + size)
        if frames is not None:
            key = site_of(frames)
            site = self.sites.setdefault(key, dict.fromkeys(KINDS, (0, 0)))
            self.words[key] = words_of(frames)
            site[kind] = (site[kind][0] + objects, site[kind][1] + size)


def command_of(box, name):
    command = [word.replace("DIR", box.directory) for word in TABLE[name]]
    for file, text in FILES.items():
        with open(box.path(file), "w", encoding="utf-8") as to:
            to.write(text)
    if name == "cc1plus":
        command[0] = subprocess.run(["g++", "-print-prog-name=cc1plus"], text=True, stdout=subprocess.PIPE,
                                    check=True).stdout.strip()
    return command


def run(box, command, env, aslr=True):
    process = subprocess.Popen(command if aslr else ["setarch", "-R", *command], env=env, cwd=box.directory, text=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.out, process.err = process.communicate(timeout=200)
    check(process.returncode in (0, 23), command[0], "status", process.returncode, process.err[-500:])
    return process


def valgrind():
    """Debian's is a script that adds to the environment."""
    return "/usr/bin/valgrind.bin" if os.path.exists("/usr/bin/valgrind.bin") else "valgrind"


@functools.cache
def preload_bytes():
    """How long valgrind makes LD_PRELOAD."""
    out = subprocess.run([valgrind(), "-q", "/usr/bin/env"], env={}, text=True, stdout=subprocess.PIPE, check=True).stdout
    return len(re.search(r"^LD_PRELOAD=(.*)$", out, re.M).group(1))


def environment(box, preload):
    """The same for all, and as long: some programs keep it on their heap."""
    env = box.environment(SUPPRESSIONS_BUILTIN=0)
    env.update(PYTHONMALLOC="malloc", PYTHONHASHSEED="0", PERL_HASH_SEED="0", GIT_PAGER="cat", PWD=box.directory,
               GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0="safe.directory", GIT_CONFIG_VALUE_0="*", LSAN_OPTIONS=LSAN)
    env.pop("PP_EXPECT", None)
    env.pop("LD_PRELOAD", None)
    if preload:
        env["LD_PRELOAD"] = preload.rjust(preload_bytes(), "/")
    return env


def site_of(frames):
    """(module, address, function) of each frame: what tells a site in both tools. The C library's names differ, its
    frames may be inlined in one only, and above main each tool shows something else; without a module's load address
    what remains of an address is where it lies in its page."""
    frames = [frame for frame in frames if not (frame[2] or "").startswith("operator new")] # the tool's, if it replaces it
    own = [(module.split(".so")[0], address & 0xfff) for module, address, _ in frames
           if not re.match(r"(ld-linux|libc\b|vgpreload|\?)", module)]
    if frames and frames[-1][2] in ("_start", "(below main)") or (own and len(frames) > 1 and
                                                                   frames[-2][2] == "__libc_start_main_impl"):
        own = own[:-1] if frames[-1][2] != "(below main)" else own
    return tuple(own[:FRAMES]) or tuple(module for module, _, _ in frames[:1])


def words_of(frames):
    return " < ".join(function or module for module, _, function in frames[:9])


def by_poolprof(name):
    found = Found()
    with Sandbox() as box:
        process = run(box, command_of(box, name), environment(box, LIBRARY))
        report = read_report(box.profile_of(process.pid))
        check(report["leaks"]["scan"] == "done", "scan:", report["leaks"]["scan"])
        for site in report["sites"]:
            frames = [(os.path.basename(frame["module"] or "?"), int(frame["address"] or "0", 16), frame["function"])
                      for frame in site["stack"] if not frame["inlined"]]
            found.add(site["kind"], site["objects"], site["bytes"], frames)
    return found


def by_valgrind(name):
    found = Found()
    with Sandbox() as box:
        env = environment(box, None)
        output = box.path("valgrind.xml")
        process = run(box, [valgrind(), "--leak-check=full", "--show-leak-kinds=all", "--leak-resolution=high",
                  "--default-suppressions=no", "--run-libc-freeres=no", "--run-cxx-freeres=no", "--num-callers=60",
                  "--keep-debuginfo=yes", "--xml=yes", f"--xml-file={output}.%p", *command_of(box, name)], env)
        for error in xml.etree.ElementTree.parse(f"{output}.{process.pid}").getroot().iter("error"):
            kind = VALGRIND_KINDS.get(error.findtext("kind"))
            if kind is None:
                continue
            frames = error.find("stack").findall("frame")[1:]
            what = error.find("xwhat")
            text, size = what.findtext("text"), int(what.findtext("leakedbytes"))
            if "(" in text: # "480 (48 direct, 432 indirect) bytes in 1 blocks"
                size = int(text.split("(")[1].split()[0].replace(",", ""))
            found.add(kind, int(what.findtext("leakedblocks")), size,
                      [(os.path.basename(frame.findtext("obj") or "?"), int(frame.findtext("ip"), 16),
                        frame.findtext("fn")) for frame in frames])
    return found


def by_lsan(name):
    library = subprocess.run(["gcc", "-print-file-name=liblsan.so"], text=True, stdout=subprocess.PIPE,
                             check=True).stdout.strip()
    if "/" not in library:
        return None
    found = Found()
    with Sandbox() as box:
        with open(box.path("shim.c"), "w", encoding="utf-8") as file:
            file.write(SHIM)
        subprocess.run(["cc", "-shared", "-fPIC", "-o", box.path("shim.so"), box.path("shim.c")], check=True)
        env = environment(box, box.path("shim.so") + ":" + os.path.realpath(library))
        process = run(box, command_of(box, name), env, aslr=False)
        try:
            with open(box.path(f"lsan.{process.pid}"), encoding="utf-8", errors="replace") as file:
                text = file.read()
        except FileNotFoundError:
            text = ""
        check("fatal error" not in text, text[-400:])
        for how, size, objects in re.findall(r"^(Direct|Indirect) leak of (\d+) byte\(s\) in (\d+) object", text, re.M):
            found.add("lost" if how == "Direct" else "indirect", int(objects), int(size), None)
    return found


def cell(pair):
    return f"{pair[0]:,} / {pair[1]:,}" if pair != (0, 0) else "0"


def show_differences(ours, theirs):
    for key in sorted(set(ours.sites) | set(theirs.sites), key=str):
        empty = dict.fromkeys(KINDS, (0, 0))
        left, right = ours.sites.get(key, empty), theirs.sites.get(key, empty)
        if left == right:
            continue
        print("   ", "; ".join(f"{kind} {cell(left[kind])} : {cell(right[kind])}" for kind in KINDS
                               if left[kind] != right[kind]))
        print("       ", ours.words.get(key) or theirs.words.get(key))


def compare(name, options):
    rows = {"poolprof": by_poolprof(name), "valgrind": by_valgrind(name), "LeakSanitizer": by_lsan(name)}
    for tool, found in rows.items():
        cells = [cell(found.totals[kind]) for kind in KINDS] if found else ["not there"]
        if tool == "LeakSanitizer": # it tells no more
            cells = cells[:2]
        print(f"| {name} | {tool} | " + " | ".join(cells) + " |", flush=True)
    if "--sites" in options:
        show_differences(rows["poolprof"], rows["valgrind"])
    if "--same" in options:
        ours, theirs, lsan = (found.totals if found else None for found in rows.values())
        check(ours == theirs, "poolprof finds", ours, "valgrind", theirs)
        check(all(lsan is None or lsan[kind] == ours[kind] for kind in KINDS[:2]), "LeakSanitizer finds", lsan)


if __name__ == "__main__":
    chosen = [argument for argument in sys.argv[1:] if argument.startswith("--")]
    wanted = [argument for argument in sys.argv[1:] if argument not in chosen] or list(TABLE)
    if "--same" in chosen and not all(map(shutil.which, ("valgrind", *(TABLE[name][0] for name in wanted)))):
        print("valgrind or one of the programs is not there")
        sys.exit(77)
    failed = 0
    for one in wanted:
        try:
            compare(one, chosen)
        except (Failure, subprocess.SubprocessError, OSError, KeyError) as error:
            failed += 1
            print(f"| {one} | FAILED {type(error).__name__}: {error}", flush=True)
    sys.exit(1 if failed else 0)

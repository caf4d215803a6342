"""Programs in company: with allocators, unwinders and sanitizers of their own, and with other preloads. Each runs as it
does without us, and the profile is exact or says what it lacks."""
import ctypes
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../preload"))
from driver import (BARE, LIBRARY, PROGRAM, PROGRAMS, Sandbox, check, check_outstanding, main,  # noqa: E402
                    name_of, read_report)

HERE = os.path.dirname(os.path.abspath(__file__))
WINE = "/usr/lib/wine/wine64"
THREADS = 1500
TURNS = 10000
PR_SET_THP_DISABLE = 41


def need(*files):
    for file in files:
        if not shutil.which(file):
            print(file, "is not there")
            sys.exit(77)


def path(name):
    return os.path.join(PROGRAMS, name)


def bare(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
                          timeout=100)
    return done.returncode, done.stdout


def same(name, *arguments, before=(), function="leak_77", **popen):
    """As bare, and the five blocks are found. Returns the report."""
    need(path(name), *before[:1])
    with Sandbox() as box:
        command = [*before, path(name), *arguments]
        done = box.run(shutil.which(command[0]), *command[1:], **popen)
        check((done.returncode, done.out) == bare(*command), name, "differs:", done.returncode, done.out, done.err)
        check(done.err == "", "words on stderr:", done.err)
        profiles = [profile for profile in box.profiles() if profile.startswith(name + ".")]
        check(len(profiles) == 1, "profiles:", box.profiles())
        report = read_report(box.path(profiles[0]))
        check_outstanding(report, function, 5, 385)
        return report


def fixed():
    """A program of fixed addresses has a `malloc` of its own to see, which leads to ours."""
    report = same("fixed")
    check(report["leaks"]["scan"] == "done", report["leaks"])


def strace_after_exec():
    """The first process of a tree, whose hidden child is there from before exec, waits for children of every kind."""
    need("strace")
    same("plain", before=("sh", "-c", 'exec strace -f -o /dev/null "$@"', "sh"))


def own():
    """The program's own malloc comes before ours: nothing is seen, and the report says so."""
    with Sandbox() as box:
        done = box.run(path("own"), options={"REPORT": "text", "LOG_LEVEL": "info"})
        check((done.returncode, done.out) == bare(path("own")), done.returncode, done.out, done.err)
        check("nothing lost" not in done.err and "a malloc of its own" in done.err, done.err)
        report = box.report(done.pid, "own")
        check(report["leaks"]["scan"].startswith("off: the program has a malloc"), report["leaks"])
        check([spot["what"] for spot in report["blind_spots"]] == ["foreign_heap"], report["blind_spots"])


def runs_without(name, words, mode="plain", status=None):
    """`poolprof run` of a program that the library cannot be loaded into: a line, and the program as it is."""
    check(not BARE, "bare")
    with Sandbox() as box:
        env = box.environment(REPORT="text", LOG_LEVEL="info")
        env.pop("LD_PRELOAD", None)
        done = box.run(PROGRAM, "run", "--", path(name), mode, env=env)
        check((done.returncode, done.out) == bare(path(name), mode), done.returncode, done.out, done.err)
        said = [line for line in done.err.splitlines() if line.startswith("poolprof")]
        check(len(said) == 1 and words in said[0], done.err)
        check(not box.profiles(), box.profiles())


def setuid():
    if os.geteuid() != 0:
        print("not root")
        sys.exit(77)
    with Sandbox() as box:
        shutil.copy(path("plain"), box.path("theirs"))
        os.chown(box.path("theirs"), 65534, 65534)
        os.chmod(box.path("theirs"), 0o4755)
        runs_without(box.path("theirs"), "is setuid")


def sanitizer(name, words):
    """Started again without us, our name taken out of LD_PRELOAD, others' left in."""
    need(path(name))
    runs_without(name, words)
    with Sandbox() as box:
        env = box.environment()
        env["LD_PRELOAD"] = f"/none.so:{LIBRARY}" if not BARE else ""
        done = box.run(path(name), env=env)
        check((done.returncode, done.out) == bare(path(name)), done.returncode, done.out, done.err)
        said = [line for line in done.err.splitlines() if line.startswith("poolprof")]
        check(len(said) == 1 and words in said[0], done.err)
        check(done.err.count("/none.so") >= 2, "not started again with the rest:", done.err)


def other_preloads():
    """Programs that put a library of their own before ours."""
    tried = 0
    for command in (("stdbuf", "-oL"), ("faketime", "2020-02-02 20:20:20"), ("fakeroot", "--"), ("eatmydata",)):
        if shutil.which(command[0]):
            same("plain", before=command)
            tried += 1
    check(tried >= 1, "none is there")


def mapped():
    """Code that the C library does not know of has no rules: its frames are walked by their frame pointers, and checked."""
    report = same("plain", "mapped", path("mapped.so"))
    held = [site for site in report["sites"] if site["bytes"] == 55 * site["objects"]]
    check(sum(site["objects"] for site in held) == 8, "held:", held)
    check(all("mapped" in map(name_of, site["stack"]) for site in held), "not walked to the end:", held)


def wine():
    """A loader of its own for programs of another system, which switches stacks and ends without exit handlers."""
    program, server = WINE, WINE.replace("wine64", "wineserver")
    need(program, server)
    with Sandbox() as box:
        env = box.environment()
        env.update(WINEPREFIX=box.path("wine"), WINEDEBUG="-all")
        command = program, "cmd", "/c", "echo", "done"
        try:
            bare_env = {name: value for name, value in env.items() if name != "LD_PRELOAD"}
            # The first run makes the directory, with services that linger.
            subprocess.run([program, "wineboot"], env=bare_env, check=True, stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=100)
            done = box.run(*command, env=env)
            check((done.returncode, done.out.strip()) == (0, "done"), done.returncode, done.out, done.err)
            check(done.err == "", "words on stderr:", done.err)
            # It replaces itself by exec once it has chosen where the addresses of the other system lie.
            reports = [read_report(box.path(name)) for name in box.profiles() if name.startswith(f"wine64.{done.pid}.")]
            ends = {report["process"]["end"]: report["totals"]["allocations"] for report in reports}
            check(ends.get("exec", 0) > 0 and ends.get("exit", 0) > 10000, ends)
        finally:
            subprocess.run([server, "-k", "-w"], env=bare_env, timeout=60, check=False)


def tls():
    libraries = [path(f"tls_{number}.so") for number in range(1, 9)]
    same("plain", "tls", *libraries)


def huge_pages():
    """Where the kernel gives transparent huge pages, and in a process that refuses them."""
    libc = ctypes.CDLL(None)
    for off in (0, 1):
        same("plain", preexec_fn=lambda: libc.prctl(PR_SET_THP_DISABLE, off, 0, 0, 0))


def built(tool, *command):
    """Runs a compiler that may be missing, or not be able to, as where it wants a network."""
    found = shutil.which(tool, path=os.environ["PATH"] + ":" + os.path.expanduser("~/.cargo/bin"))
    need(found or tool)
    done = subprocess.run([found, *command], cwd=PROGRAMS, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        print(tool, "fails:", done.stdout)
        sys.exit(77)


def gdb():
    """A debugger runs the program: it stops in a function, shows how it came there, and the end is the program's."""
    need("gdb", path("plain"))
    with Sandbox() as box:
        env = box.environment()
        library = env.pop("LD_PRELOAD", "")
        said = [word for line in (f"set environment LD_PRELOAD {library}", "break leak_77", "run", "backtrace", "delete",
                                  "continue") for word in ("-ex", line)]
        done = box.run(shutil.which("gdb"), "-nx", "-q", "-batch", "-iex", "set debuginfod enabled off", *said,
                       "--args", path("plain"), env=env)
        check(re.search(r"#0 +leak_77 .*\n(.*\n)*#\d+ .* main ", done.out), "no backtrace:", done.out, done.err)
        status, out = bare(path("plain"))
        check(f"exited with code {status:02o}" in done.out and out in done.out, done.out, done.err)
        profiles = [profile for profile in box.profiles() if profile.startswith("plain.")]
        check(len(profiles) == 1, "profiles:", box.profiles())
        check_outstanding(read_report(box.path(profiles[0])), "leak_77", 5, 385)


def clang_sanitizer(name, words):
    """Its runtime is linked into the program."""
    built("clang", "-D_GNU_SOURCE", "-g", "-O1", "-w", f"-fsanitize={name}", "-o", f"clang_{name}",
          os.path.join(HERE, "program.c"))
    sanitizer(f"clang_{name}", words)


def go():
    os.environ.update(CGO_ENABLED="1", GOCACHE=path("go.cache"), GOFLAGS="-mod=mod")
    built("go", "build", "-o", path("go"), os.path.join(HERE, "program.go"))
    same("go")


def rust():
    built("rustc", "-g", "-o", path("rust"), os.path.join(HERE, "program.rs"))
    same("rust", function="program::leak_77")


def java():
    """Its own heap is not malloc's; what the machine itself allocates is tracked."""
    built("javac", "-d", PROGRAMS, os.path.join(HERE, "Program.java"))
    machine = os.path.realpath(shutil.which("java"))
    command = machine, "-Xmx64m", "-Xss512k", "-cp", PROGRAMS, "Program"
    with Sandbox() as box:
        done = box.run(*command)
        check((done.returncode, done.out) == bare(*command), "differs:", done.returncode, done.out, done.err)
        check(done.err == "", "words on stderr:", done.err)
        check(box.report(done.pid, "java")["totals"]["allocations"] > 10000, "few allocations")


def child_signal():
    """Replaced by exec, a program that has a watcher must not hear of the hidden child's end (as ps does, which dies)."""
    with Sandbox() as box:
        for _ in range(20):
            done = box.run("/bin/sh", "-c", f"exec {path('plain')} sigchld")
            check((done.returncode, done.out) == (3, "done\n"), done.returncode, done.out, done.err)


main({
    "plain": lambda: same("plain"),
    "fixed": fixed,
    "jemalloc": lambda: same("jemalloc"),
    "tcmalloc": lambda: same("tcmalloc"),
    "mimalloc": lambda: same("mimalloc"),
    "unwind": lambda: same("unwind"),
    "own": own,
    "static": lambda: runs_without("static", "is statically linked"),
    "setuid": setuid,
    "address": lambda: sanitizer("address", "AddressSanitizer"),
    "thread": lambda: sanitizer("thread", "ThreadSanitizer"),
    "memory": lambda: clang_sanitizer("memory", "MemorySanitizer"),
    "leak": lambda: sanitizer("leak", "LeakSanitizer"),
    "leak_clang": lambda: clang_sanitizer("leak", "LeakSanitizer"),
    "other_preloads": other_preloads,
    "deepbind": lambda: same("plain", "deepbind", path("plugin.so")),
    "dlmopen": lambda: same("plain", "dlmopen", path("plugin.so")),
    "mapped": mapped,
    "wine": wine,
    "tls": tls,
    "threads": lambda: same("plain", "threads", str(THREADS)),
    "turns": lambda: same("plain", "turns", str(TURNS)),
    "go": go,
    "rust": rust,
    "java": java,
    "ends": lambda: same("plain", "ends"),
    "gdb": gdb,
    "strace": lambda: same("plain", before=("strace", "-f", "-o", "/dev/null")),
    "strace_after_exec": strace_after_exec,
    "huge_pages": huge_pages,
    "child_signal": child_signal,
})

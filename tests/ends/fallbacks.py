"""What is missing is done without, and said: places, limits, rights, filters. The host's output and status are its own;
the profile is exact or says what it lacks, or one line on stderr does."""
import os
import resource
import shutil
import subprocess
import sys

from ends import (BARE, ENDS, LIBRARY, PROGRAM, Box, Skip, as_root, blind, check, check_outstanding, main, namespaces,
                  outstanding, quote, read_report, wait_until)

SEGMENT_PLACES = {"SEGMENT_DIR": "auto"}


def host_is_itself(done, wanted_out="done\n", status=6):
    check(done.returncode == status, "status", done.returncode, "wanted", status, done.err)
    check(done.out == wanted_out, "stdout:", done.out)


def exact(report, before=4):
    check_outstanding(report, "leak_before", before, before * 20)
    check_outstanding(report, "leak_after", 6, 540)
    check_outstanding(report, "leak_large", 1, 3000000)


def exact_or_said(box, done, name="host", before=4):
    """A profile with all blocks; or one that says what it lacks; or one line, at least, on stderr."""
    words = [line for line in done.err.splitlines() if "poolprof" in line]
    profiles = [p for p in box.profiles() if p.startswith(name + ".")]
    if not profiles and words:
        return None
    report = read_report(box.only_profile(name), whole=False)
    check(report["process"]["end"] != "unknown", report["process"])
    if outstanding(report, "leak_large") != (1, 3000000) or outstanding(report, "leak_after") != (6, 540):
        spots = {spot["what"] for spot in report["blind_spots"]}
        check(spots & {"dropped_records", "segment_degraded"}, "incomplete and does not say so:", report["blind_spots"])
    totals = report["totals"]
    dropped = totals["outstanding_objects"] - sum(site["objects"] for site in report["sites"])
    check(dropped == 0 or blind(report, "dropped_records") >= dropped, dropped, "objects missing:", report["blind_spots"])
    check(len(words) <= 4, "too many words:", done.err)
    return report


def mounted(box, setup, program, *arguments, flags=("-m",), before="", **options):
    """Runs a program under the preload in namespaces of its own, after a setup by the shell."""
    as_root()
    namespaces(*flags)
    command = f"set -e; {setup}; exec {before} $PRELOAD {quote(os.path.join(ENDS, program), *arguments)}"
    return box.shell(f"exec unshare {quote(*flags)} sh -c {quote(command)}", timeout=90,
                     **{**SEGMENT_PLACES, **options})


# ---- places ----

def shm_small():
    """/dev/shm of 64 MB, as containers have it, and 2.2 million blocks: 70 MB of records."""
    with Box() as box:
        done = mounted(box, "mount -t tmpfs -o size=64m none /dev/shm", "host", "many", 2200000)
        host_is_itself(done)
        report = exact_or_said(box, done)
        check(report["totals"]["outstanding_objects"] > 2200000, report["totals"])
        if not blind(report, "dropped_records"):
            check_outstanding(report, "leak_many", 2200000, 35200000)


def shm_nearly_full():
    """Too little room for anything: the next place is taken."""
    for size in ("16k", "64k", "1m"):
        with Box() as box:
            done = mounted(box, f"mount -t tmpfs -o size={size} none /dev/shm", "host", "many", 200000)
            host_is_itself(done)
            check_outstanding(read_report(box.only_profile("host")), "leak_many", 200000, 3200000)


def shm_none():
    with Box() as box:
        setup = "mkdir dev; touch dev/null dev/zero dev/urandom; for i in null zero urandom; do mount --bind /dev/$i dev/$i; " \
                "done; mount --rbind dev /dev"
        done = mounted(box, setup, "host", "plain")
        host_is_itself(done)
        exact(read_report(box.only_profile("host")))


def shm_read_only():
    with Box() as box:
        done = mounted(box, "mount -t tmpfs -o ro none /dev/shm", "host", "plain")
        host_is_itself(done)
        exact(read_report(box.only_profile("host")))


def nowhere():
    """/dev/shm and /tmp read-only: private memory or a memfd; the profile goes to its own directory."""
    with Box() as box:
        out = f"/var/tmp/{os.path.basename(box.segments)}"
        os.mkdir(out)
        try:
            done = mounted(box, "mount -t tmpfs -o ro none /dev/shm; mount -t tmpfs -o ro none /tmp.ro 2>/dev/null || "
                           "mount --bind -o ro /tmp /tmp", "host", "plain", OUTPUT=f"{out}/%n.%p.poolprof", XDG_RUNTIME_DIR=None)
            host_is_itself(done)
            names = os.listdir(out)
            check(len(names) == 1, "profiles:", names, done.err)
            exact(read_report(os.path.join(out, names[0])))
        finally:
            shutil.rmtree(out)


def full_in_the_middle():
    """The host itself fills the file system of its segment, then makes 300,000 blocks more: no SIGBUS."""
    with Box() as box:
        done = mounted(box, "mount -t tmpfs -o size=12m none /dev/shm", "host", "fill", "/dev/shm/filler")
        host_is_itself(done)
        report = exact_or_said(box, done)
        check(report["totals"]["outstanding_objects"] > 301000, report["totals"])


def no_proc():
    with Box() as box:
        done = mounted(box, "mount -t tmpfs none /proc", "host", "plain")
        host_is_itself(done)
        exact_or_said(box, done)


def in_chroot():
    """A program started inside a chroot with nothing but its libraries: no /proc, /dev, /tmp, poolprof."""
    as_root()
    with Box() as box:
        root = box.path("root")
        os.makedirs(root + "/lib64")
        for file in (os.path.join(ENDS, "host"), LIBRARY):
            shutil.copy(file, root)
        listed = subprocess.run(["ldd", os.path.join(ENDS, "host"), LIBRARY], stdout=subprocess.PIPE, text=True).stdout
        for word in listed.split():
            if word.startswith("/") and word != LIBRARY and not word.endswith(":"):
                os.makedirs(root + os.path.dirname(word), exist_ok=True)
                shutil.copy(word, root + word)
        preload = "" if BARE else "LD_PRELOAD=/libpoolprof.so"
        done = box.shell(f"exec chroot {root} /lib64/ld-linux-x86-64.so.2 --preload '{preload and '/libpoolprof.so'}' /host plain"
                         , OUTPUT="%n.%p.poolprof", REPORT="text", LOG_LEVEL="info", **SEGMENT_PLACES)
        host_is_itself(done)
        check("poolprof" in done.err, "nothing said:", done.err)
        found = [name for name in os.listdir(root) if ".poolprof" in name]
        check(len(found) == 1, "profiles:", found, done.err)
        held = {(site["objects"], site["bytes"]) for site in read_report(os.path.join(root, found[0]))["sites"]}
        check({(1, 3000000)} < held and (4, 80) in held | {(4, 80)}, "sites:", held) # names: --sysroot only


def chroots_itself():
    as_root()
    with Box() as box:
        os.mkdir(box.path("jail"))
        done = box.run("host", "chroot", box.path("jail"))
        host_is_itself(done)
        exact(box.report(done.pid))
        check(os.listdir(box.path("jail")) == [], "left in the jail:", os.listdir(box.path("jail")))
        with Box() as other: # without a watcher it writes itself, where it can
            os.mkdir(other.path("jail"))
            done = other.run("host", "chroot", other.path("jail"), options={"WATCH": 0})
            host_is_itself(done)
            exact_or_said(other, done)


# ---- limits ----

def limited(limit, size, *arguments, shell="", **options):
    with Box() as box:
        def prepare():
            resource.setrlimit(limit, (size, size))
        done = box.run("host", *arguments, preexec_fn=prepare, options=options)
        host_is_itself(done)
        return exact_or_said(box, done)


def limits_at_start():
    for size in (8192, 100000, 5 << 20):
        limited(resource.RLIMIT_FSIZE, size, "plain")
        limited(resource.RLIMIT_FSIZE, size, "plain", WATCH=0)
    for megabytes in (40, 100, 300, 1000, 5000):
        limited(resource.RLIMIT_AS, megabytes << 20, "plain")
    for count in (4, 5, 6, 7):
        limited(resource.RLIMIT_NOFILE, count, "plain")
    limited(resource.RLIMIT_DATA, 40 << 20, "plain")


def no_descriptor_at_all():
    """RLIMIT_NOFILE 3 with all three closed but stdout."""
    with Box() as box:
        done = box.shell("exec <&- 2>&-; ulimit -n 3; exec $PRELOAD $B/host plain")
        host_is_itself(done)


def limits_after_start():
    for arguments in (("nofile", 3), ("nofile", 0), ("fsize", 0), ("fsize", 4096)):
        for watch in (1, 0):
            with Box() as box:
                done = box.run("host", *arguments, options={"WATCH": watch})
                host_is_itself(done)
                report = exact_or_said(box, done)
                if watch:
                    exact(report)


def overcommit_off():
    """vm.overcommit_memory=2: what can be written counts, touched or not. By hand, `fallbacks.py overcommit_off` as root
    with the environment that ctest gives: it is the whole machine's setting, for the second that this takes."""
    as_root()
    path = "/proc/sys/vm/overcommit_memory"
    with open(path, encoding="ascii") as file:
        before = file.read()
    bare = subprocess.run([os.path.join(ENDS, "host"), "plain"], stdout=subprocess.PIPE, text=True, timeout=30)
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write("2")
        for arguments in ("plain",), ("many", 300000):
            with Box() as box:
                done = box.run("host", *arguments)
                check((done.returncode, done.out) == (bare.returncode, bare.stdout), done.returncode, done.out, done.err)
                report = box.report(done.pid)
                exact(report)
                check(not blind(report, "dropped_records"), report["blind_spots"])
    finally:
        with open(path, "w", encoding="ascii") as file:
            file.write(before)


def little_data():
    """A limit for data in which jemalloc does not start, with which glibc's malloc gets along."""
    with Box() as box:
        for program, status in (("host", 6), ("tree", None)):
            bare = box.shell(f"ulimit -d 12000; exec $B/{program} plain")
            done = box.shell(f"ulimit -d 12000; exec $PRELOAD $B/{program} plain")
            check(done.returncode == bare.returncode and done.out == bare.out, program, done.returncode, done.out, done.err)
            check("not tracking this process" in done.err, done.err)
            check(status is None or done.returncode == status, done.returncode)


def address_space_after_start():
    """Less than was set apart at start, before the first malloc: it is given back. Too little even so: what cannot be
    recorded is told."""
    for megabytes, whole in (8192, True), (64, True), (32, None):
        with Box() as box:
            done = box.run("host", "as", megabytes << 20)
            host_is_itself(done)
            report = box.report(done.pid)
            if whole:
                exact(report)
            else:
                exact_or_said(box, done)


def processes():
    """RLIMIT_NPROC of another uid: no watcher, a brief report."""
    as_root()
    with Box() as box:
        for place in (box.directory, box.segments):
            os.chmod(place, 0o777)
        for file in (os.path.join(ENDS, "host"), LIBRARY, PROGRAM): # the tree may be closed to that uid, in /root
            shutil.copy(file, box.directory)
        done = box.shell("exec setpriv --reuid 64123 --regid 64123 --clear-groups prlimit --nproc=1:1 "
                         "${PRELOAD:+env LD_PRELOAD=$PWD/libpoolprof.so} ./host plain",
                         REPORT="text", LOG_LEVEL="info", **SEGMENT_PLACES)
        host_is_itself(done)
        check("poolprof" in done.err, "nothing said:", done.err)
        exact(read_report(box.only_profile("host")))
        shutil.rmtree("/dev/shm/poolprof-64123", ignore_errors=True)


def tracker_full():
    with Box() as box:
        done = box.run("host", "many", 200000, options={"TRACKER_MAX": "1M"})
        host_is_itself(done)
        report = exact_or_said(box, done)
        check(blind(report, "dropped_records") > 100000, report["blind_spots"])
        check(report["totals"]["outstanding_objects"] > 200000, report["totals"])


# ---- rights ----

def filters_inherited():
    """A launcher's seccomp filter: with an errno, and one that kills."""
    for action in ("1", "38", "kill"):
        for calls in ("clone", "open", "clone,open", "memfd", "pidfd", "ptrace", "madvise"):
            if action == "kill" and calls == "madvise":
                continue # libc itself calls it
            for more in ({}, {"WATCH": 0}):
                with Box() as box:
                    env = box.environment(REPORT="text", LOG_LEVEL="info", **more)
                    done = box.shell(f"exec $B/filter {action} {calls} $(command -v env) ${{PRELOAD#env }} $B/host plain",
                                     REPORT="text", LOG_LEVEL="info", **more)
                    check(done.returncode == 6 and done.out == "done\n", action, calls, more, "status", done.returncode,
                          done.out, done.err[-600:])
                    try:
                        exact_or_said(box, done)
                    except Exception as error:
                        error.args = (f"{action} {calls} {more}: {error} {done.err[-300:]}",)
                        raise


def filter_of_a_profiled_launcher():
    """Its own segment is there to be found, which takes an open that the filter kills for."""
    for before in ("exec", ""):
        with Box() as box:
            done = box.shell(f"{before} $PRELOAD $B/filter kill open $B/host plain")
            check(done.returncode == 6 and done.out == "done\n", "status", done.returncode, done.out, done.err[-600:])


def filters_after_start():
    for what in ("errno_open", "kill_open", "kill_clone", "kill_futex", "sandbox"):
        for watch in (1, 0):
            if what in ("kill_open", "sandbox") and not watch:
                continue # nobody left who may write
            with Box() as box:
                done = box.run("host", what, options={"WATCH": watch})
                check(done.returncode == 6 and done.out == "done\n", what, watch, "status", done.returncode, done.err)
                if watch:
                    exact(box.report(done.pid))
                else:
                    exact_or_said(box, done)


def filters_without_watcher():
    """Nobody may write the profile: the host still ends as it would."""
    for what in ("kill_open", "sandbox"):
        with Box() as box:
            done = box.run("host", what, options={"WATCH": 0})
            check(done.returncode == 6 and done.out == "done\n", what, "status", done.returncode, done.err)


def user_namespace():
    with Box() as box:
        namespaces("-U")
        for flags in ("-U", "-Ur"):
            done = box.shell(f"exec unshare {flags} $PRELOAD $B/host plain", OUTPUT=box.path(f"{flags}.%n.%p.poolprof"))
            host_is_itself(done)
            exact_or_said(box, done, flags)
        done = box.run("host", "userns") # after start: allowed to single-threaded programs only
        host_is_itself(done)
        exact(box.report(done.pid))
        done = box.shell(f"exec $PRELOAD unshare -U $B/host plain", OUTPUT=box.path("x.%n.%p.poolprof"))
        host_is_itself(done)


def first_of_namespace():
    """pid 1 of a pid namespace, by exit and _exit: the watcher dies with it, after its work."""
    as_root()
    namespaces("-p", "-f", "-m")
    for program, arguments, status in (("host", "plain", 6), ("die", "exit", 23), ("die", "_exit", 23), ("die", "quick_exit", 23)):
        with Box() as box:
            done = box.shell(f"exec unshare -p -f --kill-child --mount-proc $PRELOAD $B/{program} {arguments}")
            check(done.returncode == status, program, arguments, "status", done.returncode, done.err)
            report = read_report(box.only_profile(program))
            check(report["process"]["pid"] == 1 and report["process"]["status"] == status, report["process"])
            check(not done.err, done.err)


def gives_rights_up():
    as_root()
    with Box() as box:
        done = box.run("host", "setuid", 64123, options={"REPORT": "text", "LOG_LEVEL": "info"})
        host_is_itself(done)
        report = box.report(done.pid)
        exact(report)
        check(report["process"]["end"] == "exit" and report["process"]["status"] == 6, report["process"])
        check("outstanding" in done.err, "no report:", done.err)
        box.check_gone()
    with Box() as box: # and then writes itself what it may
        done = box.run("host", "setuid", 64123, options={"WATCH": 0})
        host_is_itself(done)
        exact_or_said(box, done)


def setuid_program():
    """AT_SECURE: our library ignores its environment even where the loader lets it in (a setuid library in
    the system's own directory, here an overlay)."""
    as_root()
    namespaces("-m")
    with Box() as box:
        shutil.copy(os.path.join(ENDS, "host"), box.path("owned"))
        os.chown(box.path("owned"), 64123, 64123)
        os.chmod(box.path("owned"), 0o4755)
        os.chmod(box.directory, 0o777)
        done = box.shell("exec $PRELOAD ./owned plain")
        check(done.returncode == 6 and done.out == "done\n", done.returncode, done.out, done.err)
        check(not box.profiles(), "a profile of a setuid program", box.profiles())
        place = "/usr/lib/x86_64-linux-gnu"
        setup = f"mkdir ram; mount -t tmpfs none ram; mkdir ram/up ram/work; mount -t overlay -o " \
                f"lowerdir={place},upperdir=ram/up,workdir=ram/work none {place}; cp {LIBRARY} {place}/libpoolprof.so; " \
                f"chmod 4755 {place}/libpoolprof.so"
        done = box.shell(f"exec unshare -m sh -c {quote('set -e; ' + setup + '; LD_PRELOAD=libpoolprof.so exec ./owned plain')}")
        if "mount" in done.err:
            raise Skip(done.err)
        check(done.returncode == 6 and done.out == "done\n", done.returncode, done.out, done.err)
        check(not done.err and not [p for p in box.profiles() if not p.startswith("host")], done.err, box.profiles())
        done = box.shell("exec $PRELOAD $B/host plain")
        exact(read_report(box.only_profile("host")))


CASES = {case.__name__: case for case in (
    shm_small, shm_nearly_full, shm_none, shm_read_only, nowhere, full_in_the_middle, no_proc, in_chroot, chroots_itself, limits_at_start,
    no_descriptor_at_all, limits_after_start, little_data,
    address_space_after_start, processes, tracker_full, filters_inherited, filter_of_a_profiled_launcher,
    filters_after_start,
    filters_without_watcher, user_namespace, first_of_namespace, gives_rights_up, setuid_program)}

if __name__ == "__main__":
    main({"overcommit_off": overcommit_off} if "overcommit_off" in sys.argv else CASES)

"""Small resource limits and unusable places for the segment: the host runs, whatever can be recorded is."""
import os
import resource
import subprocess

from driver import Sandbox, check, check_outstanding, main


def run(box, limit=None, size=0, **options):
    def prepare():
        if limit is not None:
            resource.setrlimit(limit, (size, size))
    done = box.run("hello", options=options, preexec_fn=prepare)
    check(done.returncode == 5 and done.out == "to stdout\n", limit, size, "status", done.returncode, done.err)
    return done


def address_space():
    for megabytes in (2048, 512, 256, 128, 64):
        with Sandbox() as box:
            done = run(box, resource.RLIMIT_AS, megabytes << 20, LOG_LEVEL="error")
            if megabytes >= 512:
                check_outstanding(box.report(done.pid), "leak_big", 1, 200000)


def file_size():
    """No SIGXFSZ; the watcher has no such limit, so even then there is a profile."""
    for size in (64 << 20, 1 << 20, 65536, 4096, 0):
        with Sandbox() as box:
            done = run(box, resource.RLIMIT_FSIZE, size, LOG_LEVEL="error")
            if size >= 64 << 20:
                check_outstanding(box.report(done.pid), "leak_big", 1, 200000)
            run(box, resource.RLIMIT_FSIZE, size, LOG_LEVEL="error", WATCH=0) # the library writes then


def descriptors():
    """One free descriptor beyond the standard ones (less, and not even libc can be loaded)."""
    for count in (4, 5, 8, 64):
        with Sandbox() as box:
            done = run(box, resource.RLIMIT_NOFILE, count, LOG_LEVEL="error")
            if count >= 8:
                check_outstanding(box.report(done.pid), "leak_big", 1, 200000)


def locked_memory_and_stack():
    for limit, size in ((resource.RLIMIT_MEMLOCK, 0), (resource.RLIMIT_STACK, 256 << 10),
                        (resource.RLIMIT_DATA, 64 << 20)):
        with Sandbox() as box:
            done = run(box, limit, size)
            if limit != resource.RLIMIT_DATA:
                check_outstanding(box.report(done.pid), "leak_big", 1, 200000)


def segment_places():
    """Unusable: missing, a file, not ours, open to all. The next place serves."""
    with Sandbox() as box:
        os.mkdir(box.path("open"))
        os.chmod(box.path("open"), 0o777)
        with open(box.path("file"), "w", encoding="ascii"):
            pass
        os.mkdir(box.path("foreign"), 0o700)
        if os.geteuid() == 0: # no one else may give a directory away
            os.chown(box.path("foreign"), 65534, 65534)
        os.symlink("/dev/shm", box.path("link"))
        os.mkdir(box.path("good"), 0o700)
        os.mkdir(box.path("shared"), 0o700)
        os.mkdir(box.path(f"shared/poolprof-{os.geteuid()}"))
        os.chmod(box.path(f"shared/poolprof-{os.geteuid()}"), 0o777)
        for place, why in (("/proc/none", "no such directory"), ("/dev/null", "no directory"), ("open", None),
                           ("file", "no directory"), ("link", None), ("good", None), ("good/new", "no such directory"),
                           ("foreign", None), ("shared", "poolprof-UID in it is no directory of this user's alone"),
                           ("./good", "no absolute path")):
            place = place if place[0] in "/." else box.path(place)
            done = run(box, SEGMENT_DIR=place, LOG_LEVEL="warn")
            check_outstanding(box.report(done.pid), "leak_big", 1, 200000)
            if why or place.endswith("good"):
                check(done.err.count("SEGMENT_DIR") == (1 if why else 0) and (why or "") in done.err, place, done.err)


def full_file_system():
    """A tmpfs of 256 KiB as the only place asked for: no SIGBUS."""
    with Sandbox() as box:
        place = box.path("tiny")
        os.mkdir(place, 0o700)
        env = box.environment(SEGMENT_DIR=place, LOG_LEVEL="error")
        preload = env.pop("LD_PRELOAD", "")
        hello = os.path.join(os.environ["PP_PROGRAMS"], "hello")
        command = f"mount -t tmpfs -o size=256k,mode=700 none {place} && LD_PRELOAD={preload} exec {hello}"
        done = subprocess.run(["unshare", "-m", "sh", "-c", command], env=env, text=True, timeout=30,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if "unshare" in done.stderr or "mount:" in done.stderr:
            print("skipped: no mount here")
        else:
            check(done.returncode == 5 and done.stdout == "to stdout\n", done.returncode, done.stderr)
        check_outstanding(box.report(box.run("hello").pid), "leak_big", 1, 200000)


def tracker_bound():
    """POOLPROF_TRACKER_MAX at its least: the program runs, what was dropped is counted."""
    with Sandbox() as box:
        done = run(box, TRACKER_MAX="1M", LOG_LEVEL="error")
        from driver import PROGRAM
        shown = subprocess.run([PROGRAM, "report", box.profile_of(done.pid), "--format", "json"],
                               stdout=subprocess.PIPE, text=True, timeout=30)
        check(shown.returncode == 0 and '"totals"' in shown.stdout, shown.returncode)


if __name__ == "__main__":
    main({case.__name__: case for case in (address_space, file_size, descriptors, locked_memory_and_stack,
                                           segment_places, full_file_system, tracker_bound)})

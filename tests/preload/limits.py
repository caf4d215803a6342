"""Small resource limits and unusable places for the segment: the host runs, whatever can be recorded is."""
import os
import resource
import subprocess

from driver import Sandbox, check, check_outstanding, main, read_report


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


def sizes():
    """What the program has bare, in bytes of address space and of data."""
    program = os.path.join(os.environ["PP_PROGRAMS"], "limited")
    done = subprocess.run([program, "size"], stdout=subprocess.PIPE, text=True, timeout=30)
    return dict(zip(("as", "data"), map(int, done.stdout.split())))


def limited(box, *words, bare, **options):
    env = box.environment(LOG_LEVEL="error", **options)
    if bare:
        env = {name: value for name, value in env.items() if name != "LD_PRELOAD"}
    process = subprocess.Popen([os.path.join(os.environ["PP_PROGRAMS"], "limited"), *map(str, words)], env=env,
                               cwd=box.directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               start_new_session=True)
    try:
        out, err = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, 9) # and its children
    return process.pid, (process.returncode, out, err)


def own_limit():
    """Set by the program itself, by each function, 96 MiB over what it has bare: the same as bare, all tracked."""
    for what, size in sizes().items():
        for how in range(4) if what == "as" else (3,):
            with Sandbox() as box:
                words = (what, size + (96 << 20), how)
                _, bare = limited(box, *words, bare=True)
                pid, ours = limited(box, *words, bare=False, CHILDREN="all" if how == 3 else "exec")
                check(bare == ours and bare[0] == 0, words, "bare", bare, "with us", ours)
                check("no" not in [line[-2:] for line in bare[1].splitlines() if "thread" in line], bare)
                report = box.report(pid)
                check_outstanding(report, "leak_limited", 4, (20 << 20) + 300)
                check_outstanding(report, "leak_mapped", 1, 333)
                lost = [site for site in report["sites"] if site["kind"] != "reachable" and site["stack"] and
                        site["stack"][0]["function"] == "leak_mapped"]
                check(report["leaks"]["scan"] == "done" and not lost, "a mapping in what was given back:", lost)
                said = {spot["what"] for spot in report["blind_spots"]}
                check(not said & {"dropped_records", "segment_degraded"}, report["blind_spots"])


def limited_children():
    """Children that limit themselves, by fork, _Fork and vfork, while other threads allocate: none hangs."""
    with Sandbox() as box:
        pid, ended = limited(box, "children", 300, bare=False)
        check(ended == (0, "", ""), ended)
        check_outstanding(box.report(pid), "leak_limited", 15, 1500)


def limited_again():
    """A thread that sets limits all the time, and three that get memory at that: nothing of it is taken away."""
    with Sandbox() as box:
        pid, ended = limited(box, "again", 2000, bare=False)
        check(ended == (0, "", ""), ended)
        box.report(pid)


def own_limit_tight():
    """What the bookkeeping and the allocator have in use is missing in the end, and nothing breaks."""
    for what, size in sizes().items():
        for megabytes in (0, 1, 4, 12, 20, 28, 44, 60):
            with Sandbox() as box:
                pid, (status, out, err) = limited(box, what, size + (megabytes << 20), 0, bare=False)
                check(status in (0, 99) and out.startswith("limited: yes"), what, megabytes, "status", status, out, err)
                report = read_report(box.profile_of(pid), whole=False)
                dropped = report["totals"]["outstanding_objects"] - sum(site["objects"] for site in report["sites"])
                said = {spot["what"] for spot in report["blind_spots"]} & {"dropped_records", "segment_degraded"}
                check(dropped == 0 or said, what, megabytes, dropped, "objects missing:", report["blind_spots"])


def shell_limit():
    """`ulimit -v` in a shell that goes on with builtins, subshells and programs."""
    script = "ulimit -v 160000; for i in {1..3000}; do x[i]=$i$i$i; done; y=$(printf %s ${x[*]} | cat); echo ${#y}; " \
             "(ulimit -d 60000; z=$(ls /); echo ${z:0:3}); ls / | wc -l; f() { local q=$1; echo ${#q}; }; f ${y:0:9000}"
    with Sandbox() as box:
        outs = []
        for bare in (True, False):
            env = box.environment(LOG_LEVEL="error")
            if bare:
                del env["LD_PRELOAD"]
            done = subprocess.run(["bash", "--norc", "-c", script], env=env, cwd=box.directory, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True, timeout=60)
            outs.append((done.returncode, done.stdout, done.stderr))
        check(outs[0] == outs[1] and outs[0][0] == 0, "bare", outs[0], "with us", outs[1])


def python_limit():
    """resource.setrlimit: memory, mappings and threads up to the limit, MemoryError beyond it."""
    script = "import mmap, resource, threading\n" \
             "m = 400 << 20\n" \
             "for what in resource.RLIMIT_AS, resource.RLIMIT_DATA: resource.setrlimit(what, (m, m))\n" \
             "large = [bytearray(40 << 20) for _ in range(3)]; m = mmap.mmap(-1, 50 << 20)\n" \
             "t = [threading.Thread(target=lambda: [bytes(1000 + i) for i in range(2000)]) for _ in range(4)]\n" \
             "[x.start() for x in t]; [x.join() for x in t]\n" \
             "try: bytearray(400 << 20)\n" \
             "except MemoryError: print('as it should')\n"
    with Sandbox() as box:
        env = box.environment(LOG_LEVEL="error")
        done = subprocess.run(["python3", "-c", script], env={**env, "PYTHONMALLOC": "malloc"}, cwd=box.directory,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
        check((done.returncode, done.stdout, done.stderr) == (0, "as it should\n", ""), done)


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
    main({case.__name__: case for case in (address_space, own_limit, own_limit_tight, limited_children, limited_again,
                                           shell_limit, python_limit, file_size, descriptors, locked_memory_and_stack,
                                           segment_places, full_file_system, tracker_bound)})

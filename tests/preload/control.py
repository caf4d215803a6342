"""Commands to the watcher of a running process: each by `poolprof ctl`, and what is sent by hand to its socket."""
import errno
import json
import os
import random
import signal
import socket
import stat
import subprocess
import time

from driver import BARE, PROGRAM, Sandbox, check, check_outstanding, main

REFUSED = ("bad_request", "too_large", "timeout", "unknown_command", "bad_args", "unknown_option", "not_live",
           "bad_value", "no_process", "ended", "busy", "forbidden", "not_done", "not_scanned", "not_written")


def as_user(user):
    """For subprocess; None: who we are."""
    return {"user": user, "group": user, "extra_groups": []} if user else {}


def ctl(pid, *words, user=None):
    """(exit status, reply or None, standard error)"""
    done = subprocess.run([PROGRAM, "ctl", str(pid), *map(str, words)], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=30, **as_user(user))
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


def data(pid, *words):
    status, reply, err = ctl(pid, *words)
    check(status == 0 and reply and reply["ok"] and reply["command"] == words[0], words, status, reply, err)
    return reply["data"]


def refusal(pid, *words):
    status, reply, err = ctl(pid, *words)
    check(status == 1 and reply and not reply["ok"] and reply["error"]["message"], words, status, reply, err)
    return reply["error"]["code"]


class Host:
    """A program that waits, with its segments in a directory of its own."""

    def __init__(self, box, program=("hello", "wait"), directory="segments", user=None, **options):
        self.directory = box.path(directory)
        os.mkdir(self.directory, 0o700)
        if user:
            os.chown(self.directory, user, user)
        os.environ["POOLPROF_SEGMENT_DIR"] = self.directory
        self.process = box.start(*program, stdin=subprocess.PIPE, **as_user(user),
                                 options={"SEGMENT_DIR": self.directory, **options})
        check(self.process.stdout.readline() == "ready\n", "did not start")
        self.pid = self.process.pid
        self.wait_for_socket()

    def wait_for_socket(self):
        deadline = time.monotonic() + (0.3 if BARE else 10)
        while not self.socket():
            check(time.monotonic() < deadline, "no control socket")
            time.sleep(0.01)

    def socket(self):
        names = [os.path.join(place, name) for place, _, names in os.walk(self.directory) for name in names]
        return next((name for name in names if name.endswith(".ctl")), None)

    def connect(self):
        there = socket.socket(socket.AF_UNIX)
        there.connect(self.socket()) # waits where the queue is full
        there.settimeout(20)
        return there

    def send(self, content, close=False):
        """The reply to these bytes; None: none came."""
        with self.connect() as there:
            there.sendall(content)
            if close:
                return None
            there.shutdown(socket.SHUT_WR)
            return received(there)

    def tell(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        check(self.process.stdout.readline() == "done\n", word)

    def quit(self):
        out, err = self.process.communicate("quit\n", timeout=60)
        check(self.process.returncode == 0, "status", self.process.returncode, out, err)

    def finish(self):
        out, err = self.process.communicate("go\n", timeout=60)
        check(self.process.returncode == 5 and out == "to stdout\n", "status", self.process.returncode, out, err)
        return err


def received(there):
    parts = []
    while True:
        part = there.recv(65536)
        if not part:
            break
        parts.append(part)
    text = b"".join(parts)
    check(text.count(b"\n") <= 1, "more than a line:", text)
    return json.loads(text) if text else None


def look():
    """What only looks: status, sample, report, pools, alerts, health."""
    with Sandbox() as box:
        host = Host(box)
        mode = os.stat(host.socket())
        check(stat.S_ISSOCK(mode.st_mode) and stat.S_IMODE(mode.st_mode) == 0o600, "mode", oct(mode.st_mode))
        wait_for(lambda: data(host.pid, "status")["objects"] >= 5, "it waits, its buffers are there")
        status = data(host.pid, "status")
        check(status["pid"] == host.pid and status["name"] == "hello" and status["track"] == "exact", status)
        check(status["heap_bytes"] >= 200100 and status["objects"] == 5, status)
        check(status["processes"] == [{"pid": host.pid, "name": "hello", "child": False}], status["processes"])
        sample = data(host.pid, "sample")
        check(sample["heap_bytes"] == status["heap_bytes"] and sample["rss_bytes"] > 200000, sample)
        check(data(host.pid, "status")["last_sample"] == sample, "the sample is not the last")
        report = data(host.pid, "report")
        check(report["schema"] == "poolprof.report/1" and report["process"]["end"] == "running", report["process"])
        check_outstanding(report, "leak_big", 1, 200000)
        check_outstanding(report, "leak_hello", 2, 100)
        check(len(report["samples"]) >= 2, report["samples"])
        check(len(data(host.pid, "report", 1)["sites"]) == 1, "report 1")
        with open(f"/proc/{status['watcher_pid']}/maps") as maps: # symbols were looked up
            loaded = maps.read()
            check("libdw" in loaded and "debuginfod" not in loaded, "libraries for servers of debug files")
        check(refusal(host.pid, "report", "all") == "bad_value", "report all")
        pools = {pool["name"]: pool for pool in data(host.pid, "pools")["pools"]}
        check(pools["64"]["served"] >= 40 and pools["64"]["missed"] == 64, pools)
        check(data(host.pid, "alerts") == {"active": [], "alerts": []}, "alerts")
        health = data(host.pid, "health")
        check({row["name"] for row in health["checks"]} >= {"segment", "records", "tables", "watcher"}, health)
        check(all(row["ok"] and row["detail"] for row in health["checks"] if row["name"] != "ptrace"), health)
        history = data(host.pid, "history")
        check(len(history["samples"]) >= 2 and history["alerts"] == [] and history["last_scan"] is None, history)
        check(data(host.pid, "history", "1e6")["samples"] == [], "later ones")
        check(refusal(host.pid, "history", "x") == "bad_value", "history x")
        host.finish()
        busy = Host(box, ("operated",), directory="busy")
        for _ in range(20):
            busy.tell("churn")
            health = {row["name"]: row for row in data(busy.pid, "health")["checks"]}
            check(health["pools"]["ok"] and "agree" in health["pools"]["detail"], health["pools"])
            check(health["tables"]["ok"], health["tables"])
        busy.quit()


def options():
    """get and set: the environment's own parser, in force at once; the default is back where it is set so."""
    with Sandbox() as box:
        host = Host(box, MEM_WARN="3G", LOG=box.path("log"))
        check(data(host.pid, "get", "MEM_WARN") == {"name": "MEM_WARN", "value": 3 << 30, "live": True}, "get")
        check(data(host.pid, "get", "SAMPLE_MAX")["value"] == 30.0, "a time in seconds")
        check(data(host.pid, "get", "TRACK")["value"] == "exact", "a mode")
        check(data(host.pid, "get", "LOG_LEVEL")["value"] == "warn", "a word")
        check(refusal(host.pid, "get", "mem_warn") == "unknown_option", "case")
        for name, value, code in (("POOL_MAX", "16", "not_live"), ("MEM_WARN", "1X", "bad_value"),
                                  ("MEM_WARN", "-1", "bad_value"), ("SAMPLE_MIN", "0", "bad_value"),
                                  ("LOG_LEVEL", "loud", "bad_value"), ("X", "1", "unknown_option")):
            check(refusal(host.pid, "set", name, value) == code, name, value)
        check(data(host.pid, "set", "MEM_WARN", "1M") == {"name": "MEM_WARN", "value": 1 << 20, "was": 3 << 30}, "set")
        wait_for(lambda: [a["rule"] for a in data(host.pid, "alerts")["active"]] == ["mem_warn"], "the alert")
        data(host.pid, "set", "MEM_WARN", "3G")
        wait_for(lambda: not data(host.pid, "alerts")["active"], "its end")
        check([a["state"] for a in data(host.pid, "alerts")["alerts"]] == ["raised", "resolved"], "alerts")
        data(host.pid, "set", "SAMPLE_MAX", "50ms")
        data(host.pid, "set", "SAMPLE_MIN", "50ms")
        before = len(data(host.pid, "report")["samples"])
        wait_for(lambda: len(data(host.pid, "report")["samples"]) >= before + 5, "samples at the new pace")
        host.finish()


def wait_for(condition, what):
    deadline = time.monotonic() + 10
    while not condition():
        check(time.monotonic() < deadline, "never:", what)
        time.sleep(0.02)


def usage():
    """Exit status 2 for usage, 3 where there is nobody."""
    with Sandbox() as box:
        host = Host(box)
        for words in ((), (host.pid,), ("x", "status"), (host.pid, "frobnicate"), (host.pid, "get"),
                      (host.pid, "status", 1)):
            done = subprocess.run([PROGRAM, "ctl", *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            check(done.returncode == 2 and not done.stdout and done.stderr.count(b"\n") == 1, words, done)
        check(ctl(os.getpid(), "status")[0] == 3, "a process that is not watched")
        os.kill(data(host.pid, "status")["watcher_pid"], signal.SIGKILL)
        wait_for(lambda: ctl(host.pid, "status")[0] == 3, "a watcher that is dead")
        host.process.kill()
        host.process.communicate()
        check(ctl(host.pid, "status")[0] == 3, "a process that is dead")


def tree():
    """A child is asked by its own number, over the tree's socket."""
    with Sandbox() as box:
        host = Host(box)
        os.environ["POOLPROF_SEGMENT_DIR"] = host.directory
        host.finish()
        wait_for(lambda: host.socket() is None, "end of the socket")
        options = {"SEGMENT_DIR": host.directory}
        shell = box.start("/bin/sh", "-c", "sleep 30 & echo $!; wait; exit 3", options=options)
        child = int(shell.stdout.readline())
        host.wait_for_socket()
        wait_for(lambda: ctl(child, "status")[0] == 0, "the child")
        status = data(child, "status")
        check(status["pid"] == child and status["name"] == "sleep", status)
        check([p["child"] for p in status["processes"]] == [False, True], status["processes"])
        data(child, "set", "MEM_WARN", "7M")
        check(data(child, "get", "MEM_WARN")["value"] == 7 << 20, "the child's")
        check(data(shell.pid, "get", "MEM_WARN")["value"] == 400 << 20, "the parent's")
        os.kill(child, signal.SIGKILL)
        check(shell.wait(30) == 3, "status")
        shell.communicate()


def lost(found, function):
    """(objects, since the mark) of a function."""
    rows = [site for site in found["sites"] if site["kind"] == "lost" and site["stack"][0]["function"] == function]
    return sum(s["objects"] for s in rows), sum(s["since_mark"]["objects"] for s in rows)


def told(*words):
    return subprocess.run([PROGRAM, "report", *words], text=True, stdout=subprocess.PIPE, check=True).stdout


def leaks():
    """The scan of a process that goes on; what is lost since the mark; gc."""
    with Sandbox() as box:
        host = Host(box, ("operated",))
        host.tell("leak")
        found = data(host.pid, "leaks")
        check(found["scan"] == "done" and lost(found, "leak_blocks") == (10, 10), found)
        check(found["lost_objects"] >= 10 and found["mark"]["number"] == 0, found)
        last = data(host.pid, "history")["last_scan"]
        check(last["lost_objects"] == found["lost_objects"] and last["t_s"] > 0, last)
        time.sleep(0.05)
        mark = data(host.pid, "mark")
        check(mark["mark"] == 1, mark)
        time.sleep(0.05)
        host.tell("leak")
        found = data(host.pid, "leaks", 0)
        check(lost(found, "leak_blocks") == (20, 10), found)
        check(found["mark"]["number"] == 1 and found["mark"]["lost_objects"] == 10, found["mark"])
        host.tell("root")
        found = data(host.pid, "roots")
        named = [root for root in found["roots"] if root["name"] == "held blocks"]
        check(len(named) == 1 and (named[0]["reached_objects"], named[0]["reached_bytes"]) == (1, 70000), found)
        collected = data(host.pid, "gc")
        check(collected["cleanup"]["done"] and lost(collected["leaks"], "leak_blocks") == (20, 10), collected)
        check(refusal(host.pid, "leaks", "some") == "bad_value", "leaks some")
        snapshot = data(host.pid, "snapshot", box.path("now"))["file"]
        host.quit()
        for profile in (snapshot, box.profile_of(host.pid)): # the mark goes with them
            report = json.loads(told(profile, "--format", "json"))
            check(report["mark"] == {"number": 1, "t_s": mark["t_s"]}, report["mark"])
            rows = [site for site in report["sites"] if site["stack"] and site["stack"][0]["function"] == "leak_blocks"]
            check(sum(row["objects"] for row in rows) == 20, rows)
            check(sum(row["since_mark"]["objects"] for row in rows) == 10, rows)
            report = json.loads(told(profile, "--format", "json", "--marked"))
            rows = [site for site in report["sites"] if site["stack"] and site["stack"][0]["function"] == "leak_blocks"]
            check(sum(row["objects"] for row in rows) == 10, rows)
            check(report["leaks"]["since_s"] == mark["t_s"], report["leaks"])
            check(report["totals"]["outstanding_objects"] == sum(site["objects"] for site in report["sites"]), "sums")
        check("    since mark 1: 1000 bytes in 10 objects" in told(snapshot), told(snapshot))
        check("since the mark at" in told(box.profile_of(host.pid), "--marked"), "what it is")


def cleanup():
    """Memory that was freed goes back; a program that does not allocate is not disturbed."""
    with Sandbox() as box:
        host = Host(box, ("operated",))

        def capacity():
            return {pool["name"]: pool["capacity"] for pool in data(host.pid, "pools")["pools"]}["64"]
        data(host.pid, "set", "LOG_LEVEL", "error") # which the program takes over with its next allocation
        host.tell("churn")
        check(data(host.pid, "get", "LOG_LEVEL")["value"] == "error", "LOG_LEVEL")
        before = capacity()
        done = data(host.pid, "cleanup")
        check(done["done"] and 0 < done["rss_bytes"] < done["rss_bytes_before"] + 1000000, done)
        # The thread that churned trims its own pools, when it allocates next.
        host.tell("leak")
        check(capacity() < before, capacity(), "of", before)
        host.quit()
        idle = Host(box, directory="idle")
        check(refusal(idle.pid, "cleanup") == "not_done", "an idle program")
        check(data(idle.pid, "status")["heap_bytes"] >= 200100, "status")
        idle.finish()


def pause():
    """Paused: blocks are recorded, without a stack; frees count; the report says so. Resumed: stacks again."""
    with Sandbox() as box:
        host = Host(box, ("operated",))
        host.tell("leak")
        check(data(host.pid, "pause") == {"paused": True, "pauses": 1}, "pause")
        check(data(host.pid, "status")["paused"], "status")
        time.sleep(0.1)
        host.tell("leak")
        check(data(host.pid, "pause") == {"paused": True, "pauses": 1}, "pause again")
        check(data(host.pid, "resume") == {"paused": False, "pauses": 1}, "resume")
        time.sleep(0.1)
        host.tell("leak")
        report = data(host.pid, "report")
        check_outstanding(report, "leak_blocks", 20, 2000)
        unknown = sum(site["objects"] for site in report["sites"] if not site["stack"])
        check(unknown >= 10, report["sites"])
        spots = {spot["what"]: spot for spot in report["blind_spots"]}
        check(spots["paused"]["count"] == 1 and "dropped_records" not in spots, spots)
        host.quit()
        report = box.report(host.pid) # the sums hold
        check(sum(site["objects"] for site in report["sites"] if site["kind"] == "lost") >= 30, report["sites"])


def snapshot():
    """A profile of the running process; an existing file is kept."""
    with Sandbox() as box:
        host = Host(box)
        first = data(host.pid, "snapshot", box.path("now.poolprof"))["file"]
        check(first == box.path("now.poolprof"), first)
        check(data(host.pid, "snapshot", first)["file"] == first + ".2", "a second one")
        done = subprocess.run([PROGRAM, "report", first, "--format", "json"], stdout=subprocess.PIPE, check=True)
        report = json.loads(done.stdout)
        check(report["process"]["end"] == "running", report["process"])
        check_outstanding(report, "leak_big", 1, 200000)
        check(refusal(host.pid, "snapshot", "/nowhere/x") == "not_written", "a folder that is not there")
        check(refusal(host.pid, "snapshot", "") == "bad_value", "no name")
        host.finish()


GOOD = {"command": "set", "args": ["MEM_WARN", "50M"]}


def twisted(chance, number):
    """A request that must not be taken, as bytes."""
    text = json.dumps(GOOD).encode()
    kind = number % 10
    if kind == 0: # cut off
        return text[:chance.randrange(0, len(text))]
    if kind == 1: # bytes
        return bytes(chance.randrange(256) for _ in range(chance.randrange(1, 400))).replace(b"{", b"[")
    if kind == 2: # too large
        return b'{"command": "set", "args": ["' + b"x" * (65536 + chance.randrange(100000)) + b'"]}\n'
    if kind == 3: # two at once
        return text + b"\n" + text + b"\n"
    if kind == 4: # unknown words
        word = chance.choice(("SET", "exec", "../set", "", "set\n", "\u0000", "shutdown"))
        return json.dumps({**GOOD, "command": word}).encode()
    if kind == 5: # bad values
        value = chance.choice(("", "50MM", "-1", "1e9", "nan", "0x10", "9" * 400, "50M\n", "50M;", "%n%n%s", "\u202e",
                               "1" * 60000))
        return json.dumps({"command": "set", "args": ["MEM_WARN", value]}).encode()
    if kind == 6: # types
        wrong = chance.choice((None, True, 1.5, {}, [], [[]], ["MEM_WARN"], ["MEM_WARN", None], "MEM_WARN",
                               ["MEM_WARN", "1", "2"]))
        return json.dumps({**GOOD, "args": wrong}).encode()
    if kind == 7: # foreign: another protocol, process or option
        return chance.choice((b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00",
                              b"set MEM_WARN 50M\n",
                              json.dumps({**GOOD, "pid": chance.choice((1, 4194304, -1, 2 ** 40, "1"))}).encode(),
                              json.dumps({"command": "set", "args": ["TRACK", "off"]}).encode(),
                              json.dumps({**GOOD, "token": "x"}).encode()))
    if kind == 8: # deep, or keys that come twice
        return chance.choice((b"[" * 60000, b'{"a":' * 10000,
                              b'{"command":"set","command":"set","args":["MEM_WARN","50M"]}'))
    return text.replace(b'"', b"'", chance.randrange(1, 8)) # quotes


def hostile():
    """1,000 malformed, oversized, half-sent and foreign commands: none accepted, none harmful."""
    with Sandbox() as box:
        host = Host(box)
        chance, accepted, answered = random.Random(8), 0, 0
        before = data(host.pid, "get", "MEM_WARN")
        held = [host.connect() for _ in range(8)] # half sent, while all others are served
        for there in held:
            there.sendall(b'{"command": "set", "args": ["MEM_WARN", "50M"')
        for number in range(1000 - len(held)):
            content = twisted(chance, number)
            try:
                reply = host.send(content, close=number % 7 == 6)
            except (BrokenPipeError, ConnectionResetError): # it was refused before all of it was read
                reply = None
            if reply:
                answered += 1
                accepted += reply["ok"]
                check(reply["ok"] or reply["error"]["code"] in REFUSED, content[:80], reply)
        check(answered > 700 and accepted == 0, answered, "answered,", accepted, "accepted")
        for there in held:
            check(received(there)["error"]["code"] == "timeout", "a half-sent request")
            there.close()
        check(data(host.pid, "get", "MEM_WARN") == before, "something was set")
        status = data(host.pid, "status")
        check(os.path.exists(f"/proc/{status['watcher_pid']}"), "the watcher is gone")
        host.finish()


OWNER, STRANGER = 61001, 61002 # users of no name


def sent_as(user, path, content):
    """What is answered to that user; the system's error code in negative, where it refuses."""
    here, there = os.pipe()
    if os.fork() == 0:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(20)
                client.connect(path)
                client.sendall(content)
                answer = received(client)
        except OSError as error:
            answer = -error.errno
        os.write(there, json.dumps(answer).encode())
        os._exit(0)
    os.close(there)
    with os.fdopen(here) as answer:
        text = answer.read()
    os.wait()
    return json.loads(text)


def foreign():
    """Another user: the directory does not let him in; if it did, he would be known. Root is served."""
    reads = subprocess.run(["test", "-x", PROGRAM], **as_user(OWNER)).returncode == 0 if os.geteuid() == 0 else False
    if not reads:
        print("skipped: only root can be several users, and they must be able to read the build")
        return
    with Sandbox() as box:
        host = Host(box, user=OWNER, OUTPUT="none", LOG="none")
        path, limits = host.socket(), [data(host.pid, "get", "MEM_WARN")]
        check(os.stat(path).st_uid == OWNER, "the socket is", os.stat(path).st_uid)
        command = json.dumps(GOOD).encode() + b"\n"
        check(sent_as(STRANGER, path, command) == -errno.EACCES, "the directory let him in")
        check(ctl(host.pid, "set", "MEM_WARN", "50M", user=STRANGER)[0] == 3, "ctl")
        for name in (host.directory, os.path.dirname(path), path): # all open: the last line of defence
            os.chmod(name, 0o777)
        answer = sent_as(STRANGER, path, command)
        check(not answer["ok"] and answer["error"]["code"] == "forbidden", answer)
        limits.append(data(host.pid, "get", "MEM_WARN"))
        check(limits[0] == limits[1], "it was set:", limits)
        check(sent_as(OWNER, path, command)["ok"], "the owner")
        check(data(host.pid, "get", "MEM_WARN")["value"] == 50 << 20, "the owner's value")
        host.process.communicate("go\n", timeout=60)


def crowd():
    """More clients than are served at a time: the rest hear so. The program's end does not wait."""
    with Sandbox() as box:
        host = Host(box)
        many = [host.connect() for _ in range(80)]
        for there in many[40:]:
            there.settimeout(5)
        codes = [received(there)["error"]["code"] for there in many[40:]]
        check(codes.count("busy") >= 30, codes)
        begun = time.monotonic()
        host.finish()
        check(time.monotonic() - begun < 3, "the end took", time.monotonic() - begun)
        for there in many:
            there.close()


if __name__ == "__main__":
    main({"look": look, "options": options, "usage": usage, "tree": tree, "leaks": leaks, "cleanup": cleanup,
          "pause": pause, "snapshot": snapshot, "hostile": hostile, "foreign": foreign, "crowd": crowd})

"""A served program, and requests as bytes: what the tests of `poolprof serve` share."""
import http.client
import json
import os
import re
import socket
import subprocess
import time

from driver import PROGRAM, PROGRAMS, check

STILL = os.path.join(PROGRAMS, "still")


class Still:
    """A program that has allocated and now waits; `with Still(box) as program`."""

    def __init__(self, box, *arguments, **options):
        self.process = subprocess.Popen([STILL, *arguments], env=box.environment(**options), cwd=box.directory,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        check(self.process.stdout.readline() == "still\n", "it did not start")
        self.pid = self.process.pid

    def end(self):
        """Its standard error."""
        if self.process.stdin:
            self.process.stdin.close()
            self.process.stdin = None
            self.process.wait()
        return self.process.stderr.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


class Server:
    """`poolprof serve`, or one that POOLPROF_SERVE has started and whose line is given."""

    def __init__(self, *arguments, line=None, **environment):
        self.process = None
        if line is None:
            self.process = subprocess.Popen([PROGRAM, "serve", *map(str, arguments)], stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, env={**os.environ, **environment}, text=True)
            line = self.process.stdout.readline()
        match = re.search(r"listening on http://(\[?[^/\]]+\]?):(\d+)/#token=(\S+)\n", line)
        check(match, "it says", repr(line))
        self.host, self.port, self.token = match[1].strip("[]"), int(match[2]), match[3]
        self.name = f"{match[1]}:{self.port}"
        self.address = ("127.0.0.1" if self.host == "0.0.0.0" else self.host, self.port)
        self.bearer = {"Authorization": f"Bearer {self.token}"}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process:
            self.process.terminate()
            check(self.process.wait(30) == 0, "serve ended with", self.process.returncode)

    def ask(self, path, method="GET", body=None, headers=None, timeout=60):
        """(status, headers, body)."""
        connection = http.client.HTTPConnection(*self.address, timeout=timeout)
        connection.request(method, path, body, {"Host": f"{self.address[0]}:{self.port}", **(headers or {})})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, answer.headers, body

    def json(self, path, headers=None):
        status, found, body = self.ask(path, headers=headers)
        check(status == 200 and found["Content-Type"] == "application/json", path, status, body[:200])
        return json.loads(body)

    def metrics(self, headers=None):
        """{(name, (label, value), ...): number}."""
        status, found, body = self.ask("/metrics", headers=headers)
        check(status == 200 and found["Content-Type"].startswith("text/plain; version=0.0.4"), status, found)
        return parsed(body.decode("utf-8"))

    def raw(self, data, timeout=10):
        """Sends bytes; returns the answer's bytes up to the connection's end."""
        with socket.create_connection(self.address, timeout=timeout) as sock:
            try:
                sock.sendall(data)
            except OSError:
                pass
            got = b""
            try:
                while part := sock.recv(65536):
                    got += part
            except (TimeoutError, ConnectionResetError):
                pass
            return got


def watcher_of(program):
    """The process that has the program's segment open, besides itself."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
                named = file.read() == "poolprof-watch\n"
            if named and any(f"/{program.pid}." in os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")):
                return int(pid)
        except OSError:
            pass
    return None


LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"(?:,|$)')


def parsed(text):
    found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        match = re.fullmatch(r"([a-z_]+)\{(.*)\} (\d+)", line)
        check(match, "no metric:", line)
        labels = {name: re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], value)
                  for name, value in LABEL.findall(match[2])}
        key = (match[1].removeprefix("poolprof_"), *((k, v) for k, v in labels.items() if k not in ("pid", "exe")),
               int(labels["pid"]))
        check(key not in found, "twice:", line)
        found[key] = int(match[3])
    return found


def eventually(condition, *what, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    check(False, "not within", seconds, "s:", *what, condition())

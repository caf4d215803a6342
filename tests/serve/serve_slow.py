"""Slow and broken clients: they cost little, and others are served meanwhile. `serve_slow.py whole`: 1,000 idle
connections, a body of 1 GB, and the times after which they are cut off."""
import os
import re
import resource
import socket
import sys
import threading
import time

from driver import Sandbox, check, main
from serving import Server, Still, eventually

IDLE_S, PATIENCE_S = 15, 60  # http.h


def memory(server):
    with open(f"/proc/{server.process.pid}/status", encoding="ascii") as file:
        return int(re.search(r"VmRSS:\s*(\d+) kB", file.read())[1]) << 10


def serves(server):
    """How long /healthz takes."""
    start = time.monotonic()
    check(server.ask("/healthz", timeout=20)[2] == b"ok\n", "not healthy")
    return time.monotonic() - start


def connections(server, count, data):
    found = []
    for _ in range(count):
        sock = socket.create_connection(server.address, timeout=20)
        sock.sendall(data)
        found.append(sock)
    return found


def closed(sock):
    """Whether the server has ended it; what it still says does not count."""
    sock.setblocking(False)
    try:
        while sock.recv(65536):
            pass
        return True
    except BlockingIOError:
        return False
    except OSError:
        return True


def post(server, length, body):
    """Sends as long as the server takes; its answer."""
    head = (f"POST /api/ctl HTTP/1.1\r\nHost: {server.name}\r\nAuthorization: Bearer {server.token}\r\n"
            f"{length}\r\n\r\n").encode()
    with socket.create_connection(server.address, timeout=20) as sock:
        sent, answer = 0, b""
        try:
            sock.sendall(head)
            for part in body:
                sock.sendall(part)
                sent += len(part)
        except OSError:
            pass
        try:
            while part := sock.recv(65536):
                answer += part
        except OSError:
            pass
        return answer, sent


def crowd(server, idle, body_bytes):
    before = memory(server)
    head = f"GET /metrics HTTP/1.1\r\nHost: {server.name}\r\n"
    silent = connections(server, idle, b"")
    half = connections(server, 50, head.encode()) + connections(server, 50, b"G")
    late = connections(server, 20, (f"POST /api/ctl HTTP/1.1\r\nHost: {server.name}\r\nAuthorization: Bearer {server.token}\r\n"
                                    "Content-Length: 100\r\n\r\nhalf").encode())
    gone = connections(server, 100, f"{head}\r\n".encode())
    for sock in gone:  # asked, and never listened
        sock.close()
    check(serves(server) < 10, "slow with idle connections")
    block = b"x" * 65536
    answer, sent = post(server, f"Content-Length: {body_bytes}", (block for _ in range(body_bytes // 65536)))
    check(b" 413 " in answer[:20] or answer == b"", answer[:100])
    check(sent < 64 << 20, "it took", sent, "bytes")
    chunk = b"10000\r\n" + block + b"\r\n"
    answer, sent = post(server, "Transfer-Encoding: chunked", (chunk for _ in range(body_bytes // 65536)))
    check(b" 411 " in answer[:20] or answer == b"", answer[:100])
    check(sent < 64 << 20, "it took", sent, "bytes")
    check(serves(server) < 10, "slow after the bodies")
    grown = memory(server) - before
    print(f"{idle} idle connections and more: {grown / 2**20:.1f} MiB")
    check(grown < 64 << 20, "memory", grown)
    return silent, half + late


def streams(server):
    """More listeners than there is room for are refused; one that does not read holds nobody up."""
    ask = f"GET /api/events HTTP/1.1\r\nHost: {server.name}\r\n\r\n".encode()
    found = connections(server, 70, ask)
    heads = [sock.recv(12) for sock in found]
    check(heads.count(b"HTTP/1.1 200") == 64 and heads.count(b"HTTP/1.1 503") == 6, heads)
    check(serves(server) < 10, "slow with streams")
    for sock in found:
        sock.close()

    def again():
        with socket.create_connection(server.address, timeout=20) as sock:
            sock.sendall(ask)
            return sock.recv(12) == b"HTTP/1.1 200"
    eventually(again, "streams are free again", seconds=60)


def asked_at_once(server):
    """A hundred who ask for the report at the same moment."""
    found = []

    def ask():
        found.append(server.ask("/api/report")[0])
    threads = [threading.Thread(target=ask) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    check(found == [200] * 100, found)


def small():
    with Sandbox() as box, Still(box) as program, Server(program.pid) as server:
        crowd(server, 100, 64 << 20)
        streams(server)
        asked_at_once(server)
        check(("heap_bytes", program.pid) in server.metrics(), "metrics")


def whole():
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
    with Sandbox() as box, Still(box) as program, Server(program.pid) as server:
        start = time.monotonic()
        silent, half = crowd(server, 1000, 1 << 30)
        eventually(lambda: all(map(closed, silent + half)), "idle ones are cut off", seconds=2 * IDLE_S + 15)
        check(time.monotonic() - start >= IDLE_S - 1, "too early")
        drop = connections(server, 20, b"GET /metrics HTTP/1.1\r\n")
        start = time.monotonic()
        while not all(map(closed, drop)):  # a byte now and then is not enough
            check(time.monotonic() - start < PATIENCE_S + 45, "a slow request lives for ever")
            for sock in drop:
                try:
                    sock.setblocking(True)
                    sock.send(b"X")
                except OSError:
                    pass
            time.sleep(5)
        streams(server)
        asked_at_once(server)
        check(serves(server) < 10 and ("heap_bytes", program.pid) in server.metrics(), "it does not serve on")


if __name__ == "__main__":
    main({f.__name__: f for f in (small, whole)})

"""Requests that must not get through: each is refused, none does anything, and the server serves on."""
import json
import os
import re

from driver import Sandbox, check, main
from serving import Server, Still

HOSTS = """evil.example evil.example:{port} 127.0.0.1 127.0.0.1:1 127.0.0.1:80 127.0.0.1:0{port} 127.0.0.1:{port}x 127.0.0.1:{port}.evil.example
localhost localhost.evil.example:{port} evil-localhost:{port} localhost.:{port} 127.0.0.1.evil.example:{port} 127.0.0.2:1 0.0.0.0:{port} 0:{port}
[::ffff:127.0.0.1]:{port} [::1 [::1]x:{port} [::2]:{port} 10.0.0.1:{port} 192.168.1.1:{port} 169.254.169.254:{port} 2130706433:{port} 0x7f000001:{port}
user@127.0.0.1:{port} 127.0.0.1:{port}@evil.example 127.0.0.1:{port},evil.example 127.0.0.1:{port}/evil *:{port} :{port} file: null""".split()

ORIGINS = """http://evil.example https://127.0.0.1:{port} http://127.0.0.1 http://127.0.0.1:1 http://localhost:{port} http://127.0.0.1:{port}.evil.example
http://127.0.0.1:{port}/ http://127.0.0.1:{port}@evil.example null file:// chrome-extension://abc moz-extension://abc about:blank data: ws://127.0.0.1:{port}
http://user@127.0.0.1:{port} HTTP://127.0.0.1:{port} //127.0.0.1:{port} 127.0.0.1:{port} *""".split()

PATHS = r"""/.. /../ /../../../../etc/passwd /..%2f..%2fetc/passwd /%2e%2e/%2e%2e/etc/passwd /%2e%2e%2fetc%2fpasswd /%252e%252e/etc/passwd
/....//....//etc/passwd /..;/etc/passwd /static/../../etc/passwd /metrics/../../etc/passwd /metrics/.. /./metrics //metrics /metrics// /metrics%00
/metrics%00.html /metrics%20 /metrics;x /metrics%0d%0aX:1 /metrics%2f /METRICS /metrics.json /api /api/ /api/../metrics /api/report/.. /api/report%3fpid=1
/api/report/1 /api/ctl/ /..\..\windows\win.ini /\..\..\etc\passwd /%5c..%5c..%5cetc%5cpasswd /file:///etc/passwd /proc/self/environ /etc/passwd
/.git/config /.env /cgi-bin/sh /debug/pprof /debug/pprof/ /debug/pprof/profile /debug/pprof/heap/../cmdline /debug/vars /server-status /%c0%ae%c0%ae/etc/passwd
/%uff0e%uff0e/etc/passwd /index.html /favicon.ico /healthz/x /healthz%2e /'%20OR%201=1-- /<script>alert(1)</script> /$(id) /`id` /|id /${jndi:ldap://x}""".split()


def request(server, line, *headers, host=True, body=b""):
    head = [line, *([f"Host: {server.name}"] if host else []), *headers]
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body


def places(server):
    """Where from, where to."""
    for text in HOSTS:
        yield 403, request(server, "GET /metrics HTTP/1.1", f"Host: {text.format(port=server.port)}", host=False)
    for text in ORIGINS:
        yield 403, request(server, "GET /api/report HTTP/1.1", f"Origin: {text.format(port=server.port)}")
    for path in PATHS:
        yield (400, 404), request(server, f"GET {path} HTTP/1.1")


def tokens(server):
    good, order = server.token, json.dumps({"command": "set", "args": ["MEM_WARN", "1"]}).encode()
    length = f"Content-Length: {len(order)}"
    wrong = ["", "Bearer", "Bearer ", f"Bearer {good[:-1]}", f"Bearer {good}0", f"Bearer {good.swapcase()}" if good.swapcase() != good
             else "Bearer x", f"Bearer  {good}", f"Bearer {good} x", f"Basic {good}", f"Token {good}", good, f"Bearer '{good}'",
             f"Bearer {good[::-1]}", "Bearer null", "Bearer undefined", "Bearer *", f"Bearer, {good}", "Bearer " + "0" * 64]
    for value in wrong:
        yield 401, request(server, "POST /api/ctl HTTP/1.1", length, f"Authorization: {value}", body=order)
    post = lambda *more, line="POST /api/ctl HTTP/1.1", body=order: request(server, line, f"Content-Length: {len(body)}", *more, body=body)
    yield 401, post()
    for late in (f"Cookie: token={good}", f"X-Token: {good}", f"Proxy-Authorization: Bearer {good}", f"Authorization-2: Bearer {good}",
                 f"Referer: http://{server.name}/#token={good}", f"X-Authorization: Bearer {good}"):
        yield 401, post(late)
    for line in (f"POST /api/ctl?token={good} HTTP/1.1", f"POST /api/ctl?access_token={good} HTTP/1.1", "POST /api/report HTTP/1.1",
                 "POST / HTTP/1.1", "POST /nothing HTTP/1.1"):
        yield 401, post(line=line)
    yield 401, post(body=f"Authorization: Bearer {good}\r\n\r\n".encode() + order)
    yield 401, request(server, "POST /api/ctl HTTP/1.1", length, body=order + f"\r\nAuthorization: Bearer {good}\r\n\r\n".encode())
    yield 400, post(f"Authorization: Bearer {good}", "Authorization: Bearer wrong")
    yield 400, post("Authorization: Bearer wrong", f"Authorization: Bearer {good}")
    for method in ("PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "CONNECT", "PROPFIND", "get", "Get", "BREW"):
        yield 401, request(server, f"{method} /metrics HTTP/1.1")


def forms(server):
    """What other pages can make a browser send without asking first."""
    order = b'{"command": "cleanup", "args": []}'
    for kind in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"):
        for origin in ("http://evil.example", "null", f"http://localhost:{server.port}", "http://127.0.0.1:3000"):
            yield 403, request(server, "POST /api/ctl HTTP/1.1", f"Content-Type: {kind}", f"Content-Length: {len(order)}",
                               f"Origin: {origin}", f"Authorization: Bearer {server.token}", body=order)
        yield 401, request(server, "POST /api/ctl HTTP/1.1", f"Content-Type: {kind}", f"Content-Length: {len(order)}", body=order)
    for site in ("cross-site", "same-site"):
        for mode in ("no-cors", "cors", "websocket", "same-origin"):
            yield 403, request(server, "GET /api/report HTTP/1.1", f"Sec-Fetch-Site: {site}", f"Sec-Fetch-Mode: {mode}")
        yield 403, request(server, "POST /api/ctl HTTP/1.1", f"Sec-Fetch-Site: {site}", "Sec-Fetch-Mode: navigate",
                           f"Content-Length: {len(order)}", f"Authorization: Bearer {server.token}", body=order)


def sizes(server):
    bearer = f"Authorization: Bearer {server.token}"
    for length in (65537, 10**6, 10**9, 2**31, 2**32, 2**63, 2**64, 10**30):
        yield (400, 413), request(server, "POST /api/ctl HTTP/1.1", bearer, f"Content-Length: {length}", body=b"x" * 100)
    for count in (2100, 4000, 9000, 20000, 100000):
        yield (400, 413, 414, 431, None), request(server, f"GET /{'a' * count} HTTP/1.1")
        yield (400, 404, 413, 414, 431, None), request(server, f"GET /nothing?{'a' * count} HTTP/1.1")
    for count in (20000, 100000, 1000000):
        yield (400, 413, 431, None), request(server, "GET /metrics HTTP/1.1", f"X: {'a' * count}")
        yield (400, 413, 431, None), request(server, "GET /metrics HTTP/1.1", *["X: a"] * (count // 5))


def smuggled(server):
    """A second request that one reader would see and another not."""
    hidden = f"GET /healthz HTTP/1.1\r\nHost: {server.name}\r\n\r\n".encode()
    chunks = b"0\r\n\r\n" + hidden
    bearer = f"Authorization: Bearer {server.token}"
    refused = (400, 411, 413, 501, None)
    for coding in ("chunked", "Chunked", " chunked", "chunked, identity", "identity", "gzip, chunked", "xchunked", "chunked\t", "\tchunked"):
        yield refused, request(server, "POST /api/ctl HTTP/1.1", bearer, f"Transfer-Encoding: {coding}", body=chunks)
        yield refused, request(server, "POST /api/ctl HTTP/1.1", bearer, "Content-Length: 5", f"Transfer-Encoding: {coding}", body=chunks)
        yield refused, request(server, "GET /metrics HTTP/1.1", f"Transfer-Encoding: {coding}", body=chunks)
    for length in ("5, 5", "+5", "-5", "0x5", "5 5", "5;", "5.0", "five", "٥".encode().decode("latin-1")):
        yield refused, request(server, "POST /api/ctl HTTP/1.1", bearer, f"Content-Length: {length}", body=b"abcde" + hidden)
        yield refused, request(server, "GET /metrics HTTP/1.1", f"Content-Length: {length}", body=b"abcde" + hidden)
    for pair in (("5", "5"), ("5", "0"), ("0", "5"), ("0", str(len(hidden)))):
        yield refused, request(server, "GET /metrics HTTP/1.1", *[f"Content-Length: {length}" for length in pair], body=hidden)
    yield refused, request(server, "GET /metrics HTTP/1.1", f"Content-Length: {len(hidden)}", body=hidden)
    yield refused, request(server, "GET /metrics HTTP/1.1", f"Host: {server.name}", body=hidden)
    yield refused, request(server, "GET /metrics HTTP/1.1", "Host: evil.example", body=hidden)
    yield 400, request(server, f"GET http://{server.name}/metrics HTTP/1.1")
    yield 400, request(server, "GET http://evil.example/ HTTP/1.1")
    yield (400, 401), request(server, "CONNECT evil.example:80 HTTP/1.1")
    yield (400, 401), request(server, "OPTIONS * HTTP/1.1")
    yield (400, 505, None), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    for version in ("HTTP/0.9", "HTTP/1.2", "HTTP/2.0", "HTTP/9.9", "HTTP/1.", "HTTPS/1.1", "http/1.1"):
        yield (400, 403, 505, None), request(server, f"GET /metrics {version}")
    yield (400, None), b"GET /metrics HTTP/1.1\r\n\r\n"
    yield (400, 403, None), b"GET /metrics HTTP/1.0\r\n\r\n"


def status_of(answer):
    match = re.match(rb"HTTP/1\.\d (\d{3}) ", answer)
    return int(match[1]) if match else None


def refused():
    with Sandbox() as box, Still(box) as program, Server(program.pid) as server:
        before, count = sorted(os.listdir(box.directory)), 0
        for make in (places, tokens, forms, sizes, smuggled):
            for expected, data in make(server):
                count += 1
                answer = server.raw(data)
                status, shown = status_of(answer), data[:300]
                check(status in (expected if isinstance(expected, tuple) else (expected,)), "status", status, "for", shown, answer[:300])
                check(not re.search(rb"HTTP/1\.\d [123]", answer), "a second request got through:", shown, answer)
                check(b"poolprof_heap_bytes" not in answer and b"root:" not in answer and b"schema" not in answer, "data for", shown)
                check(b"Access-Control" not in answer, "lets others read", shown)
        print(count, "hostile requests")
        check(count >= 200, count)
        check(server.ask("/healthz")[2] == b"ok\n" and ("heap_bytes", program.pid) in server.metrics(), "it does not serve on")
        check(sorted(os.listdir(box.directory)) == before, "files", os.listdir(box.directory))
        program.end()
        check(program.process.returncode == 0, "the program", program.process.returncode)


if __name__ == "__main__":
    main({f.__name__: f for f in (refused,)})

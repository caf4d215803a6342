"""What `poolprof serve` answers: each route, with the figures of the JSON report."""
import gzip
import json
import os
import signal
import subprocess
import time

from common import complains, profile_of, reported
from driver import PROGRAM, Sandbox, check, main, name_of
from serving import STILL, Server, Still, eventually, watcher_of

NAMES = """heap_bytes heap_objects resident_bytes peak_bytes allocations_total frees_total allocated_bytes_total
leaked_bytes leaked_objects pool_capacity_objects pool_live_objects pool_served_total pool_missed_total alert_active
site_bytes tag_bytes tracker_bytes dropped_records_total""".split()

SAFE = {"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store"}


def live_report(pid):
    done = subprocess.run([PROGRAM, "report", str(pid), "--format", "json"], stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def routes():
    with Sandbox() as box, Still(box) as program, Server(program.pid) as server:
        check(server.host == "127.0.0.1" and len(server.token) == 64, server.name, server.token)
        check(server.ask("/healthz")[2] == b"ok\n", "health")
        for path, key in (("/api/report", "sites"), ("/api/samples", "samples"), ("/api/pools", "pools"),
                          ("/api/alerts", "alerts"), ("/api/tags", "tags")):
            value = server.json(path)
            check(value["process"]["pid"] == program.pid and isinstance(value[key], list), path, value)
        for path in ("/nothing", "/api", "/api/", "/metrics/", "/%6detrics", "/metrics%00", "/../metrics", "//metrics"):
            check(server.ask(path)[0] == 404, path, server.ask(path)[0])
        check(server.ask("/api/report?pid=1")[0] == 404, "another process")
        for query, words in ("pid=x", "pid is to be"), ("pid=", "pid is"), ("top=x", "top is"), ("top=-1", "top is"):
            for page in "report", "samples", "pools":
                status, headers, body = server.ask(f"/api/{page}?{query}")
                check(status == 400 and words in json.loads(body)["error"], page, query, status, body)
                check(headers["Content-Type"] == "application/json", headers)
        status, headers, body = server.ask("/debug/pprof/heap")
        check(status == 200 and gzip.decompress(body), "pprof")
        check("heap.pb.gz" in headers["Content-Disposition"], headers)
        status, headers, _ = server.ask("/metrics", "HEAD")
        check(status == 200, "HEAD")
        for name, value in SAFE.items():
            check(headers[name] == value, name, headers[name])
        check("default-src 'none'" in headers["Content-Security-Policy"], headers)
        check(server.ask("/metrics", "POST", "x", server.bearer)[0] == 405, "POST to a page")
        check(server.json("/api/report?stacks=tables&top=2")["report"]["sites"][1]["stack"] > 0, "tables")
        check(len(server.json("/api/report?top=2")["sites"]) == 2, "top")
        text = server.ask("/metrics")[2].decode()
        for name in NAMES:
            check(f"# TYPE poolprof_{name} " in text and f"# HELP poolprof_{name} " in text, "no", name)


def figures():
    """Metrics and JSON say what `poolprof report` says."""
    with Sandbox() as box, Still(box) as program, Server(program.pid) as server:
        report, metrics = live_report(program.pid), server.metrics()
        served = server.json("/api/report")
        for key in ("totals", "sites", "pools", "tags", "leaks"):
            check(served[key] == report[key] or key in ("sites", "leaks"), key, served[key], report[key])
        figure = lambda site: (site["objects"], site["bytes"], site["tag"], json.dumps(site["stack"]))
        check(sorted(map(figure, served["sites"]), key=str) == sorted(map(figure, report["sites"]), key=str), "sites")
        same_metrics(metrics, report, program.pid)
        check(("resident_bytes", program.pid) in metrics, "resident")


def same_metrics(metrics, report, pid):
    totals = report["totals"]
    for name, key in (("heap_bytes", "outstanding_bytes"), ("heap_objects", "outstanding_objects"),
                      ("peak_bytes", "peak_bytes"), ("allocations_total", "allocations"), ("frees_total", "frees"),
                      ("allocated_bytes_total", "bytes_allocated")):
        check(metrics[name, pid] == totals[key], name, metrics[name, pid], totals[key])
    check(metrics["tracker_bytes", pid] == report["overhead"]["tracker_bytes"], "tracker")
    for pool in report["pools"]:
        labels = (("pool", pool["name"]), ("kind", pool["kind"]), pid)
        for name, key in (("pool_capacity_objects", "capacity"), ("pool_live_objects", "live"),
                          ("pool_served_total", "served"), ("pool_missed_total", "missed")):
            check(metrics[(name, *labels)] == pool[key], name, pool, metrics[(name, *labels)])
    for tag in report["tags"]:
        check(metrics["tag_bytes", ("tag", tag["name"]), pid] == tag["bytes"], tag)
    sites = {}
    for site in report["sites"]:
        name = " < ".join(name_of(frame) for frame in site["stack"][:4])
        sites[name] = sites.get(name, 0) + site["bytes"]
    shown = {key[1][1]: value for key, value in metrics.items() if key[0] == "site_bytes"}
    for name, value in shown.items():
        check(sites.get(name) == value, "site", name, value, sites)
    check(0 < len(shown) <= 20 and max(shown.values()) == max(sites.values()), "sites", shown)


def ends():
    """A process and its child: both are there, and what they were is still told when they have ended."""
    with Sandbox() as box, Still(box, "child") as program, Server(program.pid) as server:
        rows = eventually(lambda: two(server), "two processes")
        child = next(row for row in rows if row["pid"] != program.pid)
        check(child["parent"] == program.pid and child["end"] == "running", child)
        for get in lambda: server.json("/api/report"), lambda: live_report(program.pid):
            eventually(lambda: get()["overhead"]["watcher"]["sample"]["count"] > 0, "what samples cost")
        check(("heap_bytes", child["pid"]) in server.metrics(), "no metrics of the child")
        program.end()
        rows = eventually(lambda: ended(server), "ended, with profiles")
        check({row["end"] for row in rows} == {"exit"}, rows)
        report = reported(next(row["profile"] for row in rows if row["pid"] == child["pid"]))
        served = server.json(f"/api/report?pid={child['pid']}")
        lost = next(row["lost_bytes"] for row in rows if row["pid"] == child["pid"])
        check(lost == report["leaks"]["lost_bytes"] > 0, "lost", lost, report["leaks"])
        check(served["sites"] == report["sites"] and served["leaks"] == report["leaks"], "the child's report")
        check(server.metrics() == {}, "metrics of the dead")


def images():
    """A process that starts itself anew: both images are told apart, by their profiles of one name, too."""
    with Sandbox() as box, Still(box) as program, Server(program.pid) as server:
        program.process.stdin.write("x\n")
        program.process.stdin.flush()
        check(program.process.stdout.readline() == "still\n", "it did not start anew")
        rows = eventually(lambda: (r := server.json("/api/processes")["processes"]) and len(r) == 2 and
                          {row["pid"] for row in r} == {program.pid} and any(row["profile"] for row in r) and r, "two images")
        first = next(row for row in rows if row["profile"])
        check(first["end"] == "exec", rows)
        watcher = eventually(lambda: watcher_of(program), "its watcher")
        os.kill(watcher, signal.SIGSTOP) # there is no profile of the second yet
        try:
            program.process.kill()
            eventually(lambda: not running(server), "the end")
            time.sleep(0.5)
            rows = server.json("/api/processes")["processes"]
        finally:
            os.kill(watcher, signal.SIGCONT)
        check([row["profile"] for row in rows if row["end"] != "exec"] == [None], rows)
        rows = eventually(lambda: ended(server), "ended, with profiles")
        check({row["end"]: row["profile"] for row in rows} == {"exec": first["profile"],
                                                               "signal:9": first["profile"] + ".2"}, rows)


def running(server):
    return any(row["end"] == "running" for row in server.json("/api/processes")["processes"])


def two(server):
    rows = server.json("/api/processes")["processes"]
    return rows if len(rows) == 2 else None


def ended(server):
    rows = server.json("/api/processes")["processes"]
    return rows if all(row["end"] != "running" and row["profile"] for row in rows) else None


def profile():
    """Of a profile: the same figures, leaks by kind."""
    with Sandbox() as box:
        path = profile_of(box, STILL)
        report = reported(path)
        with Server(path) as server:
            pid = report["process"]["pid"]
            check(server.json("/api/report") == report, "the report")
            metrics = server.metrics()
            same_metrics(metrics, report, pid)
            for kind in ("lost", "indirect", "possible", "reachable", "suppressed"):
                for what in ("bytes", "objects"):
                    check(metrics[f"leaked_{what}", ("kind", kind), pid] == report["leaks"][f"{kind}_{what}"], kind, what)


def usage():
    with Sandbox() as box:
        check("'--port'" in complains(2, "serve", "--port", "1"), "option")
        check("needs a value" in complains(2, "serve", "--listen"), "value")
        check("'here' is no ADDR:PORT" in complains(2, "serve", "--listen", "here"), "address")
        check("all it takes" in complains(2, "serve", "1", "2"), "two")
        check("no-such" in complains(3, "serve", "no-such"), "file")
        check("no running process" in complains(3, "serve", "1"), "not profiled")
        token = box.path("token")
        with open(token, "w", encoding="utf-8") as file:
            file.write("short\n")
        check("a token is" in complains(2, "serve", env={"POOLPROF_TOKEN_FILE": token}), "token")
        with open(token, "w", encoding="utf-8") as file:
            file.write("0123456789abcdef\n")
        with Server(POOLPROF_TOKEN_FILE=token) as server:
            check(server.token == "0123456789abcdef", server.token)


if __name__ == "__main__":
    main({f.__name__: f for f in (routes, figures, ends, images, profile, usage)})

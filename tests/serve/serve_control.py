"""POST /api/ctl: the commands of `poolprof ctl`, by the watcher's own server and by `poolprof serve`."""
import json
import os
import signal
import subprocess
import time

from driver import PROGRAM, Sandbox, check, main
from serve_watch import served
from serving import Server, Still, eventually, watcher_of


def order(server, command, *args, token=None, status=200, **more):
    """What the reply says."""
    text = json.dumps({"command": command, "args": [*args], **more}, indent=1)
    found, headers, body = server.ask("/api/ctl", "POST", text, {"Authorization": f"Bearer {token or server.token}"})
    check(found == status, command, args, found, body)
    if status == 401:
        return None
    check(headers["Content-Type"] == "application/json", headers)
    return json.loads(body)


def commands(server, program):
    status = order(server, "status")
    check(status["ok"] and status["command"] == "status", status)
    value = order(server, "get", "MEM_WARN")["data"]
    check(value["name"] == "MEM_WARN" and value["value"] == 400 << 20, value)
    for wrong, code in ((("get", "NOTHING"), None), (("nothing",), "unknown_command"), (("set", "MEM_WARN", "much"), "bad_value")):
        reply = order(server, *wrong, status=400)
        check(not reply["ok"] and reply["error"]["code"] and code in (None, reply["error"]["code"]), wrong, reply)
    for body in (b"", b"{", b"[]", b"null", b'{"command": 5}', b"\xff\xfe", b'{"command": "status", "x": 1}'):
        found, _, text = server.ask("/api/ctl", "POST", body, server.bearer)
        check(found == 400 and not json.loads(text)["ok"], body, found, text)
    order(server, "get", "MEM_WARN", token="0" * 64, status=401)
    check(order(server, "set", "MEM_WARN", "1M")["ok"], "set")
    eventually(lambda: any(alert["rule"] == "mem_warn" and alert["state"] == "raised"
                           for alert in order(server, "alerts")["data"]["alerts"]), "the alert")
    check(server.metrics()["leaked_objects", ("kind", "lost"), program.pid] == 0, "nobody has looked")
    leaks = order(server, "leaks", pid=program.pid)
    check(leaks["ok"] and leaks["data"]["lost_objects"] > 0, leaks)
    shows_leaks(server, program, leaks["data"])


def shows_leaks(server, program, leaks):
    """The scan's figures are the metrics', the report's and the dashboard's."""
    def shown():
        return server.metrics()["leaked_bytes", ("kind", "lost"), program.pid] == leaks["lost_bytes"]
    eventually(shown, "leaks in metrics")
    metrics = server.metrics()
    for kind in ("lost", "indirect", "possible", "reachable", "suppressed"):
        for what in ("bytes", "objects"):
            check(metrics[f"leaked_{what}", ("kind", kind), program.pid] == leaks[f"{kind}_{what}"], kind, what)
    for path in ("/api/report", "/api/pools"):
        scan = eventually(lambda path=path: server.json(path).get("last_scan"), "last_scan of " + path)
        check(all(scan[key] == leaks[key] for key in scan if key != "t_s"), path, scan)
    rows = {row["pid"]: row for row in server.json("/api/processes")["processes"]}
    check(rows[program.pid]["lost_bytes"] == leaks["lost_bytes"], rows)


def watcher():
    with Sandbox() as box, Still(box, SERVE="127.0.0.1:0", LOG_LEVEL="info") as program:
        server = served(program)
        commands(server, program)
        key = ("alert_active", ("rule", "mem_warn"), ("level", "warn"), program.pid)
        eventually(lambda: server.metrics()[key] == 1, "the alert in metrics")


def passed_on():
    with Sandbox() as box, Still(box) as program, Server(program.pid) as server:
        commands(server, program)
        # Alerts are the watcher's, also where another program serves.
        key = ("alert_active", ("rule", "mem_warn"), ("level", "warn"), program.pid)
        eventually(lambda: server.metrics()[key] == 1, "the alert in metrics")
        rows, told = server.json("/api/alerts")["alerts"], order(server, "alerts")["data"]["alerts"]
        check(rows and all(row in told for row in rows), rows, told)


def past():
    """What the watcher has seen before the server was there."""
    with Sandbox() as box, Still(box, SAMPLE_MIN="50ms", SAMPLE_MAX="50ms", MEM_WARN="1M") as program:
        ctl = [PROGRAM, "ctl", str(program.pid), "history"]

        def seen():
            done = subprocess.run(ctl, stdout=subprocess.PIPE, check=False)
            return json.loads(done.stdout)["data"] if done.returncode == 0 else {"samples": [], "alerts": []}
        eventually(lambda: len(seen()["samples"]) >= 10 and seen()["alerts"], "samples and an alert")
        before = seen()
        with Server(program.pid) as server:
            eventually(lambda: len(server.json("/api/samples")["samples"]) > len(before["samples"]), "samples")
            samples = server.json("/api/samples")["samples"]
            check(samples[:10] == before["samples"][:10], samples[:10], before["samples"][:10])
            times = [sample["t_s"] for sample in samples]
            check(times == sorted(set(times)), times)
            eventually(lambda: before["alerts"][0] in server.json("/api/alerts")["alerts"], "the alert")
        report = json.loads(subprocess.run([PROGRAM, "report", str(program.pid), "--format", "json"],
                                           stdout=subprocess.PIPE, check=True).stdout)
        check(report["samples"][:10] == before["samples"][:10], "samples in the report of the running process")
        check(before["alerts"][0] in report["alerts"], report["alerts"])


def hung():
    """A watcher that does not answer keeps nothing waiting."""
    with Sandbox() as box, Still(box) as program:
        with Server(program.pid) as server:
            watcher = eventually(lambda: watcher_of(program), "its watcher")
            os.kill(watcher, signal.SIGSTOP)
            try:
                time.sleep(1.5)
                check(("heap_bytes", program.pid) in server.metrics(), "metrics")
                check(server.ask("/api/report")[0] == 200, "report")
            finally:
                server.process.terminate()
                ended = server.process.wait(20)
                os.kill(watcher, signal.SIGCONT)
            check(ended == 0, "status", ended)


def which():
    """Of several processes, the one that is named."""
    with Sandbox() as box, Still(box, "child") as program, Server() as server:
        check(order(server, "status", status=400)["error"]["code"] == "no_process", "none is named")
        check(order(server, "status", pid=1, status=400)["error"]["code"] == "no_watcher", "init")
        rows = eventually(lambda: [r for r in server.json("/api/processes")["processes"] if r["parent"] == program.pid], "child")
        for pid in (program.pid, rows[0]["pid"]):
            check(order(server, "get", "DEPTH", pid=pid)["data"]["value"] == 128, pid)


if __name__ == "__main__":
    main({f.__name__: f for f in (watcher, passed_on, past, hung, which)})

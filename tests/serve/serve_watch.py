"""POOLPROF_SERVE: the watcher serves what it watches, as long as it does."""
import json
import os
import threading
import urllib.request
import time

from driver import Sandbox, check, main
from serve_pages import live_report, same_metrics
from serving import Server, Still, eventually


def served(program):
    """The server whose line is the next on the program's standard error."""
    line = program.process.stderr.readline()
    check(line.startswith(f"poolprof[{program.pid}]: listening on http://"), repr(line))
    return Server(line=line)


def tree():
    """A tree: figures, ends with profiles; the server goes with the last process."""
    with Sandbox() as box, Still(box, "child", SERVE="127.0.0.1:0", LOG_LEVEL="info") as program:
        server = served(program)
        rows = eventually(lambda: (r := server.json("/api/processes")["processes"]) and len(r) == 2 and r, "two processes")
        child = next(row for row in rows if row["pid"] != program.pid)
        check(child["parent"] == program.pid, rows)
        report = live_report(program.pid)
        metrics = {key: value for key, value in server.metrics().items() if key[-1] == program.pid}
        same_metrics(metrics, report, program.pid)
        os.kill(child["pid"], 9)
        rows = eventually(lambda: (r := server.json("/api/processes")["processes"]) and r[1]["profile"] and r, "the end")
        check(rows[1]["end"] == "signal:9", rows)
        check(server.json(f"/api/report?pid={child['pid']}")["process"]["end"] == "signal:9", "its report")
        check(server.json(f"/api/pools?pid={child['pid']}")["pools"], "its pools")
        check(server.json("/api/report")["overhead"]["watcher"]["sample"]["count"] > 0, "costs")
        program.end()
        check(program.process.returncode == 0, "status", program.process.returncode)
        eventually(lambda: refused(server), "the server is still there")


def refused(server):
    try:
        server.ask("/healthz")
    except ConnectionRefusedError:
        return True
    except OSError:
        pass
    return False


def alerts():
    """What the watcher warns of is in metrics, in JSON and in the stream, as in POOLPROF_EVENTS."""
    with Sandbox() as box, Still(box, SERVE="127.0.0.1:0", LOG_LEVEL="info", MEM_WARN="1M", SAMPLE_MIN="0.3s",
                                 SAMPLE_MAX="0.3s", ALERT_BACKOFF_MIN="0.2s", EVENTS=box.path("events")) as program:
        server = served(program)
        heard = []
        thread = threading.Thread(target=lambda: listen(server, heard), daemon=True)
        thread.start()
        key = ("alert_active", ("rule", "mem_warn"), ("level", "warn"), program.pid)
        eventually(lambda: server.metrics()[key] == 1, "an alert")
        critical = ("alert_active", ("rule", "mem_critical"), ("level", "critical"), program.pid)
        check(server.metrics()[critical] == 0, "critical")
        rows = server.json("/api/alerts")["alerts"]
        check(rows[0]["rule"] == "mem_warn" and rows[0]["state"] == "raised", rows)
        eventually(lambda: {e["type"] for e in heard} >= {"alert", "sample"}, "events", heard)
        program.end()
        thread.join(10)
        with open(box.path("events"), encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        mine = [event for event in heard if event["type"] in ("alert", "sample")]
        check(mine and all(event in lines for event in mine), "events differ", mine, lines)
        check(any(e["type"] == "process" and not e["running"] for e in heard), "no end in the stream", heard[-3:])


def listen(server, heard):
    with urllib.request.urlopen(f"http://{server.name}/api/events", timeout=60) as stream:
        for line in stream:
            if line.startswith(b"data: "):
                heard.append(json.loads(line[6:]))


def trouble():
    """A port in use, a bad address, a bad token file: one line, and the program runs on."""
    with Sandbox() as box, Still(box, SERVE="127.0.0.1:0", LOG_LEVEL="info") as first:
        server = served(first)
        for option, value, words in (("SERVE", server.name, "Address already in use; nothing is served"),
                                     ("SERVE", "nowhere", "'nowhere' is no ADDR:PORT"),
                                     ("TOKEN_FILE", "/nowhere/token", "/nowhere/token: No such file")):
            with Still(box, **{"SERVE": "127.0.0.1:0", option: value}) as program:
                line = program.process.stderr.readline()
                check(line.startswith(f"poolprof[{program.pid}]: warn serve: ") and words in line, line)
                program.end()
                check(program.process.returncode == 0, "status")
        token = box.path("token")
        with open(token, "w", encoding="utf-8") as file:
            file.write("a-token-of-my-own\n")
        for name in token, "token": # the latter in the program's directory
            with Still(box, SERVE="127.0.0.1:0", TOKEN_FILE=name, LOG_LEVEL="info") as program:
                check(served(program).token == "a-token-of-my-own", name)


if __name__ == "__main__":
    main({f.__name__: f for f in (tree, alerts, trouble)})

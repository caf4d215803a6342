"""Metrics as Prometheus sees them: promtool finds no fault, a real server scrapes them and its alerts fire; the
files of examples/ are right."""
import json
import os
import re
import shutil
import socket
import subprocess
import urllib.parse
import urllib.request

from common import GAME, profile_of, skip
from driver import SOURCE, Sandbox, check, main
from serve_pages import NAMES, live_report
from serve_watch import served
from serving import Server, Still, eventually

EXAMPLES = os.path.join(SOURCE, "examples")


def promtool(*arguments, text=None):
    if shutil.which("promtool") is None:
        skip("prometheus is not installed")
    done = subprocess.run(["promtool", *arguments], input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    check(done.returncode == 0, "promtool", *arguments, done.stdout)
    return done.stdout


def clean():
    """Of running processes, one after the other and all at once, and of a profile."""
    with Sandbox() as box, Still(box, "child") as program, Server() as server:
        for one in (server,):
            text = eventually(lambda: (t := one.ask("/metrics")[2].decode()) and f'pid="{program.pid}"' in t and t, "metrics")
            check(promtool("check", "metrics", text=text) == "", "promtool says", promtool("check", "metrics", text=text))
        program.end()
        with Server(profile_of(box, GAME, "--frames", "50", "--leak", "all")) as of_profile:
            text = of_profile.ask("/metrics")[2].decode()
            check(promtool("check", "metrics", text=text) == "", "promtool says", text)


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Prometheus:
    def __init__(self, box, target, token_file=None):
        if shutil.which("prometheus") is None:
            skip("prometheus is not installed")
        self.port = free_port()
        config = box.path("prometheus.yml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"global: {{scrape_interval: 500ms, evaluation_interval: 500ms}}\n"
                       f"rule_files: [{EXAMPLES}/prometheus/alerts.yml]\n"
                       f"scrape_configs:\n- job_name: poolprof\n  static_configs: [{{targets: ['{target}']}}]\n")
            if token_file:
                file.write(f"  authorization: {{credentials_file: {token_file}}}\n")
        self.process = subprocess.Popen(["prometheus", f"--config.file={config}", f"--storage.tsdb.path={box.path('tsdb')}",
                                         f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=error"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                return json.load(answer)["data"]
        except OSError:
            return None

    def query(self, text):
        found = self.get("/api/v1/query?query=" + urllib.parse.quote(text))
        return found["result"] if found else []

    def value(self, text):
        found = self.query(text)
        return float(found[0]["value"][1]) if found else None

    def fired(self, name):
        alerts = (self.get("/api/v1/alerts") or {"alerts": []})["alerts"]
        return [a for a in alerts if a["state"] == "firing" and a["labels"]["alertname"] == name]


def scraped():
    """From the watcher, by an address that needs the token: figures are the report's, rules of the example fire."""
    with Sandbox() as box:
        token = box.path("token")
        with open(token, "w", encoding="utf-8") as file:
            file.write("a-token-of-my-own")
        with Still(box, SERVE="0.0.0.0:0", TOKEN_FILE=token, LOG_LEVEL="info", MEM_WARN="1M", SAMPLE_MIN="0.3s") as program:
            server = served(program)
            with Prometheus(box, f"127.0.0.1:{server.port}", token) as prometheus:
                pid = program.pid
                heap = lambda: prometheus.value(f'poolprof_heap_bytes{{pid="{pid}"}}')
                eventually(lambda: heap() is not None, "a scrape", seconds=60)
                report = live_report(pid)
                for name, key in (("heap_bytes", "outstanding_bytes"), ("heap_objects", "outstanding_objects"),
                                  ("allocations_total", "allocations"), ("frees_total", "frees"), ("peak_bytes", "peak_bytes")):
                    value = prometheus.value(f'poolprof_{name}{{pid="{pid}"}}')
                    check(value == report["totals"][key], name, value, report["totals"][key])
                value = prometheus.value(f'sum by (pid) (poolprof_site_bytes{{pid="{pid}"}})')
                check(value == sum(site["bytes"] for site in report["sites"]), "sites", value)
                alert = eventually(lambda: prometheus.fired("PoolprofAlert"), "an alert that fires", seconds=60)[0]
                check(alert["labels"]["rule"] == "mem_warn" and alert["labels"]["severity"] == "warn", alert)
                program.end()
                eventually(lambda: heap() is None, "the end", seconds=60)


def grafana():
    """The dashboard's file, as Grafana wants it: each panel with what it needs, in a grid of 24 columns, none on another."""
    with open(os.path.join(EXAMPLES, "prometheus/grafana-dashboard.json"), encoding="utf-8") as file:
        found = json.load(file)
    check(found["schemaVersion"] >= 36 and found["uid"] and found["title"], found["schemaVersion"])
    names = {variable["name"] for variable in found["templating"]["list"]}
    taken = set()
    for panel in found["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        check(max(x for x, _ in cells) < 24 and not cells & taken, "place of", panel["title"], place)
        taken |= cells
        check(panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"], panel["datasource"])
        letters = [target["refId"] for target in panel["targets"]]
        check(letters and len(set(letters)) == len(letters), panel["title"], letters)
        used = set(re.findall(r"\$(?!__)(\w+)", " ".join(target["expr"] for target in panel["targets"])))
        check(used <= names, panel["title"], "unknown variables", used - names)
    check(len({panel["id"] for panel in found["panels"]}) == len(found["panels"]), "two panels of one id")
    return found


def dashboard():
    """Each query of Grafana's dashboard is answered by a real server, with the labels that its legend shows; so are the
    queries behind its variables. The rule for leaks fires after a scan."""
    with Sandbox() as box, Still(box, MEM_WARN="1M", SAMPLE_MIN="0.3s") as program, Server(program.pid) as server:
        leaks = json.dumps({"command": "leaks"})
        status, _, body = server.ask("/api/ctl", "POST", leaks, server.bearer)
        check(status == 200, "leaks", status, body)
        with Prometheus(box, f"127.0.0.1:{server.port}") as prometheus:
            file = grafana()
            eventually(lambda: prometheus.query("rate(poolprof_frees_total[5s])"), "two scrapes", seconds=60)
            eventually(lambda: prometheus.query("poolprof_alert_active == 1"), "the alert", seconds=60)
            for panel in file["panels"]:
                for target in panel["targets"]:
                    text = target["expr"].replace("$__rate_interval", "5s").replace("$exe", ".*").replace("$pid", ".*")
                    found = eventually(lambda text=text: prometheus.query(text), text, seconds=20)
                    shown = set(re.findall(r"\{\{(\w+)\}\}", target.get("legendFormat", "")))
                    check(all(shown <= set(row["metric"]) for row in found), panel["title"], shown, found[0]["metric"])
            for variable in file["templating"]["list"]:
                match = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"])
                if match:
                    series = urllib.parse.quote(match[1].replace("$exe", ".*"))
                    values = prometheus.get(f"/api/v1/label/{match[2]}/values?match[]={series}")
                    check(values, variable["query"], values)
            eventually(lambda: prometheus.fired("PoolprofLeak"), "the rule for leaks", seconds=60)


def examples():
    """Rules, configuration, Grafana's dashboard and the service's unit."""
    promtool("check", "config", os.path.join(EXAMPLES, "prometheus/prometheus.yml"))
    promtool("check", "rules", os.path.join(EXAMPLES, "prometheus/alerts.yml"))
    dashboard = grafana()
    with open(os.path.join(EXAMPLES, "prometheus/alerts.yml"), encoding="utf-8") as file:
        used = set(re.findall(r"poolprof_(\w+)", file.read()))
    with Sandbox() as box:
        rules = box.path("rules.yml")
        expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
        with open(rules, "w", encoding="utf-8") as file:
            file.write("groups:\n- name: x\n  rules:\n")
            for number, text in enumerate(expressions):
                used |= set(re.findall(r"poolprof_(\w+)", text))
                file.write(f"  - record: r:{number}\n    expr: {json.dumps(text.replace('$__rate_interval', '1m'))}\n")
        promtool("check", "rules", rules)
    check(used - {"alert"} <= set(NAMES), "no metrics:", used - set(NAMES))
    unit()


def unit():
    if shutil.which("systemd-analyze") is None:
        return
    with Sandbox() as box:
        path = box.path("server.service")
        with open(os.path.join(EXAMPLES, "systemd/server.service"), encoding="utf-8") as file:
            text = file.read()
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace("/usr/local/bin/server", "/bin/true"))
        done = subprocess.run(["systemd-analyze", "verify", path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        wrong = [line for line in done.stdout.splitlines() if "server.service" in line]
        check(not wrong, *wrong)


if __name__ == "__main__":
    main({f.__name__: f for f in (clean, scraped, dashboard, examples)})

"""The dashboard in a headless Chromium: its figures are the server's, it stays smooth, names stay text."""
import json
import os
import shutil
import sqlite3
import subprocess

from browser import Browser
from common import GAME, profile_of, skip
from driver import PROGRAM, Sandbox, check, main
from serve_watch import served
from serving import STILL, Server, Still, eventually


def need_page():
    if os.path.getsize(os.path.join(os.path.dirname(PROGRAM), "../report/dashboard.html")) == 0:
        skip("built without npm: there is no page")


def browser(server, **options):
    if shutil.which("chromium") is None:
        skip("chromium is not installed")
    need_page()
    return Browser(origin=f"http://{server.name}", **options)


def card(page, title):
    return page.run(f"""[...document.querySelectorAll('.card')].find((card) =>
        card.querySelector('dt').textContent === {json.dumps(title)})?.querySelector('b').textContent""")


def sites(page):
    """[[bytes, objects], ...] of the rows that are drawn."""
    return page.run("""(() => {
        const titles = [...document.querySelectorAll('.virtual th')].map((head) => head.textContent);
        return [...document.querySelectorAll('.virtual tr.unfolds')].map((row) =>
            ['bytes', 'objects'].map((title) => Number(row.cells[titles.indexOf(title)].dataset.value)));
    })()""")


def live():
    """A process and its child: figures, the choice between them, an end; the token does not stay in the address."""
    with Sandbox() as box, Still(box, "child", SAMPLE_MIN="1s") as program, Server(program.pid) as server:
        with browser(server) as page:
            eventually(lambda: len(server.json("/api/processes")["processes"]) == 2, "two processes")
            page.open(f"/?pid={program.pid}#token={server.token}")
            eventually(lambda: sites(page), "sites")
            report = server.json(f"/api/report?pid={program.pid}")
            check(page.run("location.hash + location.search") == f"?pid={program.pid}", page.run("location.href"))
            check(sites(page) == [[s["bytes"], s["objects"]] for s in report["sites"]], sites(page))
            check(f"{report['totals']['outstanding_objects']:,} objects" in page.run("document.querySelector('h1').textContent"),
                  page.run("document.querySelector('h1').textContent"))
            check(card(page, "allocations") == f"{report['totals']['allocations']:,}", card(page, "allocations"))
            check(card(page, "runs for"), "runs")
            check("<script>alert(1)</script>" in page.run("document.getElementById('pools').textContent"), "pool's name")
            check(page.run("document.querySelectorAll('script').length") == 1, "scripts")
            check("level" in page.run("document.getElementById('tags').textContent"), "tag")
            points = "document.querySelector('.u-over') && 1"
            eventually(lambda: page.run(points), "a chart")
            keyboard(page, program)
            commands(page)
            program.end()
            eventually(lambda: card(page, "ran for"), "the end", seconds=40)
            text = page.run("document.getElementById('processes').textContent")
            check("exit, status 0" in text, text)
            check(page.problems() == [] or all("404" in p for p in page.problems()), page.problems())


def keyboard(page, program):
    """p goes to the processes, Enter chooses, / filters, arrows move, Enter unfolds."""
    page.press("p")
    check(page.run("document.activeElement.closest('#processes') !== null"), "p")
    page.run("[...document.querySelectorAll('#processes tbody tr')].find((row) => "
             f"row.cells[1].textContent !== '{program.pid}').focus()")
    page.press("Enter")
    eventually(lambda: page.run("location.search") != f"?pid={program.pid}", "another process")
    page.run(f"[...document.querySelectorAll('#processes tbody tr')].find((row) => row.cells[1].textContent === '{program.pid}').click()")
    eventually(lambda: page.run("location.search") == f"?pid={program.pid}", "back")
    eventually(lambda: len(sites(page)) > 1, "its sites")
    page.press("Escape")
    page.run("document.activeElement.blur()")
    page.press("/")
    check(page.run("document.activeElement.id") == "filter", "/")
    page.run("(() => { const f = document.getElementById('filter'); f.value = 'make_tagged'; f.dispatchEvent(new Event('input')); })()")
    check(len(sites(page)) == 1, "filter", sites(page))
    page.run("(() => { const f = document.getElementById('filter'); f.value = ''; f.dispatchEvent(new Event('input')); })()")
    page.run("document.querySelector('.virtual tr.unfolds').focus()")
    page.press("ArrowDown")
    page.press("Enter")
    check(page.run("document.querySelectorAll('.panel .stack li').length") > 2, "no stack")


def commands(page):
    """c goes to the commands; what is typed there and Enter, or a button, is carried out."""
    page.run("document.activeElement.blur()")
    page.press("c")
    check(page.run("document.activeElement.id") == "command", "c")
    page.run("document.getElementById('command').value = 'get DEPTH'")
    page.press("Enter", "\r")
    reply = "document.querySelector('.reply').textContent"
    eventually(lambda: '"value": 128' in page.run(reply), "a reply", page.run(reply))
    page.run("[...document.querySelectorAll('#control button')].find((b) => b.textContent === 'health').click()")
    eventually(lambda: '"command": "health"' in page.run(reply), "health", page.run(reply))


def growing():
    """A site that grows says so, whoever serves; in the report of the running process, too."""
    with Sandbox() as box, Still(box, "grow", SERVE="127.0.0.1:0", LOG_LEVEL="info", SAMPLE_MIN="100ms",
                                 SAMPLE_MAX="200ms") as program, Server(program.pid) as other:
        for server in (served(program), other):
            found = eventually(lambda server=server: [s for s in server.json("/api/report")["sites"] if s["growth"]], "growth")
            check([s["stack"][1]["function"] for s in found] == ["grow"], found)
            rate = found[0]["growth"]["bytes_per_s"]
            check(0 < rate < 250000, rate)
        with browser(other) as page:
            page.open("/")
            eventually(lambda: "growth" in page.run("document.getElementById('sites').textContent"), "the column")
            check("/min" in page.run("document.getElementById('sites').textContent"), "the rate")


# How long each of 60 steps takes, ms, least first.
SCROLL = """(async () => {
    const table = document.querySelector('.virtual'), took = [];
    table.scrollTop = START;
    await new Promise((resolve) => setTimeout(resolve, 100));
    for (let i = 0; i < 60; i++) {
        const start = performance.now();
        table.scrollTop += STEP;
        table.dispatchEvent(new Event('scroll'));
        table.getBoundingClientRect();
        took.push(performance.now() - start);
        await new Promise((resolve) => setTimeout(resolve));
    }
    return took.sort((a, b) => a - b);
})()"""


def smooth():
    """100,000 sites: few elements, and each step of scrolling is drawn in a few milliseconds."""
    with Sandbox() as box:
        path = profile_of(box, GAME, "--frames", "10", LEAK_CHECK="off")
        many(path, 100000)
        with Server(path) as server, browser(server) as page:
            page.open("/")
            eventually(lambda: sites(page), "sites", seconds=60)
            check("100,000 sites" in page.run("document.getElementById('sites').textContent"), "sites")
            check(page.run("document.querySelectorAll('*').length") < 5000, "too many elements")
            for what, start, step in (("a jump", "0", "table.scrollHeight / 60"), ("a notch of the wheel", "100000", "53")):
                for _ in range(5): # the machine may have been busy with something else
                    took = page.run(SCROLL.replace("START", start).replace("STEP", step))
                    print(f"{what}: {took[30]:.1f} ms in the middle, {took[-1]:.1f} at most")
                    if took[30] < 100:
                        break
                check(took[30] < 100, "slow:", what, took)
            check(page.run("""(() => {
                const table = document.querySelector('.virtual');
                table.scrollIntoView({block: 'center'});
                const box = table.getBoundingClientRect();
                return [0.3, 0.5, 0.9].every((part) => document.elementFromPoint(box.left + 60, box.top + box.height * part)
                    .closest('tr.unfolds'));
            })()"""), "rows are missing after small steps")
            page.run("document.querySelector('.virtual tr.unfolds').focus()")
            page.press("End")
            check(page.run("Number(document.activeElement.getAttribute('aria-rowindex'))") == 100001, "End")
            check(page.run("document.querySelectorAll('*').length") < 5000, "too many elements")


def many(path, count):
    """Makes `count` sites of the profile's frames."""
    with sqlite3.connect(path) as database:
        for table in ("sites", "ages", "peak_sites", "pins", "worst_frames", "frame_sites"):
            database.execute(f"DELETE FROM {table}")
        stacks, = database.execute("SELECT count(*) FROM stacks").fetchone()
        frames, = database.execute("SELECT count(*) FROM frames").fetchone()
        database.executemany("INSERT INTO stacks VALUES(?, ?, ?)",
                             ((stacks + i, 1 + i * 7 % stacks, 1 + i % frames) for i in range(1, count + 1)))
        database.execute("INSERT INTO sites(id, kind, stack, objects, bytes, thread) SELECT id - ?, 'outstanding', id, "
                         "1, id % 977 + 1, 't' FROM stacks WHERE id > ?", (stacks, stacks))
    database.close()


def outside():
    """Of another address: the page alone is shown without the token, as a refusal; then it knows the token."""
    need_page()
    with Sandbox() as box, Still(box) as program, Server(program.pid, "--listen", "0.0.0.0:0") as server:
        status, headers, body = server.ask("/")
        check(status == 401 and headers["WWW-Authenticate"] == "Bearer" and b"<script>" in body, status, headers)
        check(str(program.pid).encode() not in body, "data without a token")
        for path in ("/healthz", "/metrics", "/api/report", "/nothing"):
            check(server.ask(path)[0] == 401, path)
            check(server.ask(path, headers=server.bearer)[0] == (404 if path == "/nothing" else 200), path)
        server.name = f"127.0.0.1:{server.port}"
        with browser(server, dark=True) as page:
            page.open("/")
            eventually(lambda: "token" in page.run("document.querySelector('.state').textContent"), "refusal is told")
            page.open(f"/?again#token={server.token}")
            eventually(lambda: sites(page), "sites")
            check(page.run("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 26)", "not dark")
        policy = headers["Content-Security-Policy"]
        check("default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy, policy)


if __name__ == "__main__":
    main({f.__name__: f for f in (live, growing, smooth, outside)})

"""The HTML report in a headless Chromium without a network: its figures are the JSON report's, whatever the
names are, and what is to be clicked and pressed does what it says."""
import json
import math
import os
import re
import shutil
import sqlite3
import subprocess
import time

from browser import Browser
from common import GAME, check, complains, label, leaky, made, poolprof, profile_of, reported, skip
from driver import LIBRARY, PROGRAM, SOURCE, Sandbox, main

SEEN = 0.0008  # of the graph's width, flame.js

# What a table shows, all of its rows: [[index, {title: figure}], ...].
ROWS = """(() => {
    const table = document.querySelector('#sites table'), titles = [...table.tHead.rows[0].cells].map((c) => c.textContent);
    for (const box of document.querySelectorAll('#sites fieldset input')) if (!box.checked) box.click();
    for (const more = document.querySelector('#sites .more'); !more.hidden;) more.click();
    return [...table.tBodies[0].rows].filter((row) => row.dataset.index).map((row) => [Number(row.dataset.index),
        Object.fromEntries([...row.cells].map((cell, i) => [titles[i], cell.dataset.value ?? cell.textContent]))]);
})()"""

# The flame graph's boxes: [[names from the root on, value], ...].
BOXES = """[...document.querySelectorAll('.flame .box')].map(({box}) => {
    const names = [];
    for (let at = box; at.parent; at = at.parent) names.unshift(at.name);
    return [names, box.value];
})"""


def browser(**options):
    if shutil.which("chromium") is None:
        skip("chromium is not installed")
    if os.path.getsize(os.path.join(os.path.dirname(PROGRAM), "../report/report.html")) == 0:
        skip("built without npm: there is no page")
    return Browser(**options)


def page_of(box, profile, *more, command="report"):
    path = box.path("page.html")
    arguments = (profile,) if isinstance(profile, str) else profile
    poolprof(command, *arguments, "--format", "html", "-o", path, *more)
    return path


def opened(page, path):
    page.open(path)
    check(page.problems() == [], path, page.problems())


# --- figures ---

def same(shown, figure):
    """A browser's numbers are exact up to 2**53; random models have larger ones."""
    return shown == figure or figure > 2**53 and math.isclose(shown, figure, rel_tol=1e-9)


def same_sites(page, report):
    rows = dict(page.run(ROWS)) if report["sites"] else {}
    check(sorted(rows) == list(range(len(report["sites"]))), "rows", sorted(rows), len(report["sites"]))
    for index, site in enumerate(report["sites"]):
        row = rows[index]
        for title, key in (("bytes", "bytes"), ("objects", "objects"), ("oldest", "oldest_s"),
                           ("newest", "newest_s"), ("allocations", "allocations")):
            check(same(float(row[title]), site[key]), title, row, site)
        check(row["kind"] == site["kind"] and row.get("tag", "") == (site["tag"] or ""), row, site)


def expected_boxes(weights, inverted):
    """{names from the root on: value}, of stacks with their weights."""
    sums = {(): sum(value for _, value in weights)}
    for stack, value in weights:
        names = [label_of(frame) for frame in (stack if inverted else reversed(stack))]
        for depth in range(1, len(names) + 1):
            key = tuple(names[:depth])
            sums[key] = sums.get(key, 0) + value
    return sums


def label_of(frame):
    return frame["function"] or f"{frame['module'] if frame['module'] is not None else '?'}+{frame['address']}"


def same_flame(page, weights, inverted):
    weights = [(stack, value) for stack, value in weights if value > 0]
    expected = expected_boxes(weights, inverted)
    shown = {tuple(names): value for names, value in page.run(BOXES)}
    for names, value in shown.items():
        check(same(value, expected.get(names, -1)), "box", names, value, "expected", expected.get(names))
    for names, value in expected.items():
        check(names in shown or value < 1.01 * SEEN * expected[()], "no box", names, value)


def choose(page, element, value):
    page.run(f"""(() => {{ const e = document.getElementById({json.dumps(element)});
        if (e.type === 'checkbox') e.checked = {json.dumps(value)}; else e.value = {json.dumps(value)};
        e.dispatchEvent(new Event(e.type === 'search' ? 'input' : 'change')); }})()""")


def same_flames(page, report):
    sites = report["sites"]
    lost = [site for site in sites if site["kind"] in ("lost", "indirect")]
    for inverted in (False, True):
        choose(page, "inverted", inverted)
        for metric, key in (("bytes", "bytes"), ("objects", "objects"), ("allocations", "allocations"),
                            ("allocated", "bytes_allocated")):
            choose(page, "metric", metric)
            same_flame(page, [(site["stack"], site[key]) for site in sites], inverted)
        if report["leaks"]["scan"] == "done":
            choose(page, "lost-only", True)
            same_flame(page, [(site["stack"], site["bytes_allocated"]) for site in lost], inverted)
            choose(page, "lost-only", False)
        if report["peak"]["sites"]:
            choose(page, "metric", "peak")
            same_flame(page, [(site["stack"], site["bytes"]) for site in report["peak"]["sites"]], inverted)


def figures():
    """Of all scenarios, random models and a real program."""
    with Sandbox() as box, browser() as page:
        profiles = [profile_of(box, GAME, "--frames", "100", "--leak", "all"), *made(box)]
        for profile in profiles:
            report = reported(profile)
            opened(page, page_of(box, profile))
            same_sites(page, report)
            if report["sites"]:
                same_flames(page, report)
            text = page.run("document.body.textContent")
            for amount in (report["totals"]["allocations"], report["totals"]["outstanding_objects"]):
                check(f"{amount:,}" in text, profile, "does not show", amount)
            for spot in report["blind_spots"]:
                check(f"({spot['count']:,})" in page.run("document.getElementById('blind').textContent"), spot)


def left_out():
    """What --top leaves out is told."""
    with Sandbox() as box, browser() as page:
        profile = profile_of(box, GAME, "--frames", "100", "--leak", "all")
        opened(page, page_of(box, profile, "--top", "3"))
        sites = reported(profile)["sites"]
        check(len(page.run(ROWS)) == 3, "rows")
        check(f"{len(sites) - 3} sites more" in page.run("document.getElementById('sites').textContent"), "not told")


# --- by hand ---

def clicks():
    """Sorting, filters, unfolding, zoom, search and the keys."""
    with Sandbox() as box, browser() as page:
        profile = profile_of(box, GAME, "--frames", "100", "--leak", "all")
        report = reported(profile)
        opened(page, page_of(box, profile))
        shown = "[...document.querySelectorAll('#sites tr.unfolds')].map((row) => Number(row.dataset.index))"
        kept = [i for i, site in enumerate(report["sites"]) if site["kind"] != "suppressed"]
        check(page.run(shown) == kept, "order of the report:", page.run(shown))
        page.run("[...document.querySelectorAll('#sites th button')].find((b) => b.textContent === 'objects').click()")
        check(page.run(shown) == sorted(kept, key=lambda i: (-report["sites"][i]["objects"], i)), "by objects")
        page.press("/")
        check(page.run("document.activeElement.id") == "filter", "the slash")
        choose(page, "filter", "add_item BASE.C:41")
        want = [i for i in kept if any("add_item" in label(f) for f in report["sites"][i]["stack"]) and
                any(str(f["file"]).endswith("base.c") and f["line"] == 41 for f in report["sites"][i]["stack"])]
        check(want and sorted(page.run(shown)) == want, "filter:", page.run(shown), want)
        choose(page, "filter", "")
        unfolding(page, report)
        held(page, report)
        zooming(page, report)
        check(page.problems() == [], page.problems())


def unfolding(page, report):
    page.run("document.querySelector('#sites tr.unfolds').focus()")
    page.press("ArrowDown")
    page.press("ArrowDown")
    page.press("ArrowUp")
    index = page.run("Number(document.activeElement.dataset.index)")
    check(index == page.run("Number(document.querySelectorAll('#sites tr.unfolds')[1].dataset.index)"), "arrows", index)
    page.press("Enter")
    stack = page.run("[...document.querySelectorAll('#sites tr.detail li')].map((line) => line.textContent)")
    frames = report["sites"][index]["stack"]
    check(len(stack) == len(frames), stack, frames)
    for line, frame in zip(stack, frames):
        check(line.startswith(label(frame)) and (not frame["file"] or f"{frame['file']}:{frame['line']}" in line) and
              ("inlined" in line[len(label(frame)):][:7]) == frame["inlined"], line, frame)
    page.press("Enter")
    check(page.run("document.querySelector('#sites tr.detail')") is None, "still unfolded")


def held(page, report):
    """Each site says who holds it; roots and classes are there."""
    for index, site in enumerate(report["sites"]):
        if site["kind"] == "suppressed":
            continue
        row = f"document.querySelector('#sites tr.unfolds[data-index=\"{index}\"]')"
        page.run(f"{row}.click()")
        text = page.run("document.querySelector('#sites tr.detail .held').textContent")
        root, *steps = site["held_by"]
        want = {"lost": "Lost with" if steps else "Nothing points to it", "global": f"Held by the global {root['name']}",
                "stack": "Held by the stack of thread"}[root["kind"]]
        check(text.startswith(want), text, site["held_by"])
        for step in steps:
            check(f"#{step['site']} " in text, step, text)
        page.run(f"{row}.click()")
    roots = page.run("document.getElementById('roots').textContent")
    for root in report["roots"]:
        check(root["kind"] != "global" or root["name"] in roots, root, roots)


def classes():
    """Of a C++ program."""
    with Sandbox() as box, browser() as page:
        profile = profile_of(box, os.path.join(os.path.dirname(PROGRAM), "../tests/leaks/programs/classes"))
        report = reported(profile)
        opened(page, page_of(box, profile))
        text = page.run("document.getElementById('classes').textContent")
        for row in report["classes"][:20]:
            check(row["name"] in text, row, text)
        check("shop::book" in page.run("document.getElementById('sites').textContent"), "no type")


def zooming(page, report):
    whole = sum(site["bytes"] for site in report["sites"])
    inside = sum(site["bytes"] for site in report["sites"] if any(label(f) == "play" for f in site["stack"]))
    page.run("[...document.querySelectorAll('.flame .box')].find((b) => b.box.name === 'play').click()")
    zoomed = page.run("(() => { const b = document.querySelector('.zoomed'); return [b.box.value, b.style.width]; })()")
    check(zoomed == [inside, "100%"], zoomed, inside)
    page.run("document.querySelector('.zoomed').focus()")
    for _ in range(8):
        page.press("Escape")
    check(page.run("document.querySelector('.zoomed').box.value") == whole, "Escape")
    choose(page, "flame-search", "PLAY")
    check(page.run("document.querySelectorAll('.flame .hit').length") > 0, "no hit")
    told = page.run("document.getElementById('flame-told').textContent")
    check(f"{round(100 * inside / whole)} %" in told, told, inside, whole)


# --- names ---

HOSTILE = ["<script>window.evil = 1</script>", "</script><script>window.evil = 2</script>", "<!--<script>",
           "<img src=x onerror='window.evil = 3'>", "\"'><svg onload=window.evil=4>", "]]>&lt;&amp;\\u003c", "\u2028\u202e<b>",
           "javascript:window.evil=5", "@DATA@", "__proto__"]


def hostile():
    """Names are text, wherever they stand."""
    with Sandbox() as box, browser() as page:
        for text in HOSTILE:
            profile = next(path for path in made(box) if path.endswith("/annotated.poolprof"))
            with sqlite3.connect(profile) as database:
                for table, columns in (("frames", "function file"), ("sites", "tag type thread"), ("modules", "path"),
                                       ("pools", "name"), ("tags", "name"), ("blind_spots", "detail"),
                                       ("children", "exe end profile"), ("processes", "exe end host scan")):
                    for column in columns.split():
                        database.execute(f"UPDATE {table} SET {column} = ?", (text,))
                database.execute("UPDATE processes SET argv = ?", (json.dumps([text, text]),))
            database.close()
            opened(page, page_of(box, profile))
            page.run("for (const row of [...document.querySelectorAll('tr.unfolds')]) row.click()")
            check(page.run("window.evil") is None, text, "was run")
            check(page.run("document.querySelectorAll('script, img, svg, body b b').length") == 1, text, "made elements")
            check(page.run("document.getElementById('sites').textContent").count(text) > 3, text, "is not shown as it is")
            check(page.problems() == [], text, page.problems())
            shutil.rmtree(box.path("made"))


# --- no network, no code but its own ---

def offline():
    with Sandbox() as box, browser() as page:
        path = page_of(box, profile_of(box, GAME, "--frames", "10"))
        with open(path, encoding="utf-8") as file:
            text = file.read()
        code = re.sub(r"(?s)<script type=.*?</script>|<details>.*?</details>", "", text)
        check(not re.search(r"<(link|img|iframe|object|embed)\b|\b(src|href)\s*=\s*[\"']?(https?:)?//|@import|url\(", code),
              "it refers to something outside")
        check("default-src 'none'" in text and "unsafe" not in text.split("<title>")[0], "policy")
        check("MIT" in text and "uplot" in text, "licences")
        opened(page, path)
        page.run("(() => { const s = document.createElement('script'); s.textContent = 'window.evil = 1';"
                 "document.body.append(s); fetch('http://127.0.0.1:9/').catch(() => {}); })()")
        check(page.run("window.evil") is None, "the policy lets other scripts run")


# --- modes ---

def modes():
    """Sampled, untracked, of a running process and its leaks, dark; no part is missing or broken."""
    with Sandbox() as box, browser(dark=True) as page:
        sampled = profile_of(box, GAME, "--frames", "300", "--leak", "all", TRACK="sample:4K")
        opened(page, page_of(box, sampled))
        check("estimates" in page.run("document.getElementById('sites').textContent"), "not marked as estimates")
        same_sites(page, reported(sampled))
        off = profile_of(box, GAME, "--frames", "10", TRACK="off")
        opened(page, page_of(box, off))
        check("tracking was off" in page.run("document.body.textContent"), "off")
        check(page.run("document.getElementById('flame')") is None, "a flame graph without stacks")
        live(box, page)
        check(page.run("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 26)", "not dark")


def paper():
    """Printed: in light colours, with the stacks, and afterwards as it was."""
    with Sandbox() as box, browser(dark=True) as page:
        opened(page, page_of(box, profile_of(box, GAME, "--frames", "100", "--leak", "all")))
        page.run("document.querySelector('#sites tr.unfolds').click();"
                 "addEventListener('beforeprint', () => { window.seen = "
                 "document.querySelectorAll('#sites tr.detail').length; })")
        printed = page.call("Page.printToPDF", printBackground=True)["data"]
        check(len(printed) > 20000, "pages:", len(printed))
        check(page.run("window.seen") == 19 == page.run("document.querySelectorAll('#sites tr.unfolds').length"),
              "unfolded:", page.run("window.seen"))
        check(page.run("document.querySelectorAll('#sites tr.detail').length") == 1, "not as it was")
        page.call("Emulation.setEmulatedMedia", media="print")
        check(page.run("getComputedStyle(document.body).backgroundColor") == "rgb(251, 251, 250)", "dark paper")
        check(page.run("getComputedStyle(document.getElementById('nav')).display") == "none", "navigation on paper")


def live(box, page):
    environment = box.environment(OUTPUT="none")
    process = subprocess.Popen([GAME, "--frames", "1000000", "--leak", "all"], env=environment, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        time.sleep(1)
        opened(page, page_of(box, str(process.pid), "--leaks"))
    finally:
        process.kill()
        process.wait()
    check("running" in page.run("document.getElementById('verdict').textContent"), "not running")
    check(page.run("document.querySelectorAll('#sites tr.unfolds .chip.lost').length") > 0, "nothing lost")


def changes():
    """The page of a diff has the JSON diff's figures."""
    with Sandbox() as box, browser() as page:
        pair = (leaky(box, 1), leaky(box, 2))
        diff = json.loads(poolprof("diff", *pair, "--format", "json").stdout)
        opened(page, page_of(box, pair, command="diff"))
        rows = dict(page.run(ROWS))
        check(len(rows) == len(diff["sites"]) > 0, rows)
        for index, site in enumerate(diff["sites"]):
            check(int(rows[index]["growth"]) == site["bytes_growth"], rows[index], site)
            check(int(rows[index]["after"]) == site["bytes_after"], rows[index], site)
            check(rows[index]["change"] == site["change"], rows[index], site)
        same_flame(page, [(site["stack"], max(site["bytes_before"], site["bytes_after"])) for site in diff["sites"]], False)


# --- size ---

def large():
    """20,000 stacks: all there, and few of them drawn at once."""
    with Sandbox() as box, browser() as page:
        profile = profile_of(box, GAME, "--frames", "10", LEAK_CHECK="off")
        with sqlite3.connect(profile) as database:
            for table in ("sites", "ages", "peak_sites", "pins", "worst_frames", "frame_sites"):
                database.execute(f"DELETE FROM {table}")
            count, = database.execute("SELECT count(*) FROM stacks").fetchone()
            frames, = database.execute("SELECT count(*) FROM frames").fetchone()
            database.executemany("INSERT INTO stacks VALUES(?, ?, ?)",
                                 ((count + i, 1 + i * 7 % count, 1 + i % frames) for i in range(1, 20001)))
            database.execute("INSERT INTO sites(id, kind, stack, objects, bytes, thread) SELECT id - ?, 'outstanding', id, "
                             "1, id % 977 + 1, 't' FROM stacks WHERE id > ?", (count, count))
        database.close()
        report = reported(profile)
        opened(page, page_of(box, profile))
        check(len(report["sites"]) == 20000 and "20,000 sites" in page.run("document.getElementById('sites').textContent"),
              "sites", len(report["sites"]))
        check(page.run("document.querySelectorAll('*').length") < 20000, "too many elements")
        same_flame(page, [(site["stack"], site["bytes"]) for site in report["sites"]], False)


# --- without npm's registry ---

def absent():
    """The build goes on, and what it makes says in one line what is missing."""
    if shutil.which("npm") is None:
        skip("npm is not installed")
    with Sandbox() as box:
        env = {**os.environ, "npm_config_registry": "http://127.0.0.1:9", "npm_config_cache": box.path("cache")}
        definitions = [f"-DSOURCE={SOURCE}/report/html", f"-DWORK={box.path('work')}", "-DVERSION=1",
                       f"-DPAGE={box.path('page')}", f"-DDASHBOARD={box.path('dashboard')}",
                       f"-DLICENCES={box.path('licences')}"]
        done = subprocess.run(["cmake", *definitions, "-P", f"{SOURCE}/report/html/html.cmake"], env=env, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        check(done.returncode == 0 and "built without `--format html`" in done.stdout, done.stdout)
        check(os.path.getsize(box.path("page")) == 0, "a page")


def usage():
    with Sandbox() as box:
        profile = made(box)[0]
        check("html" in complains(2, "report", profile, "--format", "htm"), "report")
        check("html" in complains(2, "diff", profile, profile, "--format", "htm"), "diff")
        complains(3, "report", profile, "--format", "html", "-o", "/nowhere/x")
        complains(3, "diff", profile, profile, "--format", "html", "-o", "/nowhere/x")


if __name__ == "__main__":
    check(LIBRARY and PROGRAM, "PP_LIBRARY and PP_PROGRAM are not set")
    main({f.__name__: f for f in (figures, left_out, clicks, classes, hostile, offline, modes, paper, changes, large, absent, usage)})

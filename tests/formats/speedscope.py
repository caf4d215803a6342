"""speedscope, as people use it: the page of its npm package in a headless Chromium, given our files; what it made of
them is what it saves."""
import base64
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import time

from browser import Browser
from common import GAME, check, label, made, poolprof, profile_of, reported, skip
from driver import PROGRAM, Sandbox, main

PACKAGE = "speedscope@1.25.0"
SHA512 = "7297fd1d64d97f58a32d7049ae4f3b55eff9e2d9d8c7aae57f48144e1be7de8a24ea1eb784b5d539088c7f8e0f4fe5e8579d3770f7ef7e24f980fe6fa23a7a02"
SAVING = """URL.createObjectURL = (blob) => { blob.text().then((text) => { window.saved = text; }); return '#'; };
HTMLAnchorElement.prototype.click = () => {};"""
SAVE = "window.dispatchEvent(new KeyboardEvent('keydown', {key: 's', ctrlKey: true})); window.saved"


def viewer():
    """The page; fetched once for a build."""
    folder = os.path.join(os.path.dirname(PROGRAM), "../tests/formats/speedscope")
    page = os.path.join(folder, "package/dist/release/index.html")
    if shutil.which("chromium") is None or shutil.which("npm") is None:
        skip("chromium or npm is not installed")
    if not os.path.exists(page):
        os.makedirs(folder, exist_ok=True)
        done = subprocess.run(["npm", "pack", PACKAGE, "--pack-destination", folder], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, check=False)
        if done.returncode != 0:
            skip("npm could not fetch " + PACKAGE)
        packed = os.path.join(folder, done.stdout.split()[-1])
        with open(packed, "rb") as file:
            check(hashlib.sha512(file.read()).hexdigest() == SHA512, "another package:", packed)
        with tarfile.open(packed) as archive:
            archive.extractall(folder)
    return os.path.realpath(page)


def shown(page, box, name, data):
    """What speedscope saves after it has loaded the file."""
    script = box.path("load.js")
    with open(script, "w", encoding="ascii") as file:
        file.write(f'speedscope.loadFileFromBase64({json.dumps(name)}, "{base64.b64encode(data).decode()}")')
    with Browser() as browser:
        browser.call("Page.addScriptToEvaluateOnNewDocument", source=SAVING)
        browser.call("Page.navigate", url=f"file://{page}#localProfilePath={script}")
        end = time.monotonic() + 30
        while time.monotonic() < end:
            time.sleep(0.1)
            try:
                saved = browser.run(SAVE)
            except RuntimeError:
                continue
            if saved:
                return json.loads(saved)
        raise TimeoutError(f"{name}: {browser.problems()}")


def weights(saved):
    """{frames from the outermost on: bytes}."""
    profile, names, found = saved["profiles"][0], [frame["name"] for frame in saved["shared"]["frames"]], {}
    check(len(saved["profiles"]) == 1, len(saved["profiles"]))
    check(profile["unit"] in ("bytes", "none"), profile["unit"])
    if profile["type"] == "sampled":
        for sample, weight in zip(profile["samples"], profile["weights"]):
            add(found, [names[frame] for frame in sample], weight)
        return found
    stack, at = [], profile["startValue"]
    for event in profile["events"]:
        add(found, stack, event["at"] - at)
        at = event["at"]
        if event["type"] == "O":
            stack.append(names[event["frame"]])
        else:
            check(stack.pop() == names[event["frame"]], "closed otherwise:", event)
    return found


def add(found, stack, weight):
    if weight:
        found[tuple(stack)] = found.get(tuple(stack), 0) + weight


def expected(report, name_of, inlined):
    found = {}
    for site in report["sites"]:
        add(found, [name_of(frame) for frame in reversed(site["stack"]) if inlined or not frame["inlined"]], site["bytes"])
    return found


def figures():
    page = viewer()
    with Sandbox() as box:
        profile = profile_of(box, GAME, "--frames", "100", "--leak", "all")
        report = reported(profile)
        folded = shown(page, box, "heap.folded", reported(profile, "folded").encode())
        check(weights(folded) == expected(report, lambda f: label(f).replace(";", ":").replace(" ", "_"), True),
              "folded:", weights(folded))
        saved = shown(page, box, "heap.pb.gz", poolprof("report", profile, "--format", "pprof").stdout)
        check(saved["profiles"][0]["unit"] == "bytes", saved["profiles"][0]["unit"])
        # It takes one function for each place, the outermost.
        check(weights(saved) == expected(report, label, False), "pprof:", weights(saved))
        for path in made(box):
            if not os.path.basename(path).startswith(("scanned", "recursion")):
                continue
            report = reported(path)
            saved = shown(page, box, "heap.pb.gz", poolprof("report", path, "--format", "pprof").stdout)
            check(sum(weights(saved).values()) == sum(site["bytes"] for site in report["sites"]), path)


if __name__ == "__main__":
    main({f.__name__: f for f in (figures,)})

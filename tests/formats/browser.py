"""A headless Chromium that is told what to do through a pipe (its DevTools protocol); no other library."""
import base64
import json
import os
import shutil
import subprocess
import tempfile
import time


class Browser:
    """One page, without a network but for `origin` (http://127.0.0.1:PORT). with Browser() as browser:
    browser.open(path)."""

    def __init__(self, dark=False, width=1280, height=1000, origin=None):
        self.origin = origin
        self.folder = tempfile.mkdtemp(prefix="chromium.")
        here_in, there_out = os.pipe()
        there_in, here_out = os.pipe()
        command = ["chromium", "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu",
                   "--no-first-run", "--disable-dev-shm-usage", "--disable-background-networking",
                   "--proxy-server=127.0.0.1:9", f"--user-data-dir={self.folder}",
                   f"--window-size={width},{height}", "about:blank"]

        def descriptors():  # 3 and 4 are where Chromium reads and writes
            os.dup2(there_in, 93)
            os.dup2(there_out, 94)
            os.dup2(93, 3)
            os.dup2(94, 4)

        self.process = subprocess.Popen(command, preexec_fn=descriptors, close_fds=False, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(there_in)
        os.close(there_out)
        self.reads, self.writes = os.fdopen(here_in, "rb"), os.fdopen(here_out, "wb")
        self.number, self.session, self.events, self.rest = 0, None, [], b""
        target = next(t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Network.emulateNetworkConditions", offline=origin is None, latency=0, downloadThroughput=-1,
                  uploadThroughput=-1)
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def message(self):
        while b"\0" not in self.rest:
            got = os.read(self.reads.fileno(), 1 << 20)
            if not got:
                raise EOFError("chromium has gone")
            self.rest += got
        text, self.rest = self.rest.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, **parameters):
        self.number += 1
        request = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            request["sessionId"] = self.session
        self.writes.write(json.dumps(request).encode() + b"\0")
        self.writes.flush()
        while True:
            answer = self.message()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def run(self, script):
        """The value of an expression in the page."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True,
                           userGesture=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{script}: {answer['exceptionDetails']['exception'].get('description')}")
        return answer["result"].get("value")

    def open(self, path, seconds=60):
        """Returns once the page's script is through; the execution may move to the new page meanwhile."""
        self.call("Page.navigate", url=f"{self.origin or 'file://'}{path}")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if self.run("document.documentElement?.dataset.ready"):
                    return
            except RuntimeError:
                pass
            time.sleep(0.02)
        raise TimeoutError(f"{path} is not ready after {seconds} s: {self.problems()}")

    def problems(self):
        """What the page complained of, and what it asked the network for."""
        self.run("1")
        found = []
        for event in self.events:
            method, about = event["method"], event["params"]
            if method == "Log.entryAdded" or method == "Runtime.exceptionThrown":
                found.append(json.dumps(about))
            if method == "Runtime.consoleAPICalled" and about["type"] in ("error", "warning"):
                found.append(json.dumps(about))
            if method == "Network.requestWillBeSent" and not about["request"]["url"].startswith(
                    ("file:", "about:", self.origin or "about:")):
                found.append(about["request"]["url"])
        return found

    def press(self, key, text=None):
        for kind in ("keyDown", "keyUp"):
            more = {"text": text} if text and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, **more)

    def picture(self, path, whole=True):
        if whole:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 12000), "scale": 1}
            answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        else:
            answer = self.call("Page.captureScreenshot", format="png")
        with open(path, "wb") as file:
            file.write(base64.b64decode(answer["data"]))

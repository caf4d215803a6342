"""Functions and lines from elsewhere: --sysroot, --debug-dir, --debuginfod; only of the same build-id, and without
the last one nothing connects."""
import http.server
import json
import os
import re
import shutil
import subprocess
import threading

from common import PROGRAMS, check, complains, label, poolprof, reported, skip
from driver import Sandbox, main


def tool(*command):
    if shutil.which(command[0]) is None:
        skip(f"{command[0]} is not installed")
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout


def build_id(path):
    return re.search(r"Build ID: ([0-9a-f]+)", tool("readelf", "-n", path))[1]


def debug_path(folder, number):
    path = os.path.join(folder, ".build-id", number[:2], number[2:] + ".debug")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return path


class Stripped:
    """A program without any symbols, its profile, and where its symbols and those of another build are."""

    def __init__(self, box, **options):
        self.full, self.other = (os.path.join(PROGRAMS, f"leaky{build}") for build in (1, 2))
        self.path = box.path("app")
        tool("objcopy", "--strip-all", self.full, self.path)
        self.number = build_id(self.full)
        check(build_id(self.path) == self.number != build_id(self.other), "build-ids")
        done = box.run(self.path, options={"LEAK_CHECK": "off", **options})
        check(done.returncode == 0, done.err)
        self.profile = box.profile_of(done.pid)
        self.bare = self.figures()
        check(all(name.startswith("app+0x") for stack, _, _ in self.bare for name in stack[:2]), self.bare)

    def report(self, *more, **options):
        return reported(self.profile) if not more and not options else \
            json.loads(poolprof("report", self.profile, "--format", "json", *more, **options).stdout)

    def figures(self, *more, **options):
        return [(tuple(label(frame) for frame in site["stack"]), site["objects"], site["bytes"])
                for site in self.report(*more, **options)["sites"]]

    def named(self, *more, **options):
        """All functions and lines are found; figures and addresses are as before."""
        report = self.report(*more, **options)
        for site, (stack, objects, size) in zip(report["sites"], self.bare):
            frames = site["stack"]
            check((site["objects"], site["bytes"]) == (objects, size), site)
            check(frames[0]["function"] == "leave" and os.path.basename(frames[0]["file"]) == "leaky.c" and
                  frames[0]["line"] > 0 and stack[0] == "app+" + frames[0]["address"], frames, stack)
            check(frames[1]["function"] in ("same", "grown", "shrunk", "gone"), frames)
        check(not any("app" in spot["detail"] for spot in report["blind_spots"] if spot["what"] == "missing_symbols"),
              report["blind_spots"])

    def unnamed(self, *more, **options):
        check(self.figures(*more, **options) == self.bare, more, "found names in another build")


def sysroot():
    with Sandbox() as box:
        app, root = Stripped(box), box.path("root")
        copy = root + app.path
        os.makedirs(os.path.dirname(copy))
        app.unnamed("--sysroot", root)
        shutil.copy(app.other, copy)
        app.unnamed("--sysroot", root)
        shutil.copy(app.full, copy)
        app.named("--sysroot", root)
        # The file itself is stripped there, too, its debug file is in that machine's place for them.
        shutil.copy(app.path, copy)
        tool("objcopy", "--only-keep-debug", app.full, debug_path(root + "/usr/lib/debug", app.number))
        app.named("--sysroot", root)
        os.unlink(app.path)
        os.unlink(copy)
        app.named("--sysroot", root)


def debug_dir():
    with Sandbox() as box:
        app, folder = Stripped(box), box.path("debug")
        path = debug_path(folder, app.number)
        app.unnamed("--debug-dir", folder)
        tool("objcopy", "--only-keep-debug", app.other, path)
        app.unnamed("--debug-dir", folder)
        tool("objcopy", "--only-keep-debug", app.full, path)
        app.named("--debug-dir", folder)
        os.unlink(app.path) # upgraded since; a watcher's stub may still have the old one open
        shutil.copy(app.other, app.path)
        app.named("--debug-dir", folder)
        os.unlink(app.path)
        app.named("--debug-dir", folder)
        with open(path, "r+b") as file:
            file.truncate(os.path.getsize(path) // 2)
        app.unnamed("--debug-dir", folder)
        with open(path, "wb") as file:
            file.write(b"no debug file")
        app.unnamed("--debug-dir", folder)


class Server:
    """A debuginfod on loopback: {path below /buildid/: file}."""

    def __init__(self, files):
        self.asked = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked.append(self.path)
                found = files.get(self.path.removeprefix("/buildid/"))
                self.send_response(200 if found else 404)
                self.end_headers()
                if found:
                    with open(found, "rb") as file:
                        self.wfile.write(file.read())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def environment(self, box, cache):
        return {**os.environ, "DEBUGINFOD_URLS": f"http://127.0.0.1:{self.server.server_address[1]}",
                "DEBUGINFOD_CACHE_PATH": box.path(cache), "DEBUGINFOD_TIMEOUT": "5", "HOME": box.directory}


def has_client():
    return subprocess.run(["ldconfig", "-p"], text=True, stdout=subprocess.PIPE, env={"PATH": "/sbin:/usr/sbin"},
                          check=True).stdout.count("libdebuginfod.so.1") > 0


def servers():
    if not has_client():
        skip("libdebuginfod is not installed")
    with Sandbox() as box:
        app, debug, wrong = Stripped(box), box.path("debug"), box.path("wrong")
        tool("objcopy", "--only-keep-debug", app.full, debug)
        tool("objcopy", "--only-keep-debug", app.other, wrong)
        moved = box.path("moved")
        nobody = Server({})
        app.unnamed("--debuginfod", env=nobody.environment(box, "cache1"))
        check(any(app.number in path for path in nobody.asked), "not asked:", nobody.asked)
        lying = Server({f"{app.number}/debuginfo": wrong, f"{app.number}/executable": app.other})
        app.unnamed("--debuginfod", env=lying.environment(box, "cache2"))
        check(lying.asked, "not asked")
        good = Server({f"{app.number}/debuginfo": debug, f"{app.number}/executable": app.path})
        app.named("--debuginfod", env=good.environment(box, "cache3"))
        shutil.move(app.path, moved)
        good = Server({f"{app.number}/debuginfo": debug, f"{app.number}/executable": moved})
        app.named("--debuginfod", env=good.environment(box, "cache4"))
        check({path.rsplit("/", 1)[1] for path in good.asked if app.number in path} == {"debuginfo", "executable"},
              good.asked)


def offline():
    """With servers named, nothing asks them: no report of a profile, a segment, a process, nor the watcher."""
    with Sandbox() as box:
        server = Server({})
        env = server.environment(box, "cache")
        app = Stripped(box)
        app.unnamed(env=env)
        app.unnamed("--sysroot", box.directory, "--debug-dir", box.directory, env=env)
        done = box.run(app.path, env={**box.environment(), **{k: v for k, v in env.items() if k.startswith("DEBUGINFOD")}})
        check(done.returncode == 0, done.err)
        box.profile_of(done.pid)
        orphan = box.run(app.path, options={"WATCH": "0"})
        poolprof("report", box.profile_of(orphan.pid), env=env)
        check(not server.asked, "connected:", server.asked)


def segment():
    """What a program without watcher leaves is looked up with the same options."""
    with Sandbox() as box:
        app, folder = Stripped(box, WATCH="0"), box.path("debug")
        app.unnamed("--debug-dir", box.directory)
        tool("objcopy", "--only-keep-debug", app.full, debug_path(folder, app.number))
        app.named("--debug-dir", folder)
        names = [name for stack, _, _ in app.figures("--debug-dir", folder, "--no-symbols") for name in stack]
        check(all("+0x" in name for name in names), names)


def usage():
    with Sandbox() as box:
        colon = box.path("a:b")
        os.mkdir(colon)
        for option in ("--sysroot", "--debug-dir"):
            for path, why in (("/nonexistent", "No such file"), ("/etc/passwd", "is no directory"), (colon, "':'")):
                said = complains(2, "report", option, path)
                check(option in said and path in said and why in said, said)
        clean = {key: value for key, value in os.environ.items() if key != "DEBUGINFOD_URLS"}
        check("DEBUGINFOD_URLS" in complains(2, "report", "--debuginfod", env=clean), "unset")
        check("DEBUGINFOD_URLS" in complains(2, "report", "--debuginfod", env={**clean, "DEBUGINFOD_URLS": " "}), "empty")


if __name__ == "__main__":
    main({f.__name__: f for f in (sysroot, debug_dir, servers, offline, segment, usage)})

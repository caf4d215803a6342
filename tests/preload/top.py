"""`poolprof top`: plain text where there is no terminal, pages and keys on one; and it costs the program nothing."""
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

from driver import BARE, PROGRAM, Sandbox, check, main


class Host:
    def __init__(self, box, program="operated", folder="segments"):
        os.environ["POOLPROF_SEGMENT_DIR"] = box.path(folder)
        os.mkdir(box.path(folder), 0o700)
        self.process = box.start(program, stdin=subprocess.PIPE, options={"SEGMENT_DIR": box.path(folder)})
        check(self.process.stdout.readline() == "ready\n", "did not start")
        self.pid = self.process.pid

    def tell(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        check(self.process.stdout.readline() == "done\n", word)

    def quit(self):
        self.process.communicate("quit\n", timeout=30)
        check(self.process.returncode == 0, "status", self.process.returncode)


def top(*words):
    return subprocess.run([PROGRAM, "top", *map(str, words)], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, timeout=30)


def plain():
    with Sandbox() as box:
        host = Host(box)
        host.tell("leak")
        done = top(host.pid, "--delay", 0.2)
        check(done.returncode == 0 and not done.stderr, done)
        check(re.match(rf"operated \({host.pid}\), .*: .* in \d+ objects, peak ", done.stdout), done.stdout)
        check(re.search(r" 1000 B .* 10 .*  leak_blocks", done.stdout), done.stdout)
        for word in ("growth/s", "size class", "made/s", "operated ("):
            check(word in done.stdout, "no", word, "in", done.stdout)
        done = top(host.pid, "--delay", 0.1, "--page", "sites", "--filter", "leak_b", "--count", 2)
        rows = [line for line in done.stdout.splitlines() if "leak_blocks" in line]
        check(len(rows) == 2 and "size class" not in done.stdout, done.stdout)
        check("\x1b" not in done.stdout, "escape sequences")
        host.tell("tagged")
        done = top(host.pid, "--delay", 0.1, "--page", "sites", "--filter", "leak_b", "--rows", 1)
        check("leak_blocks" in done.stdout and "... and 1 more" in done.stdout, "rows:", done.stdout)
        check("[blue]" in top(host.pid, "--delay", 0.1, "--page", "sites").stdout, "the site's tag")
        done = top(host.pid, "--delay", 0.1, "--page", "tags")
        check(re.search(r" 1000 B .*blue", done.stdout), done.stdout)
        for words, status in (((), 2), (("x",), 2), ((host.pid, "--page", "x"), 2), ((host.pid, "--delay", "0"), 2),
                              ((os.getpid(),), 3)):
            done = top(*words)
            check(done.returncode == status and done.stderr.count("\n") == 1, words, done)
        host.quit()
        check(top(host.pid).returncode == 3, "of a process that is dead")


def killed():
    """The process is gone between two looks, without a word."""
    with Sandbox() as box:
        host = Host(box)
        there = subprocess.Popen([PROGRAM, "top", str(host.pid), "--delay", "0.1", "--count", "1000"], text=True,
                                 stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        check(there.stdout.readline(), "nothing is shown")
        host.process.kill()
        host.process.communicate()
        there.communicate(timeout=30)
        check(there.returncode == 0, "status", there.returncode)


class Terminal:
    def __init__(self, rows, columns, *words):
        self.text = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm", LANG="C.UTF-8")
            os.execv(PROGRAM, [PROGRAM, "top", *map(str, words)])
        self.resize(rows, columns)

    def resize(self, rows, columns):
        self.size = rows, columns
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, keys, expected):
        """Sends the keys and waits until that has been shown since."""
        os.write(self.fd, keys)
        time.sleep(0.2)
        self.text = b""
        self.resize(self.size[0], self.size[1] ^ 1) # all is drawn anew
        deadline = time.monotonic() + (0.3 if BARE else 15)
        while expected not in self.text:
            check(time.monotonic() < deadline, "after", keys, "no", expected, "in", self.text[-2000:])
            if select.select([self.fd], [], [], 0.1)[0]:
                self.text += os.read(self.fd, 65536)

    def end(self):
        os.write(self.fd, b"q")
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                if select.select([self.fd], [], [], 0.1)[0] and not os.read(self.fd, 65536):
                    break
            except OSError:
                break
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def terminal():
    with Sandbox() as box:
        host = Host(box)
        host.tell("leak")
        there = Terminal(24, 100, host.pid, "--delay", 0.2)
        there.press(b"", b"leak_blocks")
        there.press(b"3", b"size class")
        there.press(b"5", b"thread")
        there.press(b"\t", b"budget")
        there.press(b"1", b"leak_blocks")
        there.press(b"s", b">growth/s")
        there.press(b"/", b"filter")
        there.press(b"buzz\x7f\x7fsy\n", b"[busy]")
        there.press(b" ", b"PAUSED")
        there.resize(50, 160)
        there.press(b"/\x1b", b"site")
        there.resize(3, 20) # too small for a row: nothing breaks
        time.sleep(0.3)
        there.resize(24, 100)
        there.press(b" ", b"leak_blocks")
        there.press(b"r", b"leak_blocks") # the other order, and back
        there.press(b"r\x1bOB\x1bOA\x1b[6~\x1b[5~", b"leak_blocks") # down, up, a page of each
        host.quit()
        there.press(b"", b"ENDED")
        check(there.end() == 0, "status")


def classes():
    """C++ classes of the running process: looked for when they are asked for, and not before."""
    with Sandbox() as box:
        host = Host(box, "classed")
        host.tell("make")
        check("C++ class" not in top(host.pid, "--delay", 0.1).stdout, "it was scanned without being asked for")
        done = top(host.pid, "--delay", 0.1, "--page", "classes")
        check(re.search(r" 840 B +0 B +5 +0 B +0  shop::order\n", done.stdout), done.stdout)
        host.tell("lose")
        there = Terminal(24, 100, host.pid, "--delay", 0.2)
        there.press(b"4", b"shop::order")
        there.press(b"", b"504 B") # lost
        host.tell("lose")
        there.press(b"l", b"1008 B")
        check(there.end() == 0, "status")
        host.quit()
        plain_c = Host(box, "operated", "more")
        shown = top(plain_c.pid, "--delay", 0.1, "--page", "classes").stdout
        check("(no object has a class that is known)" in shown, shown)
        plain_c.quit()


if __name__ == "__main__":
    main({"plain": plain, "killed": killed, "terminal": terminal, "classes": classes})

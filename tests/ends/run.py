"""`poolprof run`: exit status, signals, job control in a terminal, exec failures, the report after SIGKILL and before
the prompt."""
import os
import pty
import re
import select
import signal
import subprocess
import time

from ends import (BARE, ENDS, PROGRAM, PROGRAMS, REPORT_LINE, Box, check, check_outstanding, main, parent_of,
                  read_report, wait_until)


def needs_library():
    check(not BARE, "bare")


def statuses():
    needs_library()
    with Box() as box:
        for words, status, said in ((f"{ENDS}/tree leaf 0", 0, ""), (f"{ENDS}/tree leaf 77", 77, ""), ("sh -c 'kill -9 $$'", 137, ""),
                                    ("sh -c 'kill -TERM $$'", 143, ""), (f"{ENDS}/die segv", 139, ""),
                                    ("/does/not/exist", 127, "o such file"), ("does-not-exist", 127, "o such file"),
                                    ("/etc/passwd", 126, "ermission"), ("/etc", 126, "ermission|directory"),
                                    ("./loop", 126, "ymbolic links")):
            done = box.shell(f"ln -sf loop loop; $RUN {words}", REPORT="none")
            check(done.returncode in (status, 128 - status), words, "status", done.returncode, "wanted", status, done.err)
            check(re.search(said, done.err) and done.out == "", words, done.out, done.err)
        done = box.shell("$RUN; echo $?; $RUN; echo $?; ${RUN% --} --nonsense; echo $?; ${RUN% --} --option CHILDREN=x -- true; echo $?")
        check(done.out.split() == ["2"] * 4, "usage:", done.out, done.err)


def signals():
    """Passed on when a process sends them to `run` alone, INT and QUIT too; the end is the program's."""
    needs_library()
    script = "trap 'echo got TERM; exit 31' TERM; trap 'echo got HUP' HUP; trap 'echo got USR1' USR1; " \
             "trap 'echo got USR2' USR2; trap 'echo got INT' INT; trap 'echo got QUIT' QUIT; echo ready; while :; do sleep 0.05; done"
    with Box(run=True) as box:
        process = box.start("/bin/bash", "-c", script)
        check(process.stdout.readline() == "ready\n", "start")
        for name in ("INT", "QUIT", "HUP", "USR1", "INT", "USR2", "TERM"):
            process.send_signal(getattr(signal, "SIG" + name))
            check(process.stdout.readline() == f"got {name}\n", name, "is not passed on")
        process.communicate(timeout=30)
        check(process.returncode == 31, process.returncode)
        box.check_gone()
    for number in (signal.SIGINT, signal.SIGQUIT): # a program that has no handler dies of them, and `run` alike
        with Box(run=True) as box:
            process = box.start("die", "wait", options={"REPORT": "text", "LOG_LEVEL": "info"})
            check(process.stdout.readline() == "ready\n", "start")
            process.send_signal(number)
            out, err = process.communicate(timeout=30)
            check(process.returncode == -number, number, "status", process.returncode)
            check(len(REPORT_LINE.findall(err)) == 1, number, "report:", err)
            box.check_gone()


def inherits():
    """Signal dispositions, mask, group, session, descriptors and umask reach the program as they were."""
    needs_library()
    show = "grep -E '^(Umask|SigBlk|SigIgn|SigCgt|Threads)' /proc/self/status; ls /proc/self/fd | tr '\\n' ' '; ps -o pgid=,sid= -p $$ | tr -s ' '"
    with Box() as box:
        done = box.shell(f"trap '' HUP USR1; umask 027; exec 7</dev/null; bash -c \"{show.replace('$', chr(92) + '$')}\"; echo ==; "
                         f"$RUN bash -c \"{show.replace('$', chr(92) + '$')}\"", REPORT="none")
        bare, run = done.out.split("==\n")
        check(bare == run, "bare:\n" + bare + "run:\n" + run, done.err)
        for stream in ("stdin", "stdout"):
            done = box.shell("echo hello | $RUN cat | tr a-z A-Z", REPORT="none")
            check(done.out == "HELLO\n", stream, done.out, done.err)


def killed():
    """Report after SIGKILL of the program, before `run` ends; SIGKILL of `run` itself leaves the program alone."""
    needs_library()
    with Box(run=True) as box:
        process = box.start("die", "wait", options={"REPORT": "text", "LOG_LEVEL": "info"})
        check(process.stdout.readline() == "ready\n", "start")
        child = [pid for pid in box.processes("die") if parent_of(pid) == process.pid][0]
        os.kill(child, signal.SIGKILL)
        out, err = process.communicate(timeout=30)
        check(process.returncode == -9, process.returncode)
        check(len(REPORT_LINE.findall(err)) == 1 and "leak_large" in err, "report:", err)
        box.check_gone()
    with Box(run=True) as box:
        process = box.start("tree", "sleeper", 1, options={"REPORT": "none"})
        wait_until(lambda: box.processes("tree"), "start")
        time.sleep(0.3)
        process.kill()
        process.communicate(timeout=30)
        wait_until(lambda: box.profiles(), "the program's profile after run was killed")
        check_outstanding(read_report(box.only_profile("tree")), "leak_leaf", 3, 120)
        box.check_gone()


class Terminal:
    """An interactive bash on a pty."""

    def __init__(self, box):
        env = box.environment(REPORT="none", LOG_LEVEL="warn")
        env.pop("LD_PRELOAD", None)
        env.update(PS1="PROMPT> ", TERM="dumb", B=ENDS, H=os.path.join(PROGRAMS, "hello"), RUN=f"{PROGRAM} run --")
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(box.directory)
            os.execve("/bin/bash", ["bash", "--norc", "--noprofile", "--noediting", "-i"], env)
        self.text = ""
        self.expect("PROMPT> ")

    def expect(self, pattern, patience=60, nudge=None):
        """What was shown up to the pattern; `nudge` is typed each half second until then."""
        deadline = time.monotonic() + patience
        while True:
            found = re.search(pattern, self.text)
            if found:
                seen, self.text = self.text[:found.end()], self.text[found.end():]
                return seen
            left = deadline - time.monotonic()
            check(left > 0, "terminal: no", repr(pattern), "in", repr(self.text))
            if nudge:
                self.type(nudge)
            if select.select([self.fd], [], [], 0.5 if nudge else left)[0]:
                try:
                    self.text += os.read(self.fd, 65536).decode(errors="replace")
                except OSError:
                    check(False, "terminal closed:", self.text)

    def type(self, text):
        os.write(self.fd, text.encode())

    def close(self):
        try:
            os.kill(self.pid, signal.SIGHUP)
            os.kill(self.pid, signal.SIGKILL)
        except OSError:
            pass
        os.waitpid(self.pid, 0)
        os.close(self.fd)


def terminal():
    """^Z stops, fg goes on, ^C ends, statuses are as without us; the program owns the terminal."""
    needs_library()
    with Box() as box:
        shell = Terminal(box)
        try:
            shell.type("$RUN $H wait; echo status $?\n")
            shell.expect("ready")
            shell.type("\x1a")
            shell.expect(r"Stopped")
            shell.expect("PROMPT> ")
            stopped = box.processes("hello")
            with open(f"/proc/{stopped[0]}/stat", encoding="ascii") as file:
                check(file.read().rpartition(")")[2].split()[0] == "T", "the program is not stopped")
            shell.type("fg\n")
            shell.type("a line\n")
            shell.expect("to stdout")
            shell.expect("PROMPT> ")
            shell.type("echo status $?\n")
            shell.expect(r"status 5\r")
            shell.expect("PROMPT> ")
            shell.type("$RUN $B/die wait\n")
            shell.expect("ready")
            shell.type("\x03")
            shell.expect("PROMPT> ")
            shell.type("echo status $?\n")
            shell.expect(r"status 130\r")
            shell.type("$RUN $B/die wait\n")
            shell.expect("ready")
            shell.type("\x1c")
            shell.expect("PROMPT> ")
            shell.type("echo status $?\n")
            shell.expect(r"status 131\r")
            shell.expect("PROMPT> ")
            # The terminal sends ^C to both: it is not passed on a second time.
            shell.type("$RUN bash -c 'trap \"echo caught\" INT; echo ready; for i in 1 2 3 4 5 6; do sleep 0.1; done; echo over'\n")
            shell.expect("ready\r")
            shell.type("\x03")
            seen = shell.expect("over\r")
            check(seen.count("caught\r") == 1, "^C came", seen.count("caught\r"), "times:", seen)
            shell.expect("PROMPT> ")
            shell.type("$RUN $H wait &\n")
            shell.expect("ready")
            shell.expect("Stopped", nudge="\n") # it reads from the terminal in the background; told at the next prompt
            shell.type("kill %1\n")
            wait_until(lambda: not box.processes("hello") and not box.processes("poolprof"), "killed in the background")
            shell.expect("Terminated", nudge="\n")
        finally:
            shell.close()
        wait_until(lambda: not box.processes("hello") and not box.processes("die"), "programs end")


def prompt():
    """The report, also of a crash, is on the terminal before the next prompt, once."""
    needs_library()
    with Box() as box:
        shell = Terminal(box)
        try:
            for words in ("$B/die exit", "$B/die segv", "$B/die signal9", "$B/die abort"):
                shell.type(f"POOLPROF_LOG_LEVEL=info POOLPROF_REPORT=text $RUN {words}\n")
                seen = shell.expect("PROMPT> ").replace("\r\n", "\n")
                check(len(REPORT_LINE.findall(seen)) == 1 and "leak_large" in seen and "more: poolprof" in seen, words, "report:", seen)
        finally:
            shell.close()


CASES = {case.__name__: case for case in (statuses, signals, inherits, killed, terminal, prompt)}

if __name__ == "__main__":
    main(CASES)

"""Real programs under the preload, unchanged: same output and status as bare, a profile with a plausible
count of allocations. Each case runs twice, bare and preloaded, and prints a row: program, allocations,
outstanding, profiles of its tree, seconds bare and preloaded.

Servers are spoken to over loopback or Unix sockets only, with bounded counts.
"""
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../preload"))
from driver import BARE, LIBRARY, PROGRAM, PROGRAMS, Sandbox, check, main, read_report  # noqa: E402

DATA = "".join(f"{i * 7919 % 100003} line {i} {'x' * (i % 50)}\n" for i in range(200000))


class Side:
    """One of the two runs: its directory and environment."""

    def __init__(self, box, preload):
        self.box, self.preload = box, preload
        self.directory = box.path("preloaded" if preload else "bare")
        os.mkdir(self.directory)
        os.chmod(self.directory, 0o777)
        os.chmod(box.directory, 0o777)
        self.env = {"PATH": "/usr/bin:/bin:/usr/sbin:/usr/games", "HOME": self.directory, "LANG": "C.UTF-8",
                    "TERM": "xterm", "TMPDIR": self.directory, "GIT_CONFIG_NOSYSTEM": "1"}
        if preload and not BARE:
            self.env.update(LD_PRELOAD=LIBRARY, POOLPROF_OUTPUT=box.path("%n.%p.poolprof"),
                            POOLPROF_REPORT="none", POOLPROF_LOG_LEVEL="warn", POOLPROF_LOG=box.path("log.%p"))

    def path(self, name):
        return os.path.join(self.directory, name)

    def plain_env(self):
        """For the clients of a server under test."""
        return {k: v for k, v in self.env.items() if not k.startswith(("LD_", "POOLPROF_"))}

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def run(self, *command, timeout=240, **more):
        more.setdefault("stdin", subprocess.DEVNULL)
        more.setdefault("env", self.env)
        if "input" in more:
            more.pop("stdin")
        done = subprocess.run(command, cwd=self.directory, text=True, timeout=timeout, errors="replace",
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
        return done.returncode, done.stdout, done.stderr

    def start(self, *command, **more):
        return subprocess.Popen(command, cwd=self.directory, env=self.env, text=True, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)


def shell(side, script, **env):
    return side.run("bash", "-c", script, env={**side.env, **env})


def compare(name, at_least, play):
    """play(side) returns what must be equal: status, stdout, stderr (or any value)."""
    with Sandbox() as box:
        begun = time.monotonic()
        bare = play(Side(box, False))
        middle = time.monotonic()
        done = play(Side(box, True))
        ended = time.monotonic()
        bare, done = normal(bare, box), normal(done, box)
        check(done == bare, name, "differs:\n  bare:     ", shorten(bare, done), "\n  preloaded:", shorten(done, bare))
        # %n is the file that runs: python3.11, x86_64-linux-gnu-g++-12, redis-check-rdb
        pattern = rf"(.*-)?({re.escape(name)}|{FILES.get(name, '-')})[-.\d]*\.poolprof"
        profiles = [profile for profile in box.profiles() if re.fullmatch(pattern, profile)]
        check(profiles, "no profile of", name, "there are", sorted(os.listdir(box.directory)), logged(box))
        best = max((read_report(box.path(profile)) for profile in profiles), key=lambda r: r["totals"]["allocations"])
        totals = best["totals"]
        print(f"{name:16} allocations {totals['allocations']:9} outstanding {totals['outstanding_objects']:7} "
              f"({totals['outstanding_bytes']:9} B) sites {len(best['sites']):5} profiles {len(box.profiles()):3} "
              f"bare {middle - begun:5.1f} s preloaded {ended - middle:5.1f} s", flush=True)
        check(totals["allocations"] >= at_least, name, "allocations", totals["allocations"], "expected", at_least)
        check(best["sites"] and all(site["stack"] for site in best["sites"][:3]), "no stacks")
        check(best["process"]["end"] in ("exit", "_exit"), "end:", best["process"]["end"])


def logged(box):
    """What the library and the watcher had to say."""
    texts = []
    for name in os.listdir(box.directory):
        if name.startswith("log."):
            with open(box.path(name), encoding="utf-8") as file:
                texts.append(file.read())
    return "".join(texts)[:2000]


def normal(value, box):
    """Directory names differ between the two sides."""
    return re.sub(re.escape(box.directory) + r"/(bare|preloaded)", "DIR", repr(value))


def shorten(text, other):
    at = next((i for i, (a, b) in enumerate(zip(text, other)) if a != b), min(len(text), len(other)))
    return text[max(0, at - 100):at + 300]


# --- tools ---

def bash(side):
    return shell(side, r"""
declare -A map; for ((i = 0; i < 20000; i++)); do map[k$((i % 700))]+=x; done; echo ${#map[@]} ${#map[k3]}
f() { local a=$1; ((a > 0)) && f $((a - 1)) || echo bottom; }; f 200
for i in 1 2 3; do (echo sub $i; exit $i) || echo status $?; done
x=$(for i in {1..2000}; do echo $i; done | sort -rn | head -3); echo $x
trap 'echo trapped' USR1; kill -USR1 $$; printf '%s\n' {a..z}{0..9} | wc -l; sleep 0.1 & wait $!; echo $?""")


def python(side):
    code = """
import json, subprocess, threading, re, os
data = {str(i): list(range(i % 30)) for i in range(20000)}
text = json.dumps(data); assert json.loads(text) == data
def work(): [re.sub('a+', 'b', 'aab' * k) for k in range(400)]
threads = [threading.Thread(target=work) for _ in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
print(len(text), subprocess.run(['echo', 'child'], stdout=subprocess.PIPE).stdout)
pid = os.fork()
if pid == 0: [bytearray(k) for k in range(3000)]; os._exit(3)
print(os.waitpid(pid, 0)[1] >> 8)
"""
    return side.run("/usr/bin/python3", "-c", code, env={**side.env, "PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "1"})


def perl(side):
    return side.run("perl", "-e", r"""
my %h; for my $i (1..200000) { $h{$i % 5000} .= chr(65 + $i % 26); }
my $t = join ',', map { "$_=" . length $h{$_} } sort { $a <=> $b } keys %h; print length $t, "\n";
my @l = sort map { scalar reverse $_ } values %h; print substr($l[0], 0, 20), "\n";
print `echo from a shell`; exit 7;""")


def git(side):
    who = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER")
           for what, value in (("NAME", "t"), ("EMAIL", "t@example.org"), ("DATE", "2020-01-01T00:00:00Z"))}
    return shell(side, """
git init -q -b main repo && cd repo && for i in $(seq 30); do seq $((i * 50)) > file$((i % 7)); git add .
git commit -q -m "commit $i"; done; git gc -q; git fsck; git clone -q . ../copy
cd ../copy; git log --stat --oneline; git diff HEAD~20 | md5sum
git grep -c 77; git blame file3 | cut -c1-8 | sort | uniq -c""", **who)


CPP = """#include <map>
#include <regex>
#include <string>
#include <vector>
int count(const std::vector<std::string> &v) { std::map<std::string, int> m; std::regex r("a(b|c)*d");
  for (auto &s : v) if (std::regex_match(s, r)) m[s]++; return (int)m.size(); }
"""


def gxx(side):
    source = side.write("a.cc", CPP)
    status = side.run("g++", "-O2", "-c", source, "-o", "a.o")
    return status, side.run("md5sum", "a.o", env=side.plain_env())


def node(side):
    script = side.write("w.js", """
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
if (isMainThread) {
  let left = 4, sum = 0;
  for (let i = 0; i < 4; i++) {
    const w = new Worker(__filename, { workerData: i });
    w.on('message', (m) => { sum += m; });
    w.on('exit', (code) => { if (code) throw code; if (--left === 0) { console.log(sum); process.exitCode = 9; } });
  }
} else {
  let n = 0;
  for (let k = 0; k < 2000; k++) n += Buffer.alloc(10000 + k).length + JSON.stringify({ k, a: 'x'.repeat(k) }).length;
  parentPort.postMessage(n + workerData);
}""")
    return side.run("node", script)


def gdb(side):
    steps = ("break puts", "run", "bt", "info registers rip", "continue")
    orders = [word for step in steps for word in ("-ex", step)]
    status, out, _ = side.run("gdb", "-batch", "-nx", *orders, "--args", os.path.join(PROGRAMS, "hello"))
    kept = [line for line in out.splitlines() if re.match(r"#\d|Breakpoint|to std|\[Inferior", line)]
    return status, [re.sub(r"0x[0-9a-f]+|process \d+|\d+\.\.?/", "N", line) for line in kept]


def xz(side):
    path = side.write("data", DATA * 2)
    packed = side.run("xz", "-T2", "--block-size=1MiB", "-k", "-3", path)
    return packed, shell(side, "xz -dc data.xz | cmp - data && md5sum < data.xz")


def sort(side):
    side.write("data", DATA)
    return shell(side, "sort --parallel=2 -S 4M -k2 data | md5sum; sort -n data | uniq -c | sort -rn | head -5")


def sqlite(side):
    return side.run("sqlite3", side.path("db"), input="""
create table t(a integer primary key, b text);
with recursive c(x) as (select 1 union all select x + 1 from c where x < 50000)
insert into t select x, hex(x * 7919) from c; create index i on t(b);
select count(*), sum(length(b)) from t where b like '3%';
select b, count(*) from t group by substr(b, 1, 2) order by 2 desc, 1 limit 5; pragma integrity_check; vacuum;
""")


def pipeline(side):
    return shell(side, """
ls -la /usr/share/doc | sort | awk '{print $NF}' | md5sum
find /usr/share/doc -name copyright | sort | head -200 | tar cf - -T - 2>/dev/null | md5sum
find /usr/lib -type f -size +1M 2>/dev/null | sort | tail -3
tar cf - /usr/share/perl5 2>/dev/null | tar tf - | wc -l""")


# --- servers ---

def wait_for(what, condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < deadline, "never:", what)
        time.sleep(0.05)


def end(process, number):
    process.send_signal(number)
    out, _ = process.communicate(timeout=30)
    return process.returncode, out


def redis(side):
    server = side.start("redis-server", "--port", "0", "--unixsocket", side.path("sock"), "--save", "",
                        "--io-threads", "2", "--daemonize", "no")
    try:
        wait_for("redis", lambda: os.path.exists(side.path("sock")))
        client = ("redis-cli", "-s", side.path("sock"))
        load = side.run("redis-benchmark", "-s", side.path("sock"), "-n", "15000", "-c", "20", "-r", "3000", "-q", "-t",
                        "set,get,lpush,sadd,zadd,mset", env=side.plain_env())
        size = side.run(*client, "llen", "mylist", env=side.plain_env())
        saved = side.run(*client, "bgrewriteaof", env=side.plain_env())
        more = side.run(*client, "memory", "purge", env=side.plain_env())
    except BaseException:
        server.kill()
        raise
    status, _ = end(server, signal.SIGTERM)
    return load[0], size, saved[:2], more[:2], status


def nginx(side):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    side.write("index.html", "hello\n" * 1000)
    side.write("nginx.conf", f"""daemon off; master_process off; pid {side.path('pid')}; error_log {side.path('error')};
events {{ worker_connections 100; }} http {{ access_log {side.path('access')}; client_body_temp_path {side.path('b')};
proxy_temp_path {side.path('p')}; fastcgi_temp_path {side.path('f')};
uwsgi_temp_path {side.path('u')}; scgi_temp_path {side.path('s')};
gzip on; gzip_min_length 1; gzip_types *; server {{ listen 127.0.0.1:{port}; root {side.directory}; }} }}""")
    server = side.start("nginx", "-c", side.path("nginx.conf"), "-e", side.path("error"))
    try:
        wait_for("nginx", lambda: os.path.exists(side.path("pid")))
        load = side.run("ab", "-n", "3000", "-c", "20", "-H", "Accept-Encoding: gzip",
                        f"http://127.0.0.1:{port}/index.html", env=side.plain_env())
    except BaseException:
        server.kill()
        raise
    status, _ = end(server, signal.SIGQUIT)
    wanted = ("Complete requests", "Failed requests", "Document Length", "Total transferred")
    return load[0], [line for line in load[1].splitlines() if line.startswith(wanted)], status


# --- games ---

def freeciv(side):
    """A whole game of four computer players, 15 turns (C). It refuses to run as root."""
    script = side.write("auto.serv", "\n".join((
        "set gameseed 42", "set mapseed 42", "set aifill 4", "set minplayers 0", "set timeout -1", "set endturn 15",
        "set saveturns 0", "start")) + "\n")
    user = {"user": 65534, "group": 65534} if os.getuid() == 0 else {}
    if user and "LD_PRELOAD" in side.env: # the tree may be closed to that user, in /root
        for file in (LIBRARY, PROGRAM):
            shutil.copy(file, side.directory)
        side.env["LD_PRELOAD"] = side.path("libpoolprof.so")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    status, out, _ = side.run("freeciv-server", "--Announce", "none", "-p", port, "-b", "127.0.0.1", "-e", "-r", script,
                              "-s", side.directory, "-q", "5", **user)
    return status, re.findall(r".*(?:rules the|map of size|Game saved).*", out)


def crawl(side):
    """Dungeon Crawl's arena on a terminal: a tournament of monsters (C++, Lua, SQLite)."""
    os.mkdir(side.path("dir"))
    command = ["crawl", "-dir", side.path("dir"), "-rc", "/dev/null", "-arena", "5 goblin v 3 hobgoblin t:3 delay:0"]
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(side.directory)
        os.execvpe(command[0], command, side.env)
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 1)[0]:
            try:
                if not os.read(terminal, 65536):
                    break
            except OSError:
                break
        else:
            os.write(terminal, b"\x1b")
    else:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    with open(side.path("arena.result"), encoding="utf-8") as file:
        won = [int(part) for part in file.read().split("-")] # chance decides who wins
    return status, sorted(os.listdir(side.directory)), sum(won)


def gnugo(side):
    moves = "".join("genmove black\ngenmove white\n" for _ in range(10))
    return side.run("gnugo", "--mode", "gtp", "--seed", "7", "--level", "5",
                    input=f"boardsize 9\n{moves}showboard\nquit\n")


# name of the program: (least allocations, what it plays)
CASES = {
    "bash": (20000, bash), "python3": (100000, python), "perl": (10000, perl), "git": (300, git), "g++": (100, gxx),
    "cc1plus": (100000, gxx), "node": (5000, node), "gdb": (100000, gdb), "xz": (50, xz), "sort": (10, sort),
    "sqlite3": (5000, sqlite), "find": (1000, pipeline), "tar": (50, pipeline), "redis-server": (50000, redis),
    "nginx": (3000, nginx), "freeciv-server": (100000, freeciv), "crawl": (100000, crawl), "gnugo": (1000, gnugo),
}
FILES = {"redis-server": "redis-check-rdb"} # where a program's file has another name (Debian's symlinks)


if __name__ == "__main__":
    missing = [tool for tool in ("redis-server", "nginx", "ab", "crawl", "gnugo", "freeciv-server", "gdb", "node")
               if not shutil.which(tool, path="/usr/bin:/bin:/usr/sbin:/usr/games")]
    if missing:
        print("not installed:", *missing, "(tests/real/run.sh --install)")
    main({name: lambda name=name: compare(name, *CASES[name]) for name in CASES})

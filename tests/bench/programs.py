"""The rows with real programs: how their input is made and what is run.

Each row is a Program. `make(work, factor)` writes the input into the work directory (factor 1, or
less for --quick) and returns the command, or None where the program is not installed. Inputs come
from fixed seeds. The programs run bare and under each preload, children included.
"""
import os
import random
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import Callable

HERE = os.path.dirname(os.path.abspath(__file__))
EXAMPLES = os.path.join(HERE, "..", "..", "examples")


@dataclass
class Command:
    argv: list
    stdin: str = os.devnull
    environment: dict = field(default_factory=dict)
    cwd: str = None
    client: list = None     # a server's row: argv is the server, this is timed, then SIGTERM


@dataclass
class Program:
    name: str
    what: str
    make: Callable


def words(seed, count):
    chance = random.Random(seed)
    letters = "etaoinshrdlucmfwyp"
    known = ["".join(chance.choice(letters) for _ in range(chance.randint(2, 9)))
             for _ in range(5000)]
    return [known[min(int(chance.paretovariate(0.6)), 4999)] for _ in range(count)]


def write_file(work, name, text):
    path = os.path.join(work, name)
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    return path


def write_text(work, factor):
    path = os.path.join(work, "text.txt")
    if not os.path.exists(path):
        all_words = words(1, int(600000 * factor))
        with open(path, "w", encoding="ascii") as file:
            for at in range(0, len(all_words), 9):
                file.write(" ".join(all_words[at:at + 9]) + "\n")
    return path


def make_python(work, factor):
    # /usr/bin first: shims of version managers are shell scripts and would be measured too.
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    return python and Command([python, "-S", os.path.join(HERE, "work.py"),
                               str(max(1, int(5 * factor)))],
                              environment={"PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "1"})


def make_perl(work, factor):
    perl = shutil.which("perl")
    return perl and Command([perl, os.path.join(HERE, "work.pl"), write_text(work, factor), "1"],
                            environment={"PERL_HASH_SEED": "0"})


def make_sqlite(work, factor):
    path = os.path.join(work, "load.sql")
    chance = random.Random(2)
    names = words(3, 2000)
    with open(path, "w", encoding="ascii") as file:
        file.write("create table person(id integer primary key, name text, city text);\n"
                   "create table sale(person integer, item text, price real);\nbegin;\n")
        for n in range(int(20000 * factor)):
            file.write("insert into person values(%d, '%s %d', '%s');\n"
                       % (n, chance.choice(names), n, chance.choice(names)))
            for _ in range(2):
                file.write("insert into sale values(%d, '%s', %.2f);\n"
                           % (n, chance.choice(names), chance.random() * 100))
        file.write("commit;\ncreate index by_city on person(city);\n"
                   "create index by_person on sale(person, price);\n")
        for query in ("select city, count(*), sum(price) from person, sale where id = person"
                      " group by city order by 3 desc limit 20",
                      "select item, group_concat(name) from sale, person where id = person"
                      " and price > 90 group by item limit 50",
                      "select name, rank() over (partition by city order by name) from person",
                      "select count(*) from person where name like '%ea%' or city like '%th%'"):
            file.write(query + ";\n")
        for n in range(int(2000 * factor)):
            file.write("select name, max(price) from person, sale where id = person"
                       " and id = %d;\n" % (n * 7))
    sqlite = shutil.which("sqlite3")
    return sqlite and Command([sqlite, "-init", os.devnull, ":memory:"], stdin=path)


def make_compiler(level):
    def make(work, factor):
        if not shutil.which("g++"):
            return None
        compiler = subprocess.run(["g++", "-print-prog-name=cc1plus"], check=True,
                                  capture_output=True, text=True).stdout.strip()
        path = os.path.join(work, "shop.ii")
        subprocess.run(["g++", "-std=c++17", "-E", os.path.join(EXAMPLES, "shop.cpp"), "-o", path],
                       check=True)
        return Command([compiler, "-quiet", "-fpreprocessed", path, "-std=c++17", level,
                        "-o", os.devnull])
    return make


def make_sort(work, factor):
    return Command(["/usr/bin/sort", "--parallel=2", "-S", "64M", "-k3,3", "-k1,1",
                    *[write_text(work, factor)] * 6, "-o", os.devnull],
                   environment={"LC_ALL": "C.UTF-8"})


def make_xz(work, factor):
    xz = shutil.which("xz")
    return xz and Command([xz, "-T2", "--block-size=1MiB", "-2", "-k", "-c",
                           *[write_text(work, factor)] * 3])


def make_repository(work, factor):
    """A repository of some hundred commits to thirty files, by git fast-import."""
    path = os.path.join(work, "repository")
    if os.path.exists(path):
        return path
    chance = random.Random(4)
    vocabulary = words(5, 4000)
    files = [[" ".join(chance.sample(vocabulary, 8)) for _ in range(120)] for _ in range(30)]
    stream = []
    for commit in range(int(1000 * factor)):
        stream.append("commit refs/heads/main\ncommitter A U Thor <a@example.org> %d +0000\n"
                      "data 9\nchange it\n" % (1700000000 + commit * 3600))
        for which in chance.sample(range(30), 3):
            for _ in range(5):
                files[which][chance.randrange(120)] = " ".join(chance.sample(vocabulary, 8))
            text = "\n".join(files[which]) + "\n"
            stream.append("M 100644 inline dir%d/file%d.txt\ndata %d\n%s\n"
                          % (which % 5, which, len(text), text))
    subprocess.run(["git", "init", "-q", "-b", "main", path], check=True)
    subprocess.run(["git", "-C", path, "fast-import", "--quiet"], check=True,
                   input="".join(stream).encode())
    return path


def make_git(*arguments):
    def make(work, factor):
        git = shutil.which("git")
        return git and Command([git, *arguments], cwd=make_repository(work, factor), environment={
            "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_PAGER": "cat"})
    return make


def make_redis(work, factor):
    """Debian's redis-server is linked with libjemalloc: its bare column is not glibc's malloc."""
    server, client = shutil.which("redis-server"), shutil.which("redis-benchmark")
    if not server or not client:
        return None
    socket = os.path.join(work, "redis.sock")
    return Command([server, "--port", "0", "--unixsocket", socket, "--save", "", "--dir", work],
                   client=[client, "-s", socket, "-q", "-n", str(int(60000 * factor)), "-P", "16",
                           "-r", "10000", "-d", "100", "-t", "set,get,lpush,lpop,hset,sadd"])


def compile_example(work, compiler, sources, name):
    path = os.path.join(work, name)
    if not shutil.which(compiler[0]):
        return None
    subprocess.run([*compiler, "-O2", "-g", "-pthread", *sources, "-o", path], check=True)
    return path


def make_game(work, factor):
    folder = os.path.join(EXAMPLES, "game")
    sources = sorted(os.path.join(folder, n) for n in os.listdir(folder) if n.endswith(".c"))
    game = compile_example(work, ["gcc", "-std=gnu17"], sources, "game")
    return game and Command([game, "--frames", str(int(3000 * factor))])


def make_shop(work, factor):
    sources = [os.path.join(EXAMPLES, "shop.cpp")]
    shop = compile_example(work, ["g++", "-std=c++17"], sources, "shop")
    return shop and Command([shop, "--days", str(int(3000 * factor))])


NODE = """
const words = [];
for (let i = 0; i < COUNT; i++) words.push({ id: i, name: 'w' + (i * 7919) % 1000, tags: [String(i % 13), 'x'] });
let sum = 0;
for (let round = 0; round < 12; round++) {
  const text = JSON.stringify(words), back = JSON.parse(text), index = new Map();
  for (const word of back) index.set(word.name + round, word);
  sum += index.size + require('zlib').deflateSync(text).length + Buffer.alloc(10000 + round).length;
}
console.log(sum);
"""


def make_node(work, factor):
    node = shutil.which("node", path="/usr/bin:/usr/local/bin")
    return node and Command([node, write_file(work, "work.js", NODE.replace("COUNT", str(int(20000 * factor))))])


LUA = """
local function tree(depth) if depth == 0 then return {} end return { tree(depth - 1), tree(depth - 1) } end
local function count(t) if not t[1] then return 1 end return 1 + count(t[1]) + count(t[2]) end
local sum = 0
for round = 1, ROUNDS do
  sum = sum + count(tree(14))
  local words = {}
  for i = 1, 20000 do words[i] = ("w" .. i % 977):rep(1 + i % 3):upper() end
  table.sort(words)
  sum = sum + #table.concat(words, " ")
end
print(sum)
"""


def make_lua(work, factor):
    lua = shutil.which("lua5.4")
    return lua and Command([lua, write_file(work, "work.lua", LUA.replace("ROUNDS", str(max(1, int(12 * factor)))))])


SHEET = """<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><xsl:output method="text"/>
<xsl:key name="by" match="row" use="@kind"/>
<xsl:template match="/"><xsl:for-each select="//row[count(. | key('by', @kind)[1]) = 1]"><xsl:sort select="@kind"/>
<xsl:value-of select="concat(@kind, ' ', sum(key('by', @kind)/price), ' ')"/>
<xsl:for-each select="key('by', @kind)"><xsl:sort select="name"/><xsl:value-of select="substring(name, 1, 3)"/></xsl:for-each>
</xsl:for-each></xsl:template></xsl:stylesheet>
"""


def make_xsltproc(work, factor):
    chance = random.Random(6)
    names = words(7, 1000)
    rows = "".join('<row kind="k%d"><name>%s</name><price>%d</price></row>\n'
                   % (chance.randrange(40), chance.choice(names), chance.randrange(100))
                   for _ in range(int(40000 * factor)))
    xsltproc = shutil.which("xsltproc")
    return xsltproc and Command([xsltproc, write_file(work, "sheet.xsl", SHEET),
                                 write_file(work, "rows.xml", "<rows>" + rows + "</rows>")])


def make_freeciv(work, factor):
    """A whole game of four computer players."""
    server = shutil.which("freeciv-server", path="/usr/games:/usr/bin")
    if not server or os.getuid() == 0 and not shutil.which("setpriv"):
        return None
    script = write_file(work, "auto.serv", "\n".join((
        "set gameseed 42", "set mapseed 42", "set aifill 4", "set minplayers 0", "set timeout -1",
        "set endturn %d" % max(5, int(30 * factor)), "set saveturns 0", "start")) + "\n")
    # It refuses to run as root; "no new privileges" would not keep the preload from it.
    os.chmod(work, 0o755)
    user = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"] if os.getuid() == 0 else []
    return Command([*user, server, "--Announce", "none", "-p", "35556", "-b", "127.0.0.1", "-e", "-r", script, "-q", "5"],
                   environment={"HOME": work})


def make_start(work, factor):
    return Command(["/bin/sh", "-c", "i=0; while [ $i -lt %d ]; do /bin/true; i=$((i + 1)); done"
                    % max(10, int(100 * factor))])


PROGRAMS = [
    Program("python", "python3 with PYTHONMALLOC=malloc: ast, json, re, strings", make_python),
    Program("sqlite", "sqlite3 loading and querying in memory", make_sqlite),
    Program("perl", "perl counting words, hashes, regular expressions", make_perl),
    Program("cc1plus-O0", "the C++ compiler on shop.cpp, -O0", make_compiler("-O0")),
    Program("cc1plus-O2", "the C++ compiler on shop.cpp, -O2", make_compiler("-O2")),
    Program("git-log", "git log -p of some hundred commits", make_git("log", "-p", "--stat")),
    Program("git-repack", "git repack, two threads, several processes",
            make_git("-c", "pack.threads=2", "repack", "-adfq")),
    Program("sort", "sort on two threads", make_sort),
    Program("xz", "xz on two threads", make_xz),
    Program("node", "node: JSON, maps, zlib", make_node),
    Program("lua", "lua5.4: trees, strings, sorting", make_lua),
    Program("xsltproc", "xsltproc grouping and sorting rows", make_xsltproc),
    Program("freeciv", "freeciv-server, a game of four computer players", make_freeciv),
    Program("redis", "redis-server under redis-benchmark", make_redis),
    Program("game", "examples/game, no leaks", make_game),
    Program("shop", "examples/shop.cpp, no leaks", make_shop),
    Program("start", "a shell starting /bin/true a hundred times", make_start),
]

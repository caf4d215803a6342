#!/bin/sh
# tests/oracle/run.sh [--build FOLDER] [--every N] [STACKS]
# STACKS (10,000,000) stacks of six programs, a sixth each: at each N-th malloc (1) the stack is taken
# by the memo, by a fresh walk, by libunwind and by libgcc. Prints a table by program: compared; equal to
# both others; explained: equal to one of them only, since the other is known to be wrong there (libgcc
# stops at code without unwind information, libunwind does not notice dlclose), or neither follows
# generated code; unexplained. Status 1 if any is unexplained. A program that is missing is left out.
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=$here/../../build every=1 wanted=10000000
while [ $# -gt 0 ]; do
    case $1 in
    --build) build=$2; shift 2 ;;
    --every) every=$2; shift 2 ;;
    *) wanted=$1; shift ;;
    esac
done
preload=$(find "$build" -name 'liboracle_preload.so' | head -n 1)
[ -n "$preload" ] || { echo "run.sh: no liboracle_preload.so in $build: build first" >&2; exit 2; }
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
log=$work/log quota=$(((wanted + 5) / 6))

compared() { awk '{ n += $4 } END { print n + 0 }' "$log" 2>/dev/null || echo 0; }

# Runs a program again and again until it has given its share.
share() {
    name=$1; shift
    command -v "$1" >/dev/null || { echo "$1 is not installed" >&2; return; }
    log=$work/$name.log
    : >"$log"
    for turn in $(seq 1000); do
        left=$((quota - $(compared)))
        [ "$left" -gt 0 ] || break
        ORACLE_LOG=$log ORACLE_LIMIT=$left ORACLE_EVERY=$every LD_PRELOAD=$preload "$@" \
            >/dev/null 2>>"$work/stderr" </dev/null
        [ "$(compared)" -gt 0 ] || { echo "$name: no stack was compared" >&2; break; }
    done
}

cat >"$work/a.cc" <<'EOF'
#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <regex>
#include <string>
#include <vector>
int main() {
    std::map<std::string, std::vector<std::function<int(int)>>> m;
    std::regex r("a(b|c)*d");
    m["x"].push_back([&](int i) { return std::regex_match("abcd", r) + i; });
    for (auto &p : m) std::cout << p.first << p.second[0](1) << "\n";
}
EOF
cat >"$work/a.sql" <<'EOF'
create table t(a integer primary key, b text, c real);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000)
  insert into t select i, printf('row %d of %s', i, hex(randomblob(8))), i * 0.5 from n;
create index tb on t(b);
select substr(b, 1, 5), count(*), avg(c), group_concat(a) from t group by a % 97 order by 2;
select upper(b) || lower(b) from t where b like '%ab%' order by c desc;
update t set b = b || 'x' where a % 3 = 0;
delete from t where a % 5 = 0;
EOF
cat >"$work/a.py" <<'EOF'
import ast, collections, decimal, json, re, threading
def work(n):
    for i in range(n):
        json.loads(json.dumps([{"k": j, "s": str(j)} for j in range(50)]))
        ast.parse("def f(a, b):\n    return [x * 2 for x in a if x > %d]\n" % i)
        re.compile("(a|b%d)+[c-f]*$" % i).match("abab")
        sum(decimal.Decimal(i) / 7 for _ in range(20))
        collections.Counter("the quick brown fox %d" % i)
threads = [threading.Thread(target=work, args=(3000,)) for _ in range(2)]
[t.start() for t in threads]
[t.join() for t in threads]
EOF
cat >"$work/a.pl" <<'EOF'
my %h;
for my $n (1 .. 200000) {
    my $s = join ",", map { $_ * $n } 1 .. 8;
    $h{$n % 5000} = { list => [split /,/, $s], text => $s =~ s/1/one/gr };
    my @sorted = sort { $a <=> $b } @{ $h{$n % 5000}{list} };
    eval { die { code => $n } if $n % 10 == 0 };
    my $f = sub { my $x = shift; sprintf "%s-%05d", $x, $n };
    $f->($s);
}
EOF
cat >"$work/a.js" <<'EOF'
const z = require('zlib');
for (let n = 0; n < 200; n++) {
    const a = [];
    for (let i = 0; i < 3000; i++) a.push({ i, s: 'x' + i, f: () => i });
    JSON.parse(JSON.stringify(a));
    z.gunzipSync(z.gzipSync(Buffer.alloc(20000, String(n))));
    new RegExp('a' + n + '(b|c)*').exec('abcbc');
}
EOF
PYTHONMALLOC=malloc share python3 python3 "$work/a.py"
share sqlite3 sqlite3 :memory: ".read $work/a.sql"
share cc1plus g++ -O2 -c "$work/a.cc" -o "$work/a.o"
share perl perl "$work/a.pl"
share git git -C "$here" log -p --stat -M
share node node "$work/a.js"

cat "$work/stderr" | grep -v '^oracle' | head -n 60 >&2
cat "$work"/*.log | awk '
    { n = $2; c[n] += $4; e[n] += $6; x[n] += $8 + $10 + $16; u[n] += $12; r[n] += $18 }
    END {
        printf "%-16s %11s %11s %11s %11s\n", "program", "compared", "equal", "explained", "unexplained"
        for (n in c) {
            printf "%-16s %11d %11d %11d %11d\n", n, c[n], e[n], x[n], u[n] | "sort"
            C += c[n]; E += e[n]; X += x[n]; U += u[n]; R += r[n]
        }
        close("sort")
        printf "%-16s %11d %11d %11d %11d\n", "all", C, E, X, U
        if (R) print R " of the unexplained: the memo differs from a fresh walk"
        exit U > 0 || C == 0
    }'

#!/bin/sh
# programs.sh PRELOAD.so FOLDER: what the machine has of these programs, compared in each malloc.
# Fails if a stack is unlike both others; not for node, where libunwind may follow what is no frame.
preload=$1 log=$2/oracle_programs.log
rm -f "$log"
run() {
    command -v "$1" >/dev/null || return
    ORACLE_LOG=$log LD_PRELOAD=$preload "$@" >/dev/null 2>&1 </dev/null
}
run bash -c 'for i in 1 2 3; do ls; done; x=$(echo a | sed s/a/b/)'
run python3 -c 'import json, re, decimal, hashlib, threading
def work(): [hashlib.sha256(b"x" * i).digest() for i in range(500)]
t = [threading.Thread(target=work) for _ in range(4)]
[x.start() for x in t]; [x.join() for x in t]
json.loads(json.dumps(list(range(1000))))'
run perl -e 'my %h; $h{$_} = [$_] for 1..1000; print scalar keys %h'
echo '#include <map>
#include <string>
int main() { std::map<std::string, int> m; return m["a"]; }' >"$2/oracle_programs.cpp"
run g++ -O1 -c "$2/oracle_programs.cpp" -o "$2/oracle_programs.o"
run git --version
run cmake --version
run gdb -batch -ex 'info line main' /bin/true
run openssl speed -seconds 1 -bytes 64 sha256
run node -e 'let a = []; for (let i = 0; i < 3e4; i++) a.push({i}); JSON.stringify(a)'
cat "$log"
bad=$(awk '{ if ($12 > 0 && $2 != "node") n++; c += $4 } END { print (n || !c) ? 1 : 0 }' "$log")
[ "$bad" = 0 ]

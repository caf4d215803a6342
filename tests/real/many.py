"""Sixty programs and more, a line of shell each, under the preload as they are bare: the same words on both streams and
the same status, and a profile of the program that the line is about. What is not installed is named and left out.
many.py: all that is there; many.py NAME...: these.
"""
import re
import shutil
import sys
import time

from real import BARE, DATA, Side, read_report, shell
from driver import PATIENCE_S, PROGRAMS, Failure, Sandbox, check

# The program (as its profile is named), and what it does in an empty directory with `data` (10 MB of lines).
TABLE = {
    "addr2line": "addr2line -f -e $B/sites main",
    "ar": "cp $B/hello a; ar rcD x.a a data; ar t x.a; md5sum < x.a",
    "as": "echo 'f: mov $1, %eax; ret' | as -o a.o; md5sum < a.o",
    "awk": "awk '{n[$1 % 97] += NF; t[$3] = $1} END {for (k in n) s += n[k]; print s, length(t)}' data",
    "b2sum": "b2sum data",
    "base64": "base64 data | base64 -d | cmp - data",
    "bc": "echo 'scale=300; 4*a(1); 2^2000' | bc -l",
    "bzip2": "bzip2 -k data; bzip2 -dc data.bz2 | cmp - data; md5sum < data.bz2",
    "c++filt": "for i in $(seq 50); do echo _ZNSt6vectorIiSaIiEE9push_backERKi$i; done | c++filt",
    "cc1": "echo 'int f(int a){return a*a;}' > a.c; gcc -O2 -c a.c; md5sum < a.o",
    "clang": "echo 'int f(int a){return a*a;}' > a.c; clang -O2 -c a.c; md5sum < a.o",
    "cmake": "echo 'cmake_minimum_required(VERSION 3.0)\nproject(x NONE)\nmessage(STATUS \"a "
               "${CMAKE_VERSION}\")' > "
             "CMakeLists.txt; cmake . | grep -v seconds",
    "column": "head -2000 data | column -t | md5sum",
    "comm": "sort data > a; head -1000 data | sort > b; comm -12 a b | wc -l",
    "convert": "convert -size 64x64 gradient:red-blue -rotate 30 a.ppm; md5sum < a.ppm",
    "csplit": "csplit -s data 100 200 300; wc -l xx*",
    "curl": "curl -s file://$PWD/data | md5sum",
    "cut": "cut -d' ' -f1,3 data | md5sum",
    "dash": "dash -c 'i=0; while [ $i -lt 3000 ]; do i=$((i+1)); x=$x$i; done; echo ${#x}; (exit 7) || echo $?'",
    "date": "date -u -d @1234567890; TZ=Asia/Tokyo date -d @99",
    "dd": "dd if=data of=b bs=64k count=30 status=none; cmp b data",
    "debugfs": "truncate -s 4M fs; mke2fs -q -t ext4 -U clear fs; debugfs -R 'ls -l' fs",
    "diff": "sed 's/7/8/' data > b; diff data b | md5sum; head -90 data > a; head -90 b | diff a -",
    "dpkg-query": "dpkg-query -W -f '${Package} ${Version}\\n' | md5sum",
    "du": "mkdir -p a/b/c; cp data a/b; du -a --apparent-size -b a",
    "ed": "printf 'g/77/d\\n$=\\nw b\\nq\\n' | ed -s data; md5sum < b",
    "expr": "expr 12345678901234567890 '*' 98765432109876543210; expr abc : 'a\\(.\\)'",
    "factor": "factor $(seq 1000000007 1000000200) 18446744073709551557",
    "fakeroot": "fakeroot -- sh -c 'touch a; chown 7:8 a; stat -c %u:%g a'",
    "fc-list": "fc-list | sort | md5sum",
    "file": "file -b data $B/hello /usr/share/doc /dev/null",
    "find": "find /usr/share/doc -name 'c*' -newermt 2000-01-01 | sort | md5sum",
    "fmt": "head -3000 data | fmt -w 60 | md5sum",
    "gcc": "gcc -v 2>&1 | tail -1; gcc -print-search-dirs | md5sum",
    "getconf": "getconf -a | grep -v PHYS | md5sum",
    "go": "go version; go env GOOS GOARCH",
    "gpg": "mkdir -m 700 h; gpg --homedir h --batch -q --print-md SHA256 data; "
               "echo x | gpg --homedir h --batch --dearmor; true",
    "grep": "grep -c '7.*9' data; grep -E '(a|b)?12+' data | md5sum; grep -P '(?<=x)x$' data | wc -l",
    "gzip": "gzip -nk data; gzip -dc data.gz | cmp - data; md5sum < data.gz",
    "head": "head -c 1000000 data | tail -n 50000 | md5sum",
    "iconv": "iconv -f UTF-8 -t UTF-16LE data | iconv -f UTF-16LE -t ISO-8859-1 | cmp - data",
    "java": "java -Xint -Xshare:off -version 2>&1 | head -1",
    "join": "sort data > a; join a a | wc -l",
    "jq": "seq 20000 | jq -s 'map({k: (. % 7 | tostring), v: .}) | group_by(.k) | map({(.[0].k): (map(.v) | "
               "add)}) | add'",
    "ld": "echo 'int main(void){return 5;}' > a.c; gcc -c a.c; ld -r -o b.o a.o a.o 2>&1 | head -1; "
               "gcc a.o -o a; ./a; echo $?",
    "less": "less -F data < /dev/null | md5sum",
    "localedef": "localedef --list-archive; echo $?",
    "ls": "ls -laR /usr/share/doc | md5sum",
    "lz4": "lz4 -q data a.lz4; lz4 -dcq a.lz4 | cmp - data",
    "m4": "printf 'changequote([,])define([f],[ifelse($1,0,1,[eval($1*f(decr($1)))])])f(9)' | m4",
    "make": "printf 'all: a b c\\n%%: ; @echo $@ $(words $(wildcard /usr/bin/*))\\n' > Makefile; make; "
               "make -pn | wc -l | wc -l",
    "man": "man --version; man -w bash 2>&1 | head -1",
    "md5sum": "md5sum data data",
    "msgfmt": "printf 'msgid \"a\"\\nmsgstr \"b\"\\n' > a.po; msgfmt -o a.mo a.po; md5sum < a.mo",
    "ninja": "printf 'rule c\\n command = cp data $out\\nbuild b: c\\nbuild d: c\\n' > build.ninja; "
               "ninja -j1 | tail -1; ls",
    "nl": "nl data | md5sum",
    "nm": "nm $B/sites | awk '{print $3}' | sort | md5sum",
    "numfmt": "cut -d' ' -f1 data | numfmt --to=iec | md5sum",
    "objdump": "objdump -d $B/sites | md5sum; objdump -WL $B/sites | md5sum",
    "od": "od -A x -t x1z data | md5sum",
    "openssl": "openssl dgst -sha256 data; openssl enc -aes-128-cbc -K 00 -iv 00 -in data 2>/dev/null | md5sum; "
               "openssl prime 1000000007",
    "patch": "cp data b; sed 's/77/88/' data > c; diff -u data c > p; patch -s b p; cmp b c",
    "paste": "paste data data | md5sum",
    "perl": "perl -ne '$h{$_ % 977}++; END {print scalar keys %h, \"\\n\"}' data",
    "pr": "pr -3 data | grep -v Page | md5sum",
    "ps": "ps -o comm= -p $$",
    "psql": "psql --version; psql --help | md5sum",
    "ptx": "head -200 data | ptx | md5sum",
    "python3": "python3 -c 'import json, re, decimal; print(len(json.dumps({str(i): [i] for i in range(30000)})), "
               "decimal.Decimal(2) ** 300)'",
    "readelf": "readelf -aW $B/sites | md5sum",
    "rustc": "rustc --version",
    "sed": "sed -E 's/([0-9]+) line/\\1:/; /99/d; y/x/y/' data | md5sum",
    "seq": "seq -w 1 7 300000 | md5sum",
    "sha256sum": "sha256sum data",
    "shuf": "shuf --random-source=data data | md5sum",
    "sort": "sort -k2,2 -k1n data | md5sum; sort -u -t' ' -k3 data | wc -l",
    "split": "split -n l/7 data; md5sum x*",
    "sqlite3": "printf 'create table t(a,b);with recursive c(x) as (select 1 union all select x+1 from c "
               "where x<20000) "
               "insert into t select x,hex(x) from c;select sum(a),count(distinct b) from t;' | sqlite3",
    "ssh-keygen": "ssh-keygen -q -t ed25519 -N '' -f k; ssh-keygen -l -f k.pub | wc -w",
    "stat": "stat -c '%s %F' data /usr",
    "strings": "strings -n 6 $B/sites | md5sum",
    "strip": "cp $B/sites a; strip a; md5sum < a",
    "tac": "tac data | md5sum",
    "tar": "tar --mtime=@0 --owner=0 --group=0 -cf a.tar data; tar tvf a.tar; md5sum < a.tar",
    "tclsh": "echo 'for {set i 0} {$i < 20000} {incr i} {lappend l [expr $i*$i]; dict set d $i x}; "
               "puts [llength $l][dict size $d]' | tclsh",
    "tr": "tr 'a-z0-4' 'A-Z5-9' < data | md5sum",
    "tsort": "awk '{print $1, $1 + 1}' data | head -5000 | tsort 2>&1 | wc -l",
    "uniq": "cut -c1-2 data | sort | uniq -c | sort -rn | head",
    "unzip": "zip -qX a.zip data; unzip -p a.zip | cmp - data; unzip -l a.zip | tail -1",
    "vim": "vim -es -u NONE -c '%s/77/88/ge' -c 'wq! b' data; md5sum < b",
    "wget": "wget -q -O - http://127.0.0.1:1/; echo $?",
    "xargs": "seq 2000 | xargs -n 100 echo | wc",
    "xgettext": "echo 'int main(){puts(_(\"a\"));}' > a.c; xgettext -k_ -o - a.c | grep msgid",
    "xmllint": "(echo '<a>'; for i in $(seq 3000); do echo \"<b i='$i'>x</b>\"; done; echo '</a>') > a.xml; "
               "xmllint --format --xpath 'count(//b[@i mod 3 = 0])' a.xml",
    "xxd": "xxd data | xxd -r | cmp - data",
    "xz": "xz -1 -k data; xz -dc data.xz | cmp - data; md5sum < data.xz",
    "zsh": "zsh -fc 'a=({1..20000}); print ${#a} ${(j:,:)a[1,5]} $(( 2 ** 40 )); typeset -A h; h[x]=1; "
               "print ${(k)h}'",
    "zstd": "zstd -q -3 data -o a.zst; zstd -dcq a.zst | cmp - data; md5sum < a.zst",
}
FILES = {"awk": "[mg]awk|awk", "vim": r"vim.*", "ld": r".*ld(\.bfd)?", "as": ".*as", "ar": ".*ar", "cc1": "cc1|.*gcc.*",
         "python3": r"python3.*", "convert": "convert.*", "perl": "perl.*", "clang": "clang.*", "strip": ".*strip",
         "go": "go", "java": "java", "rustc": "rustc|rustup", "gcc": ".*gcc.*", "tclsh": "tclsh.*", "nm": ".*nm",
         "objdump": ".*objdump", "readelf": ".*readelf", "strings": ".*strings", "addr2line": ".*addr2line",
         "c++filt": r".*c\+\+filt", "m4": "m4", "fakeroot": "dash|touch|chown|stat|sh", "debugfs": "debugfs|mke2fs"}
NOT_OUR_OWN = ("go", "rustc") # may be scripts or static: no profile is asked for
PACKAGE_OF = {"cc1": "gcc"} # the command whose presence tells
PATH = "/usr/bin:/bin:/usr/sbin:/usr/games"


def play(name):
    """Returns (allocations, profiles)."""
    with Sandbox() as box:
        sides = []
        for preload in (False, True):
            side = Side(box, preload)
            side.write("data", DATA)
            sides.append(shell(side, "export B='" + PROGRAMS + "'; " + TABLE[name]))
        bare, done = [repr(side).replace("/preloaded", "/bare") for side in sides]
        check(bare == done, "bare", bare[:600], "\npreloaded", done[:600])
        if BARE or name in NOT_OUR_OWN:
            return 0, 0
        wanted = re.compile(rf"({FILES.get(name, re.escape(name))})(\.\d+)+\.poolprof")
        deadline = time.monotonic() + PATIENCE_S # a child's comes when the watcher gets round to it
        while not (found := [profile for profile in box.profiles() if wanted.fullmatch(profile)]):
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)
        check(found, "no profile, there are", box.profiles())
        return max(read_report(box.path(profile))["totals"]["allocations"] for profile in found), len(box.profiles())


def run(names):
    passed, failed, missing = 0, 0, []
    for name in names:
        if not shutil.which(PACKAGE_OF.get(name, name), path=PATH):
            missing.append(name)
            continue
        try:
            allocations, profiles = play(name)
            print(f"{name:12} same, {allocations} allocations, {profiles} profiles", flush=True)
            passed += 1
        except Failure as failure:
            failed += 1
            print(f"{name:12} FAILED: {failure}", flush=True)
    print(f"{passed} programs as bare, {failed} not; not installed: {' '.join(missing) or 'none'}")
    return 1 if failed or passed < min(60, len(names) - len(missing)) else 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:] or list(TABLE)))

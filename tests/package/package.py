"""What `cmake --install` puts down is enough for others: a program builds against it by CMake and by pkg-config, and runs
with and without the library; shells complete commands, options and formats."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

BUILD = os.environ["PP_BUILD"]

PROGRAM = """#include <poolprof/poolprof.h>
#include <stdio.h>
int main(void) {
    struct poolprof_pool *pool = poolprof_pool_create("things", 40, 10);
    void *thing = poolprof_pool_acquire(pool);
    POOLPROF_TAG("kept");
    printf("%d\\n", thing != NULL);
    poolprof_frame();
    return 0;
}
"""
PROJECT = """cmake_minimum_required(VERSION 3.16)
project(consumer C)
find_package(poolprof 0.1 REQUIRED)
add_executable(consumer consumer.c)
target_link_libraries(consumer PRIVATE poolprof::poolprof)
file(WRITE ${CMAKE_BINARY_DIR}/library "${poolprof_LIBRARY}")
"""


def check(condition, *what):
    if not condition:
        print("FAILED:", *what)
        sys.exit(1)


def run(*command, **more):
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)
    check(done.returncode == 0, *command, done.stdout)
    return done.stdout


def complete(prefix, *words):
    """What bash offers for the last word."""
    line = " ".join("'" + word + "'" for word in words)
    script = f"""source {prefix}/share/bash-completion/completions/poolprof; compopt() {{ :; }}
COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _poolprof; printf '%s\\n' "${{COMPREPLY[@]}}\""""
    return run("bash", "-c", script, env={**os.environ, "PATH": f"{prefix}/bin:{os.environ['PATH']}"}).split()


def complete_zsh(prefix, *words):
    """What zsh would be given to offer for the last word: its own functions are replaced by some that print."""
    line = " ".join("'" + word + "'" for word in words)
    script = f"""compadd() {{ print -l -- "$@" }}; _describe() {{ print -l -- ${{(P)2}} }}; _arguments() {{ print -- "$@" }}
_files() {{ print FILES }}; words=({line}); CURRENT={len(words)}; PREFIX='{words[-1]}'
source {prefix}/share/zsh/vendor-completions/_poolprof"""
    return run("zsh", "-f", "-c", script, env={**os.environ, "PATH": f"{prefix}/bin:{os.environ['PATH']}"}).splitlines()


def check_zsh(prefix):
    run("zsh", "-n", prefix + "/share/zsh/vendor-completions/_poolprof")
    commands = [line.split(":")[0] for line in complete_zsh(prefix, "poolprof", "")]
    check({"run", "report", "options"} <= set(commands), "commands of zsh", commands)
    check("--format" in complete_zsh(prefix, "poolprof", "report", "--f"), "options of a command")
    check({"json", "pprof"} <= set(complete_zsh(prefix, "poolprof", "report", "--format", "")), "formats")
    check("POOL_HOT" in complete_zsh(prefix, "poolprof", "run", "--option", ""), "names of options")
    check(complete_zsh(prefix, "poolprof", "run", "--", "tru") == ["*::command: _normal"], "programs")
    check(complete_zsh(prefix, "poolprof", "report", "x") == ["FILES"], "files")


def check_man(prefix):
    """Rendered without a warning, with all options."""
    env = {**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "100", "MANPAGER": "cat"}
    page = run("man", "--warnings", "-l", "-Tutf8", prefix + "/share/man/man1/poolprof.1", env=env)
    page = re.sub("\x1b\\[[0-9;]*m|.\b", "", page)
    check(": warning" not in page, [line for line in page.splitlines() if ": warning" in line])
    options = re.findall("^(POOLPROF_[A-Z_]*)=", run(prefix + "/bin/poolprof", "options"), re.M)
    check(len(options) > 20 and all(option + "=" in page for option in options), "options in", page)


def main():
    with tempfile.TemporaryDirectory(prefix="pp-package.") as work:
        prefix = os.path.join(work, "prefix")
        run("cmake", "--install", BUILD, "--prefix", prefix)
        for name, text in (("consumer.c", PROGRAM), ("CMakeLists.txt", PROJECT)):
            with open(os.path.join(work, name), "w", encoding="ascii") as file:
                file.write(text)
        run("cmake", "-S", work, "-B", work + "/b", "-DCMAKE_PREFIX_PATH=" + prefix)
        run("cmake", "--build", work + "/b")
        with open(work + "/b/library", encoding="utf-8") as file:
            library = file.read()
        check(os.path.samefile(library, BUILD + "/lib/libpoolprof.so") or os.path.exists(library), library)
        for env in ({}, {"LD_PRELOAD": library, "POOLPROF_REPORT": "none", "POOLPROF_OUTPUT": "none"}):
            check(run(work + "/b/consumer", env={**os.environ, **env}) == "1\n", env)
        pkg = next(os.path.join(at, "") for at, _, names in os.walk(prefix) if "poolprof.pc" in names)
        env = {**os.environ, "PKG_CONFIG_PATH": pkg}
        flags = run("pkg-config", "--cflags", "poolprof", env=env).split()
        # The file names the prefix of the build; with another one it must be told.
        flags = run("pkg-config", "--define-variable=prefix=" + prefix, "--cflags", "poolprof", env=env).split()
        run("cc", "-o", work + "/c", work + "/consumer.c", *flags)
        check(run(work + "/c") == "1\n", "by pkg-config")
        check({"run", "report", "options"} <= set(complete(prefix, "poolprof", "")), "commands")
        check(complete(prefix, "poolprof", "repo") == ["report"], "a command")
        check("--format" in complete(prefix, "poolprof", "report", "--f"), "options of a command")
        check({"json", "pprof"} <= set(complete(prefix, "poolprof", "report", "--format", "")), "formats")
        check("POOL_HOT=" in complete(prefix, "poolprof", "run", "--option", "POOL_"), "names of options")
        check("true" in complete(prefix, "poolprof", "run", "--", "tru"), "programs")
        if shutil.which("zsh"):
            check_zsh(prefix)
        if shutil.which("man") and shutil.which("groff"):
            check_man(prefix)
        licences = next(os.path.join(at, name) for at, _, names in os.walk(prefix) for name in names
                        if name == "licences.txt")
        with open(licences, encoding="utf-8") as file:
            text = file.read()
        named = re.findall(r"^ +(\w+) +SPDX-License-Identifier: (.+)", text, re.M)
        check(len(named) == 3, "licences:", named)
        for part, licence in named: # each with its text
            check(re.search(rf"^---- {part}, {re.escape(licence.split(' WITH ')[-1])}\n\n\w", text, re.M), "no text of", part)
    print("ok")


main()

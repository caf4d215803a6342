"""coverage.py: reads what `llvm-cov export -format=lcov` says, in the tree's root. Prints a table of the files of src, preload
and report, least covered first, and of the folders; then each block of lines that nothing reaches and that does not say why.

A block is what lies between two lines that are reached. It says why by a comment in it or on the line before it: `not
covered: ...`, or, where it is a matter of moments whether it is reached, `seldom covered: ...`. Status 1: a block says
neither, or a folder has less than 95 % of its lines reached. Told, too: words `not covered` where all is reached.
"""
import os
import re
import sys

FOLDERS = ("src/", "preload/", "report/")
LEAST = 95
NEVER, SELDOM = "not covered: ", "seldom covered: "
# A macro's text counts where it is used.
NOTHING = re.compile(r"\s*(#define .*|break;|}|else|case .*:|default:)\s*(/\*.*\*/)?")


def read(stream):
    """{file: ({line: count}, (branches, of them reached))}"""
    files, here, name = {}, os.getcwd() + "/", ""
    for key, _, value in (line.rstrip("\n").partition(":") for line in stream):
        if key == "SF":
            name, lines, branches, reached = value.removeprefix(here), {}, 0, 0
        elif key == "DA":
            line, count = value.split(",")[:2]
            lines[int(line)] = int(count)
        elif key == "BRF":
            branches = int(value)
        elif key == "BRH":
            reached = int(value)
        elif key == "end_of_record" and name.startswith(FOLDERS):
            files[name] = lines, (branches, reached)
    return files


def blocks(lines, text):
    """(first, last) of the lines that follow each other and that nothing reaches. Those that do nothing do not begin one."""
    found, before = [], False
    for line, count in sorted(lines.items()):
        if count == 0 and not before and NOTHING.fullmatch(text[line]):
            continue
        if count == 0:
            found[-1:] = [(found[-1][0], line)] if before else [*found[-1:], (line, line)]
        before = count == 0
    return found


def judge(name, lines):
    """Prints the file's blocks without a word, and its words where all is reached. Returns how many of each kind of block."""
    with open(name, encoding="utf-8") as file:
        text = ["", *file.read().split("\n")]
    never, seldom = ({i for i, line in enumerate(text) if words in line} for words in (NEVER, SELDOM))
    explained, bare = 0, 0
    for first, last in blocks(lines, text):
        here = {i for i in never | seldom if first - 1 <= i <= last}
        never -= here
        explained += bool(here)
        bare += not here
        if not here:
            print(f"{name}:{first}: nothing reaches these {last - first + 1} lines: {text[first].strip()}")
    for line in sorted(never):
        print(f"{name}:{line}: reached, and says that it is not")
    return explained, bare


def row(name, files):
    lines = [count for one, _ in files for count in one.values()]
    reached = sum(count > 0 for count in lines)
    branches = [sum(part[i] for _, part in files) for i in (0, 1)]
    share = 100 * reached / max(len(lines), 1)
    print(f"{name:28} lines {share:5.1f} % of {len(lines):5}   branches {100 * branches[1] / max(branches[0], 1):5.1f} % of "
          f"{branches[0]:5}")
    return share


def main():
    files = read(sys.stdin)
    share = {name: sum(count > 0 for count in lines.values()) / len(lines) for name, (lines, _) in files.items()}
    for name in sorted(files, key=share.get):
        row(name, [files[name]])
    judged = [judge(name, lines) for name, (lines, _) in sorted(files.items())]
    low = [top for top in FOLDERS if row("= " + top, [files[name] for name in files if name.startswith(top)]) < LEAST]
    row("= all", files.values())
    print(f"blocks that nothing reaches: {sum(one[0] for one in judged)} say why, {sum(one[1] for one in judged)} do not")
    return 1 if low or any(one[1] for one in judged) else 0


if __name__ == "__main__":
    sys.exit(main())

"""What README says of formats and SQL is true: its queries run, and the same words are in the man page and --help."""
import os
import re
import sqlite3

from common import GAME, SOURCE, check, poolprof, profile_of, reported
from driver import Sandbox, main


def text_of(name):
    with open(os.path.join(SOURCE, name), encoding="utf-8") as file:
        return file.read()


def blocks():
    """The SQL of README: one statement each."""
    found = re.findall(r"```sql\n(.*?)```", text_of("README.md"), re.S)
    return [query.strip() for block in found for query in block.split(";") if query.strip()]


def readme():
    queries = blocks()
    check(len(queries) >= 10, len(queries), "queries")
    with Sandbox() as box:
        profile = profile_of(box, GAME + "_pools", "--frames", "100", "--leak", "all")
        report = reported(profile)
        with sqlite3.connect(f"file:{profile}?mode=ro", uri=True) as database:
            results = [database.execute(query).fetchall() for query in queries]
        check(sum(1 for rows in results if rows) >= 8, "empty answers:", [q for q, r in zip(queries, results) if not r])
        largest = max(site["bytes"] for site in report["sites"])
        check(results[0][0][0] == largest, "the first query's first row is not the largest site:", results[0][:1])
        schema = text_of("report/profile_schema.h")
        for table in re.findall(r"CREATE TABLE (\w+)\(", schema):
            check(f"| {table}" in text_of("README.md"), table, "is not in README's table")


def words():
    """Formats and commands have the same names everywhere."""
    man, guide = text_of("report/poolprof.1"), text_of("README.md")
    usage = poolprof("--help").stdout.decode()
    for command in ("diff", "merge"):
        check(command in usage and f".B {command}" in man and f"poolprof {command}" in guide, command)
        options = re.findall(r"--[a-z][a-z-]+", poolprof(command, "--help").stdout.decode())
        for option in set(options):
            check(option in man.replace("\\-", "-"), command, option, "is not in the man page")
    told = poolprof("report", "--help").stdout.decode()
    for form in ("pprof", "folded", "csv", "html", "heaptrack", "massif"):
        check(form in told and form in man and f"--format {form}" in guide, form)


if __name__ == "__main__":
    main({f.__name__: f for f in (readme, words)})

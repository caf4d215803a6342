"""why.py CASE...: who holds what: the way from a root to each site's largest object, by `poolprof why` and in the
JSON report, of a process that has ended and of one that runs; what is retained."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../preload"))
from driver import PROGRAM, PROGRAMS, Sandbox, check, main, name_of, read_report


def poolprof(*arguments):
    return subprocess.run([PROGRAM, *map(str, arguments)], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, check=False)


def site_of(report, size, kind=None):
    """The one whose objects have that size."""
    found = [site for site in report["sites"] if site["bytes"] == size * site["objects"] and
             "libc" not in (site["stack"][0]["module"] or "") and (kind is None or site["kind"] == kind)]
    check(len(found) == 1, len(found), "sites of size", size, kind, report["sites"])
    return found[0]


def held(report, size, kind=None):
    """(kind of the root, its name, [(allocating function, objects)]), retained."""
    site = site_of(report, size, kind)
    root, *steps = site["held_by"]
    names = {other["id"]: name_of(other["stack"][0]) for other in report["sites"]}
    return (root["kind"], root["name"] or root["thread"], [(names[step["site"]], step["objects"]) for step in steps])


def expect(found, *wanted):
    check(found == wanted, "held by", found, "should be", wanted)


def common(report):
    table = [("make_table", 1)]
    expect(held(report, 80), "global", "held_table", [])
    expect(held(report, 16), "global", "held_table", table)
    expect(held(report, 1000), "global", "held_table", table + [("make_table", 1)])
    listed = held(report, 48) # nodes before it, all of one tick
    check(listed[:2] == ("global", "held_list") and {step[0] for step in listed[2]} <= {"make_list"} and
          len(listed[2]) <= 1, listed)
    shared = held(report, 2000)
    check(shared[2] in (table, [("make_list", 1)]), shared)
    expect(held(report, 6000), "global", "middle", [])
    expect(held(report, 32, "lost"), "lost", None, [])
    expect(held(report, 3000), "lost", None, [("make_lost", 1), ("make_lost", 1)])
    for size, thread, function in ((4000, "keeper", "wait_with_it"), (7000, "held", "end_with_it")):
        root = site_of(report, size)["held_by"][0]
        check((root["kind"], root["thread"], root["name"], root["module"]) == ("stack", thread, function, "held"), root)
    expect(held(report, 5000), "tls", "keeper", [])
    for size, retained in ((80, 80 + 16 + 24 + 1000), (16, 16), (24, 24), (1000, 1000), (48, 300 * 48), (2000, 2000),
                           (32, 32 + 40 + 3000)):
        check(site_of(report, size)["retained_bytes"] == retained, size, "retains", site_of(report, size))
    counted = {root["name"]: (root["reached_objects"], root["reached_bytes"]) for root in report["roots"]
               if root["kind"] == "named"}
    check(counted == {"table": (5, 1120 + 2000), "list": (301, 300 * 48 + 2000), "list again": (301, 300 * 48 + 2000),
                      "middle": (1, 6000)}, counted)
    listed = next(root for root in report["roots"] if root["name"] == "list")
    check([(row["site"], row["objects"]) for row in listed["sites"]] ==
          [(site_of(report, 48)["id"], 300), (site_of(report, 2000)["id"], 1)] and listed["classes"] == [], listed)
    roots = {root["name"]: root for root in report["roots"]}
    check(roots["held_list"]["retained_bytes"] == 300 * 48 and roots["held_list"]["retained_objects"] == 300, roots)
    check(roots["held_table"]["retained_bytes"] == 1120, roots)


def ended():
    with Sandbox() as box:
        done = box.run("held", options={"SUPPRESSIONS_BUILTIN": 0})
        check(done.returncode == 0, done.err)
        profile = box.profile_of(done.pid)
        report = read_report(profile)
        common(report)
        text = poolprof("why", profile, f"#{site_of(report, 1000)['id']}")
        check(text.returncode == 0 and "held by the global held_table (held), over\n  an object, 80 bytes" in text.stdout,
              text.stdout, text.stderr)
        text = poolprof("why", profile, site_of(report, 3000)["id"])
        check("what held that last cannot be known" in text.stdout, text.stdout)
        for what, status, words in (("x", 2, "'x' is neither"), ("0", 2, "'0' is neither"), ("9999", 3, "no such site"),
                                    ("0x10", 3, "running process only")):
            text = poolprof("why", profile, what)
            check(text.returncode == status and words in text.stderr, what, text.returncode, text.stderr)


def live():
    with Sandbox() as box:
        process = box.start("held", "wait", options={"SUPPRESSIONS_BUILTIN": 0}, stdin=subprocess.PIPE)
        address = process.stdout.readline().strip()
        done = poolprof("why", process.pid, address)
        check(done.returncode == 0 and f"object at {address}: reachable, 1000 bytes" in done.stdout and
              "held by the global held_table (held), over\n" in done.stdout, done.stdout, done.stderr)
        done = poolprof("why", process.pid, hex(int(address, 16) + 999))
        check(f"object at {address}" in done.stdout, done.stdout, done.stderr)
        process.communicate("", timeout=60)
        common(box.report(process.pid))


TREE, LIST = "std::_Rb_tree_node<", "std::_List_node<shop::item*>"
# Lost ones; objects. By their tables of virtual functions:
CLASSES = {"shop::item": (0, 6), "shop::book": (2, 8), "shop::box<int>": (0, 5), "(anonymous namespace)::secret": (0, 6),
           "(anonymous namespace)::both": (0, 7)}
# By the function that allocated: needs its name.
ELEMENTS = {f"{TREE}std::pair<int const, std::__cxx11::basic_string<char, std::char_traits<char>, "
            "std::allocator<char> > > >": (0, 11), f"{TREE}long>": (0, 12), LIST: (0, 13),
            "std::_Fwd_list_node<int>": (0, 14), "std::__detail::_Hash_node<std::pair<int const, int>, false>": (0, 15),
            "shop::book[]": (0, 1),
            "std::_Sp_counted_ptr_inplace<shop::book, std::allocator<void>, (__gnu_cxx::_Lock_policy)2>": (0, 1)}


def classes():
    with Sandbox() as box:
        stripped = box.path("stripped")
        subprocess.run(["strip", "-o", stripped, os.path.join(PROGRAMS, "classes")], check=True)
        # Without names a vector's array is taken for the object it begins with.
        for program, wanted in (("classes", {**CLASSES, **ELEMENTS}), (stripped, {**CLASSES, "shop::book": (2, 9)})):
            done = box.run(program)
            check(done.returncode == 0, done.err)
            profile = box.profile_of(done.pid, os.path.basename(program))
            report = read_report(profile)
            found = {one["name"]: (one["lost_objects"], one["objects"]) for one in report["classes"]}
            for name, (lost, objects) in wanted.items():
                check(found.get(name) == (lost, objects), name, found.get(name), "should be", (lost, objects), found)
            check(not any("plain" in name for name in found), found)
            told = poolprof("report", profile).stdout
            for name in (name for name in wanted if len(name) <= 100):
                check(name.replace("(anonymous namespace)", "{anon}") in told, "not in the text:", name)
        merged = box.path("merged.poolprof")
        done = poolprof("merge", "-o", merged, box.profile_of(done.pid, "stripped"), *[
            box.path(name) for name in box.profiles() if name.startswith("classes")])
        check(done.returncode == 0, done.stderr)
        both = {one["name"]: one["objects"] for one in read_report(merged)["classes"]}
        check(both["shop::item"] == 12, both)
        report = read_report([box.path(name) for name in box.profiles() if name.startswith("classes")][0])
        types = {site["type"] for site in report["sites"] if site["stack"] and name_of(site["stack"][0]) == "one_of"}
        check(types == {"shop::item", "shop::book"} or types == {None}, types)
        check(any(site["type"] == "shop::book" and site["kind"] == "lost" for site in report["sites"]), "no lost book")


def plugins():
    """Of libraries that have allocated nothing, the variables have names, too, whosever list they are in."""
    for case, variable in ("plugin_global", "plugin_global"), ("plugin_in_a_namespace", "plugin_data"):
        with Sandbox() as box:
            env = {**box.environment(), "LEAKS_PLUGIN": os.path.join(PROGRAMS, "leaks_plugin.so")}
            done = box.run("leaks_c", case, env=env)
            report = box.report(done.pid)
            roots = [site["held_by"][0] for site in report["sites"] if site["bytes"] == 192 and site["objects"] == 4]
            found = [(root["kind"], root["name"], root["module"]) for root in roots]
            check(found == [("global", variable, "leaks_plugin.so")], case, found)


if __name__ == "__main__":
    main({"ended": ended, "live": live, "classes": classes, "plugins": plugins})

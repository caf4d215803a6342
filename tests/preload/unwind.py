"""Where no table says how to unwind: what our own rules make of it, and what libunwind adds if asked."""
from driver import Sandbox, check, main, read_report


def stack_of(report, function):
    found = [site for site in report["sites"] if site["stack"] and site["stack"][0]["function"] == function]
    check(len(found) == 1, function, [site["stack"][0] for site in report["sites"]])
    return [frame["function"] for frame in found[0]["stack"]], found[0]["truncated"]


def run(**options):
    with Sandbox() as box:
        done = box.run("no_rule", options=options)
        check(done.returncode == 0, "status", done.returncode, done.err)
        return read_report(box.profile_of(done.pid)), done.err


def is_whole(stack, names):
    functions, truncated = stack
    check(functions[1:].count("main") == 1 and not truncated, functions, truncated)
    rest = [name for name in functions if name in names]
    check(rest == list(names), functions)


def wild_call():
    report, _ = run()
    is_whole(stack_of(report, "leak_at_null"), ("leak_at_null", "at_null", "through_null", "main"))


def cut():
    report, _ = run()
    functions, truncated = stack_of(report, "leak_at_plt")
    check(truncated and "through_plt" not in functions, functions, truncated)


def fallback():
    report, err = run(UNWIND_FALLBACK="1")
    is_whole(stack_of(report, "leak_at_plt"), ("leak_at_plt", "at_plt", "plt_entry", "through_plt", "main"))
    is_whole(stack_of(report, "leak_at_null"), ("leak_at_null", "at_null", "through_null", "main"))
    check("UNWIND_FALLBACK" not in err, err)


if __name__ == "__main__":
    main({"wild_call": wild_call, "cut": cut, "fallback": fallback})

"""Tags and frames under the preload: sites by tag, figures against the budget, frames with their sites."""
from driver import Sandbox, check, main, name_of, read_report, sites_of


def run(case, whole=True, **options):
    with Sandbox() as box:
        done = box.run("tags", case, options=options)
        check(done.returncode == 0, case, "status", done.returncode, done.err)
        done.report = read_report(box.profile_of(done.pid), whole)
        done.others = [read_report(box.path(name)) for name in box.profiles() if f".{done.pid}." not in name]
        return done


def tag_of(report, name):
    found = [tag for tag in report["tags"] if tag["name"] == name]
    check(len(found) == 1, name, report["tags"])
    return found[0]


def held(report, function, tag):
    sites = [site for site in sites_of(report, function) if site["tag"] == tag]
    return sum(site["objects"] for site in sites), sum(site["bytes"] for site in sites)


def tags():
    report = run("tags", BUDGET="ui=20K,audio=1M,unused=3").report
    for function, tag, objects, size in (("make_small", "ui", 200, 20000), ("make_small", None, 150, 15000),
                                         ("make_large", "audio", 10, 50000), ("make_object", "audio", 100, 4000),
                                         ("tags", "ui", 4, 12000)):
        seen = held(report, function, tag)
        check(seen == (objects, size), function, tag, "holds", seen)
    ui, audio, unused = (tag_of(report, name) for name in ("ui", "audio", "unused"))
    check((ui["objects"], ui["bytes"], ui["budget_bytes"]) == (204, 32000, 20480), ui)
    check(ui["peak_bytes"] == 20000 + 100 * 5000 + 200 * 100, ui)
    check((audio["objects"], audio["bytes"]) == (110, 54000), audio)
    check(54000 <= audio["peak_bytes"] < 54400, audio) # the exception is in it
    check((unused["objects"], unused["peak_bytes"], unused["budget_bytes"]) == (0, 0, 3), unused)


def not_tracked():
    for options in ({"TRACK": "off"}, {"ENABLE": 0}):
        with Sandbox() as box:
            done = box.run("tags", "tags", options=options)
            check(done.returncode == 0 and done.err == "", options, done.returncode, done.err)
            if "TRACK" in options:
                box.profile_of(done.pid)


def bad_budget():
    for value in ("ui", "ui=", "=4M", "ui=4M,", "ui=4Q", "ui=4M,,a=1", "ui=9999999T"):
        with Sandbox() as box:
            done = box.run("tags", "none", options={"BUDGET": value})
            lines = done.err.splitlines()
            check(done.returncode == 0 and len(lines) == 1 and "POOLPROF_BUDGET" in lines[0]
                  and "using none" in lines[0], value, done.err)


def budget():
    done = run("budget", BUDGET="other=1,cache=1M", SAMPLE_MIN="20ms", SAMPLE_MAX="50ms", ALERT_BACKOFF_MIN="10s")
    alerts = [alert for alert in done.report["alerts"] if alert["rule"] == "budget"]
    check([alert["state"] for alert in alerts] == ["raised", "resolved"], alerts)
    check((alerts[0]["value"], alerts[0]["threshold"], alerts[0]["level"]) == (6400000, 1 << 20, "warn"), alerts)
    check([alert["subject"] for alert in alerts] == ["cache", "cache"], alerts)
    check("warn budget: " in done.err and "tag cache" in done.err, done.err)
    check(tag_of(done.report, "cache")["peak_bytes"] == 6400000, done.report["tags"])


def misuse():
    done = run("misuse", whole=False, ON_ERROR="report")
    check(done.report["errors"]["misuses"] == 2, done.report["errors"])
    check(done.err.count("pop without a push") == 2, done.err)


def forked():
    done = run("forked", CHILDREN="all")
    check(done.err == "" and len(done.others) == 1, done.err, len(done.others))
    check(held(done.others[0], "make_small", "parent") == (1, 100), done.others[0]["sites"])
    check(held(done.others[0], "make_large", "child") == (1, 5000), done.others[0]["sites"])
    check(run("forked").err == "", "exec")


def frames():
    for track in ("exact", "off"):
        seen = run("frames", whole=False, TRACK=track).report["frames"]
        check((seen["count"], seen["min"], seen["median"], seen["max"]) == (200, 10, 10, 510), seen)
        check(seen["p99"] == 10, seen)
        worst = seen["worst"][0]
        check(worst["number"] == 78 and worst["allocations"] == 510, worst)
        if track == "exact":
            sites = [(name_of(site["stack"][0]), site["allocations"]) for site in worst["sites"]]
            check(sites == [("make_large", 500), ("make_small", 10)], sites)


if __name__ == "__main__":
    main({"tags": tags, "not_tracked": not_tracked, "bad_budget": bad_budget, "budget": budget,
          "misuse": misuse, "forked": forked, "frames": frames})

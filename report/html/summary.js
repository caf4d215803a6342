/* What comes first: the verdict, and the figures it rests on. */

const endOf = (process) => {
    const signal = /^signal:(\d+)$/.exec(process.end);
    if (signal) return `killed by signal ${signal[1]}`;
    if (process.end === "unknown") return "how it ended is not known";
    if (process.end === "running") return "still running";
    if (process.end === "exec") return "became another program by exec";
    return `${process.end}, status ${process.status}`;
};

/* What people call it: what it was started as. */
const programName = ({argv, exe}) => base(argv[0] ?? "") || base(exe ?? "") || "program";

/* Red: something is lost; amber: it may be, or nobody has looked; green: nothing is. */
const severity = (data) => {
    if (data.diff) {
        const total = data.diff.total;
        return total.bytes_growth > 0 ? "bad" : "good";
    }
    const {leaks, errors} = data.report;
    if (
        leaks.lost_objects > 0 ||
        errors.invalid_frees + errors.mismatched_frees + errors.misuses > 0
    )
        return "bad";
    if (data.scanned && leaks.possible_objects === 0) return "good";
    return data.report.totals.outstanding_objects > 0 ? "fair" : "good";
};

const card = (title, value, ...notes) =>
    h(
        "div",
        {class: "card"},
        h("dt", {}, title),
        h(
            "dd",
            {},
            h("b", {}, value),
            notes.filter((note) => note).map((note) => h("small", {}, note)),
        ),
    );

/* One bar of what is outstanding, by kind. */
const kindsBar = (data) => {
    const figures = {};
    for (const site of data.sites) {
        const of = (figures[site.kind] ??= {objects: 0, bytes: 0, sites: 0});
        of.objects += site.objects;
        of.bytes += site.bytes;
        of.sites++;
    }
    const kinds = KINDS.filter((kind) => figures[kind]);
    const all = kinds.reduce((sum, kind) => sum + figures[kind].bytes, 0);
    if (kinds.length === 0) return null;
    return h(
        "div",
        {class: "kinds"},
        h(
            "div",
            {class: "stacked", "aria-hidden": "true"},
            kinds.map((kind) => bar(figures[kind].bytes / (all || 1), kind)),
        ),
        h(
            "ul",
            {},
            kinds.map((kind) =>
                h(
                    "li",
                    {},
                    h("span", {class: `chip ${kind}`}, kind),
                    ` ${data.about}${bytes(figures[kind].bytes)} in ${counted(figures[kind].objects, "object")}, ` +
                        `${counted(figures[kind].sites, "site")}`,
                ),
            ),
        ),
    );
};

const reportCards = ({totals, process, samples, overhead}) => {
    const resident = samples.reduce((most, sample) => Math.max(most, sample.rss_bytes), 0);
    return h(
        "dl",
        {class: "cards"},
        card(
            "outstanding",
            bytes(totals.outstanding_bytes),
            counted(totals.outstanding_objects, "object"),
        ),
        card(
            "peak of the heap",
            bytes(totals.peak_bytes),
            `exact to ${bytes(totals.peak_error_bytes)}`,
        ),
        resident > 0 &&
            card("resident, most", bytes(resident), `by ${counted(samples.length, "sample")}`),
        card(
            "allocations",
            count(totals.allocations),
            `${bytes(totals.bytes_allocated)} in all`,
            `${percent(totals.temporary_allocations, totals.allocations)} temporary`,
        ),
        card(
            "served by pools",
            percent(totals.pool_allocations, totals.allocations),
            counted(totals.pool_allocations, "allocation"),
        ),
        card("ran for", time(process.duration_s), endOf(process)),
        card("bookkeeping", bytes(overhead.tracker_bytes)),
    );
};

const errorsList = ({errors}) => {
    const lines = [
        errors.invalid_frees &&
            `${counted(errors.invalid_frees, "free")} of what is no block: freed twice, or a ` +
                "wild pointer",
        errors.mismatched_frees &&
            `${counted(errors.mismatched_frees, "free")} by the wrong function: new/free, ` +
                "malloc/delete, new[]/delete",
        errors.misuses &&
            `${counted(errors.misuses, "wrong use")} of named pools or tags, each refused`,
    ].filter((line) => line);
    return (
        lines.length > 0 &&
        h(
            "div",
            {class: "note bad"},
            h("b", {}, "What the program did wrong"),
            h(
                "ul",
                {},
                lines.map((line) => h("li", {}, line)),
            ),
        )
    );
};

const sideCard = (title, side) =>
    card(
        title,
        bytes(side.outstanding_bytes),
        counted(side.outstanding_objects, "object"),
        `${base(side.exe)} (pid ${side.pid}), ${time(side.duration_s)}`,
        side.profile,
    );

const summary = (data) => {
    const [first, ...notes] = data.verdict;
    const [headline, ...rest] = first.split("; ");
    const process = data.report?.process;
    const title = process ? programName(process) : "What changed";
    document.title = `${title}: poolprof`;
    document.getElementById("head").append(
        h(
            "p",
            {class: "who"},
            h("b", {}, "poolprof"),
            " ",
            name(title),
            process &&
                h(
                    "small",
                    {},
                    process.pid ? ` pid ${process.pid}` : "",
                    process.host ? " on " : "",
                    name(process.host ?? ""),
                    `, started ${process.started.replace("T", " ").replace(/\..*/, " UTC")}`,
                ),
        ),
        h("h1", {class: severity(data)}, name(headline[0].toUpperCase() + headline.slice(1))),
        h(
            "div",
            {id: "verdict"},
            rest.map((line) => h("p", {}, name(line))),
            notes.map((line) => h("p", {class: "note"}, name(line))),
        ),
        process?.argv.length > 0
            ? h("p", {class: "argv"}, h("code", {}, name(process.argv.join(" "))))
            : "",
    );
    if (data.diff) {
        const {before, after, total, counts} = data.diff;
        part(
            "summary",
            "Summary",
            h(
                "dl",
                {class: "cards"},
                sideCard("before", before),
                sideCard("after", after),
                card(
                    `${total.measure}, change`,
                    signed(bytes, total.bytes_growth),
                    `${signed(count, total.objects_growth)} objects`,
                ),
                card(
                    "sites",
                    `${count(counts.new)} new`,
                    `${count(counts.gone)} gone, ${count(counts.grown)} grown`,
                    `${count(counts.shrunk)} shrunk, ${count(counts.same)} the same`,
                ),
            ),
        );
        return;
    }
    part("summary", "Summary", kindsBar(data), reportCards(data.report), errorsList(data.report));
};

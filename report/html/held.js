/* Who holds what: a site's way from a root, the roots that keep most alive, classes. */

const rootText = (root) => {
    const thread = root.thread ? [" of thread ", name(root.thread)] : [" of a thread"];
    const named = root.name != null;
    switch (root.kind) {
        case "global":
            return [
                named ? "the global " : "a variable",
                named && name(root.name, {class: "fn"}),
                root.module && [named ? " in " : " of ", name(root.module)],
            ].flat();
        case "stack":
            return [
                "the stack",
                ...thread,
                root.module && [
                    ", in ",
                    named ? name(root.name, {class: "fn"}) : "a function",
                    named ? " in " : " of ",
                    name(root.module),
                ],
            ].flat();
        case "register":
            return ["a register", ...thread];
        case "tls":
            return ["a thread-local variable", ...thread];
        case "registered":
            return [
                `memory registered as a root at ${root.address}`,
                named && [", ", name(root.name, {class: "fn"})],
            ].flat();
        case "ignored":
            return ["nothing; the program has said that it is no leak"];
        case "mapped":
            return ["mapped memory", named && [" ", name(root.name)]].flat();
        default:
            return ["nothing"];
    }
};

const holder = (data, step) => {
    const site = data.byId(step.site);
    if (step.objects === 0) return h("div", {class: "dim"}, "… steps left out");
    return h(
        "div",
        {},
        `${counted(step.objects, "object")}, ${bytes(step.bytes)}, of `,
        site ? [`#${site.id} `, chain(data, site.stack)] : "an unknown site",
    );
};

/* The paragraph below a site's stack. */
const heldBy = (data, site) => {
    if (!site.held_by) return null;
    const [root, ...steps] = site.held_by;
    const lost = root.kind === "lost";
    if (lost && steps.length === 0)
        return h(
            "p",
            {class: "held"},
            "Nothing points to it any more; what held it last cannot be known.",
        );
    return h(
        "div",
        {class: "held"},
        h("b", {}, lost ? "Lost with" : "Held by"),
        lost
            ? h("span", {class: "dim"}, " (what held the first of these last cannot be known)")
            : [" ", ...rootText(root)],
        steps.map((step) => holder(data, step)),
    );
};

/* What can be reached from those that the program has named. */
const countedPart = (data) => {
    const roots = data.report.roots.filter((root) => root.kind === "named");
    if (roots.length === 0) return;
    const classOf = (row) =>
        h("div", {}, `${counted(row.objects, "object")}, ${bytes(row.bytes)}, of `, name(row.name));
    part(
        "counted",
        "Counted roots",
        h("p", {class: "dim"}, "All that can be reached from what the program has named."),
        tableOf(
            "counted roots",
            [
                textColumn("root", "name"),
                bytesColumn("reaches", "reached_bytes"),
                countColumn("objects", "reached_objects"),
            ],
            roots,
            {
                detail: (root) =>
                    h(
                        "div",
                        {class: "held"},
                        root.classes.map(classOf),
                        root.sites.map((row) => holder(data, row)),
                    ),
            },
        ),
    );
};

const rootsPart = (data) => {
    const {report} = data;
    const roots = report.roots.filter((root) => root.kind !== "lost" && root.retained_objects > 0);
    countedPart(data);
    if (roots.length === 0) return;
    part(
        "roots",
        "Roots",
        h(
            "p",
            {class: "dim"},
            "What begins the ways to the program's objects, with what would go if it were cleared.",
        ),
        tableOf(
            "roots",
            [
                {
                    title: "root",
                    value: (root) => root.name ?? root.thread ?? "",
                    cell: (root) => h("span", {}, rootText(root)),
                },
                bytesColumn("keeps", "retained_bytes", "bytes that it alone keeps alive"),
                countColumn("objects", "retained_objects"),
            ],
            roots,
            {rows: 10},
        ),
    );
};

const classesPart = ({report}) => {
    if (report.classes.length === 0) return;
    part(
        "classes",
        "Classes",
        h(
            "p",
            {class: "dim"},
            "C++ objects with virtual functions, containers' nodes and arrays.",
        ),
        tableOf(
            "classes",
            [
                textColumn("class", "name"),
                bytesColumn("bytes", "bytes"),
                countColumn("objects", "objects"),
                bytesColumn("lost", "lost_bytes"),
                countColumn("lost objects", "lost_objects"),
            ],
            report.classes,
            {rows: 20},
        ),
    );
};

/* The sites: what to fix, most first. */

/* "must_alloc < combat_fire < move_heroes": the first frames say where, with what they were called by. */
const chain = (data, node) => {
    const frames = telling(data.stack(node).filter((frame) => !isRuntime(frame))).slice(0, 3);
    if (frames.length === 0) return h("span", {class: "dim"}, "[unknown]");
    return h(
        "span",
        {class: "chain"},
        frames
            .map((frame, index) => [
                index > 0 && h("span", {class: "dim"}, " ‹ "),
                name(brief(label(frame)), {class: index > 0 ? "dim" : "fn", title: label(frame)}),
            ])
            .flat(),
        h("small", {}, name(shortPlace(frames[0]) || frames[0].module || "")),
    );
};

const stackList = (data, node, truncated) => {
    const frames = data.stack(node);
    return h(
        "ol",
        {class: "stack"},
        frames.map((frame) =>
            h(
                "li",
                {class: isRuntime(frame) && "dim"},
                name(label(frame), {class: "fn"}),
                frame.inlined &&
                    h("span", {class: "badge", title: "has no code of its own"}, "inlined"),
                h(
                    "span",
                    {class: "place"},
                    name(place(frame) || frame.address),
                    frame.module ? h("span", {class: "dim"}, " in ", name(frame.module)) : null,
                ),
            ),
        ),
        (truncated || frames.length === 0) &&
            h(
                "li",
                {class: "dim"},
                frames.length > 0 ? "[truncated: outer frames are not known]" : "[unknown]",
            ),
    );
};

const threadName = (site) =>
    /^\*\d+$/.test(site.thread ?? "") ? `${site.thread.slice(1)} threads` : (site.thread ?? "?");

const siteDetail = (data) => (site) =>
    h(
        "div",
        {},
        stackList(data, site.stack, site.truncated),
        heldBy(data, site),
        !data.diff &&
            h(
                "p",
                {class: "dim"},
                [
                    `allocated with ${site.allocator}`,
                    `in all ${counted(site.allocations, "allocation")} of ${exact(site.bytes_allocated)} came from here` +
                        (site.temporary > 0 ? `, ${count(site.temporary)} temporary` : ""),
                    `outstanding ${exact(site.bytes)}`,
                    site.growth &&
                        `grows ${bytes(60 * site.growth.bytes_per_s)}/min ` +
                            `(confidence ${(100 * site.growth.confidence).toFixed(1)} %)`,
                    site.suspect_objects > 0 &&
                        `${counted(site.suspect_objects, "object")}, ${bytes(site.suspect_bytes)} ` +
                            "older than POOLPROF_LEAK_AGE",
                    site.retained_bytes > site.bytes &&
                        `keeps ${bytes(site.retained_bytes)} alive`,
                    site.stale_objects > 0 &&
                        `${counted(site.stale_objects, "object")} not touched for long`,
                ]
                    .filter((line) => line)
                    .join("; ") + ".",
            ),
    );

const where = (data) => ({
    title: "where",
    value: (site) => label(telling(data.stack(site.stack))[0] ?? {address: ""}),
    cell: (site) => chain(data, site.stack),
    help: "the caller of malloc or new, and its callers",
});
const kind = {
    title: "kind",
    value: (site) => -KINDS.indexOf(site.kind),
    cell: (site) => h("span", {class: `chip ${site.kind}`}, site.kind),
    number: false,
};

const reportColumns = (data) => {
    const most = data.sites.reduce((all, site) => Math.max(all, site.bytes), 1);
    const has = (key) => data.sites.some((site) => site[key]);
    return [
        {title: "#", number: true, value: (site) => -site.id, cell: (site) => String(site.id)},
        kind,
        {
            title: "bytes",
            number: true,
            value: (site) => site.bytes,
            cell: (site) => [data.about + bytes(site.bytes), bar(site.bytes / most, site.kind)],
        },
        {
            title: "objects",
            number: true,
            value: (site) => site.objects,
            cell: (site) => data.about + count(site.objects),
        },
        {
            title: "oldest",
            number: true,
            value: (site) => site.oldest_s,
            help: "age of the oldest object",
            cell: (site) =>
                h("span", {class: site.suspect_objects > 0 && "suspect"}, time(site.oldest_s)),
        },
        {
            title: "newest",
            number: true,
            value: (site) => site.newest_s,
            cell: (site) => time(site.newest_s),
        },
        {
            title: "allocations",
            number: true,
            value: (site) => site.allocations,
            help: "ever made here",
            cell: (site) => data.about + count(site.allocations),
        },
        has("growth") && {
            title: "growth",
            number: true,
            help: "goes on growing at this rate, of all that came and went",
            value: (site) => site.growth?.bytes_per_s ?? 0,
            cell: (site) =>
                site.growth
                    ? `${data.about}${bytes(Math.round(site.growth.bytes_per_s * 60))}/min`
                    : "",
        },
        has("since_mark") && {
            title: "since mark",
            number: true,
            help: "bytes of what was allocated since the last mark",
            value: (site) => site.since_mark?.bytes ?? 0,
            cell: (site) => data.about + bytes(site.since_mark?.bytes ?? 0),
        },
        has("retained_bytes") && {
            title: "keeps",
            number: true,
            help: "bytes that it alone keeps alive",
            value: (site) => site.retained_bytes,
            cell: (site) => (site.retained_bytes ? bytes(site.retained_bytes) : ""),
        },
        {title: "thread", value: threadName, cell: (site) => name(threadName(site))},
        has("tag") && {
            title: "tag",
            value: (site) => site.tag ?? "",
            cell: (site) => name(site.tag ?? ""),
        },
        has("type") && {
            title: "type",
            value: (site) => site.type ?? "",
            cell: (site) => {
                const type = site.type ?? "";
                return name(type.length > 50 ? `${type.slice(0, 49)}…` : type, {title: type});
            },
        },
        where(data),
    ].filter((column) => column);
};

const diffColumns = (data) =>
    [
        {
            title: "change",
            value: (site) => site.change,
            cell: (site) => h("span", {class: `chip ${site.change}`}, site.change),
        },
        {
            title: "growth",
            number: true,
            value: (site) => site.bytes_growth,
            cell: (site) => signed(bytes, site.bytes_growth),
        },
        {
            title: "objects",
            number: true,
            value: (site) => site.objects_growth,
            cell: (site) => signed(count, site.objects_growth),
        },
        {
            title: "before",
            number: true,
            value: (site) => site.bytes_before,
            cell: (site) => bytes(site.bytes_before),
        },
        {
            title: "after",
            number: true,
            value: (site) => site.bytes_after,
            cell: (site) => bytes(site.bytes_after),
        },
        kind,
        data.sites.some((site) => site.tag) && {
            title: "tag",
            value: (site) => site.tag ?? "",
            cell: (site) => name(site.tag ?? ""),
        },
        where(data),
    ].filter((column) => column);

/* Boxes to take kinds (of a diff: changes) out of the list. */
const boxes = (data, key, order, draw) => {
    const there = order.filter((value) => data.sites.some((site) => site[key] === value));
    const off = new Set(there.length > 1 ? ["suppressed"] : []);
    return [
        off,
        there.length < 2
            ? null
            : h(
                  "fieldset",
                  {},
                  h("legend", {class: "hidden"}, key),
                  there.map((value) =>
                      h(
                          "label",
                          {class: `chip ${value}`},
                          h("input", {
                              type: "checkbox",
                              checked: !off.has(value),
                              value,
                              onchange: (event) => {
                                  if (event.target.checked) off.delete(value);
                                  else off.add(value);
                                  draw();
                              },
                          }),
                          value,
                      ),
                  ),
              ),
    ];
};

const sitesPart = (data) => {
    const table = new Table(data.diff ? diffColumns(data) : reportColumns(data), {
        sort: null,
        detail: siteDetail(data),
        label: "sites",
    });
    table.print();
    const told = h("output", {});
    const filter = h("input", {
        type: "search",
        id: "filter",
        placeholder: "function, file, thread, tag ...",
        "aria-label": "filter sites",
        oninput: () => draw(),
    });
    const key = data.diff ? "change" : "kind";
    const [off, fieldset] = boxes(
        data,
        key,
        data.diff ? ["new", "grown", "shrunk", "gone"] : KINDS,
        () => draw(),
    );
    const draw = () => {
        const words = filter.value
            .toLowerCase()
            .split(/\s+/)
            .filter((word) => word)
            .map((word) => data.has(word));
        const rows = data.sites.filter(
            (site) => !off.has(site[key]) && words.every((has) => has(site)),
        );
        const sum = rows.reduce(
            (all, site) => all + (data.diff ? site.bytes_growth : site.bytes),
            0,
        );
        told.textContent = `${counted(rows.length, "site")}, ${data.diff ? signed(bytes, sum) : data.about + bytes(sum)}`;
        table.show(rows);
    };
    part(
        "sites",
        data.diff ? "Changed sites" : "Sites",
        data.sites.length > 0
            ? [
                  h(
                      "p",
                      {class: "dim"},
                      data.estimates ? "Sampled: all figures of sites are estimates. " : "",
                      data.diff
                          ? ""
                          : "A site is a call stack that allocated and the objects of it that were not freed. ",
                      "Click a line, or Enter, to unfold its stack.",
                  ),
                  data.leftOut.sites > 0 &&
                      h(
                          "p",
                          {class: "note"},
                          `${counted(data.leftOut.sites, "site")} more` +
                              (data.diff ? "" : ` with ${data.about}${bytes(data.leftOut.bytes)}`) +
                              " are in no part of this page; --top takes more in.",
                      ),
                  h("div", {class: "tools"}, filter, fieldset, told),
                  table.element,
              ]
            : [
                  h(
                      "p",
                      {},
                      data.diff
                          ? "No site changed."
                          : data.report.totals.outstanding_objects > 0
                            ? "No stacks were kept: tracking was off (POOLPROF_TRACK)."
                            : "Nothing was outstanding.",
                  ),
              ],
    );
    draw();
};

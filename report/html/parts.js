/* The rest of the report: pools, threads, tags, frames, children, and what it cannot see. */

const textColumn = (title, key) => ({
    title,
    value: (row) => String(row[key] ?? ""),
    cell: (row) => name(row[key] ?? ""),
});
const countColumn = (title, key, help) => ({
    title,
    number: true,
    help,
    value: (row) => row[key],
    cell: (row) => count(row[key]),
});
const bytesColumn = (title, key, help) => ({
    title,
    number: true,
    help,
    value: (row) => row[key],
    cell: (row) => bytes(row[key]),
});

const tableOf = (label, columns, rows, options) => {
    const table = new Table(columns, {label, sort: null, ...options});
    table.show(rows.map((row, index) => ({...row, index})));
    return table.element;
};

const peakPart = (data) => {
    const {peak, totals} = data.report;
    if (peak.sites.length === 0) return;
    part(
        "peak",
        "At the peak",
        h(
            "p",
            {},
            `${exact(peak.bytes)} after ${time(peak.t_s)}; at the end ` +
                `${exact(totals.outstanding_bytes)} are outstanding.`,
        ),
        tableOf(
            "sites at the peak",
            [
                bytesColumn("bytes", "bytes"),
                countColumn("objects", "objects"),
                ...(peak.sites.some((site) => site.tag) ? [textColumn("tag", "tag")] : []),
                where(data),
            ],
            peak.sites,
            {detail: (site) => stackList(data, site.stack, site.truncated), rows: 10},
        ),
    );
};

const pinsTable = (data, pins) =>
    tableOf(
        "stacks that keep slabs",
        [
            countColumn("slabs", "slabs"),
            bytesColumn("unused", "unused_bytes"),
            countColumn("objects", "objects"),
            where(data),
        ],
        pins,
        {detail: (pin) => stackList(data, pin.stack, false)},
    );

const poolColumns = [
    {
        title: "pool",
        value: (row) => (row.kind === "named" ? row.name : row.object_bytes),
        cell: (row) => (row.kind === "named" ? name(row.name) : `size ${row.name}`),
    },
    bytesColumn("of", "object_bytes", "size of an object"),
    countColumn("served", "served"),
    countColumn("missed", "missed", "requests that another allocator served"),
    {
        title: "from pool",
        number: true,
        value: (row) => row.efficiency,
        help: "by a slab that was there",
        cell: (row) => `${row.efficiency.toFixed(1)} %`,
    },
    countColumn("live", "live"),
    countColumn("peak", "peak"),
    {
        title: "in use",
        number: true,
        value: (row) => (row.capacity ? row.live / row.capacity : 0),
        cell: (row) => [
            percent(row.live, row.capacity),
            bar(row.capacity ? row.live / row.capacity : 0),
        ],
    },
    countColumn("grown", "grown", "slabs"),
    countColumn("shrunk", "shrunk", "slabs"),
];

const poolsPart = (data) => {
    const {pools, fragmentation} = data.report;
    if (pools.length === 0) return;
    const unused = pools.reduce(
        (sum, pool) => sum + Math.max(0, pool.capacity - pool.live) * pool.object_bytes,
        0,
    );
    const used = pools.reduce((sum, pool) => sum + pool.live * pool.object_bytes, 0);
    part(
        "pools",
        "Pools and fragmentation",
        h("p", {}, `In use ${bytes(used)}, and room for ${bytes(unused)} more.`),
        tableOf(
            "pools",
            poolColumns,
            pools.map((pool) => ({...pool})),
        ),
        fragmentation.slabs > 0 && h("h3", {}, "Fragmentation"),
        fragmentation.slabs > 0 &&
            h(
                "p",
                {},
                fragmentation.sparse_slabs === 0
                    ? `None of ${counted(fragmentation.slabs, "slab")} is at most a quarter full.`
                    : `${count(fragmentation.sparse_slabs)} of ${counted(fragmentation.slabs, "slab")} are at most a ` +
                          `quarter full, with ${bytes(fragmentation.unused_bytes)} unused` +
                          (fragmentation.pins.length > 0 ? "; kept by one stack alone:" : "."),
            ),
        fragmentation.pins.length > 0 && pinsTable(data, fragmentation.pins),
    );
};

const threadsPart = (data) => {
    const threads = new Map();
    for (const site of data.sites) {
        const key = threadName(site);
        const row = threads.get(key) ?? {thread: key, objects: 0, bytes: 0, lost: 0, sites: 0};
        row.objects += site.objects;
        row.bytes += site.bytes;
        row.lost += site.kind === "lost" || site.kind === "indirect" ? site.bytes : 0;
        row.sites++;
        threads.set(key, row);
    }
    if (threads.size === 0) return;
    part(
        "threads",
        "Threads",
        h("p", {class: "dim"}, "What is outstanding, by the threads that allocated it."),
        tableOf(
            "threads",
            [
                textColumn("thread", "thread"),
                bytesColumn("bytes", "bytes"),
                ...(data.scanned ? [bytesColumn("lost", "lost")] : []),
                countColumn("objects", "objects"),
                countColumn("sites", "sites"),
            ],
            [...threads.values()].sort((a, b) => b.bytes - a.bytes),
        ),
    );
};

const isOver = (tag) => tag.budget_bytes != null && tag.peak_bytes > tag.budget_bytes;
const tagColumns = [
    textColumn("tag", "name"),
    bytesColumn("bytes", "bytes"),
    countColumn("objects", "objects"),
    bytesColumn("peak", "peak_bytes"),
    {
        title: "budget",
        number: true,
        value: (tag) => tag.budget_bytes ?? -1,
        cell: (tag) =>
            tag.budget_bytes == null
                ? "none"
                : [
                      bytes(tag.budget_bytes),
                      isOver(tag) && h("span", {class: "chip lost"}, "over budget"),
                  ],
    },
];

const tagsPart = ({report, estimates}) => {
    if (report.tags.length === 0) return;
    part(
        "tags",
        "Tags",
        estimates && h("p", {class: "dim"}, "Estimates."),
        tableOf("tags", tagColumns, report.tags),
    );
};

const framesPart = (data) => {
    const laps = data.report.frames;
    if (laps.count === 0) return;
    part(
        "frames",
        "Frames",
        h(
            "p",
            {},
            `Allocations from one poolprof_frame() to the next, in ` +
                `${counted(laps.count, "frame")}: ${count(laps.min)} at least, ${count(laps.median)} median, ` +
                `${count(laps.p99)} in the 99th percentile, ${count(laps.max)} at most.`,
        ),
        tableOf(
            "frames with most allocations",
            [
                countColumn("frame", "number"),
                {
                    title: "after",
                    number: true,
                    value: (lap) => lap.t_s,
                    cell: (lap) => time(lap.t_s),
                },
                countColumn("allocations", "allocations"),
            ],
            laps.worst,
            {
                detail: (lap) =>
                    h(
                        "ul",
                        {},
                        lap.sites.map((site) =>
                            h(
                                "li",
                                {},
                                `${data.estimates ? "about " : ""}${count(site.allocations)} by `,
                                chain(data, site.stack),
                            ),
                        ),
                    ),
            },
        ),
    );
};

const childrenPart = ({report}) => {
    if (report.children.length === 0) return;
    part(
        "children",
        "Children",
        tableOf(
            "children",
            [
                textColumn("program", "exe"),
                {
                    title: "pid",
                    number: true,
                    value: (row) => row.pid,
                    cell: (row) => String(row.pid),
                },
                {title: "end", value: (row) => endOf(row), cell: (row) => name(endOf(row))},
                {
                    title: "lost",
                    number: true,
                    value: (row) => row.lost_bytes,
                    cell: (row) => bytes(row.lost_bytes),
                },
                textColumn("profile", "profile"),
            ],
            report.children,
        ),
    );
};

const blindPart = (data) => {
    const {leaks, blind_spots: spots} = data.report;
    const lines = spots.map((spot) =>
        h(
            "li",
            {},
            h("b", {}, name(spot.what.replace(/_/g, " "))),
            ` (${count(spot.count)})`,
            spot.detail ? ": " : "",
            name(spot.detail),
        ),
    );
    if (!data.scanned)
        lines.unshift(
            h(
                "li",
                {},
                h("b", {}, "whether anything still points to these objects"),
                ": leak scan ",
                name(leaks.scan),
            ),
        );
    if (lines.length === 0)
        lines.push(
            h(
                "li",
                {},
                "nothing known; memory from outside malloc (mmap, the program's " +
                    "own allocators) is in no report",
            ),
        );
    part("blind", "What this report cannot see", h("ul", {}, lines));
};

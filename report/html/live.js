/*
 * The dashboard: one process at a time, chosen among all; its figures every two seconds, its samples and alerts as
 * they come, its sites as often as they are cheap. Names become text nodes only, see dom.js.
 */

const POLL_MS = 2000;
const RETRY_MS = 2000;
const SITES_MS = 5000; /* and at most a twentieth of the time */
const SITES_SHARE = 20;
const SITES_TOP = 200000;
const POINTS_MAX = 4000;

const SPANS = [
    ["5 min", 300],
    ["30 min", 1800],
    ["6 h", 21600],
    ["all", Infinity],
];

/* Those without arguments have a button. */
const COMMANDS = [
    "status",
    "health",
    "alerts",
    "leaks",
    "mark",
    "cleanup",
    "gc",
    "pause",
    "resume",
];

/* Parents before their children, who are indented. */
const treeOf = (rows) => {
    const byPid = new Set(rows.map((row) => row.pid));
    const children = new Map();
    const roots = [];
    for (const row of rows) {
        if (!byPid.has(row.parent) || row.parent === row.pid) roots.push(row);
        else if (children.has(row.parent)) children.get(row.parent).push(row);
        else children.set(row.parent, [row]);
    }
    const list = [],
        seen = new Set();
    const add = (row, depth) => {
        if (seen.has(row)) return;
        seen.add(row);
        list.push({...row, depth});
        for (const child of children.get(row.pid) ?? []) add(child, depth + 1);
    };
    for (const row of [...roots, ...rows]) add(row, 0);
    return list.map((row, index) => ({...row, index}));
};

const treeColumns = [
    {
        title: "process",
        value: (row) => row.index,
        cell: (row) => `${"\u00a0\u00a0\u00a0\u00a0".repeat(Math.min(row.depth, 12))}${row.name}`,
    },
    {title: "pid", number: true, value: (row) => row.pid, cell: (row) => String(row.pid)},
    {
        title: "state",
        value: (row) => row.end,
        cell: (row) =>
            row.end === "running" ? h("span", {class: "chip gone"}, "running") : name(endOf(row)),
    },
    bytesColumn("heap", "heap_bytes", "at its last sample"),
    bytesColumn("resident", "rss_bytes", "at its last sample"),
    {
        title: "lost",
        number: true,
        value: (row) => row.lost_bytes,
        cell: (row) => (row.end === "running" && !row.lost_bytes ? "" : bytes(row.lost_bytes)),
    },
    textColumn("profile", "profile"),
];

class Dashboard {
    constructor(server) {
        this.server = server;
        this.pid = Number(new URLSearchParams(location.search).get("pid")) || 0;
        this.rows = [];
        this.samples = [];
        this.alerts = [];
        this.span = 1800;
        this.paused = false;
        this.sitesAt = 0;
        this.part = {};
        this.build();
    }

    /* ---- what is on the page ---- */

    build() {
        this.state = h("span", {class: "state", role: "status"}, "connecting");
        this.title = h("span", {});
        document
            .getElementById("head")
            .append(
                h("p", {class: "who"}, h("b", {}, "poolprof"), " ", this.title, this.state),
                (this.headline = h("h1", {}, "")),
                (this.argv = h("p", {class: "argv"})),
            );
        this.cards = h("dl", {class: "cards"});
        part("summary", "Now", this.cards, this.pauseButton());
        this.plot = h("div", {class: "plot"});
        part("time", "Memory over time", this.spans(), this.plot);
        this.alertTable = new Table(alertColumns, {label: "alerts", sort: null, rows: 20});
        part("alerts", "Alerts", this.alertTable.element);
        this.buildSites();
        this.poolTable = new Table(poolColumns, {label: "pools", sort: null});
        this.poolPart = part("pools", "Pools", this.poolTable.element);
        this.tagTable = new Table(tagColumns, {label: "tags", sort: null});
        this.tagPart = part("tags", "Tags", this.tagTable.element);
        this.buildCommands();
        this.buildTree();
        navigate();
        document.addEventListener("keydown", (event) => this.key(event));
    }

    pauseButton() {
        this.pauseSwitch = h("button", {type: "button", onclick: () => this.pause()}, "Pause");
        return h("p", {class: "tools"}, this.pauseSwitch);
    }

    pause() {
        this.paused = !this.paused;
        this.pauseSwitch.textContent = this.paused ? "Go on" : "Pause";
        this.pauseSwitch.setAttribute("aria-pressed", String(this.paused));
        if (!this.paused) this.poll();
    }

    spans() {
        return h(
            "p",
            {class: "tools", role: "group", "aria-label": "span of time"},
            SPANS.map(([title, seconds]) =>
                h(
                    "button",
                    {
                        type: "button",
                        "aria-pressed": String(seconds === this.span),
                        onclick: (event) => {
                            this.span = seconds;
                            for (const button of event.target.parentElement.children)
                                button.setAttribute(
                                    "aria-pressed",
                                    String(button === event.target),
                                );
                            this.drawTime();
                        },
                    },
                    title,
                ),
            ),
        );
    }

    buildSites() {
        this.filter = h("input", {
            type: "search",
            id: "filter",
            placeholder: "function, file, thread, tag ...",
            "aria-label": "filter sites",
            oninput: () => this.drawSites(),
        });
        this.told = h("output", {});
        this.sitesInto = h("div", {});
        part("sites", "Sites", h("div", {class: "tools"}, this.filter, this.told), this.sitesInto);
    }

    buildCommands() {
        this.command = h("input", {
            type: "text",
            id: "command",
            size: "40",
            placeholder: "get MEM_WARN",
            list: "commands",
            "aria-label": "command",
        });
        this.reply = h("pre", {
            class: "reply",
            role: "status",
            tabindex: "0",
            "aria-label": "reply",
        });
        part(
            "control",
            "Commands",
            h(
                "p",
                {class: "dim"},
                "To the watcher of this process, as with ",
                h("code", {}, "poolprof ctl"),
                this.server.token
                    ? "."
                    : "; they need the token, which the address that was printed has.",
            ),
            h(
                "form",
                {
                    class: "tools",
                    onsubmit: (event) => {
                        event.preventDefault();
                        this.order(this.command.value);
                    },
                },
                this.command,
                h(
                    "datalist",
                    {id: "commands"},
                    [...COMMANDS, "get MEM_WARN", "set MEM_WARN 1G", "snapshot FILE"].map((value) =>
                        h("option", {value}),
                    ),
                ),
                h("button", {type: "submit"}, "Run"),
                COMMANDS.map((name) =>
                    h("button", {type: "button", onclick: () => this.order(name)}, name),
                ),
            ),
            this.reply,
        );
    }

    async order(line) {
        const [command, ...args] = line.trim().split(/\s+/);
        if (!command) return;
        this.reply.textContent = `${command} ...`;
        try {
            const response = await fetch("/api/ctl", {
                method: "POST",
                headers: {...this.server.headers(), "Content-Type": "application/json"},
                body: JSON.stringify({command, args, pid: this.pid}),
            });
            const text = await response.text();
            this.reply.textContent = text.startsWith("{")
                ? JSON.stringify(JSON.parse(text), null, 2)
                : text;
        } catch (error) {
            this.reply.textContent = String(error);
        }
    }

    buildTree() {
        this.tree = new Table(treeColumns, {label: "processes", sort: null, rows: 200});
        this.tree.element.classList.add("tree");
        this.tree.body.addEventListener("click", (event) => this.pick(event.target.closest("tr")));
        this.tree.body.addEventListener("keydown", (event) => {
            if (event.key === "Enter") this.pick(event.target.closest("tr"));
        });
        part("processes", "Processes", this.tree.element);
    }

    key(event) {
        if (event.key === "Escape") event.target.blur?.();
        if (/^(INPUT|SELECT|TEXTAREA|BUTTON)$/.test(event.target.tagName)) return;
        if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest?.("table"))
            return;
        if (event.key === " ") this.pause();
        else if (event.key === "/") this.filter.focus();
        else if (event.key === "c") this.command.focus();
        else if (event.key === "p") this.tree.body.querySelector("tr[tabindex]")?.focus();
        else return;
        event.preventDefault();
    }

    /* ---- what is drawn again and again ---- */

    drawHead({process}) {
        this.title.replaceChildren(
            name(programName(process)),
            h("small", {}, ` pid ${process.pid} on `, name(process.host ?? "")),
        );
        document.title = `${programName(process)} (${process.pid}): poolprof`;
        this.headline.replaceChildren(
            `${bytes(this.now.heap_bytes)} in ${counted(this.now.objects, "object")}`,
        );
        this.argv.replaceChildren(h("code", {}, name(process.argv.join(" "))));
    }

    drawCards({totals, process, overhead, last_scan: scan}) {
        const before = this.before,
            seconds = before ? process.duration_s - before.s : 0;
        const rate = seconds > 0.5 ? (totals.allocations - before.allocations) / seconds : null;
        if (!before || seconds > 0.5)
            this.before = {s: process.duration_s, allocations: totals.allocations};
        this.cards.replaceChildren(
            card("heap", bytes(this.now.heap_bytes), counted(this.now.objects, "object")),
            card("resident", bytes(this.now.rss_bytes), "without poolprof's own"),
            card(
                "peak of the heap",
                bytes(totals.peak_bytes),
                `exact to ${bytes(totals.peak_error_bytes)}`,
            ),
            card(
                "allocations",
                count(totals.allocations),
                rate != null && `${count(Math.max(0, rate))} per second`,
            ),
            ...(scan ? [this.lostCard(scan, process.duration_s)] : []),
            card("served by pools", percent(totals.pool_allocations, totals.allocations)),
            card(
                process.end === "running" ? "runs for" : "ran for",
                time(process.duration_s),
                endOf(process),
            ),
            card("bookkeeping", bytes(overhead.tracker_bytes)),
        );
    }

    lostCard(scan, now) {
        const ago = time(Math.max(0, now - scan.t_s));
        return card(
            "lost",
            bytes(scan.lost_bytes + scan.indirect_bytes),
            `${counted(scan.lost_objects + scan.indirect_objects, "object")}, looked for ${ago} ago`,
        );
    }

    drawTime() {
        const last = this.samples.at(-1)?.t_s ?? 0;
        const seen = this.samples.filter((sample) => sample.t_s >= last - this.span);
        if (seen.length < 2) {
            this.plot.replaceChildren(h("p", {class: "dim"}, "No two samples yet."));
            this.replot = null;
            return;
        }
        if (this.replot) this.replot(seen, this.alerts);
        else this.replot = timelinePlot(this.plot, seen, this.alerts);
    }

    drawAlerts() {
        this.alertTable.show(this.alerts.map((alert, index) => ({...alert, index})).reverse());
    }

    drawSites() {
        if (!this.data) return;
        const words = this.filter.value
            .toLowerCase()
            .split(/\s+/)
            .filter((word) => word)
            .map((word) => this.data.has(word));
        const rows = this.data.sites.filter((site) => words.every((has) => has(site)));
        const sum = rows.reduce((all, site) => all + site.bytes, 0);
        this.told.textContent = `${counted(rows.length, "site")}, ${this.data.about}${bytes(sum)}`;
        this.siteTable.show(rows);
    }

    newSites(data) {
        const columns = reportColumns(data),
            titles = columns.map((column) => column.title).join();
        this.data = data;
        if (this.siteTable?.titles === titles) {
            this.siteTable.columns = columns;
            this.siteTable.options.detail = siteDetail(data);
        } else {
            this.siteTable = new VirtualTable(columns, {
                sort: columns.findIndex((column) => column.title === "bytes"),
                detail: siteDetail(data),
                label: "sites",
            });
            this.siteTable.titles = titles;
            this.sitesInto.replaceChildren(this.siteTable.element);
        }
        this.drawSites();
    }

    drawTree() {
        this.tree.show(treeOf(this.rows));
        for (const line of this.tree.body.querySelectorAll("tr[data-index]")) {
            line.setAttribute("tabindex", "0");
            line.setAttribute("aria-current", String(line.row.pid === this.pid));
        }
    }

    say(text, live) {
        this.state.textContent = text;
        this.state.className = `state ${live ? "live" : "lost"}`;
    }

    /* ---- what is asked ---- */

    query(path, more) {
        return `${path}?pid=${this.pid}${more ?? ""}`;
    }

    runs() {
        return this.rows.some((row) => row.pid === this.pid && row.end === "running");
    }

    async askProcesses() {
        this.rows = (await this.server.json("/api/processes")).processes;
        const there = this.rows.some((row) => row.pid === this.pid);
        if (!there)
            this.pid = (this.rows.find((row) => row.end === "running") ?? this.rows[0])?.pid ?? 0;
        this.drawTree();
    }

    async pick(line) {
        const row = line?.row;
        if (!row || row.pid === this.pid) return;
        this.pid = row.pid;
        history.replaceState(null, "", `?pid=${row.pid}`);
        this.before = this.data = this.siteTable = null;
        this.sitesInto.replaceChildren();
        this.sitesAt = 0;
        this.drawTree();
        await this.askAll();
    }

    async askAll() {
        if (this.pid === 0) {
            this.headline.textContent = "No profiled process";
            return;
        }
        const [{samples}, {alerts}] = await Promise.all([
            this.server.json(this.query("/api/samples")),
            this.server.json(this.query("/api/alerts")),
        ]);
        this.samples = samples;
        this.alerts = alerts;
        this.drawAlerts();
        await this.poll();
    }

    addSample(sample) {
        if (sample.t_s <= (this.samples.at(-1)?.t_s ?? -1)) return;
        this.samples.push(sample);
        if (this.samples.length > POINTS_MAX) this.samples.splice(0, POINTS_MAX / 10);
    }

    /* Figures by counters: cheap. */
    async poll() {
        if (this.pid === 0 || this.paused) return;
        const [pools, {tags}] = await Promise.all([
            this.server.json(this.query("/api/pools")),
            this.server.json(this.query("/api/tags")),
        ]);
        if (pools.process.pid !== this.pid) return;
        this.now = pools.now;
        if (this.runs()) this.addSample(pools.now);
        this.drawHead(pools);
        this.drawCards(pools);
        this.drawTime();
        this.poolTable.show(pools.pools.map((pool, index) => ({...pool, index})));
        this.tagTable.show(tags.map((tag, index) => ({...tag, index})));
        this.tagPart.hidden = tags.length === 0;
        if (performance.now() >= this.sitesAt && (this.runs() || !this.data)) await this.askSites();
    }

    async askSites() {
        const start = performance.now(),
            pid = this.pid;
        this.sitesAt = Infinity;
        try {
            const content = await this.server.json(
                this.query("/api/report", `&stacks=tables&top=${SITES_TOP}`),
            );
            if (pid !== this.pid) return;
            this.newSites(new Data("", content.report, null, content.frames, content.nodes));
        } finally {
            const now = performance.now();
            this.sitesAt = now + Math.max(SITES_MS, SITES_SHARE * (now - start));
        }
    }

    heard(kind, data) {
        if (kind === "process") this.askProcesses().catch(() => {});
        if (data?.pid !== this.pid) return;
        if (kind === "alert") {
            this.alerts.push(data);
            this.drawAlerts();
        }
        if (kind === "sample" && !this.paused) this.addSample(data);
    }

    /* For ever: hears, and starts anew when the connection is lost. */
    async run() {
        for (;;) {
            try {
                await this.askProcesses();
                await this.askAll();
                this.say("live", true);
                document.documentElement.dataset.ready = "true";
                await this.server.listen("/api/events", (kind, data) => this.heard(kind, data));
                this.say("the server has ended the connection", false);
            } catch (error) {
                this.say(String(error.message), false);
            }
            document.documentElement.dataset.ready = "true";
            await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
        }
    }

    start() {
        this.run();
        setInterval(() => {
            if (document.hidden || this.polling) return;
            this.polling = this.poll()
                .catch(() => {})
                .finally(() => {
                    this.polling = null;
                });
        }, POLL_MS);
    }
}

new Dashboard(new Server()).start();

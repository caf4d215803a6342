/*
 * The flame graph, root on top. Only what is wide enough to be seen is laid out, so that the page stays light
 * whatever the tree holds; libraries (d3-flame-graph) lay out every node up front.
 */

const SEEN = 0.0008; /* of the graph's width: one pixel of 1200 */
const BOXES_MAX = 8000;

const flamePeak = (data) => data.report.peak.sites.map((site) => [site.stack, site.bytes]);
const flameSites = (key) => (data, lost) =>
    data.sites
        .filter((site) => !lost || site.kind === "lost" || site.kind === "indirect")
        .map((site) => [site.stack, site[key]]);
/* A diff's box is as wide as the larger of both sides and tells of the growth by its colour. */
const flameGrowth = (key) => (data) =>
    data.sites.map((site) => [
        site.stack,
        Math.max(site[`${key}_before`], site[`${key}_after`]),
        site[`${key}_growth`],
    ]);

const METRICS = {
    bytes: {title: "bytes outstanding", format: bytes, weights: flameSites("bytes")},
    objects: {
        title: "objects outstanding",
        format: (value) => counted(value, "object"),
        weights: flameSites("objects"),
    },
    allocations: {
        title: "allocations ever, where something is left",
        format: (value) => counted(value, "allocation"),
        weights: flameSites("allocations"),
    },
    allocated: {
        title: "bytes ever allocated, where something is left",
        format: bytes,
        weights: flameSites("bytes_allocated"),
    },
    peak: {title: "bytes at the peak", format: bytes, weights: flamePeak},
};
const DIFF_METRICS = {
    bytes: {title: "bytes, and growth", format: bytes, weights: flameGrowth("bytes")},
    objects: {
        title: "objects, and growth",
        format: (value) => counted(value, "object"),
        weights: flameGrowth("objects"),
    },
};

const hashOf = (text) => {
    let hash = 7;
    for (const letter of text) hash = (hash * 31 + letter.codePointAt(0)) >>> 0;
    return hash;
};
/* Each module has a colour, each function a shade of it; what starts every program has no colour. */
const HUES = [18, 42, 95, 150, 190, 215, 265, 320];

class Flame {
    constructor(data) {
        this.data = data;
        this.metrics = data.diff ? DIFF_METRICS : METRICS;
        this.metric = h(
            "select",
            {id: "metric", "aria-label": "what the width means", onchange: () => this.build()},
            Object.entries(this.metrics)
                .filter(([key]) => key !== "peak" || data.report?.peak.sites.length > 0)
                .map(([key, metric]) => h("option", {value: key}, metric.title)),
        );
        this.lost = h("input", {type: "checkbox", id: "lost-only", onchange: () => this.build()});
        this.inverted = h("input", {
            type: "checkbox",
            id: "inverted",
            onchange: () => this.build(),
        });
        this.search = h("input", {
            type: "search",
            id: "flame-search",
            placeholder: "function ...",
            "aria-label": "search the flame graph",
            oninput: () => this.draw(),
        });
        this.out = h(
            "button",
            {type: "button", id: "zoom-out", onclick: () => this.zoom(this.tree.root)},
            "zoom out",
        );
        this.told = h("output", {id: "flame-told"});
        this.about = h("p", {class: "about", "aria-live": "polite"});
        this.graph = h("div", {
            class: "flame",
            role: "tree",
            "aria-label": "flame graph",
            onclick: (event) => this.pick(event),
            onkeydown: (event) => this.key(event),
            onmouseover: (event) => this.tell(event.target.box),
            onfocusin: (event) => this.tell(event.target.box),
        });
        this.element = h(
            "div",
            {},
            h(
                "div",
                {class: "tools"},
                this.metric,
                data.scanned && h("label", {class: "check"}, this.lost, "lost only"),
                h("label", {class: "check"}, this.inverted, "inverted: allocating function first"),
                this.search,
                this.out,
                this.told,
            ),
            this.about,
            this.graph,
        );
        this.build();
    }

    build() {
        const metric = (this.chosen = this.metrics[this.metric.value]);
        const peak = this.metric.value === "peak";
        this.lost.disabled = peak;
        this.tree = new FlameTree(
            this.data,
            metric.weights(this.data, this.lost.checked && !peak),
            this.inverted.checked,
        );
        this.zoom(this.tree.root);
    }

    zoom(merged, focus) {
        this.focused = merged;
        this.draw();
        this.out.disabled = merged === this.tree.root;
        if (focus) this.graph.querySelector(".zoomed")?.focus();
    }

    match() {
        const word = this.search.value.trim().toLowerCase();
        return word ? (text) => text.toLowerCase().includes(word) : null;
    }

    draw() {
        const rows = [],
            match = this.match();
        this.boxes = 0;
        const above = [];
        for (let at = this.focused.parent; at; at = at.parent) above.unshift(at);
        above.forEach((merged, depth) => this.box(rows, merged, depth, 0, 1, match, "above"));
        this.spread(rows, match, above.length);
        this.graph.replaceChildren(
            ...rows.map((boxes) => h("div", {class: "row", role: "group"}, boxes)),
        );
        this.graph.querySelector("[role=treeitem]")?.setAttribute("tabindex", "0");
        const all = this.tree.root.value,
            matched = match && all > 0 ? this.tree.matched(match) : 0;
        this.told.textContent =
            match && all > 0
                ? `${this.chosen.format(matched)}, ${percent(matched, all)} in stacks that match`
                : "";
        this.tell(this.focused);
    }

    /* Level by level, so that where there are too many boxes the deepest are left out. */
    spread(rows, match, depth) {
        let level = [[this.focused, 0, 1]];
        for (; level.length > 0 && this.boxes < BOXES_MAX; depth++) {
            const next = [];
            for (const [merged, left, width] of level) {
                this.box(
                    rows,
                    merged,
                    depth,
                    left,
                    width,
                    match,
                    merged === this.focused ? "zoomed" : "",
                );
                let at = left;
                for (const child of this.tree.children(merged)) {
                    const share = (width * child.value) / merged.value;
                    if (!(share >= SEEN)) break; /* the rest is smaller still */
                    next.push([child, at, share]);
                    at += share;
                }
            }
            level = next;
        }
    }

    box(rows, merged, depth, left, width, match, more) {
        const box = h(
            "div",
            {role: "treeitem", tabindex: "-1", class: `box ${more}`, "aria-level": depth + 1},
            width > 0.015 ? name(merged.name) : "",
        );
        box.box = merged;
        box.style.left = `${left * 100}%`;
        box.style.width = `${width * 100}%`;
        this.colour(box, merged);
        if (match && merged.frame && match(merged.name)) box.classList.add("hit");
        if (width > 0.015) {
            box.title = merged.name;
            box.classList.add("wide");
        }
        (rows[depth] ??= []).push(box);
        this.boxes++;
    }

    colour(box, merged) {
        if (this.data.diff) {
            const share = merged.value > 0 ? merged.growth / merged.value : 0;
            box.style.setProperty("--hue", share > 0 ? 4 : 215);
            box.style.setProperty(
                "--strength",
                `${Math.round(Math.min(1, Math.abs(share)) * 80)}%`,
            );
        } else if (!merged.frame || isRuntime(merged.frame))
            box.style.setProperty("--strength", "0%");
        else {
            box.style.setProperty("--hue", HUES[hashOf(merged.frame.module ?? "") % HUES.length]);
            box.style.setProperty("--shade", `${(hashOf(merged.name) % 9) - 4}%`);
        }
    }

    tell(merged) {
        if (!merged) return;
        const root = this.tree.root.value,
            frame = merged.frame;
        this.about.replaceChildren(
            name(merged.name, {class: "fn"}),
            ` ${this.chosen.format(merged.value)} (${percent(merged.value, root)})` +
                (this.data.diff ? `, ${signed(this.chosen.format, merged.growth)}` : ""),
            frame
                ? h(
                      "span",
                      {class: "dim"},
                      " ",
                      name(shortPlace(frame)),
                      frame.module ? " in " : "",
                      name(frame.module ?? ""),
                  )
                : "",
        );
    }

    pick(event) {
        const merged = event.target.closest(".box")?.box;
        if (merged) this.zoom(merged);
    }

    key(event) {
        const box = event.target.closest(".box");
        if (!box) return;
        if (event.key === "Enter" || event.key === " ") this.zoom(box.box, true);
        else if (event.key === "Escape") this.zoom(this.focused.parent ?? this.focused, true);
        else {
            const to = this.neighbour(box, event.key);
            if (!to) return;
            box.setAttribute("tabindex", "-1");
            to.setAttribute("tabindex", "0");
            to.focus();
        }
        event.preventDefault();
    }

    neighbour(box, key) {
        if (key === "ArrowLeft") return box.previousElementSibling;
        if (key === "ArrowRight") return box.nextElementSibling;
        const row =
            key === "ArrowUp"
                ? box.parentElement.previousElementSibling
                : key === "ArrowDown"
                  ? box.parentElement.nextElementSibling
                  : null;
        const wanted =
            key === "ArrowUp"
                ? (to) => to.box === box.box.parent
                : (to) => to.box.parent === box.box;
        return row ? [...row.children].find(wanted) : null;
    }
}

const flamePart = (data) => {
    if (data.sites.length === 0 && !(data.report?.peak.sites.length > 0)) return;
    const flame = new Flame(data);
    part(
        "flame",
        "Flame graph",
        h(
            "p",
            {class: "dim"},
            data.diff
                ? "Width: the larger of before and after, of what changed. Red grew, blue shrank. Click a box to look closer."
                : "Width: the share of a function and all that it called. Colours are libraries. Click a box to look closer.",
        ),
        flame.element,
    );
};

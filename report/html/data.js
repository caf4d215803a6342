/* The page's data: the JSON report with stacks as nodes of a tree, or a diff with stacks as lists. */

const KINDS = ["lost", "indirect", "possible", "outstanding", "reachable", "suppressed"];

const load = (element) => {
    const data = JSON.parse(element.textContent);
    element.remove(); /* the text is as large as what was made of it */
    const content = data.content;
    const made =
        content.schema === "poolprof.diff/1"
            ? new Data(data.verdict, null, content, [null], [0, 0])
            : new Data(data.verdict, content.report, null, content.frames, content.nodes);
    made.leftOut = data.left_out;
    return made;
};

class Data {
    constructor(verdict, report, diff, frames, nodes) {
        this.verdict = verdict.trimEnd().split("\n");
        this.report = report;
        this.diff = diff;
        this.frames = frames;
        this.sites = (report ?? diff).sites;
        if (diff) [nodes] = this.intern();
        this.parents = Int32Array.from({length: nodes.length / 2}, (_, i) => nodes[2 * i]);
        this.frameOf = Int32Array.from({length: nodes.length / 2}, (_, i) => nodes[2 * i + 1]);
        this.sites.forEach((site, index) => {
            site.index = index;
        });
        this.estimates = report?.sampling != null;
        this.about = this.estimates ? "≈ " : ""; /* before what is one */
        this.scanned = report?.leaks.scan === "done";
    }

    /* Makes a tree of a diff's lists; the same tables as those of a report. */
    intern() {
        const nodes = [0, 0],
            known = new Map(),
            frames = new Map();
        for (const site of this.sites) {
            let parent = 0;
            for (const frame of site.stack.toReversed()) {
                const text = JSON.stringify(frame);
                if (!frames.has(text)) {
                    frames.set(text, this.frames.length);
                    this.frames.push(frame);
                }
                const key = `${parent},${frames.get(text)}`;
                if (!known.has(key)) {
                    known.set(key, nodes.length / 2);
                    nodes.push(parent, frames.get(text));
                }
                parent = known.get(key);
            }
            site.stack = parent;
        }
        return [nodes];
    }

    /* Frames of a stack, innermost first. */
    stack(node) {
        const frames = [];
        for (let at = node; at !== 0; at = this.parents[at])
            frames.push(this.frames[this.frameOf[at]]);
        return frames;
    }

    /* The text a site is searched by, made when first needed. */
    haystack(site) {
        site.text ??= [
            site.kind,
            site.change,
            site.tag,
            site.thread,
            site.type,
            ...this.stack(site.stack).flatMap((f) => [label(f), place(f), f.module]),
        ]
            .filter((text) => text)
            .join("\n")
            .toLowerCase();
        return site.text;
    }
}

const label = (frame) => frame.function || `${frame.module ?? "?"}+${frame.address}`;
const base = (path) => path.slice(path.lastIndexOf("/") + 1);
const place = (frame) => (frame.file ? `${frame.file}${frame.line ? `:${frame.line}` : ""}` : "");
const shortPlace = (frame) =>
    frame.file ? `${base(frame.file)}${frame.line ? `:${frame.line}` : ""}` : "";

/* Code that starts every program: of no interest to who looks for a leak. */
const RUNTIME = new Set([
    "_start",
    "__libc_start_main",
    "__libc_start_main_impl",
    "__libc_start_call_main",
    "start_thread",
    "clone3",
    "__clone3",
    "clone",
    "thread_start",
]);
const isRuntime = (frame) => RUNTIME.has((frame.function ?? "").replace(/@.*/, ""));

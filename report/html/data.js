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

    /* The site of that id. */
    byId(id) {
        this.ids ??= new Map(this.sites.map((site) => [site.id, site]));
        return this.ids.get(id);
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

    /* Whether a site has a word in its stack or in its other texts. Each frame is looked at once, each node
       of the tree then knows by its parent: a stack's text is never put together. */
    has(word) {
        this.texts ??= this.frames.map((frame) => (frame ? lowered(label(frame), place(frame), frame.module) : ""));
        const hits = this.texts.map((text) => text.includes(word));
        const found = new Uint8Array(this.parents.length);
        for (let node = 1; node < found.length; node++)
            found[node] = found[this.parents[node]] || hits[this.frameOf[node]] ? 1 : 0;
        return (site) =>
            found[site.stack] === 1 ||
            lowered(site.kind, site.change, site.tag, site.thread, site.type).includes(word);
    }
}

const lowered = (...texts) =>
    texts
        .filter((text) => text)
        .join("\n")
        .toLowerCase();
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

/* Of a demangled name what comes before its parameters; that of a template begins with its result. */
const qualified = (text) => {
    let from = 0,
        depth = 0;
    for (let at = 0; at < text.length && (depth > 0 || text[at] !== "("); at++)
        if (text[at] === "<") depth++;
        else if (text[at] === ">") depth--;
        else if (text[at] === " " && depth === 0) from = at + 1;
    return text.slice(from);
};
/* Without the frames of the C++ library at the inner end, as long as others remain (model_stack_first). */
const telling = (frames) => {
    const first = frames.findIndex((frame) => !/^(std|__gnu_cxx)::/.test(qualified(frame.function ?? "")));
    return first > 0 ? frames.slice(first) : frames;
};
/* A long name without what is between the outermost brackets. */
const brief = (text) => {
    if (text.length <= 60) return text;
    let short = "",
        depth = 0;
    for (const letter of text) {
        if (letter === ">" && depth > 0 && --depth === 0) short += "...";
        if (depth === 0) short += letter;
        if (letter === "<") depth++;
    }
    return depth === 0 ? short : text;
};

const isRuntime = (frame) => RUNTIME.has((frame.function ?? "").replace(/@.*/, ""));

/*
 * The flame graph's tree. The stacks are a tree already (parents before children), so sums are one loop
 * backwards over flat arrays; nodes that people see as one (equal names) are merged only where they are
 * looked at: 100,000 stacks open as fast as ten.
 */

class FlameTree {
    /* weights: [[node, value, growth], ...]; inverted: the allocating function at the root. */
    constructor(data, weights, inverted) {
        this.data = data;
        this.inverted = inverted;
        this.own = new Float64Array(data.parents.length);
        this.grown = new Float64Array(data.parents.length);
        for (const [node, value, growth] of weights) {
            this.own[node] += value;
            this.grown[node] += growth ?? 0;
        }
        this.leaves = [...new Set(weights.map(([node]) => node))].filter(
            (node) => this.own[node] > 0,
        );
        data.names ??= FlameTree.names(data);
        if (!inverted) this.sum();
        this.root = {name: "all", value: 0, growth: 0, frame: null, parent: null};
        this.root.nodes = inverted ? this.leaves : [0];
        this.root.values = inverted ? this.leaves.map((node) => this.own[node]) : null;
        this.root.growths = inverted ? this.leaves.map((node) => this.grown[node]) : null;
        this.root.value = this.leaves.reduce((all, node) => all + this.own[node], 0);
        this.root.growth = this.leaves.reduce((all, node) => all + this.grown[node], 0);
    }

    /* By frame: the number of its name; equal names, equal numbers. */
    static names(data) {
        const known = new Map();
        return Int32Array.from(data.frames, (frame) => {
            const text = frame ? label(frame) : "";
            if (!known.has(text)) known.set(text, known.size);
            return known.get(text);
        });
    }

    sum() {
        const {parents} = this.data,
            size = parents.length;
        this.total = this.own.slice();
        this.totalGrown = this.grown.slice();
        this.first = new Int32Array(
            size,
        ); /* child of a node, and the next child of its parent; 0: none */
        this.next = new Int32Array(size);
        for (let node = size - 1; node > 0; node--) {
            if (this.total[node] === 0) continue;
            const parent = parents[node];
            this.total[parent] += this.total[node];
            this.totalGrown[parent] += this.totalGrown[node];
            this.next[node] = this.first[parent];
            this.first[parent] = node;
        }
    }

    /* Merged children, largest first; made on first use. */
    children(merged) {
        if (merged.children) return merged.children;
        const byName = new Map();
        const add = (node, value, growth) => {
            const frame = this.data.frameOf[node],
                key = this.data.names[frame];
            let child = byName.get(key);
            if (!child) {
                child = {
                    name: label(this.data.frames[frame]),
                    frame: this.data.frames[frame],
                    value: 0,
                    growth: 0,
                    nodes: [],
                    values: [],
                    growths: [],
                    parent: merged,
                };
                byName.set(key, child);
            }
            child.value += value;
            child.growth += growth;
            child.nodes.push(node);
            if (this.inverted) {
                child.values.push(value);
                child.growths.push(growth);
            }
        };
        if (this.inverted) this.outwards(merged, add);
        else
            for (const parent of merged.nodes)
                for (let node = this.first[parent]; node !== 0; node = this.next[node])
                    add(node, this.total[node], this.totalGrown[node]);
        merged.children = [...byName.values()].sort(
            (a, b) => b.value - a.value || (a.name < b.name ? -1 : 1),
        );
        return merged.children;
    }

    outwards(merged, add) {
        merged.nodes.forEach((node, index) => {
            const to = merged === this.root ? node : this.data.parents[node];
            if (to !== 0) add(to, merged.values[index], merged.growths[index]);
        });
    }

    /* What of the root is at or under a name that matches; each stack once. */
    matched(match) {
        const {frames, frameOf, parents, names} = this.data;
        const hits = new Map(),
            good = new Uint8Array(parents.length);
        const hit = (frame) => {
            const key = names[frame];
            if (!hits.has(key)) hits.set(key, match(label(frames[frame])));
            return hits.get(key);
        };
        let sum = 0;
        for (let node = 1; node < parents.length; node++)
            good[node] = good[parents[node]] || hit(frameOf[node]) ? 1 : 0;
        for (const node of this.leaves) if (good[node]) sum += this.own[node];
        return sum;
    }
}

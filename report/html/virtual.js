/*
 * A table whose rows are all there to be scrolled to, and only those in sight are elements: as smooth with
 * 100,000 rows as with ten. All rows are of one height; what unfolds does so below the table.
 */

const VIRTUAL_MORE = 10; /* rows drawn beyond what is seen, on each side */

class VirtualTable extends Table {
    constructor(columns, options) {
        super(columns, options);
        this.at = 0; /* the row that the keyboard is on */
        this.high = 0; /* of a row; 0: not measured yet */
        this.drawn = [0, 0]; /* rows from, to before which */
        this.more.remove();
        this.window = this.element;
        this.window.classList.add("virtual");
        this.window.addEventListener("scroll", () => this.scroll(), {passive: true});
        this.panel = h("div", {class: "panel"});
        this.element = h("div", {}, this.window, this.panel);
        new ResizeObserver(() => this.draw()).observe(this.window);
    }

    show(rows) {
        this.rows = rows.slice();
        this.at = Math.min(this.at, Math.max(0, rows.length - 1));
        this.order();
    }

    choose(index) {
        super.choose(index);
        this.window.scrollTop = 0;
    }

    measure() {
        if (this.high > 0 || this.rows.length === 0) return;
        this.body.replaceChildren(this.line(this.rows[0]));
        this.high = this.body.firstElementChild.getBoundingClientRect().height;
    }

    /* The rows in sight: from, to before which. */
    seen() {
        const count = Math.ceil(this.window.clientHeight / this.high) + 1;
        const top = Math.floor(this.window.scrollTop / this.high);
        const first = Math.max(0, Math.min(top, this.rows.length - count));
        return [first, Math.min(this.rows.length, first + count)];
    }

    /* Nothing is to be done as long as what comes into sight is drawn already. */
    scroll() {
        if (this.high === 0 || this.rows.length === 0) return;
        const [first, last] = this.seen();
        if (first < this.drawn[0] || last > this.drawn[1]) this.draw();
    }

    draw() {
        if (this.rows.length === 0) {
            super.draw();
            return;
        }
        this.measure();
        if (this.high === 0) return; /* not on the page yet */
        const [from, to] = this.seen();
        const first = Math.max(0, from - VIRTUAL_MORE);
        const last = Math.min(this.rows.length, to + VIRTUAL_MORE);
        this.drawn = [first, last];
        const focused = this.body.contains(document.activeElement);
        this.body.replaceChildren(
            this.space(first),
            ...this.rows.slice(first, last).map((row, index) => this.place(row, first + index)),
            this.space(this.rows.length - last),
        );
        if (focused) this.current()?.focus({preventScroll: true});
    }

    place(row, index) {
        const line = this.line(row);
        line.setAttribute("aria-rowindex", String(index + 2));
        line.setAttribute("tabindex", index === this.at ? "0" : "-1");
        line.at = index;
        return line;
    }

    space(rows) {
        const element = h("tr", {class: "space", "aria-hidden": "true"});
        element.style.height = `${rows * this.high}px`;
        return element;
    }

    current() {
        return [...this.body.children].find((line) => line.at === this.at);
    }

    toggle(line, row) {
        this.at = line.at ?? this.at;
        const same = this.panel.row === row;
        this.panel.row = same ? null : row;
        this.panel.replaceChildren(...(same ? [] : [this.options.detail(row)]));
    }

    move(to) {
        this.at = Math.max(0, Math.min(this.rows.length - 1, to));
        const head = this.window.querySelector("thead").offsetHeight;
        const top = this.at * this.high,
            room = this.window.clientHeight - head - this.high;
        if (top < this.window.scrollTop) this.window.scrollTop = top;
        else if (top > this.window.scrollTop + room) this.window.scrollTop = top - room;
        this.draw();
        this.current()?.focus({preventScroll: true});
    }

    key(event) {
        const page = Math.max(1, Math.floor(this.window.clientHeight / this.high) - 2);
        const to = {
            ArrowDown: this.at + 1,
            ArrowUp: this.at - 1,
            PageDown: this.at + page,
            PageUp: this.at - page,
            Home: 0,
            End: this.rows.length - 1,
        }[event.key];
        if (to != null) this.move(to);
        else if (event.key === "Enter" || event.key === " ")
            this.toggle(event.target.closest("tr"), this.rows[this.at]);
        else return;
        event.preventDefault();
    }
}

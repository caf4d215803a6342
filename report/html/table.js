/* A table that sorts, filters and unfolds, and is as fast with 100,000 rows: it draws those asked for. */

const PAGE_ROWS = 20;
const PRINTED_ROWS = 20; /* unfolded on paper */

/*
 * columns: [{title, value(row) to sort by, cell(row), number: true, more: true (most first when chosen)}].
 * options: {sort: index of a column, detail(row): an element, label,
 * rows: how many at first}. `rows` may be replaced by show().
 */
class Table {
    constructor(columns, options) {
        Object.assign(this, {
            columns,
            options,
            rows: [],
            shown: options.rows ?? PAGE_ROWS,
            sort: options.sort,
            down: true,
        });
        this.body = h("tbody", {onkeydown: (event) => this.key(event)});
        this.heads = columns.map((column, index) =>
            h(
                "th",
                {scope: "col", class: column.number && "n"},
                h(
                    "button",
                    {type: "button", title: column.help, onclick: () => this.choose(index)},
                    column.title,
                ),
            ),
        );
        this.more = h("button", {
            type: "button",
            class: "more",
            onclick: () => {
                this.shown += 10 * PAGE_ROWS;
                this.draw();
            },
        });
        this.element = h(
            "div",
            {class: "scroll"},
            h(
                "table",
                {"aria-label": options.label, class: options.detail && "wide"},
                h("thead", {}, h("tr", {}, this.heads)),
                this.body,
            ),
            this.more,
        );
    }

    show(rows) {
        this.rows = rows.slice();
        this.shown = this.options.rows ?? PAGE_ROWS;
        this.order();
    }

    choose(index) {
        this.down = this.sort === index ? !this.down : this.columns[index].number === true;
        this.sort = index;
        this.order();
    }

    order() {
        if (this.sort != null) {
            const value = this.columns[this.sort].value,
                way = this.down ? -1 : 1;
            this.rows.sort((a, b) => {
                const x = value(a),
                    y = value(b);
                return (
                    way * (typeof x === "string" ? x.localeCompare(y) : x - y) || a.index - b.index
                );
            });
        }
        this.heads.forEach((head, index) => {
            head.setAttribute(
                "aria-sort",
                index !== this.sort ? "none" : this.down ? "descending" : "ascending",
            );
        });
        this.draw();
    }

    draw() {
        const rows = this.rows.slice(0, this.shown).map((row) => this.line(row));
        if (rows.length === 0)
            rows.push(
                h("tr", {}, h("td", {colspan: this.columns.length, class: "none"}, "nothing here")),
            );
        if (this.options.detail)
            rows[0].setAttribute("tabindex", "0"); /* arrows lead to the others */
        this.body.replaceChildren(...rows);
        const left = this.rows.length - this.shown;
        this.more.hidden = left <= 0;
        this.more.textContent = `${count(left)} more: show ${count(Math.min(left, 10 * PAGE_ROWS))}`;
    }

    line(row) {
        const unfolds = this.options.detail != null;
        const line = h(
            "tr",
            {
                tabindex: unfolds && "-1",
                class: unfolds && "unfolds",
                "data-index": row.index,
                "aria-expanded": unfolds && "false",
            },
            this.columns.map((column) =>
                h(
                    "td",
                    {
                        class: column.number && "n",
                        "data-value": column.number && String(column.value(row)),
                    },
                    column.cell(row),
                ),
            ),
        );
        if (unfolds) line.addEventListener("click", () => this.toggle(line, row));
        line.row = row;
        return line;
    }

    toggle(line, row) {
        const open = line.getAttribute("aria-expanded") === "true";
        line.setAttribute("aria-expanded", String(!open));
        if (open) line.nextElementSibling.remove();
        else
            line.after(
                h(
                    "tr",
                    {class: "detail"},
                    h("td", {colspan: this.columns.length}, this.options.detail(row)),
                ),
            );
    }

    /* Paper cannot be clicked. */
    print() {
        let opened = [];
        const toggle = (line) => this.toggle(line, line.row);
        addEventListener("beforeprint", () => {
            opened = [...this.body.querySelectorAll("tr.unfolds")]
                .slice(0, PRINTED_ROWS)
                .filter((line) => line.getAttribute("aria-expanded") === "false");
            opened.forEach(toggle);
        });
        addEventListener("afterprint", () => opened.forEach(toggle));
    }

    key(event) {
        const line = event.target.closest("tr.unfolds");
        if (!line || event.target !== line) return;
        const step = {ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling"}[
            event.key
        ];
        let to = line;
        if (step) {
            do to = to[step];
            while (to && !to.classList.contains("unfolds"));
            if (to) {
                line.setAttribute("tabindex", "-1");
                to.setAttribute("tabindex", "0");
                to.focus();
            }
        } else if (event.key === "Enter" || event.key === " ") this.toggle(line, line.row);
        else return;
        event.preventDefault();
    }
}

/* Elements and figures. Names come from the profiled program: they only ever become text nodes. */

/* h("td", {class: "n", onclick: f}, "text", child, ...). Functions become listeners. */
const h = (name, attributes, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes ?? {})) {
        if (value === false || value == null) continue;
        if (typeof value === "function") element.addEventListener(key.slice(2), value);
        else element.setAttribute(key, value === true ? "" : value);
    }
    element.append(...children.flat().filter((child) => child != null && child !== false));
    return element;
};

const UNITS = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/* Figures look as in the text report: words.c. */
const bytes = (value) => {
    if (Math.abs(value) < 1024) return `${value} byte${Math.abs(value) === 1 ? "" : "s"}`;
    let amount = Math.abs(value) / 1024,
        unit = 0;
    for (; amount >= 999.5 && unit < UNITS.length - 1; unit++) amount /= 1024;
    const digits = amount < 9.995 ? 2 : amount < 99.95 ? 1 : 0;
    return `${value < 0 ? "-" : ""}${amount.toFixed(digits)} ${UNITS[unit]}`;
};
const count = (value) => Math.round(value).toLocaleString("en-US");
const counted = (value, noun) => `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
const signed = (format, value) => (value > 0 ? "+" : "") + format(value);
const percent = (part, whole) => {
    const share = whole > 0 ? (100 * part) / whole : 0;
    return share > 0 && share < 1 ? "<1 %" : `${Math.round(share)} %`;
};
const time = (seconds) => {
    const two = (value) => String(Math.floor(value)).padStart(2, "0");
    const whole = Math.round(seconds),
        minutes = Math.floor(whole / 60),
        hours = Math.floor(minutes / 60);
    if (seconds < 9.995) return `${Math.max(0, seconds).toFixed(2)} s`;
    if (whole < 60) return `${seconds.toFixed(1)} s`;
    if (hours === 0) return `${minutes} min ${two(whole % 60)} s`;
    if (hours < 48) return `${hours} h ${two(minutes % 60)} min`;
    return `${Math.floor(hours / 24)} d ${hours % 24} h`;
};
const exact = (value) => (value < 1024 ? bytes(value) : `${bytes(value)} (${count(value)} bytes)`);

/* Names of functions and files may order their letters from right to left: kept apart from what follows. */
const name = (text, attributes) => h("bdi", attributes, String(text));

/* A bar as wide as its share; the width is set by script, for the policy allows no style attributes. */
const bar = (share, kind) => {
    const element = h("i", {class: `bar ${kind ?? ""}`, "aria-hidden": "true"});
    element.style.width = `${Math.max(0, Math.min(1, share)) * 100}%`;
    return element;
};

const parts = [];
/* A part of the page, with its place in the navigation. */
const part = (id, title, ...children) => {
    const heading = h("h2", {}, title);
    const section = h("section", {id, "aria-label": title}, heading, ...children);
    parts.push([id, title]);
    document.getElementById("main").append(section);
    return section;
};

const navigate = () =>
    document.getElementById("nav").append(
        h(
            "ul",
            {},
            parts.map(([id, title]) => h("li", {}, h("a", {href: `#${id}`}, title))),
        ),
    );

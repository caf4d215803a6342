/*
 * Makes the page of the HTML report, one file with a mark where the program puts a report's data, and the
 * dashboard's, which asks the server that it comes from.
 * node build.mjs SOURCE MODULES VERSION PAGE DASHBOARD LICENCES
 *
 * The policy lets nothing in but the page's own script and style, by their hashes; data is no script.
 */
import {createHash} from "node:crypto";
import {readFileSync, writeFileSync} from "node:fs";
import {join} from "node:path";

const [source, modules, version, page, dashboard, licences] = process.argv.slice(2);
const libraries = ["uplot"];
const scripts = [
    "dom.js",
    "data.js",
    "table.js",
    "summary.js",
    "sites.js",
    "tree.js",
    "flame.js",
    "timeline.js",
    "parts.js",
    "held.js",
    "main.js",
];

const read = (...path) => readFileSync(join(...path), "utf8");
const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
const escape = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;");

const licence = libraries
    .map((name) => {
        const about = JSON.parse(read(modules, name, "package.json"));
        return `${about.name} ${about.version}\n\n${read(modules, name, "LICENSE")}`;
    })
    .join("\n");

const make = ({file, styles, scripts, asks, texts}) => {
    const script =
        read(modules, "uplot/dist/uPlot.iife.min.js") +
        '\n(() => {\n"use strict";\n' +
        scripts.map((name) => read(source, name)).join("\n") +
        "})();\n";
    const style = [
        read(modules, "uplot/dist/uPlot.min.css"),
        ...styles.map((name) => read(source, name)),
    ].join("\n");
    if (/<\/(script|style)/i.test(script + style))
        throw new Error("a script or style ends its element");
    const marks = {
        CSP:
            `default-src 'none'; script-src ${hash(script)}; style-src ${hash(style)}; ${asks}` +
            "base-uri 'none'; form-action 'none'",
        CSS: style,
        SCRIPT: script,
        VERSION: version,
        LICENCES: escape(licence),
    };
    const fill = (text, from) => text.replace(/@([A-Z]+)@/g, (mark, name) => from[name] ?? mark);
    writeFileSync(file, fill(fill(read(source, "page.html"), texts), marks));
};

/* @DATA@ is for the program. */
const pages = [
    {
        file: page,
        styles: ["page.css"],
        scripts,
        asks: "",
        texts: {
            NOSCRIPT: `This report is drawn by a script of its own, which loads nothing from anywhere. Please allow it,
or use <code>poolprof report --format text</code>.`,
            ABOUT: `Made by <b>poolprof @VERSION@</b>. Nothing was loaded to show this page; all of the data is in it.
<kbd>/</kbd> filters sites, <kbd>f</kbd> searches the flame graph, arrows and <kbd>Enter</kbd> move and unfold,
<kbd>Esc</kbd> goes back.`,
            DATAPLACE: '<script type="application/json" id="data">@DATA@</script>\n',
        },
    },
    {
        file: dashboard,
        styles: ["page.css", "live.css"],
        scripts: [
            ...scripts.filter((name) => name !== "main.js"),
            "virtual.js",
            "server.js",
            "live.js",
        ],
        asks: "connect-src 'self'; ",
        texts: {
            NOSCRIPT: `The dashboard is drawn by a script of its own, which asks this server only. Please allow it, or read
<a href="/metrics">/metrics</a>.`,
            ABOUT: `Served by <b>poolprof @VERSION@</b>. <kbd>/</kbd> filters sites, <kbd>p</kbd> goes to the processes,
<kbd>c</kbd> to the commands, arrows and <kbd>Enter</kbd> move and unfold, <kbd>Space</kbd> outside of a table pauses.`,
            DATAPLACE: "",
        },
    },
];

for (const made of pages) make(made);
writeFileSync(licences, licence);

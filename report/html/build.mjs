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

const make = ({file, html, styles, scripts, asks}) => {
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
    writeFileSync(
        file,
        read(source, html).replace(/@([A-Z]+)@/g, (mark, name) => marks[name] ?? mark),
    );
};

const pages = [
    {
        file: page,
        html: "page.html",
        styles: ["page.css"],
        scripts: scripts,
        asks: "",
    },
    {
        file: dashboard,
        html: "live.html",
        styles: ["page.css", "live.css"],
        scripts: [
            ...scripts.filter((name) => name !== "main.js"),
            "virtual.js",
            "server.js",
            "live.js",
        ],
        asks: "connect-src 'self'; ",
    },
];

for (const made of pages) make(made);
writeFileSync(licences, licence);

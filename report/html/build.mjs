/*
 * Makes the page of the HTML report: one file, with a mark where the program puts a report's data.
 * node build.mjs SOURCE MODULES VERSION PAGE LICENCES
 *
 * The policy lets nothing in but the page's own script and style, by their hashes; data is no script.
 */
import {createHash} from "node:crypto";
import {readFileSync, writeFileSync} from "node:fs";
import {join} from "node:path";

const [source, modules, version, page, licences] = process.argv.slice(2);
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
const script =
    read(modules, "uplot/dist/uPlot.iife.min.js") +
    '\n(() => {\n"use strict";\n' +
    scripts.map((name) => read(source, name)).join("\n") +
    "})();\n";
const style = read(modules, "uplot/dist/uPlot.min.css") + "\n" + read(source, "page.css");
if (/<\/(script|style)/i.test(script + style))
    throw new Error("a script or style ends its element");

const parts = {
    CSP:
        `default-src 'none'; script-src ${hash(script)}; style-src ${hash(style)}; base-uri 'none'; ` +
        "form-action 'none'",
    CSS: style,
    SCRIPT: script,
    VERSION: version,
    LICENCES: escape(licence),
};
writeFileSync(
    page,
    read(source, "page.html").replace(/@([A-Z]+)@/g, (mark, name) => parts[name] ?? mark),
);
writeFileSync(licences, licence);

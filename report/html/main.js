/* Draws the page, and what the keyboard does everywhere. */

const shortcuts = (event) => {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (event.key === "Escape" && typing) event.target.blur();
    if (typing || event.ctrlKey || event.altKey || event.metaKey) return;
    const target = {"/": "filter", f: "flame-search"}[event.key];
    const element = target && document.getElementById(target);
    if (!element) return;
    event.preventDefault();
    element.focus();
};

const draw = () => {
    const data = load(document.getElementById("data"));
    summary(data);
    sitesPart(data);
    flamePart(data);
    if (data.report) {
        timelinePart(data);
        peakPart(data);
        poolsPart(data);
        rootsPart(data);
        classesPart(data);
        threadsPart(data);
        tagsPart(data);
        framesPart(data);
        childrenPart(data);
        blindPart(data);
    }
    navigate();
    document.addEventListener("keydown", shortcuts);
};

/* A page that cannot be drawn says so: its reader is in trouble already. */
try {
    draw();
} catch (error) {
    document
        .getElementById("head")
        .append(
            h("h1", {class: "bad"}, "This browser cannot draw the report"),
            h("p", {}, `${error}. Try a newer one, or: poolprof report --format text`),
        );
    throw error;
}
document.documentElement.dataset.ready = "true";

/* Memory over time: uPlot draws, and draws again when the page's size or colours change. */

const colourOf = (property) =>
    getComputedStyle(document.documentElement).getPropertyValue(property).trim();

const timeAxis = () => ({
    stroke: colourOf("--dim"),
    grid: {stroke: colourOf("--line"), width: 1},
    ticks: {stroke: colourOf("--line")},
    values: (_, values, index, space, step) =>
        values.map((value) =>
            step < 0.01
                ? `${count(value * 1000)} ms`
                : value < 60
                  ? `${Number(value.toFixed(2))} s`
                  : time(value),
        ),
});
const amountAxis = (scale, format, side) => ({
    scale,
    side,
    size: 80,
    stroke: colourOf("--dim"),
    show: true,
    grid: {show: side === 3, stroke: colourOf("--line"), width: 1},
    ticks: {stroke: colourOf("--line")},
    values: (_, values) => values.map((value) => (value == null ? "" : format(value))),
    incrs: undefined,
});

const line = (title, colour, scale, format) => ({
    label: title,
    scale,
    stroke: colourOf(colour),
    width: 2,
    points: {show: true, size: 5},
    value: (_, value) => (value == null ? "" : format(value)),
});

/* Bytes are counted in powers of two, and so are the marks of their axis. */
const byteSteps = Array.from({length: 50}, (_, power) => 2 ** power);

const alertLines = (alerts) => (plot) => {
    const {ctx, bbox} = plot;
    ctx.save();
    ctx.lineWidth = 2;
    for (const alert of alerts) {
        const x = Math.round(plot.valToPos(alert.t_s, "x", true));
        if (x < bbox.left || x > bbox.left + bbox.width) continue;
        ctx.strokeStyle = colourOf(
            alert.state === "resolved" ? "--good" : alert.level === "critical" ? "--bad" : "--fair",
        );
        ctx.setLineDash([6, 4]);
        ctx.beginPath();
        ctx.moveTo(x, bbox.top);
        ctx.lineTo(x, bbox.top + bbox.height);
        ctx.stroke();
    }
    ctx.restore();
};

/* Returns a function that shows other samples and alerts in its place. */
const timelinePlot = (into, samples, alerts) => {
    const columns = () =>
        ["t_s", "rss_bytes", "heap_bytes", "objects"].map((column) =>
            samples.map((sample) => sample[column]),
        );
    let plot;
    const draw = () => {
        into.replaceChildren();
        const options = {
            width: Math.max(320, into.clientWidth),
            height: 280,
            ms: 1,
            scales: {
                x: {time: false},
                bytes: {range: (_, low, high) => [0, high * 1.05 || 1]},
                objects: {range: (_, low, high) => [0, high * 1.05 || 1]},
            },
            series: [
                {label: "after", value: (_, value) => (value == null ? "" : time(value))},
                line("resident", "--blue", "bytes", bytes),
                line("heap", "--red", "bytes", bytes),
                line("objects", "--grey", "objects", count),
            ],
            axes: [
                timeAxis(),
                {...amountAxis("bytes", bytes, 3), incrs: byteSteps},
                amountAxis("objects", count, 1),
            ],
            hooks: {draw: [(drawn) => alertLines(alerts)(drawn)]},
        };
        plot = new uPlot(options, columns(), into);
    };
    draw();
    let width = into.clientWidth;
    new ResizeObserver(() => {
        if (into.clientWidth === width) return;
        width = into.clientWidth;
        draw();
    }).observe(into);
    for (const query of ["(prefers-color-scheme: dark)", "print"])
        matchMedia(query).addEventListener("change", draw);
    return (otherSamples, otherAlerts) => {
        samples = otherSamples;
        alerts = otherAlerts;
        plot.setData(columns());
    };
};

const alertUnits = {
    pool_efficiency: (value) => `${Number(value.toPrecision(4))} %`,
    leak_age: time,
    growth: (value) => `${bytes(60 * value)}/min`,
};
const alertValue = (alert, value) => (alertUnits[alert.rule] ?? bytes)(value);

const alertColumns = [
    {title: "after", number: true, value: (row) => row.t_s, cell: (row) => time(row.t_s)},
    {title: "alert", value: (row) => row.rule, cell: (row) => row.rule.replace(/_/g, " ")},
    {title: "of", value: (row) => row.subject ?? "", cell: (row) => name(row.subject ?? "")},
    {
        title: "level",
        value: (row) => row.level,
        cell: (row) => h("span", {class: `chip ${row.level}`}, row.level),
    },
    {title: "state", value: (row) => row.state, cell: (row) => row.state},
    {
        title: "value",
        number: true,
        value: (row) => row.value,
        cell: (row) => alertValue(row, row.value),
    },
    {
        title: "threshold",
        number: true,
        value: (row) => row.threshold,
        cell: (row) => alertValue(row, row.threshold),
    },
];

const alertTable = (alerts) => {
    const table = new Table(alertColumns, {label: "alerts", sort: null});
    table.show(alerts.map((alert, index) => ({...alert, index})));
    return table.element;
};

const timelinePart = ({report}) => {
    if (!report || report.samples.length + report.alerts.length === 0) return;
    const samples = report.samples.filter(
        (sample, index, all) => index === 0 || sample.t_s > all[index - 1].t_s,
    );
    const plot = h("div", {class: "plot"});
    part(
        "time",
        "Time line",
        h(
            "p",
            {class: "dim"},
            `${counted(samples.length, "sample")} of resident memory ` +
                "(without poolprof's own), heap and objects. Drag to look closer, double-click to go back.",
        ),
        samples.length > 1
            ? plot
            : h(
                  "p",
                  {},
                  samples.length === 1
                      ? `Only one sample, after ${time(samples[0].t_s)}: resident ${bytes(samples[0].rss_bytes)}, heap ` +
                            `${bytes(samples[0].heap_bytes)}, ${counted(samples[0].objects, "object")}.`
                      : "No samples.",
              ),
        report.alerts.length > 0 && [h("h3", {}, "Alerts"), alertTable(report.alerts)],
    );
    if (samples.length > 1) timelinePlot(plot, samples, report.alerts);
};

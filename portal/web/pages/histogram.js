// Last week's scores as bars, with the lines from which on something happens: to be read, and the lines to be dragged. Who does not see
// it has the same as a table; who does not drag has the fields beside it.
import { html, useRef } from "../modules/preact.js";
import { number, score, t } from "../words.js";

const names = ["greylist", "add_header", "reject"], OFF = 999;
const TOP = 58, FLOOR = 188, ROW = 17; // where bars may reach to, where they stand, and how far the names of lines are apart
const snap = (x) => Math.round(x * 2) / 2;

// Across: a bin for what is below, one for each score, one for what is above.
const across = (data) => {
    const bins = data.bins.length;
    const at = (x) => Math.min(Math.max((x - data.low + 1) / bins, 0), 1);

    return { bins, at, percent: (part) => `${(part * 100).toFixed(3)}%`, back: (part) => part * bins - 1 + data.low };
};

function Zones({ lines, x }) {
    const on = names.filter((n) => lines[n] < OFF);

    return on.map((n, i) => {
        const from = x.at(lines[n]), to = on[i + 1] ? x.at(lines[on[i + 1]]) : 1;

        return to > from && html`<rect class="zone-${n}" x=${x.percent(from)} width=${x.percent(to - from)} y=${TOP} height=${FLOOR - TOP} />`;
    });
}

const Bars = ({ data, x }) => {
    const most = Math.max(1, ...data.bins);

    return data.bins.map((n, i) => {
        const high = n === 0 ? 0 : Math.max(2, (n / most) * (FLOOR - TOP - 6));

        return html`<rect class="bar-of" x=${x.percent((i + 0.12) / x.bins)} width=${x.percent(0.76 / x.bins)} y=${FLOOR - high} height=${high} />`;
    });
};

const Axis = ({ data, x }) => {
    const marks = [];

    for (let s = data.low; s <= data.high; s += 10) marks.push(s);
    return html`<line class="axis" x1="0" x2="100%" y1=${FLOOR} y2=${FLOOR} />${marks.map((s) => html`<text class="mark" x=${x.percent(x.at(s))} y=${FLOOR + 17} text-anchor="middle">${number(s)}</text>`)}`;
};

// A line with its name, and a knob to take it by.
function Line({ name, row, value, x, onGrab }) {
    const part = x.at(value), left = part > 0.56, y = 13 + row * ROW;

    return html`<g class="line-of line-${name}" onPointerDown=${(e) => onGrab(e, name)}>
        <line x1=${x.percent(part)} x2=${x.percent(part)} y1=${y} y2=${FLOOR} />
        <circle cx=${x.percent(part)} cy=${y} r="7" />
        <text x=${x.percent(part)} dx=${left ? -13 : 13} y=${y + 4} text-anchor=${left ? "end" : "start"}>${t(`line.${name}`, { score: score(value) })}</text></g>`;
}

function Numbers({ data }) {
    const range = (i) => (i === 0 ? t("scores.below", { to: data.low }) : i === data.bins.length - 1 ? t("scores.from", { from: data.high }) : t("scores.between", { from: data.low + i - 1, to: data.low + i }));

    return html`<details class="numbers"><summary>${t("scores.table")}</summary><table class="table"><thead><tr><th>${t("scores.score")}</th><th class="number">${t("scores.messages")}</th></tr></thead>
        <tbody>${data.bins.map((n, i) => n > 0 && html`<tr><td>${range(i)}</td><td class="number">${number(n)}</td></tr>`)}</tbody></table></details>`;
}

// lines: { greylist, add_header, reject }, what is not off is drawn. onMove(name, score) while one is dragged; without it none can be.
export function Histogram({ data, lines, onMove }) {
    const svg = useRef(), held = useRef(null), x = across(data);
    const grab = (event, name) => { if (!onMove) return; held.current = name; svg.current.setPointerCapture(event.pointerId); event.preventDefault(); };
    const drag = (event) => {
        if (!held.current) return;
        const box = svg.current.getBoundingClientRect();

        onMove(held.current, Math.min(Math.max(snap(x.back((event.clientX - box.left) / box.width)), 0.5), data.high));
    };
    const drop = () => { held.current = null; };

    return html`<figure class="histogram ${onMove ? "movable" : ""}">
        <svg ref=${svg} role="img" aria-label=${t("scores.picture", { n: data.judged, days: data.days })} height="210" width="100%" onPointerMove=${drag} onPointerUp=${drop} onPointerCancel=${drop}>
            <${Zones} lines=${lines} x=${x} /><${Bars} data=${data} x=${x} /><${Axis} data=${data} x=${x} />
            ${names.filter((n) => lines[n] < OFF).map((n, i, on) => html`<${Line} key=${n} name=${n} row=${3 - on.length + i} value=${lines[n]} x=${x} onGrab=${grab} />`)}</svg>
        <${Numbers} data=${data} /></figure>`;
}

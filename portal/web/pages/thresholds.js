// The three thresholds of a scope with what another choice would have moved last week, what happens at them, and the rest that holds.
import { html, useEffect, useState } from "../modules/preact.js";
import { get, segment } from "../api.js";
import { said } from "../lists.js";
import { Meanwhile } from "../meanwhile.js";
import { Button, Failed, useLoad, Waiting } from "../ui.js";
import { date, spoken, t } from "../words.js";
import { Histogram } from "./histogram.js";
import { Choice, Numeral, useHolds, YesNo } from "./holds.js";

const names = ["greylist", "add_header", "reject"];
const dispositions = ["tag", "quarantine", "discard", "reject"];
const isScore = (x) => typeof x === "number" && x >= 0 && x <= 999;

// Asks again whenever what is typed can be asked, a moment after the last key.
function useScores(scope, asked) {
    const text = JSON.stringify(asked), [state, set] = useState({});

    useEffect(() => {
        const stop = new AbortController();
        const timer = setTimeout(() => {
            get(`/scopes/${segment(scope)}/scores`, JSON.parse(text), { signal: stop.signal }).then((value) => set({ value }), (problem) => problem.name !== "AbortError" && set((s) => ({ ...s, problem })));
        }, state.value ? 150 : 0);

        return () => { clearTimeout(timer); stop.abort(); };
    }, [scope, text]);
    return state;
}

// Which two of those that are on stand the wrong way round, as a sentence.
function disorder(lines) {
    const on = names.filter((n) => lines[n] < 999);
    const i = on.findIndex((n, k) => k > 0 && lines[n] <= lines[on[k - 1]]);

    return i < 0 ? undefined : t("scores.order", { above: t(`set.${on[i]}`), high: lines[on[i]], below: t(`set.${on[i - 1]}`), low: lines[on[i - 1]] });
}

function Moves({ data }) {
    const seen = { n: data.judged, days: data.days };

    return html`<div class="moves" aria-live="polite">
        ${data.judged === 0 ? html`<p class="quiet">${t("scores.none", seen)}</p>` : data.moved === 0 ? html`<p>${t("scores.same", seen)}</p>`
            : html`<p><strong>${t("scores.moved", { ...seen, n: data.moved, all: data.judged })}</strong></p><ul>${data.moves.map((m) => html`<li key=${`${m.from} ${m.to}`}>${t("scores.move", { n: m.n, from: t(`comes.${m.from}`), to: t(`comes.${m.to}`) })}</li>`)}</ul>`}
        ${!data.whole && html`<p class="quiet">${t("scores.cut", { n: data.looked, date: date(data.since) })}</p>`}
        ${data.looked > data.judged && html`<p class="quiet">${t("scores.by_rules", { n: data.looked - data.judged })}</p>`}
        ${data.problem && html`<p class="problem" role="alert">${disorder(data.then) ?? spoken(data.problem, data.problem_said)}</p>`}</div>`;
}

// Comes up from below when something was changed, so that it is at hand wherever that was.
const Ask = ({ holds }) => (holds.found ? html`<${Meanwhile} rows=${holds.found} busy=${holds.busy} onMine=${holds.save} onTheirs=${holds.theirs} />${holds.problem && html`<p class="problem" role="alert">${said(holds.problem)}</p>`}`
    : holds.dirty && html`<div class="bulk keep"><span role="status">${t("set.unsaved")}</span>
    <${Button} kind="primary" type="submit" busy=${holds.busy}>${t("save")}</${Button}><${Button} onClick=${holds.drop}>${t("set.drop")}</${Button}>
    ${holds.problem && html`<p class="problem" role="alert">${said(holds.problem)}</p>`}</div>`);

const Gate = ({ holds, children }) => (holds.load.value ? children() : holds.load.problem ? html`<${Failed} problem=${holds.load.problem} again=${holds.load.again} />` : html`<${Waiting} rows=${4} />`);

export function Thresholds({ scope }) {
    const holds = useHolds(scope), mailbox = scope.startsWith("mailbox:");
    const lines = Object.fromEntries(names.map((n) => [n, holds.value(n)]));
    const asked = { ...Object.fromEntries(names.filter((n) => isScore(lines[n])).map((n) => [n, lines[n]])), ...(mailbox || holds.value("greylisting") === undefined ? {} : { greylisting: holds.value("greylisting") }) };
    const { value: data, problem } = useScores(scope, asked);
    const shown = Object.fromEntries(names.map((n) => [n, isScore(lines[n]) && (n !== "greylist" || data?.then.greylisting) ? lines[n] : 999]));
    const permitted = holds.load.value?.permitted;
    const own = names.some((n) => holds.now[n] !== null && holds.now[n] !== undefined);

    return html`<${Gate} holds=${holds}>${() => html`<form onSubmit=${(e) => { e.preventDefault(); holds.save(); }}>
        <section class="card"><h2 class="unseen">${t("set.thresholds")}</h2>
            ${permitted ? html`<p class="hint quiet">${t("set.thresholds_text")}</p>` : html`<p class="asked">${t("set.not_permitted")}</p>`}
            <fieldset class="plain-set" disabled=${!permitted} aria-label=${t("set.thresholds")}><div class="grid3 tight">${names.map((n) => html`<${Numeral} key=${n} holds=${holds} name=${n} max="999" step="0.1" />`)}</div></fieldset>
            ${data ? html`<${Histogram} data=${data} lines=${shown} onMove=${permitted ? (name, score) => holds.set({ [name]: score }) : undefined} /><${Moves} data=${data} />` : problem ? html`<p class="problem" role="alert">${said(problem)}</p>` : html`<${Waiting} rows=${3} />`}
            ${own && permitted && html`<p><${Button} onClick=${() => holds.set(Object.fromEntries(names.map((n) => [n, null])))}>${t("set.reset")}</${Button}></p>`}</section>
        ${!mailbox && html`<section class="card"><h2>${t("set.then")}</h2>
            <div class="grid3"><${YesNo} holds=${holds} name="greylisting" /><${Choice} holds=${holds} name="at_add_header" words=${dispositions} /><${Choice} holds=${holds} name="at_reject" words=${dispositions} /></div>
            <div class="grid3"><${Choice} holds=${holds} name="at_block" words=${dispositions} /></div></section>`}
        <${Ask} holds=${holds} /></form>`}</${Gate}>`;
}

// Who may sign in, how long mail is kept, what mailboxes may; and what the operator limits.
export function Rest({ me, scope }) {
    const holds = useHolds(scope), admin = me.account.admin;

    return html`<${Gate} holds=${holds}>${() => html`<form onSubmit=${(e) => { e.preventDefault(); holds.save(); }}>
        <section class="card"><div class="grid3"><${Choice} holds=${holds} name="enrol" words=${["listed", "delivered", "closed"]} /><${Numeral} holds=${holds} name="retention_days" min="1" max="3650" /><${YesNo} holds=${holds} name="mailbox_thresholds" /></div>
            ${admin && html`<h2>${t("set.limits")}</h2><div class="grid3"><${YesNo} holds=${holds} name="copies" /><${Numeral} holds=${holds} name="held_max" max="1000000000" scale=${1000000} /><${Numeral} holds=${holds} name="mailbox_held_max" max="1000000000" scale=${1000000} />
                <${Numeral} holds=${holds} name="rules_max" max="1000000" /><${Numeral} holds=${holds} name="mailbox_rules_max" max="1000000" /></div>`}</section>
        <${Ask} holds=${holds} /></form>`}</${Gate}>`;
}

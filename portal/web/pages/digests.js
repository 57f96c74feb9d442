// Digests: what one gets at which hour, as sentences; and what a domain gives those who come to it.
import { html, useState } from "../modules/preact.js";
import { del, get, patch, post, put, segment } from "../api.js";
import { doing, Listed, said } from "../lists.js";
import { Meanwhile, over, saveOver, touched } from "../meanwhile.js";
import { Button, Dialog, Failed, Field, note, Time, useLoad, Waiting } from "../ui.js";
import { answered, eitherOf, languages, listOf, momentIn, t, timeOfDay, weekday } from "../words.js";

const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
const zones = () => { try { return Intl.supportedValuesOf("timeZone"); } catch { return []; } };
const week = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"], work = week.slice(0, 5);
const kinds = ["quarantined", "blocked", "spam"];
const TWO_WEEKS = 14 * 86400_000;

// ---- as sentences ----

const same = (days, wanted) => days.length === wanted.length && wanted.every((d) => days.includes(d));
function hour({ hourly, minute, days }) {
    const time = timeOfDay(minute);

    if (hourly) return t("digest.hourly", { n: minute });
    if (same(days, week)) return t("digest.daily", { time });
    if (same(days, work)) return t("digest.weekdays", { time });
    return t("digest.on_days", { time, days: listOf(week.filter((d) => days.includes(d)).map((d) => weekday(week.indexOf(d)))) });
}
const told = ({ tells }) => t("digest.tells", { list: eitherOf(kinds.filter((k) => tells.includes(k)).map((k) => t(`digest.${k}`))) });
const Sentence = ({ of, choice }) => html`<strong>${hour(choice)}, ${choice.zone}</strong>: ${of && html`<bdi>${of}</bdi>, `}${told(choice)}`;
const Next = ({ at, zone }) => t("digest.next", { moment: momentIn(at, zone) });

function Last({ of }) {
    if (!of) return null;
    const answer = of.answer && html` <q><bdi>${answered(of.answer, of.answer_said)}</bdi></q>`;

    if (of.state === "failed") return html`<p class="problem">${t("digest.failed")}${answer}</p>`;
    if (of.state === "waiting") return html`<p class="quiet">${t("digest.waiting")}${answer}</p>`;
    return html`<p class="quiet">${t("digest.sent", { n: of.messages })} <${Time} at=${of.changed} /></p>`;
}

function State({ of }) {
    if (!of.stands) return html`<p class="problem">${t("digest.fallen")}</p>`;
    if (!of.paused) return html`<p><${Next} at=${of.next} zone=${of.zone} /></p>`;
    return html`<p>${of.paused_until ? t("digest.paused_until", { moment: momentIn(of.paused_until, of.zone) }) : t("digest.paused")} ${of.next && html`<${Next} at=${of.next} zone=${of.zone} />`}</p>`;
}

// ---- choosing ----

const first = (language) => ({ hourly: false, minute: 420, days: week, zone: here, language: language || document.documentElement.lang, tells: ["quarantined"], quiet: false });
const body = ({ hourly, minute, days, zone, language, tells, quiet }) => ({ hourly, minute, days, zone, language, tells, quiet });

// Ticks for several of one kind; none at all is told where it is asked.
const Ticks = ({ label, all, names, chosen, onPick, problem }) => html`<fieldset class="some-of"><legend>${label}</legend>${all.map((one, i) => html`<label class="check"><input type="checkbox" checked=${chosen.includes(one)} onChange=${(e) => onPick(e.target.checked ? [...chosen, one] : chosen.filter((x) => x !== one))} /> ${names[i]}</label>`)}
    ${problem && html`<p class="problem" role="alert">${problem}</p>`}</fieldset>`;

// When the first one would be: the server is asked, whose clocks and zones they are. What is said at a field already (problem) is not said again.
function FirstOne({ now, problem }) {
    const q = { hourly: now.hourly, minute: now.minute, days: now.days, zone: now.zone };
    const time = useLoad((signal) => (now.zone && now.days.length > 0 && now.minute !== "" ? get("/me/digest-time", q, { signal }) : Promise.resolve(null)), [JSON.stringify(q)]);

    return html`<p class="first-one" aria-live="polite">${time.problem && time.problem.member === problem?.member ? " " : time.problem ? html`<span class="problem">${said(time.problem)}</span>` : time.value ? html`<${Next} at=${time.value.next} zone=${now.zone} />` : " "}</p>`;
}

function Choice({ now, set, problem }) {
    const wrong = (member) => (problem?.member === member ? said(problem) : undefined);
    const clock = (value) => { const [h, m] = value.split(":").map(Number); if (value) set({ minute: h * 60 + m }); };

    return html`<div class="grid2">
        <${Field} label=${t("digest.often")}>${(a) => html`<select ...${a} value=${now.hourly ? "hour" : "day"} onChange=${(e) => set(e.target.value === "hour" ? { hourly: true, minute: 0 } : { hourly: false, minute: 420 })}><option value="day">${t("digest.by_day")}</option><option value="hour">${t("digest.by_hour")}</option></select>`}</${Field}>
        ${now.hourly ? html`<${Field} label=${t("digest.past")} type="number" min="0" max="59" required value=${now.minute} onInput=${(e) => set({ minute: e.target.value === "" ? "" : Number(e.target.value) })} problem=${wrong("minute")} />`
            : html`<${Field} label=${t("digest.time")} type="time" required value=${`${String(Math.floor(now.minute / 60)).padStart(2, "0")}:${String(now.minute % 60).padStart(2, "0")}`} onInput=${(e) => clock(e.target.value)} problem=${wrong("minute")} />`}</div>
        ${!now.hourly && html`<${Ticks} label=${t("digest.days")} all=${week} names=${week.map((d, i) => weekday(i, "short"))} chosen=${now.days} onPick=${(days) => set({ days })} problem=${wrong("days")} />`}
        <div class="grid2"><${Field} label=${t("settings.zone")} list="digest-zones" required maxlength="63" value=${now.zone} onInput=${(e) => set({ zone: e.target.value.trim() })} hint=${t(now.zone === here ? "digest.zone_right" : "settings.zone_here", { zone: here })} problem=${wrong("zone")} />
        <${Field} label=${t("digest.language")}>${(a) => html`<select ...${a} value=${now.language} onChange=${(e) => set({ language: e.target.value })}>${languages.map(([code, name]) => html`<option value=${code} lang=${code}>${name}</option>`)}</select>`}</${Field}></div>
        <datalist id="digest-zones">${zones().map((z) => html`<option value=${z} />`)}</datalist>
        <${FirstOne} now=${now} problem=${problem} />
        <${Ticks} label=${t("digest.about")} all=${kinds} names=${kinds.map((k) => t(`digest.is_${k}`))} chosen=${now.tells} onPick=${(tells) => set({ tells })} problem=${wrong("tells")} />
        <label class="check"><input type="checkbox" checked=${now.quiet} onChange=${(e) => set({ quiet: e.target.checked })} /> ${t("digest.quiet")}</label>`;
}

// What there is to get a digest of: one's mailboxes, and the domains that one owns.
const subjects = (me) => [...me.mailboxes.map((m) => ["mailbox", m.address, m.address]), ...me.domains.filter((d) => d.role === "owner").map((d) => ["domain", d.name, t("digest.whole", { domain: d.name })])];
const known = ["minute", "days", "zone", "tells"];

// standing: { version, value } that is written over, with what loads them anew (load); without, the choice is written as it is.
function Edit({ title, from, me, standing, save, onClose }) {
    const all = me ? subjects(me) : [];
    const [base, setBase] = useState(standing), [found, setFound] = useState();
    const [now, setNow] = useState({ ...from, which: 0 }), [problem, setProblem] = useState(), [busy, setBusy] = useState(false);
    const set = (more) => { setNow((before) => ({ ...before, ...more })); setProblem((p) => (p?.member in more ? undefined : p)); };
    const send = async (e) => {
        e?.preventDefault();
        setBusy(true);
        setProblem(undefined);
        try {
            const sent = body(now), met = base ? await saveOver(base, sent, save, standing.load) : { saved: await save(me ? { kind: all[now.which][0], of: all[now.which][1], ...body(now) } : body(now)) };

            if (!met.found) { onClose(); return; }
            setBase(met.found.now); setFound(met.found); setNow((typed) => ({ ...typed, ...over(sent, body(typed), met.found.mine) })); setBusy(false);
        } catch (p) { setProblem(p); setBusy(false); }
    };

    const theirs = () => { const mine = body(now); set(base.value); setFound(undefined); note(t("meanwhile.filled"), () => set(mine)); };

    return html`<${Dialog} title=${title} onClose=${onClose} actions=${html`<${Button} onClick=${onClose}>${t("cancel")}</${Button}>${!found && html`<${Button} kind="primary" type="submit" form="digest" busy=${busy}>${t("save")}</${Button}>`}`}>
        <form id="digest" onSubmit=${send}>
        ${me && html`<${Field} label=${t("digest.of")}>${(a) => html`<select ...${a} value=${now.which} onChange=${(e) => set({ which: Number(e.target.value) })}>${all.map(([, , text], i) => html`<option value=${i}>${text}</option>`)}</select>`}</${Field}>`}
        <${Choice} now=${now} set=${set} problem=${problem} />
        ${found && html`<${Meanwhile} busy=${busy} onMine=${() => send()} onTheirs=${theirs}><dt>${t("meanwhile.now")}</dt><dd>${standing.shows(found.now.value)}</dd><dt>${t("meanwhile.with_mine")}</dt><dd>${standing.shows(body(now))}</dd></${Meanwhile}>`}
        ${problem && !known.includes(problem.member) && html`<p class="problem" role="alert">${said(problem)}</p>`}</form></${Dialog}>`;
}

// The letter as it would be now, in a frame where it can do nothing; as wide as on a desk, or on a phone.
function Preview({ of, onClose }) {
    const [width, setWidth] = useState(600);

    return html`<${Dialog} title=${t("digest.preview_of", { of: of.of })} onClose=${onClose} actions=${html`<${Button} onClick=${onClose}>${t("close")}</${Button}>`}>
        <div class="widths" role="group" aria-label=${t("digest.width")}>${[600, 360].map((w) => html`<${Button} aria-pressed=${w === width} onClick=${() => setWidth(w)}>${t(`digest.width_${w}`)}</${Button}>`)}</div>
        <iframe class="preview letter-${width}" title=${t("digest.preview")} sandbox="" src=${`/api/v1/me/digests/${segment(of.id)}/preview.html`}></iframe></${Dialog}>`;
}

// ---- one's own ----

function Tools({ of, run, onEdit, onPreview, onDelete }) {
    const path = `/me/digests/${segment(of.id)}`;
    const press = (word, onClick) => html`<${Button} onClick=${onClick}>${t(word)}</${Button}>`;
    const sendNow = () => run(async () => { const { sent } = await post(`${path}/send`); note(t(sent ? "digest.coming" : "digest.nothing")); });

    return html`<div class="tools" role="group" aria-label=${t("digest.tools", { of: of.of })}>
        ${of.stands && press("digest.edit", onEdit)}
        ${of.stands && (of.paused ? press("digest.resume", () => run(() => post(`${path}/resume`), t("digest.resumed"))) : press("digest.pause", () => run(() => post(`${path}/pause`, { until: new Date(Date.now() + TWO_WEEKS).toISOString() }), t("digest.pausing"))))}
        ${of.stands && press("digest.now", sendNow)}
        ${of.stands && of.last?.state === "sent" && press("digest.again", () => run(() => post(`${path}/letters/${segment(of.last.id)}/again`), t("digest.coming")))}
        ${of.stands && press("digest.preview", onPreview)}
        <${Button} kind="danger" onClick=${onDelete}>${t("people.delete")}</${Button}></div>`;
}

function Own({ me }) {
    const list = useLoad((signal) => get("/me/digests", {}, { signal }), []);
    const [open, setOpen] = useState(null);
    const run = doing(list), shut = () => setOpen(null);
    const back = (d) => run(async () => {
        const made = await post("/me/digests", { kind: d.kind, of: d.of, ...body(d) });
        if (d.paused) await post(`/me/digests/${made.id}/pause`, d.paused_until ? { until: d.paused_until } : {});
    });
    const away = async (d) => { if (await run(() => del(`/me/digests/${segment(d.id)}`))) note(t("digest.deleted"), d.stands ? () => back(d) : undefined); };

    return html`<${Listed} of=${list} none=${t("digest.none")}>${(items) => html`<ul class="rows digests">${items.map((d) => html`<li class="digest" key=${d.id}>
            <p><${Sentence} of=${d.of} choice=${d} /></p><${State} of=${d} /><${Last} of=${d.last} />
            <${Tools} of=${d} run=${run} onEdit=${() => setOpen({ edit: d })} onPreview=${() => setOpen({ preview: d })} onDelete=${() => away(d)} /></li>`)}</ul>`}</${Listed}>
        ${subjects(me).length > 0 && html`<div class="actions"><${Button} kind="primary" onClick=${() => setOpen({ add: true })}>${t("digest.add")}</${Button}></div>`}
        ${open?.add && html`<${Edit} title=${t("digest.add")} from=${first(me.account.language)} me=${me} onClose=${shut} save=${async (x) => { await post("/me/digests", x); note(t("digest.added")); list.again(); }} />`}
        ${open?.edit && html`<${Edit} title=${t("digest.edit_of", { of: open.edit.of })} from=${open.edit} onClose=${shut} save=${async (x) => { await patch(`/me/digests/${segment(open.edit.id)}`, touched(body(open.edit), x)); note(t("saved")); list.again(); }} />`}
        ${open?.preview && html`<${Preview} of=${open.preview} onClose=${shut} />`}`;
}

export const Digests = ({ me }) => html`<section class="card" aria-labelledby="digests"><h2 id="digests">${t("digest.title")}</h2>
    <p class="hint quiet">${t(me.staff ? "digest.staff" : "digest.text")}</p>${!me.staff && html`<${Own} me=${me} />`}</section>`;

// ---- a domain's ----

function Default({ path, admin, load }) {
    const [open, setOpen] = useState(false);
    const now = load.value.default, run = doing(load);
    // Where there is none, there is nothing to be over.
    const standing = (x) => ({ version: x.version, value: x.on ? body(x) : {} }), begins = (x) => (x.zone ? html`<${Sentence} choice=${x} />` : t("digest.begin_none"));

    return html`<p class="hint">${now.on ? html`${t("digest.begin")} <${Sentence} choice=${now} />` : t("digest.begin_none")}</p>
        ${admin && html`<div class="actions"><${Button} onClick=${() => setOpen(true)}>${t(now.on ? "digest.begin_change" : "digest.begin_set")}</${Button}>
            ${now.on && html`<${Button} kind="danger" onClick=${() => run(() => del(`${path}/digest-default`), t("digest.begin_gone"))}>${t("digest.begin_take")}</${Button}>`}</div>`}
        ${open && html`<${Edit} title=${t("digest.begin_title")} from=${now.on ? now : first()} standing=${{ ...standing(now), shows: begins, load: () => get(`${path}/digest-default`).then(standing) }} onClose=${() => setOpen(false)} save=${async (x, version) => { await put(`${path}/digest-default`, x, { version }); note(t("saved")); load.again(); }} />`}`;
}

function Named({ path, admin, load }) {
    const { address } = load.value.admin, run = doing(load);
    const [typed, setTyped] = useState(""), [problem, setProblem] = useState(), [busy, setBusy] = useState(false);
    const name = async (e) => {
        e.preventDefault();
        setBusy(true);
        setProblem(undefined);
        try { await put(`${path}/admin`, { address: typed }); setTyped(""); note(t("saved")); load.again(); } catch (p) { setProblem(said(p)); }
        setBusy(false);
    };

    return html`<p class="hint">${address ? html`<bdi>${address}</bdi> ${t("named.is")}` : t("named.none")}</p>
        ${admin && html`<form class="adder" onSubmit=${name}><${Field} label=${t("named.address")} type="email" required maxlength="320" hint=${t("named.hint")} value=${typed} onInput=${(e) => setTyped(e.target.value)} problem=${problem} /><${Button} type="submit" busy=${busy}>${t("named.set")}</${Button}></form>`}
        ${admin && address && html`<div class="actions"><${Button} kind="danger" onClick=${() => run(() => del(`${path}/admin`), t("named.gone"))}>${t("named.take")}</${Button}></div>`}`;
}

export function DomainDigests({ path, admin }) {
    const load = useLoad(async (signal) => { const [one, other] = await Promise.all(["digest-default", "admin"].map((what) => get(`${path}/${what}`, {}, { signal }))); return { default: one, admin: other }; }, [path]);

    if (!load.value) return load.problem ? html`<${Failed} problem=${load.problem} again=${load.again} />` : html`<${Waiting} rows=${2} />`;
    return html`<h2>${t("digest.begin_title")}</h2><${Default} path=${path} admin=${admin} load=${load} /><h2>${t("named.title")}</h2><${Named} path=${path} admin=${admin} load=${load} />`;
}

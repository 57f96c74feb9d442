// The rules of a mailbox, a domain or all: a quick bar, the list in the order in which it decides, an editor that reads as a sentence, and a
// place to try messages. What a stranger or a person wrote stays text.
import { html, useEffect, useMemo, useRef, useState } from "../modules/preact.js";
import { del, get, patch, post, put, segment, upload } from "../api.js";
import { useDrag } from "../drag.js";
import { because } from "../because.js";
import { go, useHere, withQuery } from "../router.js";
import { Ago, Button, Empty, Failed, Field, Icon, note, Tabs, Their, Time, useKeys, useLoad, useTrap, Waiting } from "../ui.js";
import { date, t } from "../words.js";
import { apart, Beside, Flag } from "./conflicts.js";
import { Import } from "./rules_import.js";
import { Lists } from "./rules_lists.js";

const PAGE = 100;
const kinds = ["sender", "recipient", "subject", "body", "header", "ip", "host", "size", "attachment", "signed_by"];
const texts = new Set(["subject", "body", "header"]);
const matches = ["contains", "exact", "starts_with", "ends_with", "regex"];
const pathOf = (scope) => `/scopes/${segment(scope)}/rules`;
const say = (problem) => (problem.offline ? t("offline.text") : problem.message);

const scopesOf = (me) => [
    ...me.mailboxes.map((m) => [`mailbox:${m.address}`, m.address]),
    ...me.domains.filter((d) => d.role === "owner").map((d) => [`domain:${d.name}`, t("scope.domain", { name: d.name })]),
    ...(me.account.admin ? [["global", t("scope.global")]] : []),
];

// ---- a rule as a sentence ----

// An attachment's entry as a line, and back: ".pdf", "application/*", "invoice-*.pdf", "*" (any at all); what is more than that stays JSON.
export const lineOf = (entry) => {
    if (typeof entry === "string") return entry;
    const keys = Object.keys(entry);
    if (keys.length === 1 && entry.extension) return `.${entry.extension.replace(/^\./, "")}`;
    if (keys.length === 1 && (entry.mime_type?.includes("/") || (entry.filename && !entry.filename.includes("/") && entry.filename !== "*" && !/^[.{]/.test(entry.filename)))) return entry.mime_type ?? entry.filename;
    return keys.length === 1 && entry.present === true ? "*" : JSON.stringify(entry);
};
export const entryOf = (kind, line) => {
    if (kind !== "attachment") return line;
    if (line.startsWith("{")) { try { return JSON.parse(line); } catch { return { filename: line }; } }
    if (line === "*") return { present: true };
    if (/^\.[^.*]+$/.test(line)) return { extension: line.slice(1) };
    return line.includes("/") ? { mime_type: line } : { filename: line };
};

const kb = (bytes) => Math.round(bytes / 1000);
function Condition({ c }) {
    const not = c.not ? ".not" : "";
    const list = (c.any ?? []).map(lineOf), shown = list.slice(0, 3).join(", "), more = list.length - 3;

    if (c.kind === "size") return t(`cond.size${not}`, { min: kb(c.min ?? 0), max: c.max === undefined || c.max > 1e15 ? "∞" : kb(c.max) });
    const lead = texts.has(c.kind) ? `${t(`field.${c.kind}`, { name: c.name ?? "" })} ${t(`match.${c.match ?? "contains"}${not}`)}` : t(`cond.${c.kind}${c.kind === "sender" && c.source && c.source !== "from" ? `.${c.source}` : ""}${not}`);
    return html`${lead} <bdi class="said">${shown}</bdi>${more > 0 && ` ${t("rules.more_entries", { n: more })}`}`;
}
const Sentence = ({ rule }) => html`${t(`rules.if.${rule.action}`)} ${rule.conditions.map((c, i) => html`${i > 0 && ` ${t("rules.and")} `}<${Condition} c=${c} />`)}${rule.action === "allow" && rule.require_proof && rule.conditions.some((c) => c.kind === "sender" && !c.not) && ` ${t("rules.if_proven")}`}.`;
const Action = ({ action }) => html`<span class="chip chip-${action === "allow" ? "delivered" : "blocked"}"><${Icon} name=${action === "allow" ? "delivered" : "blocked"} />${t(`rules.${action}`)}</span>`;

// ---- quick bar ----

function Quick({ path, onDone }) {
    const [action, setAction] = useState("block"), [what, setWhat] = useState(""), [busy, setBusy] = useState(false), [wrong, setWrong] = useState(), [confirm, setConfirm] = useState(false);
    const add = async (sure) => {
        setBusy(true);
        try {
            const made = await post(`${path}/quick`, { action, what, ...(sure ? { confirm: true } : {}) });
            note([t(`rules.added.${action}`, { what }), ...made.advice.map((a) => t(`advice.${a}`))].join(" "), () => del(`/rules/${made.id}`).then(onDone));
            setWhat(""); setWrong(undefined); setConfirm(false);
            onDone();
        } catch (p) { setConfirm(p.status === 409); setWrong(say(p)); }
        setBusy(false);
    };

    return html`<form class="quick" onSubmit=${(e) => { e.preventDefault(); if (what.trim()) add(false); }}>
        <select aria-label=${t("rules.action")} value=${action} onChange=${(e) => setAction(e.target.value)}><option value="block">${t("rules.block")}</option><option value="allow">${t("rules.allow")}</option></select>
        <input aria-label=${t("rules.what")} placeholder=${t("rules.what")} value=${what} maxlength="200" aria-invalid=${wrong ? "true" : undefined} onInput=${(e) => { setWhat(e.target.value); setWrong(undefined); setConfirm(false); }} />
        <${Button} kind="primary" type="submit" busy=${busy} disabled=${!what.trim()}>${t("rules.add")}</${Button}>
        ${wrong && html`<p class="problem" role="alert">${wrong} ${confirm && html`<${Button} onClick=${() => add(true)}>${t("rules.meant")}</${Button}>`}</p>`}
    </form>`;
}

// ---- the list ----

function Row({ item, number, current, found, grip, onOpen, onSwitch, onMove, canUp, canDown }) {
    const { rule } = item, off = !rule.enabled || item.expired;

    return html`<li class="rule ${off ? "off" : ""}" aria-current=${current ? "true" : undefined}>
        <span class="place ${grip ? "grip" : ""}" title=${grip ? t("rules.grip", { name: rule.name }) : undefined} ...${grip ?? {}}>${grip && html`<${Icon} name="grip" />`}<span>${number}</span></span>
        <${Action} action=${rule.action} />
        <a class="what" href=${withQuery({ open: item.id })} data-rule=${item.id} onClick=${(e) => { if (!e.metaKey && !e.ctrlKey) { e.preventDefault(); onOpen(); } }}>
            <strong><${Their} text=${rule.name} or=${t("rules.unnamed")} /></strong><span class="quiet"><${Sentence} rule=${rule} /></span>${found && html`<${Flag} found=${found} />`}</a>
        <span class="facts-line quiet">
            ${item.policy.name !== "Rules" && html`<span><bdi>${item.policy.name}</bdi></span>`}
            ${item.read_only && html`<span>${t(`layer.${item.layer}`)}</span>`}
            ${rule.test_only && html`<span>${t("rules.test_only")}</span>`}
            ${rule.expires_at && html`<span>${t(item.expired ? "rules.expired" : "rules.expires", { date: date(rule.expires_at) })}</span>`}
            <span>${t("rules.hits", { n: item.hits })}${item.last_hit && html`, <${Ago} at=${item.last_hit} />`}</span></span>
        ${item.read_only ? html`<span class="unseen">${t("rules.above_mark")}</span>` : html`<span class="tools">
            <input type="checkbox" role="switch" aria-label=${t("rules.on", { name: rule.name })} checked=${rule.enabled} onChange=${(e) => onSwitch(e.target.checked)} />
            <button type="button" class="step up" aria-label=${t("rules.up", { name: rule.name })} disabled=${!canUp} onClick=${() => onMove(-1)}><${Icon} name="next" /></button>
            <button type="button" class="step down" aria-label=${t("rules.down", { name: rule.name })} disabled=${!canDown} onClick=${() => onMove(1)}><${Icon} name="next" /></button></span>`}
    </li>`;
}

function List({ scope, path, open }) {
    const list = useLoad((signal) => get(path, { limit: PAGE }, { signal }), [path]);
    const above = useLoad((signal) => (scope === "global" ? Promise.resolve({ items: [] }) : get(`${path}/above`, { limit: PAGE }, { signal })), [path]);
    const conflicts = useLoad((signal) => get(`${path}/conflicts`, {}, { signal }).catch(() => ({ items: [], whole: true })), [path, list.value]);
    const found = useMemo(() => new Map((conflicts.value?.items ?? []).map((f) => [f.rule.id, f])), [conflicts.value]);
    const items = list.value?.items ?? [], next = list.value?.next, rows = useRef();
    const show = (id) => go(withQuery({ open: id }), { replace: Boolean(open) });
    const [busy, setBusy] = useState(false);
    const reload = () => list.again();
    const load = async () => { const page = await get(path, { limit: PAGE, after: next }); list.set({ ...list.value, ...page, items: [...items, ...page.items] }); };
    const turn = (item, enabled) => patch(`/rules/${item.id}`, { enabled }).then(reload, (p) => { note(say(p)); reload(); });
    const same = (i, k) => items[k] !== undefined && items[k].policy.id === items[i].policy.id;
    const canUp = (i) => !busy && same(i, i - 1), canDown = (i) => !busy && same(i, i + 1) && (items[i + 2] !== undefined || !next);
    // From place i to place k of the same policy; what comes behind it there is named, or it goes last.
    const place = async (i, k) => {
        const { id, rule } = items[i], before = k < i ? items[k].id : same(i, k + 1) ? items[k + 1].id : undefined;
        const back = same(i, i + 1) ? { before: items[i + 1].id } : {};
        setBusy(true);
        try {
            await post(`/rules/${id}/move`, before ? { before } : {});
            note(t("rules.moved", { name: apart(rule.name || t("rules.unnamed")), n: k + 1, all: list.value.total }), () => post(`/rules/${id}/move`, back).then(reload, (p) => note(say(p))));
        } catch (p) { note(say(p)); }
        setBusy(false);
        reload();
        document.querySelector(`[data-rule="${id}"]`)?.focus({ preventScroll: true });
    };
    const move = (i, by) => { if (by < 0 ? canUp(i) : canDown(i)) place(i, i + by); };
    const grip = useDrag(rows, { may: (i, k) => !busy && same(i, k) && (k < i || items[k + 1] !== undefined || !next), onDrop: place });
    const links = () => [...document.querySelectorAll("[data-rule]")], at = () => links().indexOf(document.activeElement);
    const step = (by) => { const all = links(); all[Math.min(Math.max(at() + by, 0), all.length - 1)]?.focus(); };
    const carry = (by) => { const i = items.findIndex((x) => x.id === document.activeElement?.dataset?.rule); if (i >= 0) move(i, by); };

    useKeys({ j: () => step(1), k: () => step(-1), J: () => carry(1), K: () => carry(-1), n: () => show("new") });
    const picked = [...items, ...(above.value?.items ?? [])].find((x) => x.id === open);
    return html`
        <${Quick} path=${path} onDone=${reload} />
        <div class="page-head order"><p class="quiet">${t("rules.order")}</p><${Button} onClick=${() => show("new")}>${t("rules.new")}</${Button}></div>
        ${list.value && !list.value.can_prove && html`<p class="asked">${t("advice.cannot_prove")}</p>`}
        ${list.problem && !list.value ? html`<${Failed} problem=${list.problem} again=${list.again} />`
            : !list.value ? html`<${Waiting} />`
            : items.length === 0 ? html`<${Empty} title=${t("rules.none")}>${t("rules.none_text")}</${Empty}>`
            : html`<ol class="rows rules" ref=${rows} aria-label=${t("nav.rules")} aria-busy=${list.loading}>${items.map((item, i) => html`<${Row} key=${item.id} item=${item} number=${i + 1} current=${item.id === open} found=${found.get(item.id)} grip=${grip(i)} onOpen=${() => show(item.id)} onSwitch=${(on) => turn(item, on)} onMove=${(by) => move(i, by)} canUp=${canUp(i)} canDown=${canDown(i)} />`)}</ol>
                ${next && html`<div class="more"><${Button} onClick=${load}>${t("more")}</${Button}></div>`}`}
        ${conflicts.value?.whole === false && html`<p class="quiet">${t("conflict.part")}</p>`}
        ${above.problem && html`<p class="problem" role="alert">${say(above.problem)}</p>`}
        ${above.value?.items.length > 0 && html`<h2 class="above">${t("rules.above")}</h2><ul class="rows rules">${above.value.items.map((item) => html`<${Row} key=${item.id} item=${item} number="" current=${item.id === open} onOpen=${() => show(item.id)} />`)}</ul>`}
        ${list.value && (open === "new" || picked) && html`<${Editor} key=${open} item=${picked} path=${path} site=${list.value} onClose=${() => show(null)} onDone=${() => { show(null); reload(); }} />`}`;
}

// ---- the editor ----

const fresh = () => ({ name: "", action: "block", priority: 100, enabled: true, flow: "from", expires_at: null, require_proof: true, test_only: false, note: "", conditions: [{ kind: "sender", any: [] }] });
const withText = (c) => ({ ...c, text: (c.any ?? []).map(lineOf).join("\n"), min_kb: c.min ? String(kb(c.min)) : "", max_kb: c.max !== undefined && c.max < 1e15 ? String(kb(c.max)) : "" });
// Only what its kind knows.
function plain(c) {
    const any = c.text.split("\n").map((l) => l.trim()).filter(Boolean).map((l) => entryOf(c.kind, l));
    const base = { kind: c.kind, ...(c.not ? { not: true } : {}) };

    if (c.kind === "size") return { ...base, ...(c.min_kb ? { min: Math.round(Number(c.min_kb) * 1000) } : {}), ...(c.max_kb ? { max: Math.round(Number(c.max_kb) * 1000) } : {}) };
    return { ...base, ...(c.kind === "sender" && c.source ? { source: c.source } : {}), ...(c.kind === "header" ? { name: c.name ?? "" } : {}), ...(texts.has(c.kind) ? { match: c.match ?? "contains", case_sensitive: Boolean(c.case_sensitive) } : {}), any };
}

function ConditionField({ c, i, regex, onChange, onRemove, only }) {
    const set = (more) => onChange({ ...c, ...more });
    const pick = (label, value, values, name, key) => html`<select aria-label=${label} value=${value} onChange=${(e) => set({ [key]: e.target.value })}>${values.map((v) => html`<option value=${v}>${name(v)}</option>`)}</select>`;

    return html`<fieldset class="condition"><legend>${i === 0 ? t("edit.if") : t("rules.and")}</legend>
        <div class="line">
            ${pick(t("edit.kind"), c.kind, kinds, (k) => t(`kind.${k}`), "kind")}
            ${c.kind === "header" && html`<input aria-label=${t("edit.header")} placeholder="List-Id" maxlength="200" value=${c.name ?? ""} onInput=${(e) => set({ name: e.target.value })} />`}
            ${c.kind === "sender" && pick(t("edit.source"), c.source ?? "from", ["from", "envelope", "any"], (v) => t(`source.${v}`), "source")}
            ${texts.has(c.kind) && pick(t("edit.match"), c.match ?? "contains", matches.filter((m) => m !== "regex" || regex || c.match === "regex"), (m) => t(`match.${m}`), "match")}
            <label class="check"><input type="checkbox" checked=${c.not} onChange=${(e) => set({ not: e.target.checked })} /> ${t("edit.not")}</label>
            ${texts.has(c.kind) && html`<label class="check"><input type="checkbox" checked=${c.case_sensitive} onChange=${(e) => set({ case_sensitive: e.target.checked })} /> ${t("edit.case")}</label>`}
            ${!only && html`<${Button} kind="bare" icon="close" aria-label=${t("edit.remove", { n: i + 1 })} onClick=${onRemove} />`}
        </div>
        ${c.kind === "size" ? html`<div class="line"><label>${t("edit.min")} <input type="number" min="0" value=${c.min_kb} onInput=${(e) => set({ min_kb: e.target.value })} /></label><label>${t("edit.max")} <input type="number" min="0" value=${c.max_kb} onInput=${(e) => set({ max_kb: e.target.value })} /></label></div>`
            : html`<${Field} label=${t(`entries.${c.kind}`)} hint=${t("edit.lines")}>${(props) => html`<textarea ...${props} rows=${Math.min(8, Math.max(2, c.text.split("\n").length))} spellcheck=${false} value=${c.text} onInput=${(e) => set({ text: e.target.value })}></textarea>`}</${Field}>`}
    </fieldset>`;
}

function Backtest({ path, rule }) {
    const json = JSON.stringify(rule), [state, set] = useState({});
    const ready = rule.conditions.every((c) => (c.kind === "size" ? c.min !== undefined || c.max !== undefined : c.any.length > 0));

    useEffect(() => {
        if (!ready) { set({}); return undefined; }
        const stop = new AbortController();
        const timer = setTimeout(() => {
            set((s) => ({ ...s, busy: true }));
            post(`${path}/backtest`, { rule }, { signal: stop.signal, key: false }).then((value) => set({ value }), (problem) => problem.name !== "AbortError" && set({ problem }));
        }, 500);
        return () => { clearTimeout(timer); stop.abort(); };
    }, [json, path]);
    const v = state.value;
    return html`<section class="backtest" aria-live="polite" aria-busy=${state.busy}><h3>${t("backtest.title")}</h3>
        ${state.problem ? html`<p class="quiet">${say(state.problem)}</p>` : !v ? html`<p class="quiet">${t(ready ? "loading" : "backtest.empty")}</p>` : html`
            <p class="big">${t(v.whole ? "backtest.would" : "backtest.would_part", { n: v.matched, all: v.messages, days: v.days, date: date(v.since) })}</p>
            ${rule.action === "block" && v.released + v.reported_ham > 0 && html`<p class="warn">${t("backtest.wanted", { n: v.released + v.reported_ham })}</p>`}
            ${rule.action === "allow" && v.reported_spam > 0 && html`<p class="warn">${t("backtest.unwanted", { n: v.reported_spam })}</p>`}
            ${v.unproven > 0 && html`<p class="quiet">${t("backtest.unproven", { n: v.unproven })}</p>`}
            ${v.unknown > 0 && html`<p class="quiet">${t("backtest.unknown", { n: v.unknown })} ${v.not_kept.length > 0 && t("backtest.not_kept", { what: v.not_kept.map((k) => t(`kind.${k}`)).join(", ") })}</p>`}
            <ul class="samples">${v.samples.map(({ delivery: d, reported_ham: ham, reported_spam: spam }) => html`<li><a href=${`/?open=${d.uid}/${d.n}`}><${Their} text=${d.subject} or=${t("subject.none")} /></a><span class="quiet"><${Their} text=${d.from_name || d.from || d.sender} or=${t("sender.none")} /> · <${Time} at=${d.at} />${d.released && ` · ${t("backtest.released")}`}${ham && ` · ${t("backtest.ham")}`}${spam && ` · ${t("backtest.spam")}`}</span></li>`)}</ul>`}
    </section>`;
}

function Editor({ item, path, site, onClose, onDone }) {
    const ref = useRef(), own = !item?.read_only;
    const [form, setForm] = useState(() => { const r = item?.rule ?? fresh(); return { ...r, conditions: r.conditions.map(withText), day: r.expires_at?.slice(0, 10) ?? "" }; });
    const locked = site.policies.find((p) => p.locked), usual = site.policies.find((p) => p.name === "Rules") ?? site.policies[0];
    const [policy, setPolicy] = useState(item?.policy.id ?? usual?.id), [busy, setBusy] = useState(false), [wrong, setWrong] = useState(), [confirm, setConfirm] = useState(false), [asks, setAsks] = useState(false);
    const set = (more) => { setForm({ ...form, ...more }); setWrong(undefined); };
    const { day, ...rest } = form;
    const rule = useMemo(() => ({ ...rest, expires_at: day ? (form.expires_at?.startsWith(day) ? form.expires_at : `${day}T23:59:59Z`) : null, conditions: form.conditions.map(plain) }), [form]);
    const byName = form.action === "allow" && form.conditions.some((c) => c.kind === "sender" && !c.not);
    // What becomes an allow leaves what is enforced first; what becomes a block goes there last.
    const change = async () => {
        const carry = () => (policy === item.policy.id ? null : put(`/rules/${item.id}/policy`, { policy }));

        if (form.action === "allow") await carry();
        const made = await put(`/rules/${item.id}`, { rule, ...(confirm ? { confirm } : {}) });
        if (form.action === "block") await carry();
        return made;
    };
    const save = async () => {
        setBusy(true);
        try {
            const made = item ? await change() : await post(path, { rule, ...(policy ? { policy } : {}), ...(confirm ? { confirm } : {}) });
            note([t("edit.saved"), ...made.advice.filter((a) => a !== "needs_proof").map((a) => t(`advice.${a}`))].join(" "));
            onDone();
        } catch (p) { setAsks(p.status === 409); setWrong(say(p)); setBusy(false); }
    };
    const remove = async () => {
        try { await del(`/rules/${item.id}`); note(t("edit.deleted"), () => post(path, { rule: item.rule, policy: item.policy.id, confirm: true }).then(onDone, (p) => note(say(p)))); onDone(); } catch (p) { setWrong(say(p)); }
    };

    useTrap(ref, onClose);
    return html`<section class="drawer ${own ? "editor" : ""}" role="dialog" aria-modal="false" aria-label=${t(item ? "edit.title" : "rules.new")} tabindex="-1" ref=${ref}>
        <div class="drawer-head"><div class="line"><h2>${item ? html`<${Their} text=${item.rule.name} or=${t("rules.unnamed")} />` : t("rules.new")}</h2><${Button} kind="bare" icon="close" aria-label=${t("close")} onClick=${onClose} /></div></div>
        <div class="drawer-body"><div class="form">
            ${!own && html`<p class="asked">${t("rules.above_text")}</p>`}
            <p class="verdict ${form.action === "allow" ? "delivered" : "blocked"}"><${Sentence} rule=${rule} /></p>
            ${own && html`<${Beside} path=${path} rule=${rule} id=${item?.id} policy=${policy} />`}
            <fieldset class="plain-set" disabled=${!own}>
                <legend class="unseen">${t("edit.title")}</legend>
                <div class="line"><label class="check"><input type="radio" name="action" checked=${form.action === "block"} onChange=${() => set({ action: "block" })} /> ${t("rules.block")}</label><label class="check"><input type="radio" name="action" checked=${form.action === "allow"} onChange=${() => set({ action: "allow" })} /> ${t("rules.allow")}</label></div>
                ${form.conditions.map((c, i) => html`<${ConditionField} key=${i} c=${c} i=${i} regex=${site.may_regex} only=${form.conditions.length === 1} onChange=${(n) => set({ conditions: form.conditions.map((o, k) => (k === i ? n : o)) })} onRemove=${() => set({ conditions: form.conditions.filter((o, k) => k !== i) })} />`)}
                ${own && html`<${Button} onClick=${() => set({ conditions: [...form.conditions, withText({ kind: "subject", any: [] })] })}>${t("edit.and")}</${Button}>`}
                ${byName && html`<div class="${form.require_proof ? "asked" : "warn"}"><label class="check"><input type="checkbox" checked=${form.require_proof} onChange=${(e) => set({ require_proof: e.target.checked })} /> ${t("edit.proof")}</label><p>${t(!form.require_proof ? "edit.spoof" : site.can_prove ? "edit.proof_text" : "advice.cannot_prove")}</p></div>`}
                <${Field} label=${t("edit.name")} value=${form.name} maxlength="200" onInput=${(e) => set({ name: e.target.value })} />
                <div class="line"><${Field} label=${t("edit.expires")} type="date" value=${form.day} onInput=${(e) => set({ day: e.target.value })} />
                    <${Field} label=${t("edit.flow")}>${(props) => html`<select ...${props} value=${form.flow} onChange=${(e) => set({ flow: e.target.value })}>${["from", "to", "from_or_to"].map((f) => html`<option value=${f}>${t(`flow.${f}`)}</option>`)}</select>`}</${Field}></div>
                ${own && html`<${Field} label=${t("edit.note")}>${(props) => html`<textarea ...${props} rows="2" maxlength="2000" value=${form.note} onInput=${(e) => set({ note: e.target.value })}></textarea>`}</${Field}>`}
                <label class="check"><input type="checkbox" checked=${form.test_only} onChange=${(e) => set({ test_only: e.target.checked })} /> ${t("edit.test_only")}</label>
                ${!item && locked && form.action === "block" && site.policies.length === 2 && html`<label class="check"><input type="checkbox" checked=${policy === locked.id} onChange=${(e) => setPolicy(e.target.checked ? locked.id : usual.id)} /> ${t("edit.enforced")}</label>`}
                ${own && (item || site.policies.length > 2 || !locked) && site.policies.length > 1 && html`<${Field} label=${t("edit.policy")}>${(props) => html`<select ...${props} value=${policy} onChange=${(e) => setPolicy(e.target.value)}>${site.policies.map((p) => html`<option value=${p.id}>${p.name}</option>`)}</select>`}</${Field}>`}
            </fieldset>
            ${wrong && html`<p class="problem" role="alert">${wrong}</p>`}
            ${asks && html`<label class="check"><input type="checkbox" checked=${confirm} onChange=${(e) => setConfirm(e.target.checked)} /> ${t("rules.meant")}</label>`}
            ${own && html`<div class="actions"><${Button} kind="primary" busy=${busy} onClick=${save}>${t("edit.save")}</${Button}><${Button} onClick=${onClose}>${t("cancel")}</${Button}>${item && html`<${Button} kind="danger" onClick=${remove}>${t("edit.delete")}</${Button}>`}</div>`}
            </div>${own && html`<${Backtest} path=${path} rule=${rule} />`}
        </div></section>`;
}

// ---- trying a message ----

function Trace({ found }) {
    const [one] = found.recipients, by = one.rule;

    return html`<div class="card" aria-live="polite"><h2>${by ? t(`try.${one.verdict === "allow" ? "allow" : "block"}`, { rule: by.name || t("rules.unnamed"), layer: t(`layer.${one.layer}`) }) : t("try.none")}</h2>
        <p class="quiet">${t("try.for", { who: one.rcpt })}</p>
        ${one.matches.length === 0 ? html`<p class="quiet">${t("try.no_rules")}</p>` : html`<table class="table"><thead><tr><th>${t("matches.rule")}</th><th>${t("matches.where")}</th><th>${t("matches.what")}</th></tr></thead>
            <tbody>${one.matches.map((m) => html`<tr class=${by?.id === m.id ? "decided" : ""}><td><${Their} text=${m.name} or=${t("rules.unnamed")} /></td><td>${t(`layer.${m.layer}`)}</td><td>${m.applied ? t(`action.${m.action}`) : t("matches.not")}${m.why && html`<br /><span class="quiet"><bdi>${because(m)}</bdi></span>`}</td></tr>`)}</tbody></table>`}</div>`;
}

function Try({ scope, path }) {
    const log = useLoad((signal) => Promise.all(["status:quarantined", ""].map((q) => get(`/scopes/${segment(scope)}/mail`, { q, limit: 20 }, { signal }).catch(() => ({ items: [] })))), [scope]);
    const [held, latest] = log.value?.map((page) => page.items) ?? [[], []], picks = [["try.held", held], ["try.latest", latest.filter((d) => d.status !== "quarantined")]].filter(([, list]) => list.length > 0);
    const [text, setText] = useState(""), [envelope, setEnvelope] = useState({}), [picked, pick] = useState(""), [reason, setReason] = useState(""), [state, set] = useState({});
    const field = (name) => ({ label: t(`try.${name}`), value: envelope[name] ?? "", maxlength: 255, onInput: (e) => setEnvelope({ ...envelope, [name]: e.target.value.trim() }) });
    const given = Object.fromEntries(Object.entries(envelope).filter(([, v]) => v));
    const run = async (call) => { set({ busy: true }); try { set({ found: await call() }); } catch (problem) { set({ problem }); } };
    const file = (f) => f && run(async () => upload(`${path}/test/message`, await f.arrayBuffer(), given));
    const fromLog = () => { const [uid, n] = picked.split("/"); return run(() => post(`${path}/test`, { uid, n: Number(n), ...(reason ? { reason } : {}) }, { key: false })); };

    return html`<div class="card">
        <${Field} label=${t("try.paste")} hint=${t("try.hint")}>${(props) => html`<textarea ...${props} class="mono" rows="8" spellcheck=${false} value=${text} onInput=${(e) => setText(e.target.value)}></textarea>`}</${Field}>
        <div class="line">${!scope.startsWith("mailbox:") && html`<${Field} ...${field("rcpt")} />`}<${Field} ...${field("from")} /><${Field} ...${field("ip")} /><${Field} ...${field("host")} /></div>
        <div class="actions"><${Button} kind="primary" busy=${state.busy} disabled=${!text.trim()} onClick=${() => run(() => post(`${path}/test`, { message: text, ...given }, { key: false }))}>${t("try.run")}</${Button}>
            <label class="button file">${t("try.upload")}<input type="file" accept=".eml,message/rfc822,text/plain" onChange=${(e) => { file(e.target.files[0]); e.target.value = ""; }} /></label></div>
        ${picks.length > 0 && html`<div class="line from-log"><${Field} label=${t("try.log")}>${(props) => html`<select ...${props} value=${picked} onChange=${(e) => pick(e.target.value)}><option value="">—</option>${picks.map(([word, list]) => html`<optgroup label=${t(word)}>${list.map((d) => html`<option value=${`${d.uid}/${d.n}`}>${`${d.from_name || d.from || d.sender}: ${d.subject || t("subject.none")}`}</option>`)}</optgroup>`)}</select>`}</${Field}>
            ${state.problem?.status === 403 && picked && html`<${Field} label=${t("try.reason")} value=${reason} maxlength="500" onInput=${(e) => setReason(e.target.value)} />`}
            <${Button} disabled=${!picked} onClick=${fromLog}>${t("try.run")}</${Button}></div>`}
        ${state.problem && html`<p class="problem" role="alert">${say(state.problem)}</p>`}
    </div>
    ${state.found && html`<${Trace} found=${state.found} />`}`;
}

// ---- learned senders ----

function Learned({ mailbox }) {
    const list = useLoad((signal) => get(`/mailboxes/${segment(mailbox)}/learned`, {}, { signal }), [mailbox]);
    const forget = (l) => del(`/learned/${l.id}`).then(() => { note(t("learned.gone", { who: l.sender })); list.again(); }, (p) => note(say(p)));

    if (list.problem) return html`<${Failed} problem=${list.problem} again=${list.again} />`;
    if (!list.value) return html`<${Waiting} />`;
    if (list.value.items.length === 0) return html`<${Empty} title=${t("learned.none")}>${t("learned.text")}</${Empty}>`;
    return html`<p class="quiet">${t("learned.text")}</p><ul class="rows">${list.value.items.map((l) => html`<li class="rule"><span class="place"></span><${Action} action=${l.action} /><span class="what"><strong><bdi>${l.sender}</bdi></strong></span><span class="facts-line quiet"><span>${t("rules.expires", { date: date(l.expires) })}</span></span><span class="tools"><${Button} onClick=${() => forget(l)}>${t("learned.forget")}</${Button}></span></li>`)}</ul>`;
}

// Lists and imports are a policy's.
function WithPolicies({ scope, path, Page }) {
    const list = useLoad((signal) => get(pathOf(scope), { limit: 1 }, { signal }), [scope]);

    if (list.problem) return html`<${Failed} problem=${list.problem} again=${list.again} />`;
    if (!list.value) return html`<${Waiting} />`;
    return list.value.policies.length > 0 ? html`<${Page} scope=${scope} path=${path} policies=${list.value.policies} />` : html`<${Empty} title=${t("rules.none")}>${t("rules.no_policy")}</${Empty}>`;
}

export function Rules({ me }) {
    const { query } = useHere(), scopes = useMemo(() => scopesOf(me), [me]);
    const scope = query.get("in") ?? scopes[0]?.[0], tab = query.get("tab") ?? "rules", mailbox = scope?.startsWith("mailbox:") ? scope.slice(8) : null;
    const tabs = [["rules", t("nav.rules")], ["lists", t("rules.lists")], ["try", t("rules.try")], ...(mailbox ? [["learned", t("rules.learned")]] : []), ["import", t("rules.import")]];
    const shown = tabs.some(([id]) => id === tab) ? tab : "rules";

    if (!scope) return html`<${Empty} title=${t("rules.none")}>${t("rules.no_scope")}</${Empty}>`;
    return html`<div class="page-head"><h1>${t("nav.rules")}</h1>
            ${scopes.length > 1 && html`<label><span class="unseen">${t("rules.whose")}</span><select value=${scope} onChange=${(e) => go(withQuery({ in: e.target.value, open: null }))}>${scopes.map(([value, text]) => html`<option value=${value}>${text}</option>`)}</select></label>`}</div>
        <${Tabs} label=${t("nav.rules")} current=${shown} onPick=${(id) => go(withQuery({ tab: id === "rules" ? null : id, open: null }), { replace: true })} tabs=${tabs} />
        <div role="tabpanel" class="panel" aria-labelledby=${`tab-${shown}`}>
            ${shown === "rules" ? html`<${List} key=${scope} scope=${scope} path=${pathOf(scope)} open=${query.get("open")} />` : shown === "lists" ? html`<${WithPolicies} key=${scope} scope=${scope} Page=${Lists} path=${`/scopes/${segment(scope)}/lists`} />` : shown === "import" ? html`<${WithPolicies} key=${scope} scope=${scope} Page=${Import} path=${pathOf(scope)} />` : shown === "try" ? html`<${Try} key=${scope} scope=${scope} path=${pathOf(scope)} />` : html`<${Learned} key=${scope} mailbox=${mailbox} />`}</div>`;
}

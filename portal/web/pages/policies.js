// Policies and thresholds of all, of a domain or of one mailbox: which sets of rules there are and where they hold, and what is set.
import { html, useState } from "../modules/preact.js";
import { del, get, patch, post, put, segment } from "../api.js";
import { all, doing, Listed, said, Sure } from "../lists.js";
import { touched } from "../meanwhile.js";
import { go, useHere, withQuery } from "../router.js";
import { Scope } from "../scope.js";
import { Button, Dialog, Empty, Failed, Field, Icon, Link, note, Tabs, useLoad, Waiting } from "../ui.js";
import { t } from "../words.js";
import { Rest, Thresholds } from "./thresholds.js";

const few = (names, all) => [names.join(", "), ...(all > names.length ? [t("rules.more_entries", { n: all - names.length })] : [])].join(" ");

// ---- a row ----

const marks = { "global (locked)": ["quarantined", "quarantined"], "domain (locked)": ["quarantined", "quarantined"], default: ["received", "rules"], none: ["spam", "spam"] };
function Mark({ p }) {
    const [colour, icon] = p.enabled ? marks[p.layer] ?? ["delivered", "delivered"] : ["off", "rejected"];

    return html`<span class="chip chip-${colour}"><${Icon} name=${icon} />${t(p.enabled ? `holds.${p.layer}` : "holds.off")}</span>`;
}

function Row({ p, rules, children }) {
    return html`<li class="policy ${p.enabled && !p.inert ? "" : "idle"}">
        <div class="what"><strong><bdi>${p.name}</bdi></strong> <${Mark} p=${p} />
            <p class="quiet">${t(p.enabled ? `holds.${p.scope === "global" && p.layer === "domain" ? "assigned" : p.layer}.text` : "holds.off.text")}</p>
            <p class="facts-line quiet"><span>${t("policy.priority_is", { n: p.priority })}</span>${rules ? html`<${Link} to=${rules}>${t("policy.rules", { n: p.rules })}</${Link}>` : html`<span>${t("policy.rules", { n: p.rules })}</span>`}
                ${p.domains > 0 && html`<span>${t("policy.domains", { n: p.domains })} <bdi>${few(p.named, p.domains)}</bdi></span>`}</p></div>
        <div class="tools">${children}</div></li>`;
}

// ---- making and changing ----

const Tick = ({ form, set, name, ...more }) => html`<label class="check"><input type="checkbox" checked=${form[name]} onChange=${(e) => set({ [name]: e.target.checked })} ...${more} /> ${t(`policy.${name}`)}</label>`;

const bodyOf = ({ name, priority, locked, default: is_default, enabled }) => ({ name, priority: Number(priority), locked, default: is_default, enabled });

// What was not touched is not written: others may have.
function Edit({ policy, path, scope, onClose, onDone }) {
    const [form, setForm] = useState(() => policy ?? { name: "", priority: 100, locked: false, default: false, enabled: true });
    const [busy, setBusy] = useState(false), [wrong, setWrong] = useState();
    const set = (more) => { setForm((f) => ({ ...f, ...more })); setWrong(undefined); };
    const send = async (event) => {
        event.preventDefault();
        setBusy(true);
        try { await (policy ? patch(`/policies/${policy.id}`, touched(bodyOf(policy), bodyOf(form))) : post(path, bodyOf(form))); note(t("saved")); onDone(); } catch (p) { setWrong(p); setBusy(false); }
    };
    const at = (name) => (wrong?.member === name ? said(wrong) : undefined);

    return html`<${Dialog} title=${policy ? t("policy.change", { name: policy.name }) : t("policy.new")} onClose=${onClose} actions=${html`<${Button} onClick=${onClose}>${t("cancel")}</${Button}><${Button} kind="primary" busy=${busy} disabled=${!form.name.trim()} onClick=${send}>${t("save")}</${Button}>`}>
        <form class="edit-policy" onSubmit=${send}>
            <${Field} label=${t("policy.name")} autofocus maxlength="200" disabled=${policy?.built_in} hint=${policy?.built_in ? t("policy.built_in") : undefined} problem=${at("name")} value=${form.name} onInput=${(e) => set({ name: e.target.value })} />
            <${Field} label=${t("policy.priority")} type="number" step="1" min="-1000000" max="1000000" hint=${t("policy.priority_text")} problem=${at("priority")} value=${form.priority} onInput=${(e) => set({ priority: e.target.value })} />
            ${!scope.startsWith("mailbox:") && html`<${Tick} form=${form} set=${set} name="locked" disabled=${policy?.built_in} />`}
            ${scope === "global" && html`<${Tick} form=${form} set=${set} name="default" />`}
            <${Tick} form=${form} set=${set} name="enabled" />
            ${wrong && !at("name") && !at("priority") && html`<p class="problem" role="alert">${said(wrong)}</p>`}<button type="submit" hidden></button></form></${Dialog}>`;
}

// The domains that a global policy is assigned to.
function Domains({ policy, names, onClose }) {
    const path = `/policies/${policy.id}/domains`, list = useLoad((signal) => all(path, signal), [path]), run = doing(list);
    const there = new Set(list.value?.items.map((d) => d.name)), rest = names.filter((n) => !there.has(n));
    const [picked, pick] = useState("");
    const give = (e) => { e.preventDefault(); if (picked) run(() => put(`${path}/${segment(picked)}`)).then(() => pick("")); };

    return html`<${Dialog} title=${t("policy.domains_of", { name: policy.name })} onClose=${onClose} actions=${html`<${Button} onClick=${onClose}>${t("close")}</${Button}>`}>
        <p class="quiet">${t("policy.domains_text")}</p>
        <${Listed} of=${list} none=${t("policy.domains_none")}>${(items) => html`<ul class="plainlist">${items.map((d) => html`<li key=${d.id}><bdi>${d.name}</bdi> <${Button} kind="bare" icon="close" aria-label=${t("policy.take", { name: d.name })} onClick=${() => run(() => del(`${path}/${segment(d.name)}`))} /></li>`)}</ul>`}</${Listed}>
        ${rest.length > 0 && html`<form class="actions" onSubmit=${give}><select aria-label=${t("policy.another")} value=${picked} onChange=${(e) => pick(e.target.value)}><option value="">${t("policy.another")}</option>${rest.map((n) => html`<option value=${n}>${n}</option>`)}</select><${Button} type="submit" disabled=${!picked}>${t("policy.assign")}</${Button}></form>`}</${Dialog}>`;
}

// Says what would go with it before it goes.
function Gone({ policy, onClose, onSure }) {
    const look = useLoad((signal) => get(`/policies/${policy.id}`, {}, { signal }), [policy.id]), p = look.value;

    if (!p) return look.problem ? html`<${Dialog} title=${policy.name} onClose=${onClose}><${Failed} problem=${look.problem} again=${look.again} /></${Dialog}>` : null;
    const rules = p.rules === 0 ? t("policy.goes_none") : `${t("policy.goes", { n: p.rules })} ${few(p.first.map((n) => n || t("rules.unnamed")), p.rules)}.`;
    return html`<${Sure} name=${policy.name} text=${html`<bdi>${rules}</bdi>${p.domains > 0 && ` ${t("policy.goes_domains", { n: p.domains })}`}`} onClose=${onClose} onSure=${onSure} />`;
}

// ---- the list ----

function List({ me, scope, domains }) {
    const path = `/scopes/${segment(scope)}/policies`, global = scope === "global", mailbox = scope.startsWith("mailbox:");
    const list = useLoad((signal) => get(path, {}, { signal }), [path]);
    const above = useLoad((signal) => (global ? Promise.resolve({ items: [] }) : get(`${path}/above`, {}, { signal })), [path]);
    const [open, setOpen] = useState(null), run = doing(list), close = () => setOpen(null);
    const act = (what, p) => html`<${Button} kind=${what === "gone" ? "danger" : ""} aria-label=${t(`policy.${what}_of`, { name: p.name })} onClick=${() => setOpen({ what, p })}>${t(`policy.${what}`)}</${Button}>`;

    return html`<div class="page-head order"><p class="quiet">${t(mailbox ? "policy.text_mailbox" : "policy.text")}</p>${!mailbox && html`<${Button} kind="primary" onClick=${() => setOpen({ what: "new" })}>${t("policy.new")}</${Button}>`}</div>
        <${Listed} of=${list} none=${t("policy.none")}>${(items) => html`<ul class="rows">${items.map((p) => html`<${Row} key=${p.id} p=${p} rules=${`/rules?in=${encodeURIComponent(scope)}`}>
            ${!mailbox && act("edit", p)}${global && me.account.admin && act("where", p)}${!p.built_in && act("gone", p)}</${Row}>`)}</ul>`}</${Listed}>
        ${above.problem && html`<p class="problem" role="alert">${said(above.problem)}</p>`}
        ${above.value?.items.length > 0 && html`<section><h2 class="above">${t("policy.above")}</h2><ul class="rows">${above.value.items.map((p) => html`<${Row} key=${p.id} p=${p} />`)}</ul></section>`}
        ${(open?.what === "new" || open?.what === "edit") && html`<${Edit} policy=${open.p} path=${path} scope=${scope} onClose=${close} onDone=${() => { close(); list.again(); }} />`}
        ${open?.what === "where" && html`<${Domains} policy=${open.p} names=${domains} onClose=${() => { close(); list.again(); }} />`}
        ${open?.what === "gone" && html`<${Gone} policy=${open.p} onClose=${close} onSure=${() => { close(); run(() => del(`/policies/${open.p.id}`), t("policy.deleted")); }} />`}`;
}

// ---- the page ----

export function Policies({ me }) {
    const { query } = useHere(), admin = me.account.admin;
    const load = useLoad((signal) => all("/domains", signal), []);

    if (!load.value) return load.problem ? html`<${Failed} problem=${load.problem} again=${load.again} top />` : html`<${Waiting} />`;
    const domains = load.value.items.map((d) => d.name), own = me.mailboxes.filter((m) => m.thresholds);
    const scope = query.get("in") ?? (admin ? "global" : domains.length > 0 ? `domain:${domains[0]}` : own.length > 0 ? `mailbox:${own[0].address}` : null);
    if (!scope) return html`<${Empty} title=${t("policy.none")} top />`;
    const tabs = [["thresholds", t("set.thresholds")], ["policies", t("policy.list")], ...(scope.startsWith("mailbox:") ? [] : [["rest", t("set.more")]])];
    const tab = tabs.some(([id]) => id === query.get("tab")) ? query.get("tab") : "thresholds";

    return html`<div class="page-head"><h1>${t("nav.policies")}</h1><${Scope} scope=${scope} domains=${domains} own=${own} everywhere=${admin} /></div>
        <${Tabs} label=${t("nav.policies")} tabs=${tabs} current=${tab} onPick=${(id) => go(withQuery({ tab: id === "thresholds" ? null : id }), { replace: true })} />
        <div class="panel" role="tabpanel" aria-labelledby=${`tab-${tab}`} key=${`${scope} ${tab}`}>
            ${tab === "thresholds" ? html`<${Thresholds} scope=${scope} />` : tab === "policies" ? html`<${List} me=${me} scope=${scope} domains=${domains} />` : html`<${Rest} me=${me} scope=${scope} />`}</div>`;
}

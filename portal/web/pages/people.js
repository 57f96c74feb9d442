// People, mailboxes, addresses and settings of a domain; for the operator the domains themselves and everybody. And who may not send.
import { html, useState } from "../modules/preact.js";
import { del, get, patch, post, put, segment } from "../api.js";
import { go, useHere, withQuery } from "../router.js";
import { Button, Dialog, Empty, Failed, Field, note, Tabs, Their, Time, useLoad, Waiting } from "../ui.js";
import { t } from "../words.js";

const said = (p) => (p.offline ? t("offline.text") : p.message);
// Does it, says so, and shows what is now; what went wrong is said where it was asked for.
const doing = (list) => async (work, text) => { try { await work(); if (text) note(text); list.again(); return true; } catch (p) { note(said(p)); return false; } };

function Listed({ of, none, children }) {
    if (of.problem && !of.value) return html`<${Failed} problem=${of.problem} again=${of.again} />`;
    if (!of.value) return html`<${Waiting} rows=${4} />`;
    return of.value.items.length === 0 ? html`<${Empty} title=${none} />` : children(of.value.items);
}

// All pages of a list, as many as a person can look at.
async function all(path, signal) {
    const items = [];
    let after;

    do {
        const page = await get(path, { after }, { signal });
        items.push(...page.items);
        after = page.next;
    } while (after && items.length < 2000);
    return { items };
}

// What cannot be undone is typed.
function Sure({ name, text, onSure, onClose }) {
    const [typed, setTyped] = useState("");
    const right = typed.trim().toLowerCase() === name.toLowerCase();
    const sure = (e) => { e.preventDefault(); if (right) onSure(); };

    return html`<${Dialog} title=${t("sure.title", { name })} onClose=${onClose} actions=${html`<${Button} onClick=${onClose}>${t("cancel")}</${Button}><${Button} kind="danger" disabled=${!right} onClick=${sure}>${t("sure.delete")}</${Button}>`}>
        <p>${text}</p><form onSubmit=${sure}><${Field} label=${t("sure.type", { name })} autofocus autocomplete="off" value=${typed} onInput=${(e) => setTyped(e.target.value)} /></form></${Dialog}>`;
}

const Sheet = ({ label, heads, children }) => html`<div class="scroll" tabindex="0" role="region" aria-label=${label}><table class="table"><thead><tr>${heads.map((h) => html`<th>${h}</th>`)}<th><span class="unseen">${t("what")}</span></th></tr></thead><tbody>${children}</tbody></table></div>`;

// A row of fields and a button. `make` gets what was typed.
function Adder({ fields, button, make }) {
    const [now, set] = useState({});
    const [problem, setProblem] = useState();
    const [busy, setBusy] = useState(false);
    const send = async (event) => {
        event.preventDefault();
        setBusy(true);
        setProblem(undefined);
        try { await make(now); set({}); } catch (p) { setProblem(p); }
        setBusy(false);
    };

    return html`<form class="adder" onSubmit=${send}>${fields.map(([name, label, options]) => html`<${Field} label=${label} value=${now[name] ?? ""} onInput=${(e) => set({ ...now, [name]: e.target.value })}
            problem=${problem && (problem.member === name || (name === fields[0][0] && !fields.some((f) => f[0] === problem.member))) ? said(problem) : undefined} ...${options?.choices ? {} : options}>
            ${options?.choices && ((a) => html`<select ...${a} value=${now[name] ?? options.choices[0][0]} onChange=${(e) => set({ ...now, [name]: e.target.value })}>${options.choices.map(([v, text]) => html`<option value=${v}>${text}</option>`)}</select>`)}</${Field}>`)}
        <${Button} kind="primary" type="submit" busy=${busy}>${button}</${Button}></form>`;
}

// ---- in a domain ----

const roles = () => ["user", "clerk", "owner"].map((r) => [r, t(`role.${r}`)]);

function Folk({ me, domain }) {
    const path = `/domains/${segment(domain)}`;
    const list = useLoad((signal) => all(`${path}/people`, signal), [domain]);
    const [gone, setGone] = useState(null);
    const run = doing(list);

    return html`<${Adder} button=${t("people.add")} fields=${[["login", t("people.login"), { type: "email", required: true, placeholder: `@${domain}` }], ["name", t("people.name")]]}
            make=${async (x) => { await post(`${path}/people`, x); note(t("people.added")); list.again(); }} />
        <${Listed} of=${list} none=${t("people.none")}>${(items) => html`<${Sheet} label=${t("people.people")} heads=${[t("people.login"), t("people.name"), t("people.role"), t("people.active")]}>${items.map((a) => html`<tr key=${a.id}>
            <td><bdi>${a.login}</bdi></td><td><${Their} text=${a.name} /></td>
            <td>${a.admin ? t("role.admin") : html`<select aria-label=${t("people.role_of", { who: a.login })} value=${a.role} onChange=${(e) => run(() => put(`${path}/roles/${segment(a.id)}`, { role: e.target.value }), t("saved"))}>${roles().map(([v, text]) => html`<option value=${v}>${text}</option>`)}</select>`}</td>
            <td><input type="checkbox" aria-label=${t("people.active_of", { who: a.login })} checked=${a.active} disabled=${a.id === me.account.id} onChange=${(e) => run(() => patch(`/accounts/${segment(a.id)}`, { active: e.target.checked }), t("saved"))} /></td>
            <td>${a.id !== me.account.id && html`<${Button} kind="danger" onClick=${() => setGone(a)} aria-label=${t("people.delete_of", { who: a.login })}>${t("people.delete")}</${Button}>`}</td></tr>`)}</${Sheet}>`}</${Listed}>
        ${gone && html`<${Sure} name=${gone.login} text=${t("people.delete_text")} onClose=${() => setGone(null)} onSure=${() => { setGone(null); run(() => del(`/accounts/${segment(gone.id)}`), t("people.deleted")); }} />`}`;
}

function Mailboxes({ domain }) {
    const path = `/domains/${segment(domain)}`;
    const list = useLoad(async (signal) => { const [boxes, folk] = await Promise.all([all(`${path}/mailboxes`, signal), all(`${path}/people`, signal)]); return { ...boxes, folk: folk.items }; }, [domain]);
    const [gone, setGone] = useState(null);
    const run = doing(list);
    const folk = list.value?.folk ?? [];

    return html`<${Adder} button=${t("mailbox.add")} fields=${[["local", t("mailbox.local"), { required: true, maxlength: 256 }], ["account", t("mailbox.whose"), { choices: [["", t("mailbox.nobody")], ...folk.map((a) => [a.id, a.login])] }]]}
            make=${async (x) => { await post(`${path}/mailboxes`, x); note(t("mailbox.added")); list.again(); }} />
        <${Listed} of=${list} none=${t("mailbox.none")}>${(items) => html`<${Sheet} label=${t("people.mailboxes")} heads=${[t("mailbox.address"), t("mailbox.whose"), t("mailbox.enabled")]}>${items.map((m) => html`<tr key=${m.id}>
            <td><bdi>${m.address}</bdi></td>
            <td><select aria-label=${t("mailbox.whose_of", { address: m.address })} value=${m.account ?? ""} onChange=${(e) => run(() => patch(`/mailboxes/${segment(m.id)}`, { account: e.target.value }), t("saved"))}><option value="">${t("mailbox.nobody")}</option>
                ${m.account && !folk.some((a) => a.id === m.account) && html`<option value=${m.account}>${t("unknown")}</option>`}${folk.map((a) => html`<option value=${a.id}>${a.login}</option>`)}</select></td>
            <td><input type="checkbox" aria-label=${t("mailbox.enabled_of", { address: m.address })} checked=${m.enabled} onChange=${(e) => run(() => patch(`/mailboxes/${segment(m.id)}`, { enabled: e.target.checked }), t("saved"))} /></td>
            <td><${Button} kind="danger" onClick=${() => setGone(m)} aria-label=${t("people.delete_of", { who: m.address })}>${t("people.delete")}</${Button}></td></tr>`)}</${Sheet}>`}</${Listed}>
        ${gone && html`<${Sure} name=${gone.address} text=${t("mailbox.delete_text")} onClose=${() => setGone(null)} onSure=${() => { setGone(null); run(() => del(`/mailboxes/${segment(gone.id)}`), t("mailbox.deleted")); }} />`}`;
}

const kinds = ["alias", "list", "group", "sender", "catchall"];

function Addresses({ domain }) {
    const path = `/domains/${segment(domain)}/addresses`;
    const list = useLoad((signal) => all(path, signal), [domain]);
    const [gone, setGone] = useState(null);
    const run = doing(list);

    return html`<${Adder} button=${t("address.add")} fields=${[["local", t("mailbox.local"), { maxlength: 256 }], ["kind", t("address.kind"), { choices: kinds.map((k) => [k, t(`address.${k}`)]) }], ["to", t("address.to"), { placeholder: t("address.to_hint") }]]}
            make=${async ({ local = "", kind = "alias", to = "" }) => { await post(path, { kind, local: kind === "catchall" ? undefined : local, to: to.split(/[\s,;]+/).filter(Boolean) }); note(t("address.added")); list.again(); }} />
        <${Listed} of=${list} none=${t("address.none")}>${(items) => html`<${Sheet} label=${t("people.addresses")} heads=${[t("mailbox.address"), t("address.kind"), t("address.to")]}>${items.map((a) => html`<tr key=${a.address}>
            <td><bdi>${a.address}</bdi></td><td>${t(`address.${a.kind}`)}</td><td><${Their} text=${a.targets.join(", ")} /></td>
            <td><${Button} kind="danger" onClick=${() => setGone(a)} aria-label=${t("people.delete_of", { who: a.address })}>${t("people.delete")}</${Button}></td></tr>`)}</${Sheet}>`}</${Listed}>
        ${gone && html`<${Sure} name=${gone.address} text=${t("address.delete_text")} onClose=${() => setGone(null)} onSure=${() => { setGone(null); run(() => del(`${path}/${segment(gone.address)}`), t("address.deleted")); }} />`}`;
}

// ---- what holds ----

const numbers = ["greylist", "add_header", "reject"], words = { at_add_header: ["tag", "quarantine", "discard", "reject"], at_reject: ["tag", "quarantine", "discard", "reject"], at_block: ["tag", "quarantine", "discard", "reject"], enrol: ["listed", "delivered", "closed"] };

// One value, or that of above.
function Inherit({ name, now, above, set, children }) {
    const own = now[name] !== null;

    return html`<div class="inherit"><${Field} label=${t(`set.${name}`)}>${(a) => children({ ...a, disabled: !own, value: own ? now[name] : above[name] ?? "" })}</${Field}>
        <label class="check"><input type="checkbox" checked=${!own} onChange=${(e) => set(name, e.target.checked ? null : above[name] || (above[name] === false ? false : ""))} /> ${t("set.inherit")}<span class="unseen"> ${t(`set.${name}`)}</span></label></div>`;
}

function Holds({ me, scope }) {
    const load = useLoad((signal) => get(`/scopes/${segment(scope)}/settings`, {}, { signal }), [scope]);
    const [changed, setChanged] = useState({});
    const [problem, setProblem] = useState();
    const [busy, setBusy] = useState(false);

    if (!load.value) return load.problem ? html`<${Failed} problem=${load.problem} again=${load.again} />` : html`<${Waiting} rows=${4} />`;
    const now = { ...load.value.own, ...changed }, above = load.value.inherited;
    const set = (name, value) => setChanged({ ...changed, [name]: value });
    const save = async (event) => {
        const { copies, held_max, mailbox_held_max, rules_max, mailbox_rules_max, ...own } = now;

        event.preventDefault();
        setBusy(true);
        setProblem(undefined);
        try {
            if ("copies" in changed) await put(`/scopes/${segment(scope)}/quotas`, { copies, held_max, mailbox_held_max, rules_max, mailbox_rules_max });
            load.set(await put(`/scopes/${segment(scope)}/settings`, own));
            setChanged({});
            note(t("saved"));
        } catch (p) { setProblem(p); }
        setBusy(false);
    };
    const number = (name, max, step) => html`<${Inherit} name=${name} now=${now} above=${above} set=${set}>${(a) => html`<input type="number" inputmode="decimal" min="0" max=${max} step=${step} required=${!a.disabled} ...${a} onInput=${(e) => set(name, e.target.value === "" ? "" : Number(e.target.value))} />`}</${Inherit}>`;
    const choice = (name) => html`<${Inherit} name=${name} now=${now} above=${above} set=${set}>${(a) => html`<select ...${a} onChange=${(e) => set(name, e.target.value)}>${words[name].map((w) => html`<option value=${w}>${t(`choice.${w}`)}</option>`)}</select>`}</${Inherit}>`;
    const yes = (name) => html`<${Inherit} name=${name} now=${now} above=${above} set=${set}>${(a) => html`<select ...${a} value=${a.value ? "yes" : "no"} onChange=${(e) => set(name, e.target.value === "yes")}><option value="no">${t("choice.no")}</option><option value="yes">${t("choice.yes")}</option></select>`}</${Inherit}>`;
    return html`<form onSubmit=${save}><h2>${t("set.thresholds")}</h2><p class="hint quiet">${t("set.thresholds_text")}</p><div class="grid2">${numbers.map((n) => number(n, 999, 0.1))}</div>
        <h2>${t("set.then")}</h2><div class="grid2">${choice("at_add_header")}${choice("at_reject")}${choice("at_block")}</div>
        <h2>${t("set.more")}</h2><div class="grid2">${yes("greylisting")}${choice("enrol")}${number("retention_days", 3650, 1)}${me.account.admin && yes("copies")}</div>
        ${problem && html`<p class="problem" role="alert">${said(problem)}</p>`}
        <${Button} kind="primary" type="submit" busy=${busy}>${t("save")}</${Button}></form>`;
}

function Itself({ me, domain, again }) {
    const path = `/domains/${segment(domain)}`;
    const load = useLoad((signal) => get(path, {}, { signal }), [domain]);
    const [gone, setGone] = useState(false);
    const run = doing(load);

    if (!load.value) return load.problem ? html`<${Failed} problem=${load.problem} again=${load.again} />` : html`<${Waiting} rows=${2} />`;
    const d = load.value.domain, admin = me.account.admin;
    return html`<div class="grid2">
            <${Field} label=${t("domain.state")}>${(a) => html`<select ...${a} value=${d.state} onChange=${(e) => run(() => patch(path, { state: e.target.value }), t("saved"))}>${["active", "disabled", ...(admin || d.state === "pending" ? ["pending"] : [])].map((s) => html`<option value=${s}>${t(`domain.${s}`)}</option>`)}</select>`}</${Field}>
            ${admin && html`<${Field} label=${t("domain.route")} hint=${t("domain.route_hint")} value=${d.route} maxlength="255" onChange=${(e) => run(() => put(`${path}/route`, { route: e.target.value.trim() }), t("saved"))} />`}</div>
        ${load.value.aliases.length > 0 && html`<p>${t("domain.aliases")} <bdi>${load.value.aliases.join(", ")}</bdi></p>`}
        <${Holds} me=${me} scope=${`domain:${domain}`} />
        ${admin && html`<div class="actions"><${Button} kind="danger" onClick=${() => setGone(true)}>${t("domain.delete")}</${Button}></div>`}
        ${gone && html`<${Sure} name=${domain} text=${t("domain.delete_text")} onClose=${() => setGone(false)} onSure=${async () => { setGone(false); try { await del(path); note(t("domain.deleted")); go("/people"); again(); } catch (p) { note(said(p)); } }} />`}`;
}

// ---- who may not send ----

function Blocked() {
    const list = useLoad((signal) => all("/blocked-senders", signal), []);
    const run = doing(list);

    return html`<${Listed} of=${list} none=${t("blocked.none")}>${(items) => html`<ul class="rows">${items.map((b) => html`<li class="deed" key=${b.login}>
        <div><strong><bdi>${b.login}</bdi></strong> · <bdi>${b.reason}</bdi> <span class="quiet">${b.automatic ? t("blocked.automatic") : t("blocked.by", { who: b.by })}</span></div><${Time} at=${b.at} />
        <details><summary>${t("blocked.evidence")}</summary><pre class="raw-text">${JSON.stringify(b.evidence, null, 2)}</pre></details>
        <div><${Button} onClick=${() => run(() => del(`/blocked-senders/${segment(b.login)}`), t("blocked.lifted"))}>${t("blocked.lift")}</${Button}></div></li>`)}</ul>`}</${Listed}>`;
}

// ---- everybody ----

function Everybody({ me }) {
    const list = useLoad((signal) => all("/accounts", signal), []);
    const run = doing(list);

    return html`<${Adder} button=${t("people.add")} fields=${[["login", t("people.login"), { type: "email", required: true }], ["name", t("people.name")]]} make=${async (x) => { await post("/accounts", x); note(t("people.added")); list.again(); }} />
        <${Listed} of=${list} none=${t("people.none")}>${(items) => html`<${Sheet} label=${t("people.everybody")} heads=${[t("people.login"), t("people.name"), t("role.admin"), t("people.active")]}>${items.map((a) => html`<tr key=${a.id}>
            <td><bdi>${a.login}</bdi></td><td><${Their} text=${a.name} /></td>
            <td><input type="checkbox" aria-label=${t("people.admin_of", { who: a.login })} checked=${a.admin} onChange=${(e) => run(() => put(`/accounts/${segment(a.id)}/admin`, { admin: e.target.checked }), t("saved")).then((ok) => ok || list.again())} /></td>
            <td><input type="checkbox" aria-label=${t("people.active_of", { who: a.login })} checked=${a.active} disabled=${a.id === me.account.id} onChange=${(e) => run(() => patch(`/accounts/${segment(a.id)}`, { active: e.target.checked }), t("saved"))} /></td><td></td></tr>`)}</${Sheet}>`}</${Listed}>`;
}

const NewDomain = ({ again }) => html`<${Adder} button=${t("domain.add")} fields=${[["name", t("domain.name"), { required: true, maxlength: 253 }]]} make=${async (x) => { const { domain } = await post("/domains", x); note(t("domain.added")); again(); go(`/people?in=${segment(domain.name)}`); }} />`;

export function People({ me }) {
    const { query } = useHere();
    const domains = useLoad((signal) => all("/domains", signal), []);
    const admin = me.account.admin;

    if (!domains.value) return domains.problem ? html`<${Failed} problem=${domains.problem} again=${domains.again} />` : html`<${Waiting} />`;
    const names = domains.value.items.map((d) => d.name), domain = query.get("in") ?? names[0] ?? "";
    const inside = domain ? [["people", t("people.people")], ["mailboxes", t("people.mailboxes")], ["addresses", t("people.addresses")], ["domain", t("people.domain")]] : [];
    const tabs = [...inside, ["blocked", t("people.blocked")], ...(admin ? [["everybody", t("people.everybody")], ["global", t("people.global")], ["new", t("domain.add")]] : [])];
    const tab = tabs.some(([id]) => id === query.get("tab")) ? query.get("tab") : tabs[0][0];

    return html`<div class="page-head"><h1>${t("nav.people")}</h1>
            ${names.length > 1 && html`<label><span class="unseen">${t("people.domain")}</span><select value=${domain} onChange=${(e) => go(withQuery({ in: e.target.value }))}>${names.map((n) => html`<option value=${n}>${n}</option>`)}</select></label>`}</div>
        <${Tabs} label=${t("nav.people")} tabs=${tabs} current=${tab} onPick=${(id) => go(withQuery({ tab: id }), { replace: true })} />
        <section class="card" role="tabpanel" aria-labelledby=${`tab-${tab}`} key=${`${domain} ${tab}`}>
            ${tab === "people" ? html`<${Folk} me=${me} domain=${domain} />` : tab === "mailboxes" ? html`<${Mailboxes} domain=${domain} />` : tab === "addresses" ? html`<${Addresses} domain=${domain} />`
                : tab === "domain" ? html`<${Itself} me=${me} domain=${domain} again=${domains.again} />` : tab === "blocked" ? html`<${Blocked} />` : tab === "everybody" ? html`<${Everybody} me=${me} />`
                : tab === "global" ? html`<${Holds} me=${me} scope="global" />` : html`<${NewDomain} again=${domains.again} />`}</section>`;
}

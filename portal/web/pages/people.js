// People, mailboxes and addresses of a domain; for the operator the domains themselves and everybody. And who may not send.
import { html, useState } from "../modules/preact.js";
import { del, get, patch, post, put, segment } from "../api.js";
import { all, doing, Listed, said, Sheet, Sure } from "../lists.js";
import { go, useHere, withQuery } from "../router.js";
import { Button, Failed, Field, Link, note, Tabs, Their, Time, useLoad, Waiting } from "../ui.js";
import { moment, t } from "../words.js";
import { DomainDigests } from "./digests.js";
import { setOne } from "./holds.js";

// A row of fields and a button. `make` gets what was typed.
function Adder({ fields, button, make }) {
    const [now, set] = useState({});
    const [problem, setProblem] = useState();
    const [busy, setBusy] = useState(false);
    const send = async (event) => {
        event.preventDefault();
        setBusy(true);
        setProblem(undefined);
        try { await make(now); set((typed) => (typed === now ? {} : typed)); } catch (p) { setProblem(p); }
        setBusy(false);
    };

    return html`<form class="adder" onSubmit=${send}>${fields.map(([name, label, options]) => html`<${Field} label=${label} value=${now[name] ?? ""} onInput=${(e) => set({ ...now, [name]: e.target.value })}
            problem=${problem && (problem.member === name || (name === fields[0][0] && !fields.some((f) => f[0] === problem.member))) ? said(problem) : undefined} ...${options?.choices ? {} : options}>
            ${options?.choices && ((a) => html`<select ...${a} value=${now[name] ?? options.choices[0][0]} onChange=${(e) => set({ ...now, [name]: e.target.value })}>${options.choices.map(([v, text]) => html`<option value=${v}>${text}</option>`)}</select>`)}</${Field}>`)}
        <${Button} kind="primary" type="submit" busy=${busy}>${button}</${Button}></form>`;
}

// ---- in a domain ----

const roles = () => ["user", "clerk", "owner"].map((r) => [r, t(`role.${r}`)]);

// Of this domain: with the mailbox of that address. For the operator also somebody whose mail is elsewhere, to look after this domain.
async function addPerson(path, domain, { login = "", name, role = "user" }) {
    const here = login.trim().toLowerCase().endsWith(`@${domain}`), as = () => put(`${path}/roles/${segment(login.trim())}`, { role });

    if (here) { await post(`${path}/people`, { login, name }); if (role !== "user") await as(); return; }
    if (role === "user") throw { member: "role", message: t("people.elsewhere") };
    try { await as(); } catch (p) { if (p.status !== 404) throw p; await post("/accounts", { login, name }); await as(); }
}

function Folk({ me, domain }) {
    const path = `/domains/${segment(domain)}`;
    const list = useLoad((signal) => all(`${path}/people`, signal), [domain]);
    const [gone, setGone] = useState(null);
    const run = doing(list);

    return html`<${Adder} button=${t("people.add")} fields=${[["login", t("people.login"), { type: "email", required: true, placeholder: `@${domain}` }], ["name", t("people.name")], ["role", t("people.role"), { choices: roles() }]]}
            make=${async (x) => { await addPerson(path, domain, x); note(t("people.added")); list.again(); }} />
        <${Listed} of=${list} none=${t("people.none")}>${(items) => html`<${Sheet} label=${t("people.people")} heads=${[t("people.login"), t("people.name"), t("people.role"), t("people.active")]} rows=${items.map((a) => [a.id,
            html`<bdi>${a.login}</bdi>`, html`<${Their} text=${a.name} />`,
            html`${a.admin ? t("role.admin") : html`<select aria-label=${t("people.role_of", { who: a.login })} value=${a.role} onChange=${(e) => run(() => put(`${path}/roles/${segment(a.id)}`, { role: e.target.value }), t("saved"))}>${roles().map(([v, text]) => html`<option value=${v}>${text}</option>`)}</select>`}`,
            html`<input type="checkbox" aria-label=${t("people.active_of", { who: a.login })} checked=${a.active} disabled=${a.id === me.account.id} onChange=${(e) => run(() => patch(`/accounts/${segment(a.id)}`, { active: e.target.checked }), t("saved"))} />`,
            html`${a.id !== me.account.id && html`<${Button} kind="danger" onClick=${() => setGone(a)} aria-label=${t("people.delete_of", { who: a.login })}>${t("people.delete")}</${Button}>`}`])} />`}</${Listed}>
        ${gone && html`<${Sure} name=${gone.login} text=${t("people.delete_text")} onClose=${() => setGone(null)} onSure=${() => { setGone(null); run(() => del(`/accounts/${segment(gone.id)}`), t("people.deleted")); }} />`}`;
}

function Mailboxes({ domain }) {
    const path = `/domains/${segment(domain)}`;
    const list = useLoad(async (signal) => { const [boxes, folk] = await Promise.all([all(`${path}/mailboxes`, signal), all(`${path}/people`, signal)]); return { ...boxes, folk: folk.items }; }, [domain]);
    const [gone, setGone] = useState(null);
    const run = doing(list);
    const folk = list.value?.folk ?? [];

    return html`<${Adder} button=${t("mailbox.add")} fields=${[["local", t("mailbox.local"), { required: true, maxlength: 256, hint: `@${domain}` }], ["account", t("mailbox.whose"), { choices: [["", t("mailbox.nobody")], ...folk.map((a) => [a.id, a.login])] }]]}
            make=${async (x) => { await post(`${path}/mailboxes`, x); note(t("mailbox.added")); list.again(); }} />
        <${Listed} of=${list} none=${t("mailbox.none")}>${(items) => html`<${Sheet} label=${t("people.mailboxes")} heads=${[t("mailbox.address"), t("mailbox.whose"), t("mailbox.enabled")]} rows=${items.map((m) => [m.id,
            html`<bdi>${m.address}</bdi>`,
            html`<select aria-label=${t("mailbox.whose_of", { address: m.address })} value=${m.account ?? ""} onChange=${(e) => run(() => patch(`/mailboxes/${segment(m.id)}`, { account: e.target.value }), t("saved"))}><option value="">${t("mailbox.nobody")}</option>
                ${m.account && !folk.some((a) => a.id === m.account) && html`<option value=${m.account}>${t("unknown")}</option>`}${folk.map((a) => html`<option value=${a.id}>${a.login}</option>`)}</select>`,
            html`<input type="checkbox" aria-label=${t("mailbox.enabled_of", { address: m.address })} checked=${m.enabled} onChange=${(e) => run(() => patch(`/mailboxes/${segment(m.id)}`, { enabled: e.target.checked }), t("saved"))} />`,
            html`<${Button} kind="danger" onClick=${() => setGone(m)} aria-label=${t("people.delete_of", { who: m.address })}>${t("people.delete")}</${Button}>`])} />`}</${Listed}>
        ${gone && html`<${Sure} name=${gone.address} text=${t("mailbox.delete_text")} onClose=${() => setGone(null)} onSure=${() => { setGone(null); run(() => del(`/mailboxes/${segment(gone.id)}`), t("mailbox.deleted")); }} />`}`;
}

const kinds = ["alias", "list", "group", "sender", "catchall"];

function Addresses({ domain }) {
    const path = `/domains/${segment(domain)}/addresses`;
    const list = useLoad((signal) => all(path, signal), [domain]);
    const [gone, setGone] = useState(null);
    const run = doing(list);

    return html`<${Adder} button=${t("address.add")} fields=${[["local", t("mailbox.local"), { maxlength: 256, hint: `@${domain}` }], ["kind", t("address.kind"), { choices: kinds.map((k) => [k, t(`address.${k}`)]) }], ["to", t("address.to"), { hint: t("address.to_hint") }]]}
            make=${async ({ local = "", kind = "alias", to = "" }) => { await post(path, { kind, local: kind === "catchall" ? undefined : local, to: to.split(/[\s,;]+/).filter(Boolean) }); note(t("address.added")); list.again(); }} />
        <${Listed} of=${list} none=${t("address.none")}>${(items) => html`<${Sheet} label=${t("people.addresses")} heads=${[t("mailbox.address"), t("address.kind"), t("address.to")]} rows=${items.map((a) => [a.address,
            html`<bdi>${a.address}</bdi>`, html`${t(`address.${a.kind}`)}`, html`<${Their} text=${a.targets.join(", ")} />`,
            html`<${Button} kind="danger" onClick=${() => setGone(a)} aria-label=${t("people.delete_of", { who: a.address })}>${t("people.delete")}</${Button}>`])} />`}</${Listed}>
        ${gone && html`<${Sure} name=${gone.address} text=${t("address.delete_text")} onClose=${() => setGone(null)} onSure=${() => { setGone(null); run(() => del(`${path}/${segment(gone.address)}`), t("address.deleted")); }} />`}`;
}

// ---- the domain itself ----

const kindsOfDomain = ["local", "relay", "sdr"];

// Other names, under which every address exists too.
function Names({ path, aliases, admin, run }) {
    return html`<h2>${t("alias.title")}</h2>${aliases.length > 0 ? html`<ul class="rows">${aliases.map((name) => html`<li class="deed" key=${name}><bdi>${name}</bdi>
            ${admin && html`<${Button} kind="danger" aria-label=${t("alias.delete_of", { name })} onClick=${() => run(() => del(`${path}/aliases/${segment(name)}`), t("alias.deleted"))}>${t("alias.delete")}</${Button}>`}</li>`)}</ul>` : html`<p class="hint quiet">${t("alias.none")}</p>`}
        ${admin && html`<${Adder} button=${t("alias.add")} fields=${[["name", t("alias.name"), { required: true, maxlength: 253, hint: t("alias.hint") }]]} make=${async (x) => { await post(`${path}/aliases`, x); run(async () => {}, t("alias.added")); }} />`}`;
}

// Whether accounts come by themselves; as everywhere, unless the domain says otherwise.
function Enrol({ domain }) {
    const scope = `domain:${domain}`, load = useLoad((signal) => get(`/scopes/${segment(scope)}/settings`, {}, { signal }), [scope]), run = doing(load);
    const { own, inherited } = load.value ?? {};

    return html`<${Field} label=${t("set.enrol")} hint=${t("domain.enrol_hint")}>${(a) => html`<select ...${a} disabled=${!own} value=${own?.enrol ?? ""} onChange=${(e) => run(() => setOne(scope, "enrol", e.target.value || null), t("saved"))}>
        <option value="">${inherited ? t("domain.as_everywhere", { what: t(`choice.${inherited.enrol}`) }) : ""}</option>${["listed", "delivered", "closed"].map((w) => html`<option value=${w}>${t(`choice.${w}`)}</option>`)}</select>`}</${Field}>`;
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
            <${Field} label=${t("domain.delimiter")} hint=${t("domain.delimiter_hint")} value=${d.delimiter} maxlength="1" onChange=${(e) => run(() => patch(path, { delimiter: e.target.value.trim() }), t("saved"))} />
            ${admin ? html`<${Field} label=${t("domain.kind")}>${(a) => html`<select ...${a} value=${d.kind} onChange=${(e) => run(() => put(`${path}/route`, { kind: e.target.value }), t("saved"))}>${kindsOfDomain.map((k) => html`<option value=${k}>${t(`kind.${k}`)}</option>`)}</select>`}</${Field}>` : ""}
            ${admin && html`<${Field} label=${t("domain.route")} hint=${t("domain.route_hint")} value=${d.route} maxlength="255" onChange=${(e) => run(() => put(`${path}/route`, { route: e.target.value.trim() }), t("saved"))} />`}
            <${Enrol} domain=${domain} /></div>
        ${!admin && html`<p class="hint quiet">${t("domain.kind")} ${t(`kind.${d.kind}`)}</p>`}
        <${Names} path=${path} aliases=${load.value.aliases} admin=${admin} run=${run} />
        <${DomainDigests} path=${path} admin=${admin} />
        <p class="hint"><${Link} to=${`/policies?in=domain:${domain}`}>${t("set.here")}</${Link}></p>
        ${admin && html`<div class="actions"><${Button} kind="danger" onClick=${() => setGone(true)}>${t("domain.delete")}</${Button}></div>`}
        ${gone && html`<${Sure} name=${domain} text=${t("domain.delete_text")} onClose=${() => setGone(false)} onSure=${async () => { setGone(false); try { await del(path); note(t("domain.deleted")); go("/people"); again(); } catch (p) { note(said(p)); } }} />`}`;
}

// ---- who may not send ----

const countedBy = ["messages_hour", "messages_day", "recipients_hour", "recipients_day"];
// What rulesd wrote down when it blocked somebody by itself; of who was blocked by hand there is none.
function Evidence({ of }) {
    const per = (n) => t(`evidence.${of.limit}`, { n }), messages = of.messages ?? [];

    return html`<details class="evidence"><summary>${t("blocked.evidence")}</summary>
        <dl class="facts"><dt>${t("evidence.limit")}</dt><dd>${per(of.max)}</dd><dt>${t("evidence.counted")}</dt><dd>${per(of.counted)}</dd><dt>${t("evidence.over")}</dt><dd>${t("evidence.messages_hour", { n: of.over })}</dd></dl>
        ${messages.length > 0 && html`<p class="quiet">${t("evidence.last")}</p><ul class="plainlist">${messages.map((m) => html`<li><${Time} at=${m.at} /> · <${Their} text=${m.sender} or=${t("sender.none")} /> · <span class="quiet">${t("evidence.recipients", { n: m.recipients })} · ${t("evidence.from")} <bdi>${m.ip || t("unknown")}</bdi>${m.queue_id && html` · ${t("queue_id")} <bdi>${m.queue_id}</bdi>`}</span></li>`)}</ul>`}</details>`;
}

function Blocked() {
    const list = useLoad((signal) => all("/blocked-senders", signal), []);
    const run = doing(list), known = (b) => countedBy.includes(b.evidence.limit);

    return html`<p class="hint quiet">${t("blocked.text")}</p><${Listed} of=${list} none=${t("blocked.none")}>${(items) => html`<ul class="rows">${items.map((b) => html`<li class="deed" key=${b.login}>
        <div><strong><bdi>${b.login}</bdi></strong> · ${known(b) ? t("evidence.reason", { limit: t(`evidence.${b.evidence.limit}`, { n: b.evidence.max }) }) : html`<bdi>${b.reason}</bdi>`} <span class="quiet">${b.automatic ? t("blocked.automatic") : t("blocked.by", { who: b.by })}${b.until && ` · ${t("blocked.until", { date: moment(b.until) })}`}</span></div><${Time} at=${b.at} />
        ${known(b) && html`<${Evidence} of=${b.evidence} />`}
        <div><${Button} onClick=${() => run(() => del(`/blocked-senders/${segment(b.login)}`), t("blocked.lifted"))}>${t("blocked.lift")}</${Button}></div></li>`)}</ul>`}</${Listed}>`;
}

// ---- everybody ----

function Everybody({ me }) {
    const list = useLoad((signal) => all("/accounts", signal), []);
    const [gone, setGone] = useState(null);
    const run = doing(list);

    return html`<${Adder} button=${t("people.add")} fields=${[["login", t("people.login"), { type: "email", required: true }], ["name", t("people.name")]]} make=${async (x) => { await post("/accounts", x); note(t("people.added")); list.again(); }} />
        <${Listed} of=${list} none=${t("people.none")}>${(items) => html`<${Sheet} label=${t("people.everybody")} heads=${[t("people.login"), t("people.name"), t("role.admin"), t("people.active")]} rows=${items.map((a) => [a.id,
            html`<bdi>${a.login}</bdi>`, html`<${Their} text=${a.name} />`,
            html`<input type="checkbox" aria-label=${t("people.admin_of", { who: a.login })} checked=${a.admin} onChange=${(e) => run(() => put(`/accounts/${segment(a.id)}/admin`, { admin: e.target.checked }), t("saved")).then((ok) => ok || list.again())} />`,
            html`<input type="checkbox" aria-label=${t("people.active_of", { who: a.login })} checked=${a.active} disabled=${a.id === me.account.id} onChange=${(e) => run(() => patch(`/accounts/${segment(a.id)}`, { active: e.target.checked }), t("saved"))} />`,
            html`${a.id !== me.account.id && html`<${Button} kind="danger" onClick=${() => setGone(a)} aria-label=${t("people.delete_of", { who: a.login })}>${t("people.delete")}</${Button}>`}`])} />`}</${Listed}>
        ${gone && html`<${Sure} name=${gone.login} text=${t("people.delete_text")} onClose=${() => setGone(null)} onSure=${() => { setGone(null); run(() => del(`/accounts/${segment(gone.id)}`), t("people.deleted")); }} />`}`;
}

// All domains, each with who owns it and the way to it; and one more.
const Domains = ({ items, again }) => html`<${Adder} button=${t("domain.add")} fields=${[["name", t("domain.name"), { required: true, maxlength: 253 }], ["kind", t("domain.kind"), { choices: kindsOfDomain.map((k) => [k, t(`kind.${k}`)]) }]]} make=${async (x) => { const { domain } = await post("/domains", x); note(t("domain.added")); again(); go(`/people?in=${segment(domain.name)}`); }} />
    ${items.length > 0 && html`<${Sheet} label=${t("people.domains")} heads=${[t("domain.name"), t("domain.state"), t("domain.owners")]} rows=${items.map((d) => [d.id,
        html`<${Link} to=${`/people?in=${segment(d.name)}`}><bdi>${d.name}</bdi></${Link}>`, html`${t(`domain.${d.state}`)}`, html`<${Their} text=${d.owners.join(", ")} or=${t("domain.no_owner")} />`])} />`}`;

export function People({ me }) {
    const { query } = useHere();
    const domains = useLoad((signal) => all("/domains", signal), []);
    const admin = me.account.admin;

    if (!domains.value) return html`<div class="page-head"><h1>${t("nav.people")}</h1></div>${domains.problem ? html`<${Failed} problem=${domains.problem} again=${domains.again} />` : html`<${Waiting} />`}`;
    const names = domains.value.items.map((d) => d.name), domain = query.get("in") ?? names[0] ?? "";
    const inside = domain ? [["people", t("people.people")], ["mailboxes", t("people.mailboxes")], ["addresses", t("people.addresses")], ["domain", t("people.domain")]] : [];
    const tabs = [...inside, ["blocked", t("people.blocked")], ...(admin ? [["everybody", t("people.everybody")], ["domains", t("people.domains")]] : [])];
    const tab = tabs.some(([id]) => id === query.get("tab")) ? query.get("tab") : admin && !domain ? "domains" : tabs[0][0];

    return html`<div class="page-head"><h1>${t("nav.people")}</h1>
            ${names.length > 1 && html`<label><span class="unseen">${t("people.domain")}</span><select value=${domain} onChange=${(e) => go(withQuery({ in: e.target.value }))}>${names.map((n) => html`<option value=${n}>${n}</option>`)}</select></label>`}</div>
        <${Tabs} label=${t("nav.people")} tabs=${tabs} current=${tab} onPick=${(id) => go(withQuery({ tab: id }), { replace: true })} />
        <section class="card" role="tabpanel" aria-labelledby=${`tab-${tab}`} key=${`${domain} ${tab}`}>
            ${tab === "people" ? html`<${Folk} me=${me} domain=${domain} />` : tab === "mailboxes" ? html`<${Mailboxes} domain=${domain} />` : tab === "addresses" ? html`<${Addresses} domain=${domain} />`
                : tab === "domain" ? html`<${Itself} me=${me} domain=${domain} again=${domains.again} />` : tab === "blocked" ? html`<${Blocked} />` : tab === "everybody" ? html`<${Everybody} me=${me} />`
                : html`<${Domains} items=${domains.value.items} again=${domains.again} />`}</section>`;
}

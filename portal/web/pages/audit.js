// Who did what: all of it for the operator, a domain's for who owns it, what concerns them for everybody.
import { html, useEffect, useMemo, useState } from "../modules/preact.js";
import { get, segment } from "../api.js";
import { go, useHere, withQuery } from "../router.js";
import { Button, Empty, Failed, Field, Moment, note, Their, useLoad, Waiting } from "../ui.js";
import { dayStart, device, member, moment, t } from "../words.js";

const scopesOf = (me) => [...(me.account.admin ? [["global", t("scope.global")]] : []), ["", t("audit.mine")],
    ...me.domains.filter((d) => d.role === "owner").map((d) => [`domain:${d.name}`, t("scope.domain", { name: d.name })]), ...me.mailboxes.map((m) => [`mailbox:${m.address}`, m.address])];
const kinds = ["rule", "policy", "learned", "body", "quarantine", "report", "session", "password", "account", "role", "mailbox", "address", "domain", "setting", "sender", "api_key", "digest"], operated = ["brand", "handoff"];

// A word of the catalogue, or the log's own.
const word = (family, name) => { const text = t(`${family}.${name}`); return text === `${family}.${name}` ? name : text; };
function deed(action) {
    const at = action.indexOf(".");

    return t("audit.deed", { thing: word("thing", action.slice(0, at)), did: word("did", action.slice(at + 1)) });
}

// A value as people read it. Which row of a table something is tells them nothing: that is for the table that goes out.
const silent = ["n", "attempt"], isId = (value) => typeof value === "string" && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(value);
const plain = (value, name) => (value === null || value === undefined || value === "" || isId(value) || (name.endsWith("_us") && value === 0) ? "—" : name.endsWith("_us") ? moment(new Date(value / 1000).toISOString()) : name === "device" ? device(value) : name === "role" ? t(`role.${value}`) : typeof value === "boolean" ? t(value ? "choice.yes" : "choice.no") : typeof value === "object" ? JSON.stringify(value) : String(value));
// What is not as it was; of what came or went, all of it that the row does not say already.
function changes(row) {
    const { before, after, ...rest } = row.what ?? {}, was = before ?? {}, is = after ?? (before ? {} : rest), said = [row.object_name, row.scope_name, row.actor, row.source];

    return [...new Set([...Object.keys(was), ...Object.keys(is)])].filter((k) => !silent.includes(k) && (k in was || !said.includes(is[k])) && plain(was[k], k) !== plain(is[k], k)).map((k) => [k, before ? was[k] : undefined, is[k]]);
}

function What({ row }) {
    if (row.what === null) return html`<span class="quiet">${t("audit.erased")}</span>`;
    const all = changes(row);

    return all.length > 0 && html`<details><summary>${t("audit.changes", { n: all.length })}</summary><dl class="facts">${all.map(([name, was, is]) => html`<dt>${member(name)}</dt>
        <dd>${was !== undefined && html`<del><bdi>${plain(was, name)}</bdi></del> → `}<ins><bdi>${plain(is, name)}</bdi></ins></dd>`)}</dl></details>`;
}

const by = (r) => html`${r.actor_kind === "system" ? t("audit.system") : html`<${Their} text=${r.actor} />`}${r.acting_for && html` <span class="quiet">${t("audit.for", { who: r.acting_for })}</span>`}`;

// What it was called then; once is enough where it is who did it, or the mailbox or domain itself.
const about = (r) => html`${r.object_name && r.object_name !== r.actor && html` <bdi>${r.object_name}</bdi>`}${r.scope_name && r.scope_name !== r.object_name && html` <span class="quiet">${t("audit.in", { where: "" })}<bdi>${r.scope_name}</bdi></span>`}`;

// A day of the address bar as the moment at which it begins where the reader is; `more` days on.
const DAY = 86400_000;
const begins = (day, more = 0) => (/^\d{4}-\d\d-\d\d$/.test(day) && Date.parse(day) ? dayStart(new Date(Date.parse(day) + more * DAY).toISOString().slice(0, 10)) : "");

export function Audit({ me }) {
    const { query } = useHere();
    const scopes = useMemo(() => scopesOf(me), [me]);
    const scope = query.get("in") ?? scopes[0][0], who = query.get("who") ?? "", action = query.get("what") ?? "", since = query.get("since") ?? "", until = query.get("until") ?? "";
    const path = scope === "global" ? "/audit" : scope ? `/scopes/${segment(scope)}/audit` : "/me/audit";
    const asked = { actor: who, action, since: begins(since), until: begins(until, 1) };
    const list = useLoad((signal) => get(path, asked, { signal }), [path, who, action, since, until]);
    const [more, setMore] = useState({ rows: [] });
    const rows = [...(list.value?.items ?? []), ...more.rows], next = more.next === undefined ? list.value?.next : more.next;
    const filter = (name) => (e) => go(withQuery({ [name]: e.target.value }), { replace: true });

    useEffect(() => setMore({ rows: [] }), [list.value]);
    const load = async () => { try { const page = await get(path, { ...asked, after: next }); setMore({ rows: [...more.rows, ...page.items], next: page.next }); } catch (p) { note(p.offline ? t("offline.text") : p.message); } };
    const table = `/api/v1${scope ? `/scopes/${segment(scope)}` : "/me"}/audit.csv?${new URLSearchParams(Object.entries(asked).filter(([, v]) => v))}`;
    return html`<div class="page-head"><h1>${t("nav.log")}</h1>${!me.staff && html`<a class="button" href=${table} download>${t("audit.export")}</a>`}</div>
        <div class="grid2 narrowed">
            <${Field} label=${t("audit.whose")}>${(a) => html`<select ...${a} value=${scope} onChange=${filter("in")}>${scopes.map(([value, text]) => html`<option value=${value}>${text}</option>`)}</select>`}</${Field}>
            <${Field} label=${t("audit.what")}>${(a) => html`<select ...${a} value=${action} onChange=${filter("what")}><option value="">${t("audit.any")}</option>${[...kinds, ...(me.account.admin ? operated : [])].map((k) => html`<option value=${k}>${word("thing", k)}</option>`)}</select>`}</${Field}>
            <${Field} label=${t("audit.who")} value=${who} maxlength="320" onChange=${filter("who")} />
            <${Field} label=${t("audit.since")} type="date" value=${since} onChange=${filter("since")} />
            <${Field} label=${t("audit.until")} type="date" value=${until} onChange=${filter("until")} />
        </div>
        ${list.problem && !list.value ? html`<${Failed} problem=${list.problem} again=${list.again} />` : !list.value ? html`<${Waiting} />`
            : rows.length === 0 ? html`<${Empty} title=${t("audit.none")} />`
            : html`<ul class="rows" aria-busy=${list.loading ? "true" : undefined}>${rows.map((r) => html`<li class="deed" key=${`${r.node}/${r.number}`}>
                <div><strong>${deed(r.action)}</strong>${about(r)} · ${by(r)} <span class="quiet">${t("audit.from", { from: word("source", r.source) })}</span></div><${Moment} at=${r.at} /><${What} row=${r} /></li>`)}</ul>
              ${next && html`<div class="more"><${Button} onClick=${load}>${t("more")}</${Button}></div>`}`}`;
}

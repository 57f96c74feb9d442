// The rules of a mailbox, a domain or all: a quick bar, the list in the order in which it decides, an editor that reads as a sentence, and a
// place to try messages. What a stranger or a person wrote stays text.
import { html, useLayoutEffect, useMemo, useRef, useState } from "../modules/preact.js";
import { del, get, patch, post, segment, upload } from "../api.js";
import { useDrag } from "../drag.js";
import { because } from "../because.js";
import { all } from "../lists.js";
import { go, useHere, withQuery } from "../router.js";
import { Scope } from "../scope.js";
import { Ago, Button, Empty, Failed, Field, Icon, note, Tabs, Their, useKeys, useLoad, Waiting } from "../ui.js";
import { date, t } from "../words.js";
import { apart, Flag } from "./conflicts.js";
import { Editor } from "./rule_editor.js";
import { Action, Sentence } from "./rule_words.js";
import { Import } from "./rules_import.js";
import { Lists } from "./rules_lists.js";

const PAGE = 100, PAGE_MAX = 200;
const pathOf = (scope) => `/scopes/${segment(scope)}/rules`;
const say = (problem) => (problem.offline ? t("offline.text") : problem.message);

const owned = (me) => me.domains.filter((d) => d.role === "owner").map((d) => d.name);
const firstScope = (me) => [...me.mailboxes.map((m) => `mailbox:${m.address}`), ...owned(me).map((name) => `domain:${name}`), ...(me.account.admin ? ["global"] : [])][0];

// ---- quick bar ----

function Quick({ path, onDone }) {
    const [action, setAction] = useState("block"), [what, setWhat] = useState(""), [busy, setBusy] = useState(false), [wrong, setWrong] = useState(), [confirm, setConfirm] = useState(false);
    const add = async (sure) => {
        setBusy(true);
        try {
            const made = await post(`${path}/quick`, { action, what, ...(sure ? { confirm: true } : {}) });
            const unproven = made.advice.includes("cannot_prove");

            note([t(unproven ? "rules.added" : `rules.added.${action}`, { what }), ...made.advice.map((a) => t(`advice.${a}`))].join(" "), () => del(`/rules/${made.id}`, { version: made.version }).then(onDone, (p) => note(say(p))));
            setWhat((now) => (now === what ? "" : now)); setWrong(undefined); setConfirm(false); // the next may be typed already
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

// The first page, and as many more as stand there already.
async function load(path, n, signal) {
    const limit = n > PAGE ? PAGE_MAX : PAGE;
    let list = await get(path, { limit }, { signal });

    while (list.next && list.items.length < n) {
        const page = await get(path, { limit, after: list.next }, { signal });
        list = { ...list, ...page, items: [...list.items, ...page.items] };
    }
    return list;
}

// What is moved stands there at once; the server is told one after the other, and what it then has is shown.
// moving: how many it has not been told of yet.
function useMoves(list, moving) {
    const last = useRef(Promise.resolve()), focus = useRef(null);

    useLayoutEffect(() => {
        if (!focus.current) return;
        const { id, by } = focus.current, link = document.querySelector(`[data-rule="${id}"]`), row = link?.closest("li");
        const arrow = by && (row?.querySelector(by < 0 ? ".up:enabled" : ".down:enabled") ?? row?.querySelector(".step:enabled"));

        focus.current = null;
        (arrow || link)?.focus({ preventScroll: true });
        row?.scrollIntoView({ block: "nearest" });
    }, [list.value]);
    const tell = (id, where) => {
        moving.current++;
        last.current = last.current.then(() => post(`/rules/${id}/move`, where)).catch((p) => note(say(p))).then(() => { if (--moving.current === 0) list.again(); });
    };
    // by: the arrow that was pressed, -1 or 1, where one was.
    return (from, to, { before, back, text, by }) => {
        const items = [...list.value.items], { id } = items[from];

        items.splice(to, 0, ...items.splice(from, 1));
        focus.current = { id, by };
        list.set({ ...list.value, items });
        tell(id, before);
        note(text, () => tell(id, back));
    };
}

function List({ scope, path, open }) {
    const many = useRef(0), moving = useRef(0);
    // What was read before something was moved is not shown any more: it is read again when that is done.
    const list = useLoad(async (signal) => {
        const value = await load(path, many.current, signal);
        if (moving.current > 0) throw new DOMException("moved meanwhile", "AbortError");
        return value;
    }, [path]);
    const above = useLoad((signal) => (scope === "global" ? Promise.resolve({ items: [] }) : get(`${path}/above`, { limit: PAGE }, { signal })), [path]);
    const conflicts = useLoad((signal) => get(`${path}/conflicts`, {}, { signal }).catch(() => ({ items: [], whole: true })), [path, list.value]);
    const found = useMemo(() => new Map((conflicts.value?.items ?? []).map((f) => [f.rule.id, f])), [conflicts.value]);
    const items = list.value?.items ?? [], next = list.value?.next, rows = useRef();
    const show = (id) => go(withQuery({ open: id }), { replace: Boolean(open) });
    const reload = () => list.again(), put = useMoves(list, moving);
    const more = async () => {
        const page = await get(path, { limit: PAGE, after: next });
        many.current = items.length + page.items.length;
        list.set({ ...list.value, ...page, items: [...items, ...page.items] });
    };
    const turn = (item, enabled) => patch(`/rules/${item.id}`, { enabled }).then(reload, (p) => { note(say(p)); reload(); });
    const same = (i, k) => items[k] !== undefined && items[k].policy.id === items[i].policy.id;
    const canUp = (i) => same(i, i - 1), canDown = (i) => same(i, i + 1) && (items[i + 2] !== undefined || !next);
    const ahead = (i, k) => (same(i, k) ? { before: items[k].id } : {});
    // From place i to place k of the same policy; what comes behind it there is named, or it goes last.
    const place = (i, k, by) => put(i, k, { before: ahead(i, k < i ? k : k + 1), back: ahead(i, i + 1), by, text: t("rules.moved", { name: apart(items[i].rule.name || t("rules.unnamed")), n: k + 1, all: list.value.total }) });
    const move = (i, by, arrow) => { if (by < 0 ? canUp(i) : canDown(i)) place(i, i + by, arrow); };
    const grip = useDrag(rows, { may: (i, k) => same(i, k) && (k < i || items[k + 1] !== undefined || !next), onDrop: (i, k) => place(i, k) });
    const links = () => [...document.querySelectorAll("[data-rule]")], at = () => links().indexOf(document.activeElement);
    const step = (by) => { const all = links(); all[Math.min(Math.max(at() + by, 0), all.length - 1)]?.focus(); };
    const carry = (by) => { const i = items.findIndex((x) => x.id === document.activeElement?.dataset?.rule); if (i >= 0) move(i, by); };

    useKeys({ j: () => step(1), k: () => step(-1), J: () => carry(1), K: () => carry(-1), n: () => show("new") });
    // What one edits stays open when it is gone from the list.
    const last = useRef(), listed = [...items, ...(above.value?.items ?? [])].find((x) => x.id === open), picked = listed ?? (last.current?.id === open ? last.current : undefined);
    last.current = picked;
    if (list.problem && !list.value) return html`<${Failed} problem=${list.problem} again=${list.again} />`;
    return html`
        <${Quick} path=${path} onDone=${reload} />
        <div class="page-head order"><p class="quiet">${items.length > 1 && html`${t("rules.order")} <span class="by-keys">${t("rules.order_keys")}</span>`}</p><${Button} onClick=${() => show("new")}>${t("rules.new")}</${Button}></div>
        ${list.value && !list.value.can_prove && html`<p class="asked">${t("advice.cannot_prove")}</p>`}
        ${!list.value ? html`<${Waiting} />`
            : items.length === 0 ? html`<${Empty} title=${t("rules.none")}>${t("rules.none_text")}</${Empty}>`
            : html`<ol class="rows rules" ref=${rows} aria-label=${t("nav.rules")} aria-busy=${list.loading}>${items.map((item, i) => html`<${Row} key=${item.id} item=${item} number=${i + 1} current=${item.id === open} found=${found.get(item.id)} grip=${grip(i)} onOpen=${() => show(item.id)} onSwitch=${(on) => turn(item, on)} onMove=${(by) => move(i, by, by)} canUp=${canUp(i)} canDown=${canDown(i)} />`)}</ol>
                ${next && html`<div class="more"><${Button} onClick=${more}>${t("more")}</${Button}></div>`}`}
        ${conflicts.value?.whole === false && html`<p class="quiet">${t("conflict.part")}</p>`}
        ${above.problem && html`<p class="problem" role="alert">${say(above.problem)}</p>`}
        ${above.value?.items.length > 0 && html`<h2 class="above">${t("rules.above")}</h2>${scope.startsWith("mailbox:") && html`<p class="quiet">${t("rules.above_order")}</p>`}<ul class="rows rules">${above.value.items.map((item) => html`<${Row} key=${item.id} item=${item} number="" current=${item.id === open} onOpen=${() => show(item.id)} />`)}</ul>`}
        ${list.value && (open === "new" || picked) && html`<${Editor} key=${open} item=${picked} path=${path} site=${list.value} onClose=${() => show(null)} onDone=${() => { show(null); reload(); }} />`}`;
}

// ---- trying a message ----

function Trace({ found }) {
    const [one] = found.recipients, by = one.rule, head = useRef();

    useLayoutEffect(() => head.current.scrollIntoView({ block: "nearest" }), [found]);
    return html`<div class="card" aria-live="polite"><h2 class="answer" ref=${head}>${by ? t(`try.${one.verdict === "allow" ? "allow" : "block"}`, { rule: by.name || t("rules.unnamed"), layer: t(`layer.${one.layer}`) }) : t("try.none")}</h2>
        <p class="quiet">${t("try.for", { who: one.rcpt })}</p>
        ${one.matches.length === 0 ? html`<p class="quiet">${t("try.no_rules")}</p>` : html`<table class="table trace"><thead><tr><th>${t("matches.rule")}</th><th>${t("matches.what")}</th></tr></thead>
            <tbody>${one.matches.map((m) => html`<tr class=${by?.id === m.id ? "decided" : ""}><td><${Their} text=${m.name} or=${t("rules.unnamed")} /><br /><span class="quiet">${t(`layer.${m.layer}`)}</span></td><td>${m.applied ? t(`action.${m.action}`) : t("matches.not")}${m.why && html`<br /><span class="quiet"><bdi>${because(m)}</bdi></span>`}</td></tr>`)}</tbody></table>`}</div>`;
}

function Try({ scope, path }) {
    const log = useLoad((signal) => Promise.all(["status:quarantined", ""].map((q) => get(`/scopes/${segment(scope)}/mail`, { q, limit: 20 }, { signal }).catch(() => ({ items: [] })))), [scope]);
    const [held, latest] = log.value?.map((page) => page.items) ?? [[], []], picks = [["try.held", held], ["try.latest", latest.filter((d) => d.status !== "quarantined")]].filter(([, list]) => list.length > 0);
    const [text, setText] = useState(""), [envelope, setEnvelope] = useState({}), [picked, pick] = useState(""), [reason, setReason] = useState(""), [state, set] = useState({});
    const field = (name) => ({ label: t(`try.${name}`), value: envelope[name] ?? "", maxlength: 255, onInput: (e) => setEnvelope({ ...envelope, [name]: e.target.value.trim() }) });
    const given = Object.fromEntries(Object.entries(envelope).filter(([, v]) => v));
    const run = async (call) => { set(({ found }) => ({ found, busy: true })); try { set({ found: await call() }); } catch (problem) { set({ problem }); } };
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
    const { query } = useHere(), admin = me.account.admin;
    const domains = useLoad((signal) => (admin ? all("/domains", signal).then((list) => list.items.map((d) => d.name)) : Promise.resolve(owned(me))), [me]).value ?? owned(me);
    const scope = query.get("in") ?? firstScope(me), tab = query.get("tab") ?? "rules", mailbox = scope?.startsWith("mailbox:") ? scope.slice(8) : null;
    const tabs = [["rules", t("nav.rules")], ["lists", t("rules.lists")], ["try", t("rules.try")], ...(mailbox ? [["learned", t("rules.learned")]] : []), ["import", t("rules.import")]];
    const shown = tabs.some(([id]) => id === tab) ? tab : "rules";

    if (!scope) return html`<${Empty} title=${t("rules.none")}>${t("rules.no_scope")}</${Empty}>`;
    return html`<div class="page-head"><h1>${t("nav.rules")}</h1>
            ${(admin || domains.length > 0 || me.mailboxes.length > 1) && html`<${Scope} scope=${scope} domains=${domains} own=${me.mailboxes} everywhere=${admin} />`}</div>
        <${Tabs} label=${t("nav.rules")} current=${shown} onPick=${(id) => go(withQuery({ tab: id === "rules" ? null : id, open: null }), { replace: true })} tabs=${tabs} />
        <div role="tabpanel" class="panel" aria-labelledby=${`tab-${shown}`}>
            ${shown === "rules" ? html`<${List} key=${scope} scope=${scope} path=${pathOf(scope)} open=${query.get("open")} />` : shown === "lists" ? html`<${WithPolicies} key=${scope} scope=${scope} Page=${Lists} path=${`/scopes/${segment(scope)}/lists`} />` : shown === "import" ? html`<${WithPolicies} key=${scope} scope=${scope} Page=${Import} path=${pathOf(scope)} />` : shown === "try" ? html`<${Try} key=${scope} scope=${scope} path=${pathOf(scope)} />` : html`<${Learned} key=${scope} mailbox=${mailbox} />`}</div>`;
}

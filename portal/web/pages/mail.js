// Every delivery to the person's mailboxes, or to a domain for who owns it; the quarantine is the same list, held mail alone.
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../modules/preact.js";
import { get, segment } from "../api.js";
import { useLive } from "../live.js";
import { go, opener, useHere, withQuery } from "../router.js";
import { Clip, idOf, Rows } from "../rows.js";
import { exact, terms } from "../terms.js";
import { Ago, Button, Chip, Empty, Failed, Icon, Link, Their, Time, useKeys, useLate, useLoad, Waiting } from "../ui.js";
import { midnight, size, t } from "../words.js";
import { Delivery } from "./delivery.js";
import { Saved } from "./saved.js";
import { FormButton, SearchForm } from "./search_form.js";

const presets = ["", "status:quarantined", "status:blocked,rejected", "status:spam", "status:queued", "status:delivered,received"];
const PAGE = 50, BURST_MS = 40, PAUSE_MS = 500;
const begun = /(^|\s)-?[^\s:"]{1,2}$/; // a word of which there are two letters yet: those that begin so are found from three on
const nothing = [], noMore = { rows: nothing, next: undefined };

const pathOf = (scope) => (scope ? `/scopes/${segment(scope)}/mail` : "/me/mail");
const line = ({ row, to, current, href }) => html`
    <li><a class="row ${to ? "" : "no-to"}" href=${href} aria-current=${current ? "true" : undefined} data-id=${idOf(row)}>
        <span class="chip-cell"><${Chip} status=${row.status} /></span>
        <span class="from" title=${row.from || row.sender}><${Their} text=${row.from_name || row.from || row.sender} or=${t("sender.none")} /></span>
        <span class="subject"><${Clip} row=${row} /><${Their} text=${row.subject} or=${t("subject.none")} /></span>
        ${to && html`<span class="to" title=${row.recipient}><bdi>${row.recipient}</bdi></span>`}
        <span class="size">${size(row.size)}</span><span class="at"><${Time} at=${row.at} /></span></a></li>`;

// Search and results; the words are in the address, so a search can be kept, sent and gone back to.
export function Search({ q, onSearch }) {
    const [text, setText] = useState(q), [form, setForm] = useState(false);
    const box = useRef(), typing = useRef(false), asked = useRef(q), timer = useRef(), key = useRef(-Infinity);
    // What is typed in one go is one step back; the next search is a step of its own.
    const search = (wanted) => {
        clearTimeout(timer.current);
        if (wanted === asked.current) return;
        asked.current = wanted;
        onSearch(wanted, { replace: typing.current });
        typing.current = true;
    };
    const rest = () => { typing.current = false; };
    // With the key; only keys that come faster than anybody types (one held down) wait for the last of them, and the beginning of a word
    // for the rest of it.
    const typed = (wanted) => {
        const last = key.current;

        key.current = performance.now();
        setText(wanted);
        clearTimeout(timer.current);
        if (begun.test(wanted)) timer.current = setTimeout(search, PAUSE_MS, wanted);
        else if (key.current - last < BURST_MS) timer.current = setTimeout(search, BURST_MS, wanted);
        else search(wanted);
    };

    // Words that came from elsewhere, a step back, say; our own are there already, and perhaps more by now.
    useEffect(() => { if (q !== asked.current) { asked.current = q; setText(q); } }, [q]);
    useEffect(() => () => clearTimeout(timer.current), []);
    useKeys({ "/": () => box.current.focus() });
    return html`<form class="search" role="search" onSubmit=${(e) => { e.preventDefault(); search(text); rest(); }}>
        <div class="box"><${Icon} name="search" /><input ref=${box} type="search" aria-label=${t("search.label")} placeholder=${t("search.hint")} value=${text} maxlength="2000" onInput=${(e) => typed(e.target.value)} onBlur=${rest} onKeyDown=${(e) => e.key === "Escape" && box.current.blur()} /><kbd aria-hidden="true">/</kbd></div>
        <${FormButton} open=${form} on=${terms(text).filter((one) => one.name).length} controls="search-form" onPress=${() => setForm(!form)} /></form>
        ${form && html`<${SearchForm} id="search-form" text=${text} onText=${typed} onClose=${() => { setForm(false); rest(); }} />`}`;
}

// Of a clerk's domain there is the quarantine alone.
export const scopesOf = (me, whole) => [
    ...me.mailboxes.map((m) => [`mailbox:${m.address}`, m.address]),
    ...me.domains.filter((d) => !whole || d.role !== "clerk").map((d) => [`domain:${d.name}`, t("scope.domain", { name: d.name })]),
    ...(me.account.admin ? [["global", t("scope.global")]] : []),
];

export function Mail({ me, held }) {
    const { query } = useHere();
    const words = query.get("q") ?? "", open = query.get("open");
    const scopes = useMemo(() => scopesOf(me, !held), [me]);
    const scope = query.get("in") ?? (me.mailboxes.length === 0 ? scopes[0]?.[0] ?? "" : "");
    const q = exact(held ? `status:quarantined ${words}`.trim() : words);
    const list = useLoad((signal) => get(pathOf(scope), { q, limit: PAGE }, { signal }), [scope, q]);
    const [more, setMore] = useState(noMore);
    const rows = [...(list.value?.items ?? []), ...more.rows], hrefs = useMemo(opener, [list.value, scope]), late = useLate(list.loading);
    // What is not understood may be half a word yet ("status:"): who is still typing is not told.
    const wrong = useLate(Boolean(list.problem && list.value), list.problem?.status === 400 ? PAUSE_MS : 0);
    const next = more.next === undefined ? list.value?.next : more.next;
    const wide = scope.startsWith("domain:") || scope === "global" || me.mailboxes.length > 1;

    useEffect(() => setMore(noMore), [list.value?.next, scope, q]);
    // What has come meanwhile waits above the list until it is asked for; what one reads stays where it is.
    const [came, setCame] = useState(nothing), known = new Set(rows.map(idOf)), fresh = came.filter((r) => !known.has(idOf(r)));
    useEffect(() => setCame(nothing), [scope, q]);
    const here = useRef();
    here.current = scope + q;
    useLive(async () => {
        const asked = scope + q;

        if (!list.value || list.loading) return false; // what is asked for now may be older than what has come
        const page = await get(pathOf(scope), { q, limit: PAGE }, { quiet: true });
        if (here.current !== asked) return;
        const at = page.items.findIndex((r) => known.has(idOf(r)));
        if (rows.length === 0) { list.set(page); return; }
        setCame(at < 0 ? page.items : page.items.slice(0, at));
        list.set((value) => ({ ...value, items: now(value.items, page) }));
    });
    // What has become of it meanwhile stands where it stood.
    const now = (rows, page) => rows.map((r) => { const one = page.items.find((p) => idOf(p) === idOf(r)); return one && one.updated !== r.updated ? one : r; });
    const put = () => { list.set({ ...list.value, items: [...fresh, ...list.value.items] }); setCame(nothing); scrollTo(0, 0); };
    const look = (row) => go(withQuery({ open: row ? idOf(row) : null }), { replace: Boolean(open) });
    const step = (by) => {
        const at = rows.findIndex((r) => idOf(r) === open), row = rows[Math.min(Math.max(at + by, 0), rows.length - 1)];
        if (row) { look(row); document.querySelector(`[data-id="${CSS.escape(idOf(row))}"]`)?.scrollIntoView({ block: "nearest" }); }
    };
    useKeys({ j: () => step(1), k: () => step(-1) });
    // Who closes a message is back at its row, however far they went on from the one that they opened first.
    const last = useRef(open);
    useLayoutEffect(() => {
        if (!open && last.current) document.querySelector(`[data-id="${CSS.escape(last.current)}"]`)?.focus();
        last.current = open;
    }, [open]);
    const load = async () => {
        const asked = scope + q, page = await get(pathOf(scope), { q, limit: PAGE, after: next });
        if (here.current === asked) setMore({ rows: [...more.rows, ...page.items], next: page.next });
    };
    const change = (row) => list.set((value) => ({ ...value, items: value.items.map((r) => (idOf(r) === idOf(row) ? { ...r, ...row } : r)) }));

    return html`
        <div class="page-head"><h1>${t(held ? "nav.quarantine" : "nav.mail")}</h1>
            ${scopes.length > 1 && html`<label><span class="unseen">${t("scope.label")}</span><select value=${scope} onChange=${(e) => go(withQuery({ in: e.target.value, open: null }))}>
                ${me.mailboxes.length > 0 && html`<option value="">${t("scope.mine")}</option>`}
                ${scopes.map(([value, text]) => html`<option value=${value}>${text}</option>`)}</select></label>`}
            ${!me.staff && html`<a class="button" download href=${`/api/v1${pathOf(scope)}.csv?${new URLSearchParams({ q })}`}>${t("export")}</a>`}</div>
        <${Search} q=${words} onSearch=${(text, how) => go(withQuery({ q: text, open: null }), how)} />
        ${!held && html`<div class="filters"><div class="presets" role="group" aria-label=${t("presets")}>${presets.map((p) => html`<${Link} to=${withQuery({ q: p, open: null })} aria-current=${p === words ? "true" : undefined}>${t(`preset.${p.replace("status:", "") || "all"}`)}</${Link}>`)}</div><${Saved} q=${words} place=${query.get("in") ?? ""} /></div>`}
        ${wrong && html`<div class="bar bad" role="alert"><span>${list.problem.offline ? t("offline.text") : list.problem.message}</span><${Button} onClick=${list.again}>${t("again")}</${Button}></div>`}
        <div class="fresh" role="status">${fresh.length > 0 && html`<${Button} kind="primary" onClick=${put}>${t("live.new", { n: fresh.length })}</${Button}>`}</div>
        ${list.problem && !list.value ? html`<${Failed} problem=${list.problem} again=${list.again} />`
            : !list.value ? html`<${Waiting} />`
            : rows.length === 0 && late ? html`<${Waiting} />`
            : rows.length === 0 ? html`<${Nothing} held=${held} words=${words} scope=${scope} />`
            : html`<${Rows} rows=${rows} line=${line} to=${wide} open=${open} hrefs=${hrefs} busy=${list.loading} late=${late} onOpen=${look} />
                ${next && html`<div class="more"><${Button} onClick=${load}>${t("more")}</${Button}></div>`}`}
        ${open && html`<${Delivery} id=${open} key=${open} me=${me} onClose=${() => look(null)} onChange=${change} />`}`;
}

// Of one's own mailboxes, or of the domain that one looks at.
const summary = (scope, today) => (scope.startsWith("domain:") ? get(`/domains/${segment(scope.slice(7))}/overview`, { today }).then((o) => ({ last: o.last, delivered_today: o.today.delivered + o.today.received })) : scope === "global" ? Promise.resolve(null) : get("/me/summary", { today }));

export function Nothing({ held, words, scope = "" }) {
    const { value, loading } = useLoad(() => (words ? Promise.resolve(null) : summary(scope, midnight()).catch(() => null)), [scope, !words]);

    if (words) return html`<${Empty} title=${t("empty.search")} action=${html`<${Link} class="button" to=${withQuery({ q: null })}>${t("empty.all")}</${Link}>`}>${t("empty.search_text")}</${Empty}>`;
    return html`<${Empty} title=${t(held ? "empty.held" : "empty.mail")}>${value?.last ? html`${t("empty.last")} <${Ago} at=${value.last} />, ${t("empty.today", { n: value.delivered_today })}` : loading ? "\u00a0" : t(!held ? "empty.mail_text" : value ? "empty.held_never" : "empty.held_text")}</${Empty}>`;
}

// What is held: what is probably no spam first, picked one by one or all at once, and what was deleted lately.
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../modules/preact.js";
import { del, get, post, segment } from "../api.js";
import { useLive } from "../live.js";
import { go, opener, useHere, withQuery } from "../router.js";
import { Clip, idOf, Rows } from "../rows.js";
import { exact } from "../terms.js";
import { Button, Dialog, Empty, Failed, Link, note, Their, Time, useKeys, useLoad, Waiting } from "../ui.js";
import { number, score, spoken, t } from "../words.js";
import { Delivery } from "./delivery.js";
import { Nothing, scopesOf, Search } from "./mail.js";
import { Requests } from "./requests.js";

const PAGE = 100;
const at = (row) => `/deliveries/${row.uid}/${row.n}`;
const base = (scope) => (scope ? `/scopes/${segment(scope)}` : "/me");
const acts = {
    release: { kind: "primary", call: (row) => post(`${at(row)}/release`) },
    spam: { call: (row) => post(`${at(row)}/report`, { class: "spam" }), back: (row) => post(`${at(row)}/report`, { class: "forget" }) },
    ham: { call: (row) => post(`${at(row)}/report`, { class: "ham" }), back: (row) => post(`${at(row)}/report`, { class: "forget" }) },
    delete: { kind: "danger", call: (row) => post(`${at(row)}/delete`), back: (row) => post(`${at(row)}/undelete`) },
};
const taken = new Set(["release", "delete"]);
// Of releases that were called back: how many still could be, and how many had gone.
const tookBack = (n, gone) => `${[t("back.done", { n }), gone > 0 && t("back.gone", { n: gone })].filter(Boolean).join(", ")}.`;

const wrong = (p) => (p.offline ? t("offline.text") : p.message);

const letter = ({ row, to, current, href }) => html`<a class="row held ${to ? "" : "no-to"}" href=${href} aria-current=${current ? "true" : undefined} data-id=${idOf(row)}>
        <span class="from"><${Their} text=${row.from_name || row.from || row.sender} or=${t("sender.none")} /></span><span class="subject"><${Clip} row=${row} /><${Their} text=${row.subject} or=${t("subject.none")} /></span>
        ${to && html`<span class="to"><bdi>${row.recipient}</bdi></span>`}<span class="number quiet">${row.score !== null && row.score < 90 ? score(row.score) : ""}</span><span class="at"><${Time} at=${row.at} /></span></a>`;
const line = (of) => html`<li class="pick"><input type="checkbox" aria-label=${t("pick.one", { subject: of.row.subject || t("subject.none") })} checked=${of.picked} data-pick=${idOf(of.row)} />${letter(of)}</li>`;
const putAway = (of) => html`<li class="away">${letter(of)}<button type="button" class="button" data-pick=${idOf(of.row)}><span>${t("deleted.undo")}</span></button></li>`;

const howFar = ({ what, state, done, gone, total }) => {
    if (what === "unrelease" && state !== "waiting") return tookBack(done, gone);
    return state === "done" ? t(`bulk.${what}_done`, { n: done }) : t(`job.${state}`, { n: done + gone, total: number(total) });
};

// Work on a whole search, done by the server while one does something else.
function Job({ id, onEnd }) {
    const [job, set] = useState(null);
    const end = useRef(onEnd);

    end.current = onEnd;
    useEffect(() => {
        let timer, gone = false;
        const look = async () => {
            const now = await get(`/jobs/${id}`, {}, { quiet: true }).catch(() => null);
            if (gone) return;
            if (now) set(now);
            if (now && now.state !== "waiting") end.current(now); else timer = setTimeout(look, 700);
        };
        look();
        return () => { gone = true; clearTimeout(timer); };
    }, [id]);
    if (!job) return null;
    const ended = job.state !== "waiting";
    return html`<div class="bar" role="status"><span>${howFar(job)}${job.failed > 0 && ` ${t("job.failed_some", { n: job.failed })} ${spoken(job.answer, job.answer_said) ?? ""}`}${job.what === "release" && job.can_undo && ` ${t("job.waits")}`}</span>
        ${!ended && html`<progress max=${Math.max(job.total, 1)} value=${job.done + job.gone + job.failed} aria-label=${t("job.progress")}></progress><${Button} onClick=${() => del(`/jobs/${id}`).catch(() => {})}>${t("job.stop")}</${Button}>`}
        ${job.can_undo && html`<${Button} onClick=${() => post(`/jobs/${id}/undo`).then((undo) => go(withQuery({ job: undo.id })), (p) => note(p.message))}>${t("undo")}</${Button}>`}
        ${ended && html`<${Button} kind="bare" onClick=${() => go(withQuery({ job: null }), { replace: true })}>${t("close")}</${Button}>`}</div>`;
}

// To the row before or behind the one that is open.
const beside = (rows, open, by) => rows[Math.min(Math.max(rows.findIndex((r) => idOf(r) === open) + by, 0), rows.length - 1)];

// What was put away, the newest first: it can be looked at, and put back.
function Deleted({ scope, wide, open, hrefs, onOpen, changed, turn }) {
    const list = useLoad((signal) => get(`${base(scope)}/deleted`, { limit: PAGE }, { signal }), [scope, turn]);
    const [more, setMore] = useState({ rows: [], next: undefined });
    const rows = [...(list.value?.items ?? []), ...more.rows], next = more.next === undefined ? list.value?.next : more.next;
    const load = async () => { try { const page = await get(`${base(scope)}/deleted`, { limit: PAGE, after: next }); setMore({ rows: [...more.rows, ...page.items], next: page.next }); } catch (p) { note(wrong(p)); } };
    const without = (all, row) => all.filter((r) => idOf(r) !== idOf(row));
    const box = useRef(), goOn = useRef(-1);
    // Only that row goes: whatever was shown beside it stays, and a key goes on where it was.
    const back = async (row) => {
        try {
            await post(`${at(row)}/undelete`);
            goOn.current = rows.indexOf(row);
            list.set({ ...list.value, items: without(list.value.items, row) });
            setMore({ ...more, rows: without(more.rows, row) });
            note(t("deleted.back"));
            changed();
        } catch (p) { note(wrong(p)); }
    };
    const step = (by) => { const row = beside(rows, open, by); if (row) onOpen(row); };

    useKeys({ j: () => step(1), k: () => step(-1) });
    useLayoutEffect(() => setMore({ rows: [], next: undefined }), [scope, turn]);
    useLayoutEffect(() => {
        const all = box.current?.querySelectorAll("button[data-pick]") ?? [];

        if (goOn.current >= 0) (all[Math.min(goOn.current, all.length - 1)] ?? document.getElementById("main")).focus();
        goOn.current = -1;
    }, [rows.length]);
    if (list.problem) return html`<${Failed} problem=${list.problem} again=${list.again} />`;
    if (!list.value) return html`<${Waiting} />`;
    if (rows.length === 0) return html`<${Empty} title=${t("deleted.none")}>${t("deleted.text")}</${Empty}>`;
    return html`<div ref=${box}><p class="hint quiet">${t("deleted.text")}</p><${Rows} rows=${rows} line=${putAway} to=${wide} open=${open} hrefs=${hrefs} onOpen=${onOpen} onPick=${back} /></div>
        ${next && html`<div class="more"><${Button} onClick=${load}>${t("more")}</${Button}></div>`}`;
}

const Groups = ({ groups, ...rest }) => groups.map(([word, all]) => all.length > 0 && html`<section key=${word} aria-label=${t(`held.${word}`)}><h2 class="group">${t(`held.${word}`)} <span class="quiet">${number(all.length)}</span></h2><${Rows} rows=${all} line=${line} ...${rest} /></section>`);

export function Quarantine({ me }) {
    const { query } = useHere();
    const words = query.get("q") ?? "", open = query.get("open"), job = query.get("job"), bin = query.get("show") === "deleted";
    const scopes = useMemo(() => scopesOf(me), [me]);
    const scope = query.get("in") ?? (me.mailboxes.length === 0 ? scopes[0]?.[0] ?? "" : "");
    const q = exact(`is:held ${words}`.trim());
    const list = useLoad((signal) => get(`${base(scope)}/mail`, { q, limit: PAGE }, { signal }), [scope, q]);
    const [more, setMore] = useState({ rows: [], next: undefined });
    const [picked, pick] = useState(new Set()), [every, setEvery] = useState(false), [total, setTotal] = useState(null), [busy, setBusy] = useState(""), [sure, setSure] = useState("");
    const [turn, setTurn] = useState(0), everything = () => { list.again(); setTurn((n) => n + 1); }; // what was put away, too
    const [front, setFront] = useState([]); // what came, once it was asked for: what is picked stays so
    const rows = [...front, ...(list.value?.items ?? []), ...more.rows], next = more.next === undefined ? list.value?.next : more.next;
    const groups = [["ham", rows.filter((r) => r.likely !== "spam")], ["spam", rows.filter((r) => r.likely === "spam")]];
    const shown = groups.flatMap(([, all]) => all), wide = scope !== "" || me.mailboxes.length > 1, hrefs = useMemo(opener, [list.value, scope, job, bin]);

    // Before the rows are seen: what is picked as soon as it stands there stays picked; and so it does when the list is read again,
    // as far as it is still there.
    useLayoutEffect(() => { pick(new Set()); }, [scope, q]);
    useLayoutEffect(() => {
        const there = new Set((list.value?.items ?? []).map(idOf));

        setMore({ rows: [], next: undefined }); setFront([]); setEvery(false);
        pick((was) => new Set([...was].filter((id) => there.has(id))));
    }, [list.value, scope, q]);
    const load = async () => { try { const page = await get(`${base(scope)}/mail`, { q, limit: PAGE, after: next }); setMore({ rows: [...more.rows, ...page.items], next: page.next }); } catch (p) { note(wrong(p)); } };
    // A page of which all was deleted is empty, and there may be more behind it.
    useEffect(() => { if (list.value && rows.length === 0 && next) load(); }, [list.value, next]);
    // What has come meanwhile waits above the list, as in Mail: the groups stay as they are while one picks.
    const [came, setCame] = useState([]), known = new Set(rows.map(idOf)), fresh = came.filter((r) => !known.has(idOf(r)));
    const here = useRef();
    here.current = scope + q;
    useEffect(() => setCame([]), [scope, q]);
    useLive(async () => {
        const asked = scope + q;

        if (bin) return;
        if (!list.value || list.loading) return false;
        const page = await get(`${base(scope)}/mail`, { q, limit: PAGE }, { quiet: true });
        if (here.current !== asked) return;
        const at = page.items.findIndex((r) => known.has(idOf(r)));
        if (rows.length === 0) list.set(page);
        else setCame(at < 0 ? page.items : page.items.slice(0, at));
    });
    const put = () => { setFront([...fresh, ...front]); setCame([]); scrollTo(0, 0); };
    const look = (row) => go(withQuery({ open: row ? idOf(row) : null }), { replace: Boolean(open) });
    const step = (by) => { const row = !bin && beside(shown, open, by); if (row) look(row); };
    useKeys({ j: () => step(1), k: () => step(-1), x: () => { const row = !bin && shown.find((r) => idOf(r) === open); if (row) flip(row); } });
    const flip = (row) => { const now = new Set(picked); now.has(idOf(row)) ? now.delete(idOf(row)) : now.add(idOf(row)); pick(now); setEvery(false); };

    // The bar with the keys' place in it goes when it is done: they go on at the top of the list.
    const bar = useRef(false), nothing = rows.length === 0;
    useLayoutEffect(() => {
        if (bar.current && picked.size === 0 && document.activeElement === document.body) (document.querySelector(".all input") ?? document.getElementById("main")).focus();
        bar.current ||= picked.size > 0;
    }, [picked.size, nothing]);

    // How many that is, where the page does not show them all.
    const whole = Boolean(next) && rows.length > 0 && picked.size === rows.length;
    useEffect(() => {
        setTotal(null);
        if (!whole) return;
        const stop = new AbortController();
        get(`${base(scope)}/mail/count`, { q }, { signal: stop.signal, quiet: true }).then(setTotal, () => {});
        return () => stop.abort();
    }, [whole, scope, q]);
    const said = (word) => (total ? t(total.more ? `${word}_more` : `${word}_n`, { n: total.n }) : t(word));
    const each = async (these, call) => {
        const waits = [];
        let done = 0, late = 0, failed = "";
        for (const row of these) {
            try { const answer = await call(row); done++; if (answer?.state === "requested") waits.push(row); }
            catch (p) { failed = wrong(p); late += p.status === 409; }
        }
        return { done, waits, late, failed };
    };
    // What the mail server has not taken yet can still stay.
    const callBack = async (these) => {
        const { done, late, failed } = await each(these, (row) => post(`${at(row)}/unrelease`));
        note([tookBack(done, late), done + late < these.length && failed].filter(Boolean).join(" "));
        list.again();
    };
    const act = async (what) => {
        setBusy(what);
        try {
            if (every) { const made = await post(`${base(scope)}/jobs`, { what, q }); go(withQuery({ job: made.id, open: null })); }
            else {
                const these = rows.filter((r) => picked.has(idOf(r))), { done, waits, failed } = await each(these, acts[what].call);
                const back = waits.length > 0 ? () => callBack(waits) : acts[what].back && done > 0 ? () => each(these, acts[what].back).then(everything) : undefined;
                note([t(`bulk.${what}_done`, { n: done }), waits.length > 0 && t("bulk.release_waits", { n: waits.length }), failed].filter(Boolean).join(" "), back);
                if (taken.has(what)) list.again();
            }
            pick(new Set());
        } catch (p) { note(wrong(p)); }
        setBusy(""); setSure(""); setEvery(false);
    };

    return html`
        <div class="page-head"><h1>${t("nav.quarantine")}</h1>
            ${scopes.length > 1 && html`<label><span class="unseen">${t("scope.label")}</span><select value=${scope} onChange=${(e) => go(withQuery({ in: e.target.value, open: null }))}>
                ${me.mailboxes.length > 0 && html`<option value="">${t("scope.mine")}</option>`}${scopes.map(([value, text]) => html`<option value=${value}>${text}</option>`)}</select></label>`}</div>
        ${scope.startsWith("domain:") && html`<${Requests} key=${scope} domain=${scope.slice(7)} onOpen=${look} onDone=${list.again} />`}
        ${scope !== "global" && html`<div class="presets" role="group" aria-label=${t("presets")}><${Link} to=${withQuery({ show: null, open: null })} aria-current=${bin ? undefined : "true"}>${t("held.now")}</${Link}><${Link} to=${withQuery({ show: "deleted", open: null })} aria-current=${bin ? "true" : undefined}>${t("deleted.title")}</${Link}></div>`}
        ${!bin && html`<${Search} q=${words} onSearch=${(text, how) => go(withQuery({ q: text, open: null }), how)} />`}
        ${job && html`<${Job} key=${job} id=${job} onEnd=${everything} />`}
        <div class="fresh" role="status">${!bin && fresh.length > 0 && html`<${Button} kind="primary" onClick=${put}>${t("live.new", { n: fresh.length })}</${Button}>`}</div>
        ${bin ? html`<${Deleted} scope=${scope} wide=${wide} open=${open} hrefs=${hrefs} onOpen=${look} changed=${list.again} turn=${turn} />`
            : list.problem && !list.value ? html`<${Failed} problem=${list.problem} again=${list.again} />`
            : !list.value || (rows.length === 0 && next) ? html`<${Waiting} />`
            : rows.length === 0 ? html`<${Nothing} held words=${words} scope=${scope} />`
            : html`<label class="all"><input type="checkbox" checked=${picked.size === rows.length} onChange=${(e) => { pick(e.target.checked ? new Set(rows.map(idOf)) : new Set()); setEvery(false); }} /> ${t("pick.all", { n: rows.length })}</label>
                <${Groups} groups=${groups} to=${wide} open=${open} hrefs=${hrefs} picked=${picked} onOpen=${look} onPick=${flip} />
                ${next && html`<div class="more"><${Button} onClick=${load}>${t("more")}</${Button}></div>`}
                ${picked.size > 0 && html`<div class="bulk" role="toolbar" aria-label=${t("bulk.label")}><strong>${every ? said("pick.every") : t("pick.some", { n: picked.size })}</strong>
                    ${whole && !every && html`<button type="button" class="switch" onClick=${() => setEvery(true)}>${said("pick.take_every")}</button>`}
                    ${Object.entries(acts).map(([what, a]) => html`<${Button} key=${what} kind=${a.kind ?? ""} busy=${busy === what} onClick=${() => (every ? setSure(what) : act(what))}>${t(`act.${what}`)}</${Button}>`)}</div>`}`}
        ${sure && html`<${Dialog} title=${total && !total.more ? t(`sure.${sure}_n`, { n: total.n }) : t(`sure.${sure}`)} onClose=${() => setSure("")} actions=${html`<${Button} onClick=${() => setSure("")}>${t("cancel")}</${Button}><${Button} kind=${acts[sure].kind ?? "primary"} busy=${busy === sure} onClick=${() => act(sure)}>${t(`act.${sure}`)}</${Button}>`}><p>${t("bulk.sure_text")}</p></${Dialog}>`}
        ${open && html`<${Delivery} id=${open} key=${open} me=${me} onClose=${() => look(null)} onChange=${(row) => row.status !== "quarantined" && everything()} />`}`;
}

// One delivery, beside the list or over it: what was decided, what became of it, why, and what one can do.
import { html, useLayoutEffect, useRef, useState } from "../modules/preact.js";
import { because } from "../because.js";
import { get, post } from "../api.js";
import { useLive } from "../live.js";
import { Button, Chip, Dialog, Failed, Field, note, Tabs, Their, useKeys, useLoad, useTrap, Waiting } from "../ui.js";
import { answered, clock, listOf, moment, score, size, spoken, symbol, t } from "../words.js";

const OFF = 999;
const threshold = (d, name) => (d.thresholds && d.thresholds[name] < OFF ? d.thresholds[name] : undefined);
// From which score mail is held: the lower of the two at which this domain holds it.
const heldFrom = (d) => ["add_header", "reject"].filter((name) => d.dispositions?.[name] === "quarantine").map((name) => threshold(d, name)).find((v) => v !== undefined);
// The thresholds are those of today: where they do not explain what was decided then, they are left out.
const limits = { clean: [(d) => threshold(d, "add_header"), (d, from) => d.score < from], tagged: [(d) => threshold(d, "add_header"), (d, from) => d.score >= from],
    quarantined: [heldFrom, (d, from) => d.score >= from], rejected: [(d) => threshold(d, "reject"), (d, from) => d.score >= from] };
function limit(d) {
    const [of, explains] = limits[d.verdict] ?? [() => undefined], from = of(d);
    return from !== undefined && explains(d, from) ? from : undefined;
}

const nameOf = (rule) => (!rule || rule.name === null ? t("rule.gone") : rule.name || t("rules.unnamed"));

// What decided: a rule, what was said of mail from this sender (which outweighs no score when it was said to be wanted), or the score.
const LEARNED = "learned senders";
function decider(d) {
    if (d.layer !== LEARNED) return d.rule ? "rule" : d.score === null ? "plain" : "score";
    const wanted = d.matches.find((m) => m.id === d.rule.id)?.action === "allow", through = d.verdict === "clean" || d.verdict === "allowed";
    return wanted && !through ? "score" : "learned";
}

// The verdict as a sentence, from the facts and nothing else: what was decided then, and what holds now.
function decided(d) {
    const values = { score: d.score === null ? "" : score(d.score), rule: nameOf(d.rule), from: score(limit(d) ?? 0) };
    const by = decider(d), bare = by === "score" && limits[d.verdict] && limit(d) === undefined;

    return t(`why.${d.verdict}.${bare ? "bare" : by}`, values);
}
export const sentence = (d) => (d.released ? t("why.released") : decided(d));

function Why({ d }) {
    const symbols = [...d.symbols].filter((s) => s.score).sort((a, b) => Math.abs(b.score) - Math.abs(a.score));
    const plus = symbols.reduce((n, s) => n + Math.max(0, s.score), 0), minus = symbols.reduce((n, s) => n + Math.max(0, -s.score), 0);
    const marks = ["add_header", "reject"].map((name) => [threshold(d, name), d.dispositions?.[name]]).filter(([from]) => from !== undefined);
    const right = Math.max(plus, ...marks.map(([from]) => from), 10) * 1.05, left = Math.max(minus * 1.05, right * 0.06), x = (v) => ((left + v) / (left + right)) * 100;
    const bar = (kind, from, to) => html`<rect class=${kind} x="${x(from)}%" y="5" width="${x(to) - x(from)}%" height="16" />`;

    return html`
        ${d.scanner_score !== null && html`<figure class="score"><figcaption>${t("score.caption", { score: score(d.scanner_score), plus: score(plus), minus: score(minus) })}</figcaption>
            <svg width="100%" height="42" aria-hidden="true">${bar("ham-part", -minus, 0)}${bar("spam-part", 0, plus)}<line class="axis" x1="${x(0)}%" x2="${x(0)}%" y1="0" y2="26" />
                ${marks.map(([from]) => html`<line class="mark" x1="${x(from)}%" x2="${x(from)}%" y1="0" y2="26" /><text x="${x(from)}%" y="40">${score(from)}</text>`)}</svg>
            ${marks.length > 0 && html`<p class="quiet">${t("score.marks", { list: listOf(marks.map(([from, what]) => t(`score.from.${what ?? "tag"}`, { from: score(from) }))) })}</p>`}</figure>`}
        ${d.matches.length > 0 && html`<section><h3>${t("matches.title")}</h3><table class="table"><thead><tr><th>${t("matches.rule")}</th><th>${t("matches.what")}</th></tr></thead>
            <tbody>${d.matches.map((m) => html`<tr class=${m.id === d.rule?.id ? "decided" : undefined}><td><${Their} text=${m.layer === LEARNED ? m.because?.text : m.name} or=${nameOf(m)} /><br /><span class="quiet">${t(`layer.${m.layer}`)}</span></td><td>${m.id === d.rule?.id ? t(`action.${m.action}`) : t("matches.not")}${m.why && html`<br /><span class="quiet"><bdi>${because(m)}</bdi></span>`}</td></tr>`)}</tbody></table></section>`}
        ${symbols.length > 0 ? html`<section><h3>${t("symbols.title")}</h3><table class="table"><thead><tr><th>${t("symbols.name")}</th><th>${t("symbols.detail")}</th><th class="number">${t("symbols.score")}</th></tr></thead>
            <tbody>${symbols.map((s) => html`<tr><td>${symbol(s.name) && html`${symbol(s.name)}<br />`}<bdi class=${symbol(s.name) && "quiet"}>${s.name}</bdi></td><td class="quiet"><bdi>${(s.options ?? []).join(", ")}</bdi></td><td class="number">${s.score > 0 ? "+" : ""}${score(s.score)}</td></tr>`)}</tbody></table></section>`
            : html`<p class="quiet">${t("symbols.none")}</p>`}`;
}

// The server's name and address; a server that names itself by its address has that alone.
const from = ({ ip, host, helo }) => (!host && helo === `[${ip}]` ? t("step.received_bare", { host: helo }) : t("step.received", { ip: ip || t("unknown"), host: host || helo || t("unknown") }));
// How far a release has come; one that was only just asked for has no more to tell.
const ended = (r) => (r.taken_back ? "back" : r.state === "requested" && !r.reply ? "" : r.state);

// By the reply's code, or, where a mail server logs none, by its status code.
const outcomes = { 2: "step.delivered", 4: "step.deferred", 5: "step.bounced" };
// Some logs know no more of the time; what is within one stands in the order in which it has to have been.
const second = (step) => step.at.slice(0, 19);
const place = (a) => [a.ip && `${a.ip}${a.port ? `:${a.port}` : ""}`, a.tls].filter(Boolean).join(" ");

function Timeline({ d }) {
    const handed = d.release && d.attempts.find((a) => a.at === d.release.changed); // by the release itself: its step tells of it
    const through = ["allowed", "clean", "tagged"].includes(d.verdict), queued = d.queue_id && `${t("queue_id")} ${d.queue_id}`;
    const steps = [
        { at: d.at, what: from(d.client), raw: [d.client.tls, !through && queued].filter(Boolean).join(" · ") },
        ...(d.scanner_score === null ? [] : [{ at: d.at, what: t("step.checked", { score: score(d.scanner_score) }), raw: "" }]),
        { at: d.at, what: decided(d), raw: d.inbound },
        ...(through && queued ? [{ at: d.at, what: t("step.queued"), raw: queued }] : []),
        ...(d.release ? [{ at: d.release.requested, what: t("step.release", { who: d.release.requested_by }), raw: "" }] : []),
        ...(d.release && ended(d.release) ? [{ at: d.release.changed, what: t(`step.release_${ended(d.release)}`), raw: d.release.taken_back ? "" : [[d.release.code || "", answered(d.release.reply, d.release.reply_said)].filter(Boolean).join(" "), handed && place(handed)].filter(Boolean).join(" · ") }] : []),
        ...d.attempts.filter((a) => a !== handed).map((a) => ({ at: a.at, what: t(outcomes[Math.trunc(a.code / 100) || a.dsn?.[0]] ?? "step.attempt", { to: a.to, host: a.host || a.ip || t("unknown") }), raw: [place(a), ...(a.code && a.response?.startsWith(String(a.code)) ? [] : [a.code ? String(a.code) : "", a.dsn && a.response?.startsWith(a.dsn) ? "" : a.dsn]), a.response].filter(Boolean).join(" ") })),
    ].sort((a, b) => (second(a) < second(b) ? -1 : second(a) > second(b) ? 1 : 0));

    return html`<ol class="steps">${steps.map((s) => html`<li><time class="at" datetime=${s.at} title=${moment(s.at)}>${clock(s.at)}</time><div class="what">${s.what}${s.raw && html`<div class="raw"><bdi>${s.raw}</bdi></div>`}</div></li>`)}</ol>`;
}

// Who opens other people's mail as the operator says why; it is written down, and they can read it. What then is asked for has it with it.
function useReason(d) {
    const [why, setWhy] = useState(""), [typed, setTyped] = useState("");
    const ask = (problem) => html`<form onSubmit=${(e) => { e.preventDefault(); setWhy(typed.trim()); }}>
        <${Field} label=${t("open.why")} hint=${t("open.hint", { whom: d.recipient })} maxlength="160" autocomplete="off" value=${typed} onInput=${(e) => setTyped(e.target.value)} problem=${why ? problem.message : undefined} />
        <${Button} type="submit" kind="primary" disabled=${!typed.trim()}>${t("open.do")}</${Button}></form>`;

    return { why, query: why ? { reason: why } : {}, tail: why ? `?${new URLSearchParams({ reason: why })}` : "", asks: (problem) => problem?.status === 403 && d.standing === "admin", ask };
}
const mayDoNext = (problem) => problem.status >= 500 || problem.offline;
const Closed = ({ problem, again, reason }) => (reason.asks(problem) ? reason.ask(problem) : html`<${Failed} problem=${problem} again=${mayDoNext(problem) ? again : undefined} />`);

function Preview({ path, reason }) {
    const { value, problem, again } = useLoad((signal) => get(`${path}/preview`, reason.query, { signal }), [path, reason.why]);
    const [kind, setKind] = useState("text");

    if (problem) return html`<${Closed} problem=${problem} again=${again} reason=${reason} />`;
    if (!value) return html`<${Waiting} rows=${4} />`;
    return html`${value.html && html`<div class="actions" role="group" aria-label=${t("preview.kind")}><${Button} aria-pressed=${kind === "text"} onClick=${() => setKind("text")}>${t("preview.text")}</${Button}><${Button} aria-pressed=${kind === "html"} onClick=${() => setKind("html")}>${t("preview.html")}</${Button}></div>`}
        ${kind === "html" ? html`<iframe class="preview" title=${t("preview.html")} sandbox="" src=${`/api/v1${path}/preview.html${reason.tail}`}></iframe>` : html`<div class="raw-text" tabindex="0"><bdi>${value.text || t("preview.empty")}</bdi></div>
        ${!value.whole && html`<p class="hint quiet">${t("preview.part")}</p>`}`}`;
}

function Headers({ path, reason }) {
    const { value, problem, again } = useLoad((signal) => get(`${path}/headers`, reason.query, { signal }), [path, reason.why]);

    if (problem) return html`<${Closed} problem=${problem} again=${again} reason=${reason} />`;
    if (!value) return html`<${Waiting} rows=${4} />`;
    return html`<table class="table"><tbody>${value.items.map((h) => html`<tr><th scope="row"><bdi>${h.name}</bdi></th><td><bdi>${h.value}</bdi></td></tr>`)}</tbody></table>`;
}

// While the message is stored the list comes from its bytes, with a hash of each; else it is what was seen when it came.
function Attachments({ d, path, reason }) {
    const there = Boolean(d.held?.there), may = there && d.can.open && d.attachments.length > 0;
    const { value, problem, again } = useLoad((signal) => (may ? get(`${path}/attachments`, reason.query, { signal }) : Promise.resolve(null)), [path, may, reason.why]);
    const items = value?.items ?? d.attachments, closed = reason.asks(problem), link = may && problem?.status !== 403;

    if (items.length === 0) return html`<p class="quiet">${t("attachments.none")}</p>`;
    return html`<table class="table files"><thead><tr><th>${t("attachments.name")}</th><th>${t("attachments.type")}</th><th class="number">${t("attachments.size")}</th></tr></thead>
        <tbody>${items.map((a, i) => html`<tr class=${value ? "hashed" : undefined}><td>${link ? html`<a href=${`/api/v1${path}/attachments/${i + 1}${reason.tail}`} download><${Their} text=${a.name} or=${t("attachments.unnamed")} /></a>` : html`<${Their} text=${a.name} or=${t("attachments.unnamed")} />`}</td><td><bdi>${a.type}</bdi></td><td class="number">${size(a.size ?? 0)}</td></tr>
            ${value && html`<tr><td colspan="3" class="hash"><span class="quiet">${t("attachments.hash")}</span> ${a.sha256 ? html`<code>${a.sha256}</code>` : html`<span class="quiet">${t("attachments.too_much")}</span>`}</td></tr>`}`)}</tbody></table>
        ${closed ? reason.ask(problem) : !value && html`<p class="hint quiet" role="status">${!there ? t("attachments.gone") : !may ? t("attachments.closed") : !problem ? t("attachments.hashing") : html`${t("attachments.unhashed")} ${problem.offline ? t("offline.text") : problem.message}`}</p>`}
        ${problem && problem.status !== 403 && html`<${Button} onClick=${again}>${t("again")}</${Button}>`}`;
}

const isUndone = (r) => r.state === "superseded" || r.class === "forget";

// The symbols of what was found, with what the filter called it: "CLAM_VIRUS (Eicar-Test-Signature)".
const found = (d) => d.can.findings.split(/, ?/).map((name) => {
    const called = d.symbols.find((s) => s.name === name)?.options ?? [];
    return called.length > 0 ? `${name} (${called.join(", ")})` : name;
}).join(", ");

// What can be done, in words that say what will be.
function Actions({ d, path, changed }) {
    const [busy, setBusy] = useState("");
    const [ask, setAsk] = useState(null);
    const act = async (name, call, done, undo) => {
        setBusy(name);
        try { const answer = await call(); note(done(answer), undo?.(answer)); changed(); }
        catch (problem) { note(problem.offline ? t("offline.text") : problem.message); if (!problem.offline) changed(); }
        finally { setBusy(""); }
    };
    const takeBack = () => act("unrelease", () => post(`${path}/unrelease`), () => t("unreleased"));
    const send = (body = {}, before = "") => act("release", () => post(`${path}/release`, body), (a) => [before, t(`released.${a.state}`)].filter(Boolean).join(" "), (a) => (a.state === "requested" ? takeBack : undefined));
    const release = () => (d.can.confirm_virus ? setAsk("virus") : send());
    const forget = () => act("forget", () => post(`${path}/report`, { class: "forget" }), () => t("reported.undone"));
    const report = (kind) => act(kind, () => post(`${path}/report`, { class: kind }), (a) => [t(a.state === "refused" ? "reported.refused" : `reported.${a.added}`), spoken(a.why, a.why_said)].filter(Boolean).join(" "), (a) => (a.added === "said" ? undefined : forget));
    const waits = d.can.unrelease, held = d.can.release && !waits; // once it is asked for it goes by itself

    useKeys({ r: () => (held ? release() : d.can.ask && setAsk("ask")), b: () => d.can.decide && setAsk("block"), a: () => d.can.decide && setAsk("allow") });
    return html`<div class="actions">
        ${held && html`<${Button} kind="primary" busy=${busy === "release"} onClick=${release}>${t("act.release")}</${Button}>`}
        ${waits && html`<${Button} busy=${busy === "unrelease"} onClick=${takeBack}>${t("act.unrelease")}</${Button}>`}
        ${d.can.ask && html`<${Button} kind="primary" onClick=${() => setAsk("ask")}>${t("act.ask")}</${Button}>`}
        ${d.can.report && html`<${Button} busy=${busy === "spam"} onClick=${() => report("spam")}>${t("act.spam")}</${Button}>
        <${Button} busy=${busy === "ham"} onClick=${() => report("ham")}>${t("act.ham")}</${Button}>`}
        ${held && d.can.decide && !d.can.confirm_virus && html`<${Button} onClick=${() => setAsk("allow")}>${t("act.release_allow")}</${Button}>`}
        ${d.can.decide && html`<${Button} kind="danger" onClick=${() => setAsk("block")}>${t("act.block")}</${Button}>`}
        ${waits && html`<p class="asked">${t("released.requested")}</p>`}
        ${d.report && html`<p class="asked said">${isUndone(d.report) ? `${t("said.forget")} ${t("said.undone")}` : `${t(`said.${d.report.class}`)} ${t(`said.${d.report.state}`)}`}</p>`}
        ${d.request && html`<p class="asked">${t(`request.${d.request.state}`, { who: d.request.answered_by || d.request.who })} ${d.request.answer && html`<bdi>“${d.request.answer}”</bdi>`}</p>`}
        ${ask === "ask" && html`<${Ask} path=${path} onClose=${() => setAsk(null)} onDone=${() => { setAsk(null); changed(); }} />`}
        ${ask === "virus" && html`<${Dialog} title=${t("virus.title")} onClose=${() => setAsk(null)} actions=${html`<${Button} onClick=${() => setAsk(null)}>${t("cancel")}</${Button}><${Button} kind="danger" onClick=${() => { setAsk(null); send({ confirmed_virus: true }); }}>${t("virus.do")}</${Button}>`}><p>${t("virus.text")}</p>${d.can.findings && html`<p class="quiet">${t("virus.found")} <bdi>${found(d)}</bdi></p>`}</${Dialog}>`}
        ${(ask === "allow" || ask === "block") && html`<${Breadth} d=${d} path=${path} action=${ask} onClose=${() => setAsk(null)} onDone=${(text) => { setAsk(null); if (ask === "allow" && held && !d.can.confirm_virus) { send({}, text); return; } note(text); changed(); }} />`}
    </div>`;
}

// Who may not release it asks who may.
function Ask({ path, onClose, onDone }) {
    const [why, setWhy] = useState("");
    const [busy, setBusy] = useState(false);
    const [wrong, setWrong] = useState();
    const send = async () => {
        setBusy(true);
        try { await post(`${path}/ask`, { why }); note(t("released.asked")); onDone(); }
        catch (p) { setWrong(p.offline ? t("offline.text") : p.message); setBusy(false); }
    };

    return html`<${Dialog} title=${t("act.ask")} onClose=${onClose} actions=${html`<${Button} onClick=${onClose}>${t("cancel")}</${Button}><${Button} kind="primary" busy=${busy} onClick=${send}>${t("ask.send")}</${Button}>`}>
        <${Field} label=${t("ask.why")} hint=${t("ask.hint")} problem=${wrong}>${(field) => html`<textarea rows="3" maxlength="900" autofocus value=${why} onInput=${(e) => setWhy(e.target.value)} ...${field}></textarea>`}</${Field}>
    </${Dialog}>`;
}

// How far an allow or a block shall reach; each with how much past mail it would have caught.
function Breadth({ path, action, onClose, onDone }) {
    const { value, problem } = useLoad((signal) => get(`${path}/breadths`, { action }, { signal }), [path, action]);
    const [picked, pick] = useState("");
    const [busy, setBusy] = useState(false);
    const [wrong, setWrong] = useState();
    const choice = picked || value?.items[0]?.sender;
    const save = async () => {
        setBusy(true);
        try { const made = await post(`${path}/decide`, { action, sender: choice }); onDone(spoken(made.note, made.note_said) ?? t(`decided.${action}`, { sender: choice })); }
        catch (p) { setWrong(p.offline ? t("offline.text") : p.message); setBusy(false); }
    };

    return html`<${Dialog} title=${t(`breadth.${action}`)} onClose=${onClose} actions=${html`<${Button} onClick=${onClose}>${t("cancel")}</${Button}><${Button} kind="primary" busy=${busy} disabled=${!choice} onClick=${save}>${t(`breadth.${action}_do`)}</${Button}>`}>
        ${problem ? html`<p class="problem" role="alert">${problem.message}</p>` : !value ? html`<${Waiting} rows=${3} />` : html`<fieldset class="choices"><legend class="unseen">${t(`breadth.${action}`)}</legend>
            ${value.items.map((b) => html`<label class="choice"><input type="radio" name="breadth" value=${b.sender} checked=${b.sender === choice} onChange=${() => pick(b.sender)} /><span><bdi>${b.sender}</bdi><br /><span class="quiet">${t(`breadth.${b.kind}`)} · ${t(value.more ? "breadth.would_more" : "breadth.would", { n: b.messages })}</span></span></label>`)}</fieldset>
            ${value.warning && html`<p class="hint">${spoken(value.warning, value.warning_said)}</p>`}`}
        ${wrong && html`<p class="problem" role="alert">${wrong}</p>`}
    </${Dialog}>`;
}

export function Delivery({ id, me, onClose, onChange }) {
    const [uid, n] = id.split("/"), path = `/deliveries/${uid}/${n}`;
    const ref = useRef();
    const [tab, setTab] = useState("timeline");
    const load = useLoad((signal) => get(path, {}, { signal }), [path]);
    const d = load.value, reason = useReason(d ?? {});
    const changed = (looked) => get(path).then((fresh) => { load.set(fresh); if (!looked || fresh.status !== d.status) onChange?.({ uid: fresh.uid, n: fresh.n, status: fresh.status, state: fresh.state }); }, () => {});

    // Who pressed what is gone now stays in the message.
    useLayoutEffect(() => { if (document.activeElement === document.body) ref.current.focus({ preventScroll: true }); }, [d]);
    useLive(async () => { if (d) await changed(true); });
    useTrap(ref, onClose);
    useKeys({ Escape: onClose }); // from the list beside it, too
    return html`<section class="drawer" role="dialog" aria-modal="false" aria-label=${d?.subject || t("message")} tabindex="-1" ref=${ref}>
        <div class="drawer-head"><div class="line"><h2><${Their} text=${d?.subject} or=${d ? t("subject.none") : load.problem ? t("message") : t("loading")} /></h2><${Button} kind="bare" icon="close" aria-label=${t("close")} onClick=${onClose} /></div>
            ${d && html`<div class="line"><${Chip} status=${d.status} /><span class="quiet"><${Their} text=${d.from_name || d.from || d.sender} or=${t("sender.none")} /> <span class="turns">→</span> <bdi>${d.recipient}</bdi></span></div>`}</div>
        <div class="drawer-body">
            ${load.problem ? html`<${Failed} problem=${load.problem} again=${load.problem.status === 404 ? undefined : load.again} />` : !d ? html`<${Waiting} rows=${5} />` : html`
                <p class="verdict ${d.status}">${sentence(d)}</p>
                <${Actions} d=${d} path=${path} me=${me} changed=${changed} />
                <dl class="facts"><dt>${t("fact.from")}</dt><dd>${d.from_name && html`<bdi>${d.from_name}</bdi> `}${d.from && html`<bdi>${`<${d.from}>`}</bdi>`}</dd>
                    ${d.sender !== d.from && html`<dt>${t("fact.envelope")}</dt><dd><bdi>${d.sender || "<>"}</bdi></dd>`}
                    <dt>${t("fact.to")}</dt><dd><bdi>${d.recipient}</bdi></dd><dt>${t("fact.at")}</dt><dd>${moment(d.at)}</dd><dt>${t("fact.size")}</dt><dd>${size(d.size)}</dd>
                    ${d.held?.there && html`<dt>${t(d.held.copy ? "fact.copy" : "fact.held")}</dt><dd>${moment(d.held.until)}</dd>`}
                    ${d.held?.lost && html`<dt>${t("fact.lost")}</dt><dd>${t("lost")}</dd>`}</dl>
                <${Tabs} label=${t("tabs")} current=${tab} onPick=${setTab} tabs=${[["timeline", t("tab.timeline")], ["why", t("tab.why")], ...(d.held?.there ? [["preview", t("tab.preview")], ["headers", t("tab.headers")]] : []), ["attachments", t("tab.attachments")]]} />
                <div class="panel" role="tabpanel" aria-labelledby=${`tab-${tab}`} tabindex="0">
                    ${tab === "timeline" && html`<${Timeline} d=${d} />`}${tab === "why" && html`<${Why} d=${d} />`}${tab === "preview" && html`<${Preview} path=${path} reason=${reason} />`}
                    ${tab === "headers" && html`<${Headers} path=${path} reason=${reason} />`}${tab === "attachments" && html`<${Attachments} d=${d} path=${path} reason=${reason} />`}</div>`}
        </div></section>`;
}

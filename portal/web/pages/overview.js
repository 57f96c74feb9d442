// The first page of who answers for the service, and a smaller one for who owns a domain. What nobody can tell is said to be unknown.
import { html, useEffect, useRef, useState } from "../modules/preact.js";
import { get, post, segment } from "../api.js";
import { go, useHere, withQuery } from "../router.js";
import { Ago, Button, Chip, Failed, Field, Icon, Link, useLoad, Waiting } from "../ui.js";
import { answered, midnight, moment, number, size, t } from "../words.js";

const AGAIN = 30_000, LOOK = 1500;

// Asks again every half minute, while somebody looks.
function useFresh(path) {
    const load = useLoad((signal) => get(path, { today: midnight() }, { signal }), [path]), now = useRef(load.again);

    now.current = load.again;
    useEffect(() => {
        const timer = setInterval(() => { if (!document.hidden) now.current(); }, AGAIN);
        return () => clearInterval(timer);
    }, []);
    return load;
}

// One figure: what it is, how much, and a line or two beneath. unknown: nobody can tell, for this reason.
const Figure = ({ name, unknown, warn, children, below }) => html`<section class="figure ${warn ? "warned" : ""}" aria-label=${name}><h2>${name}</h2>
    <p class="big">${unknown ? html`<span class="quiet">${t("over.unknown")}</span>` : children}</p>${(unknown || below) && html`<p class="quiet">${unknown || below}</p>`}</section>`;

// Of several nodes: which one a figure is of, and which have not answered.
const isRulesd = (p) => p.name.endsWith("-rulesd");
const nodes = (o) => o.programs.filter(isRulesd);
const without = (o) => { const gone = nodes(o).filter((p) => p.state === "silent"), all = nodes(o).length; return gone.length > 0 && all > 1 ? t("over.without", { at: gone.map((p) => p.at).join(", ") }) : null; };
const silent = (o) => { const p = o.programs.find(isRulesd); return p.at ? t("over.silent", { name: p.name, at: p.at }) : t("over.not_told", { name: p.name, setting: p.setting }); };

function Scanner({ o }) {
    const s = o.scanner;

    if (s.configured === 0) return html`<${Figure} name=${t("over.scanner")} below=${t("over.scanner_none_text")}>${t("over.scanner_none")}</${Figure}>`;
    if (!s.known) return html`<${Figure} name=${t("over.scanner")} unknown=${silent(o)} />`;
    return html`<${Figure} name=${t("over.scanner")} warn=${s.well < s.configured || without(o)} below=${html`${s.failed > 0 ? t("over.failed", { n: s.failed, all: number(s.asked) }) : t("over.failed_none", { n: s.asked })} ${s.since && t("over.since", { date: moment(s.since) })}${s.slowest && s.mean_ms !== null ? ` ${t("over.slowest", { at: s.slowest })}` : ""}${without(o) ? ` ${without(o)}` : ""}${s.well < s.configured ? ` ${t("over.down", { n: s.configured - s.well })}` : ""}`}>
        ${s.mean_ms === null ? html`<span class="quiet">${t("over.unasked")}</span>` : t("over.ms", { n: Math.max(1, Math.round(s.mean_ms)) })}</${Figure}>`;
}

const Disk = ({ o }) => !o.disk ? html`<${Figure} name=${t("over.disk")} unknown=${nodes(o).some((p) => p.state !== "silent" && p.state !== "unknown") ? t("over.disk_not_told", { name: nodes(o)[0].name }) : silent(o)} />`
    : html`<${Figure} name=${t("over.disk")} warn=${o.disk.days !== null && o.disk.days < 14} below=${`${t("over.room", { size: size(o.disk.room) })}${o.disk.days === null ? "" : ` ${t("over.pace", { size: size(o.disk.per_day) })}`}${o.disk.at ? ` ${t("over.least", { at: o.disk.at })}` : ""}`}>${o.disk.days === null ? t("over.no_pace") : o.disk.days > 365 ? t("over.year") : t("over.days", { n: o.disk.days })}</${Figure}>`;

const load = (n) => number(n, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const Load = ({ o }) => !o.load ? html`<${Figure} name=${t("over.load")} unknown=${t("over.load_unknown")} />`
    : html`<${Figure} name=${t("over.load")} warn=${o.load.five > 2 * o.load.processors} below=${`${t("over.load_more", { five: load(o.load.five), fifteen: load(o.load.fifteen) })} ${o.load.at ? t("over.processors_at", { n: o.load.processors, at: o.load.at }) : t("over.processors", { n: o.load.processors })}`}>${load(o.load.one)}</${Figure}>`;

const ages = ["hour", "day", "days", "older"];
function Queue({ q, to }) {
    if (!q) return html`<section class="card queue"><h2>${t("over.queue")}</h2><p class="big quiet">${t("over.unknown")}</p><p class="quiet">${t("over.queue_unknown")}</p></section>`;
    const all = q.hour + q.day + q.days;

    return html`<section class="card queue"><h2>${t("over.queue")}</h2><p class="big"><${Link} to=${to}>${t("over.messages", { n: all })}</${Link}></p>
        ${all > 0 && html`<p class="quiet">${t("over.oldest")} <${Ago} at=${q.oldest} /></p>`}
        ${all + q.older > 0 && html`<dl class="facts">${ages.map((age) => html`<dt>${t(`over.age.${age}`)}</dt><dd class="number">${number(q[age])}</dd>`)}</dl>`}
        ${q.older > 0 && html`<p class="quiet">${t("over.older_text")}</p>`}</section>`;
}

const Wait = ({ what, w, to, bad }) => !(bad && w.n === 0) && html`<li class=${bad ? "bad" : w.n === 0 ? "quiet" : ""}><span>${to && w.n > 0 ? html`<${Link} to=${to}>${t(`over.${what}`, { n: w.n })}</${Link}>` : t(`over.${what}`, { n: w.n })}</span>${w.n > 0 && w.oldest && html`<span class="quiet">${t("over.oldest")} <${Ago} at=${w.oldest} /></span>`}</li>`;
const Waits = ({ o, to }) => html`<section class="card waits"><h2>${t("over.waits")}</h2><ul>
    <${Wait} what="releases" w=${o.releases} /><${Wait} what="releases_unknown" w=${o.releases_unknown} bad /><${Wait} what="requests" w=${o.requests} to=${to} />
    ${o.reports && html`<${Wait} what="reports" w=${o.reports} />`}${o.outbox && html`<${Wait} what="outbox" w=${{ n: o.outbox.waiting, oldest: o.outbox.oldest }} /><${Wait} what="outbox_failed" w=${{ n: o.outbox.failed }} bad />`}</ul></section>`;

const marks = { runs: "delivered", ails: "rejected", silent: "rejected", unknown: "queued" };
const Programs = ({ o }) => html`<section class="card"><h2>${t("over.programs")}</h2><ul class="programs">${o.programs.map((p) => html`<li key=${`${p.name} ${p.at}`}><strong>${p.name}</strong>
    <span class="chip chip-${p.state === "unknown" ? "none" : marks[p.state]}"><${Icon} name=${marks[p.state]} />${t(`program.${p.state}`)}</span>
    <span class="quiet">${isRulesd(p) && nodes(o).length > 1 && p.state !== "silent" && html`<bdi>${p.at}</bdi> · `}${p.state === "runs" ? p.since && t("over.since", { date: moment(p.since) }) : p.state === "ails" ? t("program.ails_text") : p.state === "silent" ? t("program.silent_text", { at: p.at }) : t("program.unknown_text", { setting: p.setting })}</span></li>`)}</ul></section>`;

// A test mail and what becomes of it: first what the mail server says to it, then its delivery.
function TestMail({ me }) {
    const [to, setTo] = useState(me.account.login), [busy, setBusy] = useState(false), [wrong, setWrong] = useState(), [mail, setMail] = useState(null);
    const id = mail?.id, over = mail?.state === "failed" || mail?.deliveries?.some((d) => ["delivered", "rejected", "blocked", "quarantined"].includes(d.status));
    const send = async (e) => {
        e.preventDefault();
        setBusy(true); setWrong(undefined);
        try { setMail(await post("/overview/test-mails", { to })); } catch (p) { setWrong(p.offline ? t("offline.text") : p.message); }
        setBusy(false);
    };

    useEffect(() => {
        if (!id || over) return;
        let gone = false, timer;
        const look = () => { timer = setTimeout(async () => {
            const now = document.hidden ? null : await get(`/overview/test-mails/${id}`, {}, { quiet: true }).catch(() => null);
            if (gone) return;
            if (now) setMail(now);
            look();
        }, LOOK); };
        look();
        return () => { gone = true; clearTimeout(timer); };
    }, [id, over]);
    return html`<section class="card"><h2>${t("test.title")}</h2>
        <form class="line" onSubmit=${send}><${Field} label=${t("test.to")} type="email" required maxlength="320" value=${to} onInput=${(e) => setTo(e.target.value)} problem=${wrong} /><${Button} kind="primary" type="submit" busy=${busy}>${t("test.send")}</${Button}></form>
        <div role="status">${mail && html`<ol class="steps test"><li><span class="what">${t("test.made")} <bdi>${mail.to}</bdi></span></li>
            ${mail.state && html`<li><span class="what">${t(`test.${mail.state}`)}${mail.answer && html` <bdi class="raw">${answered(mail.answer, mail.answer_said)}</bdi>`}</span></li>`}
            ${mail.deliveries?.map((d) => html`<li key=${d.n}><span class="what"><${Chip} status=${d.status} /> <${Link} to=${`/mail?in=global&open=${d.uid}/${d.n}`}><bdi>${d.recipient}</bdi></${Link}>${d.answer && html` <bdi class="raw">${d.answer}</bdi>`}</span></li>`)}
            ${mail.state === "sent" && mail.deliveries.length === 0 && html`<li><span class="what quiet">${t("test.waits")}</span></li>`}</ol>`}</div></section>`;
}

function Service({ me }) {
    const { value: o, problem, again } = useFresh("/overview");

    if (!o) return problem ? html`<${Failed} problem=${problem} again=${again} />` : html`<${Waiting} />`;
    return html`${problem && html`<div class="bar bad" role="alert"><span>${problem.offline ? t("offline.text") : problem.message}</span><${Button} onClick=${again}>${t("again")}</${Button}></div>`}
        <div class="figures">
            <${Figure} name=${t("over.last")} below=${`${t("over.rate", { minute: number(o.messages.minute), hour: number(o.messages.hour) })} ${t("over.today", { n: o.messages.today })}`}>${o.messages.last ? html`<${Ago} at=${o.messages.last} />` : t("over.never")}</${Figure}>
            <${Scanner} o=${o} /><${Disk} o=${o} /><${Load} o=${o} /></div>
        <div class="pair"><${Waits} o=${o} to=${null} /><${Queue} q=${o.queue} to="/mail?in=global&q=status:queued" /><${Programs} o=${o} /><${TestMail} me=${me} /></div>`;
}

const shown = ["delivered", "received", "queued", "spam", "quarantined", "blocked", "rejected"];
function OfDomain({ domain }) {
    const { value: o, problem, again } = useFresh(`/domains/${segment(domain)}/overview`);
    const place = `in=${encodeURIComponent(`domain:${domain}`)}`;

    if (!o) return problem ? html`<${Failed} problem=${problem} again=${again} />` : html`<${Waiting} />`;
    return html`<div class="figures"><${Figure} name=${t("over.last")}>${o.last ? html`<${Ago} at=${o.last} />` : t("over.never")}</${Figure}>
            <section class="figure wide" aria-label=${t("over.day")}><h2>${t("over.day")}</h2><ul class="counts">${shown.map((s) => html`<li key=${s}><strong class="number">${number(o.today[s])}</strong><${Link} to=${`/mail?${place}&q=status:${s}`}><${Chip} status=${s} /></${Link}></li>`)}</ul></section></div>
        <div class="pair"><${Waits} o=${o} to=${`/quarantine?${place}`} /><${Queue} q=${o.queue} to=${`/mail?${place}&q=status:queued`} /></div>`;
}

export function Overview({ me }) {
    const { query } = useHere();
    const owned = me.domains.filter((d) => d.role === "owner").map((d) => d.name), wanted = query.get("domain");
    const domain = owned.includes(wanted) ? wanted : me.account.admin ? "" : owned[0];

    return html`<div class="page-head"><h1>${t("nav.overview")}</h1>
            ${owned.length + (me.account.admin ? 1 : 0) > 1 && html`<label><span class="unseen">${t("over.whose")}</span><select value=${domain} onChange=${(e) => go(withQuery({ domain: e.target.value }))}>${me.account.admin && html`<option value="">${t("over.service")}</option>`}${owned.map((n) => html`<option value=${n}>${n}</option>`)}</select></label>`}</div>
        ${domain ? html`<${OfDomain} key=${domain} domain=${domain} />` : html`<${Service} me=${me} />`}`;
}

// What one sets for oneself: name, language and time, the password, where one is signed in, who looked at one's mail, and the keys.
import { html, useState } from "../modules/preact.js";
import { del, get, patch, post, session } from "../api.js";
import { Keys } from "../keys.js";
import { Sheet } from "../lists.js";
import { touched } from "../meanwhile.js";
import { Ago, Button, Failed, Field, Link, Moment, note, Their, useLoad, Waiting } from "../ui.js";
import { device, languages, t } from "../words.js";
import { Digests } from "./digests.js";

const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
const zones = () => { try { return Intl.supportedValuesOf("timeZone"); } catch { return []; } };
const said = (p) => (p.offline ? t("offline.text") : p.message);

const Card = ({ id, title, children }) => html`<section class="card" aria-labelledby=${id}><h2 id=${id} tabindex="-1">${title}</h2>${children}</section>`;

// In an element of its own: what is behind it on the page keeps its place when several pieces come where one waited.
function Loaded({ of, rows = 3, children }) {
    return html`<div>${of.problem && !of.value ? html`<${Failed} problem=${of.problem} again=${of.again} />`
        : of.value ? children(of.value) : html`<${Waiting} rows=${rows} />`}</div>`;
}

function You({ me }) {
    const [was, setWas] = useState({ name: me.name, language: me.language, zone: me.zone }), [now, set] = useState({ ...was, zone: was.zone || here });
    const [problem, setProblem] = useState();
    const [busy, setBusy] = useState(false);
    const put = (name) => (e) => set({ ...now, [name]: e.target.value });

    const save = async (event) => {
        event.preventDefault();
        setBusy(true);
        setProblem(undefined);
        try {
            await patch("/me", touched(was, now));
            setWas(now);
            if (now.language !== me.language || now.zone !== me.zone) location.reload(); else note(t("saved"));
        } catch (p) { setProblem(p); }
        setBusy(false);
    };
    const wrong = (member) => (problem?.member === member ? said(problem) : undefined);
    return html`<${Card} id="you" title=${t("settings.you")}><form onSubmit=${save}><div class="grid2">
        <${Field} label=${t("settings.name")} value=${now.name} maxlength="200" autocomplete="name" onInput=${put("name")} problem=${wrong("name")} />
        <${Field} label=${t("settings.language")}>${(a) => html`<select ...${a} value=${now.language} onChange=${put("language")}><option value="">${t("settings.as_browser")}</option>${languages.map(([code, name]) => html`<option value=${code} lang=${code}>${name}</option>`)}</select>`}</${Field}>
        <${Field} label=${t("settings.zone")} list="zones" value=${now.zone} maxlength="63" onInput=${put("zone")} hint=${now.zone === here ? undefined : t("settings.zone_here", { zone: here })} problem=${wrong("zone")} />
        </div><datalist id="zones">${zones().map((z) => html`<option value=${z} />`)}</datalist>
        ${problem && !problem.member && html`<p class="problem" role="alert">${said(problem)}</p>`}
        <${Button} kind="primary" type="submit" busy=${busy}>${t("save")}</${Button}></form></${Card}>`;
}

function Password({ me, again }) {
    const [now, set] = useState({ current: "", password: "" });
    const [problem, setProblem] = useState();
    const [busy, setBusy] = useState(false);
    const put = (name) => (e) => set({ ...now, [name]: e.target.value });

    const run = async (work, text) => {
        setBusy(true);
        setProblem(undefined);
        try { await work(); set({ current: "", password: "" }); note(text); again(); } catch (p) { setProblem(p); }
        setBusy(false);
    };
    // Who types the one until now has proven who they are, however long they have been signed in.
    const clear = async () => {
        if (now.current) { await post("/session/elevate", { password: now.current }, { key: false }); await session(); }
        await del("/me/password");
    };
    const save = (event) => { event.preventDefault(); run(() => post("/me/password", { current: me.password ? now.current : undefined, password: now.password }, { key: false }), t("password.saved")); };
    const wrong = (member) => (problem?.member === member ? said(problem) : undefined);
    const fresh = problem?.member === "elevate";
    const wrongNow = fresh && me.password ? t("password.type") : wrong("current");
    return html`<${Card} id="password" title=${t("settings.password")}><form onSubmit=${save}>
        <p class="hint quiet">${t(me.password ? "password.there" : "password.none")}</p><div class="grid2">
        <input type="hidden" name="username" autocomplete="username" value=${me.login} />
        ${me.password && html`<${Field} label=${t("password.current")} type="password" autocomplete="current-password" required maxlength="1024" value=${now.current} onInput=${put("current")} problem=${wrongNow} />`}
        <${Field} label=${t("password.new")} type="password" autocomplete="new-password" required minlength="10" maxlength="1024" value=${now.password} onInput=${put("password")} hint=${t("password.hint")} problem=${wrong("password")} /></div>
        ${problem && !wrongNow && problem.member !== "password" && html`<p class="problem" role="alert">${fresh ? t("password.fresh") : said(problem)}</p>`}
        <div class="actions"><${Button} kind="primary" type="submit" busy=${busy}>${t("password.set")}</${Button}>
        ${me.password && html`<${Button} onClick=${() => run(clear, t("password.cleared"))}>${t("password.clear")}</${Button}>`}</div></form></${Card}>`;
}

function Sessions({ staff }) {
    const list = useLoad((signal) => get("/me/sessions", {}, { signal }), []);
    // The button that was pressed goes with its row: one stays among them.
    const end = async (path, text) => { try { await del(path); document.getElementById("sessions").focus(); note(text); list.again(); } catch (p) { note(said(p)); } };

    return html`<${Card} id="sessions" title=${t("settings.sessions")}><${Loaded} of=${list}>${({ items }) => html`
        <${Sheet} label=${t("settings.sessions")} heads=${[t("session.device"), t("session.from"), t("session.used")]} rows=${items.map((s) => [s.id,
            html`<bdi>${device(s.device)}</bdi>${s.acting_for && html`<br /><span class="quiet">${t("session.staff", { who: s.acting_for })}</span>`}`, html`<bdi>${s.ip}</bdi>`,
            s.current ? t("session.this") : html`<${Ago} at=${s.last_used} />`,
            s.current || staff ? "" : html`<${Button} onClick=${() => end(`/me/sessions/${s.id}`, t("session.ended"))} aria-label=${t("session.end_on", { device: device(s.device) })}>${t("signout")}</${Button}>`])} />
        ${items.length > 1 && !staff && html`<div class="actions"><${Button} onClick=${() => end("/me/sessions", t("session.ended_others"))}>${t("session.end_others")}</${Button}></div>`}`}</${Loaded}></${Card}>`;
}

// Who opens a message opens its parts one by one: that is one look.
const alike = (r, other) => other && ["actor", "action", "object"].every((k) => r[k] === other[k]) && r.what?.reason === other.what?.reason;
const which = (r) => (r.object_name && r.what?.n ? html`<${Link} to=${`/mail?open=${r.object}/${r.what.n}`}><bdi>${r.object_name}</bdi></${Link}>` : html`<span class="quiet">${t("looked.gone")}</span>`);

function Looked() {
    const list = useLoad((signal) => get("/me/looked-at", { limit: 20 }, { signal }), []);

    return html`<${Card} id="looked" title=${t("settings.looked")}><p class="hint quiet">${t("looked.text")}</p><${Loaded} of=${list}>${({ items }) => (items.length === 0 ? html`<p>${t("looked.none")}</p>` : html`
        <ul class="plainlist">${items.filter((r, i) => !alike(r, items[i - 1])).map((r) => html`<li><${Moment} at=${r.at} /> · <${Their} text=${r.actor} /> ${t(r.action === "body.open" ? "looked.opened" : "looked.acted")} ${which(r)}${r.what?.reason && html` · <${Their} text=${r.what.reason} />`}</li>`)}</ul>`)}</${Loaded}></${Card}>`;
}

export function Settings({ me: who }) {
    const mine = useLoad((signal) => get("/me", {}, { signal }), []), me = mine.value;
    const head = html`<div class="page-head"><h1>${t("nav.settings")}</h1></div>`;

    // One failure is the page's: once what is mine is there, the rest asks again.
    if (!me && mine.problem) return html`${head}<${Failed} problem=${mine.problem} again=${mine.again} />`;
    // Both in an element of their own, as in Loaded.
    return html`${head}
        <div>${me ? html`<${You} me=${me} />${who.staff ? html`<${Card} id="password" title=${t("settings.password")}><p class="hint quiet">${t("password.staff")}</p></${Card}>` : html`<${Password} me=${me} again=${mine.again} />`}`
            : html`<${Card} id="you" title=${t("settings.you")}><${Waiting} rows=${2} /></${Card}><${Card} id="password" title=${t("settings.password")}><${Waiting} rows=${3} /></${Card}>`}</div>
        <${Digests} me=${who} /><${Sessions} staff=${who.staff} /><${Looked} /><${Card} id="keys" title=${t("settings.keys")}><${Keys} /></${Card}>`;
}

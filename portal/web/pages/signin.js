// Signing in: a link by mail, or a password. Opening the link signs nobody in: in the browser that asked it takes one press; in another it
// shows a code to be typed into the first.
import { html, useEffect, useLayoutEffect, useRef, useState } from "../modules/preact.js";
import { get, post, Problem, session } from "../api.js";
import { prove } from "../proof.js";
import { go } from "../router.js";
import { solve } from "../siteverify.js";
import { Button, Field, Icon } from "../ui.js";
import { device, moment, t } from "../words.js";

// What is to be done first: a piece of work, or what a service asks for. Where its script does not come, the server looks whether the service
// is there at all; when it is, something in between keeps it away.
async function challenge(address, box) {
    const ask = (failed) => get("/signin/challenge", { address, failed }, { quiet: true });
    let asked = await ask();

    if (asked.kind === "siteverify") {
        try { return { id: asked.id, answer: await solve(asked, box) }; } catch { asked = await ask(true); }
        if (asked.kind === "siteverify") throw new Problem({ words: t("challenge.blocked", { host: new URL(asked.script).host }) }, 400);
    }
    return prove(asked);
}
// A service that went away between its answer and ours is not there the next time.
async function proven(address, box, send) {
    try { return await send(await challenge(address, box)); }
    catch (p) { if (p.status !== 503 || p.member !== "challenge") throw p; }
    return send(await challenge(address, box));
}
const token = () => (location.pathname === "/signin" && location.hash.length > 20 ? location.hash.slice(1) : "");

// What it says is read out when it says something else: what had the focus has gone then.
export function Door({ brand, title, lead, children }) {
    const main = useRef();

    useLayoutEffect(() => { document.title = `${title} · ${brand.name}`; }, [title, brand.name]);
    useEffect(() => { if (document.activeElement === document.body && !main.current.querySelector("[autofocus]")) main.current.querySelector("h1").focus(); }, [title]);
    return html`<div class="door"><main class="card" id="main" ref=${main}>
        <div class="brand">${brand.logo ? html`<img src=${brand.logo} alt=${brand.name} />` : html`<${Icon} name="shield" /> ${brand.name}`}</div>
        <h1 tabindex="-1">${title}</h1>${lead && html`<p class="lead">${lead}</p>`}${children}
        ${brand.support && html`<p class="hint quiet">${t("support")} <a href="mailto:${brand.support}">${brand.support}</a></p>`}
    </main></div>`;
}

function Ask({ brand, onSignedIn }) {
    const [way, setWay] = useState("link");
    const [address, setAddress] = useState("");
    const [password, setPassword] = useState("");
    const [busy, setBusy] = useState(false);
    const [problem, setProblem] = useState();
    const [sent, setSent] = useState(false);
    const box = useRef(), form = useRef();

    const turn = () => { setWay(way === "link" ? "password" : "link"); setProblem(undefined); };
    const first = useRef(true);
    // On to what is to be typed next.
    useEffect(() => { if (!first.current) [...form.current.querySelectorAll("input")].find((field) => !field.value)?.focus(); first.current = false; }, [way]);
    const send = async (event) => {
        event.preventDefault();
        setBusy(true);
        setProblem(undefined);
        try {
            const body = way === "link" ? { address } : { address, password };
            await proven(address, box.current, ({ id, answer }) => post(`/signin/${way}`, { ...body, challenge: id, answer }, { key: false, quiet: true }));
            if (way === "link") setSent(true); else onSignedIn();
        } catch (p) {
            setProblem(p.offline ? t("offline.text") : p.message);
        } finally {
            setBusy(false);
        }
    };

    if (sent) return html`<${Typed} brand=${brand} address=${address} onSignedIn=${onSignedIn} back=${() => setSent(false)} />`;
    return html`<${Door} brand=${brand} title=${t("signin.title")} lead=${way === "link" ? t("signin.lead") : undefined}>
        <form onSubmit=${send} ref=${form}>
            <${Field} label=${t("signin.address")} type="email" name="username" autocomplete="username" inputmode="email" autofocus required maxlength="320" value=${address} onInput=${(e) => setAddress(e.target.value)} problem=${way === "link" ? problem : undefined} />
            ${way === "password" && html`<${Field} label=${t("signin.password")} type="password" name="password" autocomplete="current-password" required maxlength="1024" value=${password} onInput=${(e) => setPassword(e.target.value)} problem=${problem} />`}
            <div class="widget" ref=${box}></div>
            <${Button} kind="primary" type="submit" busy=${busy}>${t(way === "link" ? "signin.send" : "signin.enter")}</${Button}>
            <button type="button" class="switch" onClick=${turn}>${t(way === "link" ? "signin.with_password" : "signin.with_link")}</button>
        </form>
    </${Door}>`;
}

// The mail is on its way: press the link here, or type the code that another browser shows.
function Typed({ brand, address, onSignedIn, back }) {
    const [code, setCode] = useState("");
    const [busy, setBusy] = useState(false);
    const [problem, setProblem] = useState();

    // The link was pressed in another window of this browser: who comes back to this one is in.
    useEffect(() => {
        const look = () => { if (!document.hidden) session().then((s) => s.signed_in && onSignedIn(), () => {}); };

        document.addEventListener("visibilitychange", look);
        return () => document.removeEventListener("visibilitychange", look);
    }, []);
    const send = async (event) => {
        event.preventDefault();
        setBusy(true);
        try { await post("/signin/code", { code: code.replace(/\D/g, "") }, { key: false, quiet: true }); onSignedIn(); go("/", { replace: true }); }
        catch (p) { setProblem(p.offline ? t("offline.text") : p.message); setCode(""); }
        finally { setBusy(false); }
    };
    return html`<${Door} brand=${brand} title=${t("signin.sent")} lead=${t("signin.sent_lead", { address })}>
        <form onSubmit=${send}>
            <${Field} label=${t("signin.code")} hint=${t("signin.code_hint")} inputmode="numeric" autocomplete="one-time-code" pattern="[0-9 ]*" maxlength="7" value=${code} onInput=${(e) => setCode(e.target.value)} problem=${problem} />
            <${Button} kind="primary" type="submit" busy=${busy} disabled=${code.replace(/\D/g, "").length !== 6}>${t("signin.enter")}</${Button}>
            <button type="button" class="switch" onClick=${back}>${t("signin.again")}</button>
        </form>
    </${Door}>`;
}

// What the link in the mail opens.
function Opened({ brand, onSignedIn }) {
    const [state, set] = useState({});
    const code = useRef();

    useEffect(() => { code.current?.focus(); }, [state.code]);
    useEffect(() => { post("/signin/link/look", { token: token() }, { key: false, quiet: true }).then((seen) => set({ seen }), (problem) => set({ problem })); }, []);
    const enter = async () => {
        set((s) => ({ ...s, busy: true }));
        try { await post("/signin/link/use", { token: token() }, { key: false, quiet: true }); go("/", { replace: true }); onSignedIn(); }
        catch (problem) { set({ problem }); }
    };
    const show = async () => {
        set((s) => ({ ...s, busy: true }));
        try { const { code } = await post("/signin/link/code", { token: token() }, { key: false, quiet: true }); set((s) => ({ ...s, code, busy: false })); }
        catch (problem) { set({ problem }); }
    };
    if (state.problem) return html`<${Door} brand=${brand} title=${t("signin.gone")} lead=${state.problem.offline ? t("offline.text") : state.problem.message}><${Button} kind="primary" onClick=${() => { go("/", { replace: true }); location.reload(); }}>${t("signin.again")}</${Button}></${Door}>`;
    if (!state.seen) return null;
    if (state.seen.same_browser) return html`<${Door} brand=${brand} title=${t("signin.welcome")} lead=${t("signin.press")}><${Button} kind="primary" busy=${state.busy} onClick=${enter} autofocus>${t("signin.enter")}</${Button}></${Door}>`;
    return html`<${Door} brand=${brand} title=${t("signin.elsewhere")} lead=${t("signin.elsewhere_lead")}>
        <dl class="facts"><dt>${t("signin.asked")}</dt><dd>${moment(state.seen.asked)}</dd><dt>${t("signin.browser")}</dt><dd><bdi>${device(state.seen.device)}</bdi></dd><dt>${t("signin.place")}</dt><dd>${state.seen.ip}</dd></dl>
        ${state.code ? html`<p class="code" tabindex="-1" ref=${code}>${state.code.slice(0, 3)} ${state.code.slice(3)}</p>` : html`<${Button} kind="primary" busy=${state.busy} onClick=${show}>${t("signin.show_code")}</${Button}>`}
        <p class="hint"><strong>${t("signin.never")}</strong></p>
    </${Door}>`;
}

export const SignIn = (props) => (token() ? html`<${Opened} ...${props} />` : html`<${Ask} ...${props} />`);

// The page: who is signed in, where they are, and the frame around it.
import { html, render, useEffect, useLayoutEffect, useMemo, useRef, useState } from "./modules/preact.js";
import { del, get, onSignedOut, Problem, session } from "./api.js";
import { elsewhere, wear } from "./brand.js";
import { KeysOver } from "./keys.js";
import { follow, go, useHere } from "./router.js";
import { Button, Empty, Failed, Icon, Link, Notes, useKeys, Waiting } from "./ui.js";
import { ready, setZone, speak, t } from "./words.js";
import { SignIn } from "./pages/signin.js";
import { Mail } from "./pages/mail.js";
import { HandOff } from "./pages/handoff.js";

// What there is, for whom, and where it is loaded from: pages beyond the first come when they are asked for.
const later = (load, name) => {
    let Page;
    return (props) => {
        const [failed, set] = useState(false);
        const fetch = () => load().then((m) => { Page = m[name]; set(null); }, () => set(true));

        useEffect(() => { if (!Page) fetch(); }, []);
        if (failed) return html`<${Failed} problem=${new Problem({}, 0)} again=${() => session().then(() => location.reload(), () => {})} top />`;
        return Page ? html`<${Page} ...${props} />` : html`<${Waiting} />`;
    };
};
// Who answers for the service or a domain lands on what there is to see to; a clerk on the quarantine; everybody else on their mail.
const overview = { path: "/", icon: "overview", word: "nav.overview", who: "owner", Page: later(() => import("./pages/overview.js"), "Overview") };
const mail = { path: "/mail", icon: "mail", word: "nav.mail", who: "person", Page: Mail };
const quarantine = { path: "/quarantine", icon: "quarantined", word: "nav.quarantine", Page: later(() => import("./pages/quarantine.js"), "Quarantine") };
const places = [
    overview, mail, quarantine,
    { path: "/rules", icon: "rules", word: "nav.rules", who: "person", Page: later(() => import("./pages/rules.js"), "Rules") },
    { path: "/policies", icon: "policies", word: "nav.policies", who: "thresholds", Page: later(() => import("./pages/policies.js"), "Policies") },
    { path: "/settings", icon: "settings", word: "nav.settings", Page: later(() => import("./pages/settings.js"), "Settings") },
    { path: "/people", icon: "people", word: "nav.people", who: "owner", Page: later(() => import("./pages/people.js"), "People") },
    { path: "/log", icon: "log", word: "nav.log", who: "person", Page: later(() => import("./pages/audit.js"), "Audit") },
    { path: "/brand", icon: "shield", word: "nav.brand", who: "admin", Page: later(() => import("./pages/brand.js"), "Brand") },
];
// Who looks after the quarantine of domains and has no mailbox here has that, and what is their own to set.
const onlyClerk = (me) => me.mailboxes.length === 0 && me.domains.length > 0 && me.domains.every((d) => d.role === "clerk");
const may = (me, who) => !who || (who === "person" && !onlyClerk(me)) || me.account.admin || me.domains.some((d) => d.role === "owner" && who !== "admin") || (who === "thresholds" && me.mailboxes.some((m) => m.thresholds));
const searches = (query) => ["q", "in", "open"].some((name) => query.has(name));
const placeAt = (me, path, query) => (path === "/" ? [overview, mail, quarantine].find((p) => may(me, p.who) && (p !== overview || !searches(query))) : places.find((p) => p.path !== "/" && (path === p.path || path.startsWith(`${p.path}/`))));

// Beside the page where there is room; over it, until one picks or turns away, where there is not.
function Side({ me, place, open, narrow, onClose, brand }) {
    const ref = useRef();
    const key = (e) => { if (narrow && e.key === "Escape") { e.stopPropagation(); onClose(); } };

    useLayoutEffect(() => { if (open && narrow) ref.current.querySelector("nav a")?.focus(); }, [open, narrow]);
    return html`${open && narrow && html`<div class="side-veil" onClick=${onClose}></div>`}<aside class="side" aria-label=${brand.name} hidden=${!open} ref=${ref} onKeyDown=${key} onClick=${(e) => narrow && e.target.closest("a") && onClose()}>
        ${narrow && html`<${Button} kind="bare" icon="close" aria-label=${t("close")} onClick=${onClose} />`}
        <${Link} class="brand" to="/">${brand.logo ? html`<img src=${brand.logo} alt=${brand.name} />` : html`<${Icon} name="shield" /> ${brand.name}`}</${Link}>
        <nav aria-label=${t("nav.main")}>${places.filter((p) => may(me, p.who)).map((p) => html`
            <${Link} to=${p.path} aria-current=${p === place ? "page" : undefined}>
                <${Icon} name=${p.icon} /> ${t(p.word)}</${Link}>`)}
            ${elsewhere(brand).map(([key, url]) => html`<a href=${url} target="_blank" rel="noopener noreferrer"><${Icon} name="next" /> ${t(`elsewhere.${key}`)}</a>`)}
        </nav>
        <div class="whoami">${brand.support && html`<p>${t("support")} <a href="mailto:${brand.support}">${brand.support}</a></p>`}<bdi>${me.account.name || me.account.login}</bdi><br />
            <${Button} kind="bare" icon="out" onClick=${() => del("/session").finally(() => location.assign("/"))}>${t("signout")}</${Button}></div>
    </aside>`;
}

function Frame({ me, brand }) {
    const { path, query } = useHere();
    const media = useMemo(() => matchMedia("(max-width: 900px)"), []);
    const [narrow, setNarrow] = useState(media.matches);
    const [open, setOpen] = useState(!narrow), [keys, showKeys] = useState(false);
    const menu = useRef();
    const shut = () => { setOpen(false); menu.current?.querySelector("button").focus(); };
    const place = placeAt(me, path, query);

    useEffect(() => {
        const on = () => { setNarrow(media.matches); setOpen(!media.matches); };
        media.addEventListener("change", on);
        return () => media.removeEventListener("change", on);
    }, []);
    // A search of one's mail that begins at the door goes on where mail is.
    useEffect(() => { if (path === "/" && may(me, overview.who) && searches(query)) go(`/mail${location.search}`, { replace: true }); }, [path, location.search]);
    useLayoutEffect(() => { document.title = `${place ? t(place.word) : t("missing.title")} · ${brand.name}`; }, [place]);
    useKeys({ "?": () => showKeys(true) });
    return html`<div class="frame">
        <a class="skip" href="#main">${t("skip")}</a>
        <header class="topbar" ref=${menu}><${Button} kind="bare" aria-expanded=${open} aria-label=${t("nav.open")} onClick=${() => setOpen(!open)} icon="menu" /> <strong>${brand.name}</strong></header>
        <${Side} me=${me} place=${place} open=${open} brand=${brand} narrow=${narrow} onClose=${shut} />
        <div>
            ${me.staff && html`<div class="banner" role="status">${t("staff", { who: me.acting_for, whom: me.account.login })}</div>`}
            <main id="main" tabindex="-1">${place && may(me, place.who) ? html`<${place.Page} me=${me} />` : html`<${Empty} title=${t("missing.title")} top>${t("missing.text")}</${Empty}>`}</main>
        </div>
        ${keys && html`<${KeysOver} onClose=${() => showKeys(false)} />`}
    </div>`;
}

function App() {
    const [state, set] = useState({});
    const look = () => Promise.all([session(), get("/brand", {}, { quiet: true }).catch(() => ({})), ready]).then(async ([me, brand]) => {
        await speak(me.account?.language);
        setZone(me.account?.zone);
        wear(brand);
        set({ me, brand: { name: t("nav.mail"), ...brand } });
    }, (problem) => set({ problem }));

    useEffect(() => { look(); return onSignedOut(look); }, []);
    if (state.problem) return html`<main id="main"><${Failed} problem=${state.problem} again=${look} top /></main>`;
    if (!state.me) return null;
    if (location.pathname === "/handoff") return html`<${HandOff} brand=${state.brand} />`;
    return html`${state.me.signed_in ? html`<${Frame} ...${state} />` : html`<${SignIn} brand=${state.brand} onSignedIn=${look} />`}<${Notes} />`;
}

document.addEventListener("click", follow);
render(html`<${App} />`, document.getElementById("app"));

// What people of a domain ask to have released, for the owners who decide.
import { html, useState } from "../modules/preact.js";
import { get, post, segment } from "../api.js";
import { Ago, Button, Dialog, Field, note, Their, useLoad } from "../ui.js";
import { t } from "../words.js";

export function Requests({ domain, onOpen, onDone }) {
    const { value, again } = useLoad((signal) => get(`/domains/${segment(domain)}/requests`, {}, { signal }).catch((p) => { if (p.name === "AbortError") throw p; return { items: [] }; }), [domain]);
    const [asked, ask] = useState(null);

    if (!value?.items.length) return null;
    return html`<section class="card requests" aria-label=${t("requests.title", { n: value.items.length })}><h2>${t("requests.title", { n: value.items.length })}</h2>
        <ul>${value.items.map((r) => html`<li key=${`${r.uid}/${r.n}`}><div><strong><${Their} text=${r.delivery?.subject} or=${t("subject.none")} /></strong>
            <span class="quiet"><${Their} text=${r.delivery?.from || r.delivery?.sender} or=${t("sender.none")} /> → <bdi>${r.request.who}</bdi> · <${Ago} at=${r.request.asked} /></span>
            ${r.request.why && html`<q><bdi>${r.request.why}</bdi></q>`}</div>
            <div class="actions"><${Button} onClick=${() => onOpen(r)}>${t("requests.look")}</${Button}>
            <${Button} kind="primary" onClick=${() => ask({ r, grant: true })}>${t("act.release")}</${Button}><${Button} kind="danger" onClick=${() => ask({ r, grant: false })}>${t("requests.refuse")}</${Button}></div></li>`)}</ul>
        ${asked && html`<${Answer} domain=${domain} ...${asked} onClose=${() => ask(null)} onDone=${() => { ask(null); again(); onDone(); }} />`}</section>`;
}

function Answer({ domain, r, grant, onClose, onDone }) {
    const [answer, setAnswer] = useState("");
    const [busy, setBusy] = useState(false);
    const [wrong, setWrong] = useState();
    const send = async () => {
        setBusy(true);
        try { await post(`/domains/${segment(domain)}/requests/${r.uid}/${r.n}`, { grant, answer }); note(t(grant ? "requests.granted" : "requests.refused")); onDone(); }
        catch (p) { setWrong(p.offline ? t("offline.text") : p.message); setBusy(false); }
    };

    return html`<${Dialog} title=${t(grant ? "requests.grant_title" : "requests.refuse_title")} onClose=${onClose} actions=${html`<${Button} onClick=${onClose}>${t("cancel")}</${Button}><${Button} kind=${grant ? "primary" : "danger"} busy=${busy} onClick=${send}>${t(grant ? "act.release" : "requests.refuse")}</${Button}>`}>
        <${Field} label=${t("requests.answer", { who: r.request.who })} problem=${wrong}>${(field) => html`<textarea rows="3" maxlength="900" autofocus value=${answer} onInput=${(e) => setAnswer(e.target.value)} ...${field}></textarea>`}</${Field}>
    </${Dialog}>`;
}

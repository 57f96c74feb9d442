// What we call ourselves and look like, for hosts and domains: the operator's page.
import { html, useEffect, useState } from "../modules/preact.js";
import { del, get, patch, post, put, segment } from "../api.js";
import { touched } from "../meanwhile.js";
import { Button, Dialog, Empty, Failed, Field, note, useLoad, Waiting } from "../ui.js";
import { t } from "../words.js";

const texts = [["name", { maxlength: 60 }], ["support", { placeholder: "help@example.com" }], ["sender", { placeholder: "Acme <mail@example.com>" }], ["url", { placeholder: "https://mail.example.com" }],
    ["webmail"], ["contacts"], ["calendar"], ["prefix", { maxlength: 32, placeholder: "ACME" }], ["accent_light", { maxlength: 7, placeholder: "#2f6f62" }], ["accent_dark", { maxlength: 7, placeholder: "#6fc0ae" }]];
const hints = () => ({ prefix: t("brand.hint_prefix"), url: t("brand.hint_url") }), picked = () => ({ accent_light: t("brand.pick_light"), accent_dark: t("brand.pick_dark") });
const said = (p) => (p.offline ? t("offline.text") : p.message);

// A colour by eye, and as it is written.
const Colour = ({ pick, placeholder, value, onInput, ...a }) => html`<span class="colour"><input type="color" aria-label=${pick} value=${/^#[0-9a-f]{6}$/i.test(value) ? value.toLowerCase() : placeholder} onInput=${onInput} />
    <input value=${value} placeholder=${placeholder} maxlength="7" onInput=${onInput} ...${a} /></span>`;

// What was not touched is not written: others may have.
function Edit({ brand, onClose, onDone }) {
    const first = Object.fromEntries(texts.map(([k]) => [k, brand[k] ?? ""])), [values, set] = useState(first);
    const [busy, setBusy] = useState(false);
    const [wrong, setWrong] = useState();
    const put = (key) => (e) => { const { value } = e.target; set((v) => ({ ...v, [key]: value })); setWrong((p) => (p?.member === key ? undefined : p)); };
    const send = async (event) => {
        event.preventDefault();
        setBusy(true);
        setWrong(undefined);
        try { await (brand.id ? patch(`/brands/${brand.id}`, touched(first, values)) : post("/brands", values)); note(t("brand.saved")); onDone(); } catch (p) { setWrong(p); setBusy(false); }
    };
    // What is wrong is brought into sight: the form is longer than a window.
    useEffect(() => { if (wrong) document.querySelector("#brand [aria-invalid='true'], #brand > .problem")?.scrollIntoView({ block: "center" }); }, [wrong]);
    const problem = (key) => (wrong?.member === key ? said(wrong) : undefined), hint = hints(), pick = picked();

    return html`<${Dialog} title=${brand.id ? t("brand.change") : t("brand.add")} onClose=${onClose} actions=${html`<${Button} onClick=${onClose}>${t("cancel")}</${Button}><${Button} kind="primary" type="submit" form="brand" busy=${busy}>${t("brand.save")}</${Button}>`}>
        <form id="brand" onSubmit=${send} novalidate>${wrong && !(wrong.member in values) && html`<p class="problem" role="alert">${said(wrong)}</p>`}
        ${texts.map(([key, more], i) => html`<${Field} key=${key} label=${t(`brand.field.${key}`)} hint=${hint[key]} problem=${problem(key)} autofocus=${i === 0} value=${values[key]} onInput=${put(key)} ...${more}>
            ${pick[key] && ((a) => html`<${Colour} ...${a} ...${more} aria-invalid=${problem(key) ? "true" : undefined} pick=${pick[key]} value=${values[key]} onInput=${put(key)} />`)}</${Field}>`)}</form>
    </${Dialog}>`;
}

// Its hosts or domains: one line each, and a field for another.
function Given({ brand, kind, act }) {
    const [name, set] = useState("");
    const path = (n) => `/brands/${brand.id}/${kind}/${segment(n)}`;
    const add = (e) => { e.preventDefault(); if (name.trim()) act(() => put(path(name.trim()), {})).then(() => set("")); };

    return html`<section class="given"><h3>${t(`brand.${kind}`)}</h3>
        <ul>${brand[kind].map((n) => html`<li key=${n}><bdi>${n}</bdi> <${Button} kind="bare" icon="close" aria-label=${t("brand.take", { name: n })} onClick=${() => act(() => del(path(n)))} /></li>`)}</ul>
        <form class="actions" onSubmit=${add}><input aria-label=${t(`brand.add_${kind}`)} placeholder=${kind === "hosts" ? "mail.example.com" : "example.com"} value=${name} onInput=${(e) => set(e.target.value)} /><button class="button" type="submit">${t("brand.give")}</button></form></section>`;
}

function Card({ brand, again, onEdit }) {
    const [wrong, setWrong] = useState();
    const [asked, ask] = useState(false);
    const act = (fn) => fn().then(() => { setWrong(); again(); }, (p) => setWrong(said(p)));
    const upload = (e) => { const [file] = e.target.files; e.target.value = ""; if (file) act(() => put(`/brands/${brand.id}/logo`, undefined, { bytes: file })); };

    return html`<section class="card" aria-label=${brand.name}><h2><bdi>${brand.name}</bdi></h2>
        ${wrong && html`<p class="problem" role="alert">${wrong}</p>`}
        ${brand.logo && html`<p class="brand-logo"><img src=${brand.logo} alt=${t("brand.logo_of", { name: brand.name })} /></p>`}
        <div class="actions"><${Button} onClick=${onEdit}>${t("brand.change")}</${Button}>
            <label class="button brand-upload">${t("brand.logo")}<input class="unseen" type="file" accept="image/png,image/jpeg,image/webp,image/svg+xml" onChange=${upload} /></label>
            ${brand.logo && html`<${Button} onClick=${() => act(() => put(`/brands/${brand.id}/logo`, undefined, { bytes: new Blob([]) }))}>${t("brand.logo_none")}</${Button}>`}
            <${Button} kind="danger" onClick=${() => ask(true)}>${t("brand.delete")}</${Button}></div>
        <dl class="facts">${texts.filter(([key]) => key !== "name" && brand[key]).map(([key]) => html`<dt>${t(`brand.field.${key}`)}</dt><dd><bdi>${brand[key]}</bdi></dd>`)}</dl>
        <${Given} brand=${brand} kind="hosts" act=${act} /><${Given} brand=${brand} kind="domains" act=${act} />
        ${asked && html`<${Dialog} title=${t("brand.delete_title", { name: brand.name })} onClose=${() => ask(false)} actions=${html`<${Button} onClick=${() => ask(false)}>${t("cancel")}</${Button}><${Button} kind="danger" onClick=${() => { ask(false); act(() => del(`/brands/${brand.id}`)); }}>${t("brand.delete")}</${Button}>`}>${t("brand.delete_text")}</${Dialog}>`}
    </section>`;
}

export function Brand() {
    const { value, problem, again } = useLoad((signal) => get("/brands", {}, { signal }), []);
    const [editing, edit] = useState(null);

    if (!value) return html`<div class="page-head"><h1>${t("nav.brand")}</h1></div>${problem ? html`<${Failed} problem=${problem} again=${again} />` : html`<${Waiting} />`}`;
    return html`<div class="page-head"><h1>${t("nav.brand")}</h1><${Button} kind="primary" onClick=${() => edit({})}>${t("brand.add")}</${Button}></div>
        ${value.items.length === 0 && html`<${Empty} title=${t("brand.none")}>${t("brand.none_text")}</${Empty}>`}
        ${value.items.map((b) => html`<${Card} key=${b.id} brand=${b} again=${again} onEdit=${() => edit(b)} />`)}
        ${editing && html`<${Edit} brand=${editing} onClose=${() => edit(null)} onDone=${() => { edit(null); again(); }} />`}`;
}

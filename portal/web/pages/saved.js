// The searches that one keeps, above the list of mail: a press goes there; the one that is open can be kept, renamed, moved and let go.
import { html, useLayoutEffect, useRef, useState } from "../modules/preact.js";
import { del, get, patch, post } from "../api.js";
import { go } from "../router.js";
import { Button, Dialog, Field, Icon, Link, note, useLoad } from "../ui.js";
import { t } from "../words.js";

const said = (p) => (p.offline ? t("offline.text") : p.message);
const to = (s) => `/mail?${new URLSearchParams({ ...(s.q && { q: s.q }), ...(s.in && { in: s.in }) })}`;

function Keep({ q, place, onClose, onDone }) {
    const [name, setName] = useState(""), [busy, setBusy] = useState(false), [wrong, setWrong] = useState();
    const keep = async (e) => {
        e.preventDefault();
        setBusy(true);
        try { await post("/me/searches", { name: name.trim(), q, in: place }); note(t("saved.kept")); onDone(); }
        catch (p) { setWrong(said(p)); setBusy(false); }
    };

    return html`<${Dialog} title=${t("saved.keep")} onClose=${onClose} actions=${html`<${Button} onClick=${onClose}>${t("cancel")}</${Button}><${Button} kind="primary" busy=${busy} disabled=${!name.trim()} onClick=${keep}>${t("save")}</${Button}>`}>
        <form onSubmit=${keep}><${Field} label=${t("saved.name")} autofocus maxlength="60" autocomplete="off" value=${name} onInput=${(e) => setName(e.target.value)} problem=${wrong} /></form></${Dialog}>`;
}

// One line a search: its name, its place, away with it. All is done as it is pressed.
function Arrange({ list, onClose }) {
    const [names, setNames] = useState({});
    const does = async (work) => { try { await work(); } catch (p) { note(said(p)); } list.again(); };
    const rename = (s) => { const name = (names[s.id] ?? s.name).trim(); if (name && name !== s.name) does(() => patch(`/me/searches/${s.id}`, { name })); };
    const move = (s, by) => does(() => patch(`/me/searches/${s.id}`, { position: s.position + by }));
    const items = list.value.items, all = useRef();

    // Who pressed a button that is gone now, or dead, stays in the dialog all the same.
    useLayoutEffect(() => { const at = document.activeElement; if (at === document.body || at?.disabled) all.current.closest(".dialog").focus(); }, [list.value]);
    return html`<${Dialog} title=${t("saved.arrange")} onClose=${onClose} actions=${html`<${Button} kind="primary" onClick=${onClose}>${t("close")}</${Button}>`}>
        ${items.length === 0 && html`<p class="quiet">${t("saved.none")}</p>`}
        <ul class="saved-list" ref=${all}>${items.map((s, i) => html`<li key=${s.id}>
            <input aria-label=${t("saved.name_of", { name: s.name })} maxlength="60" value=${names[s.id] ?? s.name} onInput=${(e) => setNames({ ...names, [s.id]: e.target.value })} onBlur=${() => rename(s)} onKeyDown=${(e) => e.key === "Enter" && rename(s)} />
            <button type="button" class="step up" disabled=${i === 0} aria-label=${t("saved.up", { name: s.name })} onClick=${() => move(s, -1)}><${Icon} name="next" /></button>
            <button type="button" class="step down" disabled=${i === items.length - 1} aria-label=${t("saved.down", { name: s.name })} onClick=${() => move(s, 1)}><${Icon} name="next" /></button>
            <button type="button" class="step" aria-label=${t("saved.delete", { name: s.name })} onClick=${() => does(() => del(`/me/searches/${s.id}`))}><${Icon} name="close" /></button>
            <bdi class="quiet">${[s.q, s.in].filter(Boolean).join(" · ") || t("preset.all")}</bdi></li>`)}</ul></${Dialog}>`;
}

export function Saved({ q, place }) {
    const list = useLoad((signal) => get("/me/searches", {}, { signal, quiet: true }), []);
    const [ask, setAsk] = useState("");
    const items = list.value?.items ?? [], open = items.find((s) => s.q === q && s.in === place);

    if (items.length === 0 && !q) return null;
    return html`<div class="presets saved" role="group" aria-label=${t("saved.title")}>
        ${items.map((s) => html`<${Link} key=${s.id} to=${to(s)} aria-current=${s === open ? "true" : undefined}><bdi>${s.name}</bdi></${Link}>`)}
        ${q && !open && html`<button type="button" class="switch" onClick=${() => setAsk("keep")}>${t("saved.keep")}</button>`}
        ${items.length > 0 && html`<button type="button" class="switch" onClick=${() => setAsk("arrange")}>${t("saved.arrange")}</button>`}
        ${ask === "keep" && html`<${Keep} q=${q} place=${place} onClose=${() => setAsk("")} onDone=${() => { setAsk(""); list.again(); }} />`}
        ${ask === "arrange" && html`<${Arrange} list=${list} onClose=${() => setAsk("")} />`}</div>`;
}

// The senders that are allowed or blocked, as plain lists.
import { html, useEffect, useRef, useState } from "../modules/preact.js";
import { get, post } from "../api.js";
import { Button, Dialog, Empty, Failed, Field, note, useLoad, Waiting } from "../ui.js";
import { number, t } from "../words.js";

const PAGE = 500, TEXT_MAX = 20000;
const say = (problem) => (problem.offline ? t("offline.text") : problem.message);
const linesOf = (text) => text.split("\n").map((l) => l.trim());

// Waits until nobody types.
function useSettled(value, ms) {
    const [now, set] = useState(value);

    useEffect(() => { const timer = setTimeout(() => set(value), ms); return () => clearTimeout(timer); }, [value]);
    return now;
}

function AsText({ load, onSave, onClose, wrong, meant, busy }) {
    const [state, set] = useState({});

    useEffect(() => { load().then((entries) => set({ entries, text: entries.join("\n") }), (problem) => set({ problem })); }, []);
    if (state.problem) return html`<${Failed} problem=${state.problem} />`;
    if (!state.entries) return html`<${Waiting} rows=${4} />`;
    const save = () => {
        const now = linesOf(state.text), before = new Set(state.entries), after = new Set(now);
        // What is there already stays as an empty line: so what is wrong with one is said by its number.
        onSave({ add: now.map((l) => (before.has(l) ? "" : l)), remove: state.entries.filter((l) => !after.has(l)) });
    };
    return html`<div class="card stack"><${Field} label=${t("lists.lines")} problem=${wrong}>${(props) => html`<textarea ...${props} class="mono" rows="16" spellcheck=${false} value=${state.text} onInput=${(e) => set({ ...state, text: e.target.value })}></textarea>`}</${Field}>
        <div class="actions"><${Button} kind="primary" busy=${busy} onClick=${save}>${t("save")}</${Button}><${Button} onClick=${onClose}>${t("cancel")}</${Button}>${meant}</div></div>`;
}

export function Lists({ path, policies }) {
    const usual = policies.find((p) => p.name === "Rules") ?? policies[0];
    const [action, setAction] = useState("block"), [policy, setPolicy] = useState(usual.id), [filter, setFilter] = useState(""), q = useSettled(filter.trim(), 200);
    const [what, setWhat] = useState(""), [busy, setBusy] = useState(false), [wrong, setWrong] = useState(), [asks, setAsks] = useState(null), [text, setText] = useState(false), [empty, setEmpty] = useState(false);
    const query = { action, policy };
    const list = useLoad((signal) => get(path, { ...query, q, limit: PAGE }, { signal }), [path, action, policy, q]);
    const items = list.value?.items ?? [], { total = 0, next } = list.value ?? {};
    const calm = () => { setWrong(undefined); setAsks(null); };
    const rows = useRef(), gone = useRef(null);
    const more = async () => { const page = await get(path, { ...query, q, limit: PAGE, after: next }); list.set({ ...page, items: [...items, ...page.items] }); };
    const all = async () => {
        const got = [];
        for (let after; ;) {
            const page = await get(path, { ...query, limit: 5000, after });
            if (page.total > TEXT_MAX) throw new Error(t("lists.too_long"));
            got.push(...page.items.map((i) => i.entry));
            if (page.next === null) return got;
            after = page.next;
        }
    };
    // Done is said, with a way back.
    const change = async (body) => {
        const done = await post(path, { ...query, ...body });
        const undo = () => post(path, { ...query, add: done.removed, remove: done.added, confirm: true }).then(list.again, (p) => note(say(p)));
        const changed = done.added.length + done.removed.length > 0;
        note([t("lists.changed", { added: number(done.added.length), removed: number(done.removed.length) }), done.already > 0 && t("lists.already", { n: done.already })].filter(Boolean).join(" "), changed ? undo : undefined);
        list.again();
    };
    // Of what was typed, it is said there what is wrong.
    const typed = async (body) => {
        setBusy(true);
        try { await change(body); calm(); setText(false); if (!text) setWhat((now) => (now === what ? "" : now)); } catch (p) { setAsks(p.status === 409 ? { ...body, confirm: true } : null); setWrong(say(p)); }
        setBusy(false);
    };
    const pressed = async (body) => { setBusy(true); try { await change(body); } catch (p) { gone.current = null; note(say(p)); } setBusy(false); setEmpty(false); };
    const remove = (entry, i) => { gone.current = i; pressed({ remove: [entry] }); };

    // Who takes out one after the other goes on with the next.
    useEffect(() => {
        const all = rows.current?.children ?? [], i = gone.current;

        if (i === null || list.loading) return;
        gone.current = null;
        if (all.length > 0) all[Math.min(i, all.length - 1)].querySelector("button").focus();
    }, [list.value]);

    return html`<div class="lists-head">
            <label><span class="unseen">${t("lists.which")}</span><select value=${action} onChange=${(e) => { setAction(e.target.value); setText(false); calm(); }}><option value="block">${t("lists.block")}</option><option value="allow">${t("lists.allow")}</option></select></label>
            ${policies.length > 1 && html`<label><span class="unseen">${t("edit.policy")}</span><select value=${policy} onChange=${(e) => { setPolicy(e.target.value); setText(false); calm(); }}>${policies.map((p) => html`<option value=${p.id}>${t("rules.policy_mark", { name: p.name })}</option>`)}</select></label>`}
            ${!text && html`<input type="search" aria-label=${t("lists.filter")} placeholder=${t("lists.filter")} maxlength="200" value=${filter} onInput=${(e) => setFilter(e.target.value)} />`}</div>
        <p class="quiet">${t("lists.text")}</p>
        ${text ? html`<${AsText} key=${action + policy} load=${all} busy=${busy} wrong=${wrong} meant=${asks && html`<${Button} onClick=${() => typed(asks)}>${t("rules.meant")}</${Button}>`} onSave=${typed} onClose=${() => { setText(false); calm(); }} />` : html`
            <form class="quick solo" onSubmit=${(e) => { e.preventDefault(); if (what.trim()) typed({ add: [what.trim()] }); }}>
                <input aria-label=${t("rules.what")} placeholder=${t("rules.what")} value=${what} maxlength="1000" aria-invalid=${wrong ? "true" : undefined} onInput=${(e) => { setWhat(e.target.value); calm(); }} />
                <${Button} kind="primary" type="submit" busy=${busy} disabled=${!what.trim()}>${t("lists.add")}</${Button}>
                ${wrong && html`<p class="problem" role="alert">${wrong} ${asks && html`<${Button} onClick=${() => typed(asks)}>${t("rules.meant")}</${Button}>`}</p>`}
            </form>
            <div class="page-head order"><p class="quiet">${list.value && t("lists.count", { n: total })}</p>
                <${Button} onClick=${() => setText(true)}>${t("lists.edit")}</${Button}>
                ${total > 0 && !q && html`<${Button} kind="danger" onClick=${() => setEmpty(true)}>${t("lists.reset")}</${Button}>`}</div>
            ${list.problem && !list.value ? html`<${Failed} problem=${list.problem} again=${list.again} />`
                : !list.value ? html`<${Waiting} />`
                : items.length === 0 ? html`<${Empty} title=${t(q ? "lists.none_found" : "lists.none")} />`
                : html`<ul class="rows entries" ref=${rows} aria-label=${t(`lists.${action}`)} aria-busy=${list.loading}>${items.map(({ entry }, i) => html`<li key=${entry} class="one"><bdi>${entry}</bdi><${Button} kind="bare" icon="close" aria-label=${t("lists.remove", { entry })} onClick=${() => remove(entry, i)} /></li>`)}</ul>
                    ${next && html`<div class="more"><${Button} onClick=${more}>${t("more")}</${Button}></div>`}`}`}
        ${empty && html`<${Dialog} title=${t("lists.reset_title")} onClose=${() => setEmpty(false)} actions=${html`<${Button} onClick=${() => setEmpty(false)}>${t("cancel")}</${Button}><${Button} kind="danger" busy=${busy} onClick=${() => pressed({ reset: true })}>${t("lists.reset")}</${Button}>`}>${t("lists.reset_text", { n: total })}</${Dialog}>`}`;
}

// What pages that list and change things share: all of a list, doing something to it, and asking before what cannot be undone.
import { html, useLayoutEffect, useRef, useState } from "./modules/preact.js";
import { get } from "./api.js";
import { Button, Dialog, Empty, Failed, Field, note, Waiting } from "./ui.js";
import { t } from "./words.js";

export const said = (p) => (p.offline ? t("offline.text") : p.message);

// Does it, says so, and shows what is now; what went wrong is said where it was asked for.
export const doing = (list) => async (work, text) => { try { await work(); if (text) note(text); list.again(); return true; } catch (p) { note(said(p)); return false; } };

// All pages of a list, as many as a person can look at.
export async function all(path, signal) {
    const items = [];
    let after;

    do {
        const page = await get(path, { after }, { signal });
        items.push(...page.items);
        after = page.next;
    } while (after && items.length < 2000);
    return { items };
}

export function Listed({ of, none, children }) {
    if (of.problem && !of.value) return html`<${Failed} problem=${of.problem} again=${of.again} />`;
    if (!of.value) return html`<${Waiting} rows=${4} />`;
    return of.value.items.length === 0 ? html`<${Empty} title=${none} />` : children(of.value.items);
}

// What cannot be undone is typed.
export function Sure({ name, text, onSure, onClose }) {
    const [typed, setTyped] = useState("");
    const right = typed.trim().toLowerCase() === name.trim().toLowerCase();
    const sure = (e) => { e.preventDefault(); if (right) onSure(); };

    return html`<${Dialog} title=${t("sure.title", { name })} onClose=${onClose} actions=${html`<${Button} onClick=${onClose}>${t("cancel")}</${Button}><${Button} kind="danger" disabled=${!right} onClick=${sure}>${t("sure.delete")}</${Button}>`}>
        <p>${text}</p><form onSubmit=${sure}><${Field} label=${t("sure.type", { name })} autofocus autocomplete="off" value=${typed} onInput=${(e) => setTyped(e.target.value)} /></form></${Dialog}>`;
}

// A table; on a phone each row is a card, with the heads beside what they are about. The last cell is what can be done. When the row goes
// that has the focus, the one in its place gets it.
export function Sheet({ label, heads, rows }) {
    const ref = useRef(), at = useRef(-1);
    const enter = (e) => { at.current = (e.target.closest("tbody tr")?.rowIndex ?? 0) - 1; };

    useLayoutEffect(() => {
        if (at.current < 0 || document.activeElement !== document.body) return;
        const all = ref.current.tBodies[0].rows;
        all[Math.min(at.current, all.length - 1)]?.querySelector("td:last-child button, select, a, input")?.focus();
    }, [rows.length]);
    return html`<table class="table sheet" role="table" aria-label=${label} ref=${ref} onFocusCapture=${enter}><thead role="rowgroup"><tr role="row">${heads.map((h) => html`<th role="columnheader">${h}</th>`)}<th role="columnheader"><span class="unseen">${t("what")}</span></th></tr></thead>
    <tbody role="rowgroup">${rows.map(([key, ...cells]) => html`<tr role="row" key=${key}>${cells.map((cell, i) => html`<td role="cell" data-head=${heads[i]}>${cell}</td>`)}</tr>`)}</tbody></table>`;
}

// Rules that never decide and rules that contradict, as sentences.
import { html, useEffect, useState } from "../modules/preact.js";
import { post } from "../api.js";
import { Icon } from "../ui.js";
import { t } from "../words.js";

// What somebody wrote, inside of a sentence: no direction of its own leaks out of it.
export const apart = (text) => `\u2068${text}\u2069`;
const both = (list) => new Intl.ListFormat(document.documentElement.lang).format(list);
const named = (r, own) => (r.id === null ? own : r.above ? t("conflict.above", { name: apart(r.name || t("rules.unnamed")) }) : t("conflict.rule", { n: r.number }));
const start = (text) => text.charAt(0).toUpperCase() + text.slice(1);

// own: what a rule is called that is not stored yet.
export function sentence(f, own = "") {
    const by = both(f.by.map((r) => named(r, own))), n = f.by.length;

    if (f.kind === "shadowed") return t(f.opposite ? "conflict.shadowed.opposite" : "conflict.shadowed", { by, n });
    const entry = f.entry === null ? null : f.entries > 1 ? t("conflict.entry_more", { entry: apart(f.entry), n: f.entries - 1 }) : apart(f.entry);
    return t(`conflict.contradicts${entry === null ? "" : ".entry"}${f.if_proven ? ".proven" : ""}`, { by, entry });
}
// Of a rule that is not stored: what it would do to one that is.
const consequence = (f) => t(f.kind === "shadowed" ? "conflict.would_shadow" : "conflict.would_contradict", { rule: f.kind === "shadowed" ? start(named(f.rule)) : named(f.rule) });

export const Flag = ({ found, own }) => html`<span class="flag ${found.kind}"><${Icon} name="spam" /><span>${sentence(found, own)}</span></span>`;

// In the editor: what stands in front of the rule as it is written now, and what it would stand in front of.
export function Beside({ path, rule, id, policy }) {
    const json = JSON.stringify(rule), [found, set] = useState();
    const ready = rule.conditions.every((c) => (c.kind === "size" ? c.min !== undefined || c.max !== undefined : c.any.length > 0));

    useEffect(() => {
        if (!ready) { set(undefined); return undefined; }
        const stop = new AbortController();
        const timer = setTimeout(() => post(`${path}/check`, { rule, ...(id ? { id } : {}), ...(policy ? { policy } : {}) }, { signal: stop.signal, key: false }).then(set, () => set(undefined)), 400);
        return () => { clearTimeout(timer); stop.abort(); };
    }, [json, path, policy]);
    return html`<div class="beside" aria-live="polite">${found?.items.map((f) => html`<p class="warn">${f.rule.id === null ? sentence(f) : consequence(f)}</p>`)}</div>`;
}

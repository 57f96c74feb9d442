// A rule as a sentence, and its entries as lines. What a stranger or a person wrote stays text.
import { html } from "../modules/preact.js";
import { Icon } from "../ui.js";
import { size, t } from "../words.js";

export const texts = new Set(["subject", "body", "header"]); // kinds that compare texts

// An attachment's entry as a line, and back: ".pdf", "application/*", "invoice-*.pdf", "*" (any at all); what is more than that stays JSON.
export const lineOf = (entry) => {
    if (typeof entry === "string") return entry;
    const keys = Object.keys(entry);
    if (keys.length === 1 && entry.extension) return `.${entry.extension.replace(/^\./, "")}`;
    if (keys.length === 1 && (entry.mime_type?.includes("/") || (entry.filename && !entry.filename.includes("/") && entry.filename !== "*" && !/^[.{]/.test(entry.filename)))) return entry.mime_type ?? entry.filename;
    return keys.length === 1 && entry.present === true ? "*" : JSON.stringify(entry);
};
export const entryOf = (kind, line) => {
    if (kind !== "attachment") return line;
    if (line.startsWith("{")) { try { return JSON.parse(line); } catch { return { filename: line }; } }
    if (line === "*") return { present: true };
    if (/^\.[^.*]+$/.test(line)) return { extension: line.slice(1) };
    return line.includes("/") ? { mime_type: line } : { filename: line };
};

const BLANK = "…"; // what is not filled in yet
export const sizeLimits = (c) => [c.min > 0 ? c.min : undefined, c.max < 1e15 ? c.max : undefined];
function sizeSaid(c, not) {
    const [min, max] = sizeLimits(c), one = min !== undefined && max === undefined ? ".min" : max !== undefined && min === undefined ? ".max" : "";

    return t(`cond.size${one}${not}`, { min: min === undefined ? BLANK : size(min), max: max === undefined ? BLANK : size(max) });
}

function Condition({ c }) {
    const not = c.not ? ".not" : "";
    const list = (c.any ?? []).map(lineOf), shown = (list.length > 0 ? list.slice(0, 3) : [BLANK]).map((entry) => html`<bdi class="said">${entry}</bdi>`), others = list.length - 3;

    if (c.kind === "size") return sizeSaid(c, not);
    const lead = texts.has(c.kind) ? `${t(`field.${c.kind}`, { name: c.name || BLANK })} ${t(`match.${c.match ?? "contains"}${not}`)}` : t(`cond.${c.kind}${c.kind === "sender" && c.source && c.source !== "from" ? `.${c.source}` : ""}${not}`);
    const any = others > 0 ? [...shown, t("rules.others", { n: others })] : shown;
    return html`${lead} ${any.map((one, i) => html`${i > 0 && (i < any.length - 1 ? ", " : ` ${t("rules.or")} `)}${one}`)}`;
}
export const Sentence = ({ rule }) => html`${t(`rules.if.${rule.action}`)} ${rule.conditions.map((c, i) => html`${i > 0 && ` ${t("rules.and")} `}<${Condition} c=${c} />`)}${rule.action === "allow" && rule.require_proof && rule.conditions.some((c) => c.kind === "sender" && !c.not) && ` ${t("rules.if_proven")}`}.`;
export const Action = ({ action }) => html`<span class="chip chip-${action === "allow" ? "delivered" : "blocked"}"><${Icon} name=${action === "allow" ? "delivered" : "blocked"} />${t(`rules.${action}`)}</span>`;

// The search as a form: what the box says, field by field. It keeps nothing of its own: each press changes the text, and the text is what it shows.
import { html, useRef, useState } from "../modules/preact.js";
import { dayAfter, replaced, spans, terms } from "../terms.js";
import { Button, Field, Icon, useTrap } from "../ui.js";
import { t, today } from "../words.js";

const texts = ["from", "to", "subject"], exactly = ["uid", "domain", "rule"], raw = ["inbound", "outbound", "delivery"];
const statuses = ["received", "queued", "delivered", "spam", "quarantined", "blocked", "rejected"];
const directions = ["inbound", "outbound", "local"];
const named = (name) => (one) => one.name === name;
const times = (one) => ["date", "after", "before"].includes(one.name);

// What is typed stays as it is typed, as long as it means what the search says: a blank at the end would be gone otherwise.
function useDraft(said, meant) {
    const [draft, set] = useState(said);
    return [meant(draft) === meant(said) ? draft : said, set];
}

// One text of that name, or one of some, and whether it is one to leave out.
function Text({ name, one, put, choices }) {
    const [value, draft] = useDraft(one?.value ?? "", (text) => text.trim()), [wish, setWish] = useState(false);
    const not = one ? one.not : wish, label = t(`form.${name}`), hint = t(`form.${name}_hint`);
    const say = (text) => { draft(text); put({ name, value: text.trim(), not }); };

    return html`<${Field} label=${label} hint=${hint === `form.${name}_hint` ? undefined : hint}>${(field) => html`<div class="with-not">
        ${choices ? html`<${Choice} name=${name} value=${value.toLowerCase()} choices=${choices} onChoice=${say} ...${field} />`
            : html`<input autocomplete="off" autocapitalize="off" spellcheck=${false} value=${value} onInput=${(e) => say(e.target.value)} ...${field} />`}
        <label class="check"><input type="checkbox" aria-label=${t("form.not_this", { label })} checked=${not} onChange=${(e) => { setWish(e.target.checked); if (one) put({ name, value: one.value, not: e.target.checked }); }} /> ${t("form.not")}</label></div>`}</${Field}>`;
}

// Several at once can be typed, and are shown as what was typed.
const Choice = ({ name, value, choices, onChoice, ...field }) => html`<select value=${value} onChange=${(e) => onChoice(e.target.value)} ...${field}>
    <option value="">${t(`form.${name}.any`)}</option>${choices.map((c) => html`<option value=${c}>${t(`form.${name}.${c}`)}</option>`)}
    ${value && !choices.includes(value) && html`<option value=${value}>${value}</option>`}</select>`;

// All texts of that name, or a field for the first.
const Texts = ({ name, all, change, choices }) => {
    const mine = all.filter(named(name));
    const put = (i) => (one) => change(named(name), mine.length > 0 ? mine.map((m, at) => (at === i ? one : m)) : [one]);

    return (mine.length > 0 ? mine : [undefined]).map((one, i) => html`<${Text} key=${`${name}${i}`} name=${name} one=${one} put=${put(i)} choices=${choices} />`);
};

// The words without a name, wanted or not, as the box has them.
function Words({ all, not, change }) {
    const mine = (one) => !one.name && one.not === not;
    const parts = (text) => terms(text).map((one) => ({ name: "", value: one.name ? one.raw : one.not ? `-${one.value}` : one.value, not }));
    const shown = all.filter(mine).map((one) => (/\s/.test(one.value) ? `"${one.value}"` : one.value)).join(" ");
    const [value, draft] = useDraft(shown, (text) => JSON.stringify(parts(text)));

    return html`<${Field} label=${t(not ? "form.without" : "form.words")} hint=${not ? undefined : t("form.words_hint")} autocomplete="off" value=${value} onInput=${(e) => { draft(e.target.value); change(mine, parts(e.target.value)); }} />`;
}

function Statuses({ all, change }) {
    const mine = all.filter(named("status")), not = mine.length === 1 && mine[0].not;
    const set = (one) => new Set(one.value.toLowerCase().split(","));
    const picked = not ? set(mine[0]) : mine.reduce((left, one) => new Set([...left].filter((s) => set(one).has(s) !== one.not)), new Set(mine.length > 0 ? statuses : []));
    const [wish, setWish] = useState(false), out = mine.length > 0 ? not : wish;
    const put = (these, without) => change(named("status"), [{ name: "status", value: statuses.filter((s) => these.has(s)).join(","), not: without }]);
    const flip = (s) => { const now = new Set(picked); now.has(s) ? now.delete(s) : now.add(s); put(now, out); };

    return html`<fieldset class="plain-set"><legend>${t("form.status")}</legend><div class="ticks">
        ${statuses.map((s) => html`<label class="check"><input type="checkbox" checked=${picked.has(s)} onChange=${() => flip(s)} /> ${t(`status.${s}`)}</label>`)}
        <label class="check"><input type="checkbox" aria-label=${t("form.not_this", { label: t("form.status") })} checked=${out} onChange=${(e) => { setWish(e.target.checked); put(picked, e.target.checked); }} /> ${t("form.not")}</label></div></fieldset>`;
}

// A day that is shown is a day that is meant: the last one too, whereas before: ends in front of its day.
function When({ all, change }) {
    const last = (name) => all.findLast(named(name))?.value ?? "", date = last("date").toLowerCase(), after = last("after").slice(0, 10), before = last("before").slice(0, 10);
    const [own, setOwn] = useState(false), range = Boolean(after || before), until = /^\d{4}-\d\d-\d\d$/.test(before) ? dayAfter(before, -1) : "";
    const put = (from, to) => { setOwn(true); change(times, [{ name: "after", value: from }, { name: "before", value: to && dayAfter(to) }]); };
    const pill = (word, on, press) => html`<button type="button" class="preset" aria-pressed=${on ? "true" : "false"} onClick=${press}>${t(`form.date.${word}`)}</button>`;

    return html`<fieldset class="plain-set"><legend>${t("form.date")}</legend><div class="presets">
        ${pill("any", !date && !range && !own, () => { setOwn(false); change(times, []); })}
        ${Object.keys(spans).map((word) => pill(word, date === word, () => { setOwn(false); change(times, [{ name: "date", value: word }]); }))}
        ${pill("own", range || own, () => { setOwn(true); if (date) put(spans[date] ? dayAfter(today(), spans[date][0]) : "", spans[date] ? dayAfter(today(), spans[date][1] - 1) : ""); })}</div>
        ${(range || own) && html`<div class="grid2"><${Field} label=${t("form.since")} type="date" value=${after} max=${until || undefined} onInput=${(e) => put(e.target.value, until)} />
        <${Field} label=${t("form.until")} type="date" value=${until} min=${after || undefined} onInput=${(e) => put(after, e.target.value)} /></div>`}</fieldset>`;
}

function Fields({ text, onText, more, onMore }) {
    const all = terms(text), change = (which, by) => onText(replaced(text, which, by));

    return html`<${When} all=${all} change=${change} /><${Statuses} all=${all} change=${change} />
        <div class="grid2">${texts.map((name) => html`<${Texts} name=${name} all=${all} change=${change} />`)}<${Words} all=${all} not=${false} change=${change} /><${Words} all=${all} not=${true} change=${change} /><${Texts} name="direction" choices=${directions} all=${all} change=${change} /></div>
        <details open=${more} onToggle=${(e) => onMore(e.currentTarget.open)}><summary>${t("form.more")}</summary><div class="grid2">${[...exactly, ...raw].map((name) => html`<${Texts} name=${name} all=${all} change=${change} />`)}</div></details>`;
}

// Beneath the box where there is room, a sheet of its own where there is not. Cleared, its fields begin anew: none excludes what nobody has typed yet.
export function SearchForm({ text, onText, onClose, id }) {
    const [cleared, setCleared] = useState(0), [more, setMore] = useState(terms(text).some((one) => [...exactly, ...raw].includes(one.name))), ref = useRef();

    useTrap(ref, onClose);
    return html`<section class="form-sheet" id=${id} role="dialog" aria-modal=${matchMedia("(max-width: 900px)").matches} aria-label=${t("form.title")} tabindex="-1" ref=${ref}><div class="line"><h2>${t("form.title")}</h2><${Button} kind="bare" icon="close" aria-label=${t("close")} onClick=${onClose} /></div>
        <form onSubmit=${(e) => { e.preventDefault(); onClose(); }}>
            <${Fields} key=${`fields${cleared}`} text=${text} onText=${onText} more=${more} onMore=${setMore} />
            <div class="actions"><${Button} onClick=${() => { onText(""); setCleared(cleared + 1); }} disabled=${!text.trim()}>${t("form.clear")}</${Button}><button type="submit" class="button primary"><span>${t("form.show")}</span></button></div>
        </form></section>`;
}

export const FormButton = ({ open, on, controls, onPress }) => html`<button type="button" class="button" aria-expanded=${open} aria-controls=${open ? controls : undefined} aria-haspopup="dialog" onClick=${onPress}><${Icon} name="rules" /><span>${t("form.open")}${on > 0 ? ` (${on})` : ""}</span></button>`;

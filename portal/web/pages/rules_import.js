// Rules by paste or file, seen before they are stored; and out again as a file.
import { html, useState } from "../modules/preact.js";
import { post, segment } from "../api.js";
import { Button, Empty, Field, Icon, note } from "../ui.js";
import { size, spoken, t } from "../words.js";
import { sentence } from "./conflicts.js";

const TEXT_MAX = 4 << 20, SHOWN = 100;
const states = { new: "delivered", conflict: "spam", error: "rejected", duplicate: "queued", passed_over: "" };
const say = (problem) => (problem.offline ? t("offline.text") : problem.message);
// Of an upload: as a text field would have it.
const plainText = (text) => text.replace(/^\uFEFF/, "").replace(/\r\n?/g, "\n").replace(/[\u0000-\u0008\u000b-\u001f\u007f]/g, "");

const State = ({ state }) => html`<span class="chip chip-${states[state]}"><${Icon} name=${states[state] || "next"} />${t(`import.state.${state}`)}</span>`;

// Why a line is what it is.
function Remark({ item }) {
    if (item.why) return html`<bdi>${spoken(item.why, item.why_said)}</bdi>`;
    if (item.same_line) return t("import.same_line", { n: item.same_line });
    if (item.same_rule) return t("import.same_rule");
    return (item.beside ?? []).map((f) => sentence(f, t("import.this_rule"))).join(" ");
}

function Preview({ found, filter, onFilter }) {
    const shown = found.items.filter((i) => !filter || i.state === filter);
    const cut = Object.keys(states).some((s) => found[s] > SHOWN);

    return html`<div class="presets" role="group" aria-label=${t("import.result")}>${Object.keys(states).filter((s) => found[s] > 0).map((s) => html`<button type="button" class="preset" aria-pressed=${filter === s} onClick=${() => onFilter(filter === s ? null : s)}>${t(`import.state.${s}`)} · ${t("lists.count", { n: found[s] })}</button>`)}</div>
        ${cut && html`<p class="quiet">${t("import.first", { n: SHOWN })}</p>`}
        ${!found.whole && html`<p class="quiet">${t("conflict.part")}</p>`}
        <table class="table"><thead><tr><th class="number">${t("import.line")}</th><th>${t("import.result")}</th><th>${t("import.entry")}</th></tr></thead>
            <tbody>${shown.map((i) => html`<tr><td class="number">${i.line}</td><td><${State} state=${i.state} /></td><td>${i.action && html`<span class="quiet">${t(`rules.${i.action}`)}</span> `}<bdi class="mono">${i.text}</bdi><span class="quiet remark"><${Remark} item=${i} /></span></td></tr>`)}</tbody></table>`;
}

export function Import({ scope, path, policies }) {
    const usual = policies.find((p) => p.name === "Rules") ?? policies[0];
    const [form, setForm] = useState({ text: "", format: "", action: "", policy: usual.id, confirm: false, skip_conflicts: false }), [found, setFound] = useState(), [filter, setFilter] = useState(null), [busy, setBusy] = useState(false), [wrong, setWrong] = useState();
    const set = (more) => { setForm({ ...form, ...more }); setWrong(undefined); };
    const body = ({ format, action, ...rest }) => ({ ...rest, ...(format ? { format } : {}), ...(action ? { action } : {}) });
    const ask = async (call, done, what = form) => {
        setBusy(true);
        try { done(await post(`${path}/${call}`, body(what), { key: call === "import" ? undefined : false })); setWrong(undefined); } catch (p) { setWrong(say(p)); }
        setBusy(false);
    };
    const file = async (f) => {
        if (!f) return;
        if (f.size > TEXT_MAX) { setWrong(t("import.large", { size: size(TEXT_MAX) })); return; }
        set({ text: plainText(await f.text()) });
    };
    const preview = (what) => ask("import/preview", (f) => { setFilter(null); setFound(f); }, what);
    const mean = (action) => { set({ action }); preview({ ...form, action }); };
    const pick = (label, key, values) => html`<${Field} label=${label}>${(props) => html`<select ...${props} value=${form[key]} onChange=${(e) => set({ [key]: e.target.value })}>${values.map(([value, text]) => html`<option value=${value}>${text}</option>`)}</select>`}</${Field}>`;
    const unsaid = found?.items.some((i) => i.why_said?.code === "import.action");
    const count = found ? found.new + (form.skip_conflicts ? 0 : found.conflict) : 0;

    if (found) return html`<div class="card stack"><h2 aria-live="polite">${t(`import.format.${found.format}`)}</h2>
        ${found.items.length === 0 ? html`<${Empty} title=${t("import.nothing")} />` : html`<${Preview} found=${found} filter=${filter} onFilter=${setFilter} />`}
        ${unsaid ? html`<div class="asked meant"><p>${t("import.unsaid")}</p><div class="actions"><${Button} busy=${busy} onClick=${() => mean("block")}>${t("import.block")}</${Button}><${Button} busy=${busy} onClick=${() => mean("allow")}>${t("import.allow")}</${Button}></div></div>`
            : found.error > 0 && html`<p class="warn">${t("import.errors")}</p>`}
        ${found.conflict > 0 && html`<label class="check"><input type="checkbox" checked=${form.skip_conflicts} onChange=${(e) => set({ skip_conflicts: e.target.checked })} /> ${t("import.skip")}</label>`}
        ${wrong && html`<p class="problem" role="alert">${wrong}</p>`}
        <div class="actions"><${Button} kind="primary" busy=${busy} disabled=${found.error > 0 || count === 0} onClick=${() => ask("import", () => { note(t("import.done", { n: count })); setFound(undefined); set({ text: "" }); })}>${t("import.take", { n: count })}</${Button}><${Button} onClick=${() => setFound(undefined)}>${t("import.again")}</${Button}></div></div>`;
    return html`<div class="card stack">
            <${Field} label=${t("import.text")} hint=${t("import.text_hint")}>${(props) => html`<textarea ...${props} class="mono" rows="10" spellcheck=${false} value=${form.text} onInput=${(e) => set({ text: e.target.value })}></textarea>`}</${Field}>
            <div class="line">${pick(t("import.format"), "format", [["", t("import.guess")], ...["json", "csv", "spamassassin", "map"].map((f) => [f, t(`import.format.${f}`)])])}
                ${pick(t("import.action"), "action", [["", t("import.action.none")], ["block", t("rules.block")], ["allow", t("rules.allow")]])}
                ${policies.length > 1 && pick(t("edit.policy"), "policy", policies.map((p) => [p.id, p.name]))}</div>
            <label class="check"><input type="checkbox" checked=${form.confirm} onChange=${(e) => set({ confirm: e.target.checked })} /> ${t("import.confirm")}</label>
            ${wrong && html`<p class="problem" role="alert">${wrong}</p>`}
            <div class="actions"><${Button} kind="primary" busy=${busy} disabled=${!form.text.trim()} onClick=${() => preview()}>${t("import.preview")}</${Button}>
                <label class="button file">${t("import.file")}<input type="file" accept=".txt,.csv,.json,.jsonl,.cf,.map,text/*" onChange=${(e) => { file(e.target.files[0]); e.target.value = ""; }} /></label></div></div>
        <div class="card stack"><h2>${t("export.title")}</h2><p class="quiet">${t("export.text")}</p><div class="actions"><a class="button" href=${`/api/v1/scopes/${segment(scope)}/rules/export`} download>${t("export.get")}</a></div></div>`;
}

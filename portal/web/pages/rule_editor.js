// The editor of a rule: a sentence, its conditions, what it would have done to past mail, and what others made of it meanwhile.
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../modules/preact.js";
import { del, get, post, put } from "../api.js";
import { Meanwhile, saveOver } from "../meanwhile.js";
import { Button, Field, note, Their, Time, useTrap } from "../ui.js";
import { date, t } from "../words.js";
import { Beside } from "./conflicts.js";
import { differences, merge } from "./rule_meanwhile.js";
import { entryOf, lineOf, Sentence, sizeLimits, texts } from "./rule_words.js";

const kinds = ["sender", "recipient", "subject", "body", "header", "ip", "host", "size", "attachment", "signed_by"];
const hinted = new Set(["sender", "recipient", "ip", "host", "attachment"]);
const matches = ["contains", "exact", "starts_with", "ends_with", "regex"];
const say = (problem) => (problem.offline ? t("offline.text") : problem.message);

// ---- the form ----

const fresh = () => ({ name: "", action: "block", priority: 100, enabled: true, flow: "from", expires_at: null, require_proof: true, test_only: false, note: "", conditions: [{ kind: "sender", any: [] }] });
const withText = (c) => {
    const [min_kb, max_kb] = sizeLimits(c).map((bytes) => (bytes === undefined ? "" : String(bytes / 1000)));

    return { ...c, text: (c.any ?? []).map(lineOf).join("\n"), min_kb, max_kb };
};
// Only what its kind knows.
function plain(c) {
    const any = c.text.split("\n").map((l) => l.trim()).filter(Boolean).map((l) => entryOf(c.kind, l));
    const base = { kind: c.kind, ...(c.not ? { not: true } : {}) };

    if (c.kind === "size") return { ...base, ...(c.min_kb ? { min: Math.round(Number(c.min_kb) * 1000) } : {}), ...(c.max_kb ? { max: Math.round(Number(c.max_kb) * 1000) } : {}) };
    return { ...base, ...(c.kind === "sender" && c.source ? { source: c.source } : {}), ...(c.kind === "header" ? { name: c.name ?? "" } : {}), ...(texts.has(c.kind) ? { match: c.match ?? "contains", case_sensitive: Boolean(c.case_sensitive) } : {}), any };
}

function ConditionField({ c, i, regex, onChange, onRemove, only }) {
    const set = (more) => onChange({ ...c, ...more });
    const pick = (label, value, values, name, key) => html`<select aria-label=${label} value=${value} onChange=${(e) => set({ [key]: e.target.value })}>${values.map((v) => html`<option value=${v}>${name(v)}</option>`)}</select>`;

    return html`<fieldset class="condition"><legend>${i === 0 ? t("edit.if") : t("rules.and")}</legend>
        <div class="line">
            ${pick(t("edit.kind"), c.kind, kinds, (k) => t(`kind.${k}`), "kind")}
            ${c.kind === "header" && html`<input aria-label=${t("edit.header")} placeholder="List-Id" maxlength="200" value=${c.name ?? ""} onInput=${(e) => set({ name: e.target.value })} />`}
            ${c.kind === "sender" && pick(t("edit.source"), c.source ?? "from", ["from", "envelope", "any"], (v) => t(`source.${v}`), "source")}
            ${texts.has(c.kind) && pick(t("edit.match"), c.match ?? "contains", matches.filter((m) => m !== "regex" || regex || c.match === "regex"), (m) => t(`match.${m}`), "match")}
            <label class="check"><input type="checkbox" checked=${c.not} onChange=${(e) => set({ not: e.target.checked })} /> ${t("edit.not")}</label>
            ${texts.has(c.kind) && html`<label class="check"><input type="checkbox" checked=${c.case_sensitive} onChange=${(e) => set({ case_sensitive: e.target.checked })} /> ${t("edit.case")}</label>`}
            ${!only && html`<${Button} kind="bare" icon="close" aria-label=${t("edit.remove", { n: i + 1 })} onClick=${onRemove} />`}
        </div>
        ${c.kind === "size" ? html`<div class="line">${["min", "max"].map((end) => html`<${Field} label=${t(`edit.${end}`)} type="number" inputmode="decimal" min="0" step="any" value=${c[`${end}_kb`]} onInput=${(e) => set({ [`${end}_kb`]: e.target.value })} />`)}</div>`
            : html`<${Field} label=${t(`entries.${c.kind}`)} hint=${`${t("edit.lines")} ${hinted.has(c.kind) ? t(`hint.${c.kind}`) : ""}`.trim()}>${(props) => html`<textarea ...${props} rows=${Math.min(8, Math.max(2, c.text.split("\n").length))} spellcheck=${false} value=${c.text} onInput=${(e) => set({ text: e.target.value })}></textarea>`}</${Field}>`}
    </fieldset>`;
}

function Backtest({ path, rule }) {
    const json = JSON.stringify(rule), [state, set] = useState({});
    const ready = rule.conditions.every((c) => (c.kind === "size" ? c.min !== undefined || c.max !== undefined : c.any.length > 0));

    useEffect(() => {
        if (!ready) { set({}); return undefined; }
        const stop = new AbortController();
        const timer = setTimeout(() => {
            set((s) => ({ ...s, busy: true }));
            post(`${path}/backtest`, { rule }, { signal: stop.signal, key: false }).then((value) => set({ value }), (problem) => problem.name !== "AbortError" && set({ problem }));
        }, 500);
        return () => { clearTimeout(timer); stop.abort(); };
    }, [json, path]);
    const v = state.value;
    return html`<section class="backtest" aria-live="polite" aria-busy=${state.busy}><h3>${t("backtest.title")}</h3>
        ${state.problem ? html`<p class="quiet">${say(state.problem)}</p>` : !v ? html`<p class="quiet">${t(ready ? "loading" : "backtest.empty")}</p>` : html`
            <p class="big">${t(v.whole ? "backtest.would" : "backtest.would_part", { n: v.matched, all: v.messages, days: v.days, date: date(v.since) })}</p>
            ${rule.action === "block" && v.released + v.reported_ham > 0 && html`<p class="warn">${t("backtest.wanted", { n: v.released + v.reported_ham })}</p>`}
            ${rule.action === "allow" && v.reported_spam > 0 && html`<p class="warn">${t("backtest.unwanted", { n: v.reported_spam })}</p>`}
            ${v.unproven > 0 && html`<p class="quiet">${t("backtest.unproven", { n: v.unproven })}</p>`}
            ${v.unknown > 0 && html`<p class="quiet">${t("backtest.unknown", { n: v.unknown })} ${v.not_kept.length > 0 && t("backtest.not_kept", { what: v.not_kept.map((k) => t(`kind.${k}`)).join(", ") })}</p>`}
            <ul class="samples">${v.samples.map(({ delivery: d, reported_ham: ham, reported_spam: spam }) => html`<li><a href=${`/?open=${d.uid}/${d.n}`}><${Their} text=${d.subject} or=${t("subject.none")} /></a><span class="quiet"><${Their} text=${d.from_name || d.from || d.sender} or=${t("sender.none")} /> · <${Time} at=${d.at} />${d.released && ` · ${t("backtest.released")}`}${ham && ` · ${t("backtest.ham")}`}${spam && ` · ${t("backtest.spam")}`}</span></li>`)}</ul>`}
    </section>`;
}

const formOf = (rule) => ({ ...rule, conditions: rule.conditions.map(withText), day: rule.expires_at?.slice(0, 10) ?? "" });
const ruleOf = ({ day, ...rest }) => ({ ...rest, expires_at: day ? (rest.expires_at?.startsWith(day) ? rest.expires_at : `${day}T23:59:59Z`) : null, conditions: rest.conditions.map(plain) });
// As it is stored, and as the form would write it.
const standing = (item) => ({ version: item.version, stored: item.rule, value: { ...ruleOf(formOf(item.rule)), policy: item.policy.id } });
const tells = (was, now, policies) => JSON.stringify(was.conditions) !== JSON.stringify(now.conditions) || differences(was, now, policies).length > 0;

export function Editor({ item, path, site, onClose, onDone }) {
    const ref = useRef(), own = !item?.read_only;
    const [form, setForm] = useState(() => formOf(item?.rule ?? fresh())), [base, setBase] = useState(() => item && standing(item)), [found, setFound] = useState();
    const enforced = site.policies.find((p) => p.locked && p.name === "Enforced"), usual = site.policies.find((p) => p.name === "Rules") ?? site.policies[0], names = new Map(site.policies.map((p) => [p.id, p.name]));
    const [policy, setPolicy] = useState(item?.policy.id ?? usual?.id), [busy, setBusy] = useState(""), [wrong, setWrong] = useState(), [confirm, setConfirm] = useState(false), [asks, setAsks] = useState(false);
    const set = (more) => { setForm({ ...form, ...more }); setWrong(undefined); };
    // One more, or one less: what comes next is typed there.
    const grown = useRef(0), several = (conditions) => { grown.current = conditions.length - form.conditions.length; set({ conditions }); };
    useLayoutEffect(() => {
        const by = grown.current;

        grown.current = 0;
        if (by !== 0) (by > 0 ? [...ref.current.querySelectorAll(".condition")].at(-1).querySelector("select") : ref.current.querySelector(".and")).focus();
    }, [form.conditions.length]);
    // What is enforced blocks: only the operator puts an allow there.
    const mayEnforce = (action) => Boolean(enforced) && (action === "block" || site.any_action);
    const turn = (action) => { set({ action }); if (policy === enforced?.id && !mayEnforce(action)) setPolicy(usual.id); };
    const rule = useMemo(() => ruleOf(form), [form]);
    const byName = form.action === "allow" && form.conditions.some((c) => c.kind === "sender" && !c.not);
    const sure = confirm ? { confirm } : {}, one = item && `/rules/${item.id}`;
    const latest = useRef(); // what is typed while it is being saved counts too
    latest.current = { ...rule, policy };
    const fill = ({ policy: where, ...now }) => { setForm(formOf(now)); setPolicy(where); };
    const write = ({ policy: where, ...now }, version) => put(one, { rule: now, policy: where, ...sure }, { version });
    // What was changed meanwhile is shown first, and nothing of what was typed is lost.
    const over = async (send) => {
        const sent = latest.current, met = await saveOver(base, sent, send, () => get(one).then(standing), { merge, tells: (was, now) => tells(was, now, names) });

        if (met.found) { setBase(met.found.now); setFound(met.found); fill(merge(sent, latest.current, met.found.mine)); setBusy(""); }
        return met;
    };
    const theirs = () => {
        const mine = { ...rule, policy };
        fill(base.value); setFound(); setWrong();
        note(t("meanwhile.filled"), () => fill(mine));
    };
    const refused = (p) => {
        const gone = base && p.status === 404;

        if (gone) { setBase(); setFound(); }
        setAsks(p.status === 409); setWrong(gone ? t("meanwhile.gone") : say(p)); setBusy("");
    };
    const save = async () => {
        setBusy("save");
        try {
            const { saved } = base ? await over(write) : { saved: await post(path, { rule, ...(policy ? { policy } : {}), ...sure }) };
            if (!saved) return;
            note([t("edit.saved"), ...saved.advice.filter((a) => a !== "needs_proof").map((a) => t(`advice.${a}`))].join(" "));
            onDone();
        } catch (p) { refused(p); }
    };
    const remove = async () => {
        setBusy("remove");
        try {
            if ((await over((mine, version) => del(one, { version }))).found) return;
            note(t("edit.deleted"), () => post(path, { rule: base.stored, policy: base.value.policy, confirm: true }).then(onDone, (p) => note(say(p))));
            onDone();
        } catch (p) { refused(p); }
    };

    useTrap(ref, onClose);
    return html`<section class="drawer ${own ? "editor" : ""}" role="dialog" aria-modal="false" aria-label=${t(item ? "edit.title" : "rules.new")} tabindex="-1" ref=${ref}>
        <div class="drawer-head"><div class="line"><h2>${item ? html`<${Their} text=${item.rule.name} or=${t("rules.unnamed")} />` : t("rules.new")}</h2><${Button} kind="bare" icon="close" aria-label=${t("close")} onClick=${onClose} /></div></div>
        <div class="drawer-body"><div class="form">
            ${!own && html`<p class="asked">${t("rules.above_text")}</p>`}
            <p class="verdict ${form.action === "allow" ? "delivered" : "blocked"}"><${Sentence} rule=${rule} /></p>
            <fieldset class="plain-set" disabled=${!own}>
                <legend class="unseen">${t("edit.title")}</legend>
                <div class="line"><label class="check"><input type="radio" name="action" checked=${form.action === "block"} onChange=${() => turn("block")} /> ${t("rules.block")}</label><label class="check"><input type="radio" name="action" checked=${form.action === "allow"} onChange=${() => turn("allow")} /> ${t("rules.allow")}</label></div>
                ${form.conditions.map((c, i) => html`<${ConditionField} key=${i} c=${c} i=${i} regex=${site.may_regex} only=${form.conditions.length === 1} onChange=${(n) => set({ conditions: form.conditions.map((o, k) => (k === i ? n : o)) })} onRemove=${() => several(form.conditions.filter((o, k) => k !== i))} />`)}
                ${own && html`<${Button} kind="and" onClick=${() => several([...form.conditions, withText({ kind: "subject", any: [] })])}>${t("edit.and")}</${Button}>`}
                ${byName && html`<div class="${form.require_proof ? "asked" : "warn"}"><label class="check"><input type="checkbox" checked=${form.require_proof} onChange=${(e) => set({ require_proof: e.target.checked })} /> ${t("edit.proof")}</label><p>${t(!form.require_proof ? "edit.spoof" : site.can_prove ? "edit.proof_text" : "advice.cannot_prove")}</p></div>`}
                <${Field} label=${t("edit.name")} value=${form.name} maxlength="200" onInput=${(e) => set({ name: e.target.value })} />
                <div class="line"><${Field} label=${t("edit.expires")} type="date" value=${form.day} onInput=${(e) => set({ day: e.target.value })} />
                    <${Field} label=${t("edit.flow")}>${(props) => html`<select ...${props} value=${form.flow} onChange=${(e) => set({ flow: e.target.value })}>${["from", "to", "from_or_to"].map((f) => html`<option value=${f}>${t(`flow.${f}`)}</option>`)}</select>`}</${Field}></div>
                ${own && html`<${Field} label=${t("edit.note")}>${(props) => html`<textarea ...${props} rows="2" maxlength="2000" value=${form.note} onInput=${(e) => set({ note: e.target.value })}></textarea>`}</${Field}>`}
                <label class="check"><input type="checkbox" checked=${form.test_only} onChange=${(e) => set({ test_only: e.target.checked })} /> ${t("edit.test_only")}</label>
                ${own && enforced && (mayEnforce(form.action) || policy === enforced.id) && html`<label class="check"><input type="checkbox" checked=${policy === enforced.id} onChange=${(e) => setPolicy(e.target.checked ? enforced.id : usual.id)} /> ${t("edit.enforced")}</label>`}
                ${own && site.policies.length > (enforced ? 2 : 1) && html`<${Field} label=${t("edit.policy")}>${(props) => html`<select ...${props} value=${policy} onChange=${(e) => setPolicy(e.target.value)}>${site.policies.map((p) => html`<option value=${p.id}>${p.name}</option>`)}</select>`}</${Field}>`}
            </fieldset></div>
            ${own && html`<aside class="past"><${Beside} path=${path} rule=${rule} id=${item?.id} policy=${policy} /><${Backtest} path=${path} rule=${rule} /></aside>`}
            <div class="form foot">${found && html`<${Meanwhile} rows=${differences(found.was, found.now.value, names)} busy=${busy === "save"} onMine=${save} onTheirs=${theirs}>
                <dt>${t("meanwhile.now")}</dt><dd><${Sentence} rule=${found.now.value} /></dd><dt>${t("meanwhile.with_mine")}</dt><dd><${Sentence} rule=${rule} /></dd></${Meanwhile}>`}
            ${wrong && html`<p class="problem" role="alert">${wrong}</p>`}
            ${asks && html`<label class="check"><input type="checkbox" checked=${confirm} onChange=${(e) => setConfirm(e.target.checked)} /> ${t("rules.meant")}</label>`}
            ${own && html`<div class="actions">${!found && html`<${Button} kind="primary" busy=${busy === "save"} onClick=${save}>${t("edit.save")}</${Button}>`}<${Button} onClick=${onClose}>${t("cancel")}</${Button}>${base && html`<${Button} kind="danger" busy=${busy === "remove"} onClick=${remove}>${t("edit.delete")}</${Button}>`}</div>`}
            </div></div></section>`;
}

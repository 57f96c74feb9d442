// What is set in a scope, and what it inherits: a form's state, and a field that can be given back to what is above.
import { html, useState } from "../modules/preact.js";
import { get, put, segment } from "../api.js";
import { differing, saveOver, touched } from "../meanwhile.js";
import { Field, note, useLoad } from "../ui.js";
import { number, t } from "../words.js";

// Set by the operator alone, and by a call of their own.
const quotas = ["copies", "held_max", "mailbox_held_max", "rules_max", "mailbox_rules_max"];
const some = (from, names) => Object.fromEntries(names.filter((n) => n in from).map((n) => [n, from[n]]));

// A value in words.
const scales = { held_max: 1000000, mailbox_held_max: 1000000 };
const said = (name, v) => (v === null || v === undefined ? t("set.inherit") : typeof v === "number" ? number(v / (scales[name] ?? 1)) : t(`choice.${typeof v === "boolean" ? (v ? "yes" : "no") : v}`));

// One of them alone, as it is picked: what others set meanwhile stays. null: inherited.
export async function setOne(scope, name, value) {
    const path = `/scopes/${segment(scope)}/settings`, plain = (own) => some(own, Object.keys(own).filter((n) => !quotas.includes(n)));
    const load = () => get(path).then((s) => ({ version: s.version, value: s.own })), from = await load();

    return saveOver(from, { ...from.value, [name]: value }, (mine, version) => put(path, plain(mine), { version }), load, { tells: () => false });
}

// What was typed while that was being saved.
const since = (sent, typed) => some(typed, Object.keys(typed).filter((n) => typed[n] !== sent[n]));

// now: each name with its own value, or null where it is inherited; above: what then holds.
export function useHolds(scope) {
    const path = `/scopes/${segment(scope)}`;
    const load = useLoad((signal) => get(`${path}/settings`, {}, { signal }), [scope]);
    const [changed, setChanged] = useState({});
    const [problem, setProblem] = useState(), [found, setFound] = useState();
    const [busy, setBusy] = useState(false);
    const now = load.value ? { ...load.value.own, ...changed } : {}, above = load.value?.inherited ?? {};
    const standing = (whole) => ({ whole, version: whole.version, value: whole.own });
    const send = async (mine, version) => {
        const last = quotas.some((n) => n in changed) ? await put(`${path}/quotas`, some(mine, quotas), { version }) : { version };

        return put(`${path}/settings`, some(mine, Object.keys(mine).filter((n) => !quotas.includes(n))), { version: last.version });
    };
    const save = async () => {
        setBusy(true);
        setProblem(undefined);
        try {
            const met = await saveOver(standing(load.value), now, send, () => get(`${path}/settings`).then(standing));

            load.set(met.saved ?? met.found.now.whole);
            setChanged((typed) => ({ ...(met.saved ? {} : touched(met.found.now.value, met.found.mine)), ...since(changed, typed) }));
            setFound(met.found);
            if (met.saved) note(t("saved"));
        } catch (p) { setProblem(p); }
        setBusy(false);
    };
    const drop = () => { setChanged({}); setProblem(undefined); setFound(undefined); };
    const theirs = () => { drop(); note(t("meanwhile.filled"), () => setChanged(changed)); };

    return {
        load, now, above, changed, save, problem, busy, drop, theirs,
        // What others set meanwhile: rows of Meanwhile.
        found: found && differing(found.was, found.now.value).map((name) => [t(`set.${name}`), said(name, found.was[name]), said(name, found.now.value[name])]),
        dirty: Object.keys(changed).length > 0,
        set: (more) => { setChanged((c) => ({ ...c, ...more })); setProblem(undefined); },
        // What holds: its own, or what is above.
        value: (name) => now[name] ?? above[name],
    };
}

// One value, or that of above. children: the control, which gets { value, disabled, … }. least: what is below it above is none to begin with.
export function Inherit({ holds, name, least = -Infinity, children }) {
    const { now, above, set } = holds, own = now[name] !== null && now[name] !== undefined, first = above[name] >= least || typeof above[name] !== "number" ? above[name] ?? "" : "";

    return html`<div class="inherit"><${Field} label=${t(`set.${name}`)}>${(a) => children({ ...a, disabled: !own, value: own ? now[name] : first })}</${Field}>
        <label class="check"><input type="checkbox" checked=${!own} onChange=${(e) => set({ [name]: e.target.checked ? null : first })} /> ${t("set.inherit")}<span class="unseen"> ${t(`set.${name}`)}</span></label></div>`;
}

// scale: how many of what is stored make one of what is typed.
export const Numeral = ({ holds, name, min = 0, max, step = 1, scale = 1 }) => html`<${Inherit} holds=${holds} name=${name} least=${Number(min)}>${({ value, ...a }) => html`<input type="number" inputmode="decimal" min=${min} max=${max} step=${step} required=${!a.disabled} ...${a}
    value=${value === "" ? "" : value / scale} onInput=${(e) => holds.set({ [name]: e.target.value === "" ? "" : Number(e.target.value) * scale })} />`}</${Inherit}>`;
export const Choice = ({ holds, name, words }) => html`<${Inherit} holds=${holds} name=${name}>${(a) => html`<select ...${a} onChange=${(e) => holds.set({ [name]: e.target.value })}>${words.map((w) => html`<option value=${w}>${t(`choice.${w}`)}</option>`)}</select>`}</${Inherit}>`;
export const YesNo = ({ holds, name }) => html`<${Inherit} holds=${holds} name=${name}>${(a) => html`<select ...${a} value=${a.value ? "yes" : "no"} onChange=${(e) => holds.set({ [name]: e.target.value === "yes" })}><option value="no">${t("choice.no")}</option><option value="yes">${t("choice.yes")}</option></select>`}</${Inherit}>`;

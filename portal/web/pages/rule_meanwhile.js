// Two changes of one rule: what I typed over what is there now, entry by entry where no more than a list was changed; and what was changed,
// in words.
import { differing, over } from "../meanwhile.js";
import { date, t } from "../words.js";
import { lineOf } from "./rule_words.js";

const keys = (c) => (c.any ?? []).map((entry) => JSON.stringify(entry));
const frame = (c) => JSON.stringify({ ...c, any: undefined });
const alike = (one, other) => one.length === other.length && one.every((c, i) => frame(c) === frame(other[i]));

// The entries of `list` for which `takes` holds, which is asked by what they say.
const entries = (list, takes) => { const said = keys(list); return (list.any ?? []).filter((e, i) => takes(said[i])); };

function listOver(was, mine, now) {
    const [had, kept, there] = [was, mine, now].map((c) => new Set(keys(c)));

    return { ...now, any: [...entries(now, (k) => !had.has(k) || kept.has(k)), ...entries(mine, (k) => !had.has(k) && !there.has(k))] };
}

export function merge(was, mine, now) {
    const lists = alike(was.conditions, mine.conditions) && alike(was.conditions, now.conditions);

    return { ...over(was, mine, now), ...(lists ? { conditions: now.conditions.map((c, i) => (c.any ? listOver(was.conditions[i], mine.conditions[i], c) : c)) } : {}) };
}

const yes = (on) => t(on ? "choice.yes" : "choice.no");
const few = (list) => [list.slice(0, 5).join(", "), ...(list.length > 5 ? [t("rules.more_entries", { n: list.length - 5 })] : [])].join(" ");
// Where it stands among the others is nothing that the form has: it is not told.
const said = {
    action: ["rules.action", (v) => t(`rules.${v}`)], name: ["edit.name", (v) => v || t("rules.unnamed")], flow: ["edit.flow", (v) => t(`flow.${v}`)], expires_at: ["edit.expires", (v) => (v ? date(v) : "—")],
    note: ["edit.note", (v) => v || "—"], enabled: ["meanwhile.enabled", yes], require_proof: ["edit.proof", yes], test_only: ["edit.test_only", yes],
};

// As rows of Meanwhile; policies: their names by id.
export function differences(was, now, policies) {
    const named = differing(was, now).filter((name) => said[name]).map((name) => [t(said[name][0]), said[name][1](was[name]), said[name][1](now[name])]);
    const moved = was.policy === now.policy ? [] : [[t("edit.policy"), policies.get(was.policy) ?? "—", policies.get(now.policy) ?? "—"]];
    const only = (one, other) => one.flatMap((c, i) => { const there = new Set(keys(other[i])); return entries(c, (k) => !there.has(k)).map(lineOf); });
    const [gone, come] = alike(was.conditions, now.conditions) ? [only(was.conditions, now.conditions), only(now.conditions, was.conditions)] : [[], []];

    return [...named, ...moved, ...(come.length > 0 ? [[t("meanwhile.added"), undefined, few(come)]] : []), ...(gone.length > 0 ? [[t("meanwhile.taken"), undefined, few(gone)]] : [])];
}

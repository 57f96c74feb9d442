// Why a rule did what it did, in the reader's language: made of the facts of its match. Where there are none, or one that this page does not
// know yet, the server's own sentence stands.
import { date, number, t } from "./words.js";

const knows = (key) => t(key) !== key;

function entry(b, seen) {
    const which = b.text ? t("because.entry", { n: b.entry, text: b.text }) : t("because.entry_bare", { n: b.entry });

    return seen ? t("because.matches", { which, seen }) : t("because.matches_bare", { which });
}

function size(b) {
    const seen = number(Number.parseInt(b.seen, 10)), bounds = b.max === undefined ? t("because.from", { min: number(b.min) }) : t("because.between", { min: number(b.min), max: number(b.max) });
    const inside = (b.code === "false") === b.not;

    return t(inside ? "because.size_in" : "because.size_out", { seen, bounds });
}

// What was found of the condition.
function found(b) {
    if (b.code === "unknown") return t("because.unknown", { limit: knows(`because.limit.${b.limit}`) ? t(`because.limit.${b.limit}`) : b.limit });
    if (b.kind === "size") return size(b);
    if (b.entry) return entry(b, b.seen);
    if (b.code === "false") return b.seen ? t("because.none", { seen: b.seen }) : t("because.none_bare");
    return t("because.holds");
}

// What stands by itself, and what stands in front of the condition that it is about.
const alone = new Set(["flow", "no_conditions"]), about = new Set(["applied", "test_only", "not_proven", "unknown", "false"]);
const first = (code) => (code === "test_only" ? t("because.test_only") : code === "not_proven" ? t("because.not_proven") : "");

// Text: what strangers wrote in it is for <bdi> around all of it.
export function because({ because: b, why }) {
    if (b?.code === "expired") return t("because.expired", { date: date(b.at) });
    if (alone.has(b?.code)) return t(`because.${b.code}`);
    if (!about.has(b?.code) || !knows(`kind.${b.kind}`)) return why;
    const holds = b.code !== "false" && b.code !== "unknown";

    return [first(b.code), t("because.condition", { n: b.condition, kind: b.header ? t("field.header", { name: b.header }) : t(`kind.${b.kind}`) }), `${found(b)}.`,
        b.by_helo && t("because.by_helo"), b.by_mailbox && t("because.by_mailbox"), b.wide && t(`because.wide.${b.wide}`),
        holds && b.conditions > 1 && t("because.all", { n: b.conditions }), b.code === "not_proven" && t("because.pin")].filter(Boolean).join(" ");
}

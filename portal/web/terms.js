// The text of a search and its parts, as portal/mail_query.h reads them; and the days in it, as instants where the reader is.
import { dayStart, today } from "./words.js";

const names = new Set(["from", "to", "subject", "message-id", "inbound", "outbound", "delivery", "status", "is", "uid", "rule", "domain", "direction", "date", "after", "before"]);
const token = /(-(?=[^ \t\n]))?(?:([A-Za-z_-]+):)?(?:"([^"]*)"?|([^ \t\n]*))/y;

// "from:a -x" as [{ name, value, not, raw }]; what no filter is called is a word ("Re:"), and its name is "".
export function terms(text) {
    const all = [];

    for (let at = 0; at < text.length;) {
        if (/\s/.test(text[at])) { at++; continue; }
        token.lastIndex = at;
        const [raw, minus, named, quoted, plain] = token.exec(text), name = (named ?? "").toLowerCase(), known = names.has(name);
        all.push({ name: known ? name : "", value: known || quoted === undefined || named ? (known ? quoted ?? plain : raw.slice(minus ? 1 : 0)) : quoted, not: Boolean(minus), raw });
        at = token.lastIndex;
    }
    return all;
}

// One part as text: in quotes where it would be read as something else without.
export function term({ name = "", value, not }) {
    const clean = value.replaceAll(/[\t\n]/g, " "), needs = /[ ]|^"/.test(clean) || (!name && (/^-./.test(clean) || terms(clean)[0]?.name));

    return `${not ? "-" : ""}${name && `${name}:`}${needs ? `"${clean.replaceAll('"', "")}"` : clean}`;
}
export const textOf = (all) => all.map((one) => one.raw ?? term(one)).join(" ");

// The same search with those of its parts that `which` picks replaced, where the first of them stood.
export function replaced(text, which, by) {
    const all = terms(text), first = all.findIndex(which), rest = all.filter((one) => !which(one));

    rest.splice(first < 0 ? rest.length : first, 0, ...by.filter((one) => one.value));
    return textOf(rest);
}

// ---- days ----

const DAY = /^\d{4}-\d\d-\d\d$/;
export const spans = { today: [0, 1], yesterday: [-1, 0], "7d": [-6, 1], "30d": [-29, 1] }; // days from today: the first, and the one behind the last
export const dayAfter = (day, by = 1) => { const at = new Date(`${day}T00:00:00Z`); at.setUTCDate(at.getUTCDate() + by); return at.toISOString().slice(0, 10); };
const instant = (day) => { try { return dayStart(day); } catch { return day; } };

// As it is asked of the server: days begin where the reader is, and "today" is theirs.
export const exact = (text) => textOf(terms(text).flatMap((one) => {
    if (one.name === "date" && spans[one.value.toLowerCase()]) {
        const [from, to] = spans[one.value.toLowerCase()];
        return [{ name: "after", value: instant(dayAfter(today(), from)) }, { name: "before", value: instant(dayAfter(today(), to)) }];
    }
    return [(one.name === "after" || one.name === "before") && DAY.test(one.value) ? { name: one.name, value: instant(one.value) } : one];
}));

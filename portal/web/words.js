// What the pages say, from a catalogue a language. {name} is filled in; a text with forms ({one, other}) goes by `n`.
const catalogues = { en: () => import("./words/en.js"), de: () => import("./words/de.js") };
export const languages = [["en", "English"], ["de", "Deutsch"]];
const rightToLeft = new Set(["ar", "fa", "he", "ur"]);

let words = {}, language = "en", region = "en", zone; // region: the same language as it is written where the reader is
let plural = new Intl.PluralRules("en");

export async function speak(wanted) {
    const found = [wanted, ...navigator.languages].map((l) => (l ?? "").toLowerCase().split("-")[0]).find((l) => catalogues[l]) ?? "en";

    words = (await catalogues[found]()).default;
    language = found;
    region = navigator.languages.find((l) => l.toLowerCase().split("-")[0] === found) ?? found;
    plural = new Intl.PluralRules(found);
    document.documentElement.lang = found;
    document.documentElement.dir = rightToLeft.has(found) ? "rtl" : "ltr";
}
// Before anybody has signed in: in the language of the browser.
export const ready = speak().catch(() => {});
export const setZone = (name) => {
    try { new Intl.DateTimeFormat("en", { timeZone: name || undefined }); zone = name || undefined; } catch { zone = undefined; }
};

function fill(text, values) {
    if (typeof text === "object") text = text[plural.select(values.n ?? 0)] ?? text.other;
    return text.replace(/\{(\w+)\}/g, (all, name) => {
        const v = values[name];
        return v === undefined ? all : typeof v === "number" ? number(v) : v;
    });
}
export const t = (key, values = {}) => fill(words[key] ?? key, values);

// ---- what is loaded with the first page that needs it ----

const besides = {
    sentences: { en: () => import("./sentences/en.js"), de: () => import("./sentences/de.js") },
    symbols: { en: () => import("./symbols/en.js"), de: () => import("./symbols/de.js") },
};
const known = { sentences: {}, symbols: {} }, learnt = {};

// Where the texts cannot be loaded, those of the server stand.
export async function learn(what) {
    if (learnt[what] === language) return;
    const wanted = language, found = await besides[what][wanted]().catch(() => undefined);

    if (found) { known[what] = found.default; learnt[what] = wanted; }
}

// ---- what a filter found ----

let meanings;

export async function learnSymbols() {
    const [found] = await Promise.all([meanings ?? import("./symbols/names.js").catch(() => undefined), learn("symbols")]);

    meanings ??= found && new Map(Object.entries(found.default).flatMap(([kind, names]) => names.split(" ").map((name) => [name, kind])));
}
// In words, or undefined.
export const symbol = (name) => known.symbols[meanings?.get(name)];

// ---- what the server says: beside a sentence stands its code with its values, as "<name>_said" (portal/sentence.h) ----

const sentence = (text) => text && text.charAt(0).toUpperCase() + text.slice(1) + (/[.?!]$/.test(text) ? "" : ".");

// What people call a member of a call, or of a row of the log: by its own name where there is no other.
export const member = (name) => words[`member.${name}`] ?? name;

// A sentence of the server in the reader's language: in the server's own words where it has no code, or one that is not known here.
export function spoken(text, of, inside) {
    const own = known.sentences[of?.code];

    if (!own) return inside ? text : sentence(text);
    const values = Object.fromEntries(Object.entries(of.values).map(([name, v]) => [name, typeof v === "object" ? spoken(v.text, v, name !== "why") : name === "field" ? member(v) : v]));
    const filled = fill(own, values);
    // A word of ours in front begins the sentence; somebody's name there stays as it is.
    return typeof of.values[/^\{(\w+)\}/.exec(own)?.[1]] === "object" ? sentence(filled) : filled;
}

// What a mail server answered, as it is; why none was asked, in the reader's language.
export const answered = (text, of) => (of ? spoken(text, of) : text);

// "Firefox on Linux", "A browser on an unknown system": as the server keeps where somebody has signed in.
export function device(text) {
    const [, browser, system] = /^(.+) on (.+)$/.exec(text) ?? [], ours = (word) => words[`device.${word}`] ?? word;

    return system ? t("device.on", { browser: ours(browser), system: ours(system) }) : text;
}

// What writes numbers and times costs some hundred times what it writes, and a list has hundreds of them: one of each kind is kept.
const kept = new Map();
function writer(Kind, locale, options) {
    const key = `${Kind.name} ${locale} ${JSON.stringify(options)}`;

    if (!kept.has(key)) kept.set(key, new Kind(locale, options));
    return kept.get(key);
}

export const number = (n, options) => writer(Intl.NumberFormat, region, options).format(n);
export const score = (n) => number(n, { minimumFractionDigits: 1, maximumFractionDigits: 1 });

export function size(bytes) {
    const steps = ["byte", "kilobyte", "megabyte", "gigabyte"];
    let i = 0, n = bytes;

    while (n >= 1000 && i < steps.length - 1) { n /= 1000; i++; }
    return number(n, { style: "unit", unit: steps[i], unitDisplay: i > 0 ? "short" : "long", maximumFractionDigits: n < 10 && i > 0 ? 1 : 0 });
}

const format = (date, options) => writer(Intl.DateTimeFormat, region, { timeZone: zone, ...options }).format(date);
const day = (date) => format(date, { year: "numeric", month: "2-digit", day: "2-digit" });

// Today the hour, this year the day, else the date.
export function when(iso) {
    const date = new Date(iso), now = new Date();

    if (day(date) === day(now)) return format(date, { hour: "2-digit", minute: "2-digit" });
    if (date.getFullYear() === now.getFullYear()) return format(date, { day: "numeric", month: "short" });
    return format(date, { day: "numeric", month: "short", year: "numeric" });
}
export const whenExactly = (iso) => { const text = when(iso), hour = format(new Date(iso), { hour: "2-digit", minute: "2-digit" }); return text === hour ? hour : `${text}, ${hour}`; };
// The day that it is where the reader is, as 2026-11-01; and when one began there, as an instant.
const clockwork = { hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" };
const wall = (at) => Object.fromEntries(writer(Intl.DateTimeFormat, "en", { timeZone: zone, ...clockwork }).formatToParts(at).map((p) => [p.type, p.value]));
export const today = () => { const { year, month, day } = wall(new Date()); return `${year}-${month}-${day}`; };
export function dayStart(day) {
    const wanted = Date.parse(`${day}T00:00:00Z`);
    // What the clocks there show is off by the zone; once more, where they were put on or back in between.
    const shown = (at) => { const w = wall(new Date(at)); return Date.parse(`${w.year}-${w.month}-${w.day}T${w.hour}:${w.minute}:${w.second}Z`); };
    let at = wanted - (shown(wanted) - wanted);

    at -= shown(at) - wanted;
    return new Date(at).toISOString().replace(".000", "");
}
export const midnight = () => dayStart(today());
export const moment = (iso) => format(new Date(iso), { dateStyle: "full", timeStyle: "medium" });
export const clock = (iso) => format(new Date(iso), { hour: "2-digit", minute: "2-digit", second: "2-digit" });
export const date = (iso) => format(new Date(iso), { dateStyle: "medium" });

export function ago(iso) {
    const s = (new Date(iso) - Date.now()) / 1000, of = writer(Intl.RelativeTimeFormat, language, { numeric: "auto" });

    for (const [unit, seconds] of [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60]])
        if (Math.abs(s) >= seconds) return of.format(Math.trunc(s / seconds), unit);
    return of.format(0, "minute");
}

// A moment as clocks show it in another zone: "Monday 23 November, 07:00".
export function momentIn(iso, zoneName) {
    const options = { weekday: "long", day: "numeric", month: "long", hour: "2-digit", minute: "2-digit" };

    try { return writer(Intl.DateTimeFormat, region, { ...options, timeZone: zoneName }).format(new Date(iso)); } catch { return format(new Date(iso), options); }
}
// Of the day's minutes: 420 is 07:00.
export const timeOfDay = (minute) => writer(Intl.DateTimeFormat, region, { hour: "2-digit", minute: "2-digit", timeZone: "UTC" }).format(new Date(minute * 60000));
// 0 is Monday; the 5th of January 1970 was one.
export const weekday = (i, width = "long") => writer(Intl.DateTimeFormat, language, { weekday: width, timeZone: "UTC" }).format(new Date((i + 4) * 86400_000));
export const listOf = (texts) => writer(Intl.ListFormat, language, { type: "conjunction" }).format(texts);
export const eitherOf = (texts) => writer(Intl.ListFormat, language, { type: "disjunction" }).format(texts);

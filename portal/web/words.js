// What the pages say, from a catalogue a language. {name} is filled in; a text with forms ({one, other}) goes by `n`.
import en from "./words/en.js";

const catalogues = { en: () => Promise.resolve({ default: en }), de: () => import("./words/de.js") };
export const languages = [["en", "English"], ["de", "Deutsch"]];
const rightToLeft = new Set(["ar", "fa", "he", "ur"]);

let words = en, language = "en", region = "en", zone; // region: the same language as it is written where the reader is
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
export const setZone = (name) => { zone = name || undefined; };

export function t(key, values = {}) {
    let text = words[key] ?? en[key] ?? key;

    if (typeof text === "object") text = text[plural.select(values.n ?? 0)] ?? text.other;
    return text.replace(/\{(\w+)\}/g, (all, name) => {
        const v = values[name];
        return v === undefined ? all : typeof v === "number" ? number(v) : v;
    });
}

export const number = (n, options) => new Intl.NumberFormat(region, options).format(n);
export const score = (n) => number(n, { minimumFractionDigits: 1, maximumFractionDigits: 1 });

export function size(bytes) {
    const steps = ["byte", "kilobyte", "megabyte", "gigabyte"];
    let i = 0, n = bytes;

    while (n >= 1000 && i < steps.length - 1) { n /= 1000; i++; }
    return number(n, { style: "unit", unit: steps[i], unitDisplay: i > 0 ? "short" : "long", maximumFractionDigits: n < 10 && i > 0 ? 1 : 0 });
}

const format = (date, options) => {
    try {
        return new Intl.DateTimeFormat(region, { timeZone: zone, ...options }).format(date);
    } catch {
        return new Intl.DateTimeFormat(region, options).format(date);
    }
};
const day = (date) => format(date, { year: "numeric", month: "2-digit", day: "2-digit" });

// Today the hour, this year the day, else the date.
export function when(iso) {
    const date = new Date(iso), now = new Date();

    if (day(date) === day(now)) return format(date, { hour: "2-digit", minute: "2-digit" });
    if (date.getFullYear() === now.getFullYear()) return format(date, { day: "numeric", month: "short" });
    return format(date, { day: "numeric", month: "short", year: "numeric" });
}
// When the day began where the reader is.
export const midnight = () => { const date = new Date(); date.setHours(0, 0, 0, 0); return date.toISOString(); };
export const moment = (iso) => format(new Date(iso), { dateStyle: "full", timeStyle: "medium" });
export const clock = (iso) => format(new Date(iso), { hour: "2-digit", minute: "2-digit", second: "2-digit" });
export const date = (iso) => format(new Date(iso), { dateStyle: "medium" });

export function ago(iso) {
    const s = (new Date(iso) - Date.now()) / 1000, of = new Intl.RelativeTimeFormat(language, { numeric: "auto" });

    for (const [unit, seconds] of [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60]])
        if (Math.abs(s) >= seconds) return of.format(Math.trunc(s / seconds), unit);
    return of.format(0, "minute");
}

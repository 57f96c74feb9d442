// What the pages say: every language has the same texts with the same gaps, and no page asks for a text that there is not.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

import { root } from "./lib/index.mjs";

const web = `${root}/portal/web`;
const languages = readdirSync(`${web}/words`).filter((f) => f.endsWith(".js"));
const catalogues = Object.fromEntries(await Promise.all(languages.map(async (f) => [f.slice(0, -3), (await import(`${web}/words/${f}`)).default])));
const files = ["", "pages/", "parts/"].flatMap((folder) => {
    try { return readdirSync(`${web}/${folder}`).filter((f) => f.endsWith(".js")).map((f) => `${folder}${f}`); } catch { return []; }
});

const forms = (text) => (typeof text === "object" ? Object.entries(text) : [["", text]]);
const gaps = (text) => [...new Set([...text.matchAll(/\{(\w+)\}/g)].map((m) => m[1]))].sort().join(" ");

// The first argument of every t(…): up to the comma or parenthesis that ends it, whatever strings and braces are inside.
function* asked(source) {
    for (const { index } of source.matchAll(/(?<![\w$.])t\(/g)) {
        let depth = 0, quote = "", at = index + 2;
        for (; at < source.length; at++) {
            const c = source[at];
            if (quote) { if (c === "\\") at++; else if (c === quote) quote = ""; continue; }
            if (c === '"' || c === "`") quote = c;
            else if ("([{".includes(c)) depth++;
            else if (depth === 0 && (c === "," || c === ")")) break;
            else if (")]}".includes(c)) depth--;
        }
        yield source.slice(index + 2, at);
    }
}
// What it comes to: texts as they stand, and patterns where a part is only known later. What is compared is no text.
function* keysIn(argument) {
    const bare = argument.replace(/[=!]==?\s*"[^"]*"/g, "");

    // A template inside a template: its beginning is what can be told.
    if (/\$\{[^}]*`/.test(bare)) { yield new RegExp(`^${bare.slice(1, bare.indexOf("${")).replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}.+`); return; }

    for (const [, text] of bare.replace(/`[^`]*`/g, "").matchAll(/"([^"]*)"/g)) yield new RegExp(`^${text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}$`);
    for (const [, text] of bare.matchAll(/`([^`]*)`/g)) yield new RegExp(`^${text.split(/\$\{(?:[^{}]|\{[^{}]*\})*\}/).map((s) => s.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join(".+")}$`);
}

for (const language of Object.keys(catalogues).filter((l) => l !== "en"))
    test(`${language} says all that English says, with the same gaps`, () => {
        const { en, [language]: other } = catalogues;

        assert.deepEqual(Object.keys(other).filter((k) => !(k in en)), [], "only there");
        assert.deepEqual(Object.keys(en).filter((k) => !(k in other)), [], "missing there");
        for (const key of Object.keys(en)) {
            const wanted = gaps(forms(en[key]).at(-1)[1]);

            assert.equal(typeof other[key], typeof en[key], key);
            for (const [form, text] of forms(other[key])) {
                assert.notEqual(text.trim(), "", key);
                if (form !== "one") assert.equal(gaps(text), wanted, key);
            }
            if (typeof en[key] === "object") for (const form of new Intl.PluralRules(language).resolvedOptions().pluralCategories) assert.ok(other[key][form] ?? other[key].other, `${key}: ${form}`);
        }
    });

test("every text that a page asks for is in the catalogue", () => {
    const keys = Object.keys(catalogues.en);
    let seen = 0;

    for (const file of files)
        for (const argument of asked(readFileSync(`${web}/${file}`, "utf8")))
            for (const pattern of keysIn(argument)) {
                seen++;
                assert.ok(keys.some((k) => pattern.test(k)), `${file}: t(${argument})`);
            }
    assert.ok(seen > 80, `${seen} texts were seen`);
});

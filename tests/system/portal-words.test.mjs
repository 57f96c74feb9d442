// What the pages say: every language has the same texts with the same gaps, no page asks for a text that there is not, and what the server says
// to people is said by the pages in every language.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

import { root } from "./lib/index.mjs";

const web = `${root}/portal/web`;
const languages = readdirSync(`${web}/words`).filter((f) => f.endsWith(".js"));
const catalogue = async (folder) => Object.fromEntries(await Promise.all(languages.map(async (f) => [f.slice(0, -3), (await import(`${web}/${folder}/${f}`)).default])));
const catalogues = await catalogue("words"), sentences = await catalogue("sentences");
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

for (const [what, all] of [["all that English says", catalogues], ["all sentences of the server that English says", sentences]])
    for (const language of Object.keys(all).filter((l) => l !== "en"))
        test(`${language} says ${what}, with the same gaps`, () => {
            const { en, [language]: other } = all;

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

// ---- what the server says ----

const sources = (folder) => readdirSync(`${root}/${folder}`).filter((f) => f.endsWith(".c")).map((f) => [`${folder}/${f}`, readFileSync(`${root}/${folder}/${f}`, "utf8").replace(/\/\*[\s\S]*?\*\//g, " ")]);
const literal = /"(?:[^"\\]|\\.)*"(?:\s*"(?:[^"\\]|\\.)*")*/g;
const plain = (written) => written.match(/"(?:[^"\\]|\\.)*"/g).map((one) => { try { return JSON.parse(one); } catch { return ""; } }).join("");
const directive = /%[-0-9.*lzh]*[a-z]/g;
const rows = [...readFileSync(`${root}/portal/sentence_rows.c`, "utf8").matchAll(/^ {4}\{("(?:[^"\\]|\\.)*"), ("(?:[^"\\]|\\.)*"), ("(?:[^"\\]|\\.)*")\},$/gm)]
    .map(([, code, text, values]) => ({ code: plain(code), text: plain(text), names: plain(values).split(",").filter(Boolean).map((v) => v.replace(/^[>+]/, "")) }));

// The literals that a call of one of these gets, each as one text.
function* given(source, calls) {
    for (const { 0: call, index } of source.matchAll(new RegExp(`\\b(?:${calls})\\s*\\(`, "g"))) {
        let depth = 1, at = index + call.length;
        for (let quoted = false; depth > 0; at++) {
            const c = source[at];
            if (quoted) { if (c === "\\") at++; else if (c === '"') quoted = false; } else if (c === '"') quoted = true; else if (c === "(") depth++; else if (c === ")") depth--;
        }
        for (const [one] of source.slice(index, at).matchAll(literal)) yield [call, plain(one)];
    }
}
// Is it one that a row stands for, or can it come out as one that a row has?
const shape = (text) => new RegExp(`^${text.replace(/\.$/, "").split(directive).map((s) => s.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join(".+")}\\.?$`, "i");
const rowOf = (text) => rows.find((r) => r.text === text || shape(text).test(r.text) || shape(r.text).test(text));
const bare = (text) => text.replace(directive, "").replace(/[^a-zA-Z]/g, "").length < 4;

test("each code that the server can send is in every catalogue, and asks for no value that the server does not give", () => {
    assert.ok(rows.length > 400, `${rows.length} rows were read`);
    for (const [language, texts] of Object.entries(sentences)) {
        assert.deepEqual(Object.keys(texts).filter((code) => !rows.some((r) => r.code === code)), [], `only in ${language}`);
        assert.deepEqual(rows.filter((r) => !(r.code in texts)).map((r) => r.code), [], `missing in ${language}`);
        for (const { code, names } of rows) assert.deepEqual(forms(texts[code]).flatMap(([, text]) => gaps(text).split(" ").filter((n) => n && !names.includes(n))), [], `${language}: ${code}`);
    }
    for (const { code, text, names } of rows) assert.equal((text.match(directive) ?? []).length, names.length, code);
});

test("each sentence by which the portal or a rule refuses has a code", () => {
    // What is said at the start, to the log or to another program, meets no person.
    const start = ["main", "static", "siteverify", "links", "worker", "lasting"], inside = /no memory|needs? (more|too much) memory|bytes to be judged|^tries$|cannot be read|does not fit into|too many entries|exceeds|judging|trusted_relays|is not in this scope|in one condition, at most|conditions in one rule, at most|do not fit|in one scope|too many rules to be compared|an entry of %zu bytes|no such escape|byte %zu/;
    const missing = [];
    const look = (file, text) => {
        const own = text.replace(/^conditions\[%zu\]\.any\[%zu\]: /, "");
        if (!bare(own) && !inside.test(own) && !rowOf(own)) missing.push(`${file}: ${text}`);
    };

    for (const [file, source] of sources("portal").filter(([file]) => !start.some((s) => file === `portal/${s}.c`)))
        for (const [call, text] of given(source, "err_set|err_at|call_slow_down|wrong|bad")) look(file, /^(wrong|bad)/.test(call) ? `%s: ${text}` : text);
    for (const [, text] of given(readFileSync(`${root}/portal/permit.c`, "utf8"), "err_set")) look("portal/permit.c", text);
    for (const [one] of readFileSync(`${root}/portal/permit.c`, "utf8").matchAll(/"[A-Z][^"]* [^"]*\."/g)) look("portal/permit.c", plain(one));
    for (const [, one] of sources("portal").filter(([file]) => /password|breadths|decide/.test(file)).flatMap(([, source]) => [...source.matchAll(/(?:return|\?|:)\s+("[A-Z](?:[^"\\]|\\.)*"(?:\s*"(?:[^"\\]|\\.)*")*)\s*[;:)]/g)])) look("portal", plain(one));
    for (const folder of ["lib/rules"])
        for (const [file, source] of sources(folder)) for (const [call, text] of given(source, "err_set|err_at|err_wrap")) look(file, call.startsWith("err_wrap") ? `${text}: %s` : text);
    for (const file of ["lib/mail/address.c", "lib/mail/domain.c", "lib/base/ip.c"])
        for (const [, text] of given(readFileSync(`${root}/${file}`, "utf8"), "err_set|err_at")) look(file, text);
    assert.deepEqual(missing, []);
});

test("no row outlives its sentence", () => {
    const folders = ["portal", ...readdirSync(`${root}/lib`).map((f) => `lib/${f}`)];
    const all = folders.flatMap(sources).filter(([file]) => file !== "portal/sentence_rows.c").flatMap(([, source]) => [...source.matchAll(literal)].map(([one]) => plain(one))).join("\n").toLowerCase();
    const pieces = (text) => text.toLowerCase().split(new RegExp(`${directive.source}|: |, | - |conditions\\[|\\]\\.any\\[|\\]|"`)).map((p) => p.replace(/\.$/, "").trim()).filter((p) => /[a-z]{3}/.test(p));

    // PCRE2 speaks in front of the dash of what is wrong with a regular expression; what a thing is called follows behind a format.
    for (const { code, text } of rows) {
        const found = pieces(text).map((p) => all.includes(p) || (code.startsWith("none.") && all.includes(p.replace(/^(there is )?no such /, ""))) || (code.startsWith("code.") && all.includes("more %s")) || (code.startsWith("brand.contrast") && all.includes("pages this colour")));

        assert.ok(pieces(text).length === 0 || (code.startsWith("regex.") ? found.some(Boolean) : found.every(Boolean)), `${code}: ${text}`);
    }
});

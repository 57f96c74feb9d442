// What the pages say: every language has the same texts with the same gaps, no page asks for a text that there is not, and what the server says
// to people is said by the pages in every language.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

import { root } from "./lib/index.mjs";

const web = `${root}/portal/web`;
const languages = readdirSync(`${web}/words`).filter((f) => f.endsWith(".js"));
const catalogue = async (folder) => Object.fromEntries(await Promise.all(languages.map(async (f) => [f.slice(0, -3), (await import(`${web}/${folder}/${f}`)).default])));
const catalogues = await catalogue("words"), sentences = await catalogue("sentences"), symbols = await catalogue("symbols");
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

for (const [what, all] of [["all that English says", catalogues], ["all sentences of the server that English says", sentences], ["all findings of a filter that English says", symbols]])
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

test("each finding of a filter has one meaning, and each meaning its words", async () => {
    const { default: names } = await import(`${web}/symbols/names.js`), all = Object.values(names).join(" ").split(" ");

    assert.deepEqual(Object.keys(names), Object.keys(symbols.en));
    assert.deepEqual(all.filter((name, i) => !/^[A-Z][A-Z0-9_]+$/.test(name) || all.indexOf(name) !== i), []);
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

// C without comments, and without characters in quotes, which would look like the beginning of a text.
const withoutQuotes = (source) => source.replace(/\/\*[\s\S]*?\*\/|'(?:[^'\\\n]|\\.)+'|"(?:[^"\\]|\\.)*"/g, (one) => (one[0] === '"' ? one : one[0] === "'" ? "0" : " "));
// A text that has a name stands where it is named.
function bareC(source) {
    const named = [...withoutQuotes(source).matchAll(/^#define (\w+)\s+((?:"(?:[^"\\]|\\.)*"[\s\\]*)+)$/gm)];
    return named.reduce((all, [, name, text]) => all.replaceAll(new RegExp(`(?<!#define )\\b${name}\\b`, "g"), () => text.replace(/"\s*\\\s*"/g, "\" \"")), withoutQuotes(source));
}
const sourcesIn = (folder) => readdirSync(`${root}/${folder}`).filter((f) => f.endsWith(".c")).map((f) => [`${folder}/${f}`, bareC(readFileSync(`${root}/${folder}/${f}`, "utf8"))]);
const kept = new Map();
const sources = (folder) => { if (!kept.has(folder)) kept.set(folder, sourcesIn(folder)); return kept.get(folder); };
const literal = /"(?:[^"\\]|\\.)*"(?:\s*"(?:[^"\\]|\\.)*")*/g;
const plain = (written) => written.match(/"(?:[^"\\]|\\.)*"/g).map((one) => { try { return JSON.parse(one); } catch { return ""; } }).join("");
const directive = /%[-0-9.*lzh]*[a-z]/g;
const rows = [...readFileSync(`${root}/portal/sentence_rows.c`, "utf8").matchAll(/^ {4}\{("(?:[^"\\]|\\.)*"), ("(?:[^"\\]|\\.)*"), ("(?:[^"\\]|\\.)*")\},$/gm)]
    .map(([, code, text, values]) => ({ code: plain(code), text: plain(text), names: plain(values).split(",").filter(Boolean).map((v) => v.replace(/^[>+]/, "")) }));

// The arguments of every call of one of these: [its name, what stands between the commas, as it is written].
function* calls(source, names) {
    for (const { 0: call, 1: name, index } of source.matchAll(new RegExp(`\\b(${names})\\s*\\(`, "g"))) {
        const all = [];
        let depth = 1, from = index + call.length, quoted = false;
        for (let at = from; depth > 0; at++) {
            const c = source[at];
            if (quoted) { if (c === "\\") at++; else if (c === '"') quoted = false; continue; }
            if (c === '"') quoted = true;
            else if ("([{".includes(c)) depth++;
            else if (")]}".includes(c)) depth--;
            if ((c === "," && depth === 1) || depth === 0) { all.push(source.slice(from, at).trim()); from = at + 1; }
        }
        yield [name, all];
    }
}
const literals = (written) => [...written.matchAll(literal)].map(([one]) => plain(one));
// Is it one that a row stands for, or can it come out as one that a row has?
const shape = (text) => new RegExp(`^${text.replace(/\.$/, "").split(directive).map((s) => s.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join(".+")}\\.?$`, "i");
const rowOf = (text) => rows.find((r) => r.text === text || shape(text).test(r.text) || shape(r.text).test(text));
test("each code that the server can send is in every catalogue, and asks for no value that the server does not give", () => {
    assert.ok(rows.length > 400, `${rows.length} rows were read`);
    for (const [language, texts] of Object.entries(sentences)) {
        assert.deepEqual(Object.keys(texts).filter((code) => !rows.some((r) => r.code === code)), [], `only in ${language}`);
        assert.deepEqual(rows.filter((r) => !(r.code in texts)).map((r) => r.code), [], `missing in ${language}`);
        for (const { code, names } of rows) assert.deepEqual(forms(texts[code]).flatMap(([, text]) => gaps(text).split(" ").filter((n) => n && !names.includes(n))), [], `${language}: ${code}`);
    }
    for (const { code, text, names } of rows) assert.equal((text.match(directive) ?? []).length, names.length, code);
});

// Who makes the text of an error, which argument of theirs it is (counted from the end below 0), and what becomes of it there.
const same = (text) => text, none = (text) => `There is no such ${text}.`;
const sayers = {
    err_set: [2, same], err_at: [2, same], err_wrap: [1, (text) => `${text}: %s`],
    say_conflict: [1, same], call_slow_down: [3, same], no_such: [2, none], row_change_one: [-2, none], smtp_lost: [3, (text) => `%s: ${text}`],
    "portal/fields.c wrong": [-1, (text) => `%s: ${text}`], "portal/mail_query.c bad": [2, (text) => `%s: ${text}`], "portal/route.c none": [1, none],
};
// Words of ours inside of a sentence: they have a row by themselves.
const words = { check_text: -2, "lib/base/json_read.c fail": 2 };
// Where texts are handed on that are made elsewhere: by one of those above, in a table that another test walks, or by another library.
const handed = ["lib/store/row.c", "lib/mail/address.c", "lib/rules/regex.c", "lib/base/json_read.c", "lib/net/smtp_dialogue.c", "portal/fields.c", "portal/mail_query.c", "portal/call.c", "portal/permit.c", "portal/request.c", "portal/handoff.c", "portal/me.c", "portal/rules.c"];
// What goes wrong on our side: a person is told no more than that it did (sentence_for).
const inside = /^ERR_(IO|CORRUPT|TIMEOUT|FULL|VERSION)$/, memory = /memory|no room|too much for|exceeds|does not fit|do not fit/;
// Files by which no person is answered: what the command, another program or the start of one says; and in the others, what people do not meet.
const apart = ["portal/main.c", "portal/static.c", "portal/siteverify.c", "portal/links.c", "portal/worker.c", "portal/lasting.c", "lib/store/api_key.c", "lib/store/lookup.c", "lib/store/lookup_follow.c", "lib/store/lookup_names.c", "lib/store/lookup_scope.c", "lib/store/message.c", "lib/store/message_json.c",
    "lib/store/message_pack.c", "lib/store/outbox.c", "lib/store/day.c", "lib/custody/report_mail.c", "lib/custody/report_mail_count.c", "lib/rules/origin.c", "lib/rules/spamassassin.c"];
const unmet = {
    "only the command says it": ["several rules end like this: give the whole id", "a rule's id has 36 characters, or 8 hex digits for short", "not a hex digit in the rule's id", "a rule for a policy that the import did not name",
        "only a domain has a limit for all of its senders together", "%s is at most %d", "block_after is about a sender: a whole domain is deferred, never blocked", "the evidence is no text, or more than %d bytes", "[delivery] url: %s"],
    "only another program says it": ["this digest is in other hands", "a digest lists at most %d messages", "too many changes for one patch", "There is no such message in custody.", "There is no such audit row.", "There is no such request under this Idempotency-Key."],
    "people are told in other words": ["an address with too many targets", "a search with %zu texts, at most %d", "a search without %zu ids, at most %d", "that message has %zu recipients; there is no number %lld", "too many rules to be compared",
        "more than %d regular expressions without a fixed text of 3 bytes or more in one scope: give each such a text, or write it as a wildcard", "%zu regular expressions without a fixed text of 3 bytes or more in one scope, at most %d"],
    "there is more than there can be, or a fault in the program": ["the learned sender is too long", "%s after %zu rules", "a message of the log is too large to be asked about", "the recipient's address is too long for the audit log", "what is known of the message is too much",
        "judging takes longer than %lld µs", "the message needs more than %zu bytes to be judged", "%zu entries in one condition, at most %d", "%zu conditions in one rule, at most %d", "the rule belongs to policy %s, which is not in this scope",
        "a letter has from 1 to %d recipients, not %zu", "%s: a command that is too long"],
};

test("each sentence that an error says to a person has a code", () => {
    const people = [...["portal", "lib/store", "lib/custody", "lib/rules"].flatMap(sources).filter(([file]) => !apart.includes(file)),
        ...["lib/mail/address.c", "lib/mail/compose.c", "lib/mail/domain.c", "lib/base/ip.c", "lib/base/json_read.c", "lib/base/zone.c", ...["client", "dialogue", "envelope", "letter"].map((part) => `lib/net/smtp_${part}.c`)].map((file) => sources(file.replace(/\/[^/]*$/, "")).find(([name]) => name === file))];
    const missing = new Set(), excused = new Set(), unknown = new Set(), excuses = Object.values(unmet).flat();
    const look = (file, text) => {
        const own = text.replace(/^conditions\[%zu\]\.any\[%zu\][:,] /, ""); // in front of a line of an import it is left out
        if (excuses.includes(own)) excused.add(own);
        else if (!memory.test(own) && ![text, own].every((one) => rowOf(one.endsWith(": ") ? `${one}%s` : one))) missing.add(`${file}: ${text}`);
    };

    for (const [file, source] of people) {
        for (const [key, [index, made]] of Object.entries(sayers)) {
            const [of, name] = key.includes(" ") ? key.split(" ") : [file, key];
            if (of === file)
                for (const [, given] of calls(source, name)) {
                    const text = given.at(index) ?? "";
                    if (name === "err_set" && inside.test(given[1])) continue;
                    if (/^(err_set|err_at)$/.test(name) && !/[a-z]{2}/i.test(literals(text).join("").replace(directive, ""))) { if (!handed.includes(file)) unknown.add(`${file}: ${given.join(", ")}`); continue; }
                    for (const one of literals(text)) if (/[a-z]{2}/i.test(one.replace(directive, ""))) look(file, made(one));
                }
        }
        for (const [key, index] of Object.entries(words)) {
            const [of, name] = key.includes(" ") ? key.split(" ") : [file, key];
            if (of === file) for (const [, given] of calls(source, name)) for (const one of literals(given.at(index) ?? "")) if (!rows.some((r) => r.text === one)) missing.add(`${file}: the word “${one}”`);
        }
    }
    for (const [one] of readFileSync(`${root}/portal/permit.c`, "utf8").matchAll(/"[A-Z][^"]* [^"]*\."/g)) look("portal/permit.c", plain(one));
    for (const [, one] of sources("portal").filter(([file]) => /password|breadths|decide/.test(file)).flatMap(([, source]) => [...source.matchAll(/(?:return|\?|:)\s+("[A-Z](?:[^"\\]|\\.)*"(?:\s*"(?:[^"\\]|\\.)*")*)\s*[;:)]/g)])) look("portal", plain(one));
    assert.deepEqual([...missing], [], "give it a row in portal/sentence_rows.c and its texts in portal/web/sentences");
    assert.deepEqual([...unknown], [], "a text that is made elsewhere: say by whom");
    assert.deepEqual(excuses.filter((one) => !excused.has(one)), [], "excused, and said by nobody");
});

test("no row outlives its sentence", () => {
    const folders = ["portal", ...readdirSync(`${root}/lib`).map((f) => `lib/${f}`)];
    const all = folders.flatMap(sources).filter(([file]) => file !== "portal/sentence_rows.c").flatMap(([, source]) => [...source.matchAll(literal)].map(([one]) => plain(one))).join("\n").toLowerCase();
    const pieces = (text) => text.toLowerCase().split(new RegExp(`${directive.source}|: |, | - |conditions\\[|\\]\\.any\\[|\\]|"`)).map((p) => p.replace(/\.$/, "").trim()).filter((p) => /[a-z]{3}/.test(p));

    // PCRE2 says what is wrong with a regular expression (tests/unit/portal_sentence.c asks it), libcurl why a host is not reached; what a thing is
    // called follows behind a format.
    for (const { code, text } of rows) {
        const found = pieces(text).map((p) => all.includes(p) || (code.startsWith("none.") && all.includes(p.replace(/^(there is )?no such /, ""))) || (code.startsWith("code.") && all.includes("more %s")) || (code.startsWith("brand.contrast") && all.includes("pages this colour")));

        assert.ok(/^(regex|server\.(refused|unknown|slow))/.test(code) || found.every(Boolean), `${code}: ${text}`);
    }
});

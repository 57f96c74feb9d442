// Why a rule did what it did, said by the page from the facts that the server gives: in both languages, and for each kind of outcome.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { makeSite, root } from "./lib/index.mjs";

const ANNA = "anna@ours.example";
const rules = [
    ["partner", "allow", "--sender", "partner.example"], ["loose", "--no-proof", "allow", "--sender", "partner.example"], ["words", "block", "--subject", "lottery", "--subject", "prize"],
    ["tested", "--test-only", "block", "--subject", "invoice"], ["ip", "block", "--ip", "203.0.113.0/24"], ["big", "block", "--size", "100000-"],
];
let site, said, because, speak;

before(async () => {
    globalThis.document = { documentElement: {} };
    Object.defineProperty(globalThis, "navigator", { value: { languages: ["en"] }, configurable: true });
    ({ because } = await import(`${root}/portal/web/because.js`));
    ({ speak } = await import(`${root}/portal/web/words.js`));
    site = await makeSite();
    await site.must("init");
    await site.must("domain", "add", "ours.example");
    await site.must("account", "add", ANNA);
    await site.must("mailbox", "add", ANNA);
    for (const [name, ...more] of rules) await site.postern(["rule", "add", "--scope", `mailbox:${ANNA}`, "--name", name, ...more]);
    const { stdout } = await site.postern(["explain", "--rcpt", ANNA, "--from", "bob@partner.example", "--ip", "192.0.2.1", "--json", "-"], { input: "From: Bob <bob@partner.example>\r\nSubject: Your invoice <b>\r\n\r\nHello.\r\n" });
    said = Object.fromEntries(JSON.parse(stdout).recipients[0].matches.map((m) => [m.name, m]));
});
after(() => site?.remove?.());

test("every outcome is said in English", async () => {
    await speak("en");
    assert.equal(because(said.loose), "Condition 1 (Sender): “partner.example” (entry 1) matches “bob@partner.example”.");
    assert.match(because(said.partner), /^It matched, and was not applied: the sender is not proven\. Condition 1 \(Sender\): .* would pin the rule\.$/);
    assert.match(because(said.tested), /^It would apply, but is only tested\. Condition 1 \(Subject\): “invoice” \(entry 1\) matches “Your invoice <b>”\.$/);
    assert.equal(because(said.words), "Condition 1 (Subject): nothing in it matches “Your invoice <b>”.");
    assert.match(because(said.ip), /^Condition 1 \(IP address\): nothing in it matches/);
});

test("and in German, without a word of English", async () => {
    await speak("de");
    assert.equal(because(said.loose), "Bedingung 1 (Absender): „partner.example“ (Eintrag 1) passt auf „bob@partner.example“.");
    assert.match(because(said.tested), /^Sie würde greifen, wird aber nur getestet\. /);
    for (const m of Object.values(said)) assert.doesNotMatch(because(m).replace(/„[^“]*“/g, ""), /\b(condition|matches|entry|the|is|sender)\b/, m.name);
});

test("what this page does not know stands in the server's words", async () => {
    await speak("de");
    assert.equal(because({ why: "condition 1 (smell): it smells" }), "condition 1 (smell): it smells", "a row of a log from before");
    assert.equal(because({ why: "as it is", because: { code: "applied", kind: "smell" } }), "as it is");
    assert.equal(because({ why: "as it is", because: { code: "sleepy" } }), "as it is");
    assert.match(because({ why: "", because: { code: "unknown", condition: 2, kind: "body", limit: "a limit of tomorrow" } }), /a limit of tomorrow/);
    assert.match(because({ why: "", because: { code: "expired", at: "2026-03-01T00:00:00Z" } }), /^Die Regel endete am .*2026\.$/);
    assert.match(because({ why: "", because: { code: "false", condition: 1, conditions: 1, kind: "size", not: false, seen: "5000 bytes", min: 100, max: 200 } }), /5\.?000 Byte, also nicht 100 bis 200/);
});

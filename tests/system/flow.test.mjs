// What a message leaves behind: its row, its deliveries, its copy. Asked by Rspamd's protocol, as the proxy does.
import assert from "node:assert/strict";
import { existsSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { http, makeSite, run, startRulesd, startSmtpSink, waitFor } from "./lib/index.mjs";

const message = (subject = "Hello", more = "") => `From: Ben Friend <ben@friends.example>\r\nTo: all@ours.example\r\nSubject: ${subject}\r\nMessage-ID: <m1@friends.example>\r\n${more}\r\nA few words.\r\n`;

async function startSite(config = {}) {
    const site = await startRulesd({ config: { ...config, rulesd: { mta_from: "127.0.0.0/8", ...config.rulesd } } });
    await furnish(site);
    return site;
}

async function furnish(site) {
    await site.must("domain", "add", "ours.example");
    await site.must("domain", "add", "theirs.example", "--at-block", "quarantine");
    for (const who of ["anna@ours.example", "ben@ours.example", "carl@theirs.example"]) await site.must("mailbox", "add", who);
    await site.must("rule", "add", "--scope", "mailbox:anna@ours.example", "allow", "--sender", "ben@friends.example", "--no-proof");
    await site.must("rule", "add", "--scope", "mailbox:ben@ours.example", "block", "--sender", "ben@friends.example");
    await site.must("rule", "add", "--scope", "mailbox:carl@theirs.example", "block", "--sender", "ben@friends.example");
}

let queue = 0;
const scan = async (site, rcpts, { body = message(), headers = {} } = {}) => {
    const { text, status } = await http(site.http, { headers: { From: "<ben@friends.example>", Rcpt: rcpts.map((r) => `<${r}>`), IP: "192.0.2.7",
        "Queue-ID": `Q${++queue}`, Flags: "milter", ...headers }, body });
    return { status, reply: text.startsWith("{") ? JSON.parse(text) : text };
};

const rows = async (site, sql) => JSON.parse((await run("sqlite3", ["-json", "-cmd", ".timeout 5000", join(site.dir, "log.db"), sql])).stdout || "[]");
const held = (site) => readdirSync(join(site.dir, "quarantine"), { recursive: true }).filter((f) => /\d{4}-\d\d-\d\d\/.+/.test(f));

test("three recipients, three verdicts: who accepts gets it, the others have a copy", async () => {
    const site = await startSite();
    const { reply } = await scan(site, ["anna@ours.example", "ben@ours.example", "carl@theirs.example"]);

    assert.equal(reply.action, "no action");
    assert.deepEqual(reply.milter.del_rcpt, ["ben@ours.example", "carl@theirs.example"]);
    await waitFor("the rows", async () => (await rows(site, "SELECT 1 FROM delivery")).length === 3);
    assert.deepEqual(await rows(site, "SELECT recipient, verdict, state, status FROM delivery ORDER BY n"), [
        { recipient: "anna@ours.example", verdict: "allowed", state: "received", status: "received" },
        { recipient: "ben@ours.example", verdict: "removed", state: "unknown", status: "blocked" },
        { recipient: "carl@theirs.example", verdict: "quarantined", state: "unknown", status: "quarantined" }]);
    const [m] = await rows(site, "SELECT * FROM message");
    assert.equal(m.subject, "Hello");
    assert.equal(m.from_address, "ben@friends.example");
    assert.equal(m.from_name, "Ben Friend");
    assert.equal(m.message_id, "<m1@friends.example>");
    assert.equal(m.inbound, "250 accepted");
    assert.equal(m.ip, "192.0.2.7");
    assert.deepEqual(held(site).length, 1);
    assert.match(held(site)[0], new RegExp(`${m.uid}$`));
    await site.stop();
});

test("what everybody refuses is refused, and nothing of it is kept", async () => {
    const site = await startSite();
    const { reply } = await scan(site, ["ben@ours.example"]);

    assert.equal(reply.action, "reject");
    await waitFor("the row", async () => (await rows(site, "SELECT 1 FROM delivery")).length === 1);
    const [d] = await rows(site, "SELECT verdict, status, trace FROM delivery");
    assert.deepEqual([d.verdict, d.status], ["blocked", "blocked"]);
    assert.equal(JSON.parse(d.trace)[0].layer, "mailbox");
    assert.match((await rows(site, "SELECT inbound FROM message"))[0].inbound, /^554 5.7.1 Blocked by the recipient's rules \([0-9a-f]{8}\)$/);
    assert.equal(held(site).length, 0);
    await site.stop();
});

test("what only one holds is accepted, dropped and kept", async () => {
    const site = await startSite();
    const { reply } = await scan(site, ["carl@theirs.example"]);

    assert.equal(reply.action, "reject");
    assert.equal(reply.milter.reject, "discard");
    assert.equal(held(site).length, 1);
    await site.stop();
});

test("a proxy that asks again gets the same reply, and nothing is counted twice", async () => {
    const site = await startSite();
    const again = { headers: { "Queue-ID": "SAME" } };
    const [one, two] = await Promise.all([scan(site, ["carl@theirs.example"], again), scan(site, ["carl@theirs.example"], again)]);
    const three = await scan(site, ["carl@theirs.example"], again);

    assert.deepEqual(one.reply, two.reply);
    assert.deepEqual(one.reply, three.reply);
    await waitFor("the row", async () => (await rows(site, "SELECT 1 FROM message")).length > 0);
    assert.equal((await rows(site, "SELECT 1 FROM message")).length, 1);
    assert.equal(held(site).length, 1);
    await site.stop();
});

test("while nothing can be held, the sender is asked to come again", async () => {
    const site = await startSite({ quarantine: { min_free: "100T" } });
    const { reply } = await scan(site, ["carl@theirs.example"]);

    assert.equal(reply.action, "soft reject");
    assert.equal(held(site).length, 0);
    await waitFor("the row", async () => (await rows(site, "SELECT 1 FROM delivery")).length === 1);
    assert.equal((await rows(site, "SELECT verdict FROM delivery"))[0].verdict, "deferred");
    assert.match(site.log(), /could not be taken into custody/);
    const { reply: passing } = await scan(site, ["anna@ours.example"]);
    assert.equal(passing.action, "no action");
    await site.stop();
});

test("keys that are made after the start are taken: mail is held, and what is released gets past the scan", async () => {
    const sink = await startSmtpSink({ answer: (verb) => verb === "END" ? "451 4.3.0 later" : null });
    const site = await makeSite({ rulesd: { mta_from: "127.0.0.0/8" }, delivery: { url: `smtp://127.0.0.1:${sink.port}?bypass=on` } });
    await site.must("init");
    await furnish(site);
    const keys = join(site.dir, "keys");
    renameSync(keys, `${keys}.later`);
    await startRulesd({ site, init: false });

    const { reply: refused } = await scan(site, ["carl@theirs.example"]);
    assert.equal(refused.action, "reject");
    assert.equal(refused.milter?.reject, undefined, "the sender hears of it");
    assert.match(site.log(), /nothing can be held/);

    renameSync(`${keys}.later`, keys);
    await waitFor("it to be held", async () => (await scan(site, ["carl@theirs.example"])).reply.milter?.reject === "discard");
    assert.match(site.log(), /the key \S+ seals held mail from now on/);
    const row = await waitFor("the row", async () => (await rows(site, "SELECT uid FROM delivery WHERE status = 'quarantined'"))[0]);
    await waitFor("its release", async () => { await site.postern(["quarantine", "release", row.uid, "--rcpt", "carl@theirs.example"]); return sink.messages.length > 0; });
    assert.equal((await scan(site, ["carl@theirs.example"], { body: sink.messages.at(-1).data })).reply.action, "no action");
    await site.stop();
    await sink.stop();
    site.remove();
});

test("behind an MTA that cannot refuse any more, what cannot be held is tagged", async () => {
    const site = await startSite({ rulesd: { phase: "post" } });
    assert.equal((await scan(site, ["carl@theirs.example"])).reply.milter.reject, "discard");
    assert.equal(held(site).length, 1);
    await site.stop();
    const full = await startSite({ rulesd: { phase: "post" }, quarantine: { min_free: "100T" } });
    assert.equal((await scan(full, ["carl@theirs.example"])).reply.action, "add header");
    await waitFor("the row", async () => (await rows(full, "SELECT verdict FROM delivery")).length === 1);
    assert.equal((await rows(full, "SELECT verdict FROM delivery"))[0].verdict, "tagged");
    await full.stop();
});

test("what a domain or a mailbox may hold is bounded, and beyond that the sender comes again", async () => {
    const site = await startSite();
    const big = message("Big", "").replace("A few words.", "x".repeat(3000));
    await site.must("domain", "set", "theirs.example", "--mailbox-held-max", "8K", "--held-max", "1M");
    await waitFor("the setting to hold and the mailbox to be full", async () => {
        const { reply } = await scan(site, ["carl@theirs.example"], { body: big.replace("Big", `Big ${Math.random()} ${Math.random()} ${Math.random()}`) });
        return reply.action === "soft reject";
    });
    assert.ok(held(site).length >= 1);
    const before = held(site).length;
    assert.equal((await scan(site, ["carl@theirs.example"], { body: big })).reply.action, "soft reject");
    const plugin = { body: big, headers: { Flags: "milter,no_log" } };
    assert.equal((await scan(site, ["anna@ours.example", "carl@theirs.example"], plugin)).reply.action, "soft reject", "the bound is of whom it is held for");
    assert.equal(held(site).length, before);
    await site.must("domain", "set", "theirs.example", "--mailbox-held-max", "0");
    await waitFor("the limit to be gone", async () => (await scan(site, ["carl@theirs.example"], { body: big })).reply.milter?.reject === "discard");
    await site.stop();
});

test("10,000 recipients with many rules each are judged, told apart and logged with the rule that decided", async () => {
    const site = await startSite();
    const rule = { action: "block", conditions: [{ kind: "subject", match: "contains", any: ["hello"] }] };
    const file = join(site.dir, "rules.jsonl");
    writeFileSync(file, Array.from({ length: 60 }, (_, i) => `${JSON.stringify({ scope: "mailbox:ben@ours.example", ...rule, priority: 10 + i, test_only: i < 55, name: `${i}`.padEnd(100, "r") })}\n`).join(""));
    await site.must("rule", "import", file);
    const all = Array.from({ length: 10000 }, (_, i) => `${i % 2 ? "anna" : "ben"}+${i}@ours.example`);
    const { status, reply } = await scan(site, all);

    assert.equal(status, 200, JSON.stringify(reply));
    assert.equal(reply.milter.del_rcpt.length, 5000);
    await waitFor("the rows", async () => (await rows(site, "SELECT count(*) AS n FROM delivery"))[0].n === 10000);
    const [ben] = await rows(site, "SELECT lower(hex(rule_id)) AS rule, trace FROM delivery WHERE recipient = 'ben+0@ours.example'");
    assert.ok(JSON.parse(ben.trace).some((m) => m.id.replaceAll("-", "") === ben.rule), JSON.stringify(ben));
    assert.equal(held(site).length, 1);
    await site.stop();
});

test("a stranger who asks leaves nothing behind", async () => {
    const site = await startSite({ rulesd: { mta_from: "" } });
    const { reply } = await scan(site, ["carl@theirs.example"]);

    assert.equal(reply.action, "reject");
    assert.equal(held(site).length, 0);
    await site.stop();
    assert.ok(!existsSync(site.dir) || (await rows(site, "SELECT 1 FROM message")).length === 0);
});

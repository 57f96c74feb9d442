// Whose name stands in what we say about mail: the recipient's brand's, and the operator's where there is none, or where there are two.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { after, before, test } from "node:test";

import { Browser, http, makeSite, root as repository, rawTcp, signIn, startPortal, startRulesd, startSmtpSink, waitFor } from "./lib/index.mjs";

const ANNA = "anna@ours.example", CLEO = "cleo@theirs.example", DORA = "dora@plain.example", ROOT = "root@elsewhere.example";
const SPAM = "From: <w@ext.example>\r\nSubject: wares\r\n\r\nBuy.\r\n";
let site, sink, root, acme;

before(async () => {
    sink = await startSmtpSink();
    const own = await makeSite({
        smtp: { url: `smtp://127.0.0.1:${sink.port}`, from: "Haus Post <post@haus.example>" }, delivery: { url: `smtp://127.0.0.1:${sink.port}` },
        rules: { prefix: "HAUS" }, portal: { name: "Haus Post" }, rulesd: { mta_from: "127.0.0.0/8" },
    });
    await own.must("init");
    for (const [domain, person] of [["ours.example", ANNA], ["theirs.example", CLEO], ["plain.example", DORA]]) {
        await own.must("domain", "add", domain, "--at-block", "quarantine");
        await own.must("account", "add", person);
        await own.must("mailbox", "add", person);
        await own.must("rule", "add", "--scope", `domain:${domain}`, "--name", "No wares", "block", "--subject", "wares");
        await own.must("rule", "add", "--scope", `domain:${domain}`, "--name", "Friends", "allow", "--subject", "friend");
    }
    await own.must("account", "add", ROOT, "--admin", "on");
    site = await startRulesd({ site: own, init: false });
    await startPortal(site, { settings: { name: "Haus Post" } });
    root = await signIn(site, ROOT);
    for (const [name, domain, prefix] of [["Acme Mail", "ours.example", "ACME"], ["Bolt", "theirs.example", ""]]) {
        const { status, body } = await root.post("/brands", { name, prefix, sender: `${name} <mail@${name.split(" ")[0].toLowerCase()}.example>` });
        assert.equal(status, 201, JSON.stringify(body));
        assert.equal((await root.put(`/brands/${body.id}/domains/${domain}`, {})).status < 300, true);
        acme = acme ?? body;
    }
});
after(async () => { await site?.stopPortal(); await site?.stop(); site?.remove?.(); await sink?.stop(); });

const ask = async (rcpts, body = SPAM) => JSON.parse((await http(site.httpSock, { headers: { From: "<w@ext.example>", Rcpt: rcpts.map((r) => `<${r}>`), IP: "192.0.2.9", Flags: "milter" }, body })).text);
const symbols = async (rcpts, body) => Object.keys((await ask(rcpts, body)).symbols);
const heard = (what, rcpts, wanted) => waitFor(what, async () => (await symbols(rcpts)).join() === wanted, { timeout: 5000 });

test("symbols and header fields begin with the prefix of the recipient's brand, and a change is heard of", async () => {
    await heard("the brands", [ANNA], "ACME_BLOCK");
    assert.deepEqual(await symbols([CLEO]), ["BOLT_BLOCK"], "made of the name, where none was said");
    assert.deepEqual(await symbols([DORA]), ["HAUS_BLOCK"]);
    const friend = await ask([ANNA], SPAM.replace("wares", "friend"));
    assert.deepEqual(Object.keys(friend.symbols), ["ACME_ALLOW"]);
    assert.match(friend.milter.add_headers["X-Spam-Status"].value ?? friend.milter.add_headers["X-Spam-Status"], /tests=ACME_ALLOW/);
    assert.equal((await root.patch(`/brands/${acme.id}`, { prefix: "ACME_TWO" })).status, 200);
    await heard("the new prefix", [ANNA], "ACME_TWO_BLOCK");
    await root.patch(`/brands/${acme.id}`, { prefix: "ACME" });
    await heard("the old prefix", [ANNA], "ACME_BLOCK");
});

test("for recipients of several brands it is the operator who speaks", async () => {
    assert.deepEqual(await symbols([ANNA, CLEO]), ["HAUS_BLOCK"]);
    assert.deepEqual(await symbols([ANNA, DORA]), ["HAUS_BLOCK"]);
    assert.deepEqual(await symbols([ANNA, ANNA.replace("anna", "other")]), ["ACME_BLOCK"]);
});

test("over spamd the report and the symbols are the brand's too", async () => {
    const say = async (verb, user) => (await rawTcp(site.spamd, `${verb} SPAMC/1.5\r\nUser: ${user}\r\nContent-length: ${Buffer.byteLength(SPAM)}\r\n\r\n${SPAM}`)).toString();
    assert.match(await say("SYMBOLS", ANNA), /ACME_BLOCK/);
    assert.match(await say("REPORT", ANNA), /^Acme Mail: Blocked/m);
    assert.match(await say("REPORT", DORA), /^Haus Post: Blocked/m);
    for (const verb of ["REPORT", "PROCESS", "HEADERS"]) assert.doesNotMatch(await say(verb, DORA), /postern/i, verb);
});

test("a released message carries the brand's field", async () => {
    await http(site.httpSock, { headers: { From: "<w@ext.example>", Rcpt: `<${ANNA}>`, IP: "192.0.2.9", Flags: "milter", "Queue-ID": "R1" }, body: SPAM.replace("wares", "wares to keep") });
    const [row] = await waitFor("it to be held", async () => { const { body } = await root.get("/scopes/domain:ours.example/mail?q=subject:keep"); return body.items.length > 0 && body.items; });
    assert.equal((await root.post(`/deliveries/${row.uid}/${row.n}/release`, {})).status, 200);
    const mail = await waitFor("the message", () => sink.messages.find((m) => m.data.includes("wares to keep")));
    assert.match(mail.data, /^X-Acme-Released: /m);
    assert.doesNotMatch(mail.data, /postern/i);
});

test("mail that we send comes from the brand, in the letter and on the envelope", async () => {
    for (const [address, from] of [[ANNA, "mail@acme.example"], [DORA, "post@haus.example"]]) {
        const browser = new Browser(site.origin);
        assert.equal((await browser.post("/signin/link", { address, ...await browser.proof(address) })).status, 200);
        const mail = await waitFor(`the link for ${address}`, () => sink.messages.find((m) => m.rcpts.includes(address) && m.data.includes("sign")));
        assert.equal(mail.from, from);
        assert.match(mail.data, new RegExp(`^From: .*<?${from.replace(".", "\\.")}>?`, "m"));
        assert.doesNotMatch(mail.data, /postern/i);
    }
});

test("nothing that people's programs see says our name, unless the operator's name is that", async () => {
    const anna = await signIn(site, ANNA);
    await site.must("sender", "limit", "domain:ours.example", "messages_day=1", "block_after=1");
    await waitFor("Anna to be blocked", async () => { await http(site.httpSock, { headers: { From: `<${ANNA}>`, Rcpt: "<w@ext.example>", IP: "192.0.2.9", User: ANNA }, body: SPAM }); return (await root.get("/blocked-senders")).body.items.length > 0; });
    const shown = (r) => [...r.headers].map(([k, v]) => `${k}: ${v}`).join("\n") + "\n" + r.text;
    const pages = ["/", "/index.html", "/signin", "/no-such-page"].map((path) => fetch(site.origin + path).then(async (r) => shown({ headers: r.headers, text: await r.text() })));
    const calls = ["/session", "/brand", "/openapi.json", "/no/such/call", "/me/mail", "/scopes/domain:theirs.example/rules"].map((path) => anna.get(path).then(shown));
    const stranger = new Browser(site.origin).get("/me/mail").then(shown);
    const logs = ["/audit", "/scopes/global/audit.csv", "/scopes/domain:ours.example/audit.csv", "/blocked-senders"].map((path) => root.get(path).then(shown));
    const files = readdirSync(`${repository}/portal/web`, { recursive: true }).filter((f) => /\.(js|css|html|svg)$/.test(f) && !f.includes("node_modules")).map((f) => readFileSync(`${repository}/portal/web/${f}`, "utf8"));
    for (const text of await Promise.all([...pages, ...calls, ...logs, ...files, stranger])) assert.doesNotMatch(text, /postern/i, text.slice(0, 2000).match(/.{0,80}postern.{0,80}/is)?.[0]);
    const link = await new Browser(site.origin).post("/signin/link", { address: ANNA, ...await anna.proof(ANNA) });
    assert.doesNotMatch(shown(link), /postern/i);
    assert.equal((await anna.get("/openapi.json")).body.info.title, "Acme Mail");
    assert.deepEqual((await root.get("/audit?actor=portal&action=mailbox&limit=1")).body.items.map((r) => [r.actor_kind, r.actor]), [["system", "portal"]]);
    assert.deepEqual((await root.get("/blocked-senders")).body.items.map((b) => [b.automatic, b.by]), [[true, "rulesd"]]);
});

test("a prefix that is no word in capitals does not start", async () => {
    const bad = await makeSite({ rules: { prefix: "my brand" } });
    await bad.must("init");
    await assert.rejects(startRulesd({ site: bad, init: false }), /\[rules\] prefix/);
    bad.remove?.();
});

// What other programs hand over and read by HTTP: results of Rspamd with their messages, delivery reports, maps; each with a token.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { http, sleep, startRulesd, waitFor } from "./lib/index.mjs";

const ANNA = "anna@ours.example", CLEO = "cleo@theirs.example";
let site, tokens;

const token = async (name, ...scopes) => /^(pst_\S+)$/m.exec(await site.must("token", "add", name, ...scopes))[1];

before(async () => {
    site = await startRulesd();
    await site.must("domain", "add", "ours.example");
    await site.must("domain", "add", "theirs.example", "--at-reject", "quarantine");
    for (const address of [ANNA, CLEO]) await site.must("mailbox", "add", address);
    await site.must("rule", "add", "--scope", "domain:ours.example", "--name", "n1", "--sender", "spam@bad.example", "block");
    tokens = {
        rspamd: await token("exporter", "ingest:rspamd"),
        delivery: await token("mta", "ingest:delivery"),
        ours: await token("exporter of ours", "ingest:rspamd", "--domain", "ours.example"),
        maps: await token("maps", "maps:ours.example"),
        all: await token("all maps", "maps:global"),
        far: await token("far", "ingest:rspamd", "--from", "192.0.2.0/24"),
        gone: await token("gone", "ingest:rspamd"),
    };
    await site.must("token", "revoke", "gone");
});
after(async () => site?.stop());

let number = 0;
const basic = (secret) => ({ Authorization: `Basic ${Buffer.from(`rspamd:${secret}`).toString("base64")}` });
const bearer = (secret) => ({ Authorization: `Bearer ${secret}` });

// As metadata_exporter hands a message over.
function told({ rcpt = [ANNA], action = "no action", score = "0.2", qid = `4jX${++number}z1c71W`, symbols = [], from = "sender@ext.example" } = {}) {
    return {
        "X-Rspamd-Rcpt": JSON.stringify(rcpt), "X-Rspamd-Action": action, "X-Rspamd-Score": score, "X-Rspamd-Qid": qid,
        "X-Rspamd-Symbols": JSON.stringify(symbols), "X-Rspamd-From": from, "X-Rspamd-Ip": "192.0.2.44", "X-Rspamd-User": "unknown",
        "X-Rspamd-Subject": "hello",
    };
}
const letter = (n) => `From: <sender@ext.example>\r\nTo: x@y.example\r\nSubject: handed ${n}\r\nMessage-ID: <h${n}@ext.example>\r\n\r\nbody ${n}\r\n`;
const hand = (headers, { secret = tokens.rspamd, body = letter(number), to = site.http, auth = basic } = {}) =>
    http(to, { path: "/ingest/rspamd", headers: { ...headers, ...auth(secret) }, body });
const trace = async (what) => (await site.postern(["trace", what])).stdout;

test("a message that Rspamd has judged stands in the log with its recipients of ours", async () => {
    const qid = `Q${++number}`;
    const { status, text } = await hand(told({ qid, rcpt: [ANNA, "stranger@foreign.example"], symbols: [{ name: "MIME_GOOD", score: -0.1, options: ["text/plain"], groups: ["mime"] }] }));

    assert.equal(status, 200, text);
    assert.deepEqual(JSON.parse(text), { success: true });
    const story = await waitFor("the row", async () => { const t = await trace(qid); return t.includes(ANNA) ? t : null; });
    assert.match(story, /MIME_GOOD|h\d+@ext\.example|handed/);
    assert.doesNotMatch(story, /stranger@foreign/);
});

test("what a domain wants held is held before the answer, what it refuses is not", async () => {
    const held = `Q${++number}`;
    assert.equal((await hand(told({ qid: held, rcpt: [ANNA, CLEO], action: "reject", score: "20" }), { body: letter(held) })).status, 200);
    const list = await waitFor("the list", async () => { const t = await site.must("quarantine", "list"); return t.includes(CLEO) ? t : null; });
    assert.match(list, /quarantined +cleo@theirs\.example/);
    assert.match(list, /rejected +anna@ours\.example/);
});

test("the same again is answered 200, and nothing comes of it", async () => {
    const qid = `Q${++number}`, headers = told({ qid });

    assert.equal((await hand(headers, { body: letter(qid) })).status, 200);
    await waitFor("the row", async () => (await trace(qid)).includes(ANNA));
    const before = await trace(qid);
    assert.equal((await hand(headers, { body: letter(qid) })).status, 200);
    const forged = await hand(told({ qid, action: "reject", score: "99" }), { body: "Subject: something else\r\n\r\nx\r\n" });
    assert.deepEqual([forged.status, JSON.parse(forged.text)], [200, { success: true, recipients: 0 }]);
    await sleep(300);
    assert.equal(await trace(qid), before);
    assert.doesNotMatch(before, /something else/);
});

test("a wrong token, or one for something else, gets nothing in", async () => {
    const qid = `Q${++number}`;
    const tries = [
        ["none at all", (h) => http(site.http, { path: "/ingest/rspamd", headers: h, body: letter(qid) }), 401],
        ["a guess", (h) => hand(h, { secret: "pst_" + "A".repeat(43), body: letter(qid) }), 401],
        ["no token", (h) => hand(h, { secret: "secret", body: letter(qid) }), 401],
        ["one for deliveries", (h) => hand(h, { secret: tokens.delivery, body: letter(qid) }), 403],
        ["one from another network", (h) => hand(h, { secret: tokens.far, body: letter(qid) }), 401],
        ["a revoked one", (h) => hand(h, { secret: tokens.gone, body: letter(qid) }), 401],
    ];

    for (const [what, ask, status] of tries) assert.equal((await ask(told({ qid }))).status, status, what);
    await sleep(200);
    assert.doesNotMatch(await trace(qid), /anna@/);
    assert.match(site.log(), /wrong token/);
    assert.doesNotMatch(site.log(), /pst_/);
});

test("a token for one domain says nothing about another", async () => {
    const qid = `Q${++number}`;
    const { status, text } = await hand(told({ qid, rcpt: [CLEO] }), { secret: tokens.ours, body: letter(qid) });

    assert.deepEqual([status, JSON.parse(text)], [200, { success: true, recipients: 0 }]);
    assert.equal((await hand(told({ qid, rcpt: [ANNA, CLEO] }), { secret: tokens.ours, body: letter(qid), auth: bearer })).status, 200);
    const story = await waitFor("the row", async () => { const t = await trace(qid); return t.includes(ANNA) ? t : null; });
    assert.doesNotMatch(story, /cleo@/);
});

test("a token made or revoked counts at once", async () => {
    const secret = await token("short", "ingest:rspamd");
    await waitFor("it to count", async () => (await hand(told(), { secret })).status === 200, { seconds: 2 });
    await site.must("token", "revoke", "short");
    await waitFor("it to be worth nothing", async () => (await hand(told(), { secret })).status === 401, { seconds: 2 });
});

test("what is damaged is refused, and rulesd goes on", async () => {
    const deep = "[".repeat(200000) + "]".repeat(200000);
    const cases = [
        ["no action", { ...told(), "X-Rspamd-Action": "" }, 400],
        ["recipients that are no list", { ...told(), "X-Rspamd-Rcpt": "anna@ours.example" }, 400],
        ["recipients that are no strings", { ...told(), "X-Rspamd-Rcpt": "[1]" }, 400],
        ["a list that does not end", { ...told(), "X-Rspamd-Rcpt": '["a@b"' }, 400],
        ["a score that is none", { ...told(), "X-Rspamd-Score": "nan" }, 400],
        ["symbols that are none", { ...told(), "X-Rspamd-Symbols": "{}" }, 400],
        ["a symbol without a name", { ...told(), "X-Rspamd-Symbols": '[{"score":1}]' }, 400],
        ["depth", { ...told(), "X-Rspamd-Symbols": "[".repeat(20000) }, 400],
        ["a head that is too large", { ...told(), "X-Rspamd-Symbols": deep }, 431],
    ];
    for (const [what, headers, status] of cases) assert.equal((await hand(headers)).status, status, what);
    assert.equal((await hand(told(), { body: "" })).status, 400);
    assert.equal((await http(site.http, { method: "GET", path: "/ingest/rspamd", headers: basic(tokens.rspamd) })).status, 405);
    assert.equal((await hand(told())).status, 200);
});

test("a delivery report annotates what we know, and nothing else", async () => {
    const qid = `Q${++number}`;
    assert.equal((await hand(told({ qid }), { body: letter(qid) })).status, 200);
    await waitFor("the row", async () => (await trace(qid)).includes(ANNA));
    const report = (events, secret = tokens.delivery) =>
        http(site.http, { path: "/ingest/delivery", headers: { ...bearer(secret), "Content-Type": "application/json" }, body: JSON.stringify(events) });
    const event = { queue_id: qid, recipient: ANNA, at: new Date().toISOString(), host: "imap.ours.example", ip: "192.0.2.9", port: 24, tls: "TLSv1.3", dsn: "2.0.0", response: "250 2.0.0 Saved as 42", status: "delivered" };

    const done = await report([event, { ...event, queue_id: "NOTOURS" }]);
    assert.equal(done.status, 200, done.text);
    assert.deepEqual(JSON.parse(done.text), { success: true, events: 2, joined: 1, unknown: 1 });
    assert.match(await trace(qid), /Saved as 42/);
    assert.equal((await report(event, tokens.rspamd)).status, 403);
    for (const bad of [{}, [1], "x", [{ ...event, status: "lost" }], [{ ...event, at: "yesterday" }], [{ ...event, port: 70000 }], [{ ...event, evil: 1 }],
        [{ queue_id: qid, status: "delivered" }], Array(10001).fill({ queue_id: "x", status: "queued" })])
        assert.ok([400, 413].includes((await report(bad)).status), JSON.stringify(bad).slice(0, 80));
});

test("maps are read with their token, and have validators", async () => {
    const get = (path, secret, more = {}, method = "GET") => http(site.http, { method, path, headers: { ...bearer(secret), ...more } });
    const whole = await get("/maps/ours.example/block/senders", tokens.maps);

    assert.equal(whole.status, 200, whole.text);
    assert.match(whole.text, /^spam@bad\.example$/m);
    const { etag, "last-modified": modified, expires } = whole.headers;
    assert.ok(etag && modified && expires);
    const head = await http(site.http, { method: "HEAD", path: "/maps/ours.example/block/senders", headers: bearer(tokens.maps) });
    assert.deepEqual([head.status, head.text, head.headers.etag], [200, "", etag]);
    const known = await get("/maps/ours.example/block/senders", tokens.maps, { "If-None-Match": etag });
    assert.deepEqual([known.status, known.text], [304, ""]);
    assert.equal((await get("/maps/ours.example/block/senders", tokens.maps, { "If-Modified-Since": modified })).status, 304);
    assert.equal((await get("/maps/OURS.example/block/senders", tokens.maps)).status, 200);
    assert.equal((await get("/maps/theirs.example/block/senders", tokens.maps)).status, 403);
    assert.equal((await get("/maps/theirs.example/block/senders", tokens.all)).status, 200);
    assert.equal((await get("/maps/global/block/ips", tokens.all)).status, 200);
    assert.equal((await get("/maps/nowhere.example/block/ips", tokens.all)).status, 404);
    for (const path of ["/maps/", "/maps/ours.example", "/maps/ours.example/block/../allow", "/maps/ours.example/block/senders/x"])
        assert.equal((await get(path, tokens.all)).status, 404, path);
    assert.equal((await get("/settings.ucl", tokens.maps)).status, 403);
    const settings = await get("/settings.ucl", tokens.all);
    assert.deepEqual(JSON.parse(settings.text)["theirs.example"].apply.actions, { reject: 15, "add header": 6, greylist: 4 });

    await site.must("rule", "add", "--scope", "domain:ours.example", "--name", "n2", "--sender", "more@bad.example", "block");
    await waitFor("the change", async () => {
        const again = await get("/maps/ours.example/block/senders", tokens.maps, { "If-None-Match": etag });
        return again.status === 200 && /^more@bad\.example$/m.test(again.text);
    }, { seconds: 2 });
});

// Rspamd's own client, rspamc of Debian's 3.4, and what milters read, in front of rulesd.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { missing, http, rawTcp, rspamc, spamc, startRulesd } from "./lib/index.mjs";
import { furnish, mail } from "./lib/household.mjs";

const spam = mail({ from: "x@bad.example" }), ham = mail();
const skip = missing("rspamd");
let site, ids;

before(async () => {
    site = await startRulesd({ config: { rulesd: { mta_from: "127.0.0.0/8", password: "very secret" } } });
    ids = await furnish(site);
});
after(() => site.stop());

const check = async (headers, body, path = "/checkv2") => {
    const reply = await http(site.http, { path, headers, body });
    assert.equal(reply.headers["content-type"], "application/json");
    return JSON.parse(reply.text);
};

test("rspamc symbols prints action, score, symbol and the words for the sender", { skip }, async () => {
    const { stdout, code } = await rspamc(site.http,
        ["symbols", "--from", "x@bad.example", "--rcpt", "joe@ours.example", "--ip", "192.0.2.1", "--helo", "h.example"], spam);
    assert.equal(code, 0);
    assert.match(stdout, /^Action: reject$/m);
    assert.match(stdout, /^Score: 100\.00 \/ 15\.00$/m);
    assert.ok(stdout.includes(`Symbol: POSTERN_BLOCK (100.00)[${ids.sender}]`), stdout);
    assert.ok(stdout.includes(`Message - smtp_message: Blocked by the recipient's rules (${ids.sender})`), stdout);
    assert.match(stdout, /^Message-ID: m1@good\.example$/m);
});

test("rspamc --ip, --rcpt and --from reach the rules", { skip }, async () => {
    const args = (ip, rcpt) => ["symbols", "--from", "a@good.example", "--rcpt", rcpt, "--ip", ip];
    assert.match((await rspamc(site.http, args("192.0.2.66", "ann@ours.example"), ham)).stdout, /Action: reject/);
    assert.match((await rspamc(site.http, args("192.0.2.67", "ann@ours.example"), ham)).stdout, /Action: no action/);
    assert.match((await rspamc(site.http, args("192.0.2.66", "ann@theirs.example"), ham)).stdout, /Action: no action/);
});

test("rspamc stat, uptime and a wrong command are answered so that it can print them", { skip }, async () => {
    assert.match((await rspamc(site.http, ["stat"])).stdout, /Messages scanned: \d+/);
    assert.equal((await rspamc(site.http, ["uptime"])).code, 0);
    assert.equal((await rspamc(site.http, ["counters"])).code, 1);
});

test("rspamc learn_spam is refused while nothing learns", { skip }, async () => {
    const { code, stdout } = await rspamc(site.http, ["learn_spam"], spam);
    assert.equal(code, 1);
    assert.match(stdout, /HTTP error: 404/);
    assert.match((await http(site.http, { path: "/learnham", body: ham })).text, /"error":"learning is not enabled/);
});

test("the reply holds what every client of Rspamd reads", async () => {
    const reply = await check({ Rcpt: "ann@ours.example" }, ham);
    assert.equal(reply.action, "no action");
    assert.deepEqual([reply.is_skipped, reply.score, reply.required_score, reply.symbols, reply.messages], [false, 0, 15, {}, {}]);
    assert.deepEqual(reply.thresholds, { reject: 15, "add header": 6, greylist: 4 });
    assert.match(reply.uid, /^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    assert.equal(reply.milter, undefined, "nothing for a milter that did not ask");
});

test("the old form wraps the result, and says is_spam", async () => {
    const reply = await check({ Rcpt: "ann@ours.example" }, spam, "/symbols");
    assert.equal(reply.default.is_spam, true);
    assert.equal(reply.default.action, "reject");
    assert.ok("POSTERN_BLOCK" in reply.default);
});

test("a milter is told to drop the recipients who do not want it, and forged X-Spam fields", async () => {
    const reply = await check([["Flags", "milter,body_block"], ["Rcpt", "<joe@ours.example>"], ["Rcpt", "<ann@ours.example>"]],
        mail({ subject: "lottery", extra: "X-Spam: Yes\nX-Spam-Forged: 1\nX-Spam-Forged: 2\nX-Other: stays\n" }));
    assert.equal(reply.action, "no action");
    assert.deepEqual(reply.milter.del_rcpt, ["joe@ours.example"]);
    assert.deepEqual(reply.milter.remove_headers, { "X-Spam": 0, "X-Spam-Forged": 0 });
    assert.equal(reply.milter.add_headers["X-Spam-Score"], "0.0");
    assert.match(reply.milter.add_headers["X-Spam-Status"], /^No, score=0\.0 required=6\.0 tests=none$/);
    assert.doesNotMatch(JSON.stringify(reply), new RegExp(`${ids.lottery}|No lottery`), "the other's rule stays unseen");
});

test("a caller who lets a refused message in nevertheless gets fields that say what it is", async () => {
    const reply = await check([["Flags", "milter"], ["Rcpt", "<joe@ours.example>"]], mail({ subject: "lottery" }));
    assert.equal(reply.action, "reject");
    assert.match(reply.milter.add_headers["X-Spam-Status"], /^Yes, score=100\.0 required=6\.0 /);
});

test("a caller who knows one verdict refuses only what all of them refuse", async () => {
    const lottery = mail({ subject: "lottery" });
    assert.equal((await check([["Rcpt", "joe@ours.example"], ["Rcpt", "ann@ours.example"]], lottery)).action, "no action");
    assert.equal((await check([["Rcpt", "joe@ours.example"], ["Rcpt", "Joe+x@ours.example"]], lottery)).action, "reject");
});

// A zstd frame of one block that is stored as it is; its size stands in front.
function zstdFrame(bytes) {
    const head = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0, 0, 0, 0, 0]);
    head.writeUInt32LE(bytes.length, 5);
    head.writeUIntLE(1 | bytes.length << 3, 9, 3);
    return Buffer.concat([head, bytes]);
}

test("zstd requests are understood, replies stay plain", async () => {
    const body = zstdFrame(Buffer.from(spam));
    const reply = await http(site.http, { headers: { Compression: "zstd", Rcpt: "ann@ours.example" }, body });
    assert.equal(JSON.parse(reply.text).action, "reject");
    assert.equal(reply.headers.compression, undefined);
});

test("two requests in one write are answered in order on one connection", async () => {
    const one = (rcpt, body) => `POST /checkv2 HTTP/1.1\r\nHost: x\r\nRcpt: ${rcpt}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const text = (await rawTcp(site.http, one("ann@ours.example", spam) + one("ann@ours.example", ham))).toString();
    assert.deepEqual([...text.matchAll(/"action":"([^"]+)"/g)].map((m) => m[1]), ["reject", "no action"]);
});

test("both protocols are spoken on both ports", async () => {
    assert.equal((await spamc(["-d", "127.0.0.1", "-p", String(site.http), "-u", "ann@ours.example", "-c"], spam)).code, 1);
    assert.equal((await http(site.spamd, { path: "/ping", method: "GET" })).text, "pong\r\n");
    assert.match((await rawTcp(site.spamd, `CHECK RSPAMC/1.3\r\nContent-length: ${spam.length}\r\nRcpt: <ann@ours.example>\r\nFrom: <a@b.example>\r\n\r\n${spam}`, { halfClose: false })).toString(),
        /^RSPAMD\/1\.3 0 EX_OK\r\nMetric: default; True; 100\.00 \/ [\d.]+ \/ [\d.]+\r\nAction: reject\r\n/);
});

test("the Unix socket speaks HTTP too", async () => {
    const reply = await http(site.httpSock, { headers: { Rcpt: "ann@ours.example" }, body: spam });
    assert.equal(JSON.parse(reply.text).action, "reject");
});

test("rspamc reads a message from a file and a socket path", { skip }, async () => {
    const file = join(site.dir, "message.eml");
    writeFileSync(file, spam);
    const { stdout } = await rspamc(site.http, ["symbols", "--rcpt", "ann@ours.example", file]);
    assert.match(stdout, /Action: reject/);
});

test("10,000 recipients are judged in bounded time", async () => {
    const headers = [["Flags", "milter"]];
    for (let i = 0; i < 10_000; i++) headers.push(["Rcpt", i % 2 ? `u${i}@ours.example` : `u${i}@elsewhere.example`]);
    const started = performance.now();
    const reply = await check(headers, spam);
    assert.equal(reply.action, "no action");
    assert.equal(reply.milter.del_rcpt.length, 5000);
    assert.ok(performance.now() - started < 30_000, `${performance.now() - started} ms`);
    const again = performance.now();
    await check(headers, spam);
    assert.ok(performance.now() - again < 10_000, `${performance.now() - again} ms when all are known`);
});

test("more than 10,000 recipients are too many", async () => {
    const headers = Array.from({ length: 10_001 }, (_, i) => ["Rcpt", `u${i}@ours.example`]);
    assert.equal((await http(site.http, { headers, body: ham })).status, 431);
});

test("50 MB are judged, and more is refused", async () => {
    const body = Buffer.alloc(49 << 20, "some text that says nothing at all\n");
    const reply = await http(site.http, { headers: { Rcpt: "joe@ours.example" }, body: Buffer.concat([Buffer.from(mail({ subject: "lottery" })), body]), timeoutMs: 60_000 });
    assert.equal(JSON.parse(reply.text).action, "reject");
    assert.equal((await http(site.http, { body: Buffer.alloc((50 << 20) + 1, "x"), timeoutMs: 60_000 })).status, 413);
});

// Debian's spamc in front of rulesd: every form of asking that it has, over TCP and a Unix socket.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { deflateSync } from "node:zlib";

import { rawTcp, spamc, startRulesd } from "./lib/index.mjs";
import { furnish, mail } from "./lib/household.mjs";

const spam = mail({ from: "x@bad.example" }), ham = mail(), wanted = mail({ from: "x@bad.example", subject: "your invoice" });
let site, ids;

before(async () => {
    site = await startRulesd({ config: { rulesd: { mta_from: "127.0.0.0/8" } } });
    ids = await furnish(site);
});
after(() => site.stop());

const ask = (args, message, user = "joe@ours.example") => spamc(["-d", "127.0.0.1", "-p", String(site.spamd), "-u", user, ...args], message);

test("spamc -c prints score and threshold, and its exit status tells spam", async () => {
    for (const [message, line, code] of [[spam, "100.0/6.0\n", 1], [ham, "0.0/6.0\n", 0]]) {
        const { stdout, code: got } = await ask(["-c"], message);
        assert.deepEqual([stdout, got], [line, code]);
    }
});

test("a rule that allows brings the score to -100", async () => {
    const site2 = await ask(["-c"], mail({ subject: "your invoice" }));
    assert.deepEqual([site2.stdout, site2.code], ["-100.0/6.0\n", 0]);
    assert.equal((await ask(["-c"], wanted)).stdout, "-100.0/6.0\n"); // in one layer an allow goes before a block
});

test("spamc -R shows a report that names the rule's short id and never its name", async () => {
    const { stdout } = await ask(["-R"], spam);
    assert.match(stdout, /^100\.0\/6\.0\n/);
    assert.match(stdout, new RegExp(`Action: reject[^]*Rule: ${ids.sender}`));
    assert.doesNotMatch(stdout, /Nobody from/);
});

test("spamc -r reports spam alone", async () => {
    assert.match((await ask(["-r"], spam)).stdout, /^100\.0\/6\.0\nPostern: Blocked/);
    assert.equal((await ask(["-r"], ham)).stdout.trim(), "");
});

test("spamc -E passes the message on and tells spam by its exit status", async () => {
    const bad = await ask(["-E"], spam), good = await ask(["-E"], ham);
    assert.deepEqual([bad.code, good.code], [1, 0]);
    assert.match(bad.stdout, /^X-Spam-Checker-Version: Postern [^]*X-Spam-Flag: YES\n[^]*Hello there\.\n$/);
    assert.doesNotMatch(good.stdout, /X-Spam-Flag/);
    assert.ok(good.stdout.endsWith(ham));
});

test("spamc --headers gives new header fields and the body untouched; forged ones are gone", async () => {
    const { stdout } = await ask(["--headers"], mail({ extra: "X-Spam-Status: No, score=-50\nX-Spam-Flag: YES\n" }));
    assert.match(stdout, /X-Spam-Status: No, score=0\.0 required=6\.0 tests=none autolearn=no/);
    assert.doesNotMatch(stdout, /score=-50|X-Spam-Flag/);
    assert.ok(stdout.endsWith("\n\nHello there.\n"));
});

test("spamc -y lists symbols", async () => {
    assert.equal((await ask(["-y"], spam)).stdout.trim(), "POSTERN_BLOCK");
});

test("spamc over a Unix socket is the same", async () => {
    const { stdout, code } = await spamc(["-U", site.spamdSock, "-u", "joe@ours.example", "-c"], spam);
    assert.deepEqual([stdout, code], ["100.0/6.0\n", 1]);
});

test("-u chooses whose rules hold", async () => {
    const lottery = mail({ subject: "You won the lottery" });
    assert.equal((await ask(["-c"], lottery, "joe@ours.example")).code, 1);
    assert.equal((await ask(["-c"], lottery, "Joe+tag@OURS.example")).code, 1);
    assert.equal((await ask(["-c"], lottery, "ann@ours.example")).code, 0);
    assert.equal((await ask(["-c"], lottery, "joe")).code, 0, "a name that is no address is nobody's");
    assert.equal((await ask(["-c"], spam, "joe@theirs.example")).code, 0);
});

test("To and Cc never choose whose rules hold", async () => {
    const { code } = await ask(["-c"], `To: joe@ours.example\nCc: joe@ours.example\nX-Envelope-To: joe@ours.example\n${spam}`, "root");
    assert.equal(code, 0);
});

test("spamc -K pings", async () => {
    const { stdout, code } = await spamc(["-d", "127.0.0.1", "-p", String(site.spamd), "-K"], "");
    assert.deepEqual([stdout, code], ["SPAMD/1.5 0\n", 0]);
});

test("spamc -L spam is refused in the protocol's own words while nothing learns", async () => {
    assert.notEqual((await ask(["-L", "spam"], spam)).code, 0);
    const reply = await rawTcp(site.spamd, `TELL SPAMC/1.5\r\nMessage-class: spam\r\nSet: local\r\nContent-length: ${ham.length}\r\n\r\n${ham}`);
    assert.equal(reply.toString(), "SPAMD/1.0 69 Service Unavailable: TELL commands are not enabled, set the --allow-tell switch.\r\n");
});

test("a body compressed by zlib is judged like a plain one", async () => {
    const body = deflateSync(spam);
    const head = `CHECK SPAMC/1.5\r\nUser: joe@ours.example\r\nCompress: zlib\r\nContent-length: ${body.length}\r\n\r\n`;
    const reply = await rawTcp(site.spamd, Buffer.concat([Buffer.from(head), body]));
    assert.equal(reply.toString(), "SPAMD/1.1 0 EX_OK\r\nSpam: True ; 100.0 / 6.0\r\n\r\n");
});

test("a bomb of zlib is refused, and quickly", async () => {
    const body = deflateSync(Buffer.alloc(200 << 20));
    const head = `CHECK SPAMC/1.5\r\nCompress: zlib\r\nContent-length: ${body.length}\r\n\r\n`;
    const started = performance.now();
    assert.match((await rawTcp(site.spamd, Buffer.concat([Buffer.from(head), body]))).toString(), /^SPAMD\/1\.0 (69|76) /);
    assert.ok(performance.now() - started < 20_000);
});

test("a message of exactly 256 KiB and more is judged by a worker, with the same verdict", async () => {
    const large = mail({ from: "x@bad.example", body: "line of text\n".repeat(40_000) });
    assert.equal((await ask(["-c", "-s", "10000000"], large)).code, 1);
    const unwanted = mail({ subject: "lottery", body: "line of text\n".repeat(40_000) });
    assert.equal((await ask(["-c", "-s", "10000000"], unwanted)).code, 1);
});

// Clients who are slow, many, or never done: others do not notice.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { test } from "node:test";

import { http, rawTcp, sleep, startRulesd, waitFor } from "./lib/index.mjs";
import { furnish, mail, numbers } from "./lib/household.mjs";

const spam = mail({ from: "x@bad.example" });
const trusting = { mta_from: "127.0.0.0/8" };
const resident = (pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]) / 1024;

test("5,000 clients who send a byte a second do not delay others, nor take much memory", async () => {
    const site = await startRulesd({ config: { rulesd: trusting } });
    await furnish(site);
    const before = resident(site.pid), slow = [];
    const text = "POST /checkv2 HTTP/1.1\r\nHost: slow\r\n";

    for (let batch = 0; batch < 50; batch++) {
        const more = Array.from({ length: 100 }, () => connect(site.http, "127.0.0.1"));
        for (const s of more) s.on("error", () => { /* its time was over */ });
        await Promise.all(more.map((s) => once(s, "connect")));
        slow.push(...more);
    }
    let at = 0;
    const trickle = setInterval(() => { for (const s of slow) if (!s.destroyed) s.write(text[at % text.length]); at++; }, 1000);
    await sleep(2000);

    const took = [];
    for (let i = 0; i < 100; i++) {
        const started = performance.now();
        const reply = await http(site.http, { headers: { Rcpt: "ann@ours.example" }, body: spam });
        assert.equal(JSON.parse(reply.text).action, "reject");
        took.push(performance.now() - started);
    }
    clearInterval(trickle);
    took.sort((a, b) => a - b);
    assert.ok(took[50] < 50, `half of the answers took more than ${took[50]} ms`);
    const open = numbers((await http(site.http, { method: "GET", path: "/metrics" })).text, /^connections_open$/).connections_open;
    assert.ok(open >= 5000, `${open} connections are open`);
    const grown = resident(site.pid) - before;
    assert.ok(grown < 150, `${grown} MB more`);
    for (const s of slow) s.destroy();
    await waitFor("them to be gone", async () =>
        numbers((await http(site.http, { method: "GET", path: "/metrics" })).text, /^connections_open$/).connections_open < 10);
    await site.stop();
});

test("the head of a request has its time all together, a byte now and then does not prolong it", async () => {
    const site = await startRulesd({ config: { rulesd: { ...trusting, head_timeout_s: 1 } } });
    for (const [to, text, reply] of [
        [site.http, "POST /checkv2 HTTP/1.1\r\nHost: x\r\n", /^HTTP\/1\.1 408 /],
        [site.spamd, "CHECK SPAMC/1.5\r\nUser: x\r\n", /^SPAMD\/1\.0 79 Timeout: /],
    ]) {
        const started = performance.now();
        const got = await rawTcp(to, text, { split: 1, gapMs: 300, halfClose: false });
        assert.match(got.toString(), reply);
        assert.ok(performance.now() - started < 4000);
    }
    await site.stop();
});

test("a message that stops coming is given up", async () => {
    const site = await startRulesd({ config: { rulesd: { ...trusting, body_timeout_s: 1 } } });
    assert.match((await rawTcp(site.http, "POST /checkv2 HTTP/1.1\r\nContent-Length: 100\r\n\r\nhalf", { halfClose: false })).toString(), /^HTTP\/1\.1 408 /);
    assert.match((await rawTcp(site.spamd, "CHECK SPAMC/1.5\r\nContent-length: 100\r\n\r\nhalf", { halfClose: false })).toString(), /^SPAMD\/1\.0 79 /);
    await site.stop();
});

test("an idle connection is closed without a word once its time is over", async () => {
    const site = await startRulesd({ config: { rulesd: { ...trusting, idle_timeout_s: 1 } } });
    const got = await rawTcp(site.http, "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n", { halfClose: false });
    assert.equal(got.toString().match(/HTTP\/1\.1/g).length, 1);
    await site.stop();
});

test("a client who does not read its reply is given up, and holds nobody up", async () => {
    const site = await startRulesd({ config: { rulesd: trusting } });
    const big = Buffer.from(mail({ body: "x".repeat(78).concat("\n").repeat(200_000) }));
    const lazy = connect(site.spamd, "127.0.0.1");
    lazy.on("error", () => { /* never mind */ });
    lazy.pause();
    await once(lazy, "connect");
    lazy.write(`PROCESS SPAMC/1.5\r\nContent-length: ${big.length}\r\n\r\n`);
    lazy.write(big);
    await sleep(500);
    for (let i = 0; i < 20; i++) assert.equal((await http(site.http, { method: "GET", path: "/ping" })).status, 200);
    lazy.destroy();
    await site.stop();
});

test("a reply that was refused early is read by a client who is still sending", async () => {
    const site = await startRulesd({ config: { rulesd: { ...trusting, max_message: "1M" } } });
    const got = await rawTcp(site.http, Buffer.concat([Buffer.from("POST /checkv2 HTTP/1.1\r\nContent-Length: 9000000\r\n\r\n"), Buffer.alloc(9_000_000, "x")]),
        { halfClose: false });
    assert.match(got.toString(), /^HTTP\/1\.1 413 /);
    await site.stop();
});

test("a client who leaves in the middle of anything leaves nothing behind", async () => {
    const site = await startRulesd({ config: { rulesd: trusting } });
    const whole = `POST /checkv2 HTTP/1.1\r\nHost: x\r\nRcpt: ann@ours.example\r\nContent-Length: ${spam.length}\r\n\r\n${spam}`;
    for (let cut = 0; cut <= whole.length; cut += 7) {
        const s = connect(site.http, "127.0.0.1");
        s.on("error", () => { /* we reset it ourselves */ });
        await once(s, "connect");
        s.write(whole.slice(0, cut), () => s.resetAndDestroy());
    }
    await waitFor("all of them to be gone", async () =>
        numbers((await http(site.http, { method: "GET", path: "/metrics" })).text, /^connections_open$/).connections_open <= 1);
    assert.equal((await http(site.http, { method: "GET", path: "/healthz" })).status, 200);
    await site.stop();
});

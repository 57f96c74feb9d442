// Clients who are slow, many, or never done: others do not notice.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { test } from "node:test";

import { http, rawTcp, sleep, startRulesd, waitFor } from "./lib/index.mjs";
import { furnish, mail, numbers } from "./lib/household.mjs";

const spam = mail({ from: "x@bad.example" });
const trusting = { mta_from: "127.0.0.0/8" };
// Seconds of CPU that a process has used: what its work costs, however busy the machine is.
const cpu = (pid) => {
    const [user, system] = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/.*\) /, "").split(" ").slice(11, 13);
    return (Number(user) + Number(system)) / 100;
};
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
    assert.ok(took[25] < 200, `three of four answers took more than ${took[25]} ms`);
    const open = numbers((await http(site.http, { method: "GET", path: "/metrics" })).text, /^connections_open$/).connections_open;
    assert.ok(open >= 5000, `${open} connections are open`);
    const grown = resident(site.pid) - before;
    assert.ok(grown < 150, `${grown} MB more`);
    for (const s of slow) s.destroy();
    await waitFor("them to be gone", async () =>
        numbers((await http(site.http, { method: "GET", path: "/metrics" })).text, /^connections_open$/).connections_open < 10);
    await site.stop();
});

// Milliseconds of CPU that each thread has used, the loops' apart: { loops, others }.
function threads(pid) {
    const used = { loops: 0, others: 0 };

    for (const id of readdirSync(`/proc/${pid}/task`)) {
        const policy = readFileSync(`/proc/${pid}/task/${id}/stat`, "utf8").replace(/.*\) /, "").split(" ")[38];
        used[policy === "3" ? "loops" : "others"] += Number(readFileSync(`/proc/${pid}/task/${id}/schedstat`, "utf8").split(" ")[0]) / 1e6;
    }
    return used;
}

test("a message for 10,000 keeps the loop from nobody, and its reply, however long, is known when it is asked for again", async (t) => {
    const site = await startRulesd({ config: { rulesd: { ...trusting, threads: 1 } } });
    await site.must("domain", "add", "ours.example");
    await site.must("domain", "add", "theirs.example", "--at-block", "quarantine");
    await site.must("rule", "add", "--scope", "domain:theirs.example", "block", "--subject", "wares");
    const message = (id) => `From: a@ext.example\r\nSubject: wares\r\nMessage-ID: <${id}@ext.example>\r\n\r\nhello\r\n`;
    const rcpts = (domain) => Array.from({ length: 10_000 }, (_, i) => ["Rcpt", `<${"a-rather-long-name-".repeat(3)}${i}@${i % 2 ? domain : "ours.example"}>`]);
    const big = (id, domain) => http(site.http, { headers: [["From", "<a@ext.example>"], ["Queue-Id", id], ["Flags", "milter"], ...rcpts(domain)], body: message(id) });
    const small = async () => {
        const from = performance.now();
        await http(site.http, { headers: { Rcpt: "ann@ours.example" }, body: spam });
        return performance.now() - from;
    };
    const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];
    const latencies = async (ms) => { const list = []; for (const end = performance.now() + ms; performance.now() < end;) list.push(await small()); return median(list); };

    assert.equal((await big("first", "ours.example")).status, 200);
    const before = threads(site.pid);
    for (let i = 0; i < 3; i++) assert.equal((await big(`Q${i}`, "ours.example")).status, 200);
    const after = threads(site.pid), loops = after.loops - before.loops, others = after.others - before.others;
    const quiet = await latencies(300), busy = Promise.all(Array.from({ length: 2 }, (_, i) => big(`B${i}`, "ours.example")));
    t.diagnostic(`a message for 10,000 costs the loop ${(loops / 3).toFixed(1)} ms and others ${(others / 3).toFixed(1)} ms; a small one takes ${
        (await latencies(300)).toFixed(1)} ms meanwhile, ${quiet.toFixed(1)} ms else`);
    await busy;
    assert.ok(loops < others / 5, `${loops} ms of the loop, ${others} of others`);

    await waitFor("the rows to be written", async () => Number(numbers((await http(site.http, { method: "GET", path: "/metrics" })).text, /^log_waiting$/).log_waiting) === 0);
    const first = await big("Q", "theirs.example"), again = await big("Q", "theirs.example");
    assert.ok(first.text.length > 256 * 1024, `${first.text.length} bytes`);
    assert.ok(again.text === first.text, again.text.slice(0, 100));
    await waitFor("the log to say so", () => /scan repeated.*queue_id=Q /.test(site.log()));
    await site.stop();
});

test("the head of a request has its time all together, a byte now and then does not prolong it", async () => {
    const site = await startRulesd({ config: { rulesd: { ...trusting, head_timeout_s: 1 } } });
    for (const [to, text, reply] of [
        [site.http, `POST /checkv2 HTTP/1.1\r\nHost: ${"x".repeat(60)}\r\n`, /^HTTP\/1\.1 408 /],
        [site.spamd, `CHECK SPAMC/1.5\r\nUser: ${"x".repeat(60)}\r\n`, /^SPAMD\/1\.0 79 Timeout: /],
    ]) {
        const started = performance.now();
        const got = await rawTcp(to, text, { split: 1, gapMs: 300, halfClose: false });
        assert.match(got.toString(), reply);
        assert.ok(performance.now() - started < 15_000, "all its bytes take more than 20 s");
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

test("hundreds of requests in one write are all answered, in order, and others come in between", async () => {
    const site = await startRulesd({ config: { rulesd: { ...trusting, threads: 1 } } });
    await furnish(site);
    const ham = mail(), n = 600;
    const one = (body) => `POST /checkv2 HTTP/1.1\r\nHost: x\r\nRcpt: ann@ours.example\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    let text = "";
    for (let i = 0; i < n; i++) text += one(i % 3 === 0 ? spam : ham);
    const all = rawTcp(site.http, text, { halfClose: false, until: (b) => (b.toString().match(/"action"/g) ?? []).length === n });
    assert.equal((await http(site.http, { method: "GET", path: "/ping" })).status, 200);
    const actions = [...(await all).toString().matchAll(/"action":"([^"]+)"/g)].map((m) => m[1]);
    assert.deepEqual(actions, Array.from({ length: n }, (_, i) => (i % 3 === 0 ? "reject" : "no action")));
    await site.stop();
});

test("clients who send 50 MB each do not delay a small one", async () => {
    const site = await startRulesd({ config: { rulesd: { ...trusting, threads: 1 } } });
    await furnish(site);
    const large = Buffer.concat([Buffer.from(mail({ subject: "lottery" })), Buffer.alloc(45 << 20, "a line of text that is rather long\n")]);
    const head = Buffer.from(`PROCESS SPAMC/1.5\r\nUser: joe@ours.example\r\nContent-length: ${large.length}\r\n\r\n`);
    let over = false;
    const all = Promise.all([1, 2, 3].map(() => rawTcp(site.spamd, Buffer.concat([head, large]), { timeoutMs: 60_000 }))).finally(() => { over = true; });
    const took = [];
    while (!over) {
        const started = performance.now();
        assert.equal(JSON.parse((await http(site.http, { headers: { Rcpt: "ann@ours.example" }, body: spam })).text).action, "reject");
        took.push(performance.now() - started);
    }
    for (const reply of await all) assert.match(reply.subarray(0, 200).toString(), /^SPAMD\/1\.1 0 EX_OK\r\nContent-length: \d+\r\nSpam: True ; 100\.0/);
    took.sort((a, b) => a - b);
    assert.ok(took.length > 3 && took[took.length >> 1] < 1500, `${took.length} answers, half of them after ${took[took.length >> 1]} ms`);
    await site.stop();
});

// ---- Messages made to cost much ----

const flood = (n, line) => Array.from({ length: n }, (_, i) => line(i)).join("");
const nested = (depth) => flood(depth, (i) => `Content-Type: multipart/mixed; boundary=b${i}\n\n--b${i}\n`) + "Content-Type: text/plain\n\nneedle\n";
const hostile = [
    ["100,000 header fields", mail({ extra: flood(100_000, (i) => `X-F${i}: v\n`) })],
    ["20,000 forged X-Spam fields", mail({ extra: flood(20_000, (i) => `X-Spam-F${i}: v\n`) })],
    ["1,000 nested parts", `From: a@good.example\nSubject: x\nMIME-Version: 1.0\n${nested(1000)}`],
    ["10,000 parts", `From: a@good.example\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n${flood(10_000, () => "--b\nContent-Type: text/plain\n\nx\n")}--b--\n`],
    ["a From field of groups in groups", mail({ from: "a:".repeat(50_000) })],
    ["a From field of open comments", mail({ from: "(".repeat(100_000) })],
    ["one header field of 5 MB", mail({ extra: `X-Long: ${"y".repeat(5 << 20)}\n` })],
    ["a line of 20 MB", mail({ body: "z".repeat(20 << 20) })],
    ["a text made to stall a regex", mail({ body: `${"a".repeat(300_000)}\n` })],
    ["deep HTML", `From: a@good.example\nMIME-Version: 1.0\nContent-Type: text/html\n\n${"<div>".repeat(200_000)}needle`],
    ["nothing but NUL", "\0".repeat(1 << 20)],
    ["nothing at all", ""],
];

test("messages made to cost much are answered within seconds, and take bounded memory", async () => {
    const site = await startRulesd({ config: { rulesd: { ...trusting, threads: 2 } } });
    await furnish(site);
    for (const rule of [["--body", "needle"], ["--match", "regex", "--body", "(a+)+$x"], ["--attachment", "*.exe"], ["--match", "regex", "--subject", "^(x+x+)+y$"]])
        await site.must("rule", "add", "--scope", "domain:ours.example", ...rule, "block");
    for (const [name, message] of hostile) {
        const before = cpu(site.pid);
        const reply = await http(site.http, { headers: [["Rcpt", "ann@ours.example"], ["Flags", "milter"]], body: message, timeoutMs: 60_000 });
        assert.equal(reply.status, 200, name);
        const said = JSON.parse(reply.text);
        assert.ok(["no action", "reject"].includes(said.action), name);
        assert.ok(Object.keys(said.milter?.remove_headers ?? {}).length <= 64, name);
        const took = cpu(site.pid) - before;
        assert.ok(took < 3, `${name}: ${took} s of CPU`);
    }
    assert.ok(resident(site.pid) < 600, `${resident(site.pid)} MB`);
    await site.stop();
});

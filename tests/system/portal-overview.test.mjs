// The first page of who answers for the service: what it can know it counts, what it cannot know it says; and the test mail.
import assert from "node:assert/strict";
import { appendFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { freePort, http, makeSite, signIn, startPortal, startRulesd, startSmtpSink, waitFor } from "./lib/index.mjs";

const ANNA = "anna@ours.example", CLEO = "cleo@theirs.example", OWEN = "owen@ours.example", ROOT = "root@elsewhere.example";
const GLANCE = "/domains/ours.example/overview";
let site, sink, filter, maillog, anna, owen, cleo, root, refuse = false, slow = false;

// Says that a message is clean; or nothing at all.
async function startFilter() {
    const server = createServer((request, response) => {
        request.resume().on("end", () => {
            if (slow) { response.destroy(); return; }
            response.setHeader("Content-Type", "application/json");
            response.end(JSON.stringify({ score: 0.1, required_score: 15, action: "no action", symbols: {} }));
        });
    });
    await new Promise((done) => server.listen(0, "127.0.0.1", done));
    server.unref();
    return server;
}
const scan = (to, { queue = "", id = `${queue}@ext.example`, subject = "hello", from = "w@ext.example" } = {}) => http(site.httpSock, { headers: { From: `<${from}>`, Rcpt: `<${to}>`, IP: "192.0.2.9", Flags: "milter", ...(queue ? { "Queue-ID": queue } : {}) }, body: `From: <${from}>\r\nMessage-ID: <${id}>\r\nSubject: ${subject}\r\n\r\nHello.\r\n` });
const tell = (queue, id, to, how) => {
    const line = (what) => `${new Date().toISOString().replace("Z", "+00:00")} mail postfix/${what}\n`;
    appendFileSync(maillog, line(`cleanup[1]: ${queue}: message-id=<${id}>`) + line(`qmgr[2]: ${queue}: from=<w@ext.example>, size=300, nrcpt=1 (queue active)`) + line(`smtp[3]: ${queue}: to=<${to}>, relay=mx[198.51.100.20]:25, delay=0.4, delays=0.1/0/0.1/0.2, ${how}`));
};
const look = async () => { const { status, body } = await root.get("/overview"); assert.equal(status, 200); return body; };
const program = (o, name) => o.programs.find((p) => p.name === name);

before(async () => {
    sink = await startSmtpSink({ answer: (verb) => (verb === "END" ? "250 2.0.0 Ok: queued as 4TESTQ" : verb === "RCPT" && refuse ? "550 5.1.1 no such user here" : null) });
    filter = await startFilter();
    const own = await makeSite({ smtp: { url: `smtp://127.0.0.1:${sink.port}`, from: "Post <post@ours.example>" }, rulesd: { scanner: `rspamd+http://127.0.0.1:${filter.address().port}`, scanner_down: "accept" } });
    maillog = join(own.dir, "mail.log");
    writeFileSync(maillog, "");
    await own.must("init");
    await own.must("domain", "add", "ours.example", "--at-block", "quarantine");
    await own.must("domain", "add", "theirs.example");
    for (const a of [ANNA, CLEO, OWEN]) { await own.must("account", "add", a); await own.must("mailbox", "add", a); }
    await own.must("account", "set", OWEN, "--owner", "ours.example");
    await own.must("account", "add", ROOT, "--admin", "on");
    await own.must("rule", "add", "--scope", "domain:ours.example", "--name", "No lotteries", "block", "--subject", "lottery");
    site = await startRulesd({ site: own, init: false });
    await startPortal(site);
    [anna, owen, cleo, root] = await Promise.all([ANNA, OWEN, CLEO, ROOT].map((a) => signIn(site, a)));
});
after(async () => { await site?.stopPortal(); await site?.stop(); await sink?.stop(); filter?.close(); site?.remove?.(); });

test("nothing is known of what nobody tells: null, and never zero", async () => {
    const o = await look();
    assert.equal(o.messages.last, null);
    assert.equal(o.queue, null, "no log of the mail server is followed");
    assert.deepEqual([program(o, "postern-trainer").state, program(o, "postern-trainer").setting], ["unknown", "[trainer] listen_http"]);
    assert.deepEqual([program(o, "postern-digest").state, program(o, "postern-digest").setting], ["unknown", "[digest] listen_http"]);
    assert.equal(o.disk.days, null, "nothing is held: there is no pace");
    assert.ok(o.disk.room > 0);
    assert.equal(o.scanner.mean_ms, null, "nobody has asked it yet");
});

test("what comes is counted: messages, what waits, the scanner's time", async () => {
    for (let i = 0; i < 3; i++) await scan(ANNA, { queue: `4TESTA${i}`, subject: i === 2 ? "lottery" : "hello" });
    await scan(CLEO, { queue: "4TESTC1" });
    const o = await waitFor("four messages", async () => { const now = await look(); return now.messages.today === 4 && now; });
    assert.ok(Math.abs(Date.now() - new Date(o.messages.last)) < 60_000);
    assert.deepEqual([o.messages.minute, o.messages.hour], [4, 4]);
    assert.deepEqual([o.scanner.known, o.scanner.failed, o.scanner.well, o.scanner.configured], [true, 0, 1, 1]);
    assert.ok(o.scanner.asked >= 3 && o.scanner.mean_ms > 0 && o.scanner.mean_ms < 10_000);
    assert.ok(o.load.processors >= 1 && o.load.one >= 0);
    assert.deepEqual([program(o, "postern-rulesd").state, program(o, "postern-portal").state], ["runs", "runs"]);
    assert.ok(o.disk.per_day > 0 && o.disk.days > 0, "one message is held");
    slow = true;
    await scan(CLEO, { queue: "4TESTC2" });
    slow = false;
    assert.equal((await look()).scanner.failed, 1);
});

test("the queue is what the mail server's log has told of it", async () => {
    site.configure({ rulesd: { maillog } });
    await site.restart();
    await waitFor("the log to be followed", async () => /^postern_rulesd_maillog_files 1$/m.test((await (await fetch(`http://127.0.0.1:${site.http}/metrics`)).text())));
    tell("4TESTA0", "4TESTA0@ext.example", ANNA, "dsn=4.2.2, status=deferred (host mx said: 452 4.2.2 full)");
    tell("4TESTC1", "4TESTC1@ext.example", CLEO, "dsn=2.0.0, status=sent (250 2.0.0 Saved)");
    const o = await waitFor("one in the queue", async () => { const now = await look(); return now.queue?.hour === 1 && now; });
    assert.deepEqual([o.queue.day, o.queue.days, o.queue.older], [0, 0, 0]);
    assert.ok(new Date(o.queue.oldest) <= new Date());
});

test("an owner sees the domain's own, and nothing of the service", async () => {
    const { body } = await owen.get(GLANCE);
    assert.deepEqual([body.today.quarantined, body.today.queued, body.today.received, body.today.delivered], [1, 1, 1, 0]);
    assert.equal(body.queue.hour, 1);
    assert.ok(body.last);
    assert.deepEqual(Object.keys(body).sort(), ["last", "now", "queue", "releases", "releases_unknown", "requests", "today"]);
    assert.equal((await root.get(GLANCE)).status, 200);
    for (const [who, path, status] of [[owen, "/overview", 404], [anna, "/overview", 404], [anna, GLANCE, 404], [cleo, GLANCE, 404], [owen, "/domains/theirs.example/overview", 404]]) assert.ok([403, status].includes((await who.get(path)).status), path);
    assert.equal((await owen.post("/overview/test-mails", { to: OWEN })).status >= 403, true);
    assert.equal(sink.messages.length, 0);
});

test("the day begins where the reader is, but no further back than two days", async () => {
    const at = (hours) => encodeURIComponent(new Date(Date.now() - hours * 3600_000).toISOString());
    assert.equal((await root.get(`/overview?today=${at(0.001)}`)).body.messages.today <= 5, true);
    assert.equal((await root.get(`/overview?today=${at(40)}`)).body.messages.today, 5);
    assert.equal((await owen.get(`${GLANCE}?today=${at(40)}`)).body.today.quarantined, 1);
});

test("a test mail goes out, the server's answer is shown, and then its delivery, once it comes by", async () => {
    const { status, body } = await root.post("/overview/test-mails", { to: ANNA });
    assert.equal(status, 201);
    const where = `/overview/test-mails/${body.id}`;
    const sent = await waitFor("it to be sent", async () => { const now = (await root.get(where)).body; return now.state === "sent" && now; });
    assert.equal(sent.answer, "2.0.0 Ok: queued as 4TESTQ");
    assert.deepEqual(sent.deliveries, []);
    const id = /Message-ID: <([^>]+)>/i.exec(sink.messages[0].data)[1];
    assert.match(sink.messages[0].data, /root@elsewhere\.example asked for it/);
    await scan(ANNA, { queue: "4TESTQ", id, from: "post@ours.example" });
    tell("4TESTQ", id, ANNA, "dsn=2.0.0, status=sent (250 2.0.0 Saved it)");
    const found = await waitFor("its delivery", async () => { const [d] = (await root.get(where)).body.deliveries; return d?.status === "delivered" && d; });
    assert.match(found.answer, /Saved it/);
    assert.equal(found.recipient, ANNA);
    const { items } = (await root.get("/audit")).body;
    assert.ok(items.some((x) => x.action === "mail.test" && JSON.stringify(x).includes(ANNA)), "and the log says who sent it");
});

test("what the server refuses is shown in its words, and what is no address is not sent", async () => {
    refuse = true;
    const { body } = await root.post("/overview/test-mails", { to: "nobody@ours.example" });
    const failed = await waitFor("the refusal", async () => { const now = (await root.get(`/overview/test-mails/${body.id}`)).body; return now.state === "failed" && now; });
    assert.match(failed.answer, /no such user here/);
    refuse = false;
    assert.equal((await look()).outbox.failed, 1);
    const before = sink.messages.length;
    for (const to of ["no address", "<>", "a@b\r\nBcc: c@d"]) assert.equal((await root.post("/overview/test-mails", { to })).status, 400, to);
    assert.equal(sink.messages.length, before);
    assert.equal((await root.get("/overview/test-mails/01a00000-0000-7000-8000-000000000000")).status, 404);
});

test("of several nodes what they count adds up, the worst of the rest counts, and one that is down is named", async () => {
    const second = await startRulesd({ config: { rulesd: { mta_from: "127.0.0.0/8", scanner: site.settings.rulesd.scanner, scanner_down: "accept" } } });
    const at = [site, second].map((s) => `127.0.0.1:${s.http}`), told = async (s, name) => Number(new RegExp(`^postern_rulesd_${name} (.+)$`, "m").exec(await (await fetch(`http://127.0.0.1:${s.http}/metrics`)).text())[1]);
    try {
        await second.must("domain", "add", "ours.example");
        await http(second.http, { headers: { From: "<w@ext.example>", Rcpt: `<${ANNA}>`, IP: "192.0.2.9" }, body: "Subject: hello\r\n\r\nHello.\r\n" });
        await site.stopPortal();
        await assert.rejects(startPortal(site, { port: site.port, settings: { rulesd_nodes: ["nowhere"] } }), /\[portal\] rulesd_nodes: /);
        await startPortal(site, { port: site.port, settings: { rulesd_nodes: at } });
        const [here, there] = await Promise.all([site, second].map((s) => told(s, "scanner_asked_total"))), mean = (s) => Promise.all([told(s, "scanner_seconds_total"), told(s, "scanner_answered_total")]).then(([a, b]) => b > 0 ? a * 1000 / b : 0);
        assert.ok(there >= 1);
        let o = await look(), means = await Promise.all([site, second].map(mean)), slowest = means[0] >= means[1] ? 0 : 1;
        assert.deepEqual(o.programs.map((p) => [p.name, p.at, p.state]).slice(0, 2), at.map((a) => ["postern-rulesd", a, "runs"]));
        assert.deepEqual([o.scanner.asked, o.scanner.configured, o.scanner.well, o.scanner.slowest], [here + there, 2, 2, at[slowest]]);
        assert.ok(Math.abs(o.scanner.mean_ms - means[slowest]) < 0.01, `${o.scanner.mean_ms} of ${means}`);
        assert.ok(at.includes(o.load.at) && o.load.processors >= 1 && at.includes(o.disk.at) && o.disk.room > 0);
        await second.stop();
        o = await look();
        assert.deepEqual(o.programs.map((p) => [p.at, p.state]).slice(0, 2), [[at[0], "runs"], [at[1], "silent"]]);
        assert.deepEqual([o.scanner.asked, o.scanner.configured, o.scanner.slowest, o.load.at, o.disk.at], [here, 1, here > 0 ? at[0] : null, at[0], at[0]]);
    } finally { await second.stop(); }
});

test("a program that does not answer is said to be silent, and what only it knows is unknown", async () => {
    await site.stopPortal();
    const trainer = await freePort(), stand_in = createServer((request, response) => response.end("postern_trainer_start_time_seconds 1700000000\npostern_trainer_database_up 0\n"));
    await new Promise((done) => stand_in.listen(trainer, "127.0.0.1", done));
    site.configure({ rulesd: { listen_http: `127.0.0.1:${await freePort()}` }, trainer: { listen_http: `127.0.0.1:${trainer}` } });
    await startPortal(site, { port: site.port, settings: { rulesd_nodes: [] } });
    const o = await look();
    stand_in.close();
    assert.deepEqual([program(o, "postern-trainer").state, program(o, "postern-trainer").since], ["ails", "2023-11-14T22:13:20.000000Z"], "it answers, and its database is away");
    assert.equal(program(o, "postern-rulesd").state, "silent");
    assert.equal(o.disk, null);
    assert.equal(o.scanner.known, false);
    assert.ok(o.messages.today >= 5, "what the database knows is still there");
});

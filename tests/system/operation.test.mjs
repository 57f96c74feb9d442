// Running it: signals, metrics, health, the log.
import assert from "node:assert/strict";
import { connect } from "node:net";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { test } from "node:test";

import { canConnect, http, makeSite, program, rawTcp, run, sleep, startPostgres, startRulesd, waitFor } from "./lib/index.mjs";
import { furnish, mail, numbers } from "./lib/household.mjs";

const spam = mail({ from: "x@bad.example" }), ham = mail();
const trusting = { mta_from: "127.0.0.0/8" };
const request = (body, close = true) =>
    `POST /checkv2 HTTP/1.1\r\nHost: x\r\nRcpt: ann@ours.example\r\n${close ? "Connection: close\r\n" : ""}Content-Length: ${body.length}\r\n\r\n${body}`;

test("--help shows the settings, --version the release, and what is wrong ends with a status", async () => {
    const rulesd = (...args) => run(program("postern-rulesd"), args);
    const help = await rulesd("--help");
    assert.equal(help.code, 0);
    assert.match(help.stdout, /usage: postern-rulesd[^]*\[rulesd\][^]*listen_spamd/);
    assert.match((await rulesd("--version")).stdout, /^postern-rulesd \d+\.\d+/);
    assert.equal((await rulesd("--nonsense")).code, 64);
    assert.notEqual((await rulesd("-c", "/nonexistent/postern.conf")).code, 0);
});

test("a listener that cannot be had stops the start, and says which", async () => {
    const site = await startRulesd();
    const other = await makeSite();
    other.configure({ store: site.settings.store, rulesd: { listen_http: `127.0.0.1:${site.http}` } });
    const { code, stderr } = await run(program("postern-rulesd"), ["-c", other.conf]);
    assert.notEqual(code, 0);
    assert.match(stderr, new RegExp(`listen_http.*127\\.0\\.0\\.1:${site.http}`));
    for (const [bad, words] of [["127.0.0.1:0?class=boss", /class is scan or mta/], ["127.0.0.1:0?nice=yes", /no "nice=yes"/], ["here", /needs a port/]]) {
        other.configure({ rulesd: { listen_http: bad } });
        assert.match((await run(program("postern-rulesd"), ["-c", other.conf])).stderr, words, bad);
    }
    other.remove();
    await site.stop();
});

test("SIGTERM finishes what is under way, closes what is idle, and removes the sockets", async () => {
    const site = await startRulesd({ config: { rulesd: trusting } });
    await furnish(site);
    const text = request(spam, false);
    const busy = connect(site.http, "127.0.0.1"), idle = connect(site.http, "127.0.0.1");
    const got = [];
    busy.on("data", (data) => got.push(data));
    await Promise.all([once(busy, "connect"), once(idle, "connect")]);
    busy.write(text.slice(0, -10));
    await sleep(200);
    const idleGone = once(idle.resume(), "close"), busyGone = once(busy, "close");
    const end = site.stop();
    await idleGone;
    await waitFor("new connections to be refused", async () => !await canConnect(site.http));
    busy.write(text.slice(-10));
    await busyGone;
    const reply = Buffer.concat(got).toString();
    assert.match(reply, /"action":"reject"/);
    assert.match(reply, /^Connection: close\r$/m);
    assert.equal(await end, 0);
    assert.ok(!existsSync(site.httpSock) && !existsSync(site.spamdSock));
});

test("SIGTERM does not wait for a client who never ends for longer than ten seconds", async () => {
    const site = await startRulesd({ config: { rulesd: trusting } });
    const stuck = connect(site.http, "127.0.0.1");
    stuck.on("error", () => { /* cut, as it should be */ });
    await once(stuck, "connect");
    stuck.write("POST /checkv2 HTTP/1.1\r\n");
    await sleep(200);
    const started = performance.now();
    process.kill(site.pid, "SIGTERM");
    await waitFor("it to end", () => site.exit() !== null, { seconds: 40 });
    assert.equal(site.exit(), 0);
    assert.ok(performance.now() - started < 40_000);
    stuck.destroy();
    await site.stop();
});

test("SIGTERM ends cleanly while a client does not take its replies", async () => {
    const site = await startRulesd({ config: { rulesd: trusting }, env: { MALLOC_PERTURB_: "165" } });
    await furnish(site);
    const client = connect(site.httpSock);
    client.on("error", () => { /* cut */ }).pause();
    const all = request(ham, false).repeat(4000);
    client.write(all);
    let n = 0;
    await waitFor("nothing to move any more", () => {
        const before = n;
        n = site.log().split(" scan uid=").length - 1;
        return n > 0 && n === before;
    }, { everyMs: 500 });
    assert.ok(n < 4000, "it took them all");
    process.kill(site.pid, "SIGTERM");
    await waitFor("it to end", () => site.exit() !== null, { seconds: 40 });
    assert.equal(site.exit(), 0, site.log().slice(-2000));
    assert.match(site.log(), /1 connections are cut/);
    client.destroy();
    await site.stop();
});

test("SIGHUP reads trust and log level again, and names what needs a restart", async () => {
    const site = await startRulesd({ config: { rulesd: { password: "old" } } });
    const rules = await furnish(site);
    const options = async (headers = {}) =>
        JSON.parse((await http(site.http, { headers: { Rcpt: "ann@ours.example", ...headers }, body: spam })).text).symbols?.POSTERN_BLOCK?.options;

    assert.equal(await options(), undefined);
    assert.deepEqual(await options({ Password: "old" }), [rules.sender]);
    site.configure({ rulesd: { password: "new", mta_from: "127.0.0.1", max_message: "1M" }, log: { level: "warning" } });
    site.hup();
    await waitFor("trust in mta_from", async () => (await options())?.[0] === rules.sender);
    assert.match(site.log(), /\[rulesd\] max_message has changed: that needs a restart/);
    const before = site.log().length;
    await options();
    assert.equal(site.log().length, before, "scans are not logged at level warning");

    site.configure({ rulesd: { mta_from: "300.0.0.1" } });
    site.hup();
    await waitFor("the complaint", () => /settings not read again.*mta_from/.test(site.log()));
    assert.deepEqual(await options(), [rules.sender], "what was holds on");
    await site.stop();
});

test("a request under way keeps its connection over SIGHUP", async () => {
    const site = await startRulesd({ config: { rulesd: trusting } });
    const reply = rawTcp(site.http, request(ham), { split: [40], gapMs: 400, halfClose: false });
    await sleep(100);
    site.hup();
    assert.match((await reply).toString(), /"action":"no action"/);
    await site.stop();
});

test("/healthz, /ready and /metrics tell how it is", async () => {
    const site = await startRulesd({ config: { rulesd: trusting } });
    await furnish(site);
    const get = (path) => http(site.http, { method: "GET", path });
    assert.equal((await get("/healthz")).status, 200);
    assert.equal((await get("/ready")).status, 200);
    await http(site.http, { headers: { Rcpt: "ann@ours.example" }, body: spam });
    await http(site.http, { headers: { Rcpt: "ann@ours.example" }, body: ham });
    await rawTcp(site.spamd, "PING SPAMC/1.2\r\n");
    const { text, headers } = await get("/metrics");
    assert.match(headers["content-type"], /^text\/plain; version=0\.0\.4/);
    for (const line of text.trimEnd().split("\n")) assert.match(line, /^(# (HELP|TYPE) postern_rulesd_\w+ .+|postern_rulesd_\w+(\{[^}]*\})? [-+.e\d]+)$/);
    const n = numbers(text, /./);
    assert.equal(n['requests_total{protocol="http",verb="scan",verdict="reject"}'], 1);
    assert.equal(n['requests_total{protocol="http",verb="scan",verdict="pass"}'], 1);
    assert.equal(n['requests_total{protocol="spamd",verb="ping",verdict="ok"}'], 1);
    assert.equal(n['scans_by_rule_total{rule="block"}'], 1);
    assert.equal(n.scan_seconds_count, 2);
    assert.equal(n['scan_seconds_bucket{le="+Inf"}'], 2);
    assert.deepEqual([n.database_up, n.ready, n.regex_jit], [1, 1, 1]);
    assert.ok(n.connections_open >= 1 && n.cache_misses_total >= 1);
    await site.stop();
});

test("each scan is one line with its UID, and nothing that a stranger wrote can forge another", async () => {
    const site = await startRulesd({ config: { rulesd: trusting } });
    const rules = await furnish(site);
    const { text } = await http(site.http, {
        headers: { Rcpt: "ann@ours.example", From: "<x@bad.example>", "Queue-Id": "4XyZ1", IP: "192.0.2.9", Helo: "a b\x1b[31m action=allow" }, body: spam,
    });
    const { uid } = JSON.parse(text);
    const lines = site.log().split("\n").filter((line) => line.includes(uid));
    assert.equal(lines.length, 1);
    for (const pair of [`listener=127.0.0.1:${site.http}`, "class=mta", "peer=127.0.0.1", "from=<x@bad.example>", "recipients=1", "ip=192.0.2.9",
        "queue_id=4XyZ1", "verdict=block", "action=reject", "score=100.0", `rule=${rules.sender}`, `size=${spam.length}`, "ms=", "cpu_us="]) {
        assert.ok(lines[0].includes(pair), `${pair} in ${lines[0]}`);
    }
    assert.doesNotMatch(site.log(), /\x1b/);
    await site.stop();
});

test("in mode observe everything is judged and logged, and nothing is changed", async () => {
    const site = await startRulesd({ config: { rulesd: { ...trusting, mode: "observe" } } });
    const rules = await furnish(site);
    const said = JSON.parse((await http(site.http, { headers: { Rcpt: "ann@ours.example", Flags: "milter" }, body: spam })).text);
    assert.deepEqual([said.action, said.score, said.symbols, said.messages], ["no action", 0, {}, {}]);
    assert.match(site.log(), new RegExp(`verdict=block action=reject score=100\\.0 rule=${rules.sender}.*mode=observe`));
    assert.match((await rawTcp(site.spamd, `CHECK SPAMC/1.5\r\nUser: ann@ours.example\r\nContent-length: ${spam.length}\r\n\r\n${spam}`)).toString(),
        /Spam: False ; 0\.0 \/ 6\.0/);
    await site.stop();
});

test("too many connections are closed at once, and those that are there go on", async () => {
    const site = await startRulesd({ config: { rulesd: { ...trusting, max_connections: 20 } } });
    const held = [];
    for (let i = 0; i < 20; i++) {
        const socket = connect(site.http, "127.0.0.1");
        socket.on("error", () => { /* turned away */ });
        await once(socket, "connect");
        held.push(socket);
    }
    await waitFor("the last one to be turned away", async () => (await rawTcp(site.http, "GET /ping HTTP/1.1\r\n\r\n").catch(() => "")).length === 0);
    const answer = once(held[0], "data");
    held[0].write("GET /ping HTTP/1.1\r\nHost: x\r\n\r\n");
    assert.match(String((await answer)[0]), /pong/);
    assert.match(site.log(), /too many connections/);
    for (const socket of held) socket.destroy();
    await waitFor("room again", async () => (await rawTcp(site.http, "GET /ping HTTP/1.1\r\nConnection: close\r\n\r\n").catch(() => "")).length > 0);
    await site.stop();
});

test("while the database is away the last rules decide, whom nobody knows yet is asked to come again, and in the end everybody", async () => {
    const pg = await startPostgres();
    const site = await startRulesd({ config: { store: { url: pg.url }, rulesd: trusting } });
    await furnish(site);
    const check = (rcpt) => http(site.http, { headers: { Rcpt: rcpt }, body: spam });
    const counted = async (name) => numbers((await http(site.http, { method: "GET", path: "/metrics" })).text, new RegExp(`^${name}$`))[name];
    assert.equal(JSON.parse((await check("ann@ours.example")).text).action, "reject");
    // None of the rows waits for the database until the rules have been asked.
    await waitFor("its row", async () => await counted("log_records_total") === 1);
    await pg.stop();
    const unknown = await check("nobody.yet@ours.example");
    assert.equal(unknown.status, 503);
    assert.deepEqual(JSON.parse(unknown.text), { error: "the rules cannot be read at the moment" }, "no action: the caller tries again");
    assert.match((await rawTcp(site.spamd, `CHECK SPAMC/1.5\r\nUser: nobody.yet@ours.example\r\nContent-length: ${spam.length}\r\n\r\n${spam}`)).toString(),
        /^SPAMD\/1\.0 69 [^\r]+\r\n$/);
    assert.doesNotMatch(site.log(), /log is behind/);
    assert.equal(JSON.parse((await check("ann@ours.example")).text).action, "reject");
    await waitFor("the metrics to tell", async () => await counted("database_up") === 0);
    const late = await waitFor("what waits to be logged for two seconds to have the senders wait", async () => { const one = await check("ann@ours.example"); return one.status === 503 && one; });
    assert.deepEqual(JSON.parse(late.text), { error: "the message log is behind, try again later" });
    assert.match(site.log(), /verdict=failed why="the message log is behind"/);
    assert.equal((await http(site.http, { method: "GET", path: "/healthz" })).status, 200);
    assert.equal(await site.stop(), 0);
});

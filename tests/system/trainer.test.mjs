// Reports: taken by rulesd in both protocols, kept, and taught to the filter by postern-trainer: real Rspamd with Redis, real spamd.
import assert from "node:assert/strict";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { cannot, freePort, http, program, removeDir, rspamc, run, spamc, start, startRedis, startRspamdScanner, startRulesd, startSpamd, tempDir, waitFor } from "./lib/index.mjs";

const words = (n, seed) => Array.from({ length: n }, (_, i) => `word${(seed * 7919 + i * 104729) % 5003}`).join(" ");
const letter = (seed, extra = "") => `From: shop${seed}@shops.example\r\nTo: anna@ours.example\r\nSubject: ${words(4, seed)}\r\nMessage-ID: <r${seed}@shops.example>\r\nDate: Sun, 22 Nov 2026 03:00:00 +0000\r\n\r\n${words(120, seed)}${extra}\r\n`;

async function startSite(backend, more = {}) {
    const site = await startRulesd({ config: { rulesd: { mta_from: "127.0.0.0/8" }, trainer: { backend, ...more } } });
    await site.must("domain", "add", "ours.example");
    await site.must("mailbox", "add", "anna@ours.example");
    return site;
}
const startTrainer = (site) => start("trainer", program("postern-trainer"), ["-c", site.conf], { dir: site.dir, ready: async () => true });
const reports = async (site) => JSON.parse((await run("sqlite3", ["-json", "-cmd", ".timeout 5000", join(site.dir, "log.db"),
    "SELECT class, state, recipient, channel, attempts, answer FROM report ORDER BY created_us"])).stdout || "[]");
const settled = (site, n) => waitFor("the reports to end", async () => {
    const all = await reports(site);
    return all.length === n && all.every((r) => r.state !== "waiting") ? all : undefined;
});
const tell = (site, args, mail) => spamc(["-d", "127.0.0.1", "-p", String(site.spamd), "-u", "anna@ours.example", ...args], mail);

test("without a backend nothing is taken; without a mail server's word neither", async () => {
    const none = await startSite("none");
    assert.equal((await http(none.http, { path: "/learnspam", body: letter(1) })).status, 404);
    assert.deepEqual(await reports(none), []);
    await none.stop();
    const site = await startRulesd({ config: { trainer: { backend: `spamd://127.0.0.1:${await freePort()}` } } });
    assert.equal((await http(site.http, { path: "/learnspam", body: letter(1) })).status, 401);
    assert.notEqual((await tell(site, ["-L", "spam"], letter(1))).code, 5);
    assert.deepEqual(await reports(site), []);
    await site.stop();
});

test("a login name is nobody's address: what it reports is taken for nobody, or for whom the settings make of it", async () => {
    const trainer = { backend: `spamd://127.0.0.1:${await freePort()}` };

    for (const [more, recipient] of [[{}, ""], [{ user_domain: "ours.example" }, "ours.example"]]) {
        const site = await startRulesd({ config: { rulesd: { mta_from: "127.0.0.0/8", ...more }, trainer } });
        await site.must("domain", "add", "ours.example");
        for (const n of [1, 2]) {
            const { stdout } = await spamc(["-d", "127.0.0.1", "-p", String(site.spamd), "-u", "anna", "-L", "ham"], letter(n));
            assert.match(stdout.toString(), /Message successfully un\/learned/);
        }
        assert.deepEqual((await reports(site)).map((r) => [r.class, r.recipient]), [["ham", recipient], ["ham", recipient]]);
        await site.stop();
    }
});

test("two people behind one mail server are two, by the name that it gives them", async () => {
    const site = await startRulesd({ config: { rulesd: { mta_from: "127.0.0.0/8", user_domain: "ours.example" }, trainer: { backend: `spamd://127.0.0.1:${await freePort()}` } } });
    await site.must("domain", "add", "ours.example");
    const who = async () => JSON.parse((await run("sqlite3", ["-json", join(site.dir, "log.db"), "SELECT who, state FROM report WHERE channel <> 'postern' ORDER BY created_us"])).stdout || "[]").map((r) => `${r.who}: ${r.state}`);
    const says = (user, what) => spamc(["-d", "127.0.0.1", "-p", String(site.spamd), "-u", user, "-L", what], letter(1));

    await says("anna", "spam");
    await says("Anna", "spam");
    await says("bob", "spam");
    assert.deepEqual(await who(), ["anna (127.0.0.1): waiting", "bob (127.0.0.1): waiting"]);
    await says("bob", "ham");
    const [anna, , bob] = await who();
    assert.equal(anna, "anna (127.0.0.1): undecided", "bob's word is not hers");
    assert.match(bob, /^bob \(127\.0\.0\.1\): /);
    const learn = (headers) => http(site.http, { path: "/learnspam", headers, body: letter(2) });
    for (const headers of [{ "Deliver-To": "carl@ours.example" }, { Rcpt: "dora@ours.example" }, { User: "emil", Rcpt: "list@ours.example" }, {}, {}])
        assert.ok([200, 208].includes((await learn(headers)).status));
    assert.deepEqual((await who()).slice(-4).map((w) => w.split(":")[0]), ["carl@ours.example (127.0.0.1)", "dora@ours.example (127.0.0.1)", "emil (127.0.0.1)", "127.0.0.1"]);
    await site.stop();
});

test("spamc -L and rspamc learn_* reach a real Rspamd, each message once", { skip: cannot("rspamd") }, async () => {
    const redis = await startRedis();
    const filter = await startRspamdScanner({ redis: redis.port });
    const site = await startSite(`rspamd+http://127.0.0.1:${filter.controller}`, { password: filter.password });
    const trainer = await startTrainer(site);

    assert.match((await tell(site, ["-L", "spam"], letter(1))).stdout.toString(), /Message successfully un\/learned/);
    assert.match((await rspamc(site.http, ["learn_ham"], letter(2))).stdout.toString(), /success = true/);
    assert.match((await tell(site, ["-L", "spam"], letter(1))).stdout.toString(), /Message was already un\/learned/);
    assert.equal((await http(site.http, { path: "/learnham", body: letter(2) })).status, 208);
    assert.equal((await http(site.http, { path: "/learnspam", headers: { "Deliver-To": "anna@ours.example" }, body: "Subject: x\r\n\r\nshort\r\n" })).status, 200);
    const all = await settled(site, 3);
    assert.deepEqual(all.map((r) => [r.class, r.state, r.recipient, r.channel]), [
        ["spam", "learnt", "ours.example", "tell"], ["ham", "learnt", "", "learn"], ["spam", "short", "ours.example", "learn"]]);
    const stat = JSON.parse((await http(filter.controller, { method: "GET", path: "/stat", headers: { Password: filter.password } })).text);
    assert.equal(stat.learned, 2);
    await trainer.stop();
    for (const s of [site, filter, redis]) await s.stop();
});

test("while the filter is away or the password is wrong reports wait, and none is lost", { skip: cannot("rspamd") }, async () => {
    const redis = await startRedis();
    const filter = await startRspamdScanner({ redis: redis.port, controllerLines: "secure_ip = [];" }); // else loopback needs no password
    const site = await startSite(`rspamd+http://127.0.0.1:${filter.controller}`, { password: "wrong" });
    let trainer = await startTrainer(site);

    await http(site.http, { path: "/learnspam", body: letter(3) });
    await waitFor("the refusal", async () => /password is wrong/.test((await reports(site))[0]?.answer ?? ""));
    assert.equal((await reports(site))[0].state, "waiting");
    await trainer.stop();
    site.configure({ trainer: { password: filter.password } });
    await run("sqlite3", ["-cmd", ".timeout 5000", join(site.dir, "log.db"), "UPDATE report SET next_us = 0"]);
    trainer = await startTrainer(site);
    assert.equal((await settled(site, 1))[0].state, "learnt");

    await redis.kill(); // Rspamd is there, and has nothing to learn into
    await http(site.http, { path: "/learnspam", body: letter(4) });
    await waitFor("the refusal", async () => /redis/i.test((await reports(site))[1]?.answer ?? ""));
    assert.equal((await reports(site))[1].state, "waiting");
    await redis.restart();
    await waitFor("it to be learnt", async () => {
        await run("sqlite3", ["-cmd", ".timeout 5000", join(site.dir, "log.db"), "UPDATE report SET next_us = 0 WHERE state = 'waiting' AND lease_by = ''"]); // its patience, in short
        return (await reports(site))[1].state === "learnt";
    });
    await trainer.kill();
    await trainer.exit;
    for (const s of [site, filter, redis]) await s.stop();
});

test("a spamd that may not be told is closed: reports wait, with its words, until it may", { skip: cannot("spamd", "spamassassin") }, async () => {
    const closed = await startSpamd(), site = await startSite(`spamd://127.0.0.1:${closed.port}`), trainer = await startTrainer(site);

    for (const n of [6, 7]) assert.match((await tell(site, ["-L", "spam"], letter(n))).stdout.toString(), /successfully/);
    const [told] = await waitFor("its words", async () => { const all = await reports(site); return all.some((r) => r.answer !== "") && all.filter((r) => r.answer !== ""); });
    assert.deepEqual([told.state, /TELL commands are not enabled/.test(told.answer)], ["waiting", true]);
    assert.equal((await reports(site)).reduce((sum, r) => sum + r.attempts, 0), 1); // not once for each
    await trainer.stop();
    for (const s of [site, closed]) await s.stop();
});

test("TELL reaches a real spamd, and takes back", { skip: cannot("spamd", "spamassassin") }, async () => {
    const bayes = tempDir("bayes");
    chmodSync(bayes, 0o777);
    const filter = await startSpamd({ args: ["--allow-tell"], local: `use_bayes 1\nbayes_auto_learn 0\nbayes_path ${bayes}/bayes\nbayes_file_mode 0666` });
    const site = await startSite(`spamd://127.0.0.1:${filter.port}`);
    const trainer = await startTrainer(site);

    for (const [args, mail] of [[["-L", "spam"], letter(4)], [["-L", "ham"], letter(5)]]) assert.match((await tell(site, args, mail)).stdout.toString(), /successfully/);
    const all = await settled(site, 2);
    assert.deepEqual(all.map((r) => [r.class, r.state]), [["spam", "learnt"], ["ham", "learnt"]]);
    assert.match((await tell(site, ["-L", "forget"], letter(4))).stdout.toString(), /successfully/);
    const after = await settled(site, 3);
    assert.deepEqual(after.map((r) => [r.class, r.state]).sort(), [["forget", "learnt"], ["ham", "learnt"], ["spam", "superseded"]]);
    await trainer.stop();
    for (const s of [site, filter]) await s.stop();
    removeDir(bayes);
});

const RCPT = ["--rcpt", "anna@ours.example"];
const keepFile = (site, name, text) => { const path = join(site.dir, name); writeFileSync(path, text); return path; };
const proven = (n, local = `news${n}`) => `Authentication-Results: mx.ours.example; dmarc=pass header.from=shops.example\r\n${letter(n).replace(`shop${n}@`, `${local}@`)}`;
const entries = async (site) => (await run("sqlite3", ["-cmd", ".timeout 5000", join(site.dir, "postern.db"), "SELECT action || ' ' || sender || ' ' || proof FROM learned ORDER BY sender"])).stdout.toString().trim();

test("the command reports a file, tells of the learned sender, and what the filter knows", { skip: cannot("rspamd") }, async () => {
    const redis = await startRedis();
    const filter = await startRspamdScanner({ redis: redis.port });
    const site = await startSite(`rspamd+http://127.0.0.1:${filter.controller}`, { password: filter.password });
    const trainer = await startTrainer(site);
    site.configure({ rules: { authserv_id: "mx.ours.example" } });
    const spam = keepFile(site, "spam.eml", proven(1)), plain = keepFile(site, "plain.eml", letter(2));

    assert.match((await site.must("report", "spam", ...RCPT, spam)).toString(), /^Reported as spam\.\nLearned sender, held from now on: news1@shops\.example \(dmarc\)/);
    assert.match((await site.must("report", "spam", ...RCPT, spam)).toString(), /reported as spam before/);
    assert.match((await site.must("report", "ham", ...RCPT, plain)).toString(), /No learned sender: it is not proven who sent it/);
    assert.equal(await entries(site), "block news1@shops.example dmarc");
    assert.deepEqual((await settled(site, 2)).map((r) => [r.class, r.state]), [["spam", "learnt"], ["ham", "learnt"]]);
    const turned = JSON.parse(await site.must("report", "ham", ...RCPT, spam, "--json"));
    assert.deepEqual([turned.added, turned.sender, turned.proof, turned.body], ["turned", "news1@shops.example", "dmarc", true]);
    assert.equal(await entries(site), "allow news1@shops.example dmarc");
    await settled(site, 3);
    const status = JSON.parse(await site.must("trainer", "status", "--json"));
    assert.deepEqual([status.waiting, status.learnt, status.superseded], [0, 2, 1]);
    assert.deepEqual(status.backends.map((b) => [b.needed, b.acts, typeof b.ham]), [[200, false, "number"]]); // Rspamd counts them with a delay
    assert.match((await site.must("trainer", "status")).toString(), /: Bayes acts from 200 of each: spam \d+, ham \d+ - \d+ more spam/);
    const list = JSON.parse(await site.must("report", "list", "--mailbox", "anna@ours.example", "--json")).reports;
    assert.deepEqual(list.map((r) => [r.class, r.state, r.for, r.channel]).sort(), [["ham", "learnt", "ours.example", "command"], ["ham", "learnt", "ours.example", "command"], ["spam", "superseded", "ours.example", "command"]]);
    await trainer.stop();
    for (const s of [site, filter, redis]) await s.stop();
});

test("a message of the log is reported by its UID, by who received it alone", async () => {
    const site = await startRulesd({ config: { rulesd: { mta_from: "127.0.0.0/8" }, trainer: { backend: `spamd://127.0.0.1:${await freePort()}` } } });
    for (const a of [["domain", "add", "ours.example", "--at-block", "quarantine"], ["mailbox", "add", "anna@ours.example"], ["mailbox", "add", "berta@ours.example"],
        ["rule", "add", "block", "--scope", "domain:ours.example", "--sender", "blocked.example"]]) await site.must(...a);
    const scan = (from) => http(site.http, { path: "/checkv2", headers: { Rcpt: "anna@ours.example", From: from, IP: "192.0.2.1", "Queue-Id": from, Flags: "milter" }, body: `From: ${from}\r\nSubject: x\r\n\r\nx\r\n` });
    await scan("a@blocked.example");
    await scan("b@fine.example");
    const uids = await waitFor("the log", async () => {
        const rows = (await run("sqlite3", ["-cmd", ".timeout 5000", join(site.dir, "log.db"), "SELECT uid FROM message ORDER BY uid"])).stdout.toString().trim().split("\n");
        return rows.length === 2 ? rows : undefined;
    });
    assert.match((await site.must("report", "ham", ...RCPT, "--uid", uids[0])).toString(), /^Reported as ham\.\nNo learned sender/);
    assert.match((await site.must("report", "spam", ...RCPT, "--uid", uids[1])).toString(), /^Reported as spam\.\nThe message is no longer stored: the filter could not learn it\.\nNo learned sender: /);
    for (const args of [["--rcpt", "berta@ours.example", "--uid", uids[0]], [...RCPT, "--uid", "0192b2f0-0000-7000-8000-000000000000"]]) {
        const r = await site.postern(["report", "ham", ...args]);
        assert.notEqual(r.code, 0);
        assert.match(r.stderr.toString(), /the log has no such message for/);
    }
    for (const args of [["--uid", uids[0]], RCPT, [...RCPT, "--uid", "x"], [...RCPT, "--uid", uids[0], "file"]]) assert.notEqual((await site.postern(["report", "ham", ...args])).code, 0);
    assert.equal((await reports(site)).length, 2);
    await site.stop();
});

test("POST /report takes a message or a UID from who has a token, and tells what came of it", { skip: cannot("rspamd") }, async () => {
    const redis = await startRedis();
    const filter = await startRspamdScanner({ redis: redis.port });
    const site = await startRulesd({ config: { rulesd: { mta_from: "127.0.0.0/8" }, rules: { authserv_id: "mx.ours.example" }, trainer: { backend: `rspamd+http://127.0.0.1:${filter.controller}`, password: filter.password } } });
    for (const a of [["domain", "add", "ours.example", "--at-block", "quarantine"], ["domain", "add", "theirs.example"], ["mailbox", "add", "anna@ours.example"], ["mailbox", "add", "cleo@theirs.example"],
        ["rule", "add", "block", "--scope", "domain:ours.example", "--sender", "shop9@shops.example"]]) await site.must(...a);
    const token = async (...words) => /^(pst_\S+)$/m.exec(await site.must("token", "add", ...words))[1];
    const [mine, other] = [await token("sieve", "report", "--domain", "ours.example"), await token("maps", "maps:global")];
    const trainer = await startTrainer(site);
    const post = (body, { secret = mine, path = "/report", type = "application/json" } = {}) => http(site.http, { path, headers: { Authorization: `Bearer ${secret}`, "Content-Type": type }, body: typeof body === "string" ? body : JSON.stringify(body) });
    const mail = (query, body) => post(body, { path: `/report?${query}`, type: "message/rfc822" });

    const first = await mail("class=spam&recipient=anna%40ours.example", proven(1, "bounce-123456-x"));
    assert.equal(first.status, 200, first.text);
    assert.deepEqual({ ...JSON.parse(first.text), id: 0 }, { id: 0, class: "spam", added: "new", state: "waiting", note: "", body: true, sender: "bounce-*@shops.example", proof: "dmarc", why: "the address was made for this message: the part of it that stays counts" });
    assert.equal(JSON.parse((await mail("class=spam&recipient=Anna%2Btag@ours.example", proven(1, "bounce-123456-x"))).text).added, "said");
    const turned = JSON.parse((await mail("class=ham&recipient=anna@ours.example", proven(1, "bounce-123456-x"))).text);
    assert.deepEqual([turned.added, turned.sender], ["turned", "bounce-*@shops.example"]);
    assert.equal(await entries(site), "allow bounce-*@shops.example dmarc");

    await http(site.http, { path: "/checkv2", headers: { Rcpt: "anna@ours.example", From: "shop9@shops.example", IP: "192.0.2.1", "Queue-Id": "Q1", Flags: "milter" }, body: letter(9) });
    const uid = await waitFor("the log", async () => (await run("sqlite3", ["-cmd", ".timeout 5000", join(site.dir, "log.db"), "SELECT uid FROM message WHERE queue_id = 'Q1'"])).stdout.toString().trim() || undefined);
    const held = JSON.parse((await post({ class: "ham", recipient: "anna@ours.example", uid })).text);
    assert.deepEqual([held.added, held.body, held.sender], ["new", true, ""]);
    assert.equal((await settled(site, 3)).filter((r) => r.state === "learnt").length >= 2, true, JSON.stringify(await reports(site)));

    for (const [status, answer] of [
        [401, await post({ class: "ham", recipient: "anna@ours.example", uid }, { secret: "pst_wrong" })],
        [403, await post({ class: "ham", recipient: "anna@ours.example", uid }, { secret: other })],
        [404, await post({ class: "ham", recipient: "cleo@theirs.example", uid })],
        [404, await post({ class: "ham", recipient: "x@strangers.example", uid })],
        [404, await post({ class: "ham", recipient: "berta@ours.example", uid: "0192b2f0-0000-7000-8000-000000000000" })],
        [400, await post({ class: "odd", recipient: "anna@ours.example", uid })],
        [400, await post({ class: "ham", recipient: "nobody", uid })],
        [400, await post({ class: "ham", recipient: "anna@ours.example" })],
        [400, await post({ class: "ham", recipient: "anna@ours.example", uid, more: 1 })],
        [400, await post("{")], [400, await post("[]")], [413, await post(`{"class":"${"x".repeat(5000)}"}`)],
        [400, await mail("class=ham&recipient=anna@ours.example", "")], [400, await mail("class=ham", "x")],
    ]) assert.equal(answer.status, status, answer.text);
    assert.equal((await reports(site)).length, 3);

    let last;
    for (let i = 0; i < 70 && last?.status !== 429; i++) last = await post({ class: "ham", recipient: "anna@ours.example", uid });
    assert.equal(last.status, 429);
    assert.notEqual((await http(site.http, { path: "/report", headers: { Rcpt: "anna@ours.example" }, body: letter(8) })).status, 401); // the old question of that name
    await trainer.stop();
    for (const s of [site, filter, redis]) await s.stop();
});

// postern-trainer under trouble, killed, and measured. At full size: make learning (docs/trainer.md).
//   REPORTS  reports in the queue (120; 1000)    KILLS  how often the trainer is killed (8; 50)    SILENT  1: also a backend that never answers (30 s)
import assert from "node:assert/strict";
import { chmodSync, readFileSync, readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { cannot, http, makeSite, program, run, sleep, start, startRedis, startRspamdScanner, startRulesd, startSpamd, tempDir, removeDir, waitFor } from "./lib/index.mjs";
import { startTeachable } from "./lib/teachable.mjs";
import { letter } from "./lib/letters.mjs";

const REPORTS = Number(process.env.REPORTS ?? 120), KILLS = Number(process.env.KILLS ?? 8), FULL = REPORTS >= 1000;
const RCPT = ["--rcpt", "anna@ours.example"];
const sql = async (site, text) => (await run("sqlite3", ["-json", "-cmd", ".timeout 10000", join(site.dir, "log.db"), text])).stdout;
const rows = async (site) => JSON.parse(await sql(site, "SELECT subject, class, state, attempts, answer FROM report ORDER BY created_us") || "[]");
const waiting = async (site) => JSON.parse(await sql(site, "SELECT COUNT(*) AS n FROM report WHERE state = 'waiting'"))[0].n;
const startTrainer = (site) => start("trainer", program("postern-trainer"), ["-c", site.conf], { dir: site.dir, ready: async () => true });
const populate = async (site) => { await site.must("domain", "add", "ours.example"); await site.must("mailbox", "add", "anna@ours.example"); };

// Reports of n letters, the first of that number, as learn scripts hand them over: how many bytes they have. sizes: words in each, by turns.
async function fill(site, n, { first = 0, sizes = [250] } = {}) {
    let bytes = 0;

    for (let at = 0; at < n; at += 20) {
        await Promise.all(Array.from({ length: Math.min(20, n - at) }, async (_, k) => {
            const body = letter("spam", first + at + k, { words: sizes[(at + k) % sizes.length] });
            const answer = await http(site.http, { path: "/learnspam", headers: { "Deliver-To": "anna@ours.example" }, body });
            assert.equal(answer.status, 200, answer.text);
            bytes += body.length;
        }));
    }
    return bytes;
}

// ---- trouble ----

const manners = [
    { manner: "down", says: /connect/i },
    { manner: "shut", says: /password is wrong/, most: 1 },
    { manner: "broken", says: /status 500/ },
    { manner: "cut", says: /cut/ },
    { manner: "nonsense", says: /no answer in HTTP/ },
    { manner: "slow" },
    ...(process.env.SILENT ? [{ manner: "silent", says: /timed out/i, seconds: 40 }] : []),
];

async function trouble({ manner, says, most = 5, seconds = 5 }) {
    const n = 8;
    let backend = await startTeachable({ manner });
    const site = await makeSite({ trainer: { backend: backend.url, password: "secret" } });

    await site.must("init");
    await populate(site);
    for (let i = 0; i < n; i++) await site.must("report", "spam", ...RCPT, "-", { input: letter("spam", i) });
    if (manner === "down") await backend.stop();
    let trainer = await startTrainer(site);
    await sleep(seconds * 1000);
    if (says) {
        const now = await rows(site), attempts = now.reduce((sum, r) => sum + r.attempts, 0);

        assert.ok(now.every((r) => r.state === "waiting"), `${manner}: ${JSON.stringify(now)}`);
        assert.ok(attempts >= 1 && attempts <= most, `${manner}: ${attempts} attempts in ${seconds} s`); // not eight, and no busy loop
        if (manner !== "down") assert.ok(Math.abs(backend.asked.length - attempts) <= 1, `${manner}: ${backend.asked.length} requests, ${attempts} attempts`);
        assert.ok(now.filter((r) => r.attempts > 0 && r.answer !== "").every((r) => says.test(r.answer)), `${manner}: ${JSON.stringify(now)}`);
        assert.ok(now.some((r) => says.test(r.answer)), manner);
    }
    if (manner === "down") backend = await startTeachable({ port: backend.port });
    backend.be("well");
    if (manner === "shut" || manner === "silent") { await trainer.stop(); trainer = await startTrainer(site); } // a minute's rest, in short
    const done = await waitFor(`${manner}: all to be learnt`, async () => {
        await sql(site, "UPDATE report SET next_us = 0 WHERE state = 'waiting' AND lease_by = ''"); // their patience, in short
        const all = await rows(site);
        return all.every((r) => r.state !== "waiting") && all;
    }, { everyMs: 300 });
    assert.ok(done.every((r) => r.state === "learnt"), `${manner}: ${JSON.stringify(done)}`);
    assert.equal(backend.known.size, n);
    await trainer.stop();
    await backend.stop();
    await site.remove();
}

test("a filter that is down, closed, slow, cut off or talks nonsense loses no report, and is not asked in a busy loop", async () => {
    await Promise.all(manners.map(trouble));
});

test("a message that the filter chokes on keeps no other from being learnt", async () => {
    const backend = await startTeachable({ poison: /Message-ID: <spam\.3@/i });
    const site = await makeSite({ trainer: { backend: backend.url, password: "secret" } });

    await site.must("init");
    await populate(site);
    for (let i = 0; i < 8; i++) await site.must("report", "spam", ...RCPT, "-", { input: letter("spam", i) });
    const trainer = await startTrainer(site);
    await waitFor("the others", async () => (await waiting(site)) === 1);
    assert.deepEqual((await rows(site)).map((r) => r.state).sort(), [...Array(7).fill("learnt"), "waiting"]);
    await trainer.stop();
    await backend.stop();
    await site.remove();
});

// ---- bad input ----

// A message in a message in a message …
function bomb(depth) {
    const part = (i) => `From: inner${i}@bombs.example\r\nSubject: ${i}\r\nContent-Type: multipart/mixed; boundary="b${i}"\r\n\r\n--b${i}\r\nContent-Type: message/rfc822\r\n\r\n`;
    return `Message-ID: <bomb@bombs.example>\r\n${Array.from({ length: depth }, (_, i) => part(i)).join("")}Subject: the end\r\n\r\nx\r\n${Array.from({ length: depth }, (_, i) => `\r\n--b${depth - 1 - i}--\r\n`).join("")}`;
}

test("what is too large, nobody's, or made to hurt is refused or learnt, and leaves the others alone", async () => {
    const backend = await startTeachable();
    const site = await startRulesd({ config: { rulesd: { mta_from: "127.0.0.0/8", max_message: "1M" }, rules: { authserv_id: "mx.ours.example" }, trainer: { backend: backend.url, password: "secret" } } });

    await populate(site);
    await site.must("mailbox", "add", "berta@ours.example");
    const token = /^(pst_\S+)$/m.exec(await site.must("token", "add", "sieve", "report"))[1];
    const post = (query, body, type = "message/rfc822") => http(site.http, { path: `/report?${query}`, headers: { Authorization: `Bearer ${token}`, "Content-Type": type }, body });
    const anna = "class=spam&recipient=anna@ours.example", large = letter("spam", 1) + "x".repeat(2 << 20), before = site.log().length;
    const attached = `${letter("spam", 2).replace("multipart/alternative", "multipart/mixed")}`.replace(/--=_letter--\r\n$/, `--=_letter\r\nContent-Type: application/zip; name="a.zip"\r\nContent-Disposition: attachment\r\n\r\n${"A".repeat(1 << 20)}\r\n--=_letter--\r\n`);

    for (const [status, answer] of [
        [413, await post(anna, large)], [413, await post(anna, attached)],
        [404, await post("", JSON.stringify({ class: "spam", recipient: "anna@ours.example", uid: "0192b2f0-0000-7000-8000-000000000000" }), "application/json")],
        [400, await post("class=spam&recipient=@", letter("spam", 3))],
    ]) assert.equal(answer.status, status, answer.text);
    for (const [file, why] of [[large, /at most|large/], ["", /nothing to learn from/]]) {
        const answer = await site.postern(["report", "spam", ...RCPT, "-"], { input: file });
        assert.notEqual(answer.code, 0);
        assert.match(answer.stderr, why);
    }
    assert.deepEqual(await rows(site), []);
    assert.doesNotMatch(site.log().slice(before), /crash|panic/);

    const trainer = await startTrainer(site), began = cpuOf(site.pid);
    const taken = await post(anna, bomb(4000));
    assert.equal(taken.status, 200, taken.text);
    assert.equal(JSON.parse(taken.text).sender, ""); // nobody has proven anything
    assert.equal((await post(anna, letter("spam", 4))).status, 200);
    await waitFor("both to be learnt", async () => (await rows(site)).filter((r) => r.state === "learnt").length === 2);
    assert.ok(cpuOf(site.pid) - began < 5, "a bomb costs little");
    assert.equal(await trainer.stop(), 0);
    await backend.stop();
    await site.stop();
});

// ---- killed ----

// Kills the trainer again and again while it drains, each time a little later after the filter's next sign of work; then lets one end it.
// What the filter has begun it ends, who ever asked: the two minutes of a lease leave it the time for that.
async function drainKilled(site, { work, isQuiet = () => true }) {
    for (let kills = 0; kills < KILLS; kills++) {
        const before = work(), trainer = await startTrainer(site);
        await waitFor("it to work", async () => work() > before, { everyMs: 1 });
        await sleep((kills * 37) % 60); // anywhere: between question and answer, before the commit, behind it
        await trainer.kill();
        await waitFor("the filter to end what it has begun", isQuiet, { everyMs: 20 });
        await sql(site, "UPDATE report SET lease_until_us = 0 WHERE lease_until_us > 0"); // those two minutes, in short
        assert.ok((await waiting(site)) > 0 || kills === KILLS - 1, `drained after ${kills + 1} kills`);
    }
    const last = await startTrainer(site);
    await waitFor("the rest", async () => (await waiting(site)) === 0, { seconds: 300 });
    await last.stop();

    const all = await rows(site), known = all.filter((r) => r.state === "known");
    assert.equal(all.length, REPORTS);
    assert.ok(all.every((r) => r.state === "learnt" || r.state === "known"), JSON.stringify(all.filter((r) => !["learnt", "known"].includes(r.state)).slice(0, 5)));
    assert.ok(known.every((r) => r.attempts > 1));
    return { learnt: all.length - known.length, known: known.length };
}

const groupBy = (list, key) => list.reduce((m, x) => m.set(key(x), [...(m.get(key(x)) ?? []), x]), new Map());

test("killed at any time, the trainer loses no report and ends none twice", async () => {
    const backend = await startTeachable({ delayMs: FULL ? 6 : 3 });
    const site = await startRulesd({ config: { rulesd: { mta_from: "127.0.0.0/8" }, trainer: { backend: backend.url, password: "secret" } } });

    await populate(site);
    await fill(site, REPORTS);
    const { learnt, known } = await drainKilled(site, { work: () => backend.asked.length }), answered = groupBy(backend.asked, (a) => a.id);
    assert.equal(backend.known.size, REPORTS); // each was learnt, and once: the others heard 208
    for (const asks of answered.values()) assert.equal(asks.filter((a) => a.status === 200).length, 1);
    assert.equal(known, [...answered.values()].filter((a) => a.length > 1).length); // "known" only where it was answered, and we died before we wrote it down
    console.log(`# counted: ${REPORTS} reports, ${KILLS} kills: ${learnt} learnt, ${known} known already, ${backend.asked.length} questions`);
    await backend.stop();
    await site.stop();
});

test("several trainers share a queue: each report is one's alone, and learnt once", async () => {
    const backend = await startTeachable({ delayMs: 3 });
    const site = await startRulesd({ config: { rulesd: { mta_from: "127.0.0.0/8" }, trainer: { backend: backend.url, password: "secret" } } });

    await populate(site);
    await fill(site, 120);
    const trainers = await Promise.all([1, 2, 3].map(() => startTrainer(site)));
    await waitFor("all to be learnt", async () => (await waiting(site)) === 0);
    assert.ok((await rows(site)).every((r) => r.state === "learnt" && r.attempts === 1));
    assert.equal(backend.asked.length, 120); // nobody was asked twice
    for (const t of trainers) {
        await t.stop();
        assert.match(t.log(), /state=learnt/); // each had a part in it
    }
    await backend.stop();
    await site.stop();
});

// What Rspamd's controller says in its log: how often it has learnt a message, or known it already, by Message-ID.
const count = (text, pattern) => [...text.matchAll(pattern)].reduce((m, [, id]) => m.set(id, (m.get(id) ?? 0) + 1), new Map());
const sum = (counts) => [...counts.values()].reduce((a, b) => a + b, 0);
function toldByRspamd(filter) {
    const log = filter.log();
    return {
        begun: sum(count(log, /loaded message; id: <(spam\.\S+)>/g)),
        learnt: count(log, /learned message as spam: (\S+)/g), known: count(log, /redis_get: <(\S+)> has been already learned as spam/g),
    };
}

test("nor does it with a real Rspamd, which learns each message once", { skip: cannot("rspamd") }, async () => {
    const redis = await startRedis(), filter = await startRspamdScanner({ redis: redis.port });
    const site = await startRulesd({ config: { rulesd: { mta_from: "127.0.0.0/8" }, trainer: { backend: `rspamd+http://127.0.0.1:${filter.controller}`, password: filter.password, bayes_redis: redis.url } } });
    const told = () => toldByRspamd(filter);

    await populate(site);
    await fill(site, REPORTS);
    const { learnt, known } = await drainKilled(site, { work: () => told().begun, isQuiet: () => { const t = told(); return t.begun === sum(t.learnt) + sum(t.known); } });
    const { begun, ...in_log } = told();
    console.log(`# Rspamd: ${REPORTS} reports, ${KILLS} kills: ${learnt} learnt, ${known} known already, ${begun} questions`);
    assert.equal(in_log.learnt.size, REPORTS);
    assert.equal(sum(in_log.learnt), REPORTS); // each once
    assert.equal(known, in_log.known.size);    // "known" where it was answered, and we died before we wrote it down
    assert.equal(Number(await redis.cli("hget", "RS", "learns_spam")), REPORTS);
    assert.match((await site.must("trainer", "status")).toString(), new RegExp(`^0 waiting, ${learnt} learnt, ${known} known,[^]*^Redis: .*: spam ${REPORTS}, ham 0`, "m"));
    for (const s of [site, filter, redis]) await s.stop();
});

// ---- measured ----

const stat = (pid) => readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /s, "").split(" ");
const cpuOf = (pid) => { // seconds, of all its threads
    try { return readdirSync(`/proc/${pid}/task`).reduce((sum, t) => sum + Number(readFileSync(`/proc/${pid}/task/${t}/schedstat`, "utf8").split(" ")[0]), 0) / 1e9; } catch { return 0; }
};
const childrenOf = (pid) => readdirSync("/proc").filter((p) => { try { return /^\d+$/.test(p) && stat(p)[1] === String(pid); } catch { return false; } });
const filesOf = (pid) => readdirSync(`/proc/${pid}/fd`).map((fd) => { try { return readlinkSync(`/proc/${pid}/fd/${fd}`); } catch { return ""; } });
const title = (pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8");
const ended = (pid) => { const s = stat(pid); return (Number(s[13]) + Number(s[14])) / 100; }; // its children that are gone

// Mail comes in all sizes: of ten letters four have 4 kB or less, the middle is 8 kB, one has 100 kB. What a report costs us hardly depends on
// that, what it costs a filter does: docs/trainer.md has the numbers, and what of it the smallest mail is spent on.
const MIX = { what: "mail of all sizes", sizes: [120, 250, 1500, 250, 600, 7000, 250, 600, 3000, 1000], most: FULL ? 0.05 : 0.1 }; // a short queue is taken in small hands
const SMALL = { what: "small mail", sizes: [250], most: 0.05 }; // 3.5 % on an idle machine, 4.1 to 4.9 on a busy one
const KINDS = FULL ? [MIX, SMALL, { what: "longer mail", sizes: [1500], most: 0.05 }] : [MIX];

// What the trainer takes of a processor's time for the whole queue, beside what the filter does, at that. It waits until the queue is full: its
// start is no part of it.
async function measure(name, site, { what, sizes, most }, cpuOfBackend, n = REPORTS) {
    const first = 10000 * KINDS.findIndex((k) => k.what === what), trainer = await startTrainer(site);

    await waitFor("the trainer to look", () => filesOf(trainer.pid).some((path) => path.startsWith(join(site.dir, "quarantine"))));
    trainer.signal("SIGSTOP");
    const kB = (await fill(site, n, { first, sizes })) / n / 1000, before = [cpuOf(trainer.pid), cpuOfBackend()];
    trainer.signal("SIGCONT");
    await waitFor("all to be learnt", async () => (await waiting(site)) === 0, { seconds: 900, everyMs: 250 });
    const ours = cpuOf(trainer.pid) - before[0], theirs = cpuOfBackend() - before[1], share = `${(ours / theirs * 100).toFixed(1)} %`;
    await trainer.stop();
    console.log(`# ${name}, ${what}, ${kB.toFixed(0)} kB on average: ${n} reports took ${(ours * 1000).toFixed(0)} ms of the trainer's, ${(theirs * 1000).toFixed(0)} ms of the filter's CPU time: ${share}`);
    const odd = (await rows(site)).filter((r) => r.state !== "learnt");
    assert.deepEqual(odd, []);
    assert.ok(ours < most * theirs, `${name}, ${what}: ${share}`);
}

test("the trainer costs little beside Rspamd and its Redis", { skip: cannot("rspamd") }, async () => {
    const folder = tempDir("controller"), socket = join(folder, "sock");
    chmodSync(folder, 0o777);
    const redis = await startRedis(), filter = await startRspamdScanner({ redis: redis.port, controllerLines: `bind_socket = "${socket} mode=0666";` });
    const redisPid = Number(/process_id:(\d+)/.exec(await redis.cli("info", "server"))[1]);
    const controller = childrenOf(filter.pid).find((p) => title(p).includes("controller process")); // it learns; Redis counts the words

    assert.equal((await http(filter.controller, { path: "/learnham", headers: { Password: filter.password }, body: letter("ham", 0) })).status, 200); // it is awake
    for (const at of FULL ? [`://127.0.0.1:${filter.controller}`, `+unix:${socket}`] : [`://127.0.0.1:${filter.controller}`]) {
        await redis.cli("flushall");
        const site = await startRulesd({ config: { rulesd: { mta_from: "127.0.0.0/8" }, trainer: { backend: `rspamd+http${at}`, password: filter.password } } });
        await populate(site);
        for (const kind of KINDS) await measure(`Rspamd${at.startsWith("+") ? " by a Unix socket" : ""}`, site, kind, () => cpuOf(controller) + cpuOf(redisPid));
        await site.stop();
    }
    for (const s of [filter, redis]) await s.stop();
    removeDir(folder);
});

test("the trainer costs little beside spamd", { skip: cannot("spamd", "spamassassin") }, async () => {
    const bayes = tempDir("bayes");
    chmodSync(bayes, 0o777);
    const filter = await startSpamd({ args: ["--allow-tell"], local: `use_bayes 1\nbayes_auto_learn 0\nbayes_path ${bayes}/bayes\nbayes_file_mode 0666` });
    const site = await startRulesd({ config: { rulesd: { mta_from: "127.0.0.0/8" }, trainer: { backend: `spamd://127.0.0.1:${filter.port}` } } });

    await populate(site);
    for (const kind of KINDS) await measure("spamd", site, { ...kind, most: 0.05 }, () => ended(filter.pid) + [filter.pid, ...childrenOf(filter.pid)].reduce((all, p) => all + cpuOf(p), 0), FULL ? REPORTS : 40); // a tenth of a second each
    for (const s of [site, filter]) await s.stop();
    removeDir(bayes);
});

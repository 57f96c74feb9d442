// Copies of delivered mail, and what reports make of them: real Rspamd with Redis, real spamd; a full disk, and a slow one.
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, realpathSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { cannot, http, program, removeDir, run, start, startRedis, startRspamdScanner, startRulesd, startSpamd, tempDir, waitFor } from "./lib/index.mjs";
import { makeSigner } from "./lib/dkim.mjs";

const ANNA = "anna@ours.example", BERTA = "berta@ours.example", CLEO = "cleo@theirs.example";
const words = (n, seed) => Array.from({ length: n }, (_, i) => `word${(seed * 7919 + i * 104729) % 5003}`).join(" ");
const letter = (seed, from = `shop${seed}@shops.example`) => `From: ${from}\r\nTo: ${ANNA}\r\nSubject: ${words(4, seed)}\r\nMessage-ID: <c${seed}@shops.example>\r\nDate: Sun, 22 Nov 2026 03:00:00 +0000\r\n\r\n${words(120, seed)}\r\n`;

async function startSite({ hours = 24, on = true, more = {}, env, site } = {}) {
    const own = await startRulesd({ config: { rulesd: { mta_from: "127.0.0.0/8" }, copies: { delivered_hours: hours }, ...more }, env, site });

    for (const a of [["domain", "add", "ours.example", "--at-block", "quarantine", ...(on ? ["--copies", "on"] : [])], ["domain", "add", "theirs.example"],
        ["mailbox", "add", ANNA], ["mailbox", "add", BERTA], ["mailbox", "add", CLEO], ["rule", "add", "block", "--scope", "domain:ours.example", "--sender", "blocked.example"]]) await own.must(...a);
    return own;
}
let asked = 0;
const scan = async (site, rcpt, body, from = "shop@shops.example") => http(site.http, { path: "/checkv2", headers: { Rcpt: `<${rcpt.split(",").join(">,<")}>`, From: from, IP: "192.0.2.10", "Queue-Id": `Q${++asked}`, Flags: "milter" }, body });
const log = async (site, query) => JSON.parse((await run("sqlite3", ["-json", "-cmd", ".timeout 5000", join(site.dir, "log.db"), query])).stdout || "[]");
const rows = (site, n) => waitFor(`${n} messages in custody`, async () => { const all = await log(site, "SELECT uid, copy, place, keep_us - at_us AS kept_us FROM custody ORDER BY uid"); return all.length === n ? all : undefined; });
const metric = async (site, name) => { const found = new RegExp(`^postern_rulesd_${name} (\\S+)`, "m").exec((await http(site.http, { method: "GET", path: "/metrics" })).text); return found === null ? undefined : Number(found[1]); };
const uidOf = (site, queue) => waitFor("the log", async () => (await log(site, `SELECT uid FROM message WHERE queue_id = '${queue}'`))[0]?.uid);
const startTrainer = (site) => start("trainer", program("postern-trainer"), ["-c", site.conf], { dir: site.dir, ready: async () => true });
const reports = (site) => log(site, "SELECT who, class, state, answer, sender, why FROM report ORDER BY created_us, id");
const settled = (site, n) => waitFor("the reports to end", async () => { const all = await reports(site); return all.length === n && all.every((r) => r.state !== "waiting") ? all : undefined; });
const entries = async (site) => (await run("sqlite3", ["-cmd", ".timeout 5000", join(site.dir, "postern.db"), "SELECT action || ' ' || sender FROM learned ORDER BY sender, action"])).stdout.toString().trim().split("\n");

test("what passes is copied for the domains that have it so, as it was sealed, and stands in no list", async () => {
    const site = await startSite();

    for (const [rcpt, from] of [[ANNA], [CLEO], [`${CLEO},${ANNA}`], [ANNA, "a@blocked.example"]]) assert.equal((await scan(site, rcpt, letter(1, from), from)).status, 200);
    const all = await rows(site, 3);
    assert.deepEqual(all.map((r) => r.copy).sort(), [0, 1, 1]);
    const copy = all.find((r) => r.copy === 1), held = all.find((r) => r.copy === 0);
    assert.equal(copy.kept_us, 24 * 3600e6);
    const listed = JSON.parse(await site.must("quarantine", "list", "--json")).held;
    assert.deepEqual(listed.map((h) => h.uid), [held.uid]);
    assert.match((await site.must("quarantine", "verify", "--open")).toString(), /: 0 faults/);
    assert.match((await site.must("trace", copy.uid)).toString(), /\n {2}copy +spool, /);
    assert.equal((await site.must("quarantine", "show", copy.uid, "--body", "--reason", "asked by Anna")).toString(), letter(1));
    site.configure({ delivery: { url: "smtp://127.0.0.1:1" } });
    const release = await site.postern(["quarantine", "release", copy.uid]);
    assert.notEqual(release.code, 0);
    assert.match(release.stderr.toString(), /it was not held for/);
    assert.equal(await metric(site, "copies_kept_total"), 2);
    assert.equal(await metric(site, "custody_kept_total"), 1);

    await site.must("domain", "set", "ours.example", "--copies", "off");
    await waitFor("the change to be seen", async () => { const before = await metric(site, "copies_kept_total"); await scan(site, ANNA, letter(2)); await new Promise((r) => setTimeout(r, 300)); return await metric(site, "copies_kept_total") === before; });
    await site.stop();
});

test("with delivered_hours = 0 there are none, and no thread for them", async () => {
    const site = await startSite({ hours: 0 });

    await scan(site, ANNA, letter(1));
    await uidOf(site, `Q${asked}`);
    assert.deepEqual(await rows(site, 0), []);
    assert.equal(await metric(site, "copies_kept_total"), undefined);
    await site.stop();
});

test("short of room or on a slow disk mail goes on at once, and copies are left out", async () => {
    const { bavail, bsize } = statfsSync("/tmp");
    const full = await startSite({ more: { quarantine: { min_free: String(Math.floor(bavail * bsize / 3 * 2)) } } });

    assert.equal(JSON.parse((await scan(full, ANNA, letter(1))).text).action, "no action");
    await waitFor("it to be left out", async () => await metric(full, "copies_left_out_total") === 1);
    assert.match(full.log(), /delivered mail is not copied .*twice min_free/);
    await full.stop();

    const folder = tempDir("slow");
    mkdirSync(join(folder, "quarantine"));
    const slow = await startSite({ env: { LD_PRELOAD: program("shim/disk.so"), DISK_ROOT: realpathSync(folder), DISK_SYNC_MS: "1500" }, more: { quarantine: { url: `file:${join(folder, "quarantine")}` } } });
    const begun = Date.now();
    for (let i = 0; i < 20; i++) assert.equal(JSON.parse((await scan(slow, ANNA, letter(i))).text).action, "no action");
    const took = Date.now() - begun;
    assert.ok(took < 20 * 1500, `20 messages took ${took} ms: they waited for the disk`); // each copy alone takes 3 s
    assert.ok(await metric(slow, "copies_waiting") > 10);
    await slow.stop();
    removeDir(folder);
});

test("a report of delivered mail learns from the copy; when that is gone it says so, and the sender is noted all the same", { skip: cannot("rspamd") }, async () => {
    const signer = makeSigner("shops.example");
    const redis = await startRedis();
    const filter = await startRspamdScanner({ redis: redis.port, records: [signer.record], local: { "greylist.conf": "enabled = false;" } });
    const site = await startSite({ more: { rulesd: { mta_from: "127.0.0.0/8", scanner: `rspamd+http://127.0.0.1:${filter.port}` }, trainer: { backend: `rspamd+http://127.0.0.1:${filter.controller}`, password: filter.password } } });
    const trainer = await startTrainer(site);

    await scan(site, `${ANNA},${BERTA}`, signer.sign(letter(1)), "shop1@shops.example");
    const [{ uid }] = await rows(site, 1);
    const first = JSON.parse(await site.must("report", "spam", "--rcpt", ANNA, "--uid", uid, "--json"));
    assert.deepEqual([first.state, first.body, first.sender, first.proof], ["waiting", true, "shop1@shops.example", "dkim:shops.example"]);
    assert.equal((await settled(site, 1))[0].state, "learnt");

    await run("sqlite3", ["-cmd", ".timeout 5000", join(site.dir, "log.db"), "UPDATE custody SET keep_us = 1"]);
    await site.restart(); // which purges
    await waitFor("the copy to go", async () => (await rows(site, 1))[0].place === "gone");
    assert.match((await site.must("report", "spam", "--rcpt", BERTA, "--uid", uid)).toString(),
        /^Reported as spam\.\nThe message is no longer stored: the filter could not learn it; the sender was noted\.\nLearned sender, held from now on: shop1@shops\.example/);
    assert.deepEqual(await entries(site), ["block shop1@shops.example", "block shop1@shops.example"]);
    assert.match((await site.must("report", "list")).toString(), /spam +refused +ours\.example +berta@ours\.example .*no longer stored.*\n +sender held from now on: shop1@shops\.example/);
    assert.match((await site.must("report", "show", uid)).toString(), /spam, learnt[^]*spam, refused\n {2}means +it is not going to be learnt/);

    const list = JSON.parse(await site.must("learned", "list", "--mailbox", ANNA, "--json")).learned;
    assert.deepEqual(list.map((l) => [l.mailbox, l.action, l.sender, l.message]), [[ANNA, "block", "shop1@shops.example", uid]]);
    await site.must("learned", "undo", list[0].id);
    await site.must("learned", "undo", "--mailbox", BERTA, "shop1@shops.example");
    assert.match((await site.must("learned", "list")).toString(), /^No sender is learned/);
    assert.match((await site.postern(["learned", "undo", "--mailbox", BERTA, "shop1@shops.example"])).stderr.toString(), /has learned nothing about/);
    await trainer.stop();
    for (const s of [site, filter, redis]) await s.stop();
});

test("two who disagree leave it undecided: spamd forgets what it learnt, each keeps a learned sender, and who gives in decides it", { skip: cannot("spamd", "spamassassin") }, async () => {
    const bayes = tempDir("bayes");
    chmodSync(bayes, 0o777);
    const filter = await startSpamd({ args: ["--allow-tell"], local: `use_bayes 1\nbayes_auto_learn 0\nbayes_path ${bayes}/bayes\nbayes_file_mode 0666` });
    const site = await startSite({ more: { trainer: { backend: `spamd://127.0.0.1:${filter.port}` } } });
    const trainer = await startTrainer(site);

    await scan(site, `${ANNA},${BERTA}`, letter(7));
    const [{ uid }] = await rows(site, 1);
    const say = async (rcpt, as) => (await site.must("report", as, "--rcpt", rcpt, "--uid", uid)).toString();
    await say(ANNA, "spam");
    assert.equal((await settled(site, 1))[0].state, "learnt");
    assert.match(await say(BERTA, "ham"), /^Reported as ham\.\nSomebody else of the domain says the opposite: the filter learns neither\./);
    const undecided = await settled(site, 3);
    assert.deepEqual(undecided.map((r) => [r.who, r.class, r.state]), [[ANNA, "spam", "undecided"], [BERTA, "ham", "undecided"], ["postern", "forget", "learnt"]]);
    assert.match((await site.must("report", "show", uid)).toString(), /people of the domain disagree/);
    await say(ANNA, "ham");
    const decided = await settled(site, 4);
    assert.deepEqual(decided.map((r) => [r.who, r.class, r.state]), [[ANNA, "spam", "superseded"], [BERTA, "ham", "learnt"], ["postern", "forget", "learnt"], [ANNA, "ham", "known"]]);
    await trainer.stop();
    for (const s of [site, filter]) await s.stop();
    removeDir(bayes);
});

test("Rspamd cannot merely forget: it says so, and the disagreement stands", { skip: cannot("rspamd") }, async () => {
    const redis = await startRedis();
    const filter = await startRspamdScanner({ redis: redis.port });
    const site = await startSite({ more: { trainer: { backend: `rspamd+http://127.0.0.1:${filter.controller}`, password: filter.password } } });
    const trainer = await startTrainer(site);

    await scan(site, `${ANNA},${BERTA}`, letter(8));
    const [{ uid }] = await rows(site, 1);
    await site.must("report", "ham", "--rcpt", ANNA, "--uid", uid);
    await settled(site, 1);
    await site.must("report", "spam", "--rcpt", BERTA, "--uid", uid);
    const all = await settled(site, 3);
    assert.deepEqual(all.map((r) => [r.class, r.state]), [["ham", "undecided"], ["spam", "undecided"], ["forget", "refused"]]);
    assert.match(all[2].answer, /forget/);
    await trainer.stop();
    for (const s of [site, filter, redis]) await s.stop();
});

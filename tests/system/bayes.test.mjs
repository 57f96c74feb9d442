// What is reported teaches the filter, and what it was taught is taken back: real Rspamd with Redis, real spamd, by the command, by
// IMAPSieve and by learn scripts; shown on messages that nobody reported, scanned through rulesd. At full size: make learning (LEARN=200; docs/trainer.md).
import assert from "node:assert/strict";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { cannot, example, http, makeDovecotAgent, program, removeDir, run, spamc, start, startRedis, startRspamdScanner, startRulesd, startSpamd, tempDir, unpacked, waitFor } from "./lib/index.mjs";
import { letter } from "./lib/letters.mjs";

const LEARN = Number(process.env.LEARN ?? 12); // of each kind; the filters' own minimum is 200
const BOXES = Math.max(2, Math.ceil(LEARN / 25)), HALF = LEARN / 2, UNSEEN = [5000, 5001, 5002];
const box = (i) => `box${i % BOXES}@ours.example`;
const KINDS = ["spam", "ham"];

const startTrainer = (site) => start("trainer", program("postern-trainer"), ["-c", site.conf], { dir: site.dir, ready: async () => true });
const states = async (site) => Object.fromEntries((await run("sqlite3", ["-separator", "=", "-cmd", ".timeout 10000", join(site.dir, "log.db"), "SELECT class || ' ' || state, COUNT(*) FROM report GROUP BY 1"]))
    .stdout.trim().split("\n").filter(Boolean).map((l) => l.split("=")).map(([k, n]) => [k, Number(n)]));
const becomes = (site, want, more = () => "") => waitFor(JSON.stringify(want), async () => {
    const now = await states(site);
    return Object.keys({ ...now, ...want }).every((k) => k.startsWith("forget") && !(k in want) || (now[k] ?? 0) === (want[k] ?? 0)) || undefined; // people disagree for a moment
}, { seconds: LEARN < 200 ? 90 : 600, everyMs: 200 }).catch(async (e) => assert.fail(`${e.message}: ${JSON.stringify(await states(site))}\n${more()}`));

async function populate(site) {
    await site.must("domain", "add", "ours.example");
    for (let i = 0; i < BOXES; i++) await site.must("mailbox", "add", box(i));
}

// The mean score of letters that nobody reported, what of it is Bayes', and its symbols, scanned through rulesd. They come today and from a
// server with a name: SpamAssassin gives what it finds wrong with a mail other points when Bayes acts, so nothing shall be wrong with them.
async function scores(site) {
    const out = {};

    for (const kind of KINDS) {
        const symbols = new Set();
        let sum = 0, bayes = 0;
        for (const n of UNSEEN) {
            const host = `host${n}.letters.example`, date = new Date().toUTCString().replace("GMT", "+0000");
            const { status, text } = await http(site.http, { path: "/checkv2", headers: { Rcpt: box(0), From: `sender${n}@${host}`, IP: "192.0.2.1", Helo: host, Hostname: host }, body: letter(kind, n, { to: box(0), date }) });
            assert.equal(status, 200, text);
            const reply = JSON.parse(text);
            for (const s of Object.values(reply.symbols)) {
                if (!s.name.startsWith("BAYES_")) continue;
                symbols.add(s.name);
                bayes += s.score;
            }
            sum += reply.score;
        }
        out[kind] = { score: sum / UNSEEN.length, bayes: bayes / UNSEEN.length, symbols: [...symbols].sort().join(" ") };
    }
    return out;
}

const one = (s) => `${s.score.toFixed(2)} (${s.symbols ? `${s.symbols} ${s.bayes.toFixed(2)}` : "-"})`;
const line = (what, s) => console.log(`# ${what}: spam ${one(s.spam)}, ham ${one(s.ham)}`);

function actsAndVanishes(name, before, learnt, undone) {
    for (const [what, s] of [["before", before], ["learnt", learnt], ["undone", undone]]) line(`${name}, ${what}`, s);
    for (const kind of KINDS) assert.equal(before[kind].symbols, "");
    assert.ok(learnt.spam.score >= before.spam.score + 1, "spam scores higher");
    assert.ok(learnt.ham.score <= before.ham.score - 1, "ham scores lower");
    for (const kind of KINDS) {
        assert.equal(undone[kind].symbols, "");
        assert.ok(Math.abs(undone[kind].score - before[kind].score) < 0.1, `${kind} scores as before`);
    }
}

// By the command: the first half of the letters.
async function command(site, kind, as = kind) {
    for (let i = 0; i < HALF; i++) await site.must("report", as, "--rcpt", box(i), "-", { input: letter(kind, i, { to: box(i) }) });
}

// ---- Rspamd, by the command and by the Junk folder ----

test("Rspamd learns what the command and the Junk folder report, acts on other mail like it, and is taught back", { skip: cannot("rspamd", "dovecot-core", "dovecot-sieve", "dovecot-imapd") }, async () => {
    const redis = await startRedis(), off = "enabled = false;\n";
    const filter = await startRspamdScanner({ redis: redis.port, local: { "classifier-bayes.conf": `min_learns = ${LEARN};\nper_user = true;\n`, "greylist.conf": off, "rbl.conf": off, "asn.conf": off, "hfilter.conf": off } });
    const site = await startRulesd({ config: {
        rulesd: { mta_from: "127.0.0.0/8", scanner: `rspamd+http://127.0.0.1:${filter.port}` },
        trainer: { backend: `rspamd+http://127.0.0.1:${filter.controller}`, password: filter.password, bayes_redis: redis.url, bayes_needed: LEARN },
    } });
    await populate(site);
    const token = /^(pst_\S+)$/m.exec(await site.must("token", "add", "imapsieve", "report"))[1];
    const dovecot = makeDovecotAgent({
        config: (path) => example("dovecot/dovecot.conf", { "/etc/dovecot/sieve-pipe": path("bin"), "/etc/dovecot/sieve/": `${path("")}/` }),
        files: (path) => ({
            "report-spam.sieve": example("dovecot/report-spam.sieve"), "report-ham.sieve": example("dovecot/report-ham.sieve"),
            "token.curl": example("dovecot/postern-report.curl", { "pst_…": token }),
            "bin/postern-report": example("dovecot/postern-report", { "127.0.0.1:11344": `127.0.0.1:${site.http}`, "/etc/dovecot/postern-report.curl": path("token.curl") }),
        }),
    });
    const imap = async (who, ...commands) => {
        const text = await dovecot.imap(who, [...commands, "LOGOUT"]);
        assert.doesNotMatch(text, /^t\d+ (NO|BAD)/m, `${text}\n${dovecot.log()}`);
    };
    const append = (folder, mail) => `APPEND ${folder} {${mail.length}+}\r\n${mail}`;
    // The second half of the letters: spam into Junk, ham out of it. What a client puts there is reported too, and then turned.
    const folders = async (as) => {
        for (let b = 0; b < BOXES; b++) {
            const mine = Array.from({ length: HALF }, (_, i) => HALF + i).filter((i) => i % BOXES === b);
            const [from, to] = as === "spam" ? ["INBOX", "Junk"] : ["Junk", "Ham"];
            if (mine.length > 0) await imap(box(b), ...mine.map((i) => append(from, letter(as, i, { to: box(b) }))), `SELECT ${from}`, "MOVE 1:* " + to);
        }
    };
    const trainer = await startTrainer(site), before = await scores(site);

    for (let b = 0; b < BOXES; b++) await imap(box(b), "CREATE Junk", "CREATE Trash", "CREATE Ham", "CREATE Back");
    for (const kind of KINDS) {
        await command(site, kind);
        await folders(kind);
        if (kind === "spam") for (let b = 0; b < BOXES; b++) await imap(box(b), "RENAME Junk Spam", "CREATE Junk"); // ham comes out of an empty one
        await becomes(site, { "spam learnt": LEARN, ...(kind === "ham" ? { "ham learnt": LEARN, "spam superseded": HALF } : {}) }, () => dovecot.log());
    }
    const learnt = await scores(site), status = JSON.parse(await site.must("trainer", "status", "--json"));
    assert.deepEqual(status.people.map((p) => [p.name, p.spam, p.ham, p.acts]), [["ours.example", LEARN, LEARN, true]]); // for the domain, as rulesd asks
    assert.match((await site.must("trainer", "status")).toString(), new RegExp(`^Redis: Bayes acts: spam ${LEARN}, ham ${LEARN}$`, "m"));

    // Twice: somebody else says the same.
    assert.equal((await http(site.http, { path: "/learnspam", headers: { "Deliver-To": box(1) }, body: letter("spam", 0, { to: box(0) }) })).status, 200);
    await becomes(site, { "spam learnt": LEARN, "ham learnt": LEARN, "spam superseded": HALF, "spam known": 1 });

    // Undone: what was spam is none.
    await command(site, "spam", "ham");
    assert.equal((await http(site.http, { path: "/learnham", headers: { "Deliver-To": box(1) }, body: letter("spam", 0, { to: box(0) }) })).status, 200);
    for (let b = 0; b < BOXES; b++) await imap(box(b), "DELETE Junk", "RENAME Spam Junk", "SELECT Junk", "MOVE 1:* Back");
    await becomes(site, { "ham learnt": 2 * LEARN, "spam superseded": LEARN + HALF + 1, "ham known": 1 }, () => dovecot.log());
    actsAndVanishes(`Rspamd, ${LEARN} of each`, before, learnt, await scores(site));
    assert.equal(JSON.parse(await site.must("trainer", "status", "--json")).people[0].spam, 0);
    await trainer.stop();
    await dovecot.remove();
    for (const s of [site, filter, redis]) await s.stop();
});

// ---- spamd, by the command and by learn scripts ----

test("spamd learns by TELL what the command and learn scripts report, acts on other mail like it, and forgets again", { skip: cannot("spamd", "spamassassin") }, async () => {
    const folder = tempDir("bayes"), sa = unpacked("spamassassin");
    chmodSync(folder, 0o777);
    const bayes = `use_bayes 1\nbayes_auto_learn 0\nbayes_path ${folder}/bayes\nbayes_file_mode 0666\nbayes_min_spam_num ${LEARN}\nbayes_min_ham_num ${LEARN}\n`;
    const filter = await startSpamd({ args: ["--allow-tell"], local: bayes });
    writeFileSync(join(folder, "sa-learn"), `exec perl -T -I ${sa}/usr/share/perl5 ${sa}/usr/bin/sa-learn --siteconfigpath ${filter.dir}/site --configpath ${sa}/usr/share/spamassassin "$@"\n`);
    const site = await startRulesd({ config: {
        rulesd: { mta_from: "127.0.0.0/8", scanner: `spamd://127.0.0.1:${filter.port}` },
        trainer: {
            backend: `spamd://127.0.0.1:${filter.port}`, bayes_needed: LEARN,
            bayes_command: `sh ${folder}/sa-learn --dump magic`,
        },
    } });
    await populate(site);
    const trainer = await startTrainer(site), before = await scores(site);
    const tell = (what, kind, i, who = box(i)) => spamc(["-d", "127.0.0.1", "-p", String(site.spamd), "-u", who, "-L", what], letter(kind, i, { to: box(i) }));
    const script = async (kind, what = kind) => { for (let i = HALF; i < LEARN; i++) assert.match((await tell(what, kind, i)).stdout, /successfully/); };

    for (const kind of KINDS) {
        await command(site, kind);
        await script(kind);
    }
    await becomes(site, { "spam learnt": LEARN, "ham learnt": LEARN });
    const learnt = await scores(site);
    assert.match((await site.must("trainer", "status")).toString(), new RegExp(`^command: Bayes acts: spam ${LEARN}, ham ${LEARN}$`, "m"));

    assert.match((await tell("spam", "spam", 0, box(1))).stdout, /successfully/); // twice: not by the command now
    await becomes(site, { "spam learnt": LEARN, "ham learnt": LEARN, "spam known": 1 });

    for (const kind of KINDS) {
        await command(site, kind, "forget");
        await script(kind, "forget");
    }
    await tell("forget", "spam", 0, box(1));
    await becomes(site, { "spam superseded": LEARN + 1, "ham superseded": LEARN, "forget learnt": 2 * LEARN, "forget known": 1 });
    actsAndVanishes(`spamd, ${LEARN} of each`, before, learnt, await scores(site));
    assert.match((await site.must("trainer", "status")).toString(), new RegExp(`spam 0, ham 0 - ${LEARN} more spam, ${LEARN} more ham$`, "m"));
    await trainer.stop();
    for (const s of [site, filter]) await s.stop();
    removeDir(folder);
});

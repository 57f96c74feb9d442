// SpamAssassin without rulesd in the path: spamd reads thresholds, allows and blocks from the look-up file that rulesd keeps
// (docs/spamassassin-lookup.md). The real spamd runs as debian-spamd, which may read that file and nothing else of ours.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, renameSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { cannot, groupOf, isRoot, makeSite, run, sleep, spamc, startRulesd, startSpamd, waitFor } from "./lib/index.mjs";

const skip = cannot("spamd", "spamassassin");
let site, spamd, file;

before(async () => {
    if (skip) return;
    const lookup = { programs: "spamassassin" };
    site = await makeSite();
    chmodSync(site.dir, 0o711);
    site.configure({ lookup: { ...lookup, dir: join(site.dir, "lookup") } });
    await site.must("init");
    await site.must("domain", "add", "ours.example");
    await site.must("domain", "alias", "ours.example", "other.example");
    await site.must("domain", "add", "theirs.example");
    await site.must("mailbox", "add", "anna@ours.example");
    await site.must("mailbox", "add", "bob@ours.example");
    await site.must("address", "add", "info@ours.example", "--to", "anna@ours.example");
    site = await startRulesd({ site, init: false });
    file = join(site.dir, "lookup/spamassassin/lookup.db");
    spamd = await startSpamd(await reading());
});
after(async () => { await spamd?.stop(); await site?.stop?.(); site?.remove(); });

// The lines that the command prints, and no DNS. What an SPF check found is in the header here: --nolocal lets that count.
const reading = async () => ({
    local: `${await site.must("lookup", "spamassassin")}\ntrusted_networks 127.0.0.0/8\ndns_available no\nskip_rbl_checks 1\n`,
    args: ["-q", "-u", "debian-spamd", "--nolocal"],
});
const add = (scope, name, ...words) => site.must("rule", "add", "--scope", scope, "--name", name, ...words);
const seen = () => sleep(200); // a commit is in the file by then

// { score, required } as spamd gives them to this user.
async function ask(user, from, { extra = "" } = {}) {
    const message = `Return-Path: <${from}>\n${extra}Received: from mail.x.example (mail.x.example [203.0.113.9])\n\tby mx.ours.example (Postfix)` +
        ` with ESMTP id 4XYZ; Sun, 22 Nov 2026 03:00:00 +0000\nFrom: ${from}\nTo: somebody@ours.example\nSubject: hello\n` +
        `Date: Sun, 22 Nov 2026 03:00:00 +0000\nMessage-ID: <${Math.random()}@x.example>\n\nHello there.\n`;
    const { stdout } = await spamc(["-d", "127.0.0.1", "-p", String(spamd.port), "-u", user, "-R"], message);
    const [, score, required] = /^(-?[\d.]+)\/([\d.]+)/.exec(stdout) ?? [];
    return { score: Number(score), required: Number(required), report: stdout };
}
const blocked = async (...args) => { const { score } = await ask(...args); return score > 50 ? "blocked" : score < -50 ? "allowed" : "neither"; };
const spf = (from) => ({ extra: `Received-SPF: pass (mx.ours.example: domain of ${from}) client-ip=203.0.113.9; envelope-from=${from};\n` });

test("without rules everybody has the threshold of all", { skip }, async () => {
    assert.equal((await ask("anna@ours.example", "x@good.example")).required, 6);
    assert.equal((await ask("eve@elsewhere.example", "x@good.example")).required, 6);
});

test("thresholds: global, then the domain's, then the mailbox's", { skip }, async () => {
    await site.must("thresholds", "set", "global", "add_header=7.5");
    await site.must("thresholds", "set", "domain:ours.example", "add_header=5.5");
    await site.must("domain", "set", "ours.example", "--mailbox-thresholds", "on");
    await site.must("thresholds", "set", "mailbox:anna@ours.example", "add_header=4.5");
    await seen();
    assert.equal((await ask("anna@ours.example", "x@good.example")).required, 4.5);
    assert.equal((await ask("Bob@Ours.Example", "x@good.example")).required, 5.5);
    assert.equal((await ask("x@theirs.example", "x@good.example")).required, 7.5);
});

test("a block holds for whom it is made, one commit later", { skip }, async () => {
    assert.equal(await blocked("anna@ours.example", "x@bad.example"), "neither");
    await add("domain:ours.example", "No bad.example", "--sender", "bad.example", "block");
    await add("mailbox:anna@ours.example", "No shop", "--sender", "news@shop.example", "block");
    await seen();
    assert.equal(await blocked("anna@ours.example", "x@bad.example"), "blocked");
    assert.equal(await blocked("bob@ours.example", "x@sub.bad.example"), "blocked");
    assert.equal(await blocked("bob@ours.example", "x@notbad.example"), "neither");
    assert.equal(await blocked("x@theirs.example", "x@bad.example"), "neither");
    assert.equal(await blocked("anna@ours.example", "news@shop.example"), "blocked");
    assert.equal(await blocked("bob@ours.example", "news@shop.example"), "neither");
});

test("tags, aliases and other names of the domain read what the mailbox reads", { skip }, async () => {
    for (const user of ["anna+list@ours.example", "info@ours.example", "anna@other.example", "info@other.example", "anna+x@other.example"])
        assert.equal(await blocked(user, "news@shop.example"), "blocked", user);
    assert.equal(await blocked("bob+list@ours.example", "news@shop.example"), "neither");
});

test("a catch-all's rules hold for whoever has no address of their own, and for nobody else", { skip }, async () => {
    await site.must("domain", "add", "all.example");
    for (const who of ["carol@all.example", "dan@all.example"]) await site.must("mailbox", "add", who);
    await site.must("address", "add", "team@all.example", "--to", "carol@all.example", "--to", "dan@all.example");
    await site.must("address", "add", "@all.example", "--to", "carol@all.example");
    await add("mailbox:carol@all.example", "No shop", "--sender", "news@shop.example", "block");
    await seen();
    for (const user of ["carol@all.example", "whoever@all.example", "Who+ever@All.Example"])
        assert.equal(await blocked(user, "news@shop.example"), "blocked", user);
    for (const user of ["dan@all.example", "dan+list@all.example", "team@all.example", "whoever@theirs.example"])
        assert.equal(await blocked(user, "news@shop.example"), "neither", user);
    await site.must("mailbox", "add", "whoever@all.example");
    await seen();
    assert.equal(await blocked("whoever@all.example", "news@shop.example"), "neither");
});

test("what it reads is found by its index, however many rows there are", { skip }, async () => {
    const [, query] = /^user_scores_sql_custom_query (.*)$/m.exec(await site.must("lookup", "spamassassin"));
    const { stdout } = await run("sqlite3", ["-readonly", file, `EXPLAIN QUERY PLAN ${query.replace(/_(USERNAME|MAILBOX|DOMAIN)_/g, "'x'")}`]);

    assert.match(stdout, /SEARCH spamassassin_row USING INDEX/);
    assert.doesNotMatch(stdout, /SCAN (spamassassin_row|spamassassin_alias|a|r)\b/);
});

test("an allow asks for proof: a forged From gets nothing", { skip }, async () => {
    await add("mailbox:bob@ours.example", "Partner", "--sender", "pal@partner.example", "allow");
    await seen();
    assert.equal(await blocked("bob@ours.example", "pal@partner.example"), "neither");
    assert.equal(await blocked("bob@ours.example", "pal@partner.example", spf("pal@partner.example")), "allowed");
    assert.equal(await blocked("anna@ours.example", "pal@partner.example", spf("pal@partner.example")), "neither");
});

test("a mailbox's allow takes back its domain's block; a locked block stays", { skip }, async () => {
    await add("domain:ours.example", "No friend", "--sender", "friend@social.example", "block");
    await add("mailbox:bob@ours.example", "But mine", "--sender", "friend@social.example", "allow");
    await add("domain:ours.example", "Never", "--policy", "Enforced", "--sender", "x@never.example", "block");
    await add("mailbox:bob@ours.example", "Please", "--sender", "x@never.example", "allow");
    await seen();
    assert.equal(await blocked("anna@ours.example", "friend@social.example"), "blocked");
    assert.equal(await blocked("bob@ours.example", "friend@social.example", spf("friend@social.example")), "allowed");
    assert.equal(await blocked("bob@ours.example", "x@never.example", spf("x@never.example")), "blocked");
});

test("postmaster obeys locked global rules alone", { skip }, async () => {
    await site.must("policy", "add", "global", "Everywhere", "--locked", "on");
    await add("global", "Nowhere", "--policy", "Everywhere", "--sender", "x@worst.example", "block");
    await seen();
    assert.equal(await blocked("postmaster@ours.example", "x@bad.example"), "neither");
    assert.equal(await blocked("Abuse@ours.example", "x@worst.example"), "blocked");
    assert.equal(await blocked("x@theirs.example", "x@worst.example"), "blocked");
});

test("rules that it cannot be told are listed with the reason", { skip }, async () => {
    await add("domain:ours.example", "No lottery", "--subject", "lottery", "block");
    const out = await site.must("lookup", "spamassassin", "--unsupported");
    assert.match(out, /domain:ours\.example\n {2}[0-9a-f]{8} {2}not +No lottery +it looks at the subject\n/);
    assert.match(out, /1 rules are not told, 0 in part/);
});

test("nothing that a rule holds becomes a line of its own", { skip }, async () => {
    const entry = '"x y\\nscore USER_IN_BLOCKLIST -100"@evil.example';
    const line = JSON.stringify({ scope: "domain:ours.example", name: "Odd", action: "block",
        conditions: [{ kind: "sender", any: [JSON.parse(`"${entry.replaceAll('"', '\\"')}"`), "fine@evil.example"] }] });
    const { code } = await site.postern(["rule", "import", "-"], { input: `${line}\n` });
    await seen();
    if (code === 0) assert.equal(await blocked("anna@ours.example", "fine@evil.example"), "blocked");
    assert.equal(await blocked("anna@ours.example", "x@bad.example"), "blocked");
});

test("a user's name is text to the query, quotes and all", { skip }, async () => {
    assert.equal((await ask("o'brien\"; DROP TABLE x--@ours.example", "x@bad.example")).score > 50, true);
    assert.equal((await ask("%ours.example", "x@good.example")).required > 0, true);
});

test("the file is for SpamAssassin's group, and the database is not", { skip }, async () => {
    const gid = groupOf("debian-spamd"), dir = statSync(join(site.dir, "lookup/spamassassin"));
    const as = (user, path) => run("sqlite3", ["-readonly", path, "SELECT COUNT(*) FROM sqlite_master"], { user });

    assert.deepEqual([dir.mode & 0o7777, dir.gid], [0o2750, gid]);
    for (const name of [file, `${file}-wal`, `${file}-shm`]) {
        const st = statSync(name);
        assert.deepEqual([st.mode & 0o7777, st.gid], [0o640, gid], name);
    }
    assert.equal((await as("debian-spamd", file)).code, 0);
    assert.notEqual((await as("nobody", file)).code, 0);
    assert.notEqual((await as("debian-spamd", join(site.dir, "postern.db"))).code, 0);
});

// ---- docs/spamassassin-lookup.md, the table of what happens when something is down ----

test("rulesd is down: spamd goes on with what it was last told", { skip }, async () => {
    await site.stop();
    assert.equal(await blocked("anna@ours.example", "x@bad.example"), "blocked");
    assert.equal((await ask("anna@ours.example", "x@good.example")).required, 4.5);
    await add("domain:ours.example", "Meanwhile", "--sender", "mean@while.example", "block");
    assert.equal(await blocked("anna@ours.example", "mean@while.example"), "neither");
    await site.restart();
    assert.equal(await blocked("anna@ours.example", "mean@while.example"), "blocked"); // before it listens
});

test("rulesd is killed: the same", { skip }, async () => {
    await site.kill();
    assert.equal(await blocked("anna@ours.example", "x@bad.example"), "blocked");
    await site.restart();
    assert.equal(await blocked("anna@ours.example", "x@bad.example"), "blocked");
});

// What spamc does by itself, and with -x, which tells the delivery agent to keep the mail.
const plain = (...args) => spamc(["-d", "127.0.0.1", "-p", String(spamd.port), "-u", "anna@ours.example", ...args], "Subject: x\n\nx\n");
async function scansNothing() {
    assert.equal((await plain("-R")).stdout.split("\n")[0], "0/0");
    assert.equal((await plain("-x")).code, 74);
}

test("the look-up file is gone: spamd scans nothing until rulesd makes it again; with spamc -x the mail waits", { skip }, async () => {
    await site.stop();
    for (const end of ["", "-wal", "-shm"]) if (existsSync(file + end)) unlinkSync(file + end);
    await scansNothing();
    await site.restart();
    assert.equal(await blocked("anna@ours.example", "x@bad.example"), "blocked");
});

test("the look-up file is damaged: the same", { skip }, async () => {
    await site.stop();
    for (const end of ["-wal", "-shm"]) if (existsSync(file + end)) unlinkSync(file + end);
    writeFileSync(file, "garbage ".repeat(5000));
    await scansNothing();
    await site.restart();
    assert.equal(await blocked("anna@ours.example", "x@bad.example"), "blocked");
});

test("a recipient that holds one of SpamAssassin's own placeholders is scanned by nobody's preferences", { skip }, async () => {
    assert.notEqual((await spamc(["-d", "127.0.0.1", "-p", String(spamd.port), "-x", "-u", "anna+_DOMAIN_@ours.example"], "Subject: x\n\nx\n")).code, 0);
});

test("the database is away: spamd goes on, and hears what changed when it is back", { skip }, async () => {
    const db = join(site.dir, "postern.db");
    renameSync(db, `${db}.away`);
    try {
        await sleep(500);
        assert.equal(await blocked("anna@ours.example", "x@bad.example"), "blocked");
    } finally {
        renameSync(`${db}.away`, db);
    }
    await add("domain:ours.example", "Later", "--sender", "later@x.example", "block");
    await waitFor("the change to be told", async () => await blocked("anna@ours.example", "later@x.example") === "blocked", { seconds: 20 });
});

test("the disk is full: spamd goes on, and hears what changed when there is room", { skip: skip ?? (isRoot ? undefined : "needs root") }, async (t) => {
    await site.stop();
    const dir = join(site.dir, "small");
    execFileSync("install", ["-d", dir]);
    try { execFileSync("mount", ["-t", "tmpfs", "-o", "size=600k,mode=0711", "none", dir], { stdio: "pipe" }); } catch { return t.skip("cannot mount a tmpfs here"); }
    try {
        site.configure({ lookup: { dir } });
        await site.restart();
        await spamd.stop();
        spamd = await startSpamd(await reading());
        assert.equal(await blocked("anna@ours.example", "x@bad.example"), "blocked");
        execFileSync("sh", ["-c", `cat /dev/zero > ${dir}/ballast || true`], { stdio: "pipe" });
        await add("domain:ours.example", "Full", "--sender", "full@x.example", "block");
        const lines = Array.from({ length: 400 }, (_, i) => `${JSON.stringify({ scope: "domain:theirs.example", name: `r${i}`, action: "block",
            conditions: [{ kind: "sender", any: [`someone-with-a-long-name-${i}@somewhere-with-a-long-name.example`] }] })}\n`).join("");
        const { code, stderr } = await site.postern(["rule", "import", "-"], { input: lines });
        assert.equal(code, 0, stderr);
        await waitFor("rulesd to say so", () => /look-up files stay as they were/.test(site.log()));
        assert.equal(await blocked("anna@ours.example", "x@bad.example"), "blocked");
        unlinkSync(join(dir, "ballast"));
        await waitFor("the change to be told", async () => await blocked("anna@ours.example", "full@x.example") === "blocked", { seconds: 20 });
    } finally {
        await site.stop();
        execFileSync("umount", ["-l", dir]);
        await site.restart();
    }
});

test("SpamAssassin is down: spamc passes the mail on unscanned, as it does without Postern", { skip }, async () => {
    await spamd.stop();
    const { stdout } = await spamc(["-d", "127.0.0.1", "-p", String(spamd.port), "--connect-retries=1", "-u", "anna@ours.example", "-c"], "Subject: x\n\nx\n");
    assert.equal(stdout, "0/0\n");
    spamd = undefined;
});

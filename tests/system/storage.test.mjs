// Where the rules are kept: two databases that say the same, several rulesd on one, and a database in trouble.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { copyFileSync, mkdirSync, openSync, renameSync, rmSync, statfsSync, writeFileSync, writeSync, closeSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { askHttp, askSpamd, canConnect, http, isRoot, makeSite, must, program, removeDir, run, signIn, sleep, start, startPortal, startPostgres, startRelay, startRulesd, tempDir,
    waitFor } from "./lib/index.mjs";
import { furnish, mail, numbers } from "./lib/household.mjs";

const trusting = { mta_from: "127.0.0.0/8" };
const spam = mail({ from: "x@bad.example" }), ham = mail();
const metrics = async (site, pattern = /./) => numbers((await http(site.http, { method: "GET", path: "/metrics" })).text, pattern);
const count = (text, pattern) => [...text.matchAll(pattern)].length;
const addBlock = async (site, scope, ...conditions) => /Rule ([0-9a-f]{8}) added/.exec(await site.must("rule", "add", "--scope", scope, "block", ...conditions))[1];
const sqlite = (file, sql) => must("sqlite3", ["-cmd", ".timeout 10000", file], { input: sql });

// ---- Two databases ----

// [what it shows, message, recipient, verdict] on furnish()'s household and the rules below.
const more = [
    { scope: "mailbox:joe@ours.example", action: "allow", require_proof: false, conditions: [{ kind: "sender", any: ["friend@bad.example"] }] },
    { scope: "domain:ours.example", action: "block", conditions: [{ kind: "body", match: "regex", any: ["win \\d+ (euro|dollar)s?"] }] },
    { scope: "domain:ours.example", policy: "Enforced", action: "block", conditions: [{ kind: "header", name: "X-Bulk", match: "exact", any: ["yes"] }] },
    { scope: "domain:ours.example", action: "block", conditions: [{ kind: "attachment", any: [{ extension: "exe" }] }] },
    { scope: "domain:ours.example", action: "block", conditions: [{ kind: "subject", match: "contains", any: ["Größe"] }] },
    { scope: "domain:theirs.example", action: "block", conditions: [{ kind: "size", min: 5000 }] },
    { scope: "domain:theirs.example", action: "block", enabled: false, conditions: [{ kind: "subject", any: ["hello"] }] },
    { scope: "domain:theirs.example", action: "block", test_only: true, conditions: [{ kind: "subject", any: ["hello"] }] },
    { scope: "domain:theirs.example", action: "block", expires_at: "2001-01-01T00:00:00Z", conditions: [{ kind: "subject", any: ["hello"] }] },
    { scope: "domain:theirs.example", action: "block", conditions: [{ kind: "sender", any: ["good.example"], not: true }, { kind: "subject", any: ["offer"] }] },
];
const exe = "MIME-Version: 1.0\nContent-Type: application/octet-stream; name=\"run.exe\"\nContent-Disposition: attachment; filename=\"run.exe\"";
const verdicts = [
    ["the domain's block", spam, "ann@ours.example", "block"],
    ["for tags too", spam, "ann+shop@ours.example", "block"],
    ["and for who has no mailbox", spam, "anybody@ours.example", "block"],
    ["an allow of the mailbox wins over its domain", mail({ from: "friend@bad.example" }), "joe@ours.example", "allow"],
    ["but only for that mailbox", mail({ from: "friend@bad.example" }), "ann@ours.example", "block"],
    ["what is locked wins over the mailbox", mail({ from: "friend@bad.example", extra: "X-Bulk: yes\n" }), "joe@ours.example", "block"],
    ["a regex on the body", mail({ body: "You win 500 euros!\n" }), "ann@ours.example", "block"],
    ["that does not match", mail({ body: "You win some euros!\n" }), "ann@ours.example", "none"],
    ["an attachment", mail({ extra: `${exe}\n`, body: "x\n" }), "ann@ours.example", "block"],
    ["a word with an umlaut, encoded", mail({ subject: "=?utf-8?Q?die_gr=C3=B6=C3=9Fe?=" }), "ann@ours.example", "block"],
    ["a size", mail({ body: "x".repeat(70).concat("\n").repeat(80) }), "who@theirs.example", "block"],
    ["what is off, tested, or over decides nothing", ham, "who@theirs.example", "none"],
    ["a negation", mail({ from: "x@else.example", subject: "offer" }), "who@theirs.example", "block"],
    ["that is not true", mail({ subject: "offer" }), "who@theirs.example", "none"],
    ["nobody's rules for strangers", spam, "who@foreign.example", "none"],
];

for (const kind of ["SQLite", "PostgreSQL"]) {
    describe(`the same verdicts on ${kind}`, () => {
        let pg, site;
        before(async () => {
            if (kind === "PostgreSQL") pg = await startPostgres();
            site = await startRulesd({ config: { rulesd: trusting, ...(pg && { store: { url: pg.url } }) } });
            await furnish(site);
            await site.must("rule", "import", "-", { input: more.map((r) => JSON.stringify(r)).join("\n") });
        });
        after(async () => { await site?.stop(); await pg?.stop(); });

        for (const [name, message, rcpt, want] of verdicts) {
            test(name, async () => {
                await waitFor(`${want} over HTTP`, async () => (await askHttp(site, rcpt, message)).rule === want, { seconds: 5 });
                assert.deepEqual(await askHttp(site, rcpt, message), { status: 200, action: want === "block" ? "reject" : "no action", rule: want });
                assert.deepEqual(await askSpamd(site, rcpt, message), { line: "SPAMD/1.1 0 EX_OK", spam: want === "block", rule: want });
            });
        }
    });
}

// ---- Several rulesd on one PostgreSQL ----

describe("two rulesd on one PostgreSQL", () => {
    let pg, one, two;
    before(async () => {
        pg = await startPostgres();
        one = await startRulesd({ config: { rulesd: trusting, store: { url: pg.url } } });
        two = await startRulesd({ config: { rulesd: trusting, store: { url: pg.url } }, init: false });
        await furnish(one);
    });
    after(async () => { await one?.stop(); await two?.stop(); await pg?.stop(); });

    test("both see what is added, switched off and deleted, without a restart", async (t) => {
        const message = mail({ subject: "for both" });
        const verdict = async (site) => (await askHttp(site, "ann@ours.example", message)).rule;
        const both = async (want) => {
            const started = performance.now();
            for (const site of [one, two]) await waitFor(`${want} everywhere`, async () => await verdict(site) === want, { everyMs: 2 });
            t.diagnostic(`${want} at both ${(performance.now() - started).toFixed(0)} ms after the command`);
        };
        await both("none");
        const id = await addBlock(two, "domain:ours.example", "--subject", "for both");
        await both("block");
        await one.must("rule", "disable", id);
        await both("none");
        await two.must("rule", "enable", id);
        await both("block");
        await one.must("rule", "delete", id);
        await both("none");
    });

    test("both see a mailbox that came and a threshold that was set", async () => {
        await one.must("mailbox", "add", "new@ours.example");
        await addBlock(one, "mailbox:new@ours.example", "--subject", "hello");
        for (const site of [one, two]) {
            await waitFor("the mailbox's rule", async () => (await askHttp(site, "new@ours.example", ham)).rule === "block");
            assert.equal((await askHttp(site, "ann@ours.example", ham)).rule, "none");
        }
    });

    test("their hits add up", async () => {
        const id = await addBlock(one, "domain:ours.example", "--subject", "count me");
        const message = mail({ subject: "count me" });
        for (const [site, n] of [[one, 5], [two, 7]]) {
            await waitFor("the rule", async () => (await askHttp(site, "ann@ours.example", mail({ subject: "count me", extra: "" }))).rule === "block");
            for (let i = 1; i < n; i++) await askHttp(site, "ann@ours.example", message);
        }
        await waitFor("12 hits", async () => /hits +12,/.test(await one.must("rule", "show", id)), { everyMs: 200 });
        await sleep(1500); // nothing is written twice
        assert.match(await two.must("rule", "show", id), /hits +12,/);
    });

    test("two people who edit one list of senders at the same moment keep what the other added", async () => {
        await startPortal(one);
        try {
            await one.must("account", "add", "ann@ours.example");
            const [here, there] = [await signIn(one, "ann@ours.example"), await signIn(one, "ann@ours.example")], path = "/scopes/mailbox:ann@ours.example/lists";
            const change = async (who, add, remove = []) => { const r = await who.post(path, { action: "block", add, remove }); assert.equal(r.status, 200, r.text); };
            await change(here, ["first@pest.example"]);
            // Both have begun, and wait, before one of them may go on.
            const held = pg.psql(`DO $$ BEGIN
                UPDATE postern.change_head SET seq = seq;
                FOR i IN 1..1000 LOOP
                    PERFORM pg_sleep(0.01), pg_stat_clear_snapshot();
                    EXIT WHEN (SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock') >= 2;
                END LOOP;
            END $$`);
            await waitFor("the feed to be held", async () => (await pg.psql("SELECT 1 FROM pg_locks l JOIN pg_class c ON c.oid = l.relation WHERE c.relname = 'change_head' AND mode = 'RowExclusiveLock'")).trim() !== "");
            await Promise.all([change(here, ["here@pest.example"]), change(there, ["there@pest.example"], ["first@pest.example"]), held]);
            assert.deepEqual((await here.get(`${path}?action=block`)).body.items.map((i) => i.entry), ["here@pest.example", "there@pest.example"]);
        } finally { await one.stopPortal(); }
    });
});

// ---- PostgreSQL away ----

// What a trusted caller is told about somebody whom no rulesd knew when the database went.
async function mustBeAskedAgain(site, rcpt) {
    const { status, text } = await http(site.http, { headers: { Rcpt: rcpt }, body: spam });
    assert.equal(status, 503);
    assert.deepEqual(Object.keys(JSON.parse(text)), ["error"], "no action: the caller tries again");
    const { line } = await askSpamd(site, rcpt, spam);
    assert.match(line, /^SPAMD\/1\.0 (69|75) /);
}

describe("PostgreSQL goes away", () => {
    let pg, relay, site, here;
    before(async () => {
        pg = await startPostgres();
        relay = await startRelay(pg.port);
        // Without the log: rows that wait for two seconds would have everybody asked to come again, and this is about the rules.
        site = await startRulesd({ config: { rulesd: { ...trusting, message_log: "off" }, store: { url: pg.url.replace(`:${pg.port}/`, `:${relay.port}/`) } } });
        here = await makeSite({ store: { url: pg.url } }); // another host, whose way to the database is whole
        await furnish(here);
        await waitFor("the rules", async () => (await askHttp(site, "ann@ours.example", spam)).rule === "block");
    });
    after(async () => { await site?.stop(); here?.remove(); await relay?.stop(); await pg?.stop(); });
    const stale = async () => await metrics(site, /^database_/);

    async function whileAway(nobody) {
        await waitFor("the metrics to tell", async () => (await stale()).database_up === 0);
        assert.ok((await stale()).database_stale_seconds >= 0);
        for (let i = 0; i < 3; i++) {
            assert.equal((await askHttp(site, "ann@ours.example", spam)).action, "reject", "known recipients have the last rules");
            assert.equal((await askSpamd(site, "ann@ours.example", ham)).rule, "none");
        }
        await mustBeAskedAgain(site, nobody);
        assert.equal((await http(site.http, { method: "GET", path: "/healthz" })).status, 200, "it is in good health itself");
    }
    async function whenBack(rcpt) {
        await waitFor("the database to be back", async () => (await stale()).database_up === 1, { seconds: 30 });
        assert.equal((await stale()).database_stale_seconds, 0);
        await waitFor("a verdict for who was unknown", async () => (await askHttp(site, rcpt, spam)).rule === "block", { seconds: 30 });
        assert.equal((await askSpamd(site, rcpt, spam)).rule, "block");
    }

    test("killed with -9 the last rules decide, the log says so once, and it recovers by itself", async () => {
        const logged = site.log().length;
        await pg.kill();
        await whileAway("nobody.yet@ours.example");
        await sleep(3000);
        assert.equal(count(site.log().slice(logged), /database away, the last rules decide/g), 1, site.log().slice(logged));
        await waitFor("PostgreSQL to start again", async () => pg.restart().then(() => true, () => false), { seconds: 60 });
        await whenBack("nobody.yet@ours.example");
        assert.equal(count(site.log().slice(logged), /database back/g), 1);
    });

    test("cut off from it, a node learns afterwards what others changed meanwhile", async () => {
        const message = mail({ subject: "meanwhile" });
        relay.cut();
        await whileAway("another@ours.example");
        const id = await addBlock(here, "domain:ours.example", "--subject", "meanwhile");
        await here.must("mailbox", "add", "another@ours.example");
        await addBlock(here, "mailbox:another@ours.example", "--subject", "private");
        assert.equal((await askHttp(site, "ann@ours.example", message)).rule, "none");
        for (let i = 0; i < 4; i++) await askHttp(site, "ann@ours.example", spam); // hits that wait
        relay.mend();
        await whenBack("another@ours.example");
        await waitFor("the new rule", async () => (await askHttp(site, "ann@ours.example", message)).rule === "block");
        assert.equal((await askHttp(site, "another@ours.example", mail({ subject: "private" }))).rule, "block");
        await waitFor("the hit of the new rule", async () => /hits +1,/.test(await here.must("rule", "show", id)), { everyMs: 200 });
    });

    test("a database that no longer answers, but keeps its connections, holds nobody up for long", async () => {
        // Who is known: what others changed is followed, and was read again.
        await waitFor("ann's rules", async () => (await askHttp(site, "ann@ours.example", spam)).rule === "block");
        relay.freeze();
        const started = performance.now();
        const [unknown, known] = await Promise.all([
            http(site.http, { headers: { Rcpt: "silence@ours.example" }, body: spam, timeoutMs: 30_000 }),
            (async () => { for (let i = 0; i < 20; i++) assert.equal((await askHttp(site, "ann@ours.example", spam)).rule, "block"); return performance.now() - started; })(),
        ]);
        assert.equal(unknown.status, 503);
        assert.ok(known < 5000, `20 verdicts for known recipients took ${known} ms`);
        relay.mend();
        await whenBack("silence@ours.example");
    });

    test("a rulesd that is started without it says why it cannot", async () => {
        const other = await makeSite({ store: { url: "postgresql://postern@127.0.0.1:1/postern" } });
        const { code, stderr } = await run(program("postern-rulesd"), ["-c", other.conf]);
        assert.equal(code, 69, stderr);
        assert.match(stderr, /cannot connect to PostgreSQL.*127\.0\.0\.1/);
        other.remove();
    });
});

// ---- SQLite in trouble ----

describe("SQLite in trouble", () => {
    let site, file;
    before(async () => {
        site = await startRulesd({ config: { rulesd: trusting } });
        file = join(site.dir, "postern.db");
        await furnish(site);
        await waitFor("the rules", async () => (await askHttp(site, "ann@ours.example", spam)).rule === "block");
    });
    after(() => site?.stop());

    test("while somebody else holds its lock verdicts go on, changes are refused with a reason, and then all is as before", async () => {
        const holder = spawn("sqlite3", [file], { stdio: ["pipe", "pipe", "inherit"] });
        holder.stdin.write(".timeout 10000\nBEGIN EXCLUSIVE;\nSELECT 'held';\n");
        await new Promise((done) => holder.stdout.once("data", done));
        assert.equal((await askHttp(site, "ann@ours.example", spam)).rule, "block");
        assert.equal((await askSpamd(site, "never.seen@ours.example", spam)).rule, "block", "reading goes on");
        const { code, stderr } = await site.postern(["rule", "add", "--scope", "domain:ours.example", "block", "--subject", "too late"]);
        assert.equal(code, 75, stderr);
        assert.match(stderr, /locked.*somebody else holds its lock/);
        holder.stdin.end("ROLLBACK;\n");
        await new Promise((done) => holder.once("close", done));
        await addBlock(site, "domain:ours.example", "--subject", "in time");
        await waitFor("the change", async () => (await askHttp(site, "ann@ours.example", mail({ subject: "in time" }))).rule === "block");
        assert.equal((await askHttp(site, "ann@ours.example", mail({ subject: "too late" }))).rule, "none");
    });

    test("taken away under a running rulesd the last rules decide, and metrics and log tell", async () => {
        const away = `${file}.away`;
        renameSync(file, away);
        await waitFor("the metrics to tell", async () => (await metrics(site, /^database_up$/)).database_up === 0);
        assert.match(site.log(), /database away, the last rules decide.*postern\.db was moved or deleted while in use: restart/);
        assert.equal((await askHttp(site, "ann@ours.example", spam)).rule, "block");
        await mustBeAskedAgain(site, "unheard.of@ours.example");
        renameSync(away, file);
        await waitFor("the database to be back", async () => (await metrics(site, /^database_up$/)).database_up === 1);
        await waitFor("a verdict", async () => (await askHttp(site, "unheard.of@ours.example", spam)).rule === "block");
    });
});

test("a database that is missing, damaged or no database is refused with the cure, by both programs", async () => {
    const site = await makeSite();
    const file = join(site.dir, "postern.db");
    const both = async (pattern, code) => {
        for (const [name, args] of [["postern-rulesd", []], ["postern", ["domain", "list"]]]) {
            const said = await run(program(name), ["-c", site.conf, ...args]);
            assert.match(said.stderr, pattern, name);
            assert.equal(said.code, code, `${name}: ${said.stderr}`);
        }
    };
    await both(/postern init/, 66);
    writeFileSync(file, "This is a text, and no database at all. ".repeat(100));
    await both(/postern\.db: file is not a database: restore it from a backup/, 65);
    rmSync(file);
    await site.must("init");
    await furnish(site);
    await sqlite(file, "PRAGMA wal_checkpoint(TRUNCATE);");
    const fd = openSync(file, "r+");
    writeSync(fd, Buffer.alloc(8192, 0x5a), 0, 8192, 4096); // pages of the schema
    closeSync(fd);
    await both(/postern\.db.*(malformed|not a database).*restore it from a backup/, 65);
    site.remove();
});

// ---- Releases ----

for (const kind of ["SQLite", "PostgreSQL"]) {
    test(`a database of a newer release is refused with the cure, and one that shares its schema is not (${kind})`, async () => {
        const pg = kind === "PostgreSQL" ? await startPostgres() : null;
        const site = await makeSite(pg ? { store: { url: pg.url } } : {});
        await site.must("init");
        await site.must("domain", "add", "ours.example");
        const sql = (text) => (pg ? pg.psql(`SET search_path = postern; ${text}`) : sqlite(join(site.dir, "postern.db"), text));
        const row = (number, contract) => sql(`INSERT INTO schema_version (number, name, applied_us, contract) VALUES (${number}, 'later', 1, ${contract});`);

        await row(98, 1);
        assert.match(await site.must("migrate", "--check"), /main +database at 98/);
        assert.match(await site.must("domain", "list"), /ours\.example/);
        await startRulesd({ site, init: false }).then((s) => s.stop());
        await row(99, 99);
        for (const [name, args] of [["postern-rulesd", []], ["postern", ["domain", "list"]], ["postern", ["init"]], ["postern", ["migrate"]], ["postern", ["migrate", "--check"]]]) {
            const { code, stderr } = await run(program(name), ["-c", site.conf, ...args]);
            assert.match(stderr, /the main database was made by a newer release .*: install that release, or restore the backup/, `${name} ${args}`);
            assert.equal(code, 78, `${name} ${args}`);
        }
        await sql("DELETE FROM schema_version WHERE number >= 98;");
        assert.match(await site.must("domain", "list"), /ours\.example/);
        await sql("DELETE FROM schema_version WHERE number >= 2;");
        const { code, stderr } = await site.postern(["migrate", "--check"]);
        assert.match(stderr, /run `postern migrate`/);
        assert.equal(code, 78);
        site.remove();
        await pg?.stop();
    });
}

// ---- A full disk ----

// A file system of so many bytes, or undefined where none can be had.
async function smallDisk(bytes) {
    const dir = tempDir("small");
    const { code } = await run("mount", ["-t", "tmpfs", "-o", `size=${bytes},mode=755`, "postern-test", dir]).catch(() => ({ code: 1 }));

    if (code !== 0) { removeDir(dir); return undefined; }
    return { dir, release: async () => { await run("umount", ["-l", dir]); removeDir(dir); } };
}

test("a full disk fails a change with a clear error and stores nothing of it; verdicts go on; with room all works again", { skip: !isRoot && "mounting needs root" }, async (t) => {
    const disk = await smallDisk(4 << 20);
    if (!disk) return t.skip("no tmpfs can be mounted here");
    const site = await startRulesd({ config: { rulesd: trusting, store: { url: `sqlite:${join(disk.dir, "postern.db")}` } } });
    try {
        await furnish(site);
        await waitFor("the rules", async () => (await askHttp(site, "ann@ours.example", spam)).rule === "block");
        const filler = join(disk.dir, "filler"), { bfree, bsize } = statfsSync(disk.dir);
        try { writeFileSync(filler, Buffer.alloc(Math.max(0, (bfree - 1) * bsize))); } catch (e) { assert.equal(e.code, "ENOSPC"); } // rulesd wrote meanwhile
        let small;
        for (let i = 0; i < 20 && (small === undefined || small.code === 0); i++) // what still fits in the last block
            small = await site.postern(["rule", "add", "--scope", "domain:theirs.example", "block", "--subject", `full ${i}`]);
        assert.match(small.stderr, /postern\.db.*full.*no space is left for it/);
        assert.equal(small.code, 73);
        assert.equal((await askHttp(site, "ann@ours.example", spam)).rule, "block");
        assert.equal((await askSpamd(site, "someone.new@ours.example", spam)).rule, "block");
        const theirs = count(await site.must("rule", "export", "--scope", "domain:theirs.example"), /\n/g);

        rmSync(filler);
        await addBlock(site, "domain:theirs.example", "--subject", "room again");
        assert.equal(count(await site.must("rule", "export", "--scope", "domain:theirs.example"), /\n/g), theirs + 1);
        await waitFor("the change", async () => (await askHttp(site, "a@theirs.example", mail({ subject: "room again" }))).rule === "block");
        await waitFor("the hits that waited", async () => (await metrics(site, /^hits_waiting$/)).hits_waiting === 0);

        const before = await site.must("rule", "export", "--scope", "domain:ours.example");
        const rules = Array.from({ length: 40_000 }, (_, i) => JSON.stringify({ scope: "domain:ours.example", action: "block", conditions: [{ kind: "sender", any: [`s${i}@spam.example`] }] }));
        const big = await site.postern(["rule", "import", "-"], { input: rules.join("\n") });
        assert.match(big.stderr, /postern\.db.*full.*no space is left for it/);
        assert.equal(big.code, 73);
        assert.equal(await site.must("rule", "export", "--scope", "domain:ours.example"), before, "nothing is half stored");
        assert.equal((await askHttp(site, "ann@ours.example", spam)).rule, "block");
        await addBlock(site, "domain:ours.example", "--subject", "and after it");
        await waitFor("the change", async () => (await askHttp(site, "ann@ours.example", mail({ subject: "and after it" }))).rule === "block");
        assert.match(await site.must("audit", "verify"), /are as they were written/);
    } finally {
        await site.stop();
        await disk.release();
    }
});

// ---- postern run ----

test("postern run starts what is there on PostgreSQL, starts again what dies, and stops it all", async () => {
    const pg = await startPostgres();
    const site = await makeSite({ rulesd: trusting, store: { url: pg.url } });
    await site.must("init");
    await furnish(site);
    const run = await start("run", program("postern"), ["-c", site.conf, "run"], { dir: site.dir, ready: () => canConnect(site.http) });
    const rulesdPid = async () => Number((await must("pgrep", ["-P", String(run.pid), "-x", "postern-rulesd"])).trim());

    assert.equal((await askHttp(site, "ann@ours.example", spam)).rule, "block");
    assert.equal((await askSpamd(site, "joe@ours.example", mail({ subject: "lottery" }))).rule, "block");
    const rulesd = await rulesdPid();
    process.kill(rulesd, "SIGKILL");
    await waitFor("it to be back", async () => (await askHttp(site, "ann@ours.example", spam).catch(() => ({}))).rule === "block", { seconds: 30 });
    assert.match(run.log(), /postern-rulesd ended \(signal 9\); starting it again/);
    const again = await rulesdPid();
    assert.notEqual(again, rulesd);
    assert.equal(await run.stop(), 0);
    assert.equal(await canConnect(site.http), false);
    assert.throws(() => process.kill(again, 0), "no child is left");
    site.remove();
    await pg.stop();
});

// What we let a mail server let go of is on disk before we say so, and is still there after a kill, a power cut, a full disk.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";

import { http, isRoot, makeSite, must, run, sleep, startRulesd, waitFor } from "./lib/index.mjs";
import { checkOrder, Disk, linesOf, recorded } from "./lib/disk.mjs";

const kills = Number(process.env.CUSTODY_KILLS ?? 15); // CUSTODY_KILLS=300 make system T=custody: the long run

const message = (id) => `From: Ben <ben@friends.example>\r\nTo: all@ours.example\r\nSubject: message ${id}\r\nMessage-ID: <${id}@friends.example>\r\n\r\n${"Some words of it. ".repeat(id % 7 === 0 ? 20000 : 20)}\r\n`;

// Whoever writes to carl has it held; ben refuses; anna takes everything. Not started yet.
async function furnish(config = {}) {
    const site = await makeSite({ ...config, rulesd: { mta_from: "127.0.0.0/8", ...config.rulesd } });

    await site.must("init");
    mkdirSync(spool(site), { recursive: true, mode: 0o700 });
    await site.must("domain", "add", "ours.example");
    await site.must("domain", "add", "theirs.example", "--at-block", "quarantine");
    for (const who of ["anna@ours.example", "ben@ours.example", "carl@theirs.example"]) await site.must("mailbox", "add", who);
    await site.must("rule", "add", "--scope", "mailbox:anna@ours.example", "allow", "--sender", "ben@friends.example", "--no-proof");
    await site.must("rule", "add", "--scope", "mailbox:ben@ours.example", "block", "--sender", "ben@friends.example");
    await site.must("rule", "add", "--scope", "mailbox:carl@theirs.example", "block", "--sender", "ben@friends.example");
    return site;
}

// With a record of what it does to its spool: { disk as it was, log }.
let records = 0;
async function startRecorded(site) {
    const log = join(site.dir, `disk-${++records}.log`), disk = Disk.of(spool(site));

    await startRulesd({ site, init: false, env: recorded(spool(site), log) });
    return { disk, log };
}

// One try of a sending mail server with message `id`: "delivered", "refused", "held" (it lets go, nobody gets it), "split" (it
// delivers to some, the others are ours), "again" (it keeps it and comes again).
let tries = 0;
async function ask(site, id, rcpts) {
    let reply;

    try {
        const { status, text } = await http(site.http, { headers: { From: "<ben@friends.example>", Rcpt: rcpts.map((r) => `<${r}>`), IP: "192.0.2.7", "Queue-ID": `Q${id}T${++tries}`, Flags: "milter" }, body: message(id) });
        if (status !== 200) return "again";
        reply = JSON.parse(text);
    } catch {
        return "again";
    }
    if (reply.action === "reject") return reply.milter?.reject === "discard" ? "held" : "refused";
    if (reply.action === "soft reject") return "again";
    return reply.milter?.del_rcpt ? "split" : "delivered";
}

const spool = (site) => join(site.dir, "quarantine");
const listed = async (site) => JSON.parse(await site.must("quarantine", "list", "--json", "--limit", "100000")).held;
const rows = async (site, sql) => JSON.parse((await run("sqlite3", ["-json", "-cmd", ".timeout 5000", join(site.dir, "log.db"), sql])).stdout || "[]");

describe("the order of things", () => {
    const uid = "019aa000-0000-7000-8000-000000000001", tmp = `tmp/${uid}.0`, name = `2026-11-22/${uid}`;
    const right = ["mkdir tmp", `create ${tmp}`, `write ${tmp}`, `sync ${tmp}`, "mkdir 2026-11-22", "sync .", `rename ${tmp} ${name}`, "sync 2026-11-22", `reply ${uid}`];
    const without = (line) => right.filter((l) => l !== line);
    const swapped = (a, b) => right.map((l) => (l === a ? b : l === b ? a : l));
    const wrong = {
        "the file is not synced": without(`sync ${tmp}`),
        "the file is written to once more": right.toSpliced(4, 0, `write ${tmp}`),
        "the folder is not synced": without("sync 2026-11-22"),
        "the folder's own name is not synced": without("sync ."),
        "the folder's own name is synced before it is made": swapped("mkdir 2026-11-22", "sync ."),
        "the file has no name": without(`rename ${tmp} ${name}`),
        "the name comes before the sync": swapped(`sync ${tmp}`, `rename ${tmp} ${name}`),
        "the folder is synced before the name": swapped("sync 2026-11-22", `rename ${tmp} ${name}`),
        "the reply comes before the folder's sync": swapped("sync 2026-11-22", `reply ${uid}`),
        "the reply comes first": [`create ${tmp}`, `reply ${uid}`, ...right.slice(2)],
    };

    test("written, synced, named, its folder synced, answered: that is right", () => {
        assert.deepEqual(checkOrder(right), { faults: [], promised: [uid] });
    });
    for (const [what, lines] of Object.entries(wrong)) test(`it is a fault when ${what}`, () => assert.notDeepEqual(checkOrder(lines).faults, []));
    test("a power cut takes what is not on disk, and nothing else", () => {
        for (let n = 0; n <= right.length; n++) {
            const disk = new Disk();
            right.slice(0, n).forEach((line) => disk.apply(line));
            assert.equal(disk.has(name), n >= right.indexOf("sync 2026-11-22") + 1, `after ${n} steps`);
        }
    });

    test("rulesd answers when what it holds is on disk, with many at once too", async () => {
        const site = await furnish();
        const { disk, log } = await startRecorded(site);

        for (let id = 1; id <= 5; id++) assert.equal(await ask(site, id, ["carl@theirs.example"]), "held");
        const said = await Promise.all(Array.from({ length: 60 }, (_, i) => ask(site, 100 + i, i % 3 ? ["carl@theirs.example"] : ["anna@ours.example", "carl@theirs.example"])));
        assert.ok(said.every((s) => s === "held" || s === "split"), said.join());
        await site.stop();
        const { faults, promised } = checkOrder(linesOf(log), disk);
        assert.deepEqual(faults, []);
        assert.equal(promised.length, 65);
        site.remove();
    });
});

// A mail server with a queue: `at once` tries at a time, each message until it is settled. What became of each is in `settled`.
function startSender(site, { atOnce = 8 } = {}) {
    const kinds = [["carl@theirs.example"], ["anna@ours.example"], ["ben@ours.example"], ["anna@ours.example", "carl@theirs.example"], ["carl@theirs.example"]];
    const sender = { settled: new Map(), tried: 0, taking: true, queue: [] };
    let next = 0;
    const one = async () => {
        while (sender.taking || sender.queue.length > 0) {
            const old = sender.queue.length > 0 && (!sender.taking || Math.random() < 0.5);
            const id = old ? sender.queue.shift() : ++next;
            const what = await ask(site, id, kinds[id % kinds.length]);
            sender.tried++;
            if (what === "again") {
                sender.queue.push(id);
                await sleep(10);
            } else {
                sender.settled.set(id, what);
            }
        }
    };
    const all = Promise.all(Array.from({ length: atOnce }, one));

    // Takes no new mail, and ends when the last is settled.
    sender.finish = async () => { sender.taking = false; await all; };
    sender.of = (...what) => [...sender.settled].filter(([, w]) => what.includes(w)).map(([id]) => id);
    return sender;
}

// Nothing that the sender let go of is lost: it is in quarantine, whole, and in the log.
async function requireAll(site, sender) {
    const promised = sender.of("held", "split");

    await waitFor("files and rows to agree", async () => (await site.postern(["quarantine", "verify", "--open"])).code === 0, { seconds: 30 });
    const held = new Set((await listed(site)).map((m) => Number(/\d+$/.exec(m.subject)[0])));
    assert.deepEqual(promised.filter((id) => !held.has(id)), [], "not in quarantine");
    const logged = new Set((await rows(site, "SELECT DISTINCT m.subject AS s FROM message m JOIN delivery d ON d.uid = m.uid WHERE d.status = 'quarantined'")).map((r) => Number(/\d+$/.exec(r.s)[0])));
    assert.deepEqual(promised.filter((id) => !logged.has(id)), [], "not in the log");
    assert.match(await site.must("audit", "verify"), /are as they were written/);
}

test(`${kills} kills and power cuts under load lose nothing`, { timeout: 60_000 + kills * 10_000 }, async (t) => {
    const site = await furnish();
    const gone = { names: 0, contents: 0 };
    let record = await startRecorded(site);
    const sender = startSender(site);

    for (let n = 0; n < kills; n++) {
        await sleep(20 + Math.random() * 300);
        await site.kill();
        linesOf(record.log).forEach((line) => record.disk.apply(line));
        const went = record.disk.cut(spool(site));
        gone.names += went.names;
        gone.contents += went.contents;
        rmSync(record.log);
        record = await startRecorded(site);
    }
    await sender.finish();
    await requireAll(site, sender);
    const replays = site.log().match(/whose rows were missing are in the log again/g)?.length ?? 0;
    t.diagnostic(`${sender.settled.size} messages in ${sender.tried} tries, ${sender.of("held", "split").length} of them held; the cuts took ${gone.names} names and ${gone.contents} contents; ${replays} starts found rows missing`);
    assert.ok(sender.of("held").length > kills && sender.of("delivered").length > 0 && sender.of("refused").length > 0 && sender.of("split").length > 0);
    assert.ok(gone.names > 0, "the kills came while something was under way");
    await site.stop();
    site.remove();
});

test("a full disk defers what would be held, and loses nothing", { skip: isRoot ? false : "mounting takes root" }, async (t) => {
    const site = await furnish({ quarantine: { min_free: "0" } });
    const { code } = await run("mount", ["-t", "tmpfs", "-o", "size=600k,mode=700", "none", spool(site)]);

    if (code !== 0) { t.skip("a small file system cannot be mounted here"); site.remove(); return; }
    try {
        await startRulesd({ site, init: false });
        const sender = startSender(site);
        await waitFor("the disk to be full", () => sender.queue.length > 20, { seconds: 60 });
        const before = sender.settled.size;
        await waitFor("other mail to go on", () => sender.settled.size > before + 20);
        assert.match(site.log(), /could not be taken into custody/);
        await must("mount", ["-o", "remount,size=64m", spool(site)]);
        await sender.finish();
        await requireAll(site, sender);
        assert.deepEqual(readdirSync(join(spool(site), "tmp")), []);
        await site.stop();
    } finally {
        await run("umount", ["-l", spool(site)]);
        site.remove();
    }
});

test("what lay on the disk of a machine that is gone is marked as lost, and held again when it turns up", async () => {
    const site = await furnish(), day = (us) => `UPDATE node SET seen_us = ${us}, created_us = 1 WHERE name = 'mx2'`;
    const forget = (...more) => site.postern(["quarantine", "forget-node", "mx2", ...more]);
    const main = (sql) => must("sqlite3", ["-cmd", ".timeout 5000", join(site.dir, "postern.db"), sql]);

    await startRulesd({ site, init: false });
    for (const id of [1, 2]) assert.equal(await ask(site, id, ["carl@theirs.example"]), "held");
    await waitFor("the rows", async () => (await listed(site)).length === 2);
    await site.stop();
    await main("INSERT INTO node (id, name, created_us, seen_us) VALUES (x'77777777777777777777777777777777', 'mx2', 1, 0)");
    await rows(site, "UPDATE custody SET node_id = x'77777777777777777777777777777777'");
    renameSync(spool(site), `${spool(site)}.away`);

    await main(day((Date.now() - 3600_000) * 1000));
    const early = await forget("--yes");
    assert.notEqual(early.code, 0);
    assert.match(early.stderr, /it was there at/);
    await main(day((Date.now() - 3 * 3600_000) * 1000));
    assert.match(await site.must("quarantine", "forget-node"), /^mx2 +seen .* 2 held, 0 copies/m);
    assert.match((await forget()).stderr, /this would mark 2 held messages and 0 copies as lost .*--yes/);
    assert.equal((await listed(site)).length, 2);
    assert.match((await forget("--yes")).stdout, /^2 messages are marked as lost with the disk of mx2\.\n$/);

    assert.deepEqual(await listed(site), []);
    const [{ uid }] = await rows(site, "SELECT uid FROM message ORDER BY uid");
    assert.match(await site.must("trace", uid), /held +lost with the disk of mx2/);
    assert.equal((await must("sqlite3", [join(site.dir, "postern.db"), "SELECT count(*) FROM audit WHERE action = 'quarantine.lost'"])).trim(), "2");
    assert.match((await forget("--yes")).stdout, /Nothing lay on its own disk/);
    assert.match((await site.postern(["quarantine", "forget-node", "nowhere", "--yes"])).stderr, /no machine is called so/);

    rmSync(spool(site), { recursive: true, force: true });
    renameSync(`${spool(site)}.away`, spool(site));
    await startRulesd({ site, init: false });
    await waitFor("both to be held again", async () => (await listed(site)).length === 2);
    await site.stop();
    site.remove();
});

test("a key that is rotated under load seals from then on, and everything opens", async () => {
    const site = await furnish();
    await startRulesd({ site, init: false });
    const sender = startSender(site, { atOnce: 4 });
    const sealedWith = async (id) => (await rows(site, `SELECT count(*) AS n FROM custody WHERE key_id = '${id}'`))[0].n;

    await waitFor("some mail", () => sender.of("held").length > 10);
    for (const hup of [false, true]) {
        const said = await site.must("key", "rotate"), [, id] = /^Key (\S+) seals/.exec(said);
        assert.match(said, /is still needed: \d+ held messages? (is|are) sealed with it, the last until \d{4}-/);
        if (hup) site.hup();
        await waitFor("the log to say so", () => site.log().includes(`the key ${id} seals held mail from now on`));
        await waitFor("it to seal", async () => await sealedWith(id) > 5);
    }
    await sender.finish();
    await requireAll(site, sender);
    await site.stop();
    site.remove();
});

test("a database that is locked for 20 seconds loses no row", { timeout: 120_000 }, async (t) => {
    const site = await furnish();
    await startRulesd({ site, init: false });
    const sender = startSender(site, { atOnce: 2 });

    await waitFor("some mail", () => sender.settled.size > 20);
    const lock = spawn("sqlite3", [join(site.dir, "log.db")], { stdio: ["pipe", "ignore", "inherit"] });
    lock.stdin.write(".timeout 5000\nBEGIN EXCLUSIVE;\n");
    await sleep(1000);
    const settled = sender.settled.size;
    await sleep(19_000);
    const during = sender.settled.size - settled;
    lock.stdin.end("ROLLBACK;\n");
    await once(lock, "exit");
    await waitFor("mail to go on", () => sender.settled.size > settled + during + 20, { seconds: 30 });
    await sender.finish();
    await requireAll(site, sender);
    t.diagnostic(`${during} messages were settled while it was locked`);
    await site.stop();
    site.remove();
});

// What is pressed beside a message and in the quarantine: it takes effect, or says what prevents it.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { http, makeSite, pressedAtOnce, signIn, sleep, startPortal, startRelay, startRulesd, startSmtpSink, waitFor } from "./lib/index.mjs";

const ANNA = "anna@ours.example", BOB = "bob@ours.example", OWEN = "owen@ours.example", ROOT = "root@elsewhere.example";
let site, sink, relay, anna, bob, owen, root;

const letter = (from, subject, body = "Hello there.") => `From: <${from}>\r\nTo: x@ours.example\r\nSubject: ${subject}\r\nMessage-ID: <${Math.random().toString(36).slice(2)}@ext.example>\r\n\r\n${body}\r\n`;
const scan = (to, from, subject, body) => http(site.httpSock, { headers: { From: `<${from}>`, Rcpt: `<${to}>`, IP: "192.0.2.9", Helo: "mx.ext.example", Flags: "milter", "Queue-ID": `Q${Math.random().toString(36).slice(2)}` }, body: letter(from, subject, body) });
const list = async (who, q = "", path = "/me/mail") => (await who.get(`${path}?limit=200&q=${encodeURIComponent(q)}`)).body.items;
const arrive = async (to, from, subject, who = anna, path) => { await scan(to, from, subject); return (await waitFor(`${subject} in the log`, async () => { const rows = await list(who, `subject:"${subject}"`, path); return rows.length > 0 && rows; }))[0]; };
const at = (row) => `/deliveries/${row.uid}/${row.n}`;
const add = (scope, name, action, ...more) => site.must("rule", "add", "--scope", scope, "--name", name, action, ...more);
// What a message from there gets now, as soon as rulesd has heard of the change.
const verdictOf = (to, from, wanted, who = anna, path) => waitFor(`${from} to be ${wanted}`, async () => {
    const row = await arrive(to, from, `try ${Math.random().toString(36).slice(2)}`, who, path);
    return row.status === wanted && row;
}, { timeout: 15000 });

before(async () => {
    sink = await startSmtpSink();
    relay = await startRelay(sink.port);
    const own = await makeSite({ delivery: { url: `smtp://127.0.0.1:${relay.port}` } });
    await own.must("init");
    await own.must("domain", "add", "ours.example", "--at-block", "quarantine");
    for (const a of [ANNA, BOB, OWEN]) { await own.must("account", "add", a); await own.must("mailbox", "add", a); }
    await own.must("account", "set", OWEN, "--owner", "ours.example");
    await own.must("account", "add", ROOT, "--admin", "on");
    await own.must("rule", "add", "--scope", `mailbox:${ANNA}`, "--name", "Wares", "block", "--subject", "wares");
    await own.must("rule", "add", "--scope", "domain:ours.example", "--name", "No lotteries", "block", "--subject", "lottery");
    site = await startRulesd({ site: own, init: false });
    await startPortal(site);
    [anna, bob, owen, root] = [await signIn(site, ANNA), await signIn(site, BOB), await signIn(site, OWEN), await signIn(site, ROOT)];
});
after(async () => { await site?.stopPortal(); await site?.stop(); site?.remove?.(); await relay?.stop(); await sink?.stop(); });

// ---- deciding about a sender ----

test("breadths say how far a rule may reach, and how much past mail each would have caught", async () => {
    await arrive(ANNA, "deals@ext.example", "first deal");
    await arrive(ANNA, "other@ext.example", "second deal");
    await arrive(ANNA, "x@news.ext.example", "third deal");
    const row = await arrive(ANNA, "news+a81723@ext.example", "fourth deal");
    const { status, body } = await anna.get(`${at(row)}/breadths?action=block`);
    assert.equal(status, 200);
    assert.deepEqual(body.items, [
        { kind: "address", sender: "news+a81723@ext.example", messages: 1 },
        { kind: "stable", sender: "news+*@ext.example", messages: 1 },
        { kind: "domain", sender: "*@ext.example", messages: 3 },
        { kind: "subdomains", sender: "ext.example", messages: 4 }]);
    assert.equal(body.more, false);
    assert.equal(body.warning, null);
    assert.match((await anna.get(`${at(row)}/breadths?action=allow`)).body.warning, /Nothing here can prove/);
});

test("of a free-mail house only the address is offered, and the page is told why", async () => {
    const row = await arrive(ANNA, "somebody@gmail.com", "from the free house");
    const { body } = await anna.get(`${at(row)}/breadths?action=block`);
    assert.deepEqual(body.items.map((b) => b.sender), ["somebody@gmail.com"]);
    assert.match(body.warning, /Anybody may have an address/);
    assert.equal((await anna.post(`${at(row)}/decide`, { action: "block", sender: "*@gmail.com" })).status, 400);
});

test("what is pressed takes effect, though a rule of the mailbox let it through before", async () => {
    await add(`mailbox:${ANNA}`, "Let in", "allow", "--sender", "pals.example", "--no-proof");
    const row = await verdictOf(ANNA, "joe@pals.example", "received");
    const { status, body } = await anna.post(`${at(row)}/decide`, { action: "block", sender: "joe@pals.example" });
    assert.equal(status, 200, JSON.stringify(body));
    assert.equal(body.note, null);
    assert.ok(body.priority < 100);
    await verdictOf(ANNA, "joe@pals.example", "quarantined");
    const again = await anna.post(`${at(row)}/decide`, { action: "block", sender: "joe@pals.example" });
    assert.equal(again.body.rule, body.rule, "pressed twice is one rule");
});

test("changing one's mind works: the later press goes ahead of the earlier, which the message itself never met", async () => {
    const row = await arrive(ANNA, "sue@mind.example", "on second thought");
    const first = (await anna.post(`${at(row)}/decide`, { action: "allow", sender: "sue@mind.example" })).body;
    assert.match(first.note, /can prove/);
    const second = (await anna.post(`${at(row)}/decide`, { action: "block", sender: "*@mind.example" })).body;
    assert.ok(second.priority < first.priority);
    await verdictOf(ANNA, "sue@mind.example", "quarantined");
    const rules = (await site.must("rule", "export", "--scope", `mailbox:${ANNA}`)).split("\n").filter(Boolean).map((l) => JSON.parse(l));
    assert.equal(rules.find((r) => r.name === "sue@mind.example").require_proof ?? true, true);
});

test("pressed to and fro at the same moment, there is one rule of each, and one of them goes ahead", async () => {
    const row = await arrive(ANNA, "toni@fro.example", "to and fro");
    await pressedAtOnce(anna, row, `/scopes/${encodeURIComponent(`mailbox:${ANNA}`)}/rules`, ["toni@fro.example", "*@fro.example", "fro.example"]);
    for (let last = 1000, i = 0; i < 24; i++) {
        const { priority } = (await anna.post(`${at(row)}/decide`, { action: ["allow", "block"][i % 2], sender: "toni@fro.example" })).body;
        assert.ok(priority < last, `press ${i} goes ahead of the one before: ${priority}, ${last}`);
        last = priority;
    }
});

test("where a rule above decides first, it is saved, and the answer names that rule", async () => {
    await site.must("rule", "add", "--scope", "global", "--policy", await lockedPolicy(), "--name", "Bank stays in", "allow", "--sender", "bank.example", "--no-proof");
    const row = await arrive(ANNA, "info@bank.example", "statement");
    const { body } = await anna.post(`${at(row)}/decide`, { action: "block", sender: "*@bank.example" });
    assert.match(body.note, /Bank stays in/);
});
async function lockedPolicy() {
    await site.must("policy", "add", "global", "Guard", "--locked", "on");
    return "Guard";
}

test("a decision is the mailbox's own: nobody else's mail is touched, and nobody else may decide", async () => {
    const row = await arrive(ANNA, "private@solo.example", "only for anna");
    assert.equal((await bob.post(`${at(row)}/decide`, { action: "block", sender: "private@solo.example" })).status, 404);
    assert.equal((await bob.get(`${at(row)}/breadths?action=block`)).status, 404);
    assert.equal((await owen.post(`${at(row)}/decide`, { action: "block", sender: "private@solo.example" })).status, 200);
    await verdictOf(ANNA, "private@solo.example", "quarantined");
    assert.notEqual((await arrive(BOB, "private@solo.example", "for bob", bob)).status, "quarantined");
});

// ---- release by reason, and asking for it ----

const detail = async (who, row) => (await who.get(at(row))).body;

test("what the domain's rule holds a person asks for, and an owner grants it: it arrives, and the person reads the answer", async () => {
    const row = await arrive(ANNA, "draw@lots.example", "lottery for the office");
    assert.deepEqual((({ release, ask, confirm_virus }) => ({ release, ask, confirm_virus }))((await detail(anna, row)).can), { release: false, ask: true, confirm_virus: false });
    assert.equal((await anna.post(`${at(row)}/release`)).status, 403);
    const asked = await anna.post(`${at(row)}/ask`, { why: "It is our <own> raffle." });
    assert.equal(asked.status, 200, asked.text);
    assert.equal(asked.body.state, "waiting");
    assert.equal((await anna.post(`${at(row)}/ask`, { why: "again" })).body.why, "It is our <own> raffle.", "asked twice is asked once");
    assert.equal((await detail(anna, row)).can.ask, false);
    const queue = (await owen.get("/domains/ours.example/requests")).body.items;
    assert.equal(queue.length, 1);
    assert.equal(queue[0].delivery.subject, "lottery for the office");
    assert.equal(queue[0].request.who, ANNA);
    for (const who of [anna, bob]) assert.equal((await who.get("/domains/ours.example/requests")).status, 404);
    assert.equal((await anna.post(`/domains/ours.example/requests/${row.uid}/${row.n}`, { grant: true })).status, 404);
    const seen = sink.messages.length;
    const granted = await owen.post(`/domains/ours.example/requests/${row.uid}/${row.n}`, { grant: true, answer: "Good luck." });
    assert.equal(granted.status, 200, granted.text);
    await waitFor("the released message", () => sink.messages.slice(seen).find((m) => m.rcpts.includes(ANNA)));
    const after = await detail(anna, row);
    assert.equal(after.request.state, "granted");
    assert.equal(after.request.answer, "Good luck.");
    assert.equal(after.state, "released");
    assert.equal((await owen.get("/domains/ours.example/requests")).body.items.length, 0);
    assert.equal((await owen.post(`/domains/ours.example/requests/${row.uid}/${row.n}`, { grant: true })).status, 409);
});

test("an owner refuses, and it stays held; who may release needs not ask", async () => {
    const row = await arrive(ANNA, "draw@lots.example", "lottery of strangers");
    await anna.post(`${at(row)}/ask`, {});
    assert.equal((await owen.post(`${at(row)}/ask`, {})).status, 409);
    assert.equal((await owen.post(`/domains/ours.example/requests/${row.uid}/${row.n}`, { grant: false, answer: "No." })).status, 200);
    const now = await detail(anna, row);
    assert.equal(now.request.state, "refused");
    assert.equal(now.status, "quarantined");
    assert.equal((await anna.post(`${at(row)}/ask`, {})).status, 409);
    assert.equal((await bob.post(`${at(row)}/ask`, {})).status, 404);
    const own = await arrive(ANNA, "shop@lots.example", "wares by the dozen");
    assert.equal((await detail(anna, own)).can.release, true, "held by her own rule: hers to release");
});

test("an owner who just releases it has answered who asked", async () => {
    const row = await arrive(ANNA, "draw@lots.example", "lottery at noon");
    await anna.post(`${at(row)}/ask`, {});
    assert.equal((await owen.post(`${at(row)}/release`)).status, 200);
    assert.equal((await detail(anna, row)).request.state, "granted");
});

test("a release that waits for the mail server is taken back by who asked for it, once; nothing leaves, and what it answered waits again", async () => {
    const row = await arrive(ANNA, "draw@lots.example", "lottery of second thoughts"), seen = sink.messages.length;
    const can = async (who) => (await detail(who, row)).can.unrelease;
    await anna.post(`${at(row)}/ask`, {});
    assert.equal((await owen.post(`${at(row)}/unrelease`)).status, 409, "nobody has released it");
    relay.cut();
    assert.equal((await owen.post(`${at(row)}/release`)).body.state, "requested");
    assert.equal((await detail(anna, row)).request.state, "granted");
    assert.deepEqual([await can(owen), await can(anna)], [true, false]);
    assert.match((await anna.post(`${at(row)}/unrelease`)).body.detail, /Somebody else has asked for it/);
    assert.equal((await bob.post(`${at(row)}/unrelease`)).status, 404);
    for (const time of ["once", "twice"]) assert.equal((await owen.post(`${at(row)}/unrelease`)).status, 204, time);
    relay.mend();
    const now = await detail(anna, row);
    assert.deepEqual([now.release.taken_back, now.release.state, now.status, now.request.state], [true, "failed", "quarantined", "waiting"]);
    const noted = (await owen.get("/scopes/domain:ours.example/audit?action=quarantine.unrelease")).body.items;
    assert.deepEqual(noted.map((r) => [r.actor, r.object]), [[OWEN, row.uid]]);
    assert.equal((await site.postern(["quarantine", "release", "--unfinished"])).code, 0);
    assert.equal(sink.messages.length, seen);
    assert.equal((await owen.post(`${at(row)}/release`)).body.state, "sent");
    assert.match((await owen.post(`${at(row)}/unrelease`)).body.detail, /It has been sent/);
});

// ---- what is attached ----

const part = (type, name, body, encoding = "7bit") => `--b\r\nContent-Type: ${type}\r\nContent-Disposition: attachment; filename="${name}"\r\nContent-Transfer-Encoding: ${encoding}\r\n\r\n${body}\r\n`;
const mixed = (subject, ...parts) => `From: <files@ext.example>\r\nTo: ${ANNA}\r\nSubject: ${subject}\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n${parts.join("")}--b--\r\n`;
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
const arriveWhole = async (subject, body) => {
    await http(site.httpSock, { headers: { From: "<files@ext.example>", Rcpt: `<${ANNA}>`, IP: "192.0.2.9", Flags: "milter", "Queue-ID": `Q${Math.random().toString(36).slice(2)}` }, body });
    return (await waitFor(subject, async () => { const rows = await list(anna, `subject:"${subject}"`); return rows.length > 0 && rows; }))[0];
};

test("a release that could not be written down is not said to be asked for, and leaves when it is asked for again", async () => {
    const row = await arrive(ANNA, "late@shop.example", "wares while the log is locked");
    const holder = spawn("sqlite3", [join(site.dir, "log.db")], { stdio: ["pipe", "pipe", "inherit"] });
    holder.stdin.write(".timeout 10000\nBEGIN EXCLUSIVE;\nSELECT 'held';\n");
    await new Promise((done) => holder.stdout.once("data", done));
    // For longer than one statement waits, and not for as long as two do.
    const [said] = await Promise.all([anna.post(`${at(row)}/release`), sleep(7500).then(() => holder.stdin.end("ROLLBACK;\n")), new Promise((done) => holder.once("close", done))]);
    const { release } = await detail(anna, row);
    assert.equal(release === null, said.status === 503, `${said.text}, and the log has ${JSON.stringify(release)}`);
    if (release === null) {
        assert.equal(said.body.detail, "Nothing may have been written down, because the database is away. Please try again: the message is sent once at most.");
        assert.ok(Number(said.headers.get("retry-after")) > 0);
        assert.equal((await anna.post(`${at(row)}/release`)).body.state, "sent");
    }
});

test("each attachment of a held message has the SHA-256 of what its download gives, for who may open the message", async () => {
    const image = Buffer.from(Array.from({ length: 70_000 }, (_, i) => (i * 31) % 251)), text = "caf\u00e9 = 3\r\nend";
    const inner = "From: <x@ext.example>\r\nSubject: inner\r\n\r\nHello.";
    const row = await arriveWhole("wares with files", mixed("wares with files",
        part("image/png", "picture.png", image.toString("base64").replace(/.{76}/g, "$&\r\n"), "base64"), part("text/csv", "list.csv", "caf=C3=A9 =3D 3\r\nend", "quoted-printable"),
        part("application/pdf", "nothing.pdf", ""), part("message/rfc822", "old.eml", inner)));
    const { status, body, text: raw } = await anna.get(`${at(row)}/attachments`);
    assert.equal(status, 200, raw);
    assert.deepEqual(body.items, [["picture.png", "image/png", image], ["list.csv", "text/csv", text], ["nothing.pdf", "application/pdf", ""], ["old.eml", "message/rfc822", inner]]
        .map(([name, type, bytes], i) => ({ n: i + 1, name, type, size: Buffer.byteLength(bytes), sha256: sha256(bytes) })));
    for (const item of body.items) assert.equal(sha256((await anna.get(`${at(row)}/attachments/${item.n}`)).bytes), item.sha256, item.name);
    assert.equal((await bob.get(`${at(row)}/attachments`)).status, 404);
    assert.equal((await root.get(`${at(row)}/attachments`)).status, 403, "the operator has to say why");
    assert.equal((await root.get(`${at(row)}/attachments?reason=asked%20by%20Anna`)).body.items.length, 4);
    const gone = await arriveWhole("just a letter", mixed("just a letter", part("image/png", "a.png", "x")));
    assert.equal((await anna.get(`${at(gone)}/attachments`)).status, 404, "what was let through is not stored");
});

test("messages within messages are hashed as far as there is no more in them than one could send", async () => {
    let inner = `Subject: core\r\n\r\n${"x".repeat(70)}\r\n`.repeat(5000);
    for (let i = 0; i < 20; i++) inner = `Subject: ${i}\r\nContent-Type: message/rfc822\r\n\r\n${inner}`;
    const row = await arriveWhole("wares within wares", mixed("wares within wares", part("message/rfc822", "outer.eml", inner)));
    const { items } = (await anna.get(`${at(row)}/attachments`)).body;
    const hashed = items.filter((item) => item.sha256);
    assert.equal(items.length, 21);
    assert.ok(hashed.length > 0 && hashed.length < items.length, `${hashed.length} of ${items.length}`);
    assert.ok(hashed.reduce((n, item) => n + item.size, 0) < 3_000_000);
});

// ---- a search as CSV ----

test("a search is exported as CSV that no spreadsheet computes with, and the export is written down", async () => {
    const evil = ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", 'a "quoted", cell'];
    for (const [i, subject] of evil.entries()) await scan(ANNA, `csv${i}@sheet.example`, subject);
    await waitFor("all five", async () => (await list(anna, "from:sheet.example")).length === evil.length);
    const { status, headers, bytes, text } = await anna.get(`/me/mail.csv?q=${encodeURIComponent("from:sheet.example")}`);
    assert.equal(status, 200);
    assert.equal(headers.get("content-type"), "text/csv; charset=utf-8");
    assert.match(headers.get("content-disposition"), /^attachment/);
    assert.deepEqual([...bytes.subarray(0, 3)], [0xef, 0xbb, 0xbf]);
    const lines = text.replace(/^\ufeff/, "").trimEnd().split("\r\n");
    assert.equal(lines.length, evil.length + 1);
    for (const subject of evil.slice(0, 4)) assert.ok(text.includes(`,"'${subject}",`), `${subject} in ${text}`);
    assert.ok(text.includes(',"a ""quoted"", cell",'));
    assert.equal(/(^|,)"?[=+@]/m.test(text), false);
    assert.equal((await bob.get(`/scopes/mailbox:${ANNA}/mail.csv`)).status, 404);
    assert.equal((await owen.get("/scopes/domain:ours.example/mail.csv?q=from:sheet.example")).text.trimEnd().split("\r\n").length, evil.length + 1);
    assert.equal((await anna.get("/me/mail.csv?q=status:nothing")).status, 400);
    assert.match(await site.must("audit", "list"), /export\.start/);
});

test("a list of many pages is exported whole, each message once", async () => {
    await Promise.all(Array.from({ length: 4 }, async (_, k) => { for (let i = 0; i < 160; i++) await scan(BOB, `many${k}x${i}@ext.example`, `many ${k} ${i}`); }));
    await waitFor("all of them", async () => { const page = await bob.get("/me/mail.csv?q=subject:many"); return page.text.trimEnd().split("\r\n").length === 641; }, { timeout: 20000 });
    const { text } = await bob.get("/me/mail.csv?q=subject:many");
    const ids = text.trimEnd().split("\r\n").slice(1).map((l) => l.match(/"([0-9a-f-]{36}\/\d+)"/)[1]);
    assert.equal(new Set(ids).size, 640);
});

// ---- many at once ----

const ended = (who, id) => waitFor(`job ${id}`, async () => { const { body } = await who.get(`/jobs/${id}`); return body.state !== "waiting" && body; }, { timeout: 30000 });
const held = (who, q = "") => list(who, `is:held ${q}`);

test("what is deleted leaves the quarantine, stays under recently deleted, and comes back", async () => {
    const row = await arrive(BOB, "gone@ext.example", "lottery to delete", bob);
    assert.equal((await anna.post(`${at(row)}/delete`)).status, 404);
    assert.equal((await bob.post(`${at(row)}/delete`)).status, 204);
    assert.equal((await held(bob, 'subject:"lottery to delete"')).length, 0);
    assert.equal((await bob.get("/me/deleted")).body.items[0].subject, "lottery to delete");
    assert.equal((await owen.get("/scopes/domain:ours.example/deleted")).body.items[0].uid, row.uid);
    assert.equal((await anna.get("/me/deleted")).body.items.length, 0);
    assert.ok(new Date((await detail(bob, row)).held.until) < Date.now() + 7.1 * 86400e3);
    assert.equal((await bob.post(`${at(row)}/undelete`)).status, 204);
    assert.equal((await held(bob, 'subject:"lottery to delete"')).length, 1);
    assert.ok(new Date((await detail(bob, row)).held.until) > Date.now() + 8 * 86400e3);
    const clean = await arrive(BOB, "fine@ext.example", "nothing against it", bob);
    assert.equal((await bob.post(`${at(clean)}/delete`)).status, 409);
});

test("a job goes through all that a search finds, survives a restart, and is taken back", async () => {
    const total = 230;
    await Promise.all(Array.from({ length: 4 }, async (_, k) => { for (let i = k; i < total; i += 4) await scan(BOB, `bulk${i}@ext.example`, `lottery bulk ${i}`); }));
    await waitFor("all of them", async () => (await bob.get("/me/mail.csv?q=subject:bulk")).text.trimEnd().split("\r\n").length === total + 1, { timeout: 20000 });
    const started = await bob.post("/me/jobs", { what: "delete", q: "is:held subject:bulk" });
    assert.equal(started.status, 202, started.text);
    assert.equal(started.body.total, total);
    const job = started.body.id;
    await site.killPortal();
    await startPortal(site, { port: site.port });
    const done = await waitFor("the job after the restart", async () => { const { body } = await bob.get(`/jobs/${job}`); return body.state === "done" && body; }, { timeout: 120000 });
    assert.equal(done.done + done.failed >= total, true);
    assert.equal(done.failed, 0, done.answer);
    assert.equal((await held(bob, "subject:bulk")).length, 0);
    assert.equal((await anna.get(`/jobs/${job}`)).status, 404);
    assert.equal((await anna.post(`/jobs/${job}/undo`)).status, 404);
    const undo = await bob.post(`/jobs/${job}/undo`);
    assert.equal(undo.status, 202, undo.text);
    assert.equal((await ended(bob, undo.body.id)).done, total);
    assert.equal((await held(bob, "subject:bulk")).length, 200, "a page of them");
});

test("what a search excludes is in no list, count, export or job of it", async () => {
    const [wares, lottery, plain] = [await arrive(ANNA, "a@left.example", "left wares"), await arrive(ANNA, "b@left.example", "left lottery"), await arrive(ANNA, "c@left.example", "left plain")];
    const bobs = await arrive(BOB, "d@left.example", "left to bob", bob), all = [plain, lottery, wares];
    const without = [
        ["", all], [`-rule:${wares.rule}`, [plain, lottery]], [`-rule:${wares.rule} -RULE:"${lottery.rule}"`, [plain]], [`-rule:${wares.rule} rule:${lottery.rule}`, [lottery]],
        ["domain:OURS.example", all], [`-uid:${plain.uid}`, [lottery, wares]], [`-uid:${plain.uid} -uid:${wares.uid}`, [lottery]], [`-uid:${plain.uid} uid:${plain.uid}`, []], [`-uid:${bobs.uid}`, all],
        ["-domain:ours.example", []], ["-domain:OURS.example -domain:x.example", []], ["-domain:elsewhere.example", all], ["-domain:elsewhere.example domain:ours.example", all],
        ["-direction:inbound", []], ["-direction:outbound", all], ["-direction:outbound,local", all], ["direction:inbound,local -direction:local", all],
        [`-subject:wares -uid:${plain.uid} -status:received -rule:${wares.rule} -direction:local`, [lottery]]];

    assert.equal(new Set([wares.rule, lottery.rule, plain.rule]).size, 3);
    for (const [more, rows] of without) {
        const q = encodeURIComponent(`from:left.example ${more}`), subjects = rows.map((r) => r.subject);
        assert.deepEqual((await anna.get(`/me/mail?q=${q}`)).body.items.map((r) => r.subject), subjects, more);
        assert.deepEqual((await anna.get(`/me/mail/count?q=${q}`)).body, { n: rows.length, more: false }, more);
        assert.deepEqual((await anna.get(`/me/mail.csv?q=${q}`)).text.trimEnd().split("\r\n").slice(1).map((l) => l.match(/left \w+/)[0]), subjects, more);
        const wide = (await root.get(`/scopes/global/mail?q=${q}`)).body.items.filter((r) => r.uid !== bobs.uid);
        assert.deepEqual(wide.map((r) => r.subject), subjects, `${more}, everybody's`);
    }
    const { body: job } = await anna.post("/me/jobs", { what: "delete", q: `is:held from:left.example -rule:${wares.rule}` });
    assert.equal(job.total, 1);
    assert.equal((await ended(anna, job.id)).done, 1);
    assert.deepEqual((await held(anna, "from:left.example")).map((r) => r.subject), ["left wares"]);
    for (const [q, says] of [["-uid:7", /^uid: is an id/], ["-rule:wares", /^rule: is a rule's id/], ["-domain:", /^domain: is the name/], ["-direction:up", /^direction: inbound, outbound or local/], ["direction:inbound -direction:inbound", /leave no direction/], ["-date:today", /cannot be excluded/], [Array.from({ length: 13 }, () => `-uid:${plain.uid}`).join(" "), /at most 12/]]) {
        const refused = await anna.get(`/me/mail?q=${encodeURIComponent(q)}`);
        assert.deepEqual([refused.status, refused.body.member], [400, "q"], q);
        assert.match(refused.body.detail, says);
    }
});

test("a job that is stopped goes no further, and one may do only what its person may", async () => {
    const started = (await bob.post("/me/jobs", { what: "spam", q: "is:held subject:bulk" })).body;
    const stopped = (await bob.del(`/jobs/${started.id}`)).body;
    assert.notEqual(stopped.state, "waiting");
    const release = (await bob.post("/me/jobs", { what: "release", q: 'is:held subject:"lottery bulk 7"' })).body;
    const end = await ended(bob, release.id);
    assert.equal(end.done, 0);
    assert.equal(end.failed > 0, true);
    assert.match(end.answer, /owner of the domain decides/);
    assert.equal((await bob.post(`/scopes/mailbox:${ANNA}/jobs`, { what: "delete", q: "is:held" })).status, 404);
    const seen = sink.messages.length;
    const owners = (await owen.post("/scopes/domain:ours.example/jobs", { what: "release", q: 'is:held subject:"lottery bulk 7"' })).body;
    assert.equal((await ended(owen, owners.id)).failed, 0);
    assert.ok(sink.messages.length > seen);
    assert.equal((await owen.post(`/jobs/${owners.id}/undo`)).status, 409);
});

test("many releases are taken back as far as they were not sent; what had gone already is counted, and a job of which all has gone is not undone", async () => {
    const rows = [], seen = sink.messages.length, q = 'is:held subject:"wares by cart"';
    for (let i = 0; i < 5; i++) rows.push(await arrive(ANNA, `cart${i}@ext.example`, `wares by cart ${i}`));
    relay.cut();
    const waits = (await anna.post("/me/jobs", { what: "release", q })).body, end = await ended(anna, waits.id);
    assert.deepEqual([end.done, end.failed, end.can_undo], [5, 0, true]);
    relay.mend();
    for (const row of rows.slice(0, 2)) assert.equal((await anna.post(`${at(row)}/release`)).body.state, "sent");
    const undo = await anna.post(`/jobs/${waits.id}/undo`);
    assert.deepEqual([undo.status, undo.body.what, undo.body.total], [202, "unrelease", 5], undo.text);
    const back = await ended(anna, undo.body.id);
    assert.deepEqual([back.state, back.done, back.gone, back.failed, back.can_undo], ["done", 3, 2, 0, false]);
    assert.equal((await site.postern(["quarantine", "release", "--unfinished"])).code, 0);
    assert.equal(sink.messages.length, seen + 2, "and nothing else leaves");
    assert.equal((await held(anna, 'subject:"wares by cart"')).length, 3);
    const noted = (await anna.get("/me/audit?action=quarantine.unrelease")).body.items.map((r) => r.object);
    assert.deepEqual(noted.slice(0, 3).sort(), rows.slice(2).map((r) => r.uid).sort());
    const jobs = (await anna.get("/jobs")).body.items;
    assert.deepEqual(jobs.slice(0, 2).map((j) => [j.what, j.can_undo]), [["unrelease", false], ["release", false]]);
    const sent = (await anna.post("/me/jobs", { what: "release", q })).body;
    assert.equal((await ended(anna, sent.id)).can_undo, false);
    const late = await anna.post(`/jobs/${sent.id}/undo`);
    assert.equal(late.status, 409);
    assert.match(late.body.detail, /All of it has been sent/);
});

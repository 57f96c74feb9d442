// Release by replying: "release 2" in an answer to a digest releases that message for whom the digest went to, proven, and does nothing for
// anybody else. Taken over LMTP and from a pipe; nobody is ever told anything.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { canConnect, freePort, http, makeSite, program, rawTcp, run, signIn, start, startPortal, startRelay, startRulesd, startSmtpSink, waitFor } from "./lib/index.mjs";

const ANNA = "anna@ours.example", BOB = "bob@ours.example", OWEN = "owen@ours.example", TO = "digest-answers@ours.example";
let site, letters, inbox, relay, daemon, lmtp, health, hours = 0, asked = 0;
const who = {};

const scan = (to, subject, extra = "") => http(site.httpSock, { headers: { From: "<seller@ext.example>", Rcpt: `<${to}>`, IP: "192.0.2.9", Helo: "mx.ext.example", Flags: "milter", "Queue-ID": `Q${++asked}` }, body: `From: seller@ext.example\r\nSubject: ${subject}\r\nMessage-ID: <${asked}.${process.pid}@ext.example>\r\n${extra}\r\nHello there.\r\n` });
const sql = (file, text) => JSON.parse(execFileSync("sqlite3", ["-readonly", "-json", "-cmd", ".timeout 5000", join(site.dir, file), text]).toString() || "[]");
const logged = (subject) => sql("log.db", `SELECT COUNT(*) AS n FROM message WHERE subject = '${subject}'`)[0].n;
const later = () => new Date(Date.now() + (hours += 2) * 3600_000).toISOString().replace(/\.\d+Z/, "Z");
const unfolded = (data) => data.split("\r\n\r\n", 1)[0].replace(/\r\n[ \t]+/g, " ");
const decoded = (data) => Buffer.from(data.replace(/=\r\n/g, "").replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16))), "latin1").toString();
let fresh = 0;
// A digest of n new messages: its Message-ID, and their subjects by number.
async function digest(to, n, { digestTo = to, word = "wares" } = {}) {
    const subjects = Array.from({ length: n }, () => `${word} ${++fresh} of ${process.pid}`);

    for (const subject of subjects) { await scan(to, subject); await waitFor(`${subject} in the log`, () => logged(subject)); }
    const before = letters.messages.length, { code, stderr } = await run(program("postern-digest"), ["-c", site.conf, "--once", "--now", later()]);
    assert.equal(code, 0, stderr);
    const mail = letters.messages.slice(before).find((m) => m.rcpts[0] === digestTo);
    assert.ok(mail, stderr);
    const text = decoded(mail.data).split(/^--\S+$/m).find((part) => part.includes("text/plain"));
    return { id: /^Message-ID: <(.*)>/im.exec(unfolded(mail.data))[1], head: unfolded(mail.data), text, of: Object.fromEntries([...text.matchAll(/^(\d+)\. (.*?)\r?$/gm)].map((m) => [m[1], m[2]])) };
}
const PASS = "Authentication-Results: mx.ours.example; dmarc=pass header.from=ours.example\r\n";
const answer = (d, body, { from = ANNA, proof = PASS, extra = "", to = TO, reply = `In-Reply-To: <${d.id}>\r\n` } = {}) =>
    `${proof}From: ${from}\r\nTo: ${to}\r\nSubject: Re: digest\r\nMessage-ID: <a${++asked}.${process.pid}@client.example>\r\n${reply}${extra}\r\n${body}\r\n`;
const overLmtp = async (text, { from = ANNA, rcpt = TO } = {}) => (await rawTcp(lmtp, `LHLO x\r\nMAIL FROM:<${from}>\r\nRCPT TO:<${rcpt}>\r\nDATA\r\n${text.replace(/^\./gm, "..")}.\r\nQUIT\r\n`)).toString();
const byPipe = (text, { from = ANNA, rcpt = TO, conf = site.conf } = {}) => run(program("postern"), ["-c", conf, "digest-answer", "--rcpt", rcpt, "--sender", from], { input: text, user: "vmail" });
const taken = (said) => assert.match(said, /\r\n354 .*\r\n250 2\.0\.0 ok\r\n221 /, daemon.log());
const arrived = (subject) => inbox.messages.filter((m) => m.data.includes(`Subject: ${subject}\r\n`)).length;
// Everything that an answer could change, and everything that could go out.
const everything = () => JSON.stringify([sql("log.db", "SELECT * FROM release"), sql("log.db", "SELECT uid, n, state FROM delivery"), sql("postern.db", "SELECT COUNT(*) FROM audit"), sql("postern.db", "SELECT COUNT(*) FROM rule"), inbox.messages.length, letters.messages.length]);

before(async () => {
    letters = await startSmtpSink();
    inbox = await startSmtpSink();
    relay = await startRelay(inbox.port);
    health = await freePort();
    const own = await makeSite({ delivery: { url: `smtp://127.0.0.1:${relay.port}` }, smtp: { url: `smtp://127.0.0.1:${letters.port}`, from: "Postern <postern@ours.example>" }, rules: { authserv_id: "mx.ours.example" }, rulesd: { mta_users: "root, vmail" } });

    lmtp = join(own.dir, "answers.sock");
    own.configure({ digest: { per_second: 1000, reply_to: TO, listen_lmtp: `unix:${lmtp}`, listen_http: `127.0.0.1:${health}` } });
    await own.must("init");
    await own.must("domain", "add", "ours.example", "--at-block", "quarantine");
    for (const a of [ANNA, BOB, OWEN]) {
        await own.must("account", "add", a);
        await own.must("mailbox", "add", a);
        await own.must("rule", "add", "--scope", `mailbox:${a}`, "--name", "Wares", "block", "--subject", "wares");
    }
    await own.must("account", "set", OWEN, "--owner", "ours.example");
    await own.must("rule", "add", "--scope", "domain:ours.example", "--name", "No lotteries", "block", "--subject", "lottery");
    site = await startRulesd({ site: own, init: false });
    await startPortal(site);
    for (const [name, a] of Object.entries({ anna: ANNA, bob: BOB, owen: OWEN })) who[name] = await signIn(site, a);
    for (const [name, a] of Object.entries({ anna: ANNA, bob: BOB })) {
        const made = await who[name].post("/me/digests", { kind: "mailbox", of: a, hourly: true, minute: 0, zone: "Europe/Berlin", language: name === "bob" ? "de" : "en", tells: ["quarantined", "blocked", "spam"] });
        assert.ok(made.status < 300, made.text);
    }
    await site.stopPortal();
    daemon = await start("digest", program("postern-digest"), ["-c", site.conf], { dir: site.dir, ready: () => canConnect(lmtp) });
    execFileSync("chown", ["-R", "vmail", site.dir]); // whom a pipe can be
    chmodSync(site.dir, 0o755);
});
after(async () => { for (const stop of [daemon?.stop, site?.stop, site?.remove, relay?.stop, inbox?.stop, letters?.stop]) await stop?.(); });

test("an answer with \"release 2\" releases the second message, and no other", async () => {
    const d = await digest(ANNA, 3);

    assert.match(d.head, new RegExp(`^Reply-To: ${TO}$`, "m"));
    assert.match(d.text, /messages that you want: release 1\r?$/m);
    taken(await overLmtp(answer(d, `Release 2\r\n\r\nOn Sunday Postern wrote:\r\n> release 1\r\nrelease 3\r\n`)));
    assert.deepEqual([arrived(d.of[1]), arrived(d.of[2]), arrived(d.of[3])], [0, 1, 0], daemon.log());
    assert.match(daemon.log(), /answer releases number=2 uid=\S+ .*proof=authentication-results/);
    const [audit] = sql("postern.db", "SELECT actor_kind, actor_name, source FROM audit WHERE action = 'quarantine.release' ORDER BY at_us DESC LIMIT 1");
    assert.deepEqual(audit, { actor_kind: "account", actor_name: ANNA, source: "digest answer" });
});

test("several, in several lines, in German, in HTML, by References alone", async () => {
    const d = await digest(BOB, 5), of = (...list) => list.map((n) => arrived(d.of[n]));

    taken(await overLmtp(answer(d, "release 1, 2\r\n\r\n4 zustellen.\r\n", { from: BOB, reply: `References: <digest.other@x> <${d.id}>\r\n` }), { from: BOB }));
    assert.deepEqual(of(1, 2, 3, 4, 5), [1, 1, 0, 1, 0], daemon.log());
    taken(await overLmtp(answer(d, "<html><body><div>Release&nbsp;5</div><div>--</div><blockquote>release 3</blockquote></body></html>", { from: BOB, extra: "Content-Type: text/html; charset=utf-8\r\n" }), { from: BOB }));
    assert.deepEqual(of(1, 2, 3, 4, 5), [1, 1, 0, 1, 1], daemon.log());
});

test("the same answer twice releases once", async () => {
    const d = await digest(ANNA, 1), text = answer(d, "release 1");

    taken(await overLmtp(text));
    taken(await overLmtp(text));
    assert.equal(arrived(d.of[1]), 1);
    assert.match(daemon.log(), /answer refused why="it is released already" number=1/);
});

test("a mail server that is away is waited for, and the answer is done with", async () => {
    const d = await digest(ANNA, 1);

    await relay.cut();
    taken(await overLmtp(answer(d, "release 1")));
    assert.match(daemon.log(), /answer releases number=1 .*leaves=later/);
    assert.equal(sql("log.db", "SELECT state FROM release ORDER BY requested_us DESC LIMIT 1")[0].state, "requested");
    await relay.mend();
    await site.must("quarantine", "release", "--unfinished");
    assert.equal(arrived(d.of[1]), 1);
});

test("nobody else, nothing unproven, no program and no list releases anything; and nobody is told", async () => {
    const annas = await digest(ANNA, 2), bobs = await digest(BOB, 1);
    const cases = [
        ["another address", answer(annas, "release 1", { from: BOB }), { from: BOB }, /went to somebody else/],
        ["somebody else's digest", answer(bobs, "release 1"), {}, /went to somebody else/],
        ["an alias of the same mailbox", answer(annas, "release 1", { from: "anna+x@ours.example" }), {}, /went to somebody else/],
        ["nothing that proves it", answer(annas, "release 1", { proof: "" }), {}, /nothing proves/],
        ["a proof that came with it", answer(annas, "release 1", { proof: `Received: from x (x [192.0.2.9]) by mx.ours.example with ESMTP id Q; ${new Date().toUTCString()}\r\n${PASS}` }), {}, /nothing proves/],
        ["written to somebody else", answer(annas, "release 1", { to: "friend@ext.example" }), {}, /not written to \[digest\] reply_to/],
        ["the null sender", answer(annas, "release 1"), { from: "" }, /comes from <>/],
        ["an auto-reply", answer(annas, "release 1", { extra: "Auto-Submitted: auto-replied\r\n" }), {}, /a program sent it/],
        ["a mailing list", answer(annas, "release 1", { extra: "List-Id: <all.ours.example>\r\n" }), {}, /mailing list/],
        ["bulk", answer(annas, "release 1", { extra: "Precedence: bulk\r\n" }), {}, /mailing list/],
        ["Postern itself", answer(annas, "release 1", { from: "postern@ours.example" }), {}, /Postern sent it/],
        ["two authors", answer(annas, "release 1", { from: `${ANNA}, ${BOB}` }), {}, /not one author/],
        ["no digest", answer(annas, "release 1", { reply: "" }), {}, /answers no digest/],
        ["a digest that never was", answer({ id: "digest.0199aaaa-0000-7000-8000-000000000000.0@ours.example" }, "release 1"), {}, /answers no digest/],
        ["no command", answer(annas, "Thank you!\r\nrelease 1"), {}, /does not begin with/],
        ["a quoted command", answer(annas, "> release 1"), {}, /does not begin with/],
        ["more numbers than anybody writes", answer(annas, Array.from({ length: 101 }, (_, i) => `release ${i + 1}`).join("\r\n")), {}, /too many numbers/],
        ["a number that is not there", answer(annas, "release 3, 0, 99999"), {}, /answer refused why="the digest has no such number" number=99999/],
        ["more than fits", answer(annas, `release 1\r\n${"x".repeat(78).concat("\r\n").repeat(30000)}`), {}, /larger than an answer/],
    ];
    const was = everything();

    for (const [what, text, how, why] of cases) {
        const mark = daemon.log().length, [said, piped] = await Promise.all([overLmtp(text, how), byPipe(text, how)]);

        taken(said);
        assert.match(daemon.log().slice(mark), why, what);
        assert.deepEqual([piped.code, piped.stdout], [0, ""], `${what}: ${piped.stderr}`);
        assert.match(piped.stderr, why, `${what}, by the pipe`);
        assert.equal(everything(), was, what);
    }
});

test("what others decide about stays held", async () => {
    const d = await digest(ANNA, 1, { word: "lottery" });

    taken(await overLmtp(answer(d, "release 1")));
    assert.equal(arrived(d.of[1]), 0);
    assert.match(daemon.log(), /answer refused why="it is not held, or for others to decide about" number=1/);
});

test("by the pipe it works as well", async () => {
    const d = await digest(ANNA, 2);
    const { code, stdout, stderr } = await byPipe(answer(d, "release 2"));

    assert.deepEqual([code, stdout], [0, ""], stderr);
    assert.deepEqual([arrived(d.of[1]), arrived(d.of[2])], [0, 1], stderr);
});

test("what cannot be done now is to be tried again", async () => {
    const d = await digest(ANNA, 1), text = answer(d, "release 1");

    assert.match(await overLmtp(text, { rcpt: ANNA }), /\r\n450 4\.1\.1 no address for answers to digests\r\n/);
    assert.equal((await byPipe(text, { rcpt: ANNA })).code, 75);
    assert.equal((await byPipe(text, { conf: join(site.dir, "none.conf") })).code, 75);
});

test("who has lost the mailbox releases nothing any more", async () => {
    const d = await digest(BOB, 1);

    await site.must("account", "delete", BOB, "--yes");
    const was = everything();
    taken(await overLmtp(answer(d, "release 1", { from: BOB }), { from: BOB }));
    assert.equal(everything(), was);
    assert.match(daemon.log(), /answers no digest that is known|nobody's any more/);
});

test("it is counted, and without a way to release it does not start", async () => {
    const metrics = (await http(health, { path: "/metrics", method: "GET" })).text;

    assert.match(metrics, /^postern_digest_answer_released_total [1-9]/m);
    assert.match(metrics, /^postern_digest_answer_dropped_total [1-9]/m);
    const own = await makeSite({ digest: { listen_lmtp: "127.0.0.1:0", reply_to: TO } });
    await own.must("init");
    const { code, stderr } = await run(program("postern-digest"), ["-c", own.conf]);
    assert.notEqual(code, 0);
    assert.match(stderr, /\[digest\] listen_lmtp: .*\[delivery\] url/);
    own.remove();
});

// What a sender, or a stranger beside him, may forge: one test a thing, asked as the real callers ask. Nothing comes of any of it.
import assert from "node:assert/strict";
import { appendFileSync, readdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { http, rawTcp, run, sleep, startRulesd, startSmtpSink, waitFor } from "./lib/index.mjs";

const ANNA = "anna@ours.example", BEN = "ben@ours.example", CLEO = "cleo@theirs.example";
let site, sink, scanner, later = false, says = {}, asked = 0, number = 0;

// Anna blocks wares, and allows what comes from friends.example and from one address; Ben blocks nothing. What theirs.example refuses
// it holds.
before(async () => {
    scanner = createServer((request, response) => {
        asked++;
        request.resume().on("end", () => response.writeHead(200, { "Content-Type": "application/json" })
            .end(JSON.stringify({ score: 1, required_score: 15, action: "no action", symbols: {}, messages: {}, ...says })));
    });
    await new Promise((done) => scanner.listen(0, "127.0.0.1", done));
    sink = await startSmtpSink({ answer: (verb) => later && verb === "END" ? "451 4.3.0 later" : null });
    site = await startRulesd({
        config: {
            delivery: { url: `smtp://127.0.0.1:${sink.port}?bypass=on` },
            rules: { authserv_id: "mx.ours.example" },
            rulesd: { mta_from: "127.0.0.0/8", scanner: `rspamd+http://127.0.0.1:${scanner.address().port}` },
        },
    });
    writeFileSync(join(site.dir, "mail.log"), "");
    site.configure({ rulesd: { maillog: join(site.dir, "mail.log") } });
    await site.restart();
    await site.must("domain", "add", "ours.example");
    await site.must("domain", "add", "theirs.example", "--at-block", "quarantine", "--at-reject", "quarantine");
    for (const who of [ANNA, BEN, CLEO]) await site.must("mailbox", "add", who);
    for (const who of [ANNA, CLEO]) await site.must("rule", "add", "--scope", `mailbox:${who}`, "block", "--subject", "wares");
    await site.must("rule", "add", "--scope", `mailbox:${ANNA}`, "allow", "--sender", "friends.example");
    await site.must("rule", "add", "--scope", `mailbox:${ANNA}`, "allow", "--ip", "198.51.100.7");
});
after(async () => {
    await site?.stop();
    await sink?.stop();
    scanner?.close();
});

const letter = ({ subject = "hello", from = "writer@ext.example", head = "" } = {}) =>
    `${head}From: <${from}>\r\nTo: all@ours.example\r\nSubject: ${subject} ${++number}\r\nMessage-ID: <f${number}@ext.example>\r\n\r\nA few words.\r\n`;

// As Rspamd's proxy asks.
async function ask(rcpts, body, headers = {}) {
    const { text } = await http(site.http, {
        headers: { From: "<writer@ext.example>", IP: "192.0.2.9", Helo: "mx.ext.example", "Queue-ID": `F${++number}`, Flags: "milter",
            Rcpt: [rcpts].flat().map((r) => `<${r}>`), ...headers }, body });
    return JSON.parse(text);
}
const ruled = (said) => Object.keys(said.symbols).filter((name) => name.startsWith("POSTERN_")).join() || "none";
const held = () => readdirSync(join(site.dir, "quarantine"), { recursive: true }).filter((f) => /\d{4}-\d\d-\d\d\/.+/.test(f)).length;
const rows = async (sql) => JSON.parse((await run("sqlite3", ["-json", "-cmd", ".timeout 5000", join(site.dir, "log.db"), sql])).stdout || "[]");

// A message that is held and let go: as it left, with its field. `spent` false: it never arrived, so the field is still good.
async function letGo(rcpt, { spent, body }) {
    const before = sink.messages.length;

    assert.equal((await ask(rcpt === CLEO ? CLEO : [rcpt, BEN], body)).milter.reject ?? "removed", rcpt === CLEO ? "discard" : "removed");
    const subject = /^Subject: (.*)\r$/m.exec(body)[1];
    const row = await waitFor("the row", async () => JSON.parse(await site.must("quarantine", "list", "--json")).held.find((h) => h.subject === subject));
    later = !spent;
    await site.postern(["quarantine", "release", row.uid, "--rcpt", rcpt]);
    later = false;
    assert.equal(sink.messages.length, before + 1);
    const { data } = sink.messages.at(-1);
    assert.match(data, /^X-Release-Bypass: v=2;/m);
    return data;
}

test("a bypass field copied from a released mail, for the same message and for another", async () => {
    const own = await letGo(CLEO, { spent: true, body: letter({ subject: "wares" }) });
    const field = /^X-Release-Bypass: .*\r\n/m.exec(own)[0];

    for (const [what, body] of [["the same", own], ["another", field + letter({ subject: "wares" })]]) {
        const before = held(), said = await ask(CLEO, body);

        assert.equal(said.milter.reject, "discard", what);
        assert.equal(held(), before + 1, what);
        assert.equal(said.milter.remove_headers["X-Release-Bypass"], 0, what);
    }
});

test("a bypass field that is still good, for somebody else, for two, and for a stranger's question", async () => {
    const good = await letGo(CLEO, { spent: false, body: letter({ subject: "wares" }) });

    assert.equal((await ask(ANNA, good)).action, "reject", "it was let go for Cleo");
    assert.deepEqual((await ask([CLEO, BEN], good)).milter.del_rcpt, [CLEO]);
    assert.equal((await ask(CLEO, good.replace("A few words", "Other words"))).milter.reject, "discard");
    assert.equal((await ask(CLEO, good)).action, "no action", "and it still was good");
    assert.equal((await ask(CLEO, good)).milter.reject, "discard", "once");
});

test("a bypass field below more fields than anybody reads is taken off as well", async () => {
    const said = await ask(BEN, letter({ head: `${"X: x\r\n".repeat(21000)}X-Release-Bypass: v=2; forged\r\n` }));

    assert.equal(said.milter.remove_headers["X-Release-Bypass"], 0);
});

test("no bypass field is left in what spamd's callers take", async () => {
    const body = letter({ head: "X-Release-Bypass: v=2; forged\r\n" });
    const text = (await rawTcp(site.spamd, `PROCESS SPAMC/1.5\r\nUser: ${BEN}\r\nContent-length: ${body.length}\r\n\r\n${body}`)).toString();

    assert.match(text, /^X-Spam-Status: No/m);
    assert.doesNotMatch(text, /X-Release-Bypass/i);
});

test("a released message that carries a virus is refused, and not dropped, where such mail is held", async () => {
    for (const found of [
        { action: "reject", symbols: { CLAM_VIRUS: { name: "CLAM_VIRUS", score: 0, options: ["Eicar"] } } },
        { score: 30, symbols: { CLAM_VIRUS: { name: "CLAM_VIRUS", score: 30, options: ["Eicar"] } } },
    ]) {
        const good = await letGo(CLEO, { spent: false, body: letter({ subject: "wares" }) });

        says = found;
        const said = await ask(CLEO, good).finally(() => { says = {}; });
        assert.equal(said.action, "reject");
        assert.equal(said.milter.reject, undefined, "the MTA does not take it");
    }
});

test("a released message is scanned, also where its recipient's rules would have refused it unseen", async () => {
    const good = await letGo(ANNA, { spent: false, body: letter({ subject: "wares" }) }), before = asked;

    says = { action: "reject", symbols: { CLAM_VIRUS: { name: "CLAM_VIRUS", score: 0, options: ["Eicar"] } } };
    const said = await ask(ANNA, good).finally(() => { says = {}; });
    assert.equal(asked, before + 1);
    assert.equal(said.action, "reject");
    assert.doesNotMatch(said.messages.smtp_message, /Blocked by/);
});

test("X-Envelope-To: neither over HTTP nor over spamd nor in the text form does it choose whose rules hold", async () => {
    const lines = `X-Envelope-From: <a@friends.example>\r\nX-Envelope-To: <${ANNA}>\r\n`, body = letter({ subject: "wares", head: lines });
    const text = (verb, head) => rawTcp(site.spamd, `${verb}\r\n${head}Content-length: ${body.length}\r\n\r\n${body}`).then(String);

    assert.equal(ruled(await ask(BEN, body)), "none");
    assert.equal(ruled(await ask([], body)), "none");
    assert.match(await text("SYMBOLS SPAMC/1.5", `User: ${BEN}\r\n`), /^Spam: False/m);
    assert.match(await text("SYMBOLS SPAMC/1.5", ""), /^Spam: False/m);
    assert.match(await text("CHECK RSPAMC/1.3", `Rcpt: <${BEN}>\r\n`), /^Action: no action/m);
    assert.match(await text("CHECK RSPAMC/1.3", `Rcpt: <${ANNA}>\r\n`), /^Action: reject/m);
});

test("Delivered-To, To, Cc and Bcc choose nobody's rules", async () => {
    const head = ["Delivered-To", "X-Original-To", "Envelope-To", "Cc", "Bcc", "Apparently-To", "X-RCPT-TO"].map((name) => `${name}: ${ANNA}\r\n`).join("");
    const body = letter({ subject: "wares", head });

    assert.equal(ruled(await ask(BEN, body)), "none");
    assert.equal(ruled(await ask([], body)), "none");
    assert.equal(ruled(await ask([], body, { "Deliver-To": ANNA })), "POSTERN_BLOCK", "the caller may");
});

test("Authentication-Results: somebody else's, and ours below a server that is not ours, prove nothing", async () => {
    const pass = "dmarc=pass header.from=friends.example; spf=pass smtp.mailfrom=friends.example; dkim=pass header.d=friends.example";
    const foreign = "Received: from x (x [192.0.2.9]) by mx.ext.example; Sat, 21 Nov 2026 21:24:28 +0000\r\n";
    const ours = `Authentication-Results: mx.ours.example; ${pass}\r\n`;

    for (const [what, head, rule] of [
        ["another's", `Authentication-Results: mx.ext.example; ${pass}\r\n`, "none"],
        ["ours, below a stranger's Received", foreign + ours, "none"],
        ["ours in a comment", `Authentication-Results: mx.ext.example (mx.ours.example); ${pass}\r\n`, "none"],
        ["ours as an older field", `ARC-Authentication-Results: i=1; mx.ours.example; ${pass}\r\nX-Authentication-Results: mx.ours.example; ${pass}\r\n`, "none"],
        ["ours on top, where the MTA writes it", ours, "POSTERN_ALLOW"],
    ]) assert.equal(ruled(await ask(ANNA, letter({ from: "a@friends.example", head }))), rule, what);
});

test("Received lines make nobody another client", async () => {
    const head = "Received: from mx.good.example (mx.good.example [198.51.100.7]) by gw.ours.example (Postfix) with ESMTP id 1; Sat, 21 Nov 2026 21:24:28 +0000\r\n";

    assert.equal(ruled(await ask(ANNA, letter({ head }))), "none");
    assert.equal(ruled(await ask(ANNA, letter({ head: "X-Originating-IP: 198.51.100.7\r\nX-Real-IP: 198.51.100.7\r\n" }))), "none");
    assert.equal(ruled(await ask(ANNA, letter(), { IP: "198.51.100.7" })), "POSTERN_ALLOW");
});

test("X-Spam headers are taken off and written anew", async () => {
    const head = "X-Spam: No\r\nX-Spam-Status: No, score=-99.0\r\nx-spam-SCORE: -99\r\nX-Spam-Flag: NO\r\nX-Spam-Level:\r\nX-Spam-Of-Mine: x\r\n", body = letter({ head });
    const said = await ask(BEN, body), { remove_headers: gone, add_headers: added } = said.milter;
    const wanted = ["x-spam", "x-spam-flag", "x-spam-level", "x-spam-of-mine", "x-spam-score", "x-spam-status"];

    assert.deepEqual(Object.keys(gone).map((name) => name.toLowerCase()).sort(), wanted);
    assert.ok(Object.values(gone).every((n) => n === 0));
    assert.match(added["X-Spam-Status"], /^No, score=1\.0 /);
    const text = (await rawTcp(site.spamd, `PROCESS SPAMC/1.5\r\nUser: ${BEN}\r\nContent-length: ${body.length}\r\n\r\n${body}`)).toString();
    assert.doesNotMatch(text, /-99|^X-Spam-Of-Mine|^X-Spam: No/m);
});

test("lines in the mail log move nothing that is held, and nobody else's delivery", async () => {
    const body = letter({ subject: "wares" }), queue = `4FORGED${number}z1`;

    await ask(CLEO, body, { "Queue-ID": queue });
    const one = `SELECT verdict, state FROM delivery WHERE uid = (SELECT uid FROM message WHERE queue_id = '${queue}')`;
    await waitFor("the row", async () => (await rows(one)).length === 1);
    const line = (id, to) => `Nov 22 03:00:00 mx postfix/smtp[1]: ${id}: to=<${to}>, relay=mx.evil.example[192.0.2.1]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 ok)\n`;
    const marker = `4MARKER${number}z1`;
    await ask(BEN, letter(), { "Queue-ID": marker });
    await sleep(200);
    appendFileSync(join(site.dir, "mail.log"), line(queue, CLEO) + line(queue, BEN) + line("4UNKNOWNz1", CLEO) +
        `Nov 22 03:00:00 mx root: ${marker}: to=<${BEN}>, relay=x, status=bounced (no)\n` + line(marker, BEN));
    await waitFor("the log to be read", async () => (await rows(one.replace(queue, marker)))[0]?.state === "delivered");
    assert.deepEqual(await rows(one), [{ verdict: "quarantined", state: "unknown" }]);
});

test("posts to /ingest with a wrong token, or none, leave nothing behind", async () => {
    const body = letter({ subject: "handed over" });
    const told = { "X-Rspamd-Rcpt": JSON.stringify([ANNA]), "X-Rspamd-Action": "no action", "X-Rspamd-Qid": "4INGESTz1", "X-Rspamd-From": "a@ext.example", "X-Rspamd-Ip": "192.0.2.9" };
    const before = (await rows("SELECT count(*) AS n FROM message"))[0].n;

    for (const headers of [{}, { Authorization: "Bearer " }, { Authorization: `Bearer pst_${"A".repeat(43)}` }, { Password: "x" }])
        for (const [path, text] of [["/ingest/rspamd", body], ["/ingest/delivery", JSON.stringify({ queue_id: "4INGESTz1", recipient: ANNA, status: "delivered" })]])
            assert.equal((await http(site.http, { path, headers: { ...told, ...headers }, body: text })).status, 401, path);
    await sleep(200);
    assert.equal((await rows("SELECT count(*) AS n FROM message"))[0].n, before);
});

test("a sender who writes no address, one beyond ASCII, or nothing at all is judged like others", async () => {
    for (const from of ["<>", "", "<\u00fcser@ext.example>", "<a@b@c>", "<@>", `<${"x".repeat(2000)}@ext.example>`]) {
        const said = await ask([ANNA, BEN], letter({ subject: "wares" }), { From: from });

        assert.deepEqual(said.milter.del_rcpt, [ANNA], from);
    }
});

test("a recipient beyond ASCII is dropped by the very bytes that the caller stated", async () => {
    const utf8 = "\u00e4nne@theirs.example";

    await site.must("mailbox", "add", utf8);
    await site.must("rule", "add", "--scope", `mailbox:${utf8}`, "block", "--subject", "wares");
    await waitFor("the rule", async () => {
        const said = await ask([utf8, BEN], letter({ subject: "wares" }));
        return said.milter.del_rcpt?.[0] === utf8;
    });
});

// Reports by mail, with the files of examples/report-mail: a real Postfix hands them over by a pipe, by LMTP and by an alias. What is
// proven becomes reports, and is taught; all else is dropped, logged, and nobody is ever told.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";

import {
    canConnect, cannot, example, freePort, http, mainCf, makeSite, program, rawTcp, run, sections, smtpSend, start, startAuth, startPostfix,
    startRspamdProxy, startRulesd, startSmtpSink, tempDir, waitFor,
} from "./lib/index.mjs";

const skip = cannot("postfix", "postfix-sqlite", "rspamd");
const ANNA = "anna@ours.example", STRANGER = "ADDR=203.0.113.9 NAME=mx.ext.example";
let site, auth, sink, proxy, postfix, submission, trainer, backend, lmtp, bin, health;

// Rspamd's controller, as far as the trainer knows it: everything is learnt.
function startBackend() {
    const learnt = [];
    const server = createServer((request, response) => {
        const body = [];
        request.on("data", (bytes) => body.push(bytes));
        request.on("end", () => {
            if (request.method === "POST") learnt.push({ path: request.url, for: request.headers["deliver-to"], body: Buffer.concat(body).toString() });
            response.setHeader("Content-Type", "application/json");
            response.end('{"success":true}');
        });
    });
    return new Promise((done) => server.listen(0, "127.0.0.1", () => {
        server.unref();
        done({ port: server.address().port, learnt, stop: () => { server.closeAllConnections(); server.close(); } });
    }));
}

async function startSite() {
    const own = await makeSite();
    const recipe = sections(example("report-mail/postern.conf", { "/run/postern-trainer/report.sock": join(own.dir, "report.sock") }));

    lmtp = join(own.dir, "report.sock");
    recipe.trainer.backend = `rspamd+http://127.0.0.1:${backend.port}`;
    recipe.trainer.listen_http = `127.0.0.1:${health = await freePort()}`;
    own.configure({ ...recipe, rulesd: { ...recipe.rulesd, mta_users: "root, _rspamd, postfix", max_message: "300K" } });
    site = await startRulesd({ site: own });
    chmodSync(site.httpSock, 0o666);
    for (const domain of ["ours.example", "local.example"]) await site.must("domain", "add", domain);
    for (const name of ["anna", "bob"]) await site.must("mailbox", "add", `${name}@ours.example`);
    // pipe(8) and local(8) run nothing as root: the site is somebody's whom they can be.
    await site.must("quarantine", "list");
    execFileSync("chown", ["-R", "vmail", site.dir]);
}

async function startMta() {
    const places = { "/usr/bin/postern": join(bin, "report"), "user=postern": "user=vmail" };
    const transport = join(bin, "transport"), aliases = join(bin, "aliases");
    const submit = example("submission/master.cf", { "submission inet": `127.0.0.1:${submission} inet`, "=encrypt": "=none", "private/auth": `inet:127.0.0.1:${auth.port}` })
        .replace(/^#.*\n/, "").replace(/^ {2}-o smtpd_sender_restrictions=.*\n/m, "");

    // The recipe over a pipe for one address, over LMTP for the other.
    writeFileSync(transport, example("report-mail/postern_transport", { "/run/postern-trainer/report.sock": lmtp }).replace(/^(spam@\S+).*$/m, "$1 postern-pipe:"));
    writeFileSync(aliases, example("report-mail/aliases", { "/usr/bin/postern": join(bin, "report"), "@ours.example": "@local.example" }));
    chmodSync(transport, 0o644);
    execFileSync("chown", ["vmail", aliases]);
    postfix = await startPostfix({
        sink: sink.port,
        main: {
            ...mainCf(example("report-mail/main.cf", { "/etc/postfix/postern_transport": transport })), mydestination: "local.example",
            alias_maps: `texthash:${aliases}`, smtpd_milters: `inet:127.0.0.1:${proxy.port}`, service_throttle_time: "1s",
        },
        master: `${submit}\n${example("report-mail/master.cf", places)}local unix - n n - - local\n`,
    });
    await waitFor("the submission port", () => canConnect(submission));
}

before(async () => {
    if (skip) return;
    backend = await startBackend();
    await startSite();
    auth = await startAuth();
    sink = await startSmtpSink();
    proxy = await startRspamdProxy({ upstream: `unix:${site.httpSock}` });
    submission = await freePort();
    bin = tempDir("bin");
    copyFileSync(program("postern"), join(bin, "postern"));
    writeFileSync(join(bin, "report"), `#!/bin/sh\nexec ${bin}/postern -c ${site.conf} "$@" 2>>${bin}/pipe.log\n`, { mode: 0o755 });
    writeFileSync(join(bin, "pipe.log"), "", { mode: 0o666 });
    chmodSync(join(bin, "pipe.log"), 0o666);
    trainer = await start("trainer", program("postern-trainer"), ["-c", site.conf], { dir: site.dir, ready: () => canConnect(lmtp) });
    await startMta();
});
after(async () => {
    for (const stop of [postfix?.stop, trainer?.stop, proxy?.stop, sink?.stop, auth?.stop, site?.stop, site?.remove, backend?.stop]) await stop?.();
});

const pipe = { log: () => readFileSync(join(bin, "pipe.log"), "utf8") };
const logs = () => [postfix.maillog(), pipe.log(), trainer.log(), site.log()].map((l) => l.split("\n").slice(-25).join("\n")).join("\n----\n");
const sql = async (text) => JSON.parse((await run("sqlite3", ["-json", "-cmd", ".timeout 5000", join(site.dir, "log.db"), text])).stdout || "[]");
const reports = () => sql("SELECT class, state, who, recipient, channel, subject FROM report ORDER BY created_us");
const becomes = (what, ask) => waitFor(what, ask).catch((e) => assert.fail(`${e.message}\n${logs()}`));
const queue = async () => (await postfix.postfix("postqueue", "-j")).stdout;

let n = 0;
const words = (seed) => Array.from({ length: 60 }, (_, i) => `word${(seed * 7919 + i * 104729) % 5003}`).join(" ");
const spam = (extra = "") => {
    const id = `${++n}.${process.pid}@shops.example`;
    return { id, text: `${extra}Received: from mx.shops.example (mx.shops.example [198.51.100.9]) by mx.example; ${new Date().toUTCString()}\r\nFrom: shop@shops.example\r\nTo: ${ANNA}\r\nSubject: wares ${n}\r\nMessage-ID: <${id}>\r\n\r\n${words(n)}\r\n` };
};
const rfc822 = (text) => ["Content-Type: message/rfc822\r\nContent-Disposition: attachment", text];
const report = (parts, { from = ANNA, extra = "" } = {}) => `${extra}From: ${from}\r\nTo: spam@ours.example\r\nSubject: Fwd: wares\r\nMessage-ID: <report${++n}.${process.pid}@client.example>\r\nDate: ${new Date().toUTCString()}\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=bound\r\n\r\n--bound\r\n\r\nSee there.\r\n${
    parts.map(([fields, text]) => `--bound\r\n${fields}\r\n\r\n${text}\r\n`).join("")}--bound--\r\n`;
const submit = (message, rcpts, { user = ANNA, from = ANNA } = {}) => smtpSend(submission, { from, auth: [user, "secret"], rcpts, message });
const arrive = (message, rcpts, from = "someone@ext.example") => smtpSend(postfix.port, { from, rcpts, message, xclient: [STRANGER] });
const taken = async ({ data, rcpt }) => assert.match(data ?? rcpt[0], /^250 /, logs());
const whole = (text) => text.replace(/\r\n/g, "\n").trim(); // how line ends travel is the mail server's affair

test("each message that a signed-in person forwards is a report, and is taught", { skip }, async () => {
    const one = spam(), two = spam();

    await taken(await submit(report([rfc822(one.text), ["Content-Type: application/octet-stream; name=two.eml\r\nContent-Transfer-Encoding: base64",
        Buffer.from(two.text).toString("base64").replace(/.{76}/g, "$&\r\n")]]), ["spam@ours.example"]));
    await becomes("two reports to be learnt", async () => (await reports()).filter((r) => r.state === "learnt").length === 2);
    for (const r of await reports()) assert.deepEqual([r.class, r.who, r.recipient, r.channel], ["spam", ANNA, "ours.example", "mail"]);
    assert.deepEqual(backend.learnt.map((l) => [l.path, l.for]), [["/learnspam", "ours.example"], ["/learnspam", "ours.example"]]);
    assert.deepEqual(backend.learnt.map((l) => whole(l.body)).sort(), [one, two].map((m) => whole(m.text)).sort());
    assert.match(postfix.maillog(), /relay=postern-pipe, .*status=sent \(delivered via postern-pipe service/);
    assert.match(pipe.log(), /report taken .*proof="signed in"/, logs());
});

test("over LMTP a message of the log is what is reported, and learnt from the copy", { skip }, async () => {
    const mail = spam(), before = (await reports()).length;

    await taken(await arrive(mail.text, [ANNA], "shop@shops.example"));
    const [{ uid }] = await becomes("its row", async () => { const rows = await sql(`SELECT uid FROM message WHERE message_id LIKE '%${mail.id}%'`); return rows.length ? rows : undefined; });
    await taken(await submit(report([rfc822(mail.text)]), ["ham@ours.example"]));
    await becomes("the report", async () => (await reports()).length === before + 1 && (await reports()).at(-1).state === "learnt");
    const last = (await reports()).at(-1);
    assert.deepEqual([last.class, last.subject, last.who], ["ham", `uid:${uid}`, ANNA]);
    assert.equal(whole(backend.learnt.at(-1).body), whole(mail.text));
    assert.equal(backend.learnt.at(-1).path, "/learnham");
    assert.match(trainer.log(), /report taken .*class=ham .*proof="signed in" .*matched=yes/);
    assert.match(postfix.maillog(), /relay=\S*report\.sock\S*, .*status=sent \(250 2\.0\.0 ok\)/);
});

test("an alias's command takes one too", { skip }, async () => {
    const before = (await reports()).length;

    await taken(await submit(report([rfc822(spam().text)]), ["spam@local.example"]));
    await becomes("the report", async () => (await reports()).length === before + 1 && (await reports()).at(-1).state === "learnt");
});

test("whoever wants to hear that it was delivered hears nothing", { skip }, async () => {
    const asks = (rcpt) => `${rcpt}> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;${rcpt}`;
    const over = await arrive(report([rfc822(spam().text)], { from: "x@ext.example" }), [asks("ham@ours.example")]);

    assert.match(over.rcpt[0], /^5\d\d .*DSN/); // the recipe's smtpd does not offer it
    const direct = await rawTcp(lmtp, `LHLO x\r\nMAIL FROM:<x@ext.example> RET=HDRS\r\nRCPT TO:<${asks("ham@ours.example")}>\r\nDATA\r\n${report([], { from: "x@ext.example" })}.\r\nQUIT\r\n`, { split: 7 });
    assert.match(direct.toString(), /^220 .*\r\n(250-.*\r\n)+250 DSN\r\n250 .*\r\n250 .*\r\n354 .*\r\n250 2\.0\.0 ok\r\n221 .*\r\n$/);
});

const bomb = (depth) => Array.from({ length: depth }, () => "Content-Type: message/rfc822\r\n\r\n").join("");
const PASS = "Authentication-Results: mx.ours.example; dmarc=pass header.from=ours.example\r\n";
// How it comes, who writes the envelope, what it is, and the log's word on it.
const refused = [
    ["a forged From", () => arrive(report([rfc822(spam().text)]), both), /nothing proves that its author sent it/],
    ["a forged From with a forged proof", () => arrive(report([rfc822(spam().text)], { extra: PASS }), both), /nothing proves that its author sent it/],
    ["somebody else who is signed in", () => submit(report([rfc822(spam().text)]), both, { user: "bob@ours.example" }), /who was signed in is not its author/],
    ["a stranger", () => arrive(report([rfc822(spam().text)], { from: "x@ext.example" }), both), /its author has no mailbox here/],
    ["a bounce", () => arrive(report([rfc822(spam().text)]), both, ""), /it comes from <>/],
    ["a program", () => submit(report([rfc822(spam().text)], { extra: "Auto-Submitted: auto-generated\r\n" }), both), /a program sent it/],
    ["nothing attached", () => submit(report([]), both), /no message is attached to it/],
    ["a bomb of nested messages", () => submit(report([["Content-Type: message/rfc822", bomb(500)]]), both), /limit of depth was reached/],
    ["a thousand attachments", () => submit(report(Array.from({ length: 1000 }, () => rfc822("From: x@y.example\r\nSubject: x\r\n\r\nx"))), both), /limit of parts was reached/],
    ["too many", () => submit(report(Array.from({ length: 51 }, () => rfc822("From: x@y.example\r\nSubject: x\r\n\r\nx"))), both), /more than 50 messages are attached/],
];
const both = ["spam@ours.example", "ham@ours.example"];

test("what is not proven, or is no report, is dropped and logged: nothing is learnt, and no mail goes out", { skip }, async () => {
    const before = [await reports(), backend.learnt.length, sink.messages.length], mark = postfix.maillog().length;

    for (const [what, send, why] of refused) {
        const marks = [pipe.log().length, trainer.log().length];
        const logged = (log, mark) => log().slice(mark).split("\n").some((l) => /report dropped why=/.test(l) && why.test(l));

        await taken(await send());
        await becomes(`${what}: the pipe's word`, () => logged(pipe.log, marks[0]));
        await becomes(`${what}: LMTP's word`, () => logged(trainer.log, marks[1]));
    }
    await becomes("an empty queue", async () => (await queue()) === "");
    assert.deepEqual([await reports(), backend.learnt.length, sink.messages.length], before);
    assert.doesNotMatch(postfix.maillog().slice(mark), /status=(bounced|deferred)|from=<>.*status|postfix\/bounce/);
});

test("one that is too large is read to its end and dropped", { skip }, async () => {
    const large = report([rfc822(spam().text + "x".repeat(78).concat("\r\n").repeat(5000))]), before = [(await reports()).length, sink.messages.length];
    const args = ["report-mail", "--rcpt=spam@ours.example", `--sender=${ANNA}`];
    const piped = await run(join(bin, "report"), args, { input: large, user: "vmail" });

    assert.deepEqual([piped.code, piped.stdout], [0, ""]);
    assert.match(pipe.log(), /report dropped why="it is larger than \[rulesd\] max_message"/);
    const said = await rawTcp(lmtp, `LHLO x\r\nMAIL FROM:<${ANNA}> SIZE=${large.length}\r\nRCPT TO:<ham@ours.example>\r\nDATA\r\n${large}.\r\nQUIT\r\n`);
    assert.match(said.toString(), /\r\n354 .*\r\n250 2\.0\.0 ok\r\n221 /);
    assert.match(trainer.log(), /report dropped why="it is larger than/);
    const metrics = (await http(health, { path: "/metrics", method: "GET" })).text;
    assert.match(metrics, /^postern_trainer_mail_dropped_today\{reason="too large"\} 2$/m);
    assert.match(metrics, /^postern_trainer_mail_taken_today [1-9]/m);
    assert.deepEqual([(await reports()).length, sink.messages.length], before);
});

test("what the mailbox itself sent is no report", { skip }, async () => {
    const before = (await reports()).length;

    await taken(await submit(report([rfc822(`From: Anna <${ANNA}>\r\nSubject: mine\r\n\r\nHello.\r\n`)]), ["spam@ours.example"]));
    await becomes("the log's word", () => /report refused why="the mailbox sent it itself"/.test(pipe.log()));
    assert.equal((await reports()).length, before);
});

test("while the store is away a report stays in the queue, and nobody is told; then it is taken", { skip }, async () => {
    const before = [(await reports()).length, sink.messages.length], url = site.settings.store.url;

    site.configure({ store: { url: `sqlite:${site.dir}/elsewhere/postern.db` } });
    await trainer.stop();
    await taken(await submit(report([rfc822(spam().text)]), both));
    await becomes("both to wait", () => /relay=postern-pipe.*status=deferred \(temporary failure/.test(postfix.maillog()) && /to=<ham@ours\.example>.*status=deferred/.test(postfix.maillog()));
    site.configure({ store: { url } });
    trainer = await start("trainer", program("postern-trainer"), ["-c", site.conf], { dir: site.dir, ready: () => canConnect(lmtp) });
    await postfix.postfix("postqueue", "-f");
    await becomes("both to be taken", async () => (await reports()).length === before[0] + 2 && (await queue()) === "");
    assert.equal(sink.messages.length, before[1]);
});

test("who has reported enough for a minute waits in the queue, by whichever way", { skip }, async () => {
    const before = [(await reports()).length, sink.messages.length], minute = Math.floor(Date.now() / 60000) * 60000000, marks = [postfix.maillog().length, trainer.log().length];

    await sql(`INSERT INTO counter SELECT 'report.mail.minute', '${ANNA}', ${minute} + value, 60 FROM json_each('[0, 60000000, 120000000]') WHERE true ON CONFLICT DO UPDATE SET value = 60`);
    await taken(await submit(report([rfc822(spam().text)]), both));
    await becomes("both to wait", () => /relay=postern-pipe.*status=deferred \(temporary failure/.test(postfix.maillog().slice(marks[0])) && /to=<ham@ours\.example>.*status=deferred/.test(postfix.maillog().slice(marks[0])));
    assert.match(trainer.log().slice(marks[1]), /reports more than 60 messages a minute/);
    await sql("DELETE FROM counter WHERE name = 'report.mail.minute'");
    await postfix.postfix("postqueue", "-f");
    await becomes("both to be taken", async () => (await reports()).length === before[0] + 2 && (await queue()) === "");
    assert.equal(sink.messages.length, before[1]);
});

test("whatever the command cannot do is to be tried again", { skip }, async () => {
    const mail = report([rfc822(spam().text)]), broken = join(bin, "broken.conf");
    const code = async (args, conf = site.conf) => (await run(program("postern"), ["-c", conf, "report-mail", ...args], { input: mail })).code;

    writeFileSync(broken, "[nonsense]\nx = y\n");
    for (const args of [[], ["--rcpt=anna@ours.example"], ["--rcpt=spam@ext.example"], ["--rcpt=spam@ours.example", "--more"], ["--rcpt=", "x"]])
        assert.equal(await code(args), 75, args.join(" "));
    assert.equal(await code(["--rcpt=spam@ours.example", `--sender=${ANNA}`]), 75); // root's files would be nobody else's
    assert.equal(await code(["--rcpt=spam@ours.example"], broken), 75);
    assert.equal(await code(["--rcpt=spam@ours.example"], join(bin, "none.conf")), 75);
});

test("over TCP only an MTA of ours may come; an address that is none for reports is put off", { skip }, async () => {
    const said = async (to, text) => (await rawTcp(to, text)).toString();
    const ports = [await freePort(), await freePort()];
    const others = [];

    for (const [i, mta_from] of [[0, "127.0.0.1"], [1, "192.0.2.1"]]) {
        const own = await makeSite({ trainer: { report_spam: "spam", listen_lmtp: `127.0.0.1:${ports[i]}` }, rulesd: { mta_from } });
        await own.must("init");
        others.push([own, await start("trainer", program("postern-trainer"), ["-c", own.conf], { dir: own.dir, ready: () => canConnect(ports[i]) })]);
    }
    assert.match(await said(ports[0], "LHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<anna@ours.example>\r\nDATA\r\nQUIT\r\n"),
        /\r\n450 4\.1\.1 no address for reports\r\n503 .*\r\n221 .*\r\n$/);
    assert.match(await said(ports[1], ""), /^421 4\.7\.1 /);
    // More sessions than there are threads wait, and each is served.
    const all = await Promise.all(Array.from({ length: 20 }, () => said(ports[0], "LHLO x\r\nQUIT\r\n")));
    assert.ok(all.every((text) => /221 2\.0\.0 bye\r\n$/.test(text)));
    let greeted;
    const ready = new Promise((done) => { greeted = done; });
    const open = rawTcp(ports[0], "LHLO x\r\n", { halfClose: false, until: (bytes) => { if (bytes.includes("250 DSN")) greeted(); return false; } });
    await ready;
    for (const [own, server] of others) { assert.equal(await server.stop(), 0, server.log()); own.remove(); }
    assert.match((await open).toString(), /\r\n421 4\.4\.2 going down\r\n$/); // whoever is in the middle of something is told
});

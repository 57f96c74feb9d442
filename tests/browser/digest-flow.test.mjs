// A digest from the mail that it tells of to the button in it, with nothing in between that is not real: SMTP to Postfix, Rspamd's proxy as its
// milter, rulesd and the quarantine; postern-digest at its hour, Postfix and rulesd once more, Dovecot's mailbox; and the letter as it lies
// there, in Chromium. Scanners that open every link, with scripts and with cookies, change nothing; a person's press releases that message.
// So does their answer, which Postfix hands over by the very lines of docs/digest.md; nobody else's does.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import {
    canConnect, cannot, example, freePort, letter, mainCf, makeDovecotAgent, makeSite, program, root, rspamdFinds, run, sections, signIn, smtpSend, start,
    startAuth, startPortal, startPostfix, startRspamdScanner, startRulesd, tempDir, waitFor,
} from "../system/lib/index.mjs";
import { ANNA, barriers, openBrowser, overhang } from "./lib.mjs";

const skip = cannot("postfix", "rspamd", "dovecot-core", "dovecot-sieve");
const HOUR = 3600_000, BOB = "bob@ours.example", ANSWERS = "digest-answers@ours.example";
let site, postfix, rspamd, dovecot, browser, anna, auth, daemon, submission, bin;

// What docs/digest.md tells to write for answers: settings, the table over LMTP, and three texts for the pipe.
const SOCKET = "/run/postern-digest/answers.sock";
const [conf, overLmtp, pipeMaster, pipeMain] = [...readFileSync(join(root, "docs/digest.md"), "utf8").split("## Release by replying\n")[1].matchAll(/^```\w*\n([\s\S]*?)^```$/gm)].map((m) => m[1]);
const overPipe = overLmtp.replace(`postern-lmtp:unix:${SOCKET}`, "postern-answers:");

before(async () => {
    if (skip) return;
    const [scanner, milter, release] = [await freePort(), await freePort(), await freePort()];

    bin = tempDir("bin");
    auth = await startAuth();
    submission = await freePort();
    dovecot = makeDovecotAgent({ config: () => "", files: {} });
    site = await makeSite();
    writeFileSync(join(bin, "transport"), overLmtp.replace(SOCKET, join(site.dir, "answers.sock")), { mode: 0o644 });
    postfix = await startPostfix({
        sink: 9,
        main: { ...mainCf(example("rspamd-proxy/main.cf", { "inet:127.0.0.1:11332": `inet:127.0.0.1:${milter}` })), relay_transport: "dovecot", default_transport: "dovecot", dovecot_destination_recipient_limit: "1", transport_maps: `texthash:${join(bin, "transport")}`, ...mainCf(pipeMain) },
        master: [
            example("rspamd-proxy/master.cf", { "127.0.0.1:10025": `127.0.0.1:${release}` }), example("spamc/master.cf", { "/usr/lib/dovecot/dovecot-lda": dovecot.agent }),
            example("report-mail/master.cf"), pipeMaster.replace("user=postern", "user=vmail").replace("/usr/bin/postern", join(bin, "answer")),
            example("submission/master.cf", { "submission inet": `127.0.0.1:${submission} inet`, "=encrypt": "=none", "private/auth": `inet:127.0.0.1:${auth.port}` }).replace(/^ {2}-o smtpd_sender_restrictions=.*\n/m, ""),
        ].join(""),
    });
    site.configure(sections(example("rspamd-proxy/postern.conf", {
        "/run/postern/http.sock": site.httpSock, "127.0.0.1:11333": `127.0.0.1:${scanner}`, "127.0.0.1:10025": `127.0.0.1:${release}`, "/var/log/mail.log": `${postfix.dir}/mail.log`,
    })));
    site.configure(sections(conf.replace(SOCKET, join(site.dir, "answers.sock"))));
    site.configure({ smtp: { url: `smtp://127.0.0.1:${postfix.port}`, from: "Post <post@ours.example>" }, rulesd: { mta_users: "_rspamd, postfix" } });
    await site.must("init");
    await site.must("domain", "add", "ours.example", "--at-block", "quarantine", "--at-reject", "quarantine");
    await site.must("account", "add", ANNA);
    await site.must("mailbox", "add", ANNA);
    await site.must("mailbox", "add", BOB);
    // What she blocks: her digests too, if they were anybody's mail.
    const blocks = ["rule", "add", "--scope", `mailbox:${ANNA}`, "block"];
    await site.must(...blocks, "--name", "No wares", "--subject", "wares");
    await site.must(...blocks, "--name", "Nothing from Post", "--sender", "post@ours.example");
    await site.must(...blocks, "--name", "No quarantines", "--subject", "quarantine");
    await startRulesd({ site, init: false });
    rspamd = await startRspamdScanner({
        port: scanner, ports: [milter],
        local: { "worker-proxy.inc": example("rspamd-proxy/worker-proxy.inc", { "localhost:11332": `127.0.0.1:${milter}`, "/run/postern/http.sock": site.httpSock }), "rspamd.local.lua": rspamdFinds },
    });
    await startPortal(site);
    anna = await signIn(site, ANNA);
    browser = await openBrowser(site);
});
after(async () => { for (const stop of [browser?.close, daemon?.stop, auth?.stop, site?.stopPortal, site?.stop, rspamd?.stop, postfix?.stop, dovecot?.remove, site?.remove]) await stop?.(); });

const logs = () => [postfix.maillog(), rspamd.log(), site.log(), dovecot.log()].map((l) => l.split("\n").slice(-30).join("\n")).join("\n----\n");
const ask = (file, sql) => execFileSync("sqlite3", ["-readonly", "-cmd", ".timeout 5000", join(site.dir, file), sql]).toString();
const send = async (mail) => assert.match((await smtpSend(postfix.port, { from: "writer@ext.example", rcpts: [ANNA], message: mail.text })).data, /^250 /, logs());
const held = (mail) => waitFor(`${mail.subject} to be held`, () => ask("log.db", `SELECT d.verdict FROM delivery d JOIN message m ON m.uid = d.uid WHERE m.subject = '${mail.subject}'`).includes("quarantined")).catch((e) => assert.fail(`${e.message}\n${logs()}`));
const copies = (mail) => dovecot.mailbox(ANNA).filter((text) => text.includes(`Message-ID: <${mail.id}>`)).length;
const digests = () => dovecot.mailbox(ANNA).filter((text) => /^List-Id: <.*\.digest\./m.test(text));
const runAt = async (now) => { const { code, stderr } = await run(program("postern-digest"), ["-c", site.conf, "--once", "--now", now.toISOString().replace(/\.\d+Z/, "Z")]); assert.equal(code, 0, stderr); return stderr; };

// The parts of a multipart/alternative, decoded: by type.
function parts(text) {
    const bound = /boundary="?([^"\s;]+)"?/.exec(text)[1];

    return Object.fromEntries(text.replaceAll("\r\n", "\n").split(`--${bound}`).slice(1, -1).map((part) => {
        const [head, ...rest] = part.replace(/^\n/, "").split("\n\n"), body = rest.join("\n\n");
        const bytes = /base64/i.test(head) ? Buffer.from(body, "base64")
            : /quoted-printable/i.test(head) ? Buffer.from(body.replace(/=\n/g, "").replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16))), "latin1") : Buffer.from(body, "latin1");
        return [/Content-Type: *([^;\s]+)/i.exec(head)[1], bytes.toString("utf8")];
    }));
}
// All that a press could change.
const everything = () => JSON.stringify([
    ask("log.db", "SELECT * FROM release; SELECT uid, n, verdict, state FROM delivery ORDER BY uid, n"),
    ask("postern.db", "SELECT id FROM rule ORDER BY id; SELECT COUNT(*) FROM audit; SELECT id, paused_until_us FROM digest_subscription; SELECT COUNT(*) FROM session; SELECT COUNT(*) FROM learned"),
    dovecot.mailbox(ANNA).length,
]);
const wanted = letter("wares that are wanted"), other = letter("wares of somebody else"), third = letter("wares, the third");
let html, links;

test("what is quarantined is told of at the person's hour, in a letter that no rule of theirs stops", { skip }, async () => {
    const hour = new Date(Math.ceil(Date.now() / HOUR) * HOUR + HOUR);
    const made = await anna.post("/me/digests", { kind: "mailbox", of: ANNA, minute: hour.getUTCHours() * 60, zone: "UTC", language: "en", tells: ["quarantined", "blocked", "spam"] });

    assert.ok(made.status < 300, made.text);
    for (const mail of [wanted, other]) { await send(mail); await held(mail); }
    assert.deepEqual([copies(wanted), copies(other)], [0, 0]);
    await runAt(new Date(hour - 60_000));
    assert.equal(ask("log.db", "SELECT COUNT(*) FROM digest_run").trim(), "0", "a minute early");
    await runAt(new Date(+hour + 60_000));
    const [text] = await waitFor("the digest in the mailbox", () => digests().length > 0 && digests()).catch((e) => assert.fail(`${e.message}\n${logs()}`));
    assert.match(text, /^Subject: 2 messages in your quarantine$/m);
    assert.match(text, /^Auto-Submitted: auto-generated$/m);
    html = parts(text)["text/html"];
    for (const mail of [wanted, other]) assert.ok(html.includes(mail.subject), html);
    links = [...new Set([...html.matchAll(/href="([^"]+)"/g)].map((m) => m[1].replaceAll("&amp;", "&")).concat(/^List-Unsubscribe: <(.*?)>/m.exec(text.replace(/\n[ \t]+/g, ""))[1]))];
    assert.ok(links.length >= 8 && links.every((l) => l.startsWith(`${site.origin}/`)), links.join("\n"));
    await runAt(new Date(+hour + 120_000));
    assert.equal(digests().length, 1, "and it comes once");
});

test("a scanner that GETs and HEADs every link and follows redirects changes nothing", { skip }, async () => {
    const was = everything();

    for (const link of links)
        for (const method of ["HEAD", "GET", "GET", "OPTIONS"]) assert.ok((await fetch(link, { method, redirect: "follow" })).status < 500, `${method} ${link}`);
    assert.equal(everything(), was);
});

test("a browser that runs scripts, keeps cookies and opens every link changes nothing", { skip }, async () => {
    const page = await browser.stranger(), was = everything();

    for (const round of [1, 2])
        for (const link of links) {
            const got = await page.goto(link, { waitUntil: "load" });
            assert.ok(got.status() < 500, `${link}: ${got.status()}, round ${round}`);
        }
    assert.ok((await page.context().cookies()).length > 0, "it had cookies to keep");
    assert.equal(everything(), was);
    assert.deepEqual(page.wrong, []);
    await page.done();
});

test("a press on Release in the letter, and one on the page, releases exactly that message into the mailbox", { skip }, async () => {
    const page = await browser.stranger({ width: 600 }), file = join(site.dir, "letter.html");

    writeFileSync(file, html);
    await page.goto(`file://${file}`);
    const item = page.locator(".card", { hasText: wanted.subject });
    await item.getByRole("link", { name: "Release", exact: true }).click();
    await page.waitForURL(`${site.origin}/d/**`);
    assert.ok((await page.locator("body").innerText()).includes(wanted.subject));
    assert.equal(copies(wanted), 0, "looking at it is not releasing it");
    assert.deepEqual(await barriers(page), []);
    assert.equal(await overhang(page), 0);
    await page.getByRole("button", { name: "Release", exact: true }).click();
    await waitFor("it in the mailbox", () => copies(wanted) === 1).catch((e) => assert.fail(`${e.message}\n${logs()}`));
    await waitFor("the page to say so", async () => { await page.reload(); return /released/i.test(await page.locator("h1").innerText()); });
    assert.equal(copies(other), 0, "and no other");
    assert.deepEqual(page.wrong, []);
    await page.done();
    const released = ask("log.db", "SELECT m.subject FROM release r JOIN message m ON m.uid = r.uid").trim();
    assert.equal(released, wanted.subject);
});

test("a second letter tells of what is new alone", { skip }, async () => {
    const next = new Date(Date.now() + 26 * HOUR);

    await send(third);
    await held(third);
    await runAt(next);
    const texts = await waitFor("the second digest", () => digests().length === 2 && digests()).catch((e) => assert.fail(`${e.message}\n${logs()}`));
    const second = texts.map((t) => parts(t)["text/html"]).find((h) => h.includes(third.subject));
    assert.ok(!second.includes(wanted.subject) && !second.includes(other.subject));
});

// An answer to the digest that tells of that mail, as a mail program writes it: what it says, then all of the letter, quoted.
function answer(mail, { from = ANNA, says } = {}) {
    const text = digests().find((t) => parts(t)["text/plain"].includes(mail.subject)), plain = parts(text)["text/plain"];
    const number = new RegExp(`^(\\d+)\\. ${mail.subject}$`, "m").exec(plain)[1];

    assert.match(text, new RegExp(`^Reply-To: ${ANSWERS}$`, "m"));
    return `From: ${from}\r\nTo: ${ANSWERS}\r\nSubject: Re: digest\r\nDate: ${new Date().toUTCString()}\r\nMessage-ID: <${Math.random()}@client.example>\r\nIn-Reply-To: ${/^Message-ID: (.*)$/im.exec(text)[1]}\r\n\r\n${
        says ?? `Release ${number}`}\r\n\r\nPost wrote:\r\n${plain.trim().split("\n").map((l) => `> ${l}`).join("\r\n")}\r\n`;
}
const submit = async (message, user = ANNA) => assert.match((await smtpSend(submission, { from: user, auth: [user, "secret"], rcpts: [ANSWERS], message })).data, /^250 /, logs());
const becomes = (what, ask) => waitFor(what, ask).catch((e) => assert.fail(`${e.message}\n${daemon.log()}\n${logs()}`));
const queued = async () => (await postfix.postfix("postqueue", "-j")).stdout;
// What an answer could change, and what could go out to anybody.
const done = async () => JSON.stringify([ask("log.db", "SELECT * FROM release"), ask("postern.db", "SELECT COUNT(*) FROM audit; SELECT COUNT(*) FROM rule"), dovecot.mailbox(ANNA).length, dovecot.mailbox(BOB).length, await queued()]);

test("an answer releases what it names, over LMTP by the lines of the manual", { skip }, async () => {
    daemon = await start("digest", program("postern-digest"), ["-c", site.conf], { dir: site.dir, ready: () => canConnect(`unix:${join(site.dir, "answers.sock")}`) });
    await submit(answer(other));
    await becomes("the message in the mailbox", () => copies(other) === 1);
    assert.equal(copies(third), 0, "and no other");
    await becomes("its line in the log", () => /answer releases .*proof="signed in"/.test(daemon.log()));
    await becomes("the mail server's", () => /to=<digest-answers@ours\.example>, .*relay=.*answers\.sock\].*status=sent \(250 2\.0\.0 ok\)/.test(postfix.maillog()));
    await becomes("nothing to wait in the queue", async () => await queued() === "");
});

test("nobody else's answer, and none that nothing proves, does anything; and nobody is told", { skip }, async () => {
    const was = await done(), stranger = ["ADDR=203.0.113.9 NAME=mx.ext.example"];
    const forged = (from, message) => smtpSend(postfix.port, { from, rcpts: [ANSWERS], message, xclient: stranger });

    await submit(answer(third, { from: BOB }), BOB);
    await submit(answer(third), BOB);
    for (const from of [ANNA, "bounces@ext.example", ""]) assert.match((await forged(from, answer(third))).data, /^250 /, logs());
    await submit(answer(third, { says: "Thank you!" }));
    for (const [why, times] of [["went to somebody else", 1], ["who was signed in is not its author", 1], ["nothing proves", 2], ["it comes from <>", 1], ["does not begin with", 1]])
        await becomes(why, () => daemon.log().split(`answer dropped why="`).filter((line) => line.includes(why)).length === times);
    await becomes("nothing to wait in the queue", async () => await queued() === "");
    assert.equal(await done(), was);
});

test("by the pipe of the manual it works as well, and drops as well", { skip }, async () => {
    copyFileSync(program("postern"), join(bin, "postern"));
    chmodSync(bin, 0o755);
    writeFileSync(join(bin, "log"), "", { mode: 0o666 });
    chmodSync(join(bin, "log"), 0o666);
    writeFileSync(join(bin, "answer"), `#!/bin/sh\nexec ${join(bin, "postern")} -c ${site.conf} "$@" 2>>${join(bin, "log")}\n`, { mode: 0o755 });
    execFileSync("chown", ["-R", "vmail", site.dir]); // pipe(8) runs nothing as root
    chmodSync(site.dir, 0o755);
    writeFileSync(join(bin, "transport"), overPipe);
    await postfix.reload();
    await submit(answer(third, { from: BOB }), BOB);
    await becomes("it to be dropped", () => readFileSync(join(bin, "log"), "utf8").includes("went to somebody else"));
    assert.equal(copies(third), 0);
    await submit(answer(third));
    await becomes("the message in the mailbox", () => copies(third) === 1);
    await becomes("the mail server's line", () => /relay=postern-answers, .*status=sent \(delivered via postern-answers service/.test(postfix.maillog()));
    await becomes("nothing to wait in the queue", async () => await queued() === "");
});

// A digest from the mail that it tells of to the button in it, with nothing in between that is not real: SMTP to Postfix, Rspamd's proxy as its
// milter, rulesd and the quarantine; postern-digest at its hour, Postfix and rulesd once more, Dovecot's mailbox; and the letter as it lies
// there, in Chromium. Scanners that open every link, with scripts and with cookies, change nothing; a person's press releases that message.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import {
    cannot, example, freePort, letter, mainCf, makeDovecotAgent, makeSite, program, rspamdFinds, run, sections, signIn, smtpSend, startPortal,
    startPostfix, startRspamdScanner, startRulesd, waitFor,
} from "../system/lib/index.mjs";
import { ANNA, barriers, openBrowser, overhang } from "./lib.mjs";

const skip = cannot("postfix", "rspamd", "dovecot-core", "dovecot-sieve");
const HOUR = 3600_000;
let site, postfix, rspamd, dovecot, browser, anna;

before(async () => {
    if (skip) return;
    const [scanner, milter, release] = [await freePort(), await freePort(), await freePort()];

    dovecot = makeDovecotAgent({ config: () => "", files: {} });
    postfix = await startPostfix({
        sink: 9,
        main: { ...mainCf(example("rspamd-proxy/main.cf", { "inet:127.0.0.1:11332": `inet:127.0.0.1:${milter}` })), relay_transport: "dovecot", default_transport: "dovecot", dovecot_destination_recipient_limit: "1" },
        master: example("rspamd-proxy/master.cf", { "127.0.0.1:10025": `127.0.0.1:${release}` }) + example("spamc/master.cf", { "/usr/lib/dovecot/dovecot-lda": dovecot.agent }),
    });
    site = await makeSite();
    site.configure(sections(example("rspamd-proxy/postern.conf", {
        "/run/postern/http.sock": site.httpSock, "127.0.0.1:11333": `127.0.0.1:${scanner}`, "127.0.0.1:10025": `127.0.0.1:${release}`, "/var/log/mail.log": `${postfix.dir}/mail.log`,
    })));
    site.configure({ smtp: { url: `smtp://127.0.0.1:${postfix.port}`, from: "Post <post@ours.example>" } });
    await site.must("init");
    await site.must("domain", "add", "ours.example", "--at-block", "quarantine", "--at-reject", "quarantine");
    await site.must("account", "add", ANNA);
    await site.must("mailbox", "add", ANNA);
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
after(async () => { for (const stop of [browser?.close, site?.stopPortal, site?.stop, rspamd?.stop, postfix?.stop, dovecot?.remove, site?.remove]) await stop?.(); });

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
const wanted = letter("wares that are wanted"), other = letter("wares of somebody else");
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
    const third = letter("wares, the third"), next = new Date(Date.now() + 26 * HOUR);

    await send(third);
    await held(third);
    await runAt(next);
    const texts = await waitFor("the second digest", () => digests().length === 2 && digests()).catch((e) => assert.fail(`${e.message}\n${logs()}`));
    const second = texts.map((t) => parts(t)["text/html"]).find((h) => h.includes(third.subject));
    assert.ok(!second.includes(wanted.subject) && !second.includes(other.subject));
});

// What became of mail: rulesd follows the logs of a real Postfix and a real Exim, through rotation, kills and forged lines.
import assert from "node:assert/strict";
import { appendFileSync, chownSync, copyFileSync, readdirSync, readFileSync, renameSync, truncateSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { after, before, test } from "node:test";

import {
    cannot, http, makeSite, root, sleep, smtpSend, startExim, startPostfix, startRspamdProxy, startRulesd, startSmtpSink, waitFor,
} from "./lib/index.mjs";

const skip = cannot("postfix", "rspamd", "exim4-daemon-heavy");
const busy = new Set();
let site, sink, proxy, postfix, eximRspamd, eximSpamd, plain;

// What the sink says to a recipient whose name asks for it; `busy` are those who are told to wait.
function answer(verb, line) {
    const who = /<(.*?)>/.exec(line)?.[1];

    if (verb !== "RCPT") return null;
    if (who.startsWith("bounce")) return "550 5.1.1 no status=sent (250 ok) here";
    return busy.has(who) ? "451 4.2.1 try later" : null;
}

// The variants of examples/exim: one tells its queue id, the other does not.
function eximParts(file) {
    const text = readFileSync(join(root, "examples/exim", file), "utf8").replaceAll("/run/postern/exim.sock", site.spamdSock);
    const [main, data] = text.split("acl_check_data:\n");

    return { sink: sink.port, main, data };
}

before(async () => {
    if (skip) return;
    site = await makeSite({ rulesd: { mta_users: "root, Debian-exim, _rspamd" } });
    sink = await startSmtpSink({ answer });
    proxy = await startRspamdProxy({ upstream: `unix:${site.httpSock}` });
    postfix = await startPostfix({ sink: sink.port, main: { smtpd_milters: `inet:127.0.0.1:${proxy.port}`, virtual_alias_maps: "inline:{{team@ours.example = one@ours.example, two@ours.example}}" } });
    eximRspamd = await startExim(eximParts("rspamd.conf"));
    eximSpamd = await startExim(eximParts("spamd.conf"));
    plain = join(site.dir, "plain.log");
    site.configure({
        rulesd: {
            listen_spamd: [`127.0.0.1:${site.spamd}`, `unix:${site.spamdSock}?envelope_lines=on`],
            maillog: [join(postfix.dir, "mail.log"), join(eximRspamd.dir, "log/mainlog"), join(eximSpamd.dir, "log/mainlog"), plain],
        },
    });
    await site.must("init");
    await site.must("domain", "add", "ours.example");
    await site.must("rule", "add", "--scope", "domain:ours.example", "block", "--subject", "wares");
    await startRulesd({ site, init: false });
});
after(async () => { for (const stop of [site?.stop, eximSpamd?.stop, eximRspamd?.stop, postfix?.stop, proxy?.stop, sink?.stop]) await stop?.(); site?.remove(); });

// ---- helpers ----

let number = 0;
const letter = (subject) => {
    const id = `${++number}.maillog@ext.example`;

    return { id, text: `From: a@ext.example\r\nTo: x@ours.example\r\nSubject: ${subject}\r\nMessage-ID: <${id}>\r\n\r\nHello.\r\n` };
};
const logs = () => [postfix.maillog(), eximRspamd.mainlog(), eximSpamd.mainlog(), site.log()].map((l) => l.split("\n").slice(-25).join("\n")).join("\n----\n");

async function send(mta, mail, rcpts, expected = /^250 /) {
    assert.match((await smtpSend(mta.port, { from: "a@ext.example", rcpts, message: mail.text })).data, expected, logs());
}

// "delivered 1" by recipient: the state, and how many attempts the timeline has.
async function shown(handle) {
    const { code, stdout } = await site.postern(["trace", handle, "--json"]);
    const found = code === 0 ? JSON.parse(stdout).messages : [];

    return Object.fromEntries(found.flatMap((m) => m.deliveries).map((d) => [d.recipient, `${d.state} ${d.attempts.length}`]));
}
async function comesTo(handle, expected) {
    await waitFor(`the timeline of ${handle}`, async () => JSON.stringify(await shown(handle)) === JSON.stringify(expected), { seconds: 20, everyMs: 100 }).catch(() => {});
    assert.deepEqual(await shown(handle), expected, logs());
}
const timeline = async (handle) => JSON.parse(await site.must("trace", handle, "--json")).messages[0].deliveries;
const flush = (mta) => (mta === postfix ? postfix.postfix("postqueue", "-f") : mta.exim("-qff"));

const scan = (id, rcpt, subject) => http(`unix:${site.httpSock}`, { headers: { From: "a@ext.example", Rcpt: rcpt, "Queue-Id": id }, body: letter(subject).text });

const stamp = () => new Date().toISOString();
const line = (tag, text) => `${stamp()} mx ${tag}: ${text}\n`;
const sentLine = (id, rcpt, status = "sent (250 2.0.0 ok)") =>
    line("postfix/smtp[7]", `${id}: to=<${rcpt}>, relay=mx[192.0.2.1]:25, delay=1, delays=0/0/0/0, dsn=2.0.0, status=${status}`);

// ---- Postfix ----

test("Postfix: delivered, refused, to be tried again, and by an alias to two", { skip }, async () => {
    const mail = letter("hello");

    busy.add("later@ours.example");
    await send(postfix, mail, ["a@ours.example", "bounce@ours.example", "later@ours.example", "team@ours.example"]);
    await comesTo(mail.id, { "a@ours.example": "delivered 1", "bounce@ours.example": "bounced 1", "later@ours.example": "deferred 1", "team@ours.example": "delivered 2" });
    const [a, bounced] = await timeline(mail.id);
    assert.equal(a.status, "delivered");
    assert.equal(bounced.status, "rejected");
    assert.match(bounced.attempts[0].response, /^550 5\.1\.1 no status=sent/);
    assert.equal(bounced.attempts[0].ip, "127.0.0.1");
    busy.delete("later@ours.example");
    await flush(postfix);
    await comesTo(mail.id, { "a@ours.example": "delivered 1", "bounce@ours.example": "bounced 1", "later@ours.example": "delivered 2", "team@ours.example": "delivered 2" });
});

test("Postfix: what its administrator deletes is bounced", { skip }, async () => {
    const mail = letter("to be deleted");

    busy.add("del@ours.example");
    await send(postfix, mail, ["del@ours.example"]);
    await comesTo(mail.id, { "del@ours.example": "deferred 1" });
    const [{ attempts }] = await timeline(mail.id);
    await postfix.postfix("postsuper", "-d", attempts[0].queue_id);
    await comesTo(mail.id, { "del@ours.example": "bounced 2" });
});

// ---- Exim ----

for (const [variant, mta] of [["that tells its queue id", () => eximRspamd], ["that does not, by Message-ID", () => eximSpamd]]) {
    test(`an Exim ${variant}: delivered, refused, to be tried again`, { skip }, async () => {
        const mail = letter("hello, Exim"), exim = mta();

        busy.add("later@ours.example");
        await send(exim, mail, ["a@ours.example", "bounce@ours.example", "later@ours.example"]);
        await comesTo(mail.id, { "a@ours.example": "delivered 1", "bounce@ours.example": "bounced 1", "later@ours.example": "deferred 1" });
        busy.delete("later@ours.example");
        await flush(exim);
        await waitFor("the second attempt", async () => (await shown(mail.id))["later@ours.example"].startsWith("delivered"), { seconds: 20 });
    });
}

// ---- rotation and kills ----

const reload = () => process.kill(Number(readFileSync(join(postfix.dir, "queue/pid/master.pid"), "utf8")), "SIGHUP");
const rotations = {
    renamed: (log, n) => { renameSync(log, `${log}.${n}`); reload(); },
    "copied and emptied": (log, n) => { copyFileSync(log, `${log}.${n}`); truncateSync(log); },
};

for (const [how, rotate] of Object.entries(rotations)) {
    test(`a log that is ${how} while rulesd is killed loses nothing and doubles nothing`, { skip }, async () => {
        const log = join(postfix.dir, "mail.log"), mails = Array.from({ length: 8 }, () => letter("through a kill")), who = "wait@ours.example";

        busy.add(who);
        for (const mail of mails) await send(postfix, mail, ["a@ours.example", who]);
        for (const mail of mails) await waitFor("the rows", async () => (await shown(mail.id))[who]?.startsWith("deferred"), { seconds: 20 });
        await site.kill();
        await sleep(1100); // stamps have whole seconds: the same again within one would be the same attempt
        await flush(postfix);
        await sleep(1100);
        rotate(log, how.length);
        busy.delete(who);
        await flush(postfix);
        await waitFor("the sink to have all", () => mails.every((m) => sink.messages.some((s) => s.rcpts.includes(who) && s.data.includes(m.id))), { seconds: 30 });
        await site.restart();
        const lines = readdirSync(dirname(log)).filter((n) => n.startsWith(basename(log))).map((n) => readFileSync(join(dirname(log), n), "utf8")).join("").split("\n");

        for (const mail of mails) {
            await waitFor("delivered", async () => (await shown(mail.id))[who].startsWith("delivered"), { seconds: 20 }).catch(() => assert.fail(logs()));
            const [{ attempts: [{ queue_id: id }] }] = await timeline(mail.id);
            const attempts = lines.filter((l) => l.includes(`: ${id}: to=<${who}>`)).length;
            assert.ok(attempts >= 2);
            assert.deepEqual(await shown(mail.id), { "a@ours.example": "delivered 1", [who]: `delivered ${attempts}` });
        }
    });
}

test("rulesd killed again and again in the middle of a log has it all in the end, once", { skip }, async () => {
    const ids = Array.from({ length: 60 }, (_, i) => `4kILL${String(i).padStart(6, "0")}z`), noise = [];

    for (const id of ids)
        await scan(id, "many@ours.example", "many");
    for (const id of ids) await waitFor("the row", async () => "many@ours.example" in await shown(id), { seconds: 20, everyMs: 50 });
    for (let i = 0; i < 400; i++) noise.push(sentLine(`4nOISE${String(i).padStart(6, "0")}`, "x@ext.example"));
    for (let round = 0; round < 6; round++) {
        for (const id of ids.slice(round * 10, round * 10 + 10))
            appendFileSync(plain, noise.join("") + sentLine(id, "many@ours.example", "deferred (450 later)") + sentLine(id, "many@ours.example"));
        await sleep(20 + Math.random() * 250);
        await site.kill();
        await site.restart();
    }
    for (const id of ids) await comesTo(id, { "many@ours.example": "delivered 2" });
});

// ---- forged lines ----

test("what a stranger writes into the log changes no verdict, and nothing that was held", { skip }, async () => {
    const id = "4fORGED00001z", queued = "4fORGED00002z";

    await scan(id, "forged@ours.example", "wares");
    await scan(queued, "forged@ours.example", "clean");
    for (const handle of [id, queued]) await waitFor("the row", async () => "forged@ours.example" in await shown(handle), { seconds: 20 });
    const said = `${queued}: to=<forged@ours.example>, relay=mx[192.0.2.1]:25, delay=1, delays=0/0/0/0, dsn=5.0.0, status=bounced (550 no)`;
    appendFileSync(plain, sentLine(id, "forged@ours.example") + line("postfix/postsuper[1]", `${id}: removed`) +
        line("root", said) + line("postfix[9]", said) + line("smtp[9]", said) + line("postfix/smtpd[9]", said) + line("anna", `x\n${stamp()} ${said}`) +
        line("postfix/smtpd[9]", `NOQUEUE: reject: RCPT from a[192.0.2.1]: 550 ${said}; from=<a@b> to=<c@d> proto=ESMTP helo=<${said}>`));
    appendFileSync(plain, sentLine("4kILL000000z", "many@ours.example", "sent (a marker)"));
    await waitFor("the marker", async () => (await shown("4kILL000000z"))["many@ours.example"] === "delivered 3", { seconds: 20 });
    const [blocked] = await timeline(id);
    assert.deepEqual([blocked.verdict, blocked.status, blocked.attempts.length], ["blocked", "blocked", 0]);
    assert.deepEqual(await shown(queued), { "forged@ours.example": "received 0" });
});

test("/metrics tells how the logs are followed", { skip }, async () => {
    const { text } = await http(site.http, { method: "GET", path: "/metrics" });
    const number = (name) => Number(new RegExp(`^postern_rulesd_${name} (\\S+)$`, "m").exec(text)?.[1]);

    assert.ok(number("maillog_files") >= 3, text);
    assert.ok(number("maillog_lines_total") > 0);
    assert.equal(number("maillog_failures_total"), 0, site.log());
});

// `postern quarantine release` is killed where it hurts most; postern-trainer goes on with what never left, and with nothing else.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { chmodSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { freePort, http, program, run, start, startRulesd, waitFor } from "./lib/index.mjs";

const ANNA = "anna@ours.example";
let site, mailbox, number = 0;

// A mail server that takes what comes. `hang`: the command that it does not answer, once; "." has been taken by then.
async function startMailbox() {
    const box = { messages: [], sockets: new Set(), hang: undefined, hung: undefined };
    const server = createServer((socket) => {
        let pending = "", text;
        box.sockets.add(socket);
        socket.on("error", () => { /* it was killed */ });
        socket.on("data", (bytes) => {
            pending += bytes.toString("latin1");
            for (let end; (end = pending.indexOf("\r\n")) >= 0;) {
                const line = pending.slice(0, end);
                pending = pending.slice(end + 2);
                if (text !== undefined && line !== ".") { text.push(line); continue; }
                const word = text !== undefined ? "." : line.split(/[ :]/)[0];
                if (word === ".") { box.messages.push(text.join("\r\n")); text = undefined; }
                if (word === box.hang) { box.hang = undefined; box.hung(); return; }
                if (word === "DATA") text = [];
                socket.write(word === "DATA" ? "354 go on\r\n" : word === "." ? "250 2.0.0 Ok: queued as 4XyZ123\r\n" : "250 ok\r\n");
            }
        });
        socket.write("220 mailbox\r\n");
    });

    await new Promise((done) => server.listen(0, "127.0.0.1", done));
    return Object.assign(box, {
        port: server.address().port,
        hangAt: (word) => new Promise((done) => { box.hang = word; box.hung = done; }),
        of: (subject) => box.messages.filter((m) => m.includes(`Subject: ${subject}`)).length,
        stop: () => { for (const s of box.sockets) s.destroy(); server.close(); },
    });
}

before(async () => {
    mailbox = await startMailbox();
    site = await startRulesd({ config: { rulesd: { mta_from: "127.0.0.0/8" }, delivery: { url: `smtp://127.0.0.1:${mailbox.port}` } } });
    await site.must("domain", "add", "ours.example", "--at-block", "quarantine");
    await site.must("mailbox", "add", ANNA);
    await site.must("rule", "add", "--scope", "domain:ours.example", "--name", "No wares", "block", "--subject", "wares");
});
after(async () => { await site?.stop(); mailbox?.stop(); });

async function hold() {
    const subject = `wares ${++number}.`;
    const headers = { From: "<writer@ext.example>", Rcpt: `<${ANNA}>`, IP: "192.0.2.7", Helo: "mx.ext.example", "Queue-ID": `Q${number}X`, Flags: "milter" };

    await http(`unix:${site.httpSock}`, { headers, body: Buffer.from(`From: writer@ext.example\r\nSubject: ${subject}\r\n\r\nCheap.\r\n`) });
    const row = await waitFor("the log to have it", async () =>
        JSON.parse(await site.must("quarantine", "list", "--json")).held.find((h) => h.subject === subject));
    return { uid: row.uid, subject };
}
const sql = async (text) => {
    const { code, stdout, stderr } = await run("sqlite3", ["-cmd", ".timeout 5000", join(site.dir, "log.db"), text]);
    assert.equal(code, 0, stderr);
    return stdout.trim();
};
const stateOf = (mail) => sql(`SELECT state FROM release WHERE uid = '${mail.uid}'`);
// What a quarter of an hour does to a lease, and half a minute to a request.
const timePasses = () => sql("UPDATE release SET lease_until_us = 0, changed_us = 0 WHERE state IN ('requested', 'sending')");
const startTrainer = () => start("trainer", program("postern-trainer"), ["-c", site.conf], { dir: site.dir, ready: async () => true });

async function killedAt(word, mail) {
    const hung = mailbox.hangAt(word);
    const command = spawn(program("postern"), ["-c", site.conf, "quarantine", "release", mail.uid], { stdio: "ignore" });
    const gone = once(command, "exit");

    await hung;
    command.kill("SIGKILL");
    await gone;
}

test("a release that was killed before the final dot arrives once", async () => {
    const mails = [];
    for (const word of ["EHLO", "MAIL", "RCPT", "DATA"]) {
        const mail = await hold();
        await killedAt(word, mail);
        assert.equal(await stateOf(mail), "sending", word);
        mails.push(mail);
    }
    const early = await startTrainer();
    await new Promise((done) => setTimeout(done, 500));
    for (const mail of mails) assert.equal(mailbox.of(mail.subject), 0, "somebody may still be sending it");
    await early.stop();
    await timePasses();
    const trainers = [await startTrainer(), await startTrainer()]; // neither sends what the other does
    for (const mail of mails) await waitFor(`${mail.subject} to be sent`, async () => await stateOf(mail) === "sent");
    for (const trainer of trainers) await trainer.stop();
    for (const mail of mails) {
        assert.equal(mailbox.of(mail.subject), 1);
        const [delivery] = JSON.parse(await site.must("trace", mail.uid, "--json")).messages[0].deliveries;
        assert.deepEqual([delivery.release.queue_id, delivery.status], ["4XyZ123", "received"]);
    }
    assert.equal((await site.postern(["audit", "verify"])).code, 0);
});

test("one that was killed behind the final dot is not sent again", async () => {
    const mail = await hold();
    await killedAt(".", mail);
    assert.equal(await stateOf(mail), "unknown");
    const marker = await hold(), none = site.settings.delivery.url;
    site.configure({ delivery: { url: `smtp://127.0.0.1:${await freePort()}` } });
    assert.notEqual((await site.postern(["quarantine", "release", marker.uid])).code, 0);
    site.configure({ delivery: { url: none } });
    assert.equal(await stateOf(marker), "requested");
    await sql("UPDATE release SET lease_until_us = 0, changed_us = 0 WHERE state <> 'sent'");
    const trainer = await startTrainer();
    await waitFor("the one behind it to be sent", async () => await stateOf(marker) === "sent");
    await trainer.stop();
    assert.equal(await stateOf(mail), "unknown");
    assert.deepEqual([mailbox.of(mail.subject), mailbox.of(marker.subject)], [1, 1]);
});

test("who cannot open mail says so, and leaves the request as it is", async () => {
    const mail = await hold(), port = await freePort(), route = site.settings.delivery.url;
    const metrics = async () => [...(await http(port, { path: "/metrics", method: "GET" }).catch(() => ({ text: "" }))).text
        .matchAll(/^postern_trainer_releases_(\w+) (\d+)$/mg)].map((m) => `${m[1]} ${m[2]}`).join(", ");
    const tells = (words) => waitFor(`/metrics to say ${words}`, async () => await metrics() === words);

    await killedAt("MAIL", mail);
    await timePasses();
    site.configure({ delivery: { url: `smtp://127.0.0.1:${await freePort()}` }, trainer: { listen_http: `127.0.0.1:${port}` } });
    const keys = join(site.dir, "keys"), secret = readdirSync(keys).filter((f) => f.endsWith(".key"));
    assert.equal(secret.length, 1);
    await run("mv", [join(keys, secret[0]), join(site.dir, "away.key")]);
    const blind = await startTrainer();
    await waitFor("it to say so", () => /releases wait.*secret half/.test(blind.log()));
    await tells("sent_total 0, ended_total 0, waiting 0, able 0");
    await blind.stop();
    assert.equal(await stateOf(mail), "sending");
    await run("mv", [join(site.dir, "away.key"), join(keys, secret[0])]);
    chmodSync(join(keys, secret[0]), 0o400);
    const early = await startTrainer();
    await tells("sent_total 0, ended_total 0, waiting 1, able 1");
    await early.stop();
    await timePasses();
    site.configure({ delivery: { url: route } });
    const trainer = await startTrainer();
    await waitFor("it to be sent", async () => await stateOf(mail) === "sent");
    await tells("sent_total 1, ended_total 0, waiting 0, able 1");
    await trainer.stop();
    assert.equal(mailbox.of(mail.subject), 1);
});

// Postfix, Rspamd's proxy, rulesd, and Rspamd's normal worker behind it: the files of examples/rspamd-proxy, and what
// docs/rspamd-proxy.md says about them.
import assert from "node:assert/strict";
import { appendFileSync } from "node:fs";
import { after, before, test } from "node:test";

import {
    ANNA, BOB, CLEO, EICAR, arrives, cannot, copies, example, foundTown, freePort, letter, mainCf, rspamdFinds, sections, smtpSend, startPostfix,
    startRspamdScanner, startSmtpSink, waitFor,
} from "./lib/index.mjs";

const skip = cannot("postfix", "rspamd");
let sink, postfix, town, rspamd, recipe;

before(async () => {
    if (skip) return;
    const scanner = await freePort(), milter = await freePort(), release = await freePort();

    sink = await startSmtpSink();
    postfix = await startPostfix({
        sink: sink.port,
        main: mainCf(example("rspamd-proxy/main.cf", { "inet:127.0.0.1:11332": `inet:127.0.0.1:${milter}` })),
        master: example("rspamd-proxy/master.cf", { "127.0.0.1:10025": `127.0.0.1:${release}` }),
    });
    recipe = (file, more = {}) => (site) => sections(example(`rspamd-proxy/${file}`, {
        "/run/postern/http.sock": site.httpSock, "127.0.0.1:11333": `127.0.0.1:${site.scanner}`, "scanner_timeout_ms = 10000": "scanner_timeout_ms = 3000",
        "127.0.0.1:10025": `127.0.0.1:${release}`, "/var/log/mail.log": `${postfix.dir}/mail.log`, ...more,
    }));
    town = await foundTown(recipe("postern.conf"), { scanner });
    await town.must("rule", "add", "--scope", `mailbox:${BOB}`, "--name", "Bobs secret rule", "allow", "--subject", "three ways");
    for (const who of [ANNA, CLEO])
        await town.must("rule", "add", "--scope", `mailbox:${who}`, "--name", "Another secret rule", "block", "--subject", "three ways");
    rspamd = await startRspamdScanner({
        port: scanner, ports: [milter],
        local: {
            "worker-proxy.inc": example("rspamd-proxy/worker-proxy.inc", { "localhost:11332": `127.0.0.1:${milter}`, "/run/postern/http.sock": town.httpSock }),
            "rspamd.local.lua": rspamdFinds,
            "milter_headers.conf": 'use = ["x-spamd-result"]; skip_local = false; skip_authenticated = false;', // it names all recipients
        },
    });
});
after(async () => { for (const stop of [rspamd?.stop, town?.end, postfix?.stop, sink?.stop]) await stop?.(); });

const logs = () => [postfix.maillog(), rspamd.log(), town.log()].map((l) => l.split("\n").slice(-30).join("\n")).join("\n----\n");
const send = (mail, rcpts, more = {}) => smtpSend(postfix.port, { from: "writer@ext.example", rcpts, message: mail.text, ...more });
const told = async (what, mail, rcpts, expected) => assert.match((await send(mail, rcpts)).data, expected, `${what}\n${logs()}`);

// What the log has of a message, once it is there: { …, deliveries: by recipient }.
async function logged({ id }) {
    const found = async () => {
        const { code, stdout } = await town.postern(["trace", id, "--json"]);
        return code === 0 && JSON.parse(stdout).messages[0];
    };
    const message = await waitFor(`${id} in the log`, found);
    return { ...message, deliveries: Object.fromEntries(message.deliveries.map((d) => [d.recipient, d])) };
}
const shown = async (mail) => Object.fromEntries(Object.entries((await logged(mail)).deliveries).map(([rcpt, d]) => [rcpt, `${d.verdict} ${d.state} ${d.status}`]));
// The same, once it is what it should come to.
const comesTo = async (mail, expected) => {
    await waitFor("the log to say so", async () => JSON.stringify(await shown(mail)) === JSON.stringify(expected), { seconds: 15 }).catch(() => {});
    assert.deepEqual(await shown(mail), expected, logs());
};

test("a wanted message reaches both, an unwanted one the other alone", { skip }, async () => {
    const clean = letter("clean"), wares = letter("wares");

    await told("clean", clean, [ANNA, BOB], /^250 /);
    assert.deepEqual((await arrives(sink, clean)).rcpts, [ANNA, BOB]);
    await told("wares", wares, [ANNA, BOB], /^250 /);
    assert.deepEqual((await arrives(sink, wares)).rcpts, [BOB]);
    await told("more wares", letter("more wares"), [ANNA], /^554 5\.7\.1 Blocked by the recipient's rules/);
});

test("what Rspamd finds counts", { skip }, async () => {
    const watches = letter("watches", { body: "cheap watches" }), money = letter("money", { body: "free money" });

    await told("watches", watches, [BOB], /^250 /);
    assert.match((await arrives(sink, watches)).data, /^X-Spamd-Result: [^]*^X-Spam: Yes\r$/m);
    await told("money", money, [BOB], /^554 5\.7\.1 /);
    await told("an allow", letter("invoice", { body: "free money" }), [ANNA], /^250 /);
    assert.equal(copies(sink, money).length, 0);
});

test("a virus is refused, whatever a rule allows", { skip }, async () => {
    const virus = letter("invoice", { body: EICAR }), both = letter("invoice for two", { body: EICAR });

    await told("allowed", virus, [ANNA], /^554 5\.7\.1 /);
    await told("for two", both, [ANNA, BOB], /^554 5\.7\.1 /);
    await told("to be held", letter("three ways", { body: EICAR }), [CLEO], /^554 5\.7\.1 /);
    assert.equal(copies(sink, virus).length + copies(sink, both).length, 0);
});

test("three recipients, three verdicts: one gets it, one's copy is kept, one's is held and released as it was sent", { skip }, async () => {
    const body = ["First line.", "", ".", "..dots", "trailing blanks  ", "\ttab", "8 bit: äöü", "x".repeat(900), "", "last"].join("\r\n");
    const mail = letter("three ways", { body });
    const reply = await send(mail, [BOB, ANNA, CLEO]);

    assert.match(reply.data, /^250 /, logs());
    const direct = await arrives(sink, mail);
    assert.deepEqual(direct.rcpts, [BOB]);
    await comesTo(mail, { [BOB]: "allowed delivered delivered", [ANNA]: "removed unknown blocked", [CLEO]: "quarantined unknown quarantined" });
    for (const secret of [ANNA, CLEO, "anna", "cleo", "theirs.example", "secret", "three ways rule"])
        assert.ok(!`${reply.all.join("")}${direct.data}`.toLowerCase().includes(secret), `${secret} is told`);

    const { uid, deliveries, queue_id } = await logged(mail);
    assert.match(reply.data, new RegExp(queue_id), "the queue id is Postfix's");
    assert.match(deliveries[BOB].attempts[0].response, /^250 /);

    assert.match(await town.must("quarantine", "release", uid, "--rcpt", CLEO), /released, 250 /);
    const released = (await waitFor("the released copy", () => copies(sink, mail)[1]));
    assert.deepEqual(released.rcpts, [CLEO]);
    assert.equal(released.from, "writer@ext.example");
    const sent = Buffer.from(mail.text).toString("latin1");
    assert.ok(released.data.endsWith(sent), `the message is as it was sent\n${released.data}`);
    const added = released.data.slice(0, -sent.length);
    assert.deepEqual([...added.matchAll(/^([\w-]+):/gm)].map((m) => m[1]).filter((name) => name !== "Received" && !name.startsWith("X-Postern-")), []);
    assert.ok(![ANNA, BOB].some((who) => added.includes(who)));
    await comesTo(mail, { [BOB]: "allowed delivered delivered", [ANNA]: "removed unknown blocked", [CLEO]: "quarantined delivered delivered" });
    const after = (await logged(mail)).deliveries[CLEO], last = after.attempts.at(-1);
    assert.match(last.response, /^250 /);
    assert.ok(last.queue_id && last.queue_id !== queue_id, "the released copy has a queue id of its own");

    const again = await town.postern(["quarantine", "release", uid, "--rcpt", CLEO]);
    assert.match(again.stdout + again.stderr, /already/);
    assert.equal(copies(sink, mail).length, 2);
});

test("what a sender forges does nothing", { skip }, async () => {
    const extra = [
        "X-Release-Bypass: v=2; u=00000000-0000-7000-8000-000000000000; e=9999999999; n=00; m=00", "X-Postern-Released: somewhere; now",
        `X-Envelope-To: <${BOB}>`, "X-Envelope-From: <friend@friend.example>", `Delivered-To: ${BOB}`, "X-Spam: No", "X-Spam-Status: No, score=-99.0", "X-Spam-Score: -99",
        "Authentication-Results: mx.example; dmarc=pass header.from=friend.example; spf=pass smtp.mailfrom=friend.example", "",
    ].join("\r\n");
    const wares = letter("wares, forged", { extra }), clean = letter("clean, forged", { extra, from: "a@friend.example" });

    await town.must("rule", "add", "--scope", `mailbox:${BOB}`, "--name", "A friend", "allow", "--sender", "friend.example");
    await told("blocked", wares, [ANNA], /^554 5\.7\.1 Blocked/);
    await told("held", letter("wares, forged", { extra }), [CLEO], /^250 /);
    await told("not the friend", letter("money, forged", { extra, from: "a@friend.example", body: "free money" }), [BOB], /^554 /);
    await told("clean", clean, [BOB], /^250 /);
    const { data } = await arrives(sink, clean);
    assert.doesNotMatch(data, /score=-99|^X-Spam: No|^X-Spam-Score: -99|^X-Release-Bypass/m);
});

test("lines that somebody writes into the log move nothing that is held", { skip }, async () => {
    const wares = letter("wares, and a forged log");

    await told("held", wares, [CLEO], /^250 /);
    const { queue_id } = await logged(wares);
    appendFileSync(`${postfix.dir}/mail.log`, `Nov 22 03:00:00 mx postfix/smtp[1]: ${queue_id}: to=<${CLEO}>, relay=mx.evil.example[192.0.2.1]:25, delay=1, ` +
        "delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 ok)\n");
    const marker = letter("marker behind the forged line");
    await told("marker", marker, [BOB], /^250 /);
    await comesTo(marker, { [BOB]: "clean delivered delivered" });
    await comesTo(wares, { [CLEO]: "quarantined unknown quarantined" });
});

test("postern doctor follows one message through every hop, and finds nothing wrong", { skip }, async () => {
    town.configure({ smtp: { url: `smtp://127.0.0.1:${postfix.port}`, from: "Postern <postern@mx.example>" } });
    const { code, stdout } = await town.postern(["doctor", "--mail", BOB]);

    assert.equal(code, 0, stdout);
    assert.match(stdout, /^ok +mail +the mail server took it after \d+ ms as (\w+)\n+ok +mail +rulesd judged it after \d+ ms: clean, queue id \1\n+ok +mail +delivered after \d+ ms to .*250/m);
    assert.match(stdout, /^ok +scanner +rspamd\+http:.* answers/m);
    assert.match(stdout, /^ok +release +smtp:.* takes mail\n+ok +release +port \d+ is closed to strangers/m);
    assert.match(stdout, /^ok +envelope +recipients are seen/m);
});

test("what the sender sees when something is down", { skip }, async () => {
    const later = letter("clean, after all"), down = async (what, mail, rcpts, expected) => town.without(what, () => told(`${what} down`, mail, rcpts, expected));

    await down("rulesd", later, [BOB], /^451 /);
    await down("scanner", later, [BOB], /^451 /);
    await down("scanner hung", later, [BOB], /^451 /);
    await down("room", letter("wares, no room"), [CLEO], /^451 /);
    await down("room", letter("clean, no room"), [BOB], /^250 /);
    await waitFor("it to be taken after all", async () => (await send(later, [BOB])).data.startsWith("250 "), { everyMs: 500 });
    await arrives(sink, later);
    assert.equal(copies(sink, later).length, 1);
});

test("with scanner_down = accept the rules alone decide while the scanner is down", { skip }, async () => {
    town.configure({ rulesd: { scanner_down: "accept" } });
    await town.restart();
    await town.without("scanner", async () => {
        await told("clean", letter("clean, no scanner"), [BOB], /^250 /);
        await told("wares", letter("wares, no scanner"), [ANNA], /^554 /);
    });
    town.configure({ rulesd: { scanner_down: "defer" } });
    await town.restart();
});

test("while the database is down the last compiled rules decide, and after two seconds senders wait", { skip }, async () => {
    const first = async (mail, rcpt) => (await send(mail, [rcpt])).data;

    await waitFor("the rules to be known", async () => (await first(letter("wares before"), ANNA)).startsWith("554 "), { everyMs: 500 });
    await town.without("database", async () => {
        await told("database down", letter("wares, database down"), [ANNA], /^554 /);
        await waitFor("senders to be put off", async () => (await first(letter("clean, database down"), BOB)).startsWith("451 "), { seconds: 20, everyMs: 500 });
    });
    await waitFor("senders to be heard again", async () => (await first(letter("clean again"), BOB)).startsWith("250 "), { seconds: 20, everyMs: 500 });
});

test("behind a gateway, rules about the client look at who came to the gateway", { skip }, async () => {
    town.configure(recipe("gateway.conf", { "192.0.2.25": "127.0.0.2" })(town));
    await town.restart();
    await town.must("rule", "add", "--scope", `mailbox:${BOB}`, "--name", "Not from there", "block", "--ip", "203.0.113.0/24");
    const gateway = await startPostfix({ sink: postfix.port, main: { smtp_bind_address: "127.0.0.2", smtp_send_xforward_command: "no" } });

    try {
        const bad = letter("from a bad network"), good = letter("from a good network");
        const through = (mail, address) => smtpSend(gateway.port, { from: "writer@ext.example", rcpts: [BOB], message: mail.text, xclient: [`ADDR=${address} NAME=mx.ext.example`] });

        await through(bad, "203.0.113.9");
        await through(good, "198.51.100.9");
        await arrives(sink, good);
        await waitFor("the gateway to be told no", () => /status=bounced \(host .* said: 554 5\.7\.1 Blocked/.test(gateway.maillog()));
        assert.equal(copies(sink, bad).length, 0);
    } finally {
        await gateway.stop();
    }
});

test("when Rspamd as a whole is down, Postfix has the sender try again", { skip }, async () => {
    await rspamd.stop();
    assert.match((await send(letter("no Rspamd"), [BOB])).all.join(""), /^451 4\.7\.1 Service unavailable/m);
});

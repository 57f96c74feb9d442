// OpenSMTPD, its filter-rspamd, and rulesd: the files of examples/opensmtpd, and what docs/opensmtpd.md says about them.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import {
    ANNA, BOB, CLEO, arrives, cannot, copies, example, foundTown, freePort, letter, sections, smtpSend, spamdFinds, startOpensmtpd, startSmtpSink,
    startSpamd, waitFor,
} from "./lib/index.mjs";

const skip = cannot("opensmtpd", "opensmtpd-filter-rspamd", "spamassassin", "spamd");
let sink, spamd, town, mta;

before(async () => {
    if (skip) return;
    sink = await startSmtpSink();
    spamd = await startSpamd({ local: spamdFinds });
    town = await foundTown((site) => {
        const settings = sections(example("opensmtpd/postern.conf", { "127.0.0.1:11344": `127.0.0.1:${site.http}` }));

        return { rulesd: { ...settings.rulesd, scanner_timeout_ms: 3000, scanner: `spamd://127.0.0.1:${site.scanner}` } };
    }, { scanner: spamd.port });
    const port = await freePort();
    const config = example("opensmtpd/smtpd.conf", { "127.0.0.1:11344": `127.0.0.1:${town.http}`, "0.0.0.0 port 25": `127.0.0.1 port ${port}` });
    mta = await startOpensmtpd({ port, config: `${config}
action "sink" relay host smtp://127.0.0.1:${sink.port}
match from any for any action "sink"
` });
});
after(async () => { for (const stop of [mta?.stop, town?.end, spamd?.stop, sink?.stop]) await stop?.(); });

const logs = () => `${mta.log().split("\n").slice(-40).join("\n")}\n----\n${town.log()}`;
const send = (mail, rcpts) => smtpSend(mta.port, { from: "writer@ext.example", rcpts, message: mail.text });

const told = async (what, mail, rcpts, expected) => assert.match((await send(mail, rcpts)).data, expected, `${what}\n${logs()}`);

test("a wanted message is delivered, and one that all block is refused", { skip }, async () => {
    const clean = letter("clean"), wares = letter("wares");

    assert.match((await send(clean, [ANNA, CLEO])).data, /^250 /, logs());
    await arrives(sink, clean);
    assert.match((await send(wares, [ANNA])).data, /^550 .*Blocked by the recipient's rules/, logs());
    assert.equal(copies(sink, wares).length, 0);
});

test("nobody's block refuses another's mail", { skip }, async () => {
    const wares = letter("wares for two");

    assert.match((await send(wares, [ANNA, BOB])).data, /^250 /, logs());
    await arrives(sink, wares);
});

test("with the password its word counts: what it asks about is logged, with its queue id", { skip }, async () => {
    const clean = letter("clean, logged");

    await told("clean", clean, [ANNA], /^250 /);
    const found = await waitFor("the log", async () => {
        const { code, stdout } = await town.postern(["trace", clean.id, "--json"]);
        return code === 0 && JSON.parse(stdout).messages[0];
    });
    assert.match(found.queue_id, /^[0-9a-f]{8}$/);
    assert.equal(found.sender, "writer@ext.example");
    assert.deepEqual(found.deliveries.map((d) => d.recipient), [ANNA]);
});

test("what a scanner behind rulesd finds counts", { skip }, async () => {
    const watches = letter("watches", { body: "cheap watches" });

    await told("watches", watches, [BOB], /^250 /);
    assert.match((await arrives(sink, watches)).data, /^X-Spam: yes\r$/mi);
    await told("money", letter("money", { body: "free money" }), [BOB], /^550 /);
});

test("what would be held is refused", { skip }, async () => {
    const wares = letter("wares");

    await told("held elsewhere", wares, [CLEO], /^550 .*Blocked by the recipient's rules/);
    assert.equal(copies(sink, wares).length, 0);
});

test("what the sender sees when something is down", { skip }, async () => {
    await town.without("rulesd", () => told("rulesd down", letter("rulesd down"), [BOB], /^421 /));
    for (const what of ["scanner", "scanner hung"]) await town.without(what, () => told(`${what}`, letter(what), [BOB], /^451 /));
    await waitFor("the scanner to be asked again", async () => (await send(letter("well again"), [BOB])).data.startsWith("250 "), { everyMs: 500 });
});

test("while the database is down the last compiled rules decide, and after two seconds mail passes unfiltered", { skip }, async () => {
    const reply = async (mail, rcpt) => (await send(mail, [rcpt])).data;

    await told("its rules are known", letter("wares before"), [ANNA], /^550 /);
    await town.without("database", async () => {
        await told("database down", letter("wares, database down"), [ANNA], /^550 /);
        await waitFor("mail to pass unfiltered", async () => (await reply(letter("wares, later"), ANNA)).startsWith("250 "), { seconds: 20, everyMs: 500 });
    });
    await waitFor("rules to decide again", async () => (await reply(letter("wares again"), ANNA)).startsWith("550 "), { seconds: 20, everyMs: 500 });
});

// Postfix, spamass-milter, rulesd, and a spamd behind it: the files of examples/spamass-milter, and what
// docs/spamass-milter.md says about them.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import {
    ANNA, BOB, CLEO, arrives, cannot, copies, example, foundTown, letter, mainCf, sections, smtpSend, spamdFinds, startPostfix, startSmtpSink,
    startSpamassMilter, startSpamd, tempDir, waitFor,
} from "./lib/index.mjs";

const skip = cannot("postfix", "spamass-milter", "spamassassin", "spamd");
let sink, spamd, town, milter, postfix;

before(async () => {
    if (skip) return;
    sink = await startSmtpSink();
    spamd = await startSpamd({ local: spamdFinds });
    town = await foundTown((site) => sections(example("spamass-milter/postern.conf", {
        "/run/postern/spamd.sock": site.spamdSock, "127.0.0.1:11344": `127.0.0.1:${site.http}`, "127.0.0.1:783": `127.0.0.1:${site.scanner}`, "scanner_timeout_ms = 10000": "scanner_timeout_ms = 3000",
    })), { scanner: spamd.port });
    milter = await startSpamassMilter({ options: /^OPTIONS="(.*)"$/m.exec(example("spamass-milter/spamass-milter", { "/run/postern/spamd.sock": town.spamdSock }))[1] });
    const checks = join(tempDir("checks"), "header_checks");

    writeFileSync(checks, example("spamass-milter/postern_header_checks"));
    postfix = await startPostfix({
        sink: sink.port,
        main: mainCf(example("spamass-milter/main.cf", {
            "unix:spamass/spamass.sock": `inet:127.0.0.1:${milter.port}`, "/etc/postfix/postern_header_checks": checks,
        })),
    });
});
after(async () => { for (const stop of [postfix?.stop, milter?.stop, town?.end, spamd?.stop, sink?.stop]) await stop?.(); });

const logs = () => [postfix.maillog(), milter.log(), town.log()].map((l) => l.split("\n").slice(-30).join("\n")).join("\n----\n");
const send = (mail, rcpts, more = {}) => smtpSend(postfix.port, { from: "writer@ext.example", rcpts, message: mail.text, ...more });

const told = async (what, mail, rcpts, expected) => assert.match((await send(mail, rcpts)).data, expected, `${what}\n${logs()}`);

test("a wanted message is delivered, and one that all block is refused", { skip }, async () => {
    const clean = letter("clean"), wares = letter("wares");

    assert.match((await send(clean, [ANNA, BOB])).data, /^250 /, logs());
    assert.match((await arrives(sink, clean)).data, /^X-Spam-Status: No, score=/m);
    assert.match((await send(wares, [ANNA])).data, /^550 5\.7\.1 Blocked by SpamAssassin/, logs());
    assert.equal(copies(sink, wares).length, 0);
});

test("a sender's own X-Envelope lines choose nobody's rules", { skip }, async () => {
    const extra = `X-Envelope-To: <${BOB}>\r\nX-Envelope-From: <friend@ext.example>\r\nX-Spam-Status: No, score=-50\r\n`;
    const single = letter("wares", { extra }), both = letter("wares too", { extra: extra.replace(BOB, "nobody@theirs.example") });

    await town.must("rule", "add", "--scope", `mailbox:${BOB}`, "--name", "Bobs rule", "block", "--subject", "wares too");
    assert.match((await send(single, [ANNA])).data, /^550 /, logs());
    assert.match((await send(both, [ANNA, BOB])).data, /^550 /, logs());
});

test("a rule about the client's address sees it in the milter's own line", { skip }, async () => {
    await town.must("rule", "add", "--scope", `mailbox:${BOB}`, "--name", "Not from there", "block", "--ip", "203.0.113.0/24");
    for (const [address, told] of [["203.0.113.9", /^550 /], ["198.51.100.9", /^250 /]])
        assert.match((await send(letter(`from ${address}`), [BOB], { xclient: [`ADDR=${address} NAME=mx.ext.example`] })).data, told, logs());
});

test("nobody's block refuses another's mail", { skip }, async () => {
    const wares = letter("wares for two");

    assert.match((await send(wares, [ANNA, BOB])).data, /^250 /, logs());
    await arrives(sink, wares);
});

test("what the scanner finds counts", { skip }, async () => {
    const watches = letter("watches", { body: "cheap watches" });

    await told("watches", watches, [ANNA], /^250 /);
    assert.match((await arrives(sink, watches)).data, /^X-Spam-Flag: YES\r$/m);
    await told("money", letter("money", { body: "free money" }), [ANNA], /^550 5\.7\.1 /);
});

test("what would be held is refused", { skip }, async () => {
    await told("held elsewhere", letter("wares"), [CLEO], /^550 5\.7\.1 /);
});

test("what the sender sees when something is down", { skip }, async () => {
    for (const what of ["rulesd", "scanner", "scanner hung"]) {
        const wares = letter(`free money, ${what} down`, { body: "free money" });

        await town.without(what, () => told(`${what} down`, wares, [ANNA], /^250 /));
        assert.doesNotMatch((await arrives(sink, wares)).data, /^X-Spam-Status/m);
    }
    await waitFor("the scanner to be asked again", async () => (await send(letter("money", { body: "free money" }), [ANNA])).data.startsWith("550 "), { everyMs: 500 });
});

test("while the database is down the last compiled rules decide, and after two seconds mail passes unfiltered", { skip }, async () => {
    await told("its rules are known", letter("wares before"), [ANNA], /^550 /);
    await town.without("database", async () => {
        await told("database down", letter("wares, database down"), [ANNA], /^550 /);
        await waitFor("mail to pass", async () => (await send(letter("wares, later"), [ANNA])).data.startsWith("250 "), { seconds: 20, everyMs: 500 });
    });
    await waitFor("rules to decide again", async () => (await send(letter("wares again"), [ANNA])).data.startsWith("550 "), { seconds: 20, everyMs: 500 });
});

test("when the milter is down, Postfix has the sender try again", { skip }, async () => {
    await milter.stop();
    assert.match((await send(letter("no milter"), [ANNA])).all.join(""), /^451 4\.7\.1 Service unavailable/m);
});

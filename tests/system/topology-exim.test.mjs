// Exim, both of its forms, rulesd, and a spamd behind it: the files of examples/exim, and what docs/exim.md says about them.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import {
    ANNA, BOB, CLEO, arrives, cannot, copies, example, foundTown, letter, sections, smtpSend, spamdFinds, startExim, startSmtpSink, startSpamd, waitFor,
} from "./lib/index.mjs";

const skip = cannot("exim4-daemon-heavy", "spamassassin", "spamd");
let sink, spamd, town;

before(async () => {
    if (skip) return;
    sink = await startSmtpSink();
    spamd = await startSpamd({ local: spamdFinds });
    town = await foundTown((site) => sections(example("exim/scanner.conf", {
        "/run/postern/exim.sock": site.spamdSock, "127.0.0.1:11344": `127.0.0.1:${site.http}`, "127.0.0.1:783": `127.0.0.1:${site.scanner}`,
        "maillog = /var/log/exim4/mainlog": "", "scanner_timeout_ms = 10000": "scanner_timeout_ms = 3000",
    })), { scanner: spamd.port });
});
after(async () => { for (const stop of [town?.end, spamd?.stop, sink?.stop]) await stop?.(); });

for (const form of ["spamd.conf", "rspamd.conf"]) describe(`examples/exim/${form}`, { skip }, () => {
    let exim;
    const parts = (swap = {}) => {
        const [main, data] = example(`exim/${form}`, { "/run/postern/exim.sock": town.spamdSock, ...swap }).split("acl_check_data:\n");
        return { sink: sink.port, main, data };
    };
    const logs = () => `${exim.mainlog()}${exim.paniclog()}\n----\n${town.log().split("\n").slice(-10).join("\n")}`;
    const send = (mail, rcpts, to = exim) => smtpSend(to.port, { from: "writer@ext.example", rcpts, message: mail.text });
    const told = async (what, mail, rcpts, expected) => assert.match((await send(mail, rcpts)).data, expected, `${what}\n${logs()}`);

    before(async () => { exim = await startExim(parts()); });
    after(() => exim?.stop());

    test("delivers what is wanted, refuses what all block, and nobody's block refuses another's mail", async () => {
        const clean = letter("clean"), wares = letter("wares"), two = letter("wares for two");

        await told("clean", clean, [ANNA, BOB], /^250 /);
        assert.deepEqual((await arrives(sink, clean)).rcpts, [ANNA, BOB]);
        await told("wares", wares, [ANNA], /^550 .*Blocked by the recipient's rules/);
        await told("wares for two", two, [ANNA, BOB], /^250 /);
        await arrives(sink, two);
        assert.equal(copies(sink, wares).length, 0);
    });

    test("tags and refuses what the scanner finds", async () => {
        const watches = letter("watches", { body: "cheap watches" });

        await told("watches", watches, [BOB], /^250 /);
        assert.match((await arrives(sink, watches)).data, /^X-Spam: Yes\r$/m);
        await told("money", letter("money", { body: "free money" }), [BOB], /^550 /);
    });

    test("drops what is held", async () => {
        const wares = letter("wares to hold");

        await told("held", wares, [CLEO], /^250 /);
        assert.match(exim.mainlog(), /held by Postern/);
        assert.equal(copies(sink, wares).length, 0);
    });

    test("has the sender come again when it greylists", async () => {
        await town.must("domain", "set", "theirs.example", "--greylisting", "on");
        await told("greylisted", letter("watches", { body: "cheap watches" }), [CLEO], /^451 Please try again later/);
        await town.must("domain", "set", "theirs.example", "--greylisting", "off");
    });

    test("what the sender sees when something is down", async () => {
        const later = letter("clean, after all");

        await town.without("rulesd", () => told("rulesd down", later, [BOB], /^451 /));
        for (const what of ["scanner", "scanner hung"]) await town.without(what, () => told(what, later, [BOB], /^451 /));
        await waitFor("it to be taken after all", async () => (await send(later, [BOB])).data.startsWith("250 "), { everyMs: 500 });
        await arrives(sink, later);
        await town.without("room", async () => {
            await told("no room", letter("wares, no room"), [CLEO], /^451 /);
            await told("no room", letter("clean, no room"), [BOB], /^250 /);
        });
    });

    test("with /defer_ok mail passes unfiltered when rulesd is down", async () => {
        const lax = await startExim(parts({ "nobody:true": "nobody:true/defer_ok" })), wares = letter("wares, unfiltered");

        try {
            await town.without("rulesd", async () => assert.match((await send(wares, [ANNA], lax)).data, /^250 /, lax.mainlog()));
            await arrives(sink, wares);
        } finally {
            await lax.stop();
        }
    });

    test("while the database is down the last compiled rules decide, and after two seconds senders wait", async () => {
        await told("its rules are known", letter("wares before"), [ANNA], /^550 /);
        await town.without("database", async () => {
            await told("database down", letter("wares, database down"), [ANNA], /^550 /);
            await waitFor("senders to be put off", async () => (await send(letter("clean, database down"), [BOB])).data.startsWith("451 "), { seconds: 20, everyMs: 500 });
        });
        await waitFor("senders to be heard again", async () => (await send(letter("clean again"), [BOB])).data.startsWith("250 "), { seconds: 20, everyMs: 500 });
    });
});

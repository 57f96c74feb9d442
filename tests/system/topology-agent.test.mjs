// Postfix, Dovecot's delivery agent with Sieve, spamc, and rulesd: the files of examples/spamc, and what docs/spamc.md says
// about them.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import {
    ANNA, BOB, cannot, example, foundTown, letter, makeDovecotAgent, sections, smtpSend, spamdFinds, startPostfix, startSpamd, waitFor,
} from "./lib/index.mjs";

const skip = cannot("postfix", "dovecot-core", "dovecot-sieve", "spamassassin", "spamd");
let spamd, town, agent, postfix;

before(async () => {
    if (skip) return;
    spamd = await startSpamd({ local: spamdFinds });
    town = await foundTown((site) => {
        const { rulesd } = sections(example("spamc/postern.conf", { "/run/postern/spamd.sock": site.spamdSock, "127.0.0.1:11344": `127.0.0.1:${site.http}` }));

        return { rulesd: { ...rulesd, scanner: `spamd://127.0.0.1:${site.scanner}`, scanner_timeout_ms: 3000 } };
    }, { scanner: spamd.port });
    agent = makeDovecotAgent({
        config: (path) => example("spamc/dovecot.conf", { "/etc/dovecot/sieve-filter": path("bin"), "/etc/dovecot/sieve/junk.sieve": path("junk.sieve") }),
        files: { "junk.sieve": example("spamc/junk.sieve"), "bin/postern": example("spamc/postern", { "/run/postern/spamd.sock": town.spamdSock }) },
    });
    postfix = await startPostfix({
        sink: 9,
        main: { relay_transport: "dovecot", default_transport: "dovecot", dovecot_destination_recipient_limit: "1" },
        master: example("spamc/master.cf", { "/usr/lib/dovecot/dovecot-lda": agent.agent }),
    });
});
after(async () => { for (const stop of [postfix?.stop, agent?.remove, town?.end, spamd?.stop]) await stop?.(); });

const logs = () => [postfix.maillog(), agent.log(), town.log()].map((l) => l.split("\n").slice(-30).join("\n")).join("\n----\n");
const send = (mail, rcpts) => smtpSend(postfix.port, { from: "writer@ext.example", rcpts, message: mail.text });
const has = (address, folder, { id }) => agent.mailbox(address, folder).find((m) => m.includes(`<${id}>`));
const filed = (address, folder, mail) =>
    waitFor(`${mail.subject} in ${folder || "INBOX"} of ${address}`, () => has(address, folder, mail), { seconds: 20 }).catch((error) => assert.fail(`${error.message}\n${logs()}`));

test("each mailbox gets what its own rules say", { skip }, async () => {
    const clean = letter("clean"), wares = letter("wares");

    await send(clean, [ANNA, BOB]);
    for (const who of [ANNA, BOB]) assert.match(await filed(who, "", clean), /^X-Spam-Status: No, score=/m, logs());
    await send(wares, [ANNA, BOB]);
    await filed(BOB, "", wares);
    await waitFor("it to be held", async () => (await town.must("quarantine", "list", "--mailbox", ANNA)).includes("wares"));
    assert.ok(!has(ANNA, "", wares) && !has(ANNA, "Junk", wares));
});

test("what the scanner behind rulesd makes spam is filed as Junk", { skip }, async () => {
    const watches = letter("watches", { body: "cheap watches" });

    await send(watches, [BOB]);
    assert.match(await filed(BOB, "Junk", watches), /^X-Spam-Flag: YES/m);
});

test("what the mailbox gets when something is down", { skip }, async () => {
    const unfiltered = letter("wares, rulesd down", { body: "cheap watches" });
    await town.without("rulesd", async () => {
        await send(unfiltered, [BOB]);
        assert.doesNotMatch(await filed(BOB, "", unfiltered), /^X-Spam-Status/m);
    });
    for (const what of ["scanner", "scanner hung"]) { // the rules alone decide, and none of Bob's knows these wares
        const wares = letter(`wares, ${what} down`, { body: "cheap watches" });

        await town.without(what, async () => {
            await send(wares, [BOB]);
            assert.match(await filed(BOB, "", wares), /^X-Spam-Status: No, score=0\.0 .*tests=none/m);
        });
    }
    const wares = letter("wares, no room"); // Anna's rule would have it held
    await town.without("room", async () => {
        await send(wares, [ANNA]);
        assert.match(await filed(ANNA, "Junk", wares), /^X-Spam-Status: Yes/m);
    });
});

test("while the database is down the last compiled rules decide, and after two seconds mail is filed unfiltered", { skip }, async () => {
    const before = letter("watches before", { body: "cheap watches" }), first = letter("watches, database down", { body: "cheap watches" });

    await send(before, [BOB]);
    await filed(BOB, "Junk", before);
    await town.without("database", async () => {
        await send(first, [BOB]);
        await filed(BOB, "Junk", first);
        await waitFor("mail to be filed unfiltered", async () => {
            const next = letter("watches, later", { body: "cheap watches" });

            await send(next, [BOB]);
            return waitFor("it", () => has(BOB, "", next) ?? has(BOB, "Junk", next)).then((text) => !/^X-Spam-Status/m.test(text));
        }, { seconds: 20, everyMs: 500 });
    });
});

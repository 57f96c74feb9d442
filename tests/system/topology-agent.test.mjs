// Postfix, Dovecot's delivery agent with Sieve, spamc, and rulesd: the files of examples/spamc, and what docs/spamc.md says
// about them.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import {
    ANNA, BOB, cannot, example, foundTown, letter, makeDovecotAgent, sections, smtpSend, startPostfix, waitFor,
} from "./lib/index.mjs";

const skip = cannot("postfix", "dovecot-core", "dovecot-sieve");
let town, agent, postfix;

before(async () => {
    if (skip) return;
    town = await foundTown((site) => sections(example("spamc/postern.conf", { "/run/postern/spamd.sock": site.spamdSock, "127.0.0.1:11344": `127.0.0.1:${site.http}` })));
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
after(async () => { for (const stop of [postfix?.stop, agent?.remove, town?.end]) await stop?.(); });

const logs = () => [postfix.maillog(), agent.log(), town.log()].map((l) => l.split("\n").slice(-30).join("\n")).join("\n----\n");
const send = (mail, rcpts) => smtpSend(postfix.port, { from: "writer@ext.example", rcpts, message: mail.text });
const has = (address, folder, { id }) => agent.mailbox(address, folder).find((m) => m.includes(`<${id}>`));
const filed = (address, folder, mail) =>
    waitFor(`${mail.subject} in ${folder || "INBOX"} of ${address}`, () => has(address, folder, mail), { seconds: 20 }).catch((error) => assert.fail(`${error.message}\n${logs()}`));

test("each mailbox gets what its own rules say", { skip }, async () => {
    const clean = letter("clean"), wares = letter("wares");

    await send(clean, [ANNA, BOB]);
    for (const who of [ANNA, BOB]) assert.match(await filed(who, "", clean), /^X-Spam-Status: No, score=0\.0/m, logs());
    await send(wares, [ANNA, BOB]);
    await filed(BOB, "", wares);
    await filed(ANNA, "Junk", wares);
});

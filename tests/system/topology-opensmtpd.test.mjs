// OpenSMTPD, its filter-rspamd, and rulesd: the files of examples/opensmtpd, and what docs/opensmtpd.md says about them.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { ANNA, BOB, CLEO, arrives, cannot, copies, example, foundTown, freePort, letter, sections, smtpSend, startOpensmtpd, startSmtpSink } from "./lib/index.mjs";

const skip = cannot("opensmtpd", "opensmtpd-filter-rspamd");
let sink, town, mta;

before(async () => {
    if (skip) return;
    sink = await startSmtpSink();
    town = await foundTown((site) => sections(example("opensmtpd/postern.conf", { "127.0.0.1:11344": `127.0.0.1:${site.http}` })));
    const port = await freePort();
    const config = example("opensmtpd/smtpd.conf", { "127.0.0.1:11344": `127.0.0.1:${town.http}`, "0.0.0.0 port 25": `127.0.0.1 port ${port}` });
    mta = await startOpensmtpd({ port, config: `${config}
action "sink" relay host smtp://127.0.0.1:${sink.port}
match from any for any action "sink"
` });
});
after(async () => { for (const stop of [mta?.stop, town?.end, sink?.stop]) await stop?.(); });

const logs = () => `${mta.log().split("\n").slice(-40).join("\n")}\n----\n${town.log()}`;
const send = (mail, rcpts) => smtpSend(mta.port, { from: "writer@ext.example", rcpts, message: mail.text });

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

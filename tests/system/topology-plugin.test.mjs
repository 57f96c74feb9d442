// Postfix, Rspamd that scans by itself and asks rulesd by our plugin, and hands over by metadata_exporter what came of it: the files
// of examples/rspamd, and what docs/rspamd-plugin.md says about them.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import {
    ANNA, BOB, CLEO, EICAR, arrives, cannot, copies, example, foundTown, freePort, letter, mainCf, rspamdFinds, sections, sleep, smtpSend,
    startPostfix, startRspamdScanner, startSmtpSink, waitFor,
} from "./lib/index.mjs";

const skip = cannot("postfix", "rspamd");
const DORA = "dora@holding.example";
let sink, postfix, town, rspamd, token;

const lua = (url, more = {}) => example("rspamd/rspamd.conf.local", {
    "http://127.0.0.1:11344": url, 'password = "…"': 'password = "secret"', "pst_…": token, ...more,
});

before(async () => {
    if (skip) return;
    const milter = await freePort();

    sink = await startSmtpSink();
    postfix = await startPostfix({
        sink: sink.port, main: mainCf(example("rspamd/main.cf", { "inet:127.0.0.1:11332": `inet:127.0.0.1:${milter}` })),
    });
    town = await foundTown((site) => sections(example("rspamd/postern.conf", { "127.0.0.1:11344": `127.0.0.1:${site.http}`, "password = …": "password = secret" })));
    await town.must("domain", "add", "holding.example", "--at-reject", "quarantine", "--at-add-header", "quarantine");
    await town.must("mailbox", "add", DORA);
    await town.must("thresholds", "set", "domain:theirs.example", "add_header=5", "reject=7");
    token = /^(pst_\S+)$/m.exec(await town.must("token", "add", "rspamd", "ingest:rspamd"))[1];
    const url = `http://127.0.0.1:${town.http}`;
    rspamd = await startRspamdScanner({
        ports: [milter],
        local: {
            "worker-proxy.inc": example("rspamd/worker-proxy.inc", { "localhost:11332": `127.0.0.1:${milter}` }),
            "metadata_exporter.conf": example("rspamd/metadata_exporter.conf", { "http://127.0.0.1:11344": url, "pst_…": token }),
            "../rspamd.conf.local": lua(url),
            "plugins.d/postern.lua": example("rspamd/postern.lua"),
            "rspamd.local.lua": rspamdFinds,
        },
    });
});
after(async () => { for (const stop of [rspamd?.stop, town?.end, postfix?.stop, sink?.stop]) await stop?.(); });

const logs = () => [postfix.maillog(), rspamd.log(), town.log()].map((l) => l.split("\n").slice(-40).join("\n")).join("\n----\n");
const send = (mail, rcpts, more = {}) => smtpSend(postfix.port, { from: "writer@ext.example", rcpts, message: mail.text, ...more });
const row = (mail, ...words) => waitFor(`${mail.subject} in the log`, async () => {
    const { stdout } = await town.postern(["trace", `<${mail.id}>`]);
    return words.every((w) => stdout.includes(w)) ? stdout : null;
}, { seconds: 10 }).catch((e) => { throw new Error(`${e.message}\n${logs()}`); });
const held = async () => (await town.postern(["quarantine", "list"])).stdout;

test("a clean message arrives, and stands in the log once", { skip }, async () => {
    const clean = letter("clean");

    assert.match((await send(clean, [ANNA, BOB])).data, /^250 /, logs());
    assert.deepEqual((await arrives(sink, clean)).rcpts, [ANNA, BOB]);
    const story = await row(clean, ANNA, BOB);
    assert.equal(story.match(/anna@ours\.example/g).length, 1, story);
});

test("a rule of one takes that one off the message; the copy is held", { skip }, async () => {
    const wares = letter("wares");

    assert.match((await send(wares, [ANNA, BOB])).data, /^250 /, logs());
    const got = await arrives(sink, wares);
    assert.deepEqual(got.rcpts, [BOB]);
    assert.doesNotMatch(got.data, /anna@|Annas secret/);
    await row(wares, ANNA, BOB);
    assert.match(await held(), /removed +anna@ours\.example/);
});

test("a rule of all refuses, in words that name no rule", { skip }, async () => {
    const { data } = await send(letter("more wares"), [ANNA]);

    assert.match(data, /^554 5\.7\.1 Blocked by the recipient's rules/, logs());
    assert.doesNotMatch(data, /Annas secret rule/);
});

test("what a domain holds when a rule blocks is held, and the sender is told 250", { skip }, async () => {
    const wares = letter("wares for Cleo");

    assert.match((await send(wares, [CLEO])).data, /^250 /, logs());
    await row(wares, CLEO);
    assert.match(await held(), /quarantined +cleo@theirs\.example/);
    assert.equal(copies(sink, wares).length, 0);
});

test("an allow outweighs the score, and never a virus", { skip }, async () => {
    const invoice = letter("invoice", { body: "free money" }), virus = letter("invoice with more", { body: EICAR });

    assert.match((await send(invoice, [ANNA])).data, /^250 /, logs());
    await arrives(sink, invoice);
    assert.match((await send(virus, [ANNA])).data, /^554 /, logs());
    assert.equal(copies(sink, virus).length, 0);
});

test("each domain has its own thresholds", { skip }, async () => {
    const tagged = letter("watches for Bob", { body: "cheap watches" });

    assert.match((await send(tagged, [BOB])).data, /^250 /, logs());
    assert.match((await arrives(sink, tagged)).data, /^X-Spam: Yes\r$/m);
    assert.match((await send(letter("watches for Cleo", { body: "cheap watches" }), [CLEO])).data, /^554 /, logs());
});

test("what a domain would rather hold than refuse or tag is held before the sender hears 250", { skip }, async () => {
    for (const [subject, body] of [["money for Dora", "free money"], ["watches for Dora", "cheap watches"]]) {
        const mail = letter(subject, { body });

        assert.match((await send(mail, [DORA])).data, /^250 /, logs());
        await row(mail, DORA);
        await waitFor("it to be held", async () => (await held()).includes(subject), { seconds: 10 });
        assert.equal(copies(sink, mail).length, 0);
    }
});

test("what a sender writes himself counts for nothing", { skip }, async () => {
    const forged = letter("forged", { extra: "X-Spam: No\r\nX-Spam-Status: No\r\nX-Envelope-To: anna@ours.example\r\nX-Rspamd-Action: no action\r\n" });

    assert.match((await send(forged, [BOB])).data, /^250 /, logs());
    assert.doesNotMatch((await arrives(sink, forged)).data, /^X-Spam: No|^X-Spam-Status: No/m);
});

test("where one domain refuses and another holds, the sender is told no and the copy is held", { skip }, async () => {
    const money = letter("money for two", { body: "free money" });

    assert.match((await send(money, [BOB, DORA])).data, /^554 /, logs());
    await row(money, BOB, DORA);
    assert.match(await waitFor("the copy", async () => { const h = await held(); return h.includes("money for two") ? h : null; }), /quarantined +dora@holding\.example/);
    assert.equal(copies(sink, money).length, 0);
});

// ---- What is down ----

test("while rulesd hangs the sender comes again, and other mail is not held up for longer than that", { skip }, async () => {
    process.kill(town.pid, "SIGSTOP");
    try {
        const from = Date.now();
        assert.match((await send(letter("while rulesd hangs"), [BOB])).data, /^451 /, logs());
        assert.ok(Date.now() - from < 8000, `${Date.now() - from} ms`);
    } finally { process.kill(town.pid, "SIGCONT"); }
    const mail = letter("after it hung");
    assert.match((await send(mail, [BOB])).data, /^250 /, logs());
    await arrives(sink, mail);
});

test("without rulesd the sender comes again", { skip }, async () => {
    const mail = letter("while rulesd is down");

    await town.without("rulesd", async () => assert.match((await send(mail, [BOB])).data, /^451 /, logs()));
    assert.match((await send(mail, [BOB])).data, /^250 /, logs());
    await arrives(sink, mail);
});

test("without the database what came of a message cannot be handed over, and the sender comes again", { skip }, async () => {
    await town.without("database", async () => {
        assert.match((await send(letter("while the database is down"), [BOB])).data, /^451 /, logs());
        assert.match((await send(letter("wares while the database is down"), [ANNA])).data, /^(451|554) /, logs());
    });
    await waitFor("the database to be heard of again", async () => /^250 /.test((await send(letter("after that"), [BOB])).data), { seconds: 30 });
});

test("without room what would be held is put off, and the rest goes on", { skip }, async () => {
    await town.without("room", async () => {
        const clean = letter("clean, no room"), money = letter("money, no room", { body: "free money" });

        assert.match((await send(clean, [BOB])).data, /^250 /, logs());
        await arrives(sink, clean);
        assert.match((await send(money, [DORA])).data, /^451 /, logs());
        assert.match((await send(letter("wares, no room"), [CLEO])).data, /^451 /, logs());
        assert.equal(copies(sink, money).length, 0);
    });
});

test("with a token that is worth nothing no message is lost: the sender comes again", { skip }, async () => {
    await town.must("token", "revoke", "rspamd");
    await sleep(300);
    const mail = letter("with a revoked token");
    assert.match((await send(mail, [BOB])).data, /^451 /, logs());
    assert.equal(copies(sink, mail).length, 0);
});

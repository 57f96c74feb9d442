// Real MTAs in front of rulesd, set up as in examples/: who gets a message, and what its sender is told.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import {
    cannot, http, makeSite, root, smtpSend, startExim, startPostfix, startRspamdProxy, startRspamdScanner, startRulesd,
    startSmtpSink, waitFor,
} from "./lib/index.mjs";

const ANNA = "anna@ours.example", BOB = "bob@ours.example";
const message = (subject) => `From: a@ext.example\nTo: ${ANNA}\nSubject: ${subject}\nMessage-ID: <${subject.replaceAll(" ", ".")}@ext.example>\nX-Spam: No\n\nHello.\n`;

let site, sink;

before(async () => {
    const own = await makeSite({ rulesd: { mta_users: "root, Debian-exim, _rspamd" } });

    own.configure({ rulesd: { listen_spamd: [`127.0.0.1:${own.spamd}`, `unix:${own.spamdSock}?envelope_lines=on`] } });
    site = await startRulesd({ site: own });
    await site.must("domain", "add", "ours.example");
    for (const address of [ANNA, BOB]) await site.must("mailbox", "add", address);
    await site.must("rule", "add", "--scope", `mailbox:${ANNA}`, "--name", "Annas rule", "block", "--subject", "wares", "--subject", "junk");
    await site.must("policy", "add", "global", "Floor", "--locked", "on");
    await site.must("rule", "add", "--scope", "global", "--policy", "Floor", "--name", "The operator's rule", "block", "--subject", "poison");
    await site.must("rule", "add", "--scope", `mailbox:${BOB}`, "--name", "Bobs rule", "block", "--subject", "junk");
    sink = await startSmtpSink();
});
after(async () => { await sink?.stop(); await site?.stop(); site?.remove(); });

const send = (mta, subject, rcpts, from = "a@ext.example") => smtpSend(mta.port, { from, rcpts, message: message(subject) });

// The message of this subject, once it has been delivered.
const delivered = (subject) => waitFor(`${subject} to be delivered`, () => sink.messages.find((m) => m.data.includes(`Subject: ${subject}\r`)));
const lost = (subject) => !sink.messages.some((m) => m.data.includes(`Subject: ${subject}\r`));

// ---- Exim: one verdict for all recipients ----

function eximParts(file) {
    const text = readFileSync(join(root, "examples/exim", file), "utf8").replaceAll("/run/postern/exim.sock", site.spamdSock);
    const [main, data] = text.split("acl_check_data:\n");

    return { main, data };
}

for (const file of ["spamd.conf", "rspamd.conf"]) {
    test(`Exim with examples/exim/${file} delivers and rejects as the rules say`, { skip: cannot("exim4-daemon-heavy") }, async (t) => {
        const exim = await startExim({ sink: sink.port, ...eximParts(file) });
        t.after(() => exim.stop());
        const say = (words) => `${words} by ${file}`;

        assert.match((await send(exim, say("clean"), [ANNA, BOB])).data, /^250 /, exim.mainlog());
        assert.deepEqual((await delivered(say("clean"))).rcpts, [ANNA, BOB]);

        assert.match((await send(exim, say("wares"), [ANNA])).data, /^550 .*Blocked by the recipient's rules/, exim.mainlog());
        assert.match((await send(exim, say("junk"), [ANNA, BOB])).data, /^550 /, exim.mainlog());
        assert.match((await send(exim, say("null junk"), [BOB], "")).data, /^550 /, exim.mainlog());
        assert.ok(lost(say("wares")) && lost(say("junk")));

        // Nobody's block refuses another's mail.
        assert.match((await send(exim, say("wares for two"), [ANNA, BOB])).data, /^250 /, exim.mainlog());
        assert.deepEqual((await delivered(say("wares for two"))).rcpts, [ANNA, BOB]);
        assert.ok(!/spam acl condition|cannot parse/i.test(exim.mainlog() + exim.paniclog()), exim.mainlog() + exim.paniclog());
    });
}

// ---- Postfix through Rspamd's proxy: each recipient by themselves ----

test("Rspamd's proxy delivers, rejects, and drops single recipients as the rules say", { skip: cannot("postfix", "rspamd") }, async (t) => {
    const proxy = await startRspamdProxy({ upstream: `unix:${site.httpSock}` });
    t.after(() => proxy.stop());
    const postfix = await startPostfix({ sink: sink.port, main: { smtpd_milters: `inet:127.0.0.1:${proxy.port}` } });
    t.after(() => postfix.stop());
    const logs = () => postfix.maillog() + proxy.log() + site.log();

    assert.match((await send(postfix, "clean milter", [ANNA, BOB])).data, /^250 /, logs());
    const clean = await delivered("clean milter");
    assert.deepEqual(clean.rcpts, [ANNA, BOB]);
    assert.match(clean.data, /^X-Spam-Score: 0\.0\r$/m);
    assert.match(clean.data, /^X-Spam-Status: No, score=0\.0 required=6\.0 tests=none\r$/m);
    assert.ok(!/^X-Spam: /m.test(clean.data), "a forged X-Spam field is gone");

    assert.match((await send(postfix, "wares milter", [ANNA, BOB])).data, /^250 /, logs());
    assert.deepEqual((await delivered("wares milter")).rcpts, [BOB]);

    const refused = await send(postfix, "junk milter", [ANNA, BOB]);
    assert.match(refused.data, /^554 5\.7\.1 Blocked by the recipients' rules/, logs());
    assert.ok(!/rule\b/i.test(refused.data.replace("recipients' rules", "")), "no rule's name is told");
    assert.match((await send(postfix, "null junk milter", [BOB], "")).data, /^554 5\.7\.1 Blocked by the recipient's rules/, logs());
    assert.ok(lost("junk milter"));
});

// ---- Rspamd as the caller ----

test("Rspamd's own spamassassin service reads score and tests from our reply", { skip: cannot("rspamd") }, async (t) => {
    const rspamd = await startRspamdScanner({ local: {
        "external_services.conf": `spamassassin { type = "spamassassin"; servers = "127.0.0.1:${site.spamd}"; symbol = "SPAMD"; extended = false; scan_mime_parts = false; }`,
        "external_services_group.conf": 'symbols { "SPAMD" { weight = 1.0; } }',
    } });
    t.after(() => rspamd.stop());
    const found = async (subject) => JSON.parse((await http(rspamd.port, { body: message(subject) })).text).symbols.SPAMD;
    const symbol = await found("poison");

    assert.deepEqual([symbol?.score, symbol?.options], [100, ["POSTERN_BLOCK"]], rspamd.log());
    assert.equal(await found("harmless"), undefined);
});

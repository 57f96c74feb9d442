// rulesd in front of the filter behind it: a real Rspamd 3.4, a real spamd 4.0, and scanners of the test's own that misbehave.
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { after, before, describe, test } from "node:test";

import {
    EICAR, freePort, http, letter, missing, rspamdFinds, spamdFinds, startRspamdScanner, startRulesd, startSpamd, waitFor,
} from "./lib/index.mjs";
import { makeSigner } from "./lib/dkim.mjs";
import { numbers } from "./lib/household.mjs";

const ANNA = "anna@ours.example", CLEO = "cleo@theirs.example";

// ours.example tags from 7 on, theirs.example refuses from there on; anna wants mail about an invoice and from partner.example, and
// none about wares.
async function startSite(scanner, rulesd = {}) {
    const site = await startRulesd({ config: { rulesd: { mta_from: "127.0.0.0/8", scanner, ...rulesd } } });

    for (const [domain, ...thresholds] of [["ours.example", "reject=19", "add_header=7"], ["theirs.example", "reject=7", "add_header=5"]]) {
        await site.must("domain", "add", domain);
        await site.must("thresholds", "set", `domain:${domain}`, ...thresholds, "greylist=off");
    }
    for (const address of [ANNA, CLEO]) await site.must("mailbox", "add", address);
    await site.must("rule", "add", "--scope", `mailbox:${ANNA}`, "allow", "--subject", "invoice");
    await site.must("rule", "add", "--scope", `mailbox:${ANNA}`, "allow", "--sender", "partner.example");
    await site.must("rule", "add", "--scope", `mailbox:${ANNA}`, "block", "--subject", "wares");
    return site;
}

const envelope = { From: "<writer@ext.example>", IP: "192.0.2.9", Helo: "mx.ext.example", Hostname: "mx.ext.example" };
const ask = async (site, rcpt, message, headers = {}) => {
    const { status, text } = await http(site.http, { headers: { ...envelope, Rcpt: `<${rcpt}>`, ...headers }, body: message });
    assert.equal(status, 200, text);
    return JSON.parse(text);
};
const counted = async (site) => numbers((await http(site.http, { method: "GET", path: "/metrics" })).text, /^scanner_/);

// ---- what both kinds of scanner do ----

function findsAndThresholds(get) {
    test("a score counts against the thresholds of each domain, and every symbol is passed on", async () => {
        const { text } = letter("hello", { body: "cheap watches" }), tagged = await ask(get(), ANNA, text), refused = await ask(get(), CLEO, text);

        assert.equal(tagged.action, "add header");
        assert.equal(refused.action, "reject");
        assert.equal(tagged.symbols.TOWN_WATCHES.score, 8);
        assert.ok(Object.keys(tagged.symbols).length > 1, "its other symbols too");
        assert.ok(tagged.score >= 7 && tagged.score < 19, String(tagged.score));
        assert.deepEqual([tagged.required_score, refused.required_score], [19, 7]);
        assert.equal((await ask(get(), CLEO, letter("hello").text)).action, "no action");
    });

    test("an allow lifts what the scanner says of spam", async () => {
        const { text } = letter("invoice", { body: "free money" });
        const wanted = await ask(get(), ANNA, text);

        assert.equal(wanted.action, "no action");
        assert.ok(wanted.symbols.POSTERN_ALLOW && wanted.symbols.TOWN_MONEY);
        assert.equal((await ask(get(), CLEO, text)).action, "reject");
    });

    test("what the envelope or the rules alone refuse is not scanned", async () => {
        const before = (await counted(get())).scanner_asked_total;
        const refused = await ask(get(), ANNA, letter("wares").text);

        assert.equal(refused.action, "reject");
        assert.deepEqual(Object.keys(refused.symbols), ["POSTERN_BLOCK"]);
        assert.equal((await counted(get())).scanner_asked_total, before);
    });

    test("/metrics counts the questions", async () => {
        const n = await counted(get());

        assert.ok(n.scanner_asked_total > 0 && n.scanner_answered_total === n.scanner_asked_total && n.scanner_seconds_total > 0, JSON.stringify(n));
        assert.deepEqual([n.scanner_failed_total, n.scanner_under_way, n.scanner_well], [0, 0, 1]);
    });
}

// What Rspamd's antivirus module says when ClamAV does not answer.
const asleep = `rspamd_config:register_symbol{ name = "CLAM_VIRUS_FAIL", type = "normal", score = 0.0, group = "antivirus",
  callback = function(task)
    if tostring(task:get_content()):find("clamav asleep", 1, true) then task:insert_result("CLAM_VIRUS_FAIL", 1.0, "failed to scan") end
  end }
`;

describe("before a real Rspamd", { skip: missing("rspamd") }, () => {
    const partner = makeSigner("partner.example"), liar = makeSigner("partner.example:s=x.evil.example");
    let rspamd, site;

    before(async () => {
        rspamd = await startRspamdScanner({
            local: {
                "rspamd.local.lua": `${rspamdFinds}${asleep}`,
                "force_actions.conf": 'rules { ASLEEP { action = "soft reject"; expression = "CLAM_VIRUS_FAIL"; message = "No scan for viruses now"; } }',
                "milter_headers.conf": 'use = ["x-spamd-result", "x-virus"]; extended_spam_headers = true;',
            },
            records: [partner.record, liar.record, { name: "partner.example", type: "txt", replies: ["v=spf1 ip4:192.0.2.10 -all"] },
                { name: "_dmarc.partner.example", type: "txt", replies: ["v=DMARC1; p=none"] },
                { name: "evil.example", type: "txt", replies: ["v=spf1 ip4:192.0.2.66 -all"] }],
        });
        site = await startSite(`rspamd+http://127.0.0.1:${rspamd.port}`);
    });
    after(async () => { await site?.stop(); await rspamd?.stop(); });

    findsAndThresholds(() => site);

    test("an allow does not lift a virus", async () => {
        const { text } = letter("invoice", { body: EICAR });
        const said = await ask(site, ANNA, text);

        assert.equal(said.action, "reject");
        assert.match(said.messages.smtp_message, /virus found: "Eicar-Test-Signature"/);
        assert.deepEqual(said.symbols.CLAM_VIRUS.options, ["Eicar-Test-Signature"]);
    });

    test("nor that nobody could look for one: who allows the sender waits like everybody, and who refuses does not", async () => {
        const unseen = { body: "clamav asleep" };

        for (const [subject, extra] of [["hello", {}], ["invoice", {}], ["invoice", { Flags: "milter" }]]) {
            const said = await ask(site, ANNA, letter(subject, unseen).text, extra);
            assert.equal(said.action, "soft reject", JSON.stringify(said));
            assert.equal(said.messages.smtp_message, "No scan for viruses now");
        }
        assert.equal((await ask(site, `${ANNA}>,<${CLEO}`, letter("wares", unseen).text)).action, "soft reject", "one refuses, one waits");
        assert.equal((await ask(site, ANNA, letter("wares", unseen).text)).action, "reject");
        assert.equal((await ask(site, ANNA, letter("invoice").text)).action, "no action");
    });

    const from = "billing@partner.example";
    const proofs = [
        ["a valid signature", (text) => partner.sign(text), {}, true],
        ["SPF of the envelope", (text) => text, { From: `<${from}>`, IP: "192.0.2.10" }, true],
        ["SPF of the HELO, for the null sender", (text) => text, { From: "<>", IP: "192.0.2.10", Helo: "partner.example" }, true],
        ["nothing", (text) => text, {}, false],
        ["SPF that fails", (text) => text, { From: `<${from}>` }, false],
        ["a signature that was changed under way", (text) => partner.sign(text).replace("Hello", "Hallo"), {}, false],
        ["a signature by somebody who calls himself so", (text) => liar.sign(text), {}, false],
        ["lines of its own about the way it took",
            (text) => `Return-Path: <${from}>\r\nReceived: from partner.example (partner.example [192.0.2.10]) by mx.ours.example; Sat, 21 Nov 2026 21:24:28 +0000\r\n${text}`,
            {}, false],
    ];

    for (const [how, write, headers, proven] of proofs) {
        test(`an allow by sender ${proven ? "holds" : "does not hold"} with ${how}`, async () => {
            const said = await ask(site, ANNA, write(letter("hello", { from, body: "Hello, free money" }).text), headers);

            assert.equal(said.action === "no action", proven, JSON.stringify(said));
            assert.equal("POSTERN_ALLOW" in said.symbols, proven);
        });
    }

    // Rspamd takes a sender that it cannot read for none, and then asks SPF about the HELO.
    for (const sender of ["a..b@partner.example", ".a@partner.example", "\u00fc@partner.example", "a[b@partner.example", "a b@partner.example"]) {
        test(`nor with SPF of a stranger's HELO where the sender is ${sender}`, async () => {
            const said = await ask(site, ANNA, letter("hello", { from, body: "Hello, free money" }).text,
                { From: `<${sender}>`, IP: "192.0.2.66", Helo: "evil.example" });

            assert.ok(said.symbols.R_SPF_ALLOW, "Rspamd has looked at the HELO");
            assert.equal("POSTERN_ALLOW" in said.symbols, false);
            assert.equal(said.action, "reject");
        });
    }

    test("nor with SPF of a sender whom we cannot read, and a HELO of another's name", async () => {
        const said = await ask(site, ANNA, letter("hello", { from, body: "Hello, free money" }).text,
            { From: `<${"a".repeat(1000)}@evil.example>`, IP: "192.0.2.66", Helo: "partner.example" });

        assert.ok(said.symbols.R_SPF_ALLOW, JSON.stringify(Object.keys(said.symbols)));
        assert.equal("POSTERN_ALLOW" in said.symbols, false);
    });

    test("nor with lines about its way where the caller says neither client nor sender", async () => {
        const text = `Return-Path: <${from}>\r\nReceived: from partner.example (partner.example [192.0.2.10]) by mx.ours.example; Sat, 21 Nov 2026 21:24:28 +0000\r\n${
            letter("hello", { from, body: "free money" }).text}`;
        const reply = JSON.parse((await http(site.http, { headers: { Rcpt: ANNA }, body: text })).text);

        assert.equal("R_SPF_ALLOW" in reply.symbols, true, "Rspamd believes them");
        assert.equal("POSTERN_ALLOW" in reply.symbols, false);
    });

    test("what Rspamd wants done to the header is done, folded as it was", async () => {
        const said = await ask(site, ANNA, letter("hello", { body: "cheap watches" }).text, { Flags: "milter" });
        const result = said.milter.add_headers["X-Spamd-Result"];

        assert.match(result.value ?? result, /\n[ \t]+TOWN_WATCHES\(8\.00\)/);
        assert.match(said.milter.add_headers["X-Spam-Status"], /^Yes, score=.*tests=.*TOWN_WATCHES/);
    });
});

describe("before a real spamd", { skip: missing("spamassassin", "spamd") }, () => {
    let spamd, site;

    before(async () => {
        spamd = await startSpamd({ local: `${spamdFinds}body CLAMAV /EICAR-STANDARD/\nscore CLAMAV 30\n${
            "header TOWN_SENDER EnvelopeFrom =~ /^writer\\@ext\\.example$/\nscore TOWN_SENDER 0.1\n"}${
            "header TOWN_CLIENT X-Spam-Relays-Untrusted =~ /^\\[ ip=8\\.8\\.4\\.4 /\nscore TOWN_CLIENT 0.1\n"}` });
        site = await startSite(`spamd://127.0.0.1:${spamd.port}`);
    });
    after(async () => { await site?.stop(); await spamd?.stop(); });

    findsAndThresholds(() => site);

    test("an allow does not lift a virus", async () => {
        const said = await ask(site, ANNA, letter("invoice", { body: EICAR }).text);

        assert.equal(said.action, "reject");
        assert.equal(said.symbols.CLAMAV.score, 30);
    });

    test("spamd scans for the domain of the recipients", async () => {
        await ask(site, ANNA, letter("hello").text);
        assert.match(spamd.log(), /checking message .* for ours\.example:/);
    });

    test("spamd believes the caller about client and sender, and not what the message says", async () => {
        const extra = `Return-Path: <x@bank.example>\r\nX-Envelope-From: <x@bank.example>\r\n` +
            "Received: from bank.example (bank.example [9.9.9.9]) by mx.ours.example (Postfix) with ESMTP id 1\r\n" +
            "\t(envelope-from <x@bank.example>); Sat, 21 Nov 2026 21:24:28 +0000\r\n";

        for (const text of [letter("hello").text, letter("hello", { extra }).text]) {
            const { symbols } = await ask(site, ANNA, text, { IP: "8.8.4.4" });
            assert.ok(symbols.TOWN_SENDER && symbols.TOWN_CLIENT, Object.keys(symbols).join(" "));
        }
    });
});

describe("before a spamd whose reports have no table", { skip: missing("spamassassin", "spamd") }, () => {
    test("the names of its symbols are told, and one that is protected keeps all of the score", async () => {
        const spamd = await startSpamd({ local: `${spamdFinds}clear_report_template\nreport Ours.\nbody CLAMAV /EICAR-STANDARD/\nscore CLAMAV 30\n` });
        const site = await startSite(`spamd://127.0.0.1:${spamd.port}`);

        try {
            for (let i = 0; i < 2; i++) {
                const said = await ask(site, ANNA, letter("hello", { body: "cheap watches" }).text);
                assert.deepEqual([said.action, said.symbols.TOWN_WATCHES.score], ["add header", 0]);
            }
            assert.equal((await ask(site, ANNA, letter("invoice", { body: "free money" }).text)).action, "no action");
            assert.equal((await ask(site, ANNA, letter("invoice", { body: EICAR }).text)).action, "reject");
        } finally {
            await site.stop();
            await spamd.stop();
        }
    });
});

// ---- scanners that misbehave ----

const GOOD = JSON.stringify({ score: 8, required_score: 15, action: "add header", symbols: { FAKE: { score: 8, options: ["x"] } } });
const reply = (body, length = body.length) => `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: ${length}\r\n\r\n${body}`;

// A scanner that does to each connection what `manner` says at the time: { port, manner, asked, stop() }.
async function startFake(manner) {
    const sockets = new Set(), fake = { manner, asked: 0 };
    const manners = {
        good: (socket) => socket.end(reply(GOOD)),
        late: (socket) => setTimeout(() => socket.end(reply(GOOD)), 500),
        hung: () => { /* never a word */ },
        slow: (socket) => setTimeout(() => socket.end(reply(GOOD)), 30_000).unref(),
        "wrong JSON": (socket) => socket.end(reply('{"score": NaN}')),
        "wrong length": (socket) => socket.end(reply(GOOD, 10)),
        "closed mid-reply": (socket) => socket.end(reply(GOOD).slice(0, -20)),
        "closed at once": (socket) => socket.destroy(),
        "an error": (socket) => socket.end(reply('{"error": "out of memory"}').replace("200 OK", "500 out of memory")),
    };
    const server = createServer((socket) => {
        sockets.add(socket);
        socket.on("error", () => { /* rulesd has lost its patience */ });
        socket.on("close", () => sockets.delete(socket));
        let question = "", answered = false;
        socket.on("data", (bytes) => {
            question += bytes.toString("latin1");
            const end = question.indexOf("\r\n\r\n"), length = Number(/content-length: (\d+)/i.exec(question)?.[1]);
            if (answered || end < 0 || question.length < end + 4 + length) return;
            answered = true;
            fake.asked++;
            manners[fake.manner](socket);
        });
    });

    await new Promise((done) => server.listen(0, "127.0.0.1", done));
    server.unref();
    return Object.assign(fake, {
        port: server.address().port,
        stop: () => new Promise((done) => { for (const s of sockets) s.destroy(); server.close(done); }),
    });
}

const faults = ["hung", "slow", "wrong JSON", "wrong length", "closed mid-reply", "closed at once", "an error"];
const seconds = async (run) => { const from = performance.now(); await run(); return (performance.now() - from) / 1000; };

for (const [down, action] of [["defer", "soft reject"], ["accept", "no action"]]) {
    test(`scanner_down = ${down}: whatever is wrong with the scanner, the sender ${down === "defer" ? "comes again" : "is heard, and the rules decide"}`, async () => {
        for (const fault of faults) {
            const fake = await startFake(fault);
            const site = await startSite(`rspamd+http://127.0.0.1:${fake.port}`, { scanner_timeout_ms: 500, scanner_down: down });

            try {
                const took = await seconds(async () => {
                    const said = await ask(site, ANNA, letter("hello").text);
                    assert.equal(said.action, action, fault);
                    assert.deepEqual(said.symbols, {}, fault);
                });
                assert.ok(took < 10, `${fault}: ${took} s`);
                assert.equal((await ask(site, ANNA, letter("wares").text)).action, "reject", fault);
                const n = await counted(site);
                assert.deepEqual([n.scanner_failed_total, n.scanner_answered_total], [1, 0], fault);
                assert.match(site.log(), new RegExp(`the scanner did not answer.*127\\.0\\.0\\.1:${fake.port}`), fault);
            } finally {
                await site.stop();
                await fake.stop();
            }
        }
    });
}

test("a scanner that is killed is asked again when it is back, and meanwhile nobody waits for it", async () => {
    const port = await freePort();
    const site = await startSite(`rspamd+http://127.0.0.1:${port}`, { scanner_timeout_ms: 5000 });
    let server;

    try {
        for (let i = 0; i < 5; i++) assert.equal((await ask(site, ANNA, letter("hello").text)).action, "soft reject");
        assert.equal((await counted(site)).scanner_well, 0);
        server = createServer((socket) => { socket.on("error", () => { /* gone */ }); socket.once("data", () => setTimeout(() => socket.end(reply(GOOD)), 20)); });
        await new Promise((done) => server.listen(port, "127.0.0.1", done));
        await waitFor("the scanner to be asked again", async () => (await ask(site, ANNA, letter("hello").text)).action === "add header", { everyMs: 100 });
        assert.equal((await counted(site)).scanner_well, 1);
    } finally {
        await site.stop();
        server?.close();
    }
});

test("the second scanner answers when the first does not", async () => {
    const first = await startFake("hung"), second = await startFake("good");
    const site = await startSite([`rspamd+http://127.0.0.1:${first.port}`, `rspamd+http://127.0.0.1:${second.port}`], { scanner_timeout_ms: 2000 });

    try {
        for (let i = 0; i < 3; i++) assert.equal((await ask(site, ANNA, letter("hello").text)).action, "add header");
        const asked = first.asked;
        assert.equal(asked, 3);
        for (let i = 0; i < 5; i++) assert.equal((await ask(site, ANNA, letter("hello").text)).action, "add header");
        assert.ok(first.asked <= asked + 2, "it is left alone, but for one question a second");
        first.manner = "good";
        await waitFor("the first to be asked again", async () => {
            await ask(site, ANNA, letter("hello").text);
            return (await counted(site)).scanner_well === 2;
        }, { everyMs: 100 });
    } finally {
        await site.stop();
        await first.stop();
        await second.stop();
    }
});

test("while a hundred questions hang at the scanner, others are answered as fast as ever", async () => {
    const fake = await startFake("hung");
    const site = await startSite(`rspamd+http://127.0.0.1:${fake.port}`, { scanner_timeout_ms: 20000 });
    const median = async () => {
        const took = [];

        for (let i = 0; i < 40; i++) took.push(await seconds(() => ask(site, ANNA, letter("wares").text)));
        return took.sort((a, b) => a - b)[20];
    };

    try {
        await median();
        const quiet = await median();
        const waiting = Array.from({ length: 100 }, () => ask(site, ANNA, letter("hello").text).catch(() => { /* it ends with rulesd */ }));
        await waitFor("all to hang", async () => (await counted(site)).scanner_under_way === 100);
        const busy = await median();

        assert.ok(busy < quiet * 3 + 0.01, `${quiet} s, with a scanner that hangs ${busy} s`);
        assert.equal((await http(site.http, { method: "GET", path: "/healthz" })).status, 200);
        await fake.stop(); // and all of them end at once
        await Promise.all(waiting);
    } finally {
        await site.stop();
    }
});

test("a message that comes again while the scanner has it is scanned once", async () => {
    const fake = await startFake("late");
    const site = await startSite(`rspamd+http://127.0.0.1:${fake.port}`);
    const { text } = letter("hello");

    try {
        const same = { "Queue-Id": "4ABC", Flags: "milter" };
        const said = await Promise.all([ask(site, ANNA, text, same), ask(site, ANNA, text, same), ask(site, ANNA, text, same)]);
        assert.deepEqual(said.map((s) => s.action), ["add header", "add header", "add header"]);
        assert.equal(fake.asked, 1);
    } finally {
        await site.stop();
        await fake.stop();
    }
});
test("SPF is asked about the client, not about the relay in front", async () => {
    const rspamd = await startRspamdScanner({ records: [{ name: "partner.example", type: "txt", replies: ["v=spf1 ip4:192.0.2.10 ip4:192.0.2.50 -all"] }] });
    const site = await startRulesd({ config: { rulesd: { mta_from: "127.0.0.0/8", trusted_relays: "192.0.2.50", scanner: `rspamd+http://127.0.0.1:${rspamd.port}` } } });
    try {
        await site.must("domain", "add", "ours.example");
        await site.must("rule", "add", "--scope", "domain:ours.example", "allow", "--sender", "partner.example");
        const ask = async (ip) => JSON.parse((await http(site.http, { headers: { From: "<b@partner.example>", Rcpt: "a@ours.example", IP: "192.0.2.50", Helo: "gw.ours.example" },
            body: `Received: from x (x [${ip}]) by gw.ours.example (Postfix) with ESMTP id 1; Sat, 21 Nov 2026 21:24:28 +0000\r\n${letter("hi", { from: "b@partner.example" }).text}` })).text);
        const a = await ask("192.0.2.66"), b = await ask("192.0.2.10");
        assert.deepEqual(["POSTERN_ALLOW" in a.symbols, "POSTERN_ALLOW" in b.symbols], [false, true], JSON.stringify(a.symbols));
    } finally { await site.stop(); await rspamd.stop(); }
});

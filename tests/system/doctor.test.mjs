// postern doctor: each thing that can be wrong is found, and comes with a cure.
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { cannot, freePort, http, makeSite, must, start, startRulesd, startSmtpSink, waitFor } from "./lib/index.mjs";
import { mail } from "./lib/household.mjs";

let site;

before(async () => { site = await startRulesd(); await site.must("domain", "add", "ours.example"); await site.must("mailbox", "add", "joe@ours.example"); });
after(() => site.stop());

// Findings of a check, as [level, text] each.
async function findings(check, { at = site, args = [], env } = {}) {
    const { code, stdout, stderr } = await at.postern(["doctor", "--json", ...args], { env });
    const all = JSON.parse(stdout || `{"findings": [], "wrong": "${stderr}"}`);

    assert.equal(code === 0, all.wrong === 0, stderr);
    for (const f of all.findings) assert.equal(f.level === "ok", f.cure === undefined, `${f.text}: a cure for what is wrong, and for nothing else`);
    return all.findings.filter((f) => f.check === check).map((f) => [f.level, f.text]);
}
const says = (found, level, text) => assert.ok(found.some(([l, t]) => l === level && text.test(t)), JSON.stringify(found));

test("a site that is well has nothing wrong once mail has come", async () => {
    says(await findings("envelope"), "wrong", /no message with a recipient/);
    await http(site.httpSock, { headers: { Rcpt: "joe@ours.example", From: "a@b.example", "Queue-Id": "4jX1", IP: "192.0.2.1" }, body: mail() });
    await new Promise((done) => setTimeout(done, 300));
    const { code, stdout } = await site.postern(["doctor"]);
    assert.equal(code, 0, stdout);
    assert.match(stdout, /^ok     envelope   recipients are seen: 1 /m);
    assert.match(stdout, /^note   scanner    there is none[^]*?-> set \[rulesd\] scanner/m);
});

test("without client addresses and queue ids it says what that costs", async () => {
    const other = await startRulesd();

    try {
        await other.must("domain", "add", "ours.example");
        await http(other.httpSock, { headers: { Rcpt: "joe@ours.example" }, body: mail() });
        await new Promise((done) => setTimeout(done, 300));
        const found = await findings("envelope", { at: other });
        says(found, "note", /no client address/);
        says(found, "note", /no queue id/);
    } finally {
        await other.stop();
    }
});

test("scans without a recipient are no use, and are found", async () => {
    const other = await startRulesd();

    try {
        for (let i = 0; i < 20; i++) await http(other.httpSock, { body: mail() });
        says(await findings("rulesd", { at: other }), "wrong", /20 messages came since its start, none with a recipient/);
        await other.kill();
        const found = await findings("rulesd", { at: other });
        assert.equal(found.filter(([level, text]) => level === "wrong" && /does not answer: .*refused/.test(text)).length, 4, JSON.stringify(found));
    } finally {
        await other.stop();
    }
});

test("addresses for reports of a domain of ours are well", async () => {
    const other = await makeSite({ trainer: { report_spam: "spam", report_ham: "ham@ours.example" } });

    await other.must("init");
    await other.must("domain", "add", "ours.example");
    const found = await findings("trainer", { at: other });
    says(found, "ok", /ham@ours\.example is an address for reports/);
    assert.ok(found.every(([level]) => level === "ok"), JSON.stringify(found));
    await other.remove();
});

test("a clock that went back is found by the log", async () => {
    const other = await startRulesd();

    try {
        await other.must("domain", "add", "ours.example");
        await http(other.httpSock, { headers: { Rcpt: "joe@ours.example" }, body: mail() });
        await waitFor("the message to be logged", async () => (await findings("envelope", { at: other })).some(([level]) => level === "ok"));
        await must("sqlite3", [join(other.dir, "log.db"), `.timeout 5000`, `UPDATE message SET at_us = at_us + ${3600e6}`]);
        says(await findings("clock", { at: other }), "wrong", /from the future/);
    } finally {
        await other.stop();
    }
});

test("a look-up that its program can read is well, and one that it cannot is not", { skip: cannot("spamd") }, async () => {
    const other = await makeSite();

    other.configure({ lookup: { programs: "spamassassin", dir: join(other.dir, "lookup") } });
    await startRulesd({ site: other });
    try {
        says(await findings("lookups", { at: other }), "ok", /spamassassin can read/);
        chmodSync(join(other.dir, "lookup/spamassassin/lookup.db"), 0o600);
        says(await findings("lookups", { at: other }), "wrong", /the group debian-spamd cannot read/);
    } finally {
        await other.stop();
        other.remove();
    }
});

// Sites that never run: what the settings and this machine say.
const broken = [
    ["database", "a database that is not there", () => ({}), { init: false }, "wrong", /./],
    ["keys", "keys that are not there", () => ({}), { init: true, then: (s) => rmSync(s.settings.quarantine.keys, { recursive: true }) }, "wrong", /keys/],
    ["room", "too little room", () => ({ quarantine: { min_free: "900000G" } }), { init: true }, "wrong", /quarantine: \d+ MB are free/],
    ["trust", "nobody whose word counts", (s) => ({ rulesd: { listen_http: `127.0.0.1:${s.http}`, listen_spamd: `unix:${s.spamdSock}?class=scan` } }), {}, "wrong",
        /nobody's word/],
    ["trust", "users of the MTA who do not exist", (s) => ({ rulesd: { listen_http: `unix:${s.httpSock}`, listen_spamd: "", mta_users: "nosuchuser" } }), {}, "wrong", /nobody's word/],
    ["trust", "a word that every program on this machine has", () => ({ rulesd: { mta_from: "127.0.0.0/8" } }), {}, "note", /every program/],
    ["scanner", "a scanner that does not answer", () => ({ rulesd: { scanner: "rspamd+http://127.0.0.1:9", scanner_timeout_ms: 1000 } }), {}, "wrong", /127\.0\.0\.1:9/],
    ["senders", "senders who cannot be proven", () => ({}), {}, "note", /no sender can be proven: an allow by sender name does nothing/],
    ["senders", "senders proven by a header field", () => ({ rules: { authserv_id: "mx.example" } }), {}, "ok", /Authentication-Results/],
    ["release", "no way back in", () => ({}), {}, "note", /cannot be released/],
    ["release", "a way back in that is closed", () => ({ delivery: { url: "smtp://127.0.0.1:9" } }), {}, "wrong", /127\.0\.0\.1/],
    ["release", "a way back in on another machine", () => ({ delivery: { url: "smtp://192.0.2.1:10025" } }), {}, "note", /another machine/],
    ["lookups", "a look-up that is not there", (s) => ({ lookup: { programs: "spamassassin", dir: join(s.dir, "lookup") } }), {}, "wrong", /spamassassin\/lookup\.db is not there/],
    ["trainer", "an address for reports that is of somebody else's domain", () => ({ trainer: { report_spam: "spam, junk@ours.example, junk@theirs.example" } }), {}, "wrong", /report_spam names junk@theirs\.example, which is of no active domain/],
    ["trainer", "an address for both", () => ({ trainer: { report_spam: "spam", report_ham: "spam" } }), {}, "wrong", /both name spam/],
    ["trainer", "a listener for reports without an address for them", () => ({ trainer: { listen_lmtp: "127.0.0.1:9" } }), {}, "wrong", /no address is one for reports/],
    ["trainer", "a trainer that is not there", () => ({ trainer: { backend: "spamd://127.0.0.1:9" } }), {}, "wrong", /127\.0\.0\.1:9/],
];

for (const [check, what, settings, { init = true, then }, level, text] of broken) test(`it finds ${what}`, async () => {
    const other = await makeSite();

    try {
        other.configure(settings(other));
        if (init) await other.must("init");
        then?.(other);
        says(await findings(check, { at: other }), level, text);
    } finally {
        other.remove();
    }
});

test("the way back in is looked at from outside", async () => {
    const sink = await startSmtpSink(), other = await makeSite({ delivery: { url: `smtp://127.0.0.1:${sink.port}` } });

    await other.must("init");
    const found = await findings("release", { at: other });
    says(found, "ok", /takes mail/);
    says(found, "ok", new RegExp(`port ${sink.port} is closed to strangers`));
    await sink.stop();
    other.remove();
});

const outside = Object.values(networkInterfaces()).flat().some((i) => !i.internal);
test("a way back in that strangers reach is wrong", { skip: outside ? false : "this machine has no address but loopback" }, async () => {
    const port = await freePort(), other = await makeSite({ delivery: { url: `smtp://127.0.0.1:${port}` } });
    const open = await start("open", process.execPath, ["-e", `require("net").createServer((s) => { s.write("220 open ESMTP\\r\\n"); s.on("error", () => {}); }).listen(${port}, "0.0.0.0")`],
        { ready: async () => true });

    await new Promise((done) => setTimeout(done, 500));
    await other.must("init");
    says(await findings("release", { at: other }), "wrong", new RegExp(`port ${port} can be reached through`));
    await open.stop();
    other.remove();
});

// Stand-ins for what Rspamd and Postfix say of themselves.
const timeouts = [
    ["nested", 8, 15, "30s", [["ok", /Rspamd's scan \(8 s\) ends before scanner_timeout_ms \(10 s\)/], ["ok", /proxy \(15 s\)/], ["ok", /milter_content_timeout \(30 s\)/]]],
    ["a scan that takes too long", 12, 15, "30s", [["wrong", /Rspamd's scan \(12 s\) does not end before scanner_timeout_ms \(10 s\)/]]],
    ["a proxy that does not wait", 8, 6, "30s", [["wrong", /scanner_timeout_ms \(10 s\) does not end before Rspamd's proxy \(6 s\)/]]],
    ["a Postfix that does not wait", 8, 120, "1m", [["wrong", /Rspamd's proxy \(120 s\) does not end before milter_content_timeout \(60 s\)/]]],
];

for (const [what, task, proxy, milter, expected] of timeouts) test(`timeouts: ${what}`, async () => {
    const other = await makeSite({ rulesd: { scanner: "rspamd+http://127.0.0.1:9", scanner_timeout_ms: 10000 } }), bin = join(other.dir, "bin");

    mkdirSync(bin);
    for (const [name, text] of [["rspamadm", `echo '{"normal": {}} {"rspamd_proxy": {"timeout": ${proxy}}} {"task_timeout": ${task}}'`], ["postconf", `echo ${milter}`]]) {
        writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`);
        chmodSync(join(bin, name), 0o755);
    }
    await other.must("init");
    const found = await findings("timeouts", { at: other, env: { PATH: `${bin}:${process.env.PATH}` } });
    for (const [level, text] of expected) says(found, level, text);
    other.remove();
});

test("a test message that the mail server does not take is wrong", async () => {
    const sink = await startSmtpSink({ answer: (verb) => (verb === "RCPT" ? "550 5.1.1 no such user" : null) });
    const other = await makeSite({ smtp: { url: `smtp://127.0.0.1:${sink.port}` } });

    await other.must("init");
    says(await findings("mail", { at: other, args: ["--mail", "joe@ours.example"] }), "wrong", /550 5\.1\.1 no such user/);
    await sink.stop();
    other.remove();
});

test("a test message that rulesd was never asked about is wrong", async () => {
    const sink = await startSmtpSink(), other = await makeSite({ smtp: { url: `smtp://127.0.0.1:${sink.port}` } });

    await other.must("init");
    const found = await findings("mail", { at: other, args: ["--mail", "joe@ours.example", "--wait", "1"] });
    says(found, "ok", /the mail server took it/);
    says(found, "wrong", /did not ask rulesd/);
    assert.match(sink.messages[0].data, /^Auto-Submitted: auto-generated\r$/m);
    await sink.stop();
    other.remove();
});

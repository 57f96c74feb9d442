// Rspamd that knows our lists and thresholds as maps alone: the files of examples/rspamd-maps.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { example, http, missing, startRspamdScanner, startRulesd, waitFor } from "./lib/index.mjs";

const skip = missing("rspamd");
let site, rspamd;

before(async () => {
    if (skip) return;
    site = await startRulesd();
    await site.must("domain", "add", "ours.example");
    await site.must("thresholds", "set", "domain:ours.example", "reject=9.5", "add_header=3.5", "greylist=2");
    const add = (name, ...rule) => site.must("rule", "add", "--scope", "domain:ours.example", "--name", name, ...rule);
    await add("one", "--sender", "spam@bad.example", "block");
    await add("all of them", "--sender", "worse.example", "block");
    await add("network", "--ip", "192.0.2.0/24", "block");
    await add("hosts", "--host", "mx.bad.example", "--host", "*.dial.example", "--host", "pool-*.[de|dk]", "block");
    await add("friends", "--host", "mx.partner.example", "--host", "*.out.partner.example", "allow");
    const token = /^(pst_\S+)$/m.exec(await site.must("token", "add", "maps", "maps:global"))[1];
    const swap = { "pst_…": token, "127.0.0.1:11344": `127.0.0.1:${site.http}` };
    rspamd = await startRspamdScanner({
        local: {
            "multimap.conf": example("rspamd-maps/multimap.conf", swap),
            "../rspamd.conf.override": example("rspamd-maps/rspamd.conf.override", swap),
            "../override.d/options.inc": "map_watch_interval = 1s;\n",
        },
    });
});
after(async () => { for (const stop of [rspamd?.stop, site?.stop]) await stop?.(); });

const ask = async ({ from = "someone@good.example", ip = "198.51.100.7", rcpt = "anna@ours.example", host = "mx.good.example", helo = "mx.good.example" }) =>
    JSON.parse((await http(rspamd.port, { headers: { From: from, Rcpt: rcpt, IP: ip, Hostname: host, Helo: helo, "Queue-Id": "Q1" }, body: `From: ${from}\r\nSubject: hello\r\n\r\nbody\r\n` })).text);
// A list may be kept for five seconds, and Rspamd looks a little later.
const finds = (what, name) => waitFor(name, async () => name in (await ask(what)).symbols, { seconds: 120, everyMs: 200 });

test("what the rules block is in Rspamd's maps", { skip }, async () => {
    await finds({ from: "spam@bad.example" }, "POSTERN_BLOCK_SENDER");
    await finds({ from: "anybody@sub.worse.example" }, "POSTERN_BLOCK_PATTERN");
    await finds({ ip: "192.0.2.66" }, "POSTERN_BLOCK_IP");
    const clean = Object.keys((await ask({})).symbols).filter((n) => n.startsWith("POSTERN"));
    assert.deepEqual(clean, []);
});

test("and so are the names of servers: as the mail server verified them, for a block also as they call themselves", { skip }, async () => {
    const ours = async (what) => Object.keys((await ask(what)).symbols).filter((n) => n.startsWith("POSTERN"));

    await finds({ host: "mx.bad.example" }, "POSTERN_BLOCK_HOST");
    await finds({ host: "MX1.OUT.partner.example" }, "POSTERN_ALLOW_HOST_PATTERN");
    const cases = [
        [{ host: "MX.Bad.example" }, ["POSTERN_BLOCK_HOST"]],
        [{ host: "a.b.dial.example" }, ["POSTERN_BLOCK_HOST_PATTERN"]],
        [{ host: "pool-7.isp.dk" }, ["POSTERN_BLOCK_HOST_PATTERN"]],
        [{ helo: "mx.bad.example" }, ["POSTERN_BLOCK_HELO"]],
        [{ helo: "a.dial.example" }, ["POSTERN_BLOCK_HELO_PATTERN"]],
        [{ host: "mx.partner.example" }, ["POSTERN_ALLOW_HOST"]],
        [{ helo: "mx.partner.example" }, []],
        [{ host: "dial.example" }, []],
        [{ host: "xmx.bad.example" }, []],
        [{ host: "mx.bad.example.org" }, []],
        [{ host: "pool-7.isp.dk.example" }, []],
    ];
    for (const [what, found] of cases) assert.deepEqual(await ours(what), found, JSON.stringify(what));
});

test("the thresholds are those of the domain", { skip }, async () => {
    await waitFor("the settings", async () => (await ask({})).required_score === 9.5, { seconds: 60, everyMs: 500 });
    assert.notEqual((await ask({ rcpt: "x@elsewhere.example" })).required_score, 9.5);
});

test("a new rule gets there", { skip }, async () => {
    await site.must("rule", "add", "--scope", "domain:ours.example", "--name", "later", "--sender", "later@bad.example", "block");
    await finds({ from: "later@bad.example" }, "POSTERN_BLOCK_SENDER");
});

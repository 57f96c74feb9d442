// Beside a filter that decides: rulesd judges and logs, changes nothing, says where it would have differed, and goes live by one command.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { cannot, http, startRspamdScanner, startRulesd, waitFor } from "./lib/index.mjs";

const spam = "From: Ben <ben@friends.example>\r\nTo: anna@ours.example\r\nSubject: Hello\r\n\r\nA few words.\r\n";
const gtube = spam.replace("A few words.", "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X");

async function startSite(rulesd = {}) {
    const site = await startRulesd({ config: { rulesd: { mta_from: "127.0.0.0/8", mode: "observe", ...rulesd } } });
    await site.must("domain", "add", "ours.example");
    await site.must("mailbox", "add", "anna@ours.example");
    await site.must("rule", "add", "--scope", "domain:ours.example", "block", "--sender", "ben@friends.example");
    return site;
}
let queue = 0;
const scan = async (site, body = spam, from = "ben@friends.example") => JSON.parse((await http(site.http, {
    headers: { From: `<${from}>`, Rcpt: "<anna@ours.example>", "Queue-ID": `O${++queue}`, Flags: "milter" }, body })).text);
const report = async (site, n) => waitFor("the report", async () => {
    const r = JSON.parse(await site.must("observe", "report", "--json"));
    return r.sums.reduce((sum, s) => sum + s.count, 0) >= n ? r : undefined;
});

test("alone it lets everything pass, and tells what it would have refused", async () => {
    const site = await startSite();
    assert.equal((await scan(site)).action, "no action");
    assert.equal((await scan(site, spam.replace("Ben <ben", "Carl <carl"), "carl@friends.example")).action, "no action");
    const { sums, differences } = await report(site, 2);
    assert.deepEqual(sums.map((s) => [s.ours, s.theirs, s.count]).sort(), [["pass", "", 1], ["reject", "", 1]]);
    assert.equal(differences.length, 1);
    assert.equal(differences[0].from, "ben@friends.example");
    const text = await site.must("observe", "report");
    assert.match(text, /the same 1 times, and something else 1 times/);
    assert.match(text, /reject instead of pass, rule [0-9a-f]{8} {2}from ben@friends\.example/);
    await site.stop();
});

test("one command goes live, and another goes back; nothing else in the settings changes", async () => {
    const site = await startSite();
    const before = readFileSync(site.conf, "utf8");
    assert.match(await site.must("observe", "live", "--yes"), /mode = live in 1 place\. rulesd was told \(1 process\)/);
    assert.equal(readFileSync(site.conf, "utf8"), before.replace("mode = observe", "mode = live"));
    await waitFor("the rules to act", async () => (await scan(site)).action === "reject");
    await site.must("observe", "again");
    assert.equal(readFileSync(site.conf, "utf8"), before);
    await waitFor("the rules to stand back", async () => (await scan(site)).action === "no action");
    const { code, stderr } = await site.postern(["observe", "again"]);
    assert.notEqual(code, 0);
    assert.match(stderr, /says mode = live nowhere/);
    await site.stop();
});

test("in front of a scanner its reply passes unchanged, and the log has what it did", { skip: cannot("rspamd") }, async () => {
    const scanner = await startRspamdScanner();
    const site = await startSite({ scanner: `rspamd+http://127.0.0.1:${scanner.port}` });
    const direct = JSON.parse((await http(scanner.port, { headers: { From: "<ben@friends.example>", Rcpt: "<anna@ours.example>" }, body: gtube })).text);
    const through = await scan(site, gtube);
    for (const key of ["action", "score", "required_score", "messages"]) assert.deepEqual(through[key], direct[key], key);
    assert.deepEqual(Object.keys(through.symbols).sort(), Object.keys(direct.symbols).sort());
    const plain = { "no action": "pass", "add header": "tag" }[(await scan(site)).action];
    const { sums } = await report(site, 2);
    assert.deepEqual(sums.map((s) => [s.ours, s.theirs]).sort(), [["reject", plain], ["reject", "reject"]].sort());
    await scanner.stop();
    assert.equal((await http(site.http, { headers: { From: "<ben@friends.example>", Rcpt: "<anna@ours.example>" }, body: spam })).status, 503);
    await site.stop();
});

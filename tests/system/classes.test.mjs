// Whose word counts: a process on the same host that is no MTA gets a verdict, and leaves nothing behind.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { http, isRoot, rawTcp, sleep, spamc, startRulesd, userOf, waitFor } from "./lib/index.mjs";
import { furnish, mail, numbers } from "./lib/household.mjs";

const spam = mail({ from: "x@bad.example" }), lottery = mail({ subject: "lottery" });
const noStranger = isRoot && userOf("nobody") ? undefined : "needs root and a user nobody";
let site, ids;

// Without mta_from everybody on TCP is of class scan; each test has its own rulesd, hence its own allowance.
async function startSite(rulesd = {}) {
    const own = await startRulesd({ config: { rulesd } });
    return [own, await furnish(own)];
}

before(async () => { [site, ids] = await startSite({ password: "very secret" }); });
after(() => site.stop());

const check = (to, headers, body = spam) => http(to, { headers, body });
const hits = async (own, id) => Number(/hits?\D+(\d+)/i.exec(await own.must("rule", "show", id))?.[1] ?? NaN);

test("class scan is told the verdict and no rule", async () => {
    const reply = await check(site.http, { Rcpt: "ann@ours.example", Flags: "milter" });
    const said = JSON.parse(reply.text);
    assert.deepEqual([said.action, said.score], ["reject", 100]);
    assert.deepEqual(Object.keys(said.symbols), ["POSTERN_BLOCK"]);
    assert.equal(said.symbols.POSTERN_BLOCK.options, undefined);
    assert.equal(said.messages.smtp_message, "Blocked by the recipient's rules");
    assert.doesNotMatch(reply.text, new RegExp(`${ids.sender}|Nobody from`));
    const report = await rawTcp(site.spamd, `REPORT SPAMC/1.5\r\nUser: ann@ours.example\r\nContent-length: ${spam.length}\r\n\r\n${spam}`);
    assert.match(report.toString(), /Blocked by the recipient's rules/);
    assert.doesNotMatch(report.toString(), new RegExp(`${ids.sender}|Nobody from|Rule:`));
});

test("class mta is told the rule's short id, and its hit is counted", async () => {
    const said = JSON.parse((await check(site.httpSock, { Rcpt: "ann@ours.example" })).text);
    assert.deepEqual(said.symbols.POSTERN_BLOCK.options, [ids.sender]);
    await waitFor("the hit to be written", async () => await hits(site, ids.sender) === 1);
});

test("whatever class scan claims, no counter, log or greylist entry moves", async () => {
    const [own, rules] = await startSite({});
    const claims = [
        { User: "joe@ours.example" }, { User: "joe@ours.example", From: "joe@ours.example" }, { "Deliver-To": "joe@ours.example" },
        { Flags: "milter,pass_all" }, { Milter: "yes" }, { IP: "127.0.0.1" }, { "Queue-Id": "4XyZ1" }, { "MTA-Name": "mx.ours.example" },
        { "Settings": '{"actions":{"reject":1}}' }, { "X-Forwarded-For": "127.0.0.1" }, { "User-Agent": "Postfix 3.7.11" },
    ];
    for (const claim of claims) await check(own.http, { Rcpt: "joe@ours.example", ...claim });
    await spamc(["-d", "127.0.0.1", "-p", String(own.spamd), "-u", "joe@ours.example", "-c"], `X-Envelope-To: ann@ours.example\n${spam}`);
    await sleep(1500); // hits are written once a second
    for (const id of Object.values(rules)) assert.equal(await hits(own, id), 0, id);
    const now = (await http(own.http, { method: "GET", path: "/metrics" })).text;
    assert.deepEqual(numbers(now, /^(greylist_tuples|greylist_pairs|hits_waiting|greylist_deferred_total)$/),
        { greylist_tuples: 0, greylist_pairs: 0, hits_waiting: 0, greylist_deferred_total: 0 });
    const lines = own.log().split("\n").filter((line) => / scan uid=/.test(line));
    assert.equal(lines.length, claims.length + 1);
    for (const line of lines) assert.doesNotMatch(line, /@|rule=|queue_id|192\.0\.2/, line);
    await own.stop();
});

test("class scan may name 20 recipients a minute, over both protocols together", async () => {
    const [own] = await startSite({});
    for (let i = 0; i < 10; i++) assert.equal((await check(own.http, { Rcpt: `u${i}@ours.example` })).status, 200);
    const many = Array.from({ length: 9 }, (_, i) => ["Rcpt", `v${i}@ours.example`]);
    assert.equal((await check(own.http, many)).status, 200);
    assert.equal((await check(own.http, [["Rcpt", "a@ours.example"], ["Rcpt", "b@ours.example"]])).status, 429);
    assert.equal((await check(own.http, { Rcpt: "last@ours.example" })).status, 200);
    const refused = await check(own.http, { Rcpt: "one@ours.example" });
    assert.equal(refused.status, 429);
    assert.deepEqual(Object.keys(JSON.parse(refused.text)), ["error"]);
    assert.match((await rawTcp(own.spamd, `CHECK SPAMC/1.5\r\nUser: a@ours.example\r\nContent-length: ${spam.length}\r\n\r\n${spam}`)).toString(),
        /^SPAMD\/1\.0 75 [^\r\n]+\r\n$/);
    assert.equal((await check(own.httpSock, { Rcpt: "one@ours.example" })).status, 200, "an MTA is not counted");
    assert.equal((await check(own.http, {})).status, 200, "nor is a scan for nobody");
    await own.stop();
});

test("more recipients than the allowance in one request are refused at once", async () => {
    const [own] = await startSite({});
    assert.equal((await check(own.http, Array.from({ length: 21 }, (_, i) => ["Rcpt", `u${i}@ours.example`]))).status, 429);
    await own.stop();
});

test("the password makes an MTA, in both of its forms", async () => {
    const basic = `Basic ${Buffer.from("anybody:very secret").toString("base64")}`;
    for (const headers of [{ Password: "very secret" }, { Authorization: basic }]) {
        const said = JSON.parse((await check(site.http, { Rcpt: "ann@ours.example", ...headers })).text);
        assert.deepEqual(said.symbols.POSTERN_BLOCK.options, [ids.sender]);
    }
});

test("a wrong password is told, and nothing is judged", async () => {
    for (const password of ["very secre", "very secret!", "", "wrong"]) {
        const reply = await check(site.http, { Rcpt: "ann@ours.example", Password: password });
        assert.equal(reply.status, 401, password);
        assert.deepEqual(JSON.parse(reply.text), { error: "Unauthorized" });
    }
});

test("where no password is set, none is right", async () => {
    const [own] = await startSite({});
    for (const password of ["", "x"]) assert.equal((await check(own.http, { Rcpt: "ann@ours.example", Password: password })).status, 401);
    await own.stop();
});

test("an address in mta_from makes an MTA, and a listener's class only lowers", async () => {
    const [own, rules] = await startSite({ mta_from: "127.0.0.0/8", password: "very secret" });
    const said = JSON.parse((await check(own.http, { Rcpt: "ann@ours.example" })).text);
    assert.deepEqual(said.symbols.POSTERN_BLOCK.options, [rules.sender]);
    own.configure({ rulesd: { listen_http: [`127.0.0.1:${own.http}?class=scan`, `unix:${own.httpSock}?class=scan`] } });
    await own.restart();
    for (const to of [own.http, own.httpSock]) {
        const lesser = JSON.parse((await check(to, { Rcpt: "ann@ours.example", Password: "very secret" })).text);
        assert.equal(lesser.symbols.POSTERN_BLOCK.options, undefined);
    }
    await own.stop();
});

test("over a Unix socket a user who is not in mta_users is of class scan", { skip: noStranger }, async () => {
    const { stdout } = await spamc(["-U", site.spamdSock, "-u", "ann@ours.example", "-R"], spam, { user: "nobody" });
    assert.match(stdout, /^100\.0\/6\.0\n/);
    assert.doesNotMatch(stdout, /Rule:/);
    assert.match((await spamc(["-U", site.spamdSock, "-u", "ann@ours.example", "-R"], spam)).stdout, /Rule:/);
});

test("mta_users makes that user an MTA", { skip: noStranger }, async () => {
    const [own] = await startSite({ mta_users: "nobody" });
    assert.match((await spamc(["-U", own.spamdSock, "-u", "ann@ours.example", "-R"], spam, { user: "nobody" })).stdout, /Rule:/);
    await own.stop();
});

test("envelope lines count where the listener says so, for an MTA alone", async () => {
    const [own] = await startSite({ envelope_lines: "on" });
    const lines = `X-Envelope-From: <a@b.example>\nX-Envelope-To: joe@ours.example\n${lottery}`;
    const ask = (to, message) => rawTcp(to, `CHECK SPAMC/1.5\r\nUser: ann@ours.example\r\nContent-length: ${message.length}\r\n\r\n${message}`);
    assert.match((await ask(own.spamdSock, lines)).toString(), /Spam: True/);
    assert.match((await ask(own.spamdSock, lottery)).toString(), /Spam: False/, "without lines, User");
    assert.match((await ask(own.spamd, lines)).toString(), /Spam: False/, "class scan states no lines");
    assert.match((await ask(site.spamdSock, lines)).toString(), /Spam: False/, "the listener does not say so");
    await own.stop();
});

test("class scan may not learn, nor does it learn why", async () => {
    assert.equal((await http(site.http, { path: "/learnspam", body: spam })).status, 401);
    assert.equal((await http(site.http, { path: "/learnspam", body: spam, headers: { Password: "very secret" } })).status, 404);
});

test("files and shared memory are never read for anybody", async () => {
    for (const header of ["Shm", "File", "Path", "Message-Length"]) {
        assert.equal((await check(site.httpSock, { [header]: "/etc/passwd" }, "")).status, 400, header);
    }
});

// Whose word counts: a process on the same host that is no MTA gets a verdict, and leaves nothing behind.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, before, test } from "node:test";

import { freePort, http, isRoot, parseHttp, rawTcp, sleep, spamc, startRulesd, userOf, waitFor } from "./lib/index.mjs";
import { furnish, mail, numbers } from "./lib/household.mjs";

const spam = mail({ from: "x@bad.example" }), lottery = mail({ subject: "lottery" });
const noIpv6 = existsSync("/proc/net/if_inet6") ? undefined : "needs IPv6";
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

test("class scan has one verdict for all it names, and is not told who of them it concerns", async () => {
    const both = [["Rcpt", "ann@ours.example"], ["Rcpt", "joe@ours.example"], ["Flags", "milter"]];
    const dropped = async (to) => JSON.parse((await check(to, both, lottery)).text).milter.del_rcpt;
    assert.deepEqual(await dropped(site.httpSock), ["joe@ours.example"], "an MTA can drop him");
    assert.equal(await dropped(site.http), undefined);
});

test("a rule that looks at the receiving side sees the domain's next hop", async () => {
    await site.must("domain", "add", "routed.example", "--route", "smtp://[2001:db8::9]:25");
    await site.must("rule", "add", "--scope", "domain:routed.example", "--flow", "to", "block", "--ip", "2001:db8::/32");
    await waitFor("the rule decides", async () => JSON.parse((await check(site.httpSock, { Rcpt: "a@routed.example" }, lottery)).text).action === "reject");
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

const request = (headers, body = spam, path = "/checkv2") => `POST ${path} HTTP/1.1\r\nHost: x\r\n${
    Object.entries(headers).map(([k, v]) => `${k}: ${v}\r\n`).join("")}Content-Length: ${body.length}\r\n\r\n${body}`;
const optionsOf = (reply) => JSON.parse(reply.text).symbols.POSTERN_BLOCK?.options;

test("a password is good for one request, not for the connection", async () => {
    const bytes = await rawTcp(site.http, request({ Rcpt: "ann@ours.example", Password: "very secret" }) + request({ Rcpt: "ann@ours.example" }) +
        request({ Rcpt: "ann@ours.example", Password: "wrong" }) + request({ Rcpt: "ann@ours.example", Connection: "close" }), { halfClose: false });
    const replies = [];
    for (let rest = bytes; rest.length > 0; rest = rest.subarray(replies.at(-1).size)) replies.push(parseHttp(rest));
    assert.deepEqual(replies.map((r) => r.status), [200, 200, 401, 200]);
    assert.deepEqual(optionsOf(replies[0]), [ids.sender]);
    assert.equal(optionsOf(replies[1]), undefined);
    assert.equal(optionsOf(replies[3]), undefined);
});

test("nothing that a request says raises its class, on either port, in head or query", async () => {
    const [own] = await startSite({ password: "very secret" });
    const claims = [
        { "X-Forwarded-For": "127.0.0.1" }, { Forwarded: "for=127.0.0.1" }, { "X-Real-IP": "127.0.0.1" }, { IP: "127.0.0.1" }, { Class: "mta" },
        { Authorization: "Bearer very secret" }, { Authorization: "Basic" }, { Authorization: "Basic dmVyeSBzZWNyZXQ=" }, { "X-Password": "very secret" },
        { User: "root" }, { "MTA-Name": "localhost" }, { "MTA-Tag": "rspamd" }, { "User-Agent": "rspamd-proxy" }, { Settings: "{}" }, { "Settings-ID": "mta" },
        { Pass: "all" }, { Flags: "milter,body_block,pass_all" }, { Host: "localhost" },
    ];
    let asked = 0;
    for (const claim of claims) {
        for (const to of [own.http, own.spamd]) {
            // Each with an address of its own: nobody's allowance is used up on the way.
            const peer = { host: "127.0.0.1", port: to, localAddress: `127.1.${1 + (asked >> 4)}.${1 + (asked++ & 15)}` };
            const reply = await http(peer, { headers: { Rcpt: "ann@ours.example", ...claim }, body: spam });
            if (reply.status === 401) continue;
            assert.equal(reply.status, 200, JSON.stringify(claim));
            assert.equal(optionsOf(reply), undefined, JSON.stringify(claim));
        }
        const [name, value] = Object.entries(claim)[0];
        const reply = await http({ host: "127.0.0.1", port: own.http, localAddress: "127.2.0.1" }, { path: `/checkv2?class=mta&${name}=${encodeURIComponent(value)}`, body: spam });
        assert.ok([200, 401].includes(reply.status) && !/options/.test(reply.text), `${name} in the query: ${reply.text}`);
    }
    await own.stop();
});

test("HTTP on the spamd port is of the same class there, and its password counts there too", async () => {
    const [own, rules] = await startSite({ password: "very secret" });
    assert.equal(optionsOf(await check(own.spamd, { Rcpt: "ann@ours.example" })), undefined);
    assert.deepEqual(optionsOf(await check(own.spamd, { Rcpt: "ann@ours.example", Password: "very secret" })), [rules.sender]);
    assert.equal((await check(own.spamd, { Rcpt: "ann@ours.example", Password: "wrong" })).status, 401);
    await own.stop();
});

test("of two passwords the first counts, and a wrong one is in the log once a minute", async () => {
    const [own] = await startSite({ password: "very secret" });
    const two = (...passwords) => check(own.http, [["Rcpt", "ann@ours.example"], ...passwords.map((p) => ["Password", p])]);
    assert.equal((await two("wrong", "very secret")).status, 401);
    assert.equal((await two("very secret", "wrong")).status, 200);
    for (let i = 0; i < 200; i++) assert.equal((await two(`guess ${i}`)).status, 401);
    assert.equal(own.log().match(/wrong password/g).length, 1);
    assert.match(own.log(), /wrong password listener=\S+ peer=127\.0\.0\.1$/m);
    assert.doesNotMatch(own.log(), /guess|very secret/, "no password is logged, not even a wrong one");
    await own.stop();
});

test("recipients are counted however they are stated", async () => {
    const [own] = await startSite({});
    const many = Array.from({ length: 21 }, (_, i) => `u${i}@ours.example`);
    const from = (n) => ({ host: "127.0.0.1", port: own.http, localAddress: `127.3.0.${n}` });
    assert.equal((await check(from(1), { Rcpt: many.join(", ") })).status, 429);
    assert.equal((await http(from(2), { path: `/checkv2?${many.map((m) => `Rcpt=${m}`).join("&")}`, body: spam })).status, 429);
    assert.match((await rawTcp({ ...from(3), port: own.spamd }, `CHECK RSPAMC/1.3\r\n${many.map((m) => `Rcpt: ${m}\r\n`).join("")}Content-length: ${spam.length}\r\n\r\n${spam}`)).toString(),
        /^RSPAMD\/1\.3 75 EX_TEMPFAIL/);
    for (let i = 0; i < 20; i++) assert.equal((await check(from(4), { "Deliver-To": many[i] })).status, 200);
    assert.equal((await check(from(4), { "Deliver-To": many[20] })).status, 429);
    assert.equal((await check(from(5), { "Deliver-To": many[20] })).status, 200, "another address has its own");
    await own.stop();
});

test("mta_from tells the families apart: ::/0 is not IPv4", { skip: noIpv6 }, async () => {
    for (const [mta_from, v4, v6] of [["127.0.0.0/8", true, false], ["::1", false, true], ["::/0", false, true], ["::/64", false, true]]) {
        const port = await freePort("::1");
        const [own, rules] = await startSite({ mta_from, listen_http: [`127.0.0.1:${port}`, `[::1]:${port}`] });
        const asked = async (host) => optionsOf(await check({ host, port }, { Rcpt: "ann@ours.example" }))?.[0];
        assert.equal(await asked("127.0.0.1"), v4 ? rules.sender : undefined, `127.0.0.1 with mta_from = ${mta_from}`);
        assert.equal(await asked("::1"), v6 ? rules.sender : undefined, `::1 with mta_from = ${mta_from}`);
        await own.stop();
    }
});

test("envelope lines that class scan writes into the text form choose nobody's rules", async () => {
    const [own] = await startSite({ envelope_lines: "on" });
    const message = `X-Envelope-To: joe@ours.example\nX-Envelope-From: ann@ours.example\nDelivered-To: joe@ours.example\nTo: joe@ours.example\n${lottery}`;
    const rspamc = (await rawTcp(own.spamd, `CHECK RSPAMC/1.3\r\nContent-length: ${message.length}\r\n\r\n${message}`)).toString();
    assert.match(rspamc, /default; False;/);
    assert.match((await check(own.http, {}, message)).text, /"action":"no action"/);
    await own.stop();
});

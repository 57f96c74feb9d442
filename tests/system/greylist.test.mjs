// Greylisting for those without a scanner: who is asked to come again, who is not, and what nodes know of each other.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { askHttp, http, makeSite, must, rawTcp, sleep, startPostgres, startRedis, startRulesd, waitFor } from "./lib/index.mjs";
import { furnish, mail, numbers } from "./lib/household.mjs";

const trusting = { mta_from: "127.0.0.0/8" };
const client = { From: "<news@shop.example>", IP: "198.51.100.7" };
const ham = mail({ from: "news@shop.example" });
const ask = (site, rcpt, headers = {}, message = ham) => askHttp(site, rcpt, message, { ...client, ...headers });
const metrics = async (site) => numbers((await http(site.http, { method: "GET", path: "/metrics" })).text, /^greylist/);

async function household(site) {
    await furnish(site);
    await site.must("domain", "set", "ours.example", "--greylisting", "on");
    await waitFor("greylisting", async () => (await ask(site, "first@ours.example")).action === "soft reject");
}

describe("a domain with greylisting, and no scanner", () => {
    let site;
    before(async () => { site = await makeSite({ rulesd: trusting }); await startRulesd({ site }); await household(site); });
    after(async () => { await site?.stop(); site?.remove(); });

    test("mail from outside that no rule knows is asked to come again, over HTTP", async () => {
        const { status, text } = await http(site.http, { headers: { ...client, Rcpt: "ann@ours.example" }, body: ham });
        const said = JSON.parse(text);
        assert.equal(status, 200);
        assert.equal(said.action, "soft reject");
        assert.equal((await ask(site, "ann@ours.example")).action, "soft reject", "too early");
        assert.ok((await metrics(site)).greylist_deferred_total >= 2);
    });

    test("over spamd it is told as the protocol can, and over RSPAMC by the action", async () => {
        const spamd = (await rawTcp(`unix:${site.spamdSock}`, `REPORT SPAMC/1.5\r\nUser: ann@ours.example\r\nContent-length: ${ham.length}\r\n\r\n${ham}`)).toString();
        assert.match(spamd, /Action: soft reject/i, spamd);
        const rspamc = (await rawTcp(`unix:${site.spamdSock}`, `CHECK RSPAMC/1.3\r\nContent-length: ${ham.length}\r\nFrom: <news@shop.example>\r\nRcpt: <ann@ours.example>\r\nIP: 198.51.100.7\r\n\r\n${ham}`, { halfClose: false })).toString();
        assert.match(rspamc, /^Action: soft reject\r$/m);
    });

    test("what a rule allows or blocks is not", async () => {
        assert.deepEqual(await ask(site, "ann@ours.example", {}, mail({ subject: "invoice" })), { status: 200, action: "no action", rule: "allow" });
        assert.deepEqual(await ask(site, "ann@ours.example", {}, mail({ from: "x@bad.example" })), { status: 200, action: "reject", rule: "block" });
    });

    test("nor is mail to other domains, mail of our own people, or what only a scan asks about", async () => {
        assert.equal((await ask(site, "who@theirs.example")).action, "no action");
        assert.equal((await ask(site, "ann@ours.example", { From: "<joe@ours.example>", User: "joe@ours.example" })).action, "no action");
        assert.equal((await ask(site, "who@elsewhere.example", { From: "<ann@ours.example>", User: "ann@ours.example" })).action, "no action");
        const scan = await makeSite({ store: site.settings.store });
        await startRulesd({ site: scan, init: false });
        assert.equal((await ask(scan, "ann@ours.example")).action, "no action", "class scan moves no greylist");
        await scan.stop();
        scan.remove();
    });

    test("where somebody accepts now, nobody is deferred", async () => {
        const headers = [...Object.entries(client), ["Rcpt", "ann@ours.example"], ["Rcpt", "who@theirs.example"], ["Flags", "milter,body_block"]];
        const said = JSON.parse((await http(site.http, { headers, body: ham })).text);
        assert.equal(said.action, "no action");
        assert.equal(said.milter?.del_rcpt, undefined);
    });

    test("switched off it stops at once, as it does with its threshold off", async () => {
        await site.must("thresholds", "set", "domain:ours.example", "greylist=off");
        await waitFor("no greylisting", async () => (await ask(site, "off@ours.example")).action === "no action");
        await site.must("thresholds", "reset", "domain:ours.example", "greylist");
        await waitFor("greylisting", async () => (await ask(site, "off@ours.example")).action === "soft reject");
        await site.must("domain", "set", "ours.example", "--greylisting", "off");
        await waitFor("no greylisting", async () => (await ask(site, "off@ours.example")).action === "no action");
        await site.must("domain", "set", "ours.example", "--greylisting", "on");
        await waitFor("greylisting", async () => (await ask(site, "off@ours.example")).action === "soft reject");
    });

    test("explain says so", async () => {
        assert.match(await site.must("explain", "--rcpt", "ann@ours.example", "--from", "news@shop.example", "--ip", "198.51.100.7", "-", { input: ham }), /greylisting asks for a second try/);
        assert.doesNotMatch(await site.must("explain", "--rcpt", "who@theirs.example", "--from", "news@shop.example", "-", { input: ham }), /greylisting/);
    });

    test("who has waited long enough passes, also after a restart, and is known from then on", async () => {
        const who = { From: "<patient@shop.example>" };
        assert.equal((await ask(site, "ann@ours.example", who)).action, "soft reject");
        assert.equal(await site.stop(), 0);
        await must("sqlite3", [join(site.dir, "log.db")], { input: "UPDATE greylist SET waited_us = waited_us + 300000000 WHERE kind = 'tuple';" });
        await startRulesd({ site, init: false });
        await waitFor("the retry to pass", async () => (await ask(site, "ann@ours.example", who)).action === "no action");
        assert.equal((await ask(site, "joe@ours.example", who)).action, "no action", "a known sender is not asked again for other recipients");
        assert.equal((await ask(site, "joe@ours.example", { From: "<new@shop.example>" })).action, "soft reject");
    });
});

describe("nodes that share a Redis", () => {
    const waiting = async (redis) => (await redis.cli("KEYS", "postern:grey:w:*")).split("\n").filter(Boolean);
    // The key of the wait that begins with this; what was asked before is written by then.
    const waitOf = async (begin) => {
        let before = await waiting(redis), last;
        do { last = before; await sleep(400); before = await waiting(redis); } while (before.length !== last.length);
        await begin();
        return waitFor("the wait in Redis", async () => (await waiting(redis)).find((key) => !before.includes(key)));
    };
    let redis, pg, one, two;
    before(async () => {
        redis = await startRedis();
        pg = await startPostgres();
        const config = { rulesd: trusting, redis: { url: redis.url } };
        one = await startRulesd({ config: { ...config, store: { url: pg.url } } });
        two = await startRulesd({ config: { ...config, store: { url: await pg.createDatabase("other") } } }); // nothing in common but Redis
        await household(one);
        await household(two);
    });
    after(async () => { await one?.stop(); await two?.stop(); await redis?.stop(); await pg?.stop(); });

    test("a first try at one node counts for a retry at the other", async () => {
        const key = await waitOf(async () => assert.equal((await ask(one, "ann@ours.example")).action, "soft reject"));
        const ttl = Number(await redis.cli("PTTL", key)), waits = (await waiting(redis)).length;
        assert.ok(ttl > 200_000 && ttl <= 300_000, `the delay is five minutes: ${ttl} ms`);
        assert.equal((await ask(two, "ann@ours.example")).action, "soft reject", "too early there too");
        await sleep(500);
        assert.equal((await waiting(redis)).length, waits, "it is the same wait there");
        const left = Number(await redis.cli("PTTL", key));
        assert.ok(left <= ttl - 500, `and does not begin anew: ${left} ms left of ${ttl}`);
    });

    test("after the delay the retry passes at either, and the sender is known at both", async () => {
        const who = { From: "<shared@shop.example>" };
        const key = await waitOf(async () => assert.equal((await ask(one, "ann@ours.example", who)).action, "soft reject"));
        await redis.cli("DEL", key); // as it goes when five minutes are over
        await waitFor("the retry to pass at the other", async () => (await ask(two, "ann@ours.example", who)).action === "no action");
        await waitFor("the sender to be known at the first", async () => (await ask(one, "joe@ours.example", who)).action === "no action");
    });

    test("with Redis away each goes on by itself, says so, and shares again when it is back", async () => {
        await redis.kill();
        const who = { From: "<alone@shop.example>" };
        const began = performance.now();
        for (const site of [one, two]) assert.equal((await ask(site, "ann@ours.example", who)).action, "soft reject");
        assert.ok(performance.now() - began < 3000, "nobody waits for Redis");
        await waitFor("the log to tell", () => /greylist without Redis/.test(one.log()));
        assert.equal((await ask(one, "ann@ours.example", { From: "<shared@shop.example>" })).action, "no action", "who is known stays known");
        await redis.restart();
        const later = { From: "<later@shop.example>" };
        await waitFor("a wait in Redis", async () => { await ask(one, `r${Math.floor(performance.now())}@ours.example`, later); return (await waiting(redis)).length > 0; }, { everyMs: 200 });
    });
});

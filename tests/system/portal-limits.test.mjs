// Who asks too often for somebody's sign-in links slows down themselves: the person whose address it is still gets in.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Browser, makeSite, signIn, sleep, startPortal, startSmtpSink, waitFor } from "./lib/index.mjs";

const TEN_MINUTES = 600_000, ENOUGH = 45_000; // what is counted together; what this file takes at most of it
const ANNA = "anna@ours.example", BOB = "bob@ours.example";
let site, sink;

before(async () => {
    const left = TEN_MINUTES - (Date.now() % TEN_MINUTES);

    if (left < ENOUGH) await sleep(left + 100); // else it would begin to count anew halfway
    sink = await startSmtpSink();
    site = await makeSite({ smtp: { url: `smtp://127.0.0.1:${sink.port}`, from: "Post <post@ours.example>" } });
    await site.must("init");
    await site.must("domain", "add", "ours.example");
    for (const a of [ANNA, BOB]) { await site.must("account", "add", a); await site.must("mailbox", "add", a); }
    await startPortal(site, { settings: { trusted_proxies: "127.0.0.1" } });
});
after(async () => { await site?.stopPortal(); site?.remove?.(); await sink?.stop(); });

const from = (ip) => new Browser(site.origin, { headers: { "X-Forwarded-For": ip } });
const ask = async (browser, address) => browser.post("/signin/link", { address, ...await browser.proof(address) });
const tokenIn = (mail) => mail.data.replace(/=\r\n/g, "").replace(/=3D/g, "=").match(/signin#(\S+)/)[1];
const bits = async (ip, address) => (await from(ip).get(`/signin/challenge?address=${address}`)).body.bits;

test("a stranger who uses up the links of their network has not used up the person's", async () => {
    const stranger = from("203.0.113.9"), easy = await bits("198.51.100.1", ANNA);
    for (let i = 0; i < 8; i++) assert.equal((await ask(stranger, ANNA)).status, 200);
    const refused = await ask(from("203.0.113.77"), ANNA);
    assert.equal(refused.status, 429, "the same network");
    assert.ok(Number(refused.headers.get("retry-after")) > 0);
    const anna = from("198.51.100.1"), seen = sink.messages.length;
    assert.equal((await ask(anna, ANNA)).status, 200);
    const mail = await waitFor("Anna's link", () => sink.messages.slice(seen).find((m) => m.data.includes("198.51.100.1")));
    assert.equal((await anna.post("/signin/link/use", { token: tokenIn(mail) })).status, 200);
    assert.ok(await bits("198.51.100.1", ANNA) > easy, "many asked: everybody works a little harder for it");
    assert.equal(await bits("198.51.100.1", BOB), easy, "for that address alone");
});

test("a link that was asked for elsewhere does not burn the person's, and one that is used burns the others", async () => {
    const bob = from("198.51.100.2"), seen = sink.messages.length, other = from("192.0.2.50");
    await ask(bob, BOB);
    const mail = await waitFor("Bob's link", () => sink.messages.slice(seen).find((m) => m.data.includes("198.51.100.2")));
    await ask(other, BOB);
    const theirs = await waitFor("the other link", () => sink.messages.slice(seen).find((m) => m.data.includes("192.0.2.50")));
    assert.equal((await bob.post("/signin/link/use", { token: tokenIn(mail) })).status, 200);
    assert.equal((await other.post("/signin/link/use", { token: tokenIn(theirs) })).status, 404);
});

test("what is more than any mailbox should get is left to where the person is known", async () => {
    const known = await signIn({ ...site, must: site.must, origin: site.origin }, BOB); // a session from 127.0.0.1
    await known.session();
    let last;
    for (let net = 0; net < 4 && last !== 429; net++)
        for (let i = 0; i < 7 && last !== 429; i++) last = (await ask(from(`10.${net}.0.1`), BOB)).status;
    assert.equal(last, 429, "a flood from many networks ends");
    assert.equal((await ask(from("10.99.0.1"), BOB)).status, 429, "whoever is new");
    assert.equal((await ask(new Browser(site.origin), BOB)).status, 200, "but not the person");
});

test("under https the cookie of who asks is one that no other host can plant", async () => {
    await site.stopPortal();
    await startPortal(site, { port: site.port, settings: { public_url: "https://mail.ours.example", trusted_proxies: "127.0.0.1" } });
    const browser = new Browser(site.origin, { headers: { Origin: "https://mail.ours.example", "X-Forwarded-For": "192.0.2.99" } });
    const { headers } = await browser.post("/signin/link", { address: ANNA, ...await browser.proof(ANNA) }, { headers: { Origin: "https://mail.ours.example" } });
    const line = headers.getSetCookie().find((l) => l.includes("ask="));
    assert.match(line, /^__Host-ask=[^;]+; Path=\/; HttpOnly; SameSite=Strict; Max-Age=\d+; Secure$/);
});

// GET /me/events: who hears that mail has come, who does not, and what a stream costs while nobody listens.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Browser, http, makeSite, signIn, sleep, startPortal, startRulesd, waitFor } from "./lib/index.mjs";

const ANNA = "anna@ours.example", BOB = "bob@ours.example", CLEO = "cleo@theirs.example", OWEN = "owen@ours.example", ROOT = "root@elsewhere.example";
let site, streams;

// What has been heard so far: [{ event, data }], and how it ended.
function listen(browser) {
    const stop = new AbortController(), heard = [], stream = { heard, stop: () => stop.abort(), ended: false };

    stream.open = fetch(`${site.origin}/api/v1/me/events`, { signal: stop.signal, headers: { Cookie: [...browser.cookies].map(([k, v]) => `${k}=${v}`).join("; ") } }).then(async (response) => {
        stream.status = response.status;
        stream.type = response.headers.get("content-type");
        let pending = "";
        for await (const bytes of response.body) {
            pending += Buffer.from(bytes).toString();
            for (let end; (end = pending.indexOf("\n\n")) >= 0; pending = pending.slice(end + 2)) {
                const fields = Object.fromEntries(pending.slice(0, end).split("\n").map((l) => [l.slice(0, l.indexOf(":")), l.slice(l.indexOf(":") + 1).trim()]));
                if (fields.event) heard.push(fields);
            }
        }
    }).catch(() => {}).finally(() => { stream.ended = true; });
    return stream;
}
const count = (stream) => stream.heard.filter((h) => h.event === "mail").reduce((n, h) => n + JSON.parse(h.data).n, 0);
const ready = (stream) => waitFor("the watch", () => stream.heard.some((h) => h.event === "ready"));
const send = (to, n = 0) => http(site.httpSock, { headers: { From: "<w@ext.example>", Rcpt: `<${to}>`, IP: "192.0.2.9", Flags: "milter", "Queue-ID": `Q${to}${n}` }, body: `From: <w@ext.example>\r\nSubject: secret words\r\n\r\nHello.\r\n` });

before(async () => {
    const own = await makeSite();
    await own.must("init");
    for (const d of ["ours.example", "theirs.example"]) await own.must("domain", "add", d);
    for (const a of [ANNA, BOB, CLEO, OWEN]) { await own.must("account", "add", a); await own.must("mailbox", "add", a); }
    await own.must("account", "set", OWEN, "--owner", "ours.example");
    await own.must("account", "add", ROOT, "--admin", "on");
    site = await startRulesd({ site: own, init: false });
    await startPortal(site);
    streams = Object.fromEntries(await Promise.all(Object.entries({ anna: ANNA, bob: BOB, cleo: CLEO, owen: OWEN, root: ROOT }).map(async ([name, address]) => [name, listen(await signIn(site, address))])));
    await Promise.all(Object.values(streams).map(ready));
});
after(async () => { for (const s of Object.values(streams ?? {})) s.stop(); await site?.stopPortal(); await site?.stop(); site?.remove?.(); });

test("mail is told to whose it is, to the owners of the domain and to the operator, and to nobody else", async () => {
    await send(ANNA);
    await waitFor("the word", () => count(streams.anna) === 1 && count(streams.owen) === 1 && count(streams.root) === 1);
    await send(CLEO);
    await waitFor("the word", () => count(streams.cleo) === 1 && count(streams.root) === 2);
    await sleep(1500);
    assert.deepEqual(Object.fromEntries(Object.entries(streams).map(([n, s]) => [n, count(s)])), { anna: 1, bob: 0, cleo: 1, owen: 1, root: 2 });
    assert.equal(streams.anna.type, "text/event-stream");
});

test("each message is told once, and nothing of what is in it", async () => {
    const before = count(streams.bob);
    for (let i = 0; i < 5; i++) await send(BOB, i);
    await waitFor("all five", () => count(streams.bob) >= before + 5);
    await sleep(2500);
    assert.equal(count(streams.bob), before + 5);
    assert.ok(!JSON.stringify(streams.bob.heard).includes("secret"));
});

test("who has not signed in hears nothing", async () => {
    const stranger = listen(new Browser(site.origin));
    await stranger.open;
    assert.equal(stranger.status, 401);
});

test("whose session is ended hears nothing more, within seconds, and the others go on", async () => {
    const here = await signIn(site, BOB), there = await signIn(site, BOB), mine = listen(here), other = listen(there);
    await Promise.all([ready(mine), ready(other)]);
    assert.equal((await there.del("/me/sessions")).status, 200, "signed out everywhere else");
    const since = Date.now();
    await waitFor("the stream to end", () => mine.ended, { seconds: 10 });
    assert.ok(Date.now() - since < 8000);
    await sleep(1500);
    assert.equal(other.ended, false);
    assert.equal(streams.anna.ended, false);
    const before = count(other);
    await send(BOB, "after");
    await waitFor("the word", () => count(other) > before);
    other.stop();
});

test("one person listens in so many pages and no more; another is not kept out by that", async () => {
    const browser = await signIn(site, CLEO), all = [];
    for (let i = 0; i < 25; i++) all.push(listen(browser));
    await waitFor("all to be answered", () => all.every((s) => s.status !== undefined));
    const let_in = all.filter((s) => s.status === 200).length;
    assert.ok(let_in <= 20 && let_in >= 18, `${let_in} of 25`);
    assert.deepEqual([...new Set(all.map((s) => s.status))].sort(), [200, 429]);
    const anna = listen(await signIn(site, ANNA));
    await ready(anna);
    for (const s of [...all, anna]) s.stop();
});

test("the portal stops while people listen", async () => {
    const code = await site.stopPortal();
    await waitFor("the streams to end", () => ["anna", "owen", "root"].every((name) => streams[name].ended));
    assert.ok(code === 0 || code === undefined, String(code));
});

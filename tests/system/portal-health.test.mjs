// What the portal tells of itself: /healthz to anybody, /metrics to whom the settings name, and to nobody through a proxy.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Browser, freePort, makeSite, signIn, startPortal } from "./lib/index.mjs";

const ANNA = "anna@ours.example";
let site;

before(async () => {
    site = await makeSite();
    await site.must("init");
    await site.must("domain", "add", "ours.example");
    await site.must("account", "add", ANNA);
    await site.must("mailbox", "add", ANNA);
    site.configure({ smtp: { url: `smtp://127.0.0.1:${await freePort()}` } });
    await startPortal(site);
});
after(async () => { await site?.stopPortal(); site?.remove?.(); });

const ask = (path, options) => fetch(site.origin + path, options);
const number = (text, name) => Number(text.split("\n").find((l) => l.startsWith(`${name} `))?.split(" ").at(-1));

test("healthz says ok to anybody", async () => {
    const there = await ask("/healthz");
    assert.deepEqual([there.status, await there.text()], [200, "ok\n"]);
    assert.equal((await ask("/healthz", { method: "POST" })).status, 405);
});

test("metrics tell of requests, sign-ins, sessions and mail of ours that waits", async () => {
    const stranger = new Browser(site.origin);
    assert.equal((await stranger.password(ANNA, "not the password")).status, 400);
    await stranger.post("/signin/link", { address: ANNA, ...await stranger.proof(ANNA) });
    await signIn(site, ANNA);
    const response = await ask("/metrics");
    const text = await response.text();
    assert.match(response.headers.get("content-type"), /^text\/plain; version=0\.0\.4/);
    assert.equal(number(text, `postern_portal_signins_total{way="password",outcome="refused"}`), 1);
    assert.equal(number(text, `postern_portal_signins_total{way="link",outcome="in"}`), 1);
    assert.equal(number(text, "postern_portal_sessions"), 1);
    assert.equal(number(text, `postern_portal_outbox{state="waiting"}`), 1, "the server is away");
    assert.ok(number(text, `postern_portal_requests_total{class="4xx"}`) >= 1);
    assert.ok(number(text, "postern_portal_connections") >= 1);
    assert.equal(number(text, "postern_portal_database_up"), 1);
    for (const line of text.split("\n").filter((l) => l && !l.startsWith("#"))) assert.match(line, /^postern_portal_[a-z_]+(\{[a-z]+="[a-z0-9]+"(,[a-z]+="[a-z0-9]+")*\})? [0-9.e+-]+$/);
    assert.ok(!text.includes(ANNA));
});

test("postern doctor finds it well, and finds an address without TLS", async () => {
    const portal = async () => JSON.parse((await site.postern(["doctor", "--json"])).stdout).findings.filter((f) => f.check === "portal").map((f) => [f.level, f.text]);
    assert.deepEqual(await portal(), [["ok", `the portal at 127.0.0.1:${site.port} is well`]]);
    site.configure({ portal: { public_url: "http://mail.example.com", listen: `127.0.0.1:${await freePort()}` } });
    const found = await portal();
    site.configure({ portal: { public_url: site.origin, listen: `127.0.0.1:${site.port}` } });
    assert.match(found[0].join(" "), /^wrong .*without TLS/);
    assert.match(found[1].join(" "), /^note the portal does not answer/);
});

test("nobody is told numbers through a proxy, nor who is not named", async () => {
    for (const headers of [{ "X-Forwarded-For": "127.0.0.1" }, { Forwarded: "for=127.0.0.1" }]) assert.equal((await ask("/metrics", { headers })).status, 404);
    const other = await makeSite();
    await other.must("init");
    await startPortal(other, { settings: { metrics_from: "192.0.2.0/24" } });
    try {
        assert.equal((await fetch(`${other.origin}/metrics`)).status, 404);
        assert.equal((await fetch(`${other.origin}/healthz`)).status, 200);
    } finally {
        await other.stopPortal();
        other.remove?.();
    }
});

// Saved searches over the API: each person's own, in their order; what cannot be looked for is not kept.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { keyed, makeSite, signIn, startPortal } from "./lib/index.mjs";

const ANNA = "anna@ours.example", BOB = "bob@ours.example", OWEN = "owen@ours.example", ROOT = "root@elsewhere.example";
let site, who;

before(async () => {
    site = await makeSite();
    await site.must("init");
    await site.must("domain", "add", "ours.example");
    for (const a of [ANNA, BOB, OWEN]) { await site.must("account", "add", a); await site.must("mailbox", "add", a); }
    await site.must("account", "set", OWEN, "--owner", "ours.example");
    await site.must("account", "add", ROOT, "--admin", "on");
    await startPortal(site);
    who = Object.fromEntries(await Promise.all(Object.entries({ anna: ANNA, bob: BOB, owen: OWEN, root: ROOT }).map(async ([n, a]) => [n, await signIn(site, a)])));
});
after(async () => { await site?.stopPortal(); site?.remove?.(); });

const names = async (one) => (await one.get("/me/searches")).body.items.map((s) => `${s.position} ${s.name}`);
const keep = async (one, name, more = {}) => { const { status, body, text } = await one.post("/me/searches", { name, q: "status:spam", ...more }); assert.equal(status, 201, text); return body; };

test("everybody keeps their own, whatever their role", async () => {
    for (const one of Object.values(who)) {
        const made = await keep(one, "Spam", { in: one === who.owen ? "domain:ours.example" : "" });
        assert.deepEqual([made.name, made.q, made.position], ["Spam", "status:spam", 1]);
        assert.deepEqual(await names(one), ["1 Spam"]);
    }
    assert.equal((await who.owen.get("/me/searches")).body.items[0].in, "domain:ours.example");
    assert.equal((await who.anna.get("/me/searches")).body.items[0].in, "");
});

test("they are moved, renamed, changed and let go; the others close up", async () => {
    const { anna } = who, [b, c] = [await keep(anna, "Bills", { q: "subject:invoice" }), await keep(anna, "Cards")];
    assert.equal((await anna.patch(`/me/searches/${c.id}`, { position: 1 })).body.position, 1);
    assert.deepEqual(await names(anna), ["1 Cards", "2 Spam", "3 Bills"]);
    const changed = (await anna.patch(`/me/searches/${b.id}`, { name: "Invoices", q: "subject:invoice -from:shop.example" })).body;
    assert.deepEqual([changed.name, changed.q, changed.position], ["Invoices", "subject:invoice -from:shop.example", 3]);
    assert.equal((await anna.del(`/me/searches/${c.id}`)).status, 204);
    assert.deepEqual(await names(anna), ["1 Spam", "2 Invoices"]);
    assert.equal((await anna.del(`/me/searches/${c.id}`)).status, 404);
});

test("another's is not there, for nobody but who keeps it", async () => {
    const [{ id }] = (await who.anna.get("/me/searches")).body.items;
    for (const one of [who.bob, who.owen, who.root]) {
        assert.equal((await one.patch(`/me/searches/${id}`, { name: "Mine" })).status, 404);
        assert.equal((await one.del(`/me/searches/${id}`)).status, 404);
    }
    const key = keyed(site, (await site.must("token", "add", "reader", "mail:read", "--role", "owner", "--domain", "ours.example")).match(/pst_\S+/)[0]);
    assert.equal((await key.get("/me/searches")).status, 403, "a key keeps none");
    assert.ok((await names(who.anna)).includes("1 Spam"));
});

test("what cannot be looked for, a name that is taken and a place that is none are refused in words", async () => {
    for (const [body, status, member] of [[{ name: "Bad", q: "status:nonsense" }, 400, "q"], [{ name: "Bad", q: "x", in: "somewhere" }, 400, "in"], [{ name: "", q: "x" }, 400, "name"], [{ name: "x".repeat(61), q: "x" }, 400, "name"], [{ name: "Spam", q: "x" }, 409, undefined]]) {
        const refused = await who.anna.post("/me/searches", body);
        assert.deepEqual([refused.status, refused.body.member], [status, member], JSON.stringify(body));
    }
    const hostile = await keep(who.bob, "<img src=x onerror=alert(1)>");
    assert.equal(hostile.name, "<img src=x onerror=alert(1)>");
    const { items } = (await who.root.get("/audit")).body;
    assert.ok(items.some((x) => x.action === "saved_search.add"));
});

// What people set for themselves, the sessions and passwords they have, and the log of who did what, as each role sees it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Browser, http, keyed, makeSite, signIn, startPortal, startRulesd, waitFor } from "./lib/index.mjs";

const ANNA = "anna@ours.example", BOB = "bob@ours.example", OWEN = "owen@ours.example", OLGA = "olga@theirs.example", ROOT = "root@elsewhere.example";
const PASSWORD = "correct horse battery", NEXT = "seven green kettles";
let site, anna, bob, owen, olga, root;

before(async () => {
    const own = await makeSite();
    await own.must("init");
    for (const d of ["ours.example", "theirs.example"]) await own.must("domain", "add", d, "--at-block", "quarantine");
    for (const a of [ANNA, BOB, OWEN, OLGA]) { await own.must("account", "add", a); await own.must("mailbox", "add", a); }
    await own.must("account", "set", OWEN, "--owner", "ours.example");
    await own.must("account", "set", OLGA, "--owner", "theirs.example");
    await own.must("account", "add", ROOT, "--admin", "on");
    await own.must("rule", "add", "--scope", `mailbox:${ANNA}`, "--name", "Wares", "block", "--subject", "wares");
    site = await startRulesd({ site: own, init: false });
    await startPortal(site);
    [anna, bob, owen, olga, root] = await Promise.all([ANNA, BOB, OWEN, OLGA, ROOT].map((a) => signIn(site, a)));
});
after(async () => { await site?.stopPortal(); await site?.stop(); site?.remove?.(); });

// ---- who I am ----

test("name, language and time zone are one's own to set, and are there at the next look", async () => {
    const { status, body } = await anna.patch("/me", { name: "Anna Berg", language: "de", zone: "Europe/Berlin" });
    assert.equal(status, 200);
    assert.deepEqual([body.name, body.language, body.zone, body.password], ["Anna Berg", "de", "Europe/Berlin", false]);
    const { account } = await anna.session();
    assert.deepEqual([account.name, account.language, account.zone], ["Anna Berg", "de", "Europe/Berlin"]);
    await anna.patch("/me", { name: "Anna" });
    assert.equal((await anna.get("/me")).body.zone, "Europe/Berlin", "what is not named stays");
});

test("what is no language and no time zone is refused, and nothing is changed", async () => {
    for (const [body, member] of [[{ zone: "Europe/Nowhere" }, "zone"], [{ zone: "../../etc/passwd" }, "zone"], [{ zone: "Europe" }, "zone"], [{ zone: "/etc/passwd" }, "zone"], [{ language: "tlh" }, "language"], [{ name: "x".repeat(201) }, "name"], [{ admin: true }, "admin"], [{ login: BOB }, "login"]]) {
        const { status, body: said } = await bob.patch("/me", { name: "Changed", ...body });
        assert.equal(status, 400, JSON.stringify(body));
        assert.equal(said.member ?? member, member);
    }
    assert.equal((await bob.get("/me")).body.name, "");
    assert.equal((await new Browser(site.origin).get("/me")).status, 401);
});

// ---- passwords ----

test("a first password needs a fresh sign-in, and is refused when it would be guessed early", async () => {
    for (const [password, why] of [["short", /at least 10/], ["1234567890", /guesses/], ["aaaaaaaaaaaaaa", /repeats/], ["Password2026!", /guesses/], ["bob@ours.example", /guesses/], ["postern2026!", /guesses/]]) {
        const { status, body } = await bob.post("/me/password", { password });
        assert.equal(status, 400, password);
        assert.equal(body.member, "password");
        assert.match(body.detail, why);
    }
    assert.equal((await bob.post("/me/password", { password: PASSWORD })).status, 204);
    assert.equal((await bob.get("/me")).body.password, true);
    assert.equal((await new Browser(site.origin).password(BOB, PASSWORD)).status, 200);
});

test("a password is changed by who knows it, and that ends all other sessions", async () => {
    const other = new Browser(site.origin);
    await other.password(BOB, PASSWORD);
    await other.session();
    for (const current of [undefined, "wrong horse battery"]) {
        const { status, body } = await bob.post("/me/password", { current, password: NEXT });
        assert.equal(status, 400);
        assert.equal(body.member, "current");
    }
    assert.equal((await bob.post("/me/password", { current: PASSWORD, password: NEXT })).status, 204);
    assert.equal((await bob.session()).signed_in, true);
    assert.equal((await other.session()).signed_in, false);
    assert.equal((await new Browser(site.origin).password(BOB, PASSWORD)).status, 400);
    assert.equal((await new Browser(site.origin).password(BOB, NEXT)).status, 200);
});

test("who guesses at the old password has to wait", async () => {
    let last;
    assert.equal((await owen.post("/me/password", { password: PASSWORD })).status, 204);
    const stranger = await signIn(site, OWEN);
    for (let i = 0; i < 14 && last?.status !== 429; i++) last = await stranger.post("/me/password", { current: `guess ${i} at it`, password: NEXT });
    assert.equal(last.status, 429);
    owen = await signIn(site, OWEN);
});

test("a password is taken away again, and then only links sign in", async () => {
    assert.equal((await bob.del("/me/password")).status, 204);
    assert.equal((await bob.get("/me")).body.password, false);
    assert.equal((await bob.del("/me/password")).status, 404);
    assert.equal((await new Browser(site.origin).password(BOB, NEXT)).status, 400);
});

// ---- the log ----

async function held(subject) {
    await http(site.httpSock, { headers: { From: "<w@ext.example>", Rcpt: `<${ANNA}>`, IP: "192.0.2.9", Flags: "milter", "Queue-ID": `Q${Math.random()}` }, body: `From: <w@ext.example>\r\nSubject: ${subject}\r\n\r\nBuy.\r\n` });
    return waitFor("the message", async () => (await anna.get(`/me/mail?q=${encodeURIComponent(`subject:"${subject}"`)}`)).body.items[0]);
}

test("who looked at one's mail is told, and that one looked oneself is not", async () => {
    const row = await held("Cheap wares of old");
    assert.equal((await anna.get(`/deliveries/${row.uid}/${row.n}/preview`)).status, 200);
    assert.deepEqual((await anna.get("/me/looked-at")).body.items, []);
    assert.equal((await owen.get(`/deliveries/${row.uid}/${row.n}/preview`)).status, 200);
    assert.equal((await root.get(`/deliveries/${row.uid}/${row.n}/preview?reason=asked%20by%20Anna`)).status, 200);
    const { items } = (await anna.get("/me/looked-at")).body;
    assert.deepEqual(items.map((r) => [r.actor, r.action, r.object]), [[ROOT, "body.open", row.uid], [OWEN, "body.open", row.uid]]);
    assert.match(JSON.stringify(items[0].what), /asked by Anna/);
    assert.deepEqual((await bob.get("/me/looked-at")).body.items, []);
});

test("everybody reads of the log what is theirs: a person, an owner, the operator", async () => {
    await bob.patch("/me", { name: "Bob the Second" });
    const mine = (await bob.get("/me/audit")).body.items;
    assert.ok(mine.some((r) => r.action === "account.set" && r.what.before.name === "" && r.what.after.name === "Bob the Second"));
    assert.ok(mine.every((r) => !JSON.stringify(r).includes(ANNA)));
    assert.equal((await bob.get("/audit")).status, 404);
    assert.equal((await bob.get(`/scopes/mailbox:${ANNA}/audit`)).status, 404);
    assert.equal((await bob.get("/scopes/domain:ours.example/audit")).status, 404);
    assert.equal((await bob.get(`/scopes/mailbox:${BOB}/audit`)).status, 200);

    await site.must("mailbox", "set", BOB, "--enabled", "off"); await site.must("mailbox", "set", BOB, "--enabled", "on");
    const [on, off] = (await bob.get("/me/audit?action=mailbox")).body.items;
    assert.deepEqual([on.what, off.what.after], [{ before: { address: BOB, enabled: false, account: BOB }, after: { address: BOB, enabled: true, account: BOB } }, { address: BOB, enabled: false, account: BOB }], "what others did about one's mailbox");
    const ours = (await owen.get("/scopes/domain:ours.example/audit?limit=200")).body.items;
    assert.ok(ours.some((r) => r.action === "account.add" && r.object_name === ANNA), "who comes and goes in the domain");
    assert.deepEqual(ours.find((r) => r.action === "role.set").what, { before: { role: "user" }, after: { role: "owner" } });
    assert.ok(ours.some((r) => r.action === "body.open") && ours.some((r) => r.action === "mailbox.add"));
    assert.ok(!JSON.stringify(ours).includes("theirs.example"));
    assert.equal((await owen.get("/scopes/domain:theirs.example/audit")).status, 404);
    assert.equal((await owen.get("/audit")).status, 404);
    assert.ok((await olga.get("/scopes/domain:theirs.example/audit")).body.items.every((r) => r.action !== "body.open"));

    const all = (await root.get("/audit?limit=200")).body.items;
    assert.ok(all.some((r) => r.action === "password.set") && all.some((r) => r.action === "domain.add"));
});

test("the log is filtered by who, what and when, and its pages follow without a gap", async () => {
    const all = (await root.get("/audit?limit=200")).body.items, id = (r) => `${r.node}/${r.number}`;
    assert.deepEqual((await root.get("/audit?limit=200&actor=OWEN@")).body.items.map(id), all.filter((r) => r.actor === OWEN).map(id));
    assert.deepEqual((await root.get("/audit?limit=200&action=domain")).body.items.map(id), all.filter((r) => r.action.startsWith("domain.")).map(id));
    assert.deepEqual((await root.get(`/audit?limit=200&until=${all[5].at}`)).body.items.map(id), all.filter((r) => r.at < all[5].at).map(id));
    assert.deepEqual((await root.get(`/audit?limit=200&since=${all[5].at}`)).body.items.map(id), all.filter((r) => r.at >= all[5].at).map(id));
    const seen = [];
    for (let after = ""; after !== null;) {
        const { body } = await root.get(`/audit?limit=7${after && `&after=${after}`}`);
        seen.push(...body.items);
        after = body.next;
    }
    assert.deepEqual(seen.map(id), all.map(id));
    assert.equal((await root.get("/audit?after=nonsense")).status, 400);
    assert.equal((await root.get("/audit?since=yesterday")).status, 400);
});

test("the log comes as a table that runs nothing, to who may have it", async () => {
    await anna.patch("/me", { name: "=HYPERLINK(\"http://evil.example\")" });
    const path = "/scopes/domain:ours.example/audit.csv";
    const { status, text, headers } = await owen.get(path);
    assert.equal(status, 200);
    assert.match(headers.get("content-type"), /^text\/csv/);
    assert.match(headers.get("content-disposition"), /attachment/);
    assert.match(text, /^"time","who"/);
    assert.match(text, new RegExp(`"${OWEN}".*"body.open"`));
    assert.doesNotMatch(text, /(^|,)"[=+@-]/m);
    assert.equal((await root.get("/scopes/global/audit.csv?action=account")).status, 200);
    assert.equal((await anna.get(path)).status, 404);
    const own = await anna.get("/me/audit.csv?action=session.begin");
    assert.match(own.text, new RegExp(`^"time","who".*\\r\\n"[^"]*","${ANNA}".*"session.begin"`));
    assert.doesNotMatch(own.text, new RegExp(OWEN));
    assert.equal((await olga.get(path)).status, 404);
    const key = keyed(site, (await site.must("token", "add", "reader", "audit:read", "--role", "owner", "--domain", "ours.example")).match(/pst_\S+/)[0]);
    assert.equal((await key.get(path)).status, 200);
    assert.equal((await key.get("/scopes/domain:theirs.example/audit")).status, 404);
    for (const mine of ["/me/audit", "/me/audit.csv"]) assert.equal((await key.get(mine)).status, 403);
});

// Rules in bulk by the API: which never decide and which contradict, lists of senders, import with a preview, export.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { http, keyed, makeSite, signIn, startPortal, startRulesd, waitFor } from "./lib/index.mjs";

const ANNA = "anna@ours.example", BOB = "bob@ours.example", CLEO = "cleo@theirs.example", OWEN = "owen@ours.example", ROOT = "root@elsewhere.example";
const scope = (text) => `/scopes/${encodeURIComponent(text)}`;
const A = scope(`mailbox:${ANNA}`), B = scope(`mailbox:${BOB}`), D = scope("domain:ours.example");
let site, anna, bob, cleo, owen, root, reader;

before(async () => {
    const own = await makeSite();
    await own.must("init");
    for (const d of ["ours.example", "theirs.example"]) await own.must("domain", "add", d, "--at-block", "quarantine");
    for (const a of [ANNA, BOB, CLEO, OWEN]) { await own.must("account", "add", a); await own.must("mailbox", "add", a); }
    await own.must("account", "set", OWEN, "--owner", "ours.example");
    await own.must("account", "add", ROOT, "--admin", "on");
    reader = keyed(own, (await own.must("token", "add", "reader", "rules:read", "--role", "owner", "--domain", "ours.example")).match(/pst_\S+/)[0]);
    site = await startRulesd({ site: own, init: false });
    await startPortal(site);
    reader.origin = site.origin;
    [anna, bob, cleo, owen, root] = [await signIn(site, ANNA), await signIn(site, BOB), await signIn(site, CLEO), await signIn(site, OWEN), await signIn(site, ROOT)];
});
after(async () => { await site?.stopPortal(); await site?.stop(); site?.remove?.(); });

const sender = (action, ...any) => ({ action, name: any[0], conditions: [{ kind: "sender", any }] });
const ok = (reply, status = 200) => { assert.equal(reply.status, status, reply.text); return reply.body; };
const add = async (who, path, rule, more = {}) => ok(await who.post(`${path}/rules`, { rule, ...more }), 201).id;
const clear = async (who, path) => { for (const { id } of ok(await who.get(`${path}/rules?limit=200`)).items) ok(await who.del(`/rules/${id}`), 204); };
const list = async (who, path, action, more = "") => ok(await who.get(`${path}/lists?action=${action}${more}`)).items.map((i) => i.entry);
const change = (who, path, action, body) => who.post(`${path}/lists`, { action, ...body });
const short = (f) => `${f.rule.number ?? "new"} ${f.kind} ${f.by.map((b) => (b.above ? "above" : b.number ?? "new")).join(",")}${f.entry ? ` ${f.entry}` : ""}${f.if_proven ? " if proven" : ""}`;
const conflicts = async (who, path) => ok(await who.get(`${path}/rules/conflicts`)).items.map(short).sort();

// Each test begins with empty hands.
afterEach(async () => { await clear(anna, A); await clear(root, D); });

test("rules that never decide are named, with those in front of them", async () => {
    await add(anna, A, sender("block", "x.example"));
    const second = await add(anna, A, sender("block", "a@x.example"));
    await add(anna, A, sender("block", "b@y.example", "c@y.example"));
    assert.deepEqual(await conflicts(anna, A), ["2 shadowed 1"]);
    ok(await anna.call("PATCH", `/rules/${second}`, { body: { enabled: false } }), 204);
    assert.deepEqual(await conflicts(anna, A), [], "what is off decides nothing anyhow");
    const { Enforced } = Object.fromEntries(ok(await owen.get(`${D}/rules`)).policies.map((p) => [p.name, p.id]));
    const enforced = await add(owen, D, sender("block", "y.example"), { policy: Enforced });
    assert.deepEqual(await conflicts(anna, A), ["3 shadowed above"], "nor does what the organisation catches first");
    const usual = await add(owen, D, sender("block", "x.example"));
    assert.deepEqual(await conflicts(owen, D), []);
    for (const id of [enforced, usual]) ok(await owen.del(`/rules/${id}`), 204);
});

test("rules that contradict are named, with what it is about", async () => {
    await add(anna, A, sender("block", "z@x.example", "y.example"));
    await add(anna, A, sender("allow", "x.example"));
    await add(anna, A, sender("allow", "a@y.example", "a@w.example"));
    // An allow stands before a block of the same priority.
    assert.deepEqual(await conflicts(anna, A), ["3 contradicts 1 z@x.example if proven"]);
    const { items } = ok(await anna.get(`${A}/rules`));
    ok(await anna.post(`/rules/${items[2].id}/move`, { before: items[0].id }), 204);
    assert.deepEqual(await conflicts(anna, A), ["3 contradicts 1 a@y.example"]);
});

test("a rule is looked at before it is saved: what stands in front of it, and what it would stand in front of", async () => {
    const first = await add(anna, A, sender("block", "x.example"));
    const check = async (who, body) => ok(await who.post(`${A}/rules/check`, body)).items.map(short).sort();
    assert.deepEqual(await check(anna, { rule: sender("block", "a@x.example") }), ["new shadowed 1"]);
    assert.deepEqual(await check(anna, { rule: sender("block", "a@y.example") }), []);
    assert.deepEqual(await check(anna, { rule: { ...sender("block", "example"), priority: 5 } }), ["1 shadowed new"]);
    const second = await add(anna, A, sender("block", "a@x.example"));
    assert.deepEqual(await check(anna, { rule: sender("block", "a@x.example"), id: second }), ["2 shadowed 1"].map((s) => s.replace("2", "new")));
    const { Enforced } = Object.fromEntries(ok(await owen.get(`${D}/rules`)).policies.map((p) => [p.name, p.id]));
    const third = await add(owen, D, sender("block", "e.example")), fourth = await add(owen, D, sender("block", "a@e.example"));
    const moved = ok(await owen.post(`${D}/rules/check`, { rule: sender("block", "a@e.example"), id: fourth, policy: Enforced }));
    assert.deepEqual(moved.items, [], "in another policy it would stand in front");
    assert.deepEqual(ok(await owen.post(`${D}/rules/check`, { rule: sender("block", "e.example"), id: third, policy: Enforced })).items.map(short), ["2 shadowed new"]);
    assert.equal((await anna.post(`${A}/rules/check`, { rule: sender("block", "x"), id: "01a00000-0000-7000-8000-000000000000" })).body.member, "id");
    assert.equal((await bob.post(`${B}/rules/check`, { rule: sender("block", "x.example"), id: first })).status, 400, "somebody else's rule is none here");
    assert.equal((await anna.post(`${A}/rules/check`, { rule: {} })).body.member, "rule");
});

test("a list is what simple rules add up to, and is edited as one", async () => {
    for (const what of ["pest@ext.example", "192.0.2.0/24"]) ok(await anna.post(`${A}/rules/quick`, { action: "block", what }), 201);
    const two = await add(anna, A, sender("block", "b.example", "a.example"));
    await add(anna, A, { ...sender("block", "c.example"), conditions: [{ kind: "sender", any: ["c.example"] }, { kind: "subject", any: ["x"] }] });
    assert.deepEqual(await list(anna, A, "block"), ["192.0.2.0/24", "a.example", "b.example", "pest@ext.example"]);
    assert.deepEqual(await list(anna, A, "block", "&q=.EXAMPLE"), ["a.example", "b.example", "pest@ext.example"]);
    assert.deepEqual(await list(anna, A, "allow"), []);

    const done = ok(await change(anna, A, "block", { add: ["new@ext.example", "A.Example", "@alone.example", "198.51.100.7", "# a note", ""], remove: ["pest@ext.example", "B.EXAMPLE", "gone.example"] }));
    assert.deepEqual(done, { added: ["new@ext.example", "*@alone.example", "198.51.100.7"], removed: ["b.example", "pest@ext.example"].sort((x, y) => done.removed.indexOf(x) - done.removed.indexOf(y)), already: 1, missing: 1 });
    assert.deepEqual(await list(anna, A, "block"), ["*@alone.example", "192.0.2.0/24", "198.51.100.7", "a.example", "new@ext.example"]);
    assert.deepEqual(ok(await anna.get(`/rules/${two}`)).rule.conditions[0].any, ["a.example"], "of the rule that had two, one is left");
    const { items } = ok(await anna.get(`${A}/rules`));
    assert.deepEqual(items.map((i) => i.rule.name).sort(), ["192.0.2.0/24", "Blocked senders", "Blocked servers", "b.example", "c.example"], "a rule that nothing is left of is gone");

    const back = ok(await change(anna, A, "block", { add: done.removed, remove: done.added }));
    assert.deepEqual(back.removed.sort(), done.added.sort());
    assert.deepEqual(await list(anna, A, "block"), ["192.0.2.0/24", "a.example", "b.example", "pest@ext.example"]);
    const reset = ok(await change(anna, A, "block", { reset: true, add: ["only.example"] }));
    assert.equal(reset.removed.length, 4);
    assert.deepEqual(await list(anna, A, "block"), ["only.example"]);
    assert.deepEqual(ok(await anna.get(`${A}/rules`)).items.map((i) => i.rule.name).sort(), ["Blocked senders", "c.example"], "other rules stay");
});

test("a change of a list is made whole or not at all, and says which line is wrong", async () => {
    ok(await change(anna, A, "block", { add: ["x.example"] }));
    const bad = await change(anna, A, "block", { add: ["y.example", "not a sender@", "z.example"], remove: ["x.example"] });
    assert.equal(bad.status, 400);
    assert.equal(bad.body.member, "add");
    assert.match(bad.body.detail, /^Line 2, not a sender@: .*\.$/);
    assert.deepEqual(await list(anna, A, "block"), ["x.example"]);
    const free = await change(anna, A, "allow", { add: ["gmail.com"] });
    assert.equal(free.status, 409);
    assert.match(free.body.detail, /^At "gmail\.com" anybody /, "of one entry it goes without saying which");
    ok(await change(anna, A, "allow", { add: ["gmail.com"], confirm: true }));
    assert.equal(ok(await anna.get(`${A}/rules`)).items.find((i) => i.rule.action === "allow").rule.require_proof, true, "an allow asks for proof");
    assert.equal((await change(anna, A, "block", { add: ["/^a/"] })).status, 403, "a regex is for who may write them");
});

test("two people who edit one list at the same moment keep what the other added", async () => {
    const entries = (name) => Array.from({ length: 10 }, (_, i) => `${name}${i}@pest.example`);
    ok(await change(anna, A, "block", { add: ["first@pest.example"] }));
    await Promise.all([[anna, "anna"], [owen, "owen"]].flatMap(([who, name]) => entries(name).map(async (e) => ok(await change(who, A, "block", { add: [e] })))));
    assert.deepEqual(await list(anna, A, "block"), ["first@pest.example", ...entries("anna"), ...entries("owen")].sort());
});

test("ten thousand entries fit into a list, and come back page by page", async () => {
    const many = Array.from({ length: 10500 }, (_, i) => `s${String(i).padStart(5, "0")}@bulk.example`);
    ok(await change(anna, A, "block", { add: many }));
    const got = [];
    for (let after = ""; after !== null;) { const page = ok(await anna.get(`${A}/lists?action=block&limit=4000${after && `&after=${encodeURIComponent(after)}`}`)); got.push(...page.items.map((i) => i.entry)); after = page.next; assert.equal(page.total, 10500); }
    assert.deepEqual(got, many);
    assert.deepEqual(ok(await change(anna, A, "block", { remove: many.slice(5) })).removed.length, 10495);
    assert.deepEqual(await list(anna, A, "block"), many.slice(0, 5));
    ok(await change(anna, A, "block", { reset: true }));
    assert.equal(ok(await anna.get(`${A}/rules`)).total, 0);
});

const spamassassin = "required_score 5\nwelcomelist_from friend@x.example *@partner.example\nblacklist_from pest@*\nunblocklist_from pest@y.example\nwhitelist_auth partner.example\nblocklist_from friend@x.example";

test("an import is shown before it is stored: new, there already, contradicting, wrong, by line", async () => {
    await add(anna, A, sender("block", "partner.example"));
    const seen = ok(await anna.post(`${A}/rules/import/preview`, { text: spamassassin }));
    assert.equal(seen.format, "spamassassin");
    assert.deepEqual(seen.items.map((i) => `${i.line} ${i.state} ${i.text}`), ["1 passed_over required_score 5", "2 new friend@x.example", "2 new *@partner.example", "3 new pest@*", "4 passed_over unblocklist_from pest@y.example", "5 conflict partner.example", "6 conflict friend@x.example"]);
    assert.deepEqual([seen.new, seen.conflict, seen.duplicate, seen.error, seen.passed_over], [3, 2, 0, 0, 2]);
    assert.deepEqual(seen.items.filter((i) => i.beside).flatMap((i) => i.beside).map(short), ["1 contradicts new if proven", "new contradicts new if proven"]);
    assert.equal(ok(await anna.get(`${A}/rules`)).total, 1, "nothing is stored");

    const csv = ok(await anna.post(`${A}/rules/import/preview`, { text: "action,entry,name\nblock,partner.example,\nblock,a@,\nblock,new.example,Mine\nblock,NEW.example," }));
    assert.deepEqual(csv.items.map((i) => `${i.line} ${i.state}`), ["2 duplicate", "3 error", "4 new", "5 duplicate"]);
    assert.equal(csv.items[0].same_rule, ok(await anna.get(`${A}/rules`)).items[0].id);
    assert.equal(csv.items[3].same_line, 4);
    assert.match(csv.items[1].why, /no domain/);
    const elsewhere = await anna.post(`${A}/rules/import`, { text: JSON.stringify({ name: "x", action: "allow", policy: "Enforced", conditions: [{ kind: "sender", any: ["a@b.example"] }] }) });
    assert.match(elsewhere.body.detail, /no such policy here\.$/, "with one full stop");
    const all = await anna.post(`${A}/rules/import`, { text: "action,entry\nblock,partner.example\nblock,a@" });
    assert.equal(all.status, 400);
    assert.match(all.body.detail, /^1 of the lines .* Line 3: .*\.$/);
    assert.equal(ok(await anna.get(`${A}/rules`)).total, 1);
});

test("an import is made once, however often it is sent", async () => {
    const first = ok(await anna.post(`${A}/rules/import`, { text: spamassassin, skip_conflicts: true }));
    assert.deepEqual([first.new, first.conflict, first.rules], [4, 1, 2], "entries of one kind are one rule");
    assert.deepEqual(await list(anna, A, "allow"), ["*@partner.example", "friend@x.example", "partner.example"]);
    const again = ok(await anna.post(`${A}/rules/import`, { text: spamassassin, skip_conflicts: true }));
    assert.deepEqual([again.new, again.duplicate, again.conflict, again.rules], [0, 4, 1, 0]);
    assert.equal(ok(await anna.get(`${A}/rules`)).total, 2);
});

test("a list that does not say what it does is told, and an Rspamd map is one", async () => {
    const map = "# pests\n@alone.example 1\npest@x.example\n192.0.2.7\n";
    assert.match(ok(await anna.post(`${A}/rules/import/preview`, { text: map })).items[0].why, /allows or blocks/);
    const done = ok(await anna.post(`${A}/rules/import`, { text: map, action: "block" }));
    assert.deepEqual([done.format, done.new, done.rules], ["map", 3, 2]);
    assert.deepEqual(await list(anna, A, "block"), ["*@alone.example", "192.0.2.7", "pest@x.example"]);
});

test("what is exported is imported as it was, and the imported list decides", async () => {
    await add(anna, A, { ...sender("block", "x.example", "y.example"), note: "why", priority: 7, expires_at: "2031-01-01T00:00:00Z" });
    await add(anna, A, { action: "block", name: "Words", conditions: [{ kind: "subject", match: "starts_with", any: ["win"] }] });
    const text = (await anna.get(`${A}/rules/export`)).text;
    const before = ok(await anna.get(`${A}/rules`)).items.map((i) => i.rule);
    assert.deepEqual(text.trim().split("\n").map((l) => JSON.parse(l)).map((r) => [r.scope, r.policy, r.name]), [[`mailbox:${ANNA}`, "Rules", "x.example"], [`mailbox:${ANNA}`, "Rules", "Words"]]);
    assert.deepEqual(ok(await anna.post(`${A}/rules/import`, { text })).duplicate, 2);
    await clear(anna, A);
    assert.equal(ok(await anna.post(`${A}/rules/import`, { text })).rules, 2);
    assert.deepEqual(ok(await anna.get(`${A}/rules`)).items.map((i) => i.rule), before);
    assert.match(ok(await bob.post(`${B}/rules/import/preview`, { text })).items[0].why, /another scope/);
    await waitFor("the imported rule to hold a message", async () => {
        await http(site.httpSock, { headers: { From: "<a@x.example>", Rcpt: `<${ANNA}>`, IP: "192.0.2.9", Flags: "milter", "Queue-ID": `Q${Math.random()}` }, body: "From: <a@x.example>\r\nSubject: hello\r\n\r\nHi.\r\n" });
        return ok(await anna.get("/me/mail")).items.some((r) => r.status === "quarantined");
    });
});

test("an owner fills Enforced with blocks, and only the operator with allows", async () => {
    const { Enforced } = Object.fromEntries(ok(await owen.get(`${D}/rules`)).policies.map((p) => [p.name, p.id]));
    const text = "entry\nx.example\ny.example";
    assert.match(ok(await owen.post(`${D}/rules/import/preview`, { text, action: "allow", policy: Enforced })).items[0].why, /blocks/);
    assert.equal(ok(await owen.post(`${D}/rules/import`, { text, action: "block", policy: Enforced })).rules, 1);
    assert.deepEqual(await list(owen, D, "block", `&policy=${Enforced}`), ["x.example", "y.example"]);
    assert.deepEqual(await list(owen, D, "block"), []);
    assert.equal((await change(owen, D, "allow", { add: ["z.example"], policy: Enforced })).status, 403);
    assert.equal(ok(await root.post(`${D}/rules/import`, { text: "z.example", action: "allow", policy: Enforced })).rules, 1);
    const log = ok(await owen.get("/scopes/domain:ours.example/audit")).items.map((i) => i.action);
    assert.ok(log.includes("rule.import"), "an import is in the log");
});

test("each role has its lists and no others", async () => {
    const calls = (who, path) => Promise.all([who.get(`${path}/rules/conflicts`), who.post(`${path}/rules/check`, { rule: sender("block", "x.example") }), who.get(`${path}/lists?action=block`), change(who, path, "block", { add: ["x.example"] }), who.post(`${path}/rules/import/preview`, { text: "x.example", action: "block" }), who.post(`${path}/rules/import`, { text: "x.example", action: "block" }), who.get(`${path}/rules/export`)].map(async (r) => (await r).status));
    for (const who of [bob, cleo]) assert.deepEqual(await calls(who, A), [404, 404, 404, 404, 404, 404, 404]);
    assert.deepEqual(await calls(anna, D), [404, 404, 404, 404, 404, 404, 404]);
    for (const [who, path] of [[anna, A], [owen, A], [owen, D], [root, D]]) assert.deepEqual(await calls(who, path), [200, 200, 200, 200, 200, 200, 200]);
    assert.deepEqual(await calls(reader, A), [200, 200, 200, 403, 403, 403, 200]);
});

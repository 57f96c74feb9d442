// Rules by the API: who may, in which order they decide, what one would have done, what all say of one message.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { http, keyed, makeSite, oneOfMany, signIn, startPortal, startRulesd, waitFor } from "./lib/index.mjs";

const ANNA = "anna@ours.example", BOB = "bob@ours.example", CLEO = "cleo@theirs.example", OWEN = "owen@ours.example", CLARA = "clara@ours.example", ROOT = "root@elsewhere.example";
const SCOPE = `/scopes/${encodeURIComponent(`mailbox:${ANNA}`)}/rules`, DOMAIN = `/scopes/${encodeURIComponent("domain:ours.example")}/rules`, GLOBAL = "/scopes/global/rules";
let site, anna, bob, cleo, owen, clara, root, program, reader;

async function scan({ from = "writer@ext.example", to = ANNA, subject = "Hello", body = "Hello there.", ip = "192.0.2.9" }) {
    await http(site.httpSock, { headers: { From: `<${from}>`, Rcpt: `<${to}>`, IP: ip, Helo: "mx.ext.example", Flags: "milter", "Queue-ID": `Q${Math.random().toString(36).slice(2)}` }, body: `From: Writer <${from}>\r\nTo: ${to}\r\nSubject: ${subject}\r\nMessage-ID: <${subject.replace(/\W/g, "-")}-${Math.random()}@ext.example>\r\n\r\n${body}\r\n` });
}
const logged = (who, q, n = 1) => waitFor(`${n} of ${q} in the log`, async () => { const { body } = await who.get(`/me/mail?q=${encodeURIComponent(q)}`); return body.items.length >= n && body.items; });
const subject = (...any) => ({ action: "block", name: any[0], conditions: [{ kind: "subject", any }] });
const sender = (action, entry, more = {}) => ({ action, name: entry, conditions: [{ kind: "sender", any: [entry] }], ...more });
const add = async (who, path, rule, more = {}) => { const r = await who.post(path, { rule, ...more }); assert.equal(r.status, 201, r.text); return r.body.id; };
const names = async (who, path) => (await who.get(path)).body.items.map((i) => i.rule.name);
const policies = async (who, path) => Object.fromEntries((await who.get(path)).body.policies.map((p) => [p.name, p.id]));

before(async () => {
    const own = await makeSite();
    await own.must("init");
    for (const d of ["ours.example", "theirs.example"]) await own.must("domain", "add", d, "--at-block", "quarantine");
    for (const a of [ANNA, BOB, CLEO, OWEN, CLARA]) { await own.must("account", "add", a); await own.must("mailbox", "add", a); }
    await own.must("account", "set", OWEN, "--owner", "ours.example");
    await own.must("account", "add", ROOT, "--admin", "on");
    await own.must("policy", "add", "global", "Everywhere", "--locked", "on");
    await own.must("policy", "add", "global", "Nowhere");
    await own.must("rule", "add", "--scope", "global", "--policy", "Everywhere", "--name", "From the operator", "block", "--subject", "worm");
    await own.must("rule", "add", "--scope", "global", "--policy", "Nowhere", "--name", "Inert", "block", "--subject", "inert");
    const key = async (name, ...scopes) => keyed(own, (await own.must("token", "add", name, ...scopes, "--role", "owner", "--domain", "ours.example")).match(/pst_\S+/)[0]);
    program = await key("program", "rules:read", "rules:write", "mail:read");
    reader = await key("reader", "rules:read");
    site = await startRulesd({ site: own, init: false });
    await startPortal(site);
    program.origin = reader.origin = site.origin;
    [anna, bob, cleo, owen, clara, root] = [await signIn(site, ANNA), await signIn(site, BOB), await signIn(site, CLEO), await signIn(site, OWEN), await signIn(site, CLARA), await signIn(site, ROOT)];
});
after(async () => { await site?.stopPortal(); await site?.stop(); site?.remove?.(); });

test("a rule that a person makes decides the next message", async () => {
    const id = await add(anna, SCOPE, subject("cheap wares"));
    const row = await waitFor("the rule to hold a message", async () => { await scan({ subject: "Cheap wares for you" }); const { body } = await anna.get(`/me/mail?q=rule:${id}`); return body.items[0]; });
    assert.equal(row.status, "quarantined");
    assert.equal((await anna.call("PATCH", `/rules/${id}`, { body: { enabled: false } })).status, 204);
    assert.equal((await anna.get(`/rules/${id}`)).body.rule.enabled, false);
    await waitFor("the switched off rule to let mail through", async () => { await scan({ subject: "Cheaper wares for you" }); const { body } = await anna.get("/me/mail?q=subject:cheaper"); return body.items.some((r) => r.status !== "quarantined"); });
    assert.equal((await anna.del(`/rules/${id}`)).status, 204);
    assert.equal((await anna.get(`/rules/${id}`)).status, 404);
});

test("its hits are counted, with the last", async () => {
    const id = await add(anna, SCOPE, subject("counted"));
    const one = await waitFor("the hit", async () => { await scan({ subject: "This is counted" }); const { body } = await anna.get(`/rules/${id}`); return body.hits > 0 && body; });
    assert.ok(Math.abs(new Date(one.last_hit) - Date.now()) < 60000);
    await anna.del(`/rules/${id}`);
});

test("an address, a domain or an IP makes a rule at once", async () => {
    const quick = async (what, action = "block") => { const r = await anna.post(`${SCOPE}/quick`, { what, action }); assert.equal(r.status, 201, r.text); const { body } = await anna.get(`/rules/${r.body.id}`); await anna.del(`/rules/${r.body.id}`); return [body.rule.conditions[0].kind, body.rule.conditions[0].any[0], r.body.advice]; };
    assert.deepEqual(await quick(" Pest@Ext.example "), ["sender", "Pest@Ext.example", []]);
    assert.deepEqual(await quick("ext.example"), ["sender", "ext.example", []]);
    assert.deepEqual(await quick("192.0.2.0/24"), ["ip", "192.0.2.0/24", []]);
    assert.deepEqual(await quick("2001:db8::1"), ["ip", "2001:db8::1", []]);
    assert.deepEqual((await quick("partner.example", "allow"))[2], ["cannot_prove"], "nothing here can prove senders");
    const free = await anna.post(`${SCOPE}/quick`, { what: "gmail.com", action: "allow" });
    assert.equal(free.status, 409);
    assert.match(free.body.detail, /^At "gmail\.com" anybody .*\.$/, "of conditions and entries nobody has written here");
    const meant = await anna.post(`${SCOPE}/quick`, { what: "gmail.com", action: "allow", confirm: true });
    assert.equal(meant.status, 201);
    await anna.del(`/rules/${meant.body.id}`);
    const wrong = await anna.post(`${SCOPE}/quick`, { what: "not a sender", action: "block" });
    assert.equal(wrong.status, 400);
    assert.match(wrong.body.detail, /^Character 4: .*\.$/);
    assert.deepEqual([wrong.body.member, wrong.body.detail_said.code], ["what", "import.character"]);
});

test("a refusal says what is wrong, and where", async () => {
    const wrong = async (rule, member, pattern, status = 400) => { const r = await anna.post(SCOPE, { rule }); assert.equal(r.status, status, r.text); assert.equal(r.body.member, member); assert.match(r.body.detail, pattern); assert.match(r.body.detail, /^["A-Z].*\.$/s); return r.body; };
    assert.ok((await wrong({ action: "block", conditions: [{ kind: "ip", any: ["192.0.2.1", "192.0.2.300"] }] }, "rule", /conditions\[0\]\.any\[1\]/i)).at > 0);
    await wrong({ action: "block", conditions: [{ kind: "sneder", any: ["x"] }] }, "rule", /sender/);
    await wrong({ action: "block", conditions: [] }, "rule", /condition/i);
    await wrong({ action: "allow", conditions: [{ kind: "sender", any: ["com"] }] }, "rule", /./);
    await wrong({ action: "block", conditions: [{ kind: "subject", match: "regex", any: ["a+"] }] }, "rule", /regular expression|regex/i, 403);
    assert.equal((await anna.post(SCOPE, { rule: subject("x"), policy: "01a00000-0000-7000-8000-000000000000" })).body.member, "policy");
    assert.equal((await anna.post(SCOPE, {})).body.member, "rule");
    const foreign = (await policies(owen, DOMAIN)).Rules;
    assert.equal((await anna.post(SCOPE, { rule: subject("x"), policy: foreign })).body.member, "policy", "a policy of another scope");
});

test("rules are listed in the order in which they decide, page by page, and are moved", async () => {
    const path = `/scopes/${encodeURIComponent(`mailbox:${BOB}`)}/rules`, id = {};
    for (const n of ["a", "b", "c", "d"]) id[n] = await add(bob, path, { ...subject(n), name: n });
    id.first = await add(bob, path, { ...subject("f"), name: "first", priority: 5 });
    id.allow = await add(bob, path, { ...sender("allow", "friend.example"), name: "allow" });
    const order = () => names(bob, path);
    assert.deepEqual(await order(), ["first", "allow", "a", "b", "c", "d"]);
    const move = async (what, before) => assert.equal((await bob.post(`/rules/${id[what]}/move`, before ? { before: id[before] } : {})).status, 204);
    await move("d", "first");
    assert.deepEqual(await order(), ["d", "first", "allow", "a", "b", "c"]);
    await move("allow");
    assert.deepEqual(await order(), ["d", "first", "a", "b", "c", "allow"]);
    await move("b", "a");
    assert.deepEqual(await order(), ["d", "first", "b", "a", "c", "allow"]);
    const first = (await bob.get(`${path}?limit=4`)).body, second = (await bob.get(`${path}?limit=4&after=${first.next}`)).body;
    assert.deepEqual([...first.items, ...second.items].map((i) => i.rule.name), await order());
    assert.equal(second.next, null);
    assert.equal(first.total, 6);
    assert.equal((await bob.get(`${path}?after=AAAA`)).status, 400);
    const later = await add(bob, path, { ...subject("later"), name: "later" });
    assert.equal((await order()).at(-1), "later", "what is added comes last");
    assert.equal((await bob.post(`/rules/${later}/move`, { before: (await owen.get(DOMAIN)).body.items[0]?.id ?? "01a00000-0000-7000-8000-000000000000" })).status, 409);
    const changed = await bob.put(`/rules/${id.a}`, { rule: { ...subject("aa"), name: "aa", note: "why", expires_at: "2031-01-01T00:00:00Z" } });
    assert.equal(changed.status, 200, changed.text);
    const now = (await bob.get(`/rules/${id.a}`)).body.rule;
    assert.deepEqual([now.name, now.note, now.expires_at.slice(0, 10), now.conditions[0].any], ["aa", "why", "2031-01-01", ["aa"]]);
});

const known = (version) => ({ headers: { "If-Match": `"${version}"` } });

test("a rule that was changed meanwhile is not written over: who had it open is told, and nothing is done", async () => {
    const rule = { ...sender("block", "one@list.example"), conditions: [{ kind: "sender", any: ["one@list.example", "two@list.example"] }] }, id = await add(anna, SCOPE, rule), lists = SCOPE.replace(/rules$/, "lists");
    const open = await anna.get(`/rules/${id}`);
    assert.equal(open.headers.get("etag"), `"${open.body.version}"`);
    assert.equal((await anna.get(SCOPE)).body.items.find((i) => i.id === id).version, open.body.version, "the list knows it too");
    assert.deepEqual((await owen.post(lists, { action: "block", remove: ["two@list.example"] })).body.removed, ["two@list.example"]);
    const late = await anna.put(`/rules/${id}`, { rule: { ...rule, name: "Late" } }, known(open.body.version));
    assert.deepEqual([late.status, late.headers.get("content-type"), late.body.status, late.body.code, late.body.detail_said.code], [412, "application/problem+json", 412, "conflict", "changed_meanwhile"], late.text);
    const now = (await anna.get(`/rules/${id}`)).body;
    assert.deepEqual([now.rule.name, now.rule.conditions[0].any], ["one@list.example", ["one@list.example"]]);
    assert.equal((await anna.del(`/rules/${id}`, known(open.body.version))).status, 412);
    const saved = await anna.put(`/rules/${id}`, { rule: { ...now.rule, name: "In time" } }, known(now.version));
    assert.equal(saved.status, 200, saved.text);
    assert.equal(saved.body.version, (await anna.get(`/rules/${id}`)).body.version, "what comes next may go on from there");
    for (const named of [`W/"${saved.body.version}"`, `"x", "${saved.body.version}"`, "*"]) assert.equal((await anna.put(`/rules/${id}`, { rule: { ...now.rule, name: "In time" } }, { headers: { "If-Match": named } })).status, 200, named);
    for (const named of ["x", "\"\"", saved.body.version]) assert.equal((await anna.put(`/rules/${id}`, { rule }, { headers: { "If-Match": named } })).status, 412, named);
    assert.equal((await anna.put(`/rules/${id}`, { rule: { ...rule, name: "A program's" } })).status, 200, "who names no version writes to what is there");
    const key = { ...known(saved.body.version), headers: { ...known(saved.body.version).headers, "Idempotency-Key": `late-${id}` } };
    assert.equal((await anna.put(`/rules/${id}`, { rule }, key)).status, 412);
    assert.equal((await anna.put(`/rules/${id}`, { rule }, { headers: { ...key.headers, "If-Match": "*" } })).status, 422, "another version is another request");
    assert.equal((await anna.del(`/rules/${id}`, known((await anna.get(`/rules/${id}`)).body.version))).status, 204);
    assert.equal((await anna.put(`/rules/${id}`, { rule }, known(saved.body.version))).status, 404);
});

test("whatever changes a rule makes another version of it; a hit does not", async () => {
    const path = `/scopes/${encodeURIComponent(`mailbox:${BOB}`)}/rules`, ids = [await add(bob, path, subject("moved")), await add(bob, path, subject("stays"))];
    const seen = new Set(), other = async (what, did) => { assert.equal(did.status, 204, did.text); const { version } = (await bob.get(`/rules/${ids[0]}`)).body; assert.ok(!seen.has(version), what); seen.add(version); };
    seen.add((await bob.get(`/rules/${ids[0]}`)).body.version);
    await other("switched off", await bob.call("PATCH", `/rules/${ids[0]}`, { body: { enabled: false } }));
    await other("moved", await bob.post(`/rules/${ids[0]}/move`));
    await bob.call("PATCH", `/rules/${ids[0]}`, { body: { enabled: true } });
    const { version } = (await bob.get(`/rules/${ids[0]}`)).body;
    await waitFor("the hit", async () => { await scan({ to: BOB, subject: "This is moved" }); const { body } = await bob.get(`/rules/${ids[0]}`); return body.hits > 0 && body; });
    assert.equal((await bob.get(`/rules/${ids[0]}`)).body.version, version);
    const { Enforced, Rules } = await policies(owen, DOMAIN), id = await add(owen, DOMAIN, { ...subject("secret"), note: "why" }, { policy: Rules });
    const before = (await owen.get(`/rules/${id}`)).body;
    assert.equal((await owen.put(`/rules/${id}`, { rule: before.rule, policy: Enforced }, known(before.version))).status, 200);
    const after = (await owen.get(`/rules/${id}`)).body;
    assert.deepEqual([after.policy.name, after.version === before.version], ["Enforced", false]);
    assert.equal((await anna.get(`${SCOPE}/above`)).body.items.find((i) => i.id === id).version, null, "a version would tell whether a guess of the note is right");
    assert.equal((await owen.put(`/rules/${id}`, { rule: { ...after.rule, action: "allow" } })).status, 403, "what is enforced is for blocks");
    const freed = await owen.put(`/rules/${id}`, { rule: { ...after.rule, action: "allow" }, policy: Rules });
    assert.equal(freed.status, 200, freed.text);
    assert.deepEqual([(await owen.get(`/rules/${id}`)).body.policy.name, (await owen.put(`/rules/${id}`, { rule: after.rule, policy: (await policies(bob, path)).Rules })).body.member], ["Rules", "policy"]);
    await owen.del(`/rules/${id}`);
    for (const one of ids) await bob.del(`/rules/${one}`);
});

test("of many who save what they have open at the same moment, one does", async () => {
    const id = await add(anna, SCOPE, subject("raced"));
    await oneOfMany([anna, owen], `/rules/${id}`, (name) => ({ rule: { ...subject("raced"), name } }), (body) => body.rule.name);
    await anna.del(`/rules/${id}`);
});

test("regular expressions without a fixed text are as many as are tried, also when several come at the same moment", async () => {
    const slow = (...any) => ({ action: "block", name: "Slow", conditions: [{ kind: "subject", match: "regex", any }] }), many = (n) => Array.from({ length: n }, (_, i) => `z.${i % 10}`);
    const ids = [await add(owen, DOMAIN, slow(...many(99)))], tries = await Promise.all(Array.from({ length: 8 }, () => owen.post(DOMAIN, { rule: slow("z.") })));
    assert.deepEqual(tries.map((r) => r.status).sort(), [201, ...Array(7).fill(422)], tries.map((r) => r.text).join());
    const heard = tries.find((r) => r.status === 201).body.id, refused = tries.find((r) => r.status !== 201).body;
    assert.deepEqual([refused.detail_said.code, refused.detail_said.values, refused.member], ["rule.slow", { n: 101, max: 100 }, "rule"]);
    assert.equal((await owen.put(`/rules/${heard}`, { rule: slow("z.", "y.") })).status, 422);
    assert.equal((await owen.put(`/rules/${heard}`, { rule: slow("y.") })).status, 200);
    const paste = { format: "json", text: JSON.stringify(slow("x.")) };
    for (const way of ["import/preview", "import"]) assert.deepEqual([way, (await owen.post(`${DOMAIN}/${way}`, paste)).body.detail_said?.code], [way, "rule.slow"]);
    const { body: { id: off } } = await owen.post(DOMAIN, { rule: { ...slow("x."), enabled: false } });
    assert.equal((await owen.call("PATCH", `/rules/${off}`, { body: { enabled: true } })).body.detail_said.code, "rule.slow");
    for (const one of [...ids, heard, off]) await owen.del(`/rules/${one}`);
});

test("rules from above are shown to whom they hold for, and only those that hold", async () => {
    const { Enforced, Rules } = await policies(owen, DOMAIN);
    const ids = [await add(owen, DOMAIN, { ...subject("enforced"), name: "Enforced one", note: "private" }, { policy: Enforced }), await add(owen, DOMAIN, { ...subject("domain"), name: "Domain one" }, { policy: Rules }), await add(owen, DOMAIN, { ...subject("off"), name: "Off", enabled: false }), await add(owen, DOMAIN, { ...subject("old"), name: "Old", expires_at: "2020-01-01T00:00:00Z" })];
    const { items } = (await anna.get(`${SCOPE}/above`)).body;
    assert.deepEqual(items.map((i) => [i.rule.name, i.layer, i.read_only]), [["From the operator", "global (locked)", true], ["Enforced one", "domain (locked)", true], ["Domain one", "domain", true]]);
    assert.equal(items[1].rule.note, "", "a note is for those whose rule it is");
    assert.deepEqual((await owen.get(`${DOMAIN}/above`)).body.items.map((i) => i.rule.name), ["From the operator"]);
    assert.deepEqual(await names(owen, DOMAIN), ["Enforced one", "Domain one", "Off", "Old"]);
    assert.equal((await owen.get(DOMAIN)).body.items[3].expired, true);
    for (const id of ids) assert.equal((await anna.get(`/rules/${id}`)).status, 404, "not the rule itself");
    for (const id of ids) await owen.del(`/rules/${id}`);
});

test("each role has its rules and no others", async () => {
    const id = await add(anna, SCOPE, subject("annas")), { Enforced } = await policies(owen, DOMAIN), { Everywhere } = await policies(root, GLOBAL);
    const all = async (who, path, rule) => [(await who.get(path)).status, (await who.post(path, { rule: subject("x") })).status, (await who.get(`/rules/${rule}`)).status, (await who.call("PATCH", `/rules/${rule}`, { body: { enabled: true } })).status, (await who.post(`/rules/${rule}/move`)).status, (await who.post(`${path}/backtest`, { rule: subject("x") })).status, (await who.post(`${path}/test`, { message: "Subject: x\n\nx", rcpt: ANNA })).status];
    assert.deepEqual(await all(bob, SCOPE, id), [404, 404, 404, 404, 404, 404, 404]);
    assert.deepEqual(await all(cleo, SCOPE, id), [404, 404, 404, 404, 404, 404, 404]);
    assert.deepEqual(await all(owen, SCOPE, id), [200, 201, 200, 204, 204, 200, 200]);
    assert.deepEqual(await all(program, SCOPE, id), [200, 201, 200, 204, 204, 200, 200]);
    assert.deepEqual(await all(reader, SCOPE, id), [200, 403, 200, 403, 403, 403, 200], "a key does what its scopes say");
    const enforced = await add(owen, DOMAIN, { ...subject("enforced"), name: "E" }, { policy: Enforced });
    assert.deepEqual(await all(anna, DOMAIN, enforced), [404, 404, 404, 404, 404, 404, 404]);
    assert.deepEqual((await all(owen, GLOBAL, enforced)).slice(0, 2), [404, 404]);
    assert.equal((await owen.post(DOMAIN, { rule: sender("allow", "friend.example"), policy: Enforced })).status, 403, "Enforced is for blocks");
    assert.equal((await root.post(DOMAIN, { rule: sender("allow", "friend.example"), policy: Enforced })).status, 201);
    assert.equal((await root.post(GLOBAL, { rule: subject("x") })).body.member, "policy", "a global rule needs a policy");
    const global = await add(root, GLOBAL, { ...subject("evil"), name: "evil" }, { policy: Everywhere });
    assert.deepEqual((await all(owen, GLOBAL, global)).slice(2, 5), [404, 404, 404]);
    for (const one of [global, enforced]) await root.del(`/rules/${one}`);
});

test("a clerk of the domain has the quarantine, not its rules", async () => {
    await site.must("account", "set", CLARA, "--clerk", "ours.example");
    assert.equal((await clara.get(DOMAIN)).status, 403);
    assert.equal((await clara.post(DOMAIN, { rule: subject("x") })).status, 403);
    assert.equal((await clara.post(`${DOMAIN}/backtest`, { rule: subject("x") })).status, 403);
});

test("what a rule would have done is told from the log, with what was released or reported since", async () => {
    for (const n of [1, 2, 3]) await scan({ from: "news@shop.example", to: CLEO, subject: `Sale ${n}`, body: n === 3 ? "Buy." : "Look." });
    await scan({ from: "friend@other.example", to: CLEO, subject: "Lunch" });
    const rows = await logged(cleo, "", 4), path = `/scopes/${encodeURIComponent(`mailbox:${CLEO}`)}/rules`;
    const backtest = async (rule) => { const r = await cleo.post(`${path}/backtest`, { rule }); assert.equal(r.status, 200, r.text); return r.body; };
    let found = await backtest(sender("block", "shop.example"));
    assert.deepEqual([found.matched, found.messages, found.days, found.whole, found.unknown, found.samples.length], [3, 4, 30, true, 0, 3]);
    assert.deepEqual([found.released, found.reported_ham], [0, 0]);
    assert.equal((await cleo.post(`/deliveries/${rows.find((r) => r.subject === "Sale 2").uid}/1/report`, { class: "ham" })).status, 200);
    found = await backtest(sender("block", "shop.example"));
    assert.equal(found.reported_ham, 1);
    assert.deepEqual(found.samples.filter((s) => s.reported_ham).map((s) => s.delivery.subject), ["Sale 2"]);
    found = await backtest({ action: "block", conditions: [{ kind: "sender", any: ["shop.example"] }, { kind: "body", any: ["buy"] }] });
    assert.deepEqual([found.matched, found.unknown, found.not_kept], [0, 3, ["body"]]);
    found = await backtest(sender("allow", "shop.example"));
    assert.deepEqual([found.matched, found.unproven], [0, 3]);
    assert.equal((await cleo.post(`${path}/backtest`, { rule: { action: "block", conditions: [{ kind: "ip", any: ["x"] }] } })).body.member, "rule");
    const cli = await site.must("backtest", "--json", "-", "--scope", `mailbox:${CLEO}`, { input: JSON.stringify(sender("block", "shop.example")) });
    assert.match(cli, /would have matched 3 of 4 messages in 30 days[^]*1 were reported as not spam[^]*Sale 2/);
});

test("a message is tried on all rules, pasted, uploaded or taken from the log, with the trace of postern explain", async () => {
    const id = await add(anna, SCOPE, { ...subject("trial"), name: "Trial" });
    const pasted = await anna.post(`${SCOPE}/test`, { message: "From: x@ext.example\nSubject: A trial\n\nBody.\n", ip: "192.0.2.7" });
    assert.equal(pasted.status, 200, pasted.text);
    const [one] = pasted.body.recipients;
    assert.deepEqual([one.rcpt, one.verdict, one.rule.id, one.layer], [ANNA, "block", id, "mailbox"]);
    assert.ok(one.matches.some((m) => m.name === "From the operator" && !m.applied && m.why), "what did not match is there too");
    assert.ok(!one.matches.some((m) => m.name === "Inert"), "what holds nowhere is the operator's");
    assert.ok((await root.post(`${SCOPE}/test`, { message: "Subject: inert\n\nx" })).body.recipients[0].matches.some((m) => m.name === "Inert"));
    const raw = await anna.call("POST", `${SCOPE}/test/message?from=x%40ext.example`, { body: Buffer.from("Subject: =?iso-8859-1?Q?trial_=E4?=\r\n\r\n\xe4\x00", "latin1"), json: false, headers: { "Content-Type": "message/rfc822" } });
    assert.deepEqual([raw.status, raw.body.recipients?.[0].rule.id], [200, id]);
    const row = await waitFor("the rule to hold a message", async () => { await scan({ subject: "A trial by mail" }); const { body } = await anna.get(`/me/mail?q=rule:${id}`); return body.items[0]; });
    const held = { uid: row.uid, n: row.n };
    assert.equal((await anna.post(`${SCOPE}/test`, held)).body.recipients[0].rule.id, id);
    assert.equal((await owen.post(`${DOMAIN}/test`, held)).status, 200, "an owner opens what is held in the domain");
    assert.equal((await bob.post(`/scopes/${encodeURIComponent(`mailbox:${BOB}`)}/rules/test`, held)).status, 404, "somebody else's message");
    assert.equal((await root.post(`${SCOPE}/test`, held)).status, 403, "the operator says why");
    assert.equal((await root.post(`${SCOPE}/test`, { ...held, reason: "asked by Anna" })).status, 200);
    assert.equal((await anna.post(`${SCOPE}/test`, { message: "x", rcpt: BOB })).body.member, "rcpt", "nobody tries the rules of others");
    assert.equal((await owen.post(`${DOMAIN}/test`, { message: "Subject: x\n\nx" })).body.member, "rcpt");
    assert.equal((await owen.post(`${DOMAIN}/test`, { message: "Subject: x\n\nx", rcpt: CLEO })).status, 400);
    assert.equal((await owen.post(`${DOMAIN}/test`, { message: "Subject: x\n\nx", rcpt: BOB })).status, 200);
    assert.equal((await anna.post(`${SCOPE}/test`, {})).body.member, "message");
    const cli = JSON.parse(await site.must("explain", "--json", "--rcpt", ANNA, "--ip", "192.0.2.7", "-", { input: "From: x@ext.example\nSubject: A trial\n\nBody.\n" }));
    assert.deepEqual(one.matches, cli.recipients[0].matches.filter((m) => m.layer !== "none"));
});

test("learned senders are listed and forgotten", async () => {
    assert.deepEqual((await anna.get(`/mailboxes/${ANNA}/learned`)).body, { items: [], next: null });
    assert.equal((await bob.get(`/mailboxes/${ANNA}/learned`)).status, 404);
    assert.equal((await anna.del("/learned/01a00000-0000-7000-8000-000000000000")).status, 404);
});

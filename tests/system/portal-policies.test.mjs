// Policies, thresholds and what holds in a scope: what the operator, owners and people may do with them, and what they may not.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { http, keyed, makeSite, oneOfMany, signIn, startPortal, startRulesd, waitFor } from "./lib/index.mjs";

const ANNA = "anna@ours.example", CLARA = "clara@ours.example", OWEN = "owen@ours.example", OLGA = "olga@theirs.example", ROOT = "root@elsewhere.example";
const GLOBAL = "/scopes/global", OURS = "/scopes/domain:ours.example", MINE = `/scopes/mailbox:${ANNA}`;
let site, anna, clara, owen, olga, root, writer, reader, wide;

before(async () => {
    const own = await makeSite();
    await own.must("init");
    for (const d of ["ours.example", "theirs.example"]) await own.must("domain", "add", d, "--at-block", "quarantine");
    for (const a of [ANNA, CLARA, OWEN, OLGA]) { await own.must("account", "add", a); await own.must("mailbox", "add", a); }
    await own.must("account", "set", OWEN, "--owner", "ours.example");
    await own.must("account", "set", CLARA, "--clerk", "ours.example");
    await own.must("account", "set", OLGA, "--owner", "theirs.example");
    await own.must("account", "add", ROOT, "--admin", "on");
    const key = async (name, ...scopes) => keyed(own, (await own.must("token", "add", name, ...scopes)).match(/pst_\S+/)[0]);
    writer = await key("writer", "rules:read", "rules:write", "--role", "owner", "--domain", "ours.example");
    reader = await key("reader", "rules:read", "--role", "owner", "--domain", "ours.example");
    wide = await key("wide", "rules:read", "rules:write", "operate", "--role", "owner");
    site = await startRulesd({ site: own, init: false });
    await startPortal(site);
    for (const one of [writer, reader, wide]) one.origin = site.origin;
    [anna, clara, owen, olga, root] = await Promise.all([ANNA, CLARA, OWEN, OLGA, ROOT].map((a) => signIn(site, a)));
});
after(async () => { await site?.stopPortal(); await site?.stop(); site?.remove?.(); });

const policies = async (who, scope, more = "") => { const r = await who.get(`${scope}/policies${more}`); assert.equal(r.status, 200, r.text); return r.body.items; };
const named = async (who, scope, name) => (await policies(who, scope)).find((p) => p.name === name);
const make = async (who, scope, body) => { const r = await who.post(`${scope}/policies`, body); assert.equal(r.status, 201, r.text); return r.body; };
const rule = async (who, scope, policy, action, subject) => { const r = await who.post(`${scope}/rules`, { rule: { name: subject, action, conditions: [{ kind: "subject", any: [subject] }] }, policy }); assert.equal(r.status, 201, r.text); return r.body.id; };
const refused = (r, status, pattern) => { assert.equal(r.status, status, r.text); assert.match(r.body.detail, /^[A-Z].*\.$/); if (pattern) assert.match(r.body.detail, pattern); };

// ---- policies ----

test("every domain and mailbox has its own policies, which keep name and lock and are switched off rather than deleted", async () => {
    const ours = await policies(owen, OURS);
    assert.deepEqual(ours.map((p) => [p.name, p.locked, p.layer, p.built_in, p.rules]).sort(), [["Enforced", true, "domain (locked)", true, 0], ["Rules", false, "domain", true, 0]]);
    assert.deepEqual((await policies(anna, MINE)).map((p) => [p.name, p.layer]), [["Rules", "mailbox"]]);
    const { id } = ours.find((p) => p.name === "Enforced");
    refused(await owen.del(`/policies/${id}`), 409, /Enforced/);
    refused(await root.del(`/policies/${id}`), 409);
    refused(await owen.patch(`/policies/${id}`, { locked: false }), 409, /keeps/);
    refused(await owen.patch(`/policies/${id}`, { name: "Mine" }), 409);
    assert.equal((await owen.patch(`/policies/${id}`, { enabled: false })).body.enabled, false);
    assert.deepEqual([(await owen.patch(`/policies/${id}`, { enabled: true, priority: 5 })).body.priority, (await named(owen, OURS, "Enforced")).enabled], [5, true]);
});

test("an owner makes, renames, orders, locks and deletes policies of the domain, and what would go is told", async () => {
    const made = await make(owen, OURS, { name: "  Spring  ", priority: 10 });
    assert.deepEqual([made.name, made.priority, made.locked, made.enabled, made.inert, made.rules, made.first], ["Spring", 10, false, true, false, 0, []]);
    assert.deepEqual((await policies(owen, OURS)).map((p) => p.name), ["Enforced", "Spring", "Rules"], "as they decide");
    refused(await owen.post(`${OURS}/policies`, { name: "Spring" }), 409);
    refused(await owen.post(`${OURS}/policies`, { name: "  " }), 400, /name/);
    refused(await owen.post(`${OURS}/policies`, { name: "x", default: true }), 400, /global/);
    assert.equal((await owen.post(`${OURS}/policies`, {})).body.member, "name");
    assert.equal((await owen.post(`${OURS}/policies`, { name: "x", priority: 1000001 })).body.member, "priority");
    await rule(owen, OURS, made.id, "block", "raffle");
    const now = await owen.patch(`/policies/${made.id}`, { name: "Summer", locked: true, priority: 20 });
    assert.deepEqual([now.body.name, now.body.locked, now.body.layer, now.body.rules, now.body.first], ["Summer", true, "domain (locked)", 1, ["raffle"]]);
    assert.equal((await owen.del(`/policies/${made.id}`)).status, 204);
    assert.equal((await owen.get(`/policies/${made.id}`)).status, 404);
    assert.equal((await owen.get(`${OURS}/rules`)).body.total, 0);
    const said = (await owen.get(`${OURS}/audit?action=policy`)).body.items.map((r) => r.action);
    assert.deepEqual(said.slice(0, 3), ["policy.delete", "policy.set", "policy.add"]);
});

test("an allow does not get over everybody by an owner's lock", async () => {
    const { id } = await make(owen, OURS, { name: "Partners" });
    const allow = await rule(owen, OURS, id, "allow", "invoice");
    refused(await owen.patch(`/policies/${id}`, { locked: true }), 403, /admin/);
    refused(await owen.put(`/rules/${allow}/policy`, { policy: (await named(owen, OURS, "Enforced")).id }), 403);
    assert.equal((await root.patch(`/policies/${id}`, { locked: true })).body.locked, true);
    assert.equal((await owen.del(`/policies/${id}`)).status, 204);
});

test("a global policy does nothing until it is locked, assigned or the default, and says so; the operator alone has a hand in it", async () => {
    const { id, ...made } = await make(root, GLOBAL, { name: "Shared" });
    const state = async () => { const p = await named(root, GLOBAL, "Shared"); return [p.layer, p.inert, p.domains, p.named]; };
    assert.deepEqual([made.layer, made.inert], ["none", true]);
    assert.deepEqual(await policies(owen, OURS, "/above"), []);
    assert.equal((await root.put(`/policies/${id}/domains/ours.example`)).status, 204);
    assert.equal((await root.put(`/policies/${id}/domains/ours.example`)).status, 204, "twice is once");
    assert.deepEqual(await state(), ["domain", false, 1, ["ours.example"]]);
    assert.deepEqual((await policies(owen, OURS, "/above")).map((p) => [p.name, p.layer, p.read_only, p.domains]), [["Shared", "domain", true, undefined]], "whom else it is assigned to is not an owner's to know");
    assert.deepEqual(await policies(olga, "/scopes/domain:theirs.example", "/above"), []);
    assert.deepEqual((await policies(anna, MINE, "/above")).map((p) => p.name), ["Enforced", "Rules", "Shared"]);
    assert.deepEqual((await root.get(`/policies/${id}/domains`)).body.items.map((d) => d.name), ["ours.example"]);
    refused(await root.put(`/policies/${id}/domains/nowhere.example`), 404);
    assert.equal((await root.del(`/policies/${id}/domains/ours.example`)).status, 204);
    assert.equal((await root.del(`/policies/${id}/domains/ours.example`)).status, 404);
    assert.equal((await root.patch(`/policies/${id}`, { default: true })).body.layer, "default");
    const second = await make(root, GLOBAL, { name: "Second", default: true });
    assert.deepEqual(await state(), ["none", true, 0, []], "there is one default");
    assert.equal((await root.patch(`/policies/${id}`, { locked: true })).body.layer, "global (locked)");
    assert.deepEqual((await policies(olga, "/scopes/domain:theirs.example", "/above")).map((p) => [p.name, p.layer]), [["Shared", "global (locked)"], ["Second", "default"]]);
    await root.patch(`/policies/${id}`, { enabled: false });
    assert.deepEqual((await policies(olga, "/scopes/domain:theirs.example", "/above")).map((p) => p.name), ["Second"]);
    for (const who of [owen, clara, anna, writer]) {
        assert.equal((await who.get(`${GLOBAL}/policies`)).status, 404);
        assert.equal((await who.post(`${GLOBAL}/policies`, { name: "x" })).status, 404);
        for (const answer of [await who.get(`/policies/${id}`), await who.patch(`/policies/${id}`, { locked: false }), await who.del(`/policies/${id}`), await who.get(`/policies/${id}/domains`), await who.put(`/policies/${id}/domains/ours.example`)])
            assert.ok([403, 404].includes(answer.status), answer.text);
    }
    assert.equal((await wide.post(`${GLOBAL}/policies`, { name: "x" })).status, 403, "a key of all domains is still an owner's");
    assert.equal((await wide.patch(`/policies/${id}`, { locked: false })).status, 403);
    assert.equal((await wide.put(`/policies/${id}/domains/ours.example`)).status, 403);
    refused(await root.put(`/policies/${(await named(root, OURS, "Rules")).id}/domains/theirs.example`), 400, /global/);
    for (const p of [id, second.id]) assert.equal((await root.del(`/policies/${p}`)).status, 204);
});

test("each role has its policies and no others", async () => {
    const { id } = await named(owen, OURS, "Rules"), own = await named(anna, MINE, "Rules");
    const all = async (who, scope, policy) => [(await who.get(`${scope}/policies`)).status, (await who.get(`${scope}/policies/above`)).status, (await who.get(`/policies/${policy}`)).status, (await who.patch(`/policies/${policy}`, { priority: 100 })).status, (await who.post(`${scope}/policies`, {})).status, (await who.del(`/policies/${policy}`)).status];
    assert.deepEqual(await all(owen, OURS, id), [200, 200, 200, 200, 400, 409]);
    assert.deepEqual(await all(root, OURS, id), [200, 200, 200, 200, 400, 409]);
    assert.deepEqual(await all(writer, OURS, id), [200, 200, 200, 200, 400, 409].map((s, i) => (i < 3 ? 403 : s)), "a key that may write rules lacks domain:read");
    assert.deepEqual(await all(clara, OURS, id), [403, 403, 403, 403, 403, 403]);
    for (const who of [anna, olga]) assert.deepEqual(await all(who, OURS, id), [404, 404, 404, 404, 404, 404]);
    assert.deepEqual(await all(anna, MINE, own.id), [200, 200, 200, 403, 403, 403], "one's own are read; they are made by owners");
    assert.deepEqual(await all(owen, MINE, own.id), [200, 200, 200, 200, 400, 409]);
    assert.deepEqual(await all(olga, MINE, own.id), [404, 404, 404, 404, 404, 404]);
    assert.deepEqual((await all(reader, MINE, own.id)).slice(2), [200, 403, 403, 403]);
});

const scan = (subject) => http(site.httpSock, { headers: { From: "<w@ext.example>", Rcpt: `<${ANNA}>`, IP: "192.0.2.9", Flags: "milter", "Queue-ID": `Q${Math.random()}` }, body: `From: <w@ext.example>\r\nSubject: ${subject}\r\n\r\nHello ${Math.random()}.\r\n` });
test("a rule that changes its policy is judged by where it now is", async () => {
    const enforced = await named(owen, OURS, "Enforced"), rules = await named(owen, OURS, "Rules");
    const id = await rule(owen, OURS, rules.id, "block", "tombola");
    const place = async () => (await owen.get(`/rules/${id}`)).body.policy.name;
    refused(await owen.put(`/rules/${id}/policy`, { policy: (await named(anna, MINE, "Rules")).id }), 400, /here/);
    refused(await owen.put(`/rules/${id}/policy`, { policy: "01a00000-0000-7000-8000-000000000000" }), 400, /here/);
    assert.equal((await owen.put(`/rules/${id}/policy`, {})).body.member, "policy");
    for (const [who, status] of [[anna, 404], [olga, 404], [clara, 403], [reader, 403]]) assert.equal((await who.put(`/rules/${id}/policy`, { policy: enforced.id })).status, status);
    assert.equal(await place(), "Rules");
    const mine = await rule(anna, MINE, (await named(anna, MINE, "Rules")).id, "allow", "tombola");
    const judged = async (what, action) => waitFor(what, async () => { const { body } = await anna.post(`${MINE}/rules/test`, { message: "Subject: tombola\n\nx" }); return body.recipients[0].verdict === action && body.recipients[0]; });
    await judged("the mailbox's allow to win", "allow");
    assert.equal((await owen.put(`/rules/${id}/policy`, { policy: enforced.id })).status, 204);
    assert.equal(await place(), "Enforced");
    assert.equal((await judged("what is enforced to win", "block")).layer, "domain (locked)");
    await waitFor("rulesd to hear of it", async () => { await scan("A tombola"); return (await anna.get(`/me/mail?q=rule:${id}`)).body.items[0]?.status === "quarantined"; });
    const [said] = (await owen.get(`${OURS}/audit?action=rule.move`)).body.items;
    assert.deepEqual(said.what, { before: { policy: "Rules" }, after: { policy: "Enforced" } });
    await anna.del(`/rules/${mine}`);
    await owen.del(`/rules/${id}`);
});

// ---- thresholds ----

test("a mailbox has thresholds of its own where its domain permits it, and nothing else of its own", async () => {
    const path = `${MINE}/settings`;
    const { version, ...first } = (await anna.get(path)).body;
    assert.deepEqual(first, { own: { reject: null, add_header: null, greylist: null }, inherited: { reject: 15, add_header: 6, greylist: 4 }, permitted: false });
    refused(await anna.put(path, { add_header: 5 }), 403, /permit/);
    assert.equal((await owen.put(`${OURS}/settings`, { mailbox_thresholds: true })).status, 200);
    assert.equal((await anna.get(path)).body.permitted, true);
    assert.equal((await anna.put(path, { add_header: 5 })).body.own.add_header, 5);
    assert.equal((await owen.put(path, { add_header: 5.5 })).body.own.add_header, 5.5);
    refused(await anna.put(path, { add_header: 5, at_block: "discard" }), 400);
    refused(await anna.put(path, { add_header: 20 }), 400, /Reject \(15\) must be more than add_header \(20\)/);
    refused(await owen.put(`${OURS}/settings`, { mailbox_thresholds: true, reject: 5.2, add_header: 5 }), 400, /mailbox/);
    for (const who of [olga]) { assert.equal((await who.get(path)).status, 404); assert.equal((await who.put(path, {})).status, 404); }
    for (const who of [anna, olga]) { assert.equal((await who.get(`${OURS}/settings`)).status, 404); assert.equal((await who.put(`${OURS}/settings`, {})).status, 404); }
    assert.equal((await clara.get(`${OURS}/settings`)).status, 403);
    assert.equal((await clara.put(`${OURS}/settings`, {})).status, 403);
    assert.equal((await owen.get(`${GLOBAL}/settings`)).status, 404);
    assert.equal((await wide.put(`${GLOBAL}/settings`, {})).status, 403);
    const late = await anna.put(path, {}, { headers: { "If-Match": `"${version}"` } });
    assert.deepEqual([late.status, late.body.detail_said.code], [412, "changed_meanwhile"], "an owner has set it since");
    assert.equal((await anna.put(path, {})).body.own.add_header, null, "reset returns to what is inherited");
    assert.equal((await anna.get(path)).body.version, version, "and that is what she saw then");
    assert.equal((await owen.put(`${OURS}/settings`, {})).status, 200);
});

test("what an owner and the operator set on one page is told to both, and of many at the same moment one is heard", async () => {
    const path = `${OURS}/settings`, at = (version) => ({ headers: { "If-Match": `"${version}"` } });
    const { version } = (await root.get(path)).body;
    const limited = await root.put(`${OURS}/quotas`, { rules_max: 77 }, at(version));
    assert.equal(limited.status, 200, limited.text);
    assert.equal((await owen.put(path, { add_header: 5 }, at(version))).status, 412);
    assert.equal((await root.put(path, { add_header: 5 }, at(limited.body.version))).status, 200, "who goes on from their own first half");
    assert.equal((await root.put(`${OURS}/quotas`, {}, at(version))).status, 412);
    await oneOfMany([owen, root], path, (name) => ({ add_header: 5, greylist: 1 + Number(name) / 10 }), (body) => (Math.round((body.own.greylist - 1) * 100) / 10).toFixed(1));
    assert.equal((await owen.get(path)).body.own.rules_max, 77, "the operator's part stays");
    for (const what of ["settings", "quotas"]) assert.equal((await root.put(`${OURS}/${what}`, {})).status, 200);
});

test("what other thresholds would have made of last week's mail is counted, for each scope by who may see its mail", async () => {
    const counted = async (who, scope, query = "") => { const r = await who.get(`${scope}/scores${query}`); assert.equal(r.status, 200, r.text); return r.body; };
    for (const status of [(await olga.get(`${OURS}/scores`)).status, (await anna.get(`${OURS}/scores`)).status, (await owen.get(`${GLOBAL}/scores`)).status, (await olga.get(`${MINE}/scores`)).status]) assert.equal(status, 404);
    assert.equal((await writer.get(`${OURS}/scores`)).status, 403, "it takes mail:read");
    const none = await counted(olga, "/scopes/domain:theirs.example");
    assert.deepEqual([none.looked, none.judged, none.whole, none.since, none.moved, none.moves], [0, 0, true, null, 0, []]);
    assert.deepEqual([none.low, none.high, none.bins.length, none.days], [-10, 30, 42, 7]);
    const body = await counted(owen, OURS, "?add_header=3&reject=12.5&greylist=2&greylisting=true");
    assert.deepEqual(body.now, { reject: 15, add_header: 6, greylist: 4, greylisting: false });
    assert.deepEqual(body.then, { reject: 12.5, add_header: 3, greylist: 2, greylisting: true });
    assert.equal(body.problem, null);
    assert.ok(body.looked > 0);
    assert.ok((await counted(root, GLOBAL)).looked >= body.looked);
    assert.ok((await counted(anna, MINE)).looked <= body.looked);
    assert.match((await counted(owen, OURS, "?add_header=20")).problem, /^Reject \(15\) must be more than add_header \(20\)\.$/);
    assert.equal((await owen.get(`${OURS}/scores?add_header=much`)).body.member, "add_header");
    assert.equal((await owen.get(`${OURS}/scores?add_header=1000`)).body.member, "add_header");
});

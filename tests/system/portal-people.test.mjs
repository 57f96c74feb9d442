// Domains, people, mailboxes and addresses: what the operator, owners and people may do with them, and what they may not.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Browser, keyed, makeSite, signIn, startPortal, startRulesd } from "./lib/index.mjs";

const ANNA = "anna@ours.example", BOTH = "both@ours.example", OWEN = "owen@ours.example", OLGA = "olga@theirs.example", ROOT = "root@elsewhere.example";
let site, anna, owen, olga, root, key;

before(async () => {
    const own = await makeSite();
    await own.must("init");
    for (const d of ["ours.example", "theirs.example"]) await own.must("domain", "add", d);
    for (const a of [ANNA, BOTH, OWEN, OLGA]) { await own.must("account", "add", a); await own.must("mailbox", "add", a); }
    await own.must("mailbox", "add", "both@theirs.example", "--account", BOTH);
    await own.must("account", "set", OWEN, "--owner", "ours.example");
    await own.must("account", "set", OLGA, "--owner", "theirs.example");
    await own.must("account", "add", ROOT, "--admin", "on");
    key = (await own.must("token", "add", "provisioning", "domain:read", "domain:write", "--role", "owner", "--domain", "ours.example")).match(/pst_\S+/)[0];
    site = await startRulesd({ site: own, init: false });
    await startPortal(site);
    [anna, owen, olga, root] = await Promise.all([ANNA, OWEN, OLGA, ROOT].map((a) => signIn(site, a)));
    key = keyed(site, key);
});
after(async () => { await site?.stopPortal(); await site?.stop(); site?.remove?.(); });

const names = async (who, path, member) => (await who.get(path)).body.items.map((r) => r[member]);

// ---- domains ----

test("an owner sees their domains, the operator all, a person none", async () => {
    assert.deepEqual(await names(owen, "/domains", "name"), ["ours.example"]);
    assert.deepEqual(await names(key, "/domains", "name"), ["ours.example"]);
    assert.deepEqual(await names(root, "/domains", "name"), ["ours.example", "theirs.example"]);
    assert.deepEqual(await names(anna, "/domains", "name"), []);
    for (const who of [owen, root]) assert.deepEqual((await names(who, "/domains", "owners"))[0], ["owen@ours.example"], "who owns it is told");
    assert.equal((await owen.get("/domains/theirs.example")).status, 404);
    assert.equal((await anna.get("/domains/ours.example")).status, 404);
});

test("the operator adds a domain, names it twice, points it to a host and deletes it; an owner does none of it", async () => {
    assert.equal((await owen.post("/domains", { name: "new.example" })).status, 404);
    assert.equal((await root.post("/domains", { name: "no domain" })).body.member, "name");
    assert.equal((await root.post("/domains", { name: "New.Example" })).body.domain.name, "new.example");
    assert.equal((await root.post("/domains", { name: "new.example" })).status, 409);
    assert.deepEqual((await root.post("/domains/new.example/aliases", { name: "neu.example" })).body.aliases, ["neu.example"]);
    assert.equal((await root.put("/domains/new.example/route", { route: "smtp://mx.new.example:25" })).body.domain.route, "smtp://mx.new.example:25");
    const nowhere = await root.put("/domains/new.example/route", { route: "ftp://mx.new.example" });
    assert.deepEqual([nowhere.status, nowhere.body.detail_said.code, nowhere.body.detail_said.values.why.code], [400, "server.wrong", "server.scheme"]);
    for (const refused of [owen.put("/domains/ours.example/route", { route: "smtp://127.0.0.1:25" }), owen.post("/domains/ours.example/aliases", { name: "bank.example" }), owen.del("/domains/ours.example"), key.put("/domains/ours.example/route", { route: "x" })])
        assert.equal((await refused).status, 403);
    assert.equal((await root.del("/domains/new.example/aliases/new.example")).status, 404, "its own name stays");
    assert.equal((await root.del("/domains/ours.example/aliases/neu.example")).status, 404);
    assert.equal((await root.del("/domains/new.example/aliases/neu.example")).status, 204);
    assert.equal((await root.del("/domains/new.example")).status, 204);
    assert.equal((await root.get("/domains/new.example")).status, 404);
});

test("what a domain is delivered with has to be a mail server, and its password is for the operator alone", async () => {
    const secret = "smtps://relay:hunter22@mx.ours.example:465", shown = "smtps://relay:…@mx.ours.example:465";

    for (const route of ["file:///etc/passwd", "http://mx.ours.example", "smtp://mx.ours.example:99999", "mx.ours.example"])
        assert.equal((await root.put("/domains/ours.example/route", { route })).body.member, "route", route);
    assert.equal((await root.put("/domains/ours.example/route", { route: secret })).body.domain.route, secret);
    assert.equal((await root.get("/domains")).body.items.find((d) => d.name === "ours.example").route, secret);
    assert.equal((await owen.get("/domains/ours.example")).body.domain.route, shown);
    assert.equal((await owen.get("/domains")).body.items[0].route, shown);
    assert.equal((await owen.patch("/domains/ours.example", { state: "active" })).body.domain.route, shown);
    assert.equal((await root.get("/domains/ours.example")).body.domain.route, secret, "an owner's change leaves it");
    for (const log of ["/audit", "/scopes/domain:ours.example/audit"]) {
        const { text } = await root.get(log);
        assert.ok(text.includes(shown) && !text.includes("hunter22"), log);
    }
    assert.equal((await root.put("/domains/ours.example/route", { route: "" })).body.domain.route, "");
});

test("an owner turns the filter of a domain off and on, and lets in nothing that waits for the operator", async () => {
    assert.equal((await owen.patch("/domains/ours.example", { state: "disabled", delimiter: "-" })).body.domain.state, "disabled");
    assert.equal((await owen.patch("/domains/ours.example", { state: "active" })).body.domain.delimiter, "-");
    assert.equal((await owen.patch("/domains/ours.example", { delimiter: "x" })).status, 400);
    assert.equal((await root.patch("/domains/ours.example", { state: "pending" })).status, 200);
    assert.equal((await owen.patch("/domains/ours.example", { state: "active" })).status, 403);
    assert.equal((await root.patch("/domains/ours.example", { state: "active" })).status, 200);
});

test("what a domain does not set it inherits, and thresholds keep their order", async () => {
    const path = "/scopes/domain:ours.example/settings";
    assert.deepEqual((await owen.get(path)).body.own.add_header, null);
    assert.equal((await owen.get(path)).body.inherited.add_header, 6);
    const { body } = await owen.put(path, { add_header: 7.5, at_block: "quarantine", greylisting: true, enrol: "closed", retention_days: 30 });
    assert.deepEqual([body.own.add_header, body.own.at_block, body.own.greylisting, body.own.enrol, body.own.retention_days, body.own.reject], [7.5, "quarantine", true, "closed", 30, null]);
    const wrong = await owen.put(path, { add_header: 20 });
    assert.equal(wrong.status, 400);
    assert.match(wrong.body.detail, /^[A-Z].*\.$/);
    assert.equal((await owen.get(path)).body.own.add_header, 7.5, "nothing is stored of what is refused");
    assert.equal((await owen.put("/scopes/domain:ours.example/quotas", { copies: true })).status, 403);
    assert.equal((await root.put("/scopes/domain:ours.example/quotas", { copies: true, rules_max: 10 })).body.own.copies, true);
    assert.equal((await owen.put(path, {})).body.own.copies, true, "the operator's part stays");
    assert.equal((await owen.get(path)).body.own.add_header, null);
    assert.equal((await root.put("/scopes/global/settings", { add_header: 5 })).status, 200);
    assert.equal((await owen.get(path)).body.inherited.add_header, 5);
    assert.equal((await root.put("/scopes/global/settings", {})).body.inherited.add_header, 6);
    for (const who of [olga, anna]) assert.equal((await who.put(path, {})).status, 404);
    assert.equal((await owen.get("/scopes/global/settings")).status, 404);
});

test("a closed domain lets nobody in who has no account", async () => {
    await owen.post("/domains/ours.example/mailboxes", { local: "later" });
    await owen.put("/scopes/domain:ours.example/settings", { enrol: "closed" });
    assert.notEqual((await site.postern(["login-link", "later@ours.example"])).code, 0);
    await owen.put("/scopes/domain:ours.example/settings", {});
    await signIn(site, "later@ours.example");
});

test("the log calls things by their names, also when they are gone", async () => {
    const made = (await owen.post("/scopes/domain:ours.example/rules", { rule: { name: "No wares", action: "block", conditions: [{ kind: "subject", match: "contains", any: ["wares"] }] } })).body;
    assert.equal((await owen.del(`/rules/${made.id ?? made.rule?.id}`)).status, 204);
    const rows = (await owen.get("/scopes/domain:ours.example/audit?action=rule")).body.items;
    assert.deepEqual(rows.slice(0, 2).map((r) => [r.action, r.object_name, r.scope_name]), [["rule.delete", "No wares", "ours.example"], ["rule.add", "No wares", "ours.example"]]);
    assert.equal(JSON.stringify(rows).includes('"named"'), false);
    const csv = (await owen.get("/scopes/domain:ours.example/audit.csv?action=rule")).text;
    assert.match(csv, /"object name","scope","scope name"/);
    assert.match(csv, /"No wares","domain","ours\.example"/);
});

// ---- people ----

test("an owner adds people of their domain, makes them clerk or owner, and shuts them out; nobody of another domain", async () => {
    const added = await owen.post("/domains/ours.example/people", { login: "New@Ours.example", name: "New" });
    assert.equal(added.status, 200, added.text);
    assert.equal(added.body.login, "new@ours.example");
    assert.ok((await names(owen, "/domains/ours.example/mailboxes", "address")).includes("new@ours.example"));
    assert.equal((await owen.post("/domains/ours.example/people", { login: "new@ours.example" })).status, 409);
    assert.equal((await owen.post("/domains/ours.example/people", { login: "new@theirs.example" })).status, 400);
    assert.equal((await owen.post("/domains/ours.example/people", { login: ANNA })).status, 409);
    const fresh = await signIn(site, "new@ours.example");
    assert.equal((await owen.put("/domains/ours.example/roles/new@ours.example", { role: "owner" })).status, 204);
    assert.equal((await fresh.get("/domains/ours.example")).status, 200);
    assert.equal((await owen.put("/domains/ours.example/roles/new@ours.example", { role: "user" })).status, 204);
    assert.equal((await fresh.get("/domains/ours.example")).status, 404);
    assert.equal((await owen.put(`/domains/ours.example/roles/${OLGA}`, { role: "owner" })).status, 404, "who is not of this domain is not there");
    assert.equal((await owen.put("/domains/ours.example/roles/new@ours.example", { role: "admin" })).status, 400);
    assert.equal((await owen.patch("/accounts/new@ours.example", { active: false })).body.active, false);
    assert.equal((await fresh.session()).signed_in, false);
    assert.equal((await owen.del("/accounts/new@ours.example")).status, 204);
    assert.ok((await names(owen, "/domains/ours.example/mailboxes", "address")).includes("new@ours.example"), "the mailbox stays");
});

test("who owns one of two domains does not get at a person who has mail in both", async () => {
    for (const who of [owen, olga]) {
        for (const { status } of [await who.patch(`/accounts/${BOTH}`, { active: false }), await who.del(`/accounts/${BOTH}`), await who.get(`/accounts/${BOTH}`)]) assert.equal(status, 404);
    }
    assert.ok((await names(owen, "/domains/ours.example/people", "login")).includes(BOTH), "but sees that they are there");
    assert.equal((await root.patch(`/accounts/${BOTH}`, { name: "Both" })).body.name, "Both");
    assert.equal((await owen.patch(`/accounts/${ROOT}`, { active: false })).status, 404);
    assert.equal((await owen.patch(`/accounts/${OLGA}`, { active: false })).status, 404);
    assert.equal((await anna.patch(`/accounts/${ANNA}`, { name: "x" })).status, 404, "one's own is /me");
});

test("nobody shuts themselves out, and the last admin stays one", async () => {
    assert.equal((await owen.patch(`/accounts/${OWEN}`, { active: false })).status, 409);
    assert.equal((await owen.del(`/accounts/${OWEN}`)).status, 409);
    for (const { status, body } of [await root.put(`/accounts/${ROOT}/admin`, { admin: false })]) {
        assert.equal(status, 409);
        assert.match(body.detail, /last admin/);
    }
    assert.equal((await owen.put(`/accounts/${ANNA}/admin`, { admin: true })).status, 403);
    assert.equal((await root.post("/accounts", { login: "second@elsewhere.example", admin: true })).body.admin, true);
    const second = await signIn(site, "second@elsewhere.example");
    assert.equal((await second.put(`/accounts/${ROOT}/admin`, { admin: false })).body.admin, false);
    assert.equal((await second.put("/accounts/second@elsewhere.example/admin", { admin: false })).status, 409);
    assert.equal((await second.put(`/accounts/${ROOT}/admin`, { admin: true })).body.admin, true);
    assert.equal((await root.session()).signed_in, false, "who has become an admin proves anew who they are");
    root = await signIn(site, ROOT);
    assert.equal((await root.del("/accounts/second@elsewhere.example")).status, 204);
    assert.equal((await owen.get("/accounts")).status, 404);
    assert.ok((await names(root, "/accounts", "login")).includes(OLGA));
});

// ---- mailboxes and addresses ----

test("mailboxes are made, given to somebody of the domain, and deleted by the owner alone", async () => {
    assert.equal((await owen.post("/domains/ours.example/mailboxes", { local: "Shop", account: ANNA })).body.address, "shop@ours.example");
    assert.equal((await owen.post("/domains/ours.example/mailboxes", { local: "shop" })).status, 409);
    assert.equal((await owen.post("/domains/ours.example/mailboxes", { local: "a@b" })).status, 400);
    assert.equal((await owen.post("/domains/ours.example/mailboxes", { local: "desk", account: OLGA })).status, 404);
    assert.equal((await anna.get("/me/mail?limit=1")).status, 200);
    assert.equal((await owen.patch("/mailboxes/shop@ours.example", { enabled: false })).body.enabled, false);
    assert.equal((await owen.patch("/mailboxes/shop@ours.example", { account: "" })).body.account, null);
    assert.equal((await anna.patch(`/mailboxes/${ANNA}`, { enabled: false })).status, 403);
    for (const who of [olga, anna]) assert.equal((await who.del("/mailboxes/shop@ours.example")).status, 404);
    assert.equal((await key.del("/mailboxes/shop@ours.example")).status, 204);
});

test("aliases, lists and the catch-all are made and deleted, and mailboxes not by that way", async () => {
    const path = "/domains/ours.example/addresses";
    assert.equal((await owen.post(path, { kind: "alias", local: "Sales", to: [ANNA] })).status, 204);
    assert.equal((await owen.post(path, { kind: "catchall", to: ["Anna@Ours.example"] })).status, 204);
    assert.equal((await owen.post(path, { kind: "alias", local: "team", to: [] })).status, 400);
    assert.equal((await owen.post(path, { kind: "alias", local: "x", to: ["nonsense"] })).body.member, "to");
    assert.equal((await owen.post(path, { kind: "alias", local: "anna", to: [OWEN] })).status, 409);
    const rows = (await owen.get(path)).body.items;
    assert.deepEqual(rows.map((r) => [r.address, r.kind, r.targets]), [["@ours.example", "catchall", [ANNA]], ["sales@ours.example", "alias", [ANNA]]]);
    assert.equal((await owen.del(`${path}/${encodeURIComponent(ANNA)}`)).status, 400);
    assert.equal((await olga.del(`/domains/theirs.example/addresses/${encodeURIComponent("sales@ours.example")}`)).status, 404);
    for (const { address } of rows) assert.equal((await owen.del(`${path}/${encodeURIComponent(address)}`)).status, 204);
    assert.deepEqual((await owen.get(path)).body.items, []);
});

// ---- blocked senders ----

test("blocked senders are shown to the owners of their domain; what the operator decided, the operator lifts", async () => {
    await site.must("sender", "block", ANNA, "--reason", "sold the account");
    await site.must("sender", "block", OLGA, "--reason", "the same");
    assert.deepEqual(await names(owen, "/blocked-senders", "login"), [ANNA]);
    assert.deepEqual(await names(key, "/blocked-senders", "login"), [ANNA]);
    assert.deepEqual(await names(root, "/blocked-senders", "login"), [ANNA, OLGA]);
    assert.deepEqual(await names(anna, "/blocked-senders", "login"), []);
    assert.equal((await owen.del(`/blocked-senders/${ANNA}`)).status, 403);
    assert.equal((await olga.del(`/blocked-senders/${ANNA}`)).status, 404);
    assert.equal((await anna.del(`/blocked-senders/${ANNA}`)).status, 404);
    assert.equal((await root.del(`/blocked-senders/${ANNA}`)).status, 204);
    assert.equal((await root.del(`/blocked-senders/${ANNA}`)).status, 404);
    assert.equal((await new Browser(site.origin).get("/blocked-senders")).status, 401);
});

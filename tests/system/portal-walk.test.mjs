// Every call of openapi.json, as everybody: on what is somebody else's each is refused, and the same call by who may is not.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Browser, http, keyed, makeSite, signIn, startPortal, startRulesd, waitFor } from "./lib/index.mjs";

const ANNA = "anna@ours.example", BOB = "bob@ours.example", CLEO = "cleo@theirs.example", OWEN = "owen@ours.example", OLGA = "olga@theirs.example", CLARA = "clara@ours.example", ROOT = "root@elsewhere.example";
let site, document, who, objects;

// What a call needs beside its path, where it is not refused before that is looked at. Anything else is sent as {}.
const REACHED = new Set([200, 201, 202, 204, 400, 409, 415, 422]);

before(async () => {
    const own = await makeSite({ rules: { authserv_id: "mx.ours.example" } });
    await own.must("init");
    for (const d of ["ours.example", "theirs.example"]) await own.must("domain", "add", d, "--at-block", "quarantine");
    for (const a of [ANNA, BOB, CLEO, OWEN, OLGA, CLARA]) { await own.must("account", "add", a); await own.must("mailbox", "add", a); }
    await own.must("account", "set", OWEN, "--owner", "ours.example");
    await own.must("account", "set", OLGA, "--owner", "theirs.example");
    await own.must("account", "set", CLARA, "--clerk", "ours.example");
    await own.must("account", "add", ROOT, "--admin", "on");
    await own.must("rule", "add", "--scope", `mailbox:${ANNA}`, "--name", "Annas", "block", "--subject", "wares");
    await own.must("domain", "alias", "ours.example", "also-ours.example");
    await own.must("address", "add", "sales@ours.example", "--kind", "alias", "--to", ANNA);
    const key = async (name, role, ...more) => keyed(own, (await own.must("token", "add", name, "mail:read", "mail:act", "rules:read", "rules:write", "domain:read", "domain:write", "audit:read", "sso", "operate", "--role", role, ...more)).match(/pst_\S+/)[0]);
    site = await startRulesd({ site: own, init: false });
    await startPortal(site);
    const signed = Object.fromEntries(await Promise.all(Object.entries({ anna: ANNA, bob: BOB, cleo: CLEO, owen: OWEN, olga: OLGA, clara: CLARA, root: ROOT }).map(async ([n, a]) => [n, await signIn(site, a)])));
    who = { ...signed, nobody: new Browser(site.origin), key_ours: await key("ours", "owner", "--domain", "ours.example"), key_theirs: await key("theirs", "owner", "--domain", "theirs.example"), key_user: await key("user", "user") };
    for (const [name, one] of Object.entries(who)) if (name.startsWith("key")) one.origin = site.origin;

    await http(site.httpSock, { headers: { From: "<w@ext.example>", Rcpt: `<${ANNA}>`, IP: "192.0.2.9", Flags: "milter", "Queue-ID": "Q1" }, body: "From: <w@ext.example>\r\nSubject: cheap wares\r\n\r\nBuy.\r\n" });
    const [row] = await waitFor("the message", async () => { const { body } = await who.anna.get("/me/mail"); return body.items.length > 0 && body.items; });
    await own.must("report", "spam", "--rcpt", ANNA, "-", { input: "Authentication-Results: mx.ours.example; dmarc=pass header.from=shop.example\r\nFrom: news@shop.example\r\nSubject: Sale\r\n\r\nBuy.\r\n" });
    const { items: [rule], policies: [policy] } = (await who.anna.get(`/scopes/mailbox:${ANNA}/rules`)).body;
    const { items: [learned] } = (await who.anna.get(`/mailboxes/${ANNA}/learned`)).body;
    document = (await who.nobody.get("/openapi.json")).body;
    objects = { mailbox: ANNA, domain: "ours.example", scope: `mailbox:${ANNA}`, uid: row.uid, n: String(row.n), account: ANNA, rule: rule.id, policy: policy.id, learned: learned.id };
});
after(async () => { await site?.stopPortal(); await site?.stop(); site?.remove?.(); });

const operations = () => Object.entries(document.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, op]) => ({ path, method: method.toUpperCase(), op })));
// A path with Anna's objects in it; what is not known stands for one that does not exist.
const fill = (path) => path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(objects[name] ?? "01a00000-0000-7000-8000-000000000000"));
const ask = (one, { path, method }) => one.call(method, fill(path), { body: method === "GET" || method === "DELETE" ? undefined : {} });
const standings = ["nobody", "user", "clerk", "owner", "admin"];
// What takes other objects with it goes last.
const ends = ({ path, method }) => (method !== "DELETE" ? 0 : 1 + ["/mailboxes/{mailbox}", "/accounts/{account}", "/domains/{domain}"].indexOf(path) + 1);
const known = (path) => [...path.matchAll(/\{(\w+)\}/g)].every(([, name]) => objects[name]);

test("nobody without a session gets anywhere but through the doors that are open", async () => {
    let walked = 0;
    for (const o of operations()) {
        walked++;
        const { status } = await ask(who.nobody, o);
        if (o.op["x-deed"] !== "open") assert.equal(status, 401, `${o.method} ${o.path}`);
    }
    assert.equal(walked, operations().length);
});

test("what is Anna's is refused to strangers, in every call, as if it were not there", async () => {
    for (const o of operations().filter((x) => x.op["x-object"] !== "none" && x.op["x-deed"] !== "open")) {
        for (const name of ["bob", "cleo", "olga", "key_theirs", "key_user"]) {
            const { status } = await ask(who[name], o);
            assert.ok(status === 404 || status === 403, `${name}: ${o.method} ${o.path} said ${status}`);
            if (!name.startsWith("key")) assert.equal(status, 404, `${name}: ${o.method} ${o.path} tells that it is there`);
        }
    }
});

test("a clerk has the quarantine of the domain, and nothing else of anybody's", async () => {
    let refused = 0, reached = 0;
    for (const o of operations().filter((x) => !["none", "global"].includes(x.op["x-object"]) && x.op["x-deed"] !== "open" && known(x.path) && x.method !== "DELETE")) {
        const { status, text } = await ask(who.clara, o);
        const may = o.op["x-clerk"] && standings.indexOf(o.op["x-least"]) <= 2;
        if (may && o.method === "GET") { assert.ok(REACHED.has(status), `${o.method} ${o.path} said ${status} ${text.slice(0, 200)}`); reached++; }
        if (!may) { assert.ok(status === 403 || status === 404, `${o.method} ${o.path} said ${status}`); refused++; }
    }
    assert.ok(refused > 20 && reached > 5, `${refused} refused, ${reached} reached`);
});

test("of mail that was never held a clerk is told that there is none", async () => {
    await http(site.httpSock, { headers: { From: "<w@ext.example>", Rcpt: `<${ANNA}>`, IP: "192.0.2.9", Flags: "milter", "Queue-ID": "Q2" }, body: "From: <w@ext.example>\r\nSubject: between us\r\n\r\nHi.\r\n" });
    const [row] = await waitFor("the message", async () => { const { body } = await who.anna.get("/me/mail?q=subject:between"); return body.items.length > 0 && body.items; });
    const mails = async (one, q) => (await one.get(`/scopes/domain:ours.example/mail?q=${q}`)).body.items.map((m) => m.subject);
    assert.ok((await mails(who.owen, "")).includes("between us"));
    assert.deepEqual(await mails(who.clara, ""), ["cheap wares"]);
    assert.deepEqual(await mails(who.clara, "subject:between"), []);
    assert.deepEqual(await mails(who.clara, "status:received"), []);
    for (const path of ["", "/breadths?action=block"]) assert.equal((await who.clara.get(`/deliveries/${row.uid}/${row.n}${path}`)).status, 404);
    assert.equal((await who.clara.post(`/deliveries/${row.uid}/${row.n}/report`, { class: "spam" })).status, 404);
    const job = (await who.clara.post("/scopes/domain:ours.example/jobs", { what: "ham", q: "subject:between" })).body;
    const end = await waitFor("the job", async () => { const { body } = await who.clara.get(`/jobs/${job.id}`); return body.state !== "waiting" && body; });
    assert.equal(end.done, 0);
    assert.equal((await who.owen.get(`/deliveries/${row.uid}/${row.n}`)).status, 200);
});

test("in their own mailbox a clerk is the person", async () => {
    const made = await who.clara.post(`/scopes/mailbox:${CLARA}/rules`, { rule: { name: "Mine", action: "block", conditions: [{ kind: "subject", match: "contains", any: ["x"] }] } });
    assert.equal(made.status, 201, made.text);
    assert.equal((await who.clara.post(`/scopes/mailbox:${ANNA}/rules`, { rule: { name: "Not mine", action: "block", conditions: [{ kind: "subject", match: "contains", any: ["x"] }] } })).status, 403);
});

test("what a person has started is theirs alone: to others it is not there, whoever they are", async () => {
    objects.job = (await who.anna.post("/me/jobs", { what: "ham", q: "subject:nothing-like-this" })).body.id;
    const mine = operations().filter((o) => o.path.startsWith("/jobs/{job}"));
    assert.ok(mine.length >= 3);
    for (const o of mine) {
        for (const name of ["bob", "cleo", "owen", "olga", "root"]) assert.equal((await ask(who[name], o)).status, 404, `${name}: ${o.method} ${o.path}`);
        assert.ok(REACHED.has((await ask(who.anna, o)).status), `anna: ${o.method} ${o.path}`);
    }
});

test("who may, may: the same calls on the same objects reach their work", async () => {
    const reads = operations().filter((x) => x.op["x-object"] !== "none" && x.op["x-deed"] !== "open" && known(x.path)).sort((a, b) => ends(a) - ends(b));
    for (const o of reads) {
        const least = standings.indexOf(o.op["x-least"]);
        const rightful = [...(least <= 1 ? ["anna"] : []), ...(least <= 3 ? ["owen"] : []), "root"].filter((n) => o.method !== "DELETE" || n === "anna" || (least > 1 && n === "owen") || least > 3);
        for (const name of rightful.slice(0, o.method === "DELETE" ? 1 : 3)) {
            const { status, text } = await ask(who[name], o);
            const needsReason = name === "root" && o.op["x-deed"] === "mail.open" && status === 403;
            assert.ok(REACHED.has(status) || needsReason, `${name}: ${o.method} ${o.path} said ${status} ${text.slice(0, 200)}`);
        }
        if (least > 1 && known(o.path) && o.op["x-object"] !== "global") assert.ok([401, 403, 404].includes((await ask(who.anna, o)).status), `anna: ${o.method} ${o.path}`);
    }
});

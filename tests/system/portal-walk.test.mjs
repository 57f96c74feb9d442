// Every call of openapi.json, as everybody: on what is somebody else's each is refused, and the same call by who may is not.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Browser, http, keyed, makeSite, program, run, signIn, startPortal, startRulesd, startSmtpSink, waitFor } from "./lib/index.mjs";
import { faults } from "./lib/schema.mjs";
import { calls } from "./portal-calls.mjs";

const ANNA = "anna@ours.example", BOB = "bob@ours.example", CLEO = "cleo@theirs.example", OWEN = "owen@ours.example", OLGA = "olga@theirs.example", CLARA = "clara@ours.example", ROOT = "root@elsewhere.example";
const PASSWORD = "correct horse battery";
let site, sink, document, who, objects, world;

before(async () => {
    sink = await startSmtpSink();
    const relay = `smtp://127.0.0.1:${sink.port}`;
    const own = await makeSite({ rules: { authserv_id: "mx.ours.example" }, smtp: { url: relay, from: "Post <post@ours.example>" }, delivery: { url: relay }, digest: { per_second: 1000 } });
    await own.must("init");
    for (const d of ["ours.example", "theirs.example"]) await own.must("domain", "add", d, "--at-block", "quarantine");
    for (const a of [ANNA, BOB, CLEO, OWEN, OLGA, CLARA]) { await own.must("account", "add", a); await own.must("mailbox", "add", a); }
    await own.must("account", "set", OWEN, "--owner", "ours.example");
    await own.must("account", "set", OLGA, "--owner", "theirs.example");
    await own.must("account", "set", CLARA, "--clerk", "ours.example");
    await own.must("account", "add", ROOT, "--admin", "on");
    await own.must("rule", "add", "--scope", `mailbox:${ANNA}`, "--name", "Annas", "block", "--subject", "wares");
    await own.must("rule", "add", "--scope", "domain:ours.example", "--name", "No lotteries", "block", "--subject", "lottery");
    await own.must("account", "set", ANNA, "--password-stdin", { input: `${PASSWORD}\n` });
    await own.must("policy", "add", "global", "Everywhere");
    await own.must("domain", "alias", "ours.example", "also-ours.example");
    await own.must("address", "add", "sales@ours.example", "--kind", "alias", "--to", ANNA);
    const key = async (name, role, ...more) => keyed(own, (await own.must("token", "add", name, "mail:read", "mail:act", "rules:read", "rules:write", "domain:read", "domain:write", "audit:read", "sso", "operate", "--role", role, ...more)).match(/pst_\S+/)[0]);
    site = await startRulesd({ site: own, init: false });
    await startPortal(site, { settings: { sso_url: "https://dashboard.example/" } });
    const signed = Object.fromEntries(await Promise.all(Object.entries({ anna: ANNA, bob: BOB, cleo: CLEO, owen: OWEN, olga: OLGA, clara: CLARA, root: ROOT }).map(async ([n, a]) => [n, await signIn(site, a)])));
    who = { ...signed, nobody: new Browser(site.origin), key_ours: await key("ours", "owner", "--domain", "ours.example", "--from", "127.0.0.0/8"), key_theirs: await key("theirs", "owner", "--domain", "theirs.example"), key_user: await key("user", "user") };
    for (const [name, one] of Object.entries(who)) if (name.startsWith("key")) one.origin = site.origin;

    const row = await held();
    await own.must("report", "spam", "--rcpt", ANNA, "-", { input: "Authentication-Results: mx.ours.example; dmarc=pass header.from=shop.example\r\nFrom: news@shop.example\r\nSubject: Sale\r\n\r\nBuy.\r\n" });
    const { items: [rule], policies: [policy] } = (await who.anna.get(`/scopes/mailbox:${ANNA}/rules`)).body;
    const { items: [learned] } = (await who.anna.get(`/mailboxes/${ANNA}/learned`)).body;
    document = (await who.nobody.get("/openapi.json")).body;
    objects = { mailbox: ANNA, domain: "ours.example", scope: `mailbox:${ANNA}`, ...row, account: ANNA, rule: rule.id, policy: policy.id, learned: learned.id };
    const { items: global } = (await who.root.get("/scopes/global/policies")).body;
    world = { site, who, objects, anna: ANNA, password: PASSWORD, route: relay, globalPolicy: global.find((p) => p.name === "Everywhere").id, held, token, askedLink, doneJob, blocked, letter };
});
after(async () => { await site?.stopPortal(); await site?.stop(); await sink?.stop(); site?.remove?.(); });

// ---- what calls find when they come ----

let letters = 0;
// Held by Anna's own rule, or ("lottery") by her domain's; with something attached.
async function held(word = "wares") {
    const subject = `cheap ${word} ${++letters}`;
    await http(site.httpSock, { headers: { From: `<${word}@ext.example>`, Rcpt: `<${ANNA}>`, IP: "192.0.2.9", Flags: "milter", "Queue-ID": `Q${letters}` }, body: `From: <${word}@ext.example>\r\nSubject: ${subject}\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nBuy.\r\n--b\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Disposition: attachment; filename=a.pdf\r\n\r\nxyz\r\n--b--\r\n` });
    const [row] = await waitFor("the message", async () => { const { body } = await who.anna.get(`/me/mail?q=${encodeURIComponent(`subject:"${subject}"`)}`); return body.items.length > 0 && body.items; });
    return { uid: row.uid, n: String(row.n) };
}
const token = async () => (await site.must("login-link", ANNA)).trim().split("#")[1];
// A link that was asked for in a browser, as it came by mail.
async function askedLink() {
    const browser = new Browser(site.origin), seen = sink.messages.length;
    await browser.post("/signin/link", { address: ANNA, ...await browser.proof(ANNA) });
    // An earlier one may come later than that: ours is the one that this browser is known by.
    const token = await waitFor("the link", async () => {
        for (const mail of sink.messages.slice(seen)) {
            const one = mail.data.replace(/=\r\n/g, "").replace(/=3D/g, "=").match(/\/signin#(\S+)/)?.[1];
            if (one && (await browser.post("/signin/link/look", { token: one })).body.same_browser) return one;
        }
    });
    return { browser, token };
}
async function doneJob() {
    const { uid } = await held();
    const { id } = (await who.anna.post("/me/jobs", { what: "delete", q: `uid:${uid}` })).body;
    await waitFor("the job", async () => (await who.anna.get(`/jobs/${id}`)).body.can_undo);
    return id;
}
async function blocked() {
    await site.must("sender", "block", ANNA, "--reason", "tests");
    return ANNA;
}
async function letter(digest) {
    await held();
    // A digest is behind the log by a moment, and letters are few that one may ask for.
    await waitFor("something in the digest", async () => (await who.anna.get(`/me/digests/${digest}/preview.html`)).text.includes("cheap wares"), { everyMs: 300 });
    const { run: sent } = (await who.anna.post(`/me/digests/${digest}/send`)).body;
    const round = await run(program("postern-digest"), ["-c", site.conf, "--once", "--now", new Date(Date.now() + 6000).toISOString().replace(/\.\d+Z/, "Z")]);
    assert.equal(round.code, 0, round.stderr);
    await waitFor("the letter", async () => (await who.anna.get(`/me/digests/${digest}/letters`)).body.items.find((l) => l.id === sent)?.state === "sent");
    return sent;
}

// Staff who came for Anna, from the operator's dashboard.
async function staff() {
    const sam = new Browser(site.origin), made = await who.key_ours.post("/handoffs", { login: ANNA, domain: "ours.example", kind: "staff", staff_name: "Sam of Support" });
    await sam.call("POST", "/handoffs/arrive", { body: `token=${made.body.token}`, json: false, headers: { "Content-Type": "application/x-www-form-urlencoded", Origin: "https://dashboard.example", "Sec-Fetch-Site": "cross-site", "X-CSRF-Token": null } });
    await sam.post("/handoffs/use", { confirm: true });
    assert.equal((await sam.session()).staff, true);
    return sam;
}

// ---- the walk ----

// What leaves no row in the audit log, because it changes nothing of anybody's: doors, looks, and what found nothing to change.
const silent = new Set(["POST /signin/link", "POST /signin/link/look", "POST /signin/link/code", "POST /handoffs/arrive", "POST /deliveries/{uid}/{n}/unrelease", "DELETE /jobs/{job}", "POST /rules/{rule}/move", "PUT /rules/{rule}/policy", "POST /scopes/{scope}/rules/backtest", "POST /scopes/{scope}/rules/check", "POST /scopes/{scope}/rules/test", "POST /scopes/{scope}/rules/test/message", "POST /scopes/{scope}/rules/import/preview", "POST /me/digests/{digest}/send"]);
const newestRow = async () => (({ node, number }) => `${node}/${number}`)((await who.root.get("/audit?limit=1")).body.items[0]);

// What of a reply openapi.json does not say: its status, its type, or what is in it.
function undescribed({ op }, { status, body, headers }) {
    const said = op.responses[status] ?? op.responses.default, type = headers?.get("content-type")?.split(";")[0];
    if (status < 400 && !op.responses[status]) return [`status ${status} is not described`];
    if (!type) return said.content && headers ? ["a reply without its type"] : [];
    const [[name, { schema }] = ["", {}]] = Object.entries(said.content ?? {});
    if (name !== type && name !== `${type.split("/")[0]}/*`) return [`${type} is not described: ${name}`];
    return type.includes("json") ? faults(document, schema, body) : [];
}

const operations = () => Object.entries(document.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, op]) => ({ path, method: method.toUpperCase(), op, key: `${method.toUpperCase()} ${path}` })));
const standings = ["nobody", "user", "clerk", "owner", "admin"];
const least = (o) => standings.indexOf(o.op["x-least"]);
const strangers = ["bob", "cleo", "olga", "key_theirs", "key_user"];
const rightful = (o) => [who.nobody, who.anna, who.anna, who.owen, who.root][least(o)];
// Who has less than a call needs, though they are of the house: the call is refused to them on their own ground too.
const lesser = (o) => [...(least(o) > 1 ? ["anna"] : []), ...(least(o) === 4 ? ["owen"] : []), ...(o.op["x-clerk"] ? [] : ["clara"])];
// Who has more may look too; of the operator mail is asked with a reason.
const also = (o) => (o.method !== "GET" || o.op["x-object"] === "none" ? [] : [...(o.op["x-clerk"] ? ["clara"] : []), ...(least(o) <= 3 ? ["owen"] : []), ...(o.op["x-deed"] !== "mail.open" ? ["root"] : [])]);
const isOpen = (o) => o.op["x-deed"] === "open";
const inTheirs = (o) => ["self", "self.secret", "digests"].includes(o.op["x-deed"]) && /\{/.test(o.path);

const fill = (path, on) => path.replace(/\{(\w+)\}/g, (_, name) => { assert.ok(on[name], `${path}: no ${name}`); return encodeURIComponent(on[name]); });
const request = ({ path, method }, what) => {
    const { bytes, type, headers } = what.raw ?? {};
    const options = what.raw ? { body: bytes, json: false, headers: { "Content-Type": type, ...headers } } : { body: method === "GET" || method === "DELETE" ? undefined : what.body ?? {} };
    return [method, fill(path, { ...objects, ...what.on }) + (what.query ? `?${what.query}` : ""), options];
};

// A stream has no end: that it begins is all.
async function answer(browser, { stream }, asked) {
    if (!stream) return browser.call(...asked);
    const stop = new AbortController();
    const response = await fetch(`${site.origin}/api/v1${asked[1]}`, { signal: stop.signal, headers: { Cookie: [...browser.cookies].map(([k, v]) => `${k}=${v}`).join("; ") } });
    stop.abort();
    return { status: response.status, text: "" };
}

test("the calls that are walked are those of the document, no more and no fewer", () => {
    assert.deepEqual(Object.keys(calls).sort(), operations().map((o) => o.key).sort());
});

test("of mail that was never held a clerk is told that there is none", async () => {
    await http(site.httpSock, { headers: { From: "<w@ext.example>", Rcpt: `<${ANNA}>`, IP: "192.0.2.9", Flags: "milter", "Queue-ID": "Q2" }, body: "From: <w@ext.example>\r\nSubject: between us\r\n\r\nHi.\r\n" });
    const [row] = await waitFor("the message", async () => { const { body } = await who.anna.get("/me/mail?q=subject:between"); return body.items.length > 0 && body.items; });
    const mails = async (one, q) => (await one.get(`/scopes/domain:ours.example/mail?q=${q}`)).body.items.map((m) => m.subject);
    assert.ok((await mails(who.owen, "")).includes("between us"));
    assert.ok((await mails(who.clara, "")).every((subject) => subject.startsWith("cheap ")));
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

test("bodies, exports, keys, digests and credentials are not for staff", () => {
    const kept = /^\/me\/(digest|password|mail\.csv)|^\/deliveries\/.*\/(preview|headers|raw|attachments)|\.csv$|^\/keys|^\/session\/elevate/;
    assert.deepEqual(operations().filter((o) => kept.test(o.path) && o.op["x-staff"]).map((o) => o.key), []);
});

test("every call is refused to who has no business there, and the very same request succeeds for who has, as openapi.json says, and is written down", async () => {
    const byKey = new Map(operations().map((o) => [o.key, o])), problems = [];
    const changed = [];
    let refused = 0, reached = 0, sam = await staff();

    for (const [key, row] of Object.entries(calls)) {
        const o = byKey.get(key), what = typeof row === "function" ? await row(world) : row, asked = request(o, what);
        const tells = (name, { status, text }) => problems.push(`${name}: ${key} said ${status} ${text.slice(0, 200)}`);

        if (!isOpen(o)) {
            const none = await answer(who.nobody, what, asked);
            if (none.status !== 401) tells("nobody", none);
            const foreign = o.op["x-object"] !== "none" ? strangers : inTheirs(o) ? ["bob", "cleo", "owen", "olga", "root"] : [];
            for (const name of foreign) {
                const got = await answer(who[name], what, asked);
                if (got.status !== 404 && !(name.startsWith("key") && got.status === 403)) tells(`${name}, who is not told that it is there`, got);
                refused++;
            }
            if (!o.op["x-staff"]) {
                if ((await sam.get("/me")).status === 401) sam = await staff(); // Anna has signed out everywhere
                const got = await answer(sam, what, asked);
                if (got.status !== 403) tells("staff, in Anna's session", got);
                refused++;
            }
            for (const name of o.op["x-object"] === "none" ? [] : lesser(o)) {
                const got = await answer(who[name], what, asked);
                if (got.status !== 403 && got.status !== 404) tells(name, got);
                refused++;
            }
        }
        // Where the document says so, a change is made to the version that is meant and to no other.
        const versioned = o.op.parameters.some((p) => p.in === "header" && p.name === "If-Match"), stale = [asked[0], asked[1], { ...asked[2], headers: { ...asked[2].headers, "If-Match": "\"of another time\"" } }];
        if (versioned !== "412" in o.op.responses) problems.push(`${key}: If-Match and 412 go together`);
        if (versioned) {
            const late = await answer(what.as ?? rightful(o), what, stale);
            if (late.status !== 412) tells("who means another version", late);
            changed.push(key);
        }
        const before = o.method === "GET" ? "" : await newestRow();
        const got = await answer(what.as ?? rightful(o), what, asked);
        if (o.method !== "GET" && (await newestRow() === before) !== silent.has(key)) problems.push(`${key}: ${silent.has(key) ? "a" : "no"} row in the audit log`);
        if (o.op.responses[200]?.headers?.ETag && got.headers.get("etag") !== `"${got.body.version}"`) tells("no ETag", got);
        for (const name of isOpen(o) ? [] : also(o)) {
            const more = await answer(who[name], what, asked);
            if (more.status !== 200) tells(`${name}, who may too`, more);
        }
        if (what.status ? got.status !== what.status : got.status < 200 || got.status > 299) tells("who may", got);
        for (const fault of undescribed(o, got)) problems.push(`${key}: ${fault}`);
        reached++;
        if (/session|password/.test(key) && !isOpen(o)) await (what.as ?? rightful(o)).session(); // its token may be another now
    }
    assert.deepEqual(problems, []);
    assert.equal(reached, operations().length);
    assert.deepEqual(changed.sort(), ["DELETE /domains/{domain}/digest-default", "DELETE /rules/{rule}", "PUT /domains/{domain}/digest-default", "PUT /rules/{rule}", "PUT /scopes/{scope}/quotas", "PUT /scopes/{scope}/settings"]);
    assert.ok(refused > 400, `${refused} refused`);
});

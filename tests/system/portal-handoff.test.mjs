// From an operator's dashboard into the portal: who may be brought by whom, how often, into which browser, and what staff cannot do there.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Browser, freePort, http, keyed, makeSite, root, signIn, start, startPortal, startRulesd, waitFor } from "./lib/index.mjs";

const ANNA = "anna@ours.example", NEW = "new@ours.example", OWEN = "owen@ours.example", CLEO = "cleo@theirs.example", BOTH = "both@ours.example", ROOT = "root@ours.example";
let site, key, asked;
const minted = async (...more) => keyed(site, (await site.must("token", "add", `key ${++asked}`, ...more, ...(more.includes("--from") ? [] : ["--from", "127.0.0.0/8"]))).match(/pst_\S+/)[0]);
const wish = (more = {}) => ({ login: ANNA, domain: "ours.example", kind: "self", ...more });
const make = async (more, by = key) => { const r = await by.post("/handoffs", wish(more)); assert.equal(r.status, 200, r.text); return r.body; };
// What the dashboard's page does: a form of another site.
const arrive = (browser, token, headers = {}) => browser.call("POST", "/handoffs/arrive", { body: `token=${token}`, json: false, headers: { "Content-Type": "application/x-www-form-urlencoded", Origin: "https://dashboard.example", "Sec-Fetch-Site": "cross-site", "X-CSRF-Token": null, ...headers } });
const use = (browser, body = { confirm: true }, options) => browser.post("/handoffs/use", body, options);

before(async () => {
    asked = 0;
    const own = await makeSite();
    await own.must("init");
    for (const d of ["ours.example", "theirs.example"]) await own.must("domain", "add", d, "--at-block", "quarantine");
    for (const a of [ANNA, OWEN, CLEO, BOTH]) { await own.must("account", "add", a); await own.must("mailbox", "add", a); }
    await own.must("mailbox", "add", NEW);
    await own.must("account", "set", OWEN, "--owner", "ours.example");
    await own.must("account", "set", BOTH, "--owner", "theirs.example");
    await own.must("account", "add", ROOT, "--admin", "on");
    await own.must("mailbox", "add", ROOT);
    await own.must("rule", "add", "--scope", `mailbox:${ANNA}`, "--name", "Wares", "block", "--subject", "wares");
    site = await startRulesd({ site: own, init: false });
    await startPortal(site, { settings: { sso_url: "https://dashboard.example/mail?from=portal" } });
    key = await minted("sso", "--role", "owner", "--domain", "ours.example");
});
after(async () => { await site?.stopPortal(); await site?.stop(); site?.remove?.(); });

test("a person is handed over: the form signs nobody in, one press on our own page does", async () => {
    const browser = new Browser(site.origin), { token, post_to } = await make();

    assert.equal(post_to, `${site.origin}/api/v1/handoffs/arrive`);
    const arrived = await arrive(browser, token);
    assert.equal(arrived.status, 303);
    assert.equal(arrived.headers.get("location"), "/handoff");
    assert.match(arrived.headers.get("set-cookie"), /HttpOnly; SameSite=Strict/);
    assert.equal((await browser.session()).signed_in, false);
    assert.deepEqual((await browser.get("/handoffs/pending")).body, { login: ANNA, staff_name: null, over: null, ask: true });
    assert.equal((await use(browser, {})).status, 409, "it asks first");
    assert.deepEqual((await use(browser)).body, { to: "/" });
    const me = await browser.session();
    assert.equal(me.account.login, ANNA);
    assert.equal(me.staff, false);
    assert.equal(me.elevated_until, null, "nobody has proven anything here");
    assert.equal(browser.cookies.has("handoff"), false);
});

test("an owner lands on the page of the domain, and who has no account yet gets one", async () => {
    const owen = new Browser(site.origin), fresh = new Browser(site.origin);

    await arrive(owen, (await make({ login: OWEN })).token);
    assert.deepEqual((await use(owen)).body, { to: "/people?domain=ours.example" });
    await arrive(fresh, (await make({ login: NEW })).token);
    assert.equal((await use(fresh)).status, 200);
    assert.deepEqual((await fresh.session()).mailboxes.map((m) => m.address), [NEW]);
});

test("it is good once, in one browser or another", async () => {
    const one = new Browser(site.origin), two = new Browser(site.origin), { token } = await make();

    await arrive(one, token);
    await arrive(two, token);
    assert.equal((await use(one)).status, 200);
    assert.equal((await use(two)).status, 404);
    assert.equal((await two.session()).signed_in, false);
    assert.equal((await arrive(new Browser(site.origin), "A".repeat(43))).status, 303);
    for (const bad of ["", "x", "A".repeat(42) + "%0d", "A".repeat(44)]) assert.equal((await arrive(new Browser(site.origin), bad)).status, 400, bad);
});

test("with a nonce only the browser that asked for it gets in, without being asked", async () => {
    const browser = new Browser(site.origin), other = new Browser(site.origin);
    const started = await browser.get("/handoff/start");

    assert.equal(started.status, 303);
    const [, nonce] = started.headers.get("location").match(/^https:\/\/dashboard\.example\/mail\?from=portal&nonce=(\S{43})$/);
    const { token } = await make({ nonce });
    assert.equal((await key.post("/handoffs", wish({ nonce }))).status, 400, "a nonce is good once");
    await other.get("/handoff/nonce");
    await arrive(other, token);
    assert.equal((await use(other)).status, 403, "another browser");
    await arrive(browser, token);
    assert.equal((await browser.get("/handoffs/pending")).body.ask, false);
    assert.equal((await use(browser, {})).status, 200);
    assert.equal((await browser.session()).account.login, ANNA);
    assert.equal((await key.post("/handoffs", wish({ nonce: "A".repeat(43) }))).status, 400, "none of ours");
});

test("over a session that is there it asks, and the one before ends", async () => {
    const browser = await signIn(site, OWEN), before = browser.cookies.get("session"), { nonce } = (await browser.get("/handoff/nonce")).body;

    await arrive(browser, (await make({ nonce })).token);
    assert.deepEqual((await browser.get("/handoffs/pending")).body, { login: ANNA, staff_name: null, over: OWEN, ask: true });
    assert.equal((await use(browser, {})).status, 409);
    assert.equal((await use(browser, { confirm: true }, { headers: { "X-CSRF-Token": null } })).status, 403);
    assert.equal((await browser.session()).account.login, OWEN);
    assert.equal((await use(browser)).status, 200);
    assert.equal((await browser.session()).account.login, ANNA);
    assert.notEqual(browser.cookies.get("session"), before);
    const old = new Browser(site.origin);
    old.cookies.set("session", before);
    assert.equal((await old.session()).signed_in, false, "the old session is over");
});

test("other sites can bring a hand-off here, and nothing more", async () => {
    const browser = new Browser(site.origin), planted = new Browser(site.origin);

    await arrive(browser, (await make()).token);
    for (const headers of [{ Origin: "https://dashboard.example" }, { "Sec-Fetch-Site": "cross-site" }, { "Sec-Fetch-Site": "same-site" }]) assert.equal((await use(browser, { confirm: true }, { headers })).status, 403, JSON.stringify(headers));
    planted.cookies.set("session", "A".repeat(43));
    await arrive(planted, (await make()).token);
    await use(planted);
    assert.notEqual(planted.cookies.get("session"), "A".repeat(43));
    assert.equal((await use(browser)).status, 200, "our own page can");
    assert.equal((await arrive(new Browser(site.origin), (await make()).token, { "Content-Type": "text/plain" })).status, 400, "a form, and nothing that looks like one");
});

test("a key brings whom it is for, and nobody else, the operator least of all", async () => {
    const refused = async (by, more, status, words) => { const r = await by.post("/handoffs", wish(more)); assert.equal(r.status, status, `${JSON.stringify(more)}: ${r.text}`); if (words) assert.match(r.body.detail, words); };
    const person = await signIn(site, OWEN);

    await refused(key, { login: ROOT }, 404);
    await refused(key, { login: "nobody@ours.example" }, 404);
    await refused(key, { login: CLEO }, 404);
    await refused(key, { login: BOTH }, 404, /may bring/);
    await refused(key, { login: CLEO, domain: "theirs.example" }, 404);
    await refused(key, { domain: "none.example" }, 404);
    await refused(key, { kind: "staff" }, 400);
    await refused(key, { staff_name: "Sam" }, 400);
    await refused(key, { kind: "admin" }, 400);
    await refused(await minted("mail:read", "--role", "owner", "--domain", "ours.example"), {}, 403, /scope sso/);
    await refused(await minted("sso", "--role", "owner"), {}, 403, /bound to domains/);
    await refused(keyed(site, (await site.must("token", "add", "from anywhere", "sso", "--role", "owner", "--domain", "ours.example")).match(/pst_\S+/)[0]), {}, 403, /to networks/);
    await refused(await minted("sso", "--role", "admin", "--domain", "ours.example"), {}, 403, /role owner/);
    await refused(await minted("sso", "--role", "clerk", "--domain", "ours.example"), {}, 403);
    await refused(await minted("sso", "--role", "owner", "--domain", "theirs.example"), {}, 404);
    await refused(await minted("sso", "--role", "owner", "--domain", "ours.example", "--from", "192.0.2.0/24"), {}, 401);
    await refused(person, {}, 403, /Only an API key/);
    await refused(new Browser(site.origin), {}, 401);
    await make({}, await minted("sso", "--role", "owner", "--domain", "ours.example", "--from", "127.0.0.0/8"));
    await make({ login: BOTH }, await minted("sso", "--role", "owner", "--domain", "ours.example", "--domain", "theirs.example"));
});

test("a hand-off ends with its key, and with the person's account", async () => {
    const name = `key ${asked + 1}`, gone = await minted("sso", "--role", "owner", "--domain", "ours.example");
    const one = new Browser(site.origin), two = new Browser(site.origin), three = new Browser(site.origin);

    await arrive(one, (await make({}, gone)).token);
    await arrive(two, (await make({ login: NEW })).token);
    await arrive(three, (await make()).token);
    await site.must("token", "revoke", name);
    await site.must("account", "set", NEW, "--active", "off");
    assert.equal((await use(one)).status, 404);
    assert.equal((await use(two)).status, 404);
    assert.equal((await use(three)).status, 200);
});

test("staff see and do what helps, half an hour, under both names, and open, export or keep nothing", async () => {
    await http(site.httpSock, { headers: { From: "<w@ext.example>", Rcpt: `<${ANNA}>`, IP: "192.0.2.9", Flags: "milter", "Queue-ID": "Q1" }, body: "From: <w@ext.example>\r\nSubject: cheap wares\r\n\r\nBuy.\r\n" });
    const anna = await signIn(site, ANNA), sam = new Browser(site.origin);
    const [row] = await waitFor("the message", async () => { const { body } = await anna.get("/me/mail"); return body.items.length > 0 && body.items; });
    const path = `/deliveries/${row.uid}/${row.n}`;

    await arrive(sam, (await make({ kind: "staff", staff_name: "Sam of Support" })).token);
    assert.equal((await sam.get("/handoffs/pending")).body.staff_name, "Sam of Support");
    await use(sam);
    const me = await sam.session();
    assert.equal(me.staff, true);
    assert.equal(me.acting_for, "Sam of Support");
    assert.equal(me.account.login, ANNA);
    const mine = (await sam.get("/me/sessions")).body.items.find((s) => s.current);
    const left = (new Date(mine.expires) - new Date(mine.created)) / 60000;
    assert.ok(left > 29 && left <= 30, `${left} minutes`);
    assert.equal((await sam.get(path)).status, 200, "rows");
    for (const what of ["preview", "preview.html", "headers", "raw", "attachments", "attachments/1"]) assert.equal((await sam.get(`${path}/${what}`)).status, 403, what);
    for (const what of ["preview", "preview.html", "headers", "raw"]) assert.equal((await anna.get(`${path}/${what}`)).status, 200, `${what}, Anna herself`);
    for (const path of ["/me/mail.csv", "/me/audit.csv"]) assert.equal((await sam.get(path)).status, 403, "export");
    assert.equal((await sam.del("/me/sessions")).status, 403, "sessions");
    assert.equal((await sam.post("/session/elevate", { password: "x" })).status, 403, "credentials");
    assert.equal((await sam.post(`${path}/report`, { class: "spam" })).status, 200, "actions");
    const log = await site.must("audit", "list");
    assert.match(log, /Sam of Support/);
    assert.match(log, /handoff\.add/);
});

test("the dashboard of the example does it", async (t) => {
    const port = await freePort(), at = `http://127.0.0.1:${port}`;
    const text = (await site.must("token", "add", "example", "sso", "--role", "owner", "--domain", "ours.example", "--from", "127.0.0.0/8")).match(/pst_\S+/)[0];
    const server = await start("dashboard", process.execPath, [`${root}/examples/sso/dashboard.mjs`], { dir: site.dir, env: { ...process.env, PORTAL: site.origin, KEY: text, PORT: String(port), DOMAIN: "ours.example", PEOPLE: ANNA }, ready: async () => (await fetch(at).catch(() => ({}))).ok });
    t.after(() => server.stop());
    const answer = await (await fetch(`${at}/mail`, { method: "POST", body: new URLSearchParams({ login: ANNA, kind: "staff", nonce: "" }) })).text();
    const [, to] = answer.match(/action="([^"]+)"/), [, token] = answer.match(/name="token" value="([^"]+)"/), browser = new Browser(site.origin);

    assert.equal(to, `${site.origin}/api/v1/handoffs/arrive`);
    await arrive(browser, token);
    assert.equal((await use(browser)).status, 200);
    assert.equal((await browser.session()).acting_for, "Sam of Support");
    assert.equal((await fetch(`${at}/mail`, { method: "POST", headers: { "Sec-Fetch-Site": "cross-site" }, body: new URLSearchParams({ login: ANNA }) })).status, 403);
});

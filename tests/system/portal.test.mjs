// The portal's API as people and programs meet it: signing in, whose mail one sees, what one can do about it, and what nobody can.
import assert from "node:assert/strict";
import { readdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { askHttp, Browser, http, keyed, makeSite, signIn, sleep, startPortal, startRulesd, startSmtpSink, waitFor } from "./lib/index.mjs";

const ANNA = "anna@ours.example", BOB = "bob@ours.example", CLEO = "cleo@theirs.example", OWEN = "owen@ours.example", ROOT = "root@elsewhere.example";
const PASSWORD = "correct horse battery";
let site, sink, anna, bob, cleo, owen, root;

const letter = (subject, body = "Hello there.") => `From: Writer <writer@ext.example>\r\nTo: x@ours.example\r\nSubject: ${subject}\r\nMessage-ID: <${subject.replace(/\W/g, "-")}@ext.example>\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n\r\n${body}\r\n`;
async function send(to, subject, body) {
    await http(site.httpSock, { headers: { From: "<writer@ext.example>", Rcpt: `<${to}>`, IP: "192.0.2.9", Helo: "mx.ext.example", Flags: "milter", "Queue-ID": `Q${Math.random().toString(36).slice(2)}` }, body: letter(subject, body) });
}
const list = async (who, q = "", path = "/me/mail") => (await who.get(`${path}?q=${encodeURIComponent(q)}`)).body.items;
const found = (who, q, path) => waitFor(`${q} to be in the log`, async () => { const rows = await list(who, q, path); return rows.length > 0 && rows; });
const mailTo = (address, seen) => waitFor(`mail to ${address}`, () => sink.messages.filter((m) => m.rcpts.includes(address)).slice(seen)[0]);
const linkIn = (mail) => mail.data.replace(/=\r\n/g, "").replace(/=3D/g, "=").match(/(https?:\/\/\S+)\/signin#(\S+)/);

before(async () => {
    sink = await startSmtpSink();
    const own = await makeSite({ smtp: { url: `smtp://127.0.0.1:${sink.port}`, from: "Post <post@ours.example>" }, delivery: { url: `smtp://127.0.0.1:${sink.port}` } });
    await own.must("init");
    for (const d of ["ours.example", "theirs.example"]) await own.must("domain", "add", d, "--at-block", "quarantine");
    for (const a of [ANNA, BOB, CLEO, OWEN]) { await own.must("account", "add", a); await own.must("mailbox", "add", a); }
    await own.must("account", "set", OWEN, "--owner", "ours.example");
    await own.must("account", "add", ROOT, "--admin", "on");
    for (const a of [ANNA, ROOT]) await own.must("account", "set", a, "--password-stdin", { input: `${PASSWORD}\n` });
    await own.must("address", "add", "sales@ours.example", "--kind", "alias", "--to", ANNA);
    await own.must("rule", "add", "--scope", "mailbox:" + ANNA, "--name", "Wares", "block", "--subject", "wares");
    site = await startRulesd({ site: own, init: false });
    await startPortal(site, { settings: { trusted_proxies: "127.0.0.1" } });
    [anna, bob, cleo, owen, root] = [await signIn(site, ANNA), await signIn(site, BOB), await signIn(site, CLEO), await signIn(site, OWEN), await signIn(site, ROOT)];
});
after(async () => { await site?.stopPortal(); await site?.stop(); site?.remove?.(); await sink?.stop(); });

// ---- signing in ----

test("a link is mailed, and one press in the browser that asked signs in, once", async () => {
    const browser = new Browser(site.origin, { headers: { "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0" } });
    const seen = sink.messages.length;
    assert.equal((await browser.post("/signin/link", { address: "Anna@Ours.example", ...await browser.proof() }, { headers: { Host: "evil.example", "X-Forwarded-Host": "evil.example" } })).status, 200);
    const mail = await waitFor("the link", () => sink.messages.slice(seen).find((m) => m.rcpts.includes(ANNA)));
    const [, origin, token] = linkIn(mail);
    assert.equal(origin, site.origin);
    assert.match(mail.data, /Auto-Submitted: auto-generated/);
    assert.match(mail.data, /Firefox on Linux/);
    const rest = readdirSync(site.dir).filter((name) => name.startsWith("postern.db")).map((name) => readFileSync(join(site.dir, name)));
    assert.ok(rest.length > 0 && !rest.some((bytes) => bytes.includes(token.slice(0, 16))), "who reads the database does not read the link, nor what is left of its letter");
    assert.equal((await browser.post("/signin/link/look", { token })).body.same_browser, true);
    assert.equal((await browser.post("/signin/link/use", { token })).status, 200);
    assert.equal((await browser.session()).account.login, ANNA);
    const again = await browser.post("/signin/link/use", { token });
    assert.equal(again.status, 404);
    assert.match(again.body.detail, /used already/);
});

test("the letter is in the language that the person has set, or that the browser asks for", async () => {
    const ask = async (address, ...lines) => {
        const browser = new Browser(site.origin, { headers: { "User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) Version/18.5 Mobile/15E148 Safari/604.1", "Accept-Language": lines[0] } }), seen = sink.messages.length;
        await browser.post("/signin/link", { address, ...await browser.proof() });
        const { data } = await waitFor("the letter", () => sink.messages.slice(seen).find((m) => m.rcpts.includes(address)));
        for (const line of lines.slice(1)) assert.ok(Buffer.from(data.replace(/=\r\n/g, "").replace(/=([0-9A-F]{2})/g, (_, x) => String.fromCharCode(parseInt(x, 16))), "latin1").toString().includes(line), data);
    };
    await ask(BOB, "de-AT,de;q=0.9,en;q=0.5", "Subject: Ihr Anmeldelink", "öffnen Sie diesen Link", "Safari auf einem iPhone, 127.0.0.1");
    await ask(BOB, "en-GB,de;q=0.5", "Subject: Your sign-in link", "Safari on an iPhone");
    await bob.patch("/me", { language: "de" });
    await ask(BOB, "en-GB", "Subject: Ihr Anmeldelink");
    await bob.patch("/me", { language: "" });
});

test("in another browser the link shows a code, which is typed into the first; the other never gets in", async () => {
    const first = new Browser(site.origin), second = new Browser(site.origin), seen = sink.messages.length;
    await first.post("/signin/link", { address: BOB, ...await first.proof() });
    const [, , token] = linkIn(await waitFor("the link", () => sink.messages.slice(seen).find((m) => m.rcpts.includes(BOB))));
    assert.equal((await second.post("/signin/link/look", { token })).body.same_browser, false);
    assert.equal((await second.post("/signin/link/use", { token })).status, 403);
    const { code } = (await second.post("/signin/link/code", { token })).body;
    assert.match(code, /^\d{6}$/);
    assert.equal((await second.post("/signin/code", { code })).status, 404);
    assert.equal((await first.post("/signin/code", { code })).status, 200);
    assert.equal((await first.session()).account.login, BOB);
});

test("five wrong codes burn the request, and the right one is worth nothing then", async () => {
    const first = new Browser(site.origin), second = new Browser(site.origin), seen = sink.messages.length;
    await first.post("/signin/link", { address: CLEO, ...await first.proof() });
    const [, , token] = linkIn(await waitFor("the link", () => sink.messages.slice(seen).find((m) => m.rcpts.includes(CLEO))));
    const { code } = (await second.post("/signin/link/code", { token })).body;
    const wrong = code === "111111" ? "222222" : "111111";
    for (let left = 4; left > 0; left--) assert.match((await first.post("/signin/code", { code: wrong })).body.detail, new RegExp(`${left} more`));
    assert.equal((await first.post("/signin/code", { code: wrong })).status, 404);
    assert.equal((await first.post("/signin/code", { code })).status, 404);
});

test("strangers, aliases and the operator get the same answer as everybody, and no link", async () => {
    const browser = new Browser(site.origin), seen = sink.messages.length, answers = [];
    for (const address of ["nobody@ours.example", "sales@ours.example", "who@elsewhere.example", ROOT, ANNA]) {
        const { status, text } = await browser.post("/signin/link", { address, ...await browser.proof() });
        answers.push(`${status} ${text}`);
    }
    assert.equal(new Set(answers).size, 1, answers.join("\n"));
    await waitFor("the one link", () => sink.messages.length > seen);
    await sleep(700);
    assert.deepEqual(sink.messages.slice(seen).flatMap((m) => m.rcpts), [ANNA]);
});

test("who becomes the operator is it by a password, and by no link that was mailed before", async () => {
    const NINA = "nina@ours.example", ask = async () => {
        const browser = new Browser(site.origin), seen = sink.messages.length;
        await browser.post("/signin/link", { address: NINA, ...await browser.proof(NINA) });
        return [browser, linkIn(await waitFor("the link", () => sink.messages.slice(seen).find((m) => m.rcpts.includes(NINA))))[2]];
    };
    await site.must("account", "add", NINA); await site.must("mailbox", "add", NINA);
    await site.must("account", "set", NINA, "--password-stdin", { input: `${PASSWORD}\n` });
    const [[linked, first], proven] = [await ask(), new Browser(site.origin)];
    assert.equal((await linked.post("/signin/link/use", { token: first })).status, 200);
    await proven.password(NINA, PASSWORD);
    const [late, token] = await ask(), [coded, second] = await ask(), { code } = (await new Browser(site.origin).post("/signin/link/code", { token: second })).body;
    await site.must("account", "set", NINA, "--admin", "on");
    assert.equal((await linked.session()).signed_in, false, "a session of who reads the mailbox");
    assert.equal((await proven.session()).account.admin, true, "one of who knows the password");
    assert.equal((await late.post("/signin/link/use", { token })).status, 404);
    assert.equal((await coded.post("/signin/code", { code })).status, 404);
    assert.equal((await coded.session()).signed_in, false);
    assert.equal((await (await signIn(site, NINA)).session()).account.admin, true, "a link of the command still opens");
    await site.must("account", "delete", NINA, "--yes");
});

test("who signs in where somebody was signed in leaves no session behind", async () => {
    const browser = await signIn(site, BOB), left = new Browser(site.origin);
    left.cookies.set("session", browser.cookies.get("session"));
    assert.equal((await browser.password(ANNA, PASSWORD)).status, 200);
    assert.equal((await browser.session()).account.login, ANNA);
    assert.equal((await left.session()).signed_in, false);
});

test("a challenge is good for one question, and nothing is asked without one", async () => {
    const browser = new Browser(site.origin), proof = await browser.proof();
    assert.equal((await browser.post("/signin/password", { address: ANNA, password: "x".repeat(12), ...proof })).status, 400);
    assert.equal((await browser.post("/signin/password", { address: ANNA, password: PASSWORD, ...proof })).status, 403);
    assert.equal((await browser.post("/signin/password", { address: ANNA, password: PASSWORD, challenge: "made.up.thing", answer: "0" })).status, 403);
    assert.equal((await browser.post("/signin/link", { address: ANNA })).status, 400);
});

test("a password signs in, a wrong one does not, and who tries often has to wait", async () => {
    const browser = new Browser(site.origin);
    assert.equal((await browser.password(ANNA, PASSWORD)).status, 200);
    assert.equal((await browser.session()).account.login, ANNA);
    const stranger = new Browser(site.origin);
    let last;
    for (let i = 0; i < 14 && last?.status !== 429; i++) last = await stranger.password("guessed@ours.example", `wrong password ${i}`);
    assert.equal(last.status, 429);
    assert.ok(Number(last.headers.get("retry-after")) > 0);
    assert.equal((await new Browser(site.origin).password(ANNA, PASSWORD)).status, 200, "others are not locked out");
});

test("many who guess one person's password have to work harder for it, and the person still gets in", async () => {
    const from = (ip) => new Browser(site.origin, { headers: { "X-Forwarded-For": ip } });
    const bits = async () => (await from("203.0.113.7").get(`/signin/challenge?address=${OWEN}`)).body.bits;
    const before = await bits(), easy = await from("203.0.113.7").proof();
    await site.must("account", "set", OWEN, "--password-stdin", { input: `${PASSWORD}\n` });
    for (let i = 0; i < 31; i++) await from(`198.51.${i}.1`).post("/signin/password", { address: OWEN, password: "guessed", challenge: "none", answer: "0" });
    assert.equal(await bits(), before, "what cost nobody any work makes nobody work");
    await Promise.all(Array.from({ length: 31 }, (_, i) => from(`198.51.${i}.1`).password(OWEN, "guessed")));
    assert.ok(await bits() > before);
    assert.equal((await from("203.0.113.7").post("/signin/password", { address: OWEN, password: PASSWORD, ...easy })).status, 403);
    assert.equal((await from("203.0.113.7").password(OWEN, PASSWORD)).status, 200);
});

test("signing in gives a new session each time, and a planted cookie is worth nothing", async () => {
    const browser = new Browser(site.origin);
    browser.cookies.set("session", "A".repeat(43));
    await browser.password(ANNA, PASSWORD);
    assert.notEqual(browser.cookies.get("session"), "A".repeat(43));
});

test("sessions are listed, one is ended from afar, and all others at once", async () => {
    const one = await signIn(site, ANNA), two = await signIn(site, ANNA);
    const rows = (await one.get("/me/sessions")).body.items;
    assert.equal(rows.filter((r) => r.current).length, 1);
    await two.session();
    const other = (await two.get("/me/sessions")).body.items.find((r) => r.current).id;
    assert.equal((await one.del(`/me/sessions/${other}`)).status, 204);
    assert.equal((await two.session()).signed_in, false);
    assert.ok((await one.del("/me/sessions")).body.ended >= 1);
    assert.equal((await one.session()).signed_in, true);
    assert.equal((await anna.session()).signed_in, false, "everywhere else");
    anna = await signIn(site, ANNA);
});

// ---- other sites' pages ----

test("a page of another site changes nothing", async () => {
    for (const headers of [{ Origin: "https://evil.example" }, { "Sec-Fetch-Site": "cross-site" }, { "Sec-Fetch-Site": "same-site" }, { "X-CSRF-Token": null }, { "X-CSRF-Token": "A".repeat(43) }])
        assert.equal((await bob.del("/me/sessions", { headers })).status, 403, JSON.stringify(headers));
    assert.equal((await bob.post("/deliveries/x/1/report", "class=spam", { json: false, headers: { "Content-Type": "application/x-www-form-urlencoded" } })).status, 400);
    assert.equal((await bob.session()).signed_in, true);
});

// ---- whose mail ----

test("a person sees their own mail, an owner the domain's, the operator everything, and nobody else's anything", async () => {
    await send(ANNA, "Only for Anna");
    const [row] = await found(anna, 'subject:"only for anna"');
    const path = `/deliveries/${row.uid}/${row.n}`;

    assert.equal(row.recipient, ANNA);
    for (const who of [anna, owen, root]) assert.equal((await who.get(path)).status, 200);
    for (const who of [bob, cleo]) {
        assert.equal((await who.get(path)).status, 404);
        assert.deepEqual(await list(who, `uid:${row.uid}`), []);
        assert.equal((await who.get(`/scopes/mailbox:${ANNA}/mail`)).status, 404);
        assert.equal((await who.get("/scopes/domain:ours.example/mail")).status, 404);
        assert.equal((await who.get("/scopes/global/mail")).status, 404);
    }
    assert.equal((await list(owen, `uid:${row.uid}`, "/scopes/domain:ours.example/mail")).length, 1);
    assert.equal((await owen.get("/scopes/domain:theirs.example/mail")).status, 404);
    assert.equal((await list(root, `uid:${row.uid}`, "/scopes/global/mail")).length, 1);
    assert.equal((await new Browser(site.origin).get(path)).status, 401);
});

test("the search box's words find what they say, and a wrong one is named", async () => {
    await send(BOB, "Invoice 4711 for Bob");
    await found(bob, "subject:4711");
    for (const q of ["4711", "from:writer@ext.example subject:invoice", 'subject:"invoice 4711"', "to:bob@ours.example", "invoice -subject:watches", "status:received", "after:2026-01-01", "date:today", "date:7d", "DATE:30D", "Re: 4711".replace("Re: ", "")])
        assert.ok((await list(bob, q)).some((r) => r.subject.includes("4711")), q);
    for (const q of ["subject:4712", "-subject:invoice", "from:anna", "status:blocked", "before:2020-01-01", "date:yesterday"])
        assert.ok(!(await list(bob, q)).some((r) => r.subject.includes("4711")), q);
    const { status, body } = await bob.get("/me/mail?q=status:nonsense");
    assert.equal(status, 400);
    assert.equal(body.member, "q");
    assert.match(body.detail, /status: received, queued/);
});

test("pages follow each other without a gap or a double", async () => {
    for (let i = 0; i < 7; i++) await send(CLEO, `Page ${i}`);
    await waitFor("all seven", async () => (await list(cleo, "subject:page")).length === 7);
    const seen = [];
    for (let after = ""; after !== null;) {
        const { body } = await cleo.get(`/me/mail?q=subject:page&limit=3${after ? `&after=${after}` : ""}`);
        seen.push(...body.items.map((r) => r.subject));
        after = body.next;
    }
    assert.deepEqual(seen, [6, 5, 4, 3, 2, 1, 0].map((i) => `Page ${i}`));
    assert.equal((await cleo.get("/me/mail?after=nonsense")).status, 400);
});

// ---- held mail ----

test("held mail is shown, released into the mailbox as it was sent, and twice pressed is once sent", async () => {
    await send(ANNA, "Cheap wares today", "Buy\r\n.\r\nnow");
    const [row] = await found(anna, "status:quarantined subject:wares");
    const path = `/deliveries/${row.uid}/${row.n}`, seen = sink.messages.length;
    const detail = (await anna.get(path)).body;

    assert.equal(detail.rule.name, "Wares");
    assert.equal(detail.held.there, true);
    assert.match((await anna.get(`${path}/preview`)).body.text, /Buy\n\.\nnow/);
    assert.ok((await anna.get(`${path}/headers`)).body.items.some((h) => h.name === "Subject" && h.value === "Cheap wares today"));
    assert.equal((await bob.get(`${path}/preview`)).status, 404);
    assert.equal((await root.get(`${path}/preview`)).status, 403, "the operator has to say why");
    assert.equal((await root.get(`${path}/preview?reason=asked%20by%20Anna`)).status, 200);
    assert.equal((await bob.post(`${path}/release`)).status, 404);
    const released = await anna.post(`${path}/release`);
    assert.equal(released.status, 200, released.text);
    assert.equal(released.body.state, "sent");
    assert.equal((await anna.post(`${path}/release`)).status, 409);
    const mail = sink.messages.slice(seen);
    assert.equal(mail.length, 1);
    assert.ok(mail[0].data.endsWith(letter("Cheap wares today", "Buy\r\n.\r\nnow")), mail[0].data);
    await waitFor("the status", async () => (await anna.get(path)).body.state === "released");
});

test("what goes wrong here is for the log: a person is told no more than that it did", async () => {
    await send(ANNA, "Lost wares");
    const [row] = await found(anna, 'status:quarantined subject:"lost wares"'), keys = join(site.dir, "keys");

    await site.stopPortal();
    renameSync(keys, `${keys}.away`);
    await startPortal(site, { port: site.port });
    const closed = await anna.get(`/deliveries/${row.uid}/${row.n}/preview`);
    renameSync(`${keys}.away`, keys);
    assert.equal(closed.status, 500, closed.text);
    assert.equal(closed.body.detail_said.code, "failed");
    assert.ok(!closed.text.includes(site.dir), closed.text);
    assert.ok(site.portalLog().includes(keys), "the log says which keys");
    assert.equal((await anna.get(`/deliveries/${row.uid}/${row.n}/preview`)).status, 200);
});

test("a report is taken, taken back, and the same again is no second one", async () => {
    await send(BOB, "Report me");
    const [row] = await found(bob, 'subject:"report me"');
    const path = `/deliveries/${row.uid}/${row.n}/report`;
    assert.equal((await bob.post(path, { class: "spam" })).body.added, "new");
    assert.equal((await bob.post(path, { class: "spam" })).body.added, "said");
    assert.equal((await bob.post(path, { class: "ham" })).body.added, "turned");
    assert.equal((await bob.post(path, { class: "nonsense" })).status, 400);
    assert.equal((await anna.post(path, { class: "spam" })).status, 404);
});

// ---- programs ----

test("a key does what its scopes, role and domains say, and a write sent twice is done once", async () => {
    const key = (await site.must("token", "add", "dashboard", "mail:read", "mail:act", "--role", "owner", "--domain", "ours.example")).match(/pst_\S+/)[0];
    const program = keyed(site, key);
    await send(ANNA, "For the program");
    const [row] = await found(program, 'subject:"for the program"', "/scopes/domain:ours.example/mail");
    assert.equal((await program.get("/scopes/domain:theirs.example/mail")).status, 404);
    assert.equal((await program.get("/me/sessions")).status, 403);
    assert.equal((await program.get(`/deliveries/${row.uid}/${row.n}/preview`)).status, 403);
    const path = `/deliveries/${row.uid}/${row.n}/report`, options = { headers: { "Idempotency-Key": "one" } };
    const first = await program.post(path, { class: "spam" }, options), second = await program.post(path, { class: "spam" }, options);
    assert.equal(second.headers.get("idempotency-replayed"), "true");
    assert.deepEqual(second.body, first.body);
    assert.equal(second.body.added, "new");
    assert.equal((await program.post(path, { class: "ham" }, options)).status, 422);
    assert.equal((await keyed(site, `pst_${"A".repeat(43)}`).get("/scopes/domain:ours.example/mail")).status, 401);
});

// ---- hostile input ----

test("what is not what it should be is refused by name, and nothing happens", async () => {
    const post = (body, headers) => bob.post("/session/elevate", body, { json: typeof body !== "string", headers });
    assert.match((await post({})).body.detail, /password: is missing/);
    assert.match((await post({ password: 7 })).body.detail, /password: cannot be a number/);
    assert.match((await post({ password: "x", extra: 1 })).body.detail, /no member "extra"/);
    assert.match((await post(`{"password":"a","password":"b"}`, { "Content-Type": "application/json" })).body.detail, /there twice/);
    assert.equal((await post("[".repeat(100000), { "Content-Type": "application/json" })).status, 400);
    assert.equal((await post(`{"password":"${"x".repeat(3 << 20)}"}`, { "Content-Type": "application/json" })).status, 413);
    assert.equal((await bob.get("/me/mail?limit=9999999")).status, 400);
    assert.equal((await bob.get("/me/mail?nonsense=1")).status, 400);
    assert.equal((await bob.get("/nothing")).status, 404);
    assert.equal((await bob.call("PUT", "/session", { body: {} })).status, 405);
});

test("openapi.json names every call once, with the schemas that it speaks of", async () => {
    const { body } = await anna.get("/openapi.json");
    const ids = Object.values(body.paths).flatMap((p) => Object.values(p).map((o) => o.operationId));
    assert.equal(new Set(ids).size, ids.length);
    const refs = [...JSON.stringify(body).matchAll(/#\/components\/schemas\/(\w+)/g)].map((m) => m[1]);
    for (const name of refs) assert.ok(body.components.schemas[name], `schema ${name}`);
});

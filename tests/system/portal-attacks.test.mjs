// What an enemy tries on the portal: from another page, over the wire, with somebody else's ids, in parallel, and by asking until the
// answers tell something. Each is refused in a word that tells nothing, and others do not notice.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { after, before, test } from "node:test";

import { Browser, http, keyed, makeSite, oneOfMany, parseHttp, pressedAtOnce, rawTcp, signIn, sleep, startPortal, startPostgres, startRulesd, startSmtpSink, waitFor } from "./lib/index.mjs";

const ANNA = "anna@ours.example", BOB = "bob@ours.example", CLEO = "cleo@theirs.example", OWEN = "owen@ours.example";
const PASSWORD = "correct horse battery";
const NOBODYS = "01a00000-0000-7000-8000-000000000000";
const sanitized = /san-/.test(process.env.OUT ?? "");
let site, sink, anna, bob, cleo, owen, networks = 0;

const letter = (subject, body = "Hello there.") => `From: Writer <writer@ext.example>\r\nTo: x@ours.example\r\nSubject: ${subject}\r\nMessage-ID: <${Math.random().toString(36).slice(2)}@ext.example>\r\n\r\n${body}\r\n`;
const send = (to, subject, body, at = site) => http(at.httpSock, { headers: { From: "<writer@ext.example>", Rcpt: `<${to}>`, IP: "192.0.2.9", Helo: "mx.ext.example", Flags: "milter", "Queue-ID": `Q${Math.random().toString(36).slice(2)}` }, body: letter(subject, body) });
const list = async (who, q) => (await who.get(`/me/mail?q=${encodeURIComponent(q)}`)).body.items;
const arrive = async (who, to, subject) => { await send(to, subject); return waitFor(`${subject} in the log`, async () => (await list(who, `subject:"${subject}"`))[0]); };
const at = (row) => `/deliveries/${row.uid}/${row.n}`;
// Somebody from a network of their own, so that one test's tries are not another's.
const stranger = () => new Browser(site.origin, { headers: { "X-Forwarded-For": `10.${++networks >> 8}.${networks & 255}.1` } });
const tokenIn = (mail) => mail.data.replace(/=\r\n/g, "").replace(/=3D/g, "=").match(/\/signin#(\S+)/)[1];
async function askLink(address) {
    const first = stranger(), seen = sink.messages.length;
    assert.equal((await first.post("/signin/link", { address, ...await first.proof() })).status, 200);
    return { first, token: tokenIn(await waitFor("the link", () => sink.messages.slice(seen).find((m) => m.rcpts.includes(address)))) };
}
const cookieOf = (who) => `session=${who.cookies.get("session")}`;
const alive = async () => assert.equal((await anna.session()).signed_in, true);
const raw = (text, more = {}) => rawTcp(site.port, text, { timeoutMs: 5000, partial: true, halfClose: false, ...more });
const head = (lines, method = "GET", path = "/api/v1/session") => `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1:${site.port}\r\n${lines.map((l) => `${l}\r\n`).join("")}\r\n`;
const replies = (bytes) => (bytes.toString("latin1").match(/HTTP\/1\.1 (\d{3})/g) ?? []).map((l) => Number(l.slice(9)));

before(async () => {
    sink = await startSmtpSink();
    const own = await makeSite({ smtp: { url: `smtp://127.0.0.1:${sink.port}`, from: "Post <post@ours.example>" }, delivery: { url: `smtp://127.0.0.1:${sink.port}` } });
    await own.must("init");
    for (const d of ["ours.example", "theirs.example"]) await own.must("domain", "add", d, "--at-block", "quarantine");
    for (const a of [ANNA, BOB, CLEO, OWEN]) { await own.must("account", "add", a); await own.must("mailbox", "add", a); }
    await own.must("account", "set", OWEN, "--owner", "ours.example");
    await own.must("account", "set", ANNA, "--password-stdin", { input: `${PASSWORD}\n` });
    await own.must("rule", "add", "--scope", `mailbox:${ANNA}`, "--name", "Wares", "block", "--subject", "wares");
    site = await startRulesd({ site: own, init: false });
    await startPortal(site, { settings: { trusted_proxies: "127.0.0.1" } });
    [anna, bob, cleo, owen] = [await signIn(site, ANNA), await signIn(site, BOB), await signIn(site, CLEO), await signIn(site, OWEN)];
});
after(async () => {
    assert.equal(await site?.stopPortal(), 0);
    assert.doesNotMatch(site.portalLog(), /Sanitizer|runtime error|panic/);
    await site?.stop(); site?.remove?.(); await sink?.stop();
});

// ---- other sites' pages ----

test("no page of another site can change anything, by a form, by fetch, or by a method in disguise", async () => {
    const { body } = await anna.get("/openapi.json");
    const unsafe = Object.entries(body.paths).flatMap(([path, methods]) => Object.keys(methods).filter((m) => m !== "get").map((method) => ({ method: method.toUpperCase(), path: path.replace(/\{\w+\}/g, NOBODYS) })));
    const sibling = `http://127.0.0.1:${site.port + 1}`;
    const tries = [
        ["Origin null", { Origin: "null" }], ["a sibling port", { Origin: sibling }], ["another scheme", { Origin: site.origin.replace("http:", "https:") }],
        ["same-site", { "Sec-Fetch-Site": "same-site" }], ["cross-site", { "Sec-Fetch-Site": "cross-site" }], ["typed in", { "Sec-Fetch-Site": "none" }],
        ["a longer origin", { Origin: `${site.origin}.evil.example` }],
    ];
    assert.ok(unsafe.length > 10);
    unsafe.splice(0, unsafe.length, ...unsafe.filter((o) => o.path !== "/handoffs/arrive")); // comes from another site by its nature, with a secret that is good once
    await Promise.all(tries.map(async ([name, headers]) => {
        for (const o of unsafe) assert.equal((await anna.call(o.method, o.path, { body: {}, headers })).status, 403, `${name}: ${o.method} ${o.path}`);
    }));
    for (const o of unsafe.filter((x) => !x.path.startsWith("/signin"))) {
        assert.equal((await anna.call(o.method, o.path, { body: {}, headers: { Origin: null, "Sec-Fetch-Site": null, "X-CSRF-Token": null } })).status, 403, `an old browser: ${o.path}`);
        assert.equal((await anna.call(o.method, o.path, { body: {}, headers: { "X-CSRF-Token": bob.csrf } })).status, 403, `the token of another: ${o.path}`);
    }
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp", ""])
        assert.equal((await anna.call("PATCH", "/me", { body: `{"name":"Stolen"}`, json: false, headers: { "Content-Type": type } })).status, 400, type);
    for (const name of ["X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"])
        assert.equal((await anna.get("/me", { headers: { [name]: "DELETE" } })).body.login, ANNA);
    assert.equal((await anna.get("/session?_method=DELETE")).status, 400);
    assert.notEqual((await anna.get("/me")).body.name, "Stolen");
    await alive();
});

test("signing a person in as somebody else from another page does not work either", async () => {
    const token = (await site.must("login-link", BOB)).trim().split("#")[1];
    for (const headers of [{ Origin: "null" }, { Origin: "http://evil.example" }, { "Sec-Fetch-Site": "cross-site" }])
        assert.equal((await stranger().post("/signin/link/use", { token }, { headers })).status, 403);
    assert.equal((await stranger().call("POST", "/signin/link/use", { body: JSON.stringify({ token }), json: false, headers: { "Content-Type": "text/plain", Origin: null, "Sec-Fetch-Site": null } })).status, 400);
});

test("a name that was made to lead here is not ours; localhost, digits and a brand's name are", async () => {
    const ask = async (host) => replies(await raw(head([`Origin: http://${host}`, "Content-Type: application/json", "Content-Length: 2", "Connection: close"], "POST", "/api/v1/signin/code").replace(/Host: .*/, `Host: ${host}`) + "{}"))[0];
    for (const host of [`evil.example:${site.port}`, "evil.example", "127.0.0.1.evil.example", "localhost.evil.example", `127.0.0.1:${site.port}.evil.example`])
        assert.equal(await ask(host), 403, host);
    for (const host of [`127.0.0.1:${site.port}`, "localhost:8080", "[::1]:8080", "192.0.2.7"])
        assert.equal(await ask(host), 400, host);
});

test("nothing here sends a browser to another place", async () => {
    for (const path of ["/", "/signin?next=//evil.example", "/signin?return=https://evil.example", "//evil.example", "/\\evil.example", "/%2f%2fevil.example", "/api/v1/session?redirect=//evil.example"]) {
        const response = await fetch(`${site.origin}${path}`, { redirect: "manual" });
        assert.ok(response.status < 300 || response.status >= 400, `${path}: ${response.status}`);
        assert.equal(response.headers.get("location"), null, path);
    }
});

// ---- cookies ----

test("a session's cookie is made anew at every sign-in and proof, and of two with one name none counts", async () => {
    const planted = await signIn(site, BOB), victim = stranger();
    victim.cookies.set("session", planted.cookies.get("session"));
    await victim.session();
    assert.equal((await victim.password(ANNA, PASSWORD)).status, 200);
    assert.notEqual(victim.cookies.get("session"), planted.cookies.get("session"));
    assert.equal((await planted.session()).signed_in, false, "nor is it left to who planted it");
    await victim.session();
    const before = victim.cookies.get("session");
    assert.equal((await victim.post("/session/elevate", { password: PASSWORD })).status, 204);
    assert.notEqual(victim.cookies.get("session"), before);
    const old = new Browser(site.origin);
    old.cookies.set("session", before);
    assert.equal((await old.session()).signed_in, false, "the cookie from before the proof");
    for (const cookie of [`${cookieOf(bob)}; ${cookieOf(anna)}`, `${cookieOf(anna)};session=`, `session=x; ${cookieOf(anna)}`]) {
        const { body } = parseHttp(await raw(head([`Cookie: ${cookie}`, "Connection: close"])));
        assert.equal(JSON.parse(body).signed_in, false, cookie);
    }
    const two = parseHttp(await raw(head([`Cookie: ${cookieOf(bob)}`, `Cookie: ${cookieOf(anna)}`, "Connection: close"])));
    assert.equal(JSON.parse(two.body).signed_in, false, "two fields");
});

test("the cookie is for no script and no other site, and no page of ours stands in a frame of theirs", async () => {
    const token = (await site.must("login-link", BOB)).trim().split("#")[1];
    const { headers } = await stranger().post("/signin/link/use", { token });
    const line = headers.getSetCookie().find((l) => l.startsWith("session="));
    assert.match(line, /; HttpOnly/); assert.match(line, /; SameSite=Lax/); assert.doesNotMatch(line, /Domain/i);
    const page = await fetch(site.origin);
    assert.match(page.headers.get("content-security-policy"), /frame-ancestors 'none'/);
    assert.equal(page.headers.get("x-content-type-options"), "nosniff");
});

// ---- who one says to be ----

test("behind a proxy nobody chooses their own address, also not by a field of their own before the proxy's", async () => {
    const ipOf = async (lines) => {
        const token = (await site.must("login-link", BOB)).trim().split("#")[1], body = JSON.stringify({ token });
        const { headers } = parseHttp(await raw(head([...lines, `Origin: ${site.origin}`, "Content-Type: application/json", `Content-Length: ${body.length}`, "Connection: close"], "POST", "/api/v1/signin/link/use") + body));
        const one = new Browser(site.origin);
        one.cookies.set("session", /session=([^;]+)/.exec(headers["set-cookie"])[1]);
        return (await one.get("/me/sessions")).body.items.find((r) => r.current).ip;
    };
    assert.equal(await ipOf(["X-Forwarded-For: 192.0.2.66, 203.0.113.5"]), "203.0.113.5");
    assert.equal(await ipOf(["X-Forwarded-For: 192.0.2.66", "X-Forwarded-For: 203.0.113.5"]), "203.0.113.5");
    assert.equal(await ipOf(["X-Forwarded-For: 192.0.2.66", "X-Forwarded-For: 203.0.113.5, 127.0.0.1"]), "203.0.113.5");
});

test("a key for one network is of no use from another, whatever the client says of itself", async () => {
    const key = (await site.must("token", "add", "near", "mail:read", "--role", "owner", "--domain", "ours.example", "--from", "198.51.100.0/24")).match(/pst_\S+/)[0];
    const ask = async (...chain) => replies(await raw(head([`Authorization: Bearer ${key}`, ...chain.map((x) => `X-Forwarded-For: ${x}`), "Connection: close"], "GET", "/api/v1/scopes/domain:ours.example/mail")))[0];
    assert.equal(await ask("198.51.100.7"), 200);
    assert.equal(await ask("203.0.113.5"), 401);
    assert.equal(await ask("198.51.100.7", "203.0.113.5"), 401);
    assert.equal(await ask("198.51.100.7, 203.0.113.5"), 401);
});

// ---- in parallel ----

test("of many who use one link at once, one gets in", async () => {
    for (let round = 0; round < 3; round++) {
        const token = (await site.must("login-link", BOB)).trim().split("#")[1];
        const got = await Promise.all(Array.from({ length: 16 }, () => stranger().post("/signin/link/use", { token })));
        assert.deepEqual(got.map((r) => r.status).filter((s) => s === 200).length, 1, got.map((r) => r.status).join(" "));
    }
});

test("of many who type one code at once, one gets in", async () => {
    const { first, token } = await askLink(BOB), { code } = (await stranger().post("/signin/link/code", { token })).body;
    const got = await Promise.all(Array.from({ length: 5 }, () => first.post("/signin/code", { code })));
    assert.equal(got.filter((r) => r.status === 200).length, 1, got.map((r) => r.status).join(" "));
});

test("wrong codes tried all at once are no more than five tries", async () => {
    const { first, token } = await askLink(CLEO), { code } = (await stranger().post("/signin/link/code", { token })).body;
    const wrong = Array.from({ length: 60 }, (_, i) => String(100000 + i)).filter((c) => c !== code);
    const got = await Promise.all(wrong.map((c) => first.post("/signin/code", { code: c })));
    const looked = got.filter((r) => r.status === 400 || /wrong too often/.test(r.body.detail));
    assert.equal(looked.length, 5, `${looked.length} codes were compared`);
    assert.equal((await first.post("/signin/code", { code })).status, 404);
});

test("the fifth code still counts when it is right", async () => {
    const { first, token } = await askLink(OWEN), { code } = (await stranger().post("/signin/link/code", { token })).body;
    for (let i = 0; i < 4; i++) assert.equal((await first.post("/signin/code", { code: code === "111111" ? "222222" : "111111" })).status, 400);
    assert.equal((await first.post("/signin/code", { code })).status, 200);
});

test("a solved challenge that is handed in many times at once is worth one question", async () => {
    const one = stranger(), proof = await one.proof();
    const got = await Promise.all(Array.from({ length: 12 }, () => one.post("/signin/link", { address: "nobody@ours.example", ...proof })));
    assert.equal(got.filter((r) => r.status === 200).length, 1, got.map((r) => r.status).join(" "));
});

test("release pressed many times at once, in several windows, is one letter", async () => {
    const row = await arrive(anna, ANNA, "racing wares"), seen = sink.messages.length;
    const got = await Promise.all(Array.from({ length: 12 }, (_, i) => (i % 2 ? anna : owen).post(`${at(row)}/release`)));
    assert.ok(got.some((r) => r.status === 200));
    for (const r of got) assert.ok([200, 409, 503].includes(r.status), `${r.status} ${r.text}`);
    await sleep(300);
    assert.equal(sink.messages.slice(seen).filter((m) => /racing wares/.test(m.data)).length, 1);
});

// ---- asking twice ----

test("the Idempotency-Key of one is nothing to another, and names one request", async () => {
    const options = { headers: { "Idempotency-Key": "shared" } };
    const one = await anna.patch("/me", { name: "Anna Secret" }, options);
    assert.equal(one.status, 200);
    const other = await bob.patch("/me", { name: "Bob" }, options);
    assert.equal(other.body.login, BOB);
    assert.equal(other.headers.get("idempotency-replayed"), null);
    const again = await signIn(site, ANNA);
    assert.equal((await again.patch("/me", { name: "Anna Secret" }, options)).headers.get("idempotency-replayed"), "true", "of one person in two windows it is one");
    assert.equal((await again.patch("/me", { name: "Else" }, options)).status, 422);
    for (const key of ["x".repeat(5000), "\u00e4\u00ff"]) assert.ok((await bob.patch("/me", { name: "Bob" }, { headers: { "Idempotency-Key": key } })).status < 500);
    const racing = await Promise.all(Array.from({ length: 8 }, () => bob.patch("/me", { name: "Once" }, { headers: { "Idempotency-Key": "race" } })));
    for (const r of racing) assert.ok(r.status === 200 || r.status === 503, `${r.status}`);
    assert.equal(racing.filter((r) => r.status === 200 && r.headers.get("idempotency-replayed") === null).length, 1);
});

// ---- what answers tell ----

test("what is another's and what does not exist are told apart by no status and no word", async () => {
    const row = await arrive(anna, ANNA, "enumerated"), mine = (await anna.get("/me/sessions")).body.items[0].id;
    const rule = JSON.parse((await site.must("rule", "export", "--scope", `mailbox:${ANNA}`)).split("\n")[0]);
    const pairs = [
        ["GET", `/deliveries/${row.uid}/1`, `/deliveries/${NOBODYS}/1`], ["GET", `/deliveries/${row.uid}/1/preview`, `/deliveries/${NOBODYS}/1/preview`],
        ["POST", `/deliveries/${row.uid}/1/release`, `/deliveries/${NOBODYS}/1/release`],
        ["GET", `/scopes/mailbox:${ANNA}/mail`, "/scopes/mailbox:nobody@ours.example/mail"], ["GET", "/scopes/domain:ours.example/mail", "/scopes/domain:nowhere.example/mail"],
        ["GET", "/domains/ours.example/requests", "/domains/nowhere.example/requests"],
        ["DELETE", `/me/sessions/${mine}`, `/me/sessions/${NOBODYS}`], ["GET", `/rules/${rule.id}`, `/rules/${NOBODYS}`], ["DELETE", `/rules/${rule.id}`, `/rules/${NOBODYS}`],
    ];
    for (const [method, real, made] of pairs) {
        const [a, b] = [await cleo.call(method, real, { body: method === "POST" ? {} : undefined }), await cleo.call(method, made, { body: method === "POST" ? {} : undefined })];
        assert.equal(a.status, 404, `${method} ${real}`);
        assert.equal(a.text, b.text, `${method} ${real}`);
    }
    await alive();
});

test("signing in tells nothing of who is known: not in words, and not by the work it makes", async () => {
    const tasks = () => Object.fromEntries(readdirSync(`/proc/${site.portalPid}/task`).map((t) => [t, Number(readFileSync(`/proc/${site.portalPid}/task/${t}/schedstat`, "utf8").split(" ")[0])]));
    const idle = tasks();
    await Promise.all(Array.from({ length: 100 }, () => anna.get("/session")));
    const busy = tasks(), servers = Object.keys(busy).filter((t) => busy[t] - (idle[t] ?? 0) > 300_000); // not the thread that hands letters on
    const spent = (from, to) => servers.reduce((sum, t) => sum + to[t] - from[t], 0) / 1e6;
    const ways = {
        link: (who, address, proof) => who.post("/signin/link", { address, ...proof }),
        password: (who, address, proof) => who.post("/signin/password", { address, password: "guessed wrongly", ...proof }),
    };
    for (const [name, way] of Object.entries(ways)) {
        const costs = { known: [], unknown: [] }, said = new Set();
        for (let i = 0; i < 8; i++) {
            for (const kind of i % 2 ? ["known", "unknown"] : ["unknown", "known"]) {
                const who = stranger(), address = kind === "known" ? [ANNA, BOB, CLEO, OWEN][i % 4] : `no${"xyzw"[i % 4]}@ours.example`, proof = await who.proof(address), from = tasks();
                const { status, text } = await way(who, address, proof);
                costs[kind].push(spent(from, tasks()));
                said.add(`${status} ${text}`);
            }
        }
        const middle = (xs) => [...xs].sort((a, b) => a - b)[xs.length >> 1];
        const [known, unknown] = [middle(costs.known), middle(costs.unknown)];
        assert.equal(said.size, 1, [...said].join("\n"));
        assert.ok(Math.abs(known - unknown) < 0.4 * Math.max(known, unknown) + 0.3, `${name}: ${known.toFixed(2)} ms for who is known, ${unknown.toFixed(2)} ms for who is not`);
    }
    const look = await Promise.all(["A".repeat(43), "x".repeat(20)].map((token) => stranger().post("/signin/link/look", { token })));
    assert.equal(look[0].text, look[1].text);
});

test("a cursor that was made up, or is from another list, shows nothing of others", async () => {
    const row = await arrive(anna, ANNA, "behind a cursor");
    for (let i = 0; i < 3; i++) await send(ANNA, `cursor ${i}`);
    await waitFor("three more", async () => (await list(anna, "subject:cursor")).length >= 4);
    const { next } = (await anna.get("/me/mail?limit=1")).body;
    const { body } = await cleo.get(`/me/mail?after=${next}`);
    assert.ok(!body.items.some((r) => r.recipient === ANNA));
    for (const after of ["x", "A".repeat(100), "AAAA", Buffer.from(row.uid).toString("base64url"), Buffer.alloc(24, 255).toString("base64url"), "%00", "%ff"])
        for (const path of ["/me/mail", "/me/audit", "/scopes/mailbox:anna@ours.example/audit"])
            assert.ok([200, 400].includes((await anna.get(`${path}?after=${after}`)).status), `${path} ${after}`);
    for (const n of ["0", "-1", "9223372036854775808", "1e3", "01a", " 1", "%2B1", "2"]) assert.equal((await anna.get(`/deliveries/${row.uid}/${n}`)).status, 404, n);
    for (const uid of ["../me", "%2e%2e", "*", "'", "%25", row.uid.slice(0, -1), `${row.uid}0`, `{${row.uid}}`]) assert.ok([400, 404].includes((await anna.get(`/deliveries/${uid}/1`)).status), uid);
});

// ---- rights that end ----

test("who loses a role, a mailbox or the account has lost it at the next request", async () => {
    const DORA = "dora@ours.example", EMIL = "emil@ours.example";
    for (const a of [DORA, EMIL]) { await site.must("account", "add", a); await site.must("mailbox", "add", a); }
    await site.must("account", "set", DORA, "--owner", "ours.example");
    const dora = await signIn(site, DORA), emil = await signIn(site, EMIL), row = await arrive(emil, EMIL, "changing hands");
    assert.equal((await dora.get(at(row))).status, 200);
    await site.must("account", "set", DORA, "--no-role", "ours.example");
    assert.equal((await dora.get(at(row))).status, 404);
    assert.equal((await dora.get("/scopes/domain:ours.example/mail")).status, 404);
    assert.deepEqual((await dora.session()).domains, []);
    const seen = await emil.patch("/me", { name: "Emil" }, { headers: { "Idempotency-Key": "kept" } });
    assert.equal(seen.status, 200);
    await site.must("mailbox", "set", EMIL, "--account", DORA);
    assert.equal((await emil.get(at(row))).status, 404, "the mailbox is another's now");
    assert.deepEqual(await list(emil, ""), []);
    assert.equal((await dora.get(at(row))).status, 200);
    await site.must("account", "set", EMIL, "--active", "off");
    assert.equal((await emil.session()).signed_in, false);
    assert.equal((await emil.patch("/me", { name: "Emil" }, { headers: { "Idempotency-Key": "kept" } })).status, 401, "nor what was answered before");
    const link = stranger();
    assert.equal((await link.post("/signin/link", { address: EMIL, ...await link.proof() })).status, 200);
    await site.must("account", "delete", DORA, "--yes");
    assert.equal((await dora.session()).signed_in, false);
    assert.equal((await dora.get(at(row))).status, 401);
});

test("a link that was mailed before the account was disabled lets nobody in", async () => {
    const FINN = "finn@ours.example";
    await site.must("account", "add", FINN); await site.must("mailbox", "add", FINN);
    const { first, token } = await askLink(FINN);
    await site.must("account", "set", FINN, "--active", "off");
    assert.equal((await first.post("/signin/link/use", { token })).status, 404);
    assert.equal((await first.session()).signed_in, false);
});

// ---- text that goes into headers ----

test("line ends in an address, a name or a rule make no header, in our mail, our replies or a filtered message", async () => {
    const seen = sink.messages.length;
    for (const address of ["anna@ours.example\r\nBcc: evil@evil.example", "anna@ours.example\nBcc: evil@evil.example", "\"a\nBcc: x\"@ours.example", "anna@ours.example\u2028Bcc: x", "anna@ours.example, evil@evil.example", "<anna@ours.example> SIZE=1"]) {
        const one = stranger();
        const { status } = await one.post("/signin/link", { address, ...await one.proof() });
        assert.ok(status === 200 || status === 400, `${JSON.stringify(address)}: ${status}`);
    }
    await sleep(500);
    for (const mail of sink.messages.slice(seen)) { assert.deepEqual(mail.rcpts, [ANNA]); assert.doesNotMatch(mail.data, /^Bcc/mi); }
    for (const name of ["A\r\nB: c", "A\u0000B", "A\u007fB"]) assert.equal((await bob.patch("/me", { name })).status, 400, JSON.stringify(name));
    const { code } = await site.postern(["rule", "add", "--scope", `mailbox:${BOB}`, "--name", "x\r\nX-Evil: yes", "block", "--subject", "evil name"]);
    if (code === 0) assert.doesNotMatch((await send(BOB, "evil name")).text, /^X-Evil/m);
    const agent = await raw(head([`User-Agent: Firefox/1\tLinux`, "X: a\rb", "Connection: close"]));
    assert.equal(replies(agent).length, 1);
});

// ---- paths ----

test("no path leads out of the pages' folder or to another call", async () => {
    for (const path of ["/../etc/passwd", "/..%2fetc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/%252e%252e/etc/passwd", "/..\\..\\etc\\passwd", "/%5c..%5c..%5cetc", "/app.js%00.css", "/.//app.js", "/pages/../../main.c", "//etc/passwd", "/%c0%ae%c0%ae/etc/passwd", "/static/%2e%2e%2fmain.c", "/.git/config", "/package.json", "/node_modules/../package.json"]) {
        const got = await raw(head(["Connection: close"], "GET", path));
        assert.doesNotMatch(got.toString("latin1"), /root:|#include|\[core\]|"dependencies"/, path);
    }
    for (const path of ["/api/v1/../v1/session", "/api/v1/%73ession%2f", "/api/v1/deliveries/..%2f..%2fsession/1", "/api//v1/session", "/api/v1/./session", "/api/v1/session%00"])
        assert.ok([400, 404].includes(replies(await raw(head(["Connection: close"], "GET", path)))[0]), path);
    assert.equal(replies(await raw(head([`Cookie: ${cookieOf(anna)}`, "Connection: close"], "GET", "/api/v1/%73ession")))[0], 200, "percent-encoding alone is no other name");
});

// ---- bodies and queries ----

test("JSON of any shape is answered with a sentence in clean UTF-8", async () => {
    const bodies = ["", "null", "[]", "1", "\"x\"", "{", "{\"name\"", "{\"name\":", `{"name":"${"x".repeat(300_000)}"}`, `{"a":${"[".repeat(200_000)}`, `${"{\"a\":".repeat(100_000)}`, `{"${"ä".repeat(40)}":1}`, `{"x${"ä".repeat(40)}":1}`,
        "{\"name\":1e999999}", "{\"name\":-0}", "{\"name\":123456789012345678901234567890}", "{\"name\":\"a\",\"name\":\"b\"}", "{\"na\\u006de\":\"a\",\"name\":\"b\"}", "{\"name\":\"\\ud800\"}", "{\"name\":\"\\udc00\\ud800\"}", "{\"name\":\"\\u0000\"}", "{\"name\":\"a\"}{}", "{\"name\":\"a\"} x", "\ufeff{}", "{\"__proto__\":{\"admin\":true}}", "{\"name\":'a'}", "{name:1}", "{\"name\":\"a\",}", "{\"name\":NaN}"];
    for (const body of bodies) {
        const r = await bob.patch("/me", body === "" ? undefined : body, { headers: { "Content-Type": "application/json" } });
        assert.ok(r.status === 400 || r.status === 200 && ["", "{}"].includes(body), `${body.slice(0, 40)}: ${r.status} ${r.text}`);
        new TextDecoder("utf-8", { fatal: true }).decode(r.bytes);
    }
    for (const bytes of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xe2, 0x82]]) {
        for (const body of [Buffer.concat([Buffer.from("{\"name\":\""), Buffer.from(bytes), Buffer.from("\"}")]), Buffer.concat([Buffer.from("{\""), Buffer.from(bytes), Buffer.from("\":1}")])]) {
            const r = await bob.call("PATCH", "/me", { body, json: false, headers: { "Content-Type": "application/json" } });
            assert.equal(r.status, 400);
            new TextDecoder("utf-8", { fatal: true }).decode(r.bytes);
        }
    }
    assert.equal((await bob.get("/me")).body.admin, undefined);
    await alive();
});

test("queries of any length, number and spelling are answered, soon and in clean UTF-8", async () => {
    const auth = [`Cookie: ${cookieOf(anna)}`, "Connection: close"];
    assert.ok([414, 431].includes(replies(await raw(head(auth, "GET", `/api/v1/me/mail?q=${"x".repeat(1 << 20)}`)))[0]));
    await Promise.all(["q=1&".repeat(10_000), "q=1&".repeat(1_900), "&".repeat(7_000)].map(async (query) => {
        const [status = 0] = replies(await raw(head(auth, "GET", `/api/v1/me/mail?${query}`), { timeoutMs: 2500 }).catch(() => Buffer.alloc(0)));
        assert.ok([0, 200, 400, 408, 414, 431].includes(status), `${query.length} bytes of many parameters are refused, or cut in ten seconds: ${status}`);
    }));
    for (const q of ["q=%", "q=%4", "q=%zz", "q=%00", "q=%ff", "q=%ed%a0%80", "q=a&q=b", "%71=x", "=x", "q", "limit=1e2", "limit=0x10", "limit=-1", "limit=99999999999999999999", "limit=", `${"%C3%A4".repeat(30)}=1`, "x=".repeat(40)]) {
        const got = parseHttp(await raw(head(auth, "GET", `/api/v1/me/mail?${q}`)));
        assert.ok([200, 400].includes(got.status), `${q}: ${got.status}`);
        new TextDecoder("utf-8", { fatal: true }).decode(got.body);
    }
    const odd = Buffer.concat([Buffer.from(`GET /api/v1/me/mail?`), Buffer.from([0xff, 0xc3, 0x28]), Buffer.from(`=1 HTTP/1.1\r\nHost: x\r\nCookie: ${cookieOf(anna)}\r\nConnection: close\r\n\r\n`)]);
    new TextDecoder("utf-8", { fatal: true }).decode(parseHttp(await raw(odd)).body);
});

const QUERIES = ["%", "_", "an%a", "a_na", "\"", "\"\"\"", "'", "' OR 1=1 --", "(", ")", "((a)", "a AND", "OR", "NOT a", "NEAR(a b)", "a NEAR/2 b", "subject : a", "{subject sender} : a", "-subject : a", "^a", "a*", "*", "a OR recipient:b", "a & b", "a | b", "!a", "a <-> b", "a:*", "a:AB", "'a' & 'b", "\\", "\\'", "a\tb", "a\nb", ":", "::", "from:", "subject:\"", "subject:(a OR b)", "subject:\"a\" OR \"b\"", "-", "--", "- a", "ä", "\u202ea", "👩‍👩‍👧", "x".repeat(900), "a ".repeat(200), "\"a b\" ".repeat(20)];
async function searchEverything(who, other) {
    await Promise.all(["", "subject:", "from:", "to:", "message_id:", "inbound:", "outbound:", "delivery:", "-subject:"].map(async (field) => {
        for (const q of QUERIES) {
            const { status, body, text } = await who.get(`/me/mail?q=${encodeURIComponent(field + q)}`);
            assert.ok(status === 200 || (status === 400 && body.detail.length > 5), `${field}${q}: ${status} ${text}`);
            if (status === 200) assert.ok(body.items.every((r) => r.recipient === ANNA), `${field}${q} shows another's`);
        }
    }));
    for (const q of ["subject:%", "subject:_", "subject:'", "from:%", "from:*", "subject:zz*"]) {
        const rows = (await who.get(`/me/mail?q=${encodeURIComponent(q)}`)).body.items ?? [];
        const all = (await who.get("/me/mail")).body.items;
        assert.ok(rows.length === 0 || rows.length === all.length, `${q} is no pattern`);
    }
    assert.equal((await other.get("/me/mail")).body.items.length > 0, true);
}

test("the search box takes no wildcard, operator or quote for its own, on SQLite", async () => {
    await arrive(anna, ANNA, "searched one"); await arrive(bob, BOB, "searched one");
    await searchEverything(anna, bob);
});

test("nor on PostgreSQL", async (t) => {
    if (sanitized) return t.skip("the sanitizers look at the portal; the queries are the same");
    const pg = await startPostgres(), own = await makeSite({ store: { url: pg.url } });
    try {
        await own.must("init");
        await own.must("domain", "add", "ours.example");
        for (const a of [ANNA, BOB]) { await own.must("account", "add", a); await own.must("mailbox", "add", a); }
        await startRulesd({ site: own, init: false });
        await startPortal(own);
        const [one, two] = [await signIn(own, ANNA), await signIn(own, BOB)];
        for (const [who, address] of [[one, ANNA], [two, BOB]]) { await send(address, "searched one", "x", own); await waitFor("the row", async () => (await list(who, "")).length > 0); }
        await searchEverything(one, two);
        const rules = `/scopes/mailbox:${ANNA}/rules`, mine = (name) => ({ rule: { name, action: "block", conditions: [{ kind: "subject", any: ["x"] }] } });
        await oneOfMany([one], `/rules/${(await one.post(rules, mine("Mine"))).body.id}`, mine, (body) => body.rule.name);
        await pressedAtOnce(one, (await list(one, ""))[0], rules, ["writer@ext.example", "*@ext.example", "ext.example"]);
        const first = new Browser(own.origin);
        assert.equal((await first.post("/signin/link", { address: ANNA, ...await first.proof() })).status, 200);
        const got = await Promise.all(Array.from({ length: 40 }, (_, i) => first.post("/signin/code", { code: String(100000 + i) })));
        assert.equal(got.filter((r) => r.status === 400 || /wrong too often/.test(r.body.detail)).length, 5, "five codes were compared, however many came at once");
    } finally { await own.stopPortal?.(); await own.stop?.(); own.remove(); await pg.stop(); }
});

// ---- the wire ----

test("what two servers could read differently is refused, and nothing behind it is answered", async () => {
    const inner = "GET /api/v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n", h = `Host: x\r\n`;
    const shapes = {
        "length and chunks": `POST /api/v1/signin/code HTTP/1.1\r\n${h}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${inner}`,
        "chunks and length": `POST /api/v1/signin/code HTTP/1.1\r\n${h}Transfer-Encoding: chunked\r\nContent-Length: ${inner.length + 5}\r\n\r\n0\r\n\r\n${inner}`,
        "two lengths": `POST /api/v1/signin/code HTTP/1.1\r\n${h}Content-Length: 0\r\nContent-Length: ${inner.length}\r\n\r\n${inner}`,
        "a list of lengths": `POST /api/v1/signin/code HTTP/1.1\r\n${h}Content-Length: 0, 0\r\n\r\n${inner}`,
        "chunks twice": `POST /api/v1/signin/code HTTP/1.1\r\n${h}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n${inner}`,
        "unknown coding": `POST /api/v1/signin/code HTTP/1.1\r\n${h}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${inner}`,
        "a space before the colon": `POST /api/v1/signin/code HTTP/1.1\r\n${h}Content-Length : ${inner.length}\r\n\r\n${inner}`,
        "a sign": `POST /api/v1/signin/code HTTP/1.1\r\n${h}Content-Length: +0\r\n\r\n${inner}`,
        "negative": `POST /api/v1/signin/code HTTP/1.1\r\n${h}Content-Length: -1\r\n\r\n${inner}`,
        "two hosts": `GET /api/v1/session HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: 1\r\n\r\n${inner}`,
        "a bad chunk": `POST /api/v1/signin/code HTTP/1.1\r\n${h}Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n${inner}`,
        "a huge chunk": `POST /api/v1/signin/code HTTP/1.1\r\n${h}Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n\r\n${inner}`,
    };
    await Promise.all(Object.entries(shapes).map(async ([name, bytes]) => {
        const got = await raw(bytes, { timeoutMs: 2500 });
        const status = replies(got);
        assert.ok(status.every((s) => s >= 400), `${name}: ${status}`);
        assert.doesNotMatch(got.toString("latin1"), /"openapi"/, name);
    }));
    const ext = await raw(`POST /api/v1/signin/code HTTP/1.1\r\n${h}Origin: ${site.origin}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2;x="\r\n{}\r\n0\r\n\r\n`);
    assert.ok(replies(ext).length === 1 && replies(ext)[0] >= 400);
});

test("requests one behind the other on one connection are each their own sender's", async () => {
    const one = (who, last) => head([...(who ? [`Cookie: ${cookieOf(who)}`] : []), "Accept-Encoding: identity", ...(last ? ["Connection: close"] : [])]);
    const got = (await raw(one(anna) + one(bob) + one(null) + one(cleo) + one(null, true))).toString();
    assert.deepEqual([...got.matchAll(/"signed_in":\s*(true|false)(?:[\s\S]*?"login":\s*"([^"]+)")?(?=[\s\S]*?(?:HTTP\/1|$))/g)].length > 0, true);
    const bodies = got.split(/HTTP\/1\.1 200/).slice(1).map((part) => /"login":\s*"([^"]+)"/.exec(part)?.[1] ?? null);
    assert.deepEqual(bodies, [ANNA, BOB, null, CLEO, null]);
});

const opened = (n, each) => Promise.all(Array.from({ length: n }, (_, i) => new Promise((done) => {
    const socket = connect(site.port, "127.0.0.1", () => { each(socket, i); done(socket); });
    socket.on("error", () => done(socket));
})));

test("500 who send a byte now and then do not keep others waiting", async () => {
    const slow = await opened(500, (s, i) => s.write(i % 2 ? "GET /api/v1/session HT" : `POST /api/v1/signin/code HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{`));
    const drip = setInterval(() => { for (const s of slow) if (!s.destroyed) s.write("T"); }, 500);
    try {
        const times = [];
        for (let i = 0; i < 20; i++) { const from = Date.now(); await alive(); times.push(Date.now() - from); }
        assert.ok(times.sort((a, b) => a - b)[10] < (sanitized ? 5000 : 1000), times.join(" "));
    } finally { clearInterval(drip); for (const s of slow) s.destroy(); }
    await alive();
});

test("10,000 idle connections do not keep others waiting, and cost little", async (t) => {
    const limit = async (pid) => Number(/Max open files\s+(\d+)/.exec(readFileSync(`/proc/${pid}/limits`, "utf8"))[1]);
    const least = Math.min(await limit("self"), await limit(site.portalPid));
    if (least < 10_500) return t.skip(`the limit of open files here is ${least}`);
    if (sanitized) return t.skip("sanitizers make each connection dear");
    const memory = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${site.portalPid}/status`, "utf8"))[1]) / 1024, from = memory();
    const idle = [];
    try {
        for (let i = 0; i < 20; i++) idle.push(...await opened(500, () => {}));
        assert.ok(idle.filter((s) => !s.destroyed).length > 9900);
        for (let i = 0; i < 5; i++) await alive();
        assert.ok(memory() - from < 400, `${(memory() - from).toFixed(0)} MiB for 10,000 connections`);
    } finally { for (const s of idle) s.destroy(); }
    await alive();
});

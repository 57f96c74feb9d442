// Digests that people ask for: whose, when, of what; paused, sent now, sent again; and what a domain gives those who come to it.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { Browser, http, keyed, makeSite, program, run, signIn, startPortal, startRulesd, startSmtpSink, waitFor } from "./lib/index.mjs";

const ANNA = "anna@ours.example", BOB = "bob@ours.example", OWEN = "owen@ours.example", CLARA = "clara@ours.example", OLGA = "olga@theirs.example", ROOT = "root@elsewhere.example";
const DAY = 86400_000, TITLE = "cheap wares <script>alert(1)</script> three";
const who = {};
let site, letters, sso, refuses = false, asked = 0;

before(async () => {
    letters = await startSmtpSink({ answer: (verb) => (verb === "RCPT" && refuses ? "550 5.1.1 <i>no</i> such user here" : null) });
    const own = await makeSite({ smtp: { url: `smtp://127.0.0.1:${letters.port}`, from: "Postern <postern@ours.example>" }, digest: { per_second: 1000 } });
    await own.must("init");
    for (const d of ["ours.example", "theirs.example"]) await own.must("domain", "add", d, "--at-block", "quarantine");
    for (const a of [ANNA, BOB, OWEN, CLARA, OLGA]) {
        await own.must("account", "add", a);
        await own.must("mailbox", "add", a);
    }
    await own.must("account", "set", OWEN, "--owner", "ours.example");
    await own.must("account", "set", CLARA, "--clerk", "ours.example");
    await own.must("account", "set", OLGA, "--owner", "theirs.example");
    await own.must("account", "add", ROOT, "--admin", "on");
    for (const d of ["ours.example", "theirs.example"]) await own.must("rule", "add", "--scope", `domain:${d}`, "--name", "Wares", "block", "--subject", "wares");
    const key = async (name, ...scopes) => keyed(own, (await own.must("token", "add", name, ...scopes)).match(/pst_\S+/)[0]);
    who.key = await key("panel", "domain:read", "domain:write", "operate", "--role", "admin");
    sso = await key("sso", "sso", "--role", "owner", "--domain", "ours.example", "--from", "127.0.0.0/8");
    site = await startRulesd({ site: own, init: false });
    await startPortal(site);
    who.key.origin = sso.origin = site.origin;
    for (const [name, a] of Object.entries({ anna: ANNA, bob: BOB, owen: OWEN, clara: CLARA, olga: OLGA, root: ROOT })) who[name] = await signIn(site, a);
    for (const [name, a, subject] of [["anna", ANNA, "cheap wares one"], ["bob", BOB, "cheap wares two"], ["owen", OWEN, TITLE]]) await arrive(who[name], a, subject); // old enough to be listed when it is needed
});
after(async () => { await site?.stopPortal(); await site?.stop(); site?.remove?.(); await letters?.stop(); });
afterEach(async () => { for (const b of Object.values(who)) for (const d of b === who.key ? [] : await mine(b)) await b.del(`/me/digests/${d.id}`); });

// Staff who came for somebody, from the operator's dashboard.
async function staff(login) {
    const browser = new Browser(site.origin), made = await sso.post("/handoffs", { login, domain: "ours.example", kind: "staff", staff_name: "Sam of Support" });

    assert.equal(made.status, 200, made.text);
    await browser.call("POST", "/handoffs/arrive", { body: `token=${made.body.token}`, json: false, headers: { "Content-Type": "application/x-www-form-urlencoded", Origin: "https://dashboard.example", "Sec-Fetch-Site": "cross-site", "X-CSRF-Token": null } });
    await browser.post("/handoffs/use", { confirm: true });
    assert.equal((await browser.session()).staff, true);
    return browser;
}
const refused = (r, status, pattern) => { assert.equal(r.status, status, r.text); assert.match(r.body.detail, /^[A-Z][^]*\.$/); if (pattern) assert.match(r.body.detail, pattern); return r.body; };
const choice = (more = {}) => ({ minute: 420, zone: "Europe/Berlin", ...more });
const ask = (b, body) => b.post("/me/digests", body);
async function subscribe(b, kind, of, more = {}) {
    const r = await ask(b, { kind, of, ...choice(more) });

    assert.equal(r.status, 201, r.text);
    return r.body;
}
const mine = async (b) => (await b.get("/me/digests")).body.items;
const one = async (b, id) => (await b.get(`/me/digests/${id}`)).body;
const letter = (subject) => `From: Wally <wally@ext.example>\r\nTo: x@ours.example\r\nSubject: ${subject}\r\nMessage-ID: <${++asked}@ext.example>\r\n\r\nHello.\r\n`;
async function arrive(b, to, subject) {
    await http(site.httpSock, { headers: { From: "<wally@ext.example>", Rcpt: `<${to}>`, IP: "192.0.2.9", Flags: "milter", "Queue-ID": `Q${asked}` }, body: letter(subject) });
    return waitFor(subject, async () => (await b.get("/me/mail")).body.items.some((r) => r.subject === subject));
}
// A message has to be some seconds old before a digest lists it.
const listed = (b, id, subject) => waitFor(`${subject} in the preview`, async () => { const r = await b.get(`/me/digests/${id}/preview.html`); return r.text.includes(subject) && r; }, { everyMs: 500 });
const round = async () => { const { code, stderr } = await run(program("postern-digest"), ["-c", site.conf, "--once", "--now", new Date(Date.now() + 6000).toISOString().replace(/\.\d+Z/, "Z")]); assert.equal(code, 0, stderr); };
// What the clocks show there.
const local = (iso, zone) => new Intl.DateTimeFormat("en-GB", { timeZone: zone, weekday: "long", hour: "2-digit", minute: "2-digit" }).format(new Date(iso));

// ---- asking for one ----

test("a person asks for a digest of their mailbox, at an hour of theirs, and sees when the next one is", async () => {
    const d = await subscribe(who.bob, "mailbox", "Bob@Ours.Example", { minute: 435, days: ["monday"], zone: "Asia/Kathmandu", language: "de", tells: ["quarantined", "spam"], quiet: true });

    assert.deepEqual([d.kind, d.of, d.address, d.minute, d.hourly, d.days, d.zone, d.language, d.tells, d.quiet, d.stands, d.paused], ["mailbox", BOB, BOB, 435, false, ["monday"], "Asia/Kathmandu", "de", ["quarantined", "spam"], true, true, false]);
    assert.equal(local(d.next, "Asia/Kathmandu").replace(",", ""), "Monday 07:15");
    assert.ok(new Date(d.next) > Date.now() && new Date(d.next) - Date.now() <= 7 * DAY);
    assert.deepEqual((await mine(who.bob)).map((x) => x.id), [d.id]);
    const plain = await subscribe(who.bob, "mailbox", BOB);
    assert.deepEqual([plain.days.length, plain.tells, plain.language, plain.quiet], [7, ["quarantined"], "en", false]);
    for (const x of [d, plain]) assert.equal((await who.bob.del(`/me/digests/${x.id}`)).status, 204);
    assert.deepEqual(await mine(who.bob), []);
});

test("before it is asked for, the server says when the first one would be", async () => {
    const time = async (q) => who.anna.get(`/me/digest-time?${q}`);

    assert.equal(local((await time("minute=630&zone=Australia/Lord_Howe&days=friday")).body.next, "Australia/Lord_Howe").replace(",", ""), "Friday 10:30");
    assert.equal(new Date((await time("minute=15&zone=UTC&hourly=true")).body.next).getUTCMinutes(), 15);
    assert.equal(refused(await time("minute=630&zone=Mars/Olympus"), 400, /time zone/).member, "zone");
});

test("what no schedule has is refused in a sentence, with the name of what is wrong", async () => {
    for (const [what, body, member, pattern] of [
        ["a zone that is none", { zone: "Nowhere/Atall" }, "zone", /time zone|Nowhere/], ["a way out of the folder", { zone: "../../etc/passwd" }, "zone"], ["no zone", { zone: undefined }, "zone"],
        ["a minute behind the day", { minute: 1440 }, "minute"], ["a minute that is none", { minute: "7" }, "minute"], ["a minute behind the hour", { hourly: true, minute: 60 }, "minute", /hour/],
        ["no day", { days: [] }, "days", /day/], ["a day that is none", { days: ["caturday"] }, "days", /caturday/], ["nothing to tell of", { tells: [] }, "tells"], ["what nobody tells of", { tells: ["gossip"] }, "tells", /gossip/],
        ["a language that is none", { language: "tlh" }, "language"], ["a mailbox that is none", { of: "nobody" }, "of", /mailbox/], ["what is unknown", { colour: "red" }, undefined, /colour/],
    ]) {
        const r = await ask(who.anna, { kind: "mailbox", of: ANNA, ...choice(), ...body });
        assert.ok(r.status === 400 || (r.status === 404 && member === "of"), `${what}: ${r.status} ${r.text}`);
        assert.equal(r.body.member, member, `${what}: ${r.text}`);
        assert.match(r.body.detail, /^([A-Z"]|\w+: ).*\.$/, what);
        if (pattern) assert.match(r.body.detail, pattern, what);
    }
    assert.deepEqual(await mine(who.anna), []);
});

test("a digest changes in what is given; a change that cannot be leaves it as it was", async () => {
    const { id } = await subscribe(who.anna, "mailbox", ANNA, { days: ["monday", "friday"] });
    const set = (body) => who.anna.patch(`/me/digests/${id}`, body);

    assert.deepEqual((({ minute, days, zone }) => [minute, days, zone])((await set({ minute: 480 })).body), [480, ["monday", "friday"], "Europe/Berlin"]);
    refused(await set({ hourly: true }), 400, /hour/);
    refused(await set({ zone: "Nowhere/Atall" }), 400);
    const now = (await set({ hourly: true, minute: 5, tells: ["blocked"] })).body;
    assert.deepEqual([now.hourly, now.minute, now.tells], [true, 5, ["blocked"]]);
    assert.ok(new Date(now.next) - Date.now() <= 3600_000);
});

test("nobody gets a digest of what is somebody else's, and nobody sees or touches a digest of somebody else's", async () => {
    const { id } = await subscribe(who.anna, "mailbox", ANNA), domain = await subscribe(who.owen, "domain", "ours.example");
    const calls = (d) => [["GET", ""], ["PATCH", ""], ["DELETE", ""], ["POST", "/pause"], ["POST", "/resume"], ["POST", "/send"], ["GET", "/letters"], ["POST", `/letters/${d}/again`], ["GET", "/preview.html"]].map(([m, p]) => [m, `/me/digests/${d}${p}`]);

    for (const other of ["bob", "owen", "clara", "olga", "root"])
        for (const [method, path] of calls(id)) refused(await who[other].call(method, path, { body: method === "GET" || method === "DELETE" ? undefined : {} }), 404, /^There is no such digest\.$/);
    for (const [name, of] of [["bob", ANNA], ["owen", ANNA], ["clara", ANNA], ["olga", ANNA], ["bob", "none@ours.example"]]) refused(await ask(who[name], { kind: "mailbox", of, ...choice() }), 404, /^There is no such mailbox\.$/);
    for (const [name, of] of [["anna", "ours.example"], ["clara", "ours.example"], ["olga", "ours.example"], ["owen", "nowhere.example"]]) refused(await ask(who[name], { kind: "domain", of, ...choice() }), 404, /^There is no such domain\.$/);
    refused(await ask(who.root, { kind: "domain", of: "ours.example", ...choice() }), 403, /owners/);
    refused(await who.key.get("/me/digests"), 403, /API key/);
    refused(await ask(who.key, { kind: "mailbox", of: ANNA, ...choice() }), 403, /API key/);
    refused(await new Browser(site.origin).get("/me/digests"), 401);
    for (const bad of ["x", "%20", "00000000-0000-0000-0000-000000000000"]) refused(await who.anna.get(`/me/digests/${bad}`), 404);
    assert.deepEqual((await mine(who.anna)).map((d) => d.id), [id]);
});

test("staff who came for a person neither see nor change the digests", async () => {
    const { id } = await subscribe(who.anna, "mailbox", ANNA), sam = await staff(ANNA);

    refused(await sam.get("/me/digest-time?minute=420&zone=Europe/Berlin"), 403);
    for (const [method, path] of [["GET", ""], ["GET", `/${id}`], ["GET", `/${id}/letters`], ["POST", ""], ["PATCH", `/${id}`], ["DELETE", `/${id}`], ["POST", `/${id}/pause`], ["POST", `/${id}/resume`], ["POST", `/${id}/send`], ["POST", `/${id}/letters/${id}/again`], ["GET", `/${id}/preview.html`]])
        refused(await sam.call(method, `/me/digests${path}`, { body: method === "POST" || method === "PATCH" ? { kind: "mailbox", of: ANNA, ...choice() } : undefined }), 403, /^Staff can neither see nor change a person's digests\.$/);
});

test("nobody has more than twenty", async () => {
    for (let n = 0; n < 20; n++) await subscribe(who.clara, "mailbox", CLARA);
    refused(await ask(who.clara, { kind: "mailbox", of: CLARA, ...choice() }), 422, /20 digests/);
});

// ---- pausing ----

test("a digest pauses for two weeks, or for good, says what is next, and goes on", async () => {
    const { id, next } = await subscribe(who.anna, "mailbox", ANNA), pause = (body) => who.anna.post(`/me/digests/${id}/pause`, body), until = new Date(Date.now() + 14 * DAY).toISOString();
    const two = (await pause({ until })).body;

    assert.deepEqual([two.paused, new Date(two.paused_until).getTime()], [true, new Date(until).getTime()]);
    assert.ok(new Date(two.next) >= new Date(until) && new Date(two.next) - new Date(until) <= DAY, two.next);
    assert.equal(local(two.next, "Europe/Berlin").split(" ").at(-1), "07:00");
    const good = (await pause({})).body;
    assert.deepEqual([good.paused, good.paused_until, good.next], [true, null, null]);
    assert.equal(refused(await pause({ until: "2020-01-01T00:00:00Z" }), 400, /past/).member, "until");
    assert.equal((await pause({ until: "soon" })).status, 400);
    const on = (await who.anna.post(`/me/digests/${id}/resume`)).body;
    assert.deepEqual([on.paused, on.paused_until, on.next], [false, null, next]);
});

// ---- letters ----

test("one is sent now, where there is anything new; it is sent again; its state is told", async () => {
    const { id } = await subscribe(who.anna, "mailbox", ANNA), path = `/me/digests/${id}`, sent = () => letters.messages.filter((m) => m.rcpts[0] === ANNA);

    await listed(who.anna, id, "wares one");
    const { body } = await who.anna.post(`${path}/send`);
    assert.equal(body.sent, true, JSON.stringify(body));
    assert.equal((await one(who.anna, id)).last.state, "waiting");
    refused(await who.anna.post(`${path}/letters/${body.run}/again`), 409);
    await round();
    const [run] = (await who.anna.get(`${path}/letters`)).body.items;
    assert.deepEqual([run.id, run.state, run.messages, run.attempts], [body.run, "sent", 1, 1]);
    assert.match(run.answer, /^2/);
    assert.equal(sent().length, 1);
    assert.equal((await who.anna.post(`${path}/letters/${run.id}/again`)).status, 204);
    await round();
    assert.equal(sent().length, 2);
    const ids = sent().map((m) => /^Message-ID: (.*)$/mi.exec(m.data)[1]);
    assert.equal(ids[0].split("@")[1], ids[1].split("@")[1]);
    refused(await who.anna.post(`${path}/letters/00000000-0000-7000-8000-000000000000/again`), 404, /letter/);
    refused(await who.anna.post(`${path}/letters/x/again`), 404);
});

test("a letter that the mail server refused says so, in its words", async () => {
    const { id } = await subscribe(who.bob, "mailbox", BOB), path = `/me/digests/${id}`;

    await listed(who.bob, id, "wares two");
    assert.equal((await who.bob.post(`${path}/send`)).body.sent, true);
    refuses = true;
    await round();
    refuses = false;
    const { last } = await one(who.bob, id);
    assert.equal(last.state, "failed");
    assert.match(last.answer, /5\.1\.1 <i>no<\/i> such user here/);
    refused(await who.bob.post(`${path}/letters/${last.id}/again`), 409);
});

test("letters that are asked for have a limit, and it says when to come back", async () => {
    const { id } = await subscribe(who.olga, "domain", "theirs.example");
    const all = [];

    for (let n = 0; n < 6; n++) all.push(await who.olga.post(`/me/digests/${id}/send`));
    assert.deepEqual(all[0].body, { sent: false, run: null }, "nothing is new");
    assert.deepEqual(all.map((r) => r.status), [200, 200, 200, 200, 200, 429]);
    assert.ok(Number(all[5].headers.get("retry-after")) > 0);
});

test("the preview shows what would come, can do nothing in the page that shows it, and its links lead nowhere", async () => {
    const { id } = await subscribe(who.owen, "domain", "ours.example");

    const r = await listed(who.owen, id, "three");
    assert.equal(r.status, 200);
    assert.match(r.headers.get("content-type"), /^text\/html; charset=utf-8/);
    assert.match(r.headers.get("content-security-policy"), /^sandbox; default-src 'none'/);
    assert.equal(r.headers.get("x-frame-options"), "SAMEORIGIN");
    assert.ok(!r.text.includes("<script"), r.text);
    const links = [...r.text.matchAll(/href="([^"]*)"/g)].map((m) => m[1]).filter((l) => l !== `${site.origin}/` && l !== site.origin);
    assert.ok(links.length > 0);
    assert.deepEqual(links.filter((l) => l !== "#" && l.includes("/d/")), []);
    assert.deepEqual((await who.owen.get(`/me/digests/${id}/letters`)).body.items, [], "nothing was sent");
});

// ---- what a domain gives ----

test("a domain's default is the operator's to set and its owners' to see; who gets a mailbox then begins with it, those who are there do not", async () => {
    const path = "/domains/ours.example/digest-default", wanted = choice({ minute: 480, days: ["monday", "tuesday"], language: "de", tells: ["quarantined", "blocked"] });

    const { version, ...none } = (await who.owen.get(path)).body;
    assert.deepEqual(none, { on: false });
    for (const name of ["anna", "clara", "olga"]) assert.ok([403, 404].includes((await who[name].get(path)).status), name);
    for (const name of ["owen", "clara", "anna", "olga"]) assert.ok([403, 404].includes((await who[name].put(path, wanted)).status), name);
    refused(await who.owen.put(path, wanted), 403, /operator/);
    refused(await who.root.put(path, { ...wanted, zone: "Nowhere/Atall" }), 400);
    const set = await who.root.put(path, wanted);
    const { version: after, ...body } = set.body;
    assert.equal((await who.root.put(path, wanted, { headers: { "If-Match": `"${version}"` } })).status, 412, "another operator would have set it anew");
    assert.equal((await who.root.del(path, { headers: { "If-Match": `"${version}"` } })).status, 412);
    assert.equal((await who.root.put(path, wanted, { headers: { "If-Match": `"${after}"` } })).status, 200);
    assert.deepEqual([set.status, body], [200, { on: true, hourly: false, minute: 480, days: ["monday", "tuesday"], zone: "Europe/Berlin", language: "de", tells: ["quarantined", "blocked"], quiet: false }]);
    assert.deepEqual((await who.key.get(path)).body, set.body);
    assert.equal((await who.owen.post("/domains/ours.example/people", { login: "nora@ours.example" })).status, 200);
    assert.equal((await who.owen.post("/domains/ours.example/mailboxes", { local: "second", account: ANNA })).status, 200);
    await site.must("mailbox", "add", "first@ours.example");
    const [nora, first] = await Promise.all(["nora@ours.example", "first@ours.example"].map((a) => signIn(site, a).catch(() => null)));
    const got = await mine(nora);
    assert.deepEqual(got.map((d) => [d.of, d.minute, d.days, d.zone, d.language, d.tells]), [["nora@ours.example", 480, ["monday", "tuesday"], "Europe/Berlin", "de", ["quarantined", "blocked"]]]);
    assert.deepEqual((await mine(who.anna)).map((d) => d.of), ["second@ours.example"]);
    if (first) assert.deepEqual((await mine(first)).map((d) => d.of), ["first@ours.example"], "at the first sign-in");
    assert.deepEqual(await mine(who.bob), []);
    assert.equal((await who.root.del(path)).status, 204);
    assert.deepEqual((await who.root.get(path)).body, { version, on: false });
    await who.owen.post("/domains/ours.example/people", { login: "late@ours.example" });
    assert.deepEqual(await mine(await signIn(site, "late@ours.example")), []);
});

test("the address that the operator names for a domain owns it and gets its digest unasked; freed, it does neither", async () => {
    const path = "/domains/ours.example/admin", NEW = "chief@elsewhere.example";

    assert.deepEqual((await who.owen.get(path)).body, { address: null });
    for (const name of ["owen", "clara", "anna", "olga"]) assert.ok([403, 404].includes((await who[name].put(path, { address: NEW })).status), name);
    for (const address of ["no address", "x@", "@", "a b@c.example\r\nX: y"]) assert.equal((await who.root.put(path, { address })).status, 400, address);
    await who.root.patch("/me", { zone: "Asia/Kathmandu" });
    assert.deepEqual((await who.root.put(path, { address: `  ${NEW.toUpperCase()} ` })).body, { address: NEW });
    const chief = await signIn(site, NEW), [d] = await mine(chief);
    assert.deepEqual([d.kind, d.of, d.address, d.minute, d.zone, d.stands, d.tells], ["domain", "ours.example", NEW, 420, "Asia/Kathmandu", true, ["quarantined"]]);
    assert.equal((await chief.get("/domains/ours.example")).status, 200);
    assert.deepEqual((await chief.get(path)).body, { address: NEW });
    assert.deepEqual((await who.root.put(path, { address: OWEN })).body, { address: OWEN });
    assert.deepEqual(await mine(chief), []);
    assert.equal((await chief.get("/domains/ours.example")).status, 404);
    assert.deepEqual((await mine(who.owen)).map((x) => [x.kind, x.of]), [["domain", "ours.example"]]);
    assert.equal((await who.root.del(path)).status, 204);
    assert.deepEqual([(await who.owen.get(path)).body, await mine(who.owen)], [{ address: null }, []], "an owner of before stays one");
    const said = (await who.owen.get("/scopes/domain:ours.example/audit?action=domain.admin")).body.items.map((r) => r.action);
    assert.equal(said.length, 3);
});

// What a digest's links do for a person who presses a button, and what they do for everybody else: nothing.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash, createHmac } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { freePort, http, makeSite, program, run, signIn, startPortal, startRelay, startRulesd, startSmtpSink, waitFor } from "./lib/index.mjs";

const ANNA = "anna@ours.example", BOB = "bob@ours.example", OWEN = "owen@ours.example", CLARA = "clara@ours.example", ROOT = "root@ours.example", GONE = "gone@ours.example";
const DAY = 86400, EVIL = "</bdi></p><script>alert(1)</script><form action=//evil.example><button>\u202egnp.exe";
let site, letters, inbox, relay, hours = 0, asked = 0;
const who = {};

// ---- mail comes, and digests go ----

const encoded = (text) => `=?utf-8?B?${Buffer.from(text).toString("base64")}?=`;
const letter = (from, subject) => `From: ${encoded("Wally & Co")} <${from}>\r\nTo: x@ours.example\r\nSubject: ${encoded(subject)}\r\nMessage-ID: <${++asked}.${process.pid}@ext.example>\r\n\r\nHello there.\r\n`;
const scan = (to, from, subject) => http(site.httpSock, { headers: { From: `<${from}>`, Rcpt: `<${to}>`, IP: "192.0.2.9", Helo: "mx.ext.example", Flags: "milter", "Queue-ID": `Q${++asked}` }, body: letter(from, subject) });
const rows = async (b, subject) => (await b.get(`/scopes/${encodeURIComponent("domain:ours.example")}/mail?q=${encodeURIComponent(`subject:"${subject}"`)}`)).body.items;
async function arrive(to, from, subject) {
    await scan(to, from, subject);
    return (await waitFor(`${subject} in the log`, async () => { const r = await rows(who.root, subject); return r.length > 0 && r; }))[0];
}
const later = () => new Date(Date.now() + (hours += 2) * 3600_000).toISOString().replace(/\.\d+Z/, "Z");
const decoded = (data) => Buffer.from(data.replace(/=\r\n/g, "").replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16))), "latin1").toString();
const unfolded = (data) => data.split("\r\n\r\n", 1)[0].replace(/\r\n[ \t]+/g, " ");
async function digest(to) {
    const before = letters.messages.length;
    const { code, stderr } = await run(program("postern-digest"), ["-c", site.conf, "--once", "--now", later()]);

    assert.equal(code, 0, stderr);
    const mail = letters.messages.slice(before).find((m) => m.rcpts[0] === to);
    assert.ok(mail, `no digest for ${to}: ${stderr}`);
    return mail;
}
// The links of the item with that subject: { release, allow, block }, as paths.
function links(mail, subject) {
    const text = decoded(mail.data).split(/^--\S+$/m).find((part) => part.includes("text/plain"));
    const item = text.split(/^\d+\. /m).slice(1).find((i) => i.startsWith(subject)).split(/\r?\n\r?\n/)[0];
    const at = (label) => new RegExp(`(?:${label}):\\s+\\S+?(/d/[\\w-]+)`).exec(item)?.[1];

    return { release: at("Release|Zustellen"), allow: at("Release and allow the sender|Zustellen und Absender erlauben"), block: at("Block the sender|Absender blockieren"), text: item };
}
const unsubscribe = (mail) => /^List-Unsubscribe: <\S+?(\/d\/[\w-]+)>/m.exec(unfolded(mail.data))[1];
let fresh = 0;
// One held message of its own, and the links that its digest has.
async function held(to = ANNA, { digestTo = to, subject = `wares ${++fresh}`, from = `seller${fresh}@ext.example` } = {}) {
    const row = await arrive(to, from, subject), mail = await digest(digestTo);

    return { ...links(mail, subject), row, subject, from, mail };
}

// ---- browsers ----

// Somebody who opens links without being signed in.
class Visitor {
    constructor({ cookies = true } = {}) { this.jar = new Map(); this.keeps = cookies; }
    async go(method, path, { fields, headers = {} } = {}) {
        const all = { ...headers };

        if (this.jar.size > 0) all.Cookie = [...this.jar].map(([k, v]) => `${k}=${v}`).join("; ");
        if (fields && !all["Content-Type"]) all["Content-Type"] = "application/x-www-form-urlencoded";
        const r = await fetch(site.origin + path, { method, headers: all, redirect: "manual", body: fields && (typeof fields === "string" ? fields : new URLSearchParams(fields).toString()) });
        if (this.keeps) for (const line of r.headers.getSetCookie()) { const [pair] = line.split(";"), at = pair.indexOf("="); this.jar.set(pair.slice(0, at), pair.slice(at + 1)); }
        return { status: r.status, headers: r.headers, text: await r.text() };
    }
    get(path) { return this.go("GET", path); }
    form(page) { return { nonce: /name="nonce" value="([^"]*)"/.exec(page.text)?.[1] ?? "", do: /name="do" value="([^"]*)"/.exec(page.text)?.[1] ?? "" }; }
    // Opens it and presses its one button: the page that then comes.
    async press(path, { button, headers = { Origin: site.origin, "Sec-Fetch-Site": "same-origin" } } = {}) {
        const page = await this.get(path), fields = this.form(page);

        if (button) assert.ok(page.text.includes(`>${button}</button>`), `${button}: ${page.text}`);
        const done = await this.go("POST", path, { fields, headers });
        if (done.status !== 303) return done;
        assert.equal(done.headers.get("location"), path);
        return this.get(path);
    }
}
const title = (page) => /<h1>(.*?)<\/h1>/.exec(page.text)[1];
const buttons = (page) => [...page.text.matchAll(/<button[^>]*>(.*?)<\/button>/g)].map((m) => m[1]);
const delivered = (subject) => inbox.messages.filter((m) => m.data.includes(encoded(subject)));

// Everything that a link could change.
function everything() {
    const ask = (file, sql) => execFileSync("sqlite3", ["-readonly", "-cmd", ".timeout 5000", join(site.dir, file), sql]).toString();
    const log = existsSync(join(site.dir, "log.db")) ? "log.db" : "postern-log.db";

    return JSON.stringify([ask("postern.db", "SELECT * FROM rule; SELECT COUNT(*) FROM audit; SELECT id, paused_until_us, updated_us FROM digest_subscription; SELECT COUNT(*) FROM session; SELECT COUNT(*) FROM learned"),
        ask(log, "SELECT * FROM release; SELECT uid, n, verdict, state, status FROM delivery; SELECT * FROM release_request"), inbox.messages.length, letters.messages.length]);
}

const subscribe = async (b, kind, of, more = {}) => { const r = await b.post("/me/digests", { kind, of, hourly: true, minute: 0, zone: "Europe/Berlin", language: "en", tells: ["quarantined", "blocked", "spam"], ...more }); assert.ok(r.status < 300, r.text); return r.body; };
const digests = async (b) => (await b.get("/me/digests")).body.items;

before(async () => {
    letters = await startSmtpSink();
    inbox = await startSmtpSink({ answer: (verb, line) => (verb === "RCPT" && line.includes("bob@") && inbox?.refuses ? "550 5.1.1 <i>no</i> such user" : null) });
    relay = await startRelay(inbox.port);
    const own = await makeSite({ delivery: { url: `smtp://127.0.0.1:${relay.port}` }, smtp: { url: `smtp://127.0.0.1:${letters.port}`, from: "Postern <postern@ours.example>" }, digest: { per_second: 1000 }, log: { level: "debug" } });
    await own.must("init");
    await own.must("domain", "add", "ours.example", "--at-block", "quarantine");
    for (const a of [ANNA, BOB, OWEN, CLARA, ROOT, GONE]) {
        await own.must("account", "add", a, ...(a === ROOT ? ["--admin", "on"] : []));
        await own.must("mailbox", "add", a);
        await own.must("rule", "add", "--scope", `mailbox:${a}`, "--name", "Wares", "block", "--subject", "wares");
    }
    await own.must("account", "set", OWEN, "--owner", "ours.example");
    await own.must("account", "set", CLARA, "--clerk", "ours.example");
    await own.must("rule", "add", "--scope", "domain:ours.example", "--name", "No lotteries", "block", "--subject", "lottery");
    site = await startRulesd({ site: own, init: false });
    await startPortal(site);
    for (const [name, a] of Object.entries({ anna: ANNA, bob: BOB, owen: OWEN, clara: CLARA, root: ROOT, gone: GONE })) who[name] = await signIn(site, a);
    for (const [name, a] of Object.entries({ anna: ANNA, bob: BOB, clara: CLARA, root: ROOT, gone: GONE })) await subscribe(who[name], "mailbox", a, name === "bob" ? { language: "de" } : {});
    await subscribe(who.owen, "domain", "ours.example");
});
after(async () => { await site?.stopPortal(); await site?.stop(); site?.remove?.(); await relay?.stop(); await inbox?.stop(); await letters?.stop(); });

// ---- what each does ----

test("release: the page shows the digest's line and one button, a press sends it, and the page says so; pressed twice it comes once", async () => {
    const { release, subject, from } = await held(), v = new Visitor(), page = await v.get(release);

    assert.equal(page.status, 200);
    assert.equal(title(page), "Release this message?");
    assert.deepEqual(buttons(page), ["Release"]);
    for (const part of [subject, from, "Wally &amp; Co", "Held by a rule of yours."]) assert.ok(page.text.includes(part), `${part}: ${page.text}`);
    assert.equal(delivered(subject).length, 0);
    const done = await v.press(release);
    assert.equal(title(done), "Released");
    assert.match(done.text, /in your inbox in a moment/);
    assert.match(done.text, /cannot be undone any more/);
    assert.deepEqual(buttons(done), []);
    assert.equal(delivered(subject).length, 1);
    assert.deepEqual(delivered(subject)[0].rcpts, [ANNA]);
    for (const other of [v, new Visitor()]) {
        const again = await other.go("POST", release, { fields: { nonce: "x", do: "act" }, headers: { Origin: site.origin } });
        assert.equal(title(await other.get(release)), "Released", again.text);
    }
    assert.equal(delivered(subject).length, 1);
});

test("two presses at once send it once, and both see that it was released", async () => {
    const { release, subject } = await held(), v = new Visitor(), fields = v.form(await v.get(release));
    const both = await Promise.all([1, 2, 3].map(() => v.go("POST", release, { fields, headers: { Origin: site.origin } })));

    assert.ok(both.some((r) => r.status === 303), both.map((r) => r.text).join());
    await waitFor("its state", async () => title(await v.get(release)) === "Released");
    assert.equal(delivered(subject).length, 1);
});

test("release and allow: it comes, a rule stands, and the rule can be undone though the message has left", async () => {
    const { allow, subject, from } = await held(), v = new Visitor();
    const done = await v.press(allow, { button: "Release and allow the sender" });
    const exported = async () => (await site.must("rule", "export", "--scope", `mailbox:${ANNA}`)).split("\n").filter(Boolean).map((l) => JSON.parse(l)).filter((r) => r.name === from);

    assert.equal(title(done), "Released");
    assert.match(done.text, /The sender is allowed/);
    assert.match(done.text, /nothing here can prove who sent/);
    assert.equal(delivered(subject).length, 1);
    assert.equal((await exported())[0].action, "allow");
    assert.deepEqual(buttons(done), ["Undo"]);
    const undone = await v.press(allow, { button: "Undo" });
    assert.equal(title(undone), "This message was released. Allow its sender too?");
    assert.equal((await exported()).length, 0);
});

test("block: the exact address alone; undone it is as before; pressed again it stands again; the log names the account and the link", async () => {
    const { block, from } = await held(), v = new Visitor(), done = await v.press(block, { button: "Block the sender" });
    const mine = async () => (await site.must("rule", "export", "--scope", `mailbox:${ANNA}`)).split("\n").filter(Boolean).map((l) => JSON.parse(l)).filter((r) => r.name === from);

    assert.equal(title(done), "The sender is blocked");
    assert.deepEqual((await mine()).map((r) => [r.action, r.conditions[0].any]), [["block", [from]]]);
    const noted = JSON.parse(execFileSync("sqlite3", ["-readonly", "-json", "-cmd", ".timeout 5000", join(site.dir, "postern.db"), "SELECT actor_kind, actor_name, source FROM audit WHERE action = 'rule.add' ORDER BY at_us DESC LIMIT 1"]).toString())[0];
    assert.deepEqual(noted, { actor_kind: "account", actor_name: ANNA, source: "digest link, 127.0.0.1" });
    assert.equal(title(await new Visitor().press(block, { button: "Undo" })), "Block this sender?", "in another browser too");
    assert.equal((await mine()).length, 0);
    assert.equal(title(await v.press(block)), "The sender is blocked");
});

test("a block that was there, switched off, is switched on, and undone it is off again", async () => {
    const { block, from } = await held(), v = new Visitor();
    const id = /Rule ([0-9a-f]{8}) added/.exec(await site.must("rule", "add", "--scope", `mailbox:${ANNA}`, "--name", "Mine", "block", "--sender", from))[1];
    const state = async () => (await site.must("rule", "export", "--scope", `mailbox:${ANNA}`)).split("\n").filter(Boolean).map((l) => JSON.parse(l)).find((r) => r.name === "Mine").enabled;

    await site.must("rule", "disable", id);
    assert.equal(title(await v.press(block)), "The sender is blocked");
    assert.equal(await state(), true);
    await v.press(block, { button: "Undo" });
    assert.equal(await state(), false);
    await site.must("rule", "enable", id);
    assert.deepEqual(buttons(await v.get(block)), [], "what the person did themselves no link takes back");
});

test("ten minutes later nothing can be undone", async () => {
    const { block } = await held(), v = new Visitor();

    assert.deepEqual(buttons(await v.press(block)), ["Undo"]);
    execFileSync("sqlite3", ["-cmd", ".timeout 5000", join(site.dir, "postern.db"), "UPDATE audit SET at_us = at_us - 600000000 WHERE action = 'rule.add' AND source LIKE 'digest link%'"]);
    const page = await v.get(block);
    assert.equal(title(page), "The sender is blocked");
    assert.deepEqual(buttons(page), []);
});

test("while the mail server is away a release waits, can be undone, and is then not sent", async () => {
    const { release, subject } = await held(), v = new Visitor();

    relay.cut();
    const waits = await v.press(release);
    assert.equal(title(waits), "Released");
    assert.match(waits.text, /as soon as the mail server takes it/);
    const undone = await v.press(release, { button: "Undo" });
    assert.equal(title(undone), "Release this message?");
    await relay.mend();
    assert.equal(delivered(subject).length, 0);
    assert.equal(title(await v.press(release)), "Released");
    assert.equal(delivered(subject).length, 1);
});

test("what the mail server refuses the page shows, as text, and it can be tried again", async () => {
    const { release } = await held(BOB), v = new Visitor();

    inbox.refuses = true;
    const page = await v.press(release, { button: "Zustellen" });
    inbox.refuses = false;
    assert.equal(title(page), "Sie konnte nicht zugestellt werden");
    assert.ok(page.text.includes("&lt;i&gt;no&lt;/i&gt; such user"), page.text);
    assert.equal(title(await v.press(release)), "Zugestellt");
});

// ---- who may ----

test("what an owner decides no link does, not even the owner's own", async () => {
    const one = await held(ANNA, { subject: "lottery one" });
    assert.equal(one.release, undefined, "the letter offers none");
    for (const [to, digestTo] of [[ANNA, ANNA], [ANNA, OWEN]]) {
        const x = await held(to, { digestTo }), v = new Visitor();
        const other = mint({ ...peel(x.release), uid: one.row.uid, n: one.row.n });
        const page = await v.get(other);
        assert.equal(title(page), "This is not yours to decide");
        assert.deepEqual(buttons(page), []);
        const ok = v.form(await v.get(x.release));
        const tried = await v.go("POST", other, { fields: { ...ok, do: "act" }, headers: { Origin: site.origin } });
        assert.equal(tried.status, 403);
    }
    assert.equal(delivered("lottery one").length, 0);
});

test("an owner's domain digest acts in the one person's mailbox, as that person may, and nowhere else", async () => {
    const { release, block, subject, from, row } = await held(BOB, { digestTo: OWEN }), v = new Visitor();
    const page = await v.get(release);

    assert.ok(page.text.includes(BOB), "of whose it is");
    assert.match((await v.press(release)).text, /its recipient&#39;s inbox|its recipient's inbox/);
    assert.deepEqual(delivered(subject)[0].rcpts, [BOB]);
    await v.press(block);
    assert.match(await site.must("rule", "export", "--scope", `mailbox:${BOB}`), new RegExp(from));
    assert.doesNotMatch(await site.must("rule", "export", "--scope", "domain:ours.example"), new RegExp(from));
    assert.ok(row);
});

test("a clerk's and the operator's links do what a user's do", async () => {
    for (const a of [CLARA, ROOT]) {
        const { release, subject } = await held(a);
        assert.equal(title(await new Visitor().press(release)), "Released", a);
        assert.equal(delivered(subject).length, 1);
    }
    const rooted = await held(ROOT), lottery = await arrive(ROOT, "x@ext.example", "lottery for root");
    assert.deepEqual(buttons(await new Visitor().get(mint({ ...peel(rooted.release), uid: lottery.uid, n: lottery.n }))), [], "nor more");
});

test("a link for one person's digest does nothing about another's message", async () => {
    const mine = await held(ANNA), theirs = await arrive(BOB, "b@ext.example", "wares for bob alone"), v = new Visitor();
    const page = await v.get(mint({ ...peel(mine.release), uid: theirs.uid, n: theirs.n }));

    assert.equal(page.status, 410);
    assert.ok(!page.text.includes("wares for bob alone"));
});

// ---- who is refused ----

const nothingChanges = async (what) => { const before = everything(); const out = await what(); assert.equal(everything(), before); return out; };

test("another browser's nonce, none, a stale one, and another link's are refused with the button again; nothing is done", async () => {
    const one = await held(), two = await held(), v = new Visitor(), other = new Visitor({ cookies: false });
    const fields = v.form(await v.get(one.release)), headers = { Origin: site.origin };

    await nothingChanges(async () => {
        for (const [by, path, f] of [[other, one.release, fields], [v, one.release, { do: "act" }], [v, one.release, { ...fields, nonce: fields.nonce.replace(/^./, (c) => (c === "A" ? "B" : "A")) }], [v, two.release, fields], [v, one.release, { ...fields, do: "burn" }]]) {
            const r = await by.go("POST", path, { fields: f, headers });
            assert.equal(r.status, 403);
            assert.equal(title(r), "Please press once more");
            assert.deepEqual(buttons(r), ["Release"]);
        }
    });
    const stale = await new Visitor().go("POST", one.release, { fields, headers });
    assert.equal(stale.status, 403);
});

test("a press that comes from another site is refused, whatever it knows", async () => {
    const { release } = await held(), v = new Visitor(), fields = v.form(await v.get(release));

    await nothingChanges(async () => {
        for (const headers of [{ Origin: "https://evil.example" }, { Origin: "null" }, { "Sec-Fetch-Site": "cross-site" }, { Origin: site.origin, "Sec-Fetch-Site": "same-site" }])
            assert.equal((await v.go("POST", release, { fields, headers })).status, 403, JSON.stringify(headers));
    });
    assert.equal((await v.go("POST", release, { fields, headers: { Origin: site.origin } })).status, 303);
});

test("who has a session is nobody more here: no cookie of it is looked at, and none is made", async () => {
    const x = await held(), lottery = await arrive(ANNA, "x@ext.example", "lottery two"), v = new Visitor();

    for (const [name, value] of who.owen.cookies) v.jar.set(name, value); // who could let it go in the portal
    assert.equal(title(await v.get(mint({ ...peel(x.release), uid: lottery.uid, n: lottery.n }))), "This is not yours to decide");
    const set = (await v.get(x.release)).headers.getSetCookie();
    assert.equal(set.length, 1, "the page's own alone");
    assert.match(set[0], /^link_[\w-]{10}=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=1800$/);
});

test("a scanner that opens every link with GET and HEAD, follows all it finds and keeps cookies changes nothing", async () => {
    const x = await held(), all = [x.release, x.allow, x.block, unsubscribe(x.mail)];

    await nothingChanges(async () => {
        const v = new Visitor(), seen = new Set();
        for (let round = 0; round < 3; round++)
            for (const path of all)
                for (const method of ["HEAD", "GET", "GET"]) {
                    const r = await v.go(method, path);
                    assert.equal(r.status, 200);
                    if (method === "HEAD") assert.equal(r.text, "");
                    for (const [, to] of r.text.matchAll(/(?:href|src)="(\/[^"]*)"/g)) if (!seen.has(to)) { seen.add(to); await v.get(to); }
                    const { nonce } = v.form(r);
                    for (const query of [`?nonce=${nonce}&do=act`, "?List-Unsubscribe=One-Click"]) await v.go("GET", path + query);
                }
        for (const method of ["PUT", "DELETE", "PATCH", "OPTIONS"]) assert.equal((await v.go(method, x.release)).status, 405, method);
    });
});

test("the page cannot be framed, kept, indexed, or made to run or load anything", async () => {
    const { release } = await held(), { headers, text } = await new Visitor().get(release);
    const policy = headers.get("content-security-policy");

    assert.match(policy, /^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]{43}='; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'$/);
    const style = /<style>([^]*?)<\/style>/.exec(text)[1];
    assert.equal(createHash("sha256").update(style).digest("base64"), /sha256-(\S+)'/.exec(policy)[1]);
    assert.equal(headers.get("cache-control"), "no-store");
    assert.equal(headers.get("referrer-policy"), "same-origin");
    assert.equal(headers.get("x-frame-options"), "DENY");
    assert.match(headers.get("x-robots-tag"), /noindex/);
    assert.doesNotMatch(text, /<script|style="| on\w+=|javascript:/i);
});

test("a hostile subject is text: no tag of its own, one button, nothing reordered", async () => {
    const row = await arrive(ANNA, "evil@ext.example", `wares ${EVIL}`), base = await held();
    const page = await new Visitor().get(mint({ ...peel(base.block), uid: row.uid, n: row.n }));

    assert.equal(page.status, 200);
    assert.match(page.text, /wares &lt;\/bdi&gt;&lt;\/p&gt;&lt;script&gt;alert\(1\)/);
    assert.equal(buttons(page).length, 1);
    assert.doesNotMatch(page.text, /<script|evil\.example>|\u202e/);
});

test("a link that we never wrote is a plain 404 that says what to do; too many are slowed down, and good ones are not", async () => {
    const { release } = await held(), v = new Visitor();
    const bad = [`${release.slice(0, -1)}${release.endsWith("A") ? "B" : "A"}`, "/d/", "/d/x", `/d/${"A".repeat(79)}`, `/d/${"A".repeat(4000)}`, `${release}x`];

    for (const path of bad) {
        const r = await v.get(path);
        assert.equal(r.status, 404, path);
        assert.equal(title(r), "This link does not work");
        assert.match(r.text, /Open the digest once more/);
        assert.ok(!r.text.includes("wares"));
        assert.equal(r.headers.getSetCookie().length, 0);
    }
    assert.match((await v.go("GET", "/d/x", { headers: { "Accept-Language": "de-AT,de;q=0.9" } })).text, /Dieser Link funktioniert nicht/);
    let last;
    for (let i = 0; i < 70 && last?.status !== 429; i++) last = await v.get("/d/forged");
    assert.equal(last.status, 429);
    assert.ok(Number(last.headers.get("retry-after")) > 0);
    assert.equal((await v.get(release)).status, 200);
});

// ---- ends ----

// A link as the program writes it, by the key in its folder.
function mint({ key = 1, action, expires, subscription, uid, n }) {
    const secret = Buffer.from(/[0-9a-f]{64}/.exec(readFileSync(join(site.dir, "keys", `link-${key}.secret`), "utf8"))[0], "hex");
    const id = (text) => Buffer.from(text.replace(/-/g, ""), "hex"), head = Buffer.alloc(9), tail = Buffer.alloc(2);

    head[0] = 1; head.writeUInt16BE(key, 1); head[3] = action; head.writeUIntBE(expires, 4, 5); tail.writeUInt16BE(n);
    const bytes = Buffer.concat([head, id(subscription), id(uid), tail]), hash = createHash("sha256");
    for (const part of [Buffer.from("postern link"), bytes]) { const length = Buffer.alloc(8); length.writeBigUInt64BE(BigInt(part.length)); hash.update(length).update(part); }
    return `/d/${Buffer.concat([bytes, createHmac("sha256", secret).update(hash.digest()).digest().subarray(0, 16)]).toString("base64url")}`;
}
function peel(path) {
    const b = Buffer.from(path.slice(3), "base64url");
    return { key: b.readUInt16BE(1), action: b[3], expires: b.readUIntBE(4, 5), subscription: b.subarray(9, 25).toString("hex"), uid: b.subarray(25, 41).toString("hex"), n: b.readUInt16BE(41) };
}

test("an expired link shows how things stand, and has no button", async () => {
    const x = await held(), old = mint({ ...peel(x.release), expires: Math.floor(Date.now() / 1000) - 1 }), v = new Visitor();

    assert.equal(mint(peel(x.release)), x.release, "the test writes them as the program does");
    assert.ok(peel(x.release).expires - Date.now() / 1000 > 13 * DAY);
    const page = await v.get(old);
    assert.equal(page.status, 200);
    assert.match(page.text, /This link has expired/);
    assert.ok(page.text.includes(x.subject));
    assert.deepEqual(buttons(page), []);
    const fields = { ...v.form(await v.get(x.release)), do: "act" };
    await nothingChanges(() => v.go("POST", old, { fields, headers: { Origin: site.origin } }));
    await v.press(x.release);
    assert.equal(title(await v.get(old)), "Released");
});

test("keys rotate: old links still work, new ones at once; and pages that are open", async () => {
    const one = await held();

    assert.match(await site.must("key", "rotate", "--links"), /2/);
    const two = await held();
    assert.equal(peel(two.release).key, 2);
    await waitFor("the new key", async () => (await new Visitor().get(two.release)).status === 200, { seconds: 20, everyMs: 200 });
    const v = new Visitor(), fields = v.form(await v.get(one.block));
    await site.must("key", "rotate", "--links");
    await waitFor("the third", async () => (await new Visitor().get(mint({ ...peel(one.block), key: 3 }))).status === 200, { seconds: 20, everyMs: 200 });
    assert.equal((await v.go("POST", one.block, { fields, headers: { Origin: site.origin } })).status, 303, "a page that was open meanwhile");
    assert.equal(title(await new Visitor().press(one.release)), "Released");
    assert.equal(title(await new Visitor().press(two.release)), "Released");
});

test("a link dies with its subscription, its account, its mailbox and its owner's role", async () => {
    const dead = async (path, what) => nothingChanges(async () => { const r = await new Visitor().get(path); assert.equal(r.status, 410, what); assert.equal(title(r), "This link leads nowhere any more"); assert.doesNotMatch(r.text, /wares/); assert.deepEqual(buttons(r), []); });

    const x = await held(GONE), owners = (await held(GONE, { digestTo: OWEN }));
    await site.must("account", "set", GONE, "--active", "off");
    await dead(x.release, "account switched off");
    await site.must("account", "set", GONE, "--active", "on");
    assert.equal((await new Visitor().get(x.release)).status, 200);
    await site.must("mailbox", "delete", GONE, "--yes");
    await dead(x.release, "mailbox gone");
    await dead(owners.release, "mailbox gone, in the owner's digest");
    const other = await held(BOB, { digestTo: OWEN });
    assert.equal((await new Visitor().get(other.release)).status, 200);
    await site.must("account", "set", OWEN, "--no-role", "ours.example");
    await dead(other.release, "no owner any more");
    const mine = await held(CLARA), [d] = await digests(who.clara);
    await who.clara.del(`/me/digests/${d.id}`);
    await dead(mine.release, "subscription deleted");
});

// ---- stopping a digest ----

test("one click of a mail provider stops that digest, with no cookie, and does nothing else; the page starts it again", async () => {
    const x = await held(), stop = unsubscribe(x.mail), v = new Visitor({ cookies: false });
    const paused = async () => (await digests(who.anna))[0].paused;

    assert.match(unfolded(x.mail.data), /^List-Unsubscribe-Post: List-Unsubscribe=One-Click$/m);
    await nothingChanges(async () => { for (const path of [x.release, x.block]) assert.equal((await v.go("POST", path, { fields: "List-Unsubscribe=One-Click" })).status, 403); assert.equal((await v.go("POST", stop, { fields: "List-Unsubscribe=Two" })).status, 403); });
    assert.equal(await paused(), false);
    const done = await v.go("POST", stop, { fields: "List-Unsubscribe=One-Click" });
    assert.equal(done.status, 200);
    assert.equal(await paused(), true);
    assert.equal((await v.go("POST", stop, { fields: "List-Unsubscribe=One-Click" })).status, 200, "twice is once");
    const person = new Visitor(), page = await person.press(stop, { button: "Start it again" });
    assert.equal(title(page), "Stop this digest?");
    assert.equal(await paused(), false);
    const form = "--b\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--b--\r\n";
    assert.equal((await v.go("POST", stop, { fields: form, headers: { "Content-Type": "multipart/form-data; boundary=b" } })).status, 200);
    assert.equal(await paused(), true);
    await person.press(stop, { button: "Start it again" });
    assert.equal(title(await person.press(stop, { button: "Stop this digest" })), "This digest is stopped");
    assert.equal(await paused(), true);
    assert.equal(title(await new Visitor().press(x.release)), "Released", "its other links still work");
    await person.press(stop, { button: "Start it again" });
});

test("no token is in the log", async () => {
    const { release } = await held();

    await new Visitor().press(release);
    assert.ok(site.portalLog().includes("/d/"), "the log is at debug");
    assert.ok(!site.portalLog().includes(release.slice(0, 40)));
});

test("the page looks as the domain's brand does, and calls itself so", async () => {
    const { release } = await held(), png = Buffer.from("89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000a49444154789c6360000000020001e221bc330000000049454e44ae426082", "hex");
    const made = await who.root.post("/brands", { name: "Acme & Sons", prefix: "ACME", support: "help@acme.example", accent_light: "#1d4ed8", accent_dark: "#93c5fd" });

    assert.equal(made.status, 201, made.text);
    await who.root.put(`/brands/${made.body.id}/domains/ours.example`, {});
    await who.root.call("PUT", `/brands/${made.body.id}/logo`, { body: png, json: false, headers: { "Content-Type": "application/octet-stream" } });
    const page = await new Visitor().get(release), style = /<style>([^]*?)<\/style>/.exec(page.text)[1];
    assert.match(page.text, /<title>Release this message\? · Acme &amp; Sons<\/title>/);
    assert.match(page.text, /Questions: <bdi>help@acme\.example<\/bdi>/);
    assert.match(style, /--accent: #1d4ed8;[^]*--accent: #93c5fd;/);
    assert.ok(page.headers.get("content-security-policy").includes(createHash("sha256").update(style).digest("base64")));
    const logo = /<img src="([^"]*)"/.exec(page.text)[1].replaceAll("&amp;", "&");
    assert.equal((await fetch(site.origin + logo)).headers.get("content-type"), "image/png");
    assert.ok(!(await new Visitor().get("/d/forged")).text.includes("Acme"), "who has no link is not told whose it would be");
});

test("under https the cookie is this host's alone", async () => {
    const { release } = await held();

    await site.stopPortal();
    const port = Number(site.settings.portal.listen.split(":")[1]);
    await startPortal(site, { port, settings: { public_url: "https://mail.ours.example" } });
    const v = new Visitor(), page = await v.get(release), fields = v.form(page);
    assert.match(page.headers.getSetCookie()[0], /^__Host-link_[\w-]{10}=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=1800; Secure$/);
    assert.equal((await v.go("POST", release, { fields, headers: { Origin: "http://mail.ours.example" } })).status, 403);
    assert.equal((await v.go("POST", release, { fields, headers: { Origin: "https://mail.ours.example" } })).status, 303);
});

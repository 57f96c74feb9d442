// A CSV of the log that is under way when its session ends, and the mark of attachments in lists.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { http, keyed, makeSite, signIn, sleep, startPortal, startRulesd, waitFor } from "./lib/index.mjs";

const ANNA = "anna@ours.example", OWEN = "owen@ours.example";
const LETTERS = 10, EACH = 2000;
let site, owen, anna;

const cookies = (browser) => ({ Cookie: [...browser.cookies].map(([k, v]) => `${k}=${v}`).join("; ") });
const scan = (rcpts, { subject = "hello", fields = "", body = "Hello.\r\n", n = 0 }) => http(site.httpSock, { headers: [["From", "<w@ext.example>"], ...rcpts.map((r) => ["Rcpt", `<${r}>`]), ["IP", "192.0.2.9"], ["Flags", "milter"], ["Queue-ID", `4TEST${n}`]], body: `From: <w@ext.example>\r\nSubject: ${subject}\r\n${fields}\r\n${body}` });

before(async () => {
    const own = await makeSite();
    await own.must("init");
    await own.must("domain", "add", "ours.example");
    for (const a of [ANNA, OWEN]) { await own.must("account", "add", a); await own.must("mailbox", "add", a); }
    await own.must("account", "set", OWEN, "--owner", "ours.example");
    site = await startRulesd({ site: own, init: false });
    await startPortal(site);
    [owen, anna] = [await signIn(site, OWEN), await signIn(site, ANNA)];
    for (let n = 0; n < LETTERS; n++) await scan(Array.from({ length: EACH }, (_, i) => `r${i}@ours.example`), { subject: "x".repeat(900), n });
    const until = Date.now() + 60_000;
    for (let last = ""; Date.now() < until;) { // the log is written behind the scans
        const all = (await owen.get("/domains/ours.example/overview")).body.today, sum = String(Object.values(all).reduce((a, b) => a + b));
        if (sum === String(LETTERS * EACH)) break;
        last = sum;
        await sleep(200);
        if (Date.now() > until - 1000) throw new Error(`the log has ${last} rows`);
    }
});
after(async () => { await site?.stopPortal(); await site?.stop(); site?.remove?.(); });

const DOMAIN = "/scopes/domain:ours.example", MAIL = `${DOMAIN}/mail.csv`;
const headers = (who) => ({ ...(who.cookies.size > 0 ? cookies(who) : {}), ...(who.headers.Authorization ? { Authorization: who.headers.Authorization } : {}) });
const load = (who, path) => fetch(`${site.origin}/api/v1${path}`, { headers: { ...headers(who), "Accept-Encoding": "identity" } });
// A key for all that can be exported, and how it is revoked.
let keys = 0;
const makeKey = async () => {
    const name = `exporter ${++keys}`, text = (await site.must("token", "add", name, "mail:read", "rules:read", "domain:read", "audit:read", "--role", "owner", "--domain", "ours.example")).match(/pst_\S+/)[0];
    return { who: Object.assign(keyed(site, text), { origin: site.origin }), revoke: () => site.must("token", "revoke", name) };
};
// Begins to read, has them shut out, and reads on: the end does not come.
async function isCut(who, path, shutOut) {
    const response = await load(who, path), reader = response.body.getReader();
    let bytes = (await reader.read()).value.length;
    assert.equal(response.status, 200, path);
    await shutOut();
    await assert.rejects(async () => { for (let part; !(part = await reader.read()).done;) bytes += part.value.length; }, path);
    return bytes;
}

test("an export whose session goes on comes whole", async () => {
    const text = await (await load(owen, MAIL)).text();
    assert.equal(text.trimEnd().split("\r\n").length, LETTERS * EACH + 1);
});

test("an export whose session ends is cut, so that nobody takes it for whole", async () => {
    const bytes = await isCut(await signIn(site, OWEN), MAIL, async () => assert.equal((await owen.del("/me/sessions")).status, 200));
    assert.ok(bytes < LETTERS * EACH * 900, `${bytes} bytes came`);
});

test("an export whose key is revoked is cut, and so is that of who may sign in no more; the log says which", async () => {
    const { who, revoke } = await makeKey();
    assert.equal((await (await load(who, MAIL)).text()).trimEnd().split("\r\n").length, LETTERS * EACH + 1, "whose key is good comes whole");
    await isCut(who, MAIL, revoke);
    assert.equal((await load(who, MAIL)).status, 401);
    await isCut(owen, MAIL, () => site.must("account", "set", OWEN, "--active", "off"));
    await site.must("account", "set", OWEN, "--active", "on");
    owen = await signIn(site, OWEN);
    const cut = site.portalLog().split("\n").filter((l) => l.includes("export cut"));
    assert.equal(cut.length, 3);
    assert.match(cut[1], /path=\S*mail\.csv key=\S+ why="?the API key does not hold any more/);
    assert.match(cut[2], /session=\S+ why="?the session does not hold any more/);
});

test("rules and the audit log, which are made whole and sent in pieces, are cut as well", async () => {
    const long = "x".repeat(60) + ".".padEnd(2, "y") + "z".repeat(50);
    const entries = (n) => Array.from({ length: 20000 }, (_, i) => `${n}-${i}-${long}@${"long-".repeat(11)}.${"name-".repeat(11)}x.example`);
    for (let n = 0; n < 2; n++) assert.equal((await owen.post(`${DOMAIN}/lists`, { action: "block", add: entries(n) })).status, 200);
    for (const path of [`${DOMAIN}/rules/export`, `${DOMAIN}/audit.csv`]) {
        const { who, revoke } = await makeKey(), whole = (await (await load(who, path)).arrayBuffer()).byteLength;
        assert.ok(whole > 8_000_000, `${path}: ${whole} bytes`);
        assert.ok(await isCut(who, path, revoke) < whole);
    }
});

test("a list says which messages have attachments", async () => {
    await scan([ANNA], { subject: "plain", n: "P" });
    await scan([ANNA], { subject: "with a file", n: "F", fields: 'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n', body: '--b\r\nContent-Type: text/plain\r\n\r\nSee the file.\r\n--b\r\nContent-Type: application/pdf; name="a.pdf"\r\nContent-Disposition: attachment; filename="a.pdf"\r\n\r\nPDF\r\n--b--\r\n' });
    const rows = await waitFor("both", async () => { const { items } = (await anna.get("/me/mail")).body; return items.length === 2 && items; });
    assert.deepEqual(Object.fromEntries(rows.map((r) => [r.subject, r.attached])), { plain: false, "with a file": true });
});

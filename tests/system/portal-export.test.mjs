// A CSV of the log that is under way when its session ends, and the mark of attachments in lists.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { http, makeSite, signIn, sleep, startPortal, startRulesd, waitFor } from "./lib/index.mjs";

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

const csv = (browser) => fetch(`${site.origin}/api/v1/scopes/domain:ours.example/mail.csv`, { headers: cookies(browser) });

test("an export whose session goes on comes whole", async () => {
    const text = await (await csv(owen)).text();
    assert.equal(text.trimEnd().split("\r\n").length, LETTERS * EACH + 1);
});

test("an export whose session ends is cut, so that nobody takes it for whole", async () => {
    const other = await signIn(site, OWEN), response = await csv(other), reader = response.body.getReader();
    let bytes = (await reader.read()).value.length;
    assert.equal(response.status, 200);
    assert.equal((await owen.del("/me/sessions")).status, 200);
    await assert.rejects(async () => { for (let part; !(part = await reader.read()).done;) bytes += part.value.length; });
    assert.ok(bytes < LETTERS * EACH * 900, `${bytes} bytes came`);
});

test("a list says which messages have attachments", async () => {
    await scan([ANNA], { subject: "plain", n: "P" });
    await scan([ANNA], { subject: "with a file", n: "F", fields: 'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n', body: '--b\r\nContent-Type: text/plain\r\n\r\nSee the file.\r\n--b\r\nContent-Type: application/pdf; name="a.pdf"\r\nContent-Disposition: attachment; filename="a.pdf"\r\n\r\nPDF\r\n--b--\r\n' });
    const rows = await waitFor("both", async () => { const { items } = (await anna.get("/me/mail")).body; return items.length === 2 && items; });
    assert.deepEqual(Object.fromEntries(rows.map((r) => [r.subject, r.attached])), { plain: false, "with a file": true });
});

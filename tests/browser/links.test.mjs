// The pages behind a digest's links in a browser: without scripts, from somebody's webmail, at any width, and with names that want out.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";

import { program, run, signIn } from "../system/lib/index.mjs";
import { ANNA, barriers, openBrowser, openHouse, overhang, waitFor, widths } from "./lib.mjs";

const WARES = "raffle of the long-awaited spring collection, with a subject that is longer than one line </bdi></p></section><script>alert(1)</script><form action=//evil.example><button>Release</button> שלום \u202egnp.exe";
const OTHER = "raffle number two", PLAIN = "raffle number three";
let house, browser, webmail, mail, at;

// A webmail on another site, which shows the letter as it is and marks no link.
async function startWebmail() {
    const server = createServer((request, response) => {
        response.setHeader("Content-Type", "text/html; charset=utf-8");
        response.end(`<!DOCTYPE html><title>Webmail</title>${mail}`);
    });

    await new Promise((done) => server.listen(0, "localhost", done));
    return server;
}
const decode = (part) => (/^content-transfer-encoding: base64/im.test(part) ? Buffer.from(part.split("\r\n\r\n").slice(1).join(""), "base64")
    : Buffer.from(part.replace(/=\r\n/g, "").replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16))), "latin1")).toString();
const encoded = (text) => `=?utf-8?B?${Buffer.from(text).toString("base64")}?=`;

before(async () => {
    house = await openHouse({ mail: [] });
    for (const [subject, from] of [[encoded(`${WARES}`), "wally@shop.example"], [OTHER, "wally@second.example"], [PLAIN, "sue@third.example"]]) await house.letter({ subject, from, name: encoded("Wally & Söhne <b>") });
    const anna = await signIn(house, ANNA);
    await waitFor("them held", async () => (await anna.get("/me/mail?q=status:quarantined")).body.items.length === 3);
    assert.ok((await anna.post("/me/digests", { kind: "mailbox", of: ANNA, hourly: true, minute: 0, zone: "Europe/Berlin", language: "en" })).status < 300);
    const { code, stderr } = await run(program("postern-digest"), ["-c", house.conf, "--once", "--now", new Date(Date.now() + 7200_000).toISOString().replace(/\.\d+Z/, "Z")]);
    assert.equal(code, 0, stderr);
    const letter = await waitFor("the digest", () => house.sink.messages.find((m) => m.data.includes("List-Unsubscribe")));
    const text = decode(letter.data.split(/^--\S+$/m).find((part) => part.includes("text/html")));
    mail = text.slice(text.search(/<!DOCTYPE/i));
    webmail = await startWebmail();
    at = `http://localhost:${webmail.address().port}/`;
    browser = await openBrowser(house);
});
after(async () => { await browser?.close(); webmail?.close(); await house?.close(); });

const wrong = (page) => page.wrong.filter((w) => !w.startsWith(`asked ${at}`));
const h1 = (page) => page.locator("h1").innerText();
const linkOf = (n, label) => { const item = mail.split('<table role="presentation" class="card"').slice(1).find((i) => i.includes(n)); return new RegExp(`href="([^"]*)"[^>]*>${label}</a>`).exec(item)[1]; };

test("from a webmail on another site, without scripts: one press releases, and the page says so", async () => {
    const page = await browser.stranger({ javaScriptEnabled: false });

    await page.goto(at);
    await page.locator(`a[href="${linkOf(PLAIN, "Release")}"]`).click();
    assert.equal(await h1(page), "Release this message?");
    assert.equal(house.sink.messages.filter((m) => m.data.includes(PLAIN) && m.data.includes("X-Postern-Released")).length, 0);
    await page.getByRole("button", { name: "Release", exact: true }).click();
    assert.equal(await h1(page), "Released");
    assert.equal(house.sink.messages.filter((m) => m.data.includes(PLAIN) && m.data.includes("X-Postern-Released")).length, 1);
    assert.equal(await page.getByRole("button").count(), 0);
    await page.done();
});

test("two links that are open side by side both work, and an undo is one press", async () => {
    const one = await browser.stranger(), two = await one.context().newPage();

    await one.goto(at);
    await one.locator(`a[href="${linkOf(OTHER, "Block the sender")}"]`).click();
    await two.goto(linkOf("long-awaited", "Block the sender"));
    for (const page of [one, two]) { await page.getByRole("button", { name: "Block the sender" }).click(); assert.equal(await h1(page), "The sender is blocked"); }
    for (const page of [one, two]) { await page.getByRole("button", { name: "Undo" }).click(); assert.equal(await h1(page), "Block this sender?"); }
    assert.deepEqual(wrong(one), []);
    await one.done();
});

test("at every width, light and dark, it fits and nobody stumbles; hostile names stay in their line", async () => {
    for (const scheme of ["light", "dark"])
        for (const width of widths) {
            const page = await browser.stranger({ width, scheme });

            for (const to of [linkOf("long-awaited", "Release and allow the sender"), `${house.origin}/d/forged`]) {
                await page.goto(to);
                assert.equal(await overhang(page), 0, `${width} ${scheme} ${to}`);
                if (width === 320 || width === 1280) assert.deepEqual(await barriers(page), []);
            }
            await page.goto(linkOf("long-awaited", "Release and allow the sender"));
            assert.equal(await page.getByRole("button").count(), 1);
            assert.ok((await page.locator(".subject").innerText()).includes("</bdi></p></section><script>"));
            assert.deepEqual(wrong(page), []);
            await page.done();
        }
});

test("a browser that opens every link of the mail with scripts on and keeps cookies changes nothing", async () => {
    const before = house.sink.messages.length, page = await browser.stranger();
    let opened = 0;
    const rules = await house.must("rule", "export", "--scope", `mailbox:${ANNA}`);

    for (let round = 0; round < 2; round++)
        for (const [, to] of mail.matchAll(/href="(http[^"]*\/d\/[^"]*)"/g)) { await page.goto(to); opened++; }
    assert.equal(opened, 2 * (3 * 3 + 1));
    assert.equal(house.sink.messages.length, before);
    assert.equal(await house.must("rule", "export", "--scope", `mailbox:${ANNA}`), rules);
    assert.equal(await h1(page), "Stop this digest?");
    await page.done();
});

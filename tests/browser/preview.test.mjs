// HTML mail in the drawer, as hostile as it comes: nothing of it runs, and nothing is asked of anybody; nor in a window of its own.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { ANNA, arrived, openBrowser, openHouse, row, settled, waitFor } from "./lib.mjs";

const GIF = "R0lGODlhAQABAIAAAP8AAAAAACwAAAAAAQABAAACAkQBADs=";
const hostile = `<html><head><title>x</title><base href="http://evil.example/"><meta http-equiv="refresh" content="0;url=http://evil.example/refresh">
<link rel="stylesheet" href="http://evil.example/sheet.css"><link rel="prefetch" href="http://evil.example/prefetch"><link rel="dns-prefetch" href="//dns.evil.example">
<style>@import url(http://evil.example/import.css); body { background: url(http://evil.example/body.png) } @font-face { font-family: x; src: url(http://evil.example/font) }</style>
<script>alert("script")</script><script src="http://evil.example/script.js"></script></head>
<body onload="alert('onload')" background="http://evil.example/bg.png" style="background:url(http://evil.example/style.png);font-family:x">
<h1>You have won</h1><p onclick="alert(1)" style="position:fixed;color:green">Take it.</p>
<img src="http://evil.example/pixel.gif" alt="Our logo" onerror="alert('img')" srcset="http://evil.example/2x.png 2x"><img src="cid:own@ext.example" alt="Own" id="own" width="20" height="20">
<img src="data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIG9ubG9hZD0iYWxlcnQoMSkiLz4=">
<a href="https://bank.example@evil.example/login">www.bank.example</a> <a href="javascript:alert('link')">press</a>
<svg onload="alert('svg')"><image href="http://evil.example/svg.png"/><use xlink:href="http://evil.example/u.svg#x"/><script>alert(2)</script></svg>
<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert('mutated')&gt;"></table></math>
<iframe src="http://evil.example/frame" srcdoc="<script>alert('frame')</script>"></iframe><object data="http://evil.example/object"></object><embed src="http://evil.example/embed">
<video poster="http://evil.example/poster.png" src="http://evil.example/v.mp4" autoplay></video><audio src="http://evil.example/a.mp3" autoplay></audio>
<form action="http://evil.example/form"><input autofocus onfocus="alert('focus')" name="q"><input type="image" src="http://evil.example/input.png"><button formaction="javascript:alert(1)">Pay</button></form>
<details open ontoggle="alert('toggle')"><summary>s</summary></details><marquee onstart="alert('marquee')">m</marquee><b style="background:u\\72l(http://evil.example/escape.png)">end</b>`;
const related = (html) => ["--b", "Content-Type: text/html; charset=utf-8", "", html, "--b", "Content-Type: image/gif", "Content-Transfer-Encoding: base64", "Content-ID: <own@ext.example>", "", GIF, "--b--"].join("\r\n").replace(/\r?\n/g, "\r\n");
let house, browser;

before(async () => {
    house = await openHouse({ mail: [{ subject: "You have won: press here", fields: "MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=b\r\n", body: related(hostile) }] });
    browser = await openBrowser(house);
});
after(async () => { await browser?.close(); await house?.close(); });

// All that a page asks anybody for, but the frame's own address.
function watch(page) {
    const asked = [];
    page.on("request", (request) => { if (!request.url().startsWith(house.origin) && !request.url().startsWith("data:")) asked.push(request.url()); });
    return asked;
}

test("in the drawer hostile HTML shows its text, where its links lead and its own pictures, and loads and runs nothing", async () => {
    const page = await browser.person(ANNA), asked = watch(page), pictures = [];
    page.on("request", (request) => { if (request.url().startsWith("data:image/")) pictures.push(request.url()); });
    await page.at("/");
    await settled(page);
    await (await row(page, "You have won: press here")).click();
    await page.getByRole("tab", { name: "Preview" }).click();
    const first = await page.locator(".raw-text").innerText();
    for (const shown of ["You have won", "Take it.", "[Our logo]", "www.bank.example [evil.example]", "press [javascript:]", "end"]) assert.ok(first.includes(shown), `${shown} in: ${first}`);
    await page.getByRole("button", { name: "As designed" }).click();
    const frame = await waitFor("the frame", () => page.frames().find((f) => f.url().endsWith("/preview.html")));
    await frame.waitForLoadState();
    const text = await frame.locator("body").innerText();

    for (const shown of ["You have won", "Take it.", "[Our logo]", "www.bank.example [evil.example]", "press [javascript:]", "end"]) assert.ok(text.includes(shown), `${shown} in: ${text}`);
    assert.ok(pictures.length === 0 || pictures.every((p) => p.startsWith(`data:image/gif;base64,${GIF.slice(0, 20)}`)), pictures.join());
    assert.equal(await page.locator("iframe.preview").getAttribute("sandbox"), "");
    await page.waitForTimeout(500);
    assert.deepEqual(asked, []);
    assert.deepEqual(page.wrong.filter((w) => !/sandboxed/.test(w)), []);
    await page.done();
});

test("its address opened in a window of its own does no more", async () => {
    const page = await browser.person(ANNA), asked = watch(page);
    await page.at("/");
    await settled(page);
    const { uid, n } = await page.evaluate(async () => (await (await fetch("/api/v1/me/mail")).json()).items[0]);
    const response = await page.at(`/api/v1/deliveries/${uid}/${n}/preview.html`), headers = response.headers();

    assert.equal(response.status(), 200);
    assert.equal(headers["content-type"], "text/html; charset=utf-8");
    assert.match(headers["content-security-policy"], /^sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:/);
    assert.equal(headers["x-frame-options"], "SAMEORIGIN");
    assert.equal(headers["x-content-type-options"], "nosniff");
    assert.match(headers["cache-control"], /no-store/);
    assert.ok((await page.locator("body").innerText()).includes("www.bank.example [evil.example]"));
    assert.equal(await page.locator("a, script, iframe, form, input, svg, link, meta:not([charset]), [onclick], [onload], [onerror]").count(), 0);
    await page.waitForTimeout(500);
    assert.deepEqual(asked, []);
    assert.deepEqual(page.wrong, []);
    await page.done();
});

test("other sites may not frame it, and other answers of ours may be framed by nobody", async () => {
    const page = await browser.person(ANNA);
    await page.at("/");
    const { uid, n } = await page.evaluate(async () => (await (await fetch("/api/v1/me/mail")).json()).items[0]);
    const policies = await page.evaluate(async ([own, other]) => Promise.all([own, other].map(async (u) => (await fetch(u)).headers.get("content-security-policy"))), [`/api/v1/deliveries/${uid}/${n}/preview.html`, `/api/v1/deliveries/${uid}/${n}/preview`]);

    assert.match(policies[0], /frame-ancestors 'self'/);
    assert.match(policies[1], /frame-ancestors 'none'/);
    await page.done();
});

test("of a text in two forms the one is shown that a mail program shows, and once", async () => {
    const page = await browser.person(ANNA), form = (type, text) => `--a\r\nContent-Type: ${type}\r\n\r\n${text}\r\n`;
    await house.letter({ subject: "You have won: in two forms", fields: "MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=a\r\n", body: `${form("text/plain", "See you at seven.")}${form("text/html", "<p>See you at <a href='http://evil.example/x'>seven</a>.</p>")}--a--` });
    await page.at("/");
    await (await arrived(page, "You have won: in two forms")).click();
    await page.getByRole("tab", { name: "Preview" }).click();
    await page.locator(".raw-text").waitFor();
    assert.equal(await page.locator(".raw-text").innerText(), "See you at seven [evil.example].");
    assert.equal(await page.getByRole("button", { name: "Text" }).getAttribute("aria-pressed"), "true");
    await page.done();
});

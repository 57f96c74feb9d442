// A digest of hostile subjects and names, as mail programs show it: at 600 and 360 pixels, light and dark, in English and German. Whatever
// somebody wrote stays in its cell, is no button, and turns nothing around it. With SHOTS=DIR pictures of it are left there.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { program, run, signIn } from "../system/lib/index.mjs";
import { hostile, word } from "./hostile.mjs";
import { ANNA, barriers, openBrowser, openHouse, OTTO, overhang, waitFor } from "./lib.mjs";

const views = [[600, "light"], [600, "dark"], [360, "light"], [360, "dark"]];
const button = `<a class="act main" href="http://evil.example/" style="display:block">Release</a>`;
const more = [
    ["Your parcel could not be delivered", "Parcel Service"], ["Re: minutes of the meeting on Thursday, with the changes that we talked about and the new figures for the third quarter", "Katharina Wiedenbrück-Oberländer"],
    [`Hello</bdi></div></td></tr></table>${button}`, `</bdi>${button}`],
    ["[ Release ]  [ Release and allow the sender ]  [ Block the sender ]", "Release"],
    ["one line\r\n two\r\n\tthree", "A\r\n\tB"],
    ["\u2029\u2028\u0085 5. Invoice\u000B\u000C 6. Invoice", "7. Postern"],
    ["A".repeat(160) + " " + "i\u0300\u0301\u0302\u0303\u0304\u0305\u0306".repeat(80), "ẕ̸̢̛͎".repeat(200)],
    ["עברית <b>", "\u202Epostern"], ["", ""],
];
const letters = [...more.map(([subject, name], i) => ({ subject: /^[\x20-\x7e]*$/.test(subject) ? subject : word(subject), from: `y${i}@hostile.example`, name: name && (/^[\w ]*$/.test(name) ? name : word(name)) })), ...hostile];
let house, browser;
const html = {};

const inHtml = (text) => Buffer.from(text.split(/^Content-Type: text\/html/m)[1].split(/\r?\n\r?\n/).slice(1).join("\n\n").replace(/=\r?\n/g, "").replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16))), "latin1").toString("utf8").split(/\n--[^\n]*--\s*$/)[0];
async function preview(of) {
    const { code, stdout, stderr } = await run(program("postern-digest"), ["-c", house.conf, "--preview", of, "--now", new Date(Date.now() + 7_200_000).toISOString().replace(/\.\d+Z/, "Z")]);

    assert.equal(code, 0, stderr);
    assert.ok(stdout.length < 100_000, `${stdout.length} bytes`);
    assert.match(stdout, /^Subject: \S.* (in your quarantine|in Ihrer Quarant.*|=\?.*)$/mi);
    return inHtml(stdout.toString());
}

before(async () => {
    house = await openHouse({ mail: [] });
    house.configure({ digest: { reply_to: "digest-answers@ours.example" } });
    for (const who of [ANNA, OTTO]) await house.must("rule", "add", "--scope", `mailbox:${who}`, "block", "--name", "No strangers", "--sender", "hostile.example");
    for (const [i, l] of letters.entries()) await house.letter({ ...l, to: i < 24 ? ANNA : OTTO, ip: "192.0.2.7" });
    await house.letter({ to: ANNA, from: "a@ext.example", subject: "You have won", name: "Lottery" });
    browser = await openBrowser(house);
    const anna = await signIn(house, ANNA), otto = await signIn(house, OTTO);
    const subscribe = async (who, kind, of, language) => { const r = await who.post("/me/digests", { kind, of, hourly: true, minute: 0, zone: "Europe/Berlin", language, tells: ["quarantined", "blocked", "spam"] }); assert.ok(r.status < 300, r.text); };
    await subscribe(anna, "mailbox", ANNA, "en");
    await subscribe(otto, "domain", "ours.example", "de");
    await waitFor("all of it in the log", async () => (await otto.get(`/scopes/${encodeURIComponent("domain:ours.example")}/mail?limit=100`)).body.items.length > letters.length);
    html.person = await preview(ANNA);
    html.domain = await preview("ours.example");
});
after(async () => { await browser?.close(); await house?.close(); });

// What is wrong with how it lies there: a line each.
const looks = (page) => page.evaluate(() => {
    const wrong = [], say = (what, el) => wrong.push(`${what}: ${el.textContent.trim().slice(0, 80)}`);
    const known = /^(Release( and allow the sender)?|Block the sender|Zustellen( und Absender erlauben)?|Absender blockieren|Freigeben.*)$/;
    const cards = [...document.querySelectorAll(".card")];

    for (const card of cards) {
        const box = card.getBoundingClientRect();
        const inside = (r) => r.width === 0 || (r.left >= box.left - 1 && r.right <= box.right + 1 && r.top >= box.top - 1 && r.bottom <= box.bottom + 1);
        for (const el of card.querySelectorAll("*"))
            for (const r of el.getClientRects()) if (!inside(r)) { say(`${el.tagName} breaks out of its cell by ${Math.round(r.right - box.right)}`, el); break; }
        if (card.parentElement.closest(".card") || card.querySelector(".card")) say("a cell in a cell", card);
        const links = [...card.querySelectorAll("a, button, input, form, iframe, img, svg, script, style")];
        for (const a of links) if (a.tagName !== "A" || a.getAttribute("href") !== "#" || !known.test(a.textContent.trim())) say(`a forged ${a.tagName}`, a);
        if (links.length > 3) say(`${links.length} buttons`, card);
        // Each line of ours begins where its first letter stands and runs from left to right: nobody else's text turned it.
        for (const line of card.querySelectorAll(".soft")) {
            const text = [...line.childNodes].filter((n) => n.nodeType === 3 && /\w/.test(n.data));
            for (const node of text) {
                const at = (i) => { const r = document.createRange(); r.setStart(node, i); r.setEnd(node, i + 1); return r.getBoundingClientRect(); };
                const first = node.data.search(/\S/), last = node.data.trimEnd().length - 1;
                if (at(first).top === at(last).top && at(first).left > at(last).left) say("runs backwards", line);
            }
        }
        const number = card.querySelector(".soft").getBoundingClientRect();
        if (number.top - box.top > 40) say("its number is not on top", card);
    }
    if (cards.length < 20) wrong.push(`${cards.length} cells`);
    const tops = cards.map((c) => c.getBoundingClientRect());
    for (let i = 1; i < tops.length; i++) if (tops[i].top < tops[i - 1].bottom) say("lies over the one above", cards[i]);
    if (tops.some((r) => Math.abs(r.left - tops[0].left) > 1 || Math.abs(r.width - tops[0].width) > 1)) wrong.push("not all cells are equally wide");
    if (window.pwned) wrong.push("a script ran");
    return wrong;
});

for (const which of ["person", "domain"])
    for (const [width, scheme] of views)
        test(`of a ${which}, at ${width} pixels, ${scheme}`, async () => {
            const page = await browser.stranger({ width, height: 900, scheme }), file = join(house.dir, `${which}.html`);

            writeFileSync(file, html[which]);
            await page.goto(`file://${file}`);
            if (process.env.SHOTS) await page.screenshot({ path: join(process.env.SHOTS, `${which}-${width}-${scheme}.png`), fullPage: true });
            assert.deepEqual(await looks(page), []);
            assert.equal(await overhang(page), 0);
            assert.deepEqual(await barriers(page), []);
            assert.deepEqual(page.wrong, []);
            await page.done();
        });

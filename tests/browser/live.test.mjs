// Mail that comes while one looks: it is told, it waits until it is asked for, and a browser asks the server once, however many tabs.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { ANNA, barriers, EVA, openBrowser, openHouse, OTTO, row, settled, sleep, waitFor } from "./lib.mjs";

let house, browser;
before(async () => { house = await openHouse(); browser = await openBrowser(house); });
after(async () => { await browser?.close(); await house?.close(); });

const shown = (page) => page.locator(".row").evaluateAll((rows) => rows.map((r) => `${r.dataset.id} ${Math.round(r.getBoundingClientRect().top)}`));
const fresh = (page, text) => page.getByRole("button", { name: text });
const streams = (page) => { const all = []; page.on("request", (r) => { if (r.url().endsWith("/me/events")) all.push(r); }); return all; };
// Opens the list, and waits until the stream is there: the server's first word leads to a second look at the list.
async function listen(page, path) {
    let looks = 0;
    const second = page.waitForResponse((r) => r.url().includes("/me/mail") && r.ok() && ++looks === 2);

    await page.at(path);
    await second;
}
const hide = (page, hidden) => page.evaluate((h) => { Object.defineProperty(document, "hidden", { value: h, configurable: true }); document.dispatchEvent(new Event("visibilitychange")); }, hidden);

test("new mail is told above the list, moves nothing, and comes in when one says so", async () => {
    const page = await browser.person(ANNA);

    await listen(page, "/");
    await settled(page);
    const before = await shown(page);
    await house.letter({ subject: "News one" });
    await fresh(page, "1 new message").waitFor();
    await house.letter({ subject: "News two" });
    await house.letter({ to: OTTO, subject: "News for Otto" });
    await fresh(page, "2 new messages").waitFor();
    assert.deepEqual(await shown(page), before, "every row is where it was");
    assert.deepEqual(await barriers(page), []);
    await fresh(page, "2 new messages").click();
    await row(page, "News one").waitFor();
    assert.match((await page.locator(".row").first().innerText()), /News two/);
    assert.equal((await page.locator(".row").count()), before.length + 2);
    assert.equal(await page.getByText("News for Otto").count(), 0);
    assert.deepEqual(page.wrong, []);
    await page.done();
});

test("what becomes of a message that just came is seen where it stands, and in the drawer", async () => {
    const page = await browser.person(ANNA);

    await listen(page, "/");
    await house.letter({ subject: "On its way" });
    await fresh(page, "1 new message").click();
    await row(page, "On its way").locator(".chip-received").waitFor();
    await row(page, "On its way").click();
    await page.locator(".drawer .steps").waitFor();
    const before = await shown(page);
    house.delivered("On its way");
    await row(page, "On its way").locator(".chip-delivered").waitFor();
    await page.locator(".drawer .chip-delivered").waitFor();
    await page.locator(".drawer .steps").getByText("Delivered to anna@ours.example").waitFor();
    assert.deepEqual(await shown(page), before);
    assert.deepEqual(page.wrong, []);
    await page.done();
});

test("where nothing was, the first message comes by itself", async () => {
    const page = await browser.person(EVA);

    await listen(page, "/");
    await page.getByRole("heading", { name: "No mail yet" }).waitFor();
    let looks = 0;
    await page.route("**/api/v1/me/mail?*", (r) => (++looks === 1 ? r.fulfill({ status: 503, contentType: "application/problem+json", body: "{}" }) : r.continue()));
    await house.letter({ to: EVA, subject: "The very first" });
    await row(page, "The very first").waitFor();
    assert.equal(looks, 2, "what the server could not answer is asked again");
    await page.done();
});

test("in quarantine too what comes waits until it is asked for, and what is picked stays picked", async () => {
    const page = await browser.person(ANNA);

    await listen(page, "/quarantine");
    await settled(page);
    await page.getByLabel("Select “Your parcel").check();
    const before = await shown(page);
    await house.letter({ subject: "A raffle for you", from: "raffle@ext.example", fields: 'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n', body: '--b\r\nContent-Type: text/plain\r\n\r\nSee the ticket.\r\n--b\r\nContent-Type: application/pdf; name="ticket.pdf"\r\nContent-Disposition: attachment; filename="ticket.pdf"\r\n\r\nPDF\r\n--b--' });
    await fresh(page, "1 new message").waitFor();
    assert.deepEqual(await shown(page), before, "every row is where it was");
    assert.deepEqual(await barriers(page), []);
    await fresh(page, "1 new message").click();
    await row(page, "A raffle for you").getByRole("img", { name: "Has attachments" }).waitFor();
    assert.equal(await row(page, "Your parcel").getByRole("img", { name: "Has attachments" }).count(), 0);
    assert.equal(await page.getByLabel("Select “Your parcel").isChecked(), true);
    await page.at("/?q=raffle");
    await row(page, "A raffle for you").getByRole("img", { name: "Has attachments" }).waitFor();
    assert.deepEqual(page.wrong, []);
    await page.done();
});

test("what the search excludes does not come, however new it is", async () => {
    const page = await browser.person(ANNA);
    const found = (q) => page.evaluate(async (words) => (await (await fetch(`/api/v1/me/mail?q=${encodeURIComponent(words)}`)).json()).items, q);

    await house.letter({ subject: "An early raffle", from: "raffle@ext.example" });
    await house.written();
    await page.at("/");
    await settled(page);
    const [{ rule }] = await found("raffle status:quarantined");
    assert.match(rule, /^[0-9a-f-]{36}$/);
    await listen(page, `/?q=subject:late%20-rule:${rule}`);
    await house.letter({ subject: "Late raffle", from: "raffle@ext.example" });
    await waitFor("the raffle", async () => (await found('subject:"late raffle"')).length === 1);
    await house.letter({ subject: "Late news" });
    await row(page, "Late news").waitFor();
    assert.equal(await page.locator(".row").count(), 1);
    assert.deepEqual(page.wrong, []);
    await page.done();
});

test("only what a search is about is told beneath it", async () => {
    const page = await browser.person(ANNA);

    await listen(page, "/?q=subject:ladder");
    await settled(page);
    const asked = page.waitForResponse((r) => r.url().includes("/me/mail"));
    await house.letter({ subject: "Something else" });
    await asked;
    await house.letter({ subject: "A second ladder" });
    await fresh(page, "1 new message").waitFor();
    await page.done();
});

test("two tabs share a stream, and when its tab is hidden the other takes it over", async () => {
    const first = await browser.person(ANNA), one = streams(first);

    await listen(first, "/");
    await settled(first);
    const second = await first.context().newPage(), two = streams(second);
    await second.goto(`${house.origin}/`);
    await settled(second);
    await sleep(500);
    await house.letter({ subject: "For both tabs" });
    await fresh(first, "new message").waitFor();
    await fresh(second, "new message").waitFor();
    assert.deepEqual([one.length, two.length], [1, 0]);
    await hide(first, true);
    await waitFor("the second tab's stream", () => two.length === 1);
    await house.letter({ subject: "While the first is hidden" });
    await fresh(second, "2 new messages").waitFor();
    assert.equal(await fresh(first, "2 new messages").count(), 0);
    await hide(first, false);
    await fresh(first, "2 new messages").waitFor();
    await hide(first, true);
    await hide(second, true);
    await waitFor("no stream any more", () => one.concat(two).every((r) => r.failure() !== null));
    await first.done();
});

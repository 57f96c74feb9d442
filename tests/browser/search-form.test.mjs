// The form beside the search box: it says what the box says, the box and the address say what it says, and days are the reader's.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { ANNA, barriers, openBrowser, openHouse, overhang, row, settled, sleep, waitFor } from "./lib.mjs";

let house, browser;
before(async () => { house = await openHouse(); browser = await openBrowser(house); });
after(async () => { await browser?.close(); await house?.close(); });

const q = (page) => new URL(page.url()).searchParams.get("q");
const box = (page) => page.getByLabel("Search mail");
const form = (page) => page.getByRole("dialog", { name: "Narrow the search" });
const openForm = async (page) => { await page.getByRole("button", { name: /^Filter/ }).click(); await form(page).waitFor(); };
const says = (page, text) => waitFor(text, async () => (await box(page).inputValue()) === text && (q(page) ?? "") === text);

test("each field builds its part, in the box and in the address", async () => {
    const page = await browser.person(ANNA);

    await page.at("/");
    await settled(page);
    await openForm(page);
    const field = (name) => form(page).getByLabel(name, { exact: true });
    await field("Sender").pressSequentially("garden example");
    await says(page, 'from:"garden example"');
    await field("Sender: exclude").check();
    await says(page, '-from:"garden example"');
    await field("Words").pressSequentially("ladder -x from:me");
    await says(page, '-from:"garden example" ladder "-x" "from:me"');
    await field("Words").fill("");
    await field("Sender").fill("");
    await field("Without the words").fill("parcel");
    await says(page, "-parcel");
    await field("Without the words").fill("");
    await field("Spam").check();
    await field("Quarantined").check();
    await says(page, "status:spam,quarantined");
    await field("Status: exclude").check();
    await says(page, "-status:spam,quarantined");
    await field("Direction").selectOption("inbound");
    await says(page, "-status:spam,quarantined direction:inbound");
    await field("Direction: exclude").check();
    await says(page, "-status:spam,quarantined -direction:inbound");
    await field("Direction").selectOption("");
    await says(page, "-status:spam,quarantined");
    await form(page).getByText("Ids and what servers answered").click();
    for (const [name, part] of [["Id of the message", "uid"], ["Domain", "domain"], ["Id of the rule", "rule"], ["Answer to the sender's server", "inbound"], ["Answer of the next server", "outbound"], ["Answer of the mailbox's server", "delivery"], ["Subject", "subject"], ["Recipient", "to"]]) {
        await form(page).getByRole("button", { name: "Clear all" }).click();
        await field(name).fill("x");
        await says(page, `${part}:x`);
        await field(`${name}: exclude`).check();
        await says(page, `-${part}:x`);
    }
    await form(page).getByRole("button", { name: "Clear all" }).click();
    await says(page, "");
    await field("Subject").fill("ladder");
    await page.keyboard.press("Enter");
    await form(page).waitFor({ state: "detached" });
    await row(page, "The ladder you lent me").waitFor();
    await waitFor("nothing else", async () => await page.locator(".row").count() === 1);
    assert.match(await page.getByRole("link", { name: "Export as CSV" }).getAttribute("href"), /subject%3Aladder/);
    await page.getByRole("button", { name: "Keep this search" }).waitFor();
    assert.deepEqual(page.wrong, []);
    await page.done();
});

test("what is typed in the box, or stands in a link, is what the form shows", async () => {
    const page = await browser.person(ANNA);

    await page.at(`/?${new URLSearchParams({ q: '-from:"a b" from:c status:blocked,rejected after:2026-11-02 before:2026-11-05 Re: -loud -direction:outbound rule:x -rule:y -domain:z.example direction:inbound,local' })}`);
    await openForm(page);
    const of = (name) => form(page).getByLabel(name, { exact: true });
    assert.equal(await of("Sender").first().inputValue(), "a b");
    assert.equal(await of("Sender: exclude").first().isChecked(), true);
    assert.equal(await of("Sender").nth(1).inputValue(), "c");
    assert.equal(await of("Sender: exclude").nth(1).isChecked(), false);
    assert.deepEqual([await of("Blocked").isChecked(), await of("Rejected").isChecked(), await of("Spam").isChecked()], [true, true, false]);
    assert.deepEqual([await of("From day").inputValue(), await of("To day").inputValue()], ["2026-11-02", "2026-11-04"], "both days are in it");
    assert.deepEqual([await of("Words").inputValue(), await of("Without the words").inputValue(), await of("Domain").inputValue()], ["Re:", "loud", "z.example"]);
    for (const [name, values] of [["Direction", ["outbound", "inbound,local"]], ["Id of the rule", ["x", "y"]]])
        for (const [i, value] of values.entries()) assert.equal(await of(name).nth(i).inputValue(), value);
    for (const [name, not] of [["Direction", [true, false]], ["Id of the rule", [false, true]], ["Domain", [true]], ["Id of the message", [false]]])
        for (const [i, is] of not.entries()) assert.equal(await of(`${name}: exclude`).nth(i).isChecked(), is, `${name} ${i}`);
    await box(page).fill("-status:spam date:today subject:hers");
    await waitFor("the form", async () => (await of("Subject").inputValue()) === "hers");
    assert.deepEqual([await of("Spam").isChecked(), await of("Status: exclude").isChecked(), await of("Blocked").isChecked()], [true, true, false]);
    assert.equal(await form(page).getByRole("button", { name: "Today" }).getAttribute("aria-pressed"), "true");
    assert.deepEqual(page.wrong, []);
    await page.done();
});

test("a day begins where the reader is", async () => {
    const page = await browser.person(ANNA, { timezoneId: "Pacific/Auckland" });
    const asked = [];

    page.on("request", (r) => { const u = new URL(r.url()); if (u.pathname === "/api/v1/me/mail") asked.push(u.searchParams.get("q") ?? ""); });
    await page.clock.setFixedTime("2026-11-21T12:30:00Z"); // the 22nd, there
    await page.at("/");
    await settled(page);
    await openForm(page);
    const day = async (name, text, range) => {
        await form(page).getByRole("button", { name }).click();
        await says(page, text);
        await waitFor(range, () => asked.at(-1) === range);
    };
    await day("Today", "date:today", "after:2026-11-21T11:00:00Z before:2026-11-22T11:00:00Z");
    await day("Yesterday", "date:yesterday", "after:2026-11-20T11:00:00Z before:2026-11-21T11:00:00Z");
    await day("Last 7 days", "date:7d", "after:2026-11-15T11:00:00Z before:2026-11-22T11:00:00Z");
    await day("Last 30 days", "date:30d", "after:2026-10-23T11:00:00Z before:2026-11-22T11:00:00Z");
    await day("Own range", "after:2026-10-24 before:2026-11-23", "after:2026-10-23T11:00:00Z before:2026-11-22T11:00:00Z");
    await form(page).getByLabel("To day").fill("2026-10-25");
    await waitFor("the range", () => asked.at(-1) === "after:2026-10-23T11:00:00Z before:2026-10-25T11:00:00Z");
    await day("Any time", "", "");
    assert.deepEqual(page.wrong, []);
    await page.done();
});

test("by keys alone: opened, filled, left by Escape, back at its button; one step back undoes it", async () => {
    const page = await browser.person(ANNA);

    await page.at("/");
    await settled(page);
    await page.keyboard.press("/");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await form(page).waitFor();
    await page.keyboard.press("Tab"); // close
    await page.keyboard.press("Tab"); // any time
    await page.keyboard.press("Tab");
    await page.keyboard.press("Space");
    await says(page, "date:today");
    await page.keyboard.press("Escape");
    await form(page).waitFor({ state: "detached" });
    assert.match(await page.evaluate(() => document.activeElement.textContent), /Filter \(1\)/);
    await page.goBack();
    await says(page, "");
    assert.deepEqual(page.wrong, []);
    await page.done();
});

test("in both languages, at both widths, light and dark, everybody can use it; on a phone it is a sheet", async () => {
    for (const [width, scheme, locale] of [[1280, "light", "en-GB"], [1280, "dark", "de-DE"], [390, "light", "de-DE"], [390, "dark", "en-GB"], [320, "light", "de-DE"]]) {
        const page = await browser.person(ANNA, { width, scheme, locale }), said = `${width} ${scheme} ${locale}`;

        await page.at("/?q=from:x%20date:7d%20-rule:x%20-direction:outbound");
        await settled(page);
        assert.equal(await overhang(page), 0, said);
        await page.getByRole("button", { name: /^Filter/ }).click();
        const sheet = page.locator("#search-form");
        await sheet.waitFor();
        await sleep(50);
        assert.deepEqual(await barriers(page), [], said);
        assert.equal(await overhang(page), 0, said);
        const { width: wide, height } = await sheet.boundingBox();
        assert.equal(wide === width && height === 800, width < 900, `${said}: ${wide} by ${height}`);
        assert.ok(!/form\./.test(await sheet.innerText()), "a text is missing");
        if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/form-${width}-${scheme}.png` });
        await page.locator("#search-form button[type='submit']").click();
        await sheet.waitFor({ state: "detached" });
        assert.deepEqual(page.wrong, []);
        await page.done();
    }
});

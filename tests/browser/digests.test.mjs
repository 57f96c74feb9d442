// Digests by hand: asked for at an hour that the page shows, paused, sent, refused, looked at, let go; and what a domain gives.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";

import { Browser, keyed, program, run, signIn, startSmtpSink } from "../system/lib/index.mjs";
import { ANNA, barriers, openBrowser, openHouse, OTTO, overhang, ROOT, settled, waitFor } from "./lib.mjs";

let house, browser, letters, she, refuses = false;
before(async () => {
    letters = await startSmtpSink({ answer: (verb) => (verb === "RCPT" && refuses ? "550 5.2.1 <b>This</b> mailbox is closed" : null) });
    house = await openHouse();
    house.configure({ smtp: { url: `smtp://127.0.0.1:${letters.port}` } });
    browser = await openBrowser(house);
    she = await signIn(house, ANNA);
});
beforeEach(async () => { for (const { id } of (await she.get("/me/digests")).body.items) await she.del(`/me/digests/${id}`); });
after(async () => { await browser?.close(); await house?.close(); await letters?.stop(); });

const weekdays = { kind: "mailbox", of: ANNA, minute: 450, days: ["monday", "tuesday", "wednesday", "thursday", "friday"], zone: "Europe/Berlin", language: "en", tells: ["quarantined"] };
const has = async (digest) => assert.equal((await she.post("/me/digests", digest)).status, 201);
const card = (page) => page.getByRole("region", { name: "Digests" });
const line = (page, text) => card(page).getByRole("listitem").filter({ hasText: text });
const open = async (address, options) => { const page = await browser.person(address, options); await page.at("/settings"); await settled(page); return page; };
const dialog = (page) => page.getByRole("dialog");
const save = async (page) => { await dialog(page).getByRole("button", { name: "Save" }).click(); await dialog(page).waitFor({ state: "detached" }); };
const round = async () => { const { code, stderr } = await run(program("postern-digest"), ["-c", house.conf, "--once", "--now", new Date(Date.now() + 6000).toISOString().replace(/\.\d+Z/, "Z")]); assert.equal(code, 0, stderr); };

test("a digest is asked for with the browser's zone proposed, and the page says when the next one comes", async () => {
    const page = await open(ANNA);

    await card(page).getByText("No digest is sent to you").waitFor();
    await card(page).getByRole("button", { name: "New digest" }).click();
    assert.equal(await dialog(page).getByLabel("Time zone").inputValue(), "Europe/Berlin");
    await dialog(page).getByText("As this browser says. Is it right?").waitFor();
    for (const day of ["Sat", "Sun"]) await dialog(page).getByLabel(day).uncheck();
    await dialog(page).getByLabel("At", { exact: true }).fill("07:30");
    await dialog(page).getByText(/^Next one: (Mon|Tues|Wednes|Thurs|Fri)day.* 07:30$/).waitFor();
    await save(page);
    await line(page, `Every weekday at 07:30, Europe/Berlin: ${ANNA}, what is quarantined`).getByText(/^Next one: .*07:30$/).waitFor();
    assert.deepEqual(page.wrong, []);
    await page.done();
});

test("what is wrong is said where it was typed, and nothing is lost", async () => {
    await has(weekdays);
    const page = await open(ANNA);

    await card(page).getByRole("button", { name: "Edit" }).click();
    await dialog(page).getByLabel("Time zone").fill("Mars/Olympus");
    await dialog(page).getByText("No time zone “Mars/Olympus” is installed.").first().waitFor();
    await dialog(page).getByRole("button", { name: "Save" }).focus();
    await page.keyboard.press("Enter");
    await waitFor("what is wrong", async () => await dialog(page).getByLabel("Time zone").getAttribute("aria-invalid") === "true");
    assert.equal(await dialog(page).getByText("No time zone “Mars/Olympus” is installed.").count(), 1, "at its field, and there alone");
    await page.keyboard.press("Tab");
    assert.ok(await dialog(page).evaluate((node) => node.contains(document.activeElement)), "the button was busy, and the focus stays inside");
    await dialog(page).getByLabel("Time zone").fill("Asia/Kathmandu");
    await dialog(page).getByText("This browser is in Europe/Berlin.").waitFor();
    assert.equal(await dialog(page).getByLabel("Time zone").getAttribute("aria-invalid"), null, "another is typed, which nobody has found wrong");
    await dialog(page).getByLabel("blocked by rules").check();
    await dialog(page).getByLabel("Language of the letter").selectOption("de");
    await save(page);
    await line(page, "Every weekday at 07:30, Asia/Kathmandu").getByText("what is quarantined or blocked").waitFor();
    await card(page).getByRole("button", { name: "Edit" }).click();
    await dialog(page).getByLabel("How often").selectOption("hour");
    await dialog(page).getByLabel("Minutes past the hour").fill("15");
    await save(page);
    await line(page, "Every hour, 15 minutes past, Asia/Kathmandu").waitFor();
    assert.deepEqual(page.wrong, []);
    await page.done();
});

test("it pauses for two weeks and goes on; deleted, it comes back by a press; all by keys", async () => {
    await has(weekdays);
    const page = await open(ANNA);
    const press = async (name) => { await card(page).getByRole("button", { name }).focus(); await page.keyboard.press("Enter"); };

    await press("Pause for two weeks");
    await card(page).getByText(/^Paused until .*\. Next one: /).waitFor();
    await press("Resume");
    await card(page).getByRole("button", { name: "Pause for two weeks" }).waitFor();
    await press("Delete");
    await card(page).getByText("No digest is sent to you").waitFor();
    await page.getByRole("button", { name: "Undo" }).focus();
    await page.keyboard.press("Enter");
    await line(page, "Every weekday at 07:30, Europe/Berlin").waitFor();
    await press("New digest");
    await page.keyboard.press("Escape");
    await dialog(page).waitFor({ state: "detached" });
    assert.match(await page.evaluate(() => document.activeElement.textContent), /New digest/, "the focus is where it was");
    assert.deepEqual(page.wrong, []);
    await page.done();
});

test("one is sent now and again, and what the mail server says is shown as text", async () => {
    await has(weekdays);
    const page = await open(ANNA), now = card(page).getByRole("button", { name: "Send one now" });

    // What came in the last seconds is for the next letter: there may be nothing to tell yet.
    const sent = async () => { const [answer] = await Promise.all([page.waitForResponse((r) => r.url().endsWith("/send")), now.click()]); return (await answer.json()).sent; };
    await waitFor("a letter", sent, { everyMs: 1000 });
    await page.getByText("A letter is on its way.").waitFor();
    await card(page).getByText("A letter waits to be sent.").waitFor();
    await round();
    await page.reload();
    await card(page).getByText(/^The last letter told of \d+ messages? and was sent:/).waitFor();
    await card(page).getByRole("button", { name: "Send it again" }).click();
    await card(page).getByText("A letter waits to be sent.").waitFor();
    refuses = true;
    await round();
    refuses = false;
    await page.reload();
    await card(page).getByText("The mail server refused the last letter:").waitFor();
    await card(page).getByText("<b>This</b> mailbox is closed").waitFor();
    assert.equal(letters.messages.length, 1);
    assert.deepEqual(page.wrong, []);
    await page.done();
});

test("the preview is a frame where nothing runs, as wide as a desk or a phone", async () => {
    const page = await open(OTTO);

    await card(page).getByRole("button", { name: "New digest" }).click();
    await dialog(page).getByLabel("Of which mail").selectOption({ label: "All of ours.example" });
    await save(page);
    await line(page, "Every day at 07:00, Europe/Berlin: ours.example").waitFor();
    await card(page).getByRole("button", { name: "Preview" }).click();
    const frame = dialog(page).frameLocator("iframe");
    await frame.locator("table").first().waitFor();
    assert.equal(await dialog(page).locator("iframe").getAttribute("sandbox"), "");
    for (const [name, width] of [["Phone", 362], ["Desk", 600]]) {
        await dialog(page).getByRole("button", { name }).click();
        await waitFor(name, async () => Math.abs((await dialog(page).locator("iframe").boundingBox()).width - width) <= 40);
        if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/digests-preview-${name}.png` });
    }
    assert.deepEqual(page.wrong, []);
    await page.done();
});

test("the operator sets what a domain's people begin with and names its admin address; an owner sees both", async () => {
    const page = await browser.person(ROOT);

    await page.at("/people?tab=domain");
    await settled(page);
    await page.getByText("Who gets a mailbox begins without a digest.").waitFor();
    await page.getByRole("button", { name: "Begin with a digest" }).click();
    await save(page);
    await page.getByText("Who gets a mailbox begins with this: Every day at 07:00, Europe/Berlin: what is quarantined").waitFor();
    await page.getByLabel("Address", { exact: true }).fill("chief@elsewhere.example");
    await page.getByRole("button", { name: "Make it the admin address" }).click();
    await page.getByText("chief@elsewhere.example owns the domain and gets its digest.").waitFor();
    assert.deepEqual(await barriers(page), []);
    if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/digests-domain.png`, fullPage: true });
    // Another operator is faster, by command.
    await page.getByRole("button", { name: "Change" }).click();
    await dialog(page).getByLabel("blocked").check();
    await house.must("digest", "default", "ours.example", "--at", "08:30", "--zone", "Europe/Berlin");
    await dialog(page).getByRole("button", { name: "Save" }).click();
    await dialog(page).getByRole("alert").getByText("Every day at 08:30, Europe/Berlin: what is quarantined or blocked").waitFor();
    assert.equal(await dialog(page).getByLabel("At", { exact: true }).inputValue(), "08:30");
    if (process.env.SHOTS) for (const [width, scheme] of [[1280, "light"], [390, "dark"]]) { await page.setViewportSize({ width, height: 800 }); await page.emulateMedia({ colorScheme: scheme }); await dialog(page).getByRole("alert").scrollIntoViewIfNeeded(); await page.screenshot({ path: `${process.env.SHOTS}/digests-meanwhile-${width}.png` }); }
    await dialog(page).getByRole("button", { name: "Save mine" }).click();
    await page.getByText("Every day at 08:30, Europe/Berlin: what is quarantined or blocked").waitFor();
    assert.deepEqual(page.wrong, []);
    await page.done();
    const otto = await browser.person(OTTO);
    await otto.at("/people?tab=domain");
    await otto.getByText("chief@elsewhere.example owns the domain").waitFor();
    assert.equal(await otto.getByRole("button", { name: "Change" }).count(), 0);
    await otto.done();
    const chief = await open("chief@elsewhere.example");
    await line(chief, "Every day at 07:00, Europe/Berlin: ours.example, what is quarantined").waitFor();
    await chief.done();
});

test("staff see no digest, and are told so", async () => {
    const sso = keyed(house, (await house.must("token", "add", "sso", "sso", "--role", "owner", "--domain", "ours.example", "--from", "127.0.0.0/8")).match(/pst_\S+/)[0]), sam = new Browser(house.origin);
    const { body } = await sso.post("/handoffs", { login: OTTO, domain: "ours.example", kind: "staff", staff_name: "Sam of Support" });
    await sam.call("POST", "/handoffs/arrive", { body: `token=${body.token}`, json: false, headers: { "Content-Type": "application/x-www-form-urlencoded", Origin: "https://dashboard.example", "Sec-Fetch-Site": "cross-site", "X-CSRF-Token": null } });
    await sam.post("/handoffs/use", { confirm: true });
    const page = await browser.stranger();
    await page.context().addCookies([...sam.cookies].map(([name, value]) => ({ name, value, url: house.origin, httpOnly: true, sameSite: "Lax" })));

    await page.at("/settings");
    await card(page).getByText("Staff can neither see nor change a person’s digests.").waitFor();
    await settled(page);
    assert.equal(await page.locator(".digest").count(), 0);
    assert.equal(await card(page).getByRole("button").count(), 0);
    assert.deepEqual(await barriers(page), []);
    assert.deepEqual(page.wrong, []);
    await page.done();
});

test("it can be read by everybody, at every width, and nothing hangs over", async () => {
    await has(weekdays);
    for (const [width, scheme] of [[1280, "light"], [1280, "dark"], [390, "light"], [390, "dark"]]) {
        const page = await open(ANNA, { width, scheme, ...(scheme === "dark" && { locale: "de-DE" }) });
        const shot = async (name) => { if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/digests-${name}-${width}-${scheme}.png` }); };

        await page.locator(".digest").waitFor();
        await page.locator("#digests").scrollIntoViewIfNeeded();
        assert.deepEqual(await barriers(page), [], `${width} ${scheme}`);
        assert.equal(await overhang(page), 0, `${width}`);
        await shot("list");
        await page.getByRole("button", { name: scheme === "dark" ? "Neuer Bericht" : "New digest" }).click();
        await page.locator(".first-one").getByText(/07:00/).waitFor();
        assert.deepEqual(await barriers(page), [], `${width} ${scheme}, asking`);
        assert.equal(await overhang(page), 0, `${width}`);
        await shot("add");
        assert.deepEqual(page.wrong, []);
        await page.done();
    }
});

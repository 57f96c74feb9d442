// The quarantine as people work with it: what is held in two groups, many at once, a job for all results, the bin, and asking for a release.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { signIn } from "../system/lib/index.mjs";
import { ANNA, barriers, hold, openBrowser, openHouse, OTTO, overhang, settled, waitFor } from "./lib.mjs";

const PARCEL = "Your parcel is waiting", LOTTERY = "Lottery: final notice";
let house, browser, anna, otto;
before(async () => {
    house = await openHouse();
    for (let i = 0; i < 130; i++) await house.letter({ subject: `Raffle number ${i}`, from: `raffle${i}@ext.example` });
    await house.written();
    browser = await openBrowser(house);
    [anna, otto] = [await browser.person(ANNA), await browser.person(OTTO)];
});
after(async () => { await browser?.close(); await house?.close(); });

const group = (page, name) => page.getByRole("region", { name });
const box = (page, subject) => page.getByLabel(`Select “${subject}`);
const note = (page, text) => page.locator(".note", { hasText: text }).waitFor();
const shot = async (page, name) => { if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/${name}.png` }); };

test("what is held stands in two groups, what is probably no spam first", async () => {
    await anna.at("/quarantine");
    await settled(anna);
    await group(anna, "Probably not spam").getByText("Raffle number 129").waitFor();
    await anna.getByRole("button", { name: "Show more" }).click();
    await group(anna, "Probably spam").getByText(PARCEL).waitFor();
    assert.equal(await group(anna, "Probably spam").getByText("Raffle number").count(), 0);
    await shot(anna, "groups");
});

test("what is picked is deleted at one press, and the note takes it back", async () => {
    await anna.at("/quarantine?q=parcel");
    await settled(anna);
    await box(anna, PARCEL).check();
    await shot(anna, "picked");
    await anna.getByRole("button", { name: "Delete" }).click();
    await note(anna, "1 message deleted.");
    await waitFor("a place for the keys", () => anna.evaluate(() => document.activeElement !== document.body));
    await anna.getByRole("heading", { name: "Nothing matches" }).waitFor();
    await anna.getByRole("link", { name: "Recently deleted" }).click();
    await anna.locator("a.row", { hasText: PARCEL }).click();
    await anna.getByRole("dialog").locator(".verdict").waitFor();
    await shot(anna, "deleted");
    await anna.keyboard.press("Escape");
    await anna.getByRole("button", { name: "Put back" }).click();
    await note(anna, "It is in quarantine again.");
    await anna.getByRole("heading", { name: "Nothing deleted" }).waitFor();
    await anna.getByRole("link", { name: "Held", exact: true }).click();
    await group(anna, "Probably spam").getByText(PARCEL).waitFor();
});

test("all results of a search are one job, with its progress, and it is taken back", async () => {
    await anna.at("/quarantine?q=raffle");
    await settled(anna);
    await anna.getByLabel(/Select all \d+ shown/).check();
    await anna.getByRole("button", { name: "Select all 130 results of this search" }).click();
    await anna.getByText("All 130 results are selected").waitFor();
    await anna.getByRole("button", { name: "Delete" }).click();
    await anna.getByRole("dialog", { name: "Delete all 130 messages?" }).getByRole("button", { name: "Delete" }).click();
    await anna.getByText("130 messages deleted.").waitFor();
    await anna.getByRole("heading", { name: "Nothing matches" }).waitFor();
    await shot(anna, "job");

    // All of them are there to be had back, by keys too: the next one is where the last was.
    await anna.getByRole("link", { name: "Recently deleted" }).click();
    const rows = anna.locator(".rows a.row"), focused = () => anna.evaluate(() => document.activeElement.closest("li")?.innerText);
    await rows.nth(99).waitFor();
    await anna.getByRole("button", { name: "Show more" }).click();
    await rows.nth(129).waitFor();
    await anna.getByRole("button", { name: "Put back" }).nth(122).focus();
    await anna.keyboard.press("Enter");
    await note(anna, "It is in quarantine again.");
    await waitFor("the next", async () => /Raffle number 6$/m.test(await focused()));
    assert.equal(await rows.count(), 129);
    await anna.keyboard.press("k");
    await anna.getByRole("dialog").getByRole("heading", { name: "Raffle number 129" }).waitFor();
    await anna.keyboard.press("Escape");
    for (const width of [390, 1280]) {
        await anna.setViewportSize({ width, height: 800 });
        assert.equal(await overhang(anna), 0, `${width}`);
        assert.deepEqual(await barriers(anna), [], `${width}`);
        await shot(anna, `bin-${width}`);
    }
    await anna.locator(".bar").getByRole("button", { name: "Undo" }).click();
    await anna.getByText("130 messages put back.").waitFor();
    await anna.getByRole("heading", { name: "Nothing deleted" }).waitFor();
    await anna.getByRole("link", { name: "Held", exact: true }).click();
    await group(anna, "Probably not spam").getByText("Raffle number 129").waitFor();
});

test("what is picked while the list is read again stays picked, as far as it is still there", async () => {
    await anna.at("/quarantine?q=raffle");
    await settled(anna);
    for (const n of [50, 51]) await box(anna, `Raffle number ${n}`).check();
    await anna.locator("a.row", { hasText: "Raffle number 50" }).click();
    const go = await hold(anna, "GET", "**/api/v1/me/mail?*"), asked = anna.waitForRequest(/\/me\/mail\?/);
    await anna.getByRole("dialog").getByRole("button", { name: "Release", exact: true }).click();
    await asked;
    await anna.keyboard.press("Escape");
    await box(anna, "Raffle number 52").check();
    await go();
    await box(anna, "Raffle number 50").waitFor({ state: "detached" });
    assert.deepEqual(await Promise.all([51, 52, 53].map((n) => box(anna, `Raffle number ${n}`).isChecked())), [true, true, false]);
    await anna.getByRole("toolbar").getByText("2 selected").waitFor();
});

test("what the mail server has not taken is taken back: one by one, of a selection, and of a job, which says what had gone", async () => {
    const drawer = anna.getByRole("dialog"), seen = house.sink.messages.length, api = await signIn(house, ANNA);
    house.wire.cut();
    await anna.at("/quarantine?q=raffle");
    await settled(anna);
    await anna.locator("a.row", { hasText: "Raffle number 99" }).click();
    await drawer.getByRole("button", { name: "Release", exact: true }).click();
    await note(anna, "It will be released as soon as");
    await drawer.getByRole("button", { name: "Take back the release" }).click();
    await note(anna, "Taken back: it is held as before.");
    await drawer.getByText("The release was taken back").waitFor();
    await drawer.getByRole("button", { name: "Release", exact: true }).waitFor();
    await anna.keyboard.press("Escape");
    for (const n of [97, 98]) await box(anna, `Raffle number ${n}`).check();
    await anna.getByRole("button", { name: "Release", exact: true }).click();
    await note(anna, "2 messages released. 2 of them leave as soon as");
    await anna.locator(".note").getByRole("button", { name: "Undo" }).click();
    await note(anna, "2 taken back.");

    const q = 'is:held subject:"of the yard"', of = async () => (await api.get(`/me/mail?q=${encodeURIComponent(q)}`)).body.items;
    for (let i = 0; i < 3; i++) await house.letter({ subject: `Raffle of the yard ${i}`, from: "yard@ext.example" });
    await waitFor("the three", async () => (await of()).length === 3);
    const { body: job } = await api.post("/me/jobs", { what: "release", q });
    await anna.at(`/quarantine?job=${job.id}`);
    await anna.getByText("3 messages released. What the mail server has not taken yet can be taken back.").waitFor();
    house.wire.mend();
    const [one] = await of();
    assert.equal((await api.post(`/deliveries/${one.uid}/${one.n}/release`)).body.state, "sent");
    for (const [width, scheme] of [[390, "dark"], [1280, "light"]]) {
        await anna.setViewportSize({ width, height: 800 });
        await anna.emulateMedia({ colorScheme: scheme });
        await shot(anna, `waits-${width}`);
        assert.equal(await overhang(anna), 0, `${width}`);
    }
    await anna.locator(".bar").getByRole("button", { name: "Undo" }).click();
    await anna.getByText("2 taken back, 1 had already been sent.").waitFor();
    await shot(anna, "taken-back");
    assert.equal(await anna.locator(".bar").getByRole("button", { name: "Undo" }).count(), 0);
    assert.equal(house.sink.messages.length, seen + 1);
    assert.deepEqual(anna.wrong, []);
});

test("who may not release asks, and the owner answers above the list", async () => {
    await anna.at("/quarantine?q=lottery");
    await settled(anna);
    await anna.locator("a.row", { hasText: LOTTERY }).click();
    await anna.getByRole("button", { name: "Ask for release" }).click();
    await anna.getByLabel("Why do you need it?").fill("I did play.");
    await shot(anna, "ask");
    await anna.getByRole("button", { name: "Ask", exact: true }).click();
    await anna.getByText("an owner of the domain decides").last().waitFor();
    assert.equal(await anna.getByRole("button", { name: "Release", exact: true }).count(), 0);

    await otto.at("/quarantine?in=domain:ours.example");
    await settled(otto);
    const asks = otto.getByRole("region", { name: "1 person asks for a release" });
    await asks.getByText("I did play.").waitFor();
    await shot(otto, "requests");
    await asks.getByRole("button", { name: "Refuse" }).click();
    await otto.getByLabel(`Your answer to ${ANNA}`).fill("It is a fraud.");
    await otto.getByRole("dialog").getByRole("button", { name: "Refuse" }).click();
    await note(otto, "Refused");
    await anna.reload();
    await anna.getByText("It is a fraud.").waitFor();
});

test("a clerk has the quarantine of the domain and nothing else: what they may there, and no other page", async () => {
    const CLERK = "helga@far.example", held = async (subject, to = ANNA) => { const { body } = await (await signIn(house, to)).get(`/me/mail?q=${encodeURIComponent(`subject:"${subject}"`)}`); return body.items[0]; };
    await house.must("account", "add", CLERK, "--name", "Helga Fern");
    await house.must("account", "set", CLERK, "--clerk", "ours.example");
    for (const [width, scheme, subject] of [[1280, "light", "Raffle number 12"], [390, "dark", "Raffle number 13"]]) {
        const page = await browser.person(CLERK, { width, height: 844, scheme }), drawer = page.getByRole("dialog");
        const menu = async () => { if (width < 900) await page.getByRole("button", { name: "Menu" }).click(); };

        await page.at("/");
        await settled(page);
        await page.getByRole("heading", { name: "Quarantine", level: 1 }).waitFor();
        await menu();
        assert.deepEqual(await page.getByRole("navigation", { name: "Main" }).getByRole("link").allInnerTexts(), ["Quarantine", "Settings"]);
        if (width < 900) await page.keyboard.press("Escape");
        assert.deepEqual(await barriers(page), [], `${width}`);
        assert.equal(await overhang(page), 0, `${width}`);
        await shot(page, `clerk-${width}`);

        // Of theirs in the table of who may release what: spam, yes; what a rule of the domain holds, no.
        await page.at(`/quarantine?q=${encodeURIComponent(`subject:"${subject}"`)}`);
        await page.locator("a.row", { hasText: subject }).first().click();
        await drawer.locator(".verdict").waitFor();
        await drawer.getByRole("button", { name: "Report not spam", exact: true }).click();
        await page.locator(".note").waitFor();
        await drawer.getByRole("button", { name: "Release", exact: true }).click();
        await note(page, "Released");
        assert.deepEqual(await barriers(page), [], `${width}, the drawer`);
        assert.equal(await overhang(page), 0, `${width}, the drawer`);
        await page.at("/quarantine?q=lottery");
        await page.locator("a.row", { hasText: LOTTERY }).first().click();
        await drawer.locator(".verdict").waitFor();
        assert.equal(await drawer.getByRole("button", { name: /^Release/ }).count(), 0, "a rule of the domain holds it");
        assert.equal(await drawer.getByRole("button", { name: /sender/ }).count(), 0, "nor are its rules theirs");

        for (const path of ["/mail", "/rules", "/policies", "/people", "/log", "/brand"]) {
            await page.at(path);
            await page.getByRole("heading", { name: "There is nothing here" }).waitFor();
        }
        await page.at("/settings");
        await settled(page);
        assert.deepEqual(await barriers(page), [], `${width}, settings`);
        assert.deepEqual(page.wrong, []);
        await page.done();
    }
    assert.equal((await held("Raffle number 12")).released, true);
    const delivered = await held("Your appointment"), clerk = await signIn(house, CLERK);
    assert.equal((await clerk.get(`/deliveries/${delivered.uid}/${delivered.n}`)).status, 404, "of what was never held there is nothing");
});

test("the quarantine can be read by everybody, at every width, and nothing hangs over", async () => {
    for (const [width, scheme] of [[1280, "light"], [390, "dark"], [320, "light"]]) {
        const page = await browser.person(ANNA, { width, scheme });

        await page.at("/quarantine");
        await settled(page);
        await page.getByLabel(/Select all \d+ shown/).check();
        await shot(page, `q-${width}-${scheme}`);
        assert.deepEqual(await barriers(page), [], `${width} ${scheme}`);
        assert.equal(await overhang(page), 0, `${width}`);
        assert.deepEqual(page.wrong, []);
        await page.done();
    }
});

// What people set for themselves, and owners for their domain, by hand.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { ANNA, barriers, openBrowser, openHouse, OTTO, PASSWORD, ROOT, settled } from "./lib.mjs";

let house, browser;
before(async () => { house = await openHouse({ mail: [] }); browser = await openBrowser(house); });
after(async () => { await browser?.close(); await house?.close(); });

test("a password that is guessed early is refused at its field, a good one is set", async () => {
    const page = await browser.person(ANNA);
    await page.at("/settings");
    await settled(page);
    await page.getByLabel("Your password until now").fill(PASSWORD);
    await page.getByLabel("New password").fill("Password2026!");
    await page.getByRole("button", { name: "Set the password" }).click();
    await page.getByText("Somebody who guesses would try that early").waitFor();
    await page.getByLabel("New password").fill("seven green kettles");
    await page.getByRole("button", { name: "Set the password" }).click();
    await page.getByText("The password is set.").waitFor();
    assert.deepEqual(page.wrong, []);
    await page.done();
});

test("a person is added, and deleted only when the name is typed", async () => {
    const page = await browser.person(OTTO);
    await page.at("/people?tab=people");
    await settled(page);
    await page.getByLabel("Address", { exact: true }).fill("new@ours.example");
    await page.getByRole("button", { name: "Add person" }).click();
    await page.getByRole("button", { name: "Delete new@ours.example" }).click();
    const dialog = page.getByRole("dialog"), sure = dialog.getByRole("button", { name: "Delete" });
    assert.equal(await sure.isDisabled(), true);
    await dialog.getByLabel("Type new@ours.example to go on").fill("new@ours.example");
    await sure.click();
    await page.getByText("The account is deleted.").waitFor();
    assert.deepEqual(page.wrong, []);
    await page.done();
});

test("the operator gives a domain another name, says where its mailboxes are and what stands before a tag", async () => {
    const page = await browser.person(ROOT);
    await page.at("/people?in=ours.example&tab=domain");
    await settled(page);
    await page.getByLabel("Another name").fill("Also-Ours.example");
    await page.getByRole("button", { name: "Add name" }).click();
    await page.getByRole("button", { name: "Remove also-ours.example" }).waitFor();
    await page.getByLabel("Its mailboxes are").selectOption({ label: "on another server" });
    await page.getByText("Saved").first().waitFor();
    await page.getByLabel("Before a tag").fill("-");
    await page.getByLabel("Before a tag").blur();
    await page.getByText("Saved").first().waitFor();
    const read = async () => { const { domain, aliases } = await page.evaluate(() => fetch("/api/v1/domains/ours.example").then((r) => r.json())); return [domain.kind, domain.delimiter, aliases]; };
    for (let i = 0; i < 50 && (await read())[1] !== "-"; i++) await page.waitForTimeout(50);
    assert.deepEqual(await read(), ["relay", "-", ["also-ours.example"]]);
    await page.getByRole("button", { name: "Remove also-ours.example" }).click();
    await page.getByText("It has no other name.").waitFor();
    assert.deepEqual(page.wrong, []);
    await page.done();
});

test("the operator gives somebody whose mail is elsewhere a domain to look after, and takes them out again", async () => {
    const page = await browser.person(ROOT);
    await page.at("/people?in=ours.example&tab=people");
    await settled(page);
    await page.getByLabel("Address", { exact: true }).fill("helper@far.example");
    await page.getByRole("button", { name: "Add person" }).click();
    await page.getByText("Somebody whose mail is elsewhere").waitFor();
    await page.getByLabel("Role", { exact: true }).selectOption("clerk");
    await page.getByRole("button", { name: "Add person" }).click();
    assert.equal(await page.getByLabel("Role of helper@far.example").inputValue(), "clerk");
    await page.at("/people?tab=everybody");
    await page.getByRole("button", { name: "Delete helper@far.example" }).click();
    await page.getByRole("dialog").getByLabel("Type helper@far.example to go on").fill("helper@far.example");
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByText("The account is deleted.").waitFor();
    await page.at("/log?in=global");
    await page.getByText("helper@far.example").first().waitFor();
    assert.deepEqual(page.wrong, []);
    await page.done();
});

test("on a phone everything that can be done with a person is in view, without scrolling sideways", async () => {
    for (const [tab, names] of [["people", [`May sign in: ${ANNA}`, `Delete ${ANNA}`, `Role of ${ANNA}`]], ["mailboxes", [`Whose is ${ANNA}`, `Delete ${ANNA}`]]]) {
        const page = await browser.person(OTTO, { width: 390 });

        await page.at(`/people?tab=${tab}`);
        await settled(page);
        for (const name of names) {
            const box = await page.getByLabel(name, { exact: true }).boundingBox();
            assert.ok(box.x >= 0 && box.x + box.width <= 390, `${name}: ${JSON.stringify(box)}`);
        }
        assert.equal(await page.evaluate(() => [...document.querySelectorAll("main *")].filter((e) => getComputedStyle(e).overflowX === "auto" && e.scrollWidth > e.clientWidth && e.getAttribute("role") !== "tablist").length), 0);
        assert.deepEqual(await barriers(page), []);
        await page.done();
    }
});

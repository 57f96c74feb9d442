// What people set for themselves, and owners for their domain, by hand.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { ANNA, openBrowser, openHouse, OTTO, PASSWORD, settled } from "./lib.mjs";

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

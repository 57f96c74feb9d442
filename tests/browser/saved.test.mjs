// Saved searches by hand: kept, gone to, arranged by keys, let go.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";

import { signIn } from "../system/lib/index.mjs";
import { ANNA, barriers, openBrowser, openHouse, overhang, row, settled, waitFor } from "./lib.mjs";

let house, browser, she;
before(async () => { house = await openHouse(); browser = await openBrowser(house); she = await signIn(house, ANNA); });
after(async () => { await browser?.close(); await house?.close(); });
beforeEach(async () => { for (const { id } of (await she.get("/me/searches")).body.items) await she.del(`/me/searches/${id}`); });

const has = async (...searches) => { for (const [name, q] of searches) assert.equal((await she.post("/me/searches", { name, q })).status, 201); };
const both = [["Ladders", "subject:ladder"], ["What is <b>held</b>", "status:quarantined"]];

const saved = (page) => page.getByRole("group", { name: "Searches that you keep" });
const keep = async (page, name) => {
    await page.getByRole("button", { name: "Keep this search" }).click();
    await page.getByRole("dialog").getByLabel("Name").fill(name);
    await page.keyboard.press("Enter");
    await saved(page).getByRole("link", { name, exact: true }).waitFor();
};
const names = (page) => saved(page).getByRole("link").allInnerTexts();

test("a search is kept by a name, and a press goes back to it", async () => {
    const page = await browser.person(ANNA);

    await page.at("/");
    await settled(page);
    assert.equal(await page.getByRole("button", { name: "Keep this search" }).count(), 0, "there is no search to keep");
    await page.at("/?q=subject:ladder");
    await keep(page, "Ladders");
    assert.equal(await saved(page).getByRole("link", { name: "Ladders" }).getAttribute("aria-current"), "true");
    await page.at("/?q=status:quarantined");
    await keep(page, "What is <b>held</b>");
    await saved(page).getByRole("link", { name: "Ladders" }).click();
    await row(page, "The ladder you lent me").waitFor();
    assert.equal(new URL(page.url()).searchParams.get("q"), "subject:ladder");
    await page.at("/?q=parcel");
    await page.getByRole("button", { name: "Keep this search" }).click();
    await page.getByRole("dialog").getByLabel("Name").fill("Ladders");
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").getByText("already").waitFor();
    assert.deepEqual(page.wrong, []);
    await page.done();
});

test("they are put in order, renamed and let go, by keys too", async () => {
    const page = await browser.person(ANNA);

    await has(...both);
    await page.at("/");
    await saved(page).waitFor();
    await page.getByRole("button", { name: "Arrange" }).click();
    await page.getByRole("button", { name: "Move down: Ladders" }).focus();
    await page.keyboard.press("Enter");
    await waitFor("the order", async () => (await names(page)).join() === "What is <b>held</b>,Ladders");
    await page.getByLabel("Name of Ladders").fill("Steps");
    await page.keyboard.press("Enter");
    await saved(page).getByText("Steps").waitFor();
    await page.getByRole("button", { name: "Delete: What is <b>held</b>" }).click();
    await waitFor("it to go", async () => (await names(page)).join() === "Steps");
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    assert.deepEqual(page.wrong, []);
    await page.done();
});

test("it can be read by everybody, at every width, and nothing hangs over", async () => {
    await has(...both);
    for (const [width, scheme] of [[1280, "light"], [1280, "dark"], [390, "light"], [390, "dark"]]) {
        const page = await browser.person(ANNA, { width, scheme });

        await page.at("/?q=parcel");
        await settled(page);
        assert.deepEqual(await barriers(page), [], `${width} ${scheme}`);
        assert.equal(await overhang(page), 0, `${width}`);
        await page.getByRole("button", { name: "Arrange" }).click();
        assert.deepEqual(await barriers(page), [], `${width} ${scheme}, arranging`);
        assert.equal(await overhang(page), 0, `${width}`);
        if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/saved-${width}-${scheme}.png` });
        assert.deepEqual(page.wrong, []);
        await page.done();
    }
});

// The operator makes a brand and gives it to a domain; its people see it at once, and nobody else does.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { ANNA, barriers, openBrowser, openHouse, overhang, ROOT, settled, waitFor } from "./lib.mjs";

const SVG = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 30" width="120" height="30"><text x="0" y="22" font-size="20" fill="#1d4ed8">Acme</text></svg>`;
let house, browser;
before(async () => { house = await openHouse(); browser = await openBrowser(house); });
after(async () => { await browser?.close(); await house?.close(); });

const accent = (page) => page.evaluate(() => document.documentElement.style.getPropertyValue("--accent"));

test("a brand is made, given to a domain, and seen by its people", async () => {
    const page = await browser.person(ROOT);
    await page.at("/brand");
    await page.getByRole("button", { name: "Add a brand" }).click();
    for (const [label, text] of [["Name", "Acme Mail"], ["Support address", "help@acme.example"], ["Link to webmail", "https://webmail.acme.example/"], ["Colour on light pages", "#ffee88"]]) await page.getByLabel(label, { exact: true }).fill(text);
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText(/hard to read/).waitFor();
    assert.equal(await page.getByLabel("Colour on light pages").getAttribute("aria-invalid"), "true", "said at its field");
    assert.equal(await page.getByLabel("Pick one for light pages").inputValue(), "#ffee88");
    await page.getByLabel("Name", { exact: true }).press("Enter");
    await page.getByText(/hard to read/).waitFor();
    await page.getByLabel("Colour on light pages").fill("#1d4ed8");
    await page.getByLabel(/^Sender of mail/).fill("a@acme.example, b@acme.example");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("The sender is one mail address, and not several.").waitFor();
    await page.getByLabel(/^Sender of mail/).fill("Acme <mail@acme.example>");
    await page.getByLabel("Colour on dark pages").fill("#93c5fd");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("heading", { name: "Acme Mail" }).waitFor();
    await page.getByText("Acme <mail@acme.example>").waitFor();
    const logo = join(house.dir ?? "/tmp", "logo.svg");
    writeFileSync(logo, SVG);
    await page.locator("input[type=file]").setInputFiles(logo);
    await page.getByAltText("The logo of Acme Mail").waitFor();
    await page.getByLabel("Another domain").fill("ours.example");
    await page.getByLabel("Another domain").press("Enter");
    await page.getByText("ours.example", { exact: true }).waitFor();
    for (const [width, colorScheme] of [[1280, "light"], [1280, "dark"], [390, "light"], [320, "dark"]]) {
        await page.setViewportSize({ width, height: 800 });
        await page.emulateMedia({ colorScheme });
        await settled(page);
        assert.equal(await overhang(page), 0, `${width}`);
        assert.deepEqual(await barriers(page), [], `${width} ${colorScheme}`);
        if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/brand-${width}-${colorScheme}.png` });
    }
    await page.done();

    const anna = await browser.person(ANNA);
    await anna.setViewportSize({ width: 1280, height: 800 });
    await anna.emulateMedia({ colorScheme: "light" });
    await anna.at("/");
    await settled(anna);
    assert.match(await anna.title(), /· Acme Mail$/);
    assert.equal(await accent(anna), "#1d4ed8");
    await waitFor("the logo", () => anna.locator(".side a.brand img").evaluate((i) => i.complete && i.naturalWidth > 0));
    assert.equal(await anna.getByRole("link", { name: "Webmail" }).getAttribute("href"), "https://webmail.acme.example/");
    await anna.emulateMedia({ colorScheme: "dark" });
    await waitFor("the dark colour", async () => (await accent(anna)) === "#93c5fd");
    assert.equal(await anna.locator(".side a.brand img").evaluate((i) => getComputedStyle(i).backgroundColor), "rgb(255, 255, 255)", "its logo can be seen there");
    assert.equal(await anna.locator("link[rel=icon]").getAttribute("type"), null, "it may be of any kind");
    assert.deepEqual(await barriers(anna), []);
    if (process.env.SHOTS) await anna.screenshot({ path: `${process.env.SHOTS}/branded.png` });
    assert.deepEqual(anna.wrong, []);
    await anna.done();
});

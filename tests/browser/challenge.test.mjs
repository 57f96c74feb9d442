// Signing in behind a challenge service: its widget in the page, its script kept away, and the service gone.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { startPortal } from "../system/lib/index.mjs";
import { startSiteverify } from "../system/lib/siteverify.mjs";
import { ANNA, barriers, openBrowser, openHouse, overhang, PASSWORD } from "./lib.mjs";

let house, browser, service;
before(async () => {
    [house, service] = [await openHouse({ mail: [] }), await startSiteverify()];
    writeFileSync(join(house.dir, "challenge.secret"), "the secret", { mode: 0o400 });
    await house.down();
    await startPortal(house, { port: house.port, settings: { challenge_site_key: "our-site", challenge_secret: join(house.dir, "challenge.secret"), challenge_verify: `${service.at}/siteverify`, challenge_script: `${service.at}/api.js?render=explicit` } });
    browser = await openBrowser(house);
});
after(async () => { await browser?.close(); await service?.stop(); await house?.close(); });

// What else went wrong than that the service was asked.
const wrong = (page) => page.wrong.filter((w) => w !== `asked ${service.at}/api.js?render=explicit` && w !== `asked ${service.at}/frame`);
const fill = async (page) => {
    await page.at("/");
    await page.getByRole("button", { name: "password" }).click();
    await page.getByLabel("Your email address").fill(ANNA);
    await page.getByLabel("Password").fill(PASSWORD);
};
const enter = (page) => page.getByRole("button", { name: "Sign in", exact: true }).click();

test("the service's script comes when it is needed, and its token opens the door", async () => {
    for (const [width, scheme] of [[1280, "light"], [390, "dark"]]) {
        const page = await browser.stranger({ width, scheme });

        await fill(page);
        assert.ok(!page.wrong.some((w) => w.includes(service.at)), "nobody is asked before somebody signs in");
        assert.deepEqual(await barriers(page), []);
        assert.equal(await overhang(page), 0);
        await enter(page);
        await page.getByRole("heading", { name: "Mail", level: 1 }).waitFor();
        assert.equal(await page.evaluate(() => globalThis.standInSaw), "our-site");
        assert.match(service.asked.at(-1).response, /^good/);
        assert.deepEqual(wrong(page), []);
        await page.done();
    }
});

test("what keeps the script away is told, and the next press may go through", async () => {
    const page = await browser.stranger();

    await page.route(`${service.at}/**`, (route) => route.abort());
    await fill(page);
    await enter(page);
    await page.getByText(`keeps ${new URL(service.at).host} away`).waitFor();
    await page.unroute(`${service.at}/**`);
    await enter(page);
    await page.getByRole("heading", { name: "Mail", level: 1 }).waitFor();
    await page.done();
});

test("a service that has gone stands in nobody's way", async () => {
    const page = await browser.stranger();

    service.manner = "broken";
    await fill(page);
    await enter(page);
    await page.getByRole("heading", { name: "Mail", level: 1 }).waitFor();
    assert.deepEqual(wrong(page), []);
    await page.done();
});

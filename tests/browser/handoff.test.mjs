// From the example's dashboard, which is another site to the browser, into the portal.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { freePort, root, start } from "../system/lib/index.mjs";
import { ANNA, barriers, openBrowser, openHouse, OTTO, overhang, settled, waitFor } from "./lib.mjs";

let house, browser, dashboard, at;

before(async () => {
    const port = await freePort();

    at = `http://localhost:${port}`; // the portal is at 127.0.0.1: cross-site
    house = await openHouse({ mail: [] });
    await house.stopPortal();
    house.configure({ portal: { sso_url: `${at}/` } });
    await house.up();
    const key = (await house.must("token", "add", "dashboard", "sso", "--role", "owner", "--domain", "ours.example", "--from", "127.0.0.0/8")).match(/pst_\S+/)[0];
    dashboard = await start("dashboard", process.execPath, [`${root}/examples/sso/dashboard.mjs`], { dir: house.dir, env: { ...process.env, PORTAL: house.origin, KEY: key, PORT: String(port), DOMAIN: "ours.example", PEOPLE: ANNA }, ready: async () => (await fetch(at).catch(() => ({}))).ok });
    browser = await openBrowser(house);
});
after(async () => { await browser?.close(); await dashboard?.stop(); await house?.close(); });

// Asking the dashboard is what this is about.
const wrong = (page) => page.wrong.filter((w) => !w.startsWith(`asked ${at}/`));
const who = (page) => page.evaluate(async () => (await (await fetch("/api/v1/session")).json()));
const inside = (page) => page.waitForURL((url) => url.origin === house.origin && url.pathname !== "/handoff" && !url.pathname.startsWith("/api/"));

test("who begins at the portal comes back signed in, without being asked", async () => {
    const page = await browser.stranger();
    await page.at("/api/v1/handoff/start");
    await page.getByRole("button", { name: `Mail of ${ANNA}` }).click();
    await page.getByRole("button", { name: "Go on to your mail" }).click();
    await inside(page);
    assert.equal((await who(page)).account.login, ANNA);
    assert.deepEqual(wrong(page), []);
    await page.done();
});

test("who begins at the dashboard is asked, at any width, and cancelling changes nothing", async () => {
    for (const width of [320, 1280]) {
        const page = await browser.stranger({ width });
        await page.goto(at);
        await page.getByRole("button", { name: `Mail of ${ANNA}` }).click();
        await page.getByRole("button", { name: "Go on to your mail" }).click();
        await page.getByText(`Go on as ${ANNA}?`).waitFor();
        if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/handoff-${width}.png` });
        assert.deepEqual(await barriers(page), []);
        assert.equal(await overhang(page), 0);
        assert.equal((await who(page)).signed_in, false);
        await page.getByRole("button", { name: "Cancel" }).click();
        await inside(page);
        assert.equal((await who(page)).signed_in, false);
        assert.deepEqual(wrong(page), []);
        await page.done();
    }
});

test("staff come over a session after a press, and the page says whose it is", async () => {
    const page = await browser.person(OTTO);
    await page.goto(at);
    await page.getByRole("button", { name: `Help ${ANNA}` }).click();
    await page.getByRole("button", { name: "Go on to your mail" }).click();
    await page.getByText(`You are signed in as ${OTTO}.`).waitFor();
    await page.getByRole("button", { name: "Go on", exact: true }).click();
    await inside(page);
    await settled(page);
    await page.getByText(`Signed in by Sam of Support, on behalf of ${ANNA}.`).waitFor();
    await page.at("/settings");
    await settled(page);
    await page.getByText("Nobody can change somebody else’s password here.").waitFor();
    assert.deepEqual(await page.getByRole("button", { name: /password|^Sign out/i }).allInnerTexts(), ["Sign out"], "nothing is offered that staff may not do");
    await page.setViewportSize({ width: 390, height: 700 });
    await page.evaluate(() => scrollTo(0, 600));
    const banner = await page.locator(".banner").boundingBox(), bar = await page.locator(".topbar").boundingBox();
    assert.ok(Math.abs(banner.y - bar.height) < 2, "whose session it is stays in sight");
    await page.setViewportSize({ width: 1280, height: 800 });
    assert.equal((await who(page)).staff, true);
    assert.deepEqual(wrong(page), []);
    await page.done();
});

test("what was used is said to be so", async () => {
    const page = await browser.stranger();
    await page.at("/handoff");
    await page.getByRole("heading", { name: "This does not work any more" }).waitFor();
    await waitFor("the way out", () => page.getByRole("button", { name: "To the start page" }).isVisible());
    assert.deepEqual(await barriers(page), []);
    await page.done();
});

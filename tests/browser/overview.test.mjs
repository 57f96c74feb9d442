// The first page by role: what the operator sees of the service, an owner of the domain, and that people land on their mail.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { ANNA, barriers, EVA, openBrowser, openHouse, OTTO, overhang, ROOT, row, settled, waitFor } from "./lib.mjs";

const views = [[1280, "light"], [1280, "dark"], [390, "light"], [390, "dark"]];
let house, browser;
before(async () => { house = await openHouse(); browser = await openBrowser(house); });
after(async () => { await browser?.close(); await house?.close(); });

const card = (page, name) => page.locator("section", { has: page.getByRole("heading", { name, exact: true }) });

test("the operator lands on the service: figures, queue, what waits, programs", async () => {
    const page = await browser.person(ROOT);

    // Who takes too long to answer is said to be silent, until one looks again.
    await waitFor("rulesd to answer", async () => { await page.at("/"); await settled(page); return /postern-rulesd[^]*Runs/.test(await card(page, "Programs").innerText()); });
    await page.getByRole("heading", { name: "Overview", level: 1 }).waitFor();
    assert.match(await card(page, "Last message checked").innerText(), /\d+ messages today/);
    assert.match(await card(page, "Scanner").innerText(), /\d+ ms on average[^]*all answered/);
    assert.match(await card(page, "Space for held mail").innerText(), /beyond what is kept free/);
    assert.match(await card(page, "Programs").innerText(), /postern-rulesd[^]*Runs[^]*postern-trainer[^]*Unknown[^]*listen_http/);
    await waitFor("the queue", async () => { await page.at("/"); await settled(page); return /1 message/.test(await card(page, "The mail server’s queue").innerText()); });
    await page.getByRole("link", { name: "1 message" }).click();
    await row(page, "One more thing").or(page.locator("a.row").first()).first().waitFor();
    assert.equal(new URL(page.url()).pathname, "/mail");
    assert.deepEqual(page.wrong, []);
    await page.done();
});

test("of several nodes the page names the slowest, the busiest and the one that is silent", async () => {
    const page = await browser.person(ROOT), [here, there] = ["10.0.0.1:11344", "10.0.0.2:11344"];

    await page.route("**/api/v1/overview?*", async (route) => {
        const response = await route.fetch({ headers: { ...route.request().headers(), "accept-encoding": "identity" } }), o = await response.json(), rulesd = o.programs.find((p) => p.name === "postern-rulesd");
        o.programs = [{ ...rulesd, at: here }, { ...rulesd, at: there, state: "silent", since: null }, ...o.programs.filter((p) => p !== rulesd)];
        await route.fulfill({ response, json: { ...o, scanner: { ...o.scanner, slowest: here }, load: { ...o.load, at: here }, disk: { ...o.disk, at: here } } });
    });
    for (const [width, colorScheme] of views) {
        await page.setViewportSize({ width, height: 900 });
        await page.emulateMedia({ colorScheme });
        await page.at("/");
        await page.getByText(`Without ${there}: no answer.`).waitFor();
        await settled(page);
        assert.match(await card(page, "Scanner").innerText(), /slowest node: 10\.0\.0\.1:11344/);
        assert.match(await card(page, "Load").innerText(), /busiest node: 10\.0\.0\.1:11344/);
        assert.match(await card(page, "Space for held mail").innerText(), /least of it: 10\.0\.0\.1:11344/);
        assert.match(await card(page, "Programs").innerText(), /postern-rulesd\s+Runs\s+10\.0\.0\.1:11344[^]*postern-rulesd\s+No answer\s+Nobody answers at 10\.0\.0\.2:11344/);
        assert.equal(await overhang(page), 0, `${width}`);
        assert.deepEqual(await barriers(page), [], `${width} ${colorScheme}`);
        if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/nodes-${width}-${colorScheme}.png` });
    }
    assert.deepEqual(page.wrong, []);
    await page.done();
});

test("a test mail is sent from there, and the server's answer stands beneath it", async () => {
    const page = await browser.person(ROOT), before = house.sink.messages.length;

    await page.at("/");
    await page.getByLabel("To", { exact: true }).fill(EVA);
    await page.getByRole("button", { name: "Send" }).click();
    await page.getByText("The mail server took it:").waitFor();
    await page.getByText("2.0.0 kept").waitFor();
    assert.equal(house.sink.messages.length, before + 1);
    assert.deepEqual(house.sink.messages[before].rcpts, [EVA]);
    assert.deepEqual(await barriers(page), []);
    assert.deepEqual(page.wrong, []);
    await page.done();
});

test("an owner lands on their domain, and everybody else on their mail", async () => {
    const otto = await browser.person(OTTO), anna = await browser.person(ANNA);

    await otto.at("/");
    await settled(otto);
    assert.match(await card(otto, "Deliveries today").innerText(), /Quarantined/);
    assert.equal(await otto.getByText("Programs").count(), 0);
    assert.equal(await otto.getByText("Send a test mail").count(), 0);
    await card(otto, "Deliveries today").getByRole("link", { name: "Quarantined" }).click();
    await otto.locator("a.row").first().waitFor();
    assert.equal(new URL(otto.url()).searchParams.get("in"), "domain:ours.example");
    await otto.at("/?q=invoice");
    await row(otto, "Invoice 4711").waitFor();
    assert.equal(new URL(otto.url()).pathname, "/mail", "a search is about mail, wherever it begins");
    await anna.at("/");
    await anna.getByRole("heading", { name: "Mail", level: 1 }).waitFor();
    assert.equal(await anna.getByRole("link", { name: "Overview" }).count(), 0);
    for (const page of [otto, anna]) { assert.deepEqual(page.wrong, []); await page.done(); }
});

test("nothing quarantined is said with when the last message was checked", async () => {
    const eva = await browser.person(EVA);

    await eva.at("/quarantine");
    await eva.locator(".empty").getByText("No message was checked yet.").waitFor();
    await house.letter({ to: EVA, subject: "For Eva", ends: "sent" });
    await waitFor("her message to be delivered", async () => { await eva.at("/quarantine"); await settled(eva); return await eva.getByText("1 delivered today.").count() === 1; });
    assert.match(await eva.locator(".empty").innerText(), /Nothing quarantined\s+Last message checked .*, 1 delivered today\./);
    await eva.done();
});

test("it can be read by everybody, at every width, in both languages, and nothing hangs over", async () => {
    for (const [who, locale] of [[ROOT, "en-GB"], [ROOT, "de-DE"], [OTTO, "de-DE"]])
        for (const [width, scheme] of views) {
            const page = await browser.person(who, { width, scheme, locale });

            await page.at("/");
            await settled(page);
            assert.deepEqual(await barriers(page), [], `${who} ${width} ${scheme}`);
            assert.equal(await overhang(page), 0, `${who} ${width}`);
            assert.deepEqual(page.wrong, []);
            await page.done();
        }
});

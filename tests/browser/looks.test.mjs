// How every page looks to everybody: nothing that stops a reader, nothing wider than the window, nothing that a policy forbids, and
// strangers' text as text.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { hostile } from "./hostile.mjs";
import { ANNA, barriers, openBrowser, openHouse, OTTO, overhang, places, ROOT, row, settled, waitFor, widths } from "./lib.mjs";

let house, browser;
before(async () => {
    house = await openHouse();
    for (const one of hostile) await house.letter({ ...one, to: ANNA });
    await house.written();
    browser = await openBrowser(house);
});
after(async () => { await browser?.close(); await house?.close(); });

const views = [[1280, "light"], [1280, "dark"], [390, "light"], [390, "dark"]];
const drawer = (page) => page.locator(".drawer");
async function look(page, width, scheme) {
    await page.setViewportSize({ width, height: width < 600 ? 844 : 800 });
    await page.emulateMedia({ colorScheme: scheme });
}

describe("every page, as everybody,", () => {
    for (const who of [ANNA, OTTO, ROOT])
        test(`as ${who}: axe finds nothing, and nothing is wider than the window`, async () => {
            const page = await browser.person(who);

            for (const path of places) {
                await page.at(path);
                await settled(page);
                assert.equal(await page.evaluate(() => document.querySelector("main h1, main h2, main h3")?.tagName), "H1", `${path} begins with its title`);
                for (const width of widths) {
                    await look(page, width, "light");
                    assert.equal(await overhang(page), 0, `${path} at ${width}`);
                }
                for (const [width, scheme] of views) {
                    await look(page, width, scheme);
                    assert.deepEqual(await barriers(page), [], `${path} at ${width}, ${scheme}`);
                }
            }
            assert.deepEqual(page.wrong, []);
            await page.done();
        });

    test("with the drawer open, at each of its tabs", async () => {
        const page = await browser.person(ANNA);

        for (const [width, scheme] of [...views, [320, "light"], [768, "light"]]) {
            await look(page, width, scheme);
            await page.at("/?q=bank");
            await row(page, "Unusual sign-in").click();
            await drawer(page).locator(".verdict").waitFor();
            for (const tab of await page.getByRole("tab").all()) {
                await tab.click();
                await settled(page);
                assert.deepEqual(await barriers(page), [], `${await tab.innerText()} at ${width}, ${scheme}`);
                assert.equal(await overhang(page), 0, `${await tab.innerText()} at ${width}`);
                assert.equal(await drawer(page).evaluate((e) => e.scrollWidth - e.clientWidth), 0, `${await tab.innerText()} at ${width}: inside`);
            }
        }
        assert.deepEqual(page.wrong, []);
        await page.done();
    });

    test("the door, for who has not signed in", async () => {
        const page = await browser.stranger();

        for (const [width, scheme] of [...views, [320, "light"]]) {
            await look(page, width, scheme);
            await page.at("/");
            await page.getByLabel("Your email address").waitFor();
            assert.deepEqual(await barriers(page), []);
            assert.equal(await overhang(page), 0);
        }
        assert.deepEqual(page.wrong, []);
        await page.done();
    });
});

describe("what strangers write", () => {
    test("is text in the list: no script, no element of theirs, no column moved", async () => {
        const page = await browser.person(ANNA);

        await page.at("/?q=from:hostile.example");
        await settled(page);
        assert.ok(await page.locator(".row").count() >= 20, `${await page.locator(".row").count()} rows`);
        for (const width of widths) {
            await look(page, width, "light");
            assert.equal(await overhang(page), 0, `at ${width}`);
            const edges = await page.locator(".row .at").evaluateAll((cells) => cells.map((c) => Math.round(c.getBoundingClientRect().right)));
            assert.equal(new Set(edges).size, 1, `the times at ${width} stand one below the other`);
            const tall = await page.locator(".row").evaluateAll((rows) => Math.max(...rows.map((r) => r.getBoundingClientRect().height)));
            assert.ok(tall < 140, `the tallest row at ${width} is ${tall} px`);
        }
        assert.equal(await page.locator(".rows").locator("script, img, iframe, svg:not(.icon), b, title, a:not(.row)").count(), 0);
        assert.equal(await page.evaluate(() => window.pwned), undefined);
        for (const [width, scheme] of views) {
            await look(page, width, scheme);
            assert.deepEqual(await barriers(page), [], `at ${width}, ${scheme}`);
        }
        assert.deepEqual(page.wrong, []);
        await page.done();
    });

    test("is text in the drawer too, which no line is too long for", async () => {
        const page = await browser.person(ANNA, { width: 390, height: 844 });

        await page.at("/?q=from:hostile.example");
        await settled(page);
        const ids = await page.locator(".row").evaluateAll((rows) => rows.map((r) => r.dataset.id));
        for (const id of ids) {
            await page.at(`/?open=${id}`);
            await drawer(page).locator(".verdict").waitFor();
            assert.equal(await overhang(page), 0, id);
            assert.equal(await drawer(page).evaluate((e) => e.scrollWidth - e.clientWidth), 0, await drawer(page).locator("h2").first().innerText());
            assert.equal(await drawer(page).locator("script, img, iframe, b").count(), 0);
        }
        await page.at("/?q=script");
        await row(page, "<script>").click();
        await drawer(page).locator(".verdict").waitFor();
        assert.match(await drawer(page).locator("h2").first().innerText(), /<script>/);
        assert.deepEqual(await barriers(page), []);
        assert.equal(await page.evaluate(() => window.pwned), undefined);
        assert.deepEqual(page.wrong, []);
        await page.done();
    });

    test("as a page is previewed as its text, and asks nobody for anything", async () => {
        const page = await browser.person(ANNA);

        await page.at("/?q=raffle");
        await row(page, "Raffle of a page").click();
        await page.getByRole("tab", { name: "Preview" }).click();
        await drawer(page).getByText("Still to be read.").waitFor();
        await page.getByRole("tab", { name: "Headers" }).click();
        await drawer(page).getByText("<img src=x onerror=alert(1)>").waitFor();
        assert.equal(await page.evaluate(() => window.pwned), undefined);
        assert.deepEqual(page.wrong, []);
        await page.done();
    });

    test("and a script that came in all the same would neither run nor go unnoticed", async () => {
        const page = await browser.person(ANNA);

        await page.at("/");
        await settled(page);
        await page.evaluate(() => {
            const script = document.createElement("script");
            script.textContent = "window.pwned = 1";
            document.body.append(script);
            document.body.insertAdjacentHTML("beforeend", "<i style='color: red'></i>");
        });
        await waitFor("the browser's word", () => page.wrong.length >= 2);
        assert.equal(await page.evaluate(() => window.pwned), undefined);
        assert.ok(page.wrong.every((w) => /Content Security Policy/i.test(w)), page.wrong.join("\n"));
        await page.done();
    });
});

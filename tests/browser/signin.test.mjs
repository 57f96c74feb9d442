// Signing in, as people do it: by a link in the same browser, in another with a code, and by a password.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { ANNA, barriers, EVA, openBrowser, openHouse, OTTO, overhang, PASSWORD, settled, waitFor } from "./lib.mjs";

let house, browser;
before(async () => { house = await openHouse({ mail: [] }); browser = await openBrowser(house); });
after(async () => { await browser?.close(); await house?.close(); });

const linkTo = async (address, seen) => {
    const mail = await waitFor(`a link for ${address}`, () => house.sink.messages.slice(seen).find((m) => m.rcpts.includes(address)));
    return mail.data.replace(/=\r\n/g, "").replace(/=3D/g, "=").match(/https?:\/\/\S+\/signin#\S+/)[0];
};
async function ask(page, address) {
    const seen = house.sink.messages.length;

    await page.at("/");
    await page.getByLabel("Your email address").fill(address);
    await page.getByRole("button", { name: "Send me a sign-in link" }).click();
    await page.getByRole("heading", { name: "Look into your mailbox" }).waitFor();
    return linkTo(address, seen);
}
const focused = (page) => page.evaluate(() => document.activeElement.innerText ?? "");
const isIn = (page, name) => page.locator(".whoami", { hasText: name }).waitFor({ state: "attached" });

test("the link, opened in the browser that asked for it, takes one press, and no more than one", async () => {
    const page = await browser.stranger(), link = await ask(page, ANNA);

    assert.equal(await focused(page), "Look into your mailbox", "what is new is read out");
    assert.match(await page.title(), /^Look into your mailbox · /);
    assert.deepEqual(await barriers(page), []);
    await page.goto("about:blank");
    await page.goto(link);
    await page.getByRole("heading", { name: "Welcome back" }).waitFor();
    assert.deepEqual(await barriers(page), []);
    await page.getByRole("button", { name: "Sign in" }).click();
    await isIn(page, "Anna Berg");
    assert.equal(new URL(page.url()).pathname, "/");
    assert.ok(!page.url().includes("#"), "the link's secret has left the address bar");
    await page.reload();
    await isIn(page, "Anna Berg");
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Your email address").waitFor();
    await page.goto("about:blank");
    await page.goto(link);
    await page.getByRole("heading", { name: "This link does not work any more" }).waitFor();
    assert.deepEqual(page.wrong, []);
    await page.done();
});

test("opened elsewhere it shows a code, which lets in the browser that asked, and not the other", async () => {
    const first = await browser.stranger(), second = await browser.stranger({ width: 390, height: 844, scheme: "dark" });

    await second.goto(await ask(first, OTTO));
    await second.getByRole("heading", { name: "Is this you?" }).waitFor();
    await second.getByText("Never read this code to anybody").waitFor();
    assert.match(await second.locator(".facts").innerText(), /127\.0\.0\.1/);
    await second.getByRole("button", { name: "Show the code" }).click();
    const code = (await second.locator(".code").innerText()).replace(/\D/g, "");
    assert.equal((await focused(second)).replace(/\D/g, ""), code);
    assert.match(code, /^\d{6}$/);
    assert.deepEqual(await barriers(second), []);
    assert.equal(await overhang(second), 0);
    const field = first.getByLabel("Opened the link in another browser?");
    await field.fill(code === "111111" ? "222222" : "111111");
    await first.getByRole("button", { name: "Sign in" }).click();
    await first.getByRole("alert").filter({ hasText: "4 more" }).waitFor();
    assert.equal(await field.inputValue(), "", "a wrong code is not left standing");
    await field.fill(`${code.slice(0, 3)} ${code.slice(3)}`);
    await first.getByRole("button", { name: "Sign in" }).click();
    await isIn(first, "Otto Lind");
    await second.goto(`${house.origin}/`);
    await second.getByLabel("Your email address").waitFor();
    assert.deepEqual([...first.wrong, ...second.wrong], []);
    await first.done();
    await second.done();
});

test("a password signs in; a wrong one is told in words, beside its field", async () => {
    const page = await browser.stranger();

    await page.at("/");
    await page.getByRole("button", { name: "Use a password instead" }).click();
    await page.getByLabel("Your email address").fill(ANNA);
    const field = page.getByLabel("Password", { exact: true });
    assert.equal(await page.evaluate(() => document.activeElement.name), "username", "what is to be typed next");
    await field.fill("not the right one");
    await page.getByRole("button", { name: "Sign in" }).click();
    const said = page.getByRole("alert");
    await said.waitFor();
    assert.match(await said.innerText(), /^[A-Z].+\.$/, "a sentence");
    assert.equal(await field.getAttribute("aria-invalid"), "true");
    assert.equal(await field.getAttribute("aria-describedby"), await said.getAttribute("id"));
    assert.deepEqual(await barriers(page), []);
    await field.fill(PASSWORD);
    await page.keyboard.press("Enter");
    await isIn(page, "Anna Berg");
    assert.deepEqual(page.wrong, []);
    await page.done();
});

test("the window that waits goes on by itself when the link was pressed beside it", async () => {
    const page = await browser.stranger(), link = await ask(page, EVA), beside = await page.context().newPage();

    await beside.goto(link);
    await beside.getByRole("button", { name: "Sign in" }).click();
    await isIn(beside, "Eva Stern");
    await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange"))); // headless windows are never hidden
    await isIn(page, "Eva Stern");
    await page.done();
});

test("in Settings another browser is signed out, with a word for it, and the focus stays there; a password is removed by who knows it", async () => {
    const page = await browser.person(EVA), others = await house.cookies(EVA);

    await house.must("account", "set", EVA, "--password-stdin", { input: `${PASSWORD}\n` });
    await page.context().addCookies(await house.cookies(EVA));
    await page.at("/settings");
    await settled(page);
    const rows = page.locator("section:has(#sessions) tbody tr"), before = await rows.count();
    await page.getByRole("button", { name: /^Sign out: / }).first().click();
    await page.getByText("Nobody is signed in there any more.").waitFor();
    await waitFor("one row less", async () => await rows.count() === before - 1);
    assert.equal(await focused(page), "Where you are signed in");
    await page.getByRole("button", { name: "Sign out everywhere else" }).click();
    await waitFor("one row", async () => await rows.count() === 1);
    assert.equal((await (await fetch(`${house.origin}/api/v1/session`, { headers: { Cookie: `session=${others[0].value}` } })).json()).signed_in, false);
    // As after ten minutes: nothing is fresh any more.
    await page.route("**/api/v1/me/password", (route) => (route.request().method() === "DELETE" ? route.fulfill({ status: 403, contentType: "application/problem+json", body: JSON.stringify({ status: 403, code: "denied", member: "elevate", detail: "Please prove once more that it is you." }) }) : route.fallback()));
    await page.getByRole("button", { name: "Remove the password" }).click();
    await page.getByText("Type your current password here first.").waitFor();
    await page.unroute("**/api/v1/me/password");
    await page.getByLabel("Current password").fill(PASSWORD);
    await page.getByRole("button", { name: "Remove the password" }).click();
    await page.getByText("The password is removed.").waitFor();
    assert.deepEqual(await barriers(page), []);
    assert.deepEqual(page.wrong, []);
    await page.done();
});

test("the piece of work is done by WebCrypto where a page has it, and in plain JavaScript where it has none", async () => {
    for (const there of [true, false]) {
        const page = await browser.stranger();

        await page.addInitScript((has) => {
            const digest = crypto.subtle.digest.bind(crypto.subtle);

            globalThis.digests = 0;
            Object.defineProperty(crypto, "subtle", { value: has ? { digest: (...all) => { globalThis.digests++; return digest(...all); } } : undefined });
        }, there);
        await ask(page, OTTO);
        assert.equal(await page.evaluate(() => globalThis.digests > 0), there);
        assert.deepEqual(page.wrong, []);
        await page.done();
    }
});

test("an address that nobody has gets the same page as one that somebody has", async () => {
    const page = await browser.stranger();
    const shown = async (address) => {
        await page.at("/");
        await page.getByLabel("Your email address").fill(address);
        await page.getByRole("button", { name: "Send me a sign-in link" }).click();
        await page.getByRole("heading", { name: "Look into your mailbox" }).waitFor();
        return (await page.locator("main").innerText()).replace(address, "");
    };

    assert.equal(await shown("nobody@ours.example"), await shown(EVA));
    await page.done();
});

test("who opens a page deep inside signs in and is where they wanted to be", async () => {
    const page = await browser.stranger();

    await page.at("/quarantine?q=wares");
    await page.getByRole("button", { name: "Use a password instead" }).click();
    await page.getByLabel("Your email address").fill(ANNA);
    await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
    await page.getByRole("button", { name: "Sign in" }).click();
    await settled(page);
    assert.equal(new URL(page.url()).pathname, "/quarantine");
    assert.equal(await page.getByLabel("Search mail").inputValue(), "wares");
    await page.done();
});

test("a German browser is spoken to in German, from the door to the list", async () => {
    const page = await browser.stranger({ locale: "de-DE" });

    await page.at("/");
    await page.getByRole("button", { name: "Anmeldelink schicken" }).waitFor();
    assert.equal(await page.locator("html").getAttribute("lang"), "de");
    await page.context().addCookies(await house.cookies(EVA));
    await page.reload();
    await page.getByRole("heading", { name: "Noch keine Post" }).waitFor();
    assert.deepEqual(await barriers(page), []);
    await page.done();
});

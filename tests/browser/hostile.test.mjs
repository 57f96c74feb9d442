// Every page while all that somebody can name has a hostile name: rules, policies, people, devices, searches, what was asked for, and mail
// in the quarantine with its attachments. Each page shows some twenty of them as text, at both widths, light and dark, and axe finds nothing.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Browser, signIn, waitFor } from "../system/lib/index.mjs";
import { names, word } from "./hostile.mjs";
import { ANNA, barriers, openBrowser, openHouse, OTTO, overhang, places, ROOT, row, settled } from "./lib.mjs";

const views = [[1280, "light"], [390, "dark"]], ENOUGH = 15;
// Each place as who sees the most of it; as everybody, at every width and in both colours, looks.test.mjs goes through them.
const walks = [
    [ANNA, ["/", "/quarantine", "/rules", "/settings"]],
    [OTTO, ["/quarantine?in=domain:ours.example", "/rules?in=domain:ours.example", "/policies?in=domain:ours.example", "/people", "/log", "/settings"]],
    [ROOT, ["/?in=global", "/people", "/senders", "/brand", "/log", "/policies"]],
].map(([who, paths]) => [who, paths.filter((path) => places.includes(path.split("?")[0]))]);
let house, browser;

// How many of these were taken; what is refused is refused with a sentence, and nothing fails.
async function each(what, call) {
    let taken = 0;

    for (const [i, name] of names.entries()) {
        const { status, text } = await call(name, i);
        assert.ok(status < 500, `${what} ${name}: ${status} ${text}`);
        taken += status < 300;
    }
    assert.ok(taken >= ENOUGH, `${taken} of ${names.length} were taken: ${what}`);
}

const attached = (name) => ({
    fields: 'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="=_b"\r\nX-Try: <img src=x onerror=alert(1)>\r\n',
    body: `--=_b\r\nContent-Type: text/html\r\n\r\n<script>window.pwned=1</script><p>Hello.</p>\r\n--=_b\r\nContent-Type: application/x-try; name="${word(name)}"\r\nContent-Disposition: attachment; filename*=utf-8''${encodeURIComponent(name)}\r\n\r\nx\r\n--=_b--`,
});

async function name() {
    const anna = await signIn(house, ANNA), otto = await signIn(house, OTTO);
    const rule = (name) => ({ rule: { name, note: name, action: "block", conditions: [{ kind: "subject", match: "contains", any: [name] }, { kind: "header", name: "X-Try", match: "contains", any: [name] }] } });

    for (const [i, one] of names.entries()) await house.letter({ subject: word(`Raffle ${i} ${one}`), from: `h${i}@hostile.example`, name: word(one), ...attached(one) });
    await each("rules of a person", (one) => anna.post(`/scopes/mailbox:${ANNA}/rules`, rule(one)));
    await each("rules of a domain", (one) => otto.post("/scopes/domain:ours.example/rules", rule(one)));
    await each("policies", (one) => otto.post("/scopes/domain:ours.example/policies", { name: one, note: one }).then((r) => (r.status === 400 ? otto.post("/scopes/domain:ours.example/policies", { name: one }) : r)));
    await each("searches", (one) => anna.post("/me/searches", { name: one, q: "raffle" }));
    await each("devices", async (one, i) => {
        const token = (await house.must("login-link", OTTO)).trim().split("#")[1];
        const headers = { "User-Agent": Buffer.from(one).toString("latin1").replace(/[^\x20-\x7e]/g, "?") || `none ${i}` };
        return new Browser(house.origin, { headers }).post("/signin/link/use", { token });
    });
    for (const [i, one] of names.entries()) await house.postern(["account", "add", `person${i}@ours.example`, "--name", one]);
    const { items } = (await anna.get("/me/mail?q=raffle%20status:quarantined&limit=50")).body;
    await each("reasons", (one, i) => anna.post(`/deliveries/${items[i].uid}/${items[i].n}/ask`, { why: one }).then((r) => (r.status === 409 ? { status: 200 } : r)));
    await anna.patch("/me", { name: names[0] });
}

before(async () => {
    house = await openHouse({ mail: [] });
    const anna = await signIn(house, ANNA);
    await house.letter({ subject: "raffle" });
    await waitFor("the first", async () => (await anna.get("/me/mail")).body.items.length > 0);
    await name();
    await waitFor("all mail", async () => (await anna.get("/me/mail?limit=50&q=from:hostile.example")).body.items.length === names.length);
    browser = await openBrowser(house);
});
after(async () => { await browser?.close(); await house?.close(); });

const foreign = (page) => page.locator("main").locator("script, iframe, b, title, marquee, a[href^='javascript:'], img:not([src^='/'])").count();

for (const [who, paths] of walks)
    test(`what ${who} sees: names are text, nothing hangs over, and axe finds nothing`, async () => {
        const page = await browser.person(who);

        for (const path of paths) {
            await page.at(path);
            await settled(page);
            for (const [width, scheme] of views) {
                await page.setViewportSize({ width, height: width < 600 ? 844 : 800 });
                await page.emulateMedia({ colorScheme: scheme });
                assert.equal(await overhang(page), 0, `${path} at ${width}`);
                assert.deepEqual(await barriers(page), [], `${path} at ${width}, ${scheme}`);
            }
            assert.equal(await foreign(page), 0, path);
            assert.equal(await page.evaluate(() => window.pwned), undefined, path);
        }
        assert.deepEqual(page.wrong, []);
        await page.done();
    });

test("a message in the quarantine: its rule, its attachment and its headers are text on every tab", async () => {
    const page = await browser.person(ANNA, { width: 390, height: 844 });

    await page.at(`/?q=${encodeURIComponent("from:h1@hostile.example")}`);
    await row(page, "Raffle 1 ").click();
    await page.locator(".drawer .verdict").waitFor();
    for (const tab of await page.getByRole("tab").all()) {
        await tab.click();
        await settled(page);
        assert.equal(await overhang(page), 0, await tab.innerText());
        assert.equal(await foreign(page), 0, await tab.innerText());
        assert.deepEqual(await barriers(page), [], await tab.innerText());
    }
    await page.getByRole("tab", { name: "Attachments" }).click();
    assert.match(await page.locator(".drawer table").innerText(), /<img src=x onerror/);
    assert.equal(await page.evaluate(() => window.pwned), undefined);
    assert.deepEqual(page.wrong, []);
    await page.done();
});

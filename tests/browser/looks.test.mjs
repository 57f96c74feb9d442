// How every page looks to everybody: nothing that stops a reader, nothing wider than the window, nothing that a policy forbids,
// strangers' text as text, and one language on each.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { hostile } from "./hostile.mjs";
import { ANNA, barriers, colours, openBrowser, openHouse, OTTO, overhang, places, ROOT, row, settled, waitFor, widths } from "./lib.mjs";
import { foreign, mark, unsaid } from "./marks.mjs";

let house, browser;
before(async () => {
    house = await openHouse();
    for (const one of hostile) await house.letter({ ...one, to: ANNA });
    await house.written();
    browser = await openBrowser(house);
});
after(async () => { await browser?.close(); await house?.close(); });

const drawer = (page) => page.locator(".drawer");
async function look(page, width, scheme) {
    await page.setViewportSize({ width, height: width < 600 ? 844 : 800 });
    await page.emulateMedia({ colorScheme: scheme });
}

// On to another place, as a link of ours leads there: without loading everything again.
const turn = (page, path) => page.evaluate((to) => { history.pushState(null, "", to); dispatchEvent(new PopStateEvent("popstate")); }, path);

// What stands there now, at every width, in light and dark. In the dark its colours are others, and nothing else is: a test below.
async function through(page, what, { axeAt = [390, 1280], more } = {}) {
    for (const width of widths) {
        await look(page, width, "light");
        assert.equal(await overhang(page), 0, `${what} at ${width}`);
        await more?.(width);
        if (!axeAt.includes(width)) continue;
        assert.deepEqual(await barriers(page), [], `${what} at ${width}, light`);
        await look(page, width, "dark");
        assert.deepEqual(await barriers(page, colours), [], `${what} at ${width}, dark`);
    }
}

describe("every page, as everybody,", () => {
    for (const who of [ANNA, OTTO, ROOT])
        test(`as ${who}: axe finds nothing, and nothing is wider than the window`, async () => {
            const page = await browser.person(who);

            for (const path of places) {
                await page.at(path);
                await settled(page);
                assert.equal(await page.evaluate(() => document.querySelector("main h1, main h2, main h3")?.tagName), "H1", `${path} begins with its title`);
                await through(page, path);
            }
            assert.deepEqual(page.wrong, []);
            await page.done();
        });

    test("with the drawer open, at each of its tabs", async () => {
        const page = await browser.person(ANNA);

        await page.at("/?q=bank");
        await row(page, "Unusual sign-in").click();
        await drawer(page).locator(".verdict").waitFor();
        for (const tab of await page.getByRole("tab").all()) {
            await tab.click();
            await settled(page);
            const what = await tab.innerText();
            await through(page, what, { axeAt: widths, more: async (width) => assert.equal(await drawer(page).evaluate((e) => e.scrollWidth - e.clientWidth), 0, `${what} at ${width}: inside`) });
        }
        assert.deepEqual(page.wrong, []);
        await page.done();
    });

    test("in the dark, where its colours are others and nothing else is", async () => {
        const page = await browser.stranger();

        await page.at("/");
        const set = await page.evaluate(() => [...document.styleSheets].flatMap((s) => [...s.cssRules]).filter((r) => /prefers-color-scheme/.test(r.conditionText)).flatMap((r) => [...r.cssRules].map((one) => [one.selectorText, [...one.style]])));
        assert.ok(set.flatMap(([, names]) => names).length > 10, `${set}`);
        for (const [selector, names] of set)
            assert.deepEqual(names.filter((name) => !/^--(?!font|mono|radius|gap|row|drawer)|^color-scheme$/.test(name)), [], selector);
        await page.done();
    });

    test("the door, for who has not signed in", async () => {
        const page = await browser.stranger();

        await page.at("/");
        await page.getByLabel("Your email address").waitFor();
        await through(page, "the door", { axeAt: widths });
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
        await through(page, "the list", { more: async (width) => {
            const edges = await page.locator(".row .at").evaluateAll((cells) => cells.map((c) => Math.round(c.getBoundingClientRect().right)));
            assert.equal(new Set(edges).size, 1, `the times at ${width} stand one below the other`);
            const tall = await page.locator(".row").evaluateAll((rows) => Math.max(...rows.map((r) => r.getBoundingClientRect().height)));
            assert.ok(tall < 140, `the tallest row at ${width} is ${tall} px`);
        } });
        assert.equal(await page.locator(".rows").locator("script, img, iframe, svg:not(.icon), b, title, a:not(.row)").count(), 0);
        assert.equal(await page.evaluate(() => window.pwned), undefined);
        assert.deepEqual(page.wrong, []);
        await page.done();
    });

    test("is text in the drawer too, which no line is too long for", async () => {
        const page = await browser.person(ANNA, { width: 390, height: 844 });

        await page.at("/?q=from:hostile.example");
        await settled(page);
        const ids = await page.locator(".row").evaluateAll((rows) => rows.map((r) => r.dataset.id));
        for (const id of ids) {
            await page.keyboard.press("j");
            await page.locator(`.row[data-id="${id}"][aria-current="true"]`).waitFor({ state: "attached" });
            await drawer(page).locator(".verdict").waitFor();
            assert.equal(await overhang(page), 0, id);
            assert.equal(await drawer(page).evaluate((e) => e.scrollWidth - e.clientWidth), 0, await drawer(page).locator("h2").first().innerText());
            assert.equal(await drawer(page).locator("script, img, iframe, b").count(), 0);
        }
        await page.keyboard.press("Escape");
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

describe("in German", () => {
    // As somebody says it who has not read what the form takes; each is refused.
    const refused = [
        [ANNA, "POST", "/me/password", { current: "not mine at all", password: "seven green kettles" }], [ANNA, "POST", "/me/password", { current: "correct horse battery", password: "short" }],
        [ANNA, "PATCH", "/me", { zone: "Moon/Crater" }], [ANNA, "PATCH", "/me", { name: "n".repeat(300) }], [ANNA, "POST", "/me/digests", { kind: "mailbox", of: ANNA, minute: 1650, days: ["monday"], zone: "UTC", tells: ["spam"] }],
        [ANNA, "POST", "/me/digests", { kind: "mailbox", of: ANNA, minute: 420, days: [], zone: "UTC", tells: ["spam"] }], [ANNA, "POST", "/me/digests", { kind: "mailbox", of: ANNA, minute: 420, days: ["monday"], zone: "Mars/Olympus", tells: ["spam"] }],
        [ANNA, "POST", "/me/digests", { kind: "mailbox", of: OTTO, minute: 420, days: ["monday"], zone: "UTC", tells: ["spam"] }],
        ...["a b@x.example", "@nowhere@", "300.1.2.3/44", "x@a..b"].map((what) => [ANNA, "POST", `/scopes/mailbox:${ANNA}/rules/quick`, { action: "block", what }]), [ANNA, "POST", `/scopes/mailbox:${ANNA}/rules/quick`, { action: "allow", what: "gmail.com" }],
        ...["(a", "[z-a]", "a{3,2}", "(?<n>x)(?<n>y)", "\\p{Nonesuch}", "\\g", "a\\", "(?<=a+)b", "", "(*UTF)x"].map((entry) => [OTTO, "POST", "/scopes/domain:ours.example/rules", { rule: { action: "block", conditions: [{ kind: "subject", match: "regex", any: [entry] }] } }]),
        ...[{ kind: "ip", any: ["10.0.0.1/8"] }, { kind: "ip", any: ["10.0.0.9-10.0.0.1"] }, { kind: "size", min: 9, max: 3 }, { kind: "sender", any: [] }, { kind: "header", name: "List Id:", any: ["x"] }, { kind: "senders", any: ["x"] }, { kind: "sender", any: [7] }]
            .map((condition) => [OTTO, "POST", "/scopes/domain:ours.example/rules", { rule: { action: "block", conditions: [condition] } }]),
        [OTTO, "POST", "/scopes/domain:ours.example/rules", { rule: { action: "allow", conditions: [] } }], [OTTO, "POST", "/scopes/domain:ours.example/rules", { rule: { action: "blocks" } }],
        [ANNA, "GET", "/me/mail?q=status:cloud"], [ANNA, "GET", "/me/mail?q=after:yesterday"], [ANNA, "GET", "/scopes/domain:elsewhere.example/mail"], [ANNA, "GET", "/accounts"], [ANNA, "POST", "/scopes/global/rules/quick", { action: "block", what: "x.example" }],
        [OTTO, "PUT", "/domains/ours.example/thresholds", { reject: 3, add_header: 7 }], [OTTO, "PUT", "/scopes/domain:ours.example/thresholds", { reject: 3, add_header: 7 }], [OTTO, "PUT", "/scopes/domain:ours.example/settings", { reject: 3, add_header: 7 }],
        [OTTO, "POST", "/domains/ours.example/people", { login: "a b@ours.example" }], [OTTO, "POST", "/domains/ours.example/people", { login: ANNA }], [OTTO, "POST", "/domains/ours.example/mailboxes", { local: "anna" }],
        [OTTO, "POST", "/domains/ours.example/addresses", { kind: "alias", local: "info", to: ["nowhere"] }], [OTTO, "POST", "/domains/ours.example/addresses", { kind: "alias", local: "info", to: [] }], [OTTO, "PATCH", "/domains/ours.example", { delimiter: "%" }],
        [ROOT, "POST", "/domains", { name: "no..name", kind: "local" }], [ROOT, "POST", "/domains", { name: "ours.example", kind: "local" }], [ROOT, "PUT", "/domains/ours.example/route", { route: "where:99" }], [ROOT, "PUT", "/domains/ours.example/route", { route: "smtp://mx.x.example:99999" }],
        [ROOT, "POST", "/accounts", { login: "@" }], [ROOT, "POST", "/brands", { name: "Acme", sender: "a@x.example, b@x.example" }], [ROOT, "POST", "/brands", { name: "Acme", webmail: "ftp://x" }], [ROOT, "POST", "/brands", { name: "Acme", accent_light: "#ffee88" }], [ROOT, "POST", "/brands", { name: "Ac\"me" }],
        [ROOT, "POST", "/overview/test-mails", { to: "where to" }], [ROOT, "GET", "/no/such/call"], [ROOT, "POST", "/domains", {}], [ROOT, "POST", "/domains", { name: 7 }],
    ];

    test("every refusal is said in German, but for what was given", async () => {
        for (const who of [ANNA, OTTO, ROOT]) {
            const page = await browser.person(who, { locale: "de-DE" }), mine = refused.filter(([by]) => by === who);

            await mark(page);
            await page.at("/settings");
            await settled(page);
            const said = await page.evaluate(async (asked) => {
                const api = await import(new URL("api.js", document.querySelector("script[type=module]").src).href), all = [];
                for (const [, method, path, body] of asked) all.push(await api[method.toLowerCase()](path, ...(body ? [body] : [])).then(() => [200, ""], (p) => [p.status, p.message, p.title]));
                return all;
            }, mine);
            for (const [i, [status, text, title]] of said.entries()) {
                const what = JSON.stringify(mine[i]);
                assert.ok(status >= 400 && status < 500, `${what}: ${status} ${text}`);
                assert.deepEqual(foreign(`${text} ${title}`, [mine[i][2], Object.values(mine[i][3] ?? {})]), [], `${what}: ${text}`);
                assert.match(text, /⁅/, what);
            }
            await page.done();
        }
    });

    test("so is what an import cannot read, line by line, and what a server in front says", async () => {
        const page = await browser.person(ANNA, { locale: "de-DE" });
        const lines = ["{\"action\": \"block\", \"conditions\": [{\"kind\": \"sender\", \"any\": [\"x@\"]}]}", "{\"action\": 3}", "{\"action\": \"block\" \"x\"}", "{\"action\": \"blok\"}", "{", "[1]", "{\"action\": \"block\", \"note\": \"\\q\"}"];

        await mark(page);
        await page.at("/rules?tab=import");
        await page.locator("textarea").fill(lines.join("\n"));
        await page.locator(".card .button.primary").first().click();
        await page.locator("table.table").waitFor();
        const remarks = await page.locator(".remark").allInnerTexts();
        assert.equal(remarks.length, lines.length);
        for (const [i, text] of remarks.entries()) assert.deepEqual(foreign(text, lines), [], `${lines[i]}: ${text}`);
        await page.route("**/api/v1/**/rules/import**", (route) => route.fulfill({ status: 413, contentType: "text/html", body: "<h1>Request Entity Too Large</h1>" }));
        await page.at("/rules?tab=import");
        await page.locator("textarea").fill("blocklist_from weekly@garden.example");
        await page.locator(".card .button.primary").first().click();
        assert.deepEqual(foreign(await page.locator("main .problem").innerText(), []), []);
        await page.done();
    });

    const seen = [[ANNA, "/", "/quarantine", "/quarantine?show=deleted", "/rules?open=new", "/rules?tab=lists", "/settings", "/log"], [OTTO, "/", "/policies", "/people"], [ROOT, "/", "/people?tab=domain", "/log", "/brand"]];

    test("nothing stands on a page that is not said in it", async () => {
        for (const [who, ...paths] of seen) {
            const page = await browser.person(who, { locale: "de-DE" });

            await mark(page);
            await page.at("/settings");
            for (const path of paths) {
                await turn(page, path);
                await settled(page);
                assert.deepEqual(await unsaid(page, ["Postern", "ours.example", "List-Id", "Garden weekly", "No raffles", "No lotteries"]), [], `${path} as ${who}`);
            }
            assert.deepEqual(page.wrong, []);
            await page.done();
        }
    });
});

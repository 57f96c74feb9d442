// What people set for themselves, and owners for their domain, by hand.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";

import { http, signIn } from "../system/lib/index.mjs";
import { ANNA, barriers, EVA, openBrowser, openHouse, OTTO, overhang, PASSWORD, ROOT, settled, waitFor } from "./lib.mjs";

let house, browser;
before(async () => { house = await openHouse({ mail: [] }); browser = await openBrowser(house); });
after(async () => { await browser?.close(); await house?.close(); });

test("a password that is guessed early is refused at its field, a good one is set", async () => {
    const page = await browser.person(ANNA);
    await page.at("/settings");
    await settled(page);
    await page.getByLabel("Current password").fill(PASSWORD);
    await page.getByLabel("New password").fill("Password2026!");
    await page.getByRole("button", { name: "Set the password" }).click();
    await page.getByText("Somebody who guesses would try that early").waitFor();
    await page.getByLabel("New password").fill("seven green kettles");
    await page.getByRole("button", { name: "Set the password" }).click();
    await page.getByText("The password is set.").waitFor();
    assert.deepEqual(page.wrong, []);
    await page.done();
});

test("who looked at one's mail: what it was, once however often its parts were opened, with the way to it", async () => {
    await house.letter({ subject: "Lottery of the year" });
    await house.written();
    const otto = await signIn(house, OTTO), page = await browser.person(ANNA);
    const { uid, n } = (await otto.get("/scopes/domain:ours.example/mail?q=subject:lottery")).body.items[0];
    for (const part of ["preview", "headers", "preview"]) assert.equal((await otto.get(`/deliveries/${uid}/${n}/${part}`)).status, 200);
    await page.at("/settings");
    await settled(page);
    const looks = page.getByRole("region", { name: "Who looked at your mail" }).getByRole("listitem");
    assert.match(await looks.first().innerText(), /^\d\d:\d\d · otto@ours\.example opened Lottery of the year$/);
    assert.equal(await looks.count(), 1);
    await looks.first().getByRole("link").click();
    await page.locator(".drawer").getByText("Lottery of the year").first().waitFor();
    assert.deepEqual(page.wrong, []);
    await page.done();
});

test("the log is narrowed to days as they are where the reader is, and goes out as a table; an address that is none breaks nothing", async () => {
    const page = await browser.person(ANNA, { timezoneId: "Pacific/Auckland" });
    const asked = (press) => Promise.all([page.waitForRequest(/\/me\/audit\?/), press()]).then(([request]) => new URL(request.url()).searchParams);
    await page.at("/log");
    await settled(page);
    assert.equal((await asked(() => page.getByLabel("From").fill("2026-01-10"))).get("since"), "2026-01-09T11:00:00Z");
    const both = await asked(() => page.getByLabel("To", { exact: true }).fill("2026-01-10"));
    assert.deepEqual([both.get("since"), both.get("until")], ["2026-01-09T11:00:00Z", "2026-01-10T11:00:00Z"], "the day, whole");
    await page.getByText("Nothing is written there").waitFor();
    await page.at("/log?what=session&since=yesterday");
    await page.getByText("Session: began").first().waitFor();
    await page.getByText("2 details").first().click();
    await page.locator("details dl").getByText("A browser on an unknown system").first().waitFor();
    assert.doesNotMatch(await page.locator("main").innerText(), /[0-9a-f]{8}-[0-9a-f]{4}-/, "no row of a table");
    const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Export as CSV" }).click()]);
    assert.match(readFileSync(await file.path(), "utf8"), /^"time","who"[^]*"anna@ours\.example"[^]*"session\.begin"/);
    assert.deepEqual(await barriers(page), []);
    assert.deepEqual(page.wrong, []);
    await page.done();
});

test("a person is added, and deleted only when the name is typed", async () => {
    const page = await browser.person(OTTO);
    await page.at("/people?tab=people");
    await settled(page);
    await page.getByLabel("Address", { exact: true }).fill("new@ours.example");
    const focused = () => page.evaluate(() => document.activeElement.getAttribute("aria-label") ?? document.activeElement.innerText);
    await page.getByRole("button", { name: "Add person" }).press("Enter");
    await page.getByRole("button", { name: "Delete new@ours.example" }).waitFor();
    assert.equal(await focused(), "Add person", "the button was busy, and has the focus again");
    await page.getByRole("button", { name: "Delete new@ours.example" }).click();
    const dialog = page.getByRole("dialog"), sure = dialog.getByRole("button", { name: "Delete" });
    assert.equal(await sure.isDisabled(), true);
    await dialog.getByLabel("Type new@ours.example to go on").fill("new@ours.example");
    await sure.click();
    await page.getByText("The account is deleted.").waitFor();
    await waitFor("the next row to be where one is", async () => await focused() === `Role of ${OTTO}`);
    assert.deepEqual(page.wrong, []);
    await page.done();
});

test("the operator gives a domain another name, says where its mailboxes are and what stands before a tag", async () => {
    const page = await browser.person(ROOT);
    await page.at("/people?in=ours.example&tab=domains");
    await settled(page);
    assert.match(await page.getByRole("table", { name: "All domains" }).getByRole("row", { name: /ours\.example/ }).innerText(), /ours\.example\s+Filtered\s+otto@ours\.example/);
    await page.getByRole("link", { name: "ours.example" }).click();
    await page.getByRole("tab", { name: "Domain", exact: true }).click();
    await settled(page);
    await page.getByLabel("Another name").fill("Also-Ours.example");
    await page.getByRole("button", { name: "Add name" }).click();
    await page.getByRole("button", { name: "Remove also-ours.example" }).waitFor();
    const enrols = page.getByLabel("Signing in without an account"), enrol = async () => (await page.evaluate(() => fetch("/api/v1/scopes/domain:ours.example/settings").then((r) => r.json()))).own;
    const before = await enrol();
    await page.getByRole("option", { name: "as everywhere: listed mailboxes" }).waitFor({ state: "attached" });
    await enrols.selectOption({ label: "nobody" });
    await waitFor("nobody", async () => (await enrol()).enrol === "closed");
    assert.deepEqual({ ...await enrol(), enrol: null }, { ...before, enrol: null }, "and nothing else");
    await enrols.selectOption({ label: "as everywhere: listed mailboxes" });
    await waitFor("as everywhere", async () => (await enrol()).enrol === null);
    await page.getByLabel("Its mailboxes are").selectOption({ label: "on another server" });
    await page.getByText("Saved").first().waitFor();
    await page.getByLabel("Before a tag").fill("-");
    await page.getByLabel("Before a tag").blur();
    await page.getByText("Saved").first().waitFor();
    const read = async () => { const { domain, aliases } = await page.evaluate(() => fetch("/api/v1/domains/ours.example").then((r) => r.json())); return [domain.kind, domain.delimiter, aliases]; };
    await waitFor("the sign before a tag", async () => (await read())[1] === "-");
    assert.deepEqual(await read(), ["relay", "-", ["also-ours.example"]]);
    await page.getByRole("button", { name: "Remove also-ours.example" }).click();
    await page.getByText("It has no other name.").waitFor();
    assert.deepEqual(page.wrong, []);
    await page.done();
});

test("the operator gives somebody whose mail is elsewhere a domain to look after, and takes them out again", async () => {
    const page = await browser.person(ROOT);
    await page.at("/people?in=ours.example&tab=people");
    await settled(page);
    await page.getByLabel("Address", { exact: true }).fill("helper@far.example");
    await page.getByRole("button", { name: "Add person" }).click();
    await page.getByText("Somebody whose mail is elsewhere").waitFor();
    await page.getByLabel("Role", { exact: true }).selectOption("clerk");
    await page.getByRole("button", { name: "Add person" }).click();
    assert.equal(await page.getByLabel("Role of helper@far.example").inputValue(), "clerk");
    await page.at("/people?tab=everybody");
    await page.getByRole("button", { name: "Delete helper@far.example" }).click();
    await page.getByRole("dialog").getByLabel("Type helper@far.example to go on").fill("helper@far.example");
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByText("The account is deleted.").waitFor();
    await page.at("/log?in=global");
    await page.getByText("helper@far.example").first().waitFor();
    assert.deepEqual(page.wrong, []);
    await page.done();
});

test("on a phone everything that can be done with a person is in view, without scrolling sideways", async () => {
    for (const [tab, names] of [["people", [`May sign in: ${ANNA}`, `Delete ${ANNA}`, `Role of ${ANNA}`]], ["mailboxes", [`Whose is ${ANNA}`, `Delete ${ANNA}`]]]) {
        const page = await browser.person(OTTO, { width: 390 });

        await page.at(`/people?tab=${tab}`);
        await settled(page);
        for (const name of names) {
            const box = await page.getByLabel(name, { exact: true }).boundingBox();
            assert.ok(box.x >= 0 && box.x + box.width <= 390, `${name}: ${JSON.stringify(box)}`);
        }
        assert.equal(await page.evaluate(() => [...document.querySelectorAll("main *")].filter((e) => getComputedStyle(e).overflowX === "auto" && e.scrollWidth > e.clientWidth && e.getAttribute("role") !== "tablist").length), 0);
        assert.deepEqual(await barriers(page), []);
        await page.done();
    }
});

test("who was blocked for sending too much: what the limit was, what was counted, and the last messages, in words and as text", async () => {
    const script = "<img/src=x/onerror=alert(1)>", page = await browser.person(OTTO, { locale: "de-DE", width: 390, height: 844, scheme: "dark" });
    const shot = async (name) => { if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/${name}.png` }); };

    await house.must("sender", "limit", "domain:ours.example", "messages_day=2", "block_after=3");
    let n = 0; // the same message once more is no message more
    const send = (user) => http(house.httpSock, { headers: { From: `<"${script}"@ext.example>`, Rcpt: "<friend@else.example>", IP: "192.0.2.77", User: user, "Queue-ID": `Q${++n}${script}` }, body: "Subject: x\r\n\r\nx\r\n" });
    await waitFor("the limit to be heard of", async () => /soft reject/.test((await send(EVA)).text));
    await waitFor("the block", async () => {
        for (let i = 0; i < 3; i++) await send(ANNA);
        return (await house.must("sender", "list")).includes(ANNA);
    });
    await page.at("/people?tab=blocked");
    await page.getByText("Schickte weiter, über die Grenze von 2 Nachrichten an einem Tag hinaus").waitFor();
    await page.getByText("Belege").click();
    const all = (await page.locator(".evidence").innerText()).replace(/\s+/g, " ");
    assert.match(all, /Grenze 2 Nachrichten an einem Tag Durchgelassen 2 Nachrichten an einem Tag Aufgeschoben 3 Nachrichten in einer Stunde/);
    assert.equal(await page.locator(".evidence li").count(), 3);
    assert.match(await page.locator(".evidence li").first().innerText(), /onerror=alert.*@ext\.example.* · 1 Empfänger · von 192\.0\.2\.77 · .*Q\d+<img/s);
    assert.ok(!/messages_day|\{/.test(await page.locator("main").innerText()), "nothing is left in a program's words");
    await shot("blocked-390");
    assert.equal(await overhang(page), 0);
    assert.deepEqual(await barriers(page), []);
    await page.setViewportSize({ width: 1280, height: 800 });
    await page.emulateMedia({ colorScheme: "light" });
    await shot("blocked-1280");
    await page.getByRole("button", { name: "Wieder senden lassen" }).click();
    await page.getByText("Niemand ist gesperrt").waitFor();
    assert.deepEqual(page.wrong, []);
    await page.done();
});

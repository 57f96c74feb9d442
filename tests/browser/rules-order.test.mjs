// Rules in their order, by mouse, finger and keys; what never decides; lists of senders; an import that is seen before it is made.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { signIn } from "../system/lib/index.mjs";
import { ANNA, arrived, barriers, onlyRules, openBrowser, openHouse, OTTO, overhang, settled, waitFor } from "./lib.mjs";

const pictures = process.env.PICTURES; // a folder, for who wants to look
const MINE = `mailbox:${ANNA}`, OURS = "domain:ours.example";
const of = (name, action, sender, more) => ({ name, action, ...more, conditions: [{ kind: "sender", any: [sender] }] }), worded = (name, ...any) => ({ name, action: "block", conditions: [{ kind: "subject", any }] });
const rules = [of("Garden weekly", "allow", "weekly@garden.example", { require_proof: false }), of("Friend", "allow", "friend@raffle.example"), worded("No raffles", "raffle"), of("Pests", "block", "pest.example"), of("Worse pests", "block", "a@pest.example")];
let house, browser, anna, otto, she, he;
before(async () => {
    house = await openHouse();
    browser = await openBrowser(house);
    anna = await browser.person(ANNA);
    otto = await browser.person(OTTO);
    [she, he] = [await signIn(house, ANNA), await signIn(house, OTTO)];
    if (pictures) mkdirSync(pictures, { recursive: true });
});
beforeEach(async () => { await onlyRules(she, MINE, ...rules); await onlyRules(he, OURS, worded("No lotteries", "lottery", "you have won")); });
after(async () => { await browser?.close(); await house?.close(); });
afterEach(() => { assert.deepEqual([...(anna?.wrong ?? []), ...(otto?.wrong ?? [])], []); });

const names = (page) => page.locator("ol.rules .what strong").allInnerTexts();
const begun = rules.map((r) => r.name);
async function come(page, path = "/rules") { await page.at(path); await settled(page); }
const inOrder = (page, ...wanted) => waitFor(`the order ${wanted}`, async () => JSON.stringify(await names(page)) === JSON.stringify(wanted));
const note = (page, text) => page.locator(".note", { hasText: text }).waitFor();
const drawer = (page) => page.getByRole("dialog");
const grip = (page, name) => page.locator("ol.rules li", { hasText: name }).locator(".grip").first();
const middle = async (locator) => { const b = await locator.boundingBox(); return [b.x + b.width / 2, b.y + b.height / 2]; };
const shot = async (page, name) => { if (pictures) await page.screenshot({ path: `${pictures}/${name}.png`, fullPage: true }); };

test("a rule that never decides says so, and why, in the list", async () => {
    await come(anna);
    await inOrder(anna, ...begun);
    await anna.locator("ol.rules li", { hasText: "Worse pests" }).getByText("Never decides: rule 4 above it catches everything that it would.").waitFor();
    assert.equal(await anna.locator(".flag").count(), 1);
    assert.deepEqual(await barriers(anna), []);
    await shot(anna, "order-1280");
});

test("a rule is dragged with the mouse to another place, and the note takes it back", async () => {
    await come(anna);
    const [x, y] = await middle(grip(anna, "Pests")), [, top] = await middle(anna.locator("ol.rules li", { hasText: "Garden weekly" }));
    await anna.mouse.move(x, y);
    await anna.mouse.down();
    await anna.mouse.move(x, (y + top) / 2, { steps: 3 });
    await anna.mouse.move(x, top - 10, { steps: 3 });
    await anna.locator("li.drop-before", { hasText: "Garden weekly" }).waitFor();
    if (pictures) await anna.screenshot({ path: `${pictures}/dragging-1280.png` });
    await anna.mouse.up();
    await note(anna, "is number 1 of 5 now.");
    await inOrder(anna, "Pests", "Garden weekly", "Friend", "No raffles", "Worse pests");
    await anna.reload();
    await inOrder(anna, "Pests", "Garden weekly", "Friend", "No raffles", "Worse pests");
    const [gx, gy] = await middle(grip(anna, "No raffles")), [, end] = await middle(anna.locator("ol.rules li", { hasText: "Worse pests" }));
    await anna.mouse.move(gx, gy);
    await anna.mouse.down();
    await anna.mouse.move(gx, end + 4, { steps: 4 });
    await anna.locator("li.drop-behind", { hasText: "Worse pests" }).waitFor();
    await anna.mouse.up();
    await inOrder(anna, "Pests", "Garden weekly", "Friend", "Worse pests", "No raffles");
    await anna.getByRole("button", { name: "Undo" }).click();
    await inOrder(anna, "Pests", "Garden weekly", "Friend", "No raffles", "Worse pests");
});

test("Escape lets go of what is dragged, and a click on the handle moves nothing", async () => {
    await come(anna);
    const before = await names(anna), [x, y] = await middle(grip(anna, "Pests"));
    await anna.mouse.move(x, y);
    await anna.mouse.down();
    await anna.mouse.move(x, y + 150, { steps: 3 });
    await anna.locator("li.dragged").waitFor();
    await anna.keyboard.press("Escape");
    await anna.mouse.up();
    assert.equal(await anna.locator(".dragged, .drop-before, .drop-behind").count(), 0);
    await grip(anna, "Pests").click();
    await anna.reload();
    await inOrder(anna, ...before);
});

test("a finger drags as well, and keys say aloud where a rule has come to", async () => {
    const page = await browser.person(ANNA, { width: 390, hasTouch: true, isMobile: true });
    const touch = await page.context().newCDPSession(page);
    const send = (type, x, y) => touch.send("Input.dispatchTouchEvent", { type, touchPoints: type === "touchEnd" ? [] : [{ x, y }] });
    await page.at("/rules");
    await settled(page);
    await inOrder(page, ...begun);
    const [x, y] = await middle(grip(page, "Friend")), [, top] = await middle(grip(page, "Garden weekly"));
    await send("touchStart", x, y);
    for (let i = 1; i <= 4; i++) await send("touchMove", x, y + ((top - y) * i) / 4);
    await page.locator("li.drop-before", { hasText: "Garden weekly" }).waitFor();
    await send("touchEnd");
    await inOrder(page, "Friend", "Garden weekly", "No raffles", "Pests", "Worse pests");
    await page.locator("[data-rule]").first().focus();
    await page.keyboard.press("Shift+J");
    await waitFor("the announcement", async () => /is number 2 of 5 now/.test(await page.getByRole("status").innerText()));
    await inOrder(page, ...begun);
    assert.deepEqual(page.wrong, []);
    await page.done();
});

test("the editor says what stands in front of a rule before it is saved, and what it would have done to mail that was wanted", async () => {
    await anna.at("/rules?open=new");
    await drawer(anna).getByLabel("Addresses or domains").fill("b@pest.example");
    await drawer(anna).getByText("Never decides: rule 4 above it catches everything that it would.").waitFor();
    await drawer(anna).getByLabel("Addresses or domains").fill("friend@raffle.example");
    await drawer(anna).getByText("Contradicts rule 2, which decides first where the sender is proven.").waitFor();
    assert.deepEqual(await barriers(anna), []);
    await shot(anna, "beside-1280");
    await anna.keyboard.press("Escape");
});

test("what was released is said when a block would catch it", async () => {
    await house.letter({ to: ANNA, from: "club@raffle2.example", subject: "The raffle of the club" });
    await anna.at("/");
    await (await arrived(anna, "The raffle of the club")).click();
    await drawer(anna).getByRole("button", { name: "Release", exact: true }).click();
    await waitFor("it is released", async () => (await anna.evaluate(async () => (await (await fetch("/api/v1/me/mail?q=subject:club")).json()).items[0]?.released)) === true);
    await anna.at("/rules?open=new");
    await drawer(anna).getByLabel("Addresses or domains").fill("raffle2.example");
    await drawer(anna).getByText(/Would have matched 1 of \d+ messages in 30 days/).waitFor();
    await drawer(anna).getByText("1 of them was wanted: it was released, or reported as not spam.").waitFor();
    await drawer(anna).locator(".samples li", { hasText: "released" }).waitFor();
    await anna.keyboard.press("Escape");
});

test("a message of the log is tried: one that is held, and of others it is said that there is no more than the log", async () => {
    await anna.at("/rules?tab=try");
    const pick = anna.getByLabel("Or one from the log");
    const choose = async (group) => pick.selectOption(await pick.locator(`optgroup[label="${group}"] option`).last().getAttribute("value"));
    await choose("Held");
    await anna.getByRole("button", { name: "Try it" }).last().click();
    await anna.locator("h2", { hasText: /Blocked by|Allowed by|No rule decides/ }).waitFor();
    await choose("The latest, as far as they are kept");
    await anna.getByRole("button", { name: "Try it" }).last().click();
    await anna.getByText("Of this message there is the log alone: only held mail is stored.").waitFor();
    assert.deepEqual(await barriers(anna), []);
});

test("a list is added to, searched, edited as text, emptied, and all of it taken back", async () => {
    await anna.at("/rules?tab=lists");
    const entries = (...wanted) => waitFor(`the entries ${wanted}`, async () => JSON.stringify(await anna.locator(".entries bdi").allInnerTexts()) === JSON.stringify(wanted));
    await entries("a@pest.example", "pest.example");
    await anna.getByLabel("Address, domain or IP address").fill("new@ext.example");
    await anna.getByRole("button", { name: "Add to the list" }).click();
    await entries("a@pest.example", "new@ext.example", "pest.example");
    await anna.getByLabel("Address, domain or IP address").fill("half of an addr");
    await anna.getByRole("button", { name: "Take out: a@pest.example" }).focus();
    await anna.keyboard.press("Enter");
    await entries("new@ext.example", "pest.example");
    assert.equal(await anna.getByLabel("Address, domain or IP address").inputValue(), "half of an addr", "what is being typed has nothing to do with it");
    assert.equal(await anna.evaluate(() => document.activeElement.getAttribute("aria-label")), "Take out: new@ext.example", "the next one is at hand");
    await anna.getByRole("button", { name: "Undo" }).click();
    await entries("a@pest.example", "new@ext.example", "pest.example");
    await anna.getByRole("button", { name: "Add to the list" }).click();
    await anna.locator(".quick [role=alert]", { hasText: /^An entry is one address/ }).waitFor();
    await anna.getByLabel("Find in the list").fill("ext");
    await entries("new@ext.example");
    await anna.getByRole("button", { name: "Take out: new@ext.example" }).click();
    await anna.getByText("Nothing in this list contains that").waitFor();
    await anna.getByRole("button", { name: "Undo" }).click();
    await entries("new@ext.example");
    await anna.getByLabel("Find in the list").fill("");
    await anna.getByRole("button", { name: "Edit all as text" }).click();
    assert.deepEqual(await barriers(anna), []);
    await anna.getByLabel("One a line").fill("pest.example\n192.0.2.0/24\nnot one of them\n");
    await anna.getByRole("button", { name: "Save" }).click();
    await anna.getByText(/^Line 3, not one of them: /).waitFor();
    await anna.getByLabel("One a line").fill("pest.example\n192.0.2.0/24\n<b>x</b>.example\n# a note\n");
    await anna.getByRole("button", { name: "Save" }).click();
    await anna.getByText(/^Line 3, <b>x<\/b>\.example: /).waitFor();
    await anna.getByLabel("One a line").fill("pest.example\n192.0.2.0/24\n");
    await anna.getByRole("button", { name: "Save" }).click();
    await note(anna, "Added: 1. Taken out: 2.");
    await entries("192.0.2.0/24", "pest.example");
    await anna.getByRole("button", { name: "Empty the list" }).click();
    await anna.getByText("All 2 entries are taken out. Rules that say more stay.").waitFor();
    assert.deepEqual(await barriers(anna), []);
    await drawer(anna).getByRole("button", { name: "Empty the list" }).click();
    await anna.getByText("Nobody is in this list").waitFor();
    await anna.getByRole("button", { name: "Undo" }).click();
    await entries("192.0.2.0/24", "pest.example");
    await shot(anna, "lists-1280");
    await anna.getByLabel("Which list").selectOption("allow");
    await entries("friend@raffle.example");
    await anna.getByLabel("Address, domain or IP address").fill("gmail.com");
    await anna.keyboard.press("Enter");
    await anna.locator(".quick [role=alert]").getByRole("button", { name: "Yes, that is meant" }).click();
    await entries("friend@raffle.example", "gmail.com");
    assert.equal(await anna.locator(".quick [role=alert]").count(), 0);
});

test("a list that says neither allow nor block is asked about where it is seen", async () => {
    await come(anna, "/rules?tab=import");
    await anna.getByLabel("Paste a list").fill("pest2.example\nfriend@raffle.example\n");
    await anna.getByRole("button", { name: "Show what it would do" }).click();
    await anna.getByText("what do they mean?").waitFor();
    assert.deepEqual(await barriers(anna), []);
    await anna.getByRole("button", { name: "Block them" }).click();
    await anna.locator("tbody tr", { hasText: "pest2.example" }).getByText("New").waitFor();
    await anna.locator("tbody tr", { hasText: "friend@raffle.example" }).getByText("Contradicts", { exact: true }).waitFor();
    assert.equal(await anna.getByRole("button", { name: "Import 2" }).isEnabled(), true);
});

const list = "required_score 5\nwelcomelist_from aunt@family.example\nblocklist_from pest.example\nblacklist_from friend@raffle.example\nblocklist_from bad@\n";
test("an import shows what is new, there already, contradicting and wrong, and stores only when all can be read", async () => {
    await anna.at("/rules?tab=import");
    await anna.getByLabel("Paste a list").fill(list);
    assert.deepEqual(await barriers(anna), []);
    await anna.getByRole("button", { name: "Show what it would do" }).click();
    const row = (text) => anna.locator("tbody tr", { hasText: text });
    await row("aunt@family.example").getByText("New").waitFor();
    await row("pest.example").getByText("A rule does the same.").waitFor();
    await row("friend@raffle.example").getByText("Contradicts", { exact: true }).waitFor();
    await row("blocklist_from bad@").getByText("Wrong").waitFor();
    await row("required_score").getByText("Passed over").waitFor();
    assert.equal(await anna.getByRole("button", { name: /^Import \d/ }).isDisabled(), true);
    assert.deepEqual(await barriers(anna), []);
    await shot(anna, "import-1280");
    await anna.getByRole("button", { name: /^Wrong/ }).click();
    assert.equal(await anna.locator("tbody tr").count(), 1);
    await anna.getByRole("button", { name: "Change the list" }).click();
    await anna.locator("input[type=file]").setInputFiles({ name: "local.cf", mimeType: "text/plain", buffer: Buffer.from(list.replace("blocklist_from bad@\n", "").replaceAll("\n", "\r\n")) });
    await waitFor("the file to be read", async () => !(await anna.getByLabel("Paste a list").inputValue()).includes("bad@"));
    await anna.getByRole("button", { name: "Show what it would do" }).click();
    await anna.getByLabel("Leave out what contradicts").check();
    await anna.getByRole("button", { name: "Import 1" }).click();
    await note(anna, "1 was imported.");
    await anna.at("/rules?tab=lists");
    await anna.getByLabel("Which list").selectOption("allow");
    await anna.locator(".entries bdi", { hasText: "aunt@family.example" }).waitFor();
    await anna.at("/rules?tab=import");
    const [file] = await Promise.all([anna.waitForEvent("download"), anna.getByRole("link", { name: "Download rules.jsonl" }).click()]);
    assert.equal(file.suggestedFilename(), "rules.jsonl");
});

test("an owner's lists are those of a policy, and the pages can be used at every width, in the dark and in German", async () => {
    await otto.at("/rules?in=domain:ours.example&tab=lists");
    await otto.getByLabel("Policy").selectOption({ label: "Policy: Enforced" });
    await otto.getByText("Nobody is in this list").waitFor();
    await otto.getByLabel("Address, domain or IP address").fill("crook.example");
    await otto.getByRole("button", { name: "Add to the list" }).click();
    await otto.locator(".entries bdi", { hasText: "crook.example" }).waitFor();
    await anna.at("/rules");
    await anna.locator("ul.rules", { hasText: "Blocked senders" }).waitFor();
    // A name that somebody made up stays a name, also inside of a sentence.
    const hostile = "<img src=x onerror=alert(1)> \u202eevil";
    await house.must("rule", "add", "--scope", "domain:ours.example", "--policy", "Enforced", "--name", hostile, "block", "--sender", "shadow.example");
    await house.must("rule", "add", "--scope", `mailbox:${ANNA}`, "--name", hostile, "block", "--sender", "a@shadow.example");
    await anna.at("/rules");
    await anna.locator(".flag", { hasText: `Never decides: “\u2068${hostile}\u2069” of your organisation above it` }).waitFor();
    await anna.at("/rules?tab=lists");
    await anna.getByRole("button", { name: "Edit all as text" }).click();
    await anna.getByLabel("One a line").fill("pest.example\n/<script>alert(1)</script>/");
    await anna.getByRole("button", { name: "Save" }).click();
    await anna.getByText(/^Line 2, \/<script>alert\(1\)<\/script>\/: /).waitFor();
    for (const [who, width, scheme, locale] of [[ANNA, 390, "dark", "de-DE"], [OTTO, 390, "light", "en-GB"], [ANNA, 320, "light", "de-DE"], [OTTO, 1280, "dark", "en-GB"]]) {
        const page = await browser.person(who, { width, scheme, locale }), at = who === OTTO ? "in=domain:ours.example&" : "";
        for (const tab of ["rules", "lists", "import"]) {
            await page.at(`/rules?${at}tab=${tab}`);
            await settled(page);
            if (tab === "import") {
                await page.locator("textarea").fill(list);
                await page.locator(".card .button.primary").click();
                await page.locator("table.table").waitFor();
            }
            assert.ok(await page.locator("[role=tab][aria-selected=true]").evaluate((e) => { const b = e.getBoundingClientRect(); return b.left >= 0 && b.right <= innerWidth; }), "the tab that is open is to be seen");
            assert.equal(await overhang(page), 0, `${tab} ${width}`);
            assert.deepEqual(await barriers(page), [], `${tab} ${width} ${scheme}`);
            await shot(page, `${tab}-${width}-${scheme}-${who.split("@")[0]}`);
        }
        assert.deepEqual(page.wrong, []);
        await page.done();
    }
});

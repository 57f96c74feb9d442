// Rules, as people work with them: the quick bar, the list and its order, the editor with what it would have done, and trying a message.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { signIn } from "../system/lib/index.mjs";
import { ANNA, barriers, hold, onlyRules, openBrowser, openHouse, OTTO, overhang, PASSWORD, ROOT, settled, waitFor } from "./lib.mjs";

const pictures = process.env.PICTURES; // a folder, for who wants to look
const MINE = `mailbox:${ANNA}`, OURS = "domain:ours.example";
const words = (name, any, more) => ({ name, action: "block", conditions: [{ kind: "subject", any: [any].flat() }], ...more });
const garden = { name: "Garden weekly", action: "allow", require_proof: false, conditions: [{ kind: "sender", any: ["weekly@garden.example"] }] }, raffles = words("No raffles", "raffle"), lotteries = words("No lotteries", ["lottery", "you have won"]);
let house, browser, anna, otto, she, he;
before(async () => {
    house = await openHouse();
    browser = await openBrowser(house);
    anna = await browser.person(ANNA);
    otto = await browser.person(OTTO);
    [she, he] = [await signIn(house, ANNA), await signIn(house, OTTO)];
    if (pictures) mkdirSync(pictures, { recursive: true });
});
after(async () => { await browser?.close(); await house?.close(); });
beforeEach(async () => { await onlyRules(she, MINE, garden, raffles); await onlyRules(he, OURS, lotteries); });
afterEach(() => { assert.deepEqual([...(anna?.wrong ?? []), ...(otto?.wrong ?? [])], []); });

const names = (page) => page.locator("ol.rules .what strong").allInnerTexts();
const inOrder = (page, ...wanted) => waitFor(`the order ${wanted}`, async () => JSON.stringify(await names(page)) === JSON.stringify(wanted));
const note = (page, text) => page.locator(".note", { hasText: text }).waitFor();
const drawer = (page) => page.getByRole("dialog");
async function come(page, path = "/rules") { await page.at(path); await settled(page); }

test("an address in the quick bar is a rule, and the note takes it back", async () => {
    await come(anna);
    await inOrder(anna, "Garden weekly", "No raffles");
    const box = anna.getByLabel("Address, domain or IP address"), go = await hold(anna, "POST", "**/rules/quick");
    await box.fill("pest@ext.example");
    await anna.getByRole("button", { name: "Add", exact: true }).click();
    await box.fill("another@ext.example");
    await go();
    await note(anna, "pest@ext.example is blocked from now on.");
    assert.equal(await box.inputValue(), "another@ext.example", "what was typed while the first was being added");
    await box.fill("");
    await inOrder(anna, "Garden weekly", "No raffles", "pest@ext.example");
    await anna.getByRole("button", { name: "Undo" }).click();
    await inOrder(anna, "Garden weekly", "No raffles");
});

test("what is no sender is said, and a whole free-mail house has to be meant", async () => {
    await come(anna);
    await anna.getByLabel("Address, domain or IP address").fill("not a sender");
    await anna.keyboard.press("Enter");
    await anna.locator(".quick [role=alert]", { hasText: /^Character 4: / }).waitFor();
    await anna.getByLabel("Allow or block").selectOption("allow");
    await anna.getByLabel("Address, domain or IP address").fill("gmail.com");
    await anna.keyboard.press("Enter");
    await anna.getByRole("button", { name: "Yes, that is meant" }).click();
    await inOrder(anna, "Garden weekly", "gmail.com", "No raffles"); // an allow before a block of the same priority
});

test("an allow that nothing here can prove is not said to be in force", async () => {
    await come(anna);
    await anna.route("**/rules/quick", (route) => route.fulfill({ status: 201, contentType: "application/json", body: JSON.stringify({ id: "x", version: "x", advice: ["cannot_prove"] }) }));
    await anna.getByLabel("Allow or block").selectOption("allow");
    await anna.getByLabel("Address, domain or IP address").fill("friend@ext.example");
    await anna.keyboard.press("Enter");
    await note(anna, /^The rule about friend@ext\.example is there\. Nothing here can prove/);
    await anna.unroute("**/rules/quick");
});

test("rules move by their arrows and by keys, one step after the other, and are switched off", async () => {
    await onlyRules(she, MINE, words("One", "one"), words("Two", "two"), words("Three", "three"), words("Four", "four"));
    await come(anna);
    const focused = () => anna.evaluate(() => document.activeElement.getAttribute("aria-label") ?? document.activeElement.querySelector("strong")?.innerText);
    await anna.getByRole("button", { name: "Move down: One" }).focus();
    await anna.keyboard.press("Enter");
    await inOrder(anna, "Two", "One", "Three", "Four");
    assert.equal(await focused(), "Move down: One", "the next press moves it on");
    await anna.keyboard.press("Enter");
    await anna.keyboard.press("Enter");
    await inOrder(anna, "Two", "Three", "Four", "One");
    assert.equal(await focused(), "Move up: One", "it is the last: there is no other way");
    await anna.locator("[data-rule]").first().focus();
    for (const key of ["j", "Shift+J", "Shift+J"]) await anna.keyboard.press(key);
    await inOrder(anna, "Two", "Four", "One", "Three");
    assert.equal(await focused(), "Three");
    await note(anna, "is number 4 of 4 now.");
    await anna.getByRole("switch", { name: "In force: Three" }).click();
    await waitFor("the row to be off", () => anna.locator("li.rule.off", { hasText: "Three" }).count());
    await anna.reload();
    await inOrder(anna, "Two", "Four", "One", "Three");
    assert.equal(await anna.getByRole("switch", { name: "In force: Three" }).isChecked(), false);
});

test("what is moved stands there at once, and where it was when the server does not take it", async () => {
    await come(anna);
    const go = await hold(anna, "POST", "**/move");
    await anna.getByRole("button", { name: "Move down: Garden weekly" }).click();
    await inOrder(anna, "No raffles", "Garden weekly");
    await she.del(`/rules/${await idOf("Garden weekly")}`);
    await go();
    await inOrder(anna, "No raffles");
    await note(anna, "There is no such rule.");
});

test("the rules of the organisation are there to read, and a press anywhere in a row opens it", async () => {
    await come(anna);
    await anna.locator("ol.rules li", { hasText: "No raffles" }).click({ position: { x: 90, y: 8 } });
    await drawer(anna).getByLabel("Name", { exact: true }).waitFor();
    await anna.keyboard.press("Escape");
    await drawer(anna).waitFor({ state: "detached" });
    await anna.getByRole("heading", { name: "Set by your organisation" }).waitFor();
    await anna.locator("ul.rules .what", { hasText: "No lotteries" }).click();
    await drawer(anna).getByText("it can be read here, and not changed").waitFor();
    assert.equal(await drawer(anna).getByRole("button", { name: "Save" }).count(), 0);
    await anna.keyboard.press("Escape");
    await drawer(anna).waitFor({ state: "detached" });
});

test("the editor says the rule as a sentence, and what it would have done to past mail", async () => {
    await come(anna);
    await anna.getByRole("button", { name: "New rule" }).click();
    await drawer(anna).getByText("Block mail if the sender is ….").waitFor();
    await drawer(anna).getByLabel("What to look at").selectOption("subject");
    await drawer(anna).getByLabel("Words").fill("parcel\ncustoms");
    await drawer(anna).getByText("Block mail if the subject contains parcel or customs.").waitFor();
    await drawer(anna).getByText(/Would have matched 1 of \d+ messages in 30 days/).waitFor();
    await drawer(anna).locator(".samples", { hasText: "Your parcel is waiting" }).waitFor();
    await drawer(anna).getByRole("button", { name: "And also …" }).click();
    await drawer(anna).getByLabel("What to look at").nth(1).selectOption("body");
    await drawer(anna).getByLabel("Words").nth(1).fill("pay");
    await drawer(anna).getByText("1 could not be judged. The log does not keep: Text.").waitFor();
    assert.deepEqual(await barriers(anna), []);
    if (pictures) await anna.screenshot({ path: `${pictures}/editor-1280.png` });
    await drawer(anna).getByLabel("Name", { exact: true }).fill("<b>Parcels</b>");
    await drawer(anna).getByRole("button", { name: "Save" }).click();
    await inOrder(anna, "Garden weekly", "No raffles", "<b>Parcels</b>");
});

test("an allow by name holds for proven senders, and says what it means when it does not", async () => {
    await come(anna);
    await anna.locator("ol.rules .what", { hasText: "Garden weekly" }).click();
    await drawer(anna).getByText("anybody can write this name into a message").waitFor();
    await drawer(anna).getByLabel("Only when the sender is proven").check();
    await drawer(anna).getByText("and the sender is proven.").waitFor();
    await drawer(anna).getByRole("button", { name: "Save" }).click();
    await note(anna, "Saved.");
    await waitFor("the sentence", () => anna.locator("ol.rules .what", { hasText: "and the sender is proven" }).count());
});

test("all ten kinds of conditions are said and kept", async () => {
    const rule = { name: "Ten", action: "block", conditions: [{ kind: "sender", source: "envelope", any: ["a.example"] }, { kind: "recipient", any: [ANNA] }, { kind: "subject", match: "starts_with", any: ["x"], case_sensitive: true }, { kind: "body", any: ["y"], not: true }, { kind: "header", name: "List-Id", match: "exact", any: ["z"] }, { kind: "ip", any: ["192.0.2.0/24"] }, { kind: "host", any: ["*.a.example"] }, { kind: "size", min: 1234, max: 2000000 }, { kind: "attachment", any: [{ extension: "exe" }, { mime_type: "application/zip" }, { filename: "in*.pdf" }, { present: true }, { extension: "pdf", mime_type: "application/pdf" }] }, { kind: "signed_by", any: ["a.example"] }] };
    const { id } = (await she.post(`/scopes/${MINE}/rules`, { rule })).body;
    const kept = (await ruleAt(id)).conditions;

    await anna.at(`/rules?open=${id}`);
    await drawer(anna).getByRole("button", { name: "Save" }).click();
    await note(anna, "Saved.");
    assert.deepEqual((await ruleAt(id)).conditions, kept);
    await anna.at(`/rules?open=${id}`);
    await drawer(anna).getByText("its size is between 1.2 kB and 2 MB").waitFor();
    await drawer(anna).getByText("it has an attachment like .exe, application/zip, in*.pdf or 2 others").waitFor();
    await drawer(anna).getByRole("button", { name: "Delete" }).click();
    await note(anna, "The rule is deleted.");
    await inOrder(anna, "Garden weekly", "No raffles");
});

test("a size with one end is said, and one more condition is typed where it appears", async () => {
    await come(anna, "/rules?open=new");
    const focus = () => anna.evaluate(() => document.activeElement.closest(".condition")?.querySelector("legend").innerText ?? document.activeElement.innerText);
    await drawer(anna).getByLabel("What to look at").selectOption("size");
    await drawer(anna).getByLabel("At least, kB").fill("1500");
    await drawer(anna).getByText("Block mail if its size is 1.5 MB or more.").waitFor();
    await drawer(anna).getByRole("button", { name: "And also …" }).click();
    assert.equal(await focus(), "and");
    await drawer(anna).getByRole("button", { name: "Remove condition 2" }).click();
    assert.equal(await focus(), "And also …");
});

test("a pasted message shows what all rules say of it", async () => {
    await come(anna, "/rules?tab=try");
    await anna.getByLabel("Paste a message").fill("From: x@ext.example\nSubject: Our raffle\n\nWin.\n");
    await anna.getByRole("button", { name: "Try it" }).first().click();
    await anna.getByRole("heading", { name: "Blocked by “No raffles” (mailbox)" }).waitFor();
    await anna.locator("tr", { hasText: "No lotteries" }).waitFor();
    const answer = anna.getByRole("heading", { name: /^(Blocked|Allowed) by/ });
    assert.ok(await answer.evaluate((e) => e.getBoundingClientRect().bottom + 200 < innerHeight), "what came of it is to be seen");
    const go = await hold(anna, "POST", "**/rules/test");
    await anna.getByRole("button", { name: "Try it" }).first().click();
    assert.equal(await answer.count(), 1, "it stays until there is another");
    await go();
    await settled(anna);
    assert.deepEqual(await barriers(anna), []);
    if (pictures) await anna.screenshot({ path: `${pictures}/try-1280.png`, fullPage: true });
    await anna.getByRole("tab", { name: "Learned senders" }).click();
    await settled(anna);
    assert.deepEqual(await barriers(anna), []);
});

test("an owner's block can be one that people may not override", async () => {
    await otto.at("/rules?in=domain:ours.example");
    await settled(otto);
    await otto.getByRole("button", { name: "New rule" }).click();
    await drawer(otto).getByLabel("Addresses or domains").fill("crook.example");
    await drawer(otto).getByLabel("Name", { exact: true }).fill("No crooks");
    await drawer(otto).getByLabel("People may not override it").check();
    await drawer(otto).getByRole("button", { name: "Save" }).click();
    await inOrder(otto, "No crooks", "No lotteries");
    await otto.locator("ol.rules", { hasText: "Enforced" }).waitFor();
    await house.must("policy", "add", OURS, "Spring"); // one more is no reason for it to be asked otherwise
    await otto.at(`/rules?in=${OURS}&open=new`);
    await drawer(otto).getByLabel("Addresses or domains").fill("friend.example");
    await drawer(otto).getByLabel("People may not override it").check();
    await drawer(otto).getByLabel("Allow", { exact: true }).check();
    assert.equal(await drawer(otto).getByLabel("People may not override it").count(), 0, "what is enforced blocks");
    await drawer(otto).getByRole("button", { name: "Save" }).click();
    await note(otto, "Saved.");
    await house.must("policy", "delete", OURS, "Spring", "--yes");
});

test("whose rules they are is said, and is picked: the operator's domains and mailboxes, an owner's mailboxes, and nobody's else", async () => {
    const root = await browser.person(ROOT);
    await come(root, `/rules?in=${OURS}`);
    assert.deepEqual(await root.locator(".page-head select").evaluateAll((all) => all.map((s) => s.selectedOptions[0].innerText)), ["ours.example", "All of ours.example"]);
    await root.getByLabel("Which mailbox").selectOption(ANNA);
    await inOrder(root, "Garden weekly", "No raffles");
    await root.getByLabel("For whom").selectOption("For all domains");
    await root.getByText("No rules yet").waitFor();
    assert.equal(await root.getByLabel("Which mailbox").count(), 0);
    assert.deepEqual(root.wrong, []);
    await root.done();
    await come(otto, `/rules?in=${OURS}`);
    await otto.getByLabel("Which mailbox").selectOption(ANNA);
    await inOrder(otto, "Garden weekly", "No raffles");
    await come(anna);
    assert.equal(await anna.locator(".page-head select").count(), 0, "of one's own alone it goes without saying");
    await come(anna, `/rules?in=mailbox:${OTTO}`);
    await anna.getByRole("heading", { name: "There is nothing here" }).waitFor();
    assert.deepEqual([await anna.locator(".quick").count(), await anna.getByRole("alert").count()], [0, 1]);
});

async function edit(page, name) {
    await page.at("/rules");
    await page.locator("ol.rules .what", { hasText: name }).click();
    await drawer(page).getByLabel("Name", { exact: true }).waitFor();
    return page;
}
const press = (page, name) => drawer(page).getByRole("button", { name, exact: true }).click();
const told = (page) => drawer(page).getByRole("alert").filter({ hasText: "This was changed meanwhile" });
const idOf = async (name) => (await she.get(`/scopes/${MINE}/rules`)).body.items.find((i) => i.rule.name === name).id;
const ruleAt = async (id) => (await she.get(`/rules/${id}`)).body.rule;

test("who saves an editor that another has overtaken sees what became different, and keeps what they typed", async () => {
    const [one, two] = [await edit(anna, "No raffles"), await edit(await browser.person(ANNA), "No raffles")], words = (page) => drawer(page).getByLabel("Words"), named = (page) => drawer(page).getByLabel("Name", { exact: true });
    await words(two).fill("raffle\ntombola");
    await press(two, "Save");
    await note(two, "Saved.");
    assert.deepEqual(two.wrong, []);
    await two.done();
    await words(one).fill("raffle\nbingo");
    await named(one).fill("No games");
    await press(one, "Save");
    await told(one).getByText("Block mail if the subject contains raffle or tombola.").waitFor();
    await told(one).getByText("Block mail if the subject contains raffle, tombola or bingo.").waitFor();
    assert.deepEqual(await told(one).locator("dt").allInnerTexts(), ["As it is now", "With yours", "Added meanwhile"]);
    assert.deepEqual([await words(one).inputValue(), await named(one).inputValue()], ["raffle\ntombola\nbingo", "No games"]);
    assert.deepEqual(await barriers(one), []);
    if (pictures) for (const [width, scheme] of [[1280, "light"], [1280, "dark"], [390, "light"], [390, "dark"]]) { await one.setViewportSize({ width, height: 800 }); await one.emulateMedia({ colorScheme: scheme }); await told(one).scrollIntoViewIfNeeded(); await one.screenshot({ path: `${pictures}/meanwhile-${width}-${scheme}.png` }); }
    await press(one, "Take what is there now");
    assert.deepEqual([await words(one).inputValue(), await named(one).inputValue()], ["raffle\ntombola", "No raffles"]);
    await one.getByRole("button", { name: "Undo" }).click();
    assert.deepEqual([await words(one).inputValue(), await named(one).inputValue()], ["raffle\ntombola\nbingo", "No games"]);
    await press(one, "Save");
    await note(one, "Saved.");
    await waitFor("both changes in the list", () => one.locator("ol.rules .what", { hasText: "No games" }).getByText("raffle, tombola or bingo").count());
});

test("what was switched or moved meanwhile stays so when an editor that was open is saved", async () => {
    await onlyRules(she, MINE, words("No games", ["raffle", "bingo"]), raffles);
    const page = await edit(anna, "No games"), id = await idOf("No games");
    await she.patch(`/rules/${id}`, { enabled: false });
    await drawer(page).getByLabel("Note").fill("They never end");
    await press(page, "Save");
    await told(page).getByText("until then: Yes").waitFor();
    await she.post(`/rules/${id}/move`, {});
    await press(page, "Save mine"); // where it stands is nothing that the form has: that is no question
    await note(page, "Saved.");
    await waitFor("the row to be off", () => page.locator("li.rule.off", { hasText: "No games" }).count());
    assert.equal((await names(page)).at(-1), "No games");
});

test("nothing is deleted unseen, and what others deleted is not lost to who has it open: saved, it is a new rule", async () => {
    await onlyRules(she, MINE, words("No games", ["raffle", "bingo"]));
    const page = await edit(anna, "No games"), id = await idOf("No games"), rule = await ruleAt(id);
    await she.put(`/rules/${id}`, { rule: { ...rule, note: "Ask Bob" } });
    await press(page, "Delete");
    await told(page).getByText("Ask Bob").waitFor();
    await drawer(page).getByLabel("Name", { exact: true }).fill("No games any more");
    await she.del(`/rules/${id}`);
    await press(page, "Save mine");
    await drawer(page).getByText("This rule was deleted meanwhile.").waitFor();
    await press(page, "Save");
    await note(page, "Saved.");
    await waitFor("the new rule", async () => (await names(page)).includes("No games any more"));
});

test("what the server refuses is said in German to who reads German, with what was wrong named", async () => {
    const page = await browser.person(ANNA, { locale: "de-DE" }), said = (text) => page.getByText(text, { exact: true }).waitFor();

    await page.at("/rules");
    await settled(page);
    await page.getByLabel("Adresse, Domain oder IP-Adresse").fill("@");
    await page.keyboard.press("Enter");
    await page.locator(".quick [role=alert]").waitFor();
    assert.match(await page.locator(".quick [role=alert]").innerText(), /^Zeichen 1: (Vor|Hinter) dem „@“ steht/);
    await page.getByLabel("Erlauben oder sperren").selectOption("allow");
    await page.getByLabel("Adresse, Domain oder IP-Adresse").fill("*@*");
    await page.keyboard.press("Enter");
    await page.locator(".quick [role=alert]", { hasText: "würde Mail von allen erlauben" }).waitFor();

    await page.at("/rules?tab=import");
    await page.getByLabel("Liste einfügen").fill("good.example\nbad@\n/a(b/\n\"half\n");
    await page.getByRole("button", { name: "Zeigen, was es täte" }).click();
    await page.locator("tbody tr", { hasText: "bad@" }).waitFor();
    const wrong = await page.locator("tbody tr", { hasText: "Falsch" }).locator(".remark").allInnerTexts();
    assert.ok(wrong.length >= 2, wrong.join("\n"));
    for (const text of wrong) assert.match(text, /Eintrag|Zeile|Klammer|Domain|Adresse/, text);
    assert.ok(wrong.every((text) => !/\b(the|of|write|line|no)\b/.test(text)), wrong.join("\n"));

    await page.at("/settings");
    await settled(page);
    await page.getByLabel("Aktuelles Passwort").fill(PASSWORD);
    await page.getByLabel("Neues Passwort").fill("Password2026!");
    await page.getByRole("button", { name: "Passwort setzen" }).click();
    await said("Wer rät, versucht das früh. Mehrere Wörter, die nicht zusammengehören, sind ein gutes Passwort.");
    await page.getByLabel("Neues Passwort").fill("aaaaaaaaaaaa");
    await page.getByRole("button", { name: "Passwort setzen" }).click();
    await said("Das wiederholt sich. Mehrere Wörter, die nicht zusammengehören, sind ein gutes Passwort.");

    await page.at("/?q=status:nonsense");
    await page.getByText("status: received, queued, delivered, spam, quarantined, blocked oder rejected.").first().waitFor();
    assert.deepEqual(page.wrong, []);
    await page.done();
});

test("the page can be used at every width, in the dark and in German", async () => {
    for (const [width, scheme, locale] of [[320, "light", "en-GB"], [390, "dark", "de-DE"], [1280, "dark", "en-GB"], [1280, "light", "de-DE"]]) {
        const page = await browser.person(ANNA, { width, scheme, locale });

        await page.at("/rules");
        await settled(page);
        assert.equal(await overhang(page), 0, `${width}`);
        assert.deepEqual(await barriers(page), [], `${width} ${scheme}`);
        if (pictures) await page.screenshot({ path: `${pictures}/rules-${width}-${scheme}.png`, fullPage: true });
        await page.locator("ol.rules .what").first().click();
        await drawer(page).locator(".backtest .big").waitFor();
        assert.equal(await overhang(page), 0, `${width}, the editor`);
        assert.deepEqual(await barriers(page), [], `${width} ${scheme}, the editor`);
        if (pictures) await page.screenshot({ path: `${pictures}/editor-${width}-${scheme}.png`, fullPage: true });
        assert.deepEqual(page.wrong, []);
        await page.done();
    }
});

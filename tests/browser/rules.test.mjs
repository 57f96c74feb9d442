// Rules, as people work with them: the quick bar, the list and its order, the editor with what it would have done, and trying a message.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { after, before, test } from "node:test";

import { ANNA, barriers, hold, openBrowser, openHouse, OTTO, overhang, PASSWORD, settled, waitFor } from "./lib.mjs";

const pictures = process.env.PICTURES; // a folder, for who wants to look
let house, browser, anna, otto;
before(async () => {
    house = await openHouse();
    browser = await openBrowser(house);
    anna = await browser.person(ANNA);
    otto = await browser.person(OTTO);
    if (pictures) mkdirSync(pictures, { recursive: true });
});
after(async () => { await browser?.close(); await house?.close(); });

const names = (page) => page.locator("ol.rules .what strong").allInnerTexts();
const inOrder = (page, ...wanted) => waitFor(`the order ${wanted}`, async () => JSON.stringify(await names(page)) === JSON.stringify(wanted));
const note = (page, text) => page.locator(".note", { hasText: text }).waitFor();
const drawer = (page) => page.getByRole("dialog");
const api = (path, options) => anna.evaluate(async ([p, o]) => { const s = await (await fetch("/api/v1/session")).json(); const r = await fetch(`/api/v1${p}`, { ...o, headers: { "Content-Type": "application/json", "X-CSRF-Token": s.csrf } }); return r.status === 204 ? null : r.json(); }, [path, options]);

test("an address in the quick bar is a rule, and the note takes it back", async () => {
    await anna.at("/rules");
    await settled(anna);
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
    await anna.getByLabel("Address, domain or IP address").fill("not a sender");
    await anna.keyboard.press("Enter");
    await anna.locator(".quick [role=alert]").waitFor();
    await anna.getByLabel("Allow or block").selectOption("allow");
    await anna.getByLabel("Address, domain or IP address").fill("gmail.com");
    await anna.keyboard.press("Enter");
    await anna.getByRole("button", { name: "Yes, that is meant" }).click();
    await inOrder(anna, "Garden weekly", "gmail.com", "No raffles"); // an allow before a block of the same priority
});

test("rules move by their arrows and by keys, and are switched off", async () => {
    await anna.getByRole("button", { name: "Move down: gmail.com" }).click();
    await inOrder(anna, "Garden weekly", "No raffles", "gmail.com");
    await anna.locator("[data-rule]").first().focus();
    await anna.keyboard.press("j");
    await anna.keyboard.press("Shift+K");
    await inOrder(anna, "No raffles", "Garden weekly", "gmail.com");
    await anna.getByRole("switch", { name: "In force: gmail.com" }).click();
    await waitFor("the row to be off", () => anna.locator("li.rule.off", { hasText: "gmail.com" }).count());
    await anna.reload();
    await inOrder(anna, "No raffles", "Garden weekly", "gmail.com");
    assert.equal(await anna.getByRole("switch", { name: "In force: gmail.com" }).isChecked(), false);
});

test("the rules of the organisation are there to read", async () => {
    await anna.getByRole("heading", { name: "Set by your organisation" }).waitFor();
    await anna.locator("ul.rules .what", { hasText: "No lotteries" }).click();
    await drawer(anna).getByText("it can be read here, and not changed").waitFor();
    assert.equal(await drawer(anna).getByRole("button", { name: "Save" }).count(), 0);
    await anna.keyboard.press("Escape");
    await drawer(anna).waitFor({ state: "detached" });
});

test("the editor says the rule as a sentence, and what it would have done to past mail", async () => {
    await anna.getByRole("button", { name: "New rule" }).click();
    await drawer(anna).getByLabel("What to look at").selectOption("subject");
    await drawer(anna).getByLabel("Words").fill("parcel\ncustoms");
    await drawer(anna).getByText("Block mail if the subject contains parcel, customs.").waitFor();
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
    await inOrder(anna, "No raffles", "Garden weekly", "gmail.com", "<b>Parcels</b>");
});

test("an allow by name holds for proven senders, and says what it means when it does not", async () => {
    await anna.locator("ol.rules .what", { hasText: "Garden weekly" }).click();
    await drawer(anna).getByText("anybody can write this name into a message").waitFor();
    await drawer(anna).getByLabel("Only when the sender is proven").check();
    await drawer(anna).getByText("and the sender is proven.").waitFor();
    await drawer(anna).getByRole("button", { name: "Save" }).click();
    await note(anna, "Saved.");
    await waitFor("the sentence", () => anna.locator("ol.rules .what", { hasText: "and the sender is proven" }).count());
});

test("all ten kinds of conditions are said and kept", async () => {
    const rule = { name: "Ten", action: "block", conditions: [{ kind: "sender", source: "envelope", any: ["a.example"] }, { kind: "recipient", any: [ANNA] }, { kind: "subject", match: "starts_with", any: ["x"], case_sensitive: true }, { kind: "body", any: ["y"], not: true }, { kind: "header", name: "List-Id", match: "exact", any: ["z"] }, { kind: "ip", any: ["192.0.2.0/24"] }, { kind: "host", any: ["*.a.example"] }, { kind: "size", min: 1000, max: 2000000 }, { kind: "attachment", any: [{ extension: "exe" }, { mime_type: "application/zip" }, { filename: "in*.pdf" }, { present: true }, { extension: "pdf", mime_type: "application/pdf" }] }, { kind: "signed_by", any: ["a.example"] }] };
    const { id } = await api(`/scopes/mailbox:${ANNA}/rules`, { method: "POST", body: JSON.stringify({ rule }) });
    const kept = (await api(`/rules/${id}`)).rule.conditions;

    await anna.at(`/rules?open=${id}`);
    await drawer(anna).getByRole("button", { name: "Save" }).click();
    await note(anna, "Saved.");
    assert.deepEqual((await api(`/rules/${id}`)).rule.conditions, kept);
    await anna.at(`/rules?open=${id}`);
    await drawer(anna).getByRole("button", { name: "Delete" }).click();
    await note(anna, "The rule is deleted.");
    await inOrder(anna, "No raffles", "Garden weekly", "gmail.com", "<b>Parcels</b>");
});

test("a pasted message shows what all rules say of it", async () => {
    await anna.getByRole("tab", { name: "Try a message" }).click();
    await anna.getByLabel("Paste a message").fill("From: x@ext.example\nSubject: Our raffle\n\nWin.\n");
    await anna.getByRole("button", { name: "Try it" }).first().click();
    await anna.getByRole("heading", { name: "Blocked by “No raffles” (mailbox)" }).waitFor();
    await anna.locator("tr", { hasText: "No lotteries" }).waitFor();
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
});

async function edit(page, name) {
    await page.at("/rules");
    await page.locator("ol.rules .what", { hasText: name }).click();
    await drawer(page).getByLabel("Name", { exact: true }).waitFor();
    return page;
}
const press = (page, name) => drawer(page).getByRole("button", { name, exact: true }).click();
const told = (page) => drawer(page).getByRole("alert").filter({ hasText: "This was changed meanwhile" });
const idOf = async (name) => (await api(`/scopes/mailbox:${ANNA}/rules`)).items.find((i) => i.rule.name === name).id;

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
    await told(one).getByText("Block mail if the subject contains raffle, tombola.").waitFor();
    await told(one).getByText("Block mail if the subject contains raffle, tombola, bingo.").waitFor();
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
    await waitFor("both changes in the list", () => one.locator("ol.rules .what", { hasText: "No games" }).getByText("raffle, tombola, bingo").count());
});

test("what was switched or moved meanwhile stays so when an editor that was open is saved", async () => {
    const page = await edit(anna, "No games"), id = await idOf("No games");
    await api(`/rules/${id}`, { method: "PATCH", body: JSON.stringify({ enabled: false }) });
    await drawer(page).getByLabel("Note").fill("They never end");
    await press(page, "Save");
    await told(page).getByText("until then: Yes").waitFor();
    await api(`/rules/${id}/move`, { method: "POST", body: "{}" });
    await press(page, "Save mine"); // where it stands is nothing that the form has: that is no question
    await note(page, "Saved.");
    await waitFor("the row to be off", () => page.locator("li.rule.off", { hasText: "No games" }).count());
    assert.equal((await names(page)).at(-1), "No games");
});

test("nothing is deleted unseen, and what others deleted is not lost to who has it open: saved, it is a new rule", async () => {
    const page = await edit(anna, "No games"), id = await idOf("No games"), { rule } = await api(`/rules/${id}`);
    await api(`/rules/${id}`, { method: "PUT", body: JSON.stringify({ rule: { ...rule, note: "Ask Bob" } }) });
    await press(page, "Delete");
    await told(page).getByText("Ask Bob").waitFor();
    await drawer(page).getByLabel("Name", { exact: true }).fill("No games any more");
    await api(`/rules/${id}`, { method: "DELETE" });
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
    assert.match(await page.locator(".quick [role=alert]").innerText(), /^Bedingung 1, Eintrag 1, Zeichen 1: (Vor|Hinter) dem „@“ steht/);
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
    await page.getByLabel("Bisheriges Passwort").fill(PASSWORD);
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
    assert.deepEqual([...anna.wrong, ...otto.wrong], []);
});

// Policies and thresholds by hand, as the operator, an owner and a person: what is told before it is saved, and what then holds.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { ANNA, barriers, findings, hold, openBrowser, openHouse, OTTO, overhang, ROOT, settled, waitFor } from "./lib.mjs";

let house, browser, n = 0;
const views = [[1280, "light"], [1280, "dark"], [390, "light"], [390, "dark"]];
const scores = [-3, 0.2, 1, 4.2, 4.7, 5.3, 7, 9, 16];
before(async () => {
    house = await openHouse({ mail: [] });
    for (const score of scores) { const subject = `Judged ${++n}`; findings.set(subject, [["TEST", score]]); await house.letter({ subject }); }
    await house.must("policy", "add", "global", "Everywhere", "--locked", "on");
    await house.must("policy", "add", "global", "Idle");
    browser = await openBrowser(house);
    const page = await browser.person(OTTO);
    await waitFor("the scores", async () => { await page.at("/policies"); await settled(page); return (await page.getByText(`${scores.length} messages of the last 7 days`).count()) === 1; });
    await page.done();
});
after(async () => { await browser?.close(); await house?.close(); });

const field = (page, name) => page.getByLabel(name, { exact: true });
const line = (page, name) => page.locator(`.line-${name}`);
async function come(who, path, more) {
    const page = await browser.person(who, more);

    await page.at(path);
    await settled(page);
    return page;
}
const leave = async (page) => { assert.deepEqual(page.wrong, []); await page.done(); };

test("an owner sees what a threshold would move while typing it, saves it, and gives it back", async () => {
    const page = await come(OTTO, "/policies");

    await field(page, "inherited Spam from").uncheck();
    await field(page, "Spam from").fill("4.5");
    await page.getByText("2 of 9 messages of the last 7 days would be judged otherwise:").waitFor();
    await page.getByText("2 would be spam instead of let through").waitFor();
    await field(page, "Spam from").fill("16");
    await page.getByText("“Spam beyond doubt from” (15) must be more than “Spam from” (16).").waitFor();
    await page.getByRole("button", { name: "Save" }).click();
    await page.locator(".keep .problem").getByText("must be more than").waitFor();
    await field(page, "Spam from").fill("7");
    const go = await hold(page, "PUT", "**/settings");
    await page.getByRole("button", { name: "Save" }).click();
    await field(page, "Spam from").fill("7.5");
    await go();
    await page.getByText("Saved.").waitFor();
    assert.equal(await field(page, "Spam from").inputValue(), "7.5", "what was typed while the first was being saved");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("button", { name: "Save" }).waitFor({ state: "detached" });
    await page.reload();
    await settled(page);
    assert.equal(await field(page, "Spam from").inputValue(), "7.5");
    await page.getByRole("button", { name: "Inherit all three" }).click();
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("Saved.").waitFor();
    assert.equal(await field(page, "Spam from").inputValue(), "6");
    assert.equal(await field(page, "inherited Spam from").isChecked(), true);
    await leave(page);
});

test("what others set while the page was open is shown before it is saved, and what nobody touched stays theirs", async () => {
    const page = await come(OTTO, "/policies"), other = await come(ROOT, "/policies?in=domain:ours.example"), save = (who, name) => who.getByRole("button", { name, exact: true }).click();

    await field(other, "inherited Strangers wait from").uncheck();
    await field(other, "Strangers wait from").fill("3");
    await save(other, "Save");
    await other.getByText("Saved.").waitFor();
    await field(page, "inherited Spam from").uncheck();
    await field(page, "Spam from").fill("5.5");
    await save(page, "Save");
    const told = page.getByRole("alert").filter({ hasText: "This was changed meanwhile" });
    await told.getByText("until then: inherited").waitFor();
    assert.deepEqual([await field(page, "Strangers wait from").inputValue(), await field(page, "Spam from").inputValue()], ["3", "5.5"]);
    assert.deepEqual(await barriers(page), []);
    await save(page, "Take what is there now");
    assert.equal(await field(page, "Spam from").inputValue(), "6");
    await page.getByRole("button", { name: "Undo" }).click();
    await save(page, "Save");
    await page.getByText("Saved.").waitFor();
    await other.reload();
    await settled(other);
    assert.deepEqual([await field(other, "Strangers wait from").inputValue(), await field(other, "Spam from").inputValue()], ["3", "5.5"]);
    await other.getByRole("button", { name: "Inherit all three" }).click();
    await save(other, "Save");
    await other.getByText("Saved.").waitFor();
    await leave(other);
    await leave(page);
});

test("on a phone, what a threshold would move is to be seen while it is typed", async () => {
    const page = await come(OTTO, "/policies", { width: 390, height: 844, locale: "de-DE" });

    await field(page, "übernommen Spam ab").uncheck();
    await field(page, "Spam ab").fill("4.5");
    await page.getByText("2 wären Spam statt durchgelassen").waitFor();
    assert.equal(await page.locator(".moves strong").evaluate((e) => { const b = e.getBoundingClientRect(); return e.contains(document.elementFromPoint(b.left + 5, b.bottom - 5)); }), true);
    await leave(page);
});

test("a line is dragged to another score, and the field follows; given up, all is as it was", async () => {
    const page = await come(OTTO, "/policies"), knob = line(page, "add_header").locator("circle"), chart = await page.locator(".histogram svg").boundingBox();

    await knob.hover();
    await page.mouse.down();
    await page.mouse.move(chart.x + ((4.5 + 10 + 1) / 42) * chart.width, chart.y + 40, { steps: 4 });
    await page.mouse.up();
    assert.equal(await field(page, "Spam from").inputValue(), "4.5");
    await page.getByText("2 would be spam instead of let through").waitFor();
    await page.getByRole("button", { name: "Discard" }).click();
    assert.equal(await field(page, "Spam from").inputValue(), "6");
    await page.getByText("all judged as they were").waitFor();
    await leave(page);
});

test("who does not see the picture has its numbers, and the lines that are off are not drawn", async () => {
    const page = await come(OTTO, "/policies");

    await page.getByText("The same as a table").click();
    const rows = await page.locator(".numbers tbody tr").evaluateAll((all) => all.map((r) => [...r.cells].map((c) => c.innerText)));
    assert.deepEqual(rows, [["-3 to below -2", "1"], ["0 to below 1", "1"], ["1 to below 2", "1"], ["4 to below 5", "2"], ["5 to below 6", "1"], ["7 to below 8", "1"], ["9 to below 10", "1"], ["16 to below 17", "1"]]);
    assert.equal(await line(page, "greylist").count(), 0, "nobody waits here");
    await field(page, "inherited Strangers wait").uncheck();
    await field(page, "Strangers wait").selectOption("yes");
    await line(page, "greylist").waitFor();
    await page.getByText("3 would be made to wait instead of let through").waitFor();
    await leave(page);
});

test("an owner makes a policy, enforces it, and deletes it when its rules are named and it is typed", async () => {
    const page = await come(OTTO, "/policies?tab=policies"), row = page.locator("li.policy", { hasText: "Spring" });

    await page.getByRole("button", { name: "New policy" }).click();
    await field(page, "Name").fill("Rules");
    await page.getByRole("dialog").getByRole("button", { name: "Save" }).click();
    await page.getByRole("alert").getByText("exists already").waitFor();
    await field(page, "Name").fill("Spring");
    await field(page, "Priority").fill("20");
    await page.getByRole("dialog").getByRole("button", { name: "Save" }).click();
    await row.getByText("Priority 20").waitFor();
    await house.must("rule", "add", "--scope", "domain:ours.example", "--policy", "Spring", "--name", "No bulbs", "block", "--subject", "bulbs");
    await row.getByRole("button", { name: "Edit Spring" }).click();
    await page.getByRole("dialog").getByLabel("Enforced: nobody below can override its rules").check();
    await page.getByRole("dialog").getByRole("button", { name: "Save" }).click();
    await row.getByText("enforced", { exact: true }).waitFor();
    await row.getByText("1 rule").waitFor();
    assert.equal(await page.locator("li.policy", { hasText: "Enforced" }).getByRole("button", { name: "Delete Enforced" }).count(), 0);
    await row.getByRole("button", { name: "Delete Spring" }).click();
    await page.getByRole("dialog").getByText("Its rule goes with it: No bulbs.").waitFor();
    const sure = page.getByRole("dialog").getByRole("button", { name: "Delete" });
    assert.equal(await sure.isDisabled(), true);
    await page.getByRole("dialog").getByLabel("Type Spring to go on").fill("Spring");
    await sure.click();
    await page.getByText("The policy is deleted.").waitFor();
    await row.waitFor({ state: "detached" });
    await page.getByRole("heading", { name: "From above, and in force here too" }).waitFor();
    await page.locator("li.policy", { hasText: "Everywhere" }).getByText("enforced everywhere").waitFor();
    assert.equal(await page.locator("li.policy", { hasText: "Everywhere" }).getByRole("button").count(), 0);
    await leave(page);
});

test("the operator sees that a policy does nothing, and assigns it to a domain", async () => {
    const page = await come(ROOT, "/policies?tab=policies"), row = page.locator("li.policy", { hasText: "Idle" });

    await row.getByText("Does nothing: neither enforced, assigned nor default.").waitFor();
    await row.getByRole("button", { name: "Domains of Idle" }).click();
    await field(page, "Another domain").selectOption("ours.example");
    await page.getByRole("button", { name: "Assign" }).click();
    await page.getByRole("button", { name: "Take it from ours.example" }).waitFor();
    await page.getByRole("dialog").getByRole("button", { name: "Close" }).click();
    await row.getByText("1 domain:").waitFor();
    await row.getByText("in force").waitFor();
    const owner = await come(OTTO, "/policies?tab=policies");
    await owner.locator("li.policy", { hasText: "Idle" }).waitFor();
    await leave(owner);
    await row.getByRole("button", { name: "Domains of Idle" }).click();
    await page.getByRole("button", { name: "Take it from ours.example" }).click();
    await page.getByText("It is assigned to no domain").waitFor();
    await leave(page);
});

test("a person has the page when the domain lets mailboxes differ, for their mailbox alone", async () => {
    const page = await come(ANNA, "/policies");

    assert.equal(await page.getByRole("link", { name: "Policies and thresholds" }).count(), 0);
    const owner = await come(OTTO, "/policies?tab=rest");
    await field(owner, "inherited Mailboxes may have thresholds of their own").uncheck();
    await field(owner, "Mailboxes may have thresholds of their own").selectOption("yes");
    await owner.getByRole("button", { name: "Save" }).click();
    await owner.getByText("Saved.").waitFor();
    await page.reload();
    await page.getByRole("link", { name: "Policies and thresholds" }).click();
    await settled(page);
    await field(page, "inherited Spam from").uncheck();
    await field(page, "Spam from").fill("5");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("Saved.").waitFor();
    assert.deepEqual(await page.locator("main select option").allInnerTexts(), [ANNA]);
    await owner.at(`/policies?in=mailbox:${ANNA}`);
    await settled(owner);
    assert.equal(await field(owner, "Spam from").inputValue(), "5");
    await leave(owner);
    await leave(page);
});

test("a rule changes its policy in its editor", async () => {
    const page = await come(OTTO, "/rules?in=domain:ours.example");

    const one = page.locator("li.rule", { hasText: "No lotteries" }), drawer = page.getByRole("dialog"), save = () => drawer.getByRole("button", { name: "Save" }).click();
    await one.locator("[data-rule]").click();
    await drawer.getByLabel("People may not override it").check();
    await save();
    await one.getByText("Enforced").waitFor();
    await house.must("policy", "add", "domain:ours.example", "Autumn");
    await page.reload();
    await one.locator("[data-rule]").click();
    await drawer.getByLabel("Policy", { exact: true }).selectOption({ label: "Autumn" });
    assert.equal(await drawer.getByLabel("People may not override it").isChecked(), false);
    await save();
    await one.getByText("Autumn").waitFor();
    await house.must("policy", "delete", "domain:ours.example", "Autumn", "--yes");
    await leave(page);
});

for (const [who, name] of [[OTTO, "an owner"], [ROOT, "the operator"]])
    test(`each tab holds for everybody's eyes and every window, as ${name}`, async () => {
        const page = await browser.person(who);

        for (const tab of ["thresholds", "policies", "rest"])
            for (const [width, scheme] of [...views, [320, "light"]]) {
                await page.setViewportSize({ width, height: 844 });
                await page.emulateMedia({ colorScheme: scheme });
                await page.at(`/policies?tab=${tab}`);
                await settled(page);
                assert.equal(await overhang(page), 0, `${tab} at ${width}`);
                if (width > 320) assert.deepEqual(await barriers(page), [], `${tab} at ${width}, ${scheme}`);
            }
        await page.at("/policies?tab=policies");
        await page.getByRole("button", { name: "New policy" }).click();
        await page.getByRole("dialog").waitFor();
        assert.deepEqual(await barriers(page), []);
        await leave(page);
    });

// Mail and the drawer, as people work with them: searching, keys, releasing, reporting, and what they see when there is nothing, no
// right, no such thing, or no server.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";

import { root } from "../system/lib/index.mjs";
import { ANNA, arrived, barriers, EVA, openBrowser, openHouse, OTTO, overhang, ROOT, row, settled, waitFor } from "./lib.mjs";

let house, browser, anna;
before(async () => {
    house = await openHouse();
    browser = await openBrowser(house);
    anna = await browser.person(ANNA);
    // The mail log is read by and by: everything has its end before anybody looks.
    await waitFor("the deliveries", async () => { await anna.at("/"); await settled(anna); return await anna.locator(".chip-received").count() === 0; });
});
after(async () => { await browser?.close(); await house?.close(); });

const q = (page) => new URL(page.url()).searchParams.get("q");
const open = (page) => new URL(page.url()).searchParams.get("open");
const subjects = (page) => page.locator(".row .subject").allInnerTexts();
const shows = (page, ...wanted) => waitFor(wanted.join(", "), async () => JSON.stringify(await subjects(page)) === JSON.stringify(wanted));
const drawer = (page) => page.getByRole("dialog");
const shot = async (page, name) => { if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/${name}.png` }); };
// As if it had lain on the disk of a machine that does not come back.
async function loseNode(subject) {
    const sql = (file, text) => execFileSync("sqlite3", ["-cmd", ".timeout 5000", join(house.dir, file), text]), node = `x'${"77".repeat(16)}'`;

    sql("postern.db", `INSERT INTO node (id, name, created_us) VALUES (${node}, 'mx2', 1)`);
    sql("log.db", `UPDATE custody SET node_id = ${node} WHERE uid = (SELECT uid FROM message WHERE subject = '${subject}')`);
    await house.must("quarantine", "forget-node", "mx2", "--yes");
}
const note = (page, text) => page.locator(".note", { hasText: text }).waitFor();

test("the list has each message with its status in a word, the newest first", async () => {
    await anna.at("/");
    await settled(anna);
    const rows = await anna.locator(".row").allInnerTexts();

    assert.match(rows[0], /Delivered\s+Anton Reiter\s+Re: The blue chairs are ready/);
    assert.match(rows[1], /Quarantined\s+Parcel Service/);
    assert.ok(rows.some((r) => /^Spam\s+Talent Desk/.test(r)), rows.join("\n"));
    assert.ok(!rows.some((r) => /Invoice 4711/.test(r)), "Otto's mail is Otto's");
});

test("what is typed is searched for, stands in the address, and back goes back", async () => {
    await anna.at("/");
    await settled(anna);
    const all = await subjects(anna);
    await anna.getByLabel("Search mail").pressSequentially("parcel", { delay: 30 });
    await shows(anna, "Your parcel is waiting: pay 1.99 for customs");
    assert.equal(q(anna), "parcel");
    await anna.keyboard.press("Enter");
    await anna.getByLabel("Search mail").fill("from:garden.example");
    await shows(anna, "What to plant before the first frost");
    await anna.goBack();
    await shows(anna, "Your parcel is waiting: pay 1.99 for customs");
    assert.equal(await anna.getByLabel("Search mail").inputValue(), "parcel");
    await anna.goBack();
    await shows(anna, ...all);
    await anna.goForward();
    await anna.reload();
    await shows(anna, "Your parcel is waiting: pay 1.99 for customs");
});

test("a key asks at once, a key held down when it is let go; what waits is seen not to be the answer, and what comes too late is not shown", async () => {
    const box = anna.getByLabel("Search mail"), asked = [], held = [], of = (r) => new URL(r.request().url()).searchParams.get("q");

    await anna.at("/?q=parcel");
    await shows(anna, "Your parcel is waiting: pay 1.99 for customs");
    await anna.route("**/api/v1/me/mail?*", (r) => { asked.push(of(r)); if (of(r) === "slow") held.push(r); else r.continue(); });
    await box.fill("slow");
    await anna.locator(".rows.late[aria-busy='true']").waitFor();
    await box.fill("from:garden.example");
    await shows(anna, "What to plant before the first frost");
    await Promise.all(held.map((r) => r.continue().catch(() => {})));
    await settled(anna);
    await shows(anna, "What to plant before the first frost");
    assert.equal(await anna.locator(".rows.late").count(), 0);
    asked.length = 0;
    await box.evaluate((input) => { for (const letter of "parcel".repeat(9)) { input.value += letter; input.dispatchEvent(new Event("input", { bubbles: true })); } });
    const all = `from:garden.example${"parcel".repeat(9)}`;
    await waitFor("the last of them", () => asked.at(-1) === all);
    assert.equal(await box.inputValue(), all);
    assert.equal(asked[0], "from:garden.examplep");
    assert.ok(asked.length < 10, asked.join("\n"));
    await anna.unroute("**/api/v1/me/mail?*");
});

test("all that the first page loads, in any language, is under 100 kB on the wire, and asked for at once", async () => {
    const web = `${root}/portal/web`, graph = new Set(), preloaded = [...readFileSync(`${web}/index.html`, "utf8").matchAll(/"modulepreload" href="@\/([^"]+)"/g)].map((m) => m[1]);
    const walk = (file) => {
        if (graph.has(file)) return;
        graph.add(file);
        if (!file.startsWith("modules/")) for (const [, to] of readFileSync(join(web, file), "utf8").matchAll(/^import [^;]*?from "(\.[^"]+)";/gm)) walk(join(dirname(file), to));
    };
    walk("app.js");
    assert.deepEqual(preloaded.toSorted(), [...graph].filter((file) => file !== "app.js").toSorted());
    for (const locale of ["en-GB", "de-DE"]) {
        const page = await browser.person(ANNA, { locale }), wire = await page.context().newCDPSession(page);
        let bytes = 0;
        await wire.send("Network.enable");
        wire.on("Network.loadingFinished", (e) => { bytes += e.encodedDataLength; });
        await page.at("/");
        await settled(page);
        await page.locator("a.row").first().waitFor();
        assert.equal(await page.evaluate(() => document.documentElement.lang), locale.slice(0, 2));
        assert.ok(bytes > 50_000 && bytes < 100_000, `${locale}: ${bytes} bytes`);
        assert.deepEqual(page.wrong, []);
        await page.done();
    }
});

test("the beginning of a word is not asked for while more of it comes, nor is half a token called wrong", async () => {
    const box = anna.getByLabel("Search mail"), asked = [], of = (r) => new URL(r.request().url()).searchParams.get("q");

    await anna.at("/");
    await settled(anna);
    await anna.route("**/api/v1/me/mail?*", (r) => { asked.push(of(r)); r.continue(); });
    await anna.evaluate(() => { globalThis.alerts = 0; new MutationObserver(() => { globalThis.alerts += document.querySelectorAll(".bar.bad").length; }).observe(document.body, { childList: true, subtree: true }); });
    await box.pressSequentially("parcel status:quarantined", { delay: 45 });
    await shows(anna, "Your parcel is waiting: pay 1.99 for customs");
    assert.equal(await anna.evaluate(() => globalThis.alerts), 0);
    assert.deepEqual(asked.filter((q) => /^(pa?|parcel st?)$/.test(q)), []);
    asked.length = 0;
    await box.fill("zz");
    await anna.getByRole("heading", { name: "Nothing matches" }).waitFor();
    await box.fill("no");
    await anna.keyboard.press("Enter");
    await waitFor("at once with Enter", () => asked.at(-1) === "no");
    await anna.unroute("**/api/v1/me/mail?*");
});

test("a word that the search does not know is told, and what was there stays", async () => {
    await anna.at("/?q=parcel");
    await shows(anna, "Your parcel is waiting: pay 1.99 for customs");
    await anna.getByLabel("Search mail").fill("status:nonsense");
    await anna.getByRole("alert").filter({ hasText: "status" }).waitFor();
    await anna.getByLabel("Search mail").fill("parcel");
    await anna.getByRole("alert").waitFor({ state: "detached" });
});

test("the filters above the list are searches too", async () => {
    await anna.at("/");
    await anna.getByRole("link", { name: "Tagged as spam" }).click();
    await shows(anna, "Remote work, 400 per day, no experience", "LAST CHANCE: 70% OFF EVERYTHING");
    assert.equal(q(anna), "status:spam");
    assert.equal(await anna.getByRole("link", { name: "Tagged as spam" }).getAttribute("aria-current"), "true");
    await anna.getByRole("group", { name: "Filters" }).getByRole("link", { name: "All", exact: true }).click();
    await row(anna, "The ladder you lent me").waitFor();
    assert.equal(q(anna), null);
});

test("an owner sees their own mail first, and the domain's when they ask; the person does not", async () => {
    const otto = await browser.person(OTTO);

    await otto.at("/mail");
    await row(otto, "Invoice 4711").waitFor();
    assert.ok(!(await subjects(otto)).includes("The ladder you lent me"));
    await otto.getByLabel("Whose mail").selectOption({ label: "All of ours.example" });
    await row(otto, "The ladder you lent me").waitFor();
    assert.equal(new URL(otto.url()).searchParams.get("in"), "domain:ours.example");
    assert.ok((await otto.locator(".row .to").allInnerTexts()).includes(ANNA));
    assert.deepEqual(otto.wrong, []);
    await otto.done();
    await anna.at("/");
    await settled(anna);
    assert.equal(await anna.getByLabel("Whose mail").count(), 0);
});

test("by keys alone: to the search and away, down and up the list, into a message and out, back at its row", async () => {
    await anna.at("/");
    await settled(anna);
    const [first, second] = await anna.locator(".row").evaluateAll((rows) => rows.map((r) => r.dataset.id));
    await anna.keyboard.press("/");
    assert.equal(await anna.evaluate(() => document.activeElement.type), "search");
    await anna.keyboard.type("jk");
    assert.equal(open(anna), null, "letters are text there");
    await anna.getByLabel("Search mail").fill("");
    await row(anna, "The ladder").waitFor();
    await anna.keyboard.press("Escape");
    await anna.keyboard.press("j");
    await drawer(anna).locator(".verdict").waitFor();
    assert.equal(open(anna), first);
    await anna.keyboard.press("j");
    await waitFor("the second", () => open(anna) === second);
    await anna.keyboard.press("k");
    await waitFor("the first again", () => open(anna) === first);
    await anna.keyboard.press("j");
    await waitFor("the second again", () => open(anna) === second);
    await drawer(anna).locator(".verdict").waitFor();
    await anna.keyboard.press("Escape");
    await drawer(anna).waitFor({ state: "detached" });
    await waitFor("the focus", () => anna.evaluate((id) => document.activeElement.dataset.id === id, second));
    await anna.keyboard.press("Enter");
    await drawer(anna).locator(".verdict").waitFor();
    assert.equal(open(anna), second);
});

test("? shows the keys over any page, the same as in Settings; they rest while it is open, and Escape gives the focus back", async () => {
    const lines = (of) => of.locator(".keys dt, .keys dd").allInnerTexts();
    const over = drawer(anna).filter({ has: anna.getByRole("heading", { name: "Keys" }) });
    await anna.at("/settings");
    await settled(anna);
    const all = await lines(anna.locator("main"));
    assert.ok(all.includes("Block the sender") && all.includes("?"), all.join());
    for (const path of ["/", "/rules", "/no-such-page"]) {
        await anna.at(path);
        await settled(anna);
        const was = await anna.evaluate(() => { const one = document.querySelector("main a, main button, nav a"); one.focus(); return one.outerHTML; });
        await anna.keyboard.press("?");
        await over.waitFor();
        assert.equal(new URL(anna.url()).pathname, path);
        assert.deepEqual(await lines(over), all, path);
        await anna.keyboard.press("?");
        await anna.keyboard.press("j");
        assert.equal(open(anna), null, "what is behind it does not move");
        assert.equal(await over.count(), 1);
        for (let i = 0; i < 3; i++) { await anna.keyboard.press("Tab"); assert.ok(await over.evaluate((node) => node.contains(document.activeElement)), "the focus stays inside"); }
        await shot(anna, `keys-${path.slice(1)}`);
        await anna.keyboard.press("Escape");
        await over.waitFor({ state: "detached" });
        assert.equal(await anna.evaluate(() => document.activeElement.outerHTML), was, path);
    }
    await anna.at("/?q=ladder");
    await row(anna, "The ladder").click();
    await drawer(anna).locator(".verdict").waitFor();
    await anna.keyboard.press("?");
    await over.waitFor();
    await anna.keyboard.press("Escape");
    await over.waitFor({ state: "detached" });
    assert.notEqual(open(anna), null, "the message is still open");
    await anna.getByLabel("Search mail").focus();
    await anna.keyboard.type("?");
    assert.equal(await over.count(), 0, "in a field it is a character");
});

// Presses that, and says whether what then comes has the focus the moment that it is there: before it is painted, as fast as nobody can press.
const focused = (page, press, comes) => page.evaluate(([pressed, wanted]) => new Promise((done) => {
    const seen = new MutationObserver(() => {
        const it = document.querySelector(wanted);
        if (it) { seen.disconnect(); done(it.contains(document.activeElement)); }
    });

    seen.observe(document, { childList: true, subtree: true, attributes: true });
    if (pressed.length === 1 || pressed === "Escape") document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key: pressed, bubbles: true, cancelable: true }));
    else { const one = document.querySelector(pressed); one.focus(); one.click(); }
}), [press, comes]);

test("who presses a key as soon as something opens is heard by it, however slow the machine paints; and closed, by what they came from", async () => {
    const phone = await browser.person(ANNA, { width: 390, height: 844 });

    await anna.at("/?q=ladder");
    await settled(anna);
    await anna.locator("a.row").focus();
    assert.ok(await focused(anna, "?", ".dialog"), "the keys");
    assert.ok(await focused(anna, "Escape", "body:not(:has(.dialog)) a.row"), "the row, behind them");
    await anna.locator("a.row").blur();
    assert.ok(await focused(anna, "j", ".drawer"), "the message");
    assert.ok(await focused(anna, "Escape", "body:not(:has(.drawer)) a.row"), "its row");
    assert.ok(await focused(anna, "[aria-haspopup='dialog']", ".form-sheet"), "the form");
    assert.ok(await focused(anna, "Escape", "body:not(:has(.form-sheet)) [aria-haspopup='dialog']"), "its button");
    await phone.at("/");
    await settled(phone);
    assert.ok(await focused(phone, ".topbar button", ".side:not([hidden])"), "the menu");
    assert.ok(await focused(phone, "Escape", "body:has(.side[hidden]) .topbar button"), "its button");
    assert.deepEqual(phone.wrong, []);
    await phone.done();
});

test("what is pressed the moment that it is there is done, and stays so", async () => {
    for (const [path, first, then] of [["/", "nav a[href='/rules']", "h1:text-is('Rules')"], ["/quarantine", "li.pick input", ".bulk"]]) {
        const page = await browser.person(ANNA);

        await page.addInitScript((wanted) => {
            const seen = new MutationObserver(() => { const it = document.querySelector(wanted); if (it) { seen.disconnect(); it.click(); } });
            seen.observe(document, { childList: true, subtree: true });
        }, first);
        await page.at(path);
        await page.locator(then).waitFor();
        await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 200))));
        assert.equal(await page.locator(then).count(), 1, path);
        assert.deepEqual(page.wrong, []);
        await page.done();
    }
});

test("a message has an address of its own, which opens it", async () => {
    await anna.at("/?q=parcel");
    await row(anna, "Your parcel").click();
    await drawer(anna).locator(".verdict").waitFor();
    const page = await browser.person(ANNA);
    await page.goto(anna.url());
    await drawer(page).getByText("Held: score 15.5; mail is held from 15.0.").first().waitFor();
    await page.getByRole("button", { name: "Close" }).click();
    await drawer(page).waitFor({ state: "detached" });
    assert.equal(q(page), "parcel", "the search is still there");
    await page.done();
});

test("Escape closes a message also when one has pressed beside it", async () => {
    await anna.at("/");
    await row(anna, "The ladder you lent me").click();
    await drawer(anna).waitFor();
    await anna.locator("main h1").click({ position: { x: 5, y: 5 } });
    await anna.keyboard.press("Escape");
    await drawer(anna).waitFor({ state: "detached" });
    assert.equal(open(anna), null);
});

test("the tabs say what happened, why, what is in it and what it says of itself", async () => {
    await anna.at("/?q=bank");
    await row(anna, "Unusual sign-in").click();
    await drawer(anna).getByText("Received from mx.bank-secure.example [192.0.2.9]").waitFor();
    assert.deepEqual(await drawer(anna).locator(".facts dd").first().locator("bdi").allInnerTexts(), ["Your Bank", "<service@bank-secure.example>"], "each by itself: no name turns an address around");
    await anna.getByRole("tab", { name: "Timeline" }).focus();
    await anna.keyboard.press("ArrowRight");
    await drawer(anna).getByText("Reads like spam that was reported").waitFor();
    assert.match(await drawer(anna).locator("table").innerText(), /A link leads elsewhere than it shows\s+PHISHING\s+bank\.example->login-update\.example\s+\+7\.5/);
    await anna.getByRole("tab", { name: "Preview" }).click();
    await drawer(anna).getByText("somebody signed in from a new device").waitFor();
    await anna.getByRole("tab", { name: "Headers" }).click();
    await drawer(anna).getByRole("rowheader", { name: "Message-ID" }).waitFor();
    await anna.getByRole("tab", { name: "Attachments" }).click();
    await drawer(anna).getByText("No attachments.").waitFor();
    await anna.at("/?q=ladder");
    await row(anna, "The ladder").click();
    await drawer(anna).getByText("Delivered to anna@ours.example at mx.ours.example").waitFor();
    await drawer(anna).getByText("250 2.0.0 <anna@ours.example> Saved").waitFor();
});

test("the rules that matched have their names, and the one that decided stands out; what was learned has its sender, and says so in the verdict", async () => {
    const why = async (subject) => {
        await anna.at(`/?q=${encodeURIComponent(subject)}`);
        await (await arrived(anna, subject)).click();
        await anna.getByRole("tab", { name: "Why" }).click();
        return drawer(anna).locator("table", { hasText: "What it did" });
    };
    await house.letter({ from: "weekly@garden.example", subject: "You have won a garden" });
    const rules = await why("You have won a garden");
    assert.match(await rules.locator("tr.decided").innerText(), /^Garden weekly\s+mailbox\s+Allowed it/);
    assert.match(await rules.locator("tr:not(.decided)").last().innerText(), /^No lotteries\s+domain\s+Did not decide/);
    await drawer(anna).getByText("Mail is marked as spam from 6.0 and held from 15.0.").waitFor();

    await anna.at("/?q=chairs are ready");
    await row(anna, "The blue chairs").click();
    await drawer(anna).getByRole("button", { name: "Report spam" }).click();
    await note(anna, "the filter could not learn");
    await waitFor("what was learned", async () => {
        await house.letter({ from: "anton@workshop.example", subject: "The green chairs" });
        await house.written();
        await anna.at("/?q=green chairs");
        await settled(anna);
        return await anna.locator(".chip-quarantined").count() > 0;
    }, { everyMs: 500 });
    await anna.locator(".row", { has: anna.locator(".chip-quarantined") }).first().click();
    await drawer(anna).locator(".verdict", { hasText: "Held: mail from this sender was reported as spam." }).waitFor();
    await anna.getByRole("tab", { name: "Why" }).click();
    assert.match(await drawer(anna).locator("tr.decided").innerText(), /^anton@workshop\.example\s+learned senders\s+Blocked it/);
});

test("what happened to it stands in order: received, checked, decided, queued, delivered", async () => {
    const steps = async (q, subject) => {
        await anna.at(`/?q=${q}`);
        await row(anna, subject).click();
        await drawer(anna).locator(".steps").waitFor();
        return drawer(anna).locator(".steps .what").allInnerTexts();
    };
    const through = await steps("ladder", "The ladder you lent"), held = await steps("bank", "Unusual sign-in");

    for (const [i, step] of [/^Received from/, /^Checked by the filter: score -3\.0/, /^Let through/, /^In the queue of the mail server\s+queue id \w+/, /^Delivered to/].entries()) assert.match(through[i], step);
    for (const [i, step] of [/^Received from .*\s+queue id \w+/, /^Checked by the filter: score 16\.6/, /^Held/].entries()) assert.match(held[i], step);
    assert.deepEqual([through.length, held.length], [5, 3]);
});

test("nothing moves when something else is chosen, nor with the first letter of a search", async () => {
    const places = (of) => of.evaluateAll((all) => all.map((one) => Math.round(one.getBoundingClientRect().x)));
    const presets = anna.getByRole("group", { name: "Filters" }).getByRole("link"), tabs = anna.getByRole("tab"), list = anna.locator(".rows");

    await anna.at("/");
    await settled(anna);
    const were = await places(presets), { y } = await list.boundingBox();
    await anna.getByRole("link", { name: "Tagged as spam" }).click();
    await settled(anna);
    assert.deepEqual(await places(presets), were);
    await presets.first().click();
    await settled(anna);
    await anna.getByLabel("Search mail").fill("par");
    await anna.getByRole("button", { name: "Keep this search" }).waitFor();
    assert.equal((await list.boundingBox()).y, y);
    await anna.at("/?q=bank");
    await row(anna, "Unusual sign-in").click();
    await tabs.first().waitFor();
    const stood = await places(tabs);
    await tabs.nth(1).click();
    assert.deepEqual(await places(tabs), stood);
});

test("what is attached to a held message has its SHA-256, whole and in its width; of what is not stored any more a sentence says so", async () => {
    const file = "a table of chairs", name = `${"chairs-and-tables-".repeat(5)}.csv`, hash = createHash("sha256").update(file).digest("hex");
    const attached = { fields: "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n", body: `--b\r\n\r\nSee the file.\r\n--b\r\nContent-Type: text/csv\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename="${name}"\r\n\r\n${btoa(file)}\r\n--b\r\nContent-Type: image/png\r\nContent-Disposition: attachment\r\n\r\nx\r\n--b--` };
    const page = await browser.person(ANNA);
    const look = async (subject) => {
        await page.at(`/?q=${encodeURIComponent(subject)}`);
        await waitFor(subject, async () => { await settled(page); if (await row(page, subject).count() > 0) return true; await page.reload(); });
        await row(page, subject).click();
        await page.getByRole("tab", { name: "Attachments" }).click();
    };

    await house.letter({ subject: "Raffle of chairs", from: "files@ext.example", ...attached });
    await house.letter({ subject: "Chairs for everybody", from: "files@ext.example", ...attached });
    await look("Raffle of chairs");
    await drawer(page).getByText(hash, { exact: true }).waitFor();
    assert.equal(await drawer(page).locator(".hash code").count(), 2);
    assert.match(await drawer(page).locator("table").innerText(), /chairs-and-tables.*text\/csv\s+17 (B|bytes)/s);
    await shot(page, "files-1280");
    for (const width of [390, 320]) {
        await page.setViewportSize({ width, height: 844 });
        await shot(page, `files-${width}`);
        assert.equal(await overhang(page), 0, `${width}`);
        assert.ok(await drawer(page).locator(".drawer-body").evaluate((e) => e.scrollWidth <= e.clientWidth), `${width}`);
    }
    await look("Chairs for everybody");
    await drawer(page).getByText("not stored any more: the SHA-256").waitFor();
    assert.equal(await drawer(page).locator(".hash, table a").count(), 0);

    await loseNode("Raffle of chairs");
    await look("Raffle of chairs");
    await drawer(page).getByText("The disk that this message was on is gone").waitFor();
    assert.equal(await drawer(page).getByRole("button", { name: /^Release/ }).count(), 0);
    assert.deepEqual(page.wrong, []);
    await page.done();
});

test("what is released from the drawer arrives, as it was sent, and the row says so", async () => {
    const bytes = await house.letter({ from: "ticket@fair.example", name: "The Fair", subject: "Raffle: two tickets", body: "See you at the gate." });

    await anna.at("/quarantine");
    await waitFor("the row", async () => { await anna.reload(); await settled(anna); return await row(anna, "two tickets").count() > 0; });
    await row(anna, "two tickets").click();
    const seen = house.sink.messages.length;
    await drawer(anna).getByRole("button", { name: "Release", exact: true }).click();
    await note(anna, "Released: it is on its way");
    const mail = await waitFor("the message", () => house.sink.messages.slice(seen).find((m) => m.rcpts.includes(ANNA)));
    assert.ok(mail.data.endsWith(bytes), mail.data);
    await drawer(anna).getByText("Released: it was held at first").first().waitFor();
    assert.equal(await drawer(anna).getByRole("button", { name: "Release", exact: true }).count(), 0, "once");
    assert.match(await drawer(anna).locator(".steps li").last().innerText(), /The mail server has taken it\s+250 2\.0\.0 kept · 127\.0\.0\.1:\d+/);
    assert.ok(await drawer(anna).evaluate((node) => node.contains(document.activeElement)), "the focus stays in the message");
    assert.equal(house.sink.messages.length, seen + 1);
});

test("whoever is allowed with a release is told of both", async () => {
    await house.letter({ from: "choir@song.example", subject: "Raffle of the choir" });
    await anna.at("/?q=choir");
    await (await arrived(anna, "Raffle of the choir")).click();
    await drawer(anna).getByRole("button", { name: "Release and allow the sender" }).click();
    await anna.getByRole("dialog", { name: "Allow which sender?" }).getByRole("button", { name: "Allow", exact: true }).click();
    await note(anna, /choir@song\.example.*Released: it is on its way/);
});

test("thresholds that have changed since do not explain what was decided then", async () => {
    const says = async (text) => { await anna.at("/?q=bank"); await row(anna, "Unusual sign-in").click(); await drawer(anna).locator(".verdict", { hasText: text }).waitFor(); };

    await says("Held: score 16.6; mail is held from 15.0.");
    await house.must("domain", "set", "ours.example", "--at-reject", "reject");
    await says(/^Held: score 16\.6\.$/);
    await house.must("domain", "set", "ours.example", "--at-reject", "quarantine");
});

test("r releases what is open", async () => {
    await house.letter({ from: "ticket@fair.example", subject: "Raffle: a third ticket" });
    await anna.at("/");
    await waitFor("the row", async () => { await anna.reload(); await settled(anna); return await row(anna, "third ticket").count() > 0; });
    await row(anna, "third ticket").click();
    await drawer(anna).getByRole("button", { name: "Release", exact: true }).waitFor();
    const seen = house.sink.messages.length;
    await anna.keyboard.press("r");
    await waitFor("the message", () => house.sink.messages.length > seen);
    await note(anna, "Released");
});

test("a report is answered with what came of it; taken back, said again, said twice", async () => {
    await anna.at("/?q=parcel");
    await row(anna, "Your parcel").click();
    await drawer(anna).getByRole("button", { name: "Report spam" }).click();
    await note(anna, "the filter will learn");
    await drawer(anna).getByText("Reported as spam: the filter has yet to learn from it.").waitFor();
    await drawer(anna).getByRole("button", { name: "Report not spam" }).click();
    await note(anna, "what was said before is undone");
    await anna.locator(".note").getByRole("button", { name: "Undo" }).click();
    await note(anna, "Undone: nothing is said");
    await drawer(anna).getByText("The report is taken back").waitFor();
    await drawer(anna).getByRole("button", { name: "Report not spam" }).click();
    await drawer(anna).getByText("Reported as not spam: the filter has yet to learn from it.").waitFor();
    await drawer(anna).getByRole("button", { name: "Report not spam" }).click();
    await note(anna, "You have said so before");
    // What was delivered is not stored: there is nothing to learn from, and nobody is told that there was.
    await anna.at("/?q=remote");
    await row(anna, "Remote work").click();
    await drawer(anna).getByRole("button", { name: "Report spam" }).click();
    await note(anna, "the filter could not learn");
});

test("a sender is blocked as far as one says, and their next message is held", async () => {
    await anna.at("/?q=chance");
    await row(anna, "LAST CHANCE").click();
    await drawer(anna).getByRole("button", { name: "Block the sender" }).click();
    const dialog = anna.getByRole("dialog", { name: "Block which sender?" });
    await dialog.getByText("this address").waitFor();
    assert.match(await dialog.innerText(), /\d+ messages? in 30 days/);
    assert.deepEqual(await barriers(anna), []);
    await dialog.getByRole("button", { name: "Block", exact: true }).click();
    await dialog.waitFor({ state: "detached" });
    await waitFor("the next one held", async () => {
        await house.letter({ from: "offers@deals.example", subject: "One more chance" });
        await anna.at("/?q=one more");
        await settled(anna);
        return await anna.locator(".chip-quarantined").count() > 0;
    }, { everyMs: 500 });
});

// ---- when there is nothing, no right, no such thing, no server ----

test("an empty list says what is, and what will be", async () => {
    const eva = await browser.person(EVA, { width: 390, height: 844 });

    await eva.at("/");
    await eva.getByRole("heading", { name: "No mail yet" }).waitFor();
    await eva.at("/quarantine");
    await eva.getByRole("heading", { name: "Nothing quarantined" }).waitFor();
    assert.deepEqual(await barriers(eva), []);
    await eva.at("/?q=nothing has this");
    await eva.getByRole("heading", { name: "Nothing matches" }).waitFor();
    await eva.getByRole("link", { name: "Clear the search" }).click();
    await eva.getByRole("heading", { name: "No mail yet" }).waitFor();
    await house.letter({ to: EVA, from: "kurt@neighbours.example", subject: "Hello Eva" });
    await waitFor("the summary", async () => { await eva.at("/quarantine"); await settled(eva); return /Last message checked/.test(await eva.locator("main").innerText()); });
    await eva.done();
});

test("what is not there, or not theirs, gets the same words and no message", async () => {
    await anna.at("/?q=parcel");
    await row(anna, "Your parcel").click();
    await drawer(anna).locator(".verdict").waitFor();
    const eva = await browser.person(EVA);
    for (const path of [new URL(anna.url()).search, "?open=0190a000-0000-7000-8000-000000000000/1", "?open=nonsense", "?open=../session", "?open=../../session"]) {
        await eva.at(`/${path}`);
        await drawer(eva).getByRole("heading", { name: "There is nothing here" }).waitFor();
        assert.ok(!(await drawer(eva).innerText()).includes("parcel"));
    }
    for (const path of ["/?in=domain:ours.example", "/?in=..", "/?in=global", "/nonsense", "/people"]) {
        await eva.at(path);
        await eva.getByRole("heading", { name: "There is nothing here" }).waitFor();
    }
    assert.deepEqual(await barriers(eva), []);
    assert.deepEqual(eva.wrong, []);
    await eva.done();
});

test("the operator sees that there is mail, but opens none without saying why; the person can read that", async () => {
    const operator = await browser.person(ROOT);

    await operator.at("/?q=parcel");
    await row(operator, "Your parcel").click();
    await drawer(operator).locator(".verdict").waitFor();
    await operator.getByRole("tab", { name: "Preview" }).click();
    const why = drawer(operator).getByLabel("Why do you open this message?"), go = drawer(operator).getByRole("button", { name: "Open", exact: true });
    await why.fill("no");
    await go.click();
    await drawer(operator).getByText("give one of 5 characters or more").waitFor();
    assert.ok(!(await drawer(operator).innerText()).includes("could not be delivered"));
    assert.deepEqual(await barriers(operator), []);
    await why.fill("complaint 4711");
    await go.click();
    await drawer(operator).getByText("Your parcel could not be delivered.").waitFor();
    await operator.getByRole("tab", { name: "Headers" }).click();
    await drawer(operator).getByRole("rowheader", { name: "Message-ID" }).waitFor();
    await anna.at("/log");
    await anna.getByText("complaint 4711").first().waitFor({ state: "attached" });
    assert.deepEqual(operator.wrong, []);
    await operator.done();
});

test("without the server the page says so and keeps what it shows; with it back, one press goes on", async () => {
    await anna.at("/");
    await settled(anna);
    await house.down();
    await anna.getByLabel("Search mail").fill("ladder");
    await anna.getByRole("alert").filter({ hasText: "cannot be reached" }).waitFor();
    assert.ok(await anna.locator(".row").count() > 5, "what was there");
    await anna.getByRole("link", { name: "Quarantine", exact: true }).click();
    await anna.getByRole("heading", { name: "No connection" }).waitFor();
    assert.deepEqual(await barriers(anna), []);
    await house.up();
    await anna.getByRole("button", { name: "Try again" }).click();
    await row(anna, "Your parcel").waitFor();
});

test("a session that ended elsewhere leads to the door, and from there back", async () => {
    const page = await browser.person(EVA);

    await page.at("/");
    await settled(page);
    await page.context().clearCookies();
    await page.getByLabel("Search mail").fill("hello");
    await page.getByLabel("Your email address").waitFor();
    await page.done();
});

// ---- on a phone ----

test("on a phone the menu opens, closes by a press beside it or Escape, and leads on", async () => {
    const page = await browser.person(ANNA, { width: 390, height: 844, hasTouch: true, isMobile: true });
    const menu = page.getByRole("button", { name: "Menu" }), side = page.locator(".side");

    await page.at("/");
    await settled(page);
    assert.ok(!await side.isVisible());
    await menu.click();
    assert.ok(await side.isVisible());
    assert.equal(await page.locator("header button").getAttribute("aria-expanded"), "true");
    assert.deepEqual(await barriers(page), []);
    await page.keyboard.press("Escape");
    await side.waitFor({ state: "hidden" });
    assert.equal(await page.evaluate(() => document.activeElement.getAttribute("aria-label")), "Menu");
    await menu.click();
    await page.mouse.click(380, 600);
    await side.waitFor({ state: "hidden" });
    await menu.click();
    await side.getByRole("link", { name: "Quarantine" }).click();
    await side.waitFor({ state: "hidden" });
    assert.equal(new URL(page.url()).pathname, "/quarantine");
    await row(page, "Your parcel").click();
    await drawer(page).locator(".verdict").waitFor();
    const box = await drawer(page).boundingBox();
    assert.deepEqual([box.x, box.width], [0, 390], "the message has the whole screen");
    assert.equal(await overhang(page), 0);
    assert.deepEqual(page.wrong, []);
    await page.done();
});

test("nothing went wrong in Anna's window all the while", () => assert.deepEqual(anna.wrong, []));

// make screenshots: each page, wide and narrow, light and dark, from the mail of letters.mjs, into the folder that is named; and a digest as it
// lies in a mailbox, with what its links lead to. T=digest: those alone whose name has this in it.
import { execFileSync } from "node:child_process";
import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { http, program, run, signIn } from "../system/lib/index.mjs";
import { ANNA, openBrowser, openHouse, OTTO, places, ROOT, row, settled, waitFor } from "./lib.mjs";

const folder = process.argv[2];
const sizes = [["wide", 1280, 800], ["narrow", 390, 844]], letterSizes = [["600", 600, 400], ["360", 360, 400]], cardSizes = [["600", 600, 1800], ["360", 360, 2400]], dialogSizes = [["600", 600, 840], ["360", 360, 940]];
const schemes = ["light", "dark"];
const drawer = (page) => page.locator(".drawer .verdict").waitFor();
const open = (q, subject, tab) => async (page) => {
    await page.at(`/?q=${encodeURIComponent(q)}`);
    await row(page, subject).waitFor();
    if (q === "") await settled(page);
    await row(page, subject).click();
    await drawer(page);
    if (tab) await page.getByRole("tab", { name: tab }).click();
};

// Anna's digest, once it is sent: [the text, the HTML, where the link of that name beside that subject leads].
let digest;
async function sendDigest(anna) {
    const made = await anna.post("/me/digests", { kind: "mailbox", of: ANNA, minute: 450, days: ["monday", "tuesday", "wednesday", "thursday", "friday"], zone: "Europe/Berlin", language: "en", tells: ["quarantined", "blocked", "spam"] });
    if (made.status >= 300) throw new Error(made.text);
    house.configure({ digest: { reply_to: "digest-answers@ours.example" } });
    await run(program("postern-digest"), ["-c", house.conf, "--once", "--now", made.body.next.replace(/\.\d+Z/, "Z")]);
    const [text, html] = house.sink.messages.find((m) => m.data.includes("List-Unsubscribe")).data.split(/^--\S+$/m).slice(1, 3).map((part) => Buffer.from(part.split("\r\n\r\n").slice(1).join("\r\n\r\n")
        .replace(/=\r\n/g, "").replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16))), "latin1").toString());
    const file = join(house.dir, "letter.html");
    writeFileSync(file, html);
    return { text, file, link: (subject, name) => new RegExp(`href="([^"]*)"[^>]*>${name}</a>`).exec(html.split('class="card"').find((card) => card.includes(subject)))[1].replaceAll("&amp;", "&") };
}
// Somebody who sends more than they may, and one held message that nobody wants.
async function blockAnna() {
    await house.must("sender", "limit", "domain:ours.example", "messages_day=2", "block_after=3");
    for (let n = 0; !(await house.must("sender", "list")).includes(ANNA); n++)
        await http(house.httpSock, { headers: { From: `<${ANNA}>`, Rcpt: "<everybody@else.example>", IP: "192.0.2.77", User: ANNA, "Queue-ID": `4jXVtn3${n}` }, body: "Subject: x\r\n\r\nx\r\n" });
}
async function deleteOne(who) {
    const { uid, n } = (await who.get(`/me/mail?q=${encodeURIComponent('subject:"Lottery"')}`)).body.items[0];

    await who.post(`/deliveries/${uid}/${n}/delete`);
}
const behind = (subject, name, press) => async (page) => {
    await page.goto(digest.link(subject, name));
    if (press && await page.getByRole("button", { name: press }).count() > 0) await page.getByRole("button", { name: press }).click();
};
const digestCard = async (page) => { await page.at("/settings"); await settled(page); await page.getByRole("region", { name: "Digests" }).getByRole("listitem").first().waitFor(); };

// [name, who looks, how they come there, and if they are others: at which sizes, of what (all of the page)]
const shots = [
    ["sign-in", null, (page) => page.at("/")],
    ["overview", ROOT, (page) => page.at("/")],
    ["mail", ANNA, (page) => page.at("/")],
    ["mail-domain", OTTO, (page) => page.at("/?in=domain:ours.example")],
    ["drawer", ANNA, open("", "Your parcel is waiting")],
    ["drawer-why", ANNA, open("", "Unusual sign-in", "Why")],
    ["drawer-delivered", ANNA, open("", "Parents' evening")],
    ["drawer-preview", ANNA, open("", "You have won", "Preview")],
    ["search-form", ANNA, async (page) => { await page.at("/?q=from:delivery-status.example"); await settled(page); await page.getByRole("button", { name: /^Filter/ }).click(); await page.getByRole("dialog").waitFor(); }],
    ["keys", ANNA, async (page) => { await page.at("/"); await settled(page); await page.keyboard.press("?"); await page.getByRole("dialog").waitFor(); }],
    ["empty", ANNA, (page) => page.at("/?q=nothing%20has%20this")],
    ["rules-editor", ANNA, async (page) => { await page.at("/rules"); await settled(page); await page.locator("ol.rules .what", { hasText: "No raffles" }).click(); await page.locator(".backtest .big").waitFor(); }],
    ["rules-lists", ANNA, (page) => page.at("/rules?tab=lists")],
    ["rules-import", ANNA, async (page) => { await page.at("/rules?tab=import"); await page.locator("textarea").fill("welcomelist_from aunt@family.example\nblocklist_from weekly@garden.example\nblocklist_from bad@\n"); await page.locator(".card .button.primary").first().click(); await page.locator("table.table").waitFor(); }],
    ...places.filter((path) => path !== "/").map((path) => [path.slice(1), { "/quarantine": ANNA, "/rules": ANNA, "/brand": ROOT }[path] ?? OTTO, (page) => page.at(path)]),
    ["people-blocked", OTTO, async (page) => { await page.at("/people?tab=blocked"); await page.locator(".evidence summary").first().click(); }],
    ["quarantine-deleted", ANNA, (page) => page.at("/quarantine?show=deleted")],
    ["digest-letter", null, (page) => page.goto(`file://${digest.file}`), letterSizes, "body"],
    ["digest-link", null, behind("Unusual sign-in", "Release"), letterSizes, "body"],
    ["digest-link-done", null, behind("Unusual sign-in", "Block the sender", "Block the sender"), letterSizes, "body"],
    ["digest-settings", ANNA, digestCard, cardSizes, ".card:has(h2:text-is('Digests'))"],
    ["digest-edit", ANNA, async (page) => { await digestCard(page); await page.getByRole("region", { name: "Digests" }).getByRole("button", { name: "Edit" }).click(); await page.getByRole("dialog").getByText(/^Next one/).waitFor(); }, dialogSizes],
].filter(([name]) => name.includes(process.env.T ?? ""));

mkdirSync(folder, { recursive: true });
const house = await openHouse(), browser = await openBrowser(house);
const anna = await browser.person(ANNA), root = await signIn(house, ROOT);
await root.post("/brands", { name: "Acme Mail", sender: "Acme <mail@acme.example>", url: "https://mail.acme.example", support: "help@acme.example", webmail: "https://webmail.acme.example/", accent_light: "#1d4ed8", accent_dark: "#93c5fd" });
await waitFor("the deliveries", async () => { await anna.at("/"); await settled(anna); return await anna.locator(".chip-received").count() === 0; });
const herself = await signIn(house, ANNA);
digest = await sendDigest(herself);
const files = [];
for (const [name, who, come, at = sizes, part] of shots) {
    if (name === "people-blocked") await blockAnna();
    if (name === "quarantine-deleted") await deleteOne(herself);
    const page = await (who ? browser.person(who) : browser.stranger());

    for (const [size, width, height] of at)
        for (const scheme of schemes) {
            const file = join(folder, `${name}-${size}-${scheme}.png`);

            await page.setViewportSize({ width, height });
            await page.emulateMedia({ colorScheme: scheme });
            await come(page);
            if (part !== "body") await settled(page);
            await page.evaluate(() => { document.activeElement?.blur(); });
            await (part ? page.locator(part).first() : page).screenshot({ path: file });
            files.push(file);
        }
    if (page.wrong.length > 0) console.error(`${name}: ${page.wrong.join("; ")}`);
    await page.done();
}
await browser.close();
await house.close();
try { execFileSync("pngquant", ["--force", "--ext", ".png", "--skip-if-larger", "--quality", "70-98", ...files]); } catch (error) { if (error.status !== 98 && error.status !== 99) throw error; }
console.log(`${files.length} pictures, ${Math.round(files.reduce((n, f) => n + statSync(f).size, 0) / 1000)} kB, the largest ${Math.round(Math.max(...files.map((f) => statSync(f).size)) / 1000)} kB`);

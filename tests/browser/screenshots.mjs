// make screenshots: each page, wide and narrow, light and dark, from the mail of letters.mjs, into the folder that is named.
import { execFileSync } from "node:child_process";
import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";

import { signIn } from "../system/lib/index.mjs";
import { ANNA, openBrowser, openHouse, OTTO, places, ROOT, row, settled, waitFor } from "./lib.mjs";

const folder = process.argv[2];
const sizes = [["wide", 1280, 800], ["narrow", 390, 844]];
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

// [name, who looks, how they come there]
const shots = [
    ["sign-in", null, (page) => page.at("/")],
    ["overview", ROOT, (page) => page.at("/")],
    ["mail", ANNA, (page) => page.at("/")],
    ["mail-domain", OTTO, (page) => page.at("/?in=domain:ours.example")],
    ["drawer", ANNA, open("", "Your parcel is waiting")],
    ["drawer-why", ANNA, open("", "Unusual sign-in", "Why")],
    ["drawer-delivered", ANNA, open("", "Parents' evening")],
    ["drawer-preview", ANNA, open("", "You have won", "Preview")],
    ["empty", ANNA, (page) => page.at("/?q=nothing%20has%20this")],
    ["rules-editor", ANNA, async (page) => { await page.at("/rules"); await settled(page); await page.locator("ol.rules .what", { hasText: "No raffles" }).click(); await page.locator(".backtest .big").waitFor(); }],
    ["rules-lists", ANNA, (page) => page.at("/rules?tab=lists")],
    ["rules-import", ANNA, async (page) => { await page.at("/rules?tab=import"); await page.locator("textarea").fill("welcomelist_from aunt@family.example\nblocklist_from weekly@garden.example\nblocklist_from bad@\n"); await page.locator(".card .button.primary").first().click(); await page.locator("table.table").waitFor(); }],
    ...places.filter((path) => path !== "/").map((path) => [path.slice(1), { "/quarantine": ANNA, "/rules": ANNA, "/brand": ROOT }[path] ?? OTTO, (page) => page.at(path)]),
];

mkdirSync(folder, { recursive: true });
const house = await openHouse(), browser = await openBrowser(house);
const anna = await browser.person(ANNA), root = await signIn(house, ROOT);
await root.post("/brands", { name: "Acme Mail", sender: "Acme <mail@acme.example>", url: "https://mail.acme.example", support: "help@acme.example", webmail: "https://webmail.acme.example/", accent_light: "#1d4ed8", accent_dark: "#93c5fd" });
await waitFor("the deliveries", async () => { await anna.at("/"); await settled(anna); return await anna.locator(".chip-received").count() === 0; });
const files = [];
for (const [name, who, come] of shots) {
    const page = await (who ? browser.person(who) : browser.stranger());

    for (const [size, width, height] of sizes)
        for (const scheme of schemes) {
            const file = join(folder, `${name}-${size}-${scheme}.png`);

            await page.setViewportSize({ width, height });
            await page.emulateMedia({ colorScheme: scheme });
            await come(page);
            await settled(page);
            await page.evaluate(() => { document.activeElement?.blur(); });
            await page.screenshot({ path: file });
            files.push(file);
        }
    if (page.wrong.length > 0) console.error(`${name}: ${page.wrong.join("; ")}`);
    await page.done();
}
await browser.close();
await house.close();
try { execFileSync("pngquant", ["--force", "--ext", ".png", "--skip-if-larger", "--quality", "70-98", ...files]); } catch (error) { if (error.status !== 98 && error.status !== 99) throw error; }
console.log(`${files.length} pictures, ${Math.round(files.reduce((n, f) => n + statSync(f).size, 0) / 1000)} kB, the largest ${Math.round(Math.max(...files.map((f) => statSync(f).size)) / 1000)} kB`);

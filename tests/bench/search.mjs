// The search box at its size: what a search of each kind costs through the API, and how soon after the key its rows are on the screen.
// The store is bench-log's; its biggest mailbox becomes Anna's, that mailbox's domain Otto's, and the operator sees everything.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { openBrowser, settled } from "../browser/lib.mjs";
import { makeSite, must, program, removeDir, signIn, startPortal, tempDir } from "../system/lib/index.mjs";

const ANNA = "anna@big.example", OTTO = "otto@big.example", ROOT = "operator@elsewhere.example";
const DAYS = 90, DAY_MS = 86_400_000;

// ---- what is looked for: words as log_material.h makes them ----

const syllables = ["ba", "de", "fi", "go", "ku", "la", "me", "ni", "po", "ru", "sa", "te", "vi", "wo", "xu", "za"];
const dice = (n) => Math.floor(Math.random() * n);
const word = () => { let rest = Math.floor(30_000 * Math.random() ** 4) + 256; return Array.from({ length: 4 }, () => { const s = syllables[rest % 16]; rest = Math.floor(rest / 16); return s; }).join(""); };
const sender = () => `from${dice(2000)}.example`;
const day = (ago) => new Date(Date.now() - ago * DAY_MS).toISOString().slice(0, 10);
const rule = (n) => `70${String(n).padStart(2, "0")}0000-0000-0000-0000-000000000000`;

// [what it is, how it is typed]: every token of the box, what is everywhere, what is rare, what is nowhere, and several at once.
export const searches = [
    ["nothing: the newest", () => ""],
    ["the last seven days", () => `after:${day(7)}`],
    ["one day", () => { const d = 1 + dice(DAYS - 1); return `after:${day(d)} before:${day(d - 1)}`; }],
    ["before some day", () => `before:${day(dice(DAYS - 1))}`],
    ["a word", word],
    ["two words", () => `${word()} ${word()}`],
    ["a phrase", () => `"${word()} ${word()}"`],
    ["the beginning of a word", () => word().slice(0, 3)],
    ["a word that is nowhere", () => "nowhere-at-all"],
    ["without a word", () => `-${word()}`],
    ["subject:", () => `subject:${word()}`],
    ["subject: rare", () => "subject:sphinx"],
    ["subject: nowhere", () => "subject:nowhere"],
    ["-subject:", () => `-subject:${word()}`],
    ["from: an address", () => `from:sender${dice(5000)}@${sender()}`],
    ["from: a domain", () => `from:${sender()}`],
    ["-from:", () => `-from:${sender()}`],
    ["to: a user", () => `to:user${dice(50_000)}`],
    ["to: a domain", () => `to:dom${dice(500)}.example`],
    ["message-id:", () => "message-id:0123456789abcdef.7@from.example"],
    ["uid:", () => "uid:01a00000-0000-7000-8000-000000000000"],
    ["-uid:", () => "-uid:01a00000-0000-7000-8000-000000000000"],
    ["inbound:", () => 'inbound:"5.7.1 spam"'],
    ["-inbound:", () => "-inbound:250"],
    ["outbound:", () => "outbound:greylisted"],
    ["-outbound:", () => "-outbound:delivered"],
    ["delivery:", () => 'delivery:"mailbox full"'],
    ["delivery: nowhere", () => "delivery:nowhere"],
    ["-delivery:", () => "-delivery:delivered"],
    ["rule:", () => `rule:${rule(1)}`],
    ["rule: rare", () => `rule:${rule(2)}`],
    ["rule: of nothing", () => `rule:${rule(9)}`],
    ["-rule:", () => `-rule:${rule(1)}`],
    ["domain:", () => "domain:big.example"],
    ["domain: another", () => "domain:elsewhere.example"],
    ["-domain:", () => "-domain:big.example"],
    ["status:", () => "status:delivered,received"],
    ["status: blocked or rejected", () => "status:blocked,rejected"],
    ["status: rare", () => "status:quarantined"],
    ["status: of nothing", () => "status:received direction:outbound"],
    ["-status:", () => "-status:delivered"],
    ["is:held", () => "is:held"],
    ["direction:", () => "direction:local"],
    ["direction: of nothing", () => "direction:outbound"],
    ["-direction:", () => "-direction:outbound"],
    ["-direction: of nearly all", () => "-direction:inbound"],
    ["a word, direction:", () => `${word()} direction:local`],
    ["a word, status:", () => `${word()} status:quarantined`],
    ["subject:, delivery:", () => `subject:${word()} delivery:"mailbox full"`],
    ["subject:, -delivery:", () => `subject:${word()} -delivery:delivered`],
    ["from:, outbound:", () => `from:${sender()} outbound:greylisted`],
    ["from:, the last month", () => `from:${sender()} after:${day(30)}`],
    ["a word, rule:", () => `${word()} rule:${rule(1)}`],
    ["a word, -rule:, -domain:", () => `${word()} -rule:${rule(1)} -domain:big.example`],
    ["status:, -rule: both", () => `status:blocked -rule:${rule(1)} -rule:${rule(2)}`],
    ["outbound:, status:", () => "outbound:greylisted status:quarantined"],
    ["twelve words", () => Array.from({ length: 12 }, word).join(" ")],
    ["a word, without eleven", () => `${word()} ${Array.from({ length: 11 }, () => `-${word()}`).join(" ")}`],
];

// ---- the store, and who looks ----

// A portal over n deliveries: { site, who: [{ name, path, at, browser: signed in }], chromium(), close }.
export async function openLog(n) {
    const dir = tempDir("bench-search"), site = await makeSite({ store: { url: `sqlite:${dir}/postern.db` } });
    const sql = (text) => must("sqlite3", ["-cmd", ".timeout 5000", `${dir}/postern.db`, text]);

    await must(program("bench-log"), [`sqlite:${dir}/postern.db`, String(n), "100", "fill"], { seconds: 3600 });
    await site.must("init");
    for (const account of [ANNA, OTTO]) await site.must("account", "add", account);
    await site.must("account", "add", ROOT, "--admin", "on");
    await site.must("mailbox", "add", OTTO);
    await site.must("account", "set", OTTO, "--owner", "big.example");
    await sql(`UPDATE mailbox SET account_id = (SELECT id FROM account WHERE login = '${ANNA}') WHERE hex(id) LIKE 'B001%';
        INSERT INTO address (id, domain_id, local, kind, mailbox_id, created_us) SELECT id, domain_id, 'anna', 'mailbox', id, 0 FROM mailbox WHERE hex(id) LIKE 'B001%'`);
    await startPortal(site);
    const who = [
        { name: "a mailbox", path: "/me/mail", at: "/", browser: await signIn(site, ANNA) },
        { name: "a domain", path: "/scopes/domain:big.example/mail", at: "/?in=domain:big.example", browser: await signIn(site, OTTO) },
        { name: "everybody", path: "/scopes/global/mail", at: "/?in=global", browser: await signIn(site, ROOT) },
    ];
    const cookies = async (name) => [...who.find((one) => one.name === name).browser.cookies].map(([key, value]) => ({ name: key, value, url: site.origin, httpOnly: true, sameSite: "Lax" }));
    let chromium;
    return {
        site, who,
        chromium: () => (chromium ??= openBrowser({ origin: site.origin, cookies })),
        close: async () => { await (await chromium)?.close(); await site.stopPortal(); site.remove(); removeDir(dir); },
    };
}

// ---- measuring ----

const cpuMs = (pid) => readdirSync(`/proc/${pid}/task`).reduce((sum, t) => { try { return sum + Number(readFileSync(join(`/proc/${pid}/task`, t, "schedstat"), "utf8").split(" ")[0]); } catch { return sum; } }, 0) / 1e6;
export const percentile = (values, p) => [...values].sort((a, b) => a - b)[Math.max(0, Math.ceil(values.length * p) - 1)];
const summary = (values) => ({ median: percentile(values, 0.5), p95: percentile(values, 0.95) });

// One search of one person through the API, `tries` times with other words each: { ms, cpu: { median, p95 }, rows, short }.
// short: how often it stopped for its time with less than a page and more behind it.
export async function ask({ site }, { browser, path }, make, tries) {
    const ms = [], cpu = [];
    let rows = 0, short = 0;

    for (let i = 0; i < tries; i++) {
        const q = encodeURIComponent(make()), spent = cpuMs(site.portalPid), begun = performance.now();
        const { status, body, text } = await browser.get(`${path}?limit=50&q=${q}`);

        ms.push(performance.now() - begun);
        cpu.push(cpuMs(site.portalPid) - spent);
        if (status !== 200) throw new Error(`${q}: ${status} ${text}`);
        rows += body.items.length;
        short += body.items.length < 50 && body.next !== null;
    }
    return { ms: summary(ms), cpu: summary(cpu), rows: Math.round(rows / tries), short };
}

// In the page: when a key goes down, and when the rows that a search found have first been painted since it was forgotten.
function watch() {
    const ask = globalThis.fetch, found = new Map();
    let key = 0;

    globalThis.measured = { forget: (q) => found.delete(q), of: (q) => found.get(q) };
    addEventListener("keydown", (e) => { key = e.timeStamp; }, true);
    globalThis.fetch = async (url, options) => {
        const response = await ask(url, options), { pathname, searchParams } = new URL(url, location.origin), q = searchParams.get("q") ?? "";
        const text = response.text.bind(response);

        if (!/\/mail$/.test(pathname)) return response;
        response.text = async () => {
            const body = await text();
            // Rows are rendered when whoever awaits this has them; the frame after the next one has shown them.
            setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(() => found.has(q) || found.set(q, { ms: performance.now() - key, items: JSON.parse(body).items.length }))));
            return body;
        };
        return response;
    };
}

// A page of that person, and press(text): types all but the last letter, waits for rest, and presses that one:
// { ms: from the key until its rows are painted, cpu: of the page's own thread meanwhile, server: of the portal, rows }.
export async function openPage(log, who) {
    const page = await (await log.chromium()).person(who.name);
    const devtools = await page.context().newCDPSession(page);
    const busy = async () => (await devtools.send("Performance.getMetrics")).metrics.find((m) => m.name === "TaskDuration").value * 1000;
    const forget = (q) => page.evaluate((one) => globalThis.measured.forget(one), q);
    const shown = (q) => page.waitForFunction((wanted) => globalThis.measured.of(wanted), q).then((handle) => handle.jsonValue());

    await devtools.send("Performance.enable", { timeDomain: "threadTicks" });
    await page.addInitScript(watch);
    await page.at(who.at);
    await settled(page);
    const box = page.getByRole("searchbox");
    return {
        press: async (text) => {
            await forget(text.slice(0, -1));
            await box.fill(text.slice(0, -1));
            if (text.length > 1) await shown(text.slice(0, -1));
            await forget(text);
            const [cpu, server] = [await busy(), cpuMs(log.site.portalPid)];
            await box.press(text.at(-1));
            const { ms, items } = await shown(text);
            const spent = { ms, cpu: await busy() - cpu, server: cpuMs(log.site.portalPid) - server };
            const rows = await page.locator("a.row").count(); // only now: looking costs the page something too
            if (rows !== items) throw new Error(`${text}: ${rows} rows of ${items} are shown`);
            return { ...spent, rows };
        },
        wrong: () => page.wrong,
        close: () => page.done(),
    };
}

// What is typed into the page: without its last letter it is a search too.
export const typed = () => [word(), `subject:${word()}`, `from:sender${dice(5000)}`, `status:spam ${word()}`, "nowhere"];

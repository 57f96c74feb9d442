// What the browser tests share: a house of people with mail that was really scanned, and Debian's Chromium to look at it with.
import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";

import { http, makeSite, root, signIn, sleep, startPortal, startRelay, startRulesd, startSmtpSink, waitFor } from "../system/lib/index.mjs";
import { numbers } from "../system/lib/household.mjs";
import { findings, letters } from "./letters.mjs";

const { chromium } = createRequire(import.meta.url)("playwright-core");
const axe = readFileSync(join(import.meta.dirname ?? new URL(".", import.meta.url).pathname, "node_modules/axe-core/axe.min.js"), "utf8");

export { findings, letters, sleep, waitFor };
export const ANNA = "anna@ours.example", OTTO = "otto@ours.example", EVA = "eva@ours.example", ROOT = "operator@elsewhere.example";
export const PASSWORD = "correct horse battery";
export const widths = [320, 390, 768, 1280];

// ---- the house ----

// A filter that finds in a message what letters.mjs says, by its subject.
async function startFilter() {
    const server = createServer((request, response) => {
        const parts = [];

        request.on("data", (bytes) => parts.push(bytes));
        request.on("end", () => {
            const subject = /^Subject: (.*)$/m.exec(Buffer.concat(parts).toString())?.[1].trim();
            const symbols = Object.fromEntries((findings.get(subject) ?? [["R_SPF_ALLOW", -0.2], ["R_DKIM_ALLOW", -0.2], ["DMARC_POLICY_ALLOW", -0.5]]).map(([name, score, ...options]) => [name, { name, score, options }]));
            const score = Object.values(symbols).reduce((n, s) => n + s.score, 0);

            response.setHeader("Content-Type", "application/json");
            response.end(JSON.stringify({ score, required_score: 15, action: score >= 15 ? "reject" : score >= 6 ? "add header" : "no action", symbols }));
        });
    });

    await new Promise((done) => server.listen(0, "127.0.0.1", done));
    server.unref();
    return { port: server.address().port, stop: () => new Promise((done) => { server.closeAllConnections?.(); server.close(done); }) };
}

// rulesd, the portal, a mail server that keeps what it gets, a filter: the site of the system tests, and
//   letter(l)   sends one of letters.mjs through rulesd and, where it was let through, tells of its delivery in the mail log
//   delivered(s)  tells of the delivery of the letter with that subject by and by
//   written()   the log has all of them: who looks from then on sees them
//   cookies(a)  of a browser where that person has signed in
//   down(), up()  the portal, at the same place
//   wire        between released mail and the mail server: cut(), mend()
export async function openHouse({ mail = letters } = {}) {
    const sink = await startSmtpSink(), filter = await startFilter(), wire = await startRelay(sink.port);
    const site = await makeSite({
        smtp: { url: `smtp://127.0.0.1:${sink.port}`, from: "Post <post@ours.example>" },
        delivery: { url: `smtp://127.0.0.1:${wire.port}` },
        rulesd: { mta_from: "127.0.0.0/8", scanner: `rspamd+http://127.0.0.1:${filter.port}` },
    });
    const maillog = join(site.dir, "mail.log");

    writeFileSync(maillog, "");
    site.configure({ rulesd: { maillog } });
    await site.must("init");
    await site.must("domain", "add", "ours.example", "--at-block", "quarantine", "--at-reject", "quarantine");
    for (const [address, ...more] of [[ANNA, "--name", "Anna Berg"], [OTTO, "--name", "Otto Lind"], [EVA, "--name", "Eva Stern"]]) {
        await site.must("account", "add", address, ...more);
        await site.must("mailbox", "add", address);
    }
    await site.must("account", "set", OTTO, "--owner", "ours.example");
    await site.must("account", "add", ROOT, "--name", "Operator", "--admin", "on");
    await site.must("account", "set", ANNA, "--password-stdin", { input: `${PASSWORD}\n` });
    await site.must("rule", "add", "--scope", "domain:ours.example", "--name", "No lotteries", "block", "--subject", "lottery", "--subject", "you have won");
    await site.must("rule", "add", "--scope", `mailbox:${ANNA}`, "--name", "Garden weekly", "--no-proof", "allow", "--sender", "weekly@garden.example");
    await site.must("rule", "add", "--scope", `mailbox:${ANNA}`, "--name", "No raffles", "block", "--subject", "raffle");
    await startRulesd({ site, init: false });
    await startPortal(site);

    let n = 0;
    const sent = new Map();
    const letter = async ({ to = ANNA, from = "writer@ext.example", name, subject, body = "Hello there.", fields = "", ends, ip = "192.0.2.9" }) => {
        const id = `${++n}.${Date.now()}`, queue = (0x4a7f0000000 + n).toString(16).toUpperCase();
        const bytes = `From: ${name ? `${name} <${from}>` : from}\r\nTo: ${to}\r\nSubject: ${subject}\r\nMessage-ID: <${id}@${from.split("@")[1]}>\r\nDate: ${new Date().toUTCString()}\r\n${fields}\r\n${body}\r\n`;
        const { status, text } = await http(site.httpSock, { headers: { From: `<${from}>`, Rcpt: `<${to}>`, IP: ip, Helo: `mx.${from.split("@")[1]}`, Hostname: `mx.${from.split("@")[1]}`, Flags: "milter", "Queue-ID": queue }, body: bytes });
        if (status !== 200) throw new Error(`rulesd: ${status} ${text}`);
        sent.set(subject, { id: `${id}@${from.split("@")[1]}`, queue, from, to, size: bytes.length });
        if (ends) tellLog(maillog, { id: `${id}@${from.split("@")[1]}`, queue, from, to, size: bytes.length, ends });
        return bytes;
    };
    const written = () => waitFor("the letters in the log", async () => numbers((await http(site.http, { method: "GET", path: "/metrics" })).text, /^log_records_total$/).log_records_total >= n);
    const cookies = async (address) => [...(await signIn(site, address)).cookies].map(([name, value]) => ({ name, value, url: site.origin, httpOnly: true, sameSite: "Lax" }));

    for (const one of mail) await letter(one);
    await written();
    return Object.assign(site, {
        sink, wire, letter, written, cookies,
        delivered: (subject) => tellLog(maillog, { ...sent.get(subject), ends: "sent" }),
        down: () => site.stopPortal(),
        up: () => startPortal(site, { port: site.port }),
        close: async () => { await site.stopPortal(); await site.stop(); await filter.stop(); await wire.stop(); await sink.stop(); site.remove(); },
    });
}

// Those rules in that scope from now on, and no others, by a person who has signed in as signIn() of the system tests has it.
export async function onlyRules(who, scope, ...rules) {
    const path = `/scopes/${scope}/rules`, done = ({ status, text, body }) => { if (status >= 300) throw new Error(`${status} ${text}`); return body; };

    for (const { id } of done(await who.get(`${path}?limit=200`)).items) done(await who.del(`/rules/${id}`));
    for (const rule of rules) done(await who.post(path, { rule }));
}

const answers = { sent: ["2.0.0", "sent (250 2.0.0 <{to}> Saved)"], deferred: ["4.2.2", "deferred (host mx.ours.example[198.51.100.20] said: 452 4.2.2 Mailbox full, try again later)"] };
function tellLog(file, { id, queue, from, to, size, ends }) {
    const at = new Date().toISOString().replace("Z", "+00:00"), [dsn, status] = answers[ends];
    const line = (what) => `${at} mail postfix/${what}\n`;

    appendFileSync(file, line(`cleanup[811]: ${queue}: message-id=<${id}>`) + line(`qmgr[640]: ${queue}: from=<${from}>, size=${size}, nrcpt=1 (queue active)`) +
        line(`smtp[820]: ${queue}: to=<${to}>, relay=mx.ours.example[198.51.100.20]:25, delay=0.4, delays=0.1/0/0.1/0.2, dsn=${dsn}, status=${status.replace("{to}", to)}`) +
        (ends === "sent" ? line(`qmgr[640]: ${queue}: removed`) : ""));
}

// ---- the browser ----

// One Chromium a file; person(address) is a fresh window in it where they have signed in, stranger() one where nobody has.
// page.wrong is what must not have been: a script that is not ours, a broken policy, an error, a question to anybody else.
export async function openBrowser(house) {
    const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"] });
    const stranger = async ({ width = 1280, height = 800, scheme = "light", locale = "en-GB", ...more } = {}) => {
        const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, locale, timezoneId: "Europe/Berlin", reducedMotion: "reduce", ...more });
        const page = await context.newPage();

        page.setDefaultTimeout(20_000);
        page.wrong = [];
        page.on("pageerror", (error) => page.wrong.push(`threw: ${error.message}`));
        page.on("dialog", (dialog) => { page.wrong.push(`a script ran: ${dialog.message()}`); dialog.dismiss().catch(() => {}); });
        page.on("console", (m) => { if (m.type() === "error" && !/Failed to load resource/.test(m.text())) page.wrong.push(`said: ${m.text()}`); });
        page.on("request", (r) => { if (/^https?:/.test(r.url()) && new URL(r.url()).origin !== house.origin) page.wrong.push(`asked ${r.url()}`); });
        page.at = (path) => page.goto(house.origin + path);
        page.done = () => context.close();
        return page;
    };
    const person = async (address, options) => {
        const page = await stranger(options);

        await page.context().addCookies(await house.cookies(address));
        return page;
    };

    return { stranger, person, close: () => browser.close() };
}

// The places that there are, with the file of each: only those are walked whose page is there.
export const places = [
    ["/", "mail"], ["/quarantine", "mail"], ["/rules", "rules"], ["/policies", "policies"], ["/settings", "settings"],
    ["/people", "people"], ["/senders", "senders"], ["/log", "audit"], ["/brand", "brand"],
].filter(([, file]) => existsSync(`${root}/portal/web/pages/${file}.js`)).map(([path]) => path);

// The page has said what it has to say: nothing is loading any more.
export const settled = (page) => page.waitForFunction(() => document.querySelector("main") && !document.querySelector(".waiting, [aria-busy='true']"));

// What a reader would stumble over: a line each. `only`: of all rules, these.
export async function barriers(page, only) {
    if (!await page.evaluate(() => "axe" in globalThis)) await page.evaluate(axe); // half a megabyte: once a document
    const { violations } = await page.evaluate((rules) => globalThis.axe.run(document, { resultTypes: ["violations"], ...(rules && { runOnly: rules }) }), only);

    return violations.flatMap((v) => v.nodes.map((node) => `${v.id}: ${node.target.join(" ")}: ${node.failureSummary.replace(/\s+/g, " ").slice(0, 240)}`));
}
// Of axe's rules, those that look at colours: all that another scheme can change, since that is nothing but colours (looks.test.mjs says so).
export const colours = ["color-contrast", "link-in-text-block"];

// How many pixels the page is wider than the window: 0, or it scrolls sideways.
export const overhang = (page) => page.evaluate(() => Math.max(0, document.scrollingElement.scrollWidth - innerWidth));

// Keeps requests of that kind back, as a slow server would, until what it gives is called.
export async function hold(page, method, url) {
    const kept = [];
    let go;
    const all = new Promise((done) => { go = done; });
    const keep = (route) => {
        if (route.request().method() !== method) return route.fallback();
        kept.push(all.then(() => route.continue()));
    };

    await page.route(url, keep);
    return async () => { go(); await Promise.all(kept); await page.unroute(url, keep); };
}

// The row of that subject, once it has come.
export const row = (page, subject) => page.locator("a.row", { hasText: subject }).first();

// The same of a letter that was sent just now: a list that was read before the log had it tells of it above, and is asked for it, as people do.
export async function arrived(page, subject) {
    const one = row(page, subject), more = page.getByRole("button", { name: /^\d+ new messages?$/ });

    await waitFor(subject, async () => {
        await one.or(more).first().waitFor();
        if (await one.count() > 0) return true;
        await more.click();
        return false;
    });
    return one;
}

// A letter from its sender to its reader, with nothing in between that is not real: SMTP to Postfix, Rspamd's proxy as its milter, rulesd
// with Rspamd behind it, the quarantine, the page in which somebody finds and releases it, Postfix again, Dovecot's mailbox, and the line
// in Postfix's log that says so, in the page. The files are those of examples/rspamd-proxy.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import {
    cannot, EICAR, example, freePort, letter, mainCf, makeDovecotAgent, makeSite, rspamdFinds, sections, signIn, smtpSend, startPortal, startPostfix,
    startRspamdScanner, startRulesd, waitFor,
} from "../system/lib/index.mjs";
import { ANNA, barriers, openBrowser, OTTO, overhang, ROOT, row, settled } from "./lib.mjs";

const skip = cannot("postfix", "rspamd", "dovecot-core", "dovecot-sieve");
const NINA = "nina@ours.example", UNWANTED = "unwanted@ext.example"; // by the mail server, when it comes back in
let site, postfix, rspamd, dovecot, browser;

before(async () => {
    if (skip) return;
    const [scanner, milter, release] = [await freePort(), await freePort(), await freePort()];

    dovecot = makeDovecotAgent({ config: () => "", files: {} });
    postfix = await startPostfix({
        sink: 9,
        main: { ...mainCf(example("rspamd-proxy/main.cf", { "inet:127.0.0.1:11332": `inet:127.0.0.1:${milter}` })), relay_transport: "dovecot", default_transport: "dovecot", dovecot_destination_recipient_limit: "1" },
        master: example("rspamd-proxy/master.cf", { "127.0.0.1:10025": `127.0.0.1:${release}`, "smtpd_milters=": `smtpd_milters=\n  -o { smtpd_sender_restrictions = check_sender_access inline:{ ${UNWANTED}=REJECT } }` }) + example("spamc/master.cf", { "/usr/lib/dovecot/dovecot-lda": dovecot.agent }),
    });
    site = await makeSite();
    site.configure(sections(example("rspamd-proxy/postern.conf", {
        "/run/postern/http.sock": site.httpSock, "127.0.0.1:11333": `127.0.0.1:${scanner}`, "127.0.0.1:10025": `127.0.0.1:${release}`, "/var/log/mail.log": `${postfix.dir}/mail.log`,
    })));
    site.configure({ smtp: { url: `smtp://127.0.0.1:${postfix.port}`, from: "Post <post@ours.example>" } });
    await site.must("init");
    await site.must("domain", "add", "ours.example", "--at-block", "quarantine", "--at-reject", "quarantine", "--at-add-header", "quarantine");
    for (const address of [ANNA, OTTO]) { await site.must("account", "add", address); await site.must("mailbox", "add", address); }
    await site.must("mailbox", "add", NINA);
    await site.must("account", "set", OTTO, "--owner", "ours.example");
    await site.must("account", "add", ROOT, "--admin", "on");
    await site.must("rule", "add", "--scope", "domain:ours.example", "--name", "No wares", "block", "--subject", "wares");
    await startRulesd({ site, init: false });
    rspamd = await startRspamdScanner({
        port: scanner, ports: [milter],
        local: { "worker-proxy.inc": example("rspamd-proxy/worker-proxy.inc", { "localhost:11332": `127.0.0.1:${milter}`, "/run/postern/http.sock": site.httpSock }), "rspamd.local.lua": rspamdFinds.replace(/^ *task:set_pre_result.*$/m, "") },
    });
    await startPortal(site);
    const signedIn = new Map();
    for (const who of [ANNA, OTTO, ROOT]) signedIn.set(who, [...(await signIn(site, who)).cookies].map(([name, value]) => ({ name, value, url: site.origin, httpOnly: true, sameSite: "Lax" })));
    site.cookies = async (who) => signedIn.get(who);
    browser = await openBrowser(site);
});
after(async () => { for (const stop of [browser?.close, site?.stopPortal, site?.stop, rspamd?.stop, postfix?.stop, dovecot?.remove, site?.remove]) await stop?.(); });

const logs = () => [postfix.maillog(), rspamd.log(), site.log(), dovecot.log()].map((l) => l.split("\n").slice(-30).join("\n")).join("\n----\n");
const send = async (mail, from = "writer@ext.example") => assert.match((await smtpSend(postfix.port, { from, rcpts: [ANNA], message: mail.text })).data, /^250 /, logs());
const copies = (mail) => dovecot.mailbox(ANNA).filter((text) => text.includes(`Message-ID: <${mail.id}>`));
// In the mailbox, with what mail servers wrote on top; of what is not held, the filter's fields stand below its own.
async function arrived(mail) {
    const [text] = await waitFor(`${mail.subject} in the mailbox`, () => copies(mail).length > 0 && copies(mail)).catch((e) => assert.fail(`${e.message}\n${logs()}`));

    const [head, body] = mail.text.replaceAll("\r\n", "\n").split("\n\n");
    assert.ok(text.includes(`\n${head}\n`) && text.endsWith(`\n\n${body}`), text);
    return text;
}
const drawer = (page) => page.locator(".drawer");
// Rows are written behind the scans, and the log is read by and by: the page is opened once it is there.
async function comes(page, path, subject, chip) {
    const { searchParams: asked } = new URL(path, site.origin), one = page.locator("a.row", { hasText: subject });
    const list = `${site.origin}/api/v1${asked.has("in") ? `/scopes/${encodeURIComponent(asked.get("in"))}` : "/me"}/mail?q=${encodeURIComponent(asked.get("q"))}`;

    await waitFor(`${subject}: ${chip}`, async () => (await (await page.request.get(list)).json()).items.some((r) => r.subject === subject && r.status === chip), { everyMs: 100 })
        .catch((e) => assert.fail(`${e.message}\n${logs()}`));
    await page.at(path);
    await settled(page);
    assert.equal(await (path.startsWith("/quarantine") ? one : one.locator(`.chip-${chip}`)).count(), 1, subject);
}

// Who releases it, where they look for it, what holds it, and how it looks: each role at both widths, light and dark.
const views = [[1280, "light"], [1280, "dark"], [390, "light"], [390, "dark"]];
const roles = [
    { who: ANNA, as: "the person", at: "/quarantine", held: "money", body: "free money", why: /score 2\d\.\d/ },
    { who: OTTO, as: "the domain's owner", at: "/quarantine?in=domain:ours.example", held: "wares", body: "Buy now.", why: /No wares/ },
    { who: ROOT, as: "the operator", at: "/?in=global", held: "wares", body: "Buy now.", why: /No wares/ },
];

async function walk({ who, at, held, body, why }, width, scheme) {
    const mail = letter(`${held} for ${who.split("@")[0]}, ${width}, ${scheme}`, { body });
    const page = await browser.person(who, { width, height: width < 600 ? 844 : 800, scheme });
    const search = `${at}${at.includes("?") ? "&" : "?"}q=${encodeURIComponent(`subject:"${mail.subject}"`)}`;

    await send(mail);
    await comes(page, search, mail.subject, "quarantined");
    assert.equal(copies(mail).length, 0, "nobody has it yet");
    await row(page, mail.subject).click();
    assert.match(await drawer(page).locator(".verdict").innerText(), why);
    await drawer(page).getByRole("button", { name: "Release", exact: true }).click();
    const text = await arrived(mail);
    assert.match(text, /^Delivered-To: anna@ours\.example$/m);
    assert.doesNotMatch(text, /^X-Release-Bypass/mi);

    await comes(page, search.replace("/quarantine", "/"), mail.subject, "delivered");
    await row(page, mail.subject).click();
    const steps = drawer(page).locator(".steps");
    await steps.getByText("delivered via dovecot service").waitFor();
    assert.match(await drawer(page).locator(".verdict").innerText(), /Released: it was held at first/);
    assert.match(await steps.innerText(), /Received from [\s\S]*Release[\s\S]*The mail server has taken it\s+250 .*queued as[\s\S]*Delivered to anna@ours\.example/);
    assert.equal(await drawer(page).getByRole("button", { name: "Release", exact: true }).count(), 0, "once");
    assert.equal(await overhang(page), 0);
    assert.deepEqual(await barriers(page), []);
    assert.equal(copies(mail).length, 1);
    assert.deepEqual(page.wrong, []);
    await page.done();
}

test("what is wanted goes straight to the mailbox, and the page knows it", { skip }, async () => {
    const mail = letter("The ladder"), page = await browser.person(ANNA);

    await send(mail);
    await arrived(mail);
    await comes(page, "/?q=ladder", mail.subject, "delivered");
    await row(page, mail.subject).click();
    await drawer(page).getByText("delivered via dovecot service").waitFor();
    await page.done();
});

for (const role of roles)
    test(`what is held is found in the page, released by ${role.as}, and arrives`, { skip }, () =>
        Promise.all(views.map(([width, scheme]) => walk(role, width, scheme))));

const found = (mail, at = "/quarantine") => `${at}${at.includes("?") ? "&" : "?"}q=${encodeURIComponent(`subject:"${mail.subject}"`)}`;
// Somebody with that message open in front of them.
async function reader(who, mail, at, how) {
    const page = await browser.person(who, how), press = (name) => drawer(page).getByRole("button", { name, exact: true });

    await comes(page, found(mail, at), mail.subject, "quarantined");
    await row(page, mail.subject).click();
    await drawer(page).locator(".verdict").waitFor();
    return { page, press, end: async () => { assert.deepEqual(page.wrong, []); await page.done(); } };
}

test("what a person may not release they ask for; the owner lets it out with an answer, and it arrives", { skip }, async () => {
    const mail = letter("wares that were asked for", { body: "Buy now." });

    await send(mail);
    const anna = await reader(ANNA, mail, "/quarantine", { width: 390, height: 844, scheme: "dark" });
    assert.equal(await anna.press("Release").count(), 0);
    await anna.press("Ask for release").click();
    await anna.page.getByLabel("Why do you need it?").fill("It is the catalogue.");
    await anna.page.getByRole("button", { name: "Ask", exact: true }).click();
    await drawer(anna.page).getByText("an owner of the domain decides").waitFor();

    const otto = await browser.person(OTTO), asks = otto.getByRole("region", { name: /for a release$/ });
    await otto.at("/quarantine?in=domain:ours.example");
    await asks.getByText("It is the catalogue.").waitFor();
    await asks.getByRole("listitem").filter({ hasText: mail.subject }).getByRole("button", { name: "Release" }).click();
    await otto.getByLabel(`Your answer to ${ANNA}`).fill("Let us see it.");
    assert.deepEqual(await barriers(otto), []);
    await otto.getByRole("dialog").getByRole("button", { name: "Release" }).click();
    await arrived(mail);
    await asks.waitFor({ state: "detached" });
    await anna.page.reload();
    await drawer(anna.page).getByText(`${OTTO} let it through.`).waitFor();
    await drawer(anna.page).getByText("Let us see it.").waitFor();
    assert.equal(copies(mail).length, 1);
    assert.deepEqual(otto.wrong, []);
    await otto.done();
    await anna.end();
});

test("a virus goes out by the operator's second word alone", { skip }, async () => {
    const mail = letter("cheap watches, and more", { body: `cheap watches ${EICAR}` });

    await send(mail);
    for (const [who, at] of [[ANNA, "/quarantine"], [OTTO, "/quarantine?in=domain:ours.example"]]) {
        const one = await reader(who, mail, at);
        assert.equal(await drawer(one.page).getByRole("button", { name: /[Rr]elease/ }).count(), 0, who);
        await one.end();
    }
    const { page, press, end } = await reader(ROOT, mail, "/?in=global");
    const sure = page.getByRole("dialog", { name: "Release a message with a virus?" });
    await press("Release").click();
    await sure.getByText("CLAM_VIRUS (Eicar-Test-Signature)").waitFor();
    assert.deepEqual(await barriers(page), []);
    await sure.getByRole("button", { name: "Cancel" }).click();
    await press("Release").click();
    assert.equal(copies(mail).length, 0);
    await sure.getByRole("button", { name: "Release it all the same" }).click();
    await arrived(mail);
    await end();
});

test("what the mail server does not take back is not released, and the page has its answer", { skip }, async () => {
    const mail = letter("free money, unwanted", { body: "free money" });

    await send(mail, UNWANTED);
    const { page, press, end } = await reader(ANNA, mail);
    await press("Release").click();
    await page.locator(".note").waitFor();
    await drawer(page).locator(".steps").getByText("It was not released").waitFor();
    assert.match(await drawer(page).locator(".steps").innerText(), /554 5\.7\.1 <unwanted@ext\.example>: Sender address rejected/);
    assert.equal(await press("Release").count(), 1, "it can be tried again");
    assert.equal(copies(mail).length, 0);
    await end();
});

test("what is picked together is reported and released together, and all of it arrives", { skip }, async () => {
    const mails = ["one", "two", "three"].map((n) => letter(`A bundle of money, ${n}`, { body: "free money" })), page = await browser.person(ANNA);

    for (const mail of mails) await send(mail);
    await waitFor("all three", async () => {
        await page.at(found({ subject: "A bundle of money" }));
        await settled(page);
        return await page.locator("a.row").count() === 3;
    });
    await page.getByLabel("Select all 3 shown").check();
    await page.getByRole("toolbar").getByRole("button", { name: "Report not spam" }).click();
    await page.locator(".note", { hasText: "3 messages reported as not spam." }).waitFor();
    await page.getByLabel("Select all 3 shown").check();
    await page.getByRole("toolbar").getByRole("button", { name: "Release", exact: true }).click();
    await page.locator(".note", { hasText: "3 messages released." }).waitFor();
    for (const mail of mails) await arrived(mail);
    assert.deepEqual(page.wrong, []);
    await page.done();
});

// Nina has a mailbox that is listed, and nobody has made her an account.
for (const [who, sees] of [[ANNA, (page) => row(page, "The ladder")], [NINA, (page) => row(page, "Welcome, Nina")]])
    test(`the link to sign in with comes the same way, and lets in ${who} who asked for it`, { skip }, async () => {
        const page = await browser.stranger(), link = () => dovecot.mailbox(who).map((text) => text.replaceAll("=\n", "").replaceAll("=3D", "=")).find((text) => text.includes(`${site.origin}/signin#`));

        if (who === NINA) await smtpSend(postfix.port, { from: "writer@ext.example", rcpts: [NINA], message: letter("Welcome, Nina").text });
        await page.at("/");
        await page.getByLabel("Your email address").fill(who);
        await page.getByRole("button", { name: "Send me a sign-in link" }).click();
        const mail = await waitFor("the link", link).catch((e) => assert.fail(`${e.message}\n${logs()}`));
        await page.goto(/http\S+\/signin#[^\s"<]+/.exec(mail)[0]);
        await page.getByRole("button", { name: "Sign in" }).click();
        await sees(page).waitFor();
        assert.deepEqual(page.wrong, []);
        await page.done();
    });

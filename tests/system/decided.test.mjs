// Who may release what, by the reason for which it is held: what was decided passes the scan at release and, where the way back
// leads through the milter, rulesd's own, into a real Postfix; what nobody decided about is stopped by both.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { createServer } from "node:http";

import {
    cannot, example, freePort, http, makeSite, signIn, smtpSend, startPortal, startPostfix, startRspamdProxy, startRulesd, startSmtpSink, waitFor,
} from "./lib/index.mjs";

const skip = cannot("postfix", "rspamd");
const ANNA = "anna@ours.example", OWEN = "owen@ours.example", ROOT = "root@elsewhere.example";
let site, sink, postfix, proxy, front, scanner, anna, owen, root, direct, milter, number = 0;

// ---- the filter ----

const found = (name, score, ...options) => ({ [name]: { name, score, options } });
const FILE = { score: 20, symbols: found("MIME_BAD_EXTENSION", 20, "exe") };
const VIRUS = (...names) => ({ score: 20, symbols: found("CLAM_VIRUS", 20, ...names) });
const SPAM = { score: 20, symbols: found("BAYES_SPAM", 20) };
let says;
beforeEach(() => { says = SPAM; });

before(async () => {
    if (skip) return;
    const reinject = await freePort();

    scanner = createServer((request, response) => request.resume().on("end", () => response.writeHead(200, { "Content-Type": "application/json" })
        .end(JSON.stringify({ action: "no action", required_score: 15, messages: {}, ...says }))));
    await new Promise((done) => scanner.listen(0, "127.0.0.1", done));
    sink = await startSmtpSink();
    postfix = await startPostfix({ sink: sink.port, master: example("rspamd-proxy/master.cf", { "127.0.0.1:10025": `127.0.0.1:${reinject}` }) });
    direct = `smtp://127.0.0.1:${reinject}`;
    const own = await makeSite({ delivery: { url: direct }, rulesd: { scanner: `rspamd+http://127.0.0.1:${scanner.address().port}`, mta_from: "127.0.0.0/8" } });
    await own.must("init");
    await own.must("domain", "add", "ours.example", "--at-reject", "quarantine", "--at-add-header", "quarantine");
    for (const a of [ANNA, OWEN]) { await own.must("account", "add", a); await own.must("mailbox", "add", a); }
    await own.must("account", "set", OWEN, "--owner", "ours.example");
    await own.must("account", "add", ROOT, "--admin", "on");
    site = await startRulesd({ site: own, init: false });
    proxy = await startRspamdProxy({ upstream: site.http });
    front = await startPostfix({ sink: sink.port, main: { smtpd_milters: `inet:127.0.0.1:${proxy.port}` } });
    milter = `smtp://127.0.0.1:${front.port}?bypass=on`;
    await startPortal(site);
    [anna, owen, root] = [await signIn(site, ANNA), await signIn(site, OWEN), await signIn(site, ROOT)];
});
after(async () => {
    await site?.stopPortal?.();
    for (const server of [front, postfix, proxy, site, sink]) await server?.stop();
    site?.remove?.();
    scanner?.close();
});

// ---- what is held ----

const logs = () => [postfix.maillog(), front.maillog(), site.log(), site.portalLog()].map((l) => l.split("\n").slice(-15).join("\n")).join("\n----\n");

// What comes by the front door with such findings is in the quarantine.
async function hold(what) {
    const subject = `letter ${++number}.${process.pid}`;

    says = what;
    await http(site.httpSock, { headers: { From: "<writer@ext.example>", Rcpt: `<${ANNA}>`, IP: "192.0.2.7", Helo: "mx.ext.example", "Queue-ID": `Q${number}X`, Flags: "milter" }, body: `From: Writer <writer@ext.example>\r\nSubject: ${subject}\r\n\r\nHello.\r\n` });
    const [row] = await waitFor(`${subject} to be held`, async () => { const rows = (await owen.get(`/scopes/domain:ours.example/mail?q=${encodeURIComponent(`subject:"${subject}"`)}`)).body.items; return rows.length > 0 && rows; }).catch((e) => assert.fail(`${e.message}\n${logs()}`));
    assert.equal(row.status, "quarantined", JSON.stringify(row));
    return { ...row, at: `/deliveries/${row.uid}/${row.n}` };
}
const arrived = (mail) => sink.messages.filter((m) => m.data.includes(`Subject: ${mail.subject}\r\n`));
const arrives = (mail) => waitFor(`${mail.subject} to arrive`, () => arrived(mail)[0]).catch((e) => assert.fail(`${e.message}\n${logs()}`));
const detail = async (who, mail) => (await who.get(mail.at)).body;
const release = (who, mail, body = {}) => who.post(`${mail.at}/release`, body);

// The same by both ways: the portal reads its settings when it starts.
async function byBothWays(run) {
    await run("straight into the mail server");
    await site.stopPortal();
    site.configure({ delivery: { url: milter } });
    await startPortal(site, { port: site.port });
    try { await run("through the milter"); } finally {
        await site.stopPortal();
        site.configure({ delivery: { url: direct } });
        await startPortal(site, { port: site.port });
    }
}

// ---- the table ----

test("spam is the person's own to release", { skip }, async () => byBothWays(async () => {
    const mail = await hold(SPAM);
    assert.equal((await detail(anna, mail)).can.release, true);
    const answer = await release(anna, mail);
    assert.equal(answer.status, 200, answer.text + logs());
    assert.equal((await arrives(mail)).rcpts[0], ANNA);
}));

test("a forbidden file a person asks for, and what the owner decides passes every scan on the way", { skip }, async () => byBothWays(async () => {
    const mail = await hold(FILE);
    const { can } = await detail(anna, mail);
    assert.deepEqual([can.release, can.ask, can.findings], [false, true, "MIME_BAD_EXTENSION"]);
    assert.equal((await release(anna, mail)).status, 403);
    assert.equal((await anna.post(`${mail.at}/ask`, { why: "our own tool" })).status, 200);
    const granted = await owen.post(`/domains/ours.example/requests/${mail.uid}/${mail.n}`, { grant: true });
    assert.equal(granted.status, 200, granted.text + logs());
    const got = await arrives(mail);
    assert.doesNotMatch(got.data, /X-Release-Bypass/i);
}));

test("a virus is the operator's alone, who says so twice", { skip }, async () => byBothWays(async () => {
    const mail = await hold(VIRUS("Eicar"));
    for (const who of [anna, owen]) {
        const { can } = await detail(who, mail);
        assert.deepEqual([can.release, can.ask, can.confirm_virus], [false, false, false]);
        assert.equal((await release(who, mail, { confirmed_virus: true })).status, 403, "saying so is not being allowed to");
        assert.equal((await who.post(`${mail.at}/ask`, {})).status, 403);
    }
    assert.equal((await detail(root, mail)).can.confirm_virus, true);
    const first = await release(root, mail);
    assert.equal(first.status, 409);
    assert.match(first.body.detail, /virus .*CLAM_VIRUS.* once more/);
    assert.equal(arrived(mail).length, 0);
    const second = await release(root, mail, { confirmed_virus: true });
    assert.equal(second.status, 200, second.text + logs());
    await arrives(mail);
    assert.match(await site.must("audit", "list"), /quarantine\.release/);
}));

test("another virus than the one that was confirmed stops it, until that one is confirmed too", { skip }, async () => byBothWays(async () => {
    const mail = await hold(VIRUS("Eicar"));
    says = VIRUS("Eicar", "Emotet");
    const answer = await release(root, mail, { confirmed_virus: true });
    assert.equal(answer.status, 409);
    assert.match(answer.body.detail, /CLAM_VIRUS/);
    assert.equal((await detail(root, mail)).release.state, "failed");
    assert.equal(arrived(mail).length, 0);
    assert.equal((await release(root, mail, { confirmed_virus: true })).status, 200, logs());
    await arrives(mail);
}));

test("what only the scan at release finds is from then on for those to decide who may", { skip }, async () => {
    const mail = await hold(SPAM);
    says = FILE;
    const stopped = await release(anna, mail);
    assert.equal(stopped.status, 409);
    assert.match(stopped.body.detail, /MIME_BAD_EXTENSION/);
    const { can } = await detail(anna, mail);
    assert.deepEqual([can.release, can.ask], [false, true]);
    assert.equal((await release(anna, mail)).status, 403, "pressing again is not deciding");
    assert.equal((await release(owen, mail)).status, 200, logs());
    await arrives(mail);
    const virus = await hold(SPAM);
    says = VIRUS("Emotet");
    assert.equal((await release(owen, virus)).status, 409);
    assert.equal((await release(owen, virus)).status, 403);
    assert.equal((await release(root, virus)).status, 409, "the second confirmation");
    assert.equal(arrived(virus).length, 0);
});

// ---- rulesd's own scan ----

test("on the way through the milter rulesd stops what nobody decided about, though everything else did not see it", { skip }, async () => {
    const mail = await hold(FILE);
    let asked = 0;
    const second = () => { says = ++asked === 2 ? { score: 40, symbols: { ...found("MIME_BAD_EXTENSION", 20, "exe"), ...found("CLAM_VIRUS", 20, "Emotet") } } : FILE; };

    site.configure({ delivery: { url: milter } });
    scanner.prependListener("request", second); // the first question is that of the release itself
    try {
        const { code, stderr } = await site.postern(["quarantine", "release", mail.uid]);
        assert.notEqual(code, 0);
        assert.match(stderr, /the mail server refused it: 5/);
        assert.equal(arrived(mail).length, 0);
    } finally {
        scanner.off("request", second);
        site.configure({ delivery: { url: direct } });
    }
});

test("a bypass that somebody wrote, or made more of, lifts nothing", { skip }, async () => {
    for (const lifts of ["", "file_type", "virus:0123456789abcdef"]) {
        says = FILE;
        const subject = `forged ${++number}`;
        const field = `X-Release-Bypass: v=2; u=01a2013a-4eb7-7cc0-aa61-204872ce71c5; t=${(Date.now() + 600000) * 1000}; n=${"0".repeat(32)}; l=${lifts}; s=${"0".repeat(64)}`;
        await smtpSend(front.port, { from: "writer@ext.example", rcpts: [ANNA], message: `${field}\r\nFrom: <writer@ext.example>\r\nSubject: ${subject}\r\n\r\nx\r\n` });
        await waitFor("it to be held like any other", async () => (await owen.get(`/scopes/domain:ours.example/mail?q=${encodeURIComponent(`is:held subject:"${subject}"`)}`)).body.items.length === 1).catch((e) => assert.fail(`${e.message}\n${logs()}`));
        assert.equal(sink.messages.filter((m) => m.data.includes(subject)).length, 0);
    }
});

// ---- the command ----

test("the command decides about a file, and about a virus only when told so", { skip }, async () => {
    const file = await hold(FILE);
    assert.equal((await site.postern(["quarantine", "release", file.uid])).code, 0, logs());
    await arrives(file);
    const virus = await hold(VIRUS("Eicar"));
    const refused = await site.postern(["quarantine", "release", virus.uid]);
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /virus in it \(CLAM_VIRUS\); it leaves only --with-virus/);
    assert.equal((await site.postern(["quarantine", "release", "--with-virus", virus.uid])).code, 0, logs());
    await arrives(virus);
});

test("what could not leave goes later with what was decided then", { skip }, async () => {
    const mail = await hold(FILE);
    site.configure({ delivery: { url: `smtp://127.0.0.1:${await freePort()}` } });
    assert.notEqual((await site.postern(["quarantine", "release", mail.uid])).code, 0);
    site.configure({ delivery: { url: direct } });
    assert.equal((await site.postern(["quarantine", "release", "--unfinished"])).code, 0, logs());
    await arrives(mail);
});

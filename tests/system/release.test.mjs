// Held mail back to its recipients: rulesd takes custody, `postern quarantine release` hands it to a real Postfix, by the
// listener of examples/rspamd-proxy/master.cf or, with the bypass, through the milter once more.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { spawnSync } from "node:child_process";
import { createServer } from "node:net";
import { networkInterfaces } from "node:os";
import { TLSSocket } from "node:tls";
import { createServer as createHttpServer } from "node:http";
import { readFileSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";

import {
    cannot, example, freePort, http, smtpSend, startPostfix, startRspamdProxy, startRulesd, startSmtpSink, waitFor,
} from "./lib/index.mjs";

const skip = cannot("postfix", "rspamd");
const ANNA = "anna@ours.example";
let site, sink, postfix, proxy, front, scanner, says = "clean", number = 0;

// A scanner that finds nothing, until it finds a virus, or cannot look for one.
const symbol = (name) => ({ [name]: { name, score: 0, options: ["Eicar"] } });
const scannerWords = {
    clean: { action: "no action", symbols: {} },
    virus: { action: "reject", symbols: symbol("CLAM_VIRUS") },
    asleep: { action: "soft reject", symbols: symbol("CLAM_VIRUS_FAIL"), messages: { smtp_message: "No scan for viruses now" } },
};
const scannerSays = () => JSON.stringify({ score: 0, required_score: 15, messages: {}, ...scannerWords[says] });

before(async () => {
    if (skip) return;
    const reinject = await freePort();

    scanner = createHttpServer((request, response) => {
        request.resume().on("end", () => response.writeHead(200, { "Content-Type": "application/json" }).end(scannerSays()));
    });
    await new Promise((done) => scanner.listen(0, "127.0.0.1", done));
    sink = await startSmtpSink();
    postfix = await startPostfix({
        sink: sink.port,
        main: { virtual_alias_maps: "inline:{ {team@ours.example = one@ours.example two@ours.example} }" },
        master: example("rspamd-proxy/master.cf", { "127.0.0.1:10025": `127.0.0.1:${reinject}` }),
    });
    site = await startRulesd({
        config: {
            delivery: { url: `smtp://127.0.0.1:${reinject}` },
            rulesd: { scanner: `rspamd+http://127.0.0.1:${scanner.address().port}`, mta_from: "127.0.0.0/8", maillog: join(postfix.dir, "mail.log") },
        },
    });
    await site.must("domain", "add", "ours.example", "--at-block", "quarantine");
    await site.must("mailbox", "add", ANNA);
    await site.must("rule", "add", "--scope", "domain:ours.example", "--name", "No wares", "block", "--subject", "wares");
    proxy = await startRspamdProxy({ upstream: site.http });
    front = await startPostfix({ sink: sink.port, main: { smtpd_milters: `inet:127.0.0.1:${proxy.port}` } });
});
after(async () => {
    for (const server of [front, postfix, proxy, site, sink]) await server?.stop();
    scanner?.close();
});

const logs = () => [postfix.maillog(), front.maillog(), site.log()].map((l) => l.split("\n").slice(-25).join("\n")).join("\n----\n");

// As the milter would hand it over: what was held, with its UID.
async function hold(rcpt, { from = "writer@ext.example", body = "Cheap.\r\n", head = "" } = {}) {
    const subject = `wares ${++number}.${process.pid}`;
    const text = `${head}From: Writer <writer@ext.example>\r\nSubject: ${subject}\r\n\r\n${body}`;
    const headers = {
        From: `<${from}>`, Rcpt: `<${rcpt}>`, IP: "192.0.2.7", Helo: "mx.ext.example", Hostname: "mx.ext.example", "Queue-ID": `Q${number}X`, Flags: "milter",
    };
    const reply = await http(`unix:${site.httpSock}`, { headers, body: Buffer.from(text) });

    assert.deepEqual(JSON.parse(reply.text).milter?.reject, "discard", `${reply.text}\n${logs()}`);
    const row = await waitFor("the log to have it", async () =>
        JSON.parse(await site.must("quarantine", "list", "--json")).held.find((h) => h.subject === subject));
    return { uid: row.uid, text, subject, row };
}
const arrived = ({ subject }) => sink.messages.filter((m) => m.data.includes(`Subject: ${subject}\r\n`));
const arrives = (mail, n = 1) => waitFor(`${mail.subject} to arrive`, () => arrived(mail).length >= n && arrived(mail)).catch((error) => assert.fail(`${error.message}\n${logs()}`));
const release = (...args) => site.postern(["quarantine", "release", ...args]);
const trace = async (uid) => JSON.parse(await site.must("trace", uid, "--json")).messages[0];

// What stands above the message as it was held.
function above(mail, got) {
    const want = Buffer.from(mail.text).toString("latin1");

    assert.ok(got.data.endsWith(want), `not as it was held: ${JSON.stringify(got.data)}, held as ${JSON.stringify(want)}`);
    return got.data.slice(0, -want.length);
}

test("a released message arrives byte for byte, with fields added only at the top", { skip }, async () => {
    const mail = await hold(ANNA, { head: "X-Odd:   kept  as it is  \r\n\tfolded\r\n", body: ".\r\n..two\r\n\r\nlast line" + "\r\n" });
    const { code, stdout, stderr } = await release(mail.uid);
    assert.equal(code, 0, stderr + logs());
    assert.match(stdout, new RegExp(`^${mail.uid} for ${ANNA}: released, 250 2\\.0\\.0 Ok: queued as \\w+$`, "m"));
    const [got] = await arrives(mail);
    assert.deepEqual([got.from, got.rcpts], ["writer@ext.example", [ANNA]]);
    const fields = above(mail, got).replace(/\r\n[ \t]+/g, " ").split("\r\n").filter(Boolean);
    assert.deepEqual(fields.map((f) => f.split(":")[0]), ["Received", "X-Postern-Released"], fields.join("\n"));
    assert.match(postfix.maillog(), new RegExp(`orig_queue_id=${mail.row ? `Q${number}X` : ""}, orig_client=mx\\.ext\\.example\\[192\\.0\\.2\\.7\\]`));
});

test("a second release says that it is sent already, and sends nothing", { skip }, async () => {
    const mail = await hold(ANNA);
    assert.equal((await release(mail.uid)).code, 0);
    await arrives(mail);
    for (const again of [[], ["--again"]]) {
        const { code, stderr } = await release(mail.uid, ...again);
        assert.notEqual(code, 0);
        assert.match(stderr, /released already, .* the server said: 250 2\.0\.0 Ok: queued as/);
    }
    assert.equal(arrived(mail).length, 1);
});

test("the timeline shows the release, the new queue id and the deciding rule", { skip }, async () => {
    const mail = await hold(ANNA);
    await release(mail.uid);
    await arrives(mail);
    const seen = await trace(mail.uid);
    const [delivery] = seen.deliveries;
    assert.equal(seen.uid, mail.uid);
    assert.equal(delivery.verdict, "quarantined");
    assert.match(delivery.status, /^(received|queued|delivered)$/);
    assert.equal(delivery.rule.name, "No wares");
    assert.equal(delivery.release.state, "sent");
    assert.equal(delivery.attempts[0].queue_id, delivery.release.queue_id);
    assert.equal((await trace(delivery.release.queue_id)).uid, mail.uid);
    assert.equal((await trace(seen.queue_id)).uid, mail.uid);
    const text = await site.must("trace", mail.uid);
    assert.match(text, /rule +[0-9a-f-]{36} No wares/);
    assert.match(text, /release sent, asked for by .* queued as/);
});

test("what the mail server does with a released message joins its timeline", { skip }, async () => {
    const mail = await hold(ANNA);
    await release(mail.uid);
    const delivery = await waitFor("the log to tell of the delivery", async () => {
        const [d] = (await trace(mail.uid)).deliveries;
        return d.state === "delivered" && d;
    }).catch((error) => assert.fail(`${error.message}\n${logs()}`));
    assert.equal(delivery.status, "delivered");
    assert.ok(delivery.attempts.some((a) => a.port === sink.port && /kept/.test(a.response)), JSON.stringify(delivery.attempts));
});

test("aliases are expanded, and the null sender stays", { skip }, async () => {
    const mail = await hold("team@ours.example", { from: "" });
    assert.equal((await release(mail.uid)).code, 0);
    await waitFor("both to have it", () => arrived(mail).flatMap((m) => m.rcpts).length === 2);
    assert.deepEqual(arrived(mail).flatMap((m) => m.rcpts).sort(), ["one@ours.example", "two@ours.example"]);
    assert.deepEqual(new Set(arrived(mail).map((m) => m.from)), new Set([""]));
});

test("8-bit bodies and addresses that are not ASCII go through", { skip }, async () => {
    const body = await hold(ANNA, { body: "Grüße\r\n" });
    assert.equal((await release(body.uid)).code, 0);
    const [got] = await arrives(body);
    above(body, got);
    assert.match(got.lines[0], /BODY=8BITMIME/);
    const address = await hold("ännchen@ours.example", { head: "X-Who: ännchen\r\n" });
    const { code, stderr } = await release(address.uid);
    assert.equal(code, 0, stderr);
    const [other] = await arrives(address);
    above(address, other);
    assert.deepEqual(other.rcpts.map((r) => Buffer.from(r, "latin1").toString()), ["ännchen@ours.example"]);
    assert.match(other.lines[0], /SMTPUTF8/);
});

test("where the way back leads through the milter, the message passes it once, and its field stays behind", { skip }, async () => {
    const mail = await hold(ANNA);
    const url = site.settings.delivery.url;
    try {
        site.configure({ delivery: { url: `smtp://127.0.0.1:${front.port}?bypass=on` } });
        const { code, stderr } = await release(mail.uid);
        assert.equal(code, 0, stderr + logs());
        const [got] = await arrives(mail);
        assert.match(got.data, /^X-Postern-Released: /m);
        assert.doesNotMatch(got.data, /X-Release-Bypass/i);
    } finally {
        site.configure({ delivery: { url } });
    }
    assert.equal((await smtpSend(front.port, { from: "writer@ext.example", rcpts: [ANNA], message: mail.text })).data.slice(0, 3), "250");
    await waitFor("the same message from outside to be held", async () =>
        JSON.parse(await site.must("quarantine", "list", "--json")).held.filter((h) => h.subject === mail.subject).length === 2);
    assert.equal(arrived(mail).length, 1);
});

test("a virus that a scan at release finds stops it", { skip }, async () => {
    const mail = await hold(ANNA);
    says = "virus";
    const { code, stderr } = await release(mail.uid).finally(() => { says = "clean"; });
    assert.notEqual(code, 0);
    assert.match(stderr, /the scan stops it: CLAM_VIRUS/);
    assert.equal((await trace(mail.uid)).deliveries[0].release.state, "failed");
    assert.equal(arrived(mail).length, 0);
});

test("where nobody can look for a virus it waits, and leaves when somebody can", { skip }, async () => {
    const mail = await hold(ANNA);
    says = "asleep";
    const { code, stderr } = await release(mail.uid).finally(() => { says = "clean"; });
    assert.notEqual(code, 0);
    assert.match(stderr, /could not look for viruses/);
    assert.equal(arrived(mail).length, 0);
    assert.equal((await release(mail.uid)).code, 0);
    await arrives(mail);
});

test("a released message is put off by the milter while nobody can look for a virus, and its field stays good", { skip }, async () => {
    const mail = await hold(ANNA), url = site.settings.delivery.url;
    try {
        let asked = 0;
        scanner.on("request", function second() { // the first question is that of the release itself
            says = ++asked === 2 ? "asleep" : "clean";
            if (asked === 2) scanner.off("request", second);
        });
        site.configure({ delivery: { url: `smtp://127.0.0.1:${front.port}?bypass=on` } });
        const { code, stderr } = await release(mail.uid);
        assert.notEqual(code, 0);
        assert.match(stderr, /451 .*No scan for viruses now/);
        says = "clean";
        assert.equal((await release(mail.uid)).code, 0);
        await arrives(mail);
    } finally {
        says = "clean";
        site.configure({ delivery: { url } });
    }
});

// A mail server that takes the message and hangs up instead of saying so.
async function startRude() {
    const heard = [];
    const server = createServer((socket) => {
        let data = false;
        socket.on("error", () => { /* it hangs up too */ });
        socket.on("data", (bytes) => {
            for (const line of bytes.toString("latin1").split("\r\n").slice(0, -1)) {
                heard.push(line);
                if (data && line === ".") return socket.destroy();
                if (line === "DATA") data = true;
                if (!data || line === "DATA") socket.write(data ? "354 go on\r\n" : "250 ok\r\n");
            }
        });
        socket.write("220 rude\r\n");
    });

    await new Promise((done) => server.listen(0, "127.0.0.1", done));
    return { port: server.address().port, heard, stop: () => server.close() };
}

test("when the connection is lost behind the final dot nobody knows, and only a person sends it again", { skip }, async () => {
    const mail = await hold(ANNA), rude = await startRude(), url = site.settings.delivery.url;
    try {
        site.configure({ delivery: { url: `smtp://127.0.0.1:${rude.port}` } });
        const { code, stderr } = await release(mail.uid);
        assert.notEqual(code, 0);
        assert.match(stderr, /nobody knows whether the mail server has it/);
    } finally {
        site.configure({ delivery: { url } });
        rude.stop();
    }
    assert.equal((await trace(mail.uid)).deliveries[0].release.state, "unknown");
    assert.match((await release(mail.uid)).stderr, /ask again only if it is not there/);
    assert.match(await site.must("quarantine", "release", "--unfinished"), /Nothing was left unfinished/);
    assert.equal(arrived(mail).length, 0);
    assert.equal((await release(mail.uid, "--again")).code, 0);
    await arrives(mail);
});

// A mail server that offers STARTTLS, at an address that is not loopback: to us it is another machine.
async function startSecure(key, cert, address) {
    const heard = [], sockets = new Set();
    const talk = (socket, secure) => {
        let data = false, pending = "";
        sockets.add(socket);
        socket.on("error", () => { /* it hung up */ });
        socket.on("data", (bytes) => {
            pending += bytes.toString("latin1");
            for (let end; (end = pending.indexOf("\r\n")) >= 0;) {
                const line = pending.slice(0, end);
                pending = pending.slice(end + 2);
                heard.push(`${secure ? "TLS" : "plain"} ${line}`);
                if (line === "STARTTLS") {
                    socket.write("220 go on\r\n");
                    socket.removeAllListeners("data");
                    return talk(new TLSSocket(socket, { isServer: true, key, cert }), true);
                }
                if (data && line !== ".") continue;
                data = line === "DATA";
                if (line.startsWith("EHLO") && !secure) socket.write("250-secure\r\n250 STARTTLS\r\n");
                else socket.write(data ? "354 go on\r\n" : "250 ok\r\n");
            }
        });
    };
    const server = createServer((socket) => { socket.write("220 secure\r\n"); talk(socket, false); });

    await new Promise((done) => server.listen(0, address, done));
    return { port: server.address().port, heard, stop: () => { for (const s of sockets) s.destroy(); server.close(); } };
}
const outside = Object.values(networkInterfaces()).flat().find((a) => !a.internal && a.family === "IPv4")?.address;

test("towards another machine the mail is encrypted where that is offered", { skip: skip ?? (outside ? undefined : "there is no network") }, async (t) => {
    const made = spawnSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", join(site.dir, "tls.key"),
        "-out", join(site.dir, "tls.crt"), "-days", "2", "-subj", "/CN=secure.example"]);
    if (made.status !== 0) return t.skip("there is no openssl to make a certificate with");
    const mail = await hold(ANNA), url = site.settings.delivery.url;
    const server = await startSecure(readFileSync(join(site.dir, "tls.key")), readFileSync(join(site.dir, "tls.crt")), outside);
    try {
        site.configure({ delivery: { url: `smtp://${outside}:${server.port}` } });
        const { code, stderr } = await release(mail.uid);
        assert.equal(code, 0, stderr);
    } finally {
        site.configure({ delivery: { url } });
        server.stop();
    }
    assert.ok(server.heard.includes(`TLS RCPT TO:<${ANNA}>`), server.heard.join("\n"));
    assert.deepEqual(server.heard.filter((l) => l.startsWith("plain")).map((l) => l.split(" ")[1]), ["EHLO", "STARTTLS"]);
    assert.equal((await trace(mail.uid)).deliveries[0].attempts[0].tls, "TLS");
});

test("what could not leave stays asked for, and goes later", { skip }, async () => {
    const mail = await hold(ANNA), url = site.settings.delivery.url;
    try {
        site.configure({ delivery: { url: `smtp://127.0.0.1:${await freePort()}` } });
        assert.notEqual((await release(mail.uid)).code, 0);
    } finally {
        site.configure({ delivery: { url } });
    }
    assert.equal((await trace(mail.uid)).deliveries[0].release.state, "requested");
    assert.match(await site.must("quarantine", "release", "--unfinished"), new RegExp(`^${mail.uid}: released, 250`, "m"));
    await arrives(mail);
});

test("a body is opened for a reason alone, and the audit log has it", { skip }, async () => {
    const mail = await hold(ANNA);
    const refused = await site.postern(["quarantine", "show", mail.uid, "--body"]);
    assert.equal(refused.code, 77, refused.stderr);
    assert.equal(refused.stdout, "");
    assert.equal(await site.must("quarantine", "show", mail.uid, "--body", "--reason", "asked by Anna on the phone"), mail.text);
    const audit = await site.must("audit", "list");
    assert.match(audit, /body\.open/);
    assert.equal((await site.postern(["audit", "verify"])).code, 0);
});

test("lists are filtered by mailbox, domain, recipient and time", { skip }, async () => {
    const mail = await hold("other@ours.example");
    const list = async (...args) => JSON.parse(await site.must("quarantine", "list", "--json", ...args)).held;
    assert.equal((await list("--limit", "1"))[0].uid, mail.uid);
    assert.ok((await list("--mailbox", ANNA, "--limit", "100")).every((h) => h.recipient === ANNA));
    assert.deepEqual((await list("--rcpt", "OTHER@")).map((h) => h.uid), [mail.uid]);
    assert.ok((await list("--domain", "ours.example", "--since", "1h")).some((h) => h.uid === mail.uid));
    assert.deepEqual(await list("--since", "2100-01-01"), []);
    assert.match(await site.must("quarantine", "list", "--rcpt", "other@"), new RegExp(`^${mail.uid}  .*other@ours\\.example`, "m"));
});

test("verify tells of a message that is gone, and delete takes both", { skip }, async () => {
    const kept = await hold(ANNA), lost = await hold(ANNA), store = join(site.dir, "quarantine");
    const file = (uid) => readdirSync(store, { recursive: true }).map(String).find((f) => f.endsWith(uid));

    assert.match(await site.must("quarantine", "verify", "--open"), /: 0 faults/);
    rmSync(join(store, file(lost.uid)));
    const found = await site.postern(["quarantine", "verify", "--json"]);
    assert.notEqual(found.code, 0);
    assert.deepEqual(JSON.parse(found.stdout).faults.map((f) => [f.uid, f.fault]), [[lost.uid, "no message"]]);
    await site.must("quarantine", "delete", kept.uid, "--yes");
    assert.equal(file(kept.uid), undefined);
    assert.equal((await trace(kept.uid)).custody.place, "gone");
    assert.notEqual((await release(kept.uid)).code, 0);
    assert.match(await site.must("quarantine", "purge", "--yes"), /0 of them/);
});

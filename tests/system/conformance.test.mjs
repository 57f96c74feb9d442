// Every numbered case of the conformance table against the real postern-rulesd over real sockets. 1 to 34 are spamd's
// protocol, 35 to 64 Rspamd's. "Waits" are cut short by head_timeout_s and its kin, which are 3 here.
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { deflateSync } from "node:zlib";

import { http, makeSite, parseHttp, rawTcp, run, startRulesd, target, waitFor } from "./lib/index.mjs";

const numbers = [];
const table = [];
function conform(number, title, check) {
    numbers.push(number);
    table.push([`conformance ${number}: ${title}`, check]);
}

let site;      // where everybody on loopback is an MTA
let guarded;   // where nobody is, but for those with the password
let learning;  // with a trainer configured

const settings = { head_timeout_s: 3, body_timeout_s: 3, idle_timeout_s: 3, max_message: "256K" };

async function startSite(config) {
    const made = await startRulesd({ config });

    await made.must("domain", "add", "local.test");
    await made.must("rule", "add", "--scope", "domain:local.test", "--name", "No wares", "block", "--subject", "wares");
    return made;
}

before(async () => {
    site = await startSite({ rulesd: { ...settings, mta_from: "127.0.0.0/8" } });
    guarded = await startSite({ rulesd: { ...settings, password: "secret" } });
    learning = await startSite({ rulesd: { ...settings, mta_from: "127.0.0.0/8" }, trainer: { backend: "spamd://127.0.0.1:9" } });
});
after(async () => { for (const s of [site, guarded, learning]) if (s) assert.equal(await s.stop(), 0); });

const HAM = "From: a@ext.test\r\nTo: anna@local.test\r\nSubject: hello\r\nMessage-ID: <m1@ext.test>\r\n\r\nhi\r\n";
const SPAM = HAM.replace("hello", "wares");
const OK = "SPAMD/1.1 0 EX_OK\r\n";
const HAM_LINE = "Spam: False ; 0.0 / 6.0\r\n";
const SPAM_LINE = "Spam: True ; 100.0 / 6.0\r\n";

// A request on the spamd port; the length is right unless said otherwise, the user is one of ours.
function spamd(command, { body = "", version = "1.5", length = Buffer.byteLength(body), user = "anna@local.test", more = "" } = {}) {
    const lines = [`${command} SPAMC/${version}`];

    if (user !== null) lines.push(`User: ${user}`);
    if (length !== null) lines.push(`Content-length: ${length}`);
    return `${lines.join("\r\n")}\r\n${more}\r\n${body}`;
}

const ask = async (bytes, options = {}) => (await rawTcp(options.to ?? site.spamd, bytes, { halfClose: false, ...options })).toString("latin1");
const askHttp = async (bytes, options = {}) => parseHttp(await rawTcp(options.to ?? site.http, bytes, { halfClose: false, ...options }));
const bad = (detail = "") => new RegExp(`^SPAMD/1\\.0 76 Bad header line: .*${detail}.*\\r\\n$`);
const timeout = /^SPAMD\/1\.0 79 Timeout: .*\r\n$/;

// What has come until they close, after `ms` at the latest, and whether they have closed by then.
function watch(to, bytes, ms) {
    return new Promise((done, failed) => {
        const socket = connect({ ...target(to), allowHalfOpen: true }, () => socket.write(bytes));
        const got = [];
        let closed = false;

        socket.on("data", (data) => got.push(data));
        const end = () => { clearTimeout(timer); socket.destroy(); done({ bytes: Buffer.concat(got), closed }); };
        const timer = setTimeout(end, ms);

        socket.on("end", () => { closed = true; end(); });
        socket.on("error", failed);
    });
}

// ---- the spamd port ----

conform(1, "CHECK with its length is answered and closed while the client stays open", async () => {
    assert.equal(await ask(spamd("CHECK", { body: HAM })), `${OK}${HAM_LINE}\r\n`);
    assert.equal(await ask(spamd("CHECK", { body: SPAM })), `${OK}${SPAM_LINE}\r\n`);
    assert.equal(await ask(spamd("CHECK", { body: SPAM }), { to: site.spamdSock }), `${OK}${SPAM_LINE}\r\n`);
});

conform(2, "without a length the end of the client's side ends the message, and without that the deadline comes", async () => {
    assert.equal(await ask(spamd("CHECK", { body: SPAM, length: null }), { halfClose: true }), `${OK}${SPAM_LINE}\r\n`);
    assert.match(await ask(spamd("CHECK", { body: SPAM, length: null })), timeout);
});

conform(3, "a length within a line counts exactly, and the rest is read over", async () => {
    const reply = await ask(spamd("PROCESS", { body: HAM, length: HAM.length - 3 }));

    assert.ok(reply.endsWith("\r\n\r\nh"), reply);
});

conform(4, "lines behind the length are read over", async () => {
    assert.equal(await ask(spamd("CHECK", { body: `${HAM}more\r\nlines\r\n`, length: HAM.length })), `${OK}${HAM_LINE}\r\n`);
});

conform(5, "a length too large is told at the end, or at the deadline", async () => {
    const request = spamd("CHECK", { body: HAM, length: HAM.length + 10 });

    assert.match(await ask(request, { halfClose: true }),
        bad(`Content-Length mismatch: Expected ${HAM.length + 10} bytes, got ${HAM.length} bytes`));
    assert.match(await ask(request), timeout);
});

conform(6, "a length that is no number is refused", async () => {
    for (const length of ["-5", "+5", "abc"])
        assert.match(await ask(spamd("CHECK", { body: HAM, length })), bad("Content-Length contains non-numeric bytes"));
    assert.equal(await ask(spamd("CHECK", { body: HAM, length: `${HAM.length} ` })), `${OK}${HAM_LINE}\r\n`);
});

conform(7, "a huge or empty length is refused at once", async () => {
    for (const length of ["99999999999999999999", ""]) {
        const { bytes, closed } = await watch(site.spamd, spamd("CHECK", { length }), 2000);

        assert.match(bytes.toString(), bad());
        assert.ok(closed);
    }
});

conform(8, "the empty message is scanned at once", async () => {
    const { bytes, closed } = await watch(site.spamd, spamd("CHECK", { length: 0 }), 2000);

    assert.equal(bytes.toString(), `${OK}${HAM_LINE}\r\n`);
    assert.ok(closed);
});

conform(9, "Content-Length counts in any case", async () => {
    assert.equal(await ask(spamd("CHECK", { body: HAM, length: null, more: `CONTENT-Length: ${HAM.length}\r\n` })), `${OK}${HAM_LINE}\r\n`);
});

conform(10, "two different lengths are refused", async () => {
    assert.match(await ask(spamd("CHECK", { body: HAM, more: "Content-length: 3\r\n" })), bad());
});

conform(11, "a head with LF alone is accepted", async () => {
    const [head] = spamd("CHECK", { body: HAM }).split("\r\n\r\n");

    assert.equal(await ask(`${head.replaceAll("\r", "")}\n\n${HAM}`), `${OK}${HAM_LINE}\r\n`);
});

conform(12, "commands are exact", async () => {
    assert.match(await ask(spamd("check", { body: HAM })), bad());
    assert.match(await ask(spamd("XXCHECK", { body: HAM })), bad());
});

conform(13, "what is no request is told so, repeated escaped and cut; HTTP is answered as HTTP", async () => {
    assert.match(await ask("FOO SPAMC/1.5\r\n"), bad("FOO SPAMC/1\\.5"));
    assert.match(await ask("CHECK\r\n"), bad("CHECK"));
    assert.match(await ask("\r\n"), bad());
    assert.match(await ask("F\x1b[2JO SPAMC/1.5\r\n"), bad("F\\\\x1b"));
    assert.ok((await ask(`${"x".repeat(4000)} SPAMC/1.5\r\n`)).length < 300);
    assert.equal((await askHttp("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", { to: site.spamd })).status, 404);
});

conform(14, "a version that is no number is refused, one to come is as 1.5", async () => {
    assert.match(await ask(spamd("CHECK", { version: "abc", body: HAM })), bad());
    assert.equal(await ask(spamd("CHECK", { version: "9.9", body: HAM })), `${OK}${HAM_LINE}\r\n`);
});

conform(15, "1.2 has a length for PROCESS alone, and SYMBOLS ends in CRLF", async () => {
    const processed = await ask(spamd("PROCESS", { version: "1.2", body: SPAM }));
    const report = await ask(spamd("REPORT", { version: "1.2", body: SPAM }));

    assert.match(processed, /^SPAMD\/1\.1 0 EX_OK\r\nContent-length: (\d+)\r\n\r\nX-Spam-Checker-Version: Postern/);
    assert.equal(processed.length - processed.indexOf("\r\n\r\n") - 4, Number(/length: (\d+)/.exec(processed)[1]));
    assert.ok(report.startsWith(`${OK}${SPAM_LINE}\r\n`), report);
    assert.ok(!/[^\r]\n/.test(report) && report.length < 8192);
    assert.equal(await ask(spamd("SYMBOLS", { version: "1.2", body: SPAM })), `${OK}${SPAM_LINE}\r\nPOSTERN_BLOCK\r\n`);
});

conform(16, "REPORT_IFSPAM has a report for spam alone", async () => {
    assert.equal(await ask(spamd("REPORT_IFSPAM", { body: HAM })), `${OK}Content-length: 0\r\n${HAM_LINE}\r\n`);
    const reply = await ask(spamd("REPORT_IFSPAM", { body: SPAM }));
    const [head, report] = reply.split("\r\n\r\n");
    assert.equal(`${head}\r\n`, `${OK}Content-length: ${report.length}\r\n${SPAM_LINE}`);
    assert.ok(report.length > 0);
});

conform(17, "HEADERS keeps CRLF and ends in the blank line; old X-Spam fields are gone", async () => {
    const body = `X-Spam-Flag: YES\r\nx-spam-STATUS: No,\r\n\tscore=-9\r\n${HAM}`;
    const reply = await ask(spamd("HEADERS", { body }));
    const fields = reply.slice(reply.indexOf("\r\n\r\n") + 4);

    assert.ok(fields.endsWith("Message-ID: <m1@ext.test>\r\n\r\n"), reply);
    assert.ok(!/[^\r]\n/.test(fields));
    assert.ok(!/X-Spam-Flag|score=-9/i.test(fields));
    assert.equal(fields.match(/X-Spam-Status/gi).length, 1);
    assert.match(fields, /^X-Spam-Status: No, score=0\.0 required=6\.0 tests=none autolearn=no version=/m);
});

conform(18, "PING is answered; 1.5 wants its blank line", async () => {
    assert.equal(await ask("PING SPAMC/1.2\r\n"), "SPAMD/1.5 0 PONG\r\n");
    assert.equal(await ask("PING SPAMC/1.5\r\n\r\n"), "SPAMD/1.5 0 PONG\r\n");
    assert.match(await ask("PING SPAMC/1.5\r\n", { halfClose: true }), bad());
    assert.match(await ask("PING SPAMC/1.5\r\n"), timeout);
});

conform(19, "SKIP closes without a byte", async () => {
    assert.equal(await ask("SKIP SPAMC/1.5\r\n\r\n"), "");
});

conform(20, "a field without colon and a folded field are refused", async () => {
    assert.match(await ask(spamd("CHECK", { body: HAM, more: "Nonsense\r\n" })), bad("header not in 'Name: value' format"));
    assert.match(await ask(spamd("CHECK", { body: HAM, more: " folded: x\r\n" })), bad("header not in 'Name: value' format"));
});

conform(21, "255 fields pass, 256 do not", async () => {
    assert.equal(await ask(spamd("CHECK", { body: HAM, more: "X: y\r\n".repeat(253) })), `${OK}${HAM_LINE}\r\n`);
    assert.match(await ask(spamd("CHECK", { body: HAM, more: "X: y\r\n".repeat(254) })), bad("too many headers"));
});

conform(22, "a line of 1 MB is refused, and the reply arrives", async () => {
    assert.match(await ask(spamd("CHECK", { body: HAM, more: `X: ${"y".repeat(1e6)}\r\n` })), bad());
    assert.match(await ask(`${"C".repeat(1e6)} SPAMC/1.5\r\n\r\n`), bad());
});

conform(23, "User is opaque text without control bytes", async () => {
    for (const user of ["a\0b", "a\tb"])
        assert.match(await ask(spamd("CHECK", { body: HAM, user })), bad("User header contains control chars"));
    for (const user of ["Jürgen", "\"x\"", "../../etc/passwd", ""])
        assert.equal(await ask(spamd("CHECK", { body: SPAM, user })), `${OK}${HAM_LINE}\r\n`);
});

conform(24, "NUL is refused in the first line and accepted in the message", async () => {
    assert.match(await ask("CHECK SPAMC/1.5\0\r\n\r\n"), bad());
    assert.equal(await ask(spamd("CHECK", { body: `${SPAM}a\0b\r\n` })), `${OK}${SPAM_LINE}\r\n`);
});

const zlib = (body, { length = body.length, compress = "zlib" } = {}) => Buffer.concat([
    Buffer.from(spamd("CHECK", { length, more: `Compress: ${compress}\r\n` })), body]);

conform(25, "zlib is undone, with and without the client's end", async () => {
    for (const halfClose of [true, false])
        assert.equal(await ask(zlib(deflateSync(SPAM)), { halfClose }), `${OK}${SPAM_LINE}\r\n`);
});

conform(26, "damaged zlib is unavailable, other compression refused, a bomb stays bounded", async () => {
    const body = deflateSync(SPAM), unavailable = /^SPAMD\/1\.0 69 Service Unavailable: .*\r\n$/;

    assert.match(await ask(zlib(body, { length: body.length - 5 })), unavailable);
    assert.match(await ask(zlib(Buffer.from("garbage"))), unavailable);
    assert.match(await ask(zlib(body, { length: null })), unavailable);
    assert.match(await ask(zlib(deflateSync(Buffer.alloc(50e6)))), unavailable);
    assert.match(await ask(zlib(body, { compress: "gzip" })), bad());
});

const tell = (more, to, body = SPAM) => ask(spamd("TELL", { body, more }), { to });

conform(27, "TELL is refused in the protocol's words until a trainer is there, and contradictions always", async () => {
    assert.equal(await tell("Message-class: spam\r\nSet: local\r\n"),
        "SPAMD/1.0 69 Service Unavailable: TELL commands are not enabled, set the --allow-tell switch.\r\n");
    for (const s of [site, learning])
        assert.match(await tell("Message-class: spam\r\nSet: local\r\nRemove: local\r\n", s.spamd), bad());
    const spam = "Message-class: spam\r\nSet: local\r\n";
    assert.equal(await tell(spam, learning.spamd), "SPAMD/1.1 0 EX_OK\r\nDidSet: local\r\n\r\n\r\n");
    assert.equal(await tell(spam, learning.spamd), "SPAMD/1.1 0 EX_OK\r\n\r\n\r\n");
});

conform(28, "TELL of another class, or of none, is refused", async () => {
    for (const more of ["Message-class: zork\r\nSet: local\r\n", "Set: local\r\n"])
        assert.match(await tell(more, learning.spamd), bad("Message-class"));
});

conform(29, "TELL reads \"local, remote\" with a blank", async () => {
    assert.match(await tell("Message-class: spam\r\nSet: local, remote\r\nRemove: remote\r\n", learning.spamd), bad("same place"));
    // What was reported to others is nothing: only what was done is said. (Another message than case 27's, which runs beside.)
    assert.equal(await tell("Message-class: ham\r\nSet: local, remote\r\n", learning.spamd, HAM), "SPAMD/1.1 0 EX_OK\r\nDidSet: local\r\n\r\n\r\n");
});

conform(30, "who connects and leaves hears nothing; who idles or dawdles hears of the deadline", async () => {
    assert.equal(await ask("", { halfClose: true }), "");
    const began = performance.now();
    assert.match(await ask(""), timeout);
    assert.match(await ask(spamd("CHECK", { body: HAM }), { split: 1, gapMs: 400 }), timeout);
    assert.ok(performance.now() - began < 20_000);
});

conform(31, "an end within the head is refused, a message that stops comes too late", async () => {
    assert.match(await ask("CHECK SPAMC/1.5\r\nUser: x\r\n", { halfClose: true }), bad("EOF during headers"));
    assert.match(await ask(spamd("CHECK", { body: HAM, length: 1000 })), timeout);
});

conform(32, "of two requests in a row the first alone is answered", async () => {
    assert.equal(await ask("PING SPAMC/1.2\r\nPING SPAMC/1.2\r\n"), "SPAMD/1.5 0 PONG\r\n");
    assert.equal(await ask(`${spamd("CHECK", { body: HAM })}PING SPAMC/1.2\r\n`), `${OK}${HAM_LINE}\r\n`);
});

conform(33, "a last line without line end is answered at once", async () => {
    const { bytes } = await watch(site.spamd, spamd("CHECK", { body: SPAM.trimEnd() }), 2000);

    assert.equal(bytes.toString(), `${OK}${SPAM_LINE}\r\n`);
});

conform(34, "clients that reset during the reply harm nobody", async () => {
    for (let i = 0; i < 50; i++) {
        await new Promise((done, failed) => {
            const socket = connect(target(site.spamd), () => {
                socket.write(spamd("PROCESS", { body: HAM + "x".repeat(200_000) }), () => { socket.resetAndDestroy(); done(); });
            });
            socket.on("error", failed);
        });
    }
    assert.equal(await ask(spamd("CHECK", { body: SPAM })), `${OK}${SPAM_LINE}\r\n`);
    assert.equal(site.exit(), null);
});

// ---- the HTTP port ----

const RCPT = { Rcpt: "anna@local.test" };
const head = (...lines) => `${lines.join("\r\n")}\r\n\r\n`;
const POST = "POST /checkv2 HTTP/1.1";
const rejects = (reply) => {
    assert.deepEqual([reply.status, reply.headers["content-type"]], [200, "application/json"]);
    assert.equal(JSON.parse(reply.text).action, "reject");
};
const refuses = (reply, status) => {
    assert.equal(reply.status, status);
    assert.equal(reply.headers.connection, "close");
    assert.equal(typeof JSON.parse(reply.text).error, "string");
    assert.ok(!("action" in JSON.parse(reply.text)));
};

conform(35, "POST /checkv2 with its length is answered in JSON and closed when asked to", async () => {
    rejects(await http(site.http, { headers: RCPT, body: SPAM }));
    rejects(await http(site.httpSock, { headers: RCPT, body: SPAM }));
    assert.equal(JSON.parse((await http(site.http, { headers: RCPT, body: HAM })).text).action, "no action");
});

conform(36, "chunks are put together; chunks with a length, and bad sizes, are refused", async () => {
    const chunked = [POST, "Rcpt: anna@local.test", "Transfer-Encoding: chunked", "Connection: close"];
    const body = `${SPAM.length.toString(16)};x=y\r\n${SPAM}\r\n0\r\n\r\n`;

    rejects(await askHttp(head(...chunked) + body));
    rejects(await askHttp(head(...chunked) + body, { split: 7 }));
    refuses(await askHttp(head(...chunked, `Content-Length: ${SPAM.length}`) + body), 400);
    for (const size of ["xyz", "-1", "0x10", "ffffffffffffffffffff", ""])
        refuses(await askHttp(`${head(...chunked)}${size}\r\n${SPAM}\r\n0\r\n\r\n`), 400);
});

conform(37, "GET with a body, PUT and HTTP/1.0 are served; HTTP/1.1 stays open unless asked to close", async () => {
    const length = `Content-Length: ${SPAM.length}`;

    rejects(await http(site.http, { method: "GET", headers: RCPT, body: SPAM }));
    rejects(await http(site.http, { method: "PUT", headers: RCPT, body: SPAM }));
    const cases = [
        [[POST], false], [[POST, "Connection: keep-alive"], false], [[POST, "Connection: close"], true],
        [["POST /checkv2 HTTP/1.0"], true], [["POST /checkv2 HTTP/1.0", "Connection: keep-alive"], false],
    ];
    for (const [lines, closes] of cases) {
        const { bytes, closed } = await watch(site.http, head(...lines, "Rcpt: anna@local.test", length) + SPAM, 2000);
        const reply = parseHttp(bytes);

        rejects(reply);
        assert.deepEqual([closed, reply.headers.connection], [closes, closes ? "close" : "keep-alive"], lines.join());
    }
});

conform(38, "Expect: 100-continue gets no interim reply", async () => {
    const request = head(POST, "Rcpt: anna@local.test", "Expect: 100-continue", `Content-Length: ${SPAM.length}`, "Connection: close");
    const { bytes } = await watch(site.http, request, 300);

    assert.equal(bytes.length, 0);
    rejects(await askHttp(request + SPAM));
});

conform(39, "shared memory is read where that is switched on; else it is refused as files are, and never scanned as empty", async () => {
    for (const name of ["Shm", "File", "Path"])
        assert.equal((await http(site.http, { method: "GET", headers: { ...RCPT, [name]: "/etc/hostname" } })).status, 400, name);
    assert.equal((await http(site.http, { method: "GET", path: "/checkv2?file=/etc/hostname" })).status, 400);

    // A listener with shm=on reads it for an MTA on this machine: the range that the request names, and nothing else.
    const own = await makeSite();
    const socket = `unix:${join(own.dir, "shm.sock")}`, object = `postern-test-${process.pid}`;
    const ask = (shm, more = {}) => http(socket, { method: "GET", headers: { ...RCPT, Shm: shm, ...more } });

    own.configure({ rulesd: { listen_http: [`${socket}?shm=on`] } });
    writeFileSync(`/dev/shm/${object}`, `before${SPAM}behind`);
    const rulesd = await startRulesd({ site: own });
    try {
        await own.must("domain", "add", "local.test");
        await own.must("rule", "add", "--scope", "domain:local.test", "block", "--subject", "wares");
        await waitFor("the rule to decide", async () => JSON.parse((await ask(`/${object}`, { "Shm-Offset": "6", "Shm-Length": String(SPAM.length) })).text).action === "reject");
        for (const [shm, more] of [["/no-such-object", {}], [`/${object}`, { "Shm-Offset": "1000000" }], [`/${object}`, { "Shm-Length": "1000000" }],
            [`/${object}`, { "Shm-Offset": "-1" }], ["/../../etc/hostname", {}], ["/etc/hostname", {}], ["", {}]])
            assert.equal((await ask(shm, more)).status, 400, `${shm} ${JSON.stringify(more)}`);
    } finally {
        rmSync(`/dev/shm/${object}`);
        await rulesd.stop();
        own.remove();
    }
});

conform(40, "a length that is no number is refused, and one above the limit", async () => {
    for (const length of ["-5", "+5", "abc", "1180591620717411303424"])
        refuses(await askHttp(head(POST, `Content-Length: ${length}`)), 400);
    refuses(await askHttp(head(POST, "Content-Length: 262145")), 413);
});

conform(41, "POST needs a length", async () => {
    refuses(await askHttp(head(POST, "Content-Length:")), 400);
    refuses(await askHttp(head(POST)), 411);
});

conform(42, "what follows the length is not the message", async () => {
    rejects(await askHttp(`${head(POST, "Rcpt: anna@local.test", `Content-Length: ${SPAM.length}`, "Connection: close")}${SPAM}more`));
});

conform(43, "a length too large is told at the end, or at the deadline", async () => {
    const request = head(POST, `Content-Length: ${SPAM.length + 10}`) + SPAM;

    refuses(await askHttp(request, { halfClose: true }), 400);
    refuses(await askHttp(request), 408);
});

conform(44, "two equal lengths pass, two different ones do not, two Host fields do", async () => {
    const length = `Content-Length: ${SPAM.length}`;

    rejects(await askHttp(head(POST, "Rcpt: anna@local.test", length, length, "Connection: close") + SPAM));
    refuses(await askHttp(head(POST, length, "Content-Length: 3") + SPAM), 400);
    rejects(await askHttp(head(POST, "Host: a", "Host: b", "Rcpt: anna@local.test", length, "Connection: close") + SPAM));
});

conform(45, "who leaves before the head is complete hears nothing", async () => {
    assert.equal(await ask(`${POST}\r\nHost: x\r\n`, { to: site.http, halfClose: true }), "");
    assert.equal(await ask("", { to: site.http, halfClose: true }), "");
});

conform(46, "a line without colon, a folded field and NUL in a value are refused", async () => {
    for (const line of ["Nonsense", "A: b\r\n folded", "A: b\0c"]) refuses(await askHttp(head("GET /ping HTTP/1.1", line)), 400);
});

conform(47, "names are clean: no blank before the colon, no empty one, no NUL; nor has the target one", async () => {
    for (const line of ["Foo : x", ": x", "F\0o: x"]) refuses(await askHttp(head("GET /ping HTTP/1.1", line)), 400);
    refuses(await askHttp(head("GET /pi\0ng HTTP/1.1")), 400);
});

conform(48, "a head of 70 KB passes, a larger one or a long target does not, and the reply arrives", async () => {
    const with_ = (n) => head("GET /ping HTTP/1.1", `X: ${"y".repeat(n)}`, "Connection: close");

    assert.equal((await askHttp(with_(70e3), { to: guarded.http })).status, 200);
    refuses(await askHttp(with_(90e3), { to: guarded.http }), 431);
    refuses(await askHttp(with_(1e6), { to: guarded.http }), 431);
    refuses(await askHttp(with_(2e6)), 431);
    refuses(await askHttp(head(`GET /${"y".repeat(1e6)} HTTP/1.1`)), 414);
});

conform(49, "5000 fields are too many, 10,000 recipients are not", async () => {
    refuses(await askHttp(`GET /ping HTTP/1.1\r\n${"X: y\r\n".repeat(5000)}\r\n`), 431);
    const many = Array.from({ length: 10_000 }, (_, i) => `Rcpt: u${i}@local.test\r\n`).join("");
    rejects(await askHttp(`${POST}\r\nConnection: close\r\nContent-Length: ${SPAM.length}\r\n${many}\r\n${SPAM}`));
    refuses(await askHttp(`${POST}\r\nContent-Length: ${SPAM.length}\r\n${many}Rcpt: x@local.test\r\n\r\n${SPAM}`), 431);
});

conform(50, "LF alone and empty lines in front pass; HTTP/9.9 and no version do not", async () => {
    assert.equal((await askHttp("GET /ping HTTP/1.1\nConnection: close\n\n")).text, "pong\r\n");
    assert.equal((await askHttp(`\r\n\r\n${head("GET /ping HTTP/1.1", "Connection: close")}`)).text, "pong\r\n");
    refuses(await askHttp(head("GET /ping HTTP/9.9")), 505);
    refuses(await askHttp(head("GET /ping")), 400);
});

conform(51, "unknown methods are 405, what is not HTTP/1 is 400", async () => {
    refuses(await askHttp(head("FOO /checkv2 HTTP/1.1")), 405);
    for (const line of ["post /checkv2 HTTP/1.1", "PRI * HTTP/2.0", "GET /checkv2 HTTX/1.1"]) refuses(await askHttp(head(line)), 400);
});

conform(52, "the path counts in any case, with an authority, and with arguments for fields", async () => {
    rejects(await http(site.http, { path: "/CheckV2", headers: RCPT, body: SPAM }));
    rejects(await http(site.http, { path: "http://anything:80/checkv2", headers: RCPT, body: SPAM }));
    rejects(await http(site.http, { path: "/checkv2?rcpt=anna%40local.test&from=a%40ext.test&ip=192.0.2.1", body: SPAM }));
});

conform(53, "other paths are unknown commands", async () => {
    for (const path of ["//checkv2", "/checkv2/", "/foo", "/checkv3"]) {
        const reply = await http(site.http, { path, headers: RCPT, body: SPAM });

        assert.deepEqual([reply.status, reply.text], [404, '{"error":"invalid command"}'], path);
    }
});

conform(54, "/ping says pong to GET and POST, and has no body for HEAD", async () => {
    for (const method of ["GET", "POST"]) {
        const reply = await http(site.http, { method, path: "/ping" });

        assert.deepEqual([reply.status, reply.text, reply.headers["content-type"]], [200, "pong\r\n", "text/plain"]);
    }
    const bytes = await ask(head("HEAD /ping HTTP/1.1", "Connection: close"), { to: site.http });
    assert.match(bytes, /^HTTP\/1\.1 200 OK\r\n[^]*Content-Length: 6\r\n[^]*\r\n\r\n$/);
});

conform(55, "pipelined requests are both answered, in order", async () => {
    const both = `${head(POST, "Rcpt: anna@local.test", `Content-Length: ${SPAM.length}`)}${SPAM}${head("GET /ping HTTP/1.1", "Connection: close")}`;
    const bytes = await rawTcp(site.http, both, { halfClose: false });
    const first = parseHttp(bytes);

    rejects(first);
    assert.equal(parseHttp(bytes.subarray(first.size)).text, "pong\r\n");
});

conform(56, "zstd is undone and answered plainly; what is none is refused", async () => {
    const { output } = await run("zstd", ["-c"], { input: SPAM });

    for (const name of ["Compression", "Content-Encoding"]) {
        const reply = await http(site.http, { headers: { ...RCPT, [name]: "zstd" }, body: output });

        rejects(reply);
        assert.ok(!("compression" in reply.headers) && !("content-encoding" in reply.headers));
    }
    rejects(await http(site.http, { headers: { ...RCPT, Compression: "zstd", "Content-Encoding": "zstd" }, body: output }));
    assert.equal((await http(site.http, { headers: { ...RCPT, Compression: "zstd" }, body: SPAM })).status, 400);
});

conform(57, "gzip is not taken", async () => {
    assert.equal((await http(site.http, { headers: { ...RCPT, "Content-Encoding": "gzip" }, body: SPAM })).status, 415);
});

conform(58, "a bad IP or From is passed over", async () => {
    rejects(await http(site.http, { headers: { ...RCPT, IP: "999.1.2.3", From: "<<not an address" }, body: SPAM }));
});

conform(59, "who idles, stalls or dawdles is told of the deadline", async () => {
    const began = performance.now();

    refuses(await askHttp(""), 408);
    refuses(await askHttp("GET /ping HTTP/1.1\r\n"), 408);
    refuses(await askHttp(head("GET /ping HTTP/1.1", "Connection: close"), { split: 1, gapMs: 400 }), 408);
    assert.ok(performance.now() - began < 20_000);
});

const rspamc = (body, { length = `Content-length: ${body.length}\r\n` } = {}) =>
    `CHECK RSPAMC/1.3\r\n${length}Queue-Id: 1xUsPX-0002gD-05\r\nFrom: <a@ext.test>\r\nRecipient-Number: 1\r\n` +
    `Rcpt: <anna@local.test>\r\nHelo: h\r\nIP: 192.0.2.55\r\n\r\n${body}`;

conform(60, "RSPAMC is answered in its own form, with the true word", async () => {
    for (const to of [site.http, site.spamd]) {
        assert.match(await ask(rspamc(SPAM), { to }),
            /^RSPAMD\/1\.3 0 EX_OK\r\nMetric: default; True; 100\.00 \/ 6\.00 \/ 15\.00\r\nAction: reject\r\nSymbol: POSTERN_BLOCK\(100\.00\)\r\n/);
        assert.match(await ask(rspamc(HAM), { to }), /^RSPAMD\/1\.3 0 EX_OK\r\nMetric: default; False; 0\.00 \/ 6\.00 \/ 15\.00\r\nAction: no action\r\n/);
    }
});

conform(61, "RSPAMC without a length is refused in its own form", async () => {
    for (const to of [site.http, site.spamd])
        assert.equal(await ask(rspamc(SPAM, { length: "" }), { to }), "RSPAMD/1.3 76 EX_PROTOCOL\r\n");
});

conform(62, "SPAMC on the HTTP port is as on its own", async () => {
    for (const command of ["CHECK", "SYMBOLS", "REPORT", "PROCESS", "HEADERS"]) {
        const request = spamd(command, { body: SPAM });

        assert.equal(await ask(request, { to: site.http }), await ask(request), command);
    }
    assert.equal(await ask("PING SPAMC/1.5\r\n\r\n", { to: site.http }), "SPAMD/1.5 0 PONG\r\n");
});

conform(63, "learning wants the password, a message, and a trainer", async () => {
    for (const path of ["/learnspam", "/learnham"]) {
        assert.equal((await http(guarded.http, { path, body: SPAM })).status, 401);
        assert.equal((await http(guarded.http, { path, body: SPAM, headers: { Password: "wrong" } })).status, 401);
        assert.equal((await http(guarded.http, { path, headers: { Password: "secret" } })).status, 400);
        assert.equal((await http(guarded.http, { path, body: SPAM, headers: { Password: "secret" } })).status, 404);
        const body = `${SPAM}${path}\r\n`;
        assert.deepEqual([(await http(learning.http, { path, body })).status, (await http(learning.http, { path, body })).status], [200, 208]);
    }
});

conform(64, "Key is passed over, encrypted requests are refused", async () => {
    rejects(await http(site.http, { headers: { ...RCPT, Key: "k=v" }, body: SPAM }));
    assert.equal((await http(site.http, { path: "/post", headers: { Key: "k=v" }, body: "x" })).status, 400);
});

// ---- all of it ----

test("conformance: exactly the cases 1 to 64 are here", () => {
    assert.deepEqual(numbers, Array.from({ length: 64 }, (_, i) => i + 1));
});

describe("conformance", { concurrency: 8 }, () => {
    for (const [title, check] of table) test(title, check);
});

test("conformance: rulesd has outlived it all, and idle connections do not pile up", async () => {
    assert.deepEqual([site.exit(), guarded.exit(), learning.exit()], [null, null, null]);
    await waitFor("connections to be closed", async () =>
        /^postern_rulesd_connections_open [0-3]$/m.test((await http(site.http, { method: "GET", path: "/metrics" })).text));
});

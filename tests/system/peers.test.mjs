// Each peer really runs from its unpacked tree, next to whatever this machine has.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";

import {
    cannot, freePort, http, rspamc, smtpSend, spamc, startExim, startPostfix, startRspamdProxy, startRspamdScanner,
    startSmtpSink, startSpamd, waitFor,
} from "./lib/index.mjs";

const message = "From: a@x.example\r\nTo: b@y.example\r\nSubject: hello\r\nMessage-ID: <1@x.example>\r\nDate: Sat, 21 Nov 2026 21:24:28 +0000\r\n\r\nHello there.\r\n";
const gtube = message.replace("Hello there.", "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X");
const mail = { from: "a@x.example", rcpts: ["b@y.example", "c@y.example"], message };

test("Exim takes mail and delivers it to the sink", { skip: cannot("exim4-daemon-heavy") }, async (t) => {
    const sink = await startSmtpSink();
    t.after(() => sink.stop());
    const exim = await startExim({ sink: sink.port });
    t.after(() => exim.stop());
    const reply = await smtpSend(exim.port, mail);

    assert.match(reply.data, /^250 /, exim.log());
    await waitFor("the delivery", () => sink.messages.length > 0);
    assert.deepEqual(sink.messages[0].rcpts, mail.rcpts);
});

test("Postfix takes mail, asks a milter, and delivers to the sink", { skip: cannot("postfix", "rspamd") }, async (t) => {
    const seen = [];
    const scanner = createServer((request, response) => {
        seen.push(request.headers);
        request.resume();
        request.on("end", () => {
            response.setHeader("Content-Type", "application/json");
            response.end(JSON.stringify({ action: "no action", score: 0, milter: { del_rcpt: ["c@y.example"], add_headers: { "X-A": "1" } } }));
        });
    });
    const port = await freePort();
    await new Promise((done) => scanner.listen(port, "127.0.0.1", done));
    t.after(() => { scanner.close(); scanner.closeAllConnections(); });
    const sink = await startSmtpSink();
    t.after(() => sink.stop());
    const proxy = await startRspamdProxy({ upstream: port });
    t.after(() => proxy.stop());
    const postfix = await startPostfix({ sink: sink.port, main: { smtpd_milters: `inet:127.0.0.1:${proxy.port}` } });
    t.after(() => postfix.stop());
    const reply = await smtpSend(postfix.port, mail);

    assert.match(reply.data, /^250 /, postfix.log());
    await waitFor("the delivery", () => sink.messages.length > 0);
    assert.deepEqual(sink.messages[0].rcpts, ["b@y.example"]);
    assert.match(sink.messages[0].data, /^X-A: 1\r$/m);
    assert.match(seen[0]["queue-id"], /^\w{10,}$/);
    assert.match(postfix.maillog(), /status=sent/);
});

test("Rspamd scans, and rspamc prints what it says", { skip: cannot("rspamd") }, async (t) => {
    const rspamd = await startRspamdScanner();
    t.after(() => rspamd.stop());
    const reply = JSON.parse((await http(rspamd.port, { body: gtube })).text);
    assert.equal(reply.action, "reject");
    assert.match((await rspamc(rspamd.port, ["symbols", "--rcpt", "b@y.example"], gtube)).stdout, /Action: reject[^]*GTUBE/);
});

test("spamd scans, and spamc prints what it says", { skip: cannot("spamd", "spamassassin") }, async (t) => {
    const spamd = await startSpamd();
    t.after(() => spamd.stop());
    const said = await spamc(["-d", "127.0.0.1", "-p", String(spamd.port), "-c"], gtube);
    assert.equal(said.code, 1);
    assert.match(said.stdout, /^1\d{3}\.\d\/5\.0\n$/);
});

// What a sender, a client or a writer of rules may come up with to hurt us: each is answered, in bounded time and memory, in
// the words of its protocol; and others do not notice.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { deflateSync } from "node:zlib";

import { http, parseHttp, rawTcp, startRulesd, waitFor } from "./lib/index.mjs";
import { numbers } from "./lib/household.mjs";

const LONG_MS = 30_000; // nothing may take that long, on whatever machine
const sanitized = /san-/.test(process.env.OUT ?? "");
const resident = (pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]) / 1024;

// ours.example has a rule that asks for each thing that a message can hide, and one that any message of bad.example meets.
const rules = [
    { name: "Nobody from there", conditions: [{ kind: "sender", any: ["bad.example"] }] },
    { name: "Evil files", conditions: [{ kind: "attachment", any: [{ extension: "exe" }] }] },
    { name: "Evil words", conditions: [{ kind: "body", any: ["evil words"] }, { kind: "header", name: "X-Last", any: ["evil"] }] },
    { name: "Evil shapes", conditions: [{ kind: "body", match: "regex", any: ["evil-[0-9]{4}"] }] },
    { name: "Evil field", conditions: [{ kind: "header", name: "X-Last", any: ["evil"] }] },
    { name: "No evil field", conditions: [{ kind: "header", name: "X-Odd", any: ["fine"], not: true }, { kind: "subject", any: ["odd"] }] },
].map((r) => ({ scope: "domain:ours.example", action: "block", ...r }));

let site;
before(async () => {
    site = await startRulesd({ config: { rulesd: { mta_from: "127.0.0.0/8" } } });
    for (const domain of ["ours.example", "slow.example", "many.example"]) await site.must("domain", "add", domain);
    await load(rules);
});
after(async () => assert.equal(await site.stop(), 0));

const load = (list) => site.must("rule", "import", "-", { input: list.map((r) => JSON.stringify(r)).join("\n") });
const metrics = async (pattern) => numbers((await http(site.http, { method: "GET", path: "/metrics" })).text, pattern);

// ---- what every answer must be ----

const STATUS = /^(200|400|401|404|405|408|411|413|414|415|429|431|503|505)$/;
const FIELDS = ["allow", "connection", "content-length", "content-type", "server"];

function wellFormedHttp(bytes, what = "") {
    const reply = parseHttp(bytes);
    const shown = `${what}: ${bytes.subarray(0, 300).toString("latin1")}`;

    assert.match(String(reply.status), STATUS, shown);
    for (const name of Object.keys(reply.headers)) assert.ok(FIELDS.includes(name), `field ${name}: ${shown}`);
    assert.equal(Number(reply.headers["content-length"]), reply.body.length, shown);
    if (reply.headers["content-type"] === "application/json") JSON.parse(reply.text);
    return reply;
}

const SPAMD_LINE = /^(SPAMD\/1\.[015] (0 EX_OK|0 PONG|(69|75|76|77|79) [\x20-\x7e]*)|RSPAMD\/1\.3 (0 EX_OK|\d\d EX_[A-Z]+))\r\n/;
const SPAMD_FIELD = /^(Spam: (True|False) ; -?\d+\.\d \/ 6\.0|Content-length: \d+|Metric: default; (True|False); [-\d. /]+|Action: [a-z ]+|Symbol: \w+\([-\d.]+\)|Message: [^\r\n]*|Message-ID: [^\r\n]*)$/;

function wellFormedSpamd(bytes, what = "") {
    const text = bytes.toString("latin1"), shown = `${what}: ${text.slice(0, 300)}`;
    const [head] = text.split("\r\n\r\n");

    assert.match(text, SPAMD_LINE, shown);
    for (const line of head.split("\r\n").slice(1)) if (line !== "") assert.match(line, SPAMD_FIELD, shown);
    const length = /^Content-length: (\d+)$/m.exec(head)?.[1];
    if (length !== undefined) assert.equal(bytes.length - head.length - 4, Number(length), shown);
    return text;
}

const checkHttp = async (message, { rcpt = "ann@ours.example", headers = {}, to = site.http, timeoutMs = LONG_MS } = {}) => {
    const lines = Object.entries({ Rcpt: rcpt, "Content-Length": Buffer.byteLength(message), Connection: "close", ...headers }).map(([k, v]) => `${k}: ${v}\r\n`);
    const bytes = await rawTcp(to, Buffer.concat([Buffer.from(`POST /checkv2 HTTP/1.1\r\n${lines.join("")}\r\n`), Buffer.from(message)]), { halfClose: false, timeoutMs });
    const reply = wellFormedHttp(bytes);
    return { ...reply, json: reply.status === 200 ? JSON.parse(reply.text) : null };
};
const checkSpamd = async (message, verb = "CHECK", rcpt = "ann@ours.example") =>
    wellFormedSpamd(await rawTcp(site.spamd, Buffer.concat([Buffer.from(`${verb} SPAMC/1.5\r\nUser: ${rcpt}\r\nContent-length: ${Buffer.byteLength(message)}\r\n\r\n`), Buffer.from(message)]),
        { halfClose: false, timeoutMs: LONG_MS }));

// ---- messages ----

const head = (from, more = "") => `From: ${from}\r\nSubject: an odd one\r\nMessage-ID: <1@x.example>\r\n${more}`;

function nested(depth, innermost) {
    let open = "", close = "";
    for (let i = 0; i < depth; i++) {
        open += `Content-Type: multipart/mixed; boundary="b${i}"\r\n\r\n--b${i}\r\n`;
        close = `\r\n--b${i}--\r\n${close}`;
    }
    return `${open}${innermost}${close}`;
}

function nestedMessages(depth) {
    let text = "";
    for (let i = 0; i < depth; i++) text += `Content-Type: message/rfc822\r\n\r\nSubject: level ${i}\r\n`;
    return `${text}\r\nevil words`;
}

const fill = (bytes, text) => Buffer.alloc(bytes, text);
const hostile = {
    "MIME nested 1,000 deep": (from) => head(from, nested(1000, "Content-Type: application/x-dosexec; name=\"x.exe\"\r\n\r\nevil words")),
    "messages within messages, 1,000 deep": (from) => head(from, nestedMessages(1000)),
    "100,000 header fields": (from) => `${head(from)}${"X-Many: evil\r\n".repeat(100_000)}X-Last: evil\r\n\r\nhello\r\n`,
    "100,000 fields that we would remove": (from) => `${head(from)}${Array.from({ length: 100_000 }, (_, i) => `X-Spam-${i}: yes\r\n`).join("")}\r\nhello\r\n`,
    "one field of 10 MB": (from) => Buffer.concat([Buffer.from(head(from, "X-Last: ")), fill(10_000_000, "a b\r\n\t"), Buffer.from("\r\n\r\nhello\r\n")]),
    "a million comments within each other": (from) => head(from, `To: ${"(".repeat(1_000_000)}\r\n\r\nhello\r\n`),
    "50 MB of boundaries": (from) => Buffer.concat([Buffer.from(head(from, 'Content-Type: multipart/mixed; boundary="b"\r\n\r\n')), fill(50_000_000, "--b\r\n")]),
    "50 MB of boundaries with a field each": (from) => Buffer.concat([Buffer.from(head(from, 'Content-Type: multipart/mixed; boundary="b"\r\n\r\n')), fill(50_000_000, "--b\r\nContent-Type: text/html\r\n\r\n<p>x\r\n")]),
    "50 MB of what looks nearly like a boundary": (from) => Buffer.concat([Buffer.from(head(from, `Content-Type: multipart/mixed; boundary="${"b".repeat(60)}"\r\n\r\n`)), fill(50_000_000, `--${"b".repeat(59)}\r\n`)]),
    "50 MB without a line end": (from) => Buffer.concat([Buffer.from(head(from, "\r\n")), fill(50_000_000, "x")]),
    "5 MB of HTML that opens and never closes": (from) => Buffer.concat([Buffer.from(head(from, "Content-Type: text/html\r\n\r\n")), fill(5_000_000, "<div style='display:none'><a <b &am")]),
    "5 MB of encoded words": (from) => Buffer.concat([Buffer.from(head(from, "X-Last:")), fill(5_000_000, " =?utf-8?Q?=?=\r\n"), Buffer.from("\r\n\r\nhello\r\n")]),
    "file names in 10,000 pieces": (from) => head(from, `Content-Type: application/octet-stream;${Array.from({ length: 10_000 }, (_, i) => `\r\n name*${i}=x`).join(";")}\r\n\r\nhello\r\n`),
    "nothing but line ends": () => fill(5_000_000, "\r\n"),
    "nothing but NULs": () => fill(1_000_000, 0),
    "nothing but carriage returns": () => fill(1_000_000, "\r"),
    "nothing but colons": () => fill(1_000_000, ":\n"),
    "bytes above 127 alone": () => fill(1_000_000, 0xff),
};

for (const [what, make] of Object.entries(hostile)) {
    test(`${what}: an answer, over both protocols`, async () => {
        const message = Buffer.from(make("x@good.example"));
        const reply = await checkHttp(message, { headers: { Flags: "milter" } });
        const { status } = reply;
        assert.ok(status === 200 || (message.length > 50_000_000 && status === 413), `${status} ${reply.text}`);
        assert.match(await checkSpamd(message), /^SPAMD\/1\.1 0 EX_OK|larger than/);
        assert.match(await checkSpamd(message.subarray(0, 5_000_000), "PROCESS"), /^SPAMD\/1\.1 0 EX_OK/);
        assert.equal((await http(site.http, { method: "GET", path: "/healthz" })).status, 200);
    });
    if (make.length > 0) test(`${what}: a rule about the sender decides all the same`, async () => {
        const message = Buffer.from(make("x@bad.example"));
        assert.equal((await checkHttp(message)).json?.action ?? "reject", "reject");
    });
}

for (const [what, from] of Object.entries({
    "a From of 100 kB of groups": "a:".repeat(50_000),
    "a From of a million comments": `${"(".repeat(1_000_000)} x@bad.example`,
    "a From of 100,000 addresses": Array.from({ length: 100_000 }, (_, i) => `a${i}@x.example`).join(", "),
    "a From of quotes": '"'.repeat(100_001),
    "a From of route brackets": "<".repeat(100_000),
    "a From of backslashes": "\\".repeat(100_001),
})) {
    test(`${what}: an answer, and no verdict that rests on it`, async () => {
        const { json } = await checkHttp(`${head(from, "X-Odd: fine\r\n")}\r\nhello\r\n`);
        assert.equal(json.action, "no action", JSON.stringify(json));
    });
}

test("what a limit hides makes conditions unknown, not false: neither a rule nor its negation applies", async () => {
    const { json } = await checkHttp(`${head("x@good.example")}${"X-Many: y\r\n".repeat(100_000)}X-Odd: fine\r\n\r\nhello\r\n`);
    assert.equal(json.action, "no action", "a field that was not looked at could be there");
    assert.equal((await checkHttp(`${head("x@good.example")}\r\nhello\r\n`)).json.action, "reject", "it is not there");
});

// ---- compression ----

// zstd of `bytes` zeros, in blocks of one repeated byte; windowLog is what the frame asks the reader to keep.
function zstdBomb(bytes, { windowLog = 17, byte = 0x61 } = {}) {
    const blocks = Math.ceil(bytes / 131_072), out = Buffer.alloc(6 + blocks * 4);

    out.set([0x28, 0xb5, 0x2f, 0xfd, 0, (windowLog - 10) << 3]);
    for (let i = 0; i < blocks; i++) {
        const size = Math.min(131_072, bytes - i * 131_072);
        out.writeUIntLE((size << 3) | 2 | (i === blocks - 1 ? 1 : 0), 6 + i * 4, 3);
        out[9 + i * 4] = byte;
    }
    return out;
}

test("a bomb of zstd is refused at the size that a message may have, and so is a window beyond reason", async () => {
    const ask = (body) => checkHttp(body, { headers: { Compression: "zstd" } });
    assert.equal((await ask(zstdBomb(1_000_000))).status, 200);
    assert.equal((await ask(zstdBomb(4_000_000_000))).status, 413);
    assert.equal((await ask(Buffer.concat(Array(200).fill(zstdBomb(1_000_000))))).status, 413, "frames add up");
    for (const windowLog of [24, 27, 31]) assert.equal((await ask(zstdBomb(1000, { windowLog }))).status, 400, `a window of 2^${windowLog}`);
});

test("many messages that grow when decompressed share one ceiling of memory, and who is above it is told to try again", { skip: sanitized && "sanitizers keep memory" }, async () => {
    const own = await startRulesd({ config: { rulesd: { mta_from: "127.0.0.0/8" } } });
    const bombs = [
        [own.http, Buffer.concat([Buffer.from("POST /checkv2 HTTP/1.1\r\nCompression: zstd\r\nConnection: close\r\n"), lengthed(zstdBomb(50_000_000))])],
        [own.spamd, Buffer.concat([Buffer.from("PROCESS SPAMC/1.5\r\nCompress: zlib\r\n"), lengthed(deflateSync(fill(50_000_000, "a")))])],
    ];
    const before = resident(own.pid);
    let most = 0;
    const watch = setInterval(() => { most = Math.max(most, resident(own.pid)); }, 20);
    // They do not read what they asked for, so that all of it is held at once.
    const lazy = await Promise.all(Array.from({ length: 60 }, async (_, i) => {
        const socket = connect(bombs[i % 2][0], "127.0.0.1");
        socket.on("error", () => { /* given up */ });
        await once(socket, "connect");
        socket.pause();
        socket.write(bombs[i % 2][1]);
        return socket;
    }));
    await waitFor("all to be looked at", async () => {
        const n = numbers((await http(own.http, { method: "GET", path: "/metrics" })).text, /^requests_total/);
        return Object.entries(n).filter(([name]) => /"(scan|other)"/.test(name)).reduce((sum, [, v]) => sum + v, 0) >= 60;
    }, { seconds: 60 });
    clearInterval(watch);
    for (const socket of lazy) socket.destroy();
    assert.ok(most - before < 1600, `${Math.round(most - before)} MB for 60 messages of 50 MB that came as 200 kB`);
    await own.stop();
});

test("who sends bombs delays nobody who asks for little", async () => {
    const small = async () => { const started = performance.now(); await checkHttp(`${head("x@bad.example")}\r\nhello\r\n`); return performance.now() - started; };
    const median = async () => { const took = []; for (let i = 0; i < 25; i++) took.push(await small()); return took.sort((a, b) => a - b)[12]; };
    const bomb = Buffer.concat([Buffer.from("CHECK SPAMC/1.5\r\nCompress: zlib\r\n"), lengthed(deflateSync(fill(50_000_000, "a")))]);
    const alone = await median();
    let over = false, sent = 0;
    const flood = Promise.all(Array.from({ length: 6 }, async () => {
        while (!over) { assert.match(wellFormedSpamd(await rawTcp(site.spamd, bomb, { halfClose: false, timeoutMs: LONG_MS })), / 0 EX_OK| 75 /); sent++; }
    }));
    const during = await median();
    over = true;
    await flood;
    assert.ok(sent > 0);
    assert.ok(during < Math.max(40 * alone, 200), `${during} ms, alone ${alone} ms`);
});

const lengthed = (body) => Buffer.concat([Buffer.from(`Content-length: ${body.length}\r\n\r\n`), body]);

// ---- regexes ----

const catastrophic = ["(a+)+$", "(a|aa)+$", "(.*a){20}$", "([a-z]+)*!", "(x+x+)+y", "^(\\w+\\s?)*$", "(a*)*b", "(.+)+#"];
const bait = `${"a".repeat(4000)} ${"x".repeat(4000)} ${"word ".repeat(4000)}`;

test("one domain's catastrophic regexes are unknown, named, and do not slow another domain", async () => {
    await load(catastrophic.flatMap((any, i) => ["subject", "body"].map((kind) => ({
        scope: "domain:slow.example", name: `Catastrophe ${i} ${kind}`, action: "block", conditions: [{ kind, match: "regex", any: [any] }] }))));
    const trap = `From: x@good.example\r\nSubject: ${"a".repeat(900)}\r\n\r\n${bait}\r\n`, plain = `${head("x@bad.example")}\r\nhello\r\n`;
    const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];
    const measure = async (n) => {
        const took = [];
        for (let i = 0; i < n; i++) {
            const started = performance.now();
            assert.equal((await checkHttp(plain)).json.action, "reject");
            took.push(performance.now() - started);
        }
        return took;
    };

    const limits = (await metrics(/^regex_limits_total$/)).regex_limits_total;
    const first = await checkHttp(trap, { rcpt: "joe@slow.example" });
    assert.equal(first.status, 200);
    assert.ok((await metrics(/^regex_limits_total$/)).regex_limits_total > limits, "/metrics counts them");
    const trace = JSON.parse(await site.must("explain", "--json", "--rcpt", "joe@slow.example", "-", { input: trap })).recipients[0];
    assert.ok(trace.matches.some((m) => !m.applied && /unknown \((match limit|time|.*limit)/.test(m.why) && /Catastrophe/.test(m.name)), JSON.stringify(trace));
    const { text } = await http(`unix:${site.httpSock}`, { method: "GET", path: "/metrics" });
    const named = [...text.matchAll(/^postern_rulesd_regex_limit_rule_total\{rule="([0-9a-f]{8})"\} [1-9]/gm)].map((m) => m[1]);
    assert.ok(trace.matches.some((m) => named.includes(m.id.slice(-8))), `/metrics names the rules: ${named}`);

    const alone = median(await measure(50));
    let over = false, scans = 0;
    const slow = Promise.all(Array.from({ length: 8 }, async () => {
        while (!over) { assert.equal((await checkHttp(trap, { rcpt: "joe@slow.example" })).status, 200); scans++; }
    }));
    const during = await measure(100);
    over = true;
    await slow;
    assert.ok(scans > 0);
    // Two workers may be busy with up to 100 ms each; who needs none of them must not stand behind them.
    assert.ok(median(during) < Math.max(20 * alone, 60), `${median(during)} ms, alone ${alone} ms`);
    assert.ok(during.at(-1) < Math.max(200 * alone, 2000), `the slowest ${during.at(-1)} ms, alone ${alone} ms`);
});

test("a scope of 1,000 regexes answers, and finds the one that matches", async () => {
    await load(Array.from({ length: 1000 }, (_, i) => ({
        scope: "domain:many.example", name: `Shape ${i}`, action: "block", conditions: [{ kind: "body", match: "regex", any: [`word${i}-[0-9]+x`] }] })));
    const ask = async (body) => (await checkHttp(`${head("x@good.example")}\r\n${body}\r\n`, { rcpt: "joe@many.example" })).json.action;
    assert.equal(await ask(`here is word987-12x ${bait}`), "reject");
    assert.equal(await ask(`here is word987-x ${bait}`), "no action");
    assert.equal(await ask(Array.from({ length: 1000 }, (_, i) => `word${i}-`).join(" ")), "no action", "each literal is there, none matches");
});

// ---- words of strangers in our mouth ----

const EVIL = ["a\rX-Evil: 1", "a\nX-Evil: 1", "a\u0085X-Evil: 1", "a\u2028X-Evil: 1", "a\x1b[31mX-Evil", "a\u202eX-Evil", "a\0X-Evil", "a\x7fX-Evil", 'a" verdict=allow X-Evil="'];

test("what strangers state stands nowhere raw: neither in replies nor in the log", async () => {
    const inField = (name, evil) => Buffer.from(`POST /checkv2 HTTP/1.1\r\nConnection: close\r\n${name === "Rcpt" ? "" : "Rcpt: ann@ours.example\r\n"}${name}: ${evil}\r\nFlags: milter\r\nContent-Length: 0\r\n\r\n`);
    const inQuery = (name, evil) => Buffer.from(`POST /checkv2?${name}=${encodeURIComponent(evil)} HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
    const inSpamd = (name, evil) => Buffer.from(`CHECK RSPAMC/1.3\r\n${name}: ${evil}\r\nContent-length: 0\r\n\r\n`);

    for (const evil of EVIL) {
        for (const name of ["Rcpt", "From", "User", "Helo", "Hostname", "Queue-Id", "IP", "Deliver-To", "MTA-Name", "Password", "X-Any"]) {
            for (const make of [inField, inQuery]) {
                const reply = wellFormedHttp(await rawTcp(site.http, make(name, evil), { halfClose: false }), `${name}: ${JSON.stringify(evil)}`);
                assert.doesNotMatch(reply.text, /[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]/);
                assert.equal(reply.headers["x-evil"], undefined);
            }
            wellFormedSpamd(await rawTcp(site.spamd, inSpamd(name, evil), { halfClose: false }), `${name}: ${JSON.stringify(evil)}`);
        }
        const message = `From: ${evil}@good.example\r\nSubject: ${evil}\r\nMessage-ID: <${evil}@x>\r\nX-Spam-${evil}: 1\r\n\r\n${evil}\r\n`;
        await checkHttp(message, { headers: { Flags: "milter" } });
        for (const verb of ["CHECK", "SYMBOLS", "REPORT", "REPORT_IFSPAM"]) assert.doesNotMatch(await checkSpamd(message, verb), /X-Evil/);
        wellFormedSpamd(await rawTcp(site.spamd, `CHECK RSPAMC/1.3\r\nContent-length: ${Buffer.byteLength(message)}\r\n\r\n${message}`, { halfClose: false }));
    }
    wellFormedSpamd(await rawTcp(site.spamd, "\x1b[2J\u202eX-Evil SPAMC/1.5\r\n\r\n"), "a first line");
    for (const line of site.log().split("\n").filter((l) => l !== "")) {
        assert.match(line, /^\d{4}-\d\d-\d\dT[\d:.]+Z (info|warning) postern-rulesd: /, "each line of the log is ours");
        assert.doesNotMatch(line, /[\x00-\x1f\x7f\u0080-\u009f\u2028\u2029\u202e]/);
        assert.ok((line.match(/ verdict=/g)?.length ?? 0) <= 1 || /\\" verdict=allow/.test(line), line);
    }
});

// ---- requests within requests ----

const GET = "GET /ping HTTP/1.1\r\nHost: inner\r\n\r\n";
const smuggling = {
    "chunked and a length": `Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n${GET}`,
    "a length and chunked": `Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${GET}`,
    "two lengths": `Content-Length: 0\r\nContent-Length: ${GET.length}\r\n\r\n${GET}`,
    "a list of lengths": `Content-Length: 0, ${GET.length}\r\n\r\n${GET}`,
    "a length with a sign": `Content-Length: +0\r\n\r\n${GET}`,
    "a length in hexadecimal": `Content-Length: 0x0\r\n\r\n${GET}`,
    "a length beyond 64 bits": `Content-Length: 18446744073709551616\r\n\r\n${GET}`,
    "a folded length": `Content-Length:\r\n 0\r\n\r\n${GET}`,
    "a folded coding": `Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n${GET}`,
    "a blank before the colon": `Content-Length : 0\r\n\r\n${GET}`,
    "a tab before the colon": `Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n${GET}`,
    "chunked twice": `Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${GET}`,
    "chunked and identity": `Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${GET}`,
    "another coding": `Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${GET}`,
    "a NUL in the coding": `Transfer-Encoding: chunked\0\r\n\r\n0\r\n\r\n${GET}`,
    "a bare CR in a field": `X: y\rContent-Length: 0\r\n\r\n${GET}`,
    "a chunk with a sign": `Transfer-Encoding: chunked\r\n\r\n+0\r\n\r\n${GET}`,
    "a chunk in 0x": `Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n${GET}`,
    "a chunk beyond 64 bits": `Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n\r\n${GET}`,
    "a chunk that ends in LF": `Transfer-Encoding: chunked\r\n\r\n0\n\n${GET}`,
    "a chunk longer than its size": `Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n${GET}`,
    "no length at all": `\r\n${GET}`,
    "a coding in HTTP/1.0": { version: "1.0", text: `Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n${GET}` },
};

for (const [what, it] of Object.entries(smuggling)) {
    const { version = "1.1", text = it } = typeof it === "object" ? it : {};
    test(`smuggling by ${what}: refused, and what stands behind is not read`, async () => {
        for (const split of [undefined, 1]) {
            const bytes = await rawTcp(site.http, `POST /checkv2 HTTP/${version}\r\nHost: x\r\n${text}`, { split, halfClose: false });
            const reply = wellFormedHttp(bytes, what);
            assert.match(String(reply.status), /^4\d\d$/, bytes.toString());
            assert.equal(reply.headers.connection, "close");
            assert.equal(reply.size, bytes.length, `more than one answer: ${bytes}`);
            assert.doesNotMatch(bytes.toString(), /pong/);
        }
    });
}

test("garbage behind a good request is refused by itself, and the good one answered", async () => {
    for (const garbage of ["\0\0\0\0\r\n\r\n", "GARBAGE\r\n\r\n", "GET /ping HTTP/9.9\r\n\r\n", "CHECK SPAMC/1.5\r\n\r\n", " POST / HTTP/1.1\r\n\r\n", "\xff".repeat(9000)]) {
        const bytes = await rawTcp(site.http, Buffer.from(GET + garbage, "latin1"), { halfClose: false });
        const first = wellFormedHttp(bytes), second = wellFormedHttp(bytes.subarray(first.size));
        assert.equal(first.text, "pong\r\n");
        assert.match(String(second.status), /^(400|414|505)$/);
        assert.equal(first.size + second.size, bytes.length);
    }
});

test("1,000 requests at once on one connection are answered in order, each by itself", async () => {
    const texts = Array.from({ length: 1000 }, (_, i) => {
        const message = `From: x@${i % 2 ? "bad" : "good"}.example\r\n\r\nx\r\n`;
        return `POST /checkv2 HTTP/1.1\r\nRcpt: ann@ours.example\r\nContent-Length: ${message.length}\r\n${i === 999 ? "Connection: close\r\n" : ""}\r\n${message}`;
    });
    let rest = await rawTcp(site.http, texts.join(""), { halfClose: false, timeoutMs: LONG_MS });
    for (let i = 0; i < 1000; i++) {
        const reply = wellFormedHttp(rest, String(i));
        assert.equal(JSON.parse(reply.text).action, i % 2 ? "reject" : "no action", String(i));
        rest = rest.subarray(reply.size);
    }
    assert.equal(rest.length, 0);
});

// ---- memory ----

test("thousands of mixed requests leave the process no larger", { skip: sanitized && "sanitizers keep memory" }, async () => {
    const big = head("x@good.example", nested(60, "Content-Type: text/html\r\n\r\n<p>evil words")), small = `${head("x@bad.example")}\r\nhello\r\n`;
    const kinds = [
        () => checkHttp(small),
        () => checkHttp(big, { headers: { Flags: "milter" } }),
        () => checkHttp(fill(600_000, "line\r\n")),
        () => checkHttp(zstdBomb(2_000_000), { headers: { Compression: "zstd" } }),
        () => checkHttp(`${head("x@good.example")}${"X-Many: y\r\n".repeat(5_000)}\r\nhello\r\n`),
        () => checkSpamd(big, "PROCESS"),
        () => checkSpamd(fill(300_000, "\0")),
        async () => wellFormedHttp(await rawTcp(site.http, "POST /checkv2 HTTP/1.1\r\nContent-Length: x\r\n\r\n", { halfClose: false })),
        async () => wellFormedSpamd(await rawTcp(site.spamd, "NONSENSE\r\n")),
        async () => { const s = connect(site.http, "127.0.0.1"); s.on("error", () => { /* ours */ }); await once(s, "connect"); s.write("POST /checkv2 HTTP/1.1\r\nContent-Length: 900000\r\n\r\nhalf", () => s.resetAndDestroy()); },
    ];
    const many = async (n) => { for (let i = 0; i < n; i += 8) await Promise.all(Array.from({ length: 8 }, (_, k) => kinds[(i + k) % kinds.length]())); };

    await many(800);
    const before = resident(site.pid);
    await many(3200);
    const grown = resident(site.pid) - before;
    assert.ok(grown < 40, `${grown} MB more`);
    const { connections_open: open } = await metrics(/^connections_open$/);
    assert.ok(open <= 3, `${open} connections are open`);
});

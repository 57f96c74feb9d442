// Random rules and random messages: whoever is asked says the same. What HTTP, RSPAMC and `postern explain` make of a message is
// one verdict; and the order in which rules were made changes none. Seeded: a failure names its seed, and POSTERN_SEED=… repeats it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { http, makeSite, rawTcp, startRulesd } from "./lib/index.mjs";

const SEED = Number(process.env.POSTERN_SEED ?? 20261122);
const ROUNDS = 600;         // messages asked about over both protocols
const EXPLAINED_EVERY = 12; // of them by a program that starts each time
const AUTHSERV = "mx.ours.example";

// ---- chance ----

let state = SEED >>> 0;
function chance() { // mulberry32
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}
const below = (n) => Math.floor(chance() * n);
const pick = (list) => list[below(list.length)];
const maybe = (p, value) => (chance() < p ? value : undefined);
const some = (list, most = 3) => Array.from({ length: 1 + below(most) }, () => pick(list));
function shuffled(list) {
    const copy = [...list];
    for (let i = copy.length - 1; i > 0; i--) { const k = below(i + 1); [copy[i], copy[k]] = [copy[k], copy[i]]; }
    return copy;
}
const without = (object) => Object.fromEntries(Object.entries(object).filter(([, v]) => v !== undefined));

// ---- a small world, so that rules and messages meet often ----

const WORDS = ["invoice", "lottery", "grün", "Straße", "meeting", "offer", "re:", "urgent"];
const PEOPLE = ["ben@friends.example", "eva@mail.friends.example", "bounce-17@bulk.example", "inv-4711@partner.example", "x@xn--mnchen-3ya.example"];
const SENDERS = [...PEOPLE, "friends.example", "bulk.example", "*@friends.example", "*@*.friends.example", "bounce-*@bulk.example", "*@[bulk|partner].example",
    "/^inv-\\d+@/", "<>", "münchen.example", "b?n@friends.example"];
const IPS = ["192.0.2.7", "192.0.2.77", "198.51.100.4", "2001:db8::7"];
const HOSTS = ["mx.partner.example", "mail.shop.dk", "bulk.example"];
const FILES = ["invoice-7.pdf", "x.exe", "döc.txt"];
const PARTS = ["ann", "joe", "ann+news", "chief", "nobody", "postmaster"];

const TEXT = {
    exact: WORDS.map((w) => `the ${w}`), contains: WORDS, starts_with: ["re:", "the ", "lott"], ends_with: [...WORDS, "!"],
    regex: ["inv\\w+ice", "^re:", "(?<!no )offer", "gr(ü|ue)n", "lot+ery\\b", "(a|aa)+$"],
};
const text = (kind, more = {}) => {
    const match = pick(Object.keys(TEXT).filter((m) => kind !== "body" || m !== "exact"));
    return { kind, ...more, match, any: some(TEXT[match]), case_sensitive: maybe(0.2, true) };
};
const CONDITIONS = [
    () => ({ kind: "sender", any: some(SENDERS), source: pick(["from", "envelope", "any"]) }),
    (domain) => ({ kind: "recipient", any: some([`ann@${domain}`, `joe@${domain}`, domain, `*@${domain}`, "/news/", `a*@${domain}`]) }),
    () => text("subject"),
    () => text("body"),
    () => text("header", { name: pick(["X-Note", "List-Id", "X-None"]) }),
    () => ({ kind: "ip", any: some(["192.0.2.7", "192.0.2.0/24", "192.0.2.70-192.0.2.99", "2001:db8::/32", "0.0.0.0/0"]) }),
    () => ({ kind: "host", any: some(["mx.partner.example", "*.partner.example", "*.[de|dk]", "bulk.example"]) }),
    () => pick([{ kind: "size", min: 400 }, { kind: "size", max: 600 }, { kind: "size", min: 300, max: 700 }]),
    () => ({ kind: "attachment", any: some([{ extension: "pdf" }, { extension: "[exe|com]" }, { filename: "invoice-*" }, { mime_type: "application/*" }, { present: true }, { filename: "d*", extension: "txt" }]) }),
    () => ({ kind: "signed_by", any: some(["friends.example", "lists.example"]) }),
];
const condition = (domain) => without({ ...pick(CONDITIONS)(domain), not: maybe(0.25, true) });

// An allow of nearly everything is refused: each of them says which messages are wanted.
const wanted = () => pick([
    { kind: "sender", any: some(SENDERS.filter((s) => s !== "<>" && !s.startsWith("/"))) }, { kind: "subject", match: "contains", any: some(WORDS) },
    { kind: "body", match: "contains", any: some(WORDS) }, { kind: "header", name: "List-Id", match: "contains", any: ["lottery"] },
]);

function rule(domain, i) {
    const action = pick(["allow", "block"]);
    const conditions = Array.from({ length: 1 + (chance() < 0.5) + (chance() < 0.2) }, () => condition(domain));
    if (action === "allow") conditions.splice(below(2), 1, wanted());
    return without({
        scope: chance() < 0.6 ? `domain:${domain}` : `mailbox:${pick(["ann", "joe"])}@${domain}`,
        name: `Rule ${i}`, action, conditions, priority: pick([undefined, 50, 100, 100, 150]),
        require_proof: maybe(0.6, false), flow: pick([undefined, undefined, "to", "from_or_to"]), test_only: maybe(0.1, true), enabled: maybe(0.1, false),
    });
}

function message() {
    const from = some(PEOPLE, 2), phrase = () => `${pick(["", "the ", "no ", "Re: "])}${pick(WORDS)}${pick(["", "!", " today", " offer"])}`;
    const subject = pick([phrase(), phrase().toUpperCase(), `=?utf-8?B?${Buffer.from(phrase()).toString("base64")}?=`, "=?x-unknown-9?B?c2Vj?=", ""]);
    const lines = [
        maybe(0.4, `Authentication-Results: ${AUTHSERV}; ${pick([`dmarc=pass header.from=friends.example`, "dkim=pass header.d=friends.example", "dkim=pass header.d=lists.example", "dmarc=fail header.from=friends.example"])}`),
        maybe(0.95, `From: ${pick([from.join(", "), `"${phrase()}" <${from[0]}>`, `group: ${from.join(", ")};`, `((${from[0]}`])}`),
        `Subject: ${subject}`, maybe(0.5, `X-Note: ${phrase()}`), maybe(0.3, `X-Note: ${phrase()}`), maybe(0.3, "List-Id: <lottery.lists.example>"),
    ];
    if (chance() < 0.4) {
        const file = pick(FILES);
        lines.push('Content-Type: multipart/mixed; boundary="b"', "", "--b", `Content-Type: ${pick(["text/plain; charset=utf-8", "text/html; charset=utf-8"])}`, "",
            pick([phrase(), `<p>${phrase()}</p>`]), "--b", `Content-Type: ${pick(["application/pdf", "text/plain"])}; name="=?utf-8?B?${Buffer.from(file).toString("base64")}?="`,
            "Content-Disposition: attachment", "", phrase(), maybe(0.8, "--b--") ?? "");
    } else {
        lines.push("Content-Type: text/plain; charset=utf-8", "", ...Array.from({ length: below(20) }, phrase));
    }
    return `${lines.filter((l) => l !== undefined).join("\r\n")}\r\n`;
}

const envelope = () => without({ from: pick([...PEOPLE, "<>"]), ip: maybe(0.8, pick(IPS)), host: maybe(0.5, pick(HOSTS)), helo: maybe(0.4, pick(HOSTS)) });

// ---- whom to ask ----

const verdictOf = (symbols) => (symbols.includes("POSTERN_ALLOW") ? "allow" : symbols.includes("POSTERN_BLOCK") ? "block" : "none");
const bracket = (a) => (a === "<>" ? a : `<${a}>`);
const FIELDS = [["ip", "IP"], ["host", "Hostname"], ["helo", "Helo"]];
const stated = (env) => FIELDS.filter(([key]) => env[key]).map(([key, name]) => [name, env[key]]);

async function overHttp(site, env, rcpt, mail) {
    const reply = await http(site.httpSock, { headers: [["From", bracket(env.from)], ["Rcpt", bracket(rcpt)], ...stated(env)], body: mail });
    assert.equal(reply.status, 200, reply.text);
    const { symbols, action } = JSON.parse(reply.text);
    return { verdict: verdictOf(Object.keys(symbols)), action };
}

async function overRspamc(site, env, rcpt, mail) {
    const lines = [["Content-length", Buffer.byteLength(mail)], ["From", bracket(env.from)], ["Rcpt", bracket(rcpt)], ...stated(env)].map(([n, v]) => `${n}: ${v}\r\n`).join("");
    const reply = (await rawTcp(site.spamdSock, `SYMBOLS RSPAMC/1.3\r\n${lines}\r\n${mail}`, { halfClose: false })).toString();
    assert.match(reply, /^RSPAMD\/1\.3 0 EX_OK\r\n/);
    return { verdict: verdictOf([...reply.matchAll(/^Symbol: (\w+)/gm)].map((m) => m[1])), action: /^Action: (.*)\r$/m.exec(reply)[1] };
}

async function explained(site, env, rcpts, mail) {
    const args = FIELDS.filter(([key]) => env[key]).flatMap(([key]) => [`--${key}`, env[key]]);
    return JSON.parse(await site.must("explain", "--json", "--from", env.from, ...rcpts.flatMap((r) => ["--rcpt", r]), ...args, "-", { input: mail })).recipients;
}

// ---- the test ----

// The second of a pair has the rules of the first, imported one after the other in another order.
const pairs = [["one.example", "eins.example"], ["two.example", "zwei.example"], ["tri.example", "drei.example"]];
let site;

async function importInTwoOrders(first, second) {
    const rules = Array.from({ length: 40 }, (_, i) => rule(first, i));
    const there = rules.map((r) => JSON.parse(JSON.stringify(r).replaceAll(first, second)));

    await site.must("rule", "import", "-", { input: rules.map((r) => JSON.stringify(r)).join("\n") });
    const order = shuffled(there);
    await site.must("rule", "import", "-", { input: order.slice(0, 17).map((r) => JSON.stringify(r)).join("\n") });
    await site.must("rule", "import", "-", { input: order.slice(17).map((r) => JSON.stringify(r)).join("\n") });
}

before(async () => {
    site = await makeSite({ rules: { authserv_id: AUTHSERV } });
    await site.must("init");
    for (const domain of pairs.flat()) {
        await site.must("domain", "add", domain);
        for (const name of ["ann", "joe"]) await site.must("mailbox", "add", `${name}@${domain}`);
        await site.must("address", "add", `chief@${domain}`, "--to", `ann@${domain}`);
    }
    for (const [first, second] of pairs) await importInTwoOrders(first, second);
    await startRulesd({ site, init: false });
});
after(async () => { await site?.stop?.(); site?.remove(); });

test(`${ROUNDS} random messages: both protocols and explain agree, and the order of rules changes nothing (seed ${SEED})`, async () => {
    const seen = { allow: 0, block: 0, none: 0 };

    for (let round = 0; round < ROUNDS; round++) {
        const mail = message(), env = envelope(), part = pick(PARTS), [first, second] = pick(pairs);
        const say = (what, said) => `round ${round} of seed ${SEED}: ${what}: ${JSON.stringify({ env, part, first, mail, said })}`;
        const said = await overHttp(site, env, `${part}@${first}`, mail);
        seen[said.verdict]++;
        assert.deepEqual(await overRspamc(site, env, `${part}@${first}`, mail), said, say("RSPAMC says something else", said));
        assert.deepEqual(await overHttp(site, env, `${part}@${second}`, mail), said, say("the other order decides otherwise", said));
        if (round % EXPLAINED_EVERY !== 0) continue;
        for (const r of await explained(site, env, [`${part}@${first}`, `${part}@${second}`], mail))
            assert.equal(r.verdict, said.verdict, say(`explain for ${r.rcpt} says ${JSON.stringify(r)}`, said));
    }
    for (const [verdict, n] of Object.entries(seen)) assert.ok(n >= ROUNDS / 20, `the messages meet rules: ${n} of ${verdict}`);
});

test("several recipients at once: each has the verdict that they have alone", async () => {
    for (let round = 0; round < 40; round++) {
        const mail = message(), env = envelope();
        const rcpts = shuffled(pairs.flat().flatMap((domain) => PARTS.map((part) => `${part}@${domain}`))).slice(0, 2 + below(5));
        const alone = [];
        for (const rcpt of rcpts) alone.push((await overHttp(site, env, rcpt, mail)).verdict);
        const reply = await http(site.httpSock, { body: mail,
            headers: [["From", bracket(env.from)], ...rcpts.map((r) => ["Rcpt", bracket(r)]), ...stated(env), ["Flags", "milter,body_block"]] });
        const { action, milter } = JSON.parse(reply.text), blocked = rcpts.filter((_, i) => alone[i] === "block");
        const what = `round ${round} of seed ${SEED}: ${JSON.stringify({ env, rcpts, alone, mail, said: reply.text })}`;
        assert.equal(action === "reject", blocked.length === rcpts.length, what);
        assert.deepEqual((milter?.del_rcpt ?? []).map((r) => r.replace(/[<>]/g, "")).sort(), blocked.length === rcpts.length ? [] : blocked.sort(), what);
        if (round % 4 === 0) assert.deepEqual((await explained(site, env, rcpts, mail)).map((r) => r.verdict), alone, what);
    }
});

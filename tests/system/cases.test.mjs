// Every case of cases.mjs through HTTP, through RSPAMC, through SPAMC where it can state the envelope, and through `postern explain`.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { AUTHSERV, cases } from "./cases.mjs";
import { http, makeSite, rawTcp, startRulesd } from "./lib/index.mjs";

const domainOf = (i) => `c${String(i).padStart(3, "0")}.example`;
const fill = (value, domain) => JSON.parse(JSON.stringify(value).replaceAll("DOMAIN", domain));
const address = (name, domain) => (name.includes("@") || name === "<>" ? name : `${name}@${domain}`);

function messageOf({ from = "ben@friends.example", subject = "Lunch?", body = "Are you free on Tuesday?", headers = [], top = [], raw }) {
    if (raw !== undefined) return raw;
    return `${[...top, `From: ${from}`, "To: somebody@else.example", `Subject: ${subject}`, "Date: Fri, 20 Nov 2026 12:15:00 +0000",
        "Message-ID: <lunch-1@friends.example>", ...headers, "", body].join("\r\n")}\r\n`;
}

const verdictOf = (symbols) => (symbols.includes("POSTERN_ALLOW") ? "allow" : symbols.includes("POSTERN_BLOCK") ? "block" : "none");
const bracket = (a) => (a === "<>" ? a : `<${a}>`);

async function overHttp(site, env, rcpts, message, more = []) {
    const headers = [["From", bracket(env.from)], ...rcpts.map((r) => ["Rcpt", bracket(r)]), ...more];
    for (const [key, name] of [["ip", "IP"], ["host", "Hostname"], ["helo", "Helo"], ["user", "User"]]) if (env[key]) headers.push([name, env[key]]);
    const reply = await http(`unix:${site.httpSock}`, { headers, body: message });
    assert.equal(reply.status, 200, reply.text);
    return JSON.parse(reply.text);
}

async function overRspamc(site, env, rcpts, message) {
    const lines = [`CHECK RSPAMC/1.3`, `Content-length: ${Buffer.byteLength(message)}`, `From: ${bracket(env.from)}`, `Recipient-Number: ${rcpts.length}`,
        ...rcpts.map((r) => `Rcpt: ${bracket(r)}`)];
    for (const [key, name] of [["helo", "Helo"], ["host", "Hostname"], ["ip", "IP"], ["user", "User"]]) if (env[key]) lines.push(`${name}: ${env[key]}`);
    const reply = (await rawTcp(`unix:${site.spamdSock}`, `${lines.join("\r\n")}\r\n\r\n${message}`, { halfClose: false })).toString();
    assert.match(reply, /^RSPAMD\/1\.3 0 EX_OK\r\n/);
    return [...reply.matchAll(/^Symbol: (\w+)/gm)].map((m) => m[1]);
}

async function overSpamc(site, env, rcpts, message) {
    const lines = `X-Envelope-From: ${bracket(env.from)}\r\n${rcpts.map((r) => `X-Envelope-To: ${r}\r\n`).join("")}`;
    const whole = lines + message;
    const reply = (await rawTcp(`unix:${join(site.dir, "envelope.sock")}`, `SYMBOLS SPAMC/1.5\r\nContent-length: ${Buffer.byteLength(whole)}\r\n\r\n${whole}`)).toString();
    assert.match(reply, /^SPAMD\/1\.1 0 EX_OK\r\n/);
    return reply.slice(reply.indexOf("\r\n\r\n") + 4).split(",");
}

async function explained(site, env, rcpts, message) {
    const args = ["explain", "--json", "--from", env.from, ...rcpts.flatMap((r) => ["--rcpt", r])];
    for (const key of ["ip", "host", "helo", "user"]) if (env[key]) args.push(`--${key}`, env[key]);
    return JSON.parse(await site.must(...args, "-", { input: message })).recipients;
}

let site;
before(async () => {
    site = await makeSite({ rules: { authserv_id: AUTHSERV } });
    site.configure({ rulesd: { listen_spamd: [...site.settings.rulesd.listen_spamd, `unix:${join(site.dir, "envelope.sock")}?envelope_lines=on`] } });
    await site.must("init");
    await site.must("domain", "import", "-", { input: cases.map((_, i) => domainOf(i)).join("\n") });
    const lines = [];
    for (const [i, c] of cases.entries()) {
        const domain = domainOf(i);
        const named = JSON.stringify([c.rules, c.env]);
        if (c.rules.some((r) => r.scope === "mailbox") || /anna\+|chief|"rcpt"|user/.test(named)) {
            await site.must("mailbox", "add", `anna@${domain}`);
            await site.must("mailbox", "add", `otto@${domain}`);
        }
        if (named.includes("chief")) await site.must("address", "add", `chief@${domain}`, "--to", `anna@${domain}`);
        for (const [k, rule] of c.rules.entries())
            lines.push({ name: `${c.name} ${k}`, ...fill(rule, domain), scope: rule.scope === "mailbox" ? `mailbox:anna@${domain}` : `domain:${domain}` });
    }
    const file = join(site.dir, "rules.jsonl");
    writeFileSync(file, lines.map((l) => JSON.stringify(l)).join("\n"));
    await site.must("rule", "import", file);
    await startRulesd({ site, init: false });
});
after(async () => { await site?.stop?.(); site?.remove(); });

test("there are at least 200 cases, each with a name of its own", () => {
    assert.ok(cases.length >= 200, `${cases.length} cases`);
    assert.equal(new Set(cases.map((c) => c.name)).size, cases.length);
});

for (const [i, c] of cases.entries()) {
    test(c.name, async () => {
        const domain = domainOf(i);
        const env = { from: "ben@friends.example", rcpt: ["anna"], ...fill(c.env, domain) };
        const message = messageOf(fill(c.mail, domain));
        const want = typeof c.want === "string" ? { anna: c.want } : c.want;
        const byAddress = Object.fromEntries(Object.entries(want).map(([name, w]) => [address(name, domain), w]));
        const rcpts = env.rcpt.map((r) => address(r, domain));

        assert.deepEqual(Object.keys(byAddress), rcpts);
        for (const rcpt of rcpts) {
            const json = await overHttp(site, env, [rcpt], message);
            assert.equal(verdictOf(Object.keys(json.symbols)), byAddress[rcpt], `HTTP, for ${rcpt}: ${JSON.stringify(json)}`);
            assert.equal(json.action === "reject", byAddress[rcpt] === "block", `the action for ${rcpt}: ${json.action}`);
            assert.equal(verdictOf(await overRspamc(site, env, [rcpt], message)), byAddress[rcpt], `RSPAMC, for ${rcpt}`);
            if (!env.ip && !env.host && !env.helo && !env.user)
                assert.equal(verdictOf(await overSpamc(site, env, [rcpt], message)), byAddress[rcpt], `SPAMC, for ${rcpt}`);
        }
        for (const r of await explained(site, env, rcpts, message)) assert.equal(r.verdict, byAddress[r.rcpt], `explain, for ${r.rcpt}: ${JSON.stringify(r)}`);
        if (rcpts.length > 1) {
            const json = await overHttp(site, env, rcpts, message, [["Flags", "milter,body_block"]]);
            const blocked = rcpts.filter((r) => byAddress[r] === "block");
            const dropped = (json.milter?.del_rcpt ?? []).map((r) => r.replace(/[<>]/g, "")).sort();
            assert.equal(json.action === "reject", blocked.length === rcpts.length, `together: ${JSON.stringify(json)}`);
            assert.deepEqual(dropped, blocked.length === rcpts.length ? [] : blocked.sort(), "those who block are dropped, the others get it");
        }
    });
}

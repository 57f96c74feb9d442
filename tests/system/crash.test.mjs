// Killed in the middle, and started with much to read: nothing is half done, and it is there again at once.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { once } from "node:events";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { askHttp, askSpamd, http, makeSite, program, startPostgres, startRulesd, waitFor } from "./lib/index.mjs";
import { furnish, mail } from "./lib/household.mjs";

const trusting = { mta_from: "127.0.0.0/8" };
const spam = mail({ from: "x@bad.example" });
const ready = async (site) => (await http(site.http, { method: "GET", path: "/ready" })).status;

// A file of n rules that block s0@spam.example … in one scope.
async function manyRules(dir, n, scope = "domain:ours.example") {
    const file = join(dir, `${scope.replace(/\W/g, "-")}-${n}.jsonl`), out = createWriteStream(file);

    for (let i = 0; i < n; i++)
        out.write(`{"scope":"${scope}","action":"block","conditions":[{"kind":"sender","any":["s${i}@spam.example"]}]}\n`);
    out.end();
    await once(out, "close");
    return file;
}

for (const kind of ["SQLite", "PostgreSQL"]) {
    describe(`killed with -9, on ${kind}`, () => {
        let pg, site, file;
        before(async () => {
            if (kind === "PostgreSQL") pg = await startPostgres();
            site = await startRulesd({ config: { rulesd: trusting, ...(pg && { store: { url: pg.url } }) } });
            await furnish(site);
            await site.must("domain", "set", "ours.example", "--rules-max", "300000");
            file = await manyRules(site.dir, 100_000);
            await waitFor("the rules", async () => (await askHttp(site, "ann@ours.example", spam)).rule === "block");
        });
        after(async () => { await site?.stop(); await pg?.stop(); });

        test("an import that dies in the middle leaves nothing, and the next one is whole", async (t) => {
            const before = await site.must("rule", "export", "--scope", "domain:ours.example");
            const whole = await timed(); // how long one takes, into a domain of its own
            t.diagnostic(`100,000 rules take ${whole.toFixed(0)} ms`);

            for (const part of [0.5, 0.7, 0.9]) {
                const child = spawn(program("postern"), ["-c", site.conf, "rule", "import", file], { stdio: "ignore" });
                const end = once(child, "exit");
                const timer = setTimeout(() => child.kill("SIGKILL"), whole * part);
                const [code, signal] = await end;
                clearTimeout(timer);
                if (signal !== "SIGKILL") { assert.equal(code, 0); t.diagnostic("too late to kill it"); break; }
                await waitFor("its lock to be gone", async () => (await site.postern(["rule", "list", "--scope", "domain:ours.example"])).code === 0);
                const left = await site.must("rule", "export", "--scope", "domain:ours.example");
                if (left.split("\n").length === before.split("\n").length + 100_000) { t.diagnostic("killed when all was done"); break; }
                assert.equal(left, before, "none of them is there");
                assert.equal((await askHttp(site, "ann@ours.example", mail({ from: "s7@spam.example" }))).rule, "none");
            }
            assert.match(await site.must("audit", "verify"), /are as they were written/);
            assert.match(await site.must("rule", "import", file, { seconds: 120 }), /100000 rules imported/);
            for (const from of ["s0@spam.example", "s99999@spam.example"])
                await waitFor(from, async () => (await askHttp(site, "ann@ours.example", mail({ from }))).rule === "block", { seconds: 30 });
            assert.match(await site.must("audit", "verify"), /are as they were written/);
        });

        async function timed() {
            await site.must("domain", "add", "trial.example");
            const trial = await manyRules(site.dir, 100_000, "domain:trial.example");
            const began = performance.now();
            await site.must("rule", "import", trial, { seconds: 120 });
            return performance.now() - began;
        }

        test("a rulesd that dies under load starts again at once, and its store is whole", async (t) => {
            let stop = false, asked = 0;
            const load = Array.from({ length: 8 }, async (_, i) => {
                while (!stop) {
                    await askHttp(site, `r${asked++ % 50}@ours.example`, i % 2 ? spam : mail({ subject: "invoice" })).catch(() => { /* it is dead just now */ });
                }
            });
            await waitFor("some load", () => asked > 300);
            await site.kill();
            const began = performance.now();
            await site.restart();
            await waitFor("a verdict", async () => (await askHttp(site, "ann@ours.example", spam).catch(() => ({}))).rule === "block");
            t.diagnostic(`a verdict ${(performance.now() - began).toFixed(0)} ms after the start`);
            stop = true;
            await Promise.all(load);
            assert.equal((await askSpamd(site, "joe@ours.example", mail({ subject: "lottery" }))).rule, "block");
            assert.match(await site.must("audit", "verify"), /are as they were written/);
            await site.must("rule", "add", "--scope", "domain:ours.example", "block", "--subject", "after the crash");
            await waitFor("the new rule", async () => (await askHttp(site, "ann@ours.example", mail({ subject: "after the crash" }))).rule === "block");
        });
    });
}

describe("with 200,000 rules stored", () => {
    let site;
    before(async () => {
        site = await makeSite({ rulesd: trusting });
        await site.must("init");
        await furnish(site);
        await site.must("domain", "add", "large.example", "--rules-max", "200000");
        await site.must("rule", "import", await manyRules(site.dir, 100_000), { seconds: 120 });
        await site.must("rule", "import", await manyRules(site.dir, 100_000, "domain:large.example"), { seconds: 120 });
    });
    after(async () => { await site?.stop?.(); site?.remove(); });

    test("the first verdicts come, and /ready says when all is compiled", async (t) => {
        const began = performance.now();
        const ms = () => (performance.now() - began).toFixed(0);
        await startRulesd({ site, init: false });
        t.diagnostic(`it listens after ${ms()} ms`);
        await waitFor("a verdict where there are few rules", async () => (await askHttp(site, "who@theirs.example", mail({ subject: "newsletter" }))).rule === "block");
        t.diagnostic(`a small domain has a verdict after ${ms()} ms`);
        await waitFor("the last of 100,000 rules", async () => (await askHttp(site, "ann@ours.example", mail({ from: "s99999@spam.example" }))).rule === "block", { seconds: 60 });
        t.diagnostic(`a large one after ${ms()} ms`);
        await waitFor("/ready", async () => await ready(site) === 200, { seconds: 60 });
        t.diagnostic(`ready after ${ms()} ms`);
        assert.equal((await askSpamd(site, "anybody@large.example", mail({ from: "s5@spam.example" }))).rule, "block");
    });

    test("a change to a scope of 100,000 rules decides soon, and the others stay", async (t) => {
        for (const subject of ["first change", "second change"]) {
            const id = /Rule ([0-9a-f]{8}) added/.exec(await site.must("rule", "add", "--scope", "domain:large.example", "block", "--subject", subject))[1];
            const began = performance.now();
            const rule = async () => (await askHttp(site, "a@large.example", mail({ subject }))).rule;
            await waitFor("the change", async () => await rule() === "block", { everyMs: 2 });
            t.diagnostic(`it decides ${(performance.now() - began).toFixed(0)} ms after the command`);
            await site.must("rule", "delete", id);
            await waitFor("it to be gone", async () => await rule() === "none", { everyMs: 2 });
        }
        assert.equal((await askHttp(site, "a@large.example", mail({ from: "s99999@spam.example" }))).rule, "block");
    });
});

// make bench [T=part]: what a verdict costs, side by side with the peers, in one run. docs/bench.md says how to read it.
//
// Every number is CPU time (user and system) of the server per message, in microseconds, and its ratio to "the floor": an empty
// libmicrohttpd server that reads the body and answers 300 bytes. Absolute numbers are this machine's; the ratios travel.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";

import { cannot, freePort, http, makeSite, must, program, run, startPostgres, startRulesd, waitFor } from "../system/lib/index.mjs";
import { startBenchRspamd, startBenchSpamd } from "./peers.mjs";
import { ask, openLog, openPage, percentile, searches, typed } from "./search.mjs";
import { contentMessage, contentRules, domainRules, message, names, regexRules } from "./material.mjs";

const wanted = process.argv[2] ?? "";
const dir = mkdtempSync(join(tmpdir(), "postern-bench-"));
const file = (name, text) => { const path = join(dir, name); writeFileSync(path, text); return path; };
const scale = Number(process.env.SCALE ?? 1); // 0.1 for a quick look

async function load({ to, protocol = "http", pids, n, message, lists = names(), threads = 4, warmup = 300 }) {
    const args = ["--to", String(to), "--protocol", protocol, "--message", message, "--n", String(Math.max(50, Math.round(n * scale))),
        "--threads", String(threads), "--warmup", String(warmup), ...pids.flatMap((p) => ["--pid", String(p)])];

    for (const [key, values] of Object.entries(lists)) args.push(`--${key}`, file(key, `${values.join("\n")}\n`));
    const { code, stdout, stderr } = await run(program("bench-load"), args, { seconds: 600 });
    if (code !== 0) throw new Error(`load ${args.join(" ")}: ${stderr || stdout}`);
    return JSON.parse(stdout);
}

async function startFloor(how) {
    const child = spawn(program("bench-floor"), [how], { stdio: ["ignore", "pipe", "inherit"] });
    const [line] = await once(child.stdout, "data");
    return { port: Number(String(line)), pids: [child.pid], stop: async () => { child.kill(); await once(child, "exit"); } };
}

// One core for this process, and for all that it starts from now on: what a message costs a busy server, without the price of
// waking an idle core, which on a virtual machine can be the larger half and says nothing of either program.
const runOn = (cores) => run("taskset", ["-a", "-c", "-p", cores, String(process.pid)]);

// The median of several rounds; in each, every server has its turn, so that a noisy minute falls on all.
async function inTurn(servers, rounds) {
    const all = servers.map(() => []);

    for (let i = 0; i < rounds; i++)
        for (const [k, s] of servers.entries()) all[k].push(await load(s));
    return all.map((runs) => runs.sort((a, b) => a.cpu_us - b.cpu_us)[runs.length >> 1]);
}

async function newSite() {
    const site = await makeSite({ rulesd: { mta_from: "127.0.0.0/8", message_log: "off" }, log: { level: "warning" } });
    await site.must("init");
    return site;
}

const print = (title, columns, table) => {
    console.log(`\n${title}\n`);
    const widths = columns.map((c, i) => Math.max(c.length, ...table.map((r) => String(r[i]).length)));
    const line = (cells) => console.log(cells.map((c, i) => (i === 0 ? String(c).padEnd(widths[i]) : String(c).padStart(widths[i]))).join("  "));
    line(columns);
    line(widths.map((w) => "-".repeat(w)));
    table.forEach(line);
};
const us = (v) => v.toFixed(1);
const times = (a, b) => `${(a / b).toFixed(2)}x`;

async function importRules(site, domains, lines) {
    await site.must("domain", "import", file("domains", `${domains.join("\n")}\n`));
    await site.must("rule", "import", file("rules.jsonl", lines.map((l) => JSON.stringify(l)).join("\n")), { seconds: 600 });
}

const parts = {
    async domains() {
        const { domains, lines, maps, prefs } = domainRules(10_000);
        await runOn("0");
        const floors = [await startFloor("epoll"), await startFloor("poll")];
        const site = await newSite();
        await importRules(site, domains, lines);
        const rulesd = await startRulesd({ site, init: false });
        const rspamd = await startBenchRspamd(maps);
        const spamd = await startBenchSpamd(prefs);
        const lists = names(domains);
        const table = [];

        for (const [size, n] of [[2_000, 20_000], [20_000, 10_000], [200_000, 2_000]]) {
            const scans = { n, message: file(`m${size}`, message(size)), lists, threads: 8 };
            const to = (port, protocol) => ({ ...scans, to: port, pids: [rulesd.pid], protocol });
            const floor = (protocol) => floors.map((f) => ({ ...scans, to: f.port, pids: f.pids, protocol }));
            const cheaper = (a, b) => (a.cpu_us <= b.cpu_us ? a : b);
            const add = (who, r, b) => table.push([`${size / 1000} kB ${who}`, us(r.cpu_us), times(r.cpu_us, b.cpu_us), r.p50_us, r.p99_us, r.max_us]);

            await load({ ...to(rulesd.http), n: 1, warmup: 6_000 }); // every recipient once
            const [e, p, ours, spam, ek, pk, keep] = await inTurn([...floor("http"), to(rulesd.http, "http"), to(rulesd.spamd, "spamd"),
                ...floor("keepalive"), to(rulesd.http, "keepalive")], 7);
            const base = cheaper(e, p);

            if (size === 2_000)
                console.log(`the floor: ${us(base.cpu_us)} µs a message of 2 kB with a connection each${base.cpu_us > 25 ? "; over 25 µs: this run is VOID by its own rule" : ""}`);
            add("floor with epoll, connection each", e, base);
            add("floor with poll, connection each", p, base);
            add("rulesd, connection each", ours, base);
            add("rulesd, spamd protocol", spam, base);
            add("floor, keep-alive", cheaper(ek, pk), cheaper(ek, pk));
            add("rulesd, keep-alive", keep, cheaper(ek, pk));
            const peers = await inTurn([{ ...scans, to: rspamd.port, pids: await rspamd.pids(), n: n / 20 },
                { ...scans, to: spamd.port, pids: await spamd.pids(), n: n / 50, protocol: "spamd", threads: 2, warmup: 20 }], 1);
            add("Rspamd 3.4 multimap", peers[0], base);
            add("spamd 4.0 bare", peers[1], base);
        }
        print("10,000 domains with 10 rules each: sender, domain, IP, subject", ["message", "µs CPU", "of the floor", "p50 µs", "p99 µs", "max µs"], table);
        await rulesd.stop();

        // The same load, with a row for every message and recipient: the service as it runs.
        site.configure({ rulesd: { message_log: "on" } });
        const logging = await startRulesd({ site, init: false });
        const rows = [];
        for (const [size, n] of [[2_000, 20_000], [20_000, 10_000]]) {
            const scans = { n, message: file(`m${size}`, message(size)), lists, threads: 8, to: logging.http, pids: [logging.pid] };
            const off = Number(table.find((r) => r[0] === `${size / 1000} kB rulesd, connection each`)[1]);
            await load({ ...scans, n: 1, warmup: 6_000 });
            const [on] = await inTurn([scans], 3);
            rows.push([`${size / 1000} kB`, us(off), us(on.cpu_us), us(on.cpu_us - off)]);
        }
        print("The same with the message log", ["message", "without, µs", "with, µs", "more a delivery, µs"], rows);
        for (const s of [logging, rspamd, spamd, ...floors]) await s.stop();
        await runOn(`0-${cpus().length - 1}`);
        site.remove();
    },

    async content() {
        const { domain, lines, lua } = contentRules();
        const site = await newSite();
        await importRules(site, [domain], lines);
        const rulesd = await startRulesd({ site, init: false });
        const rspamd = await startBenchRspamd({}, lua);
        const table = [];

        for (const [size, n] of [[20_000, 4_000], [200_000, 1_000]]) {
            const mail = file(`c${size}`, contentMessage(size));
            const lists = names([domain]);
            const ours = await load({ to: rulesd.http, pids: [rulesd.pid], n, message: mail, lists });
            const theirs = await load({ to: rspamd.port, pids: await rspamd.pids(), n: n / 10, message: mail, lists });
            table.push([`${size / 1000} kB`, us(ours.cpu_us), us(theirs.cpu_us), times(ours.cpu_us, theirs.cpu_us)]);
        }
        print("Body, attachment and regular expression rules, the same in both", ["message", "rulesd µs", "Rspamd µs", "ratio"], table);
        for (const s of [rulesd, rspamd]) await s.stop();
        site.remove();
    },

    async size() {
        const table = [];
        let first;

        for (const count of [100, 10_000, 1_000_000]) {
            for (const spread of [true, false]) {
                const perDomain = spread ? 10 : count;
                const { domains, lines } = domainRules(Math.max(1, count / perDomain), perDomain);
                const site = await newSite();
                await importRules(site, domains, lines);
                const before = performance.now();
                const rulesd = await startRulesd({ site, init: false });
                const mail = file("m2000", message(2_000));
                const cold = await load({ to: rulesd.http, pids: [rulesd.pid], n: 1, message: mail, lists: names([domains[0]]), threads: 1, warmup: 0 });
                const started = performance.now() - before;
                await waitFor("rulesd to be ready", async () => (await run("curl", ["-s", "-o", "/dev/null", "-w", "%{http_code}", `127.0.0.1:${rulesd.http}/ready`])).stdout === "200", { seconds: 60 });
                const r = await load({ to: rulesd.http, pids: [rulesd.pid], n: 20_000, message: mail, lists: names(domains), warmup: 20_000 });
                first ??= r;
                table.push([`${count} rules ${spread ? "over domains" : "in one scope"}`, us(r.cpu_us), times(r.cpu_us, first.cpu_us), (started).toFixed(0), cold.max_us]);
                await rulesd.stop();
                site.remove();
            }
        }
        print("From 100 to 1,000,000 rules, a connection each", ["rules", "µs CPU", "of 100", "start + first verdict ms", "first verdict µs"], table);
    },

    // One rule is added while every core scans: how soon does it decide, and what does that do to everybody's slowest answer?
    async change() {
        const table = [];

        for (const [what, { domains, lines }] of [["100,000 exact rules", domainRules(2, 100_000)], ["10,000 regular expressions", regexRules(10_000)]]) {
            const site = await newSite();
            await importRules(site, domains, lines);
            await site.must("domain", "set", domains[0], "--rules-max", "200000");
            const rulesd = await startRulesd({ site, init: false });
            const mail = file("m2000", message(2_000));
            const lists = names(domains);
            const scans = { to: rulesd.http, pids: [rulesd.pid], n: 40_000, message: mail, lists };
            await load({ ...scans, n: 1, warmup: 2_000 });
            const quiet = await load(scans);
            const busy = load(scans);
            const delays = [];

            for (let i = 0; i < 10; i++) {
                const sender = `fresh${i}@changes.example`;
                await site.must("rule", "add", "--scope", `domain:${domains[0]}`, "block", "--sender", sender, "--envelope");
                const committed = performance.now();
                await waitFor("the new rule to decide", async () => {
                    const { text } = await http(rulesd.http, { headers: { From: `<${sender}>`, Rcpt: `anna@${domains[0]}` }, body: message(2_000) });
                    return text.includes('"reject"');
                }, { seconds: 5 });
                delays.push(performance.now() - committed);
            }
            const changed = await busy;
            table.push([what, Math.max(...delays).toFixed(0), (quiet.max_us / 1000).toFixed(1), (changed.max_us / 1000).toFixed(1)]);
            await rulesd.stop();
            site.remove();
        }
        print("A rule added to one scope, under full load", ["the scope", "slowest of 10 until it decides, ms", "slowest answer without changes, ms", "with changes, ms"], table);
    },

    // Every token of the search box over a log of a million deliveries, and the same as a person sees it.
    async search() {
        const log = await openLog(Math.round(1_000_000 * scale)), table = [], shown = [], limit = (v, most) => `${v.toFixed(1)}${v > most ? " !" : ""}`;

        for (const [name, make] of searches) {
            const got = [];
            for (const who of log.who) got.push(await ask(log, who, make, 60));
            table.push([name, ...got.flatMap((r) => [r.rows, r.ms.median.toFixed(1), limit(r.ms.p95, 100), r.cpu.p95.toFixed(1)])]);
        }
        print("A page of 50 through the API: rows, median ms, p95 ms, and p95 of the CPU time in ms", ["search", ...log.who.flatMap((w) => [w.name, "median", "p95", "CPU"])], table);
        for (const who of log.who) {
            const page = await openPage(log, who), pressed = [];
            for (let i = 0; i < 20; i++) for (const text of typed()) pressed.push(await page.press(text));
            const of = (key, p) => percentile(pressed.map((r) => r[key]), p);
            shown.push([who.name, of("ms", 0.5).toFixed(0), limit(of("ms", 0.95), 200), of("cpu", 0.95).toFixed(0), of("server", 0.95).toFixed(0)]);
            await page.close();
        }
        print("From the key until the rows are painted, ms", ["who", "median", "p95", "CPU of the page, p95", "of the portal, p95"], shown);
        await log.close();
    },
    // An hour in which every subscription is due, 5 messages each, to a mail server that takes what comes.
    async digest() {
        const n = Math.round(100_000 * scale), table = [];

        for (const [title, url] of [["SQLite", null], ["PostgreSQL", await startPostgres({ settings: { fsync: "on", synchronous_commit: "on" } })]]) {
            const port = await freePort();
            const site = await makeSite({ smtp: { url: `smtp://127.0.0.1:${port}` }, digest: { per_second: 100_000 }, log: { level: "warning" },
                ...(url ? { store: { url: url.url } } : {}) });

            await site.must("init");
            await must(program("bench-digest"), ["fill", url ? url.url : `sqlite:${join(site.dir, "postern.db")}`, String(n), "5"], { seconds: 3600 });
            const { code, stdout, stderr } = await run(program("bench-digest"), ["run", program("postern-digest"), site.conf, String(port), String(n)], { seconds: 7200 });
            if (code !== 0) throw new Error(`digest: ${stdout}${stderr}`);
            const r = JSON.parse(stdout);
            table.push([title, r.letters, (r.letters / r.seconds).toFixed(0), us(r.cpu_us / r.letters), (r.bytes / r.letters / 1000).toFixed(1), (r.first_kb / 1000).toFixed(0), (r.most_kb / 1000).toFixed(0)]);
            await site.remove();
            await url?.stop();
        }
        print("Digests of 5 messages, composed and handed over", ["", "letters", "a second", "µs CPU of the daemon each", "kB", "MB after 5 s", "MB at most"], table);
    },
};

const why = cannot("rspamd", "spamd", "spamassassin");
if (why) throw new Error(`the peers are missing: ${why}; run tests/peers`);
try {
    for (const [name, part] of Object.entries(parts)) if (name.includes(wanted)) await part();
} finally {
    rmSync(dir, { recursive: true });
}

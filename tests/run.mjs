#!/usr/bin/env node
// tests/run.mjs - runs tests, and says at the end what became of them, in one line:
//
//     412 passed, 0 failed, 3 skipped
//
//   tests/run.mjs [--make NAME ARGUMENT...] --unit NAME PROGRAM... --system NAME FILE.test.mjs...      any number of each
//
// Unit tests are cmocka programs that speak TAP; system and browser tests are node:test files. All are one queue, which begins
// with the longest: three at a time more than there are processors, since most of them mostly wait. What follows a --make is run
// when make has ended well with these arguments, which it does beside the tests before it, in the place of one of them.
// A program that crashes, hangs or says something else than its exit status is a failure of its own. Exit 1 if anything failed.
import { spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { run } from "node:test";

const AT_ONCE = availableParallelism() + 3;
const MINUTES = 10; // that a program or a file may take
const LONGEST = 16;
// What takes longest comes first, so that nothing is waited for alone at the end: these, then the other files, then the programs.
const FIRST = ["bench-log", "hostile", "looks", "mail", "rspamd-maps", "overview", "storage", "crash", "rules-order", "policies", "digests", "operation",
    "custody", "rules", "postfix", "links", "bayes", "drain", "digest-kill", "maillog", "scanner", "topology-exim", "topology-milter", "portal-attacks"];
const FIRST_PROGRAMS = ["rulesd_cache", "store_search", "store_attempt", "store_message", "db_db", "store_score", "rulesd_greylist", "rulesd_custody",
    "store_credential", "store_message_trim", "rulesd_timeline"];
const total = { passed: 0, failed: 0, skipped: 0 };
const failures = [];
const seconds = new Map(); // what each program and file took

function pass() { total.passed++; }

function fail(name, why) {
    total.failed++;
    failures.push(name);
    console.log(`FAILED  ${name}\n${why.trimEnd().replace(/^/gm, "        ")}`);
}

function skip(name, why) {
    total.skipped++;
    console.log(`skipped ${name}: ${why || "no reason given"}`);
}

function lastLines(text, n) { return text.trimEnd().split("\n").slice(-n).join("\n"); }

// ---- Unit tests ----

const children = new Set(); // each leads a group of its own

const killGroup = (pid) => { try { process.kill(-pid, "SIGKILL"); } catch { /* it is gone already */ } };
process.on("exit", () => children.forEach(killGroup));
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => process.exit(1));

function finish(program, args = []) {
    return new Promise((done) => {
        const child = spawn(program, args, { env: { ...process.env, CMOCKA_MESSAGE_OUTPUT: "TAP" }, stdio: ["ignore", "pipe", "pipe"], detached: true });
        const timer = setTimeout(() => killGroup(child.pid), MINUTES * 60_000);
        let out = "", err = "";

        child.stdout.on("data", (bytes) => { out += bytes; });
        child.stderr.on("data", (bytes) => { err += bytes; });
        if (child.pid) children.add(child.pid);
        child.on("error", (error) => done({ out, err: String(error), status: 1 }));
        child.on("close", (code, signal) => {
            clearTimeout(timer);
            children.delete(child.pid);
            done({ out, err, status: code ?? signal });
        });
    });
}

// What cmocka says about a test stands below its "not ok", after "# "; what the test prints itself, above its line:
// there a skip tells its reason. fail_msg() and sanitizers write to standard error, which is shown with a failure.
function readTap(name, out, err) {
    let said = [], broken = null, failed = 0, planned = 0, seen = 0;
    const settle = () => {
        if (broken) fail(broken, [...said.filter((s) => s.startsWith("# ")).map((s) => s.slice(2)), err].join("\n"));
        broken = null;
    };

    for (const line of out.split("\n")) {
        const plan = /^1\.\.(\d+)$/.exec(line);
        const skipped = /^(?:not )?ok \d+ # SKIP (.*)$/.exec(line);
        const test = /^(not )?ok \d+ - (.*)$/.exec(line);

        if (plan) planned += Number(plan[1]);
        if (!skipped && !test) { said.push(line); continue; }
        seen++;
        settle();
        if (skipped) skip(`${name}: ${skipped[1]}`, said.filter((s) => s.trim() && !/^# |^1\.\./.test(s)).pop());
        else if (test[1]) { broken = `${name}: ${test[2]}`; failed++; }
        else pass();
        said = [];
    }
    settle();
    return { failed, planned, seen };
}

async function runUnit({ label, file: program }) {
    const name = `${label}: ${basename(program)}`;
    const { out, err, status } = await finish(resolve(program));
    const { failed, planned, seen } = readTap(name, out, lastLines(err, 20));

    if (seen < planned || seen === 0)
        fail(name, `ended (${status}) after ${seen} of ${planned} tests\n${lastLines(out, 20)}\n${lastLines(err, 60)}`);
    else if (status !== 0 && status !== failed)
        fail(name, `ended with ${status}\n${lastLines(err, 60)}`);
}

// ---- System tests ----

function explain(error) {
    const cause = error?.cause ?? error;
    return String(cause?.stack ?? cause?.message ?? cause);
}

function runSystem({ label, file }) {
    return new Promise((done) => {
        const stream = run({ files: [resolve(file)], concurrency: 1, timeout: MINUTES * 60_000 });
        const named = (t) => `${label}: ${basename(file, ".test.mjs")}: ${t.name}`;

        stream.on("test:pass", (t) => {
            if (t.details?.type === "suite") return;
            if (t.skip !== undefined || t.todo !== undefined) skip(named(t), t.skip || t.todo);
            else pass();
        });
        stream.on("test:fail", (t) => {
            const error = t.details?.error;
            if (error?.failureType === "subtestsFailed") return; // the children said it
            fail(named(t), explain(error));
        });
        stream.on("test:stderr", (t) => process.stderr.write(t.message));
        stream.on("end", done);
        stream.resume();
    });
}

// ---- The queue ----

const queue = [];
const bell = new EventEmitter().setMaxListeners(0); // "more": there is more in the queue, or there will be no more
let making = true;

function rank({ kind, file }) {
    const list = kind === "--unit" ? FIRST_PROGRAMS : FIRST, at = list.indexOf(basename(file, ".test.mjs"));

    return (at < 0 ? list.length : at) + (kind === "--unit" ? FIRST.length + 1 : 0);
}

function enqueue(group) {
    console.log(`== ${group.label}: ${group.files.length} files`);
    queue.push(...group.files.map((file) => ({ kind: group.kind, label: group.label, file })));
    queue.sort((a, b) => rank(a) - rank(b));
    bell.emit("more");
}

async function make({ label, files: args }) {
    const begin = performance.now();
    const { out, err, status } = await finish("make", args);

    if (status === 0) console.log(`== ${label}: made in ${((performance.now() - begin) / 1000).toFixed(0)} s`);
    else fail(`make ${label}`, `ended with ${status}\n${lastLines(out, 5)}\n${lastLines(err, 60)}`);
    return status === 0;
}

async function makeAndEnqueue(groups) {
    let made = true;

    for (const group of groups) {
        if (group.kind === "--make") made = await make(group);
        else if (made) enqueue(group);
    }
    making = false;
    bell.emit("more");
}

async function work() {
    while (queue.length > 0 || making) {
        const job = queue.shift(), begin = performance.now();

        if (!job) { await once(bell, "more"); continue; }
        await (job.kind === "--unit" ? runUnit : runSystem)(job);
        seconds.set(`${job.label}: ${basename(job.file, ".test.mjs")}`, (performance.now() - begin) / 1000);
    }
}

// ---- main ----

const groups = [];
for (const arg of process.argv.slice(2)) {
    if (["--unit", "--system", "--make"].includes(arg)) groups.push({ kind: arg, label: null, files: [] });
    else if (groups.length === 0) { console.error("tests/run.mjs: first --unit, --system or --make"); process.exit(64); }
    else if (groups.at(-1).label === null) groups.at(-1).label = arg;
    else groups.at(-1).files.push(arg);
}

// A cluster of PostgreSQL that each program and file copies: see tests/unit/databases.h and tests/system/lib/servers.mjs.
process.env.POSTGRES_CLUSTER = mkdtempSync(join(tmpdir(), "postern-cluster-"));
process.on("exit", () => rmSync(process.env.POSTGRES_CLUSTER, { recursive: true, force: true }));

await Promise.all([makeAndEnqueue(groups).then(work), ...Array.from({ length: AT_ONCE - 1 }, work)]);
if (seconds.size > 1) {
    const all = [...seconds].sort((a, b) => b[1] - a[1]), sum = all.reduce((n, [, s]) => n + s, 0);

    console.log(`the longest: ${all.slice(0, LONGEST).map(([name, s]) => `${name} ${s.toFixed(0)} s`).join(", ")}; all together ${sum.toFixed(0)} s, ${AT_ONCE} at once`);
}
if (failures.length > 0) console.log(`\nFailed:\n${failures.map((f) => `  ${f}\n`).join("")}`);
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(total.failed > 0 ? 1 : 0);

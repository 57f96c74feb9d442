#!/usr/bin/env node
// tests/run.mjs - runs tests, and says at the end what became of them, in one line:
//
//     412 passed, 0 failed, 3 skipped
//
//   tests/run.mjs --unit NAME PROGRAM...  --system NAME FILE.test.mjs...      any number of such groups, in this order
//
// Unit tests are cmocka programs that speak TAP, one a processor and one more; system and browser tests are node:test
// files, one more than that, since they mostly wait. Groups of one kind that follow each other are one queue, which begins
// with the longest. A program that crashes, hangs or says something else than its exit status is a failure of its own.
// Exit 1 if anything failed.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { run } from "node:test";

const UNIT_MINUTES = 10;
const SYSTEM_MINUTES = 10;
const LONGEST = 12;
// What takes longest comes first, so that nothing is waited for alone at the end.
const FIRST = ["rulesd_custody", "db_db", "rulesd_cache", "store_attempt", "store_search", "store_store", "store_score", "store_message",
    "bench-log", "storage", "looks", "operation", "custody", "digest-kill", "scanner", "maillog", "crash", "policies", "postfix"];
const total = { passed: 0, failed: 0, skipped: 0 };
const failures = [];
const seconds = new Map(); // what each system test file took

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

function finish(program, env) {
    return new Promise((done) => {
        const child = spawn(program, { env: { ...process.env, ...env, CMOCKA_MESSAGE_OUTPUT: "TAP" }, detached: true });
        const timer = setTimeout(() => process.kill(-child.pid, "SIGKILL"), UNIT_MINUTES * 60_000);
        let out = "", err = "";

        child.stdout.on("data", (bytes) => { out += bytes; });
        child.stderr.on("data", (bytes) => { err += bytes; });
        child.on("error", (error) => done({ out, err: String(error), status: 1 }));
        child.on("close", (code, signal) => {
            clearTimeout(timer);
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

async function runUnit({ label, file: program }, env) {
    const name = `${label}: ${basename(program)}`;
    const { out, err, status } = await finish(resolve(program), env);
    const { failed, planned, seen } = readTap(name, out, lastLines(err, 20));

    if (seen < planned || seen === 0)
        fail(name, `ended (${status}) after ${seen} of ${planned} tests\n${lastLines(out, 20)}\n${lastLines(err, 60)}`);
    else if (status !== 0 && status !== failed)
        fail(name, `ended with ${status}\n${lastLines(err, 60)}`);
}

async function runUnits(queue) {
    const dir = mkdtempSync(join(tmpdir(), "postern-cluster-")); // PostgreSQL's, which each program copies: see tests/unit/databases.h
    const worker = async () => { while (queue.length > 0) await runUnit(queue.shift(), { POSTGRES_CLUSTER: dir }); };

    await Promise.all(Array.from({ length: availableParallelism() + 1 }, worker));
    rmSync(dir, { recursive: true, force: true });
}

// ---- System tests ----

function explain(error) {
    const cause = error?.cause ?? error;
    return String(cause?.stack ?? cause?.message ?? cause);
}

function runSystem(queue) {
    return new Promise((done) => {
        const labels = new Map(queue.map(({ label, file }) => [resolve(file), label]));
        const stream = run({ files: [...labels.keys()], concurrency: availableParallelism() + 2, timeout: SYSTEM_MINUTES * 60_000 });
        const named = (t) => `${labels.get(t.file) ?? "system"}: ${t.file ? `${basename(t.file, ".test.mjs")}: ` : ""}${t.name}`;

        const time = (t) => {
            const file = basename(t.file ?? "", ".test.mjs");

            if (t.nesting === 0 && file) seconds.set(file, (seconds.get(file) ?? 0) + (t.details?.duration_ms ?? 0) / 1000);
        };

        stream.on("test:pass", (t) => {
            time(t);
            if (t.details?.type === "suite") return;
            if (t.skip !== undefined || t.todo !== undefined) skip(named(t), t.skip || t.todo);
            else pass();
        });
        stream.on("test:fail", (t) => {
            time(t);
            const error = t.details?.error;
            if (error?.failureType === "subtestsFailed") return; // the children said it
            fail(named(t), explain(error));
        });
        stream.on("test:stderr", (t) => process.stderr.write(t.message));
        stream.on("end", done);
        stream.resume();
    });
}

// ---- main ----

const groups = [];
for (const arg of process.argv.slice(2)) {
    if (arg === "--unit" || arg === "--system") groups.push({ kind: arg, label: null, files: [] });
    else if (groups.length === 0) { console.error("tests/run.mjs: first --unit or --system"); process.exit(64); }
    else if (groups.at(-1).label === null) groups.at(-1).label = arg;
    else groups.at(-1).files.push(arg);
}
const rank = ({ file }) => { const at = FIRST.indexOf(basename(file, ".test.mjs")); return at < 0 ? FIRST.length : at; };
while (groups.length > 0) {
    const kind = groups[0].kind, queue = [];

    while (groups[0]?.kind === kind) {
        const { label, files } = groups.shift();
        console.log(`== ${label}: ${files.length} files`);
        queue.push(...files.map((file) => ({ label, file })));
    }
    queue.sort((a, b) => rank(a) - rank(b));
    if (queue.length > 0) await (kind === "--unit" ? runUnits : runSystem)(queue);
}
if (seconds.size > 1) {
    const longest = [...seconds].sort((a, b) => b[1] - a[1]).slice(0, LONGEST).map(([name, s]) => `${name} ${s.toFixed(0)} s`);

    console.log(`the longest: ${longest.join(", ")}`);
}
if (failures.length > 0) console.log(`\nFailed:\n${failures.map((f) => `  ${f}\n`).join("")}`);
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(total.failed > 0 ? 1 : 0);

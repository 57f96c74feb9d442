#!/usr/bin/env node
// tests/run.mjs - runs tests, and says at the end what became of them, in one line:
//
//     412 passed, 0 failed, 3 skipped
//
//   tests/run.mjs --unit NAME PROGRAM...  --system NAME FILE.test.mjs...      any number of such groups, in this order
//
// Unit tests are cmocka programs that speak TAP, one a processor; system and browser tests are node:test files, two at a
// time, since they mostly wait. A program that crashes, hangs or says something else than its exit status is a failure of
// its own. Exit 1 if anything failed.
import { spawn } from "node:child_process";
import { availableParallelism } from "node:os";
import { basename, resolve } from "node:path";
import { run } from "node:test";

const UNIT_MINUTES = 10;
const SYSTEM_MINUTES = 10;
const LONGEST = 12;
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

function finish(program) {
    return new Promise((done) => {
        const child = spawn(program, { env: { ...process.env, CMOCKA_MESSAGE_OUTPUT: "TAP" }, detached: true });
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

async function runUnit(label, program) {
    const name = `${label}: ${basename(program)}`;
    const { out, err, status } = await finish(resolve(program));
    const { failed, planned, seen } = readTap(name, out, lastLines(err, 20));

    if (seen < planned || seen === 0)
        fail(name, `ended (${status}) after ${seen} of ${planned} tests\n${lastLines(out, 20)}\n${lastLines(err, 60)}`);
    else if (status !== 0 && status !== failed)
        fail(name, `ended with ${status}\n${lastLines(err, 60)}`);
}

async function runUnits(label, programs) {
    const queue = [...programs];
    const worker = async () => { while (queue.length > 0) await runUnit(label, queue.shift()); };

    await Promise.all(Array.from({ length: availableParallelism() }, worker));
}

// ---- System tests ----

function explain(error) {
    const cause = error?.cause ?? error;
    return String(cause?.stack ?? cause?.message ?? cause);
}

function runSystem(label, files) {
    return new Promise((done) => {
        const stream = run({ files: files.map((f) => resolve(f)), concurrency: Math.min(2, availableParallelism()), timeout: SYSTEM_MINUTES * 60_000 });
        const named = (t) => `${label}: ${t.file ? `${basename(t.file, ".test.mjs")}: ` : ""}${t.name}`;

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
for (const { kind, label, files } of groups) {
    console.log(`== ${label}: ${files.length} files`);
    if (files.length > 0) await (kind === "--unit" ? runUnits : runSystem)(label, files);
}
if (seconds.size > 1) {
    const longest = [...seconds].sort((a, b) => b[1] - a[1]).slice(0, LONGEST).map(([name, s]) => `${name} ${s.toFixed(0)} s`);

    console.log(`the longest: ${longest.join(", ")}`);
}
if (failures.length > 0) console.log(`\nFailed:\n${failures.map((f) => `  ${f}\n`).join("")}`);
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(total.failed > 0 ? 1 : 0);

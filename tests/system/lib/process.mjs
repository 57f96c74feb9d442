// Starting programs, and leaving none behind: each gets a folder of its own, a process group of its own, and a
// check that is polled until it is really there. What a test forgets to stop ends with the test's process.
import { execFileSync, spawn } from "node:child_process";
import { chmodSync, closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { after } from "node:test";
import { fileURLToPath } from "node:url";

export const root = resolve(dirname(fileURLToPath(import.meta.url)), "../../..");
export const isRoot = process.getuid() === 0;
export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

const folders = new Set();
const running = new Set();

process.on("exit", () => {
    for (const p of running) p.signal("SIGKILL");
    for (const f of folders) rmSync(f, { recursive: true, force: true });
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => process.exit(1));

// A test that failed half-way closes nothing: what it left open must not keep the file until the runner's limit. Registered when the
// file has registered its own, so that this comes last.
const GRACE_MS = 10_000;
setImmediate(() => after(() => {
    setTimeout(() => {
        console.error(`still open after the last test: ${process.getActiveResourcesInfo().join(", ")}`);
        process.exit(1);
    }, GRACE_MS).unref();
}));

// A folder that ends with the test; other users may pass through it.
export function tempDir(name = "test") {
    const dir = mkdtempSync(join(tmpdir(), `postern-${name}-`));

    chmodSync(dir, 0o755);
    folders.add(dir);
    return dir;
}

export function removeDir(dir) {
    rmSync(dir, { recursive: true, force: true });
    folders.delete(dir);
}

// A TCP port that nobody listened on just now, and that was not handed out before.
const handedOut = new Set();
export async function freePort(host = "127.0.0.1") {
    for (;;) {
        const port = await new Promise((done, failed) => {
            const server = createServer();

            server.on("error", failed);
            server.listen(0, host, () => { const { port } = server.address(); server.close(() => done(port)); });
        });
        if (handedOut.has(port)) continue;
        handedOut.add(port);
        return port;
    }
}

// { host, port } or { path } of 25, "127.0.0.1:25", "[::1]:25", "unix:/x" or "/x".
export function target(to) {
    if (typeof to === "object") return to;
    if (typeof to === "number") return { host: "127.0.0.1", port: to };
    if (to.startsWith("unix:")) return { path: to.slice(5) };
    if (to.startsWith("/")) return { path: to };
    const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(to);
    return { host, port: Number(port) };
}

export function canConnect(to) {
    return new Promise((done) => {
        const socket = connect(target(to));

        socket.on("connect", () => { socket.destroy(); done(true); });
        socket.on("error", () => done(false));
    });
}

// Asks again until the answer is true (or something like it), which it returns; else fails and says what was awaited.
export async function waitFor(what, ask, { seconds = 60, everyMs = 20 } = {}) {
    const end = performance.now() + seconds * 1000;

    for (;;) {
        const answer = await ask();
        if (answer) return answer;
        if (performance.now() > end) throw new Error(`waited ${seconds} s in vain: ${what}`);
        await sleep(everyMs);
    }
}

export function userOf(name) {
    try {
        const id = (flag) => Number(execFileSync("id", [flag, name], { stdio: ["ignore", "pipe", "ignore"] }));
        return { uid: id("-u"), gid: id("-g") };
    } catch {
        return null;
    }
}

export function groupOf(name) {
    const line = readFileSync("/etc/group", "utf8").split("\n").find((l) => l.startsWith(`${name}:`));
    return line ? Number(line.split(":")[2]) : null;
}

// Starts a program and waits until `ready(process)` is true; its output goes to a file, see log().
//   { dir, env, cwd, user, ready, seconds: to get ready, patience: seconds to stop before it is killed }
export async function start(name, command, args, { dir, env, cwd, user, ready, seconds = 90, patience = 30 } = {}) {
    const logFile = join(dir ?? tempDir(name), `${name}.log`);
    const fd = openSync(logFile, "a");
    const who = user && isRoot ? userOf(user) : {};
    const child = spawn(command, args, {
        cwd, detached: true, stdio: ["ignore", fd, fd], env: { ...process.env, ...env }, ...who,
    });
    const p = {
        name, pid: child.pid, logFile, exit: null,
        log: () => readFileSync(logFile, "utf8"),
        signal: (signal) => { try { process.kill(-child.pid, signal); } catch { /* it is gone already */ } },
        // SIGTERM, and SIGKILL for what is still there later. Resolves to the exit code or signal.
        stop: async (signal = "SIGTERM") => {
            child.ref();
            if (p.exit === null) p.signal(signal);
            const timer = setTimeout(() => p.signal("SIGKILL"), patience * 1000);
            await gone;
            clearTimeout(timer);
            p.signal("SIGKILL"); // what else is in its group
            running.delete(p);
            return p.exit;
        },
        kill: () => p.stop("SIGKILL"),
        gone: () => gone,
    };
    const gone = new Promise((done) => {
        child.on("error", (error) => { p.exit ??= String(error); done(p.exit); });
        child.on("exit", (code, signal) => { p.exit ??= code ?? signal; done(p.exit); });
    });

    closeSync(fd);
    child.unref();
    running.add(p);
    try {
        await waitFor(`${name} to be ready`, async () => {
            if (p.exit !== null) throw new Error(`${name} ended with ${p.exit}`);
            return ready === undefined || await ready(p);
        }, { seconds });
    } catch (error) {
        await p.kill();
        throw new Error(`${error.message}\n${p.log().split("\n").slice(-30).join("\n")}`);
    }
    return p;
}

// Runs a program to its end: { code, stdout, stderr } (bytes in `output`). Never throws for an exit code.
export function run(command, args, { input = "", env, cwd, user, seconds = 180 } = {}) {
    return new Promise((done, failed) => {
        const who = user && isRoot ? userOf(user) : {};
        const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, ...who });
        const timer = setTimeout(() => child.kill("SIGKILL"), seconds * 1000);
        const out = [], err = [];

        child.stdout.on("data", (bytes) => out.push(bytes));
        child.stderr.on("data", (bytes) => err.push(bytes));
        child.stdin.on("error", () => { /* it did not want all of it */ });
        child.on("error", failed);
        child.on("close", (code, signal) => {
            clearTimeout(timer);
            const output = Buffer.concat(out);
            done({ code: code ?? signal, output, stdout: output.toString(), stderr: Buffer.concat(err).toString() });
        });
        child.stdin.end(input);
    });
}

// The same, for what has to succeed: its standard output.
export async function must(command, args, options) {
    const { code, stdout, stderr } = await run(command, args, options);

    if (code !== 0) throw new Error(`${command} ${args.join(" ")}: ended with ${code}\n${stdout}${stderr}`);
    return stdout;
}

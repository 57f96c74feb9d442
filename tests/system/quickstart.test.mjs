// What `make run` starts, and the README's five minutes, command by command.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { canConnect, freePort, program, removeDir, root, run, start, tempDir, waitFor } from "./lib/index.mjs";

let dir, server, spamd, http;
before(async () => {
    dir = tempDir("quickstart");
    [spamd, http] = [await freePort(), await freePort()];
    server = await start("postern run", program("postern"), ["run", "--example", join(dir, "run"), "--seed", join(root, "examples/quickstart"),
        "--spamd-port", String(spamd), "--http-port", String(http), "--portal-port", String(await freePort())], { dir, ready: (p) => p.log().includes("Ctrl-C stops it") });
});
after(async () => { await server?.stop(); removeDir(dir); });

// A line of the README as somebody types it, on this example's ports and folders.
const type = (line) => run("sh", ["-c", line.replace(/#.*/, "").replaceAll("1783", String(spamd)).replaceAll("11344", String(http))
    .replace(/^postern /, `${program("postern")} -c ${join(dir, "run/postern.conf")} `)], { cwd: root });

test("the README's five minutes to a verdict do what it says", async () => {
    const readme = readFileSync(join(root, "README.md"), "utf8");
    const block = /## Five minutes[^]*?```\n([^]*?)```/.exec(readme)[1];
    const commands = block.split("\n").filter((l) => l.trim() !== "" && !l.startsWith("alias"));
    const outputs = [];

    assert.match(block, /domain add[^]*mailbox add[^]*rule add[^]*spamc[^]*explain/);
    for (const line of commands) {
        const { code, stdout, stderr } = await type(line);
        assert.equal(code, 0, `${line}\n${stdout}${stderr}`);
        outputs.push(stdout);
        if (line.includes("rule add")) await untilDecided();
    }
    assert.match(outputs.at(-2), /^100\.0\/6\.0/);
    assert.match(outputs.at(-1), /block by the mailbox rule "No lotteries"/);
});

// The rule holds within moments of its commit; how many is measured elsewhere.
async function untilDecided() {
    const scan = () => type("spamc -p 1783 -u eva@shop.example -R < examples/quickstart/mail/lottery.eml");
    await waitFor("the rule to decide", async () => (await scan()).stdout.startsWith("100.0"));
}

test("what `make run` prints to try next works", async () => {
    const lines = server.log().split("\n").filter((l) => /^ {2}(\.\/build\/postern|spamc|curl) /.test(l)).map((l) => l.trim());

    assert.ok(lines.length >= 5, server.log());
    for (const line of lines) {
        const { code, stdout, stderr } = await run("sh", ["-c", line.replace("./build/postern", program("postern"))], { cwd: root });
        assert.equal(code, 0, `${line}\n${stdout}${stderr}`);
        assert.notEqual(stdout, "", line);
    }
});

test("mail was scanned at the start, and each got the verdict of its people", () => {
    assert.match(server.log(), /lottery\.eml +for anna@ours\.example +reject +100\.0/);
    assert.match(server.log(), /newsletter\.eml +for anna@ours\.example +no action +-100\.0/);
    assert.match(server.log(), /trojan\.eml +for gina@garden\.example +reject +100\.0/);
    assert.match(server.log(), /hello\.eml +for gina@garden\.example +no action +0\.0/);
});

test("a program that dies is started again, and Ctrl-C stops them all", async () => {
    const children = async (...which) => (await run("pgrep", ["-P", String(server.pid), ...which])).stdout.trim();
    const rulesd = () => children("-x", "postern-rulesd");
    const first = await rulesd();

    assert.match(first, /^\d+$/);
    process.kill(Number(first), "SIGKILL");
    await waitFor("another rulesd", async () => ![first, ""].includes(await rulesd()) && await canConnect(http));
    const all = (await children()).split("\n").map(Number);
    assert.equal(await server.stop("SIGINT"), 0);
    assert.equal(await canConnect(http), false);
    for (const pid of all) assert.throws(() => process.kill(pid, 0), "no child is left");
    server = null;
});

// make gets a terminal from script(1), which sends what it reads; ^C is a key like any other to it.
test("Ctrl-C in the terminal of `make run` ends it without an error of make's", async () => {
    const own = tempDir("typed");
    const [spamdPort, httpPort] = [await freePort(), await freePort()];
    writeFileSync(join(own, "example.mk"), `run:\n\texec ${program("postern")} run --example run --seed ${
        join(root, "examples/quickstart")} --spamd-port ${spamdPort} --http-port ${httpPort} --portal-port ${await freePort()}\n`);
    const typed = spawn("script", ["-qefc", "make -f example.mk", "typescript"], { cwd: own });
    let shown = "";

    typed.stdout.on("data", (bytes) => { shown += bytes; });
    const ended = new Promise((done) => typed.on("exit", done));
    try {
        await waitFor("the example to run", () => shown.includes("Ctrl-C stops it"), { seconds: 60 });
        typed.stdin.write("\x03");
        assert.equal(await ended, 0, shown);
        assert.match(shown, /^Stopped\.\r?$/m);
        assert.doesNotMatch(shown, /\*\*\*/);
        assert.equal(await canConnect(httpPort), false);
    } finally {
        typed.kill();
        removeDir(own);
    }
});

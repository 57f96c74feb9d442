// What postern-trainer tells of itself: /healthz, /metrics, and `postern trainer status`.
import assert from "node:assert/strict";
import { connect } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { writeFileSync } from "node:fs";

import { freePort, http, makeSite, program, removeDir, start, startRedis, tempDir, waitFor } from "./lib/index.mjs";
import { startTeachable } from "./lib/teachable.mjs";
import { letter } from "./lib/letters.mjs";

const RCPT = ["--rcpt", "anna@ours.example"];

test("the trainer tells how it is, what waits, what it did, and what Bayes knows", async () => {
    const [backend, redis, port] = [await startTeachable(), await startRedis(), await freePort()];
    await redis.cli("sadd", "BAYES_SPAM_keys", "RSours.example", "RStheirs.example");
    await redis.cli("hset", "RSours.example", "learns_spam", "312", "learns_ham", "48");
    await redis.cli("hset", "RStheirs.example", "learns_spam", "400", "learns_ham", "400");
    const folder = tempDir("magic"), magic = join(folder, "magic");
    const site = await makeSite({ trainer: { backend: [backend.url, `spamd://127.0.0.1:${await freePort()}`], password: "secret", listen_http: `127.0.0.1:${port}`, bayes_redis: redis.url, bayes_command: `cat ${magic}` } });
    writeFileSync(magic, "0.000          0       1000          0  non-token data: nspam\n0.000          0        999          0  non-token data: nham\n");
    await site.must("init");
    await site.must("domain", "add", "ours.example");
    await site.must("mailbox", "add", "anna@ours.example");
    for (const [kind, n] of [["spam", 1], ["spam", 2], ["ham", 3]]) await site.must("report", kind, ...RCPT, "-", { input: letter(kind, n) });
    const first = (await site.must("trainer", "status")).toString();
    for (const words of [/^3 waiting, 0 learnt/m, /The oldest that waits is of 2/, /: Bayes acts from 200 of each: spam 0, ham 0 - 200 more spam, 200 more ham$/m, /^spamd.*[Cc]onnect/m,
        /^Redis: Bayes acts: spam 712, ham 448$/m, /^ {2}ours\.example: Bayes acts from 200 of each: spam 312, ham 48 - 152 more ham$/m, /^ {2}theirs\.example: Bayes acts: spam 400, ham 400$/m, /^command: Bayes acts: spam 1000, ham 999$/m]) assert.match(first, words);

    const trainer = await start("trainer", program("postern-trainer"), ["-c", site.conf], { dir: site.dir, ready: async () => (await http(port, { path: "/healthz", method: "GET" }).catch(() => ({}))).status === 200 });
    const metrics = async () => (await http(port, { path: "/metrics", method: "GET" })).text;
    const all = await waitFor("all to be learnt, and told", async () => { const m = await metrics(); return /reports\{state="learnt"\} 3/.test(m) && /backend_up/.test(m) && /from="command"/.test(m) && m; });
    for (const row of [`reports{state="waiting"} 0`, "oldest_waiting_seconds 0", "attempts_total 3", "failures_total 0", `ended_total{state="learnt"} 3`, `ended_total{state="refused"} 0`, `backend_up{from="${backend.url}"} 1`,
        `bayes_learnt{from="Redis",class="spam"} 712`, `bayes_learnt{from="command",class="ham"} 999`, "bayes_needed 200", "database_up 1", "mail_taken_today 0", `mail_dropped_today{reason="stranger"} 0`]) assert.ok(all.includes(`postern_trainer_${row}\n`), `${row}\n${all}`);
    assert.match(all, /backend_up\{from="spamd:[^"]*"\} 0\n/);
    for (const line of all.trim().split("\n")) assert.match(line, /^(# (HELP|TYPE) postern_trainer_\w+ .+|postern_trainer_\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? -?[\d.e+]+)$/);
    const status = JSON.parse(await site.must("trainer", "status", "--json"));
    assert.deepEqual(status.backends.map((b) => [b.up, b.spam, b.ham, b.more_spam, b.acts]), [[true, 2, 1, 198, false], [false, undefined, undefined, undefined, undefined]]);
    assert.deepEqual(status.bayes.map((b) => [b.from, b.spam, b.ham, b.acts]), [["Redis", 712, 448, true], ["command", 1000, 999, true]]);
    assert.deepEqual(status.people.map((p) => [p.name, p.spam, p.more_ham]), [["ours.example", 312, 152], ["theirs.example", 400, 0]]);

    // Who is no client of HTTP, too slow, or many, changes nothing for the others.
    const idle = Array.from({ length: 40 }, () => connect(port, "127.0.0.1").on("error", () => {}));
    for (const [status, path, method] of [[404, "/", "GET"], [405, "/metrics", "POST"], [404, "/learnspam", "GET"]]) {
        idle.splice(0, 30).forEach((s) => s.destroy());
        assert.equal((await http(port, { path, method })).status, status);
    }
    idle.forEach((s) => s.destroy());
    assert.equal((await http(port, { path: "/healthz", method: "GET" })).text, "ok\n");
    assert.equal(await trainer.stop(), 0);
    for (const s of [backend, redis]) await s.stop();
    removeDir(folder);
    await site.remove();
});

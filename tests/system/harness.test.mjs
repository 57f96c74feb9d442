// The helpers themselves: what they promise to the other tests.
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { existsSync } from "node:fs";
import { test } from "node:test";

import { freePort, http, ini, pieces, rawTcp, run, smtpSend, start, startPostgres, startRedis, startSmtpSink } from "./lib/index.mjs";

async function serve(handler) {
    const port = await freePort();
    const server = createServer({ allowHalfOpen: true }, handler);

    await new Promise((done) => server.listen(port, "127.0.0.1", done));
    return { port, stop: () => new Promise((done) => server.close(done)) };
}

test("bytes arrive in the pieces that were asked for, and a half-closed peer still answers", async () => {
    const seen = [];
    const server = await serve((socket) => {
        socket.on("data", (data) => seen.push(data.toString()));
        socket.on("end", () => socket.end(`got ${seen.join("").length}`));
    });

    assert.equal((await rawTcp(server.port, "hello", { split: 2, gapMs: 20 })).toString(), "got 5");
    assert.deepEqual(seen, ["he", "ll", "o"]);
    assert.deepEqual([...pieces(Buffer.from("abcdef"), [1, 4])].map(String), ["a", "bcd", "ef"]);
    await server.stop();
});

test("an HTTP reply is taken apart", async () => {
    const server = await serve((socket) => {
        socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"));
    });
    const reply = await http(server.port, { headers: [["Rcpt", "a"], ["Rcpt", "b"]], body: "x" });

    assert.deepEqual([reply.status, reply.headers["content-type"], reply.text], [200, "text/plain", "ok"]);
    await server.stop();
});

test("a program that does not start says why", async () => {
    await assert.rejects(start("broken", "sh", ["-c", "echo because; exit 3"], { ready: () => false }),
        /ended with 3[^]*because/);
});

test("mail sent to the sink is kept as it was sent", async () => {
    const sink = await startSmtpSink({ answer: (verb, line) => (line.includes?.("<no@") ? "550 5.1.1 no" : null) });
    const reply = await smtpSend(sink.port, { from: "a@x", rcpts: ["b@y", "no@y"], message: "S: 1\n\n.dot\nend" });

    assert.deepEqual(reply.rcpt, ["250 ok", "550 5.1.1 no"]);
    assert.deepEqual([sink.messages[0].from, sink.messages[0].rcpts, sink.messages[0].data], ["a@x", ["b@y"], "S: 1\r\n\r\n.dot\r\nend\r\n"]);
    await sink.stop();
});

test("PostgreSQL comes up, survives a crash, and leaves nothing behind", async () => {
    const pg = await startPostgres();
    await pg.psql("CREATE TABLE t (x TEXT); INSERT INTO t VALUES ('kept')");
    assert.match(await pg.createDatabase("other"), /\/other$/);
    await pg.restart();
    assert.equal(await pg.psql("SELECT x FROM t"), "kept\n");
    await pg.stop();
    assert.ok(!existsSync(pg.dir));
});

test("Redis comes up and answers", async () => {
    const redis = await startRedis();
    assert.equal(await redis.cli("set", "a", "b"), "OK");
    await redis.restart();
    assert.equal(await redis.cli("get", "a"), "");
    await redis.stop();
});

test("settings become an INI file with short lines", () => {
    assert.equal(ini({ a: { k: 1, l: ["x", "y"] } }), "[a]\nk = 1\nl = x,\n    y\n");
});

test("a program's exit status and output are told", async () => {
    const { code, stdout, stderr } = await run("sh", ["-c", "cat; echo no >&2; exit 4"], { input: "in" });
    assert.deepEqual([code, stdout, stderr], [4, "in", "no\n"]);
});

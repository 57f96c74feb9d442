// A mail server's log of 60,000 lines is followed, and every delivery is what the log says. `make bench` measures a million.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";

import { program, run, startPostgres } from "./lib/index.mjs";

async function follow(...url) {
    const { code, stdout, stderr } = await run(join(program("postern"), "..", "bench-maillog"), ["60000", ...url], { seconds: 300 });

    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /deliveries delivered +(\d+) of \1\n/);
}

test("a long log is followed without losing a join, on SQLite", () => follow());

test("a long log is followed without losing a join, on PostgreSQL", async () => {
    const postgres = await startPostgres();

    try { await follow(postgres.url); } finally { await postgres.stop(); }
});

// The message log with 200,000 deliveries on both databases. `make bench-log` does the same with ten million; here a search may take
// four times as long as there, since the machine may be busy with other tests.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";

import { program, removeDir, run, startPostgres, tempDir } from "./lib/index.mjs";

const bench = async (url) => {
    const { code, stdout, stderr } = await run(join(program("postern"), "..", "bench-log"), [url, "200000", "400"], { seconds: 900 });

    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /forgetting 2 days took/);
};

test("200,000 deliveries are searched and forgotten in time, on SQLite", async () => {
    const dir = tempDir("bench-log");

    await bench(`sqlite:${dir}/postern.db`);
    removeDir(dir);
});

test("200,000 deliveries are searched and forgotten in time, on PostgreSQL", async () => {
    const postgres = await startPostgres();

    await bench(postgres.url);
    await postgres.stop();
});

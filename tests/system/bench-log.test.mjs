// The message log with tens of thousands of deliveries on both databases: each search of the portal's form finds what a look at every row finds, by
// an index, with little work of the processor (how long that takes is `make bench-log`'s to say, with ten million); and days are forgotten
// while somebody writes.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";

import { program, removeDir, run, startPostgres, tempDir } from "./lib/index.mjs";

//   DELIVERIES  (200000)
const DELIVERIES = process.env.DELIVERIES ?? "200000";
const CPU_MS = "300"; // of any search, its 95th percentile: ten times what it needs, a tenth of what reading all rows would
const check = async (url) => {
    const { code, stdout, stderr } = await run(join(program("postern"), "..", "bench-log"), [url, DELIVERIES, CPU_MS, "check"], { seconds: 900 });

    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /forgetting 2 days took/);
};

test("many deliveries are searched truly and without reading them all, and forgotten, on SQLite", async () => {
    const dir = tempDir("bench-log");

    await check(`sqlite:${dir}/postern.db`);
    removeDir(dir);
});

test("many deliveries are searched truly and without reading them all, and forgotten, on PostgreSQL", async () => {
    const postgres = await startPostgres();

    await check(postgres.url);
    await postgres.stop();
});

#!/usr/bin/env node
// The message log at its size, on SQLite and on PostgreSQL: tests/bench/log.mjs [N [MS [plans]]]. Needs build/bench-log. See docs/bench.md.
import { join } from "node:path";
import { spawnSync } from "node:child_process";

import { removeDir, startPostgres, tempDir } from "../system/lib/index.mjs";

const [n = "10000000", ms = "100", ...more] = process.argv.slice(2);
const program = join(process.env.OUT ?? "build", "bench-log");
const bench = (title, url) => {
    console.log(`\n== ${title}`);
    return spawnSync(program, [url, n, ms, ...more], { stdio: "inherit" }).status === 0;
};

const dir = tempDir("bench-log");
let good = bench("SQLite", `sqlite:${dir}/postern.db`);

removeDir(dir);
const postgres = await startPostgres({ settings: { fsync: "on", full_page_writes: "on", synchronous_commit: "on", shared_buffers: "512MB", max_wal_size: "4GB" } });

good = bench("PostgreSQL", postgres.url) && good;
await postgres.stop();
process.exit(good ? 0 : 1);

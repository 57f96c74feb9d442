// A search of every kind, with each token of the box, and what is typed into the page: how much work that is for a log of some size. On a
// machine that does other things too, the processor's time is what counts; by the clock, and with a million deliveries, `make bench
// T=search` says it. That no search reads a table from end to end is bench-log's to check.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { ask, openLog, openPage, searches, typed } from "../bench/search.mjs";

const DELIVERIES = 20_000, PAGE_MS = 200, WAITS_MS = 40; // the box waits for the next key
const API_MS = { "a mailbox": 100, "a domain": 100, everybody: 100 };
let log, page;

before(async () => { log = await openLog(DELIVERIES); });
after(async () => { await page?.close(); await log?.close(); });

test("whatever is searched for costs the portal little", async () => {
    const found = new Set();

    for (const [name, make] of searches)
        for (const who of log.who) {
            const { cpu, rows } = await ask(log, who, make, 2);
            assert.ok(cpu.median <= API_MS[who.name], `${name}, of ${who.name}: ${cpu.median.toFixed(1)} ms`);
            if (rows > 0) found.add(name);
        }
    assert.ok(found.size > searches.length / 2, `${found.size} of ${searches.length} found something`);
});

test("the page shows what a key has found with little work", async () => {
    for (const who of log.who.slice(0, 2)) {
        page = await openPage(log, who);
        await page.press("warm");
        for (const text of typed()) {
            const { cpu, server } = await page.press(text);
            assert.ok(WAITS_MS + cpu + server <= PAGE_MS, `${text}, of ${who.name}: ${cpu.toFixed(1)} ms in the page and ${server.toFixed(1)} ms in the portal`);
        }
        assert.deepEqual(page.wrong(), []);
        await page.close();
    }
});

// A search of every kind, with each token of the box, and what is typed into the page: how much work that is for a log of some size. On a
// machine that does other things too, the processor's time is what counts; by the clock, and with a million deliveries, `make bench
// T=search` says it. That no search reads a table from end to end is bench-log's to check.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { ask, openLog, openPage, percentile, searches, typed } from "../bench/search.mjs";

const DELIVERIES = 20_000, PAGE_MS = 100;
const OFTEN = ["babadeba", "subject:babadeba"]; // the word that log_material.h takes most often: a page of rows each
const API_MS = { "a mailbox": 100, "a domain": 100, everybody: 100 };
let log;

before(async () => { log = await openLog(DELIVERIES); });
after(async () => { await log?.close(); });

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

test("the page shows what a key has found with little work, and fifty rows with hardly more than none", async () => {
    const pressed = [], median = (n) => percentile(pressed.filter((one) => one.rows === n).map((one) => one.cpu), 0.5);

    for (const who of log.who) {
        const page = await openPage(log, who);
        await page.press("warm");
        for (const text of [...OFTEN, ...typed()]) {
            const { cpu, server, rows } = await page.press(text);
            assert.ok(cpu + server <= PAGE_MS, `${text}, of ${who.name}: ${cpu.toFixed(1)} ms in the page and ${server.toFixed(1)} ms in the portal`);
            if (OFTEN.includes(text)) assert.equal(rows, 50, `${text}, of ${who.name}`);
            pressed.push({ cpu, rows });
        }
        assert.deepEqual(page.wrong(), []);
        await page.close();
    }
    assert.ok(median(50) <= 2 * median(0), `${median(50).toFixed(1)} ms for fifty rows, ${median(0).toFixed(1)} ms for none`);
});

// postern-digest is killed again and again while it sends, two of them at work: everybody gets one letter; and where the mail server had taken
// one that the dead could not write down any more, the second has the same Message-ID.
//   SUBSCRIPTIONS  (48; 500)    KILLS  (16; 200)
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";

import { makeSite, must, program, run, start, startPostgres, sleep, waitFor } from "./lib/index.mjs";
import { field, startSink } from "./lib/sink.mjs";

const SUBSCRIPTIONS = Number(process.env.SUBSCRIPTIONS ?? 48), KILLS = Number(process.env.KILLS ?? 16);
const steps = ["MAIL", "dot", "sent", "time"];

async function killed(url) {
    const sink = await startSink();
    const site = await makeSite({ ...(url ? { store: { url } } : {}), smtp: { url: sink.url }, digest: { per_second: Math.ceil(SUBSCRIPTIONS / KILLS) * 20 } });
    const at = url ?? `sqlite:${join(site.dir, "postern.db")}`;
    const running = [];
    const daemon = async () => { const d = await start("digest", program("postern-digest"), ["-c", site.conf], { dir: site.dir, ready: async () => true }); running.push(d); return d; };
    let kills = 0;

    await site.must("init");
    await must(program("bench-digest"), ["fill", at, String(SUBSCRIPTIONS), "3"]);
    await daemon();
    // One that goes on undisturbed would end it all too soon: at each kill there is one, but now and then a second takes its turn as well.
    for (const done = () => new Set(sink.letters.map((l) => l.to)).size; kills < KILLS && done() < SUBSCRIPTIONS; kills++) {
        const step = steps[kills % steps.length], before = sink.letters.length;
        const one = running.shift();

        if (step === "time") {
            await waitFor("a letter", async () => sink.letters.length > before || done() === SUBSCRIPTIONS, { seconds: 30 });
            await sleep(Math.random() * 20);
        } else {
            await new Promise((reached) => {
                const timer = setTimeout(reached, 20000);
                sink.at[step] = () => { sink.at[step] = undefined; one.signal("SIGKILL"); clearTimeout(timer); reached(); };
            });
        }
        await one.kill();
        await daemon();
        if (kills % 5 === 4) await daemon();
        while (running.length > 2) await running.shift().stop();
    }
    sink.at = {};
    await waitFor("everybody", async () => new Set(sink.letters.map((l) => l.to)).size === SUBSCRIPTIONS, { seconds: 120, everyMs: 100 });
    await sleep(1500); // whoever would send one more
    for (const d of running) await d.stop();

    const of = new Map();
    for (const l of sink.letters) of.set(l.to, [...(of.get(l.to) ?? []), field(l, "Message-Id")]);
    const twice = [...of].filter(([, ids]) => ids.length > 1);
    assert.equal(of.size, SUBSCRIPTIONS, "nobody is left out");
    assert.ok(twice.every(([, ids]) => new Set(ids).size === 1), `the same letter has the same Message-ID: ${JSON.stringify(twice)}`);
    assert.ok(twice.length <= kills, `${twice.length} got two, of ${kills} kills`);
    console.log(`${SUBSCRIPTIONS} subscriptions, ${kills} kills: ${sink.letters.length} letters, ${twice.length} of them a second time with the same Message-ID`);
    sink.stop();
    await site.remove();
    return { kills, twice: twice.length };
}

test("killed at every step, everybody gets one letter (SQLite)", async () => {
    const { kills } = await killed();
    assert.ok(kills >= Math.min(KILLS, 12), `only ${kills} kills`);
});

test("killed at every step, everybody gets one letter (PostgreSQL)", async () => {
    const postgres = await startPostgres();

    await killed(postgres.url);
    await postgres.stop();
});

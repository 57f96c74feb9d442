// docs/api.md and docs/portal.md, held to what they say: the calls are made, the settings exist, the names are those of /metrics.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";

import { makeSite, root, run, startPortal } from "./lib/index.mjs";

const [api, portal] = ["api", "portal"].map((f) => readFileSync(`${root}/docs/${f}.md`, "utf8"));
let site, key;

before(async () => {
    site = await makeSite();
    await site.must("init");
    await site.must("domain", "add", "ours.example");
    await startPortal(site);
    key = (await site.must("token", "add", "docs", "mail:read", "operate", "--role", "admin")).match(/pst_\S+/)[0];
});
after(async () => { await site?.stopPortal(); site?.remove?.(); });

test("each call of the API's page does what the page says", async () => {
    const calls = [...api.matchAll(/^ {4}(curl .*)$/gm)].map((m) => m[1]);
    const said = [];
    for (const line of calls) said.push(JSON.parse((await run("bash", ["-c", line], { env: { ...process.env, KEY: key, URL: site.origin } })).stdout));
    const [list, page, made, refused] = said;
    assert.equal(calls.length, 4);
    for (const l of [list, page]) assert.deepEqual(l, { items: [], next: null });
    assert.equal(made.name, "Acme Mail");
    assert.deepEqual([refused.status, refused.title], [401, "Please sign in"]);
    for (const member of ["status", "title", "detail", "code"]) assert.ok(member in refused && api.includes(`\`${member}\``), member);
});

test("what the portal's page says of settings, numbers and proxies is so", async () => {
    const example = (await site.must("config", "example"));
    for (const [, key] of portal.split("## Behind")[1].split("nginx:")[0].matchAll(/^ {4}(\w+) = /gm)) assert.match(example, new RegExp(`^[#; ]*${key} *=`, "m"), key);
    const metrics = await (await fetch(`${site.origin}/metrics`)).text();
    const table = portal.split("## Watching it")[1];
    for (const [, name] of metrics.matchAll(/^# TYPE postern_portal_(\w+)/gm)) assert.ok(table.includes(`\`${name}`), name);
    for (const [, block] of portal.matchAll(/```\w+\n([^]*?)```/g)) {
        assert.ok(block.includes("127.0.0.1:8080") && block.includes("/metrics"), block);
        assert.match(block, /proxy_buffering off|flushpackets=on|flush_interval -1/);
    }
});

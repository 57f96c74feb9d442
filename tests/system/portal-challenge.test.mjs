// A challenge service in place of our own piece of work: who it lets by, what the pages' policy then allows, and that nobody is locked out
// while it is away.
import assert from "node:assert/strict";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { Browser, freePort, makeSite, program, run, startPortal } from "./lib/index.mjs";
import { startSiteverify } from "./lib/siteverify.mjs";

const ANNA = "anna@ours.example", PASSWORD = "correct horse battery";
let site, service, networks = 0;

const settings = (more = {}) => ({ challenge_site_key: "our-site", challenge_secret: join(site.dir, "challenge.secret"), challenge_verify: `${service.at}/siteverify`, challenge_script: `${service.at}/api.js?render=explicit`, trusted_proxies: "127.0.0.1", ...more });
const again = async (more) => { await site.stopPortal?.(); await startPortal(site, { port: site.port, settings: settings(more) }); };
// Each from a network of their own.
const stranger = () => new Browser(site.origin, { headers: { "X-Forwarded-For": `10.1.${networks++ % 250}.1` } });
const challenge = async (who, query = "") => (await who.get(`/signin/challenge?address=${ANNA}${query}`)).body;
const enter = (who, answer, id = "siteverify") => who.post("/signin/password", { address: ANNA, password: PASSWORD, challenge: id, answer });

before(async () => {
    service = await startSiteverify();
    site = await makeSite();
    await site.must("init");
    await site.must("domain", "add", "ours.example");
    await site.must("account", "add", ANNA);
    await site.must("mailbox", "add", ANNA);
    await site.must("account", "set", ANNA, "--password-stdin", { input: `${PASSWORD}\n` });
    writeFileSync(settings().challenge_secret, "the secret\n", { mode: 0o400 });
    await again();
});
after(async () => { await site?.stopPortal(); await service?.stop(); site?.remove?.(); });

test("whom the service lets by gets in, once a token", async () => {
    const who = stranger();
    assert.deepEqual(await challenge(who), { kind: "siteverify", id: "siteverify", site_key: "our-site", script: `${service.at}/api.js?render=explicit` });
    const first = await enter(who, "good one");
    assert.equal(first.status, 200, first.text);
    assert.equal((await who.session()).account.login, ANNA);
    assert.deepEqual(service.asked.at(-1), { secret: "the secret", response: "good one", remoteip: "10.1.0.1" });
    assert.equal((await enter(stranger(), "good one")).status, 403, "used before");
    assert.equal((await enter(stranger(), "a&secret=x%00")).status, 403);
    assert.equal(service.asked.at(-1).response, "a&secret=x%00", "nothing of a token becomes a field");
});

test("a piece of work that was not given is none", async () => {
    const before = service.asked.length;
    assert.equal((await enter(stranger(), "1", "1893456000000000.1.AAAA.BBBB")).status, 403);
    assert.equal(service.asked.length, before, "and the service is not asked about it");
});

test("the policy lets in the service's origin for scripts and frames, and nothing else of it", async () => {
    const policy = Object.fromEntries((await fetch(site.origin)).headers.get("content-security-policy").split("; ").map((d) => [d.split(" ")[0], d.split(" ").slice(1).join(" ")]));
    assert.equal(policy["script-src"], `'self' ${service.at}`);
    assert.equal(policy["frame-src"], `'self' ${service.at}`);
    for (const name of ["connect-src", "style-src", "default-src"]) assert.equal(policy[name], "'self'");
});

for (const manner of ["broken", "stranger", "large", "hangs"])
    test(`a service that ${{ broken: "is broken", stranger: "does not know our secret", large: "says too much", hangs: "never answers" }[manner]} locks nobody out: our own piece of work is asked for, and the log says so`, async () => {
        await again();
        service.manner = manner;
        const who = stranger(), refused = await enter(who, "good two");
        assert.deepEqual([refused.status, refused.body.member], [503, "challenge"]);
        const work = await challenge(who);
        assert.equal(work.kind, "proof");
        assert.equal((await who.password(ANNA, PASSWORD)).status, 200);
        assert.match(site.portalLog(), /challenge service is away/);
        service.manner = "well";
    });

test("that its script did not come is looked into, not believed", async () => {
    await again();
    assert.equal((await challenge(stranger(), "&failed=true")).kind, "siteverify", "it answers: something in between keeps it away");
    service.manner = "broken";
    assert.equal((await challenge(stranger(), "&failed=true")).kind, "proof");
    service.manner = "well";
});

test("a network that makes us ask too much is told to wait", async () => {
    await again();
    const who = new Browser(site.origin, { headers: { "X-Forwarded-For": "10.99.1.1" } });
    let last;
    for (let i = 0; i < 62 && last !== 429; i++) last = (await enter(who, `bad ${i}`)).status;
    assert.equal(last, 429);
});

test("without a service nothing of another origin is let in, and a token is no answer", async () => {
    await again({ challenge_site_key: "" });
    assert.ok(!(await fetch(site.origin)).headers.get("content-security-policy").includes("http"));
    assert.equal((await enter(stranger(), "good three")).status, 403);
    assert.equal((await challenge(stranger())).kind, "proof");
});

test("settings that do not fit are refused at start, with the cure", async () => {
    await site.stopPortal();
    const start = async (more) => { site.configure({ portal: settings({ listen: `127.0.0.1:${await freePort()}`, ...more }) }); return run(program("postern-portal"), ["-c", site.conf]); };
    chmodSync(settings().challenge_secret, 0o444);
    assert.match((await start({})).stderr, /chmod 0400/);
    chmodSync(settings().challenge_secret, 0o400);
    assert.match((await start({ challenge_secret: "" })).stderr, /challenge_secret/);
    assert.match((await start({ challenge_script: "api.js" })).stderr, /challenge_script/);
    await startPortal(site, { port: site.port, settings: settings({ challenge_site_key: "" }) });
});

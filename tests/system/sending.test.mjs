// What signed-in people send (docs/submission.md): a real Postfix that signs them in, Rspamd's proxy, rulesd.
import assert from "node:assert/strict";
import { chmodSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import {
    canConnect, cannot, freePort, http, makeSite, root, sleep, smtpSend, startAuth, startPostfix, startRspamdProxy, startRulesd, startSmtpSink, waitFor,
} from "./lib/index.mjs";

const skip = cannot("postfix", "postfix-sqlite", "rspamd");
const example = (name) => readFileSync(join(root, "examples/submission", name), "utf8");

let site, auth, sink, proxy, postfix, submission;

before(async () => {
    if (skip) return;
    const left = 3600 - Date.now() / 1000 % 3600;
    if (left < 90) await sleep(left * 1000); // what is counted by the hour is counted within one here
    const own = await makeSite({ rulesd: { mta_users: "root, _rspamd" } });
    chmodSync(own.dir, 0o711);
    own.configure({ lookup: { programs: "postfix", dir: join(own.dir, "lookup") } });
    site = await startRulesd({ site: own });
    chmodSync(site.httpSock, 0o666);
    await site.must("domain", "add", "ours.example");
    for (const name of ["anna", "bob", "eve"]) await site.must("mailbox", "add", `${name}@ours.example`);
    auth = await startAuth();
    sink = await startSmtpSink();
    proxy = await startRspamdProxy({ upstream: `unix:${site.httpSock}` });
    submission = await freePort();

    // The example's files, with this test's places in them.
    const cf = join(site.dir, "postern-blocked.cf");
    writeFileSync(cf, example("postern-blocked.cf").replace("/var/lib/postern/lookup", join(site.dir, "lookup")));
    chmodSync(cf, 0o644);
    const main = Object.fromEntries(example("main.cf").split("\n").map((line) => /^(\w+) = (.*)$/.exec(line)?.slice(1)).filter(Boolean));
    postfix = await startPostfix({
        sink: sink.port,
        main: {
            ...main, postern_blocked: `proxy:sqlite:${cf}`, proxy_read_maps: "$postern_blocked",
            smtpd_milters: `inet:127.0.0.1:${proxy.port}`, service_throttle_time: "1s",
        },
        master: example("master.cf").replace(/^#.*\n/, "").replace("submission inet", `127.0.0.1:${submission} inet`)
            .replace("=encrypt", "=none").replace("private/auth", `inet:127.0.0.1:${auth.port}`),
    });
    await waitFor("the submission port", () => canConnect(submission));
});
after(async () => {
    await postfix?.stop();
    await proxy?.stop();
    await sink?.stop();
    auth?.stop();
    await site?.stop();
    site?.remove();
});

let n = 0;
const send = (user, rcpts = ["friend@else.example"], timeoutMs = 90_000) => smtpSend(submission, {
    timeoutMs, from: user.includes("@") ? user : `${user}@ours.example`, auth: [user, "secret"], rcpts,
    message: `From: ${user}\nTo: friend@else.example\nSubject: message ${++n}\n\nHello.\n`,
});
const logs = () => postfix.maillog() + proxy.log() + site.log();

test("who is signed in and within the limits sends", { skip }, async () => {
    const { auth: signed, data } = await send("anna@ours.example");
    assert.match(signed, /^235 /, logs());
    assert.match(data, /^250 /, logs());
});

test("over the limit a message is deferred, and others are not", { skip }, async () => {
    await site.must("sender", "limit", "domain:ours.example", "messages_hour=3", "block_after=4");
    await sleep(200);
    for (let i = 0; i < 2; i++) assert.match((await send("anna@ours.example")).data, /^250 /, logs());
    assert.match((await send("Anna@Ours.Example")).data, /^451 4\.7\.1 .*Too much mail in too short a time/, logs());
    assert.match((await send("bob@ours.example")).data, /^250 /, logs());
});

test("who goes on is blocked: by rulesd at once, then by Postfix before a recipient is named", { skip }, async () => {
    for (let i = 0; i < 2; i++) assert.match((await send("anna@ours.example")).data, /^451 /, logs());
    assert.match((await send("anna@ours.example")).data, /^5\d\d 5\.7\.1 .*suspended/, logs());
    await waitFor("Postfix to know", async () => {
        const { mail, rcpt } = await send("anna@ours.example");
        return /^554 5\.7\.1 .*Sending from this account is suspended/.test(rcpt[0] ?? mail);
    }, { seconds: 10 });
    assert.match((await send("bob@ours.example")).data, /^250 /, logs());
});

test("the command lists the block with the reason and the evidence", { skip }, async () => {
    const [block] = (await site.must("sender", "list", "--json")).trim().split("\n").map((line) => JSON.parse(line));

    assert.equal(block.login, "anna@ours.example");
    assert.equal(block.automatic, true);
    assert.match(block.reason, /4 messages beyond the limit of 3 \(messages_hour\) within an hour/);
    assert.deepEqual([block.evidence.limit, block.evidence.max, block.evidence.over], ["messages_hour", 3, 4]);
    assert.equal(block.evidence.messages.length, 4);
    assert.match(block.evidence.messages[0].queue_id, /^\w+$/);
    assert.match(await site.must("sender", "list"), /anna@ours\.example\n {4}blocked .* by postern-rulesd, until unblocked\n/);
    // Counts are added up in memory, and written now and then.
    await waitFor("three messages to be counted", async () => /sent\.messages\.hour +3\n/.test(await site.must("sender", "show", "anna@ours.example")));
});

test("unblocked, the person sends as far as the limits allow", { skip }, async () => {
    await site.must("sender", "unblock", "anna@ours.example");
    await sleep(200);
    assert.match((await send("anna@ours.example")).data, /^451 /, logs());
    await site.must("sender", "limit", "mailbox:anna@ours.example", "messages_hour=off");
    await sleep(200);
    assert.match((await send("anna@ours.example")).data, /^250 /, logs());
});

test("recipients count one by one", { skip }, async () => {
    await site.must("sender", "limit", "mailbox:eve@ours.example", "messages_hour=off", "recipients_hour=5");
    await sleep(200);
    assert.match((await send("eve@ours.example", ["a@x.example", "b@x.example", "c@x.example"])).data, /^250 /, logs());
    assert.match((await send("eve@ours.example", ["a@x.example", "b@x.example", "c@x.example"])).data, /^451 /, logs());
    assert.match((await send("eve@ours.example", ["a@x.example", "b@x.example"])).data, /^250 /, logs());
});

test("a block by command holds at once, for a name that is no address too", { skip }, async () => {
    assert.match((await send("carl")).data, /^250 /, logs());
    await site.must("sender", "block", "carl", "--reason", "gave away the password", "--until", "8h");
    await sleep(200);
    const { mail, rcpt } = await send("carl");
    assert.match(rcpt[0] ?? mail, /^554 5\.7\.1 .*suspended/, logs());
    assert.match((await http(site.httpSock, { headers: { From: "x@ours.example", Rcpt: "y@else.example", User: "CARL" }, body: "Subject: x\r\n\r\nx\r\n" })).text, /suspended/);
});

test("who nobody has authenticated is not counted, whatever name they claim", { skip }, async () => {
    const claims = { From: "bob@ours.example", Rcpt: "y@else.example", User: "carl" };
    const { text } = await http(site.http, { headers: claims, body: "Subject: x\r\n\r\nx\r\n" }); // class scan
    assert.ok(!/suspended/.test(text), text);
});

test("rulesd is down: nobody sends for a while, and the blocked stay so", { skip }, async () => {
    await site.stop();
    assert.match((await send("bob@ours.example")).data, /^451 /, logs());
    const { mail, rcpt } = await send("carl");
    assert.match(rcpt[0] ?? mail, /^554 5\.7\.1 /, logs());
    await site.restart();
    chmodSync(site.httpSock, 0o666);
    await waitFor("the proxy to come back", async () => /^250 /.test((await send("bob@ours.example")).data ?? ""), { seconds: 30 });
});

test("the look-up file is gone: Postfix goes on with what it has open, and takes no mail without one", { skip }, async () => {
    const refused = async () => {
        const { mail, rcpt } = await send("carl", undefined, 10_000).catch(() => ({ rcpt: [] }));
        return /^554 5\.7\.1 /.test(rcpt?.[0] ?? mail ?? "");
    };

    await site.stop();
    rmSync(join(site.dir, "lookup/postfix"), { recursive: true });
    assert.ok(await refused(), logs());
    await postfix.postfix("postfix", "reload");
    await sleep(500);
    const down = await send("bob@ours.example", undefined, 5_000).catch(() => null); // no answer, or 4xx
    assert.ok(!/^2/.test(down?.data ?? ""), logs());
    await site.restart();
    chmodSync(site.httpSock, 0o666);
    await waitFor("Postfix to read it", refused, { seconds: 60 });
    assert.match((await send("bob@ours.example")).data, /^[24]\d\d /, logs());
});

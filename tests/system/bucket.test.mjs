// Held mail in a bucket: custody is the spool, the bucket takes over behind it. The bucket is a small one of our own, in memory.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { test } from "node:test";

import { http, makeSite, startRulesd, waitFor } from "./lib/index.mjs";

const env = { AWS_ACCESS_KEY_ID: "AKIDEXAMPLE", AWS_SECRET_ACCESS_KEY: "secret" };
const mail = "From: Ben <ben@friends.example>\r\nTo: carl@theirs.example\r\nSubject: To be held\r\n\r\nSecret words.\r\n";

// { port, objects: name -> bytes, faults, away, stop() }; a fault is a request that is not signed, or not for its body.
async function startBucket() {
    const bucket = { objects: new Map(), faults: [], away: false };
    const answer = (req, path, query, body) => {
        const name = decodeURIComponent(path.slice("/bucket/".length)), there = bucket.objects.get(name);

        if (bucket.away) return [503, "<Error><Code>SlowDown</Code></Error>"];
        if (req.method === "PUT") return bucket.objects.set(name, body) && [200, ""];
        if (req.method === "DELETE") { bucket.objects.delete(name); return [204, ""]; }
        if (name === "") {
            const prefix = query.get("prefix"), names = [...bucket.objects.keys()].filter((n) => n.startsWith(prefix)).sort();
            const folders = [...new Set(names.map((n) => prefix + n.slice(prefix.length).replace(/\/.*/, "/")))];
            return [200, `<ListBucketResult>${query.get("delimiter") ? folders.map((f) => `<CommonPrefixes><Prefix>${f}</Prefix></CommonPrefixes>`).join("") : names.map((n) => `<Contents><Key>${n}</Key></Contents>`).join("")}</ListBucketResult>`];
        }
        if (!there) return [404, "<Error><Code>NoSuchKey</Code></Error>"];
        const last = /^bytes=0-(\d+)$/.exec(req.headers.range ?? "")?.[1];
        if (last === undefined) return [200, there];
        const part = there.subarray(0, Number(last) + 1);
        return [206, part, { "Content-Range": `bytes 0-${part.length - 1}/${there.length}` }];
    };
    const server = createServer((req, res) => {
        const pieces = [];

        req.on("data", (p) => pieces.push(p));
        req.on("end", () => {
            const body = Buffer.concat(pieces), { pathname, searchParams } = new URL(req.url, "http://bucket");

            if (!/^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/eu-test-1\/s3\/aws4_request, *SignedHeaders=\S*host\S*x-amz-content-sha256\S*, *Signature=[0-9a-f]{64}$/.test(req.headers.authorization ?? "") ||
                req.headers["x-amz-content-sha256"] !== createHash("sha256").update(body).digest("hex")) bucket.faults.push(`${req.method} ${req.url} ${req.headers.authorization}`);
            const [status, bytes, headers] = answer(req, pathname, searchParams, body);
            res.writeHead(status, headers).end(bytes);
        });
    });
    await new Promise((done) => server.listen(0, "127.0.0.1", done));
    bucket.port = server.address().port;
    bucket.stop = () => new Promise((done) => { server.closeAllConnections(); server.close(done); });
    return bucket;
}

test("what is held moves into the bucket, is shown and deleted there, and waits in the spool while the bucket is away", async () => {
    const bucket = await startBucket();
    const site = await makeSite({ rulesd: { mta_from: "127.0.0.0/8" } });
    const spool = join(site.dir, "spool");
    const inSpool = () => readdirSync(spool, { recursive: true }).filter((f) => /^\d{4}-\d\d-\d\d\/.+/.test(f));
    const hold = async (id) => JSON.parse((await http(site.http, { headers: { From: "<ben@friends.example>", Rcpt: "<carl@theirs.example>", IP: "192.0.2.7", "Queue-ID": id, Flags: "milter" }, body: mail })).text);
    const must = (...args) => site.must(...args, { env });

    site.configure({ quarantine: { url: `s3+http://127.0.0.1:${bucket.port}/bucket/held?region=eu-test-1&spool=${spool}` } });
    await must("init");
    await must("domain", "add", "theirs.example", "--at-block", "quarantine");
    await must("mailbox", "add", "carl@theirs.example");
    await must("rule", "add", "--scope", "mailbox:carl@theirs.example", "block", "--sender", "ben@friends.example");
    await startRulesd({ site, init: false, env });

    const one = await hold("Q1");
    assert.equal(one.milter.reject, "discard");
    await waitFor("the bucket to have it", () => bucket.objects.size === 1 && inSpool().length === 0, { seconds: 30 });
    const [name] = bucket.objects.keys();
    assert.match(name, /^held\/\d{4}-\d\d-\d\d\/[0-9a-f-]{36}$/);
    assert.ok(!bucket.objects.get(name).includes("Secret words"));
    const uid = name.slice(-36);
    assert.equal(await must("quarantine", "show", uid, "--body", "--reason", "a test"), mail);
    await waitFor("the row to know where", async () => (await site.postern(["quarantine", "verify", "--open"], { env })).code === 0);

    bucket.away = true;
    assert.equal((await hold("Q2")).milter.reject, "discard");
    await waitFor("the log to say so", () => /wait in the spool for the bucket/.test(site.log()), { seconds: 30 });
    assert.equal(inSpool().length, 1);
    assert.match((await site.postern(["quarantine", "show", uid, "--body", "--reason", "a test"], { env })).stderr, /503/);
    bucket.away = false;
    await waitFor("the second to follow", () => bucket.objects.size === 2 && inSpool().length === 0, { seconds: 60 });

    await must("quarantine", "delete", uid, "--yes");
    assert.deepEqual([...bucket.objects.keys()].filter((n) => n.endsWith(uid)), []);
    assert.equal(bucket.objects.size, 1);
    assert.deepEqual(bucket.faults, []);
    await site.stop();
    await bucket.stop();
    site.remove();
});

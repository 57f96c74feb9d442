// How a host and a domain look and what they call themselves: in pages, in mail, and by whom it is set.
import assert from "node:assert/strict";
import { request } from "node:http";
import { after, before, test } from "node:test";

import { Browser, makeSite, signIn, startPortal, startSmtpSink, waitFor } from "./lib/index.mjs";

const ANNA = "anna@ours.example", CLEO = "cleo@theirs.example", OWEN = "owen@ours.example", ROOT = "root@elsewhere.example";
const HOST = "mail.acme.example";
const PNG = Buffer.from("89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000a49444154789c6360000000020001e221bc330000000049454e44ae426082", "hex");
let site, sink, anna, owen, root, brand;

before(async () => {
    sink = await startSmtpSink();
    site = await makeSite({ smtp: { url: `smtp://127.0.0.1:${sink.port}`, from: "Post <post@ours.example>" } });
    await site.must("init");
    for (const d of ["ours.example", "theirs.example"]) await site.must("domain", "add", d);
    for (const a of [ANNA, CLEO, OWEN]) { await site.must("account", "add", a); await site.must("mailbox", "add", a); }
    await site.must("account", "set", OWEN, "--owner", "ours.example");
    await site.must("account", "add", ROOT, "--admin", "on");
    await startPortal(site, { settings: { name: "Our Post" } });
    [anna, owen, root] = await Promise.all([ANNA, OWEN, ROOT].map((a) => signIn(site, a)));
});
after(async () => { await site?.stopPortal(); await sink?.stop?.(); site?.remove?.(); });

// A browser that came by another name: fetch() would not let us say it.
class Elsewhere extends Browser {
    constructor(host) { super(site.origin); this.host = host; }
    call(method, path, { body } = {}) {
        const text = body === undefined ? "" : JSON.stringify(body);
        const address = new URL(this.origin + (path.startsWith("/api/") ? path : `/api/v1${path}`));

        return new Promise((done, failed) => {
            const asked = request(address, { method, headers: { Host: this.host, ...(text && { "Content-Type": "application/json" }) } }, async (r) => {
                const bytes = Buffer.concat(await r.toArray());
                done({ status: r.statusCode, headers: new Headers(r.headers), bytes, body: r.headers["content-type"]?.includes("json") ? JSON.parse(bytes) : bytes.toString() });
            });
            asked.on("error", failed);
            asked.end(text);
        });
    }
}
const at = (host) => new Elsewhere(host);
const look = async (who) => (await who.get("/brand")).body;
async function linkFor(address, from) {
    const before = sink.messages.length;
    assert.equal((await from.post("/signin/link", { address, ...await from.proof(address) })).status, 200);
    const m = await waitFor(`mail to ${address}`, () => sink.messages.slice(before).find((x) => x.rcpts.includes(address)));
    return m.message ?? m.data ?? m.text;
}

test("without a brand it is called as the settings say, and nothing else is told", async () => {
    assert.deepEqual(await look(new Browser(site.origin)), { name: "Our Post", logo: null, support: null, webmail: null, contacts: null, calendar: null, light: null, dark: null });
});

test("a brand is made by the operator, and by nobody else", async () => {
    const body = { name: "Acme Mail", prefix: "ACME", sender: "Acme <mail@acme.example>", url: `https://${HOST}`, support: "help@acme.example", webmail: "https://webmail.acme.example/", accent_light: "#1d4ed8", accent_dark: "#93c5fd" };
    for (const who of [anna, owen]) assert.equal((await who.post("/brands", body)).status, 404);
    const made = await root.post("/brands", body);
    assert.equal(made.status, 201);
    brand = made.body.id;
    assert.deepEqual([made.body.name, made.body.hosts, made.body.domains, made.body.logo], ["Acme Mail", [], [], null]);
    assert.deepEqual((await root.get("/brands")).body.items.map((b) => b.id), [brand]);
    assert.equal((await owen.get("/brands")).status, 404);
});

test("what cannot be read, or would break a page or a letter, is refused with a sentence", async () => {
    for (const [body, why] of [[{ accent_light: "#ffee88" }, /light pages .*contrast is 1\.\d/], [{ accent_dark: "#222244" }, /dark pages/], [{ webmail: "javascript:alert(1)" }, /begins with https/], [{ url: "https://x.example/path" }, /without anything behind/], [{ name: "A\" <x@y>" }, /quotes/], [{ prefix: "a b" }, /capitals/], [{ sender: "nobody" }, /no mail address/], [{ sender: "a@acme.example, b@acme.example" }, /^The sender is one mail address, and not several\.$/], [{ sender: "Acme <a@acme.example>\nBcc: b@acme.example" }, /control character/], [{ support: "a@acme.example, b@acme.example" }, /^The support address is one/]]) {
        const { status, body: said } = await root.patch(`/brands/${brand}`, body);
        assert.equal(status, 400, JSON.stringify(body));
        assert.match(said.detail, why);
        assert.equal(said.member, Object.keys(body)[0]);
    }
    assert.equal((await root.patch(`/brands/${brand}`, { calendar: "https://cal.acme.example/" })).body.name, "Acme Mail", "what is not named stays");
});

test("its host shows it, whatever the case or port, and another host does not", async () => {
    assert.equal((await root.put(`/brands/${brand}/hosts/${HOST}`, {})).status, 200);
    for (const host of [HOST, `${HOST}:8443`, HOST.toUpperCase()]) {
        const seen = await look(at(host));
        assert.equal(seen.name, "Acme Mail", host);
        assert.deepEqual([seen.support, seen.webmail, seen.calendar, seen.contacts], ["help@acme.example", "https://webmail.acme.example/", "https://cal.acme.example/", null]);
        assert.deepEqual(Object.keys(seen.light), ["accent", "on", "soft"]);
        assert.equal(seen.light.on, "#ffffff");
        assert.equal(seen.dark.on, "#000000");
    }
    assert.equal((await look(at("other.example"))).name, "Our Post");
});

test("who is signed in sees the brand of their domain, on every host", async () => {
    assert.equal((await look(anna)).name, "Our Post");
    assert.deepEqual((await root.put(`/brands/${brand}/domains/ours.example`, {})).body.domains, ["ours.example"]);
    assert.equal((await look(anna)).name, "Acme Mail");
    assert.equal((await look(root)).name, "Our Post");
    assert.equal((await root.put(`/brands/${brand}/domains/nowhere.example`, {})).status, 404);
});

test("a sign-in letter has the brand's sender and address, and what Host says is in none", async () => {
    const letter = await linkFor(ANNA, at("evil.example"));
    assert.match(letter, /^From: Acme <mail@acme\.example>/m);
    assert.match(letter.replaceAll("=\r\n", "").replaceAll("=3D", "="), new RegExp(`https://${HOST}/signin#`));
    assert.doesNotMatch(letter, /evil\.example|Postern|Our Post/);
    const plain = await linkFor(CLEO, at("evil.example"));
    assert.match(plain, /^From: Post <post@ours\.example>/m);
    assert.ok(plain.replaceAll("=\r\n", "").includes(`${site.origin}/signin#`));
    assert.doesNotMatch(plain, /evil\.example|acme/i);
});

test("a logo is an image, is shown as one, and as a page of its own does nothing", async () => {
    const put = (bytes) => root.call("PUT", `/brands/${brand}/logo`, { body: bytes, json: false, headers: { "Content-Type": "application/octet-stream" } });
    for (const [bytes, status] of [[Buffer.from("<html><script>alert(1)</script>"), 400], [Buffer.concat([PNG, Buffer.alloc(100_000)]), 422], [Buffer.from(`<!DOCTYPE svg [<!ENTITY a "b">]><svg/>`), 400]]) assert.equal((await put(bytes)).status, status);
    for (const [bytes, type] of [[PNG, "image/png"], [Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`), "image/svg+xml"]]) {
        assert.equal((await put(bytes)).status, 200);
        const { logo } = await look(at(HOST));
        const got = await at(HOST).get(logo);
        assert.deepEqual([got.status, got.headers.get("content-type"), got.bytes.equals(bytes)], [200, type, true]);
        assert.equal(got.headers.get("content-security-policy"), "default-src 'none'; style-src 'unsafe-inline'; sandbox");
        assert.equal(got.headers.get("x-content-type-options"), "nosniff");
    }
    assert.equal((await put(undefined)).status, 200);
    assert.equal((await look(at(HOST))).logo, null);
});

test("what is taken away is gone, and each step is in the audit log", async () => {
    assert.equal((await root.del(`/brands/${brand}/hosts/other.example`)).status, 404);
    assert.deepEqual((await root.del(`/brands/${brand}/hosts/${HOST}`)).body.hosts, []);
    assert.equal((await look(at(HOST))).name, "Our Post");
    assert.equal((await root.del(`/brands/${brand}`)).status, 204);
    assert.equal((await look(anna)).name, "Our Post");
    assert.equal((await root.del(`/brands/${brand}`)).status, 404);
    const actions = new Set((await root.get("/audit?limit=100")).body.items.map((r) => r.action));
    for (const a of ["brand.add", "brand.set", "brand.logo", "brand.host", "brand.domain", "brand.delete"]) assert.ok(actions.has(a), a);
    const given = async (what) => (await root.get(`/audit?action=brand.${what}`)).body.items.map((r) => [r.object_name, r.what]);
    assert.deepEqual(await given("host"), [[null, { before: { host: HOST } }], ["Acme Mail", { after: { host: HOST } }]]);
    assert.deepEqual(await given("domain"), [["Acme Mail", { after: { domain: "ours.example" } }]]);
});

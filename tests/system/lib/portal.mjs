// postern-portal on a site, and who talks to it: browsers with a cookie jar, programs with a key.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";

import { program } from "./postern.mjs";
import { canConnect, freePort, root, start } from "./process.mjs";

// All of the site, and { port, origin, portalLog(), stopPortal() }.
export async function startPortal(site, { settings = {}, env, port: wanted } = {}) {
    const port = wanted ?? await freePort();
    const origin = `http://127.0.0.1:${port}`;

    site.configure({ portal: { listen: `127.0.0.1:${port}`, public_url: origin, web: `${root}/portal/web`, modules: `${root}/portal/web/node_modules`, ...settings } });
    const server = await start("portal", program("postern-portal"), ["-c", site.conf], { dir: site.dir, env, ready: () => canConnect(`127.0.0.1:${port}`) });
    return Object.assign(site, { port, origin, portalPid: server.pid, portalLog: () => server.log(), stopPortal: () => server.stop(), killPortal: () => server.kill() });
}

// A refusal of a call has a code for its sentence and for each sentence in it, or a page could not say it in the reader's language. What HTTP
// itself refuses has no code of any kind.
function checkSaid(where, { code, detail, detail_said: said }) {
    if (code === undefined) return;
    const uncoded = (one) => (!one?.code ? [one?.text ?? detail] : Object.values(one.values).filter((v) => v !== null && typeof v === "object").flatMap(uncoded));

    for (const text of uncoded(said)) throw new Error(`${where}: this sentence has no code: ${text}`);
}

// A browser: keeps cookies, knows its CSRF token, says where it comes from. get/post/… give { status, body, headers }.
export class Browser {
    constructor(origin, { headers = {} } = {}) { this.origin = origin; this.cookies = new Map(); this.csrf = ""; this.headers = headers; }

    async call(method, path, { body, headers = {}, json = true, redirect = "manual" } = {}) {
        const all = { ...this.headers, "X-CSRF-Token": this.csrf, Origin: this.origin, "Sec-Fetch-Site": "same-origin", ...headers };

        if (this.cookies.size > 0) all.Cookie = [...this.cookies].map(([k, v]) => `${k}=${v}`).join("; ");
        if (body !== undefined && json) all["Content-Type"] = all["Content-Type"] ?? "application/json";
        for (const [name, value] of Object.entries(all)) if (value === null || value === "") delete all[name];
        const response = await fetch(this.origin + (path.startsWith("/api/") ? path : `/api/v1${path}`), { method, headers: all, redirect, body: body === undefined ? undefined : json && typeof body !== "string" ? JSON.stringify(body) : body });
        for (const line of response.headers.getSetCookie()) {
            const [pair] = line.split(";"), at = pair.indexOf("="), name = pair.slice(0, at), value = pair.slice(at + 1);
            if (value === "" || /max-age=0/i.test(line)) this.cookies.delete(name); else this.cookies.set(name, value);
        }
        const bytes = Buffer.from(await response.arrayBuffer()), text = bytes.toString();
        const type = response.headers.get("content-type") ?? "";
        const reply = { status: response.status, headers: response.headers, text, bytes, body: type.includes("json") ? JSON.parse(text) : text };

        if (type.includes("problem+json")) checkSaid(`${method} ${path}`, reply.body);
        return reply;
    }
    get(path, options) { return this.call("GET", path, options); }
    post(path, body = {}, options = {}) { return this.call("POST", path, { body, ...options }); }
    put(path, body, options = {}) { return this.call("PUT", path, { body, ...options }); }
    patch(path, body, options = {}) { return this.call("PATCH", path, { body, ...options }); }
    del(path, options) { return this.call("DELETE", path, options); }

    async session() {
        const { body } = await this.get("/session");
        this.csrf = body.csrf ?? "";
        return body;
    }
    // The piece of work that a page does before it asks to sign in.
    async proof(address = "") {
        const { body } = await this.get(`/signin/challenge?address=${encodeURIComponent(address)}`);
        for (let n = 0; ; n++) {
            const hash = createHash("sha256").update(`${body.words}:${n}`).digest();
            let bits = 0;
            for (const byte of hash) { if (byte === 0) { bits += 8; continue; } bits += Math.clz32(byte) - 24; break; }
            if (bits >= body.bits) return { challenge: body.id, answer: String(n) };
        }
    }
    async password(address, password) { return this.post("/signin/password", { address, password, ...await this.proof(address) }); }
}

// Signed in by the link that `postern login-link` prints.
export async function signIn(site, address) {
    const browser = new Browser(site.origin);
    const link = (await site.must("login-link", address)).trim();
    const { status, text } = await browser.post("/signin/link/use", { token: link.split("#")[1] });

    if (status !== 200) throw new Error(`${address} could not sign in: ${status} ${text}`);
    await browser.session();
    return browser;
}

// Everybody has it open, and all of them save at the same moment, several times: each time one is heard, and the others are told.
// change(name) is a body of PUT, read(reply) what it wrote.
export async function oneOfMany(browsers, path, change, read) {
    for (let round = 0; round < 5; round++) {
        const { body: { version } } = await browsers[0].get(path);
        const tries = await Promise.all(Array.from({ length: 8 }, (_, i) => browsers[i % browsers.length].put(path, change(`${round}.${i}`), { headers: { "If-Match": `"${version}"` } })));
        const heard = tries.findIndex((r) => r.status === 200), now = await browsers[0].get(path);

        assert.deepEqual(tries.map((r) => r.status).sort(), [200, ...Array(7).fill(412)]);
        assert.equal(read(now.body), `${round}.${heard}`);
    }
}

// Allow and Block are pressed about one message at the same moment, to and fro, for each sender: one rule of each comes of it, everybody
// who pressed is told of it, and one of the two goes ahead of the other.
export async function pressedAtOnce(browser, row, rules, senders) {
    for (const sender of senders) {
        const tries = await Promise.all(Array.from({ length: 8 }, (_, i) => browser.post(`/deliveries/${row.uid}/${row.n}/decide`, { action: ["allow", "block"][i % 2], sender })));
        const made = (await browser.get(rules)).body.items.filter((i) => i.rule.name === sender), of = (action) => made.filter((i) => i.rule.action === action).map((i) => i.id);

        assert.deepEqual(tries.map((r) => r.status), Array(8).fill(200), tries.map((r) => r.text).join());
        assert.equal(made.length, 2, JSON.stringify(made.map((i) => [i.rule.action, i.rule.priority])));
        tries.forEach((r, i) => assert.deepEqual([r.body.rule], of(["allow", "block"][i % 2])));
        assert.notEqual(made[0].rule.priority, made[1].rule.priority);
    }
}

// A program with a key.
export const keyed = (site, key) => new Browser(site.origin, { headers: { Authorization: `Bearer ${key}`, Origin: null, "Sec-Fetch-Site": null } });

// The portal behind a real nginx, with the lines of docs/portal.md: what people see over https, and what the portal knows of them.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { canConnect, freePort, http, makeSite, missing, must, removeDir, root, start, startPortal, startRulesd, tempDir, unpacked, waitFor } from "./lib/index.mjs";

const skip = missing("nginx"), ANNA = "anna@ours.example", NAME = "mail.example.com", CLIENT = "127.0.0.2";
let site, nginx, port, dir;

// The block of the page, with the paths and ports of this run.
function recipe(swap) {
    let text = /```nginx\n([^]*?)```/.exec(readFileSync(`${root}/docs/portal.md`, "utf8"))[1];

    for (const [from, to] of Object.entries(swap)) {
        assert.ok(text.includes(from), from);
        text = text.replaceAll(from, to);
    }
    return text;
}

async function startNginx() {
    await must("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", `/CN=${NAME}`, "-keyout", `${dir}/key.pem`, "-out", `${dir}/cert.pem`]);
    const server = recipe({ "listen 443 ssl": `listen 127.0.0.1:${port} ssl`, [`/etc/ssl/${NAME}.pem`]: `${dir}/cert.pem`, [`/etc/ssl/${NAME}.key`]: `${dir}/key.pem`, "127.0.0.1:8080": `127.0.0.1:${site.port}` });
    const temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((what) => `${what}_temp_path ${dir}/${what};`).join(" ");

    writeFileSync(join(dir, "nginx.conf"), `pid ${dir}/pid; error_log stderr; worker_processes 1;\nevents { }\nhttp { access_log off; ${temp}\n${server}}\n`);
    return start("nginx", join(unpacked("nginx"), "usr/sbin/nginx"), ["-p", dir, "-c", join(dir, "nginx.conf"), "-g", "daemon off;"], { dir, ready: () => canConnect(port) });
}

before(async () => {
    if (skip) return;
    port = await freePort();
    dir = tempDir("nginx");
    const settings = { public_url: `https://${NAME}:${port}`, trusted_proxies: /trusted_proxies = ([^;\n]+?)\s*;/.exec(readFileSync(`${root}/docs/portal.md`, "utf8"))[1] };
    const own = await makeSite();

    await own.must("init");
    await own.must("domain", "add", "ours.example");
    await own.must("account", "add", ANNA);
    await own.must("mailbox", "add", ANNA);
    site = await startRulesd({ site: own, init: false });
    await startPortal(site, { settings });
    nginx = await startNginx();
});
after(async () => { await nginx?.stop(); await site?.stopPortal(); await site?.stop(); site?.remove?.(); if (dir) removeDir(dir); });

const origin = () => `https://${NAME}:${port}`;
// A browser on another address than the proxy's: { status, headers, text, body }; with `on`, each piece of the answer as it comes.
function ask(method, path, { headers = {}, body, on } = {}) {
    return new Promise((done, failed) => {
        const call = request({ host: "127.0.0.1", port, method, path, localAddress: CLIENT, rejectUnauthorized: false, servername: NAME, headers: { Host: `${NAME}:${port}`, ...headers } }, (answer) => {
            const parts = [];

            answer.on("data", (bytes) => { parts.push(bytes); on?.(bytes.toString(), call); });
            answer.on("error", failed);
            answer.on("close", () => {
                const text = Buffer.concat(parts).toString(), type = answer.headers["content-type"] ?? "";
                done({ status: answer.statusCode, headers: answer.headers, text, body: type.includes("json") ? JSON.parse(text) : text });
            });
        });
        call.on("error", failed);
        call.end(body);
    });
}
const write = (method, path, body, headers) => ask(method, `/api/v1${path}`, { headers: { "Content-Type": "application/json", Origin: origin(), "Sec-Fetch-Site": "same-origin", ...headers }, body: typeof body === "string" ? body : JSON.stringify(body) });
async function signedIn(headers = {}) {
    const token = (await site.must("login-link", ANNA)).trim().split("#")[1];
    const { status, headers: said, text } = await write("POST", "/signin/link/use", { token }, headers);

    assert.equal(status, 200, text);
    const line = said["set-cookie"].find((l) => l.startsWith("__Host-session=")), Cookie = line.split(";")[0];
    return { line, Cookie, csrf: (await ask("GET", "/api/v1/session", { headers: { Cookie } })).body.csrf };
}

test("the pages come over https, with their policy, in the coding that the browser wants", { skip }, async () => {
    const { status, headers, text } = await ask("GET", "/", { headers: { "Accept-Encoding": "identity" } });

    assert.equal(status, 200);
    assert.match(headers["content-security-policy"], /default-src 'none'|script-src 'self'/);
    assert.match(text, /<script/);
    assert.equal((await ask("GET", "/app.js", { headers: { "Accept-Encoding": "gzip" } })).headers["content-encoding"], "gzip");
    const { headers: { etag } } = await ask("GET", "/app.js");
    assert.equal((await ask("GET", "/app.js", { headers: { "If-None-Match": etag } })).status, 304);
});

test("a link begins with the name that people type, its session's cookie is Secure, and writes are taken from that name alone", { skip }, async () => {
    assert.ok((await site.must("login-link", ANNA)).startsWith(`${origin()}/signin#`));
    const { line, Cookie, csrf } = await signedIn(), more = { Cookie, "X-CSRF-Token": csrf };

    assert.match(line, /; Secure/);
    assert.match(line, /; HttpOnly/);
    assert.equal((await write("PATCH", "/me", { name: "Anna" }, more)).status, 200);
    for (const other of ["https://evil.example", `https://${NAME}`, `http://${NAME}:${port}`, "null"])
        assert.equal((await write("PATCH", "/me", { name: "Else" }, { ...more, Origin: other })).status, 403, other);
});

test("the portal knows where people come from, whatever they say of it", { skip }, async () => {
    for (const headers of [{}, { "X-Forwarded-For": "192.0.2.66" }, { "X-Forwarded-For": "127.0.0.1" }]) {
        const { Cookie } = await signedIn(headers), { body } = await ask("GET", "/api/v1/me/sessions", { headers: { Cookie, ...headers } });

        assert.equal(body.items.find((s) => s.current).ip, CLIENT, JSON.stringify(headers));
    }
});

test("numbers are for nobody outside, and a large message passes", { skip }, async () => {
    const { Cookie, csrf } = await signedIn(), more = { Cookie, "X-CSRF-Token": csrf, "Content-Type": "application/octet-stream" };

    assert.equal((await ask("GET", "/metrics")).status, 404);
    const letter = `From: w@ext.example\r\nTo: ${ANNA}\r\nSubject: large\r\n\r\n${"x".repeat(70).concat("\r\n").repeat(45_000)}`;
    const { status, text } = await write("POST", `/scopes/mailbox:${ANNA}/rules/test/message`, letter, more);
    assert.equal(status, 200, text.slice(0, 300));
});

test("new mail is told as it comes, not when a buffer is full", { skip }, async () => {
    const { Cookie } = await signedIn();
    let heard = "", call;
    const stream = ask("GET", "/api/v1/me/events", { headers: { Cookie }, on: (text, c) => { heard += text; call = c; } }).catch(() => {});

    await waitFor("the stream", () => heard.includes("event: ready"));
    await http(site.httpSock, { headers: { From: "<w@ext.example>", Rcpt: `<${ANNA}>`, IP: "192.0.2.9", Flags: "milter", "Queue-ID": "Q1" }, body: "From: <w@ext.example>\r\nSubject: news\r\n\r\nHello.\r\n" });
    await waitFor("the word of it", () => /event: mail\ndata: \{"n":1\}/.test(heard));
    call.destroy();
    await stream;
});

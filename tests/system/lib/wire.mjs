// Bytes over a socket, and just enough SMTP to be a client and to be the last stop of a message.
import { connect, createServer } from "node:net";

import { freePort, sleep, target } from "./process.mjs";

// Sends bytes and returns all that comes back, as a Buffer.
//   split      send in pieces of so many bytes, one write each (1: byte by byte); or an array of offsets to cut at
//   gapMs      wait between the pieces
//   halfClose  end our side after the last byte (default); false keeps it open
//   until      (Buffer so far) => true when the reply is complete and we hang up; else we read until they close
//   timeoutMs  fail after this long; with `partial` return what has come until then
export async function rawTcp(to, bytes, { split, gapMs = 0, halfClose = true, until, timeoutMs = 60_000, partial } = {}) {
    const socket = connect({ ...target(to), allowHalfOpen: true });
    const reply = [];
    const whole = () => Buffer.concat(reply);

    socket.setNoDelay(true);
    const finished = new Promise((done, failed) => {
        const timer = setTimeout(() => {
            socket.destroy();
            if (partial) done(whole());
            else failed(new Error(`no end after ${timeoutMs} ms; so far: ${JSON.stringify(whole().toString("latin1"))}`));
        }, timeoutMs);
        const end = () => { clearTimeout(timer); socket.destroy(); done(whole()); };

        socket.on("data", (data) => { reply.push(data); if (until?.(whole())) end(); });
        socket.on("end", end);
        // A peer that refuses early resets what we still send: what it said before counts.
        socket.on("error", (error) => {
            if (reply.length > 0 && ["ECONNRESET", "EPIPE"].includes(error.code)) return end();
            clearTimeout(timer);
            failed(error);
        });
    });
    const sent = (async () => {
        for (const piece of pieces(Buffer.from(bytes), split)) {
            if (socket.destroyed) return;
            await new Promise((done) => socket.write(piece, done));
            if (gapMs > 0) await sleep(gapMs);
        }
        if (halfClose && !socket.destroyed) socket.end();
    })();

    await Promise.all([finished, sent]);
    return finished;
}

export function* pieces(bytes, split) {
    const cuts = Array.isArray(split) ? split : [];

    if (typeof split === "number") for (let at = split; at < bytes.length; at += split) cuts.push(at);
    let from = 0;
    for (const at of [...cuts, bytes.length]) {
        if (at > from) yield bytes.subarray(from, at);
        from = Math.max(from, at);
    }
}

// One HTTP reply, taken apart: { status, reason, headers (lower case; repeated ones joined), body (Buffer), text }.
export function parseHttp(bytes) {
    const end = bytes.indexOf("\r\n\r\n");
    const [first, ...lines] = bytes.subarray(0, end).toString("latin1").split("\r\n");
    const [, status, reason] = /^HTTP\/1\.[01] (\d{3}) ?(.*)$/.exec(first) ?? [];
    const headers = {};

    for (const line of lines) {
        const [, name, value] = /^([^:]+):[ \t]*(.*?)[ \t]*$/.exec(line);
        const key = name.toLowerCase();
        headers[key] = key in headers ? `${headers[key]}, ${value}` : value;
    }
    const rest = bytes.subarray(end + 4);
    const body = "content-length" in headers ? rest.subarray(0, Number(headers["content-length"])) : rest;
    return { status: Number(status), reason, headers, body, text: body.toString(), size: bytes.length - rest.length + body.length };
}

// One request on a connection of its own. headers: an object, or [name, value] pairs where a name repeats.
export async function http(to, { method = "POST", path = "/checkv2", headers = {}, body = "", version = "1.1", ...options } = {}) {
    const pairs = Array.isArray(headers) ? headers : Object.entries(headers);
    const bytes = Buffer.from(body);
    const has = (name) => pairs.some(([n]) => n.toLowerCase() === name);
    const lines = [`${method} ${path} HTTP/${version}`];

    if (!has("host")) lines.push("Host: localhost");
    if (!has("connection")) lines.push("Connection: close");
    if (!has("content-length") && !has("transfer-encoding")) lines.push(`Content-Length: ${bytes.length}`);
    for (const [name, value] of pairs) lines.push(`${name}: ${value}`);
    const request = Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`), bytes]);
    return parseHttp(await rawTcp(to, request, { halfClose: false, ...options }));
}

// One SMTP conversation: { mail, rcpt: [reply …], data, quit, all } with the last line of each reply as text.
//   helo, from, rcpts, message (LF or CRLF; dot-stuffed here), xclient, xforward: lines to send after EHLO
//   auth: [user, password] by AUTH PLAIN
export async function smtpSend(to, { helo = "client.example", from, rcpts, message, xclient = [], xforward = [], auth, timeoutMs = 90_000 }) {
    const socket = connect(target(to));
    const all = [];
    let pending = "", waiting = null, failure = null;

    const settle = () => {
        const reply = /^(?:\d{3}-.*\r\n)*(\d{3} .*|\d{3})\r\n/.exec(pending);
        if (waiting === null || (reply === null && failure === null)) return;
        const { done, failed } = waiting;
        waiting = null;
        if (reply === null) return failed(failure);
        pending = pending.slice(reply[0].length);
        all.push(reply[0]);
        done(reply[1]);
    };
    const reply = () => new Promise((done, failed) => { waiting = { done, failed }; settle(); });
    const say = (text) => { socket.write(text); return reply(); };

    socket.setTimeout(timeoutMs, () => socket.destroy(new Error("SMTP: no answer")));
    socket.on("data", (data) => { pending += data.toString("latin1"); settle(); });
    socket.on("error", (error) => { failure = error; settle(); });
    socket.on("close", () => { failure ??= new Error(`SMTP: connection closed; so far ${JSON.stringify(all)}`); settle(); });

    const result = { rcpt: [], data: null, all };
    try {
        result.banner = await reply();
        result.ehlo = await say(`EHLO ${helo}\r\n`);
        for (const line of xclient) await say(`XCLIENT ${line}\r\n`);
        if (xclient.length > 0) await say(`EHLO ${helo}\r\n`);
        for (const line of xforward) await say(`XFORWARD ${line}\r\n`);
        if (auth) result.auth = await say(`AUTH PLAIN ${Buffer.from(`\0${auth[0]}\0${auth[1]}`).toString("base64")}\r\n`);
        result.mail = await say(`MAIL FROM:<${from}>\r\n`);
        for (const rcpt of rcpts) result.rcpt.push(await say(`RCPT TO:<${rcpt}>\r\n`));
        if (result.rcpt.some((r) => r.startsWith("2"))) {
            const text = Buffer.from(message).toString("latin1").replace(/\r?\n/g, "\r\n").replace(/^\./gm, "..");
            result.data = await say("DATA\r\n");
            if (result.data.startsWith("354")) {
                socket.write(Buffer.from(text.endsWith("\r\n") ? text : `${text}\r\n`, "latin1"));
                result.data = await say(".\r\n");
            }
        }
        result.quit = await say("QUIT\r\n").catch((error) => String(error));
    } finally {
        socket.destroy();
    }
    return result;
}

// An SMTP server that takes everything and keeps it: { port, messages: [{ from, rcpts, data, helo }], stop() }.
// `answer(verb, argument)` may return a reply of its own, such as "550 5.1.1 no".
export async function startSmtpSink({ answer = () => null } = {}) {
    const port = await freePort();
    const messages = [], sockets = new Set();
    const server = createServer((socket) => {
        let pending = "", current = null, inData = false, helo = "";
        const say = (text) => socket.write(`${text}\r\n`);
        const command = (line) => {
            const verb = line.split(/[ :]/)[0].toUpperCase();
            const own = answer(verb, line);

            if (verb === "EHLO") { helo = line.slice(5); say(own ?? "250-sink\r\n250-XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE\r\n250-8BITMIME\r\n250 SMTPUTF8"); return; }
            if (own) { say(own); return; }
            if (verb === "MAIL") current = { helo, from: /<(.*?)>/.exec(line)[1], rcpts: [], data: "", lines: [line] };
            else if (verb === "RCPT") { current.rcpts.push(/<(.*?)>/.exec(line)[1]); current.lines.push(line); }
            else if (verb === "DATA") { inData = true; say("354 go on"); return; }
            say(verb === "QUIT" ? "221 bye" : "250 ok");
            if (verb === "QUIT") socket.end();
        };

        sockets.add(socket);
        socket.on("close", () => sockets.delete(socket));
        socket.on("error", () => { /* the client went away */ });
        socket.on("data", (data) => {
            pending += data.toString("latin1");
            for (let end; (end = pending.indexOf("\r\n")) >= 0;) {
                const line = pending.slice(0, end);
                pending = pending.slice(end + 2);
                if (!inData) command(line);
                else if (line !== ".") current.data += `${line.replace(/^\./, "")}\r\n`;
                else { inData = false; messages.push(current); say(answer("END", current) ?? "250 2.0.0 kept"); }
            }
        });
        say("220 sink ESMTP");
    });

    await new Promise((done) => server.listen(port, "127.0.0.1", done));
    server.unref();
    return {
        port, messages,
        stop: () => new Promise((done) => { for (const s of sockets) s.destroy(); server.close(done); }),
    };
}

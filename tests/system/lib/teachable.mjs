// A filter that is no filter: it answers /learnspam, /learnham and /stat as Rspamd's controller does, and remembers what it was asked.
// Its manner can be changed while it runs:
//   poison  a pattern: a message that it matches is answered with 500
//   well  as Rspamd: 200, 208 for the same message and class again     slow  the same, a second later
//   shut  401    broken  500    cut  closes in the middle of its answer    nonsense  no HTTP at all    silent  never answers
import { createServer } from "node:http";
import { createServer as createTcp } from "node:net";

const id = (body) => /^Message-ID:\s*(\S+)/mi.exec(body)?.[1] ?? body;

export async function startTeachable({ manner = "well", delayMs = 0, port = 0, poison } = {}) {
    const known = new Map(), asked = []; // message id -> class; { at, id, class, status }
    const state = { manner };
    const http = createServer(async (request, response) => {
        const chunks = [];
        for await (const chunk of request) chunks.push(chunk);
        const text = Buffer.concat(chunks).toString(), message = id(text), kind = request.url === "/learnspam" ? "spam" : "ham";
        const say = (status, body, reason) => {
            asked.push({ at: performance.now(), id: message, class: kind, status });
            response.writeHead(status, reason ?? "", { Connection: "close", "Content-Type": "application/json" }).end(JSON.stringify(body));
        };

        if (request.url === "/stat") {
            const count = (c) => [...known.values()].filter((k) => k === c).length;
            response.writeHead(200, { Connection: "close" }).end(JSON.stringify({ statfiles: [{ symbol: "BAYES_SPAM", revision: count("spam") }, { symbol: "BAYES_HAM", revision: count("ham") }] }));
            return;
        }
        if (state.manner === "shut") return void say(401, { error: "Unauthorized" });
        if (state.manner === "broken" || poison?.test(text)) return void say(500, { error: "x" });
        if (state.manner === "slow") await new Promise((done) => setTimeout(done, 1000));
        if (delayMs > 0) await new Promise((done) => setTimeout(done, delayMs));
        if (known.get(message) === kind) return void say(208, { error: `${message} has been already learned as ${kind}, ignore it` });
        known.set(message, kind);
        say(200, { success: true });
    });
    // In front of it, for what HTTP servers cannot do.
    const open = new Set();
    const server = createTcp((socket) => {
        socket.on("error", () => {}).on("close", () => open.delete(socket));
        open.add(socket);
        if (["cut", "nonsense", "silent"].includes(state.manner)) {
            asked.push({ at: performance.now(), status: state.manner });
            if (state.manner === "silent") socket.resume();
            if (state.manner === "cut") socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{\"succ"));
            if (state.manner === "nonsense") socket.once("data", () => socket.end("\x01\x02 is this the way to the station?\r\n".repeat(50)));
            return;
        }
        http.emit("connection", socket);
    });
    await new Promise((done) => server.listen(port, "127.0.0.1", done));
    return {
        port: server.address().port, url: `rspamd+http://127.0.0.1:${server.address().port}`, known, asked,
        be: (manner) => { state.manner = manner; },
        stop: () => new Promise((done) => { for (const socket of open) socket.destroy(); server.close(done); }),
    };
}

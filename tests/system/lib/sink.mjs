// A mail server that keeps what it gets, says no where a test wants it to, and tells when a step is reached, so that its client can be killed there.
//   box.letters   [{ to, from, text }], in the order of their final dots: also those whose 250 nobody heard
//   box.at        { MAIL, dot, sent } → a function called at that step; "dot" before the answer to it, "sent" behind that answer
//   box.say       (word, to) → a reply other than 250, or undefined
import { createServer } from "node:net";

export async function startSink() {
    const box = { letters: [], at: {}, say: () => undefined, sockets: new Set(), connections: 0 };
    const reached = (step) => box.at[step]?.();
    const server = createServer({ noDelay: true }, (socket) => {
        let pending = "", text, from = "", to = "";
        const put = (line) => socket.writable && socket.write(`${line}\r\n`);

        box.connections++;
        box.sockets.add(socket);
        socket.on("error", () => { /* it was killed */ });
        socket.on("close", () => box.sockets.delete(socket));
        const command = (line) => {
            const word = line.split(/[ :]/)[0].toUpperCase(), no = box.say(word, to);

            if (no) return put(no);
            if (word === "MAIL") { from = /<([^>]*)>/.exec(line)?.[1] ?? ""; reached("MAIL"); }
            if (word === "RCPT") to = /<([^>]*)>/.exec(line)?.[1] ?? "";
            if (word === "DATA") { text = []; return put("354 go on"); }
            if (word === "QUIT") { put("221 bye"); return socket.end(); }
            return put(word === "EHLO" ? "250-sink\r\n250 8BITMIME" : "250 2.0.0 Ok");
        };
        const dot = () => {
            const no = box.say(".", to);

            if (!no) box.letters.push({ to, from, text: text.join("\r\n") });
            text = undefined;
            reached("dot");
            put(no ?? "250 2.0.0 Ok: queued as SINK1");
            if (!no) reached("sent");
        };
        socket.on("data", (bytes) => {
            pending += bytes.toString("latin1");
            for (let end; (end = pending.indexOf("\r\n")) >= 0;) {
                const line = pending.slice(0, end);

                pending = pending.slice(end + 2);
                if (text === undefined) command(line);
                else if (line === ".") dot();
                else text.push(line.startsWith(".") ? line.slice(1) : line);
            }
        });
        put("220 sink ESMTP");
    });

    await new Promise((done) => server.listen(0, "127.0.0.1", done));
    return Object.assign(box, {
        port: server.address().port,
        url: `smtp://127.0.0.1:${server.address().port}`,
        stop: () => { for (const s of box.sockets) s.destroy(); server.close(); },
    });
}

// The first value of a header field, unfolded.
export const field = (letter, name) => new RegExp(`^${name}: *((?:.*)(?:\\r\\n[ \\t].*)*)`, "im").exec(letter.text.split("\r\n\r\n")[0])?.[1].replace(/\r\n[ \t]+/g, " ");

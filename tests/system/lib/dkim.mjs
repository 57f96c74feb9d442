// A signer of mail, for tests that need a sender who is proven: { record, sign(message) }.
import { createHash, createSign, generateKeyPairSync } from "node:crypto";

const relaxLine = (line) => line.replace(/[ \t]+/g, " ").replace(/ $/, "");
const relaxBody = (body) => `${body.split("\r\n").map(relaxLine).join("\r\n").replace(/(\r\n)*$/, "")}\r\n`;
const relaxField = (field) => { const [, name, value] = /^([^:]+):([^]*)$/.exec(field); return `${name.toLowerCase().trim()}:${relaxLine(value.replace(/\r\n/g, "")).trim()}`; };

// record: what DNS says of the key. sign(): the message (CRLF) with a DKIM-Signature on top, of From and Subject.
//   as  what stands in d= and s=, where a test lies about it
export function makeSigner(domain, selector = "test") {
    const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const key = publicKey.export({ type: "spki", format: "der" }).toString("base64");
    const sign = (message, { d = domain, s = selector } = {}) => {
        const end = message.indexOf("\r\n\r\n"), fields = message.slice(0, end).split(/\r\n(?![ \t])/);
        const signed = ["from", "subject"].map((name) => fields.find((f) => f.toLowerCase().startsWith(`${name}:`)));
        const hash = createHash("sha256").update(relaxBody(message.slice(end + 4))).digest("base64");
        const field = `DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=${d}; s=${s}; h=from:subject; bh=${hash}; b=`;
        const text = [...signed, field].map(relaxField).join("\r\n");

        return `${field}${createSign("sha256").update(text).sign(privateKey, "base64")}\r\n${message}`;
    };

    return { sign, record: { name: `${selector}._domainkey.${domain}`, type: "txt", replies: [`v=DKIM1; k=rsa; p=${key}`] } };
}

// What the benches send, and the rules that it meets: the same for every server, made from numbers, never random.
const pad = (i) => String(i).padStart(5, "0");

// Recipients, senders and client addresses in turn; one message in 50 meets a rule.
export function names(domains = ["ours.example"]) {
    const n = 5_000;
    const pick = (i) => domains[(i * 7919) % domains.length];
    return {
        rcpts: Array.from({ length: n }, (_, i) => `anna@${pick(i)}`),
        froms: Array.from({ length: n }, (_, i) => (i % 50 === 0 ? `sender3@bad${pad(3)}.example` : `friend${i}@good${i % 997}.example`)),
        ips: Array.from({ length: n }, (_, i) => `198.51.${i % 200}.${i % 250}`),
    };
}

const words = ("the invoice for the garden tools that we ordered in autumn has arrived and will be paid before the end of this month "
    + "please tell the people in the warehouse to expect a delivery on tuesday morning between nine and eleven").split(" ");

function text(bytes) {
    let out = "";
    for (let i = 0; out.length < bytes; i++) out += words[(i * 31 + (i >> 5)) % words.length] + (i % 12 === 11 ? "\r\n" : " ");
    return `${out.slice(0, bytes)}\r\n`;
}

const head = (more) => [
    "Received: from mail.good.example (mail.good.example [198.51.100.7]) by mx.ours.example with ESMTPS id 4ABC; Fri, 20 Nov 2026 10:00:00 +0000",
    "From: Ben Friend <ben@good.example>", "To: anna@ours.example", "Subject: The tools for the garden", "Date: Fri, 20 Nov 2026 10:00:00 +0000",
    "Message-ID: <20261120100000.4711@good.example>", "MIME-Version: 1.0", ...more, "", ""].join("\r\n");

export function message(bytes) {
    const top = head(["Content-Type: text/plain; charset=utf-8"]);
    return top + text(Math.max(10, bytes - top.length));
}

// Text, HTML and an attachment: a quarter, a quarter, a half.
export function contentMessage(bytes) {
    const part = (type, more, body) => `--b\r\nContent-Type: ${type}\r\n${more}\r\n${body}\r\n`;
    const html = text(bytes / 4).split("\r\n").map((l) => `<p>${l}</p>`).join("\r\n");
    const base64 = Buffer.from(text(bytes * 3 / 8)).toString("base64").replace(/.{76}/g, "$&\r\n");
    return head(['Content-Type: multipart/mixed; boundary="b"']) + part("text/plain; charset=utf-8", "", text(bytes / 4)) + part("text/html; charset=utf-8", "", html)
        + part('application/pdf; name="tools.pdf"', 'Content-Disposition: attachment; filename="tools.pdf"\r\nContent-Transfer-Encoding: base64\r\n', base64) + "--b--\r\n";
}

// `count` domains with `each` rules of sender, domain, IP and subject; the same as Rspamd maps and as SpamAssassin preferences.
export function domainRules(count, each = 10) {
    const domains = Array.from({ length: count }, (_, i) => `d${pad(i)}.example`);
    const lines = [], maps = { sender: [], domain: [], ip: [], subject: [] }, prefs = [];

    for (const domain of domains) {
        for (let j = 0; j < each; j++) {
            const kind = ["sender", "domain", "ip", "subject"][j % 4];
            const entry = { sender: `sender${j}@bad${pad(j)}.example`, domain: `worse${pad(j)}.example`, ip: `203.0.${(j >> 8) & 255}.${j & 255}`, subject: `unwanted offer ${j}` }[kind];
            const condition = { sender: { kind: "sender", source: "envelope", any: [entry] }, domain: { kind: "sender", source: "envelope", any: [entry] },
                ip: { kind: "ip", any: [entry] }, subject: { kind: "subject", match: "exact", any: [entry] } }[kind];
            lines.push({ scope: `domain:${domain}`, action: "block", conditions: [condition] });
            maps[kind].push(`${domain}|${entry}`);
            prefs.push([`%${domain}`, "blocklist_from", kind === "domain" ? `*@${entry}` : kind === "sender" ? entry : `nobody${j}@${kind}.example`]);
        }
    }
    return { domains, lines, maps, prefs };
}

// Ten conditions that need the body; none is met. `lua` says the same to Rspamd.
export function contentRules() {
    const domain = "d00000.example";
    const contains = ["wire the money today", "claim your prize", "lowest price pills"];
    const regexes = ["INV-[0-9]{6}", "bitcoin\\s+wallet", "act now[!.]+", "[a-z]+@lottery\\.example"];
    const files = ["*.exe", "*.scr", "invoice-*.js"];
    const rule = (condition) => ({ scope: `domain:${domain}`, action: "block", conditions: [condition] });
    return {
        domain, lua: { contains, regexes, files },
        lines: [
            ...contains.map((t) => rule({ kind: "body", match: "contains", any: [t] })),
            ...regexes.map((t) => rule({ kind: "body", match: "regex", any: [t] })),
            ...files.map((t) => rule({ kind: "attachment", any: [{ filename: t }] })),
        ],
    };
}

// One domain with `count` regular expressions on subjects and bodies, each with a fixed text to look for first.
export function regexRules(count) {
    const domain = "d00000.example";
    return {
        domains: [domain],
        lines: Array.from({ length: count }, (_, i) => ({
            scope: `domain:${domain}`, action: "block",
            conditions: [{ kind: i % 2 ? "subject" : "body", match: "regex", any: [`offer-${pad(i)}-[a-z]{3,9}\\b`] }],
        })),
    };
}

// What rulesd says about a message, in both protocols, as a mail server that is trusted would ask it.
import { http, rawTcp } from "./wire.mjs";

// { status, action, rule: "allow" | "block" | "none", or null when one is asked to come again }; headers go with the question. Over HTTP.
export async function askHttp(site, rcpt, message, headers = {}) {
    const { status, text } = await http(site.http, { headers: { Rcpt: rcpt, ...headers }, body: message });
    const said = JSON.parse(text);
    const symbols = Object.keys(said.symbols ?? {});

    return { status, action: said.action, rule: status !== 200 ? null : symbols.includes("POSTERN_ALLOW") ? "allow" : symbols.includes("POSTERN_BLOCK") ? "block" : "none" };
}

// { line: the first line of the reply, spam, rule }. Over spamd, with SYMBOLS.
export async function askSpamd(site, rcpt, message) {
    const reply = (await rawTcp(site.spamd, `SYMBOLS SPAMC/1.5\r\nUser: ${rcpt}\r\nContent-length: ${Buffer.byteLength(message)}\r\n\r\n${message}`)).toString();
    const symbols = reply.slice(reply.indexOf("\r\n\r\n") + 4);

    return {
        line: reply.split("\r\n")[0], spam: /^Spam: True/m.test(reply),
        rule: !/^SPAMD\/1\.\d 0 /.test(reply) ? null : symbols.includes("POSTERN_ALLOW") ? "allow" : symbols.includes("POSTERN_BLOCK") ? "block" : "none",
    };
}

// spamd's User that is a login name: at the domain that the settings name it is somebody's address.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { furnish, mail } from "./lib/household.mjs";
import { makeSite, spamc, startRulesd } from "./lib/index.mjs";

let site;
before(async () => {
    site = await makeSite();
    site.configure({ rulesd: { user_domain: "ours.example", listen_spamd: [
        `127.0.0.1:${site.spamd}`, `unix:${site.spamdSock}?envelope_lines=on`,
        `unix:${site.dir}/milter.sock?envelope_lines=milter`, `unix:${site.dir}/theirs.sock?user_domain=theirs.example`,
        `unix:${site.dir}/nobody.sock?user_domain=`] } });
    site = await startRulesd({ site });
    await furnish(site);
});
after(async () => { await site?.stop(); site?.remove(); });

const lottery = mail({ subject: "You won the lottery" }), newsletter = mail({ subject: "Our newsletter" });
const verdict = async (to, user, message) => {
    const where = to === "tcp" ? ["-d", "127.0.0.1", "-p", String(site.spamd)] : ["-U", to];
    const { code, stdout } = await spamc([...where, "-u", user, "-c"], message);
    assert.ok(code === 0 || code === 1, `${code} ${stdout}`);
    return code === 1 ? "spam" : "ham";
};

test("a login name is that name at the domain, over TCP and from an MTA", async () => {
    assert.equal(await verdict("tcp", "joe", lottery), "spam");
    assert.equal(await verdict(site.spamdSock, "Joe", lottery), "spam");
    assert.equal(await verdict("tcp", "ann", lottery), "ham");
    assert.equal(await verdict("tcp", "joe+list", lottery), "spam");
});

test("a whole address stays what it is", async () => {
    assert.equal(await verdict("tcp", "joe@ours.example", lottery), "spam");
    assert.equal(await verdict("tcp", "joe@theirs.example", lottery), "ham");
});

test("a name that nobody has gets the domain's rules", async () => {
    assert.equal(await verdict("tcp", "nobody", mail({ from: "x@bad.example" })), "spam");
});

test("each listener may have a domain of its own, or none", async () => {
    assert.equal(await verdict(`${site.dir}/theirs.sock`, "joe", newsletter), "spam");
    assert.equal(await verdict(`${site.dir}/theirs.sock`, "joe", lottery), "ham");
    assert.equal(await verdict(`${site.dir}/nobody.sock`, "joe", lottery), "ham");
});

test("envelope lines of an MTA count instead of the name", async () => {
    assert.equal(await verdict(site.spamdSock, "ann", `X-Envelope-To: joe@ours.example\n${lottery}`), "spam");
    assert.equal(await verdict(site.spamdSock, "joe", `X-Envelope-To: ann@ours.example\n${lottery}`), "ham");
});

test("spamass-milter's name for several recipients is nobody's", async () => {
    const message = `X-Envelope-From: <x@good.example>\r\nX-Envelope-To: <ann@ours.example>\r\nX-Envelope-To: <joe@ours.example>\r\n${lottery}`;
    assert.equal(await verdict(`${site.dir}/milter.sock`, "joe", message), "ham");
});

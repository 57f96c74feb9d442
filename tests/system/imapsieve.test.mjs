// A real Dovecot with the files of examples/dovecot: what an IMAP client moves into Junk and out again is reported.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { cannot, example, makeDovecotAgent, program, run, start, startRedis, startRspamdScanner, startRulesd, waitFor } from "./lib/index.mjs";

const skip = cannot("dovecot-core", "dovecot-sieve", "dovecot-imapd", "rspamd"), ANNA = "anna@ours.example";
const words = (seed) => Array.from({ length: 120 }, (_, i) => `word${(seed * 7919 + i * 104729) % 5003}`).join(" ");
const letter = (n) => `Authentication-Results: mx.ours.example; dmarc=pass header.from=shops.example\nFrom: shop${n}@shops.example\nTo: ${ANNA}\nSubject: letter ${n}\nMessage-ID: <i${n}@shops.example>\n\n${words(n)}\n`;
let redis, filter, site, trainer, dovecot;

before(async () => {
    if (skip) return;
    redis = await startRedis();
    filter = await startRspamdScanner({ redis: redis.port });
    site = await startRulesd({ config: { rules: { authserv_id: "mx.ours.example" }, trainer: { backend: `rspamd+http://127.0.0.1:${filter.controller}`, password: filter.password } } });
    await site.must("domain", "add", "ours.example");
    await site.must("mailbox", "add", ANNA);
    const token = /^(pst_\S+)$/m.exec(await site.must("token", "add", "imapsieve", "report"))[1];
    trainer = await start("trainer", program("postern-trainer"), ["-c", site.conf], { dir: site.dir, ready: async () => true });
    dovecot = makeDovecotAgent({
        config: (path) => example("dovecot/dovecot.conf", { "/etc/dovecot/sieve-pipe": path("bin"), "/etc/dovecot/sieve/": `${path("")}/` }),
        files: (path) => ({
            "report-spam.sieve": example("dovecot/report-spam.sieve"), "report-ham.sieve": example("dovecot/report-ham.sieve"),
            "token.curl": example("dovecot/postern-report.curl", { "pst_…": token }),
            "bin/postern-report": example("dovecot/postern-report", { "127.0.0.1:11344": `127.0.0.1:${site.http}`, "/etc/dovecot/postern-report.curl": path("token.curl") }),
        }),
    });
});
after(async () => { for (const stop of [dovecot?.remove, trainer?.stop, site?.stop, filter?.stop, redis?.stop]) await stop?.(); });

const sql = async (file, text) => (await run("sqlite3", ["-cmd", ".timeout 5000", join(site.dir, file), text])).stdout.toString().trim();
const reports = () => sql("log.db", "SELECT class || ' ' || state || ' ' || who || ' ' || channel FROM report ORDER BY created_us");
const entries = () => sql("postern.db", "SELECT action || ' ' || sender FROM learned ORDER BY sender");
const imap = async (...commands) => {
    const text = await dovecot.imap(ANNA, [...commands, "LOGOUT"]);
    assert.doesNotMatch(text, /^t\d+ (NO|BAD)/m, `${text}\n${dovecot.log()}`);
    return text;
};
const append = (folder, mail) => `APPEND ${folder} {${mail.length}+}\r\n${mail}`;
const becomes = (read, want) => waitFor(`"${want}"`, async () => (await read()) === want || undefined).catch(async (e) => assert.fail(`${e.message}: ${await read()}\n${dovecot.log()}\n${site.log()}`));

test("what is moved into Junk is spam, and out of it ham; the learned sender turns", { skip }, async () => {
    await imap("CREATE Junk", "CREATE Trash", "CREATE Work", append("INBOX", letter(1)), "SELECT INBOX", "MOVE 1 Junk");
    await becomes(reports, `spam learnt ${ANNA} report`);
    await becomes(entries, "block shop1@shops.example");
    await imap("SELECT Junk", "MOVE 1 INBOX");
    await becomes(reports, `spam superseded ${ANNA} report\nham learnt ${ANNA} report`);
    await becomes(entries, "allow shop1@shops.example");
});

test("what is thrown away out of Junk, or moved elsewhere, says nothing; a copy into Junk does", { skip }, async () => {
    const before = await reports();

    await imap(append("Work", letter(2)), "SELECT Work", "COPY 1 Trash", "SELECT Trash", "MOVE 1 Work");
    assert.equal(await reports(), before);
    await imap("SELECT Work", "COPY 1 Junk", "SELECT Junk", "MOVE 1 Trash");
    await becomes(reports, `${before}\nspam learnt ${ANNA} report`);
});

test("while rulesd is away mail is moved all the same", { skip }, async () => {
    await site.stop();
    assert.match(await imap(append("INBOX", letter(3)), "SELECT INBOX", "MOVE 1:* Junk", "STATUS Junk (MESSAGES)"), /MESSAGES 2\b/); // the first one too
});

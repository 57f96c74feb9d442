// Look-ups on PostgreSQL: a view for each program, behind a role that may read it and nothing else.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { cannot, makeSite, run, sleep, spamc, startPostgres, startRulesd, startSpamd, waitFor } from "./lib/index.mjs";

let postgres, site;

before(async () => {
    postgres = await startPostgres();
    site = await makeSite({ store: { url: postgres.url }, lookup: { programs: "spamassassin, postfix" } });
    site.configure({ lookup: { dir: `${site.dir}/lookup` } });
    site = await startRulesd({ site });
    await site.must("domain", "add", "ours.example");
    await site.must("mailbox", "add", "anna@ours.example");
    await postgres.psql(await site.must("lookup", "sql"));
});
after(async () => { await site?.stop(); site?.remove?.(); await postgres?.stop(); });

const as = (role, sql) => run("psql", ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", String(postgres.port), "-U", role, "postern"], { input: sql });

// As SpamAssassin puts a user into the query that it was given.
async function preferences(user) {
    const [, query] = /^user_scores_sql_custom_query (.*)$/m.exec(await site.must("lookup", "spamassassin"));
    const quote = (text) => `'${text.replaceAll("'", "''")}'`, [mailbox, domain] = user.split("@");
    const { code, stdout, stderr } = await as("postern_spamassassin", query.replaceAll("_USERNAME_", quote(user))
        .replaceAll("_MAILBOX_", quote(mailbox)).replaceAll("_DOMAIN_", quote(domain)));
    assert.equal(code, 0, stderr);
    return stdout.trim().split("\n");
}

test("SpamAssassin's role reads the preferences by the query that the command prints", async () => {
    assert.deepEqual(await preferences("anna@ours.example"), ["required_score|6"]);
    await site.must("rule", "add", "--scope", "mailbox:anna@ours.example", "--name", "No shop", "--sender", "news@shop.example", "block");
    await site.must("thresholds", "set", "domain:ours.example", "add_header=5.5");
    await sleep(200);
    assert.deepEqual((await preferences("Anna+tag@Ours.Example")).sort(), ["blocklist_from|news@shop.example",
        "required_score|5.5", "required_score|6", "unwelcomelist_auth|news@shop.example"]);
    assert.deepEqual(await preferences("bob@ours.example"), ["required_score|6", "required_score|5.5"]);
});

test("whoever has no address reads what the catch-all does", async () => {
    await site.must("domain", "add", "all.example");
    for (const who of ["carol@all.example", "dan@all.example"]) await site.must("mailbox", "add", who);
    await site.must("address", "add", "@all.example", "--to", "carol@all.example");
    await site.must("rule", "add", "--scope", "mailbox:carol@all.example", "--name", "No shop", "--sender", "news@shop.example", "block");
    await sleep(200);
    assert.ok((await preferences("whoever+x@all.example")).includes("blocklist_from|news@shop.example"));
    assert.deepEqual(await preferences("dan+x@all.example"), ["required_score|6"]);
});

test("a real spamd reads them, by DBI", { skip: cannot("spamassassin", "spamd", "libdbd-pg-perl") }, async () => {
    const lines = (await site.must("lookup", "spamassassin")).replace("host=/run/postgresql", `host=127.0.0.1;port=${postgres.port}`);
    const spamd = await startSpamd({ local: `${lines}\ndns_available no\nskip_rbl_checks 1\n`, args: ["-q", "-u", "debian-spamd"], modules: ["libdbd-pg-perl"] });
    const ask = async (user, from) => {
        const message = `From: ${from}\nTo: ${user}\nSubject: hello\nDate: Sun, 22 Nov 2026 03:00:00 +0000\nMessage-ID: <${Math.random()}@x.example>\n\nHello.\n`;
        const [, score, required] = /^(-?[\d.]+)\/([\d.]+)/.exec((await spamc(["-d", "127.0.0.1", "-p", String(spamd.port), "-u", user, "-R"], message)).stdout) ?? [];
        return [Number(score) > 50 ? "blocked" : "not blocked", Number(required)];
    };

    try {
        assert.deepEqual(await ask("anna@ours.example", "news@shop.example"), ["blocked", 5.5]);
        assert.deepEqual(await ask("Anna+tag@Ours.Example", "news@shop.example"), ["blocked", 5.5]);
        assert.deepEqual(await ask("bob@ours.example", "news@shop.example"), ["not blocked", 5.5]);
        assert.deepEqual(await ask("eve@elsewhere.example", "news@shop.example"), ["not blocked", 6]);
        await site.must("rule", "add", "--scope", "domain:ours.example", "--name", "Nobody", "--sender", "x@nobody.example", "block");
        await waitFor("the rule to hold", async () => (await ask("bob@ours.example", "x@nobody.example"))[0] === "blocked");
    } finally {
        await spamd.stop();
    }
});

test("Postfix's role reads who may not send", async () => {
    await site.must("sender", "block", "anna@ours.example", "--reason", "test");
    assert.equal((await as("postern_postfix", "SELECT action FROM postern.postfix_blocked_sender WHERE login = 'anna@ours.example'")).stdout,
        "REJECT 5.7.1 Sending from this account is suspended\n");
    await site.must("sender", "unblock", "anna@ours.example");
    assert.equal((await as("postern_postfix", "SELECT * FROM postern.postfix_blocked_sender")).stdout, "");
});

test("neither reads or writes anything else", async () => {
    const forbidden = ["SELECT * FROM postern.domain", "SELECT * FROM postern.account", "SELECT * FROM postern.rule", "SELECT * FROM postern.blocked_sender",
        "SELECT * FROM postern.spamassassin_row", "SELECT * FROM postern_log.counter", "DELETE FROM postern.spamassassin_userpref", "CREATE TABLE postern.x (y INT)"];

    for (const sql of [...forbidden, "SELECT * FROM postern.postfix_blocked_sender"])
        assert.notEqual((await as("postern_spamassassin", sql)).code, 0, sql);
    for (const sql of [...forbidden, "SELECT * FROM postern.spamassassin_userpref"])
        assert.notEqual((await as("postern_postfix", sql)).code, 0, sql);
});

test("what changed while rulesd was down is there when it listens", async () => {
    await site.stop();
    await site.must("rule", "add", "--scope", "domain:ours.example", "--name", "Meanwhile", "--sender", "x@mean.example", "block");
    assert.ok(!(await preferences("bob@ours.example")).includes("blocklist_from|x@mean.example"));
    await site.restart();
    assert.ok((await preferences("bob@ours.example")).includes("blocklist_from|x@mean.example"));
});

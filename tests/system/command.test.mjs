// The administrator's command, as an administrator uses it: on SQLite and on PostgreSQL.
import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { makeSite, root, startPostgres } from "./lib/index.mjs";

const mail = (name) => readFileSync(join(root, "examples/quickstart/mail", name), "utf8");
const explain = async (site, args, message) => JSON.parse(await site.must("explain", "--json", ...args, "-", { input: message })).recipients[0];

// Everything below holds on both databases.
function suite(makeConfig) {
    let site;
    const must = (...args) => site.must(...args);
    const refused = async (...args) => {
        const { code, stderr } = await site.postern(args);
        assert.notEqual(code, 0, `postern ${args.join(" ")} should have been refused`);
        return stderr;
    };

    before(async () => {
        site = await makeSite(await makeConfig());
        await must("init", "--admin", "root@ops.example");
        await must("domain", "add", "ours.example");
        await must("mailbox", "add", "anna@ours.example");
    });
    after(() => site.remove());

    test("init may be run again, and changes nothing", async () => {
        await must("init");
        assert.match(await must("account", "list"), /root@ops\.example +admin/);
    });

    test("without a database the error says what to do", async () => {
        const other = await makeSite();
        const { code, stderr } = await other.postern(["domain", "list"]);
        assert.equal(code, 66);
        assert.match(stderr, /postern init/);
        other.remove();
    });

    test("init makes a key, rotating another, and both are listed", async () => {
        const first = await must("key", "list");
        assert.match(first, /^\S+ +\S+Z +current +seals and opens\n$/);
        const said = await must("key", "rotate"), [, id] = /^Key (\S+) seals/.exec(said);
        assert.match(said, /No held message needs an older key/);
        const [old, now] = (await must("key", "list")).split("\n");
        assert.equal(old.slice(0, 10), first.slice(0, 10));
        assert.doesNotMatch(old, /current/);
        assert.match(now, new RegExp(`^${id} .*current`));
        assert.match(await must("audit", "list"), new RegExp(`key\\.rotate .*${id}`));
        assert.equal(statSync(join(site.dir, "keys", `${id}.key`)).mode & 0o777, 0o400);
    });

    test("digests are asked for, changed, paused, sent and deleted; a domain has a default and an admin address", async () => {
        await must("domain", "add", "letters.example");
        await must("account", "add", "lena@letters.example");
        await must("mailbox", "add", "lena@letters.example", "--account", "lena@letters.example");
        const [, id] = /^Digest ([0-9a-f]{8}) added; the first one: Monday .*, 07:30\.\n$/.exec(await must("digest", "add", "lena@letters.example", "--at", "07:30", "--days", "mon", "--zone", "Europe/Berlin", "--tells", "quarantined,spam"));
        assert.match(await must("digest", "list", "lena@letters.example"), new RegExp(`^${id}  lena@letters\\.example +to lena@letters\\.example\n +07:30 mon Europe/Berlin, in en, of what is quarantined,spam\n +next Monday .*, 07:30\n$`));
        assert.match(await must("digest", "set", id, "--hourly", "15"), /:15\.\n$/);
        await must("digest", "pause", id, "--until", "14d");
        assert.match(await must("digest", "list"), /each hour at :15 .*\n +paused until /);
        await must("digest", "pause", id, "--off");
        assert.match(await must("digest", "send", id), /nothing new/);
        assert.match(await refused("digest", "add", "lena@letters.example", "--zone", "Mars/Olympus"), /Mars/);
        assert.match(await refused("digest", "add", "lena@letters.example", "--at", "25:00"), /07:00/);
        assert.match(await refused("digest", "add", "lena@letters.example", "--of", "letters.example"), /none of that account/);
        assert.match(await refused("digest", "set", "ffffffff"), /digest list/);
        await must("digest", "delete", id);
        assert.match(await must("digest", "list"), /no digests/);
        assert.match(await must("digest", "default", "letters.example", "--at", "06:00", "--days", "weekdays"), /06:00 mon,tue,wed,thu,fri UTC/);
        await must("domain", "set", "letters.example", "--admin", "chief@elsewhere.example");
        assert.match(await must("domain", "show", "letters.example"), /admin address +chief@elsewhere\.example/);
        assert.match(await must("digest", "list", "chief@elsewhere.example"), /letters\.example +to chief@elsewhere\.example\n +06:00 mon,tue,wed,thu,fri UTC/);
        await must("domain", "set", "letters.example", "--admin", "off");
        assert.doesNotMatch(await must("domain", "show", "letters.example"), /chief/);
        assert.match(await must("digest", "default", "letters.example", "--off"), /without/);
        await must("domain", "delete", "letters.example", "--yes");
    });

    test("a domain is added once, listed, shown, and a typing error is named", async () => {
        await must("domain", "add", "MÜNCHEN.example");
        assert.match(await must("domain", "list"), /xn--mnchen-3ya\.example +local +active/);
        assert.match(await refused("domain", "add", "ours.example"), /ours\.example/);
        assert.match(await refused("domain", "add", "not a domain"), /not a domain|label|character/i);
        assert.match(await must("domain", "show", "ours.example"), /reject 15, add_header 6, greylist 4/);
    });

    test("an unknown option offers those that exist", async () => {
        assert.match(await refused("domain", "add", "x.example", "--greylist", "on"), /--greylisting/);
    });

    test("deleting asks first", async () => {
        await must("domain", "add", "short.example");
        assert.match(await refused("domain", "delete", "short.example"), /--yes/);
        await must("domain", "delete", "short.example", "--yes");
        assert.match(await refused("domain", "show", "short.example"), /domain add/);
    });

    test("an account has a role and a password, and a short one is refused", async () => {
        await must("account", "add", "otto@ours.example", "--name", "Otto", "--owner", "ours.example");
        const { code, stderr } = await site.postern(["account", "set", "otto@ours.example", "--password-stdin"], { input: "short\n" });
        assert.notEqual(code, 0);
        assert.match(stderr, /10/);
        await site.must("account", "set", "otto@ours.example", "--password-stdin", { input: "correct horse battery\n" });
        await must("mailbox", "add", "otto@ours.example", "--account", "otto@ours.example");
        await must("account", "add", "boss@ops.example", "--role", "admin");
        assert.match(await must("account", "list"), /boss@ops\.example +admin/);
        await must("account", "set", "boss@ops.example", "--role", "user");
        assert.match(await must("account", "list"), /boss@ops\.example +active/);
        assert.match(await refused("account", "set", "boss@ops.example", "--role", "owner"), /--owner and --clerk give a role in a domain/);
        assert.match(await must("account", "show", "otto@ours.example"), /name +Otto[^]*owner +of ours\.example[^]*mailbox +otto@ours\.example/);
    });

    test("an address says whose rules judge it", async () => {
        await must("address", "add", "chief@ours.example", "--to", "anna@ours.example");
        await must("address", "add", "team@ours.example", "--to", "anna@ours.example", "--to", "x@elsewhere.example");
        assert.match(await must("address", "resolve", "chief@ours.example"), /the mailbox anna@ours\.example/);
        assert.match(await must("address", "resolve", "anna+tag@ours.example"), /the mailbox anna@ours\.example/);
        assert.match(await must("address", "resolve", "team@ours.example"), /the rules of ours\.example alone/);
        assert.match(await must("address", "resolve", "x@elsewhere.example"), /not an address of ours/);
    });

    test("a rule is added, shown, switched off, deleted; explain follows each step", async () => {
        const out = await must("rule", "add", "--scope", "mailbox:anna@ours.example", "--name", "No lotteries", "block", "--subject", "jackpot", "--subject", "jäckpot");
        const id = /Rule ([0-9a-f]{8}) added/.exec(out)[1];
        const why = () => explain(site, ["--rcpt", "anna@ours.example"], mail("lottery.eml"));

        let r = await why();
        assert.deepEqual([r.verdict, r.action, r.layer, r.rule.name], ["block", "reject", "mailbox", "No lotteries"]);
        assert.ok(r.score >= 100);
        assert.match(await must("rule", "list", "--scope", "mailbox:anna@ours.example"), new RegExp(`${id} +block`));
        assert.match(await must("rule", "show", id), /No lotteries/);
        await must("rule", "disable", id);
        assert.equal((await why()).verdict, "none");
        await must("rule", "enable", id);
        assert.equal((await why()).verdict, "block");
        await must("rule", "delete", id);
        r = await why();
        assert.equal(r.verdict, "none");
        assert.match(await refused("rule", "show", id), /there is no rule/);
    });

    test("explain tells a person which condition failed and why others lost", async () => {
        await must("rule", "add", "--scope", "domain:ours.example", "--name", "Domain says no", "block", "--subject", "lunch");
        await must("rule", "add", "--scope", "mailbox:anna@ours.example", "--name", "Anna says yes", "--no-proof", "allow", "--sender", "friends.example");
        await must("rule", "add", "--scope", "mailbox:anna@ours.example", "--name", "Not this one", "block", "--subject", "lunch", "--sender", "nobody.example");
        const text = await site.must("explain", "--rcpt", "anna@ours.example", "-", { input: mail("hello.eml") });

        assert.match(text, /allow by the mailbox rule "Anna says yes"/);
        assert.match(text, /Domain says no[^]*a stronger layer decides/);
        assert.match(text, /- block "Not this one"[^]*condition/);
    });

    test("a rule that looks at the receiving side sees the domain's next hop", async () => {
        await must("domain", "add", "routed.example", "--route", "smtp://MX.inner.example:25");
        await must("rule", "add", "--scope", "domain:routed.example", "--flow", "to", "block", "--host", "*.inner.example");
        assert.equal((await explain(site, ["--rcpt", "a@routed.example"], mail("hello.eml"))).verdict, "block");
        await must("domain", "set", "routed.example", "--route", "smtp://192.0.2.9:25");
        assert.equal((await explain(site, ["--rcpt", "a@routed.example"], mail("hello.eml"))).verdict, "none");
        await must("domain", "set", "routed.example", "--route", "");
    });

    test("a route that no mail could take is refused, with what is wrong with it", async () => {
        await must("domain", "add", "astray.example");
        for (const [route, wrong] of [["192.0.2.9:25", /--route: there is no ":\/\/" in it: a mail server is written smtp:\/\/HOST:PORT/], ["ftp://mx.inner.example", /"ftp" is no way to a mail server/], ["smtp://mx.inner.example:99999", /--route: the port is a number/], ["smtp://me:secret@:25", /^(?!.*secret)/]]) {
            const { code, stderr } = await site.postern(["domain", "set", "astray.example", "--route", route]);
            assert.notEqual(code, 0, route);
            assert.match(stderr, wrong);
            assert.notEqual((await site.postern(["domain", "add", "new.example", "--route", route])).code, 0, route);
        }
        assert.doesNotMatch(await must("domain", "show", "astray.example"), /192\.0\.2\.9|ftp|99999|secret/);
        assert.doesNotMatch(await must("domain", "list"), /new\.example/);
    });

    test("explain says why nobody's rules keep mail from postmaster", async () => {
        await must("mailbox", "add", "postmaster@ours.example");
        await must("rule", "add", "--scope", "mailbox:postmaster@ours.example", "--name", "No lunch", "block", "--subject", "lunch");
        const text = await site.must("explain", "--rcpt", "postmaster@ours.example", "-", { input: mail("hello.eml") });

        assert.match(text, /no rule decides: pass[^]*without effect here[^]*No lunch[^]*postmaster and abuse obey/);
    });

    test("an attachment is a file name, an extension or a type, as it is written", async () => {
        await must("rule", "add", "--scope", "mailbox:anna@ours.example", "--name", "Programs", "block", "--attachment", "*.exe", "--attachment", ".scr",
            "--attachment", "application/x-dosexec", "--attachment", ".tar.gz");
        const rules = (await must("rule", "export", "--scope", "mailbox:anna@ours.example")).trim().split("\n").map((l) => JSON.parse(l));

        assert.deepEqual(rules.find((r) => r.name === "Programs").conditions[0].any,
            [{ filename: "*.exe" }, { extension: "scr" }, { mime_type: "application/x-dosexec" }, { filename: ".tar.gz" }]);
    });

    test("a refused rule names position, reason and cure, and nothing is stored", async () => {
        const add = (...more) => refused("rule", "add", "--scope", "domain:ours.example", ...more);
        const before = await must("rule", "export", "--scope", "domain:ours.example");

        assert.match(await add("block", "--subject", "inv-[0-9", "--match", "regex"), /conditions\[0\]\.any\[0\]/);
        assert.match(await add("block", "--ip", "192.0.2.1/24"), /192\.0\.2\.0\/24/);
        assert.match(await add("block", "--sender", "*@shop.[de|dk"), /\[/);
        assert.match(await add("allow", "--sender", "*"), /every/i);
        assert.match(await add("allow", "--sender", "co.uk"), /"co.uk" would allow mail from everybody/);
        assert.match(await add("allow", "--sender", "gmail.com"), /--confirm/);
        assert.match(await add("block"), /condition/);
        assert.match(await add("forbid", "--subject", "x"), /allow|block/);
        assert.equal(await must("rule", "export", "--scope", "domain:ours.example"), before);
    });

    test("thresholds inherit, can be set and reset, and keep their order", async () => {
        await must("thresholds", "set", "domain:ours.example", "reject=12.5", "greylist=off");
        assert.match(await must("thresholds", "show", "domain:ours.example"), /reject +12\.5\n +add_header +6 +\(inherited\)\n +greylist +off/);
        assert.match(await refused("thresholds", "set", "domain:ours.example", "add_header=13"), /add_header|reject/);
        assert.match(await refused("thresholds", "set", "domain:ours.example", "reject=-1"), /-1/);
        assert.match(await refused("thresholds", "set", "mailbox:anna@ours.example", "reject=9"), /permit|allow|domain/i);
        await must("domain", "set", "ours.example", "--mailbox-thresholds", "on");
        await must("thresholds", "set", "mailbox:anna@ours.example", "reject=9");
        const r = await explain(site, ["--rcpt", "anna@ours.example", "--score", "9"], mail("invoice.eml"));
        assert.equal(r.action, "reject");
        await must("thresholds", "reset", "mailbox:anna@ours.example");
        await must("thresholds", "reset", "domain:ours.example");
        assert.match(await must("thresholds", "show", "domain:ours.example"), /reject +15 +\(inherited\)/);
    });

    test("policies: a global one acts when assigned, locked or default, and is called inert otherwise", async () => {
        await must("policy", "add", "global", "Shared");
        await must("rule", "add", "--scope", "global", "--policy", "Shared", "--name", "Shared block", "block", "--subject", "invoice");
        const why = () => explain(site, ["--rcpt", "anna@ours.example"], mail("invoice.eml"));

        assert.match(await must("policy", "list"), /Shared.*inert/);
        assert.equal((await why()).verdict, "none");
        await must("policy", "assign", "Shared", "ours.example");
        assert.deepEqual([(await why()).verdict, (await why()).layer], ["block", "domain"]);
        await must("policy", "unassign", "Shared", "ours.example");
        assert.equal((await why()).verdict, "none");
        await must("policy", "set", "global", "Shared", "--default", "on");
        assert.deepEqual([(await why()).verdict, (await why()).layer], ["block", "default"]);
        await must("policy", "set", "global", "Shared", "--default", "off", "--locked", "on");
        assert.equal((await why()).verdict, "block");
        await must("policy", "delete", "global", "Shared", "--yes");
        assert.equal((await why()).verdict, "none");
    });

    test("what was exported can be imported again, and says the same", async () => {
        await must("domain", "add", "copy.example");
        const lines = (await must("rule", "export", "--scope", "domain:ours.example")).replaceAll("domain:ours.example", "domain:copy.example");
        await site.must("rule", "import", "-", { input: lines });
        assert.equal(await must("rule", "export", "--scope", "domain:copy.example"), lines);
    });

    test("without a scope all rules are exported", async () => {
        await must("policy", "add", "global", "Everywhere", "--locked", "on");
        await must("rule", "add", "--scope", "global", "--policy", "Everywhere", "block", "--subject", "of the operator");
        await must("domain", "add", "all.example");
        await must("mailbox", "add", "zoe@all.example");
        await must("rule", "add", "--scope", "domain:all.example", "block", "--subject", "of the domain");
        await must("rule", "add", "--scope", "mailbox:zoe@all.example", "block", "--subject", "of the mailbox");
        const rules = (await must("rule", "export")).trim().split("\n").map((line) => JSON.parse(line));

        for (const [scope, subject] of [["global", "of the operator"], ["domain:all.example", "of the domain"], ["mailbox:zoe@all.example", "of the mailbox"]])
            assert.equal(rules.filter((r) => r.scope === scope && r.conditions[0].any[0] === subject).length, 1, scope);
    });

    test("an import with one bad line changes nothing, and names the line", async () => {
        const before = await must("rule", "export", "--scope", "domain:ours.example");
        const good = '{"scope":"domain:ours.example","action":"block","conditions":[{"kind":"subject","any":["fine"]}]}';
        const { code, stderr } = await site.postern(["rule", "import", "-"], { input: `${good}\n${good.replace('"fine"', "7")}\n${good}\n` });

        assert.equal(code, 65);
        assert.match(stderr, /^-:2: .*conditions\[0\]\.any\[0\]/m);
        assert.match(stderr, /nothing was changed/);
        assert.equal(await must("rule", "export", "--scope", "domain:ours.example"), before);
    });

    test("SpamAssassin's lists come in, under their old names too", async () => {
        await must("domain", "add", "sa.example");
        const cf = "# local.cf\nrequired_score 5\nWelcomelist_From good@ext.example *@fine.example\nblacklist_from *@bad.example   # old name\nscore GTUBE 0\n";
        const take = (text) => site.postern(["rule", "import", "--scope", "domain:sa.example", "--format", "spamassassin", "-"], { input: text });
        const { stdout, stderr } = await take(cf);

        assert.match(stdout, /2 rules imported\. 3 lines were passed over/);
        assert.equal(stderr, "");
        const told = await take("blocklist_from *@worse.example\nunblocklist_from good@worse.example\nuse_bayes 1\n");
        assert.match(told.stdout, /1 rules imported\. 2 lines were passed over/);
        assert.match(told.stderr, /^-:2: passed over[^\n]*: unblocklist_from\n$/);
        const message = "From: x@bad.example\r\nSubject: s\r\n\r\nb\r\n";
        assert.equal((await explain(site, ["--rcpt", "a@sa.example"], message)).verdict, "block");
    });

    test("Rspamd's maps come in, addresses, domains and regexes", async () => {
        await must("domain", "add", "map.example");
        const map = "# blocked\nspammer@ext.example\n@whole.example 1\nworse.example\n/^bulk-\\d+@/i\n";
        const out = await site.must("rule", "import", "--scope", "domain:map.example", "--format", "map", "--kind", "sender", "--action", "block", "-", { input: map });

        assert.match(out, /4 rules imported/);
        for (const [from, verdict] of [["spammer@ext.example", "block"], ["x@whole.example", "block"], ["x@sub.whole.example", "none"], ["x@sub.worse.example", "block"], ["bulk-7@any.example", "block"], ["fine@any.example", "none"]])
            assert.equal((await explain(site, ["--rcpt", "a@map.example"], `From: ${from}\r\n\r\nb\r\n`)).verdict, verdict, from);
    });

    test("rules that cost every message are limited by scope, in however many policies they come", async () => {
        const line = (i, policy) => JSON.stringify({ scope: "domain:ours.example", policy, action: "block", conditions: [{ kind: "subject", match: "regex", any: [`^[a-f][0-9]{${i}}$`] }] });
        const many = (n, policy) => Array.from({ length: n }, (_, i) => line(i + 1, policy)).join("\n");
        const { code, stderr } = await site.postern(["rule", "import", "-"], { input: `${many(60, "Rules")}\n${many(60, "Enforced")}\n` });

        assert.equal(code, 65);
        assert.match(stderr, /120 regular expressions/);
    });

    test("a list shows a regex as it was written", async () => {
        await must("rule", "add", "--scope", "domain:ours.example", "block", "--subject", "offer-\\d{5}", "--match", "regex");
        const line = (await must("rule", "list", "--scope", "domain:ours.example")).split("\n").find((l) => l.includes("offer-"));

        assert.deepEqual(JSON.parse(line.slice(line.indexOf("["))), [{ kind: "subject", match: "regex", any: ["offer-\\d{5}"] }]);
    });

    test("a rule shows its priority, and that it is over", async () => {
        const out = await must("rule", "add", "--scope", "domain:ours.example", "--expires", "2020-01-01T00:00:00Z", "--priority", "7", "block", "--subject", "old");
        const id = /Rule ([0-9a-f]{8})/.exec(out)[1];

        assert.match(await must("rule", "show", id), /priority +7; of its policy 100[^]*expired +2020-01-01T00:00:00Z/);
        assert.match(await must("rule", "list", "--scope", "domain:ours.example"), new RegExp(`${id}.*\\(expired\\)`));
        assert.match(await refused("rule", "add", "--scope", "domain:ours.example", "block", "--subject", "x", "--priority", "high"), /--priority must be a whole number/);
        await must("rule", "delete", id);
    });

    test("a catch-all comes and goes by its domain, however that is written", async () => {
        await must("domain", "add", "bücher.example");
        await must("address", "add", "@bücher.example", "--to", "anna@ours.example");
        assert.match(await must("address", "resolve", "whoever@xn--bcher-kva.example"), /the mailbox anna@ours\.example/);
        await must("address", "delete", "@bücher.example");
        assert.match(await must("address", "resolve", "whoever@xn--bcher-kva.example"), /no such address/);
    });

    test("every change is in the audit log, and the chain is unbroken", async () => {
        assert.match(await must("audit", "list"), /rule\.(add|import)/);
        assert.match(await must("audit", "verify"), /are as they were written/);
    });

    test("the database fits this release", async () => {
        assert.match(await must("migrate", "--check"), /main +database at \d+/);
    });

    test("10,000 rules come in by one transaction", async () => {
        await must("domain", "add", "many.example");
        const file = join(site.dir, "many.jsonl");
        writeFileSync(file, Array.from({ length: 10_000 }, (_, i) => JSON.stringify({ scope: "domain:many.example", action: "block", conditions: [{ kind: "sender", any: [`s${i}@bad.example`] }] })).join("\n"));
        assert.match(await must("rule", "import", file), /10000 rules imported/);
        assert.equal((await explain(site, ["--rcpt", "a@many.example"], "From: s9999@bad.example\r\n\r\nb\r\n")).verdict, "block");
    });
}

describe("postern on SQLite", () => suite(async () => ({})));

describe("postern on PostgreSQL", () => {
    let pg;
    after(() => pg?.stop());
    suite(async () => { pg = await startPostgres(); return { store: { url: pg.url } }; });
});

test("help is there for every noun", async () => {
    const site = await makeSite();
    for (const noun of ["domain", "account", "mailbox", "address", "policy", "rule", "thresholds", "audit", "config"])
        assert.match(await site.must(noun, "help"), new RegExp(`postern ${noun} `));
    assert.match(await site.must("help"), /explain/);
    site.remove();
});

test("each form tells its options, and wrong words end with the exit code for them", async () => {
    const site = await makeSite();
    assert.match(await site.must("rule", "add", "help"), /postern rule add [^]*--signed-by DOMAIN/);
    assert.match(await site.must("explain", "--help"), /--rcpt ADDRESS/);
    for (const words of [[], ["frobnicate"], ["rule"], ["rule", "frobnicate"], ["explain", "m.eml"], ["config", "check", "more"], ["init", "--wrong"]])
        assert.equal((await site.postern(words)).code, 64, words.join(" "));
    site.remove();
});

test("the manual page tells of every command and of each of its forms", async () => {
    const site = await makeSite();
    const page = readFileSync(join(root, "docs/man/postern.1"), "utf8");
    const items = page.split(/^\.It Cm /m).slice(1);
    const commands = [...(await site.must("help")).matchAll(/^  ([a-z]+)  /gm)].map((m) => m[1]);

    assert.ok(commands.length > 20, commands.join(" "));
    for (const command of commands) {
        const told = items.filter((item) => item.split(/\s/)[0] === command).join("");
        const forms = [...(await site.must(command, "help")).matchAll(new RegExp(`^  postern ${command} ([a-z]+)`, "gm"))].map((m) => m[1]);
        assert.notEqual(told, "", `postern ${command} is not in postern(1)`);
        for (const form of forms) assert.match(told, new RegExp(`\\b${form}\\b`), `postern ${command} ${form} is not in postern(1)`);
    }
    site.remove();
});

test("postern.conf(5) tells of every setting that the example file has", async () => {
    const site = await makeSite();
    const example = await site.must("config", "example");
    const page = await site.must("config", "man");
    const keys = [...example.matchAll(/^#([a-z_]+) =/gm)].map((m) => m[1]);

    assert.ok(keys.length > 40, `${keys.length} settings`);
    for (const key of keys) assert.ok(page.includes(key), `${key} is not in postern.conf(5)`);
    site.remove();
});

test("the settings' example file is a settings file, and their manual page is one", async () => {
    const site = await makeSite();
    writeFileSync(site.conf, await site.must("config", "example"));
    assert.match(await site.must("config", "check"), /no fault/);
    assert.match(await site.must("config", "man"), /^\.Dt POSTERN\.CONF 5$/m);
    writeFileSync(site.conf, "[rulesd]\nlisten_spam = 127.0.0.1:1\n");
    const { code, stderr } = await site.postern(["config", "check"]);
    assert.equal(code, 65);
    assert.match(stderr, /postern\.conf:2.*listen_spamd/);
    site.remove();
});

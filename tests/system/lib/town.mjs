// What the tests of the topologies share: whose mail it is, what scanners are told to find, and what may break.
import { waitFor } from "./process.mjs";
import { makeSite, startRulesd } from "./postern.mjs";
import { startRelay } from "./relay.mjs";
import { startPostgres } from "./servers.mjs";

export const ANNA = "anna@ours.example", BOB = "bob@ours.example", CLEO = "cleo@theirs.example";
export const EICAR = "X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*";

// A scanner finds in a body: "cheap watches" 8 points, "free money" 20, EICAR a virus.
const found = (word, name, score) => `rspamd_config:register_symbol{ name = "${name}", type = "normal", score = ${score}, group = "town",
  callback = function(task) if tostring(task:get_content()):find("${word}", 1, true) then task:insert_result("${name}", 1.0) end end }
`;

// For /etc/rspamd/rspamd.local.lua: the virus as Rspamd's own antivirus module tells it.
export const rspamdFinds = `${found("cheap watches", "TOWN_WATCHES", 8)}${found("free money", "TOWN_MONEY", 20)}
rspamd_config:register_symbol{ name = "CLAM_VIRUS", type = "normal", score = 0.0, group = "antivirus",
  callback = function(task)
    if tostring(task:get_content()):find("EICAR-STANDARD", 1, true) then
      task:insert_result("CLAM_VIRUS", 1.0, "Eicar-Test-Signature")
      task:set_pre_result("reject", 'clamav: virus found: "Eicar-Test-Signature"', "clamav")
    end
  end }
`;

// For spamd's local.cf.
export const spamdFinds = `body TOWN_WATCHES /cheap watches/
score TOWN_WATCHES 8
body TOWN_MONEY /free money/
score TOWN_MONEY 20
`;

// Two domains on a PostgreSQL of their own, with a running rulesd, set up by the postern.conf of a recipe: settings(site) gives its
// sections, with the paths of this site; site.scanner is a port before that of the scanner.
//   ours.example    anna blocks "wares" and allows "invoice"; bob has no rule
//   theirs.example  cleo has no rule; what is blocked there is held
// without(what, ask) asks while something is down: "rulesd", "scanner", "scanner hung", "database", or "room" (in the
// quarantine). { …startRulesd(), without, end: stops everything }.
export async function foundTown(settings = () => ({}), { scanner } = {}) {
    const postgres = await startPostgres(), relay = scanner ? await startRelay(scanner) : null;
    const own = Object.assign(await makeSite({ store: { url: postgres.url } }), { scanner: relay?.port });

    own.configure(settings(own));
    await own.must("init");
    await own.must("domain", "add", "ours.example");
    await own.must("domain", "add", "theirs.example", "--at-block", "quarantine");
    for (const address of [ANNA, BOB, CLEO]) await own.must("mailbox", "add", address);
    await own.must("rule", "add", "--scope", `mailbox:${ANNA}`, "--name", "Annas secret rule", "block", "--subject", "wares");
    await own.must("rule", "add", "--scope", `mailbox:${ANNA}`, "--name", "Annas friend", "allow", "--subject", "invoice");
    await own.must("rule", "add", "--scope", `mailbox:${CLEO}`, "--name", "Cleos secret rule", "block", "--subject", "wares");

    const site = await startRulesd({ site: own, init: false });
    const room = async (minFree) => { own.configure({ quarantine: { min_free: minFree } }); await site.restart(); };
    const outages = {
        rulesd: { begin: () => site.kill(), end: () => site.restart() },
        scanner: { begin: () => relay.cut(), end: () => relay.mend() },
        "scanner hung": { begin: () => relay.freeze(), end: () => relay.mend() },
        database: { begin: () => postgres.kill(), end: () => postgres.restart() },
        room: { begin: () => room("900000G"), end: () => room("1M") },
    };
    return Object.assign(site, {
        without: async (what, ask) => {
            await outages[what].begin();
            try { return await ask(); } finally { await outages[what].end(); }
        },
        end: async () => { await site.stop(); own.remove(); await relay?.stop(); await postgres.stop(); },
    });
}

let number = 0;

// A message nobody sent before: { text, id, subject }.
export function letter(subject, { body = "Hello there.", extra = "", from = "writer@ext.example" } = {}) {
    const id = `${++number}.${process.pid}@ext.example`;
    const text = `${extra}From: Writer <${from}>\r\nTo: Undisclosed <list@ext.example>\r\nSubject: ${subject}\r\n` +
        `Message-ID: <${id}>\r\nDate: ${new Date().toUTCString()}\r\n\r\n${body}\r\n`;

    return { text, id, subject };
}

// What the sink got of a message: its copies, not what a bounce quotes of it.
export const copies = (sink, { id }) => sink.messages.filter((m) => m.data.split("\r\n\r\n", 1)[0].includes(`<${id}>`));
export const arrives = (sink, mail) => waitFor(`${mail.subject} to be delivered`, () => copies(sink, mail)[0]);


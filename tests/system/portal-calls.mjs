// Every call of the portal's API, once, in an order in which each finds what it needs: what it is asked of, by whom, and with what.
//
//     "METHOD /path": what   or   "METHOD /path": async (w) => what
//
// what: { on: objects of the path beside the usual ones, query, body, raw: { bytes, type, headers }, stream: it does not end, as: who may
// (else by the least standing that the document names), status: where it is none of 200 to 299 }. w: the world of portal-walk.test.mjs.
import { Browser, signIn } from "./lib/index.mjs";

const RULE = { name: "Made", action: "block", conditions: [{ kind: "subject", match: "contains", any: ["walked"] }] };
const DIGEST = { minute: 420, zone: "Europe/Berlin" };
const PNG = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==", "base64");
const OURS = { scope: "domain:ours.example" };
const LETTER = "From: w@ext.example\r\nSubject: walked\r\n\r\nHi.\r\n";
let made = 0;

const rule = async (w) => (await w.who.anna.post(`/scopes/${w.objects.scope}/rules`, { rule: { ...RULE, name: `Made ${++made}` } })).body.id;
const policy = async (w) => (await w.who.owen.post("/scopes/domain:ours.example/policies", { name: `Made ${++made}` })).body.id;
const WORK = { what: "forget", q: "subject:nothing-like-this" };
const job = async (w) => { const r = await w.who.anna.post("/me/jobs", WORK); if (r.status > 299) throw new Error(r.text); return r.body.id; };
const search = async (w) => (await w.who.anna.post("/me/searches", { name: `Made ${++made}`, q: "x" })).body.id;
const digest = async (w) => {
    const { items } = (await w.who.anna.get("/me/digests")).body;
    return items[0]?.id ?? (await w.who.anna.post("/me/digests", { kind: "mailbox", of: w.anna, ...DIGEST })).body.id;
};
const brand = async (w) => (await w.who.root.post("/brands", { name: `Made ${++made}` })).body.id;
const form = (token) => ({ bytes: `token=${token}`, type: "application/x-www-form-urlencoded", headers: { Origin: "https://dashboard.example", "Sec-Fetch-Site": "cross-site", "X-CSRF-Token": null } });
const handed = async (w) => (await w.who.key_ours.post("/handoffs", { login: w.anna, domain: "ours.example", kind: "self" })).body.token;
const arrived = async (w) => {
    const browser = new Browser(w.site.origin), { bytes, type, headers } = form(await handed(w));
    await browser.call("POST", "/handoffs/arrive", { body: bytes, json: false, headers: { "Content-Type": type, ...headers } });
    await browser.session();
    return browser;
};
const onHeld = (body) => async (w) => ({ on: await w.held(), body });
const onRule = (body) => async (w) => ({ on: { rule: await rule(w) }, body });
const onDigest = (body) => async (w) => ({ on: { digest: await digest(w) }, body });

export const calls = {
    // ---- the doors ----
    "GET /session": {}, "GET /openapi.json": {}, "GET /signin/challenge": {}, "GET /brand": {}, "GET /handoff/nonce": {}, "GET /handoff/start": { status: 303 },
    "POST /signin/link": async (w) => ({ body: { address: w.anna, ...await w.who.nobody.proof(w.anna) } }),
    "POST /signin/link/look": async (w) => ({ body: { token: await w.token() } }),
    "POST /signin/link/use": async (w) => ({ as: new Browser(w.site.origin), body: { token: await w.token() } }),
    "POST /signin/link/code": async (w) => ({ as: new Browser(w.site.origin), body: { token: (await w.askedLink()).token } }),
    "POST /signin/code": async (w) => {
        const { browser, token } = await w.askedLink(), { code } = (await new Browser(w.site.origin).post("/signin/link/code", { token })).body;
        return { as: browser, body: { code } };
    },
    "POST /signin/password": async (w) => { const as = new Browser(w.site.origin); return { as, body: { address: w.anna, password: w.password, ...await as.proof(w.anna) } }; },
    "POST /session/elevate": (w) => ({ body: { password: w.password } }),
    "POST /handoffs": (w) => ({ as: w.who.key_ours, body: { login: w.anna, domain: "ours.example", kind: "self" } }),
    "POST /handoffs/arrive": async (w) => ({ as: new Browser(w.site.origin), raw: form(await handed(w)), status: 303 }),
    "GET /handoffs/pending": async (w) => ({ as: await arrived(w) }),
    "POST /handoffs/use": async (w) => ({ as: await arrived(w), body: { confirm: true } }),

    // ---- mail ----
    "GET /me/mail": {}, "GET /me/summary": {}, "GET /scopes/{scope}/mail": {}, "GET /me/mail/count": {}, "GET /scopes/{scope}/mail/count": {}, "GET /me/mail.csv": {}, "GET /scopes/{scope}/mail.csv": {}, "GET /me/deleted": {}, "GET /scopes/{scope}/deleted": {},
    "GET /scopes/{scope}/scores": {}, "GET /me/events": { stream: true },
    "GET /deliveries/{uid}/{n}": onHeld(), "GET /deliveries/{uid}/{n}/headers": onHeld(), "GET /deliveries/{uid}/{n}/preview": onHeld(), "GET /deliveries/{uid}/{n}/preview.html": onHeld(),
    "GET /deliveries/{uid}/{n}/attachments": onHeld(), "GET /deliveries/{uid}/{n}/attachments/{attachment}": async (w) => ({ on: { ...await w.held(), attachment: "1" } }), "GET /deliveries/{uid}/{n}/raw": onHeld(),
    "GET /deliveries/{uid}/{n}/breadths": async (w) => ({ on: await w.held(), query: "action=block" }),
    "POST /deliveries/{uid}/{n}/report": onHeld({ class: "ham" }),
    "POST /deliveries/{uid}/{n}/decide": onHeld({ action: "block", sender: "wares@ext.example" }),
    "POST /deliveries/{uid}/{n}/release": onHeld({}),
    "POST /deliveries/{uid}/{n}/unrelease": async (w) => { const on = await w.held(); await w.who.anna.post(`/deliveries/${on.uid}/${on.n}/release`); return { on, status: 409 }; },
    "POST /deliveries/{uid}/{n}/delete": onHeld(),
    "POST /deliveries/{uid}/{n}/undelete": async (w) => { const on = await w.held(); await w.who.anna.post(`/deliveries/${on.uid}/${on.n}/delete`); return { on }; },
    "POST /deliveries/{uid}/{n}/ask": async (w) => ({ on: await w.held("lottery"), body: { why: "It is ours." } }),
    "GET /domains/{domain}/requests": {},
    "POST /domains/{domain}/requests/{uid}/{n}": async (w) => { const on = await w.held("lottery"); await w.who.anna.post(`/deliveries/${on.uid}/${on.n}/ask`, { why: "?" }); return { on, body: { grant: true } }; },
    "POST /me/jobs": { body: WORK }, "POST /scopes/{scope}/jobs": { body: WORK }, "GET /jobs": {},
    "GET /jobs/{job}": async (w) => ({ on: { job: await job(w) } }), "DELETE /jobs/{job}": async (w) => ({ on: { job: await job(w) } }),
    "POST /jobs/{job}/undo": async (w) => ({ on: { job: await w.doneJob() } }),
    "GET /me/searches": {}, "POST /me/searches": { body: { name: "Kept", q: "subject:x" } },
    "PATCH /me/searches/{search}": async (w) => ({ on: { search: await search(w) }, body: { name: "Renamed" } }), "DELETE /me/searches/{search}": async (w) => ({ on: { search: await search(w) } }),

    // ---- rules ----
    "GET /scopes/{scope}/rules": {}, "POST /scopes/{scope}/rules": { body: { rule: RULE } }, "GET /scopes/{scope}/rules/above": {}, "POST /scopes/{scope}/rules/quick": { body: { action: "block", what: "quick@ext.example" } },
    "GET /rules/{rule}": {}, "PUT /rules/{rule}": onRule({ rule: { ...RULE, name: "Put" } }), "PATCH /rules/{rule}": onRule({ enabled: false }), "DELETE /rules/{rule}": onRule(), "POST /rules/{rule}/move": onRule({}),
    "POST /scopes/{scope}/rules/backtest": { body: { rule: RULE } }, "POST /scopes/{scope}/rules/check": { body: { rule: RULE } }, "GET /scopes/{scope}/rules/conflicts": {}, "GET /scopes/{scope}/rules/export": {},
    "POST /scopes/{scope}/rules/test": { body: { message: LETTER.replaceAll("\r", "") } }, "POST /scopes/{scope}/rules/test/message": { raw: { bytes: LETTER, type: "message/rfc822" } },
    "GET /scopes/{scope}/lists": { query: "action=block" }, "POST /scopes/{scope}/lists": { body: { action: "block", add: ["listed@ext.example"] } },
    "POST /scopes/{scope}/rules/import/preview": { body: { text: "imported@ext.example", format: "map", action: "block", kind: "sender" } }, "POST /scopes/{scope}/rules/import": { body: { text: "imported@ext.example", format: "map", action: "block", kind: "sender" } },
    "GET /mailboxes/{mailbox}/learned": {}, "DELETE /learned/{learned}": {},
    "GET /scopes/{scope}/policies": {}, "POST /scopes/{scope}/policies": { on: OURS, body: { name: "Posted" } }, "GET /scopes/{scope}/policies/above": {}, "GET /policies/{policy}": {},
    "PATCH /policies/{policy}": async (w) => ({ on: { policy: await policy(w) }, body: { name: `Patched ${++made}` } }), "DELETE /policies/{policy}": async (w) => ({ on: { policy: await policy(w) } }),
    "GET /policies/{policy}/domains": (w) => ({ on: { policy: w.globalPolicy } }), "PUT /policies/{policy}/domains/{domain}": (w) => ({ on: { policy: w.globalPolicy } }), "DELETE /policies/{policy}/domains/{domain}": (w) => ({ on: { policy: w.globalPolicy } }),
    "PUT /rules/{rule}/policy": async (w) => ({ on: { rule: await rule(w) }, body: { policy: w.objects.policy } }),
    "GET /scopes/{scope}/settings": {}, "PUT /scopes/{scope}/settings": async (w) => { await w.who.owen.put("/scopes/domain:ours.example/settings", { mailbox_thresholds: true }); return { body: { reject: 14 } }; }, "PUT /scopes/{scope}/quotas": { on: OURS, body: { copies: true } },

    // ---- oneself ----
    "GET /me": {}, "PATCH /me": { body: { name: "Anna" } }, "GET /me/sessions": {}, "GET /me/audit": {}, "GET /me/audit.csv": {}, "GET /me/looked-at": {}, "POST /me/password": (w) => ({ body: { current: w.password, password: w.password } }),
    "GET /me/digests": {}, "GET /me/digest-time": { query: "minute=420&zone=Europe/Berlin" }, "POST /me/digests": (w) => ({ body: { kind: "mailbox", of: w.anna, ...DIGEST } }),
    "GET /me/digests/{digest}": onDigest(), "PATCH /me/digests/{digest}": onDigest({ minute: 480 }), "GET /me/digests/{digest}/preview.html": onDigest(), "GET /me/digests/{digest}/letters": onDigest(),
    "POST /me/digests/{digest}/letters/{letter}/again": async (w) => ({ on: { digest: await digest(w), letter: await w.letter(await digest(w)) } }),
    "POST /me/digests/{digest}/pause": onDigest({}), "POST /me/digests/{digest}/resume": onDigest(), "POST /me/digests/{digest}/send": onDigest({}),
    "DELETE /me/digests/{digest}": onDigest(),

    // ---- domains and people ----
    "GET /audit": {}, "GET /scopes/{scope}/audit": {}, "GET /scopes/{scope}/audit.csv": {}, "GET /domains": {}, "POST /domains": { body: { name: "made.example" } }, "GET /domains/{domain}": {}, "PATCH /domains/{domain}": { body: { delimiter: "+" } },
    "PUT /domains/{domain}/route": (w) => ({ body: { kind: "relay", route: w.route } }), "POST /domains/{domain}/aliases": { body: { name: "made-alias.example" } }, "DELETE /domains/{domain}/aliases/{alias}": { on: { alias: "also-ours.example" } },
    "GET /domains/{domain}/overview": {}, "GET /domains/{domain}/people": {}, "POST /domains/{domain}/people": { body: { login: "made@ours.example" } }, "GET /domains/{domain}/mailboxes": {}, "POST /domains/{domain}/mailboxes": { body: { local: "made-box", account: "made@ours.example" } },
    "PUT /domains/{domain}/roles/{account}": { on: { account: "made@ours.example" }, body: { role: "clerk" } },
    "PATCH /mailboxes/{mailbox}": { on: { mailbox: "made-box@ours.example" }, body: { enabled: false } }, "DELETE /mailboxes/{mailbox}": { on: { mailbox: "made-box@ours.example" } },
    "GET /domains/{domain}/addresses": {}, "POST /domains/{domain}/addresses": (w) => ({ body: { local: "info", kind: "alias", to: [w.anna] } }), "DELETE /domains/{domain}/addresses/{address}": { on: { address: "info@ours.example" } },
    "GET /blocked-senders": {}, "DELETE /blocked-senders/{login}": async (w) => ({ on: { login: await w.blocked() }, as: w.who.root }),
    "GET /domains/{domain}/digest-default": {}, "PUT /domains/{domain}/digest-default": { body: DIGEST }, "DELETE /domains/{domain}/digest-default": {},
    "GET /domains/{domain}/admin": {}, "PUT /domains/{domain}/admin": { body: { address: "chief@elsewhere.example" } }, "DELETE /domains/{domain}/admin": {},
    "GET /accounts": {}, "POST /accounts": { body: { login: "new@elsewhere.example" } }, "GET /accounts/{account}": {}, "PATCH /accounts/{account}": { body: { name: "Anna B." } },
    "PUT /accounts/{account}/admin": { on: { account: "new@elsewhere.example" }, body: { admin: false } }, "DELETE /accounts/{account}": { on: { account: "made@ours.example" } },

    // ---- the service ----
    "GET /brands": {}, "POST /brands": { body: { name: "Posted" } }, "PATCH /brands/{brand}": async (w) => ({ on: { brand: await brand(w) }, body: { name: `Patched ${++made}` } }),
    "PUT /brands/{brand}/logo": async (w) => ({ on: { brand: w.objects.brand = await brand(w) }, raw: { bytes: PNG, type: "application/octet-stream" } }), "GET /brand/logo": (w) => ({ query: `brand=${w.objects.brand}` }),
    "PUT /brands/{brand}/hosts/{host}": { on: { host: "mail.ours.example" } }, "DELETE /brands/{brand}/hosts/{host}": { on: { host: "mail.ours.example" } }, "PUT /brands/{brand}/domains/{domain}": {}, "DELETE /brands/{brand}/domains/{domain}": {},
    "DELETE /brands/{brand}": async (w) => ({ on: { brand: await brand(w) } }),
    "GET /overview": {}, "POST /overview/test-mails": (w) => ({ body: { to: w.anna } }), "GET /overview/test-mails/{mail}": async (w) => ({ on: { mail: (await w.who.root.post("/overview/test-mails", { to: w.anna })).body.id } }),

    // ---- what takes its own ground away ----
    "DELETE /me/sessions/{session}": async (w) => { await signIn(w.site, w.anna); const { items } = (await w.who.anna.get("/me/sessions")).body; return { on: { session: items.find((s) => !s.current).id } }; },
    "DELETE /me/password": {}, "DELETE /domains/{domain}": { on: { domain: "made.example" } },
    "DELETE /me/sessions": async (w) => ({ as: await signIn(w.site, w.anna) }), "DELETE /session": async (w) => ({ as: await signIn(w.site, w.anna) }),
};

/* portal/rules_try.c - what a rule would have done to past mail, and what all rules say of one message. */
#include "custody/backtest.h"
#include "custody/body.h"
#include "custody/explain.h"
#include "mail.h"
#include "route.h"
#include "rules.h"
#include "store/delivery.h"
#include "store/mailbox.h"

#define MESSAGE_SPARE ((size_t)1 << 20)
#define TEXT_MAX ((int64_t)64 << 20) /* [rulesd] max_message says less */

/* ---- backtest ---------------------------------------------------------------------------------------------------- */

struct backtest_body {
    uint64_t    given;
    struct span rule;
};
static const struct field backtest_fields[] = {
    {"rule", FIELD_JSON, FIELD_REQUIRED, 0, RULE_JSON_MAX, NULL, offsetof(struct backtest_body, rule), "The rule."},
    FIELDS_END};

static void put_sample(struct buf *b, const struct backtest_sample *s)
{
    json_open(b, NULL, '{');
    mail_put_row(b, "delivery", &s->row);
    json_add_bool(b, "reported_ham", s->reported_ham);
    json_add_bool(b, "reported_spam", s->reported_spam);
    json_close(b, '}');
}

static void put_backtest(struct call *c, const struct backtest_result *r)
{
    struct buf *b = call_reply(c, 200);

    json_open(b, NULL, '{');
    json_add_i64(b, "matched", r->matched);
    json_add_i64(b, "messages", r->looked);
    json_add_i64(b, "days", BACKTEST_DAYS);
    json_add_bool(b, "whole", r->whole);
    json_add_time(b, "since", r->since_us);
    json_add_i64(b, "unproven", r->unproven);
    json_add_i64(b, "unknown", r->unknown);
    json_open(b, "not_kept", '[');
    for (int k = 0; k < COND_KINDS; k++)
        if ((r->unjudged & 1u << k) != 0)
            json_add_str(b, NULL, condition_kind_word((enum condition_kind)k));
    json_close(b, ']');
    json_add_i64(b, "released", r->released);
    json_add_i64(b, "reported_ham", r->reported_ham);
    json_add_i64(b, "reported_spam", r->reported_spam);
    json_open(b, "samples", '[');
    for (size_t i = 0; i < r->nsamples; i++)
        put_sample(b, &r->samples[i]);
    json_close(b, ']');
    json_close(b, '}');
}

static int run_backtest(struct call *c, struct err *e)
{
    const struct backtest_body *in = c->body;
    const struct settings      *s = c->portal->settings;
    struct origin_trust         trust;
    struct report_site          site = {&s->rulesd.scanner, &trust};
    struct backtest_result     *found = arena_zalloc(c->arena, sizeof *found);
    struct rule_check           check;
    struct rule                 r;

    if (found == NULL)
        return err_set(e, ERR_LIMIT, "The request is too large.");
    if (rules_permit(c, false, e) < 0 || permit(c->store, &c->who, DEED_SEE_MAIL, &c->scope, "scope", e) < 0 ||
        rules_read(c, in->rule, true, &check, &r, e) < 0 ||
        origin_trust_read(&s->rulesd.trusted_relays, s->rules.authserv_id, c->arena, &trust, e) < 0 ||
        backtest(c->store, &site, c->scope, &r, c->arena, found, e) < 0)
        return -1;
    put_backtest(c, found);
    return 0;
}

/* ---- test -------------------------------------------------------------------------------------------------------- */

struct test_body {
    uint64_t    given;
    struct span message, rcpt, from, ip, host, helo, reason;
    struct uuid uid;
    int64_t     n;
};
enum { TEST_MESSAGE, TEST_UID, TEST_N, TEST_RCPT, TEST_FROM };
enum { RAW_RCPT, RAW_FROM };
#define ENVELOPE_FIELDS                                                                                                \
    {"rcpt",                                                                                                           \
     FIELD_TEXT,                                                                                                       \
     0,                                                                                                                \
     1,                                                                                                                \
     ADDRESS_MAX,                                                                                                      \
     NULL,                                                                                                             \
     offsetof(struct test_body, rcpt),                                                                                 \
     "For whom; a mailbox is itself, for a domain or all it has to be said."},                                         \
        {"from",                                                                                                       \
         FIELD_TEXT,                                                                                                   \
         0,                                                                                                            \
         0,                                                                                                            \
         ADDRESS_MAX,                                                                                                  \
         NULL,                                                                                                         \
         offsetof(struct test_body, from),                                                                             \
         "The envelope sender; empty: the null sender."},                                                              \
        {"ip", FIELD_TEXT, 0, 1, 60, NULL, offsetof(struct test_body, ip), "Of the client."},                          \
        {"host", FIELD_TEXT, 0, 1, 255, NULL, offsetof(struct test_body, host), "Its verified name."},                 \
    {                                                                                                                  \
        "helo", FIELD_TEXT, 0, 1, 255, NULL, offsetof(struct test_body, helo), "What it called itself."                \
    }
static const struct field test_fields[] = {
    {"message", FIELD_TEXT, 0, 1, TEXT_MAX, NULL, offsetof(struct test_body, message), "The message, as text."},
    {"uid", FIELD_UUID, 0, 0, 0, NULL, offsetof(struct test_body, uid), "Instead: a message of the log that is held."},
    {"n", FIELD_I64, 0, 1, STORE_DELIVERIES_MAX, NULL, offsetof(struct test_body, n), "Which delivery of it."},
    ENVELOPE_FIELDS,
    {"reason", FIELD_TEXT, 0, 0, BODY_REASON_MAX, NULL, offsetof(struct test_body, reason),
     "Why, where the operator opens somebody's mail: the person can see it."},
    FIELDS_END};
static const struct field raw_fields[] = {ENVELOPE_FIELDS, FIELDS_END};

/* For whom: somebody of the scope, so that nobody reads the rules of others by testing. */
static int find_rcpt(struct call *c, const struct test_body *in, struct span *out, struct err *e)
{
    struct store_resolved who;
    struct store_mailbox  m;
    struct address        to;

    if (in->rcpt.n == 0 && c->scope.kind == SCOPE_MAILBOX) {
        if (store_mailbox_get(c->store, c->scope.id, &m, e) < 0)
            return -1;
        *out = arena_dup(c->arena, span_of(m.address));
        return 0;
    }
    c->member = "rcpt";
    if (in->rcpt.n == 0)
        return err_set(e, ERR_INVALID, "Say for whom the message is.");
    if (address_parse_path(in->rcpt, c->arena, &to, NULL) < 0 || to.full.n == 0)
        return err_set(e, ERR_INVALID, "The recipient is no address.");
    if (store_resolve(c->store, to.full, &who, e) < 0)
        return -1;
    if ((c->scope.kind == SCOPE_DOMAIN && !(who.ours && uuid_eq(&who.domain, &c->scope.id))) ||
        (c->scope.kind == SCOPE_MAILBOX && !(who.ours && who.has_mailbox && uuid_eq(&who.mailbox, &c->scope.id))))
        return err_set(e, ERR_INVALID, "The recipient is nobody of this scope.");
    c->member = NULL;
    *out = to.full;
    return 0;
}

/* What is inert where it was tried is for the operator alone to see. */
static void leave_inert_out(const struct call *c, struct decision *d)
{
    while (!c->actor.admin && d->n > 0 && d->all[d->n - 1].layer == LAYER_NONE)
        d->n--;
}

static int put_trace(struct call *c, const struct explain_message *m, struct span rcpt, struct err *e)
{
    static const char *const directions[] = {
        [DIRECTION_INBOUND] = "inbound", [DIRECTION_OUTBOUND] = "outbound", [DIRECTION_LOCAL] = "local"};
    struct explain   with;
    struct explained found = {.direction = DIRECTION_INBOUND};
    struct buf      *b;
    int              rc;

    if (explain_begin(&with, c->store, c->portal->settings, m, c->arena, e) < 0)
        return -1;
    rc = explain_rcpt(&with, rcpt, &found, e);
    if (rc == 0) {
        leave_inert_out(c, &found.verdict.decision);
        b = call_reply(c, 200);
        json_open(b, NULL, '{');
        json_add_str(b, "direction", directions[found.direction]);
        json_open(b, "recipients", '[');
        explained_put_json(b, &found, c->arena);
        json_close(b, ']');
        json_close(b, '}');
    }
    explained_drop(&found);
    return rc;
}

static struct explain_message message_of(const struct test_body *in, bool has_from, struct span raw)
{
    return (struct explain_message){
        .raw = raw, .has_from = has_from, .from = in->from, .ip = in->ip, .host = in->host, .helo = in->helo};
}

/* Is the delivery one of the scope's? */
static int check_delivery(struct call *c, const struct store_key *key, struct err *e)
{
    struct store_owner owner;

    if (store_delivery_owner(c->store, key, &owner, e) < 0 && e->code != ERR_NOT_FOUND)
        return -1;
    if (e->code == ERR_NOT_FOUND ||
        (c->scope.kind == SCOPE_MAILBOX && !(owner.has_mailbox && uuid_eq(&owner.mailbox, &c->scope.id))) ||
        (c->scope.kind == SCOPE_DOMAIN && !(owner.has_domain && uuid_eq(&owner.domain, &c->scope.id))))
        return err_set(e, ERR_NOT_FOUND, "There is no such message.");
    return 0;
}

static int open_held(struct call *c, const struct test_body *in, struct buf *raw, struct err *e)
{
    const char   *reason = in->reason.n > 0 ? arena_str(c->arena, in->reason) : NULL;
    struct vault *v;

    if (worker_vault(c->worker, &v, e) < 0)
        return -1;
    if (body_open(c->store, v, &c->actor, &in->uid, in->n, reason, raw, e) == 0)
        return 0;
    return e->code == ERR_NOT_FOUND
               ? err_set(e, ERR_NOT_FOUND, "Of this message there is the log alone: only held mail is stored.")
               : -1;
}

/* A delivery of the log, whose body is held: with all that the log knows of where it came from. */
static int test_held(struct call *c, const struct test_body *in, struct err *e)
{
    struct store_key       key = {in->uid, in->n};
    struct store_timeline  t;
    struct explain_message m;
    struct span            rcpt = SPAN_NONE;
    struct buf             raw;
    int                    rc;

    if (permit(c->store, &c->who, DEED_OPEN_BODY, &c->scope, "scope", e) < 0 || check_delivery(c, &key, e) < 0 ||
        store_timeline(c->store, &in->uid, c->scope, c->arena, &t, e) < 0)
        return -1;
    for (size_t i = 0; i < t.ndeliveries; i++)
        if (t.deliveries[i].n == in->n)
            rcpt = t.deliveries[i].delivery.recipient;
    buf_init(&raw, (size_t)c->portal->settings->rulesd.max_message + MESSAGE_SPARE);
    rc = open_held(c, in, &raw, e);
    if (rc == 0) {
        m = (struct explain_message){.raw = buf_span(&raw),
                                     .has_from = true,
                                     .from = t.message.sender,
                                     .ip = t.message.ip,
                                     .host = t.message.host,
                                     .helo = t.message.helo,
                                     .authenticated = t.message.auth_user.n > 0,
                                     .has_score = t.message.has_score,
                                     .score = t.message.score};
        rc = put_trace(c, &m, rcpt, e);
    }
    buf_fini(&raw);
    return rc;
}

static int run_test(struct call *c, struct err *e)
{
    const struct test_body *in = c->body;
    struct explain_message  m = message_of(in, field_given(in, TEST_FROM), in->message);
    struct span             rcpt;

    if (rules_permit(c, false, e) < 0)
        return -1;
    if (field_given(in, TEST_UID) && field_given(in, TEST_N))
        return test_held(c, in, e);
    c->member = "message";
    if (!field_given(in, TEST_MESSAGE))
        return err_set(e, ERR_INVALID, "Give a message, or uid and n of one that is held.");
    c->member = NULL;
    return find_rcpt(c, in, &rcpt, e) < 0 ? -1 : put_trace(c, &m, rcpt, e);
}

static int run_test_raw(struct call *c, struct err *e)
{
    const struct test_body *in = c->query;
    struct explain_message  m = message_of(in, field_given(in, RAW_FROM), c->request->body);
    struct span             rcpt;

    if (rules_permit(c, false, e) < 0)
        return -1;
    if (m.raw.n == 0)
        return err_set(e, ERR_INVALID, "The body is the message: it is empty.");
    return find_rcpt(c, in, &rcpt, e) < 0 ? -1 : put_trace(c, &m, rcpt, e);
}

/* clang-format off */
static const struct route rows[] = {
    {HTTPD_POST, "/scopes/{scope}/rules/backtest", DEED_SEE_RULES, OBJECT_SCOPE, ROUTE_LARGE, run_backtest, NULL,
     backtest_fields, 0, sizeof(struct backtest_body), "What a rule would have done to the mail of the last 30 days.",
     "Backtest"},
    {HTTPD_POST, "/scopes/{scope}/rules/test", DEED_SEE_RULES, OBJECT_SCOPE, ROUTE_LARGE, run_test, NULL, test_fields,
     0, sizeof(struct test_body), "What the rules say of a message, each that was tried.", "RuleTest"},
    {HTTPD_POST, "/scopes/{scope}/rules/test/message", DEED_SEE_RULES, OBJECT_SCOPE, ROUTE_LARGE | ROUTE_RAW,
     run_test_raw, raw_fields, NULL, sizeof(struct test_body), 0,
     "The same, of a message that is the body, byte by byte.", "RuleTest"},
};
/* clang-format on */

const struct route_family rules_try_family = {
    "Rules", rows, COUNT(rows),
    "\"Backtest\":{\"type\":\"object\",\"properties\":{\"matched\":{\"type\":\"integer\"},\"messages\":{\"type\":"
    "\"integer\"},\"days\":{\"type\":\"integer\"},\"whole\":{\"type\":\"boolean\"},\"since\":{\"type\":\"string\"},"
    "\"unproven\":{\"type\":\"integer\"},\"unknown\":{\"type\":\"integer\"},\"not_kept\":{\"type\":\"array\"},"
    "\"released\":{\"type\":\"integer\"},\"reported_ham\":{\"type\":\"integer\"},\"reported_spam\":{\"type\":"
    "\"integer\"},\"samples\":{\"type\":\"array\"}}},"
    "\"RuleTest\":{\"type\":\"object\",\"properties\":{\"direction\":{\"type\":\"string\"},\"recipients\":{\"type\":"
    "\"array\"}}}"};

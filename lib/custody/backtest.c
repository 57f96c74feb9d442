/* lib/custody/backtest.c - see backtest.h. A row of the log is made into a small message again, so that the one evaluation that there
 * is can be asked about it. */
#include "custody/backtest.h"

#include "base/json_read.h"
#include "store/mailbox.h"

#define LETTER_MAX (256u << 10)
#define ROW_MAX (4u << 20) /* memory for one delivery */
#define PAGE 250
#define PAGE_MAX (32u << 20)
#define DAY_US (86400 * INT64_C(1000000))

/* ---- the rule ---------------------------------------------------------------------------------------------------- */

static bool log_keeps(const struct condition *c)
{
    switch (c->kind) {
    case COND_BODY:
    case COND_SIGNED_BY: return false;
    case COND_HEADER: return span_is(c->header, "subject");
    default: return true;
    }
}

static struct scope *compile(const struct rule *r, struct err *e)
{
    const struct scope_policy policy = {.priority = 100, .name = "backtest"};
    struct scope_builder     *b = scope_builder_new(SCOPE_MAILBOX, &uuid_zero, false);

    if (scope_builder_policy(b, &policy, e) < 0 || scope_builder_rule(b, &policy.id, r, e) < 0) {
        scope_builder_free(&b);
        return NULL;
    }
    return scope_build(&b, 0, e);
}

int backtest_rule_init(struct backtest_rule *b, const struct rule *r, struct arena *a, struct err *e)
{
    struct condition *kept = arena_array(a, r->nconditions + 1, sizeof *kept);
    struct rule       asked = *r;

    *b = (struct backtest_rule){.rule = r};
    if (kept == NULL)
        return err_set(e, ERR_LIMIT, "the rule is too large");
    asked.conditions = kept;
    asked.nconditions = 0;
    asked.enabled = true;
    asked.test_only = false;
    asked.expires_us = 0;
    for (size_t i = 0; i < r->nconditions; i++) {
        if (!log_keeps(&r->conditions[i]))
            b->unjudged |= 1u << r->conditions[i].kind;
        else if (r->conditions[i].kind != COND_SIZE)
            kept[asked.nconditions++] = r->conditions[i];
    }
    return asked.nconditions == 0 || (b->scope = compile(&asked, e)) != NULL ? 0 : -1;
}

void backtest_rule_drop(struct backtest_rule *b) { scope_drop(&b->scope); }

/* ---- a row as a message ------------------------------------------------------------------------------------------ */

/* Bytes that mean nothing to any reader of headers stand as they are. */
static void put_encoded(struct buf *b, struct span text, const char *mark)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];

        if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')
            buf_putc(b, (char)c);
        else
            buf_printf(b, "%s%02X", mark, c);
    }
}

static void put_attachment(struct buf *b, struct span name, struct span type)
{
    bool plain = type.n > 0;

    for (size_t i = 0; i < type.n; i++)
        plain &= type.p[i] > ' ' && type.p[i] < 0x7f && strchr("()<>@,;:\\\"[]?=", type.p[i]) == NULL;
    buf_printf(b, "--x\r\nContent-Type: %.*s\r\nContent-Disposition: attachment",
               SPAN_ARG(plain ? type : SPAN("application/octet-stream")));
    if (name.n > 0) {
        buf_puts(b, "; filename*=utf-8''");
        put_encoded(b, name, "%");
    }
    buf_puts(b, "\r\n\r\n\r\n");
}

/* [{"name", "type", "size"}, …], as rulesd writes it. */
static int put_attachments(struct buf *b, struct span json, struct arena *a, struct err *e)
{
    struct json_read  r = {.in = json, .arena = a};
    struct json_value v, key;
    int               rc;

    if (json.n <= 2)
        return 0;
    buf_puts(b, "Content-Type: multipart/mixed; boundary=x\r\n\r\n");
    if (json_value(&r, &v, e) < 0 || v.type != JSON_ARRAY)
        return err_set(e, ERR_CORRUPT, "attachments in the log that cannot be read");
    while ((rc = json_item(&r, e)) > 0) {
        struct span name = SPAN_NONE, type = SPAN_NONE;

        if (json_value(&r, &v, e) < 0 || v.type != JSON_OBJECT)
            return err_set(e, ERR_CORRUPT, "attachments in the log that cannot be read");
        while ((rc = json_member(&r, &key, e)) > 0) {
            if (json_value(&r, &v, e) < 0)
                return -1;
            if (span_is(key.text, "name"))
                name = v.text;
            else if (span_is(key.text, "type"))
                type = v.text;
        }
        if (rc < 0)
            return -1;
        put_attachment(b, name, type);
    }
    buf_puts(b, "--x--\r\n");
    return rc;
}

static int put_letter(struct buf *b, const struct store_message *m, struct arena *a, struct err *e)
{
    buf_puts(b, "MIME-Version: 1.0\r\n");
    if (m->from_address.n > 0) {
        buf_puts(b, "From: <");
        buf_put(b, m->from_address);
        buf_puts(b, ">\r\n");
    }
    if (m->subject.n > 0) {
        buf_puts(b, "Subject: =?utf-8?Q?");
        put_encoded(b, m->subject, "=");
        buf_puts(b, "?=\r\n");
    }
    if (put_attachments(b, m->attachments, a, e) < 0)
        return -1;
    buf_puts(b, "\r\n");
    return b->failed ? err_set(e, ERR_LIMIT, "a message of the log is too large to be asked about") : 0;
}

static void fill_facts(const struct backtest_mail *m, struct arena *a, struct facts *f)
{
    const struct store_message *x = m->message;

    *f = (struct facts){
        .arena = a,
        .direction = x->direction,
        .host = x->host,
        .helo = x->helo,
        .proof = m->proof,
        .now_us = x->at_us,
    };
    f->has_ip = x->ip.n > 0 && ip_parse(x->ip, true, &f->ip);
    f->has_envelope_from = address_parse_path(x->sender, a, &f->envelope_from, NULL) == 0;
}

/* ---- asking ------------------------------------------------------------------------------------------------------ */

/* Of the size conditions: does each hold? */
static bool sizes_hold(const struct rule *r, int64_t size)
{
    for (size_t i = 0; i < r->nconditions; i++) {
        const struct condition *c = &r->conditions[i];
        bool                    in = (uint64_t)size >= c->size_min && (uint64_t)size <= c->size_max;

        if (c->kind == COND_SIZE && in == c->negated)
            return false;
    }
    return true;
}

static enum backtest_answer answer_of(enum match_why why)
{
    switch (why) {
    case WHY_APPLIED:
    case WHY_TEST_ONLY: return BACKTEST_MATCH;
    case WHY_NOT_PROVEN: return BACKTEST_UNPROVEN;
    case WHY_UNKNOWN: return BACKTEST_UNKNOWN;
    case WHY_FALSE:
    case WHY_EXPIRED:
    case WHY_FLOW: break;
    }
    return BACKTEST_NO;
}

static int ask_scope(const struct backtest_rule *b, const struct backtest_mail *m, struct arena *a,
                     enum backtest_answer *out, struct err *e)
{
    struct buf          letter;
    struct facts        f;
    struct rcpt_facts   rcpt = {.resolved = m->mailbox};
    struct evaluation  *ev;
    const struct match *found;
    size_t              n = 0;
    int                 rc = -1;

    fill_facts(m, a, &f);
    rcpt.resolved_domain = span_skip(m->mailbox, span_rchr(m->mailbox, '@') + 1);
    buf_init(&letter, LETTER_MAX);
    if (address_parse_path(m->recipient, a, &rcpt.given, NULL) < 0)
        rcpt.given = (struct address){0};
    if (put_letter(&letter, m->message, a, e) < 0)
        goto out;
    if ((f.message = message_open(buf_span(&letter), a)) == NULL || (ev = evaluation_new(&f)) == NULL) {
        err_set(e, ERR_LIMIT, "a message of the log is too large to be asked about");
        goto out;
    }
    rc = evaluate_all(ev, b->scope, &rcpt, &found, &n, e);
    if (rc == 0)
        *out = n > 0 ? answer_of(found[0].why) : BACKTEST_NO;
out:
    buf_fini(&letter);
    return rc;
}

int backtest_ask(const struct backtest_rule *b, const struct backtest_mail *m, struct arena *a,
                 enum backtest_answer *out, struct err *e)
{
    *out = BACKTEST_NO;
    if (!sizes_hold(b->rule, m->message->size))
        return 0;
    if (m->message->direction == DIRECTION_OUTBOUND && b->rule->flow == FLOW_FROM)
        return 0;
    *out = BACKTEST_MATCH;
    if (b->scope != NULL && ask_scope(b, m, a, out, e) < 0)
        return -1;
    if (*out != BACKTEST_NO && b->unjudged != 0)
        *out = BACKTEST_UNKNOWN;
    return 0;
}

/* ---- a scope ----------------------------------------------------------------------------------------------------- */

/* While it runs. `page` and `row` are reset behind each. */
struct running {
    struct store             *store;
    const struct report_site *site;
    struct backtest_rule      rule;
    struct arena             *arena, page, row;
    struct store_row          rows[PAGE];
    size_t                    nrows;
    struct store_mailbox      mailbox; /* the last that was looked up */
    struct backtest_result   *out;
};

static void keep_row(const struct store_row *row, struct arena *a, struct store_row *out)
{
    struct span *texts[] = {&out->queue_id,     &out->ip,        &out->host,    &out->sender,
                            &out->from_address, &out->from_name, &out->subject, &out->message_id,
                            &out->inbound,      &out->recipient, &out->layer,   &out->answer};

    *out = *row;
    for (size_t i = 0; i < COUNT(texts); i++)
        *texts[i] = arena_dup(a, *texts[i]);
}

static int take_row(void *ctx, const struct store_row *row)
{
    struct running *x = ctx;

    keep_row(row, &x->page, &x->rows[x->nrows++]);
    return x->nrows == PAGE;
}

struct said {
    const struct store_row *row;
    bool                    ham, spam;
};

/* The mailbox that got it says so; without one, somebody of the domain. */
static bool is_about(const struct store_report *r, const struct store_row *row)
{
    if (row->has_mailbox)
        return r->has_mailbox && uuid_eq(&r->mailbox, &row->mailbox);
    return row->has_domain && r->has_domain && uuid_eq(&r->domain, &row->domain);
}

static int each_report(void *ctx, const struct store_report *r)
{
    struct said *s = ctx;

    if (r->state == REPORT_SUPERSEDED || !is_about(r, s->row))
        return 0;
    s->ham |= r->class == REPORT_HAM;
    s->spam |= r->class == REPORT_SPAM;
    return 0;
}

static int count_match(struct running *x, const struct store_row *row, struct err *e)
{
    struct backtest_result *o = x->out;
    struct said             said = {.row = row};
    bool                    released = delivery_was_released(row->verdict, row->state);
    size_t                  at = o->nsamples;

    if (store_report_show(x->store, &row->key.uid, each_report, &said, e) < 0) {
        if (e->code != ERR_NOT_FOUND)
            return -1;
        *e = ERR_INIT;
    }
    o->matched++;
    o->released += released;
    o->reported_ham += said.ham;
    o->reported_spam += said.spam;
    if (at == BACKTEST_SAMPLES && (released || said.ham) && o->released + o->reported_ham == released + said.ham)
        at--; /* the first that should not have been caught is shown in any case */
    if (at == BACKTEST_SAMPLES)
        return 0;
    o->samples[at] = (struct backtest_sample){.reported_ham = said.ham, .reported_spam = said.spam};
    keep_row(row, x->arena, &o->samples[at].row);
    o->nsamples = at + 1;
    return 0;
}

/* Its address; "" for what has none, or is gone. */
static int mailbox_of(struct running *x, const struct store_row *row, struct span *out, struct err *e)
{
    *out = SPAN("");
    if (!row->has_mailbox)
        return 0;
    if (!uuid_eq(&x->mailbox.id, &row->mailbox) && store_mailbox_get(x->store, row->mailbox, &x->mailbox, e) < 0) {
        x->mailbox = (struct store_mailbox){.id = row->mailbox};
        if (e->code != ERR_NOT_FOUND)
            return -1;
        *e = ERR_INIT;
    }
    *out = span_of(x->mailbox.address);
    return 0;
}

static int look_at(struct running *x, const struct store_row *row, struct err *e)
{
    struct store_message m;
    struct backtest_mail mail = {.message = &m, .recipient = row->recipient};
    enum backtest_answer answer;

    arena_reset(&x->row);
    if (store_message_read(x->store, &row->key.uid, &x->row, &m, e) < 0 || mailbox_of(x, row, &mail.mailbox, e) < 0)
        return -1;
    if (x->rule.rule->action == RULE_ALLOW)
        report_prove_by_log(x->site, &m, &x->row, &mail.proof);
    if (backtest_ask(&x->rule, &mail, &x->row, &answer, e) < 0)
        return -1;
    x->out->looked++;
    x->out->since_us = row->at_us;
    x->out->unproven += answer == BACKTEST_UNPROVEN;
    x->out->unknown += answer == BACKTEST_UNKNOWN;
    return answer == BACKTEST_MATCH ? count_match(x, row, e) : 0;
}

/* 1: there is more behind it. */
static int look_at_page(struct running *x, int64_t until_us, struct err *e)
{
    for (size_t i = 0; i < x->nrows; i++) {
        if (x->out->looked == BACKTEST_MAX || clock_mono_us() >= until_us)
            return 0;
        if (look_at(x, &x->rows[i], e) < 0) {
            if (e->code != ERR_NOT_FOUND && e->code != ERR_CORRUPT)
                return -1;
            *e = ERR_INIT; /* it went meanwhile, or cannot be read any more */
        }
    }
    return 1;
}

static int walk(struct running *x, struct store_scope scope, struct err *e)
{
    int64_t             until_us = clock_mono_us() + BACKTEST_US;
    struct store_search what = {.scope = scope, .since_us = clock_wall_us() - BACKTEST_DAYS * DAY_US, .limit = PAGE};
    struct store_search_end end = {.more = true};
    int                     rc = 1;

    while (rc > 0 && end.more) {
        x->nrows = 0;
        arena_reset(&x->page);
        if (store_search(x->store, &what, take_row, x, &end, e) < 0)
            return -1;
        rc = x->page.full ? err_set(e, ERR_LIMIT, "too much memory for the rows of the log")
                          : look_at_page(x, until_us, e);
        what.has_before = true;
        what.before = end.next;
        if (rc > 0 && end.more && clock_mono_us() >= until_us)
            rc = 0;
    }
    x->out->whole = rc > 0;
    if (x->out->whole)
        x->out->since_us = what.since_us;
    return rc < 0 ? -1 : 0;
}

int backtest(struct store *s, const struct report_site *site, struct store_scope scope, const struct rule *r,
             struct arena *a, struct backtest_result *out, struct err *e)
{
    struct running *x = arena_zalloc(a, sizeof *x);
    int             rc;

    *out = (struct backtest_result){.since_us = clock_wall_us()};
    if (x == NULL)
        return err_set(e, ERR_LIMIT, "too little memory");
    x->store = s;
    x->site = site;
    x->arena = a;
    x->out = out;
    if (backtest_rule_init(&x->rule, r, a, e) < 0)
        return -1;
    out->unjudged = x->rule.unjudged;
    arena_init(&x->page, PAGE_MAX);
    arena_init(&x->row, ROW_MAX);
    rc = walk(x, scope, e);
    arena_fini(&x->row);
    arena_fini(&x->page);
    backtest_rule_drop(&x->rule);
    return rc;
}

/* portal/request.c - who may not release a message asks the owners of the domain for it; they answer. */
#include "mail.h"
#include "route.h"
#include "store/audit.h"

#define PAGE_DEFAULT 50
#define PAGE_MAX 100

/* Written before it is done: the log and the audit are two databases. */
static int note(struct call *c, const char *action, struct store_scope scope, struct err *e)
{
    struct buf payload;
    int        rc;

    buf_init(&payload, 4096);
    json_open(&payload, NULL, '{');
    json_add_i64(&payload, "recipient", c->delivery.n);
    json_close(&payload, '}');
    rc = store_audit_note(c->store, &c->actor, action, "message", &c->delivery.uid, scope, buf_span(&payload), e);
    buf_fini(&payload);
    return rc;
}

/* ---- asking ---- */

struct ask_body {
    uint64_t    given;
    struct span why;
};
static const struct field ask_fields[] = {
    {"why", FIELD_TEXT, 0, 0, REQUEST_TEXT_MAX, NULL, offsetof(struct ask_body, why), "What the owner should know."},
    FIELDS_END};

static int may_ask(struct call *c, const struct mail_delivery *m, struct err *e)
{
    enum deed deed = mail_release_deed(c, m, NULL);

    if (!mail_is_held(m) || !m->d->delivery.has_domain)
        return err_set(e, ERR_CONFLICT, "This message is not held: there is nothing to release.");
    if (deed == DEED_RELEASE_VIRUS)
        return err_set(e, ERR_DENIED, "%s", deed_rows[deed].refusal);
    if (permit(c->store, &c->who, deed, &c->scope, "message", NULL) == 0)
        return err_set(e, ERR_CONFLICT, "You can release this message yourself.");
    return 0;
}

static int ask(struct call *c, struct err *e)
{
    const struct ask_body *in = c->body;
    struct mail_delivery   m;
    struct store_request   r = {.key = c->delivery, .who = span_of(c->actor.name), .why = in->why};
    struct buf            *b;

    if (r.why.p == NULL)
        r.why = SPAN("");
    if (mail_find(c, &m, e) < 0 || may_ask(c, &m, e) < 0)
        return -1;
    r.domain = m.d->delivery.domain;
    r.has_mailbox = m.d->delivery.has_mailbox;
    r.mailbox = m.d->delivery.mailbox;
    if (note(c, "release.ask", c->scope, e) < 0)
        return -1;
    if (store_request_ask(c->store, &r, c->now_us, e) < 0)
        return e->code == ERR_CONFLICT ? err_set(e, ERR_CONFLICT, "An owner has answered this already.") : -1;
    if (store_request_get(c->store, &c->delivery, c->arena, &r, e) <= 0)
        return -1;
    b = call_reply(c, 200);
    mail_put_request(b, NULL, &r);
    return 0;
}

/* ---- the queue ---- */

struct queue_query {
    uint64_t    given;
    int         state;
    struct span after;
    int64_t     limit;
};
static const struct field queue_fields[] = {
    {"state", FIELD_WORD, 0, 0, 0, request_state_words, offsetof(struct queue_query, state), "waiting unless said."},
    {"after", FIELD_TEXT, 0, 0, 100, NULL, offsetof(struct queue_query, after), "The `next` of the page before."},
    {"limit", FIELD_I64, 0, 1, PAGE_MAX, NULL, offsetof(struct queue_query, limit), "50 unless said."},
    FIELDS_END,
};

struct queue {
    struct arena        *arena;
    struct store_request rows[PAGE_MAX + 1];
    size_t               n;
};

static int gather(void *ctx, const struct store_request *r)
{
    struct queue         *q = ctx;
    struct store_request *one = &q->rows[q->n++];

    *one = *r;
    one->who = arena_dup(q->arena, r->who);
    one->why = arena_dup(q->arena, r->why);
    one->answer = arena_dup(q->arena, r->answer);
    one->answered_by = arena_dup(q->arena, r->answered_by);
    return 0;
}

struct row_of {
    struct buf      *b;
    struct store_key key;
};

static int put_row(void *ctx, const struct store_row *row)
{
    struct row_of *r = ctx;

    if (row->key.n != r->key.n)
        return 0;
    mail_put_row(r->b, "delivery", row);
    return 1;
}

static int put_item(struct call *c, struct buf *b, const struct store_request *r, struct err *e)
{
    struct store_search     s = {.scope = c->scope, .has_uid = true, .uid = r->key.uid};
    struct store_search_end end;
    struct row_of           of = {b, r->key};

    json_open(b, NULL, '{');
    json_add_uuid(b, "uid", &r->key.uid);
    json_add_i64(b, "n", r->key.n);
    mail_put_request(b, "request", r);
    if (store_search(c->store, &s, put_row, &of, &end, e) < 0)
        return -1;
    json_close(b, '}');
    return 0;
}

static int queue(struct call *c, struct err *e)
{
    const struct queue_query *in = c->query;
    size_t                    limit = in->limit > 0 ? (size_t)in->limit : PAGE_DEFAULT;
    struct queue             *q = arena_zalloc(c->arena, sizeof *q);
    struct store_key          after;
    struct buf               *b;
    size_t                    n;

    if (q == NULL)
        return err_set(e, ERR_LIMIT, "The page is too large; ask for fewer rows.");
    q->arena = c->arena;
    if ((in->after.n > 0 && mail_cursor_read(c, in->after, &after, e) < 0) ||
        store_request_list(c->store, c->object, (enum request_state)in->state, in->after.n > 0 ? &after : NULL,
                           limit + 1, gather, q, e) < 0)
        return -1;
    n = q->n < limit ? q->n : limit;
    b = call_list_begin(c);
    for (size_t i = 0; i < n; i++)
        if (put_item(c, b, &q->rows[i], e) < 0)
            return -1;
    call_list_end(c, q->n > limit ? mail_cursor(c, &q->rows[limit - 1].key) : SPAN_NONE);
    return 0;
}

/* ---- answering ---- */

struct answer_body {
    uint64_t    given;
    bool        grant;
    struct span answer;
};
static const struct field answer_fields[] = {{"grant", FIELD_BOOL, FIELD_REQUIRED, 0, 0, NULL,
                                              offsetof(struct answer_body, grant), "true releases the message."},
                                             {"answer", FIELD_TEXT, 0, 0, REQUEST_TEXT_MAX, NULL,
                                              offsetof(struct answer_body, answer), "What the person shall read."},
                                             FIELDS_END};

static int turn(struct call *c, enum request_state from, enum request_state to, struct span answer, struct err *e)
{
    if (store_request_answer(c->store, &c->delivery, from, to, span_of(c->actor.name), answer, c->now_us, e) == 0)
        return 0;
    return e->code == ERR_CONFLICT ? err_set(e, ERR_CONFLICT, "Somebody has answered this already.") : -1;
}

/* Granted first: two owners who press at once release it once. What comes to nothing waits again. */
static int grant(struct call *c, struct span answer, struct err *e)
{
    struct mail_release_how how = {.again = false};
    struct store_release    row;
    struct err              ignored = ERR_INIT;

    if (turn(c, REQUEST_WAITING, REQUEST_GRANTED, answer, e) < 0)
        return -1;
    if (mail_release(c, &how, &row, e) == 0)
        return 0;
    (void)turn(c, REQUEST_GRANTED, REQUEST_WAITING, SPAN(""), &ignored);
    return -1;
}

static int answer(struct call *c, struct err *e)
{
    const struct answer_body *in = c->body;
    struct span               text = in->answer.p != NULL ? in->answer : SPAN("");
    struct store_request      r;
    int                       rc;

    if (!uuid_parse(c->params[1], &c->delivery.uid) || !span_i64(c->params[2], &c->delivery.n))
        return err_set(e, ERR_NOT_FOUND, "There is no such request.");
    if ((rc = store_request_get(c->store, &c->delivery, c->arena, &r, e)) < 0)
        return -1;
    if (rc == 0 || !uuid_eq(&r.domain, &c->object))
        return err_set(e, ERR_NOT_FOUND, "There is no such request.");
    if (note(c, in->grant ? "release.grant" : "release.refuse",
             r.has_mailbox ? store_scope_mailbox(r.mailbox) : c->scope, e) < 0 ||
        (in->grant ? grant(c, text, e) : turn(c, REQUEST_WAITING, REQUEST_REFUSED, text, e)) < 0 ||
        store_request_get(c->store, &c->delivery, c->arena, &r, e) <= 0)
        return -1;
    mail_put_request(call_reply(c, 200), NULL, &r);
    return 0;
}

static const struct route rows[] = {
    {HTTPD_POST, "/deliveries/{uid}/{n}/ask", DEED_ACT_ON_MAIL, OBJECT_DELIVERY, 0, ask, NULL, ask_fields, 0,
     sizeof(struct ask_body), "Asks the owners of the domain to release a held message.", "ReleaseRequest"},
    {HTTPD_GET, "/domains/{domain}/requests", DEED_DECIDE_RELEASE, OBJECT_DOMAIN, 0, queue, queue_fields, NULL,
     sizeof(struct queue_query), 0, "What people ask to be released, the oldest message first.", "list:ReleaseAsked"},
    {HTTPD_POST, "/domains/{domain}/requests/{uid}/{n}", DEED_DECIDE_RELEASE, OBJECT_DOMAIN, 0, answer, NULL,
     answer_fields, 0, sizeof(struct answer_body), "Answers one; granting releases the message.", "ReleaseRequest"},
};

const struct route_family request_family = {
    "Mail", rows, COUNT(rows),
    "\"ReleaseRequest\":{\"type\":\"object\",\"properties\":{\"state\":{\"type\":\"string\",\"enum\":[\"waiting\","
    "\"granted\",\"refused\"]},\"who\":{\"type\":\"string\"},\"why\":{\"type\":\"string\"},\"answer\":{\"type\":"
    "\"string\"},\"answered_by\":{\"type\":\"string\"},\"asked\":{\"type\":\"string\"},\"answered\":{\"type\":["
    "\"string\",\"null\"]}}},"
    "\"ReleaseAsked\":{\"type\":\"object\",\"properties\":{\"uid\":{\"type\":\"string\"},\"n\":{\"type\":\"integer\"},"
    "\"request\":{\"$ref\":\"#/components/schemas/ReleaseRequest\"},\"delivery\":{\"$ref\":"
    "\"#/components/schemas/Delivery\"}}}"};

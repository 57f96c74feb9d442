/* portal/test_mail.c - a test mail: by the same outbox as all mail of ours, and what became of it.
 *
 * Its Message-ID is made of its key, so that its delivery is found in the log once it has come by there; mail that the mail server does
 * not show us never does. */
#include <stdio.h>

#include "brand.h"
#include "limit.h"
#include "mail.h"
#include "mail/address.h"
#include "mail/compose.h"
#include "route.h"
#include "sentence.h"
#include "store/audit.h"
#include "store/outbox.h"
#include "store/search.h"

#define KIND SPAN("test")
#define TESTS_PER_PERSON 20 /* in ten minutes */

static const char letter[] = "Hello,\n"
                             "\n"
                             "this is a test of %s. %s asked for it.\n"
                             "If you can read it, mail of ours arrives.\n";

/* As the header has it, without brackets. */
static struct span letter_id(struct call *c, const struct store_brand *brand, struct span key)
{
    struct span from = compose_address(span_of(brand->sender));

    return arena_printf(c->arena, "%.*s@%.*s", SPAN_ARG(key), SPAN_ARG(span_skip(from, span_rchr(from, '@') + 1)));
}

static int put_letter(struct call *c, struct span to, struct span key, struct err *e)
{
    struct compose_field fields[] = {{"Auto-Submitted", SPAN("auto-generated")},
                                     {"X-Auto-Response-Suppress", SPAN("All")}};
    struct compose       m = {
              .to = to, .subject = SPAN("A test mail"), .at_us = c->now_us, .fields = fields, .nfields = COUNT(fields)};
    struct store_mail  mail = {.kind = KIND, .key = key, .recipient = to};
    struct store_brand brand;
    struct buf         out;
    int                rc;

    if (brand_of(c, SPAN_NONE, &brand, e) < 0)
        return -1;
    m.from = span_of(brand.sender);
    m.message_id = letter_id(c, &brand, key);
    m.text = arena_printf(c->arena, letter, brand.name, c->actor.name);
    buf_init(&out, 64 << 10);
    rc = compose_message(&m, &out, e);
    mail.message = buf_span(&out);
    if (rc == 0)
        rc = store_outbox_put(c->store, &mail, c->now_us, NULL, e);
    buf_fini(&out);
    return rc;
}

struct test_body {
    uint64_t    given;
    struct span to;
};
static const struct field test_fields[] = {
    {"to", FIELD_TEXT, FIELD_REQUIRED, 3, STORE_ADDRESS_MAX, NULL, offsetof(struct test_body, to), "Where it goes."},
    FIELDS_END};

static int note(struct call *c, const struct uuid *id, struct span to, struct err *e)
{
    struct buf payload;
    int        rc;

    buf_init(&payload, 4096);
    json_open(&payload, NULL, '{');
    json_add_text(&payload, "to", to);
    json_close(&payload, '}');
    rc = store_audit_note(c->store, &c->actor, "mail.test", "mail", id, STORE_SCOPE_GLOBAL, buf_span(&payload), e);
    buf_fini(&payload);
    return rc;
}

/* The letter and its audit row: both or none. */
static int put_both(struct call *c, struct span to, const struct uuid *id, struct err *e)
{
    char key[UUID_TEXT + 1];

    uuid_format(id, key);
    if (store_begin(c->store, e) < 0)
        return -1;
    if (put_letter(c, to, span_of(key), e) == 0 && note(c, id, to, e) == 0 && store_commit(c->store, e) == 0)
        return 0;
    store_rollback(c->store);
    return -1;
}

static int send_test(struct call *c, struct err *e)
{
    const struct test_body *in = c->body;
    struct uuid             id = uuid7_make();
    struct address          to;
    struct buf             *b;

    c->member = "to";
    if (address_parse_path(span_trim(in->to), c->arena, &to, NULL) < 0 || to.full.n == 0)
        return err_set(e, ERR_INVALID, "That is not an address.");
    c->member = NULL;
    if (limit_check(c, "test-mail", span_of(c->actor.name), false, TESTS_PER_PERSON, e) < 0 ||
        put_both(c, to.full, &id, e) < 0)
        return -1;
    b = call_reply(c, 201);
    json_open(b, NULL, '{');
    json_add_uuid(b, "id", &id);
    json_add_text(b, "to", to.full);
    json_close(b, '}');
    return 0;
}

/* ---- what became of it ---- */

struct found {
    struct uuid uid;
    bool        any;
};

static int take_uid(void *ctx, const struct uuid *uid)
{
    struct found *f = ctx;

    *f = (struct found){*uid, true};
    return 1;
}

static void put_delivery(struct buf *b, const struct uuid *uid, const struct store_timeline_delivery *d)
{
    json_open(b, NULL, '{');
    json_add_uuid(b, "uid", uid);
    json_add_i64(b, "n", d->n);
    json_add_str(b, "status", delivery_status_words[d->status]);
    json_add_text(b, "recipient", d->delivery.recipient);
    json_add_text(b, "answer", d->answer);
    json_add_time(b, "updated", d->updated_us);
    json_close(b, '}');
}

static int put_deliveries(struct call *c, struct buf *b, struct span key, struct err *e)
{
    struct store_brand    brand;
    struct found          f = {.any = false};
    struct store_timeline t = {0};

    if (brand_of(c, SPAN_NONE, &brand, e) < 0 ||
        store_trace(c->store, letter_id(c, &brand, key), 1, take_uid, &f, e) < 0)
        return -1;
    if (f.any && store_timeline(c->store, &f.uid, STORE_SCOPE_GLOBAL, c->arena, &t, e) < 0 && e->code != ERR_NOT_FOUND)
        return -1;
    *e = ERR_INIT;
    json_open(b, "deliveries", '[');
    for (size_t i = 0; i < t.ndeliveries; i++)
        put_delivery(b, &f.uid, &t.deliveries[i]);
    json_close(b, ']');
    return 0;
}

static int get_test(struct call *c, struct err *e)
{
    struct store_outbox_row r;
    struct buf             *b;

    if (store_outbox_get(c->store, KIND, c->params[0], c->arena, &r, e) < 0)
        return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "There is no such test mail.") : -1;
    b = call_reply(c, 200);
    json_open(b, NULL, '{');
    json_add_text(b, "id", c->params[0]);
    json_add_text(b, "to", r.recipient);
    json_add_text(b, "state", r.state);
    json_add_text(b, "answer", r.answer);
    sentence_put(b, "answer_said", r.answer);
    json_add_i64(b, "attempts", r.attempts);
    json_add_time(b, "created", r.created_us);
    json_add_time(b, "next", span_is(r.state, "waiting") ? r.next_us : 0);
    json_add_time(b, "done", r.done_us);
    if (put_deliveries(c, b, c->params[0], e) < 0)
        return -1;
    json_close(b, '}');
    return 0;
}

static const struct route rows[] = {
    {HTTPD_POST, "/overview/test-mails", DEED_OPERATE, OBJECT_GLOBAL, ROUTE_MAKES, send_test, NULL, test_fields, 0,
     sizeof(struct test_body), "Sends a test mail by the outbox, as all mail of ours.", "TestMailMade"},
    {HTTPD_GET, "/overview/test-mails/{mail}", DEED_OPERATE, OBJECT_GLOBAL, 0, get_test,
     .summary = "What became of a test mail: what the mail server said to it, and its delivery once it is in the log.",
     .reply = "TestMail"},
};

const struct route_family test_mail_family = {
    "Overview", rows, COUNT(rows),
    "\"TestMailMade\":{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"to\":{\"type\":\"string\"}}},"
    "\"TestMail\":{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"to\":{\"type\":\"string\"},"
    "\"state\":{\"type\":\"string\",\"enum\":[\"waiting\",\"sent\",\"failed\"]},\"answer\":{\"type\":\"string\"},"
    "\"answer_said\":{\"$ref\":\"#/components/schemas/SaidOrNull\"},"
    "\"attempts\":{\"type\":\"integer\"},\"created\":{\"type\":\"string\"},\"next\":{\"type\":[\"string\",\"null\"]},"
    "\"done\":{\"type\":[\"string\",\"null\"]},\"deliveries\":{\"type\":\"array\"}}}"};

/* portal/rules_learned.c - the senders that a mailbox has learned from reports. */
#include "route.h"
#include "rules.h"
#include "store/learned.h"

#define LEARNED_PAGE 200

struct learned_page {
    struct buf *b;
    struct uuid last;
    size_t      n;
};

static int put_learned(void *ctx, const struct store_learned *l, struct span mailbox)
{
    struct learned_page *p = ctx;

    (void)mailbox;
    json_open(p->b, NULL, '{');
    json_add_uuid(p->b, "id", &l->id);
    json_add_str(p->b, "action", rule_action_word(l->action));
    json_add_text(p->b, "sender", l->sender);
    json_add_text(p->b, "proof", l->proof);
    json_add_text(p->b, "uid", l->report_uid.n > 0 ? l->report_uid : SPAN_NONE);
    json_add_time(p->b, "expires", l->expires_us);
    json_add_time(p->b, "created", l->created_us);
    json_close(p->b, '}');
    p->last = l->id;
    p->n++;
    return 0;
}

struct learned_query {
    uint64_t    given;
    struct uuid after;
};
static const struct field learned_fields[] = {
    {"after", FIELD_UUID, 0, 0, 0, NULL, offsetof(struct learned_query, after), "Where the page before ended."},
    FIELDS_END};

static int list_learned(struct call *c, struct err *e)
{
    const struct learned_query *q = c->query;
    struct learned_page         p = {.b = call_list_begin(c)};
    char                        last[UUID_TEXT + 1];

    if (store_learned_list(c->store, c->scope, field_given(q, 0) ? &q->after : NULL, c->now_us, LEARNED_PAGE,
                           put_learned, &p, e) < 0)
        return -1;
    uuid_format(&p.last, last);
    call_list_end(c, p.n == LEARNED_PAGE ? span_of(last) : SPAN_NONE);
    return 0;
}

static int undo_learned(struct call *c, struct err *e)
{
    if (store_learned_delete(c->store, &c->actor, c->object, e) < 0)
        return rules_say(c, e);
    call_reply_nothing(c);
    return 0;
}

/* clang-format off */
static const struct route rows[] = {
    {HTTPD_GET, "/mailboxes/{mailbox}/learned", DEED_SEE_RULES, OBJECT_MAILBOX, 0, list_learned, learned_fields, NULL,
     sizeof(struct learned_query), 0, "Senders that reports have left behind.", "list:Learned"},
    {HTTPD_DELETE, "/learned/{learned}", DEED_WRITE_RULES, OBJECT_LEARNED, 0, undo_learned,
     .summary = "Forgets a learned sender."},
};
/* clang-format on */

const struct route_family rules_learned_family = {
    "Rules", rows, COUNT(rows),
    "\"Learned\":{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"action\":{\"type\":\"string\"},"
    "\"sender\":{\"type\":\"string\"},\"proof\":{\"type\":\"string\"},\"uid\":{\"type\":[\"string\",\"null\"]},"
    "\"expires\":{\"type\":\"string\"},\"created\":{\"type\":\"string\"}}}"};

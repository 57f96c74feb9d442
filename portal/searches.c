/* portal/searches.c - the searches that a person keeps, by name and in their order. */
#include "mail_query.h"
#include "route.h"
#include "store/saved_search.h"

static struct span or_empty(struct span s) { return s.p != NULL ? s : SPAN(""); }

static void put_search(struct buf *b, const struct store_saved_search *x)
{
    json_open(b, NULL, '{');
    json_add_uuid(b, "id", &x->id);
    json_add_text(b, "name", x->name);
    json_add_text(b, "q", or_empty(x->q));
    json_add_text(b, "in", or_empty(x->place));
    json_add_i64(b, "position", x->position);
    json_add_time(b, "created", x->created_us);
    json_close(b, '}');
}

static int each_search(void *ctx, const struct store_saved_search *x)
{
    put_search(ctx, x);
    return 0;
}

static int list_searches(struct call *c, struct err *e)
{
    if (store_saved_search_list(c->store, c->who.account.id, each_search, call_list_begin(c), e) < 0)
        return -1;
    call_list_end(c, SPAN_NONE);
    return 0;
}

struct search_body {
    uint64_t    given;
    struct span name, q, in;
    int64_t     position;
};
enum { SEARCH_NAME, SEARCH_Q, SEARCH_IN, SEARCH_POSITION };
#define SEARCH_FIELDS(needed)                                                                                          \
    [SEARCH_NAME] = {"name",                                                                                           \
                     FIELD_TEXT,                                                                                       \
                     needed,                                                                                           \
                     1,                                                                                                \
                     SAVED_NAME_MAX,                                                                                   \
                     NULL,                                                                                             \
                     offsetof(struct search_body, name),                                                               \
                     "What it is called."},                                                                            \
    [SEARCH_Q] = {"q",                                                                                                 \
                  FIELD_TEXT,                                                                                          \
                  needed,                                                                                              \
                  0,                                                                                                   \
                  SAVED_QUERY_MAX,                                                                                     \
                  NULL,                                                                                                \
                  offsetof(struct search_body, q),                                                                     \
                  "What to look for, as people type it; see GET /me/mail."},                                           \
    [SEARCH_IN] = {"in",                                                                                               \
                   FIELD_TEXT,                                                                                         \
                   0,                                                                                                  \
                   0,                                                                                                  \
                   SAVED_PLACE_MAX,                                                                                    \
                   NULL,                                                                                               \
                   offsetof(struct search_body, in),                                                                   \
                   "Where: global, domain:NAME, mailbox:ADDRESS; empty: all of one's own mailboxes."}
static const struct field add_fields[] = {SEARCH_FIELDS(FIELD_REQUIRED), FIELDS_END};
static const struct field set_fields[] = {SEARCH_FIELDS(0),
                                          [SEARCH_POSITION] = {"position", FIELD_I64, 0, 1, SAVED_SEARCHES_MAX, NULL,
                                                               offsetof(struct search_body, position),
                                                               "Its place in the list, from 1."},
                                          FIELDS_END};

/* What cannot be looked for is not kept. Whether the place is theirs is asked when they look. */
static int check(struct call *c, const struct store_saved_search *x, struct err *e)
{
    struct mail_query what;

    c->member = "q";
    if (mail_query_read(x->q, c->arena, &what, e) < 0)
        return -1;
    c->member = "in";
    if (x->place.n > 0 && !span_is(x->place, "global") && !span_starts(x->place, SPAN("domain:")) &&
        !span_starts(x->place, SPAN("mailbox:")))
        return err_set(e, ERR_INVALID, "That is no place to look: global, domain:NAME or mailbox:ADDRESS.");
    c->member = NULL;
    return 0;
}

static int reply(struct call *c, struct uuid id, int status, struct err *e)
{
    struct store_saved_search x;

    if (store_saved_search_get(c->store, c->who.account.id, id, c->arena, &x, e) < 0)
        return -1;
    put_search(call_reply(c, status), &x);
    return 0;
}

static int add_search(struct call *c, struct err *e)
{
    const struct search_body *in = c->body;
    struct store_saved_search x = {.name = in->name, .q = in->q, .place = or_empty(in->in)};
    struct uuid               id;

    if (check(c, &x, e) < 0 ||
        store_saved_search_add(c->store, &c->actor, c->who.account.id, &x, c->now_us, &id, e) < 0)
        return -1;
    return reply(c, id, 201, e);
}

static int gone(struct err *e)
{
    return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "There is no such search.") : -1;
}

static int set_search(struct call *c, struct err *e)
{
    const struct search_body *in = c->body;
    struct store_saved_search x;
    struct uuid               id;

    if (!uuid_parse(c->params[0], &id))
        return err_set(e, ERR_NOT_FOUND, "There is no such search.");
    if (store_saved_search_get(c->store, c->who.account.id, id, c->arena, &x, e) < 0)
        return gone(e);
    if (field_given(in, SEARCH_NAME))
        x.name = in->name;
    if (field_given(in, SEARCH_Q))
        x.q = in->q;
    if (field_given(in, SEARCH_IN))
        x.place = in->in;
    x.position = field_given(in, SEARCH_POSITION) ? in->position : 0;
    if (check(c, &x, e) < 0)
        return -1;
    return store_saved_search_set(c->store, &c->actor, c->who.account.id, &x, e) < 0 ? gone(e) : reply(c, id, 200, e);
}

static int delete_search(struct call *c, struct err *e)
{
    struct uuid id;

    if (!uuid_parse(c->params[0], &id))
        return err_set(e, ERR_NOT_FOUND, "There is no such search.");
    if (store_saved_search_delete(c->store, &c->actor, c->who.account.id, id, e) < 0)
        return gone(e);
    call_reply_nothing(c);
    return 0;
}

static const struct route rows[] = {
    {HTTPD_GET, "/me/searches", DEED_SELF, OBJECT_NONE, 0, list_searches,
     .summary = "The searches that one keeps, in their order.", .reply = "list:SavedSearch"},
    {HTTPD_POST, "/me/searches", DEED_SELF, OBJECT_NONE, ROUTE_MAKES, add_search, NULL, add_fields, 0,
     sizeof(struct search_body), "Keeps a search by a name, at the end of the list.", "SavedSearch"},
    {HTTPD_PATCH, "/me/searches/{search}", DEED_SELF, OBJECT_NONE, 0, set_search, NULL, set_fields, 0,
     sizeof(struct search_body), "Changes what is given of it, or moves it to another place in the list.",
     "SavedSearch"},
    {HTTPD_DELETE, "/me/searches/{search}", DEED_SELF, OBJECT_NONE, 0, delete_search, .summary = "Keeps it no longer."},
};

const struct route_family searches_family = {
    "Mail", rows, COUNT(rows),
    "\"SavedSearch\":{\"type\":\"object\",\"required\":[\"id\",\"name\",\"q\",\"in\",\"position\"],\"properties\":{"
    "\"id\":{\"type\":\"string\",\"format\":\"uuid\"},\"name\":{\"type\":\"string\"},\"q\":{\"type\":\"string\"},"
    "\"in\":{\"type\":\"string\"},\"position\":{\"type\":\"integer\"},\"created\":{\"type\":\"string\"}}}"};

/* portal/session.c - the calls about the session at hand, and about the others of the same person. Signing in is in signin.c. */
#include "store/session.h"

#include "brand.h"
#include "identify.h"
#include "route.h"
#include "store/mailbox.h"
#include "store/setting.h"

#define MAILBOXES_MAX 200 /* of one person */

/* ---- who am I ---- */

struct boxes {
    struct store_mailbox *rows; /* in the arena */
    size_t                n;
};

static int keep_mailbox(void *ctx, const struct store_mailbox *m)
{
    struct boxes *l = ctx;

    l->rows[l->n++] = *m;
    return l->n == MAILBOXES_MAX;
}

/* thresholds: it may have its own. */
static int put_mailbox(struct call *c, struct buf *b, const struct store_mailbox *m, struct err *e)
{
    struct store_setting domain;

    if (store_setting_holds(c->store, &m->domain, &domain, e) < 0)
        return -1;
    json_open(b, NULL, '{');
    json_add_uuid(b, "id", &m->id);
    json_add_str(b, "address", m->address);
    json_add_uuid(b, "domain", &m->domain);
    json_add_bool(b, "thresholds", domain.mailbox_thresholds == 1);
    json_close(b, '}');
    return 0;
}

static int put_role(void *ctx, const struct uuid *account, const struct uuid *domain, struct span name, enum role role)
{
    struct buf *b = ctx;

    (void)account;
    json_open(b, NULL, '{');
    json_add_uuid(b, "id", domain);
    json_add_text(b, "name", name);
    json_add_str(b, "role", role_words[role]);
    json_close(b, '}');
    return 0;
}

static int put_person(struct call *c, struct buf *b, struct err *e)
{
    const struct store_account *a = &c->who.account;
    struct boxes                boxes = {.rows = arena_array(c->arena, MAILBOXES_MAX, sizeof *boxes.rows)};

    if (boxes.rows == NULL)
        return err_set(e, ERR_LIMIT, "The answer would be too large.");
    if (store_mailbox_of_account(c->store, a->id, keep_mailbox, &boxes, e) < 0)
        return -1;
    json_open(b, "account", '{');
    json_add_uuid(b, "id", &a->id);
    json_add_str(b, "login", a->login);
    json_add_str(b, "name", a->name);
    json_add_bool(b, "admin", a->admin);
    json_add_str(b, "language", a->language);
    json_add_str(b, "zone", a->zone);
    json_close(b, '}');
    json_open(b, "mailboxes", '[');
    for (size_t i = 0; i < boxes.n; i++)
        if (put_mailbox(c, b, &boxes.rows[i], e) < 0)
            return -1;
    json_close(b, ']');
    json_open(b, "domains", '[');
    if (store_role_list(c->store, a->id, put_role, b, e) < 0)
        return -1;
    json_close(b, ']');
    json_add_bool(b, "staff", c->who.staff);
    json_add_text(b, "acting_for", c->who.staff ? c->who.acting_for : SPAN_NONE);
    json_add_text(b, "methods", c->who.methods);
    json_add_time(b, "elevated_until", c->who.elevated_until_us > c->now_us ? c->who.elevated_until_us : 0);
    return 0;
}

/* Without a session too: the page asks it first of all. */
static int get_session(struct call *c, struct err *e)
{
    struct buf *b = call_reply(c, 200);
    char        csrf[CSRF_TEXT + 1];

    json_open(b, NULL, '{');
    json_add_bool(b, "signed_in", c->who.kind == WHO_SESSION);
    json_add_time(b, "now", c->now_us);
    if (c->who.kind == WHO_SESSION) {
        csrf_of(identify_token(c), csrf);
        json_add_str(b, "csrf", csrf);
        if (put_person(c, b, e) < 0)
            return -1;
    }
    json_close(b, '}');
    return 0;
}

static int end_session(struct call *c, struct err *e)
{
    if (store_session_revoke(c->store, &c->actor, c->who.account.id, c->who.session, e) < 0 && e->code != ERR_NOT_FOUND)
        return -1;
    identify_set_cookie(c, SPAN_NONE, 0);
    call_reply_nothing(c);
    return 0;
}

/* ---- the others ---- */

struct listing {
    struct buf *b;
    struct uuid own;
};

static int put_session(void *ctx, const struct store_session *x)
{
    struct listing *l = ctx;
    struct buf     *b = l->b;

    json_open(b, NULL, '{');
    json_add_uuid(b, "id", &x->id);
    json_add_bool(b, "current", uuid_eq(&x->id, &l->own));
    json_add_str(b, "device", x->device);
    json_add_str(b, "ip", x->ip);
    json_add_str(b, "methods", x->methods);
    json_add_text(b, "acting_for", x->acting_for[0] != '\0' ? span_of(x->acting_for) : SPAN_NONE);
    json_add_time(b, "created", x->created_us);
    json_add_time(b, "last_used", x->last_used_us);
    json_add_time(b, "expires", x->expires_us);
    json_close(b, '}');
    return 0;
}

static int list_sessions(struct call *c, struct err *e)
{
    struct listing l = {call_list_begin(c), c->who.session};

    if (store_session_list(c->store, c->who.account.id, c->now_us, put_session, &l, e) < 0)
        return -1;
    call_list_end(c, SPAN_NONE);
    return 0;
}

static int revoke_session(struct call *c, struct err *e)
{
    struct uuid id;

    if (!uuid_parse(c->params[0], &id))
        return err_set(e, ERR_NOT_FOUND, "There is no such session.");
    if (store_session_revoke(c->store, &c->actor, c->who.account.id, id, e) < 0)
        return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "There is no such session.") : -1;
    if (uuid_eq(&id, &c->who.session))
        identify_set_cookie(c, SPAN_NONE, 0);
    call_reply_nothing(c);
    return 0;
}

static int revoke_others(struct call *c, struct err *e)
{
    int64_t     n;
    struct buf *b;

    if (store_session_revoke_all(c->store, &c->actor, c->who.account.id, &c->who.session, &n, e) < 0)
        return -1;
    b = call_reply(c, 200);
    json_open(b, NULL, '{');
    json_add_i64(b, "ended", n);
    json_close(b, '}');
    return 0;
}

/* ---- the installation ---- */

static int get_openapi(struct call *c, struct err *e)
{
    struct store_brand brand;

    if (brand_of(c, SPAN_NONE, &brand, e) < 0)
        return -1;
    openapi_put(call_reply(c, 200), brand.name, identify_cookie_name(c->portal));
    return 0;
}

static const struct route rows[] = {
    {HTTPD_GET, "/session", DEED_OPEN, OBJECT_NONE, 0, get_session, .summary = "Who is signed in, and what they have.",
     .reply = "Session"},
    {HTTPD_DELETE, "/session", DEED_SELF, OBJECT_NONE, 0, end_session, .summary = "Signs out."},
    {HTTPD_GET, "/me/sessions", DEED_SELF, OBJECT_NONE, 0, list_sessions,
     .summary = "Where one is signed in, the latest used first.", .reply = "list:SessionRow"},
    {HTTPD_DELETE, "/me/sessions", DEED_SELF_SECRET, OBJECT_NONE, 0, revoke_others,
     .summary = "Signs out everywhere else.", .reply = "Ended"},
    {HTTPD_DELETE, "/me/sessions/{session}", DEED_SELF_SECRET, OBJECT_NONE, 0, revoke_session,
     .summary = "Signs out there."},
    {HTTPD_GET, "/openapi.json", DEED_OPEN, OBJECT_NONE, 0, get_openapi, .summary = "This document.",
     .reply = "OpenApi"},
};

const struct route_family session_family = {
    "Session", rows, COUNT(rows),
    "\"OpenApi\":{\"type\":\"object\"},"
    "\"Ended\":{\"type\":\"object\",\"properties\":{\"ended\":{\"type\":\"integer\"}}},"
    "\"SessionRow\":{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"current\":{\"type\":"
    "\"boolean\"},"
    "\"device\":{\"type\":\"string\"},\"ip\":{\"type\":\"string\"},\"methods\":{\"type\":\"string\"},"
    "\"acting_for\":{\"type\":[\"string\",\"null\"]},\"created\":{\"type\":\"string\"},\"last_used\":{\"type\":"
    "\"string\"},"
    "\"expires\":{\"type\":\"string\"}}},"
    "\"Session\":{\"type\":\"object\",\"properties\":{\"signed_in\":{\"type\":\"boolean\"},\"now\":{\"type\":"
    "\"string\"},\"csrf\":{\"type\":"
    "\"string\"},"
    "\"account\":{\"type\":\"object\"},\"mailboxes\":{\"type\":\"array\"},\"domains\":{\"type\":\"array\"},"
    "\"staff\":{\"type\":\"boolean\"},\"acting_for\":{\"type\":[\"string\",\"null\"]},\"methods\":{\"type\":\"string\"}"
    ","
    "\"elevated_until\":{\"type\":[\"string\",\"null\"]}}}"};

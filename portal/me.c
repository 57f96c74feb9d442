/* portal/me.c - one's own account: how one is called, in what language and time, and one's password. */
#include <stdio.h>

#include "base/zone.h"
#include "limit.h"
#include "password.h"
#include "route.h"
#include "store/credential.h"
#include "store/session.h"

static const char *const language_words[] = {"", "en", "de", NULL}; /* portal/web/words/; "": as the browser says */

/* ---- who I am ---- */

static int put_me(struct call *c, const struct store_account *a, struct err *e)
{
    struct buf *b;
    bool        password;

    if (store_password_there(c->store, a->id, &password, e) < 0)
        return -1;
    b = call_reply(c, 200);
    json_open(b, NULL, '{');
    json_add_uuid(b, "id", &a->id);
    json_add_str(b, "login", a->login);
    json_add_str(b, "name", a->name);
    json_add_str(b, "language", a->language);
    json_add_str(b, "zone", a->zone);
    json_add_bool(b, "password", password);
    json_close(b, '}');
    return 0;
}

static int get_me(struct call *c, struct err *e) { return put_me(c, &c->who.account, e); }

struct change {
    uint64_t    given;
    struct span name, zone;
    int         language;
};
enum { CHANGE_NAME, CHANGE_LANGUAGE, CHANGE_ZONE };
static const struct field change_fields[] = {
    [CHANGE_NAME] = {"name", FIELD_TEXT, 0, 0, STORE_NAME_MAX, NULL, offsetof(struct change, name),
                     "As shown to others."},
    [CHANGE_LANGUAGE] = {"language", FIELD_WORD, 0, 0, 0, language_words, offsetof(struct change, language),
                         "Of the pages; empty: as the browser says."},
    [CHANGE_ZONE] = {"zone", FIELD_TEXT, 0, 0, 63, NULL, offsetof(struct change, zone),
                     "An IANA time zone; empty: the browser's."},
    FIELDS_END,
};

static bool zone_exists(struct span name)
{
    const struct zone *z = zone_open(name, NULL);
    bool               exists = z != NULL;

    zone_close(&z);
    return exists;
}

static int change_me(struct call *c, struct err *e)
{
    const struct change *in = c->body;
    struct store_account a;

    if (store_account_get(c->store, c->who.account.id, &a, e) < 0)
        return -1;
    if (field_given(in, CHANGE_ZONE) && in->zone.n > 0 && !zone_exists(in->zone)) {
        c->member = "zone";
        return err_set(e, ERR_INVALID, "That is no time zone, like Europe/Berlin.");
    }
    if (field_given(in, CHANGE_NAME))
        snprintf(a.name, sizeof a.name, "%.*s", SPAN_ARG(span_trim(in->name)));
    if (field_given(in, CHANGE_LANGUAGE))
        snprintf(a.language, sizeof a.language, "%s", language_words[in->language]);
    if (field_given(in, CHANGE_ZONE))
        snprintf(a.zone, sizeof a.zone, "%.*s", SPAN_ARG(in->zone));
    if (store_account_set(c->store, &c->actor, &a, e) < 0)
        return -1;
    return put_me(c, &a, e);
}

/* ---- my password ---- */

struct password_body {
    uint64_t    given;
    struct span current, password;
};
static const struct field password_fields[] = {
    {"current", FIELD_TEXT, 0, 1, PASSWORD_LENGTH_MAX, NULL, offsetof(struct password_body, current),
     "The one until now, where there is one."},
    {"password", FIELD_TEXT, FIELD_REQUIRED, 1, PASSWORD_LENGTH_MAX, NULL, offsetof(struct password_body, password),
     "The new one, of at least 10 characters."},
    FIELDS_END,
};

/* Is it the person who sits there? By the password until now; who has none, by having signed in just now. */
static int prove(struct call *c, struct span current, struct err *e)
{
    const struct store_account *a = &c->who.account;
    bool                        there;
    int                         right;

    if (store_password_there(c->store, a->id, &there, e) < 0)
        return -1;
    if (!there)
        return call_elevated(c, e);
    if (limit_check(c, "elevate", span_of(a->login), false, LIMIT_TRIES_PER_PERSON, e) < 0 ||
        (right = store_password_check(c->store, a->id, current, e)) < 0)
        return -1;
    c->member = right ? NULL : "current";
    return right ? 0 : err_set(e, ERR_INVALID, "That is not your password.");
}

static int check_new(struct call *c, struct span password, struct err *e)
{
    struct span origin = span_of(c->portal->origin);
    struct span known[] = {span_of(c->who.account.login), span_of(c->who.account.name),
                           span_skip(origin, span_find(origin, SPAN("://")) + 3), SPAN("postern")};
    const char *refusal = password_refusal(password, known, COUNT(known));

    c->member = refusal != NULL ? "password" : NULL;
    return refusal == NULL ? 0 : err_set(e, ERR_INVALID, "%s", refusal);
}

/* Who had the old one, or a session by it, is out. */
static int set_in(struct call *c, struct span password, struct err *e)
{
    int64_t ended;

    if (store_password_set(c->store, &c->actor, c->who.account.id, password, e) < 0)
        return -1;
    return store_session_revoke_all(c->store, &c->actor, c->who.account.id, &c->who.session, &ended, e);
}

static int set_password(struct call *c, struct err *e)
{
    const struct password_body *in = c->body;

    if (check_new(c, in->password, e) < 0 || prove(c, in->current, e) < 0 || store_begin(c->store, e) < 0)
        return -1;
    if (set_in(c, in->password, e) < 0) {
        store_rollback(c->store);
        return -1;
    }
    if (store_commit(c->store, e) < 0)
        return -1;
    call_reply_nothing(c);
    return 0;
}

static int clear_password(struct call *c, struct err *e)
{
    if (store_password_clear(c->store, &c->actor, c->who.account.id, e) < 0)
        return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "You have no password.") : -1;
    call_reply_nothing(c);
    return 0;
}

static const struct route rows[] = {
    {HTTPD_GET, "/me", DEED_SELF, OBJECT_NONE, 0, get_me, .summary = "One's own account.", .reply = "Me"},
    {HTTPD_PATCH, "/me", DEED_SELF, OBJECT_NONE, ROUTE_ATOMIC, change_me, NULL, change_fields, 0, sizeof(struct change),
     "Changes one's name, language and time zone.", "Me"},
    {HTTPD_POST, "/me/password", DEED_SELF_SECRET, OBJECT_NONE, ROUTE_NO_REPLAY, set_password, NULL, password_fields, 0,
     sizeof(struct password_body), "Sets or changes one's password, and signs out everywhere else.", NULL},
    {HTTPD_DELETE, "/me/password", DEED_SELF_SECRET, OBJECT_NONE, ROUTE_ELEVATED, clear_password,
     .summary = "Takes one's password away: from then on by link alone."},
};

const struct route_family me_family = {
    "One's own account", rows, COUNT(rows),
    "\"Me\":{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"login\":{\"type\":\"string\"},"
    "\"name\":{\"type\":\"string\"},\"language\":{\"type\":\"string\"},\"zone\":{\"type\":\"string\"},"
    "\"password\":{\"type\":\"boolean\"}}}"};

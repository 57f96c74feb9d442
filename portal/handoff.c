/* portal/handoff.c - see handoff.h. */
#include "handoff.h"

#include <stdio.h>

#include "base/secret.h"
#include "identify.h"
#include "limit.h"
#include "signin.h"
#include "store/domain.h"
#include "store/handoff.h"
#include "store/mailbox.h"
#include "store/session.h"
#include "store/signin.h"

#define NONCES_FROM_NETWORK 100
#define PAGE "/handoff"

/* ---- two cookies: the browser's own, of its nonce, and what it was handed ---- */

enum cookie { COOKIE_BROWSER, COOKIE_TOKEN };
static const char *const cookie_names[][2] = {{"handoff_browser", "__Host-handoff_browser"},
                                              {"handoff", "__Host-handoff"}};

static struct span cookie(const struct call *c, enum cookie which)
{
    return httpd_cookie(c->request, cookie_names[which][c->portal->secure]);
}

static void set_cookie(struct call *c, enum cookie which, struct span value, int64_t us)
{
    struct span line = arena_printf(c->arena, "%s=%.*s; Path=/; HttpOnly; SameSite=Strict; Max-Age=%d%s",
                                    cookie_names[which][c->portal->secure], SPAN_ARG(value), (int)(us / 1000000),
                                    c->portal->secure ? "; Secure" : "");

    httpd_set(c->reply, "Set-Cookie", line);
}

/* ---- the nonce ---- */

static int make_nonce(struct call *c, char nonce[HANDOFF_TOKEN_TEXT + 1], struct err *e)
{
    char browser[SECRET_TOKEN_TEXT + 1];

    if (limit_check(c, "nonce", SPAN_NONE, true, NONCES_FROM_NETWORK, e) < 0)
        return -1;
    secret_token(browser);
    if (store_handoff_nonce(c->store, span_of(browser), c->now_us, nonce, e) < 0)
        return -1;
    set_cookie(c, COOKIE_BROWSER, span_of(browser), HANDOFF_NONCE_US + HANDOFF_US);
    return 0;
}

static int get_nonce(struct call *c, struct err *e)
{
    char        nonce[HANDOFF_TOKEN_TEXT + 1];
    struct buf *b;

    if (make_nonce(c, nonce, e) < 0)
        return -1;
    b = call_reply(c, 200);
    json_open(b, NULL, '{');
    json_add_str(b, "nonce", nonce);
    json_add_time(b, "expires", c->now_us + HANDOFF_NONCE_US);
    json_close(b, '}');
    return 0;
}

static int go_to(struct call *c, struct span where)
{
    c->reply->status = 303;
    httpd_set(c->reply, "Location", where);
    return 0;
}

static int start(struct call *c, struct err *e)
{
    struct span url = span_of(c->portal->settings->portal.sso_url);
    char        nonce[HANDOFF_TOKEN_TEXT + 1];

    if (url.n == 0)
        return err_set(e, ERR_NOT_FOUND, "There is no other place to sign in at.");
    if (make_nonce(c, nonce, e) < 0)
        return -1;
    return go_to(
        c, arena_printf(c->arena, "%.*s%cnonce=%s", SPAN_ARG(url), span_chr(url, '?') < url.n ? '&' : '?', nonce));
}

/* ---- making one ---- */

enum kind { KIND_SELF, KIND_STAFF };
static const char *const kind_words[] = {"self", "staff", NULL};

struct wish {
    uint64_t    given;
    struct span login, domain, nonce, staff_name;
    int         kind;
};
static const struct field wish_fields[] = {{"login", FIELD_TEXT, FIELD_REQUIRED, 3, STORE_ADDRESS_MAX, NULL,
                                            offsetof(struct wish, login), "The address of the person."},
                                           {"domain", FIELD_TEXT, FIELD_REQUIRED, 1, STORE_DOMAIN_MAX, NULL,
                                            offsetof(struct wish, domain), "The domain whose page they land on."},
                                           {"kind", FIELD_WORD, FIELD_REQUIRED, 0, 0, kind_words,
                                            offsetof(struct wish, kind),
                                            "self: the person; staff: somebody who helps them."},
                                           {"staff_name", FIELD_TEXT, 0, 1, HANDOFF_STAFF_MAX, NULL,
                                            offsetof(struct wish, staff_name), "With staff: who really sits there."},
                                           {"nonce", FIELD_TEXT, 0, HANDOFF_TOKEN_TEXT, HANDOFF_TOKEN_TEXT, NULL,
                                            offsetof(struct wish, nonce), "Of the browser that it is for."},
                                           FIELDS_END};

/* Where somebody has anything: all of it, and in the domain that was asked for. */
struct reach {
    const struct who *key;
    struct uuid       domain;
    bool              here, outside;
};

static void reach_add(struct reach *r, const struct uuid *domain)
{
    bool ours = false;

    for (size_t i = 0; i < r->key->nkey_domains; i++)
        ours |= uuid_eq(&r->key->key_domains[i], domain);
    r->outside |= !ours;
    r->here |= uuid_eq(domain, &r->domain);
}

static int each_mailbox(void *ctx, const struct store_mailbox *m)
{
    reach_add(ctx, &m->domain);
    return 0;
}

static int each_role(void *ctx, const struct uuid *account, const struct uuid *domain, struct span name, enum role role)
{
    (void)account, (void)name, (void)role;
    reach_add(ctx, domain);
    return 0;
}

static int nobody(struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "There is no such person, or none that this key may bring.");
}

static int find_person(struct call *c, struct span login, const struct uuid *domain, struct store_signin_who *who,
                       struct err *e)
{
    struct reach         r = {.key = &c->who, .domain = *domain};
    struct store_mailbox m;

    if (store_signin_who(c->store, login, who, e) < 0)
        return e->code == ERR_NOT_FOUND ? nobody(e) : -1;
    if (who->has_mailbox) {
        if (store_mailbox_get(c->store, who->mailbox, &m, e) < 0)
            return -1;
        reach_add(&r, &m.domain);
    }
    if (who->has_account && (store_mailbox_of_account(c->store, who->account.id, each_mailbox, &r, e) < 0 ||
                             store_role_list(c->store, who->account.id, each_role, &r, e) < 0))
        return -1;
    if (r.outside || !r.here || (who->has_account && who->account.admin))
        return nobody(e);
    return store_signin_enrol(c->store, &c->actor, login, who, e);
}

/* Which key may, beyond what permit.c asks of every call. */
static int check_key(struct call *c, const struct wish *in, struct store_scope *scope, struct err *e)
{
    struct store_domain d;

    if (c->who.kind != WHO_KEY)
        return err_set(e, ERR_DENIED, "%s", deed_rows[DEED_HAND_OFF].refusal);
    if (!c->who.key_bound || !c->who.key_placed || c->who.key_role > ROLE_OWNER)
        return err_set(e, ERR_DENIED,
                       "A key that hands people over is bound to domains and to networks, and has the role owner.");
    if (store_domain_find(c->store, in->domain, &d, e) < 0)
        return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "There is no such domain.") : -1;
    *scope = (struct store_scope){SCOPE_DOMAIN, d.id};
    if (permit(c->store, &c->who, DEED_HAND_OFF, scope, "domain", e) < 0)
        return -1;
    if ((in->kind == KIND_STAFF) == (in->staff_name.n > 0))
        return 0;
    c->member = "staff_name";
    return err_set(e, ERR_INVALID, "staff_name says who really sits there: with the kind staff, and only then.");
}

static int make_in(struct call *c, const struct wish *in, const struct uuid *domain, char token[HANDOFF_TOKEN_TEXT + 1],
                   struct err *e)
{
    struct store_handoff    x = {.key = c->who.key, .domain = *domain};
    struct store_signin_who who;

    if (find_person(c, in->login, domain, &who, e) < 0)
        return -1;
    x.account = who.account.id;
    snprintf(x.staff_name, sizeof x.staff_name, "%.*s", SPAN_ARG(in->staff_name));
    return store_handoff_add(c->store, &c->actor, &x, span_of(c->portal->origin), in->nonce, c->now_us, token, e);
}

static int make(struct call *c, struct err *e)
{
    const struct wish *in = c->body;
    struct store_scope scope;
    char               token[HANDOFF_TOKEN_TEXT + 1];
    struct buf        *b;

    if (check_key(c, in, &scope, e) < 0 || store_begin(c->store, e) < 0)
        return -1;
    if (make_in(c, in, &scope.id, token, e) < 0) {
        store_rollback(c->store);
        return -1;
    }
    if (store_commit(c->store, e) < 0)
        return -1;
    b = call_reply(c, 200);
    json_open(b, NULL, '{');
    json_add_str(b, "token", token);
    json_add_text(b, "post_to", arena_printf(c->arena, "%s/api/v1/handoffs/arrive", c->portal->origin));
    json_add_time(b, "expires", c->now_us + HANDOFF_US);
    json_close(b, '}');
    return 0;
}

/* ---- arriving ---- */

struct arrival {
    uint64_t    given;
    struct span token;
};
static const struct field arrival_fields[] = {{"token", FIELD_TEXT, FIELD_REQUIRED, HANDOFF_TOKEN_TEXT,
                                               HANDOFF_TOKEN_TEXT, NULL, offsetof(struct arrival, token),
                                               "Of the hand-off."},
                                              FIELDS_END};

/* It goes into a header: of the alphabet of our tokens, and nothing else. */
static bool is_token(struct span s)
{
    char   bytes[SECRET_TOKEN_TEXT];
    size_t n;

    return s.n == HANDOFF_TOKEN_TEXT && secret_from_text(s, bytes, &n);
}

static int arrive(struct call *c, struct err *e)
{
    const struct arrival *in = c->body;

    if (!is_token(in->token))
        return err_set(e, ERR_INVALID, "This is no hand-off.");
    set_cookie(c, COOKIE_TOKEN, in->token, HANDOFF_US);
    return go_to(c, SPAN(PAGE));
}

static int get_pending(struct call *c, struct err *e)
{
    struct store_handoff x;
    struct store_account a;
    struct buf          *b;

    if (store_handoff_look(c->store, cookie(c, COOKIE_TOKEN), span_of(c->portal->origin), cookie(c, COOKIE_BROWSER),
                           c->now_us, &x, &a, e) < 0)
        return -1;
    b = call_reply(c, 200);
    json_open(b, NULL, '{');
    json_add_str(b, "login", a.login);
    json_add_text(b, "staff_name", x.staff_name[0] != '\0' ? span_of(x.staff_name) : SPAN_NONE);
    json_add_text(b, "over", c->who.kind == WHO_SESSION ? span_of(c->who.account.login) : SPAN_NONE);
    json_add_bool(b, "ask", c->who.kind == WHO_SESSION || !x.same_browser);
    json_close(b, '}');
    return 0;
}

/* ---- using it ---- */

struct use {
    uint64_t given;
    bool     confirm;
};
static const struct field use_fields[] = {
    {"confirm", FIELD_BOOL, 0, 0, 0, NULL, offsetof(struct use, confirm), "The person has pressed: go on as that one."},
    FIELDS_END};

static int begin(struct call *c, const struct store_handoff *x, const struct store_account *a, int64_t lasts_us,
                 char token[SESSION_TOKEN_TEXT + 1], struct err *e)
{
    struct store_session s = {.account = a->id, .expires_us = c->now_us + lasts_us};
    struct actor         by = {ACTOR_ACCOUNT, a->id, a->login, NULL, c->ip_text, false, false};
    struct uuid          id;

    by.acting_for = x->staff_name[0] != '\0' ? x->staff_name : NULL;
    snprintf(s.methods, sizeof s.methods, "sso");
    snprintf(s.acting_for, sizeof s.acting_for, "%s", x->staff_name);
    snprintf(s.ip, sizeof s.ip, "%s", c->ip_text);
    signin_device(c, s.device);
    /* Whoever sat here before has gone: their session would else live on, in nobody's browser. */
    if (c->who.kind == WHO_SESSION &&
        store_session_revoke(c->store, &c->actor, c->who.account.id, c->who.session, e) < 0 && e->code != ERR_NOT_FOUND)
        return -1;
    return store_session_begin(c->store, &by, &s, c->now_us, &id, token, e);
}

static int use_in(struct call *c, struct store_handoff *x, struct store_account *a, char token[SESSION_TOKEN_TEXT + 1],
                  struct err *e)
{
    const struct use *in = c->body;

    if (store_handoff_use(c->store, cookie(c, COOKIE_TOKEN), span_of(c->portal->origin), cookie(c, COOKIE_BROWSER),
                          c->now_us, x, a, e) < 0)
        return -1;
    if ((c->who.kind == WHO_SESSION || !x->same_browser) && !in->confirm)
        return err_set(e, ERR_CONFLICT, "Ask the person first, and then say confirm.");
    return begin(c, x, a, x->staff_name[0] != '\0' ? SESSION_STAFF_US : SESSION_US, token, e);
}

/* The page on which a domain is managed; who manages none sees their mail. */
static int landing(struct call *c, const struct store_handoff *x, struct span *out, struct err *e)
{
    struct store_domain d;
    enum role           role;

    if (store_role_of(c->store, x->account, x->domain, &role, e) < 0 ||
        store_domain_get(c->store, x->domain, &d, e) < 0)
        return -1;
    *out = role >= ROLE_OWNER ? arena_printf(c->arena, "/people?domain=%s", d.name) : SPAN("/");
    return 0;
}

static int use(struct call *c, struct err *e)
{
    struct store_handoff x;
    struct store_account a;
    char                 token[SESSION_TOKEN_TEXT + 1];
    struct span          to = SPAN_NONE;
    struct buf          *b;

    if (store_begin(c->store, e) < 0)
        return -1;
    if (use_in(c, &x, &a, token, e) < 0 || landing(c, &x, &to, e) < 0) {
        store_rollback(c->store);
        return -1;
    }
    if (store_commit(c->store, e) < 0)
        return -1;
    identify_set_cookie(c, span_of(token), (x.staff_name[0] != '\0' ? SESSION_STAFF_US : SESSION_US) / 1000000);
    set_cookie(c, COOKIE_TOKEN, SPAN(""), 0);
    set_cookie(c, COOKIE_BROWSER, SPAN(""), 0);
    b = call_reply(c, 200);
    json_open(b, NULL, '{');
    json_add_text(b, "to", to);
    json_close(b, '}');
    return 0;
}

static const struct route rows[] = {
    {HTTPD_GET, "/handoff/nonce", DEED_OPEN, OBJECT_NONE, 0, get_nonce,
     .summary = "A nonce for a hand-off to this browser.", .reply = "Nonce"},
    {HTTPD_GET, "/handoff/start", DEED_OPEN, OBJECT_NONE, ROUTE_LEADS, start,
     .summary = "Goes to the operator's place to sign in, with a nonce."},
    {HTTPD_POST, "/handoffs", DEED_HAND_OFF, OBJECT_NONE, ROUTE_NO_REPLAY, make, .body = wish_fields,
     .body_size = sizeof(struct wish), .summary = "Hands a person over to the portal: for a minute, once.",
     .reply = "HandOff"},
    {HTTPD_POST, "/handoffs/arrive", DEED_OPEN, OBJECT_NONE,
     ROUTE_FORM | ROUTE_NO_REPLAY | ROUTE_CROSS_SITE | ROUTE_LEADS, arrive, .body = arrival_fields,
     .body_size = sizeof(struct arrival),
     .summary = "What the dashboard's page posts: goes to the page that asks whether to go on."},
    {HTTPD_GET, "/handoffs/pending", DEED_OPEN, OBJECT_NONE, 0, get_pending,
     .summary = "What has been handed to this browser, without using it.", .reply = "PendingHandOff"},
    {HTTPD_POST, "/handoffs/use", DEED_OPEN, OBJECT_NONE, ROUTE_NO_REPLAY, use, .body = use_fields,
     .body_size = sizeof(struct use), .summary = "Begins the session that was handed over.", .reply = "Landing"},
};

const struct route_family handoff_family = {
    "Hand-off", rows, COUNT(rows),
    "\"Nonce\":{\"type\":\"object\",\"properties\":{\"nonce\":{\"type\":\"string\"},\"expires\":{\"type\":\"string\"}}}"
    ","
    "\"HandOff\":{\"type\":\"object\",\"properties\":{\"token\":{\"type\":\"string\"},\"post_to\":{\"type\":\"string\"}"
    ","
    "\"expires\":{\"type\":\"string\"}}},"
    "\"PendingHandOff\":{\"type\":\"object\",\"properties\":{\"login\":{\"type\":\"string\"},\"staff_name\":{\"type\":"
    "[\"string\",\"null\"]},\"over\":{\"type\":[\"string\",\"null\"]},\"ask\":{\"type\":\"boolean\"}}},"
    "\"Landing\":{\"type\":\"object\",\"properties\":{\"to\":{\"type\":\"string\"}}}"};

/* portal/signin.c - signing in: by a link that is mailed, or by a password.
 *
 * Whatever is asked about an address, the answer is the same in words and in work: rows are written for those whom nobody knows, too. */
#include "store/signin.h"

#include <stdio.h>

#include "base/secret.h"
#include "challenge.h"
#include "identify.h"
#include "limit.h"
#include "mail/address.h"
#include "route.h"
#include "signin.h"
#include "siteverify.h"
#include "store/credential.h"
#include "store/session.h"

#define LINKS_PER_NETWORK 8 /* for one address, from one network, in ten minutes; for all addresses: */
#define LINKS_FROM_NETWORK 30
#define LINKS_EASY 8 /* for one address, from wherever, from which on all who ask work harder */
#define LINKS_AT_MOST                                                                                                  \
    20 /* the same, from which on only those are heard who come from where the person is known to be */
#define TRIES_FROM_NETWORK 60
#define LOOKS_FROM_NETWORK 60 /* at whether the challenge service is there */
#define HARD_FROM 20          /* challenges for a network, from which on work is harder */
#define HARD_FOR 30 /* passwords tried for one address, from wherever, from which on all who try work harder */

/* The address in the form that rows have; what is none goes on as it is, and nobody is found. */
static struct span login_of(struct call *c, struct span typed)
{
    struct address a;

    return address_parse_path(typed, c->arena, &a, NULL) == 0 && a.full.n > 0 ? a.full : span_trim(typed);
}

/* ---- the challenge ---- */

/* Many machines that guess one person's password, or have links mailed to them, each have to work for it, and so has the person: but nobody
 * is locked out. What came without its piece of work is no try: that would be more work for the person, and none for who makes it. */
static int bits_for(struct call *c, struct span login, unsigned *out, struct err *e)
{
    int64_t tries, links;

    if (limit_so_far(c, "tries", login, &tries, e) < 0 || limit_so_far(c, "link", login, &links, e) < 0)
        return -1;
    *out = tries > HARD_FOR || links > LINKS_EASY ? CHALLENGE_BITS_HARD : CHALLENGE_BITS;
    return 0;
}

struct challenge_query {
    uint64_t    given;
    struct span address;
    bool        failed;
};
static const struct field challenge_fields[] = {
    {"address", FIELD_TEXT, 0, 0, STORE_ADDRESS_MAX, NULL, offsetof(struct challenge_query, address),
     "The address that one will sign in with."},
    {"failed", FIELD_BOOL, 0, 0, 0, NULL, offsetof(struct challenge_query, failed),
     "The service's script did not come: look whether the service is there."},
    FIELDS_END};

/* Is it the service's turn? Who says that its script did not come is not believed, but a reason to look: when the service itself does not
 * answer us either, it is away. */
static bool service_is_there(const struct call *c, bool failed)
{
    struct siteverify *v = c->portal->siteverify;

    if (v == NULL || siteverify_is_away(v))
        return false;
    return !failed || siteverify_ask(v, SPAN("none"), c->ip_text, c->arena) != SITEVERIFY_AWAY;
}

static void put_service(struct call *c)
{
    struct buf *b = call_reply(c, 200);

    json_open(b, NULL, '{');
    json_add_str(b, "kind", CHALLENGE_SERVICE);
    json_add_str(b, "id", CHALLENGE_SERVICE);
    json_add_str(b, "site_key", c->portal->settings->portal.challenge_site_key);
    json_add_str(b, "script", c->portal->settings->portal.challenge_script);
    json_close(b, '}');
}

static int get_challenge(struct call *c, struct err *e)
{
    const struct challenge_query *in = c->query;
    char                          text[CHALLENGE_TEXT];
    int64_t                       total;
    struct buf                   *b;
    unsigned                      bits;

    if (limit_count(c, "challenge", SPAN_NONE, true, 1, &total, e) < 0 ||
        bits_for(c, login_of(c, in->address), &bits, e) < 0)
        return -1;
    if (service_is_there(c, in->failed && total <= LOOKS_FROM_NETWORK)) {
        put_service(c);
        return 0;
    }
    bits = total > HARD_FROM ? CHALLENGE_BITS_HARD : bits;
    challenge_make(c->portal, bits, c->now_us, text);
    b = call_reply(c, 200);
    json_open(b, NULL, '{');
    json_add_str(b, "kind", "proof");
    json_add_str(b, "id", text);
    json_add_str(b, "words", text);
    json_add_i64(b, "bits", bits);
    json_close(b, '}');
    return 0;
}

/* ---- sessions ---- */

static int begin_session(struct call *c, const struct store_account *a, const char *method, struct err *e)
{
    struct store_session x = {.account = a->id, .elevated_until_us = c->now_us + SESSION_ELEVATED_US};
    struct actor         by = {ACTOR_ACCOUNT, a->id, a->login, NULL, c->ip_text, a->admin, false};
    char                 token[SESSION_TOKEN_TEXT + 1];
    struct uuid          id;
    struct buf          *b;

    snprintf(x.methods, sizeof x.methods, "%s", method);
    snprintf(x.ip, sizeof x.ip, "%s", c->ip_text);
    signin_device(c, x.device);
    /* Whoever sat here before has gone: their session would else live on, in nobody's browser. */
    if (c->who.kind == WHO_SESSION &&
        store_session_revoke(c->store, &c->actor, c->who.account.id, c->who.session, e) < 0 && e->code != ERR_NOT_FOUND)
        return -1;
    if (store_session_begin(c->store, &by, &x, c->now_us, &id, token, e) < 0)
        return -1;
    identify_set_cookie(c, span_of(token), SESSION_US / 1000000);
    b = call_reply(c, 200);
    json_open(b, NULL, '{');
    json_add_bool(b, "signed_in", true);
    json_close(b, '}');
    return 0;
}

/* ---- links ---- */

struct ask {
    uint64_t    given;
    struct span address, challenge, answer, password;
};
#define ASK_FIELDS                                                                                                     \
    {"address",                                                                                                        \
     FIELD_TEXT,                                                                                                       \
     FIELD_REQUIRED,                                                                                                   \
     3,                                                                                                                \
     STORE_ADDRESS_MAX,                                                                                                \
     NULL,                                                                                                             \
     offsetof(struct ask, address),                                                                                    \
     "The address that one signs in with."},                                                                           \
        {"challenge",                                                                                                  \
         FIELD_TEXT,                                                                                                   \
         FIELD_REQUIRED,                                                                                               \
         1,                                                                                                            \
         200,                                                                                                          \
         NULL,                                                                                                         \
         offsetof(struct ask, challenge),                                                                              \
         "The id of a challenge (GET /signin/challenge)."},                                                            \
    {                                                                                                                  \
        "answer", FIELD_TEXT, FIELD_REQUIRED, 1, 2048, NULL, offsetof(struct ask, answer), "What answers it."          \
    }
static const struct field link_fields[] = {ASK_FIELDS, FIELDS_END};
static const struct field password_fields[] = {ASK_FIELDS,
                                               {"password", FIELD_TEXT, FIELD_REQUIRED, 1, PASSWORD_LENGTH_MAX, NULL,
                                                offsetof(struct ask, password), "The password."},
                                               FIELDS_END};

/* Under https no other host of the domain can plant one: a link that somebody else asked for shall not open as if it were asked here. */
static const char *ask_cookie(const struct call *c) { return c->portal->secure ? "__Host-ask" : "ask"; }

static struct span browser_token(const struct call *c) { return httpd_cookie(c->request, ask_cookie(c)); }

static void set_browser_token(struct call *c, const char *token)
{
    char line[200];

    snprintf(line, sizeof line, "%s=%s; Path=/; HttpOnly; SameSite=Strict; Max-Age=%d%s", ask_cookie(c), token,
             token[0] != '\0' ? (int)(SIGNIN_US / 1000000) : 0, c->portal->secure ? "; Secure" : "");
    httpd_set(c->reply, "Set-Cookie", span_of(line));
}

/* The operator never gets in by a link alone. */
static int ask_in(struct call *c, struct span login, const char *browser, struct err *e)
{
    struct store_signin     ask = {.known = true};
    struct store_signin_who who;
    char                    token[SIGNIN_TOKEN_TEXT + 1];

    if (store_signin_who(c->store, login, &who, e) < 0) {
        if (e->code != ERR_NOT_FOUND)
            return -1;
        *e = ERR_INIT;
        ask.known = false;
    }
    ask.known &= !(who.has_account && who.account.admin);
    snprintf(ask.login, sizeof ask.login, "%.*s", SPAN_ARG(login));
    snprintf(ask.ip, sizeof ask.ip, "%s", c->ip_text);
    signin_device(c, ask.device);
    if (store_signin_ask(c->store, &ask, span_of(browser), c->now_us, token, e) < 0)
        return -1;
    return signin_letter(c, &ask, token, who.has_account ? who.account.language : "", e);
}

/* ---- … how often ---- */

struct known_place {
    struct ip at;
    bool      found;
};

static int is_known_place(void *ctx, const struct store_session *x)
{
    struct known_place *k = ctx;
    struct ip           ip;

    k->found |= ip_parse(span_of(x->ip), false, &ip) && limit_same_network(&ip, &k->at);
    return k->found;
}

/* Somebody who is signed in somewhere is a person there. */
static int from_known_place(struct call *c, struct span login, bool *out, struct err *e)
{
    struct known_place   k = {.at = c->ip};
    struct store_account a;

    *out = false;
    if (store_account_find(c->store, login, &a, e) < 0) {
        if (e->code != ERR_NOT_FOUND)
            return -1;
        *e = ERR_INIT;
        return 0;
    }
    if (store_session_list(c->store, a.id, c->now_us, is_known_place, &k, e) < 0)
        return -1;
    *out = k.found;
    return 0;
}

/* A network that asks too much is slowed down before the address is: whoever asks for somebody else's links uses up their own. What many
 * networks ask together costs each of them more work; what is more than any mailbox should get is left to where the person is known. */
static int may_ask_link(struct call *c, const struct ask *in, struct span login, struct err *e)
{
    unsigned bits;
    int64_t  links = 0;
    bool     known;

    if (limit_check(c, "link", login, true, LINKS_PER_NETWORK, e) < 0 ||
        limit_check(c, "links", SPAN_NONE, true, LINKS_FROM_NETWORK, e) < 0 || bits_for(c, login, &bits, e) < 0 ||
        challenge_check(c, in->challenge, in->answer, bits, e) < 0 ||
        limit_count(c, "link", login, false, 1, &links, e) < 0)
        return -1;
    if (links <= LINKS_AT_MOST)
        return 0;
    if (from_known_place(c, login, &known, e) < 0)
        return -1;
    return known ? 0 : limit_refuse(c, e);
}

static int ask_link(struct call *c, struct err *e)
{
    const struct ask *in = c->body;
    struct span       login = login_of(c, in->address);
    char              browser[SECRET_TOKEN_TEXT + 1];
    struct buf       *b;
    int               rc;

    if (may_ask_link(c, in, login, e) < 0)
        return -1;
    secret_token(browser);
    if (store_begin(c->store, e) < 0)
        return -1;
    rc = ask_in(c, login, browser, e);
    if (rc < 0)
        store_rollback(c->store);
    else
        rc = store_commit(c->store, e);
    if (rc < 0)
        return -1;
    set_browser_token(c, browser);
    b = call_reply(c, 200);
    json_open(b, NULL, '{');
    json_add_bool(b, "sent", true);
    json_close(b, '}');
    return 0;
}

struct by_token {
    uint64_t    given;
    struct span token;
};
static const struct field token_fields[] = {{"token", FIELD_TEXT, FIELD_REQUIRED, 10, 100, NULL,
                                             offsetof(struct by_token, token), "What stands behind # in the link."},
                                            FIELDS_END};

static int look_at_link(struct call *c, struct err *e)
{
    const struct by_token *in = c->body;
    struct store_signin    x;
    struct buf            *b;
    bool                   same;

    if (store_signin_look(c->store, in->token, browser_token(c), c->now_us, &same, &x, e) < 0)
        return -1;
    b = call_reply(c, 200);
    json_open(b, NULL, '{');
    json_add_bool(b, "same_browser", same);
    json_add_str(b, "device", x.device);
    json_add_str(b, "ip", x.ip);
    json_add_time(b, "asked", x.created_us);
    json_close(b, '}');
    return 0;
}

/* Whoever it is by now: the account may have gone, or come, or have become the operator's meanwhile. */
static int enter(struct call *c, const struct store_signin *x, struct err *e)
{
    struct store_signin_who who;

    if (store_signin_who(c->store, span_of(x->login), &who, e) < 0)
        return -1;
    if (who.has_account && who.account.admin && !x->by_operator)
        return err_set(e, ERR_NOT_FOUND, "Nobody can sign in with this address.");
    if (store_signin_enrol(c->store, &c->actor, span_of(x->login), &who, e) < 0)
        return -1;
    set_browser_token(c, "");
    return begin_session(c, &who.account, "link", e);
}

static int use_link(struct call *c, struct err *e)
{
    const struct by_token *in = c->body;
    struct store_signin    x;

    return store_signin_use(c->store, in->token, browser_token(c), c->now_us, &x, e) < 0 ? -1 : enter(c, &x, e);
}

static int show_code(struct call *c, struct err *e)
{
    const struct by_token *in = c->body;
    char                   code[SIGNIN_CODE_TEXT + 1];
    struct buf            *b;

    if (store_signin_code(c->store, in->token, c->now_us, code, e) < 0)
        return -1;
    b = call_reply(c, 200);
    json_open(b, NULL, '{');
    json_add_str(b, "code", code);
    json_close(b, '}');
    return 0;
}

struct by_code {
    uint64_t    given;
    struct span code;
};
static const struct field code_fields[] = {{"code", FIELD_TEXT, FIELD_REQUIRED, SIGNIN_CODE_TEXT, SIGNIN_CODE_TEXT,
                                            NULL, offsetof(struct by_code, code), "The six digits."},
                                           FIELDS_END};

static int type_code(struct call *c, struct err *e)
{
    const struct by_code *in = c->body;
    struct store_signin   x;
    int64_t               left;

    if (browser_token(c).n == 0)
        return err_set(e, ERR_NOT_FOUND, "This browser has not asked for a link, or it is too long ago.");
    if (store_signin_type(c->store, browser_token(c), in->code, c->now_us, &left, &x, e) == 0)
        return enter(c, &x, e);
    if (e->code == ERR_DENIED && left > 0)
        return err_set(e, ERR_INVALID, "That is not the code. %lld more %s.", (long long)left,
                       left == 1 ? "try" : "tries");
    return e->code == ERR_DENIED ? err_set(e, ERR_NOT_FOUND, "That was wrong too often: ask for a new link.") : -1;
}

/* ---- passwords ---- */

static int by_password(struct call *c, struct err *e)
{
    const struct ask       *in = c->body;
    struct span             login = login_of(c, in->address);
    struct store_signin_who who;
    unsigned                bits;
    int64_t                 tries;
    bool                    known;
    int                     right;

    if (bits_for(c, login, &bits, e) < 0 || challenge_check(c, in->challenge, in->answer, bits, e) < 0 ||
        limit_check(c, "password", login, true, LIMIT_TRIES_PER_PERSON, e) < 0 ||
        limit_check(c, "passwords", SPAN_NONE, true, TRIES_FROM_NETWORK, e) < 0 ||
        limit_count(c, "tries", login, false, 1, &tries, e) < 0)
        return -1;
    known = store_signin_who(c->store, login, &who, e) == 0 && who.has_account;
    if (!known && e->code != ERR_NONE && e->code != ERR_NOT_FOUND)
        return -1;
    *e = ERR_INIT;
    right = store_password_check(c->store, known ? who.account.id : uuid_zero, in->password, e);
    if (right < 0)
        return -1;
    if (right == 0 || !known)
        return err_set(e, ERR_INVALID, "That address and that password do not belong together.");
    if (store_signin_enrol(c->store, &c->actor, login, &who, e) < 0)
        return -1;
    return begin_session(c, &who.account, "password", e);
}

struct elevation {
    uint64_t    given;
    struct span password;
};
static const struct field elevate_fields[] = {{"password", FIELD_TEXT, FIELD_REQUIRED, 1, PASSWORD_LENGTH_MAX, NULL,
                                               offsetof(struct elevation, password), "One's own password."},
                                              FIELDS_END};

static int elevate(struct call *c, struct err *e)
{
    const struct elevation *in = c->body;
    char                    token[SESSION_TOKEN_TEXT + 1];
    int                     right;

    if (limit_check(c, "elevate", span_of(c->who.account.login), false, LIMIT_TRIES_PER_PERSON, e) < 0 ||
        (right = store_password_check(c->store, c->who.account.id, in->password, e)) < 0)
        return -1;
    if (right == 0)
        return err_set(e, ERR_INVALID, "That is not your password.");
    if (store_session_elevate(c->store, &c->actor, c->who.session, "password", c->now_us, token, e) < 0)
        return -1;
    identify_set_cookie(c, span_of(token), SESSION_US / 1000000);
    call_reply_nothing(c);
    return 0;
}

#define OPEN(method, path, run, fields, type, summary, reply)                                                          \
    {                                                                                                                  \
        method, path, DEED_OPEN, OBJECT_NONE, ROUTE_NO_REPLAY, run, NULL, fields, 0, sizeof(type), summary, reply      \
    }
static const struct route rows[] = {
    {HTTPD_GET, "/signin/challenge", DEED_OPEN, OBJECT_NONE, 0, get_challenge, .query = challenge_fields,
     .query_size = sizeof(struct challenge_query),
     .summary = "What is to be done before asking to sign in: a piece of work, or what a challenge service asks for.",
     .reply = "Challenge"},
    OPEN(HTTPD_POST, "/signin/link", ask_link, link_fields, struct ask, "Mails a sign-in link, if the address is one.",
         "Sent"),
    OPEN(HTTPD_POST, "/signin/link/look", look_at_link, token_fields, struct by_token,
         "What a sign-in link is about, without using it.", "Link"),
    OPEN(HTTPD_POST, "/signin/link/use", use_link, token_fields, struct by_token,
         "Signs in, in the browser that asked for the link.", "SignedIn"),
    OPEN(HTTPD_POST, "/signin/link/code", show_code, token_fields, struct by_token,
         "A code to be typed into the browser that asked for the link.", "Code"),
    OPEN(HTTPD_POST, "/signin/code", type_code, code_fields, struct by_code, "Signs in by the code.", "SignedIn"),
    OPEN(HTTPD_POST, "/signin/password", by_password, password_fields, struct ask, "Signs in by a password.",
         "SignedIn"),
    {HTTPD_POST, "/session/elevate", DEED_SELF_SECRET, OBJECT_NONE, ROUTE_NO_REPLAY, elevate, NULL, elevate_fields, 0,
     sizeof(struct elevation), "Proves once more who it is, for ten minutes.", NULL},
};

const struct route_family signin_family = {
    "Signing in", rows, COUNT(rows),
    "\"Challenge\":{\"type\":\"object\",\"properties\":{\"kind\":{\"type\":\"string\",\"enum\":[\"proof\","
    "\"siteverify\"]},"
    "\"id\":{\"type\":\"string\"},\"words\":{\"type\":\"string\"},\"bits\":{\"type\":\"integer\"},\"site_key\":{"
    "\"type\":"
    "\"string\"},\"script\":{\"type\":\"string\"}}},"
    "\"Sent\":{\"type\":\"object\",\"properties\":{\"sent\":{\"type\":\"boolean\"}}},"
    "\"SignedIn\":{\"type\":\"object\",\"properties\":{\"signed_in\":{\"type\":\"boolean\"}}},"
    "\"Code\":{\"type\":\"object\",\"properties\":{\"code\":{\"type\":\"string\"}}},"
    "\"Link\":{\"type\":\"object\",\"properties\":{\"same_browser\":{\"type\":\"boolean\"},\"device\":{\"type\":"
    "\"string\"},\"ip\":{\"type\":\"string\"},\"asked\":{\"type\":\"string\"}}}"};

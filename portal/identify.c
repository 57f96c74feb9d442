/* portal/identify.c - see identify.h. */
#include "identify.h"

#include <stdio.h>

#include "base/secret.h"
#include "route.h"
#include "store/api_key.h"
#include "store/brand.h"
#include "store/session.h"

#define PLAIN_COOKIE "session"
#define HOST_COOKIE "__Host-session" /* browsers take it over https alone, for this host alone, and from nobody else */
#define CSRF_SALT "postern csrf 1"

/* ---- where from ---- */

static bool is_proxy(const struct portal *p, const struct ip *ip)
{
    for (size_t i = 0; i < p->nproxies; i++)
        if (ip_block_holds(&p->proxies[i], ip))
            return true;
    return false;
}

/* Each proxy adds at the end whom it heard from: read from there, until somebody who is none of ours. */
static void behind_proxies(const struct portal *p, struct span chain, struct ip *ip)
{
    while (is_proxy(p, ip) && chain.n > 0) {
        size_t      comma = span_rchr(chain, ',');
        bool        last = comma == chain.n;
        struct span one = span_trim(last ? chain : span_skip(chain, comma + 1));
        struct ip   next;

        if (!ip_parse(one, true, &next))
            return;
        *ip = next;
        chain = last ? SPAN_NONE : span_head(chain, comma);
    }
}

void client_address(const struct portal *p, const struct httpd_request *r, struct ip *out, char text_out[IP_TEXT])
{
    const struct ip loopback = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1}};

    *out = r->by_unix ? loopback : r->peer;
    behind_proxies(p, httpd_list(r, "X-Forwarded-For"), out);
    ip_format(out, text_out);
}

struct span identify_host(const struct call *c) { return httpd_field(c->request, "Host"); }

enum language identify_language(const struct call *c)
{
    struct span first = span_trim(httpd_field(c->request, "Accept-Language"));

    return first.n >= 2 && span_starts_ci(first, SPAN("de")) ? LANGUAGE_DE : LANGUAGE_EN;
}

/* ---- cookies and tokens ---- */

const char *identify_cookie_name(const struct portal *p) { return p->secure ? HOST_COOKIE : PLAIN_COOKIE; }

struct span identify_token(const struct call *c) { return httpd_cookie(c->request, identify_cookie_name(c->portal)); }

void identify_set_cookie(struct call *c, struct span token, int64_t max_age_s)
{
    char line[300];

    snprintf(line, sizeof line, "%s=%.*s; Path=/; HttpOnly; SameSite=Lax; Max-Age=%lld%s",
             identify_cookie_name(c->portal), SPAN_ARG(token), (long long)(token.n > 0 ? max_age_s : 0),
             c->portal->secure ? "; Secure" : "");
    httpd_set(c->reply, "Set-Cookie", span_of(line));
}

void csrf_of(struct span token, char out[CSRF_TEXT + 1])
{
    const struct span parts[] = {SPAN(CSRF_SALT), token};
    uint8_t           hash[SECRET_HASH];

    secret_hash_parts(parts, COUNT(parts), hash);
    secret_text(span_make(hash, sizeof hash), out);
}

/* ---- who ---- */

static void set_actor(struct call *c)
{
    struct who  *w = &c->who;
    struct actor by = {.kind = ACTOR_SYSTEM, .name = "postern-portal", .source = c->ip_text};

    if (w->kind == WHO_SESSION) {
        by.kind = ACTOR_ACCOUNT;
        by.id = w->account.id;
        by.name = w->account.login;
        by.admin = w->account.admin;
        by.acting_for = w->staff ? arena_str(c->arena, w->acting_for) : NULL;
    } else if (w->kind == WHO_KEY) {
        by.kind = ACTOR_API_KEY;
        by.id = w->key;
        by.name = arena_str(c->arena, w->key_name);
        by.admin = w->key_role == ROLE_ADMIN && !w->key_bound;
    }
    c->actor = by;
}

static int by_session(struct call *c, struct span token, struct err *e)
{
    struct store_session x;
    struct who          *w = &c->who;

    if (store_session_find(c->store, token, c->now_us, &x, &w->account, e) < 0) {
        if (e->code != ERR_NOT_FOUND)
            return -1;
        *e = ERR_INIT; /* it ended: nobody, and the page will say so */
        identify_set_cookie(c, SPAN_NONE, 0);
        return 0;
    }
    w->kind = WHO_SESSION;
    w->session = x.id;
    w->staff = x.acting_for[0] != '\0';
    w->acting_for = arena_dup(c->arena, span_of(x.acting_for));
    w->methods = arena_dup(c->arena, span_of(x.methods));
    w->elevated_until_us = x.elevated_until_us;
    return 0;
}

static int by_key(struct call *c, struct span text, struct err *e)
{
    uint8_t              hash[API_KEY_HASH];
    struct store_api_key k;
    struct who          *w = &c->who;
    const struct ip     *from = c->request->by_unix ? NULL : &c->ip;

    if (!api_key_hash(text, hash) || store_api_key_by_hash(c->store, hash, c->arena, &k, e) < 0 ||
        !api_key_holds(&k, from, c->now_us)) {
        if (e->code != ERR_NONE && e->code != ERR_NOT_FOUND)
            return -1;
        return err_set(e, ERR_DENIED, "This API key is not known, was revoked, has expired, or is for other networks.");
    }
    w->kind = WHO_KEY;
    w->key = k.id;
    w->key_name = k.name;
    w->key_role = k.role;
    w->key_scopes = k.scopes;
    w->key_bound = k.bound;
    w->key_placed = k.networks.n > 0;
    w->key_domains = k.domains;
    w->nkey_domains = k.ndomains;
    return store_api_key_used(c->store, k.id, c->now_us, e);
}

int identify(struct call *c, struct err *e)
{
    struct span authorization = httpd_field(c->request, "Authorization");
    struct span token = identify_token(c);
    int         rc = 0;

    if (authorization.n > 0 && token.n > 0)
        return err_set(e, ERR_INVALID, "Either a cookie or an API key: not both.");
    if (authorization.n > 0 && !span_starts_ci(authorization, SPAN("Bearer ")))
        return err_set(e, ERR_DENIED, "Authorization is \"Bearer\" and an API key.");
    if (authorization.n > 0)
        rc = by_key(c, span_skip(authorization, 7), e);
    else if (token.n > 0)
        rc = by_session(c, token, e);
    set_actor(c);
    return rc;
}

/* ---- is it our own page that asks ---- */

/* Whoever owns a name can make it lead here (DNS rebinding), and then the browser takes their page for ours: only names that the operator
 * has given to a brand count, and what nobody can own. */
static int is_our_host(const struct call *c, struct span host, bool *out, struct err *e)
{
    struct span        name = span_head(host, span_chr(host, ':'));
    struct store_brand brand;
    struct ip          ip;
    int                rc = 1;

    if (!span_is_ci(name, "localhost") && !ip_parse(host, true, &ip))
        rc = store_brand_of_host(c->store, name, &brand, e);
    *out = rc > 0;
    return rc < 0 ? -1 : 0;
}

/* The page's origin: public_url, or what the browser says it asked (Host) under the scheme that people see. */
static int same_origin(const struct call *c, struct span origin, bool *out, struct err *e)
{
    const char *scheme = c->portal->secure ? "https://" : "http://";
    struct span host = identify_host(c);

    *out = span_is_ci(origin, c->portal->origin);
    if (*out || host.n == 0 || !span_starts_ci(origin, span_of(scheme)) ||
        !span_eq_ci(span_skip(origin, strlen(scheme)), host))
        return 0;
    return is_our_host(c, host, out, e);
}

int guard_origin(const struct call *c, struct err *e)
{
    struct span site = httpd_field(c->request, "Sec-Fetch-Site"), origin = httpd_field(c->request, "Origin");
    bool        ours = true;

    if (origin.n > 0 && same_origin(c, origin, &ours, e) < 0)
        return -1;
    if (!ours || (site.n > 0 && !span_is_ci(site, "same-origin")))
        return err_set(e, ERR_DENIED, "This came from a page of another site, and was not done.");
    return 0;
}

int guard(const struct call *c, struct err *e)
{
    struct span token = identify_token(c), said = httpd_field(c->request, "X-CSRF-Token");
    char        wanted[CSRF_TEXT + 1];

    if (c->who.kind == WHO_KEY || (c->route->flags & ROUTE_CROSS_SITE) != 0)
        return 0;
    if (guard_origin(c, e) < 0)
        return -1;
    if (c->who.kind == WHO_NOBODY)
        return 0;
    csrf_of(token, wanted);
    if (!secret_eq(said, span_of(wanted)))
        return err_set(e, ERR_DENIED, "The page is out of date: load it again (X-CSRF-Token is missing or wrong).");
    return 0;
}

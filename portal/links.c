/* portal/links.c - see links.h: the way of a request, from the token to the page. What a link does is in links_state.c. */
#include "links.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/secret.h"
#include "identify.h"
#include "limit.h"
#include "links_inside.h"

#define PREFIX SPAN("/d/")
#define READ_US (60 * INT64_C(1000000))
#define READ_AGAIN_US (1 * INT64_C(1000000)) /* at the earliest, for a link that seems forged */
#define NONCE_SALT "postern link form 1"
#define COOKIE_TAIL 10 /* characters of the hash of a token: which link it is the cookie of */

/* ---- keys ---- */

struct links {
    const char      *dir;
    pthread_mutex_t  lock;
    struct link_keys now; /* under it, and so are the next two */
    bool             there;
    int64_t          read_mono_us;
};

/* Under the lock. What cannot be read leaves what was there. */
static int read_keys(struct links *l, struct err *e)
{
    struct link_keys fresh;

    l->read_mono_us = clock_mono_us();
    if (link_keys_read(l->dir, &fresh, e) < 0)
        return -1;
    l->now = fresh;
    l->there = true;
    return 0;
}

struct links *links_open(const char *keys_dir)
{
    struct links *l = calloc(1, sizeof *l);

    if (l == NULL)
        panic("out of memory");
    l->dir = keys_dir;
    pthread_mutex_init(&l->lock, NULL);
    links_reload(l);
    return l;
}

void links_reload(struct links *l)
{
    struct err e = ERR_INIT;

    pthread_mutex_lock(&l->lock);
    if (read_keys(l, &e) < 0)
        log_err(LOG_LEVEL_WARNING, "links of digests do not work", &e);
    pthread_mutex_unlock(&l->lock);
}

void links_close(struct links **lp)
{
    struct links *l = *lp;

    *lp = NULL;
    if (l == NULL)
        return;
    pthread_mutex_destroy(&l->lock);
    free(l);
}

/* Not older than that. */
static int take_keys(struct links *l, int64_t age_us, struct link_keys *out, struct err *e)
{
    struct err why = ERR_INIT;
    bool       there;

    pthread_mutex_lock(&l->lock);
    if (clock_mono_us() - l->read_mono_us > age_us)
        (void)read_keys(l, &why);
    there = l->there;
    *out = l->now;
    pthread_mutex_unlock(&l->lock);
    return there ? 0 : err_set(e, ERR_BUSY, "the keys of links cannot be read (%.300s)", why.text);
}

static int read_token(struct call *c, struct span token, struct link_keys *keys, struct link *out,
                      enum link_check *check_out, struct err *e)
{
    if (take_keys(c->portal->links, READ_US, keys, e) < 0)
        return -1;
    *check_out = link_read(keys, token, c->now_us, out);
    if (*check_out != LINK_FORGED)
        return 0;
    if (take_keys(c->portal->links, READ_AGAIN_US, keys, e) < 0)
        return -1;
    *check_out = link_read(keys, token, c->now_us, out);
    return 0;
}

/* ---- the same browser ---- */

static void cookie_name(const struct call *c, struct span token, char out[60])
{
    uint8_t hash[SECRET_HASH];
    char    text[SECRET_TOKEN_TEXT + 1];

    secret_hash(token, hash);
    secret_text(span_make(hash, sizeof hash), text);
    snprintf(out, 60, "%slink_%.*s", c->portal->secure ? "__Host-" : "", COOKIE_TAIL, text);
}

/* By one of the keys of links, for another purpose. */
static struct span nonce_of(struct call *c, const uint8_t key[32], struct span token, struct span cookie)
{
    const struct span parts[] = {SPAN(NONCE_SALT), token, cookie};
    uint8_t           hash[SECRET_HASH], mac[SECRET_HASH];
    char              text[SECRET_TOKEN_TEXT + 1];

    secret_hash_parts(parts, COUNT(parts), hash);
    secret_mac(key, span_make(hash, sizeof hash), mac);
    secret_text(span_make(mac, sizeof mac), text);
    return arena_dup(c->arena, span_of(text));
}

static bool is_cookie(struct span text)
{
    char   bytes[SECRET_TOKEN_TEXT];
    size_t n;

    return text.n == SECRET_TOKEN_TEXT && secret_from_text(text, bytes, &n);
}

/* For the form of a page: with the cookie that the browser has, or a new one. */
static struct span begin_form(struct call *c, const struct link_keys *k, struct span token)
{
    char        name[60], fresh[SECRET_TOKEN_TEXT + 1], line[200];
    struct span cookie;

    cookie_name(c, token, name);
    cookie = httpd_cookie(c->request, name);
    if (!is_cookie(cookie)) {
        secret_token(fresh);
        cookie = arena_dup(c->arena, span_of(fresh));
    }
    snprintf(line, sizeof line, "%s=%.*s; Path=/; HttpOnly; SameSite=Strict; Max-Age=%d%s", name, SPAN_ARG(cookie),
             LINKS_OPEN_S, c->portal->secure ? "; Secure" : "");
    httpd_set(c->reply, "Set-Cookie", span_of(line));
    return nonce_of(c, k->key[0], token, cookie);
}

static bool is_same_browser(struct call *c, const struct link_keys *k, struct span token)
{
    struct err  ignored = ERR_INIT;
    char        name[60];
    struct span cookie, nonce = httpd_param(c->request, c->request->body, "nonce");
    bool        same = false;

    cookie_name(c, token, name);
    cookie = httpd_cookie(c->request, name);
    for (size_t i = 0; i < k->n && is_cookie(cookie); i++) /* the key may have changed since the page was opened */
        same |= secret_eq(nonce, nonce_of(c, k->key[i], token, cookie));
    return same && guard_origin(c, &ignored) == 0;
}

/* RFC 8058: a form of one field, in either of the two ways that a form is sent. */
static bool is_one_click(const struct call *c)
{
    struct span type = httpd_field(c->request, "Content-Type"), body = c->request->body;

    if (span_starts_ci(type, SPAN("multipart/form-data")))
        return body.n < 2000 && span_find_ci(body, SPAN("name=\"List-Unsubscribe\"")) < body.n &&
               span_find(body, SPAN("\r\n\r\nOne-Click\r\n")) < body.n;
    return span_is(span_trim(body), "List-Unsubscribe=One-Click");
}

/* ---- pages ---- */

static void say_page(struct call *c, const struct link_case *x, int status, enum link_word title, enum link_word why)
{
    struct link_state s = {.title = title};

    link_say(&s, why);
    link_page(c, x, status, &s, SPAN_NONE);
}

static void failed(struct call *c, const struct link_case *x, const struct err *e)
{
    int             status = problem_status(e->code);
    struct log_line l;

    if (status >= 500) {
        log_begin(&l, LOG_LEVEL_WARNING, "link failed");
        log_i64(&l, "status", status);
        log_str(&l, "why", e->text);
        log_end(&l);
    }
    if (status == 503)
        httpd_set(c->reply, "Retry-After", SPAN("2"));
    say_page(c, x, status, FAILED, status == 503 ? BUSY_WHY : FAILED_WHY);
}

/* Counted by the network alone; a link that is good is never kept out by it. */
static void forged(struct call *c)
{
    struct err e = ERR_INIT;
    char       seconds[24];

    if (limit_check(c, "digest-link", SPAN_NONE, true, LINKS_FORGED_MOST, &e) == 0) {
        say_page(c, NULL, 404, FORGED, FORGED_WHY);
    } else if (e.code != ERR_LIMIT) {
        failed(c, NULL, &e);
    } else {
        snprintf(seconds, sizeof seconds, "%lld", (long long)c->retry_after_s);
        httpd_set(c->reply, "Retry-After", span_of(seconds));
        say_page(c, NULL, 429, TOO_OFTEN, TOO_OFTEN_WHY);
    }
}

static void show(struct link_case *x, const struct link_keys *k, int status, const struct link_state *state)
{
    link_page(x->c, x, status, state, state->step != STEP_NONE ? begin_form(x->c, k, x->token) : SPAN_NONE);
}

static void get(struct link_case *x, const struct link_keys *k)
{
    struct link_state state;
    struct err        e = ERR_INIT;

    if (link_look(x, &state, &e) < 0)
        failed(x->c, x, &e);
    else
        show(x, k, 200, &state);
}

/* ---- acting ---- */

/* Nothing was done; pressing again will do it. */
static void ask_again(struct link_case *x, const struct link_keys *k)
{
    struct link_state state;
    struct err        e = ERR_INIT;

    if (link_look(x, &state, &e) < 0) {
        failed(x->c, x, &e);
        return;
    }
    state.title = STALE;
    state.nsays = 0;
    state.reply = SPAN_NONE;
    link_say(&state, STALE_WHY);
    show(x, k, 403, &state);
}

static void back_to_page(struct link_case *x)
{
    x->c->reply->status = 303;
    httpd_set(x->c->reply, "Location", arena_printf(x->c->arena, "/d/%.*s", SPAN_ARG(x->token)));
}

/* What the libraries say begins small and has no stop. */
static struct span sentence_of(struct call *c, const struct err *e)
{
    struct span text = span_of(e->text);

    return text.n == 0 ? text
                       : arena_printf(c->arena, "%c%s%s", toupper((unsigned char)text.p[0]), text.p + 1,
                                      span_ends(text, SPAN(".")) ? "" : ".");
}

/* What the page shows by itself (it was refused, is somebody else's to decide, was done meanwhile) needs no other words; else those of the
 * error. */
static void not_done(struct link_case *x, const struct link_keys *k, const struct err *why)
{
    struct link_state state;
    struct err        e = ERR_INIT;

    if (problem_status(why->code) >= 500 || link_look(x, &state, &e) < 0) {
        failed(x->c, x, e.code != ERR_NONE ? &e : why);
        return;
    }
    if (state.step != STEP_ACT || state.title == IS_REFUSED) {
        back_to_page(x);
        return;
    }
    state.title = FAILED;
    state.nsays = 0;
    state.reply = sentence_of(x->c, why);
    state.step = STEP_NONE;
    show(x, k, problem_status(why->code), &state);
}

static void press(struct link_case *x, const struct link_keys *k)
{
    struct span what = httpd_param(x->c->request, x->c->request->body, "do");
    struct err  e = ERR_INIT;

    if (!is_same_browser(x->c, k, x->token) || (!span_is(what, "act") && !span_is(what, "undo")))
        ask_again(x, k);
    else if (x->expired)
        get(x, k);
    else if ((span_is(what, "act") ? link_act(x, &e) : link_undo(x, &e)) < 0)
        not_done(x, k, &e);
    else
        back_to_page(x);
}

/* No redirect: what sends it follows none. */
static void stop_digest(struct link_case *x)
{
    struct link_state state;
    struct err        e = ERR_INIT;

    if ((!x->expired && link_act(x, &e) < 0) || store_digest_get(x->c->store, x->d.id, &x->d, &e) < 0 ||
        link_look(x, &state, &e) < 0) {
        failed(x->c, x, &e);
        return;
    }
    link_page(x->c, x, x->expired ? 410 : 200, &state, SPAN_NONE);
}

/* ---- from the token on ---- */

static void serve_found(struct link_case *x, const struct link_keys *k)
{
    enum httpd_method m = x->c->request->method;
    struct err        e = ERR_INIT;

    if (link_find(x, &e) < 0) {
        if (e.code == ERR_NOT_FOUND)
            say_page(x->c, x, 200, IS_GONE, SAYS_NOTHING);
        else if (e.code == ERR_DENIED)
            say_page(x->c, x, 410, DEAD, DEAD_WHY);
        else
            failed(x->c, x, &e);
    } else if (m != HTTPD_POST) {
        get(x, k);
    } else if (x->link.action == LINK_UNSUBSCRIBE && is_one_click(x->c)) {
        stop_digest(x);
    } else {
        press(x, k);
    }
}

static void set_fields(struct call *c)
{
    httpd_set(c->reply, "Cache-Control", SPAN("no-store"));
    httpd_set(c->reply, "X-Robots-Tag", SPAN("noindex, nofollow"));
    httpd_set(c->reply, "Referrer-Policy", SPAN("same-origin")); /* with none at all a form has no Origin */
}

bool links_is_path(struct span path, struct span *token_out)
{
    *token_out = span_skip(path, PREFIX.n);
    return span_starts(path, PREFIX);
}

void links_serve(struct call *c, struct span token)
{
    struct link_case  x = {.c = c, .token = token};
    struct link_keys  keys;
    enum link_check   check;
    enum httpd_method m = c->request->method;
    struct err        e = ERR_INIT;

    set_fields(c);
    if (m != HTTPD_GET && m != HTTPD_HEAD && m != HTTPD_POST) {
        httpd_set(c->reply, "Allow", SPAN("GET, HEAD, POST"));
        say_page(c, NULL, 405, NOT_THIS_WAY, SAYS_NOTHING);
    } else if (read_token(c, token, &keys, &x.link, &check, &e) < 0) {
        failed(c, NULL, &e);
    } else if (check == LINK_FORGED) {
        forged(c);
    } else if (store_digest_get(c->store, x.link.subscription, &x.d, &e) < 0) {
        if (e.code == ERR_NOT_FOUND)
            say_page(c, NULL, 410, DEAD, DEAD_WHY);
        else
            failed(c, NULL, &e);
    } else {
        x.expired = check == LINK_EXPIRED;
        x.language = words_language(x.d.choice.language);
        if (x.d.stands)
            serve_found(&x, &keys);
        else
            say_page(c, NULL, 410, DEAD, DEAD_WHY);
    }
}

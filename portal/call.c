/* portal/call.c - see call.h. The story of a call: who asks (identify), may it be a browser that somebody else steers (guard), what
 * is asked (route, object), may they (permit), with what (query, body), and then the handler. */
#include "call.h"

#include <stdio.h>

#include "base/log.h"
#include "base/secret.h"
#include "change.h"
#include "health.h"
#include "identify.h"
#include "links.h"
#include "replay.h"
#include "route.h"
#include "sentence.h"
#include "static.h"

#define API SPAN("/api/v1")
#define CURSOR_MAX 1000
#define PROBLEM_TYPE "application/problem+json"

/* ---- problems ---- */

static const struct {
    enum err_code code;
    int           status;
    const char   *title;
} problems[] = {
    {ERR_INVALID, 400, "That cannot be right"},
    {ERR_USAGE, 400, "That cannot be right"},
    {ERR_PROTOCOL, 400, "That cannot be right"},
    {ERR_DENIED, 403, "Not permitted"},
    {ERR_NOT_FOUND, 404, "Not found"},
    {ERR_CONFLICT, 409, "It is there already, or has changed"},
    {ERR_LIMIT, 422, "A limit was reached"},
    {ERR_BUSY, 503, "Busy; please try again"},
    {ERR_LOST, 503, "Away for a moment; try again"},
    {ERR_FULL, 507, "No space left"},
    {ERR_TIMEOUT, 504, "It took too long"},
    {ERR_CORRUPT, 500, "Something is broken here"},
    {ERR_VERSION, 503, "Being updated; try again"},
    {ERR_IO, 500, "Something is broken here"},
};

static size_t problem_of(enum err_code code)
{
    for (size_t i = 0; i < COUNT(problems); i++)
        if (problems[i].code == code)
            return i;
    return COUNT(problems) - 1;
}

int problem_status(enum err_code code) { return problems[problem_of(code)].status; }

static const char *title_of(int status, enum err_code code)
{
    switch (status) {
    case 401: return "Please sign in";
    case 405: return "Not this way";
    case 412: return "It has changed meanwhile";
    case 413: return "Too large";
    case 415: return "Not that kind of content";
    case 429: return "Too many tries";
    default: return problems[problem_of(code)].title;
    }
}

/* What is broken on our side is for the log, not for strangers, and so is what was not written for them. */
static const char *detail_of(int status, const struct err *e)
{
    return status < 500 || status == 503 ? sentence_for(e) : "The operator can find the cause in the log.";
}

void problem_put(struct httpd_reply *out, int status, const struct err *e, const char *member)
{
    struct buf *b = &out->body;

    buf_clear(b);
    out->status = status;
    out->compress = true;
    httpd_set(out, "Content-Type", SPAN(PROBLEM_TYPE));
    json_open(b, NULL, '{');
    json_add_str(b, "type", "about:blank");
    json_add_str(b, "title", title_of(status, e->code));
    json_add_i64(b, "status", status);
    sentence_say(b, "detail", detail_of(status, e));
    json_add_str(b, "code", err_word(e->code));
    if (member != NULL)
        json_add_str(b, "member", member);
    if (e->at > 0)
        json_add_i64(b, "at", (int64_t)e->at);
    json_close(b, '}');
}

static void log_failure(const struct call *c, int status, const struct err *e)
{
    struct log_line l;

    if (status < 500 && detail_of(status, e) == e->text)
        return;
    log_begin(&l, LOG_LEVEL_WARNING, "call failed");
    log_str(&l, "method", httpd_method_words[c->request->method]);
    log_str(&l, "path", c->route != NULL ? c->route->path : "");
    log_i64(&l, "status", status);
    log_str(&l, "why", e->text);
    log_end(&l);
}

static void answer_problem(struct call *c, int status, const struct err *e)
{
    char seconds[24];

    log_failure(c, status, e);
    if (c->retry_after_s > 0 || status == 503) {
        snprintf(seconds, sizeof seconds, "%lld", (long long)(c->retry_after_s > 0 ? c->retry_after_s : 2));
        httpd_set(c->reply, "Retry-After", span_of(seconds));
    }
    if (status == 401)
        httpd_set(c->reply, "WWW-Authenticate", SPAN("Bearer realm=\"api\""));
    problem_put(c->reply, status, e, c->member);
}

static void answer_err(struct call *c, const struct err *e)
{
    struct err fault = *e;
    int        status = problem_status(e->code);

    /* Nobody asked for that in a way that could be refused: it went wrong here. */
    if (status < 500 && e->code != ERR_LIMIT && !sentence_is_ours(span_of(e->text))) {
        fault.code = ERR_IO;
        answer_problem(c, 500, &fault);
        return;
    }
    if (e->code == ERR_LIMIT && c->retry_after_s > 0)
        status = 429;
    if (e->code == ERR_CONFLICT && c->changed)
        status = 412;
    if (e->code == ERR_DENIED && c->who.kind == WHO_NOBODY && (c->route == NULL || c->route->deed != DEED_OPEN))
        status = 401;
    answer_problem(c, status, e);
}

/* ---- replies ---- */

struct buf *call_reply(struct call *c, int status)
{
    c->reply->status = status;
    c->reply->compress = true;
    httpd_set(c->reply, "Content-Type", SPAN("application/json"));
    return &c->reply->body;
}

struct buf *call_list_begin(struct call *c)
{
    struct buf *b = call_reply(c, 200);

    json_open(b, NULL, '{');
    json_open(b, "items", '[');
    return b;
}

void call_list_end(struct call *c, struct span next)
{
    struct buf *b = &c->reply->body;

    json_close(b, ']');
    json_add_text(b, "next", next);
    json_close(b, '}');
}

/* A file name that no system misreads: of the stranger's own only what is harmless everywhere; the rest goes as RFC 8187 has it. */
static void put_disposition(struct call *c, const char *name)
{
    struct buf  b;
    struct span s = span_of(name);

    buf_init(&b, 2048);
    buf_puts(&b, "attachment; filename=\"");
    for (size_t i = 0; i < s.n && i < 150; i++) {
        char ch = s.p[i];
        bool plain = (ch >= '0' && ch <= '9') || (ch >= 'A' && ch <= 'Z') || (ch >= 'a' && ch <= 'z') ||
                     (i > 0 && (ch == '.' || ch == '-')) || ch == '_';
        buf_putc(&b, plain ? ch : '_');
    }
    buf_puts(&b, "\"; filename*=UTF-8''");
    for (size_t i = 0; i < s.n && i < 150; i++) {
        unsigned char ch = (unsigned char)s.p[i];
        bool          plain = (ch >= '0' && ch <= '9') || (ch >= 'A' && ch <= 'Z') || (ch >= 'a' && ch <= 'z') ||
                     (i > 0 && (ch == '.' || ch == '-')) || ch == '_';
        if (plain)
            buf_putc(&b, (char)ch);
        else if (ch >= 0x20 && ch != 0x7f && ch != '/' && ch != '\\')
            buf_printf(&b, "%%%02X", ch);
    }
    httpd_set(c->reply, "Content-Disposition", buf_span(&b));
    buf_fini(&b);
}

void call_reply_bytes(struct call *c, const char *type, struct span bytes, const char *name)
{
    c->reply->status = 200;
    httpd_set(c->reply, "Content-Type", span_of(type));
    if (name != NULL)
        put_disposition(c, name);
    buf_put(&c->reply->body, bytes);
}

void call_reply_nothing(struct call *c)
{
    buf_clear(&c->reply->body);
    c->reply->status = 204;
}

struct span call_doer(bool program, struct span name)
{
    return program && span_starts(name, SPAN("postern-")) ? span_skip(name, SPAN("postern-").n) : name;
}

int call_slow_down(struct call *c, int64_t seconds, struct err *e, const char *sentence)
{
    c->retry_after_s = seconds > 0 ? seconds : 1;
    return err_set(e, ERR_LIMIT, "%s", sentence);
}

int call_elevated(struct call *c, struct err *e)
{
    if (c->who.kind == WHO_SESSION && c->who.elevated_until_us > c->now_us)
        return 0;
    c->member = "elevate";
    return err_set(e, ERR_DENIED, "Please prove once more that it is you.");
}

/* ---- cursors ---- */

struct span cursor_make(struct arena *a, struct span bytes)
{
    char *out = arena_alloc(a, secret_text_size(bytes.n));

    if (out == NULL)
        return SPAN_NONE;
    secret_text(bytes, out);
    return span_of(out);
}

int cursor_read(struct arena *a, struct span text, struct span *bytes_out, struct err *e)
{
    char  *out = arena_alloc(a, text.n + 1);
    size_t n = 0;

    if (out == NULL || text.n > CURSOR_MAX || !secret_from_text(text, out, &n))
        return err_set(e, ERR_INVALID, "The cursor is none that a list has given.");
    *bytes_out = span_make(out, n);
    return 0;
}

/* ---- a call ---- */

bool call_body_is_large(enum httpd_method method, struct span path)
{
    struct span         params[CALL_PARAMS_MAX];
    unsigned            allowed;
    const struct route *r = span_starts(path, API) ? route_find(method, span_skip(path, API.n), params, &allowed)
                                                   : NULL;

    return r != NULL && (r->flags & ROUTE_LARGE) != 0;
}

static bool writes(enum httpd_method m) { return m != HTTPD_GET && m != HTTPD_HEAD && m != HTTPD_OPTIONS; }

/* A body is taken as what it says that it is: a form of another site cannot say JSON without asking first. */
static int check_type(const struct call *c, struct err *e)
{
    struct span type = httpd_field(c->request, "Content-Type");
    struct span plain = span_trim(span_head(type, span_chr(type, ';')));

    if (c->request->body.n == 0 || (c->route->flags & ROUTE_RAW) != 0 || span_is_ci(plain, "application/json") ||
        ((c->route->flags & ROUTE_FORM) != 0 && span_is_ci(plain, "application/x-www-form-urlencoded")))
        return 0;
    return err_set(e, ERR_PROTOCOL, "The body has to be application/json.");
}

static int read_input(struct call *c, struct err *e)
{
    const struct route       *r = c->route;
    static const struct field none[] = {FIELDS_END};
    uint64_t                 *query = arena_zalloc(c->arena, r->query_size > 0 ? r->query_size : sizeof *query);
    uint64_t                 *body = arena_zalloc(c->arena, r->body_size > 0 ? r->body_size : sizeof *body);

    if (query == NULL || body == NULL)
        return err_set(e, ERR_LIMIT, "The request is too large.");
    c->query = query;
    c->body = body;
    if (fields_from_query(r->query != NULL ? r->query : none, c->request->query, c->arena, query, &c->member, e) < 0)
        return -1;
    if (r->body == NULL || (r->flags & ROUTE_RAW) != 0)
        return 0;
    if ((r->flags & ROUTE_FORM) != 0 &&
        span_starts_ci(httpd_field(c->request, "Content-Type"), SPAN("application/x-www-form-urlencoded")))
        return fields_from_query(r->body, c->request->body, c->arena, body, &c->member, e);
    return fields_from_json(r->body, c->request->body.n > 0 ? c->request->body : SPAN("{}"), c->arena, body, &c->member,
                            e);
}

static const char *const object_words[OBJECTS] = {"thing",   "thing", "scope",  "domain",         "mailbox", "account",
                                                  "message", "rule",  "policy", "learned sender", "sender"};

/* What is said of one that the caller shall not know of: the same as of one that is not there (route.c). */
static const char *what_of(const struct call *c)
{
    bool named = c->route->object == OBJECT_SCOPE && c->scope.kind != SCOPE_GLOBAL;

    return named ? scope_kind_words[c->scope.kind] : object_words[c->route->object];
}

/* An account lives wherever the person does: owners of any of those domains stand above it (route.c). */
static int may(struct call *c, struct err *e)
{
    const struct route *r = c->route;
    bool                none = r->object == OBJECT_NONE;

    if (c->who.kind == WHO_NOBODY && r->deed != DEED_OPEN)
        return err_set(e, ERR_DENIED, "Please sign in.");
    if (!none && route_object(c, e) < 0)
        return -1;
    if ((none ? permit(c->store, &c->who, r->deed, NULL, "", e)
              : route_permit(c, r->deed, what_of(c), r->object == OBJECT_DELIVERY, e)) < 0)
        return -1;
    return (r->flags & ROUTE_ELEVATED) != 0 ? call_elevated(c, e) : 0;
}

static int run_route(struct call *c, void *unused, struct err *e)
{
    (void)unused;
    return c->route->run(c, e);
}

static int run(struct call *c, struct err *e)
{
    bool replays = writes(c->route->method) && (c->route->flags & ROUTE_NO_REPLAY) == 0;
    int  rc;

    if (check_type(c, e) < 0 || may(c, e) < 0 || read_input(c, e) < 0)
        return -1;
    if (replays && (rc = replay_begin(c, e)) != 0)
        return rc < 0 ? -1 : 0; /* 1: the reply of the first time */
    rc = (c->route->flags & ROUTE_ATOMIC) != 0 ? change_make(c, NULL, run_route, NULL, e) : c->route->run(c, e);
    if (rc < 0)
        answer_err(c, e);
    if (replays)
        replay_end(c);
    return 0;
}

static void refuse_method(struct call *c, unsigned allowed)
{
    struct err e = ERR_INIT;
    char       list[80] = "";
    size_t     n = 0;

    if (allowed == 0) {
        err_set(&e, ERR_NOT_FOUND, "There is no such call.");
        answer_problem(c, 404, &e);
        return;
    }
    for (int m = 0; httpd_method_words[m] != NULL; m++)
        if ((allowed >> m & 1) != 0)
            n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", n > 0 ? ", " : "", httpd_method_words[m]);
    httpd_set(c->reply, "Allow", span_of(list));
    err_set(&e, ERR_USAGE, "This address knows %s.", list);
    answer_problem(c, 405, &e);
}

static void serve_api(struct call *c, struct span path)
{
    struct err        e = ERR_INIT;
    unsigned          allowed;
    enum httpd_method m = c->request->method == HTTPD_HEAD ? HTTPD_GET : c->request->method;

    httpd_set(c->reply, "Cache-Control", SPAN("no-store"));
    c->route = route_find(m, path, c->params, &allowed);
    if (c->route == NULL) {
        refuse_method(c, allowed);
        return;
    }
    if (identify(c, &e) < 0 || (writes(m) && guard(c, &e) < 0) || run(c, &e) < 0)
        answer_err(c, &e);
    if (c->reply->body.failed) {
        err_set(&e, ERR_LIMIT, "The answer would be too large.");
        answer_err(c, &e);
    }
}

void call_serve(struct worker *w, const struct httpd_request *r, struct httpd_reply *out)
{
    struct call c = {.portal = w->portal,
                     .worker = w,
                     .store = w->store,
                     .arena = &w->arena,
                     .request = r,
                     .reply = out,
                     .now_us = clock_wall_us()};
    struct span token;

    client_address(w->portal, r, &c.ip, c.ip_text);
    if (span_starts(r->path, API) && (r->path.n == API.n || r->path.p[API.n] == '/'))
        serve_api(&c, span_skip(r->path, API.n));
    else if (links_is_path(r->path, &token))
        links_serve(&c, token);
    else if (!health_serve(w, r, out))
        pages_serve(w->portal->pages, r, out);
    arena_reset(&w->arena);
}

/* portal/lasting.c - see lasting.h. */
#include "lasting.h"

#include <stdlib.h>

#include "base/log.h"
#include "route.h"
#include "store/api_key.h"
#include "store/session.h"

#define PIECE ((size_t)64 << 10)

struct lasting lasting_of(const struct call *c)
{
    bool is_key = c->who.kind == WHO_KEY;

    return (struct lasting){is_key ? LASTING_KEY : LASTING_SESSION, is_key ? c->who.key : c->who.session, c->route};
}

int lasting_check(const struct lasting *l, struct store *s, struct err *e)
{
    int64_t now_us = clock_wall_us();
    bool    holds = false;

    if ((l->kind == LASTING_KEY ? store_api_key_good(s, l->id, now_us, &holds, e)
                                : store_session_holds(s, l->id, now_us, &holds, e)) < 0)
        return -1;
    return holds ? 0
                 : err_set(e, ERR_DENIED, "the %s does not hold any more",
                           l->kind == LASTING_KEY ? "API key" : "session");
}

int lasting_cut(const struct lasting *l, const struct err *e)
{
    char            id[UUID_TEXT + 1];
    struct log_line line;

    uuid_format(&l->id, id);
    log_begin(&line, LOG_LEVEL_WARNING, "export cut");
    log_str(&line, "path", l->route->path);
    log_str(&line, l->kind == LASTING_KEY ? "key" : "session", id);
    log_str(&line, "why", e->text);
    log_end(&line);
    return -1;
}

/* ---- a body that is made ---- */

/* Owns the bytes, from the end of the call to the end of the connection. */
struct slices {
    struct lasting who;
    struct buf     body;
    size_t         at;
};

static int more(void *ctx, void *worker, struct buf *chunk)
{
    struct slices *x = ctx;
    struct worker *w = worker;
    struct span    rest = span_skip(buf_span(&x->body), x->at);
    struct err     e = ERR_INIT;

    if (lasting_check(&x->who, w->store, &e) < 0)
        return lasting_cut(&x->who, &e);
    rest = span_head(rest, rest.n < PIECE ? rest.n : PIECE);
    buf_put(chunk, rest);
    x->at += rest.n;
    return x->at < x->body.n;
}

static void more_end(void *ctx)
{
    struct slices *x = ctx;

    buf_fini(&x->body);
    free(x);
}

void lasting_body(struct call *c)
{
    struct httpd_reply *r = c->reply;
    struct slices      *x;

    if (r->body.n <= LASTING_WHOLE || r->body.failed)
        return;
    if ((x = calloc(1, sizeof *x)) == NULL)
        panic("out of memory");
    x->who = lasting_of(c);
    x->body = r->body;
    buf_init(&r->body, x->body.max);
    r->compress = false;
    r->more = more;
    r->more_end = more_end;
    r->more_ctx = x;
}

/* portal/replay.c - see replay.h. */
#include "replay.h"

#include "base/log.h"
#include "base/secret.h"
#include "store/idempotency.h"

static struct span key_of(const struct call *c) { return httpd_field(c->request, "Idempotency-Key"); }

static const struct uuid *owner_of(const struct call *c)
{
    return c->who.kind == WHO_KEY ? &c->who.key : &c->who.account.id;
}

static void hash_request(const struct call *c, uint8_t out[SECRET_HASH])
{
    const struct httpd_request *r = c->request;
    const struct span           parts[] = {span_of(httpd_method_words[r->method]), r->path, r->query, r->body,
                                           httpd_list(r, "If-Match")};

    secret_hash_parts(parts, COUNT(parts), out);
}

static bool asked(const struct call *c) { return c->who.kind != WHO_NOBODY && key_of(c).n > 0; }

int replay_begin(struct call *c, struct err *e)
{
    enum idempotency is;
    uint8_t          hash[32];
    struct span      reply = SPAN_NONE;
    int              status = 0;

    if (!asked(c))
        return 0;
    hash_request(c, hash);
    if (store_idempotency_begin(c->store, owner_of(c), key_of(c), hash, c->now_us, c->arena, &is, &status, &reply, e) <
        0)
        return -1;
    switch (is) {
    case IDEMPOTENT_NEW: return 0;
    case IDEMPOTENT_WORKING: return err_set(e, ERR_BUSY, "The same request is being worked on right now.");
    case IDEMPOTENT_OTHER: return err_set(e, ERR_LIMIT, "This Idempotency-Key was used for another request.");
    case IDEMPOTENT_KNOWN: break;
    }
    httpd_set(c->reply, "Idempotency-Replayed", SPAN("true"));
    if (status == 204)
        call_reply_nothing(c);
    else
        buf_put(call_reply(c, status), reply);
    if (status >= 400)
        httpd_set(c->reply, "Content-Type", SPAN("application/problem+json"));
    return 1;
}

void replay_end(struct call *c)
{
    struct err  e = ERR_INIT;
    struct span reply = buf_span(&c->reply->body);
    int         status = c->reply->status, rc;

    if (!asked(c))
        return;
    if (status >= 500 || status == 429 || reply.n > IDEMPOTENCY_REPLY_MAX || c->reply->body.failed)
        rc = store_idempotency_drop(c->store, owner_of(c), key_of(c), &e);
    else
        rc = store_idempotency_end(c->store, owner_of(c), key_of(c), status, reply, &e);
    if (rc < 0)
        log_err(LOG_LEVEL_WARNING, "an answer was not kept for its Idempotency-Key", &e);
}

/* digest/round.c - see round.h. */
#include "round.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/schedule.h"

int64_t round_next_us(const struct store_digest_choice *c, int64_t after_us)
{
    struct schedule s = {.hourly = c->hourly, .minute = (unsigned)c->minute, .weekdays = c->weekdays};
    struct err      e = ERR_INIT;
    int64_t         next;

    snprintf(s.zone, sizeof s.zone, "%s", c->zone);
    if (schedule_next_us(&s, after_us, &next, &e) == 0)
        return next;
    log_err(LOG_LEVEL_WARNING, "a digest's hour is taken in UTC", &e);
    strcpy(s.zone, "UTC");
    if (schedule_next_us(&s, after_us, &next, &e) < 0)
        panic("a schedule in UTC has no next run: %s", e.text);
    return next;
}

static bool is_skipped(const struct store_digest *d, int64_t now_us)
{
    return !d->stands || d->paused_until_us > now_us;
}

static int begin_one(struct round *r, const struct store_digest *d, int64_t now_us, struct err *e)
{
    struct uuid id;
    int         rc;

    arena_reset(r->a);
    if (is_skipped(d, now_us)) {
        atomic_fetch_add(&r->counts->skipped, 1);
        return 0;
    }
    rc = digest_begin(&r->look, d, d->next_us, now_us, r->a, &id, e);
    if (rc < 0)
        return -1;
    atomic_fetch_add(rc > 0 ? &r->counts->begun : &r->counts->nothing, 1);
    return 0;
}

/* One that cannot be begun must not keep the others from it: it stays claimed, and is tried again when its lease has lapsed. Where the
 * database is away they all wait. */
static int begin_all(struct round *r, struct store_digest *d, size_t n, int64_t now_us, size_t *done_out, struct err *e)
{
    size_t done = 0;

    for (size_t i = 0; i < n; i++) {
        struct err why = ERR_INIT;

        if (begin_one(r, &d[i], now_us, &why) == 0) {
            d[done++] = d[i];
            continue;
        }
        if (why.code == ERR_LOST || why.code == ERR_BUSY || why.code == ERR_TIMEOUT) {
            *e = why;
            break;
        }
        log_err(LOG_LEVEL_ERROR, "a digest cannot be composed", &why);
    }
    *done_out = done;
    return e->code == ERR_NONE ? 0 : -1;
}

int round_step(struct round *r, int64_t now_us, struct err *e)
{
    struct store_digest d[ROUND_BATCH];
    int64_t             next[ROUND_BATCH];
    size_t              done;
    int                 n = store_digest_claim(r->look.store, r->by, now_us, d, COUNT(d), e), rc;

    if (n <= 0)
        return n;
    rc = begin_all(r, d, (size_t)n, now_us, &done, e);
    for (size_t i = 0; i < done; i++)
        next[i] = round_next_us(&d[i].choice, now_us);
    if (done > 0 && store_digest_done(r->look.store, d, next, done, rc < 0 ? NULL : e) < 0)
        return -1;
    return rc < 0 ? -1 : n;
}

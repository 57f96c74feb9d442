/* digest/round.c - see round.h. */
#include "round.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/schedule.h"

#define LOOK_BACK_US                                                                                                   \
    (DIGEST_LOOK_US + 86400 * INT64_C(1000000)) /* no digest tells of more, and every choice has an hour in it */
#define HOUR_US (3600 * INT64_C(1000000))       /* no two hours of a choice are closer */
#define BATCH_ITEMS 3000                        /* deliveries in memory at once, with those of one digest more */

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

int64_t round_last_us(const struct store_digest_choice *c, int64_t due_us, int64_t now_us)
{
    int64_t next;

    if (due_us < now_us - LOOK_BACK_US)
        due_us = now_us - LOOK_BACK_US;
    while (now_us - due_us >= HOUR_US && (next = round_next_us(c, due_us)) <= now_us)
        due_us = next;
    return due_us;
}

static bool is_skipped(const struct store_digest *d, int64_t now_us)
{
    return !d->stands || d->paused_until_us > now_us;
}

/* What is being begun together: one commit for all. */
struct batch {
    struct store_run_plan plans[DIGEST_CLAIM_MAX];
    size_t                n, items;
};

static int flush(struct round *r, struct batch *b, int64_t now_us, struct err *e)
{
    if (b->n > 0 && store_run_begin(r->look.store, b->plans, b->n, now_us, e) < 0)
        return -1;
    for (size_t i = 0; i < b->n; i++)
        if (b->plans[i].begun)
            atomic_fetch_add(b->plans[i].run.quiet ? &r->counts->quiet : &r->counts->begun, 1);
    b->n = b->items = 0;
    arena_reset(r->a);
    return 0;
}

static int plan_one(struct round *r, struct batch *b, const struct store_digest *d, int64_t now_us, struct err *e)
{
    struct store_run_plan *p = &b->plans[b->n];
    int                    rc;

    if (is_skipped(d, now_us)) {
        atomic_fetch_add(&r->counts->skipped, 1);
        return 0;
    }
    rc = digest_plan(&r->look, d, round_last_us(&d->choice, d->next_us, now_us), now_us, r->a, p, e);
    if (rc == 0)
        atomic_fetch_add(&r->counts->nothing, 1);
    if (rc > 0) {
        b->n++;
        b->items += p->nitems;
    }
    return rc < 0 ? -1 : 0;
}

static bool is_away(const struct err *e)
{
    return e->code == ERR_LOST || e->code == ERR_BUSY || e->code == ERR_TIMEOUT;
}

/* One that cannot be composed must not keep the others from it: it stays claimed, and is tried again when its lease has lapsed. Where the
 * database is away they all wait. Those that are planned stand in front of d afterwards. */
static int plan_all(struct round *r, struct store_digest *d, size_t n, int64_t now_us, size_t *done_out, struct err *e)
{
    static struct batch b; /* large, and there is one round at a time */

    b.n = b.items = *done_out = 0;
    arena_reset(r->a);
    for (size_t i = 0; i < n; i++) {
        struct err why = ERR_INIT;

        if (b.items > BATCH_ITEMS && flush(r, &b, now_us, e) < 0)
            return -1;
        if (plan_one(r, &b, &d[i], now_us, &why) == 0) {
            d[(*done_out)++] = d[i];
            continue;
        }
        if (is_away(&why)) {
            *e = why;
            return -1;
        }
        log_err(LOG_LEVEL_ERROR, "a digest cannot be composed", &why);
    }
    return flush(r, &b, now_us, e);
}

int round_step(struct round *r, int64_t now_us, struct err *e)
{
    struct store_digest d[DIGEST_CLAIM_MAX];
    int64_t             next[DIGEST_CLAIM_MAX];
    size_t              done;
    int                 n = store_digest_claim(r->look.store, r->by, now_us, d, COUNT(d), e);

    if (n <= 0)
        return n;
    if (plan_all(r, d, (size_t)n, now_us, &done, e) < 0)
        return -1; /* they are claimed still: at its next start, or when the lease has lapsed */
    for (size_t i = 0; i < done; i++)
        next[i] = round_next_us(&d[i].choice, now_us);
    return store_digest_done(r->look.store, d, next, done, e) < 0 ? -1 : n;
}

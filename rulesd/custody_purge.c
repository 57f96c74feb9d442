/* rulesd/custody_purge.c - what is past its time: the file, then its row. */
#include "custody_inside.h"

#include "vault/purge.h"

#define PURGE_EVERY_US (3600 * INT64_C(1000000))
/* A node that was not seen for that long leaves its objects in the bucket to others. */
#define GONE_US (86400 * INT64_C(1000000))
#define GONE_MAX 100

struct due {
    struct uuid uids[CUSTODY_BATCH];
    size_t      n;
};

static int add_due(void *ctx, const struct store_custody *row)
{
    struct due *d = ctx;

    d->uids[d->n++] = row->uid;
    return d->n == CUSTODY_BATCH;
}

/* First the files, then the rows: a crash in between leaves rows that the next run takes. 1: there is more. */
static int purge_batch(struct custody *c, bool copies, int64_t now_us, struct err *e)
{
    struct due d = {.n = 0};

    if (store_custody_due(c->store, &c->node, copies, now_us, CUSTODY_BATCH, add_due, &d, e) < 0)
        return -1;
    for (size_t i = 0; i < d.n; i++) {
        struct err why = ERR_INIT;

        if (vault_delete(c->vault, &d.uids[i], &why) < 0 && why.code != ERR_NOT_FOUND) {
            *e = why;
            return -1;
        }
    }
    if (d.n > 0 && store_custody_move(c->store, d.uids, d.n, CUSTODY_GONE, e) < 0)
        return -1;
    atomic_fetch_add(&c->purged, d.n);
    return d.n == CUSTODY_BATCH;
}

static void say_stopped(struct custody *c, enum purge_verdict why, const struct store_custody_sum *sum)
{
    struct log_line l;

    if (atomic_exchange(&c->purge_stopped, true))
        return;
    log_begin(&l, LOG_LEVEL_ERROR, "held mail past its time stays, until somebody looks");
    log_str(&l, "why", why == PURGE_CLOCK ? "the clock stepped" : "more than a tenth of it is due at once");
    log_i64(&l, "held", sum->count);
    log_i64(&l, "due", sum->due_count);
    log_str(&l, "cure", "postern quarantine purge --yes");
    log_end(&l);
}

static int purge_all(struct custody *c, bool copies, int64_t now_us, struct err *e)
{
    int rc;

    while ((rc = purge_batch(c, copies, now_us, e)) > 0 && !custody_stopping(c))
        ;
    return rc;
}

/* Its objects become ours batch by batch as they are due; of several heirs each batch has one. The guard counts them apart from
 * ours. */
static int purge_of_gone(struct custody *c, const struct uuid *node, struct purge_facts f, bool allowed, struct err *e)
{
    struct store_custody_sum sum;
    int64_t                  n = 1;

    if (store_custody_sum(c->store, node, false, f.now_us, &sum, e) < 0)
        return -1;
    f.count = sum.count;
    f.due = sum.due_count;
    if (!allowed && purge_judge(&f) != PURGE_GO) {
        say_stopped(c, PURGE_MANY, &sum);
        return 0;
    }
    while (n > 0 && !custody_stopping(c)) {
        if (store_custody_adopt(c->store, node, &c->node, f.now_us, CUSTODY_BATCH, &n, e) < 0 ||
            purge_all(c, true, f.now_us, e) < 0 || purge_all(c, false, f.now_us, e) < 0)
            return -1;
        if (n > 0)
            log_text(LOG_LEVEL_INFO, "held mail past its time of a node that is gone is removed: %lld objects",
                     (long long)n);
    }
    return 0;
}

static int purge_of_others(struct custody *c, const struct purge_facts *f, bool allowed, struct err *e)
{
    struct uuid gone[GONE_MAX];
    size_t      n;

    if (!vault_has_bucket(c->vault))
        return 0;
    if (store_nodes_gone(c->store, f->now_us - GONE_US, gone, GONE_MAX, &n, e) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (purge_of_gone(c, &gone[i], *f, allowed, e) < 0)
            return -1;
    return 0;
}

/* Copies come in numbers and for hours: how many of them are due says nothing. */
static int purge_now(struct custody *c, struct err *e)
{
    struct store_custody_sum sum;
    struct purge_facts       f = {.now_us = clock_wall_us(), .now_mono_us = clock_boot_us()};
    enum purge_verdict       verdict;
    bool                     allowed;

    if (custody_need_store(c, e) < 0 || store_node_seen(c->store, f.now_us, e) < 0 ||
        store_custody_sum(c->store, &c->node, false, f.now_us, &sum, e) < 0 || purge_last(c->vault, &f.last_us, e) < 0)
        return -1;
    f.last_us = c->purged_us != 0 ? c->purged_us : f.last_us;
    f.last_mono_us = c->purged_mono_us;
    f.count = sum.count;
    f.due = sum.due_count;
    allowed = purge_take_leave(c->vault);
    verdict = allowed ? PURGE_GO : purge_judge(&f);
    if (verdict != PURGE_CLOCK && purge_all(c, true, f.now_us, e) < 0)
        return -1;
    if (verdict != PURGE_GO) {
        say_stopped(c, verdict, &sum);
        return 0;
    }
    atomic_store(&c->purge_stopped, false);
    if (purge_all(c, false, f.now_us, e) < 0 || purge_of_others(c, &f, allowed, e) < 0 ||
        purge_mark(c->vault, f.now_us, e) < 0)
        return -1;
    c->purged_us = f.now_us;
    c->purged_mono_us = f.now_mono_us;
    return 0;
}

void custody_purge(struct custody *c)
{
    struct err e = ERR_INIT;

    if (purge_now(c, &e) < 0)
        custody_chore_fail(c, &c->purge, "held mail past its time cannot be removed", &e);
    else if (atomic_load(&c->purge_stopped)) /* it may be allowed any time, and clocks are set right */
        c->purge.next_us = clock_mono_us() + CUSTODY_RETRY_US;
    else
        c->purge.next_us = clock_mono_us() + PURGE_EVERY_US;
}

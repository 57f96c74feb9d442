/* lib/custody/orphans.c - see orphans.h. */
#include "custody/orphans.h"

#include <stdlib.h>

#define BATCH 500
#define YOUNG_US 60000000

const char *const orphan_kind_words[] = {"no row", "no message", "damaged", NULL};

/* One look. `uids` are files that nobody was asked about yet. */
struct look {
    struct store             *store;
    struct vault             *vault;
    const struct orphans_how *how;
    orphan_fn                 fn;
    void                     *ctx;
    struct orphans_sum       *sum;
    struct err               *e;
    struct uuid               uids[BATCH];
    size_t                    n;
    int64_t                   young_us; /* files from then on are left out */
    bool                      failed;   /* e says how */
};

static void tell(struct look *l, enum orphan_kind kind, const struct uuid *uid, const char *why, bool repaired)
{
    struct orphan o = {.kind = kind, .uid = *uid, .why = why, .repaired = repaired};

    l->sum->orphans++;
    l->sum->repaired += repaired;
    l->fn(l->ctx, &o);
}

/* ---- files ---- */

/* The row again, from the head. */
static int replay(struct look *l, const struct uuid *uid, struct err *e)
{
    const struct store_message *list[1];
    struct store_message        m;
    struct vault_kept           kept;
    struct arena                a;
    struct buf                  head;
    int                         rc;

    buf_init(&head, VAULT_HEAD_MAX);
    arena_init(&a, 4 * VAULT_HEAD_MAX);
    rc = vault_head(l->vault, uid, &head, &kept, e);
    if (rc == 0 && (rc = store_message_read_json(buf_span(&head), &a, &m, e)) == 0) {
        m.kept = true;
        m.kept_bytes = kept.bytes;
        m.sha256 = span_make(kept.sha256, sizeof kept.sha256);
        m.key_id = span_of(kept.key_id);
        list[0] = &m;
        rc = uuid_eq(&m.uid, uid) ? store_message_put(l->store, list, 1, e)
                                  : err_set(e, ERR_CORRUPT, "its head is that of another message");
    }
    arena_fini(&a);
    buf_fini(&head);
    return rc;
}

static void tell_file(struct look *l, const struct uuid *uid)
{
    struct err e = ERR_INIT;
    bool       repaired = l->how->repair && replay(l, uid, &e) == 0;

    tell(l, ORPHAN_FILE, uid, e.text, repaired);
}

static void try_body(struct look *l, const struct uuid *uid)
{
    struct err e = ERR_INIT;
    struct buf message;

    buf_init(&message, l->how->message_max);
    if (vault_get(l->vault, uid, NULL, &message, &e) < 0)
        tell(l, ORPHAN_DAMAGED, uid, e.text, false);
    buf_fini(&message);
}

/* Asks for the rows of those that are collected. */
static int ask_rows(struct look *l)
{
    bool has[BATCH];

    if (l->n == 0)
        return 0;
    if (store_custody_has(l->store, l->uids, l->n, has, l->e) < 0)
        return -1;
    for (size_t i = 0; i < l->n; i++) {
        if (!has[i])
            tell_file(l, &l->uids[i]);
        if (l->how->open)
            try_body(l, &l->uids[i]);
    }
    l->n = 0;
    return 0;
}

static int64_t made_us(const struct uuid *uid)
{
    int64_t ms = 0;

    for (size_t i = 0; i < 6; i++)
        ms = ms << 8 | uid->b[i];
    return ms * 1000;
}

static int each_file(void *ctx, const struct uuid *uid, struct span head, const struct vault_kept *kept)
{
    struct look *l = ctx;

    (void)head;
    l->sum->files++;
    if (kept == NULL) {
        tell(l, ORPHAN_DAMAGED, uid, "the file is not whole", false);
        return 0;
    }
    if (made_us(uid) >= l->young_us)
        return 0;
    l->uids[l->n++] = *uid;
    l->failed = l->n == BATCH && ask_rows(l) < 0;
    return l->failed;
}

/* ---- rows ---- */

static int each_row(void *ctx, const struct store_custody *c)
{
    struct look *l = ctx;

    l->uids[l->n++] = c->uid;
    return 0;
}

static void look_for_file(struct look *l, const struct uuid *uid)
{
    struct err e = ERR_INIT;
    struct buf head;

    buf_init(&head, VAULT_HEAD_MAX);
    if (vault_head(l->vault, uid, &head, NULL, &e) < 0 && e.code == ERR_NOT_FOUND)
        tell(l, ORPHAN_ROW, uid, "", false);
    buf_fini(&head);
}

static int look_at_rows(struct look *l)
{
    struct uuid after;

    for (bool first = true; first || l->n > 0; first = false) {
        l->n = 0;
        if (store_custody_each(l->store, l->how->node, first ? NULL : &after, BATCH, each_row, l, l->e) < 0)
            return -1;
        for (size_t i = 0; i < l->n; i++)
            look_for_file(l, &l->uids[i]);
        l->sum->rows += (int64_t)l->n;
        if (l->n > 0)
            after = l->uids[l->n - 1];
    }
    return 0;
}

int orphans_find(struct store *s, struct vault *v, const struct orphans_how *how, orphan_fn fn, void *ctx,
                 struct orphans_sum *sum, struct err *e)
{
    struct look *l = calloc(1, sizeof *l);
    int          rc;

    if (l == NULL)
        panic("out of memory");
    *sum = (struct orphans_sum){0};
    *l = (struct look){.store = s, .vault = v, .how = how, .fn = fn, .ctx = ctx, .sum = sum, .e = e};
    l->young_us = clock_wall_us() - YOUNG_US;
    rc = vault_each(v, 0, each_file, l, e);
    if (rc == 0 && l->failed)
        rc = -1;
    if (rc == 0)
        rc = ask_rows(l);
    if (rc == 0)
        rc = look_at_rows(l);
    free(l);
    return rc;
}

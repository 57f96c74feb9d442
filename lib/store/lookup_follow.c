/* lib/store/lookup_follow.c - SpamAssassin's rows, as the main database is.
 *
 * Each change claims its number first: on PostgreSQL that makes the nodes wait for each other, and the second finds the work done. The
 * source is read after that, so what is written is never older than its number. */
#include "store/lookup_inside.h"

#include <stdio.h>
#include <stdlib.h>

static const char claim_sql[] = "UPDATE spamassassin_head SET seq = $1 WHERE one = 1 AND seq < $1";
static const char seat_sql[] = "UPDATE spamassassin_head SET seq = $1 WHERE one = 1";
static const char lock_sql[] = "UPDATE spamassassin_head SET seq = seq WHERE one = 1 RETURNING seq";
static const char drop_rows_sql[] = "DELETE FROM spamassassin_row";
static const char drop_aliases_sql[] = "DELETE FROM spamassassin_alias";
static const char ended_sql[] =
    "SELECT DISTINCT scope FROM spamassassin_row WHERE until_us > 0 AND until_us <= $1 LIMIT 1000";

/* What of the main database is not asked for elsewhere. */
static const char domains_sql[] = "SELECT id FROM domain WHERE id > $1 ORDER BY id LIMIT $2";
static const char assigned_to_sql[] =
    "SELECT DISTINCT a.domain_id FROM policy_assignment a WHERE a.domain_id > $1 ORDER BY a.domain_id LIMIT $2";
#define WITH_MAILBOX                                                                                                   \
    "(EXISTS (SELECT 1 FROM setting s WHERE s.mailbox_id = m.id) OR EXISTS (SELECT 1 FROM policy p"                    \
    " JOIN rule r ON r.policy_id = p.id WHERE p.mailbox_id = m.id))"
static const char mailboxes_sql[] = "SELECT m.id FROM mailbox m WHERE m.id > $1 AND " WITH_MAILBOX
                                    " ORDER BY m.id LIMIT $2";
static const char mailboxes_of_sql[] =
    "SELECT m.id FROM mailbox m WHERE m.id > $1 AND m.domain_id = $3 AND " WITH_MAILBOX " ORDER BY m.id LIMIT $2";

/* ---- Ids of the main database, all at once: while a cursor is open nothing else may be asked --------------------------- */

struct ids {
    struct uuid *list;
    size_t       n, cap;
};

static int each_id(void *arg, struct db_rows *r)
{
    struct ids *all = arg;

    if (all->n == all->cap) {
        all->cap = all->cap ? 2 * all->cap : 64;
        if ((all->list = realloc(all->list, all->cap * sizeof *all->list)) == NULL)
            panic("out of memory");
    }
    all->list[all->n++] = col_uuid(r, 0);
    return 0;
}

static int read_ids(struct store *s, const char *sql, const struct uuid *of, struct ids *out, struct err *e)
{
    struct db_val vals[] = {dbv_uuid(&uuid_zero), dbv_i64(INT64_MAX), dbv_uuid_or_null(of)};

    *out = (struct ids){0};
    return row_each(s->main, sql, vals, of != NULL ? 3 : 2, each_id, out, e);
}

/* ---- Changes ------------------------------------------------------------------------------------------------------ */

/* What is to be written again. */
struct work {
    struct store_scope *scopes;
    size_t              n;
    const struct uuid  *below;   /* a domain with everything in it goes first */
    const struct uuid  *aliases; /* of this domain */
    const struct uuid  *gone;    /* a mailbox that may not be there any more, of `aliases` */
};

static int do_work(struct store_lookup *l, struct store *s, const struct work *w, struct err *e)
{
    if (w->below != NULL && lookup_domain_drop(l, w->below, e) < 0)
        return -1;
    if (w->gone != NULL && lookup_mailbox_drop(l, w->aliases, w->gone, e) < 0)
        return -1;
    for (size_t i = 0; i < w->n; i++)
        if (lookup_scope_write(l, s, w->scopes[i], true, e) < 0)
            return -1;
    return w->aliases != NULL ? lookup_names_write(l, s, w->aliases, e) : 0;
}

/* In a transaction of its own, unless another node was first. */
static int claim_and_do(struct store_lookup *l, struct store *s, int64_t seq, const struct work *w, struct err *e)
{
    int64_t claimed = 0;

    if (db_begin(l->db, e) < 0)
        return -1;
    if (db_run(l->db, claim_sql, (struct db_val[]){dbv_i64(seq)}, 1, &claimed, e) == 0 &&
        (claimed == 0 || do_work(l, s, w, e) == 0) && db_commit(l->db, e) == 0)
        return 0;
    db_rollback(l->db);
    return -1;
}

/* A scope with the domains, or the mailboxes of a domain, that read it too. */
static int change_with(struct store_lookup *l, struct store *s, const struct store_change *c, const char *sql,
                       enum scope_kind kind, struct work *w, struct err *e)
{
    struct ids more = {0};
    int        rc = sql == NULL ? 0 : read_ids(s, sql, kind == SCOPE_MAILBOX ? &c->scope.id : NULL, &more, e);

    if (rc == 0) {
        if ((w->scopes = calloc(more.n + 1, sizeof *w->scopes)) == NULL)
            panic("out of memory");
        w->scopes[w->n++] = c->scope;
        for (size_t i = 0; i < more.n; i++)
            w->scopes[w->n++] = (struct store_scope){kind, more.list[i]};
        rc = claim_and_do(l, s, c->seq, w, e);
        free(w->scopes);
    }
    free(more.list);
    return rc;
}

int lookup_spamassassin_change(struct store_lookup *l, struct store *s, const struct store_change *c, struct err *e)
{
    struct work w = {0};
    bool        global = c->scope.kind == SCOPE_GLOBAL;

    switch (c->kind) {
    case CHANGE_RULE:
    case CHANGE_POLICY: return change_with(l, s, c, global ? assigned_to_sql : NULL, SCOPE_DOMAIN, &w, e);
    case CHANGE_ASSIGNMENT: return change_with(l, s, c, NULL, SCOPE_DOMAIN, &w, e);
    case CHANGE_SETTING: /* a domain says whether its mailboxes may differ */
        return change_with(l, s, c, c->scope.kind == SCOPE_DOMAIN ? mailboxes_of_sql : NULL, SCOPE_MAILBOX, &w, e);
    case CHANGE_DOMAIN:
        w.below = w.aliases = &c->scope.id;
        return change_with(l, s, c, mailboxes_of_sql, SCOPE_MAILBOX, &w, e);
    case CHANGE_MAILBOX:
        w.gone = &c->scope.id;
        w.aliases = &c->object;
        return change_with(l, s, c, NULL, SCOPE_MAILBOX, &w, e);
    case CHANGE_ADDRESS: w.aliases = &c->scope.id; return claim_and_do(l, s, c->seq, &w, e);
    case CHANGE_LEARNED: /* they lower a score, or hold mail: neither can be told */
    case CHANGE_API_KEY:
    case CHANGE_SENDER: break;
    }
    return 0;
}

/* ---- All of it ---------------------------------------------------------------------------------------------------- */

static int fill_kind(struct store_lookup *l, struct store *s, const char *sql, enum scope_kind kind, struct err *e)
{
    struct ids all;
    int        rc = read_ids(s, sql, NULL, &all, e);

    for (size_t i = 0; i < all.n && rc == 0; i++)
        rc = lookup_scope_write(l, s, (struct store_scope){kind, all.list[i]}, false, e);
    free(all.list);
    return rc;
}

static int fill_names(struct store_lookup *l, struct store *s, struct err *e)
{
    struct ids all;
    int        rc = read_ids(s, domains_sql, NULL, &all, e);

    if (rc == 0)
        rc = lookup_names_fill(l, s, all.list, all.n, e);
    free(all.list);
    return rc;
}

int lookup_spamassassin_fill(struct store_lookup *l, struct store *s, struct err *e)
{
    int64_t seq, before = 0;

    if (row_i64(l->db, lock_sql, NULL, 0, &before, e) < 0 || store_change_head(s, &seq, e) < 0)
        return -1;
    if (db_kind(l->db) == DB_PGSQL && before == seq)
        return 0; /* another node keeps it so */
    if (db_run(l->db, drop_rows_sql, NULL, 0, NULL, e) < 0 || db_run(l->db, drop_aliases_sql, NULL, 0, NULL, e) < 0 ||
        db_run(l->db, seat_sql, (struct db_val[]){dbv_i64(seq)}, 1, NULL, e) < 0)
        return -1;
    if (lookup_scope_write(l, s, STORE_SCOPE_GLOBAL, false, e) < 0 ||
        fill_kind(l, s, domains_sql, SCOPE_DOMAIN, e) < 0 || fill_kind(l, s, mailboxes_sql, SCOPE_MAILBOX, e) < 0)
        return -1;
    return fill_names(l, s, e);
}

/* ---- What has run out ---------------------------------------------------------------------------------------------- */

static int hex_uuid(struct span hex, struct uuid *out)
{
    for (size_t i = 0; i < sizeof out->b; i++) {
        unsigned byte;

        if (hex.n < 32 || sscanf(hex.p + 2 * i, "%2x", &byte) != 1)
            return -1;
        out->b[i] = (uint8_t)byte;
    }
    return 0;
}

struct ended {
    struct store_scope scopes[LOOKUP_PAGE];
    size_t             n;
};

static int each_ended(void *arg, struct db_rows *r)
{
    struct ended      *x = arg;
    struct span        key = db_text(r, 0);
    struct store_scope scope = STORE_SCOPE_GLOBAL;

    if (key.n > 1)
        scope.kind = key.n > 33 ? SCOPE_MAILBOX : SCOPE_DOMAIN;
    if (key.n > 1 && hex_uuid(scope.kind == SCOPE_MAILBOX ? span_skip(key, 33) : key, &scope.id) < 0)
        return 0;
    x->scopes[x->n++] = scope;
    return x->n == LOOKUP_PAGE;
}

int store_lookup_expire(struct store_lookup *l, struct store *s, int64_t now_us, struct err *e)
{
    struct ended *x;
    int           rc;

    if (l->kind != LOOKUP_SPAMASSASSIN)
        return 0; /* its view knows the time */
    if ((x = calloc(1, sizeof *x)) == NULL)
        panic("out of memory");
    rc = row_each(l->db, ended_sql, (struct db_val[]){dbv_i64(now_us)}, 1, each_ended, x, e);
    if (rc == 0 && x->n > 0) {
        struct work w = {.scopes = x->scopes, .n = x->n};

        rc = db_begin(l->db, e);
        if (rc == 0 && (do_work(l, s, &w, e) < 0 || db_commit(l->db, e) < 0)) {
            db_rollback(l->db);
            rc = -1;
        }
    }
    free(x);
    return rc;
}

/* lib/store/score.c - see score.h. */
#include "store/score.h"

#include <math.h>

#include "base/map.h"
#include "store/day.h"
#include "store/row.h"

const char *const score_class_words[] = {"pass", "greylist", "add_header", "reject", NULL};

/* $1 since when, $2 the limit, $3 whose. Gives: the score (NULL: a rule decided, or there was none), the domain, how many, and the
 * oldest of them. SQLite sends a row a delivery, in their order; PostgreSQL sends what is alike as one. The limit goes before the
 * filter, so that what is looked at is bounded too. */
#define JUDGED "CASE WHEN d.rule_id IS NULL THEN d.score END"
#define LITE(from, where, key)                                                                                         \
    "SELECT " JUDGED ", d.domain_id, 1, d.id FROM " from " WHERE " where key " >= $1 ORDER BY " key " DESC LIMIT $2"
#define GROUPED(from, where, row)                                                                                      \
    "SELECT score, domain_id, COUNT(*), MIN(uid) FROM (SELECT " JUDGED " AS score, d.domain_id, d.uid FROM " from      \
    " WHERE " where row ".uid >= $1 ORDER BY " row ".uid DESC, " row                                                   \
    ".n DESC LIMIT $2) AS x GROUP BY score, domain_id"
#define OF_MAILBOX "delivery_mailbox m JOIN delivery d ON "
#define IN_DOMAIN "d.domain_id = $3 AND "
#define IN_MAILBOX "m.mailbox_id = $3 AND "
static const char *const queries[][2] = {
    [SCOPE_GLOBAL] = {[DB_SQLITE] = LITE("delivery d", "", "d.id"), [DB_PGSQL] = GROUPED("delivery d", "", "d")},
    [SCOPE_DOMAIN] = {[DB_SQLITE] = LITE("delivery d INDEXED BY delivery_domain", IN_DOMAIN, "d.id"),
                      [DB_PGSQL] = GROUPED("delivery d", IN_DOMAIN, "d")},
    [SCOPE_MAILBOX] = {[DB_SQLITE] = LITE(OF_MAILBOX "d.id = m.id", IN_MAILBOX, "m.id"),
                       [DB_PGSQL] = GROUPED(OF_MAILBOX "d.uid = m.uid AND d.n = m.n", IN_MAILBOX, "m")},
};
static const char own_sql[] =
    "SELECT scope_id, reject, add_header, greylist, greylisting FROM setting WHERE scope_kind = 'domain'"
    " AND (reject IS NOT NULL OR add_header IS NOT NULL OR greylist IS NOT NULL OR greylisting IS NOT NULL)";

#define OWN_MAX 100000 /* domains with thresholds of their own; those beyond count with all the others */

enum score_class score_class(const struct score_lines *lines, double score)
{
    if (score >= lines->at.reject && lines->at.reject < THRESHOLD_OFF)
        return SCORE_REJECT;
    if (score >= lines->at.add_header && lines->at.add_header < THRESHOLD_OFF)
        return SCORE_ADD_HEADER;
    return lines->greylisting && score >= lines->at.greylist && lines->at.greylist < THRESHOLD_OFF ? SCORE_GREYLIST
                                                                                                   : SCORE_PASS;
}

/* ---- what domains have of their own ---- */

struct own {
    struct uuid domain; /* the key of the map */
    double      reject, add_header, greylist;
    int         greylisting; /* -1: inherited */
};

/* Owns the list and the map, which borrows from the list and is filled when that grows no more. */
struct count {
    enum db_kind              kind;
    struct buf                own; /* of struct own */
    struct map                by_domain;
    const struct score_lines *now, *then;
    struct store_scores      *out;
    int64_t                   oldest_ms;
};

static double or_nan(struct db_rows *r, int column) { return db_is_null(r, column) ? NAN : db_f64(r, column); }

static int each_own(void *ctx, struct db_rows *r)
{
    struct count *c = ctx;
    struct own    o = {col_uuid(r, 0), or_nan(r, 1), or_nan(r, 2), or_nan(r, 3),
                    db_is_null(r, 4) ? -1 : db_i64(r, 4) != 0};

    buf_put(&c->own, span_make((const char *)&o, sizeof o));
    return c->own.failed;
}

static int read_own(struct store *s, struct count *c, struct err *e)
{
    struct own *list;

    if (row_each(s->main, own_sql, NULL, 0, each_own, c, e) < 0)
        return -1;
    list = (struct own *)(void *)c->own.p;
    for (size_t i = 0; i < c->own.n / sizeof *list; i++)
        map_put(&c->by_domain, span_make((const char *)list[i].domain.b, sizeof list[i].domain.b), &list[i]);
    return 0;
}

static enum score_class class_with(const struct score_lines *lines, const struct own *own, double score)
{
    struct score_lines x = *lines;

    if (own == NULL)
        return score_class(lines, score);
    x.at.reject = isnan(own->reject) ? x.at.reject : own->reject;
    x.at.add_header = isnan(own->add_header) ? x.at.add_header : own->add_header;
    x.at.greylist = isnan(own->greylist) ? x.at.greylist : own->greylist;
    x.greylisting = own->greylisting < 0 ? x.greylisting : own->greylisting == 1;
    return score_class(&x, score);
}

/* ---- counting ---- */

static size_t bin_of(double score)
{
    if (!(score >= SCORES_LOW))
        return 0;
    return score >= SCORES_HIGH ? SCORES_BINS - 1 : (size_t)(floor(score) - SCORES_LOW) + 1;
}

static int64_t ms_of(const struct count *c, struct db_rows *r)
{
    struct uuid uid;

    if (c->kind == DB_SQLITE)
        return day_id_ms(db_i64(r, 3));
    return uuid_parse(db_text(r, 3), &uid) ? day_uid_ms(&uid) : INT64_MAX;
}

static int each_row(void *ctx, struct db_rows *r)
{
    struct count        *c = ctx;
    struct store_scores *out = c->out;
    int64_t              n = db_i64(r, 2), ms = ms_of(c, r);
    const struct own    *own;
    double               score;

    c->oldest_ms = ms < c->oldest_ms ? ms : c->oldest_ms;
    out->looked += n;
    if (db_is_null(r, 0))
        return 0;
    score = db_f64(r, 0);
    own = c->by_domain.n > 0 ? map_get(&c->by_domain, db_text(r, 1)) : NULL;
    out->judged += n;
    out->bins[bin_of(score)] += n;
    out->moves[class_with(c->now, own, score)][class_with(c->then, own, score)] += n;
    return 0;
}

static int count(struct store *s, struct store_scope scope, int64_t since_us, struct count *c, struct err *e)
{
    int64_t        max = scope.kind == SCOPE_MAILBOX ? SCORES_MAILBOX_MAX : SCORES_MAX;
    struct uuid    uid = day_uid_at(since_us / 1000);
    struct day_uid text = day_uid_text(&uid);
    struct db_val  vals[] = {c->kind == DB_SQLITE ? dbv_i64(day_id_at(since_us / 1000)) : dbv_str(text.text),
                            dbv_i64(max), dbv_uuid(&scope.id)};

    if (scope.kind == SCOPE_GLOBAL && read_own(s, c, e) < 0)
        return -1;
    if (row_each(s->log, queries[scope.kind][c->kind], vals, scope.kind == SCOPE_GLOBAL ? 2 : 3, each_row, c, e) < 0)
        return -1;
    c->out->whole = c->out->looked < max;
    c->out->since_us = c->out->looked > 0 ? c->oldest_ms * 1000 : 0;
    return 0;
}

int store_scores(struct store *s, struct store_scope scope, int64_t since_us, const struct score_lines *now,
                 const struct score_lines *then, struct store_scores *out, struct err *e)
{
    struct count c = {.kind = db_kind(s->log), .now = now, .then = then, .out = out, .oldest_ms = INT64_MAX};
    int          rc;

    *out = (struct store_scores){0};
    buf_init(&c.own, OWN_MAX * sizeof(struct own));
    map_init(&c.by_domain);
    rc = count(s, scope, since_us, &c, e);
    map_fini(&c.by_domain);
    buf_fini(&c.own);
    return rc;
}

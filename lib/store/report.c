/* lib/store/report.c - see report.h. */
#include "store/report.h"

#include "store/row.h"

const char *const report_class_words[] = {"spam", "ham", "forget", NULL};
const char *const report_state_words[] = {"waiting", "learnt", "known", "short", "refused", "superseded", NULL};

#define COLUMNS                                                                                                        \
    "id, subject, who, recipient, channel, class, domain_id, mailbox_id, body_uid, state, attempts, next_us,"          \
    " created_us, changed_us, answer"
static const char find_sql[] = "SELECT id, state FROM report"
                               " WHERE subject = $1 AND who = $2 AND recipient = $3 AND class = $4";
static const char add_sql[] =
    "INSERT INTO report (id, subject, who, recipient, channel, class, domain_id, mailbox_id, body_uid,"
    " state, next_us, created_us, changed_us)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'waiting', $10, $10, $10)";
static const char again_sql[] =
    "UPDATE report SET state = 'waiting', attempts = 0, next_us = $2, lease_until_us = 0, lease_by = '', answer = '',"
    " body_uid = $3, channel = $4, changed_us = $2 WHERE id = $1";
static const char supersede_sql[] =
    "UPDATE report SET state = 'superseded', lease_until_us = 0, lease_by = '', changed_us = $5"
    " WHERE subject = $1 AND who = $2 AND recipient = $3 AND class <> $4 AND state <> 'superseded'";
static const char claim_sql[] =
    "UPDATE report SET lease_until_us = $2, lease_by = $3, attempts = attempts + 1, changed_us = $1 WHERE id IN"
    " (SELECT id FROM report WHERE state = 'waiting' AND next_us <= $1 AND lease_until_us <= $1"
    "  ORDER BY next_us, id LIMIT $4) AND state = 'waiting' AND lease_until_us <= $1 RETURNING " COLUMNS;
static const char settle_sql[] =
    "UPDATE report SET state = $3, next_us = $4, attempts = attempts - $5, answer = $6, lease_until_us = 0,"
    " lease_by = '', changed_us = $7 WHERE id = $1 AND lease_by = $2 AND state = 'waiting'";
static const char next_sql[] = "SELECT MIN(CASE WHEN lease_until_us > next_us THEN lease_until_us ELSE next_us END)"
                               " FROM report WHERE state = 'waiting' HAVING COUNT(*) > 0";
static const char oldest_sql[] = "SELECT MIN(created_us) FROM report WHERE state = 'waiting' HAVING COUNT(*) > 0";
static const char list_sql[] = "SELECT " COLUMNS " FROM report WHERE changed_us < $1 AND ($2 = 0 OR domain_id = $3)"
                               " AND ($4 = 0 OR mailbox_id = $3) ORDER BY changed_us DESC, id DESC LIMIT $5";
static const char sums_sql[] = "SELECT state, COUNT(*) FROM report GROUP BY state ORDER BY state";

/* ---- saying ---- */

static void uid_text(const struct store_report *r, char out[UUID_TEXT + 1])
{
    out[0] = '\0';
    if (r->has_body)
        uuid_format(&r->body, out);
}

static int say_again(struct store *s, const struct store_report *r, int64_t now_us, struct err *e)
{
    char uid[UUID_TEXT + 1];

    uid_text(r, uid);
    struct db_val vals[] = {dbv_uuid(&r->id), dbv_i64(now_us), dbv_str(uid), dbv_text(r->channel)};
    return db_run(s->log, again_sql, vals, COUNT(vals), NULL, e);
}

static int say_first(struct store *s, struct store_report *r, int64_t now_us, struct err *e)
{
    char uid[UUID_TEXT + 1];

    uid_text(r, uid);
    r->id = uuid7_make();
    struct db_val vals[] = {
        dbv_uuid(&r->id),
        dbv_text(r->subject),
        dbv_text(r->who),
        dbv_text(r->recipient.p != NULL ? r->recipient : SPAN("")),
        dbv_text(r->channel),
        dbv_word(report_class_words, (int)r->class),
        dbv_uuid_or_null(r->has_domain ? &r->domain : NULL),
        dbv_uuid_or_null(r->has_mailbox ? &r->mailbox : NULL),
        dbv_str(uid),
        dbv_i64(now_us),
    };
    return db_run(s->log, add_sql, vals, COUNT(vals), NULL, e);
}

/* 1: there is one of the same class, with its state; 0; -1. */
static int find(struct store *s, const struct db_val keys[4], struct store_report *r, enum report_state *state_out,
                struct err *e)
{
    struct db_rows *rows;
    int             rc = row_first(s->log, find_sql, keys, 4, &rows, e);

    if (rc <= 0)
        return rc;
    r->id = col_uuid(rows, 0);
    *state_out = (enum report_state)col_word(rows, 1, report_state_words);
    db_rows_free(&rows);
    return 1;
}

static int add_in(struct store *s, struct store_report *r, int64_t now_us, enum report_added *out, struct err *e)
{
    struct db_val     keys[] = {dbv_text(r->subject), dbv_text(r->who),
                                dbv_text(r->recipient.p != NULL ? r->recipient : SPAN("")),
                                dbv_word(report_class_words, (int)r->class), dbv_i64(now_us)};
    enum report_state state = REPORT_WAITING;
    int64_t           superseded = 0;
    int               there;

    if (db_run(s->log, supersede_sql, keys, COUNT(keys), &superseded, e) < 0 ||
        (there = find(s, keys, r, &state, e)) < 0)
        return -1;
    *out = superseded > 0 ? REPORT_TURNED : there ? REPORT_SAID : REPORT_NEW;
    if (!there)
        return say_first(s, r, now_us, e);
    if (state != REPORT_SUPERSEDED)
        return 0;
    *out = REPORT_TURNED;
    return say_again(s, r, now_us, e);
}

static int check(const struct store_report *r, struct err *e)
{
    if (check_text(r->subject, 5, 100, "what is reported", e) < 0 ||
        check_text(r->who, 1, STORE_ADDRESS_MAX, "who reports", e) < 0 ||
        check_text(r->channel, 1, 20, "the channel", e) < 0)
        return -1;
    return r->recipient.n > 0 ? check_text(r->recipient, 1, STORE_ADDRESS_MAX, "the recipient", e) : 0;
}

int store_report_add(struct store *s, struct store_report *r, int64_t now_us, enum report_added *out, struct err *e)
{
    if (check(r, e) < 0 || db_begin(s->log, e) < 0)
        return -1;
    if (add_in(s, r, now_us, out, e) == 0 && db_commit(s->log, e) == 0)
        return 0;
    db_rollback(s->log);
    return -1;
}

/* ---- working ---- */

static void read_row(struct db_rows *r, struct store_report *out)
{
    struct span body = db_text(r, 8);

    *out = (struct store_report){
        .id = col_uuid(r, 0),
        .subject = db_text(r, 1),
        .who = db_text(r, 2),
        .recipient = db_text(r, 3),
        .channel = db_text(r, 4),
        .class = (enum report_class)col_word(r, 5, report_class_words),
        .has_domain = !db_is_null(r, 6),
        .has_mailbox = !db_is_null(r, 7),
        .state = (enum report_state)col_word(r, 9, report_state_words),
        .attempts = db_i64(r, 10),
        .next_us = db_i64(r, 11),
        .created_us = db_i64(r, 12),
        .changed_us = db_i64(r, 13),
        .answer = db_text(r, 14),
    };
    if (out->has_domain)
        out->domain = col_uuid(r, 6);
    if (out->has_mailbox)
        out->mailbox = col_uuid(r, 7);
    out->has_body = body.n > 0 && uuid_parse(body, &out->body);
}

static void keep_texts(struct arena *a, struct store_report *r)
{
    r->subject = arena_dup(a, r->subject);
    r->who = arena_dup(a, r->who);
    r->recipient = arena_dup(a, r->recipient);
    r->channel = arena_dup(a, r->channel);
    r->answer = arena_dup(a, r->answer);
}

int store_report_claim(struct store *s, struct span by, int64_t now_us, size_t max, struct arena *a,
                       struct store_report *out, struct err *e)
{
    struct db_val   vals[] = {dbv_i64(now_us), dbv_i64(now_us + REPORT_LEASE_US), dbv_text(by), dbv_i64((int64_t)max)};
    struct db_rows *r;
    size_t          n = 0;
    int             rc;

    if (db_query(s->log, claim_sql, vals, COUNT(vals), &r, e) < 0)
        return -1;
    while ((rc = db_next(r, e)) > 0 && n < max) {
        read_row(r, &out[n]);
        keep_texts(a, &out[n++]);
    }
    db_rows_free(&r);
    if (rc < 0)
        return -1;
    return a->full ? err_set(e, ERR_LIMIT, "a report needs too much memory") : (int)n;
}

static struct span cut(struct span answer)
{
    answer = span_head(answer, REPORT_ANSWER_MAX);
    return is_storable(answer) ? answer : SPAN("");
}

static int settle_in(struct store *s, struct span by, const struct store_report_end *ends, size_t n, int64_t now_us,
                     size_t *settled, struct err *e)
{
    *settled = 0;
    for (const struct store_report_end *end = ends; end < ends + n; end++) {
        int64_t             changed = 0;
        const struct db_val vals[] = {
            dbv_uuid(&end->id),    dbv_text(by),           dbv_word(report_state_words, (int)end->state),
            dbv_i64(end->next_us), dbv_bool(end->unasked), dbv_text(cut(end->answer)),
            dbv_i64(now_us),
        };

        if (db_run(s->log, settle_sql, vals, COUNT(vals), &changed, e) < 0)
            return -1;
        *settled += changed > 0;
    }
    return 0;
}

int store_report_settle(struct store *s, struct span by, const struct store_report_end *ends, size_t n, int64_t now_us,
                        size_t *settled_out, struct err *e)
{
    size_t settled;

    if (db_begin(s->log, e) < 0)
        return -1;
    if (settle_in(s, by, ends, n, now_us, &settled, e) < 0 || db_commit(s->log, e) < 0) {
        db_rollback(s->log);
        return -1;
    }
    if (settled_out != NULL)
        *settled_out = settled;
    return 0;
}

int store_report_next(struct store *s, int64_t *next_us_out, struct err *e)
{
    *next_us_out = INT64_MAX;
    return row_i64(s->log, next_sql, NULL, 0, next_us_out, e) < 0 ? -1 : 0;
}

/* ---- looking ---- */

int store_report_oldest(struct store *s, int64_t *created_us_out, struct err *e)
{
    *created_us_out = INT64_MAX;
    return row_i64(s->log, oldest_sql, NULL, 0, created_us_out, e) < 0 ? -1 : 0;
}

struct list {
    store_report_fn fn;
    void           *ctx;
};

static int each(void *arg, struct db_rows *r)
{
    struct list        *to = arg;
    struct store_report row;

    read_row(r, &row);
    return to->fn(to->ctx, &row);
}

int store_report_list(struct store *s, struct store_scope scope, int64_t before_us, size_t limit, store_report_fn fn,
                      void *ctx, struct err *e)
{
    struct list   to = {fn, ctx};
    struct db_val vals[] = {dbv_i64(before_us > 0 ? before_us : INT64_MAX), dbv_i64(scope.kind == SCOPE_DOMAIN),
                            dbv_uuid(&scope.id), dbv_i64(scope.kind == SCOPE_MAILBOX),
                            dbv_i64((int64_t)(limit > 0 ? limit : STORE_LIST_MAX))};

    return row_each(s->log, list_sql, vals, COUNT(vals), each, &to, e);
}

struct sums {
    store_report_sum_fn fn;
    void               *ctx;
};

static int each_sum(void *arg, struct db_rows *r)
{
    struct sums *to = arg;

    return to->fn(to->ctx, (enum report_state)col_word(r, 0, report_state_words), db_i64(r, 1));
}

int store_report_sums(struct store *s, store_report_sum_fn fn, void *ctx, struct err *e)
{
    struct sums to = {fn, ctx};

    return row_each(s->log, sums_sql, NULL, 0, each_sum, &to, e);
}

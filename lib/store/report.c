/* lib/store/report.c - see report.h. */
#include "store/report.h"

#include "store/row.h"

const char *const report_class_words[] = {"spam", "ham", "forget", NULL};
const char *const report_state_words[] = {"waiting", "learnt",     "known",     "short",
                                          "refused", "superseded", "undecided", NULL};

#define COLUMNS                                                                                                        \
    "id, subject, who, recipient, channel, class, domain_id, mailbox_id, body_uid, state, attempts, next_us,"          \
    " created_us, changed_us, answer, sender, why"
static const char find_sql[] = "SELECT id, state, body_uid FROM report"
                               " WHERE subject = $1 AND who = $2 AND recipient = $3 AND class = $4";
static const char add_sql[] =
    "INSERT INTO report (id, subject, who, recipient, channel, class, domain_id, mailbox_id, body_uid,"
    " state, next_us, created_us, changed_us, answer, sender, why)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, $13, $14, $15)";
static const char again_sql[] =
    "UPDATE report SET state = $2, attempts = 0, next_us = $3, lease_until_us = 0, lease_by = '', answer = $4,"
    " body_uid = $5, channel = $6, sender = $7, why = $8, changed_us = $9 WHERE id = $1";
static const char supersede_sql[] =
    "UPDATE report SET state = 'superseded', lease_until_us = 0, lease_by = '', changed_us = $5"
    " WHERE subject = $1 AND who = $2 AND recipient = $3 AND class <> $4 AND state <> 'superseded'";
/* What stands of one message for one recipient. */
static const char words_sql[] =
    "SELECT CAST(COALESCE(SUM(CASE WHEN class = 'spam' THEN 1 ELSE 0 END), 0) AS BIGINT),"
    " CAST(COALESCE(SUM(CASE WHEN class = 'ham' THEN 1 ELSE 0 END), 0) AS BIGINT),"
    " CAST(COALESCE(SUM(CASE WHEN state = 'undecided' THEN 1 ELSE 0 END), 0) AS BIGINT),"
    " CAST(COALESCE(SUM(CASE WHEN class <> 'forget' AND state <> 'undecided' THEN attempts ELSE 0 END), 0) AS BIGINT),"
    " COALESCE(MAX(lease_until_us), 0), COALESCE(MAX(CASE WHEN class <> 'forget' THEN body_uid ELSE '' END), '')"
    " FROM report WHERE subject = $1 AND recipient = $2 AND state <> 'superseded'";
static const char undecided_sql[] =
    "UPDATE report SET state = 'undecided', lease_until_us = 0, lease_by = '', answer = $4, changed_us = $3"
    " WHERE subject = $1 AND recipient = $2 AND class <> 'forget' AND state NOT IN ('superseded', 'undecided')";
static const char decided_sql[] =
    "UPDATE report SET state = CASE WHEN body_uid = '' THEN 'refused' ELSE 'waiting' END, attempts = 0, next_us = $4,"
    " answer = CASE WHEN body_uid = '' THEN $5 ELSE '' END, changed_us = $3"
    " WHERE subject = $1 AND recipient = $2 AND state = 'undecided'";
static const char ours_sql[] =
    "UPDATE report SET state = 'superseded', lease_until_us = 0, lease_by = '', changed_us = $3"
    " WHERE subject = $1 AND recipient = $2 AND who = '" REPORT_OURSELVES
    "' AND class = 'forget' AND state = 'waiting'";
static const char ended_sql[] = "UPDATE report SET state = 'known', answer = $2 WHERE id = $1";
static const char claim_sql[] =
    "UPDATE report SET lease_until_us = $2, lease_by = $3, attempts = attempts + 1 WHERE id IN"
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
static const char show_sql[] = "SELECT " COLUMNS " FROM report WHERE id = $1 OR subject = $2 ORDER BY created_us, id";
static const char sums_sql[] = "SELECT state, COUNT(*) FROM report GROUP BY state ORDER BY state";

#define GONE "the message is no longer stored: the filter could not "
#define OTHERS "others of the domain say it, too: what they say holds"

struct span store_report_gone(const struct store_report *r)
{
    if (r->class == REPORT_FORGET)
        return SPAN(GONE "unlearn it");
    return r->sender.n > 0 ? SPAN(GONE "learn it; the sender was noted") : SPAN(GONE "learn it");
}

/* ---- saying ---- */

static struct span text_of(struct span s) { return s.p != NULL ? s : SPAN(""); }

static void uid_text(const struct store_report *r, char out[UUID_TEXT + 1])
{
    out[0] = '\0';
    if (r->has_body)
        uuid_format(&r->body, out);
}

/* Where a report begins, and with which answer. */
static struct span begin_at(struct store_report *r)
{
    r->state = r->has_body ? REPORT_WAITING : REPORT_REFUSED;
    return r->has_body ? SPAN("") : store_report_gone(r);
}

static int say_again(struct store *s, struct store_report *r, int64_t next_us, int64_t now_us, struct err *e)
{
    struct span answer = begin_at(r);
    char        uid[UUID_TEXT + 1];

    uid_text(r, uid);
    struct db_val vals[] = {dbv_uuid(&r->id),
                            dbv_word(report_state_words, (int)r->state),
                            dbv_i64(next_us),
                            dbv_text(answer),
                            dbv_str(uid),
                            dbv_text(r->channel),
                            dbv_text(text_of(r->sender)),
                            dbv_text(text_of(r->why)),
                            dbv_i64(now_us)};
    return db_run(s->log, again_sql, vals, COUNT(vals), NULL, e);
}

static int say_first(struct store *s, struct store_report *r, int64_t next_us, int64_t now_us, struct err *e)
{
    struct span answer = begin_at(r);
    char        uid[UUID_TEXT + 1];

    uid_text(r, uid);
    r->id = uuid7_make();
    struct db_val vals[] = {
        dbv_uuid(&r->id),
        dbv_text(r->subject),
        dbv_text(r->who),
        dbv_text(text_of(r->recipient)),
        dbv_text(r->channel),
        dbv_word(report_class_words, (int)r->class),
        dbv_uuid_or_null(r->has_domain ? &r->domain : NULL),
        dbv_uuid_or_null(r->has_mailbox ? &r->mailbox : NULL),
        dbv_str(uid),
        dbv_word(report_state_words, (int)r->state),
        dbv_i64(next_us),
        dbv_i64(now_us),
        dbv_text(answer),
        dbv_text(text_of(r->sender)),
        dbv_text(text_of(r->why)),
    };
    return db_run(s->log, add_sql, vals, COUNT(vals), NULL, e);
}

/* 1: there is one of the same class, with its id and state, and whether it had a body; 0; -1. */
static int find(struct store *s, const struct db_val keys[4], struct store_report *r, bool *had_body, struct err *e)
{
    struct db_rows *rows;
    int             rc = row_first(s->log, find_sql, keys, 4, &rows, e);

    if (rc <= 0)
        return rc;
    r->id = col_uuid(rows, 0);
    r->state = (enum report_state)col_word(rows, 1, report_state_words);
    *had_body = db_text(rows, 2).n > 0;
    db_rows_free(&rows);
    return 1;
}

static int say(struct store *s, struct store_report *r, int64_t next_us, int64_t now_us, enum report_added *out,
               struct err *e)
{
    struct db_val keys[] = {dbv_text(r->subject), dbv_text(r->who), dbv_text(text_of(r->recipient)),
                            dbv_word(report_class_words, (int)r->class), dbv_i64(now_us)};
    int64_t       superseded = 0;
    bool          had_body = false;
    int           there;

    if (db_run(s->log, supersede_sql, keys, COUNT(keys), &superseded, e) < 0 ||
        (there = find(s, keys, r, &had_body, e)) < 0)
        return -1;
    *out = superseded > 0 ? REPORT_TURNED : there ? REPORT_SAID : REPORT_NEW;
    if (!there)
        return say_first(s, r, next_us, now_us, e);
    if (r->state == REPORT_REFUSED && !had_body && r->has_body) /* it came to be stored since */
        return say_again(s, r, next_us, now_us, e);
    if (r->state != REPORT_SUPERSEDED)
        return 0;
    *out = REPORT_TURNED;
    return say_again(s, r, next_us, now_us, e);
}

/* ---- when people disagree ---- */

struct words {
    int64_t     spam, ham, undecided, attempts;
    int64_t     lease_us; /* until when somebody may be asking the filter */
    bool        has_body;
    struct uuid body;
};

static int read_words(struct store *s, const struct store_report *r, struct words *out, struct err *e)
{
    struct db_rows *rows;

    if (row_first(s->log, words_sql, (struct db_val[]){dbv_text(r->subject), dbv_text(r->recipient)}, 2, &rows, e) <= 0)
        return -1;
    *out = (struct words){.spam = db_i64(rows, 0),
                          .ham = db_i64(rows, 1),
                          .undecided = db_i64(rows, 2),
                          .attempts = db_i64(rows, 3),
                          .lease_us = db_i64(rows, 4)};
    out->has_body = uuid_parse(db_text(rows, 5), &out->body);
    db_rows_free(&rows);
    return 0;
}

static int64_t later(int64_t a, int64_t b) { return a > b ? a : b; }

/* The filter may have learnt something of it, and takes it back when nobody teaches it that any more. */
static int unlearn(struct store *s, const struct store_report *r, const struct words *w, int64_t now_us, struct err *e)
{
    struct store_report ours = {.subject = r->subject,
                                .who = SPAN(REPORT_OURSELVES),
                                .recipient = r->recipient,
                                .channel = SPAN(REPORT_OURSELVES),
                                .class = REPORT_FORGET,
                                .has_domain = r->has_domain,
                                .domain = r->domain,
                                .has_body = true,
                                .body = w->body};
    struct db_val       keys[] = {dbv_text(ours.subject), dbv_text(ours.who), dbv_text(ours.recipient),
                                  dbv_word(report_class_words, (int)ours.class)};
    int64_t             next_us = later(now_us, w->lease_us);
    bool                had_body;
    int                 there = find(s, keys, &ours, &had_body, e);

    if (there < 0)
        return -1;
    return there ? say_again(s, &ours, next_us, now_us, e) : say_first(s, &ours, next_us, now_us, e);
}

static int set_undecided(struct store *s, struct store_report *r, const struct words *w, int64_t now_us, struct err *e)
{
    struct db_val vals[] = {dbv_text(r->subject), dbv_text(r->recipient), dbv_i64(now_us), dbv_str(REPORT_OPPOSITE)};

    r->state = REPORT_UNDECIDED;
    if (db_run(s->log, undecided_sql, vals, COUNT(vals), NULL, e) < 0)
        return -1;
    return w->attempts > 0 && w->has_body ? unlearn(s, r, w, now_us, e) : 0;
}

/* Those who still say something agree: their words go to the filter, when what is under way there is over. */
static int set_decided(struct store *s, const struct store_report *r, const struct words *w, int64_t now_us,
                       struct err *e)
{
    struct db_val vals[] = {dbv_text(r->subject), dbv_text(r->recipient), dbv_i64(now_us),
                            dbv_i64(later(now_us, w->lease_us)), dbv_str(GONE "learn it")};

    if (db_run(s->log, decided_sql, vals, COUNT(vals), NULL, e) < 0)
        return -1;
    return db_run(s->log, ours_sql, vals, 3, NULL, e);
}

/* What others say holds, whether they agreed with who takes it back or not. */
static int leave_to_others(struct store *s, struct store_report *r, struct err *e)
{
    r->state = REPORT_KNOWN;
    return db_run(s->log, ended_sql, (struct db_val[]){dbv_uuid(&r->id), dbv_str(OTHERS)}, 2, NULL, e);
}

static int weigh(struct store *s, struct store_report *r, int64_t now_us, struct err *e)
{
    struct words w;
    bool         opposite;

    if (read_words(s, r, &w, e) < 0)
        return -1;
    opposite = w.spam > 0 && w.ham > 0;
    if (opposite ? set_undecided(s, r, &w, now_us, e) < 0 : w.undecided > 0 && set_decided(s, r, &w, now_us, e) < 0)
        return -1;
    return r->class == REPORT_FORGET && w.spam + w.ham > 0 ? leave_to_others(s, r, e) : 0;
}

static int add_in(struct store *s, struct store_report *r, int64_t now_us, enum report_added *out, struct err *e)
{
    if (say(s, r, now_us, now_us, out, e) < 0)
        return -1;
    return *out == REPORT_SAID || r->recipient.n == 0 ? 0 : weigh(s, r, now_us, e);
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
        .sender = db_text(r, 15),
        .why = db_text(r, 16),
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
    r->sender = arena_dup(a, r->sender);
    r->why = arena_dup(a, r->why);
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

int store_report_turn(struct store *s, struct span by, const struct store_report_end *ends, size_t n, int64_t now_us,
                      size_t max, struct arena *a, struct store_report *out, struct err *e)
{
    size_t settled;
    int    taken;

    if (n == 0)
        return store_report_claim(s, by, now_us, max, a, out, e);
    if (db_begin(s->log, e) < 0)
        return -1;
    if (settle_in(s, by, ends, n, now_us, &settled, e) == 0 &&
        (taken = store_report_claim(s, by, now_us, max, a, out, e)) >= 0 && db_commit(s->log, e) == 0)
        return taken;
    db_rollback(s->log);
    return -1;
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
    size_t          n;
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
    struct list   to = {fn, ctx, 0};
    struct db_val vals[] = {dbv_i64(before_us > 0 ? before_us : INT64_MAX), dbv_i64(scope.kind == SCOPE_DOMAIN),
                            dbv_uuid(&scope.id), dbv_i64(scope.kind == SCOPE_MAILBOX),
                            dbv_i64((int64_t)(limit > 0 ? limit : STORE_LIST_MAX))};

    return row_each(s->log, list_sql, vals, COUNT(vals), each, &to, e);
}

static int each_shown(void *arg, struct db_rows *r)
{
    struct list *to = arg;

    to->n++;
    return each(arg, r);
}

int store_report_show(struct store *s, const struct uuid *id, store_report_fn fn, void *ctx, struct err *e)
{
    struct list to = {fn, ctx, 0};
    char        subject[4 + UUID_TEXT + 1] = "uid:";

    uuid_format(id, subject + 4);
    if (row_each(s->log, show_sql, (struct db_val[]){dbv_uuid(id), dbv_str(subject)}, 2, each_shown, &to, e) < 0)
        return -1;
    return to.n > 0 ? 0 : no_such(0, e, "report");
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

/* lib/store/digest.c - see digest.h. */
#include "store/digest.h"

#include <stdio.h>

#include "base/schedule.h"
#include "store/audit.h"
#include "store/change.h"
#include "store/row.h"

const char *const digest_kind_words[] = {"mailbox", "domain", NULL};

#define CHOICE "minute, hourly, weekdays, zone, language, filters, quiet"
/* Whose it is, and whether it is theirs still, in one row. */
#define SELECT                                                                                                         \
    "SELECT s.id, s.account_id, s.mailbox_id, s.domain_id, s.kind, s.minute, s.hourly, s.weekdays, s.zone, "           \
    "s.language,"                                                                                                      \
    " s.filters, s.quiet, s.paused_until_us, s.next_us, s.created_us, s.updated_us, a.login, COALESCE(x.local, ''),"   \
    " d.name, CASE WHEN a.state = 'active' AND d.state = 'active' AND"                                                 \
    " (CASE s.kind WHEN 'mailbox' THEN m.account_id = s.account_id ELSE r.role = 'owner' END) THEN 1 ELSE 0 END"       \
    " FROM digest_subscription s JOIN account a ON a.id = s.account_id JOIN domain d ON d.id = s.domain_id"            \
    " LEFT JOIN mailbox m ON m.id = s.mailbox_id LEFT JOIN address x ON x.mailbox_id = s.mailbox_id"                   \
    " LEFT JOIN domain_role r ON r.account_id = s.account_id AND r.domain_id = s.domain_id"
static const char get_sql[] = SELECT " WHERE s.id = $1";
static const char list_sql[] = SELECT " WHERE s.account_id = $1 ORDER BY s.created_us, s.id";
static const char each_sql[] = SELECT " ORDER BY s.created_us, s.id";
static const char add_sql[] = "INSERT INTO digest_subscription (id, kind, account_id, mailbox_id, domain_id, " CHOICE
                              ", next_us, created_us,"
                              " updated_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $14)";
static const char count_sql[] = "SELECT COUNT(*) FROM digest_subscription WHERE account_id = $1";
static const char set_sql[] = "UPDATE digest_subscription SET minute = $2, hourly = $3, weekdays = $4, zone = $5,"
                              " language = $6, filters = $7, quiet = $8, next_us = $9, updated_us = $10 WHERE id = $1";
static const char pause_sql[] = "UPDATE digest_subscription SET paused_until_us = $2, updated_us = $3 WHERE id = $1";
static const char delete_sql[] = "DELETE FROM digest_subscription WHERE id = $1";
static const char mailbox_domain_sql[] = "SELECT domain_id FROM mailbox WHERE id = $1";

#define DUE "next_us <= $1 AND lease_until_us <= $1"
static const char claim_sql[] = "UPDATE digest_subscription SET lease_until_us = $2, lease_by = $3 WHERE id IN"
                                " (SELECT id FROM digest_subscription WHERE " DUE " ORDER BY next_us LIMIT $4) AND " DUE
                                " RETURNING id";
/* DIGEST_CLAIM_MAX of them: looked up, where a look for those claimed would go through all that are due. */
static const char claimed_sql[] = SELECT
    " WHERE s.id IN ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,"
    " $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32) ORDER BY s.next_us, s.id";
static const char done_sql[] = "UPDATE digest_subscription SET next_us = $3, lease_until_us = 0, lease_by = ''"
                               " WHERE id = $1 AND next_us = $2";
static const char free_sql[] =
    "UPDATE digest_subscription SET lease_until_us = 0, lease_by = '' WHERE lease_by = $1 AND lease_until_us > 0";
static const char next_due_sql[] = "SELECT COALESCE(MIN(next_us), 0) FROM digest_subscription";

static const char default_sql[] = "SELECT " CHOICE " FROM digest_default WHERE domain_id = $1";
static const char default_set_sql[] =
    "INSERT INTO digest_default (domain_id, " CHOICE ", updated_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
    " ON CONFLICT (domain_id) DO UPDATE SET minute = $2, hourly = $3, weekdays = $4, zone = $5, language = $6,"
    " filters = $7, quiet = $8, updated_us = $9";
static const char has_one_sql[] = "SELECT 1 FROM digest_subscription WHERE account_id = $1 AND mailbox_id = $2 LIMIT 1";
static const char default_none_sql[] = "DELETE FROM digest_default WHERE domain_id = $1";

#define MINUTES_A_DAY 1440
#define EVERY_DAY 127u
#define ALL_FILTERS ((unsigned)(DIGEST_QUARANTINED | DIGEST_BLOCKED | DIGEST_SPAM))

/* CHOICE, from a column on. */
static void read_choice(struct db_rows *r, int at, struct store_digest_choice *out)
{
    *out = (struct store_digest_choice){.minute = db_i64(r, at),
                                        .hourly = db_i64(r, at + 1) != 0,
                                        .weekdays = (unsigned)db_i64(r, at + 2),
                                        .filters = (unsigned)db_i64(r, at + 5),
                                        .quiet = db_i64(r, at + 6) != 0};
    col_str(r, at + 3, out->zone, sizeof out->zone);
    col_str(r, at + 4, out->language, sizeof out->language);
}

static void read_row(struct db_rows *r, struct store_digest *out)
{
    struct span login = db_text(r, 16), local = db_text(r, 17), domain = db_text(r, 18);

    *out = (struct store_digest){.id = col_uuid(r, 0),
                                 .account = col_uuid(r, 1),
                                 .mailbox = col_uuid(r, 2),
                                 .domain = col_uuid(r, 3),
                                 .kind = (enum digest_kind)col_word(r, 4, digest_kind_words),
                                 .paused_until_us = db_i64(r, 12),
                                 .next_us = db_i64(r, 13),
                                 .created_us = db_i64(r, 14),
                                 .updated_us = db_i64(r, 15),
                                 .stands = db_i64(r, 19) != 0};
    read_choice(r, 5, &out->choice);
    snprintf(out->domain_name, sizeof out->domain_name, "%.*s", SPAN_ARG(domain));
    if (out->kind == DIGEST_MAILBOX) {
        snprintf(out->of, sizeof out->of, "%.*s@%.*s", SPAN_ARG(local), SPAN_ARG(domain));
        snprintf(out->address, sizeof out->address, "%s", out->of);
    } else {
        snprintf(out->of, sizeof out->of, "%.*s", SPAN_ARG(domain));
        snprintf(out->address, sizeof out->address, "%.*s", SPAN_ARG(login));
    }
}

static int get_with(struct store *s, const char *sql, struct uuid id, struct store_digest *out, struct err *e)
{
    struct db_rows *r = NULL;
    int             rc = row_first(s->main, sql, (struct db_val[]){dbv_uuid(&id)}, 1, &r, e);

    if (rc <= 0)
        return no_such(rc, e, "digest");
    read_row(r, out);
    db_rows_free(&r);
    return 0;
}

int store_digest_get(struct store *s, struct uuid id, struct store_digest *out, struct err *e)
{
    return get_with(s, get_sql, id, out, e);
}

struct digest_list {
    store_digest_fn fn;
    void           *ctx;
};

static int each_digest(void *arg, struct db_rows *r)
{
    struct digest_list *l = arg;
    struct store_digest d;

    read_row(r, &d);
    return l->fn(l->ctx, &d);
}

int store_digest_list(struct store *s, struct uuid account, store_digest_fn fn, void *ctx, struct err *e)
{
    struct digest_list l = {fn, ctx};

    return row_each(s->main, list_sql, (struct db_val[]){dbv_uuid(&account)}, 1, each_digest, &l, e) < 0 ? -1 : 0;
}

int store_digest_each(struct store *s, store_digest_fn fn, void *ctx, struct err *e)
{
    struct digest_list l = {fn, ctx};

    return row_each(s->main, each_sql, NULL, 0, each_digest, &l, e) < 0 ? -1 : 0;
}

/* ---- changes ---- */

int store_digest_choice_check(const struct store_digest_choice *c, struct err *e)
{
    if (c->minute < 0 || c->minute >= (c->hourly ? 60 : MINUTES_A_DAY))
        return err_set(e, ERR_INVALID, "a digest runs at minute 0 to %d of the %s", c->hourly ? 59 : MINUTES_A_DAY - 1,
                       c->hourly ? "hour" : "day");
    if (c->weekdays == 0 || c->weekdays > EVERY_DAY)
        return err_set(e, ERR_INVALID, "a digest needs at least one day of the week");
    if (c->filters == 0 || c->filters > ALL_FILTERS)
        return err_set(e, ERR_INVALID,
                       "a digest tells of what is quarantined, blocked or spam, or of several of these");
    return check_text(span_of(c->zone), 1, sizeof c->zone - 1, "the time zone", e) < 0 ||
                   check_text(span_of(c->language), 1, sizeof c->language - 1, "the language", e) < 0
               ? -1
               : 0;
}

int store_digest_choice_next(const struct store_digest_choice *c, int64_t after_us, int64_t *next_out, struct err *e)
{
    struct schedule s = {.hourly = c->hourly, .minute = (unsigned)c->minute, .weekdays = c->weekdays};

    snprintf(s.zone, sizeof s.zone, "%s", c->zone);
    return schedule_check(&s, e) < 0 ? -1 : schedule_next_us(&s, after_us, next_out, e);
}

static void put_choice(struct buf *b, const struct store_digest_choice *c)
{
    json_add_i64(b, "minute", c->minute);
    json_add_bool(b, "hourly", c->hourly);
    json_add_i64(b, "weekdays", (int64_t)c->weekdays);
    json_add_str(b, "zone", c->zone);
    json_add_str(b, "language", c->language);
    json_add_i64(b, "filters", (int64_t)c->filters);
    json_add_bool(b, "quiet", c->quiet);
}

static void put_digest(struct buf *b, const char *key, const void *row)
{
    const struct store_digest *d = row;

    json_open(b, key, '{');
    json_add_str(b, "kind", digest_kind_words[d->kind]);
    json_add_str(b, "of", d->of);
    json_add_str(b, "to", d->address);
    put_choice(b, &d->choice);
    json_add_i64(b, "paused_until_us", d->paused_until_us);
    json_close(b, '}');
}

static struct store_scope scope_of(const struct store_digest *d)
{
    return d->kind == DIGEST_MAILBOX ? store_scope_mailbox(d->mailbox) : store_scope_domain(d->domain);
}

static int note(struct store *s, const struct actor *by, const char *action, const struct store_digest *d,
                const struct store_digest *before, const struct store_digest *after, struct err *e)
{
    return payload_note(
        s, by, scope_of(d),
        &(struct payload_change){
            .action = action, .kind = "digest", .id = d->id, .put = put_digest, .before = before, .after = after},
        e);
}

static int count_of(struct store *s, struct uuid account, int64_t *out, struct err *e)
{
    return row_i64(s->main, count_sql, (struct db_val[]){dbv_uuid(&account)}, 1, out, e) < 0 ? -1 : 0;
}

static int domain_of(struct store *s, struct store_digest *d, struct err *e)
{
    struct db_rows *r = NULL;
    int             rc;

    if (d->kind == DIGEST_DOMAIN)
        return 0;
    rc = row_first(s->main, mailbox_domain_sql, (struct db_val[]){dbv_uuid(&d->mailbox)}, 1, &r, e);
    if (rc <= 0)
        return no_such(rc, e, "mailbox");
    d->domain = col_uuid(r, 0);
    db_rows_free(&r);
    return 0;
}

/* The row, and what it reads as. */
static int insert(struct store *s, struct store_digest *d, struct err *e)
{
    const struct store_digest_choice *c = &d->choice;
    const struct db_val               vals[] = {dbv_uuid(&d->id),
                                                dbv_word(digest_kind_words, (int)d->kind),
                                                dbv_uuid(&d->account),
                                                dbv_uuid_or_null(d->kind == DIGEST_MAILBOX ? &d->mailbox : NULL),
                                                dbv_uuid(&d->domain),
                                                dbv_i64(c->minute),
                                                dbv_bool(c->hourly),
                                                dbv_i64((int64_t)c->weekdays),
                                                dbv_str(c->zone),
                                                dbv_str(c->language),
                                                dbv_i64((int64_t)c->filters),
                                                dbv_bool(c->quiet),
                                                dbv_i64(d->next_us),
                                                dbv_i64(clock_wall_us())};

    return db_run(s->main, add_sql, vals, COUNT(vals), NULL, e) < 0 ? -1 : store_digest_get(s, d->id, d, e);
}

static int add(struct store *s, const struct actor *by, struct store_digest *d, struct err *e)
{
    int64_t have = 0;

    if (count_of(s, d->account, &have, e) < 0)
        return -1;
    if (have >= DIGESTS_PER_ACCOUNT)
        return err_set(e, ERR_LIMIT, "nobody has more than %d digests", DIGESTS_PER_ACCOUNT);
    if (domain_of(s, d, e) < 0 || insert(s, d, e) < 0)
        return -1;
    if (!d->stands)
        return err_set(e, ERR_DENIED, "%s is none of that account's to get a digest of", d->of);
    return note(s, by, "digest.add", d, NULL, d, e);
}

int store_digest_add(struct store *s, const struct actor *by, const struct store_digest *what, struct uuid *id_out,
                     struct err *e)
{
    struct store_digest d = *what;
    bool                mine;

    *id_out = d.id = uuid7_make();
    if (store_digest_choice_check(&d.choice, e) < 0 || row_begin(s, &mine, e) < 0)
        return -1;
    return row_end(s, mine, add(s, by, &d, e), e);
}

static int set(struct store *s, const struct actor *by, const struct store_digest *d, struct err *e)
{
    const struct store_digest_choice *c = &d->choice;
    struct store_digest               before, after;
    const struct db_val               vals[] = {
                      dbv_uuid(&d->id),    dbv_i64(c->minute),      dbv_bool(c->hourly),          dbv_i64((int64_t)c->weekdays),
                      dbv_str(c->zone),    dbv_str(c->language),    dbv_i64((int64_t)c->filters), dbv_bool(c->quiet),
                      dbv_i64(d->next_us), dbv_i64(clock_wall_us())};

    if (store_digest_get(s, d->id, &before, e) < 0 || row_change_one(s, set_sql, vals, COUNT(vals), "digest", e) < 0 ||
        store_digest_get(s, d->id, &after, e) < 0)
        return -1;
    return note(s, by, "digest.set", &after, &before, &after, e);
}

int store_digest_set(struct store *s, const struct actor *by, const struct store_digest *d, struct err *e)
{
    bool mine;

    if (store_digest_choice_check(&d->choice, e) < 0 || row_begin(s, &mine, e) < 0)
        return -1;
    return row_end(s, mine, set(s, by, d, e), e);
}

static int pause_one(struct store *s, const struct actor *by, struct uuid id, int64_t until_us, struct err *e)
{
    struct store_digest before, after;
    const struct db_val vals[] = {dbv_uuid(&id), dbv_i64(until_us), dbv_i64(clock_wall_us())};

    if (store_digest_get(s, id, &before, e) < 0 || row_change_one(s, pause_sql, vals, COUNT(vals), "digest", e) < 0)
        return -1;
    after = before;
    after.paused_until_us = until_us;
    return note(s, by, "digest.pause", &after, &before, &after, e);
}

int store_digest_pause(struct store *s, const struct actor *by, struct uuid id, int64_t until_us, struct err *e)
{
    bool mine;

    if (row_begin(s, &mine, e) < 0)
        return -1;
    return row_end(s, mine, pause_one(s, by, id, until_us, e), e);
}

static int delete_one(struct store *s, const struct actor *by, struct uuid id, struct err *e)
{
    struct store_digest before;

    if (store_digest_get(s, id, &before, e) < 0 ||
        row_change_one(s, delete_sql, (struct db_val[]){dbv_uuid(&id)}, 1, "digest", e) < 0)
        return -1;
    return note(s, by, "digest.delete", &before, &before, NULL, e);
}

int store_digest_delete(struct store *s, const struct actor *by, struct uuid id, struct err *e)
{
    bool mine;

    if (row_begin(s, &mine, e) < 0)
        return -1;
    return row_end(s, mine, delete_one(s, by, id, e), e);
}

/* ---- what is due ---- */

struct claimed {
    struct uuid          ids[DIGEST_CLAIM_MAX];
    size_t               nids;
    struct store_digest *out;
    size_t               n;
};

static int each_id(void *arg, struct db_rows *r)
{
    struct claimed *c = arg;

    if (c->nids < DIGEST_CLAIM_MAX)
        c->ids[c->nids++] = col_uuid(r, 0);
    return 0;
}

static int each_claimed(void *arg, struct db_rows *r)
{
    struct claimed *c = arg;

    if (c->n < c->nids)
        read_row(r, &c->out[c->n++]);
    return 0;
}

int store_digest_claim(struct store *s, struct span by, int64_t now_us, struct store_digest *out, size_t max,
                       struct err *e)
{
    struct claimed      c = {.out = out};
    const struct db_val vals[] = {dbv_i64(now_us), dbv_i64(now_us + DIGEST_LEASE_US), dbv_text(by),
                                  dbv_i64((int64_t)(max < DIGEST_CLAIM_MAX ? max : DIGEST_CLAIM_MAX))};
    struct db_val       ids[DIGEST_CLAIM_MAX];

    if (row_each(s->main, claim_sql, vals, COUNT(vals), each_id, &c, e) < 0)
        return -1;
    for (size_t i = 0; i < DIGEST_CLAIM_MAX; i++)
        ids[i] = dbv_uuid(&c.ids[i < c.nids ? i : 0]);
    if (c.nids > 0 && row_each(s->main, claimed_sql, ids, COUNT(ids), each_claimed, &c, e) < 0)
        return -1;
    return (int)c.n;
}

int store_digest_done(struct store *s, const struct store_digest *d, const int64_t *next_us, size_t n, struct err *e)
{
    bool mine;
    int  rc;

    if (row_begin(s, &mine, e) < 0)
        return -1;
    rc = db_batch_begin(s->main, done_sql, e);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = db_batch_add(s->main, (struct db_val[]){dbv_uuid(&d[i].id), dbv_i64(d[i].next_us), dbv_i64(next_us[i])}, 3,
                          e);
    if (rc == 0)
        rc = db_batch_end(s->main, e);
    return row_end(s, mine, rc, e);
}

int store_digest_free(struct store *s, struct span by, struct err *e)
{
    return db_run(s->main, free_sql, (struct db_val[]){dbv_text(by)}, 1, NULL, e);
}

int store_digest_next_due(struct store *s, int64_t *out, struct err *e)
{
    return row_i64(s->main, next_due_sql, NULL, 0, out, e) < 0 ? -1 : 0;
}

/* ---- a domain's own ---- */

int store_digest_default(struct store *s, struct uuid domain, struct store_digest_choice *out, struct err *e)
{
    struct db_rows *r = NULL;
    int             rc = row_first(s->main, default_sql, (struct db_val[]){dbv_uuid(&domain)}, 1, &r, e);

    if (rc > 0) {
        read_choice(r, 0, out);
        db_rows_free(&r);
    }
    return rc;
}

static void put_default(struct buf *b, const char *key, const void *row)
{
    json_open(b, key, '{');
    put_choice(b, row);
    json_close(b, '}');
}

static int default_set(struct store *s, const struct actor *by, struct uuid domain, const struct store_digest_choice *c,
                       struct err *e)
{
    static const struct store_digest_choice none = {0};
    struct store_digest_choice              before;
    int had = store_change_hold(s, e) < 0 ? -1 : store_digest_default(s, domain, &before, e);
    const struct store_digest_choice *to = c != NULL ? c : &none;
    const struct db_val               vals[] = {
                      dbv_uuid(&domain),       dbv_i64(to->minute),   dbv_bool(to->hourly),          dbv_i64((int64_t)to->weekdays),
                      dbv_str(to->zone),       dbv_str(to->language), dbv_i64((int64_t)to->filters), dbv_bool(to->quiet),
                      dbv_i64(clock_wall_us())};

    if (had < 0 ||
        db_run(s->main, c != NULL ? default_set_sql : default_none_sql, vals, c != NULL ? COUNT(vals) : 1, NULL, e) < 0)
        return -1;
    if (had == 0 && c == NULL)
        return 0;
    return payload_note(s, by, store_scope_domain(domain),
                        &(struct payload_change){.action = "digest.default",
                                                 .kind = "domain",
                                                 .id = domain,
                                                 .put = put_default,
                                                 .before = had > 0 ? &before : NULL,
                                                 .after = c},
                        e);
}

int store_digest_default_set(struct store *s, const struct actor *by, struct uuid domain,
                             const struct store_digest_choice *choice, struct err *e)
{
    bool mine;

    if ((choice != NULL && store_digest_choice_check(choice, e) < 0) || row_begin(s, &mine, e) < 0)
        return -1;
    return row_end(s, mine, default_set(s, by, domain, choice, e), e);
}

int store_digest_begin(struct store *s, const struct actor *by, struct uuid domain, struct uuid mailbox,
                       struct uuid account, struct err *e)
{
    struct store_digest d = {
        .id = uuid7_make(), .kind = DIGEST_MAILBOX, .account = account, .mailbox = mailbox, .domain = domain};
    int64_t have = 0;
    int     rc = store_digest_default(s, domain, &d.choice, e);

    if (rc <= 0)
        return rc;
    rc = row_i64(s->main, has_one_sql, (struct db_val[]){dbv_uuid(&account), dbv_uuid(&mailbox)}, 2, &have, e);
    if (rc != 0)
        return rc < 0 ? -1 : 0;
    if (count_of(s, account, &have, e) < 0)
        return -1;
    if (have >= DIGESTS_PER_ACCOUNT)
        return 0;
    if (store_digest_choice_next(&d.choice, clock_wall_us(), &d.next_us, e) < 0) {
        *e = ERR_INIT; /* a zone that is not there any more keeps nobody out: who runs the digests falls back to UTC */
        d.next_us = clock_wall_us();
    }
    if (insert(s, &d, e) < 0)
        return -1;
    return note(s, by, "digest.add", &d, NULL, &d, e);
}

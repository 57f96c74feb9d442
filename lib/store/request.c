/* lib/store/request.c - see request.h. */
#include "store/request.h"

#include "store/day.h"
#include "store/row.h"

const char *const request_state_words[] = {"waiting", "granted", "refused", NULL};

#define COLUMNS "uid, n, domain_id, mailbox_id, state, who, why, asked_us, answer, answered_by, answered_us"

static const char ask_sql[] = "INSERT INTO release_request (uid, n, domain_id, mailbox_id, state, who, why, asked_us)"
                              " VALUES ($1, $2, $3, $4, 'waiting', $5, $6, $7) ON CONFLICT (uid, n) DO NOTHING";
static const char answer_sql[] =
    "UPDATE release_request SET state = $4, answered_by = $5, answer = $6, answered_us = $7"
    " WHERE uid = $1 AND n = $2 AND state = $3";
static const char get_sql[] = "SELECT " COLUMNS " FROM release_request WHERE uid = $1 AND n = $2";
static const char list_sql[] = "SELECT " COLUMNS " FROM release_request WHERE domain_id = $1 AND state = $2"
                               " AND (uid, n) > ($3, $4) ORDER BY uid, n LIMIT $5";

static int read_request(struct db_rows *r, struct store_request *out)
{
    int state = col_word(r, 4, request_state_words);

    *out = (struct store_request){.key.n = db_i64(r, 1),
                                  .domain = col_uuid(r, 2),
                                  .has_mailbox = !db_is_null(r, 3),
                                  .mailbox = col_uuid(r, 3),
                                  .state = (enum request_state)state,
                                  .who = db_text(r, 5),
                                  .why = db_text(r, 6),
                                  .asked_us = db_i64(r, 7),
                                  .answer = db_text(r, 8),
                                  .answered_by = db_text(r, 9),
                                  .answered_us = db_i64(r, 10)};
    return state >= 0 && uuid_parse(db_text(r, 0), &out->key.uid) ? 0 : -1;
}

int store_request_ask(struct store *s, const struct store_request *r, int64_t now_us, struct err *e)
{
    struct day_uid       uid = day_uid_text(&r->key.uid);
    const struct db_val  vals[] = {dbv_str(uid.text),    dbv_i64(r->key.n),
                                   dbv_uuid(&r->domain), dbv_uuid_or_null(r->has_mailbox ? &r->mailbox : NULL),
                                   dbv_text(r->who),     dbv_text(r->why),
                                   dbv_i64(now_us)};
    struct store_request there;
    struct db_rows      *rows;
    int64_t              changed = 0;
    int                  rc;

    if (check_text(r->who, 1, STORE_NAME_MAX, "who asks", e) < 0 || !is_storable(r->why) || r->why.n > REQUEST_TEXT_MAX)
        return e->code != ERR_NONE ? -1 : err_set(e, ERR_INVALID, "at most %d bytes of text", REQUEST_TEXT_MAX);
    if (db_run(s->log, ask_sql, vals, COUNT(vals), &changed, e) < 0)
        return -1;
    if (changed > 0)
        return 0;
    if ((rc = row_first(s->log, get_sql, vals, 2, &rows, e)) <= 0)
        return no_such(rc, e, "request");
    rc = read_request(rows, &there);
    db_rows_free(&rows);
    return rc == 0 && there.state == REQUEST_WAITING ? 0 : err_set(e, ERR_CONFLICT, "it was answered already");
}

int store_request_answer(struct store *s, const struct store_key *key, enum request_state from, enum request_state to,
                         struct span who, struct span answer, int64_t now_us, struct err *e)
{
    struct day_uid      uid = day_uid_text(&key->uid);
    const struct db_val vals[] = {dbv_str(uid.text),
                                  dbv_i64(key->n),
                                  dbv_word(request_state_words, (int)from),
                                  dbv_word(request_state_words, (int)to),
                                  dbv_text(who),
                                  dbv_text(answer),
                                  dbv_i64(now_us)};
    int64_t             changed = 0;

    if (!is_storable(answer) || answer.n > REQUEST_TEXT_MAX)
        return err_set(e, ERR_INVALID, "at most %d bytes of text", REQUEST_TEXT_MAX);
    if (db_run(s->log, answer_sql, vals, COUNT(vals), &changed, e) < 0)
        return -1;
    return changed == 1 ? 0 : err_set(e, ERR_CONFLICT, "it was answered already");
}

int store_request_get(struct store *s, const struct store_key *key, struct arena *a, struct store_request *out,
                      struct err *e)
{
    struct day_uid  uid = day_uid_text(&key->uid);
    struct db_rows *rows;
    int             rc = row_first(s->log, get_sql, (struct db_val[]){dbv_str(uid.text), dbv_i64(key->n)}, 2, &rows, e);

    if (rc <= 0)
        return rc;
    rc = read_request(rows, out);
    out->who = arena_dup(a, out->who);
    out->why = arena_dup(a, out->why);
    out->answer = arena_dup(a, out->answer);
    out->answered_by = arena_dup(a, out->answered_by);
    db_rows_free(&rows);
    return rc < 0 ? err_set(e, ERR_CORRUPT, "the request for %s cannot be read", uid.text) : 1;
}

struct request_list {
    store_request_fn fn;
    void            *ctx;
};

static int each_request(void *arg, struct db_rows *rows)
{
    struct request_list *l = arg;
    struct store_request r;

    return read_request(rows, &r) < 0 ? 0 : l->fn(l->ctx, &r);
}

int store_request_list(struct store *s, struct uuid domain, enum request_state state, const struct store_key *after,
                       size_t limit, store_request_fn fn, void *ctx, struct err *e)
{
    struct request_list l = {fn, ctx};
    struct day_uid      uid = day_uid_text(after != NULL ? &after->uid : &uuid_zero);
    const struct db_val vals[] = {dbv_uuid(&domain), dbv_word(request_state_words, (int)state), dbv_str(uid.text),
                                  dbv_i64(after != NULL ? after->n : 0), dbv_i64((int64_t)page_limit(limit))};

    return row_each(s->log, list_sql, vals, COUNT(vals), each_request, &l, e) < 0 ? -1 : 0;
}

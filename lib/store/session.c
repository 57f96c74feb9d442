/* lib/store/session.c - see session.h. */
#include "store/session.h"

#include <stdio.h>

#include "base/secret.h"
#include "store/audit.h"
#include "store/row.h"

#define USE_STEP_US (60 * INT64_C(1000000))

#define COLUMNS                                                                                                        \
    "x.id, x.account_id, x.methods, COALESCE(x.acting_for, ''), x.device, x.ip, x.elevated_until_us, x.created_us,"    \
    " x.last_used_us, x.expires_us"
static const char begin_sql[] = "INSERT INTO session (id, token_sha256, account_id, methods, elevated_until_us,"
                                " acting_for, device, ip, created_us, last_used_us, expires_us)"
                                " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10)";
static const char find_sql[] = "SELECT " COLUMNS " FROM session x JOIN account a ON a.id = x.account_id"
                               " WHERE x.token_sha256 = $1 AND x.expires_us > $2 AND x.last_used_us > $3"
                               " AND a.state = 'active'";
static const char use_sql[] = "UPDATE session SET last_used_us = $2 WHERE id = $1";
static const char elevate_sql[] = "UPDATE session SET token_sha256 = $2, elevated_until_us = $3, last_used_us = $4,"
                                  " methods = $5 WHERE id = $1";
static const char get_sql[] = "SELECT " COLUMNS " FROM session x WHERE x.id = $1";
static const char revoke_sql[] = "DELETE FROM session WHERE id = $1 AND account_id = $2";
static const char revoke_all_sql[] = "DELETE FROM session WHERE account_id = $1 AND id <> $2";
static const char revoke_unproven_sql[] =
    "DELETE FROM session WHERE account_id = $1 AND ' ' || methods || ' ' NOT LIKE '% password %'";
static const char list_sql[] = "SELECT " COLUMNS " FROM session x WHERE x.account_id = $1 AND x.expires_us > $2"
                               " AND x.last_used_us > $3 ORDER BY x.last_used_us DESC, x.id";
static const char holds_sql[] = "SELECT COUNT(*) FROM session x JOIN account a ON a.id = x.account_id"
                                " WHERE x.id = $1 AND x.expires_us > $2 AND x.last_used_us > $3 AND a.state = 'active'";
static const char count_sql[] = "SELECT COUNT(*) FROM session WHERE expires_us > $1 AND last_used_us > $2";
static const char trim_sql[] = "DELETE FROM session WHERE expires_us <= $1 OR last_used_us <= $2";

static void make_token(char text[SESSION_TOKEN_TEXT + 1], uint8_t hash[SESSION_HASH])
{
    secret_token(text);
    secret_hash(span_of(text), hash);
}

static void read_row(struct db_rows *r, struct store_session *out)
{
    out->id = col_uuid(r, 0);
    out->account = col_uuid(r, 1);
    col_str(r, 2, out->methods, sizeof out->methods);
    col_str(r, 3, out->acting_for, sizeof out->acting_for);
    col_str(r, 4, out->device, sizeof out->device);
    col_str(r, 5, out->ip, sizeof out->ip);
    out->elevated_until_us = db_i64(r, 6);
    out->created_us = db_i64(r, 7);
    out->last_used_us = db_i64(r, 8);
    out->expires_us = db_i64(r, 9);
}

/* What happened to a session, for who looks at the account's doings. */
static int note(struct store *s, const struct actor *by, const char *action, const struct store_session *x,
                struct err *e)
{
    struct buf payload;
    int        rc;

    buf_init(&payload, PAYLOAD_MAX);
    json_open(&payload, NULL, '{');
    json_add_uuid(&payload, "account", &x->account);
    json_add_str(&payload, "methods", x->methods);
    json_add_str(&payload, "device", x->device);
    json_add_str(&payload, "ip", x->ip);
    if (x->acting_for[0] != '\0')
        json_add_str(&payload, "acting_for", x->acting_for);
    json_close(&payload, '}');
    rc = store_audit_note(s, by, action, "session", &x->id, STORE_SCOPE_GLOBAL, buf_span(&payload), e);
    buf_fini(&payload);
    return rc;
}

int store_session_begin(struct store *s, const struct actor *by, const struct store_session *what, int64_t now_us,
                        struct uuid *id_out, char token_out[SESSION_TOKEN_TEXT + 1], struct err *e)
{
    struct store_session x = *what;
    uint8_t              hash[SESSION_HASH];
    bool                 mine;

    x.id = uuid7_make();
    make_token(token_out, hash);
    const struct db_val vals[] = {dbv_uuid(&x.id),
                                  dbv_bytes(hash, sizeof hash),
                                  dbv_uuid(&x.account),
                                  dbv_str(x.methods),
                                  dbv_i64(x.elevated_until_us),
                                  x.acting_for[0] != '\0' ? dbv_str(x.acting_for) : DBV_NULL,
                                  dbv_str(x.device),
                                  dbv_str(x.ip),
                                  dbv_i64(now_us),
                                  dbv_i64(x.expires_us != 0 ? x.expires_us : now_us + SESSION_US)};
    if (row_begin(s, &mine, e) < 0)
        return -1;
    int rc = db_run(s->main, begin_sql, vals, COUNT(vals), NULL, e);
    if (rc == 0)
        rc = note(s, by, "session.begin", &x, e);
    *id_out = x.id;
    return row_end(s, mine, rc, e);
}

int store_session_find(struct store *s, struct span token, int64_t now_us, struct store_session *out,
                       struct store_account *account_out, struct err *e)
{
    uint8_t         hash[SESSION_HASH];
    struct db_rows *r = NULL;
    int             rc;

    if (token.n != SESSION_TOKEN_TEXT)
        return err_set(e, ERR_NOT_FOUND, "there is no such session");
    secret_hash(token, hash);
    const struct db_val vals[] = {dbv_bytes(hash, sizeof hash), dbv_i64(now_us), dbv_i64(now_us - SESSION_IDLE_US)};
    if ((rc = row_first(s->main, find_sql, vals, COUNT(vals), &r, e)) <= 0)
        return no_such(rc, e, "session");
    read_row(r, out);
    db_rows_free(&r);
    if (now_us - out->last_used_us > USE_STEP_US) {
        const struct db_val use[] = {dbv_uuid(&out->id), dbv_i64(now_us)};

        if (db_run(s->main, use_sql, use, COUNT(use), NULL, e) < 0)
            return -1;
        out->last_used_us = now_us;
    }
    return store_account_get(s, out->account, account_out, e);
}

static int get(struct store *s, const struct uuid *id, struct store_session *out, struct err *e)
{
    const struct db_val vals[] = {dbv_uuid(id)};
    struct db_rows     *r = NULL;
    int                 rc = row_first(s->main, get_sql, vals, COUNT(vals), &r, e);

    if (rc <= 0)
        return no_such(rc, e, "session");
    read_row(r, out);
    db_rows_free(&r);
    return 0;
}

static void add_method(struct store_session *x, const char *method)
{
    struct span rest = span_of(x->methods), word;
    size_t      n = strlen(x->methods);

    while (span_next(&rest, ' ', &word))
        if (span_is(word, method))
            return;
    snprintf(x->methods + n, sizeof x->methods - n, " %s", method);
}

int store_session_elevate(struct store *s, const struct actor *by, struct uuid id, const char *method, int64_t now_us,
                          char token_out[SESSION_TOKEN_TEXT + 1], struct err *e)
{
    struct store_session x;
    uint8_t              hash[SESSION_HASH];
    bool                 mine;
    int                  rc;

    make_token(token_out, hash);
    if (row_begin(s, &mine, e) < 0)
        return -1;
    if ((rc = get(s, &id, &x, e)) == 0) {
        add_method(&x, method);
        const struct db_val vals[] = {dbv_uuid(&id), dbv_bytes(hash, sizeof hash),
                                      dbv_i64(now_us + SESSION_ELEVATED_US), dbv_i64(now_us), dbv_str(x.methods)};
        rc = row_change_one(s, elevate_sql, vals, COUNT(vals), "session", e);
    }
    if (rc == 0)
        rc = note(s, by, "session.elevate", &x, e);
    return row_end(s, mine, rc, e);
}

int store_session_revoke(struct store *s, const struct actor *by, struct uuid account, struct uuid id, struct err *e)
{
    const struct db_val  vals[] = {dbv_uuid(&id), dbv_uuid(&account)};
    struct store_session x;
    bool                 mine;
    int                  rc;

    if (row_begin(s, &mine, e) < 0)
        return -1;
    rc = get(s, &id, &x, e) < 0 || row_change_one(s, revoke_sql, vals, COUNT(vals), "session", e) < 0 ? -1 : 0;
    if (rc == 0)
        rc = note(s, by, "session.end", &x, e);
    return row_end(s, mine, rc, e);
}

int store_session_revoke_all(struct store *s, const struct actor *by, struct uuid account, const struct uuid *keep,
                             int64_t *count_out, struct err *e)
{
    const struct db_val  vals[] = {dbv_uuid(&account), dbv_uuid(keep != NULL ? keep : &uuid_zero)};
    struct store_session x = {.account = account, .id = account};
    bool                 mine;
    int                  rc;

    if (row_begin(s, &mine, e) < 0)
        return -1;
    rc = db_run(s->main, revoke_all_sql, vals, COUNT(vals), count_out, e);
    if (rc == 0)
        rc = note(s, by, "session.end_all", &x, e);
    return row_end(s, mine, rc, e);
}

int store_session_revoke_unproven(struct store *s, const struct actor *by, struct uuid account, struct err *e)
{
    const struct db_val        vals[] = {dbv_uuid(&account)};
    const struct store_session x = {.account = account, .id = account};
    int64_t                    n = 0;

    if (db_run(s->main, revoke_unproven_sql, vals, COUNT(vals), &n, e) < 0)
        return -1;
    return n > 0 ? note(s, by, "session.end_all", &x, e) : 0;
}

struct listing {
    store_session_fn fn;
    void            *ctx;
};

static int list_row(void *ctx, struct db_rows *r)
{
    struct listing      *l = ctx;
    struct store_session x;

    read_row(r, &x);
    return l->fn(l->ctx, &x);
}

int store_session_list(struct store *s, struct uuid account, int64_t now_us, store_session_fn fn, void *ctx,
                       struct err *e)
{
    const struct db_val vals[] = {dbv_uuid(&account), dbv_i64(now_us), dbv_i64(now_us - SESSION_IDLE_US)};
    struct listing      l = {fn, ctx};

    return row_each(s->main, list_sql, vals, COUNT(vals), list_row, &l, e);
}

int store_session_holds(struct store *s, struct uuid id, int64_t now_us, bool *out, struct err *e)
{
    const struct db_val vals[] = {dbv_uuid(&id), dbv_i64(now_us), dbv_i64(now_us - SESSION_IDLE_US)};
    int64_t             n = 0;
    int                 rc = row_i64(s->main, holds_sql, vals, COUNT(vals), &n, e);

    *out = n > 0;
    return rc < 0 ? -1 : 0;
}

int store_session_count(struct store *s, int64_t now_us, int64_t *out, struct err *e)
{
    const struct db_val vals[] = {dbv_i64(now_us), dbv_i64(now_us - SESSION_IDLE_US)};

    *out = 0;
    return row_i64(s->main, count_sql, vals, COUNT(vals), out, e) < 0 ? -1 : 0;
}

int store_session_trim(struct store *s, int64_t now_us, struct err *e)
{
    const struct db_val vals[] = {dbv_i64(now_us), dbv_i64(now_us - SESSION_IDLE_US)};

    return db_run(s->main, trim_sql, vals, COUNT(vals), NULL, e);
}

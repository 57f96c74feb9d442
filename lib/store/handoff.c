/* lib/store/handoff.c - see handoff.h. */
#include "store/handoff.h"

#include "base/secret.h"
#include "store/audit.h"
#include "store/row.h"

#define KEPT_US (3600 * INT64_C(1000000))

static const char nonce_sql[] =
    "INSERT INTO handoff_nonce (nonce_sha256, browser_sha256, expires_us) VALUES ($1, $2, $3)";
static const char nonce_of_sql[] = "SELECT browser_sha256 FROM handoff_nonce WHERE nonce_sha256 = $1";
static const char nonce_use_sql[] = "UPDATE handoff_nonce SET used_us = $2"
                                    " WHERE nonce_sha256 = $1 AND used_us IS NULL AND expires_us > $2";
static const char add_sql[] =
    "INSERT INTO handoff (id, token_sha256, audience, browser_sha256, api_key_id, account_id, domain_id,"
    " staff_name, created_us, expires_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
static const char look_sql[] =
    "SELECT h.id, h.api_key_id, h.account_id, h.domain_id, COALESCE(h.staff_name, ''), h.expires_us, h.browser_sha256"
    " FROM handoff h JOIN api_key k ON k.id = h.api_key_id JOIN account a ON a.id = h.account_id"
    " WHERE h.token_sha256 = $1 AND h.audience = $2 AND h.used_us IS NULL AND h.expires_us > $3"
    " AND k.revoked_us IS NULL AND (k.expires_us IS NULL OR k.expires_us > $3) AND a.state = 'active' AND a.is_admin = "
    "0";
static const char use_sql[] = "UPDATE handoff SET used_us = $2 WHERE id = $1 AND used_us IS NULL";
static const char trim_nonce_sql[] = "DELETE FROM handoff_nonce WHERE expires_us < $1";
static const char trim_sql[] = "DELETE FROM handoff WHERE expires_us < $1";

struct digest {
    uint8_t b[SECRET_HASH];
};

static struct digest digest_of(struct span text)
{
    struct digest d = {{0}};

    secret_hash(text, d.b);
    return d;
}

static struct db_val dbv_digest(const struct digest *d) { return dbv_bytes(d->b, sizeof d->b); }

int store_handoff_nonce(struct store *s, struct span browser, int64_t now_us, char nonce_out[HANDOFF_TOKEN_TEXT + 1],
                        struct err *e)
{
    secret_token(nonce_out);
    struct digest       nonce = digest_of(span_of(nonce_out)), own = digest_of(browser);
    const struct db_val vals[] = {dbv_digest(&nonce), dbv_digest(&own), dbv_i64(now_us + HANDOFF_NONCE_US)};

    return db_run(s->main, nonce_sql, vals, COUNT(vals), NULL, e);
}

/* Takes it: the update decides between two who bring the same. */
static int take_nonce(struct store *s, struct span nonce, int64_t now_us, struct digest *browser_out, struct err *e)
{
    struct digest       d = digest_of(nonce);
    const struct db_val vals[] = {dbv_digest(&d), dbv_i64(now_us)};
    struct db_rows     *r = NULL;
    int64_t             changed = 0;

    if (db_run(s->main, nonce_use_sql, vals, 2, &changed, e) < 0)
        return -1;
    if (changed != 1)
        return err_set(e, ERR_INVALID, "This nonce was used, is older than five minutes, or is none of this portal.");
    if (row_first(s->main, nonce_of_sql, vals, 1, &r, e) <= 0)
        return -1;
    memcpy(browser_out->b, db_text(r, 0).p, sizeof browser_out->b);
    db_rows_free(&r);
    return 0;
}

static int note_add(struct store *s, const struct actor *by, const struct store_handoff *x, struct err *e)
{
    struct store_scope scope = {SCOPE_DOMAIN, x->domain};
    struct buf         payload;
    int                rc;

    buf_init(&payload, PAYLOAD_MAX);
    json_open(&payload, NULL, '{');
    json_add_uuid(&payload, "account", &x->account);
    json_add_str(&payload, "kind", x->staff_name[0] != '\0' ? "staff" : "self");
    if (x->staff_name[0] != '\0')
        json_add_str(&payload, "staff_name", x->staff_name);
    json_close(&payload, '}');
    rc = store_audit_note(s, by, "handoff.add", "handoff", &x->id, scope, buf_span(&payload), e);
    buf_fini(&payload);
    return rc;
}

static int add(struct store *s, const struct actor *by, struct store_handoff *x, struct span audience,
               struct span nonce, int64_t now_us, struct span token, struct err *e)
{
    struct digest d = digest_of(token), browser;

    if (nonce.n > 0 && take_nonce(s, nonce, now_us, &browser, e) < 0)
        return -1;
    const struct db_val vals[] = {dbv_uuid(&x->id),     dbv_digest(&d),
                                  dbv_text(audience),   nonce.n > 0 ? dbv_digest(&browser) : DBV_NULL,
                                  dbv_uuid(&x->key),    dbv_uuid(&x->account),
                                  dbv_uuid(&x->domain), x->staff_name[0] != '\0' ? dbv_str(x->staff_name) : DBV_NULL,
                                  dbv_i64(now_us),      dbv_i64(now_us + HANDOFF_US)};
    if (db_run(s->main, add_sql, vals, COUNT(vals), NULL, e) < 0)
        return -1;
    return note_add(s, by, x, e);
}

int store_handoff_add(struct store *s, const struct actor *by, const struct store_handoff *what, struct span audience,
                      struct span nonce, int64_t now_us, char token_out[HANDOFF_TOKEN_TEXT + 1], struct err *e)
{
    struct store_handoff x = *what;
    bool                 mine;

    x.id = uuid7_make();
    secret_token(token_out);
    if (row_begin(s, &mine, e) < 0)
        return -1;
    return row_end(s, mine, add(s, by, &x, audience, nonce, now_us, span_of(token_out), e), e);
}

static int none(struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "This hand-off was used already, or is older than a minute.");
}

int store_handoff_look(struct store *s, struct span token, struct span audience, struct span browser, int64_t now_us,
                       struct store_handoff *out, struct store_account *account_out, struct err *e)
{
    struct digest       d = digest_of(token), own = digest_of(browser);
    const struct db_val vals[] = {dbv_digest(&d), dbv_text(audience), dbv_i64(now_us)};
    struct db_rows     *r = NULL;
    int                 rc = token.n > 0 ? row_first(s->main, look_sql, vals, COUNT(vals), &r, e) : 0;
    bool                bound;

    if (rc <= 0)
        return rc < 0 ? -1 : none(e);
    out->id = col_uuid(r, 0);
    out->key = col_uuid(r, 1);
    out->account = col_uuid(r, 2);
    out->domain = col_uuid(r, 3);
    col_str(r, 4, out->staff_name, sizeof out->staff_name);
    out->expires_us = db_i64(r, 5);
    bound = !db_is_null(r, 6);
    out->same_browser = bound && browser.n > 0 && secret_eq(db_text(r, 6), span_make(own.b, sizeof own.b));
    db_rows_free(&r);
    if (bound && !out->same_browser)
        return err_set(e, ERR_DENIED, "This hand-off belongs to another browser.");
    return store_account_get(s, out->account, account_out, e);
}

int store_handoff_use(struct store *s, struct span token, struct span audience, struct span browser, int64_t now_us,
                      struct store_handoff *out, struct store_account *account_out, struct err *e)
{
    int64_t changed = 0;

    if (store_handoff_look(s, token, audience, browser, now_us, out, account_out, e) < 0)
        return -1;
    const struct db_val vals[] = {dbv_uuid(&out->id), dbv_i64(now_us)};
    if (db_run(s->main, use_sql, vals, COUNT(vals), &changed, e) < 0)
        return -1;
    return changed == 1 ? 0 : none(e);
}

int store_handoff_trim(struct store *s, int64_t now_us, struct err *e)
{
    const struct db_val vals[] = {dbv_i64(now_us - KEPT_US)};

    return db_run(s->main, trim_nonce_sql, vals, COUNT(vals), NULL, e) < 0
               ? -1
               : db_run(s->main, trim_sql, vals, COUNT(vals), NULL, e);
}

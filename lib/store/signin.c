/* lib/store/signin.c - see signin.h. */
#include "store/signin.h"

#include <stdio.h>

#include "base/secret.h"
#include "store/address.h"
#include "store/enrol.h"
#include "store/mailbox.h"
#include "store/row.h"
#include "store/setting.h"

#define COLUMNS "id, login, known, device, ip, created_us, expires_us"
#define OPEN "used_us IS NULL AND known = 1 AND expires_us > $2 AND wrong < 5"
static const char burn_sql[] = "UPDATE signin SET used_us = $2 WHERE login = $1 AND used_us IS NULL AND ip = $3";
static const char burn_all_sql[] = "UPDATE signin SET used_us = $2 WHERE login = $1 AND used_us IS NULL";
static const char ask_sql[] = "INSERT INTO signin (id, login, known, token_sha256, browser_sha256, device, ip,"
                              " created_us, expires_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
static const char look_sql[] = "SELECT " COLUMNS ", browser_sha256 FROM signin WHERE token_sha256 = $1 AND " OPEN;
static const char use_sql[] = "UPDATE signin SET used_us = $2 WHERE id = $1 AND " OPEN;
static const char code_sql[] = "UPDATE signin SET code_sha256 = $3 WHERE token_sha256 = $1 AND " OPEN;
/* A try counts before it is looked at: however many come at once, no more than five are. */
static const char try_sql[] = "UPDATE signin SET wrong = wrong + 1 WHERE id = (SELECT id FROM signin WHERE"
                              " browser_sha256 = $1 AND " OPEN " ORDER BY created_us DESC LIMIT 1) AND " OPEN
                              " RETURNING " COLUMNS ", code_sha256, wrong";
static const char right_sql[] = "UPDATE signin SET used_us = $2 WHERE id = $1 AND used_us IS NULL";
static const char trim_sql[] = "DELETE FROM signin WHERE expires_us < $1";

_Static_assert(SIGNIN_WRONG_MAX == 5, "OPEN says the same");

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

/* Six digits are soon tried out by who has the row; so they are bound to the browser's token, which is not in it. */
static struct digest code_digest(struct span browser_digest, struct span code)
{
    const struct span parts[] = {browser_digest, code};
    struct digest     d = {{0}};

    secret_hash_parts(parts, COUNT(parts), d.b);
    return d;
}

static void read_row(struct db_rows *r, struct store_signin *out)
{
    out->id = col_uuid(r, 0);
    col_str(r, 1, out->login, sizeof out->login);
    out->known = db_i64(r, 2) != 0;
    col_str(r, 3, out->device, sizeof out->device);
    col_str(r, 4, out->ip, sizeof out->ip);
    out->created_us = db_i64(r, 5);
    out->expires_us = db_i64(r, 6);
}

int store_signin_ask(struct store *s, const struct store_signin *ask, struct span browser, int64_t now_us,
                     char token_out[SIGNIN_TOKEN_TEXT + 1], struct err *e)
{
    struct uuid id = uuid7_make();
    bool        mine;

    secret_token(token_out);
    struct digest       token = digest_of(span_of(token_out)), own = digest_of(browser);
    const struct db_val burn[] = {dbv_str(ask->login), dbv_i64(now_us), dbv_str(ask->ip)};
    const struct db_val vals[] = {dbv_uuid(&id),      dbv_str(ask->login), dbv_bool(ask->known),
                                  dbv_digest(&token), dbv_digest(&own),    dbv_str(ask->device),
                                  dbv_str(ask->ip),   dbv_i64(now_us),     dbv_i64(now_us + SIGNIN_US)};
    if (row_begin(s, &mine, e) < 0)
        return -1;
    int rc = db_run(s->main, burn_sql, burn, COUNT(burn), NULL, e);
    if (rc == 0)
        rc = db_run(s->main, ask_sql, vals, COUNT(vals), NULL, e);
    return row_end(s, mine, rc, e);
}

static int none(struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "This sign-in link was used already, or is older than 10 minutes.");
}

int store_signin_look(struct store *s, struct span token, struct span browser, int64_t now_us, bool *same_out,
                      struct store_signin *out, struct err *e)
{
    struct digest       d = digest_of(token), own = digest_of(browser), any = digest_of(SPAN_NONE);
    const struct db_val vals[] = {dbv_digest(&d), dbv_i64(now_us)};
    struct db_rows     *r = NULL;
    int                 rc = row_first(s->main, look_sql, vals, COUNT(vals), &r, e);

    if (rc <= 0)
        return rc < 0 ? -1 : none(e);
    read_row(r, out);
    out->by_operator = secret_eq(db_text(r, 7), span_make(any.b, sizeof any.b));
    *same_out = out->by_operator || secret_eq(db_text(r, 7), span_make(own.b, sizeof own.b));
    db_rows_free(&r);
    return 0;
}

/* One of two who come at the same time: the update decides. */
static int use(struct store *s, const char *sql, const struct store_signin *x, int64_t now_us, struct err *e)
{
    const struct db_val vals[] = {dbv_uuid(&x->id), dbv_i64(now_us)}, all[] = {dbv_str(x->login), dbv_i64(now_us)};
    int64_t             changed = 0;

    if (db_run(s->main, sql, vals, COUNT(vals), &changed, e) < 0)
        return -1;
    return changed == 1 ? db_run(s->main, burn_all_sql, all, COUNT(all), NULL, e) : none(e);
}

int store_signin_use(struct store *s, struct span token, struct span browser, int64_t now_us, struct store_signin *out,
                     struct err *e)
{
    bool same;

    if (store_signin_look(s, token, browser, now_us, &same, out, e) < 0)
        return -1;
    if (!same)
        return err_set(e, ERR_DENIED, "The link was asked for in another browser: type the code there.");
    return use(s, use_sql, out, now_us, e);
}

int store_signin_code(struct store *s, struct span token, int64_t now_us, char code_out[SIGNIN_CODE_TEXT + 1],
                      struct err *e)
{
    struct digest   d = digest_of(token);
    struct db_val   vals[] = {dbv_digest(&d), dbv_i64(now_us), DBV_NULL};
    struct db_rows *r = NULL;
    int             rc = row_first(s->main, look_sql, vals, 2, &r, e);

    if (rc <= 0)
        return rc < 0 ? -1 : none(e);
    snprintf(code_out, SIGNIN_CODE_TEXT + 1, "%06u", (unsigned)secret_below(1000000));
    struct digest code = code_digest(db_text(r, 7), span_of(code_out));
    db_rows_free(&r);
    vals[2] = dbv_digest(&code);
    return db_run(s->main, code_sql, vals, COUNT(vals), NULL, e);
}

int store_signin_type(struct store *s, struct span browser, struct span code, int64_t now_us, int64_t *left_out,
                      struct store_signin *out, struct err *e)
{
    struct digest       own = digest_of(browser), typed = code_digest(span_make(own.b, sizeof own.b), code);
    const struct db_val vals[] = {dbv_digest(&own), dbv_i64(now_us)};
    struct db_rows     *r = NULL;
    int                 rc = row_first(s->main, try_sql, vals, COUNT(vals), &r, e);

    if (rc <= 0)
        return rc < 0 ? -1 : none(e);
    read_row(r, out);
    out->by_operator = false;
    bool right = secret_eq(db_text(r, 7), span_make(typed.b, sizeof typed.b));
    *left_out = SIGNIN_WRONG_MAX - db_i64(r, 8);
    db_rows_free(&r);
    return right ? use(s, right_sql, out, now_us, e) : err_set(e, ERR_DENIED, "That is not the code.");
}

int store_signin_trim(struct store *s, int64_t now_us, struct err *e)
{
    const struct db_val vals[] = {dbv_i64(now_us - 86400 * INT64_C(1000000))};

    return db_run(s->main, trim_sql, vals, COUNT(vals), NULL, e);
}

/* ---- who ---- */

static int may_enrol(struct store *s, const struct uuid *domain, bool *out, struct err *e)
{
    struct store_setting holds;

    if (store_setting_holds(s, domain, &holds, e) < 0)
        return -1;
    *out = holds.enrol != ENROL_CLOSED;
    return 0;
}

static int nobody(struct err *e) { return err_set(e, ERR_NOT_FOUND, "Nobody can sign in with this address."); }

/* The mailbox of that very address; out->has_mailbox false: there is none. */
static int own_mailbox(struct store *s, struct span login, struct store_signin_who *out, bool *enrols, struct err *e)
{
    struct store_mailbox m;

    *enrols = false;
    if (store_mailbox_find(s, login, &m, e) < 0) {
        if (e->code != ERR_NOT_FOUND)
            return -1;
        *e = ERR_INIT;
        return 0;
    }
    out->has_mailbox = m.enabled;
    out->mailbox = m.id;
    if (m.has_account) { /* somebody's already, who signs in under another name or was disabled */
        *enrols = false;
        return 0;
    }
    return m.enabled ? may_enrol(s, &m.domain, enrols, e) : 0;
}

/* An address of ours that is no mailbox cannot receive a link for one person alone. */
static int is_shared(struct store *s, struct span login, bool *out, struct err *e)
{
    struct store_resolved to;

    if (store_resolve(s, login, &to, e) < 0)
        return -1;
    *out = to.ours && !(to.has_mailbox && span_is_ci(login, to.mailbox_address));
    return 0;
}

int store_signin_who(struct store *s, struct span login, struct store_signin_who *out, struct err *e)
{
    bool enrols, shared;

    *out = (struct store_signin_who){0};
    if (is_shared(s, login, &shared, e) < 0 || own_mailbox(s, login, out, &enrols, e) < 0)
        return -1;
    if (store_account_find(s, login, &out->account, e) == 0) {
        out->has_account = true;
        return out->account.active && !shared ? 0 : nobody(e);
    }
    if (e->code != ERR_NOT_FOUND)
        return -1;
    *e = ERR_INIT;
    if (enrols && !shared)
        return 0;
    if (!out->has_mailbox && store_enrol_delivered(s, login, clock_wall_us(), &out->domain, &out->delivered, e) < 0)
        return -1;
    return out->delivered ? 0 : nobody(e);
}

static int add_account(struct store *s, const struct actor *by, struct span login, struct store_signin_who *who,
                       struct err *e)
{
    struct store_account a = {.active = true};

    snprintf(a.login, sizeof a.login, "%.*s", SPAN_ARG(login));
    if (store_account_add(s, by, &a, &a.id, e) < 0 || store_account_get(s, a.id, &who->account, e) < 0)
        return -1;
    who->has_account = true;
    return 0;
}

static int add_mailbox(struct store *s, const struct actor *by, struct span login, struct store_signin_who *who,
                       struct err *e)
{
    struct span local = span_head(login, span_rchr(login, '@'));

    if (store_mailbox_add(s, by, who->domain, local, NULL, &who->mailbox, e) < 0)
        return -1;
    who->delivered = false;
    who->has_mailbox = true;
    return 0;
}

static int tie_mailbox(struct store *s, const struct actor *by, struct store_signin_who *who, struct err *e)
{
    struct store_mailbox m;

    if (store_mailbox_get(s, who->mailbox, &m, e) < 0)
        return -1;
    if (m.has_account)
        return 0;
    m.has_account = true;
    m.account = who->account.id;
    return store_mailbox_set(s, by, &m, e);
}

int store_signin_enrol(struct store *s, const struct actor *by, struct span login, struct store_signin_who *who,
                       struct err *e)
{
    bool mine;
    int  rc;

    if (row_begin(s, &mine, e) < 0)
        return -1;
    rc = who->has_account ? 0 : add_account(s, by, login, who, e);
    if (rc == 0 && who->delivered)
        rc = add_mailbox(s, by, login, who, e);
    if (rc == 0 && who->has_mailbox)
        rc = tie_mailbox(s, by, who, e);
    return row_end(s, mine, rc, e);
}

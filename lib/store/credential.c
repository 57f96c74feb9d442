/* lib/store/credential.c - passwords. */
#include "store/credential.h"

#include <sodium.h>

#include "store/audit.h"
#include "store/row.h"

static const char clear_sql[] = "DELETE FROM credential WHERE account_id = $1 AND kind = 'password'";
static const char insert_sql[] =
    "INSERT INTO credential (id, account_id, kind, data, created_us) VALUES ($1, $2, 'password', $3, $4)";
static const char get_sql[] = "SELECT data FROM credential WHERE account_id = $1 AND kind = 'password'";

/* What a password is checked against when there is none: the answer shall take its time all the same. The
 * parameters are those of crypto_pwhash_OPSLIMIT_INTERACTIVE and MEMLIMIT_INTERACTIVE. */
static const char nobody_hash[] =
    "$argon2id$v=19$m=65536,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

static int hash_password(struct span password, char out[crypto_pwhash_STRBYTES], struct err *e)
{
    if (sodium_init() < 0)
        return err_set(e, ERR_IO, "libsodium cannot start");
    if (password.n < PASSWORD_LENGTH_MIN || password.n > PASSWORD_LENGTH_MAX)
        return err_set(e, ERR_INVALID, "a password has %d to %d bytes", PASSWORD_LENGTH_MIN, PASSWORD_LENGTH_MAX);
    if (crypto_pwhash_str(out, password.p, password.n, crypto_pwhash_OPSLIMIT_INTERACTIVE,
                          crypto_pwhash_MEMLIMIT_INTERACTIVE) != 0)
        return err_set(e, ERR_LIMIT, "not enough memory to hash a password");
    return 0;
}

static int set_in(struct store *s, const struct actor *by, struct uuid account, const char *hash, struct err *e)
{
    struct uuid id = uuid7_make();

    if (db_run(s->main, clear_sql, (struct db_val[]){dbv_uuid(&account)}, 1, NULL, e) < 0)
        return -1;
    if (db_run(s->main, insert_sql,
               (struct db_val[]){dbv_uuid(&id), dbv_uuid(&account), dbv_blob(span_of(hash)), dbv_i64(clock_wall_us())},
               4, NULL, e) < 0)
        return e != NULL && e->code == ERR_INVALID ? err_set(e, ERR_NOT_FOUND, "there is no such account") : -1;
    return store_audit_note(s, by, "password.set", "account", &account, STORE_SCOPE_GLOBAL, SPAN_NONE, e);
}

int store_password_set(struct store *s, const struct actor *by, struct uuid account, struct span password,
                       struct err *e)
{
    char hash[crypto_pwhash_STRBYTES];
    bool own;

    if (hash_password(password, hash, e) < 0 || row_begin(s, &own, e) < 0)
        return -1;
    return row_end(s, own, set_in(s, by, account, hash, e), e);
}

static int clear_in(struct store *s, const struct actor *by, struct uuid account, struct err *e)
{
    if (row_change_one(s, clear_sql, (struct db_val[]){dbv_uuid(&account)}, 1, "password", e) < 0)
        return -1;
    return store_audit_note(s, by, "password.clear", "account", &account, STORE_SCOPE_GLOBAL, SPAN_NONE, e);
}

int store_password_clear(struct store *s, const struct actor *by, struct uuid account, struct err *e)
{
    bool own;

    if (row_begin(s, &own, e) < 0)
        return -1;
    return row_end(s, own, clear_in(s, by, account, e), e);
}

int store_password_there(struct store *s, struct uuid account, bool *out, struct err *e)
{
    struct db_rows *r;
    int             rc = row_first(s->main, get_sql, (struct db_val[]){dbv_uuid(&account)}, 1, &r, e);

    *out = rc > 0;
    if (rc > 0)
        db_rows_free(&r);
    return rc < 0 ? -1 : 0;
}

int store_password_check(struct store *s, struct uuid account, struct span password, struct err *e)
{
    char            hash[crypto_pwhash_STRBYTES] = "";
    struct db_rows *r;
    bool            right;
    int             rc;

    if (sodium_init() < 0)
        return err_set(e, ERR_IO, "libsodium cannot start");
    if ((rc = row_first(s->main, get_sql, (struct db_val[]){dbv_uuid(&account)}, 1, &r, e)) < 0)
        return -1;
    if (rc > 0) {
        col_str(r, 0, hash, sizeof hash);
        db_rows_free(&r);
    }
    if (password.n > PASSWORD_LENGTH_MAX)
        return 0;
    right = crypto_pwhash_str_verify(rc > 0 ? hash : nobody_hash, password.p ? password.p : "", password.n) == 0;
    return rc > 0 && right;
}

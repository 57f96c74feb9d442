/* lib/store/lookup.c - see lookup.h. */
#include "store/lookup_inside.h"

#include <stdio.h>
#include <stdlib.h>

#include "store/sending.h"

#define LOOKUP_VERSION 2 /* of the files */

const char *const lookup_words[] = {"spamassassin", "postfix", NULL};

/* ---- The files ---------------------------------------------------------------------------------------------------- */

static const char spamassassin_schema[] =
    "CREATE TABLE spamassassin_head (one SMALLINT PRIMARY KEY CHECK (one = 1), seq BIGINT NOT NULL);"
    "INSERT INTO spamassassin_head (one, seq) VALUES (1, -1);"
    "CREATE TABLE spamassassin_row (scope TEXT NOT NULL, username TEXT NOT NULL, preference TEXT NOT NULL,"
    " value TEXT NOT NULL, prio BIGINT NOT NULL, until_us BIGINT NOT NULL);"
    "CREATE INDEX spamassassin_row_username ON spamassassin_row (username);"
    "CREATE INDEX spamassassin_row_scope ON spamassassin_row (scope);"
    "CREATE INDEX spamassassin_row_until ON spamassassin_row (until_us) WHERE until_us > 0;"
    "CREATE TABLE spamassassin_alias (scope TEXT NOT NULL, alias TEXT NOT NULL, username TEXT NOT NULL);"
    "CREATE INDEX spamassassin_alias_alias ON spamassassin_alias (alias);"
    "CREATE INDEX spamassassin_alias_scope ON spamassassin_alias (scope);"
    "CREATE VIEW spamassassin_userpref AS SELECT username, preference, value, prio FROM spamassassin_row UNION ALL"
    " SELECT a.alias, r.preference, r.value, r.prio FROM spamassassin_alias a"
    " JOIN spamassassin_row r ON r.username = a.username;"
    "CREATE VIEW spamassassin_known AS SELECT alias AS address FROM spamassassin_alias;";
static const char postfix_schema[] =
    "CREATE TABLE postfix_row (login TEXT PRIMARY KEY, until_us BIGINT);"
    "CREATE VIEW postfix_blocked_sender AS"
    " SELECT login, 'REJECT 5.7.1 Sending from this account is suspended' AS action FROM postfix_row"
    " WHERE until_us IS NULL OR until_us > CAST(strftime('%s', 'now') AS INTEGER) * 1000000;";

static const char version_sql[] = "PRAGMA user_version";
static const char mark_sql[] = "PRAGMA user_version = 2";
_Static_assert(LOOKUP_VERSION == 2, "mark_sql says it too");

static const char count_sql[] =
    "SELECT (SELECT COUNT(*) FROM spamassassin_row) + (SELECT COUNT(*) FROM spamassassin_alias)";

static const char drop_blocked_sql[] = "DELETE FROM postfix_row";
static const char put_blocked_sql[] = "INSERT INTO postfix_row (login, until_us) VALUES ($1, $2)";
static const char count_blocked_sql[] = "SELECT COUNT(*) FROM postfix_row";

static int make_schema(struct store_lookup *l, struct err *e)
{
    const char *schema = l->kind == LOOKUP_SPAMASSASSIN ? spamassassin_schema : postfix_schema;

    if (db_begin(l->db, e) < 0)
        return -1;
    if (db_script(l->db, schema, e) == 0 && db_script(l->db, mark_sql, e) == 0 && db_commit(l->db, e) == 0)
        return 0;
    db_rollback(l->db);
    return -1;
}

/* A file can be made again at any time, so a crash of the machine may cost its last moments. */
static int open_file(struct store_lookup *l, const char *path, struct err *e)
{
    struct span url;
    char        room[4200];
    int64_t     version = 0;

    url = span_make(room, (size_t)snprintf(room, sizeof room, "sqlite:%s", path));
    if (url.n >= sizeof room)
        return err_set(e, ERR_INVALID, "the path of a look-up file is too long");
    if (db_open(room, DB_MAIN, false, &l->db, e) < 0 || db_keep_files(l->db, e) < 0 ||
        db_script(l->db, "PRAGMA synchronous = NORMAL", e) < 0 || row_i64(l->db, version_sql, NULL, 0, &version, e) < 0)
        return -1;
    if (version == 0)
        return make_schema(l, e);
    if (version != LOOKUP_VERSION)
        return err_set(e, ERR_CORRUPT, "%s was made by another release", path);
    return 0;
}

int store_lookup_open(const char *url, const char *path, enum lookup_kind kind, struct store_lookup **out,
                      struct err *e)
{
    struct store_lookup *l = calloc(1, sizeof *l);
    int                  rc;

    if (l == NULL)
        panic("out of memory");
    l->kind = kind;
    if (span_starts(span_of(url), SPAN("sqlite:"))) {
        rc = open_file(l, path, e);
    } else {
        l->view = kind == LOOKUP_POSTFIX;
        rc = db_open(url, DB_MAIN, false, &l->db, e);
    }
    if (rc < 0)
        store_lookup_close(&l);
    *out = l;
    return rc;
}

void store_lookup_close(struct store_lookup **l)
{
    if (*l == NULL)
        return;
    db_close(&(*l)->db);
    free(*l);
    *l = NULL;
}

/* ---- Postfix ------------------------------------------------------------------------------------------------------- */

struct blocked_page {
    struct store_lookup *l;
    struct err          *e;
    char                 last[SENDING_LOGIN_MAX + 1];
    size_t               n;
};

static int each_blocked(void *arg, const struct store_blocked *b)
{
    struct blocked_page *p = arg;
    struct db_val        vals[] = {dbv_text(b->login), b->until_us > 0 ? dbv_i64(b->until_us) : DBV_NULL};

    p->n++;
    snprintf(p->last, sizeof p->last, "%.*s", SPAN_ARG(b->login));
    return db_run(p->l->db, put_blocked_sql, vals, COUNT(vals), NULL, p->e);
}

static int fill_postfix(struct store_lookup *l, struct store *s, struct err *e)
{
    struct blocked_page p = {.l = l, .e = e};

    if (l->view)
        return 0;
    if (db_run(l->db, drop_blocked_sql, NULL, 0, NULL, e) < 0)
        return -1;
    do {
        p.n = 0;
        if (store_blocked_list(s, clock_wall_us(), span_of(p.last), LOOKUP_PAGE, each_blocked, &p, e) < 0)
            return -1;
    } while (p.n == LOOKUP_PAGE);
    return 0;
}

/* ---- What is asked of both ------------------------------------------------------------------------------------------- */

int store_lookup_fill(struct store_lookup *l, struct store *s, struct err *e)
{
    int rc;

    if (l->view)
        return 0;
    if (db_begin(l->db, e) < 0)
        return -1;
    rc = l->kind == LOOKUP_SPAMASSASSIN ? lookup_spamassassin_fill(l, s, e) : fill_postfix(l, s, e);
    if (rc == 0 && db_commit(l->db, e) == 0)
        return 0;
    db_rollback(l->db);
    return -1;
}

int store_lookup_change(struct store_lookup *l, struct store *s, const struct store_change *c, struct err *e)
{
    if (l->kind == LOOKUP_SPAMASSASSIN)
        return lookup_spamassassin_change(l, s, c, e);
    return c->kind == CHANGE_SENDER ? store_lookup_fill(l, s, e) : 0;
}

int store_lookup_rows(struct store_lookup *l, int64_t *out, struct err *e)
{
    *out = 0;
    if (l->view)
        return 0;
    return row_i64(l->db, l->kind == LOOKUP_SPAMASSASSIN ? count_sql : count_blocked_sql, NULL, 0, out, e) < 0 ? -1 : 0;
}

/* lib/store/store.c - opening the two databases together, and the words that tables share. */
#include "store/store.h"

#include <stdlib.h>

#include "db/migrate.h"
#include "store/kept.h"

const struct uuid uuid_zero = {{0}};
const char *const scope_kind_words[] = {"global", "domain", "mailbox", NULL};

static int open_part(const char *url, enum db_part part, enum store_open_how how, struct db **out, struct err *e)
{
    if (db_open(url, part, how == STORE_CREATE, out, e) < 0)
        return -1;
    if (how == STORE_CREATE && migrate_up(*out, part, e) < 0)
        return -1;
    return migrate_check(*out, part, e);
}

int store_open(const char *url, enum store_open_how how, struct store **out, struct err *e)
{
    struct store *s = calloc(1, sizeof *s);

    if (s == NULL)
        panic("out of memory");
    *out = NULL;
    if (open_part(url, DB_MAIN, how, &s->main, e) < 0 || open_part(url, DB_LOG, how, &s->log, e) < 0) {
        store_close(&s);
        return -1;
    }
    *out = s;
    return 0;
}

void store_close(struct store **s)
{
    if (*s == NULL)
        return;
    db_close(&(*s)->main);
    db_close(&(*s)->log);
    kept_texts_free(&(*s)->texts);
    free(*s);
    *s = NULL;
}

int store_ping(struct store *s, struct err *e)
{
    if (db_ping(s->main, e) < 0)
        return -1;
    return db_ping(s->log, e);
}

int  store_begin(struct store *s, struct err *e) { return db_begin(s->main, e); }
int  store_commit(struct store *s, struct err *e) { return db_commit(s->main, e); }
void store_rollback(struct store *s) { db_rollback(s->main); }

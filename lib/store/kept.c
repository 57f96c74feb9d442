/* lib/store/kept.c - statements about days of the log that stay prepared. */
#include "store/kept.h"

#include <stdlib.h>

#include "store/store.h"

struct kept_texts {
    char  *text[KEPT_TEXTS];
    size_t next;
};

const char *kept_text(struct store *s, struct span sql)
{
    struct kept_texts *t = s->texts;
    char             **to;

    if (t == NULL && (t = s->texts = calloc(1, sizeof *t)) == NULL)
        panic("out of memory");
    for (size_t i = 0; i < KEPT_TEXTS; i++)
        if (t->text[i] != NULL && span_is(sql, t->text[i]))
            return t->text[i];
    to = &t->text[t->next++ % KEPT_TEXTS];
    if (*to != NULL)
        db_forget(s->log, *to);
    free(*to);
    if ((*to = strndup(sql.p, sql.n)) == NULL)
        panic("out of memory");
    return *to;
}

void kept_texts_free(struct kept_texts **t)
{
    for (size_t i = 0; *t != NULL && i < KEPT_TEXTS; i++)
        free((*t)->text[i]);
    free(*t);
    *t = NULL;
}

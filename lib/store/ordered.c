/* lib/store/ordered.c - see ordered.h. */
#include "store/ordered.h"

#include <stdlib.h>

static int by_order(const void *a, const void *b, void *arg)
{
    const struct ordered *o = arg;

    return o->order(*(const void *const *)a, *(const void *const *)b);
}

static int put_sorted(struct store *s, const struct ordered *o, const void *const *sorted, struct err *e)
{
    int rc = 0;

    if (o->sql != NULL && db_batch_begin(s->log, o->sql, e) < 0)
        return -1;
    for (size_t i = 0; i < o->n && rc == 0; i++)
        rc = o->put(s, o->ctx, sorted[i], e);
    return rc < 0 ? -1 : o->sql != NULL ? db_batch_end(s->log, e) : 0;
}

int ordered_put(struct store *s, const struct ordered *o, struct err *e)
{
    const void **sorted;
    int          rc;

    if (o->n == 0)
        return 0;
    if ((sorted = calloc(o->n, sizeof *sorted)) == NULL)
        panic("out of memory");
    for (size_t i = 0; i < o->n; i++)
        sorted[i] = (const char *)o->rows + i * o->size;
    qsort_r(sorted, o->n, sizeof *sorted, by_order, (void *)o);
    rc = db_begin(s->log, e);
    if (rc == 0 && (rc = put_sorted(s, o, sorted, e)) == 0)
        rc = db_commit(s->log, e);
    if (rc < 0)
        db_rollback(s->log);
    free(sorted);
    return rc;
}

/* lib/store/moment.c - the words of everybody's mail. */
#include "store/moment.h"

#include <stdio.h>

#define TEXT_MAX (1u << 20)
#define TEXT_FULL (256u << 10) /* a fuller moment gets several rows of the same number, which FTS5 takes for one */

static const char put_sql[] = "INSERT INTO moments_%lld (rowid, words) VALUES ($1, $2)";

/* Recipients of one message have the rest in common. */
static void put_words(struct buf *b, const struct words_message *m, bool again)
{
    const struct span message[] = {m->subject, m->from_address, m->from_name, m->sender, m->message_id, m->inbound};

    for (size_t i = 0; i < COUNT(message) && !again; i++)
        words_put_moment(b, message[i]);
    words_put_moment(b, m->recipient);
}

static bool is_same_message(const struct words_message *m, const struct words_message *before)
{
    return before != NULL && uuid_eq(&m->of.uid, &before->of.uid);
}

/* How many of the rows are of the first one's moment, as far as a text has room for them. */
static size_t put_moment(struct buf *b, int64_t first_id, const struct words_message *rows, size_t n)
{
    int64_t moment = moment_of(rows[0].of.id - first_id);
    size_t  i;

    buf_clear(b);
    for (i = 0; i < n && b->n < TEXT_FULL && moment_of(rows[i].of.id - first_id) == moment; i++)
        put_words(b, &rows[i], is_same_message(&rows[i], i > 0 ? &rows[i - 1] : NULL));
    return i;
}

int moment_put(struct store *s, int64_t day, const struct words_message *rows, size_t n, struct err *e)
{
    char       sql[sizeof put_sql + 24];
    struct buf b;
    int64_t    first_id = day_first_id(day);
    int        rc = day_has_moments(s, day, e);

    if (rc <= 0)
        return rc;
    snprintf(sql, sizeof sql, put_sql, (long long)day);
    buf_init(&b, TEXT_MAX);
    rc = 0;
    for (size_t i = 0, done; i < n && rc == 0; i += done) {
        done = put_moment(&b, first_id, rows + i, n - i);
        rc = db_run(s->log, sql,
                    (struct db_val[]){dbv_i64(moment_of(rows[i].of.id - first_id)), dbv_text(buf_span(&b))}, 2, NULL,
                    e);
    }
    buf_fini(&b);
    db_forget(s->log, sql);
    return rc;
}

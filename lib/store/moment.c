/* lib/store/moment.c - the words of everybody's mail. */
#include "store/moment.h"

#include <stdio.h>

#define TEXT_MAX (1u << 20)
#define TEXT_FULL (256u << 10) /* a fuller moment gets several rows of the same number, which FTS5 takes for one */

static const char put_sql[] = "INSERT INTO moments_%lld (rowid, words) VALUES ($1, $2)";

/* Rows of a day on their way into its table: the words of a moment are gathered, until there is one of another. */
struct put {
    struct store *s;
    struct err   *e;
    char          sql[sizeof put_sql + 24];
    struct buf    words;
    int64_t       first_id, moment;
};

static void put_init(struct put *p, struct store *s, int64_t day, struct err *e)
{
    *p = (struct put){.s = s, .e = e, .first_id = day_first_id(day)};
    snprintf(p->sql, sizeof p->sql, put_sql, (long long)day);
    buf_init(&p->words, TEXT_MAX);
}

static int put_write(struct put *p)
{
    int rc = p->words.n == 0
                 ? 0
                 : db_run(p->s->log, p->sql, (struct db_val[]){dbv_i64(p->moment), dbv_text(buf_span(&p->words))}, 2,
                          NULL, p->e);

    buf_clear(&p->words);
    return rc;
}

static int put_turn_to(struct put *p, int64_t id)
{
    int64_t moment = moment_of(id - p->first_id);
    int     rc = moment != p->moment || p->words.n >= TEXT_FULL ? put_write(p) : 0;

    p->moment = moment;
    return rc;
}

static int put_end(struct put *p, int rc)
{
    if (rc == 0)
        rc = put_write(p);
    buf_fini(&p->words);
    db_forget(p->s->log, p->sql);
    return rc;
}

/* Recipients of one message have the rest in common. What is one column of words_DAY stands side by side. */
static void put_message(struct buf *b, const struct words_message *m, bool again)
{
    const struct span sender[] = {m->from_address, m->from_name, m->sender};

    words_put_moment(b, false, &m->recipient, 1);
    if (again)
        return;
    words_put_moment(b, false, &m->subject, 1);
    words_put_moment(b, false, sender, COUNT(sender));
    words_put_moment(b, false, &m->message_id, 1);
    words_put_moment(b, false, &m->inbound, 1);
}

int moment_put_messages(struct store *s, int64_t day, const struct words_message *rows, size_t n, struct err *e)
{
    struct put p;
    int        rc = day_has_moments(s, day, e);

    if (rc <= 0)
        return rc;
    put_init(&p, s, day, e);
    rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        int64_t moment = p.moment;

        rc = put_turn_to(&p, rows[i].of.id);
        put_message(&p.words, &rows[i],
                    p.words.n > 0 && moment == p.moment && uuid_eq(&rows[i].of.uid, &rows[i - 1].of.uid));
    }
    return put_end(&p, rc);
}

/* What an attempt was answered stays, also when a later one is answered otherwise: a moment may have too much. */
int moment_put_answers(struct store *s, int64_t day, const struct words_change *rows, size_t n, struct err *e)
{
    struct put p;
    int        rc = day_has_moments(s, day, e);

    if (rc <= 0)
        return rc;
    put_init(&p, s, day, e);
    rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = put_turn_to(&p, rows[i].now.of.id);
        words_put_moment(&p.words, true, &rows[i].now.outbound, 1);
        words_put_moment(&p.words, true, &rows[i].now.delivery, 1);
    }
    return put_end(&p, rc);
}

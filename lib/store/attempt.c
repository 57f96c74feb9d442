/* lib/store/attempt.c - what became of deliveries. */
#include "store/attempt.h"

#include <stdlib.h>

#include "base/map.h"
#include "base/utf8.h"
#include "store/log_row.h"
#include "store/words.h"

/* ---- What happened -------------------------------------------------------------------------------------------------
 *
 * Events are taken in chunks: first the deliveries of a chunk are read with their attempts, then every event is weighed in memory,
 * then what changed is written, a statement at a time for all. So PostgreSQL is asked a few times a chunk, not a few times an event. */

#define CHUNK 1000
#define ANSWERS_BUF_MAX (1u << 20)
#define CHUNK_ARENA_MAX ((size_t)512 << 20)

#define NOW_COLUMNS "d.uid, d.n, d.verdict, d.state, d.rule_id, d.domain_id, d.answer, "
static const char now_lite_sql[] = "SELECT " NOW_COLUMNS
                                   "d.id, (SELECT b.mailbox_id FROM delivery_mailbox b WHERE b.id = d.id LIMIT 1)"
                                   " FROM delivery d WHERE d.uid = $1 AND d.n >= $2 AND d.n <= $3";
#define LISTED "unnest(string_to_array($1, ','), CAST(string_to_array($2, ',') AS BIGINT[])) k(uid, n)"
/* One by one by their key: joined all at once, a day's table that was empty when the plan was made would be read from end to end. In one
 * order for everybody: two that write at once then wait for each other instead of locking each other out. */
static const char now_pg_sql[] =
    "SELECT " NOW_COLUMNS "CAST(0 AS BIGINT),"
    " (SELECT b.mailbox_id FROM delivery_mailbox b WHERE b.uid = d.uid AND b.n = d.n LIMIT 1) FROM " LISTED
    " CROSS JOIN LATERAL (SELECT * FROM delivery WHERE uid = k.uid AND n = k.n FOR UPDATE) d";
#define ATTEMPT_COLUMNS                                                                                                \
    "a.uid, a.n, a.seq, a.at_us, a.queue_id, a.final_recipient, a.host, a.ip, a.port, a.tls, a.dsn, a.code, "          \
    "a.response"
static const char attempts_lite_sql[] = "SELECT " ATTEMPT_COLUMNS
                                        " FROM attempt a WHERE a.uid = $1 AND a.n >= $2 AND a.n <= $3"
                                        " ORDER BY a.n, a.seq";
static const char attempts_pg_sql[] =
    "SELECT " ATTEMPT_COLUMNS " FROM " LISTED
    " CROSS JOIN LATERAL (SELECT * FROM attempt WHERE uid = k.uid AND n = k.n OFFSET 0) a ORDER BY a.uid, a.n, a.seq";
static const char add_attempt_sql[] =
    "INSERT INTO attempt (uid, n, seq, at_us, queue_id, final_recipient, host, ip, port, tls, dsn, code, response)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
#define MOVE "UPDATE delivery SET state = $3, status = $4, answer = $5, updated_us = $6 WHERE "
static const char move_lite_sql[] = MOVE "id = $1";
static const char move_pg_sql[] = MOVE "uid = $1 AND n = $2";
static const char mailbox_lite_sql[] = "UPDATE delivery_mailbox SET status = $2 WHERE id = $1 AND status <> $2";
static const char mailbox_pg_sql[] =
    "UPDATE delivery_mailbox SET status = $2 WHERE uid = $1 AND n = $3 AND status <> $2";
static const char add_link_sql[] = "INSERT INTO queue_link (queue_id, uid, n, at_us) VALUES ($1, $2, $3, $4)"
                                   " ON CONFLICT (queue_id, uid, n) DO NOTHING";
static const char put_position_sql[] =
    "INSERT INTO follower (node_id, path, device, inode, position, checked, updated_us) VALUES ($1, $2, $3, $4, $5, "
    "$6, $7)"
    " ON CONFLICT (node_id, path) DO UPDATE SET device = excluded.device, inode = excluded.inode,"
    " position = excluded.position, checked = excluded.checked, updated_us = excluded.updated_us";
static const char get_position_sql[] =
    "SELECT device, inode, position, checked FROM follower WHERE node_id = $1 AND path = $2";

/* A delivery as it stands, with its attempts: the first `known` of them are in the table. Texts are in the arena. */
struct standing {
    struct standing      *next;
    struct store_key      key;
    struct words_of       of;
    struct uuid           domain, mailbox;
    enum delivery_verdict verdict;
    enum delivery_state   state;
    bool                  there, by_rule, changed;
    struct span           answer;
    int64_t               updated_us;
    struct store_attempt *attempts;
    size_t                nattempts, known, cap;
};
/* One chunk, while it is worked on. */
struct events {
    struct store             *s;
    bool                      lite;
    struct arena              arena;
    struct map                by_key;
    struct standing          *first, **end; /* in the order of (uid, n) */
    struct store_events_done *done;
};

static void chunk_begin(struct events *x)
{
    arena_reset(&x->arena);
    map_init(&x->by_key);
    x->first = NULL;
    x->end = &x->first;
}

static struct span key_span(const struct store_key *k) { return span_make(k, sizeof *k); }

static int too_much(struct err *e)
{
    return err_set(e, ERR_LIMIT, "the attempts of these deliveries need too much memory");
}

static struct standing *standing_of(struct events *x, const struct uuid *uid, int64_t n)
{
    struct store_key key = {.uid = *uid, .n = n};

    return map_get(&x->by_key, key_span(&key));
}

static int want(struct events *x, const struct uuid *uid, int64_t n, struct err *e)
{
    struct standing *now;

    if (standing_of(x, uid, n) != NULL)
        return 0;
    if ((now = arena_zalloc(&x->arena, sizeof *now)) == NULL)
        return too_much(e);
    now->key = (struct store_key){.uid = *uid, .n = n};
    now->of = (struct words_of){.uid = *uid, .n = n};
    map_put(&x->by_key, key_span(&now->key), now);
    *x->end = now;
    x->end = &now->next;
    return 0;
}

/* ---- Reading ---- */

static struct standing *standing_of_row(struct events *x, struct db_rows *r)
{
    struct uuid uid;

    return uuid_parse(db_text(r, 0), &uid) ? standing_of(x, &uid, db_i64(r, 1)) : NULL;
}

/* One whose words this release does not know is as if it were not there. */
static int each_standing(void *ctx, struct db_rows *r)
{
    struct events   *x = ctx;
    struct standing *now = standing_of_row(x, r);
    int              verdict = col_word(r, 2, delivery_verdict_words), state = col_word(r, 3, delivery_state_words);

    if (now == NULL || verdict < 0 || state < 0)
        return 0;
    now->there = true;
    now->verdict = (enum delivery_verdict)verdict;
    now->state = (enum delivery_state)state;
    now->by_rule = !db_is_null(r, 4);
    now->domain = col_uuid(r, 5);
    now->of.domain = db_is_null(r, 5) ? NULL : &now->domain;
    now->answer = arena_dup(&x->arena, db_text(r, 6));
    now->of.id = db_i64(r, 7);
    now->mailbox = col_uuid(r, 8);
    now->of.mailbox = db_is_null(r, 8) ? NULL : &now->mailbox;
    return 0;
}

static bool keep_attempt(struct events *x, struct standing *now, const struct store_attempt *read)
{
    struct store_attempt *a;
    struct span          *texts[7];

    if (now->nattempts == now->cap) {
        size_t cap = now->cap ? 2 * now->cap : 2;

        if ((a = arena_array(&x->arena, cap, sizeof *a)) == NULL)
            return false;
        if (now->nattempts > 0)
            memcpy(a, now->attempts, now->nattempts * sizeof *a);
        now->attempts = a;
        now->cap = cap;
    }
    a = &now->attempts[now->nattempts++];
    *a = *read;
    memcpy(texts,
           (struct span *[]){&a->queue_id, &a->final_recipient, &a->host, &a->ip, &a->tls, &a->dsn, &a->response},
           sizeof texts);
    for (size_t i = 0; i < COUNT(texts); i++)
        *texts[i] = arena_dup(&x->arena, *texts[i]);
    return true;
}

static int each_attempt(void *ctx, struct db_rows *r)
{
    struct events       *x = ctx;
    struct standing     *now = standing_of_row(x, r);
    struct store_attempt a = attempt_of_row(r, 2);

    if (now == NULL || now->nattempts == STORE_ATTEMPTS_MAX)
        return 0;
    return keep_attempt(x, now, &a) ? 0 : -1;
}

/* Those of one message at once: they stand beside each other, in the order of n. */
static int load_lite(struct events *x, struct err *e)
{
    for (struct standing *now = x->first, *last; now != NULL; now = last->next) {
        struct day_uid uid = day_uid_text(&now->key.uid);
        bool           there = false;

        for (last = now; last->next != NULL && uuid_eq(&last->next->key.uid, &now->key.uid);)
            last = last->next;
        struct db_val key[] = {dbv_str(uid.text), dbv_i64(now->key.n), dbv_i64(last->key.n)};
        if (row_each(x->s->log, now_lite_sql, key, COUNT(key), each_standing, x, e) < 0)
            return -1;
        for (struct standing *d = now; d != last->next; d = d->next)
            there |= d->there;
        if (there && row_each(x->s->log, attempts_lite_sql, key, COUNT(key), each_attempt, x, e) < 0)
            return -1;
    }
    return 0;
}

static int load_pg(struct events *x, struct err *e)
{
    struct buf uids, numbers;
    int        rc = 0;

    buf_init(&uids, (CHUNK + 1) * (UUID_TEXT + 1));
    buf_init(&numbers, (CHUNK + 1) * 21);
    for (struct standing *now = x->first; now != NULL; now = now->next) {
        struct day_uid uid = day_uid_text(&now->key.uid);

        buf_printf(&uids, "%s%s", uids.n ? "," : "", uid.text);
        buf_printf(&numbers, "%s%lld", numbers.n ? "," : "", (long long)now->key.n);
    }
    if (uids.n > 0) {
        struct db_val keys[] = {dbv_text(buf_span(&uids)), dbv_text(buf_span(&numbers))};

        rc = row_each(x->s->log, now_pg_sql, keys, 2, each_standing, x, e);
        if (rc == 0)
            rc = row_each(x->s->log, attempts_pg_sql, keys, 2, each_attempt, x, e);
    }
    buf_fini(&uids);
    buf_fini(&numbers);
    return rc;
}

static int load(struct events *x, struct err *e)
{
    if ((x->lite ? load_lite(x, e) : load_pg(x, e)) < 0)
        return -1;
    for (struct standing *now = x->first; now != NULL; now = now->next)
        now->known = now->nattempts;
    return x->arena.full ? too_much(e) : 0;
}

/* ---- Weighing ---- */

/* How far a state is on its way; nothing goes back. Released is where a held one begins. */
static int rank(enum delivery_state s)
{
    static const int ranks[] = {
        [STATE_UNKNOWN] = 0,  [STATE_RECEIVED] = 1, [STATE_RELEASED] = 1,  [STATE_QUEUED] = 2,
        [STATE_DEFERRED] = 3, [STATE_BOUNCED] = 4,  [STATE_DELIVERED] = 5,
    };

    return ranks[s];
}

static bool moves(const struct standing *now, const struct store_event *v)
{
    return v->has_state && v->state != STATE_RELEASED && rank(v->state) > rank(now->state);
}

static struct store_attempt attempt_of(const struct store_event *v)
{
    return (struct store_attempt){
        .at_us = v->at_us,
        .port = v->port,
        .code = v->code,
        .queue_id = v->queue_id,
        .final_recipient = v->final_recipient,
        .host = v->host,
        .ip = v->ip,
        .tls = v->tls,
        .dsn = v->dsn,
        .response = span_head(v->response, utf8_clip(v->response, STORE_RESPONSE_MAX)),
    };
}

static bool same_attempt(const struct store_attempt *a, const struct store_attempt *b)
{
    return a->at_us == b->at_us && a->code == b->code && a->port == b->port && span_eq(a->queue_id, b->queue_id) &&
           span_eq(a->final_recipient, b->final_recipient) && span_eq(a->host, b->host) && span_eq(a->ip, b->ip) &&
           span_eq(a->dsn, b->dsn) && span_eq(a->response, b->response);
}

static bool is_new_attempt(const struct standing *now, const struct store_attempt *a)
{
    if (now->nattempts >= STORE_ATTEMPTS_MAX)
        return false;
    for (size_t i = 0; i < now->nattempts; i++)
        if (same_attempt(&now->attempts[i], a))
            return false;
    return true;
}

/* Texts come from a log that strangers write into. */
static bool storable(const struct store_event *v)
{
    const struct span texts[] = {v->queue_id, v->final_recipient, v->host, v->ip, v->tls, v->dsn, v->response};

    for (size_t i = 0; v->has_attempt && i < COUNT(texts); i++)
        if (!is_storable(texts[i]))
            return false;
    return true;
}

static int weigh(struct events *x, const struct store_event *v, struct err *e)
{
    struct standing     *now = standing_of(x, &v->uid, v->n);
    struct store_attempt a = attempt_of(v);
    bool                 moved, added;

    if (!now->there || !storable(v) || delivery_is_held(now->verdict, now->state)) {
        x->done->strange++;
        return 0;
    }
    moved = moves(now, v);
    added = v->has_attempt && is_new_attempt(now, &a);
    x->done->known += !moved && !added;
    x->done->moved += moved;
    x->done->attempts += added;
    if (added && !keep_attempt(x, now, &a))
        return too_much(e);
    if (added)
        now->answer = now->attempts[now->nattempts - 1].response;
    if (moved)
        now->state = v->state;
    if (moved || added) {
        now->changed = true;
        now->updated_us = v->at_us;
    }
    return 0;
}

/* ---- Writing ---- */

/* What can be searched of the first `n` attempts, as far as words are kept. It has to come out the same each time: see words_put_answers(). */
static struct words_answers answers_of(struct events *x, const struct standing *now, size_t n)
{
    struct words_answers w = {.of = now->of};
    struct buf           b;

    buf_init(&b, ANSWERS_BUF_MAX);
    for (size_t i = 0; i < n && b.n < WORDS_TEXT_MAX; i++) {
        buf_put(&b, now->attempts[i].host);
        buf_putc(&b, ' ');
        buf_put(&b, now->attempts[i].response);
        buf_putc(&b, '\n');
    }
    w.outbound = arena_dup(&x->arena, buf_span(&b));
    w.delivery = n > 0 ? now->attempts[n - 1].response : SPAN_NONE;
    buf_fini(&b);
    return w;
}

static int put_answers(struct events *x, struct err *e)
{
    struct words_change *rows = arena_array(&x->arena, CHUNK, sizeof *rows);
    size_t               n = 0;

    if (rows == NULL)
        return too_much(e);
    for (const struct standing *now = x->first; now != NULL; now = now->next) {
        if (now->known == now->nattempts)
            continue;
        rows[n++] = (struct words_change){
            .had = now->known > 0, .before = answers_of(x, now, now->known), .now = answers_of(x, now, now->nattempts)};
    }
    return x->arena.full ? too_much(e) : words_put_answers(x->s, rows, n, e);
}

static int add_attempt(struct events *x, const struct standing *now, size_t i, struct err *e)
{
    struct day_uid              uid = day_uid_text(&now->key.uid);
    const struct store_attempt *a = &now->attempts[i];
    struct db_val               vals[] = {dbv_str(uid.text),    dbv_i64(now->key.n),   dbv_i64((int64_t)i + 1),
                                          dbv_i64(a->at_us),    dbv_text(a->queue_id), dbv_text(a->final_recipient),
                                          dbv_text(a->host),    dbv_text(a->ip),       dbv_i64(a->port),
                                          dbv_text(a->tls),     dbv_text(a->dsn),      dbv_i64(a->code),
                                          dbv_text(a->response)};

    return db_batch_add(x->s->log, vals, COUNT(vals), e);
}

static int add_attempts(struct events *x, struct err *e)
{
    if (db_batch_begin(x->s->log, add_attempt_sql, e) < 0)
        return -1;
    for (const struct standing *now = x->first; now != NULL; now = now->next) {
        for (size_t i = now->known; i < now->nattempts; i++)
            if (add_attempt(x, now, i, e) < 0)
                return -1;
    }
    return db_batch_end(x->s->log, e);
}

static struct db_val status_of(const struct standing *now)
{
    return dbv_word(delivery_status_words, (int)delivery_status(now->verdict, now->state, now->by_rule));
}

static int write_deliveries(struct events *x, struct err *e)
{
    if (db_batch_begin(x->s->log, x->lite ? move_lite_sql : move_pg_sql, e) < 0)
        return -1;
    for (const struct standing *now = x->first; now != NULL; now = now->next) {
        struct day_uid uid = day_uid_text(&now->key.uid);
        struct db_val  vals[] = {x->lite ? dbv_i64(now->of.id) : dbv_str(uid.text),
                                dbv_i64(now->key.n),
                                dbv_word(delivery_state_words, (int)now->state),
                                status_of(now),
                                dbv_text(now->answer),
                                dbv_i64(now->updated_us)};

        if (now->changed && db_batch_add(x->s->log, vals, COUNT(vals), e) < 0)
            return -1;
    }
    return db_batch_end(x->s->log, e);
}

static int write_mailboxes(struct events *x, struct err *e)
{
    if (db_batch_begin(x->s->log, x->lite ? mailbox_lite_sql : mailbox_pg_sql, e) < 0)
        return -1;
    for (const struct standing *now = x->first; now != NULL; now = now->next) {
        struct day_uid uid = day_uid_text(&now->key.uid);
        struct db_val vals[] = {x->lite ? dbv_i64(now->of.id) : dbv_str(uid.text), status_of(now), dbv_i64(now->key.n)};

        if (now->changed && now->of.mailbox != NULL && db_batch_add(x->s->log, vals, x->lite ? 2 : 3, e) < 0)
            return -1;
    }
    return db_batch_end(x->s->log, e);
}

/* The full text comes last: SQLite has it write what it gathered before any statement that might have to be undone alone. */
static int write_chunk(struct events *x, struct err *e)
{
    if (add_attempts(x, e) < 0 || write_deliveries(x, e) < 0 || write_mailboxes(x, e) < 0)
        return -1;
    return put_answers(x, e);
}

static int apply(struct events *x, const struct store_event *const *events, size_t n, struct err *e)
{
    int rc = 0;

    chunk_begin(x);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = want(x, &events[i]->uid, events[i]->n, e);
    if (rc == 0)
        rc = load(x, e);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = weigh(x, events[i], e);
    if (rc == 0)
        rc = write_chunk(x, e);
    map_fini(&x->by_key);
    return rc;
}

static int add_link(struct store *s, const struct store_queue_link *l, struct err *e)
{
    struct day_uid uid = day_uid_text(&l->uid);

    if (l->queue_id.n == 0 || !is_storable(l->queue_id))
        return 0;
    return db_run(s->log, add_link_sql,
                  (struct db_val[]){dbv_text(l->queue_id), dbv_str(uid.text), dbv_i64(l->n), dbv_i64(l->at_us)}, 4,
                  NULL, e);
}

static int put_position(struct store *s, const struct uuid *node, const struct store_position *p, struct err *e)
{
    return db_run(s->log, put_position_sql,
                  (struct db_val[]){dbv_uuid(node), dbv_text(p->path), dbv_i64(p->device), dbv_i64(p->inode),
                                    dbv_i64(p->position), dbv_blob(p->check), dbv_i64(clock_wall_us())},
                  7, NULL, e);
}

/* The order of the tables; of one delivery, the order in which they happened: they stand in one array. */
static int by_delivery(const void *a, const void *b)
{
    const struct store_event *x = *(const struct store_event *const *)a, *y = *(const struct store_event *const *)b;
    int                       c = uuid_cmp(&x->uid, &y->uid);

    if (c != 0)
        return c;
    return x->n != y->n ? (x->n > y->n) - (x->n < y->n) : (x > y) - (x < y);
}

/* Rows that are written in the order of their tables touch each page once, and full-text tables write what they have gathered
 * whenever a row does not follow the one before. Also an order that is the same for everybody who locks rows. */
static int put_events(struct events *x, const struct store_events *all, struct err *e)
{
    const struct store_event **sorted = calloc(all->nevents + 1, sizeof *sorted);
    int                        rc = 0;

    if (sorted == NULL)
        panic("out of memory");
    for (size_t i = 0; i < all->nevents; i++)
        sorted[i] = &all->events[i];
    qsort(sorted, all->nevents, sizeof *sorted, by_delivery);
    for (size_t i = 0; i < all->nevents && rc == 0; i += CHUNK)
        rc = apply(x, sorted + i, all->nevents - i < CHUNK ? all->nevents - i : CHUNK, e);
    free(sorted);
    return rc;
}

static int put_all(struct events *x, const struct uuid *node, const struct store_events *all, struct err *e)
{
    for (size_t i = 0; i < all->nlinks; i++)
        if (add_link(x->s, &all->links[i], e) < 0)
            return -1;
    if (put_events(x, all, e) < 0)
        return -1;
    for (size_t i = 0; i < all->npositions; i++)
        if (put_position(x->s, node, &all->positions[i], e) < 0)
            return -1;
    return 0;
}

/* Everything of it in one transaction. */
static int in_transaction(struct store *s, struct events *x, const struct uuid *node, const struct store_events *all,
                          struct err *e)
{
    if (db_begin(s->log, e) < 0)
        return -1;
    if (put_all(x, node, all, e) == 0 && db_commit(s->log, e) == 0)
        return 0;
    db_rollback(s->log);
    return -1;
}

int store_events_put(struct store *s, const struct store_events *all, struct store_events_done *done, struct err *e)
{
    struct store_events_done counts = {0};
    struct events           *x = calloc(1, sizeof *x);
    struct uuid              node = uuid_zero;
    int                      rc = 0;

    if (x == NULL)
        panic("out of memory");
    x->s = s;
    x->lite = db_kind(s->log) == DB_SQLITE;
    x->done = &counts;
    arena_init(&x->arena, CHUNK_ARENA_MAX);
    if (all->npositions > 0)
        rc = store_node(s, &node, e);
    if (rc == 0)
        rc = in_transaction(s, x, &node, all, e);
    arena_fini(&x->arena);
    free(x);
    if (done != NULL)
        *done = rc == 0 ? counts : (struct store_events_done){0};
    return rc;
}

int store_position_get(struct store *s, struct span path, struct arena *a, struct store_position *out, struct err *e)
{
    struct uuid     node;
    struct db_rows *r;
    int             rc;

    *out = (struct store_position){.path = path};
    if (store_node(s, &node, e) < 0)
        return -1;
    if ((rc = row_first(s->log, get_position_sql, (struct db_val[]){dbv_uuid(&node), dbv_text(path)}, 2, &r, e)) <= 0)
        return rc;
    out->device = db_i64(r, 0);
    out->inode = db_i64(r, 1);
    out->position = db_i64(r, 2);
    out->path = arena_dup(a, path);
    out->check = arena_dup(a, db_text(r, 3));
    db_rows_free(&r);
    return a->full ? err_set(e, ERR_LIMIT, "no memory for a position") : 1;
}

/* ---- Release ------------------------------------------------------------------------------------------------------- */

static int release_in(struct events *x, const struct uuid *uid, int64_t n, struct span queue_id, int64_t at_us,
                      struct err *e)
{
    struct store_queue_link link = {.queue_id = queue_id, .uid = *uid, .n = n, .at_us = at_us};
    struct standing        *now;

    if (want(x, uid, n, e) < 0 || load(x, e) < 0)
        return -1;
    now = standing_of(x, uid, n);
    if (!now->there)
        return no_such(0, e, "delivery");
    now->state = STATE_RELEASED;
    now->changed = true;
    now->updated_us = at_us;
    if (write_deliveries(x, e) < 0 || write_mailboxes(x, e) < 0)
        return -1;
    return add_link(x->s, &link, e);
}

int store_delivery_released(struct store *s, const struct uuid *uid, int64_t n, struct span queue_id, int64_t at_us,
                            struct err *e)
{
    struct events *x = calloc(1, sizeof *x);
    int            rc;

    if (x == NULL)
        panic("out of memory");
    x->s = s;
    x->lite = db_kind(s->log) == DB_SQLITE;
    arena_init(&x->arena, CHUNK_ARENA_MAX);
    chunk_begin(x);
    if ((rc = db_begin(s->log, e)) == 0) {
        if ((rc = release_in(x, uid, n, queue_id, at_us, e)) == 0)
            rc = db_commit(s->log, e);
        if (rc < 0)
            db_rollback(s->log);
    }
    map_fini(&x->by_key);
    arena_fini(&x->arena);
    free(x);
    return rc;
}

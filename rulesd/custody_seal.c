/* rulesd/custody_seal.c - the sealers: what is queued is on disk, synced, before anybody is told. */
#include "custody_inside.h"

/* How long a counter leaves a database alone that is away, and believes in one that was there. */
#define COUNTER_US 1000000

/* A sealer's way to know what is held for whom; opened when somebody has a cap. Times of the monotonic clock. */
struct counter {
    struct store *store;
    int64_t       retry_us, seen_us;
};

/* Is the database there? A connection that was lost meanwhile is made anew. */
static bool can_count(struct custody *c, struct counter *n)
{
    struct err away = ERR_INIT;
    int64_t    now = clock_mono_us();

    if (now < n->retry_us)
        return false;
    if (n->store != NULL && now - n->seen_us < COUNTER_US)
        return true;
    if ((n->store == NULL && store_open(c->url, STORE_EXISTING, &n->store, &away) < 0) ||
        store_ping(n->store, &away) < 0) {
        n->retry_us = clock_mono_us() + COUNTER_US;
        return false;
    }
    n->seen_us = now;
    return true;
}

/* Lost just now: once more, on a new connection. */
static int usage(struct custody *c, struct counter *n, const struct uuid *owner, int64_t *count, int64_t *bytes)
{
    struct err away = ERR_INIT;

    if (store_custody_usage(n->store, owner, count, bytes, &away) == 0)
        return 0;
    n->seen_us = 0;
    return can_count(c, n) ? store_custody_usage(n->store, owner, count, bytes, &away) : -1;
}

/* While the database is away nobody can count; then what is to be held is held. */
static int check_caps(struct custody *c, struct counter *counter, struct custody_job *j)
{
    int64_t count, bytes;

    if (j->ncaps == 0 || !can_count(c, counter))
        return 0;
    for (size_t i = 0; i < j->ncaps; i++) {
        const struct custody_cap *cap = &j->caps[i];

        if (usage(c, counter, &cap->owner, &count, &bytes) < 0)
            return 0;
        if (bytes + (int64_t)j->message.n > cap->max)
            return err_set(&j->err, ERR_FULL,
                           "%lld messages of %lld bytes are held for one of the recipients, at most %lld bytes",
                           (long long)count, (long long)bytes, (long long)cap->max);
    }
    return 0;
}

void custody_look_at_keys(struct custody *c, bool now)
{
    struct err e = ERR_INIT;
    int        rc = keyring_refresh(c->ring, now, &e);
    int64_t    at = clock_mono_us();
    bool       say;

    pthread_mutex_lock(&c->lock);
    say = rc < 0 && (now || c->keys_logged_us == 0 || at - c->keys_logged_us >= CUSTODY_LOG_US);
    if (say)
        c->keys_logged_us = at;
    pthread_mutex_unlock(&c->lock);
    if (say)
        log_err(LOG_LEVEL_ERROR, "the keys cannot be read again: the one before seals", &e);
    if (rc > 0)
        log_text(LOG_LEVEL_INFO, "the key %s seals held mail from now on", keyring_current(c->ring));
}

/* The head is the record as it will be, but for what is known only when it is kept. */
static int keep(struct custody *c, struct counter *counter, struct custody_job *j)
{
    struct store_message *m = j->record;
    struct vault_kept     kept = {0};
    struct buf            head;
    int                   rc;

    m->kept = false;
    if (check_caps(c, counter, j) < 0)
        return -1;
    custody_look_at_keys(c, false);
    m->kept = true;
    m->kept_bytes = 0;
    m->sha256 = m->key_id = SPAN_NONE;
    buf_init(&head, VAULT_HEAD_MAX);
    store_message_put_json(&head, m);
    rc = head.failed ? err_set(&j->err, ERR_LIMIT, "what is known of the message is more than %zu bytes", head.max)
                     : vault_put(c->vault, &m->uid, buf_span(&head), j->message, &kept, &j->err);
    buf_fini(&head);
    m->kept = rc == 0;
    if (rc < 0)
        return -1;
    m->kept_bytes = kept.bytes;
    m->sha256 = arena_dup(j->arena, span_make(kept.sha256, sizeof kept.sha256));
    m->key_id = arena_dup(j->arena, span_of(kept.key_id));
    return 0;
}

void custody_finish(struct custody *c, struct custody_job *j, int rc)
{
    atomic_fetch_add(rc == 0 ? &c->kept : &c->failed, 1);
    j->rc = rc;
    j->done(j); /* and it is theirs */
}

static struct custody_job *next_job(struct custody *c)
{
    struct custody_job *j;

    pthread_mutex_lock(&c->lock);
    while (c->first == NULL && !c->stopping)
        pthread_cond_wait(&c->more, &c->lock);
    j = c->stopping ? NULL : c->first;
    if (j != NULL) {
        c->first = j->next;
        c->waiting--;
        if (c->first == NULL)
            c->last = &c->first;
    }
    pthread_mutex_unlock(&c->lock);
    return j;
}

void *custody_seal(void *arg)
{
    struct custody     *c = arg;
    struct counter      counter = {.store = NULL};
    struct custody_job *j;

    while ((j = next_job(c)) != NULL)
        custody_finish(c, j, keep(c, &counter, j));
    store_close(&counter.store);
    return NULL;
}

/* rulesd/slot_ask.c - see slot.h: what a slot holds, for who judges, and waiting for what it does not hold yet. */
#include "slot_inside.h"

#include <stdlib.h>

/* ---- Waiting ----------------------------------------------------------------------------------------------------------- */

bool slot_loaded(const struct slot *s) { return atomic_load(&s->loaded); }

static void mark_used(struct slot *s)
{
    if (!atomic_load_explicit(&s->used, memory_order_relaxed))
        atomic_store_explicit(&s->used, true, memory_order_relaxed);
}

static bool dirty(const struct slot *s) { return s->whole || s->notes.n > 0 || s->light_on; }

/* Hits move the end of a learned entry without a word in the feed. */
static bool outlived(const struct slot *s, int64_t now)
{
    return s->scope.kind == SCOPE_MAILBOX && now - s->read_us > SLOT_AGE_US;
}

/* *mine_out: nobody reads it yet, and the light job is the caller's to run. */
static int await_locked(struct slot *s, struct job *j, bool *mine_out, struct err *e)
{
    int64_t now = clock_mono_us();
    bool    failing = s->error != NULL && now < s->retry_us;

    if (atomic_load(&s->loaded) && outlived(s, now))
        s->whole = true;
    if (atomic_load(&s->loaded) && (!dirty(s) || failing || s->heavy_on || s->nrules > SLOT_LIGHT_MAX))
        return 1;
    if (failing) {
        if (e != NULL)
            *e = *s->error;
        return -1;
    }
    if (s->heavy_on && now - s->heavy_since_us > SLOT_WAIT_US)
        return err_set(e, ERR_BUSY, "the rules are still being compiled");
    *mine_out = !s->light_on && !s->heavy_on;
    if (*mine_out) {
        s->light_on = true;
        slot_hold(s);
    } else {
        j->next = s->parked;
        s->parked = j;
    }
    return 0;
}

int slot_await(struct slot *s, struct job *j, struct hand *h, struct err *e)
{
    bool mine;
    int  rc;

    mark_used(s);
    do {
        mine = false;
        pthread_mutex_lock(&s->all->lock);
        rc = await_locked(s, j, &mine, e);
        pthread_mutex_unlock(&s->all->lock);
        if (mine)
            slot_light_run(&s->light, h);
    } while (mine);
    return rc;
}

void slot_want(struct slot *s)
{
    pthread_mutex_lock(&s->all->lock);
    if (!atomic_load(&s->loaded) && !s->heavy_on && (s->error == NULL || clock_mono_us() >= s->retry_us))
        slot_want_light(s);
    pthread_mutex_unlock(&s->all->lock);
}

/* ---- What holds -------------------------------------------------------------------------------------------------------- */

/* A thread's own copy of the global scope, so that threads do not meet at one lock for every message. */
struct copy {
    uint64_t      edition;
    struct scope *scope;
};
static pthread_key_t  copy_key;
static pthread_once_t copy_once = PTHREAD_ONCE_INIT;

static void copy_free(void *arg)
{
    struct copy *c = arg;

    scope_drop(&c->scope);
    free(c);
}

static void copy_make_key(void)
{
    if (pthread_key_create(&copy_key, copy_free) != 0)
        panic("no thread-specific key left");
}

static struct copy *copy_mine(void)
{
    struct copy *c;

    pthread_once(&copy_once, copy_make_key);
    if ((c = pthread_getspecific(copy_key)) == NULL) {
        if ((c = calloc(1, sizeof *c)) == NULL)
            panic("out of memory");
        pthread_setspecific(copy_key, c);
    }
    return c;
}

/* Under no lock: takes the slot's for a moment. False: not loaded. */
static bool hold_now(struct slot *s, struct scope **out, uint64_t *edition_out)
{
    bool loaded;

    pthread_mutex_lock(&s->lock);
    loaded = atomic_load(&s->loaded);
    *out = s->now ? scope_hold(s->now) : NULL;
    *edition_out = atomic_load(&s->edition);
    pthread_mutex_unlock(&s->lock);
    return loaded;
}

static int not_loaded(struct err *e) { return err_set(e, ERR_BUSY, "the rules are being loaded"); }

static int global_scope(struct slot *s, struct scope **out, struct err *e)
{
    struct copy *c = copy_mine();

    if (c->edition != atomic_load(&s->edition) || c->edition == 0) {
        struct scope *fresh;
        uint64_t      edition;

        if (!hold_now(s, &fresh, &edition))
            return not_loaded(e);
        scope_drop(&c->scope);
        *c = (struct copy){edition, fresh};
    }
    *out = c->scope ? scope_hold(c->scope) : NULL;
    return 0;
}

int slot_scope(struct slot *s, struct scope **out, struct err *e)
{
    uint64_t edition;

    *out = NULL;
    mark_used(s);
    if (s->scope.kind == SCOPE_GLOBAL)
        return global_scope(s, out, e);
    return hold_now(s, out, &edition) ? 0 : not_loaded(e);
}

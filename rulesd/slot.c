/* rulesd/slot.c - see slot.h.
 *
 * The way of a change: the feed notes it in its slot and queues the light job; the job takes the note, reads, builds, and
 * publishes. The way of a large scope: the light job finds it too large and queues the heavy one; that leaves what it compiled
 * in the slot for the light job to adopt. */
#include "slot.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/map.h"
#include "store/compile.h"

#define RETRY_US 1000000
#define NOTES_MAX 1000         /* rules noted one by one; more: all of the scope */
#define GRAVE_BYTES (1u << 20) /* larger scopes are freed by the ticking thread */
#define GRAVE_US 2000000
#define LEFT_OUT_LOGGED 10 /* a compilation names that many damaged rules */

struct note {
    struct uuid rule;
    int64_t     seq;
};
struct notes {
    struct note *list;
    size_t       n;
};

/* Lives while somebody holds it: audiences, its jobs, or the table for those loaded at the start.
 * now, edition     behind `lock`; `loaded` and `edition` are also read without it.
 * base, patch      touched by the light job alone, or by who holds the table's lock while no job exists.
 * the rest         behind the table's lock. */
struct slot {
    struct slots        *all;
    struct store_scope   scope;
    uint8_t              key[1 + sizeof(struct uuid)];
    atomic_size_t        refs;
    atomic_bool          loaded, used;
    atomic_uint_fast64_t edition; /* unique in the process; moves when `now` does */

    pthread_mutex_t lock;
    struct scope   *now; /* NULL: without rules, or not loaded */

    struct scope       *base; /* what the patch lies on; NULL: nothing to patch */
    struct scope_patch *patch;

    struct job    light, heavy;
    bool          light_on, heavy_on; /* queued or running */
    bool          whole;              /* to be read as a whole */
    bool          kept;               /* the table holds it */
    struct notes  notes;
    struct scope *compiled; /* by the heavy job, to be adopted */
    size_t        bytes, nrules;
    struct job   *parked;
    struct err   *error; /* of the last attempt; NULL: it went well */
    int64_t       retry_us, heavy_since_us, read_us;
    struct slot  *next, *prev;  /* all of them, a ring */
    struct slot  *watched_next; /* those that slots_tick() looks at */
    bool          watched;
};

struct grave {
    struct grave *next;
    struct scope *scope;
    int64_t       at_us;
};

struct slots {
    struct desk       *light, *heavy;
    size_t             bytes_max;
    pthread_mutex_t    lock; /* guards all below, and most of every slot */
    struct map         table;
    struct slot       *ring; /* where the next round of throwing out begins */
    struct slot       *watched;
    struct grave      *graves;
    struct slots_stats stats;
};

static atomic_uint_fast64_t editions = 1;

/* ---- The table --------------------------------------------------------------------------------------------------- */

static void light_run(struct job *j, struct hand *h);
static void heavy_run(struct job *j, struct hand *h);

struct slots *slots_new(struct desk *light, struct desk *heavy, size_t bytes_max)
{
    struct slots *all = calloc(1, sizeof *all);

    if (all == NULL)
        panic("out of memory");
    all->light = light;
    all->heavy = heavy;
    all->bytes_max = bytes_max;
    pthread_mutex_init(&all->lock, NULL);
    map_init(&all->table);
    return all;
}

static void key_of(struct store_scope scope, uint8_t key[1 + sizeof(struct uuid)])
{
    key[0] = (uint8_t)scope.kind;
    memcpy(key + 1, scope.id.b, sizeof scope.id.b);
}

static struct slot *find(const struct slots *all, struct store_scope scope)
{
    uint8_t key[1 + sizeof(struct uuid)];

    key_of(scope, key);
    return map_get(&all->table, span_make(key, sizeof key));
}

static struct slot *add(struct slots *all, struct store_scope scope)
{
    struct slot *s = calloc(1, sizeof *s);

    if (s == NULL)
        panic("out of memory");
    s->all = all;
    s->scope = scope;
    s->whole = true;
    s->light.run = light_run;
    s->heavy.run = heavy_run;
    pthread_mutex_init(&s->lock, NULL);
    key_of(scope, s->key);
    map_put(&all->table, span_make(s->key, sizeof s->key), s);
    if (all->ring == NULL) {
        all->ring = s->next = s->prev = s;
    } else {
        s->next = all->ring;
        s->prev = all->ring->prev;
        s->prev->next = s->next->prev = s;
    }
    all->stats.slots++;
    return s;
}

struct slot *slots_take(struct slots *all, struct store_scope scope)
{
    struct slot *s;

    pthread_mutex_lock(&all->lock);
    if ((s = find(all, scope)) == NULL)
        s = add(all, scope);
    atomic_fetch_add(&s->refs, 1);
    pthread_mutex_unlock(&all->lock);
    return s;
}

static void unwatch(struct slot *s)
{
    if (!s->watched)
        return;
    for (struct slot **at = &s->all->watched; *at != NULL; at = &(*at)->watched_next) {
        if (*at == s) {
            *at = s->watched_next;
            break;
        }
    }
    s->watched = false;
}

static void watch(struct slot *s)
{
    if (s->watched)
        return;
    s->watched = true;
    s->watched_next = s->all->watched;
    s->all->watched = s;
}

static void slot_free(struct slot *s)
{
    scope_drop(&s->now);
    scope_drop(&s->base);
    scope_drop(&s->compiled);
    scope_patch_free(&s->patch);
    free(s->notes.list);
    free(s->error);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static void take_out(struct slots *all, struct slot *s)
{
    unwatch(s);
    map_del(&all->table, span_make(s->key, sizeof s->key));
    if (all->ring == s)
        all->ring = s->next == s ? NULL : s->next;
    s->next->prev = s->prev;
    s->prev->next = s->next;
    all->stats.slots--;
    all->stats.bytes -= s->bytes;
}

struct slot *slot_hold(struct slot *s)
{
    atomic_fetch_add(&s->refs, 1);
    return s;
}

/* The last reference is given back under the lock, where nobody can find the slot meanwhile. */
static bool drop_unless_last(struct slot *s)
{
    size_t n = atomic_load(&s->refs);

    while (n > 1) {
        if (atomic_compare_exchange_weak(&s->refs, &n, n - 1))
            return true;
    }
    return false;
}

void slot_drop(struct slot **at)
{
    struct slot  *s = *at;
    struct slots *all;
    bool          last;

    *at = NULL;
    if (s == NULL || drop_unless_last(s))
        return;
    all = s->all;
    pthread_mutex_lock(&all->lock);
    last = atomic_fetch_sub(&s->refs, 1) == 1;
    if (last)
        take_out(all, s);
    pthread_mutex_unlock(&all->lock);
    if (last)
        slot_free(s);
}

void slots_free(struct slots **at)
{
    struct slots *all = *at;

    if (all == NULL)
        return;
    while (all->ring != NULL) {
        struct slot *s = all->ring;

        take_out(all, s);
        slot_free(s);
    }
    while (all->graves != NULL) {
        struct grave *g = all->graves;

        all->graves = g->next;
        scope_drop(&g->scope);
        free(g);
    }
    map_fini(&all->table);
    pthread_mutex_destroy(&all->lock);
    free(all);
    *at = NULL;
}

/* ---- Asking ------------------------------------------------------------------------------------------------------ */

bool slot_loaded(const struct slot *s) { return atomic_load(&s->loaded); }

static void mark_used(struct slot *s)
{
    if (!atomic_load_explicit(&s->used, memory_order_relaxed))
        atomic_store_explicit(&s->used, true, memory_order_relaxed);
}

/* Under the table's lock. A job holds its slot. */
static void want_light(struct slot *s)
{
    if (s->light_on)
        return;
    s->light_on = true;
    slot_hold(s);
    desk_put_first(s->all->light, &s->light);
}

static void want_heavy(struct slot *s)
{
    if (s->heavy_on)
        return;
    s->heavy_on = true;
    s->heavy_since_us = clock_mono_us();
    slot_hold(s);
    watch(s);
    desk_put(s->all->heavy, &s->heavy);
}

void slots_preload(struct slots *all, struct store_scope scope)
{
    struct slot *s = slots_take(all, scope);

    pthread_mutex_lock(&all->lock);
    if (!s->kept) {
        s->kept = true;
        slot_hold(s);
    }
    if (!atomic_load(&s->loaded) && !s->light_on && !s->heavy_on) {
        s->whole = false;
        want_heavy(s);
    }
    pthread_mutex_unlock(&all->lock);
    slot_drop(&s);
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
            light_run(&s->light, h);
    } while (mine);
    return rc;
}

void slot_want(struct slot *s)
{
    pthread_mutex_lock(&s->all->lock);
    if (!atomic_load(&s->loaded) && !s->heavy_on && (s->error == NULL || clock_mono_us() >= s->retry_us))
        want_light(s);
    pthread_mutex_unlock(&s->all->lock);
}

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

/* ---- Changes ----------------------------------------------------------------------------------------------------- */

static void put_note(struct notes *to, const struct uuid *rule, int64_t seq)
{
    if ((to->n & (to->n - 1)) == 0) { /* full at every power of two */
        to->list = realloc(to->list, (to->n ? 2 * to->n : 1) * sizeof *to->list);
        if (to->list == NULL)
            panic("out of memory");
    }
    to->list[to->n++] = (struct note){*rule, seq};
}

static void clear_notes(struct notes *n)
{
    free(n->list);
    *n = (struct notes){0};
}

/* A slot that is not loaded reads everything when it is; only a compilation under way could have missed this one. */
void slots_changed(struct slots *all, struct store_scope scope, const struct uuid *rule, int64_t seq)
{
    struct slot *s;

    pthread_mutex_lock(&all->lock);
    s = find(all, scope);
    if (s != NULL && (atomic_load(&s->loaded) || s->light_on || s->heavy_on)) {
        if (rule == NULL || s->notes.n >= NOTES_MAX)
            s->whole = true;
        else
            put_note(&s->notes, rule, seq);
        want_light(s);
    }
    pthread_mutex_unlock(&all->lock);
}

/* Not queued at once: whoever asks next has it read. Otherwise all that was ever asked for would be read at the same time. */
void slots_gap(struct slots *all)
{
    pthread_mutex_lock(&all->lock);
    for (size_t i = 0; i < all->stats.slots; i++, all->ring = all->ring->next) {
        all->ring->whole = true;
        if (all->ring->light_on || all->ring->heavy_on || all->ring->nrules > SLOT_LIGHT_MAX)
            want_light(all->ring);
    }
    pthread_mutex_unlock(&all->lock);
}

/* ---- The light job: reads, lays over, publishes ------------------------------------------------------------------- */

/* What one run of the light job has taken on itself. */
struct work {
    struct slot  *slot;
    struct hand  *hand;
    struct store *store;
    bool          whole;
    struct notes  notes;
    struct scope *compiled; /* adopt this */
    struct scope *fresh;    /* what will hold, built */
    bool          build;    /* there is something new to publish */
    bool          heavy;    /* the heavy job has to read */
    bool          merge;    /* it might as well: the patch is large */
    size_t        left_out;
    uint64_t      compiles, overlays, merges, took_us;
};

/* ctx: how many so far, or NULL. */
static void log_left_out(void *ctx, const struct uuid *rule, const struct err *why)
{
    size_t         *before = ctx;
    struct log_line l;
    char            id[UUID_TEXT + 1];

    if (before != NULL && (*before)++ >= LEFT_OUT_LOGGED)
        return;
    uuid_format(rule, id);
    log_begin(&l, LOG_LEVEL_WARNING, "rule left out");
    log_str(&l, "rule", id);
    log_str(&l, "why", why->text);
    log_end(&l);
}

static void left_out(void *ctx, const struct uuid *rule, const struct err *why)
{
    log_left_out(&((struct work *)ctx)->left_out, rule, why);
}

static bool should_stop(void *ctx) { return hand_stopping(((struct work *)ctx)->hand); }

static struct compile_how how_of(struct work *w, size_t rules_max)
{
    return (struct compile_how){.rules_max = rules_max, .left_out = left_out, .stop = should_stop, .ctx = w};
}

/* A patch outlives the work that began it. */
static const struct compile_how patch_how = {.left_out = log_left_out};

/* While the heavy job reads, readings of the whole wait for it, and single rules too if there is nothing to lay them over. */
static void take_work(struct slot *s, struct work *w)
{
    pthread_mutex_lock(&s->all->lock);
    w->compiled = s->compiled;
    s->compiled = NULL;
    if (!s->heavy_on) {
        w->whole = s->whole;
        s->whole = false;
    }
    if (!s->heavy_on || s->base != NULL || w->compiled != NULL) {
        w->notes = s->notes;
        s->notes = (struct notes){0};
    }
    pthread_mutex_unlock(&s->all->lock);
}

/* Frees it later, elsewhere, if freeing takes a while: its last holder may be a listener's loop. */
static void bury(struct slots *all, struct scope **old)
{
    struct grave *g;

    if (*old == NULL || scope_memory(*old) < GRAVE_BYTES) {
        scope_drop(old);
        return;
    }
    if ((g = calloc(1, sizeof *g)) == NULL)
        panic("out of memory");
    g->scope = *old;
    g->at_us = clock_mono_us();
    *old = NULL;
    pthread_mutex_lock(&all->lock);
    g->next = all->graves;
    all->graves = g;
    pthread_mutex_unlock(&all->lock);
}

static void set_base(struct slot *s, struct scope *base)
{
    bury(s->all, &s->base);
    scope_patch_free(&s->patch);
    s->base = base != NULL && scope_nrules(base) > SLOT_PATCH_MIN ? scope_hold(base) : NULL;
}

/* 0 also when it turned out to be one for the heavy job. */
static int read_whole(struct work *w, struct err *e)
{
    struct slot       *s = w->slot;
    struct compile_how how = how_of(w, SLOT_LIGHT_MAX);
    struct scope      *scope;
    struct err         why = ERR_INIT;
    int64_t            begun = clock_mono_us();

    if (s->base != NULL && scope_nrules(s->base) > SLOT_LIGHT_MAX) {
        w->heavy = true;
        return 0;
    }
    if (store_scope_compile(w->store, s->scope, &how, &scope, &why) < 0) {
        if (why.code == ERR_LIMIT) {
            w->heavy = true;
            return 0;
        }
        if (e != NULL)
            *e = why;
        return -1;
    }
    w->compiles++;
    w->took_us = (uint64_t)(clock_mono_us() - begun);
    set_base(s, scope);
    scope_drop(&w->fresh);
    w->fresh = scope;
    w->build = true;
    clear_notes(&w->notes);
    return 0;
}

static int note_again(void *ctx, const struct uuid *rule, int64_t seq)
{
    put_note(ctx, rule, seq);
    return 0;
}

/* The heavy job's scope becomes the base; what changed after its reading began stays to be laid over it. */
static void adopt(struct work *w)
{
    struct slot *s = w->slot;
    int64_t      at = scope_at_change(w->compiled);
    size_t       kept = 0;

    if (s->patch != NULL)
        scope_patch_each(s->patch, at, note_again, &w->notes);
    for (size_t i = 0; i < w->notes.n; i++) {
        if (w->notes.list[i].seq > at)
            w->notes.list[kept++] = w->notes.list[i];
    }
    if (kept == 0)
        clear_notes(&w->notes);
    w->notes.n = kept;
    set_base(s, w->compiled);
    w->fresh = scope_hold(w->compiled);
    w->build = true;
    w->merges++;
}

static bool patch_is_large(const struct slot *s)
{
    size_t n = scope_patch_size(s->patch);

    return n > SLOT_PATCH_MAX && n > scope_nrules(s->base) / 20;
}

/* On top of the base; a patch that has no room left waits for the heavy job's reading. */
static int lay_over(struct work *w, struct err *e)
{
    struct slot  *s = w->slot;
    struct scope *over;
    struct err    why = ERR_INIT;

    if (s->patch == NULL)
        s->patch = scope_patch_new(&patch_how);
    for (size_t i = 0; i < w->notes.n; i++) {
        if (scope_patch_read(s->patch, w->store, &w->notes.list[i].rule, w->notes.list[i].seq, &why) < 0)
            break;
    }
    if (why.code == ERR_NONE && scope_patch_apply(s->patch, s->scope, s->base, &over, &why) == 0) {
        scope_drop(&w->fresh);
        w->fresh = over;
        w->build = true;
        w->overlays++;
        w->merge = patch_is_large(s);
        return 0;
    }
    if (why.code == ERR_LIMIT) {
        w->heavy = true;
        return 0;
    }
    if (e != NULL)
        *e = why;
    return -1;
}

static int refresh(struct work *w, struct err *e)
{
    if (hand_store(w->hand, &w->store, e) < 0)
        return -1;
    if (w->compiled != NULL)
        adopt(w);
    if (w->whole && read_whole(w, e) < 0)
        return -1;
    if (w->notes.n == 0)
        return 0;
    if (w->slot->base != NULL)
        return lay_over(w, e);
    return w->heavy ? 0 : read_whole(w, e);
}

static void publish(struct slot *s, struct scope *fresh)
{
    struct scope *old;
    size_t        bytes = fresh ? scope_memory(fresh) : 0, nrules = fresh ? scope_nrules(fresh) : 0;

    if (nrules == 0) {
        scope_drop(&fresh);
        bytes = 0;
    }
    pthread_mutex_lock(&s->lock);
    old = s->now;
    s->now = fresh;
    atomic_store(&s->edition, atomic_fetch_add(&editions, 1));
    atomic_store(&s->loaded, true);
    pthread_mutex_unlock(&s->lock);
    bury(s->all, &old);

    pthread_mutex_lock(&s->all->lock);
    s->all->stats.bytes += bytes - s->bytes;
    s->bytes = bytes;
    s->nrules = nrules;
    s->read_us = clock_mono_us();
    pthread_mutex_unlock(&s->all->lock);
}

/* Under the table's lock. */
static void note_error(struct slot *s, const struct err *e)
{
    if (s->error == NULL && (s->error = malloc(sizeof *s->error)) == NULL)
        panic("out of memory");
    *s->error = *e;
    s->retry_us = clock_mono_us() + RETRY_US;
    s->all->stats.errors++;
    watch(s);
}

static struct job *take_parked(struct slot *s)
{
    struct job *j = s->parked;

    s->parked = NULL;
    return j;
}

static void release(struct slots *all, struct job *parked)
{
    while (parked != NULL) {
        struct job *j = parked;

        parked = j->next;
        desk_put(all->light, j);
    }
}

/* What could not be done is to be done again; what came meanwhile is done next. */
static void settle(struct work *w, int rc, const struct err *e)
{
    struct slot  *s = w->slot;
    struct slots *all = s->all;
    struct job   *parked = NULL;
    bool          again;

    pthread_mutex_lock(&all->lock);
    all->stats.compiles += w->compiles;
    all->stats.overlays += w->overlays;
    all->stats.merges += rc == 0 ? w->merges : 0;
    if (w->took_us > all->stats.compile_us_max)
        all->stats.compile_us_max = w->took_us;
    if (rc < 0) {
        s->whole = true;
        note_error(s, e);
    } else {
        free(s->error);
        s->error = NULL;
    }
    if (w->heavy) {
        if (s->heavy_on)
            s->whole = true;
        want_heavy(s);
    } else if (w->merge && !s->heavy_on) {
        want_heavy(s);
    }
    again = rc == 0 && (s->compiled != NULL || (!s->heavy_on && (s->whole || s->notes.n > 0)) ||
                        (s->heavy_on && s->base != NULL && s->notes.n > 0));
    s->light_on = again;
    if (again)
        desk_put_first(all->light, &s->light);
    if (atomic_load(&s->loaded) || s->error != NULL)
        parked = take_parked(s);
    pthread_mutex_unlock(&all->lock);
    release(all, parked);
    if (!again)
        slot_drop(&s);
}

/* ---- Throwing out ------------------------------------------------------------------------------------------------ */

/* Under the table's lock: nobody works on it, and nobody has asked for it since the last round. Who was read a moment ago
 * stays, or the scopes of one recipient could push out each other for ever. */
static bool may_go(struct slot *s, int64_t now)
{
    if (s->scope.kind == SCOPE_GLOBAL || s->bytes == 0 || s->light_on || s->heavy_on || now - s->read_us < SLOT_KEEP_US)
        return false;
    return !atomic_exchange(&s->used, false);
}

static void throw_out(struct slots *all, struct slot *s, struct scope **now_out, struct scope **base_out)
{
    pthread_mutex_lock(&s->lock);
    *now_out = s->now;
    s->now = NULL;
    atomic_store(&s->loaded, false);
    atomic_store(&s->edition, 0);
    pthread_mutex_unlock(&s->lock);
    *base_out = s->base;
    s->base = NULL;
    scope_patch_free(&s->patch);
    s->whole = true;
    clear_notes(&s->notes);
    all->stats.bytes -= s->bytes;
    s->bytes = s->nrules = 0;
}

/* At most two rounds: the first may find all of them used. */
static void make_room(struct slots *all)
{
    int64_t started_us = clock_mono_us();

    for (size_t i = 0;; i++) {
        struct scope *now = NULL, *base = NULL;
        bool          done;

        pthread_mutex_lock(&all->lock);
        done = all->stats.bytes <= all->bytes_max || i >= 2 * all->stats.slots;
        if (!done) {
            all->ring = all->ring->next;
            if (may_go(all->ring, started_us))
                throw_out(all, all->ring, &now, &base);
        }
        pthread_mutex_unlock(&all->lock);
        scope_drop(&now);
        scope_drop(&base);
        if (done)
            return;
    }
}

static void light_run(struct job *j, struct hand *h)
{
    struct slot *s = (struct slot *)((char *)j - offsetof(struct slot, light));
    struct work  w = {.slot = s, .hand = h};
    struct err   e = ERR_INIT;
    int          rc;

    take_work(s, &w);
    rc = refresh(&w, &e);
    if (rc == 0 && w.build) {
        publish(s, w.fresh);
        w.fresh = NULL;
        make_room(s->all);
    }
    scope_drop(&w.fresh);
    scope_drop(&w.compiled);
    free(w.notes.list);
    settle(&w, rc, &e);
}

/* ---- The heavy job: compiles ------------------------------------------------------------------------------------- */

static void heavy_run(struct job *j, struct hand *h)
{
    struct slot       *s = (struct slot *)((char *)j - offsetof(struct slot, heavy));
    struct slots      *all = s->all;
    struct work        w = {.slot = s, .hand = h};
    struct compile_how how = how_of(&w, 0);
    struct scope      *scope = NULL;
    struct job        *parked = NULL;
    struct err         e = ERR_INIT;
    int64_t            begun = clock_mono_us();
    int                rc = hand_store(h, &w.store, &e);

    if (rc == 0)
        rc = store_scope_compile(w.store, s->scope, &how, &scope, &e);
    pthread_mutex_lock(&all->lock);
    s->heavy_on = false;
    if (rc == 0) {
        uint64_t took = (uint64_t)(clock_mono_us() - begun);

        s->compiled = scope;
        all->stats.compiles++;
        all->stats.compile_us_max = took > all->stats.compile_us_max ? took : all->stats.compile_us_max;
        want_light(s);
    } else {
        s->whole = true;
        note_error(s, &e);
        parked = take_parked(s);
    }
    pthread_mutex_unlock(&all->lock);
    release(all, parked);
    slot_drop(&s);
}

/* ---- Now and then ------------------------------------------------------------------------------------------------ */

/* Under the table's lock. Its waiters, when they have waited long enough. */
static struct job *look_after(struct slot *s, int64_t now)
{
    if (s->error != NULL && now >= s->retry_us && !s->heavy_on && atomic_load(&s->loaded))
        want_light(s);
    if (s->heavy_on && s->parked != NULL && now - s->heavy_since_us > SLOT_WAIT_US)
        return take_parked(s);
    return NULL;
}

static bool needs_watching(const struct slot *s)
{
    return s->heavy_on || (s->error != NULL && atomic_load(&s->loaded));
}

static struct grave *take_graves(struct slots *all, int64_t now)
{
    struct grave *due = NULL, **at = &all->graves;

    while (*at != NULL) {
        struct grave *g = *at;

        if (now - g->at_us < GRAVE_US) {
            at = &g->next;
            continue;
        }
        *at = g->next;
        g->next = due;
        due = g;
    }
    return due;
}

void slots_tick(struct slots *all)
{
    int64_t       now = clock_mono_us();
    struct job   *parked = NULL;
    struct grave *due;

    pthread_mutex_lock(&all->lock);
    for (struct slot **at = &all->watched; *at != NULL;) {
        struct slot *s = *at;
        struct job  *late = look_after(s, now);

        while (late != NULL) {
            struct job *j = late;

            late = j->next;
            j->next = parked;
            parked = j;
        }
        if (needs_watching(s)) {
            at = &s->watched_next;
        } else {
            *at = s->watched_next;
            s->watched = false;
        }
    }
    due = take_graves(all, now);
    pthread_mutex_unlock(&all->lock);
    release(all, parked);
    while (due != NULL) {
        struct grave *g = due;

        due = g->next;
        scope_drop(&g->scope);
        free(g);
    }
}

void slots_stats(struct slots *all, struct slots_stats *out)
{
    pthread_mutex_lock(&all->lock);
    *out = all->stats;
    out->compiling = 0;
    for (const struct slot *s = all->watched; s != NULL; s = s->watched_next)
        out->compiling += s->heavy_on && !atomic_load(&s->loaded);
    pthread_mutex_unlock(&all->lock);
}

/* rulesd/slot_work.c - see slot.h: the two jobs that fill a slot, and the room that they need. */
#include "slot_inside.h"

#include <stdlib.h>

#include "base/log.h"

#define RETRY_US 1000000
#define LEFT_OUT_LOGGED 10 /* a compilation names that many damaged rules */

static atomic_uint_fast64_t editions = 1;

/* ---- Reading ----------------------------------------------------------------------------------------------------------- */

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

/* While the heavy job reads, readings of the whole wait for it, and single rules too if there is nothing to lay them
 * over. */
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

static void set_base(struct slot *s, struct scope *base)
{
    slots_bury(s->all, &s->base);
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
    notes_clear(&w->notes);
    return 0;
}

static int note_again(void *ctx, const struct uuid *rule, int64_t seq)
{
    notes_put(ctx, rule, seq);
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
        notes_clear(&w->notes);
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

/* ---- Publishing -------------------------------------------------------------------------------------------------------- */

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
    slots_bury(s->all, &old);

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
    slot_watch(s);
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
        slot_want_heavy(s);
    } else if (w->merge && !s->heavy_on) {
        slot_want_heavy(s);
    }
    again = rc == 0 && (s->compiled != NULL || (!s->heavy_on && (s->whole || s->notes.n > 0)) ||
                        (s->heavy_on && s->base != NULL && s->notes.n > 0));
    s->light_on = again;
    if (again)
        desk_put_first(all->light, &s->light);
    if (atomic_load(&s->loaded) || s->error != NULL)
        parked = slot_take_parked(s);
    pthread_mutex_unlock(&all->lock);
    slots_release(all, parked);
    if (!again)
        slot_drop(&s);
}

/* ---- Throwing out ------------------------------------------------------------------------------------------------ */

/* Under the table's lock: nobody works on it, and nobody has asked for it since the last round. Who was read a
 * moment ago stays, or the scopes of one recipient could push out each other for ever. */
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
    notes_clear(&s->notes);
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

void slot_light_run(struct job *j, struct hand *h)
{
    struct slot *s = HOLDER(j, struct slot, light);
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

void slot_heavy_run(struct job *j, struct hand *h)
{
    struct slot       *s = HOLDER(j, struct slot, heavy);
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
        slot_want_light(s);
    } else {
        s->whole = true;
        note_error(s, &e);
        parked = slot_take_parked(s);
    }
    pthread_mutex_unlock(&all->lock);
    slots_release(all, parked);
    slot_drop(&s);
}

/* rulesd/slot.c - see slot.h: the table of slots, what the feed tells them, and what is done now and then.
 *
 * The way of a change: the feed notes it in its slot and queues the light job; the job takes the note, reads,
 * builds, and publishes. The way of a large scope: the light job finds it too large and queues the heavy one; that
 * leaves what it compiled in the slot for the light job to adopt. */
#include "slot_inside.h"

#include <stdlib.h>

#define NOTES_MAX 1000         /* rules noted one by one; more: all of the scope */
#define GRAVE_BYTES (1u << 20) /* larger scopes are freed by the ticking thread */
#define GRAVE_US 2000000

struct grave {
    struct grave *next;
    struct scope *scope;
    int64_t       at_us;
};

/* ---- The table --------------------------------------------------------------------------------------------------------- */

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
    s->light.run = slot_light_run;
    s->heavy.run = slot_heavy_run;
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

void slot_watch(struct slot *s)
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

/* ---- Jobs, and who waits for them -------------------------------------------------------------------------------------- */

void slot_want_light(struct slot *s)
{
    if (s->light_on)
        return;
    s->light_on = true;
    slot_hold(s);
    desk_put_first(s->all->light, &s->light);
}

void slot_want_heavy(struct slot *s)
{
    if (s->heavy_on)
        return;
    s->heavy_on = true;
    s->heavy_since_us = clock_mono_us();
    slot_hold(s);
    slot_watch(s);
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
        slot_want_heavy(s);
    }
    pthread_mutex_unlock(&all->lock);
    slot_drop(&s);
}

struct job *slot_take_parked(struct slot *s)
{
    struct job *j = s->parked;

    s->parked = NULL;
    return j;
}

void slots_release(struct slots *all, struct job *parked)
{
    while (parked != NULL) {
        struct job *j = parked;

        parked = j->next;
        desk_put(all->light, j);
    }
}

/* ---- Changes ----------------------------------------------------------------------------------------------------- */

void notes_put(struct notes *to, const struct uuid *rule, int64_t seq)
{
    if ((to->n & (to->n - 1)) == 0) { /* full at every power of two */
        to->list = realloc(to->list, (to->n ? 2 * to->n : 1) * sizeof *to->list);
        if (to->list == NULL)
            panic("out of memory");
    }
    to->list[to->n++] = (struct note){*rule, seq};
}

void notes_clear(struct notes *n)
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
            notes_put(&s->notes, rule, seq);
        slot_want_light(s);
    }
    pthread_mutex_unlock(&all->lock);
}

/* Not queued at once: whoever asks next has it read. Otherwise all that was ever asked for would be read at the same
 * time. */
void slots_gap(struct slots *all)
{
    pthread_mutex_lock(&all->lock);
    for (size_t i = 0; i < all->stats.slots; i++, all->ring = all->ring->next) {
        all->ring->whole = true;
        if (all->ring->light_on || all->ring->heavy_on || all->ring->nrules > SLOT_LIGHT_MAX)
            slot_want_light(all->ring);
    }
    pthread_mutex_unlock(&all->lock);
}

/* ---- Graves ------------------------------------------------------------------------------------------------------------ */

void slots_bury(struct slots *all, struct scope **old)
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

/* ---- Now and then ------------------------------------------------------------------------------------------------ */

/* Under the table's lock. Its waiters, when they have waited long enough. */
static struct job *look_after(struct slot *s, int64_t now)
{
    if (s->error != NULL && now >= s->retry_us && !s->heavy_on && atomic_load(&s->loaded))
        slot_want_light(s);
    if (s->heavy_on && s->parked != NULL && now - s->heavy_since_us > SLOT_WAIT_US)
        return slot_take_parked(s);
    return NULL;
}

static bool needs_watching(const struct slot *s)
{
    return s->heavy_on || (s->error != NULL && atomic_load(&s->loaded));
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
    slots_release(all, parked);
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

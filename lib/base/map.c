/* lib/base/map.c - see map.h. A slot without a value is free, or a tombstone when it has a key. */
#include "base/map.h"

#include <stdlib.h>

#include "base/err.h"

#define MAP_LEAST 16

static const char grave[1];

static bool is_grave(const struct map_slot *s) { return s->value == NULL && s->key.p == grave; }

/* The slot that holds key; else the first one where it may be put. The table has a free slot at any time. */
static struct map_slot *slot_of(const struct map *m, struct span key, uint64_t hash)
{
    struct map_slot *reusable = NULL;

    for (size_t i = hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
        struct map_slot *s = &m->slots[i];

        if (s->value != NULL) {
            if (s->hash == hash && span_eq(s->key, key))
                return s;
        } else if (is_grave(s)) {
            reusable = reusable ? reusable : s;
        } else {
            return reusable ? reusable : s;
        }
    }
}

/* Twice as large if it is more than half full of living ones; else only the tombstones go. */
static void rebuild(struct map *m)
{
    struct map old = *m;

    m->cap = old.cap == 0 ? MAP_LEAST : old.n >= old.cap / 2 ? 2 * old.cap : old.cap;
    m->used = m->n;
    m->slots = calloc(m->cap, sizeof *m->slots);
    if (m->slots == NULL)
        panic("out of memory for %zu slots", m->cap);
    for (size_t i = 0; i < old.cap; i++) {
        if (old.slots[i].value != NULL)
            *slot_of(m, old.slots[i].key, old.slots[i].hash) = old.slots[i];
    }
    free(old.slots);
}

void map_init(struct map *m) { *m = (struct map){0}; }

void map_fini(struct map *m)
{
    free(m->slots);
    *m = (struct map){0};
}

void *map_get(const struct map *m, struct span key) { return m->n > 0 ? slot_of(m, key, span_hash(key))->value : NULL; }

void *map_put(struct map *m, struct span key, void *value)
{
    uint64_t         hash = span_hash(key);
    struct map_slot *s;
    void            *before;

    if (value == NULL)
        panic("a map holds no NULL");
    if (4 * (m->used + 1) > 3 * m->cap)
        rebuild(m);
    s = slot_of(m, key, hash);
    before = s->value;
    if (before == NULL) {
        m->used += !is_grave(s);
        m->n++;
    }
    *s = (struct map_slot){key, value, hash};
    return before;
}

void *map_del(struct map *m, struct span key)
{
    struct map_slot *s = m->n > 0 ? slot_of(m, key, span_hash(key)) : NULL;
    void            *before = s ? s->value : NULL;

    if (before == NULL)
        return NULL;
    *s = (struct map_slot){.key = {grave, 0}};
    m->n--;
    return before;
}

bool map_next(const struct map *m, size_t *at, struct span *key_out, void **value_out)
{
    while (*at < m->cap) {
        const struct map_slot *s = &m->slots[(*at)++];

        if (s->value == NULL)
            continue;
        if (key_out != NULL)
            *key_out = s->key;
        if (value_out != NULL)
            *value_out = s->value;
        return true;
    }
    return false;
}

/* lib/base/map.h - a hash map from bytes to a pointer.
 *
 * Open addressing, linear probing, grown at 3/4. Keys are borrowed: the caller keeps their bytes alive (usually
 * inside the value). Values are never NULL. The hash is seeded (span_hash), so a stranger cannot build chains.
 * Not thread-safe. map_next() walks in no order; deleting the walked item is allowed. */
#ifndef POSTERN_BASE_MAP_H
#define POSTERN_BASE_MAP_H

#include "base/span.h"

struct map_slot {
    struct span key;
    void       *value;
    uint64_t    hash;
};
struct map {
    struct map_slot *slots;
    size_t           n, used, cap; /* used counts tombstones too */
};

void  map_init(struct map *m);
void  map_fini(struct map *m); /* frees the table, not keys or values */
void *map_get(const struct map *m, struct span key);
/* Puts or replaces; returns the value that was there before, or NULL. */
void *map_put(struct map *m, struct span key, void *value);
void *map_del(struct map *m, struct span key); /* the removed value, or NULL */
/* Start with *at = 0; false at the end. */
bool map_next(const struct map *m, size_t *at, struct span *key_out, void **value_out);

#endif

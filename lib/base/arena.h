/* lib/base/arena.h - memory with one lifetime.
 *
 * Everything taken from an arena dies together in arena_reset() or arena_fini(). At its ceiling arena_alloc()
 * returns NULL and sets `full` (sticky until reset): that fails the request, never the process; only a failed
 * malloc aborts. Blocks double from 4 KiB up to 256 KiB; reset keeps the first block. Memory is 16-byte aligned,
 * not zeroed (arena_zalloc zeroes), poisoned for ASan when not handed out. One thread at a time. */
#ifndef POSTERN_BASE_ARENA_H
#define POSTERN_BASE_ARENA_H

#include "base/span.h"

struct arena_block;
struct arena {
    struct arena_block *blocks; /* newest first */
    size_t              used, max;
    bool                full;
};

void  arena_init(struct arena *a, size_t max);
void  arena_fini(struct arena *a);
void  arena_reset(struct arena *a);
void *arena_alloc(struct arena *a, size_t n);
void *arena_zalloc(struct arena *a, size_t n);
/* An array of `count` items of `size`, zeroed; NULL also when the product overflows. */
void *arena_array(struct arena *a, size_t count, size_t size);
/* Copies; the copy is followed by a NUL that does not count. {NULL, 0} at the ceiling. */
struct span arena_dup(struct arena *a, struct span s);
char       *arena_str(struct arena *a, struct span s);
struct span arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif

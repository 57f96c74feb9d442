/* lib/base/arena.c - see arena.h. Blocks form a list, the one in use first; what is too large for a share of a
 * block gets a block of its own behind it, so that the rest of the one in use is not wasted. */
#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"

#if defined(__SANITIZE_ADDRESS__)
#define POISONED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISONED 1
#endif
#endif

#ifdef POISONED
#include <sanitizer/asan_interface.h>
#define poison(p, n) ASAN_POISON_MEMORY_REGION(p, n)
#define unpoison(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#else
#define poison(p, n) ((void)(p), (void)(n))
#define unpoison(p, n) ((void)(p), (void)(n))
#endif

#define ALIGN 16
#define BLOCK_MIN ((size_t)4 << 10)
#define BLOCK_MAX ((size_t)256 << 10)

struct arena_block {
    struct arena_block *next;
    size_t              used, cap;
    alignas(ALIGN) char bytes[];
};

static struct arena_block *block_new(size_t cap)
{
    struct arena_block *b = malloc(sizeof *b + cap);

    if (b == NULL)
        panic("out of memory for %zu bytes", cap);
    b->next = NULL;
    b->used = 0;
    b->cap = cap;
    poison(b->bytes, cap);
    return b;
}

static void block_free(struct arena_block *b)
{
    unpoison(b->bytes, b->cap);
    free(b);
}

static void *block_take(struct arena_block *b, size_t n, size_t rounded)
{
    char *p = b->bytes + b->used;

    b->used += rounded;
    unpoison(p, n);
    return p;
}

/* A block with room for n. Who wants more than a quarter of the largest block gets one of its own. */
static struct arena_block *block_for(struct arena *a, size_t n)
{
    struct arena_block *first = a->blocks, *fresh;
    size_t              cap = BLOCK_MIN;

    if (first != NULL && n <= first->cap - first->used)
        return first;
    if (first != NULL)
        cap = first->cap < BLOCK_MAX / 2 ? 2 * first->cap : BLOCK_MAX;
    fresh = block_new(n > cap ? n : cap);
    if (first != NULL && n > BLOCK_MAX / 4) {
        fresh->next = first->next;
        first->next = fresh;
    } else {
        fresh->next = first;
        a->blocks = fresh;
    }
    return fresh;
}

void arena_init(struct arena *a, size_t max) { *a = (struct arena){.max = max}; }

static void free_from(struct arena_block *b)
{
    while (b != NULL) {
        struct arena_block *next = b->next;

        block_free(b);
        b = next;
    }
}

void arena_fini(struct arena *a)
{
    free_from(a->blocks);
    *a = (struct arena){.max = a->max};
}

void arena_reset(struct arena *a)
{
    struct arena_block *first = a->blocks;

    a->used = 0;
    a->full = false;
    if (first == NULL)
        return;
    free_from(first->next);
    first->next = NULL;
    if (first->cap > BLOCK_MAX) { /* one huge request must not be paid for ever */
        block_free(first);
        a->blocks = NULL;
        return;
    }
    first->used = 0;
    poison(first->bytes, first->cap);
}

void *arena_alloc(struct arena *a, size_t n)
{
    size_t rounded = n == 0 ? ALIGN : (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);

    if (a->full || rounded < n || rounded > a->max - a->used) {
        a->full = true;
        return NULL;
    }
    a->used += rounded;
    return block_take(block_for(a, rounded), n, rounded);
}

void *arena_zalloc(struct arena *a, size_t n)
{
    void *p = arena_alloc(a, n);

    return p != NULL ? memset(p, 0, n) : NULL;
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
    size_t n;

    if (__builtin_mul_overflow(count, size, &n)) {
        a->full = true;
        return NULL;
    }
    return arena_zalloc(a, n);
}

struct span arena_dup(struct arena *a, struct span s)
{
    char *p = s.n < SIZE_MAX ? arena_alloc(a, s.n + 1) : NULL;

    if (p == NULL)
        return SPAN_NONE;
    if (s.n > 0)
        memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return span_make(p, s.n);
}

char *arena_str(struct arena *a, struct span s) { return (char *)arena_dup(a, s).p; }

struct span arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    char   *p;
    int     n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        panic("bad format %s", fmt);
    if ((p = arena_alloc(a, (size_t)n + 1)) == NULL)
        return SPAN_NONE;
    va_start(ap, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return span_make(p, (size_t)n);
}

/* lib/rules/literal.c - see literal.h.
 *
 * Building: equal texts are made one by a hash over the whole text; then every literal chooses, among the windows of its
 * class (the widest of 8, 4, 3, 2, 1 bytes that fits into it), the bucket that has the fewest so far; then a counting sort
 * lays each class out flat: `starts[bucket]` to `starts[bucket + 1]` are its literals.
 * Scanning: one tight loop a class in use. A literal that was found is remembered in a bit set (made at the first find), so a
 * text that repeats one costs no more than the look at its bit. */
#include "rules/literal.h"

#include <stdlib.h>

#include "base/err.h"

#define CHAINED 0x80000000u /* in an id: the rest is an index into `chain` */
#define NONE UINT32_MAX

static const struct class
{
    size_t width;
} classes[] = {{8}, {4}, {3}, {2}, {1}};
#define NCLASSES COUNT(classes)

struct literal {
    const char *p;
    uint32_t    id;    /* or CHAINED */
    uint16_t    n, at; /* the window it is filed under starts at `at` */
};

/* Several ids of one text: `next` is an id, or CHAINED again. */
struct link {
    uint32_t id, next;
};

struct bucket_table {
    uint64_t *bitmap;
    uint32_t *starts;         /* nbuckets + 1, indices into the set's literals */
    unsigned  bits, map_bits; /* log2 of the number of buckets / of bits in the bitmap; bits 0: class not in use */
};

struct literal_set {
    struct literal     *literals;
    struct link        *chain;
    size_t              n, nchain;
    uint64_t            multiplier;
    struct bucket_table tables[NCLASSES];
};

struct literal_builder {
    struct literal *literals;
    size_t          n, cap;
};

static void *must(void *p)
{
    if (p == NULL)
        panic("out of memory");
    return p;
}

struct literal_builder *literal_builder_new(void) { return must(calloc(1, sizeof(struct literal_builder))); }

void literal_builder_free(struct literal_builder **b)
{
    if (*b != NULL)
        free((*b)->literals);
    free(*b);
    *b = NULL;
}

void literal_add(struct literal_builder *b, struct span text, uint32_t id)
{
    if (text.n == 0 || text.n > UINT16_MAX || id > LITERAL_ID_MAX)
        panic("a literal of %zu bytes with id %u", text.n, id);
    if (b->n == b->cap) {
        b->cap = b->cap > 0 ? 2 * b->cap : 16;
        b->literals = must(realloc(b->literals, b->cap * sizeof *b->literals));
    }
    b->literals[b->n++] = (struct literal){.p = text.p, .id = id, .n = (uint16_t)text.n};
}

static unsigned log2_over(size_t n)
{
    unsigned bits = 1;

    while (((size_t)1 << bits) < n)
        bits++;
    return bits;
}

static size_t class_of(size_t n)
{
    for (size_t c = 0; c < NCLASSES; c++) {
        if (n >= classes[c].width)
            return c;
    }
    panic("an empty literal");
}

/* `width` is a constant wherever this is inlined, so it is one load. */
static inline uint64_t window(const char *p, size_t width)
{
    uint64_t v = 0;

    memcpy(&v, p, width);
    return v;
}

static inline uint64_t window_hash(uint64_t multiplier, uint64_t v)
{
    v ^= v >> 32;
    v *= multiplier;
    return v ^ v >> 29;
}

static inline size_t bucket_of(const struct bucket_table *t, uint64_t hash) { return hash >> (64 - t->bits); }

static inline size_t map_bit(const struct bucket_table *t, uint64_t hash) { return hash >> (64 - t->map_bits); }

static struct span text_of(const struct literal *l) { return span_make(l->p, l->n); }

/* Makes equal texts one literal with a chain of ids. Returns how many texts are left. */
static size_t unite(struct literal_set *set, struct literal *in, size_t n)
{
    size_t    mask = ((size_t)1 << log2_over(2 * n)) - 1, kept = 0, cap = 0;
    uint32_t *slots = must(malloc((mask + 1) * sizeof *slots));

    memset(slots, 0xff, (mask + 1) * sizeof *slots);
    for (size_t i = 0; i < n; i++) {
        struct span text = text_of(&in[i]);
        size_t      at = span_hash(text) & mask;

        while (slots[at] != NONE && !span_eq(text_of(&in[slots[at]]), text))
            at = (at + 1) & mask;
        if (slots[at] == NONE) {
            slots[at] = (uint32_t)kept;
            in[kept++] = in[i];
            continue;
        }
        if (set->nchain == cap) {
            cap = cap > 0 ? 2 * cap : 16;
            set->chain = must(realloc(set->chain, cap * sizeof *set->chain));
        }
        set->chain[set->nchain] = (struct link){in[i].id, in[slots[at]].id};
        in[slots[at]].id = CHAINED | (uint32_t)set->nchain++;
    }
    free(slots);
    return kept;
}

/* The offset of the window of l whose bucket has the fewest so far. */
static size_t emptiest(const struct literal_set *set, const struct literal *l, size_t c, const uint32_t *counts)
{
    const struct bucket_table *t = &set->tables[c];
    size_t                     width = classes[c].width, best = 0;
    uint32_t                   least = UINT32_MAX;

    for (size_t at = 0; at + width <= l->n && least > 0; at++) {
        size_t bucket = bucket_of(t, window_hash(set->multiplier, window(l->p + at, width)));

        if (counts[bucket] < least) {
            least = counts[bucket];
            best = at;
        }
    }
    return best;
}

/* Files the literals of class c, which become set->literals[base …]. Returns how many there are. */
static size_t file_class(struct literal_set *set, const struct literal *in, size_t n, size_t c, size_t base)
{
    struct bucket_table *t = &set->tables[c];
    size_t               count = 0, nbuckets, at = base;
    uint32_t            *chosen;

    for (size_t i = 0; i < n; i++)
        count += class_of(in[i].n) == c;
    if (count == 0)
        return 0;
    t->bits = log2_over(count);
    t->map_bits = log2_over(32 * count);
    nbuckets = (size_t)1 << t->bits;
    t->bitmap = must(calloc(((size_t)1 << t->map_bits) / 64 + 1, sizeof *t->bitmap));
    t->starts = must(calloc(nbuckets + 1, sizeof *t->starts));
    chosen = must(calloc(n, sizeof *chosen));
    for (size_t i = 0; i < n; i++) {
        uint64_t hash;

        if (class_of(in[i].n) != c)
            continue;
        chosen[i] = (uint32_t)emptiest(set, &in[i], c, t->starts);
        hash = window_hash(set->multiplier, window(in[i].p + chosen[i], classes[c].width));
        t->starts[bucket_of(t, hash)]++;
        t->bitmap[map_bit(t, hash) / 64] |= (uint64_t)1 << map_bit(t, hash) % 64;
    }
    for (size_t bucket = 0; bucket <= nbuckets; bucket++) { /* counts become the end of each bucket … */
        at += bucket < nbuckets ? t->starts[bucket] : 0;
        t->starts[bucket] = (uint32_t)at;
    }
    for (size_t i = n; i-- > 0;) { /* … and, filled from behind, its start */
        struct literal l = in[i];

        if (class_of(l.n) != c)
            continue;
        l.at = (uint16_t)chosen[i];
        set->literals[--t->starts[bucket_of(t, window_hash(set->multiplier, window(l.p + l.at, classes[c].width)))]] =
            l;
    }
    free(chosen);
    return count;
}

struct literal_set *literal_build(struct literal_builder **b)
{
    struct literal_set *set = NULL;
    size_t              base = 0;

    if ((*b)->n > 0) {
        set = must(calloc(1, sizeof *set));
        set->multiplier = span_hash(SPAN("literal")) | 1;
        set->n = unite(set, (*b)->literals, (*b)->n);
        set->literals = must(calloc(set->n + 1, sizeof *set->literals));
        for (size_t c = 0; c < NCLASSES; c++)
            base += file_class(set, (*b)->literals, set->n, c, base);
    }
    literal_builder_free(b);
    return set;
}

void literal_free(struct literal_set **set)
{
    if (*set == NULL)
        return;
    for (size_t c = 0; c < NCLASSES; c++) {
        free((*set)->tables[c].bitmap);
        free((*set)->tables[c].starts);
    }
    free((*set)->literals);
    free((*set)->chain);
    free(*set);
    *set = NULL;
}

size_t literal_memory(const struct literal_set *set)
{
    size_t bytes;

    if (set == NULL)
        return 0;
    bytes = sizeof *set + set->n * sizeof *set->literals + set->nchain * sizeof *set->chain;
    for (size_t c = 0; c < NCLASSES; c++) {
        const struct bucket_table *t = &set->tables[c];

        if (t->bits > 0)
            bytes += (((size_t)1 << t->map_bits) / 64 + 1) * sizeof *t->bitmap +
                     (((size_t)1 << t->bits) + 1) * sizeof *t->starts;
    }
    return bytes;
}

/* One scan. `seen`: a bit a literal, made at the first find. */
struct scan {
    const struct literal_set *set;
    struct span               text;
    uint64_t                  budget;
    uint64_t                 *seen;
    bool (*found)(void *ctx, uint32_t id, size_t at);
    void *ctx;
};

enum step { STEP_ON, STEP_STOP, STEP_SPENT };

/* Reports every id of the literal at `index` unless it was found before. */
static enum step report(struct scan *s, size_t index, size_t at)
{
    uint32_t id = s->set->literals[index].id;

    if (s->seen == NULL)
        s->seen = must(calloc(s->set->n / 64 + 1, sizeof *s->seen));
    s->seen[index / 64] |= (uint64_t)1 << index % 64;
    for (; id & CHAINED; id = s->set->chain[id & ~CHAINED].next) {
        if (!s->found(s->ctx, s->set->chain[id & ~CHAINED].id, at))
            return STEP_STOP;
    }
    return s->found(s->ctx, id, at) ? STEP_ON : STEP_STOP;
}

/* The window at `at` hit the bitmap: compares the literals of its bucket. */
static enum step look(struct scan *s, const struct bucket_table *t, uint64_t hash, size_t at)
{
    uint32_t  first = t->starts[bucket_of(t, hash)], end = t->starts[bucket_of(t, hash) + 1];
    enum step step = STEP_ON;

    for (uint32_t i = first; i < end && step == STEP_ON; i++) {
        const struct literal *l = &s->set->literals[i];

        if (s->budget-- == 0)
            return STEP_SPENT;
        if (s->seen != NULL && s->seen[i / 64] >> i % 64 & 1)
            continue;
        if (at >= l->at && s->text.n - (at - l->at) >= l->n && memcmp(s->text.p + at - l->at, l->p, l->n) == 0)
            step = report(s, i, at - l->at);
    }
    return step;
}

/* Nothing in here is loaded anew after a byte that hits nothing, which most are. */
static inline __attribute__((always_inline)) enum step roll(struct scan *s, size_t c, size_t width)
{
    const struct bucket_table *t = &s->set->tables[c];
    const uint64_t            *bitmap = t->bitmap;
    const char                *p = s->text.p;
    const uint64_t             multiplier = s->set->multiplier;
    const unsigned             shift = 64 - t->map_bits;
    const size_t               n = s->text.n;

    if (t->bits == 0)
        return STEP_ON;
    for (size_t at = 0; at + width <= n; at++) {
        uint64_t  hash = window_hash(multiplier, window(p + at, width)), bit = hash >> shift;
        enum step step;

        if (__builtin_expect(bitmap[bit / 64] >> bit % 64 & 1, 0) && (step = look(s, t, hash, at)) != STEP_ON)
            return step;
    }
    return STEP_ON;
}

int literal_scan(const struct literal_set *set, struct span text, bool (*found)(void *ctx, uint32_t id, size_t at),
                 void *ctx)
{
    struct scan s = {.set = set, .text = text, .budget = 8 * (uint64_t)text.n + 100000, .found = found, .ctx = ctx};
    enum step   step = STEP_ON;

    if (set == NULL || text.n == 0)
        return 0;
    step = roll(&s, 0, 8);
    step = step == STEP_ON ? roll(&s, 1, 4) : step;
    step = step == STEP_ON ? roll(&s, 2, 3) : step;
    step = step == STEP_ON ? roll(&s, 3, 2) : step;
    step = step == STEP_ON ? roll(&s, 4, 1) : step;
    free(s.seen);
    return step == STEP_SPENT ? -1 : 0;
}

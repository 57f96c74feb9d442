/* tests/unit/rules.h - what the tests of lib/rules share: checks that show what differs, an arena a test. */
#ifndef POSTERN_TESTS_UNIT_RULES_H
#define POSTERN_TESTS_UNIT_RULES_H

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/err.h"
#include "check.h"

/* Compares text, and shows both when they differ. */
static inline void check_text(const char *holds, struct span got, const char *want)
{
    if (!span_is(got, want))
        fail_msg("%s: got \"%.*s\", want \"%s\"", holds, SPAN_ARG(got), want);
}

/* Is `part` in the text of the error? */
static inline void check_err(const char *holds, const struct err *e, const char *part)
{
    if (strstr(e->text, part) == NULL)
        fail_msg("%s: the error says \"%s\", not \"%s\"", holds, e->text, part);
}

/* An arena for one test, empty at its start. */
static inline struct arena *arena_of_test(void)
{
    static struct arena a;
    static bool         begun;

    if (begun)
        arena_fini(&a);
    arena_init(&a, 256u << 20);
    begun = true;
    return &a;
}

/* A small generator with a seed of its own, so that a failure comes again. */
static inline uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static inline size_t random_below(uint64_t *state, size_t n) { return (size_t)(random_next(state) % n); }

#endif

/* tests/unit/mail.h - what the tests of lib/mail share: a check that names its case, and an arena a test. */
#ifndef POSTERN_TESTS_UNIT_MAIL_H
#define POSTERN_TESTS_UNIT_MAIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/utf8.h"

#define CHECK(holds, condition)                                                                                        \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            fail_msg("%s: not so: %s", (holds), #condition);                                                           \
    } while (0)

/* Compares text, and shows both when they differ. */
static inline void check_text(const char *holds, struct span got, const char *want)
{
    if (!span_is(got, want))
        fail_msg("%s: got \"%.*s\", want \"%s\"", holds, SPAN_ARG(got), want);
}

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

/* `times` copies of a piece, in the arena. */
static inline struct span repeated(struct arena *a, const char *piece, size_t times)
{
    size_t n = strlen(piece);
    char  *p = arena_alloc(a, n * times + 1);

    for (size_t i = 0; i < times; i++)
        memcpy(p + i * n, piece, n);
    p[n * times] = 0;
    return span_make(p, n * times);
}

/* Runs a statement and fails unless it takes less CPU time than `ms`; sanitizers may take eight times as long. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLOWER 8
#else
#define SLOWER 1
#endif
#define WITHIN_MS(holds, ms, statement)                                                                                \
    do {                                                                                                               \
        int64_t began_us = clock_thread_cpu_us();                                                                      \
        statement;                                                                                                     \
        int64_t took_us = clock_thread_cpu_us() - began_us;                                                            \
        if (took_us > (ms)*1000 * SLOWER)                                                                              \
            fail_msg("%s: took %lld us, at most %d ms", (holds), (long long)took_us, (ms)*SLOWER);                     \
    } while (0)

#endif

/* tests/unit/check.h - cmocka, and a check that names the case of a table that failed. */
#ifndef POSTERN_TESTS_CHECK_H
#define POSTERN_TESTS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define CHECK(holds, condition)                                                                                        \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            fail_msg("%s: not so: %s", (holds), #condition);                                                           \
    } while (0)

/* Ends a test that cannot run here; the runner prints the reason. */
#define SKIP(...)                                                                                                      \
    do {                                                                                                               \
        print_message(__VA_ARGS__);                                                                                    \
        print_message("\n");                                                                                           \
        skip();                                                                                                        \
    } while (0)

#endif

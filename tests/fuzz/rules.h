/* tests/fuzz/rules.h - what the fuzz targets of lib/rules share. */
#ifndef POSTERN_TESTS_FUZZ_RULES_H
#define POSTERN_TESTS_FUZZ_RULES_H

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/err.h"

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                                    \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif

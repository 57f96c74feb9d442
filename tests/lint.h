/* tests/lint.h - what clang-tidy is told of each file, as it looks at one alone: that err.h's functions return -1, always. Without it
 * it follows `return err_set(…)` as if that could be success, and warns of all that a caller of the next function then finds unset. */
#ifndef POSTERN_TESTS_LINT_H
#define POSTERN_TESTS_LINT_H

#include "base/err.h"

static inline int lint_failed(void) { return -1; }

#define err_set(...) ((void)(err_set)(__VA_ARGS__), lint_failed())
#define err_at(...) ((void)(err_at)(__VA_ARGS__), lint_failed())
#define err_errno(...) ((void)(err_errno)(__VA_ARGS__), lint_failed())
#define err_wrap(...) ((void)(err_wrap)(__VA_ARGS__), lint_failed())

#endif

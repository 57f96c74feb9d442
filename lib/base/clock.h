/* lib/base/clock.h - times, and ids that are times.
 *
 * Wall times are UTC microseconds since 1970 (`_us`); intervals and deadlines use the monotonic clock, so that
 * a step of the wall clock neither frees nor jails anyone. Any thread. */
#ifndef POSTERN_BASE_CLOCK_H
#define POSTERN_BASE_CLOCK_H

#include "base/span.h"

int64_t clock_wall_us(void);
int64_t clock_mono_us(void);
int64_t clock_boot_us(void);       /* as clock_mono_us(), and goes on while the machine sleeps */
int64_t clock_thread_cpu_us(void); /* CPU time of the calling thread */

/* RFC 9562 UUID; sorts by bytes, and its text sorts alike. */
struct uuid {
    uint8_t b[16];
};
#define UUID_TEXT 36 /* characters, without the NUL */

/* A version 7 UUID, strictly greater than every one made before in this process, also when the clock steps
 * back (then it counts on from the last). Thread-safe. Random bits from getrandom(2). */
struct uuid       uuid7_make(void);
void              uuid_format(const struct uuid *u, char out[UUID_TEXT + 1]); /* lower case */
bool              uuid_parse(struct span text, struct uuid *out);
static inline int uuid_cmp(const struct uuid *a, const struct uuid *b) { return memcmp(a->b, b->b, 16); }

/* "2026-11-21T22:57:02.123456Z"; 27 characters and a NUL. */
void clock_format_utc(int64_t us, char out[28]);
/* RFC 3339, "…Z" or with offset, fraction optional; also a bare date (midnight UTC). */
bool clock_parse_utc(struct span text, int64_t *us_out);

#endif

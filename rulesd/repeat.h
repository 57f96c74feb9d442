/* rulesd/repeat.h - the same request once more: it joins the scan in flight, or gets the reply that was given (design.md 5).
 *
 * A proxy that ran out of patience asks again; judging twice would count twice, log twice and hold twice. The same is what has the
 * same listener, form of the reply, queue id, envelope and bytes (a seeded 128-bit hash of all of them). Without a queue id every scan
 * is new. Replies are kept for 24 hours at most, REPEAT_BYTES of them, the oldest go first, and of each shard at least the last, which
 * may be large: thousands of recipients are removed one by one. What told the sender to come again for
 * REPEAT_SHORT_US alone, for those who waited for it. Any thread; a lock a shard, held for a look-up and a copy. */
#ifndef POSTERN_RULESD_REPEAT_H
#define POSTERN_RULESD_REPEAT_H

#include "base/arena.h"
#include "base/fingerprint.h"

#define REPEAT_BYTES ((size_t)32 << 20)
#define REPEAT_US (86400 * INT64_C(1000000))
#define REPEAT_SHORT_US INT64_C(2000000)

struct repeats;
struct repeats *repeats_new(void);
void            repeats_free(struct repeats **r);

/* Who waits for the scan in flight. */
struct repeat_wait {
    void (*wake)(void *ctx); /* on the thread that ended it; then repeat_begin() once more */
    void               *ctx;
    struct repeat_wait *next;
};

enum repeat {
    REPEAT_NEW,   /* nobody has it: scan, then repeat_end() */
    REPEAT_WAITS, /* somebody does: *w is kept until wake() */
    REPEAT_KNOWN, /* *reply is what was given, in `a` */
};
enum repeat repeat_begin(struct repeats *r, const uint8_t key[FINGERPRINT_BYTES], struct repeat_wait *w,
                         struct arena *a, struct span *reply, int64_t now_mono_us);
/* keep_us: REPEAT_US, or REPEAT_SHORT_US. reply.p == NULL: there is none to keep; who waited tries it himself. */
void repeat_end(struct repeats *r, const uint8_t key[FINGERPRINT_BYTES], struct span reply, int64_t keep_us,
                int64_t now_mono_us);

/* Who waits goes away instead, and is not woken (when it was not already). */
void repeat_leave(struct repeats *r, const uint8_t key[FINGERPRINT_BYTES], struct repeat_wait *w);

struct repeat_stats {
    uint64_t joined, known;
    size_t   kept, bytes;
};
void repeat_stats(struct repeats *r, struct repeat_stats *out);

#endif

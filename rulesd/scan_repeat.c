/* rulesd/scan_repeat.c - see scan_repeat.h. */
#include "scan_repeat.h"

#include <stdlib.h>

#include "base/clock.h"

#define REPLY_KEPT_MAX (((size_t)4 << 20) + ((size_t)4 << 10)) /* the largest of Rspamd's protocol, with its head */

/* ---- what makes it the same ---- */

static int by_text(const void *a, const void *b) { return span_cmp(*(const struct span *)a, *(const struct span *)b); }

static void make_repeat_key(struct scan *s)
{
    const struct scan_request *q = &s->req;
    const struct span          texts[] = {q->queue_id, q->from, q->user, span_of(q->listener->at.text)};
    const uint64_t             numbers[] = {q->message.n, q->form, q->from.p != NULL, q->nrcpt};
    struct span               *all = arena_array(&s->arena, COUNT(texts) + q->nrcpt, sizeof *all);
    size_t                     size = sizeof numbers + FINGERPRINT_BYTES, n = COUNT(texts) + q->nrcpt;
    char                      *bytes, *p;

    if (all == NULL)
        return;
    memcpy(all, texts, sizeof texts);
    if (q->nrcpt > 0)
        memcpy(all + COUNT(texts), q->rcpt, q->nrcpt * sizeof *all);
    if (q->nrcpt > 1)
        qsort(all + COUNT(texts), q->nrcpt, sizeof *all, by_text);
    for (size_t i = 0; i < n; i++)
        size += all[i].n + 1;
    if ((p = bytes = arena_alloc(&s->arena, size)) == NULL)
        return;
    memcpy(p, numbers, sizeof numbers);
    fingerprint_seeded(q->message, (uint8_t *)p + sizeof numbers);
    p += sizeof numbers + FINGERPRINT_BYTES;
    for (size_t i = 0; i < n; i++) {
        if (all[i].n > 0)
            memcpy(p, all[i].p, all[i].n);
        p += all[i].n;
        *p++ = '\0';
    }
    fingerprint_seeded(span_between(bytes, p), s->repeat_key);
}

/* ---- joining, and leaving ---- */

static void joined(void *ctx)
{
    struct scan *s = ctx;

    s->repeat = REPEAT_ALONE;
    s->wake(s->wake_ctx);
}

int scan_repeat_find(struct scan *s)
{
    if (s->req.class != CLASS_MTA || s->req.queue_id.n == 0)
        return 0;
    make_repeat_key(s);
    if (s->arena.full)
        return scan_full(s);
    s->repeat_wait = (struct repeat_wait){.wake = joined, .ctx = s};
    s->repeat = REPEAT_JOINED; /* said before: it may be woken at any time */
    switch (repeat_begin(s->tools->repeats, s->repeat_key, &s->repeat_wait, &s->arena, &s->given, clock_mono_us())) {
    case REPEAT_NEW: s->repeat = REPEAT_FIRST; break;
    case REPEAT_KNOWN: s->repeat = REPEAT_ALONE; break;
    case REPEAT_WAITS: return 1;
    }
    return 0;
}

/* reply.p == NULL: it came to nothing that could be told again. */
static void end(struct scan *s, struct span reply, int64_t keep_us)
{
    if (s->repeat == REPEAT_FIRST)
        repeat_end(s->tools->repeats, s->repeat_key, reply, keep_us, clock_mono_us());
    else if (s->repeat == REPEAT_JOINED)
        repeat_leave(s->tools->repeats, s->repeat_key, &s->repeat_wait);
    s->repeat = REPEAT_ALONE;
}

void scan_answered(struct scan *s, struct span reply)
{
    bool told = !s->failed && !s->refused && (s->stopped || s->outcome.action != ACTION_DEFER);

    end(s, told && reply.n <= REPLY_KEPT_MAX ? reply : SPAN_NONE, s->stopped ? REPEAT_SHORT_US : REPEAT_US);
}

void scan_repeat_drop(struct scan *s) { end(s, SPAN_NONE, 0); }

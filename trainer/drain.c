/* trainer/drain.c - see drain.h. */
#include "drain.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/log.h"
#include "net/filter_ask.h"
#include "net/learn.h"
#include "net/scanner_choice.h"
#include "store/report.h"
#include "vault/vault.h"

#define BACKENDS_MAX 16
#define LEARN_MS 30000
#define LEARN_ALL_US (60 * INT64_C(1000000)) /* for one report at all backends */
#define HAND_US (30 * INT64_C(1000000))      /* no question is begun later; with LEARN_ALL_US below the lease */
#define SETTLE_US 500000
#define AHEAD_BYTES ((size_t)256 << 10) /* beyond which no further one is opened ahead */
#define QUICK_US 500000
#define SLOW_US 2000000
#define WORDS_MAX 1024
#define PATIENCE_FIRST_US (5 * INT64_C(1000000))
#define PATIENCE_CLOSED_US (60 * INT64_C(1000000))
#define PATIENCE_MAX_US (3600 * INT64_C(1000000))

_Static_assert(HAND_US + LEARN_ALL_US < REPORT_LEASE_US, "nobody else takes what is being asked about");

struct drain {
    const struct settings *settings;
    struct drain_counts   *counts;
    struct store          *store;
    struct keyring        *ring;
    struct vault          *vault;
    struct scanner_health  health[BACKENDS_MAX];
    size_t                 n;
    char                   name[128]; /* whose lease it is */
    struct filter_over     over;
    struct buf             words;

    /* The hand: n reports taken, of which what came is known of the first `known`, and not written down yet. */
    struct {
        struct taken {
            struct store_report reports[DRAIN_HAND_MAX];
            struct arena        arena;
        } both[2], *taken; /* this hand, and room for the next */
        struct store_report_end ends[DRAIN_HAND_MAX];
        size_t                  n, known, want;
        int64_t                 taken_us, known_us; /* since when; of the first */
    } hand;

    /* The letters of the next in the hand, opened in one go: between two answers of the filter, when others had the processor and
     * its caches, the same takes half as much again. */
    struct {
        struct letter {
            size_t     at, n; /* in bytes */
            struct err why;   /* it does not open */
        } letters[DRAIN_HAND_MAX];
        size_t     n, next;
        struct buf bytes;
    } ahead;
};

int drain_new(const struct settings *s, struct drain_counts *counts, struct drain **out, struct err *e)
{
    struct drain *d;

    *out = NULL;
    if (s->trainer.backend.n > BACKENDS_MAX)
        return err_set(e, ERR_INVALID, "[trainer] backend: at most %d", BACKENDS_MAX);
    for (size_t i = 0; i < s->trainer.backend.n; i++)
        if (learn_check_url(s->trainer.backend.items[i], e) < 0)
            return err_wrap(e, "[trainer] backend");
    if ((d = calloc(1, sizeof *d)) == NULL)
        panic("out of memory");
    d->settings = s;
    d->counts = counts;
    d->n = s->trainer.backend.n;
    d->hand.want = 1;
    for (size_t i = 0; i < COUNT(d->hand.both); i++)
        arena_init(&d->hand.both[i].arena, 1 << 20);
    d->hand.taken = &d->hand.both[0];
    buf_init(&d->ahead.bytes, (size_t)s->rulesd.max_message + (1 << 20));
    buf_init(&d->words, WORDS_MAX);
    if (gethostname(d->name, 64) < 0)
        snprintf(d->name, sizeof d->name, "here");
    snprintf(d->name + strlen(d->name), 32, ":%ld", (long)getpid());
    *out = d;
    return 0;
}

/* What a start could not have, because it was away, is had later. */
static int open_all(struct drain *d, struct err *e)
{
    const struct settings *s = d->settings;

    if (d->store == NULL && store_open(s->store.url, STORE_EXISTING, &d->store, e) < 0)
        return -1;
    if (d->ring == NULL && keyring_open(s->quarantine.keys, &d->ring, e) < 0)
        return -1;
    const struct vault_how how = {s->quarantine.url, d->ring, s->quarantine.min_free};
    return d->vault != NULL ? 0 : vault_open(&how, &d->vault, e);
}

/* ---- the backends ---- */

/* One that is closed to us is left alone as long as one that failed often. */
static void shut(struct scanner_health *h, int64_t now_us)
{
    *h = (struct scanner_health){.rest_us = SCANNER_REST_MAX_US, .until_us = now_us + SCANNER_REST_MAX_US};
}

static bool somebody_is_well(const struct drain *d)
{
    static const bool tried[BACKENDS_MAX];

    return scanner_has_other(d->health, d->n, tried, SIZE_MAX, clock_mono_us());
}

static void weigh(struct drain *d, size_t at, bool trial, enum learn_answer answer)
{
    int64_t now = clock_mono_us();

    if (answer == LEARN_LATER) {
        atomic_fetch_add(&d->counts->failed, 1);
        scanner_did_badly(&d->health[at], true, trial, now);
    } else if (answer == LEARN_CLOSED) {
        atomic_fetch_add(&d->counts->closed, 1);
        shut(&d->health[at], now);
    } else {
        scanner_did_well(&d->health[at]);
    }
}

static bool is_word(enum learn_answer a) { return a != LEARN_LATER && a != LEARN_CLOSED; }

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static enum learn_answer teach(struct drain *d, const struct store_report *r, struct span message)
{
    static const enum learn_class classes[] = {
        [REPORT_SPAM] = LEARN_SPAM, [REPORT_HAM] = LEARN_HAM, [REPORT_FORGET] = LEARN_FORGET};
    const int64_t     until = clock_mono_us() + LEARN_ALL_US;
    struct learn_ask  ask = {.password = d->settings->trainer.password,
                             .class = classes[r->class],
                             .deliver_to = r->recipient,
                             .message = message,
                             .over = &d->over};
    bool              tried[BACKENDS_MAX] = {false};
    enum learn_answer answer = LEARN_LATER;

    buf_clear(&d->words);
    buf_puts(&d->words, "no backend is well");
    while (!is_word(answer) && clock_mono_us() < until) {
        bool   trial;
        size_t at = scanner_choose(d->health, d->n, tried, clock_mono_us(), &trial);

        if (at == SIZE_MAX)
            break;
        tried[at] = true;
        ask.url = d->settings->trainer.backend.items[at];
        ask.timeout_ms = least(LEARN_MS, (until - clock_mono_us()) / 1000 + 1);
        atomic_fetch_add(&d->counts->attempts, 1);
        answer = learn(&ask, &d->words);
        weigh(d, at, trial, answer);
    }
    return answer;
}

/* ---- one report ---- */

/* Between three quarters and five quarters of it. */
static int64_t jitter(int64_t us)
{
    uint16_t r = 0;

    if (getrandom(&r, sizeof r, 0) != (ssize_t)sizeof r)
        r = 0x8000;
    return us / 4 * 3 + us / 2 / 0x10000 * r;
}

static int64_t patience(const struct store_report *r, enum learn_answer answer)
{
    int64_t us = answer == LEARN_CLOSED ? PATIENCE_CLOSED_US : PATIENCE_FIRST_US;

    for (int64_t i = 1; i < r->attempts && us < PATIENCE_MAX_US; i++)
        us *= 2;
    return jitter(us < PATIENCE_MAX_US ? us : PATIENCE_MAX_US);
}

static void tell(const struct store_report *r, const struct store_report_end *end)
{
    struct log_line l;
    char            id[UUID_TEXT + 1];

    uuid_format(&r->id, id);
    log_begin(&l, LOG_LEVEL_INFO, "report");
    log_str(&l, "id", id);
    log_str(&l, "class", report_class_words[r->class]);
    log_str(&l, "state", report_state_words[end->state]);
    if (r->recipient.n > 0)
        log_span(&l, "for", r->recipient);
    log_i64(&l, "attempt", r->attempts);
    log_span(&l, "answer", end->answer);
    log_end(&l);
}

/* In one go, as soon as it stands in the database. */
static void tell_all(const struct drain *d)
{
    for (size_t i = 0; i < d->hand.known; i++)
        if (!d->hand.ends[i].unasked)
            tell(&d->hand.taken->reports[i], &d->hand.ends[i]);
}

/* What came of the report that is next in the hand. */
static void end(struct drain *d, const struct store_report *r, enum report_state state, int64_t wait_us,
                struct span words)
{
    d->hand.ends[d->hand.known] = (struct store_report_end){
        .id = r->id,
        .state = state,
        .next_us = state == REPORT_WAITING ? clock_wall_us() + wait_us : r->next_us,
        .answer = arena_dup(&d->hand.taken->arena, words),
    };
    if (d->hand.known++ == 0)
        d->hand.known_us = clock_mono_us();
    atomic_fetch_add(&d->counts->ended[state], 1);
}

static void put_off(struct drain *d, const struct store_report *r, enum learn_answer answer, struct span words)
{
    end(d, r, REPORT_WAITING, patience(r, answer), words);
}

/* ---- letters ---- */

/* False: it does not fit behind the others, and is opened when they are gone. */
static bool open_letter(struct drain *d, const struct store_report *r, struct letter *out)
{
    struct buf *bytes = &d->ahead.bytes;

    *out = (struct letter){.at = bytes->n, .why = ERR_INIT};
    if (!r->has_body)
        err_set(&out->why, ERR_NOT_FOUND, "there is none");
    else if (vault_read(d->vault, &r->body, bytes, &out->why) == 0)
        out->n = bytes->n - out->at;
    if (out->why.code == ERR_NONE)
        return true;
    bytes->n = out->at;
    bytes->failed = false;
    return out->why.code != ERR_LIMIT || out->at == 0;
}

static void forget_letters(struct drain *d)
{
    buf_clear(&d->ahead.bytes);
    d->ahead.n = d->ahead.next = 0;
}

/* That of the report which is next in the hand. */
static const struct letter *next_letter(struct drain *d)
{
    if (d->ahead.next == d->ahead.n) {
        forget_letters(d);
        for (size_t at = d->hand.known; at < d->hand.n; at++) {
            if (d->ahead.bytes.n > AHEAD_BYTES ||
                !open_letter(d, &d->hand.taken->reports[at], &d->ahead.letters[d->ahead.n]))
                break;
            d->ahead.n++;
        }
    }
    return &d->ahead.letters[d->ahead.next++];
}

/* ---- one report, worked on ---- */

static void end_unopened(struct drain *d, const struct store_report *r, const struct err *why)
{
    if (why->code == ERR_NOT_FOUND)
        end(d, r, REPORT_REFUSED, 0, store_report_gone(r));
    else if (why->code == ERR_CORRUPT)
        end(d, r, REPORT_REFUSED, 0, span_of(why->text));
    else
        put_off(d, r, LEARN_CLOSED, span_of(why->text));
}

/* False: no backend has said its word on it, and the next need not try. */
static bool work(struct drain *d, const struct store_report *r)
{
    static const enum report_state states[] = {[LEARN_DONE] = REPORT_LEARNT,
                                               [LEARN_KNOWN] = REPORT_KNOWN,
                                               [LEARN_SHORT] = REPORT_SHORT,
                                               [LEARN_REFUSED] = REPORT_REFUSED};
    const struct letter           *letter = next_letter(d);
    enum learn_answer              answer;

    if (letter->why.code != ERR_NONE) {
        end_unopened(d, r, &letter->why);
        return true;
    }
    answer = teach(d, r, span_head(span_skip(buf_span(&d->ahead.bytes), letter->at), letter->n));
    if (is_word(answer))
        end(d, r, states[answer], 0, buf_span(&d->words));
    else
        put_off(d, r, answer, buf_span(&d->words));
    return is_word(answer);
}

/* ---- the hand ---- */

/* Writes down what came of the last one, and takes the next. */
static int turn(struct drain *d, struct err *e)
{
    struct taken *next = &d->hand.both[d->hand.taken == d->hand.both];
    int           n;

    filter_over_close(&d->over);
    arena_reset(&next->arena);
    n = store_report_turn(d->store, span_of(d->name), d->hand.ends, d->hand.known, clock_wall_us(), d->hand.want,
                          &next->arena, next->reports, e);
    if (n < 0)
        return -1;
    tell_all(d);
    forget_letters(d);
    d->hand.taken = next;
    d->hand.known = 0;
    d->hand.taken_us = clock_mono_us();
    d->hand.n = (size_t)n;
    return n;
}

/* Nothing more of this hand is asked about. */
static void give_back(struct drain *d)
{
    for (; d->hand.known < d->hand.n; d->hand.known++) {
        const struct store_report *r = &d->hand.taken->reports[d->hand.known];

        d->hand.ends[d->hand.known] = (struct store_report_end){
            .id = r->id, .next_us = r->next_us, .unasked = true, .answer = r->answer};
    }
    d->hand.want = 1;
}

static void adapt(struct drain *d)
{
    int64_t took = clock_mono_us() - d->hand.taken_us;

    if (took > SLOW_US)
        d->hand.want = (d->hand.want + 1) / 2;
    else if (took < QUICK_US && d->hand.n == d->hand.want && 2 * d->hand.want <= DRAIN_HAND_MAX)
        d->hand.want *= 2;
}

/* Writes down what is known, and forgets it; what was taken back meanwhile, or taken by another, has a word of its own. */
static int settle(struct drain *d, struct err *e)
{
    struct store_report *reports = d->hand.taken->reports;
    size_t               left = d->hand.n - d->hand.known;

    filter_over_close(&d->over);
    if (d->hand.known == 0)
        return 0;
    if (store_report_settle(d->store, span_of(d->name), d->hand.ends, d->hand.known, clock_wall_us(), NULL, e) < 0)
        return -1;
    tell_all(d);
    memmove(reports, reports + d->hand.known, left * sizeof reports[0]);
    d->hand.n = left;
    d->hand.known = 0;
    return 0;
}

static bool is_time_to_settle(const struct drain *d)
{
    return d->hand.known > 0 && clock_mono_us() - d->hand.known_us > SETTLE_US;
}

static int step(struct drain *d, struct err *e)
{
    if (open_all(d, e) < 0)
        return -1;
    if (d->hand.known == d->hand.n) {
        int n = somebody_is_well(d) ? turn(d, e) : settle(d, e);
        if (n <= 0)
            return n;
    }
    if (clock_mono_us() - d->hand.taken_us > HAND_US || !work(d, &d->hand.taken->reports[d->hand.known]))
        give_back(d);
    else if (d->hand.known == d->hand.n)
        adapt(d);
    return is_time_to_settle(d) && settle(d, e) < 0 ? -1 : 1;
}

int drain_step(struct drain *d, struct err *e)
{
    int rc = step(d, e);

    atomic_store(&d->counts->away, rc < 0);
    return rc;
}

void drain_free(struct drain **dp)
{
    struct drain *d = *dp;
    struct err    e = ERR_INIT;

    *dp = NULL;
    if (d == NULL)
        return;
    give_back(d);
    if (d->store != NULL && settle(d, &e) < 0)
        log_err(LOG_LEVEL_WARNING, "reports in hand wait for their leases to lapse", &e);
    filter_over_close(&d->over);
    vault_close(&d->vault);
    keyring_close(&d->ring);
    store_close(&d->store);
    for (size_t i = 0; i < COUNT(d->hand.both); i++)
        arena_fini(&d->hand.both[i].arena);
    buf_fini(&d->ahead.bytes);
    buf_fini(&d->words);
    free(d);
}

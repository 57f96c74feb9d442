/* trainer/drain.c - see drain.h. */
#include "drain.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/log.h"
#include "net/learn.h"
#include "net/scanner_choice.h"
#include "store/report.h"
#include "vault/vault.h"

#define BACKENDS_MAX 16
#define LEARN_MS 30000
#define WORDS_MAX 1024
#define PATIENCE_FIRST_US (5 * INT64_C(1000000))
#define PATIENCE_CLOSED_US (60 * INT64_C(1000000))
#define PATIENCE_MAX_US (3600 * INT64_C(1000000))

struct drain {
    const struct settings *settings;
    struct store          *store;
    struct keyring        *ring;
    struct vault          *vault;
    struct scanner_health  health[BACKENDS_MAX];
    size_t                 n;
    char                   name[128]; /* whose lease it is */
    struct arena           arena;
    struct buf             message, words;
};

int drain_new(const struct settings *s, struct drain **out, struct err *e)
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
    d->n = s->trainer.backend.n;
    arena_init(&d->arena, 1 << 20);
    buf_init(&d->message, (size_t)s->rulesd.max_message + (1 << 20));
    buf_init(&d->words, WORDS_MAX);
    if (gethostname(d->name, 64) < 0)
        snprintf(d->name, sizeof d->name, "here");
    snprintf(d->name + strlen(d->name), 32, ":%ld", (long)getpid());
    *out = d;
    return 0;
}

void drain_free(struct drain **dp)
{
    struct drain *d = *dp;

    *dp = NULL;
    if (d == NULL)
        return;
    vault_close(&d->vault);
    keyring_close(&d->ring);
    store_close(&d->store);
    arena_fini(&d->arena);
    buf_fini(&d->message);
    buf_fini(&d->words);
    free(d);
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

/* ---- one report ---- */

static enum learn_answer teach(struct drain *d, const struct store_report *r)
{
    static const enum learn_class classes[] = {
        [REPORT_SPAM] = LEARN_SPAM, [REPORT_HAM] = LEARN_HAM, [REPORT_FORGET] = LEARN_FORGET};
    struct learn_ask  ask = {.password = d->settings->trainer.password,
                             .class = classes[r->class],
                             .deliver_to = r->recipient,
                             .message = buf_span(&d->message),
                             .timeout_ms = LEARN_MS};
    bool              tried[BACKENDS_MAX] = {false};
    enum learn_answer answer = LEARN_LATER;

    buf_clear(&d->words);
    buf_puts(&d->words, "no backend is well");
    for (;;) {
        bool   trial;
        size_t at = scanner_choose(d->health, d->n, tried, clock_mono_us(), &trial);

        if (at == SIZE_MAX)
            return answer;
        tried[at] = true;
        ask.url = d->settings->trainer.backend.items[at];
        answer = learn(&ask, &d->words);
        if (answer != LEARN_LATER) {
            scanner_did_well(&d->health[at]);
            return answer;
        }
        scanner_did_badly(&d->health[at], true, trial, clock_mono_us());
    }
}

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

static void tell(const struct store_report *r, const char *state, struct span words)
{
    struct log_line l;
    char            id[UUID_TEXT + 1];

    uuid_format(&r->id, id);
    log_begin(&l, LOG_LEVEL_INFO, "report");
    log_str(&l, "id", id);
    log_str(&l, "class", report_class_words[r->class]);
    log_str(&l, "state", state);
    if (r->recipient.n > 0)
        log_span(&l, "for", r->recipient);
    log_i64(&l, "attempt", r->attempts);
    log_span(&l, "answer", words);
    log_end(&l);
}

/* Taken back meanwhile, or taken by another: nothing is lost. */
static int settled(int rc, struct err *e)
{
    if (rc < 0 && e->code == ERR_CONFLICT) {
        *e = ERR_INIT;
        return 0;
    }
    return rc;
}

static int end(struct drain *d, const struct store_report *r, enum report_state state, struct span words, struct err *e)
{
    tell(r, report_state_words[state], words);
    return settled(store_report_done(d->store, &r->id, span_of(d->name), state, words, clock_wall_us(), e), e);
}

static int put_off(struct drain *d, const struct store_report *r, enum learn_answer answer, struct span words,
                   struct err *e)
{
    int64_t now = clock_wall_us();

    tell(r, "waiting", words);
    return settled(store_report_later(d->store, &r->id, span_of(d->name), now + patience(r, answer), words, now, e), e);
}

static int work(struct drain *d, const struct store_report *r, struct err *e)
{
    struct err        why = ERR_INIT;
    enum learn_answer answer;

    buf_clear(&d->message);
    if (!r->has_body)
        return end(d, r, REPORT_REFUSED, SPAN("the message is not here any more"), e);
    if (vault_get(d->vault, &r->body, NULL, &d->message, &why) < 0) {
        bool lasting = why.code == ERR_NOT_FOUND || why.code == ERR_CORRUPT;

        return lasting ? end(d, r, REPORT_REFUSED, span_of(why.text), e)
                       : put_off(d, r, LEARN_CLOSED, span_of(why.text), e);
    }
    answer = teach(d, r);
    switch (answer) {
    case LEARN_DONE: return end(d, r, REPORT_LEARNT, buf_span(&d->words), e);
    case LEARN_KNOWN: return end(d, r, REPORT_KNOWN, buf_span(&d->words), e);
    case LEARN_SHORT: return end(d, r, REPORT_SHORT, buf_span(&d->words), e);
    case LEARN_REFUSED: return end(d, r, REPORT_REFUSED, buf_span(&d->words), e);
    case LEARN_CLOSED:
    case LEARN_LATER: break;
    }
    return put_off(d, r, answer, buf_span(&d->words), e);
}

int drain_step(struct drain *d, struct err *e)
{
    struct store_report r;
    int                 rc;

    if (open_all(d, e) < 0)
        return -1;
    arena_reset(&d->arena);
    rc = store_report_claim(d->store, span_of(d->name), clock_wall_us(), &d->arena, &r, e);
    if (rc <= 0)
        return rc;
    return work(d, &r, e) < 0 ? -1 : 1;
}

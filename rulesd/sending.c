/* rulesd/sending.c - see sending.h: who sent how much, what that comes to, and the evidence for it. */
#include "sending_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

#define HOUR_US (3600 * INT64_C(1000000))
#define DAY_US (24 * HOUR_US)
#define SEEN_MAX 10 /* messages that the evidence names */

const struct sending_kind sending_kinds[] = {
    [LIMIT_MESSAGES_HOUR] = {"sent.messages.hour", HOUR_US, false},
    [LIMIT_MESSAGES_DAY] = {"sent.messages.day", DAY_US, false},
    [LIMIT_RECIPIENTS_HOUR] = {"sent.recipients.hour", HOUR_US, true},
    [LIMIT_RECIPIENTS_DAY] = {"sent.recipients.day", DAY_US, true},
};
_Static_assert(LIMIT_BLOCK_AFTER == SENDING_KINDS, "the limits that are counted come first");

const char *sending_text(enum sending_verdict v)
{
    switch (v) {
    case SENDING_OK: break;
    case SENDING_DEFER: return "4.7.1 Too much mail in too short a time, try again later";
    case SENDING_BLOCKED: return "5.7.1 Sending from this account is suspended";
    }
    return "";
}

/* ---- Memory: who sent how much --------------------------------------------------------------------------------------- */

static void sender_free(struct sender *x)
{
    free(x->seen);
    free(x);
}

/* Under the lock. Those that have not sent for longest go, unless something of theirs is still to be written. */
static void make_room(struct sending *s, int64_t now)
{
    int64_t oldest = now - HOUR_US;
    size_t  at;
    void   *value;

    for (; s->senders.n >= SENDING_SENDERS_MAX && oldest <= now; oldest += HOUR_US / 4) {
        at = 0;
        while (map_next(&s->senders, &at, NULL, &value)) {
            struct sender *x = value;

            if (x->dirty || x->used_us > oldest)
                continue;
            map_del(&s->senders, span_make(x->subject, x->n));
            sender_free(x);
        }
    }
}

struct sender *sending_sender(struct sending *s, struct span subject, int64_t now)
{
    struct sender *x = map_get(&s->senders, subject);

    if (x == NULL) {
        if (s->senders.n >= SENDING_SENDERS_MAX)
            make_room(s, now);
        if ((x = calloc(1, sizeof *x + subject.n + 1)) == NULL)
            panic("out of memory");
        x->n = subject.n;
        memcpy(x->subject, subject.p, subject.n);
        map_put(&s->senders, span_make(x->subject, x->n), x);
    }
    x->used_us = now;
    return x;
}

int64_t sending_slot(size_t kind, int64_t now) { return now - now % sending_kinds[kind].slot_us; }

/* What of an earlier slot is not written yet is lost with it, but for what is on its way: a limit is not a bill. */
struct count *sending_count(struct sender *x, size_t kind, int64_t now)
{
    struct count *c = &x->counts[kind];
    int64_t       slot = sending_slot(kind, now);

    if (c->slot_us != slot)
        *c = (struct count){.slot_us = slot};
    return c;
}

static int64_t sum(const struct count *c) { return c->known + c->on_its_way + c->since; }

/* The limit that one message more would break; -1: none. */
static int broken_limit(struct sender *x, const struct store_limit *l, size_t nrcpt, int64_t now)
{
    for (int k = 0; k < SENDING_KINDS; k++) {
        int64_t more = sending_kinds[k].recipients ? (int64_t)nrcpt : 1;

        if (l->of[k] > 0 && sum(sending_count(x, (size_t)k, now)) + more > l->of[k])
            return k;
    }
    return -1;
}

void sending_dirty(struct sending *s, struct sender *x)
{
    s->ndirty += !x->dirty;
    x->dirty = true;
}

static void add(struct sending *s, struct sender *x, size_t nrcpt, int64_t now)
{
    for (size_t k = 0; k < SENDING_KINDS; k++)
        sending_count(x, k, now)->since += sending_kinds[k].recipients ? (int64_t)nrcpt : 1;
    sending_dirty(s, x);
}

/* ---- Evidence --------------------------------------------------------------------------------------------------------- */

static void copy(char *out, size_t size, struct span s)
{
    struct buf b;

    buf_init(&b, 4 * size + 16);
    utf8_put_escaped(&b, span_head(s, size), 0);
    snprintf(out, size, "%.*s", SPAN_ARG(buf_span(&b)));
    buf_fini(&b);
}

static void remember(struct sender *x, const struct sending_facts *f)
{
    struct seen *at;
    int64_t      slot = sending_slot(LIMIT_MESSAGES_HOUR, f->now_us);

    if (x->over_slot_us != slot) {
        x->over_slot_us = slot;
        x->over = 0;
    }
    if (x->seen == NULL && (x->seen = calloc(SEEN_MAX, sizeof *x->seen)) == NULL)
        panic("out of memory");
    at = &x->seen[x->over++ % SEEN_MAX];
    at->at_us = f->now_us;
    at->nrcpt = f->nrcpt;
    copy(at->ip, sizeof at->ip, f->ip);
    copy(at->sender, sizeof at->sender, f->sender);
    copy(at->queue_id, sizeof at->queue_id, f->queue_id);
}

static void put_seen(struct buf *b, const struct seen *at)
{
    char when[28];

    clock_format_utc(at->at_us, when);
    buf_printf(b, "{\"at\":\"%s\",\"recipients\":%zu,\"ip\":", when, at->nrcpt);
    json_put_string(b, span_of(at->ip));
    buf_puts(b, ",\"sender\":");
    json_put_string(b, span_of(at->sender));
    buf_puts(b, ",\"queue_id\":");
    json_put_string(b, span_of(at->queue_id));
    buf_putc(b, '}');
}

static void put_evidence(struct buf *b, struct sender *x, int limit, int64_t max, int64_t now)
{
    int64_t shown = x->over < SEEN_MAX ? x->over : SEEN_MAX;

    buf_printf(b, "{\"limit\":\"%s\",\"max\":%lld,\"counted\":%lld,\"over\":%lld,\"messages\":[",
               sending_limit_words[limit], (long long)max, (long long)sum(sending_count(x, (size_t)limit, now)),
               (long long)x->over);
    for (int64_t i = x->over - shown; i < x->over; i++) {
        if (i > x->over - shown)
            buf_putc(b, ',');
        put_seen(b, &x->seen[i % SEEN_MAX]);
    }
    buf_puts(b, "]}");
}

/* ---- Deciding --------------------------------------------------------------------------------------------------------- */

/* Who it is, in the forms that are looked up. */
struct who {
    char login[SENDING_LOGIN_MAX + 1];                               /* lower case, storable */
    char address[SENDING_LOGIN_MAX + STORE_DOMAIN_MAX + 2], *domain; /* domain: within address; "" */
};

static void lower(char *out, size_t size, struct span s)
{
    bool   text = utf8_valid(s);
    size_t n = 0;

    for (size_t i = 0; i < s.n && n + 1 < size; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c < ' ' || c == 0x7f || (c >= 0x80 && !text))
            c = '?';
        out[n++] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    while (n > 0 && s.n >= size && ((unsigned char)out[n - 1] & 0x80) != 0) /* cut, perhaps within a character */
        n--;
    out[n] = '\0';
}

static void find_out(const struct sending *s, struct span user, struct who *w)
{
    char *at;

    lower(w->login, sizeof w->login, span_trim(user));
    if (strchr(w->login, '@') == NULL && s->user_domain[0] != '\0')
        snprintf(w->address, sizeof w->address, "%s@%s", w->login, s->user_domain);
    else
        snprintf(w->address, sizeof w->address, "%s", w->login);
    at = strrchr(w->address, '@');
    w->domain = at != NULL ? at + 1 : w->address + strlen(w->address);
}

static const struct store_limit *find_limit(const struct orders *o, const char *kind, const char *name)
{
    char key[SENDING_LOGIN_MAX + STORE_DOMAIN_MAX + 16];
    int  n = snprintf(key, sizeof key, "%s:%s", kind, name);

    return n < (int)sizeof key ? map_get(&o->limits, span_make(key, (size_t)n)) : NULL;
}

static struct store_limit limits_of(const struct orders *o, const struct who *w)
{
    const char *const  order[][2] = {{"global", ""}, {"domain", w->domain}, {"mailbox", w->address}};
    struct store_limit l = STORE_LIMIT_NONE;

    l.of[LIMIT_BLOCK_AFTER] = SENDING_BLOCK_AFTER;
    for (size_t i = 0; i < COUNT(order); i++) {
        const struct store_limit *own = find_limit(o, order[i][0], order[i][1]);

        if (own != NULL)
            l = store_limit_over(l, own);
    }
    return l;
}

static bool is_blocked(const struct orders *o, const struct who *w, int64_t now)
{
    const int64_t *until = map_get(&o->blocked, span_of(w->login));

    return until != NULL && *until > now;
}

/* In memory at once; the row is the thread's to write. */
static void block(struct sending *s, const struct who *w, struct sender *x, int limit, int64_t max, int64_t now)
{
    struct verdict_row *v = calloc(1, sizeof *v);
    struct span         login = arena_dup(&s->orders->arena, span_of(w->login));
    int64_t            *until = arena_alloc(&s->orders->arena, sizeof *until);

    if (v == NULL)
        panic("out of memory");
    v->at_us = now;
    snprintf(v->login, sizeof v->login, "%s", w->login);
    snprintf(v->reason, sizeof v->reason, "%lld messages beyond the limit of %lld (%s) within an hour",
             (long long)x->over, (long long)max, sending_limit_words[limit]);
    buf_init(&v->evidence, SENDING_EVIDENCE_MAX);
    put_evidence(&v->evidence, x, limit, max, now);
    v->next = s->verdicts;
    s->verdicts = v;
    x->over = 0;
    if (login.p != NULL && until != NULL) {
        *until = INT64_MAX;
        map_put(&s->orders->blocked, login, until);
    }
    pthread_cond_signal(&s->came);
}

/* Under the lock. */
static enum sending_verdict decide(struct sending *s, const struct who *w, const struct sending_facts *f)
{
    size_t                    nrcpt = f->nrcpt > 0 ? f->nrcpt : 1;
    char                      subject[SENDING_LOGIN_MAX + STORE_DOMAIN_MAX + 16];
    struct sender            *user, *domain = NULL;
    struct store_limit        limit = limits_of(s->orders, w);
    const struct store_limit *whole = find_limit(s->orders, "whole", w->domain);
    int                       broken;

    if (is_blocked(s->orders, w, f->now_us))
        return SENDING_BLOCKED;
    snprintf(subject, sizeof subject, "user:%s", w->login);
    user = sending_sender(s, span_of(subject), f->now_us);
    if (w->domain[0] != '\0') {
        snprintf(subject, sizeof subject, "domain:%s", w->domain);
        domain = sending_sender(s, span_of(subject), f->now_us);
    }
    if ((broken = broken_limit(user, &limit, nrcpt, f->now_us)) >= 0) {
        remember(user, f);
        if (limit.of[LIMIT_BLOCK_AFTER] == 0 || user->over < limit.of[LIMIT_BLOCK_AFTER])
            return SENDING_DEFER;
        block(s, w, user, broken, limit.of[broken], f->now_us);
        return SENDING_BLOCKED;
    }
    if (domain != NULL && whole != NULL && broken_limit(domain, whole, nrcpt, f->now_us) >= 0)
        return SENDING_DEFER;
    add(s, user, nrcpt, f->now_us);
    if (domain != NULL)
        add(s, domain, nrcpt, f->now_us);
    return SENDING_OK;
}

enum sending_verdict sending_ask(struct sending *s, const struct sending_facts *f)
{
    struct who           w;
    enum sending_verdict v;

    if (span_trim(f->user).n == 0)
        return SENDING_OK;
    find_out(s, f->user, &w);
    pthread_mutex_lock(&s->lock);
    v = decide(s, &w, f);
    s->stats.counted += v == SENDING_OK;
    s->stats.deferred += v == SENDING_DEFER;
    s->stats.refused += v == SENDING_BLOCKED;
    pthread_mutex_unlock(&s->lock);
    return v;
}

/* ---- Starting and stopping ---------------------------------------------------------------------------------------------- */

static void release(struct sending *s)
{
    size_t at = 0;
    void  *value;

    sending_follow_free(s);
    while (map_next(&s->senders, &at, NULL, &value))
        sender_free(value);
    map_fini(&s->senders);
    pthread_cond_destroy(&s->came);
    pthread_mutex_destroy(&s->lock);
    free(s->user_domain);
    free(s->url);
    free(s);
}

int sending_new(const struct settings *settings, struct sending **out, struct err *e)
{
    struct sending    *s = calloc(1, sizeof *s);
    const char        *user_domain = settings->rulesd.user_domain;
    pthread_condattr_t attr;

    *out = NULL;
    if (s == NULL)
        panic("out of memory");
    s->url = span_strdup(span_of(settings->store.url));
    s->user_domain = span_strdup(span_of(user_domain != NULL ? user_domain : ""));
    lower(s->user_domain, strlen(s->user_domain) + 1, span_of(user_domain));
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->came, &attr);
    pthread_condattr_destroy(&attr);
    map_init(&s->senders);
    if (sending_follow_start(s, settings, e) < 0) {
        release(s);
        return -1;
    }
    *out = s;
    return 0;
}

void sending_free(struct sending **at)
{
    struct sending *s = *at;

    if (s == NULL)
        return;
    *at = NULL;
    sending_follow_stop(s);
    release(s);
}

void sending_stats(struct sending *s, struct sending_stats *out)
{
    pthread_mutex_lock(&s->lock);
    *out = s->stats;
    out->senders = s->senders.n;
    out->blocked = s->orders->blocked.n;
    out->waiting = s->ndirty;
    pthread_mutex_unlock(&s->lock);
}

/* rulesd/sending.c - see sending.h.
 *
 * One lock guards all that is decided with: it is held for look-ups and sums, never while somebody is asked. A count is three
 * numbers: what everybody is known to have sent, what of ours is on its way into the store, and what came since. */
#include "sending.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/map.h"
#include "base/utf8.h"
#include "net/redis.h"
#include "store/change.h"

#define HOUR_US (3600 * INT64_C(1000000))
#define DAY_US (24 * HOUR_US)
#define KEEP_US (31 * DAY_US) /* counters, for who looks back */
#define LOOK_MS 100           /* at the change feed */
#define FLUSH_US 500000
#define TRIM_US HOUR_US
#define RETRY_MS 1000
#define LOG_US 60000000
#define REDIS_TIMEOUT_MS 500
#define SENDERS_MAX 200000
#define BATCH 2000
#define SEEN_MAX 10 /* messages that the evidence names */
#define SUBJECT_MAX (SENDING_LOGIN_MAX + 8)
#define ROWS_PER_SENDER 4

/* What is counted, in the order of the first four limits. */
static const struct {
    const char *name;
    int64_t     slot_us;
    bool        recipients;
} kinds[ROWS_PER_SENDER] = {
    [LIMIT_MESSAGES_HOUR] = {"sent.messages.hour", HOUR_US, false},
    [LIMIT_MESSAGES_DAY] = {"sent.messages.day", DAY_US, false},
    [LIMIT_RECIPIENTS_HOUR] = {"sent.recipients.hour", HOUR_US, true},
    [LIMIT_RECIPIENTS_DAY] = {"sent.recipients.day", DAY_US, true},
};
_Static_assert(LIMIT_BLOCK_AFTER == ROWS_PER_SENDER, "the limits that are counted come first");

struct count {
    int64_t slot_us;
    int64_t known, on_its_way, since;
};

/* A message beyond a limit, for the evidence. */
struct seen {
    int64_t at_us;
    size_t  nrcpt;
    char    ip[46], sender[128], queue_id[40];
};

/* Somebody who sends, or a domain as a whole. */
struct sender {
    struct count counts[ROWS_PER_SENDER];
    int64_t      used_us;
    int64_t      over_slot_us, over; /* messages beyond a limit in that hour */
    struct seen *seen;               /* SEEN_MAX of them, the last `over`; NULL while there is none */
    bool         dirty;
    size_t       n;
    char         subject[]; /* "user:anna@ours.example" */
};

/* What the operator said. Made by the thread, swapped in. */
struct orders {
    struct arena arena;
    struct map   limits;  /* "mailbox:ADDRESS", "domain:NAME", "whole:NAME", "global:" -> struct store_limit */
    struct map   blocked; /* login -> until, int64_t */
};

/* A block that was decided here and is not written yet. */
struct verdict_row {
    struct verdict_row *next;
    int64_t             at_us;
    char                login[SENDING_LOGIN_MAX + 1];
    char                reason[SENDING_REASON_MAX + 1];
    struct buf          evidence;
};

struct sending {
    char         *url, *user_domain;
    pthread_t     thread;
    struct store *store; /* the thread's, as what follows */
    struct redis *redis; /* NULL: not configured */
    int64_t       seq;   /* of the last change that was looked at */
    int64_t       flushed_us, trimmed_us, logged_us;

    pthread_mutex_t      lock; /* guards what follows */
    pthread_cond_t       came;
    struct map           senders;
    struct orders       *orders;
    size_t               ndirty;
    struct verdict_row  *verdicts; /* to be written */
    struct sending_stats stats;
    bool                 stopping;
};

static const struct actor ourselves = {
    .kind = ACTOR_SYSTEM, .name = "postern-rulesd", .source = "sending limits", .admin = true};

const char *sending_text(enum sending_verdict v)
{
    switch (v) {
    case SENDING_OK: break;
    case SENDING_DEFER: return "4.7.1 Too much mail in too short a time, try again later";
    case SENDING_BLOCKED: return "5.7.1 Sending from this account is suspended";
    }
    return "";
}

/* ---- Orders: limits and blocks --------------------------------------------------------------------------------------- */

static struct orders *orders_new(void)
{
    struct orders *o = calloc(1, sizeof *o);

    if (o == NULL)
        panic("out of memory");
    arena_init(&o->arena, (size_t)256 << 20);
    map_init(&o->limits);
    map_init(&o->blocked);
    return o;
}

static void orders_free(struct orders **o)
{
    if (*o == NULL)
        return;
    map_fini(&(*o)->limits);
    map_fini(&(*o)->blocked);
    arena_fini(&(*o)->arena);
    free(*o);
    *o = NULL;
}

static int each_limit(void *ctx, struct store_scope scope, struct span name, bool whole,
                      const struct store_limit *limit)
{
    struct orders      *o = ctx;
    struct span         key = arena_printf(&o->arena, "%s:%.*s", whole ? "whole" : scope_kind_words[scope.kind],
                                           SPAN_ARG(name));
    struct store_limit *l = arena_alloc(&o->arena, sizeof *l);

    if (key.p == NULL || l == NULL)
        return 1;
    *l = *limit;
    map_put(&o->limits, key, l);
    return 0;
}

struct blocked_page {
    struct orders *orders;
    struct span    last;
    size_t         n;
};

static int each_blocked(void *ctx, const struct store_blocked *b)
{
    struct blocked_page *p = ctx;
    int64_t             *until = arena_alloc(&p->orders->arena, sizeof *until);

    p->last = arena_dup(&p->orders->arena, b->login);
    if (until == NULL || p->last.p == NULL)
        return 1;
    *until = b->until_us > 0 ? b->until_us : INT64_MAX;
    map_put(&p->orders->blocked, p->last, until);
    p->n++;
    return 0;
}

static int read_orders(struct store *s, struct orders *o, struct err *e)
{
    struct blocked_page p = {.orders = o};

    if (store_limit_list(s, each_limit, o, e) < 0)
        return -1;
    do {
        p.n = 0;
        if (store_blocked_list(s, clock_wall_us(), p.last, 0, each_blocked, &p, e) < 0)
            return -1;
    } while (p.n == STORE_LIST_MAX);
    return o->arena.full ? err_set(e, ERR_LIMIT, "too many limits and blocked senders") : 0;
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

    for (; s->senders.n >= SENDERS_MAX && oldest <= now; oldest += HOUR_US / 4) {
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

static struct sender *sender_of(struct sending *s, struct span subject, int64_t now)
{
    struct sender *x = map_get(&s->senders, subject);

    if (x == NULL) {
        if (s->senders.n >= SENDERS_MAX)
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

static int64_t slot_of(size_t kind, int64_t now) { return now - now % kinds[kind].slot_us; }

/* What of an earlier slot is not written yet is lost with it, but for what is on its way: a limit is not a bill. */
static struct count *count_of(struct sender *x, size_t kind, int64_t now)
{
    struct count *c = &x->counts[kind];
    int64_t       slot = slot_of(kind, now);

    if (c->slot_us != slot)
        *c = (struct count){.slot_us = slot};
    return c;
}

static int64_t sum(const struct count *c) { return c->known + c->on_its_way + c->since; }

/* The limit that one message more would break; -1: none. */
static int broken_limit(struct sender *x, const struct store_limit *l, size_t nrcpt, int64_t now)
{
    for (int k = 0; k < ROWS_PER_SENDER; k++) {
        int64_t more = kinds[k].recipients ? (int64_t)nrcpt : 1;

        if (l->of[k] > 0 && sum(count_of(x, (size_t)k, now)) + more > l->of[k])
            return k;
    }
    return -1;
}

static void make_dirty(struct sending *s, struct sender *x)
{
    s->ndirty += !x->dirty;
    x->dirty = true;
}

static void add(struct sending *s, struct sender *x, size_t nrcpt, int64_t now)
{
    for (size_t k = 0; k < ROWS_PER_SENDER; k++)
        count_of(x, k, now)->since += kinds[k].recipients ? (int64_t)nrcpt : 1;
    make_dirty(s, x);
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
    int64_t      slot = slot_of(LIMIT_MESSAGES_HOUR, f->now_us);

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
               sending_limit_words[limit], (long long)max, (long long)sum(count_of(x, (size_t)limit, now)),
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
    user = sender_of(s, span_of(subject), f->now_us);
    if (w->domain[0] != '\0') {
        snprintf(subject, sizeof subject, "domain:%s", w->domain);
        domain = sender_of(s, span_of(subject), f->now_us);
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

/* ---- Writing behind --------------------------------------------------------------------------------------------------- */

/* One batch on its way. Owns its subjects. */
struct batch {
    struct store_counter rows[BATCH];
    size_t               kind[BATCH]; /* index of kinds */
    int64_t              totals[BATCH];
    size_t               n;
    struct arena         arena;
};

static void take_sender(struct sending *s, struct batch *b, struct sender *x)
{
    struct span subject = SPAN_NONE;

    s->ndirty--;
    x->dirty = false;
    for (size_t k = 0; k < ROWS_PER_SENDER; k++) {
        struct count *c = &x->counts[k];

        if (c->since == 0)
            continue;
        if (subject.p == NULL)
            subject = arena_dup(&b->arena, span_make(x->subject, x->n));
        b->kind[b->n] = k;
        b->rows[b->n++] = (struct store_counter){span_of(kinds[k].name), subject, c->slot_us, c->since};
        c->on_its_way = c->since;
        c->since = 0;
    }
}

static void take_batch(struct sending *s, struct batch *b)
{
    size_t at = 0;
    void  *value;

    b->n = 0;
    pthread_mutex_lock(&s->lock);
    while (b->n + ROWS_PER_SENDER <= BATCH && map_next(&s->senders, &at, NULL, &value))
        if (((struct sender *)value)->dirty)
            take_sender(s, b, value);
    pthread_mutex_unlock(&s->lock);
}

/* written: the totals are known; else what was on its way is to be written again. */
static void settle(struct sending *s, const struct batch *b, bool written)
{
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < b->n; i++) {
        struct sender *x = map_get(&s->senders, b->rows[i].subject);
        struct count  *c = x != NULL ? &x->counts[b->kind[i]] : NULL;

        if (c == NULL || c->slot_us != b->rows[i].slot_us)
            continue;
        if (written) {
            c->known = b->totals[i];
        } else {
            c->since += c->on_its_way;
            make_dirty(s, x);
        }
        c->on_its_way = 0;
    }
    pthread_mutex_unlock(&s->lock);
}

/* Redis knows what the other nodes sent, whose store may be another. While it is away the store's sums have to do. */
static void ask_redis(struct sending *s, struct batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        const struct store_counter *c = &b->rows[i];
        char                        key[SUBJECT_MAX + STORE_DOMAIN_MAX + 80];
        int64_t                     total;
        int n = snprintf(key, sizeof key, "postern:%.*s:%.*s:%lld", SPAN_ARG(c->name), SPAN_ARG(c->subject),
                         (long long)(c->slot_us / 1000000));

        if (redis_add(s->redis, span_make(key, (size_t)n), c->value, 2 * kinds[b->kind[i]].slot_us / 1000, &total,
                      NULL) < 0)
            return;
        if (total > b->totals[i])
            b->totals[i] = total;
    }
}

/* 1: there may be more, 0, -1. */
static int flush_batch(struct sending *s, struct batch *b, struct err *e)
{
    int rc;

    take_batch(s, b);
    if (b->n == 0)
        return 0;
    if ((rc = store_counters_add(s->store, b->rows, b->n, b->totals, e)) == 0 && s->redis != NULL)
        ask_redis(s, b);
    settle(s, b, rc == 0);
    arena_reset(&b->arena);
    return rc < 0 ? -1 : b->n + ROWS_PER_SENDER > BATCH;
}

static int flush(struct sending *s, struct err *e)
{
    struct batch *b = calloc(1, sizeof *b);
    int           rc;

    if (b == NULL)
        panic("out of memory");
    arena_init(&b->arena, (size_t)BATCH * (SUBJECT_MAX + STORE_DOMAIN_MAX + 64));
    while ((rc = flush_batch(s, b, e)) > 0)
        ;
    arena_fini(&b->arena);
    free(b);
    return rc;
}

static int write_block(struct sending *s, const struct verdict_row *v, struct err *e)
{
    struct store_blocked b = {.login = span_of(v->login),
                              .reason = span_of(v->reason),
                              .evidence = buf_span(&v->evidence),
                              .automatic = true,
                              .at_us = v->at_us};

    if (store_blocked_put(s->store, &ourselves, &b, e) < 0)
        return -1;
    struct log_line line;
    log_begin(&line, LOG_LEVEL_WARNING, "sender blocked");
    log_str(&line, "user", v->login);
    log_str(&line, "why", v->reason);
    log_end(&line);
    return 0;
}

static struct verdict_row *first_verdict(struct sending *s)
{
    struct verdict_row *v;

    pthread_mutex_lock(&s->lock);
    v = s->verdicts;
    pthread_mutex_unlock(&s->lock);
    return v;
}

static void drop_verdict(struct sending *s, struct verdict_row *v)
{
    struct verdict_row **at;

    pthread_mutex_lock(&s->lock);
    for (at = &s->verdicts; *at != v; at = &(*at)->next)
        ;
    *at = v->next;
    pthread_mutex_unlock(&s->lock);
    buf_fini(&v->evidence);
    free(v);
}

static int write_blocks(struct sending *s, struct err *e)
{
    struct verdict_row *v;

    while ((v = first_verdict(s)) != NULL) {
        if (write_block(s, v, e) < 0)
            return -1;
        drop_verdict(s, v);
    }
    return 0;
}

/* ---- Following the store ------------------------------------------------------------------------------------------------ */

/* Blocks that are not written yet are not in what was read. */
static void keep_unwritten(struct sending *s, struct orders *o)
{
    for (struct verdict_row *v = s->verdicts; v != NULL; v = v->next) {
        struct span login = arena_dup(&o->arena, span_of(v->login));
        int64_t    *until = arena_alloc(&o->arena, sizeof *until);

        if (login.p == NULL || until == NULL)
            return;
        *until = INT64_MAX;
        map_put(&o->blocked, login, until);
    }
}

static int reload(struct sending *s, struct err *e)
{
    struct orders *o = orders_new(), *before;

    if (read_orders(s->store, o, e) < 0) {
        orders_free(&o);
        return -1;
    }
    pthread_mutex_lock(&s->lock);
    keep_unwritten(s, o);
    before = s->orders;
    s->orders = o;
    pthread_mutex_unlock(&s->lock);
    orders_free(&before);
    return 0;
}

struct look {
    int64_t seq;
    bool    ours;
};

static int each_change(void *ctx, const struct store_change *c)
{
    struct look *l = ctx;

    l->seq = c->seq;
    l->ours |= c->kind == CHANGE_SENDER || c->kind == CHANGE_DOMAIN || c->kind == CHANGE_MAILBOX;
    return 0;
}

static int follow(struct sending *s, struct err *e)
{
    struct look l = {.seq = s->seq};
    bool        gap = false;

    if (store_changes(s->store, s->seq, &gap, each_change, &l, e) < 0)
        return -1;
    if (gap && store_change_head(s->store, &l.seq, e) < 0)
        return -1;
    if ((gap || l.ours) && reload(s, e) < 0)
        return -1;
    s->seq = l.seq;
    return 0;
}

static int each_counter(void *ctx, const struct store_counter *c)
{
    struct sending *s = ctx;
    int64_t         now = clock_wall_us();

    for (size_t k = 0; k < ROWS_PER_SENDER; k++)
        if (span_is(c->name, kinds[k].name) && c->slot_us == slot_of(k, now) && s->senders.n < SENDERS_MAX / 2)
            count_of(sender_of(s, c->subject, now), k, now)->known = c->value;
    return 0;
}

/* Where an earlier start left off. */
static int read_counters(struct sending *s, struct err *e)
{
    int64_t now = clock_wall_us(), hour = slot_of(LIMIT_MESSAGES_HOUR, now), day = slot_of(LIMIT_MESSAGES_DAY, now);

    if (store_counters_of(s->store, day, each_counter, s, e) < 0)
        return -1;
    return hour != day ? store_counters_of(s->store, hour, each_counter, s, e) : 0;
}

static int open_store(struct sending *s, struct err *e)
{
    if (s->store != NULL)
        return 0;
    return store_open(s->url, STORE_EXISTING, &s->store, e);
}

static int trim(struct sending *s, int64_t now, struct err *e)
{
    if (s->trimmed_us != 0 && now - s->trimmed_us < TRIM_US)
        return 0;
    s->trimmed_us = now;
    return store_counters_trim(s->store, clock_wall_us() - KEEP_US, e);
}

/* All that is due. */
static int work(struct sending *s, bool all, struct err *e)
{
    int64_t now = clock_mono_us();

    if (open_store(s, e) < 0 || write_blocks(s, e) < 0 || follow(s, e) < 0)
        return -1;
    if (!all && now - s->flushed_us < FLUSH_US)
        return 0;
    s->flushed_us = now;
    return flush(s, e) < 0 ? -1 : trim(s, now, e);
}

static void complain(struct sending *s, const struct err *e)
{
    int64_t now = clock_mono_us();

    if (s->logged_us != 0 && now - s->logged_us < LOG_US)
        return;
    s->logged_us = now;
    log_err(LOG_LEVEL_WARNING, "what is sent is counted in memory alone", e);
}

/* True when it is time to stop. */
static bool wait_a_moment(struct sending *s, int64_t ms)
{
    struct timespec until;
    bool            stopping;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&s->lock);
    while (!s->stopping && (s->verdicts == NULL || ms > LOOK_MS) &&
           pthread_cond_timedwait(&s->came, &s->lock, &until) != ETIMEDOUT)
        ;
    stopping = s->stopping;
    pthread_mutex_unlock(&s->lock);
    return stopping;
}

static void *run(void *arg)
{
    struct sending *s = arg;
    bool            stopping, well = true;

    do {
        struct err e = ERR_INIT;

        stopping = wait_a_moment(s, well ? LOOK_MS : RETRY_MS);
        well = work(s, stopping, &e) == 0;
        if (well)
            s->logged_us = 0;
        else
            complain(s, &e);
    } while (!stopping);
    return NULL;
}

/* ---- Starting and stopping ---------------------------------------------------------------------------------------------- */

static void release(struct sending *s)
{
    size_t at = 0;
    void  *value;

    while (s->verdicts != NULL)
        drop_verdict(s, s->verdicts);
    while (map_next(&s->senders, &at, NULL, &value))
        sender_free(value);
    map_fini(&s->senders);
    orders_free(&s->orders);
    redis_free(&s->redis);
    store_close(&s->store);
    pthread_cond_destroy(&s->came);
    pthread_mutex_destroy(&s->lock);
    free(s->user_domain);
    free(s->url);
    free(s);
}

static int start(struct sending *s, const struct settings *settings, struct err *e)
{
    int rc;

    if (settings->redis.url[0] != '\0' && redis_new(settings->redis.url, REDIS_TIMEOUT_MS, &s->redis, e) < 0)
        return err_wrap(e, "[redis] url");
    if (open_store(s, e) < 0 || store_change_head(s->store, &s->seq, e) < 0 || reload(s, e) < 0 ||
        read_counters(s, e) < 0)
        return -1;
    if ((rc = pthread_create(&s->thread, NULL, run, s)) != 0)
        return err_set(e, ERR_IO, "start a thread: %s", strerror(rc));
    return 0;
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
    if (start(s, settings, e) < 0) {
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
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    pthread_cond_signal(&s->came);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
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

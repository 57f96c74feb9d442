/* rulesd/caller.c - see caller.h. */
#include "caller.h"

#include <errno.h>
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"

const char *caller_class_word(enum caller_class c) { return c == CLASS_MTA ? "mta" : "scan"; }

void peer_format(const struct peer *p, char out[PEER_TEXT])
{
    if (p->is_unix)
        snprintf(out, PEER_TEXT, "uid %lu", (unsigned long)p->uid);
    else
        ip_format(&p->ip, out);
}

/* ---- trust ---- */

static void *must_array(size_t n, size_t size)
{
    void *p = calloc(n > 0 ? n : 1, size);

    if (p == NULL)
        panic("out of memory");
    return p;
}

static int read_blocks(const struct conf_list *list, const char *key, struct ip_block **out, size_t *n_out,
                       struct err *e)
{
    *out = must_array(list->n, sizeof **out);
    for (size_t i = 0; i < list->n; i++) {
        if (ip_block_parse(span_of(list->items[i]), &(*out)[i], e) < 0)
            return err_wrap(e, "[rulesd] %s", key);
        *n_out = i + 1;
    }
    return 0;
}

/* A user of the list as a uid. A name that this machine does not know is a warning: the default names several MTAs. */
static bool find_user(const char *name, uid_t *out)
{
    struct passwd pw, *found = NULL;
    char          room[4096];
    uint64_t      number;

    if (span_u64(span_of(name), &number) && number < UINT32_MAX) {
        *out = (uid_t)number;
        return true;
    }
    if (getpwnam_r(name, &pw, room, sizeof room, &found) != 0 || found == NULL)
        return false;
    *out = found->pw_uid;
    return true;
}

static void read_users(const struct conf_list *list, struct trust *t)
{
    struct buf unknown;

    buf_init(&unknown, 2048);
    t->mta_uids = must_array(list->n + 2, sizeof *t->mta_uids);
    t->mta_uids[t->nmta_uids++] = 0;
    t->mta_uids[t->nmta_uids++] = geteuid();
    for (size_t i = 0; i < list->n; i++) {
        if (find_user(list->items[i], &t->mta_uids[t->nmta_uids]))
            t->nmta_uids++;
        else
            buf_printf(&unknown, "%s%s", unknown.n > 0 ? ", " : "", list->items[i]);
    }
    if (unknown.n > 0)
        log_text(LOG_LEVEL_WARNING, "mta_users names users that this machine does not have: %s", unknown.p);
    buf_fini(&unknown);
}

static void read_secrets(const struct settings *s, struct trust *t)
{
    if (s->rulesd.password[0] != '\0')
        t->password = span_strdup(span_of(s->rulesd.password));
    t->authserv_id = span_strdup(span_of(s->rules.authserv_id));
    t->origin = (struct origin_trust){t->relays, t->nrelays, span_of(t->authserv_id)};
}

int trust_new(const struct settings *s, struct trust **out, struct err *e)
{
    struct trust *t = must_array(1, sizeof *t);

    *out = NULL;
    atomic_init(&t->refs, 1);
    read_users(&s->rulesd.mta_users, t);
    if (read_blocks(&s->rulesd.mta_from, "mta_from", &t->mta_from, &t->nmta_from, e) < 0 ||
        read_blocks(&s->rulesd.trusted_relays, "trusted_relays", &t->relays, &t->nrelays, e) < 0) {
        trust_drop(&t);
        return -1;
    }
    read_secrets(s, t);
    *out = t;
    return 0;
}

struct trust *trust_hold(struct trust *t)
{
    atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

void trust_drop(struct trust **tp)
{
    struct trust *t = *tp;

    *tp = NULL;
    if (t == NULL || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1)
        return;
    free(t->mta_from);
    free(t->mta_uids);
    free(t->relays);
    free(t->password);
    free(t->authserv_id);
    free(t);
}

static bool is_mta(const struct trust *t, const struct peer *p)
{
    if (p->is_unix) {
        for (size_t i = 0; i < t->nmta_uids; i++)
            if (t->mta_uids[i] == p->uid)
                return true;
        return false;
    }
    for (size_t i = 0; i < t->nmta_from; i++)
        if (ip_block_holds(&t->mta_from[i], &p->ip))
            return true;
    return false;
}

enum caller_class caller_class(const struct trust *t, const struct peer *p, enum caller_class most)
{
    return most == CLASS_MTA && is_mta(t, p) ? CLASS_MTA : CLASS_SCAN;
}

/* The time depends on the length of what was given alone. */
bool trust_password(const struct trust *t, struct span given)
{
    size_t        n = t->password != NULL ? strlen(t->password) : 0;
    unsigned char differs = (unsigned char)(n == 0 || n != given.n);

    for (size_t i = 0; i < given.n; i++)
        differs |= (unsigned char)(given.p[i] ^ (n > 0 ? t->password[i % n] : 1));
    return differs == 0;
}

/* ---- allowance ---- */

/* A table of sets: a peer lives in the one set that its hash names, and pushes out the longest unused of it. A peer's
 * balance refills evenly, up to a minute's worth. */
#define SETS 1024
#define WAYS 8
#define MINUTE_US (60 * INT64_C(1000000))
#define STEP_US (MINUTE_US / ALLOWANCE_PER_MINUTE)

struct share {
    uint64_t who;     /* 0: free */
    int64_t  full_us; /* when the balance would be full again; before now: it is */
};
struct allowance {
    pthread_mutex_t lock; /* guards shares */
    struct share    shares[SETS][WAYS];
};

struct allowance *allowance_new(void)
{
    struct allowance *a = must_array(1, sizeof *a);

    pthread_mutex_init(&a->lock, NULL);
    return a;
}

void allowance_free(struct allowance **ap)
{
    if (*ap != NULL)
        pthread_mutex_destroy(&(*ap)->lock);
    free(*ap);
    *ap = NULL;
}

static uint64_t peer_key(const struct peer *p)
{
    struct ip net = p->is_unix ? (struct ip){{0}} : ip_is_v4(&p->ip) ? p->ip : ip_network(&p->ip, 64);
    uint64_t  hash = p->is_unix ? span_hash(span_make(&p->uid, sizeof p->uid))
                                : span_hash(span_make(net.b, sizeof net.b));

    return hash != 0 ? hash : 1;
}

static struct share *find_share(struct share *set, uint64_t who)
{
    struct share *oldest = set;

    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].who == who)
            return &set[i];
        if (set[i].full_us < oldest->full_us)
            oldest = &set[i];
    }
    *oldest = (struct share){.who = who};
    return oldest;
}

bool allowance_take(struct allowance *a, const struct peer *p, size_t n, int64_t now_mono_us)
{
    uint64_t who = peer_key(p);
    bool     may;

    if (n > ALLOWANCE_PER_MINUTE)
        return false;
    pthread_mutex_lock(&a->lock);
    struct share *s = find_share(a->shares[who % SETS], who);
    int64_t       from = s->full_us > now_mono_us ? s->full_us : now_mono_us;
    may = from + (int64_t)n * STEP_US <= now_mono_us + MINUTE_US;
    if (may)
        s->full_us = from + (int64_t)n * STEP_US;
    pthread_mutex_unlock(&a->lock);
    return may;
}

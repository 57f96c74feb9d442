/* portal/live.c - see live.h. */
#include "live.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "mail.h"
#include "route.h"
#include "store/account.h"
#include "store/session.h"

#define LOOK_US INT64_C(1000000)
#define BACK_US (30 * INT64_C(1000000))
#define BEAT_US (20 * INT64_C(1000000)) /* so that a line that is cut is noticed */
#define AGAIN_S 30
#define ROWS_MAX 500
#define QUEUE_MAX ((size_t)16 << 10)
#define DOMAINS_MAX 64

struct listener {
    struct httpd_stream *stream;
    struct uuid          account, session;
    int64_t              until_us, beat_us, seen_us; /* seen_us: when its session was last seen to hold */
    bool                 over;                       /* it does not any more */
    bool                 all;                        /* an admin */
    bool                 ready;                      /* has been told that the watch has begun */
    struct uuid          domains[DOMAINS_MAX];
    struct mail_scopes   mailboxes;
    size_t               ndomains, fresh;
    bool                 changed; /* the status of one that is not fresh any more */
    struct listener     *next;
};

/* What one look has seen. */
struct look {
    struct sight {
        struct store_key     key;
        enum delivery_status status;
    } rows[ROWS_MAX];
    size_t n;
};

struct live {
    struct store    *store;
    pthread_t        thread;
    pthread_mutex_t  lock; /* guards all below */
    pthread_cond_t   wake;
    struct listener *listeners;
    size_t           n;
    bool             stopping;

    /* The thread's own. */
    struct look looks[2], *last, *now;
    bool        begun; /* last is of a look a second ago */
};

/* ---- who listens to what ---- */

static bool concerns(const struct listener *l, const struct store_row *r)
{
    if (l->all)
        return true;
    for (size_t i = 0; r->has_domain && i < l->ndomains; i++)
        if (uuid_eq(&l->domains[i], &r->domain))
            return true;
    for (size_t i = 0; r->has_mailbox && i < l->mailboxes.n; i++)
        if (uuid_eq(&l->mailboxes.scopes[i].id, &r->mailbox))
            return true;
    return false;
}

/* Says what there is to say. false: there is nobody any more, or it is over. What came before the watch began is for the page to find. */
static bool tell(struct listener *l, int64_t now_us)
{
    char text[80];

    if (l->over || now_us >= l->until_us)
        return false;
    if (l->ready && l->fresh == 0 && !l->changed && now_us < l->beat_us)
        return true;
    l->beat_us = now_us + BEAT_US;
    if (l->fresh > 0)
        snprintf(text, sizeof text, "event: mail\ndata: {\"n\":%zu}\n\n", l->fresh);
    else
        snprintf(text, sizeof text, "%s",
                 !l->ready    ? "event: ready\ndata: {}\n\n"
                 : l->changed ? "event: changed\ndata: {}\n\n"
                              : ":\n\n");
    l->fresh = 0;
    l->changed = false;
    l->ready = true;
    return httpd_stream_put(l->stream, span_of(text));
}

static void end(struct listener *l)
{
    httpd_stream_end(&l->stream);
    free(l);
}

static void tell_all(struct live *l)
{
    int64_t           now = clock_mono_us();
    struct listener **at = &l->listeners, *gone;

    while (*at != NULL) {
        if (tell(*at, now)) {
            at = &(*at)->next;
            continue;
        }
        gone = *at;
        *at = gone->next;
        l->n--;
        end(gone);
    }
}

/* ---- looking ---- */

static const struct sight *seen(const struct look *look, const struct store_key *key)
{
    for (size_t i = 0; i < look->n; i++)
        if (look->rows[i].key.n == key->n && uuid_eq(&look->rows[i].key.uid, &key->uid))
            return &look->rows[i];
    return NULL;
}

static int take(void *ctx, const struct store_row *r)
{
    struct live        *l = ctx;
    const struct sight *before = l->begun ? seen(l->last, &r->key) : NULL;

    if (l->now->n == ROWS_MAX)
        return 1;
    l->now->rows[l->now->n++] = (struct sight){r->key, r->status};
    if (!l->begun || (before != NULL && before->status == r->status))
        return 0;
    pthread_mutex_lock(&l->lock);
    for (struct listener *one = l->listeners; one != NULL; one = one->next) {
        if (!concerns(one, r))
            continue;
        one->fresh += before == NULL;
        one->changed |= before != NULL;
    }
    pthread_mutex_unlock(&l->lock);
    return 0;
}

static int look(struct live *l, struct err *e)
{
    struct store_search what = {.scope = STORE_SCOPE_GLOBAL, .since_us = clock_wall_us() - BACK_US, .limit = ROWS_MAX};
    struct store_search_end found;
    struct look            *spare = l->last;

    l->now->n = 0;
    if (store_search(l->store, &what, take, l, &found, e) < 0)
        return -1;
    l->last = l->now;
    l->now = spare;
    l->begun = true;
    return 0;
}

/* Who is next to be looked at. Only this thread takes listeners away, so that they stay without the lock. */
static size_t pick_next(struct live *l, struct listener **out, int64_t now_us)
{
    size_t  n = 0;
    int64_t every_us;

    pthread_mutex_lock(&l->lock);
    every_us = LOOK_US / 2 + LOOK_US * (int64_t)(l->n / LIVE_SESSIONS_A_LOOK);
    for (struct listener *one = l->listeners; one != NULL && n < LIVE_SESSIONS_A_LOOK; one = one->next)
        if (now_us - one->seen_us >= every_us)
            out[n++] = one;
    pthread_mutex_unlock(&l->lock);
    return n;
}

/* A database that is away ends nobody: what they listen to is away with it. */
static int look_at_sessions(struct live *l, struct err *e)
{
    struct listener *next[LIVE_SESSIONS_A_LOOK];
    int64_t          now = clock_mono_us();
    size_t           n = pick_next(l, next, now);

    for (size_t i = 0; i < n; i++) {
        bool holds;

        if (store_session_holds(l->store, next[i]->session, clock_wall_us(), &holds, e) < 0)
            return -1;
        next[i]->over = !holds;
        next[i]->seen_us = now;
    }
    return 0;
}

/* Until somebody listens, or a second has gone by. false: stop. */
static bool rest(struct live *l)
{
    struct timespec until;
    bool            go;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += LOOK_US / 1000000;
    pthread_mutex_lock(&l->lock);
    while (!l->stopping && (l->listeners == NULL ? pthread_cond_wait(&l->wake, &l->lock)
                                                 : pthread_cond_timedwait(&l->wake, &l->lock, &until)) == 0)
        l->begun &= l->n > 1; /* the first one hears of what comes from now on */
    go = !l->stopping;
    pthread_mutex_unlock(&l->lock);
    return go;
}

static void *run(void *arg)
{
    struct live *l = arg;
    bool         away = false;

    while (rest(l)) {
        struct err e = ERR_INIT;
        int        rc = look(l, &e) < 0 || look_at_sessions(l, &e) < 0 ? -1 : 0;

        if (rc < 0 && !away)
            log_err(LOG_LEVEL_WARNING, "pages are not told of new mail", &e);
        away = rc < 0;
        pthread_mutex_lock(&l->lock);
        tell_all(l);
        pthread_mutex_unlock(&l->lock);
    }
    return NULL;
}

int live_start(const struct portal *p, struct live **out, struct err *e)
{
    struct live       *l = calloc(1, sizeof *l);
    pthread_condattr_t monotonic;

    if (l == NULL)
        panic("out of memory");
    l->last = &l->looks[0];
    l->now = &l->looks[1];
    pthread_mutex_init(&l->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&l->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    *out = l;
    if (store_open(p->settings->store.url, STORE_EXISTING, &l->store, e) < 0)
        return -1;
    if ((errno = pthread_create(&l->thread, NULL, run, l)) != 0)
        return err_errno(e, "start a thread");
    return 0;
}

void live_stop(struct live **lp)
{
    struct live *l = *lp;

    *lp = NULL;
    if (l == NULL)
        return;
    pthread_mutex_lock(&l->lock);
    l->stopping = true;
    pthread_cond_broadcast(&l->wake);
    pthread_mutex_unlock(&l->lock);
    if (l->thread != 0)
        pthread_join(l->thread, NULL);
    for (struct listener *one = l->listeners, *next; one != NULL; one = next) {
        next = one->next;
        end(one);
    }
    store_close(&l->store);
    pthread_cond_destroy(&l->wake);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

/* ---- the call ---- */

static int add_domain(void *ctx, const struct uuid *account, const struct uuid *domain, struct span name,
                      enum role role)
{
    struct listener *l = ctx;

    (void)account;
    (void)name;
    if (role != ROLE_USER && l->ndomains < DOMAINS_MAX)
        l->domains[l->ndomains++] = *domain;
    return 0;
}

/* With the lock. */
static bool has_room(const struct live *l, const struct uuid *account)
{
    size_t own = 0;

    for (const struct listener *one = l->listeners; one != NULL; one = one->next)
        own += uuid_eq(&one->account, account);
    return own < LIVE_STREAMS_PERSON && l->n < LIVE_STREAMS_MAX;
}

static bool may_join(struct live *l, const struct uuid *account)
{
    bool room;

    pthread_mutex_lock(&l->lock);
    room = has_room(l, account);
    pthread_mutex_unlock(&l->lock);
    return room;
}

static bool join(struct live *l, struct listener *one)
{
    bool room;

    pthread_mutex_lock(&l->lock);
    if ((room = has_room(l, &one->account))) {
        one->next = l->listeners;
        l->listeners = one;
        l->n++;
        pthread_cond_signal(&l->wake);
    }
    pthread_mutex_unlock(&l->lock);
    return room;
}

static int events(struct call *c, struct err *e)
{
    int64_t          now = clock_mono_us();
    struct listener *l;

    if (!may_join(c->portal->live, &c->who.account.id))
        return call_slow_down(c, AGAIN_S, e, "Too many pages of yours listen for new mail. This one has to wait.");
    if ((l = calloc(1, sizeof *l)) == NULL)
        panic("out of memory");
    l->account = c->who.account.id;
    l->session = c->who.session;
    l->seen_us = now;
    l->all = c->who.account.admin;
    l->until_us = now + LIVE_US;
    l->beat_us = now + BEAT_US;
    if (mail_scopes_of_person(c, &l->mailboxes, e) < 0 ||
        store_role_list(c->store, c->who.account.id, add_domain, l, e) < 0) {
        free(l);
        return -1;
    }
    c->reply->stream = l->stream = httpd_stream_new(c->portal->httpd, QUEUE_MAX);
    httpd_set(c->reply, "Content-Type", SPAN("text/event-stream"));
    httpd_stream_put(l->stream, SPAN("retry: 3000\n\n"));
    if (!join(c->portal->live, l))
        end(l); /* others came first meanwhile: it is asked again */
    return 0;
}

static const struct route rows[] = {
    {HTTPD_GET, "/me/events", DEED_SEE_MAIL, OBJECT_NONE, ROUTE_NO_REPLAY, events,
     .summary = "Server-sent events: \"mail\" says that so many deliveries have come to what who is signed in may see, "
                "\"changed\" that the status of one that came just now is another. Ends after 5 minutes, to be asked "
                "for again.",
     .reply = "text/event-stream"},
};

const struct route_family live_family = {"Events", rows, COUNT(rows), NULL};

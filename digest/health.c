/* digest/health.c - see health.h. */
#include "health.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"
#include "net/vitals.h"

#define NAME "postern_digest_"

struct health {
    const struct settings      *settings;
    const struct digest_counts *counts;
    struct vitals              *vitals;
    struct store               *store; /* the answering thread's alone */
};

/* ---- what is told ---- */

static void put(struct buf *b, const char *name, const char *kind, const char *help, double value)
{
    buf_printf(b, "# HELP " NAME "%s %s\n# TYPE " NAME "%s %s\n" NAME "%s %.17g\n", name, help, name, kind, name,
               value);
}

static double total(const atomic_ullong *n) { return (double)atomic_load(n); }

static void put_counts(struct buf *b, const struct digest_counts *c)
{
    put(b, "begun_total", "counter", "Digests that were begun.", total(&c->round.begun));
    put(b, "nothing_total", "counter", "Hours that came with nothing new to tell.", total(&c->round.nothing));
    put(b, "skipped_total", "counter", "Hours of paused digests, and of those that are nobody's any more.",
        total(&c->round.skipped));
    put(b, "sent_total", "counter", "Digests that the mail server has taken.", total(&c->post.sent));
    put(b, "sent_bytes_total", "counter", "Their size.", total(&c->post.bytes));
    put(b, "later_total", "counter", "Tries that the mail server put off, or was away at.", total(&c->post.later));
    put(b, "failed_total", "counter", "Digests that the mail server has refused.", total(&c->post.failed));
    put(b, "answer_released_total", "counter", "Messages that answers have released.", total(&c->answers.released));
    put(b, "answer_refused_total", "counter", "Messages that answers may not release.", total(&c->answers.refused));
    put(b, "answer_dropped_total", "counter", "Answers that were dropped.", total(&c->answers.dropped));
    put(b, "answer_later_total", "counter", "Answers that were asked to come again.", total(&c->answers.later));
}

static int open_store(struct health *h, struct err *e)
{
    return h->store != NULL ? 0 : store_open(h->settings->store.url, STORE_EXISTING, &h->store, e);
}

static void put_metrics(void *ctx, struct buf *b)
{
    struct health        *h = ctx;
    struct store_run_sums sums = {0};
    struct err            e = ERR_INIT;
    int64_t               now = clock_wall_us(), due = 0;
    bool                  up = open_store(h, &e) == 0 && store_run_sums(h->store, now, &sums, &e) == 0 &&
              store_digest_next_due(h->store, &due, &e) == 0;

    put_counts(b, h->counts);
    put(b, "store_up", "gauge", "Whether the database answers.", up);
    if (!up) {
        log_err(LOG_LEVEL_WARNING, "metrics", &e);
        return;
    }
    put(b, "waiting", "gauge", "Digests that are begun and not sent.", (double)sums.waiting);
    put(b, "oldest_waiting_seconds", "gauge", "For how long the oldest of them has waited.",
        sums.oldest_us == 0 ? 0 : (double)(now - sums.oldest_us) / 1e6);
    put(b, "late_seconds", "gauge", "For how long the first that is due has been so.",
        due == 0 || due > now ? 0 : (double)(now - due) / 1e6);
}

static const char *ill(void *ctx)
{
    struct health *h = ctx;

    return open_store(h, NULL) == 0 && store_ping(h->store, NULL) == 0 ? NULL : "the database is away";
}

/* ---- start and stop ---- */

int health_start(const struct settings *settings, const struct digest_counts *counts, struct health **out,
                 struct err *e)
{
    struct health       *h;
    struct vitals_config c = {"[digest] listen_http", &settings->digest.listen_http, ill, put_metrics, NULL};

    *out = NULL;
    if (settings->digest.listen_http.n == 0)
        return 0;
    if ((h = calloc(1, sizeof *h)) == NULL)
        panic("out of memory");
    h->settings = settings;
    h->counts = counts;
    c.ctx = h;
    *out = h;
    if (vitals_start(&c, &h->vitals, e) == 0)
        return 0;
    health_stop(out);
    return -1;
}

void health_stop(struct health **hp)
{
    struct health *h = *hp;

    *hp = NULL;
    if (h == NULL)
        return;
    vitals_stop(&h->vitals);
    store_close(&h->store);
    free(h);
}

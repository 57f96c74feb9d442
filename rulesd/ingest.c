/* rulesd/ingest.c - see ingest.h: whose a message is, whether we have it, and what is done with it. */
#include "ingest.h"

#include "endpoints.h"
#include "mail/address.h"
#include "store/join.h"
#include "timeline.h"

#define FORM_INGEST 0x10000u /* of the reply, apart from those of questions (scan.h) */

/* ---- whose it is, and whether we have it ---- */

/* A recipient that we may be told of. */
struct ours {
    struct span sent, full; /* as the exporter wrote it; in normal form */
    bool        known;      /* has a row */
};
struct taking {
    struct visit *v;
    struct ours  *all;
    size_t        n;
    int64_t       now_us;
};

static int find_ours(struct taking *t, struct store *s, const struct ingest_told *told)
{
    struct arena *a = &t->v->x->arena;

    if ((t->all = arena_array(a, told->nrcpt + 1, sizeof *t->all)) == NULL)
        return visit_refuse(t->v, 413, "the request needs too much memory");
    for (size_t i = 0; i < told->nrcpt; i++) {
        struct address        address;
        struct store_resolved who;
        struct err            e = ERR_INIT;

        if (address_parse_path(told->rcpt[i], a, &address, &e) < 0 || address.full.n == 0)
            continue;
        if (store_resolve(s, address.full, &who, &e) < 0)
            return visit_refuse(t->v, 503, "the database does not answer");
        if (who.ours && api_key_for_domain(t->v->token.key, &who.domain))
            t->all[t->n++] = (struct ours){told->rcpt[i], address.full, false};
    }
    return 0;
}

/* Rows keep the recipient as it was given. */
static int each_row(void *ctx, size_t which, const struct store_join *j)
{
    struct taking *t = ctx;
    int64_t        age = t->now_us - j->at_us;

    (void)which;
    if (age > STORE_JOIN_QUEUE_US || age < -STORE_JOIN_QUEUE_US)
        return 0; /* an old one: queue ids come again */
    for (size_t i = 0; i < t->n; i++)
        if (span_eq_ci(t->all[i].full, j->recipient) || span_eq_ci(t->all[i].sent, j->recipient))
            t->all[i].known = true;
    return 0;
}

/* For those without a row. The same message handed over twice at once is one scan: repeat.h. */
static int make_request(struct taking *t, const struct ingest_told *told)
{
    struct exchange       *x = t->v->x;
    struct scanner_answer *answer = arena_alloc(&x->arena, sizeof *answer);
    struct span           *rcpt = arena_array(&x->arena, t->n + 1, sizeof *rcpt);
    size_t                 n = 0;

    if (answer == NULL || rcpt == NULL)
        return visit_refuse(t->v, 413, "the request needs too much memory");
    *answer = told->answer;
    for (size_t i = 0; i < t->n; i++)
        if (!t->all[i].known)
            rcpt[n++] = t->all[i].sent;
    t->v->req = (struct scan_request){.protocol = METRIC_HTTP,
                                      .class = CLASS_MTA,
                                      .listener = x->client->listener,
                                      .peer = x->client->peer,
                                      .message = x->http.body,
                                      .from = told->from,
                                      .rcpt = rcpt,
                                      .nrcpt = n,
                                      .ip = told->ip,
                                      .user = told->user,
                                      .queue_id = told->queue_id,
                                      .form = FORM_INGEST | x->keep,
                                      .answered = answer};
    t->v->scan = n > 0;
    return 0;
}

int ingest_rspamd(struct visit *v, struct store *s)
{
    struct taking      t = {.v = v, .now_us = clock_wall_us()};
    struct ingest_told told;
    struct err         e = ERR_INIT;

    if (s == NULL)
        return visit_refuse(v, 503, "the database is away");
    if (ingest_read_told(&v->x->http, &v->x->arena, &told, &e) < 0)
        return visit_refuse(v, e.code == ERR_LIMIT ? 413 : 400, "%s", e.text);
    if (v->x->http.body.n == 0)
        return visit_refuse(v, 400, "the message is missing: formatter has to be default");
    if (told.queue_id.n > 0 && find_ours(&t, s, &told) < 0)
        return -1;
    const struct store_join_ask ask = {.handle = told.queue_id, .at_us = t.now_us};
    if (t.n > 0 && store_join_queues(s, &ask, 1, each_row, &t, &e) < 0)
        return visit_refuse(v, 503, "the database does not answer");
    if (make_request(&t, &told) < 0)
        return -1;
    if (!v->scan)
        buf_puts(&v->body, "{\"success\":true,\"recipients\":0}"); /* nobody of ours, or we have it */
    return 0;
}

/* ---- what became of deliveries ---- */

static int tell(struct visit *v, struct store *s, const struct mail_event *events, size_t n)
{
    struct timeline_stats done = {0};
    struct err            e = ERR_INIT;

    if (timeline_tell(s, events, n, &done, &e) < 0)
        return visit_refuse(v, 503, "the database does not answer");
    buf_printf(&v->body, "{\"success\":true,\"events\":%zu,\"joined\":%llu,\"unknown\":%llu}", n,
               (unsigned long long)done.joined, (unsigned long long)done.unknown + (unsigned long long)done.nobody);
    return 0;
}

int ingest_delivery(struct visit *v, struct store *s)
{
    const struct mail_event *events;
    struct span              body = v->x->http.body;
    struct err               e = ERR_INIT;
    size_t                   n;

    if (s == NULL)
        return visit_refuse(v, 503, "the database is away");
    if (body.n > INGEST_JSON_MAX)
        return visit_refuse(v, 413, "more than %zu bytes", INGEST_JSON_MAX);
    if (ingest_read_events(body, clock_wall_us(), &v->x->arena, &events, &n, &e) < 0)
        return visit_refuse(v, e.code == ERR_LIMIT ? 413 : 400, "%s", e.text);
    return tell(v, s, events, n);
}

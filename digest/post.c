/* digest/post.c - see post.h. */
#include "post.h"

#include "base/backoff.h"
#include "base/log.h"
#include "mail/compose.h"

#define BRAND_KEPT_US (60 * INT64_C(1000000))
#define SECOND_US INT64_C(1000000)
#define CLAIMS_MAX ((size_t)1 << 20)

/* Together far less than RUN_LEASE_US: nobody else takes a run whose letter is on its way. */
static const struct smtp_how patience = {.connect_ms = 20000, .reply_ms = 30000, .end_ms = 120000};
#define LETTER_MOST_US (300 * SECOND_US)

void post_init(struct post *p)
{
    buf_init(&p->letter, 2 * LETTER_MAX);
    arena_init(&p->claims, CLAIMS_MAX);
}

void post_fini(struct post *p)
{
    smtp_client_close(&p->smtp);
    buf_fini(&p->letter);
    arena_fini(&p->claims);
}

int64_t post_rest_us(const struct post *p)
{
    int64_t left = p->last_mono_us + SECOND_US / p->settings->digest.per_second - clock_mono_us();

    return p->last_mono_us != 0 && left > 0 ? left : 0;
}

int post_brand(struct post *p, const struct store_digest *d, const struct store_brand **out, struct err *e)
{
    int64_t now = clock_mono_us();
    int     rc;

    if (p->brand_us == 0 || now - p->brand_us > BRAND_KEPT_US || uuid_cmp(&p->brand_domain, &d->domain) != 0) {
        if ((rc = store_brand_of_domain(p->look.store, span_of(d->domain_name), &p->brand, e)) < 0)
            return -1;
        p->has_brand = rc > 0;
        p->brand_domain = d->domain;
        p->brand_us = now;
    }
    *out = p->has_brand ? &p->brand : NULL;
    return 0;
}

/* ---- what became of one ---- */

static void log_run(const char *event, enum log_level level, const struct store_run *r, struct span answer)
{
    struct log_line l;

    log_begin(&l, level, event);
    log_span(&l, "to", r->recipient);
    log_i64(&l, "messages", r->total);
    log_i64(&l, "attempt", r->attempts);
    log_span(&l, "answer", answer);
    log_end(&l);
}

static int give_up(struct post *p, const struct store_run *r, struct span answer, int64_t now_us, struct err *e)
{
    log_run("digest not sent", LOG_LEVEL_WARNING, r, answer);
    atomic_fetch_add(&p->counts->failed, 1);
    return store_run_failed(p->look.store, r->id, p->by, answer, now_us, e);
}

static int put_off(struct post *p, const struct store_run *r, struct span answer, int64_t now_us, struct err *e)
{
    if (now_us - r->created_us > POST_GIVE_UP_US)
        return give_up(p, r, answer, now_us, e);
    log_run("digest waits", LOG_LEVEL_WARNING, r, answer);
    atomic_fetch_add(&p->counts->later, 1);
    return store_run_later(p->look.store, r->id, p->by,
                           now_us + backoff_us(r->attempts, POST_FIRST_US, POST_LONGEST_US), answer, now_us, e);
}

static int is_sent(struct post *p, const struct store_run *r, struct span answer, int64_t now_us, struct err *e)
{
    log_run("digest sent", LOG_LEVEL_INFO, r, answer);
    atomic_fetch_add(&p->counts->sent, 1);
    atomic_fetch_add(&p->counts->bytes, p->letter.n);
    return store_run_sent(p->look.store, r->id, p->by, answer, now_us, e);
}

/* ---- one letter ---- */

static int write_letter(struct post *p, const struct store_digest *d, const struct store_run *r, struct span *from_out,
                        int64_t now_us, struct err *e)
{
    struct digest_content c;
    struct letter_what    what = {.subscription = d, .content = &c, .run = r->id, .again = r->again, .now_us = now_us};

    buf_clear(&p->letter);
    if (post_brand(p, d, &what.brand, e) < 0 || digest_content_of(&p->look, d, r, p->a, &c, e) < 0 ||
        letter_put(&p->site, &what, p->a, &p->letter, e) < 0)
        return -1;
    *from_out = compose_address(letter_from(&p->site, what.brand, p->a));
    return 0;
}

static int hand_over(struct post *p, const struct store_run *r, struct span from, struct smtp_result *result,
                     struct err *e)
{
    struct smtp_letter letter = {
        .from = from, .rcpt = &r->recipient, .nrcpt = 1, .message = buf_span(&p->letter), .notify_never = true};

    *result = (struct smtp_result){.fate = SMTP_UNSENT};
    if (p->smtp == NULL && smtp_client_open(p->settings->smtp.url, &patience, &p->smtp, e) < 0)
        return -1;
    p->last_mono_us = clock_mono_us();
    if (smtp_client_send(p->smtp, &letter, result, e) < 0) {
        smtp_client_close(&p->smtp);
        return -1;
    }
    return 0;
}

static int send_one(struct post *p, const struct store_digest *d, const struct store_run *r, int64_t now_us,
                    struct err *e)
{
    struct smtp_result result;
    struct span        from;
    struct err         why = ERR_INIT;

    if (write_letter(p, d, r, &from, now_us, &why) < 0)
        return put_off(p, r, span_of(why.text), now_us, e);
    if (hand_over(p, r, from, &result, &why) < 0 && result.fate != SMTP_TAKEN && result.fate != SMTP_REFUSED)
        return put_off(p, r, span_of(why.text), now_us, e);
    if (result.fate == SMTP_TAKEN)
        return is_sent(p, r, span_of(result.reply.text), now_us, e);
    return result.reply.code >= 500 ? give_up(p, r, span_of(result.reply.text), now_us, e)
                                    : put_off(p, r, span_of(result.reply.text), now_us, e);
}

/* The next run at hand; 1, 0 none is due, -1. Those whose lease could lapse under way are given back first. */
static int next_run(struct post *p, int64_t now_us, struct store_run **out, struct err *e)
{
    int n;

    if (p->stumbled || (p->at < p->nruns && clock_mono_us() - p->claimed_mono_us > RUN_LEASE_US - LETTER_MOST_US)) {
        p->at = p->nruns = 0;
        if (store_run_free(p->look.store, p->by, e) < 0)
            return -1;
        p->stumbled = false;
    }
    if (p->at == p->nruns) {
        p->at = p->nruns = 0;
        arena_reset(&p->claims);
        p->claimed_mono_us = clock_mono_us();
        if ((n = store_run_claim(p->look.store, p->by, now_us, &p->claims, p->runs, COUNT(p->runs), e)) <= 0)
            return n;
        p->nruns = (size_t)n;
    }
    *out = &p->runs[p->at++];
    return 1;
}

static int step(struct post *p, int64_t now_us, struct err *e)
{
    struct store_digest d;
    struct store_run   *r;
    int                 rc;

    arena_reset(p->a);
    if ((rc = next_run(p, now_us, &r, e)) <= 0) {
        if (rc == 0)
            smtp_client_close(&p->smtp); /* no server is kept waiting */
        return rc;
    }
    rc = store_digest_get(p->look.store, r->subscription, &d, e);
    if (rc < 0 && e->code != ERR_NOT_FOUND)
        return -1;
    if (rc < 0 || !d.stands) {
        *e = ERR_INIT;
        return give_up(p, r, SPAN("this digest is nobody's any more"), now_us, e) < 0 ? -1 : 1;
    }
    return send_one(p, &d, r, now_us, e) < 0 ? -1 : 1;
}

int post_step(struct post *p, int64_t now_us, struct err *e)
{
    int rc = step(p, now_us, e);

    p->stumbled = p->stumbled || rc < 0;
    return rc;
}

/* rulesd/report.c - see report.h. A report goes through two hands: custody, then the desk that writes its row. */
#include "report.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "mail/address.h"
#include "store/address.h"

struct reports {
    struct custody *custody;
    struct journal *journal;
    struct desk    *desk;
};

struct report {
    struct errand        errand;
    struct custody_job   hold;
    struct job           job;
    struct reports      *all;
    struct report_ask    ask;
    struct arena         arena;
    struct store_message record;
    char                 who[PEER_TEXT + 8];
    struct report_end    end;
};

static struct report *of_errand(const struct errand *er)
{
    return (struct report *)(void *)((char *)(uintptr_t)er - offsetof(struct report, errand));
}

int reports_new(const struct settings *settings, struct custody *custody, struct journal *journal, struct reports **out,
                struct err *e)
{
    const struct desk_how how = {.url = settings->store.url, .threads = 1};
    struct reports       *r;

    *out = NULL;
    if (settings->trainer.backend.n == 0 || custody == NULL)
        return 0;
    if ((r = calloc(1, sizeof *r)) == NULL)
        panic("out of memory");
    r->custody = custody;
    r->journal = journal;
    if (desk_new(&how, &r->desk, e) < 0) {
        free(r);
        return -1;
    }
    *out = r;
    return 0;
}

static void wake(struct report *p, int rc)
{
    p->end.rc = rc;
    p->errand.wake(p->errand.wake_ctx);
}

void reports_stop(struct reports *r)
{
    if (r == NULL)
        return;
    desk_stop(r->desk);
    for (struct job *job; (job = desk_left(r->desk)) != NULL;) {
        struct report *p = (struct report *)(void *)((char *)job - offsetof(struct report, job));

        wake(p, err_set(&p->end.err, ERR_LOST, "rulesd is stopping"));
    }
}

void reports_free(struct reports **rp)
{
    if (*rp != NULL)
        desk_free(&(*rp)->desk);
    free(*rp);
    *rp = NULL;
}

/* ---- the row ---- */

/* For whom the filter learns: the domain of who got the message, as it is when it scans; where that is ours. */
static int find_recipient(struct report *p, struct store *s, struct store_report *r, struct err *e)
{
    struct store_resolved who;
    struct address        a;
    struct err            none = ERR_INIT;

    if (p->ask.recipient.n == 0 || address_parse_path(p->ask.recipient, &p->arena, &a, &none) < 0 || a.full.n == 0)
        return 0;
    if (store_resolve(s, a.full, &who, e) < 0)
        return -1;
    if (!who.ours)
        return 0;
    r->recipient = arena_dup(&p->arena, span_of(who.domain_name));
    r->has_domain = true;
    r->domain = who.domain;
    r->has_mailbox = who.has_mailbox;
    r->mailbox = who.mailbox;
    return 0;
}

/* What came with the report is known by its bytes. */
static struct span subject_of(struct report *p)
{
    char   text[7 + 64 + 1] = "sha256:";
    size_t n = p->record.sha256.n < 32 ? p->record.sha256.n : 32;

    for (size_t i = 0; i < n; i++)
        snprintf(text + 7 + 2 * i, 3, "%02x", (unsigned char)p->record.sha256.p[i]);
    return arena_dup(&p->arena, span_of(text));
}

static void write_row(struct job *job, struct hand *hand)
{
    struct report      *p = (struct report *)(void *)((char *)job - offsetof(struct report, job));
    struct err         *e = &p->end.err;
    struct store_report r = {.subject = subject_of(p),
                             .who = span_of(p->who),
                             .channel = span_of(p->ask.channel),
                             .class = p->ask.class,
                             .has_body = true,
                             .body = p->record.uid};
    struct store       *s;

    if (hand_store(hand, &s, e) < 0 || find_recipient(p, s, &r, e) < 0)
        wake(p, -1);
    else
        wake(p, store_report_add(s, &r, clock_wall_us(), &p->end.added, e));
}

/* ---- the message ---- */

static void kept(struct custody_job *j)
{
    struct report *p = (struct report *)(void *)((char *)j - offsetof(struct report, hold));

    if (j->rc < 0) {
        p->end.err = j->err;
        wake(p, -1);
        return;
    }
    if (p->all->journal != NULL)
        journal_put(p->all->journal, &p->record);
    p->job.run = write_row;
    desk_put(p->all->desk, &p->job);
}

static void start(struct errand *er)
{
    struct report *p = of_errand(er);

    p->hold = (struct custody_job){.record = &p->record, .message = p->ask.message, .arena = &p->arena, .done = kept};
    custody_put(p->all->custody, &p->hold);
}

static void end(struct errand *er)
{
    struct report *p = of_errand(er);

    arena_fini(&p->arena);
    free(p);
}

struct errand *report_take(struct reports *r, const struct report_ask *ask, const struct peer *from)
{
    struct report *p = calloc(1, sizeof *p);
    int64_t        now = clock_wall_us();

    if (p == NULL)
        panic("out of memory");
    p->all = r;
    p->ask = *ask;
    p->errand = (struct errand){.start = start, .put = ask->put, .end = end};
    p->end.err = ERR_INIT;
    arena_init(&p->arena, 1 << 20);
    peer_format(from, p->who);
    p->record = (struct store_message){.uid = uuid7_make(),
                                       .at_us = now,
                                       .direction = DIRECTION_INBOUND,
                                       .listener = span_of(ask->listener),
                                       .symbols = SPAN("[]"),
                                       .attachments = SPAN("[]"),
                                       .size = (int64_t)ask->message.n,
                                       .kept = true,
                                       .keep_us = now + REPORT_KEEP_US};
    return &p->errand;
}

const struct report_end *report_came(const struct errand *er) { return &of_errand(er)->end; }

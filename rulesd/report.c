/* rulesd/report.c - see report.h. A report goes through two hands: custody, then the desk that writes its row. */
#include "report.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/utf8.h"

#define ARENA_MAX ((size_t)32 << 20) /* the fields of a hostile message */
#define PERSON_MAX 320

struct reports {
    struct custody *custody;
    struct journal *journal;
    struct desk    *desk;

    const struct conf_list *scanner;
};

struct report {
    struct errand        errand;
    struct custody_job   hold;
    struct job           job;
    struct reports      *all;
    struct report_ask    ask;
    struct arena         arena;
    struct trust        *trust; /* held */
    struct store_message record;
    char                 who[4 * PERSON_MAX + PEER_TEXT + 8]; /* a byte that is none of a text takes four */
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
    r->scanner = &settings->rulesd.scanner;
    if (desk_new(&how, &r->desk, e) < 0) {
        free(r);
        return -1;
    }
    *out = r;
    return 0;
}

bool reports_are_taken(const struct reports *r) { return r != NULL && custody_is_open(r->custody); }

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

static void tell(const struct report *p)
{
    const struct report_made *m = &p->end.made;
    struct log_line           l;
    char                      uid[UUID_TEXT + 1];

    uuid_format(&p->record.uid, uid);
    log_begin(&l, LOG_LEVEL_INFO, "report taken");
    log_str(&l, "uid", uid);
    log_str(&l, "class", report_class_words[p->ask.class]);
    log_str(&l, "channel", p->ask.channel);
    log_str(&l, "by", p->who);
    if (p->ask.recipient.n > 0)
        log_span(&l, "for", p->ask.recipient);
    if (m->entry.sender.n > 0)
        log_span(&l, "sender", m->entry.sender);
    if (m->entry.why != NULL)
        log_str(&l, "why", m->entry.why);
    log_end(&l);
}

static void write_row(struct job *job, struct hand *hand)
{
    struct report           *p = (struct report *)(void *)((char *)job - offsetof(struct report, job));
    struct err              *e = &p->end.err;
    const struct actor       by = {.kind = ACTOR_SYSTEM, .name = "postern-rulesd", .source = p->who};
    const struct report_site site = {p->all->scanner, &p->trust->origin};
    const struct report_said said = {.class = p->ask.class,
                                     .who = span_of(p->who),
                                     .channel = span_of(p->ask.channel),
                                     .recipient = p->ask.recipient,
                                     .record = &p->record,
                                     .has_body = true,
                                     .message = p->ask.message};
    struct store            *s;
    int                      rc = hand_store(hand, &s, e);

    if (rc == 0)
        rc = report_make(s, &site, &by, &said, &p->arena, &p->end.made, e);
    if (rc == 0)
        tell(p);
    wake(p, rc);
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
    trust_drop(&p->trust);
    free(p);
}

/* "anna (127.0.0.1)": one mail server speaks for many. Upper and lower case are one person. */
static void put_who(const struct report_ask *ask, const struct peer *peer, char *out, size_t size)
{
    char        text[PEER_TEXT];
    struct span person = span_head(span_trim(ask->person), PERSON_MAX);
    struct buf  b;

    peer_format(peer, text);
    buf_init(&b, size - 1);
    utf8_put_escaped(&b, person, 0);
    for (size_t i = 0; i < b.n; i++)
        b.p[i] = (char)(b.p[i] >= 'A' && b.p[i] <= 'Z' ? b.p[i] - 'A' + 'a' : b.p[i]);
    if (person.n > 0)
        buf_printf(&b, " (%s)", text);
    else
        buf_puts(&b, text);
    memcpy(out, b.p, b.n);
    out[b.n] = '\0';
    buf_fini(&b);
}

struct errand *report_take(struct reports *r, const struct report_ask *ask, const struct exchange *x)
{
    struct report *p = calloc(1, sizeof *p);

    if (p == NULL)
        panic("out of memory");
    p->all = r;
    p->ask = *ask;
    p->errand = (struct errand){.start = start, .put = ask->put, .end = end};
    p->end.err = ERR_INIT;
    p->trust = trust_hold(x->trust);
    arena_init(&p->arena, ARENA_MAX);
    put_who(ask, &x->client->peer, p->who, sizeof p->who);
    report_record(&p->record, ask->listener, ask->message.n, clock_wall_us());
    return &p->errand;
}

const struct report_end *report_came(const struct errand *er) { return &of_errand(er)->end; }

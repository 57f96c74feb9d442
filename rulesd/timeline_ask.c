/* rulesd/timeline_ask.c - see timeline_ask.h. */
#include "timeline_ask.h"

#include <stdlib.h>

#define RELEASE_WAIT_US 8000000 /* less than TIMELINE_WAIT_US: then the rest of the queue id is told */

struct span event_recipient(const struct mail_event *ev) { return ev->orig_to.n > 0 ? ev->orig_to : ev->to; }

struct joined *join_of(struct open *o, struct span address, int64_t at_us)
{
    struct joined *newest = NULL;

    for (size_t i = 0; i < o->njoins; i++) {
        struct joined *j = &o->joins[i];

        if (!span_eq_ci(j->address, address))
            continue;
        if (j->at_us <= at_us + STAMP_SLACK_US)
            return j;
        newest = newest != NULL ? newest : j;
    }
    return newest;
}

/* Questions of one kind, and whom each is for. Those of one queue id stand together. */
struct asking {
    struct store_join_ask *asks;
    struct open          **opens;
    size_t                 n, cap, answered; /* answered: the last that was; at first the first */
    bool                   links;            /* what is found is tied to the queue id */
};

static void add_ask(struct asking *a, struct open *o, const struct store_join_ask *ask)
{
    if (a->n == a->cap) {
        a->cap = a->cap == 0 ? 256 : 2 * a->cap;
        if ((a->asks = realloc(a->asks, a->cap * sizeof *a->asks)) == NULL ||
            (a->opens = realloc(a->opens, a->cap * sizeof *a->opens)) == NULL)
            panic("out of memory");
    }
    a->asks[a->n] = *ask;
    a->opens[a->n++] = o;
}

/* Of several questions for one queue id the first that is answered counts. One question adds to what is known. */
static int take_join(void *ctx, size_t which, const struct store_join *j)
{
    struct asking *a = ctx;
    struct open   *o = a->opens[which];

    if (o->njoins > 0 && a->answered != which)
        return 0;
    a->answered = which;
    open_join(o, j, j->recipient, a->links ? a->asks[which].at_us : 0);
    return 0;
}

static int ask_queues(struct batch *b, struct asking *a, struct err *e)
{
    return a->n == 0 ? 0 : store_join_queues(b->s, a->asks, a->n, take_join, a, e);
}

static int ask_message_ids(struct batch *b, struct asking *a, struct err *e)
{
    return a->n == 0 ? 0 : store_join_message_ids(b->s, a->asks, a->n, take_join, a, e);
}

static void add_link(struct batch *b, const struct open *o, struct uuid uid, int64_t at_us)
{
    if (o->queue_id[0] == '\0')
        return;
    if (b->nlinks == b->caplinks) {
        b->caplinks = b->caplinks == 0 ? 16 : 2 * b->caplinks;
        if ((b->links = realloc(b->links, b->caplinks * sizeof *b->links)) == NULL)
            panic("out of memory");
    }
    b->links[b->nlinks++] = (struct store_queue_link){span_of(o->queue_id), uid, 0, at_us};
}

static void link_joins(struct batch *b, const struct open *o, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if (o->joins[i].link_us != 0 && (i == from || uuid_cmp(&o->joins[i].uid, &o->joins[i - 1].uid) != 0))
            add_link(b, o, o->joins[i].uid, o->joins[i].link_us);
}

/* Addresses that recipients became before the message came to this queue. */
static void inherit_names(const struct timeline *t, struct open *o)
{
    const struct open *parent = map_get(&t->ids, span_of(o->parent_id));
    size_t             own = o->njoins;

    if (parent == NULL)
        return;
    for (size_t i = 0; i < parent->njoins; i++) {
        const struct joined *p = &parent->joins[i];
        const struct joined *same_row = NULL;
        bool                 same_name = false;

        for (size_t k = 0; k < own; k++) {
            bool row = uuid_cmp(&o->joins[k].uid, &p->uid) == 0 && o->joins[k].n == p->n;

            same_row = row ? &o->joins[k] : same_row;
            same_name |= row && span_eq_ci(o->joins[k].address, p->address);
        }
        if (same_row != NULL && !same_name) {
            const struct store_join also = {
                .uid = p->uid, .n = p->n, .at_us = p->at_us, .state = p->state, .held = same_row->held};

            open_join(o, &also, p->address, 0);
        }
    }
}

static void add_message_id(struct asking *a, struct open *o, const struct mail_event *ev)
{
    struct span recipient = event_recipient(ev);

    if (o->message_id != NULL && recipient.n > 0 && recipient.n <= TEXT_MAX)
        add_ask(a, o, &(struct store_join_ask){span_of(o->message_id), recipient, ev->at_us});
}

/* An attempt for who was held when we last asked. */
static bool tries_held(struct open *o)
{
    for (const struct waiting *w = o->first; w != NULL; w = w->next) {
        const struct joined *j = w->ev.kind == MAIL_ATTEMPT ? join_of(o, event_recipient(&w->ev), w->ev.at_us) : NULL;

        if (j != NULL && j->held)
            return true;
    }
    return false;
}

static void add_queue_id(struct asking *a, struct open *o)
{
    if (o->queue_id[0] != '\0')
        add_ask(a, o, &(struct store_join_ask){.handle = span_of(o->queue_id), .at_us = o->first->ev.at_us});
}

static void add_parent_id(struct asking *a, struct open *o)
{
    if (o->queue_id[0] != '\0' && o->parent_id[0] != '\0')
        add_ask(a, o, &(struct store_join_ask){.handle = span_of(o->parent_id), .at_us = o->first->ev.at_us});
}

static void add_attempts(struct asking *a, struct open *o)
{
    for (const struct waiting *w = o->first; w != NULL; w = w->next)
        if (w->ev.kind == MAIL_ATTEMPT)
            add_message_id(a, o, &w->ev);
}

/* How to ask: what for, whom, and whether what is found is tied to the queue id. */
struct step {
    void (*add)(struct asking *a, struct open *o);
    int (*ask)(struct batch *b, struct asking *a, struct err *e);
    bool links;
};

/* One question, or several, for each that is due and of which nothing is known. */
static int ask_each(struct batch *b, const struct step *step, struct err *e)
{
    struct asking a = {.links = step->links};
    int           rc;

    for (struct open *o = b->t->due.first; o != NULL; o = o->ask_next)
        if (o->njoins == 0)
            step->add(&a, o);
    rc = step->ask(b, &a, e);
    free(a.asks);
    free(a.opens);
    return rc;
}

int ask_due(struct batch *b, struct err *e)
{
    static const struct step steps[] = {
        {add_queue_id, ask_queues, false},
        {add_parent_id, ask_queues, true},
        {add_attempts, ask_message_ids, true},
    };
    int rc = 0;

    for (struct open *o = b->t->due.first; o != NULL; o = o->ask_next)
        if (o->known && tries_held(o))
            open_forget_joins(o);
    for (size_t i = 0; i < COUNT(steps) && rc == 0; i++)
        rc = ask_each(b, &steps[i], e);
    return rc;
}

void ask_take(struct batch *b, struct open *o, const struct timeline_write *how)
{
    size_t found = o->njoins;

    if (o->known || found == 0)
        return;
    inherit_names(b->t, o);
    if (!how->give_up && how->now_mono_us - o->first->since_us < RELEASE_WAIT_US && tries_held(o)) {
        open_forget_joins(o);
        return;
    }
    o->known = true;
    link_joins(b, o, 0, found);
}

int ask_for_recipient(struct batch *b, struct open *o, const struct mail_event *ev, struct err *e)
{
    struct asking a = {.links = true};
    size_t        before = o->njoins;
    int           rc;

    add_message_id(&a, o, ev);
    rc = ask_message_ids(b, &a, e);
    link_joins(b, o, before, o->njoins);
    free(a.asks);
    free(a.opens);
    return rc;
}

/* rulesd/timeline_open.c - open queue ids and waiting events: lists and copies, and nothing of what they mean. */
#include "timeline_open.h"

#include <stdio.h>
#include <stdlib.h>

#define MESSAGE_ID_MAX 1000
#define LOOK_MAX 64 /* when room is made: those that events wait for are few */

static const int64_t steps_us[STEPS] = {200000, 600000, 1800000, 2000000};

static void *must(void *p)
{
    if (p == NULL)
        panic("out of memory");
    return p;
}

/* ---- queue ids ---- */

static void unlink_open(struct timeline *t, struct open *o)
{
    *(o->newer != NULL ? &o->newer->older : &t->newest) = o->older;
    *(o->older != NULL ? &o->older->newer : &t->oldest) = o->newer;
    o->newer = o->older = NULL;
}

static void link_newest(struct timeline *t, struct open *o)
{
    o->older = t->newest;
    o->newer = NULL;
    *(t->newest != NULL ? &t->newest->newer : &t->oldest) = o;
    t->newest = o;
}

static void leave(struct open *o)
{
    struct queue *q = o->asking;

    if (q == NULL)
        return;
    *(o->ask_prev != NULL ? &o->ask_prev->ask_next : &q->first) = o->ask_next;
    *(o->ask_next != NULL ? &o->ask_next->ask_prev : &q->last) = o->ask_prev;
    o->ask_prev = o->ask_next = NULL;
    o->asking = NULL;
}

static void enter(struct open *o, struct queue *q)
{
    leave(o);
    o->asking = q;
    o->ask_prev = q->last;
    *(q->last != NULL ? &q->last->ask_next : &q->first) = o;
    q->last = o;
}

void open_ask_later(struct timeline *t, struct open *o, int64_t now_us)
{
    o->ask_us = now_us + steps_us[o->step];
    enter(o, &t->later[o->step]);
    o->step += o->step + 1 < STEPS;
}

void open_wake(struct timeline *t, int64_t now_us, bool all)
{
    for (size_t i = 0; i < STEPS; i++)
        for (struct open *o = t->later[i].first, *next; o != NULL && (all || o->ask_us <= now_us); o = next) {
            next = o->ask_next;
            enter(o, &t->due);
        }
}

void open_forget_joins(struct open *o)
{
    for (size_t i = 0; i < o->njoins; i++)
        free((char *)o->joins[i].address.p);
    o->njoins = 0;
    o->known = false;
}

static bool is_in_map(const struct timeline *t, const struct open *o)
{
    return o->queue_id[0] != '\0' && map_get(&t->ids, span_of(o->queue_id)) == o;
}

static void release(struct timeline *t, struct open *o)
{
    if (is_in_map(t, o))
        map_del(&t->ids, span_of(o->queue_id));
    leave(o);
    unlink_open(t, o);
    open_forget_joins(o);
    free(o->joins);
    free(o->message_id);
    free(o);
    t->stats.open--;
}

/* The longest unused ones go, unless something waits for them; never the newest, which is being made. */
static void make_room(struct timeline *t)
{
    struct open *o = t->oldest, *newer;

    for (int looked = 0; looked < LOOK_MAX && o != t->newest && t->stats.open > TIMELINE_OPEN_MAX;
         looked++, o = newer) {
        newer = o->newer;
        if (o->first == NULL)
            release(t, o);
    }
}

struct open *open_get(struct timeline *t, struct span queue_id)
{
    struct open *o = map_get(&t->ids, queue_id);

    if (o != NULL && o != t->newest) {
        unlink_open(t, o);
        link_newest(t, o);
    }
    return o;
}

struct open *open_make(struct timeline *t, struct span queue_id)
{
    struct open *o = must(calloc(1, sizeof *o));

    snprintf(o->queue_id, sizeof o->queue_id, "%.*s", SPAN_ARG(queue_id));
    link_newest(t, o);
    t->stats.open++;
    if (queue_id.n > 0)
        map_put(&t->ids, span_of(o->queue_id), o);
    if (t->stats.open > TIMELINE_OPEN_MAX)
        make_room(t);
    return o;
}

void open_close(struct timeline *t, struct open *o)
{
    if (is_in_map(t, o))
        map_del(&t->ids, span_of(o->queue_id));
    if (o->first == NULL)
        release(t, o);
}

void open_set_message_id(struct open *o, struct span id)
{
    if (o->message_id != NULL || id.n == 0 || id.n > MESSAGE_ID_MAX)
        return;
    o->message_id = must(malloc(id.n + 3));
    snprintf(o->message_id, id.n + 3, id.p[0] == '<' ? "%.*s" : "<%.*s>", SPAN_ARG(id));
}

void open_join(struct open *o, const struct store_join *j, struct span address, int64_t link_us)
{
    if (o->njoins == JOINS_MAX)
        return;
    if (o->njoins == o->capjoins) {
        o->capjoins = o->capjoins == 0 ? 2 : 2 * o->capjoins;
        o->joins = must(realloc(o->joins, o->capjoins * sizeof *o->joins));
    }
    o->joins[o->njoins++] = (struct joined){
        .uid = j->uid,
        .n = j->n,
        .at_us = j->at_us,
        .held = j->held,
        .link_us = link_us,
        .state = j->state == STATE_RELEASED ? STATE_RECEIVED : j->state, /* there its way begins anew */
        .address = {span_strdup(address), address.n},
    };
}

/* ---- events ---- */

static struct span moved(char **to, struct span s)
{
    char *at = *to;

    if (s.n == 0)
        return (struct span){NULL, 0};
    memcpy(at, s.p, s.n);
    *to += s.n;
    return span_make(at, s.n);
}

static void copy_texts(char *to, struct mail_event *ev)
{
    struct span *const fields[] = {&ev->queue_id, &ev->parent_id, &ev->message_id, &ev->sender,
                                   &ev->to,       &ev->orig_to,   &ev->host,       &ev->ip,
                                   &ev->tls,      &ev->dsn,       &ev->response,   &ev->process};

    for (size_t i = 0; i < COUNT(fields); i++)
        *fields[i] = moved(&to, *fields[i]);
}

static size_t texts_size(const struct mail_event *ev)
{
    return ev->queue_id.n + ev->parent_id.n + ev->message_id.n + ev->sender.n + ev->to.n + ev->orig_to.n + ev->host.n +
           ev->ip.n + ev->tls.n + ev->dsn.n + ev->response.n + ev->process.n;
}

/* Only what will be needed, and no more of a reply than will be kept. */
static struct mail_event lean(const struct mail_event *ev)
{
    struct mail_event e = *ev;

    e.response = span_head(e.response, STORE_RESPONSE_MAX);
    e.parent_id = e.message_id = e.sender = e.process = e.queue_id = (struct span){NULL, 0};
    return e;
}

void open_wait(struct timeline *t, struct open *o, const struct mail_event *ev, unsigned source, int64_t place,
               int64_t now_us)
{
    struct mail_event e = lean(ev);
    struct waiting   *w = must(malloc(sizeof *w + texts_size(&e)));

    *w = (struct waiting){.open = o, .older = t->last, .source = source, .place = place, .since_us = now_us, .ev = e};
    copy_texts(w->text, &w->ev);
    *(o->last != NULL ? &o->last->next : &o->first) = w;
    o->last = w;
    *(t->last != NULL ? &t->last->newer : &t->first) = w;
    t->last = w;
    t->stats.waiting++;
    if (o->known || o->asking == NULL)
        o->step = 0;
    if (o->known || o->asking == NULL ||
        (ev->kind == MAIL_ATTEMPT && o->message_id != NULL)) /* a recipient to ask for */
        if (o->asking != &t->due)
            enter(o, &t->due);
}

static void free_waiting(struct timeline *t, struct waiting *w)
{
    *(w->older != NULL ? &w->older->newer : &t->first) = w->newer;
    *(w->newer != NULL ? &w->newer->older : &t->last) = w->older;
    t->stats.waiting--;
    free(w);
}

void open_sweep(struct timeline *t, struct open *o)
{
    struct waiting **at = &o->first;

    o->last = NULL;
    while (*at != NULL) {
        struct waiting *w = *at;

        if (w->done) {
            *at = w->next;
            free_waiting(t, w);
        } else {
            o->last = w;
            at = &w->next;
        }
    }
    if (o->first != NULL)
        return;
    leave(o);
    if (!is_in_map(t, o))
        release(t, o);
}

/* ---- encrypted connections ---- */

static struct secured *secured_at(struct timeline *t, struct span process)
{
    return &t->secured[span_hash(process) % SECURED_MAX];
}

void secured_note(struct timeline *t, const struct mail_event *ev)
{
    struct secured *s = secured_at(t, ev->process);

    snprintf(s->process, sizeof s->process, "%.*s", SPAN_ARG(ev->process));
    snprintf(s->ip, sizeof s->ip, "%.*s", SPAN_ARG(ev->ip));
    snprintf(s->tls, sizeof s->tls, "%.*s", SPAN_ARG(ev->tls));
    s->queue_id[0] = '\0';
    s->port = ev->port;
}

/* The last encrypted connection of this process is this delivery's if it went to the same place, and either nothing went over it
 * before, or this message, or the log says that it was used again. */
struct span secured_tls(struct timeline *t, const struct mail_event *ev)
{
    struct secured *s = secured_at(t, ev->process);

    if (ev->process.n == 0 || ev->ip.n == 0 || !span_is(ev->process, s->process) || !span_is(ev->ip, s->ip) ||
        ev->port != s->port)
        return (struct span){NULL, 0};
    if (s->queue_id[0] != '\0' && !ev->reused && !span_is(ev->queue_id, s->queue_id))
        return (struct span){NULL, 0};
    snprintf(s->queue_id, sizeof s->queue_id, "%.*s", SPAN_ARG(ev->queue_id));
    return span_of(s->tls);
}

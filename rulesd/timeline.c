/* rulesd/timeline.c - events to deliveries: whom an event speaks of, and what it makes of them.
 *
 * A write takes every queue id whose events are due: the store is asked for its deliveries (once, then they are remembered), the
 * events become rows, and all is put in one transaction. Only when that is done do the events go. */
#include "timeline.h"

#include <stdlib.h>

#include "base/utf8.h"
#include "timeline_ask.h"

#define FULL_WAIT_US 1000000
#define SAME_MESSAGE_US 600000000 /* a message that is judged several times, once a recipient, is one */

struct timeline *timeline_new(void)
{
    struct timeline *t = calloc(1, sizeof *t);

    if (t == NULL)
        panic("out of memory");
    map_init(&t->ids);
    return t;
}

void timeline_free(struct timeline **at)
{
    struct timeline *t = *at;

    if (t == NULL)
        return;
    *at = NULL;
    for (struct waiting *w = t->first; w != NULL; w = w->newer)
        w->done = true;
    for (struct open *o = t->newest; o != NULL; o = t->newest) {
        bool waits = o->first != NULL;

        open_close(t, o);
        if (waits)
            open_sweep(t, o);
    }
    map_fini(&t->ids);
    free(t);
}

/* ---- taking events ---- */

/* A queue id may be given again once its message has gone. */
static void arrive(struct timeline *t, const struct mail_event *ev)
{
    struct open *o = open_get(t, ev->queue_id);

    if (o != NULL)
        open_close(t, o);
    if (ev->parent_id.n > 0 && ev->parent_id.n <= MAILLOG_QUEUE_ID_MAX && !span_eq(ev->parent_id, ev->queue_id)) {
        o = open_make(t, ev->queue_id);
        memcpy(o->parent_id, ev->parent_id.p, ev->parent_id.n);
    }
}

static struct open *open_of(struct timeline *t, const struct mail_event *ev)
{
    struct open *o = ev->queue_id.n > 0 ? open_get(t, ev->queue_id) : NULL;

    return o != NULL ? o : open_make(t, ev->queue_id);
}

static void name_message(struct timeline *t, const struct mail_event *ev)
{
    struct open *o = open_of(t, ev);

    if (o->message_id != NULL && ev->kind == MAIL_MESSAGE_ID && !span_is(ev->message_id, o->message_id)) {
        open_close(t, o);
        o = open_make(t, ev->queue_id);
    }
    open_set_message_id(o, ev->message_id);
}

void timeline_recall(struct timeline *t, const struct mail_event *ev, int64_t now_mono_us)
{
    struct open *o;

    (void)now_mono_us;
    switch (ev->kind) {
    case MAIL_TLS: secured_note(t, ev); break;
    case MAIL_ARRIVED: arrive(t, ev); break;
    case MAIL_MESSAGE_ID: name_message(t, ev); break;
    case MAIL_QUEUED:
        if (ev->message_id.n > 0)
            name_message(t, ev);
        break;
    case MAIL_REMOVED:
    case MAIL_REFUSED:
        if ((o = open_get(t, ev->queue_id)) != NULL)
            open_close(t, o);
        break;
    default: break;
    }
}

/* What a message refused at the door still waits for is not coming: it was no delivery. */
static void refuse(struct timeline *t, const struct mail_event *ev)
{
    struct open *o = open_get(t, ev->queue_id);

    if (o != NULL)
        open_close(t, o);
}

void timeline_take(struct timeline *t, const struct mail_event *ev, unsigned source, int64_t place, int64_t now_mono_us)
{
    struct mail_event e = *ev;

    t->stats.events++;
    if (ev->queue_id.n > MAILLOG_QUEUE_ID_MAX)
        return;
    switch (ev->kind) {
    case MAIL_TLS: secured_note(t, ev); return;
    case MAIL_ARRIVED: arrive(t, ev); return;
    case MAIL_MESSAGE_ID: name_message(t, ev); return;
    case MAIL_REFUSED: refuse(t, ev); return;
    default: break;
    }
    if (e.kind == MAIL_ATTEMPT && e.tls.n == 0)
        e.tls = secured_tls(t, ev);
    struct open *o = open_of(t, ev);
    open_set_message_id(o, ev->message_id);
    open_wait(t, o, &e, source, place, now_mono_us);
}

bool timeline_due(const struct timeline *t, int64_t now_mono_us)
{
    bool due = t->due.first != NULL;

    for (size_t i = 0; i < STEPS; i++)
        due |= t->later[i].first != NULL && t->later[i].first->ask_us <= now_mono_us;
    return due;
}

bool timeline_full(const struct timeline *t) { return t->stats.waiting >= TIMELINE_WAITING_MAX; }

int64_t timeline_place(const struct timeline *t, unsigned source, int64_t read)
{
    for (const struct waiting *w = t->first; w != NULL; w = w->newer)
        if (w->source == source && !w->done)
            return w->place;
    return read;
}

void timeline_stats(const struct timeline *t, struct timeline_stats *out) { *out = t->stats; }

/* ---- from events to rows ---- */

/* Safe to store and to show, and no longer than max bytes. */
static struct span clean(struct batch *b, struct span s, size_t max)
{
    bool plain = true;

    s = span_head(s, max);
    for (size_t i = 0; i < s.n && plain; i++)
        plain = s.p[i] >= ' ' && s.p[i] < 0x7F;
    if (plain)
        return s;

    char  *to = arena_alloc(&b->arena, max);
    size_t n = 0;

    if (to == NULL)
        return SPAN("");
    for (size_t at = 0; at < s.n;) {
        char   safe[UTF8_SAFE_MAX];
        size_t more = utf8_next_safe(s, &at, safe);

        if (n + more > max)
            break;
        memcpy(to + n, safe, more);
        n += more;
    }
    return span_make(to, n);
}

static struct store_event *add_event(struct batch *b, const struct joined *j, const struct mail_event *ev)
{
    if (b->nevents == b->capevents) {
        b->capevents = b->capevents == 0 ? 256 : 2 * b->capevents;
        if ((b->events = realloc(b->events, b->capevents * sizeof *b->events)) == NULL)
            panic("out of memory");
    }
    b->events[b->nevents] = (struct store_event){.uid = j->uid, .n = j->n, .at_us = ev->at_us};
    return &b->events[b->nevents++];
}

/* Has it or will never get it. */
static bool is_settled(const struct joined *j) { return j->state == STATE_DELIVERED || j->state == STATE_BOUNCED; }

/* The store sees to it that nothing goes back; what is kept here spares it what says nothing new. */
static void move(struct store_event *row, struct joined *j, enum delivery_state state)
{
    row->has_state = true;
    row->state = state;
    if (j->state != STATE_DELIVERED && (j->state != STATE_BOUNCED || state == STATE_DELIVERED))
        j->state = state;
}

static void fill_attempt(struct batch *b, struct store_event *row, const struct mail_event *ev, struct span recipient)
{
    row->has_attempt = true;
    row->queue_id = span_of(b->now->queue_id);
    row->final_recipient = clean(b, recipient, TEXT_MAX);
    row->host = clean(b, ev->host, TEXT_MAX);
    row->ip = clean(b, ev->ip, 64);
    row->tls = clean(b, ev->tls, 100);
    row->dsn = clean(b, ev->dsn, 16);
    row->response = clean(b, ev->response, STORE_RESPONSE_MAX);
    row->port = ev->port;
    row->code = ev->code;
}

/* From when on messages that were judged under this queue id are the one that has it now. Another one may have had it before. */
static int64_t since_of(const struct open *o, int64_t at_us)
{
    int64_t latest = 0;

    for (size_t i = 0; i < o->njoins; i++)
        if (o->joins[i].at_us <= at_us + STAMP_SLACK_US && o->joins[i].at_us > latest)
            latest = o->joins[i].at_us;
    return latest - SAME_MESSAGE_US;
}

/* It is in the queue, or on hold. */
static void say_queued(struct batch *b, struct open *o, const struct mail_event *ev)
{
    int64_t since = since_of(o, ev->at_us);

    for (size_t i = 0; i < o->njoins; i++) {
        struct joined *j = &o->joins[i];

        if (j->at_us >= since && j->state < STATE_QUEUED)
            move(add_event(b, j, ev), j, STATE_QUEUED);
    }
}

/* Nobody who had not got it yet will. */
static void say_over(struct batch *b, struct open *o, const struct mail_event *ev, struct span why)
{
    int64_t since = since_of(o, ev->at_us);

    for (size_t i = 0; i < o->njoins; i++) {
        struct joined    *j = &o->joins[i];
        struct mail_event told = {.at_us = ev->at_us, .response = why};

        if (j->at_us < since || is_settled(j))
            continue;
        struct store_event *row = add_event(b, j, ev);
        move(row, j, STATE_BOUNCED);
        fill_attempt(b, row, &told, j->address);
    }
}

/* Exim delivers once to an address that two recipients have become, and says so of one of them. */
static void say_completed(struct batch *b, struct open *o, const struct mail_event *ev)
{
    bool delivered = false;

    if (span_chr(span_of(o->queue_id), '-') == strlen(o->queue_id))
        return;
    for (size_t i = 0; i < o->njoins; i++) {
        if (o->joins[i].attempted && o->joins[i].state == STATE_BOUNCED)
            return;
        delivered |= o->joins[i].attempted && o->joins[i].state == STATE_DELIVERED;
    }
    for (size_t i = 0; i < o->njoins && delivered; i++)
        if (!o->joins[i].attempted && !is_settled(&o->joins[i]))
            move(add_event(b, &o->joins[i], ev), &o->joins[i], STATE_DELIVERED);
}

/* "250 2.0.0 Ok: queued as ID", where ID is known to have come from this very queue id. */
static bool is_handed_on(const struct timeline *t, const struct open *o, struct span response)
{
    static const char  words[] = "queued as ";
    size_t             at = span_find(response, SPAN("queued as "));
    const struct open *child;
    struct span        id = span_skip(response, at + sizeof words - 1);

    if (at >= response.n)
        return false;
    child = map_get(&t->ids, span_head(id, span_chr(id, ' ')));
    return child != NULL && o->queue_id[0] != '\0' && strcmp(child->parent_id, o->queue_id) == 0;
}

static enum delivery_state state_of(const struct timeline *t, const struct open *o, const struct mail_event *ev)
{
    switch (ev->outcome) {
    case MAIL_SENT: return is_handed_on(t, o, ev->response) ? STATE_QUEUED : STATE_DELIVERED;
    case MAIL_DEFERRED: return STATE_DEFERRED;
    case MAIL_BOUNCED: return STATE_BOUNCED;
    }
    return STATE_QUEUED;
}

static int say_attempt(struct batch *b, struct open *o, const struct mail_event *ev, struct err *e)
{
    struct joined *j = join_of(o, event_recipient(ev), ev->at_us);

    if (j == NULL) {
        if (ask_for_recipient(b, o, ev, e) < 0)
            return -1;
        if ((j = join_of(o, event_recipient(ev), ev->at_us)) == NULL) {
            b->nobody++;
            return 0;
        }
    }
    if (ev->orig_to.n > 0 && join_of(o, ev->to, ev->at_us) == NULL) {
        const struct store_join also = {
            .uid = j->uid, .n = j->n, .at_us = j->at_us, .state = j->state, .held = j->held};
        size_t at = (size_t)(j - o->joins);

        open_join(o, &also, span_head(ev->to, TEXT_MAX), 0);
        j = &o->joins[at];
    }
    struct store_event *row = add_event(b, j, ev);
    move(row, j, state_of(b->t, o, ev));
    j->attempted = true;
    fill_attempt(b, row, ev, ev->to);
    return 0;
}

static int say(struct batch *b, struct open *o, const struct mail_event *ev, struct err *e)
{
    switch (ev->kind) {
    case MAIL_QUEUED:
    case MAIL_HELD:
    case MAIL_FREED: say_queued(b, o, ev); break;
    case MAIL_ATTEMPT: return say_attempt(b, o, ev, e);
    case MAIL_EXPIRED: say_over(b, o, ev, ev->response); break;
    case MAIL_DELETED: say_over(b, o, ev, SPAN("deleted from the queue by its administrator")); break;
    case MAIL_REMOVED: say_completed(b, o, ev); break;
    default: break;
    }
    return 0;
}

static bool is_about_the_queue(const struct mail_event *ev)
{
    return ev->kind == MAIL_QUEUED || ev->kind == MAIL_HELD || ev->kind == MAIL_FREED;
}

/* That it is in the queue comes last: where an attempt has said more, it need not be said. States do not go back, so the order
 * changes nothing. */
static int say_all(struct batch *b, struct open *o, struct err *e)
{
    b->now = o;
    for (int queue = 0; queue < 2; queue++)
        for (struct waiting *w = o->first; w != NULL; w = w->next)
            if (is_about_the_queue(&w->ev) == queue && say(b, o, &w->ev, e) < 0)
                return -1;
    for (struct waiting *w = o->first; w != NULL; w = w->next) {
        w->done = true;
        b->joined++;
    }
    return 0;
}

/* They are in the order of reading, so the longest waiting come first. */
static bool is_too_old(const struct batch *b, const struct waiting *w, const struct timeline_write *how)
{
    int64_t limit = how->give_up ? -1 : timeline_full(b->t) ? FULL_WAIT_US : TIMELINE_WAIT_US;

    return w != NULL && how->now_mono_us - w->since_us > limit;
}

/* Those that have waited for long enough are given up. */
static void give_up(struct batch *b, const struct timeline_write *how)
{
    for (struct waiting *w = b->t->first; is_too_old(b, w, how); w = w->newer) {
        b->unknown += !w->done;
        w->done = true;
    }
}

static int build(struct batch *b, const struct timeline_write *how, struct err *e)
{
    int rc = 0;

    open_wake(b->t, how->now_mono_us, how->give_up);
    if (b->t->due.first == NULL)
        return 0;
    if (store_join_begin(b->s, e) < 0)
        return -1;
    rc = ask_due(b, e);
    for (struct open *o = b->t->due.first; o != NULL && rc == 0; o = o->ask_next) {
        ask_take(b, o, how);
        if (o->known)
            rc = say_all(b, o, e);
    }
    store_join_end(b->s);
    if (rc == 0)
        give_up(b, how);
    return rc;
}

static int put(struct batch *b, const struct timeline_write *how, struct err *e)
{
    struct store_events      all = {.events = b->events, .nevents = b->nevents, .links = b->links, .nlinks = b->nlinks};
    struct store_events_done done = {0};

    if (how->positions != NULL)
        all.npositions = how->positions(how->ctx, b->t, &all.positions);
    if (all.nevents + all.nlinks + all.npositions == 0)
        return 0;
    if (store_events_put(b->s, &all, &done, e) < 0)
        return -1;
    b->t->stats.attempts += done.attempts;
    b->t->stats.moved += done.moved;
    return 0;
}

/* Its last line is done: nothing more comes under this queue id. */
static bool is_over(const struct open *o)
{
    return o->last != NULL && o->last->done && (o->last->ev.kind == MAIL_REMOVED || o->last->ev.kind == MAIL_DELETED);
}

static void let_go(struct timeline *t, struct open *o)
{
    if (is_over(o))
        open_close(t, o);
    open_sweep(t, o);
}

static void finish(struct batch *b, int64_t now_us)
{
    struct timeline *t = b->t;

    for (struct open *o = t->due.first, *next; o != NULL; o = next) {
        next = o->ask_next;
        open_ask_later(t, o, now_us);
        let_go(t, o);
    }
    while (t->first != NULL && t->first->done) /* given up before they were due */
        let_go(t, t->first->open);
    t->stats.joined += b->joined;
    t->stats.unknown += b->unknown;
    t->stats.nobody += b->nobody;
}

/* As if it had not been tried; what was believed to be in the store is asked for again. */
static void undo(struct batch *b, const struct timeline_write *how)
{
    for (struct open *o = b->t->due.first; o != NULL; o = o->ask_next) {
        open_forget_joins(o);
        for (struct waiting *w = o->first; w != NULL; w = w->next)
            w->done = false;
    }
    for (struct waiting *w = b->t->first; is_too_old(b, w, how); w = w->newer)
        w->done = false;
}

int timeline_write(struct timeline *t, struct store *s, const struct timeline_write *how, struct err *e)
{
    struct batch b = {.t = t, .s = s};
    int          rc;

    arena_init(&b.arena, 64 << 20);
    rc = build(&b, how, e);
    if (rc == 0)
        rc = put(&b, how, e);
    if (rc == 0)
        finish(&b, how->now_mono_us);
    else
        undo(&b, how);
    arena_fini(&b.arena);
    free(b.events);
    free(b.links);
    return rc;
}

int timeline_tell(struct store *s, const struct mail_event *events, size_t n, struct timeline_stats *out, struct err *e)
{
    struct timeline            *t = timeline_new();
    const struct timeline_write how = {.give_up = true};

    for (size_t i = 0; i < n; i++)
        timeline_take(t, &events[i], 0, 0, 0);
    int rc = timeline_write(t, s, &how, e);
    timeline_stats(t, out);
    timeline_free(&t);
    return rc;
}

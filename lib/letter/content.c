/* lib/letter/content.c - see content.h. */
#include "letter/content.h"

#include <math.h>
#include <stdlib.h>

#include "base/map.h"
#include "custody/held.h"
#include "custody/release.h"
#include "letter/tally.h"
#include "scan/findings.h"
#include "scan/learnable.h"
#include "store/delivery.h"
#include "store/overview.h"
#include "store/search.h"
#include "store/setting.h"

#define WEEK_US (7 * 86400 * INT64_C(1000000))
#define PAGE 200
#define BLOCKED_LOOKED_AT 200 /* of an old digest: for the senders */

/* What is being gathered. */
struct gather {
    const struct digest_look  *look;
    const struct store_digest *d;
    struct arena              *a;
    struct map                 listed; /* keys that are not new */
    struct digest_item        *items;
    size_t                     n, room, max;
    struct thresholds          thresholds;
    struct uuid                domain; /* whose those are */
    bool                       has_thresholds, more;
};

static struct store_scope scope_of(const struct store_digest *d)
{
    return d->kind == DIGEST_MAILBOX ? store_scope_mailbox(d->mailbox) : store_scope_domain(d->domain);
}

static struct span key_span(const struct store_key *k, struct arena *a)
{
    struct store_key *copy = arena_zalloc(a, sizeof *copy);

    if (copy == NULL)
        return (struct span){0};
    memcpy(copy->uid.b, k->uid.b, sizeof copy->uid.b);
    copy->n = k->n;
    return span_make(copy, sizeof *copy);
}

/* ---- one delivery ---- */

static bool grow(struct gather *g)
{
    size_t              room = g->room == 0 ? 64 : 2 * g->room;
    struct digest_item *to;

    if (g->n < g->room)
        return true;
    to = arena_array(g->a, room, sizeof *to);
    if (to == NULL)
        return false;
    if (g->n > 0)
        memcpy(to, g->items, g->n * sizeof *to);
    g->items = to;
    g->room = room;
    return true;
}

/* The domain's, as they hold now: one read for all of a digest. */
static const struct thresholds *thresholds_of(struct gather *g)
{
    struct store_domain_view  view;
    struct store_mailbox_view mailbox;

    if (g->has_thresholds)
        return &g->thresholds;
    g->thresholds = store_thresholds_built_in;
    if (g->d->kind == DIGEST_MAILBOX && store_mailbox_view(g->look->store, g->d->mailbox, &mailbox, NULL) == 0)
        g->thresholds = mailbox.thresholds;
    else if (store_domain_view(g->look->store, &g->d->domain, g->a, &view, NULL) == 0)
        g->thresholds = view.thresholds;
    g->has_thresholds = true;
    return &g->thresholds;
}

static enum digest_group group_of(struct gather *g, const struct store_row *r)
{
    if (r->status == STATUS_BLOCKED)
        return GROUP_BLOCKED;
    return r->status == STATUS_SPAM || held_likely_spam(r->has_rule, r->has_score, r->score, thresholds_of(g))
               ? GROUP_PROBABLY_SPAM
               : GROUP_PROBABLY_FINE;
}

/* What was discarded counts as spam too, but was kept. */
static bool was_marked(const struct store_row *r) { return r->status == STATUS_SPAM && !release_held(r->verdict); }

/* The highest limit that its score has reached; NAN where it was none that held or marked it. */
static double limit_of(struct gather *g, const struct store_row *r)
{
    const struct thresholds *t = thresholds_of(g);
    double                   limit = !was_marked(r) && r->score >= t->reject ? t->reject : t->add_header;

    return r->has_rule || !r->has_score || r->score < limit ? NAN : limit;
}

static void take_row(struct gather *g, const struct store_row *r, struct digest_item *i)
{
    *i = (struct digest_item){.key = r->key,
                              .group = group_of(g, r),
                              .status = r->status,
                              .state = r->state,
                              .at_us = r->at_us,
                              .size = r->size,
                              .score = r->has_score ? held_own_score(r->has_rule, r->score) : NAN,
                              .threshold = limit_of(g, r),
                              .reason = !r->has_rule                                ? REASON_SCORE
                                        : held_by_themselves(r->has_rule, r->layer) ? REASON_YOUR_RULE
                                                                                    : REASON_SITE_RULE,
                              .marked = was_marked(r),
                              .can_release = release_held(r->verdict) && !delivery_was_released(r->verdict, r->state) &&
                                             held_by_themselves(r->has_rule, r->layer),
                              .from_name = arena_dup(g->a, r->from_name),
                              .from_address = arena_dup(g->a, r->from_address),
                              .envelope_sender = arena_dup(g->a, r->sender),
                              .subject = arena_dup(g->a, r->subject),
                              .recipient = arena_dup(g->a, r->recipient)};
}

static int add_row(struct gather *g, const struct store_row *r)
{
    if (g->n == g->max) {
        g->more = true;
        return 1;
    }
    if (!grow(g))
        return 1;
    take_row(g, r, &g->items[g->n++]);
    return 0;
}

/* What the filter found that is not the person's to decide about; and whether we still have the message. */
static void look_closer(struct gather *g, const struct store_delivery_row *d, struct digest_item *i)
{
    static const enum digest_reason of[] = {
        [FINDING_POLICY] = REASON_SITE_RULE, [FINDING_ATTACHMENT] = REASON_ATTACHMENT, [FINDING_VIRUS] = REASON_VIRUS};
    const struct conf_list *scanner = g->look->scanner;
    struct scanner_answer   answer = {0};
    enum finding_kind       worst;

    if (!release_held(d->row.verdict))
        return;
    learnable_read_symbols(d->symbols, g->a, &answer);
    worst = findings_gravest(answer.reply.symbols, answer.reply.nsymbols,
                             scanner->n > 0 && span_starts(span_of(scanner->items[0]), SPAN("spamd")),
                             g->look->protected_symbols);
    if (worst != FINDING_NONE)
        i->reason = of[worst];
    i->can_release = i->can_release && worst == FINDING_NONE && d->held;
}

/* ---- order ---- */

static int by_group(const void *x, const void *y)
{
    const struct digest_item *a = x, *b = y;
    double                    sa = isnan(a->score) ? 0 : a->score, sb = isnan(b->score) ? 0 : b->score;

    if (a->group != b->group)
        return a->group < b->group ? -1 : 1;
    if (a->group != GROUP_BLOCKED && sa != sb)
        return sa < sb ? -1 : 1;
    return a->at_us != b->at_us ? (a->at_us > b->at_us ? -1 : 1) : uuid_cmp(&a->key.uid, &b->key.uid);
}

static void give_places(struct gather *g, struct digest_content *out)
{
    if (g->n > 0)
        qsort(g->items, g->n, sizeof *g->items, by_group);
    for (size_t i = 0; i < g->n; i++) {
        struct digest_item *x = &g->items[i];

        out->of_group[x->group]++;
        if (x->group == GROUP_BLOCKED)
            x->place = LISTED_BLOCKED;
        else if (out->shown < DIGEST_SHOWN)
            x->place = (int64_t)++out->shown;
        else
            x->place = x->marked ? LISTED_MARKED : LISTED_COUNTED;
        out->marked += x->marked;
        x->can_release = x->can_release && x->place > 0;
    }
    out->items = g->items;
    out->nitems = g->n;
    out->more = g->more;
}

/* ---- what those with a line say, all of them at once ---- */

static int by_key(const void *x, const void *y)
{
    const struct digest_item *a = x, *b = y;
    int                       order = uuid_cmp(&b->key.uid, &a->key.uid);

    return order != 0 ? order : a->key.n > b->key.n ? -1 : a->key.n < b->key.n;
}

/* Whoever asks by a key is told of what is the subscription's, and of nothing else. */
static bool is_of(const struct store_digest *d, const struct store_row *r)
{
    return d->kind == DIGEST_MAILBOX ? r->has_mailbox && uuid_cmp(&r->mailbox, &d->mailbox) == 0
                                     : r->has_domain && uuid_cmp(&r->domain, &d->domain) == 0;
}

/* Rows come in the order of the items, but for those that are gone. */
struct again {
    struct gather *g;
    size_t         at, n;
};

static int each_again(void *ctx, const struct store_delivery_row *d)
{
    struct again       *x = ctx;
    struct digest_item *i, was;

    while (x->at < x->n &&
           (uuid_cmp(&x->g->items[x->at].key.uid, &d->row.key.uid) != 0 || x->g->items[x->at].key.n != d->row.key.n))
        x->at++;
    if (x->at == x->n || !is_of(x->g->d, &d->row))
        return 0;
    i = &x->g->items[x->at++];
    was = *i;
    take_row(x->g, &d->row, i);
    i->place = was.place;
    if (was.place == LISTED_BLOCKED)
        i->group = GROUP_BLOCKED;
    else
        look_closer(x->g, d, i);
    return 0;
}

static int by_place(const void *x, const void *y)
{
    const struct digest_item *a = x, *b = y;
    int64_t                   pa = a->place > 0 ? a->place : INT64_MAX, pb = b->place > 0 ? b->place : INT64_MAX;

    return pa != pb ? (pa < pb ? -1 : 1) : uuid_cmp(&a->key.uid, &b->key.uid);
}

/* The first n, as they are now; then in order of places. */
static int read_again(struct gather *g, size_t n, struct err *e)
{
    struct store_key *keys = arena_array(g->a, n + 1, sizeof *keys);
    struct again      x = {g, 0, n};

    if (keys == NULL)
        return err_set(e, ERR_LIMIT, "no memory for a digest");
    if (n > 0)
        qsort(g->items, n, sizeof *g->items, by_key);
    for (size_t i = 0; i < n; i++) {
        keys[i] = g->items[i].key;
        g->items[i].gone = true;
    }
    if (store_delivery_rows(g->look->store, keys, n, each_again, &x, e) < 0)
        return -1;
    if (n > 0)
        qsort(g->items, n, sizeof *g->items, by_place);
    return 0;
}

/* ---- the numbers ---- */

/* Those without a line are not read again: of a run they are counted where they lie. */
struct recipients {
    struct gather         *g;
    struct digest_content *out;
};

static int each_recipient(void *ctx, struct span recipient, int64_t n)
{
    struct recipients *x = ctx;

    x->out->recipients[x->out->nrecipients++] = (struct digest_count){arena_dup(x->g->a, recipient), n};
    return x->out->nrecipients == DIGEST_RECIPIENTS;
}

static int count_addresses(struct gather *g, const struct store_run *r, struct digest_content *out, struct err *e)
{
    struct recipients x = {g, out};

    out->nblocked_by = tally_senders_blocked(out->items, out->nitems, g->a, out->blocked_by, DIGEST_SENDERS);
    if (g->d->kind != DIGEST_DOMAIN)
        return 0;
    if (r != NULL)
        return store_run_recipients(g->look->store, r->id, DIGEST_RECIPIENTS, each_recipient, &x, e);
    out->nrecipients = tally_recipients(out->items, out->nitems, g->a, out->recipients, DIGEST_RECIPIENTS);
    return 0;
}

static int count_all(struct gather *g, struct digest_content *out, struct err *e)
{
    int64_t n[DELIVERY_STATUSES], last, discarded = 0;
    int     rc = g->d->kind == DIGEST_MAILBOX
                     ? store_overview_mailbox(g->look->store, g->d->mailbox, out->since_us, out->until_us, n, e)
                     : store_overview_domain(g->look->store, g->d->domain, out->since_us, n, &last, e);

    if (rc == 0 && n[STATUS_SPAM] > 0)
        rc = store_overview_discarded(g->look->store, scope_of(g->d), out->since_us, out->until_us, &discarded, e);
    if (rc < 0)
        return -1;
    out->quarantined = n[STATUS_QUARANTINED] + discarded;
    out->blocked = n[STATUS_BLOCKED];
    out->delivered = n[STATUS_DELIVERED] + n[STATUS_RECEIVED] + n[STATUS_SPAM] - discarded;
    return 0;
}

/* ---- what is new ---- */

static int note_listed(void *ctx, const struct store_run_item *i)
{
    struct gather *g = ctx;
    struct span    key = key_span(&i->key, g->a);

    if (key.n == 0)
        return 1;
    map_put(&g->listed, key, g);
    return 0;
}

static int each_row(void *ctx, const struct store_row *r)
{
    struct gather   *g = ctx;
    struct store_key key = {.n = r->key.n};

    memcpy(key.uid.b, r->key.uid.b, sizeof key.uid.b);
    return map_get(&g->listed, span_make(&key, sizeof key)) != NULL ? 0 : add_row(g, r);
}

static unsigned statuses_of(unsigned filters)
{
    return (filters & DIGEST_QUARANTINED ? 1u << STATUS_QUARANTINED : 0) |
           (filters & DIGEST_BLOCKED ? 1u << STATUS_BLOCKED : 0) | (filters & DIGEST_SPAM ? 1u << STATUS_SPAM : 0);
}

static int search_new(struct gather *g, int64_t since_us, int64_t until_us, struct err *e)
{
    struct store_search     q = {.scope = scope_of(g->d),
                                 .statuses = statuses_of(g->d->choice.filters),
                                 .since_us = since_us,
                                 .until_us = until_us,
                                 .limit = PAGE};
    struct store_search_end end = {.more = true};

    while (end.more && !g->more && !g->a->full) {
        if (store_search(g->look->store, &q, each_row, g, &end, e) < 0)
            return -1;
        q.has_before = true;
        q.before = end.next;
    }
    return g->a->full ? err_set(e, ERR_LIMIT, "no memory for a digest of %zu messages", g->n) : 0;
}

/* From when on: a first digest tells of a day, or of all since there is a subscription, and none of more than a week. */
static int begin_of(const struct digest_look *l, const struct store_digest *d, int64_t now_us, struct arena *a,
                    int64_t *look_out, int64_t *tell_out, struct err *e)
{
    struct store_run last;
    int              rc = store_run_last(l->store, d->id, a, &last, e);
    int64_t          week = now_us - DIGEST_LOOK_US, first = now_us - DIGEST_FIRST_US;

    if (rc < 0)
        return -1;
    if (rc == 0 && d->created_us < first)
        first = d->created_us;
    *look_out = rc > 0 || first < week ? week : first;
    *tell_out = rc > 0 && last.until_us > week ? last.until_us : *look_out;
    return 0;
}

/* Which, and in what order: all that a run has to know. */
static int gather_keys(struct gather *g, int64_t until_us, int64_t now_us, struct digest_content *out, struct err *e)
{
    int64_t look, old_enough = now_us - DIGEST_YOUNG_US;

    out->until_us = until_us;
    if (begin_of(g->look, g->d, now_us, g->a, &look, &out->since_us, e) < 0 ||
        store_run_listed(g->look->store, g->d->id, look, note_listed, g, e) < 0 ||
        search_new(g, look, until_us < old_enough ? until_us : old_enough, e) < 0)
        return -1;
    give_places(g, out);
    return 0;
}

static int gather_new(struct gather *g, int64_t now_us, struct digest_content *out, struct err *e)
{
    if (gather_keys(g, now_us, now_us, out, e) < 0 || read_again(g, out->shown, e) < 0)
        return -1;
    return count_addresses(g, NULL, out, e) < 0 ? -1 : count_all(g, out, e);
}

static struct gather gather_begin(const struct digest_look *l, const struct store_digest *d, struct arena *a)
{
    struct gather g = {.look = l, .d = d, .a = a, .max = RUN_ITEMS_MAX};

    map_init(&g.listed);
    return g;
}

int digest_content_new(const struct digest_look *l, const struct store_digest *d, int64_t now_us, struct arena *a,
                       struct digest_content *out, struct err *e)
{
    struct gather g = gather_begin(l, d, a);
    int           rc;

    *out = (struct digest_content){0};
    rc = gather_new(&g, now_us, out, e);
    map_fini(&g.listed);
    return rc;
}

/* ---- what was listed ---- */

struct old {
    struct gather         *g;
    struct digest_content *out;
    size_t                 blocked;
};

/* Those that are looked at again have a place in the list; the others count. */
static int each_item(void *ctx, const struct store_run_item *i)
{
    struct old *o = ctx;

    if (i->place == LISTED_BLOCKED)
        o->out->of_group[GROUP_BLOCKED]++;
    if (i->place == LISTED_COUNTED || i->place == LISTED_MARKED)
        o->out->of_group[GROUP_PROBABLY_SPAM]++;
    o->out->marked += i->place == LISTED_MARKED;
    if (i->place < 1 && (i->place != LISTED_BLOCKED || o->blocked++ >= BLOCKED_LOOKED_AT))
        return 0;
    if (!grow(o->g))
        return 1;
    o->g->items[o->g->n++] = (struct digest_item){
        .key = i->key, .place = i->place, .gone = true, .group = GROUP_BLOCKED};
    return 0;
}

static int gather_old(struct gather *g, const struct store_run *r, struct digest_content *out, struct err *e)
{
    struct old o = {g, out, 0};

    out->since_us = r->since_us;
    out->until_us = r->until_us;
    if (store_run_items(g->look->store, r->id, each_item, &o, e) < 0 || read_again(g, g->n, e) < 0)
        return -1;
    for (size_t i = 0; i < g->n && g->items[i].place > 0; i++) {
        out->shown++;
        out->of_group[g->items[i].group]++;
        out->marked += !g->items[i].gone && g->items[i].marked;
    }
    out->items = g->items;
    out->nitems = g->n;
    if (count_addresses(g, r, out, e) < 0 || count_all(g, out, e) < 0)
        return -1;
    return g->a->full ? err_set(e, ERR_LIMIT, "no memory for a digest") : 0;
}

int digest_content_of(const struct digest_look *l, const struct store_digest *d, const struct store_run *r,
                      struct arena *a, struct digest_content *out, struct err *e)
{
    struct gather g = gather_begin(l, d, a);
    int           rc;

    *out = (struct digest_content){0};
    rc = gather_old(&g, r, out, e);
    map_fini(&g.listed);
    return rc;
}

int digest_content_one(const struct digest_look *l, const struct store_digest *d, const struct store_key *key,
                       struct arena *a, struct digest_item *out, struct err *e)
{
    struct gather g = gather_begin(l, d, a);
    int           rc;

    *out = (struct digest_item){.key = *key, .place = 1, .gone = true};
    g.items = out;
    g.n = g.room = 1;
    rc = read_again(&g, 1, e);
    map_fini(&g.listed);
    return rc;
}

/* ---- beginning ---- */

/* Nothing was held: is it a week since anything was said? */
static int quiet_is_due(const struct digest_look *l, const struct store_digest *d, int64_t now_us, struct arena *a,
                        struct err *e)
{
    struct store_run last;
    int              rc;

    if (!d->choice.quiet)
        return 0;
    rc = store_run_last(l->store, d->id, a, &last, e);
    return rc < 0 ? -1 : now_us - (rc > 0 ? last.until_us : d->created_us) >= WEEK_US;
}

static int keys_new(const struct digest_look *l, const struct store_digest *d, int64_t until_us, int64_t now_us,
                    struct arena *a, struct digest_content *out, struct err *e)
{
    struct gather g = gather_begin(l, d, a);
    int           rc;

    *out = (struct digest_content){0};
    rc = gather_keys(&g, until_us, now_us, out, e);
    map_fini(&g.listed);
    return rc;
}

int digest_plan(const struct digest_look *l, const struct store_digest *d, int64_t until_us, int64_t now_us,
                struct arena *a, struct store_run_plan *out, struct err *e)
{
    struct digest_content  c;
    struct store_run_item *items;
    int                    rc;

    *out = (struct store_run_plan){.run = {.subscription = d->id, .until_us = until_us}};
    if (keys_new(l, d, until_us, now_us, a, &c, e) < 0)
        return -1;
    if (c.nitems == 0 && (rc = quiet_is_due(l, d, now_us, a, e)) <= 0)
        return rc;
    if ((items = arena_array(a, c.nitems + 1, sizeof *items)) == NULL)
        return err_set(e, ERR_LIMIT, "no memory for a digest of %zu messages", c.nitems);
    for (size_t i = 0; i < c.nitems; i++)
        items[i] = (struct store_run_item){c.items[i].key, c.items[i].place};
    out->items = items;
    out->nitems = c.nitems;
    out->run.since_us = c.since_us;
    out->run.quiet = c.nitems == 0;
    out->run.recipient = arena_dup(a, span_of(d->address));
    return a->full ? err_set(e, ERR_LIMIT, "no memory for a digest") : 1;
}

int digest_begin(const struct digest_look *l, const struct store_digest *d, int64_t until_us, int64_t now_us,
                 struct arena *a, struct uuid *id_out, struct err *e)
{
    struct store_run_plan p;
    int                   rc = digest_plan(l, d, until_us, now_us, a, &p, e);

    if (rc <= 0 || store_run_begin(l->store, &p, 1, now_us, e) < 0)
        return rc <= 0 ? rc : -1;
    *id_out = p.run.id;
    return p.begun;
}

/* rulesd/audience.c - see audience.h. */
#include "audience.h"

#include <stdlib.h>

#define VIEW_ARENA_MAX (4u << 20) /* the ids of the policies that are assigned to one domain */

/* What holds in one domain, shared by its audiences. Counted. */
struct part {
    atomic_size_t            refs;
    int64_t                  as_of;
    struct arena             arena; /* of view.assigned */
    struct store_domain_view view;
};

/* Immutable but for refs. Owns a reference on its part and its slots. */
struct audience {
    atomic_size_t     refs;
    int64_t           as_of, loaded_us;
    bool              settled; /* the address is a mailbox's own: nothing but its domain and mailbox can change it */
    struct part      *part;
    struct thresholds thresholds;
    struct slot      *slots[3];  /* by enum scope_kind */
    struct store_resolved who[]; /* none for a stranger */
};
static const struct store_resolved stranger;

/* ---- Out of date, or not ----------------------------------------------------------------------------------------- */

static moment *field_of(struct audiences *all, const struct uuid *id)
{
    return &all->fields[span_hash(span_make(id->b, sizeof id->b)) % AUDIENCE_FIELDS];
}

static bool part_fresh(struct audiences *all, const struct part *p)
{
    return atomic_load(&all->every) <= p->as_of && atomic_load(field_of(all, &p->view.id)) <= p->as_of;
}

static const struct store_resolved *who_of(const struct audience *a)
{
    return a->slots[SCOPE_DOMAIN] != NULL ? a->who : &stranger;
}

bool audience_current(struct audiences *all, const struct audience *a)
{
    const struct store_resolved *who = who_of(a);

    if (atomic_load(&all->every) > a->as_of || !part_fresh(all, a->part))
        return false;
    if (!who->ours)
        return atomic_load(&all->domains) <= a->as_of;
    if (atomic_load(field_of(all, &who->domain)) > a->as_of)
        return false;
    if (who->has_mailbox && atomic_load(field_of(all, &who->mailbox)) > a->as_of)
        return false;
    return a->settled || atomic_load(&all->any) <= a->as_of;
}

bool audience_fresh(struct audiences *all, const struct audience *a)
{
    for (size_t i = 0; i < COUNT(a->slots); i++) {
        if (a->slots[i] != NULL && !slot_loaded(a->slots[i]))
            return false;
    }
    return audience_current(all, a) && clock_mono_us() - a->loaded_us < SLOT_AGE_US;
}

/* ---- Audiences --------------------------------------------------------------------------------------------------- */

static void part_drop(struct part *p)
{
    if (p == NULL || atomic_fetch_sub(&p->refs, 1) != 1)
        return;
    arena_fini(&p->arena);
    free(p);
}

static struct part *part_hold(struct part *p)
{
    atomic_fetch_add(&p->refs, 1);
    return p;
}

void audience_drop(struct audience **at)
{
    struct audience *a = *at;

    *at = NULL;
    if (a == NULL || atomic_fetch_sub(&a->refs, 1) != 1)
        return;
    for (size_t i = 0; i < COUNT(a->slots); i++)
        slot_drop(&a->slots[i]);
    part_drop(a->part);
    free(a);
}

struct audience *audience_hold(struct audience *a)
{
    atomic_fetch_add(&a->refs, 1);
    return a;
}

static struct span id_span(const struct uuid *id) { return span_make(id->b, sizeof id->b); }

static struct part *part_known(struct audiences *all, const struct uuid *domain)
{
    struct part *p;

    pthread_mutex_lock(&all->parts_lock);
    p = map_get(&all->parts, id_span(domain));
    p = p != NULL && part_fresh(all, p) ? part_hold(p) : NULL;
    pthread_mutex_unlock(&all->parts_lock);
    return p;
}

/* p NULL: forget the one that is there. The key lies in the part: the old one must go with it. */
static void part_remember(struct audiences *all, const struct uuid *domain, struct part *p)
{
    struct part *old;

    pthread_mutex_lock(&all->parts_lock);
    old = map_del(&all->parts, id_span(domain));
    if (p != NULL)
        map_put(&all->parts, id_span(&p->view.id), part_hold(p));
    pthread_mutex_unlock(&all->parts_lock);
    part_drop(old);
}

/* domain NULL: what holds where no domain is concerned. */
static struct part *part_load(struct audiences *all, struct store *s, const struct uuid *domain, struct err *e)
{
    const struct uuid *id = domain ? domain : &uuid_zero;
    struct part       *p = part_known(all, id);

    if (p != NULL)
        return p;
    if ((p = calloc(1, sizeof *p)) == NULL)
        panic("out of memory");
    atomic_store(&p->refs, 1);
    p->as_of = atomic_load(&all->clock);
    arena_init(&p->arena, VIEW_ARENA_MAX);
    if (store_domain_view(s, domain, &p->arena, &p->view, e) < 0) {
        part_drop(p);
        return NULL;
    }
    p->view.id = *id;
    part_remember(all, id, p);
    return p;
}

/* Not what only leads there now, by tag, alias or catch-all: a mailbox or an alias of just that name may come. */
static bool is_settled(struct span address, const struct store_resolved *who)
{
    return who->has_mailbox && span_is(address, who->mailbox_address);
}

static struct audience *audience_new(const struct store_resolved *who, int64_t as_of)
{
    struct audience *a = calloc(1, sizeof *a + (who->ours ? sizeof *who : 0));

    if (a == NULL)
        panic("out of memory");
    atomic_store(&a->refs, 1);
    a->as_of = as_of;
    a->loaded_us = clock_mono_us();
    if (who->ours)
        a->who[0] = *who;
    return a;
}

static void take_slots(struct audiences *all, struct audience *a, const struct store_resolved *who)
{
    a->slots[SCOPE_GLOBAL] = slot_hold(all->global);
    if (who->ours)
        a->slots[SCOPE_DOMAIN] = slots_take(all->slots, store_scope_domain(who->domain));
    if (who->ours && who->has_mailbox)
        a->slots[SCOPE_MAILBOX] = slots_take(all->slots, store_scope_mailbox(who->mailbox));
}

/* A mailbox that has gone since it was resolved has its domain's thresholds until the feed tells. */
static int mailbox_thresholds(struct store *s, const struct store_resolved *who, struct thresholds *out, struct err *e)
{
    struct store_mailbox_view view;
    struct err                why = ERR_INIT;

    if (!who->has_mailbox)
        return 0;
    if (store_mailbox_view(s, who->mailbox, &view, &why) == 0)
        *out = view.thresholds;
    else if (why.code != ERR_NOT_FOUND) {
        if (e != NULL)
            *e = why;
        return -1;
    }
    return 0;
}

struct audience *audience_load(struct audiences *all, struct store *s, struct span address, struct err *e)
{
    struct store_resolved who = {0};
    struct audience      *a;
    int64_t               as_of = atomic_load(&all->clock);

    atomic_fetch_add(&all->loads, 1);
    if (address.n > 0 && store_resolve(s, address, &who, e) < 0)
        return NULL;
    a = audience_new(&who, as_of);
    a->settled = is_settled(address, &who);
    if ((a->part = part_load(all, s, who.ours ? &who.domain : NULL, e)) == NULL) {
        audience_drop(&a);
        return NULL;
    }
    a->thresholds = a->part->view.thresholds;
    if (who.ours && mailbox_thresholds(s, &who, &a->thresholds, e) < 0) {
        audience_drop(&a);
        return NULL;
    }
    take_slots(all, a, &who);
    return a;
}

int audience_await(const struct audience *a, struct job *j, struct hand *h, struct err *e)
{
    int rc = 1;

    for (size_t i = 0; rc > 0 && i < COUNT(a->slots); i++)
        if (a->slots[i] != NULL)
            rc = slot_await(a->slots[i], j, h, e);
    return rc;
}

/* ---- What changes them ----------------------------------------------------------------------------------------------- */

void audiences_moved(struct audiences *all, const struct store_change *change)
{
    int64_t now = atomic_fetch_add(&all->clock, 1) + 1;

    if (change->scope.kind == SCOPE_GLOBAL)
        atomic_store(&all->every, now);
    else
        atomic_store(field_of(all, &change->scope.id), now);
    if (change->kind == CHANGE_DOMAIN || change->kind == CHANGE_MAILBOX || change->kind == CHANGE_ADDRESS)
        atomic_store(&all->any, now);
    if (change->kind == CHANGE_DOMAIN) {
        atomic_store(&all->domains, now);
        part_remember(all, &change->scope.id, NULL);
    }
}

void audiences_gap(struct audiences *all) { atomic_store(&all->every, atomic_fetch_add(&all->clock, 1) + 1); }

/* ---- What they say --------------------------------------------------------------------------------------------------- */

const struct store_resolved    *audience_who(const struct audience *a) { return who_of(a); }
const struct store_domain_view *audience_domain(const struct audience *a) { return &a->part->view; }
struct thresholds               audience_thresholds(const struct audience *a) { return a->thresholds; }

int audience_scope(const struct audience *a, enum scope_kind kind, struct scope **out, struct err *e)
{
    *out = NULL;
    return a->slots[kind] ? slot_scope(a->slots[kind], out, e) : 0;
}

/* ---- All of them ----------------------------------------------------------------------------------------------------- */

void audiences_init(struct audiences *all)
{
    pthread_mutex_init(&all->parts_lock, NULL);
    map_init(&all->parts);
}

void audiences_fini(struct audiences *all)
{
    void  *value;
    size_t at = 0;

    while (map_next(&all->parts, &at, NULL, &value))
        part_drop(value);
    map_fini(&all->parts);
    pthread_mutex_destroy(&all->parts_lock);
    slot_drop(&all->global);
}

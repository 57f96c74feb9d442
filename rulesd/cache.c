/* rulesd/cache.c - see cache.h: starting and stopping it, and what the feed tells. Addresses are in cache_card.c,
 * what they mean in audience.c, the compiled scopes in slot.c, the threads in desk.c and feed.c. */
#include "cache_inside.h"

#include <stdlib.h>

#include "store/compile.h"

#define LIGHT_THREADS 2
#define HEAVY_NICE 10

/* ---- What the feed tells ----------------------------------------------------------------------------------------- */

static void on_change(void *ctx, const struct store_change *change)
{
    struct cache      *c = ctx;
    const struct uuid *rule = change->kind == CHANGE_RULE && change->has_object ? &change->object : NULL;

    atomic_fetch_add(&c->changes, 1);
    switch (change->kind) {
    case CHANGE_RULE:
    case CHANGE_LEARNED: slots_changed(c->slots, change->scope, rule, change->seq); break;
    case CHANGE_POLICY: /* a global one may be assigned, which the views of domains say */
        slots_changed(c->slots, change->scope, NULL, change->seq);
        if (change->scope.kind == SCOPE_GLOBAL)
            audiences_moved(&c->people, change);
        break;
    case CHANGE_DOMAIN:
    case CHANGE_MAILBOX:
        slots_changed(c->slots, change->scope, NULL, change->seq);
        audiences_moved(&c->people, change);
        break;
    case CHANGE_ASSIGNMENT:
    case CHANGE_SETTING:
    case CHANGE_ADDRESS: audiences_moved(&c->people, change); break;
    case CHANGE_API_KEY: /* not for rules */
    case CHANGE_SENDER: break;
    }
}

static void on_gap(void *ctx)
{
    struct cache *c = ctx;

    slots_gap(c->slots);
    audiences_gap(&c->people);
}

static void on_tick(void *ctx, bool away)
{
    struct cache *c = ctx;

    if (atomic_exchange(&c->away, away) != away && away)
        cards_tell(c); /* the jobs that ask it may hang for as long as it is away */
    slots_tick(c->slots);
    slot_want(c->people.global);
    if (!atomic_load(&c->surveyed) && !atomic_exchange(&c->surveying, true))
        desk_put(c->heavy, &c->survey);
}

/* ---- Starting and stopping --------------------------------------------------------------------------------------- */

static int each_large(void *ctx, struct store_scope scope, int64_t rules)
{
    struct cache *c = ctx;

    (void)rules;
    slots_preload(c->slots, scope);
    return 0;
}

/* What will take a while is begun before somebody asks. */
static void survey_run(struct job *j, struct hand *h)
{
    struct cache *c = HOLDER(j, struct cache, survey);
    struct store *s;

    if (hand_store(h, &s, NULL) == 0 && store_scopes_large(s, SLOT_LIGHT_MAX, each_large, c, NULL) == 0)
        atomic_store(&c->surveyed, true);
    atomic_store(&c->surveying, false);
}

static bool is_away(void *ctx) { return atomic_load(&((struct cache *)ctx)->away); }

int cache_new(const struct settings *settings, const struct cache_limits *limits, struct cache **out, struct err *e)
{
    struct cache    *c = calloc(1, sizeof *c);
    struct desk_how  light = {.url = settings->store.url, .threads = LIGHT_THREADS, .away = is_away, .ctx = c};
    struct desk_how  heavy = {.url = light.url, .threads = 1, .nice = HEAVY_NICE, .away = is_away, .ctx = c};
    struct feed_sink sink = {on_change, on_gap, on_tick, c};

    *out = NULL;
    if (c == NULL)
        panic("out of memory");
    c->survey.run = survey_run;
    cards_init(c, limits);
    audiences_init(&c->people);
    if (desk_new(&light, &c->light, e) < 0 || desk_new(&heavy, &c->heavy, e) < 0)
        goto fail;
    c->slots = c->people.slots = slots_new(c->light, c->heavy, limits->bytes_max);
    c->people.global = slots_take(c->slots, STORE_SCOPE_GLOBAL);
    if (feed_new(settings->store.url, &sink, &c->feed, e) < 0)
        goto fail;
    slot_want(c->people.global);
    *out = c;
    return 0;
fail:
    cache_free(&c);
    return -1;
}

/* The feed first: it gives work to the desks; the desks next: their jobs use all the rest. */
void cache_free(struct cache **at)
{
    struct cache *c = *at;

    if (c == NULL)
        return;
    *at = NULL;
    feed_free(&c->feed);
    if (c->heavy != NULL)
        desk_stop(c->heavy);
    if (c->light != NULL)
        desk_stop(c->light);
    cards_end(c);
    cards_fini(c);
    audiences_fini(&c->people);
    slots_free(&c->slots);
    desk_free(&c->heavy);
    desk_free(&c->light);
    free(c);
}

/* ---- How it is ---------------------------------------------------------------------------------------------------- */

bool cache_ready(struct cache *c)
{
    struct slots_stats stats;

    if (!slot_loaded(c->people.global) || !atomic_load(&c->surveyed))
        return false;
    slots_stats(c->slots, &stats);
    return stats.compiling == 0;
}

int64_t cache_feed_seq(const struct cache *c) { return feed_seq(c->feed); }
bool    cache_is_stale(const struct cache *c) { return feed_stale_since_us(c->feed) != 0; }

void cache_stats(struct cache *c, struct cache_stats *out)
{
    struct slots_stats slots;

    slots_stats(c->slots, &slots);
    *out = (struct cache_stats){
        .loads = atomic_load(&c->people.loads),
        .load_errors = atomic_load(&c->load_errors),
        .changes = atomic_load(&c->changes),
        .compiles = slots.compiles,
        .overlays = slots.overlays,
        .merges = slots.merges,
        .compile_us_max = slots.compile_us_max,
        .slots = slots.slots,
        .scope_bytes = slots.bytes,
        .stale_since_us = feed_stale_since_us(c->feed),
        .feed_seq = feed_seq(c->feed),
    };
    for (size_t i = 0; i < CACHE_SHARDS; i++) {
        struct shard *sh = &c->shards[i];

        pthread_mutex_lock(&sh->lock);
        out->hits += sh->hits;
        out->misses += sh->misses;
        out->audiences += sh->ours.n;
        out->strangers += sh->strangers.n;
        pthread_mutex_unlock(&sh->lock);
    }
}

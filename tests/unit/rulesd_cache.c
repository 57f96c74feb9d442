/* tests/unit/rulesd_cache.c - the cache as a whole: cache.c, slot.c, desk.c and feed.c on a real database. */
#include "../../rulesd/cache.h"

#include <pthread.h>
#include <stdatomic.h>

#include "../../rulesd/slot.h"
#include "rulesd_world.h"
#include "store/learned.h"

#define PROMISED_MS 200 /* from a commit to the first verdict by it */
#define SLOW_MS 5000    /* for what no promise is made of */

/* A domain with a mailbox, and the cache over it. */
struct scene {
    struct world *w;
    struct store *store;
    struct cache *cache;
    struct uuid   domain, anna;
};

static const struct cache_limits roomy = {.audiences_max = 1000, .strangers_max = 1000, .bytes_max = 1 << 30};

static struct cache *cache_on(struct world *w, const struct cache_limits *limits)
{
    struct settings settings = settings_of(w);
    struct cache   *c = NULL;

    OK(w, cache_new(&settings, limits, &c, &w->e));
    return c;
}

static struct scene scene_of(void **state, const struct cache_limits *limits)
{
    struct scene s = {.w = world_of(state)};

    s.store = s.w->more;
    s.domain = add_domain(s.w, "ours.example");
    s.anna = add_mailbox(s.w, s.domain, "anna");
    s.cache = limits != NULL ? cache_on(s.w, limits) : NULL;
    return s;
}

static void raise_flag(void *ctx) { atomic_fetch_add((atomic_int *)ctx, 1); }

/* As a listener does it: asks, has it loaded, asks again. NULL: it failed, with *e. */
static struct audience *try_known(struct cache *c, const char *address, struct err *e)
{
    struct span      a = span_of(address);
    struct audience *out = NULL;
    int              rc;

    while ((rc = cache_get(c, a, &out, e)) == 0) {
        atomic_int done = 0;

        cache_load(c, &a, 1, raise_flag, &done);
        SOON(20000, atomic_load(&done) == 1);
    }
    return rc > 0 ? out : NULL;
}

static struct audience *known(struct cache *c, const char *address)
{
    struct err       e = ERR_INIT;
    struct audience *a = try_known(c, address, &e);

    if (a == NULL)
        fail_msg("%s: %s", address, e.text);
    return a;
}

/* Does some rule of that scope of the recipient's block this sender now? */
static bool blocked(struct cache *c, const char *rcpt, enum scope_kind kind, const char *sender)
{
    struct audience *a = known(c, rcpt);
    struct scope    *s = NULL;
    struct err       e = ERR_INIT;
    bool             yes;

    if (audience_scope(a, kind, &s, &e) < 0)
        fail_msg("%s: %s", rcpt, e.text);
    yes = applies(s, sender, NULL);
    scope_drop(&s);
    audience_drop(&a);
    return yes;
}

static struct uuid domain_policy(struct scene *s)
{
    return policy_id(s->w, store_scope_domain(s->domain), POLICY_RULES);
}

/* ---- Who a recipient is ------------------------------------------------------------------------------------------- */

static void an_address_is_read_once_and_known_from_then_on(void **state)
{
    struct scene       s = scene_of(state, &roomy);
    struct audience   *a = NULL;
    struct cache_stats before, after;
    struct err         e = ERR_INIT;

    assert_int_equal(cache_get(s.cache, SPAN("anna@ours.example"), &a, &e), 0);
    a = known(s.cache, "anna@ours.example");
    assert_true(audience_who(a)->has_mailbox);
    assert_true(uuid_eq(&audience_who(a)->mailbox, &s.anna));
    assert_string_equal(audience_domain(a)->name, "ours.example");
    assert_true(audience_thresholds(a).reject == 15);
    audience_drop(&a);
    cache_stats(s.cache, &before);
    for (int i = 0; i < 10; i++) {
        a = known(s.cache, "anna@ours.example");
        audience_drop(&a);
    }
    cache_stats(s.cache, &after);
    assert_int_equal(after.loads, before.loads);
    assert_int_equal(after.hits, before.hits + 10);
    cache_free(&s.cache);
}

static void a_stranger_is_remembered_as_one(void **state)
{
    struct scene       s = scene_of(state, &roomy);
    struct audience   *a = known(s.cache, "bob@elsewhere.example");
    struct scope      *scope = NULL;
    struct cache_stats stats;

    assert_false(audience_who(a)->ours);
    OK(s.w, audience_scope(a, SCOPE_DOMAIN, &scope, &s.w->e));
    assert_null(scope);
    assert_true(audience_thresholds(a).add_header == 6);
    audience_drop(&a);
    a = known(s.cache, "bob@elsewhere.example");
    audience_drop(&a);
    cache_stats(s.cache, &stats);
    assert_int_equal(stats.loads, 1);
    assert_int_equal(stats.strangers, 1);
    cache_free(&s.cache);
}

static void no_recipient_has_the_global_rules_and_thresholds(void **state)
{
    struct scene        s = scene_of(state, NULL);
    struct store_policy p = {.name = "All", .priority = 100, .locked = true, .enabled = true};
    struct uuid         policy;

    OK(s.w, store_policy_add(s.store, &root, &p, &policy, &s.w->e));
    add_block(s.w, s.store, policy, "a@spam.example");
    s.cache = cache_on(s.w, &roomy);
    assert_true(blocked(s.cache, "", SCOPE_GLOBAL, "a@spam.example"));
    assert_true(blocked(s.cache, "anna@ours.example", SCOPE_GLOBAL, "a@spam.example"));
    assert_false(blocked(s.cache, "", SCOPE_DOMAIN, "a@spam.example"));
    cache_free(&s.cache);
}

static void the_same_address_asked_for_by_many_is_read_once(void **state)
{
    struct scene       s = scene_of(state, &roomy);
    struct span        list[3] = {SPAN("anna@ours.example"), SPAN("anna@ours.example"), SPAN("other@ours.example")};
    atomic_int         done = 0;
    struct cache_stats stats;

    for (int i = 0; i < 50; i++)
        cache_load(s.cache, list, COUNT(list), raise_flag, &done);
    cache_load(s.cache, NULL, 0, raise_flag, &done);
    SOON(SLOW_MS, atomic_load(&done) == 51);
    cache_stats(s.cache, &stats);
    assert_true(stats.loads <= 4); /* one may have been finished between two of the fifty */
    cache_free(&s.cache);
}

static void everybody_who_waits_is_told_when_the_cache_ends(void **state)
{
    struct scene s = scene_of(state, &roomy);
    atomic_int   done = 0;
    char         names[100][40];
    struct span  list[100];

    for (size_t i = 0; i < COUNT(list); i++) {
        snprintf(names[i], sizeof names[i], "user%zu@ours.example", i);
        list[i] = span_of(names[i]);
        cache_load(s.cache, list, i + 1, raise_flag, &done);
    }
    cache_free(&s.cache);
    assert_int_equal(atomic_load(&done), 100);
}

/* ---- What changes ------------------------------------------------------------------------------------------------- */

static void a_rule_that_was_added_decides_within_200_ms(void **state)
{
    struct scene s = scene_of(state, &roomy);
    struct uuid  policy = domain_policy(&s), id;

    assert_false(blocked(s.cache, "anna@ours.example", SCOPE_DOMAIN, "a@spam.example"));
    id = add_block(s.w, s.store, policy, "a@spam.example");
    SOON(PROMISED_MS, blocked(s.cache, "anna@ours.example", SCOPE_DOMAIN, "a@spam.example"));
    OK(s.w, store_rule_enable(s.store, &root, id, false, &s.w->e));
    SOON(PROMISED_MS, !blocked(s.cache, "anna@ours.example", SCOPE_DOMAIN, "a@spam.example"));
    OK(s.w, store_rule_enable(s.store, &root, id, true, &s.w->e));
    SOON(PROMISED_MS, blocked(s.cache, "anna@ours.example", SCOPE_DOMAIN, "a@spam.example"));
    OK(s.w, store_rule_delete(s.store, &root, id, &s.w->e));
    SOON(PROMISED_MS, !blocked(s.cache, "anna@ours.example", SCOPE_DOMAIN, "a@spam.example"));
    cache_free(&s.cache);
}

static void a_global_rule_that_was_added_decides_within_200_ms_on_every_thread(void **state)
{
    struct scene        s = scene_of(state, NULL);
    struct store_policy p = {.name = "All", .priority = 100, .locked = true, .enabled = true};
    struct uuid         policy;

    OK(s.w, store_policy_add(s.store, &root, &p, &policy, &s.w->e));
    s.cache = cache_on(s.w, &roomy);
    assert_false(blocked(s.cache, "anna@ours.example", SCOPE_GLOBAL, "a@spam.example"));
    add_block(s.w, s.store, policy, "a@spam.example");
    SOON(PROMISED_MS, blocked(s.cache, "anna@ours.example", SCOPE_GLOBAL, "a@spam.example"));
    p.id = policy;
    p.enabled = false;
    OK(s.w, store_policy_set(s.store, &root, &p, &s.w->e));
    SOON(PROMISED_MS, !blocked(s.cache, "anna@ours.example", SCOPE_GLOBAL, "a@spam.example"));
    cache_free(&s.cache);
}

static void a_changed_rule_in_a_large_scope_is_laid_over_it_within_200_ms(void **state)
{
    struct scene       s = scene_of(state, NULL);
    struct uuid        policy = domain_policy(&s), id;
    struct cache_stats stats;

    add_many(s.w, s.store, policy, SLOT_PATCH_MIN + 500);
    s.cache = cache_on(s.w, &roomy);
    assert_true(blocked(s.cache, "anna@ours.example", SCOPE_DOMAIN, "user7@bulk.example"));
    id = add_block(s.w, s.store, policy, "a@spam.example");
    SOON(PROMISED_MS, blocked(s.cache, "anna@ours.example", SCOPE_DOMAIN, "a@spam.example"));
    assert_true(blocked(s.cache, "anna@ours.example", SCOPE_DOMAIN, "user7@bulk.example"));
    OK(s.w, store_rule_delete(s.store, &root, id, &s.w->e));
    SOON(PROMISED_MS, !blocked(s.cache, "anna@ours.example", SCOPE_DOMAIN, "a@spam.example"));
    cache_stats(s.cache, &stats);
    assert_true(stats.overlays >= 2);
    cache_free(&s.cache);
}

static void a_patch_that_has_grown_is_merged_and_nothing_is_lost(void **state)
{
    struct scene       s = scene_of(state, NULL);
    struct uuid        policy = domain_policy(&s), last = uuid_zero;
    struct cache_stats stats;
    struct actor       by = root;
    char               name[64], json[128];
    size_t             n = SLOT_PATCH_MAX + 300;

    by.over_quota = true;
    add_many(s.w, s.store, policy, SLOT_PATCH_MIN + 500);
    s.cache = cache_on(s.w, &roomy);
    assert_true(blocked(s.cache, "anna@ours.example", SCOPE_DOMAIN, "user7@bulk.example"));
    for (size_t i = 0; i < n; i++) {
        struct store_rule r = a_rule(policy, "more");

        snprintf(json, sizeof json, "[{\"kind\":\"sender\",\"any\":[\"more%zu@spam.example\"]}]", i);
        r.conditions = span_of(json);
        OK(s.w, store_rule_add(s.store, &by, &r, &last, &s.w->e));
        if (i % 50 == 0)
            sleep_ms(1);
    }
    snprintf(name, sizeof name, "more%zu@spam.example", n - 1);
    SOON(PROMISED_MS * 5, blocked(s.cache, "anna@ours.example", SCOPE_DOMAIN, name));
    SOON(SLOW_MS, (cache_stats(s.cache, &stats), stats.merges > 0));
    for (size_t i = 0; i < n; i += 97) {
        snprintf(name, sizeof name, "more%zu@spam.example", i);
        assert_true(blocked(s.cache, "anna@ours.example", SCOPE_DOMAIN, name));
    }
    OK(s.w, store_rule_delete(s.store, &root, last, &s.w->e));
    snprintf(name, sizeof name, "more%zu@spam.example", n - 1);
    SOON(PROMISED_MS, !blocked(s.cache, "anna@ours.example", SCOPE_DOMAIN, name));
    cache_free(&s.cache);
}

static void a_learned_sender_decides_within_200_ms(void **state)
{
    struct scene         s = scene_of(state, &roomy);
    struct store_learned l = {.mailbox = s.anna,
                              .action = RULE_BLOCK,
                              .sender = SPAN("news@shop.example"),
                              .proof = SPAN("dmarc"),
                              .expires_us = clock_wall_us() + INT64_C(1000000000)};
    struct uuid          id;

    assert_false(blocked(s.cache, "anna@ours.example", SCOPE_MAILBOX, "news@shop.example"));
    OK(s.w, store_learned_put(s.store, &root, &l, &id, &s.w->e));
    SOON(PROMISED_MS, blocked(s.cache, "anna@ours.example", SCOPE_MAILBOX, "news@shop.example"));
    OK(s.w, store_learned_delete(s.store, &root, id, &s.w->e));
    SOON(PROMISED_MS, !blocked(s.cache, "anna@ours.example", SCOPE_MAILBOX, "news@shop.example"));
    cache_free(&s.cache);
}

static bool has_mailbox(struct cache *c, const char *address)
{
    struct audience *a = known(c, address);
    bool             has = audience_who(a)->has_mailbox;

    audience_drop(&a);
    return has;
}

static bool is_ours(struct cache *c, const char *address)
{
    struct audience *a = known(c, address);
    bool             ours = audience_who(a)->ours;

    audience_drop(&a);
    return ours;
}

static void people_who_come_and_go_are_seen_within_200_ms(void **state)
{
    struct scene s = scene_of(state, &roomy);
    struct span  target = SPAN("anna@ours.example");
    struct uuid  bob, sales, other;

    assert_false(has_mailbox(s.cache, "bob@ours.example"));
    bob = add_mailbox(s.w, s.domain, "bob");
    SOON(PROMISED_MS, has_mailbox(s.cache, "bob@ours.example"));
    SOON(PROMISED_MS, has_mailbox(s.cache, "bob+tag@ours.example"));
    OK(s.w, store_mailbox_delete(s.store, &root, bob, &s.w->e));
    SOON(PROMISED_MS, !has_mailbox(s.cache, "bob@ours.example"));
    SOON(PROMISED_MS, !has_mailbox(s.cache, "bob+tag@ours.example"));

    assert_false(has_mailbox(s.cache, "sales@ours.example"));
    OK(s.w, store_address_add(s.store, &root, s.domain, SPAN("sales"), ADDRESS_ALIAS, &target, 1, &sales, &s.w->e));
    SOON(PROMISED_MS, has_mailbox(s.cache, "sales@ours.example"));
    OK(s.w, store_mailbox_delete(s.store, &root, s.anna, &s.w->e));
    SOON(PROMISED_MS, !has_mailbox(s.cache, "sales@ours.example"));

    assert_false(is_ours(s.cache, "carol@new.example"));
    other = add_domain(s.w, "new.example");
    SOON(PROMISED_MS, is_ours(s.cache, "carol@new.example"));
    assert_false(is_ours(s.cache, "carol@alias.example"));
    OK(s.w, store_domain_alias_add(s.store, &root, other, SPAN("alias.example"), &s.w->e));
    SOON(PROMISED_MS, is_ours(s.cache, "carol@alias.example"));
    OK(s.w, store_domain_delete(s.store, &root, other, &s.w->e));
    SOON(PROMISED_MS, !is_ours(s.cache, "carol@new.example"));
    SOON(PROMISED_MS, !is_ours(s.cache, "carol@alias.example"));
    cache_free(&s.cache);
}

static bool leads_to(struct cache *c, const char *address, const char *mailbox)
{
    struct audience *a = known(c, address);
    bool             does = strcmp(audience_who(a)->mailbox_address, mailbox) == 0;

    audience_drop(&a);
    return does;
}

/* Their names begin like the mailbox that had their mail so far: by the catch-all, and by the tag. */
static void who_gets_a_mailbox_is_no_longer_judged_by_a_namesakes_rules(void **state)
{
    struct scene       s = scene_of(state, &roomy);
    struct span        anna = SPAN("anna@ours.example");
    struct uuid        ignored;
    struct cache_stats stats;

    OK(s.w, store_address_add(s.store, &root, s.domain, SPAN_NONE, ADDRESS_CATCHALL, &anna, 1, &ignored, &s.w->e));
    SOON(SLOW_MS, (cache_stats(s.cache, &stats), stats.feed_seq == change_head(s.w)));
    assert_true(leads_to(s.cache, "annabelle@ours.example", "anna@ours.example"));
    assert_true(leads_to(s.cache, "anna+sales@ours.example", "anna@ours.example"));
    add_mailbox(s.w, s.domain, "annabelle");
    SOON(PROMISED_MS, leads_to(s.cache, "annabelle@ours.example", "annabelle@ours.example"));
    add_mailbox(s.w, s.domain, "anna+sales");
    SOON(PROMISED_MS, leads_to(s.cache, "anna+sales@ours.example", "anna+sales@ours.example"));
    cache_free(&s.cache);
}

static void an_alias_into_another_domain_follows_changes_there(void **state)
{
    struct scene s = scene_of(state, &roomy);
    struct uuid  other = add_domain(s.w, "other.example"), id;
    struct span  target = SPAN("bob@other.example");

    OK(s.w, store_address_add(s.store, &root, s.domain, SPAN("bob"), ADDRESS_ALIAS, &target, 1, &id, &s.w->e));
    SOON(PROMISED_MS, !has_mailbox(s.cache, "bob@ours.example"));
    add_mailbox(s.w, other, "bob");
    SOON(PROMISED_MS, has_mailbox(s.cache, "bob@ours.example"));
    cache_free(&s.cache);
}

static double reject_at(struct cache *c, const char *address)
{
    struct audience *a = known(c, address);
    double           t = audience_thresholds(a).reject;

    audience_drop(&a);
    return t;
}

static void a_threshold_that_was_set_holds_within_200_ms(void **state)
{
    struct scene         s = scene_of(state, &roomy);
    struct store_setting set = STORE_SETTING_NONE;

    assert_true(reject_at(s.cache, "anna@ours.example") == 15);
    assert_true(reject_at(s.cache, "bob@elsewhere.example") == 15);
    set.reject = 20;
    OK(s.w, store_setting_set(s.store, &root, STORE_SCOPE_GLOBAL, &set, &s.w->e));
    SOON(PROMISED_MS, reject_at(s.cache, "anna@ours.example") == 20);
    SOON(PROMISED_MS, reject_at(s.cache, "bob@elsewhere.example") == 20);
    set.reject = 12;
    set.mailbox_thresholds = 1;
    OK(s.w, store_setting_set(s.store, &root, store_scope_domain(s.domain), &set, &s.w->e));
    SOON(PROMISED_MS, reject_at(s.cache, "anna@ours.example") == 12);
    set = STORE_SETTING_NONE;
    set.reject = 9;
    OK(s.w, store_setting_set(s.store, &root, store_scope_mailbox(s.anna), &set, &s.w->e));
    SOON(PROMISED_MS, reject_at(s.cache, "anna@ours.example") == 9);
    assert_true(reject_at(s.cache, "other@ours.example") == 12);
    cache_free(&s.cache);
}

static size_t nassigned(struct cache *c, const char *address)
{
    struct audience *a = known(c, address);
    size_t           n = audience_domain(a)->nassigned;

    audience_drop(&a);
    return n;
}

static void a_policy_that_was_assigned_counts_within_200_ms(void **state)
{
    struct scene        s = scene_of(state, &roomy);
    struct store_policy p = {.name = "Newsletters", .priority = 100, .enabled = true};
    struct uuid         policy;

    assert_int_equal(nassigned(s.cache, "anna@ours.example"), 0);
    OK(s.w, store_policy_add(s.store, &root, &p, &policy, &s.w->e));
    OK(s.w, store_policy_assign(s.store, &root, policy, s.domain, &s.w->e));
    SOON(PROMISED_MS, nassigned(s.cache, "anna@ours.example") == 1);
    OK(s.w, store_policy_unassign(s.store, &root, policy, s.domain, &s.w->e));
    SOON(PROMISED_MS, nassigned(s.cache, "anna@ours.example") == 0);
    cache_free(&s.cache);
}

static void what_does_not_concern_a_recipient_reads_nothing_again(void **state)
{
    struct scene         s = scene_of(state, &roomy);
    struct uuid          other = add_domain(s.w, "other.example");
    struct store_setting set = STORE_SETTING_NONE;
    struct cache_stats   before, after;

    SOON(SLOW_MS, cache_ready(s.cache));
    assert_false(blocked(s.cache, "anna@ours.example", SCOPE_DOMAIN, "a@spam.example"));
    SOON(SLOW_MS, (cache_stats(s.cache, &before), before.feed_seq == change_head(s.w)));
    add_block(s.w, s.store, policy_id(s.w, store_scope_domain(other), POLICY_RULES), "a@spam.example");
    set.reject = 12;
    OK(s.w, store_setting_set(s.store, &root, store_scope_domain(other), &set, &s.w->e));
    add_mailbox(s.w, s.domain, "bob");
    SOON(SLOW_MS, (cache_stats(s.cache, &after), after.feed_seq == change_head(s.w)));
    assert_true(after.changes >= before.changes + 3);
    assert_false(blocked(s.cache, "anna@ours.example", SCOPE_DOMAIN, "a@spam.example"));
    cache_stats(s.cache, &after);
    assert_int_equal(after.compiles, before.compiles);
    assert_true(after.loads <= before.loads + 1); /* a mailbox of her domain may have changed to whom she is */
    cache_free(&s.cache);
}

/* ---- Trouble ------------------------------------------------------------------------------------------------------ */

static void when_changes_were_missed_everything_is_read_again(void **state)
{
    struct scene       s = scene_of(state, &roomy);
    struct uuid        policy = domain_policy(&s);
    struct cache_stats stats;

    add_block(s.w, s.store, policy, "a@spam.example");
    SOON(SLOW_MS, blocked(s.cache, "anna@ours.example", SCOPE_DOMAIN, "a@spam.example"));
    assert_false(has_mailbox(s.cache, "bob@ours.example"));
    OK(s.w, store_begin(s.store, &s.w->e));
    add_block(s.w, s.store, policy, "b@spam.example");
    add_mailbox(s.w, s.domain, "bob");
    OK(s.w, db_script(s.store->main, "DELETE FROM change; UPDATE change_head SET seq = seq + 7", &s.w->e));
    OK(s.w, store_commit(s.store, &s.w->e));
    SOON(SLOW_MS, blocked(s.cache, "anna@ours.example", SCOPE_DOMAIN, "b@spam.example"));
    SOON(SLOW_MS, has_mailbox(s.cache, "bob@ours.example"));
    SOON(SLOW_MS, (cache_stats(s.cache, &stats), stats.feed_seq == change_head(s.w)));
    add_block(s.w, s.store, policy, "c@spam.example");
    SOON(PROMISED_MS, blocked(s.cache, "anna@ours.example", SCOPE_DOMAIN, "c@spam.example"));
    cache_free(&s.cache);
}

static void admin_says(struct world *w, const char *fmt)
{
    const char *name = strstr(w->url, "///") + 3;
    char        database[32], sql[256];
    struct db  *admin = postgres_admin();

    snprintf(database, sizeof database, "%.*s", (int)strcspn(name, "?"), name);
    snprintf(sql, sizeof sql, fmt, database);
    OK(w, db_script(admin, sql, &w->e));
    db_close(&admin);
}

static int64_t stale_since(struct cache *c)
{
    struct cache_stats stats;

    cache_stats(c, &stats);
    return stats.stale_since_us;
}

static void a_database_that_is_away_leaves_the_last_rules_deciding(void **state)
{
    struct scene     s = scene_of(state, &roomy);
    struct uuid      policy = domain_policy(&s);
    struct audience *a;

    add_block(s.w, s.store, policy, "a@spam.example");
    SOON(SLOW_MS, blocked(s.cache, "anna@ours.example", SCOPE_DOMAIN, "a@spam.example"));
    assert_int_equal(stale_since(s.cache), 0);

    admin_says(s.w, "ALTER DATABASE %s WITH ALLOW_CONNECTIONS false");
    admin_says(s.w, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '%s'");
    SOON(SLOW_MS, stale_since(s.cache) != 0);
    assert_true(blocked(s.cache, "anna@ours.example", SCOPE_DOMAIN, "a@spam.example"));
    s.w->e = ERR_INIT;
    assert_null(try_known(s.cache, "new@ours.example", &s.w->e));
    assert_int_equal(s.w->e.code, ERR_LOST);
    assert_true(blocked(s.cache, "anna@ours.example", SCOPE_DOMAIN, "a@spam.example"));

    admin_says(s.w, "ALTER DATABASE %s WITH ALLOW_CONNECTIONS true");
    SOON(SLOW_MS, stale_since(s.cache) == 0);
    SOON(SLOW_MS, (a = try_known(s.cache, "new@ours.example", &s.w->e)) != NULL);
    audience_drop(&a);
    store_close(&s.store);
    s.w->more = s.store = open_store(s.w);
    add_block(s.w, s.store, policy, "b@spam.example");
    SOON(SLOW_MS, blocked(s.cache, "anna@ours.example", SCOPE_DOMAIN, "b@spam.example"));
    cache_free(&s.cache);
}

static void a_missing_database_is_said_at_the_start(void **state)
{
    struct world   *w = world_of(state);
    struct settings settings = {0};
    struct cache   *c = NULL;

    settings.store.url = "sqlite:/nowhere/at/all/postern.db";
    assert_int_equal(cache_new(&settings, &roomy, &c, &w->e), -1);
    assert_null(c);
    assert_true(w->e.text[0] != '\0');
}

static void the_cache_stays_within_its_bounds(void **state)
{
    const struct cache_limits tight = {.audiences_max = 128, .strangers_max = 64, .bytes_max = 1};
    struct scene              s = scene_of(state, &tight);
    struct cache_stats        stats;
    char                      name[64];

    add_block(s.w, s.store, domain_policy(&s), "a@spam.example");
    for (int i = 0; i < 1000; i++) {
        struct audience *a;

        snprintf(name, sizeof name, "anna+%d@%s.example", i, i % 2 ? "ours" : "elsewhere");
        a = known(s.cache, name);
        audience_drop(&a);
    }
    cache_stats(s.cache, &stats);
    assert_true(stats.audiences <= 128 + 64);
    assert_true(stats.strangers <= 64 + 64);
    cache_free(&s.cache);
}

static void a_scope_that_was_thrown_out_is_read_again_when_it_is_needed(void **state)
{
    const struct cache_limits tight = {.audiences_max = 1000, .strangers_max = 64, .bytes_max = 1};
    struct scene              s = scene_of(state, &tight);
    struct uuid               other = add_domain(s.w, "other.example");
    struct cache_stats        both, one;

    add_block(s.w, s.store, domain_policy(&s), "a@spam.example");
    add_block(s.w, s.store, policy_id(s.w, store_scope_domain(other), POLICY_RULES), "b@spam.example");
    SOON(SLOW_MS, blocked(s.cache, "anna@ours.example", SCOPE_DOMAIN, "a@spam.example"));
    SOON(SLOW_MS, blocked(s.cache, "bob@other.example", SCOPE_DOMAIN, "b@spam.example"));
    cache_stats(s.cache, &both);
    sleep_ms(SLOT_KEEP_US / MS + 50);
    add_block(s.w, s.store, policy_id(s.w, store_scope_domain(other), POLICY_RULES), "c@spam.example");
    SOON(SLOW_MS, (cache_stats(s.cache, &one), one.scope_bytes > 0 && one.scope_bytes < both.scope_bytes));
    SOON(SLOW_MS, blocked(s.cache, "bob@other.example", SCOPE_DOMAIN, "c@spam.example"));
    assert_true(blocked(s.cache, "anna@ours.example", SCOPE_DOMAIN, "a@spam.example"));
    cache_free(&s.cache);
}

static void a_huge_scope_compiles_in_the_background_and_ready_waits_for_it(void **state)
{
    struct scene        s = scene_of(state, NULL);
    struct uuid         policy = domain_policy(&s);
    struct store_policy p;
    struct audience    *a = NULL;
    struct cache_stats  stats;

    add_many(s.w, s.store, policy, SLOT_LIGHT_MAX + 1000);
    add_domain(s.w, "small.example");
    s.cache = cache_on(s.w, &roomy);
    assert_false(blocked(s.cache, "anna@small.example", SCOPE_DOMAIN,
                         "a@spam.example")); /* who does not need it does not wait */
    SOON(10 * SLOW_MS, (a = try_known(s.cache, "anna@ours.example", &s.w->e)) != NULL || s.w->e.code != ERR_BUSY);
    audience_drop(&a);
    assert_true(blocked(s.cache, "anna@ours.example", SCOPE_DOMAIN, "user100999@bulk.example"));
    SOON(SLOW_MS, cache_ready(s.cache));

    add_block(s.w, s.store, policy, "a@spam.example");
    SOON(PROMISED_MS, blocked(s.cache, "anna@ours.example", SCOPE_DOMAIN, "a@spam.example"));
    OK(s.w, store_policy_get(s.store, policy, &p, &s.w->e));
    p.enabled = false;
    OK(s.w, store_policy_set(s.store, &root, &p, &s.w->e));
    for (int i = 0; i < 3; i++)
        assert_true(cache_ready(s.cache)); /* the old one decides meanwhile */
    SOON(10 * SLOW_MS, !blocked(s.cache, "anna@ours.example", SCOPE_DOMAIN, "user7@bulk.example"));
    p.enabled = true;
    OK(s.w, store_policy_set(s.store, &root, &p, &s.w->e));
    SOON(10 * SLOW_MS, blocked(s.cache, "anna@ours.example", SCOPE_DOMAIN, "user7@bulk.example"));
    cache_stats(s.cache, &stats);
    assert_true(stats.merges >= 1);
    cache_free(&s.cache);
}

/* ---- Threads ------------------------------------------------------------------------------------------------------ */

struct hammer {
    struct cache *cache;
    atomic_bool   stop;
    atomic_long   verdicts;
};

static void *hammer_on(void *arg)
{
    static const char *const rcpts[] = {"anna@ours.example", "anna+x@ours.example", "nobody@ours.example",
                                        "bob@elsewhere.example", ""};
    struct hammer           *h = arg;

    for (size_t i = 0; !atomic_load(&h->stop); i++) {
        struct err       e = ERR_INIT;
        struct audience *a = try_known(h->cache, rcpts[i % COUNT(rcpts)], &e);

        for (int kind = SCOPE_GLOBAL; a != NULL && kind <= SCOPE_MAILBOX; kind++) {
            struct scope *s = NULL;

            if (audience_scope(a, (enum scope_kind)kind, &s, &e) == 0) {
                applies(s, "a@spam.example", NULL);
                scope_drop(&s);
            }
        }
        audience_drop(&a);
        atomic_fetch_add(&h->verdicts, 1);
    }
    return NULL;
}

static void rules_change_while_threads_judge(void **state)
{
    const struct cache_limits tight = {.audiences_max = 256, .strangers_max = 64, .bytes_max = 200000};
    struct scene              s = scene_of(state, NULL);
    struct store_policy       p = {.name = "All", .priority = 100, .locked = true, .enabled = true};
    struct uuid               policy = domain_policy(&s), global;
    struct hammer             h = {0};
    pthread_t                 threads[4];

    OK(s.w, store_policy_add(s.store, &root, &p, &global, &s.w->e));
    add_many(s.w, s.store, policy, SLOT_PATCH_MIN + 100);
    h.cache = s.cache = cache_on(s.w, &tight);
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hammer_on, &h), 0);
    for (int i = 0; i < 60; i++) {
        struct uuid id = add_block(s.w, s.store, i % 3 ? policy : global, "a@spam.example");
        struct uuid box = add_mailbox(s.w, s.domain, i % 2 ? "bob" : "carol");

        OK(s.w, store_rule_delete(s.store, &root, id, &s.w->e));
        OK(s.w, store_mailbox_delete(s.store, &root, box, &s.w->e));
    }
    add_block(s.w, s.store, policy, "last@spam.example");
    SOON(SLOW_MS, blocked(s.cache, "anna@ours.example", SCOPE_DOMAIN, "last@spam.example"));
    atomic_store(&h.stop, true);
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    assert_true(atomic_load(&h.verdicts) > 0);
    cache_free(&s.cache);
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(an_address_is_read_once_and_known_from_then_on),
        STORE(a_stranger_is_remembered_as_one),
        STORE(no_recipient_has_the_global_rules_and_thresholds),
        STORE(the_same_address_asked_for_by_many_is_read_once),
        STORE(everybody_who_waits_is_told_when_the_cache_ends),
        STORE(a_rule_that_was_added_decides_within_200_ms),
        STORE(a_global_rule_that_was_added_decides_within_200_ms_on_every_thread),
        STORE(a_changed_rule_in_a_large_scope_is_laid_over_it_within_200_ms),
        STORE_SQLITE(a_patch_that_has_grown_is_merged_and_nothing_is_lost),
        STORE(a_learned_sender_decides_within_200_ms),
        STORE(people_who_come_and_go_are_seen_within_200_ms),
        STORE(who_gets_a_mailbox_is_no_longer_judged_by_a_namesakes_rules),
        STORE(an_alias_into_another_domain_follows_changes_there),
        STORE(a_threshold_that_was_set_holds_within_200_ms),
        STORE(a_policy_that_was_assigned_counts_within_200_ms),
        STORE(what_does_not_concern_a_recipient_reads_nothing_again),
        STORE(when_changes_were_missed_everything_is_read_again),
        STORE_PGSQL(a_database_that_is_away_leaves_the_last_rules_deciding),
        STORE_SQLITE(a_missing_database_is_said_at_the_start),
        STORE_SQLITE(the_cache_stays_within_its_bounds),
        STORE_SQLITE(a_scope_that_was_thrown_out_is_read_again_when_it_is_needed),
        STORE_SQLITE(a_huge_scope_compiles_in_the_background_and_ready_waits_for_it),
        STORE(rules_change_while_threads_judge),
    };

    return run_on_both(tests, COUNT(tests));
}

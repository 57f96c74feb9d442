/* tests/unit/rulesd_greylist.c - twin of rulesd/greylist.c, with a real Redis for what nodes share. */
#include "../../rulesd/greylist.h"

#include <pthread.h>
#include <stdatomic.h>

#include "redis_server.h"
#include "rulesd_world.h"
#include "store/greylist.h"

#define SECOND INT64_C(1000000)
#define HOUR (3600 * SECOND)
#define SLOW_MS 10000

/* A greylist, and a clock that the test turns. */
struct scene {
    struct world    *w;
    struct settings  settings;
    struct greylist *g;
    struct arena     arena;
    int64_t          now;
};

static struct greylist *greylist_on(struct scene *s, int64_t delay_us)
{
    struct greylist *g = NULL;

    OK(s->w, greylist_new(&s->settings, delay_us, &g, &s->w->e));
    return g;
}

static struct scene scene_of(void **state, int64_t delay_us)
{
    struct scene s = {.w = world_of(state), .now = clock_mono_us()};

    s.settings = settings_of(s.w);
    arena_init(&s.arena, 64 << 20);
    s.g = greylist_on(&s, delay_us);
    return s;
}

static void end(struct scene *s)
{
    greylist_free(&s->g);
    arena_fini(&s->arena);
}

static struct address address(struct scene *s, const char *text)
{
    struct address a = {0};

    OK(s->w, address_parse_path(span_of(text), &s->arena, &a, &s->w->e));
    return a;
}

/* One attempt, from an address of a network, to a recipient. `proven` is the domain that passed SPF, or NULL. */
static enum grey attempt_with(struct scene *s, struct greylist *g, const char *ip, const char *from, const char *to,
                              const char *proven)
{
    struct facts      f = {.has_envelope_from = true, .envelope_from = address(s, from), .has_ip = ip != NULL};
    struct rcpt_facts rcpt = {.given = address(s, to)};

    if (ip != NULL && !ip_parse(span_of(ip), false, &f.ip))
        fail_msg("not an address: %s", ip);
    f.proof.spf_domain = span_of(proven);
    return greylist_ask(g, &f, &rcpt, s->now);
}

static enum grey attempt(struct scene *s, const char *ip, const char *from, const char *to)
{
    return attempt_with(s, s->g, ip, from, to, NULL);
}

#define FROM "news@shop.example"
#define TO "anna@ours.example"

static void who_comes_again_after_the_delay_passes_and_is_known(void **state)
{
    struct scene          s = scene_of(state, GREYLIST_DELAY_US);
    struct greylist_stats stats;

    assert_int_equal(attempt(&s, "192.0.2.7", FROM, TO), GREY_NOT_YET);
    s.now += 299 * SECOND;
    assert_int_equal(attempt(&s, "192.0.2.7", FROM, TO), GREY_NOT_YET);
    s.now += 1 * SECOND;
    assert_int_equal(attempt(&s, "192.0.2.7", FROM, TO), GREY_PASS);
    assert_int_equal(attempt(&s, "192.0.2.7", FROM, "bob@ours.example"), GREY_PASS);
    s.now += 34 * 24 * HOUR;
    assert_int_equal(attempt(&s, "192.0.2.7", FROM, "carol@ours.example"), GREY_PASS);
    s.now += 36 * 24 * HOUR;
    assert_int_equal(attempt(&s, "192.0.2.7", FROM, TO), GREY_NOT_YET);
    greylist_stats(s.g, &stats);
    assert_int_equal(stats.deferred, 3);
    assert_int_equal(stats.passed, 3);
    assert_int_equal(stats.pairs, 1);
    end(&s);
}

static void who_comes_again_after_more_than_a_day_begins_anew(void **state)
{
    struct scene s = scene_of(state, GREYLIST_DELAY_US);

    assert_int_equal(attempt(&s, "192.0.2.7", FROM, TO), GREY_NOT_YET);
    s.now += 25 * HOUR;
    assert_int_equal(attempt(&s, "192.0.2.7", FROM, TO), GREY_NOT_YET);
    s.now += 300 * SECOND;
    assert_int_equal(attempt(&s, "192.0.2.7", FROM, TO), GREY_PASS);
    end(&s);
}

static const struct {
    const char *holds, *ip, *from, *to, *proven;
    enum grey   want;
} cases[] = {
    {"the same again", "192.0.2.7", FROM, TO, NULL, GREY_PASS},
    {"another address of its network", "192.0.2.200", FROM, TO, NULL, GREY_PASS},
    {"another network", "192.0.3.7", FROM, TO, NULL, GREY_NOT_YET},
    {"another sender", "192.0.2.7", "other@shop.example", TO, NULL, GREY_NOT_YET},
    {"another recipient", "192.0.2.7", FROM, "bob@ours.example", NULL, GREY_NOT_YET},
    {"the null sender is a sender of its own", "192.0.2.7", "<>", TO, NULL, GREY_NOT_YET},
    {"a proven domain is not its network", "192.0.2.7", FROM, TO, "shop.example", GREY_NOT_YET},
    {"the proof of another domain proves nothing", "192.0.2.7", FROM, TO, "elsewhere.example", GREY_PASS},
    {"without an address nobody is like another", NULL, FROM, TO, NULL, GREY_NOT_YET},
};

static void a_wait_belongs_to_network_sender_and_recipient(void **state)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct scene s = scene_of(state, GREYLIST_DELAY_US);

        attempt(&s, "192.0.2.7", FROM, TO);
        s.now += 301 * SECOND;
        CHECK(cases[i].holds,
              attempt_with(&s, s.g, cases[i].ip, cases[i].from, cases[i].to, cases[i].proven) == cases[i].want);
        end(&s);
        OK(s.w, db_script(((struct store *)s.w->more)->log, "DELETE FROM greylist", &s.w->e));
    }
}

static void a_proven_domain_may_come_from_anywhere(void **state)
{
    struct scene s = scene_of(state, GREYLIST_DELAY_US);

    assert_int_equal(attempt_with(&s, s.g, "192.0.2.7", FROM, TO, "mail.shop.example"), GREY_NOT_YET);
    s.now += 300 * SECOND;
    assert_int_equal(attempt_with(&s, s.g, "2001:db8::1", FROM, TO, "shop.example"), GREY_PASS);
    end(&s);
}

static size_t tuples(struct greylist *g)
{
    struct greylist_stats stats;

    greylist_stats(g, &stats);
    return stats.tuples;
}

static size_t pairs(struct greylist *g)
{
    struct greylist_stats stats;

    greylist_stats(g, &stats);
    return stats.pairs;
}

static void who_is_known_is_known_after_a_restart(void **state)
{
    struct scene s = scene_of(state, GREYLIST_DELAY_US);

    attempt(&s, "192.0.2.7", FROM, TO);
    s.now += 300 * SECOND;
    assert_int_equal(attempt(&s, "192.0.2.7", FROM, TO), GREY_PASS);
    greylist_free(&s.g);
    s.g = greylist_on(&s, GREYLIST_DELAY_US);
    s.now = clock_mono_us();
    SOON(SLOW_MS, pairs(s.g) == 1);
    assert_int_equal(attempt(&s, "192.0.2.7", FROM, "bob@ours.example"), GREY_PASS);
    end(&s);
}

static void a_wait_goes_on_over_a_restart(void **state)
{
    struct scene s = scene_of(state, 2 * SECOND);

    assert_int_equal(attempt(&s, "192.0.2.7", FROM, TO), GREY_NOT_YET);
    sleep_ms(1200); /* the real clock: what was waited is written down at the end */
    greylist_free(&s.g);
    s.g = greylist_on(&s, 2 * SECOND);
    SOON(SLOW_MS, tuples(s.g) == 1);
    s.now = clock_mono_us() + 1 * SECOND;
    assert_int_equal(attempt(&s, "192.0.2.7", FROM, TO), GREY_PASS);
    end(&s);
}

/* The clock is set while we are down: as if the row had been written a year ago, or a year from now. */
static void restart_with_clock_moved(struct scene *s, const char *sql)
{
    greylist_free(&s->g);
    OK(s->w, db_script(((struct store *)s->w->more)->log, sql, &s->w->e));
    s->g = greylist_on(s, GREYLIST_DELAY_US);
    SOON(SLOW_MS, tuples(s->g) == 1);
    s->now = clock_mono_us();
}

static void a_clock_set_forward_frees_nobody(void **state)
{
    struct scene s = scene_of(state, GREYLIST_DELAY_US);

    attempt(&s, "192.0.2.7", FROM, TO);
    restart_with_clock_moved(
        &s, "UPDATE greylist SET seen_us = seen_us - 31533000000000, first_us = first_us - 31533000000000");
    assert_int_equal(attempt(&s, "192.0.2.7", FROM, TO), GREY_NOT_YET);
    s.now += 160 * SECOND;
    assert_int_equal(attempt(&s, "192.0.2.7", FROM, TO), GREY_PASS);
    end(&s);
}

static void a_clock_set_back_jails_nobody(void **state)
{
    struct scene s = scene_of(state, GREYLIST_DELAY_US);

    attempt(&s, "192.0.2.7", FROM, TO);
    restart_with_clock_moved(
        &s, "UPDATE greylist SET seen_us = seen_us + 31533000000000, first_us = first_us + 31533000000000");
    assert_int_equal(attempt(&s, "192.0.2.7", FROM, TO), GREY_NOT_YET);
    s.now += 300 * SECOND;
    assert_int_equal(attempt(&s, "192.0.2.7", FROM, TO), GREY_PASS);
    end(&s);
}

static int count_row(void *ctx, const struct store_grey *g)
{
    (void)g;
    ++*(size_t *)ctx;
    return 0;
}

static void while_the_database_is_locked_memory_answers_and_rows_follow_later(void **state)
{
    struct scene  s = scene_of(state, GREYLIST_DELAY_US);
    struct store *store = s.w->more;
    size_t        rows = 0;

    OK(s.w, db_begin(store->log, &s.w->e));
    assert_int_equal(attempt(&s, "192.0.2.7", FROM, TO), GREY_NOT_YET);
    s.now += 300 * SECOND;
    assert_int_equal(attempt(&s, "192.0.2.7", FROM, TO), GREY_PASS);
    sleep_ms(200);
    db_rollback(store->log);
    SOON(SLOW_MS, (rows = 0, store_grey_load(store, 10, count_row, &rows, &s.w->e) == 0 && rows == 2));
    end(&s);
}

static void memory_is_bounded_however_many_come(void **state)
{
    struct scene          s = scene_of(state, GREYLIST_DELAY_US);
    struct greylist_stats stats;
    struct facts          f = {.has_envelope_from = true, .envelope_from = address(&s, FROM), .has_ip = true};
    struct rcpt_facts     rcpt = {.given = address(&s, TO)};

    for (uint32_t i = 0; i < 300000; i++) {
        memcpy(f.ip.b, &i, sizeof i);
        f.ip.b[8] = 1;
        greylist_ask(s.g, &f, &rcpt, s.now);
    }
    greylist_stats(s.g, &stats);
    assert_true(stats.tuples <= 250000 + 64);
    assert_int_equal(stats.deferred, 300000);
    end(&s);
}

/* ---- Redis -------------------------------------------------------------------------------------------------------- */

/* Two nodes that share a Redis and no store: each has its own database. */
static void what_one_node_knows_another_learns_through_redis(void **state)
{
    struct scene        s = scene_of(state, 1 * SECOND);
    struct redis_server r = {0};
    struct greylist    *a, *b;
    char                other_url[PATH_MAX + 64];
    struct store       *other = NULL;

    assert_true(redis_server_start(&r, s.w->dir));
    if (access(r.socket, F_OK) < 0) {
        end(&s);
        SKIP("redis-server is not installed");
    }
    s.settings.redis.url = r.url;
    a = greylist_on(&s, 1 * SECOND);
    snprintf(other_url, sizeof other_url, "sqlite:%s/other/postern.db", s.w->dir);
    OK(s.w, store_open(other_url, STORE_CREATE, &other, &s.w->e));
    store_close(&other);
    s.settings.store.url = other_url;
    b = greylist_on(&s, 1 * SECOND);

    assert_int_equal(attempt_with(&s, a, "192.0.2.7", FROM, TO, NULL), GREY_NOT_YET);
    sleep_ms(300);
    s.now = clock_mono_us();
    assert_int_equal(attempt_with(&s, b, "192.0.2.7", FROM, TO, NULL), GREY_NOT_YET);
    sleep_ms(300);
    s.now = clock_mono_us();
    assert_int_equal(attempt_with(&s, b, "192.0.2.7", FROM, TO, NULL), GREY_NOT_YET); /* too soon for both */
    sleep_ms(500);
    SOON(SLOW_MS,
         (s.now = clock_mono_us() - SECOND / 2, attempt_with(&s, b, "192.0.2.7", FROM, TO, NULL) == GREY_PASS));
    s.now = clock_mono_us();
    attempt_with(&s, a, "192.0.2.7", FROM, "bob@ours.example", NULL);
    SOON(SLOW_MS, (s.now = clock_mono_us() - SECOND / 2,
                   attempt_with(&s, a, "192.0.2.7", FROM, "bob@ours.example", NULL) == GREY_PASS));
    greylist_free(&a);
    greylist_free(&b);
    redis_server_stop(&r);
    end(&s);
}

static void without_its_redis_a_node_decides_alone(void **state)
{
    struct scene s = scene_of(state, GREYLIST_DELAY_US);

    greylist_free(&s.g);
    s.settings.redis.url = "redis+unix:/nowhere/redis.sock";
    s.g = greylist_on(&s, GREYLIST_DELAY_US);
    assert_int_equal(attempt(&s, "192.0.2.7", FROM, TO), GREY_NOT_YET);
    s.now += 300 * SECOND;
    assert_int_equal(attempt(&s, "192.0.2.7", FROM, TO), GREY_PASS);
    end(&s);
}

/* ---- Threads ------------------------------------------------------------------------------------------------------ */

static void *ask_often(void *arg)
{
    struct greylist  *g = arg;
    struct facts      f = {.has_envelope_from = true, .has_ip = true};
    struct rcpt_facts rcpt = {0};

    for (uint32_t i = 0; i < 20000; i++) {
        f.ip.b[0] = (uint8_t)(i % 200);
        f.ip.b[5] = (uint8_t)(i % 7);
        greylist_ask(g, &f, &rcpt, clock_mono_us());
    }
    return NULL;
}

static void many_threads_ask_at_once(void **state)
{
    struct scene          s = scene_of(state, SECOND / 100);
    struct greylist_stats stats;
    pthread_t             threads[4];

    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, s.g), 0);
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    greylist_stats(s.g, &stats);
    assert_int_equal(stats.deferred + stats.passed, 4 * 20000);
    assert_int_equal(stats.tuples, 1400);
    end(&s);
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(who_comes_again_after_the_delay_passes_and_is_known),
        STORE_SQLITE(who_comes_again_after_more_than_a_day_begins_anew),
        STORE_SQLITE(a_wait_belongs_to_network_sender_and_recipient),
        STORE_SQLITE(a_proven_domain_may_come_from_anywhere),
        STORE(who_is_known_is_known_after_a_restart),
        STORE(a_wait_goes_on_over_a_restart),
        STORE(a_clock_set_forward_frees_nobody),
        STORE(a_clock_set_back_jails_nobody),
        STORE_SQLITE(while_the_database_is_locked_memory_answers_and_rows_follow_later),
        STORE_SQLITE(memory_is_bounded_however_many_come),
        STORE_SQLITE(what_one_node_knows_another_learns_through_redis),
        STORE_SQLITE(without_its_redis_a_node_decides_alone),
        STORE_SQLITE(many_threads_ask_at_once),
    };

    return run_on_both(tests, COUNT(tests));
}

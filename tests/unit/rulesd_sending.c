/* tests/unit/rulesd_sending.c - twin of rulesd/sending.c. */
#include "../../rulesd/sending.h"

#include <pthread.h>

#include "redis_server.h"
#include "rulesd_world.h"

#define SEEN_MS 200
#define SLOW_MS 10000
#define HOUR_US (3600 * INT64_C(1000000))

/* Who counts, and the middle of an hour, so that no test meets its end. */
struct scene {
    struct world   *w;
    struct settings settings;
    struct sending *s;
    int64_t         now;
};

static struct scene scene_of(void **state)
{
    struct scene x = {.w = world_of(state)};
    int64_t      now = clock_wall_us();

    x.settings = settings_of(x.w);
    x.settings.rulesd.user_domain = "";
    x.now = now - now % HOUR_US + HOUR_US / 2;
    return x;
}

static void begin(struct scene *x) { OK(x->w, sending_new(&x->settings, &x->s, &x->w->e)); }

static enum sending_verdict ask_for(struct scene *x, const char *user, size_t nrcpt, int64_t now)
{
    struct sending_facts f = {.user = span_of(user),
                              .sender = SPAN("anna@ours.example"),
                              .ip = SPAN("192.0.2.7"),
                              .queue_id = SPAN("4Q\x01 \"x"),
                              .nrcpt = nrcpt,
                              .now_us = now};

    return sending_ask(x->s, &f);
}

static enum sending_verdict ask(struct scene *x, const char *user, size_t nrcpt)
{
    return ask_for(x, user, nrcpt, x->now);
}

static void set_limit(struct scene *x, struct store_scope scope, bool whole, enum sending_limit_key key, int64_t value)
{
    struct store_limit l;

    OK(x->w, store_limit_get(x->w->more, scope, whole, &l, &x->w->e));
    l.of[key] = value;
    OK(x->w, store_limit_set(x->w->more, &root, scope, whole, &l, &x->w->e));
}

static void who_has_no_limit_sends(void **state)
{
    struct scene x = scene_of(state);

    begin(&x);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(ask(&x, "anna@ours.example", 10), SENDING_OK);
    assert_int_equal(ask(&x, "", 1), SENDING_OK);
    sending_free(&x.s);
}

static void a_message_over_a_limit_is_deferred_until_the_next_hour(void **state)
{
    static const struct {
        enum sending_limit_key key;
        int64_t                later;
    } cases[] = {{LIMIT_MESSAGES_HOUR, HOUR_US},
                 {LIMIT_MESSAGES_DAY, 24 * HOUR_US},
                 {LIMIT_RECIPIENTS_HOUR, HOUR_US},
                 {LIMIT_RECIPIENTS_DAY, 24 * HOUR_US}};
    struct scene x = scene_of(state);

    for (size_t i = 0; i < COUNT(cases); i++) {
        char login[40];

        snprintf(login, sizeof login, "anna%zu@ours.example", i);
        set_limit(&x, STORE_SCOPE_GLOBAL, false, cases[i].key, 6);
        begin(&x);
        for (int n = 0; n < 3; n++)
            CHECK(sending_limit_words[i], ask(&x, login, 2) == SENDING_OK);
        for (int n = 3; n < 6 && i < 2; n++)
            CHECK(sending_limit_words[i], ask(&x, login, 2) == SENDING_OK);
        CHECK(sending_limit_words[i], ask(&x, login, 2) == SENDING_DEFER);
        CHECK("in other letters", i > 0 || ask(&x, "ANNA0@ours.example", 2) == SENDING_DEFER);
        CHECK(sending_limit_words[i], ask_for(&x, login, 2, x.now + cases[i].later) == SENDING_OK);
        sending_free(&x.s);
        set_limit(&x, STORE_SCOPE_GLOBAL, false, cases[i].key, -1);
    }
}

static void a_mailbox_overrides_its_domain_and_that_the_world(void **state)
{
    struct scene x = scene_of(state);
    struct uuid  domain = add_domain(x.w, "ours.example"), anna = add_mailbox(x.w, domain, "anna");

    set_limit(&x, STORE_SCOPE_GLOBAL, false, LIMIT_MESSAGES_HOUR, 1);
    set_limit(&x, store_scope_domain(domain), false, LIMIT_MESSAGES_HOUR, 2);
    set_limit(&x, store_scope_mailbox(anna), false, LIMIT_MESSAGES_HOUR, 0);
    begin(&x);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(ask(&x, "anna@ours.example", 1), SENDING_OK);
        assert_int_equal(ask(&x, "bob@ours.example", 1), i < 2 ? SENDING_OK : SENDING_DEFER);
        assert_int_equal(ask(&x, "eve@else.example", 1), i < 1 ? SENDING_OK : SENDING_DEFER);
    }
    sending_free(&x.s);
}

static void a_bare_name_is_of_the_domain_that_the_settings_say(void **state)
{
    struct scene x = scene_of(state);
    struct uuid  domain = add_domain(x.w, "ours.example"), anna = add_mailbox(x.w, domain, "anna");

    set_limit(&x, store_scope_mailbox(anna), false, LIMIT_MESSAGES_HOUR, 1);
    x.settings.rulesd.user_domain = "Ours.Example";
    begin(&x);
    assert_int_equal(ask(&x, "anna", 1), SENDING_OK);
    assert_int_equal(ask(&x, "anna", 1), SENDING_DEFER);
    assert_int_equal(ask(&x, "bob", 1), SENDING_OK);
    sending_free(&x.s);
}

static void a_domain_as_a_whole_is_deferred_and_nobody_blocked(void **state)
{
    struct scene         x = scene_of(state);
    struct uuid          domain = add_domain(x.w, "ours.example");
    struct sending_stats stats;

    set_limit(&x, store_scope_domain(domain), true, LIMIT_MESSAGES_HOUR, 3);
    begin(&x);
    assert_int_equal(ask(&x, "anna@ours.example", 1), SENDING_OK);
    assert_int_equal(ask(&x, "bob@ours.example", 1), SENDING_OK);
    assert_int_equal(ask(&x, "eve@ours.example", 1), SENDING_OK);
    for (int i = 0; i < 50; i++)
        assert_int_equal(ask(&x, "anna@ours.example", 1), SENDING_DEFER);
    assert_int_equal(ask(&x, "anna@else.example", 1), SENDING_OK);
    sending_stats(x.s, &stats);
    assert_int_equal(stats.blocked, 0);
    assert_int_equal(stats.deferred, 50);
    sending_free(&x.s);
}

struct found {
    size_t n;
    char   login[400], reason[600], evidence[SENDING_EVIDENCE_MAX];
};

static int note_blocked(void *ctx, const struct store_blocked *b)
{
    struct found *f = ctx;

    f->n++;
    snprintf(f->login, sizeof f->login, "%.*s", SPAN_ARG(b->login));
    snprintf(f->reason, sizeof f->reason, "%.*s", SPAN_ARG(b->reason));
    snprintf(f->evidence, sizeof f->evidence, "%.*s", SPAN_ARG(b->evidence));
    return 0;
}

static struct found blocked_in(struct scene *x)
{
    struct found f = {.n = 0};

    OK(x->w, store_blocked_list(x->w->more, clock_wall_us(), SPAN_NONE, 0, note_blocked, &f, &x->w->e));
    return f;
}

static void who_goes_on_over_a_limit_is_blocked_with_the_evidence_until_unblocked(void **state)
{
    struct scene x = scene_of(state);
    struct found f;

    set_limit(&x, STORE_SCOPE_GLOBAL, false, LIMIT_MESSAGES_HOUR, 2);
    set_limit(&x, STORE_SCOPE_GLOBAL, false, LIMIT_BLOCK_AFTER, 12);
    begin(&x);
    for (int i = 0; i < 2; i++)
        assert_int_equal(ask(&x, "Anna@ours.example", 1), SENDING_OK);
    for (int i = 0; i < 11; i++)
        assert_int_equal(ask(&x, "anna@ours.example", 1), SENDING_DEFER);
    assert_int_equal(ask(&x, "anna@ours.example", 1), SENDING_BLOCKED);
    assert_int_equal(ask_for(&x, "anna@ours.example", 1, x.now + HOUR_US), SENDING_BLOCKED);
    SOON(SLOW_MS, (f = blocked_in(&x)).n == 1);
    assert_string_equal(f.login, "anna@ours.example");
    assert_string_equal(f.reason, "12 messages beyond the limit of 2 (messages_hour) within an hour");
    assert_non_null(strstr(f.evidence, "\"limit\":\"messages_hour\",\"max\":2,\"counted\":2,\"over\":12,"));
    assert_non_null(strstr(f.evidence, "\"ip\":\"192.0.2.7\",\"sender\":\"anna@ours.example\""));
    OK(x.w, store_blocked_delete(x.w->more, &root, SPAN("anna@ours.example"), &x.w->e));
    SOON(SEEN_MS, ask_for(&x, "anna@ours.example", 1, x.now + HOUR_US) == SENDING_OK);
    sending_free(&x.s);
}

static void messages_over_a_limit_of_an_earlier_hour_do_not_count_towards_a_block(void **state)
{
    struct scene x = scene_of(state);

    set_limit(&x, STORE_SCOPE_GLOBAL, false, LIMIT_RECIPIENTS_DAY, 1);
    set_limit(&x, STORE_SCOPE_GLOBAL, false, LIMIT_BLOCK_AFTER, 3);
    begin(&x);
    for (int hour = 0; hour < 5; hour++)
        for (int i = 0; i < 2; i++)
            assert_int_equal(ask_for(&x, "anna@ours.example", 2, x.now + hour * HOUR_US), SENDING_DEFER);
    sending_free(&x.s);
    assert_int_equal(blocked_in(&x).n, 0);
}

static void a_block_by_command_holds_within_a_fifth_of_a_second(void **state)
{
    struct scene         x = scene_of(state);
    struct store_blocked b = {.login = SPAN("anna"), .reason = SPAN("stolen")};

    begin(&x);
    assert_int_equal(ask(&x, "anna", 1), SENDING_OK);
    OK(x.w, store_blocked_put(x.w->more, &root, &b, &x.w->e));
    SOON(SEEN_MS, ask(&x, "ANNA", 1) == SENDING_BLOCKED);
    assert_int_equal(ask(&x, "anna@ours.example", 1), SENDING_OK);
    sending_free(&x.s);
    b.until_us = clock_wall_us() + 300000;
    OK(x.w, store_blocked_put(x.w->more, &root, &b, &x.w->e));
    begin(&x);
    assert_int_equal(ask_for(&x, "anna", 1, clock_wall_us()), SENDING_BLOCKED);
    assert_int_equal(ask_for(&x, "anna", 1, clock_wall_us() + 400000), SENDING_OK);
    sending_free(&x.s);
}

static void what_was_sent_before_a_restart_counts(void **state)
{
    struct scene x = scene_of(state);

    set_limit(&x, STORE_SCOPE_GLOBAL, false, LIMIT_MESSAGES_DAY, 5);
    x.now = clock_wall_us();
    begin(&x);
    for (int i = 0; i < 4; i++)
        assert_int_equal(ask(&x, "anna@ours.example", 1), SENDING_OK);
    sending_free(&x.s);
    begin(&x);
    assert_int_equal(ask(&x, "anna@ours.example", 1), SENDING_OK);
    assert_int_equal(ask(&x, "anna@ours.example", 1), SENDING_DEFER);
    sending_free(&x.s);
}

static int add_up(void *ctx, const struct store_counter *c)
{
    *(int64_t *)ctx += c->value;
    return 0;
}

/* Somebody else holds the lock, as a long transaction does. */
static void nobody_waits_for_a_locked_store_and_nothing_is_lost(void **state)
{
    struct scene x = scene_of(state);
    int64_t      before, sent = 0;

    set_limit(&x, STORE_SCOPE_GLOBAL, false, LIMIT_MESSAGES_HOUR, 100);
    begin(&x);
    OK(x.w, db_begin(((struct store *)x.w->more)->log, &x.w->e));
    assert_int_equal(ask(&x, "anna@ours.example", 1), SENDING_OK);
    sleep_ms(1000); /* the thread stands at the lock */
    before = clock_mono_us();
    for (int i = 1; i < 100; i++)
        assert_int_equal(ask(&x, "anna@ours.example", 1), SENDING_OK);
    assert_int_equal(ask(&x, "anna@ours.example", 1), SENDING_DEFER);
    assert_true(clock_mono_us() - before < 500 * MS);
    db_rollback(((struct store *)x.w->more)->log);
    sending_free(&x.s);
    OK(x.w, store_counters_list(x.w->more, SPAN("user:anna@ours.example"), 0, add_up, &sent, &x.w->e));
    assert_int_equal(sent, 4 * 100); /* messages and recipients, by hour and by day */
}

static bool settled(struct sending *s)
{
    struct sending_stats stats;

    sending_stats(s, &stats);
    return stats.waiting == 0;
}

static void two_nodes_count_together(void **state)
{
    struct scene x = scene_of(state), y;

    set_limit(&x, STORE_SCOPE_GLOBAL, false, LIMIT_MESSAGES_HOUR, 10);
    y = x;
    begin(&x);
    begin(&y);
    for (int i = 0; i < 5; i++)
        assert_int_equal(ask(&x, "anna@ours.example", 1), SENDING_OK);
    SOON(SLOW_MS, settled(x.s));
    assert_int_equal(ask(&y, "anna@ours.example", 1), SENDING_OK); /* learns of the five with its own */
    SOON(SLOW_MS, settled(y.s));
    sleep_ms(200);
    for (int i = 6; i < 10; i++)
        assert_int_equal(ask(&y, "anna@ours.example", 1), SENDING_OK);
    assert_int_equal(ask(&y, "anna@ours.example", 1), SENDING_DEFER);
    sending_free(&x.s);
    sending_free(&y.s);
}

/* Each node with a database of its own. */
static void nodes_without_a_common_store_count_together_by_redis(void **state)
{
    struct scene        x = scene_of(state), y;
    struct redis_server r = {0};
    struct store       *other = NULL;
    char                url[PATH_MAX + 64];

    assert_true(redis_server_start(&r, x.w->dir));
    if (access(r.socket, F_OK) < 0)
        SKIP("redis-server is not installed");
    x.settings.redis.url = r.url;
    set_limit(&x, STORE_SCOPE_GLOBAL, false, LIMIT_MESSAGES_HOUR, 100);
    y = x;
    snprintf(url, sizeof url, "sqlite:%s/other/postern.db", x.w->dir);
    OK(x.w, store_open(url, STORE_CREATE, &other, &x.w->e));
    OK(x.w, store_limit_set(other, &root, STORE_SCOPE_GLOBAL, false,
                            &(struct store_limit){{[LIMIT_MESSAGES_HOUR] = 10}}, &x.w->e));
    store_close(&other);
    y.settings.store.url = url;
    begin(&x);
    begin(&y);
    for (int i = 0; i < 9; i++)
        assert_int_equal(ask(&x, "anna@ours.example", 1), SENDING_OK);
    SOON(SLOW_MS, settled(x.s));
    sleep_ms(200);
    assert_int_equal(ask(&y, "anna@ours.example", 1), SENDING_OK);
    SOON(SLOW_MS, settled(y.s));
    sleep_ms(200);
    assert_int_equal(ask(&y, "anna@ours.example", 1), SENDING_DEFER);
    redis_server_stop(&r);
    assert_int_equal(ask(&x, "anna@ours.example", 1), SENDING_OK);
    sending_free(&x.s); /* Redis is gone: the store alone */
    sending_free(&y.s);
}

static void *ask_often(void *arg)
{
    struct scene *x = arg;
    char          login[40];

    for (int i = 0; i < 2000; i++) {
        snprintf(login, sizeof login, "user%d@ours.example", i % 7);
        ask(x, login, 3);
    }
    return NULL;
}

static void threads_lose_nothing(void **state)
{
    struct scene x = scene_of(state);
    pthread_t    threads[4];
    int64_t      messages = 0;

    begin(&x);
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_create(&threads[i], NULL, ask_often, &x);
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    sending_free(&x.s);
    OK(x.w, store_counters_list(x.w->more, SPAN("domain:ours.example"), 0, add_up, &messages, &x.w->e));
    assert_int_equal(messages, 2 * (8000 + 24000)); /* by hour and by day */
}

static void whatever_a_login_holds_it_is_counted(void **state)
{
    static const char *const logins[] = {"\xff\xfe", "a\nb", "a b@c", "@", "@ours.example", "x@", "\xc3\xa4@x.example"};
    struct scene             x = scene_of(state);
    char                     longest[2000];
    int64_t                  sent = 0;

    memset(longest, 'x', sizeof longest);
    memcpy(longest + sizeof longest - 3, "\xc3\xa4", 3);
    begin(&x);
    for (size_t i = 0; i < COUNT(logins); i++)
        assert_int_equal(ask(&x, logins[i], 1), SENDING_OK);
    assert_int_equal(ask(&x, longest, 1), SENDING_OK);
    sending_free(&x.s);
    OK(x.w, store_counters_list(x.w->more, SPAN("user:??"), 0, add_up, &sent, &x.w->e));
    assert_int_equal(sent, 4);
}

int main(void)
{
    const struct both_test tests[] = {
        STORE(who_has_no_limit_sends),
        STORE(a_message_over_a_limit_is_deferred_until_the_next_hour),
        STORE(a_mailbox_overrides_its_domain_and_that_the_world),
        STORE(a_bare_name_is_of_the_domain_that_the_settings_say),
        STORE(a_domain_as_a_whole_is_deferred_and_nobody_blocked),
        STORE(who_goes_on_over_a_limit_is_blocked_with_the_evidence_until_unblocked),
        STORE(messages_over_a_limit_of_an_earlier_hour_do_not_count_towards_a_block),
        STORE(a_block_by_command_holds_within_a_fifth_of_a_second),
        STORE(what_was_sent_before_a_restart_counts),
        STORE_SQLITE(nobody_waits_for_a_locked_store_and_nothing_is_lost),
        STORE(two_nodes_count_together),
        STORE_SQLITE(nodes_without_a_common_store_count_together_by_redis),
        STORE(threads_lose_nothing),
        STORE(whatever_a_login_holds_it_is_counted),
    };

    return run_on_both(tests, COUNT(tests));
}

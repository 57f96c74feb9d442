/* State shared through a real redis-server, on a Unix socket in a folder of its own. */
#include "base/clock.h"
#include "net.h"
#include "net/redis.h"
#include "redis_server.h"

static char                folder[] = "/tmp/net_redis_XXXXXX";
static struct redis_server server;
static struct arena        arena;

static int begin(void **unused)
{
    (void)unused;
    arena_init(&arena, 1 << 20);
    return mkdtemp(folder) != NULL && redis_server_start(&server, folder) ? 0 : -1;
}

static int end(void **unused)
{
    (void)unused;
    redis_server_stop(&server);
    arena_fini(&arena);
    return rmdir(folder);
}

static struct redis *open_redis(void)
{
    struct redis *r = NULL;
    struct err    e = ERR_INIT;

    if (redis_new(server.url, 2000, &r, &e) < 0)
        fail_msg("%s", e.text);
    return r;
}

#define MUST(what, rc)                                                                                                 \
    do {                                                                                                               \
        if ((what) != (rc))                                                                                            \
            fail_msg("%s: %s", #what, e.text);                                                                         \
    } while (0)

static void what_is_set_can_be_read_until_it_lapses(void **unused)
{
    struct redis *r = open_redis();
    struct span   value, binary = SPAN("a\0b\r\n");
    struct err    e = ERR_INIT;

    (void)unused;
    MUST(redis_get(r, SPAN("nothing"), &arena, &value, &e), 0);
    MUST(redis_set(r, SPAN("k\0ey"), binary, 60000, &e), 0);
    MUST(redis_get(r, SPAN("k\0ey"), &arena, &value, &e), 1);
    check_same("bytes are bytes", value, binary);
    MUST(redis_get(r, SPAN("k"), &arena, &value, &e), 0);
    MUST(redis_set(r, SPAN("short"), SPAN("x"), 30, &e), 0);
    usleep(60000);
    MUST(redis_get(r, SPAN("short"), &arena, &value, &e), 0);
    redis_free(&r);
    assert_null(r);
    redis_free(&r);
}

static void what_several_add_is_a_sum_until_it_lapses(void **unused)
{
    struct err    e = ERR_INIT;
    struct redis *a = NULL, *b = NULL;
    int64_t       total = 0;

    (void)unused;
    assert_int_equal(redis_new(server.url, 1000, &a, &e), 0);
    assert_int_equal(redis_new(server.url, 1000, &b, &e), 0);
    assert_int_equal(redis_add(a, SPAN("sum"), 5, 100000, &total, &e), 0);
    assert_int_equal(total, 5);
    assert_int_equal(redis_add(b, SPAN("sum"), 2, 200, &total, &e), 0);
    assert_int_equal(total, 7);
    usleep(300000);
    assert_int_equal(redis_add(a, SPAN("sum"), 1, 100000, &total, &e), 0);
    assert_int_equal(total, 1);
    assert_int_equal(redis_set(a, SPAN("text"), SPAN("no number"), 100000, &e), 0);
    assert_int_equal(redis_add(a, SPAN("text"), 1, 100000, &total, &e), -1);
    redis_free(&a);
    redis_free(&b);
}

static void the_first_of_two_nodes_decides(void **unused)
{
    struct redis *a = open_redis(), *b = open_redis();
    struct span   value;
    struct err    e = ERR_INIT;

    (void)unused;
    MUST(redis_set_first(a, SPAN("greylist"), SPAN("of a"), 60000, &arena, &value, &e), 1);
    check_same("a's own", value, SPAN("of a"));
    MUST(redis_set_first(b, SPAN("greylist"), SPAN("of b"), 60000, &arena, &value, &e), 0);
    check_same("a's for b", value, SPAN("of a"));
    redis_free(&a);
    redis_free(&b);
}

static void a_server_that_went_away_fails_calls_at_once_and_is_found_again(void **unused)
{
    struct redis *r = open_redis();
    struct err    e = ERR_INIT;
    int           tries = 0;

    (void)unused;
    MUST(redis_set(r, SPAN("k"), SPAN("v"), 60000, &e), 0);
    redis_server_stop(&server);
    assert_int_equal(redis_set(r, SPAN("k"), SPAN("v"), 60000, &e), -1);
    assert_int_equal(e.code, ERR_LOST);
    int64_t began = clock_mono_us();
    assert_int_equal(redis_set(r, SPAN("k"), SPAN("v"), 60000, &e), -1);
    assert_true(clock_mono_us() - began < 1000000);
    assert_non_null(strstr(e.text, "trying again"));
    assert_true(redis_server_start(&server, folder));
    while (redis_set(r, SPAN("k"), SPAN("v"), 60000, &e) < 0 && tries++ < 100)
        usleep(20000);
    MUST(redis_set(r, SPAN("k"), SPAN("v"), 60000, &e), 0);
    redis_free(&r);
}

static void a_value_too_large_for_the_arena_fails_the_request(void **unused)
{
    struct redis *r = open_redis();
    struct arena  small;
    struct span   value;
    struct err    e = ERR_INIT;

    (void)unused;
    arena_init(&small, 16);
    MUST(redis_set(r, SPAN("k"), SPAN("a value of more than 16 bytes"), 60000, &e), 0);
    assert_int_equal(redis_get(r, SPAN("k"), &small, &value, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
    arena_fini(&small);
    redis_free(&r);
}

static const struct {
    const char *url;
    bool        good;
} urls[] = {
    {"redis://127.0.0.1:6379/0", true},
    {"redis://:secret@host.example/3", true},
    {"redis://[::1]:6380", true},
    {"redis://host", true},
    {"redis+unix:/run/redis.sock", true},
    {"redis+unix:", false},
    {"redis://", false},
    {"redis://host:0", false},
    {"redis://host:70000", false},
    {"redis://host/x", false},
    {"http://host", false},
    {"", false},
};

static void an_address_is_checked_before_it_is_used(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(urls); i++) {
        struct redis *r = NULL;
        struct err    e = ERR_INIT;

        CHECK(urls[i].url, (redis_new(urls[i].url, 100, &r, &e) == 0) == urls[i].good);
        CHECK(urls[i].url, (r != NULL) == urls[i].good);
        redis_free(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_set_can_be_read_until_it_lapses),
        cmocka_unit_test(what_several_add_is_a_sum_until_it_lapses),
        cmocka_unit_test(the_first_of_two_nodes_decides),
        cmocka_unit_test(a_server_that_went_away_fails_calls_at_once_and_is_found_again),
        cmocka_unit_test(a_value_too_large_for_the_arena_fails_the_request),
        cmocka_unit_test(an_address_is_checked_before_it_is_used),
    };
    return cmocka_run_group_tests(tests, begin, end);
}

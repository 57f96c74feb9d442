/* tests/unit/store_greylist.c - twin of lib/store/greylist.c. */
#include "store/greylist.h"

#include "store_world.h"

static int each_first(void *ctx, const struct store_grey *g)
{
    char *text = ctx;

    sprintf(text + strlen(text), "%d%c%lld ", g->kind == GREY_PAIR, 'a' + g->key[0], (long long)g->seen_us);
    return 0;
}

static bool same(const struct store_grey *a, const struct store_grey *b)
{
    return a->kind == b->kind && memcmp(a->key, b->key, sizeof a->key) == 0 && a->first_us == b->first_us &&
           a->seen_us == b->seen_us && a->waited_us == b->waited_us && a->count == b->count;
}

static void a_row_is_read_as_it_was_last_put(void **state)
{
    struct world     *w = world_of(state);
    struct store     *s = w->more;
    struct store_grey rows[] = {{GREY_TUPLE, {1, 0, 255}, 100, 200, 50, 2}, {GREY_PAIR, {1, 0, 255}, 7, 8, 9, 10}},
                      got = {0};
    uint8_t other[16] = {2};

    assert_int_equal(store_grey_get(s, GREY_TUPLE, rows[0].key, &got, &w->e), 0);
    OK(w, store_grey_put(s, rows, COUNT(rows), &w->e));
    assert_int_equal(store_grey_get(s, GREY_TUPLE, rows[0].key, &got, &w->e), 1);
    assert_true(same(&got, &rows[0]));
    assert_int_equal(store_grey_get(s, GREY_PAIR, rows[0].key, &got, &w->e), 1);
    assert_true(same(&got, &rows[1]));
    rows[0].waited_us = 999;
    rows[0].count = 3;
    OK(w, store_grey_put(s, rows, 1, &w->e));
    assert_int_equal(store_grey_get(s, GREY_TUPLE, rows[0].key, &got, &w->e), 1);
    assert_true(same(&got, &rows[0]));
    assert_int_equal(store_grey_get(s, GREY_TUPLE, other, &got, &w->e), 0);
}

static void the_latest_are_loaded_and_the_oldest_forgotten(void **state)
{
    struct world     *w = world_of(state);
    struct store     *s = w->more;
    struct store_grey rows[] = {
        {GREY_TUPLE, {0}, 0, 30, 0, 1}, {GREY_TUPLE, {1}, 0, 10, 0, 1}, {GREY_PAIR, {2}, 0, 20, 0, 1}};
    char text[128] = "";

    OK(w, store_grey_put(s, rows, COUNT(rows), &w->e));
    OK(w, store_grey_load(s, 2, each_first, text, &w->e));
    assert_string_equal(text, "0a30 1c20 ");
    OK(w, store_grey_trim(s, GREY_TUPLE, 30, &w->e));
    text[0] = '\0';
    OK(w, store_grey_load(s, 9, each_first, text, &w->e));
    assert_string_equal(text, "0a30 1c20 ");
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(a_row_is_read_as_it_was_last_put),
        STORE(the_latest_are_loaded_and_the_oldest_forgotten),
    };

    return run_on_both(tests, COUNT(tests));
}

#include "check.h"

#include <stdio.h>

#include "base/map.h"

#define ITEMS 5000

static struct item {
    char key[16];
    int  seen;
} items[ITEMS];

static struct span key_of(size_t i)
{
    snprintf(items[i].key, sizeof items[i].key, "key-%zu", i);
    return span_of(items[i].key);
}

static void what_was_put_is_found_until_it_is_removed(void **state)
{
    struct map m;

    (void)state;
    map_init(&m);
    assert_null(map_get(&m, SPAN("key-1")));
    assert_null(map_del(&m, SPAN("key-1")));
    for (size_t i = 0; i < ITEMS; i++)
        assert_null(map_put(&m, key_of(i), &items[i]));
    assert_int_equal(m.n, ITEMS);
    for (size_t i = 0; i < ITEMS; i += 2)
        assert_ptr_equal(map_del(&m, key_of(i)), &items[i]);
    for (size_t i = 0; i < ITEMS; i++)
        assert_ptr_equal(map_get(&m, key_of(i)), i % 2 ? &items[i] : NULL);
    assert_int_equal(m.n, ITEMS / 2);
    map_fini(&m);
    assert_null(map_get(&m, SPAN("key-1")));
}

static void putting_again_replaces_and_hands_the_old_one_back(void **state)
{
    char       a[] = "key", b[] = "key";
    struct map m;

    (void)state;
    map_init(&m);
    assert_null(map_put(&m, span_of(a), a));
    assert_ptr_equal(map_put(&m, span_of(b), b), a);
    assert_int_equal(m.n, 1);
    a[0] = 'x'; /* the old key may go with the old value */
    assert_ptr_equal(map_get(&m, SPAN("key")), b);
    map_fini(&m);
}

static void putting_and_removing_for_ever_does_not_grow_it(void **state)
{
    struct map m;

    (void)state;
    map_init(&m);
    for (int i = 0; i < 100000; i++) {
        size_t at = (size_t)i % ITEMS;

        map_put(&m, key_of(at), &items[at]);
        assert_ptr_equal(map_del(&m, key_of(at)), &items[at]);
    }
    assert_int_equal(m.n, 0);
    assert_true(m.cap <= 64);
    map_fini(&m);
}

static void walking_sees_each_once_even_when_it_deletes(void **state)
{
    struct map  m;
    struct span key;
    void       *value;
    size_t      at = 0, walked = 0;

    (void)state;
    map_init(&m);
    for (size_t i = 0; i < ITEMS; i++) {
        items[i].seen = 0;
        map_put(&m, key_of(i), &items[i]);
    }
    for (; map_next(&m, &at, &key, &value); walked++) {
        ((struct item *)value)->seen++;
        assert_ptr_equal(map_del(&m, key), value);
    }
    assert_int_equal(walked, ITEMS);
    for (size_t i = 0; i < ITEMS; i++)
        assert_int_equal(items[i].seen, 1);
    assert_int_equal(m.n, 0);
    map_fini(&m);
}

static void any_bytes_are_a_key(void **state)
{
    int        a, b, c;
    struct map m;

    (void)state;
    map_init(&m);
    map_put(&m, SPAN(""), &a);
    map_put(&m, SPAN("\0"), &b);
    map_put(&m, SPAN("\0\0"), &c);
    assert_ptr_equal(map_get(&m, SPAN_NONE), &a);
    assert_ptr_equal(map_get(&m, SPAN("\0")), &b);
    assert_ptr_equal(map_get(&m, SPAN("\0\0")), &c);
    assert_ptr_equal(map_del(&m, SPAN_NONE), &a);
    assert_null(map_get(&m, SPAN("")));
    map_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_is_found_until_it_is_removed),
        cmocka_unit_test(putting_again_replaces_and_hands_the_old_one_back),
        cmocka_unit_test(putting_and_removing_for_ever_does_not_grow_it),
        cmocka_unit_test(walking_sees_each_once_even_when_it_deletes),
        cmocka_unit_test(any_bytes_are_a_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

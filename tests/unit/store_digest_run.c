/* Runs: begun once, sent by one, and no delivery twice; what was refused is listed again. */
#include "store/digest_run.h"

#include "log_world.h"

#define AT_US (INT64_C(1700000000) * 1000000)

static const struct uuid anna = {{0xa1}}, berta = {{0xa2}};

static struct store_run a_run(const struct uuid *subscription, int64_t until_us)
{
    return (struct store_run){.subscription = *subscription,
                              .since_us = until_us - 1000000,
                              .until_us = until_us,
                              .recipient = SPAN("anna@ours.example")};
}

static bool begin(struct world *w, const struct store_run *r, const struct store_run_item *items, size_t n,
                  struct uuid *id)
{
    struct store_run_plan p = {.run = *r, .items = items, .nitems = n};

    OK(w, store_run_begin(w->more, &p, 1, AT_US, &w->e));
    *id = p.run.id;
    return p.begun;
}

struct listed {
    size_t                n;
    struct store_run_item last;
};

static int each(void *ctx, const struct store_run_item *i)
{
    struct listed *l = ctx;

    l->n++;
    l->last = *i;
    return 0;
}

static size_t listed(struct world *w, const struct uuid *subscription)
{
    struct listed l = {0};

    OK(w, store_run_listed(w->more, *subscription, 0, each, &l, &w->e));
    return l.n;
}

static void a_window_is_begun_once_and_a_delivery_listed_once(void **state)
{
    struct world               *w = world_of(state);
    struct store_run            r = a_run(&anna, AT_US), other = a_run(&berta, AT_US);
    const struct store_run_item items[] = {{{uuid7_make(), 1}, 1}, {{uuid7_make(), 2}, 2}, {{uuid7_make(), 1}, 0}};
    struct uuid                 id, no;

    CHECK("the first", begin(w, &r, items, 2, &id));
    CHECK("the same window", !begin(w, &r, items + 2, 1, &no));
    r.until_us++;
    CHECK("one of the same", !begin(w, &r, items + 1, 2, &no));
    CHECK("nothing of which was kept", listed(w, &anna) == 2);
    CHECK("what is new", begin(w, &r, items + 2, 1, &no));
    CHECK("another subscription", begin(w, &other, items, 3, &no));
}

static void of_several_one_that_cannot_be_begun_leaves_the_others(void **state)
{
    struct world               *w = world_of(state);
    struct store_run            r = a_run(&anna, AT_US), got[4];
    const struct store_run_item items[] = {{{uuid7_make(), 1}, 1}, {{uuid7_make(), 1}, 1}, {{uuid7_make(), 1}, 1}};
    struct store_run_plan       plans[] = {{.run = a_run(&berta, AT_US), .items = items, .nitems = 1},
                                           {.run = a_run(&anna, AT_US), .items = items + 1, .nitems = 1},
                                           {.run = a_run(&berta, AT_US + 1), .items = items + 2, .nitems = 1}};
    struct uuid                 id;
    struct arena                a;

    arena_init(&a, 1 << 16);
    begin(w, &r, NULL, 0, &id);
    OK(w, store_run_begin(w->more, plans, 3, AT_US, &w->e));
    assert_true(plans[0].begun && !plans[1].begun && plans[2].begun);
    assert_true(listed(w, &anna) == 0 && listed(w, &berta) == 2);
    CHECK("as many as are asked for", store_run_claim(w->more, SPAN("one"), AT_US, &a, got, 2, &w->e) == 2);
    CHECK("and what is left", store_run_claim(w->more, SPAN("two"), AT_US, &a, got, 4, &w->e) == 1);
    arena_fini(&a);
}

static void one_has_it_at_a_time_and_it_is_sent_once(void **state)
{
    struct world    *w = world_of(state);
    struct store_run r = a_run(&anna, AT_US), got;
    struct uuid      id;
    struct arena     a;

    arena_init(&a, 1 << 16);
    begin(w, &r, NULL, 0, &id);
    CHECK("claimed", store_run_claim(w->more, SPAN("one"), AT_US, &a, &got, 1, &w->e) == 1);
    assert_true(uuid_eq(&got.id, &id) && span_is(got.recipient, "anna@ours.example") && got.attempts == 1);
    CHECK("by nobody else", store_run_claim(w->more, SPAN("two"), AT_US, &a, &got, 1, &w->e) == 0);
    CHECK("until the lease lapses",
          store_run_claim(w->more, SPAN("two"), AT_US + RUN_LEASE_US, &a, &got, 1, &w->e) == 1);
    assert_int_equal(store_run_sent(w->more, id, SPAN("one"), SPAN("250"), AT_US, &w->e), -1);
    assert_int_equal(w->e.code, ERR_CONFLICT);
    OK(w, store_run_sent(w->more, id, SPAN("two"), SPAN("250 Ok"), AT_US + 7, &w->e));
    CHECK("never again", store_run_claim(w->more, SPAN("two"), AT_US * 2, &a, &got, 1, &w->e) == 0);
    assert_int_equal(store_run_last(w->more, anna, &a, &got, &w->e), 1);
    assert_true(got.state == RUN_SENT && span_is(got.answer, "250 Ok"));
    arena_fini(&a);
}

static void a_killed_ones_lease_is_its_own_to_end(void **state)
{
    struct world    *w = world_of(state);
    struct store_run r = a_run(&anna, AT_US), got;
    struct uuid      id;
    struct arena     a;

    arena_init(&a, 1 << 16);
    begin(w, &r, NULL, 0, &id);
    assert_int_equal(store_run_claim(w->more, SPAN("one"), AT_US, &a, &got, 1, &w->e), 1);
    OK(w, store_run_free(w->more, SPAN("two"), &w->e));
    assert_int_equal(store_run_claim(w->more, SPAN("one"), AT_US, &a, &got, 1, &w->e), 0);
    OK(w, store_run_free(w->more, SPAN("one"), &w->e));
    assert_int_equal(store_run_claim(w->more, SPAN("one"), AT_US, &a, &got, 1, &w->e), 1);
    arena_fini(&a);
}

static void what_was_put_off_waits_and_what_was_refused_gives_its_items_back(void **state)
{
    struct world               *w = world_of(state);
    struct store_run            r = a_run(&anna, AT_US), got;
    const struct store_run_item item = {{uuid7_make(), 1}, 1};
    struct store_run_sums       sums;
    struct uuid                 id, next;
    struct arena                a;

    arena_init(&a, 1 << 16);
    begin(w, &r, &item, 1, &id);
    assert_int_equal(store_run_claim(w->more, SPAN("one"), AT_US, &a, &got, 1, &w->e), 1);
    OK(w, store_run_later(w->more, id, SPAN("one"), AT_US + 60, SPAN("451 later"), AT_US, &w->e));
    CHECK("not before", store_run_claim(w->more, SPAN("one"), AT_US + 59, &a, &got, 1, &w->e) == 0);
    CHECK("then", store_run_claim(w->more, SPAN("one"), AT_US + 60, &a, &got, 1, &w->e) == 1 && got.attempts == 2);
    OK(w, store_run_failed(w->more, id, SPAN("one"), SPAN("550 no"), AT_US, &w->e));
    OK(w, store_run_sums(w->more, AT_US, &sums, &w->e));
    assert_true(sums.waiting == 0 && sums.failed == 1);
    assert_int_equal(listed(w, &anna), 0);
    r.until_us++;
    CHECK("the next digest lists it", begin(w, &r, &item, 1, &next));
    assert_int_equal(store_run_last(w->more, anna, &a, &got, &w->e), 0);
    arena_fini(&a);
}

static void what_was_sent_is_sent_again_when_asked(void **state)
{
    struct world    *w = world_of(state);
    struct store_run r = a_run(&anna, AT_US), got;
    struct uuid      id;
    struct arena     a;

    arena_init(&a, 1 << 16);
    begin(w, &r, NULL, 0, &id);
    assert_int_equal(store_run_again(w->more, id, AT_US, &w->e), -1);
    assert_int_equal(w->e.code, ERR_CONFLICT);
    w->e = ERR_INIT;
    assert_int_equal(store_run_claim(w->more, SPAN("one"), AT_US, &a, &got, 1, &w->e), 1);
    OK(w, store_run_sent(w->more, id, SPAN("one"), SPAN("250"), AT_US, &w->e));
    OK(w, store_run_again(w->more, id, AT_US, &w->e));
    assert_int_equal(store_run_claim(w->more, SPAN("one"), AT_US, &a, &got, 1, &w->e), 1);
    assert_int_equal(got.again, 1);
    arena_fini(&a);
}

static void an_item_is_found_by_its_number(void **state)
{
    struct world               *w = world_of(state);
    struct store_run            r = a_run(&anna, AT_US);
    const struct store_run_item items[] = {{{uuid7_make(), 1}, 1}, {{uuid7_make(), 3}, 2}, {{uuid7_make(), 1}, 0}};
    struct listed               l = {0};
    struct store_key            key;
    struct uuid                 id;

    begin(w, &r, items, 3, &id);
    assert_int_equal(store_run_item_at(w->more, id, 2, &key, &w->e), 1);
    assert_true(uuid_eq(&key.uid, &items[1].key.uid) && key.n == 3);
    assert_int_equal(store_run_item_at(w->more, id, 3, &key, &w->e), 0);
    OK(w, store_run_items(w->more, id, each, &l, &w->e));
    assert_true(l.n == 3 && l.last.place == 2);
}

static void what_is_old_is_forgotten(void **state)
{
    struct world               *w = world_of(state);
    struct store_run            r = a_run(&anna, AT_US), got;
    const struct store_run_item item = {{uuid7_make(), 1}, 1};
    struct uuid                 id;
    struct arena                a;

    arena_init(&a, 1 << 16);
    begin(w, &r, &item, 1, &id);
    OK(w, store_run_trim(w->more, AT_US + 2 * RUN_KEEP_US, &w->e));
    CHECK("not what waits", listed(w, &anna) == 1);
    assert_int_equal(store_run_claim(w->more, SPAN("one"), AT_US, &a, &got, 1, &w->e), 1);
    OK(w, store_run_sent(w->more, id, SPAN("one"), SPAN("250"), AT_US, &w->e));
    OK(w, store_run_trim(w->more, AT_US + RUN_KEEP_US, &w->e));
    CHECK("nor what is young", listed(w, &anna) == 1);
    OK(w, store_run_trim(w->more, AT_US + RUN_KEEP_US + 1, &w->e));
    assert_int_equal(listed(w, &anna), 0);
    arena_fini(&a);
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(a_window_is_begun_once_and_a_delivery_listed_once),
        STORE(of_several_one_that_cannot_be_begun_leaves_the_others),
        STORE(one_has_it_at_a_time_and_it_is_sent_once),
        STORE(a_killed_ones_lease_is_its_own_to_end),
        STORE(what_was_put_off_waits_and_what_was_refused_gives_its_items_back),
        STORE(what_was_sent_is_sent_again_when_asked),
        STORE(an_item_is_found_by_its_number),
        STORE(what_is_old_is_forgotten),
    };

    return run_on_both(tests, COUNT(tests));
}

/* The log at a glance: counted as it is, by domain and by age, and what is not there is not zero by accident. */
#include "store/overview.h"

#include "log_world.h"
#include "store/request.h"

#define HOUR_US (3600 * INT64_C(1000000))

static void put(struct world *w, enum delivery_state first, enum delivery_verdict second)
{
    struct letter               l;
    const struct store_message *one = &l.m;

    a_letter(&l);
    l.to[0].state = first;
    l.to[1].verdict = second;
    OK(w, store_message_put(w->more, &one, 1, &w->e));
}

static void messages_and_deliveries_are_counted_from_a_moment_on(void **state)
{
    struct world *w = world_of(state);
    int64_t       now = clock_wall_us(), n, last, by[DELIVERY_STATUSES];

    OK(w, store_overview_last(w->more, &last, &w->e));
    assert_int_equal(last, 0);
    put(w, STATE_DELIVERED, DELIVERY_QUARANTINED);
    put(w, STATE_QUEUED, DELIVERY_QUARANTINED);
    OK(w, store_overview_messages(w->more, now - HOUR_US, &n, &w->e));
    assert_int_equal(n, 2);
    OK(w, store_overview_messages(w->more, now + HOUR_US, &n, &w->e));
    assert_int_equal(n, 0);
    OK(w, store_overview_last(w->more, &last, &w->e));
    assert_true(last >= now);
    OK(w, store_overview_domain(w->more, first_domain, now - HOUR_US, by, &last, &w->e));
    assert_int_equal(by[STATUS_DELIVERED], 1);
    assert_int_equal(by[STATUS_QUEUED], 1);
    assert_int_equal(by[STATUS_QUARANTINED], 0);
    assert_true(last >= now - 1000000);
    OK(w, store_overview_domain(w->more, second_domain, now - HOUR_US, by, &last, &w->e));
    assert_int_equal(by[STATUS_QUARANTINED], 2);
    OK(w, store_overview_domain(w->more, uuid_zero, 0, by, &last, &w->e));
    assert_int_equal(last, 0);
}

static void the_queue_is_told_by_age_and_domain(void **state)
{
    struct world               *w = world_of(state);
    int64_t                     now = clock_wall_us();
    struct store_overview_queue q;

    put(w, STATE_QUEUED, DELIVERY_CLEAN);
    put(w, STATE_DEFERRED, DELIVERY_CLEAN);
    put(w, STATE_DELIVERED, DELIVERY_CLEAN);
    OK(w, store_overview_queue(w->more, NULL, now, &q, &w->e));
    assert_int_equal(q.hour, 2);
    assert_int_equal(q.day + q.days + q.older, 0);
    assert_true(q.oldest_us >= now - 1000000 && !q.followed);
    OK(w, store_overview_queue(w->more, &second_domain, now, &q, &w->e));
    assert_int_equal(q.hour, 0);
    assert_int_equal(q.oldest_us, 0);
    OK(w, store_overview_queue(w->more, &first_domain, now + 2 * HOUR_US, &q, &w->e));
    assert_int_equal(q.day, 2);
    OK(w, store_overview_queue(w->more, &first_domain, now + 48 * HOUR_US, &q, &w->e));
    assert_int_equal(q.days, 2);
    OK(w, store_overview_queue(w->more, &first_domain, now + 2 * QUEUE_DAYS_US, &q, &w->e));
    assert_int_equal(q.older, 2);
    assert_int_equal(q.oldest_us, 0);
}

static void what_waits_for_a_release_is_counted(void **state)
{
    struct world                  *w = world_of(state);
    struct store_overview_releases r;
    struct store_request           asks = {
                  .key = {uuid7_make(), 1}, .domain = first_domain, .who = SPAN("anna@ours.example"), .why = SPAN("")};
    int64_t bytes, first_us;

    OK(w, store_request_ask(w->more, &asks, 1000, &w->e));
    OK(w, store_overview_releases(w->more, NULL, &r, &w->e));
    assert_int_equal(r.asked.n, 1);
    assert_int_equal(r.asked.oldest_us, 1000);
    assert_int_equal(r.open.n + r.unknown.n, 0);
    OK(w, store_overview_releases(w->more, &second_domain, &r, &w->e));
    assert_int_equal(r.asked.n, 0);
    OK(w, store_overview_kept(w->more, 0, &bytes, &first_us, &w->e));
    assert_int_equal(bytes, 0);
    assert_int_equal(first_us, 0);
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(messages_and_deliveries_are_counted_from_a_moment_on),
        STORE(the_queue_is_told_by_age_and_domain),
        STORE(what_waits_for_a_release_is_counted),
    };

    return run_on_both(tests, COUNT(tests));
}

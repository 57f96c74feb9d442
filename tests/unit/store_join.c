/* tests/unit/store_join.c - twin of lib/store/join.c. */
#include "store/join.h"

#include "log_world.h"
#include "store/attempt.h"
#include "store/day.h"

#define HOUR_US (3600 * INT64_C(1000000))

struct joined {
    struct store_join at[16];
    size_t            which[16];
    char              recipient[16][64];
    size_t            n, stop_at;
};

static int each_join(void *ctx, size_t which, const struct store_join *x)
{
    struct joined *j = ctx;

    assert_true(j->n < COUNT(j->at));
    j->which[j->n] = which;
    snprintf(j->recipient[j->n], sizeof j->recipient[0], "%.*s", SPAN_ARG(x->recipient));
    j->at[j->n++] = *x;
    return j->n == j->stop_at;
}

static struct joined by_queue(struct world *w, const char *id, int64_t at_us)
{
    struct joined j = {.n = 0};

    const struct store_join_ask ask = {.handle = span_of(id), .at_us = at_us};

    OK(w, store_join_queues(w->more, &ask, 1, each_join, &j, &w->e));
    return j;
}

static struct joined by_message_id(struct world *w, const char *id, const char *recipient, int64_t at_us)
{
    struct joined j = {.n = 0};

    const struct store_join_ask ask = {span_of(id), span_of(recipient), at_us};

    OK(w, store_join_message_ids(w->more, &ask, 1, each_join, &j, &w->e));
    return j;
}

static void put(struct world *w, const struct letter *l)
{
    const struct store_message *m = &l->m;

    OK(w, store_message_put(w->more, &m, 1, &w->e));
}

static void a_letter_at(struct letter *l, int64_t at_us)
{
    struct uuid at = day_uid_at(at_us / 1000);

    a_letter(l);
    memcpy(l->m.uid.b, at.b, 6);
    l->m.at_us = at_us;
}

static void a_queue_id_leads_to_its_deliveries(void **state)
{
    struct world *w = world_of(state);
    int64_t       now = clock_wall_us();
    struct letter l;
    struct joined j;

    a_letter_at(&l, now);
    l.m.queue_id = SPAN("Q1");
    l.to[1].verdict = DELIVERY_QUARANTINED;
    put(w, &l);
    j = by_queue(w, "Q1", now + HOUR_US);
    assert_int_equal(j.n, 2);
    assert_string_equal(j.recipient[0], "anna+news@ours.example");
    assert_true(uuid_eq(&j.at[0].uid, &l.m.uid) && j.at[0].n == 1 && j.at[1].n == 2);
    assert_int_equal(j.at[0].at_us, now);
    assert_false(j.at[0].held);
    assert_true(j.at[1].held);
    assert_int_equal(by_queue(w, "q1", now).n, 0);
    assert_int_equal(by_queue(w, "", now).n, 0);
    assert_int_equal(by_queue(w, "Q\xFF", now).n, 0);
}

/* Short queue ids come again: the one of these days is meant, unless there is none. */
static void of_several_messages_under_one_queue_id_the_one_of_these_days_is_meant(void **state)
{
    struct world *w = world_of(state);
    int64_t       now = clock_wall_us();
    struct letter old, older, fresh;
    struct joined j;

    a_letter_at(&older, now - 20 * 24 * HOUR_US);
    a_letter_at(&old, now - 4 * 24 * HOUR_US);
    older.m.queue_id = old.m.queue_id = SPAN("Q1");
    put(w, &older);
    put(w, &old);
    j = by_queue(w, "Q1", now);
    assert_int_equal(j.n, 2);
    assert_true(uuid_eq(&j.at[0].uid, &old.m.uid));
    a_letter_at(&fresh, now - HOUR_US);
    fresh.m.queue_id = SPAN("Q1");
    put(w, &fresh);
    j = by_queue(w, "Q1", now);
    assert_int_equal(j.n, 2);
    assert_true(uuid_eq(&j.at[0].uid, &fresh.m.uid));
    assert_int_equal(by_queue(w, "Q1", now + 40 * 24 * HOUR_US).n, 0);
}

static void without_a_queue_id_message_id_and_recipient_join_within_an_hour(void **state)
{
    static const char id[] = "<20261122.4711@partner.example>";
    struct world     *w = world_of(state);
    int64_t           now = clock_wall_us();
    struct letter     l;

    a_letter_at(&l, now);
    put(w, &l);
    assert_int_equal(by_message_id(w, id, "BERTA@theirs.example", now + HOUR_US / 2).n, 1);
    assert_int_equal(by_message_id(w, id, "berta@theirs.example", now - HOUR_US / 2).at[0].n, 2);
    assert_int_equal(by_message_id(w, id, "berta@theirs.example", now + 2 * HOUR_US).n, 0);
    assert_int_equal(by_message_id(w, id, "carl@theirs.example", now).n, 0);
    assert_int_equal(by_message_id(w, id, "", now).n, 0);
    assert_int_equal(by_message_id(w, "", "berta@theirs.example", now).n, 0);
}

static void a_further_queue_id_leads_to_what_it_was_tied_to(void **state)
{
    struct world           *w = world_of(state);
    int64_t                 now = clock_wall_us();
    struct letter           l;
    struct store_queue_link links[] = {{SPAN("REL"), uuid_zero, 2, now}, {SPAN("NEXT"), uuid_zero, 0, now}};
    struct store_events     all = {.links = links, .nlinks = 2};
    struct joined           j = {.stop_at = 1};

    a_letter_at(&l, now);
    put(w, &l);
    links[0].uid = links[1].uid = l.m.uid;
    OK(w, store_events_put(w->more, &all, NULL, &w->e));
    OK(w, store_events_put(w->more, &all, NULL, &w->e));
    assert_int_equal(by_queue(w, "REL", now).n, 1);
    assert_int_equal(by_queue(w, "REL", now).at[0].n, 2);
    assert_int_equal(by_queue(w, "NEXT", now).n, 2);
    OK(w, store_join_queues(w->more, &(struct store_join_ask){.handle = SPAN("NEXT"), .at_us = now}, 1, each_join, &j,
                            &w->e));
    assert_int_equal(j.n, 1);
}

static bool answers(const struct joined *j, size_t i, size_t which, const struct letter *l, int64_t n)
{
    return i < j->n && j->which[i] == which && uuid_eq(&j->at[i].uid, &l->m.uid) && j->at[i].n == n;
}

/* A log is read from where it was left: an old line may stand beside a new one. */
static void many_questions_at_once_are_answered_as_each_alone(void **state)
{
    struct world           *w = world_of(state);
    int64_t                 now = clock_wall_us();
    struct letter           fresh, old, quoted;
    struct store_queue_link link = {SPAN("NEXT"), uuid_zero, 2, now};
    struct store_events     all = {.links = &link, .nlinks = 1};
    struct joined           j = {.n = 0};

    a_letter_at(&fresh, now);
    a_letter_at(&old, now - 4 * 24 * HOUR_US);
    a_letter_at(&quoted, now);
    fresh.m.queue_id = SPAN("Q1");
    old.m.queue_id = SPAN("Q2");
    quoted.m.queue_id = SPAN("{\"Q,\\3'}");
    put(w, &fresh);
    put(w, &old);
    put(w, &quoted);
    link.uid = fresh.m.uid;
    OK(w, store_events_put(w->more, &all, NULL, &w->e));
    const struct store_join_ask asks[] = {
        {.handle = SPAN("NOWHERE"), .at_us = now},   {.handle = SPAN("Q2"), .at_us = now},
        {.handle = SPAN("Q1"), .at_us = now},        {.handle = SPAN(""), .at_us = now},
        {.handle = SPAN("Q\xFF"), .at_us = now},     {.handle = SPAN("NEXT"), .at_us = now},
        {.handle = quoted.m.queue_id, .at_us = now}, {.handle = SPAN("Q1"), .at_us = now - 8 * 24 * HOUR_US}};
    OK(w, store_join_queues(w->more, asks, COUNT(asks), each_join, &j, &w->e));
    assert_int_equal(j.n, 7);
    assert_true(answers(&j, 0, 1, &old, 1) && answers(&j, 1, 1, &old, 2));
    assert_true(answers(&j, 2, 2, &fresh, 1) && answers(&j, 3, 2, &fresh, 2));
    assert_true(answers(&j, 4, 5, &fresh, 2));
    assert_true(answers(&j, 5, 6, &quoted, 1) && answers(&j, 6, 6, &quoted, 2));
    assert_string_equal(j.recipient[3], "berta@theirs.example");
}

static void more_questions_than_one_statement_takes_are_answered_too(void **state)
{
    enum { MANY = 2500 };
    static struct store_join_ask asks[MANY];
    static char                  ids[MANY][16];
    struct world                *w = world_of(state);
    int64_t                      now = clock_wall_us();
    struct letter                l;
    struct joined                j = {.n = 0};

    a_letter_at(&l, now);
    l.m.queue_id = SPAN("Q2400");
    put(w, &l);
    for (size_t i = 0; i < MANY; i++) {
        snprintf(ids[i], sizeof ids[i], "Q%zu", i);
        asks[i] = (struct store_join_ask){.handle = span_of(ids[i]), .at_us = now};
    }
    OK(w, store_join_queues(w->more, asks, MANY, each_join, &j, &w->e));
    assert_int_equal(j.n, 2);
    assert_true(answers(&j, 0, 2400, &l, 1) && answers(&j, 1, 2400, &l, 2));
}

/* Thousands may have one Message-ID; what is asked beside it is answered all the same. */
static void of_very_many_messages_with_one_id_the_newest_answer(void **state)
{
    static const char id[] = "<20261122.4711@partner.example>";
    struct world     *w = world_of(state);
    int64_t           now = clock_wall_us();
    struct letter     l, other;
    struct joined     j = {.n = 0};

    for (int64_t i = 0; i < 105; i++) {
        a_letter_at(&l, now + i * 1000);
        l.to[0].recipient = i < 5      ? SPAN("first@ours.example")
                            : i == 104 ? SPAN("last@ours.example")
                                       : SPAN("x@ours.example");
        put(w, &l);
    }
    a_letter_at(&other, now);
    other.m.message_id = SPAN("<other@partner.example>");
    put(w, &other);
    const struct store_join_ask asks[] = {{span_of(id), SPAN("first@ours.example"), now},
                                          {span_of(id), SPAN("LAST@ours.example"), now},
                                          {other.m.message_id, SPAN("berta@theirs.example"), now}};
    OK(w, store_join_message_ids(w->more, asks, COUNT(asks), each_join, &j, &w->e));
    assert_int_equal(j.n, 2);
    assert_true(answers(&j, 0, 1, &l, 1) && answers(&j, 1, 2, &other, 2));
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(a_queue_id_leads_to_its_deliveries),
        STORE(of_several_messages_under_one_queue_id_the_one_of_these_days_is_meant),
        STORE(without_a_queue_id_message_id_and_recipient_join_within_an_hour),
        STORE(a_further_queue_id_leads_to_what_it_was_tied_to),
        STORE(many_questions_at_once_are_answered_as_each_alone),
        STORE(more_questions_than_one_statement_takes_are_answered_too),
        STORE(of_very_many_messages_with_one_id_the_newest_answer),
    };

    return run_on_both(tests, COUNT(tests));
}

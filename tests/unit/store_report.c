/* tests/unit/store_report.c - what is said of messages, and who takes it to the filter. */
#include "store_world.h"

#include "store/report.h"

#define US INT64_C(1000000)

static enum report_added say(struct world *w, const char *who, enum report_class class, int64_t at, struct uuid *id)
{
    struct store_report r = {.subject = SPAN("sha256:00ff"),
                             .who = span_of(who),
                             .recipient = SPAN("ours.example"),
                             .channel = SPAN("tell"),
                             .class = class,
                             .has_body = true,
                             .body = uuid7_make()};
    enum report_added   added;

    OK(w, store_report_add(w->more, &r, at, &added, &w->e));
    if (id != NULL)
        *id = r.id;
    return added;
}

static int claim(struct world *w, const char *by, int64_t at, struct store_report *out)
{
    static struct arena a;
    int                 rc;

    arena_fini(&a);
    arena_init(&a, 1 << 20);
    rc = store_report_claim(w->more, span_of(by), at, &a, out, &w->e);
    assert_true(rc >= 0);
    return rc;
}

static int count(void *ctx, const struct store_report *r)
{
    (void)r;
    ++*(int *)ctx;
    return 0;
}

static void saying_it_twice_is_saying_it_once(void **state)
{
    struct world *w = world_of(state);
    struct uuid   one, two;
    int           n = 0;

    assert_int_equal(say(w, "anna", REPORT_SPAM, 1 * US, &one), REPORT_NEW);
    assert_int_equal(say(w, "anna", REPORT_SPAM, 2 * US, &two), REPORT_SAID);
    assert_memory_equal(&one, &two, sizeof one);
    assert_int_equal(say(w, "ben", REPORT_SPAM, 3 * US, NULL), REPORT_NEW);
    OK(w, store_report_list(w->more, STORE_SCOPE_GLOBAL, 0, 0, count, &n, &w->e));
    assert_int_equal(n, 2);
}

static void the_opposite_supersedes_and_may_be_taken_back(void **state)
{
    struct world       *w = world_of(state);
    struct store_report r;
    struct uuid         spam, again;

    assert_int_equal(say(w, "anna", REPORT_SPAM, 1 * US, &spam), REPORT_NEW);
    assert_int_equal(say(w, "anna", REPORT_HAM, 2 * US, NULL), REPORT_TURNED);
    assert_int_equal(claim(w, "t1", 3 * US, &r), 1);
    assert_int_equal(r.class, REPORT_HAM);
    assert_int_equal(claim(w, "t1", 3 * US, &r), 0);
    assert_int_equal(say(w, "anna", REPORT_SPAM, 4 * US, &again), REPORT_TURNED);
    assert_memory_equal(&spam, &again, sizeof spam);
    assert_int_equal(claim(w, "t1", 5 * US, &r), 1);
    assert_int_equal(r.class, REPORT_SPAM);
    assert_true(r.has_body);
}

static void only_one_has_a_report_until_its_lease_lapses(void **state)
{
    struct world       *w = world_of(state);
    struct store_report r;
    int64_t             next;

    say(w, "anna", REPORT_SPAM, 1 * US, NULL);
    assert_int_equal(claim(w, "t1", 2 * US, &r), 1);
    assert_true(span_is(r.recipient, "ours.example") && span_is(r.channel, "tell") && r.attempts == 1);
    assert_int_equal(claim(w, "t2", 3 * US, &r), 0);
    OK(w, store_report_next(w->more, &next, &w->e));
    assert_true(next == 2 * US + REPORT_LEASE_US);
    assert_int_equal(claim(w, "t2", next, &r), 1);
    assert_int_equal(r.attempts, 2);
    assert_int_equal(store_report_done(w->more, &r.id, SPAN("t1"), REPORT_LEARNT, SPAN("ok"), next, &w->e), -1);
    assert_int_equal(w->e.code, ERR_CONFLICT);
    OK(w, store_report_done(w->more, &r.id, SPAN("t2"), REPORT_LEARNT, SPAN("ok"), next, &w->e));
    OK(w, store_report_next(w->more, &next, &w->e));
    assert_true(next == INT64_MAX);
}

static void what_failed_waits_for_its_time(void **state)
{
    struct world       *w = world_of(state);
    struct store_report r;

    say(w, "anna", REPORT_SPAM, 1 * US, NULL);
    assert_int_equal(claim(w, "t1", 2 * US, &r), 1);
    OK(w, store_report_later(w->more, &r.id, SPAN("t1"), 60 * US, SPAN("connection refused"), 2 * US, &w->e));
    assert_int_equal(claim(w, "t1", 59 * US, &r), 0);
    assert_int_equal(claim(w, "t1", 60 * US, &r), 1);
    assert_true(span_is(r.answer, "connection refused"));
}

static void what_was_turned_while_it_was_on_its_way_does_not_end(void **state)
{
    struct world       *w = world_of(state);
    struct store_report r;

    say(w, "anna", REPORT_SPAM, 1 * US, NULL);
    assert_int_equal(claim(w, "t1", 2 * US, &r), 1);
    say(w, "anna", REPORT_HAM, 3 * US, NULL);
    assert_int_equal(store_report_done(w->more, &r.id, SPAN("t1"), REPORT_LEARNT, SPAN("ok"), 4 * US, &w->e), -1);
    assert_int_equal(w->e.code, ERR_CONFLICT);
}

static void bad_words_are_refused(void **state)
{
    struct world       *w = world_of(state);
    struct store_report r = {.subject = SPAN("sha256:00"), .who = SPAN(""), .channel = SPAN("tell")};
    enum report_added   added;

    assert_int_equal(store_report_add(w->more, &r, 1, &added, &w->e), -1);
    r.who = SPAN("a\nb");
    assert_int_equal(store_report_add(w->more, &r, 1, &added, &w->e), -1);
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(saying_it_twice_is_saying_it_once),
        STORE(the_opposite_supersedes_and_may_be_taken_back),
        STORE(only_one_has_a_report_until_its_lease_lapses),
        STORE(what_failed_waits_for_its_time),
        STORE(what_was_turned_while_it_was_on_its_way_does_not_end),
        STORE(bad_words_are_refused),
    };

    return run_on_both(tests, COUNT(tests));
}

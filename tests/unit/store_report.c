/* tests/unit/store_report.c - what is said of messages, and who takes it to the filter. */
#include "store_world.h"

#include "store/report.h"
#include "store/row.h"

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
    rc = store_report_claim(w->more, span_of(by), at, 1, &a, out, &w->e);
    assert_true(rc >= 0);
    return rc;
}

/* How many changed. */
static size_t settle(struct world *w, const char *by, const struct store_report_end *end, int64_t at)
{
    size_t settled;

    OK(w, store_report_settle(w->more, span_of(by), end, 1, at, &settled, &w->e));
    return settled;
}

static size_t learnt(struct world *w, const char *by, const struct uuid *id, int64_t at)
{
    return settle(w, by, &(struct store_report_end){.id = *id, .state = REPORT_LEARNT, .answer = SPAN("ok")}, at);
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
    assert_int_equal(learnt(w, "t1", &r.id, next), 0);
    assert_int_equal(learnt(w, "t2", &r.id, next), 1);
    OK(w, store_report_next(w->more, &next, &w->e));
    assert_true(next == INT64_MAX);
}

static void what_failed_waits_for_its_time(void **state)
{
    struct world       *w = world_of(state);
    struct store_report r;

    say(w, "anna", REPORT_SPAM, 1 * US, NULL);
    assert_int_equal(claim(w, "t1", 2 * US, &r), 1);
    const struct store_report_end later = {.id = r.id, .next_us = 60 * US, .answer = SPAN("connection refused")};
    assert_int_equal(settle(w, "t1", &later, 2 * US), 1);
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
    assert_int_equal(learnt(w, "t1", &r.id, 4 * US), 0);
}

static void several_are_taken_at_once_and_what_nobody_asked_about_is_given_back_as_it_was(void **state)
{
    static const char *const people[] = {"anna", "ben", "cleo"};
    struct world            *w = world_of(state);
    struct store_report      r[3], one;
    struct arena             a;
    size_t                   settled;

    for (size_t i = 0; i < COUNT(people); i++)
        say(w, people[i], REPORT_SPAM, (int64_t)(i + 1) * US, NULL);
    arena_init(&a, 1 << 20);
    assert_int_equal(store_report_claim(w->more, SPAN("t1"), 9 * US, 2, &a, r, &w->e), 2);
    assert_int_equal(claim(w, "t2", 9 * US, &one), 1);
    assert_true(span_is(one.who, "cleo"));
    const struct store_report_end ends[] = {
        {.id = r[0].id, .state = REPORT_KNOWN, .answer = SPAN("known already")},
        {.id = r[1].id, .next_us = r[1].next_us, .unasked = true},
        {.id = one.id, .state = REPORT_LEARNT}, /* another's */
    };
    OK(w, store_report_settle(w->more, SPAN("t1"), ends, COUNT(ends), 9 * US, &settled, &w->e));
    assert_int_equal(settled, 2);
    arena_fini(&a);
    const struct uuid back = r[1].id;
    assert_int_equal(claim(w, "t3", 9 * US, &one), 1);
    assert_memory_equal(&one.id, &back, sizeof back);
    assert_int_equal(one.attempts, 1);
    assert_int_equal(claim(w, "t3", 9 * US, &one), 0);
}

static void what_came_of_a_hand_is_written_down_and_the_next_taken_at_once(void **state)
{
    struct world       *w = world_of(state);
    struct store_report r[2];
    struct arena        a;

    say(w, "anna", REPORT_SPAM, US, NULL);
    say(w, "ben", REPORT_SPAM, 2 * US, NULL);
    arena_init(&a, 1 << 20);
    assert_int_equal(store_report_turn(w->more, SPAN("t1"), NULL, 0, 9 * US, 1, &a, r, &w->e), 1);
    const struct store_report_end learnt = {.id = r[0].id, .state = REPORT_LEARNT};
    assert_int_equal(store_report_turn(w->more, SPAN("t1"), &learnt, 1, 9 * US, 2, &a, r, &w->e), 1);
    assert_true(span_is(r[0].who, "ben"));
    assert_int_equal(r[0].changed_us, 2 * US); /* that somebody looks at it changes nothing of it */
    arena_fini(&a);
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

static int put_state(void *ctx, const struct store_report *r)
{
    buf_printf(ctx, "%.*s %s %s;", SPAN_ARG(r->who), report_class_words[r->class], report_state_words[r->state]);
    return 0;
}

/* By age. */
static void check_all(struct world *w, const char *want)
{
    struct uuid     ids[8];
    struct db_rows *rows = NULL;
    struct buf      b;
    size_t          n = 0;

    OK(w, db_query(((struct store *)w->more)->log, "SELECT id FROM report ORDER BY id", NULL, 0, &rows, &w->e));
    while (db_next(rows, &w->e) > 0 && n < COUNT(ids))
        ids[n++] = col_uuid(rows, 0);
    db_rows_free(&rows);
    buf_init(&b, 1 << 16);
    for (size_t i = 0; i < n; i++)
        OK(w, store_report_show(w->more, &ids[i], put_state, &b, &w->e));
    if (!span_is(buf_span(&b), want))
        fail_msg("\"%.*s\", not \"%s\"", SPAN_ARG(buf_span(&b)), want);
    buf_fini(&b);
}

/* What the trainer does with all that is due. */
static void drain(struct world *w, int64_t at)
{
    struct store_report r;

    while (claim(w, "t1", at, &r) > 0)
        assert_int_equal(learnt(w, "t1", &r.id, at), 1);
}

static void two_who_disagree_leave_it_undecided_and_what_was_learnt_is_taken_back(void **state)
{
    struct world *w = world_of(state);

    say(w, "anna", REPORT_SPAM, 1 * US, NULL);
    drain(w, 2 * US);
    assert_int_equal(say(w, "ben", REPORT_HAM, 3 * US, NULL), REPORT_NEW);
    check_all(w, "anna spam undecided;ben ham undecided;postern forget waiting;");
    drain(w, 4 * US);
    check_all(w, "anna spam undecided;ben ham undecided;postern forget learnt;");
    assert_int_equal(say(w, "cleo", REPORT_HAM, 5 * US, NULL), REPORT_NEW);
    assert_int_equal(say(w, "ben", REPORT_HAM, 5 * US, NULL), REPORT_SAID);
    drain(w, 6 * US);
    check_all(w, "anna spam undecided;ben ham undecided;postern forget learnt;cleo ham undecided;");
}

static void what_nobody_had_learnt_is_not_taken_back(void **state)
{
    struct world *w = world_of(state);

    say(w, "anna", REPORT_SPAM, 1 * US, NULL);
    say(w, "ben", REPORT_HAM, 1 * US, NULL);
    drain(w, 2 * US);
    check_all(w, "anna spam undecided;ben ham undecided;");
}

static void who_gives_in_makes_it_decided_and_both_are_learnt(void **state)
{
    struct world *w = world_of(state);

    say(w, "anna", REPORT_SPAM, 1 * US, NULL);
    drain(w, 1 * US);
    say(w, "ben", REPORT_HAM, 2 * US, NULL);
    assert_int_equal(say(w, "anna", REPORT_HAM, 3 * US, NULL), REPORT_TURNED);
    check_all(w, "anna spam superseded;ben ham waiting;postern forget superseded;anna ham waiting;");
    drain(w, 4 * US);
    check_all(w, "anna spam superseded;ben ham learnt;postern forget superseded;anna ham learnt;");
}

static void who_takes_a_word_back_leaves_it_to_the_others(void **state)
{
    struct world *w = world_of(state);

    say(w, "anna", REPORT_SPAM, 1 * US, NULL);
    say(w, "ben", REPORT_HAM, 2 * US, NULL);
    say(w, "ben", REPORT_FORGET, 3 * US, NULL);
    check_all(w, "anna spam waiting;ben ham superseded;ben forget known;");
    drain(w, 4 * US);
    say(w, "anna", REPORT_FORGET, 5 * US, NULL);
    check_all(w, "anna spam superseded;ben ham superseded;ben forget known;anna forget waiting;");
}

static void what_is_with_the_filter_is_taken_back_when_its_lease_is_over(void **state)
{
    struct world       *w = world_of(state);
    struct store_report r;
    int64_t             next;

    say(w, "anna", REPORT_SPAM, 1 * US, NULL);
    assert_int_equal(claim(w, "t1", 2 * US, &r), 1);
    say(w, "ben", REPORT_HAM, 3 * US, NULL);
    assert_int_equal(learnt(w, "t1", &r.id, 4 * US), 0);
    OK(w, store_report_next(w->more, &next, &w->e));
    assert_true(next >= 3 * US);
    drain(w, next);
    check_all(w, "anna spam undecided;ben ham undecided;postern forget learnt;");
}

static void for_everybody_or_for_other_domains_there_is_no_other_side(void **state)
{
    struct world       *w = world_of(state);
    struct store_report r = {.subject = SPAN("sha256:00ff"),
                             .who = SPAN("ben"),
                             .recipient = SPAN("theirs.example"),
                             .channel = SPAN("tell"),
                             .class = REPORT_HAM,
                             .has_body = true};
    enum report_added   added;

    say(w, "anna", REPORT_SPAM, 1 * US, NULL);
    OK(w, store_report_add(w->more, &r, 2 * US, &added, &w->e));
    assert_int_equal(r.state, REPORT_WAITING);
    r.recipient = SPAN_NONE;
    OK(w, store_report_add(w->more, &r, 2 * US, &added, &w->e));
    r.who = SPAN("cleo");
    r.class = REPORT_SPAM;
    OK(w, store_report_add(w->more, &r, 2 * US, &added, &w->e));
    assert_int_equal(r.state, REPORT_WAITING);
    check_all(w, "anna spam waiting;ben ham waiting;ben ham waiting;cleo spam waiting;");
}

static const struct {
    const char *holds, *sender, *words;
    enum report_class class;
} gone[] = {
    {"nothing was left behind", "", "could not learn it", REPORT_SPAM},
    {"the sender was", "x@bad.example", "could not learn it; the sender was noted", REPORT_HAM},
    {"it was to be unlearnt", "x@bad.example", "could not unlearn it", REPORT_FORGET},
};

static void a_report_whose_message_is_gone_says_so_at_once(void **state)
{
    struct world *w = world_of(state);

    for (size_t i = 0; i < COUNT(gone); i++) {
        struct store_report r = {.subject = SPAN("uid:1"),
                                 .who = span_of(gone[i].holds),
                                 .channel = SPAN("report"),
                                 .class = gone[i].class,
                                 .sender = span_of(gone[i].sender),
                                 .why = SPAN("because")};
        enum report_added   added;
        struct buf          b;

        OK(w, store_report_add(w->more, &r, 1 * US, &added, &w->e));
        CHECK(gone[i].holds, r.state == REPORT_REFUSED);
        buf_init(&b, 1 << 10);
        buf_printf(&b, "the message is no longer stored: the filter %s", gone[i].words);
        CHECK(gone[i].holds, span_eq(store_report_gone(&r), buf_span(&b)));
        buf_fini(&b);
    }
}

static void what_was_not_stored_yet_is_learnt_when_it_is_said_again(void **state)
{
    struct world       *w = world_of(state);
    struct store_report r = {.subject = SPAN("uid:1"), .who = SPAN("anna"), .channel = SPAN("report")};
    enum report_added   added;

    OK(w, store_report_add(w->more, &r, 1 * US, &added, &w->e));
    OK(w, store_report_add(w->more, &r, 2 * US, &added, &w->e));
    assert_true(added == REPORT_SAID && r.state == REPORT_REFUSED);
    r.has_body = true;
    r.body = uuid7_make();
    OK(w, store_report_add(w->more, &r, 3 * US, &added, &w->e));
    assert_true(added == REPORT_SAID && r.state == REPORT_WAITING);
    drain(w, 4 * US);
    OK(w, store_report_add(w->more, &r, 5 * US, &added, &w->e));
    assert_true(added == REPORT_SAID && r.state == REPORT_LEARNT);
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(saying_it_twice_is_saying_it_once),
        STORE(the_opposite_supersedes_and_may_be_taken_back),
        STORE(only_one_has_a_report_until_its_lease_lapses),
        STORE(what_failed_waits_for_its_time),
        STORE(what_was_turned_while_it_was_on_its_way_does_not_end),
        STORE(several_are_taken_at_once_and_what_nobody_asked_about_is_given_back_as_it_was),
        STORE(what_came_of_a_hand_is_written_down_and_the_next_taken_at_once),
        STORE(two_who_disagree_leave_it_undecided_and_what_was_learnt_is_taken_back),
        STORE(what_nobody_had_learnt_is_not_taken_back),
        STORE(who_gives_in_makes_it_decided_and_both_are_learnt),
        STORE(who_takes_a_word_back_leaves_it_to_the_others),
        STORE(what_is_with_the_filter_is_taken_back_when_its_lease_is_over),
        STORE(for_everybody_or_for_other_domains_there_is_no_other_side),
        STORE(what_was_not_stored_yet_is_learnt_when_it_is_said_again),
        STORE(a_report_whose_message_is_gone_says_so_at_once),
        STORE(bad_words_are_refused),
    };

    return run_on_both(tests, COUNT(tests));
}

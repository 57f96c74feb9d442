/* tests/unit/store_message_trim.c - twin of lib/store/message_trim.c and day.c. */
#include "log_world.h"
#include "store/attempt.h"
#include "store/day.h"
#include "store/report.h"
#include "store/search.h"

/* One message a day with an attempt, `n` of them from a day on. */
static void fill(struct world *w, int64_t from, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        struct letter               l;
        const struct store_message *m = &l.m;
        struct uuid                 at = day_uid_at((from + i) * DAY_MS);
        struct store_event          v = {
                     .n = 1, .at_us = 1, .has_attempt = true, .response = SPAN("250 ok"), .host = SPAN("mx")};
        struct store_queue_link link = {SPAN("NEXT"), uuid_zero, 0, 1};
        struct store_events     all = {.events = &v, .nevents = 1, .links = &link, .nlinks = 1};

        a_letter(&l);
        memcpy(l.m.uid.b, at.b, 6);
        l.m.kept = true;
        OK(w, store_message_put(w->more, &m, 1, &w->e));
        v.uid = link.uid = l.m.uid;
        OK(w, store_events_put(w->more, &all, NULL, &w->e));
    }
}

static const char *const tables[] = {"message", "delivery", "delivery_mailbox", "attempt", "queue_link"};

static int64_t rows_of(struct world *w, const char *table)
{
    static char sql[5][64];
    size_t      i;

    for (i = 0; strcmp(tables[i], table) != 0; i++)
        ;
    snprintf(sql[i], sizeof sql[i], "SELECT COUNT(*) FROM %s", table);
    return log_number(w, sql[i]);
}

static int each_row(void *ctx, const struct store_row *r)
{
    (void)r;
    ++*(size_t *)ctx;
    return 0;
}

static size_t found(struct world *w)
{
    struct store_words      one = {SEARCH_SUBJECT, SPAN("invoice"), false};
    struct store_search     q = {.words = &one, .nwords = 1};
    struct store_search_end end;
    size_t                  n = 0;

    OK(w, store_search(w->more, &q, each_row, &n, &end, &w->e));
    return n;
}

static void whole_days_are_forgotten_and_the_rest_stays(void **state)
{
    struct world     *w = world_of(state);
    struct store_trim done;

    fill(w, 20000, 5);
    assert_int_equal(found(w), 10);
    OK(w, store_message_trim(w->more, 20003, NULL, NULL, &done, &w->e));
    assert_int_equal(done.days, 3);
    for (size_t i = 0; i < COUNT(tables); i++)
        CHECK(tables[i], rows_of(w, tables[i]) == (i == 1 || i == 2 ? 4 : 2));
    assert_int_equal(found(w), 4);
    assert_int_equal(log_number(w, "SELECT COUNT(*) FROM custody"), 5); /* what is held is no question of the log */
    if (w->kind == DB_SQLITE)
        assert_int_equal(log_number(w, "SELECT COUNT(*) FROM sqlite_master WHERE name LIKE '%_20001'"), 0);
    else
        assert_int_equal(log_number(w, "SELECT COUNT(*) FROM pg_class WHERE relname LIKE '%_20001'"), 0);
    OK(w, store_message_trim(w->more, 20003, NULL, NULL, &done, &w->e));
    assert_int_equal(done.days + done.rows, 0);
    fill(w, 20001, 1); /* a replay of old mail finds its place again */
    assert_int_equal(found(w), 6);
    OK(w, store_message_trim(w->more, 30000, NULL, NULL, &done, &w->e));
    assert_int_equal(found(w), 0);
    assert_int_equal(rows_of(w, "delivery"), 0);
}

/* Each letter is a commit, and so a piece. */
static void days_that_have_ended_are_put_in_order_and_found_as_before(void **state)
{
    static const char pieces[] = "SELECT (SELECT COUNT(DISTINCT segid) FROM words_20000_idx)"
                                 " + (SELECT COUNT(DISTINCT segid) FROM answers_20000_idx)",
                      later[] = "SELECT COUNT(DISTINCT segid) FROM words_20001_idx",
                      vacuumed[] = "SELECT COUNT(*) FROM pg_class WHERE relkind = 'r' AND relname LIKE '%\\_20000'"
                                   " AND reltuples >= 0 AND relallvisible = relpages",
                      not_yet[] = "SELECT COUNT(*) FROM pg_class WHERE relkind = 'r' AND relname LIKE '%\\_20001'"
                                  " AND reltuples < 0";
    struct world *w = world_of(state);

    for (int i = 0; i < 3; i++) {
        fill(w, 20000, 1);
        fill(w, 20001, 1);
    }
    assert_int_equal(found(w), 12);
    if (w->kind == DB_SQLITE)
        assert_int_equal(log_number(w, pieces), 6);
    OK(w, store_message_pack(w->more, 20001, NULL, NULL, &w->e));
    if (w->kind == DB_SQLITE) {
        assert_int_equal(log_number(w, pieces), 2);
        assert_int_equal(log_number(w, later), 3);
    } else {
        assert_int_equal(log_number(w, vacuumed), 6);
        assert_int_equal(log_number(w, not_yet), 6);
    }
    assert_int_equal(found(w), 12);
    OK(w, store_message_pack(w->more, 20001, NULL, NULL, &w->e));
    fill(w, 20000, 1);
    assert_int_equal(found(w), 14);
}

static void custody_rows_go_when_their_object_has(void **state)
{
    struct world     *w = world_of(state);
    struct store_trim done;

    fill(w, 20000, 2);
    OK(w, db_script(((struct store *)w->more)->log, "UPDATE custody SET place = 'gone'", &w->e));
    OK(w, store_message_trim(w->more, 20001, NULL, NULL, &done, &w->e));
    assert_int_equal(log_number(w, "SELECT COUNT(*) FROM custody"), 1);
}

static bool after_some(void *ctx) { return --*(int *)ctx < 0; }

/* Whatever a stop leaves is taken the next time. */
static void a_stop_in_the_middle_leaves_nothing_behind_for_ever(void **state)
{
    struct world     *w = world_of(state);
    struct store_trim done;

    fill(w, 20000, 3);
    for (int steps = 0; steps < 12; steps++) {
        int left = steps;

        OK(w, store_message_trim(w->more, 20002, after_some, &left, &done, &w->e));
    }
    OK(w, store_message_trim(w->more, 20002, NULL, NULL, &done, &w->e));
    assert_int_equal(rows_of(w, "message"), 1);
    assert_int_equal(rows_of(w, "delivery"), 2);
    assert_int_equal(log_number(w, "SELECT COUNT(*) FROM log_day WHERE day < 20002"), 0);
}

static void more_rows_than_a_step_takes_go_in_several(void **state)
{
    struct world               *w = world_of(state);
    struct store_delivery      *many = calloc(2500, sizeof *many);
    struct letter               l;
    const struct store_message *m = &l.m;
    struct uuid                 at = day_uid_at(20000 * DAY_MS);
    struct store_trim           done;

    a_letter(&l);
    memcpy(l.m.uid.b, at.b, 6);
    for (size_t i = 0; i < 2500; i++)
        many[i] = l.to[0];
    l.m.deliveries = many;
    l.m.ndeliveries = 2500;
    OK(w, store_message_put(w->more, &m, 1, &w->e));
    OK(w, store_message_trim(w->more, 20001, NULL, NULL, &done, &w->e));
    assert_int_equal(rows_of(w, "delivery"), 0);
    assert_int_equal(rows_of(w, "delivery_mailbox"), 0);
    free(many);
}

static void days_to_come_have_their_partitions_made(void **state)
{
    struct world     *w = world_of(state);
    struct store_trim done;

    OK(w, store_message_trim(w->more, 1, NULL, NULL, &done, &w->e));
    assert_int_equal(log_number(w, "SELECT COUNT(*) FROM log_day"), DAY_AHEAD + 1);
    fill(w, clock_wall_us() / DAY_US + 1, 1);
    assert_int_equal(log_number(w, "SELECT COUNT(*) FROM pg_inherits WHERE inhparent = 'message'::regclass"),
                     DAY_AHEAD + 1);
}

/* More pages than a step takes, left by one that was stopped; a search meanwhile, and mail of that day that comes once more. */
static void what_a_day_leaves_is_taken_bit_by_bit(void **state)
{
    struct world     *w = world_of(state);
    struct db        *log = ((struct store *)w->more)->log;
    struct store_trim done;
    static const char pad_sql[] = "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600) INSERT INTO "
                                  "words_20000_data (id, block) SELECT (99 << 37) + i, zeroblob(4000) FROM n";

    fill(w, 20000, 2);
    OK(w, db_script(log, pad_sql, &w->e));
    OK(w, day_drop(w->more, 20000, &w->e));
    assert_int_equal(day_sweep(w->more, &w->e), 1);
    assert_true(log_number(w, "SELECT COUNT(*) FROM forgotten_words_20000_data") > 100);
    fill(w, 20000, 1);
    assert_int_equal(found(w), 4);
    OK(w, store_message_trim(w->more, 20001, NULL, NULL, &done, &w->e));
    assert_int_equal(log_number(w, "SELECT COUNT(*) FROM sqlite_master WHERE name LIKE 'forgotten%'"), 0);
    assert_int_equal(found(w), 2);
    assert_int_equal(day_sweep(w->more, &w->e), 0);
}

static void what_was_observed_and_reports_that_ended_go_with_their_days(void **state)
{
    struct world               *w = world_of(state);
    int64_t                     today = clock_wall_us() / DAY_US;
    struct letter               l;
    const struct store_message *m = &l.m;
    struct store_report         r = {.subject = SPAN("sha256:00"), .who = SPAN("anna"), .channel = SPAN("tell")};
    enum report_added           added;
    struct store_trim           done;

    a_letter(&l);
    r.has_body = true; /* without one it would have ended at once */
    r.body = l.m.uid;
    l.m.observed = true;
    l.m.ours = SPAN("reject");
    l.m.theirs = SPAN("pass");
    OK(w, store_message_put(w->more, &m, 1, &w->e));
    OK(w, store_report_add(w->more, &r, clock_wall_us(), &added, &w->e));
    r.class = REPORT_HAM; /* supersedes the first, which has ended by that; and waits */
    OK(w, store_report_add(w->more, &r, clock_wall_us(), &added, &w->e));
    OK(w, store_message_trim(w->more, today, NULL, NULL, &done, &w->e));
    CHECK("their day is still in the log",
          log_number(w, "SELECT COUNT(*) FROM observed") == 1 && log_number(w, "SELECT COUNT(*) FROM report") == 2);
    OK(w, store_message_trim(w->more, today + 2, NULL, NULL, &done, &w->e));
    assert_int_equal(log_number(w, "SELECT COUNT(*) FROM observed"), 0);
    CHECK("what waits is not forgotten", log_number(w, "SELECT COUNT(*) FROM report WHERE state = 'waiting'") == 1 &&
                                             log_number(w, "SELECT COUNT(*) FROM report") == 1);
}

static void a_uids_day_and_place_go_by_its_time(void **state)
{
    struct uuid a = day_uid_at(DAY_MS * 20000 - 1), b = day_uid_at(DAY_MS * 20000), far = day_uid_at(INT64_MAX),
                none = day_uid_at(-1);

    (void)state;
    assert_int_equal(day_of_uid(&a), 19999);
    assert_int_equal(day_of_uid(&b), 20000);
    assert_true(day_id(&a) < day_id(&b));
    assert_true(day_id(&b) >= day_id_at(DAY_MS * 20000));
    assert_true(day_id(&far) > 0 && day_id(&none) == 0);
    for (int i = 0; i < 10000; i++) {
        a = b;
        b = uuid7_make();
        assert_true(i == 0 || day_id(&a) < day_id(&b));
    }
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(whole_days_are_forgotten_and_the_rest_stays),
        STORE(days_that_have_ended_are_put_in_order_and_found_as_before),
        STORE(custody_rows_go_when_their_object_has),
        STORE(a_stop_in_the_middle_leaves_nothing_behind_for_ever),
        STORE(more_rows_than_a_step_takes_go_in_several),
        STORE(what_was_observed_and_reports_that_ended_go_with_their_days),
        STORE_PGSQL(days_to_come_have_their_partitions_made),
        STORE_SQLITE(what_a_day_leaves_is_taken_bit_by_bit),
        SQLITE_ONLY(a_uids_day_and_place_go_by_its_time),
    };

    return run_on_both(tests, COUNT(tests));
}

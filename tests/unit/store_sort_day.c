/* tests/unit/store_sort_day.c - twin of lib/store/sort_day.c and shelf_words.c. */
#include "store/sort_day.h"

#include "log_world.h"
#include "store/attempt.h"
#include "store/day.h"
#include "store/search.h"

#define DAY 20000

/* To anna of the first domain and berta of the second. */
static void put(struct world *w, int64_t day, const char *subject)
{
    struct letter               l;
    const struct store_message *m = &l.m;
    struct uuid                 at = day_uid_at(day * DAY_MS);

    a_letter(&l);
    memcpy(l.m.uid.b, at.b, 6);
    l.m.subject = span_of(subject);
    OK(w, store_message_put(w->more, &m, 1, &w->e));
}

/* Of the first delivery that there is. */
static void answer(struct world *w, const char *response)
{
    struct store       *s = w->more;
    struct store_event  v = {.n = 1, .at_us = 1, .has_attempt = true, .response = span_of(response)};
    struct store_events all = {.events = &v, .nevents = 1};
    struct db_rows     *r = NULL;

    OK(w, db_query(s->log, "SELECT MIN(uid) FROM delivery", NULL, 0, &r, &w->e));
    assert_int_equal(db_next(r, &w->e), 1);
    assert_true(uuid_parse(db_text(r, 0), &v.uid));
    db_rows_free(&r);
    OK(w, store_events_put(w->more, &all, NULL, &w->e));
}

static int each_row(void *ctx, const struct store_row *r)
{
    (void)r;
    ++*(size_t *)ctx;
    return 0;
}

static size_t found(struct world *w, struct store_scope scope, enum search_field field, const char *text)
{
    struct store_words      one = {field, span_of(text), false};
    struct store_search     q = {.scope = scope, .words = &one, .nwords = 1};
    struct store_search_end end;
    size_t                  n = 0;

    OK(w, store_search(w->more, &q, each_row, &n, &end, &w->e));
    return n;
}

static bool is_sorted(struct world *w)
{
    return log_number(w, "SELECT COUNT(*) FROM log_day WHERE day = 20000 AND sorted = 1") == 1;
}

/* How often the next row is of another domain. */
static int64_t changes(struct world *w)
{
    return log_number(w, "SELECT COUNT(*) FROM (SELECT d.domain_id, lag(d.domain_id) OVER (ORDER BY w.ctid) AS before"
                         " FROM delivery_words_20000 w JOIN delivery d ON d.uid = w.uid AND d.n = w.n) x"
                         " WHERE before <> domain_id");
}

static void a_days_words_are_put_side_by_side_by_whose_they_are(void **state)
{
    static const char indexes[] = "SELECT COUNT(*) FROM pg_inherits WHERE inhrelid IN (SELECT indexrelid FROM pg_index"
                                  " WHERE indrelid = 'delivery_words_20000'::regclass)",
                      answers[] = "SELECT COUNT(*) FROM pg_inherits WHERE inhrelid IN (SELECT indexrelid FROM pg_index"
                                  " WHERE indrelid = 'delivery_answers_20000'::regclass)";
    struct world *w = world_of(state);

    for (int i = 0; i < 4; i++)
        put(w, DAY, "Your invoice");
    answer(w, "452 Mailbox full");
    assert_int_equal(changes(w), 7);
    OK(w, store_message_pack(w->more, DAY + 1, NULL, NULL, &w->e));
    CHECK("mail of yesterday may still be on its way", !is_sorted(w));
    OK(w, store_message_pack(w->more, DAY + 2, NULL, NULL, &w->e));
    CHECK("a day later", is_sorted(w) && changes(w) == 1);
    assert_int_equal(log_number(w, "SELECT COUNT(*) FROM delivery_words_20000"), 8);
    assert_int_equal(log_number(w, "SELECT COUNT(*) FROM delivery_words"), 8);
    assert_int_equal(log_number(w, indexes), 2);
    assert_int_equal(log_number(w, answers), 2);
    assert_int_equal(log_number(w, "SELECT COUNT(*) FROM delivery_answers"), 1);
    assert_int_equal(found(w, STORE_SCOPE_GLOBAL, SEARCH_DELIVERY, "mailbox full"), 1);
    answer(w, "250 ok");
    assert_int_equal(found(w, STORE_SCOPE_GLOBAL, SEARCH_DELIVERY, "mailbox full"), 0);
    CHECK("answers may come later", is_sorted(w));
}

/* The second domain's words are on another shelf than the first's. */
static void everybodys_mail_is_found_as_before(void **state)
{
    static const struct {
        enum search_field field;
        const char       *text;
        size_t            n;
    } cases[] = {
        {SEARCH_SUBJECT, "invoice", 4},
        {SEARCH_SUBJECT, "your invoice", 4},
        {SEARCH_SUBJECT, "invoice your", 0},
        {SEARCH_SUBJECT, "inv", 4},
        {SEARCH_SUBJECT, "nowhere", 0},
        {SEARCH_SUBJECT, "invoicing", 0},
        {SEARCH_SUBJECT, "a raffle", 2},
        {SEARCH_FROM, "billing@partner.example", 6},
        {SEARCH_FROM, "billing@partner.exa", 6},
        {SEARCH_FROM, "invoice", 0},
        {SEARCH_TO, "berta", 3},
        {SEARCH_TO, "anna@theirs.example", 0},
        {SEARCH_MESSAGE_ID, "20261122.4711", 6},
        {SEARCH_INBOUND, "queued", 6},
        {SEARCH_ANY, "partner", 6},
        {SEARCH_ANY, "raff", 2},
    };
    struct world *w = world_of(state);

    put(w, DAY, "Your invoice");
    put(w, DAY, "A raffle");
    put(w, DAY + 1, "Your invoice");
    for (int sorted = 0; sorted < 2; sorted++) {
        for (size_t i = 0; i < COUNT(cases); i++)
            CHECK(cases[i].text, found(w, STORE_SCOPE_GLOBAL, cases[i].field, cases[i].text) == cases[i].n);
        OK(w, store_message_pack(w->more, DAY + 2, NULL, NULL, &w->e));
    }
    CHECK("the words of everybody's mail are what is asked",
          db_script(((struct store *)w->more)->log, "DELETE FROM shelf_words", &w->e) == 0 &&
              found(w, STORE_SCOPE_GLOBAL, SEARCH_SUBJECT, "raffle") == 0 &&
              found(w, store_scope_domain(first_domain), SEARCH_SUBJECT, "raffle") == 1);
}

static void what_is_written_later_is_found_and_the_day_sorted_anew(void **state)
{
    struct world *w = world_of(state);

    put(w, DAY, "Your invoice");
    OK(w, store_message_pack(w->more, DAY + 2, NULL, NULL, &w->e));
    put(w, DAY, "A raffle");
    CHECK("not any more", !is_sorted(w));
    assert_int_equal(found(w, STORE_SCOPE_GLOBAL, SEARCH_SUBJECT, "raffle"), 2);
    OK(w, store_message_pack(w->more, DAY + 2, NULL, NULL, &w->e));
    CHECK("anew", is_sorted(w) && changes(w) == 1);
    assert_int_equal(found(w, STORE_SCOPE_GLOBAL, SEARCH_SUBJECT, "raffle"), 2);
    assert_int_equal(log_number(w, "SELECT CAST(SUM(bit_count(CAST(shelves AS bit(64)))) AS BIGINT) FROM shelf_words"
                                   " WHERE word = 'sraffle'"),
                     2);
}

/* Somebody whose mail of that day is being written. */
static void who_writes_to_the_day_has_it_wait(void **state)
{
    struct world *w = world_of(state);
    struct store *writer = NULL;
    struct err    why = ERR_INIT;

    put(w, DAY, "Your invoice");
    OK(w, store_open(w->url, STORE_EXISTING, &writer, &w->e));
    OK(w, db_begin(writer->log, &w->e));
    OK(w, db_script(writer->log, "DELETE FROM delivery_words WHERE uid = ''; UPDATE delivery_words SET n = n", &w->e));
    CHECK("busy", sort_day(w->more, DAY, &why) == -1 && why.code == ERR_BUSY);
    OK(w, store_message_pack(w->more, DAY + 2, NULL, NULL, &w->e));
    CHECK("left for tomorrow", !is_sorted(w));
    OK(w, db_commit(writer->log, &w->e));
    store_close(&writer);
    OK(w, sort_day(w->more, DAY, &w->e));
    CHECK("then", is_sorted(w));
}

/* The words of days that are forgotten go with them. */
static void a_forgotten_day_leaves_no_words(void **state)
{
    struct world     *w = world_of(state);
    struct store_trim done;

    put(w, DAY, "Your invoice");
    put(w, DAY + 1, "A raffle");
    OK(w, store_message_pack(w->more, DAY + 3, NULL, NULL, &w->e));
    OK(w, store_message_trim(w->more, DAY + 1, NULL, NULL, &done, &w->e));
    CHECK("that day's alone", log_number(w, "SELECT COUNT(*) FROM shelf_words WHERE day = 20000") == 0 &&
                                  log_number(w, "SELECT COUNT(*) FROM shelf_words WHERE word = 'sraffle'") == 1);
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE_PGSQL(a_days_words_are_put_side_by_side_by_whose_they_are),
        STORE_PGSQL(everybodys_mail_is_found_as_before),
        STORE_PGSQL(what_is_written_later_is_found_and_the_day_sorted_anew),
        STORE_PGSQL(who_writes_to_the_day_has_it_wait),
        STORE_PGSQL(a_forgotten_day_leaves_no_words),
    };

    return run_on_both(tests, COUNT(tests));
}

/* tests/unit/store_score.c - twin of lib/store/score.c. */
#include "store/score.h"

#include <sys/resource.h>

#include "log_world.h"
#include "store/day.h"

static const struct score_lines usual = {{.reject = 15, .add_header = 6, .greylist = 4}, .greylisting = true};
#define WEEK_US (7 * DAY_US)

/* A letter to both boxes; by_rule: a rule decided for the first. */
static void arrives(struct world *w, double first, double second, bool by_rule, int64_t ago_us)
{
    struct letter               l;
    const struct store_message *one = &l.m;
    int64_t                     ms = (clock_wall_us() - ago_us) / 1000;

    a_letter(&l);
    for (size_t i = 0; i < 6; i++)
        l.m.uid.b[i] = (uint8_t)(ms >> (40 - 8 * i));
    l.to[0].score = first;
    l.to[0].has_rule = by_rule;
    l.to[0].rule = uuid7_make();
    l.to[1].score = second;
    OK(w, store_message_put(w->more, &one, 1, &w->e));
}

static struct store_scores scores(struct world *w, struct store_scope scope, struct score_lines then)
{
    struct store_scores out;

    OK(w, store_scores(w->more, scope, clock_wall_us() - WEEK_US, &usual, &then, &out, &w->e));
    return out;
}

static int64_t bin(const struct store_scores *x, int from) { return x->bins[from - SCORES_LOW + 1]; }

static void a_score_reaches_a_threshold_when_it_is_no_less(void **state)
{
    static const struct {
        const char        *holds;
        double             score;
        struct score_lines lines;
        enum score_class   is;
    } cases[] = {
        {"below all of them", 3.99, {{15, 6, 4}, true}, SCORE_PASS},
        {"at the least", 4, {{15, 6, 4}, true}, SCORE_GREYLIST},
        {"nothing waits where nothing is greylisted", 4, {{15, 6, 4}, false}, SCORE_PASS},
        {"at the next", 6, {{15, 6, 4}, true}, SCORE_ADD_HEADER},
        {"at the last", 15, {{15, 6, 4}, true}, SCORE_REJECT},
        {"what is off is reached by nothing", 2000, {{999, 999, 999}, true}, SCORE_PASS},
        {"and the one below it holds on", 2000, {{999, 6, 4}, true}, SCORE_ADD_HEADER},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        CHECK(cases[i].holds, score_class(&cases[i].lines, cases[i].score) == cases[i].is);
}

static void scores_are_counted_in_bins_and_what_a_change_would_move_is_told(void **state)
{
    struct world       *w = world_of(state);
    struct score_lines  strict = usual;
    struct store_scores x;

    strict.at.add_header = 5;
    for (int i = 0; i < 3; i++)
        arrives(w, 5.5, 0, false, 0);
    arrives(w, 5.5, 0, true, 0); /* a rule's: no threshold moves it */
    arrives(w, -20, 0, false, 0);
    arrives(w, 4.9, 0, false, 0);
    arrives(w, 29.99, 0, false, 0);
    arrives(w, 30, 0, false, 0);
    arrives(w, 5.5, 0, false, WEEK_US + 60 * INT64_C(1000000));
    x = scores(w, store_scope_domain(first_domain), strict);
    assert_int_equal(x.looked, 8);
    assert_int_equal(x.judged, 7);
    assert_true(x.whole);
    assert_int_equal(bin(&x, 5), 3);
    assert_int_equal(bin(&x, 4), 1);
    assert_int_equal(bin(&x, 29), 1);
    assert_int_equal(x.bins[0], 1);
    assert_int_equal(x.bins[SCORES_BINS - 1], 1);
    assert_int_equal(x.moves[SCORE_GREYLIST][SCORE_ADD_HEADER], 3);
    assert_int_equal(x.moves[SCORE_GREYLIST][SCORE_GREYLIST], 1);
    assert_int_equal(x.moves[SCORE_PASS][SCORE_PASS], 1);
    assert_int_equal(x.moves[SCORE_REJECT][SCORE_REJECT], 2);
}

static void each_scope_counts_its_own(void **state)
{
    struct world       *w = world_of(state);
    struct store_scores x;

    arrives(w, 7, 16, false, 0);
    arrives(w, 7, 16, false, 2 * DAY_US);
    x = scores(w, STORE_SCOPE_GLOBAL, usual);
    assert_int_equal(x.judged, 4);
    x = scores(w, store_scope_domain(second_domain), usual);
    assert_int_equal(x.judged, 2);
    assert_int_equal(bin(&x, 16), 2);
    x = scores(w, store_scope_mailbox(first_box), usual);
    assert_int_equal(x.judged, 2);
    assert_int_equal(bin(&x, 7), 2);
    assert_true(x.since_us <= clock_wall_us() - 2 * DAY_US && x.since_us > clock_wall_us() - 3 * DAY_US);
    x = scores(w, store_scope_mailbox(uuid7_make()), usual);
    assert_true(x.looked == 0 && x.since_us == 0 && x.whole);
}

/* The domain of the first recipient, as one that is really there. */
static void arrives_at(struct world *w, struct uuid domain, double score)
{
    struct letter               l;
    const struct store_message *one = &l.m;

    a_letter(&l);
    l.m.ndeliveries = 1;
    l.to[0].domain = domain;
    l.to[0].score = score;
    OK(w, store_message_put(w->more, &one, 1, &w->e));
}

static void a_domain_with_thresholds_of_its_own_moves_by_what_it_inherits_alone(void **state)
{
    struct world        *w = world_of(state);
    struct uuid          plain = add_domain(w, "plain.example"), own = add_domain(w, "own.example");
    struct store_setting mine = STORE_SETTING_NONE;
    struct score_lines   then = {{.reject = 10, .add_header = 3, .greylist = 2}, .greylisting = true};
    struct store_scores  x;

    mine.add_header = 8;
    mine.greylisting = 0;
    OK(w, store_setting_set(w->more, &root, store_scope_domain(own), &mine, &w->e));
    for (int i = 0; i < 2; i++) {
        arrives_at(w, i ? own : plain, 5);
        arrives_at(w, i ? own : plain, 12);
    }
    x = scores(w, STORE_SCOPE_GLOBAL, then);
    assert_int_equal(x.moves[SCORE_GREYLIST][SCORE_ADD_HEADER], 1);
    assert_int_equal(x.moves[SCORE_PASS][SCORE_PASS], 1);
    assert_int_equal(x.moves[SCORE_ADD_HEADER][SCORE_REJECT], 2);
}

/* ---- at its size ---- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LIMIT_US 480000
#else
#define LIMIT_US 60000
#endif
#define MANY (SCORES_MAX + 500)
#define BATCH 500

static void fill(struct world *w)
{
    struct letter              *l = calloc(BATCH, sizeof *l);
    const struct store_message *all[BATCH];

    assert_non_null(l);
    for (size_t done = 0; done < MANY; done += BATCH) {
        for (size_t i = 0; i < BATCH; i++) {
            a_letter(&l[i]);
            l[i].m.ndeliveries = 1;
            l[i].to[0].score = (double)((done + i) % 2000) / 100;
            all[i] = &l[i].m;
        }
        OK(w, store_message_put(w->more, all, BATCH, &w->e));
    }
    free(l);
}

static int64_t cpu_us(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * INT64_C(1000000) + u.ru_utime.tv_usec + u.ru_stime.tv_usec;
}

static void a_large_domain_is_counted_up_to_a_bound_without_looking_at_its_rows(void **state)
{
    static const char   plan_sql[] = "EXPLAIN QUERY PLAN SELECT score, rule_id, domain_id, id FROM delivery"
                                     " INDEXED BY delivery_domain WHERE domain_id = x'00' AND id >= 0 ORDER BY id DESC";
    struct world       *w = world_of(state);
    struct store       *s = w->more;
    struct db_rows     *r;
    struct store_scores x;
    int64_t             began;
    bool                covers;

    OK(w, db_query(s->log, plan_sql, NULL, 0, &r, &w->e));
    assert_int_equal(db_next(r, &w->e), 1);
    covers = span_find(db_text(r, 3), SPAN("COVERING INDEX")) < db_text(r, 3).n;
    db_rows_free(&r);
    CHECK("all that is read is in the index", covers);
    fill(w);
    began = cpu_us();
    x = scores(w, store_scope_domain(first_domain), usual);
    began = cpu_us() - began;
    print_message("100,000 deliveries: %lld ms\n", (long long)began / 1000);
    assert_int_equal(x.looked, SCORES_MAX);
    assert_false(x.whole);
    CHECK("some ten ms of CPU time", began < LIMIT_US);
    x = scores(w, store_scope_mailbox(first_box), usual);
    assert_int_equal(x.looked, SCORES_MAILBOX_MAX);
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(a_score_reaches_a_threshold_when_it_is_no_less),
        STORE(scores_are_counted_in_bins_and_what_a_change_would_move_is_told),
        STORE(each_scope_counts_its_own),
        STORE(a_domain_with_thresholds_of_its_own_moves_by_what_it_inherits_alone),
        STORE_SQLITE(a_large_domain_is_counted_up_to_a_bound_without_looking_at_its_rows),
    };

    return run_on_both(tests, COUNT(tests));
}

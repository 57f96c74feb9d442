/* What a digest tells: everything once, however late it was written; in groups; and what has become of it since. */
#include "letter/content.h"

#include "log_world.h"
#include "store/search.h"

#define SECOND INT64_C(1000000)
#define HOUR (3600 * SECOND)

static const struct conf_list nothing = {0};

/* A digest of the first mailbox at a moment, and what it needs. */
struct desk {
    struct world         *w;
    struct digest_look    look;
    struct store_digest   d;
    struct digest_content c;
    struct arena          a;
    int64_t               now_us;
};

static void desk_begin(struct desk *k, void **state)
{
    *k = (struct desk){.w = world_of(state), .now_us = clock_wall_us()};
    k->look = (struct digest_look){k->w->more, &nothing, &nothing};
    k->d = (struct store_digest){.id = uuid7_make(),
                                 .kind = DIGEST_MAILBOX,
                                 .mailbox = first_box,
                                 .domain = first_domain,
                                 .address = "anna@ours.example",
                                 .created_us = k->now_us - HOUR,
                                 .choice.filters = DIGEST_QUARANTINED | DIGEST_BLOCKED | DIGEST_SPAM};
    arena_init(&k->a, 64 << 20);
}

static struct uuid uid_at(int64_t us)
{
    struct uuid u = uuid7_make();

    for (int i = 0; i < 6; i++)
        u.b[i] = (uint8_t)((uint64_t)(us / 1000) >> (40 - 8 * i));
    return u;
}

/* A letter that came that long ago. */
static struct uuid came(struct desk *k, int64_t ago_us, enum delivery_verdict verdict, double score)
{
    struct letter               l;
    const struct store_message *m = &l.m;

    a_letter(&l);
    l.m.uid = uid_at(k->now_us - ago_us);
    l.m.at_us = k->now_us - ago_us;
    l.to[0].verdict = verdict;
    l.to[0].score = score;
    l.to[0].has_rule = verdict == DELIVERY_BLOCKED;
    l.to[0].layer = verdict == DELIVERY_BLOCKED ? SPAN("mailbox rules") : SPAN("");
    l.m.kept = verdict == DELIVERY_QUARANTINED || verdict == DELIVERY_DISCARDED;
    l.m.sha256 = SPAN("01234567890123456789012345678901");
    l.m.key_id = SPAN("k1");
    l.m.keep_us = k->now_us + 86400 * SECOND;
    OK(k->w, store_message_put(k->w->more, &m, 1, &k->w->e));
    return l.m.uid;
}

static size_t look(struct desk *k)
{
    OK(k->w, digest_content_new(&k->look, &k->d, k->now_us, &k->a, &k->c, &k->w->e));
    return k->c.nitems;
}

static struct uuid send(struct desk *k)
{
    struct store_run run;
    struct uuid      id;

    assert_int_equal(digest_begin(&k->look, &k->d, k->now_us, k->now_us, &k->a, &id, &k->w->e), 1);
    assert_int_equal(store_run_claim(k->w->more, SPAN("us"), k->now_us, &k->a, &run, 1, &k->w->e), 1);
    OK(k->w, store_run_sent(k->w->more, id, SPAN("us"), SPAN("250"), k->now_us, &k->w->e));
    return id;
}

static void what_was_held_is_told_once_and_what_was_written_late_too(void **state)
{
    struct desk k;
    struct uuid id;

    desk_begin(&k, state);
    came(&k, HOUR, DELIVERY_QUARANTINED, 7);
    came(&k, HOUR, DELIVERY_CLEAN, 1);
    assert_int_equal(look(&k), 1);
    send(&k);
    k.now_us += HOUR;
    assert_int_equal(look(&k), 0);
    CHECK("nothing new, nothing sent", digest_begin(&k.look, &k.d, k.now_us, k.now_us, &k.a, &id, &k.w->e) == 0);
    came(&k, 5 * HOUR, DELIVERY_QUARANTINED, 8);
    CHECK("older than the last digest, written behind it", look(&k) == 1);
    arena_fini(&k.a);
}

static void a_first_digest_tells_of_a_day_and_none_of_more_than_a_week(void **state)
{
    struct desk k;

    desk_begin(&k, state);
    came(&k, 23 * HOUR, DELIVERY_QUARANTINED, 7);
    came(&k, 25 * HOUR, DELIVERY_QUARANTINED, 7);
    CHECK("a day", look(&k) == 1);
    k.d.created_us = k.now_us - 3 * 24 * HOUR;
    CHECK("since there is a subscription", look(&k) == 2);
    came(&k, 7 * 24 * HOUR + SECOND, DELIVERY_QUARANTINED, 7);
    k.d.created_us = k.now_us - 30 * 24 * HOUR;
    CHECK("a week", look(&k) == 2);
    arena_fini(&k.a);
}

static void what_is_young_waits(void **state)
{
    struct desk k;

    desk_begin(&k, state);
    came(&k, DIGEST_YOUNG_US - SECOND, DELIVERY_QUARANTINED, 7);
    assert_int_equal(look(&k), 0);
    k.now_us += 2 * SECOND;
    assert_int_equal(look(&k), 1);
    arena_fini(&k.a);
}

static void a_late_digest_ends_where_it_says_and_the_next_has_the_rest(void **state)
{
    struct desk      k;
    struct store_run run;
    struct uuid      id, early;

    desk_begin(&k, state);
    k.d.created_us = k.now_us - 24 * HOUR;
    early = came(&k, 3 * HOUR, DELIVERY_QUARANTINED, 7);
    came(&k, HOUR, DELIVERY_QUARANTINED, 7);
    assert_int_equal(digest_begin(&k.look, &k.d, k.now_us - 2 * HOUR, k.now_us, &k.a, &id, &k.w->e), 1);
    OK(k.w, store_run_get(k.w->more, id, &k.a, &run, &k.w->e));
    OK(k.w, digest_content_of(&k.look, &k.d, &run, &k.a, &k.c, &k.w->e));
    assert_true(k.c.until_us == k.now_us - 2 * HOUR && k.c.nitems == 1 && k.c.quarantined == 1);
    assert_true(uuid_eq(&k.c.items[0].key.uid, &early));
    CHECK("the other", look(&k) == 1 && !uuid_eq(&k.c.items[0].key.uid, &early));
    arena_fini(&k.a);
}

static void filters_choose_what_is_told(void **state)
{
    struct desk k;

    desk_begin(&k, state);
    came(&k, HOUR, DELIVERY_QUARANTINED, 7);
    came(&k, HOUR, DELIVERY_BLOCKED, 100);
    came(&k, HOUR, DELIVERY_TAGGED, 8);
    assert_int_equal(look(&k), 3);
    CHECK("what was marked is told of, and is not among those held", k.c.marked == 1 && k.c.shown == 2);
    k.d.choice.filters = DIGEST_BLOCKED;
    assert_int_equal(look(&k), 1);
    assert_int_equal(k.c.of_group[GROUP_BLOCKED], 1);
    CHECK("none that was marked", k.c.marked == 0);
    k.d.choice.filters = DIGEST_SPAM;
    assert_int_equal(look(&k), 1);
    CHECK("that one", k.c.marked == 1 && k.c.items[0].threshold == 6);
    CHECK("the numbers are of all", k.c.quarantined == 1 && k.c.blocked == 1 && k.c.delivered == 1);
    arena_fini(&k.a);
}

/* A domain may discard by score: it counts as spam, and is kept. */
static void what_was_discarded_was_held_and_not_delivered(void **state)
{
    const char            *symbols[] = {"PICTURES"};
    const struct conf_list pictures = {.items = symbols, .n = 1};
    struct desk            k;

    desk_begin(&k, state);
    came(&k, HOUR, DELIVERY_DISCARDED, 17);
    came(&k, 2 * HOUR, DELIVERY_TAGGED, 8);
    k.d.choice.filters = DIGEST_SPAM;
    for (int kind = 0; kind < 2; kind++) {
        k.d.kind = kind ? DIGEST_DOMAIN : DIGEST_MAILBOX;
        assert_int_equal(look(&k), 2);
        CHECK("the numbers", k.c.marked == 1 && k.c.quarantined == 1 && k.c.delivered == 1);
        CHECK("it is released like any other", !k.c.items[1].marked && k.c.items[1].can_release);
        CHECK("and has the limit that it reached", k.c.items[1].threshold == 15 && k.c.items[0].threshold == 6);
    }
    OK(k.w, db_run(k.look.store->log, "UPDATE message SET symbols = '[{\"name\":\"PICTURES\",\"score\":9}]'", NULL, 0,
                   NULL, &k.w->e));
    k.look.protected_symbols = &pictures;
    assert_int_equal(look(&k), 2);
    CHECK("unless others decide about it", !k.c.items[1].can_release && k.c.items[1].reason == REASON_SITE_RULE);
    arena_fini(&k.a);
}

/* Who gets a letter again, or later, reads the same number in its subject. */
static void what_was_marked_is_told_apart_also_beyond_those_with_a_line(void **state)
{
    struct desk      k;
    struct store_run run;

    desk_begin(&k, state);
    for (int i = 0; i < DIGEST_SHOWN; i++)
        came(&k, HOUR, DELIVERY_QUARANTINED, 7);
    came(&k, HOUR, DELIVERY_TAGGED, 8);
    came(&k, HOUR, DELIVERY_QUARANTINED, 20);
    assert_int_equal(look(&k), DIGEST_SHOWN + 2);
    CHECK("new", k.c.marked == 1 && k.c.shown == DIGEST_SHOWN);
    OK(k.w, store_run_get(k.w->more, send(&k), &k.a, &run, &k.w->e));
    OK(k.w, digest_content_of(&k.look, &k.d, &run, &k.a, &k.c, &k.w->e));
    CHECK("old", k.c.marked == 1 && k.c.shown == DIGEST_SHOWN &&
                     k.c.of_group[GROUP_PROBABLY_FINE] + k.c.of_group[GROUP_PROBABLY_SPAM] == DIGEST_SHOWN + 2);
    arena_fini(&k.a);
}

static void the_likeliest_to_be_missed_come_first_and_blocked_ones_are_counted(void **state)
{
    struct desk k;

    desk_begin(&k, state);
    came(&k, HOUR, DELIVERY_QUARANTINED, 30);
    came(&k, HOUR, DELIVERY_QUARANTINED, 9);
    came(&k, HOUR, DELIVERY_QUARANTINED, 6.5);
    came(&k, HOUR, DELIVERY_BLOCKED, 100);
    came(&k, HOUR, DELIVERY_BLOCKED, 100);
    assert_int_equal(look(&k), 5);
    assert_true(k.c.shown == 3 && k.c.of_group[GROUP_PROBABLY_FINE] == 2 && k.c.of_group[GROUP_PROBABLY_SPAM] == 1);
    assert_true(k.c.items[0].score == 6.5 && k.c.items[0].place == 1 && k.c.items[0].can_release);
    assert_true(k.c.items[0].threshold == 6 && k.c.items[0].reason == REASON_SCORE);
    assert_true(k.c.items[2].group == GROUP_PROBABLY_SPAM && k.c.items[2].place == 3 && k.c.items[2].threshold == 15);
    assert_true(k.c.items[3].place == -1 && !k.c.items[3].can_release);
    assert_true(k.c.nblocked_by == 1 && k.c.blocked_by[0].n == 2 &&
                span_is(k.c.blocked_by[0].address, "billing@partner.example"));
    arena_fini(&k.a);
}

static void fifty_have_a_line_and_the_others_are_counted(void **state)
{
    struct desk k;

    desk_begin(&k, state);
    for (int i = 0; i < DIGEST_SHOWN + 3; i++)
        came(&k, HOUR, DELIVERY_QUARANTINED, 7);
    assert_int_equal(look(&k), DIGEST_SHOWN + 3);
    assert_int_equal(k.c.shown, DIGEST_SHOWN);
    assert_int_equal(k.c.items[DIGEST_SHOWN].place, 0);
    send(&k);
    CHECK("and told", look(&k) == 0);
    arena_fini(&k.a);
}

static void of_a_domain_all_are_counted_by_recipient_also_those_without_a_line(void **state)
{
    struct desk      k;
    struct store_run run;

    desk_begin(&k, state);
    for (int i = 0; i < DIGEST_SHOWN + 3; i++)
        came(&k, HOUR, DELIVERY_QUARANTINED, 7);
    came(&k, HOUR, DELIVERY_BLOCKED, 100);
    look(&k);
    CHECK("of a mailbox there is one", k.c.nrecipients == 0);
    k.d.kind = DIGEST_DOMAIN;
    look(&k);
    assert_true(k.c.nrecipients == 1 && k.c.recipients[0].n == DIGEST_SHOWN + 3);
    OK(k.w, store_run_get(k.w->more, send(&k), &k.a, &run, &k.w->e));
    OK(k.w, digest_content_of(&k.look, &k.d, &run, &k.a, &k.c, &k.w->e));
    assert_true(k.c.nrecipients == 1 && k.c.recipients[0].n == DIGEST_SHOWN + 3 &&
                span_eq(k.c.recipients[0].address, k.c.items[0].recipient));
    arena_fini(&k.a);
}

static void what_was_listed_is_read_as_it_is_now(void **state)
{
    struct desk      k;
    struct store_run run;
    struct uuid      id;

    desk_begin(&k, state);
    came(&k, HOUR, DELIVERY_QUARANTINED, 7);
    came(&k, HOUR, DELIVERY_QUARANTINED, 6.5);
    came(&k, HOUR, DELIVERY_BLOCKED, 100);
    id = send(&k);
    OK(k.w, store_run_get(k.w->more, id, &k.a, &run, &k.w->e));
    OK(k.w, db_run(k.look.store->log, "UPDATE delivery SET state = 'released', status = 'delivered' WHERE score = 7",
                   NULL, 0, NULL, &k.w->e));
    OK(k.w, digest_content_of(&k.look, &k.d, &run, &k.a, &k.c, &k.w->e));
    assert_true(k.c.shown == 2 && k.c.of_group[GROUP_BLOCKED] == 1 && k.c.nblocked_by == 1);
    assert_true(k.c.items[0].score == 6.5 && k.c.items[0].can_release);
    assert_true(k.c.items[1].score == 7 && !k.c.items[1].can_release && k.c.items[1].state == STATE_RELEASED);
    arena_fini(&k.a);
}

/* Those of a letter come in one statement, whatever days they are of. */
static void of_each_it_is_known_whether_it_can_be_released_and_why_not(void **state)
{
    static const struct {
        const char        *holds, *then; /* SQL about the UID */
        bool               can_release, gone;
        enum digest_reason reason;
    } cases[] = {
        {"held", NULL, true, false, REASON_SCORE},
        {"with a virus", "UPDATE message SET symbols = '[{\"name\":\"CLAM_VIRUS\",\"score\":20}]' WHERE uid = $1",
         false, false, REASON_VIRUS},
        {"whose object is gone", "UPDATE custody SET place = 'gone' WHERE uid = $1", false, false, REASON_SCORE},
        {"whose object is but a copy", "UPDATE custody SET copy = 1 WHERE uid = $1", false, false, REASON_SCORE},
        {"without an object", "DELETE FROM custody WHERE uid = $1", false, false, REASON_SCORE},
        {"that the log has no more", "DELETE FROM delivery WHERE uid = $1", false, true, REASON_SCORE},
        {"held as well", NULL, true, false, REASON_SCORE},
    };
    struct desk      k;
    struct store_run run;
    char             uid[UUID_TEXT + 1];

    desk_begin(&k, state);
    k.d.created_us = k.now_us - 6 * 24 * HOUR;
    for (size_t i = 0; i < COUNT(cases); i++)
        came(&k, ((int64_t)i * 20 + 1) * HOUR, DELIVERY_QUARANTINED, 7 + (double)i / 10);
    assert_int_equal(look(&k), COUNT(cases));
    OK(k.w, store_run_get(k.w->more, send(&k), &k.a, &run, &k.w->e));
    for (size_t i = 0; i < COUNT(cases); i++) {
        uuid_format(&k.c.items[i].key.uid, uid);
        if (cases[i].then != NULL)
            OK(k.w, db_run(k.look.store->log, cases[i].then, (struct db_val[]){dbv_str(uid)}, 1, NULL, &k.w->e));
    }
    OK(k.w, digest_content_of(&k.look, &k.d, &run, &k.a, &k.c, &k.w->e));
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct digest_item *x = &k.c.items[i];

        CHECK(cases[i].holds, x->place == (int64_t)i + 1 && x->can_release == cases[i].can_release &&
                                  x->gone == cases[i].gone && x->reason == cases[i].reason);
    }
    arena_fini(&k.a);
}

static void one_delivery_is_shown_by_itself_and_nobody_elses_is(void **state)
{
    struct desk        k;
    struct digest_item item;
    struct store_key   key = {.n = 1};

    desk_begin(&k, state);
    key.uid = came(&k, HOUR, DELIVERY_QUARANTINED, 7);
    OK(k.w, digest_content_one(&k.look, &k.d, &key, &k.a, &item, &k.w->e));
    CHECK("as in a letter", !item.gone && item.can_release && item.reason == REASON_SCORE && item.subject.n > 0);
    key.n = 9;
    OK(k.w, digest_content_one(&k.look, &k.d, &key, &k.a, &item, &k.w->e));
    CHECK("no such recipient", item.gone);
    key.n = 1;
    k.d.mailbox = uuid7_make();
    OK(k.w, digest_content_one(&k.look, &k.d, &key, &k.a, &item, &k.w->e));
    CHECK("of another mailbox", item.gone && item.subject.n == 0);
    arena_fini(&k.a);
}

static void a_quiet_week_is_told_once(void **state)
{
    struct desk k;
    struct uuid id;

    desk_begin(&k, state);
    k.d.choice.quiet = true;
    CHECK("not yet", digest_begin(&k.look, &k.d, k.now_us, k.now_us, &k.a, &id, &k.w->e) == 0);
    k.now_us += 7 * 24 * HOUR;
    send(&k);
    k.now_us += HOUR;
    CHECK("nor again", digest_begin(&k.look, &k.d, k.now_us, k.now_us, &k.a, &id, &k.w->e) == 0);
    arena_fini(&k.a);
}

static void a_window_is_begun_once(void **state)
{
    struct desk k;
    struct uuid id;

    desk_begin(&k, state);
    came(&k, HOUR, DELIVERY_QUARANTINED, 7);
    assert_int_equal(digest_begin(&k.look, &k.d, k.now_us, k.now_us, &k.a, &id, &k.w->e), 1);
    came(&k, HOUR, DELIVERY_QUARANTINED, 7);
    assert_int_equal(digest_begin(&k.look, &k.d, k.now_us, k.now_us, &k.a, &id, &k.w->e), 0);
    assert_int_equal(digest_begin(&k.look, &k.d, k.now_us + 1, k.now_us, &k.a, &id, &k.w->e), 1);
    arena_fini(&k.a);
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(what_was_held_is_told_once_and_what_was_written_late_too),
        STORE(a_first_digest_tells_of_a_day_and_none_of_more_than_a_week),
        STORE(what_is_young_waits),
        STORE(a_late_digest_ends_where_it_says_and_the_next_has_the_rest),
        STORE(filters_choose_what_is_told),
        STORE(what_was_discarded_was_held_and_not_delivered),
        STORE(what_was_marked_is_told_apart_also_beyond_those_with_a_line),
        STORE(the_likeliest_to_be_missed_come_first_and_blocked_ones_are_counted),
        STORE(fifty_have_a_line_and_the_others_are_counted),
        STORE(of_a_domain_all_are_counted_by_recipient_also_those_without_a_line),
        STORE(what_was_listed_is_read_as_it_is_now),
        STORE(of_each_it_is_known_whether_it_can_be_released_and_why_not),
        STORE(one_delivery_is_shown_by_itself_and_nobody_elses_is),
        STORE(a_quiet_week_is_told_once),
        STORE(a_window_is_begun_once),
    };

    return run_on_both(tests, COUNT(tests));
}

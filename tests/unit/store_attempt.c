/* tests/unit/store_attempt.c - twin of lib/store/attempt.c. */
#include "store/attempt.h"

#include "log_world.h"
#include "store/day.h"
#include "store/search.h"

#define HOUR_US (3600 * INT64_C(1000000))

struct joined {
    struct store_join at[16];
    char              recipient[16][64];
    size_t            n, stop_at;
};

static int each_join(void *ctx, const struct store_join *x)
{
    struct joined *j = ctx;

    assert_true(j->n < COUNT(j->at));
    snprintf(j->recipient[j->n], sizeof j->recipient[0], "%.*s", SPAN_ARG(x->recipient));
    j->at[j->n++] = *x;
    return j->n == j->stop_at;
}

static struct joined by_queue(struct world *w, const char *id, int64_t at_us)
{
    struct joined j = {.n = 0};

    OK(w, store_join_queue(w->more, span_of(id), at_us, each_join, &j, &w->e));
    return j;
}

static struct joined by_message_id(struct world *w, const char *id, const char *recipient, int64_t at_us)
{
    struct joined j = {.n = 0};

    OK(w, store_join_message_id(w->more, span_of(id), span_of(recipient), at_us, each_join, &j, &w->e));
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
    OK(w, store_join_queue(w->more, SPAN("NEXT"), now, each_join, &j, &w->e));
    assert_int_equal(j.n, 1);
}

/* ---- What happened ------------------------------------------------------------------------------------------------ */

struct standing {
    enum delivery_state  state;
    enum delivery_status status, listed; /* listed: by a search of the mailbox */
    size_t               nattempts;
    char                 answer[1100];
};

static int each_row(void *ctx, const struct store_row *r)
{
    *(enum delivery_status *)ctx = r->status;
    return 0;
}

static struct standing look(struct world *w, const struct uuid *uid)
{
    struct store_search     q = {.scope = store_scope_mailbox(first_box), .has_uid = true, .uid = *uid};
    struct store_search_end end;
    struct store_timeline   t;
    struct standing         s = {0};
    struct arena            a;

    arena_init(&a, 4 << 20);
    OK(w, store_timeline(w->more, uid, STORE_SCOPE_GLOBAL, &a, &t, &w->e));
    s.state = t.deliveries[0].delivery.state;
    s.status = t.deliveries[0].status;
    s.nattempts = t.deliveries[0].nattempts;
    snprintf(s.answer, sizeof s.answer, "%.*s", SPAN_ARG(t.deliveries[0].answer));
    OK(w, store_search(w->more, &q, each_row, &s.listed, &end, &w->e));
    for (unsigned i = 0; i <= STATUS_REJECTED; i++) {
        enum delivery_status found = s.listed;

        q.statuses = 1u << i;
        OK(w, store_search(w->more, &q, each_row, &found, &end, &w->e));
        assert_int_equal(found, s.listed);
    }
    arena_fini(&a);
    return s;
}

static struct store_events_done tell(struct world *w, const struct store_event *v, size_t n)
{
    struct store_events      all = {.events = v, .nevents = n};
    struct store_events_done done;

    OK(w, store_events_put(w->more, &all, &done, &w->e));
    return done;
}

static struct store_event attempt(struct uuid uid, int64_t at_us, enum delivery_state s, int64_t code,
                                  const char *response)
{
    return (struct store_event){.uid = uid,
                                .n = 1,
                                .at_us = at_us,
                                .has_state = true,
                                .state = s,
                                .has_attempt = true,
                                .queue_id = SPAN("Q1"),
                                .final_recipient = SPAN("anna@inside.example"),
                                .host = SPAN("mx.inside.example"),
                                .ip = SPAN("192.0.2.9"),
                                .port = 25,
                                .tls = SPAN("TLSv1.3"),
                                .dsn = SPAN("2.0.0"),
                                .code = code,
                                .response = span_of(response)};
}

static void a_delivery_goes_on_and_never_back(void **state)
{
    struct world            *w = world_of(state);
    struct letter            l;
    struct store_event       v[4];
    struct store_events_done done;
    struct standing          s;

    a_letter(&l);
    put(w, &l);
    v[0] = (struct store_event){.uid = l.m.uid, .n = 1, .at_us = 1, .has_state = true, .state = STATE_QUEUED};
    v[1] = attempt(l.m.uid, 2, STATE_DEFERRED, 451, "451 try later");
    v[2] = attempt(l.m.uid, 3, STATE_DEFERRED, 451, "451 try later");
    v[3] = attempt(l.m.uid, 4, STATE_DELIVERED, 250, "250 2.0.0 Ok");
    done = tell(w, v, 2);
    assert_true(done.moved == 2 && done.attempts == 1 && done.known == 0 && done.strange == 0);
    s = look(w, &l.m.uid);
    assert_true(s.state == STATE_DEFERRED && s.status == STATUS_QUEUED && s.listed == STATUS_QUEUED &&
                s.nattempts == 1);
    done = tell(w, v + 1, 3);
    assert_true(done.moved == 1 && done.attempts == 2 && done.known == 1);
    s = look(w, &l.m.uid);
    assert_true(s.state == STATE_DELIVERED && s.status == STATUS_DELIVERED && s.listed == STATUS_DELIVERED &&
                s.nattempts == 3);
    assert_string_equal(s.answer, "250 2.0.0 Ok");
    done = tell(w, v, 4);
    assert_true(done.moved == 0 && done.attempts == 0 && done.known == 4);
    s = look(w, &l.m.uid);
    assert_true(s.state == STATE_DELIVERED && s.nattempts == 3);
}

/* More than are taken at once, and against the order of the tables. */
static void of_many_deliveries_each_goes_its_way_in_the_order_of_its_events(void **state)
{
    enum { MANY = 400, STEPS = 3 };
    static const char *const         said[STEPS] = {"451 first", "451 second", "250 third"};
    static const enum delivery_state is[STEPS] = {STATE_DEFERRED, STATE_DEFERRED, STATE_DELIVERED};
    static struct store_event        v[MANY * STEPS];
    static struct uuid               uids[MANY];
    struct world                    *w = world_of(state);
    struct store_events_done         done;

    for (size_t i = 0; i < MANY; i++) {
        struct letter l;

        a_letter(&l);
        put(w, &l);
        uids[i] = l.m.uid;
        for (size_t k = 0; k < STEPS; k++)
            v[k * MANY + MANY - 1 - i] = attempt(uids[i], (int64_t)k + 1, is[k], k == 2 ? 250 : 451, said[k]);
    }
    done = tell(w, v, COUNT(v));
    assert_true(done.moved == 2 * MANY && done.attempts == STEPS * MANY && done.known == 0);
    for (size_t i = 0; i < MANY; i += 57) {
        struct standing s = look(w, &uids[i]);

        assert_true(s.state == STATE_DELIVERED && s.listed == STATUS_DELIVERED && s.nattempts == STEPS);
        assert_string_equal(s.answer, "250 third");
    }
    done = tell(w, v, COUNT(v));
    assert_true(done.attempts == 0 && done.known == COUNT(v));
}

static void of_two_targets_of_an_alias_each_attempt_is_kept(void **state)
{
    struct world      *w = world_of(state);
    struct letter      l;
    struct store_event v[2];
    struct standing    s;

    a_letter(&l);
    put(w, &l);
    v[0] = attempt(l.m.uid, 5, STATE_DELIVERED, 250, "250 Ok");
    v[1] = v[0];
    v[1].final_recipient = SPAN("office@inside.example");
    v[1].state = STATE_BOUNCED;
    tell(w, v, 2);
    s = look(w, &l.m.uid);
    assert_true(s.state == STATE_DELIVERED && s.nattempts == 2);
}

static void what_is_held_is_moved_by_nobodys_word_until_it_is_released(void **state)
{
    static const enum delivery_verdict held[] = {DELIVERY_QUARANTINED, DELIVERY_BLOCKED,   DELIVERY_REJECTED,
                                                 DELIVERY_DEFERRED,    DELIVERY_DISCARDED, DELIVERY_REMOVED};
    struct world                      *w = world_of(state);

    for (size_t i = 0; i < COUNT(held); i++) {
        struct letter            l;
        struct store_event       v;
        struct store_events_done done;
        struct standing          before;

        a_letter(&l);
        l.to[0].verdict = held[i];
        put(w, &l);
        before = look(w, &l.m.uid);
        v = attempt(l.m.uid, 1, STATE_DELIVERED, 250, "250 says logger(1)");
        done = tell(w, &v, 1);
        assert_true(done.strange == 1 && done.moved == 0 && done.attempts == 0);
        v.state = STATE_RELEASED;
        done = tell(w, &v, 1);
        assert_true(done.strange == 1);
        assert_int_equal(look(w, &l.m.uid).status, before.status);
        OK(w, store_delivery_released(w->more, &l.m.uid, 1, SPAN("REL"), 7, &w->e));
        assert_int_equal(look(w, &l.m.uid).status, STATUS_RECEIVED);
        assert_int_equal(by_queue(w, "REL", l.m.at_us).at[0].n, 1);
        v.state = STATE_DELIVERED;
        done = tell(w, &v, 1);
        assert_true(done.moved == 1 && done.attempts == 1);
        assert_int_equal(look(w, &l.m.uid).status, STATUS_DELIVERED);
    }
}

static void what_is_not_there_or_no_text_is_strange_and_stops_nothing(void **state)
{
    struct world            *w = world_of(state);
    struct letter            l;
    struct store_event       v[3];
    struct store_events_done done;

    a_letter(&l);
    put(w, &l);
    v[0] = attempt(uuid7_make(), 1, STATE_DELIVERED, 250, "250 ok");
    v[1] = attempt(l.m.uid, 1, STATE_DELIVERED, 250, "250 \xFF");
    v[2] = attempt(l.m.uid, 1, STATE_DELIVERED, 250, "250 ok");
    done = tell(w, v, 3);
    assert_true(done.strange == 2 && done.moved == 1);
    REFUSED(w, ERR_NOT_FOUND, store_delivery_released(w->more, &l.m.uid, 9, SPAN_NONE, 7, &w->e));
    assert_false(db_in_transaction(((struct store *)w->more)->log));
}

static void attempts_without_end_and_responses_without_end_are_bounded(void **state)
{
    struct world           *w = world_of(state);
    static char             text[5000];
    struct letter           l;
    struct store_event      v;
    struct standing         s;
    struct store_words      one = {SEARCH_DELIVERY, SPAN("finally"), false};
    struct store_search     q = {.words = &one, .nwords = 1};
    struct store_search_end end;
    enum delivery_status    found = STATUS_BLOCKED;

    memset(text, 'x', sizeof text - 1);
    a_letter(&l);
    put(w, &l);
    for (int i = 0; i < STORE_ATTEMPTS_MAX + 10; i++) {
        v = attempt(l.m.uid, 1 + i, STATE_DEFERRED, 450,
                    i == 5                        ? text
                    : i == STORE_ATTEMPTS_MAX - 1 ? "finally"
                                                  : "450 wait");
        tell(w, &v, 1);
    }
    s = look(w, &l.m.uid);
    assert_int_equal(s.nattempts, STORE_ATTEMPTS_MAX);
    OK(w, store_search(w->more, &q, each_row, &found, &end, &w->e));
    assert_int_equal(found, STATUS_QUEUED);
    v = attempt(l.m.uid, 1000, STATE_DELIVERED, 250, "250 at last");
    tell(w, &v, 1);
    assert_int_equal(look(w, &l.m.uid).state, STATE_DELIVERED);
}

/* ---- Positions ---------------------------------------------------------------------------------------------------- */

static void a_position_is_written_with_its_events_or_not_at_all(void **state)
{
    struct world         *w = world_of(state);
    struct store_position p = {SPAN("/var/log/mail.log"), 3, 5, 4096, SPAN("\x01\x02\0\x03")}, back;
    struct store_events   all = {.positions = &p, .npositions = 1};
    struct arena          a;

    arena_init(&a, 1 << 16);
    assert_int_equal(store_position_get(w->more, p.path, &a, &back, &w->e), 0);
    OK(w, store_events_put(w->more, &all, NULL, &w->e));
    p.position = 8192;
    p.inode = INT64_MAX;
    OK(w, store_events_put(w->more, &all, NULL, &w->e));
    assert_int_equal(store_position_get(w->more, p.path, &a, &back, &w->e), 1);
    assert_true(back.position == 8192 && back.inode == INT64_MAX && back.device == 3 && span_eq(back.check, p.check));
    assert_int_equal(store_position_get(w->more, SPAN("/var/log/other"), &a, &back, &w->e), 0);
    arena_fini(&a);
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(a_queue_id_leads_to_its_deliveries),
        STORE(of_several_messages_under_one_queue_id_the_one_of_these_days_is_meant),
        STORE(without_a_queue_id_message_id_and_recipient_join_within_an_hour),
        STORE(a_further_queue_id_leads_to_what_it_was_tied_to),
        STORE(a_delivery_goes_on_and_never_back),
        STORE(of_many_deliveries_each_goes_its_way_in_the_order_of_its_events),
        STORE(of_two_targets_of_an_alias_each_attempt_is_kept),
        STORE(what_is_held_is_moved_by_nobodys_word_until_it_is_released),
        STORE(what_is_not_there_or_no_text_is_strange_and_stops_nothing),
        STORE(attempts_without_end_and_responses_without_end_are_bounded),
        STORE(a_position_is_written_with_its_events_or_not_at_all),
    };

    return run_on_both(tests, COUNT(tests));
}

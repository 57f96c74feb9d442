/* tests/unit/store_attempt.c - twin of lib/store/attempt.c. */
#include "store/attempt.h"

#include "log_world.h"
#include "store/join.h"
#include "store/search.h"

static void put(struct world *w, const struct letter *l)
{
    const struct store_message *m = &l->m;

    OK(w, store_message_put(w->more, &m, 1, &w->e));
}

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

static int take_n(void *n, size_t which, const struct store_join *j)
{
    (void)which;
    *(int64_t *)n = j->n;
    return 1;
}

static int64_t delivery_of(struct world *w, struct span queue_id, int64_t at_us)
{
    const struct store_join_ask ask = {.handle = queue_id, .at_us = at_us};
    int64_t                     n = 0;

    OK(w, store_join_queues(w->more, &ask, 1, take_n, &n, &w->e));
    return n;
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
        assert_int_equal(delivery_of(w, SPAN("REL"), l.m.at_us), 1);
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

/* tests/unit/store_message.c - twin of lib/store/message.c and message_json.c. */
#include "store/message.h"

#include <math.h>

#include "log_world.h"

/* ---- Status ------------------------------------------------------------------------------------------------------- */

static const struct {
    const char           *holds;
    enum delivery_verdict verdict;
    enum delivery_state   state;
    bool                  by_rule;
    enum delivery_status  status;
} statuses[] = {
    {"clean mail that nobody follows is received", DELIVERY_CLEAN, STATE_UNKNOWN, false, STATUS_RECEIVED},
    {"allowed mail is received", DELIVERY_ALLOWED, STATE_RECEIVED, true, STATUS_RECEIVED},
    {"queued mail is queued", DELIVERY_CLEAN, STATE_QUEUED, false, STATUS_QUEUED},
    {"mail that waits for another try is queued", DELIVERY_ALLOWED, STATE_DEFERRED, true, STATUS_QUEUED},
    {"delivered mail is delivered", DELIVERY_CLEAN, STATE_DELIVERED, false, STATUS_DELIVERED},
    {"bounced mail is rejected", DELIVERY_CLEAN, STATE_BOUNCED, false, STATUS_REJECTED},
    {"tagged mail is spam", DELIVERY_TAGGED, STATE_RECEIVED, false, STATUS_SPAM},
    {"tagged mail is spam when delivered too", DELIVERY_TAGGED, STATE_DELIVERED, false, STATUS_SPAM},
    {"tagged mail that bounced is rejected", DELIVERY_TAGGED, STATE_BOUNCED, false, STATUS_REJECTED},
    {"quarantined", DELIVERY_QUARANTINED, STATE_UNKNOWN, false, STATUS_QUARANTINED},
    {"quarantined by a rule is in quarantine", DELIVERY_QUARANTINED, STATE_UNKNOWN, true, STATUS_QUARANTINED},
    {"released mail is as clean mail", DELIVERY_QUARANTINED, STATE_RELEASED, false, STATUS_RECEIVED},
    {"released and delivered", DELIVERY_QUARANTINED, STATE_DELIVERED, true, STATUS_DELIVERED},
    {"released and bounced", DELIVERY_REMOVED, STATE_BOUNCED, true, STATUS_REJECTED},
    {"blocked", DELIVERY_BLOCKED, STATE_UNKNOWN, true, STATUS_BLOCKED},
    {"removed for one recipient is blocked", DELIVERY_REMOVED, STATE_UNKNOWN, true, STATUS_BLOCKED},
    {"discarded by a rule is blocked", DELIVERY_DISCARDED, STATE_UNKNOWN, true, STATUS_BLOCKED},
    {"discarded by score is spam", DELIVERY_DISCARDED, STATE_UNKNOWN, false, STATUS_SPAM},
    {"rejected by score", DELIVERY_REJECTED, STATE_UNKNOWN, false, STATUS_REJECTED},
    {"asked to try again is queued", DELIVERY_DEFERRED, STATE_UNKNOWN, false, STATUS_QUEUED},
};

static void the_status_follows_from_verdict_and_state(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(statuses); i++)
        CHECK(statuses[i].holds,
              delivery_status(statuses[i].verdict, statuses[i].state, statuses[i].by_rule) == statuses[i].status);
}

static const struct {
    const char           *holds;
    enum delivery_verdict verdict;
    enum delivery_state   state;
    bool                  released;
} releases[] = {
    {"what is held was not released", DELIVERY_QUARANTINED, STATE_UNKNOWN, false},
    {"what has just been released was", DELIVERY_QUARANTINED, STATE_RELEASED, true},
    {"it stays so in the queue", DELIVERY_REMOVED, STATE_QUEUED, true},
    {"and in the mailbox", DELIVERY_DISCARDED, STATE_DELIVERED, true},
    {"and when it came back", DELIVERY_QUARANTINED, STATE_BOUNCED, true},
    {"what was never held is not released", DELIVERY_TAGGED, STATE_DELIVERED, false},
};

static void released_mail_stays_so_however_far_it_comes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(releases); i++)
        CHECK(releases[i].holds, delivery_was_released(releases[i].verdict, releases[i].state) == releases[i].released);
}

/* ---- Rows --------------------------------------------------------------------------------------------------------- */

static void a_record_becomes_rows_of_every_table(void **state)
{
    struct world               *w = world_of(state);
    struct letter               l;
    const struct store_message *m = &l.m;

    a_letter(&l);
    l.to[0].verdict = DELIVERY_QUARANTINED;
    l.m.kept = true;
    l.m.kept_bytes = 1000;
    OK(w, store_message_put(w->more, &m, 1, &w->e));
    assert_int_equal(log_number(w, "SELECT COUNT(*) FROM message"), 1);
    assert_int_equal(log_number(w, "SELECT COUNT(*) FROM delivery"), 2);
    assert_int_equal(log_number(w, "SELECT COUNT(*) FROM delivery_mailbox"), 2);
    assert_int_equal(log_number(w, "SELECT COUNT(*) FROM custody"), 1);
    assert_int_equal(log_number(w, "SELECT COUNT(*) FROM held"), 2);
    assert_int_equal(log_number(w, "SELECT COUNT(*) FROM delivery WHERE status = 'quarantined'"), 1);
    assert_int_equal(log_number(w, "SELECT COUNT(*) FROM log_day"), 1);
}

static void the_same_record_again_changes_nothing(void **state)
{
    struct world               *w = world_of(state);
    struct letter               l, other;
    const struct store_message *first[] = {&l.m}, *again[] = {&l.m, &other.m, &l.m, &other.m};

    a_letter(&l);
    a_letter(&other);
    OK(w, store_message_put(w->more, first, 1, &w->e));
    l.m.subject = SPAN("another one");
    OK(w, store_message_put(w->more, again, 4, &w->e));
    assert_int_equal(log_number(w, "SELECT COUNT(*) FROM message"), 2);
    assert_int_equal(log_number(w, "SELECT COUNT(*) FROM delivery"), 4);
    assert_int_equal(log_number(w, "SELECT COUNT(*) FROM message WHERE subject = 'another one'"), 0);
}

static void texts_that_no_database_takes_are_mended(void **state)
{
    struct world               *w = world_of(state);
    struct letter               l;
    const struct store_message *m = &l.m;

    a_letter(&l);
    l.m.subject = SPAN("cut \xC3");
    l.m.helo = SPAN("a\0b");
    l.to[0].recipient = SPAN("\xFF@ours.example");
    OK(w, store_message_put(w->more, &m, 1, &w->e));
    assert_int_equal(log_number(w, "SELECT COUNT(*) FROM message WHERE subject = 'cut \xEF\xBF\xBD'"), 1);
}

static void a_message_with_ten_thousand_recipients_is_written_and_one_more_is_refused(void **state)
{
    struct world               *w = world_of(state);
    struct letter               l;
    const struct store_message *m = &l.m;
    struct store_delivery      *many = calloc(STORE_DELIVERIES_MAX + 1, sizeof *many);

    a_letter(&l);
    for (size_t i = 0; i <= STORE_DELIVERIES_MAX; i++)
        many[i] = l.to[0];
    l.m.deliveries = many;
    l.m.ndeliveries = STORE_DELIVERIES_MAX + 1;
    REFUSED(w, ERR_LIMIT, store_message_put(w->more, &m, 1, &w->e));
    l.m.ndeliveries = STORE_DELIVERIES_MAX;
    OK(w, store_message_put(w->more, &m, 1, &w->e));
    assert_int_equal(log_number(w, "SELECT COUNT(*) FROM delivery"), STORE_DELIVERIES_MAX);
    free(many);
}

/* Ids reach from one UID's place into the next one's: nothing may collide. */
static void messages_of_one_moment_with_many_recipients_do_not_collide(void **state)
{
    struct world               *w = world_of(state);
    struct letter               letters[20];
    const struct store_message *all[20];
    struct store_delivery      *many = calloc(2000, sizeof *many);

    for (size_t i = 0; i < COUNT(letters); i++) {
        a_letter(&letters[i]);
        letters[i].m.uid = letters[0].m.uid;
        letters[i].m.uid.b[15] = (uint8_t)i; /* the same tick */
        letters[i].m.deliveries = many;
        letters[i].m.ndeliveries = 2000;
        all[COUNT(letters) - 1 - i] = &letters[i].m;
    }
    for (size_t i = 0; i < 2000; i++)
        many[i] = letters[0].to[0];
    OK(w, store_message_put(w->more, all, 7, &w->e));
    OK(w, store_message_put(w->more, all + 7, 13, &w->e));
    assert_int_equal(log_number(w, "SELECT COUNT(*) FROM delivery"), 40000);
    free(many);
}

/* ---- JSON --------------------------------------------------------------------------------------------------------- */

static void same(struct span a, struct span b) { assert_true(span_eq(a, b)); }

static void a_record_comes_back_from_json_as_it_was(void **state)
{
    struct letter        l;
    struct store_message back;
    struct arena         a;
    struct buf           json, again;
    struct err           e = ERR_INIT;

    (void)state;
    a_letter(&l);
    l.m.subject = SPAN("quotes \" and \\ and \t and \xF0\x9F\x93\xAC");
    l.m.has_score = true;
    l.m.score = 0.1;
    l.m.kept = true;
    l.m.sha256 = span_make("\0\x01\xFE\xFF"
                           "0123456789abcdef0123456789ab",
                           32);
    l.to[1].has_score = false;
    l.to[1].has_mailbox = false;
    l.to[1].state = STATE_DELIVERED;
    arena_init(&a, 1 << 20);
    buf_init(&json, 1 << 20);
    buf_init(&again, 1 << 20);
    store_message_put_json(&json, &l.m);
    if (store_message_read_json(buf_span(&json), &a, &back, &e) < 0)
        fail_msg("%s", e.text);
    store_message_put_json(&again, &back);
    same(buf_span(&json), buf_span(&again));
    same(back.subject, l.m.subject);
    same(back.sha256, l.m.sha256);
    assert_true(back.score == 0.1 && back.has_score && back.kept);
    assert_int_equal(back.ndeliveries, 2);
    assert_false(back.deliveries[1].has_mailbox || back.deliveries[1].has_score);
    assert_int_equal(back.deliveries[1].state, STATE_DELIVERED);
    assert_true(uuid_cmp(&back.uid, &l.m.uid) == 0);
    arena_fini(&a);
    buf_fini(&json);
    buf_fini(&again);
}

static void what_cannot_stand_in_json_is_mended_on_its_way(void **state)
{
    struct letter        l;
    struct store_message back;
    struct arena         a;
    struct buf           json;
    struct err           e = ERR_INIT;

    (void)state;
    a_letter(&l);
    l.m.subject = SPAN("a\0b\xFF");
    l.m.has_score = true;
    l.m.score = NAN;
    arena_init(&a, 1 << 20);
    buf_init(&json, 1 << 20);
    store_message_put_json(&json, &l.m);
    assert_int_equal(store_message_read_json(buf_span(&json), &a, &back, &e), 0);
    assert_true(span_is(back.subject, "a\xEF\xBF\xBD"
                                      "b\xEF\xBF\xBD"));
    assert_false(back.has_score);
    arena_fini(&a);
    buf_fini(&json);
}

#define UID "\"uid\":\"0193a5b0-0000-7000-8000-000000000000\""
static const struct {
    const char *holds, *json;
    bool        good;
} hostile[] = {
    {"the least record", "{" UID "}", true},
    {"nothing", "", false},
    {"an array", "[]", false},
    {"no uid", "{}", false},
    {"a uid that is none", "{\"uid\":\"x\"}", false},
    {"a uid that is a number", "{\"uid\":1}", false},
    {"cut", "{" UID ",\"subject\":\"", false},
    {"something behind it", "{" UID "} {}", false},
    {"a number where a text belongs", "{" UID ",\"subject\":1}", false},
    {"a time with a fraction", "{" UID ",\"at_us\":1.5}", false},
    {"a time that no number holds", "{" UID ",\"at_us\":99999999999999999999}", false},
    {"a score that no number holds", "{" UID ",\"score\":1e999}", false},
    {"negative bytes", "{" UID ",\"kept_bytes\":-1}", false},
    {"a hash that is too short", "{" UID ",\"sha256\":\"ab\"}", false},
    {"a hash of other letters",
     "{" UID ",\"sha256\":\"zz0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\"}", false},
    {"a direction that is none", "{" UID ",\"direction\":\"up\"}", false},
    {"an unknown member with a value is passed over", "{" UID ",\"later\":1}", true},
    {"an unknown member with an array is not", "{" UID ",\"later\":[[[[1]]]]}", false},
    {"deliveries that are none", "{" UID ",\"deliveries\":{}}", false},
    {"deliveries twice", "{" UID ",\"deliveries\":[],\"deliveries\":[]}", false},
    {"a delivery that is none", "{" UID ",\"deliveries\":[1]}", false},
    {"a verdict that is none", "{" UID ",\"deliveries\":[{\"verdict\":\"nice\"}]}", false},
    {"a domain that is null is none", "{" UID ",\"deliveries\":[{\"domain\":null}]}", true},
    {"a text that is null", "{" UID ",\"subject\":null}", false},
};

static void a_record_in_damaged_json_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(hostile); i++) {
        struct store_message m;
        struct arena         a;
        struct err           e = ERR_INIT;
        int                  rc;

        arena_init(&a, 1 << 16);
        rc = store_message_read_json(span_of(hostile[i].json), &a, &m, &e);
        CHECK(hostile[i].holds, (rc == 0) == hostile[i].good);
        CHECK(hostile[i].holds, rc == 0 || e.code == ERR_INVALID);
        arena_fini(&a);
    }
}

static void a_record_with_too_many_deliveries_or_too_little_memory_is_refused(void **state)
{
    struct store_message m;
    struct arena         a;
    struct buf           json;
    struct err           e = ERR_INIT;

    (void)state;
    buf_init(&json, 1 << 20);
    buf_puts(&json, "{" UID ",\"deliveries\":[{}");
    for (size_t i = 0; i < STORE_DELIVERIES_MAX; i++)
        buf_puts(&json, ",{}");
    buf_puts(&json, "]}");
    arena_init(&a, 64 << 20);
    assert_int_equal(store_message_read_json(buf_span(&json), &a, &m, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
    arena_fini(&a);
    arena_init(&a, 1 << 15);
    assert_int_equal(store_message_read_json(buf_span(&json), &a, &m, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
    arena_fini(&a);
    buf_fini(&json);
}

int main(void)
{
    static const struct both_test tests[] = {
        SQLITE_ONLY(the_status_follows_from_verdict_and_state),
        SQLITE_ONLY(released_mail_stays_so_however_far_it_comes),
        STORE(a_record_becomes_rows_of_every_table),
        STORE(the_same_record_again_changes_nothing),
        STORE(texts_that_no_database_takes_are_mended),
        STORE(a_message_with_ten_thousand_recipients_is_written_and_one_more_is_refused),
        STORE(messages_of_one_moment_with_many_recipients_do_not_collide),
        SQLITE_ONLY(a_record_comes_back_from_json_as_it_was),
        SQLITE_ONLY(what_cannot_stand_in_json_is_mended_on_its_way),
        SQLITE_ONLY(a_record_in_damaged_json_is_refused),
        SQLITE_ONLY(a_record_with_too_many_deliveries_or_too_little_memory_is_refused),
    };

    return run_on_both(tests, COUNT(tests));
}

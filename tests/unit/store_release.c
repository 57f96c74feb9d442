/* The steps of a release: which are possible from where, and who may take them. */
#include "log_world.h"
#include "store/release.h"
#include "store/search.h"

#define HOUR_US (3600 * INT64_C(1000000))

/* A message that was quarantined for its first recipient. */
static struct uuid hold(struct world *w)
{
    const struct store_message *list[1];
    struct letter               l;

    a_letter(&l);
    l.to[0].verdict = DELIVERY_QUARANTINED;
    l.m.kept = true;
    l.m.keep_us = l.m.at_us + HOUR_US;
    l.m.kept_bytes = 1000;
    l.m.sha256 = SPAN("01234567890123456789012345678901");
    l.m.key_id = SPAN("key");
    list[0] = &l.m;
    OK(w, store_message_put(w->more, list, 1, &w->e));
    return l.m.uid;
}

static struct store_release claimed(struct world *w, struct uuid uid)
{
    struct store_release r;

    OK(w, store_release_request(w->more, &root, uid, 1, false, "", NULL, &w->e));
    OK(w, store_release_claim(w->more, uid, 1, clock_wall_us(), &r, &w->e));
    return r;
}

static void end_as(struct world *w, struct store_release *r, enum release_state state, int64_t code, const char *reply)
{
    r->state = state;
    r->code = code;
    snprintf(r->reply, sizeof r->reply, "%s", reply);
    OK(w, store_release_done(w->more, r, &w->e));
}

static enum release_state state_of(struct world *w, struct uuid uid)
{
    struct store_release r = {.state = RELEASE_FAILED};

    assert_int_equal(store_release_get(w->more, uid, 1, &r, &w->e), 1);
    return r.state;
}

/* ---- the way through ---- */

static void a_release_goes_from_its_request_to_the_servers_reply(void **state)
{
    struct world            *w = world_of(state);
    struct store            *s = w->more;
    struct uuid              uid = hold(w);
    struct store_release     r;
    struct store_timeline    t;
    struct arena             a;
    struct store_release_hop hop = {.recipient = SPAN("anna+news@ours.example"),
                                    .host = SPAN("127.0.0.1"),
                                    .ip = SPAN("127.0.0.1"),
                                    .port = 10025,
                                    .dsn = SPAN("2.0.0")};

    assert_int_equal(store_release_get(s, uid, 1, &r, &w->e), 0);
    OK(w, store_release_request(s, &root, uid, 1, false, "", &r, &w->e));
    assert_int_equal(r.state, RELEASE_REQUESTED);
    assert_string_equal(r.requested_by, "root");
    OK(w, store_release_request(s, &root, uid, 1, false, "", NULL, &w->e));
    OK(w, store_release_claim(s, uid, 1, clock_wall_us(), &r, &w->e));
    assert_int_equal(r.state, RELEASE_SENDING);
    assert_int_equal(r.attempt, 1);
    OK(w, store_release_dot(s, &r, clock_wall_us(), &w->e));
    CHECK("what is written down before the dot is that nobody knows", state_of(w, uid) == RELEASE_UNKNOWN);
    snprintf(r.queue_id, sizeof r.queue_id, "4New");
    end_as(w, &r, RELEASE_SENT, 250, "2.0.0 Ok: queued as 4New");
    for (int i = 0; i < 2; i++) /* twice is as once */
        OK(w, store_release_tell(s, &r, &hop, &w->e));
    arena_init(&a, 1 << 20);
    OK(w, store_timeline(s, &uid, STORE_SCOPE_GLOBAL, &a, &t, &w->e));
    assert_int_equal(t.deliveries[0].delivery.state, STATE_RELEASED);
    assert_int_equal(t.deliveries[0].nattempts, 1);
    CHECK("its attempt has the new queue id", span_is(t.deliveries[0].attempts[0].queue_id, "4New"));
    CHECK("under which what follows is found", t.nlinks == 1 && span_is(t.links[0].queue_id, "4New"));
    CHECK("the other recipient's copy is as it was", t.deliveries[1].delivery.state != STATE_RELEASED);
    arena_fini(&a);
}

/* ---- what is refused ---- */

static void what_was_sent_is_never_sent_again(void **state)
{
    struct world        *w = world_of(state);
    struct uuid          uid = hold(w);
    struct store_release r = claimed(w, uid);

    OK(w, store_release_dot(w->more, &r, clock_wall_us(), &w->e));
    end_as(w, &r, RELEASE_SENT, 250, "2.0.0 Ok: queued as 4New");
    REFUSED(w, ERR_CONFLICT, store_release_request(w->more, &root, uid, 1, false, "", NULL, &w->e));
    assert_non_null(strstr(w->e.text, "queued as 4New"));
    REFUSED(w, ERR_CONFLICT, store_release_request(w->more, &root, uid, 1, true, "", NULL, &w->e));
    REFUSED(w, ERR_CONFLICT, store_release_claim(w->more, uid, 1, clock_wall_us(), &r, &w->e));
    assert_int_equal(state_of(w, uid), RELEASE_SENT);
}

static void what_nobody_knows_is_sent_again_only_by_a_person_who_says_so(void **state)
{
    struct world        *w = world_of(state);
    struct uuid          uid = hold(w);
    struct store_release r = claimed(w, uid);

    OK(w, store_release_dot(w->more, &r, clock_wall_us(), &w->e));
    REFUSED(w, ERR_BUSY, store_release_request(w->more, &root, uid, 1, true, "", NULL, &w->e));
    end_as(w, &r, RELEASE_UNKNOWN, 0, "the connection was closed");
    REFUSED(w, ERR_CONFLICT, store_release_request(w->more, &root, uid, 1, false, "", NULL, &w->e));
    REFUSED(w, ERR_CONFLICT, store_release_claim(w->more, uid, 1, clock_wall_us() + HOUR_US, &r, &w->e));
    OK(w, store_release_request(w->more, &root, uid, 1, true, "", &r, &w->e));
    assert_int_equal(r.state, RELEASE_REQUESTED);
    OK(w, store_release_claim(w->more, uid, 1, clock_wall_us(), &r, &w->e));
    assert_int_equal(r.attempt, 2);
}

static void what_was_refused_can_be_asked_for_again(void **state)
{
    struct world        *w = world_of(state);
    struct uuid          uid = hold(w);
    struct store_release r = claimed(w, uid);

    end_as(w, &r, RELEASE_FAILED, 550, "5.1.1 no such user");
    REFUSED(w, ERR_CONFLICT, store_release_claim(w->more, uid, 1, clock_wall_us(), &r, &w->e));
    assert_false(store_release_is_withdrawn(&r));
    OK(w, store_release_request(w->more, &root, uid, 1, false, "", &r, &w->e));
    assert_int_equal(r.state, RELEASE_REQUESTED);
    assert_string_equal(r.reply, "");
}

static void only_what_nobody_has_begun_to_send_can_be_taken_back(void **state)
{
    static const struct actor other = {.kind = ACTOR_ACCOUNT, .name = "roo"};
    struct world             *w = world_of(state);
    struct uuid               uid = hold(w);
    struct store_release      r;

    REFUSED(w, ERR_NOT_FOUND, store_release_withdraw(w->more, &root, uid, 1, &w->e));
    OK(w, store_release_request(w->more, &root, uid, 1, false, "", NULL, &w->e));
    OK(w, store_release_get(w->more, uid, 1, &r, &w->e) > 0 ? 0 : -1);
    CHECK("whose it is", store_release_can_withdraw(&r, &root) && !store_release_can_withdraw(&r, &other));
    REFUSED(w, ERR_DENIED, store_release_withdraw(w->more, &other, uid, 1, &w->e));
    OK(w, store_release_withdraw(w->more, &root, uid, 1, &w->e));
    REFUSED(w, ERR_CONFLICT, store_release_claim(w->more, uid, 1, clock_wall_us(), &r, &w->e));
    CHECK("it is in the list of what failed",
          store_release_get(w->more, uid, 1, &r, &w->e) == 1 && r.state == RELEASE_FAILED && r.code == 0);
    assert_true(store_release_is_withdrawn(&r));
    r = claimed(w, uid);
    REFUSED(w, ERR_BUSY, store_release_withdraw(w->more, &root, uid, 1, &w->e));
    end_as(w, &r, RELEASE_SENT, 250, "2.0.0 taken");
    REFUSED(w, ERR_CONFLICT, store_release_withdraw(w->more, &root, uid, 1, &w->e));
}

/* ---- several who send, and some who die ---- */

static void one_sender_at_a_time_has_a_release(void **state)
{
    struct world        *w = world_of(state);
    struct uuid          uid = hold(w);
    struct store_release r = claimed(w, uid), other;

    REFUSED(w, ERR_BUSY, store_release_claim(w->more, uid, 1, clock_wall_us(), &other, &w->e));
    REFUSED(w, ERR_BUSY, store_release_request(w->more, &root, uid, 1, true, "", NULL, &w->e));
    REFUSED(w, ERR_NOT_FOUND, store_release_claim(w->more, uid, 2, clock_wall_us(), &other, &w->e));
    end_as(w, &r, RELEASE_REQUESTED, 0, "nobody listens");
    OK(w, store_release_claim(w->more, uid, 1, clock_wall_us(), &other, &w->e));
    assert_int_equal(other.attempt, 2);
}

static void who_was_overtaken_sends_no_dot(void **state)
{
    struct world        *w = world_of(state);
    struct uuid          uid = hold(w);
    struct store_release slow = claimed(w, uid), quick;

    OK(w, store_release_claim(w->more, uid, 1, slow.lease_until_us, &quick, &w->e));
    REFUSED(w, ERR_CONFLICT, store_release_dot(w->more, &slow, clock_wall_us(), &w->e));
    slow.state = RELEASE_FAILED;
    REFUSED(w, ERR_CONFLICT, store_release_done(w->more, &slow, &w->e));
    OK(w, store_release_dot(w->more, &quick, clock_wall_us(), &w->e));
    REFUSED(w, ERR_CONFLICT, store_release_dot(w->more, &quick, clock_wall_us(), &w->e));
}

static int count_open(void *ctx, const struct store_release *r)
{
    (void)r;
    ++*(int *)ctx;
    return 0;
}

static int open_at(struct world *w, int64_t now_us)
{
    int n = 0;

    OK(w, store_release_open(w->more, now_us, 10, count_open, &n, &w->e));
    return n;
}

static void whose_sender_died_before_the_dot_is_open_again_when_its_lease_lapses(void **state)
{
    struct world        *w = world_of(state);
    struct uuid          uid = hold(w), second = hold(w);
    struct store_release r;
    int64_t              now_us = clock_wall_us();

    OK(w, store_release_request(w->more, &root, uid, 1, false, "", NULL, &w->e));
    assert_int_equal(open_at(w, now_us), 1);
    r = claimed(w, second);
    assert_int_equal(open_at(w, now_us), 1);
    assert_int_equal(open_at(w, now_us + HOUR_US), 2);
    OK(w, store_release_dot(w->more, &r, now_us, &w->e));
    CHECK("behind the dot nobody takes it up", open_at(w, now_us + HOUR_US) == 1);
}

static void a_release_is_remembered_for_as_long_as_its_message_is_held(void **state)
{
    struct world        *w = world_of(state);
    struct uuid          held = hold(w), gone = hold(w);
    struct store_release r;
    struct store_trim    done;
    int64_t              tomorrow = clock_wall_us() / (24 * HOUR_US) + 1;

    claimed(w, held);
    claimed(w, gone);
    OK(w, store_custody_move(w->more, &gone, 1, CUSTODY_GONE, &w->e));
    OK(w, store_message_trim(w->more, tomorrow - 1, NULL, NULL, &done, &w->e));
    CHECK("its day is still in the log", store_release_get(w->more, gone, 1, &r, &w->e) == 1);
    OK(w, store_message_trim(w->more, tomorrow, NULL, NULL, &done, &w->e));
    CHECK("with its day", store_release_get(w->more, gone, 1, &r, &w->e) == 0);
    CHECK("but not while it could be asked for again", store_release_get(w->more, held, 1, &r, &w->e) == 1);
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(a_release_goes_from_its_request_to_the_servers_reply),
        STORE(what_was_sent_is_never_sent_again),
        STORE(what_nobody_knows_is_sent_again_only_by_a_person_who_says_so),
        STORE(what_was_refused_can_be_asked_for_again),
        STORE(only_what_nobody_has_begun_to_send_can_be_taken_back),
        STORE(one_sender_at_a_time_has_a_release),
        STORE(who_was_overtaken_sends_no_dot),
        STORE(whose_sender_died_before_the_dot_is_open_again_when_its_lease_lapses),
        STORE(a_release_is_remembered_for_as_long_as_its_message_is_held),
    };

    return run_on_both(tests, COUNT(tests));
}

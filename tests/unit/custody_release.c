/* Held mail on its way back: through a store, a vault and a mail server of the test's own, with faults and deaths at every step. */
#include "custody/release.h"
#include "held_world.h"
#include "smtp_server.h"
#include "store/bypass.h"
#include "store/domain.h"
#include "store/search.h"

#define MAIL "From: a@ext.test\r\nSubject: hi\r\n\r\n.dot\r\nbody\r\n"
static const char mail_heard[] = "|From: a@ext.test\n|Subject: hi\n|\n|..dot\n|body\n|.\n";

static const struct release_asked once = {.again = false}, again = {.again = true};

/* A site with what is held, and how it is released. */
struct site {
    struct world      *w;
    char               delivery[160];
    struct held_world  held;
    struct server      server;
    struct release_how how;
};

static void open_site(struct site *x, struct world *w, const struct answer *script, const char *query)
{
    *x = (struct site){.w = w};
    open_held(&x->held, w);
    start(&x->server, script, false);
    snprintf(x->delivery, sizeof x->delivery, "%s%s", x->server.url, query);
    x->how = (struct release_how){.store = w->more,
                                  .vault = x->held.vault,
                                  .keys = x->held.keys,
                                  .url = x->delivery,
                                  .message_max = 1 << 20,
                                  .prefix = "POSTERN"};
}

static void close_site(struct site *x)
{
    close_held(&x->held);
    stop(&x->server);
}

/* Holds the message for its first recipient; the second had it delivered. */
static struct uuid hold(struct site *x)
{
    struct letter l;

    a_letter(&l);
    l.to[0].verdict = DELIVERY_QUARANTINED;
    l.to[0].has_domain = l.to[0].has_mailbox = false;
    hold_letter(&x->held, &l, SPAN(MAIL), HELD_WHOLE);
    return l.m.uid;
}

static enum release_state state_of(struct site *x, struct uuid uid)
{
    struct store_release r = {.state = RELEASE_FAILED};

    assert_int_equal(store_release_get(x->how.store, uid, 1, &r, &x->w->e), 1);
    return r.state;
}

static size_t times_heard(struct site *x, const char *text)
{
    struct span rest = buf_span(&x->server.heard);
    size_t      n = 0, at;

    while ((at = span_find(rest, span_of(text))) < rest.n) {
        rest = span_skip(rest, at + 1);
        n++;
    }
    return n;
}

static int on_unfinished(void *ctx, const struct store_release *r, const struct err *why)
{
    (void)r;
    *(int *)ctx += why == NULL;
    return 0;
}

/* What the next one does that goes on with what was left, once every lease has lapsed. */
static int finish(struct site *x)
{
    int sent = 0;

    OK(x->w, db_run(x->how.store->log, "UPDATE release SET lease_until_us = 0", NULL, 0, NULL, &x->w->e));
    OK(x->w, release_unfinished(&x->how, &root, 0, on_unfinished, &sent, &x->w->e));
    return sent;
}

/* ---- as it should be ---- */

static void a_held_message_arrives_byte_for_byte_below_our_field(void **state)
{
    struct world        *w = world_of(state);
    struct store_release r;
    struct site          x;
    struct uuid          uid;
    char                 text[UUID_TEXT + 1], want[600];

    open_site(&x, w, NULL, "");
    uid = hold(&x);
    uuid_format(&uid, text);
    OK(w, release_send(&x.how, &root, uid, 1, &once, &r, &w->e));
    assert_int_equal(r.state, RELEASE_SENT);
    assert_string_equal(r.queue_id, "4XyZ123");
    hang_up(&x.server);
    snprintf(want, sizeof want,
             "IDENT=4XyZ12AbCdz1Qr SOURCE=REMOTE\nMAIL FROM:<billing@partner.example>\n"
             "RCPT TO:<anna+news@ours.example> NOTIFY=NEVER\nDATA\n|X-Postern-Released: %s; ",
             text);
    CHECK("the first envelope and our field", times_heard(&x, want) == 1);
    CHECK("the bytes as they came", times_heard(&x, mail_heard) == 1);
    CHECK("and nothing that would let it past a scan", times_heard(&x, BYPASS_FIELD) == 0);
    REFUSED(w, ERR_CONFLICT, release_send(&x.how, &root, uid, 1, &again, &r, &w->e));
    assert_int_equal(r.state, RELEASE_SENT);
    close_site(&x);
}

/* The message as the server got it. */
static void unstuff(struct site *x, struct buf *out)
{
    struct span rest = buf_span(&x->server.heard), line;

    while (span_line(&rest, &line)) {
        if (line.n == 0 || line.p[0] != '|' || span_is(line, "|."))
            continue;
        line = span_skip(line, span_starts(line, SPAN("|..")) ? 2 : 1);
        buf_put(out, line);
        buf_puts(out, "\r\n");
    }
}

static void where_the_way_leads_through_milters_the_message_carries_its_bypass(void **state)
{
    struct world        *w = world_of(state);
    uint8_t              key[BYPASS_KEY_BYTES];
    struct store_release r;
    struct bypass        b;
    struct site          x;
    struct uuid          uid;
    struct buf           got;

    open_site(&x, w, NULL, "?bypass=on");
    uid = hold(&x);
    OK(w, release_send(&x.how, &root, uid, 1, &once, &r, &w->e));
    hang_up(&x.server);
    buf_init(&got, 1 << 20);
    unstuff(&x, &got);
    OK(w, keyring_secret(x.held.keys, BYPASS_SECRET, key, &w->e));
    assert_true(bypass_check(key, buf_span(&got), SPAN("anna+news@ours.example"), clock_wall_us(), &b));
    assert_true(uuid_eq(&b.uid, &uid));
    CHECK("where no milter has asked for it, it is spent all the same",
          store_bypass_spend(w->more, &b, clock_wall_us(), &w->e) == 0);
    buf_fini(&got);
    close_site(&x);
}

/* Of a domain with that route. */
static struct uuid hold_of_domain(struct site *x, const char *route)
{
    struct store_domain d = {.name = "ours.example", .state = DOMAIN_ACTIVE};
    struct letter       l;

    snprintf(d.route, sizeof d.route, "%s", route);
    OK(x->w, store_domain_add(x->w->more, &root, &d, &d.id, &x->w->e));
    a_letter(&l);
    l.to[0].verdict = DELIVERY_QUARANTINED;
    l.to[0].has_mailbox = false;
    l.to[0].domain = d.id;
    hold_letter(&x->held, &l, SPAN(MAIL), HELD_WHOLE);
    return l.m.uid;
}

static void a_domain_with_a_mail_server_of_its_own_gets_its_mail_there(void **state)
{
    struct world        *w = world_of(state);
    struct store_release r;
    struct site          x;

    open_site(&x, w, NULL, "?bypass=on");
    x.how.url = "smtp://127.0.0.1:1";
    OK(w, release_send(&x.how, &root, hold_of_domain(&x, x.delivery), 1, &once, &r, &w->e));
    hang_up(&x.server);
    CHECK("it arrived there", r.state == RELEASE_SENT && times_heard(&x, mail_heard) == 1);
    CHECK("with the bypass that the route asks for", times_heard(&x, BYPASS_FIELD) == 1);
    close_site(&x);
}

static void routes_of_the_domains_are_way_enough(void **state)
{
    struct world        *w = world_of(state);
    struct store_release r;
    struct site          x;
    struct uuid          lost;

    open_site(&x, w, NULL, "");
    lost = hold(&x);
    x.how.url = "";
    REFUSED(w, ERR_INVALID, release_send(&x.how, &root, lost, 1, &once, &r, &w->e));
    assert_non_null(strstr(w->e.text, "no domain has a route"));
    OK(w, release_send(&x.how, &root, hold_of_domain(&x, x.delivery), 1, &once, &r, &w->e));
    hang_up(&x.server);
    CHECK("it arrived there", r.state == RELEASE_SENT && times_heard(&x, mail_heard) == 1);
    REFUSED(w, ERR_INVALID, release_send(&x.how, &root, lost, 1, &once, &r, &w->e));
    assert_non_null(strstr(w->e.text, "its domain has no route"));
    CHECK("and nothing waits for a way", store_release_get(w->more, lost, 1, &r, &w->e) == 0);
    close_site(&x);
}

static void a_route_that_is_a_next_hop_and_no_more_changes_nothing(void **state)
{
    struct world        *w = world_of(state);
    struct store_release r;
    struct site          x;

    open_site(&x, w, NULL, "");
    OK(w, release_send(&x.how, &root, hold_of_domain(&x, "192.0.2.9:25"), 1, &once, &r, &w->e));
    close_site(&x);
}

/* ---- what is not released ---- */

static void only_what_was_held_is_released(void **state)
{
    struct world        *w = world_of(state);
    struct store_release r;
    struct site          x;
    struct uuid          uid, never = uuid7_make();

    open_site(&x, w, NULL, "");
    uid = hold(&x);
    REFUSED(w, ERR_INVALID, release_send(&x.how, &root, uid, 2, &once, &r, &w->e));
    REFUSED(w, ERR_NOT_FOUND, release_send(&x.how, &root, uid, 3, &once, &r, &w->e));
    REFUSED(w, ERR_NOT_FOUND, release_send(&x.how, &root, never, 1, &once, &r, &w->e));
    CHECK("and leaves no request behind", store_release_get(w->more, uid, 2, &r, &w->e) == 0);
    x.how.url = "";
    REFUSED(w, ERR_INVALID, release_send(&x.how, &root, uid, 1, &once, &r, &w->e));
    assert_int_equal(x.server.connections, 0);
    close_site(&x);
}

/* ---- faults ---- */

static const struct fault {
    const char        *holds;
    struct answer      script[2]; /* once; then all is well */
    enum release_state left;
    bool               finishes, again; /* without anybody's doing; when asked for again, without saying so */
} faults[] = {
    {"nobody to talk to", {{"EHLO", NULL, 1}}, RELEASE_REQUESTED, true, true},
    {"cut at MAIL", {{"MAIL", NULL, 1}}, RELEASE_REQUESTED, true, true},
    {"cut at RCPT", {{"RCPT", NULL, 1}}, RELEASE_REQUESTED, true, true},
    {"cut at DATA", {{"DATA", NULL, 1}}, RELEASE_REQUESTED, true, true},
    {"cut behind the dot", {{".", NULL, 1}}, RELEASE_UNKNOWN, false, false},
    {"refused for now", {{"RCPT", "451 4.3.0 later\r\n", 1}}, RELEASE_FAILED, false, true},
    {"refused", {{"RCPT", "550 5.1.1 no\r\n", 1}}, RELEASE_FAILED, false, true},
    {"refused behind the dot", {{".", "550 5.7.1 no\r\n", 1}}, RELEASE_FAILED, false, true},
};

static void after_a_fault_it_is_sent_once_or_nobody_knows(void **state)
{
    struct world *w = world_of(state);

    for (size_t i = 0; i < COUNT(faults); i++) {
        const struct fault  *f = &faults[i];
        struct store_release r;
        struct site          x;
        struct uuid          uid;
        struct err           e = ERR_INIT;

        open_site(&x, w, f->script, "");
        uid = hold(&x);
        CHECK(f->holds, release_send(&x.how, &root, uid, 1, &once, &r, &e) < 0);
        CHECK(f->holds, r.state == f->left && state_of(&x, uid) == f->left);
        CHECK(f->holds, (finish(&x) == 1) == f->finishes);
        if (!f->finishes)
            CHECK(f->holds, (release_send(&x.how, &root, uid, 1, &once, &r, &e) == 0) == f->again);
        if (!f->finishes && !f->again)
            CHECK(f->holds, release_send(&x.how, &root, uid, 1, &again, &r, &e) == 0);
        CHECK(f->holds, state_of(&x, uid) == RELEASE_SENT);
        close_site(&x);
    }
}

/* ---- deaths ---- */

static const struct death {
    const char        *at; /* the last thing that the server heard of it */
    enum release_state left;
    bool               finishes;
} deaths[] = {
    {"EHLO", RELEASE_SENDING, true}, {"XFORWARD", RELEASE_SENDING, true}, {"MAIL", RELEASE_SENDING, true},
    {"RCPT", RELEASE_SENDING, true}, {"DATA", RELEASE_SENDING, true},     {".", RELEASE_UNKNOWN, false},
    {"QUIT", RELEASE_SENT, false},
};

/* In a process of its own, as the command is. */
static void send_and_die(struct site *x, struct uuid uid, const char *at)
{
    struct release_how   how = x->how;
    struct store_release r;
    struct store        *s;
    int                  status, go[2];
    char                 byte = 0;

    assert_int_equal(pipe(go), 0);
    x->server.kill_at = at;
    if ((x->server.victim = fork()) == 0) {
        if (read(go[0], &byte, 1) != 1 || store_open(x->w->url, STORE_EXISTING, &s, NULL) < 0)
            _exit(2);
        how.store = s;
        (void)release_send(&how, &root, uid, 1, &once, &r, NULL);
        pause();
        _exit(0);
    }
    assert_int_equal(write(go[1], &byte, 1), 1); /* the server knows its victim from here on */
    assert_int_equal(waitpid(x->server.victim, &status, 0), x->server.victim);
    CHECK(at, WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    close(go[0]);
    close(go[1]);
    x->server.kill_at = NULL;
}

static void who_dies_while_sending_loses_nothing_and_doubles_nothing(void **state)
{
    struct world *w = world_of(state);

    for (size_t i = 0; i < COUNT(deaths); i++) {
        struct store_release r;
        struct site          x;
        struct uuid          uid;
        struct err           e = ERR_INIT;

        open_site(&x, w, NULL, "");
        uid = hold(&x);
        send_and_die(&x, uid, deaths[i].at);
        if (state_of(&x, uid) != deaths[i].left)
            fail_msg("%s: left %s", deaths[i].at, release_state_words[state_of(&x, uid)]);
        CHECK(deaths[i].at, (finish(&x) == 1) == deaths[i].finishes);
        CHECK("and is not sent a second time", release_send(&x.how, &root, uid, 1, &once, &r, &e) < 0);
        hang_up(&x.server);
        CHECK(deaths[i].at, times_heard(&x, mail_heard) == (strcmp(deaths[i].at, ".") != 0));
        close_site(&x);
    }
}

static void what_is_not_ours_to_finish_is_left_alone(void **state)
{
    struct world        *w = world_of(state);
    struct store_release r;
    struct site          x;
    struct uuid          uid;
    struct err           e = ERR_INIT;
    int                  sent = 0;

    open_site(&x, w, (const struct answer[]){{"MAIL", NULL, 1}, {NULL, NULL, 0}}, "");
    uid = hold(&x);
    assert_int_equal(release_send(&x.how, &root, uid, 1, &once, &r, &e), -1);
    assert_int_equal(state_of(&x, uid), RELEASE_REQUESTED);
    assert_int_equal(release_unfinished(&x.how, &root, INT64_C(3600000000), on_unfinished, &sent, &w->e), 0);
    CHECK("who asked a moment ago may be about to send it", sent == 0);
    OK(w, db_run(x.how.store->log, "UPDATE custody SET place = 'spool', node_id = $1",
                 (struct db_val[]){dbv_blob(SPAN("sixteen bytes of"))}, 1, NULL, &w->e));
    CHECK("it lies on the disk of another node", finish(&x) == 0 && state_of(&x, uid) == RELEASE_REQUESTED);
    OK(w, db_run(x.how.store->log, "UPDATE custody SET place = 'store'", NULL, 0, NULL, &w->e));
    CHECK("now everybody can read it", finish(&x) == 1 && state_of(&x, uid) == RELEASE_SENT);
    close_site(&x);
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE_SQLITE(a_held_message_arrives_byte_for_byte_below_our_field),
        STORE_SQLITE(where_the_way_leads_through_milters_the_message_carries_its_bypass),
        STORE_SQLITE(a_domain_with_a_mail_server_of_its_own_gets_its_mail_there),
        STORE_SQLITE(routes_of_the_domains_are_way_enough),
        STORE_SQLITE(a_route_that_is_a_next_hop_and_no_more_changes_nothing),
        STORE_SQLITE(only_what_was_held_is_released),
        STORE_SQLITE(after_a_fault_it_is_sent_once_or_nobody_knows),
        STORE(who_dies_while_sending_loses_nothing_and_doubles_nothing),
        STORE(what_is_not_ours_to_finish_is_left_alone),
    };

    signal(SIGPIPE, SIG_IGN); /* as every program of ours does */
    return run_on_both(tests, COUNT(tests));
}

/* tests/unit/rulesd_timeline.c - twin of rulesd/timeline.c: lines of a log, and what then stands in the store. */
#include "../../rulesd/timeline.h"

#include "log_world.h"

#define SECOND INT64_C(1000000)

/* ---- messages and lines ---- */

struct mail {
    const char           *queue_id, *message_id;
    const char           *to[3];
    enum delivery_verdict verdict[3];
    int64_t               at_us; /* 0: now */
};

static struct uuid put_mail(struct world *w, const struct mail *mail)
{
    struct letter               l;
    struct store_delivery       to[3];
    const struct store_message *m = &l.m;

    a_letter(&l);
    l.m.queue_id = span_of(mail->queue_id);
    l.m.message_id = span_of(mail->message_id != NULL ? mail->message_id : "<1@ext.test>");
    l.m.at_us = mail->at_us != 0 ? mail->at_us : l.m.at_us;
    for (int i = 0; i < 6; i++)
        l.m.uid.b[i] = (uint8_t)(l.m.at_us / 1000 >> (40 - 8 * i));
    l.m.ndeliveries = 0;
    for (size_t i = 0; i < 3 && mail->to[i] != NULL; i++) {
        to[i] = l.to[i % 2];
        to[i].recipient = span_of(mail->to[i]);
        to[i].verdict = mail->verdict[i] != 0 ? mail->verdict[i] : DELIVERY_CLEAN;
        l.m.ndeliveries++;
    }
    l.m.deliveries = to;
    OK(w, store_message_put(w->more, &m, 1, &w->e));
    return l.m.uid;
}

/* Lines as a program writes them, with the stamp of now; `now_us` counts on for who waits. */
struct follow {
    struct world    *w;
    struct timeline *t;
    int64_t          now_us, place;
};

static void follow_begin(struct follow *f, struct world *w) { *f = (struct follow){w, timeline_new(), 1, 0}; }

static void follow_end(struct follow *f) { timeline_free(&f->t); }

static bool read_line(const char *line, struct mail_event *ev)
{
    static char          text[2000];
    char                 stamp[28];
    struct maillog_clock clock = {.now_us = clock_wall_us()};

    clock_format_utc(clock.now_us, stamp);
    snprintf(text, sizeof text, "%s mx %s", stamp, line);
    return maillog_read(span_of(text), &clock, ev);
}

static void take(struct follow *f, const char *line)
{
    struct mail_event ev;

    if (read_line(line, &ev))
        timeline_take(f->t, &ev, 0, f->place, f->now_us);
    f->place += (int64_t)strlen(line) + 1;
}

static void write_now(struct follow *f)
{
    const struct timeline_write how = {.now_mono_us = f->now_us};

    OK(f->w, timeline_write(f->t, f->w->more, &how, &f->w->e));
}

static void wait_and_write(struct follow *f, int64_t us)
{
    for (int64_t until = f->now_us + us; f->now_us < until;) {
        f->now_us += 100000;
        write_now(f);
    }
}

static void tell(struct follow *f, const char *const *lines)
{
    for (; *lines != NULL; lines++)
        take(f, *lines);
    write_now(f);
}

/* ---- what the store has then ---- */

/* "queued", "delivered 2": the state, and how many attempts. */
static void put_outcome(struct world *w, struct uuid uid, size_t i, char *out, size_t size)
{
    struct store   *s = w->more;
    char            text[UUID_TEXT + 1];
    struct db_rows *r;

    uuid_format(&uid, text);
    const struct db_val key[] = {dbv_str(text), dbv_i64((int64_t)i + 1)};
    OK(w, db_query(s->log,
                   "SELECT state, (SELECT COUNT(*) FROM attempt a WHERE a.uid = d.uid AND a.n = d.n)"
                   " FROM delivery d WHERE uid = $1 AND n = $2",
                   key, 2, &r, &w->e));
    assert_int_equal(db_next(r, &w->e), 1);
    snprintf(out, size, db_i64(r, 1) > 0 ? "%.*s %lld" : "%.*s", SPAN_ARG(db_text(r, 0)), (long long)db_i64(r, 1));
    db_rows_free(&r);
}

static void check_outcome(struct world *w, const char *holds, struct uuid uid, size_t i, const char *want)
{
    char got[100];

    put_outcome(w, uid, i, got, sizeof got);
    if (strcmp(got, want) != 0)
        fail_msg("%s: recipient %zu is %s, not %s", holds, i + 1, got, want);
}

/* ---- what events make of deliveries ---- */

#define Q "4jX51P6jsYz1c738: "
#define SMTP "postfix/smtp[11]: " Q
#define SENT(to)                                                                                                       \
    SMTP "to=<" to ">, relay=mx[192.0.2.1]:25, delay=1, delays=0/0/0/0, dsn=2.0.0, status=sent (250 2.0.0 ok)"
#define SENT_FOR(to, orig)                                                                                             \
    SMTP "to=<" to ">, orig_to=<" orig ">, relay=mx[192.0.2.1]:25, delay=1, delays=0/0/0/0, dsn=2.0.0, status=sent "   \
         "(250 2.0.0 ok)"
#define DEFERRED(to)                                                                                                   \
    SMTP "to=<" to ">, relay=none, delay=1, delays=0/0/0/0, dsn=4.4.1, status=deferred (connect to mx[192.0.2.1]:25: " \
         "Connection refused)"
#define BOUNCED(to)                                                                                                    \
    SMTP "to=<" to                                                                                                     \
         ">, relay=mx[192.0.2.1]:25, delay=1, delays=0/0/0/0, dsn=5.1.1, status=bounced (host mx[192.0.2.1] "          \
         "said: 550 5.1.1 no (in reply to RCPT TO command))"
#define BOUNCED_FOR(to, orig)                                                                                          \
    SMTP "to=<" to ">, orig_to=<" orig                                                                                 \
         ">, relay=mx[192.0.2.1]:25, delay=1, delays=0/0/0/0, dsn=5.1.1, status=bounced "                              \
         "(host mx[192.0.2.1] said: 550 5.1.1 no (in reply to RCPT TO command))"
#define ACTIVE "postfix/qmgr[2]: " Q "from=<billing@partner.example>, size=389, nrcpt=3 (queue active)"
#define REMOVED "postfix/qmgr[2]: " Q "removed"
#define EXPIRED "postfix/qmgr[2]: " Q "from=<billing@partner.example>, status=expired, returned to sender"

static const struct {
    const char *holds;
    const char *to[3];
    const char *lines[9];
    const char *outcome[3];
} ways[] = {
    {"what is in the queue is queued", {"a@ours.example"}, {ACTIVE}, {"queued"}},
    {"what was sent is delivered", {"a@ours.example"}, {ACTIVE, SENT("a@ours.example"), REMOVED}, {"delivered 1"}},
    {"without regard to case", {"Anna@Ours.example"}, {ACTIVE, SENT("anna@ours.EXAMPLE")}, {"delivered 1"}},
    {"nobody else is",
     {"a@ours.example", "b@ours.example"},
     {ACTIVE, SENT("a@ours.example")},
     {"delivered 1", "queued"}},
    {"what has to wait is deferred, and delivered in the end",
     {"a@ours.example", "b@ours.example"},
     {ACTIVE, DEFERRED("a@ours.example"), DEFERRED("b@ours.example"), ACTIVE, SENT("a@ours.example")},
     {"delivered 2", "deferred 1"}},
    {"what was refused is bounced", {"a@ours.example"}, {ACTIVE, BOUNCED("a@ours.example"), REMOVED}, {"bounced 1"}},
    {"what waited for too long is bounced, what was delivered before is not",
     {"a@ours.example", "b@ours.example"},
     {ACTIVE, DEFERRED("a@ours.example"), SENT("b@ours.example"), EXPIRED, REMOVED},
     {"bounced 2", "delivered 1"}},
    {"an alias has an attempt for each of its targets",
     {"team@ours.example", "b@ours.example"},
     {ACTIVE, SENT_FOR("a@ours.example", "team@ours.example"), SENT_FOR("b@ours.example", "team@ours.example"),
      BOUNCED("b@ours.example")},
     {"delivered 2", "bounced 1"}},
    {"and is delivered once somebody has it",
     {"team@ours.example"},
     {BOUNCED_FOR("c@ours.example", "team@ours.example"), SENT_FOR("a@ours.example", "team@ours.example")},
     {"delivered 2"}},
    {"a copy for somebody whom nobody named is no news of the others",
     {"a@ours.example"},
     {ACTIVE, SENT("archive@ours.example"), DEFERRED("a@ours.example")},
     {"deferred 1"}},
    {"a bounce that is made is no news",
     {"a@ours.example"},
     {ACTIVE, "postfix/bounce[1]: " Q "sender non-delivery notification: 4jX51Q150xz1c73C"},
     {"queued"}},
    {"an address probe is none",
     {"a@ours.example"},
     {SMTP
      "to=<a@ours.example>, relay=mx[192.0.2.1]:25, delay=1, delays=0/0/0/0, dsn=2.1.5, status=deliverable (250 ok)"},
     {"unknown"}},
    {"what is on hold is queued",
     {"a@ours.example"},
     {"postfix/cleanup[1]: " Q "milter-hold: END-OF-MESSAGE from a[192.0.2.1]: milter triggers HOLD action; from=<> "
      "to=<a@ours.example> proto=ESMTP helo=<x>"},
     {"queued"}},
    {"what its administrator deletes is bounced",
     {"a@ours.example"},
     {ACTIVE, "postfix/postsuper[1]: " Q "removed"},
     {"bounced 1"}},
    {"another queue id is another message",
     {"a@ours.example"},
     {"postfix/smtp[11]: 4jX51P6jsYz1c739: to=<a@ours.example>, relay=x, delay=1, delays=0/0/0/0, dsn=2.0.0, "
      "status=sent (250 ok)"},
     {"unknown"}},
    {"what anybody else writes is nothing",
     {"a@ours.example"},
     {"root: " SENT("a@ours.example"), "smtp[11]: " Q "removed",
      "postfix/smtpd[1]: " Q "to=<a@ours.example>, relay=x, delay=1, delays=0/0/0/0, dsn=2.0.0, status=sent (250 ok)"},
     {"unknown"}},
};

/* They have one queue id: which is the latest must not hang on how the clock goes meanwhile. */
static int64_t one_after_the_other(size_t i)
{
    static int64_t began;

    if (i == 0)
        began = clock_wall_us() - 30 * SECOND;
    return began + (int64_t)i * SECOND;
}

static void events_move_deliveries_on_their_way(void **state)
{
    struct world *w = world_of(state);

    for (size_t i = 0; i < COUNT(ways); i++) {
        struct follow f;
        struct mail   mail = {.queue_id = "4jX51P6jsYz1c738", .at_us = one_after_the_other(i)};

        memcpy(mail.to, ways[i].to, sizeof mail.to);
        struct uuid uid = put_mail(w, &mail);
        follow_begin(&f, w);
        tell(&f, ways[i].lines);
        for (size_t k = 0; k < 3 && ways[i].to[k] != NULL; k++)
            check_outcome(w, ways[i].holds, uid, k, ways[i].outcome[k]);
        /* Once more, as after a crash: nothing doubles. */
        follow_end(&f);
        follow_begin(&f, w);
        tell(&f, ways[i].lines);
        follow_end(&f);
    }
}

/* One line a write, and a new memory before each: all that counts is in the store. */
static void a_restart_between_any_two_lines_changes_nothing(void **state)
{
    struct world *w = world_of(state);

    for (size_t i = 0; i < COUNT(ways); i++) {
        struct mail mail = {.queue_id = "4jX51P6jsYz1c738", .at_us = one_after_the_other(i)};

        memcpy(mail.to, ways[i].to, sizeof mail.to);
        struct uuid uid = put_mail(w, &mail);
        for (const char *const *line = ways[i].lines; *line != NULL; line++) {
            struct follow     f;
            const char *const one[] = {*line, NULL};

            follow_begin(&f, w);
            tell(&f, one);
            follow_end(&f);
        }
        for (size_t k = 0; k < 3 && ways[i].to[k] != NULL; k++)
            check_outcome(w, ways[i].holds, uid, k, ways[i].outcome[k]);
    }
}

static void an_attempt_is_stored_as_the_log_tells_it(void **state)
{
    static const char *const lines[] = {
        "postfix/smtp[11]: Trusted TLS connection established to mx.b.example[192.0.2.1]:25: TLSv1.3 with cipher "
        "TLS_AES_256_GCM_SHA384 (256/256 bits)",
        SMTP "to=<b@b.example>, orig_to=<a@ours.example>, relay=mx.b.example[192.0.2.1]:25, delay=1, delays=0/0/0/0, "
             "dsn=5.7.1, status=bounced (host mx.b.example[192.0.2.1] said: 550 5.7.1 status=sent \x1b[31m\xff (in "
             "reply to end of DATA command))",
        NULL};
    struct world   *w = world_of(state);
    struct store   *s = w->more;
    struct follow   f;
    struct db_rows *r;

    put_mail(w, &(struct mail){.queue_id = "4jX51P6jsYz1c738", .to = {"a@ours.example"}});
    follow_begin(&f, w);
    tell(&f, lines);
    follow_end(&f);
    OK(w, db_query(s->log, "SELECT queue_id, final_recipient, host, ip, tls, dsn, response, port, code FROM attempt",
                   NULL, 0, &r, &w->e));
    assert_int_equal(db_next(r, &w->e), 1);
    static const char *const want[] = {"4jX51P6jsYz1c738",
                                       "b@b.example",
                                       "mx.b.example",
                                       "192.0.2.1",
                                       "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)",
                                       "5.7.1",
                                       "550 5.7.1 status=sent \\x1b[31m\\xff"};
    for (size_t i = 0; i < COUNT(want); i++)
        CHECK(want[i], span_is_ci(db_text(r, (int)i), want[i]));
    assert_int_equal(db_i64(r, 7), 25);
    assert_int_equal(db_i64(r, 8), 550);
    db_rows_free(&r);
}

static void a_connection_in_the_clear_is_not_taken_for_the_encrypted_one_before(void **state)
{
    static const char *const lines[] = {
        "postfix/smtp[11]: Trusted TLS connection established to mx[192.0.2.1]:25: TLSv1.3 with cipher X (1/1 bits)",
        SENT("a@ours.example"),
        "postfix/smtp[11]: 4jX51P6jsYz1c739: to=<b@ours.example>, relay=mx[192.0.2.1]:25, delay=1, delays=0/0/0/0, "
        "dsn=2.0.0, status=sent (250 ok)",
        "postfix/smtp[11]: 4jX51P6jsYz1c740: to=<c@ours.example>, relay=mx[192.0.2.1]:25, conn_use=2, delay=1, "
        "delays=0/0/0/0, dsn=2.0.0, status=sent (250 ok)",
        NULL};
    struct world   *w = world_of(state);
    struct store   *s = w->more;
    struct follow   f;
    struct db_rows *r;

    put_mail(w, &(struct mail){.queue_id = "4jX51P6jsYz1c738", .to = {"a@ours.example"}});
    put_mail(w, &(struct mail){.queue_id = "4jX51P6jsYz1c739", .to = {"b@ours.example"}});
    put_mail(w, &(struct mail){.queue_id = "4jX51P6jsYz1c740", .to = {"c@ours.example"}});
    follow_begin(&f, w);
    tell(&f, lines);
    follow_end(&f);
    OK(w, db_query(s->log, "SELECT tls FROM attempt ORDER BY final_recipient", NULL, 0, &r, &w->e));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(db_next(r, &w->e), 1);
        assert_true(span_is(db_text(r, 0), i == 1 ? "" : "TLSv1.3 with cipher X (1/1 bits)"));
    }
    db_rows_free(&r);
}

/* ---- joins ---- */

static void what_was_not_let_through_is_moved_by_no_line(void **state)
{
    static const char *const lines[] = {ACTIVE, SENT("a@ours.example"), SENT("b@ours.example"), SENT("c@ours.example"),
                                        NULL};
    struct world            *w = world_of(state);
    struct follow            f;
    struct uuid              uid = put_mail(w, &(struct mail){.queue_id = "4jX51P6jsYz1c738",
                                                              .to = {"a@ours.example", "b@ours.example", "c@ours.example"},
                                                              .verdict = {DELIVERY_QUARANTINED, DELIVERY_BLOCKED, DELIVERY_TAGGED}});

    follow_begin(&f, w);
    tell(&f, lines);
    wait_and_write(&f, 9 * SECOND); /* it might be a release */
    follow_end(&f);
    check_outcome(w, "in quarantine", uid, 0, "unknown");
    check_outcome(w, "blocked", uid, 1, "unknown");
    check_outcome(w, "tagged", uid, 2, "delivered 1");
}

/* Mail servers deliver faster than a busy database writes. Known by the queue id that it came from, by its Message-ID, or asked for
 * already when it came into the queue. */
static void a_release_that_is_delivered_before_its_row_says_so_is_waited_for(void **state)
{
    static const char *const came[] = {"postfix/reinject/smtpd[5]: 4jX51P6jsYz1c738: client=localhost[127.0.0.1], "
                                       "orig_queue_id=4jX53S6K4pz1c719, orig_client=mail.ext.test[203.0.113.9]",
                                       "postfix/cleanup[1]: 4jX51P6jsYz1c738: message-id=<1@ext.test>"};
    struct world            *w = world_of(state);

    for (int way = 0; way < 4; way++) {
        const char   *parent = way % 2 == 0 ? "4jX53S6K4pz1c719" : "";
        struct mail   m = {.queue_id = parent,
                           .to = {"a@ours.example", "b@ours.example"},
                           .verdict = {DELIVERY_QUARANTINED, DELIVERY_QUARANTINED}};
        struct uuid   uid = put_mail(w, &m);
        struct follow f;

        follow_begin(&f, w);
        take(&f, came[way % 2]);
        take(&f, ACTIVE);
        if (way >= 2)
            wait_and_write(&f, SECOND);
        take(&f, SENT("a@ours.example"));
        take(&f, REMOVED);
        wait_and_write(&f, 3 * SECOND);
        check_outcome(w, "not released yet", uid, 0, "unknown");
        OK(w, store_delivery_released(w->more, &uid, 1, SPAN("4jX51P6jsYz1c738"), clock_wall_us(), &w->e));
        wait_and_write(&f, 4 * SECOND);
        follow_end(&f);
        check_outcome(w, "released", uid, 0, "delivered 1");
        check_outcome(w, "the other one's is still held", uid, 1, "unknown");
        OK(w,
           db_script(((struct store *)w->more)->log,
                     "DELETE FROM message; DELETE FROM delivery; DELETE FROM attempt; DELETE FROM queue_link", &w->e));
    }
}

static void a_release_joins_the_timeline_of_its_message(void **state)
{
    static const char *const lines[] = {
        "postfix/reinject/smtpd[5]: 4jX53S6K4pz1c719: client=localhost[127.0.0.1], orig_queue_id=4jX51P6jsYz1c738, "
        "orig_client=mail.ext.test[203.0.113.9]",
        "postfix/qmgr[2]: 4jX53S6K4pz1c719: from=<a@b.example>, size=1, nrcpt=1 (queue active)",
        "postfix/smtp[11]: 4jX53S6K4pz1c719: to=<x@ours.example>, orig_to=<a@ours.example>, relay=mx[192.0.2.1]:25, "
        "delay=1, delays=0/0/0/0, dsn=2.0.0, status=sent (250 ok)",
        "postfix/qmgr[2]: 4jX53S6K4pz1c719: removed", NULL};
    static const char *const later[] = {"postfix/smtp[11]: 4jX53S6K4pz1c719: to=<y@ours.example>, "
                                        "orig_to=<a@ours.example>, relay=mx[192.0.2.1]:25, delay=1, delays=0/0/0/0, "
                                        "dsn=2.0.0, status=sent (250 ok)",
                                        NULL};
    struct world            *w = world_of(state);
    struct follow            f;
    struct uuid              uid = put_mail(w, &(struct mail){.queue_id = "4jX51P6jsYz1c738",
                                                              .to = {"a@ours.example", "b@ours.example"},
                                                              .verdict = {DELIVERY_QUARANTINED, DELIVERY_QUARANTINED}});

    OK(w, store_delivery_released(w->more, &uid, 1, SPAN(""), clock_wall_us(), &w->e));
    follow_begin(&f, w);
    tell(&f, lines);
    follow_end(&f);
    check_outcome(w, "released", uid, 0, "delivered 1");
    check_outcome(w, "the other one's is still held", uid, 1, "unknown");
    follow_begin(&f, w);
    tell(&f, later);
    follow_end(&f);
    check_outcome(w, "the link outlives a restart", uid, 0, "delivered 2");
}

static void behind_a_content_filter_only_the_last_queue_delivers(void **state)
{
    static const char *const first[] = {
        ACTIVE, "postfix/smtpd[5]: 4jX53S6K4pz1c719: client=localhost[127.0.0.1], orig_queue_id=4jX51P6jsYz1c738",
        SMTP
        "to=<x@ours.example>, orig_to=<a@ours.example>, relay=127.0.0.1[127.0.0.1]:10024, delay=1, delays=0/0/0/0, "
        "dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 4jX53S6K4pz1c719)",
        NULL};
    static const char *const second[] = {"postfix/lmtp[11]: 4jX53S6K4pz1c719: to=<x@ours.example>, "
                                         "relay=mx[private/lmtp], delay=1, delays=0/0/0/0, dsn=5.2.2, status=bounced "
                                         "(552 5.2.2 full)",
                                         NULL};
    struct world            *w = world_of(state);
    struct follow            f;
    struct uuid uid = put_mail(w, &(struct mail){.queue_id = "4jX51P6jsYz1c738", .to = {"a@ours.example"}});

    follow_begin(&f, w);
    tell(&f, first);
    check_outcome(w, "handed on", uid, 0, "queued 1");
    tell(&f, second);
    check_outcome(w, "by the name it has there", uid, 0, "bounced 2");
    follow_end(&f);
}

static void a_reply_cannot_claim_another_queue_id(void **state)
{
    static const char *const lines[] = {
        "postfix/smtpd[5]: 4jX53S6K4pz1c719: client=localhost[127.0.0.1]",
        SMTP "to=<a@ours.example>, relay=mx[192.0.2.1]:25, delay=1, delays=0/0/0/0, dsn=2.0.0, status=sent (250 2.0.0 "
             "Ok: queued as 4jX53S6K4pz1c719)",
        "postfix/smtp[11]: 4jX53S6K4pz1c719: to=<a@ours.example>, relay=x, delay=1, delays=0/0/0/0, dsn=5.0.0, "
        "status=bounced (550 no)",
        NULL};
    struct world *w = world_of(state);
    struct follow f;
    struct uuid   uid = put_mail(w, &(struct mail){.queue_id = "4jX51P6jsYz1c738", .to = {"a@ours.example"}});

    follow_begin(&f, w);
    tell(&f, lines);
    follow_end(&f);
    check_outcome(w, "delivered is delivered", uid, 0, "delivered 1");
}

static void without_a_queue_id_message_id_and_recipient_join_within_an_hour(void **state)
{
    static const char *const lines[] = {"postfix/cleanup[1]: 4jX51P6jsYz1c738: message-id=<1@ext.test>",
                                        ACTIVE,
                                        SENT("a@ours.example"),
                                        SENT("b@ours.example"),
                                        SENT("c@ours.example"),
                                        NULL};
    static const char *const later[] = {"postfix/smtp[11]: " Q
                                        "to=<z@ours.example>, orig_to=<a@ours.example>, relay=x, "
                                        "delay=1, delays=0/0/0/0, dsn=2.0.0, status=sent (250 ok)",
                                        NULL};
    struct world            *w = world_of(state);
    struct follow            f;
    struct uuid              one = put_mail(w, &(struct mail){.queue_id = "", .to = {"a@ours.example"}}),
                two = put_mail(w, &(struct mail){.queue_id = "", .to = {"b@ours.example"}}),
                old = put_mail(
                    w,
                    &(struct mail){.queue_id = "", .to = {"c@ours.example"}, .at_us = clock_wall_us() - 3700 * SECOND});

    follow_begin(&f, w);
    tell(&f, lines);
    follow_end(&f);
    check_outcome(w, "the recipient's own", one, 0, "delivered 1");
    check_outcome(w, "the other one's own", two, 0, "delivered 1");
    check_outcome(w, "too old", old, 0, "unknown");
    follow_begin(&f, w);
    tell(&f, later);
    follow_end(&f);
    check_outcome(w, "after a restart the queue id is known", one, 0, "delivered 2");
}

static void the_same_message_id_for_nobody_of_ours_joins_nothing(void **state)
{
    static const char *const lines[] = {"postfix/cleanup[1]: 4jX51P6jsYz1c738: message-id=<1@ext.test>",
                                        ACTIVE,
                                        BOUNCED("evil@ours.example"),
                                        EXPIRED,
                                        REMOVED,
                                        NULL};
    struct world            *w = world_of(state);
    struct follow            f;
    struct uuid              uid = put_mail(w, &(struct mail){.queue_id = "", .to = {"a@ours.example"}});

    follow_begin(&f, w);
    tell(&f, lines);
    wait_and_write(&f, TIMELINE_WAIT_US + SECOND);
    follow_end(&f);
    check_outcome(w, "not this one", uid, 0, "unknown");
}

static void a_row_that_comes_late_is_waited_for(void **state)
{
    static const char *const lines[] = {ACTIVE, SENT("a@ours.example"), REMOVED, NULL};
    struct world            *w = world_of(state);
    struct timeline_stats    stats;
    struct follow            f;

    follow_begin(&f, w);
    f.place = 1000;
    tell(&f, lines);
    assert_int_equal(timeline_place(f.t, 0, f.place), 1000);
    wait_and_write(&f, 3 * SECOND);
    assert_int_equal(timeline_place(f.t, 0, f.place), 1000);
    struct uuid uid = put_mail(w, &(struct mail){.queue_id = "4jX51P6jsYz1c738", .to = {"a@ours.example"}});
    wait_and_write(&f, 4 * SECOND);
    check_outcome(w, "late", uid, 0, "delivered 1");
    assert_int_equal(timeline_place(f.t, 0, f.place), f.place);
    timeline_stats(f.t, &stats);
    assert_int_equal(stats.waiting, 0);
    assert_int_equal(stats.open, 0);
    assert_int_equal(stats.unknown, 0);
    follow_end(&f);
}

static void what_is_none_of_ours_is_given_up(void **state)
{
    static const char *const lines[] = {ACTIVE, SENT("a@ours.example"), REMOVED, NULL};
    struct world            *w = world_of(state);
    struct timeline_stats    stats;
    struct follow            f;

    follow_begin(&f, w);
    tell(&f, lines);
    wait_and_write(&f, TIMELINE_WAIT_US + SECOND);
    timeline_stats(f.t, &stats);
    assert_int_equal(stats.waiting, 0);
    assert_int_equal(stats.unknown, 3);
    assert_int_equal(timeline_place(f.t, 0, f.place), f.place);
    follow_end(&f);
}

/* The log goes on meanwhile: what is looked for ever more rarely neither holds up the others nor is held up by them. */
static void who_comes_late_is_found_among_many_strangers(void **state)
{
    static const char *const lines[] = {ACTIVE, SENT("a@ours.example"), REMOVED, NULL};
    struct world            *w = world_of(state);
    struct timeline_stats    stats;
    struct follow            f;
    struct uuid              uid;

    follow_begin(&f, w);
    tell(&f, lines);
    for (int i = 0; i < 120; i++) {
        char stranger[200];

        snprintf(stranger, sizeof stranger,
                 "postfix/qmgr[2]: 4jX5%05dYz1c7: from=<a@b.example>, size=1, nrcpt=1 (queue active)", i);
        tell(&f, (const char *const[]){stranger, NULL});
        f.now_us += SECOND / 10;
        if (i == 60)
            uid = put_mail(w, &(struct mail){.queue_id = "4jX51P6jsYz1c738", .to = {"a@ours.example"}});
    }
    check_outcome(w, "late", uid, 0, "delivered 1");
    timeline_stats(f.t, &stats);
    assert_int_equal(stats.joined, 3);
    assert_in_range(stats.unknown, 10, 25);
    assert_int_equal(stats.waiting + stats.unknown, 120);
    wait_and_write(&f, TIMELINE_WAIT_US + SECOND);
    timeline_stats(f.t, &stats);
    assert_int_equal(stats.unknown, 120);
    assert_int_equal(stats.waiting, 0);
    assert_int_equal(timeline_place(f.t, 0, f.place), f.place);
    follow_end(&f);
}

/* A write that fails has done nothing: not even given anything up. */
static void what_could_not_be_written_is_written_later(void **state)
{
    static const char *const lines[] = {ACTIVE, SENT("a@ours.example"), REMOVED, NULL};
    struct world            *w = world_of(state);
    struct store            *s = w->more;
    struct timeline_stats    stats;
    struct follow            f;
    struct uuid uid = put_mail(w, &(struct mail){.queue_id = "4jX51P6jsYz1c738", .to = {"a@ours.example"}});

    follow_begin(&f, w);
    for (const char *const *l = lines; *l != NULL; l++)
        take(&f, *l);
    take(&f, "postfix/qmgr[2]: 4jX5strangerYz1c7: removed");
    OK(w, db_script(s->log, "ALTER TABLE attempt RENAME TO elsewhere", &w->e));
    f.now_us += TIMELINE_WAIT_US + SECOND;
    assert_int_equal(timeline_write(f.t, w->more, &(struct timeline_write){.now_mono_us = f.now_us}, &w->e), -1);
    OK(w, db_script(s->log, "ALTER TABLE elsewhere RENAME TO attempt", &w->e));
    timeline_stats(f.t, &stats);
    assert_int_equal(stats.waiting, 4);
    assert_int_equal(timeline_place(f.t, 0, f.place), 0);
    check_outcome(w, "not written", uid, 0, "unknown");
    write_now(&f);
    check_outcome(w, "written", uid, 0, "delivered 1");
    timeline_stats(f.t, &stats);
    assert_true(stats.waiting == 0 && stats.joined == 3 && stats.unknown == 1);
    follow_end(&f);
}

static void a_queue_id_that_is_given_again_is_another_message(void **state)
{
    static const char *const first[] = {ACTIVE, DEFERRED("a@ours.example"), REMOVED, NULL};
    static const char *const second[] = {"postfix/smtpd[5]: " Q "client=localhost[127.0.0.1]", ACTIVE,
                                         SENT("a@ours.example"), NULL};
    struct world            *w = world_of(state);
    struct follow            f;
    struct uuid              old = put_mail(w, &(struct mail){.queue_id = "4jX51P6jsYz1c738",
                                                              .to = {"a@ours.example"},
                                                              .at_us = clock_wall_us() - 3600 * SECOND});

    follow_begin(&f, w);
    tell(&f, first);
    struct uuid young = put_mail(w, &(struct mail){.queue_id = "4jX51P6jsYz1c738", .to = {"a@ours.example"}});
    tell(&f, second);
    follow_end(&f);
    check_outcome(w, "the first", old, 0, "deferred 1");
    check_outcome(w, "the second", young, 0, "delivered 1");
}

static void exim_tells_of_one_of_two_recipients_that_became_the_same(void **state)
{
    static const char *const lines[] = {
        "exim[1]: 1xUxbU-00083x-2W <= sender@ext.test H=(client.ext.test) [127.0.0.1] P=esmtp S=233 id=m1@ext.test",
        "exim[1]: 1xUxbU-00083x-2W => anna <team@ours.example> R=local T=file", "exim[1]: 1xUxbU-00083x-2W Completed",
        NULL};
    struct world *w = world_of(state);
    struct follow f;
    struct uuid   uid = put_mail(
          w, &(struct mail){.queue_id = "1xUxbU-00083x-2W", .to = {"anna@ours.example", "team@ours.example"}});

    follow_begin(&f, w);
    tell(&f, lines);
    follow_end(&f);
    check_outcome(w, "the one that is told of", uid, 1, "delivered 1");
    check_outcome(w, "the other one", uid, 0, "delivered");
}

/* ---- events without a log ---- */

static void events_without_a_log_are_told_at_once(void **state)
{
    struct mail_event ev[] = {
        {.kind = MAIL_ATTEMPT,
         .at_us = clock_wall_us(),
         .queue_id = SPAN("4jX51P6jsYz1c738"),
         .to = SPAN("a@ours.example"),
         .response = SPAN("250 ok")},
        {.kind = MAIL_ATTEMPT,
         .at_us = clock_wall_us(),
         .message_id = SPAN("2@ext.test"),
         .to = SPAN("b@ours.example"),
         .outcome = MAIL_DEFERRED},
        {.kind = MAIL_ATTEMPT, .at_us = clock_wall_us(), .queue_id = SPAN("none"), .to = SPAN("a@ours.example")},
        {.kind = MAIL_ATTEMPT,
         .at_us = clock_wall_us(),
         .queue_id = SPAN("4jX51P6jsYz1c738"),
         .to = SPAN("who@ours.example")},
    };
    struct world         *w = world_of(state);
    struct timeline_stats stats;
    struct uuid           one = put_mail(w, &(struct mail){.queue_id = "4jX51P6jsYz1c738", .to = {"a@ours.example"}}),
                two = put_mail(w,
                               &(struct mail){.queue_id = "x", .message_id = "<2@ext.test>", .to = {"b@ours.example"}});

    OK(w, timeline_tell(w->more, ev, COUNT(ev), &stats, &w->e));
    check_outcome(w, "by queue id", one, 0, "delivered 1");
    check_outcome(w, "by Message-ID", two, 0, "deferred 1");
    assert_int_equal(stats.unknown, 1);
    assert_int_equal(stats.nobody, 1);
    assert_int_equal(stats.attempts, 2);
}

int main(void)
{
#define STORED(test)                                                                                                   \
    {                                                                                                                  \
#test, test, store_begin_world, store_end_world, ON_BOTH                                                       \
    }
    const struct both_test tests[] = {
        STORED(events_move_deliveries_on_their_way),
        STORED(a_restart_between_any_two_lines_changes_nothing),
        STORED(an_attempt_is_stored_as_the_log_tells_it),
        STORED(a_connection_in_the_clear_is_not_taken_for_the_encrypted_one_before),
        STORED(what_was_not_let_through_is_moved_by_no_line),
        STORED(a_release_that_is_delivered_before_its_row_says_so_is_waited_for),
        STORED(a_release_joins_the_timeline_of_its_message),
        STORED(behind_a_content_filter_only_the_last_queue_delivers),
        STORED(a_reply_cannot_claim_another_queue_id),
        STORED(without_a_queue_id_message_id_and_recipient_join_within_an_hour),
        STORED(the_same_message_id_for_nobody_of_ours_joins_nothing),
        STORED(a_row_that_comes_late_is_waited_for),
        STORED(what_is_none_of_ours_is_given_up),
        STORED(who_comes_late_is_found_among_many_strangers),
        STORED(what_could_not_be_written_is_written_later),
        STORED(a_queue_id_that_is_given_again_is_another_message),
        STORED(exim_tells_of_one_of_two_recipients_that_became_the_same),
        STORED(events_without_a_log_are_told_at_once),
    };

    return run_on_both(tests, COUNT(tests));
}

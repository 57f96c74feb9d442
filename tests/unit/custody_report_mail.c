/* Reports by mail: whose word counts, which messages are reports, and that nothing else leaves a trace. */
#include "custody/report_mail_count.h"
#include "held_world.h"
#include "mail/leaf.h"
#include "store/sending.h"

#define ID "r1@client.example"
#define HEAD WAY "To: Reports <Spam@ours.example>\r\n"
#define WAY                                                                                                            \
    "Received: from client (client [198.51.100.7]) by mx.ours.example (Postfix)\r\n\twith ESMTPSA id Q1;\r\n"          \
    "\tSun, 22 Nov 2026 03:00:00 +0000\r\nMessage-ID: <" ID ">\r\nSubject: Fwd\r\n"
#define BODY "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nThis one.\r\n"
#define PART "--b\r\nContent-Type: message/rfc822\r\n\r\n"
#define SPAM                                                                                                           \
    "Received: from x (x [192.0.2.9]) by mx.ours.example; Sun, 22 Nov 2026 03:00:00 +0000\r\n"                         \
    "From: Shop <buy@shop.example>\r\nTo: anna@ours.example\r\nMessage-ID: <spam1@shop.example>\r\n\r\nBuy.\r\n"
#define MORE                                                                                                           \
    "Received: from x (x [192.0.2.9]) by mx.ours.example; Sun, 22 Nov 2026 03:00:00 +0000\r\n"                         \
    "From: Shop <more@shop.example>\r\nMessage-ID: <spam2@shop.example>\r\n\r\nBuy more.\r\n"
#define END "--b--\r\n"
#define ANNA "From: Anna <anna@ours.example>\r\n"
#define PROVES "Authentication-Results: mx.ours.example; dmarc=pass header.from=ours.example\r\n"
#define ONE BODY PART SPAM END
#define DKIM_OURS "[{\"name\":\"DKIM_TRACE\",\"score\":0.0,\"options\":[\"ours.example:+\"]}]"

struct site {
    struct world           *w;
    struct store           *s;
    struct held_world       h;
    struct uuid             domain, anna, berta;
    struct settings         settings;
    struct arena            arena;
    struct ip_block         relays[1];
    struct report_mail_site site;
    struct report_mail_done done;
    const char             *spam[2], *ham[1];
};

static void open_site(struct site *t, struct world *w)
{
    memset(t, 0, sizeof *t);
    t->w = w;
    t->s = w->more;
    open_held(&t->h, w);
    arena_init(&t->arena, 64 << 20);
    t->domain = add_domain(w, "ours.example");
    t->anna = add_mailbox(w, t->domain, "anna");
    t->berta = add_mailbox(w, t->domain, "berta");
    OK(w, ip_block_parse(SPAN("127.0.0.0/8"), &t->relays[0], &w->e));
    t->spam[0] = "spam";
    t->spam[1] = "Junk@Elsewhere.Example";
    t->ham[0] = "ham@ours.example";
    t->settings.trainer.report_spam = (struct conf_list){t->spam, 2};
    t->settings.trainer.report_ham = (struct conf_list){t->ham, 1};
    t->settings.rulesd.message_log = true;
    t->settings.rulesd.user_domain = "ours.example";
    t->settings.smtp.from = "Postern <postern@ours.example>";
    t->site = (struct report_mail_site){.settings = &t->settings,
                                        .store = t->s,
                                        .vault = t->h.vault,
                                        .trust = {t->relays, 1, SPAN("mx.ours.example")},
                                        .listener = "test"};
}

static void close_site(struct site *t)
{
    arena_fini(&t->arena);
    close_held(&t->h);
}

static int take(struct site *t, const char *recipient, const char *sender, struct span message)
{
    const struct report_mail mail = {.recipient = span_of(recipient), .sender = span_of(sender), .message = message};

    return report_mail_take(&t->site, &mail, &t->arena, &t->done, &t->w->e);
}

/* The log's row of the report mail itself, or of any other. */
static void log_row(struct site *t, const char *queue_id, const char *id, const char *to, const char *user,
                    const char *symbols)
{
    const struct store_message *list[1];
    struct letter               l;

    a_letter(&l);
    l.to[0].domain = t->domain;
    l.to[0].has_mailbox = false;
    l.to[0].recipient = span_of(to);
    l.m.ndeliveries = 1;
    l.m.queue_id = span_of(queue_id);
    l.m.message_id = span_of(id);
    l.m.sender = l.m.from_address = SPAN("anna@ours.example");
    l.m.auth_user = span_of(user);
    l.m.symbols = span_of(symbols);
    list[0] = &l.m;
    OK(t->w, store_message_put(t->s, list, 1, &t->w->e));
}

/* One that Anna received, of so many days ago; its UID. */
static struct uuid log_letter(struct site *t, const char *id, const char *from, int days, const char *user)
{
    const struct store_message *list[1];
    struct letter               l;

    a_letter(&l);
    l.to[0].domain = t->domain;
    l.to[0].mailbox = t->anna;
    l.m.ndeliveries = 1;
    l.m.uid = uid_of_age(days * 86400 * INT64_C(1000000));
    l.m.at_us = clock_wall_us() - days * 86400 * INT64_C(1000000);
    l.m.queue_id = SPAN("");
    l.m.message_id = span_of(id);
    l.m.from_address = span_of(from);
    l.m.auth_user = span_of(user);
    l.m.symbols = SPAN("[{\"name\":\"DKIM_TRACE\",\"score\":0.0,\"options\":[\"shop.example:+\"]}]");
    list[0] = &l.m;
    OK(t->w, store_message_put(t->s, list, 1, &t->w->e));
    return l.m.uid;
}

static int put_report(void *ctx, const struct store_report *r)
{
    buf_printf(ctx, "%s %s %.*s %.*s %s;", report_class_words[r->class], report_state_words[r->state], SPAN_ARG(r->who),
               SPAN_ARG(r->channel), r->has_body ? "body" : "none");
    return 0;
}

static void check_reports(struct site *t, const char *holds, const char *want)
{
    struct buf b;

    buf_init(&b, 1 << 16);
    OK(t->w, store_report_list(t->s, STORE_SCOPE_GLOBAL, 0, 0, put_report, &b, &t->w->e));
    if (!span_is(buf_span(&b), want))
        fail_msg("%s: reports: \"%.*s\", not \"%s\" (%s)", holds, SPAN_ARG(buf_span(&b)), want,
                 t->done.dropped != NULL ? t->done.dropped : "taken");
    buf_fini(&b);
}

static int put_entry(void *ctx, const struct store_learned *l)
{
    buf_printf(ctx, "%s %.*s by %.*s;", l->action == RULE_BLOCK ? "block" : "allow", SPAN_ARG(l->sender),
               SPAN_ARG(l->proof));
    return 0;
}

static void check_entries(struct site *t, const char *want)
{
    struct buf b;

    buf_init(&b, 1 << 16);
    OK(t->w, store_learned_load(t->s, t->anna, clock_wall_us(), put_entry, &b, &t->w->e));
    if (!span_is(buf_span(&b), want))
        fail_msg("entries: \"%.*s\", not \"%s\"", SPAN_ARG(buf_span(&b)), want);
    buf_fini(&b);
}

#define SPAM_OF_ANNA "spam waiting anna@ours.example mail body;"

/* What the log has of the mail: queue id, Message-ID, recipient, who was signed in, symbols. */
struct row {
    const char *queue_id, *id, *to, *user, *symbols;
};
#define NO_ROW                                                                                                         \
    {                                                                                                                  \
        NULL, NULL, NULL, NULL, NULL                                                                                   \
    }
#define SIGNED_IN                                                                                                      \
    {                                                                                                                  \
        "Q1", "<" ID ">", "spam@ours.example", "anna@ours.example", "[]"                                               \
    }

static const struct {
    const char *holds, *message, *dropped; /* NULL: taken */
    struct row  rows[2];
    const char *to, *sender;
} cases[] = {
    {"who was signed in is believed", HEAD ANNA ONE, NULL, {SIGNED_IN}, NULL, NULL},
    {"by a bare name too", HEAD ANNA ONE, NULL, {{"Q1", "<" ID ">", "spam@ours.example", "Anna", "[]"}}, NULL, NULL},
    {"and by an address that leads there", HEAD "From: anna+x@ours.example\r\n" ONE, NULL, {SIGNED_IN}, NULL, NULL},
    {"another queue id, but the Message-ID",
     HEAD ANNA ONE,
     NULL,
     {{"Q2", ID, "spam@ours.example", "anna@ours.example", "[]"}},
     NULL,
     NULL},
    {"what the scanner proved counts",
     HEAD ANNA ONE,
     NULL,
     {{"Q1", ID, "spam@ours.example", "", DKIM_OURS}},
     NULL,
     NULL},
    {"our own field counts", PROVES HEAD ANNA ONE, NULL, {NO_ROW}, NULL, NULL},
    {"a mail of Anna's to a friend, who sends it on",
     PROVES WAY "To: friend@ext.example\r\n" ANNA ONE,
     "not written to an address for reports",
     {{"Q1", ID, "spam@ours.example", "", DKIM_OURS}},
     NULL,
     NULL},
    {"with a field more",
     PROVES "To: spam@ours.example\r\n" WAY "To: friend@ext.example\r\n" ANNA ONE,
     "not written to an address for reports",
     {NO_ROW},
     NULL,
     NULL},
    {"or in copy",
     PROVES "Cc: spam@ours.example\r\n" WAY "To: friend@ext.example\r\n" ANNA ONE,
     "not written to an address for reports",
     {NO_ROW},
     NULL,
     NULL},
    {"who is signed in may write to anybody", WAY ANNA ONE, NULL, {SIGNED_IN}, NULL, NULL},
    {"among others", PROVES WAY "To: friend@ext.example, ham@ours.example\r\n" ANNA ONE, NULL, {NO_ROW}, NULL, NULL},
    {"nothing proves it", HEAD ANNA ONE, "nothing proves", {NO_ROW}, NULL, NULL},
    {"a row without proof is none",
     HEAD ANNA ONE,
     "nothing proves",
     {{"Q1", ID, "spam@ours.example", "", "[]"}},
     NULL,
     NULL},
    {"a field that the sender wrote is none", HEAD PROVES ANNA ONE, "nothing proves", {NO_ROW}, NULL, NULL},
    {"of another server neither",
     "Authentication-Results: mx.evil.example; dmarc=pass header.from=ours.example\r\n" HEAD ANNA ONE,
     "nothing proves",
     {NO_ROW},
     NULL,
     NULL},
    {"somebody else was signed in, whatever the field says",
     PROVES HEAD ANNA ONE,
     "not its author",
     {{"Q1", ID, "spam@ours.example", "berta@ours.example", DKIM_OURS}},
     NULL,
     NULL},
    {"who was signed in has a name that is nobody's",
     HEAD ANNA ONE,
     "not its author",
     {{"Q1", ID, "spam@ours.example", "backup", "[]"}},
     NULL,
     NULL},
    {"a row of another mail to somebody else does not prove this one",
     HEAD ANNA ONE,
     "nothing proves",
     {{"Q7", ID, "friend@ext.example", "anna@ours.example", "[]"}},
     NULL,
     NULL},
    {"nor one with this queue id and another Message-ID",
     HEAD ANNA ONE,
     "nothing proves",
     {{"Q1", "other@x", "spam@ours.example", "anna@ours.example", "[]"}},
     NULL,
     NULL},
    {"of two with the Message-ID the worse counts",
     HEAD ANNA ONE,
     "nothing proves",
     {{"Q7", ID, "spam@ours.example", "anna@ours.example", "[]"}, {"Q8", ID, "spam@ours.example", "", "[]"}},
     NULL,
     NULL},
    {"but the queue id says which",
     HEAD ANNA ONE,
     NULL,
     {SIGNED_IN, {"Q8", ID, "spam@ours.example", "", "[]"}},
     NULL,
     NULL},
    {"a stranger", HEAD "From: x@ext.example\r\n" ONE, "no mailbox here", {SIGNED_IN}, NULL, NULL},
    {"somebody of ours without a mailbox",
     HEAD "From: nobody@ours.example\r\n" ONE,
     "no mailbox here",
     {SIGNED_IN},
     NULL,
     NULL},
    {"two authors", HEAD "From: anna@ours.example, x@ext.example\r\n" ONE, "not one author", {SIGNED_IN}, NULL, NULL},
    {"none", HEAD ONE, "not one author", {SIGNED_IN}, NULL, NULL},
    {"bytes that are no text", HEAD "From: \xff\xfe@ours.example\r\n" ONE, "", {SIGNED_IN}, NULL, NULL},
    {"a bounce", HEAD ANNA ONE, "comes from <>", {SIGNED_IN}, NULL, ""},
    {"a program's", HEAD "Auto-Submitted: auto-replied (x)\r\n" ANNA ONE, "a program sent it", {SIGNED_IN}, NULL, NULL},
    {"a person's that says so", HEAD "Auto-Submitted: No\r\n" ANNA ONE, NULL, {SIGNED_IN}, NULL, NULL},
    {"our own", HEAD "From: postern@ours.example\r\n" ONE, "Postern sent it", {SIGNED_IN}, NULL, NULL},
    {"nothing attached", HEAD ANNA "\r\nI do not like this.\r\n", "no message is attached", {SIGNED_IN}, NULL, NULL},
    {"an empty message", "", "not one author", {NO_ROW}, NULL, NULL},
    {"an address of its own", HEAD ANNA ONE, NULL, {SIGNED_IN}, "junk@elsewhere.example", NULL},
};

/* As if nothing had happened. */
static void wipe(struct site *t)
{
    OK(t->w, db_script(t->s->log,
                       "DELETE FROM report; DELETE FROM delivery_mailbox; DELETE FROM delivery; DELETE FROM message",
                       &t->w->e));
    OK(t->w, db_script(t->s->main, "DELETE FROM learned", &t->w->e));
}

static void only_a_proven_mailbox_of_ours_is_believed(void **state)
{
    struct site t;

    open_site(&t, world_of(state));
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *to = cases[i].to != NULL ? cases[i].to : "SPAM@ours.example",
                   *sender = cases[i].sender != NULL ? cases[i].sender : "whoever@ext.example";

        wipe(&t);
        for (size_t j = 0; j < COUNT(cases[i].rows) && cases[i].rows[j].id != NULL; j++)
            log_row(&t, cases[i].rows[j].queue_id, cases[i].rows[j].id, cases[i].rows[j].to, cases[i].rows[j].user,
                    cases[i].rows[j].symbols);
        if (take(&t, to, sender, span_of(cases[i].message)) < 0)
            fail_msg("%s: %s", cases[i].holds, t.w->e.text);
        check_reports(&t, cases[i].holds, cases[i].dropped == NULL ? SPAM_OF_ANNA : "");
        if (cases[i].dropped != NULL && (t.done.dropped == NULL || strstr(t.done.dropped, cases[i].dropped) == NULL))
            fail_msg("%s: %s", cases[i].holds, t.done.dropped != NULL ? t.done.dropped : "taken");
        CHECK(cases[i].holds, cases[i].dropped != NULL || (t.done.n == 1 && t.done.proof != NULL));
    }
    close_site(&t);
}

/* A proven mail of Anna's with these parts. */
static void say(struct site *t, const char *to, const char *parts)
{
    struct span mail = arena_printf(&t->arena, "%s%s%s%s", PROVES HEAD ANNA BODY, parts, END, "");

    OK(t->w, take(t, to, "anna@ours.example", mail));
    if (t->done.dropped != NULL)
        fail_msg("%s", t->done.dropped);
}

static void each_attached_message_is_a_report_and_the_address_says_of_what(void **state)
{
    struct site t;

    open_site(&t, world_of(state));
    say(&t, "spam@ours.example", PART SPAM PART MORE);
    CHECK("two", t.done.n == 2 && !t.done.ones[0].matched && !t.done.ones[1].matched);
    check_reports(&t, "two", SPAM_OF_ANNA SPAM_OF_ANNA);
    say(&t, "spam@ours.example", PART SPAM PART MORE);
    CHECK("the same again", t.done.ones[0].made.added == REPORT_SAID && t.done.ones[1].made.added == REPORT_SAID);
    check_reports(&t, "the same again", SPAM_OF_ANNA SPAM_OF_ANNA);
    say(&t, "ham@ours.example", PART MORE);
    CHECK("the opposite", t.done.ones[0].made.added == REPORT_TURNED);
    close_site(&t);
}

static const struct {
    const char *holds, *from;
    int         days; /* apart from its date */
    bool        matched;
} matches[] = {
    {"the log's message of that id", "buy@shop.example", 0, true},
    {"six days apart", "buy@shop.example", 6, true},
    {"eight days apart", "buy@shop.example", 8, false},
    {"of another author", "friend@ext.example", 0, false},
};

static void the_message_of_the_log_is_what_is_reported(void **state)
{
    struct site t;

    open_site(&t, world_of(state));
    for (size_t i = 0; i < COUNT(matches); i++) {
        struct uuid uid;
        char        date[64];
        time_t      now = time(NULL);
        struct tm   tm;

        wipe(&t);
        uid = log_letter(&t, "<spam1@shop.example>", matches[i].from, matches[i].days, "");
        strftime(date, sizeof date, "%d %b %Y %H:%M:%S +0000", gmtime_r(&now, &tm));
        say(&t, "spam@ours.example",
            arena_str(&t.arena,
                      arena_printf(&t.arena,
                                   PART "Received: from x by mx; %s\r\nDate: 1 Jan 1999 00:00:00 +0000\r\n"
                                        "From: buy@shop.example\r\nMessage-ID: <spam1@shop.example>\r\n\r\nx\r\n",
                                   date)));
        CHECK(matches[i].holds, t.done.ones[0].matched == matches[i].matched);
        CHECK(matches[i].holds, uuid_eq(&t.done.ones[0].uid, &uid) == matches[i].matched);
        check_reports(&t, matches[i].holds, SPAM_OF_ANNA); /* with a body either way */
        check_entries(&t, matches[i].matched ? "block buy@shop.example by dkim:shop.example;" : "");
    }
    close_site(&t);
}

static void of_two_in_the_log_with_one_id_none_is_meant(void **state)
{
    struct site t;

    open_site(&t, world_of(state));
    log_letter(&t, "<spam1@shop.example>", "buy@shop.example", 0, "");
    log_letter(&t, "<spam1@shop.example>", "buy@shop.example", 0, "");
    say(&t, "spam@ours.example", PART "From: buy@shop.example\r\nMessage-ID: <spam1@shop.example>\r\n\r\nx\r\n");
    CHECK("neither", !t.done.ones[0].matched);
    check_reports(&t, "neither", SPAM_OF_ANNA);
    close_site(&t);
}

#define AWAY "Received: from x (x [192.0.2.9]) by mx.ours.example; Sun, 22 Nov 2026 03:00:00 +0000\r\n"

static const struct {
    const char *holds, *attached, *none; /* NULL: a report */
} owns[] = {
    {"from the folder of what was sent", "From: anna@ours.example\r\nSubject: mine\r\n\r\nx\r\n", "itself"},
    {"by another address of the mailbox", "From: anna+x@ours.example\r\nSubject: mine\r\n\r\nx\r\n", "itself"},
    {"proven to be the mailbox's", PROVES AWAY "From: anna@ours.example\r\n\r\nx\r\n", "itself"},
    {"signed in as the mailbox, says the log", AWAY "From: x@y.example\r\nMessage-ID: <mine@x>\r\n\r\nx\r\n", "itself"},
    {"in the mailbox's name, by somebody else", AWAY "From: anna@ours.example\r\nSubject: I saw you\r\n\r\nx\r\n",
     NULL},
    {"of a colleague", PROVES AWAY "From: berta@ours.example\r\n\r\nx\r\n", NULL},
    {"Postern's", AWAY "From: Postern <postern@ours.example>\r\n\r\nx\r\n", "Postern"},
};

static void what_the_mailbox_or_postern_sent_is_no_report(void **state)
{
    struct site t;

    open_site(&t, world_of(state));
    for (size_t i = 0; i < COUNT(owns); i++) {
        wipe(&t);
        log_letter(&t, "<mine@x>", "x@y.example", 0, "anna@ours.example");
        say(&t, "spam@ours.example",
            arena_str(&t.arena, arena_printf(&t.arena, PART "%s" PART MORE, owns[i].attached)));
        CHECK(owns[i].holds, t.done.n == 2 && t.done.ones[1].none == NULL);
        if ((owns[i].none == NULL) != (t.done.ones[0].none == NULL) ||
            (owns[i].none != NULL && strstr(t.done.ones[0].none, owns[i].none) == NULL))
            fail_msg("%s: %s", owns[i].holds, t.done.ones[0].none != NULL ? t.done.ones[0].none : "a report");
        check_reports(&t, owns[i].holds, owns[i].none != NULL ? SPAM_OF_ANNA : SPAM_OF_ANNA SPAM_OF_ANNA);
    }
    close_site(&t);
}

static struct span many(struct site *t, const char *piece, size_t times)
{
    struct buf  b;
    struct span all;

    buf_init(&b, 16 << 20);
    buf_puts(&b, PROVES HEAD ANNA BODY);
    for (size_t i = 0; i < times; i++)
        buf_puts(&b, piece);
    buf_puts(&b, END);
    all = arena_dup(&t->arena, buf_span(&b));
    buf_fini(&b);
    return all;
}

static void too_much_is_dropped_as_a_whole(void **state)
{
    struct site              t;
    const struct report_mail large = {SPAN("spam@ours.example"), SPAN("anna@ours.example"), SPAN_NONE, true};
    char                     bomb[8192] = "--b\r\n";

    open_site(&t, world_of(state));
    for (int i = 0; i < 200; i++)
        strcat(bomb, "Content-Type: message/rfc822\r\n\r\n");
    OK(t.w, take(&t, "spam@ours.example", "x@y.example", many(&t, PART SPAM, 1000)));
    CHECK("a thousand", t.done.dropped != NULL && strstr(t.done.dropped, "limit of parts") != NULL);
    OK(t.w, take(&t, "spam@ours.example", "x@y.example", many(&t, PART SPAM, ATTACHED_MAX + 1)));
    CHECK("for its shape", t.done.reason == REPORT_MAIL_SHAPE);
    CHECK("too many", t.done.dropped != NULL && strstr(t.done.dropped, "more than 50") != NULL);
    OK(t.w, take(&t, "spam@ours.example", "x@y.example", many(&t, bomb, 1)));
    CHECK("a bomb", t.done.dropped != NULL && strstr(t.done.dropped, "limit of depth") != NULL);
    OK(t.w, report_mail_take(&t.site, &large, &t.arena, &t.done, &t.w->e));
    check_reports(&t, "none of these", "");
    CHECK("for its size", t.done.reason == REPORT_MAIL_TOO_LARGE);
    CHECK("too large", t.done.dropped != NULL && strstr(t.done.dropped, "max_message") != NULL);
    close_site(&t);
}

/* So many already, in this minute and, should it end meanwhile, in the next. */
static void count_reports(struct site *t, const char *who, int64_t n)
{
    int64_t                    minute = 60 * INT64_C(1000000), now = clock_wall_us() / minute * minute, totals[2];
    const struct store_counter rows[] = {{SPAN(REPORT_MAIL_MINUTE), span_of(who), now, n},
                                         {SPAN(REPORT_MAIL_MINUTE), span_of(who), now + minute, n}};

    OK(t->w, store_counters_add(t->s, rows, COUNT(rows), totals, &t->w->e));
}

static void who_reports_too_much_at_once_comes_again_later(void **state)
{
    struct site t;

    open_site(&t, world_of(state));
    count_reports(&t, "anna@ours.example", REPORTS_PER_RECIPIENT - 2);
    CHECK("more than there is left", take(&t, "spam@ours.example", "x@y.example", many(&t, PART SPAM, 3)) < 0);
    t.w->e = ERR_INIT;
    OK(t.w, take(&t, "spam@ours.example", "x@y.example", SPAN(PROVES HEAD ANNA ONE)));
    CHECK("takes nobody's place", t.done.dropped == NULL && t.done.n == 1);
    count_reports(&t, "anna@ours.example", 1);
    CHECK("one more waits", take(&t, "ham@ours.example", "x@y.example", SPAN(PROVES HEAD ANNA ONE)) < 0);
    CHECK("and says why", t.w->e.code == ERR_BUSY && strstr(t.w->e.text, "anna@ours.example reports more") != NULL);
    t.w->e = ERR_INIT;
    check_reports(&t, "nothing of it was taken", "spam waiting anna@ours.example mail body;");
    OK(t.w, take(&t, "ham@ours.example", "x@y.example", SPAN(HEAD ANNA ONE)));
    CHECK("what is proven by nothing takes nobody's place", t.done.reason == REPORT_MAIL_UNPROVEN);
    close_site(&t);
}

static void what_became_of_a_days_mails_is_counted(void **state)
{
    const int64_t           day = 86400 * INT64_C(1000000), noon = clock_wall_us() / day * day + day / 2;
    struct report_mail_done dropped = {.reason = REPORT_MAIL_STRANGER, .dropped = "x"}, taken = {.n = 3};
    struct report_mail_sums m;
    struct site             t;

    open_site(&t, world_of(state));
    taken.ones[1].none = "the mailbox sent it itself";
    OK(t.w, report_mail_count(t.s, &taken, noon - day, &t.w->e)); /* yesterday's */
    OK(t.w, report_mail_counted(t.s, noon, &m, &t.w->e));
    CHECK("none yet", m.taken == 0 && m.refused == 0 && m.later == 0 && m.dropped[REPORT_MAIL_STRANGER] == 0);
    for (int i = 0; i < 2; i++)
        OK(t.w, report_mail_count(t.s, &taken, noon, &t.w->e));
    OK(t.w, report_mail_count(t.s, &dropped, noon, &t.w->e));
    OK(t.w, report_mail_count(t.s, NULL, noon, &t.w->e));
    OK(t.w, report_mail_counted(t.s, noon + 1, &m, &t.w->e));
    CHECK("attached messages", m.taken == 4 && m.refused == 2);
    CHECK("mails", m.later == 1 && m.dropped[REPORT_MAIL_STRANGER] == 1 && m.dropped[REPORT_MAIL_NOTHING] == 0);
    close_site(&t);
}

static void a_mail_is_counted_when_it_is_taken_dropped_or_put_off(void **state)
{
    struct report_mail_sums m;
    struct site             t;
    int64_t                 day, now;

    open_site(&t, world_of(state));
    do { /* once more, should a day end meanwhile */
        day = clock_wall_us() / (86400 * INT64_C(1000000));
        OK(t.w, take(&t, "spam@ours.example", "x@y.example", SPAN(PROVES HEAD ANNA ONE)));
        OK(t.w, take(&t, "ham@ours.example", "x@y.example", SPAN(HEAD ANNA ONE)));
        count_reports(&t, "anna@ours.example", REPORTS_PER_RECIPIENT);
        CHECK("put off", take(&t, "ham@ours.example", "x@y.example", SPAN(PROVES HEAD ANNA ONE)) < 0);
        count_reports(&t, "anna@ours.example", -REPORTS_PER_RECIPIENT);
        t.w->e = ERR_INIT;
        now = clock_wall_us();
        OK(t.w, report_mail_counted(t.s, now, &m, &t.w->e));
    } while (now / (86400 * INT64_C(1000000)) != day);
    CHECK("each", m.taken >= 1 && m.later >= 1 && m.dropped[REPORT_MAIL_UNPROVEN] >= 1);
    close_site(&t);
}

static void what_may_go_well_later_is_tried_again(void **state)
{
    struct site t;

    open_site(&t, world_of(state));
    CHECK("no address for reports", take(&t, "anna@ours.example", "x@y.example", SPAN(HEAD ANNA ONE)) < 0);
    CHECK("no address for reports", t.w->e.code == ERR_NOT_FOUND);
    CHECK("nor at a domain of others", take(&t, "spam@ext.example", "x@y.example", SPAN(HEAD ANNA ONE)) < 0);
    OK(t.w, db_script(t.s->log, "DROP TABLE report", &t.w->e));
    t.w->e = ERR_INIT;
    CHECK("no table", take(&t, "spam@ours.example", "x@y.example", SPAN(PROVES HEAD ANNA ONE)) < 0);
    t.w->e = ERR_INIT;
    close_site(&t);
}

static const struct {
    const char *holds, *spam, *ham, *why; /* NULL: fine */
} settings[] = {
    {"names and addresses", "spam", "ham@ours.example", NULL},
    {"one name for both", "spam", "Spam", "both name"},
    {"no name", "sp am@@", "ham", "report_spam"},
    {"no address", "spam", "@", "report_ham"},
};

static void names_that_cannot_be_are_refused(void **state)
{
    struct arena a;

    (void)state;
    for (size_t i = 0; i < COUNT(settings); i++) {
        struct settings s = {.trainer = {.report_spam = {(const char *[]){settings[i].spam}, 1},
                                         .report_ham = {(const char *[]){settings[i].ham}, 1}}};
        struct err      e = ERR_INIT;

        arena_init(&a, 1 << 20);
        if ((report_mail_check(&s, &a, &e) == 0) != (settings[i].why == NULL) ||
            (settings[i].why != NULL && strstr(e.text, settings[i].why) == NULL))
            fail_msg("%s: %s", settings[i].holds, e.text);
        arena_fini(&a);
    }
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE(only_a_proven_mailbox_of_ours_is_believed),
        STORE_SQLITE(each_attached_message_is_a_report_and_the_address_says_of_what),
        STORE(the_message_of_the_log_is_what_is_reported),
        STORE_SQLITE(of_two_in_the_log_with_one_id_none_is_meant),
        STORE_SQLITE(what_the_mailbox_or_postern_sent_is_no_report),
        STORE_SQLITE(too_much_is_dropped_as_a_whole),
        STORE_SQLITE(who_reports_too_much_at_once_comes_again_later),
        STORE(what_became_of_a_days_mails_is_counted),
        STORE_SQLITE(a_mail_is_counted_when_it_is_taken_dropped_or_put_off),
        STORE_SQLITE(what_may_go_well_later_is_tried_again),
        STORE_SQLITE(names_that_cannot_be_are_refused),
    };

    mail_init();
    return run_on_both(tests, COUNT(tests));
}

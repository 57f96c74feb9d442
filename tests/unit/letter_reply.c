/* An answer to a digest: which numbers it releases, whose answer counts, what releases nothing, and how much at once. */
#include "letter/reply.h"

#include "held_world.h"
#include "letter/letter.h"
#include "mail/leaf.h"
#include "store/sending.h"

#define ITEMS 5
#define TO "digest-answers@ours.example"
#define PROVES "Authentication-Results: mx.ours.example; dmarc=pass header.from=ours.example\r\n"
#define ANNA "From: Anna <anna@ours.example>\r\n"
#define HEAD PROVES ANNA "To: " TO "\r\nSubject: Re: 5 messages\r\nMessage-ID: <a@client>\r\n"
#define SECOND_US INT64_C(1000000)

/* A digest that was sent to Anna, with ITEMS messages that are held; the mail server is away, so that what is released stays requested. */
struct site {
    struct world     *w;
    struct held_world h;
    struct settings   settings;
    struct ip_block   relays[1];
    struct arena      arena;
    struct uuid       domain, box, account, digest, run, uids[ITEMS];
    char              answers[100]; /* "In-Reply-To: <…>" */
    struct reply_site site;
    struct reply_done done;
};

static void add_anna(struct site *t)
{
    struct store_account a = {.active = true, .login = "anna@ours.example"};
    struct store_digest  d = {.kind = DIGEST_MAILBOX,
                              .choice = {.minute = 420,
                                         .weekdays = 127,
                                         .zone = "Europe/Berlin",
                                         .language = "en",
                                         .filters = DIGEST_QUARANTINED | DIGEST_BLOCKED},
                              .next_us = clock_wall_us()};

    t->domain = add_domain(t->w, "ours.example");
    OK(t->w, store_account_add(t->w->more, &root, &a, &t->account, &t->w->e));
    OK(t->w, store_mailbox_add(t->w->more, &root, t->domain, SPAN("anna"), &t->account, &t->box, &t->w->e));
    d.account = t->account;
    d.mailbox = t->box;
    d.domain = t->domain;
    OK(t->w, store_digest_add(t->w->more, &root, &d, &t->digest, &t->w->e));
}

/* Held for Anna; by a rule of the domain's where others decide about it. */
static struct uuid hold(struct site *t, bool others_decide)
{
    struct letter l;

    a_letter(&l);
    l.m.at_us -= 60 * SECOND_US;
    l.m.ndeliveries = 1;
    l.to[0].domain = t->domain;
    l.to[0].mailbox = t->box;
    l.to[0].recipient = SPAN("anna@ours.example");
    l.to[0].verdict = DELIVERY_QUARANTINED;
    l.to[0].score = 7;
    l.to[0].has_rule = others_decide;
    l.to[0].layer = others_decide ? SPAN("domain rules") : SPAN("");
    hold_letter(&t->h, &l, SPAN("From: a@ext.test\r\nSubject: hi\r\n\r\nhello\r\n"), HELD_WHOLE);
    return l.m.uid;
}

/* The last one is for others to decide about. */
static void send_digest(struct site *t)
{
    struct store_run_item items[ITEMS];
    struct store_run      got;
    struct store_run_plan p = {.run = {.subscription = t->digest,
                                       .since_us = clock_wall_us() - 3600 * SECOND_US,
                                       .until_us = clock_wall_us(),
                                       .recipient = SPAN("anna@ours.example")},
                               .items = items,
                               .nitems = ITEMS};
    char                  id[UUID_TEXT + 1];

    for (size_t i = 0; i < ITEMS; i++) {
        t->uids[i] = hold(t, i == ITEMS - 1);
        items[i] = (struct store_run_item){{t->uids[i], 1}, (int64_t)i + 1};
    }
    OK(t->w, store_run_begin(t->w->more, &p, 1, clock_wall_us(), &t->w->e));
    assert_int_equal(store_run_claim(t->w->more, SPAN("us"), clock_wall_us(), &t->arena, &got, 1, &t->w->e), 1);
    OK(t->w, store_run_sent(t->w->more, got.id, SPAN("us"), SPAN("250"), clock_wall_us(), &t->w->e));
    t->run = got.id;
    uuid_format(&got.id, id);
    snprintf(t->answers, sizeof t->answers, "In-Reply-To: <digest.%s.0@ours.example>\r\n", id);
}

static void open_site(struct site *t, void **state)
{
    memset(t, 0, sizeof *t);
    t->w = world_of(state);
    open_held(&t->h, t->w);
    arena_init(&t->arena, REPLY_ARENA_MAX);
    OK(t->w, ip_block_parse(SPAN("127.0.0.0/8"), &t->relays[0], &t->w->e));
    t->settings.digest.reply_to = TO;
    t->settings.smtp.from = "Postern <postern@ours.example>";
    t->settings.delivery.url = "smtp://127.0.0.1:1";
    t->site = (struct reply_site){.settings = &t->settings,
                                  .release = {.store = t->w->more,
                                              .vault = t->h.vault,
                                              .keys = t->h.keys,
                                              .url = t->settings.delivery.url,
                                              .protected_symbols = &t->settings.rules.protected_symbols,
                                              .message_max = 1 << 20,
                                              .prefix = "POSTERN"},
                                  .trust = {t->relays, 1, SPAN("mx.ours.example")}};
    add_anna(t);
    send_digest(t);
}

static void close_site(struct site *t)
{
    arena_fini(&t->arena);
    close_held(&t->h);
}

static int take(struct site *t, struct span message)
{
    const struct reply_mail mail = {.recipient = SPAN(TO), .sender = SPAN("anna@ours.example"), .message = message};

    return reply_take(&t->site, &mail, &t->arena, &t->done, &t->w->e);
}

/* As if nobody had answered. */
static void wipe(struct site *t)
{
    OK(t->w, db_script(t->site.release.store->log, "DELETE FROM release; DELETE FROM counter", &t->w->e));
    arena_reset(&t->arena);
}

/* The places of what was asked to be released: "1 3". */
static void released(struct site *t, char *out, size_t room)
{
    struct store_release row;
    size_t               n = 0;

    out[0] = '\0';
    for (size_t i = 0; i < ITEMS; i++) {
        int rc = store_release_get(t->site.release.store, t->uids[i], 1, &row, &t->w->e);

        assert_true(rc >= 0);
        if (rc > 0)
            n += (size_t)snprintf(out + n, room - n, "%s%zu", n > 0 ? " " : "", i + 1);
    }
}

static void check(struct site *t, const char *holds, struct span message, const char *want, enum reply_reason reason)
{
    char got[64];

    if (take(t, message) < 0)
        fail_msg("%s: %s", holds, t->w->e.text);
    released(t, got, sizeof got);
    if (strcmp(got, want) != 0 || t->done.reason != reason)
        fail_msg("%s: \"%s\" is released, not \"%s\" (%s)", holds, got, want, reply_sentences[t->done.reason]);
}

/* ---- what it says ---- */

#define TEXT "\r\n"
#define AS_HTML "Content-Type: text/html; charset=utf-8\r\n\r\n"
#define TEXT_AND_HTML "Content-Type: multipart/alternative; boundary=b\r\n\r\n"
#define PLAIN_PART "--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
#define HTML_PART "--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
#define OUR_TEXT                                                                                                       \
    "5 messages in your quarantine\r\n\r\n1. hi\r\n   From: a@ext.test\r\n\r\n"                                        \
    "Or answer this mail with a line for each message that you want, like\r\nrelease 2\r\n"

static const struct {
    const char *holds, *body, *want;
} bodies[] = {
    {"a number", TEXT "release 2\r\n", "2"},
    {"several, as people write them", TEXT "Release 1, 3 and 4.\r\n", "1 3 4"},
    {"several lines", TEXT "release 1\r\n\r\nrelease 2\r\n", "1 2"},
    {"the same twice", TEXT "release 2, 2\r\nrelease 2\r\n", "2"},
    {"in German", TEXT "1 und 3 zustellen\r\n", "1 3"},
    {"in German, with the verb in front", TEXT "Freigeben: 4\r\n", "4"},
    {"above our own letter, quoted", TEXT "release 1\r\n\r\nOn Sunday Postern wrote:\r\n> release 2\r\nrelease 3\r\n",
     "1"},
    {"above our own letter, not even marked as quoted", TEXT "release 1\r\n\r\n-----Original Message-----\r\n" OUR_TEXT,
     "1"},
    {"above a signature", TEXT "release 1\r\n-- \r\nAnna\r\nrelease 2\r\n", "1"},
    {"our own letter alone, as some programs send it back", TEXT OUR_TEXT, ""},
    {"our own letter, quoted, and the answer below it", TEXT "> release 2\r\n\r\nrelease 1\r\n", ""},
    {"in HTML alone", AS_HTML "<div dir=\"ltr\">release&nbsp;2</div><blockquote>release 3</blockquote>", "2"},
    {"in HTML alone, with a style and a comment in front of it",
     AS_HTML "<style>release 1 {}</style><!-- release 4 --><p>release 2</p>", "2"},
    {"in HTML, quoted by a program that says nothing above it",
     AS_HTML "<p>release 2</p><BLOCKQUOTE type=cite>release 3</BLOCKQUOTE>release 4", "2"},
    {"what nobody sees in HTML", AS_HTML "<script>release 2</script><title>release 3</title><p>Thank you!</p>", ""},
    {"in plain text and HTML, of which the text counts",
     TEXT_AND_HTML PLAIN_PART "release 2\r\n" HTML_PART "<p>release 3</p>\r\n--b--\r\n", "2"},
    {"in base64", "Content-Transfer-Encoding: base64\r\n\r\ncmVsZWFzZSAyDQo=\r\n", "2"},
    {"in quoted-printable", "Content-Transfer-Encoding: quoted-printable\r\n\r\n=72elease=20=32=\r\n\r\n", "2"},
    {"in UTF-16",
     "Content-Type: text/plain; charset=utf-16le\r\nContent-Transfer-Encoding: base64\r\n\r\n"
     "cgBlAGwAZQBhAHMAZQAgADIACgA=\r\n",
     "2"},
    {"with the text in a file",
     "Content-Type: multipart/mixed; boundary=b\r\n\r\n" PLAIN_PART "Please.\r\n--b\r\n"
     "Content-Type: text/plain\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\n"
     "release 2\r\n--b--\r\n",
     ""},
    {"with the letter attached",
     "Content-Type: multipart/mixed; boundary=b\r\n\r\n" PLAIN_PART "release 2\r\n--b\r\n"
     "Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\nrelease 3\r\n--b--\r\n",
     "2"},
    {"what is there and what is not", TEXT "release 2, 6, 0, 99999\r\n", "2"},
    {"what others decide about", TEXT "release 5\r\n", ""},
    {"a word of another language that we do not know", TEXT "lib\xc3\xa9rer 2\r\n", ""},
    {"a polite sentence", TEXT "Please release 2\r\n", ""},
    {"everything", TEXT "release all\r\n", ""},
    {"a range", TEXT "release 1-4\r\n", ""},
    {"a number alone", TEXT "2\r\n", ""},
    {"letters that only look so", TEXT "r\xd0\xb5lease 2\r\n", ""},
    {"nonsense", TEXT "\xff\xfe\x01 release \x80 2 \xf0\x9f\x98\x80\r\n", ""},
    {"nothing", TEXT, ""},
    {"parts without end", TEXT_AND_HTML PLAIN_PART, ""},
    {"a boundary that never comes, which makes it text", TEXT_AND_HTML "release 2\r\n", "2"},
};

static void only_the_numbers_at_its_top_are_released(void **state)
{
    struct site t;

    open_site(&t, state);
    for (size_t i = 0; i < COUNT(bodies); i++) {
        wipe(&t);
        struct span mail = arena_printf(&t.arena, "%s%s%s", HEAD, t.answers, bodies[i].body);
        bool        said = strpbrk(bodies[i].want, "0123456789") != NULL || strstr(bodies[i].body, "release 5") != NULL;

        check(&t, bodies[i].holds, mail, bodies[i].want, said ? REPLY_TAKEN : REPLY_NO_COMMAND);
    }
    close_site(&t);
}

static void what_came_of_each_number_is_said_once(void **state)
{
    struct site t;

    open_site(&t, state);
    OK(t.w, take(&t, arena_printf(&t.arena, "%s%s\r\nrelease 5, 2, 6\r\n", HEAD, t.answers)));
    assert_int_equal(t.done.n, 3);
    CHECK("others decide", t.done.ones[0].found && strstr(t.done.ones[0].none, "others to decide") != NULL);
    CHECK("it leaves later", t.done.ones[1].found && t.done.ones[1].none == NULL && t.done.ones[1].waits);
    CHECK("there is none", !t.done.ones[2].found && strstr(t.done.ones[2].none, "no such number") != NULL);
    assert_true(uuid_eq(&t.done.ones[1].uid, &t.uids[1]));
    assert_string_equal(t.done.proof, "authentication-results");
    close_site(&t);
}

/* ---- whose it is ---- */

static const struct {
    const char *holds, *head; /* with %s: what names the digest */
    const char *want;
    int         reason;
    const char *sender; /* NULL: Anna */
} heads[] = {
    {"by References, among others",
     HEAD "References: <x@y> <digest.01999999-0000-7000-8000-000000000000.0@a> <z@y>\r\n%s", "1", REPLY_TAKEN, NULL},
    {"whoever is named in the envelope", HEAD "%s", "1", REPLY_TAKEN, "bounces@ext.example"},
    {"nothing that proves it", ANNA "To: " TO "\r\n%s", "", REPLY_UNPROVEN, NULL},
    {"a proof of another server",
     "Authentication-Results: mx.evil.example; dmarc=pass header.from=ours.example\r\n" ANNA "To: " TO "\r\n%s", "",
     REPLY_UNPROVEN, NULL},
    {"a proof of another author",
     "Authentication-Results: mx.ours.example; dmarc=pass header.from=evil.example\r\n" ANNA "To: " TO "\r\n%s", "",
     REPLY_UNPROVEN, NULL},
    {"somebody else", PROVES "From: bob@ours.example\r\nTo: " TO "\r\n%s", "", REPLY_NOT_THEIRS, NULL},
    {"another address of the same mailbox", PROVES "From: anna+x@ours.example\r\nTo: " TO "\r\n%s", "",
     REPLY_NOT_THEIRS, NULL},
    {"two authors", PROVES "From: anna@ours.example, bob@ours.example\r\nTo: " TO "\r\n%s", "", REPLY_NO_AUTHOR, NULL},
    {"two From", PROVES ANNA ANNA "To: " TO "\r\n%s", "", REPLY_NO_AUTHOR, NULL},
    {"no author", PROVES "To: " TO "\r\n%s", "", REPLY_NO_AUTHOR, NULL},
    {"a bounce", HEAD "%s", "", REPLY_NO_SENDER, ""},
    {"an auto-reply", HEAD "Auto-Submitted: auto-replied\r\n%s", "", REPLY_AUTOMATIC, NULL},
    {"ourselves", PROVES "From: postern@ours.example\r\nTo: " TO "\r\n%s", "", REPLY_OURS, NULL},
    {"a list", HEAD "List-Id: <all.ours.example>\r\n%s", "", REPLY_LIST, NULL},
    {"bulk", HEAD "Precedence: bulk\r\n%s", "", REPLY_LIST, NULL},
    {"to somebody else, sent on to us", PROVES ANNA "To: bob@ours.example\r\n%s", "", REPLY_NOT_TO_US, NULL},
    {"no digest", HEAD "X-None: %s", "", REPLY_NO_DIGEST, NULL},
    {"a digest that never was", HEAD "In-Reply-To: <digest.01999999-0000-7000-8000-000000000000.0@a>\r\nX-None: %s", "",
     REPLY_NO_DIGEST, NULL},
};

static void only_the_proven_person_of_the_digest_releases(void **state)
{
    struct site t;

    open_site(&t, state);
    for (size_t i = 0; i < COUNT(heads); i++) {
        struct reply_mail mail = {.recipient = SPAN("<" TO ">"),
                                  .sender = span_of(heads[i].sender != NULL ? heads[i].sender : "anna@ours.example")};
        const char       *at = strstr(heads[i].head, "%s");
        char              got[64];

        wipe(&t);
        mail.message = arena_printf(&t.arena, "%.*s%s%s\r\nrelease 1\r\n", (int)(at - heads[i].head), heads[i].head,
                                    t.answers, at + 2);
        OK(t.w, reply_take(&t.site, &mail, &t.arena, &t.done, &t.w->e));
        released(&t, got, sizeof got);
        if (strcmp(got, heads[i].want) != 0 || t.done.reason != (enum reply_reason)heads[i].reason)
            fail_msg("%s: \"%s\" is released (%s)", heads[i].holds, got, reply_sentences[t.done.reason]);
    }
    close_site(&t);
}

static void a_subscription_that_is_over_releases_nothing(void **state)
{
    struct store_mailbox m;
    struct site          t;
    struct span          mail;

    open_site(&t, state);
    mail = arena_printf(&t.arena, "%s%s\r\nrelease 1\r\n", HEAD, t.answers);
    OK(t.w, store_mailbox_get(t.w->more, t.box, &m, &t.w->e));
    m.has_account = false;
    OK(t.w, store_mailbox_set(t.w->more, &root, &m, &t.w->e));
    check(&t, "the mailbox is not theirs any more", mail, "", REPLY_ENDED);
    OK(t.w, store_digest_delete(t.w->more, &root, t.digest, &t.w->e));
    check(&t, "it is deleted", mail, "", REPLY_NO_DIGEST);
    close_site(&t);
}

/* ---- how large, and how much ---- */

static void hostile_sizes_are_dropped_and_take_no_time(void **state)
{
    static const struct {
        const char *holds, *piece;
        size_t      times;
        bool        in_head;
        int         reason;
        const char *want;
    } big[] = {
        {"blank lines above the command", "\r\n", 20000, false, REPLY_NO_COMMAND, ""},
        {"commands without end", "release 1\r\n", 100000, false, REPLY_TAKEN, "1"},
        {"one line without end", "release 1, ", 100000, false, REPLY_NO_COMMAND, ""},
        {"tags without end", "<div>", 300000, false, REPLY_NO_COMMAND, ""},
        {"ids without end", " <x@y>", 100000, true, REPLY_TAKEN, "2"},
        {"ids of digests without end", " <digest.01999999-0000-7000-8000-000000000000.0@a>", 30000, true,
         REPLY_NO_DIGEST, ""},
    };
    struct site t;
    struct buf  mail;

    open_site(&t, state);
    buf_init(&mail, 2 * REPLY_MAIL_MAX);
    for (size_t i = 0; i < COUNT(big); i++) {
        wipe(&t);
        buf_clear(&mail);
        buf_puts(&mail, HEAD);
        buf_puts(&mail, big[i].reason == REPLY_NO_DIGEST ? "" : t.answers);
        buf_puts(&mail, big[i].in_head ? "References:" : big[i].piece[0] == '<' ? AS_HTML : "\r\n");
        for (size_t j = 0; j < big[i].times; j++)
            buf_puts(&mail, big[i].piece);
        buf_puts(&mail, big[i].in_head ? "\r\n\r\nrelease 2\r\n" : "release 2\r\n");
        check(&t, big[i].holds, buf_span(&mail), big[i].want, (enum reply_reason)big[i].reason);
    }
    const struct reply_mail cut = {.recipient = SPAN(TO), .sender = SPAN("anna@ours.example"), .too_large = true};
    OK(t.w, reply_take(&t.site, &cut, &t.arena, &t.done, &t.w->e));
    assert_int_equal(t.done.reason, REPLY_TOO_LARGE);
    buf_fini(&mail);
    close_site(&t);
}

/* So many numbers, from `from` on, in lines. */
static struct span asks_for(struct site *t, int from, int n)
{
    struct buf  b;
    struct span out;

    buf_init(&b, 1 << 20);
    buf_printf(&b, "%s%s\r\n", HEAD, t->answers);
    for (int i = 0; i < n; i++)
        buf_printf(&b, "release %d\r\n", from + i);
    out = arena_dup(&t->arena, buf_span(&b));
    buf_fini(&b);
    return out;
}

static void more_numbers_than_anybody_writes_are_none(void **state)
{
    struct site t;

    open_site(&t, state);
    check(&t, "one too many", asks_for(&t, 1, ANSWER_NUMBERS_MAX + 1), "", REPLY_TOO_MANY);
    check(&t, "as many as may be", asks_for(&t, 1, ANSWER_NUMBERS_MAX), "1 2 3 4", REPLY_TAKEN);
    close_site(&t);
}

/* The minute that is counted in has to be one: at its end the next is waited for. */
static void stay_in_one_minute(void)
{
    int64_t left = 60 * SECOND_US - clock_wall_us() % (60 * SECOND_US);

    if (left < 20 * SECOND_US)
        usleep((useconds_t)left);
}

static void who_releases_too_much_at_once_comes_again_later(void **state)
{
    const int   all = ANSWER_NUMBERS_MAX;
    struct site t;
    char        got[64];

    open_site(&t, state);
    stay_in_one_minute();
    for (int n = all; n < REPLY_PER_MINUTE; n += all)
        check(&t, "within the bound", asks_for(&t, 1000, all), "", REPLY_TAKEN);
    check(&t, "still", asks_for(&t, 1000, all / 2), "", REPLY_TAKEN);
    for (int i = 0; i < 3; i++)
        REFUSED(t.w, ERR_BUSY, take(&t, asks_for(&t, 1, all)));
    released(&t, got, sizeof got);
    CHECK("nothing of it is done", got[0] == '\0');
    check(&t, "what waits took nobody's place", asks_for(&t, 1, all / 2), "1 2 3 4", REPLY_TAKEN);
    REFUSED(t.w, ERR_BUSY, take(&t, asks_for(&t, 1, 1)));
    OK(t.w, db_script(t.site.release.store->log, "UPDATE counter SET slot_us = slot_us - 60000000", &t.w->e));
    check(&t, "a minute later", asks_for(&t, 1, all), "1 2 3 4", REPLY_TAKEN);
    close_site(&t);
}

static void an_answer_that_is_dropped_costs_nobody_a_place(void **state)
{
    struct site t;

    open_site(&t, state);
    stay_in_one_minute();
    for (int i = 0; i < 3; i++)
        check(&t, "unproven", arena_printf(&t.arena, ANNA "To: " TO "\r\n%s\r\nrelease 1\r\n", t.answers), "",
              REPLY_UNPROVEN);
    for (int i = 0; i < REPLY_PER_MINUTE / ANSWER_NUMBERS_MAX; i++)
        check(&t, "all of the bound is theirs", asks_for(&t, 1000, ANSWER_NUMBERS_MAX), "", REPLY_TAKEN);
    close_site(&t);
}

/* ---- where it comes to ---- */

static void mail_for_another_address_is_none_of_ours(void **state)
{
    static const struct {
        const char *recipient;
        bool        ours;
    } rcpts[] = {{TO, true},
                 {"<" TO ">", true},
                 {"Digest-Answers@OURS.example", true},
                 {"digest-answers@theirs.example", false},
                 {"anna@ours.example", false},
                 {"", false},
                 {"\xff@\xff", false}};
    struct site t;

    open_site(&t, state);
    for (size_t i = 0; i < COUNT(rcpts); i++) {
        t.w->e = ERR_INIT;
        CHECK(rcpts[i].recipient,
              (reply_is_for(&t.settings, span_of(rcpts[i].recipient), &t.arena, &t.w->e) == 0) == rcpts[i].ours);
    }
    close_site(&t);
}

static void answers_want_an_address_and_a_way_for_what_they_release(void **state)
{
    struct store_domain d = {.name = "routed.example", .state = DOMAIN_ACTIVE, .route = "smtp://mx.routed.example:25"};
    struct site         t;

    open_site(&t, state);
    OK(t.w, reply_check(t.w->more, &t.settings, &t.arena, &t.w->e));
    t.settings.delivery.url = "nowhere";
    REFUSED(t.w, ERR_INVALID, reply_check(t.w->more, &t.settings, &t.arena, &t.w->e));
    t.settings.delivery.url = "";
    REFUSED(t.w, ERR_INVALID, reply_check(t.w->more, &t.settings, &t.arena, &t.w->e));
    OK(t.w, store_domain_add(t.w->more, &root, &d, &d.id, &t.w->e));
    OK(t.w, reply_check(t.w->more, &t.settings, &t.arena, &t.w->e));
    t.settings.digest.reply_to = "";
    REFUSED(t.w, ERR_INVALID, reply_check(t.w->more, &t.settings, &t.arena, &t.w->e));
    close_site(&t);
}

int main(void)
{
    static const struct both_test tests[] = {
        STORE_SQLITE(only_the_numbers_at_its_top_are_released),
        STORE(what_came_of_each_number_is_said_once),
        STORE_SQLITE(only_the_proven_person_of_the_digest_releases),
        STORE(a_subscription_that_is_over_releases_nothing),
        STORE_SQLITE(hostile_sizes_are_dropped_and_take_no_time),
        STORE_SQLITE(more_numbers_than_anybody_writes_are_none),
        STORE(who_releases_too_much_at_once_comes_again_later),
        STORE_SQLITE(an_answer_that_is_dropped_costs_nobody_a_place),
        STORE_SQLITE(mail_for_another_address_is_none_of_ours),
        STORE_SQLITE(answers_want_an_address_and_a_way_for_what_they_release),
    };

    mail_init();
    return run_on_both(tests, COUNT(tests));
}

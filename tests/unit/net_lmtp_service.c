/* Mail taken over LMTP by threads: whatever a client does, who may come, several at once, and the end of it. */
#include "net/lmtp_service.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "net.h"
#include "sockets.h"

#define MESSAGE_MAX ((size_t)1 << 20)
#define NOBODY 65534
#define SOON_US (20 * INT64_C(1000000)) /* far from LMTP_IDLE_MS, and enough for a machine that has much else to do */

/* A service on a Unix socket, and what it was given. `seen` is of one session at a time; where there are more, the counts are looked at. */
static struct site {
    char                    dir[64], socket[100];
    const char             *listen[1], *mta_from[1];
    struct conf_list        listens, users, from;
    struct lmtp_service_how how;
    struct lmtp_service    *service;
    struct endpoint         at;
    pthread_mutex_t         lock; /* of seen */
    struct buf              seen;
    atomic_int              opened, closed, taken, inside;
    atomic_bool             gate; /* lets "slow@…" through */
} site = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* One thread's: nobody else looks at it, and ThreadSanitizer says so if that is not true. */
struct hand {
    int in_use;
};

static void *hand_open(void *ctx)
{
    (void)ctx;
    atomic_fetch_add(&site.opened, 1);
    return calloc(1, sizeof(struct hand));
}

static void hand_close(void *hand)
{
    atomic_fetch_add(&site.closed, 1);
    free(hand);
}

static int name_rcpt(void *hand, struct span recipient, const char **why_out)
{
    ((struct hand *)hand)->in_use++;
    *why_out = "not here";
    return span_starts(recipient, SPAN("b@")) ? -1 : 0;
}

static int take(void *hand, const struct lmtp_mail *mail)
{
    ((struct hand *)hand)->in_use++;
    atomic_fetch_add(&site.inside, 1);
    while (span_starts(mail->recipient, SPAN("slow@")) && !atomic_load(&site.gate))
        usleep(1000);
    pthread_mutex_lock(&site.lock);
    buf_printf(&site.seen, "[%.*s>%.*s|", SPAN_ARG(mail->sender), SPAN_ARG(mail->recipient));
    if (mail->too_large)
        buf_puts(&site.seen, "too large");
    buf_put(&site.seen, mail->message);
    buf_putc(&site.seen, ']');
    pthread_mutex_unlock(&site.lock);
    atomic_fetch_add(&site.taken, 1);
    return span_starts(mail->recipient, SPAN("later@")) ? -1 : 0;
}

/* ---- it starts and stops ---- */

static int begin_at(const char *listen, const char *from, struct err *e)
{
    site.listen[0] = listen;
    site.mta_from[0] = from;
    site.listens = (struct conf_list){site.listen, 1};
    site.users = (struct conf_list){0};
    site.from = (struct conf_list){site.mta_from, from != NULL};
    site.how = (struct lmtp_service_how){.setting = "[test] listen_lmtp",
                                         .listen = &site.listens,
                                         .mta_users = &site.users,
                                         .mta_from = &site.from,
                                         .message_max = MESSAGE_MAX,
                                         .open = hand_open,
                                         .close = hand_close,
                                         .rcpt = name_rcpt,
                                         .take = take};
    site.opened = site.closed = site.taken = site.inside = 0;
    site.gate = false;
    buf_clear(&site.seen);
    return lmtp_service_start(&site.how, &site.service, e);
}

static int set_up(void **state)
{
    struct err  e = ERR_INIT;
    struct span query;

    (void)state;
    buf_init(&site.seen, (size_t)16 << 20);
    snprintf(site.dir, sizeof site.dir, "/tmp/lmtp.XXXXXX");
    if (mkdtemp(site.dir) == NULL || chmod(site.dir, 0711) < 0)
        return -1;
    snprintf(site.socket, sizeof site.socket, "unix:%s/lmtp.sock", site.dir);
    return endpoint_parse(site.socket, &site.at, &query, &e) < 0 || begin_at(site.socket, NULL, &e) < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    lmtp_service_stop(&site.service);
    buf_fini(&site.seen);
    return rmdir(site.dir); /* its socket is gone */
}

/* ---- a client ---- */

/* Says all of it, hangs up on its side where it shall, and hears everything up to the end. */
static void converse(const struct endpoint *at, struct span says, bool half_close, struct buf *heard)
{
    int fd = must_connect(at);

    buf_clear(heard);
    send_bytes(fd, says);
    if (half_close)
        shutdown(fd, SHUT_WR);
    read_all(fd, heard);
    fd_close(&fd);
}

static void await_text(int fd, const char *text)
{
    struct buf in;

    buf_init(&in, 1 << 20);
    while (span_find(buf_span(&in), span_of(text)) == in.n)
        if (!read_some(fd, &in, SIZE_MAX))
            fail_msg("it hung up before \"%s\": %.*s", text, SPAN_ARG(buf_span(&in)));
    buf_fini(&in);
}

static size_t times(struct span in, const char *text)
{
    size_t n = 0, at;

    for (; (at = span_find(in, span_of(text))) < in.n; in = span_skip(in, at + 1))
        n++;
    return n;
}

#define BEGIN "LHLO client\r\nMAIL FROM:<s@ext.example>\r\n"
#define TO "RCPT TO:<a@ours>\r\n"
#define MAIL "Subject: x\r\n\r\ny\r\n.\r\n"
#define SEEN "[s@ext.example>a@ours|Subject: x\r\n\r\ny\r\n]"
#define END_OF_IT "250 2.0.0 ok\r\n221 2.0.0 bye\r\n"

/* What a client says: a head, a piece so often, and a tail. */
static const struct {
    const char *holds, *head, *piece;
    size_t      times;
    const char *tail;
    bool        half_close;
    const char *ends;  /* what it hears last */
    const char *often; /* what it hears `n` times */
    size_t      n;
    const char *seen; /* NULL: `taken` messages, whatever they are */
    int         taken;
} cases[] = {
    {"a message arrives", BEGIN TO "DATA\r\n", "", 0, MAIL "QUIT\r\n", false, END_OF_IT, "250 2.0.0 ok", 1, SEEN, 1},
    {"who has said all hangs up, and hears the answer", BEGIN TO "DATA\r\n", "", 0, MAIL, true, "250 2.0.0 ok\r\n",
     "250 2.0.0 ok", 1, SEEN, 1},
    {"a message that is cut off is none", BEGIN TO "DATA\r\n", "", 0, "Subject: x\r\n\r\ny\r\n.\r", true,
     "354 go on\r\n", "2.0.0", 0, "", 0},
    {"an envelope alone is none", BEGIN TO, "", 0, "", true, "250 2.1.5 ok\r\n", "2.0.0", 0, "", 0},
    {"a command without an end is not waited for", "", "x", 200000, "", false, "421 4.4.2 that line is too long\r\n",
     "421", 1, "", 0},
    {"nor one that ends far too late", "LHLO ", "x", 20000, "\r\n" BEGIN, false, "421 4.4.2 that line is too long\r\n",
     "250", 0, "", 0},
    {"a line without CR is no command", "LHLO client\n", "", 0, "QUIT\r\n", false, "221 2.0.0 bye\r\n", "500 5.5.2", 1,
     "", 0},
    {"nor do bare line ends end a message", BEGIN TO "DATA\r\n", "\n.\n", 10, "QUIT\r\n", true, "354 go on\r\n", "221",
     0, "", 0},
    {"a hundred recipients have a message each, and more come back", BEGIN, TO, 150, "DATA\r\nx\r\n.\r\nQUIT\r\n",
     false, END_OF_IT, "452 4.5.3 too many recipients\r\n", 50, NULL, 100},
    {"each of them has an answer", BEGIN, TO, 100, "DATA\r\nx\r\n.\r\nQUIT\r\n", false, END_OF_IT, "250 2.0.0 ok\r\n",
     100, NULL, 100},
    {"who is not taken has none", BEGIN "RCPT TO:<b@ours>\r\n" TO "DATA\r\n", "", 0, MAIL "QUIT\r\n", false, END_OF_IT,
     "450 4.1.1 not here\r\n", 1, SEEN, 1},
    {"what cannot be done now comes back", BEGIN "RCPT TO:<later@ours>\r\nDATA\r\n", "", 0, MAIL "QUIT\r\n", false,
     "451 4.3.0 not now\r\n221 2.0.0 bye\r\n", "250 2.0.0", 0, "[s@ext.example>later@ours|Subject: x\r\n\r\ny\r\n]", 1},
    {"what is too large is read to its end, and said to be so", BEGIN TO "DATA\r\n", "0123456789abcdef\r\n", 80000,
     ".\r\nQUIT\r\n", false, END_OF_IT, "250 2.0.0 ok", 1, "[s@ext.example>a@ours|too large]", 1},
    {"a line of a message may be as long as the message", BEGIN TO "DATA\r\n", "x", MESSAGE_MAX - 2,
     "\r\n.\r\nQUIT\r\n", false, END_OF_IT, "250 2.0.0 ok", 1, NULL, 1},
    {"who only asks is sent away", "LHLO client\r\n", "NOOP\r\n", 1000, "", false,
     "421 4.4.2 too many commands without a message\r\n", "250 2.0.0 ok", 400, "", 0},
    {"so is who asks for what there is not", "", "GET / HTTP/1.1\r\n", 1000, "", false,
     "421 4.4.2 too many mistakes\r\n", "500 5.5.1", 21, "", 0},
    {"many messages in one go", "LHLO client\r\n", "MAIL FROM:<s@ext.example>\r\n" TO "DATA\r\n" MAIL, 2000, "QUIT\r\n",
     false, END_OF_IT, "250 2.0.0 ok", 2000, NULL, 2000},
    {"nothing at all", "", "", 0, "", true, " LMTP\r\n", "250", 0, "", 0},
};

/* All clients read while they write: what is said and not read would fill both sides. */
struct mouth {
    int         fd;
    bool        half_close;
    struct span says;
};

static void *say(void *ctx)
{
    const struct mouth *x = ctx;

    send_bytes(x->fd, x->says);
    if (x->half_close)
        shutdown(x->fd, SHUT_WR);
    return NULL;
}

static void talk(struct span says, bool half_close, struct buf *heard)
{
    struct mouth x = {must_connect(&site.at), half_close, says};
    pthread_t    mouth;

    buf_clear(heard);
    assert_int_equal(pthread_create(&mouth, NULL, say, &x), 0);
    read_all(x.fd, heard);
    pthread_join(mouth, NULL);
    fd_close(&x.fd);
}

static void a_client_does_what_it_likes_and_hears_what_the_protocol_says(void **state)
{
    struct buf says, heard;

    (void)state;
    buf_init(&says, (size_t)8 << 20);
    buf_init(&heard, (size_t)8 << 20);
    for (size_t i = 0; i < COUNT(cases); i++) {
        buf_clear(&says);
        buf_clear(&site.seen);
        site.taken = 0;
        buf_puts(&says, cases[i].head);
        put_times(&says, cases[i].piece, cases[i].times);
        buf_puts(&says, cases[i].tail);
        talk(buf_span(&says), cases[i].half_close, &heard);
        CHECK(cases[i].holds, span_starts(buf_span(&heard), SPAN("220 ")));
        if (!span_ends(buf_span(&heard), span_of(cases[i].ends)))
            fail_msg("%s: it ends with \"%.*s\"", cases[i].holds,
                     SPAN_ARG(span_skip(buf_span(&heard), heard.n > 200 ? heard.n - 200 : 0)));
        CHECK(cases[i].holds, times(buf_span(&heard), cases[i].often) == cases[i].n);
        CHECK(cases[i].holds, site.taken == cases[i].taken);
        if (cases[i].seen != NULL)
            check_same(cases[i].holds, buf_span(&site.seen), span_of(cases[i].seen));
    }
    buf_fini(&says);
    buf_fini(&heard);
}

static void a_message_may_come_byte_for_byte(void **state)
{
    static const char says[] = BEGIN TO "DATA\r\n" MAIL "QUIT\r\n";
    struct buf                       heard;
    int                              fd = must_connect(&site.at);

    (void)state;
    buf_init(&heard, 1 << 20);
    for (size_t i = 0; i + 1 < sizeof says; i++)
        send_bytes(fd, span_make(says + i, 1));
    read_all(fd, &heard);
    assert_true(span_ends(buf_span(&heard), SPAN(END_OF_IT)));
    check_same("what came", buf_span(&site.seen), SPAN(SEEN));
    fd_close(&fd);
    buf_fini(&heard);
}

/* ---- several at once ---- */

static void *one_of_many(void *ctx)
{
    struct buf *heard = ctx, says;

    buf_init(&says, 1 << 20);
    buf_puts(&says, "LHLO client\r\n");
    put_times(&says, "MAIL FROM:<s@ext.example>\r\n" TO "DATA\r\n" MAIL, 20);
    buf_puts(&says, "QUIT\r\n");
    converse(&site.at, buf_span(&says), false, heard);
    buf_fini(&says);
    return NULL;
}

static void many_at_once_are_all_served_some_behind_others(void **state)
{
    pthread_t  clients[3 * LMTP_SESSIONS];
    struct buf heard[COUNT(clients)];

    (void)state;
    for (size_t i = 0; i < COUNT(clients); i++) {
        buf_init(&heard[i], 1 << 20);
        assert_int_equal(pthread_create(&clients[i], NULL, one_of_many, &heard[i]), 0);
    }
    for (size_t i = 0; i < COUNT(clients); i++) {
        pthread_join(clients[i], NULL);
        CHECK("each hears its own", times(buf_span(&heard[i]), "250 2.0.0 ok\r\n") == 20);
        CHECK("to its end", span_ends(buf_span(&heard[i]), SPAN(END_OF_IT)));
        buf_fini(&heard[i]);
    }
    assert_int_equal(site.taken, 20 * (int)COUNT(clients));
    assert_int_equal(times(buf_span(&site.seen), SEEN), site.taken);
}

static void who_comes_beyond_the_sessions_waits_for_one_to_end(void **state)
{
    struct pollfd quiet = {.events = POLLIN};
    int           fds[LMTP_SESSIONS + 1];

    (void)state;
    for (size_t i = 0; i < LMTP_SESSIONS; i++) {
        fds[i] = must_connect(&site.at);
        await_text(fds[i], "220 ");
    }
    quiet.fd = fds[LMTP_SESSIONS] = must_connect(&site.at);
    assert_int_equal(poll(&quiet, 1, 50), 0);
    fd_close(&fds[1]);
    await_text(fds[LMTP_SESSIONS], "220 ");
    for (size_t i = 0; i < COUNT(fds); i++)
        fd_close(&fds[i]);
}

/* ---- the end of it ---- */

static void *stop(void *ctx)
{
    (void)ctx;
    lmtp_service_stop(&site.service);
    return NULL;
}

static void sessions_that_are_open_hear_that_it_is_over(void **state)
{
    static const char *const before[] = {"", "LHLO client\r\n", BEGIN TO, BEGIN TO "DATA\r\nhalf a mess"};
    int                      fds[COUNT(before)];
    int64_t                  was = clock_mono_us();
    struct buf               heard;

    (void)state;
    buf_init(&heard, 1 << 20);
    for (size_t i = 0; i < COUNT(before); i++) {
        fds[i] = must_connect(&site.at);
        await_text(fds[i], "220 ");
        send_text(fds[i], before[i]);
    }
    await_text(fds[3], "354 go on\r\n");
    lmtp_service_stop(&site.service);
    assert_true(clock_mono_us() - was < SOON_US);
    for (size_t i = 0; i < COUNT(before); i++) {
        buf_clear(&heard);
        read_all(fds[i], &heard);
        CHECK(before[i], span_ends(buf_span(&heard), SPAN("421 4.4.2 going down\r\n")));
        fd_close(&fds[i]);
    }
    assert_int_equal(site.taken, 0);
    assert_true(site.opened == LMTP_SESSIONS && site.closed == LMTP_SESSIONS);
    buf_fini(&heard);
}

static void a_message_at_hand_is_waited_for_and_answered(void **state)
{
    int        fd = must_connect(&site.at);
    struct buf heard;
    pthread_t  stopper;

    (void)state;
    buf_init(&heard, 1 << 20);
    send_text(fd, BEGIN "RCPT TO:<slow@ours>\r\nDATA\r\n" MAIL);
    AWAIT("it is being taken", site.inside == 1);
    assert_int_equal(pthread_create(&stopper, NULL, stop, NULL), 0);
    AWAIT("all the others have ended", site.closed == LMTP_SESSIONS - 1);
    assert_int_equal(site.taken, 0);
    site.gate = true;
    read_all(fd, &heard);
    pthread_join(stopper, NULL);
    assert_int_equal(site.taken, 1);
    assert_true(span_ends(buf_span(&heard), SPAN("250 2.0.0 ok\r\n421 4.4.2 going down\r\n")));
    fd_close(&fd);
    buf_fini(&heard);
}

/* Sends without end, and reads nothing, until the other side hangs up. */
static void *flood(void *ctx)
{
    const int *fd = ctx;
    struct buf piece;

    buf_init(&piece, 1 << 20);
    put_times(&piece, "0123456789abcdef", 1 << 14);
    while (send(*fd, piece.p, piece.n, MSG_NOSIGNAL) > 0)
        ;
    buf_fini(&piece);
    return NULL;
}

static void who_never_stops_to_speak_does_not_keep_it_from_its_end(void **state)
{
    int       fd = must_connect(&site.at);
    int64_t   was;
    pthread_t flooder;

    (void)state;
    send_text(fd, BEGIN TO "DATA\r\n");
    await_text(fd, "354 go on\r\n");
    assert_int_equal(pthread_create(&flooder, NULL, flood, &fd), 0);
    usleep(50000);
    was = clock_mono_us();
    lmtp_service_stop(&site.service);
    assert_true(clock_mono_us() - was < SOON_US);
    pthread_join(flooder, NULL);
    assert_int_equal(site.taken, 0);
    fd_close(&fd);
}

/* Sends messages for a hundred each, and reads no answer. */
static void *send_deaf(void *ctx)
{
    const int *fd = ctx;
    struct buf says;

    buf_init(&says, (size_t)64 << 20);
    buf_puts(&says, "LHLO client\r\n");
    for (int i = 0; i < 2000; i++) {
        buf_puts(&says, "MAIL FROM:<>\r\n");
        put_times(&says, TO, 100);
        buf_puts(&says, "DATA\r\n.\r\n");
    }
    send_bytes(*fd, buf_span(&says));
    buf_fini(&says);
    return NULL;
}

static void nor_does_who_reads_nothing(void **state)
{
    int       fd = must_connect(&site.at), was;
    int64_t   then;
    pthread_t sender;

    (void)state;
    assert_int_equal(pthread_create(&sender, NULL, send_deaf, &fd), 0);
    do {
        was = site.taken;
        usleep(300000);
    } while (was == 0 || was != site.taken); /* until it cannot say any more */
    then = clock_mono_us();
    lmtp_service_stop(&site.service);
    assert_true(clock_mono_us() - then < SOON_US);
    pthread_join(sender, NULL);
    fd_close(&fd);
}

/* ---- who may come ---- */

static void over_tcp_nobody_may_come_but_those_that_are_named(void **state)
{
    static const struct {
        const char *from, *hears;
    } who[] = {
        {"127.0.0.0/8", "220 "},
        {"127.0.0.1", "220 "},
        {"192.0.2.0/24", "421 4.7.1 you are not known here\r\n"},
        {NULL, "421 4.7.1 you are not known here\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(who); i++) {
        struct endpoint free_one, at;
        struct span     query;
        struct err      e = ERR_INIT;
        struct buf      heard;
        int             probe;

        lmtp_service_stop(&site.service);
        assert_int_equal(endpoint_parse("127.0.0.1:0", &free_one, &query, &e), 0);
        assert_true((probe = endpoint_listen(&free_one, false, &e)) >= 0);
        fd_close(&probe);
        if (begin_at(free_one.text, who[i].from, &e) < 0 || endpoint_parse(free_one.text, &at, &query, &e) < 0)
            fail_msg("%s", e.text);
        buf_init(&heard, 1 << 20);
        converse(&at, SPAN(""), true, &heard);
        CHECK(who[i].hears, span_starts(buf_span(&heard), span_of(who[i].hears)));
        buf_fini(&heard);
    }
}

/* As another user, for the system at least: credentials are a thread's. */
static int connect_as(uid_t user)
{
    int fd;

    assert_int_equal(syscall(SYS_setresuid, -1, user, -1), 0);
    fd = must_connect(&site.at);
    assert_int_equal(syscall(SYS_setresuid, -1, 0, -1), 0);
    return fd;
}

static void by_a_unix_socket_only_users_that_are_named_may_come(void **state)
{
    static const char *const users[] = {"nobody-of-that-name", "65534"};
    struct err               e = ERR_INIT;
    int                      fd;

    (void)state;
    if (geteuid() != 0)
        SKIP("only root can be somebody else");
    fd = connect_as(NOBODY);
    await_text(fd, "421 4.7.1 you are not known here\r\n");
    fd_close(&fd);
    lmtp_service_stop(&site.service);
    site.users = (struct conf_list){(const char **)users, COUNT(users)};
    if (lmtp_service_start(&site.how, &site.service, &e) < 0)
        fail_msg("%s", e.text);
    fd = connect_as(NOBODY);
    await_text(fd, "220 ");
    fd_close(&fd);
}

/* ---- settings ---- */

static void what_it_cannot_listen_on_is_said_and_nothing_is_left(void **state)
{
    static const struct {
        const char *listen, *from, *says;
    } bad[] = {
        {"nonsense", NULL, "[test] listen_lmtp"},
        {"127.0.0.1:0?cert=x", NULL, "there are no settings behind"},
        {"127.0.0.1:0", "localhost.example", "[rulesd] mta_from"},
        {"unix:/nowhere/at/all.sock", NULL, "/nowhere/at/all.sock"},
    };
    struct lmtp_service *none;
    struct err           e = ERR_INIT;

    (void)state;
    assert_int_equal(lmtp_service_start(&site.how, &none, &e), -1); /* somebody listens there: we do */
    assert_null(none);
    lmtp_service_stop(&site.service);
    for (size_t i = 0; i < COUNT(bad); i++) {
        e = (struct err)ERR_INIT;
        CHECK(bad[i].says, begin_at(bad[i].listen, bad[i].from, &e) < 0 && site.service == NULL);
        if (strstr(e.text, bad[i].says) == NULL)
            fail_msg("\"%s\" says nothing of %s", e.text, bad[i].says);
        CHECK("no thread was started, or each has ended", site.opened == site.closed);
    }
    site.listens.n = 0;
    assert_int_equal(lmtp_service_start(&site.how, &none, &e), 0);
    assert_null(none);
}

#define IN_WORLD(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(a_client_does_what_it_likes_and_hears_what_the_protocol_says),
        IN_WORLD(a_message_may_come_byte_for_byte),
        IN_WORLD(many_at_once_are_all_served_some_behind_others),
        IN_WORLD(who_comes_beyond_the_sessions_waits_for_one_to_end),
        IN_WORLD(sessions_that_are_open_hear_that_it_is_over),
        IN_WORLD(a_message_at_hand_is_waited_for_and_answered),
        IN_WORLD(who_never_stops_to_speak_does_not_keep_it_from_its_end),
        IN_WORLD(nor_does_who_reads_nothing),
        IN_WORLD(over_tcp_nobody_may_come_but_those_that_are_named),
        IN_WORLD(by_a_unix_socket_only_users_that_are_named_may_come),
        IN_WORLD(what_it_cannot_listen_on_is_said_and_nothing_is_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

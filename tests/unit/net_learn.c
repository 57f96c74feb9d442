/* Teaching a filter: what each answer means, and that trouble is never taken for success. */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "check.h"
#include "net/learn.h"

/* ---- a filter that says what it is told to say ---- */

enum manner { ANSWERS, HANGS_UP, SAYS_NOTHING, FLOODS, DRIPS };

struct fake {
    const char *answer;
    enum manner manner;
    int         fd;
    char        url[64], path[64];
    struct buf  asked; /* the last question; to be read after stop_fake() */
    pthread_t   thread;
};

static bool is_whole(struct span in)
{
    size_t   head = span_find(in, SPAN("\r\n\r\n"));
    size_t   at = span_find_ci(in, SPAN("\r\ncontent-length: "));
    uint64_t n = 0;

    if (head == in.n || at == in.n)
        return head < in.n;
    struct span number = span_skip(in, at + 18);
    span_u64(span_head(number, span_chr(number, '\r')), &n);
    return in.n >= head + 4 + n;
}

static void put(int fd, struct span bytes)
{
    while (bytes.n > 0) {
        ssize_t n = send(fd, bytes.p, bytes.n, MSG_NOSIGNAL);

        if (n <= 0)
            return;
        bytes = span_skip(bytes, (size_t)n);
    }
}

static void hear(struct fake *f, int fd)
{
    char    bytes[4096];
    ssize_t n;

    buf_clear(&f->asked);
    while (!is_whole(buf_span(&f->asked)) && (n = recv(fd, bytes, sizeof bytes, 0)) > 0)
        buf_put(&f->asked, span_make(bytes, (size_t)n));
}

static void speak(struct fake *f, int fd)
{
    struct span answer = span_of(f->answer);
    char        byte;

    if (f->manner == HANGS_UP)
        return;
    hear(f, fd);
    if (f->manner == SAYS_NOTHING) {
        while (recv(fd, &byte, 1, 0) > 0)
            ;
    } else if (f->manner == DRIPS) {
        for (size_t i = 0; i < answer.n; i++, usleep(20000))
            put(fd, span_make(answer.p + i, 1));
    } else if (f->manner == FLOODS) {
        put(fd, answer);
        for (int i = 0; i < 20000; i++)
            put(fd, SPAN("more and more of it, without any end or any sense at all\r\n"));
    } else {
        put(fd, answer);
    }
}

static void *be_filter(void *arg)
{
    struct fake *f = arg;
    int          fd;

    while ((fd = accept(f->fd, NULL, NULL)) >= 0) {
        speak(f, fd);
        close(fd);
    }
    return NULL;
}

static void listen_tcp(struct fake *f, const char *scheme)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t          n = sizeof a;

    f->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(f->fd, (struct sockaddr *)&a, &n), 0);
    snprintf(f->url, sizeof f->url, "%s://127.0.0.1:%d", scheme, ntohs(a.sin_port));
}

static void listen_unix(struct fake *f, const char *scheme)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    snprintf(f->path, sizeof f->path, "/tmp/net_learn.%ld", (long)getpid());
    memcpy(a.sun_path, f->path, strlen(f->path) + 1);
    f->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->fd, (struct sockaddr *)&a, sizeof a), 0);
    snprintf(f->url, sizeof f->url, "%s+unix:%.40s", scheme, f->path);
}

static void start_fake(struct fake *f, const char *scheme, enum manner manner, const char *answer, bool by_socket)
{
    *f = (struct fake){.answer = answer, .manner = manner};
    buf_init(&f->asked, 32 << 20);
    (by_socket ? listen_unix : listen_tcp)(f, scheme);
    assert_int_equal(listen(f->fd, 16), 0);
    assert_int_equal(pthread_create(&f->thread, NULL, be_filter, f), 0);
}

static void stop_fake(struct fake *f)
{
    shutdown(f->fd, SHUT_RDWR);
    pthread_join(f->thread, NULL);
    close(f->fd);
    if (f->path[0] != '\0')
        unlink(f->path);
}

/* ---- asking it ---- */

#define MAIL "Subject: to be learnt\r\n\r\nbody\r\n"

struct told {
    enum learn_answer answer;
    char              words[1024];
};

static struct told tell(struct fake *f, struct learn_ask ask)
{
    struct told t;
    struct buf  words;

    buf_init(&words, sizeof t.words - 1);
    ask.url = f->url;
    ask.password = ask.password != NULL ? ask.password : "";
    ask.message = ask.message.p != NULL ? ask.message : SPAN(MAIL);
    ask.timeout_ms = ask.timeout_ms > 0 ? ask.timeout_ms : 5000;
    t.answer = learn(&ask, &words);
    snprintf(t.words, sizeof t.words, "%.*s", SPAN_ARG(buf_span(&words)));
    buf_fini(&words);
    return t;
}

static const struct heard {
    const char       *holds, *says;
    enum learn_answer answer;
    const char       *words;
} by_rspamd[] =
    {
        {"learnt", "HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{\"success\":true}", LEARN_DONE, "learnt"},
        {"learnt, by an old one with blanks", "HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\n{ \"success\" : true }",
         LEARN_DONE, "learnt"},
        {"success that is none", "HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{\"success\":false}", LEARN_LATER,
         "200"},
        {"the same again",
         "HTTP/1.1 208 <m@x> has been already learned\r\nContent-Length: 63\r\n\r\n"
         "{\"error\":\"<m@ext.test> has been already learned as spam, ignore\"}",
         LEARN_KNOWN, "<m@ext.test> has been already learned as spam"},
        {"the same again, as old and many-class ones say it",
         "HTTP/1.1 404 x\r\nConnection: close\r\n\r\n{\"error\":\"<m> has been already learned as spam, ignore it\"}",
         LEARN_KNOWN, "already learned as spam"},
        {"no such classifier",
         "HTTP/1.1 404 x\r\nConnection: close\r\n\r\n{\"error\":\"cannot find classifier with name nope\"}",
         LEARN_CLOSED, "cannot find classifier"},
        {"too few words", "HTTP/1.1 204 <m@x> contains less tokens than required\r\n\r\n", LEARN_SHORT, "too few"},
        {"sure of it",
         "HTTP/1.1 204 all learn conditions denied learning ham in default classifier\r\n"
         "Content-Length: 5\r\n\r\n{...}",
         LEARN_KNOWN, "sure of such mail already"},
        {"no message",
         "HTTP/1.1 400 Empty body is not permitted\r\nContent-Length: 38\r\n\r\n"
         "{\"error\":\"Empty body is not permitted\"}",
         LEARN_REFUSED, "Empty body is not permitted"},
        {"a wrong password", "HTTP/1.1 401 Unauthorized\r\nContent-Length: 24\r\n\r\n{\"error\":\"Unauthorized\"}",
         LEARN_CLOSED, "password is wrong"},
        {"a wrong password, by an old one",
         "HTTP/1.1 403 Forbidden\r\nContent-Length: 18\r\n\r\n{\"error\":\"Denied\"}", LEARN_CLOSED, "Denied"},
        {"too large", "HTTP/1.1 413 x\r\nContent-Length: 0\r\n\r\n", LEARN_REFUSED, "too large"},
        {"its Redis is away, in its own way",
         "HTTP/1.1 1 cannot get learned: error getting reply\r\nContent-Length: 35\r\n\r\n"
         "{\"error\":\"cannot get learned: error\"}",
         LEARN_LATER, "status 1: cannot get learned: error"},
        {"its Redis is away", "HTTP/1.1 500 x\r\nContent-Length: 28\r\n\r\n{\"error\":\"cannot get redis\"}",
         LEARN_LATER, "cannot get redis"},
        {"busy", "HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n", LEARN_LATER, "503"},
        {"no JSON", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n<htm>", LEARN_LATER, "200"},
        {"nothing at all", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", LEARN_LATER, "200"},
        {"a way elsewhere, which is not gone",
         "HTTP/1.1 302 x\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n", LEARN_LATER, "302"},
        {"cut in the body", "HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{\"success\":true", LEARN_LATER, ""},
        {"cut in the body, in another way", "HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{\"success\":true}",
         LEARN_LATER, "cut"},
        {"a length that is none", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{\"success\":true}", LEARN_LATER,
         "cut"},
        {"cut in the head", "HTTP/1.1 20", LEARN_LATER, "cut"},
        {"no status", "HTTP/1.1 OK\r\n\r\n", LEARN_LATER, "cut"},
        {"no HTTP", "SPAMD/1.1 0 EX_OK\r\nDidSet: local\r\n\r\n\r\n", LEARN_LATER, "no answer in HTTP"},
        {"words that would colour a terminal",
         "HTTP/1.1 400 x\r\nConnection: close\r\n\r\n{\"error\":\"\x1b[31mred\r\nline\"}", LEARN_REFUSED, "red"},
},
  by_spamd[] = {
      {"learnt", "SPAMD/1.1 0 EX_OK\r\nDidSet: local\r\n\r\n\r\n", LEARN_DONE, "learnt"},
      {"learnt, and said elsewhere", "SPAMD/1.1 0 EX_OK\r\nDidSet: local,remote\r\n\r\n\r\n", LEARN_DONE, "learnt"},
      {"taken back", "SPAMD/1.1 0 EX_OK\r\nDidRemove: local\r\n\r\n\r\n", LEARN_DONE, "learnt"},
      {"learnt, by one that writes line feeds alone", "SPAMD/1.1 0 EX_OK\ndidset: local\n\n", LEARN_DONE, "learnt"},
      {"known", "SPAMD/1.1 0 EX_OK\r\n\r\n\r\n", LEARN_KNOWN, "known already"},
      {"told not to learn",
       "SPAMD/1.0 69 Service Unavailable: TELL commands are not enabled, set the --allow-tell "
       "switch.\r\n",
       LEARN_CLOSED, "--allow-tell"},
      {"away for another reason", "SPAMD/1.0 69 Service Unavailable: x\r\n", LEARN_LATER, "Service Unavailable"},
      {"a failure for now", "SPAMD/1.0 75 Tempfail\r\n", LEARN_LATER, "Tempfail"},
      {"too slow for itself", "SPAMD/1.0 79 Timeout: x\r\n", LEARN_LATER, "Timeout"},
      {"a protocol it does not know", "SPAMD/1.0 76 Bad header line: x\r\n", LEARN_LATER, "Bad header"},
      {"cut behind the first line", "SPAMD/1.1 0 EX_OK\r\n", LEARN_LATER, "cut"},
      {"cut in a header", "SPAMD/1.1 0 EX_OK\r\nDidSet: lo", LEARN_LATER, "cut"},
      {"cut in the first line", "SPAMD/1.1 0", LEARN_LATER, ""},
      {"closed without a word", "", LEARN_LATER, "without an answer"},
      {"no spamd", "HTTP/1.1 200 OK\r\n\r\n{\"success\":true}", LEARN_LATER, "no answer of spamd's"},
      {"a code that is none", "SPAMD/1.1 x EX_OK\r\n\r\n\r\n", LEARN_LATER, ""},
};

static void check_all(const struct heard *rows, size_t n, const char *scheme)
{
    for (size_t i = 0; i < n; i++) {
        struct fake f;
        struct told t;

        start_fake(&f, scheme, ANSWERS, rows[i].says, false);
        t = tell(&f, (struct learn_ask){.class = LEARN_SPAM});
        if (t.answer != rows[i].answer || strstr(t.words, rows[i].words) == NULL)
            fail_msg("%s: %d \"%s\"", rows[i].holds, (int)t.answer, t.words);
        CHECK(rows[i].holds, strpbrk(t.words, "\x1b\r\n") == NULL);
        stop_fake(&f);
        buf_fini(&f.asked);
    }
}

static void every_answer_of_rspamds_controller_has_its_meaning(void **unused)
{
    (void)unused;
    check_all(by_rspamd, COUNT(by_rspamd), "rspamd+http");
}

static void every_answer_to_tell_has_its_meaning(void **unused)
{
    (void)unused;
    check_all(by_spamd, COUNT(by_spamd), "spamd");
}

static void who_hangs_up_floods_or_is_silent_is_asked_again_later(void **unused)
{
    static const char *const schemes[] = {"rspamd+http", "spamd"};
    static const char *const starts[] = {"HTTP/1.1 200 OK\r\n\r\n{\"success\":true}",
                                         "SPAMD/1.1 0 EX_OK\r\nDidSet: local\r\n\r\n"};
    static const enum manner manners[] = {HANGS_UP, SAYS_NOTHING, FLOODS, DRIPS};

    (void)unused;
    for (size_t i = 0; i < COUNT(schemes) * COUNT(manners); i++) {
        struct fake f;
        int64_t     began = clock_mono_us();

        start_fake(&f, schemes[i / COUNT(manners)], manners[i % COUNT(manners)], starts[i / COUNT(manners)], false);
        struct told t = tell(&f, (struct learn_ask){.class = LEARN_SPAM, .timeout_ms = 300});
        if (t.answer != LEARN_LATER || t.words[0] == '\0')
            fail_msg("%s, manner %zu: %d \"%s\"", schemes[i / COUNT(manners)], i % COUNT(manners), (int)t.answer,
                     t.words);
        CHECK("and the time limit holds for all of it", clock_mono_us() - began < 2000000);
        stop_fake(&f);
        buf_fini(&f.asked);
    }
}

static void nobody_there_is_later_and_no_address_is_closed(void **unused)
{
    struct fake f;

    (void)unused;
    start_fake(&f, "spamd", ANSWERS, "", false);
    stop_fake(&f);
    CHECK("refused", tell(&f, (struct learn_ask){.class = LEARN_HAM}).answer == LEARN_LATER);
    snprintf(f.url, sizeof f.url, "nonsense");
    struct told t = tell(&f, (struct learn_ask){.class = LEARN_HAM});
    CHECK("no address", t.answer == LEARN_CLOSED && strstr(t.words, "is no filter") != NULL);
    CHECK("which can be asked before", learn_check_url("nonsense", NULL) < 0);
    CHECK("and so can a good one", learn_check_url("spamd://127.0.0.1:783", NULL) == 0);
    buf_fini(&f.asked);
}

static void a_host_with_a_name_is_found(void **unused)
{
    static const char *const schemes[] = {"rspamd+http", "spamd"};
    static const char *const answers[] = {"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{\"success\":true}",
                                          "SPAMD/1.1 0 EX_OK\r\nDidSet: local\r\n\r\n\r\n"};

    (void)unused;
    for (size_t i = 0; i < COUNT(schemes); i++) {
        struct fake f;

        start_fake(&f, schemes[i], ANSWERS, answers[i], false);
        char port[8];
        snprintf(port, sizeof port, "%.7s", strrchr(f.url, ':') + 1);
        snprintf(f.url, sizeof f.url, "%s://localhost:%s", schemes[i], port);
        struct told t = tell(&f, (struct learn_ask){.class = LEARN_SPAM});
        if (t.answer != LEARN_DONE)
            fail_msg("%s: %d \"%s\"", f.url, (int)t.answer, t.words);
        snprintf(f.url, sizeof f.url, "%s://nobody.invalid:%s", schemes[i], port);
        t = tell(&f, (struct learn_ask){.class = LEARN_SPAM});
        CHECK("and one that is not is later", t.answer == LEARN_LATER && strstr(t.words, "nobody.invalid") != NULL);
        stop_fake(&f);
        buf_fini(&f.asked);
    }
}

/* ---- what it is asked ---- */

static void check_asked(struct fake *f, const char *const *parts, const char *never)
{
    struct span asked = buf_span(&f->asked);

    for (; *parts != NULL; parts++)
        if (span_find(asked, span_of(*parts)) == asked.n)
            fail_msg("\"%s\" is missing in:\n%.*s", *parts, SPAN_ARG(asked));
    if (never != NULL && span_find(asked, span_of(never)) < asked.n)
        fail_msg("\"%s\" is in:\n%.*s", never, SPAN_ARG(asked));
}

static const struct {
    const char      *holds, *scheme;
    struct learn_ask ask;
    const char      *parts[6], *never;
} questions[] = {
    {"spam",
     "rspamd+http",
     {.class = LEARN_SPAM},
     {"POST /learnspam HTTP/1.0\r\n", "Content-Length: 31\r\n", "\r\n\r\n" MAIL},
     "Password:"},
    {"ham, with a password, for a domain",
     "rspamd+http",
     {.class = LEARN_HAM, .password = "secret", .deliver_to = {"ours.example", 12}},
     {"POST /learnham ", "\r\nPassword: secret\r\n", "\r\nDeliver-To: ours.example\r\n"},
     "Expect:"},
    {"nobody smuggles a field in",
     "rspamd+http",
     {.class = LEARN_HAM, .deliver_to = {"a\r\nPassword: x", 14}},
     {"\r\nDeliver-To: aPassword:x\r\n"},
     "\r\nPassword:"},
    {"spam",
     "spamd",
     {.class = LEARN_SPAM},
     {"TELL SPAMC/1.5\r\nMessage-class: spam\r\nSet: local\r\nContent-length: 31\r\n\r\n" MAIL},
     "User:"},
    {"ham for a domain",
     "spamd",
     {.class = LEARN_HAM, .deliver_to = {"ours.example", 12}},
     {"Message-class: ham\r\nSet: local\r\nUser: ours.example\r\n"},
     "Remove:"},
    {"forgetting", "spamd", {.class = LEARN_FORGET}, {"TELL SPAMC/1.5\r\nRemove: local\r\nContent-length: "}, "Set:"},
    {"nobody smuggles a field in here either",
     "spamd",
     {.class = LEARN_HAM, .deliver_to = {"a\r\nRemove: local", 16}},
     {"User: aRemove:local\r\n"},
     "\r\nRemove:"},
    {"spamd reads lines: the last one is ended",
     "spamd",
     {.class = LEARN_SPAM, .message = {"A: b\n\nc", 7}},
     {"Content-length: 8\r\n\r\nA: b\n\nc\n"},
     NULL},
};

static void the_question_says_what_how_and_for_whom(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(questions); i++) {
        struct fake f;

        start_fake(&f, questions[i].scheme, ANSWERS, "", false);
        tell(&f, questions[i].ask);
        stop_fake(&f);
        check_asked(&f, questions[i].parts, questions[i].never);
        buf_fini(&f.asked);
    }
}

static void a_large_message_arrives_whole_over_a_unix_socket(void **unused)
{
    static const char *const schemes[] = {"rspamd+http", "spamd"};
    static const char *const answers[] = {"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{\"success\":true}",
                                          "SPAMD/1.1 0 EX_OK\r\nDidSet: local\r\n\r\n\r\n"};
    struct buf               large;

    (void)unused;
    buf_init(&large, 16 << 20);
    buf_puts(&large, "Subject: large\n\n");
    for (int i = 0; i < 200000; i++)
        buf_printf(&large, "line %d of many\n", i);
    for (size_t i = 0; i < COUNT(schemes); i++) {
        struct fake f;

        start_fake(&f, schemes[i], ANSWERS, answers[i], true);
        struct told t = tell(&f, (struct learn_ask){.class = LEARN_SPAM, .message = buf_span(&large)});
        stop_fake(&f);
        CHECK(schemes[i], t.answer == LEARN_DONE);
        CHECK(schemes[i], f.asked.n > large.n && span_ends(buf_span(&f.asked), buf_span(&large)));
        buf_fini(&f.asked);
    }
    buf_fini(&large);
}

static void rspamd_cannot_forget_and_says_so_without_being_asked(void **unused)
{
    struct fake f;

    (void)unused;
    start_fake(&f, "rspamd+http", ANSWERS, "", false);
    struct told t = tell(&f, (struct learn_ask){.class = LEARN_FORGET});
    stop_fake(&f);
    CHECK("it is refused with the cure", t.answer == LEARN_REFUSED && strstr(t.words, "other kind") != NULL);
    CHECK("and nothing was sent", f.asked.n == 0);
    buf_fini(&f.asked);
}

#define STAT(body) "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" body

static const struct {
    const char *holds, *scheme, *says, *why; /* why NULL: it can be read */
    int64_t     spam, ham;
} stats[] = {
    {"what is learnt, summed over languages", "rspamd+http",
     STAT("{\"learned\":9,\"statfiles\":[{\"symbol\":\"BAYES_SPAM\",\"revision\":120},"
          "{\"symbol\":\"BAYES_HAM\",\"revision\":80},{\"symbol\":\"BAYES_SPAM_DE\",\"revision\":3}]}"),
     NULL, 123, 80},
    {"numbers that are none are none", "rspamd+http",
     STAT("{\"statfiles\":[{\"symbol\":\"BAYES_HAM\",\"revision\":-5},{\"symbol\":\"BAYES_SPAM\",\"revision\":\"x\"},7,"
          "{\"symbol\":\"BAYES_HAM\",\"revision\":2}]}"),
     NULL, 0, 2},
    {"no Bayes", "rspamd+http", STAT("{\"statfiles\":[]}"), "names no Bayes", 0, 0},
    {"no JSON", "rspamd+http", STAT("{\"statfiles\":[{\"symbol\""), "names no Bayes", 0, 0},
    {"a wrong password", "rspamd+http", "HTTP/1.1 401 x\r\nContent-Length: 0\r\n\r\n", "password is wrong", 0, 0},
    {"something else", "rspamd+http", "HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n", "status 500", 0, 0},
    {"nothing", "rspamd+http", "", "", 0, 0},
    {"spamd cannot be asked", "spamd", "", "sa-learn", 0, 0},
};

static void what_bayes_knows_is_read_from_rspamd(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(stats); i++) {
        struct fake        f;
        struct learn_known known;
        struct err         e = ERR_INIT;

        start_fake(&f, stats[i].scheme, ANSWERS, stats[i].says, false);
        int rc = learn_stat(f.url, "secret", 2000, &known, &e);
        stop_fake(&f);
        if (rc != (stats[i].why == NULL ? 0 : -1) || (rc < 0 && strstr(e.text, stats[i].why) == NULL))
            fail_msg("%s: %d %s", stats[i].holds, rc, e.text);
        CHECK(stats[i].holds, known.spam == stats[i].spam && known.ham == stats[i].ham);
        if (rc == 0)
            check_asked(&f, (const char *const[]){"GET /stat ", "\r\nPassword: secret\r\n", NULL}, NULL);
        buf_fini(&f.asked);
    }
}

static const struct {
    const char *holds, *says;
    int         rc;
} pings[] = {
    {"a spamd", "SPAMD/1.5 0 PONG\r\n", 0},
    {"something else", "220 mx.example ESMTP\r\n", -1},
    {"closed at once", "", -1},
};

static void a_spamd_is_well_when_it_answers_as_one_does(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(pings); i++) {
        struct fake f;
        struct err  e = ERR_INIT;

        start_fake(&f, "spamd", ANSWERS, pings[i].says, false);
        int rc = learn_ping(f.url, 2000, &e);
        stop_fake(&f);
        CHECK(pings[i].holds, rc == pings[i].rc);
        buf_fini(&f.asked);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_answer_of_rspamds_controller_has_its_meaning),
        cmocka_unit_test(every_answer_to_tell_has_its_meaning),
        cmocka_unit_test(who_hangs_up_floods_or_is_silent_is_asked_again_later),
        cmocka_unit_test(nobody_there_is_later_and_no_address_is_closed),
        cmocka_unit_test(a_host_with_a_name_is_found),
        cmocka_unit_test(the_question_says_what_how_and_for_whom),
        cmocka_unit_test(a_large_message_arrives_whole_over_a_unix_socket),
        cmocka_unit_test(what_bayes_knows_is_read_from_rspamd),
        cmocka_unit_test(a_spamd_is_well_when_it_answers_as_one_does),
        cmocka_unit_test(rspamd_cannot_forget_and_says_so_without_being_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

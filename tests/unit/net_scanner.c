/* Scanners that answer, lie, hang up or keep silent: what the asker sees, and who is asked next. The scanners here are threads with a
 * socket each; nothing waits for a fixed time but the time limit that a silent one runs into. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "net.h"
#include "net/scanner.h"

#define LONG_MS 20000 /* never reached */
#define SHORT_MS 150

/* ---- a scanner of the test's own ---- */

enum manner { ANSWER, STAY_OPEN, SILENT, CLOSE, FLOOD };

struct fake {
    pthread_t       thread;
    int             fd;
    uint16_t        port;
    char            path[64]; /* of a Unix socket; empty: TCP */
    enum manner     manner;
    const char     *answers[4]; /* one a connection; the last one again and again */
    bool            spamd;      /* a question ends where its sender closes */
    pthread_mutex_t lock;       /* guards what follows */
    struct buf      asked;      /* the last question */
    size_t          connections;
};

/* Is the question whole? */
static bool is_whole(const struct buf *in, bool closed)
{
    size_t head = span_find(buf_span(in), SPAN("\r\n\r\n")),
           at = span_find_ci(buf_span(in), SPAN("\r\nContent-Length: "));

    if (closed || head == in->n)
        return closed;
    return at < head && in->n >= head + 4 + strtoul(in->p + at + 18, NULL, 10);
}

static void send_all(int fd, struct span s)
{
    while (s.n > 0) {
        ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);

        if (n <= 0)
            return;
        s = span_skip(s, (size_t)n);
    }
}

/* Reads one question. False when the peer has closed instead. */
static bool read_question(struct fake *f, int fd)
{
    char    bytes[65536];
    ssize_t n = 1;
    bool    some = false;

    pthread_mutex_lock(&f->lock);
    buf_clear(&f->asked);
    pthread_mutex_unlock(&f->lock);
    while (n > 0) {
        n = recv(fd, bytes, sizeof bytes, 0);
        pthread_mutex_lock(&f->lock);
        if (n > 0)
            buf_put(&f->asked, span_make(bytes, (size_t)n));
        some |= n > 0;
        bool whole = is_whole(&f->asked, f->spamd && n == 0);
        pthread_mutex_unlock(&f->lock);
        if (whole)
            return true;
    }
    return some;
}

static void flood(int fd)
{
    static const char head[] = "HTTP/1.1 200 OK\r\n\r\n";
    char              bytes[65536];

    memset(bytes, ' ', sizeof bytes);
    send_all(fd, span_of(head));
    for (size_t n = 0; n < 2 * SCANNER_ANSWER_MAX; n += sizeof bytes)
        send_all(fd, span_make(bytes, sizeof bytes));
}

/* Speaks on one connection. What stays open goes into kept[]. */
static void serve(struct fake *f, int fd, size_t nth, int *kept, size_t *nkept)
{
    size_t last = 0;

    while (last + 1 < COUNT(f->answers) && last < nth && f->answers[last + 1] != NULL)
        last++;
    if (f->manner == SILENT || f->manner == STAY_OPEN) {
        while (f->manner == STAY_OPEN && read_question(f, fd))
            send_all(fd, span_of(f->answers[last]));
        kept[(*nkept)++] = fd;
        return;
    }
    if (f->manner != CLOSE && read_question(f, fd)) {
        if (f->manner == FLOOD)
            flood(fd);
        else
            send_all(fd, span_of(f->answers[last]));
    }
    close(fd);
}

static void *be_scanner(void *of)
{
    struct fake *f = of;
    int          kept[2048], fd;
    size_t       nkept = 0;

    while ((fd = accept(f->fd, NULL, NULL)) >= 0) {
        pthread_mutex_lock(&f->lock);
        size_t nth = f->connections++;
        pthread_mutex_unlock(&f->lock);
        serve(f, fd, nth, kept, &nkept);
    }
    while (nkept > 0)
        close(kept[--nkept]);
    return NULL;
}

static void start_fake(struct fake *f, enum manner manner, const char *answer)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    socklen_t          len = sizeof in;

    f->manner = manner;
    if (answer != NULL)
        f->answers[0] = answer;
    buf_init(&f->asked, 64 << 20);
    pthread_mutex_init(&f->lock, NULL);
    if (f->path[0] != '\0') {
        memcpy(un.sun_path, f->path, strlen(f->path) + 1);
        f->fd = socket(AF_UNIX, SOCK_STREAM, 0);
        assert_int_equal(bind(f->fd, (struct sockaddr *)&un, sizeof un), 0);
    } else {
        f->fd = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(bind(f->fd, (struct sockaddr *)&in, sizeof in), 0);
        assert_int_equal(getsockname(f->fd, (struct sockaddr *)&in, &len), 0);
        f->port = ntohs(in.sin_port);
    }
    assert_int_equal(listen(f->fd, 4096), 0);
    assert_int_equal(pthread_create(&f->thread, NULL, be_scanner, f), 0);
}

static size_t stop_fake(struct fake *f)
{
    shutdown(f->fd, SHUT_RDWR);
    pthread_join(f->thread, NULL);
    close(f->fd);
    buf_fini(&f->asked);
    if (f->path[0] != '\0')
        unlink(f->path);
    return f->connections;
}

/* A port of this machine at which nobody listens. */
static uint16_t closed_port(void)
{
    struct fake f = {.spamd = false};

    start_fake(&f, CLOSE, NULL);
    stop_fake(&f);
    return f.port;
}

/* ---- asking ---- */

struct question {
    struct scanner_ask ask; /* first: done() finds the rest behind it */
    struct arena       arena;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t  changed = PTHREAD_COND_INITIALIZER;
static size_t          ndone;

static void done(struct scanner_ask *ask)
{
    (void)ask;
    pthread_mutex_lock(&lock);
    ndone++;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

static void wait_for(size_t n)
{
    pthread_mutex_lock(&lock);
    while (ndone < n)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

#define MESSAGE "From: a@b.example\r\nSubject: x\r\n\r\nhello\r\n"

static void put(struct scanner *s, struct question *q)
{
    arena_init(&q->arena, 64 << 20);
    q->ask.arena = &q->arena;
    q->ask.done = done;
    if (q->ask.message.p == NULL)
        q->ask.message = SPAN(MESSAGE);
    scanner_put(s, &q->ask);
}

static void drop(struct question *q)
{
    arena_fini(&q->arena);
    *q = (struct question){.ask = {.rc = 0}};
}

/* Asks and waits for the end; the question has to be dropped. */
static void ask(struct scanner *s, struct question *q)
{
    pthread_mutex_lock(&lock);
    ndone = 0;
    pthread_mutex_unlock(&lock);
    put(s, q);
    wait_for(1);
}

static struct scanner *must_new(int64_t timeout_ms, const char *a, const char *b)
{
    const char      *items[] = {a, b};
    struct conf_list list = {items, b != NULL ? 2 : 1};
    struct scanner  *s;
    struct err       e = ERR_INIT;

    if (scanner_new(&list, timeout_ms, &s, &e) < 0)
        fail_msg("%s: %s", a, e.text);
    return s;
}

static const char *url_of(const char *scheme, uint16_t port, char out[100])
{
    snprintf(out, 100, "%s127.0.0.1:%u", scheme, port);
    return out;
}

#define HTTP(length, body)                                                                                             \
    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: " length "\r\n\r"       \
    "\n" body
#define GOOD_JSON "{\"score\":7.5,\"required_score\":15,\"action\":\"add header\",\"symbols\":{\"S\":{\"score\":7.5}}}"
#define GOOD HTTP("85", GOOD_JSON)
_Static_assert(sizeof GOOD_JSON - 1 == 85, "the length of an answer");

/* ---- Rspamd ---- */

static void check_has(struct fake *f, const char *line, bool has)
{
    struct span asked = buf_span(&f->asked);
    bool        found = span_find(asked, span_of(line)) < asked.n;

    if (found != has)
        fail_msg("%s: %s\n%.*s", has ? "missing" : "there", line, SPAN_ARG(asked));
}

static void rspamd_hears_the_envelope_and_the_message(void **unused)
{
    struct span     rcpt[] = {SPAN("<c@d.example>"), SPAN("e@d.example\r\nShm: /x")};
    struct question q = {.ask = {.from = SPAN("<a@b.example>"),
                                 .rcpt = rcpt,
                                 .nrcpt = 2,
                                 .ip = SPAN("192.0.2.1"),
                                 .helo = SPAN("he\0lo"),
                                 .hostname = SPAN("mx.b.example"),
                                 .queue_id = SPAN("Q1"),
                                 .deliver_to = SPAN("c@d.example")}};
    struct fake     f = {.spamd = false};
    char            url[100];

    (void)unused;
    start_fake(&f, ANSWER, GOOD);
    struct scanner *s = must_new(LONG_MS, url_of("rspamd+http://", f.port, url), NULL);
    ask(s, &q);
    assert_int_equal(q.ask.rc, 0);
    assert_true(q.ask.answer.reply.score == 7.5 && q.ask.answer.reply.nsymbols == 1 && !q.ask.answer.spamd);
    assert_string_equal(q.ask.answer.by, url);
    check_has(&f, "POST /checkv2 HTTP/1.1\r\n", true);
    check_has(&f, "\r\nFrom: <a@b.example>\r\n", true);
    check_has(&f, "\r\nRcpt: <c@d.example>\r\n", true);
    check_has(&f, "\r\nRcpt: e@d.exampleShm: /x\r\n", true);
    check_has(&f, "\r\nHelo: helo\r\n", true);
    check_has(&f, "\r\nIP: 192.0.2.1\r\n", true);
    check_has(&f, "\r\nHostname: mx.b.example\r\n", true);
    check_has(&f, "\r\nQueue-ID: Q1\r\n", true);
    check_has(&f, "\r\nDeliver-To: c@d.example\r\n", true);
    check_has(&f, "\r\n\r\n" MESSAGE, true);
    check_has(&f, "\r\nUser:", false);
    check_has(&f, "\r\nExpect", false);
    check_has(&f, "\r\nPass", false);
    check_has(&f, "\r\nShm", false);
    drop(&q);
    scanner_free(&s);
    stop_fake(&f);
}

static void a_null_sender_is_said_and_an_unknown_one_is_not(void **unused)
{
    struct question null = {.ask = {.from = SPAN("")}}, unknown = {.ask = {.from = {NULL, 0}}};
    struct fake     f = {.spamd = false};
    char            url[100];

    (void)unused;
    start_fake(&f, ANSWER, GOOD);
    struct scanner *s = must_new(LONG_MS, url_of("rspamd+http://", f.port, url), NULL);
    ask(s, &null);
    check_has(&f, "\r\nFrom: <>\r\n", true);
    ask(s, &unknown);
    check_has(&f, "\r\nFrom: <", false);
    drop(&null);
    drop(&unknown);
    scanner_free(&s);
    stop_fake(&f);
}

static void more_recipients_than_rspamd_can_read_are_left_out(void **unused)
{
    static struct span rcpt[10000];
    struct question    q = {.ask = {.rcpt = rcpt, .nrcpt = COUNT(rcpt), .user = SPAN("joe")}};
    struct fake        f = {.spamd = false};
    char               url[100];

    (void)unused;
    for (size_t i = 0; i < COUNT(rcpt); i++)
        rcpt[i] = SPAN("<somebody.with.a.name@example.example>");
    start_fake(&f, ANSWER, GOOD);
    struct scanner *s = must_new(LONG_MS, url_of("rspamd+http://", f.port, url), NULL);
    ask(s, &q);
    assert_int_equal(q.ask.rc, 0);
    check_has(&f, "\r\nUser: joe\r\n", true);
    size_t head = span_find(buf_span(&f.asked), SPAN("\r\n\r\n"));
    assert_true(head > 40000 && head < 80 * 1024);
    drop(&q);
    scanner_free(&s);
    stop_fake(&f);
}

static void connections_to_rspamd_are_kept_open(void **unused)
{
    static const char kept[] = "HTTP/1.1 200 OK\r\nContent-Length: 85\r\n\r\n" GOOD_JSON;
    struct question   q = {.ask = {.rc = 0}};
    struct fake       f = {.spamd = false};
    char              url[100];

    (void)unused;
    start_fake(&f, STAY_OPEN, kept);
    struct scanner *s = must_new(LONG_MS, url_of("rspamd+http://", f.port, url), NULL);
    for (int i = 0; i < 5; i++) {
        ask(s, &q);
        assert_int_equal(q.ask.rc, 0);
        drop(&q);
    }
    scanner_free(&s);
    assert_int_equal(stop_fake(&f), 1);
}

/* ---- what goes wrong ---- */

static const struct fault {
    const char   *holds;
    enum manner   manner;
    const char   *answer;
    int64_t       timeout_ms;
    enum err_code code;
    const char   *says;
} faults[] = {
    {"it hangs up at once", CLOSE, NULL, LONG_MS, ERR_LOST, ""},
    {"it hangs up after the question", ANSWER, "", LONG_MS, ERR_LOST, "mpty reply"},
    {"it hangs up in the head", ANSWER, "HTTP/1.1 200 OK\r\nContent-Le", LONG_MS, ERR_INVALID, "JSON ends"},
    {"it hangs up in the answer", ANSWER, HTTP("85", "{\"score\":"), LONG_MS, ERR_LOST, "76 bytes"},
    {"it never says a word", SILENT, NULL, SHORT_MS, ERR_TIMEOUT, ""},
    {"it says no JSON", ANSWER, HTTP("6", "<html>"), LONG_MS, ERR_INVALID, "byte 1"},
    {"it says too little", ANSWER, HTTP("2", "{}"), LONG_MS, ERR_PROTOCOL, "no action"},
    {"it announces less than it says", ANSWER, HTTP("20", GOOD_JSON), LONG_MS, ERR_INVALID, "no closing quote"},
    {"it speaks another protocol", ANSWER, "SPAMD/1.1 0 EX_OK\r\n\r\n", LONG_MS, ERR_PROTOCOL, "HTTP/0.9"},
    {"it has an error", ANSWER,
     "HTTP/1.1 500 invalid command\r\nContent-Length: 27\r\n\r\n{\"error\":\"invalid command\"}", LONG_MS, ERR_PROTOCOL,
     "status 500: it says: invalid command"},
    {"it refuses with a good answer", ANSWER, "HTTP/1.1 403 No\r\nContent-Length: 85\r\n\r\n" GOOD_JSON, LONG_MS,
     ERR_PROTOCOL, "status 403"},
    {"it sends us elsewhere", ANSWER, "HTTP/1.1 302 Go\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
     LONG_MS, ERR_INVALID, "status 302"},
    {"it never ends", FLOOD, NULL, LONG_MS, ERR_LIMIT, "4194304 bytes"},
    {"it announces too much", ANSWER, HTTP("99999999999", "{"), LONG_MS, ERR_LOST, ""},
};

static void check_fault(const struct fault *fault, const char *scheme, bool spamd)
{
    struct question q = {.ask = {.rc = 0}};
    struct fake     f = {.spamd = spamd};
    char            url[100];

    start_fake(&f, fault->manner, fault->answer);
    struct scanner *s = must_new(fault->timeout_ms, url_of(scheme, f.port, url), NULL);
    ask(s, &q);
    CHECK(fault->holds, q.ask.rc == -1);
    if (q.ask.err.code != fault->code || strstr(q.ask.err.text, fault->says) == NULL ||
        strstr(q.ask.err.text, url) != q.ask.err.text)
        fail_msg("%s: %s: %s", fault->holds, err_word(q.ask.err.code), q.ask.err.text);
    drop(&q);
    scanner_free(&s);
    stop_fake(&f);
}

static void a_scanner_that_fails_is_named_with_its_fault(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(faults); i++)
        check_fault(&faults[i], "rspamd+http://", false);
}

static void whatever_the_first_does_the_second_answers_in_time(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(faults); i++) {
        struct question      q = {.ask = {.rc = 0}};
        struct fake          bad = {.spamd = false}, good = {.spamd = false};
        char                 one[100], two[100];
        struct scanner_stats stats;

        start_fake(&bad, faults[i].manner, faults[i].answer);
        start_fake(&good, ANSWER, GOOD);
        struct scanner *s = must_new(faults[i].timeout_ms == LONG_MS ? LONG_MS : 10 * SHORT_MS,
                                     url_of("rspamd+http://", bad.port, one), url_of("rspamd+http://", good.port, two));
        ask(s, &q);
        if (q.ask.rc < 0)
            fail_msg("%s: %s", faults[i].holds, q.ask.err.text);
        CHECK(faults[i].holds, strcmp(q.ask.answer.by, two) == 0);
        scanner_stats(s, &stats);
        CHECK(faults[i].holds, stats.asked == 1 && stats.answered == 1 && stats.failed == 0 && stats.retried == 1);
        drop(&q);
        scanner_free(&s);
        stop_fake(&bad);
        stop_fake(&good);
    }
}

static void one_that_is_not_there_is_not_asked_again_by_everybody(void **unused)
{
    struct question      q = {.ask = {.rc = 0}};
    struct fake          good = {.spamd = false};
    char                 one[100], two[100];
    struct scanner_stats stats;

    (void)unused;
    start_fake(&good, ANSWER, GOOD);
    struct scanner *s = must_new(LONG_MS, url_of("rspamd+http://", closed_port(), one),
                                 url_of("rspamd+http://", good.port, two));
    for (int i = 0; i < 3; i++) {
        ask(s, &q);
        assert_int_equal(q.ask.rc, 0);
        drop(&q);
    }
    scanner_stats(s, &stats);
    assert_true(stats.retried == 1 && stats.answered == 3 && stats.scanners == 2 && stats.well == 1);
    scanner_free(&s);
    stop_fake(&good);
}

static void while_nobody_is_well_questions_fail_at_once(void **unused)
{
    struct question q = {.ask = {.rc = 0}};
    char            url[100];

    (void)unused;
    struct scanner *s = must_new(LONG_MS, url_of("rspamd+http://", closed_port(), url), NULL);
    ask(s, &q);
    assert_true(q.ask.rc == -1 && q.ask.err.code == ERR_LOST && strstr(q.ask.err.text, url) == q.ask.err.text);
    drop(&q);
    ask(s, &q);
    assert_true(q.ask.rc == -1 && q.ask.err.code == ERR_LOST);
    assert_non_null(strstr(q.ask.err.text, "no scanner is well: rspamd+http://127.0.0.1:"));
    drop(&q);
    scanner_free(&s);
}

static void an_arena_that_is_full_fails_the_question_alone(void **unused)
{
    struct question q = {.ask = {.rc = 0}};
    struct fake     f = {.spamd = false};
    char            url[100];

    (void)unused;
    start_fake(&f, ANSWER, GOOD);
    struct scanner *s = must_new(LONG_MS, url_of("rspamd+http://", f.port, url), NULL);
    arena_init(&q.arena, 50);
    q.ask = (struct scanner_ask){.message = SPAN(MESSAGE), .arena = &q.arena, .done = done};
    ndone = 0;
    scanner_put(s, &q.ask);
    wait_for(1);
    assert_true(q.ask.rc == -1 && q.ask.err.code == ERR_LIMIT);
    drop(&q);
    scanner_free(&s);
    stop_fake(&f);
}

static void stopping_fails_what_is_under_way(void **unused)
{
    static struct question q[20];
    struct fake            f = {.spamd = false};
    char                   url[100];

    (void)unused;
    start_fake(&f, SILENT, NULL);
    struct scanner *s = must_new(LONG_MS, url_of("rspamd+http://", f.port, url), NULL);
    ndone = 0;
    for (size_t i = 0; i < COUNT(q); i++)
        put(s, &q[i]);
    scanner_free(&s);
    wait_for(COUNT(q));
    for (size_t i = 0; i < COUNT(q); i++) {
        assert_true(q[i].ask.rc == -1 && q[i].ask.err.code == ERR_LOST);
        drop(&q[i]);
    }
    stop_fake(&f);
}

static void a_silent_scanner_fills_no_memory_without_end(void **unused)
{
    static struct question q[1500];
    struct fake            f = {.spamd = false};
    struct scanner_stats   stats;
    char                   url[100];
    size_t                 busy = 0;

    (void)unused;
    start_fake(&f, SILENT, NULL);
    struct scanner *s = must_new(LONG_MS, url_of("rspamd+http://", f.port, url), NULL);
    ndone = 0;
    for (size_t i = 0; i < COUNT(q); i++)
        put(s, &q[i]);
    scanner_stats(s, &stats);
    assert_int_equal(stats.under_way, 1024);
    scanner_free(&s);
    for (size_t i = 0; i < COUNT(q); i++) {
        busy += q[i].ask.err.code == ERR_BUSY;
        drop(&q[i]);
    }
    assert_int_equal(busy, COUNT(q) - 1024);
    stop_fake(&f);
}

static void many_questions_at_once_are_all_answered(void **unused)
{
    static struct question q[300];
    struct fake            f = {.spamd = false};
    char                   url[100];

    (void)unused;
    start_fake(&f, ANSWER, GOOD);
    struct scanner *s = must_new(LONG_MS, url_of("rspamd+http://", f.port, url), NULL);
    ndone = 0;
    for (size_t i = 0; i < COUNT(q); i++)
        put(s, &q[i]);
    wait_for(COUNT(q));
    for (size_t i = 0; i < COUNT(q); i++) {
        assert_int_equal(q[i].ask.rc, 0);
        drop(&q[i]);
    }
    scanner_free(&s);
    stop_fake(&f);
}

/* ---- spamd ---- */

#define TABLE                                                                                                          \
    "Content preview:  9.9 FORGED x\n\n pts rule name              description\n"                                      \
    "---- ---------------------- --------------------------------------------------\n"                                 \
    " 2.7 MISSING_DATE           Missing Date: header\n"                                                               \
    "-0.1 DKIM_VALID_AU          Message has a valid DKIM or DK signature from\n"                                      \
    "                            author's domain\n"                                                                    \
    " 100 GTUBE                  BODY: test\n                            [x]\n\n 5.0 AFTER the end\n"
#define REPORTED(length, body) "SPAMD/1.1 0 EX_OK\r\nContent-length: " length "\r\nSpam: True ; 12.5 / 5.0\r\n\r\n" body
_Static_assert(sizeof TABLE - 1 == 409, "the length of a report");

static void spamd_gives_score_threshold_and_points(void **unused)
{
    struct question q = {.ask = {.message = SPAN("From: a@b.example\n\nno end"),
                                 .from = SPAN("<a@b.example>"),
                                 .ip = SPAN("192.0.2.1"),
                                 .deliver_to = SPAN("joe@\r\nour.example")}};
    struct fake     f = {.spamd = true};
    char            url[100];

    (void)unused;
    start_fake(&f, ANSWER, REPORTED("409", TABLE));
    struct scanner *s = must_new(LONG_MS, url_of("spamd://", f.port, url), NULL);
    ask(s, &q);
    if (q.ask.rc < 0)
        fail_msg("%s", q.ask.err.text);
    const struct rspamd_reply *r = &q.ask.answer.reply;
    assert_true(q.ask.answer.spamd && !q.ask.answer.names_only && q.ask.answer.envelope_told);
    assert_true(r->score == 12.5 && r->required_score == 5 && r->action == RSPAMD_ADD_HEADER);
    assert_int_equal(r->nsymbols, 3);
    assert_true(span_is(r->symbols[0].name, "MISSING_DATE") && r->symbols[0].score == 2.7);
    assert_true(span_is(r->symbols[1].name, "DKIM_VALID_AU") && r->symbols[1].score == -0.1);
    assert_true(span_is(r->symbols[2].name, "GTUBE") && r->symbols[2].score == 100);
    check_has(&f, "REPORT SPAMC/1.5\r\nUser: joe@our.example\r\nContent-length: ", true);
    check_has(&f, "\r\n\r\nReturn-Path: <a@b.example>\nX-Envelope-From: <a@b.example>\nReceived: from ", true);
    check_has(&f, "\nFrom: a@b.example\n\nno end\n", true);
    size_t head = span_find(buf_span(&f.asked), SPAN("\r\n\r\n")) + 4,
           at = span_find(buf_span(&f.asked), SPAN("length: "));
    assert_int_equal(strtoul(f.asked.p + at + 8, NULL, 10), f.asked.n - head);
    drop(&q);
    scanner_free(&s);
    stop_fake(&f);
}

static void a_report_without_a_table_is_asked_for_names_then_and_ever_after(void **unused)
{
    struct question q = {.ask = {.rc = 0}};
    struct fake     f = {.spamd = true,
                         .answers = {REPORTED("5", "none\n"),
                                     "SPAMD/1.1 0 EX_OK\r\nContent-length: 8\r\nSpam: False ; 2.0 / 5.0\r\n\r\nAA,BB_1\n",
                                     "SPAMD/1.1 0 EX_OK\r\nSpam: No ; -2.0 / 5.0\r\n\r\nCC\r\n"}};
    char            url[100];

    (void)unused;
    start_fake(&f, ANSWER, NULL);
    struct scanner *s = must_new(LONG_MS, url_of("spamd://", f.port, url), NULL);
    ask(s, &q);
    assert_int_equal(q.ask.rc, 0);
    assert_true(q.ask.answer.names_only && !q.ask.answer.envelope_told && q.ask.answer.reply.nsymbols == 2);
    assert_true(q.ask.answer.reply.score == 2 && q.ask.answer.reply.action == RSPAMD_NO_ACTION);
    assert_true(span_is(q.ask.answer.reply.symbols[1].name, "BB_1"));
    drop(&q);
    ask(s, &q);
    assert_true(q.ask.rc == 0 && q.ask.answer.reply.nsymbols == 1 && q.ask.answer.reply.score == -2);
    check_has(&f, "SYMBOLS SPAMC/1.5\r\nContent-length: ", true);
    drop(&q);
    scanner_free(&s);
    assert_int_equal(stop_fake(&f), 3);
}

static const struct fault spamd_faults[] = {
    {"it hangs up at once", CLOSE, NULL, LONG_MS, ERR_PROTOCOL, "without an answer"},
    {"it hangs up after the question", ANSWER, "", LONG_MS, ERR_PROTOCOL, "without an answer"},
    {"it hangs up in the answer", ANSWER, REPORTED("409", "Spam det"), LONG_MS, ERR_PROTOCOL, "8 bytes came where 409"},
    {"it says more than it announced", ANSWER, REPORTED("3", "Spam det"), LONG_MS, ERR_PROTOCOL, "8 bytes came"},
    {"it never says a word", SILENT, NULL, SHORT_MS, ERR_TIMEOUT, "in time"},
    {"it speaks another protocol", ANSWER, HTTP("0", ""), LONG_MS, ERR_PROTOCOL, "no answer of spamd's"},
    {"it has an error", ANSWER, "SPAMD/1.0 76 Bad header line: x\r\n", LONG_MS, ERR_PROTOCOL,
     "it says: SPAMD/1.0 76 Bad"},
    {"it has no score", ANSWER, "SPAMD/1.1 0 EX_OK\r\n\r\n", LONG_MS, ERR_PROTOCOL, "no score"},
    {"its score is none", ANSWER, "SPAMD/1.1 0 EX_OK\r\nSpam: True ; nan / 5.0\r\n\r\n", LONG_MS, ERR_PROTOCOL,
     "score"},
    {"its score is huge", ANSWER, "SPAMD/1.1 0 EX_OK\r\nSpam: True ; 9999999999.0 / 5.0\r\n\r\n", LONG_MS, ERR_PROTOCOL,
     "score"},
    {"it never ends", FLOOD, NULL, LONG_MS, ERR_LIMIT, "4194304 bytes"},
};

static void a_spamd_that_fails_is_named_with_its_fault(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(spamd_faults); i++)
        check_fault(&spamd_faults[i], "spamd://", true);
}

static void both_are_reached_by_unix_sockets(void **unused)
{
    struct question q = {.ask = {.rc = 0}};
    struct fake     rspamd = {.spamd = false}, spamd = {.spamd = true};
    char            url[100];

    (void)unused;
    snprintf(rspamd.path, sizeof rspamd.path, "/tmp/postern-scanner-r.%d", (int)getpid());
    snprintf(spamd.path, sizeof spamd.path, "/tmp/postern-scanner-s.%d", (int)getpid());
    start_fake(&rspamd, ANSWER, GOOD);
    start_fake(&spamd, ANSWER, REPORTED("409", TABLE));
    for (int i = 0; i < 2; i++) {
        snprintf(url, sizeof url, "%s%s",
                 i == 0 ? "rspamd+http+unix:" : "spamd+unix:", i == 0 ? rspamd.path : spamd.path);
        struct scanner *s = must_new(LONG_MS, url, NULL);
        ask(s, &q);
        if (q.ask.rc < 0)
            fail_msg("%s", q.ask.err.text);
        assert_true(q.ask.answer.spamd == (i == 1));
        drop(&q);
        scanner_free(&s);
    }
    stop_fake(&rspamd);
    stop_fake(&spamd);
}

/* ---- settings ---- */

static const struct {
    const char *one, *two, *says;
} bad_settings[] = {
    {"http://127.0.0.1:11333", NULL, "rspamd+http://HOST:PORT"},
    {"rspamd+http://127.0.0.1", NULL, "needs a host and a port"},
    {"rspamd+http://:11333", NULL, "needs a host and a port"},
    {"spamd://127.0.0.1:0", NULL, "needs a host and a port"},
    {"spamd://127.0.0.1:99999", NULL, "needs a host and a port"},
    {"spamd://127.0.0.1:783/x", NULL, "no paths"},
    {"rspamd+http://u:p@127.0.0.1:11333", NULL, "@ cannot stand"},
    {"rspamd+http+unix:run/x", NULL, "whole path"},
    {"rspamd+http://127.0.0.1:11333", "spamd://127.0.0.1:783", "two kinds"},
    {"none", "spamd://127.0.0.1:783", "rspamd+http://HOST:PORT"},
};

static void a_setting_that_names_no_scanner_is_refused_with_the_cure(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(bad_settings); i++) {
        const char      *items[] = {bad_settings[i].one, bad_settings[i].two};
        struct conf_list list = {items, items[1] != NULL ? 2 : 1};
        struct scanner  *s;
        struct err       e = ERR_INIT;

        CHECK(items[0], scanner_new(&list, 1000, &s, &e) == -1 && s == NULL);
        if (strstr(e.text, bad_settings[i].says) == NULL)
            fail_msg("%s: %s", items[0], e.text);
    }
}

static void none_is_none(void **unused)
{
    const char      *items[] = {"none"};
    struct conf_list list = {items, 1}, empty = {NULL, 0};
    struct scanner  *s;
    struct err       e = ERR_INIT;

    (void)unused;
    assert_true(scanner_new(&list, 1000, &s, &e) == 0 && s == NULL);
    assert_true(scanner_new(&empty, 1000, &s, &e) == 0 && s == NULL);
    scanner_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rspamd_hears_the_envelope_and_the_message),
        cmocka_unit_test(a_null_sender_is_said_and_an_unknown_one_is_not),
        cmocka_unit_test(more_recipients_than_rspamd_can_read_are_left_out),
        cmocka_unit_test(connections_to_rspamd_are_kept_open),
        cmocka_unit_test(a_scanner_that_fails_is_named_with_its_fault),
        cmocka_unit_test(whatever_the_first_does_the_second_answers_in_time),
        cmocka_unit_test(one_that_is_not_there_is_not_asked_again_by_everybody),
        cmocka_unit_test(while_nobody_is_well_questions_fail_at_once),
        cmocka_unit_test(an_arena_that_is_full_fails_the_question_alone),
        cmocka_unit_test(stopping_fails_what_is_under_way),
        cmocka_unit_test(a_silent_scanner_fills_no_memory_without_end),
        cmocka_unit_test(many_questions_at_once_are_all_answered),
        cmocka_unit_test(spamd_gives_score_threshold_and_points),
        cmocka_unit_test(a_report_without_a_table_is_asked_for_names_then_and_ever_after),
        cmocka_unit_test(a_spamd_that_fails_is_named_with_its_fault),
        cmocka_unit_test(both_are_reached_by_unix_sockets),
        cmocka_unit_test(a_setting_that_names_no_scanner_is_refused_with_the_cure),
        cmocka_unit_test(none_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

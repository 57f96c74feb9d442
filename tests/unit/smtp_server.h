/* tests/unit/smtp_server.h - a mail server in a thread of the test's own, that does as a script says and keeps what it heard. */
#ifndef POSTERN_TESTS_UNIT_SMTP_SERVER_H
#define POSTERN_TESTS_UNIT_SMTP_SERVER_H

#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "check.h"

/* What it answers to a command that begins so: the first row that fits counts, `times` times (0: always). */
struct answer {
    const char *to, *reply; /* reply NULL: closes at once; "": says nothing more */
    int         times;
};
struct server {
    const struct answer *script;
    struct buf           heard; /* commands a line each; the message's lines begin with '|' */
    int                  used[16];
    int                  fd, connections;
    const char          *kill_at; /* who says this, a command or the final dot, is killed: */
    pid_t                victim;
    pthread_t            thread;
    char                 url[128];
};

static const struct answer usual[] = {
    {"EHLO",
     "250-mx.test\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n"
     "250-XFORWARD NAME ADDR PROTO HELO SOURCE PORT IDENT\r\n250 PIPELINING\r\n",
     0},
    {"LHLO", "250-mx.test\r\n250 8BITMIME\r\n", 0},
    {"XFORWARD", "250 2.0.0 Ok\r\n", 0},
    {"MAIL", "250 2.1.0 Ok\r\n", 0},
    {"RCPT", "250 2.1.5 Ok\r\n", 0},
    {"DATA", "354 End data with <CR><LF>.<CR><LF>\r\n", 0},
    {".", "250 2.0.0 Ok: queued as 4XyZ123\r\n", 0},
    {"RSET", "250 2.0.0 Ok\r\n", 0},
    {"QUIT", "221 2.0.0 Bye\r\n", 0},
    {"", "500 5.5.1 What?\r\n", 0},
};

/* The row of the script, or, where it has none, of the usual. */
static inline const char *answer_to(struct server *s, struct span line)
{
    for (size_t i = 0; s->script != NULL && s->script[i].to != NULL; i++) {
        const struct answer *a = &s->script[i];

        if (span_starts(line, span_of(a->to)) && (a->times == 0 || s->used[i] < a->times)) {
            s->used[i]++;
            return a->reply;
        }
    }
    for (size_t i = 0; i < COUNT(usual); i++)
        if (span_starts(line, span_of(usual[i].to)))
            return usual[i].reply;
    return "";
}

static inline bool say(int fd, const char *text)
{
    size_t n = text != NULL ? strlen(text) : 0;

    return text != NULL && send(fd, text, n, MSG_NOSIGNAL) == (ssize_t)n;
}

/* True: the message has ended. */
static inline bool hear_data(struct server *s, struct span line)
{
    buf_putc(&s->heard, '|');
    buf_put(&s->heard, line);
    buf_putc(&s->heard, '\n');
    return span_is(line, ".");
}

static inline bool hear_line(struct server *s, int fd, struct span line, bool *data)
{
    const char *reply;

    if (s->kill_at != NULL && (s->kill_at[0] == '.' ? span_is(line, ".") : span_starts(line, span_of(s->kill_at)))) {
        kill(s->victim, SIGKILL);
        return false;
    }
    if (*data && !hear_data(s, line))
        return true;
    if (!*data) {
        buf_put(&s->heard, line);
        buf_putc(&s->heard, '\n');
    }
    *data = false;
    reply = answer_to(s, line);
    *data = reply != NULL && span_starts(span_of(reply), SPAN("354"));
    return say(fd, reply);
}

static inline void talk(struct server *s, int fd)
{
    struct buf in;
    ssize_t    n = 1;
    bool       data = false, on = say(fd, "220 mx.test ESMTP\r\n");

    buf_init(&in, 64 << 20);
    while (on && n > 0) {
        size_t lf = span_find(buf_span(&in), SPAN("\r\n"));

        if (lf < in.n) {
            on = hear_line(s, fd, span_head(buf_span(&in), lf), &data);
            buf_consume(&in, lf + 2);
        } else if ((n = recv(fd, buf_reserve(&in, 65536), 65536, 0)) > 0) {
            in.n += (size_t)n;
        }
    }
    buf_fini(&in);
    close(fd);
}

static inline void *serve(void *arg)
{
    struct server *s = arg;
    int            fd;

    while ((fd = accept(s->fd, NULL, NULL)) >= 0) {
        s->connections++;
        talk(s, fd);
    }
    return NULL;
}

static inline void start(struct server *s, const struct answer *script, bool lmtp)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t          n = sizeof a;

    *s = (struct server){.script = script, .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    buf_init(&s->heard, 64 << 20);
    assert_int_equal(bind(s->fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(s->fd, 5), 0);
    assert_int_equal(getsockname(s->fd, (struct sockaddr *)&a, &n), 0);
    snprintf(s->url, sizeof s->url, "%s://127.0.0.1:%d", lmtp ? "lmtp" : "smtp", ntohs(a.sin_port));
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

/* After the client has closed its connection: nothing more will be heard. Twice is as once. */
static inline void hang_up(struct server *s)
{
    if (s->fd < 0)
        return;
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->fd);
    s->fd = -1;
}

static inline void stop(struct server *s)
{
    hang_up(s);
    buf_fini(&s->heard);
}

#endif

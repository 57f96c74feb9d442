/* tests/bench/digest.c - digests at their size: an hour in which N subscriptions are due, and a mail server that takes what comes.
 *
 *   bench-digest fill URL N M     makes N people with a mailbox and a digest that is due, and M held messages for each
 *   bench-digest run PROGRAM CONF PORT   is the mail server at that port of this machine (of [smtp] url), starts PROGRAM -c CONF --once,
 *                                 and says what it took: letters, CPU time, memory at the start and at the end
 *
 * The mail server counts; it does nothing with what it gets. Ends with 1 when somebody got none or two. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/account.h"
#include "store/digest.h"
#include "store/domain.h"
#include "store/mailbox.h"
#include "store/message.h"

#define BATCH 500
#define HOUR_US (3600 * INT64_C(1000000))

static const struct actor maker = {
    .kind = ACTOR_OPERATOR, .name = "bench", .source = "bench", .admin = true, .over_quota = true};
extern char **environ;

static _Noreturn void die(const char *doing, const char *why)
{
    fprintf(stderr, "bench-digest: %s: %s\n", doing, why);
    exit(2);
}

#define MUST(call)                                                                                                     \
    do {                                                                                                               \
        if ((call) < 0)                                                                                                \
            die(#call, e.text);                                                                                        \
    } while (0)

/* ---- filling ---- */

static struct uuid add_domain(struct store *s)
{
    struct store_domain d = {.kind = DOMAIN_LOCAL, .state = DOMAIN_ACTIVE, .delimiter = '+'};
    struct err          e = ERR_INIT;
    struct uuid         id;

    snprintf(d.name, sizeof d.name, "ours.example");
    MUST(store_domain_add(s, &maker, &d, &id, &e));
    return id;
}

static struct uuid add_person(struct store *s, struct uuid domain, long i, int64_t now_us)
{
    struct store_account a = {.active = true};
    struct store_digest  d = {.kind = DIGEST_MAILBOX,
                              .choice = {.minute = 420, .weekdays = 127, .filters = DIGEST_QUARANTINED},
                              .next_us = now_us};
    struct err           e = ERR_INIT;
    struct uuid          id;
    char                 local[32];

    snprintf(local, sizeof local, "person%ld", i);
    snprintf(a.login, sizeof a.login, "%s@ours.example", local);
    snprintf(d.choice.zone, sizeof d.choice.zone, "Europe/Berlin");
    snprintf(d.choice.language, sizeof d.choice.language, i % 2 ? "en" : "de");
    MUST(store_account_add(s, &maker, &a, &d.account, &e));
    MUST(store_mailbox_add(s, &maker, domain, span_of(local), &d.account, &d.mailbox, &e));
    MUST(store_digest_add(s, &maker, &d, &id, &e));
    return d.mailbox;
}

struct held {
    struct store_message  m;
    struct store_delivery to;
    char                  rcpt[64], subject[64];
};

static void make_held(struct held *h, struct uuid domain, struct uuid mailbox, long i, long k, int64_t now_us)
{
    *h = (struct held){.to = {.has_domain = true,
                              .domain = domain,
                              .has_mailbox = true,
                              .mailbox = mailbox,
                              .has_score = true,
                              .score = 6.5 + (double)((i + k) % 100) / 10,
                              .verdict = DELIVERY_QUARANTINED,
                              .trace = SPAN("[]")}};
    snprintf(h->rcpt, sizeof h->rcpt, "person%ld@ours.example", i);
    snprintf(h->subject, sizeof h->subject, "Offer %ld of the week for %ld", k, i);
    h->to.recipient = span_of(h->rcpt);
    h->m = (struct store_message){
        .uid = uuid7_make(),
        .at_us = now_us - HOUR_US,
        .direction = DIRECTION_INBOUND,
        .listener = SPAN("127.0.0.1:11344"),
        .ip = SPAN("192.0.2.7"),
        .helo = SPAN("mx.shop.example"),
        .host = SPAN("mx.shop.example"),
        .sender = SPAN("bounce@shop.example"),
        .from_address = SPAN("offers@shop.example"),
        .from_name = SPAN("The shop"),
        .subject = span_of(h->subject),
        .message_id = SPAN("<1@shop.example>"),
        .size = 4000,
        .has_score = true,
        .score = h->to.score,
        .symbols = SPAN("[{\"name\":\"BAYES_SPAM\",\"score\":5.1},{\"name\":\"R_SPF_ALLOW\",\"score\":-0.2}]"),
        .attachments = SPAN("[]"),
        .inbound = SPAN("250 2.0.0 Ok: queued"),
        .deliveries = &h->to,
        .ndeliveries = 1,
        .kept = true,
        .keep_us = now_us + 30 * 24 * HOUR_US,
        .kept_bytes = 2000,
        .sha256 = SPAN("01234567890123456789012345678901"),
        .key_id = SPAN("k1")};
    for (size_t b = 0; b < 6; b++)
        h->m.uid.b[b] = (uint8_t)((uint64_t)(h->m.at_us / 1000) >> (40 - 8 * b));
}

static void fill(const char *url, long n, long per_person)
{
    struct held                *h = calloc(BATCH, sizeof *h);
    const struct store_message *all[BATCH];
    struct uuid                *box = calloc((size_t)n, sizeof *box), domain;
    struct store               *s = NULL;
    struct err                  e = ERR_INIT;
    int64_t                     now = clock_wall_us();
    size_t                      waiting = 0;

    MUST(store_open(url, STORE_CREATE, &s, &e));
    domain = add_domain(s);
    for (long i = 0; i < n; i += BATCH) {
        MUST(store_begin(s, &e));
        for (long k = i; k < n && k < i + BATCH; k++)
            box[k] = add_person(s, domain, k, now);
        MUST(store_commit(s, &e));
    }
    for (long j = 0; j < n * per_person; j++) {
        make_held(&h[waiting], domain, box[j / per_person], j / per_person, j % per_person, now);
        all[waiting] = &h[waiting].m;
        if (++waiting == BATCH || j + 1 == n * per_person) {
            MUST(store_message_put(s, all, waiting, &e));
            waiting = 0;
        }
    }
    store_close(&s);
    free(box);
    free(h);
}

/* ---- the mail server ---- */

struct sink {
    int            listener;
    long           letters, bytes, strangers, n;
    unsigned char *got; /* letters of each person */
    long           room;
    FILE          *at; /* the one connection that there is */
    int            fd;
};

static void count_recipient(struct sink *s, const char *line)
{
    const char *p = strstr(line, "<person");
    long        who = p != NULL ? strtol(p + 7, NULL, 10) : -1;

    if (who < 0 || who >= s->room) {
        s->strangers++;
        return;
    }
    if (s->got[who] < 255)
        s->got[who]++;
}

static void say(struct sink *s, const char *text) { (void)!send(s->fd, text, strlen(text), MSG_NOSIGNAL); }

/* One connection, until it ends. */
static void converse(struct sink *s)
{
    static char line[8192];
    bool        in_message = false;

    say(s, "220 sink ESMTP\r\n");
    while (fgets(line, sizeof line, s->at) != NULL) {
        s->bytes += (long)strlen(line);
        if (in_message) {
            if (strcmp(line, ".\r\n") == 0) {
                in_message = false;
                s->letters++;
                say(s, "250 2.0.0 Ok: queued as SINK\r\n");
            }
        } else if (strncasecmp(line, "DATA", 4) == 0) {
            in_message = true;
            say(s, "354 go on\r\n");
        } else if (strncasecmp(line, "EHLO", 4) == 0) {
            say(s, "250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n");
        } else {
            if (strncasecmp(line, "RCPT", 4) == 0)
                count_recipient(s, line);
            say(s, "250 2.0.0 Ok\r\n");
        }
    }
}

static int listen_at(int port)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, 16) < 0)
        die("listen", strerror(errno));
    return fd;
}

static long resident_kb(pid_t pid)
{
    char  path[64];
    long  pages = 0;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    if ((f = fopen(path, "r")) == NULL)
        return 0;
    if (fscanf(f, "%*d %ld", &pages) != 1)
        pages = 0;
    fclose(f);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* The sink is a child of its own, so that its time is not the daemon's; it tells by a pipe what it counted. */
static void be_sink(int listener, int tell, long room)
{
    struct sink s = {.listener = listener, .room = room, .got = calloc((size_t)room, 1)};
    long        once = 0, more = 0;
    int         on = 1;

    signal(SIGTERM, SIG_DFL);
    while ((s.fd = accept(listener, NULL, NULL)) >= 0) {
        setsockopt(s.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if ((s.at = fdopen(s.fd, "r")) == NULL)
            break;
        converse(&s);
        fclose(s.at);
        once = more = 0;
        for (long i = 0; i < room; i++) {
            once += s.got[i] == 1;
            more += s.got[i] > 1;
        }
        (void)!write(tell, (long[]){s.letters, once, more, s.strangers, s.bytes}, 5 * sizeof(long));
    }
    exit(0);
}

static pid_t start(const char *program, const char *conf)
{
    char *const argv[] = {(char *)program, (char *)"-c", (char *)conf, (char *)"--once", NULL};
    pid_t       pid;

    if (posix_spawn(&pid, program, NULL, NULL, argv, environ) != 0)
        die(program, strerror(errno));
    return pid;
}

static int run(const char *program, const char *conf, int port, long room)
{
    int           listener = listen_at(port), tell[2], status = 0;
    long          sums[5] = {0}, first_kb = 0, last_kb = 0, kb;
    int64_t       begun = clock_mono_us(), us, cpu_us;
    struct rusage used = {0};
    pid_t         sink, pid;

    if (pipe(tell) < 0 || (sink = fork()) < 0)
        die("fork", strerror(errno));
    if (sink == 0)
        be_sink(listener, tell[1], room);
    close(tell[1]);
    pid = start(program, conf);
    while (wait4(pid, &status, WNOHANG, &used) == 0) {
        usleep(200000);
        if ((kb = resident_kb(pid)) > 0)
            last_kb = kb;
        if (first_kb == 0 && clock_mono_us() - begun > 5000000)
            first_kb = last_kb;
    }
    us = clock_mono_us() - begun;
    usleep(300000);
    kill(sink, SIGTERM);
    waitpid(sink, NULL, 0);
    while (read(tell[0], sums, sizeof sums) == (ssize_t)sizeof sums)
        ;
    cpu_us = used.ru_utime.tv_sec * INT64_C(1000000) + used.ru_utime.tv_usec + used.ru_stime.tv_sec * INT64_C(1000000) +
             used.ru_stime.tv_usec;
    printf(
        "{\"letters\":%ld,\"once\":%ld,\"more\":%ld,\"strangers\":%ld,\"bytes\":%ld,\"seconds\":%.2f,\"cpu_us\":%lld,"
        "\"first_kb\":%ld,\"last_kb\":%ld,\"most_kb\":%ld}\n",
        sums[0], sums[1], sums[2], sums[3], sums[4], (double)us / 1e6, (long long)cpu_us, first_kb, last_kb,
        used.ru_maxrss);
    return status == 0 && sums[1] == room && sums[2] == 0 && sums[3] == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "fill") == 0) {
        fill(argv[2], strtol(argv[3], NULL, 10), strtol(argv[4], NULL, 10));
        return 0;
    }
    if (argc == 6 && strcmp(argv[1], "run") == 0)
        return run(argv[2], argv[3], atoi(argv[4]), strtol(argv[5], NULL, 10));
    fprintf(stderr, "usage: bench-digest fill URL N M\n       bench-digest run PROGRAM CONF PORT N\n");
    return 64;
}

/* tests/bench/maillog.c - how fast the MTA's log is followed, and whether every join is made.
 *
 *   bench-maillog [LINES] [URL]    follows a log of LINES lines (1,000,000) about messages that are in a store of its own (SQLite in
 *                                  memory; URL: an empty database), and compares what the store has then with what the log said.
 *                                  Ends with 1 if anything differs.
 *
 * The log has the shape of a real one: a hundred messages a second, sessions beside each other, several recipients, aliases, delays with a second attempt, bounces
 * with the messages that they make, and every tenth message none of ours. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "../../rulesd/follower.h"

#define BESIDE 16 /* sessions at once */
#define LINES_MAX 24
#define BATCH 500
#define A_SECOND 100 /* messages, by the stamps */
#define DOMAINS 50
#define MAILBOXES 5000
/* As many as clean mail gets. */
#define SYMBOL(n) "{\"name\":\"A_SYMBOL_OF_RSPAMD_" n "\",\"score\":-0.1,\"options\":[\"ext.test\",\"2.7\"]}"
#define FIVE(n) SYMBOL(n "1") "," SYMBOL(n "2") "," SYMBOL(n "3") "," SYMBOL(n "4") "," SYMBOL(n "5")
#define SYMBOLS "[" FIVE("0") "," FIVE("1") "," FIVE("2") "," FIVE("3") "]"
#define AGO_US (6 * 3600 * INT64_C(1000000))

/* ---- messages ---- */

enum fate { SENT, SENT_LATER, BOUNCED };

struct made {
    size_t    number;
    size_t    nrcpt;
    bool      ours, alias; /* alias: the first recipient is one, of two targets */
    enum fate fate;        /* of the first recipient; the others are sent */
};

static struct made make(size_t number)
{
    struct made m = {.number = number, .nrcpt = 1};

    m.ours = number % 10 != 9;
    m.nrcpt = number % 7 == 3 ? 3 : number % 5 == 2 ? 2 : 1;
    m.alias = number % 11 == 5;
    m.fate = number % 20 == 7 ? BOUNCED : number % 25 == 11 ? SENT_LATER : SENT;
    return m;
}

static int64_t began_us; /* when the first message came */

static int64_t came_us(const struct made *m) { return began_us + (int64_t)m->number * (1000000 / A_SECOND); }

static void stamp_of(const struct made *m, char out[32])
{
    time_t    at = (time_t)(came_us(m) / 1000000);
    struct tm tm;

    strftime(out, 32, "%b %e %H:%M:%S", localtime_r(&at, &tm));
}

static void queue_id(const struct made *m, char out[32]) { snprintf(out, 32, "4j%08zXz1c7", m->number); }

static void recipient(const struct made *m, size_t i, char out[64])
{
    snprintf(out, 64, i == 0 && m->alias ? "team%zu@ours.example" : "user%zu.%zu@ours.example", m->number, i);
}

/* ---- lines ---- */

struct lines {
    char   text[LINES_MAX][700], stamp[32];
    size_t n, next;
};

#define ADD(l, format, ...)                                                                                            \
    snprintf((l)->text[(l)->n++], sizeof(l)->text[0], "%s mx postfix/" format, (l)->stamp, ##__VA_ARGS__)

static void add_attempt(struct lines *l, const char *id, const char *to, const char *orig, const char *outcome)
{
    ADD(l,
        "lmtp[3299]: %s: to=<%s>,%s%s%s relay=127.0.0.1[127.0.0.1]:2425, delay=0.2, delays=0.06/0.04/0.03/0.07, %s\n",
        id, to, orig != NULL ? " orig_to=<" : "", orig != NULL ? orig : "", orig != NULL ? ">," : "", outcome);
}

#define OUTCOME_SENT "dsn=2.0.0, status=sent (250 2.0.0 <user@ours.example> zwkHBBoNAmvnDAAAqdzKAw Saved)"
#define OUTCOME_DEFERRED                                                                                               \
    "dsn=4.2.1, status=deferred (host 127.0.0.1[127.0.0.1] said: 451 4.2.1 mailbox busy, try later (in reply to RCPT " \
    "TO command))"
#define OUTCOME_BOUNCED                                                                                                \
    "dsn=5.2.2, status=bounced (host 127.0.0.1[127.0.0.1] said: 552 5.2.2 Quota exceeded (mailbox for user is full) "  \
    "(in reply to end of DATA command))"

static void add_recipient(struct lines *l, const struct made *m, const char *id, size_t i)
{
    char        to[64], target[80];
    const char *outcome = i > 0 || m->fate != BOUNCED ? OUTCOME_SENT : OUTCOME_BOUNCED;

    recipient(m, i, to);
    if (i == 0 && m->fate == SENT_LATER) {
        add_attempt(l, id, to, NULL, OUTCOME_DEFERRED);
        ADD(l, "qmgr[3285]: %s: from=<sender@ext.test>, size=389, nrcpt=%zu (queue active)\n", id, m->nrcpt);
    }
    if (i > 0 || !m->alias) {
        add_attempt(l, id, to, NULL, outcome);
        return;
    }
    for (int t = 0; t < 2; t++) {
        snprintf(target, sizeof target, "target%d.%s", t, to);
        add_attempt(l, id, target, to, outcome);
    }
}

static void add_bounce(struct lines *l, const struct made *m, const char *id)
{
    char own[32];

    snprintf(own, sizeof own, "4k%08zXz1c7", m->number);
    ADD(l, "cleanup[3308]: %s: message-id=<%s@mx.example.test>\n", own, own);
    ADD(l, "qmgr[3285]: %s: from=<>, size=2410, nrcpt=1 (queue active)\n", own);
    ADD(l, "bounce[3307]: %s: sender non-delivery notification: %s\n", id, own);
    ADD(l,
        "smtp[3298]: %s: to=<sender@ext.test>, relay=127.0.0.1[127.0.0.1]:2628, delay=0.01, delays=0.01/0/0/0, "
        "dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as SINK2628538157)\n",
        own);
    ADD(l, "qmgr[3285]: %s: removed\n", own);
}

static void make_lines(struct lines *l, const struct made *m)
{
    char id[32];

    queue_id(m, id);
    stamp_of(m, l->stamp);
    l->n = l->next = 0;
    ADD(l, "smtpd[3294]: connect from localhost[127.0.0.1]\n");
    ADD(l, "smtpd[3294]: %s: client=localhost[127.0.0.1]\n", id);
    ADD(l, "cleanup[3296]: %s: message-id=<%zu.3402@ext.test>\n", id, m->number);
    ADD(l, "qmgr[3285]: %s: from=<sender@ext.test>, size=389, nrcpt=%zu (queue active)\n", id, m->nrcpt);
    ADD(l, "smtpd[3294]: disconnect from localhost[127.0.0.1] ehlo=1 mail=1 rcpt=%zu data=1 quit=1 commands=7\n",
        m->nrcpt);
    for (size_t i = 0; i < m->nrcpt; i++)
        add_recipient(l, m, id, i);
    if (m->fate == BOUNCED)
        add_bounce(l, m, id);
    ADD(l, "qmgr[3285]: %s: removed\n", id);
}

/* Sessions beside each other, a line of each in turn. Returns how many messages there are; *lines_out lines, no less than asked for. */
static size_t write_log(const char *path, size_t wanted, size_t *lines_out)
{
    static struct lines beside[BESIDE];
    FILE               *out = fopen(path, "w");
    size_t              messages = 0, lines = 0, open = BESIDE;

    if (out == NULL)
        panic("cannot write %s", path);
    while (open > 0) {
        open = 0;
        for (struct lines *l = beside; l < beside + BESIDE; l++) {
            if (l->next == l->n && lines < wanted) {
                struct made m = make(messages++);
                make_lines(l, &m);
            }
            if (l->next == l->n)
                continue;
            fputs(l->text[l->next++], out);
            lines++;
            open++;
        }
    }
    fclose(out);
    *lines_out = lines;
    return messages;
}

/* ---- the store ---- */

static void must(int rc, const struct err *e)
{
    if (rc < 0) {
        fprintf(stderr, "bench-maillog: %s\n", e->text);
        exit(EXIT_FAILURE);
    }
}

static struct uuid id_of(size_t n)
{
    struct uuid id = {{0}};

    for (size_t i = 0; i < 4; i++)
        id.b[i] = (uint8_t)(n >> (24 - 8 * i));
    return id;
}

static void put_messages(struct store *s, size_t n)
{
    struct store_message        m[BATCH];
    struct store_delivery       d[BATCH][3];
    char                        ids[BATCH][32], rcpt[BATCH][3][64];
    const struct store_message *list[BATCH];
    struct err                  e = ERR_INIT;
    size_t                      got = 0;

    for (size_t number = 0; number < n; number++) {
        struct made made = make(number);

        if (made.ours) {
            int64_t at_us = came_us(&made);

            queue_id(&made, ids[got]);
            m[got] = (struct store_message){.uid = uuid7_make(),
                                            .at_us = at_us,
                                            .listener = SPAN("bench"),
                                            .queue_id = span_of(ids[got]),
                                            .sender = SPAN("sender@ext.test"),
                                            .subject = SPAN("A subject like any other"),
                                            .symbols = SPAN(SYMBOLS),
                                            .attachments = SPAN("[]"),
                                            .inbound = SPAN("250"),
                                            .deliveries = d[got],
                                            .ndeliveries = made.nrcpt};
            for (int i = 0; i < 6; i++)
                m[got].uid.b[i] = (uint8_t)(at_us / 1000 >> (40 - 8 * i));
            for (size_t i = 0; i < made.nrcpt; i++) {
                recipient(&made, i, rcpt[got][i]);
                d[got][i] = (struct store_delivery){.recipient = span_of(rcpt[got][i]),
                                                    .has_domain = true,
                                                    .domain = id_of(number % DOMAINS),
                                                    .has_mailbox = true,
                                                    .mailbox = id_of(DOMAINS + (number + i) % MAILBOXES),
                                                    .verdict = DELIVERY_CLEAN,
                                                    .trace = SPAN("[]")};
            }
            list[got] = &m[got];
            got++;
        }
        if (got == BATCH || number + 1 == n) {
            must(store_message_put(s, list, got, &e), &e);
            got = 0;
        }
    }
}

static int64_t count(struct store *s, const char *sql)
{
    struct db_rows *r;
    struct err      e = ERR_INIT;
    int64_t         n;

    must(db_query(s->log, sql, NULL, 0, &r, &e), &e);
    must(db_next(r, &e), &e);
    n = db_i64(r, 0);
    db_rows_free(&r);
    return n;
}

static bool same(const char *what, int64_t got, int64_t want)
{
    printf("  %-22s %10lld of %lld%s\n", what, (long long)got, (long long)want, got == want ? "" : "   NOT THE SAME");
    return got == want;
}

static bool check(struct store *s, size_t messages)
{
    int64_t delivered = 0, bounced = 0, attempts = 0;

    for (size_t number = 0; number < messages; number++) {
        struct made m = make(number);

        if (!m.ours)
            continue;
        delivered += (int64_t)m.nrcpt - (m.fate == BOUNCED);
        bounced += m.fate == BOUNCED;
        attempts += (int64_t)m.nrcpt + m.alias + (m.fate == SENT_LATER);
    }
    bool ok = same("deliveries delivered", count(s, "SELECT COUNT(*) FROM delivery WHERE state = 'delivered'"),
                   delivered);
    ok &= same("bounced", count(s, "SELECT COUNT(*) FROM delivery WHERE state = 'bounced'"), bounced);
    return same("attempts", count(s, "SELECT COUNT(*) FROM attempt"), attempts) && ok;
}

/* ---- following ---- */

static double cpu_s(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* From when the log is there until every line has been read, and what it says of ours is written. */
static void follow(const struct settings *settings, const char *written, const char *path, size_t lines)
{
    struct follower      *f;
    struct follower_stats stats;
    struct err            e = ERR_INIT;
    int64_t               began;
    double                cpu, s;

    must(follower_new(settings, &f, &e), &e);
    nanosleep(&(struct timespec){.tv_nsec = 500000000}, NULL);
    began = clock_mono_us();
    cpu = cpu_s();
    if (rename(written, path) < 0)
        panic("cannot rename %s", written);
    do {
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
        follower_stats(f, &stats);
    } while (stats.lines < lines);
    s = (double)(clock_mono_us() - began) / 1e6;
    cpu = cpu_s() - cpu;
    follower_free(&f);
    printf("  %-22s %10zu in %.2f s: %.0f a second; %.2f s of processor: %.0f a second of it\n", "lines", lines, s,
           (double)lines / s, cpu, (double)lines / cpu);
}

/* Lines alone, without joins and rows. */
static void read_only(const char *path, size_t lines)
{
    struct maillog_clock clock = {.now_us = clock_wall_us()};
    struct mail_event    ev;
    FILE                *in = fopen(path, "r");
    char                 line[1000];
    int64_t              began = clock_mono_us();
    size_t               events = 0;

    while (in != NULL && fgets(line, sizeof line, in) != NULL)
        events += maillog_read(span_head(span_of(line), strlen(line) - 1), &clock, &ev);
    if (in != NULL)
        fclose(in);
    printf("  %-22s %10.0f lines a second (%zu events)\n", "reading alone",
           (double)lines * 1e6 / (double)(clock_mono_us() - began), events);
}

int main(int argc, char **argv)
{
    size_t        wanted = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000, lines, messages;
    char          dir[] = "/dev/shm/postern-bench-XXXXXX", url[100], path[100], written[100], *files[1];
    struct store *s;
    struct err    e = ERR_INIT;
    bool          ok;

    if (mkdtemp(dir) == NULL)
        panic("no folder");
    snprintf(url, sizeof url, "sqlite:%s/postern.db", dir);
    snprintf(path, sizeof path, "%s/mail.log", dir);
    snprintf(written, sizeof written, "%s/written.log", dir);
    files[0] = path;
    struct settings settings = {.store = {.url = argc > 2 ? argv[2] : url},
                                .rulesd = {.maillog = {(const char **)files, 1}}};

    began_us = clock_wall_us() - AGO_US;
    must(store_open(settings.store.url, STORE_CREATE, &s, &e), &e);
    messages = write_log(written, wanted, &lines);
    put_messages(s, messages);
    read_only(written, lines);
    follow(&settings, written, path, lines);
    ok = check(s, messages);
    store_close(&s);
    fflush(stdout);
    return ok && execlp("rm", "rm", "-rf", dir, (char *)NULL) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* tests/bench/log.c - the message log at its size: how fast it fills, how large it is, and what a search costs.
 *
 *   bench-log URL N MS        fills an empty store with N deliveries over 90 days, then searches, then forgets days under load
 *   bench-log URL N MS plans  the same, and says how the database goes about each search
 *
 * One mailbox and one domain have 100,000 of the deliveries each (at most two fifths each); they are spread over the whole time. The
 * searches ask them for what is everywhere, for what is rare, and for what is nowhere, a page of 50 each, from random places too.
 * Ends with 1 when a search's 95th percentile is over MS, or a write waited longer than STALL_US while days were forgotten. */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "store/search.h"

#define DAYS 90
#define DAY_MS (86400 * INT64_C(1000))
#define BIG 100000
#define BATCH 500 /* messages of one transaction */
#define VOCABULARY 30000
#define TRIES 40
#define PAGE 50
#define STALL_US 2000000
#define RARE 20000 /* one in so many has the rare word */

static const struct uuid big_box = {{0xb0, 1}}, big_domain = {{0xd0, 1}}, some_rule = {{0x70, 1}},
                         rare_rule = {{0x70, 2}};

/* ---- Material ----------------------------------------------------------------------------------------------------- */

static uint64_t seed = 88172645463325252u;

static uint64_t dice(uint64_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % n;
}

/* Few words are frequent and most are rare, as in mail. */
static size_t word_number(void) { return (size_t)(VOCABULARY * pow((double)dice(1000000) / 1e6, 4)); }

static size_t put_word(char *out, size_t number)
{
    static const char *const syllables[] = {"ba", "de", "fi", "go", "ku", "la", "me", "ni",
                                            "po", "ru", "sa", "te", "vi", "wo", "xu", "za"};
    size_t                   n = 0;

    for (size_t i = 0, rest = number + 256; i < 4; i++, rest /= 16)
        n += (size_t)sprintf(out + n, "%s", syllables[rest % 16]);
    return n;
}

/* A message with everything that it points to. */
struct made {
    struct store_message  m;
    struct store_delivery to[3];
    char                  subject[256], from[64], name[32], id[64], queue[24], ip[24], rcpt[3][64];
    bool                  followed;
};

static struct uuid owner(uint8_t kind, uint64_t i)
{
    struct uuid u = {{kind, 2}};

    memcpy(u.b + 8, &i, sizeof i);
    return u;
}

/* Whose it is: p of all belong to the one mailbox, as many to the one domain. */
static void address(struct made *x, size_t i, double p)
{
    struct store_delivery *d = &x->to[i];
    double                 u = (double)dice(1000000) / 1e6;
    uint64_t               box = dice(50000);

    d->has_domain = d->has_mailbox = true;
    d->domain = u < p ? big_domain : owner(0xd0, box % 500);
    d->mailbox = u >= p && u < 2 * p ? big_box : owner(0xb0, u < p ? box % 300 : 1000 + box);
    x->followed = x->followed || u < 2 * p;
    snprintf(x->rcpt[i], sizeof x->rcpt[i], "user%llu@dom%llu.example", (unsigned long long)box,
             (unsigned long long)(box % 500));
    d->recipient = span_of(x->rcpt[i]);
}

static void judge(struct store_delivery *d)
{
    uint64_t u = dice(10000);

    d->verdict = u < 6500   ? DELIVERY_CLEAN
                 : u < 7500 ? DELIVERY_ALLOWED
                 : u < 8500 ? DELIVERY_TAGGED
                 : u < 9500 ? DELIVERY_REJECTED
                 : u < 9990 ? DELIVERY_BLOCKED
                            : DELIVERY_QUARANTINED;
    d->has_rule = d->verdict == DELIVERY_ALLOWED || d->verdict == DELIVERY_BLOCKED;
    d->rule = dice(2000) == 0 ? rare_rule : some_rule;
    d->has_score = true;
    d->score = (double)dice(200) / 10;
    d->layer = d->has_rule ? SPAN("mailbox") : SPAN_NONE;
    d->trace =
        d->has_rule
            ? SPAN("[{\"id\":\"01a2012c\",\"name\":\"Partner invoices\",\"layer\":\"mailbox\",\"policy\":\"Rules\","
                   "\"action\":\"allow\",\"applied\":true,\"why\":\"sender billing@partner.example\"}]")
            : SPAN("[]");
}

static void make(struct made *x, int64_t at_ms, double p)
{
    size_t n = 0, words = 3 + dice(6), nrcpt = dice(10) == 0 ? 2 + dice(2) : 1;

    memset(x, 0, sizeof *x);
    for (size_t i = 0; i < words; i++) {
        n += put_word(x->subject + n, word_number());
        x->subject[n++] = ' ';
    }
    if (dice(RARE) == 0)
        n += (size_t)sprintf(x->subject + n, "sphinx");
    sprintf(x->from, "sender%llu@from%llu.example", (unsigned long long)dice(5000), (unsigned long long)dice(2000));
    put_word(x->name, word_number());
    sprintf(x->id, "<%016llx.%u@from.example>", (unsigned long long)dice(UINT64_MAX), (unsigned)dice(100));
    sprintf(x->queue, "4%013llX", (unsigned long long)dice(UINT64_MAX) >> 12);
    sprintf(x->ip, "198.51.%u.%u", (unsigned)dice(256), (unsigned)dice(256));
    for (size_t i = 0; i < nrcpt; i++) {
        address(x, i, p);
        judge(&x->to[i]);
    }
    x->m = (struct store_message){
        .uid = uuid7_make(),
        .at_us = at_ms * 1000,
        .direction = dice(20) == 0 ? DIRECTION_LOCAL : DIRECTION_INBOUND,
        .listener = SPAN("127.0.0.1:11344"),
        .queue_id = span_of(x->queue),
        .ip = span_of(x->ip),
        .helo = SPAN("mx.from.example"),
        .host = SPAN("mx.from.example"),
        .tls = SPAN("TLSv1.3 TLS_AES_256_GCM_SHA384"),
        .sender = span_of(x->from),
        .from_address = span_of(x->from),
        .from_name = span_of(x->name),
        .subject = span_of(x->subject),
        .message_id = span_of(x->id),
        .size = (int64_t)dice(100000),
        .has_score = true,
        .score = 3.5,
        .symbols = SPAN("[{\"name\":\"R_SPF_ALLOW\",\"score\":-0.2},{\"name\":\"DMARC_POLICY_ALLOW\",\"score\":-0.5},"
                        "{\"name\":\"MIME_GOOD\",\"score\":-0.1,\"options\":[\"text/plain\"]}]"),
        .attachments = SPAN("[]"),
        .inbound = x->to[0].verdict == DELIVERY_REJECTED ? SPAN("554 5.7.1 Spam message rejected")
                                                         : SPAN("250 2.0.0 Ok: queued"),
        .deliveries = x->to,
        .ndeliveries = nrcpt,
    };
    for (size_t i = 0; i < 6; i++)
        x->m.uid.b[i] = (uint8_t)(at_ms >> (40 - 8 * i));
}

static _Noreturn void die(const char *doing, const struct err *e)
{
    fprintf(stderr, "bench-log: %s: %s\n", doing, e->text);
    exit(2);
}

/* ---- Filling ------------------------------------------------------------------------------------------------------ */

static size_t passed(const struct made *x, struct store_event *out)
{
    size_t n = 0;

    for (size_t i = 0; i < x->m.ndeliveries; i++) {
        uint64_t u = dice(100);

        if (x->to[i].verdict > DELIVERY_TAGGED)
            continue;
        out[n++] = (struct store_event){
            .uid = x->m.uid,
            .n = (int64_t)i + 1,
            .at_us = x->m.at_us + 1000000,
            .has_state = true,
            .state = u == 0  ? STATE_BOUNCED
                     : u < 4 ? STATE_DEFERRED
                             : STATE_DELIVERED,
            .has_attempt = true,
            .queue_id = x->m.queue_id,
            .final_recipient = x->to[i].recipient,
            .host = SPAN("mailbox.inside.example"),
            .ip = SPAN("192.0.2.25"),
            .port = 25,
            .tls = SPAN("TLSv1.3"),
            .dsn = SPAN("2.0.0"),
            .code = 250,
            .response = u == 0  ? SPAN("552 5.2.2 Mailbox full")
                        : u < 4 ? SPAN("451 4.7.1 Greylisted, please try again")
                                : SPAN("250 2.1.5 Delivered to the mailbox"),
        };
    }
    return n;
}

struct filled {
    int64_t deliveries, messages, events, put_us, events_us, last_us, last; /* last: of the last tenth */
    int64_t put_cpu_us, events_cpu_us;                                      /* of this thread: all there is on SQLite */
};

static void fill(struct store *s, int64_t n, int64_t begin_ms, struct filled *f)
{
    struct made                *x = calloc(BATCH, sizeof *x);
    struct store_event         *v = calloc((size_t)BATCH * 3, sizeof *v);
    const struct store_message *all[BATCH];
    double                      p = (double)BIG / (double)n < 0.4 ? (double)BIG / (double)n : 0.4;
    struct err                  e = ERR_INIT;

    while (f->deliveries < n) {
        int64_t begun, cpu, us, before = f->deliveries;
        size_t  nv = 0;

        for (size_t i = 0; i < BATCH; i++) {
            make(&x[i], begin_ms + (int64_t)((double)f->deliveries / (double)n * DAYS * (double)DAY_MS), p);
            all[i] = &x[i].m;
            f->deliveries += (int64_t)x[i].m.ndeliveries;
            if (x[i].followed || dice(10) == 0)
                nv += passed(&x[i], v + nv);
        }
        begun = clock_mono_us();
        cpu = clock_thread_cpu_us();
        if (store_message_put(s, all, BATCH, &e) < 0)
            die("write messages", &e);
        f->put_cpu_us += clock_thread_cpu_us() - cpu;
        us = clock_mono_us() - begun;
        f->put_us += us;
        if (f->deliveries > n - n / 10) {
            f->last_us += us;
            f->last += f->deliveries - before;
        }
        begun = clock_mono_us();
        cpu = clock_thread_cpu_us();
        if (store_events_put(s, &(struct store_events){.events = v, .nevents = nv}, NULL, &e) < 0)
            die("write events", &e);
        f->events_us += clock_mono_us() - begun;
        f->events_cpu_us += clock_thread_cpu_us() - cpu;
        f->events += (int64_t)nv;
        f->messages += BATCH;
    }
    free(x);
    free(v);
}

static int64_t ask(struct store *s, const char *sql)
{
    struct db_rows *r = NULL;
    struct err      e = ERR_INIT;
    int64_t         n;

    if (db_query(s->log, sql, NULL, 0, &r, &e) < 0 || db_next(r, &e) <= 0)
        die(sql, &e);
    n = db_i64(r, 0);
    db_rows_free(&r);
    return n;
}

static int64_t bytes_of(struct store *s)
{
    return db_kind(s->log) == DB_SQLITE
               ? ask(s, "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")
               : ask(s,
                     "SELECT CAST(SUM(pg_total_relation_size(c.oid)) AS BIGINT) FROM pg_class c WHERE c.relkind = 'r'"
                     " AND c.relnamespace = 'postern_log'::regnamespace");
}

/* ---- Searching ---------------------------------------------------------------------------------------------------- */

static struct store_words words[2];
static char               text[128];

static void one_word(struct store_search *q, enum search_field f, struct span t, bool without)
{
    words[q->nwords++] = (struct store_words){f, t, without};
    q->words = words;
}

static void first_page(struct store_search *q) { (void)q; }
static void any_page(struct store_search *q)
{
    q->until_us = (clock_wall_us() / 1000 - (int64_t)dice(DAYS * (uint64_t)DAY_MS)) * 1000;
}
static void subject_word(struct store_search *q)
{
    text[put_word(text, word_number())] = '\0';
    one_word(q, SEARCH_SUBJECT, span_of(text), false);
}
static void subject_phrase(struct store_search *q)
{
    size_t n = put_word(text, word_number());

    text[n++] = ' ';
    text[n + put_word(text + n, word_number())] = '\0';
    one_word(q, SEARCH_SUBJECT, span_of(text), false);
}
static void subject_rare(struct store_search *q) { one_word(q, SEARCH_SUBJECT, SPAN("sphinx"), false); }
static void subject_prefix(struct store_search *q) { one_word(q, SEARCH_SUBJECT, SPAN("sph"), false); }
static void subject_none(struct store_search *q) { one_word(q, SEARCH_SUBJECT, SPAN("nowhere at all"), false); }
static void subject_without(struct store_search *q)
{
    text[put_word(text, word_number())] = '\0';
    one_word(q, SEARCH_SUBJECT, span_of(text), true);
}
static void from_address(struct store_search *q)
{
    sprintf(text, "sender%llu@from%llu.example", (unsigned long long)dice(5000), (unsigned long long)dice(2000));
    one_word(q, SEARCH_FROM, span_of(text), false);
}
static void from_domain(struct store_search *q)
{
    sprintf(text, "from%llu.example", (unsigned long long)dice(2000));
    one_word(q, SEARCH_FROM, span_of(text), false);
}
static void from_without(struct store_search *q)
{
    one_word(q, SEARCH_FROM, SPAN("from1.example"), true);
    one_word(q, SEARCH_SUBJECT, SPAN("sphinx"), true);
}
static void to_user(struct store_search *q)
{
    sprintf(text, "user%llu", (unsigned long long)dice(50000));
    one_word(q, SEARCH_TO, span_of(text), false);
}
static void by_message_id(struct store_search *q)
{
    one_word(q, SEARCH_MESSAGE_ID, SPAN("<0123456789abcdef.7@from.example>"), false);
}
static void by_uid(struct store_search *q)
{
    q->has_uid = true;
    q->uid = uuid7_make();
}
static void inbound(struct store_search *q) { one_word(q, SEARCH_INBOUND, SPAN("5.7.1 spam"), false); }
static void inbound_without(struct store_search *q) { one_word(q, SEARCH_INBOUND, SPAN("250"), true); }
static void outbound(struct store_search *q) { one_word(q, SEARCH_OUTBOUND, SPAN("greylisted"), false); }
static void outbound_without(struct store_search *q) { one_word(q, SEARCH_OUTBOUND, SPAN("delivered"), true); }
static void delivery(struct store_search *q) { one_word(q, SEARCH_DELIVERY, SPAN("mailbox full"), false); }
static void delivery_subject(struct store_search *q)
{
    subject_word(q);
    one_word(q, SEARCH_DELIVERY, SPAN("mailbox full"), false);
}
static void delivery_without(struct store_search *q)
{
    subject_word(q);
    one_word(q, SEARCH_DELIVERY, SPAN("delivered"), true);
}
static void status(struct store_search *q) { q->statuses = 1u << STATUS_SPAM; }
static void status_rare(struct store_search *q) { q->statuses = 1u << STATUS_QUARANTINED; }
static void status_two(struct store_search *q) { q->statuses = 1u << STATUS_QUARANTINED | 1u << STATUS_QUEUED; }
static void status_subject(struct store_search *q)
{
    status_rare(q);
    subject_word(q);
}
static void rule(struct store_search *q)
{
    q->has_rule = true;
    q->rule = some_rule;
}
static void rule_rare(struct store_search *q)
{
    q->has_rule = true;
    q->rule = rare_rule;
}
static void domain(struct store_search *q)
{
    q->has_domain = true;
    q->domain = big_domain;
}
static void domain_other(struct store_search *q)
{
    q->has_domain = true;
    q->domain = owner(0xd0, dice(500));
}
static void direction(struct store_search *q)
{
    q->has_direction = true;
    q->direction = DIRECTION_LOCAL;
}
static void range(struct store_search *q)
{
    q->since_us = clock_wall_us() - (int64_t)(1 + dice(DAYS)) * DAY_MS * 1000;
    q->until_us = q->since_us + DAY_MS * 1000;
}

static const struct search_case {
    const char *name;
    void (*ask)(struct store_search *q);
} cases[] = {
    {"the newest", first_page},
    {"from some day on", any_page},
    {"subject: a word", subject_word},
    {"subject: two words", subject_phrase},
    {"subject: a rare word", subject_rare},
    {"subject: how it begins", subject_prefix},
    {"subject: nowhere", subject_none},
    {"subject: without a word", subject_without},
    {"from: an address", from_address},
    {"from: a domain", from_domain},
    {"without a sender, without a subject", from_without},
    {"to: a user", to_user},
    {"Message-ID", by_message_id},
    {"UID", by_uid},
    {"inbound: a rejection", inbound},
    {"inbound: without 250", inbound_without},
    {"outbound: greylisted", outbound},
    {"outbound: without delivered", outbound_without},
    {"delivery: mailbox full", delivery},
    {"subject, and delivery", delivery_subject},
    {"subject, without delivery", delivery_without},
    {"a status", status},
    {"a rare status", status_rare},
    {"two statuses", status_two},
    {"a rare status, and a subject", status_subject},
    {"a rule", rule},
    {"a rare rule", rule_rare},
    {"a domain", domain},
    {"another domain", domain_other},
    {"a direction", direction},
    {"a day", range},
};

static int each_row(void *ctx, const struct store_row *r)
{
    (void)r;
    ++*(int64_t *)ctx;
    return 0;
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static struct store_search composed(const struct search_case *c, struct store_scope scope)
{
    struct store_search q = {.scope = scope, .limit = PAGE};

    c->ask(&q);
    return q;
}

/* The 95th percentile. A search that stops for its time goes on until it has a page, as a person would. */
static int64_t measure(struct store *s, const struct search_case *c, struct store_scope scope, int64_t *median,
                       int64_t *cpu, int64_t *rows)
{
    int64_t    us[TRIES], cpu_us[TRIES];
    struct err e = ERR_INIT;

    *rows = 0;
    for (size_t i = 0; i < TRIES; i++) {
        struct store_search     q = composed(c, scope);
        struct store_search_end end;
        int64_t                 begun = clock_mono_us(), begun_cpu = clock_thread_cpu_us(), n = 0;

        do {
            if (store_search(s, &q, each_row, &n, &end, &e) < 0)
                die(c->name, &e);
            q.has_before = true;
            q.before = end.next;
            q.limit = (size_t)(PAGE - n);
        } while (end.more && n < PAGE);
        us[i] = clock_mono_us() - begun;
        cpu_us[i] = clock_thread_cpu_us() - begun_cpu;
        *rows += n;
    }
    qsort(us, TRIES, sizeof *us, by_size);
    qsort(cpu_us, TRIES, sizeof *cpu_us, by_size);
    *median = us[TRIES / 2];
    *cpu = cpu_us[TRIES * 95 / 100];
    return us[TRIES * 95 / 100];
}

static void plan(struct store *s, const struct search_case *c, struct store_scope scope)
{
    struct store_search q = composed(c, scope);
    struct buf          b;
    struct err          e = ERR_INIT;
    struct span         rest, line;

    buf_init(&b, 1 << 20);
    if (store_search_plan(s, &q, &b, &e) < 0)
        die("explain", &e);
    for (rest = buf_span(&b); span_line(&rest, &line);)
        if (line.n > 0)
            printf("        %.*s\n", SPAN_ARG(line));
    buf_fini(&b);
}

static bool search_all(struct store *s, int64_t limit_us, bool plans)
{
    const struct store_scope scopes[] = {store_scope_mailbox(big_box), store_scope_domain(big_domain)};
    bool                     good = true;

    printf("\n%-36s %36s %38s\n%-36s", "", "a mailbox", "a domain", "search");
    for (size_t k = 0; k < COUNT(scopes); k++)
        printf(" %9s %9s  %9s %6s", "median ms", "p95 ms", "own CPU", "rows");
    printf("\n");
    for (size_t i = 0; i < COUNT(cases); i++) {
        printf("%-36s", cases[i].name);
        for (size_t k = 0; k < COUNT(scopes); k++) {
            int64_t median, cpu, rows, p95 = measure(s, &cases[i], scopes[k], &median, &cpu, &rows);

            printf(" %9.2f %9.2f%s %9.2f %6lld", (double)median / 1000, (double)p95 / 1000, p95 > limit_us ? "!" : " ",
                   (double)cpu / 1000, (long long)rows / TRIES);
            good = good && p95 <= limit_us;
        }
        printf("\n");
        for (size_t k = 0; plans && k < COUNT(scopes); k++)
            plan(s, &cases[i], scopes[k]);
        fflush(stdout);
    }
    return good;
}

/* ---- Forgetting --------------------------------------------------------------------------------------------------- */

struct writing {
    const char *url;
    atomic_bool stop;
    int64_t     worst_us, n;
};

/* What the journal does meanwhile. */
static void *write_on(void *arg)
{
    struct writing             *w = arg;
    struct store               *s = NULL;
    struct err                  e = ERR_INIT;
    struct made                 x;
    const struct store_message *m = &x.m;

    if (store_open(w->url, STORE_EXISTING, &s, &e) < 0)
        die("open", &e);
    while (!atomic_load(&w->stop)) {
        int64_t begun, us;

        make(&x, clock_wall_us() / 1000, 0);
        begun = clock_mono_us();
        if (store_message_put(s, &m, 1, &e) < 0)
            die("write while days are forgotten", &e);
        us = clock_mono_us() - begun;
        w->worst_us = us > w->worst_us ? us : w->worst_us;
        w->n++;
    }
    store_close(&s);
    return NULL;
}

static bool forget(struct store *s, const char *url, int64_t begin_ms)
{
    struct writing    w = {.url = url};
    struct store_trim done;
    struct err        e = ERR_INIT;
    pthread_t         thread;
    int64_t           begun = clock_mono_us();

    if (pthread_create(&thread, NULL, write_on, &w) != 0)
        return false;
    if (store_message_trim(s, begin_ms / DAY_MS + 2, NULL, NULL, &done, &e) < 0)
        die("forget days", &e);
    atomic_store(&w.stop, true);
    pthread_join(thread, NULL);
    printf(
        "\nforgetting %lld days took %.1f s; meanwhile %lld messages were written one by one, the slowest in %.1f ms\n",
        (long long)done.days, (double)(clock_mono_us() - begun) / 1e6, (long long)w.n, (double)w.worst_us / 1000);
    return w.worst_us <= STALL_US;
}

int main(int argc, char **argv)
{
    int64_t n = argc > 2 ? strtoll(argv[2], NULL, 10) : 0,
            begin_ms = clock_wall_us() / 1000 / DAY_MS * DAY_MS - (DAYS - 1) * DAY_MS;
    struct filled f = {0};
    struct store *s = NULL;
    struct err    e = ERR_INIT;
    bool          good;

    if (n < 1000) {
        fprintf(stderr, "usage: bench-log URL N MS [plans]\n");
        return 64;
    }
    if (store_open(argv[1], STORE_CREATE, &s, &e) < 0)
        die("open", &e);
    fill(s, n, begin_ms, &f);
    printf("%lld deliveries in %lld messages: %.0f deliveries/s, in the last tenth %.0f; %lld events: %.0f/s\n",
           (long long)f.deliveries, (long long)f.messages, (double)f.deliveries * 1e6 / (double)f.put_us,
           (double)f.last * 1e6 / (double)f.last_us, (long long)f.events, (double)f.events * 1e6 / (double)f.events_us);
    if (db_kind(s->log) == DB_PGSQL && db_script(s->log, "ANALYZE", &e) < 0)
        die("analyze", &e);
    printf("CPU time of the writer: %.0f us a delivery, %.0f us an event\n",
           (double)f.put_cpu_us / (double)f.deliveries, (double)f.events_cpu_us / (double)f.events);
    printf("%.0f bytes a delivery\n", (double)bytes_of(s) / (double)f.deliveries);
    fflush(stdout);
    good = search_all(s, strtoll(argv[3], NULL, 10) * 1000, argc > 4);
    good = forget(s, argv[1], begin_ms) && good;
    store_close(&s);
    return good ? 0 : 1;
}

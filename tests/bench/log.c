/* tests/bench/log.c - the message log at its size: how fast it fills, how large it is, and what a search costs.
 *
 *   bench-log URL N MS [WORD...]
 *       fills an empty store with N deliveries over 90 days, then searches, then forgets days while somebody writes
 *   days=D  over D days: with N a million and D nine, each day is as full as with ten million
 *   case=T  only the searches that have T in their names
 *   mine    not of everybody's mail
 *   plans   says how the database goes about each search
 *   fill    searches nothing and forgets nothing
 *   keep    forgets nothing; what is filled already is not filled again, so that it can be searched anew
 *   check   what holds on a busy machine too: every page is compared with one found by looking at each row, no plan may read a table
 *           from end to end, and the limit is one of CPU time. Fewer tries, and written without waiting for the disk.
 *
 * One mailbox and one domain have 100,000 of the deliveries each in 90 days (at most two fifths each); they are spread over the whole
 * time. The searches ask them, and everybody's mail, for what is everywhere, for what is rare, and for what is nowhere, a page of 50
 * each, from random places too.
 * Three days are written; those before are copies of the first two of them, table by table, at other times.
 * Ends with 1 when a search's 95th percentile is over MS, or a write waited longer than STALL_US while days were forgotten. */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "base/clock.h"
#include "log_material.h"
#include "log_truth.h"
#include "store/day.h"

#define DAYS 90
#define WRITTEN_DAYS 3 /* a store has more than that */
#define SCOPES 3
#define BIG 100000
#define BATCH 500       /* messages of one transaction */
#define BULK_BATCH 5000 /* of one that is only to fill */
#define PACED 50000     /* deliveries of the last day that are written as rulesd does, when all else is there */
#define TRIES 60        /* of which the first have caches to fill, of a new connection above all */
#define CHECK_TRIES 4
#define PAGE 50
#define STALL_US 2000000
#define WRITE_EVERY_NS 5000000
#define LOAD_MS (3600 * INT64_C(1000)) /* a statement that copies a day, or looks at all of them */

struct job {
    const char *url;
    int64_t     n, limit_us, begin_ms, days;
    size_t      scopes;
    const char *only; /* searches with this in their names */
    bool        plans, keep, check, fill;
};

static _Noreturn void die(const char *doing, const struct err *e)
{
    fprintf(stderr, "bench-log: %s: %s\n", doing, e->text);
    exit(2);
}

/* ---- Filling ------------------------------------------------------------------------------------------------------ */

struct filled {
    int64_t deliveries, messages, events, put_us, events_us;
    int64_t put_cpu_us, events_cpu_us; /* of this thread: all there is on SQLite */
};

/* Writes deliveries `from` to `to` of n over some days, `batch` messages a transaction. */
struct stretch {
    int64_t from, to, n, begin_ms, days;
    size_t  batch;
    double  p;
};

static size_t make_batch(const struct stretch *w, struct made *x, const struct store_message **all,
                         struct store_event *v, struct filled *f)
{
    size_t nv = 0;

    for (size_t i = 0; i < w->batch; i++) {
        double at = (double)(w->from + f->deliveries) / (double)w->n;

        make(&x[i], w->begin_ms + (int64_t)(at * (double)(w->days * DAY_MS)), w->p);
        all[i] = &x[i].m;
        f->deliveries += (int64_t)x[i].m.ndeliveries;
        if (x[i].followed || dice(10) == 0)
            nv += passed(&x[i], v + nv);
    }
    return nv;
}

static void fill(struct store *s, const struct stretch *w, struct filled *f)
{
    struct made                 *x = calloc(w->batch, sizeof *x);
    struct store_event          *v = calloc(w->batch * 3, sizeof *v);
    const struct store_message **all = calloc(w->batch, sizeof(struct store_message *));
    struct err                   e = ERR_INIT;

    while (w->from + f->deliveries < w->to) {
        int64_t begun, cpu;
        size_t  nv = make_batch(w, x, all, v, f);

        begun = clock_mono_us();
        cpu = clock_thread_cpu_us();
        if (store_message_put(s, all, w->batch, &e) < 0)
            die("write messages", &e);
        f->put_cpu_us += clock_thread_cpu_us() - cpu;
        f->put_us += clock_mono_us() - begun;
        begun = clock_mono_us();
        cpu = clock_thread_cpu_us();
        if (store_events_put(s, &(struct store_events){.events = v, .nevents = nv}, NULL, &e) < 0)
            die("write events", &e);
        f->events_us += clock_mono_us() - begun;
        f->events_cpu_us += clock_thread_cpu_us() - cpu;
        f->events += (int64_t)nv;
        f->messages += (int64_t)w->batch;
    }
    free(all);
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

static void script(struct store *s, const char *sql)
{
    struct err e = ERR_INIT;

    if (db_script(s->log, sql, &e) < 0)
        die(sql, &e);
}

/* A day's tables as those of another day, with every time moved. On PostgreSQL the indexes are made at the end, which is several times
 * faster. */
static const char copy_pg_sql[] =
    "DO $$ DECLARE parent text; wanted text; from_day bigint := %lld; to_day bigint := %lld;"
    " ms bigint := (to_day - from_day) * 86400000; BEGIN"
    " FOREACH parent IN ARRAY ARRAY['message', 'delivery', 'delivery_mailbox', 'delivery_words', 'delivery_answers', "
    "'attempt']"
    " LOOP SELECT string_agg(CASE WHEN column_name = 'uid' THEN format('moved(uid, %%s)', ms)"
    "   WHEN column_name IN ('at_us', 'updated_us') THEN format('%%I + %%s000', column_name, ms) ELSE "
    "quote_ident(column_name)"
    "   END, ', ' ORDER BY ordinal_position) INTO wanted FROM information_schema.columns"
    "  WHERE table_schema = 'postern_log' AND table_name = parent;"
    " EXECUTE format('CREATE TABLE %%I (LIKE %%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', parent || '_' || to_day, "
    "parent);"
    " EXECUTE format('INSERT INTO %%I SELECT %%s FROM %%I', parent || '_' || to_day, wanted, parent || '_' || "
    "from_day);"
    " EXECUTE format('ALTER TABLE %%I ATTACH PARTITION %%I FOR VALUES FROM (%%L) TO (%%L)', parent, parent || '_' || "
    "to_day,"
    "  least_uid(to_day), least_uid(to_day + 1));"
    " END LOOP; INSERT INTO log_day (day) VALUES (to_day); END $$";
static const char moved_pg_sql[] =
    "CREATE FUNCTION least_uid(day bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT overlay("
    "lpad(to_hex(day * 86400000), 12, '0') PLACING '-' FROM 9 FOR 0) || '-0000-0000-000000000000' $$;"
    "CREATE FUNCTION moved(uid text, ms bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT overlay(lpad(to_hex("
    "('x' || lpad(substr(uid, 1, 8) || substr(uid, 10, 4), 16, '0'))::bit(64)::bigint + ms), 12, '0') PLACING '-' FROM "
    "9 FOR 0)"
    " || substr(uid, 14) $$";

static void copy_day_pg(struct store *s, int64_t from_day, int64_t to_day)
{
    char sql[sizeof copy_pg_sql + 48];

    snprintf(sql, sizeof sql, copy_pg_sql, (long long)from_day, (long long)to_day);
    script(s, sql);
}

/* An id has its UID's time in front. Full-text tables count from the day's first id, so that they are the same on every day. */
#define MOVED_UID "printf('%%08x-%%04x', (d.id + %2$lld) >> 37, ((d.id + %2$lld) >> 21) & 65535) || substr(d.uid, 14)"
#define OF_DAY "d.id >= %1$lld AND d.id < %3$lld"
#define MOVED_MS "+ (%2$lld >> 21) * 1000"
static const char copy_lite_sql[] =
    "INSERT INTO message (uid, node_id, at_us, direction, listener, queue_id, ip, helo, host, tls, auth_user, sender,"
    "  from_address, from_name, subject, message_id, size, score, symbols, attachments, inbound)"
    " SELECT " MOVED_UID ", m.node_id, m.at_us " MOVED_MS ", m.direction, m.listener, m.queue_id, m.ip, m.helo, m.host,"
    "  m.tls, m.auth_user, m.sender, m.from_address, m.from_name, m.subject, m.message_id, m.size, m.score, m.symbols,"
    "  m.attachments, m.inbound FROM delivery d JOIN message m ON m.uid = d.uid WHERE d.n = 1 AND " OF_DAY ";"
    "INSERT INTO attempt (uid, n, seq, at_us, queue_id, final_recipient, host, ip, port, tls, dsn, code, response)"
    " SELECT " MOVED_UID ", a.n, a.seq, a.at_us " MOVED_MS
    ", a.queue_id, a.final_recipient, a.host, a.ip, a.port, a.tls,"
    "  a.dsn, a.code, a.response FROM delivery d JOIN attempt a ON a.uid = d.uid AND a.n = d.n WHERE " OF_DAY ";"
    "INSERT INTO delivery_mailbox (mailbox_id, id, status, rule_id, direction)"
    " SELECT b.mailbox_id, d.id + %2$lld, b.status, b.rule_id, b.direction"
    "  FROM delivery d JOIN delivery_mailbox b ON b.id = d.id WHERE " OF_DAY ";"
    "INSERT INTO delivery (id, uid, n, recipient, domain_id, verdict, state, status, score, rule_id, layer, trace, "
    "answer,"
    "  updated_us, direction) SELECT d.id + %2$lld, " MOVED_UID
    ", d.n, d.recipient, d.domain_id, d.verdict, d.state, d.status, d.score,"
    "  d.rule_id, d.layer, d.trace, d.answer, d.updated_us " MOVED_MS ", d.direction FROM delivery d WHERE " OF_DAY ";";
static const char copy_words_sql[] = "DELETE FROM %1$s_%3$lld_data; DELETE FROM %1$s_%3$lld_idx;"
                                     "INSERT INTO %1$s_%3$lld_data SELECT * FROM %1$s_%2$lld_data;"
                                     "INSERT INTO %1$s_%3$lld_idx SELECT * FROM %1$s_%2$lld_idx;";

static void copy_day_lite(struct store *s, int64_t from_day, int64_t to_day)
{
    static const char *const tables[] = {"words", "answers", "moments"};
    char                     sql[sizeof copy_lite_sql + 1024];
    struct err               e = ERR_INIT;

    if (db_begin(s->log, &e) < 0 || day_make(s, to_day, &e) < 0)
        die("make a day's tables", &e);
    snprintf(sql, sizeof sql, copy_lite_sql, (long long)day_first_id(from_day),
             (long long)(day_first_id(to_day) - day_first_id(from_day)), (long long)day_first_id(from_day + 1));
    script(s, sql);
    for (size_t i = 0; i < COUNT(tables); i++) {
        snprintf(sql, sizeof sql, copy_words_sql, tables[i], (long long)from_day, (long long)to_day);
        script(s, sql);
    }
    if (db_commit(s->log, &e) < 0)
        die("copy a day", &e);
}

static void copy_days(struct store *s, int64_t begin_day, int64_t days)
{
    bool pg = db_kind(s->log) == DB_PGSQL;

    db_set_timeout(s->log, LOAD_MS);
    if (pg) {
        script(s, "SET maintenance_work_mem = '256MB'; SET synchronous_commit = off");
        script(s, moved_pg_sql);
    }
    for (int64_t i = 0; i < days - WRITTEN_DAYS; i++)
        (pg ? copy_day_pg : copy_day_lite)(s, begin_day + days - WRITTEN_DAYS + i % (WRITTEN_DAYS - 1), begin_day + i);
    if (pg)
        script(s, "ANALYZE");
}

static int64_t bytes_of(struct store *s)
{
    return db_kind(s->log) == DB_SQLITE
               ? ask(s, "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")
               : ask(s,
                     "SELECT CAST(SUM(pg_total_relation_size(c.oid)) AS BIGINT) FROM pg_class c WHERE c.relkind = 'r'"
                     " AND c.relnamespace = 'postern_log'::regnamespace");
}

/* The mailbox and its domain, as far as a search asks for them. */
static void put_owners(struct store *s)
{
    static const char domain_sql[] = "INSERT INTO domain (id, tenant_id, name, kind, state, created_us, updated_us)"
                                     " SELECT $1, id, 'big.example', 'local', 'active', 0, 0 FROM tenant LIMIT 1",
                      box_sql[] = "INSERT INTO mailbox (id, domain_id, created_us, updated_us) VALUES ($1, $2, 0, 0)";
    struct uuid   domain = owner(0xd0, 1);
    struct db_val ids[] = {{.type = DB_BLOB, .s = span_make((const char *)big_box.b, 16)},
                           {.type = DB_BLOB, .s = span_make((const char *)domain.b, 16)}};
    struct err    e = ERR_INIT;

    if (db_run(s->main, domain_sql, &ids[1], 1, NULL, &e) < 0 || db_run(s->main, box_sql, ids, 2, NULL, &e) < 0)
        die("write domain and mailbox", &e);
}

static void print_filled(const struct filled *f)
{
    printf("%lld deliveries in %lld messages: %.0f deliveries/s; %lld events: %.0f/s\n", (long long)f->deliveries,
           (long long)f->messages, (double)f->deliveries * 1e6 / (double)f->put_us, (long long)f->events,
           (double)f->events * 1e6 / (double)f->events_us);
    printf("CPU time of the writer: %.0f us a delivery, %.0f us an event\n",
           (double)f->put_cpu_us / (double)f->deliveries, (double)f->events_cpu_us / (double)f->events);
    fflush(stdout);
}

/* Three days, then those before, then what is left of the last: with everything there, and as safely as rulesd writes. */
static void fill_days(struct store *s, const struct job *job, double p)
{
    bool           lite = db_kind(s->log) == DB_SQLITE;
    int64_t        n = job->n * WRITTEN_DAYS / job->days, paced = n > 4 * PACED ? PACED : 0;
    struct stretch w = {0,          n - paced, n, job->begin_ms + (job->days - WRITTEN_DAYS) * DAY_MS, WRITTEN_DAYS,
                        BULK_BATCH, p};
    struct filled  f = {0}, last = {0};

    if (w.to < 10 * BULK_BATCH)
        w.batch = BATCH;
    script(s, lite ? "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -2000000"
                   : "SET synchronous_commit = off");
    fill(s, &w, &f);
    print_filled(&f);
    copy_days(s, job->begin_ms / DAY_MS, job->days);
    script(s, lite ? "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -16384"
                   : "RESET synchronous_commit");
    w.from += f.deliveries;
    w.to = n;
    w.batch = BATCH;
    if (paced > 0) {
        fill(s, &w, &last);
        print_filled(&last);
    }
}

static void fill_all(struct store *s, const struct job *job)
{
    double  share = (double)BIG * (double)job->days / DAYS / (double)job->n;
    int64_t begun = clock_mono_us();

    put_owners(s);
    fill_days(s, job, share < 0.4 ? share : 0.4);
    printf("filled in %.0f s; %.0f bytes a delivery\n", (double)(clock_mono_us() - begun) / 1e6,
           (double)bytes_of(s) / (double)job->n);
    fflush(stdout);
}

/* ---- Searching ---------------------------------------------------------------------------------------------------- */

static int64_t              days_filled;
static struct store_words   words[STORE_WORDS_MAX];
static struct store_without left_out[2];
static char                 text[128];

static void one_word(struct store_search *q, enum search_field f, struct span t, bool without)
{
    words[q->nwords++] = (struct store_words){f, t, without};
    q->words = words;
}

static void leave_out(struct store_search *q, enum search_id of, struct uuid id)
{
    left_out[q->nwithout++] = (struct store_without){of, id};
    q->without = left_out;
}

static void first_page(struct store_search *q) { (void)q; }
static void any_page(struct store_search *q)
{
    q->until_us = (clock_wall_us() / 1000 - (int64_t)dice((uint64_t)(days_filled * DAY_MS))) * 1000;
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
static void outbound_from(struct store_search *q)
{
    from_domain(q);
    one_word(q, SEARCH_OUTBOUND, SPAN("greylisted"), false);
}
static void twelve_words(struct store_search *q)
{
    static char each[STORE_WORDS_MAX][32];

    for (size_t i = 0; i < COUNT(each); i++)
        one_word(q, SEARCH_SUBJECT, span_make(each[i], put_word(each[i], word_number())), false);
}
static void words_without(struct store_search *q)
{
    static char each[STORE_WORDS_MAX][32];

    for (size_t i = 0; i < COUNT(each); i++)
        one_word(q, SEARCH_SUBJECT, span_make(each[i], put_word(each[i], word_number())), i > 0);
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
static void direction(struct store_search *q) { q->directions = 1u << DIRECTION_LOCAL; }
static void direction_none(struct store_search *q) { q->directions = 1u << DIRECTION_OUTBOUND; }
static void direction_subject(struct store_search *q)
{
    direction(q);
    subject_word(q);
}
static void uid_without(struct store_search *q) { leave_out(q, SEARCH_UID, uuid7_make()); }
static void rule_without(struct store_search *q) { leave_out(q, SEARCH_RULE, some_rule); }
static void rules_without(struct store_search *q)
{
    q->statuses = 1u << STATUS_BLOCKED;
    leave_out(q, SEARCH_RULE, some_rule);
    leave_out(q, SEARCH_RULE, rare_rule);
}
static void rule_without_subject(struct store_search *q)
{
    rule_without(q);
    subject_word(q);
}
static void domain_without(struct store_search *q) { leave_out(q, SEARCH_DOMAIN, big_domain); }
static void domain_without_subject(struct store_search *q)
{
    domain_without(q);
    subject_word(q);
}
static void direction_without(struct store_search *q)
{
    q->directions = 1u << DIRECTION_OUTBOUND | 1u << DIRECTION_LOCAL; /* not inbound, which nearly all is */
}
static void direction_without_status(struct store_search *q)
{
    q->directions = 1u << DIRECTION_INBOUND | 1u << DIRECTION_LOCAL;
    status_rare(q);
    leave_out(q, SEARCH_RULE, some_rule);
    leave_out(q, SEARCH_DOMAIN, big_domain);
}
static void status_none(struct store_search *q) { q->statuses = 1u << STATUS_REJECTED; }
static void range(struct store_search *q)
{
    q->since_us = clock_wall_us() - (int64_t)(1 + dice((uint64_t)days_filled)) * DAY_MS * 1000;
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
    {"from, and outbound", outbound_from},
    {"twelve words", twelve_words},
    {"a word, without eleven", words_without},
    {"a status", status},
    {"a rare status", status_rare},
    {"two statuses", status_two},
    {"a rare status, and a subject", status_subject},
    {"a rule", rule},
    {"a rare rule", rule_rare},
    {"a domain", domain},
    {"another domain", domain_other},
    {"a direction", direction},
    {"a direction that no mail has", direction_none},
    {"a direction, and a subject", direction_subject},
    {"a status that no mail has", status_none},
    {"without a UID", uid_without},
    {"without a rule", rule_without},
    {"blocked, without either rule", rules_without},
    {"without a rule, and a subject", rule_without_subject},
    {"without a domain", domain_without},
    {"without a domain, and a subject", domain_without_subject},
    {"without the usual direction", direction_without},
    {"a rare status, without the rest", direction_without_status},
    {"a day", range},
};

struct page {
    struct store_key keys[PAGE];
    size_t           n;
};

static int each_row(void *ctx, const struct store_row *r)
{
    struct page *p = ctx;

    p->keys[p->n++] = r->key;
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

/* CPU time of this thread and, where a server of this machine does the work, of the process of it that serves us. */
static int64_t cpu_us(const char *server)
{
    FILE   *f = *server ? fopen(server, "r") : NULL;
    int64_t ns = 0;

    if (f != NULL) {
        char line[64];

        if (fgets(line, sizeof line, f) != NULL)
            ns = strtoll(line, NULL, 10);
        fclose(f);
    }
    return clock_thread_cpu_us() + ns / 1000;
}

/* A search that stops for its time goes on until it has a page, as a person would. */
static void read_page(struct store *s, struct store_search q, struct page *p, const char *name)
{
    struct store_search_end end;
    struct err              e = ERR_INIT;

    p->n = 0;
    do {
        if (store_search(s, &q, each_row, p, &end, &e) < 0)
            die(name, &e);
        q.has_before = true;
        q.before = end.next;
        q.limit = PAGE - p->n;
    } while (end.more && p->n < PAGE);
}

static bool is_true(const struct truth *t, const struct store_search *q, const struct page *p)
{
    struct store_key keys[PAGE];
    size_t           n = truth_page(t, q, keys);

    for (size_t i = 0; i < n && i < p->n; i++)
        if (uuid_cmp(&keys[i].uid, &p->keys[i].uid) != 0 || keys[i].n != p->keys[i].n)
            return false;
    return n == p->n;
}

struct measured {
    int64_t median_us, p95_us, cpu_median_us, cpu_p95_us, rows;
    bool    untrue;
};

static struct measured measure(struct store *s, const struct search_case *c, struct store_scope scope,
                               const struct truth *t, const char *server)
{
    int64_t         us[TRIES], cpu[TRIES];
    int             tries = t != NULL ? CHECK_TRIES : TRIES;
    struct measured m = {0};

    for (int i = 0; i < tries; i++) {
        struct store_search q = composed(c, scope);
        struct page         p;
        int64_t             begun = clock_mono_us(), begun_cpu = cpu_us(server);

        read_page(s, q, &p, c->name);
        us[i] = clock_mono_us() - begun;
        cpu[i] = cpu_us(server) - begun_cpu;
        m.rows += (int64_t)p.n;
        m.untrue = m.untrue || (t != NULL && !is_true(t, &q, &p));
    }
    qsort(us, (size_t)tries, sizeof *us, by_size);
    qsort(cpu, (size_t)tries, sizeof *cpu, by_size);
    m.median_us = us[tries / 2];
    m.p95_us = us[(tries * 95 + 99) / 100 - 1];
    m.cpu_median_us = cpu[tries / 2];
    m.cpu_p95_us = cpu[(tries * 95 + 99) / 100 - 1];
    m.rows /= tries;
    return m;
}

/* From end to end: SQLite says so of anything but a full-text table, PostgreSQL when it was forbidden to and had no other way. */
static bool reads_all(enum db_kind kind, struct span line)
{
    struct span step = span_trim(line);

    if (kind == DB_PGSQL)
        return span_find(step, SPAN("Seq Scan")) < step.n;
    return span_starts(step, SPAN("SCAN ")) && span_find(step, SPAN("VIRTUAL TABLE INDEX")) == step.n;
}

static bool plan(struct store *s, const struct search_case *c, struct store_scope scope, bool print)
{
    struct store_search q = composed(c, scope);
    struct buf          b;
    struct err          e = ERR_INIT;
    struct span         rest, line;
    bool                good = true;

    buf_init(&b, 1 << 20);
    if (store_search_plan(s, &q, &b, &e) < 0)
        die("explain", &e);
    for (rest = buf_span(&b); span_line(&rest, &line);) {
        bool bad = reads_all(db_kind(s->log), line);

        good = good && !bad;
        if (line.n > 0 && (print || bad))
            printf("        %.*s%s\n", SPAN_ARG(line), bad ? " !" : "");
    }
    buf_fini(&b);
    return good;
}

/* By the wall, as people wait; in a check by CPU time. */
static bool judge_search(const struct measured *m, const struct job *job)
{
    return !m->untrue && (job->check ? m->cpu_p95_us : m->p95_us) <= job->limit_us;
}

static bool search_case(struct store *s, const struct job *job, const struct search_case *c,
                        const struct store_scope scopes[SCOPES], const struct truth *truths, const char *server)
{
    bool good = true;

    printf("%-36s", c->name);
    for (size_t k = 0; k < job->scopes; k++) {
        struct measured m = measure(s, c, scopes[k], job->check ? &truths[k] : NULL, server);
        bool            fine = judge_search(&m, job);

        printf(" %8.2f %8.2f %8.2f %8.2f%s %5lld%s", (double)m.median_us / 1000, (double)m.p95_us / 1000,
               (double)m.cpu_median_us / 1000, (double)m.cpu_p95_us / 1000, fine ? " " : "!", (long long)m.rows,
               m.untrue ? " UNTRUE" : "");
        good = good && fine;
    }
    printf("\n");
    for (size_t k = 0; k < job->scopes; k++)
        good = ((!job->plans && !job->check) || plan(s, c, scopes[k], job->plans)) && good;
    fflush(stdout);
    return good;
}

static void find_server(struct store *s, char out[64])
{
    out[0] = '\0';
    if (db_kind(s->log) == DB_PGSQL)
        snprintf(out, 64, "/proc/%lld/schedstat", (long long)ask(s, "SELECT CAST(pg_backend_pid() AS BIGINT)"));
}

static bool search_all(struct store *s, const struct job *job)
{
    const struct store_scope scopes[SCOPES] = {store_scope_mailbox(big_box), store_scope_domain(big_domain),
                                               STORE_SCOPE_GLOBAL};
    struct truth             truths[SCOPES];
    struct err               e = ERR_INIT;
    char                     server[64];
    bool                     good = true;

    find_server(s, server);
    db_set_timeout(s->log, LOAD_MS);
    for (size_t k = 0; k < job->scopes && job->check; k++)
        if (truth_load(s, scopes[k], &truths[k], &e) < 0)
            die("read all rows", &e);
    printf("\n%-36s %42s %42s %42s\n%-36s", "ms", "a mailbox", "a domain", "everybody", "search");
    for (size_t k = 0; k < job->scopes; k++)
        printf(" %8s %8s %8s %8s  %5s", "median", "p95", "CPU", "CPU p95", "rows");
    printf("\n");
    for (size_t i = 0; i < COUNT(cases); i++)
        if (job->only == NULL || strstr(cases[i].name, job->only) != NULL)
            good = search_case(s, job, &cases[i], scopes, truths, server) && good;
    for (size_t k = 0; k < job->scopes && job->check; k++)
        truth_free(&truths[k]);
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
        nanosleep(&(struct timespec){.tv_nsec = WRITE_EVERY_NS}, NULL);
    }
    store_close(&s);
    return NULL;
}

static int64_t count(struct store *s, const char *sql, struct span uid)
{
    struct db_val   bound = {.type = DB_TEXT, .s = uid};
    struct db_rows *r = NULL;
    struct err      e = ERR_INIT;
    int64_t         n;

    if (db_query(s->log, sql, &bound, 1, &r, &e) < 0 || db_next(r, &e) <= 0)
        die(sql, &e);
    n = db_i64(r, 0);
    db_rows_free(&r);
    return n;
}

static bool forget(struct store *s, const struct job *job)
{
    static const char older_sql[] = "SELECT COUNT(*) FROM delivery WHERE uid < $1",
                      newer_sql[] = "SELECT COUNT(*) FROM message WHERE uid >= $1";
    struct writing    w = {.url = job->url};
    struct store_trim done;
    struct err        e = ERR_INIT;
    pthread_t         thread;
    struct uuid       first = {{0}};
    char              bound[UUID_TEXT + 1];
    int64_t           begun, newer, day = job->begin_ms / DAY_MS + 2;
    bool              whole;

    for (size_t i = 0; i < 6; i++)
        first.b[i] = (uint8_t)(day * DAY_MS >> (40 - 8 * i));
    uuid_format(&first, bound);
    newer = count(s, newer_sql, span_of(bound));
    begun = clock_mono_us();
    if (pthread_create(&thread, NULL, write_on, &w) != 0)
        return false;
    if (store_message_trim(s, day, NULL, NULL, &done, &e) < 0)
        die("forget days", &e);
    atomic_store(&w.stop, true);
    pthread_join(thread, NULL);
    whole = count(s, older_sql, span_of(bound)) == 0 && count(s, newer_sql, span_of(bound)) == newer + w.n;
    printf("\nforgetting %lld days took %.1f s; meanwhile %lld messages were written one by one, the slowest in %.1f "
           "ms%s\n",
           (long long)done.days, (double)(clock_mono_us() - begun) / 1e6, (long long)w.n, (double)w.worst_us / 1000,
           whole ? "" : "; what is left is not what should be");
    return whole && w.n > 0 && (job->check || w.worst_us <= STALL_US);
}

/* As rulesd does every day. */
static void pack(struct store *s)
{
    struct err e = ERR_INIT;

    if (store_message_pack(s, clock_wall_us() / 1000 / DAY_MS, NULL, NULL, &e) < 0)
        die("pack days", &e);
}

int main(int argc, char **argv)
{
    struct job    job = {.url = argv[1],
                         .n = argc > 2 ? strtoll(argv[2], NULL, 10) : 0,
                         .limit_us = argc > 3 ? strtoll(argv[3], NULL, 10) * 1000 : 0,
                         .days = DAYS,
                         .scopes = SCOPES};
    struct store *s = NULL;
    struct err    e = ERR_INIT;
    bool          good;

    for (int i = 4; i < argc; i++) {
        job.plans = job.plans || strcmp(argv[i], "plans") == 0;
        job.keep = job.keep || strcmp(argv[i], "keep") == 0;
        job.check = job.check || strcmp(argv[i], "check") == 0;
        job.fill = job.fill || strcmp(argv[i], "fill") == 0;
        if (strcmp(argv[i], "mine") == 0)
            job.scopes = SCOPES - 1;
        if (strncmp(argv[i], "days=", 5) == 0)
            job.days = strtoll(argv[i] + 5, NULL, 10);
        if (strncmp(argv[i], "case=", 5) == 0)
            job.only = argv[i] + 5;
    }
    if (job.n < 1000 || job.limit_us <= 0 || job.days <= WRITTEN_DAYS) {
        fprintf(stderr, "usage: bench-log URL N MS [fill] [plans] [keep] [check] [days=D] [case=T] [mine]\n");
        return 64;
    }
    job.begin_ms = clock_wall_us() / 1000 / DAY_MS * DAY_MS - (job.days - 1) * DAY_MS;
    days_filled = job.days;
    if (store_open(job.url, STORE_CREATE, &s, &e) < 0)
        die("open", &e);
    if (ask(s, "SELECT COUNT(*) FROM log_day") == 0)
        fill_all(s, &job);
    pack(s);
    store_close(&s); /* it may remember tables as they were before days were copied */
    if (store_open(job.url, STORE_EXISTING, &s, &e) < 0)
        die("open", &e);
    good = job.fill || search_all(s, &job);
    good = (job.keep || job.fill || forget(s, &job)) && good;
    store_close(&s);
    return good ? 0 : 1;
}

/* tests/unit/rulesd_ingest.c - twin of rulesd/ingest.c: what other programs say, right or wrong. */
#include "../../rulesd/ingest.h"

#include "../../rulesd/maillog.h"
#include "base/clock.h"
#include "check.h"
#include "net.h"

/* ---- what metadata_exporter says ---- */

static struct arena arena;
static struct buf   in, plain;

static struct http_request request_of(const char *fields)
{
    static const struct wire_limits limits = {.body_max = 1000, .head_max = 1 << 20, .rcpt_max = 5, .headers_max = 100};
    struct http_request             r;

    arena_reset(&arena);
    buf_clear(&in);
    buf_puts(&in, "POST /ingest/rspamd HTTP/1.1\r\nContent-Length: 0\r\n");
    buf_puts(&in, fields);
    buf_puts(&in, "\r\n");
    http_begin(&r, &arena, &plain, &limits);
    assert_int_equal(http_step(&r, &in, false), WIRE_DONE);
    return r;
}

static void describe(struct buf *b, const struct ingest_told *t)
{
    const struct rspamd_reply *r = &t->answer.reply;

    buf_clear(b);
    buf_printf(b, "%s%s %.2f from=%.*s ip=%.*s user=%.*s qid=%.*s", rspamd_action_name(r->action),
               r->discard ? "(discard)" : "", r->score, SPAN_ARG(t->from), SPAN_ARG(t->ip), SPAN_ARG(t->user),
               SPAN_ARG(t->queue_id));
    for (size_t i = 0; i < t->nrcpt; i++)
        buf_printf(b, " to=%.*s", SPAN_ARG(t->rcpt[i]));
    for (size_t i = 0; i < r->nsymbols; i++) {
        buf_printf(b, " %.*s:%.2f", SPAN_ARG(r->symbols[i].name), r->symbols[i].score);
        for (size_t k = 0; k < r->symbols[i].noptions; k++)
            buf_printf(b, "[%.*s]", SPAN_ARG(r->symbols[i].options[k]));
    }
}

static void the_result_is_what_the_fields_say(void **unused)
{
    static const struct {
        const char *holds, *fields, *told;
    } cases[] = {
        {"as Rspamd 3.4 sends it",
         "X-Rspamd-user: unknown\r\nX-Rspamd-fuzzy: []\r\nX-Rspamd-score: 0.2\r\nX-Rspamd-action: no action\r\n"
         "X-Rspamd-rcpt: [\"anna@local.test\",\"bob@local.test\"]\r\nX-Rspamd-ip: 192.0.2.44\r\nX-Rspamd-scan_time: "
         "13\r\n"
         "X-Rspamd-symbols: [{\"group\":\"mime_types\",\"score\":0,\"options\":[\"0:+\"],\"groups\":[\"mime_types\"],"
         "\"name\":\"MIME_TRACE\"},{\"group\":\"ungrouped\",\"score\":-0.100000,\"name\":\"GUARD_X\"}]\r\n"
         "X-Rspamd-qid: 4jX53b6xH9z1c71W\r\nX-Rspamd-subject: hello\r\nX-Rspamd-from: sender@ext.test\r\n",
         "no action 0.20 from=sender@ext.test ip=192.0.2.44 user= qid=4jX53b6xH9z1c71W to=anna@local.test "
         "to=bob@local.test MIME_TRACE:0.00[0:+] GUARD_X:-0.10"},
        {"nothing but an action", "X-Rspamd-Action: reject\r\n", "reject 0.00 from= ip= user= qid="},
        {"an action that drops the message", "X-Rspamd-Action: discard\r\n",
         "reject(discard) 0.00 from= ip= user= qid="},
        {"an action of one's own delivers", "X-Rspamd-Action: my action\r\nX-Rspamd-Score: 7\r\n",
         "no action 7.00 from= ip= user= qid="},
        {"nobody is known", "X-Rspamd-Action: add header\r\nX-Rspamd-Rcpt: unknown\r\nX-Rspamd-Qid: unknown\r\n",
         "add header 0.00 from= ip= user= qid="},
        {"symbols may say more than we ask",
         "X-Rspamd-Action: reject\r\nX-Rspamd-Symbols: "
         "[{\"name\":\"A\",\"new\":null,\"more\":[1,true],\"score\":1e1}]\r\n",
         "reject 0.00 from= ip= user= qid= A:10.00"},
    };
    struct buf out;

    (void)unused;
    buf_init(&out, 10000);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct http_request r = request_of(cases[i].fields);
        struct ingest_told  t;
        struct err          e = ERR_INIT;

        if (ingest_read_told(&r, &arena, &t, &e) < 0)
            fail_msg("%s: %s", cases[i].holds, e.text);
        describe(&out, &t);
        if (!span_is(buf_span(&out), cases[i].told))
            fail_msg("%s: %s", cases[i].holds, out.p);
    }
    buf_fini(&out);
}

static void a_damaged_result_is_refused(void **unused)
{
    static const struct {
        const char   *fields;
        enum err_code code;
    } cases[] = {
        {"", ERR_INVALID},
        {"X-Rspamd-Action:\r\n", ERR_INVALID},
        {"X-Rspamd-Action: reject\r\nX-Rspamd-Score: high\r\n", ERR_INVALID},
        {"X-Rspamd-Action: reject\r\nX-Rspamd-Score: inf\r\n", ERR_INVALID},
        {"X-Rspamd-Action: reject\r\nX-Rspamd-Score: 1e300\r\n", ERR_INVALID},
        {"X-Rspamd-Action: reject\r\nX-Rspamd-Rcpt: a@b\r\n", ERR_INVALID},
        {"X-Rspamd-Action: reject\r\nX-Rspamd-Rcpt: {}\r\n", ERR_INVALID},
        {"X-Rspamd-Action: reject\r\nX-Rspamd-Rcpt: [\"a@b\"\r\n", ERR_INVALID},
        {"X-Rspamd-Action: reject\r\nX-Rspamd-Rcpt: [\"a@b\"] x\r\n", ERR_INVALID},
        {"X-Rspamd-Action: reject\r\nX-Rspamd-Rcpt: [[\"a@b\"]]\r\n", ERR_INVALID},
        {"X-Rspamd-Action: reject\r\nX-Rspamd-Rcpt: [\"1\",\"2\",\"3\",\"4\",\"5\",\"6\"]\r\n", ERR_LIMIT},
        {"X-Rspamd-Action: reject\r\nX-Rspamd-Symbols: [{\"score\":1}]\r\n", ERR_INVALID},
        {"X-Rspamd-Action: reject\r\nX-Rspamd-Symbols: [{\"name\":\"A\",\"score\":1e999}]\r\n", ERR_INVALID},
        {"X-Rspamd-Action: reject\r\nX-Rspamd-Symbols: [{\"name\":\"A\",\"options\":[1]}]\r\n", ERR_INVALID},
        {"X-Rspamd-Action: reject\r\nX-Rspamd-Symbols: [{\"name\":\"A\",\"x\":{}}]\r\n", ERR_INVALID},
        {"X-Rspamd-Action: reject\r\nX-Rspamd-Symbols: [{\"name\":\"A\",\"x\":[[]]}]\r\n", ERR_INVALID},
        {"X-Rspamd-Action: reject\r\nX-Rspamd-Symbols: [1]\r\n", ERR_INVALID},
    };

    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct http_request r = request_of(cases[i].fields);
        struct ingest_told  t;
        struct err          e = ERR_INIT;

        CHECK(cases[i].fields, ingest_read_told(&r, &arena, &t, &e) == -1);
        CHECK(cases[i].fields, e.code == cases[i].code);
    }
}

static void many_symbols_and_options_are_cut(void **unused)
{
    struct http_request r;
    struct ingest_told  t;
    struct err          e = ERR_INIT;
    struct buf          fields;

    (void)unused;
    buf_init(&fields, 1 << 20);
    buf_puts(&fields, "X-Rspamd-Action: reject\r\nX-Rspamd-Symbols: [");
    for (int i = 0; i < INGEST_SYMBOLS_MAX + 10; i++)
        buf_printf(&fields, "%s{\"name\":\"S%d\"}", i > 0 ? "," : "", i);
    buf_puts(&fields, ",{\"name\":\"LAST\",\"options\":[\"x\"]}]\r\n");
    r = request_of(fields.p);
    assert_int_equal(ingest_read_told(&r, &arena, &t, &e), 0);
    assert_int_equal(t.answer.reply.nsymbols, INGEST_SYMBOLS_MAX);
    buf_clear(&fields);
    buf_puts(&fields, "X-Rspamd-Action: reject\r\nX-Rspamd-Symbols: [{\"name\":\"A\",\"options\":[");
    for (int i = 0; i < RSPAMD_OPTIONS_MAX + 10; i++)
        buf_puts(&fields, i > 0 ? ",\"o\"" : "\"o\"");
    buf_puts(&fields, "]}]\r\n");
    r = request_of(fields.p);
    assert_int_equal(ingest_read_told(&r, &arena, &t, &e), 0);
    assert_int_equal(t.answer.reply.symbols[0].noptions, RSPAMD_OPTIONS_MAX);
    buf_fini(&fields);
}

/* ---- delivery reports ---- */

#define NOW INT64_C(1795296651000000)

static void a_report_becomes_an_event(void **unused)
{
    const struct mail_event *ev;
    struct err               e = ERR_INIT;
    size_t                   n;

    (void)unused;
    arena_reset(&arena);
    assert_int_equal(
        ingest_read_events(
            SPAN("[{\"queue_id\":\"Q1\",\"recipient\":\"a@b.example\",\"status\":\"deferred\","
                 "\"at\":\"2026-11-21T21:30:50Z\",\"host\":\"mx.b.example\",\"ip\":\"192.0.2.1\",\"port\":25,"
                 "\"tls\":\"TLSv1.3\",\"response\":\"451 4.7.1 later\"},"
                 "{\"message_id\":\"<m@x>\",\"recipient\":\"a@b.example\",\"status\":\"delivered\",\"dsn\":null}]"),
            NOW, &arena, &ev, &n, &e),
        0);
    assert_int_equal(n, 2);
    assert_int_equal(ev[0].kind, MAIL_ATTEMPT);
    assert_int_equal(ev[0].outcome, MAIL_DEFERRED);
    assert_int_equal(ev[0].at_us, NOW - 1000000);
    assert_true(span_is(ev[0].to, "a@b.example"));
    assert_true(span_is(ev[0].host, "mx.b.example"));
    assert_int_equal(ev[0].port, 25);
    assert_int_equal(ev[0].code, 451);
    assert_true(span_is(ev[0].dsn, "4.7.1"));
    assert_int_equal(ev[1].outcome, MAIL_SENT);
    assert_int_equal(ev[1].at_us, NOW);
    assert_true(span_is(ev[1].message_id, "<m@x>"));
    assert_int_equal(ingest_read_events(SPAN("{\"queue_id\":\"Q\",\"status\":\"queued\"}"), NOW, &arena, &ev, &n, &e),
                     0);
    assert_int_equal(n, 1);
    assert_int_equal(ev[0].kind, MAIL_QUEUED);
    assert_int_equal(ingest_read_events(SPAN("[]"), NOW, &arena, &ev, &n, &e), 0);
    assert_int_equal(n, 0);
}

static void a_damaged_report_is_refused_as_a_whole(void **unused)
{
    static const char *const cases[] = {
        "",
        "1",
        "\"x\"",
        "{}",
        "[1]",
        "[{}]",
        "{\"queue_id\":\"Q\"}",
        "{\"queue_id\":\"Q\",\"status\":\"lost\"}",
        "{\"queue_id\":\"Q\",\"status\":\"delivered\"}",
        "{\"status\":\"delivered\",\"recipient\":\"a@b\"}",
        "{\"queue_id\":\"Q\",\"recipient\":\"a@b\",\"status\":\"delivered\",\"at\":\"yesterday\"}",
        "{\"queue_id\":\"Q\",\"recipient\":\"a@b\",\"status\":\"delivered\",\"port\":65536}",
        "{\"queue_id\":\"Q\",\"recipient\":\"a@b\",\"status\":\"delivered\",\"port\":\"25\"}",
        "{\"queue_id\":\"Q\",\"recipient\":\"a@b\",\"status\":\"delivered\",\"verdict\":\"clean\"}",
        "{\"queue_id\":[\"Q\"],\"recipient\":\"a@b\",\"status\":\"delivered\"}",
        "{\"queue_id\":\"Q\",\"status\":\"queued\"} x",
        "[{\"queue_id\":\"Q\",\"status\":\"queued\"},",
        "[[[[[[[[",
    };

    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct mail_event *ev;
        struct err               e = ERR_INIT;
        size_t                   n;

        arena_reset(&arena);
        CHECK(cases[i], ingest_read_events(span_of(cases[i]), NOW, &arena, &ev, &n, &e) == -1);
        CHECK(cases[i], e.code == ERR_INVALID);
    }
}

static void more_events_than_the_limit_are_refused(void **unused)
{
    const struct mail_event *ev;
    struct err               e = ERR_INIT;
    struct buf               json;
    size_t                   n;

    (void)unused;
    arena_reset(&arena);
    buf_init(&json, 1 << 20);
    for (int i = 0; i <= INGEST_EVENTS_MAX; i++)
        buf_puts(&json,
                 i > 0 ? ",{\"queue_id\":\"Q\",\"status\":\"queued\"}" : "[{\"queue_id\":\"Q\",\"status\":\"queued\"}");
    buf_puts(&json, "]");
    assert_int_equal(ingest_read_events(buf_span(&json), NOW, &arena, &ev, &n, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
    buf_fini(&json);
}

static int begin(void **unused)
{
    (void)unused;
    arena_init(&arena, 64 << 20);
    buf_init(&in, 2 << 20);
    buf_init(&plain, 1 << 20);
    return 0;
}

static int end(void **unused)
{
    (void)unused;
    buf_fini(&plain);
    buf_fini(&in);
    arena_fini(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_result_is_what_the_fields_say),
        cmocka_unit_test(a_damaged_result_is_refused),
        cmocka_unit_test(many_symbols_and_options_are_cut),
        cmocka_unit_test(a_report_becomes_an_event),
        cmocka_unit_test(a_damaged_report_is_refused_as_a_whole),
        cmocka_unit_test(more_events_than_the_limit_are_refused),
    };

    return cmocka_run_group_tests(tests, begin, end);
}

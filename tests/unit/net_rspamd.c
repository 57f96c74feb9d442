/* What Rspamd's clients send, and the JSON that they are answered with. */
#include <math.h>

#include "base/clock.h"
#include "net.h"
#include "net/rspamd.h"

static struct arena arena;
static struct buf   in, plain;

static struct http_request request_of(const char *fields)
{
    static const struct wire_limits limits = {.body_max = 100, .head_max = 8192, .rcpt_max = 5, .headers_max = 100};
    struct http_request             r;

    arena_reset(&arena);
    buf_clear(&in);
    buf_puts(&in, "GET /checkv2 HTTP/1.1\r\n");
    buf_puts(&in, fields);
    buf_puts(&in, "\r\n");
    http_begin(&r, &arena, &plain, &limits);
    assert_int_equal(http_step(&r, &in, false), WIRE_DONE);
    return r;
}

static void put(struct buf *b, const char *name, struct span value)
{
    if (value.p != NULL)
        buf_printf(b, "%s=%.*s\n", name, SPAN_ARG(value));
}

static void describe(struct buf *b, const struct rspamd_envelope *env)
{
    buf_clear(b);
    put(b, "from", env->from);
    for (size_t i = 0; i < env->rcpt.n; i++)
        put(b, "rcpt", env->rcpt.items[i]);
    put(b, "ip", env->ip);
    put(b, "helo", env->helo);
    put(b, "hostname", env->hostname);
    put(b, "user", env->user);
    put(b, "queue_id", env->queue_id);
    put(b, "deliver_to", env->deliver_to);
    put(b, "mta_name", env->mta_name);
    put(b, "password", env->password);
    put(b, "bearer", env->bearer);
    buf_printf(b, "%s%s%s%s%s", env->no_log ? "no_log " : "", env->milter ? "milter " : "",
               env->pass_all ? "pass_all " : "", env->body_block ? "body_block " : "",
               env->ip_invalid ? "ip_invalid " : "");
}

static const struct {
    const char *holds, *fields, *envelope;
} cases[] = {
    {"Rspamd's proxy for Postfix",
     "Queue-ID: 4jX4\r\nIP: 127.0.0.1:33060\r\nUser-Agent: Postfix 3.7.11\r\nMTA-Name: mx.example.test\r\n"
     "Flags: milter,body_block\r\nHelo: client.ext.test\r\nHostname: localhost\r\nFrom: <sender@ext.test>\r\n"
     "Rcpt: <anna@local.test>\r\nRcpt: <bob@local.test>\r\nMailer: smtp\r\nUser: anna@local.test\r\n",
     "from=<sender@ext.test>\nrcpt=<anna@local.test>\nrcpt=<bob@local.test>\nip=127.0.0.1\nhelo=client.ext.test\n"
     "hostname=localhost\nuser=anna@local.test\nqueue_id=4jX4\nmta_name=mx.example.test\nmilter body_block "},
    {"OpenSMTPD",
     "From: sender@ext.test\r\nIp: 127.0.0.1\r\nMta-Name: mx\r\nPass: All\r\nQueue-Id: 86\r\nRcpt: a@b\r\n",
     "from=sender@ext.test\nrcpt=a@b\nip=127.0.0.1\nqueue_id=86\nmta_name=mx\npass_all "},
    {"no sender stated", "Rcpt: a@b\r\n", "rcpt=a@b\n"},
    {"the null sender, empty", "From:\r\n", "from=\n"},
    {"the null sender in brackets", "From: <>\r\n", "from=<>\n"},
    {"IPv6 in brackets with a port", "IP: [2001:db8::1]:3456\r\n", "ip=2001:db8::1\n"},
    {"IPv6 in brackets", "IP: [2001:db8::1]\r\n", "ip=2001:db8::1\n"},
    {"IPv6 bare", "IP: 2001:db8::1\r\n", "ip=2001:db8::1\n"},
    {"58 a bad address is flagged", "IP: 1.2.3\r\n", "ip_invalid "},
    {"58 an empty one is none", "IP:\r\n", ""},
    {"several recipients in one field", "Rcpt: <\"a,b\"@c.example>, <d@e.example>\r\n",
     "rcpt=<\"a,b\"@c.example>\nrcpt=<d@e.example>\n"},
    {"the first of a name counts", "From: a\r\nFrom: b\r\nDeliver-To: c\r\nDeliver-To: d\r\n",
     "from=a\ndeliver_to=c\n"},
    {"a password of its own", "Password: secret\r\n", "password=secret\n"},
    {"a password of Basic authorisation", "Authorization: Basic dTpwOmFzcw==\r\n", "password=p:ass\n"},
    {"Basic without a colon is none", "Authorization: Basic dXNlcg==\r\n", ""},
    {"Basic that is no base64 is none", "Authorization: Basic d*==\r\n", ""},
    {"a token is no password", "Authorization: Bearer dTpwOmFzcw==\r\n", "bearer=dTpwOmFzcw==\n"},
    {"other authorisation is none", "Authorization: Digest dTpwOmFzcw==\r\n", ""},
    {"not to be logged", "Log: no\r\n", "no_log "},
    {"the Milter field", "Milter: Yes\r\n", "milter "},
    {"64 a key is not asked for", "Key: abc\r\n", ""},
    {"flags that are not ours", "Flags: groups, no_log ,pass_all\r\n", "no_log pass_all "},
};

static void the_envelope_is_what_the_fields_say(void **unused)
{
    struct buf out;

    (void)unused;
    buf_init(&out, 10000);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct http_request    r = request_of(cases[i].fields);
        struct rspamd_envelope env;
        struct err             e = ERR_INIT;

        CHECK(cases[i].holds, rspamd_read_envelope(&r, &env, &e) == 0);
        describe(&out, &env);
        check_same(cases[i].holds, buf_span(&out), span_of(cases[i].envelope));
    }
    buf_fini(&out);
}

static const struct {
    const char   *fields;
    enum err_code code;
} refused[] = {
    {"File: /etc/passwd\r\n", ERR_INVALID},
    {"PATH: /etc/passwd\r\n", ERR_INVALID},
    {"Message-Length: 5\r\n", ERR_INVALID},
    {"Rcpt: a,b,c,d,e,f\r\n", ERR_LIMIT},
};

/* 39, and more recipients in one field than fields may come. */
static void what_must_not_be_scanned_as_an_empty_message_is_refused(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(refused); i++) {
        struct http_request    r = request_of(refused[i].fields);
        struct rspamd_envelope env;
        struct err             e = ERR_INIT;

        CHECK(refused[i].fields, rspamd_read_envelope(&r, &env, &e) == -1);
        CHECK(refused[i].fields, e.code == refused[i].code);
    }
}

/* ---- replies ---- */

static void check_json(const char *holds, const struct rspamd_reply *reply, bool legacy, const char *want)
{
    struct buf out;

    buf_init(&out, 100000);
    rspamd_put_json(&out, reply, legacy);
    check_same(holds, buf_span(&out), span_of(want));
    buf_fini(&out);
}

static void the_least_reply_has_what_every_client_needs(void **unused)
{
    struct rspamd_reply reply = {.required_score = 15, .reject = 999, .add_header = 999, .greylist = 999};

    (void)unused;
    check_json("2.4", &reply, false,
               "{\"is_skipped\":false,\"score\":0.0,\"required_score\":15.0,\"action\":\"no action\",\"thresholds\":{},"
               "\"symbols\":{},\"messages\":{},\"time_real\":0.0}");
}

static void a_full_reply_has_the_shapes_that_the_proxy_acts_on(void **unused)
{
    const struct span              options[] = {SPAN("rule=0198"), SPAN("say \"hi\"\t\xc3\xa4\xff")};
    const struct rspamd_symbol     symbols[] = {{SPAN("POSTERN_BLOCK"), SPAN("Blocked by a rule"), 100, options, 2},
                                                {SPAN("MG"), SPAN_NONE, -0.04, NULL, 0},
                                                {SPAN("MG"), SPAN_NONE, 7, NULL, 0}};
    const struct rspamd_add_header added[] = {{SPAN("X-Spam"), SPAN("Yes"), 0, false},
                                              {SPAN("X-Spam-Score"), SPAN("7.5\r\nX-Evil: 1"), 0, true},
                                              {SPAN("X-Multi"), SPAN("a"), 1, true},
                                              {SPAN("x-multi"), SPAN("b"), -1, false}};
    const struct span              removed[] = {SPAN("X-Spam"), SPAN("x-spam"), SPAN("X-Spam-Score")};
    const struct span              dropped[] = {SPAN("bob@local.test"), SPAN("c@d.example")};
    struct rspamd_reply            reply = {.action = RSPAMD_REJECT,
                                            .score = 100,
                                            .required_score = 15,
                                            .reject = 15,
                                            .add_header = 6.25,
                                            .greylist = NAN,
                                            .symbols = symbols,
                                            .nsymbols = COUNT(symbols),
                                            .smtp_message = SPAN("Blocked\r\n by rule\0 7"),
                                            .message_id = SPAN("m@x"),
                                            .uid = SPAN("0198"),
                                            .add_headers = added,
                                            .nadd_headers = COUNT(added),
                                            .remove_headers = removed,
                                            .nremove_headers = COUNT(removed),
                                            .del_rcpt = dropped,
                                            .ndel_rcpt = COUNT(dropped),
                                            .discard = true,
                                            .time_real = 0.000412};

    (void)unused;
    check_json("2.4, 2.5", &reply, false,
               "{\"is_skipped\":false,\"score\":100.0,\"required_score\":15.0,\"action\":\"reject\","
               "\"thresholds\":{\"reject\":15.0,\"add header\":6.25},\"symbols\":{"
               "\"POSTERN_BLOCK\":{\"name\":\"POSTERN_BLOCK\",\"score\":100.0,\"metric_score\":100.0,"
               "\"description\":\"Blocked by a rule\",\"options\":[\"rule=0198\",\"say "
               "\\\"hi\\\"\\u0009\xc3\xa4\xef\xbf\xbd\"]},"
               "\"MG\":{\"name\":\"MG\",\"score\":-0.04,\"metric_score\":-0.04}},"
               "\"messages\":{\"smtp_message\":\"Blocked by rule 7\"},\"message-id\":\"m@x\",\"uid\":\"0198\","
               "\"time_real\":0.000412,\"milter\":{\"remove_headers\":{\"X-Spam\":0,\"X-Spam-Score\":0},"
               "\"add_headers\":{\"X-Spam\":{\"value\":\"Yes\",\"order\":0},\"X-Spam-Score\":\"7.5X-Evil: 1\","
               "\"X-Multi\":[{\"value\":\"a\",\"order\":1},{\"value\":\"b\",\"order\":-1}]},"
               "\"del_rcpt\":[\"bob@local.test\",\"c@d.example\"],\"reject\":\"discard\"}}");
}

static void the_old_form_wraps_the_verdict(void **unused)
{
    const struct rspamd_symbol symbol = {SPAN("MG"), SPAN_NONE, 7, NULL, 0};
    const struct span          removed = SPAN("X-Spam");
    struct rspamd_reply        reply = {.action = RSPAMD_ADD_HEADER,
                                        .score = 7,
                                        .required_score = 15,
                                        .reject = 15,
                                        .symbols = &symbol,
                                        .nsymbols = 1,
                                        .remove_headers = &removed,
                                        .nremove_headers = 1};

    (void)unused;
    check_json("2.2", &reply, true,
               "{\"default\":{\"is_spam\":true,\"is_skipped\":false,\"score\":7.0,\"required_score\":15.0,"
               "\"action\":\"add header\",\"MG\":{\"name\":\"MG\",\"score\":7.0,\"metric_score\":7.0}},\"messages\":{},"
               "\"time_real\":0.0,\"rmilter\":{\"remove_headers\":{\"X-Spam\":0}}}");
    reply.action = RSPAMD_GREYLIST;
    reply.nsymbols = reply.nremove_headers = 0;
    check_json("2.2", &reply, true,
               "{\"default\":{\"is_spam\":false,\"is_skipped\":false,\"score\":7.0,\"required_score\":15.0,"
               "\"action\":\"greylist\"},\"messages\":{},\"time_real\":0.0}");
}

static void what_shall_be_held_is_named_by_its_action(void **unused)
{
    struct rspamd_reply reply = {.required_score = 15, .reject = 15, .add_header = 999, .greylist = 999};
    struct buf          out;

    (void)unused;
    buf_init(&out, 10000);
    for (int i = 0; i < 4; i++) {
        static const char *const holds[] = {"\"hold\":", "\"hold\":[\"reject\"]}", "\"hold\":[\"add header\"]}",
                                            "\"hold\":[\"reject\",\"add header\"]}"};

        buf_clear(&out);
        reply.hold_reject = i & 1;
        reply.hold_add_header = i & 2;
        rspamd_put_json(&out, &reply, false);
        CHECK(holds[i], (span_find(buf_span(&out), span_of(holds[i])) < out.n) == (i > 0));
    }
    buf_fini(&out);
}

static void a_subject_goes_out_with_its_action_alone(void **unused)
{
    struct rspamd_reply reply = {.action = RSPAMD_REWRITE_SUBJECT, .required_score = 15, .subject = SPAN("[SPAM] x")};
    struct buf          out;

    (void)unused;
    buf_init(&out, 10000);
    rspamd_put_json(&out, &reply, false);
    assert_true(span_find(buf_span(&out), SPAN(",\"subject\":\"[SPAM] x\"")) < out.n);
    buf_clear(&out);
    reply.action = RSPAMD_ADD_HEADER;
    rspamd_put_json(&out, &reply, false);
    assert_true(span_find(buf_span(&out), SPAN("subject")) == out.n);
    buf_fini(&out);
}

/* A name with blanks, never underscores: the proxy defers on any other. */
static void actions_have_the_names_that_the_proxy_knows(void **unused)
{
    (void)unused;
    assert_string_equal(rspamd_action_name(RSPAMD_NO_ACTION), "no action");
    assert_string_equal(rspamd_action_name(RSPAMD_GREYLIST), "greylist");
    assert_string_equal(rspamd_action_name(RSPAMD_ADD_HEADER), "add header");
    assert_string_equal(rspamd_action_name(RSPAMD_REWRITE_SUBJECT), "rewrite subject");
    assert_string_equal(rspamd_action_name(RSPAMD_SOFT_REJECT), "soft reject");
    assert_string_equal(rspamd_action_name(RSPAMD_REJECT), "reject");
}

/* Not a benchmark: a guard against an order of magnitude. */
static void reading_and_writing_take_microseconds(void **unused)
{
    const struct span          options[] = {SPAN("rule=01981234")};
    const struct rspamd_symbol symbol = {SPAN("POSTERN_BLOCK"), SPAN("Blocked by a rule"), 100, options, 1};
    const struct span          removed[] = {SPAN("X-Spam"), SPAN("X-Spam-Score"), SPAN("X-Spam-Status")};
    struct rspamd_reply        reply = {.action = RSPAMD_REJECT,
                                        .score = 100,
                                        .required_score = 15,
                                        .reject = 15,
                                        .add_header = 6,
                                        .greylist = 4,
                                        .symbols = &symbol,
                                        .nsymbols = 1,
                                        .smtp_message = SPAN("Blocked by rule 7"),
                                        .message_id = SPAN("abc@def.example"),
                                        .uid = SPAN("019812345678-1234-1234-1234-1234567890"),
                                        .remove_headers = removed,
                                        .nremove_headers = 3,
                                        .time_real = 0.00123};
    struct buf                 out;

    (void)unused;
    buf_init(&out, 10000);
    int64_t began = clock_thread_cpu_us();
    for (int i = 0; i < 10000; i++) {
        buf_clear(&out);
        rspamd_put_json(&out, &reply, false);
    }
    int64_t             wrote = clock_thread_cpu_us();
    struct http_request r = request_of(cases[0].fields);
    for (int i = 0; i < 10000; i++) {
        struct rspamd_envelope env;
        struct err             e;

        rspamd_read_envelope(&r, &env, &e);
    }
    int64_t read = clock_thread_cpu_us();
    print_message("%lld ns a reply, %lld ns an envelope\n", (long long)(wrote - began) / 10,
                  (long long)(read - wrote) / 10);
    assert_true((read - began) / 10000 < 100);
    buf_fini(&out);
}

static int begin(void **unused)
{
    (void)unused;
    arena_init(&arena, 16 << 20);
    buf_init(&in, 10000);
    buf_init(&plain, 10000);
    return 0;
}

static int end(void **unused)
{
    (void)unused;
    arena_fini(&arena);
    buf_fini(&in);
    buf_fini(&plain);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_envelope_is_what_the_fields_say),
        cmocka_unit_test(what_must_not_be_scanned_as_an_empty_message_is_refused),
        cmocka_unit_test(the_least_reply_has_what_every_client_needs),
        cmocka_unit_test(a_full_reply_has_the_shapes_that_the_proxy_acts_on),
        cmocka_unit_test(the_old_form_wraps_the_verdict),
        cmocka_unit_test(what_shall_be_held_is_named_by_its_action),
        cmocka_unit_test(a_subject_goes_out_with_its_action_alone),
        cmocka_unit_test(actions_have_the_names_that_the_proxy_knows),
        cmocka_unit_test(reading_and_writing_take_microseconds),
    };
    return cmocka_run_group_tests(tests, begin, end);
}

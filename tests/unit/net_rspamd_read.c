/* What a scanner says to /checkv2 is read, whatever it quotes from strangers; what is no answer is an error. */
#include <math.h>

#include "net.h"
#include "net/rspamd.h"

static struct arena arena;

/* As Rspamd 3.4 writes it, shortened. */
static const char real[] =
    "{\"is_skipped\":false,\"score\":11.7,\"required_score\":15.0,\"action\":\"add header\",\"symbols\":{"
    "\"MISSING_MIME_VERSION\":{\"name\":\"MISSING_MIME_VERSION\",\"score\":2.0,\"metric_score\":2.0,"
    "\"description\":\"MIME-Version header is missing\"},"
    "\"FORGED_RECIPIENTS\":{\"name\":\"FORGED_RECIPIENTS\",\"score\":2.0,\"metric_score\":2.0,"
    "\"options\":[\"m:\",\"s:anna@local.test\",7]}},"
    "\"messages\":{\"smtp_message\":\"Try again later\"},\"urls\":[\"a.example\",{\"deep\":[[]]}],"
    "\"message-id\":\"27459@ext.test\",\"time_real\":0.005759,\"passthrough_module\":\"antivirus\","
    "\"dkim-signature\":[\"v=1; a=rsa-sha256;\\n\\tb=x\",\"v=1\"],\"milter\":{\"remove_headers\":{\"X-Spam\":0,"
    "\"X-Old\":[2,3],\"X-Odd\":1.5},\"add_headers\":{\"X-Plain\":\"p\",\"X-One\":{\"value\":\"v\",\"order\":0},"
    "\"X-Two\":[{\"value\":\"a\"},\"dropped\",{\"value\":\"b\",\"index\":-1e3}],\"X-None\":{\"order\":1},\"X-No\":5},"
    "\"add_rcpt\":[\"<c@d.example>\"],\"change_from\":\"<n@d.example>\",\"reject\":\"discard\"}}";

static int read_reply(const char *json, struct rspamd_reply *out, struct err *e)
{
    arena_reset(&arena);
    return rspamd_read_json(span_of(json), &arena, out, e);
}

static struct rspamd_reply must_read(const char *json)
{
    struct rspamd_reply r;
    struct err          e = ERR_INIT;

    if (read_reply(json, &r, &e) < 0)
        fail_msg("%s: %s", json, e.text);
    return r;
}

static void a_real_answer_is_read(void **unused)
{
    struct rspamd_reply r = must_read(real);

    (void)unused;
    assert_true(!r.is_skipped && r.score == 11.7 && r.required_score == 15 && r.action == RSPAMD_ADD_HEADER);
    assert_true(isinf(r.reject) && isinf(r.add_header) && isinf(r.greylist));
    assert_int_equal(r.nsymbols, 2);
    check_same("name", r.symbols[0].name, SPAN("MISSING_MIME_VERSION"));
    check_same("description", r.symbols[0].description, SPAN("MIME-Version header is missing"));
    assert_true(r.symbols[0].score == 2 && r.symbols[0].noptions == 0 && r.symbols[1].noptions == 2);
    check_same("option", r.symbols[1].options[1], SPAN("s:anna@local.test"));
    check_same("text", r.smtp_message, SPAN("Try again later"));
    check_same("id", r.message_id, SPAN("27459@ext.test"));
    check_same("module", r.passthrough, SPAN("antivirus"));
    assert_true(r.time_real == 0.005759);
}

static void the_changes_for_the_milter_are_those_that_rspamds_proxy_would_make(void **unused)
{
    static const struct rspamd_add_header added[] = {{{"X-Plain", 7}, {"p", 1}, -1, true},
                                                     {{"X-One", 5}, {"v", 1}, 0, false},
                                                     {{"X-Two", 5}, {"a", 1}, -1, false},
                                                     {{"X-Two", 5}, {"b", 1}, -127, false}};
    struct rspamd_reply                   r = must_read(real);

    (void)unused;
    assert_int_equal(r.nadd_headers, COUNT(added));
    for (size_t i = 0; i < COUNT(added); i++) {
        check_same("name", r.add_headers[i].name, added[i].name);
        check_same("value", r.add_headers[i].value, added[i].value);
        CHECK(added[i].value.p, r.add_headers[i].order == added[i].order && r.add_headers[i].plain == added[i].plain);
    }
    assert_int_equal(r.nremove_headers, 2);
    check_same("removed", r.remove_headers[1], SPAN("X-Old"));
    assert_true(r.remove_at[0] == 0 && r.remove_at[1] == 2);
    assert_true(r.nadd_rcpt == 1 && r.ndkim_signature == 2 && !r.discard && r.ndel_rcpt == 0);
    check_same("added", r.add_rcpt[0], SPAN("<c@d.example>"));
    check_same("from", r.change_from, SPAN("<n@d.example>"));
    check_same("folded", r.dkim_signature[0], SPAN("v=1; a=rsa-sha256;\n\tb=x"));
}

#define WITH(members) "{\"score\":1,\"required_score\":15,\"action\":\"no action\"" members "}"
#define SCORED(score) "{\"score\":" score ",\"required_score\":15,\"action\":\"no action\"}"

static const struct {
    const char   *holds, *json;
    enum err_code code;
} refused[] = {
    {"nothing", "", ERR_INVALID},
    {"no JSON", "<html>", ERR_INVALID},
    {"no object", "[1]", ERR_PROTOCOL},
    {"cut short", "{\"score\":1,\"required_score\":15,\"action\":\"no act", ERR_INVALID},
    {"something behind it", WITH("") "x", ERR_INVALID},
    {"an error", "{\"error\":\"invalid command\",\"error_domain\":\"protocol-error\"}", ERR_PROTOCOL},
    {"no score", "{\"required_score\":15,\"action\":\"reject\"}", ERR_PROTOCOL},
    {"no threshold", "{\"score\":15,\"action\":\"reject\"}", ERR_PROTOCOL},
    {"an unknown threshold", "{\"score\":15,\"required_score\":null,\"action\":\"reject\"}", ERR_PROTOCOL},
    {"no action", "{\"score\":15,\"required_score\":15}", ERR_PROTOCOL},
    {"an action that is no text", "{\"score\":15,\"required_score\":15,\"action\":7}", ERR_PROTOCOL},
    {"an infinite score", SCORED("1e400"), ERR_PROTOCOL},
    {"a huge score", SCORED("-1e7"), ERR_PROTOCOL},
    {"a score that is none", SCORED("NaN"), ERR_INVALID},
    {"a score in quotes", SCORED("\"1\""), ERR_PROTOCOL},
    {"a score of a hundred digits",
     SCORED("0.0000000000000000000000000000000000000000000000000000000000000000000000000000001"), ERR_PROTOCOL},
    {"a symbol with a huge score", WITH(",\"symbols\":{\"A\":{\"score\":1e99}}"), ERR_PROTOCOL},
    {"symbols in a list", WITH(",\"symbols\":[]"), ERR_PROTOCOL},
    {"a symbol that is a number", WITH(",\"symbols\":{\"A\":1}"), ERR_PROTOCOL},
    {"a milter's changes in a list", WITH(",\"milter\":[]"), ERR_PROTOCOL},
    {"an escape that there is not", WITH(",\"subject\":\"\\x\""), ERR_INVALID},
};

static void what_is_no_answer_is_an_error(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(refused); i++) {
        struct rspamd_reply r;
        struct err          e = ERR_INIT;

        CHECK(refused[i].holds, read_reply(refused[i].json, &r, &e) == -1);
        if (e.code != refused[i].code)
            fail_msg("%s: %s: %s", refused[i].holds, err_word(e.code), e.text);
        CHECK(refused[i].holds, e.text[0] != '\0');
    }
}

static const struct {
    const char        *word;
    enum rspamd_action action;
} actions[] = {
    {"no action", RSPAMD_NO_ACTION},     {"greylist", RSPAMD_GREYLIST}, {"add header", RSPAMD_ADD_HEADER},
    {"soft reject", RSPAMD_SOFT_REJECT}, {"reject", RSPAMD_REJECT},     {"rewrite subject", RSPAMD_REWRITE_SUBJECT},
    {"quarantine", RSPAMD_REJECT},       {"discard", RSPAMD_REJECT},    {"a site's own", RSPAMD_NO_ACTION},
};

static void every_action_has_a_meaning(void **unused)
{
    char json[200];

    (void)unused;
    for (size_t i = 0; i < COUNT(actions); i++) {
        snprintf(json, sizeof json, "{\"action\":\"%s\",\"score\":0,\"required_score\":9}", actions[i].word);
        CHECK(actions[i].word, must_read(json).action == actions[i].action);
    }
}

static const struct {
    const char *holds, *quoted, *shown;
} mended[] = {
    {"good text stays", "\xc3\xa4 \\u00e4 \\ud83d\\ude00 \\\\u0000 \\\"",
     "\xc3\xa4 \xc3\xa4 \xf0\x9f\x98\x80 \\u0000 \""},
    {"bytes that are no UTF-8", "a\xff\xc3z\xe2\x82", "a??z??"},
    {"control bytes", "a\x01\tb\x1b", "a  b "},
    {"a zero byte", "a\\u0000b",
     "a\xef\xbf\xbd"
     "b"},
    {"half a pair", "\\ud83dx \\ude00", "\xef\xbf\xbdx \xef\xbf\xbd"},
};

static void what_strangers_put_into_it_is_mended(void **unused)
{
    char json[300];

    (void)unused;
    for (size_t i = 0; i < COUNT(mended); i++) {
        snprintf(json, sizeof json, WITH(",\"subject\":\"%s\""), mended[i].quoted);
        check_same(mended[i].holds, must_read(json).subject, span_of(mended[i].shown));
    }
}

/* `before`, then `n` copies of `item` parted by commas, then `after`. */
static int read_many(const char *before, const char *item, size_t n, const char *after, struct rspamd_reply *out,
                     struct err *e)
{
    struct buf json;
    int        rc;

    buf_init(&json, 16 << 20);
    buf_puts(&json, "{\"score\":1,\"required_score\":15,\"action\":\"no action\",");
    buf_puts(&json, before);
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_putc(&json, ',');
        buf_printf(&json, item, i);
    }
    buf_puts(&json, after);
    arena_reset(&arena);
    rc = rspamd_read_json(buf_span(&json), &arena, out, e);
    buf_fini(&json);
    return rc;
}

static void there_is_a_limit_to_everything(void **unused)
{
    static const char added[] = "\"milter\":{\"add_headers\":{\"X\":[", removed[] = "\"milter\":{\"remove_headers\":{";
    struct rspamd_reply r;
    struct err          e = ERR_INIT;
    struct buf          deep;

    (void)unused;
    assert_int_equal(read_many("\"symbols\":{", "\"S%zu\":{\"score\":0.5}", RSPAMD_SYMBOLS_MAX, "}}", &r, &e), 0);
    assert_true(r.nsymbols == RSPAMD_SYMBOLS_MAX && span_is(r.symbols[4999].name, "S4999") &&
                r.symbols[0].score == 0.5);
    assert_int_equal(read_many("\"symbols\":{", "\"S%zu\":{}", RSPAMD_SYMBOLS_MAX + 1, "}}", &r, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
    assert_int_equal(read_many("\"symbols\":{\"S\":{\"options\":[", "\"o%zu\"", 3 * RSPAMD_OPTIONS_MAX, "]}}}", &r, &e),
                     0);
    assert_int_equal(r.symbols[0].noptions, RSPAMD_OPTIONS_MAX);
    assert_int_equal(read_many(added, "{\"value\":\"%zu\"}", RSPAMD_HEADERS_MAX + 1, "]}}}", &r, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
    assert_int_equal(read_many(removed, "\"H%zu\":0", RSPAMD_HEADERS_MAX + 1, "}}}", &r, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);

    buf_init(&deep, 1 << 20);
    buf_puts(&deep, "{\"x\":");
    put_times(&deep, "[", 300000);
    arena_reset(&arena);
    assert_int_equal(rspamd_read_json(buf_span(&deep), &arena, &r, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
    buf_fini(&deep);

    struct arena small;
    arena_init(&small, 300);
    assert_int_equal(rspamd_read_json(span_of(real), &small, &r, &e), -1);
    assert_int_equal(e.code, ERR_LIMIT);
    arena_fini(&small);
}

static void what_was_read_is_written_again(void **unused)
{
    struct rspamd_reply r = must_read(real), again;
    struct buf          out;
    struct arena        other;
    struct err          e = ERR_INIT;

    (void)unused;
    buf_init(&out, 100000);
    arena_init(&other, 1 << 20);
    rspamd_put_json(&out, &r, false);
    assert_int_equal(rspamd_read_json(buf_span(&out), &other, &again, &e), 0);
    assert_true(again.nsymbols == 2 && again.symbols[1].noptions == 2 && again.nremove_headers == 2);
    assert_true(again.remove_at[1] == 2 && again.nadd_headers == 4 && again.ndkim_signature == 2 &&
                again.nadd_rcpt == 1);
    check_same("the folding of a signature stays", again.dkim_signature[0], r.dkim_signature[0]);
    check_same("from", again.change_from, r.change_from);
    arena_fini(&other);
    buf_fini(&out);
}

static const struct {
    const char *value, *written;
} values[] = {
    {"a\r\n\tb", "\"a\\n\\u0009b\""},
    {"a\n b", "\"a\\n b\""},
    {"a\nb", "\"ab\""},
    {"a\n\nb", "\"ab\""},
    {"a\n \n b", "\"a \\n b\""},
    {"a\n ", "\"a \""},
    {"a\r\n \r\nX: y", "\"a X: y\""},
    {"\n b", "\" b\""},
};

static void no_header_value_brings_a_field_of_its_own(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(values); i++) {
        struct span         value = span_of(values[i].value);
        struct rspamd_reply r = {.required_score = 1, .dkim_signature = &value, .ndkim_signature = 1};
        struct buf          out;

        buf_init(&out, 1000);
        rspamd_put_json(&out, &r, false);
        struct span got = span_skip(buf_span(&out), span_find(buf_span(&out), SPAN("\"dkim-signature\":")) + 17);
        check_same(values[i].value, span_head(got, got.n - 1), span_of(values[i].written));
        buf_fini(&out);
    }
}

static int begin(void **unused)
{
    (void)unused;
    arena_init(&arena, 32 << 20);
    return 0;
}

static int end(void **unused)
{
    (void)unused;
    arena_fini(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_real_answer_is_read),
        cmocka_unit_test(the_changes_for_the_milter_are_those_that_rspamds_proxy_would_make),
        cmocka_unit_test(what_is_no_answer_is_an_error),
        cmocka_unit_test(every_action_has_a_meaning),
        cmocka_unit_test(what_strangers_put_into_it_is_mended),
        cmocka_unit_test(there_is_a_limit_to_everything),
        cmocka_unit_test(what_was_read_is_written_again),
        cmocka_unit_test(no_header_value_brings_a_field_of_its_own),
    };
    return cmocka_run_group_tests(tests, begin, end);
}

#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/conf.h"

static char path[] = "/tmp/postern-conf-XXXXXX";

static int make_file(void **state)
{
    int fd = mkstemp(path);

    (void)state;
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static int load(struct span text, struct conf **out, struct err *e)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(text.n ? text.p : "", 1, text.n, f), text.n);
    fclose(f);
    return conf_load(path, false, out, e);
}

static void an_empty_file_runs_on_defaults(void **state)
{
    struct conf           *c;
    const struct settings *s;

    (void)state;
    assert_int_equal(load(SPAN_NONE, &c, NULL), 0);
    s = conf_settings(c);
    assert_string_equal(s->store.url, "sqlite:/var/lib/postern/postern.db");
    assert_int_equal(s->quarantine.min_free, (int64_t)2 << 30);
    assert_int_equal(s->rulesd.max_message, 50 << 20);
    assert_int_equal(s->rulesd.listen_spamd.n, 1);
    assert_string_equal(s->rulesd.listen_spamd.items[0], "127.0.0.1:1783");
    assert_int_equal(s->rulesd.mta_users.n, 5);
    assert_string_equal(s->rulesd.mta_users.items[4], "spamass-milter");
    assert_int_equal(s->rulesd.mta_from.n, 0);
    assert_int_equal(s->rulesd.scanner.n, 0);
    assert_int_equal(s->rulesd.phase, PHASE_PRE);
    assert_false(s->rulesd.envelope_lines);
    conf_free(&c);
    assert_null(c);
    conf_free(&c);
}

static void a_missing_file_is_an_error_unless_it_is_the_default(void **state)
{
    struct conf *c;
    struct err   e;

    (void)state;
    assert_int_equal(conf_load("/nonexistent/postern.conf", false, &c, &e), -1);
    assert_int_equal(e.code, ERR_NOT_FOUND);
    assert_null(c);
    assert_int_equal(conf_load("/nonexistent/postern.conf", true, &c, &e), 0);
    conf_free(&c);
    assert_int_equal(conf_load(NULL, false, &c, &e), 0);
    conf_free(&c);
}

static void every_kind_of_value_arrives(void **state)
{
    struct conf           *c;
    const struct settings *s;

    (void)state;
    assert_int_equal(load(SPAN("[store]\r\n"
                               "url = sqlite:/a/very/long\n"
                               "  /path/goes/on.db ; without a gap\n"
                               "; a comment\n"
                               "[rulesd]\n"
                               "mta_users = a, b c\n"
                               "\td,,e ; the fifth\n"
                               "max_message = 1g\n"
                               "scanner_timeout_ms=2500\n"
                               "envelope_lines = YES\n"
                               "phase = post\n"
                               "scanner_down = accept\n"
                               "listen_spamd = unix:/run/x.sock?envelope_lines=on&phase=post, [::1]:1783\n"
                               "[smtp]\n"
                               "from = Postern <a@b.example>\n"),
                          &c, NULL),
                     0);
    s = conf_settings(c);
    assert_string_equal(s->store.url, "sqlite:/a/very/long/path/goes/on.db");
    assert_int_equal(s->rulesd.mta_users.n, 5);
    assert_string_equal(s->rulesd.mta_users.items[4], "e");
    assert_int_equal(s->rulesd.max_message, 1 << 30);
    assert_int_equal(s->rulesd.scanner_timeout_ms, 2500);
    assert_true(s->rulesd.envelope_lines);
    assert_int_equal(s->rulesd.phase, PHASE_POST);
    assert_int_equal(s->rulesd.scanner_down, SCANNER_DOWN_ACCEPT);
    assert_string_equal(s->rulesd.listen_spamd.items[0], "unix:/run/x.sock?envelope_lines=on&phase=post");
    assert_string_equal(s->rulesd.listen_spamd.items[1], "[::1]:1783");
    assert_string_equal(s->smtp.from, "Postern <a@b.example>");
    conf_free(&c);
}

static void a_mistake_is_named_with_its_line_and_its_cure(void **state)
{
    static char wide[300];
    static const struct {
        const char *holds;
        struct span text;
        int         line;
        const char *says;
    } cases[] = {
        {"misspelt key", SPAN("[rulesd]\n\nmax_mesage = 5M\n"), 3, "\"max_message\" in [rulesd]"},
        {"misspelt section", SPAN("[ruled]\nmode = live\n"), 2, "[rulesd]"},
        {"right key, wrong section", SPAN("[rulesd]\nretention_days = 3\n"), 2, "belongs to [quarantine]"},
        {"no section yet", SPAN("mode = live\n"), 1, "before any section"},
        {"not a pair", SPAN("[store]\nnonsense\n"), 2, "key = value"},
        {"twice", SPAN("[smtp]\nurl = a\n\nurl = b\n"), 4, "first is in line 2"},
        {"indented key", SPAN("[rulesd]\nmaillog = /x\n  mode = live\n"), 3, "indented"},
        {"too wide", SPAN_NONE, 1, "at most 199"},
        {"a NUL", SPAN("[store]\nurl = a\0b\n"), 2, "NUL"},
        {"no number", SPAN("[quarantine]\nretention_days = many\n"), 2, "from 1 to 3650"},
        {"out of bounds", SPAN("[quarantine]\nretention_days = 0\n"), 2, "from 1 to 3650"},
        {"no size", SPAN("[rulesd]\nmax_message = 5X\n"), 2, "512K"},
        {"a size that overflows", SPAN("[quarantine]\nmin_free = 99999999999999T\n"), 2, "512K"},
        {"an empty size", SPAN("[quarantine]\nmin_free =\n"), 2, "512K"},
        {"only a unit", SPAN("[quarantine]\nmin_free = M\n"), 2, "512K"},
        {"no switch", SPAN("[rulesd]\nenvelope_lines = maybe\n"), 2, "on or off"},
        {"not one of the words", SPAN("[rulesd]\nmode = dead\n"), 2, "live observe"},
        {"half a word", SPAN("[rulesd]\nmode = liv\n"), 2, "live observe"},
    };

    (void)state;
    memset(wide, 'x', sizeof wide);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct conf *c;
        struct err   e = ERR_INIT;
        char         where[64];

        snprintf(where, sizeof where, "%s:%d: ", path, cases[i].line);
        CHECK(cases[i].holds, load(cases[i].text.n ? cases[i].text : span_make(wide, sizeof wide), &c, &e) == -1);
        CHECK(cases[i].holds, c == NULL && e.code == ERR_INVALID);
        if (!span_starts(span_of(e.text), span_of(where)) || strstr(e.text, cases[i].says) == NULL)
            fail_msg("%s: %s", cases[i].holds, e.text);
    }
}

static void a_line_of_199_bytes_is_whole(void **state)
{
    char         text[256];
    struct conf *c;

    (void)state;
    memset(text, 'x', sizeof text);
    memcpy(text, "[store]\nurl=", 12);
    text[8 + 199] = '\n';
    assert_int_equal(load(span_make(text, 8 + 200), &c, NULL), 0);
    assert_int_equal(strlen(conf_settings(c)->store.url), 199 - 4);
    conf_free(&c);
}

static void a_file_of_continuations_stays_within_bounds(void **state)
{
    struct buf   b;
    struct conf *c;
    struct err   e;

    (void)state;
    buf_init(&b, 1 << 20);
    buf_puts(&b, "[store]\nurl = x\n");
    for (int i = 0; i < 50000; i++)
        buf_puts(&b, " y\n");
    assert_int_equal(load(buf_span(&b), &c, &e), -1);
    assert_non_null(strstr(e.text, "too long"));
    buf_fini(&b);
}

/* The example is the table; so it must load, and mean what an empty file means. */
static void the_printed_example_loads_and_changes_nothing(void **state)
{
    struct conf *c;
    struct err   e = ERR_INIT;
    struct buf   b, set;
    struct span  rest, line;

    (void)state;
    buf_init(&b, 1 << 20);
    buf_init(&set, 1 << 20);
    conf_print_example(&b);
    for (rest = buf_span(&b); span_line(&rest, &line);) {
        if (span_starts(line, SPAN("#")) && !span_starts(line, SPAN("# ")))
            line = span_skip(line, 1);
        buf_printf(&set, "%.*s\n", SPAN_ARG(line));
    }
    if (load(buf_span(&set), &c, &e) < 0)
        fail_msg("%s", e.text);
    assert_string_equal(conf_settings(c)->portal.listen, "127.0.0.1:8080");
    assert_int_equal(conf_settings(c)->rulesd.scanner.n, 0);
    conf_free(&c);
    buf_fini(&b);
    buf_fini(&set);
}

static void every_row_has_a_sentence_and_a_field(void **state)
{
    (void)state;
    for (size_t i = 0; i < conf_nrows; i++) {
        CHECK(conf_rows[i].key, conf_rows[i].help[strlen(conf_rows[i].help) - 1] == '.' ||
                                    span_ends(span_of(conf_rows[i].help), SPAN("…")));
        CHECK(conf_rows[i].key, conf_rows[i].offset < sizeof(struct settings));
        for (size_t j = 0; j < i; j++)
            CHECK(conf_rows[i].key, conf_rows[i].offset != conf_rows[j].offset);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_file_runs_on_defaults),
        cmocka_unit_test(a_missing_file_is_an_error_unless_it_is_the_default),
        cmocka_unit_test(every_kind_of_value_arrives),
        cmocka_unit_test(a_mistake_is_named_with_its_line_and_its_cure),
        cmocka_unit_test(a_line_of_199_bytes_is_whole),
        cmocka_unit_test(a_file_of_continuations_stays_within_bounds),
        cmocka_unit_test(the_printed_example_loads_and_changes_nothing),
        cmocka_unit_test(every_row_has_a_sentence_and_a_field),
    };

    return cmocka_run_group_tests(tests, make_file, remove_file);
}

/* What is known of a held message's findings: by the log, and by the scan that stopped an earlier release. */
#include "custody/known.h"

#include <string.h>

#include "check.h"

static struct arena arena;

static const struct {
    const char       *holds, *log, *stopped;
    enum finding_kind gravest;
    const char       *names;
} cases[] = {
    {"spam alone", "[{\"name\":\"BAYES_SPAM\",\"score\":5}]", "", FINDING_NONE, ""},
    {"a file type in the log", "[{\"name\":\"MIME_BAD_EXTENSION\",\"score\":4}]", "", FINDING_ATTACHMENT,
     "MIME_BAD_EXTENSION"},
    {"one that only the release found", "[]", "[{\"name\":\"MIME_BAD_EXTENSION\",\"options\":[\"exe\"]}]",
     FINDING_ATTACHMENT, "MIME_BAD_EXTENSION"},
    {"the gravest counts", "[{\"name\":\"MIME_BAD\"}]", "[{\"name\":\"CLAM_VIRUS\",\"options\":[\"Eicar\"]}]",
     FINDING_VIRUS, "MIME_BAD, CLAM_VIRUS"},
    {"and is named once", "[{\"name\":\"MIME_BAD\"}]", "[{\"name\":\"MIME_BAD\"}]", FINDING_ATTACHMENT, "MIME_BAD"},
    {"what is no list", "[{", "nonsense", FINDING_NONE, ""},
};

static void what_stopped_a_release_is_known_from_then_on(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct store_release row = {.n = 1};
        struct known         k;

        strcpy(row.found, cases[i].stopped);
        known_read(span_of(cases[i].log), &row, false, NULL, &arena, &k);
        CHECK(cases[i].holds, k.gravest == cases[i].gravest && span_is(k.names, cases[i].names));
        known_read(span_of(cases[i].stopped), NULL, false, NULL, &arena, &k);
    }
}

static void a_scan_is_kept_as_it_will_be_read(void **unused)
{
    const struct span           option = SPAN("\"Ei\ncar\"");
    const struct rspamd_symbol  symbols[] = {{.name = SPAN("BAYES_SPAM")},
                                             {.name = SPAN("CLAM_VIRUS"), .options = &option, .noptions = 1},
                                             {.name = SPAN("MIME_BAD")}};
    const struct scanner_answer answer = {.reply = {.symbols = symbols, .nsymbols = COUNT(symbols)}};
    struct store_release        row = {.n = 1};
    struct known                k;

    (void)unused;
    known_keep(&answer, NULL, &row);
    known_read(SPAN("[]"), &row, false, NULL, &arena, &k);
    assert_int_equal(k.gravest, FINDING_VIRUS);
    assert_true(span_is(k.names, "CLAM_VIRUS, MIME_BAD"));
    assert_true(lift_covers(&k.lift, &symbols[1], false, NULL) && lift_covers(&k.lift, &symbols[2], false, NULL));
    assert_false(lift_covers(&k.lift, &symbols[0], false, NULL));
}

static void of_too_many_some_are_kept_whole(void **unused)
{
    static struct rspamd_symbol symbols[300];
    struct scanner_answer       answer = {.reply = {.symbols = symbols, .nsymbols = COUNT(symbols)}};
    struct store_release        row = {.n = 1};
    struct known                k;

    (void)unused;
    for (size_t i = 0; i < COUNT(symbols); i++)
        symbols[i].name = SPAN("MIME_BAD_EXTENSION");
    known_keep(&answer, NULL, &row);
    known_read(SPAN("[]"), &row, false, NULL, &arena, &k);
    assert_int_equal(k.gravest, FINDING_ATTACHMENT);
}

static int begin(void **unused)
{
    (void)unused;
    arena_init(&arena, 1 << 20);
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
        cmocka_unit_test(what_stopped_a_release_is_known_from_then_on),
        cmocka_unit_test(a_scan_is_kept_as_it_will_be_read),
        cmocka_unit_test(of_too_many_some_are_kept_whole),
    };

    return cmocka_run_group_tests(tests, begin, end);
}

/* What is decided about a held message's findings, and what that covers at its release. */
#include "scan/lift.h"

#include <stdio.h>

#include "check.h"
#include "scan/findings.h"

#define SYMBOLS_MAX 40

/* A symbol is "NAME" or "NAME=option;option". */
static size_t symbols_of(const char *text, struct rspamd_symbol out[SYMBOLS_MAX], struct span options[SYMBOLS_MAX])
{
    struct span rest = span_of(text), word;
    size_t      n = 0, used = 0;

    while (span_next(&rest, ' ', &word) && word.n > 0) {
        size_t      at = span_chr(word, '=');
        struct span list = span_skip(word, at + 1), one;

        out[n] = (struct rspamd_symbol){.name = span_head(word, at), .options = &options[used], .score = 5};
        while (list.n > 0 && span_next(&list, ';', &one)) {
            options[used++] = one;
            out[n].noptions++;
        }
        n++;
    }
    return n;
}

static const char            *listed[] = {"OURS"};
static const struct conf_list more = {listed, 1};

static struct lift lift_of(const char *text, bool spamd)
{
    struct rspamd_symbol symbols[SYMBOLS_MAX];
    struct span          options[SYMBOLS_MAX];
    struct lift          l = {0};

    lift_add(&l, symbols, symbols_of(text, symbols, options), spamd, &more);
    return l;
}

static const struct {
    const char *holds, *decided, *found;
    bool        spamd, covered;
} cases[] = {
    {"the file type that was decided about", "MIME_BAD_EXTENSION", "MIME_BAD_EXTENSION", false, true},
    {"by whichever symbol the filter calls it", "MIME_BAD_EXTENSION", "CLAM_VIRUS_MACRO", false, true},
    {"but not what is no file type", "MIME_BAD_EXTENSION", "MIME_BAD", false, false},
    {"and no virus", "MIME_BAD_EXTENSION", "CLAM_VIRUS=Eicar", false, false},
    {"the virus that was confirmed", "CLAM_VIRUS=Eicar", "CLAM_VIRUS=Eicar", false, true},
    {"not a new one", "CLAM_VIRUS=Eicar", "CLAM_VIRUS=Emotet", false, false},
    {"nor a new one beside it", "CLAM_VIRUS=Eicar", "CLAM_VIRUS=Eicar;Emotet", false, false},
    {"nor that of another engine", "CLAM_VIRUS=Eicar", "FPROT_VIRUS=Eicar", false, false},
    {"nor one without a name", "CLAM_VIRUS=Eicar", "CLAM_VIRUS", false, false},
    {"of several some are left", "CLAM_VIRUS=Eicar;Emotet", "CLAM_VIRUS=Emotet", false, true},
    {"a filter that names none is taken at its symbol", "CLAMAV", "CLAMAV", true, true},
    {"a virus does not let a file type go", "CLAM_VIRUS=Eicar", "MIME_BAD_EXTENSION", false, false},
    {"a site's own symbol", "OURS=x", "OURS=y", false, true},
    {"and nothing else of the site's", "MIME_BAD", "OURS", false, false},
    {"geography", "RELAYCOUNTRY_BAD", "RELAYCOUNTRY_MED", true, true},
    {"what is not protected is nobody's to lift", "BAYES_SPAM", "BAYES_SPAM", false, false},
    {"nothing was decided", "", "MIME_BAD", false, false},
};

static void a_decision_covers_what_was_there_to_be_seen(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct lift          l = lift_of(cases[i].decided, cases[i].spamd), again;
        struct rspamd_symbol symbols[SYMBOLS_MAX];
        struct span          options[SYMBOLS_MAX];
        struct buf           text;

        symbols_of(cases[i].found, symbols, options);
        CHECK(cases[i].holds, lift_covers(&l, &symbols[0], cases[i].spamd, &more) == cases[i].covered);
        buf_init(&text, LIFT_TEXT_MAX);
        lift_put(&text, &l);
        CHECK(cases[i].holds, lift_read(buf_span(&text), &again));
        CHECK("the same by its text", lift_covers(&again, &symbols[0], cases[i].spamd, &more) == cases[i].covered);
        buf_fini(&text);
    }
}

static void only_so_many_are_lifted_and_the_rest_stays(void **unused)
{
    struct lift          l = {0}, read;
    struct rspamd_symbol s = {.name = SPAN("CLAM_VIRUS"), .noptions = 1};
    struct buf           text;
    char                 name[8];

    (void)unused;
    for (int i = 0; i < 2 * LIFT_EXACT_MAX; i++) {
        struct span option = span_make(name, (size_t)snprintf(name, sizeof name, "V%d", i));

        s.options = &option;
        lift_add(&l, &s, 1, false, NULL);
        lift_add(&l, &s, 1, false, NULL);
        CHECK(name, lift_covers(&l, &s, false, NULL) == (i < LIFT_EXACT_MAX));
    }
    l.families = 1u << FAMILY_FILE_TYPE | 1u << FAMILY_MIME | 1u << FAMILY_GEOGRAPHY;
    buf_init(&text, LIFT_TEXT_MAX);
    lift_put(&text, &l);
    CHECK("the longest there is fits", !text.failed && lift_read(buf_span(&text), &read) && read.n == LIFT_EXACT_MAX);
    buf_fini(&text);
}

static void what_reads_otherwise_lifts_nothing(void **unused)
{
    static const char *const bad[] = {"everything",
                                      "file_type,",
                                      ",",
                                      "file_type,all",
                                      "virus",
                                      "virus:",
                                      "virus:0123456789ABCDEF",
                                      "virus:0123456789abcde",
                                      "virus:0123456789abcdef0",
                                      "file_type:0123456789abcdef",
                                      "listed",
                                      " mime"};
    struct lift              l;

    (void)unused;
    for (size_t i = 0; i < COUNT(bad); i++)
        CHECK(bad[i], !lift_read(span_of(bad[i]), &l) && l.families == 0 && l.n == 0);
    assert_true(lift_read(SPAN(""), &l));
    assert_true(lift_read(SPAN_NONE, &l));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_decision_covers_what_was_there_to_be_seen),
        cmocka_unit_test(only_so_many_are_lifted_and_the_rest_stays),
        cmocka_unit_test(what_reads_otherwise_lifts_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

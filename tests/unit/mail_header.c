/* tests/unit/mail_header.c - twin of lib/mail/header.c. */
#include "mail/header.h"

#include "mail.h"

/* Each field as name=body, joined by '|'; then '>' and what is left for the body. */
static const struct {
    const char *holds, *block, *fields;
} cases[] = {
    {"two fields and a body", "A: 1\r\nB: 2\r\n\r\nbody", "A= 1|B= 2>body"},
    {"LF alone", "A: 1\nB: 2\n\nbody", "A= 1|B= 2>body"},
    {"both mixed", "A: 1\r\nB: 2\n\r\nbody", "A= 1|B= 2>body"},
    {"a folded field", "A: 1\r\n 2\r\n\t3\r\nB: 4\r\n\r\n", "A= 1\r\n 2\r\n\t3|B= 4>"},
    {"blanks before the colon", "A \t: 1\n\n", "A= 1>"},
    {"an empty field", "A:\nB:\n\n", "A=|B=>"},
    {"a field of blanks", "A:\n \nB: 2\n\n", "A=\n |B= 2>"},
    {"no body", "A: 1\r\nB: 2\r\n", "A= 1|B= 2>"},
    {"no line end", "A: 1", "A= 1>"},
    {"no header", "\nbody", ">body"},
    {"text alone", "Hello world\n\nbody", ">Hello world\n\nbody"},
    {"nothing", "", ">"},
    {"a line that is no field begins the body", "A: 1\njunk\nB: 2\n\nbody", "A= 1>junk\nB: 2\n\nbody"},
    {"an empty name is no field", "A: 1\n: 2\n", "A= 1>: 2\n"},
    {"an 8-bit name is none", "A: 1\n\xc3\xa4: 2\n", "A= 1>\xc3\xa4: 2\n"},
    {"a blank at the start is none", " A: 1\n", "> A: 1\n"},
    {"a bare CR is not a line end", "A: 1\rB: 2\n\n", "A= 1\rB: 2>"},
    {"CRs before the LF are an empty line", "A: 1\r\n\r\r\nbody", "A= 1>body"},
};

static void a_header_block_falls_into_its_fields(void **unused)
{
    struct arena *a = arena_of_test();

    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct span   rest = span_of(cases[i].block), all = SPAN("");
        struct header h;
        size_t        whole = 0;

        while (header_next(&rest, &h)) {
            all = arena_printf(a, "%.*s%s%.*s=%.*s", SPAN_ARG(all), all.n ? "|" : "", SPAN_ARG(h.name),
                               SPAN_ARG(h.body));
            CHECK(cases[i].holds, h.whole.p == cases[i].block + whole);
            whole += h.whole.n;
        }
        check_text(cases[i].holds, arena_printf(a, "%.*s>%.*s", SPAN_ARG(all), SPAN_ARG(rest)), cases[i].fields);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_block_falls_into_its_fields),
    };

    return cmocka_run_group_tests_name("mail_header", tests, NULL, NULL);
}

/* tests/unit/mail_part.c - twin of lib/mail/part.c, asked through message.h. */
#include "mail/leaf.h"
#include "mail/message.h"

#include "mail.h"

/* Each leaf as depth:type[@filename]{raw}. */
static struct span leaves(struct arena *a, struct message *m)
{
    struct span all = SPAN("");
    size_t      n = message_parts(m, NULL);

    for (size_t i = 0; i < n; i++) {
        const struct message_part *p = message_part_at(m, i);

        all = arena_printf(a, "%.*s%zu:%.*s%s%.*s{%.*s}", SPAN_ARG(all), p->depth, SPAN_ARG(p->type),
                           p->filename.n ? "@" : "", SPAN_ARG(p->filename), SPAN_ARG(p->raw));
    }
    return all;
}

#define MIXED "Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\n"
#define MIXED_LF "Content-Type: multipart/mixed; boundary=b\n\n"

static const struct {
    const char *holds, *raw, *leaves;
} cases[] = {
    {"no type", "A: b\n\nHello\n", "0:text/plain{Hello\n}"},
    {"a single leaf", "Content-Type: text/html; x=y\n\n<b>\n", "0:text/html{<b>\n}"},
    {"two leaves", MIXED "pre\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: image/png\r\n\r\ntwo\r\n--b--\r\npost",
     "1:text/plain{one}1:image/png{two}"},
    {"LF alone", MIXED_LF "--b\n\none\n--b\n\ntwo\n--b--\n", "1:text/plain{one}1:text/plain{two}"},
    {"mixed line ends", MIXED "--b\n\r\none\n--b\r\n\ntwo\r\n--b--", "1:text/plain{one}1:text/plain{two}"},
    {"only the last line end is the boundary's", MIXED_LF "--b\n\none\n\n--b--\n", "1:text/plain{one\n}"},
    {"no closing boundary", MIXED_LF "--b\n\none\n--b\n\ntwo\n", "1:text/plain{one}1:text/plain{two\n}"},
    {"blanks behind a boundary", MIXED_LF "--b  \t\r\n\none\n--b-- \n", "1:text/plain{one}"},
    {"a longer line is no boundary", MIXED_LF "--b\n\none\n--bb\n--b x\n--b--\n", "1:text/plain{one\n--bb\n--b x}"},
    {"dashes within a line are none", MIXED_LF "--b\n\none --b\n --b\n--b--\n", "1:text/plain{one --b\n --b}"},
    {"an empty leaf", MIXED_LF "--b\n\n--b\n--b--\n", "1:text/plain{}1:text/plain{}"},
    {"a boundary right in the header", MIXED_LF "--b\nContent-Type: image/png\n--b\n\nx\n--b--\n",
     "1:image/png{}1:text/plain{x}"},
    {"a boundary that looks like a field",
     "Content-Type: multipart/mixed; boundary=\"b: c\"\n\n--b: c\n--b: c\n\nx\n--b: c--\n",
     "1:text/plain{}1:text/plain{x}"},
    {"nested",
     MIXED_LF "--b\nContent-Type: multipart/alternative; "
              "boundary=c\n\n--c\n\none\n--c\n\ntwo\n--c--\nepilogue\n--b\n\nthree\n--b--",
     "2:text/plain{one}2:text/plain{two}1:text/plain{three}"},
    {"nested, not closed",
     MIXED_LF "--b\nContent-Type: multipart/alternative; boundary=c\n\n--c\n\none\n--b\n\nthree\n--b--",
     "2:text/plain{one}1:text/plain{three}"},
    {"the same boundary inside",
     MIXED_LF "--b\nContent-Type: multipart/alternative; boundary=b\n\n--b\n\none\n--b--\n--b\n\ntwo\n--b--",
     "2:text/plain{one}1:text/plain{two}"},
    {"a boundary that begins another",
     MIXED_LF "--b\nContent-Type: multipart/mixed; boundary=b--\n\n--b--\n\none\n--b----\n--b\n\ntwo",
     "2:text/plain{one}1:text/plain{two}"},
    {"a message", "Content-Type: message/rfc822\n\nSubject: x\n\nHello\n",
     "0:message/rfc822{Subject: x\n\nHello\n}1:text/plain{Hello\n}"},
    {"a message in a multipart",
     MIXED_LF "--b\nContent-Type: message/rfc822\n\nContent-Type: text/html\n\nHello\n--b\n\nx\n--b--",
     "1:message/rfc822{Content-Type: text/html\n\nHello}2:text/html{Hello}1:text/plain{x}"},
    {"a multipart in a message in a multipart",
     MIXED_LF "--b\nContent-Type: message/rfc822\n\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\nx\n--b--",
     "1:message/rfc822{Content-Type: multipart/mixed; boundary=c\n\n--c\n\nx}3:text/plain{x}"},
    {"an encoded message is not looked into", "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nAAAA",
     "0:message/rfc822{AAAA}"},
    {"a digest", "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\nHello\n--b--",
     "1:message/rfc822{Subject: x\n\nHello}2:text/plain{Hello}"},
    {"a digest of something else",
     "Content-Type: multipart/digest; boundary=b\n\n--b\nContent-Type: text/html\n\nHello\n--b--",
     "1:text/html{Hello}"},
    {"a multipart without boundary is text", "Content-Type: multipart/mixed\n\nHello", "0:text/plain{Hello}"},
    {"a multipart with an empty one too", "Content-Type: multipart/mixed; boundary=\"\"\n\nHello",
     "0:text/plain{Hello}"},
    {"a multipart whose boundary never comes", MIXED_LF "Hello\n--c\n", "0:text/plain{Hello\n--c\n}"},
    {"such a one inside", MIXED_LF "--b\nContent-Type: multipart/mixed; boundary=c\n\nHello\n--b--",
     "1:text/plain{Hello}"},
    {"the first of two types counts", "Content-Type: text/html\nContent-Type: image/png\n\nx", "0:text/html{x}"},
    {"a boundary in pieces", "Content-Type: multipart/mixed; boundary*0=a; boundary*1=b\n\n--ab\n\nx\n--ab--",
     "1:text/plain{x}"},
    {"a folded type", "Content-Type: multipart/mixed;\r\n\tboundary=\"b\"\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n",
     "1:text/plain{x}"},
    {"file names",
     MIXED_LF "--b\nContent-Type: application/pdf; name=a.pdf\n\nx\n--b\nContent-Disposition: attachment; "
              "filename*=utf-8''%C3%B6.txt\n\ny\n--b--",
     "1:application/pdf@a.pdf{x}1:text/plain@\xc3\xb6.txt{y}"},
    {"a header without body", "Content-Type: image/png\n", "0:image/png{}"},
    {"nothing", "", "0:text/plain{}"},
};

static void a_message_falls_into_its_leaves(void **unused)
{
    struct arena *a = arena_of_test();

    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct message *m = message_open(span_of(cases[i].raw), a);

        check_text(cases[i].holds, leaves(a, m), cases[i].leaves);
        CHECK(cases[i].holds, message_limit(m) == NULL);
    }
}

static void an_attachment_has_a_name_or_says_so_or_is_a_message(void **unused)
{
    static const struct {
        const char *raw;
        bool        attachment, detached;
    } leaf[] = {
        {"A: b\n\n", false, false},
        {"Content-Type: image/png\n\n", false, false},
        {"Content-Type: image/png; name=x.png\n\n", true, false},
        {"Content-Disposition: inline; filename=x.png\n\n", true, false},
        {"Content-Disposition: ATTACHMENT\n\n", true, true},
        {"Content-Type: message/rfc822\n\n", true, false},
        {"Content-Type: message/global\n\n", true, false},
        {"Content-Type: message/delivery-status\n\n", false, false},
    };
    struct arena *a = arena_of_test();

    (void)unused;
    for (size_t i = 0; i < COUNT(leaf); i++) {
        const struct message_part *p = message_part_at(message_open(span_of(leaf[i].raw), a), 0);

        CHECK(leaf[i].raw, p->attachment == leaf[i].attachment);
        CHECK(leaf[i].raw, p->detached == leaf[i].detached);
    }
}

static struct span nested(struct arena *a, size_t depth)
{
    size_t cap = depth * 80 + 64, n = 0;
    char  *p = arena_alloc(a, cap);

    for (size_t i = 0; i < depth; i++)
        n += (size_t)snprintf(p + n, cap - n, "Content-Type: multipart/mixed; boundary=b%zu\n\n--b%zu\n", i, i);
    n += (size_t)snprintf(p + n, cap - n, "\ndeep\n");
    return span_make(p, n);
}

static void fifty_levels_are_read_and_a_thousand_answered(void **unused)
{
    struct arena   *a = arena_of_test();
    struct message *m = message_open(nested(a, MESSAGE_DEPTH_MAX), a);
    bool            limit_hit;

    (void)unused;
    check_text("fifty", leaves(a, m), "50:text/plain{deep\n}");
    assert_null(message_limit(m));
    m = message_open(nested(a, 1000), a);
    WITHIN_MS("a thousand", 20, message_parts(m, &limit_hit));
    assert_true(limit_hit);
    assert_int_equal(message_parts(m, NULL), 1);
    assert_string_equal(message_limit(m), "depth");
}

static void what_lies_behind_a_deep_part_is_still_found(void **unused)
{
    struct arena   *a = arena_of_test();
    struct span     deep = nested(a, 60);
    struct message *m = message_open(arena_printf(a, "%.*s--b0\n\nlast\n--b0--\n", SPAN_ARG(deep)), a);

    (void)unused;
    assert_int_equal(message_parts(m, NULL), 2);
    check_text("last", message_part_at(m, 1)->raw, "last");
}

static void a_thousand_parts_are_listed_and_no_more(void **unused)
{
    struct arena   *a = arena_of_test();
    struct span     all = repeated(a, "--b\n\nx\n", MESSAGE_PARTS_MAX);
    struct message *m = message_open(arena_printf(a, MIXED_LF "%.*s--b--\n", SPAN_ARG(all)), a);
    bool            limit_hit;

    (void)unused;
    assert_int_equal(message_parts(m, &limit_hit), MESSAGE_PARTS_MAX);
    assert_false(limit_hit);
    m = message_open(arena_printf(a, MIXED_LF "%.*s--b\n\ny\n", SPAN_ARG(all)), a);
    assert_int_equal(message_parts(m, &limit_hit), MESSAGE_PARTS_MAX);
    assert_true(limit_hit);
    assert_string_equal(message_limit(m), "parts");
}

/* Which leaves are spare, an s each; a dash for the others. */
static void of_the_forms_of_an_alternative_the_last_with_a_text_is_shown(void **unused)
{
#define PART(type) "--b\nContent-Type: " type "\n\nx\n"
#define WITHIN(kind, boundary) "--b\nContent-Type: multipart/" kind "; boundary=" boundary "\n\n"
    static const struct {
        const char *holds, *kind, *inside, *spare;
    } forms[] = {
        {"two forms", "alternative", PART("text/plain") PART("text/html") "--b--", "s-"},
        {"what is no alternative stands beside", "mixed", PART("text/plain") PART("text/html") "--b--", "--"},
        {"a form that is no text replaces none", "alternative", PART("text/plain") PART("text/calendar") "--b--", "--"},
        {"HTML with its pictures", "alternative",
         PART("text/plain") WITHIN(
             "related", "r") "--r\nContent-Type: text/html\n\nx\n--r\nContent-Type: image/gif\n\nx\n--r--\n--b--",
         "s--"},
        {"a form of two texts", "alternative",
         WITHIN("mixed", "m") "--m\n\nx\n--m\n\ny\n--m--\n" PART("text/html") "--b--", "ss-"},
        {"what follows the alternative stays", "mixed",
         WITHIN("alternative", "a") "--a\n\nx\n--a\nContent-Type: text/html\n\nx\n--a--\n" PART("text/plain") "--b--",
         "s--"},
        {"three forms", "alternative", PART("text/plain") PART("text/html") PART("text/html") "--b--", "ss-"},
        {"an attached text replaces none", "alternative", PART("text/plain") PART("text/html; name=a.html") "--b--",
         "--"},
    };

    (void)unused;
    for (size_t i = 0; i < COUNT(forms); i++) {
        struct arena    a;
        struct message *m;
        struct span     found = SPAN(""), raw;

        arena_init(&a, 1 << 20);
        raw = arena_printf(&a, "Content-Type: multipart/%s; boundary=b\n\n%s", forms[i].kind, forms[i].inside);
        m = message_open(raw, &a);
        for (size_t at = 0; at < message_parts(m, NULL); at++)
            found = arena_printf(&a, "%.*s%s", SPAN_ARG(found), message_part_at(m, at)->spare ? "s" : "-");
        CHECK(forms[i].holds, span_is(found, forms[i].spare));
        arena_fini(&a);
    }
}

static void a_leaf_knows_by_what_name_others_refer_to_it(void **unused)
{
    struct arena   *a = arena_of_test();
    struct message *m = message_open(
        SPAN(MIXED_LF "--b\nContent-ID: (x) <logo@here>\nContent-ID: <two>\n\n--b\nContent-Id: none\n\n--b--\n"), a);

    (void)unused;
    assert_int_equal(message_parts(m, NULL), 2);
    check_text("the first counts", message_part_at(m, 0)->id, "logo@here");
    check_text("without brackets there is none", message_part_at(m, 1)->id, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_falls_into_its_leaves),
        cmocka_unit_test(an_attachment_has_a_name_or_says_so_or_is_a_message),
        cmocka_unit_test(fifty_levels_are_read_and_a_thousand_answered),
        cmocka_unit_test(what_lies_behind_a_deep_part_is_still_found),
        cmocka_unit_test(a_thousand_parts_are_listed_and_no_more),
        cmocka_unit_test(of_the_forms_of_an_alternative_the_last_with_a_text_is_shown),
        cmocka_unit_test(a_leaf_knows_by_what_name_others_refer_to_it),
    };

    mail_init();
    return cmocka_run_group_tests_name("mail_part", tests, NULL, NULL);
}

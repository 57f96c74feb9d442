/* What people forward as attachments, as mail programs write it. */
#include "mail/attached.h"
#include "mail/leaf.h"

#include "mail.h"

/* The subject of each attached message, in order; or why there is none. */
static struct span subjects(struct span raw)
{
    struct arena   *a = arena_of_test();
    struct message *m = message_open(raw, a);
    struct span     list[ATTACHED_MAX], all = SPAN("");
    struct err      e = ERR_INIT;
    int             n = attached_messages(m, a, list, &e);

    if (n < 0)
        return arena_printf(a, "%s", e.text);
    for (int i = 0; i < n; i++) {
        struct message *one = message_open(list[i], a);
        size_t          at = 0;
        bool            clean;

        message_header_next(one, SPAN("Subject"), &at);
        all = arena_printf(a, "%.*s%.*s;", SPAN_ARG(all),
                           SPAN_ARG(at > 0 ? message_header_text(one, at - 1, &clean) : SPAN("?")));
    }
    return all;
}

#define MIXED "From: anna@ours.example\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nSee below.\n"
#define RFC822 "--b\nContent-Type: message/rfc822\n"
#define LETTER(subject) "From: x@shop.example\nDate: Sun, 22 Nov 2026 03:00:00 +0000\nSubject: " subject "\n\nBuy.\n"
#define OCTETS "--b\nContent-Type: application/octet-stream\nContent-Disposition: attachment; filename="

static const struct {
    const char *holds, *raw, *subjects;
} cases[] = {
    {"one message", MIXED RFC822 "\n" LETTER("one") "--b--\n", "one;"},
    {"several", MIXED RFC822 "\n" LETTER("one") RFC822 "\n" LETTER("two") "--b--\n", "one;two;"},
    {"the message that is all there is", "From: a@b\nContent-Type: message/rfc822\n\n" LETTER("one"), "one;"},
    {"deeper, behind a text in two forms",
     "Content-Type: multipart/alternative; boundary=a\n\n--a\n\nx\n--a\n" MIXED RFC822
     "\n" LETTER("one") "--b--\n--a--\n",
     "one;"},
    {"a digest",
     "Content-Type: multipart/digest; boundary=b\n\n--b\n\n" LETTER("one") "--b\n\n" LETTER("two") "--b--\n",
     "one;two;"},
    {"in base64", MIXED RFC822 "Content-Transfer-Encoding: base64\n\nRnJvbTogeApTdWJqZWN0OiBjb2RlZAoKQnV5Cg==\n--b--\n",
     "coded;"},
    {"a file of bytes that is one", MIXED OCTETS "x.bin\n\n" LETTER("one") "--b--\n", "one;"},
    {"a file of that name, in base64",
     MIXED "--b\nContent-Type: text/plain; name=\"Spam.EML\"\nContent-Transfer-Encoding: base64\n\n"
           "RnJvbTogeApTdWJqZWN0OiBjb2RlZAoKQnV5Cg==\n--b--\n",
     "coded;"},
    {"of an mbox", MIXED OCTETS "x.eml\n\nFrom x Sun Nov 22\n" LETTER("one") "--b--\n", "one;"},
    {"a file of bytes that is none", MIXED OCTETS "x.bin\n\nSome: thing\nElse: y\n\nFrom: x\n--b--\n", ""},
    {"a text that looks like one is a text", MIXED "--b\nContent-Type: text/plain\n\n" LETTER("one") "--b--\n", ""},
    {"damage",
     MIXED RFC822 "Content-Transfer-Encoding: base64\n\nRnJv!!!\n--b\nContent-Type: message/rfc822\n\nno\n"
                  "--b\nContent-Type: message/rfc822\n\n--b--\n",
     ""},
    {"what an attached one holds itself is its own affair",
     MIXED RFC822 "\nFrom: x\nSubject: outer\nContent-Type: multipart/mixed; boundary=c\n\n--c\nContent-Type: "
                  "message/rfc822\n\n" LETTER("inner") "--c--\n" RFC822 "\n" LETTER("two") "--b--\n",
     "outer;two;"},
    {"an encoded one is not looked into",
     MIXED RFC822
     "Content-Transfer-Encoding: quoted-printable\n\nFrom: x\nSubject: outer\nContent-Type: message/rfc822\n\n"
     "Subject: inner\n\nx\n--b--\n",
     "outer;"},
    {"nothing", "From: a@b\n\nFrom: x\nSubject: y\n", ""},
};

static void messages_of_the_first_level_are_found(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++)
        check_text(cases[i].holds, subjects(span_of(cases[i].raw)), cases[i].subjects);
}

static void too_many_or_too_deep_is_refused_as_a_whole(void **unused)
{
    static const struct {
        size_t      n;
        const char *subjects; /* NULL: all of them */
    } many[] = {
        {ATTACHED_MAX, NULL},
        {ATTACHED_MAX + 1, "more than 50 messages are attached"},
        {1000, "its structure is too much: a limit of parts was reached"},
    };
    struct arena a;

    (void)unused;
    arena_init(&a, 64 << 20);
    for (size_t i = 0; i < COUNT(many); i++) {
        struct span all = repeated(&a, RFC822 "\n" LETTER("x"), many[i].n);

        all = arena_printf(&a, "%s%.*s--b--\n", MIXED, SPAN_ARG(all));
        if (many[i].subjects == NULL)
            CHECK("as many as there may be", subjects(all).n == 2 * many[i].n);
        else
            check_text("too many", subjects(all), many[i].subjects);
    }
    check_text("a bomb", subjects(repeated(&a, "Content-Type: message/rfc822\n\n", 100)),
               "its structure is too much: a limit of depth was reached");
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_of_the_first_level_are_found),
        cmocka_unit_test(too_many_or_too_deep_is_refused_as_a_whole),
    };

    mail_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}

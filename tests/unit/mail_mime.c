/* tests/unit/mail_mime.c - twin of lib/mail/mime.c. */
#include "mail/mime.h"

#include "mail.h"

static void the_value_stands_before_the_parameters(void **unused)
{
    static const struct {
        const char *body, *value;
    } cases[] = {
        {" Text/PLAIN; charset=x", "text/plain"},
        {"\r\n text/html", "text/html"},
        {"(a comment) base64", "base64"},
        {"text/plain (a; b); x=y", "text/plain"},
        {"", ""},
        {";x=y", ""},
        {"text/plain charset=utf-8", "text/plain"},
        {"(((((open", ""},
    };
    struct arena *a = arena_of_test();

    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++)
        check_text(cases[i].body, mime_value(span_of(cases[i].body), a), cases[i].value);
}

static void a_type_has_two_halves(void **unused)
{
    static const char *const good[] = {"text/plain", "application/vnd.ms-excel.sheet+xml", "x/y"};
    static const char *const bad[] = {"", "text", "text/", "/plain", "a/b/c", "a/b@c", "a/b c", "a/\xc3\xa4"};

    (void)unused;
    for (size_t i = 0; i < COUNT(good); i++)
        CHECK(good[i], mime_is_type(span_of(good[i])));
    for (size_t i = 0; i < COUNT(bad); i++)
        CHECK(bad[i], !mime_is_type(span_of(bad[i])));
}

static const struct {
    const char *holds, *body, *name, *value;
    bool        clean;
} params[] = {
    {"a token", "text/plain; charset=UTF-8", "charset", "UTF-8", true},
    {"in quotes", "text/plain; charset=\"utf-8\"", "charset", "utf-8", true},
    {"case does not count", "text/plain; CHARSET=utf-8", "charset", "utf-8", true},
    {"blanks around", "text/plain ;\r\n charset = utf-8 ; x=y", "charset", "utf-8", true},
    {"a comment behind", "text/plain; charset=us-ascii (plain)", "charset", "us-ascii", true},
    {"a comment in front", "text/plain; (x) charset=us-ascii", "charset", "us-ascii", true},
    {"absent", "text/plain; x=y", "charset", "", true},
    {"no value", "text/plain; charset", "charset", "", true},
    {"the first of two", "text/plain; a=1; a=2", "a", "1", true},
    {"a longer name is another", "text/plain; charsets=x; charset=y", "charset", "y", true},
    {"a semicolon in quotes", "text/plain; x=\"a;charset=b\"; charset=c", "charset", "c", true},
    {"escapes", "multipart/mixed; boundary=\"a\\\"b\\\\c\"", "boundary", "a\"b\\c", true},
    {"a folded quoted string", "multipart/mixed; boundary=\"a\r\n b\"", "boundary", "a b", true},
    {"an open quote", "multipart/mixed; boundary=\"ab", "boundary", "ab", true},
    {"empty parameters", "text/plain;;; ;charset=x;", "charset", "x", true},
    {"an empty value", "text/plain; charset=; x=y", "charset", "", true},
    {"pieces", "multipart/mixed; boundary*0=ab; boundary*1=cd", "boundary", "abcd", true},
    {"pieces out of order", "multipart/mixed; boundary*1=cd; boundary*0=\"ab\"", "boundary", "abcd", true},
    {"a missing piece ends it", "x/y; name*0=a; name*2=c", "name", "a", false},
    {"without the first there is nothing", "x/y; name*1=b; name=c", "name", "c", false},
    {"extended", "x/y; name*=utf-8''J%C3%B6rg", "name", "J\xc3\xb6rg", true},
    {"extended with a language", "x/y; name*=iso-8859-1'de'J%F6rg", "name", "J\xc3\xb6rg", true},
    {"extended before plain", "x/y; name=plain; name*=utf-8''ext", "name", "ext", true},
    {"extended pieces", "x/y; name*0*=utf-8''J%C3; name*1*=%B6r; name*2=g%41", "name", "J\xc3\xb6rg%41", true},
    {"an unknown charset", "x/y; name*=x-klingon''%F6", "name", "\xc3\xb6", false},
    {"bad percents", "x/y; name*=utf-8''a%ZZ", "name", "a%ZZ", false},
    {"folded without quotes", "x/y; name*=utf-8''a\r\n\tb; x=y", "name", "a\tb", true},
    {"no charset at all", "x/y; name*=abc", "name", "abc", true},
    {"an index of no sense", "x/y; name*9999999999=a; name*x=b; name=c", "name", "c", true},
};

static void a_parameter_is_found_and_put_together(void **unused)
{
    struct arena *a = arena_of_test();

    (void)unused;
    for (size_t i = 0; i < COUNT(params); i++) {
        bool        clean = !params[i].clean;
        struct span v = mime_param(span_of(params[i].body), params[i].name, true, a, &clean);

        check_text(params[i].holds, v, params[i].value);
        CHECK(params[i].holds, clean == params[i].clean);
    }
}

static const struct {
    const char *holds, *disposition, *type, *filename;
    bool        clean;
} names[] = {
    {"a file name", "attachment; filename=a.pdf", "", "a.pdf", true},
    {"of the type, if there is no other", "attachment", "application/pdf; name=\"a b.pdf\"", "a b.pdf", true},
    {"filename before name", "attachment; filename=a.pdf", "application/pdf; name=b.pdf", "a.pdf", true},
    {"blanks without quotes", "attachment; filename=my file (1).pdf; size=3", "", "my file (1).pdf", true},
    {"encoded words", "attachment; filename=\"=?utf-8?Q?J=C3=B6rg=2Epdf?=\"", "", "J\xc3\xb6rg.pdf", true},
    {"encoded words in a folded string", "attachment; filename=\"=?utf-8?Q?a?=\r\n =?utf-8?Q?b.pdf?=\"", "", "ab.pdf",
     true},
    {"encoded words in pieces", "x; filename*0=\"=?utf-8?Q?a\"; filename*1=\"b?=.pdf\"", "", "ab.pdf", true},
    {"RFC 2231", "attachment; filename*=utf-8''J%C3%B6rg.pdf", "", "J\xc3\xb6rg.pdf", true},
    {"raw UTF-8", "attachment; filename=\"J\xc3\xb6rg.pdf\"", "", "J\xc3\xb6rg.pdf", true},
    {"raw Latin 1", "attachment; filename=\"J\xf6rg.pdf\"", "", "J\xc3\xb6rg.pdf", false},
    {"a path", "attachment; filename=\"../../etc/passwd\"", "", "passwd", true},
    {"a Windows path", "attachment; filename=\"C:\\dir\\evil.exe\"", "", "evil.exe", true},
    {"a path by percent", "attachment; filename*=utf-8''%2e%2e%2Fevil.exe", "", "evil.exe", true},
    {"control characters go", "attachment; filename*=utf-8''evil.exe%00.%0D", "", "evil.exe.", true},
    {"blanks at the end go", "attachment; filename=\"evil.exe  \"", "", "evil.exe", true},
    {"none", "inline", "text/plain", "", true},
    {"an empty one", "attachment; filename=\"\"", "text/plain; name=\"\"", "", true},
    {"a directory is none", "attachment; filename=\"dir/\"", "x/y; name=b.txt", "b.txt", true},
    {"an unknown charset in it", "attachment; filename=\"=?x-klingon?Q?a?=.pdf\"", "", "=?x-klingon?Q?a?=.pdf", false},
};

static void a_file_name_reads_as_a_mail_reader_would_save_it(void **unused)
{
    struct arena *a = arena_of_test();

    (void)unused;
    for (size_t i = 0; i < COUNT(names); i++) {
        bool        clean = !names[i].clean;
        struct span v = mime_filename(span_of(names[i].disposition), span_of(names[i].type), a, &clean);

        check_text(names[i].holds, v, names[i].filename);
        CHECK(names[i].holds, clean == names[i].clean);
    }
}

static void hostile_fields_take_linear_time(void **unused)
{
    static const char *const pieces[] = {
        ";",  "(",    "(;",    "; a=\"", "; name=x",           "; name*1=x", "; name*0*=%41",
        "\\", "; \"", "; a=(", "=",      "; name*255=xxxxxxxx"};

    (void)unused;
    for (size_t i = 0; i < COUNT(pieces); i++) {
        struct arena *a = arena_of_test();
        struct span   s = repeated(a, pieces[i], (64u << 10) / strlen(pieces[i]));
        bool          clean;

        WITHIN_MS(pieces[i], 30, mime_value(s, a); mime_filename(s, s, a, &clean));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_value_stands_before_the_parameters),
        cmocka_unit_test(a_type_has_two_halves),
        cmocka_unit_test(a_parameter_is_found_and_put_together),
        cmocka_unit_test(a_file_name_reads_as_a_mail_reader_would_save_it),
        cmocka_unit_test(hostile_fields_take_linear_time),
    };

    return cmocka_run_group_tests_name("mail_mime", tests, NULL, NULL);
}

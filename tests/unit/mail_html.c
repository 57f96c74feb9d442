/* tests/unit/mail_html.c - twin of lib/mail/html.c. */
#include "mail/html.h"

#include "mail.h"

static const struct {
    const char *holds, *html, *seen;
} cases[] = {
    {"text", "Hello", "Hello"},
    {"nothing", "", ""},
    {"tags go", "<html><body><b>Hello</b> <i>world</i></body></html>", "Hello world"},
    {"inline tags part no words", "Via<b>g</b>ra", "Viagra"},
    {"white space runs together", "  a \r\n\t b  ", "a b"},
    {"no-break spaces too", "a&nbsp;&nbsp;\xc2\xa0 b", "a b"},
    {"blocks are lines", "<p>a</p><div>b</div>c<br>d<li>e", "a\nb\nc\nd\ne"},
    {"cells are words", "<table><tr><td>a</td><td>b</td></tr><tr><td>c</table>", "a b\nc"},
    {"scripts go", "a<script>if (1 < 2) alert('</b>x')</script>b", "ab"},
    {"styles go", "a<style>p { color: red }</style >b", "ab"},
    {"an end that is no end", "a<script>x</scripty>y</script>b", "ab"},
    {"a script without end takes all", "a<script>b", "a"},
    {"the title goes", "<head><title>T</title></head>a", "a"},
    {"a head without end hides nothing", "<head><title>T</title><p>a", "a"},
    {"comments go", "a<!-- x --> b<!-->c<!--->d<!-- <p> --!>e", "a bcde"},
    {"a comment without end takes all", "a<!-- b", "a"},
    {"declarations go", "<!DOCTYPE html><?xml x?><![if !mso]>a<![endif]></ x>b", "ab"},
    {"a lone bracket is text", "1 < 2 <3 and a<", "1 < 2 <3 and a<"},
    {"references", "&lt;&amp;&gt;&quot;&euro;&auml;&apos;", "<&>\"\xe2\x82\xac\xc3\xa4'"},
    {"references without semicolon", "&ltb&ampc &copy2 &eurox",
     "<b&c \xc2\xa9"
     "2 &eurox"},
    {"numeric references", "&#65;&#x42;&#X43;&#68", "ABCD"},
    {"numeric references to windows-1252", "&#150;", "\xe2\x80\x93"},
    {"numbers that are no characters", "&#0;&#xD800;&#99999999999;", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    {"no references", "& &; &# &#; &#x; &nosuch; a&b", "& &; &# &#; &#x; &nosuch; a&b"},
    {"zero width",
     "V&#8203;i&shy;a\xe2\x80\x8dg&zwnj;r\xef\xbb\xbf"
     "a&ZeroWidthSpace;",
     "Viagra"},
    {"a control character by reference", "a&#1;b",
     "a\x01"
     "b"},
    {"hidden", "a<span hidden>x</span>b", "ab"},
    {"display:none", "a<span style=\"display:none\">x<b>y</b></span>b", "ab"},
    {"written oddly", "a<SPAN sTyLe='color:red; DISPLAY : None !important'>x</SPAN>b", "ab"},
    {"with a comment and references", "a<i style='display/* */&#58;n&#111;ne'>x</i>b", "ab"},
    {"without quotes", "a<i style=display:none>x</i>b", "ab"},
    {"the last one counts", "a<i style='display:none;display:inline'>x</i>b", "axb"},
    {"the first style counts", "a<i style='display:none' style=''>x</i>b", "ab"},
    {"visibility:hidden", "a<i style='visibility:hidden'>x<u style='visibility:visible'>y</u></i>b", "ayb"},
    {"font-size:0", "a<i style='font-size:0px'>x<u style='font-size:12px'>y</u><u style='font-size:2em'>z</u></i>b",
     "ayb"},
    {"font-size:0.0em", "a<i style='font-size:0.0em'>x</i>b", "ab"},
    {"font-size:0.5em is seen", "a<i style='font-size:0.5em'>x</i>b", "axb"},
    {"font-size:10px is seen", "a<i style='font-size:10px'>x</i>b", "axb"},
    {"opacity:0", "a<i style='opacity:0'>x<u style='opacity:1'>y</u></i>b", "ab"},
    {"opacity:0.5 is seen", "a<i style='opacity:.5'>x</i>b", "axb"},
    {"a template", "a<template>x</template>b", "ab"},
    {"void elements hide nothing", "<img style='display:none'><br hidden><input hidden>a", "a"},
    {"a paragraph ends at the next", "<p style='display:none'>x<p>a", "a"},
    {"or at a block, through what is inside it", "<p style='display:none'>x<b><div>a</div>", "a"},
    {"an item ends at the next", "<ul><li style='display:none'>x<li>a</ul>", "a"},
    {"a cell ends at the next", "<table><tr><td style='display:none'>x<td>a<tr><td>b", "a\nb"},
    {"a row ends at the next", "<table><tr style='display:none'><td>x<tr><td>a", "a"},
    {"an end without a start is nothing", "a</div></b></table>b", "a\nb"},
    {"a stray end does not leave its cell", "<div hidden><table><td>x</div>y</table></div>a", "a"},
    {"a hidden body", "<body style='display:none'>x", ""},
    {"text behind the end of the body", "<body>a</body></html>b", "a\nb"},
    {"a quote without end takes all", "a<b title=\"x>y", "a"},
    {"brackets in quotes", "<b title='a>b'>c</b>", "c"},
    {"a slash in a tag", "<br/>a<img src=x/>b", "ab"},
    {"attributes of no sense", "<b =\"x\" / = y>a", "a"},
    {"bad UTF-8", "a\xff<b>b",
     "a\xef\xbf\xbd"
     "b"},
    {"a tag cut off", "a<b", "a"},
};

static void people_see_the_text_and_nothing_else(void **unused)
{
    struct arena *a = arena_of_test();

    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++)
        check_text(cases[i].holds, html_seen(span_of(cases[i].html), a), cases[i].seen);
}

static void nul_bytes_do_not_part_words(void **unused)
{
    (void)unused;
    check_text("NUL", html_seen(SPAN("Via\0gra"), arena_of_test()), "Viagra");
}

/* Whatever HTML 4 names, and each name alone: a table that is not sorted would lose some. */
static void each_named_character_is_known(void **unused)
{
    static const struct {
        const char *name;
        uint32_t    cp;
    } names[] = {{"AElig", 0xC6},    {"Tab", 9},         {"alefsym", 0x2135}, {"zwnj", 0x200C},   {"thetasym", 0x3D1},
                 {"quot", 34},       {"nbsp", 0xA0},     {"yuml", 0xFF},      {"Yuml", 0x178},    {"hearts", 0x2665},
                 {"sup1", 0xB9},     {"frac14", 0xBC},   {"lang", 0x2329},    {"there4", 0x2234}, {"OElig", 0x152},
                 {"epsilon", 0x3B5}, {"Epsilon", 0x395}, {"or", 0x2228}};
    struct arena *a = arena_of_test();

    (void)unused;
    for (size_t i = 0; i < COUNT(names); i++) {
        char        want[5] = "", *w = want;
        struct span seen = html_seen(arena_printf(a, "[&%s;]", names[i].name), a);

        w[utf8_put(names[i].cp, want)] = 0;
        if (names[i].cp == 9 || names[i].cp == 0xA0)
            check_text(names[i].name, seen, "[ ]");
        else if (names[i].cp == 0x200C)
            check_text(names[i].name, seen, "[]");
        else
            check_text(names[i].name, seen, arena_printf(a, "[%s]", want).p);
    }
}

static void hostile_html_takes_linear_time(void **unused)
{
    static const struct {
        const char *holds, *piece;
    } pieces[] = {
        {"nested elements", "<div>"},
        {"nested paragraphs in spans", "<span><p>"},
        {"ends", "</x>"},
        {"starts of comments", "<!-"},
        {"open comments", "<!--"},
        {"starts of scripts", "<script>"},
        {"ends of scripts", "</script"},
        {"brackets", "<"},
        {"ampersands", "&"},
        {"long references", "&aaaaaaaaaaaaaaaa"},
        {"long numbers", "&#1111111111111111"},
        {"quotes", "<a b='"},
        {"attributes", "<a b c d e f g"},
        {"styles", "<a style='display:none;font-size:0'>"},
        {"open css comments", "<a style='/*/*/*'>"},
        {"zero width", "\xe2\x80\x8b"},
        {"cells", "<table><td>"},
        {"items", "<ul><li>"},
    };

    (void)unused;
    for (size_t i = 0; i < COUNT(pieces); i++) {
        struct arena *a = arena_of_test();
        struct span   s = repeated(a, pieces[i].piece, (1u << 20) / strlen(pieces[i].piece)), out;

        WITHIN_MS(pieces[i].holds, 300, out = html_seen(s, a));
        CHECK(pieces[i].holds, out.n <= s.n && utf8_valid(out));
    }
}

static void a_hidden_element_far_down_does_not_hide_what_follows(void **unused)
{
    struct arena *a = arena_of_test();
    struct span   deep = repeated(a, "<b>", 1000);

    (void)unused;
    check_text("closed above the limit", html_seen(arena_printf(a, "<div hidden>x%.*s</div>a", SPAN_ARG(deep)), a),
               "a");
    check_text("beyond the limit all is seen", html_seen(arena_printf(a, "%.*s<i hidden>a</i>", SPAN_ARG(deep)), a),
               "a");
}

static void a_full_arena_gives_nothing(void **unused)
{
    struct span  big = repeated(arena_of_test(), "abc ", 10000);
    struct arena small;

    (void)unused;
    arena_init(&small, 4096);
    assert_null(html_seen(big, &small).p);
    arena_fini(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(people_see_the_text_and_nothing_else),
        cmocka_unit_test(nul_bytes_do_not_part_words),
        cmocka_unit_test(each_named_character_is_known),
        cmocka_unit_test(hostile_html_takes_linear_time),
        cmocka_unit_test(a_hidden_element_far_down_does_not_hide_what_follows),
        cmocka_unit_test(a_full_arena_gives_nothing),
    };

    return cmocka_run_group_tests_name("mail_html", tests, NULL, NULL);
}

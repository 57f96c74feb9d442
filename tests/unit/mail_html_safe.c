/* tests/unit/mail_html_safe.c - twin of lib/mail/html_safe.c. Whatever is written also passes the reader of the fuzz target. */
#include "mail/html_safe.h"

#include "../fuzz/html_check.h"
#include "mail.h"

#define GIF "GIF89a"
#define HOST(name) " <bdi class=\"host\">[" name "]</bdi>"
#define LINK(text, name) "<u>" text "</u>" HOST(name)
#define NO_PICTURE "<i class=\"picture\">[picture]</i>"

static struct span picture(void *ctx, struct span content_id)
{
    int *asked = ctx;

    *asked += 1;
    if (span_is(content_id, "logo@here"))
        return SPAN(GIF);
    return span_is(content_id, "evil@here") ? SPAN("<svg xmlns='http://www.w3.org/2000/svg' onload='x()'/>")
                                            : SPAN_NONE;
}

/* The inside of <body>. */
static struct span body_of(const char *holds, struct span html, struct arena *a)
{
    struct buf  out;
    struct span all;
    int         asked = 0;
    const char *wrong;

    buf_init(&out, (size_t)8 << 20);
    html_safe(&html, 1, picture, &asked, a, &out);
    all = arena_dup(a, buf_span(&out));
    buf_fini(&out);
    if ((wrong = html_wrong(all)) != NULL)
        fail_msg("%s: %s: %.*s", holds, wrong, SPAN_ARG(all));
    all = span_skip(all, span_find(all, SPAN("<body>\n")) + 7);
    return span_head(all, all.n - HTML_CHECK_END.n);
}

static const struct {
    const char *holds, *html, *body;
} kept[] = {
    {"text", "Hello & co", "Hello &amp; co"},
    {"structure", "<h1>T</h1><p>a <b>b</b><br>c</p><ul><li>x<li>y</ul>",
     "<h1>T</h1><p>a <b>b</b><br>c</p><ul><li>x</li><li>y</li></ul>"},
    {"tables", "<TABLE WIDTH='100%' cellpadding=0><tr><td bgcolor=#fff colspan=2>a<td>b</table>c",
     "<table width=\"100%\" cellpadding=\"0\"><tr><td bgcolor=\"#fff\" colspan=\"2\">a</td><td>b</td></tr></table>c"},
    {"harmless style", "<p style='Color: RED; font: 12px/1.5 \"Segoe UI\", Arial; background:rgb(1,2,3)'>x",
     "<p style=\"color:red;font:12px/1.5 segoe ui, arial;background:rgb(1,2,3);\">x</p>"},
    {"the body's colours", "<html><body bgcolor=black style='color:white'>x</body></html>",
     "<div bgcolor=\"black\" style=\"color:white;\">x</div>"},
    {"references", "&euro; &#x41; &lt;b&gt;", "\xe2\x82\xac A &lt;b&gt;"},
    {"paragraphs that end by themselves", "<p>a<p>b<div>c</div>", "<p>a</p><p>b</p><div>c</div>"},
    {"a picture of the message", "<img src=cid:logo@here alt='Our logo' width=80>",
     "<img width=\"80\" src=\"data:image/gif;base64,R0lGODlh\" alt=\"Our logo\">"},
    {"a picture of its own", "<img src='data:image/gif;base64,R0lG\nODlh'>",
     "<img src=\"data:image/gif;base64,R0lGODlh\" alt=\"\">"},
    {"what a button says", "<form><button>Pay</button></form>", "Pay"},
    {"a link shows where it leads", "<a href='https://evil.example/x?bank.example'>www.bank.example</a>",
     LINK("www.bank.example", "evil.example")},
    {"a link without an end", "<p><a href=http://evil.example>x</p>y", "<p>" LINK("x", "evil.example") "</p>y"},
    {"a place in the mail", "<a href='#top'>up</a> <a name=x>here</a>", "<u>up</u> <u>here</u>"},
    {"an address of mail", "<a href='mailto:pay%40evil.example?subject=x'>us</a>", LINK("us", "pay@evil.example")},
};

static const struct {
    const char *holds, *html, *body;
} attacks[] = {
    /* what runs */
    {"a script", "a<script>alert(1)</script>b", "ab"},
    {"a script in capitals, with blanks", "a<SCRIPT\n\t>alert(1)</ScRiPt \n>b", "ab"},
    {"a script with a slash", "a<script/x>alert(1)</script>b", "ab"},
    {"a script that hides in a script", "<scr<script>ipt>alert(1)</script>", "ipt&gt;alert(1)"},
    {"a script without its end", "a<script>alert(1)", "a"},
    {"half a script at the end", "a<script", "a"},
    {"half an attribute at the end", "a<b onclick=\"alert(1)", "a<b></b>"},
    {"half a comment at the end", "a<!-- <script>", "a"},
    {"a lone bracket", "a < b <", "a &lt; b &lt;"},
    {"handlers", "<b onclick=alert(1) ONMOUSEOVER='x' on\tx=y onx>a</b>", "<b>a</b>"},
    {"a handler behind a slash", "<b/onclick=alert(1)>a</b>", "<b>a</b>"},
    {"a handler behind a quote", "<b title=\"x\"onclick=\"alert(1)\">a</b>", "<b title=\"x\">a</b>"},
    {"a handler by a form feed", "<b\x0conclick=alert(1)>a</b>", "<b>a</b>"},
    {"a handler on a picture", "<img src=x onerror=alert(1)>", NO_PICTURE},
    {"a handler in backquotes", "<img src=`x` onerror=`alert(1)`>", NO_PICTURE},
    {"a picture without its end", "<img src=x onerror=alert(1)", NO_PICTURE},
    {"a handler on the body", "<body onload=alert(1)>a", "<div>a</div>"},
    {"javascript as a link", "<a href=javascript:alert(1)>x</a>", LINK("x", "javascript:")},
    {"javascript with references", "<a href='&#106;&#x61;v&#97;script&colon;alert(1)'>x</a>", LINK("x", "javascript:")},
    {"javascript with white space inside", "<a href='java\tscr\nipt:alert(1)'>x</a>", LINK("x", "javascript:")},
    {"javascript behind control characters", "<a href='\x01 javascript:alert(1)'>x</a>", LINK("x", "javascript:")},
    {"vbscript and data as links", "<a href='vbscript:x'>x</a><a href='data:text/html,<script>alert(1)</script>'>y</a>",
     LINK("x", "vbscript:") LINK("y", "data:")},
    {"formaction", "<button formaction=javascript:alert(1)>x</button><input type=image src=http://x>", "x"},
    {"an area", "<map><area href=javascript:alert(1)></map>x", "x"},
    {"a base", "<base href=http://evil.example/>x", "x"},
    {"a refresh", "<meta http-equiv=refresh content='0;url=http://evil.example'>x", "x"},
    {"a charset", "<meta charset=utf-7>+ADw-script+AD4-alert(1)+ADw-/script+AD4-",
     "+ADw-script+AD4-alert(1)+ADw-/script+AD4-"},
    {"a style sheet from elsewhere", "<link rel=stylesheet href=http://evil.example/x.css>x", "x"},
    {"a style sheet", "<style>@import 'http://evil.example';b{background:url(http://x)}</style>x", "x"},
    {"a style sheet with an end inside", "<style>a{content:'</style><img src=x onerror=alert(1)>'}</style>",
     NO_PICTURE "&#39;}"},
    {"frames",
     "<iframe src=http://evil.example srcdoc='<script>x</script>'>y</iframe><frameset><frame src=x></frameset>z", "z"},
    {"objects", "<object data=x.swf><embed src=x><param name=a value=b>inside</object><applet code=x>y</applet>",
     "insidey"},
    {"media", "<video poster=http://x src=http://y onerror=alert(1)><source src=http://z></video><audio src=http://x>a",
     "a"},
    /* what mutates */
    {"svg with a script", "a<svg><script>alert(1)</script></svg>b", "ab"},
    {"svg with a handler", "a<svg/onload=alert(1)>b", "a"},
    {"svg with a link", "<svg><a xlink:href=javascript:alert(1)><text>x</text></a></svg>y", "y"},
    {"svg with a foreign object", "<svg><foreignObject><img src=x onerror=alert(1)></foreignObject></svg>y",
     NO_PICTURE "y"},
    {"svg with a style that ends in an attribute",
     "<svg><style><img alt='</style><img src=x onerror=alert(1)>'></svg>y", NO_PICTURE "&#39;&gt;y"},
    {"svg that is left by a paragraph", "<svg><p>a<style><g title='</style><img src=x onerror=alert(1)>'>",
     "<p>a" NO_PICTURE "&#39;&gt;</p>"},
    {"math with a table",
     "<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=1 onerror=alert(1)&gt;\">",
     "<table>" NO_PICTURE "</table>"},
    {"math with an annotation",
     "<math><annotation-xml encoding='text/html'><script>alert(1)</script></annotation-xml></math>y", "y"},
    {"a form in a form", "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>", ""},
    {"CDATA", "<![CDATA[<script>alert(1)</script>]]>x", "alert(1)]]&gt;x"},
    {"CDATA in svg", "<svg><![CDATA[><img src=x onerror=alert(1)>]]></svg>y", NO_PICTURE "]]&gt;y"},
    {"a comment that ends early", "<!--><img src=x onerror=alert(1)>-->", NO_PICTURE "--&gt;"},
    {"a comment that ends oddly", "<!-- --!><img src=x onerror=alert(1)>-->", NO_PICTURE "--&gt;"},
    {"a comment in a condition", "<!--[if gte IE 4]><script>alert(1)</script><![endif]-->x", "x"},
    {"a condition without a comment", "<![if true]><script>alert(1)</script><![endif]>x", "x"},
    {"a processing instruction", "<?xml-stylesheet href='javascript:alert(1)'?>x<?php echo 1 ?>y", "xy"},
    {"noscript", "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>x</noscript>",
     "<p title=\"&lt;/noscript&gt;&lt;img src=x onerror=alert(1)&gt;\">x</p>"},
    {"a template", "<template><script>alert(1)</script><img src=x></template>y", "y"},
    {"a title", "<title><img src=x onerror=alert(1)></title>y", "y"},
    {"a textarea", "<textarea></textarea><img src=x onerror=alert(1)></textarea>", NO_PICTURE},
    {"xmp and plaintext", "<xmp><b></xmp><plaintext><img src=x onerror=alert(1)>", "<b>" NO_PICTURE "</b>"},
    {"noembed and noframes", "<noembed><img src=x></noembed><noframes><b onclick=x></noframes>y", "y"},
    {"a select", "<select><option><style></select><img src=x onerror=alert(1)></style></option>y", "y"},
    {"an element nobody knows", "<x-y onclick=alert(1) style='behavior:url(x)'>a</x-y>", "a"},
    {"names with brackets inside", "<b<script>alert(1)</b<script>", "alert(1)"},
    {"markup in attributes", "<b title='&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;'>a</b>",
     "<b title=\"&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;\">a</b>"},
    {"markup in an alternative text", "<img alt='\"><script>alert(1)</script>' src=x>",
     "<i class=\"picture\">[&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;]</i>"},
    {"nested quotes", "<b title='a\"b' lang=\"de' onclick=x\">a</b>", "<b title=\"a&quot;b\">a</b>"},
    {"references in a name", "<b &#111;nclick=alert(1)>a</b>", "<b>a</b>"},
    {"references that make a tag", "&lt;script&gt;alert(1)&lt;/script&gt;", "&lt;script&gt;alert(1)&lt;/script&gt;"},
    {"references twice", "&amp;lt;script&amp;gt;", "&amp;lt;script&amp;gt;"},
    {"ends that begin nothing", "</table></div></body></html></script>a</b", "a"},
    {"our own end in the mail", "</body></html><script>x</script>y", "y"},
    {"our own class", "<bdi class=host id=a>[bank.example]</bdi>", "<bdi>[bank.example]</bdi>"},
    /* what loads */
    {"pictures from elsewhere", "<img src=http://evil.example/x.png alt=Logo><img src='//evil.example/x'>",
     "<i class=\"picture\">[Logo]</i>" NO_PICTURE},
    {"pictures by other attributes", "<img srcset='http://x 2x' lowsrc=http://x dynsrc=http://x longdesc=http://x>",
     NO_PICTURE},
    {"a picture and its sources", "<picture><source srcset=http://evil.example/x.webp><img src=x></picture>",
     NO_PICTURE},
    {"pixels", "<img src=http://evil.example/x width=1 height=1><img height='0' src=x>a", "a"},
    {"backgrounds", "<table background=http://evil.example/x><td background='y'>a</table>",
     "<table><td>a</td></table>"},
    {"a data: picture that is svg", "<img src='data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9eD4='>", NO_PICTURE},
    {"a data: picture that says it is png", "<img src='data:image/png;base64,PHN2ZyBvbmxvYWQ9eD4='>", NO_PICTURE},
    {"a data: picture that is html", "<img src='data:text/html;base64,PGI+'><img src='data:image/gif,GIF89a'>",
     NO_PICTURE NO_PICTURE},
    {"a data: picture with more in it", "<img src='data:image/gif;base64,R0lGODlh\" onerror=\"alert(1)'>", NO_PICTURE},
    {"a part that is no picture", "<img src=cid:evil@here><img src=cid:none@here>", NO_PICTURE NO_PICTURE},
    {"url() in a style", "<p style='background:url(http://x);background-image:url(x);list-style:url(x)'>a",
     "<p style=\"\">a</p>"},
    {"url() with escapes", "<p style='background:\\75rl(http://x);background:\\000075\\72\\6c(x);b\\61 ckground:red'>a",
     "<p style=\"\">a</p>"},
    {"url() with references", "<p style='background:&#117;rl&#40;http://x)'>a", "<p style=\"\">a</p>"},
    {"url() with comments", "<p style='background:u/**/rl(http://x);color:red/*'>a", "<p style=\"\">a</p>"},
    {"image-set and the like", "<p style='background:image-set(\"x\" 1x);background:image(x);background:var(--x)'>a",
     "<p style=\"\">a</p>"},
    {"expression", "<p style='width:expression(alert(1));-moz-binding:url(x);behavior:url(x)'>a",
     "<p style=\"\">a</p>"},
    {"@import in a style", "<p style='@import url(x);color:red;{x:y}'>a", "<p style=\"color:red;\">a</p>"},
    {"a declaration in a string", "<p style='font-family:\"a;position:fixed;top:0;b\";color:red'>a",
     "<p style=\"font-family:a;color:red;\">a</p>"},
    {"a style that leaves its attribute", "<p style='color:red\"><script>alert(1)</script>'>a", "<p style=\"\">a</p>"},
    /* what deceives */
    {"laying one thing over another", "<p style='position:absolute;top:0;margin:-9px;float:left;transform:scale(9)'>a",
     "<p style=\"\">a</p>"},
    {"text that nobody sees", "<p style='opacity:0;text-indent:-9999px;filter:blur(9px)'>a", "<p style=\"\">a</p>"},
    {"a name before the host", "<a href='https://bank.example@evil.example/'>x</a>", LINK("x", "evil.example")},
    {"backslashes", "<a href='https:\\\\evil.example\\@bank.example/'>x</a>", LINK("x", "evil.example")},
    {"no slashes", "<a href='https:evil.example'>x</a><a href='//evil.example/y'>y</a>",
     LINK("x", "evil.example") LINK("y", "evil.example")},
    {"a host in disguise", "<a href='http://%65vil%2Eexample/'>x</a>", LINK("x", "evil.example")},
    {"a host that looks like another", "<a href='http://b\xd0\xb0nk.example/'>x</a>", LINK("x", "xn--bnk-6cd.example")},
    {"a host that is none", "<a href='http://a]\xe2\x80\xae\"<b>/'>x</a>", LINK("x", "a]???&quot;&lt;b&gt;")},
    {"the second address counts for nobody", "<a href=http://one.example href=http://two.example>x</a>",
     LINK("x", "one.example")},
    {"a link in a link", "<a href=http://one.example>x<a href=http://two.example>y</a></a>",
     "<u>x" LINK("y", "two.example") "</u>" HOST("one.example")},
};

static void what_is_harmless_stays(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(kept); i++)
        check_text(kept[i].holds, body_of(kept[i].holds, span_of(kept[i].html), arena_of_test()), kept[i].body);
}

static void what_runs_loads_or_deceives_goes(void **unused)
{
    (void)unused;
    assert_true(COUNT(attacks) >= 60);
    for (size_t i = 0; i < COUNT(attacks); i++)
        check_text(attacks[i].holds, body_of(attacks[i].holds, span_of(attacks[i].html), arena_of_test()),
                   attacks[i].body);
}

static void bytes_that_are_no_text_come_out_as_text(void **unused)
{
    struct arena *a = arena_of_test();

    (void)unused;
    check_text("NUL", body_of("NUL", SPAN("<scr\0ipt>a</scr\0ipt>b\0c"), a), "abc");
    check_text("overlong", body_of("overlong", SPAN("\xc0\xbcscript\xc0\xbe"), a),
               "\xef\xbf\xbd\xef\xbf\xbdscript\xef\xbf\xbd\xef\xbf\xbd");
    check_text("a quote cut off", body_of("cut", SPAN("<b title=\"\xe2\x82\">a"), a),
               "<b title=\"\xef\xbf\xbd\xef\xbf\xbd\">a</b>");
    check_text("controls",
               body_of("controls",
                       SPAN("a\x1b[31m\x7f\xc2\x9b"
                            "b&#27;&#0;"),
                       a),
               "a[31mb\xef\xbf\xbd");
    check_text("an attribute with a NUL", body_of("attribute", SPAN("<b on\0click=x st\0yle=y>a"), a), "<b>a</b>");
}

static void depth_is_bounded_and_everything_is_closed(void **unused)
{
    static const char *const pieces[] = {"<div>", "<b><i>",      "<table><tr><td>", "<a href=http://x.example>",
                                         "<svg>", "<p><ul><li>", "</div>",          "<template>"};
    struct arena            *a = arena_of_test();

    (void)unused;
    for (size_t i = 0; i < COUNT(pieces); i++)
        WITHIN_MS(pieces[i], 2000, body_of(pieces[i], repeated(a, pieces[i], 100000), a));
}

static void size_and_time_are_bounded(void **unused)
{
    static const char *const pieces[] = {"&euro;",
                                         "<a href=http://x>y</a>",
                                         "<img src=cid:logo@here>",
                                         "'",
                                         "<b style='color:red'>x</b>",
                                         "<!--",
                                         "<",
                                         "<div><table><tr><td></div>",
                                         "<a b=",
                                         "&",
                                         "<style>"};
    struct arena            *a = arena_of_test();

    (void)unused;
    for (size_t i = 0; i < COUNT(pieces); i++) {
        a = arena_of_test();
        WITHIN_MS(pieces[i], 3000,
                  body_of(pieces[i], repeated(a, pieces[i], HTML_SAFE_INPUT_MAX / strlen(pieces[i])), a));
    }
}

static void pictures_are_bounded_in_number_and_size(void **unused)
{
    struct arena *a = arena_of_test();
    struct span   html = repeated(a, "<img src=cid:logo@here>", HTML_SAFE_PICTURES_MAX + 50), big;
    struct buf    out;
    int           asked = 0;

    (void)unused;
    buf_init(&out, (size_t)8 << 20);
    html_safe(&html, 1, picture, &asked, a, &out);
    assert_int_equal(asked, HTML_SAFE_PICTURES_MAX);
    buf_fini(&out);
    big = arena_printf(a, "<img src='data:image/gif;base64,R0lGODlh%.*s'>", SPAN_ARG(repeated(a, "AAAA", 250000)));
    check_text("a large one", body_of("large", big, a), NO_PICTURE);
}

static void it_says_when_something_was_left_out(void **unused)
{
    struct arena *a = arena_of_test();
    struct span   parts[2] = {SPAN("<b>one"), SPAN("two")}, long_one = repeated(a, "x", HTML_SAFE_MAX);
    struct buf    out;

    (void)unused;
    buf_init(&out, (size_t)8 << 20);
    assert_true(html_safe(parts, 2, NULL, NULL, a, &out));
    assert_true(span_find(buf_span(&out), SPAN("<b>one</b><hr>\ntwo")) < out.n);
    buf_clear(&out);
    assert_false(html_safe(&long_one, 1, NULL, NULL, a, &out));
    assert_true(out.n <= HTML_SAFE_MAX + 2048 && html_wrong(buf_span(&out)) == NULL);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_harmless_stays),
        cmocka_unit_test(what_runs_loads_or_deceives_goes),
        cmocka_unit_test(bytes_that_are_no_text_come_out_as_text),
        cmocka_unit_test(depth_is_bounded_and_everything_is_closed),
        cmocka_unit_test(size_and_time_are_bounded),
        cmocka_unit_test(pictures_are_bounded_in_number_and_size),
        cmocka_unit_test(it_says_when_something_was_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

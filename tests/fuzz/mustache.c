/* A template is compiled or refused with a place that exists; what is compiled renders within its bounds, twice alike, and no markup of the
 * data gets through where all is escaped. An input is a template, a zero byte, and the template that each partial means.
 * Aims at lib/mail/mustache_compile.c and lib/mail/mustache.c. */
#include "mail/mustache.h"

#include "mail.h"

#define OUT_MAX ((size_t)1 << 16)
#define HOSTILE "\x01<&>\"'\x01" /* a byte that no template here holds marks what came from the data */

static struct span without_marks(struct span s, struct arena *a)
{
    struct span copy = arena_dup(a, s);

    for (size_t i = 0; i < copy.n; i++)
        if (copy.p[i] == '\x01')
            ((char *)(uintptr_t)copy.p)[i] = ' ';
    return copy;
}

static const struct mustache *find(void *ctx, struct span name)
{
    REQUIRE(name.n > 0);
    return ctx;
}

static struct mustache_value *some_data(struct arena *a)
{
    static const char *const names[] = {"a", "b", "c"};
    struct mustache_value   *v = mustache_new(a), *list = mustache_put_list(a, v, "l"), *in = v;

    for (int i = 0; i < 4; i++)
        in = mustache_put_object(a, in, names[i % 3]);
    for (size_t i = 0; i < COUNT(names); i++) {
        struct mustache_value *item = mustache_put_object(a, list, NULL);

        mustache_put_list(a, item, names[i]);
        mustache_put_number(a, item, "n", (int64_t)i - 1);
        mustache_put_str(a, item, "t", HOSTILE);
    }
    mustache_put_str(a, list, NULL, HOSTILE);
    mustache_put_bool(a, v, "y", true);
    mustache_put_str(a, v, "t", HOSTILE);
    return v;
}

static struct mustache *compile(struct span source, enum mustache_mode mode)
{
    struct err       e = ERR_INIT;
    struct mustache *t = mustache_compile(source, mode, &e);

    if (t == NULL)
        REQUIRE(e.code == ERR_INVALID && e.at < source.n && span_starts(span_of(e.text), SPAN("line ")));
    return t;
}

/* Between two marks there is nothing but the escaped text; an odd mark breaks off at the end. */
static void check_escaped(struct span out)
{
    static const char whole[] = "&lt;&amp;&gt;&quot;&#39;";
    struct span       between;

    while (span_next(&out, '\x01', &between) && out.p != NULL) {
        REQUIRE(span_next(&out, '\x01', &between));
        REQUIRE(out.p == NULL ? span_starts(span_of(whole), between) : span_is(between, whole));
    }
}

static void render(const struct mustache *t, const struct mustache *partial, const struct mustache_value *data,
                   bool escaped)
{
    struct mustache_partials partials = {find, (void *)(uintptr_t)partial};
    struct buf               out, again;
    struct err               e = ERR_INIT;
    int                      rc;

    buf_init(&out, OUT_MAX);
    buf_init(&again, OUT_MAX);
    rc = mustache_render(t, data, partials, &out, &e);
    REQUIRE(rc == 0 || e.code == ERR_LIMIT);
    REQUIRE(mustache_render(t, data, partials, &again, NULL) == rc && span_eq(buf_span(&out), buf_span(&again)));
    if (escaped)
        check_escaped(buf_span(&out));
    buf_fini(&again);
    buf_fini(&out);
}

/* Is there a tag that does not escape, or another beginning of tags? */
static bool asks_for_raw(struct span s)
{
    return span_chr(s, '&') < s.n || span_chr(s, '=') < s.n || span_find(s, SPAN("{{{")) < s.n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena           a;
    struct span            source, rest;
    struct mustache       *html, *plain, *partial;
    struct mustache_value *v;

    arena_init(&a, (size_t)16 << 20);
    rest = without_marks(span_make(data, size), &a);
    v = some_data(&a);
    if (!span_next(&rest, '\0', &source))
        source = SPAN_NONE;
    rest = rest.p != NULL ? rest : SPAN_NONE;
    html = compile(source, MUSTACHE_HTML);
    plain = compile(source, MUSTACHE_PLAIN);
    partial = compile(rest, MUSTACHE_HTML);
    REQUIRE((html == NULL) == (plain == NULL));
    if (html != NULL) {
        render(html, partial, v, !asks_for_raw(source) && !asks_for_raw(rest));
        render(plain, partial, v, false);
    }
    mustache_free(&html);
    mustache_free(&plain);
    mustache_free(&partial);
    arena_fini(&a);
    return 0;
}

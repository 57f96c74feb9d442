/* What the portal believes of a request's head: a path that it accepts can mean nothing else to anybody, what a parameter says survives
 * being encoded and read again, and fields that pass leave no doubt about where the request ends. An input is a target, a line end, and
 * lines of fields.
 * Aims at lib/net/httpd_head.c and lib/net/httpd_encoding.c. */
#include "net/httpd_head.h"

#include "base/utf8.h"
#include "net.h"

static void check_path(struct span path)
{
    REQUIRE(path.n > 0 && path.p[0] == '/' && utf8_valid(path) && httpd_is_clean(path));
    REQUIRE(span_find(path, SPAN("//")) == path.n && span_find(path, SPAN("/./")) == path.n);
    REQUIRE(span_find(path, SPAN("/../")) == path.n && !span_ends(path, SPAN("/..")) && !span_ends(path, SPAN("/.")));
}

/* Every byte as %XX. */
static void put_encoded(struct buf *out, struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        buf_printf(out, "%%%02x", (unsigned char)s.p[i]);
}

static void check_params(const struct httpd_request *r)
{
    static const char *const names[] = {"q", "a b", ""};

    for (size_t i = 0; i < COUNT(names); i++) {
        struct span value = httpd_param(r, r->query, names[i]);
        struct buf  again;

        if (value.p == NULL)
            continue;
        REQUIRE(utf8_valid(value) && memchr(value.p, '\0', value.n) == NULL);
        buf_init(&again, 100000);
        buf_puts(&again, "x=y&q=");
        put_encoded(&again, value);
        REQUIRE(span_eq(httpd_param(r, buf_span(&again), "q"), value));
        buf_fini(&again);
    }
}

static size_t count_named(const struct httpd_head *h, const char *name)
{
    size_t n = 0;

    for (size_t i = 0; i < h->n; i++)
        n += span_is_ci(h->fields[i].name, name);
    return n;
}

static void check_framing(const struct httpd_head *h, bool http11)
{
    struct httpd_framing f;

    if (httpd_head_check(h, http11, &f) != HTTPD_FINE)
        return;
    REQUIRE(count_named(h, "Host") == 1 || (!http11 && count_named(h, "Host") == 0));
    REQUIRE(count_named(h, "Content-Length") + count_named(h, "Transfer-Encoding") <= 1);
    REQUIRE(f.chunked == (count_named(h, "Transfer-Encoding") == 1) && (http11 || !f.chunked));
    REQUIRE(f.follows || (f.length == 0 && !f.chunked));
    for (size_t i = 0; i < h->n; i++)
        REQUIRE(span_chr(h->fields[i].value, '\r') == h->fields[i].value.n && h->fields[i].name.n > 0);
}

static void check_fields(const struct httpd_request *r)
{
    const struct httpd_head *h = r->inside;
    struct span              cookie = httpd_cookie(r, "s");

    REQUIRE(cookie.p == NULL || (count_named(h, "Cookie") > 0 && span_chr(cookie, ';') == cookie.n));
    REQUIRE(httpd_accepts(r) == HTTPD_PLAIN || count_named(h, "Accept-Encoding") > 0);
    for (size_t i = 0; i + 1 < h->n; i++)
        httpd_etag_named(h->fields[i].value, h->fields[i + 1].value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span          rest = span_make(data, size), target = SPAN_NONE, line;
    struct httpd_head    head = {.n = 0};
    struct arena         arena;
    struct httpd_request r = {.arena = &arena, .inside = &head};

    arena_init(&arena, 1 << 20);
    span_line(&rest, &target);
    while (span_line(&rest, &line)) {
        size_t colon = span_chr(line, ':');

        if (!httpd_head_put(&head, span_head(line, colon), span_skip(line, colon + 1)))
            break;
    }
    if (httpd_target_read(target, &arena, &r.path, &r.query) == HTTPD_FINE)
        check_path(r.path);
    check_params(&r);
    check_framing(&head, true);
    check_framing(&head, false);
    check_fields(&r);
    arena_fini(&arena);
    return 0;
}

/* HTTP requests, whole and in pieces. The numbers are those of the conformance table, protocols.md 6.2. */
#include <zstd.h>

#include "base/clock.h"
#include "net.h"
#include "net/http.h"

static const struct wire_limits limits = {
    .body_max = 4096, .head_max = 80 * 1024, .rcpt_max = 100, .headers_max = 1000};

static const char *const method_names[] = {"GET", "HEAD", "POST", "PUT"};

/* All that a caller can learn about a request, as text. */
static void describe(struct buf *out, const struct http_request *r, enum wire_step got, const struct buf *in)
{
    buf_clear(out);
    if (got == WIRE_BAD)
        buf_printf(out, "bad %d %s", r->status, r->error.text);
    if (got == WIRE_MORE)
        buf_puts(out, "more");
    if (got != WIRE_DONE)
        return;
    buf_printf(out, "%s %.*s %d%s\n", method_names[r->method], SPAN_ARG(r->path), r->minor,
               r->keep_alive ? " keep" : "");
    for (size_t i = 0; i < r->nheaders; i++)
        buf_printf(out, "%.*s=%.*s\n", SPAN_ARG(r->headers[i].name), SPAN_ARG(r->headers[i].value));
    buf_printf(out, "[%.*s]", SPAN_ARG(r->body));
    if (in->n > r->used)
        buf_printf(out, " then %.*s", SPAN_ARG(span_skip(buf_span(in), r->used)));
}

/* Feeds `bytes` cut as said, then the end when `eof`; stops at the outcome. */
static void replay(struct buf *outcome, struct span bytes, bool eof, struct cut cut, const struct wire_limits *lim)
{
    struct http_request r;
    struct arena        a;
    struct buf          in, plain;
    enum wire_step      got = WIRE_MORE;
    size_t              at = 0;

    arena_init(&a, 4 << 20);
    buf_init(&in, 4 << 20);
    buf_init(&plain, lim->body_max + 1000);
    http_begin(&r, &a, &plain, lim);
    while (at < bytes.n && got == WIRE_MORE) {
        size_t n = cut_next(cut, at, bytes.n);

        append_moving(&in, span_head(span_skip(bytes, at), n));
        at += n;
        got = http_step(&r, &in, false);
    }
    if (got == WIRE_MORE && eof)
        got = http_step(&r, &in, true);
    describe(outcome, &r, got, &in);
    arena_fini(&a);
    buf_fini(&in);
    buf_fini(&plain);
}

#define MSG "From: a@b.example\r\n\r\nhi\r\n"
#define LEN "Content-Length: 25\r\n"

static const struct {
    const char *holds, *bytes;
    bool        eof;
    const char *outcome;
} cases[] = {
    {"35 a length frames the body", "POST /checkv2 HTTP/1.1\r\nHost: x\r\n" LEN "\r\n" MSG, false,
     "POST /checkv2 1 keep\nHost=x\nContent-Length=25\n[" MSG "]"},
    {"36 chunks frame it too",
     "POST /checkv2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nFrom:\r\n1;x=y\r\n \r\n0003\r\na@b\r\n0\r\n\r\n",
     false, "POST /checkv2 1 keep\nTransfer-Encoding=chunked\n[From: a@b]"},
    {"36 fields behind the chunks are read over",
     "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nFoo: bar\r\nBar: x\r\n\r\n", false,
     "POST / 1 keep\nTransfer-Encoding=chunked\n[a]"},
    {"36 chunks and a length exclude each other",
     "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n1\r\na\r\n0\r\n\r\n", false,
     "bad 400 Content-Length and chunked exclude each other"},
    {"36 a chunk's size is hexadecimal", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", false,
     "bad 400 a chunk's size is not a hexadecimal number"},
    {"36 a chunk's size has no sign", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n+1\r\n", false,
     "bad 400 a chunk's size is not a hexadecimal number"},
    {"36 a chunk's size does not overflow",
     "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000001\r\n", false,
     "bad 400 a chunk's size is not a hexadecimal number"},
    {"36 a chunk's size line ends in CRLF", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n",
     false, "bad 400 a chunk's size line is damaged"},
    {"36 a chunk ends where it says", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
     false, "bad 400 a chunk is longer than its size"},
    {"36 chunks together stay below the limit",
     "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1000\r\n", false,
     "bad 413 the message is too large"},
    {"36 chunked stands alone", "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", false,
     "bad 400 Transfer-Encoding must be chunked, once, and in HTTP/1.1"},
    {"36 chunked stands once", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
     false, "bad 400 Transfer-Encoding must be chunked, once, and in HTTP/1.1"},
    {"36 HTTP/1.0 knows no chunks", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", false,
     "bad 400 Transfer-Encoding must be chunked, once, and in HTTP/1.1"},
    {"37 GET may have a body", "GET /checkv2 HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi", false,
     "GET /checkv2 1 keep\nContent-Length=2\n[hi]"},
    {"37 PUT is as good as POST", "PUT /checkv2 HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi", false,
     "PUT /checkv2 1 keep\nContent-Length=2\n[hi]"},
    {"37 HTTP/1.0 closes unless asked to stay", "GET /ping HTTP/1.0\r\n\r\n", false, "GET /ping 0\n[]"},
    {"37 HTTP/1.0 stays when asked to", "GET /ping HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", false,
     "GET /ping 0 keep\nConnection=Keep-Alive\n[]"},
    {"37 HTTP/1.1 closes when asked to", "GET /ping HTTP/1.1\r\nConnection: TE, close\r\n\r\n", false,
     "GET /ping 1\nConnection=TE, close\n[]"},
    {"38 Expect changes nothing", "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi", false,
     "POST / 1 keep\nExpect=100-continue\nContent-Length=2\n[hi]"},
    {"40 a length has no sign", "POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n", false,
     "bad 400 Content-Length is not a number"},
    {"40 not even a plus", "POST / HTTP/1.1\r\nContent-Length: +5\r\n\r\n", false,
     "bad 400 Content-Length is not a number"},
    {"40 a length is no word", "POST / HTTP/1.1\r\nContent-Length: abc\r\n\r\n", false,
     "bad 400 Content-Length is not a number"},
    {"40 a length fits", "POST / HTTP/1.1\r\nContent-Length: 1180591620717411303424\r\n\r\n", false,
     "bad 400 Content-Length is not a number"},
    {"40 a length above the limit", "POST / HTTP/1.1\r\nContent-Length: 4197\r\n\r\n", false,
     "bad 413 the message is too large"},
    {"41 an empty length", "POST / HTTP/1.1\r\nContent-Length:\r\n\r\n", false,
     "bad 400 Content-Length is not a number"},
    {"41 POST needs one", "POST / HTTP/1.1\r\nHost: x\r\n\r\n", false, "bad 411 Content-Length is missing"},
    {"42 what follows is not the request's", "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi there", false,
     "POST / 1 keep\nContent-Length=2\n[hi]"},
    {"43 an end before the length", "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhi", true,
     "bad 400 the connection closed before the body was complete"},
    {"43 waiting for more", "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhi", false, "more"},
    {"43 an end within a chunk", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhi", true,
     "bad 400 the connection closed before the body was complete"},
    {"44 two equal lengths", "POST / HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi", false,
     "POST / 1 keep\nContent-Length=2\nContent-Length=2\n[hi]"},
    {"44 two different ones", "POST / HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi", false,
     "bad 400 Content-Length is given twice, and differs"},
    {"44 two Host fields", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", false, "GET / 1 keep\nHost=a\nHost=b\n[]"},
    {"45 no blank line and the end", "GET / HTTP/1.1\r\nHost: a\r\n", true,
     "bad 0 the connection closed before the head was complete"},
    {"45 nothing and the end", "", true, "bad 0 the connection closed before the head was complete"},
    {"46 a line without colon", "GET / HTTP/1.1\r\nHost\r\n\r\n", false, "bad 400 a field is not \"Name: value\""},
    {"46 a folded field", "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", false, "bad 400 a field is not \"Name: value\""},
    {"46 a folded field with a colon", "GET / HTTP/1.1\r\nA: b\r\n c: d\r\n\r\n", false,
     "bad 400 a field is not \"Name: value\""},
    {"46 a CR within a value", "GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", false, "bad 400 a field holds a NUL or a CR"},
    {"47 a blank before the colon", "GET / HTTP/1.1\r\nFoo : x\r\n\r\n", false,
     "bad 400 a field is not \"Name: value\""},
    {"47 no name", "GET / HTTP/1.1\r\n: x\r\n\r\n", false, "bad 400 a field is not \"Name: value\""},
    {"50 LF alone", "POST / HTTP/1.1\nContent-Length: 2\n\nhi", false, "POST / 1 keep\nContent-Length=2\n[hi]"},
    {"50 empty lines in front", "\r\n\n\r\nGET / HTTP/1.1\r\n\r\n", false, "GET / 1 keep\n[]"},
    {"50 HTTP/9.9", "GET / HTTP/9.9\r\n\r\n", false, "bad 505 this server speaks HTTP/1.0 and HTTP/1.1"},
    {"50 no version", "GET /\r\n\r\n", false, "bad 400 the request line is not METHOD TARGET HTTP/1.1"},
    {"50 no version, with a blank", "GET /a b\r\n\r\n", false, "bad 400 the request line has no HTTP version"},
    {"51 an unknown method", "FOO /checkv2 HTTP/1.1\r\n\r\n", false,
     "bad 405 the method must be GET, HEAD, POST or PUT"},
    {"51 a method in small letters", "post /checkv2 HTTP/1.1\r\n\r\n", false, "bad 400 the request line has no method"},
    {"51 the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", false,
     "bad 400 the request line has no HTTP version"},
    {"51 not HTTP", "GET / HTTX/1.1\r\n\r\n", false, "bad 400 the request line has no HTTP version"},
    {"51 two blanks", "GET  / HTTP/1.1\r\n\r\n", false, "bad 400 the request target is damaged"},
    {"52 an absolute address", "GET http://user@x.example:80/CheckV2?a=b HTTP/1.1\r\n\r\n", false,
     "GET /CheckV2 1 keep\na=b\n[]"},
    {"52 query arguments are fields",
     "GET /checkv2?from=a%40b&ip=1.2.3.4&&User=a+b&empty=&bare HTTP/1.1\r\nHost: x\r\n\r\n", false,
     "GET /checkv2 1 keep\nHost=x\nfrom=a@b\nip=1.2.3.4\nUser=a b\nempty=\nbare=\n[]"},
    {"52 a damaged escape", "GET /?a=%4 HTTP/1.1\r\n\r\n", false, "bad 400 a query argument is damaged"},
    {"52 an escaped line end", "GET /?a=b%0d%0aX:+y HTTP/1.1\r\n\r\n", false, "bad 400 a query argument is damaged"},
    {"52 an escaped NUL", "GET /?a=b%00c HTTP/1.1\r\n\r\n", false, "bad 400 a query argument is damaged"},
    {"52 an argument without a name", "GET /?=x HTTP/1.1\r\n\r\n", false, "bad 400 a query argument is damaged"},
    {"52 arguments cannot frame", "GET /?content-length=9 HTTP/1.1\r\n\r\n", false,
     "GET / 1 keep\ncontent-length=9\n[]"},
    {"54 HEAD", "HEAD /ping HTTP/1.1\r\n\r\n", false, "HEAD /ping 1 keep\n[]"},
    {"56 not zstd", "POST / HTTP/1.1\r\nCompression: zstd\r\nContent-Length: 2\r\n\r\nhi", false,
     "bad 400 the body is not zstd"},
    {"57 gzip", "POST / HTTP/1.1\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nhi", false,
     "bad 415 the body may be compressed by zstd alone"},
    {"57 a dictionary", "POST / HTTP/1.1\r\nDictionary: x\r\nContent-Length: 2\r\n\r\nhi", false,
     "bad 415 compression dictionaries are not known here"},
};

static void a_request_means_the_same_however_it_is_cut(void **unused)
{
    struct buf outcome;

    (void)unused;
    buf_init(&outcome, 1 << 20);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct span bytes = span_of(cases[i].bytes), want = span_of(cases[i].outcome);

        replay(&outcome, bytes, cases[i].eof, (struct cut){0, 0}, &limits);
        struct span got = buf_span(&outcome);
        check_same(cases[i].holds, span_head(got, span_find(got, SPAN(" then "))), want);
        for (size_t first = 1; first < bytes.n; first++) {
            replay(&outcome, bytes, cases[i].eof, (struct cut){first, 0}, &limits);
            got = buf_span(&outcome);
            check_same(cases[i].holds, span_head(got, span_find(got, SPAN(" then "))), want);
        }
        replay(&outcome, bytes, cases[i].eof, (struct cut){0, 1}, &limits);
        check_same(cases[i].holds, buf_span(&outcome), want);
    }
    buf_fini(&outcome);
}

static void check_bytes(const char *holds, struct span bytes, const char *want)
{
    struct buf outcome;

    buf_init(&outcome, 1 << 22);
    for (size_t piece = 0; piece < 3; piece++) {
        replay(&outcome, bytes, false, (struct cut){0, piece * 997}, &limits);
        struct span got = buf_span(&outcome);
        check_same(holds, span_head(got, strlen(want)), span_of(want));
    }
    buf_fini(&outcome);
}

static void nul_bytes_are_refused_wherever_they_stand(void **unused)
{
    (void)unused;
    check_bytes("46 in a value", SPAN("GET / HTTP/1.1\r\nA: b\0c\r\n\r\n"), "bad 400");
    check_bytes("47 in a name", SPAN("GET / HTTP/1.1\r\nA\0: b\r\n\r\n"), "bad 400");
    check_bytes("47 in the target", SPAN("GET /\0 HTTP/1.1\r\n\r\n"), "bad 400");
    check_bytes("51 in the method", SPAN("G\0T / HTTP/1.1\r\n\r\n"), "bad 400");
}

static void heads_have_limits(void **unused)
{
    struct buf b;

    (void)unused;
    buf_init(&b, 8 << 20);
    buf_puts(&b, "GET / HTTP/1.1\r\nX: ");
    put_times(&b, "a", 70000);
    buf_puts(&b, "\r\n\r\n");
    check_bytes("48 a head of 70 kB", buf_span(&b), "GET / 1 keep");

    buf_clear(&b);
    buf_puts(&b, "GET / HTTP/1.1\r\nX: ");
    put_times(&b, "a", 90000);
    check_bytes("48 a head of 90 kB, even unfinished", buf_span(&b), "bad 431 the head is too large");

    buf_clear(&b);
    buf_puts(&b, "GET /");
    put_times(&b, "a", 1000000);
    check_bytes("48 a target of 1 MB", buf_span(&b), "bad 414");

    buf_clear(&b);
    buf_puts(&b, "GET / HTTP/1.1\r\n");
    put_times(&b, "X: y\r\n", 1000);
    put_times(&b, "rcpt: <a@b>\r\n", 100);
    buf_puts(&b, "\r\n");
    check_bytes("49 1000 fields and the recipients besides", buf_span(&b), "GET / 1 keep");

    buf_clear(&b);
    buf_puts(&b, "GET / HTTP/1.1\r\n");
    put_times(&b, "X: y\r\n", 1001);
    check_bytes("49 1001 fields", buf_span(&b), "bad 431 too many fields");

    buf_clear(&b);
    buf_puts(&b, "GET / HTTP/1.1\r\n");
    put_times(&b, "Rcpt: y\r\n", 101);
    check_bytes("49 too many recipients", buf_span(&b), "bad 431 too many recipients");

    buf_clear(&b);
    put_times(&b, "\r\n", 50000);
    check_bytes("50 empty lines for ever", buf_span(&b), "bad 431");

    buf_clear(&b);
    buf_puts(&b, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n");
    put_times(&b, "X: y\r\n", 2000);
    check_bytes("36 trailers for ever", buf_span(&b), "bad 431 too much behind");

    buf_clear(&b);
    buf_puts(&b, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;");
    put_times(&b, "x", 300);
    check_bytes("36 an extension for ever", buf_span(&b), "bad 400 a chunk's size line is too long");
    buf_fini(&b);
}

/* What grows beyond unpack_max waits, packed, for a thread with time. */
static void a_body_that_grows_large_stays_packed_until_asked(void **unused)
{
    static char         zeros[50000];
    struct wire_limits  quick = limits;
    struct http_request r;
    struct arena        a;
    struct buf          in, plain;
    char                squeezed[200];
    size_t              n = ZSTD_compress(squeezed, sizeof squeezed, zeros, sizeof zeros, 1);

    (void)unused;
    quick.unpack_max = 10000;
    arena_init(&a, 1 << 20);
    buf_init(&in, 10000);
    buf_init(&plain, 200000);
    for (size_t max = 40000; max <= 60000; max += 20000) {
        quick.body_max = max;
        buf_clear(&in);
        buf_printf(&in, "POST / HTTP/1.1\r\nContent-Length: %zu\r\nCompression: zstd\r\n\r\n", n);
        buf_put(&in, span_make(squeezed, n));
        http_begin(&r, &a, &plain, &quick);
        assert_int_equal(http_step(&r, &in, false), WIRE_DONE);
        assert_true(http_packed(&r));
        assert_int_equal(r.used, in.n);
        assert_int_equal(http_unpack(&r), max < sizeof zeros ? WIRE_BAD : WIRE_DONE);
        assert_false(http_packed(&r));
        if (max > sizeof zeros)
            assert_true(span_eq(r.body, span_make(zeros, sizeof zeros)));
        else
            assert_int_equal(r.status, 413);
    }
    buf_fini(&plain);
    buf_fini(&in);
    arena_fini(&a);
}

static void zstd_comes_by_either_name_and_is_undone_once(void **unused)
{
    static const char *const names[] = {"Compression: zstd\r\n", "Content-Encoding: ZSTD\r\n",
                                        "Compression: zstd\r\nContent-Encoding: zstd\r\n"};
    char                     squeezed[200], zeros[5000] = {0};
    struct buf               b;

    (void)unused;
    buf_init(&b, 10000);
    for (size_t i = 0; i < COUNT(names); i++) {
        size_t n = ZSTD_compress(squeezed, sizeof squeezed, "hello", 5, 1);
        buf_clear(&b);
        buf_printf(&b, "POST / HTTP/1.1\r\nContent-Length: %zu\r\n%s\r\n", n, names[i]);
        buf_put(&b, span_make(squeezed, n));
        struct buf outcome;
        buf_init(&outcome, 10000);
        replay(&outcome, buf_span(&b), false, (struct cut){0, 1}, &limits);
        assert_true(span_ends(buf_span(&outcome), SPAN("[hello]")));
        buf_fini(&outcome);
    }
    size_t n = ZSTD_compress(squeezed, sizeof squeezed, zeros, sizeof zeros, 1);
    buf_clear(&b);
    buf_printf(&b, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nCompression: zstd\r\n\r\n%zx\r\n", n);
    buf_put(&b, span_make(squeezed, n));
    buf_puts(&b, "\r\n0\r\n\r\n");
    check_bytes("56 a bomb in chunks", buf_span(&b), "bad 413 the message is too large once decompressed");
    buf_fini(&b);
}

/* 55: a pipelined request is answered after the first, from the same buffer. */
static void pipelined_requests_follow_each_other(void **unused)
{
    struct span         bytes = SPAN("POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"
                                             "GET /b HTTP/1.1\r\n\r\nPOST /c HTTP/1.1\r\nContent-Length: 1\r\n\r\ny");
    struct http_request r;
    struct arena        a;
    struct buf          in, plain, paths;

    (void)unused;
    arena_init(&a, 1 << 20);
    buf_init(&in, 10000);
    buf_init(&plain, 10000);
    buf_init(&paths, 1000);
    http_begin(&r, &a, &plain, &limits);
    for (size_t i = 0; i < bytes.n; i++) {
        append_moving(&in, span_head(span_skip(bytes, i), 1));
        if (http_step(&r, &in, false) != WIRE_DONE)
            continue;
        buf_printf(&paths, "%.*s%.*s", SPAN_ARG(r.path), SPAN_ARG(r.body));
        buf_consume(&in, r.used);
        http_begin(&r, &a, &plain, &limits);
    }
    check_same("55", buf_span(&paths), SPAN("/ax/b/cy"));

    buf_clear(&paths);
    buf_clear(&in);
    buf_put(&in, bytes);
    http_begin(&r, &a, &plain, &limits);
    while (in.n > 0 && http_step(&r, &in, false) == WIRE_DONE) {
        buf_printf(&paths, "%.*s%.*s", SPAN_ARG(r.path), SPAN_ARG(r.body));
        buf_consume(&in, r.used);
        http_begin(&r, &a, &plain, &limits);
    }
    check_same("55 all at once", buf_span(&paths), SPAN("/ax/b/cy"));
    arena_fini(&a);
    buf_fini(&in);
    buf_fini(&plain);
    buf_fini(&paths);
}

static void a_body_in_tiny_chunks_takes_no_more_room_than_itself(void **unused)
{
    struct wire_limits  wide = {.body_max = 100000, .head_max = 1000, .rcpt_max = 1, .headers_max = 10};
    struct http_request r;
    struct arena        a;
    struct buf          in, plain;
    enum wire_step      got = WIRE_MORE;

    (void)unused;
    arena_init(&a, 1 << 20);
    buf_init(&in, 101000);
    buf_init(&plain, 101000);
    http_begin(&r, &a, &plain, &wide);
    buf_puts(&in, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (size_t i = 0; i < 100000; i++) {
        buf_puts(&in, "1\r\nx\r\n");
        assert_false(in.failed);
        got = http_step(&r, &in, false);
    }
    assert_int_equal(got, WIRE_MORE);
    buf_puts(&in, "0\r\n\r\n");
    assert_int_equal(http_step(&r, &in, false), WIRE_DONE);
    assert_int_equal(r.body.n, 100000);
    arena_fini(&a);
    buf_fini(&in);
    buf_fini(&plain);
}

static void a_late_request_is_told_so(void **unused)
{
    struct http_request r;
    struct arena        a;
    struct buf          in, plain, out;

    (void)unused;
    arena_init(&a, 1 << 20);
    buf_init(&in, 1000);
    buf_init(&plain, 10000);
    buf_init(&out, 1000);
    http_begin(&r, &a, &plain, &limits);
    buf_puts(&in, "GET /");
    assert_int_equal(http_step(&r, &in, false), WIRE_MORE);
    assert_false(http_head_done(&r));
    http_expire(&r);
    assert_int_equal(r.status, 408);
    http_put_bad(&out, &r);
    assert_true(span_starts(buf_span(&out), SPAN("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n")));
    arena_fini(&a);
    buf_fini(&in);
    buf_fini(&plain);
    buf_fini(&out);
}

static void the_machine_says_how_much_it_wants(void **unused)
{
    struct http_request r;
    struct arena        a;
    struct buf          in, plain;

    (void)unused;
    arena_init(&a, 1 << 20);
    buf_init(&in, 10000);
    buf_init(&plain, 10000);
    http_begin(&r, &a, &plain, &limits);
    buf_puts(&in, "POST / HTTP/1.1\r\nContent-Length: 1000\r\n\r\n1234567890");
    assert_int_equal(http_step(&r, &in, false), WIRE_MORE);
    assert_true(http_head_done(&r));
    assert_int_equal(http_wants(&r, &in), 990);
    check_same("fields can be read while the body comes", http_header_get(&r, "content-length"), SPAN("1000"));
    assert_null(http_header_get(&r, "absent").p);
    arena_fini(&a);
    buf_fini(&in);
    buf_fini(&plain);
}

static void replies_are_framed_by_their_length(void **unused)
{
    struct buf out;

    (void)unused;
    buf_init(&out, 10000);
    http_put_reply(&out, 200, NULL, "application/json", SPAN("{}"), true, false);
    check_same("a reply", buf_span(&out),
               SPAN("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n"
                    "Content-Type: application/json\r\n\r\n{}"));
    buf_clear(&out);
    http_put_reply(&out, 200, NULL, "text/plain", SPAN("pong\r\n"), false, true);
    check_same("54 HEAD has the length and no body", buf_span(&out),
               SPAN("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 6\r\n"
                    "Content-Type: text/plain\r\n\r\n"));
    buf_clear(&out);
    http_put_reply_with(&out, 200, "text/plain", SPAN("ETag: \"1\"\r\n"), SPAN("x\n"), true, false);
    check_same("further fields", buf_span(&out),
               SPAN("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nETag: \"1\"\r\n"
                    "Content-Length: 2\r\nContent-Type: text/plain\r\n\r\nx\n"));
    buf_clear(&out);
    http_put_reply_with(&out, 304, "text/plain", SPAN("ETag: \"1\"\r\n"), SPAN("x\n"), false, false);
    check_same("what has not changed is not sent", buf_span(&out),
               SPAN("HTTP/1.1 304 Not Modified\r\nConnection: close\r\nETag: \"1\"\r\n\r\n"));
    buf_clear(&out);
    http_put_error(&out, 405, "no \"such\"\r\n thing", false, false);
    check_same("405 names the methods", buf_span(&out),
               SPAN("HTTP/1.1 405 Method Not Allowed\r\nConnection: close\r\n"
                    "Allow: GET, HEAD, POST, PUT\r\nContent-Length: 41\r\nContent-Type: application/json\r\n\r\n"
                    "{\"error\":\"no \\\"such\\\"\\u000d\\u000a thing\"}"));
    buf_fini(&out);
}

/* Not a benchmark: a guard against a parser that became slow by an order of magnitude. */
static void a_typical_head_is_parsed_in_microseconds(void **unused)
{
    struct span         bytes = SPAN("POST /checkv2 HTTP/1.1\r\nHost: 127.0.0.1:8099\r\nContent-Length: 5\r\n"
                                             "Queue-ID: 4jX4ny4xkSz1c6x8\r\nIP: 127.0.0.1:33060\r\nUser-Agent: Postfix 3.7.11\r\n"
                                             "MTA-Name: mx.example.test\r\nFlags: milter,body_block\r\nHelo: client.ext.test\r\n"
                                             "Hostname: localhost\r\nFrom: <sender@ext.test>\r\nRcpt: <anna@local.test>\r\n"
                                             "Mailer: smtp\r\n\r\nhello");
    struct http_request r;
    struct arena        a;
    struct buf          in, plain;

    (void)unused;
    arena_init(&a, 1 << 20);
    buf_init(&in, 10000);
    buf_init(&plain, 10000);
    buf_put(&in, bytes);
    int64_t began = clock_thread_cpu_us();
    for (int i = 0; i < 10000; i++) {
        arena_reset(&a);
        http_begin(&r, &a, &plain, &limits);
        assert_int_equal(http_step(&r, &in, false), WIRE_DONE);
    }
    int64_t took = clock_thread_cpu_us() - began;
    print_message("%lld ns a head\n", (long long)took / 10);
    assert_true(took / 10000 < 100);
    arena_fini(&a);
    buf_fini(&in);
    buf_fini(&plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_means_the_same_however_it_is_cut),
        cmocka_unit_test(nul_bytes_are_refused_wherever_they_stand),
        cmocka_unit_test(heads_have_limits),
        cmocka_unit_test(zstd_comes_by_either_name_and_is_undone_once),
        cmocka_unit_test(a_body_that_grows_large_stays_packed_until_asked),
        cmocka_unit_test(pipelined_requests_follow_each_other),
        cmocka_unit_test(a_body_in_tiny_chunks_takes_no_more_room_than_itself),
        cmocka_unit_test(a_late_request_is_told_so),
        cmocka_unit_test(the_machine_says_how_much_it_wants),
        cmocka_unit_test(replies_are_framed_by_their_length),
        cmocka_unit_test(a_typical_head_is_parsed_in_microseconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

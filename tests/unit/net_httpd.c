/* tests/unit/net_httpd.c - the portal's HTTP server, over real sockets. */
#include <curl/curl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <zlib.h>
#include <zstd.h>

#include "httpd_world.h"
#include "net.h"

#define BIG ((size_t)100000)
#define HUGE ((size_t)8 << 20)
#define LENT "text that the server only borrows"

/* What the server under test shares with the test. */
static struct {
    struct httpd        *d;
    struct endpoint      ep;
    atomic_int           opened, closed, served, last_status, inside, more_ends, calls_seen;
    atomic_bool          gate; /* lets /slow and /gated go on */
    pthread_mutex_t      lock;
    struct httpd_stream *stream;
} w = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int worker_open(void *ctx, size_t index, void **out, struct err *e)
{
    (void)ctx;
    (void)e;
    *out = &w;
    assert_true(index < 16);
    atomic_fetch_add(&w.opened, 1);
    return 0;
}

static void worker_close(void *ctx, void *worker)
{
    (void)ctx;
    assert_ptr_equal(worker, &w);
    atomic_fetch_add(&w.closed, 1);
}

static size_t body_max(void *ctx, enum httpd_method method, struct span path)
{
    (void)ctx;
    return method == HTTPD_GET ? 0 : span_starts(path, SPAN("/small")) ? 10 : 1 << 20;
}

static void served(void *ctx, enum httpd_method method, struct span path, int status, uint64_t bytes, int64_t us)
{
    (void)ctx;
    (void)method;
    (void)path;
    (void)bytes;
    assert_true(us >= 0);
    atomic_store(&w.last_status, status);
    atomic_fetch_add(&w.served, 1);
}

static void put_times_fast(struct buf *b, const char *piece, size_t times)
{
    for (size_t i = 0; i < times; i++)
        buf_puts(b, piece);
}

/* ---- What the paths of the server do ---------------------------------------------------------------------- */

static void put_named(struct buf *out, const char *name, struct span value)
{
    if (value.p == NULL)
        buf_printf(out, "%s none\n", name);
    else
        buf_printf(out, "%s [%.*s]\n", name, SPAN_ARG(value));
}

static void do_echo(const struct httpd_request *r, struct httpd_reply *out)
{
    buf_printf(&out->body, "%s %.*s?%.*s\n", r->method == HTTPD_OTHER ? "OTHER" : httpd_method_words[r->method],
               SPAN_ARG(r->path), SPAN_ARG(r->query));
    put_named(&out->body, "field", httpd_field(r, "x-FIELD"));
    put_named(&out->body, "cookie", httpd_cookie(r, "session"));
    put_named(&out->body, "param", httpd_param(r, r->query, "q"));
    put_named(&out->body, "form", httpd_param(r, r->body, "q"));
    buf_printf(&out->body, "body %zu [%.*s]\n", r->body.n, SPAN_ARG(span_head(r->body, 100)));
}

static void do_big(const struct httpd_request *r, struct httpd_reply *out)
{
    (void)r;
    put_times_fast(&out->body, "0123456789", BIG / 10);
    out->compress = true;
    httpd_set(out, "ETag", SPAN("\"strong\""));
    httpd_set(out, "Vary", SPAN("Cookie"));
}

static void do_huge(const struct httpd_request *r, struct httpd_reply *out)
{
    (void)r;
    put_times_fast(&out->body, "0123456789abcdef", HUGE / 16);
}

static void do_fields(const struct httpd_request *r, struct httpd_reply *out)
{
    (void)r;
    httpd_set(out, "Set-Cookie", SPAN("a=1"));
    httpd_set(out, "Set-Cookie", SPAN("b=2"));
    httpd_set(out, "X-Once", SPAN("first"));
    httpd_set(out, "x-once", SPAN("second"));
    httpd_set(out, "X-Gone", SPAN("here"));
    httpd_set(out, "X-Gone", SPAN(""));
    httpd_set(out, "X-Always", SPAN("mine"));
    out->status = 201;
}

static void lent_end(void *ctx)
{
    assert_ptr_equal(ctx, &w);
    atomic_fetch_add(&w.more_ends, 1);
}

static void do_lent(const struct httpd_request *r, struct httpd_reply *out)
{
    (void)r;
    out->lent = SPAN(LENT);
    out->more_end = lent_end;
    out->more_ctx = &w;
    httpd_set(out, "ETag", SPAN("\"lent\""));
}

struct countdown {
    int left, end; /* end: what the last call returns */
};

static int count_down(void *ctx, void *worker, struct buf *chunk)
{
    struct countdown *c = ctx;

    assert_ptr_equal(worker, &w);
    if (c->left == 0)
        return c->end;
    put_times_fast(chunk, "chunk ", 10000);
    return --c->left > 0 ? 1 : c->end;
}

static void end_countdown(void *ctx)
{
    atomic_fetch_add(&w.more_ends, 1);
    free(ctx);
}

static void do_more(const struct httpd_request *r, struct httpd_reply *out)
{
    struct countdown *c = calloc(1, sizeof *c);

    *c = span_is(r->path, "/more") ? (struct countdown){5, 0} : (struct countdown){2, -1};
    if (span_is(r->path, "/endless"))
        c->left = INT_MAX;
    out->more = count_down;
    out->more_end = end_countdown;
    out->more_ctx = c;
}

static void do_slow(const struct httpd_request *r, struct httpd_reply *out)
{
    (void)r;
    atomic_fetch_add(&w.inside, 1);
    while (!atomic_load(&w.gate))
        usleep(5000);
    atomic_fetch_sub(&w.inside, 1);
    buf_puts(&out->body, "at last");
}

static void do_stream(const struct httpd_request *r, struct httpd_reply *out)
{
    (void)r;
    out->stream = httpd_stream_new(w.d, 100000);
    httpd_set(out, "Content-Type", SPAN("text/event-stream"));
    assert_true(httpd_stream_put(out->stream, SPAN("data: hello\n\n")));
    pthread_mutex_lock(&w.lock);
    if (w.stream != NULL)
        httpd_stream_end(&w.stream);
    w.stream = out->stream;
    pthread_mutex_unlock(&w.lock);
}

static void do_wrong(const struct httpd_request *r, struct httpd_reply *out)
{
    (void)r;
    out->status = 42;
}

static void do_hungry(const struct httpd_request *r, struct httpd_reply *out)
{
    while (arena_alloc(r->arena, 100000) != NULL)
        ;
    httpd_set(out, "X-Lost", SPAN("yes"));
}

static const struct {
    const char *path;
    void (*run)(const struct httpd_request *r, struct httpd_reply *out);
} paths[] = {{"/big", do_big},   {"/huge", do_huge},   {"/fields", do_fields}, {"/lent", do_lent},
             {"/more", do_more}, {"/less", do_more},   {"/endless", do_more},  {"/stream", do_stream},
             {"/slow", do_slow}, {"/wrong", do_wrong}, {"/hungry", do_hungry}};

static void serve(void *ctx, void *worker, const struct httpd_request *r, struct httpd_reply *out)
{
    (void)ctx;
    assert_ptr_equal(worker, &w);
    atomic_fetch_add(&w.calls_seen, 1);
    for (size_t i = 0; i < COUNT(paths); i++)
        if (span_is(r->path, paths[i].path)) {
            paths[i].run(r, out);
            return;
        }
    do_echo(r, out);
}

/* ---- Starting and stopping -------------------------------------------------------------------------------- */

static struct httpd_config ordinary(void)
{
    static const struct httpd_field_value always[] = {{"X-Always", "yes"}};

    return (struct httpd_config){.listen = &w.ep,
                                 .nlisten = 1,
                                 .workers = 3,
                                 .always = always,
                                 .nalways = 1,
                                 .worker_open = worker_open,
                                 .worker_close = worker_close,
                                 .body_max = body_max,
                                 .serve = serve,
                                 .served = served};
}

static void start_at(const char *address, struct httpd_config *config)
{
    struct endpoint ep;
    struct err      e = ERR_INIT;

    assert_int_equal(endpoint_parse(address, &ep, NULL, &e), 0);
    atomic_store(&w.gate, false);
    atomic_store(&w.more_ends, 0);
    config->listen = &ep;
    if (httpd_start(config, &w.d, &e) < 0)
        fail_msg("%s", e.text);
    w.ep = ep;
    memset(&ep, 0xee, sizeof ep); /* it is ours again */
}

static void start_with(struct httpd_config *config) { start_at("127.0.0.1:0", config); }

static int start(void **unused)
{
    struct httpd_config config = ordinary();

    (void)unused;
    start_with(&config);
    return 0;
}

static int stop(void **unused)
{
    (void)unused;
    pthread_mutex_lock(&w.lock);
    httpd_stream_end(&w.stream);
    pthread_mutex_unlock(&w.lock);
    atomic_store(&w.gate, true);
    httpd_stop(&w.d);
    assert_null(w.d);
    assert_int_equal(atomic_load(&w.opened), atomic_load(&w.closed));
    return 0;
}

static struct httpd_stats stats(void)
{
    struct httpd_stats s;

    httpd_stats(w.d, &s);
    return s;
}

#define GET(target) "GET " target " HTTP/1.1\r\nHost: here\r\n\r\n"
#define FIELDS10 "A: 1\r\nA: 1\r\nA: 1\r\nA: 1\r\nA: 1\r\nA: 1\r\nA: 1\r\nA: 1\r\nA: 1\r\nA: 1\r\n"
#define TEXT10 "0123456789"
#define TEXT100 TEXT10 TEXT10 TEXT10 TEXT10 TEXT10 TEXT10 TEXT10 TEXT10 TEXT10 TEXT10
#define TEXT1000 TEXT100 TEXT100 TEXT100 TEXT100 TEXT100 TEXT100 TEXT100 TEXT100 TEXT100 TEXT100

/* ---- What is served --------------------------------------------------------------------------------------- */

static const struct {
    const char *holds, *request;
    const char *body; /* of the reply */
} echoes[] = {
    {"a path is decoded once", GET("/a%20b%2541"),
     "GET /a b%41?\nfield none\ncookie none\nparam none\nform none\nbody 0 []\n"},
    {"a query stays as it is", GET("/p?a=%41&q=x%20+y"),
     "GET /p?a=%41&q=x%20+y\nfield none\ncookie none\nparam [x  y]\nform none\nbody 0 []\n"},
    {"a parameter may be empty", GET("/p?q"), "GET /p?q\nfield none\ncookie none\nparam []\nform none\nbody 0 []\n"},
    {"a name may be encoded", GET("/p?%71=1"),
     "GET /p?%71=1\nfield none\ncookie none\nparam [1]\nform none\nbody 0 []\n"},
    {"a damaged parameter is none", GET("/p?q=%4"),
     "GET /p?q=%4\nfield none\ncookie none\nparam none\nform none\nbody 0 []\n"},
    {"a parameter with NUL is none", GET("/p?q=a%00"),
     "GET /p?q=a%00\nfield none\ncookie none\nparam none\nform none\nbody 0 []\n"},
    {"a parameter is UTF-8 or none", GET("/p?q=%ff"),
     "GET /p?q=%ff\nfield none\ncookie none\nparam none\nform none\nbody 0 []\n"},
    {"of two the first counts", GET("/p?q=1&q=2"),
     "GET /p?q=1&q=2\nfield none\ncookie none\nparam [1]\nform none\nbody 0 []\n"},
    {"a field is found whatever its case, and trimmed",
     "GET / HTTP/1.1\r\nHost: here\r\nX-Field:  a b \t\r\nX-Field: second\r\n\r\n",
     "GET /?\nfield [a b]\ncookie none\nparam none\nform none\nbody 0 []\n"},
    {"a cookie among others", "GET / HTTP/1.1\r\nHost: here\r\nCookie: a=1; session=abc=; sessions=2\r\n\r\n",
     "GET /?\nfield none\ncookie [abc=]\nparam none\nform none\nbody 0 []\n"},
    {"two cookies with one name are none", "GET / HTTP/1.1\r\nHost: here\r\nCookie: session=1; a=b; session=2\r\n\r\n",
     "GET /?\nfield none\ncookie none\nparam none\nform none\nbody 0 []\n"},
    {"nor are they in two fields", "GET / HTTP/1.1\r\nHost: here\r\nCookie: session=1\r\nCookie: session=2\r\n\r\n",
     "GET /?\nfield none\ncookie none\nparam none\nform none\nbody 0 []\n"},
    {"a body with its length", "POST /f HTTP/1.1\r\nHost: here\r\nContent-Length: 8\r\n\r\nq=a%2Bb&",
     "POST /f?\nfield none\ncookie none\nparam none\nform [a+b]\nbody 8 [q=a%2Bb&]\n"},
    {"a body in chunks",
     "PUT /f HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: t\r\n\r\n",
     "PUT /f?\nfield none\ncookie none\nparam none\nform none\nbody 5 [abcde]\n"},
    {"a method that we have no word for", "PROPFIND / HTTP/1.1\r\nHost: here\r\n\r\n",
     "OTHER /?\nfield none\ncookie none\nparam none\nform none\nbody 0 []\n"},
    {"a Range is not served: all of it comes", "GET / HTTP/1.1\r\nHost: here\r\nRange: bytes=0-3\r\n\r\n",
     "GET /?\nfield none\ncookie none\nparam none\nform none\nbody 0 []\n"},
    {"an old client needs no Host", "GET /old HTTP/1.0\r\n\r\n",
     "GET /old?\nfield none\ncookie none\nparam none\nform none\nbody 0 []\n"},
};

static void a_request_comes_to_serve_as_it_was_meant(void **unused)
{
    struct answer a;

    (void)unused;
    answer_init(&a);
    for (size_t i = 0; i < COUNT(echoes); i++) {
        ask_once(&w.ep, echoes[i].request, &a);
        CHECK(echoes[i].holds, a.status == 200);
        check_same(echoes[i].holds, a.body, span_of(echoes[i].body));
        CHECK(echoes[i].holds, span_is(answer_field(&a, "X-Always"), "yes") && answer_field(&a, "Date").n == 29);
    }
    buf_fini(&a.raw);
}

static void send_bytewise(int fd, struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        send_bytes(fd, span_make(s.p + i, 1));
}

static void a_request_in_single_bytes_is_the_same(void **unused)
{
    struct answer a;

    (void)unused;
    answer_init(&a);
    for (size_t i = 0; i < COUNT(echoes); i++) {
        int fd = must_connect(&w.ep);

        send_bytewise(fd, span_of(echoes[i].request));
        read_answer(fd, &a);
        check_same(echoes[i].holds, a.body, span_of(echoes[i].body));
        fd_close(&fd);
    }
    buf_fini(&a.raw);
}

static void one_connection_carries_many_requests_also_before_their_replies(void **unused)
{
    int           fd = must_connect(&w.ep);
    struct answer a;
    char          path[32];

    (void)unused;
    answer_init(&a);
    for (int i = 0; i < 20; i++) {
        snprintf(path, sizeof path, "GET /%d?\nfield", i);
        char request[100];
        snprintf(request, sizeof request, "GET /%d HTTP/1.1\r\nHost: here\r\n\r\n", i);
        ask(fd, request, &a);
        assert_int_equal(a.status, 200);
        assert_true(span_starts(a.body, span_of(path)));
    }
    send_text(fd, GET("/one") "POST /two HTTP/1.1\r\nHost: here\r\nContent-Length: 3\r\n\r\nabc" GET("/three")
                      GET("/four"));
    for (size_t i = 0; i < 4; i++) {
        static const char *const begins[] = {"GET /one?", "POST /two?", "GET /three?", "GET /four?"};

        read_answer(fd, &a);
        assert_true(span_starts(a.body, span_of(begins[i])));
    }
    fd_close(&fd);
    buf_fini(&a.raw);
}

static void head_gets_the_fields_of_get_and_the_connection_goes_on(void **unused)
{
    int           fd = must_connect(&w.ep);
    struct answer a;

    (void)unused;
    answer_init(&a);
    a.bodiless = true;
    ask(fd, "HEAD /big HTTP/1.1\r\nHost: here\r\n\r\n", &a);
    assert_int_equal(a.status, 200);
    assert_true(span_is(answer_field(&a, "Content-Length"), "100000"));
    a.bodiless = false;
    ask(fd, GET("/after"), &a);
    assert_true(span_starts(a.body, SPAN("GET /after?")));
    fd_close(&fd);
    buf_fini(&a.raw);
}

static void head_of_what_comes_in_pieces_has_no_body_either(void **unused)
{
    static const char *const requests[] = {"HEAD /more HTTP/1.1\r\nHost: here\r\n\r\n",
                                           "HEAD /stream HTTP/1.1\r\nHost: here\r\n\r\n"};

    (void)unused;
    for (size_t i = 0; i < COUNT(requests); i++) {
        int        fd = must_connect(&w.ep);
        struct buf all;

        buf_init(&all, 100000);
        send_text(fd, requests[i]);
        read_all(fd, &all);
        assert_true(span_starts(buf_span(&all), SPAN("HTTP/1.1 200 ")));
        assert_int_equal(span_find(buf_span(&all), SPAN("\r\n\r\n")), all.n - 4);
        assert_int_equal(span_find(buf_span(&all), SPAN("Content-Length")), all.n);
        buf_fini(&all);
        fd_close(&fd);
    }
    AWAIT("what makes the pieces is told the end", atomic_load(&w.more_ends) == 1);
}

static void fields_of_a_reply_are_set_once_and_cookies_add(void **unused)
{
    struct answer a;

    (void)unused;
    answer_init(&a);
    ask_once(&w.ep, GET("/fields"), &a);
    assert_int_equal(a.status, 201);
    assert_true(span_is(answer_field(&a, "X-Once"), "second"));
    assert_true(span_is(answer_field(&a, "X-Always"), "mine"));
    assert_null(answer_field(&a, "X-Gone").p);
    assert_true(span_find(a.head, SPAN("Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n")) < a.head.n);
    ask_once(&w.ep, GET("/wrong"), &a);
    assert_int_equal(a.status, 500);
    ask_once(&w.ep, GET("/hungry"), &a);
    assert_int_equal(a.status, 500);
    assert_true(span_is(answer_field(&a, "Content-Type"), "application/problem+json"));
    buf_fini(&a.raw);
}

static void a_client_that_has_it_already_gets_304(void **unused)
{
    static const struct {
        const char *named;
        int         status;
    } cases[] = {{"\"lent\"", 304}, {"\"other\", W/\"lent\"", 304}, {"*", 304}, {"\"len\"", 200}, {"lent", 200}};
    int           fd = must_connect(&w.ep);
    struct answer a;
    char          request[200];

    (void)unused;
    answer_init(&a);
    for (size_t i = 0; i < COUNT(cases); i++) {
        snprintf(request, sizeof request, "GET /lent HTTP/1.1\r\nHost: h\r\nIf-None-Match: %s\r\n\r\n", cases[i].named);
        ask(fd, request, &a);
        CHECK(cases[i].named, a.status == cases[i].status);
        CHECK(cases[i].named, span_is(answer_field(&a, "ETag"), "\"lent\""));
        if (a.status == 200)
            check_same(cases[i].named, a.body, SPAN(LENT));
        else
            CHECK(cases[i].named, a.raw.n == a.head.n);
    }
    fd_close(&fd);
    AWAIT("what was lent is given back each time", atomic_load(&w.more_ends) == (int)COUNT(cases));
    buf_fini(&a.raw);
}

/* ---- Compression ------------------------------------------------------------------------------------------ */

static const struct {
    const char *accepts, *coding;
} codings[] = {
    {"gzip, deflate, br, zstd", "zstd"},
    {"gzip", "gzip"},
    {"GZip;q=0.5, zstd;q=0.4", "gzip"},
    {"zstd;q=0, gzip;q=0", NULL},
    {"*", "zstd"},
    {"*;q=0", NULL},
    {"identity, gzip;q=0.5", NULL},
    {"br", NULL},
    {"gzip;q=nonsense", NULL},
    {"", NULL},
};

static void unpack(struct span coding, struct span in, struct buf *out)
{
    char  *to = buf_reserve(out, BIG);
    size_t n;

    if (span_is(coding, "zstd")) {
        n = ZSTD_decompress(to, BIG, in.p, in.n);
        assert_false(ZSTD_isError(n));
    } else {
        z_stream z = {
            .next_in = (Bytef *)(uintptr_t)in.p, .avail_in = (uInt)in.n, .next_out = (Bytef *)to, .avail_out = BIG};

        assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
        assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
        n = z.total_out;
        inflateEnd(&z);
    }
    out->n += n;
}

static void a_body_goes_in_the_coding_that_the_client_prefers(void **unused)
{
    struct answer a;
    struct buf    plain;
    char          request[200];

    (void)unused;
    answer_init(&a);
    buf_init(&plain, BIG);
    for (size_t i = 0; i < COUNT(codings); i++) {
        snprintf(request, sizeof request, "GET /big HTTP/1.1\r\nHost: h\r\nAccept-Encoding: %s\r\n\r\n",
                 codings[i].accepts);
        ask_once(&w.ep, request, &a);
        struct span coding = answer_field(&a, "Content-Encoding");
        CHECK(codings[i].accepts, codings[i].coding == NULL ? coding.p == NULL : span_is(coding, codings[i].coding));
        CHECK(codings[i].accepts, span_is(answer_field(&a, "Vary"), "Cookie, Accept-Encoding"));
        CHECK(codings[i].accepts, span_is(answer_field(&a, "ETag"), "W/\"strong\""));
        if (coding.p == NULL) {
            CHECK(codings[i].accepts, a.body.n == BIG);
            continue;
        }
        buf_clear(&plain);
        unpack(coding, a.body, &plain);
        CHECK(codings[i].accepts, plain.n == BIG && a.body.n < BIG / 10 && memcmp(plain.p, "0123456789", 10) == 0);
    }
    ask_once(&w.ep, "GET /short HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\n\r\n", &a);
    assert_null(answer_field(&a, "Content-Encoding").p);
    buf_fini(&plain);
    buf_fini(&a.raw);
}

/* ---- What is refused -------------------------------------------------------------------------------------- */

#define R(rest) "GET / HTTP/1.1\r\n" rest "\r\n"
static const struct {
    const char *holds, *request;
    int         status;
    bool        theirs; /* libmicrohttpd's own words */
} refusals[] = {
    {"no Host", R(""), 400, false},
    {"two Hosts", R("Host: a\r\nHost: a\r\n"), 400, false},
    {"a Host with a path", R("Host: a/b\r\n"), 400, false},
    {"two Content-Lengths", R("Host: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n"), 400, false},
    {"two different ones", R("Host: a\r\nContent-Length: 3\r\nContent-Length: 30\r\n") "abc", 400, false},
    {"a length with a sign", R("Host: a\r\nContent-Length: +3\r\n") "abc", 400, true},
    {"a length of letters", R("Host: a\r\nContent-Length: abc\r\n"), 400, true},
    {"a length beyond numbers", R("Host: a\r\nContent-Length: 99999999999999999999999\r\n"), 413, true},
    {"both framings", R("Host: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n") "0\r\n\r\n", 400, false},
    {"another coding", R("Host: a\r\nTransfer-Encoding: gzip, chunked\r\n") "0\r\n\r\n", 400, false},
    {"two codings", R("Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n") "0\r\n\r\n", 400,
     false},
    {"a coding that looks like chunked", R("Host: a\r\nTransfer-Encoding: chunked \r\n") "0\r\n\r\n", 400, false},
    {"chunks from an old client", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, false},
    {"a damaged chunk", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400, true},
    {"a blank before the colon", R("Host: a\r\nX-Y : z\r\n"), 400, false},
    {"the same with a length", R("Host: a\r\nContent-Length : 3\r\n"), 400, false},
    {"a field without a name", R("Host: a\r\n: z\r\n"), 400, false},
    {"lines without CR", "GET / HTTP/1.1\nHost: a\n\n", 400, false},
    {"a field without a colon", R("Host: a\r\nabc\r\n"), 400, true},
    {"a bare CR in a value", R("Host: a\r\nX: a\rb\r\n"), 400, false},
    {"a control byte in a value", R("Host: a\r\nX: a\001b\r\n"), 400, false},
    {"to wait for something else", R("Host: a\r\nExpect: 200-maybe\r\n"), 417, false},
    {"dots up", GET("/a/../b"), 400, false},
    {"encoded dots up", GET("/a/%2e%2E/b"), 400, false},
    {"dots up at the end", GET("/.."), 400, false},
    {"a dot", GET("/a/./b"), 400, false},
    {"two slashes", GET("//a"), 400, false},
    {"two slashes within", GET("/a//b"), 400, false},
    {"an encoded slash", GET("/a%2Fb"), 400, false},
    {"an encoded NUL", GET("/a%00b"), 400, false},
    {"an encoded line end", GET("/a%0d%0aX"), 400, false},
    {"half an escape", GET("/a%2"), 400, false},
    {"no escape", GET("/a%zz"), 400, false},
    {"a path that is not UTF-8", GET("/%ff"), 400, false},
    {"a path without a slash", GET("a"), 400, false},
    {"a whole URL", GET("http://a/b"), 400, false},
    {"a blank in the path", GET("/a b"), 400, false},
    {"no HTTP", "GET /\r\n\r\n", 400, true},
    {"HTTP/0.9", "GET / HTTP/0.9\r\n\r\n", 505, true},
    {"HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505, false},
    {"HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, true},
    {"a method that is no word", "G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400, false},
    {"100 fields and one",
     R("Host: a\r\n" FIELDS10 FIELDS10 FIELDS10 FIELDS10 FIELDS10 FIELDS10 FIELDS10 FIELDS10 FIELDS10 FIELDS10), 431,
     false},
    {"a URL of more than 8 KiB",
     GET("/" TEXT1000 TEXT1000 TEXT1000 TEXT1000 TEXT1000 TEXT1000 TEXT1000 TEXT1000 TEXT1000), 414, false},
    {"a field of more than 16 KiB",
     R("Host: a\r\nX: " TEXT1000 TEXT1000 TEXT1000 TEXT1000 TEXT1000 TEXT1000 TEXT1000 TEXT1000 TEXT1000 TEXT1000
           TEXT1000 TEXT1000 TEXT1000 TEXT1000 TEXT1000 TEXT1000 TEXT1000 "\r\n"),
     431, false},
    {"a body where none may be", R("Host: a\r\nContent-Length: 3\r\n") "abc", 413, false},
    {"a body that is too long", "POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n" TEXT10 "x", 413, false},
    {"a body that grows too long",
     "POST /small HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\na\r\n" TEXT10 "\r\n1\r\nx\r\n0\r\n\r\n", 413,
     false},
    {"a body that is too long, asked before",
     "POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n", 413, false},
};

static void check_refusal(size_t i, bool bytewise)
{
    int           fd = must_connect(&w.ep), before = atomic_load(&w.calls_seen);
    struct answer a;
    struct buf    rest;

    answer_init(&a);
    buf_init(&rest, 100000);
    if (bytewise)
        send_bytewise(fd, span_of(refusals[i].request));
    else
        send_text(fd, refusals[i].request);
    read_answer(fd, &a);
    if (a.status != refusals[i].status)
        fail_msg("%s: %d in place of %d", refusals[i].holds, a.status, refusals[i].status);
    CHECK(refusals[i].holds, span_is(answer_field(&a, "Connection"), "close"));
    if (!refusals[i].theirs) {
        CHECK(refusals[i].holds, span_is(answer_field(&a, "Content-Type"), "application/problem+json"));
        CHECK(refusals[i].holds,
              span_starts(a.body, SPAN("{\"type\":\"about:blank\",")) && span_ends(a.body, SPAN("}\n")));
        CHECK(refusals[i].holds, span_is(answer_field(&a, "X-Always"), "yes"));
        shutdown(fd, SHUT_WR);
        read_all(fd, &rest);
        CHECK(refusals[i].holds, rest.n == 0);
    }
    CHECK(refusals[i].holds, atomic_load(&w.calls_seen) == before);
    fd_close(&fd);
    buf_fini(&rest);
    buf_fini(&a.raw);
}

static void what_is_not_clear_or_too_much_is_refused_and_never_served(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(refusals); i++)
        check_refusal(i, false);
}

static void the_same_in_single_bytes(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(refusals); i++)
        if (strlen(refusals[i].request) < 1000)
            check_refusal(i, true);
}

static void a_refused_upload_hears_why_while_it_still_sends(void **unused)
{
    int           fd = must_connect(&w.ep);
    struct answer a;
    struct buf    body;

    (void)unused;
    answer_init(&a);
    buf_init(&body, 1 << 20);
    put_times_fast(&body, TEXT1000, 1000);
    send_text(fd, "POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
    send_bytes(fd, buf_span(&body));
    read_answer(fd, &a);
    assert_int_equal(a.status, 413);
    fd_close(&fd);
    AWAIT("it counts as refused", stats().refused > 0);
    buf_fini(&body);
    buf_fini(&a.raw);
}

static size_t swallow(char *p, size_t size, size_t n, void *ctx)
{
    (void)p;
    *(size_t *)ctx += size * n;
    return size * n;
}

static void curl_waits_for_100_and_sends_its_body_then(void **unused)
{
    struct curl_slist *fields = curl_slist_append(NULL, "Expect: 100-continue");
    CURL              *curl = curl_easy_init();
    struct buf         body;
    char               url[200];
    size_t             got = 0;
    long               status = 0;
    double             seconds = 0;

    (void)unused;
    buf_init(&body, 1 << 20);
    put_times_fast(&body, TEXT1000, 1000);
    snprintf(url, sizeof url, "http://%s/up", w.ep.text);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.p);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)body.n);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, fields);
    curl_easy_setopt(curl, CURLOPT_EXPECT_100_TIMEOUT_MS, 50000L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, swallow);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &got);
    assert_int_equal(curl_easy_perform(curl), CURLE_OK);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(curl, CURLINFO_TOTAL_TIME, &seconds);
    assert_int_equal(status, 200);
    assert_true(got > 0 && seconds < 50);
    curl_easy_cleanup(curl);
    curl_slist_free_all(fields);
    buf_fini(&body);
}

static void bodies_in_memory_have_a_bound_together(void **unused)
{
    struct httpd_config config = ordinary();
    int                 fd;
    struct answer       a;

    (void)unused;
    answer_init(&a);
    config.bodies_max = 1000;
    start_with(&config);
    fd = must_connect(&w.ep);
    send_text(fd, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n" TEXT1000 "x");
    read_answer(fd, &a);
    assert_int_equal(a.status, 503);
    fd_close(&fd);
    for (int i = 0; i < 3; i++) { /* and it is given back */
        ask_once(&w.ep, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n" TEXT1000, &a);
        assert_int_equal(a.status, 200);
    }
    buf_fini(&a.raw);
}

static void put_body(struct buf *text, size_t length, size_t sent)
{
    buf_clear(text);
    buf_printf(text, "POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", length);
    put_times_fast(text, TEXT1000, sent / 1000);
    buf_putc(text, '\0');
}

static int status_of_body(struct buf *text, size_t length, struct answer *a)
{
    put_body(text, length, length);
    ask_once(&w.ep, text->p, a);
    return a->status;
}

static void large_bodies_that_never_end_leave_room_for_small_ones(void **unused)
{
    struct httpd_config config = ordinary();
    struct answer       a;
    struct buf          text;
    int                 fd;

    (void)unused;
    answer_init(&a);
    buf_init(&text, 1 << 20);
    config.bodies_max = 400 * 1000;
    start_with(&config);
    fd = must_connect(&w.ep);
    put_body(&text, 390 * 1000, 290 * 1000); /* alone it may have all of it */
    send_text(fd, text.p);
    AWAIT("it lies there", stats().bodies == 290 * 1000);
    for (int i = 0; i < 3; i++)
        assert_int_equal(status_of_body(&text, 90 * 1000, &a), 503); /* another large one from there */
    for (int i = 0; i < 3; i++)
        assert_int_equal(status_of_body(&text, 1000, &a), 200);
    fd_close(&fd);
    AWAIT("what was held is free again", status_of_body(&text, 90 * 1000, &a) == 200);
    buf_fini(&text);
    buf_fini(&a.raw);
}

/* ---- Workers ---------------------------------------------------------------------------------------------- */

static void when_too_many_wait_the_next_is_told_to_come_again(void **unused)
{
    struct httpd_config config = ordinary();
    int                 fds[4], last;
    struct answer       a;

    (void)unused;
    answer_init(&a);
    config.workers = 2;
    config.waiting_max = 2;
    start_with(&config);
    for (size_t i = 0; i < COUNT(fds); i++) {
        fds[i] = must_connect(&w.ep);
        send_text(fds[i], GET("/slow"));
        if (i < 2)
            AWAIT("a worker has it", atomic_load(&w.inside) == (int)i + 1);
        else
            AWAIT("it waits", stats().waiting == i - 1);
    }
    last = must_connect(&w.ep);
    ask(last, GET("/slow"), &a);
    assert_int_equal(a.status, 503);
    assert_true(span_is(answer_field(&a, "Retry-After"), "2"));
    atomic_store(&w.gate, true);
    for (size_t i = 0; i < COUNT(fds); i++) {
        read_answer(fds[i], &a);
        assert_int_equal(a.status, 200);
        assert_true(span_is(a.body, "at last"));
        fd_close(&fds[i]);
    }
    ask(last, GET("/slow"), &a); /* the connection was kept */
    assert_int_equal(a.status, 200);
    fd_close(&last);
    buf_fini(&a.raw);
}

static int open_none(void *ctx, size_t index, void **out, struct err *e)
{
    return index < 2 ? worker_open(ctx, index, out, e) : err_set(e, ERR_BUSY, "there is none left");
}

static void a_worker_that_does_not_open_stops_the_start(void **unused)
{
    struct httpd_config config = ordinary();
    struct httpd       *d;
    struct err          e = ERR_INIT;

    (void)unused;
    config.worker_open = open_none;
    assert_int_equal(endpoint_parse("127.0.0.1:0", &w.ep, NULL, &e), 0);
    assert_int_equal(httpd_start(&config, &d, &e), -1);
    assert_string_equal(e.text, "worker 2: there is none left");
    assert_null(d);
    assert_int_equal(atomic_load(&w.opened), atomic_load(&w.closed));
}

/* ---- Pieces ----------------------------------------------------------------------------------------------- */

static size_t count_in(struct span s, struct span needle)
{
    size_t n = 0, at;

    while ((at = span_find(s, needle)) < s.n) {
        s = span_skip(s, at + needle.n);
        n++;
    }
    return n;
}

static void a_body_made_chunk_by_chunk_arrives_whole(void **unused)
{
    int           fd = must_connect(&w.ep);
    struct answer a;

    (void)unused;
    answer_init(&a);
    for (int i = 0; i < 2; i++) {
        ask(fd, GET("/more"), &a);
        assert_int_equal(a.status, 200);
        assert_true(span_is(answer_field(&a, "Transfer-Encoding"), "chunked"));
        assert_true(span_ends(a.body, SPAN("\r\n0\r\n\r\n")));
        assert_true(a.body.n > (size_t)5 * 60000 && a.body.n < (size_t)5 * 60000 + 3000);
    }
    fd_close(&fd);
    AWAIT("each end is told once", atomic_load(&w.more_ends) == 2);
    buf_fini(&a.raw);
}

static void an_old_client_gets_it_without_chunks(void **unused)
{
    int        fd = must_connect(&w.ep);
    struct buf all;

    (void)unused;
    buf_init(&all, 1 << 20);
    send_text(fd, "GET /more HTTP/1.0\r\n\r\n");
    read_all(fd, &all);
    assert_int_equal(count_in(buf_span(&all), SPAN("chunk ")), 50000);
    assert_true(span_ends(buf_span(&all), SPAN("chunk ")));
    buf_fini(&all);
    fd_close(&fd);
}

static void a_body_that_fails_on_the_way_is_not_taken_for_whole(void **unused)
{
    int        fd = must_connect(&w.ep);
    struct buf all;

    (void)unused;
    buf_init(&all, 1 << 20);
    send_text(fd, GET("/less"));
    read_all(fd, &all);
    assert_true(span_starts(buf_span(&all), SPAN("HTTP/1.1 200 ")));
    assert_false(span_ends(buf_span(&all), SPAN("0\r\n\r\n")));
    AWAIT("the end is told", atomic_load(&w.more_ends) == 1);
    buf_fini(&all);
    fd_close(&fd);
}

static void a_client_that_leaves_while_chunks_are_made_leaves_nothing_behind(void **unused)
{
    (void)unused;
    for (int i = 0; i < 20; i++) {
        int fd = must_connect(&w.ep);

        send_text(fd, GET("/more"));
        if (i % 2 == 0) {
            char byte;
            assert_int_equal(recv(fd, &byte, 1, 0), 1);
        }
        fd_close(&fd);
    }
    AWAIT("all ends are told", atomic_load(&w.more_ends) == 20);
    AWAIT("no connection stays", stats().connections == 0);
}

/* ---- Streams ---------------------------------------------------------------------------------------------- */

static int open_stream(struct buf *in)
{
    int fd = must_connect(&w.ep);

    send_text(fd, GET("/stream"));
    while (span_find(buf_span(in), SPAN("data: hello\n\n")) == in->n)
        assert_true(read_some(fd, in, 1));
    return fd;
}

static bool put(struct span s) /* from another thread than the one that made it */
{
    pthread_mutex_lock(&w.lock);
    bool taken = httpd_stream_put(w.stream, s);
    pthread_mutex_unlock(&w.lock);
    return taken;
}

static void a_stream_carries_what_is_put_until_its_end(void **unused)
{
    struct buf in;
    char       event[40];

    (void)unused;
    buf_init(&in, 1 << 20);
    int fd = open_stream(&in);
    assert_true(span_find(buf_span(&in), SPAN("text/event-stream")) < in.n);
    assert_int_equal(stats().streams, 1);
    for (int i = 0; i < 200; i++) {
        snprintf(event, sizeof event, "data: %d.\n\n", i);
        assert_true(put(span_of(event)));
        if (i % 3 == 0) /* also while it sleeps */
            while (span_find(buf_span(&in), span_of(event)) == in.n)
                assert_true(read_some(fd, &in, SIZE_MAX));
    }
    pthread_mutex_lock(&w.lock);
    httpd_stream_end(&w.stream);
    pthread_mutex_unlock(&w.lock);
    while (!span_ends(buf_span(&in), SPAN("0\r\n\r\n")))
        assert_true(read_some(fd, &in, SIZE_MAX));
    assert_int_equal(count_in(buf_span(&in), SPAN("data: ")), 201);
    AWAIT("it is over", stats().streams == 0);
    fd_close(&fd);
    buf_fini(&in);
}

static void who_puts_learns_soon_that_the_client_has_gone(void **unused)
{
    struct buf in;

    (void)unused;
    buf_init(&in, 1 << 20);
    int fd = open_stream(&in);
    fd_close(&fd);
    AWAIT("nobody put anything, and yet it is known", stats().streams == 0);
    assert_false(put(SPAN("data: anybody?\n\n")));
    buf_fini(&in);
}

static void a_stream_whose_client_is_too_slow_is_cut(void **unused)
{
    struct buf in, much;

    (void)unused;
    buf_init(&in, 1 << 20);
    buf_init(&much, 50000);
    put_times_fast(&much, TEXT1000, 50);
    int fd = open_stream(&in);
    AWAIT("the sockets are full, and so is the queue", !put(buf_span(&much)));
    assert_false(put(SPAN("x")));
    AWAIT("the connection is cut", stats().connections == 0);
    fd_close(&fd);
    buf_fini(&much);
    buf_fini(&in);
}

static void *putter(void *stop_at)
{
    while (!atomic_load((atomic_bool *)stop_at)) {
        pthread_mutex_lock(&w.lock);
        if (w.stream != NULL)
            httpd_stream_put(w.stream, SPAN("data: x\n\n"));
        pthread_mutex_unlock(&w.lock);
        usleep(100);
    }
    return NULL;
}

static void many_threads_put_while_clients_come_and_go(void **unused)
{
    atomic_bool over = false;
    pthread_t   threads[3];

    (void)unused;
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_create(&threads[i], NULL, putter, &over);
    for (int i = 0; i < 60; i++) {
        struct buf in;

        buf_init(&in, 1 << 20);
        int fd = open_stream(&in);
        fd_close(&fd);
        buf_fini(&in);
    }
    atomic_store(&over, true);
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    AWAIT("all are gone", stats().streams == 0 && stats().connections == 0);
}

/* ---- Time ------------------------------------------------------------------------------------------------- */

static void start_hurried(void)
{
    struct httpd_config config = ordinary();

    config.times = (struct httpd_times){.head_ms = 300, .body_ms = 300, .idle_ms = 300, .reply_ms = 300};
    start_with(&config);
}

/* A byte now and then, for ever: until the server ends it. What it said is in `a`. */
static void drip(int fd, struct answer *a)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int           tries = PATIENCE_MS / 20;

    while (poll(&p, 1, 20) == 0 && tries-- > 0)
        send_bytes(fd, SPAN("a"));
    assert_true(tries > 0);
    read_answer(fd, a);
}

static void a_slow_drip_is_cut_in_time(void **unused)
{
    static const struct {
        const char *holds, *begin;
        int         status;
    } cases[] = {
        {"nothing but a part of the first line", "GET /", 0},
        {"the fields drip", "GET / HTTP/1.1\r\nHost: a\r\nX: ", 408},
        {"the body drips", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n", 408},
        {"a chunk drips", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n", 408},
    };
    struct answer a;

    (void)unused;
    answer_init(&a);
    start_hurried();
    for (size_t i = 0; i < COUNT(cases); i++) {
        int fd = must_connect(&w.ep);

        send_text(fd, cases[i].begin);
        drip(fd, &a);
        CHECK(cases[i].holds, a.status == cases[i].status);
        fd_close(&fd);
    }
    buf_fini(&a.raw);
}

static void a_kept_connection_is_cut_when_nothing_or_little_comes(void **unused)
{
    struct answer a;
    int           fd;

    (void)unused;
    answer_init(&a);
    start_hurried();
    fd = must_connect(&w.ep);
    assert_false(read_some(fd, &a.raw, 1)); /* never said anything */
    fd_close(&fd);
    fd = must_connect(&w.ep);
    ask(fd, GET("/"), &a);
    assert_int_equal(a.status, 200);
    assert_false(read_some(fd, &a.raw, 1));
    fd_close(&fd);
    fd = must_connect(&w.ep);
    ask(fd, GET("/"), &a);
    drip(fd, &a);
    assert_int_equal(a.status, 0);
    fd_close(&fd);
    buf_fini(&a.raw);
}

static void a_reply_that_nobody_takes_is_cut_but_a_slow_worker_is_waited_for(void **unused)
{
    struct answer a;
    int           fd, other;

    (void)unused;
    answer_init(&a);
    start_hurried();
    fd = must_connect(&w.ep);
    send_text(fd, GET("/endless"));
    other = must_connect(&w.ep);
    send_text(other, GET("/slow"));
    AWAIT("the reader who does not read is cut", stats().connections == 1);
    AWAIT("its reply is over", atomic_load(&w.served) > 0);
    usleep(700000); /* longer than every deadline */
    atomic_store(&w.gate, true);
    read_answer(other, &a);
    assert_int_equal(a.status, 200);
    fd_close(&fd);
    fd_close(&other);
    buf_fini(&a.raw);
}

static int64_t cpu_us(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * INT64_C(1000000) + u.ru_utime.tv_usec + u.ru_stime.tv_usec;
}

/* A loop that waits for nothing would take as much as one of ours, however busy the machine is. */
static bool is_quiet(void)
{
    int64_t all = cpu_us(), ours = clock_thread_cpu_us();

    while (clock_thread_cpu_us() - ours < 100000)
        ;
    return cpu_us() - all - (clock_thread_cpu_us() - ours) < 30000;
}

static void waiting_costs_no_processor_whatever_is_waited_for(void **unused)
{
    static const char *const begun[] = {
        "",
        "GET /half",
        "GET / HTTP/1.1\r\nHost: a\r\nX: half",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhalf",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHalf",
        "POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nrefused",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n",
        GET("/slow"),
        GET("/stream"),
        GET("/endless"),
        GET("/huge"),
        GET("/kept"),
    };
    int fds[COUNT(begun)];

    (void)unused;
    for (size_t i = 0; i < COUNT(begun); i++) {
        fds[i] = must_connect(&w.ep);
        send_text(fds[i], begun[i]);
    }
    AWAIT("all have begun", stats().connections == COUNT(begun) && stats().streams == 1 && atomic_load(&w.inside) == 1);
    AWAIT("all wait", is_quiet());
    for (size_t i = 0; i < COUNT(begun); i++)
        fd_close(&fds[i]);
}

/* ---- Connections ------------------------------------------------------------------------------------------ */

static void one_address_has_so_many_connections_unless_it_is_a_proxy(void **unused)
{
    struct httpd_config config = ordinary();
    struct ip_block     local;
    struct err          e = ERR_INIT;
    struct buf          in;
    int                 fds[4];

    (void)unused;
    buf_init(&in, 1000);
    config.per_ip_max = 3;
    assert_int_equal(ip_block_parse(SPAN("127.0.0.0/8"), &local, &e), 0);
    for (int trusted = 0; trusted < 2; trusted++) {
        config.trusted = &local;
        config.ntrusted = (size_t)trusted;
        start_with(&config);
        for (size_t i = 0; i < COUNT(fds); i++) {
            fds[i] = must_connect(&w.ep);
            if (i < 3 || trusted)
                AWAIT("it is taken", stats().connections == i + 1);
            else
                assert_false(read_some(fds[i], &in, 1));
        }
        for (size_t i = 0; i < COUNT(fds); i++)
            fd_close(&fds[i]);
        AWAIT("all are gone", stats().connections == 0);
        fds[0] = must_connect(&w.ep);
        AWAIT("there is room again", stats().connections == 1);
        fd_close(&fds[0]);
        stop(NULL);
    }
    buf_fini(&in);
}

static void all_together_have_a_bound_too(void **unused)
{
    struct httpd_config config = ordinary();
    struct buf          in;
    int                 fds[3];

    (void)unused;
    buf_init(&in, 1000);
    config.connections_max = 2;
    start_with(&config);
    for (size_t i = 0; i < 2; i++) {
        fds[i] = must_connect(&w.ep);
        AWAIT("it is taken", stats().connections == i + 1);
    }
    fds[2] = must_connect(&w.ep);
    assert_false(read_some(fds[2], &in, 1));
    for (size_t i = 0; i < COUNT(fds); i++)
        fd_close(&fds[i]);
    buf_fini(&in);
}

static void a_unix_socket_is_served_and_removed(void **unused)
{
    struct httpd_config config = ordinary();
    struct answer       a;
    char                address[100], dir[] = "/tmp/postern-httpd-XXXXXX";

    (void)unused;
    answer_init(&a);
    assert_non_null(mkdtemp(dir));
    snprintf(address, sizeof address, "unix:%s/s", dir);
    start_at(address, &config);
    ask_once(&w.ep, GET("/by-unix"), &a);
    assert_int_equal(a.status, 200);
    stop(NULL);
    assert_int_equal(rmdir(dir), 0);
    buf_fini(&a.raw);
}

#define MANY 10000

static bool allow_files(rlim_t n)
{
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur >= n)
        return true;
    limit.rlim_cur = n;
    limit.rlim_max = limit.rlim_max > n ? limit.rlim_max : n;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

/* Another process, so that each needs half as many descriptors: waits for the address, connects, says so, and holds on. */
static void hold_connections(int in, int out)
{
    struct endpoint ep;
    char            byte = 'y';

    if (read(in, &ep, sizeof ep) != sizeof ep)
        _exit(1);
    for (size_t i = 0; i < MANY; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);

        if (fd < 0 || connect(fd, (const struct sockaddr *)&ep.addr, ep.addr_len) < 0)
            byte = 'n';
    }
    if (write(out, &byte, 1) != 1 || read(in, &byte, 1) < 0)
        _exit(1);
    _exit(0);
}

static void ten_thousand_idle_connections_do_not_keep_others_from_being_served(void **unused)
{
    struct httpd_config config = ordinary();
    int                 there[2], back[2], status;
    struct answer       a;
    char                byte;
    pid_t               child;

    (void)unused;
    if (!allow_files(MANY + 500))
        SKIP("more than %d files are not allowed here", MANY + 500);
    answer_init(&a);
    assert_int_equal(pipe(there) | pipe(back), 0);
    if ((child = fork()) == 0)
        hold_connections(there[0], back[1]);
    config.per_ip_max = MANY + 100;
    config.times.head_ms = 600000;
    start_with(&config);
    assert_int_equal(write(there[1], &w.ep, sizeof w.ep), sizeof w.ep);
    assert_int_equal(read(back[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    AWAIT("all are there", stats().connections == MANY);
    for (int i = 0; i < 50; i++) {
        ask_once(&w.ep, GET("/besides"), &a);
        assert_int_equal(a.status, 200);
    }
    assert_int_equal(write(there[1], "x", 1), 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    AWAIT("all are gone", stats().connections == 0);
    for (size_t i = 0; i < 2; i++) {
        fd_close(&there[i]);
        fd_close(&back[i]);
    }
    buf_fini(&a.raw);
}

/* ---- Stopping --------------------------------------------------------------------------------------------- */

static void *open_gate_later(void *unused)
{
    (void)unused;
    usleep(200000);
    atomic_store(&w.gate, true);
    return NULL;
}

static void a_stop_lets_requests_end_and_closes_the_rest(void **unused)
{
    int           busy, idle, streaming;
    pthread_t     opener;
    struct answer a;
    struct buf    in;

    (void)unused;
    answer_init(&a);
    buf_init(&in, 100000);
    start(NULL);
    busy = must_connect(&w.ep);
    idle = must_connect(&w.ep);
    streaming = open_stream(&in);
    send_text(busy, GET("/slow"));
    AWAIT("it is in hand", atomic_load(&w.inside) == 1);
    pthread_create(&opener, NULL, open_gate_later, NULL);
    httpd_stop(&w.d);
    pthread_join(opener, NULL);
    read_answer(busy, &a);
    assert_int_equal(a.status, 200);
    assert_true(span_is(answer_field(&a, "Connection"), "close"));
    assert_false(read_some(idle, &a.raw, 1));
    read_all(streaming, &in);
    assert_true(span_ends(buf_span(&in), SPAN("\r\n0\r\n\r\n")));
    assert_false(put(SPAN("too late")));
    fd_close(&busy);
    fd_close(&idle);
    fd_close(&streaming);
    buf_fini(&in);
    buf_fini(&a.raw);
}

static void a_stop_cuts_what_does_not_end(void **unused)
{
    struct httpd_config config = ordinary();
    int                 fds[8];
    struct buf          in;
    pthread_t           opener;

    (void)unused;
    buf_init(&in, HUGE + 100000);
    config.times.stop_ms = 100;
    config.workers = 1;
    start_with(&config);
    for (size_t i = 0; i < COUNT(fds); i++) {
        fds[i] = must_connect(&w.ep);
        send_text(fds[i], i == 0 ? GET("/huge") : i < 5 ? GET("/slow") : "GET / HTTP/1.1\r\nHost: a\r\nX: unfinished");
        if (i == 1)
            AWAIT("one is with the worker", atomic_load(&w.inside) == 1);
    }
    AWAIT("others wait", stats().waiting >= 3);
    pthread_create(&opener, NULL, open_gate_later, NULL); /* a serve() that runs is waited for */
    httpd_stop(&w.d);
    pthread_join(opener, NULL);
    for (size_t i = 0; i < COUNT(fds); i++) {
        buf_clear(&in);
        read_all(fds[i], &in);
        assert_true(i == 0 || in.n < 10000);
        fd_close(&fds[i]);
    }
    buf_fini(&in);
}

static void an_address_in_use_is_an_error_that_names_it(void **unused)
{
    struct httpd_config config = ordinary();
    struct endpoint     second = w.ep;
    struct httpd       *d;
    struct err          e = ERR_INIT;

    (void)unused;
    config.listen = &second;
    assert_int_equal(httpd_start(&config, &d, &e), -1);
    assert_non_null(strstr(e.text, w.ep.text));
}

int main(void)
{
#define SERVED(test) cmocka_unit_test_setup_teardown(test, start, stop)
#define STARTS(test) cmocka_unit_test_teardown(test, stop)
    const struct CMUnitTest tests[] = {
        STARTS(ten_thousand_idle_connections_do_not_keep_others_from_being_served),
        SERVED(a_request_comes_to_serve_as_it_was_meant),
        SERVED(a_request_in_single_bytes_is_the_same),
        SERVED(one_connection_carries_many_requests_also_before_their_replies),
        SERVED(head_gets_the_fields_of_get_and_the_connection_goes_on),
        SERVED(head_of_what_comes_in_pieces_has_no_body_either),
        SERVED(fields_of_a_reply_are_set_once_and_cookies_add),
        SERVED(a_client_that_has_it_already_gets_304),
        SERVED(a_body_goes_in_the_coding_that_the_client_prefers),
        SERVED(what_is_not_clear_or_too_much_is_refused_and_never_served),
        SERVED(the_same_in_single_bytes),
        SERVED(a_refused_upload_hears_why_while_it_still_sends),
        SERVED(curl_waits_for_100_and_sends_its_body_then),
        STARTS(bodies_in_memory_have_a_bound_together),
        STARTS(large_bodies_that_never_end_leave_room_for_small_ones),
        STARTS(when_too_many_wait_the_next_is_told_to_come_again),
        cmocka_unit_test(a_worker_that_does_not_open_stops_the_start),
        SERVED(a_body_made_chunk_by_chunk_arrives_whole),
        SERVED(an_old_client_gets_it_without_chunks),
        SERVED(a_body_that_fails_on_the_way_is_not_taken_for_whole),
        SERVED(a_client_that_leaves_while_chunks_are_made_leaves_nothing_behind),
        SERVED(a_stream_carries_what_is_put_until_its_end),
        SERVED(who_puts_learns_soon_that_the_client_has_gone),
        SERVED(a_stream_whose_client_is_too_slow_is_cut),
        SERVED(many_threads_put_while_clients_come_and_go),
        SERVED(waiting_costs_no_processor_whatever_is_waited_for),
        STARTS(a_slow_drip_is_cut_in_time),
        STARTS(a_kept_connection_is_cut_when_nothing_or_little_comes),
        STARTS(a_reply_that_nobody_takes_is_cut_but_a_slow_worker_is_waited_for),
        cmocka_unit_test(one_address_has_so_many_connections_unless_it_is_a_proxy),
        STARTS(all_together_have_a_bound_too),
        cmocka_unit_test(a_unix_socket_is_served_and_removed),
        STARTS(a_stop_lets_requests_end_and_closes_the_rest),
        STARTS(a_stop_cuts_what_does_not_end),
        SERVED(an_address_in_use_is_an_error_that_names_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

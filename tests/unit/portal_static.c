/* tests/unit/portal_static.c - the web pages, through the HTTP server that serves them. */
#include "../../portal/static.h"

#include <pthread.h>
#include <sys/stat.h>
#include <zstd.h>

#include "httpd_world.h"
#include "net.h"

#define PAGE "<!doctype html><link href=\"@/style.css\"><script src=\"@/app.js\"></script><p>\"@/\"</p>"
#define LIBRARY "export const html = 1;\n"

static struct {
    char            dir[64], modules[80], web[80];
    struct pages   *pages;
    struct httpd   *httpd;
    struct endpoint ep;
    struct answer   a;
} w;

static void write_file(const char *dir, const char *name, const char *text)
{
    struct err e = ERR_INIT;
    char       path[300];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    *strrchr(path, '/') = '\0';
    assert_int_equal(fd_mkdirs(path, 0755, &e), 0);
    path[strlen(path)] = '/';
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static size_t no_body(void *ctx, enum httpd_method method, struct span path)
{
    (void)ctx;
    (void)method;
    (void)path;
    return 100;
}

static void serve(void *ctx, void *worker, const struct httpd_request *r, struct httpd_reply *out)
{
    (void)ctx;
    (void)worker;
    pages_serve(w.pages, r, out);
}

static char long_script[20001];

static void write_world(void)
{
    snprintf(w.dir, sizeof w.dir, "/tmp/postern-static-XXXXXX");
    assert_non_null(mkdtemp(w.dir));
    snprintf(w.web, sizeof w.web, "%s/web", w.dir);
    snprintf(w.modules, sizeof w.modules, "%s/npm", w.dir);
    memset(long_script, 'x', sizeof long_script - 1);
    write_file(w.web, "index.html", PAGE);
    write_file(w.web, "app.js", long_script);
    write_file(w.web, "style.css", "p{}\n");
    write_file(w.web, "pages/mail.js", "import \"../app.js\";\n");
    write_file(w.web, "empty.txt", "");
    write_file(w.web, ".secret.js", "hidden\n");
    write_file(w.web, "notes.md", "no page\n");
    write_file(w.web, "modules/other.js", "not ours\n");
    write_file(w.modules, "htm/preact/standalone.module.js", LIBRARY);
    write_file(w.dir, "outside.js", "outside\n");
    char link[100], to[100];
    snprintf(link, sizeof link, "%s/link.js", w.web);
    snprintf(to, sizeof to, "%s/outside.js", w.dir);
    assert_int_equal(symlink(to, link), 0);
}

static int start(void **unused)
{
    struct httpd_config config = {.listen = &w.ep, .nlisten = 1, .workers = 2, .body_max = no_body, .serve = serve};
    struct err          e = ERR_INIT;

    (void)unused;
    write_world();
    answer_init(&w.a);
    if (pages_load(w.web, w.modules, &w.pages, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(endpoint_parse("127.0.0.1:0", &w.ep, NULL, &e), 0);
    assert_int_equal(httpd_start(&config, &w.httpd, &e), 0);
    return 0;
}

static int stop(void **unused)
{
    char command[100];

    (void)unused;
    httpd_stop(&w.httpd);
    pages_free(&w.pages);
    assert_null(w.pages);
    buf_fini(&w.a.raw);
    snprintf(command, sizeof command, "rm -rf %s", w.dir);
    return system(command);
}

static void get(const char *path, const char *fields)
{
    char request[500];

    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: h\r\n%s\r\n", path, fields);
    ask_once(&w.ep, request, &w.a);
}

/* "/a/VERSION/" as the page names it. */
static void version_path(char *out, size_t n, const char *name)
{
    get("/", "");
    size_t      at = span_find(w.a.body, SPAN("/a/"));
    struct span rest = span_skip(w.a.body, at + 3);

    assert_true(at < w.a.body.n);
    snprintf(out, n, "/a/%.*s/%s", SPAN_ARG(span_head(rest, span_chr(rest, '/'))), name);
}

static void the_page_names_its_files_by_their_version(void **unused)
{
    char want[300], version[60];

    (void)unused;
    version_path(version, sizeof version, "");
    snprintf(want, sizeof want,
             "<!doctype html><link href=\"%sstyle.css\"><script src=\"%sapp.js\"></script><p>\"%s\"</p>", version,
             version, version);
    check_same("the page", w.a.body, span_of(want));
    assert_true(span_is(answer_field(&w.a, "Cache-Control"), "no-cache"));
    assert_true(span_is(answer_field(&w.a, "Content-Type"), "text/html; charset=utf-8"));
}

static const struct {
    const char *name, *type, *body; /* body NULL: the long script */
} files[] = {
    {"app.js", "text/javascript; charset=utf-8", NULL},
    {"style.css", "text/css; charset=utf-8", "p{}\n"},
    {"pages/mail.js", "text/javascript; charset=utf-8", "import \"../app.js\";\n"},
    {"modules/preact.js", "text/javascript; charset=utf-8", LIBRARY},
    {"empty.txt", "text/plain; charset=utf-8", ""},
};

static void a_file_of_this_version_may_be_kept_for_ever(void **unused)
{
    char path[100], plain[100];

    (void)unused;
    for (size_t i = 0; i < COUNT(files); i++) {
        struct span body = span_of(files[i].body != NULL ? files[i].body : long_script);

        version_path(path, sizeof path, files[i].name);
        get(path, "");
        CHECK(files[i].name, w.a.status == 200 && span_eq(w.a.body, body));
        CHECK(files[i].name, span_is(answer_field(&w.a, "Content-Type"), files[i].type));
        CHECK(files[i].name, span_is(answer_field(&w.a, "Cache-Control"), "public, max-age=31536000, immutable"));
        snprintf(plain, sizeof plain, "/%s", files[i].name);
        get(plain, "");
        CHECK(files[i].name, w.a.status == 200 && span_eq(w.a.body, body));
        CHECK(files[i].name, span_is(answer_field(&w.a, "Cache-Control"), "no-cache"));
    }
}

static void what_is_no_file_is_the_page_and_what_claims_to_be_one_is_404(void **unused)
{
    static const char *const routes[] = {
        "/mail", "/mail/123/why", "/notes.md", "/.secret.js", "/modules/other.js", "/link.js", "/a", "/index.htm"};
    static const char *const none[] = {"/a/0123456789abcdef/app.js", "/a/", "/a/x"};
    char                     path[100];

    (void)unused;
    for (size_t i = 0; i < COUNT(routes); i++) {
        get(routes[i], "");
        CHECK(routes[i], w.a.status == 200 && span_starts(w.a.body, SPAN("<!doctype html>")));
        CHECK(routes[i], span_is(answer_field(&w.a, "Content-Type"), "text/html; charset=utf-8"));
    }
    for (size_t i = 0; i < COUNT(none); i++) {
        get(none[i], "");
        CHECK(none[i], w.a.status == 404 && span_is(answer_field(&w.a, "Cache-Control"), "no-store"));
    }
    version_path(path, sizeof path, "none.js");
    get(path, "");
    assert_int_equal(w.a.status, 404);
    ask_once(&w.ep, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", &w.a);
    assert_int_equal(w.a.status, 405);
    assert_true(span_is(answer_field(&w.a, "Allow"), "GET, HEAD"));
}

static void a_file_goes_packed_with_an_etag_for_each_coding(void **unused)
{
    static const struct {
        const char *fields, *coding;
    } cases[] = {{"", NULL}, {"Accept-Encoding: gzip\r\n", "gzip"}, {"Accept-Encoding: gzip, zstd\r\n", "zstd"}};
    char        etags[COUNT(cases)][100], fields[500];
    static char out[sizeof long_script];

    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++) {
        get("/app.js", cases[i].fields);
        struct span coding = answer_field(&w.a, "Content-Encoding"), etag = answer_field(&w.a, "ETag");

        assert_true(cases[i].coding == NULL ? coding.p == NULL : span_is(coding, cases[i].coding));
        assert_true(span_is(answer_field(&w.a, "Vary"), "Accept-Encoding"));
        assert_true(etag.n >= 45 && etag.n < 100 && etag.p[0] == '"');
        snprintf(etags[i], sizeof etags[i], "%.*s", SPAN_ARG(etag));
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(etags[i], etags[j]);
        assert_true(cases[i].coding == NULL || w.a.body.n < 200);
        if (i == 2) {
            assert_int_equal(ZSTD_decompress(out, sizeof out, w.a.body.p, w.a.body.n), sizeof long_script - 1);
            assert_memory_equal(out, long_script, sizeof long_script - 1);
        }
        snprintf(fields, sizeof fields, "%sIf-None-Match: \"x\", %s\r\n", cases[i].fields, etags[i]);
        get("/app.js", fields);
        assert_int_equal(w.a.status, 304);
    }
    get("/style.css", "Accept-Encoding: gzip\r\n"); /* it would not get smaller */
    assert_null(answer_field(&w.a, "Content-Encoding").p);
}

static void a_new_reading_is_a_new_version_and_a_failed_one_changes_nothing(void **unused)
{
    struct err e = ERR_INIT;
    char       before[100], after[100];

    (void)unused;
    version_path(before, sizeof before, "style.css");
    assert_int_equal(pages_reload(w.pages, w.web, w.modules, &e), 0);
    version_path(after, sizeof after, "style.css");
    assert_string_equal(before, after);
    write_file(w.web, "style.css", "p{color:red}\n");
    assert_int_equal(pages_reload(w.pages, w.web, w.modules, &e), 0);
    version_path(after, sizeof after, "style.css");
    assert_string_not_equal(before, after);
    get(after, "");
    check_same("the new file", w.a.body, SPAN("p{color:red}\n"));
    get(before, "");
    assert_int_equal(w.a.status, 404);
    assert_int_equal(pages_reload(w.pages, w.web, "/nonexistent", &e), -1);
    assert_non_null(strstr(e.text, "npm"));
    get(after, "");
    assert_int_equal(w.a.status, 200);
}

static void *reload_often(void *unused)
{
    struct err e = ERR_INIT;

    (void)unused;
    for (int i = 0; i < 20; i++)
        if (pages_reload(w.pages, w.web, w.modules, &e) < 0)
            panic("%s", e.text);
    return NULL;
}

static void pages_are_read_again_while_they_are_served(void **unused)
{
    pthread_t thread;

    (void)unused;
    pthread_create(&thread, NULL, reload_often, NULL);
    for (int i = 0; i < 100; i++) {
        get("/app.js", "");
        assert_int_equal(w.a.body.n, sizeof long_script - 1);
    }
    pthread_join(thread, NULL);
}

static void pages_without_an_index_or_too_many_of_them_do_not_load(void **unused)
{
    struct pages *p;
    struct err    e = ERR_INIT;
    char          name[40], dir[100];

    (void)unused;
    assert_int_equal(pages_load("/nonexistent", w.modules, &p, &e), -1);
    assert_null(p);
    snprintf(dir, sizeof dir, "%s/bare", w.dir);
    write_file(dir, "app.js", "x");
    assert_int_equal(pages_load(dir, w.modules, &p, &e), -1);
    assert_non_null(strstr(e.text, "index.html"));
    for (int i = 0; i < 501; i++) {
        snprintf(name, sizeof name, "%d.js", i);
        write_file(dir, name, "x");
    }
    assert_int_equal(pages_load(dir, w.modules, &p, &e), -1);
    assert_non_null(strstr(e.text, "500"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_page_names_its_files_by_their_version),
        cmocka_unit_test(a_file_of_this_version_may_be_kept_for_ever),
        cmocka_unit_test(what_is_no_file_is_the_page_and_what_claims_to_be_one_is_404),
        cmocka_unit_test(a_file_goes_packed_with_an_etag_for_each_coding),
        cmocka_unit_test(a_new_reading_is_a_new_version_and_a_failed_one_changes_nothing),
        cmocka_unit_test(pages_are_read_again_while_they_are_served),
        cmocka_unit_test(pages_without_an_index_or_too_many_of_them_do_not_load),
    };

    return cmocka_run_group_tests(tests, start, stop);
}

/* lib/net/object_store.c - see object_store.h. */
#include "net/object_store.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

#define CONNECT_S 10L
#define STALL_S 30L /* without a byte: it is lost */
#define OBJECT_MAX (INT64_C(4) << 30)
#define SAID_MAX ((size_t)8 << 20) /* a page of a list; of an error the start is enough */
#define HANDLES 4
#define PAGES_MAX 20000 /* of 1,000 names */
#define NOTHING_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* Owns its texts and idle handles. */
struct object_store {
    char           *base;    /* "https://HOST/BUCKET/" */
    char           *prefix;  /* "" or "PREFIX/" */
    char           *signing; /* what to sign with: "aws:amz:REGION:s3" */
    char            id[256], secret[256];
    pthread_mutex_t lock; /* guards idle and nidle */
    CURL           *idle[HANDLES];
    size_t          nidle;
};

static void init_curl(void)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        panic("libcurl does not start");
}

/* ---- the address --------------------------------------------------------------------------------------------------- */

static int read_line(struct object_store *s, struct span line)
{
    static const struct span id = {"access_key=", 11}, secret = {"secret_key=", 11};
    char                    *to;

    line = span_trim(line);
    if (line.n == 0)
        return 0;
    if (!span_starts(line, id) && !span_starts(line, secret))
        return -1;
    to = span_starts(line, id) ? s->id : s->secret;
    line = span_skip(line, id.n);
    if (line.n == 0 || line.n >= sizeof s->id)
        return -1;
    memcpy(to, line.p, line.n);
    to[line.n] = '\0';
    return 0;
}

static int read_credentials(struct object_store *s, const char *path, struct err *e)
{
    struct stat st;
    struct buf  text;
    struct span rest, line;
    int         rc;

    if (stat(path, &st) < 0)
        return err_errno(e, "read the credentials in %s", path);
    if ((st.st_mode & 0037) != 0)
        return err_set(e, ERR_INVALID, "the credentials in %s are not safe with mode %04o; chmod 0400 them", path,
                       (unsigned)(st.st_mode & 07777));
    buf_init(&text, 4096);
    rc = fd_read_file(path, text.max, &text, e);
    rest = buf_span(&text);
    while (rc == 0 && span_line(&rest, &line)) {
        if (read_line(s, line) < 0)
            rc = err_set(e, ERR_INVALID, "the credentials in %s have lines access_key=… and secret_key=…", path);
    }
    explicit_bzero(text.p, text.n);
    buf_fini(&text);
    return rc;
}

static void read_environment(struct object_store *s)
{
    const char *id = getenv("AWS_ACCESS_KEY_ID"), *secret = getenv("AWS_SECRET_ACCESS_KEY");

    if (id != NULL && secret != NULL) {
        snprintf(s->id, sizeof s->id, "%s", id);
        snprintf(s->secret, sizeof s->secret, "%s", secret);
    }
}

static bool is_word(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '-'))
            return false;
    }
    return s.n > 0;
}

static int read_query(struct object_store *s, struct span query, struct err *e)
{
    char        path[PATH_MAX] = "", text[128];
    struct span word, region = SPAN_NONE;

    while (span_next(&query, '&', &word)) {
        if (span_starts(word, SPAN("region=")))
            region = span_skip(word, 7);
        else if (span_starts(word, SPAN("credentials=")) && word.n - 12 < sizeof path)
            memcpy(path, word.p + 12, word.n - 12);
    }
    if (!is_word(region) || region.n > 64)
        return err_set(e, ERR_INVALID, "the address of a bucket needs ?region=…, such as eu-central-1");
    snprintf(text, sizeof text, "aws:amz:%.*s:s3", SPAN_ARG(region));
    s->signing = span_strdup(span_of(text));
    if (path[0] != '\0' && read_credentials(s, path, e) < 0)
        return -1;
    if (path[0] == '\0')
        read_environment(s);
    if (s->id[0] == '\0' || s->secret[0] == '\0')
        return err_set(e, ERR_INVALID,
                       "there are no credentials for the bucket: set AWS_ACCESS_KEY_ID and "
                       "AWS_SECRET_ACCESS_KEY, or add &credentials=FILE to its address");
    return 0;
}

/* "HOST/BUCKET" or "HOST/BUCKET/PREFIX", behind the scheme. */
static int read_place(struct object_store *s, const char *scheme, struct span place, struct err *e)
{
    size_t      slash = span_chr(place, '/');
    struct span host = span_head(place, slash), bucket = span_skip(place, slash + 1), prefix;
    char        text[1024];

    slash = span_chr(bucket, '/');
    prefix = span_skip(bucket, slash + 1);
    bucket = span_head(bucket, slash);
    while (prefix.n > 0 && prefix.p[prefix.n - 1] == '/')
        prefix.n--;
    if (host.n == 0 || bucket.n == 0 || host.n + bucket.n + prefix.n > sizeof text - 16)
        return err_set(e, ERR_INVALID, "the address of a bucket is s3+https://HOST/BUCKET?region=…");
    snprintf(text, sizeof text, "%s://%.*s/%.*s/", scheme, SPAN_ARG(host), SPAN_ARG(bucket));
    s->base = span_strdup(span_of(text));
    snprintf(text, sizeof text, "%.*s%s", SPAN_ARG(prefix), prefix.n > 0 ? "/" : "");
    s->prefix = span_strdup(span_of(text));
    return 0;
}

static int read_address(struct object_store *s, struct span url, struct err *e)
{
    size_t      query = span_chr(url, '?');
    struct span place = span_head(url, query);
    bool        tls = span_starts(place, SPAN("s3+https://"));

    if (!tls && !span_starts(place, SPAN("s3+http://")))
        return err_set(e, ERR_INVALID, "the address of a bucket is s3+https://HOST/BUCKET?region=…");
    if (read_place(s, tls ? "https" : "http", span_skip(place, tls ? 11 : 10), e) < 0)
        return -1;
    return read_query(s, span_skip(url, query + 1), e);
}

int object_store_new(const char *url, struct object_store **out, struct err *e)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct object_store  *s = calloc(1, sizeof *s);

    pthread_once(&once, init_curl);
    *out = NULL;
    if (s == NULL)
        panic("out of memory");
    pthread_mutex_init(&s->lock, NULL);
    if (read_address(s, span_of(url), e) < 0) {
        object_store_free(&s);
        return -1;
    }
    *out = s;
    return 0;
}

void object_store_free(struct object_store **at)
{
    struct object_store *s = *at;

    if (s == NULL)
        return;
    *at = NULL;
    for (size_t i = 0; i < s->nidle; i++)
        curl_easy_cleanup(s->idle[i]);
    pthread_mutex_destroy(&s->lock);
    explicit_bzero(s->secret, sizeof s->secret);
    free(s->base);
    free(s->prefix);
    free(s->signing);
    free(s);
}

/* ---- one request --------------------------------------------------------------------------------------------------- */

/* Handles are used again for the sake of their connections. */
static CURL *take_handle(struct object_store *s)
{
    CURL *c = NULL;

    pthread_mutex_lock(&s->lock);
    if (s->nidle > 0)
        c = s->idle[--s->nidle];
    pthread_mutex_unlock(&s->lock);
    if (c == NULL && (c = curl_easy_init()) == NULL)
        panic("out of memory");
    return c;
}

static void give_back(struct object_store *s, CURL *c)
{
    curl_easy_reset(c);
    pthread_mutex_lock(&s->lock);
    if (s->nidle < HANDLES) {
        s->idle[s->nidle++] = c;
        c = NULL;
    }
    pthread_mutex_unlock(&s->lock);
    if (c != NULL)
        curl_easy_cleanup(c);
}

struct request {
    const char    *method, *doing; /* doing: for errors */
    const char    *name;           /* of the object; NULL: the bucket, with */
    const char    *query;
    const uint8_t *sha256; /* of the body; NULL: none */
    int            body;   /* a file; -1: none */
    size_t         front;  /* only so many bytes; 0: all */

    /* what comes of it */
    CURL      *curl;
    int        to;     /* a file; -1: into `said` */
    struct buf said;   /* an error's text too */
    int64_t    got;    /* bytes */
    int64_t    size;   /* of the object, by Content-Range; -1: not told */
    bool       enough; /* we stopped it ourselves */
    struct err err;    /* of writing to the file */
    long       status;
};

static size_t on_read(char *to, size_t size, size_t n, void *ctx)
{
    struct request *r = ctx;
    ssize_t         got;

    do
        got = read(r->body, to, size * n);
    while (got < 0 && errno == EINTR);
    return got < 0 ? CURL_READFUNC_ABORT : (size_t)got;
}

static size_t on_write(char *from, size_t size, size_t n, void *ctx)
{
    struct request *r = ctx;
    struct span     bytes = span_make(from, size * n);
    long            status = 0;

    curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &status);
    r->got += (int64_t)bytes.n;
    if (r->to >= 0 && status == 200)
        return r->got <= OBJECT_MAX && fd_write_all(r->to, bytes, &r->err) == 0 ? bytes.n : 0;
    if (r->front > 0)
        bytes = span_head(bytes, r->front - r->said.n);
    buf_put(&r->said, bytes);
    r->enough = r->front > 0 && r->said.n == r->front;
    return r->enough || r->said.failed ? 0 : size * n;
}

/* "Content-Range: bytes 0-99/1234" */
static size_t on_header(char *from, size_t size, size_t n, void *ctx)
{
    struct request *r = ctx;
    struct span     line = span_trim(span_make(from, size * n));
    uint64_t        v;

    if (span_starts_ci(line, SPAN("Content-Range:")) && span_u64(span_skip(line, span_rchr(line, '/') + 1), &v) &&
        v <= INT64_MAX)
        r->size = (int64_t)v;
    return size * n;
}

static void set_body(CURL *c, struct request *r)
{
    struct stat st;

    if (r->body < 0) {
        curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, r->method);
        return;
    }
    if (fstat(r->body, &st) < 0)
        st.st_size = 0;
    curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)st.st_size);
    curl_easy_setopt(c, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(c, CURLOPT_READDATA, r);
}

static struct curl_slist *set_headers(CURL *c, const struct request *r)
{
    char               text[128] = "x-amz-content-sha256: " NOTHING_SHA256;
    struct curl_slist *list;

    for (size_t i = 0; r->sha256 != NULL && i < 32; i++)
        snprintf(text + 22 + 2 * i, 3, "%02x", r->sha256[i]);
    list = curl_slist_append(NULL, text);
    list = curl_slist_append(list, "Expect:");
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, list);
    return list;
}

static void set_all(struct object_store *s, struct request *r, const char *url)
{
    CURL *c = r->curl;
    char  range[32];

    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, CONNECT_S);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, STALL_S);
    curl_easy_setopt(c, CURLOPT_AWS_SIGV4, s->signing);
    curl_easy_setopt(c, CURLOPT_USERNAME, s->id);
    curl_easy_setopt(c, CURLOPT_PASSWORD, s->secret);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_write);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, r);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, r);
    if (r->front > 0) {
        snprintf(range, sizeof range, "0-%zu", r->front - 1);
        curl_easy_setopt(c, CURLOPT_RANGE, range);
    }
    set_body(c, r);
}

/* "<Code>AccessDenied</Code>" */
static struct span between(struct span text, struct span open, struct span close)
{
    struct span s = span_skip(text, span_find(text, open));

    s = span_skip(s, open.n);
    return span_head(s, span_find(s, close));
}

static int judge(const struct request *r, struct err *e)
{
    struct span   code = between(buf_span(&r->said), SPAN("<Code>"), SPAN("</Code>"));
    enum err_code kind = r->status == 404   ? ERR_NOT_FOUND
                         : r->status == 403 ? ERR_DENIED
                         : r->status >= 500 ? ERR_LOST
                                            : ERR_PROTOCOL;

    if (r->status / 100 == 2)
        return 0;
    if (r->status == 404 && span_is(code, "NoSuchBucket"))
        kind = ERR_INVALID;
    return err_set(e, kind, "%s: the bucket says %ld %.*s", r->doing, r->status, SPAN_ARG(span_head(code, 100)));
}

static int perform(struct object_store *s, struct request *r, struct err *e)
{
    struct curl_slist *headers;
    struct buf         url;
    CURLcode           rc;

    buf_init(&url, 8192);
    buf_puts(&url, s->base);
    if (r->name != NULL)
        buf_printf(&url, "%s%s", s->prefix, r->name);
    else
        buf_printf(&url, "?%s", r->query);
    r->curl = take_handle(s);
    r->size = -1;
    set_all(s, r, url.p);
    headers = set_headers(r->curl, r);
    rc = curl_easy_perform(r->curl);
    curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &r->status);
    if (r->front > 0 && r->size < 0 && r->status == 200) { /* it does not know ranges */
        curl_off_t length = -1;

        curl_easy_getinfo(r->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
        r->size = length;
    }
    give_back(s, r->curl);
    curl_slist_free_all(headers);
    buf_fini(&url);
    if (r->err.code != ERR_NONE) {
        if (e != NULL)
            *e = r->err;
        return -1;
    }
    if (rc != CURLE_OK && !r->enough)
        return err_set(e, ERR_LOST, "%s at %s: %s", r->doing, s->base, curl_easy_strerror(rc));
    return judge(r, e);
}

/* ---- what can be asked --------------------------------------------------------------------------------------------- */

int object_store_put(struct object_store *s, const char *name, int fd, const uint8_t sha256[32], struct err *e)
{
    struct request r = {
        .method = "PUT", .doing = "put into the bucket", .name = name, .sha256 = sha256, .body = fd, .to = -1};
    int rc;

    if (lseek(fd, 0, SEEK_SET) < 0)
        return err_errno(e, "read what goes into the bucket");
    buf_init(&r.said, SAID_MAX);
    rc = perform(s, &r, e);
    buf_fini(&r.said);
    return rc;
}

int object_store_get(struct object_store *s, const char *name, int fd, struct err *e)
{
    struct request r = {.method = "GET", .doing = "get from the bucket", .name = name, .body = -1, .to = fd};
    int            rc;

    buf_init(&r.said, SAID_MAX);
    rc = perform(s, &r, e);
    buf_fini(&r.said);
    return rc;
}

int object_store_front(struct object_store *s, const char *name, size_t n, struct buf *out, uint64_t *size_out,
                       struct err *e)
{
    struct request r = {
        .method = "GET", .doing = "look into the bucket", .name = name, .body = -1, .to = -1, .front = n};
    int rc;

    buf_init(&r.said, n > SAID_MAX ? n : SAID_MAX);
    rc = perform(s, &r, e);
    if (rc < 0 && r.status == 416) { /* it has no first byte */
        r.size = 0;
        r.said.n = 0;
        rc = 0;
    }
    if (rc == 0 && r.size < 0)
        rc = err_set(e, ERR_PROTOCOL, "%s: it does not say how large %s is", r.doing, name);
    if (rc == 0)
        buf_put(out, buf_span(&r.said));
    *size_out = r.size > 0 ? (uint64_t)r.size : 0;
    buf_fini(&r.said);
    return rc;
}

int object_store_delete(struct object_store *s, const char *name, struct err *e)
{
    struct request r = {.method = "DELETE", .doing = "delete from the bucket", .name = name, .body = -1, .to = -1};
    struct err     why = ERR_INIT;
    int            rc;

    buf_init(&r.said, SAID_MAX);
    rc = perform(s, &r, &why);
    buf_fini(&r.said);
    if (rc < 0 && why.code == ERR_NOT_FOUND)
        return 0;
    if (rc < 0 && e != NULL)
        *e = why;
    return rc;
}

/* As signatures want it: nothing but these goes unencoded. */
static void put_encoded(struct buf *b, struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-._~", c) != NULL)
            buf_putc(b, (char)c);
        else
            buf_printf(b, "%%%02X", c);
    }
}

/* In the order of the alphabet, which is what is signed. */
static void put_query(struct buf *b, const struct object_store *s, const char *prefix, bool folders, struct span from)
{
    buf_clear(b);
    if (from.n > 0) {
        buf_puts(b, "continuation-token=");
        put_encoded(b, from);
        buf_putc(b, '&');
    }
    if (folders)
        buf_puts(b, "delimiter=%2F&");
    buf_puts(b, "list-type=2&prefix=");
    put_encoded(b, span_of(s->prefix));
    put_encoded(b, span_of(prefix));
}

/* Each <Key> of a page, or each <Prefix> within <CommonPrefixes>. 1: fn wants no more. */
static int each_name(const struct object_store *s, struct span page, bool folders, object_store_fn fn, void *ctx)
{
    struct span open = folders ? SPAN("<CommonPrefixes>") : SPAN("<Contents>"),
                close = folders ? SPAN("</CommonPrefixes>") : SPAN("</Contents>"),
                word = folders ? SPAN("<Prefix>") : SPAN("<Key>"), end = folders ? SPAN("</Prefix>") : SPAN("</Key>");

    for (size_t at = span_find(page, open); at < page.n; at = span_find(page, open)) {
        struct span one, name;

        page = span_skip(page, at + open.n);
        one = span_head(page, span_find(page, close));
        name = between(one, word, end);
        if (span_starts(name, span_of(s->prefix)) && fn(ctx, span_skip(name, strlen(s->prefix))) != 0)
            return 1;
        page = span_skip(page, one.n);
    }
    return 0;
}

int object_store_list(struct object_store *s, const char *prefix, bool folders, object_store_fn fn, void *ctx,
                      struct err *e)
{
    struct buf  query, page;
    struct span from = SPAN_NONE;
    int         rc, pages = 0;

    buf_init(&query, 4096);
    buf_init(&page, SAID_MAX);
    do {
        put_query(&query, s, prefix, folders, from);
        buf_fini(&page);
        struct request r = {
            .method = "GET", .doing = "list the bucket", .query = query.p, .body = -1, .to = -1, .said = page};

        rc = query.failed || pages++ == PAGES_MAX ? err_set(e, ERR_LIMIT, "%s: there is no end to it", r.doing)
                                                  : perform(s, &r, e);
        page = r.said;
        if (rc == 0)
            rc = each_name(s, buf_span(&page), folders, fn, ctx);
        from = between(buf_span(&page), SPAN("<NextContinuationToken>"), SPAN("</NextContinuationToken>"));
    } while (rc == 0 && from.n > 0);
    buf_fini(&page);
    buf_fini(&query);
    return rc < 0 ? -1 : 0;
}

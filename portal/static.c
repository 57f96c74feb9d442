/* portal/static.c - see static.h. All that was read at one time is one set: counted, immutable, and swapped as a whole. */
#include "static.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/fd.h"
#include "base/map.h"
#include "base/secret.h"

#define FILES_MAX 500
#define FILE_MAX ((size_t)4 << 20)
#define DEPTH_MAX 8
#define SET_MAX ((size_t)512 << 20)
#define VERSION_TEXT 16 /* characters of its hash */
#define ETAG_TEXT (SECRET_TOKEN_TEXT + 8)

#define KEEP_FOR_EVER "public, max-age=31536000, immutable"
#define ASK_ANEW "no-cache"

static const struct type {
    const char *ending, *content_type;
    bool        packs; /* it gets smaller by compression */
} types[] = {
    {".html", "text/html; charset=utf-8", true},
    {".js", "text/javascript; charset=utf-8", true},
    {".css", "text/css; charset=utf-8", true},
    {".svg", "image/svg+xml", true},
    {".webmanifest", "application/manifest+json", true},
    {".txt", "text/plain; charset=utf-8", true},
    {".ico", "image/x-icon", true},
    {".png", "image/png", false},
    {".webp", "image/webp", false},
    {".woff2", "font/woff2", false},
};

/* What the pages import beside their own files: its name there, and where npm puts it. */
static const struct module {
    const char *name, *installed;
} modules[] = {
    {"modules/preact.js", "htm/preact/standalone.module.js"},
};

struct page {
    struct span        name; /* "pages/mail.js" */
    const struct type *type;
    uint8_t            hash[SECRET_HASH];
    struct form {
        struct span bytes; /* p NULL: not in this coding */
        char        etag[ETAG_TEXT + 1];
    } forms[HTTPD_ZSTD + 1];
};

/* Borrowed by replies under way: each counts, and so does `pages` while the set is in use. */
struct page_set {
    struct pages *owner;
    unsigned      refs; /* under owner's lock */
    struct arena  arena;
    struct page  *pages[FILES_MAX];
    size_t        n;
    struct map    by_path; /* "/NAME" and "/a/VERSION/NAME" */
    char          version[SECRET_TOKEN_TEXT + 1];
    struct page  *index;
};

struct pages {
    pthread_mutex_t  lock;
    struct page_set *set;
};

/* ---- Reading ---------------------------------------------------------------------------------------------- */

static const struct type *type_of(struct span name)
{
    for (size_t i = 0; i < COUNT(types); i++)
        if (span_ends(name, span_of(types[i].ending)))
            return &types[i];
    return NULL;
}

static int put_page(struct page_set *set, struct span name, struct span bytes, struct err *e)
{
    struct page *p = arena_zalloc(&set->arena, sizeof *p);

    if (set->n == FILES_MAX)
        return err_set(e, ERR_LIMIT, "there are more than %d files", FILES_MAX);
    if (p != NULL) {
        p->name = arena_dup(&set->arena, name);
        p->type = type_of(name);
        p->forms[HTTPD_PLAIN].bytes = arena_dup(&set->arena, bytes);
        set->pages[set->n++] = p;
    }
    return set->arena.full ? err_set(e, ERR_LIMIT, "the files are too large together") : 0;
}

static int read_file(struct page_set *set, const char *path, struct span name, struct err *e)
{
    struct buf bytes;
    int        rc;

    buf_init(&bytes, FILE_MAX + 1);
    rc = fd_read_file(path, FILE_MAX, &bytes, e);
    if (rc == 0)
        rc = put_page(set, name, buf_span(&bytes), e);
    buf_fini(&bytes);
    return rc;
}

static bool is_skipped(const char *name, bool top)
{
    return name[0] == '.' || (top && (strcmp(name, "modules") == 0 || strcmp(name, "node_modules") == 0));
}

/* prefix: what the names of this folder's files begin with, "" or "pages/". */
static int read_folder(struct page_set *set, const char *path, const char *prefix, int depth, struct err *e)
{
    DIR           *dir = opendir(path);
    struct dirent *d;
    int            rc = 0;

    if (dir == NULL)
        return err_errno(e, "read %s", path);
    if (depth > DEPTH_MAX)
        rc = err_set(e, ERR_LIMIT, "%s lies too deep", path);
    while (rc == 0 && (d = readdir(dir)) != NULL) {
        struct span below = arena_printf(&set->arena, "%s/%s", path, d->d_name);
        struct span name = arena_printf(&set->arena, "%s%s", prefix, d->d_name);
        struct stat st;

        if (set->arena.full)
            rc = err_set(e, ERR_LIMIT, "the files below %s are too many", path);
        else if (is_skipped(d->d_name, depth == 0))
            continue;
        else if (lstat(below.p, &st) < 0)
            rc = err_errno(e, "look at %s", below.p);
        else if (S_ISDIR(st.st_mode))
            rc = read_folder(set, below.p, arena_printf(&set->arena, "%s/", name.p).p, depth + 1, e);
        else if (S_ISREG(st.st_mode) && type_of(name) != NULL)
            rc = read_file(set, below.p, name, e);
    }
    closedir(dir);
    return rc;
}

static int read_modules(struct page_set *set, const char *dir, struct err *e)
{
    for (size_t i = 0; i < COUNT(modules); i++) {
        struct span path = arena_printf(&set->arena, "%s/%s", dir, modules[i].installed);

        if (read_file(set, path.p, span_of(modules[i].name), e) < 0)
            return err_wrap(e, "the pages' libraries ([portal] modules; npm installs them)");
    }
    return 0;
}

/* ---- Preparing -------------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    return span_cmp((*(struct page *const *)a)->name, (*(struct page *const *)b)->name);
}

static struct span hash_span(const struct page *p) { return span_make(p->hash, sizeof p->hash); }

static void make_version(struct page_set *set)
{
    struct span parts[2 * FILES_MAX];
    uint8_t     hash[SECRET_HASH];

    qsort(set->pages, set->n, sizeof(struct page *), by_name);
    for (size_t i = 0; i < set->n; i++) {
        struct page *p = set->pages[i];

        secret_hash(p->forms[HTTPD_PLAIN].bytes, p->hash);
        parts[2 * i] = p->name;
        parts[2 * i + 1] = hash_span(p);
    }
    secret_hash_parts(parts, 2 * set->n, hash);
    secret_text(span_make(hash, sizeof hash), set->version);
    set->version[VERSION_TEXT] = '\0';
}

/* "@/ becomes "/a/VERSION/. */
static void name_version(struct page_set *set)
{
    struct form *form = &set->index->forms[HTTPD_PLAIN];
    struct span  rest = form->bytes;
    struct buf   out;

    buf_init(&out, 2 * FILE_MAX);
    while (rest.n > 0) {
        size_t at = span_find(rest, SPAN("\"@/"));

        buf_put(&out, span_head(rest, at));
        if (at < rest.n)
            buf_printf(&out, "\"/a/%s/", set->version);
        rest = span_skip(rest, at + 3);
    }
    form->bytes = arena_dup(&set->arena, buf_span(&out));
    secret_hash(form->bytes, set->index->hash);
    buf_fini(&out);
}

static void make_forms(struct page_set *set, struct page *p)
{
    struct span plain = p->forms[HTTPD_PLAIN].bytes;
    char        hash[SECRET_TOKEN_TEXT + 1];

    secret_text(hash_span(p), hash);
    snprintf(p->forms[HTTPD_PLAIN].etag, sizeof p->forms[HTTPD_PLAIN].etag, "\"%s\"", hash);
    for (enum httpd_coding c = HTTPD_GZIP; c <= HTTPD_ZSTD && p->type->packs; c++) {
        struct buf packed;

        buf_init(&packed, FILE_MAX);
        if (httpd_encode(c, true, plain, &packed) == 0)
            p->forms[c].bytes = arena_dup(&set->arena, buf_span(&packed));
        snprintf(p->forms[c].etag, sizeof p->forms[c].etag, "\"%s-%s\"", hash, httpd_coding_words[c]);
        buf_fini(&packed);
    }
}

static void file_page(struct page_set *set, struct page *p)
{
    struct span plain = arena_printf(&set->arena, "/%s", p->name.p);
    struct span versioned = arena_printf(&set->arena, "/a/%s/%s", set->version, p->name.p);

    map_put(&set->by_path, plain, p);
    map_put(&set->by_path, versioned, p);
}

static int prepare(struct page_set *set, struct err *e)
{
    make_version(set);
    for (size_t i = 0; i < set->n; i++) {
        if (span_is(set->pages[i]->name, "index.html"))
            set->index = set->pages[i];
        file_page(set, set->pages[i]);
    }
    if (set->index == NULL)
        return err_set(e, ERR_NOT_FOUND, "there is no index.html");
    name_version(set);
    for (size_t i = 0; i < set->n; i++)
        make_forms(set, set->pages[i]);
    return set->arena.full ? err_set(e, ERR_LIMIT, "the files are too large together") : 0;
}

static void set_free(struct page_set *set)
{
    map_fini(&set->by_path);
    arena_fini(&set->arena);
    free(set);
}

static struct page_set *set_load(const char *dir, const char *from_npm, struct err *e)
{
    struct page_set *set = calloc(1, sizeof *set);

    if (set == NULL)
        panic("out of memory for the pages");
    set->refs = 1;
    arena_init(&set->arena, SET_MAX);
    map_init(&set->by_path);
    if (read_folder(set, dir, "", 0, e) == 0 && read_modules(set, from_npm, e) == 0 && prepare(set, e) == 0)
        return set;
    err_wrap(e, "the web pages in %s", dir);
    set_free(set);
    return NULL;
}

/* ---- The sets in use -------------------------------------------------------------------------------------- */

int pages_load(const char *dir, const char *from_npm, struct pages **out, struct err *e)
{
    struct page_set *set = set_load(dir, from_npm, e);
    struct pages    *p;

    *out = NULL;
    if (set == NULL)
        return -1;
    if ((p = calloc(1, sizeof *p)) == NULL)
        panic("out of memory for the pages");
    pthread_mutex_init(&p->lock, NULL);
    p->set = set;
    set->owner = p;
    *out = p;
    return 0;
}

static struct page_set *hold(struct pages *p)
{
    pthread_mutex_lock(&p->lock);
    struct page_set *set = p->set;
    set->refs++;
    pthread_mutex_unlock(&p->lock);
    return set;
}

static void drop(struct page_set *set)
{
    struct pages *p = set->owner;

    pthread_mutex_lock(&p->lock);
    bool last = --set->refs == 0;
    pthread_mutex_unlock(&p->lock);
    if (last)
        set_free(set);
}

int pages_reload(struct pages *p, const char *dir, const char *from_npm, struct err *e)
{
    struct page_set *set = set_load(dir, from_npm, e), *old;

    if (set == NULL)
        return -1;
    set->owner = p;
    pthread_mutex_lock(&p->lock);
    old = p->set;
    p->set = set;
    pthread_mutex_unlock(&p->lock);
    drop(old);
    return 0;
}

void pages_free(struct pages **pages)
{
    struct pages *p = *pages;

    if (p == NULL)
        return;
    *pages = NULL;
    drop(p->set);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

/* ---- Serving ---------------------------------------------------------------------------------------------- */

static void refuse(struct httpd_reply *out, int status, const char *title, const char *detail)
{
    out->status = status;
    httpd_set(out, "Content-Type", SPAN("application/problem+json"));
    httpd_set(out, "Cache-Control", SPAN("no-store"));
    buf_printf(&out->body, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"detail\":\"%s\"}\n", title,
               status, detail);
}

static void end_reply(void *set) { drop(set); }

static void put_form(const struct page *page, const struct httpd_request *r, struct httpd_reply *out)
{
    const struct form *form = &page->forms[httpd_accepts(r)];

    if (form->bytes.p == NULL)
        form = &page->forms[HTTPD_PLAIN];
    else if (form != &page->forms[HTTPD_PLAIN])
        httpd_set(out, "Content-Encoding", span_of(httpd_coding_words[form - page->forms]));
    if (page->type->packs)
        httpd_set(out, "Vary", SPAN("Accept-Encoding"));
    httpd_set(out, "ETag", span_of(form->etag));
    out->lent = form->bytes;
}

static const struct page *find_page(const struct page_set *set, struct span path, bool versioned)
{
    const struct page *page = map_get(&set->by_path, path);

    return page != NULL || versioned ? page : set->index;
}

void pages_serve(struct pages *p, const struct httpd_request *r, struct httpd_reply *out)
{
    bool               versioned = span_starts(r->path, SPAN("/a/"));
    struct page_set   *set;
    const struct page *page;

    if (r->method != HTTPD_GET && r->method != HTTPD_HEAD) {
        httpd_set(out, "Allow", SPAN("GET, HEAD"));
        refuse(out, 405, "Method Not Allowed", "A page can only be read.");
        return;
    }
    set = hold(p);
    if ((page = find_page(set, r->path, versioned)) == NULL) {
        drop(set);
        refuse(out, 404, "Not Found", "There is no such file in this version of the pages.");
        return;
    }
    out->more_end = end_reply;
    out->more_ctx = set;
    httpd_set(out, "Content-Type", span_of(page->type->content_type));
    httpd_set(out, "Cache-Control", versioned ? SPAN(KEEP_FOR_EVER) : SPAN(ASK_ANEW));
    if (versioned) /* alone in a window it may do nothing; and two dozen of them have it in the first load */
        httpd_set(out, "Content-Security-Policy", SPAN("default-src 'none'"));
    put_form(page, r, out);
}

/* lib/letter/letter.c - see letter.h. */
#include "letter/letter.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "letter/view.h"
#include "mail/compose.h"
#include "mail/own_mark.h"

extern const char letter_digest_html[], letter_digest_txt[];

enum kind { KIND_HTML, KIND_TEXT, KINDS };
static const struct {
    const char        *file;
    enum mustache_mode mode;
} kinds[KINDS] = {[KIND_HTML] = {"digest.html", MUSTACHE_HTML}, [KIND_TEXT] = {"digest.txt", MUSTACHE_PLAIN}};

struct set {
    char             brand[BRAND_NAME_MAX + 1]; /* "": for all that have none of their own */
    struct mustache *of[KINDS];                 /* NULL: the next one's */
};
struct letter_templates {
    struct mustache *built_in[KINDS];
    struct set       own, brands[LETTER_BRANDS_MAX];
    size_t           nbrands;
};

/* ---- templates ---- */

/* 1 and the text in b, 0 there is no such file, -1. */
static int read_file(int dir, const char *name, struct buf *b, struct err *e)
{
    int         fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc = 1;
    struct stat st;
    ssize_t     n = 0;
    char       *to;

    if (fd < 0)
        return errno == ENOENT ? 0 : err_errno(e, "open %s", name);
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (size_t)st.st_size > MUSTACHE_SOURCE_MAX)
        rc = err_set(e, ERR_INVALID, "%s is no file of at most %zu bytes", name, MUSTACHE_SOURCE_MAX);
    while (rc > 0 && (to = buf_reserve(b, 65536)) != NULL && (n = read(fd, to, 65536)) > 0)
        b->n += (size_t)n;
    if (rc > 0 && n < 0)
        rc = err_errno(e, "read %s", name);
    fd_close(&fd);
    return rc;
}

static int compile_file(int dir, enum kind k, struct mustache **out, struct err *e)
{
    struct buf b;
    int        rc;

    buf_init(&b, MUSTACHE_SOURCE_MAX + 65536);
    rc = read_file(dir, kinds[k].file, &b, e);
    if (rc > 0 && (*out = mustache_compile(buf_span(&b), kinds[k].mode, e)) == NULL)
        rc = err_wrap(e, "%s", kinds[k].file);
    buf_fini(&b);
    return rc < 0 ? -1 : 0;
}

static int read_set(int dir, struct set *s, struct err *e)
{
    for (enum kind k = 0; k < KINDS; k++)
        if (compile_file(dir, k, &s->of[k], e) < 0)
            return s->brand[0] != '\0' ? err_wrap(e, "%s", s->brand) : -1;
    return 0;
}

/* A folder below the operator's: a brand's name. */
static int read_brand(struct letter_templates *t, int dir, const char *name, struct err *e)
{
    struct set *s = &t->brands[t->nbrands];
    int         fd, rc;

    if (name[0] == '.' || strlen(name) > BRAND_NAME_MAX)
        return 0;
    fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOTDIR || errno == ENOENT ? 0 : err_errno(e, "open %s", name);
    if (t->nbrands == LETTER_BRANDS_MAX) {
        fd_close(&fd);
        return err_set(e, ERR_LIMIT, "templates of more than %d brands", LETTER_BRANDS_MAX);
    }
    snprintf(s->brand, sizeof s->brand, "%.*s", BRAND_NAME_MAX, name);
    rc = read_set(fd, s, e);
    fd_close(&fd);
    t->nbrands++;
    return rc;
}

static int read_folder(struct letter_templates *t, const char *path, struct err *e)
{
    DIR           *d = opendir(path);
    struct dirent *entry;
    int            rc;

    if (d == NULL)
        return err_errno(e, "open %s", path);
    rc = read_set(dirfd(d), &t->own, e);
    while (rc == 0 && (entry = readdir(d)) != NULL)
        rc = read_brand(t, dirfd(d), entry->d_name, e);
    closedir(d);
    return rc < 0 ? err_wrap(e, "[digest] templates %s", path) : 0;
}

int letter_templates_open(const char *dir, struct letter_templates **out, struct err *e)
{
    const char *const        built_in[KINDS] = {letter_digest_html, letter_digest_txt};
    struct letter_templates *t = calloc(1, sizeof *t);

    if (t == NULL)
        panic("out of memory");
    *out = t;
    for (enum kind k = 0; k < KINDS; k++)
        if ((t->built_in[k] = mustache_compile(span_of(built_in[k]), kinds[k].mode, e)) == NULL)
            panic("the program's own %s: %s", kinds[k].file, e->text);
    if (dir[0] == '\0' || read_folder(t, dir, e) == 0)
        return 0;
    letter_templates_close(out);
    return -1;
}

static void free_set(struct mustache *of[KINDS])
{
    for (enum kind k = 0; k < KINDS; k++)
        mustache_free(&of[k]);
}

void letter_templates_close(struct letter_templates **tp)
{
    struct letter_templates *t = *tp;

    *tp = NULL;
    if (t == NULL)
        return;
    free_set(t->built_in);
    free_set(t->own.of);
    for (size_t i = 0; i < t->nbrands; i++)
        free_set(t->brands[i].of);
    free(t);
}

static const struct mustache *template_of(const struct letter_templates *t, const struct store_brand *b, enum kind k)
{
    for (size_t i = 0; b != NULL && i < t->nbrands; i++)
        if (strcmp(t->brands[i].brand, b->name) == 0 && t->brands[i].of[k] != NULL)
            return t->brands[i].of[k];
    return t->own.of[k] != NULL ? t->own.of[k] : t->built_in[k];
}

/* ---- the parts ---- */

static int render(const struct letter_site *site, const struct letter_what *w, enum kind k,
                  const struct mustache_value *view, struct buf *out, struct err *e)
{
    static const struct mustache_partials none = {NULL, NULL};

    return mustache_render(template_of(site->templates, w->brand, k), view, none, out, e);
}

int letter_put_html(const struct letter_site *site, const struct letter_what *w, struct arena *a, struct buf *out,
                    struct err *e)
{
    struct mustache_value *view;

    return view_make(site, w, DIGEST_SHOWN, a, &view, e) < 0 ? -1 : render(site, w, KIND_HTML, view, out, e);
}

/* ---- the head ---- */

static struct span domain_of(struct span address) { return span_skip(address, span_rchr(address, '@') + 1); }

void letter_message_id(const struct uuid *run, int64_t again, struct span from, struct buf *out)
{
    char id[UUID_TEXT + 1];

    uuid_format(run, id);
    buf_printf(out, "digest.%s.%lld@%.*s", id, (long long)again, SPAN_ARG(domain_of(compose_address(from))));
}

bool letter_run_of(struct span message_id, struct uuid *run_out)
{
    static const struct span start = {"digest.", 7};

    message_id = span_trim(message_id);
    if (message_id.n > 0 && message_id.p[0] == '<')
        message_id = span_skip(message_id, 1);
    return span_starts(message_id, start) && message_id.n > start.n + UUID_TEXT &&
           message_id.p[start.n + UUID_TEXT] == '.' &&
           uuid_parse(span_head(span_skip(message_id, start.n), UUID_TEXT), run_out);
}

/* Whom it is from, what it hangs on, and how it is stopped. */
struct head {
    struct span          from, message_id;
    struct compose_field fields[8];
    size_t               n;
};

struct span letter_from(const struct letter_site *site, const struct store_brand *brand, struct arena *a)
{
    if (brand == NULL)
        return span_of(site->from);
    if (brand->sender[0] != '\0')
        return span_of(brand->sender);
    return arena_printf(a, "\"%s\" <%.*s>", brand->name, SPAN_ARG(compose_address(span_of(site->from))));
}

static void add_field(struct head *h, const char *name, struct span value)
{
    h->fields[h->n++] = (struct compose_field){name, value};
}

static void make_head(const struct letter_site *site, const struct letter_what *w, struct arena *a, struct head *h)
{
    struct span domain, portal = view_portal(site, w);
    struct link stop = {
        .action = LINK_UNSUBSCRIBE, .subscription = w->subscription->id, .expires_us = w->now_us + LINK_STOP_TTL_US};
    char       id[UUID_TEXT + 1], token[LINK_TEXT];
    struct buf b;

    h->from = letter_from(site, w->brand, a);
    domain = domain_of(compose_address(h->from));
    uuid_format(&w->subscription->id, id);
    buf_init(&b, 1024);
    letter_message_id(&w->run, w->again, h->from, &b);
    h->message_id = arena_dup(a, buf_span(&b));
    buf_fini(&b);
    link_make(site->keys, &stop, token);
    add_field(h, "References", arena_printf(a, "<digest.%s@%.*s>", id, SPAN_ARG(domain)));
    add_field(h, "Auto-Submitted", SPAN("auto-generated"));
    add_field(h, "X-Auto-Response-Suppress", SPAN("All"));
    add_field(h, "List-Id", arena_printf(a, "<%s.digest.%.*s>", id, SPAN_ARG(domain)));
    add_field(h, "List-Unsubscribe", arena_printf(a, "<%.*s/d/%s>", SPAN_ARG(portal), token));
    add_field(h, "List-Unsubscribe-Post", SPAN("List-Unsubscribe=One-Click"));
    if (site->reply_to[0] != '\0')
        add_field(h, "Reply-To", span_of(site->reply_to));
}

/* ---- the whole ---- */

static int compose(const struct letter_site *site, const struct letter_what *w, size_t shown, struct arena *a,
                   struct buf parts[KINDS], struct buf *message, struct err *e)
{
    struct head            h = {.n = 0};
    struct mustache_value *view;

    buf_clear(message);
    if (view_make(site, w, shown, a, &view, e) < 0)
        return -1;
    for (enum kind k = 0; k < KINDS; k++) {
        buf_clear(&parts[k]);
        if (render(site, w, k, view, &parts[k], e) < 0)
            return -1;
    }
    make_head(site, w, a, &h);
    return compose_message(&(struct compose){.from = h.from,
                                             .to = span_of(w->subscription->address),
                                             .subject = words_title(words_language(w->subscription->choice.language),
                                                                    w->content, w->content->nitems == 0, a),
                                             .message_id = h.message_id,
                                             .at_us = w->now_us,
                                             .text = buf_span(&parts[KIND_TEXT]),
                                             .html = buf_span(&parts[KIND_HTML]),
                                             .fields = h.fields,
                                             .nfields = h.n},
                           message, e);
}

/* Too large: with fewer and fewer items of their own. */
static int compose_within(const struct letter_site *site, const struct letter_what *w, struct arena *a,
                          struct buf parts[KINDS], struct buf *message, struct err *e)
{
    size_t shown = w->content->shown;

    while (compose(site, w, shown, a, parts, message, e) == 0 && message->n > LETTER_MAX - 1000 && shown > 0)
        shown = shown * 3 / 4;
    return e->code == ERR_NONE ? 0 : -1;
}

int letter_put(const struct letter_site *site, const struct letter_what *w, struct arena *a, struct buf *out,
               struct err *e)
{
    struct buf parts[KINDS], message;
    int        rc;

    buf_init(&message, 32 * LETTER_MAX);
    for (enum kind k = 0; k < KINDS; k++)
        buf_init(&parts[k], 8 * LETTER_MAX);
    rc = compose_within(site, w, a, parts, &message, e);
    if (rc == 0) {
        /* rulesd looks at the clock, whenever it is that this letter is written for */
        own_mark_put(site->own_key, span_of(w->subscription->address), buf_span(&message), clock_wall_us(), out);
        buf_put(out, buf_span(&message));
    }
    for (enum kind k = 0; k < KINDS; k++)
        buf_fini(&parts[k]);
    buf_fini(&message);
    return rc;
}

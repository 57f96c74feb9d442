/* lib/mail/mustache.h - templates in the mustache language: https://mustache.github.io/mustache.5.html
 *
 * Knows     {{variable}}, {{{as it is}}} and {{&as it is}}, {{#section}} and {{^inverted}}, {{/end}}, {{! comment}}, {{> partial}}, {{=<% %>=}}, dotted
 *           names and {{.}}; a tag alone on its line takes the line with it. No lambdas, no inheritance.
 * Escaping  in MUSTACHE_HTML a {{variable}} is escaped for text and for quoted attributes; in MUSTACHE_PLAIN it never is.
 * Threads   A template is immutable once compiled: any number of threads may render it at once.
 * Bounds    Of a template its size and its depth; of a rendering the depth of sections and partials, the steps, and what `out` may hold.
 *           Where one is reached the rendering fails as a whole.
 * False     for sections are: a name that is not there, nothing, false, 0, the empty text and the empty list. */
#ifndef POSTERN_MAIL_MUSTACHE_H
#define POSTERN_MAIL_MUSTACHE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#define MUSTACHE_SOURCE_MAX ((size_t)256 << 10)
#define MUSTACHE_DEPTH_MAX 64 /* sections and partials in each other, of a template and of a rendering */
#define MUSTACHE_STEPS_MAX 1000000

/* ---- What is shown: a tree in an arena -------------------------------------------------------------------- */

enum mustache_kind { MUSTACHE_NOTHING, MUSTACHE_BOOL, MUSTACHE_NUMBER, MUSTACHE_TEXT, MUSTACHE_LIST, MUSTACHE_OBJECT };

struct mustache_value {
    enum mustache_kind     kind;
    struct span            name; /* in an object */
    struct mustache_value *next; /* in a list or object */
    union {
        bool        yes;
        int64_t     number;
        struct span text;
        struct {
            struct mustache_value *first, *last;
        };
    };
};

/* An object for mustache_render(). A full arena yields NULL, which the functions below take as a parent that stays empty: ask a->full
 * once, at the end. */
struct mustache_value *mustache_new(struct arena *a);
/* Puts a value into an object under a name, or into a list behind the others (then name is NULL). Names and texts are borrowed; of two with
 * one name the first counts. */
struct mustache_value *mustache_put_object(struct arena *a, struct mustache_value *in, const char *name);
struct mustache_value *mustache_put_list(struct arena *a, struct mustache_value *in, const char *name);
void mustache_put_text(struct arena *a, struct mustache_value *in, const char *name, struct span text);
void mustache_put_str(struct arena *a, struct mustache_value *in, const char *name, const char *text);
void mustache_put_number(struct arena *a, struct mustache_value *in, const char *name, int64_t number);
void mustache_put_bool(struct arena *a, struct mustache_value *in, const char *name, bool yes);

/* ---- Templates -------------------------------------------------------------------------------------------- */

struct mustache;
enum mustache_mode { MUSTACHE_HTML, MUSTACHE_PLAIN };

/* Keeps a copy of the source. NULL: e says "line 3, column 7: …", and e->at is the byte. */
struct mustache *mustache_compile(struct span source, enum mustache_mode mode, struct err *e);
void             mustache_free(struct mustache **t); /* NULL is fine; leaves NULL */

/* The template that {{> name}} means; NULL: there is none, and nothing is written. It must outlive the rendering. */
struct mustache_partials {
    const struct mustache *(*find)(void *ctx, struct span name); /* NULL: no partials */
    void *ctx;
};

/* Appends to out. -1: ERR_LIMIT, and what out got breaks off somewhere. */
int mustache_render(const struct mustache *t, const struct mustache_value *data, struct mustache_partials partials,
                    struct buf *out, struct err *e);

#endif

/* lib/mail/mustache_compile.c - from the source of a template to its nodes. One pass: text up to the next tag, the tag, and so on. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "mail/mustache_layout.h"

#define DELIMITER_MAX 16
#define NODES_LEAST 32
/* A source of two-byte tags in one-byte texts has as many nodes; the array doubles, and leaves its past behind in the arena. */
#define ARENA_MAX (MUSTACHE_SOURCE_MAX * (1 + 4 * sizeof(struct mustache_node)))

enum tag_kind { TAG_NODE, TAG_COMMENT, TAG_DELIMITERS };

struct tag {
    enum tag_kind           kind;
    enum mustache_node_kind node;
    size_t                  at, end; /* in the source, with its delimiters */
    struct span             inside;  /* what it says, trimmed */
};
struct compiler {
    struct mustache *t;
    struct span      open, close; /* the delimiters */
    size_t           at;          /* the source up to here is done */
    bool             fresh;       /* no node of this line has begins_line yet */
    size_t           sections[MUSTACHE_DEPTH_MAX], depth;
    struct err      *e;
};

static void place_of(struct span source, size_t at, size_t *line_out, size_t *column_out)
{
    *line_out = *column_out = 1;
    for (size_t i = 0; i < at;) {
        bool ends = source.p[i] == '\n';

        utf8_next(source, &i, NULL);
        *column_out = ends ? 1 : *column_out + 1;
        *line_out += ends;
    }
}

/* Says what is wrong at a place of the source. */
static int wrong(const struct compiler *c, size_t at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static int wrong(const struct compiler *c, size_t at, const char *fmt, ...)
{
    size_t  line, column;
    char    text[200];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    place_of(c->t->source, at, &line, &column);
    return err_at(c->e, at, "line %zu, column %zu: %s", line, column, text);
}

/* ---- Nodes ------------------------------------------------------------------------------------------------ */

static struct mustache_node *add(struct compiler *c, enum mustache_node_kind kind)
{
    struct mustache      *t = c->t;
    struct mustache_node *node;

    if (t->n == t->cap) {
        size_t                cap = t->cap > 0 ? 2 * t->cap : NODES_LEAST;
        struct mustache_node *more = arena_array(&t->arena, cap, sizeof *more);

        if (more == NULL)
            panic("a template of %zu bytes has over %zu nodes", t->source.n, t->n);
        if (t->n > 0)
            memcpy(more, t->nodes, t->n * sizeof *more);
        t->nodes = more;
        t->cap = cap;
    }
    node = &t->nodes[t->n++];
    *node = (struct mustache_node){.kind = kind, .begins_line = c->fresh};
    c->fresh = false;
    return node;
}

static void add_text(struct compiler *c, size_t from, size_t to)
{
    struct span text = span_between(c->t->source.p + from, c->t->source.p + to);

    if (text.n == 0)
        return;
    add(c, NODE_TEXT)->text = text;
    c->fresh = text.p[text.n - 1] == '\n';
}

/* ---- Tags ------------------------------------------------------------------------------------------------- */

static bool blank(char c) { return c == ' ' || c == '\t'; }
static bool space(char c) { return blank(c) || c == '\r' || c == '\n'; }

/* "{{# name }}" at byte `at`, up to its end. */
static int read_tag(struct compiler *c, size_t at, struct tag *out)
{
    static const struct {
        char                    sign;
        enum tag_kind           kind;
        enum mustache_node_kind node;
    } signs[] = {
        {'!', TAG_COMMENT, 0},         {'=', TAG_DELIMITERS, 0},       {'&', TAG_NODE, NODE_RAW},
        {'#', TAG_NODE, NODE_SECTION}, {'^', TAG_NODE, NODE_INVERTED}, {'/', TAG_NODE, NODE_END},
        {'>', TAG_NODE, NODE_PARTIAL},
    };
    struct span rest = span_skip(c->t->source, at + c->open.n);
    char        close[DELIMITER_MAX + 1] = "";
    size_t      n = 0, end;

    *out = (struct tag){.at = at, .kind = TAG_NODE, .node = NODE_ESCAPED};
    if (rest.n > 0 && rest.p[0] == '{') { /* its end has one more brace */
        close[n++] = '}';
        out->node = NODE_RAW;
        rest = span_skip(rest, 1);
    }
    while (n == 0 && rest.n > 0 && blank(rest.p[0]))
        rest = span_skip(rest, 1);
    for (size_t i = 0; n == 0 && rest.n > 0 && i < COUNT(signs); i++) {
        if (rest.p[0] != signs[i].sign)
            continue;
        out->kind = signs[i].kind;
        out->node = signs[i].node;
        rest = span_skip(rest, 1);
        break;
    }
    if (out->kind == TAG_DELIMITERS)
        close[n++] = '=';
    memcpy(close + n, c->close.p, c->close.n);
    n += c->close.n;
    end = span_find(rest, span_make(close, n));
    if (end == rest.n)
        return wrong(c, at, "a tag has no end");
    out->inside = span_trim(span_head(rest, end));
    out->end = (size_t)(rest.p - c->t->source.p) + end + n;
    return 0;
}

/* Is it all there is on its line? Then *from_out and *to_out are that line. What is done of the line before the tag counts as something. */
static bool takes_line(const struct compiler *c, const struct tag *tag, size_t *from_out, size_t *to_out)
{
    struct span source = c->t->source;
    size_t      from = tag->at, to = tag->end;

    if (tag->kind == TAG_NODE && (tag->node == NODE_ESCAPED || tag->node == NODE_RAW))
        return false;
    while (from > c->at && blank(source.p[from - 1]))
        from--;
    while (to < source.n && blank(source.p[to]))
        to++;
    if (to + 1 < source.n && source.p[to] == '\r' && source.p[to + 1] == '\n')
        to++;
    if ((from > 0 && source.p[from - 1] != '\n') || (to < source.n && source.p[to] != '\n'))
        return false;
    *from_out = from;
    *to_out = to < source.n ? to + 1 : to;
    return true;
}

static bool name_byte(char c, bool path)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.' || (path && c == '/') || (unsigned char)c >= 0x80;
}

/* A name of letters, digits, '_' and '-', with dots between its parts; that of a partial is one part, with slashes too. */
static int check_name(const struct compiler *c, const struct tag *tag)
{
    struct span name = tag->inside;
    bool        partial = tag->node == NODE_PARTIAL;

    if (name.n == 0)
        return wrong(c, tag->at, "a tag has no name");
    for (size_t i = 0; i < name.n; i++) {
        bool dot = !partial && name.n > 1 && name.p[i] == '.';

        if (!name_byte(name.p[i], partial) || (dot && (i == 0 || i + 1 == name.n || name.p[i + 1] == '.')))
            return wrong(c, (size_t)(name.p - c->t->source.p) + i, "\"%.*s\" is not a name",
                         SPAN_ARG(span_head(name, 60)));
    }
    return 0;
}

static int open_section(struct compiler *c, const struct tag *tag)
{
    if (c->depth == MUSTACHE_DEPTH_MAX)
        return wrong(c, tag->at, "sections are in each other more than %d deep", MUSTACHE_DEPTH_MAX);
    c->sections[c->depth++] = c->t->n - 1;
    return 0;
}

static int end_section(struct compiler *c, const struct tag *tag)
{
    struct mustache_node *nodes = c->t->nodes;
    size_t                end = c->t->n - 1, begin;

    if (c->depth == 0)
        return wrong(c, tag->at, "\"%.*s\" ends here and never began", SPAN_ARG(span_head(tag->inside, 60)));
    begin = c->sections[--c->depth];
    if (!span_eq(nodes[begin].text, tag->inside))
        return wrong(c, tag->at, "\"%.*s\" ends here, but the open section is \"%.*s\"",
                     SPAN_ARG(span_head(tag->inside, 60)), SPAN_ARG(span_head(nodes[begin].text, 60)));
    nodes[begin].partner = end;
    nodes[end].partner = begin;
    return 0;
}

static int set_delimiters(struct compiler *c, const struct tag *tag)
{
    struct span in = tag->inside;
    size_t      n = 0, gap;

    while (n < in.n && !space(in.p[n]))
        n++;
    c->open = span_head(in, n);
    gap = in.n - span_trim(span_skip(in, n)).n;
    c->close = span_skip(in, gap);
    if (c->open.n == 0 || c->close.n == 0 || c->open.n >= DELIMITER_MAX || c->close.n >= DELIMITER_MAX ||
        span_chr(in, '=') < in.n)
        return wrong(c, tag->at, "delimiters are two words of at most %d bytes, without \"=\"", DELIMITER_MAX - 1);
    for (size_t i = 0; i < c->close.n; i++)
        if (space(c->close.p[i]))
            return wrong(c, tag->at, "delimiters are two words, not three");
    return 0;
}

/* indent: what stood before a tag that takes its line; such a tag begins no line. */
static int add_tag(struct compiler *c, const struct tag *tag, bool alone, struct span indent)
{
    struct mustache_node *node;

    if (tag->kind == TAG_COMMENT)
        return 0;
    if (tag->kind == TAG_DELIMITERS)
        return set_delimiters(c, tag);
    if (check_name(c, tag) < 0)
        return -1;
    node = add(c, tag->node);
    if (alone) {
        node->begins_line = false;
        c->fresh = true;
    }
    if (node->kind == NODE_ESCAPED && c->t->mode == MUSTACHE_PLAIN)
        node->kind = NODE_RAW;
    node->text = tag->inside;
    node->first = node->kind == NODE_PARTIAL ? node->text.n : span_chr(node->text, '.');
    switch (node->kind) {
    case NODE_SECTION:
    case NODE_INVERTED: return open_section(c, tag);
    case NODE_END: return end_section(c, tag);
    case NODE_PARTIAL:
        node->alone = alone;
        node->indent = alone ? indent : SPAN_NONE;
        return 0;
    default: return 0;
    }
}

static int compile(struct compiler *c)
{
    struct span source = c->t->source;

    while (c->at < source.n) {
        size_t     at = c->at + span_find(span_skip(source, c->at), c->open), from, to;
        struct tag tag;
        bool       alone;

        if (at == source.n)
            break;
        if (read_tag(c, at, &tag) < 0)
            return -1;
        from = tag.at;
        to = tag.end;
        alone = takes_line(c, &tag, &from, &to);
        add_text(c, c->at, from);
        if (add_tag(c, &tag, alone, span_between(source.p + from, source.p + tag.at)) < 0)
            return -1;
        c->at = to;
    }
    add_text(c, c->at, source.n);
    if (c->depth > 0) {
        const struct mustache_node *open = &c->t->nodes[c->sections[c->depth - 1]];

        return wrong(c, (size_t)(open->text.p - source.p), "section \"%.*s\" has no end",
                     SPAN_ARG(span_head(open->text, 60)));
    }
    return 0;
}

struct mustache *mustache_compile(struct span source, enum mustache_mode mode, struct err *e)
{
    struct mustache *t;
    struct compiler  c = {.open = SPAN("{{"), .close = SPAN("}}"), .fresh = true, .e = e};

    if (source.n > MUSTACHE_SOURCE_MAX) {
        err_set(e, ERR_LIMIT, "a template of %zu bytes, at most %zu", source.n, MUSTACHE_SOURCE_MAX);
        return NULL;
    }
    if ((t = calloc(1, sizeof *t)) == NULL)
        panic("out of memory for a template");
    arena_init(&t->arena, ARENA_MAX);
    t->source = arena_dup(&t->arena, source);
    t->mode = mode;
    c.t = t;
    if (compile(&c) < 0)
        mustache_free(&t);
    return t;
}

void mustache_free(struct mustache **t)
{
    if (*t != NULL)
        arena_fini(&(*t)->arena);
    free(*t);
    *t = NULL;
}

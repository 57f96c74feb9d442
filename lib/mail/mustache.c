/* lib/mail/mustache.c - see mustache.h. What is shown, and rendering: a walk over the nodes of mustache_layout.h with a stack of frames, one
 * for each section and partial that is open. */
#include "mail/mustache.h"

#include "mail/mustache_layout.h"

#define INDENT_MAX 1024

/* ---- What is shown ---------------------------------------------------------------------------------------- */

static struct mustache_value *value_new(struct arena *a, enum mustache_kind kind)
{
    struct mustache_value *v = arena_zalloc(a, sizeof *v);

    if (v != NULL)
        v->kind = kind;
    return v;
}

struct mustache_value *mustache_new(struct arena *a) { return value_new(a, MUSTACHE_OBJECT); }

static struct mustache_value *put(struct arena *a, struct mustache_value *in, const char *name, enum mustache_kind kind)
{
    struct mustache_value *v = in != NULL ? value_new(a, kind) : NULL;

    if (v == NULL)
        return NULL;
    v->name = span_of(name);
    if (in->last != NULL)
        in->last->next = v;
    else
        in->first = v;
    return in->last = v;
}

struct mustache_value *mustache_put_object(struct arena *a, struct mustache_value *in, const char *name)
{
    return put(a, in, name, MUSTACHE_OBJECT);
}

struct mustache_value *mustache_put_list(struct arena *a, struct mustache_value *in, const char *name)
{
    return put(a, in, name, MUSTACHE_LIST);
}

void mustache_put_text(struct arena *a, struct mustache_value *in, const char *name, struct span text)
{
    struct mustache_value *v = put(a, in, name, MUSTACHE_TEXT);

    if (v != NULL)
        v->text = text;
}

void mustache_put_str(struct arena *a, struct mustache_value *in, const char *name, const char *text)
{
    mustache_put_text(a, in, name, span_of(text));
}

void mustache_put_number(struct arena *a, struct mustache_value *in, const char *name, int64_t number)
{
    struct mustache_value *v = put(a, in, name, MUSTACHE_NUMBER);

    if (v != NULL)
        v->number = number;
}

void mustache_put_bool(struct arena *a, struct mustache_value *in, const char *name, bool yes)
{
    struct mustache_value *v = put(a, in, name, MUSTACHE_BOOL);

    if (v != NULL)
        v->yes = yes;
}

/* ---- Looking things up ------------------------------------------------------------------------------------ */

/* An open section, or a partial that is being written. */
struct frame {
    const struct mustache_value *item; /* of the list that the section repeats for; else NULL */
    const struct mustache       *back; /* a partial: whose it is, and where to go on */
    size_t                       at;
    size_t                       indent_from, indent_n; /* and how it was indented */
};
struct rendering {
    const struct mustache       *t;
    size_t                       at; /* the next node */
    const struct mustache_value *contexts[MUSTACHE_DEPTH_MAX + 1];
    size_t                       ncontexts;
    struct frame                 frames[MUSTACHE_DEPTH_MAX];
    size_t                       nframes;
    char                         indent[INDENT_MAX]; /* that of the open partials; ours is from indent_from on */
    size_t                       indent_from, indent_n;
    size_t                       steps;
    struct mustache_partials     partials;
    struct buf                  *out;
    struct err                  *e;
};

static const struct mustache_value *member(const struct mustache_value *v, struct span name)
{
    if (v->kind != MUSTACHE_OBJECT)
        return NULL;
    for (v = v->first; v != NULL && !span_eq(v->name, name);)
        v = v->next;
    return v;
}

/* The first part of the name is looked for from the innermost context outwards, the others only in what that is. */
static const struct mustache_value *look_up(const struct rendering *r, const struct mustache_node *node)
{
    struct span                  rest = span_skip(node->text, node->first + 1), part;
    const struct mustache_value *v = NULL;
    size_t                       i = r->ncontexts;

    if (node->first == 0) /* "." */
        return r->contexts[i - 1];
    while (v == NULL && i > 0)
        v = member(r->contexts[--i], span_head(node->text, node->first));
    while (v != NULL && rest.n > 0 && span_next(&rest, '.', &part))
        v = member(v, part);
    return v;
}

static bool truth(const struct mustache_value *v)
{
    switch (v != NULL ? v->kind : MUSTACHE_NOTHING) {
    case MUSTACHE_BOOL: return v->yes;
    case MUSTACHE_NUMBER: return v->number != 0;
    case MUSTACHE_TEXT: return v->text.n > 0;
    case MUSTACHE_LIST: return v->first != NULL;
    case MUSTACHE_OBJECT: return true;
    default: return false;
    }
}

/* ---- Writing ---------------------------------------------------------------------------------------------- */

static void put_escaped(struct buf *b, struct span text)
{
    size_t done = 0;

    for (size_t i = 0; i < text.n; i++) {
        const char *instead = NULL;

        switch (text.p[i]) {
        case '&': instead = "&amp;"; break;
        case '<': instead = "&lt;"; break;
        case '>': instead = "&gt;"; break;
        case '"': instead = "&quot;"; break;
        case '\'': instead = "&#39;"; break;
        default: continue;
        }
        buf_put(b, span_between(text.p + done, text.p + i));
        buf_puts(b, instead);
        done = i + 1;
    }
    buf_put(b, span_skip(text, done));
}

static void put_value(struct buf *b, const struct mustache_value *v, bool raw)
{
    switch (v != NULL ? v->kind : MUSTACHE_NOTHING) {
    case MUSTACHE_BOOL: buf_puts(b, v->yes ? "true" : "false"); return;
    case MUSTACHE_NUMBER: buf_printf(b, "%lld", (long long)v->number); return;
    case MUSTACHE_TEXT:
        if (raw)
            buf_put(b, v->text);
        else
            put_escaped(b, v->text);
        return;
    default: return;
    }
}

static void put_indent(const struct rendering *r)
{
    buf_put(r->out, span_make(r->indent + r->indent_from, r->indent_n - r->indent_from));
}

static void put_text(const struct rendering *r, struct span text)
{
    if (r->indent_n == r->indent_from) {
        buf_put(r->out, text);
        return;
    }
    while (text.n > 0) {
        size_t end = span_chr(text, '\n');

        end += end < text.n;
        buf_put(r->out, span_head(text, end));
        text = span_skip(text, end);
        if (text.n > 0)
            put_indent(r);
    }
}

/* ---- The walk --------------------------------------------------------------------------------------------- */

static struct frame *push(struct rendering *r)
{
    if (r->nframes == MUSTACHE_DEPTH_MAX) {
        err_set(r->e, ERR_LIMIT, "sections and partials are in each other more than %d deep", MUSTACHE_DEPTH_MAX);
        return NULL;
    }
    return &r->frames[r->nframes++];
}

static int begin_section(struct rendering *r, const struct mustache_node *node)
{
    const struct mustache_value *v = look_up(r, node);
    struct frame                *f;

    if (!truth(v)) {
        r->at = node->partner + 1;
        return 0;
    }
    if ((f = push(r)) == NULL)
        return -1;
    f->item = v->kind == MUSTACHE_LIST ? v->first : NULL;
    r->contexts[r->ncontexts++] = f->item != NULL ? f->item : v;
    return 0;
}

/* Of a section that was written once: again for the next item, or on. */
static void end_section(struct rendering *r, const struct mustache_node *node)
{
    struct frame *f;

    if (r->t->nodes[node->partner].kind == NODE_INVERTED)
        return;
    f = &r->frames[r->nframes - 1];
    if (f->item != NULL && (f->item = f->item->next) != NULL) {
        r->contexts[r->ncontexts - 1] = f->item;
        r->at = node->partner + 1;
        return;
    }
    r->nframes--;
    r->ncontexts--;
}

/* Alone on its line, a partial adds that line's indentation to ours; in a line it has none, as the source says. */
static int begin_partial(struct rendering *r, const struct mustache_node *node)
{
    const struct mustache *partial = r->partials.find != NULL ? r->partials.find(r->partials.ctx, node->text) : NULL;
    struct frame          *f;

    if (partial == NULL)
        return 0;
    if ((f = push(r)) == NULL)
        return -1;
    *f = (struct frame){.back = r->t, .at = r->at, .indent_from = r->indent_from, .indent_n = r->indent_n};
    if (node->indent.n > INDENT_MAX - r->indent_n)
        return err_set(r->e, ERR_LIMIT, "partials are indented by more than %d bytes", INDENT_MAX);
    if (node->indent.n > 0)
        memcpy(r->indent + r->indent_n, node->indent.p, node->indent.n);
    r->indent_from = node->alone ? r->indent_from : r->indent_n;
    r->indent_n += node->indent.n;
    r->t = partial;
    r->at = 0;
    return 0;
}

static void end_partial(struct rendering *r)
{
    const struct frame *f = &r->frames[--r->nframes];

    r->t = f->back;
    r->at = f->at;
    r->indent_from = f->indent_from;
    r->indent_n = f->indent_n;
}

static int step(struct rendering *r, const struct mustache_node *node)
{
    if (node->begins_line)
        put_indent(r);
    switch (node->kind) {
    case NODE_TEXT: put_text(r, node->text); return 0;
    case NODE_ESCAPED:
    case NODE_RAW: put_value(r->out, look_up(r, node), node->kind == NODE_RAW); return 0;
    case NODE_SECTION: return begin_section(r, node);
    case NODE_INVERTED:
        if (truth(look_up(r, node)))
            r->at = node->partner + 1;
        return 0;
    case NODE_END: end_section(r, node); return 0;
    case NODE_PARTIAL: return begin_partial(r, node);
    }
    return 0;
}

int mustache_render(const struct mustache *t, const struct mustache_value *data, struct mustache_partials partials,
                    struct buf *out, struct err *e)
{
    static const struct mustache_value nothing = {.kind = MUSTACHE_NOTHING};
    struct rendering                   r = {.t = t, .ncontexts = 1, .partials = partials, .out = out, .e = e};

    r.contexts[0] = data != NULL ? data : &nothing;
    while (r.at < r.t->n || r.nframes > 0) {
        if (r.at == r.t->n) { /* sections are balanced: it is a partial that ends */
            end_partial(&r);
            continue;
        }
        if (r.steps++ == MUSTACHE_STEPS_MAX)
            return err_set(e, ERR_LIMIT, "a rendering takes more than %d steps", MUSTACHE_STEPS_MAX);
        if (step(&r, &r.t->nodes[r.at++]) < 0)
            return -1;
        if (out->failed)
            break;
    }
    return !out->failed ? 0 : err_set(e, ERR_LIMIT, "a rendering has more than %zu bytes", out->max);
}

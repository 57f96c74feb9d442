/* lib/mail/part.c - the boundary scanner.
 *
 * The scan goes from entity to entity. At each: read the header; a multipart or message goes onto the stack; a leaf
 * is noted. Then look for the next line that is a boundary of anything on the stack: that ends what lies above it, and
 * begins the next entity, or, if it closes its multipart, the wait for a boundary further out.
 *
 * 1. frames[0 .. depth) are open, outermost first; boundaries of multiparts alone are compared.
 * 2. parts whose end is not known yet are the last leaf, and the messages on the stack.
 * 3. of the forms of an alternative, all in front of the last that has a text are spare. */
#include "mail/part.h"

#include "base/clock.h"
#include "mail/mime.h"

#define BOUNDARY_MAX 998
#define LINES_A_LOOK 65536 /* lines between two looks at the clock */

struct frame {
    struct span boundary; /* none: a message/rfc822 */
    uint64_t    hash;
    size_t      part;   /* of a message: its index, since its end comes later */
    const char *body;   /* of a multipart: where it begins */
    bool        digest; /* what is inside is a message unless it says otherwise */
    bool        alternative;
    size_t      form;   /* of an alternative: where the form of it begins that is being read */
    size_t      before; /* and those before it that are not spare yet */
    bool        found;  /* a boundary line was seen */
};

struct scanner {
    struct span          all;
    size_t               at; /* the start of a line */
    struct frame         frames[MESSAGE_DEPTH_MAX];
    size_t               depth;
    uint64_t             lengths; /* a bit for each length (mod 64) that a boundary on the stack may have */
    struct message_part *parts;
    size_t               n, cap;
    bool                 leaf_open; /* the last part is a leaf that has not ended */
    int64_t              deadline_us;
    struct arena        *arena;
    const char          *limit;
};

static void note_limit(struct scanner *s, const char *limit)
{
    if (s->limit == NULL)
        s->limit = limit;
}

/* ---- boundary lines ---- */

struct delimiter {
    size_t level; /* index into frames */
    size_t line;  /* where the line begins */
    size_t next;  /* where the line behind it begins */
    bool   closing;
};

/* The open multipart that this text is the boundary of. */
static bool find_frame(const struct scanner *s, struct span text, size_t *level_out)
{
    uint64_t hash;

    if (text.n == 0 || text.n > BOUNDARY_MAX || (s->lengths >> text.n % 64 & 1) == 0)
        return false;
    hash = span_hash(text);
    for (size_t i = s->depth; i > 0; i--) {
        if (s->frames[i - 1].hash == hash && span_eq(s->frames[i - 1].boundary, text)) {
            *level_out = i - 1;
            return true;
        }
    }
    return false;
}

/* Is the line at `at`, which begins with "--", a boundary? */
static bool read_delimiter(const struct scanner *s, size_t at, struct delimiter *out)
{
    struct span line = span_skip(s->all, at + 2);

    line = span_head(line, span_chr(line, '\n'));
    out->line = at;
    out->next = at + 2 + line.n + 1 < s->all.n ? at + 2 + line.n + 1 : s->all.n;
    while (line.n > 0 && (line.p[line.n - 1] == '\r' || line.p[line.n - 1] == ' ' || line.p[line.n - 1] == '\t'))
        line.n--;
    out->closing = false;
    if (find_frame(s, line, &out->level))
        return true;
    out->closing = span_ends(line, SPAN("--"));
    return out->closing && find_frame(s, span_head(line, line.n - 2), &out->level);
}

static bool at_dashes(const struct scanner *s, size_t at)
{
    return s->all.n - at >= 2 && s->all.p[at] == '-' && s->all.p[at + 1] == '-';
}

static bool has_boundaries(const struct scanner *s)
{
    for (size_t i = 0; i < s->depth; i++) {
        if (s->frames[i].boundary.n > 0)
            return true;
    }
    return false;
}

/* The start of the line behind `at`; runs of empty lines are passed at once. The end of all when there is none. */
static size_t next_line(const struct scanner *s, size_t at)
{
    at += span_chr(span_skip(s->all, at), '\n');
    while (at < s->all.n && s->all.p[at] == '\n')
        at++;
    return at;
}

/* The next boundary line at or behind s->at. */
static bool next_delimiter(struct scanner *s, struct delimiter *out)
{
    size_t lines = 0;

    if (!has_boundaries(s))
        return false;
    for (size_t at = s->at; at < s->all.n; at = next_line(s, at)) {
        if (at_dashes(s, at) && read_delimiter(s, at, out))
            return true;
        if (++lines % LINES_A_LOOK == 0 && clock_thread_cpu_us() > s->deadline_us) {
            note_limit(s, "time");
            return false;
        }
    }
    return false;
}

/* ---- entities ---- */

struct fields {
    struct span type, disposition, encoding, id; /* bodies; the first of each counts */
    bool        has_type, has_disposition, has_encoding, has_id;
};

static void note_field(const struct header *h, const char *name, struct span *body, bool *has)
{
    if (*has || !span_is_ci(h->name, name))
        return;
    *has = true;
    *body = span_head(h->body, MESSAGE_HEADER_MAX);
}

/* Reads the header at s->at, and moves behind it. A boundary line ends it, even one that looks like a field. */
static void read_fields(struct scanner *s, struct fields *f)
{
    struct span      rest = span_skip(s->all, s->at);
    struct header    h;
    struct delimiter d;

    *f = (struct fields){.has_type = false};
    for (;;) {
        s->at = s->all.n - rest.n;
        if (s->depth > 0 && at_dashes(s, s->at) && read_delimiter(s, s->at, &d))
            return;
        if (!header_next(&rest, &h))
            break;
        note_field(&h, "Content-Type", &f->type, &f->has_type);
        note_field(&h, "Content-Disposition", &f->disposition, &f->has_disposition);
        note_field(&h, "Content-Transfer-Encoding", &f->encoding, &f->has_encoding);
        note_field(&h, "Content-ID", &f->id, &f->has_id);
    }
    s->at = s->all.n - rest.n;
}

/* NULL at a limit. */
static struct message_part *add_part(struct scanner *s)
{
    if (s->n == MESSAGE_PARTS_MAX) {
        note_limit(s, "parts");
        return NULL;
    }
    if (s->n == s->cap) {
        size_t               cap = s->cap > 0 ? s->cap * 2 : 8;
        struct message_part *grown = arena_array(s->arena, cap, sizeof *grown);

        if (grown == NULL) {
            note_limit(s, "memory");
            return NULL;
        }
        if (s->n > 0)
            memcpy(grown, s->parts, s->n * sizeof *grown);
        s->parts = grown;
        s->cap = cap;
    }
    return &s->parts[s->n++];
}

static enum message_leaf_kind kind_of(struct span type)
{
    static const struct {
        const char            *type;
        enum message_leaf_kind kind;
    } kinds[] = {
        {"text/plain", LEAF_TEXT_PLAIN},  {"text/html", LEAF_TEXT_HTML},    {"application/xhtml+xml", LEAF_TEXT_HTML},
        {"message/rfc822", LEAF_MESSAGE}, {"message/global", LEAF_MESSAGE},
    };

    for (size_t i = 0; i < COUNT(kinds); i++) {
        if (span_is(type, kinds[i].type))
            return kinds[i].kind;
    }
    return span_starts(type, SPAN("text/")) ? LEAF_TEXT_OTHER : LEAF_OTHER;
}

/* What stands in the angle brackets. */
static struct span id_of(struct span body)
{
    struct span inside = span_skip(body, span_chr(body, '<') + 1);

    return span_head(inside, span_chr(inside, '>'));
}

/* A text has come: of every alternative around it, the forms before this one are another telling of it. */
static void make_spare(struct scanner *s)
{
    for (size_t i = 0; i < s->depth; i++) {
        struct frame *f = &s->frames[i];

        for (size_t at = f->before; f->alternative && at < f->form; at++)
            s->parts[at].spare = true;
        f->before = f->form;
    }
}

/* Fills in what the fields say; the raw bytes begin at s->at. */
static void describe(struct scanner *s, const struct fields *f, struct span type, struct message_part *p)
{
    p->type = type;
    p->kind = kind_of(type);
    p->charset = mime_param(f->type, "charset", true, s->arena, NULL);
    p->encoding = mime_value(f->encoding, s->arena);
    p->filename = mime_filename(f->disposition, f->type, s->arena, &p->filename_clean);
    p->detached = span_is(mime_value(f->disposition, s->arena), "attachment");
    p->attachment = p->detached || p->filename.n > 0 || p->kind == LEAF_MESSAGE;
    p->id = id_of(f->id);
    p->raw = span_make(s->all.p + s->at, 0);
    p->depth = s->depth;
    if ((p->kind == LEAF_TEXT_PLAIN || p->kind == LEAF_TEXT_HTML) && !p->attachment)
        make_spare(s);
}

/* The declared type, or what stands for none and for nonsense. */
static struct span type_of(struct scanner *s, const struct fields *f)
{
    struct span type = mime_value(f->type, s->arena);

    if (!f->has_type && s->depth > 0 && s->frames[s->depth - 1].digest)
        return SPAN("message/rfc822");
    return mime_is_type(type) ? type : SPAN("text/plain");
}

static bool is_identity(struct span encoding)
{
    return encoding.n == 0 || span_is(encoding, "7bit") || span_is(encoding, "8bit") || span_is(encoding, "binary");
}

static struct frame *push(struct scanner *s)
{
    if (s->depth == MESSAGE_DEPTH_MAX) {
        note_limit(s, "depth");
        return NULL;
    }
    s->frames[s->depth] = (struct frame){.body = s->all.p + s->at};
    return &s->frames[s->depth++];
}

/* A multipart at s->at goes onto the stack. False when it is none that can be read: then it is a leaf. */
static bool open_multipart(struct scanner *s, const struct fields *f, struct span *type)
{
    struct span   boundary;
    struct frame *frame;

    if (!span_starts(*type, SPAN("multipart/")))
        return false;
    boundary = span_trim(mime_param(f->type, "boundary", true, s->arena, NULL));
    if (boundary.n == 0 || boundary.n > BOUNDARY_MAX) {
        *type = SPAN("text/plain");
        return false;
    }
    if ((frame = push(s)) == NULL)
        return false;
    frame->boundary = boundary;
    frame->hash = span_hash(boundary);
    s->lengths |= (uint64_t)1 << boundary.n % 64; /* never taken back: it only saves time */
    frame->digest = span_is(*type, "multipart/digest");
    frame->alternative = span_is(*type, "multipart/alternative");
    frame->form = frame->before = s->n;
    return true;
}

/* Reads entities that begin at s->at until one is a leaf or a multipart: a message has another entity right inside.
 * False at a limit. */
static bool read_entity(struct scanner *s)
{
    for (;;) {
        struct fields        f;
        struct span          type;
        struct message_part *p;
        struct frame        *frame;

        read_fields(s, &f);
        type = type_of(s, &f);
        if (open_multipart(s, &f, &type))
            return true;
        if ((p = add_part(s)) == NULL)
            return false;
        describe(s, &f, type, p);
        if (p->kind != LEAF_MESSAGE || !is_identity(p->encoding) || (frame = push(s)) == NULL) {
            s->leaf_open = true;
            return true;
        }
        frame->part = s->n - 1;
    }
}

/* ---- ends ---- */

/* The body that ends in front of `line`, without the line end that belongs to the boundary. */
static struct span body_up_to(const struct scanner *s, const char *from, size_t line)
{
    const char *end = s->all.p + line;

    if (line < s->all.n) {
        end -= end > from && end[-1] == '\n';
        end -= end > from && end[-1] == '\r';
    }
    return span_between(from, end > from ? end : from);
}

/* A multipart that ended without a single boundary line: people see its text, so it is a leaf. */
static void keep_childless(struct scanner *s, const struct frame *frame, size_t line)
{
    static const struct fields none;
    struct message_part       *p = add_part(s);

    if (p == NULL)
        return;
    describe(s, &none, SPAN("text/plain"), p);
    p->raw = body_up_to(s, frame->body, line);
}

/* Ends the open leaf, and all that is on the stack above `depth`, in front of `line`. */
static void end_above(struct scanner *s, size_t depth, size_t line)
{
    if (s->leaf_open)
        s->parts[s->n - 1].raw = body_up_to(s, s->parts[s->n - 1].raw.p, line);
    s->leaf_open = false;
    while (s->depth > depth) {
        const struct frame *frame = &s->frames[--s->depth];

        if (frame->boundary.n == 0)
            s->parts[frame->part].raw = body_up_to(s, s->parts[frame->part].raw.p, line);
        else if (!frame->found)
            keep_childless(s, frame, line);
    }
}

void part_scan(struct span entity, int64_t deadline_cpu_us, struct arena *a, struct part_list *out)
{
    struct scanner   s = {.all = entity, .deadline_us = deadline_cpu_us, .arena = a};
    struct delimiter d;
    bool             more = read_entity(&s);

    while (more && next_delimiter(&s, &d)) {
        end_above(&s, d.level + 1, d.line);
        s.frames[d.level].found = true;
        s.frames[d.level].form = s.n;
        s.at = d.next;
        if (d.closing)
            s.depth = d.level;
        else
            more = read_entity(&s);
        if (clock_thread_cpu_us() > deadline_cpu_us) {
            note_limit(&s, "time");
            break;
        }
    }
    end_above(&s, 0, entity.n);
    if (a->full)
        note_limit(&s, "memory");
    *out = (struct part_list){.parts = s.parts, .n = s.n, .limit = s.limit};
}

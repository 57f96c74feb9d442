/* lib/base/conf.c - see conf.h. Three steps: inih collects the text of each key with the line it stands on; then
 * each row is converted, from its text or its fallback; an error in either names file, line and cure.
 *
 * inih gets the file line by line from take_line(), so that we know the line's number and whether it is a
 * continuation: inih itself tells its handler neither. */
#include "base/conf.h"

#include <ini.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/fd.h"

#define FILE_MAX ((size_t)256 << 10)
#define LINE_MAX_BYTES 199 /* what Debian's inih reads at once */

struct text {
    struct span value;
    int         line; /* 0: not in the file */
};

struct conf {
    struct settings settings;
    struct arena    arena;
    struct text    *texts; /* one a row */
};

/* While the file is read. */
struct reading {
    struct conf *conf;
    const char  *path;
    struct span  rest;
    int          line;
    bool         continues; /* the line at hand starts with a blank */
    struct err  *e;
    bool         failed;
};

static int fail(struct reading *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int fail(struct reading *r, const char *fmt, ...)
{
    char    what[400];
    va_list ap;

    if (r->failed)
        return 0;
    r->failed = true;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    err_set(r->e, ERR_INVALID, "%s:%d: %s", r->path, r->line, what);
    return 0; /* inih's word for an error */
}

static char *take_line(char *line, int size, void *reading)
{
    struct reading *r = reading;
    struct span     s;

    if (r->failed || !span_line(&r->rest, &s))
        return NULL;
    r->line++;
    if (s.n > LINE_MAX_BYTES || s.n >= (size_t)size) {
        fail(r, "a line has %zu bytes, at most %d; go on in the next line, after a blank", s.n, LINE_MAX_BYTES);
        return NULL;
    }
    if (span_chr(s, '\0') < s.n) {
        fail(r, "a NUL byte: this is not a text file");
        return NULL;
    }
    r->continues = s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t');
    if (s.n > 0)
        memcpy(line, s.p, s.n);
    line[s.n] = '\0';
    return line;
}

/* ---- Who was meant? ---- */

#define WORD_MAX 32

/* Edits (insert, delete, change a character) from a to b; beyond WORD_MAX they count as different. */
static size_t distance(const char *a, const char *b)
{
    size_t row[WORD_MAX + 1], na = strlen(a), nb = strlen(b);

    if (na > WORD_MAX || nb > WORD_MAX)
        return WORD_MAX;
    for (size_t j = 0; j <= nb; j++)
        row[j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            size_t change = diagonal + (a[i - 1] != b[j - 1]), least = row[j] < row[j - 1] ? row[j] : row[j - 1];

            diagonal = row[j];
            row[j] = change < least + 1 ? change : least + 1;
        }
    }
    return row[nb];
}

static const struct conf_row *find_row(const char *section, const char *key)
{
    for (size_t i = 0; i < conf_nrows; i++) {
        if (strcmp(conf_rows[i].section, section) == 0 && strcmp(conf_rows[i].key, key) == 0)
            return &conf_rows[i];
    }
    return NULL;
}

static bool is_section(const char *section)
{
    for (size_t i = 0; i < conf_nrows; i++) {
        if (strcmp(conf_rows[i].section, section) == 0)
            return true;
    }
    return false;
}

/* The row nearest to what was written; a key that exists, but elsewhere, is nearer than a misspelt one. */
static const struct conf_row *nearest_row(const char *section, const char *key)
{
    const struct conf_row *best = NULL;
    size_t                 best_cost = SIZE_MAX;

    for (size_t i = 0; i < conf_nrows; i++) {
        size_t away = distance(section, conf_rows[i].section), off = distance(key, conf_rows[i].key);
        size_t cost = 2 * off + (away < 4 ? away : 3);

        if (cost < best_cost) {
            best_cost = cost;
            best = &conf_rows[i];
        }
    }
    return best;
}

static const char *nearest_section(const char *section)
{
    const char *best = conf_rows[0].section;

    for (size_t i = 1; i < conf_nrows; i++) {
        if (distance(section, conf_rows[i].section) < distance(section, best))
            best = conf_rows[i].section;
    }
    return best;
}

static int fail_unknown(struct reading *r, const char *section, const char *key)
{
    const struct conf_row *row;

    if (*section == '\0')
        return fail(r, "\"%.64s\" stands before any section; put it below its [section]", key);
    if (!is_section(section))
        return fail(r, "unknown section [%.64s]; the nearest known is [%s]", section, nearest_section(section));
    row = nearest_row(section, key);
    if (strcmp(row->key, key) == 0)
        return fail(r, "\"%.64s\" is not a key of [%s]; it belongs to [%s]", key, section, row->section);
    return fail(r, "unknown key \"%.64s\" in [%s]; the nearest known is \"%s\" in [%s]", key, section, row->key,
                row->section);
}

/* ---- Reading ---- */

/* An indented "key = value" is a continuation to inih: the classic way to lose a setting. */
static const struct conf_row *looks_like_key(const char *value)
{
    struct span s = span_of(value);
    struct span word = span_head(s, strspn(value, "abcdefghijklmnopqrstuvwxyz_"));

    if (!span_starts(span_trim(span_skip(s, word.n)), SPAN("=")))
        return NULL;
    for (size_t i = 0; i < conf_nrows; i++) {
        if (span_is(word, conf_rows[i].key))
            return &conf_rows[i];
    }
    return NULL;
}

/* A value without its comment, which inih leaves on continuation lines. */
static struct span without_comment(const char *value)
{
    const char *p = value;

    while ((p = strchr(p, ';')) != NULL && p > value && p[-1] != ' ' && p[-1] != '\t')
        p++;
    return span_trim(p != NULL ? span_between(value, p) : span_of(value));
}

static int take_continuation(struct reading *r, const struct conf_row *row, struct text *t, const char *value)
{
    const struct conf_row *hidden = looks_like_key(value);
    const char            *between = row->type == CONF_TEXT || t->value.n == 0 ? "" : " ";

    if (hidden != NULL)
        return fail(r, "\"%s\" is indented, so it would continue \"%s\"; start it at the line's beginning", hidden->key,
                    row->key);
    t->value = arena_printf(&r->conf->arena, "%.*s%s%.*s", SPAN_ARG(t->value), between,
                            SPAN_ARG(without_comment(value)));
    return r->conf->arena.full ? fail(r, "\"%s\" is too long", row->key) : 1;
}

static int take_pair(void *reading, const char *section, const char *key, const char *value)
{
    struct reading        *r = reading;
    const struct conf_row *row = find_row(section, key);
    struct text           *t;

    if (row == NULL)
        return fail_unknown(r, section, key);
    t = &r->conf->texts[row - conf_rows];
    if (t->line > 0 && r->continues)
        return take_continuation(r, row, t, value);
    if (t->line > 0)
        return fail(r, "\"%s\" is set a second time; the first is in line %d", key, t->line);
    t->line = r->line;
    t->value = arena_dup(&r->conf->arena, span_of(value));
    return r->conf->arena.full ? fail(r, "\"%s\" is too long", key) : 1;
}

static int read_file(struct conf *c, const char *path, bool missing_ok, struct err *e)
{
    struct err     own = ERR_INIT;
    struct reading r = {.conf = c, .path = path, .e = e};
    struct buf     b;
    int            rc;

    buf_init(&b, FILE_MAX);
    rc = fd_read_file(path, FILE_MAX, &b, &own);
    if (rc < 0) {
        rc = missing_ok && own.code == ERR_NOT_FOUND ? 0 : err_set(e, own.code, "%s", own.text);
        goto out;
    }
    r.rest = buf_span(&b);
    rc = ini_parse_stream(take_line, &r, take_pair, &r);
    if (rc > 0 && !r.failed) {
        r.line = rc;
        fail(&r, "neither a [section] nor key = value");
    }
    rc = r.failed || rc != 0 ? -1 : 0;
out:
    buf_fini(&b);
    return rc;
}

/* ---- Converting ---- */

static bool to_bool(struct span s, bool *out)
{
    static const struct {
        const char *word;
        bool        value;
    } words[] = {{"on", true}, {"yes", true}, {"true", true}, {"off", false}, {"no", false}, {"false", false}};

    for (size_t i = 0; i < COUNT(words); i++) {
        if (span_is_ci(s, words[i].word)) {
            *out = words[i].value;
            return true;
        }
    }
    return false;
}

bool conf_size(struct span s, int64_t *out)
{
    static const char units[] = "KMGT";
    const char       *unit = s.n > 0 ? strchr(units, s.p[s.n - 1] & ~0x20) : NULL;
    int64_t           n;

    if (unit != NULL && *unit != '\0')
        s.n--;
    else
        unit = NULL;
    if (!span_i64(s, &n) || n < 0)
        return false;
    return !__builtin_mul_overflow(n, unit ? (int64_t)1 << (10 * (unit - units + 1)) : 1, out);
}

static bool to_word(struct span s, const char *words, int *out)
{
    struct span rest = span_of(words), word;

    for (int i = 0; span_next(&rest, ' ', &word); i++) {
        if (span_eq(s, word)) {
            *out = i;
            return true;
        }
    }
    return false;
}

static bool is_separator(char c) { return c == ',' || c == ' ' || c == '\t'; }

/* The next item of a list; *rest moves behind it. */
static bool next_item(struct span *rest, struct span *item_out)
{
    size_t n = 0;

    while (rest->n > 0 && is_separator(rest->p[0]))
        *rest = span_skip(*rest, 1);
    while (n < rest->n && !is_separator(rest->p[n]))
        n++;
    *item_out = span_head(*rest, n);
    *rest = span_skip(*rest, n);
    return n > 0;
}

static bool to_list(struct arena *a, struct span s, struct conf_list *out)
{
    struct span rest = s, item;
    size_t      n = 0;

    *out = (struct conf_list){0};
    if (span_is(span_trim(s), "none"))
        return true;
    while (next_item(&rest, &item))
        n++;
    out->items = arena_array(a, n, sizeof *out->items);
    for (rest = s; out->items != NULL && next_item(&rest, &item);)
        out->items[out->n++] = arena_str(a, item);
    return !a->full;
}

/* Puts the value into its field; false when it is none of the row's. */
static bool convert(const struct conf_row *row, struct span value, struct conf *c)
{
    void *field = (char *)&c->settings + row->offset;

    switch (row->type) {
    case CONF_TEXT: return (*(const char **)field = arena_str(&c->arena, value)) != NULL;
    case CONF_LIST: return to_list(&c->arena, value, field);
    case CONF_BOOL: return to_bool(value, field);
    case CONF_ENUM: return to_word(value, row->words, field);
    case CONF_INT: return span_i64(value, field) && *(int64_t *)field >= row->min && *(int64_t *)field <= row->max;
    case CONF_SIZE: return conf_size(value, field) && *(int64_t *)field >= row->min && *(int64_t *)field <= row->max;
    }
    return false;
}

/* What the row would accept, for who wrote something else. */
static void put_accepted(struct buf *b, const struct conf_row *row)
{
    switch (row->type) {
    case CONF_TEXT:
    case CONF_LIST: buf_puts(b, "a shorter value"); break;
    case CONF_BOOL: buf_puts(b, "on or off"); break;
    case CONF_ENUM: buf_printf(b, "one of: %s", row->words); break;
    case CONF_INT: buf_printf(b, "a number from %lld to %lld", (long long)row->min, (long long)row->max); break;
    case CONF_SIZE:
        buf_printf(b, "a size such as 512K, 50M or 2G, from %lld", (long long)row->min);
        if (row->max < INT64_MAX)
            buf_printf(b, " to %lld", (long long)row->max);
        buf_puts(b, " bytes");
        break;
    }
}

static int fail_value(const char *path, const struct conf_row *row, const struct text *t, struct err *e)
{
    struct buf accepted;

    buf_init(&accepted, 256);
    put_accepted(&accepted, row);
    err_set(e, ERR_INVALID, "%s:%d: [%s] %s = \"%.64s\": this takes %s", path, t->line, row->section, row->key,
            t->value.p, accepted.p);
    buf_fini(&accepted);
    return -1;
}

static int convert_all(struct conf *c, const char *path, struct err *e)
{
    for (size_t i = 0; i < conf_nrows; i++) {
        const struct conf_row *row = &conf_rows[i];
        const struct text     *t = &c->texts[i];

        if (row->offset == CONF_OTHER || convert(row, t->line > 0 ? t->value : span_of(row->fallback), c))
            continue;
        if (t->line == 0)
            panic("the default of [%s] %s does not fit its row", row->section, row->key);
        return fail_value(path, row, t, e);
    }
    return 0;
}

int conf_load(const char *path, bool missing_ok, struct conf **out, struct err *e)
{
    struct conf *c = calloc(1, sizeof *c);

    if (c == NULL)
        panic("out of memory for the settings");
    *out = NULL;
    arena_init(&c->arena, 8 * FILE_MAX);
    c->texts = arena_array(&c->arena, conf_nrows, sizeof *c->texts);
    if ((path != NULL && read_file(c, path, missing_ok, e) < 0) || convert_all(c, path, e) < 0) {
        conf_free(&c);
        return -1;
    }
    *out = c;
    return 0;
}

void conf_free(struct conf **c)
{
    if (*c == NULL)
        return;
    arena_fini(&(*c)->arena);
    free(*c);
    *c = NULL;
}

const struct settings *conf_settings(const struct conf *c) { return &c->settings; }

void conf_print_example(struct buf *b)
{
    const char *section = "";

    for (const struct conf_row *row = conf_rows; row < conf_rows + conf_nrows; row++) {
        if (strcmp(row->section, section) != 0)
            buf_printf(b, "%s[%s]\n", *section ? "\n" : "", row->section);
        section = row->section;
        buf_printf(b, "# %s\n", row->help);
        if (row->words != NULL)
            buf_printf(b, "# One of: %s\n", row->words);
        buf_printf(b, "#%s =%s%s\n", row->key, *row->fallback ? " " : "", row->fallback);
    }
}

/* lib/rules/import.c - see import.h. */
#include "rules/import.h"

#include <ctype.h>
#include <stdio.h>

#include "base/json_write.h"
#include "base/utf8.h"

const char *const import_format_words[] = {"json", "csv", "spamassassin", "map", NULL};
const char *const import_kind_words[] = {"sender", "recipient", "ip", "host", "subject", NULL};

#define GUESS_LINES 5000

void import_init(struct import_reader *r, enum import_format format, const char *action, const char *kind)
{
    *r = (struct import_reader){.format = format, .action = action, .kind = kind};
    buf_init(&r->json, RULE_JSON_MAX);
}

void import_fini(struct import_reader *r) { buf_fini(&r->json); }

/* ---- a rule of one condition, as JSON ----------------------------------------------------------------------------- */

static bool is_word(struct span text, const char *const *words)
{
    while (*words != NULL && !span_is(text, *words))
        words++;
    return *words != NULL;
}

static const char *kind_of(const struct import_reader *r, struct span entry)
{
    struct ip_block ignored;

    return r->kind != NULL ? r->kind : ip_block_parse(entry, &ignored, NULL) == 0 ? "ip" : "sender";
}

static void open_condition(struct buf *b, struct span kind)
{
    json_open(b, "conditions", '[');
    json_open(b, NULL, '{');
    json_add_text(b, "kind", kind);
}

static void close_condition(struct buf *b)
{
    json_close(b, ']');
    json_close(b, '}');
    json_close(b, ']');
}

/* A key of a list: a subject may be a regex between slashes, or a part of it. */
static void put_key(struct buf *b, struct span kind, struct span key)
{
    bool regex = span_is(kind, "subject") && key.n > 2 && key.p[0] == '/' && key.p[key.n - 1] == '/';

    open_condition(b, kind);
    if (span_is(kind, "subject"))
        json_add_str(b, "match", regex ? "regex" : "contains");
    json_open(b, "any", '[');
    json_add_text(b, NULL, regex ? span_head(span_skip(key, 1), key.n - 2) : key);
    close_condition(b);
}

/* ---- spamassassin, map -------------------------------------------------------------------------------------------- */

/* Tabs are blanks. */
static struct span clean(struct span line, struct arena *a)
{
    struct span copy = arena_dup(a, span_trim(line));
    char       *p = (char *)copy.p;

    for (size_t i = 0; i < copy.n; i++)
        if (p[i] == '\t')
            p[i] = ' ';
    return copy;
}

static const struct {
    const char *word, *action, *kind;
} preferences[] = {
    {"welcomelist_from", "allow", "sender"},  {"whitelist_from", "allow", "sender"},
    {"welcomelist_auth", "allow", "sender"},  {"whitelist_auth", "allow", "sender"},
    {"blocklist_from", "block", "sender"},    {"blacklist_from", "block", "sender"},
    {"welcomelist_to", "allow", "recipient"}, {"whitelist_to", "allow", "recipient"},
    {"blocklist_to", "block", "recipient"},   {"blacklist_to", "block", "recipient"},
};

static int read_preference(struct import_reader *r, struct span line, struct arena *a)
{
    struct span text = clean(span_head(line, span_chr(line, '#')), a), entry;
    struct span word = span_head(text, span_chr(text, ' ')), rest = span_trim(span_skip(text, word.n));

    for (size_t i = 0; i < COUNT(preferences); i++) {
        if (!span_is_ci(word, preferences[i].word) || rest.n == 0)
            continue;
        json_open(&r->json, NULL, '{');
        json_add_str(&r->json, "action", preferences[i].action);
        open_condition(&r->json, span_of(preferences[i].kind));
        json_open(&r->json, "any", '[');
        while (span_next(&rest, ' ', &entry))
            if (entry.n > 0)
                json_add_text(&r->json, NULL, entry);
        close_condition(&r->json);
        json_close(&r->json, '}');
        return IMPORT_RULE;
    }
    return span_find_ci(word, SPAN("list_")) < word.n ? IMPORT_UNSAYABLE : IMPORT_NOTHING;
}

/* The action is named above the list, in a map; -1 and no rule without one. */
static int need_action(const struct import_reader *r, struct err *e)
{
    return r->action != NULL ? 0
                             : err_at(e, 0, "the line does not say whether it allows or blocks - say it for the list");
}

static int read_map(struct import_reader *r, struct span line, struct arena *a, struct err *e)
{
    struct span text = clean(line, a), key;

    if (text.n == 0 || text.p[0] == '#')
        return IMPORT_NOTHING;
    if (need_action(r, e) < 0)
        return -1;
    if (text.p[0] == '/') /* a regex may hold blanks */
        key = span_head(text, span_rchr(text, '/') + 1);
    else
        key = span_head(text, span_chr(text, ' '));
    if (key.p[0] == '@') /* Rspamd's "@domain" is our "*@domain" */
        key = arena_printf(a, "*%.*s", SPAN_ARG(key));
    json_open(&r->json, NULL, '{');
    json_add_str(&r->json, "action", r->action);
    put_key(&r->json, span_of(kind_of(r, key)), key);
    json_close(&r->json, '}');
    return IMPORT_RULE;
}

/* ---- csv ---------------------------------------------------------------------------------------------------------- */

enum column { ACTION, KIND, ENTRY, NAME, NOTE, EXPIRES_AT, REQUIRE_PROOF, POLICY, COLUMNS };
static const char *const column_words[] = {"action",     "kind",          "entry",  "name", "note",
                                           "expires_at", "require_proof", "policy", NULL};
static const unsigned    usual[] = {ACTION, ENTRY, NAME, NOTE};

struct row {
    struct span cells[IMPORT_CELLS_MAX];
    size_t      n;
};

/* The cell at *at, which moves behind it and its separator. 1, 0 at the end, -1. */
static int next_cell(struct span line, char separator, size_t *at, struct arena *a, struct span *out, struct err *e)
{
    char  *p;
    size_t n = 0, i = *at;

    if (i > line.n)
        return 0;
    if (i == line.n || line.p[i] != '"') {
        struct span rest = span_skip(line, i);

        *out = span_trim(span_head(rest, span_chr(rest, separator)));
        *at = i + span_chr(rest, separator) + 1;
        return 1;
    }
    if ((p = arena_alloc(a, line.n - i + 1)) == NULL)
        return err_set(e, ERR_LIMIT, "the line is too long");
    for (i++; i < line.n && (line.p[i] != '"' || (i + 1 < line.n && line.p[i + 1] == '"')); i++) {
        i += line.p[i] == '"';
        p[n++] = line.p[i];
    }
    if (i == line.n)
        return err_at(e, *at, "the quoted cell does not end on this line");
    if (++i < line.n && line.p[i] != separator)
        return err_at(e, i, "behind a quoted cell comes a \"%c\", or the end of the line", separator);
    *out = span_make(p, n);
    *at = i + 1;
    return 1;
}

static int read_row(struct span line, char separator, struct arena *a, struct row *out, struct err *e)
{
    struct span cell = SPAN_NONE;
    size_t      at = 0;
    int         rc;

    out->n = 0;
    while ((rc = next_cell(line, separator, &at, a, &cell, e)) > 0) {
        if (out->n == IMPORT_CELLS_MAX)
            return err_at(e, at, "more than %d cells in a row", IMPORT_CELLS_MAX);
        /* What tables put before "=", "+", "-" and "@" so that no program takes it for a formula. */
        if (cell.n > 1 && cell.p[0] == '\'' && strchr("=+-@", cell.p[1]) != NULL)
            cell = span_skip(cell, 1);
        out->cells[out->n++] = cell;
    }
    return rc;
}

static char guess_separator(struct span line)
{
    static const char separators[] = ",;\t";
    size_t            most = 0;
    char              best = ',';

    for (const char *s = separators; *s != '\0'; s++) {
        size_t n = 0;

        for (size_t i = 0; i < line.n; i++)
            n += line.p[i] == *s;
        if (n > most) {
            most = n;
            best = *s;
        }
    }
    return best;
}

/* Is it a row of names? Then they are the columns. */
static bool take_heading(struct import_reader *r, const struct row *row)
{
    bool has_entry = false;

    for (size_t i = 0; i < row->n; i++) {
        unsigned k = 0;

        while (k < COLUMNS && !span_is_ci(row->cells[i], column_words[k]))
            k++;
        if (k == COLUMNS)
            return false;
        r->columns[i] = k;
        has_entry |= k == ENTRY;
    }
    r->ncolumns = has_entry ? row->n : 0;
    return has_entry;
}

static void take_usual(struct import_reader *r, const struct row *row)
{
    r->ncolumns = row->n == 1 ? 1 : COUNT(usual);
    memcpy(r->columns, usual, sizeof usual);
    if (row->n == 1)
        r->columns[0] = ENTRY;
}

static struct span lower(struct span text, struct arena *a)
{
    struct span copy = arena_dup(a, text);
    char       *p = (char *)copy.p;

    for (size_t i = 0; i < copy.n; i++)
        p[i] = (char)tolower((unsigned char)p[i]);
    return copy;
}

static int put_row(struct import_reader *r, const struct span by[COLUMNS], struct arena *a, struct err *e)
{
    struct buf *b = &r->json;
    struct span kind = by[KIND].n > 0 ? lower(by[KIND], a) : span_of(kind_of(r, by[ENTRY]));

    if (by[ENTRY].n == 0)
        return err_at(e, 0, "the row has no entry");
    if (by[ACTION].n == 0 && need_action(r, e) < 0)
        return -1;
    if (!is_word(kind, import_kind_words))
        return err_at(e, 0, "a row is of the kind sender, recipient, ip, host or subject, not \"%.*s\"",
                      SPAN_ARG(span_head(kind, 40)));
    json_open(b, NULL, '{');
    json_add_text(b, "action", by[ACTION].n > 0 ? lower(by[ACTION], a) : span_of(r->action));
    for (unsigned i = NAME; i < COLUMNS; i++)
        if (by[i].n > 0 && i != REQUIRE_PROOF)
            json_add_text(b, column_words[i], by[i]);
    if (by[REQUIRE_PROOF].n > 0)
        json_add_bool(b, "require_proof",
                      !span_is_ci(by[REQUIRE_PROOF], "false") && !span_is_ci(by[REQUIRE_PROOF], "no") &&
                          !span_is(by[REQUIRE_PROOF], "0"));
    put_key(b, kind, by[ENTRY]);
    json_close(b, '}');
    return IMPORT_RULE;
}

static int read_csv(struct import_reader *r, struct span line, struct arena *a, struct err *e)
{
    struct span by[COLUMNS] = {{0}};
    struct row  row;

    if (!r->begun && span_starts(line, SPAN("\xef\xbb\xbf")))
        line = span_skip(line, 3);
    if (span_trim(line).n == 0 || line.p[0] == '#')
        return IMPORT_NOTHING;
    if (!r->begun)
        r->separator = guess_separator(line);
    if (read_row(line, r->separator, a, &row, e) < 0)
        return -1;
    if (!r->begun) {
        r->begun = true;
        if (take_heading(r, &row))
            return IMPORT_NOTHING;
        take_usual(r, &row);
    }
    for (size_t i = 0; i < row.n; i++) {
        if (i >= r->ncolumns && row.cells[i].n > 0)
            return err_at(e, 0, "the row has more cells than there are columns");
        if (i < r->ncolumns)
            by[r->columns[i]] = row.cells[i];
    }
    return put_row(r, by, a, e);
}

/* ---- a line ------------------------------------------------------------------------------------------------------- */

void import_own_terms(struct err *e)
{
    struct span text = span_of(e->text), place = SPAN("conditions[0].any[");
    size_t      skip;

    if (!span_starts_ci(text, place))
        return;
    skip = place.n + span_chr(span_skip(text, place.n), ']') + 1;
    while (skip < text.n && (text.p[skip] == ',' || text.p[skip] == ':' || text.p[skip] == ' '))
        skip++;
    memmove(e->text, e->text + skip, text.n - skip + 1);
}

int import_line(struct import_reader *r, struct span line, struct arena *a, struct rule_check *check, struct rule *out,
                struct span *scope_out, struct span *policy_out, struct err *e)
{
    struct err  why = ERR_INIT;
    struct span json = span_trim(line);
    int         rc = IMPORT_RULE;

    *scope_out = *policy_out = SPAN_NONE;
    if (json.n == 0)
        return IMPORT_NOTHING;
    if (r->format != IMPORT_JSON) {
        if (line.n > IMPORT_LINE_MAX)
            return err_set(e, ERR_LIMIT, "a line of %zu bytes, at most %d", line.n, IMPORT_LINE_MAX);
        if (!utf8_valid(line))
            return err_at(e, utf8_clip(line, line.n), "the line is not UTF-8");
        buf_clear(&r->json);
        rc = r->format == IMPORT_CSV            ? read_csv(r, line, a, e)
             : r->format == IMPORT_SPAMASSASSIN ? read_preference(r, line, a)
                                                : read_map(r, line, a, e);
        if (rc != IMPORT_RULE)
            return rc;
        if (r->json.failed)
            return err_set(e, ERR_LIMIT, "the line is too long");
        json = buf_span(&r->json);
    }
    if (rule_line_from_json(json, a, check, out, scope_out, policy_out, &why) == 0) {
        *policy_out = policy_out->n > 0 ? arena_dup(a, *policy_out) : SPAN_NONE;
        return IMPORT_RULE;
    }
    if (r->format != IMPORT_JSON)
        import_own_terms(&why);
    if (e != NULL)
        *e = why;
    return -1;
}

/* ---- guessing ----------------------------------------------------------------------------------------------------- */

static bool is_preference(struct span line)
{
    struct span word = span_head(line, span_chr(line, ' '));

    word = span_head(word, span_chr(word, '\t'));
    for (size_t i = 0; i < COUNT(preferences); i++)
        if (span_is_ci(word, preferences[i].word))
            return true;
    return false;
}

static bool looks_like_cells(struct span line)
{
    return line.p[0] != '/' &&
           (memchr(line.p, ',', line.n) != NULL || memchr(line.p, ';', line.n) != NULL || line.p[0] == '"');
}

enum import_format import_guess(struct span text)
{
    struct span line;
    bool        cells = false, first = true;

    if (span_starts(text, SPAN("\xef\xbb\xbf")))
        text = span_skip(text, 3);
    for (int i = 0; i < GUESS_LINES && span_line(&text, &line); i++) {
        line = span_trim(line);
        if (line.n == 0 || line.p[0] == '#')
            continue;
        if (first && line.p[0] == '{')
            return IMPORT_JSON;
        if (is_preference(line))
            return IMPORT_SPAMASSASSIN;
        cells |= looks_like_cells(line) || (first && span_is_ci(line, "entry"));
        first = false;
    }
    return cells ? IMPORT_CSV : IMPORT_MAP;
}

/* portal/sentence.c - see sentence.h. A row is walked from piece to piece: text of its own, then a directive, whose value ends
 * where the next text of its own begins. */
#include "sentence.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/json_write.h"

#define DEPTH_MAX 4 /* a line of a list: an entry of a rule: what is wrong with it */

/* ---- finding it again --------------------------------------------------------------------------------------------- */

static struct span without_stop(struct span s)
{
    return s.n > 1 && s.p[s.n - 1] == '.' && s.p[s.n - 2] != '.' ? span_head(s, s.n - 1) : s;
}

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c; }

static bool starts(struct span text, struct span piece)
{
    return text.n >= piece.n && (piece.n == 0 || (lower(text.p[0]) == lower(piece.p[0]) &&
                                                  memcmp(text.p + 1, piece.p + 1, piece.n - 1) == 0));
}

static bool is_number(struct span s, bool fraction)
{
    size_t digits = 0;

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] >= '0' && s.p[i] <= '9')
            digits++;
        else if (!(s.p[i] == '-' && i == 0) && !(fraction && strchr(".e+-", s.p[i]) != NULL))
            return false;
    }
    return digits > 0;
}

/* Takes a directive from the format; its conversion is returned. */
static char take_directive(struct span *format)
{
    size_t n = 1;

    while (n < format->n && strchr("0123456789.*lzh", format->p[n]) != NULL)
        n++;
    char conversion = n < format->n ? format->p[n] : 's';
    *format = span_skip(*format, n + 1);
    return conversion;
}

static bool fits(char conversion, struct span value)
{
    switch (conversion) {
    case 's':
    case 'x': return true;
    case 'c': return value.n == 1;
    default: return is_number(value, conversion == 'f' || conversion == 'g');
    }
}

/* How much text of its own the row has, when `text` is what it makes; else -1. */
static int match(const struct sentence_row *row, struct span text, struct sentence *out)
{
    struct span format = without_stop(span_of(row->text)), piece = span_head(format, span_chr(format, '%'));
    int         own = (int)piece.n;

    *out = (struct sentence){.row = row};
    if (!starts(text, piece))
        return -1;
    text = span_skip(text, piece.n);
    for (format = span_skip(format, piece.n); format.n > 0; format = span_skip(format, piece.n)) {
        char   conversion = take_directive(&format);
        size_t n;

        piece = span_head(format, span_chr(format, '%'));
        own += (int)piece.n;
        if (piece.n == format.n)
            n = span_ends(text, piece) ? text.n - piece.n : text.n + 1;
        else
            n = span_find(text, piece);
        if (n + piece.n > text.n || out->n == SENTENCE_VALUES_MAX || !fits(conversion, span_head(text, n)))
            return -1;
        out->kinds[out->n] = conversion;
        out->values[out->n++] = span_head(text, n);
        text = span_skip(text, n + piece.n);
    }
    return text.n == 0 ? own : -1;
}

struct sentence sentence_find(struct span text)
{
    struct sentence found = {.row = NULL}, one;
    int             most = -1, own;

    text = without_stop(text);
    for (const struct sentence_row *row = sentence_rows; text.n > 0 && row->code != NULL; row++)
        if ((own = match(row, text, &one)) > most) {
            most = own;
            found = one;
        }
    return found;
}

bool sentence_is_ours(struct span text) { return sentence_find(text).row != NULL; }

const char *sentence_for(const struct err *e)
{
    if (sentence_is_ours(span_of(e->text)))
        return e->text;
    switch (e->code) {
    case ERR_LIMIT: return "This is more than can be done at once.";
    case ERR_BUSY:
    case ERR_LOST:
    case ERR_VERSION: return "This cannot be done just now. Please try again in a moment.";
    default: return "The operator can find the cause in the log.";
    }
}

/* ---- saying it ---------------------------------------------------------------------------------------------------- */

static void put_found(struct buf *b, const struct sentence *s, int depth);

static void put_inside(struct buf *b, const char *name, struct span value, int depth)
{
    struct sentence inside = depth < DEPTH_MAX ? sentence_find(value) : (struct sentence){.row = NULL};

    json_open(b, name, '{');
    json_add_string(b, "text", value);
    if (inside.row != NULL)
        put_found(b, &inside, depth + 1);
    json_close(b, '}');
}

/* What is no text matched digits (fits()). */
static void put_value(struct buf *b, const char *name, char mark, char kind, struct span value, int depth)
{
    char number[40];

    snprintf(number, sizeof number, "%.*s", SPAN_ARG(value));
    if (mark == '>')
        put_inside(b, name, value, depth);
    else if (strchr("scx", kind) != NULL)
        json_add_string(b, name, value);
    else
        json_add_f64(b, name, strtod(number, NULL) + (mark == '+'));
}

/* The members "code" and "values". */
static void put_found(struct buf *b, const struct sentence *s, int depth)
{
    struct span rest = span_of(s->row->values), name;

    json_add_str(b, "code", s->row->code);
    json_open(b, "values", '{');
    for (size_t i = 0; i < s->n && span_next(&rest, ',', &name); i++) {
        char mark = name.n > 0 && (name.p[0] == '>' || name.p[0] == '+') ? name.p[0] : '\0', key[32];

        snprintf(key, sizeof key, "%.*s", SPAN_ARG(span_skip(name, mark != '\0')));
        put_value(b, key, mark, s->kinds[i], s->values[i], depth);
    }
    json_close(b, '}');
}

void sentence_put(struct buf *b, const char *key, struct span text)
{
    struct sentence s = sentence_find(text);

    if (s.row == NULL) {
        json_add_null(b, key);
        return;
    }
    json_open(b, key, '{');
    put_found(b, &s, 0);
    json_close(b, '}');
}

void sentence_say(struct buf *b, const char *key, const char *text)
{
    char   sentence[sizeof((struct err *)0)->text + 2], said[40];
    size_t n = strlen(text), word = 0;

    while (text[word] >= 'a' && text[word] <= 'z')
        word++;
    snprintf(sentence, sizeof sentence, "%s%s", text, n > 0 && strchr(".?!", text[n - 1]) == NULL ? "." : "");
    if (word > 0 && (text[word] == ' ' || text[word] == ','))
        sentence[0] = (char)(sentence[0] - 'a' + 'A');
    json_add_str(b, key, sentence);
    snprintf(said, sizeof said, "%s_said", key);
    sentence_put(b, said, span_of(text));
}

void sentence_schema(struct buf *b)
{
    json_open(b, "Said", '{');
    json_add_str(b, "type", "object");
    json_add_str(b, "description",
                 "The sentence beside it, for who says it in another language: its code, and its values.");
    json_open(b, "properties", '{');
    json_open(b, "code", '{');
    json_add_str(b, "type", "string");
    json_open(b, "enum", '[');
    for (const struct sentence_row *row = sentence_rows; row->code != NULL; row++)
        json_add_str(b, NULL, row->code);
    json_close(b, ']');
    json_close(b, '}');
    json_open(b, "values", '{');
    json_add_str(b, "type", "object");
    json_close(b, '}');
    json_close(b, '}');
    json_close(b, '}');
    json_add_json(b, "SaidOrNull", SPAN("{\"anyOf\":[{\"$ref\":\"#/components/schemas/Said\"},{\"type\":\"null\"}]}"));
}

/* lib/mail/answer.c - see answer.h. A line is words: a command, numbers, and what may stand between them. */
#include "mail/answer.h"

#include <ctype.h>

#define NO_BREAK "\xc2\xa0" /* what mail programs make of a blank */

static const char *const commands[] = {"release", "zustellen", "freigeben"};
static const char *const between[] = {"and", "und", "&"};

static bool is_one_of(struct span word, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (span_is_ci(word, list[i]))
            return true;
    return false;
}

static bool skip_blank(struct span *rest)
{
    size_t n = 0;

    if (rest->n > 0 && (rest->p[0] == ' ' || rest->p[0] == '\t' || rest->p[0] == '\r' || rest->p[0] == '\n'))
        n = 1;
    else if (span_starts(*rest, SPAN(NO_BREAK)))
        n = 2;
    *rest = span_skip(*rest, n);
    return n > 0;
}

static struct span trim(struct span line)
{
    while (skip_blank(&line))
        ;
    line = span_trim(line);
    while (span_ends(line, SPAN(NO_BREAK)))
        line = span_trim(span_head(line, line.n - 2));
    return line;
}

/* ---- words ---- */

enum word { WORD_END, WORD_NUMBER, WORD_COMMAND, WORD_COMMA, WORD_AND, WORD_OTHER };

static enum word number(struct span *rest, uint32_t *out)
{
    size_t   n = 0;
    uint64_t value;

    while (n < rest->n && isdigit((unsigned char)rest->p[n]))
        n++;
    if (n > 5 || !span_u64(span_head(*rest, n), &value))
        return WORD_OTHER;
    *out = (uint32_t)value;
    *rest = span_skip(*rest, n);
    return WORD_NUMBER;
}

struct reader {
    struct span rest;
    enum word   word; /* the one at hand */
    uint32_t    number;
};

static enum word letters(struct reader *r)
{
    struct span word;
    size_t      n = 0;

    while (n < r->rest.n && (isalpha((unsigned char)r->rest.p[n]) || r->rest.p[n] == '&'))
        n++;
    word = span_head(r->rest, n);
    r->rest = span_skip(r->rest, n);
    if (is_one_of(word, between, COUNT(between)))
        return WORD_AND;
    if (!is_one_of(word, commands, COUNT(commands)))
        return WORD_OTHER;
    if (span_starts(r->rest, SPAN(":")))
        r->rest = span_skip(r->rest, 1);
    return WORD_COMMAND;
}

/* To the next word. A command and a number need a blank between them, or a colon. */
static void advance(struct reader *r)
{
    bool blank = false;

    while (skip_blank(&r->rest))
        blank = true;
    if (r->rest.n == 0) {
        r->word = WORD_END;
    } else if (r->rest.p[0] == ',' || r->rest.p[0] == ';') {
        r->rest = span_skip(r->rest, 1);
        r->word = WORD_COMMA;
    } else if (isdigit((unsigned char)r->rest.p[0])) {
        r->word = number(&r->rest, &r->number);
    } else {
        r->word = blank || r->word != WORD_NUMBER ? letters(r) : WORD_OTHER;
    }
}

/* ---- lines ---- */

static void add(struct answer *a, uint32_t number)
{
    for (size_t i = 0; i < a->n; i++)
        if (a->numbers[i] == number)
            return;
    if (a->n == ANSWER_NUMBERS_MAX)
        a->too_many = true;
    else
        a->numbers[a->n++] = number;
}

static bool read_numbers(struct reader *r, struct answer *a)
{
    while (r->word == WORD_NUMBER) {
        bool more = false;

        add(a, r->number);
        advance(r);
        for (enum word w = WORD_COMMA; w <= WORD_AND; w++) /* "1, and 2" */
            if (r->word == w) {
                more = true;
                advance(r);
            }
        if (r->word != WORD_NUMBER)
            return !more;
    }
    return false;
}

/* One command, before or behind its numbers, and nothing else. */
static bool read_line(struct span line, struct answer *a)
{
    const struct answer was = *a;
    struct reader       r = {.rest = line, .word = WORD_END};
    bool                good = line.n <= ANSWER_LINE_MAX;

    if (span_ends(line, SPAN(".")) || span_ends(line, SPAN("!")))
        r.rest = span_head(line, line.n - 1);
    advance(&r);
    if (r.word == WORD_COMMAND) {
        advance(&r);
        good = good && read_numbers(&r, a);
    } else {
        good = good && read_numbers(&r, a) && r.word == WORD_COMMAND;
        advance(&r);
    }
    if (good && r.word == WORD_END)
        return true;
    *a = was;
    return false;
}

void answer_read(struct span text, struct answer *out)
{
    struct span rest = span_head(text, ANSWER_LOOK), line;

    *out = (struct answer){.n = 0};
    while (span_line(&rest, &line)) {
        line = trim(line);
        if (line.n > 0 && !read_line(line, out))
            break;
    }
    if (out->too_many)
        out->n = 0;
}

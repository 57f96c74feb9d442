/* portal/csv.c - see csv.h. */
#include "csv.h"

#include "base/clock.h"
#include "base/utf8.h"

static bool is_formula(struct span text)
{
    static const char signs[] = {'=', '+', '-', '@', '\t', '\r'};
    size_t            i = 0;

    while (i < text.n && (text.p[i] == ' ' || text.p[i] == '\n'))
        i++;
    return i < text.n && memchr(signs, text.p[i], sizeof signs) != NULL;
}

void csv_cell(struct buf *b, struct span text)
{
    char utf8[4];

    if (b->n > 0 && b->p[b->n - 1] != '\n')
        buf_putc(b, ',');
    buf_putc(b, '"');
    if (is_formula(text))
        buf_putc(b, '\'');
    for (size_t at = 0; at < text.n;) {
        uint32_t cp = utf8_next(text, &at, NULL);

        if (cp == '"')
            buf_putc(b, '"');
        buf_put(b, span_make(utf8, utf8_put(cp == 0 ? UTF8_BAD : cp, utf8)));
    }
    buf_putc(b, '"');
}

void csv_time(struct buf *b, int64_t us)
{
    char text[28] = "";

    if (us > 0)
        clock_format_utc(us, text);
    csv_cell(b, span_of(text));
}

void csv_row_end(struct buf *b) { buf_puts(b, "\r\n"); }

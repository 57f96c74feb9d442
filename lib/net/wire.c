/* lib/net/wire.c - telling protocols apart, and what both of them need: decompression, lists, numbers. */
#define ZLIB_CONST
#include <math.h>
#include <zlib.h>
#include <zstd.h>

#include "net/wire.h"

enum wire_kind wire_detect(struct span in, enum wire_kind fallback)
{
    struct span line = span_head(in, WIRE_LINE_MAX);
    size_t      end = span_chr(line, '\n');

    if (end == line.n)
        return in.n < WIRE_LINE_MAX ? WIRE_UNDECIDED : fallback;
    line = span_trim(span_head(line, end));

    size_t blank = span_rchr(line, ' ');
    if (blank == line.n)
        return fallback;
    struct span word = span_skip(line, blank + 1);
    if (span_starts(word, SPAN("HTTP/")))
        return WIRE_HTTP;
    if (span_starts(word, SPAN("SPAMC/")) || span_starts(word, SPAN("RSPAMC/")))
        return WIRE_SPAMC;
    return fallback;
}

bool wire_line(const struct buf *in, size_t *pos, size_t *scan, struct span *line_out)
{
    const char *lf = *scan < in->n ? memchr(in->p + *scan, '\n', in->n - *scan) : NULL;

    *scan = in->n;
    if (lf == NULL)
        return false;
    *line_out = span_between(in->p + *pos, lf + 1);
    *pos += line_out->n;
    *scan = *pos;
    return true;
}

struct span wire_chop(struct span line)
{
    line.n--;
    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    return line;
}

/* ---- decompression ---- */

#define CHUNK (64 * 1024)

/* Room for the next piece of output: never beyond `left`, and one byte more, so that going over is seen. */
static size_t next_piece(size_t left) { return left < CHUNK ? left + 1 : CHUNK; }

static int too_large(size_t max, struct err *e)
{
    return err_set(e, ERR_LIMIT, "the message exceeds %zu bytes once decompressed", max);
}

static int inflate_all(z_stream *z, struct span in, size_t max, struct buf *out, struct err *e)
{
    size_t left = max;

    z->next_in = (const Bytef *)in.p;
    z->avail_in = 0;
    for (;;) {
        size_t piece = next_piece(left), fed = (size_t)((const char *)z->next_in - in.p);
        char  *room = buf_reserve(out, piece);

        if (room == NULL)
            return too_large(max, e);
        z->next_out = (Bytef *)room;
        z->avail_out = (uInt)piece;
        z->avail_in = in.n - fed < UINT32_MAX ? (uInt)(in.n - fed) : UINT32_MAX;
        int    rc = inflate(z, Z_NO_FLUSH);
        size_t made = piece - z->avail_out;
        if (made > left)
            return too_large(max, e);
        room[made] = '\0';
        out->n += made;
        left -= made;
        if (rc == Z_STREAM_END)
            return 0;
        if (rc != Z_OK || (made == 0 && z->avail_in == 0))
            return err_set(e, ERR_INVALID, "the zlib stream is damaged or cut short");
    }
}

int wire_inflate(struct span in, size_t max, struct buf *out, struct err *e)
{
    z_stream z = {0};

    if (inflateInit(&z) != Z_OK)
        return err_set(e, ERR_LIMIT, "no memory for zlib");
    int rc = inflate_all(&z, in, max, out, e);
    inflateEnd(&z);
    return rc;
}

#define ZSTD_WINDOW_LOG 23

static int unzstd_all(ZSTD_DCtx *z, struct span in, size_t max, struct buf *out, struct err *e)
{
    ZSTD_inBuffer src = {in.p, in.n, 0};
    size_t        left = max, hint = 1;

    while (src.pos < src.size || hint != 0) {
        size_t         piece = next_piece(left), before = src.pos;
        char          *room = buf_reserve(out, piece);
        ZSTD_outBuffer dst = {room, piece, 0};

        if (room == NULL)
            return too_large(max, e);
        hint = ZSTD_decompressStream(z, &dst, &src);
        if (ZSTD_isError(hint))
            return err_set(e, ERR_INVALID, "the zstd frame is damaged: %s", ZSTD_getErrorName(hint));
        if (dst.pos > left)
            return too_large(max, e);
        room[dst.pos] = '\0';
        out->n += dst.pos;
        left -= dst.pos;
        if (hint != 0 && dst.pos == 0 && src.pos == before)
            return err_set(e, ERR_INVALID, "the zstd frame is cut short");
    }
    return 0;
}

int wire_unzstd(struct span in, size_t max, struct buf *out, struct err *e)
{
    ZSTD_DCtx *z = ZSTD_createDCtx();

    if (z == NULL)
        return err_set(e, ERR_LIMIT, "no memory for zstd");
    ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG);
    int rc = unzstd_all(z, in, max, out, e);
    ZSTD_freeDCtx(z);
    return rc;
}

/* ---- lists ---- */

bool span_list_put(struct span_list *l, struct arena *a, struct span item)
{
    if (l->n == l->cap) {
        size_t       cap = l->cap ? 2 * l->cap : 8;
        struct span *items = arena_array(a, cap, sizeof *items);

        if (items == NULL)
            return false;
        if (l->n > 0)
            memcpy(items, l->items, l->n * sizeof *items);
        l->items = items;
        l->cap = cap;
    }
    l->items[l->n++] = item;
    return true;
}

/* The end of the address at the start of s: the first comma outside quotes. An open quote runs to the end. */
static size_t address_end(struct span s)
{
    bool quoted = false;

    if (span_chr(s, ',') == s.n)
        return s.n;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"')
            quoted = !quoted;
        else if (s.p[i] == '\\' && quoted)
            i++;
        else if (s.p[i] == ',' && !quoted)
            return i;
    }
    return s.n;
}

bool wire_put_addresses(struct span_list *l, struct arena *a, struct span field, size_t max)
{
    while (field.n > 0) {
        size_t      end = address_end(field);
        struct span one = span_trim(span_head(field, end));

        if (one.n > 0 && (l->n >= max || !span_list_put(l, a, one)))
            return false;
        field = span_skip(field, end + 1);
    }
    return true;
}

/* ---- numbers ---- */

int64_t wire_scale(double v, int decimals)
{
    static const uint32_t scales[] = {1, 10, 100, 1000, 10000, 100000, 1000000};

    if (!isfinite(v))
        return 0;
    v = v > 1e9 ? 1e9 : v < -1e9 ? -1e9 : v;
    return llround(v * scales[decimals]);
}

void wire_put_fixed(struct buf *out, int64_t scaled, int decimals)
{
    char     text[32], *end = text + sizeof text, *p = end;
    uint64_t left = (uint64_t)(scaled < 0 ? -scaled : scaled);

    for (int i = 0; i < decimals || i == decimals || left > 0; i++) {
        if (i == decimals)
            *--p = '.';
        *--p = (char)('0' + left % 10);
        left /= 10;
    }
    if (scaled < 0)
        *--p = '-';
    buf_put(out, span_between(p, end));
}

void wire_put_decimal(struct buf *out, double v, int decimals)
{
    int64_t scaled = wire_scale(v, decimals);

    for (; decimals > 1 && scaled % 10 == 0; decimals--)
        scaled /= 10;
    wire_put_fixed(out, scaled, decimals);
}

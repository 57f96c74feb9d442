/* lib/net/httpd_encoding.c - which coding a client would rather have (RFC 9110, 12.5.3), and putting a body into it. */
#include <zlib.h>
#include <zstd.h>

#include "net/httpd_head.h"

/* For a reply while its client waits, and for what is packed once and sent often. */
static const int gzip_levels[] = {5, 9}, zstd_levels[] = {3, 19};

const char *const httpd_coding_words[] = {"identity", "gzip", "zstd"};

/* "0.5" in thousandths; nonsense is 0: who writes it gets plain text. */
static int weight_of(struct span parameter)
{
    struct span name = span_trim(span_head(parameter, span_chr(parameter, '=')));
    struct span text = span_trim(span_skip(parameter, span_chr(parameter, '=') + 1));
    int         weight = 0, digit = 1000;

    if (!span_is_ci(name, "q") || text.n == 0)
        return 0;
    for (size_t i = 0; i < text.n && i < 5; i++) {
        if (text.p[i] == '.' && i == 1)
            continue;
        if (text.p[i] < '0' || text.p[i] > '9')
            return 0;
        weight += (text.p[i] - '0') * digit;
        digit /= 10;
    }
    return weight;
}

/* Weights for each coding of this field; -1 stays where it is not named. */
static void read_weights(struct span field, int weights[3], int *any)
{
    struct span item;

    while (span_next(&field, ',', &item)) {
        size_t      semi = span_chr(item, ';');
        struct span name = span_trim(span_head(item, semi));
        int         weight = semi < item.n ? weight_of(span_skip(item, semi + 1)) : 1000;

        if (span_is(name, "*"))
            *any = weight;
        for (size_t i = 0; i < 3; i++)
            if (span_is_ci(name, httpd_coding_words[i]) || (i == HTTPD_GZIP && span_is_ci(name, "x-gzip")))
                weights[i] = weight;
    }
}

enum httpd_coding httpd_accepts(const struct httpd_request *r)
{
    const struct httpd_head *h = r->inside;
    int                      weights[3] = {-1, -1, -1}, any = -1;
    enum httpd_coding        best = HTTPD_PLAIN;

    for (size_t i = 0; i < h->n; i++)
        if (span_is_ci(h->fields[i].name, "Accept-Encoding"))
            read_weights(h->fields[i].value, weights, &any);
    for (enum httpd_coding c = HTTPD_GZIP; c <= HTTPD_ZSTD; c++) {
        int weight = weights[c] >= 0 ? weights[c] : any;
        int beaten = best != HTTPD_PLAIN ? (weights[best] >= 0 ? weights[best] : any) : 1;

        if (weight >= beaten && weight >= weights[HTTPD_PLAIN])
            best = c;
    }
    return best;
}

static int gzip(int level, struct span in, size_t room, struct buf *out)
{
    z_stream z = {0};
    int      rc;

    if (deflateInit2(&z, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        panic("zlib does not start");
    z.next_in = (Bytef *)(uintptr_t)in.p;
    z.avail_in = (uInt)in.n;
    z.next_out = (Bytef *)buf_reserve(out, room);
    z.avail_out = (uInt)room;
    rc = deflate(&z, Z_FINISH);
    if (rc == Z_STREAM_END)
        out->n += z.total_out;
    deflateEnd(&z);
    return rc == Z_STREAM_END ? 0 : -1;
}

static int zstd(int level, struct span in, size_t room, struct buf *out)
{
    size_t n = ZSTD_compress(buf_reserve(out, room), room, in.p, in.n, level);

    if (ZSTD_isError(n))
        return -1;
    out->n += n;
    return 0;
}

int httpd_encode(enum httpd_coding how, bool best, struct span in, struct buf *out)
{
    size_t room = in.n > 0 ? in.n - 1 : 0;

    if (how == HTTPD_PLAIN || room == 0 || in.n > UINT32_MAX / 2 || buf_reserve(out, room) == NULL)
        return -1;
    return how == HTTPD_ZSTD ? zstd(zstd_levels[best], in, room, out) : gzip(gzip_levels[best], in, room, out);
}

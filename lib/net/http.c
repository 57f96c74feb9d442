/* lib/net/http.c - see http.h.
 *
 * The way of a request: HTTP_LINE (empty lines, then the request line), HTTP_FIELDS (line by line, framing fields are
 * understood as they pass), then HTTP_BODY with a length or the HTTP_CHUNK states without one, HTTP_OVER. Each state is
 * a function that moves to the next one, asks for more, or refuses. */
#include <stdio.h>

#include "base/utf8.h"
#include "net/http.h"

#define CHUNK_LINE_MAX 256

/* ---- small things ---- */

/* What may stand in a method or a field name (RFC 9110, token). */
static const bool token_char[256] = {
    ['!'] = 1, ['#'] = 1, ['$'] = 1, ['%'] = 1, ['&'] = 1, ['\''] = 1, ['*'] = 1, ['+'] = 1, ['-'] = 1, ['.'] = 1,
    ['^'] = 1, ['_'] = 1, ['`'] = 1, ['|'] = 1, ['~'] = 1, ['0'] = 1,  ['1'] = 1, ['2'] = 1, ['3'] = 1, ['4'] = 1,
    ['5'] = 1, ['6'] = 1, ['7'] = 1, ['8'] = 1, ['9'] = 1, ['A'] = 1,  ['B'] = 1, ['C'] = 1, ['D'] = 1, ['E'] = 1,
    ['F'] = 1, ['G'] = 1, ['H'] = 1, ['I'] = 1, ['J'] = 1, ['K'] = 1,  ['L'] = 1, ['M'] = 1, ['N'] = 1, ['O'] = 1,
    ['P'] = 1, ['Q'] = 1, ['R'] = 1, ['S'] = 1, ['T'] = 1, ['U'] = 1,  ['V'] = 1, ['W'] = 1, ['X'] = 1, ['Y'] = 1,
    ['Z'] = 1, ['a'] = 1, ['b'] = 1, ['c'] = 1, ['d'] = 1, ['e'] = 1,  ['f'] = 1, ['g'] = 1, ['h'] = 1, ['i'] = 1,
    ['j'] = 1, ['k'] = 1, ['l'] = 1, ['m'] = 1, ['n'] = 1, ['o'] = 1,  ['p'] = 1, ['q'] = 1, ['r'] = 1, ['s'] = 1,
    ['t'] = 1, ['u'] = 1, ['v'] = 1, ['w'] = 1, ['x'] = 1, ['y'] = 1,  ['z'] = 1,
};

static bool is_token(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!token_char[(unsigned char)s.p[i]])
            return false;
    return s.n > 0;
}

/* NUL, or CR or LF in the middle of a line: what other parsers of the same bytes could read differently. */
static bool has_line_bytes(struct span s)
{
    bool bad = false;

    for (size_t i = 0; i < s.n; i++)
        bad |= s.p[i] == '\0' || s.p[i] == '\r' || s.p[i] == '\n';
    return bad;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static struct span trim_blanks(struct span s)
{
    while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = span_skip(s, 1);
    while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

static enum wire_step bad(struct http_request *r, int status, const char *text)
{
    r->status = status;
    r->state = HTTP_OVER;
    err_set(&r->error, ERR_PROTOCOL, "%s", text);
    return WIRE_BAD;
}

/* ---- the request line ---- */

static const struct {
    const char      *name;
    enum http_method method;
} methods[] = {{"POST", HTTP_POST}, {"GET", HTTP_GET}, {"HEAD", HTTP_HEAD}, {"PUT", HTTP_PUT}};

/* 0, or the status to refuse with. Methods that do not look like one are nonsense, others merely not ours. */
static int read_method(struct http_request *r, struct span word)
{
    for (size_t i = 0; i < COUNT(methods); i++) {
        if (span_is(word, methods[i].name)) {
            r->method = methods[i].method;
            return 0;
        }
    }
    for (size_t i = 0; i < word.n; i++)
        if (!token_char[(unsigned char)word.p[i]] || (word.p[i] >= 'a' && word.p[i] <= 'z'))
            return 400;
    return word.n > 0 ? 405 : 400;
}

static int read_version(struct http_request *r, struct span method, struct span word)
{
    if (word.n != 8 || !span_starts(word, SPAN("HTTP/")) || word.p[5] < '0' || word.p[5] > '9' || word.p[6] != '.' ||
        word.p[7] < '0' || word.p[7] > '9')
        return 400;
    if (span_is(method, "PRI")) /* the preface of HTTP/2 */
        return 400;
    r->minor = word.p[7] - '0';
    r->keep_alive = r->minor > 0;
    return word.p[5] == '1' ? 0 : 505;
}

static bool read_target(struct http_request *r, struct span target)
{
    for (size_t i = 0; i < target.n; i++)
        if ((unsigned char)target.p[i] <= ' ' || target.p[i] == 0x7f)
            return false;
    if (span_starts_ci(target, SPAN("http://")) || span_starts_ci(target, SPAN("https://"))) {
        struct span rest = span_skip(target, span_find(target, SPAN("//")) + 2);
        size_t      authority = 0;

        while (authority < rest.n && rest.p[authority] != '/' && rest.p[authority] != '?')
            authority++;
        target = span_skip(rest, authority);
    } else if (target.n == 0 || target.p[0] != '/') {
        return false;
    }
    size_t mark = span_chr(target, '?');
    r->path = span_head(target, mark);
    r->query = span_skip(target, mark + 1);
    if (r->path.n == 0)
        r->path = SPAN_NONE;
    return true;
}

static enum wire_step read_request_line(struct http_request *r, struct span line)
{
    size_t      first = span_chr(line, ' '), last = span_rchr(line, ' ');
    struct span method = span_head(line, first);
    int         status;

    if (first == line.n || first == last)
        return bad(r, 400, "the request line is not METHOD TARGET HTTP/1.1");
    if ((status = read_version(r, method, span_skip(line, last + 1))) != 0)
        return bad(r, status,
                   status == 505 ? "this server speaks HTTP/1.0 and HTTP/1.1" : "the request line has no HTTP version");
    if ((status = read_method(r, method)) != 0)
        return bad(r, status,
                   status == 405 ? "the method must be GET, HEAD, POST or PUT" : "the request line has no method");
    if (!read_target(r, span_skip(span_head(line, last), first + 1)))
        return bad(r, 400, "the request target is damaged");
    r->state = HTTP_FIELDS;
    return WIRE_MORE;
}

/* WIRE_MORE with another state than before: go on. */
static enum wire_step step_line(struct http_request *r, struct buf *in)
{
    struct span line;

    if (!wire_line(in, &r->pos, &r->scan, &line)) {
        if (in->n - r->pos > WIRE_LINE_MAX)
            return bad(r, 414, "the request line is too long");
        return WIRE_MORE;
    }
    if (line.n > WIRE_LINE_MAX)
        return bad(r, 414, "the request line is too long");
    if (r->pos > r->limits.head_max)
        return bad(r, 431, "the head is too large");
    line = wire_chop(line);
    return line.n == 0 ? WIRE_MORE : read_request_line(r, line);
}

/* ---- fields ---- */

static bool list_has(struct span list, const char *word)
{
    struct span part;

    while (span_next(&list, ',', &part))
        if (span_is_ci(trim_blanks(part), word))
            return true;
    return false;
}

static enum wire_step on_length(struct http_request *r, struct span value)
{
    uint64_t length;

    if (!span_u64(value, &length))
        return bad(r, 400, "Content-Length is not a number");
    if (r->has_length && r->length != length)
        return bad(r, 400, "Content-Length is given twice, and differs");
    r->has_length = true;
    r->length = length;
    return WIRE_MORE;
}

static enum wire_step on_transfer(struct http_request *r, struct span value)
{
    if (r->chunked || r->minor == 0 || !span_is_ci(value, "chunked"))
        return bad(r, 400, "Transfer-Encoding must be chunked, once, and in HTTP/1.1");
    r->chunked = true;
    return WIRE_MORE;
}

static enum wire_step on_coding(struct http_request *r, struct span value)
{
    if (span_is_ci(value, "zstd"))
        r->zstd = true;
    else if (value.n > 0 && !span_is_ci(value, "identity"))
        return bad(r, 415, "the body may be compressed by zstd alone");
    return WIRE_MORE;
}

static enum wire_step on_dictionary(struct http_request *r, struct span value)
{
    (void)value;
    return bad(r, 415, "compression dictionaries are not known here");
}

static enum wire_step on_connection(struct http_request *r, struct span value)
{
    if (list_has(value, "close"))
        r->keep_alive = false;
    else if (r->minor == 0 && list_has(value, "keep-alive"))
        r->keep_alive = true;
    return WIRE_MORE;
}

/* The fields that the codec itself understands; all others only pass through it. */
static const struct {
    struct span name;
    enum wire_step (*on)(struct http_request *r, struct span value);
} framing[] = {
    {{"Content-Length", 14}, on_length}, {{"Transfer-Encoding", 17}, on_transfer},
    {{"Compression", 11}, on_coding},    {{"Content-Encoding", 16}, on_coding},
    {{"Connection", 10}, on_connection}, {{"Dictionary", 10}, on_dictionary},
};

/* Both kinds of fields have a ceiling of their own: a message may have many recipients. */
static enum wire_step add_header(struct http_request *r, struct span name, struct span value)
{
    if (name.n == 4 && span_eq_ci(name, SPAN("Rcpt"))) {
        if (++r->nrcpt > r->limits.rcpt_max)
            return bad(r, 431, "too many recipients");
    } else if (r->nheaders - r->nrcpt >= r->limits.headers_max) {
        return bad(r, 431, "too many fields");
    }
    if (r->nheaders == r->headers_cap) {
        size_t              cap = r->headers_cap ? 2 * r->headers_cap : 32;
        struct http_header *more = arena_alloc(r->arena, cap * sizeof *more);

        if (more == NULL)
            return bad(r, 431, "too many fields");
        if (r->nheaders > 0)
            memcpy(more, r->headers, r->nheaders * sizeof *more);
        r->headers = more;
        r->headers_cap = cap;
    }
    r->headers[r->nheaders++] = (struct http_header){name, value};
    return WIRE_MORE;
}

static enum wire_step read_field(struct http_request *r, struct span line)
{
    size_t      colon = span_chr(line, ':');
    struct span name = span_head(line, colon), value = trim_blanks(span_skip(line, colon + 1));

    if (colon == line.n || !is_token(name))
        return bad(r, 400, "a field is not \"Name: value\"");
    if (has_line_bytes(value))
        return bad(r, 400, "a field holds a NUL or a CR");
    for (size_t i = 0; i < COUNT(framing); i++) {
        if (framing[i].name.n == name.n && span_eq_ci(framing[i].name, name)) {
            if (framing[i].on(r, value) == WIRE_BAD)
                return WIRE_BAD;
            break;
        }
    }
    return add_header(r, name, value);
}

/* "a%20b+c" decoded into the arena; p == NULL when it is damaged, or holds what a field must not. */
static struct span decode_argument(struct http_request *r, struct span s)
{
    char  *out = arena_alloc(r->arena, s.n + 1);
    size_t n = 0;

    if (out == NULL)
        return SPAN_NONE;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i] == '+' ? ' ' : s.p[i];

        if (c == '%') {
            int high = i + 2 < s.n ? hex_digit(s.p[i + 1]) : -1, low = i + 2 < s.n ? hex_digit(s.p[i + 2]) : -1;

            if (high < 0 || low < 0)
                return SPAN_NONE;
            c = (char)(high << 4 | low);
            i += 2;
        }
        out[n++] = c;
    }
    struct span decoded = span_make(out, n);
    return has_line_bytes(decoded) ? SPAN_NONE : decoded;
}

static enum wire_step read_query(struct http_request *r)
{
    struct span rest = r->query, argument;

    while (span_next(&rest, '&', &argument)) {
        size_t      equals = span_chr(argument, '=');
        struct span name, value;

        if (argument.n == 0)
            continue;
        name = decode_argument(r, span_head(argument, equals));
        value = decode_argument(r, span_skip(argument, equals + 1));
        if (name.p == NULL || value.p == NULL || !is_token(name))
            return bad(r, 400, "a query argument is damaged");
        if (add_header(r, name, trim_blanks(value)) == WIRE_BAD)
            return WIRE_BAD;
    }
    return WIRE_MORE;
}

/* The blank line has come: how long is the body? */
static enum wire_step end_of_head(struct http_request *r)
{
    r->nfields = r->nheaders;
    r->head_end = r->body_end = r->pos;
    if (read_query(r) == WIRE_BAD)
        return WIRE_BAD;
    if (r->chunked && r->has_length)
        return bad(r, 400, "Content-Length and chunked exclude each other");
    if (r->chunked) {
        r->state = HTTP_CHUNK_SIZE;
        return WIRE_MORE;
    }
    if (!r->has_length && (r->method == HTTP_POST || r->method == HTTP_PUT))
        return bad(r, 411, "Content-Length is missing");
    if (r->length > r->limits.body_max)
        return bad(r, 413, "the message is too large");
    r->state = HTTP_BODY;
    return WIRE_MORE;
}

static enum wire_step step_fields(struct http_request *r, struct buf *in)
{
    struct span line;

    while (wire_line(in, &r->pos, &r->scan, &line)) {
        if (r->pos > r->limits.head_max)
            return bad(r, 431, "the head is too large");
        line = wire_chop(line);
        if (line.n == 0)
            return end_of_head(r);
        if (read_field(r, line) == WIRE_BAD)
            return WIRE_BAD;
    }
    if (in->n > r->limits.head_max)
        return bad(r, 431, "the head is too large");
    return WIRE_MORE;
}

/* ---- bodies ---- */

static enum wire_step unpack(struct http_request *r, size_t max)
{
    struct err e = ERR_INIT;

    if (wire_unzstd(r->body, max, r->plain, &e) == 0) {
        r->body = buf_span(r->plain);
        return WIRE_DONE;
    }
    if (e.code != ERR_LIMIT)
        return bad(r, 400, "the body is not zstd");
    r->packed = max < r->limits.body_max;
    if (!r->packed)
        return bad(r, 413, "the message is too large once decompressed");
    buf_clear(r->plain);
    return WIRE_DONE;
}

bool http_packed(const struct http_request *r) { return r->packed; }

enum wire_step http_unpack(struct http_request *r)
{
    r->packed = false;
    return unpack(r, r->limits.body_max);
}

static enum wire_step finish(struct http_request *r, struct buf *in, size_t body_end, size_t used)
{
    r->used = used;
    r->state = HTTP_OVER;
    r->body = span_between(in->p + r->head_end, in->p + body_end);
    return r->zstd ? unpack(r, wire_unpack_first(&r->limits)) : WIRE_DONE;
}

static enum wire_step step_body(struct http_request *r, struct buf *in)
{
    if (in->n - r->head_end < r->length)
        return WIRE_MORE;
    return finish(r, in, r->head_end + (size_t)r->length, r->head_end + (size_t)r->length);
}

/* A line of the chunk framing: CRLF alone ends it. WIRE_DONE: *line_out has it, without the end. */
static enum wire_step chunk_line(struct http_request *r, struct buf *in, struct span *line_out)
{
    bool   whole = wire_line(in, &r->pos, &r->scan, line_out);
    size_t n = whole ? line_out->n : in->n - r->pos;

    if (n > CHUNK_LINE_MAX)
        return bad(r, 400, "a chunk's size line is too long");
    if (!whole)
        return WIRE_MORE;
    if (line_out->n < 2 || line_out->p[line_out->n - 2] != '\r')
        return bad(r, 400, "a chunk's size line is damaged");
    line_out->n -= 2;
    return has_line_bytes(*line_out) ? bad(r, 400, "a chunk's size line is damaged") : WIRE_DONE;
}

/* "1a2b" or "1a2b;extension"; at most 15 digits, so that nothing overflows. */
static bool read_chunk_size(struct span line, uint64_t *out)
{
    struct span size = trim_blanks(span_head(line, span_chr(line, ';')));
    uint64_t    v = 0;

    if (size.n == 0 || size.n > 15 || size.p != line.p)
        return false;
    for (size_t i = 0; i < size.n; i++) {
        int digit = hex_digit(size.p[i]);

        if (digit < 0)
            return false;
        v = v << 4 | (uint64_t)digit;
    }
    *out = v;
    return true;
}

static enum wire_step step_chunk_size(struct http_request *r, struct buf *in)
{
    struct span    line;
    enum wire_step got = chunk_line(r, in, &line);

    if (got != WIRE_DONE)
        return got;
    if (!read_chunk_size(line, &r->chunk_left))
        return bad(r, 400, "a chunk's size is not a hexadecimal number");
    if (r->chunk_left > r->limits.body_max - (r->body_end - r->head_end))
        return bad(r, 413, "the message is too large");
    r->state = r->chunk_left > 0 ? HTTP_CHUNK_DATA : HTTP_TRAILER;
    return WIRE_MORE;
}

/* Moves what has come of a chunk up to the body, over the framing in between. */
static enum wire_step step_chunk_data(struct http_request *r, struct buf *in)
{
    size_t have = in->n - r->pos, take = r->chunk_left < have ? (size_t)r->chunk_left : have;

    memmove(in->p + r->body_end, in->p + r->pos, take);
    r->body_end += take;
    r->pos += take;
    r->scan = r->pos;
    r->chunk_left -= take;
    if (r->chunk_left == 0)
        r->state = HTTP_CHUNK_END;
    return WIRE_MORE;
}

static enum wire_step step_chunk_end(struct http_request *r, struct buf *in)
{
    size_t have = in->n - r->pos;

    if ((have > 0 && in->p[r->pos] != '\r') || (have > 1 && in->p[r->pos + 1] != '\n'))
        return bad(r, 400, "a chunk is longer than its size");
    if (have < 2)
        return WIRE_MORE;
    r->pos += 2;
    r->scan = r->pos;
    r->state = HTTP_CHUNK_SIZE;
    return WIRE_MORE;
}

/* Fields behind the last chunk are read over. */
static enum wire_step step_trailer(struct http_request *r, struct buf *in)
{
    struct span line;

    while (wire_line(in, &r->pos, &r->scan, &line)) {
        r->ntrailer += line.n;
        if (r->ntrailer > WIRE_LINE_MAX)
            break;
        if (line.n < 2 || line.p[line.n - 2] != '\r')
            return bad(r, 400, "the fields behind the last chunk are damaged");
        if (line.n == 2)
            return finish(r, in, r->body_end, r->pos);
    }
    if (r->ntrailer > WIRE_LINE_MAX || in->n - r->pos > WIRE_LINE_MAX - r->ntrailer)
        return bad(r, 431, "too much behind the last chunk");
    return WIRE_MORE;
}

/* What is parsed of a chunked body goes: `in` keeps head, body, and the few bytes not yet understood. */
static void close_gap(struct http_request *r, struct buf *in)
{
    size_t gap = r->pos - r->body_end;

    if (gap == 0)
        return;
    memmove(in->p + r->body_end, in->p + r->pos, in->n - r->pos);
    in->n -= gap;
    in->p[in->n] = '\0';
    r->pos -= gap;
    r->scan -= gap;
}

/* ---- the machine ---- */

static enum wire_step (*const steps[])(struct http_request *r, struct buf *in) = {
    [HTTP_LINE] = step_line,
    [HTTP_FIELDS] = step_fields,
    [HTTP_BODY] = step_body,
    [HTTP_CHUNK_SIZE] = step_chunk_size,
    [HTTP_CHUNK_DATA] = step_chunk_data,
    [HTTP_CHUNK_END] = step_chunk_end,
    [HTTP_TRAILER] = step_trailer,
};

void http_begin(struct http_request *r, struct arena *a, struct buf *plain, const struct wire_limits *limits)
{
    memset(r, 0, offsetof(struct http_request, error));
    r->error.code = ERR_NONE;
    memset(&r->arena, 0, sizeof *r - offsetof(struct http_request, arena));
    r->arena = a;
    r->plain = plain;
    r->limits = *limits;
    buf_clear(plain);
}

static void rebase(struct http_request *r, const struct buf *in)
{
    if (r->base != NULL && r->base != in->p) {
        size_t n = r->state <= HTTP_FIELDS ? r->nheaders : r->nfields;

        wire_rebase(&r->path, r->base, in->p);
        wire_rebase(&r->query, r->base, in->p);
        for (size_t i = 0; i < n; i++) {
            wire_rebase(&r->headers[i].name, r->base, in->p);
            wire_rebase(&r->headers[i].value, r->base, in->p);
        }
    }
    r->base = in->p;
}

static enum wire_step ended_early(struct http_request *r)
{
    return r->state <= HTTP_FIELDS ? bad(r, 0, "the connection closed before the head was complete")
                                   : bad(r, 400, "the connection closed before the body was complete");
}

enum wire_step http_step(struct http_request *r, struct buf *in, bool eof)
{
    enum wire_step got = WIRE_MORE;

    rebase(r, in);
    while (got == WIRE_MORE && r->state != HTTP_OVER) {
        enum http_state before = r->state;
        size_t          from = r->pos;

        got = steps[r->state](r, in);
        if (got == WIRE_MORE && r->state == before && r->pos == from)
            break;
    }
    if (r->state >= HTTP_CHUNK_SIZE && r->state <= HTTP_TRAILER)
        close_gap(r, in);
    return got == WIRE_MORE && eof ? ended_early(r) : got;
}

void http_expire(struct http_request *r) { bad(r, 408, "the request took too long"); }

bool http_head_done(const struct http_request *r) { return r->head_end > 0; }

size_t http_wants(const struct http_request *r, const struct buf *in)
{
    if (r->state == HTTP_BODY && r->length > in->n - r->head_end)
        return (size_t)r->length - (in->n - r->head_end);
    return r->state == HTTP_CHUNK_DATA ? (size_t)r->chunk_left + 2 : 0;
}

struct span http_header_get(const struct http_request *r, const char *name)
{
    struct span value = SPAN_NONE;
    size_t      at = 0;

    http_header_next(r, name, &at, &value);
    return value;
}

bool http_header_next(const struct http_request *r, const char *name, size_t *at, struct span *value_out)
{
    struct span wanted = span_of(name);

    while (*at < r->nheaders) {
        const struct http_header *h = &r->headers[(*at)++];

        if (h->name.n == wanted.n && span_eq_ci(h->name, wanted)) {
            *value_out = h->value;
            return true;
        }
    }
    return false;
}

/* ---- replies ---- */

static const struct {
    int         status;
    const char *reason;
} reasons[] = {
    {200, "OK"},
    {204, "No Content"},
    {208, "Already Reported"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {411, "Length Required"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {505, "HTTP Version Not Supported"},
};

static const char *reason_of(int status)
{
    for (size_t i = 0; i < COUNT(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Unknown";
}

/* Everything before Content-Length. */
static void put_head(struct buf *out, int status, const char *reason, bool keep_alive)
{
    buf_put(out, SPAN("HTTP/1.1 "));
    buf_put_u64(out, (uint64_t)status);
    buf_putc(out, ' ');
    buf_puts(out, reason != NULL ? reason : reason_of(status));
    if (keep_alive)
        buf_put(out, SPAN("\r\nConnection: keep-alive\r\n"));
    else
        buf_put(out, SPAN("\r\nConnection: close\r\n"));
    if (status == 405)
        buf_put(out, SPAN("Allow: GET, HEAD, POST, PUT\r\n"));
}

void http_put_reply_with(struct buf *out, int status, const char *content_type, struct span fields, struct span body,
                         bool keep_alive, bool head_only)
{
    put_head(out, status, NULL, keep_alive);
    buf_put(out, fields);
    if (status != 304) {
        buf_put(out, SPAN("Content-Length: "));
        buf_put_u64(out, body.n);
        buf_put(out, SPAN("\r\nContent-Type: "));
        buf_puts(out, content_type);
        buf_put(out, SPAN("\r\n"));
    }
    buf_put(out, SPAN("\r\n"));
    if (!head_only && status != 304)
        buf_put(out, body);
}

void http_put_reply(struct buf *out, int status, const char *reason, const char *content_type, struct span body,
                    bool keep_alive, bool head_only)
{
    put_head(out, status, reason, keep_alive);
    buf_put(out, SPAN("Content-Length: "));
    buf_put_u64(out, body.n);
    buf_put(out, SPAN("\r\nContent-Type: "));
    buf_puts(out, content_type);
    buf_put(out, SPAN("\r\n\r\n"));
    if (!head_only)
        buf_put(out, body);
}

void http_put_error(struct buf *out, int status, const char *text, bool keep_alive, bool head_only)
{
    struct buf json;

    buf_init(&json, 8 * 1024);
    buf_put(&json, SPAN("{\"error\":"));
    json_put_string(&json, span_head(span_of(text), 1024));
    buf_putc(&json, '}');
    http_put_reply(out, status, NULL, "application/json", buf_span(&json), keep_alive, head_only);
    buf_fini(&json);
}

void http_put_bad(struct buf *out, const struct http_request *r)
{
    if (r->status != 0)
        http_put_error(out, r->status, r->error.text, false, r->method == HTTP_HEAD);
}

/* A session of LMTP goes the same way however it is cut, and every message comes out as it went in. The lowest bits of the fourth byte
 * say what the rest is:
 *   2 not set   what a client says
 *   2 set       a message, which is then said as the protocol wants it: nothing in it ends it
 * Aims at lib/net/lmtp_server.c. */
#include "net.h"
#include "net/lmtp_server.h"

static const struct lmtp_limits limits = {.message_max = 12000, .rcpt_max = 5, .idle_max = 40, .errors_max = 10};

/* Whole lines, each with its code. */
static void check_replies(struct span out)
{
    while (out.n > 0) {
        size_t end = span_chr(out, '\n');

        REQUIRE(end >= 5 && end < out.n && out.p[end - 1] == '\r');
        REQUIRE(out.p[0] >= '2' && out.p[0] <= '5' && (out.p[3] == ' ' || out.p[3] == '-'));
        out = span_skip(out, end + 1);
    }
}

static size_t lines(const struct buf *b)
{
    size_t n = 0;

    for (size_t i = 0; i < b->n; i++)
        n += b->p[i] == '\n';
    return n;
}

static void answer(struct lmtp_server *s, enum lmtp_step got, struct buf *out, struct buf *outcome)
{
    size_t before = lines(out);

    if (got == LMTP_RCPT) {
        put_field(outcome, "rcpt", s->recipient);
        lmtp_server_rcpt(s, s->recipient.n % 5 == 4, NULL, out);
        REQUIRE(lines(out) == before + 1);
        return;
    }
    REQUIRE(s->nrcpts > 0 && s->nrcpts <= limits.rcpt_max && s->message->n <= limits.message_max);
    REQUIRE(!s->too_large || s->message->n == 0);
    put_field(outcome, "from", s->sender);
    put_field(outcome, s->too_large ? "large" : "message", buf_span(s->message));
    for (size_t i = 0; i <= s->nrcpts; i++) {
        if (i < s->nrcpts)
            put_field(outcome, "to", s->rcpts[i]);
        lmtp_server_answer(s, i % 2 == 1, NULL, out);
    }
    REQUIRE(lines(out) == before + s->nrcpts);
}

static void run(struct buf *outcome, const struct plan *p, bool whole)
{
    struct lmtp_server s;
    struct arena       a;
    struct buf         in, message, out;
    enum lmtp_step     got = LMTP_MORE;

    arena_init(&a, 1 << 20);
    buf_init(&in, 4 << 20);
    buf_init(&message, limits.message_max);
    buf_init(&out, 4 << 20);
    lmtp_server_begin(&s, &limits, "mx", &message, &a, &out);
    for (size_t at = 0, n; got != LMTP_END && at <= p->bytes.n; at += n > 0 ? n : 1) {
        n = at < p->bytes.n ? plan_next(p, whole, at) : 0;
        append_moving(&in, span_head(span_skip(p->bytes, at), n));
        while ((got = lmtp_server_step(&s, &in, n == 0, &out)) == LMTP_RCPT || got == LMTP_MESSAGE)
            answer(&s, got, &out, outcome);
        REQUIRE(in.n <= LMTP_LINE_MAX || got == LMTP_END);
    }
    REQUIRE(got == LMTP_END && !out.failed);
    check_replies(buf_span(&out));
    put_field(outcome, "out", buf_span(&out));
    arena_fini(&a);
    buf_fini(&in);
    buf_fini(&message);
    buf_fini(&out);
}

/* Says a message as a client does: CRLF at its end, a dot more in front of each line that begins with one. */
static void put_said(struct buf *out, struct buf *message, struct span bytes)
{
    bool at_start = true;

    buf_put(message, bytes);
    if (!span_ends(bytes, SPAN("\r\n")))
        buf_puts(message, "\r\n");
    buf_puts(out, "LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a>\r\nDATA\r\n");
    for (size_t i = 0; i < message->n; i++) {
        if (at_start && message->p[i] == '.')
            buf_putc(out, '.');
        buf_putc(out, message->p[i]);
        at_start = message->p[i] == '\n' && i > 0 && message->p[i - 1] == '\r';
    }
    buf_puts(out, ".\r\nQUIT\r\n");
}

static void try_round(const struct plan *given)
{
    struct plan p = *given;
    struct buf  said, message, got, want;

    buf_init(&said, 1 << 20);
    buf_init(&message, 1 << 20);
    buf_init(&got, 1 << 20);
    buf_init(&want, 1 << 20);
    put_said(&said, &message, span_head(given->bytes, limits.message_max - 2));
    p.bytes = buf_span(&said);
    put_field(&want, "message", buf_span(&message));
    run(&got, &p, false);
    REQUIRE(span_find(buf_span(&got), buf_span(&want)) < got.n);
    REQUIRE(span_ends(buf_span(&got), SPAN("354 go on\r\n250 2.0.0 ok\r\n221 2.0.0 bye\r\n")));
    buf_fini(&said);
    buf_fini(&message);
    buf_fini(&got);
    buf_fini(&want);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct plan p;
    struct buf  whole, cut;

    if (size < 4)
        return 0;
    p = plan_of(data, size);
    if (data[3] & 2) {
        try_round(&p);
        return 0;
    }
    buf_init(&whole, 8 << 20);
    buf_init(&cut, 8 << 20);
    run(&whole, &p, true);
    run(&cut, &p, false);
    require_same(&whole, &cut);
    buf_fini(&whole);
    buf_fini(&cut);
    return 0;
}

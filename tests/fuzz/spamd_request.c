/* A request on the spamd port means the same however it is cut, and every reply to it is well formed.
 * Aims at lib/net/spamd.c, lib/net/spamd_reply.c and lib/net/wire.c. */
#include "net.h"
#include "net/spamd.h"

#define BODY_MAX 20000

static const struct wire_limits limits = {
    .body_max = BODY_MAX, .head_max = 80 * 1024, .rcpt_max = 50, .headers_max = 255};

static void describe(struct buf *out, const struct spamd_request *r, enum wire_step got)
{
    buf_put_u64(out, got);
    if (got == WIRE_BAD)
        spamd_put_bad(out, r);
    if (got != WIRE_DONE)
        return;
    buf_printf(out, "%d %d %d %d %d %u %u %zu ", r->verb, r->version, r->rspamc, r->has_user, r->message_class, r->set,
               r->remove, r->used);
    put_field(out, "user", r->user);
    put_field(out, "from", r->from);
    put_field(out, "helo", r->helo);
    put_field(out, "hostname", r->hostname);
    put_field(out, "ip", r->ip);
    put_field(out, "queue_id", r->queue_id);
    put_field(out, "deliver_to", r->deliver_to);
    for (size_t i = 0; i < r->rcpt.n; i++)
        put_field(out, "rcpt", r->rcpt.items[i]);
    put_field(out, "body", r->body);
}

/* The numbers of the Spam line agree with its word, as Exim demands. */
static void check_spam_line(struct span reply, bool spam)
{
    struct span head = span_head(reply, span_find(reply, SPAN("\r\n\r\n")));
    size_t      at = span_find(head, SPAN("\r\nSpam: "));
    char        line[64] = {0}, word[8];
    double      score, threshold;

    if (at == head.n)
        return;
    memcpy(line, head.p + at, head.n - at < 63 ? head.n - at : 63);
    REQUIRE(sscanf(line, " Spam: %7s ; %lf / %lf", word, &score, &threshold) == 3);
    REQUIRE((score >= threshold) == spam && (strcmp(word, "True") == 0) == spam);
}

static void check_length(struct span reply)
{
    size_t   end = span_find(reply, SPAN("\r\n\r\n")), at = span_find(span_head(reply, end), SPAN("Content-length: "));
    uint64_t length;

    if (at == end)
        return;
    struct span digits = span_skip(reply, at + 16);
    REQUIRE(span_u64(span_head(digits, span_chr(digits, '\r')), &length) && length == reply.n - end - 4);
}

static void check_replies(const struct spamd_request *r, const uint8_t *data, size_t size)
{
    struct span         bytes = span_make(data, size);
    struct spamd_result result = {.spam = data[3] & 2,
                                  .score = (double)(int8_t)data[0] / 4,
                                  .threshold = data[1] & 15,
                                  .symbols = span_head(bytes, data[2]),
                                  .report = bytes,
                                  .action = span_head(bytes, 7),
                                  .message_id = span_head(r->body, 30),
                                  .smtp_message = span_head(r->body, 100),
                                  .version = SPAN("Postern 1.0"),
                                  .host = SPAN("host")};
    struct buf          out;

    buf_init(&out, BODY_MAX + 600000);
    spamd_put_result(&out, r, &result);
    REQUIRE(!out.failed);
    if (!r->rspamc && r->version > 101) {
        REQUIRE(span_starts(buf_span(&out), SPAN("SPAMD/1.1 0 EX_OK\r\n")));
        check_length(buf_span(&out));
        check_spam_line(buf_span(&out), result.spam);
    }
    buf_fini(&out);
}

static void run(struct buf *outcome, const struct plan *p, bool whole, const uint8_t *data, size_t size)
{
    struct spamd_request r;
    struct arena         a;
    struct buf           in, inflated;
    enum wire_step       got = WIRE_MORE;

    arena_init(&a, 1 << 20);
    buf_init(&in, 4 << 20);
    buf_init(&inflated, BODY_MAX + 100);
    spamd_begin(&r, &a, &inflated, &limits);
    for (size_t at = 0, n; at < p->bytes.n && got == WIRE_MORE; at += n) {
        n = plan_next(p, whole, at);
        append_moving(&in, span_head(span_skip(p->bytes, at), n));
        got = spamd_step(&r, &in, false);
        REQUIRE(got != WIRE_MORE || spamd_wants(&r, &in) <= BODY_MAX);
    }
    if (got == WIRE_MORE && p->eof)
        got = spamd_step(&r, &in, true);
    describe(outcome, &r, got);
    if (got == WIRE_DONE) {
        REQUIRE(r.used <= in.n && r.body.n <= BODY_MAX);
        if (r.head_end > 0 && r.verb != SPAMD_TELL)
            check_replies(&r, data, size);
    }
    arena_fini(&a);
    buf_fini(&in);
    buf_fini(&inflated);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct plan p;
    struct buf  whole, cut;

    if (size < 4)
        return 0;
    p = plan_of(data, size);
    require_detection(p.bytes);
    buf_init(&whole, 8 << 20);
    buf_init(&cut, 8 << 20);
    run(&whole, &p, true, data, size);
    run(&cut, &p, false, data, size);
    require_same(&whole, &cut);
    buf_fini(&whole);
    buf_fini(&cut);
    return 0;
}

/* Whatever a scanner answers is read within bounds or refused; and what was read of Rspamd's says the same when it is written and
 * read again. What strangers say in an envelope never becomes a line of its own, or a sender, in what spamd is told. The first byte
 * of an input picks Rspamd's answer, spamd's list of names, its report, or a question with its fields parted by '|'.
 * Aims at lib/net/rspamd_read.c, lib/net/rspamd.c and lib/net/spamd_client.c. */
#include <math.h>

#include "net.h"
#include "net/spamd_client.h"

static bool is_sane(double v) { return isfinite(v) && fabs(v) <= 1e6; }

/* Every byte that a reply has is there, and every number is one. */
static size_t walk(const struct rspamd_reply *r)
{
    struct buf all;
    size_t     n;

    buf_init(&all, 64 << 20);
    REQUIRE(is_sane(r->score) && is_sane(r->required_score) && r->action <= RSPAMD_REJECT);
    REQUIRE(r->nsymbols <= RSPAMD_SYMBOLS_MAX && r->nadd_headers <= RSPAMD_HEADERS_MAX);
    for (size_t i = 0; i < r->nsymbols; i++) {
        REQUIRE(is_sane(r->symbols[i].score) && r->symbols[i].noptions <= RSPAMD_OPTIONS_MAX);
        put_field(&all, "symbol", r->symbols[i].name);
        put_field(&all, "description", r->symbols[i].description);
        for (size_t o = 0; o < r->symbols[i].noptions; o++)
            put_field(&all, "option", r->symbols[i].options[o]);
    }
    n = all.n;
    buf_fini(&all);
    return n;
}

static void fuzz_rspamd(struct span in)
{
    struct rspamd_reply once, twice;
    struct arena        a;
    struct buf          first, second;
    struct err          e = ERR_INIT;

    arena_init(&a, 16 << 20);
    buf_init(&first, 16 << 20);
    buf_init(&second, 16 << 20);
    if (rspamd_read_json(in, &a, &once, &e) == 0) {
        walk(&once);
        rspamd_put_json(&first, &once, false);
        REQUIRE(rspamd_read_json(buf_span(&first), &a, &twice, &e) == 0);
        walk(&twice);
        rspamd_put_json(&second, &twice, false);
        require_same(&first, &second);
    } else {
        REQUIRE(e.code != ERR_NONE && e.text[0] != '\0');
    }
    buf_fini(&first);
    buf_fini(&second);
    arena_fini(&a);
}

static void fuzz_spamd(struct span in, bool names_only)
{
    struct rspamd_reply r;
    struct arena        a;
    struct err          e = ERR_INIT;
    bool                table;

    arena_init(&a, 16 << 20);
    if (spamd_read_answer(in, names_only, &a, &r, &table, &e) == 0) {
        walk(&r);
        REQUIRE(!names_only || !table);
        REQUIRE((r.action == RSPAMD_ADD_HEADER) == (r.score >= r.required_score));
        for (size_t i = 0; i < r.nsymbols; i++)
            REQUIRE(r.symbols[i].name.n > 0 && span_find(r.symbols[i].name, SPAN("\n")) == r.symbols[i].name.n);
    } else {
        REQUIRE(e.code != ERR_NONE && e.text[0] != '\0');
    }
    arena_fini(&a);
}

static size_t count(struct span in, struct span what)
{
    size_t n = 0;

    for (size_t at = span_find(in, what); at < in.n; at = span_find(in, what), n++)
        in = span_skip(in, at + what.n);
    return n;
}

static void fuzz_question(struct span in)
{
    struct scanner_ask ask = {.message = SPAN("A: b\n\n")};
    struct span *const fields[] = {&ask.from,     &ask.ip,         &ask.helo, &ask.hostname,
                                   &ask.queue_id, &ask.deliver_to, &ask.user, &ask.message};
    struct buf         out;
    uint64_t           length;

    for (size_t i = 0; i < COUNT(fields) && span_next(&in, '|', fields[i]); i++)
        ;
    buf_init(&out, 1 << 20);
    bool   told = spamd_put_question(&out, &ask, false, "us.example", INT64_C(1795315770000000));
    size_t head = span_find(buf_span(&out), SPAN("\r\n\r\n")),
           at = span_find(buf_span(&out), SPAN("\r\nContent-length: "));
    struct span prefix = span_skip(buf_span(&out), head + 4);
    REQUIRE(!out.failed && at < head &&
            count(span_head(buf_span(&out), head), SPAN("\n")) == (ask.deliver_to.n > 0 ? 2 : 1));
    REQUIRE(span_u64(span_head(span_skip(buf_span(&out), at + 18), head - at - 18), &length));
    REQUIRE(length == prefix.n + ask.message.n + spamd_needs_end(ask.message));
    REQUIRE(count(prefix, SPAN("\n")) == (told                                    ? 5
                                          : prefix.n == 0                         ? 0
                                          : count(prefix, SPAN("Received: ")) > 0 ? 3
                                                                                  : 2));
    struct span received = span_skip(prefix, span_find(prefix, SPAN("Received: ")));
    at = span_find_ci(received, SPAN("envelope-from"));
    REQUIRE(at == received.n || at == span_find(received, SPAN("(envelope-from <")) + 1);
    REQUIRE(span_find_ci(received, SPAN("return-path")) >= at);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct span in = span_make(data + 1, size - 1);
    switch (data[0] % 4) {
    case 0: fuzz_rspamd(in); break;
    case 3: fuzz_question(in); break;
    default: fuzz_spamd(in, data[0] % 4 == 1); break;
    }
    return 0;
}

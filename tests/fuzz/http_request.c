/* HTTP requests mean the same however they are cut, one after the other on one connection; their envelope is read, and
 * the JSON that answers them is well formed. Aims at lib/net/http.c, lib/net/rspamd.c and lib/net/wire.c. */
#include <math.h>

#include "base/utf8.h"
#include "net.h"
#include "net/rspamd.h"

#define BODY_MAX 20000

static const struct wire_limits limits = {
    .body_max = BODY_MAX, .head_max = 80 * 1024, .rcpt_max = 50, .headers_max = 200};

static void describe(struct buf *out, const struct http_request *r)
{
    buf_printf(out, "done %d %d %d ", r->method, r->minor, r->keep_alive);
    put_field(out, "path", r->path);
    put_field(out, "query", r->query);
    for (size_t i = 0; i < r->nheaders; i++) {
        put_field(out, "name", r->headers[i].name);
        put_field(out, "value", r->headers[i].value);
    }
    put_field(out, "body", r->body);
}

static void describe_envelope(struct buf *out, const struct rspamd_envelope *env)
{
    put_field(out, "from", env->from);
    for (size_t i = 0; i < env->rcpt.n; i++)
        put_field(out, "rcpt", env->rcpt.items[i]);
    put_field(out, "ip", env->ip);
    put_field(out, "helo", env->helo);
    put_field(out, "user", env->user);
    put_field(out, "password", env->password);
    buf_printf(out, "%d%d%d%d", env->milter, env->pass_all, env->body_block, env->ip_invalid);
}

/* One string of JSON: no control byte, no bad UTF-8, quotes and backslashes escaped. Returns where it ends. */
static size_t check_string(struct span s, size_t at)
{
    for (at++; at < s.n && s.p[at] != '"'; at++) {
        REQUIRE((unsigned char)s.p[at] >= 0x20);
        if (s.p[at] == '\\')
            at++;
    }
    REQUIRE(at < s.n);
    return at;
}

/* Brackets close in order, and nothing but numbers, words and strings stands between them. */
static void check_json(struct span s)
{
    char   open[16];
    size_t depth = 0;

    REQUIRE(utf8_valid(s));
    for (size_t at = 0; at < s.n; at++) {
        char c = s.p[at];

        if (c == '"')
            at = check_string(s, at);
        else if (c == '{' || c == '[') {
            REQUIRE(depth < sizeof open);
            open[depth++] = c;
        } else if (c == '}' || c == ']') {
            REQUIRE(depth > 0 && open[--depth] == (c == '}' ? '{' : '['));
        } else {
            REQUIRE(strchr("0123456789.,:-truefalsn", c) != NULL);
        }
    }
    REQUIRE(depth == 0);
}

static void check_reply(const struct http_request *r, const struct rspamd_envelope *env)
{
    double      number = r->body.n >= sizeof number ? *(const double *)memcpy(&number, r->body.p, sizeof number) : 1;
    struct span options[] = {env->helo, r->body};
    struct rspamd_symbol     symbols[] = {{env->from, env->user, number, options, 2},
                                          {env->helo, SPAN_NONE, -number, NULL, 0}};
    struct rspamd_add_header added[] = {{env->helo, r->body, (int)r->body.n - 5, r->keep_alive},
                                        {env->user, env->from, 0, true}};
    struct rspamd_reply      reply = {.action = r->body.n % 6,
                                      .score = number,
                                      .required_score = 15,
                                      .reject = number,
                                      .add_header = -number,
                                      .greylist = NAN,
                                      .symbols = symbols,
                                      .nsymbols = 2,
                                      .smtp_message = r->body,
                                      .subject = env->from,
                                      .message_id = env->queue_id,
                                      .uid = env->hostname,
                                      .add_headers = added,
                                      .nadd_headers = 2,
                                      .remove_headers = options,
                                      .nremove_headers = 2,
                                      .del_rcpt = env->rcpt.items,
                                      .ndel_rcpt = env->rcpt.n,
                                      .discard = r->minor,
                                      .time_real = number};
    struct buf               out;

    buf_init(&out, 4 << 20);
    rspamd_put_json(&out, &reply, r->minor == 0);
    REQUIRE(!out.failed);
    check_json(buf_span(&out));
    buf_fini(&out);
}

static void check_done(struct buf *outcome, const struct http_request *r)
{
    struct rspamd_envelope env;
    struct err             e = ERR_INIT;

    REQUIRE(r->body.n <= BODY_MAX && r->nheaders <= limits.rcpt_max + limits.headers_max);
    describe(outcome, r);
    if (rspamd_read_envelope(r, &env, &e) < 0) {
        buf_puts(outcome, e.text);
        return;
    }
    describe_envelope(outcome, &env);
    check_reply(r, &env);
}

static void check_bad(struct buf *outcome, const struct http_request *r)
{
    buf_printf(outcome, "bad %d %s", r->status, r->error.text);
    http_put_bad(outcome, r);
}

static void run(struct buf *outcome, const struct plan *p, bool whole)
{
    struct http_request r;
    struct arena        a;
    struct buf          in, plain;
    enum wire_step      got = WIRE_MORE;

    arena_init(&a, 1 << 20);
    buf_init(&in, 4 << 20);
    buf_init(&plain, BODY_MAX + 100);
    http_begin(&r, &a, &plain, &limits);
    for (size_t at = 0, n; at < p->bytes.n && got != WIRE_BAD; at += n) {
        n = plan_next(p, whole, at);
        append_moving(&in, span_head(span_skip(p->bytes, at), n));
        while ((got = http_step(&r, &in, false)) == WIRE_DONE) {
            REQUIRE(r.used <= in.n && r.used > 0);
            check_done(outcome, &r);
            buf_consume(&in, r.used);
            arena_reset(&a);
            http_begin(&r, &a, &plain, &limits);
        }
        REQUIRE(got == WIRE_BAD || http_wants(&r, &in) <= BODY_MAX + 2);
    }
    if (got == WIRE_MORE && p->eof)
        got = http_step(&r, &in, true);
    if (got == WIRE_BAD)
        check_bad(outcome, &r);
    arena_fini(&a);
    buf_fini(&in);
    buf_fini(&plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct plan p;
    struct buf  whole, cut;

    if (size < 4)
        return 0;
    p = plan_of(data, size);
    require_detection(p.bytes);
    buf_init(&whole, 64 << 20);
    buf_init(&cut, 64 << 20);
    run(&whole, &p, true);
    run(&cut, &p, false);
    require_same(&whole, &cut);
    buf_fini(&whole);
    buf_fini(&cut);
    return 0;
}

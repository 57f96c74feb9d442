/* What other programs hand over is read or refused, whatever it is: the head of metadata_exporter's requests, and delivery reports (the
 * body). Aims at rulesd/ingest_read.c. */
#include "../../rulesd/ingest_read.c"
#include "../../rulesd/maillog.c"
#include "../../rulesd/maillog_exim.c"
#include "../../rulesd/maillog_postfix.c"

#include "net.h"

#define BODY_MAX 20000
#define RCPT_MAX 50

static const struct wire_limits limits = {
    .body_max = BODY_MAX, .head_max = 80 * 1024, .rcpt_max = RCPT_MAX, .headers_max = 200};

static void run_told(const struct http_request *r, struct arena *a)
{
    struct ingest_told told;
    struct err         e = ERR_INIT;

    if (ingest_read_told(r, a, &told, &e) < 0) {
        REQUIRE(e.code == ERR_INVALID || e.code == ERR_LIMIT);
        return;
    }
    const struct rspamd_reply *reply = &told.answer.reply;
    REQUIRE(told.nrcpt <= RCPT_MAX && reply->nsymbols <= INGEST_SYMBOLS_MAX);
    REQUIRE(reply->action <= RSPAMD_REJECT && fabs(reply->score) <= 1e6);
    REQUIRE(!reply->discard || reply->action == RSPAMD_REJECT);
    for (size_t i = 0; i < reply->nsymbols; i++) {
        REQUIRE(reply->symbols[i].name.n > 0 && fabs(reply->symbols[i].score) <= 1e6);
        REQUIRE(reply->symbols[i].noptions <= RSPAMD_OPTIONS_MAX);
    }
}

static void run_events(struct span body, struct arena *a)
{
    const struct mail_event *ev;
    size_t                   n;
    struct err               e = ERR_INIT;

    if (ingest_read_events(body, INT64_C(1795262400) * 1000000, a, &ev, &n, &e) < 0) {
        REQUIRE(e.code == ERR_INVALID || e.code == ERR_LIMIT);
        return;
    }
    REQUIRE(n <= INGEST_EVENTS_MAX);
    for (size_t i = 0; i < n; i++) {
        REQUIRE(ev[i].queue_id.n > 0 || ev[i].message_id.n > 0);
        REQUIRE(ev[i].kind != MAIL_ATTEMPT || ev[i].to.n > 0);
        REQUIRE(ev[i].port < 65536 && ev[i].code < 1000);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena        a;
    struct buf          in, plain;
    struct http_request r;

    if (size > 60000)
        return 0;
    arena_init(&a, (size_t)64 << 20);
    buf_init(&in, 1 << 20);
    buf_init(&plain, 1 << 20);
    buf_put(&in, span_make(data, size));
    http_begin(&r, &a, &plain, &limits);
    if (http_step(&r, &in, true) == WIRE_DONE) {
        run_told(&r, &a);
        run_events(r.body, &a);
    }
    run_events(span_make(data, size), &a);
    buf_fini(&plain);
    buf_fini(&in);
    arena_fini(&a);
    return 0;
}

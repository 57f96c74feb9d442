/* Whatever a scanner answers is read within bounds or refused; and what was read of Rspamd's says the same when it is written and
 * read again. The first byte of an input picks Rspamd, or a report or the list of names of spamd.
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct span in = span_make(data + 1, size - 1);
    if (data[0] % 3 == 0)
        fuzz_rspamd(in);
    else
        fuzz_spamd(in, data[0] % 3 == 1);
    return 0;
}

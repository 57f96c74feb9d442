/* portal/challenge.c - see challenge.h. A challenge is TIME.BITS.RANDOM.MAC, the time in microseconds. */
#include "challenge.h"

#include <stdio.h>

#include "base/secret.h"
#include "limit.h"
#include "siteverify.h"
#include "store/idempotency.h"

#define ASKED_FROM_NETWORK 60 /* in ten minutes: each of them is a question of ours to the service */

static void mac_of(const struct portal *p, struct span text, char out[SECRET_TOKEN_TEXT + 1])
{
    uint8_t mac[SECRET_HASH];

    secret_mac(p->challenge_key, text, mac);
    secret_text(span_make(mac, sizeof mac), out);
}

void challenge_init(struct portal *p) { secret_bytes(p->challenge_key, sizeof p->challenge_key); }

void challenge_make(const struct portal *p, unsigned bits, int64_t now_us, char out[CHALLENGE_TEXT])
{
    char   mac[SECRET_TOKEN_TEXT + 1], text[32];
    char   random[12];
    size_t n;

    secret_bytes(random, sizeof random);
    secret_text(span_make(random, sizeof random), text);
    n = (size_t)snprintf(out, CHALLENGE_TEXT, "%lld.%u.%s", (long long)now_us + CHALLENGE_US, bits, text);
    mac_of(p, span_make(out, n), mac);
    snprintf(out + n, CHALLENGE_TEXT - n, ".%s", mac);
}

static unsigned zero_bits(const uint8_t hash[SECRET_HASH])
{
    unsigned n = 0;

    for (size_t i = 0; i < SECRET_HASH; i++) {
        if (hash[i] != 0)
            return n + (unsigned)__builtin_clz(hash[i]) - 24;
        n += 8;
    }
    return n;
}

static bool worked(struct span text, struct span answer, uint64_t bits)
{
    char    both[CHALLENGE_TEXT + 32];
    uint8_t hash[SECRET_HASH];
    size_t  n;

    if (answer.n == 0 || answer.n > 20 || text.n >= CHALLENGE_TEXT)
        return false;
    n = (size_t)snprintf(both, sizeof both, "%.*s:%.*s", SPAN_ARG(text), SPAN_ARG(answer));
    secret_hash(span_make(both, n), hash);
    return zero_bits(hash) >= bits;
}

static int again(struct err *e) { return err_set(e, ERR_DENIED, "The page waited too long. Please try again."); }

/* Once, for all nodes: the table of answered requests knows it. */
static int spend(struct call *c, struct span text, struct err *e)
{
    enum idempotency is;
    struct span      reply;
    uint8_t          hash[SECRET_HASH];
    int              status;

    secret_hash(text, hash);
    if (store_idempotency_begin(c->store, &uuid_zero, text, hash, c->now_us, c->arena, &is, &status, &reply, e) < 0)
        return -1;
    if (is != IDEMPOTENT_NEW)
        return again(e);
    return store_idempotency_end(c->store, &uuid_zero, text, 204, SPAN(""), e);
}

static int check_token(struct call *c, struct span token, struct err *e)
{
    if (c->portal->siteverify == NULL)
        return again(e);
    if (limit_check(c, "siteverify", SPAN_NONE, true, ASKED_FROM_NETWORK, e) < 0)
        return -1;
    switch (siteverify_ask(c->portal->siteverify, token, c->ip_text, c->arena)) {
    case SITEVERIFY_YES: return 0;
    case SITEVERIFY_NO: return again(e);
    case SITEVERIFY_AWAY: break;
    }
    c->member = "challenge";
    return err_set(e, ERR_BUSY, "The check is away for a moment. Please try again.");
}

int challenge_check(struct call *c, struct span text, struct span answer, unsigned least, struct err *e)
{
    char        mac[SECRET_TOKEN_TEXT + 1];
    size_t      dot = span_rchr(text, '.');
    struct span rest = span_head(text, dot), until, bits;
    uint64_t    us, wanted;

    if (span_is(text, CHALLENGE_SERVICE))
        return check_token(c, answer, e);
    mac_of(c->portal, rest, mac);
    if (text.n >= CHALLENGE_TEXT || dot == text.n || !secret_eq(span_skip(text, dot + 1), span_of(mac)))
        return again(e);
    if (!span_next(&rest, '.', &until) || !span_next(&rest, '.', &bits) || !span_u64(until, &us) ||
        !span_u64(bits, &wanted) || (int64_t)us < c->now_us || wanted < least || !worked(text, answer, wanted))
        return again(e);
    return spend(c, text, e);
}

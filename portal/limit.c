/* portal/limit.c - see limit.h. */
#include "limit.h"

#include <stdio.h>

#include "base/secret.h"
#include "store/sending.h"

#define NAME "signin"
#define SLOT_US (10 * 60 * INT64_C(1000000))

static struct ip network_of(const struct ip *ip) { return ip_network(ip, ip_is_v4(ip) ? 24 : 56); }

bool limit_same_network(const struct ip *a, const struct ip *b)
{
    struct ip na = network_of(a), nb = network_of(b);

    return memcmp(na.b, nb.b, sizeof na.b) == 0;
}

static void subject_of(const struct call *c, const char *kind, struct span who, bool network, char out[120])
{
    struct ip   net = network_of(&c->ip);
    struct span parts[] = {who, network ? span_make(net.b, sizeof net.b) : SPAN_NONE};
    uint8_t     hash[SECRET_HASH];
    char        text[SECRET_TOKEN_TEXT + 1];

    secret_hash_parts(parts, COUNT(parts), hash);
    secret_text(span_make(hash, sizeof hash), text);
    snprintf(out, 120, "%s:%s", kind, text);
}

int limit_count(struct call *c, const char *kind, struct span who, bool network, int64_t more, int64_t *total,
                struct err *e)
{
    char                 subject[120];
    struct store_counter row = {.name = SPAN(NAME), .slot_us = c->now_us - c->now_us % SLOT_US, .value = more};

    subject_of(c, kind, who, network, subject);
    row.subject = span_of(subject);
    *total = 0;
    return store_counters_add(c->store, &row, 1, total, e);
}

struct sum {
    int64_t slot_us, total;
};

static int add_up(void *ctx, const struct store_counter *row)
{
    struct sum *sum = ctx;

    if (row->slot_us == sum->slot_us && span_is(row->name, NAME))
        sum->total += row->value;
    return 0;
}

int limit_so_far(struct call *c, const char *kind, struct span who, int64_t *total, struct err *e)
{
    struct sum sum = {.slot_us = c->now_us - c->now_us % SLOT_US};
    char       subject[120];

    subject_of(c, kind, who, false, subject);
    if (store_counters_list(c->store, span_of(subject), sum.slot_us, add_up, &sum, e) < 0)
        return -1;
    *total = sum.total;
    return 0;
}

int limit_check(struct call *c, const char *kind, struct span who, bool network, int64_t most, struct err *e)
{
    int64_t total;

    if (limit_count(c, kind, who, network, 1, &total, e) < 0)
        return -1;
    return total <= most ? 0 : limit_refuse(c, e);
}

int limit_refuse(struct call *c, struct err *e)
{
    return call_slow_down(c, (SLOT_US - c->now_us % SLOT_US) / 1000000, e,
                          "That was tried too often. Please wait a few minutes.");
}

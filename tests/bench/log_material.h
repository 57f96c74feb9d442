/* tests/bench/log_material.h - the mail that the benchmark of the message log writes: the same each time.
 *
 * Few words are frequent and most are rare; one mailbox and one domain have a share `p` each of all deliveries, spread over the whole
 * time, the others have the rest. Everything of these two, and a tenth of the rest, was followed to its mailbox. */
#ifndef POSTERN_TESTS_BENCH_LOG_MATERIAL_H
#define POSTERN_TESTS_BENCH_LOG_MATERIAL_H

#include <math.h>
#include <stdio.h>

#include "store/search.h"

#define VOCABULARY 30000
#define RARE 20000 /* one in so many has the rare word */

static const struct uuid big_box = {{0xb0, 1}}, big_domain = {{0xd0, 1}}, some_rule = {{0x70, 1}},
                         rare_rule = {{0x70, 2}};

static uint64_t seed = 88172645463325252u;

static uint64_t dice(uint64_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % n;
}

/* Few words are frequent and most are rare, as in mail. */
static size_t word_number(void) { return (size_t)(VOCABULARY * pow((double)dice(1000000) / 1e6, 4)); }

static size_t put_word(char *out, size_t number)
{
    static const char *const syllables[] = {"ba", "de", "fi", "go", "ku", "la", "me", "ni",
                                            "po", "ru", "sa", "te", "vi", "wo", "xu", "za"};
    size_t                   n = 0;

    for (size_t i = 0, rest = number + 256; i < 4; i++, rest /= 16)
        n += (size_t)sprintf(out + n, "%s", syllables[rest % 16]);
    return n;
}

/* A message with everything that it points to. */
struct made {
    struct store_message  m;
    struct store_delivery to[3];
    char                  subject[256], from[64], name[32], id[64], queue[24], ip[24], rcpt[3][64];
    bool                  followed;
};

static struct uuid owner(uint8_t kind, uint64_t i)
{
    struct uuid u = {{kind, 2}};

    memcpy(u.b + 8, &i, sizeof i);
    return u;
}

/* Whose it is: p of all belong to the one mailbox, as many to the one domain. */
static void address(struct made *x, size_t i, double p)
{
    struct store_delivery *d = &x->to[i];
    double                 u = (double)dice(1000000) / 1e6;
    uint64_t               box = dice(50000);

    d->has_domain = d->has_mailbox = true;
    d->domain = u < p ? big_domain : u < 2 * p ? owner(0xd0, 1) : owner(0xd0, box % 500);
    d->mailbox = u >= p && u < 2 * p ? big_box : owner(0xb0, u < p ? box % 300 : 1000 + box);
    x->followed = x->followed || u < 2 * p;
    snprintf(x->rcpt[i], sizeof x->rcpt[i], "user%llu@dom%llu.example", (unsigned long long)box,
             (unsigned long long)(box % 500));
    d->recipient = span_of(x->rcpt[i]);
}

static void judge(struct store_delivery *d)
{
    uint64_t u = dice(10000);

    d->verdict = u < 6500   ? DELIVERY_CLEAN
                 : u < 7500 ? DELIVERY_ALLOWED
                 : u < 8500 ? DELIVERY_TAGGED
                 : u < 9500 ? DELIVERY_REJECTED
                 : u < 9990 ? DELIVERY_BLOCKED
                            : DELIVERY_QUARANTINED;
    d->has_rule = d->verdict == DELIVERY_ALLOWED || d->verdict == DELIVERY_BLOCKED;
    d->rule = dice(2000) == 0 ? rare_rule : some_rule;
    d->has_score = true;
    d->score = (double)dice(200) / 10;
    d->layer = d->has_rule ? SPAN("mailbox") : SPAN_NONE;
    d->trace =
        d->has_rule
            ? SPAN("[{\"id\":\"01a2012c\",\"name\":\"Partner invoices\",\"layer\":\"mailbox\",\"policy\":\"Rules\","
                   "\"action\":\"allow\",\"applied\":true,\"why\":\"sender billing@partner.example\"}]")
            : SPAN("[]");
}

static void make(struct made *x, int64_t at_ms, double p)
{
    size_t n = 0, words = 3 + dice(6), nrcpt = dice(10) == 0 ? 2 + dice(2) : 1;

    memset(x, 0, sizeof *x);
    for (size_t i = 0; i < words; i++) {
        n += put_word(x->subject + n, word_number());
        x->subject[n++] = ' ';
    }
    if (dice(RARE) == 0)
        n += (size_t)sprintf(x->subject + n, "sphinx");
    sprintf(x->from, "sender%llu@from%llu.example", (unsigned long long)dice(5000), (unsigned long long)dice(2000));
    put_word(x->name, word_number());
    sprintf(x->id, "<%016llx.%u@from.example>", (unsigned long long)dice(UINT64_MAX), (unsigned)dice(100));
    sprintf(x->queue, "4%013llX", (unsigned long long)dice(UINT64_MAX) >> 12);
    sprintf(x->ip, "198.51.%u.%u", (unsigned)dice(256), (unsigned)dice(256));
    for (size_t i = 0; i < nrcpt; i++) {
        address(x, i, p);
        judge(&x->to[i]);
    }
    x->m = (struct store_message){
        .uid = uuid7_make(),
        .at_us = at_ms * 1000,
        .direction = dice(20) == 0 ? DIRECTION_LOCAL : DIRECTION_INBOUND,
        .listener = SPAN("127.0.0.1:11344"),
        .queue_id = span_of(x->queue),
        .ip = span_of(x->ip),
        .helo = SPAN("mx.from.example"),
        .host = SPAN("mx.from.example"),
        .tls = SPAN("TLSv1.3 TLS_AES_256_GCM_SHA384"),
        .sender = span_of(x->from),
        .from_address = span_of(x->from),
        .from_name = span_of(x->name),
        .subject = span_of(x->subject),
        .message_id = span_of(x->id),
        .size = (int64_t)dice(100000),
        .has_score = true,
        .score = 3.5,
        .symbols = SPAN("[{\"name\":\"R_SPF_ALLOW\",\"score\":-0.2},{\"name\":\"DMARC_POLICY_ALLOW\",\"score\":-0.5},"
                        "{\"name\":\"MIME_GOOD\",\"score\":-0.1,\"options\":[\"text/plain\"]}]"),
        .attachments = SPAN("[]"),
        .inbound = x->to[0].verdict == DELIVERY_REJECTED ? SPAN("554 5.7.1 Spam message rejected")
                                                         : SPAN("250 2.0.0 Ok: queued"),
        .deliveries = x->to,
        .ndeliveries = nrcpt,
    };
    for (size_t i = 0; i < 6; i++)
        x->m.uid.b[i] = (uint8_t)(at_ms >> (40 - 8 * i));
}

/* What became of its deliveries: an event each of those that were let through. */
static size_t passed(const struct made *x, struct store_event *out)
{
    size_t n = 0;

    for (size_t i = 0; i < x->m.ndeliveries; i++) {
        uint64_t u = dice(100);

        if (x->to[i].verdict > DELIVERY_TAGGED)
            continue;
        out[n++] = (struct store_event){
            .uid = x->m.uid,
            .n = (int64_t)i + 1,
            .at_us = x->m.at_us + 1000000,
            .has_state = true,
            .state = u == 0  ? STATE_BOUNCED
                     : u < 4 ? STATE_DEFERRED
                             : STATE_DELIVERED,
            .has_attempt = true,
            .queue_id = x->m.queue_id,
            .final_recipient = x->to[i].recipient,
            .host = SPAN("mailbox.inside.example"),
            .ip = SPAN("192.0.2.25"),
            .port = 25,
            .tls = SPAN("TLSv1.3"),
            .dsn = SPAN("2.0.0"),
            .code = 250,
            .response = u == 0  ? SPAN("552 5.2.2 Mailbox full")
                        : u < 4 ? SPAN("451 4.7.1 Greylisted, please try again")
                                : SPAN("250 2.1.5 Delivered to the mailbox"),
        };
    }
    return n;
}

#endif

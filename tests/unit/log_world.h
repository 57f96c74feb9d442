/* tests/unit/log_world.h - messages to fill the log with. */
#ifndef POSTERN_TESTS_UNIT_LOG_WORLD_H
#define POSTERN_TESTS_UNIT_LOG_WORLD_H

#include "store/message.h"
#include "store_world.h"

/* A message to two mailboxes of two domains, to be changed as a test likes. It points into itself: not to be copied. */
struct letter {
    struct store_message  m;
    struct store_delivery to[2];
};

static inline int64_t log_number(struct world *w, const char *sql)
{
    return db_number(w, ((struct store *)w->more)->log, sql);
}

/* The ids of the two. */
static const struct uuid first_domain = {{0xd1}}, second_domain = {{0xd2}};
static const struct uuid first_box = {{0xb1}}, second_box = {{0xb2}};

static inline void a_letter(struct letter *l)
{
    l->to[0] = (struct store_delivery){.recipient = SPAN("anna+news@ours.example"),
                                       .has_domain = true,
                                       .has_mailbox = true,
                                       .has_score = true,
                                       .domain = first_domain,
                                       .mailbox = first_box,
                                       .verdict = DELIVERY_CLEAN,
                                       .score = 1.5,
                                       .trace = SPAN("[]")};
    l->to[1] = l->to[0];
    l->to[1].recipient = SPAN("berta@theirs.example");
    l->to[1].domain = second_domain;
    l->to[1].mailbox = second_box;
    l->m = (struct store_message){.uid = uuid7_make(),
                                  .at_us = clock_wall_us(),
                                  .direction = DIRECTION_INBOUND,
                                  .listener = SPAN("127.0.0.1:11344"),
                                  .queue_id = SPAN("4XyZ12AbCdz1Qr"),
                                  .ip = SPAN("192.0.2.7"),
                                  .helo = SPAN("mx.partner.example"),
                                  .host = SPAN("mx.partner.example"),
                                  .sender = SPAN("billing@partner.example"),
                                  .from_address = SPAN("billing@partner.example"),
                                  .from_name = SPAN("Partner Billing"),
                                  .subject = SPAN("Your invoice INV-4711"),
                                  .message_id = SPAN("<20261122.4711@partner.example>"),
                                  .size = 12345,
                                  .symbols = SPAN("[]"),
                                  .attachments = SPAN("[]"),
                                  .inbound = SPAN("250 2.0.0 Ok: queued"),
                                  .deliveries = l->to,
                                  .ndeliveries = 2};
}

#endif

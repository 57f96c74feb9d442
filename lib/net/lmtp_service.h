/* lib/net/lmtp_service.h - mail taken over LMTP (lmtp_server.h) by threads: listening, who may come, and how long for.
 *
 * Who       may come: by a Unix socket those of mta_users, root, and who runs us; over TCP those of mta_from; for what they hand over is
 *           believed to come from an MTA of ours. Everybody else hears 421.
 * Answers   250 for what the callers take, whatever they do with it: a refusal would become a bounce. 4xx where they say that it may
 *           go well later.
 * Bounds    LMTP_SESSIONS threads, each with one session at a time and at most one message of message_max in memory; who comes beyond
 *           that waits. LMTP_IDLE_MS for a command, LMTP_MESSAGE_MS for a message.
 * Threads   lmtp_service_start() with signals blocked, as they shall stay in these threads. What one thread has in hand (its store, its
 *           keys) is its own, from open to close. */
#ifndef POSTERN_NET_LMTP_SERVICE_H
#define POSTERN_NET_LMTP_SERVICE_H

#include "base/conf.h"
#include "base/err.h"

#define LMTP_SESSIONS 4
#define LMTP_IDLE_MS 60000
#define LMTP_MESSAGE_MS 300000

struct lmtp_mail {
    struct span recipient, sender; /* of the envelope, as written; sender empty: null */
    struct span message;           /* empty where it is too large */
    bool        too_large;
};
struct lmtp_service_how {
    const char             *setting; /* where `listen` is from, for people: "[trainer] listen_lmtp" */
    const struct conf_list *listen, *mta_users, *mta_from;
    size_t                  message_max;
    void                   *ctx;
    void *(*open)(void *ctx); /* in the thread that has it; it cannot fail */
    void (*close)(void *hand);
    /* 0, or -1: 450 with *why_out, which is a constant. */
    int (*rcpt)(void *hand, struct span recipient, const char **why_out);
    /* Once for each recipient. 0: done with it, or -1: again later. They log. */
    int (*take)(void *hand, const struct lmtp_mail *mail);
};

struct lmtp_service;
/* What `how` points at is borrowed. Nothing to listen on: *out is NULL. */
int lmtp_service_start(const struct lmtp_service_how *how, struct lmtp_service **out, struct err *e);
/* Waits for the messages at hand. NULL is fine. */
void lmtp_service_stop(struct lmtp_service **s);

#endif

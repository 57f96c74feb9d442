/* trainer/lmtp.h - reports by mail, taken over LMTP: [trainer] listen_lmtp.
 *
 * Who       may come: by a Unix socket [rulesd] mta_users, over TCP [rulesd] mta_from, for what they hand over is believed to come from
 *           an MTA of ours. Everybody else hears 421.
 * Answers   250 for what is taken, and for what is dropped: a refusal would become a bounce. 4xx where it may go well later: the store is
 *           away, no space is left, or somebody reports too much at once; and for an address that is none for reports, since its mail would else be lost.
 * Bounds    LMTP_SESSIONS threads, each with one session at a time and at most one message of [rulesd] max_message in memory; who comes
 *           beyond that waits. LMTP_IDLE_MS for a command, LMTP_MESSAGE_MS for a message.
 * Threads   lmtp_start() with signals blocked, as they shall stay in these threads. */
#ifndef POSTERN_TRAINER_LMTP_H
#define POSTERN_TRAINER_LMTP_H

#include "custody/report_mail.h"

#define LMTP_SESSIONS 4
#define LMTP_IDLE_MS 60000
#define LMTP_MESSAGE_MS 300000

struct lmtp;
/* All is borrowed. Nothing to listen on: *out is NULL. */
int lmtp_start(const struct settings *settings, struct lmtp **out, struct err *e);
/* Waits for the messages at hand. NULL is fine. */
void lmtp_stop(struct lmtp **l);

#endif

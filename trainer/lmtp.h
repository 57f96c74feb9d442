/* trainer/lmtp.h - reports by mail, taken over LMTP: [trainer] listen_lmtp.
 *
 * Service   net/lmtp_service.h: who may come ([rulesd] mta_users and mta_from), its bounds and threads.
 * Later     4xx where it may go well later: the store is away, no space is left, or somebody reports too much at once; and for an address
 *           that is none for reports, since its mail would else be lost. All else is 250, also what is dropped. */
#ifndef POSTERN_TRAINER_LMTP_H
#define POSTERN_TRAINER_LMTP_H

#include "custody/report_mail.h"

struct lmtp;
/* All is borrowed. Nothing to listen on: *out is NULL. */
int lmtp_start(const struct settings *settings, struct lmtp **out, struct err *e);
/* Waits for the messages at hand. NULL is fine. */
void lmtp_stop(struct lmtp **l);

#endif

/* digest/answers.h - answers to digests ("release 2": letter/reply.h), taken over LMTP: [digest] listen_lmtp.
 *
 * Service   net/lmtp_service.h: who may come ([rulesd] mta_users and mta_from), its bounds and threads.
 * Later     4xx where it may go well later: the store or the keys are away, or somebody releases too much at once; and for an address that
 *           is not [digest] reply_to. All else is 250, also what is dropped: an answer to an answer would go to whoever it names.
 * Keys      it opens what it releases: with listen_lmtp the program needs the secret ring and the quarantine. */
#ifndef POSTERN_DIGEST_ANSWERS_H
#define POSTERN_DIGEST_ANSWERS_H

#include <stdatomic.h>

#include "letter/reply.h"

struct answer_counts {
    atomic_ullong released, refused, dropped, later;
};
struct answers;
/* All is borrowed, `store` until it returns. Nothing to listen on: *out is NULL. */
int answers_start(const struct settings *settings, struct store *store, struct answer_counts *counts,
                  struct answers **out, struct err *e);
/* Waits for the answers at hand. NULL is fine. */
void answers_stop(struct answers **a);

#endif

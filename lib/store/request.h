/* lib/store/request.h - people ask for held mail that they may not release themselves; owners of the domain answer.
 *
 * One row a delivery: asking again while it waits changes nothing, and what was refused stays refused. Rows go with the log of their day
 * (store_message_trim). Who may ask and answer is not decided here; the audit row is the caller's to write. */
#ifndef POSTERN_STORE_REQUEST_H
#define POSTERN_STORE_REQUEST_H

#include "store/message.h"

#define REQUEST_TEXT_MAX 1000 /* bytes of why, and of an answer */

enum request_state { REQUEST_WAITING, REQUEST_GRANTED, REQUEST_REFUSED };
extern const char *const request_state_words[]; /* "waiting", "granted", "refused", NULL */

struct store_request {
    struct store_key   key;
    struct uuid        domain, mailbox;
    bool               has_mailbox;
    enum request_state state;
    struct span        who, why, answer, answered_by;
    int64_t            asked_us, answered_us; /* 0: not yet */
};
typedef int (*store_request_fn)(void *ctx, const struct store_request *r);

/* Uses key, domain, mailbox, who, why. ERR_CONFLICT: it was answered already. */
int store_request_ask(struct store *s, const struct store_request *r, int64_t now_us, struct err *e);
/* From waiting to granted or refused; from granted back to waiting where the release came to nothing. ERR_CONFLICT: it does
 * not stand there any more. */
int store_request_answer(struct store *s, const struct store_key *key, enum request_state from, enum request_state to,
                         struct span who, struct span answer, int64_t now_us, struct err *e);
/* 1 and the row (texts in `a`), 0 nobody has asked, -1. */
int store_request_get(struct store *s, const struct store_key *key, struct arena *a, struct store_request *out,
                      struct err *e);
/* A domain's in one state, by (uid, n), those behind `after` (NULL: from the first). */
int store_request_list(struct store *s, struct uuid domain, enum request_state state, const struct store_key *after,
                       size_t limit, store_request_fn fn, void *ctx, struct err *e);

#endif

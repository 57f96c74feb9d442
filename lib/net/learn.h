/* lib/net/learn.h - teaching a filter: Rspamd's controller by HTTP, or spamd by TELL (protocols.md 1.4, 1.9, 2.11).
 *
 * One question at a time, blocking, within a time limit for all of it. What comes back is hostile: bounded, and never more than words.
 * A connection a question (filter_ask.h), for neither of the two keeps one open.
 * Every answer that the two are known to give has its meaning in one table of learn.c; whatever else comes is LEARN_LATER. */
#ifndef POSTERN_NET_LEARN_H
#define POSTERN_NET_LEARN_H

#include "base/buf.h"
#include "base/err.h"

struct filter_over;

enum learn_class { LEARN_SPAM, LEARN_HAM, LEARN_FORGET };

enum learn_answer {
    LEARN_DONE,
    LEARN_KNOWN,   /* it knew the message as that already */
    LEARN_SHORT,   /* too little in it to learn from */
    LEARN_REFUSED, /* this message never */
    LEARN_CLOSED,  /* not before somebody changes something: a wrong password, learning switched off */
    LEARN_LATER,   /* down, slow, cut, or nonsense */
};

struct learn_ask {
    const char *url;      /* rspamd+http://HOST:PORT | rspamd+http+unix:/PATH | spamd://HOST:PORT | spamd+unix:/PATH */
    const char *password; /* Rspamd's; "" */
    enum learn_class class;
    struct span deliver_to; /* whom it learns for; empty: all */
    struct span message;
    int64_t     timeout_ms;

    struct filter_over *over; /* net/filter_ask.h; may be NULL */
};
/* What the filter said goes to words_out in a line for people, escaped and cut. */
enum learn_answer learn(const struct learn_ask *ask, struct buf *words_out);
/* How many messages Bayes has learnt. */
struct learn_known {
    int64_t spam, ham;
};
/* By the /stat of Rspamd's controller; ERR_NOT_FOUND: it has none. spamd has no question for that: ERR_INVALID. */
int learn_stat(const char *url, const char *password, int64_t timeout_ms, struct learn_known *out, struct err *e);
/* Does a spamd answer? */
int learn_ping(const char *url, int64_t timeout_ms, struct err *e);
/* Is it an address that this file can talk to? ERR_INVALID says what is. */
int learn_check_url(const char *url, struct err *e);

#endif

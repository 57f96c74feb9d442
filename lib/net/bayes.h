/* lib/net/bayes.h - what a filter's Bayes knows, and how far it is from acting.
 *
 * Rspamd and SpamAssassin alike say nothing of a message until they have learnt enough of both kinds ([trainer] bayes_needed). How much they
 * have is told by Rspamd's controller, by the Redis where Rspamd keeps it (for each user or domain for which it learns, where it learns
 * for each), and by a command that prints what `sa-learn --dump magic` does. All of it blocks, within time limits; all that comes
 * back is hostile. */
#ifndef POSTERN_NET_BAYES_H
#define POSTERN_NET_BAYES_H

#include "base/arena.h"
#include "base/conf.h"
#include "net/learn.h"

bool bayes_acts(const struct learn_known *k, int64_t needed);
/* "Bayes acts from 200 of each: spam 312, ham 48 - 152 more ham" */
void bayes_put_words(struct buf *out, const struct learn_known *k, int64_t needed);

/* Where one can look. */
struct bayes_view {
    const char        *from;    /* a backend's address, "Redis" or "command" */
    bool               backend; /* it is one that learns */
    bool               up;      /* it answered as it should */
    bool               counted; /* and said how much it knows */
    struct learn_known known;
    struct err         why; /* where it did not */
};
#define BAYES_VIEWS_MAX 18
/* Looks everywhere that the settings name. How many views there are. stop: a descriptor that is readable when nobody wants to know any
 * more: the command is ended at once, and nothing more is looked at; -1: there is none. */
size_t bayes_look(const struct settings *s, int stop, struct bayes_view out[BAYES_VIEWS_MAX]);

/* One for whom Rspamd learns. */
struct bayes_person {
    struct span        name; /* empty: for all together */
    struct learn_known known;
};
#define BAYES_PEOPLE_MAX 1000
/* By name, at most BAYES_PEOPLE_MAX; how many, or -1. Texts are in `a`. */
int bayes_people(const char *redis_url, struct arena *a, struct bayes_person *out, struct err *e);

/* What `sa-learn --dump magic` prints. ERR_INVALID: it does not say. */
int bayes_read_magic(struct span printed, struct learn_known *out, struct err *e);

#endif

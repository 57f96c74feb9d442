/* lib/store/score.h - how the scores of a scope's mail are spread, and what other thresholds would have made of it.
 *
 * Counted  deliveries of the last days, the latest first, at most SCORES_MAX of them (of a mailbox SCORES_MAILBOX_MAX): enough for
 *          what a person decides by, and some ten ms of work for the largest domain.
 * By       the score as it was judged. What a rule decided is counted, and never moved: no threshold has a say in it.
 * Global   a domain that has thresholds of its own keeps them, and moves only by those that it inherits. A mailbox's own are not
 *          looked at: in a domain it counts with the domain's. */
#ifndef POSTERN_STORE_SCORE_H
#define POSTERN_STORE_SCORE_H

#include "rules/decide.h"
#include "store/store.h"

#define SCORES_MAX 100000
#define SCORES_MAILBOX_MAX 25000

/* A bin for each whole score from SCORES_LOW on, one for what is below, one for what is from SCORES_HIGH on. */
#define SCORES_LOW (-10)
#define SCORES_HIGH 30
#define SCORES_BINS (SCORES_HIGH - SCORES_LOW + 2)

/* Ascending: what a score comes to. */
enum score_class { SCORE_PASS, SCORE_GREYLIST, SCORE_ADD_HEADER, SCORE_REJECT, SCORE_CLASSES };
extern const char *const score_class_words[]; /* "pass", "greylist", "add_header", "reject", NULL */

struct score_lines {
    struct thresholds at;
    bool              greylisting; /* off: nothing is greylisted */
};
enum score_class score_class(const struct score_lines *lines, double score);

struct store_scores {
    int64_t looked, judged;                      /* deliveries; those of them that were judged by their score */
    int64_t since_us;                            /* the oldest that was looked at; 0: there was none */
    bool    whole;                               /* there were no more than could be looked at */
    int64_t bins[SCORES_BINS];                   /* of the judged */
    int64_t moves[SCORE_CLASSES][SCORE_CLASSES]; /* of the judged: from what `now` says to what `then` says */
};
int store_scores(struct store *s, struct store_scope scope, int64_t since_us, const struct score_lines *now,
                 const struct score_lines *then, struct store_scores *out, struct err *e);

#endif

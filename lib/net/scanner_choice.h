/* lib/net/scanner_choice.h - which of several scanners is asked next, and which are left alone (scanner.h). Pure: the clock is the
 * caller's, times are monotonic.
 *
 * The first in the order of the settings that is well is asked. One that cannot be reached rests at once; one that answers badly
 * or too late does so after SCANNER_FAULTS_IN_A_ROW of those with no good answer between, so that a message that it cannot
 * digest does not take it from all others. A rest lasts 1 s; when it is over one question tries, and the others still stay away:
 * a good answer ends it, a bad one doubles it up to 60 s. */
#ifndef POSTERN_NET_SCANNER_CHOICE_H
#define POSTERN_NET_SCANNER_CHOICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCANNER_REST_MIN_US ((int64_t)1000000)
#define SCANNER_REST_MAX_US ((int64_t)60000000)
#define SCANNER_FAULTS_IN_A_ROW 3

struct scanner_health { /* all zero: well */
    unsigned faults;    /* bad answers in a row */
    int64_t  rest_us;   /* how long the rest is; 0: well */
    int64_t  until_us;
    bool     trying; /* its rest is over, and one question finds out */
};

/* The index to ask, or SIZE_MAX: none that this question has not tried yet. *trial_out: it is the one that finds out. */
size_t scanner_choose(struct scanner_health *all, size_t n, const bool *tried, int64_t now_us, bool *trial_out);
/* Could another one still be asked? For how much of the time the next may take. */
bool scanner_has_other(const struct scanner_health *all, size_t n, const bool *tried, size_t but, int64_t now_us);

void scanner_did_well(struct scanner_health *h);
/* lost: it could not be reached. trial: as scanner_choose() said of this question. */
void scanner_did_badly(struct scanner_health *h, bool lost, bool trial, int64_t now_us);
/* The question was withdrawn: nothing is known. */
void scanner_was_not_asked(struct scanner_health *h, bool trial);

#endif

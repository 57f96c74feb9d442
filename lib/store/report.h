/* lib/store/report.h - what people and programs say of messages, and how far the filter has got with it.
 *
 *     waiting ──claim, settle──> learnt | known | short | refused
 *        ^  └──claim, settle──> waiting, from next_us on
 *        ├──── said again after the opposite ──── superseded
 *        └──── nobody says the opposite any more ─ undecided
 *
 * Kept     what has ended goes with the log of the day on which it last changed (store_message_trim); what waits stays.
 * Once     one person, one message, one recipient, one class: one row for ever. Saying the same again changes nothing; saying the
 *          opposite supersedes, and what was superseded waits again when it is said again.
 * Undecided  two people say the opposite of one message, and the filter learns for both (one recipient, not empty): it learns
 *          neither, and what it may have learnt already it is asked to forget, by a report of our own (REPORT_OURSELVES). When they
 *          agree, or but one still says something, that waits again. Who takes a word back on which others agree
 *          asks the filter for nothing.
 * Gone     a report without a body is refused at once, in the words of store_report_gone(); said again with one, it waits.
 * Claims   one UPDATE; a lease that lapses lets another take it. Who has been overtaken changes nothing.
 * Nothing here needs the main database. */
#ifndef POSTERN_STORE_REPORT_H
#define POSTERN_STORE_REPORT_H

#include "store/store.h"

#define REPORT_LEASE_US (120 * INT64_C(1000000))
#define REPORT_ANSWER_MAX 500
#define REPORT_OURSELVES "postern" /* who reports, and the channel, where nobody else does */

#define REPORT_OPPOSITE "somebody else of the domain says the opposite: the filter learns neither"

enum report_class { REPORT_SPAM, REPORT_HAM, REPORT_FORGET };
enum report_state {
    REPORT_WAITING,
    REPORT_LEARNT,
    REPORT_KNOWN,
    REPORT_SHORT,
    REPORT_REFUSED,
    REPORT_SUPERSEDED,
    REPORT_UNDECIDED
};
extern const char *const report_class_words[],
    *const               report_state_words[]; /* "spam", …; "waiting", …; NULL at the end */

struct store_report {
    struct uuid id;
    struct span subject, who, recipient, channel;
    enum report_class class;
    bool              has_domain, has_mailbox, has_body;
    struct uuid       domain, mailbox, body;
    enum report_state state;
    int64_t           attempts, next_us, created_us, changed_us;
    struct span       answer;
    struct span sender, why; /* the learned sender it left behind (or took away); why none, or why it is so wide */
};
/* What is said of one whose message is not stored any more. */
struct span store_report_gone(const struct store_report *r);

enum report_added {
    REPORT_NEW,
    REPORT_TURNED, /* the opposite was said before, and is superseded */
    REPORT_SAID,   /* the same was: nothing changed */
};
/* Fills id and state. attempts, times and answer of *r are not looked at. */
int store_report_add(struct store *s, struct store_report *r, int64_t now_us, enum report_added *out, struct err *e);

/* The next that wait, at most `max`: how many were taken (spans in `a`), or -1. `by` names who takes them. */
int store_report_claim(struct store *s, struct span by, int64_t now_us, size_t max, struct arena *a,
                       struct store_report *out, struct err *e);

/* What came of one that was taken. */
struct store_report_end {
    struct uuid       id;
    enum report_state state;   /* LEARNT, KNOWN, SHORT or REFUSED; WAITING: to be tried again */
    int64_t           next_us; /* then */
    bool              unasked; /* it is given back as it was: no attempt was made */
    struct span       answer;  /* the backend's words (cut) */
};
/* Of all that `by` has taken, in one transaction. What somebody else has by now, or what was taken back, stays as it is; *settled_out
 * (may be NULL) is how many did change. */
int store_report_settle(struct store *s, struct span by, const struct store_report_end *ends, size_t n, int64_t now_us,
                        size_t *settled_out, struct err *e);
/* Both, in one transaction: what came of the last, and the next. */
int store_report_turn(struct store *s, struct span by, const struct store_report_end *ends, size_t n, int64_t now_us,
                      size_t max, struct arena *a, struct store_report *out, struct err *e);
/* When the next one waits; INT64_MAX: none does. */
int store_report_next(struct store *s, int64_t *next_us_out, struct err *e);

/* Since when the oldest of them waits; INT64_MAX: none does. */
int store_report_oldest(struct store *s, int64_t *created_us_out, struct err *e);

typedef int (*store_report_fn)(void *ctx, const struct store_report *r);
/* The latest changed first, of a mailbox, a domain or all, those changed before `before_us` (0: all). */
int store_report_list(struct store *s, struct store_scope scope, int64_t before_us, size_t limit, store_report_fn fn,
                      void *ctx, struct err *e);
/* One by its id, or all about a message by its UID. ERR_NOT_FOUND. */
int store_report_show(struct store *s, const struct uuid *id, store_report_fn fn, void *ctx, struct err *e);
typedef int (*store_report_sum_fn)(void *ctx, enum report_state state, int64_t count);
int store_report_sums(struct store *s, store_report_sum_fn fn, void *ctx, struct err *e);

#endif

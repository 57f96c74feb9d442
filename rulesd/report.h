/* rulesd/report.h - reports that arrive at our listeners with their message: TELL, /learnspam, /learnham.
 *
 * Kept first, taught later: the message is in custody (7 days) and the report a row before the caller hears that it was taken; then
 * postern-trainer relays it. What cannot be kept is a temporary failure. The caller's own word is enough for that only from class mta.
 * A learned sender is left behind where our own Authentication-Results prove it (custody/report.h). */
#ifndef POSTERN_RULESD_REPORT_H
#define POSTERN_RULESD_REPORT_H

#include "custody.h"
#include "custody/report.h"
#include "desk.h"
#include "session.h"

struct reports;
/* No backend is configured, or there is no custody: *out is NULL. custody and journal are borrowed. */
int reports_new(const struct settings *settings, struct custody *custody, struct journal *journal, struct reports **out,
                struct err *e);
/* Are reports taken: can they be kept? NULL: no. */
bool reports_are_taken(const struct reports *r);
/* What is under way fails with ERR_LOST and is woken: after custody_free(), before the loops are freed. */
void reports_stop(struct reports *r);
void reports_free(struct reports **r);

struct report_ask {
    enum report_class class;
    struct span message;   /* borrowed until the errand ends; not empty */
    struct span recipient; /* for whom it is reported: an address, or empty */
    struct span
        person; /* who reports it, as the caller calls them; empty: nobody is named, and all of that caller are one */
    const char *channel; /* "tell", "learn" */
    const char *listener;
    enum answer (*put)(struct errand *er, struct exchange *x, struct scan_request *req,
                       struct buf *out); /* the reply: report_came() */
};
/* To be put into x->errand, with ANSWER_LATER. */
struct errand *report_take(struct reports *r, const struct report_ask *ask, const struct exchange *x);

struct report_end {
    int                rc; /* 0, or -1 and err */
    struct err         err;
    struct report_made made;
};
const struct report_end *report_came(const struct errand *er);

#endif

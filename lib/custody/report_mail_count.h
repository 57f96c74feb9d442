/* lib/custody/report_mail_count.h - how many reports come by mail, counted in the log database: so that all ways by mail, programs that live
 * for one mail among them, count together.
 *
 * Rate      REPORTS_PER_RECIPIENT attached messages of a mailbox in a minute of the clock.
 * Sums      what became of the mails of a day (UTC): totals, never whose they were. */
#ifndef POSTERN_CUSTODY_REPORT_MAIL_COUNT_H
#define POSTERN_CUSTODY_REPORT_MAIL_COUNT_H

#include "custody/report_mail.h"

#define REPORT_MAIL_MINUTE "report.mail.minute" /* the counters' name, of the mailbox's address */

/* May this mailbox report n more now? ERR_BUSY: not yet; then nothing is counted. */
int report_mail_may(struct store *s, struct span mailbox, int n, int64_t now_us, struct err *e);

struct report_mail_sums {
    int64_t taken, refused;               /* attached messages */
    int64_t later;                        /* mails of mailboxes that report too much at once */
    int64_t dropped[REPORT_MAIL_REASONS]; /* mails */
};
/* done: what came of one mail; NULL: it is to come again later. */
int report_mail_count(struct store *s, const struct report_mail_done *done, int64_t now_us, struct err *e);
/* Of the day that it is. */
int report_mail_counted(struct store *s, int64_t now_us, struct report_mail_sums *out, struct err *e);

#endif

/* lib/custody/known.h - what is known of a held message's protected findings, for who decides whether it may go (scan/lift.h).
 *
 * Two sources: the symbols of the log, as the message came; and what a scan found that stopped an earlier release, which its row keeps
 * (store/release.h). So what nobody could see at first is seen when it has stopped a release, and can be decided about then. */
#ifndef POSTERN_CUSTODY_KNOWN_H
#define POSTERN_CUSTODY_KNOWN_H

#include "scan/findings.h"
#include "store/release.h"

struct known {
    enum finding_kind gravest; /* who has it released has to be allowed this */
    struct lift       lift;    /* all of them */
    struct span       names;   /* of their symbols, for people; "" */
};
/* row: NULL, or one without an earlier stop: the log alone. Texts are in `a`. */
void known_read(struct span symbols, const struct store_release *row, bool spamd, const struct conf_list *more,
                struct arena *a, struct known *out);
/* The protected ones of a scan, for row->found. What does not fit is found again the next time. */
void known_keep(const struct scanner_answer *answer, const struct conf_list *more, struct store_release *row);

#endif

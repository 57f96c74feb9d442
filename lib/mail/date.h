/* lib/mail/date.h - the time in a Date or Received field (RFC 5322 3.3, with the obsolete forms of 4.3). */
#ifndef POSTERN_MAIL_DATE_H
#define POSTERN_MAIL_DATE_H

#include "base/span.h"

/* "Sun, 22 Nov 2026 03:00:00 +0100": UTC microseconds. The name of the day, the seconds and comments may be missing; a year of two
 * digits is of 1950 to 2049; a zone that is not known is UTC, as the RFC says. False when it is no date between 1970 and 9999. */
bool date_parse(struct span text, int64_t *us_out);

#endif

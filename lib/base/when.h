/* lib/base/when.h - an instant in the words that a person uses for it, in a zone.
 *
 * Languages are "en" and "de", by the first two letters of a tag like "de-AT"; any other is English. */
#ifndef POSTERN_BASE_WHEN_H
#define POSTERN_BASE_WHEN_H

#include "base/buf.h"
#include "base/zone.h"

/* "Sunday 22 November"                    "Sonntag, 22. November" */
void when_put_day(struct buf *b, const struct zone *z, const char *language, int64_t us);
/* "Sunday 22 November, 07:00"             "Sonntag, 22. November, 07:00" */
void when_put_time(struct buf *b, const struct zone *z, const char *language, int64_t us);
/* "Sun 22 Nov, 07:00"                     "So 22. Nov., 07:00" */
void when_put_short(struct buf *b, const struct zone *z, const char *language, int64_t us);
/* "Saturday 21 November, 07:00 to Sunday 22 November, 07:00 (CET)"; within a day "Sunday 22 November, 07:00 to 19:00 (CET)"; over a change of
 * clocks each time has its own zone. */
void when_put_period(struct buf *b, const struct zone *z, const char *language, int64_t from_us, int64_t to_us);
/* "CET"; where people have no name for it "UTC+05:45". */
void when_put_zone(struct buf *b, const struct zone *z, int64_t us);

#endif

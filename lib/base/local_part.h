/* lib/base/local_part.h - a mailbox's local part, which we keep as it is meant, as an address writes it. */
#ifndef POSTERN_BASE_LOCAL_PART_H
#define POSTERN_BASE_LOCAL_PART_H

#include "base/buf.h"

/* john.doe stands as it is, and what is quoted already; "john doe" has to be quoted, or "a<b@c" would be another's address. An empty
 * one becomes "". RFC 5321 section 4.1.2, Local-part. */
void local_part_put(struct buf *b, struct span local);

#endif
